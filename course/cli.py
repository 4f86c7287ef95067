"""The learner's command line: `course check` grades the notebook you work in, with the full hidden tests, on your own machine.

Exit code 0: all that was checked passed; 1: something did not; 2: it could not be checked, and one line says why.
"""
import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autograder.assignment import Assignment, AssignmentError
from autograder.build import build
from autograder.files import write_whole
from autograder.graft import read_cells
from autograder.grader import Grader, GraderError
from autograder.isolation import IsolationError
from autograder.layout import Layout
from autograder.result import Result
from autograder.summary import sign

console, errors = Console(), Console(stderr=True)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="course", description="Learn: check your own work.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("check", help="grade the notebook you work in, in work/")
    one.add_argument("assignment", nargs="?", metavar="ASSIGNMENT", help="its name, or how it begins: 01 (default: all in work/)")
    one.add_argument("exercise", nargs="?", metavar="EXERCISE", help="only this one, which is faster")
    one.add_argument("--root", type=Path, default=Path.cwd(), help="the course's folder (default: this one)")
    one.add_argument("--isolation", choices=["process", "bubblewrap"], default="process",
                     help="bubblewrap: in the sandbox that instructors grade in (default: process, with your own rights)")
    options = parser.parse_args(arguments)
    try:
        return check(Layout(options.root.resolve()), options.assignment, options.exercise, options.isolation)
    except (AssignmentError, GraderError, IsolationError) as error:
        errors.print(f"course: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        errors.print("course: interrupted", style="red")
        return 130


def check(layout: Layout, given: str | None, exercise: str | None, isolation: str) -> int:
    """Check one assignment, one exercise of it, or all that are in work/."""
    known = layout.assignments()
    if not known:
        raise AssignmentError(f"no course in {layout.root}; change into the course's folder, or name it with --root")
    if given:
        names = [_choose(given, known, "assignment")]
    else:
        names = [name for name in known if notebook_of(layout, name).exists()]
        if not names:
            raise AssignmentError(f"nothing in work/ yet; begin with: course check {known[0]}")
    return max([_check_one(layout, name, exercise, isolation) for name in names])


def notebook_of(layout: Layout, name: str) -> Path:
    """Where a learner works on an assignment; git ignores it, and the build never writes there."""
    return layout.root / "work" / name / f"{name}.ipynb"


def _check_one(layout, name, given, isolation) -> int:
    with errors.status(f"checking {name}"):
        build(layout, name)
        assignment, place = layout.load(name), notebook_of(layout, name)
        exercise = _choose(given, [e.name for e in assignment.exercises], "exercise") if given else None
        if not place.exists():
            return _begin(layout, name, place)
        submission = place.read_bytes()
        try:
            read_cells(submission)
        except ValueError as error:
            raise AssignmentError(f"{place}: {error}; mend it, or move it away and begin again with: course check {name}") from None
        if exercise:
            submission = _only(submission, exercise, assignment)
        with Grader(layout.root, assignment, layout.paths(name), isolation) as grader:
            result = grader.verdict("you", submission)
    return _tell(result, assignment, exercise)


def _begin(layout, name, place) -> int:
    write_whole(place, layout.release(name).read_bytes())
    shown = place.relative_to(layout.root)
    console.print(f"Your copy of {name} is ready. Open it with: jupyter lab {shown}\nAnswer an exercise, save, and run: course check {name}",
                  markup=False, highlight=False, soft_wrap=True)
    return 0


def _only(submission: bytes, exercise: str, assignment: Assignment) -> bytes:
    """The notebook with the answers to all other exercises taken out, so that they are not run."""
    kept = next(e.answers for e in assignment.exercises if e.name == exercise)
    others = {a for e in assignment.exercises for a in e.answers} - set(kept)
    notebook = json.loads(submission)
    for cell in notebook["cells"]:
        meta = cell.get("metadata") if isinstance(cell, dict) else None
        schema = meta.get("nbgrader") if isinstance(meta, dict) else None
        if isinstance(schema, dict) and schema.get("grade_id") in others:
            cell["source"] = ""
    return json.dumps(notebook).encode()


def _tell(result: Result, assignment: Assignment, only: str | None) -> int:
    """One line per exercise and the total; 0 if all passed that can be checked."""
    checked = [e for e in result.exercises if only in (None, e.name)]
    by_hand = {e.name for e in assignment.exercises if e.manual}
    table = Table(box=None, show_header=False, padding=(0, 1))
    for justify in ("left", "left", "right", "left"):
        table.add_column(justify=justify, no_wrap=justify == "right")
    for e in checked:
        message = "not checked here: a person marks it" if e.status == "manual" else e.message
        table.add_row(sign(e), Text(e.name), f"{e.score:g} / {e.max_score:g}" if e.name not in by_hand else "", Text(message))
    graded = [e for e in checked if e.name not in by_hand]
    if not only:
        table.add_row("", "total", f"{sum(e.score for e in graded):g} / {sum(e.max_score for e in graded):g}", "", style="bold")
    console.print(Text(assignment.name, style="bold"))
    console.print(table)
    for flag in result.flags:
        console.print(flag, style="dim", markup=False, highlight=False, soft_wrap=True)
    return 0 if all(e.status == "passed" for e in graded) else 1


def _choose(given: str, known: list[str], what: str) -> str:
    """The one of `known` that is meant: by its whole name, or by how it alone begins."""
    found = [given] if given in known else [name for name in known if name.startswith(given)]
    if len(found) != 1:
        raise AssignmentError(f"{given!r} {'begins more than one' if found else 'is no'} {what}; there are: {', '.join(found or known)}")
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
