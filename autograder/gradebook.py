"""The one writer of nbgrader's gradebook and of `autograded/`. Nothing else in the kit touches either."""
import os
import sys
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbgrader import preprocessors as stock
from nbgrader.api import Gradebook
from nbgrader.utils import parse_utc

from .assignment import Assignment, AssignmentError
from .build import Stub
from .files import write_whole
from .layout import Layout
from .result import Result

# What nbgrader's generate_assignment does on the way to the gradebook.
REGISTER = [stock.LockCells, stock.ClearSolutions, Stub, stock.ClearOutput, stock.CheckCellMetadata, stock.ComputeChecksums, stock.SaveCells]


class Writer(AbstractContextManager):
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
            with suppress(ValueError, OverflowError):
                when["timestamp"] = parse_utc(timestamp)
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
        folder = self.layout.autograded(name, result.student)
        write_whole(folder / f"{name}.ipynb", result.notebook)
        if timestamp:
            write_whole(folder / "timestamp.txt", timestamp)

    def _register(self):
        """Have the gradebook know this assignment's cells as they are now."""
        name = self.assignment.name
        notebook = nbformat.from_dict(self.assignment.source)
        resources = ResourcesDict(nbgrader={"notebook": name, "assignment": name, "db_url": self.layout.database})
        self.gradebook.update_or_create_assignment(name)
        try:
            for kind in REGISTER:
                notebook, resources = kind().preprocess(notebook, resources)
        except RuntimeError:
            raise AssignmentError(f"{name}: its graded cells changed, and the gradebook holds submissions for the old ones; "
                                  f"keep a copy of gradebook.db, run: nbgrader db assignment remove {name} --force, and grade again") from None
        self.gradebook.db.expire_all()

    def __exit__(self, *_):
        self.gradebook.close()
