"""The graft: the instructor's notebook with the student's answers put into it, and their own extra cells in place.

Takes nothing else from a submission: no metadata, no outputs, no cell type, no test. Does not run anything.
"""
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from .assignment import Assignment, grade_id, role

MAX_BYTES = 20 << 20
MAX_CELLS, MAX_EXTRA_CELLS = 5000, 200
MAX_SOURCE = 1 << 20


@dataclass
class Graft:
    """The cells that will be graded. `answers` holds each answer's source, None where the student left it as it was;
    `missing` names the answers that are given nowhere, in no extra cell either."""
    cells: list = field(default_factory=list)
    answers: dict[str, str | None] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    flags: list[str] = field(default_factory=list)


@dataclass
class _Cell:
    """What is read of one submitted cell."""
    kind: str
    source: str
    id: str
    grade_id: str

    @cached_property
    def names(self) -> set[str]:
        """What it seems to define. Not parsed: a parser can be kept busy for minutes."""
        return {a or b for a, b in re.findall(r"(?m)^(?:async +)?(?:def|class) +(\w+)|^(\w+) *=(?!=)", self.source)}


def read_cells(submission: bytes) -> list[_Cell]:
    """The cells of a submitted notebook; raises ValueError with the reason where it is none."""
    if len(submission) > MAX_BYTES:
        raise ValueError(f"the notebook is larger than {MAX_BYTES >> 20} MB")
    try:
        cells = json.loads(submission)["cells"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("the file is no notebook") from None
    if type(cells) is not list:
        raise ValueError("the file is no notebook")
    if len(cells) > MAX_CELLS:
        raise ValueError(f"the notebook has more than {MAX_CELLS} cells")
    return [_Cell(_text(c.get("cell_type")), _source(c.get("source")), _text(c.get("id")), _text(_meta(c).get("grade_id")))
            for c in cells if type(c) is dict]


def graft(assignment: Assignment, submission: bytes) -> Graft:
    """Put a submission's answers into the instructor's notebook. Never raises: an unreadable submission gives an empty graft."""
    result = Graft()
    try:
        submitted = read_cells(submission)
    except ValueError as error:
        submitted = []
        result.flags.append(f"unreadable: {error}")
    released = {grade_id(c): c for c in assignment.release.cells}
    places = _match(assignment, released, submitted, result.flags)
    extra, behind, elsewhere = defaultdict(list), "", set()
    left = MAX_EXTRA_CELLS
    for number, cell in enumerate(submitted):
        if number in places:
            behind = places[number]
        elif cell.source.strip():
            elsewhere.update(cell.names)
            left -= 1
            if left >= 0:
                make = new_code_cell if cell.kind == "code" else new_markdown_cell
                extra[behind].append(make(cell.source, id=f"extra-{number}", metadata={"autograder": {"extra": True}}))
    if left < 0:
        result.flags.append(f"more than {MAX_EXTRA_CELLS} extra cells; the others were left out")
    result.cells += extra[""]
    for cell in map(nbformat.from_dict, assignment.source.cells):
        name = grade_id(cell)
        if role(cell) in ("answer", "manual"):
            given = [submitted[n].source for n, place in places.items() if place == name]
            filled = [s for s in given if s.strip() and not _same(s, released[name].source)]
            if len(given) > 1:
                result.flags.append(f"{name}: {len(given)} answer cells; the last one that is not empty counts")
            names = set(assignment.answer_names.get(name, ()))
            if not filled and not (names and names <= elsewhere):
                result.missing.add(name)
            result.answers[name] = filled[-1] if filled else None
            cell.source = filled[-1] if filled else released[name].source
        result.cells += [cell, *extra[name]]
    return result


def _match(assignment, released, submitted, flags) -> dict[int, str]:
    """Which submitted cell stands for which of the instructor's: by grade_id, then cell id, then content."""
    places, changed = {}, []
    for number, cell in enumerate(submitted):
        found = [key for key in (cell.grade_id, cell.id) if key in released] or \
                [name for name, c in released.items() if _same(c.source, cell.source)]
        if found:
            places[number] = found[0]
            if role(released[found[0]]) in ("test", "setup") and not _same(cell.source, released[found[0]].source):
                changed.append(found[0])
    for name in assignment.answer_names.keys() - places.values():       # the answer cell is gone: a cell that defines its names stands in
        wanted = set(assignment.answer_names[name])
        for number, cell in enumerate(submitted):
            if number not in places and wanted and wanted <= cell.names:
                places[number] = name
    gone = [n for n, cell in released.items() if role(cell) in ("answer", "test", "manual") and n not in places.values()]
    for what, names in (("changed", changed), ("missing", gone if submitted else [])):
        if names:
            flags.append(f"{what} by the student, the instructor's used: {', '.join(dict.fromkeys(names))}")
    return places


def _same(a: str, b: str) -> bool:
    return a == b or "".join(a.split()) == "".join(b.split())


def _text(value) -> str:
    return value[:200] if type(value) is str else ""


def _source(value) -> str:
    if type(value) is list:
        value = "".join(part for part in value if type(part) is str)
    return value[:MAX_SOURCE].encode("utf-8", "replace").decode() if type(value) is str else ""


def _meta(cell) -> dict:
    meta = cell.get("metadata")
    meta = meta.get("nbgrader") if type(meta) is dict else None
    return meta if type(meta) is dict else {}
