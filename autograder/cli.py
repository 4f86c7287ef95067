"""The instructor's command line: `autograder build`, `grade`, `feedback`, `audit`, `demo`. Errors are one line; exit code 2 says it was
one of them, exit code 1 that some submission got no verdict, or that an audit found problems."""
import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .assignment import AssignmentError
from .build import build
from .files import write_whole
from .grade import grade
from .grader import FAULT, GraderError
from .isolation import IsolationError
from .layout import Layout
from .result import Result, report
from .summary import print_summary

console = Console(stderr=True)
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
    one = commands.add_parser("feedback", parents=[shared], help="write what every student may read of their grading")
    one.add_argument("assignment", metavar="ASSIGNMENT")
    one.add_argument("--student", nargs="+", action="extend", metavar="ID", help="only these")
    one = commands.add_parser("demo", parents=[shared, isolation], help="a simulated class, submitted and graded in demo/")
    one.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="default: all")
    one = commands.add_parser("audit", parents=[shared], help="show whether the tests of assignments tell right answers from wrong ones")
    one.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="default: all")
    one.add_argument("--full", action="store_true", help="trust no record of an earlier audit")
    one.add_argument("--json", type=Path, metavar="FILE", help="write the reports there")
    options = parser.parse_args(arguments)
    options.root = options.root.resolve()
    try:
        return {"build": _build, "grade": _grade, "feedback": _feedback, "demo": _demo, "audit": _audit}[options.command](options)
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
        write_whole(options.json, json.dumps(report(options.assignment, results), indent=1))
    print_summary(results, console)
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


def _feedback(options) -> int:
    from .feedback import generate
    layout = Layout(options.root)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("writing feedback", total=None)
        pages = generate(layout, options.assignment, options.student, lambda student: progress.update(task, description=f"feedback for {escape(student)}"))
    console.print(f"{len(pages)} pages; each student's is {layout.feedback(options.assignment, '<student>')}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _demo(options) -> int:
    from .demo import run_demo
    return run_demo(options.root, options.assignments, options.isolation, console)


def _audit(options) -> int:
    from .audit.report import run
    return run(Layout(options.root), options.assignments, options.full, options.json, console)


if __name__ == "__main__":
    sys.exit(main())
