"""The wall as an nbgrader preprocessor, so that `nbgrader autograde` and the formgrader's button grade behind it too.

Takes the place of nbgrader's Execute, and comes before all that reads a submission.
"""
import atexit
import os
from pathlib import Path

import nbformat
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from . import submissions
from .build import build
from .grader import Grader
from .layout import Layout

_graders: dict[tuple, Grader] = {}


class Wall(NbGraderPreprocessor):
    """First sanitising step: the submission becomes the instructor's notebook with its answers, outputs and scores, graded behind the wall."""

    isolation = Unicode("bubblewrap", help="bubblewrap, or process: no sandbox, for your own work on your own machine").tag(config=True)

    def preprocess(self, nb, resources):
        layout, name, student = Layout(Path.cwd()), resources["nbgrader"]["assignment"], resources["nbgrader"]["student"]
        submissions.remove_refused(layout, name, student)
        given = submissions.read(layout, name, student)
        result = _grader(layout, name, self.isolation).verdict(student, given.notebook, given.flags)
        for flag in result.flags:
            self.log.warning("%s: %s", student, flag)
        return nbformat.reads(result.notebook, 4), resources


def _grader(layout, name, isolation) -> Grader:
    """One warm grader per assignment for the whole nbgrader run."""
    build(layout, name)
    assignment = layout.load(name)
    key = os.getpid(), layout.root, name, isolation, assignment.digest
    if key not in _graders:
        _graders[key] = Grader(layout.root, assignment, layout.paths(name), isolation)
        atexit.register(_graders[key].close)
    return _graders[key]
