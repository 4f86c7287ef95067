"""What grading one submission gives: a small frozen vocabulary, and its JSON (schema 1)."""
from dataclasses import asdict, dataclass

SCHEMA = 1
STATUSES = ("passed", "failed", "error", "timeout", "crashed", "missing", "manual")


@dataclass(frozen=True)
class ExerciseResult:
    """One exercise of one submission; `mistake` names the known wrong answer it is, `message` is for the student."""
    name: str
    score: float
    max_score: float
    status: str
    mistake: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Result:
    """One submission's verdict. `notebook` is the autograded notebook as JSON, `scores` each test cell's points by grade_id."""
    student: str
    exercises: tuple[ExerciseResult, ...]
    flags: tuple[str, ...]
    seconds: float
    notebook: str
    scores: dict[str, float | None]

    @classmethod
    def from_judge(cls, student: str, told: dict, seconds: float, flags: tuple[str, ...] = ()) -> "Result":
        return cls(student, tuple(ExerciseResult(**e) for e in told["exercises"]), (*flags, *told["flags"]), seconds, told["notebook"], told["scores"])

    @property
    def score(self) -> float:
        return sum(e.score for e in self.exercises)

    @property
    def max_score(self) -> float:
        return sum(e.max_score for e in self.exercises)

    def json(self) -> dict:
        return {"student": self.student, "score": self.score, "max_score": self.max_score, "seconds": round(self.seconds, 3),
                "flags": list(self.flags), "exercises": [asdict(e) for e in self.exercises]}


def about(assignment, exercises, flags) -> dict:
    """What an autograded notebook's metadata tells of the verdict, for the feedback: outcomes, and the cells that hold each one's points."""
    cells = {e.name: e.tests for e in assignment.exercises}
    return {"flags": list(flags), "exercises": [{"name": e.name, "status": e.status, "message": e.message, "cells": list(cells[e.name])}
                                                for e in exercises]}


def report(assignment: str, results: list[Result]) -> dict:
    """The JSON of a grading run."""
    return {"schema": SCHEMA, "assignment": assignment, "submissions": [r.json() for r in sorted(results, key=lambda r: r.student)]}
