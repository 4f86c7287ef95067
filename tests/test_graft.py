"""The graft takes answers from a submission, and nothing else can reach grading."""
import json

import pytest

from autograder.assignment import grade_id
from autograder.graft import graft


@pytest.fixture
def notebook(assignment):
    """The released notebook as JSON, to tamper with."""
    return json.loads(json.dumps(assignment.release))


def cell(notebook, name):
    return next(c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == name)


def grafted(assignment, notebook):
    return graft(assignment, json.dumps(notebook).encode())


def sources(result):
    return [c.source for c in result.cells]


def test_every_cell_but_the_answers_is_the_instructors(assignment, notebook, editable):
    for one in notebook["cells"]:
        one["source"] = "evil()"
        one["metadata"].get("nbgrader", {}).update(points=99, schema_version=99, locked=False, grade=False, solution=True)
    result = grafted(assignment, notebook)
    for mine, theirs in zip(result.cells, assignment.source.cells):
        assert mine.metadata == theirs.metadata and mine.cell_type == theirs.cell_type
        assert mine.source == ("evil()" if grade_id(mine) in editable else theirs.source)


def test_answers_are_found_by_grade_id_then_id_then_content(assignment, notebook):
    source = "def magnitude_mask(w, s):\n    return 1"
    answer = cell(notebook, "magnitude_mask")
    answer["source"] = source
    assert grafted(assignment, notebook).answers["magnitude_mask"] == source
    answer["metadata"] = {}
    assert grafted(assignment, notebook).answers["magnitude_mask"] == source
    for one in notebook["cells"]:
        one["metadata"] = {}
        one.pop("id")
    assert grafted(assignment, notebook).answers["magnitude_mask"] == source


def test_the_last_answer_that_is_not_empty_counts_and_is_flagged(assignment, notebook):
    first = cell(notebook, "magnitude_mask")
    first["source"] = "magnitude_mask = 1"
    at = notebook["cells"].index(first)
    notebook["cells"][at + 1:at + 1] = [first | {"source": "magnitude_mask = 2"}, first | {"source": "  "}]
    result = grafted(assignment, notebook)
    assert result.answers["magnitude_mask"] == "magnitude_mask = 2"
    assert any("3 answer cells" in flag for flag in result.flags)


def test_an_untouched_notebook_answers_nothing(assignment, notebook, editable):
    result = grafted(assignment, notebook)
    assert result.missing == editable and not result.flags


def test_extra_cells_stay_in_place_and_are_marked(assignment, notebook):
    at = notebook["cells"].index(cell(notebook, "threshold_prune"))
    notebook["cells"].insert(at + 1, {"cell_type": "code", "source": "mine = 1", "metadata": {"nbgrader": {"grade_id": "x", "grade": True}}})
    result = grafted(assignment, notebook)
    place = sources(result).index("mine = 1")
    assert grade_id(result.cells[place - 1]) == "threshold_prune" and "nbgrader" not in result.cells[place].metadata


def test_an_answer_given_in_a_scratch_cell_is_not_missing(assignment, notebook):
    at = notebook["cells"].index(cell(notebook, "threshold_prune"))
    notebook["cells"].insert(at + 1, {"cell_type": "code", "source": "def threshold_prune(w, t): return w, w", "metadata": {}})
    assert "threshold_prune" not in grafted(assignment, notebook).missing


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b'{"cells": 3}', b'{"cells": [1, null, "x", []]}', b"\xff\xfe", b"[" * 100_000,
                                    b'{"cells": [{"cell_type": {}, "source": {"a": 1}, "metadata": [], "id": 3}]}', b"x" * (21 << 20),
                                    b'{"cells": [{"cell_type": "code", "source": ["a", 1, null], "metadata": {"nbgrader": 7}}]}'])
def test_no_damage_can_stop_a_graft(assignment, damage, editable):
    result = graft(assignment, damage)
    assert result.missing == editable
    assert [grade_id(c) for c in result.cells if "autograder" not in c.metadata] == [grade_id(c) for c in assignment.source.cells]


def test_deleted_and_retyped_cells_change_nothing(assignment, notebook):
    notebook["cells"] = [c for c in notebook["cells"] if not c["metadata"].get("nbgrader", {}).get("grade")]
    for one in notebook["cells"]:
        one["cell_type"] = "raw"
    cell(notebook, "magnitude_mask")["source"] = "magnitude_mask = 5"
    result = grafted(assignment, notebook)
    assert [c.cell_type for c in result.cells] == [c.cell_type for c in assignment.source.cells]
    assert result.answers["magnitude_mask"] == "magnitude_mask = 5" and any("missing" in flag for flag in result.flags)
