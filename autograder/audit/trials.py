"""Trials: answers whose outcome the audit knows or wants to know, and their grading by several threads.

A trial answers one exercise. Those of different exercises share a submission, as no answer can cost another exercise anything.
Does not judge the outcomes.
"""
import ast
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace

import nbformat

from ..assignment import BEGIN_HIDDEN, Assignment, Exercise, grade_id, role
from ..grader import FAULT, Grader, GraderError
from ..isolation import Limits
from ..mistakes import KnownAnswer
from .generic import KINDS
from .lint import is_check
from .mutants import mutants

PATIENCE, SLACK = 2.0, 4                             # seconds that a mutant may take, and so many times the reference's own time


@dataclass(frozen=True)
class Trial:
    """`kind`: alone, empty, generic, mistake, alternative or mutant; `label` says which one; `answers` are cells by grade_id.

    One that has a submission to itself may answer no exercise (None) or all.
    """
    kind: str
    label: str
    exercise: str | None
    answers: dict[str, str]
    by_itself: bool = False


class Trials:
    """Makes the trials of one assignment and grades them."""

    def __init__(self, assignment: Assignment, known: list[KnownAnswer]):
        self.assignment, self.known = assignment, known
        self.right = {grade_id(c): c.source for c in assignment.source.cells if grade_id(c) in assignment.answer_names}
        self.exercises = [e for e in assignment.exercises if not e.manual]

    def own(self, exercise: Exercise) -> dict[str, str]:
        return {answer: self.right[answer] for answer in exercise.answers if answer in self.right}

    def alone(self):
        """Nothing answered; each exercise answered rightly with all others missing."""
        yield Trial("empty", "", None, {}, by_itself=True)
        for exercise in self.exercises:
            yield Trial("alone", "", exercise.name, self.own(exercise), by_itself=True)

    def generic(self):
        """Every exercise answered by the same generic answer at once; one of them may cost another nothing."""
        for kind in (*KINDS, *(f"raises {name}" for name in self._raised())):
            checks = {a for e in self.exercises if is_check(self.assignment, e) for a in e.answers}
            answers = {}
            for answer, source in self.right.items():
                if answer in checks and kind == "random values":
                    continue                         # a few letters may be right by chance
                names = self.assignment.answer_names[answer]
                lines = [source, "from autograder.audit.generic import generic as _generic", *(f"{n} = _generic({kind!r}, {n})" for n in names)]
                answers[answer] = "\n".join(lines)
            yield Trial("generic", kind, None, answers, by_itself=True)

    def _raised(self) -> list[str]:
        """The exceptions that references raise by name, and ValueError."""
        nodes = [node for source in self.right.values() for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise)]
        names = [getattr(getattr(n.exc, "func", n.exc), "id", "") for n in nodes]
        builtin = vars(__import__("builtins"))
        return sorted({"ValueError", *(n for n in names if isinstance(builtin.get(n), type))})

    def known_answers(self):
        for one in self.known:
            names = self.assignment.answer_names.get(one.exercise)
            if names is not None:
                yield Trial("mistake" if one.diagnosis else "alternative", one.name, one.exercise, {one.exercise: one.cell(names)})

    def mutants(self, exercise: Exercise):
        own = self.own(exercise)
        for answer, source in own.items():
            for mutant in mutants(source):
                yield Trial("mutant", mutant.diff, exercise.name, own | {answer: mutant.source})

    def notebook(self, answers: dict[str, str]) -> bytes:
        """The release with these answers in it."""
        notebook = nbformat.from_dict(self.assignment.release)
        for cell in notebook.cells:
            cell.source = answers.get(grade_id(cell), cell.source)
        return nbformat.writes(notebook).encode()

    def grade(self, grader: Grader, trials: list[Trial], seconds: dict[str, float], graded=lambda: None) -> list[tuple[Trial, dict]]:
        """Each trial with its exercises' results by name, in the order of `trials`; `seconds` are what each exercise's reference takes.

        An exercise has no result where grading had to be stopped. Calls `graded` for each trial.
        """
        pool, found = ThreadPoolExecutor(os.cpu_count() or 1), {}
        try:
            for future in as_completed([pool.submit(self._grade, grader, shared, seconds) for shared in submissions(trials)]):
                for trial, told in future.result():
                    found[id(trial)] = told
                    graded()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return [(trial, found[id(trial)]) for trial in trials]

    def _grade(self, grader, shared, seconds) -> list[tuple[Trial, dict]]:
        limits = grader.limits
        if all(trial.kind == "mutant" for trial in shared):
            limits = quick(limits, max(seconds.get(trial.exercise, 0.0) for trial in shared))
        told = grader.ask(self.notebook({name: source for trial in shared for name, source in trial.answers.items()}), limits)
        if told is None and len(shared) > 1:            # stopped as a whole: which of them was to blame?
            return [one for trial in shared for one in self._grade(grader, [trial], seconds)]
        return [(trial, results(told)) for trial in shared]


def submissions(trials: list[Trial]) -> list[list[Trial]]:
    """The trials that share a submission: the first of each exercise, the second of each, and so on."""
    apart, ranks, shared = [], Counter(), {}
    for trial in trials:
        if trial.by_itself:
            apart.append([trial])
        else:
            shared.setdefault(ranks[trial.exercise], []).append(trial)
            ranks[trial.exercise] += 1
    return [*apart, *shared.values()]


def without_visible_asserts(source: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The instructor's notebook with nothing asserted in the visible parts, which would hide a weak group of the hidden one."""
    notebook = nbformat.from_dict(source)
    for cell in notebook.cells:
        if role(cell) == "test":
            visible, marker, hidden = cell.source.partition(BEGIN_HIDDEN)
            cell.source = ast.unparse(_Unassert().visit(ast.parse(visible))) + "\n" + marker + hidden
    return notebook


class _Unassert(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()

    def visit_FunctionDef(self, node):
        return node


def quick(limits: Limits, seconds: float) -> Limits:
    """Limits for a mutant, which may loop for ever."""
    most = PATIENCE + SLACK * seconds
    return replace(limits, cell_seconds=min(limits.cell_seconds, most), test_seconds=min(limits.test_seconds, most))


def results(told: dict | None) -> dict:
    """The results of a verdict's exercises by name; raises GraderError if the grader itself failed."""
    if told and "fault" in told:
        raise GraderError(f"{FAULT}: {told['fault']}")
    return {e["name"]: e for e in told["exercises"]} if told else {}
