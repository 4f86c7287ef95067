"""A submission's life inside the sandbox: run its cells, freeze a checkpoint after each, serve the judge's tests from them.

Everything here is at the mercy of student code: nothing it says is trusted, and all it can do by lying is answer as some other
answer would. Each student cell runs in a fork, so a crash or a time-out leaves the state before it, from which the run goes on.
Each test cell is served by a fork of a checkpoint that is thrown away.
"""
import contextlib
import gc
import mmap
import os
import select
import signal
import socket
import sys
import time

from . import isolation, values
from .channel import Channel
from .service import serve


class Session:
    """Runs in the submission's base process, and in its forks.

    `run` carries what the cells gave to the judge; on `controls[i]` the judge asks for forks of checkpoint i.
    """

    def __init__(self, shell, run: Channel, controls: list[socket.socket], limits: isolation.Limits, isolated: bool):
        self.shell, self.run, self.controls, self.limits, self.isolated = shell, run, controls, limits, isolated
        self.held = []
        self.members = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("i")        # shared: how many checkpoints, and their processes
        self._join(os.getppid()), self._join(os.getpid())
        self.set_threads = getattr(sys.modules.get("torch"), "set_num_threads", None)

    def live(self, steps: list[tuple]):
        """Run all steps, then serve tests until killed.

        A step is (name, source, whether a student wrote it) of a cell, or the place of a checkpoint.
        """
        for step in steps:
            if type(step) is int:
                self.held.append(self.controls[step])
                continue
            name, source, guarded = step
            if not guarded:
                self._execute(name, source)
            elif (done := self._in_fork(name)) is not None:
                if self._execute(name, source) == "MemoryError":
                    os.kill(os.getpid(), signal.SIGKILL)     # what filled the memory is still held, and would cost the cells that follow
                self._stop_strays()
                os.write(done, b"x")
                os.close(done)
        self.run.send("end")
        self._serve_tests()

    def _execute(self, name, source) -> str | None:
        """Run a cell and tell the judge; returns the class of the exception that it raised, if it did."""
        start = time.perf_counter()
        outputs, error = self.shell.run(source, name)
        seconds = time.perf_counter() - start
        try:
            self.run.send("ran", name, outputs, error, seconds)
        except values.NotData:
            self.run.send("ran", name, [], error, seconds)
        return error

    def _in_fork(self, name) -> int | None:
        """In a fork that is to run the cell: the descriptor on which to say that it did; here, None once that fork has ended without it.

        If the fork does finish, this process stays behind as the checkpoint before the cell, and never returns.
        """
        finished, done = os.pipe()
        child = self._fork()
        if child == 0:
            os.close(finished)
            self.held = []
            self._join(os.getpid())
            return done
        os.close(done)
        ended = os.pidfd_open(child)
        events = wait([finished, ended], self.limits.cell_seconds)
        if finished in events and os.read(finished, 1) == b"x":
            self._serve_tests()
        why = finish(child)
        self._stop_strays()
        os.close(finished), os.close(ended)
        self.run.send("lost", name, why if events else "timeout")
        return None

    def _serve_tests(self):
        if not self.held and os.getpid() != self.members[2]:
            os._exit(0)                              # no test starts from here
        while True:
            for control in wait(self.held, None):
                message, fds, *_ = socket.recv_fds(control, 64, 1)
                if not message:
                    os._exit(0)
                if fds:
                    self._serve_test(control, fds[0])

    def _serve_test(self, control, fd):
        child = self._fork()
        if child == 0:
            try:
                serve(Channel(socket.socket(fileno=fd)), self.shell.user_ns)
            finally:
                os._exit(0)
        os.close(fd)
        ended = os.pidfd_open(child)
        stopped = control in wait([control, ended], None)
        why = finish(child)
        os.close(ended)
        self._stop_strays()
        control.send(f"clean: {'stopped' if stopped else why}".encode())

    def _fork(self) -> int:
        if self.set_threads:
            self.set_threads(1)                      # a fork has none of its parent's worker threads, and would wait for them
        gc.freeze()
        return os.fork()

    def _join(self, pid: int):
        """Count a process among those that `_stop_strays` leaves alone."""
        self.members[0] += 1
        self.members[self.members[0]] = pid

    def _stop_strays(self):
        """Kill what a cell or a test left running: whatever is in this PID namespace and is no checkpoint, until nothing is."""
        for _ in range(200 if self.isolated else 0):
            strays = {int(name) for name in os.listdir("/proc") if name.isdigit()} - {*self.members[1:self.members[0] + 1], os.getpid()}
            if not strays:
                return
            for pid in strays:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)                        # the first process of the namespace buries them


def wait(sources: list, seconds: float | None) -> list:
    """Those of `sources` (descriptors or sockets) that can be read, once one can; none after `seconds`."""
    return select.select(sources, [], [], seconds)[0]


def finish(child: int) -> str:
    """End a child process, if it still runs, and say how it ended."""
    try:
        os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except (ProcessLookupError, ChildProcessError):
        return "crashed"
    return f"signal {-code}" if code < 0 else f"exit {code}"
