"""The interview bank is complete and sound, and a question that is not is refused in a line."""
import copy
import math
import re

import pytest
import yaml

from autograder import bank
from autograder.assignment import AssignmentError
from autograder.layout import Layout

from .conftest import ROOT
from .test_questions import QUESTION
from .test_syllabus import QUESTIONS

TOPICS = {"pruning", "quantization", "distillation", "architectures", "evaluation", "compression"}
FILES = sorted(Layout(ROOT).questions.glob("*.yml"))


@pytest.fixture(scope="module")
def questions():
    return bank.load(FILES)


def test_all_questions_are_there(questions):
    assert set(questions) == QUESTIONS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_question_is_complete(path):
    (question,) = bank.load([path]).values()
    assert question.topic in TOPICS
    assert re.search(r"[\u4e00-\u9fff]", question.question["zh"]) and not re.search(r"[\u4e00-\u9fff]", question.question["en"])
    assert 30 <= len(question.answer.split()) <= 200 and 3 <= len(question.rubric) <= 6 and len(question.misconceptions) >= 2
    assert all(m["why"].strip() != m["claim"].strip() for m in question.misconceptions)
    assert all(re.search(r"\b(1[89]|20)\d\d\b", source) for source in question.sources), "a source names its year"


def test_numbers_are_drawn_from_their_ranges_and_always_the_same():
    drawn = [bank._draw(f"check_{n}", {"k": [2, 8, 3], "s": [0.1, 0.5, 0.1]}) for n in range(60)]
    assert drawn == [bank._draw(f"check_{n}", {"k": [2, 8, 3], "s": [0.1, 0.5, 0.1]}) for n in range(60)]
    assert {d["k"] for d in drawn} == {2, 5, 8} and {d["s"] for d in drawn} == {0.1, 0.2, 0.3, 0.4, 0.5}


def refuse(folder, told, name="Q7.yml"):
    path = folder / name
    path.write_text(told if isinstance(told, str) else yaml.safe_dump(told, allow_unicode=True), encoding="utf-8")
    with pytest.raises(AssignmentError) as error:
        bank.load([path])
    assert "\n" not in str(error.value) and str(error.value).startswith(str(path))
    return str(error.value)


def changed(*path_and_value) -> dict:
    told = copy.deepcopy(QUESTION)
    part, (*path, key, value) = told, path_and_value
    for step in path:
        part = part[step]
    part[key] = value
    return told


LONG = " ".join(["word"] * 201)


@pytest.mark.parametrize("told, says", [
    (changed("id", "Q8"), "its id is 'Q8'"), (changed("level", "hard"), "level: 'hard'"), (changed("colour", "red"), "colour"),
    (changed("question", {"en": "Only English?"}), "question: 'zh' is a required property"), (changed("question", "zh", "  "), "question/zh"),
    (changed("answer", LONG), "201 words"), (changed("rubric", QUESTION["rubric"][:2]), "rubric"), (changed("rubric", QUESTION["rubric"] * 3), "rubric"),
    (changed("rubric", 0, "points", 1.5), "rubric/0/points"), (changed("sources", []), "sources"),
    (changed("misconceptions", QUESTION["misconceptions"][:1]), "misconceptions"),
    (changed("misconceptions", 1, "id", "cone-volume"), "two misconceptions share an id"),
    (changed("checks", 0, "kind", "essay"), "checks/0/kind"), (changed("checks", 0, "name", "two-words"), "no Python name"),
    (changed("checks", 1, "name", "prisms"), "two checks share a name"),
    (changed("checks", 0, "options", 0, {"misconception": "flat-earth"}), "there is no misconception 'flat-earth'"),
    (changed("checks", 0, "options", 2, {"misconception": "cone-volume"}), "stands in two options"),
    (changed("checks", 0, "options", [o for o in QUESTION["checks"][0]["options"] if "right" in o and o["right"]]), "a right option and a wrong one"),
    (changed("checks", 0, "options", [o for o in QUESTION["checks"][0]["options"] if "misconception" in o]), "a right option and a wrong one"),
    (changed("checks", 0, "options", 1, {"text": "No reason.", "right": True}), "checks/0/options/1"),
    (changed("checks", 1, "answer", "a *"), "cannot be worked out"), (changed("checks", 1, "answer", "a * width"), "cannot be worked out"),
    (changed("checks", 1, "answer", "a / (h - h)"), "cannot be worked out"), (changed("checks", 1, "answer", "'a'"), "no finite number"),
    (changed("checks", 1, "answer", "inf"), "no finite number"), (changed("checks", 1, "answer", "open('x')"), "cannot be worked out"),
    (changed("checks", 1, "ask", "A prism {b} high?"), "{b} in its text"),
    (changed("checks", 1, "numbers", "a", [9, 2, 1]), "low <= high"), (changed("checks", 1, "numbers", "a", [2, 9]), "checks/1/numbers/a"),
    (changed("checks", 1, "wrong", 0, "answer", "a * h * 1.005"), "the answer and a_third cannot be told apart"),
    (changed("checks", 1, "wrong", 1, "answer", "a * h / 3"), "a_third and sum_not_product cannot be told apart"),
    (changed("checks", 1, "wrong", 1, "id", "a_third"), "two wrong answers share an id"), (changed("checks", 1, "wrong", []), "checks/1/wrong"),
    ("a: [", "cannot be read"), ("- a list", "the file"), ("", "the file"),
])
def test_a_malformed_question_is_refused_in_one_line_that_says_what_to_mend(tmp_path, told, says):
    assert says in refuse(tmp_path, told)


def test_one_name_for_two_checks_is_refused(tmp_path):
    for name in ("Q7", "Q8"):
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(QUESTION | {"id": name}))
    with pytest.raises(AssignmentError, match="the check 'prisms' is in Q7.yml too"):
        bank.load(sorted(tmp_path.glob("*.yml")))


def test_a_sound_question_is_read_as_it_is_written(tmp_path):
    (tmp_path / "Q7.yml").write_text(yaml.safe_dump(QUESTION))
    question = bank.load([tmp_path / "Q7.yml"])["Q7"]
    prisms, volume, edges = question.checks
    assert prisms.answer == {"b", "d"} and [o.mistake for o in prisms.options] == ["cone-volume", "misses_b", "always-right", "misses_d", "picks_e"]
    a, h = map(float, re.search(r"base of (\S+) cm² is (\S+) cm", volume.ask).groups())
    assert math.isclose(volume.answer, a * h) and math.isclose(volume.wrong[0].value, a * h / 3) and volume.why == f"Multiply {a:g} by {h:g}."
    assert (edges.answer, edges.rtol) == (12, 0)
