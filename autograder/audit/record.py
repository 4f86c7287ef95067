"""What is kept of an audit that passed: `solutions/<assignment>/audit.json`, with the hashes of everything that decided it.

Python is hashed as its syntax, so that a comment or another line break changes nothing. Also reads `equivalents.yml`.
"""
import ast
import hashlib
import json
import re
from pathlib import Path

import yaml

from ..assignment import Assignment, AssignmentError, Exercise, grade_id, role
from ..files import write_whole
from ..layout import Layout

SCHEMA = 1
PACKAGE = Path(__file__).resolve().parent.parent
OUTSIDE = ("cli", "demo", "feedback", "files", "grade", "gradebook", "mathml", "members", "preprocessors", "report", "sanitize", "submissions",
           "summary")                                   # decide no audit
DECIDING = ("checks", "compare", "audit/mutants")    # what decides about a mutant, with the notebook's own text


def place(layout: Layout, name: str) -> Path:
    return layout.solution(name) / "audit.json"


def load(layout: Layout, name: str) -> dict:
    """The record; empty where there is none of this schema."""
    try:
        record = json.loads(place(layout, name).read_text())
        return record if record["schema"] == SCHEMA and type(record["report"]["exercises"]) is list else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def save(layout: Layout, name: str, keys: dict, report: dict):
    """Write the record, unless all but its times and memory is there already."""
    old = load(layout, name)
    measured = {"seconds": round(report["seconds"], 1), "peak_mb": round(report["peak_mb"])}
    if old and old == {"schema": SCHEMA, "keys": keys, "report": report | {k: old["report"].get(k) for k in measured}}:
        return
    text = json.dumps({"schema": SCHEMA, "keys": keys, "report": report | measured}, indent=1, ensure_ascii=False)
    write_whole(place(layout, name), re.sub(r"[{[][^][{}]*[]}]", lambda inner: " ".join(inner[0].split()), text) + "\n")      # the innermost on one line


def keys(layout: Layout, assignment: Assignment, entry: dict, equivalents: dict) -> dict:
    """Hashes: of all that decides the audit, of what decides under stock nbgrader, and of what decides each exercise's mutants."""
    name = assignment.name
    cells = [c.source for c in assignment.source.cells]
    imported = _imported(layout, assignment)
    setup = [c.source for c in assignment.source.cells if role(c) == "setup"] + imported
    kit = [_python(p) for p in sorted(PACKAGE.rglob("*.py")) if p.stem not in OUTSIDE]
    deciding = [_python(PACKAGE / f"{module}.py") for module in DECIDING]
    files = sorted(p for p in layout.solution(name).iterdir() if p.suffix in (".py", ".yml", ".ipynb"))
    release = layout.release(name)
    return {"audit": _hash(kit, imported, cells, [p.read_text() for p in files], release.read_text() if release.exists() else "", entry),
            "stock": _hash(imported, cells),
            "mutants": {e.name: _hash(deciding, setup, _cells(assignment, e), equivalents.get(e.name)) for e in assignment.exercises if not e.manual}}


def equivalents(layout: Layout, name: str) -> dict[str, dict[str, str]]:
    """For each exercise, the diffs of mutants that are no mistakes, each with its reason. Raises AssignmentError if the file is malformed."""
    path = layout.solution(name) / "equivalents.yml"
    if not path.exists():
        return {}
    try:
        told = yaml.safe_load(path.read_text()) or {}
        found = {exercise: {entry["diff"]: entry["reason"].strip() for entry in entries} for exercise, entries in told.items()}
    except (yaml.YAMLError, TypeError, KeyError, AttributeError):
        found = None
    if found is None or not all(type(d) is str and reason for entries in found.values() for d, reason in entries.items()):
        raise AssignmentError(f"{path}: wants, for each exercise, a list of {{diff: |, reason: }}; take the diff from the audit's list of survivors")
    return found


def _cells(assignment: Assignment, exercise: Exercise) -> list[str]:
    return [c.source for c in assignment.source.cells if grade_id(c) in (*exercise.answers, *exercise.tests)]


def _imported(layout: Layout, assignment: Assignment) -> list[str]:
    """What the notebook uses of the course's own modules, as syntax: all but the functions and classes that neither it nor what it uses names.

    The kit's modules are counted by themselves, wherever it lies.
    """
    words = set(re.findall(r"\w+", "\n".join(c.source for c in assignment.source.cells)))          # `from course import models` names a module, too
    places = [layout.root.joinpath(*name.split(".")) for name in assignment.modules if name.split(".")[0] != PACKAGE.name]
    files = sorted({p for one in places for p in (one.with_suffix(".py"), *(one / f"{word}.py" for word in words | {"__init__"})) if p.exists()})
    nodes, used = [node for p in files for node in ast.parse(p.read_text()).body], []
    while len(used) != len(used := [node for node in nodes if getattr(node, "name", None) in {None, *words}]):
        words.update(*(re.findall(r"\w+", ast.unparse(node)) for node in used))
    return [ast.dump(node) for node in used]


def _python(path: Path) -> str:
    return ast.dump(ast.parse(path.read_text()))


def _hash(*parts) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
