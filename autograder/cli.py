"""The instructor's command line: `autograder build`, `grade`, `audit`, `demo`. Errors are one line; exit code 2 says it was one of them,
exit code 1 that some submission got no verdict, or that an audit found problems."""
import argparse
import json
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .assignment import AssignmentError
from .build import build
from .grade import grade
from .grader import FAULT, GraderError
from .isolation import IsolationError
from .layout import Layout
from .result import Result, report

console = Console(stderr=True)
COLOURS = {"passed": "green", "failed": "yellow", "error": "yellow", "manual": "cyan", "missing": "dim"}
WARNING = "[bold white on red] NO SANDBOX [/] --isolation process: student code runs with your rights. For your own work only."


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="autograder", description="Build, grade and check assignments.")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the course's folder (default: this one)")
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--root", type=Path, default=argparse.SUPPRESS, help="the course's folder (default: this one)")
    isolation = argparse.ArgumentParser(add_help=False)
    isolation.add_argument("--isolation", choices=["bubblewrap", "process"], default="bubblewrap",
                           help="process: no sandbox, for your own work on your own machine")
    one = commands.add_parser("build", parents=[shared], help="make the release notebooks from solutions/")
    one.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="default: all")
    one = commands.add_parser("grade", parents=[shared, isolation], help="grade submitted/ into the gradebook")
    one.add_argument("assignment", metavar="ASSIGNMENT")
    one.add_argument("--student", nargs="+", action="extend", metavar="ID", help="only these")
    one.add_argument("--jobs", type=int, help="submissions graded at once (default: one per processor)")
    one.add_argument("--json", type=Path, metavar="FILE", help="write every result there")
    one = commands.add_parser("demo", parents=[shared, isolation], help="a simulated class, submitted and graded in demo/")
    one = commands.add_parser("audit", parents=[shared], help="show whether the tests of assignments tell right answers from wrong ones")
    one.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="default: all")
    one.add_argument("--full", action="store_true", help="trust no record of an earlier audit")
    one.add_argument("--json", type=Path, metavar="FILE", help="write the reports there")
    options = parser.parse_args(arguments)
    options.root = options.root.resolve()
    try:
        return {"build": _build, "grade": _grade, "demo": _demo, "audit": _audit}[options.command](options)
    except (AssignmentError, GraderError, IsolationError) as error:
        console.print(f"autograder: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        kept = "nothing was written" if options.command == "audit" else "what was graded so far is kept"
        console.print(f"autograder: interrupted; {kept}. Run the same command again", style="red")
        return 130


def _build(options) -> int:
    layout = Layout(options.root)
    for name in options.assignments or layout.assignments():
        console.print(f"{name}: {'built' if build(layout, name) else 'up to date'}", highlight=False)
    return 0


def _grade(options) -> int:
    layout = Layout(options.root)
    if options.json and not options.json.resolve().parent.is_dir():
        raise AssignmentError(f"no folder {options.json.resolve().parent} to write {options.json.name} into; make it first")
    results = grade_with_progress(layout, options.assignment, options.student, options.isolation, options.jobs)
    if options.json:
        beside = options.json.with_name(f".{options.json.name}.new")
        beside.write_text(json.dumps(report(options.assignment, results), indent=1))
        os.replace(beside, options.json)
    print_summary(results)
    return 1 if any(flag.startswith(FAULT) for r in results for flag in r.flags) else 0


def grade_with_progress(layout, assignment, students, isolation, jobs=None) -> list[Result]:
    """Grade with a progress bar."""
    if isolation == "process":
        console.print(WARNING)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[last]}")
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("warming up", total=None, last="")
        return grade(layout, assignment, students, isolation, jobs=jobs,
                     started=lambda total: progress.update(task, description="grading", total=total),
                     graded=lambda result: progress.update(task, advance=1, last=result.student))


def print_summary(results: list[Result]):
    """One row per submission, one column per exercise; below it what was odd."""
    table = Table(header_style="bold")
    table.add_column("student")
    for exercise in results[0].exercises:
        table.add_column(exercise.name)
    table.add_column("score", justify="right")
    ordered = sorted(results, key=lambda r: r.student)
    for result in ordered:
        cells = [f"[{COLOURS.get(e.status, 'red')}]{e.status}[/] {e.score:g}" + (f"\n[dim]{e.mistake}[/]" if e.mistake else "")
                 for e in result.exercises]
        table.add_row(escape(result.student), *cells, f"{result.score:g} / {result.max_score:g}")
    console.print(table)
    for result in ordered:
        for flag in result.flags:
            console.print(f"{result.student}: {flag}", markup=False, highlight=False, soft_wrap=True)


def _demo(options) -> int:
    from .demo import run_demo
    return run_demo(options.root, options.isolation, console)


def _audit(options) -> int:
    from .audit.report import run
    return run(Layout(options.root), options.assignments, options.full, options.json, console)


if __name__ == "__main__":
    sys.exit(main())
