"""The wall as nbgrader preprocessors, so that `nbgrader autograde` and the formgrader's button grade behind it too.

`Graft` replaces the submitted notebook by the instructor's with the student's answers; `Wall` fills in outputs and scores.
"""
import atexit
import os
from pathlib import Path

import nbformat
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from . import submissions
from .build import build
from .graft import graft
from .grader import Grader
from .layout import Layout

_graders: dict[tuple, Grader] = {}


class Graft(NbGraderPreprocessor):
    """The first sanitising step: nothing but answers is taken from a submission."""

    def preprocess(self, nb, resources):
        layout, name, student = _where(resources)
        submissions.remove_refused(layout, name, student)
        grafted = graft(layout.load(name), submissions.read(layout, name, student).notebook)
        nb = nbformat.v4.new_notebook(metadata=nb.metadata)
        nb.cells = grafted.cells
        return nb, resources


class Wall(NbGraderPreprocessor):
    """In place of nbgrader's Execute: the submission is graded behind the wall."""

    isolation = Unicode("bubblewrap", help="bubblewrap, or process: no sandbox, for your own work on your own machine").tag(config=True)

    def preprocess(self, nb, resources):
        layout, name, student = _where(resources)
        given = submissions.read(layout, name, student)
        result = _grader(layout, name, self.isolation).verdict(student, given.notebook, given.flags)
        for flag in result.flags:
            self.log.warning("%s: %s", student, flag)
        return nbformat.reads(result.notebook, 4), resources


def _where(resources) -> tuple[Layout, str, str]:
    about = resources["nbgrader"]
    return Layout(Path.cwd()), about["assignment"], about["student"]


def _grader(layout, name, isolation) -> Grader:
    """One warm grader per assignment for the whole nbgrader run."""
    build(layout, name)
    assignment = layout.load(name)
    key = os.getpid(), layout.root, name, isolation, assignment.digest
    if key not in _graders:
        _graders[key] = Grader(layout.root, assignment, layout.paths(name), isolation)
        atexit.register(_graders[key].close)
    return _graders[key]
