"""What a learner runs all day: `course check`, in a copy of the course."""
import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from autograder.assignment import grade_id
from autograder.cli import main as autograder
from autograder.processes import descendants
from course.cli import main, notebook_of

from .conftest import NAME, ROOT


@pytest.fixture
def work(fresh, capsys):
    """A course and a function that answers exercises in the learner's own notebook."""
    assert main(["check", "01", "--root", str(fresh.root)]) == 0
    capsys.readouterr()

    def answer(answers):
        notebook = nbformat.read(notebook_of(fresh, NAME), 4)
        for cell in notebook.cells:
            cell.source = answers.get(grade_id(cell), cell.source)
        nbformat.write(notebook, notebook_of(fresh, NAME))
    return fresh, answer


def check(layout, capsys, *arguments):
    """Exit code, lines on stdout, and lines on stderr."""
    code = main(["check", *arguments, "--root", str(layout.root)])
    shown = capsys.readouterr()
    return code, [" ".join(line.split()) for line in shown.out.strip().split("\n")], shown.err.strip()


def test_the_first_check_begins_a_notebook_and_says_what_to_do(fresh, capsys):
    code, lines, _ = check(fresh, capsys, "01")
    assert code == 0 and f"jupyter lab work/{NAME}/{NAME}.ipynb" in lines[0] and lines[1].endswith(f"course check {NAME}")
    assert notebook_of(fresh, NAME).read_bytes() == fresh.release(NAME).read_bytes()


def test_git_ignores_the_learners_notebook():
    run = subprocess.run(["git", "check-ignore", "-q", f"work/{NAME}/{NAME}.ipynb"], cwd=ROOT)
    assert run.returncode == 0


def test_a_check_tells_of_every_exercise_and_keeps_the_notebook(work, capsys, right, known, full):
    layout, answer = work
    wrong = next(k for k in known if k.name == "floor_of_the_count")
    answer({"threshold_prune": right["threshold_prune"], "magnitude_mask": wrong.cell(["magnitude_mask"])})
    before = notebook_of(layout, NAME).read_bytes()
    code, lines, _ = check(layout, capsys)
    assert code == 1
    assert lines[:2] == [NAME, "✓ threshold_prune 3 / 3"]
    assert any(line.startswith("~ magnitude_mask 2 / 4 You rounded s·n down.") for line in lines)
    assert "· masked_train_step 0 / 5 not answered" in lines and lines[-1] == f"total 5 / {full:g}"
    assert notebook_of(layout, NAME).read_bytes() == before and not (layout.root / "gradebook.db").exists()


def test_all_right_ends_with_exit_code_0_and_survives_a_build(work, capsys, right, full):
    layout, answer = work
    answer(right)
    assert autograder(["build", "--root", str(layout.root)]) == 0
    code, lines, _ = check(layout, capsys, NAME)
    assert code == 0 and lines[-1] == f"total {full:g} / {full:g}"


def test_one_exercise_is_checked_alone_and_nothing_else_is_run(work, capsys, right, tmp_path):
    layout, answer = work
    ran = tmp_path / "ran"
    answer(right | {"magnitude_mask": f"open({str(ran)!r}, 'w').close()\nwhile True:\n    pass"})
    code, lines, _ = check(layout, capsys, "01", "masked")
    assert (code, lines) == (0, [NAME, "✓ masked_train_step 5 / 5"])
    assert not ran.exists()
    answer({"threshold_prune": "def threshold_prune(w, t):\n    return w"})
    code, lines, _ = check(layout, capsys, "01", "threshold_prune")
    assert code == 1 and lines[1].startswith(("✗", "!")) and len([line for line in lines if " / " in line]) == 1


def test_a_check_can_run_in_the_instructors_sandbox(work, capsys, right):
    layout, answer = work
    answer({"threshold_prune": "import os\nassert not os.path.exists(%r)\n" % str(layout.root / "solutions") + right["threshold_prune"]})
    assert check(layout, capsys, "01", "threshold_prune", "--isolation", "bubblewrap")[0] == 0


@pytest.mark.parametrize("arguments, says", [
    (["99"], "'99' is no assignment; there are: 01-magnitude-pruning"), (["01", "nothing"], "'nothing' is no exercise; there are: threshold_prune, magnitude_mask"),
    ([], "nothing in work/ yet; begin with: course check 01-magnitude-pruning")])
def test_a_slip_gets_one_line_and_exit_code_2(fresh, capsys, arguments, says):
    code, lines, told = check(fresh, capsys, *arguments)
    assert code == 2 and lines == [""] and says in told and len(told.split("\n")) == 1
    assert not (fresh.root / "work").exists()


def test_an_ambiguous_beginning_lists_what_it_could_mean(work, capsys):
    code, _, told = check(work[0], capsys, "01", "ma")
    assert code == 2 and "begins more than one exercise; there are: magnitude_mask, masked_train_step" in told


def test_a_folder_that_is_no_course_gets_one_line(tmp_path, capsys):
    assert main(["check", "01", "--root", str(tmp_path)]) == 2
    assert "no course in" in capsys.readouterr().err


def test_a_broken_notebook_is_told_and_kept(work, capsys):
    layout, _ = work
    notebook_of(layout, NAME).write_text('{"cells": [')
    code, _, told = check(layout, capsys, "01")
    assert code == 2 and "is no notebook; mend it, or move it away" in told and len(told.split("\n")) == 1
    assert notebook_of(layout, NAME).read_text() == '{"cells": ['


def test_an_odd_notebook_is_checked_all_the_same(work, capsys, right):
    """Cells without metadata, metadata of the wrong type: what other editors leave."""
    layout, answer = work
    answer(right)
    notebook = json.loads(notebook_of(layout, NAME).read_text())
    notebook["cells"] += [{"cell_type": "code", "source": "1"}, {"cell_type": "markdown", "metadata": [], "source": []}, None]
    notebook_of(layout, NAME).write_text(json.dumps(notebook))
    assert check(layout, capsys, "01", "threshold_prune")[0] == 0


def test_an_interrupted_check_ends_with_130(work, right):
    layout, answer = work
    answer(right | {"magnitude_mask": "while True:\n    pass"})
    run = subprocess.Popen([sys.executable, "-m", "course.cli", "check", "01", "--root", str(layout.root)], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                           env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True)
    while len(started := descendants(run.pid)) < 4 and run.poll() is None:          # both zygotes, and a child of one
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 130 and told.strip() == "course: interrupted"
    end = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in started) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [pid for pid in started if os.path.exists(f"/proc/{pid}")]
