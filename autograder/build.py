"""Build: percent source → nbgrader source notebook → release notebook, the last step by nbgrader's own generate_assignment.

Deterministic and incremental; both notebooks are made elsewhere and then swapped in, so a failed build changes nothing.
"""
import hashlib
import os
import re
import tempfile
import textwrap
from pathlib import Path

import jupytext
import nbformat
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import ClearSolutions, NbGraderPreprocessor
from traitlets.config import Config

from . import bank, questions
from .assignment import BEGIN_HIDDEN, BEGIN_SOLUTION, END_HIDDEN, Assignment, AssignmentError, names_defined, without_markers
from .files import write_whole
from .layout import Layout

KERNEL = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
          "language_info": {"name": "python"}}
SCHEMA_VERSION = 3


def build(layout: Layout, name: str) -> bool:
    """Build one assignment; False if it was up to date. Raises AssignmentError, and then leaves everything as it was."""
    written = next(iter(sorted(layout.solution(name).glob("notebook.*"))), None)
    if written is None:
        raise AssignmentError(f"no solutions/{name}/notebook.py; write one (docs/architecture.md shows the format)")
    asked = questions.files_used(layout, written.read_text(encoding="utf-8", errors="replace"))
    recipe = b"".join(Path(p).read_bytes() for p in (written, *asked, __file__, questions.__file__, bank.__file__))
    stamp, digest = layout.root / "build" / f"{name}.sha256", hashlib.sha256(recipe).hexdigest()
    if stamp.exists() and _digests(digest, layout.source(name), layout.release(name)) == stamp.read_text():
        return False
    with tempfile.TemporaryDirectory() as scratch:
        made = Layout(Path(scratch))
        made.source(name).parent.mkdir(parents=True)
        nbformat.write(source_notebook(name, written), made.source(name))
        _release(made, name)
        Assignment.load(name, made.source(name), made.release(name), None)
        for part in ("source", "release"):
            write_whole(layout.paths(name)[part], made.paths(name)[part].read_text(encoding="utf-8"))
    stamp.write_text(_digests(digest, layout.source(name), layout.release(name)))
    return True


def source_notebook(name: str, written: Path) -> nbformat.NotebookNode:
    """The instructor's notebook in nbgrader's full schema, from percent format or from a notebook that has it already."""
    try:
        notebook = jupytext.read(written)
    except Exception as error:
        raise AssignmentError(f"{written}: cannot be read: {error}") from None
    notebook.cells = questions.expand(notebook.cells, Layout(written.parents[2]))
    answers, tests = {}, {}
    for number, cell in enumerate(notebook.cells):
        meta = cell.metadata
        where = f"{written.name}, cell {number + 1}"
        if "nbgrader" in meta:
            identity = meta.nbgrader.get("grade_id")
        elif "answer" in meta or "manual" in meta:
            kind = "answer" if "answer" in meta else "manual"
            identity = _name(meta.pop(kind), where)
            meta["nbgrader"] = _schema(cell, identity, solution=True, points=meta.pop("points", None) if kind == "manual" else None)
            answers[identity] = cell.source
        elif "test" in meta:
            answer = _name(meta.pop("test"), where)
            if answer not in answers:
                raise AssignmentError(f"{where}: a test of {answer!r}, but no answer cell of that name before it")
            tests[answer] = tests.get(answer, 0) + 1
            identity = f"test_{answer}" + (f"_{tests[answer]}" if tests[answer] > 1 else "")
            points = float(meta.pop("points", 1))
            meta["nbgrader"] = _schema(cell, identity, solution=False, points=points)
            cell.source = _with_reference(cell.source, answers[answer], points, where)
        else:
            identity = f"{'setup' if cell.cell_type == 'code' else 'text'}-{number + 1}"
            if cell.cell_type == "code":
                meta["nbgrader"] = _schema(cell, identity, solution=False, points=None)
        cell.id = re.sub(r"[^\w-]", "-", identity or f"cell-{number + 1}")[:64]
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = nbformat.from_dict(KERNEL)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _schema(cell, identity, solution, points):
    meta = {"grade": points is not None, "grade_id": identity, "locked": not solution, "schema_version": SCHEMA_VERSION,
            "solution": solution, "task": False, "cell_type": cell.cell_type}
    return meta | ({"points": float(points)} if points is not None else {})


def _name(value, where) -> str:
    if not isinstance(value, str) or not value.isidentifier():
        raise AssignmentError(f"{where}: {value!r} is no name for an exercise; use the name of the function or class it asks for")
    return value


def _with_reference(test: str, answer: str, points: float, where: str) -> str:
    """The test with the reference copied into its hidden part, as an Exam over what the answer cell defines."""
    if test.count(BEGIN_HIDDEN) != test.count(END_HIDDEN) or test.count(BEGIN_HIDDEN) > 1:
        raise AssignmentError(f"{where}: wants one {BEGIN_HIDDEN!r} with its {END_HIDDEN!r}")
    if BEGIN_HIDDEN not in test:
        return test
    visible, hidden = test.split(BEGIN_HIDDEN)
    if hidden.split(END_HIDDEN)[1].strip():
        raise AssignmentError(f"{where}: nothing may follow {END_HIDDEN!r}")
    names = names_defined(answer)
    reference = textwrap.indent(without_markers(answer), "    ")
    given = ", ".join(f'"{n}": {n}' for n in names)
    lines = [BEGIN_HIDDEN, "from autograder import Exam, callback, case, edge, observe, seed", "", "",
             "def _reference():", reference, f"    return {{{given}}}", "", "",
             f"exam = Exam(points={points}, answers={{{given}}}, references=_reference())"]
    return visible + "\n".join(lines) + hidden


class Stub(NbGraderPreprocessor):
    """Gives an answer cell the stub that its metadata name, such as `x = None`, for nbgrader's `raise NotImplementedError()`."""

    def preprocess_cell(self, cell, resources, index):
        cell.source = cell.metadata.get("stub", cell.source)
        return cell, resources


def release_steps() -> list:
    """What makes a release of a source notebook: nbgrader's own preprocessors, and our stubs."""
    steps = GenerateAssignment.preprocessors.default()
    steps.insert(steps.index(ClearSolutions) + 1, Stub)
    return steps


def _release(layout: Layout, name: str):
    config = Config()
    config.CourseDirectory.update(root=str(layout.root), source_directory="build/source", release_directory="assignments",
                                  assignment_id=name, db_url="sqlite://")
    skipped = ("SaveCells", "InstantiateTests")          # the gradebook learns of the cells when it is first written
    config.GenerateAssignment.preprocessors = [p for p in release_steps() if p.__name__ not in skipped]
    directory = CourseDirectory(config=config)
    converter = GenerateAssignment(coursedir=directory, config=config, no_database=True, create_assignment=False)
    converter.log.setLevel("ERROR")
    here = os.getcwd()
    try:
        converter.start()
    except (NbGraderException, SystemExit) as error:
        raise AssignmentError(f"{name}: nbgrader could not make the release: {error}") from None
    finally:
        os.chdir(here)
    text = layout.release(name).read_text()
    for marker in (BEGIN_HIDDEN, BEGIN_SOLUTION, "_reference"):
        if marker in text:
            raise AssignmentError(f"{name}: the release still holds {marker!r}")


def _digests(recipe: str, *paths: Path) -> str:
    return "\n".join([recipe, *(hashlib.sha256(p.read_bytes()).hexdigest() if p.exists() else "none" for p in paths)])
