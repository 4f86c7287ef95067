"""The judge: the trusted process that grafts a submission, has the sandbox run it, and runs the tests.

Its zygote has the assignment's setup run already and forks once per submission. Does not start processes, keep time for a whole
submission, or write a gradebook: that is `grader` and `gradebook`.
"""
import builtins
import json
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import nbformat

from . import isolation, mistakes, values
from .assignment import Assignment, AssignmentError, grade_id, role
from .channel import Channel, Closed
from .examine import BadTest, Checkpoint, Verdict, describe_loss, run_test
from .graft import Graft, graft
from .sandbox import requests, warm
from .sanitize import clean_outputs, clean_text
from .result import ExerciseResult, about


IMAGES = 32 << 20                                     # characters of pictures that an autograded notebook may hold


@dataclass
class CellRun:
    """What running one cell gave, as the sandbox tells it."""
    outputs: list = field(default_factory=list)
    error: str | None = None
    lost: str | None = None
    seconds: float = 0.0


class Judge:
    """One assignment, ready to judge: setup run, mistakes loaded. Forks share it."""

    def __init__(self, assignment: Assignment):
        self.assignment = assignment
        self.shell = warm(assignment.modules)
        self.shell.user_ns.update(__name__="setup")
        for cell in assignment.source.cells:
            if cell.cell_type == "code" and role(cell) == "setup" and grade_id(cell) not in assignment.demonstrations:
                outputs, error = self.shell.run(cell.source, grade_id(cell))
                if error:
                    raise AssignmentError(f"{assignment.name}: setup cell {grade_id(cell)} raised {error}; mend it and build again")
        self.mistakes = mistakes.load(assignment.mistakes)
        self.modules = set(sys.modules)

    def grade(self, submission: bytes, run: Channel, controls: list[socket.socket], kill, limits: isolation.Limits) -> dict:
        """Everything a Result needs but the student's name and the time."""
        grafted = graft(self.assignment, submission)
        runs = _run_cells(_steps(grafted), run, kill, limits)
        verdicts, seconds, names, place = {}, {}, [], 0
        for cell in self.assignment.source.cells:
            name = grade_id(cell)
            if role(cell) == "answer":
                names += self.assignment.answer_names[name]
            elif role(cell) == "test":
                start = time.perf_counter()
                verdicts[name] = self._test(cell, names, grafted, runs, Checkpoint(controls[place]), limits)
                seconds[name] = time.perf_counter() - start
                place += 1
        exercises = [self._exercise(e, verdicts, grafted) for e in self.assignment.exercises]
        scores = {n: v.score for n, v in verdicts.items()}
        scores |= {e.name: 0.0 if e.name in grafted.missing else None for e in self.assignment.exercises if e.manual}
        return {"exercises": [vars(e) for e in exercises], "flags": [clean_text(f, 300) for f in grafted.flags],
                "scores": scores, "notebook": self._autograded(grafted, runs, verdicts, exercises, limits), "test_seconds": seconds, "cell_seconds": {n: r.seconds for n, r in runs.items()},
                "modules": sorted(set(sys.modules) - self.modules)}

    def _test(self, cell, names, grafted, runs, checkpoint, limits) -> Verdict:
        exercise = next(e for e in self.assignment.exercises if grade_id(cell) in e.tests)
        own = [n for a in exercise.answers for n in self.assignment.answer_names[a]] if exercise.name in self.assignment.answer_names else []
        if exercise.answers and all(a in grafted.missing for a in exercise.answers):
            return Verdict(0.0, "missing", message="not answered")
        lost = next((runs[a].lost for a in exercise.answers if runs[a].lost), None)
        if lost and own:
            status, message = describe_loss(lost)
            return Verdict(0.0, status, message=f"while the cell ran, {message}")
        try:
            lines = {a: (grafted.answers[a] or "").count("\n") + 1 for a in exercise.answers}
            verdict = run_test(cell, float(cell.metadata.nbgrader.points), exercise, list(dict.fromkeys(names)), checkpoint,
                               self.shell.user_ns, self._secrets, self.mistakes, own, lines, limits.test_seconds)
        except BadTest as error:
            return Verdict(0.0, "error", message=f"the test itself is wrong, tell your instructor: {error}")
        error = next((runs[a].error for a in exercise.answers if runs[a].error), None)
        if verdict.status == "missing" and error:
            return Verdict(0.0, "error", message=f"the cell raised {error if hasattr(builtins, error) else 'an exception'}, and {verdict.message.replace('the cell', 'it')}")
        return verdict

    @property
    def _secrets(self) -> frozenset[str]:
        return frozenset(n for names in self.assignment.answer_names.values() for n in names)

    def _exercise(self, exercise, verdicts, grafted) -> ExerciseResult:
        if exercise.manual:
            missing = exercise.name in grafted.missing
            return ExerciseResult(exercise.name, 0.0, exercise.points, "missing" if missing else "manual", None, "not answered" if missing else "")
        own = [verdicts[t] for t in exercise.tests]
        worst = next((v for v in own if v.status != "passed"), own[0])
        score = sum(v.score for v in own)
        return ExerciseResult(exercise.name, score, exercise.points, "failed" if 0 < score and worst.status != "passed" else worst.status,
                              worst.mistake, worst.message)

    def _autograded(self, grafted: Graft, runs, verdicts, exercises, limits) -> str:
        """The notebook for the human marker: the graft with outputs and scores, without hidden tests."""
        released = {grade_id(c): c for c in self.assignment.release.cells}
        notebook = nbformat.v4.new_notebook(metadata=dict(self.assignment.release.metadata))
        for cell in grafted.cells:
            if cell.cell_type == "code":
                name = grade_id(cell)
                cell = nbformat.from_dict(cell)
                cell.outputs, cell.execution_count = [], None
                if verdict := verdicts.get(name):
                    cell.source = released[name].source
                    if verdict.message:
                        cell.outputs.append(nbformat.v4.new_output("stream", name="stdout", text=verdict.message + "\n"))
                    cell.outputs.append(nbformat.v4.new_output("execute_result", data={"text/plain": repr(float(verdict.score))}))
                elif ran := runs.get(name):
                    cell.outputs = clean_outputs(ran.outputs, limits.output, IMAGES // len(runs))
                    if ran.lost:
                        cell.outputs.append(nbformat.v4.new_output("stream", name="stdout", text=f"This cell was stopped: {describe_loss(ran.lost)[1]}.\n"))
            notebook.cells.append(cell)
        notebook.metadata["autograder"] = about(self.assignment, exercises, [clean_text(f, 300) for f in grafted.flags])
        return nbformat.writes(notebook)


def _steps(grafted: Graft) -> list[tuple]:
    """What the sandbox is to run, with the place of each test cell's checkpoint."""
    steps, place = [], 0
    for cell in grafted.cells:
        kind = role(cell)
        if kind == "test":
            steps.append((place, None, False))
            place += 1
        elif cell.cell_type == "code":
            steps.append((grade_id(cell), cell.source, kind != "setup" or "autograder" in cell.metadata))
    return steps


def _run_cells(steps, run: Channel, kill, limits) -> dict[str, CellRun]:
    """Have the sandbox run all cells. Whatever it says or fails to say, every cell has a CellRun afterwards."""
    runs = {name: CellRun() for name, _, _ in steps if type(name) is str}
    waiting = dict.fromkeys(runs)
    run.limit = 16 << 20
    try:
        run.send("steps", steps, asdict(limits), timeout=limits.cell_seconds)
        for _ in range(2 * len(steps) + 1):
            kind, *fields = run.receive(timeout=limits.cell_seconds + 5)
            if kind == "end":
                return runs
            name = fields[0] if fields and type(fields[0]) is str and fields[0] in runs else None
            if name is None or (kind == "ran" and name not in waiting):
                break
            waiting.pop(name, None)
            if kind == "ran" and len(fields) == 4 and type(fields[2]) in (str, type(None)) and type(fields[3]) is float:
                runs[name] = CellRun(fields[1], fields[2], seconds=fields[3])
            elif kind == "lost" and len(fields) == 2 and type(fields[1]) is str:
                runs[name].lost = fields[1]              # it may have been lost after it had run
    except TimeoutError:
        for name in waiting:
            runs[name] = CellRun(lost="timeout")
    except (Closed, values.Malformed):
        pass
    kill()
    for name in waiting:
        runs[name].lost = runs[name].lost or "crashed"
    return runs


def main(control_fd: int, settings: str):
    """Serve until the grader hangs up. `settings`: JSON with the assignment's `name` and its paths."""
    settings = json.loads(settings)
    control = socket.socket(fileno=control_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    paths = [Path(settings[part]) for part in ("source", "release", "mistakes")]
    try:
        judge = Judge(Assignment.load(settings["name"], *paths))
    except AssignmentError as error:
        control.send(f"refused {error}".encode())
        return
    control.send(b"ready")
    children = 0
    for fds in requests(control):
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) if children else None:
            children -= 1
        children += 1
        child = os.fork()
        if child == 0:
            _serve_submission(control, fds, judge)
        socket.send_fds(control, [b"started"], [os.pidfd_open(child)])
        for fd in fds:
            os.close(fd)


def _serve_submission(control, fds, judge):
    control.close()
    isolation.die_with_parent()
    session, talk, run, *controls = fds
    talk = Channel(socket.socket(fileno=talk))
    try:
        _, submission, limits = talk.receive()
        limits = isolation.Limits(**limits)
        isolation.limit_resources(replace(limits, memory=2 * limits.memory, open_files=1024), 3600, processes=False)
        result = judge.grade(submission, Channel(socket.socket(fileno=run)), [socket.socket(fileno=fd) for fd in controls],
                             lambda: signal.pidfd_send_signal(session, signal.SIGKILL), limits)
        talk.send("result", result)
    except BaseException as error:                   # hostile data found a hole: it costs this submission, and is told
        where = traceback.extract_tb(error.__traceback__)[-1]
        talk.send("result", {"fault": f"{type(error).__name__} in {Path(where.filename).name}, line {where.lineno}"})
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
