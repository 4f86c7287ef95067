"""The simulated class, end to end: all of it comes out as it is known to, and a wrong expectation is told."""
import os
import subprocess
import sys

import pytest
from rich.console import Console

from autograder.demo import differences
from autograder.members import Expected, Member
from autograder.mistakes import KnownAnswer
from autograder.result import ExerciseResult, Result
from autograder.summary import print_summary

from .conftest import NAME, ROOT, copy_course

# An answer that is right, told to be wrong.
NOT_A_MISTAKE = '''

@mistake("threshold_prune", "You did nothing wrong.")
def not_a_mistake(w, t):
    if t < 0:
        raise ValueError
    mask = np.abs(w) >= t
    return w * mask, mask
'''


def demo(root, *arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "110"}
    return subprocess.run([sys.executable, "-m", "autograder.cli", "demo", "--root", str(root), *arguments], env=environment, capture_output=True, text=True, timeout=800)


def test_every_student_of_the_demo_comes_out_as_expected_and_gets_feedback(tmp_path):
    copy_course(tmp_path, None)
    run = demo(tmp_path)
    assert run.returncode == 0, run.stderr[-3000:]
    last = run.stderr.strip().split("\n")[-1]
    assert last.startswith("Every outcome was as expected.") and "feedback/" in last
    handed_in = {p.name for p in (tmp_path / "demo" / "submitted").iterdir()}
    pages = {p.parts[-3] for p in (tmp_path / "demo" / "feedback").glob(f"*/{NAME}/{NAME}.html")}
    assert pages == handed_in and len(pages) >= 40
    assert all(len(line) <= 110 for line in run.stderr.split("\n") if "✓" in line)


def test_a_wrong_expectation_is_told_and_ends_with_exit_code_1(tmp_path):
    layout = copy_course(tmp_path)
    path = layout.mistakes(NAME)
    first = path.read_text().index("\n@mistake")
    path.write_text(path.read_text()[:first] + NOT_A_MISTAKE + path.read_text()[first:])
    run = demo(tmp_path, "--isolation", "process")
    assert run.returncode == 1, run.stderr[-3000:]
    assert "makes-mistakes-1: threshold_prune is passed without a diagnosis, not not_a_mistake" in run.stderr
    assert "outcomes were not as expected" in run.stderr
    assert not [p.name for p in (tmp_path / "demo" / "submitted").iterdir() if p.name in ("loops-forever", "ends-the-process", "drops-asserts-from-the-tests")]


def test_an_unknown_assignment_gets_one_line_and_the_last_demo_stays(tmp_path):
    copy_course(tmp_path)
    (tmp_path / "demo").mkdir()
    run = demo(tmp_path, "99-nothing")
    assert run.returncode == 2 and "no assignment 99-nothing in" in run.stderr and len(run.stderr.strip().split("\n")) == 1
    assert (tmp_path / "demo").exists()


KNOWN = KnownAnswer("prune", "signed", "You ranked by sign.", None, "")


@pytest.mark.parametrize("expected, found, says", [
    (Expected(("passed",)), ExerciseResult("prune", 4.0, 4.0, "passed"), None),
    (Expected(("passed",)), ExerciseResult("prune", 3.0, 4.0, "passed"), "earns 3, not 4"),
    (Expected(("missing",)), ExerciseResult("prune", 0.0, 4.0, "crashed"), "is crashed, not missing"),
    (Expected(("failed",)), ExerciseResult("prune", 1.0, 4.0, "failed"), "earns 1, not 0"),
    (Expected((), KNOWN), ExerciseResult("prune", 1.0, 4.0, "failed", "signed", "You ranked by sign."), None),
    (Expected((), KNOWN), ExerciseResult("prune", 1.0, 4.0, "failed", "inverted", "You inverted it."), "not signed"),
    (Expected((), KNOWN), ExerciseResult("prune", 1.0, 4.0, "failed", "signed", "Another text."), "not signed: Another text."),
    (Expected((), KNOWN), ExerciseResult("prune", 4.0, 4.0, "failed", "signed", "You ranked by sign."), "full marks")])
def test_a_score_a_status_and_a_diagnosis_are_compared(expected, found, says):
    lines = differences([Member("ada", lambda folder: None, {"prune": expected})], [Result("ada", (found,), (), 0.1, "", {})])
    assert lines == [] if says is None else lines[0].startswith("ada: prune ") and says in lines[0]


def test_the_summary_of_a_large_assignment_is_readable_at_100_columns():
    exercises = tuple(ExerciseResult(f"an_exercise_{n}", 1.0 if n % 3 else 0.0, 1.0, "passed" if n % 3 else "failed", None if n % 3 else "a_known_mistake") for n in range(16))
    console = Console(record=True, width=100, file=open(os.devnull, "w"))
    print_summary([Result(f"[red]somebody with a very long name indeed, number {n}", exercises, (), 0.1, "", {}) for n in range(3)], console)
    shown = console.export_text().split("\n")
    rows = [line for line in shown if line.startswith(" [red]somebody with a")]
    assert len(rows) == 3 and all(row.count("✓") == 10 and row.count("✗") == 6 and row.endswith("10 ") for row in rows)
    assert all(any(f"an_exercise_{n}" in line for line in shown) for n in range(16)) and sum("a_known_mistake\N{NO-BREAK SPACE}×3" in line for line in shown) == 6
