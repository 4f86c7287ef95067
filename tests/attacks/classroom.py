"""Grades the whole suite once, behind the real wall, in one course with honest canaries among the attackers."""
import hashlib
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from autograder.build import build
from autograder.grade import grade
from autograder.isolation import Limits
from autograder.layout import Layout
from autograder.result import Result

from .registry import Entry
from .submission import ASSIGNMENT, ROOT, Submission, right_answers

LIMITS = Limits(cell_seconds=4.0, test_seconds=6.0)
JOBS = 2
CANARIES = ("aa-canary", "canary-a", "forged-canary", "malformed-canary", "patched-canary", "zz-canary")


@dataclass
class Classroom:
    """What a run gave: results by student, and the students on whom the grader itself broke."""
    layout: Layout
    results: dict[str, Result] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def autograded(self, student: str) -> str:
        """The autograded notebook as it lies on disk."""
        path = self.layout.autograded(ASSIGNMENT, student) / f"{ASSIGNMENT}.ipynb"
        return path.read_text() if path.exists() else ""


def open_course(place: Path) -> Layout:
    """A course of its own in `place`, built from the solutions as they are here."""
    for part in ("solutions", "course"):
        shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
    layout = Layout(place)
    build(layout, ASSIGNMENT)
    return layout


def hand_in(layout: Layout, entries: list[Entry]):
    """Write every entry's folder, and the canaries' between them."""
    for entry in entries:
        entry.submission().write(layout.submitted(ASSIGNMENT, entry.id))
    for name in CANARIES:
        Submission(right_answers()).write(layout.submitted(ASSIGNMENT, name))


def grade_all(layout: Layout, students: list[str] | None = None) -> Classroom:
    """Grade everyone. Where the grader itself breaks, find on whom, note it, and go on with the others."""
    room, start = Classroom(layout), time.monotonic()
    waiting = students or sorted(p.name for p in (layout.root / "submitted").iterdir())
    while waiting:
        error = _grade(room, waiting)
        waiting = [s for s in waiting if s not in room.results]
        if error is None:
            break
        for suspect in waiting[:2 * JOBS]:
            if alone := _grade(room, [suspect]):
                room.broken[suspect] = alone
        if not any(s in room.broken for s in waiting[:2 * JOBS]):
            room.broken["unknown, but one of " + ", ".join(waiting[:2 * JOBS])] = error
        waiting = [s for s in waiting[2 * JOBS:] if s not in room.results]
    room.seconds = time.monotonic() - start
    return room


def _grade(room, students) -> str | None:
    try:
        grade(room.layout, ASSIGNMENT, students, limits=LIMITS, jobs=JOBS, graded=lambda result: room.results.update({result.student: result}))
    except Exception as error:
        return f"{type(error).__name__}: {error}"[-1500:]


def digests(*places: Path) -> dict[str, str]:
    """A digest of every plain file under these places; of a link, its target."""
    found = {}
    for place in places:
        for path in sorted(place.rglob("*")):
            if path.is_symlink():
                found[str(path)] = str(path.readlink())
            elif path.is_file():
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
