"""Concept cells: right answers earn their points, every wrong one gets its diagnosis, and only the marker sees rubric and model answer."""
import json
import tempfile
from pathlib import Path

import nbformat
import pytest
import yaml

from autograder import questions
from autograder.assignment import AssignmentError, grade_id
from autograder.build import build
from autograder.cli import main
from autograder.examine import run_cell
from autograder.grader import Grader
from autograder.layout import Layout

from .conftest import ROOT, outcome
from .test_nbgrader import nbgrader, scores

QUIZ = "quiz"
QUESTION = {
    "id": "Q7", "topic": "geometry", "level": "foundation",
    "question": {"en": "What is a prism, and what is its volume?", "zh": "什么是棱柱？它的体积怎么计算？"},
    "rubric": [{"points": 1, "text": "two congruent parallel faces"}, {"points": 2, "text": "base area times height"}, {"points": 1, "text": "an example"}],
    "answer": "A solid with two congruent parallel polygons as bases. Its volume is base area times height.",
    "sources": ["Euclid, Elements, book 11, definition 13"],
    "misconceptions": [{"id": "cone-volume", "claim": "Its volume is a third of base times height.", "why": "That third belongs to pyramids and cones."},
                       {"id": "always-right", "claim": "Its side faces are always rectangles.", "why": "Only in a right prism; else they are parallelograms."}],
    "checks": [
        {"name": "prisms", "kind": "choice", "ask": "What is true of every prism?", "options": [
            {"misconception": "cone-volume"}, {"text": "It has two parallel faces.", "right": True, "why": "The bases are parallel."},
            {"misconception": "always-right"}, {"text": "Its bases are congruent.", "right": True, "why": "One base is the other, moved."},
            {"text": "It has 8 corners.", "right": False, "why": "Only if its base has four."}]},
        {"name": "volume", "kind": "number", "ask": "A prism with a base of {a} cm² is {h} cm high. Its volume in cm³?",
         "numbers": {"a": [2, 9, 1], "h": [0.5, 2.5, 0.25]}, "answer": "a * h", "rtol": 0.01, "why": "Multiply {a} by {h}.",
         "wrong": [{"id": "a_third", "answer": "a * h / 3", "why": "That is the pyramid."}, {"id": "sum_not_product", "answer": "a + h", "why": "You added."}]},
        {"name": "edges", "kind": "number", "ask": "How many edges has a cube?", "answer": "12", "rtol": 0, "why": "Count 4 + 4 + 4.",
         "wrong": [{"id": "its_faces", "answer": "6", "why": "A cube has 6 faces."}]},
    ]}
NOTEBOOK = '''# %%
import math

# %% check="prisms" points=2

# %% check="volume" points=1.5

# %% check="edges"

# %% [markdown] interview="Q7" points=8
'''


def make_course(place: Path) -> Layout:
    layout = Layout(place)
    layout.questions.mkdir(parents=True)
    layout.solution(QUIZ).mkdir(parents=True)
    write_bank(layout, QUESTION)
    (layout.solution(QUIZ) / "notebook.py").write_text(NOTEBOOK)
    (layout.root / "course" / "open.txt").write_text("what students may read")
    (place / "nbgrader_config.py").write_text((ROOT / "nbgrader_config.py").read_text())
    build(layout, QUIZ)
    return layout


def write_bank(layout, question):
    (layout.questions / f"{question['id']}.yml").write_text(yaml.safe_dump(question, allow_unicode=True))


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return make_course(tmp_path_factory.mktemp("geometry"))


@pytest.fixture(scope="module")
def quiz(course):
    return course.load(QUIZ)


@pytest.fixture(scope="module")
def quizmaster(course, quiz):
    with Grader(course.root, quiz, course.paths(QUIZ)) as warm:
        yield warm


@pytest.fixture(scope="module")
def right(quiz):
    return {grade_id(c): c.source for c in quiz.source.cells if grade_id(c) in quiz.answer_names}


def hand_in(quiz, answers) -> bytes:
    notebook = nbformat.from_dict(quiz.release)
    for cell in notebook.cells:
        cell.source = answers.get(grade_id(cell), cell.source)
    return nbformat.writes(notebook).encode()


def in_a_plain_kernel(quiz, name, cell, capsys):
    """Score and printed text of a check's test cell, run as stock nbgrader runs it."""
    scope = {}
    test = next(c for c in quiz.source.cells if grade_id(c) == f"test_{name}")
    try:
        exec(cell, scope)
        capsys.readouterr()
        return run_cell(test.source, scope), capsys.readouterr().out
    except Exception as error:
        return 0.0, type(error).__name__


def test_a_check_becomes_statement_answer_and_test(quiz):
    assert [(e.name, e.points, e.manual) for e in quiz.exercises] == [
        ("prisms", 2.0, False), ("volume", 1.5, False), ("edges", 1.0, False), ("interview_Q7", 8.0, True)]
    stubs = {grade_id(c): c.source for c in quiz.release.cells if grade_id(c) in quiz.answer_names}
    assert {name: source.split("  #")[0] for name, source in stubs.items()} == {"prisms": "prisms = set()", "volume": "volume = None", "edges": "edges = None"}
    shown = "\n".join(c.source for c in quiz.release.cells)
    assert "- **e** · It has 8 corners." in shown and "什么是棱柱" in shown and "{a}" not in shown and "at most 1 % of it" in shown


def test_every_right_form_earns_full_points_everywhere(course, quiz, quizmaster, right, capsys):
    forms = [k for k in questions.check_answers(course, QUIZ) if k.diagnosis is None]
    assert {k.exercise for k in forms} == set(right)
    forms = [(k.exercise, k.cell([k.exercise])) for k in forms] + [
        ("prisms", "prisms = ('B', 'd')"), ("prisms", "prisms = 'db'"), ("prisms", "prisms = frozenset({'d', 'b'})"),
        ("volume", "import numpy as np\nvolume = np.float32(volume := %s)" % right["volume"].split("\n")[1].split(" = ")[1]),
        ("edges", "import numpy as np\nedges = np.array(12)")]
    for name, cell in forms:
        result = quizmaster.verdict("right", hand_in(quiz, right | {name: cell}))
        assert [e.status for e in result.exercises] == ["passed", "passed", "passed", "missing"], (cell, outcome(result, name).message)
        assert in_a_plain_kernel(quiz, name, cell, capsys) == (outcome(result, name).max_score, "")


def test_every_wrong_answer_fails_with_its_own_diagnosis_everywhere(course, quiz, quizmaster, right, capsys):
    wrong = [k for k in questions.check_answers(course, QUIZ) if k.diagnosis]
    assert sorted(k.name for k in wrong) == sorted(["cone-volume", "misses_b", "always-right", "misses_d", "picks_e", "a_third", "sum_not_product", "its_faces"])
    for known in wrong:
        cell = known.cell([known.exercise])
        result = quizmaster.verdict("wrong", hand_in(quiz, right | {known.exercise: cell}))
        found = outcome(result, known.exercise)
        assert (found.score, found.status, found.mistake, found.message) == (0, "failed", known.name, known.diagnosis)
        assert all(e.status == "passed" for e in result.exercises if e.name not in (known.exercise, "interview_Q7"))
        assert in_a_plain_kernel(quiz, known.exercise, cell, capsys) == (0.0, known.diagnosis + "\n")


def test_the_first_wrong_pick_is_told_before_a_missed_one(quiz, quizmaster, right):
    for answer, mistake in (({"c", "e"}, "always-right"), ({"b", "c", "d", "e"}, "always-right"), ({"d"}, "misses_b"), ({"a", "b", "c", "d", "e"}, "cone-volume")):
        found = outcome(quizmaster.verdict("several", hand_in(quiz, right | {"prisms": f"prisms = {answer}"})), "prisms")
        assert (found.score, found.mistake) == (0, mistake)


def test_an_unknown_wrong_number_is_told_how_to_derive_it(quiz, quizmaster, right):
    found = outcome(quizmaster.verdict("unknown", hand_in(quiz, right | {"edges": "edges = 13"})), "edges")
    assert (found.score, found.mistake, found.message) == (0, None, "Count 4 + 4 + 4.")


LIAR = "type('Liar', (%s,), {'__eq__': lambda s, o: True, '__ne__': lambda s, o: False, '__hash__': lambda s: 0, '__abs__': lambda s: 0.0, " \
       "'__float__': lambda s: 12.0, '__sub__': lambda s, o: 0.0, '__rsub__': lambda s, o: 0.0, '__le__': lambda s, o: True})(%s)"
JUNK = ["None", "float('nan')", "float('inf')", "True", "0", "1", "-1.0", "''", "set()", "[]", "{}", "{'z'}", "'abcde'", "['b', 'd', 'z']", "{'b': 1, 'd': 2}",
        "b'bd'", "12 + 0j", "'12'", "[12]", "lambda: 12", "iter('bd')", "[['b', 'd']]", LIAR % ("object", ""), LIAR % ("float", "3.0"), LIAR % ("set", "['a']"),
        LIAR % ("str", "'a'")]


@pytest.mark.parametrize("junk", JUNK)
def test_junk_earns_nothing(quiz, quizmaster, junk, capsys):
    answers = {name: f"{name} = {junk}" for name in quiz.answer_names}
    result = quizmaster.verdict("junk", hand_in(quiz, answers))
    assert [e.score for e in result.exercises] == [0, 0, 0, 0], [(e.name, e.message) for e in result.exercises]
    assert [in_a_plain_kernel(quiz, name, cell, capsys)[0] for name, cell in answers.items()] == [0, 0, 0]


def test_untouched_earns_nothing_and_is_said_to_be_missing(quiz, quizmaster, capsys):
    result = quizmaster.verdict("untouched", hand_in(quiz, {}))
    assert [(e.score, e.status) for e in result.exercises] == [(0, "missing")] * 4
    for cell in quiz.release.cells:
        if grade_id(cell) in quiz.answer_names:
            assert in_a_plain_kernel(quiz, grade_id(cell), cell.source, capsys)[0] == 0


def test_the_release_holds_nothing_of_what_is_right(course, quiz, right):
    text = course.release(QUIZ).read_text()
    told = [o["why"] for c in QUESTION["checks"] for o in [c, *c.get("options", []), *c.get("wrong", [])] if "why" in o]
    told += [m["why"] for m in QUESTION["misconceptions"]] + [r["text"] for r in QUESTION["rubric"]] + [QUESTION["answer"], QUESTION["sources"][0]]
    told += ["cone-volume", "a_third", "misses_", "picks_", "Rubric", "Model answer", "exam."]
    for secret in [*told, *(s.split("\n")[1] for s in right.values())]:
        assert secret not in text and json.dumps(secret)[1:-1] not in text, secret
        assert json.dumps(secret)[1:-1] in course.source(QUIZ).read_text() or "{" in secret


def test_the_same_sources_build_the_same_bytes(course, tmp_path):
    other = make_course(tmp_path)
    assert (other.source(QUIZ).read_bytes(), other.release(QUIZ).read_bytes()) == (course.source(QUIZ).read_bytes(), course.release(QUIZ).read_bytes())
    assert build(other, QUIZ) is False


def test_a_changed_question_is_built_anew_and_an_unused_one_is_not(tmp_path):
    layout = make_course(tmp_path)
    write_bank(layout, QUESTION | {"id": "Q8", "checks": []})
    assert build(layout, QUIZ) is False
    write_bank(layout, QUESTION | {"answer": "Another model answer."})
    assert build(layout, QUIZ) is True and "Another model answer." in layout.source(QUIZ).read_text()


@pytest.mark.parametrize("line, says", [
    ('# %% check="pyramids" points=1', "no check 'pyramids'"),
    ('# %% [markdown] interview="Q9" points=1', "no question 'Q9'"),
    ('# %% check="prisms" points=1\nprisms = 3', "leave it empty"),
    ('# %% check="prisms" points="many"', "give a number above 0"),
])
def test_a_concept_cell_that_cannot_be_made_is_told_in_a_line(tmp_path, line, says):
    layout = make_course(tmp_path)
    (layout.solution(QUIZ) / "notebook.py").write_text(line + "\n")
    with pytest.raises(AssignmentError, match=says) as error:
        build(layout, QUIZ)
    assert "\n" not in str(error.value)


def test_the_marker_sees_rubric_and_model_answer_behind_the_students_text(quiz, quizmaster):
    notebook = nbformat.reads(quizmaster.verdict("ada", hand_in(quiz, {"interview_Q7": "A long box."})).notebook, 4)
    place = next(n for n, c in enumerate(notebook.cells) if grade_id(c) == "interview_Q7")
    answer, told = notebook.cells[place:place + 2]
    assert answer.source == "A long box." and told.cell_type == "markdown"
    assert told.metadata == {"autograder": "rubric"} and "multiply by 2" in told.source
    assert all(part in told.source for part in ("base area times height", QUESTION["answer"], "a third of base times height", "Euclid"))
    assert nbformat.validate(notebook) is None


def class_of(quiz, course, right):
    """Everything right with an essay, every wrong answer, nothing done."""
    wrong = [k for k in questions.check_answers(course, QUIZ) if k.diagnosis]
    given = {f"wrong-{k.name}": right | {k.exercise: k.cell([k.exercise])} for k in wrong}
    return {name: hand_in(quiz, answers) for name, answers in (given | {"ada": right | {"interview_Q7": "A long box."}, "bob": {}}).items()}


def submit(layout, students):
    for student, notebook in students.items():
        folder = layout.submitted(QUIZ, student)
        folder.mkdir(parents=True)
        (folder / f"{QUIZ}.ipynb").write_bytes(notebook)


def test_stock_nbgrader_gives_the_same_scores(tmp_path, right):
    ours, stock, walled = (make_course(tmp_path / name) for name in ("ours", "stock", "walled"))
    students = class_of(ours.load(QUIZ), ours, right)
    for layout in (ours, stock, walled):
        submit(layout, students)
    (stock.root / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.source_directory = 'build/source'\n"
                                                   "c.CourseDirectory.release_directory = 'assignments'\n")
    assert main(["grade", QUIZ, "--root", str(ours.root)]) == 0
    for layout in (stock, walled):
        for command in (["generate_assignment", QUIZ, "--force"], ["autograde", QUIZ]):
            run = nbgrader(layout, *command)
            assert run.returncode == 0, run.stderr[-2000:]
    assert scores(ours, QUIZ) == scores(stock, QUIZ)
    assert scores(ours, QUIZ)["ada"] == {"test_prisms": 2.0, "test_volume": 1.5, "test_edges": 1.0, "interview_Q7": None}
    manual = {student: row.pop("interview_Q7") for student, row in scores(walled, QUIZ).items()}
    assert set(manual.values()) <= {0.0, None}
    for layout in (ours, walled):
        assert QUESTION["answer"] in (layout.autograded(QUIZ, "ada") / f"{QUIZ}.ipynb").read_text()
    assert walled.release(QUIZ).read_bytes() == ours.release(QUIZ).read_bytes()


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp"])
def test_student_code_cannot_read_the_bank(place, right):
    with tempfile.TemporaryDirectory(dir=place) as folder:
        layout = make_course(Path(folder))
        quiz = layout.load(QUIZ)
        snoop = f"""
import os
course = {str(layout.root / "course")!r}
print("course", sorted(os.listdir(course)), "bank", os.listdir(course + "/interview"))
for path in (course + "/interview/Q7.yml", course + "/interview/mine", course + "/mine"):
    try:
        open(path, "r" if path.endswith("yml") else "w")
        print("opened", path)
    except OSError as error:
        print(type(error).__name__)
"""
        with Grader(layout.root, quiz, layout.paths(QUIZ)) as grader:
            result = grader.verdict("snoop", hand_in(quiz, right | {"prisms": snoop + right["prisms"]}))
        outputs = next(c for c in nbformat.reads(result.notebook, 4).cells if grade_id(c) == "prisms").outputs
        text = "".join(o.get("text", "") for o in outputs)
        assert text.startswith("course ['interview', 'open.txt'] bank []\nFileNotFoundError\n") and "opened" not in text
        assert outcome(result, "prisms").status == "passed"
