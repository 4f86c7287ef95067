"""The judge: the trusted process that grafts a submission, has the sandbox run it, and runs the tests.

Its zygote has the assignment's setup run already and forks once per submission. Does not start processes, keep time for a whole
submission, or write a gradebook: that is `grader` and `gradebook`.
"""
import builtins
import itertools
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
from .assignment import Assignment, AssignmentError, grade_id, role, solution, split_test
from .channel import Channel
from .definitions import Names
from .examine import Checkpoint, Verdict, compiled, loss, run_test
from .graft import Graft, graft
from .sandbox import fork_on_request, warm
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
            elif role(cell) == "test":
                try:
                    [compiled(part) for part in split_test(cell.source)]
                except SyntaxError as error:
                    raise AssignmentError(f"{assignment.name}: {grade_id(cell)}, line {error.lineno}: {error.msg}; mend it and build again") from None
        self.mistakes = mistakes.load(assignment.mistakes)
        self.secret = frozenset(itertools.chain(*assignment.answer_names.values()))
        self.modules = set(sys.modules)

    def grade(self, submission: bytes, run: Channel, controls: list[socket.socket], kill, limits: isolation.Limits) -> dict:
        """Everything a Result needs but the student's name and the time."""
        grafted = graft(self.assignment, submission)
        runs = _run_cells(_steps(grafted, self.assignment.demonstrations), run, kill, limits)
        verdicts, seconds, names, controls = {}, {}, [], iter(controls)
        for cell in self.assignment.source.cells:
            name = grade_id(cell)
            if role(cell) == "answer":
                names += self.assignment.answer_names[name]
            elif role(cell) == "test":
                start = time.perf_counter()
                verdicts[name] = self._test(cell, names, grafted, runs, Checkpoint(next(controls)), limits)
                seconds[name] = time.perf_counter() - start
        exercises = [self._exercise(e, verdicts, grafted) for e in self.assignment.exercises]
        scores = {n: v.score for n, v in verdicts.items()}
        scores |= {e.name: 0.0 if e.name in grafted.missing else None for e in self.assignment.exercises if e.manual}
        return {"exercises": [vars(e) for e in exercises], "flags": [clean_text(f, 300) for f in grafted.flags], "scores": scores,
                "notebook": self._autograded(grafted, runs, verdicts, exercises, limits), "test_seconds": seconds,
                "cell_seconds": {n: r.seconds for n, r in runs.items()}, "modules": sorted(set(sys.modules) - self.modules)}

    def _test(self, cell, names, grafted, runs, checkpoint, limits) -> Verdict:
        exercise = next(e for e in self.assignment.exercises if grade_id(cell) in e.tests)
        own = [n for a in exercise.answers for n in self.assignment.answer_names[a]] if exercise.name in self.assignment.answer_names else []
        if exercise.answers and all(a in grafted.missing for a in exercise.answers):
            return Verdict(0.0, "missing", message="not answered")
        lost = next((runs[a].lost for a in exercise.answers if runs[a].lost), None)
        if lost and own:
            return loss(lost, "while the cell ran,")
        known = [m for m in self.mistakes if m.exercise == exercise.name]
        lines = {a: (grafted.answers[a] or "").count("\n") + 1 for a in exercise.answers}
        verdict = run_test(cell, names, own, checkpoint, self.shell.user_ns, self.secret, known, lines, limits.test_seconds)
        error = next((runs[a].error for a in exercise.answers if runs[a].error), None)
        if verdict.status == "missing" and error:
            raised = error if hasattr(builtins, error) else "an exception"
            return Verdict(0.0, "error", message=f"the cell raised {raised}, and {verdict.message.replace('the cell', 'it')}")
        return verdict

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
        """The notebook for the human marker: the graft with outputs and scores and, behind a manual answer, the instructor's; no hidden tests."""
        sources = {grade_id(c): c.source for c in self.assignment.source.cells if c.cell_type == "markdown"}
        released = {grade_id(c): c for c in self.assignment.release.cells}
        notebook = nbformat.v4.new_notebook(metadata=dict(self.assignment.release.metadata))
        for cell in grafted.cells:
            if cell.cell_type == "code":
                name = grade_id(cell)
                cell.outputs, cell.execution_count = [], None
                if verdict := verdicts.get(name):
                    cell.source = released[name].source
                    if verdict.message:
                        cell.outputs.append(nbformat.v4.new_output("stream", name="stdout", text=verdict.message + "\n"))
                    cell.outputs.append(nbformat.v4.new_output("execute_result", data={"text/plain": repr(float(verdict.score))}))
                elif ran := runs.get(name):
                    cell.outputs = clean_outputs(ran.outputs, limits.output, IMAGES // len(runs))
                    if ran.lost:
                        text = loss(ran.lost, "This cell was stopped:").message + "\n"
                        cell.outputs.append(nbformat.v4.new_output("stream", name="stdout", text=text))
            notebook.cells.append(cell)
            if role(cell) == "manual" and (told := solution(sources.get(grade_id(cell), ""))):
                text = f"---\n\n#### For the marker: `{grade_id(cell)}`\n\n{told}\n\n---"
                notebook.cells.append(nbformat.v4.new_markdown_cell(text, id=f"rubric-{grade_id(cell)}"[:64], metadata={"autograder": "rubric"}))
        notebook.metadata["autograder"] = about(self.assignment, exercises, [clean_text(f, 300) for f in grafted.flags])
        return nbformat.writes(notebook)


def _steps(grafted: Graft, demonstrations: set[str]) -> list:
    """What the sandbox is to run, with the place of each test cell's checkpoint; see `Session.live`.

    Guarded is what a student wrote, unless it does nothing but define, and what calls it; an untouched answer cell holds the release's own text.
    """
    steps, places, names = [], itertools.count(), Names()
    for cell in grafted.cells:
        name = grade_id(cell)
        if role(cell) == "test":
            steps.append(next(places))
        elif cell.cell_type == "code":
            written = "autograder" in cell.metadata or grafted.answers.get(name) is not None
            steps.append((name, cell.source, not names.adds_only(cell.source) and written or name in demonstrations))
    return steps


def _run_cells(steps, run: Channel, kill, limits) -> dict[str, CellRun]:
    """Have the sandbox run all cells. Whatever it says or fails to say, every cell has a CellRun afterwards."""
    runs = {step[0]: CellRun() for step in steps if type(step) is tuple}
    waiting = dict.fromkeys(runs)
    run.limit = 16 << 20
    try:
        run.send("steps", steps, asdict(limits), deadline=time.monotonic() + limits.cell_seconds)
        for _ in range(2 * len(steps) + 1):
            match run.receive(time.monotonic() + limits.cell_seconds + 5):
                case "end",:
                    return runs
                case "ran", str(name), outputs, str() | None as error, float(seconds) if name in waiting:
                    runs[name] = CellRun(outputs, error, seconds=seconds)
                case "lost", str(name), str(why) if name in runs:
                    runs[name].lost = why                # it may have been lost after it had run
                case _:
                    break
            waiting.pop(name, None)
    except TimeoutError:
        for name in waiting:
            runs[name] = CellRun(lost="timeout")
    except (ConnectionError, values.Malformed):
        pass
    kill()
    for name in waiting:
        runs[name].lost = runs[name].lost or "crashed"
    return runs


def main(control: socket.socket, isolated: bool, name: str, **paths: str):
    """Serve until the grader hangs up. `paths`: where the assignment's `source`, `release` and `mistakes` are."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        judge = Judge(Assignment.load(name, **{part: Path(path) for part, path in paths.items()}))
    except AssignmentError as error:
        control.send(f"refused {error}".encode())
        return
    if isolated:
        isolation.settle_zygote()
    fork_on_request(control, lambda fds: _serve_submission(control, fds, judge))


def _serve_submission(control, fds, judge):
    isolation.die_with_parent()
    socket.send_fds(control, [b"started"], [os.pidfd_open(os.getpid())])
    control.close()
    session, *fds = fds
    talk, run, *controls = [socket.socket(fileno=fd) for fd in fds]
    talk = Channel(talk)
    try:
        _, submission, limits = talk.receive()
        limits = isolation.Limits(**limits)
        isolation.limit_resources(replace(limits, memory=2 * limits.memory, open_files=1024), 3600, processes=False)
        talk.send("result", judge.grade(submission, Channel(run), controls, lambda: signal.pidfd_send_signal(session, signal.SIGKILL), limits))
    except BaseException as error:                   # hostile data found a hole: it costs this submission, and is told
        where = traceback.extract_tb(error.__traceback__)[-1]
        talk.send("result", {"fault": f"{type(error).__name__} in {Path(where.filename).name}, line {where.lineno}"})
