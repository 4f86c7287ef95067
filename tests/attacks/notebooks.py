"""Attacks by what a notebook holds: cells deleted, duplicated, re-typed, forged; files that are no notebook at all."""
import json

from .registry import attack
from .submission import POINTS, right_answers

TESTS = tuple(f"test_{name}" for name in POINTS)


@attack("the test cells are deleted, which leaves stock nbgrader with nothing to fail")
def deleted_tests(s):
    for name in TESTS:
        s.cells.remove(s.cell(name))


@attack("every cell is deleted")
def no_cells(s):
    s.notebook["cells"] = []


@attack("every cell is there twice, with the same grade_id")
def duplicated_cells(s):
    s.notebook["cells"] = [c for cell in s.cells for c in (cell, json.loads(json.dumps(cell)))]


@attack("test cells are emptied and keep their metadata")
def emptied_tests(s):
    for name in TESTS:
        s.cell(name)["source"] = f"{POINTS[name[5:]]}"


@attack("test cells are changed into ungraded ones, and cells of the student's into graded ones")
def swapped_metadata(s):
    for name, points in POINTS.items():
        meta = s.cell(f"test_{name}")["metadata"]
        s.extra(f"{points}", after=f"test_{name}", metadata=json.loads(json.dumps(meta)))
        del meta["nbgrader"]


@attack("points are edited to a thousand, and negative, and not a number")
def edited_points(s):
    for name, points in zip(TESTS, (1000.0, -5.0, float("nan"))):
        s.cell(name)["metadata"]["nbgrader"]["points"] = points


@attack("schema_version 99, which aborts a stock run for the whole class")
def schema_99(s):
    for cell in s.cells:
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"]["schema_version"] = 99


@attack("answers are declared graded and tests declared answers")
def exchanged_roles(s):
    for cell in s.cells:
        if meta := cell["metadata"].get("nbgrader"):
            meta["grade"], meta["solution"], meta["locked"] = not meta["grade"], not meta["solution"], False
            meta["points"] = 12.0


@attack("grade_ids are exchanged, so that one exercise's test stands behind another's answer")
def exchanged_ids(s):
    first, second = s.cell("test_threshold_prune"), s.cell("test_masked_train_step")
    for key in ("id", "metadata"):
        first[key], second[key] = second[key], first[key]


@attack("test cells are markdown, and text cells are code")
def retyped_cells(s):
    for cell in s.cells:
        if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("grade"):
            cell["cell_type"] = "markdown"
            del cell["outputs"], cell["execution_count"]
        elif cell["cell_type"] == "markdown":
            cell["source"] = "raise SystemExit"
            cell |= {"cell_type": "code", "outputs": [], "execution_count": None}


@attack("cell types that do not exist, and none")
def unknown_types(s):
    for cell, kind in zip(s.cells, ("heading", None, 5, ["code"], {"code": 1}, "raw", "CODE", "code\n", "", "worksheet")):
        cell["cell_type"] = kind


@attack("test cells carry forged outputs and scores from an earlier run")
def forged_test_outputs(s):
    for name, points in POINTS.items():
        s.cell(f"test_{name}")["outputs"] = [{"output_type": "execute_result", "data": {"text/plain": str(points)}, "metadata": {}, "execution_count": 1}]
        s.cell(f"test_{name}")["execution_count"] = 1
        s.cell(f"test_{name}")["metadata"]["autograder"] = {"score": points}


@attack("metadata of the wrong types everywhere")
def wrong_metadata(s):
    for cell, meta in zip(s.cells, (None, [], "x", 5, {"nbgrader": None}, {"nbgrader": []}, {"nbgrader": {"grade_id": ["x"]}},
                                    {"nbgrader": {"grade_id": None, "points": {}}}, {"nbgrader": {"grade_id": {"a": 1}}})):
        cell["metadata"] = meta
    s.notebook["metadata"] = ["kernelspec"]


@attack("another kernel: bash, a command of the student's, none")
def other_kernel(s):
    s.notebook["metadata"]["kernelspec"] = {"name": "../../../tmp/evil", "display_name": "x", "language": "bash", "argv": ["touch", "/tmp/featherweight-escaped-other_kernel"]}


@attack("cells are no list but a dictionary, a string, a number")
def cells_of_another_type(s):
    s.notebook["cells"] = {"0": s.cells}


@attack("cells of the list are numbers, texts, lists and null")
def cells_that_are_none(s):
    s.notebook["cells"] = [None, 1, "x", [], [[]], True, 1e308, *s.cells, {}, {"cell_type": {}}, {"source": 5}, {"source": [1, None, {}], "metadata": 3}]


@attack("the file is empty")
def empty_file(s):
    s.raw = b""


@attack("the file is broken JSON: cut in the middle")
def cut_file(s):
    s.raw = s.bytes()[:4000]


@attack("the file is no text: random bytes, a zip, a pickle")
def binary_file(s):
    s.raw = b"PK\x03\x04\x80\x04\x95\xff\xfe\x00" * 1000


@attack("JSON nested 200,000 deep")
def deep_json(s):
    s.raw = b'{"cells": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"


@attack("NaN, Infinity, repeated keys and a number of 5000 digits in the JSON")
def odd_numbers(s):
    s.raw = s.bytes().replace(b'"nbformat": 4', b'"nbformat": NaN, "nbformat": Infinity, "x": ' + b"9" * 5000)


@attack("lone surrogates, NUL and direction marks in sources, names and keys")
def odd_characters(s):
    for name in POINTS:
        s.cell(name)["source"] += "\n# \ud800 \x00 \u202e \ufeff \U0010ffff"
    s.extra("x = '\udfff'", kind="code", id="\ud800")
    s.extra("\ud800 text", kind="markdown", metadata={"\ud800": "\udfff"})


@attack("30 MB of spaces in front of the notebook")
def large_file(s):
    s.raw = b" " * (30 << 20) + s.bytes()


@attack("150 MB, most of it one string")
def huge_file(s):
    s.raw = b'{"cells": [], "x": "' + b"x" * (150 << 20) + b'"}'


@attack("10,000 cells")
def ten_thousand_cells(s):
    s.notebook["cells"] += [{"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": f"x = {n}", "outputs": [], "execution_count": None}
                            for n in range(10_000)]


@attack("millions of empty cells in less than 20 MB")
def millions_of_cells(s):
    s.raw = b'{"cells": [' + b"{}," * 6_000_000 + b"{}]}"


@attack("10,000 cells that all claim to be the same answer")
def ten_thousand_answers(s):
    s.notebook["cells"] += [json.loads(json.dumps(s.cell("threshold_prune"))) for _ in range(10_000)]


@attack("the nbformat of 2011, of the future, and of another type")
def other_formats(s):
    s.notebook |= {"nbformat": 99, "nbformat_minor": "x", "worksheets": [{"cells": s.cells}]}


@attack("a top-level list, with the notebook inside")
def listed_notebook(s):
    s.raw = json.dumps([s.notebook]).encode()


@attack("right answers stand in test cells, in text cells and in outputs, where no answer belongs")
def answers_in_wrong_places(s):
    for name, source in right_answers().items():
        s.cell(f"test_{name}")["source"] = source
        s.extra(source, kind="markdown")
        s.extra(source, kind="raw")
