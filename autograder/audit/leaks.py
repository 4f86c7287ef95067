"""Whether a release gives away what stays with the instructor: references, hidden tests, known answers, diagnoses, model answers.

Lines are compared without spaces and parentheses. One telling line (long enough to be no accident) is too many in metadata and outputs; in a cell that
students read, a secret text leaks where more than half of its telling lines stand there. Hints may come close to the answer, and are left out.
"""
import html
import re

import nbformat

from ..assignment import Assignment, grade_id, role, solution, split_test
from ..mistakes import KnownAnswer

LOOSE = str.maketrans("'", '"', "()")                # what ast.unparse may write otherwise
TELLING = 16                                         # characters
DESCRIPTION = re.compile(r"""\b(?:case|edge)\(\s*f?("[^"]{12,}"|'[^']{12,}')""")


def leaks(assignment: Assignment, release: nbformat.NotebookNode, known: list[KnownAnswer]) -> list[str]:
    """What `release` gives away, one problem a line."""
    cells = [(grade_id(c), solution(c.source), split_test(c.source)[1]) for c in assignment.source.cells]
    secrets = [(f"the reference of {cell}", answer) for cell, answer, _ in cells] + [(f"the hidden part of {cell}", hidden) for cell, _, hidden in cells]
    secrets += [(f"the {'mistake' if k.diagnosis else 'alternative'} {k.name}", k.source.rpartition("\n\n")[2]) for k in known]
    whole = [(f"the diagnosis of {k.name}", k.diagnosis) for k in known if k.diagnosis]
    whole += [(f"a case of {cell}", text[1:-1]) for cell, _, hidden in cells for text in DESCRIPTION.findall(hidden)]
    behind = _dense("\n".join(_strings([release.metadata, [[c.metadata, c.get("outputs")] for c in release.cells]])))
    found = []
    for cell in release.cells:
        shown = _dense(_without_hints(cell.source))
        for what, text in secrets:
            lines = _telling(text)
            if what.startswith("the mistake") and role(cell) == "setup":
                continue                                 # code to be repaired is shown, and is a mistake
            if lines and 2 * sum(line in shown for line in lines) > len(lines):
                found.append(f"the release shows {what} in cell {grade_id(cell)}; take it out of the source, and build again")
        found += [f"the release shows {what} in cell {grade_id(cell)}; take it out of the source, and build again"
                  for what, text in whole if _dense(text) in shown]
    for what, text in secrets + whole:
        if any(line in behind for line in _telling(text)):
            found.append(f"the release carries {what} in its metadata or outputs; build it again with: autograder build {assignment.name}")
    return list(dict.fromkeys(found))


def _telling(text: str) -> set[str]:
    dense = {_dense(line) for line in text.split("\n") if not line.strip().startswith("#")}
    return {line for line in dense if len(line) >= TELLING}


def _dense(text: str) -> str:
    return "".join(html.unescape(text).split()).translate(LOOSE)


def _without_hints(source: str) -> str:
    return re.sub(r"(?s)<details>.*?</details>", "", source)


def _strings(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _strings([str(key), item])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    else:
        yield str(value)
