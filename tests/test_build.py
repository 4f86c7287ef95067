"""Building is deterministic and incremental, leaks nothing, and fails without harm."""
import re
import shutil

import nbformat
import pytest

from autograder.assignment import BEGIN_HIDDEN, AssignmentError, grade_id
from autograder.build import build
from autograder.layout import Layout

from .conftest import NAME, ROOT


def contents(layout):
    return {p: p.read_bytes() for part in ("build", "assignments") for p in sorted((layout.root / part).rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", Layout(ROOT).assignments())
def test_the_committed_release_is_what_the_sources_build(name, tmp_path):
    for part in (f"solutions/{name}", "course"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    build(Layout(tmp_path), name)
    assert Layout(ROOT).release(name).read_bytes() == Layout(tmp_path).release(name).read_bytes(), f"stale: run autograder build {name}, and commit"


def test_building_again_changes_no_byte(fresh, tmp_path):
    before = contents(fresh)
    assert build(fresh, NAME) is False and contents(fresh) == before
    (fresh.root / "build" / f"{NAME}.sha256").unlink()
    assert build(fresh, NAME) is True and contents(fresh) == before


def test_a_release_edited_by_hand_is_built_anew(fresh):
    built = fresh.release(NAME).read_bytes()
    fresh.release(NAME).write_bytes(built + b"\n")
    assert build(fresh, NAME) is True and fresh.release(NAME).read_bytes() == built


def test_the_release_holds_no_answer_and_no_hidden_test(assignment, known, right):
    text = "\n".join(c.source for c in assignment.release.cells)
    for secret in ("BEGIN SOLUTION", BEGIN_HIDDEN, "_reference", "exam.", "diagnosis", *[k.diagnosis for k in known if k.diagnosis]):
        assert secret not in text
    for source in right.values():
        body = source.split("### BEGIN SOLUTION")[1].split("### END SOLUTION")[0]
        assert "".join(body.split()) not in "".join(text.split())


def test_ids_are_the_exercises_names(assignment):
    names = [e.name for e in assignment.exercises]
    assert [n for n in names if n in ("threshold_prune", "magnitude_mask", "masked_train_step")] == ["threshold_prune", "magnitude_mask", "masked_train_step"]
    assert [e.tests for e in assignment.exercises] == [(name if name.startswith("interview_") else f"test_{name}",) for name in names]
    ids = [c.id for c in assignment.source.cells]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[\w-]{1,64}", i) for i in ids)


def test_several_tests_of_one_answer_are_numbered(fresh):
    path = fresh.solution(NAME) / "notebook.py"
    path.write_text(path.read_text() + '\n# %% test="magnitude_mask" points=1\nassert True\n')
    build(fresh, NAME)
    exercise = next(e for e in fresh.load(NAME).exercises if e.name == "magnitude_mask")
    assert (exercise.tests, exercise.points) == (("test_magnitude_mask", "test_magnitude_mask_2"), 5.0)


@pytest.mark.parametrize("damage, says", [
    ('\n# %% test="nothing_such" points=1\nassert True\n', "no answer cell"),
    ('\n# %% answer="not a name"\npass\n', "no name for an exercise"),
    (f'\n# %% test="magnitude_mask"\n{BEGIN_HIDDEN}\nassert True\n', "END HIDDEN"),
    ("\n# %%\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n", "nbgrader could not make the release"),
])
def test_a_failed_build_says_why_and_changes_nothing(fresh, damage, says):
    before = contents(fresh)
    path = fresh.solution(NAME) / "notebook.py"
    path.write_text(path.read_text() + damage)
    with pytest.raises(AssignmentError, match=says):
        build(fresh, NAME)
    assert contents(fresh) == before


def test_a_notebook_with_nbgraders_own_metadata_is_left_as_it_is(tmp_path):
    layout = Layout(tmp_path)
    notebook = nbformat.v4.new_notebook()
    meta = {"schema_version": 3, "locked": False, "task": False}
    notebook.cells = [
        nbformat.v4.new_code_cell("### BEGIN SOLUTION\nx = 2\n### END SOLUTION", metadata={"nbgrader": meta | {"grade_id": "cell-1", "grade": False, "solution": True}}),
        nbformat.v4.new_code_cell("assert x == 2", metadata={"nbgrader": meta | {"grade_id": "cell-2", "grade": True, "solution": False, "locked": True, "points": 3}})]
    layout.solution("plain").mkdir(parents=True)
    nbformat.write(notebook, layout.solution("plain") / "notebook.ipynb")
    build(layout, "plain")
    assignment = layout.load("plain")
    assert [(e.name, e.points, e.answers) for e in assignment.exercises] == [("cell-2", 3.0, ("cell-1",))]
    assert [grade_id(c) for c in assignment.release.cells] == ["cell-1", "cell-2"]
