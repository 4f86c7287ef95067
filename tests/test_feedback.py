"""Feedback pages: what a student may read, pages that run nothing whatever was handed in, and one line for every slip."""
import json
import shutil

import nbformat
import numpy as np
import pytest
from nbgrader.api import Gradebook
from playwright.sync_api import sync_playwright

from autograder.cli import main
from autograder.feedback import FORMULA, FeedbackPage, prose
from autograder.mathml import mathml

from .attacks.injection import LIVE, SCRIPT
from .attacks.registry import entries
from .conftest import NAME, ROOT, copy_course
from .test_nbgrader import nbgrader, submit

PAYLOADS = [*LIVE, "<script>window.pwned = 1; document.title = 'pwned'</script>", "<img src=https://example.invalid/canary.png>",
            "<video autoplay onerror=alert(1) src=x>", "<svg><animate onbegin=alert(1) attributeName=x dur=1s>", "<link rel=stylesheet href=https://example.invalid/x.css>",
            "<style>@import 'https://example.invalid/y.css'; body { background: url(https://example.invalid/z) }</style>",
            "<iframe srcdoc='<script>parent.pwned = 1</script>'></iframe>", "$$\\begin{cases}<img src=x onerror=alert(1)>\\end{cases}$$",
            "$\\text{<img src=x onerror=alert(1)>}$", "[ref]: javascript:alert(1)\n[ref]", "<http://x/'onmouseover=alert(1)>", "# <img src=x onerror=alert(1)>"]
NASTY = "<img src=x onerror=alert(1)>"
HIDDEN_NUMBERS = [f"{abs(x):.12f}".replace(".", "").lstrip("0")[:7] for seed in (1, 2) for x in np.random.default_rng(seed).normal(0, 1, (3, 5)).ravel()]


@pytest.fixture(scope="module")
def course(tmp_path_factory, right, known, hand_in):
    """A graded class with feedback: a right, a wrong and an untouched notebook, and every script of the attack suite."""
    layout = copy_course(tmp_path_factory.mktemp("feedback"))
    floor = next(k for k in known if k.name == "floor_of_the_count").cell(["magnitude_mask"])
    slow = "def masked_train_step(model, masks, optimizer, batch):\n    import os\n    os._exit(3)"
    submit(layout, "ada", hand_in(right))
    submit(layout, "bob", hand_in({"magnitude_mask": floor, "masked_train_step": slow}, extra={"threshold_prune": "print('my own note')\n1 / 0"}))
    submit(layout, NASTY, hand_in(right))
    for entry in entries().values():
        if entry.family == "injection":
            entry.submission().write(layout.submitted(NAME, entry.id))
    every = {f"payload-{n}": text for n, text in enumerate(PAYLOADS)}
    for student, text in every.items():
        notebook = json.loads(hand_in(right | {"threshold_prune": f"'''{text}'''\n# {text}\nraise ValueError({text!r})"}))
        notebook["cells"] += [{"cell_type": kind, "id": f"mine-{kind}", "metadata": {"tags": [text], "name": text}, "source": text} for kind in ("markdown", "raw")]
        notebook["metadata"] |= {"title": text, "authors": [{"name": text}]}
        submit(layout, student, json.dumps(notebook).encode())
    assert main(["grade", NAME, "--root", str(layout.root)]) == 0
    with Gradebook(layout.database) as gradebook:
        gradebook.find_comment("magnitude_mask", NAME, NAME, "bob").manual_comment = f"Look at **rounding** again. {NASTY}"
        gradebook.find_grade("test_threshold_prune", NAME, NAME, "bob").manual_score = 0.5
        gradebook.db.commit()
    assert main(["feedback", NAME, "--root", str(layout.root)]) == 0
    return layout


@pytest.fixture(scope="module")
def tab():
    program = shutil.which("chromium")
    assert program, "Chromium is missing: install it (Debian: apt-get install chromium)"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium.new_page()
        chromium.close()


def alive(page, path) -> list[str]:
    """Open a page and every fold in it; what ran or was asked for."""
    seen, listeners = [], {
        "dialog": lambda dialog: (seen.append(f"dialog {dialog.message}"), dialog.dismiss()),
        "request": lambda request: request.url.startswith("data:") or request.url == path.as_uri() or seen.append(f"request {request.url}")}
    for event, listener in listeners.items():
        page.on(event, listener)
    page.goto(path.as_uri())
    title = page.title()
    for _ in range(2):
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = !d.open)")
        page.wait_for_timeout(30)
    if page.evaluate("window.pwned") or "pwned" in title:
        seen.append("pwned")
    if len(page.frames) > 1:
        seen.append("a frame")
    seen += page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href).filter(h => !/^(https?|mailto|file):/.test(h))")
    seen += page.evaluate("[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => /^on/i.test(a.name)).map(a => a.name)")
    seen += page.evaluate("[...document.querySelectorAll('script, iframe, object, embed, form, base, link')].map(e => e.tagName)")
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    return seen


def page_of(layout, student) -> str:
    return layout.feedback(NAME, student).read_text()


def test_no_script_of_a_student_runs_in_any_page(course, tab):
    pages = sorted((course.root / "feedback").glob(f"*/{NAME}/*.html"))
    assert len(pages) == 3 + len(PAYLOADS) + sum(e.family == "injection" for e in entries().values())
    assert {str(p): found for p in pages if (found := alive(tab, p))} == {}


def test_the_policy_alone_stops_every_payload_and_without_it_some_run(course, tab, tmp_path):
    head, _, tail = page_of(course, "ada").partition("</main>")
    policy = head[head.index('<meta http-equiv="Content-Security-Policy"'):].split(">")[0] + ">"
    guarded, bare = tmp_path / "guarded.html", tmp_path / "bare.html"
    ran = 0
    for payload in (p for p in PAYLOADS if "http-equiv" not in p):       # a refresh is no script; the sanitiser drops it
        guarded.write_text(f"{head}{payload}</main>{tail}")
        bare.write_text(guarded.read_text().replace(policy, ""))
        assert not [w for w in alive(tab, guarded) if w.startswith("dialog") or w == "pwned"], payload
        ran += any(w.startswith("dialog") or w == "pwned" for w in alive(tab, bare))
    assert ran >= 8


def test_a_notebook_that_nobody_cleaned_is_dead_too(tab, tmp_path):
    """As stock nbgrader would leave it: HTML, SVG, JavaScript and widgets in outputs, scripts in metadata, raw cells, attachments."""
    data = {"text/html": SCRIPT, "image/svg+xml": SCRIPT, "application/javascript": "alert(1)", "text/latex": LIVE[8], "text/markdown": SCRIPT,
            "application/vnd.jupyter.widget-view+json": {"model_id": SCRIPT}, "image/png": '"><script>alert(1)</script>', "text/plain": SCRIPT}
    outputs = [nbformat.v4.new_output("display_data", data=data, metadata={"image/png": {"width": '1" onload="alert(1)'}}),
               nbformat.v4.new_output("stream", name="stdout", text=SCRIPT), nbformat.v4.new_output("error", ename=SCRIPT, evalue=SCRIPT, traceback=[SCRIPT])]
    schema = {"grade_id": NASTY, "grade": True, "solution": False, "locked": True, "schema_version": 3, "score": 1.0, "points": 2.0, "waits": False, "by_hand": False,
              "comment": SCRIPT}
    cells = [nbformat.v4.new_code_cell("1", outputs=outputs), nbformat.v4.new_code_cell(SCRIPT, outputs=outputs, metadata={"nbgrader": schema, "tags": [SCRIPT]})]
    cells += [nbformat.v4.new_markdown_cell(text, attachments={"x.svg": {"image/svg+xml": SCRIPT}}) for text in PAYLOADS]
    cells += [nbformat.v4.new_raw_cell(text, metadata={"format": "text/html", "raw_mimetype": "text/html"}) for text in PAYLOADS]
    told = {"flags": [SCRIPT], "exercises": [{"name": NASTY, "status": SCRIPT, "message": SCRIPT, "cells": [NASTY]}]}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"title": SCRIPT, "autograder": told})
    about = dict(notebook=NASTY, assignment=NASTY, student=NASTY, score=1, max_score=2, late_penalty=0)
    (tmp_path / "page.html").write_text(FeedbackPage().from_notebook_node(notebook, {"nbgrader": about})[0])
    assert alive(tab, tmp_path / "page.html") == []


def test_a_page_tells_every_outcome_and_diagnosis(course, tab, assignment):
    tab.goto(course.feedback(NAME, "bob").as_uri())
    rows = [[cell.inner_text() for cell in row.locator("td").all()] for row in tab.locator("table.outcomes tbody tr").all()]
    assert [row[0] for row in rows] == [e.name for e in assignment.exercises]
    found = {row[0]: row[1:] for row in rows}
    assert found["threshold_prune"] == ["0.5 / 3", "marked by your instructor", ""]
    assert found["magnitude_mask"] == ["2 / 4", "partly right", "You rounded s·n down. The number of zeros is round(s * n): 3.75 gives 4."]
    assert found["masked_train_step"] == ["0 / 5", "crashed", "during a test, its process ended before it was done"]
    assert f"2.5 of {assignment.max_score:g} points" in tab.inner_text("header")
    text = tab.inner_text("main")
    assert text.count("You rounded s·n down") == 1 and "my own note" in text and "ZeroDivisionError" in text and "Look at rounding again." in text
    assert tab.locator("math").count() >= 1 and "\\text" not in text


def test_a_page_holds_no_hidden_test_and_no_reference(course):
    for path in (course.root / "feedback").glob(f"*/{NAME}/*.html"):
        text = path.read_text()
        for secret in ("HIDDEN TESTS", "exam.compare", "_reference", "edge(", *(["a threshold is not negative"] if path.parts[-3] == "bob" else [])):
            assert secret not in text, (path, secret)
        assert not [number for number in HIDDEN_NUMBERS if number in text.replace(".", "")], path
    folders = {p.name for p in (course.root / "feedback").glob(f"*/{NAME}/*")}
    assert folders == {f"{NAME}.html"}


def test_a_markers_rubric_stays_with_the_marker(course, full, assignment):
    path = course.autograded(NAME, "ada") / f"{NAME}.ipynb"
    kept = path.read_text()
    notebook = nbformat.reads(kept, 4)
    notebook.cells.insert(3, nbformat.v4.new_markdown_cell("2 points: names the criterion", metadata={"autograder": "rubric"}))
    path.write_text(nbformat.writes(notebook))
    assert main(["feedback", NAME, "--student", "ada", "--root", str(course.root)]) == 0
    path.write_text(kept)
    assert "names the criterion" not in page_of(course, "ada") and f"{full:g}</b> of {assignment.max_score:g}" in page_of(course, "ada")


def test_nbgraders_own_command_writes_the_same_page(course):
    ours = page_of(course, "bob")
    run = nbgrader(course, "generate_feedback", NAME, "--student=bob", "--force")
    assert run.returncode == 0, run.stderr[-2000:]
    assert page_of(course, "bob") == ours


def test_a_page_that_cannot_be_made_is_told_and_costs_no_other(course, capsys):
    path, lost = course.autograded(NAME, "ada") / f"{NAME}.ipynb", course.feedback(NAME, "payload-0")
    kept = path.read_text()
    path.write_text("{")
    lost.unlink()
    assert main(["feedback", NAME, "--root", str(course.root)]) == 2
    path.write_text(kept)
    shown = capsys.readouterr().err.strip()
    assert "no feedback for ada" in shown and "JSON" in shown and len(shown.split("\n")) == 1
    assert lost.exists()


@pytest.mark.parametrize("arguments, says", [
    ([NAME], "run: autograder grade"), (["99-nothing"], "no assignment '99-nothing'"), ([NAME, "--student", "nobody"], "run: autograder grade")])
def test_a_slip_gets_one_line_and_exit_code_2(fresh, capsys, arguments, says):
    assert main(["feedback", *arguments, "--root", str(fresh.root)]) == 2
    shown = capsys.readouterr().err.strip()
    assert says in shown and len(shown.split("\n")) == 1
    assert not (fresh.root / "feedback").exists() and not (fresh.root / "gradebook.db").exists()


@pytest.mark.parametrize("tex, holds", [
    (r"\text{mask}_i = [\,|w_i| \ge t\,]", "<msub><mtext>mask</mtext><mi>i</mi></msub>"), (r"\frac12", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
    (r"\sum_{i=1}^{n} \hat w_i^2", "<mo>∑</mo>"), (r"\begin{cases} 1 & x > 0 \\ 0 & \text{else} \end{cases}", "<mi>x</mi><mo>&gt;</mo><mn>0</mn></mtd>"),
    (r"\lambda \in \mathbb{R}", "<mi>λ</mi><mo>∈</mo><mi>ℝ</mi>"), (r"\text{&lt;b>}", "<mtext>&lt;b&gt;</mtext>")])
def test_formulas_become_mathml(tex, holds):
    assert holds in mathml(tex, display=False)


@pytest.mark.parametrize("tex", [r"\evil{javascript:alert(1)}{x}", r"\href{javascript:alert(1)}{x}", r"\style{color:red}{x}", r"\left( x", "{" * 3000,
                                 "x" * 10_000])
def test_a_formula_that_is_not_known_stays_tex(tex):
    with pytest.raises(ValueError):
        mathml(tex, display=True)
    assert "<math" not in prose(f"$${tex}$$") and "<code>" in prose(f"$${tex}$$")


def test_every_formula_of_the_course_becomes_mathml():
    releases = sorted((ROOT / "assignments").glob("*/*.ipynb"))
    formulas = [m for path in releases for c in nbformat.read(path, 4).cells if c.cell_type == "markdown" for m in FORMULA.finditer(c.source)]
    assert formulas and all(mathml(m[1] or m[2], display=m[1] is not None) for m in formulas)


def test_an_answer_that_nobody_has_marked_yet_says_so():
    schema = {"grade_id": "why", "grade": True, "solution": True, "score": 0.0, "points": 5.0, "waits": True, "by_hand": False, "comment": None}
    told = {"flags": [], "exercises": [{"name": "why", "status": "manual", "message": "", "cells": ["why"]}]}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("Because.", metadata={"nbgrader": schema})], metadata={"autograder": told})
    about = dict(notebook="n", assignment="n", student="ada", score=7.0, max_score=12.0, late_penalty=0)
    page, _ = FeedbackPage().from_notebook_node(notebook, {"nbgrader": about})
    assert "<b>7</b> of 12 points; 5 of them are not marked yet" in page and "– / 5" in page and "Because." in page
