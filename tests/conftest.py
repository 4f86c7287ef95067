"""Shared fixtures: a built copy of the course, and a warm grader of the real notebook behind the real wall."""
import shutil
from pathlib import Path

import nbformat
import pytest

from autograder import mistakes
from autograder.assignment import grade_id, role, without_markers
from autograder.build import build, source_notebook
from autograder.grader import Grader
from autograder.layout import Layout

from .trimmed import trim

ROOT = Path(__file__).resolve().parent.parent
NAME = "01-magnitude-pruning"
KEPT = {"threshold_prune", "magnitude_mask", "global_masks", "masked_train_step", "pruning_families", "I26", "I04"}       # enough for tests of the kit


def copy_course(place: Path, kept: set[str] | None = KEPT) -> Layout:
    """The course with one assignment, trimmed unless `kept` is None, without its working folders, built, in a folder of its own."""
    for part in (f"solutions/{NAME}", "course"):
        shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "nbgrader_config.py", place)
    layout = Layout(place)
    if kept:
        trim(layout, NAME, kept)
    build(layout, NAME)
    return layout


def reference_source(name: str, *exercises: str) -> str:
    """The first setup cell of an assignment of the course and its reference answers to these exercises, as one program."""
    cells = source_notebook(name, ROOT / "solutions" / name / "notebook.py").cells
    setup = next(cell.source for cell in cells if cell.cell_type == "code" and role(cell) == "setup")
    return "\n\n".join([setup, *(without_markers(cell.source) for cell in cells if role(cell) == "answer" and grade_id(cell) in exercises)])


@pytest.fixture(scope="session")
def layout(tmp_path_factory) -> Layout:
    return copy_course(tmp_path_factory.mktemp("course"))


@pytest.fixture
def fresh(tmp_path, layout) -> Layout:
    """A course of the test's own, to write into."""
    return Layout(shutil.copytree(layout.root, tmp_path, dirs_exist_ok=True))


@pytest.fixture(scope="session")
def assignment(layout):
    return layout.load(NAME)


@pytest.fixture(scope="session")
def full(assignment) -> float:
    """The points that a machine gives to a submission without a fault: all but those of free text."""
    return sum(e.points for e in assignment.exercises if not e.manual)


@pytest.fixture(scope="session")
def editable(assignment) -> set[str]:
    """The cells that a student fills in."""
    return set(assignment.answer_names) | {e.name for e in assignment.exercises if e.manual}


@pytest.fixture(scope="session")
def grader(layout, assignment):
    with Grader(layout.root, assignment, layout.paths(NAME)) as warm:
        yield warm


@pytest.fixture(scope="session")
def right(assignment) -> dict[str, str]:
    """The reference's answer cells, by exercise."""
    return {grade_id(c): c.source for c in assignment.source.cells if grade_id(c) in assignment.answer_names}


@pytest.fixture(scope="session")
def known():
    """Every known answer of the notebook: wrong ones have a diagnosis."""
    folder = ROOT / "solutions" / NAME
    return mistakes.load(folder / "mistakes.py") + mistakes.load(folder / "alternatives.py")


@pytest.fixture(scope="session")
def hand_in(assignment):
    """Make a submission: the release notebook with these answers, and these extra cells behind named ones."""
    def make(answers: dict[str, str], extra: dict[str, str] = {}) -> bytes:
        notebook = nbformat.from_dict(assignment.release)
        cells = []
        for cell in notebook.cells:
            cell.source = answers.get(grade_id(cell), cell.source)
            cells.append(cell)
            if grade_id(cell) in extra:
                cells.append(nbformat.v4.new_code_cell(extra[grade_id(cell)]))
        notebook.cells = cells
        return nbformat.writes(notebook).encode()
    return make


def graded(result) -> list:
    """The exercises of a result that a machine grades."""
    return [e for e in result.exercises if not e.name.startswith("interview_")]


def outcome(result, exercise):
    """One exercise of a result."""
    return next(e for e in result.exercises if e.name == exercise)
