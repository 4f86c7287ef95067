"""Feedback: one HTML page a student, made by nbgrader's own generate_feedback with the preprocessor and the exporter given here.

A page holds what was answered, scored and said, and no script at all: its policy lets none run, whatever a notebook holds. Everything is
escaped by the template but the prose that `sanitize` cleaned, the formulas that `mathml` set and the code that pygments escaped.
Does not grade, and writes no gradebook.
"""
import base64
import functools
import hashlib
import json
import os
import re
import tempfile
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from nbconvert.exporters.base import Exporter
from nbconvert.exporters.exporter import FilenameExtension
from nbgrader.converters import GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import GetGrades
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from traitlets.config import Config

from .assignment import AssignmentError, grade_id, role, split_test
from .files import write_whole
from .layout import Layout
from .mathml import mathml
from .sanitize import clean_outputs, markdown_to_html

HERE = Path(__file__).parent
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(?!\s)([^$]+?)(?<!\s)\$(?!\d)", re.S)
OUTPUT, IMAGES = 64 << 10, 32 << 20                    # characters of text and of images that the page shows of one cell
LONGEST = 100_000                                     # characters of code that are coloured
PROSE = 100_000                                       # characters of a student's markdown that are set, all cells together
LABELS = {"answer": "Your answer", "manual": "Your answer", "test": "Tests", "extra": "A cell of your own"}
OUTCOMES = {"failed": "wrong", "error": "raised an error", "timeout": "took too long", "crashed": "crashed", "missing": "not answered"}


class FeedbackGrades(GetGrades):
    """nbgrader's scores and comments, and who gave the score: a preprocessor of generate_feedback."""

    def _get_score(self, cell, resources):
        super()._get_score(cell, resources)
        about = cell.metadata.nbgrader
        grade = self.gradebook.find_grade(about.grade_id, self.notebook_id, self.assignment_id, self.student_id)
        about["by_hand"] = grade.manual_score is not None
        about["waits"] = grade.auto_score is None and grade.manual_score is None


class FeedbackPage(Exporter):
    """An autograded notebook as a page for its student."""

    file_extension = FilenameExtension(".html")
    output_mimetype = "text/html"

    def from_notebook_node(self, nb, resources=None, **kw):
        nb, resources = super().from_notebook_node(nb, resources, **kw)
        told = nb.metadata.get("autograder", {})
        grades = {grade_id(c): c.metadata.nbgrader for c in nb.cells if "score" in c.metadata.get("nbgrader", {})}
        cells, left = [], PROSE
        for cell in (c for c in nb.cells if c.metadata.get("autograder") != "rubric"):
            left -= len(cell.source) if cell.cell_type == "markdown" and (role(cell) == "manual" or cell.metadata.get("autograder")) else 0
            cells.append(_cell(cell, prose if left >= 0 else _plain))
        rows = [_row(e, [grades[n] for n in e["cells"] if n in grades]) for e in told.get("exercises", [])]
        return _page(cells=cells, rows=rows, flags=told.get("flags", []), **resources["nbgrader"]), resources


def generate(layout: Layout, name: str, students: list[str] | None = None, made=lambda student: None) -> list[Path]:
    """Write the pages of `students`, or of all who are graded; gives their paths and calls `made` after each.

    Raises AssignmentError where nothing is graded, and, after all the others are written, where a page could not be made.
    """
    graded = sorted(p.parent.parent.name for p in (layout.root / "autograded").glob(f"*/{name}/{name}.ipynb"))
    if not graded or not (layout.root / "gradebook.db").exists():
        layout.load(name)
        raise AssignmentError(f"nothing of {name} is graded yet; run: autograder grade {name}")
    if unknown := sorted(set(students or ()) - set(graded)):
        raise AssignmentError(f"no graded submission of {', '.join(unknown)}; run: autograder grade {name}")
    pages, failed = [], {}
    with tempfile.TemporaryDirectory() as scratch:
        for student in sorted(set(students or graded)):
            converter = _converter(layout, name, student, scratch)
            try:
                converter.start()
            except NbGraderException as error:
                failed[student] = converter.cause or error
            else:
                pages.append(_swap(Path(scratch) / student / name, layout.feedback(name, student)))
            made(student)
    if failed:
        student, error = next(iter(failed.items()))
        others = f" (and of {len(failed) - 1} others)" if len(failed) > 1 else ""
        raise AssignmentError(f"no feedback for {student}{others}: {type(error).__name__}: {error}; grade {name} again, or see it all with: "
                              f"nbgrader generate_feedback {name} --student={student} --force")
    return pages


class _Converter(GenerateFeedback):
    """nbgrader's converter of one student, whose id is no pattern, and which remembers what went wrong."""

    cause: Exception | None = None

    def init_notebooks(self):
        folder = self._format_source(self.coursedir.assignment_id, self.coursedir.student_id)
        self.assignments = {folder: [os.path.join(folder, f"{self.coursedir.assignment_id}.ipynb")]}

    def convert_single_notebook(self, notebook_filename):
        try:
            super().convert_single_notebook(notebook_filename)
        except Exception as error:
            self.cause = error
            raise


def _converter(layout, name, student, scratch) -> _Converter:
    config = Config()
    config.CourseDirectory.update(root=str(layout.root), assignment_id=name, student_id=student, db_url=layout.database, feedback_directory=scratch)
    config.GenerateFeedback.update(preprocessors=[FeedbackGrades], exporter_class=FeedbackPage)
    converter = _Converter(coursedir=CourseDirectory(config=config), config=config)
    converter.log.setLevel("CRITICAL")
    return converter


def _swap(made: Path, place: Path) -> Path:
    """Put a page, and the time of its submission, in place."""
    for path in (made / place.name, made / "timestamp.txt"):
        if path.exists():
            write_whole(place.with_name(path.name), path.read_bytes())
    return place


def _row(exercise: dict, grades: list[dict]) -> dict:
    """One line of the table: what came of an exercise, in a student's words."""
    score, points = sum(g["score"] for g in grades), sum(g["points"] for g in grades)
    status, message = exercise["status"], exercise["message"]
    if any(g["waits"] for g in grades):
        outcome, message = "not marked yet", "Your instructor marks this one."
    elif any(g["by_hand"] for g in grades):
        outcome = "marked by your instructor"
    else:
        outcome = "right" if score >= points else "partly right" if score > 0 else OUTCOMES.get(status, status)
    tone = "waits" if outcome == "not marked yet" else _tone(score, points)
    return {"name": exercise["name"], "score": score, "points": points, "outcome": outcome, "tone": tone,
            "message": "" if status == "missing" and message == "not answered" else message}


def _tone(score, points) -> str:
    return "right" if score >= points else "partly" if score > 0 else "wrong"


def _cell(cell, markdown) -> dict:
    """What the template shows of one cell; `markdown` sets its prose."""
    kind, about = role(cell), cell.metadata.get("nbgrader", {})
    if cell.metadata.get("autograder"):
        kind = "extra"
    source = split_test(cell.source)[0] if kind == "test" else cell.source
    made = {"kind": kind, "label": LABELS.get(kind, ""), "anchor": grade_id(cell) if kind in ("answer", "manual", "test") else "",
            "comment": "", "message": "", "points": None, "tone": "", "html": {"code": _code, "markdown": markdown}.get(cell.cell_type, _plain)(source), "outputs": _outputs(cell)}
    if "score" in about:
        made |= {"score": about.score, "points": about.points, "waits": about.get("waits"), "tone": _tone(about.score, about.points)}
    if about.get("comment"):
        made["comment"] = prose(about.comment)
    if kind == "test":
        made["message"] = "".join(o.text for o in cell.outputs if o.output_type == "stream").strip()
        made["outputs"] = []
    return made


def _outputs(cell) -> list[dict]:
    """A cell's outputs as texts and data URLs, cleaned once more."""
    found, given = [], json.loads(json.dumps(cell.get("outputs", [])))
    for output in given:
        if "traceback" in output:
            output["traceback"] = [f"{line}\n" for line in output["traceback"]]
    for output in clean_outputs(given, OUTPUT, IMAGES):
        data = output.get("data", {})
        image = next((f"data:{mime};base64,{''.join(data[mime].split())}" for mime in ("image/png", "image/jpeg") if mime in data), "")
        text = output.get("text") or "\n".join(output.get("traceback", ())) or data.get("text/plain", "")
        found.append({"kind": output.get("name", output.output_type), "image": image, "text": text})
    return found


@functools.lru_cache(1000)                           # statements are the same on every student's page
def prose(source: str) -> Markup:
    """Markdown as HTML with nothing alive in it, and its formulas as MathML; one that `mathml` does not know stays as TeX."""
    try:
        soup = BeautifulSoup(markdown_to_html(source), "html.parser")
        for link in soup.find_all("a", string="¶"):            # nbconvert's links from headings to themselves
            link.decompose()
        for text in soup.find_all(string=FORMULA):
            if not text.find_parent(("pre", "code")):
                text.replace_with(BeautifulSoup(_with_formulas(str(text)), "html.parser"))
        return Markup(str(soup))
    except RecursionError:
        return _plain(source)


def _with_formulas(text: str) -> str:
    made, end = [], 0
    for match in FORMULA.finditer(text):
        made.append(escape(text[end:match.start()]))
        end = match.end()
        try:
            made.append(mathml(match[1] or match[2], display=match[1] is not None))
        except ValueError:
            made.append(f"<code>{escape(match[0])}</code>")
    return "".join(made) + escape(text[end:])


def _code(source: str) -> Markup:
    if len(source) > LONGEST:
        return _plain(source)
    return Markup(highlight(source, PythonLexer(), HtmlFormatter(cssclass="code")))


def _plain(source: str) -> Markup:
    return Markup("<pre>{}</pre>").format(source)


def _page(**what) -> str:
    style = Markup((HERE / "feedback.css").read_text() + HtmlFormatter(style="default").get_style_defs(".code"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["points"] = lambda number: f"{round(number, 2):g}"
    return environment.get_template("feedback.html.j2").render(style=style, policy=policy, **what)
