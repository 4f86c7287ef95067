"""The real notebook with a few of its exercises: as real, and quicker to grade."""
import jupytext

from autograder.assignment import names_used
from autograder.layout import Layout


def trim(layout: Layout, name: str, kept: set[str]):
    """Leave in a course's copy of an assignment the exercises, checks and questions that `kept` names, and no demonstration of what is left out."""
    path = layout.solution(name) / "notebook.py"
    notebook = jupytext.read(path)
    gone = {cell.metadata.get("answer") for cell in notebook.cells} - kept
    named = [{cell.metadata[kind] for kind in ("answer", "test", "check", "interview") if kind in cell.metadata} for cell in notebook.cells]
    notebook.cells = [cell for cell, names in zip(notebook.cells, named) if names <= kept and (cell.cell_type != "code" or not names_used(cell.source) & gone)]
    jupytext.write(notebook, path)
