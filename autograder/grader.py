"""`Grader.verdict`: one submission in, its result out. The seam for fan-out: no database, no state but two warm zygotes.

Starts the zygotes, passes each submission's sockets to them, and supervises: memory of the whole group, time of the whole run.
"""
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

from nbformat import from_dict, writes

from .assignment import Assignment, AssignmentError, role
from .channel import Channel
from .graft import MAX_BYTES
from .isolation import Limits, bubblewrap, shown_paths
from .processes import descendants, heaviest_over, kill, pid_of
from .result import ExerciseResult, Result, about

START_SECONDS, PATIENCE = 300, 120.0                   # for the zygotes to start, and for each cell and test of the reference
FAULT = "the grader failed, which is a bug of ours"
LEAST_SECONDS, SLACK = 8.0, 10                       # an answer may take this, and so many times the reference's own time
QUIET = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "LANG": "C.UTF-8",
         "HOME": "/tmp", "MPLBACKEND": "module://matplotlib_inline.backend_inline",
         "USER": "student"}


class GraderError(Exception):
    """Grading cannot go on; the message says what to do."""


class Zygote:
    """A warm process that forks one child per request on its control socket."""

    def __init__(self, module: str, root: Path, settings: dict, prefix: list[str]):
        self.words = tempfile.TemporaryFile()           # what it says on stderr; a pipe that nobody reads would stop it
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        paths = [str(Path(__file__).resolve().parent.parent), str(root)]
        code = (f"import json, socket, sys; sys.path[:0] = {paths!r}; from autograder.{module} import main; "
                "main(socket.socket(fileno=int(sys.argv[1])), **json.loads(sys.argv[2]))")
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-I", "-c", code, str(theirs.fileno()), json.dumps(settings)], pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.words, env=os.environ | QUIET, start_new_session=True)
        theirs.close()
        self.module, self.lock = module, threading.Lock()

    def ready(self):
        """Wait until it is warm; raises GraderError or AssignmentError with its own last words."""
        self.control.settimeout(START_SECONDS)
        try:
            word = self.control.recv(4096)
        except OSError:
            word = b""
        if word.startswith(b"refused "):
            raise AssignmentError(word[8:].decode())
        if word != b"ready":
            self.process.kill()
            self.process.wait()
            self.words.seek(0)
            lines = self.words.read().decode(errors="replace").strip().split("\n")
            raise GraderError(f"the {self.module} process did not start: {lines[-1]}")

    def fork(self, fds: list[int]) -> int:
        """Have it fork a child that gets `fds`; returns the child's pidfd."""
        with self.lock:
            socket.send_fds(self.control, [b"fork"], fds)
            word, found, *_ = socket.recv_fds(self.control, 4096, 1)
        if not found:
            raise GraderError(f"the {self.module} process could not fork: {word.decode(errors='replace') or 'it is gone'}")
        return found[0]

    def warm(self, modules: list[str]):
        """Have it import these before it forks again."""
        with self.lock:
            for start in range(0, len(modules), 500):
                self.control.send(" ".join(modules[start:start + 500]).encode())
                self.control.recv(64)

    def close(self):
        self.control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        self.process.kill()
        self.process.wait()
        self.words.close()


class Grader(contextlib.AbstractContextManager):
    """Grades submissions of one assignment. Use as a context manager; `verdict` may be called from several threads.

    Before anything else it grades the reference itself, through the same wall: that checks the tests and measures the limits.
    """

    def __init__(self, root: Path, assignment: Assignment, paths: dict, isolation: str = "bubblewrap", limits: Limits = Limits()):
        if isolation not in ("bubblewrap", "process"):
            raise GraderError(f"unknown isolation {isolation!r}; choose bubblewrap or process")
        self.assignment, self.limits, self.isolated = assignment, limits, isolation == "bubblewrap"
        paths = {part: path.resolve() for part, path in paths.items()}         # as the sandbox shows them
        self.zygotes = []
        try:
            settings = {"isolated": self.isolated, "modules": assignment.modules, "shown": sorted(shown_paths(root))}
            self.zygotes.append(Zygote("sandbox", root, settings, bubblewrap(root, QUIET) if self.isolated else []))
            settings = {"isolated": self.isolated, "name": assignment.name, **{k: str(v) for k, v in paths.items()}}
            self.zygotes.append(Zygote("judge", root, settings, bubblewrap(root, QUIET, [*paths.values()]) if self.isolated else []))
            self.sandbox, self.judge = self.zygotes
            for zygote in self.zygotes:
                zygote.ready()
            self.places = sum(role(c) == "test" for c in assignment.source.cells)
            self._calibrate()
        except BaseException:
            self.close()
            raise

    def _calibrate(self):
        """Grade the reference; raises AssignmentError unless it earns full marks."""
        trial = self.ask(writes(self.assignment.source).encode(), replace(self.limits, cell_seconds=PATIENCE, test_seconds=PATIENCE))
        if trial is None:
            raise AssignmentError(f"{self.assignment.name}: the reference takes too long or too much memory; make it lighter, or raise its limits")
        if "fault" in trial:
            raise GraderError(f"{FAULT}: {trial['fault']}")
        for exercise in trial["exercises"]:
            if exercise["status"] not in ("passed", "manual"):
                raise AssignmentError(f"{self.assignment.name}: the reference answer of {exercise['name']} does not pass its own tests "
                                      f"({exercise['status']}: {exercise['message']}); mend the notebook and build again")
        limits = {kind: min(getattr(self.limits, kind), LEAST_SECONDS + SLACK * max(trial[kind].values(), default=0.0))
                  for kind in ("cell_seconds", "test_seconds")}
        self.limits = replace(self.limits, **limits)
        for zygote in self.zygotes:
            zygote.warm(trial["modules"])

    def verdict(self, student: str, submission: bytes, flags: tuple[str, ...] = ()) -> Result:
        """Grade one notebook, given as bytes. Whatever it holds, this returns a Result; `flags` are added to it."""
        start = time.monotonic()
        answer = self.ask(submission)
        seconds = time.monotonic() - start
        if answer is None:
            message = "grading this submission took too long or too much memory and was stopped; nothing in it was scored"
            return self._unjudged(student, (*flags, message), seconds, "timeout", message)
        if "fault" in answer:
            flags = (*flags, f"{FAULT}: {answer['fault']}")
            return self._unjudged(student, flags, seconds, "error", "the grader failed on this submission; tell your instructor")
        return Result.from_judge(student, answer, seconds, flags)

    def ask(self, submission: bytes, limits: Limits | None = None) -> dict | None:
        """All that the judge says of a submission, with times; None if it had to be stopped."""
        limits = limits or self.limits
        ends = [socket.socketpair(), socket.socketpair(), *(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(self.places))]
        (talk, judge_talk), (judge_run, run), *controls = ends
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(sock) for both in ends for sock in both]
            session = self.sandbox.fork([run.fileno(), *(theirs.fileno() for _, theirs in controls)])
            stack.callback(_end, session, family=not self.isolated)            # a PID namespace ends all at once
            judge = self.judge.fork([session, judge_talk.fileno(), judge_run.fileno(), *(ours.fileno() for ours, _ in controls)])
            stack.callback(_end, judge, family=False)
            for sock in sockets[1:]:
                sock.close()
            channel = Channel(talk, limit=256 << 20)
            channel.send("grade", submission[:MAX_BYTES + 1], asdict(limits))
            return self._supervise(channel, session, limits)

    def _supervise(self, channel, session, limits) -> dict | None:
        """Wait for the judge; meanwhile end what uses too much. None if the judge itself had to be ended."""
        steps = 2 * len(self.assignment.source.cells) + 20
        deadline = time.monotonic() + steps * (limits.cell_seconds + limits.test_seconds)
        poll = select.poll()
        poll.register(channel.sock, select.POLLIN)
        base = pid_of(session)
        while time.monotonic() < deadline:
            if poll.poll(50):
                try:
                    return channel.receive(time.monotonic() + 60)[1]
                except ConnectionError:
                    return None
            if victim := heaviest_over(base, limits.memory):
                kill(victim)
        return None

    def _unjudged(self, student, flags, seconds, status, message) -> Result:
        exercises = tuple(ExerciseResult(e.name, 0.0, e.points, status, None, message) for e in self.assignment.exercises)
        notebook = from_dict(self.assignment.release)
        notebook.metadata["autograder"] = about(self.assignment, exercises, ())
        return Result(student, exercises, flags, seconds, writes(notebook),
                      {t: 0.0 for e in self.assignment.exercises for t in e.tests})

    def close(self):
        for zygote in self.zygotes:
            zygote.close()

    def __exit__(self, *_):
        self.close()


def _end(process: int, family: bool):
    """End a process, given by its pidfd; with `family`, all below it first."""
    for pid in descendants(pid_of(process)) if family else ():
        kill(pid)
    with contextlib.suppress(OSError):
        signal.pidfd_send_signal(process, signal.SIGKILL)
    os.close(process)
