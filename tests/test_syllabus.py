"""Every question and task is covered by an exercise that exists, or declared planned; the syllabus says nothing that is not so."""
import copy

import pytest
import yaml

from autograder import bank
from autograder.assignment import Assignment, grade_id
from autograder.build import source_notebook
from autograder.layout import Layout
from course import syllabus

from .conftest import ROOT

QUESTIONS = {f"I{n:02}" for n in range(1, 32)}
TASKS = {f"T{n:02}" for n in range(1, 12)}


def test_everything_is_covered_or_planned(capsys):
    layout = Layout(ROOT)
    read = syllabus.load()
    questions = set(bank.load(sorted(layout.questions.glob("*.yml"))))
    assert questions == QUESTIONS and set(read.tasks) == TASKS
    exercises = {}
    for name in layout.assignments():
        notebook = source_notebook(name, next(iter(sorted(layout.solution(name).glob("notebook.*")))))
        exercises[name] = [e.name for e in Assignment(name, notebook, notebook).exercises]
        covers = next((a.covers for a in read.assignments if a.name == name), {})
        for cell in notebook.cells:
            if "question" in cell.metadata:
                assert cell.metadata.question in covers.get(grade_id(cell), []), f"{name}: {grade_id(cell)} must cover {cell.metadata.question}"
    problems = read.problems(questions, exercises)
    assert not problems, "\n".join(problems)
    with capsys.disabled():
        print(f"\nplanned: {len(read.planned)} of {len(QUESTIONS | TASKS)}: {', '.join(f'{one} in {name}' for one, name in sorted(read.planned.items()))}")


def small() -> dict:
    """A sound syllabus of two assignments, as its file says it."""
    one = {"title": "One", "requires": [], "hours": 1, "limits": {"seconds": 1, "memory_mb": 512}, "covers": {"add": ["I01", "T01"]}}
    return {"version": 1, "tasks": {"T01": "Add", "T02": "Divide"}, "planned": {"T02": "03-division"},
            "assignments": [one | {"name": "01-sums"}, one | {"name": "02-products", "requires": ["01-sums"], "covers": {"mul": ["I02"]}}]}


KNOWN = {"I01", "I02"}, {"01-sums": ["add"], "02-products": ["mul"]}


def read_back(told, folder) -> syllabus.Syllabus:
    place = folder / "syllabus.yml"
    place.write_text(yaml.safe_dump(told))
    return syllabus.load(place)


def test_a_sound_syllabus_has_no_problem(tmp_path):
    read = read_back(small(), tmp_path)
    assert read.problems(*KNOWN) == []
    assert read.covered() == {"I01": ["01-sums/add"], "T01": ["01-sums/add"], "I02": ["02-products/mul"]}
    assert read.assignments[0].limits == syllabus.Limits(seconds=1, memory_mb=512)


def change(told, *path_and_value):
    *path, key, value = path_and_value
    for step in path:
        told = told[step]
    told[key] = value


@pytest.mark.parametrize("where, says", [
    (("planned", {}), "T02 is neither covered nor planned"),
    (("planned", "I01", "03-division"), "I01 is planned, and covered by 01-sums/add; strike it from planned"),
    (("planned", "T02", "02-products"), "T02 is planned for 02-products, which is there but does not cover it"),
    (("planned", "I09", "03-division"), "I09 is neither a question of the bank nor a task"),
    (("assignments", 0, "covers", {"add": ["I01"]}), "T01 is neither covered nor planned"),
    (("assignments", 0, "covers", "add", ["I01", "T01", "T77"]), "T77 is neither a question of the bank nor a task"),
    (("assignments", 0, "covers", "subtract", ["I01"]), "01-sums has no exercise subtract"),
    (("assignments", 0, "requires", ["02-products"]), "01-sums requires 02-products, which neither comes earlier nor is planned"),
    (("assignments", 0, "requires", ["01-sums"]), "01-sums requires 01-sums, which neither comes earlier nor is planned"),
    (("assignments", 1, "requires", ["00-nowhere"]), "02-products requires 00-nowhere, which neither comes earlier nor is planned"),
])
def test_a_broken_copy_is_told_so(tmp_path, where, says):
    told = copy.deepcopy(small())
    change(told, *where)
    assert read_back(told, tmp_path).problems(*KNOWN) == [says]


def test_a_prerequisite_may_be_planned(tmp_path):
    told = small()
    told["assignments"][0]["requires"] = ["03-division"]
    assert read_back(told, tmp_path).problems(*KNOWN) == []


@pytest.mark.parametrize("exercises, says", [
    ({"01-sums": ["add", "carry"], "02-products": ["mul"]}, "01-sums: its exercise carry covers nothing"),
    ({"01-sums": ["add"]}, "02-products is not in solutions/"),
    ({"01-sums": ["add"], "02-products": ["mul"], "04-roots": ["root"]}, "04-roots is in solutions/, but not in the syllabus"),
    ({"01-sums": [], "02-products": ["mul"]}, "01-sums has no exercise add"),
])
def test_the_syllabus_and_the_notebooks_must_agree(tmp_path, exercises, says):
    assert read_back(small(), tmp_path).problems(KNOWN[0], exercises) == [says]


def test_a_question_that_nobody_covers_is_found(tmp_path):
    assert read_back(small(), tmp_path).problems(KNOWN[0] | {"I03"}, KNOWN[1]) == ["I03 is neither covered nor planned"]


def test_an_assignment_stands_there_once(tmp_path):
    told = small()
    told["assignments"].append(told["assignments"][0])
    assert read_back(told, tmp_path).problems(*KNOWN) == ["01-sums stands in the syllabus twice"]


@pytest.mark.parametrize("where, says", [
    (("version", 2), "version"), (("tasks", "X1", "Odd"), "tasks"), (("assignments", []), "assignments"),
    (("assignments", 0, "covers", "add", []), "assignments/0/covers/add"), (("assignments", 0, "hours", 0), "assignments/0/hours"),
    (("assignments", 0, "limits", {"seconds": 1}), "assignments/0/limits"), (("assignments", 0, "colour", "red"), "assignments/0"),
    (("planned", "T02", 3), "planned/T02"), (("planned", None), "planned"),
])
def test_a_malformed_syllabus_is_refused_in_one_line_that_says_where(tmp_path, where, says):
    told = copy.deepcopy(small())
    change(told, *where)
    with pytest.raises(syllabus.SyllabusError, match=f"syllabus.yml: {says}: ") as error:
        read_back(told, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", [None, "a: [", "a: b: c", b"\xff\xfe\xfd"])
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path, text):
    place = tmp_path / "syllabus.yml"
    if text is not None:
        place.write_bytes(text if type(text) is bytes else text.encode())
    with pytest.raises(syllabus.SyllabusError, match="cannot be read") as error:
        syllabus.load(place)
    assert "\n" not in str(error.value)
