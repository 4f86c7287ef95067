"""The command line: its JSON, its exit codes, and one clear line for every slip."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from autograder.cli import main
from autograder.result import STATUSES

from .conftest import NAME
from .test_nbgrader import submit


def test_the_json_is_schema_1(fresh, right, hand_in, known, assignment, full):
    wrong = next(k for k in known if k.name == "floor_of_the_count")
    submit(fresh, "ada", hand_in(right | {"magnitude_mask": wrong.cell(["magnitude_mask"])}))
    submit(fresh, "broken", b"{")
    os.mkfifo(fresh.submitted(NAME, "ada") / "pipe")
    out = fresh.root / "out.json"
    assert main(["grade", NAME, "--root", str(fresh.root), "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    assert (report["schema"], report["assignment"]) == (1, NAME)
    ada, broken = report["submissions"]
    assert set(ada) == {"student", "score", "max_score", "seconds", "flags", "exercises"}
    assert (ada["student"], ada["score"], ada["max_score"], ada["flags"]) == ("ada", full - 2, assignment.max_score, ["refused: 'pipe'"])
    assert next(e for e in ada["exercises"] if e["name"] == "magnitude_mask") == {"name": "magnitude_mask", "score": 2.0, "max_score": 4.0, "status": "failed",
                                   "mistake": "floor_of_the_count", "message": wrong.diagnosis}
    assert all(e["status"] in STATUSES for s in report["submissions"] for e in s["exercises"])
    assert broken["score"] == 0 and broken["flags"] == ["unreadable: the file is no notebook"]


@pytest.mark.parametrize("arguments, says", [
    (["grade", "99-nothing"], "no solutions/99-nothing"), (["grade", NAME], "no submissions"), (["grade", NAME, "--student", "nobody"], "no submission of nobody"),
    (["build", "99-nothing"], "no solutions/99-nothing"), (["grade", NAME, "--json", "/no/such/folder/x.json"], "no folder"),
])
def test_a_slip_gets_one_line_and_exit_code_2(fresh, capsys, arguments, says):
    before = sorted(fresh.root.rglob("*"))
    assert main([*arguments, "--root", str(fresh.root)]) == 2
    shown = capsys.readouterr().err
    assert says in shown and len(shown.strip().split("\n")) == 1
    assert sorted(fresh.root.rglob("*")) == before


def test_without_bubblewrap_grading_refuses_and_says_how_to_get_it(fresh, right, hand_in, capsys, monkeypatch):
    submit(fresh, "ada", hand_in(right))
    monkeypatch.setenv("PATH", str(fresh.root))
    assert main(["grade", NAME, "--root", str(fresh.root)]) == 2
    assert "apt-get install bubblewrap" in capsys.readouterr().err
    assert not (fresh.root / "autograded").exists()


def test_process_isolation_is_loudly_labelled_and_grades_alike(fresh, right, hand_in, capsys):
    submit(fresh, "ada", hand_in(right | {"magnitude_mask": "import os\nos._exit(1)"}))
    assert main(["grade", NAME, "--root", str(fresh.root), "--isolation", "process", "--json", str(fresh.root / "out.json")]) == 0
    assert "NO SANDBOX" in capsys.readouterr().err
    exercises = json.loads((fresh.root / "out.json").read_text())["submissions"][0]["exercises"]
    assert {e["name"]: e["status"] for e in exercises if e["name"] in right} == {n: "crashed" if n == "magnitude_mask" else "passed" for n in right}


def test_a_broken_reference_stops_grading_before_it_starts(fresh, right, hand_in, capsys):
    path = fresh.solution(NAME) / "notebook.py"
    path.write_text(path.read_text().replace("return w * mask, mask", "return w, mask"))
    submit(fresh, "ada", hand_in(right))
    assert main(["grade", NAME, "--root", str(fresh.root)]) == 2
    assert "reference answer of threshold_prune does not pass its own tests" in capsys.readouterr().err
    assert not (fresh.root / "autograded").exists()


def test_an_interrupted_run_keeps_what_it_graded_and_leaves_no_process(fresh, right, hand_in):
    for number in range(40):
        submit(fresh, f"s{number:02}", hand_in(right))
    run = subprocess.Popen([sys.executable, "-m", "autograder.cli", "grade", NAME, "--root", str(fresh.root)], stderr=subprocess.PIPE, text=True)
    while len(list((fresh.root / "autograded").glob("*"))) < 3 and run.poll() is None:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, shown = run.communicate(timeout=60)
    assert run.returncode == 130 and "kept" in shown
    time.sleep(0.5)
    left = subprocess.run(["pgrep", "-f", f"{fresh.root}"], capture_output=True, text=True).stdout.split()
    assert not left
    assert main(["grade", NAME, "--root", str(fresh.root)]) == 0
    assert len(list((fresh.root / "autograded").glob("*"))) == 40
