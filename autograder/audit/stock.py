"""Runs an instructor's notebook as stock nbgrader would, in a plain kernel without a wall, and prints each test's score as JSON.

A process of its own: `python -m autograder.audit.stock NOTEBOOK FOLDER TIMES`, the kernel started in FOLDER.
"""
import json
import logging
import sys

import nbformat
from nbgrader.preprocessors import Execute
from nbgrader.utils import determine_grade

from ..assignment import grade_id, role


def main(notebook: str, folder: str, times: str):
    logging.disable(logging.CRITICAL)
    found = []
    for _ in range(int(times)):
        executed, _ = Execute(timeout=600).preprocess(nbformat.read(notebook, 4), {"metadata": {"path": folder}})
        found.append({grade_id(c): determine_grade(c)[0] for c in executed.cells if role(c) == "test"})
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
