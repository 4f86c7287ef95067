"""The real nbgrader reads what we wrote, grades behind the wall through our preprocessors, and agrees with us on clean submissions."""
import csv
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbgrader.api import Gradebook

from autograder.cli import main

from .conftest import NAME

ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> [x](javascript:alert(1))"


def nbgrader(layout, *arguments):
    return subprocess.run(["nbgrader", *arguments], cwd=layout.root, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


def stock(layout):
    """The same course for stock nbgrader: our folders, none of our preprocessors."""
    config = layout.root / "nbgrader_config.py"
    config.write_text("c = get_config()\nc.CourseDirectory.source_directory = 'build/source'\nc.CourseDirectory.release_directory = 'assignments'\n")
    assert nbgrader(layout, "generate_assignment", NAME, "--force").returncode == 0


def submit(layout, student, notebook: bytes):
    folder = layout.submitted(NAME, student)
    folder.mkdir(parents=True)
    (folder / f"{NAME}.ipynb").write_bytes(notebook)


@pytest.fixture
def clean(known, assignment, right, hand_in):
    """Submissions without tricks: everything right, one alternative, one mistake each, partial credit, nothing done."""
    pick = {k.name: right | {k.exercise: k.cell(assignment.answer_names[k.exercise])} for k in known
            if k.name in ("reparametrised", "signed", "floor_of_the_count", "gradients_only", "accepts_a_negative_threshold")}
    return {name: hand_in(answers) for name, answers in (pick | {"reference": right, "untouched": {}}).items()}


def scores(layout, name=NAME):
    with Gradebook(layout.database) as gradebook:
        return {s.student.id: {g.name: g.auto_score for n in s.notebooks for g in n.grades} for s in gradebook.find_assignment(name).submissions}


def test_clean_submissions_get_the_same_scores_from_stock_nbgrader(fresh, clean, tmp_path_factory):
    from .conftest import copy_course
    other = copy_course(tmp_path_factory.mktemp("stock"))
    stock(other)
    for student, notebook in clean.items():
        submit(fresh, student, notebook), submit(other, student, notebook)
    assert main(["grade", NAME, "--root", str(fresh.root)]) == 0
    run = nbgrader(other, "autograde", NAME)
    assert run.returncode == 0, run.stderr[-2000:]
    assert scores(fresh) == scores(other)
    assert set(scores(fresh)["floor_of_the_count"].values()) == {3.0, 2.0, 5.0}


def test_nbgraders_own_autograde_grades_behind_the_wall(fresh, right, hand_in):
    cheat = "get_ipython().ast_transformers.append(type('T', (__import__('ast').NodeTransformer,), {'visit_Assert': lambda s, n: None})())\n"
    wrong = "def threshold_prune(w, t):\n    return w, w"
    submit(fresh, "cheat", hand_in(right | {"threshold_prune": cheat + wrong}))
    submit(fresh, "honest", hand_in(right))
    victim = fresh.submitted(NAME, "linker")
    submit(fresh, "linker", b"{}")
    (victim / "stolen.txt").symlink_to(fresh.submitted(NAME, "honest") / f"{NAME}.ipynb")
    assert nbgrader(fresh, "generate_assignment", NAME, "--force").returncode == 0
    nbgrader(fresh, "autograde", NAME)
    found = scores(fresh)
    assert found["cheat"] == {"test_threshold_prune": 0.0, "test_magnitude_mask": 4.0, "test_masked_train_step": 5.0}
    assert sum(found["honest"].values()) == 12
    assert not (fresh.autograded(NAME, "linker") / "stolen.txt").exists()


def test_the_gradebook_is_complete_and_export_reads_it(fresh, right, hand_in):
    submit(fresh, "ada", hand_in(right))
    submit(fresh, "bob", hand_in({"threshold_prune": right["threshold_prune"]}))
    (fresh.submitted(NAME, "ada") / "timestamp.txt").write_text("2026-01-02 03:04:05 UTC")
    assert main(["grade", NAME, "--root", str(fresh.root)]) == 0
    assert nbgrader(fresh, "export").returncode == 0
    rows = {row["student_id"]: row for row in csv.DictReader(open(fresh.root / "grades.csv"))}
    assert (rows["ada"]["score"], rows["bob"]["score"], rows["ada"]["max_score"]) == ("12.0", "3.0", "12.0")
    assert rows["ada"]["timestamp"].startswith("2026-01-02 03:04:05")
    with Gradebook(fresh.database) as gradebook:
        submission = gradebook.find_submission(NAME, "bob")
        assert not submission.needs_manual_grade and submission.notebooks[0].failed_tests
        comments = {c.name: c.auto_comment for c in submission.notebooks[0].comments}
        assert comments == {"threshold_prune": None, "magnitude_mask": "No response.", "masked_train_step": "No response."}


def test_a_manual_grade_survives_grading_again(fresh, right, hand_in):
    submit(fresh, "ada", hand_in(right))
    grade = ["grade", NAME, "--root", str(fresh.root)]
    assert main(grade) == 0
    with Gradebook(fresh.database) as gradebook:
        gradebook.find_grade("test_magnitude_mask", NAME, NAME, "ada").manual_score = 1.5
        gradebook.db.commit()
    assert main(grade) == 0
    with Gradebook(fresh.database) as gradebook:
        found = gradebook.find_grade("test_magnitude_mask", NAME, NAME, "ada")
        assert (found.manual_score, found.auto_score, found.needs_manual_grade) == (1.5, 4.0, True)


@pytest.fixture
def formgrader(fresh, right, hand_in):
    """A real Jupyter server with the formgrader over a graded course with one hostile student; gives a function that fetches pages."""
    evil = json.loads(hand_in(right, extra={"threshold_prune": f"from IPython.display import HTML, display\ndisplay(HTML({SCRIPT!r}))\nprint({SCRIPT!r})"}))
    evil["cells"].insert(0, {"cell_type": "markdown", "id": "evil", "metadata": {}, "source": SCRIPT})
    evil["cells"].insert(1, {"cell_type": "raw", "id": "raw", "metadata": {"format": "text/html"}, "source": SCRIPT})
    evil["metadata"]["title"] = SCRIPT
    submit(fresh, "evil", json.dumps(evil).encode())
    assert main(["grade", NAME, "--root", str(fresh.root)]) == 0
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    server = subprocess.Popen(["jupyter", "server", "--allow-root", "--no-browser", f"--port={port}", "--IdentityProvider.token=", "--ServerApp.ip=127.0.0.1",
                               "--ServerApp.jpserver_extensions=nbgrader.server_extensions.formgrader=True"],
                              cwd=fresh.root, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(path):
        for _ in range(120):
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/formgrader/{path}", timeout=30).read().decode()
            except (ConnectionError, urllib.error.URLError) as error:
                if getattr(error, "code", None):
                    raise
                time.sleep(0.5)
        raise TimeoutError

    yield get, fresh
    server.terminate()
    server.wait(30)


def test_the_formgrader_shows_what_we_wrote_and_runs_nothing_of_a_students(formgrader):
    get, layout = formgrader
    assert NAME in get("api/assignments") and '"score": 12.0' in get(f"api/submissions/{NAME}")
    with Gradebook(layout.database) as gradebook:
        identity = gradebook.find_submission_notebook(NAME, NAME, "evil").id
    page = get(f"submissions/{identity}/")
    assert "threshold_prune" in page and "document.title" in page
    soup = BeautifulSoup(page, "html.parser")
    assert not [s for s in soup.find_all("script") if "owned" in s.text]
    for element in soup.find_all(True):
        assert not any("owned" in str(value) or "javascript:alert" in str(value) for value in element.attrs.values()), element


def test_the_source_notebook_runs_in_a_plain_kernel(layout, tmp_path):
    """nbval runs every cell, visible and hidden tests included, with the reference answers."""
    notebook = nbformat.read(layout.source(NAME), 4)
    nbformat.write(notebook, tmp_path / "source.ipynb")
    run = subprocess.run([sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-cell-timeout=120", "-p", "no:cacheprovider", str(tmp_path / "source.ipynb")],
                         capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT, timeout=300)
    assert run.returncode == 0, run.stdout[-3000:]
