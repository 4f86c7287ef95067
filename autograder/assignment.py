"""The instructor's notebook: which cell is what, which exercises it has, what each answer must define.

Reads nbgrader's metadata and nothing else, so notebooks made with JupyterLab's Create Assignment work too.
"""
import ast
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat

BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
BEGIN_SOLUTION, END_SOLUTION = "### BEGIN SOLUTION", "### END SOLUTION"


class AssignmentError(Exception):
    """The instructor's notebook cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Exercise:
    """A gradable unit: its answer cells, and the cells that carry its points."""
    name: str
    answers: tuple[str, ...]
    tests: tuple[str, ...]
    points: float
    manual: bool = False


def role(cell) -> str:
    """What a cell is for: prose, setup, answer, test or manual."""
    meta = cell.metadata.get("nbgrader", {})
    if meta.get("task") or (meta.get("grade") and meta.get("solution")):
        return "manual"
    if meta.get("grade"):
        return "test"
    if meta.get("solution"):
        return "answer"
    return "setup" if cell.cell_type == "code" else "prose"


def grade_id(cell) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id") or cell.get("id", "")


def _parse(source: str) -> ast.Module:
    """A cell's syntax tree, without its magics; an empty one if the cell is no Python."""
    plain = "\n".join(line for line in source.split("\n") if not re.match(r"\s*[%!]", line))
    try:
        return ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.parse("")


def names_defined(source: str) -> list[str]:
    """The public names that a cell's top level defines, in order."""
    found = []
    for node in _parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            found.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    return [name for name in dict.fromkeys(found) if not name.startswith("_")]


def names_used(source: str) -> set[str]:
    """Every name that a cell reads, at any depth."""
    return {node.id for node in ast.walk(_parse(source)) if isinstance(node, ast.Name)}


@dataclass(frozen=True)
class Assignment:
    """One notebook of one assignment: as the instructor wrote it, and as students received it."""
    name: str
    source: nbformat.NotebookNode
    release: nbformat.NotebookNode
    mistakes: Path | None = None

    @classmethod
    def load(cls, name: str, source: Path, release: Path, mistakes: Path | None) -> "Assignment":
        assignment = cls(name, _read(source), _read(release), mistakes if mistakes and mistakes.exists() else None)
        if [grade_id(c) for c in assignment.source.cells] != [grade_id(c) for c in assignment.release.cells]:
            raise AssignmentError(f"{name}: source and release differ; run: autograder build {name}")
        if not assignment.exercises:
            raise AssignmentError(f"{name}: the notebook has no graded cell; mark tests with nbgrader's metadata")
        return assignment

    @cached_property
    def digest(self) -> str:
        """Changes when anything that decides a score changes."""
        text = nbformat.writes(self.source) + (self.mistakes.read_text() if self.mistakes else "")
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def answer_names(self) -> dict[str, list[str]]:
        """What each answer cell defines, by its grade_id."""
        return {grade_id(c): names_defined(c.source) for c in self.source.cells if role(c) == "answer"}

    @cached_property
    def exercises(self) -> list[Exercise]:
        """In the notebook's order. A test named `test_<answer>` or `test_<answer>_2` belongs to that answer, another one to itself."""
        found, answers = {}, []
        for cell in self.source.cells:
            kind, name = role(cell), grade_id(cell)
            points = float(cell.metadata.get("nbgrader", {}).get("points", 0))
            if kind == "answer":
                answers.append(name)
            elif kind == "manual":
                found[name] = Exercise(name, (name,), (name,), points, True)
            elif kind == "test":
                match = re.fullmatch(r"test_(.+?)(_\d+)?", name)
                owner = match and next((a for a in (match[1] + (match[2] or ""), match[1]) if a in self.answer_names), None)
                old = found.get(owner or name)
                found[owner or name] = Exercise(owner or name, (owner,) if owner else tuple(answers),
                                                (*(old.tests if old else ()), name), points + (old.points if old else 0))
        return list(found.values())

    @cached_property
    def max_score(self) -> float:
        return sum(e.points for e in self.exercises)

    @cached_property
    def demonstrations(self) -> set[str]:
        """Setup cells that use an answer, directly or through another such cell: they run for the student alone, not in the judge."""
        tainted, found = {n for names in self.answer_names.values() for n in names}, set()
        for cell in self.source.cells:
            if role(cell) == "setup" and names_used(cell.source) & tainted:
                tainted |= set(names_defined(cell.source))
                found.add(grade_id(cell))
        return found

    @cached_property
    def modules(self) -> list[str]:
        """What its cells import, for the zygotes to import once."""
        found = []
        for node in (node for c in self.source.cells if c.cell_type == "code" for node in ast.walk(_parse(c.source))):
            if isinstance(node, ast.Import):
                found += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.append(node.module)
        return list(dict.fromkeys(found))


def _read(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, 4)
    for number, cell in enumerate(notebook.cells):
        cell.setdefault("id", f"cell-{number}")
    notebook.nbformat_minor = max(5, notebook.nbformat_minor)
    return notebook


def solution(source: str) -> str:
    """What stands between the solution markers of an instructor's cell; nothing where there are none."""
    return source.partition(BEGIN_SOLUTION)[2].partition(END_SOLUTION)[0].strip()


def without_markers(source: str) -> str:
    """An instructor's cell without its solution markers: the answer as a student would have written it."""
    return "\n".join(line for line in source.split("\n") if line.strip() not in (BEGIN_SOLUTION, END_SOLUTION))


def split_test(source: str) -> tuple[str, str]:
    """A test cell's visible and hidden part."""
    visible, _, hidden = source.partition(BEGIN_HIDDEN)
    return visible, hidden.split("\n", 1)[1].partition(END_HIDDEN)[0] if hidden else ""
