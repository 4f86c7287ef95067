"""The one writer of nbgrader's gradebook and of `autograded/`. Nothing else in the kit touches either."""
import os
import sys
from pathlib import Path

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbgrader import preprocessors as stock
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.utils import parse_utc

from .assignment import Assignment, AssignmentError, grade_id
from .build import Stub
from .layout import Layout
from .result import Result

# What nbgrader's generate_assignment does on the way to the gradebook.
REGISTER = [stock.LockCells, stock.ClearSolutions, Stub, stock.ClearOutput, stock.CheckCellMetadata, stock.ComputeChecksums, stock.SaveCells]


class Writer:
    """Writes the results of one assignment. Use as a context manager."""

    def __init__(self, layout: Layout, assignment: Assignment):
        self.layout, self.assignment = layout, assignment
        tools = str(Path(sys.executable).parent)         # a new database is stamped by `alembic`, found through PATH
        if tools not in os.environ["PATH"].split(os.pathsep):
            os.environ["PATH"] = os.pathsep.join([tools, os.environ["PATH"]])
        self.gradebook = Gradebook(layout.database)
        try:
            self._register()
        except BaseException:
            self.gradebook.close()
            raise

    def write(self, result: Result, timestamp: str | None = None):
        """Record one result, all of it or nothing; a manual grade stays and is marked for review."""
        name, gradebook = self.assignment.name, self.gradebook
        gradebook.update_or_create_student(result.student)
        when = {}
        if timestamp:
            try:
                when = {"timestamp": parse_utc(timestamp)}
            except (ValueError, OverflowError):
                pass
        with gradebook.db.no_autoflush:
            submission = gradebook.update_or_create_submission(name, result.student, **when)
        (notebook,) = [n for n in submission.notebooks if n.name == name]
        for grade in notebook.grades:
            grade.auto_score = result.scores.get(grade.name)
            grade.needs_manual_grade = grade.auto_score is None or grade.manual_score is not None
        missing = {e.name for e in result.exercises if e.status == "missing"}
        for comment in notebook.comments:
            comment.auto_comment = "No response." if comment.name in missing else None
        gradebook.db.commit()
        self._write_notebook(result, timestamp)

    def _write_notebook(self, result, timestamp):
        folder = self.layout.autograded(self.assignment.name, result.student)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in ((f"{self.assignment.name}.ipynb", result.notebook), ("timestamp.txt", timestamp)):
            if text:
                beside = folder / f".{name}.new"
                beside.write_text(text, encoding="utf-8")
                os.replace(beside, folder / name)

    def _register(self):
        """Have the gradebook know this assignment's cells as they are now."""
        name = self.assignment.name
        notebook = nbformat.from_dict(self.assignment.source)
        resources = ResourcesDict(nbgrader={"notebook": name, "assignment": name, "db_url": self.layout.database})
        for kind in REGISTER[:-1]:
            notebook, resources = kind().preprocess(notebook, resources)
        wanted = {grade_id(c): c.metadata.nbgrader.get("checksum") for c in notebook.cells if "nbgrader" in c.metadata}
        try:
            known = self.gradebook.find_notebook(name, name)
        except MissingEntry:
            self.gradebook.update_or_create_assignment(name)
        else:
            if {c.name: c.checksum for c in known.source_cells} == wanted:
                return
        try:
            REGISTER[-1]().preprocess(notebook, resources)
        except RuntimeError:
            raise AssignmentError(f"{name}: its graded cells changed, and the gradebook holds submissions for the old ones; "
                                  f"keep a copy of gradebook.db, run: nbgrader db assignment remove {name} --force, and grade again") from None
        self.gradebook.db.expire_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gradebook.close()
