"""A submission as a student could hand it in: the release notebook, changed at will, and whatever lies beside it.

Does not grade, and does not know what is hostile: that is `registry` and the families.
"""
import copy
import json
import os
from functools import cache
from pathlib import Path

from autograder.assignment import grade_id, role, without_markers
from autograder.build import source_notebook

ROOT = Path(__file__).resolve().parents[2]
ASSIGNMENT = "01-magnitude-pruning"
POINTS = {"threshold_prune": 3.0, "magnitude_mask": 4.0, "masked_train_step": 5.0}
NOTHING = dict.fromkeys(POINTS, 0.0)

# Honest wrong answers: each earns 0.
WRONG = {
    "threshold_prune": "def threshold_prune(w, t):\n    return w, np.ones(w.shape, bool)",
    "magnitude_mask": "def magnitude_mask(w, s):\n    return np.ones(w.shape, bool)",
    "masked_train_step": "def masked_train_step(model, masks, optimizer, batch):\n    return 0.0",
}

# Wrong answers that know the visible tests' inputs: they pass those, and earn 0 from the hidden ones.
LOOKUP = WRONG | {
    "threshold_prune": "def threshold_prune(w, t):\n"
                       "    if w.shape == (4,):\n"
                       "        return np.array([0.5, 0.0, 0.0, -0.9]), np.array([True, False, False, True])\n"
                       "    return w, np.ones(w.shape, bool)",
    "magnitude_mask": "def magnitude_mask(w, s):\n"
                      "    if w.shape == (2, 2):\n"
                      "        return np.array([[True, False], [False, True]])\n"
                      "    if w.shape == (4,):\n"
                      "        return np.array([True, True, False, False])\n"
                      "    return np.full(w.shape, s > 2, bool)",
}


@cache
def right_answers() -> dict[str, str]:
    """The reference of every exercise, by name."""
    notebook = source_notebook(ASSIGNMENT, ROOT / "solutions" / ASSIGNMENT / "notebook.py")
    return {grade_id(c): without_markers(c.source) for c in notebook.cells if role(c) == "answer"}


@cache
def release_text() -> str:
    return (ROOT / "assignments" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb").read_text()


class Submission:
    """One student's folder. `notebook` is the release as plain JSON; `raw` replaces its bytes."""

    def __init__(self, answers: dict[str, str]):
        self.notebook = json.loads(release_text())
        for cell in self.cells:
            cell["source"] = "".join(cell["source"])
        self.raw: bytes | None = None
        self.files: dict[str, bytes] = {}
        self.links: dict[str, str] = {}
        self.fifos: list[str] = []
        self.folders: list[str] = []
        self.no_notebook = False
        for name, source in answers.items():
            self.answer(name, source)

    @property
    def cells(self) -> list:
        return self.notebook["cells"]

    @property
    def file(self) -> str:
        """The notebook's own name in the folder."""
        return f"{ASSIGNMENT}.ipynb"

    def cell(self, name: str) -> dict:
        """The first cell with this grade_id or cell id."""
        return next(c for c in self.cells if name in (c["metadata"].get("nbgrader", {}).get("grade_id"), c.get("id")))

    def answer(self, name: str, source: str):
        self.cell(name)["source"] = source

    def right(self, *names: str):
        """Put the reference in for these exercises; for all where none is named."""
        for name in names or POINTS:
            self.answer(name, right_answers()[name])

    def lookup(self):
        """Put in answers that pass the visible tests alone."""
        for name, source in LOOKUP.items():
            self.answer(name, source)

    def extra(self, source: str, after: str | None = "setup-2", kind: str = "code", **fields) -> dict:
        """Add a cell of the student's own behind the cell `after`, or at the very start."""
        made = {"cell_type": kind, "id": f"mine-{len(self.cells)}", "metadata": {}, "source": source} | fields
        if kind == "code":
            made = {"execution_count": None, "outputs": []} | made
        place = self.cells.index(self.cell(after)) + 1 if after else 0
        while place < len(self.cells) and str(self.cells[place].get("id")).startswith("mine-"):
            place += 1                               # behind those added there before
        self.cells.insert(place, made)
        return made

    def bytes(self) -> bytes:
        return json.dumps(self.notebook).encode() if self.raw is None else self.raw

    def write(self, folder: Path):
        """Write the student's folder for this assignment: links, FIFOs and folders of its own come before the notebook."""
        folder.mkdir(parents=True)
        for path in self.folders:
            (folder / path).mkdir(parents=True, exist_ok=True)
        for path, data in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        for path, target in self.links.items():
            (folder / path).symlink_to(target)
        for path in self.fifos:
            os.mkfifo(folder / path)
        if not os.path.lexists(folder / self.file) and not self.no_notebook:
            (folder / self.file).write_bytes(self.bytes())

    def copy(self) -> "Submission":
        return copy.deepcopy(self)
