"""docs/authoring.md holds: its examples are those of the fixture course, and its commands work on it."""
import re
import shutil

import pytest

from autograder.cli import main

from .conftest import ROOT

GUIDE = (ROOT / "docs" / "authoring.md").read_text()
COURSE = ROOT / "tests" / "fixtures" / "text-course"


@pytest.mark.parametrize("example", re.findall(r"(?s)```(?:python|yaml)\n(.*?)```", GUIDE), ids=lambda text: text.split("\n")[0][:30])
def test_an_example_stands_in_the_fixture_course(example):
    texts = [path.read_text() for path in sorted(COURSE.rglob("*")) if path.suffix in (".py", ".yml")]
    assert any(example in text for text in texts)


def test_the_commands_take_an_author_to_an_audited_exercise(tmp_path):
    course = shutil.copytree(COURSE, tmp_path / "course")
    (course / "solutions" / "text-statistics" / "audit.json").unlink(missing_ok=True)
    shutil.rmtree(course / "assignments")
    commands = re.findall(r"(?m)^\$ autograder (.*)$", GUIDE)
    assert len(commands) == 3
    for command in commands:
        assert main([*command.split(), "--root", str(course)]) == 0, command
    assert (course / "solutions" / "text-statistics" / "audit.json").exists()
