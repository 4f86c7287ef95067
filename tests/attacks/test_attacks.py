"""No attack earns, breaks or learns anything, and no honest oddity costs anything: the whole suite in one grading run."""
import ctypes
import glob
import json
import os
import re
import time

import numpy as np
import pytest
from nbconvert import HTMLExporter
from nbgrader.api import Gradebook
from traitlets.config import Config

from autograder.processes import descendants

from .classroom import CANARIES, digests, grade_all, hand_in, open_course
from .registry import entries
from .submission import ASSIGNMENT, POINTS

ENTRIES = entries()
ATTACKS = [e for e in ENTRIES.values() if not e.honest]
ODDITIES = [e for e in ENTRIES.values() if e.honest]
ESCAPED = "/tmp/featherweight-escaped-*"
PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 60                                        # seconds, where a cell may take 4 and a test 6


@pytest.fixture(scope="session")
def chosen(request):
    """The entries that the chosen tests need: all of them, unless `-k` picked some."""
    ids = {item.callspec.params["entry"].id for item in request.session.items if "entry" in getattr(item, "callspec", _Nothing).params}
    return [e for e in ENTRIES.values() if e.id in ids] or list(ENTRIES.values())


class _Nothing:
    params = {}


@pytest.fixture(scope="session")
def room(tmp_path_factory, chosen):
    for path in glob.glob(ESCAPED):
        os.remove(path)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)       # whatever survives the run becomes a child of this process
    before = set(descendants(os.getpid()))
    layout = open_course(tmp_path_factory.mktemp("attacked"))
    hand_in(layout, chosen)
    kept = [layout.root / part for part in ("solutions", "assignments", "build", "submitted")]
    earlier = digests(*kept)
    room = grade_all(layout)
    room.changed = {path for path, digest in (earlier.items() ^ digests(*kept).items()) if "__pycache__" not in path}
    end = time.monotonic() + 5
    while (survivors := _living(set(descendants(os.getpid())) - before)) and time.monotonic() < end:
        time.sleep(0.1)
    room.survivors = survivors
    slowest = sorted(room.results.values(), key=lambda r: -r.seconds)[:12]
    print(f"\ngraded {len(room.results)} submissions in {room.seconds:.0f} s; slowest:", *(f"{r.student} {r.seconds:.0f}" for r in slowest))
    return room


def _living(pids) -> dict[int, str]:
    """State and command of those that are no zombies."""
    found = {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as file:
                text = file.read()
        except OSError:
            continue
        if text.rpartition(")")[2].split()[0] != "Z":
            found[pid] = text[:100]
    return found


def _result(room, name):
    assert name not in room.broken, f"grading broke: {room.broken[name]}"
    assert name in room.results, f"not graded; broken: {room.broken}"
    return room.results[name]


@pytest.mark.parametrize("entry", ATTACKS, ids=lambda e: f"{e.family}-{e.id}")
def test_an_attack_earns_nothing_and_costs_only_itself(room, entry):
    result = _result(room, entry.id)
    shown = [(e.name, e.score, e.status, e.message) for e in result.exercises]
    assert {e.name: e.score for e in result.exercises if e.name in POINTS} == entry.earns, f"{shown} {result.flags}"
    for exercise in result.exercises:
        wanted = entry.status.get(exercise.name, exercise.status)
        assert exercise.status in ((wanted,) if isinstance(wanted, str) else wanted), f"{shown}"


@pytest.mark.parametrize("entry", ODDITIES, ids=lambda e: e.id)
def test_an_honest_oddity_costs_nothing(room, entry):
    result = _result(room, entry.id)
    assert {e.name: e.score for e in result.exercises if e.name in POINTS} == POINTS, [(e.name, e.status, e.message) for e in result.exercises]


@pytest.mark.parametrize("name", CANARIES)
def test_honest_students_among_attackers_keep_full_marks(room, name):
    assert {e.name: e.score for e in _result(room, name).exercises if e.name in POINTS} == POINTS


def test_no_submission_breaks_the_run(room):
    assert not room.broken


def test_no_submission_keeps_a_worker_for_long(room):
    slow = {name: round(r.seconds) for name, r in room.results.items() if r.seconds > PATIENCE}
    assert not slow


def test_nothing_is_written_outside(room):
    assert not glob.glob(ESCAPED)
    assert not room.changed


def test_no_process_outlives_the_run(room):
    assert not room.survivors


def test_the_database_holds_the_scores_that_were_given(room):
    with Gradebook(room.layout.database) as gradebook:
        recorded = {s.student_id: s.score for s in gradebook.assignment_submissions(ASSIGNMENT)}
    assert recorded == {name: result.score for name, result in room.results.items()}


# The first digits of hidden inputs, in any notation.
HIDDEN = [f"{abs(x):.12f}".replace(".", "").lstrip("0")[:7] for seed in (1, 2) for x in np.random.default_rng(seed).normal(0, 1, (3, 5)).ravel()]


def test_hidden_inputs_are_nowhere_to_be_read(room):
    leaks = []
    for name, result in room.results.items():
        told = json.dumps([[e.message, e.status] for e in result.exercises] + list(result.flags))
        outputs = json.dumps([c.get("outputs") for c in json.loads(room.autograded(name))["cells"] if c.get("outputs")])
        leaks += [f"{name}: {text[:500]}" for text in (told, outputs)
                  if "LEAK" in text or any(value in text.replace(".", "") for value in HIDDEN)]
    assert not leaks


def test_no_message_carries_a_number_that_a_student_chose(room):
    chosen = []
    for name, result in room.results.items():
        for exercise in result.exercises:
            lines = _answer(room, name, exercise.name).count("\n") + 1
            chosen += [f"{name}: {exercise.message}" for n in re.findall(r"(?:exit|signal) (\d+)", exercise.message) if int(n) > 255]
            chosen += [f"{name}: {exercise.message} (it has {lines})" for n in re.findall(r"line (\d+) of the cell", exercise.message) if int(n) > lines]
    assert not chosen


def test_no_message_carries_a_text_that_a_student_chose(room):
    told = {name: json.dumps([e.message for e in result.exercises]) for name, result in room.results.items()}
    assert not {name: text for name, text in told.items() if "ALIVE" in text or "<script" in text or "\\u001b" in text}


def test_outputs_hold_nothing_alive(room):
    for name in room.results:
        for cell in json.loads(room.autograded(name))["cells"]:
            for output in cell.get("outputs", []):
                assert set(output.get("data", {})) <= {"text/plain", "image/png", "image/jpeg"}, name
                assert not output.get("metadata"), name
                text = json.dumps(output, ensure_ascii=False)
                assert not re.search(r"\\u001b|\\u009b|[\u202a-\u202e\u2066-\u2069]", text), name
                for image in (output.get("data", {}).get(mime, "") for mime in ("image/png", "image/jpeg")):
                    assert re.fullmatch(r"[A-Za-z0-9+/=\n]*", image), name
            assert "attachments" not in cell, name


@pytest.mark.parametrize("name", ["live_prose", "live_metadata", "live_displays", "live_source", "live_error_name", "stored_outputs",
                                  "false_pictures", "templates", "terminal_escapes"])
def test_the_page_a_marker_sees_holds_nothing_alive(room, name):
    if name not in room.results:
        pytest.skip("not graded in this run")
    page = HTMLExporter(config=Config(HTMLExporter={"filters": {"markdown2html": "autograder.sanitize.markdown_to_html"}}))
    html, _ = page.from_filename(str(room.layout.autograded(ASSIGNMENT, name) / f"{ASSIGNMENT}.ipynb"))
    body = html[html.index("<body"):]
    for alive in ("<script>alert", "onerror=", "onload=", "ontoggle=", "<iframe", "<form", "<base", "<object", "<meta http", "<style>*"):
        assert alive not in _tags(body), alive
    assert not re.search(r"(?i)(href|src)\s*=\s*[\"']?\s*javascript:", _tags(body))
    assert not re.search(r"\\(href|unicode)\s*\{", re.sub(r"(?s)<pre.*?</pre>", "", body))


def _tags(html: str) -> str:
    """The tags of a page, without its text."""
    return " ".join(re.findall(r"<[^<>]*>", html))


def _answer(room, student, exercise) -> str:
    for cell in json.loads(room.autograded(student))["cells"]:
        if cell.get("metadata", {}).get("nbgrader", {}).get("grade_id") == exercise:
            return "".join(cell["source"])
    return ""
