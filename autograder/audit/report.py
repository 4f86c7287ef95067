"""The audit at the command line: progress, a table per assignment, problems and survivors, JSON (schema 1)."""
import json
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..assignment import AssignmentError
from ..files import write_whole
from ..layout import Layout
from .run import audit

SCHEMA = 1


def run(layout: Layout, names: list[str], full: bool, out: Path | None, console) -> int:
    """Audit these assignments, or all; returns the exit code: 0 if all is well, 1 if there are problems."""
    if unknown := sorted(set(names) - set(layout.assignments())):
        raise AssignmentError(f"no solutions/{unknown[0]}/notebook.py; there are: {', '.join(layout.assignments()) or 'none'}")
    if not layout.assignments():
        raise AssignmentError(f"no assignments in {layout.root / 'solutions'}; run the audit in the course's folder")
    if out and not out.resolve().parent.is_dir():
        raise AssignmentError(f"no folder {out.resolve().parent} to write {out.name} into; make it first")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    reports = []
    for name in names or layout.assignments():
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(f"{name}: building and measuring", total=None)
            reports.append(audit(layout, name, "nothing" if full else "everything",
                                 started=lambda total: progress.update(task, description=f"{name}: grading", total=total),
                                 graded=lambda: progress.advance(task)))
        show(reports[-1], console)
    if out:
        write_whole(out, json.dumps({"schema": SCHEMA, "assignments": reports}, indent=1, ensure_ascii=False) + "\n")
    return 0 if all(r["ok"] for r in reports) else 1


def show(report: dict, console):
    """One row per exercise; below it every problem in a line, and the diff of every surviving mutant."""
    table = Table(header_style="bold", title=f"{report['name']}: {report['seconds']:.2f} s, {report['peak_mb']:.0f} MB", title_justify="left")
    for column in ("exercise", "points", "covers", "mistakes", "alternatives", "mutants"):
        table.add_column(column, justify="left" if column in ("exercise", "covers") else "right")
    for exercise in report["exercises"]:
        mistakes, others, mutants = exercise["mistakes"].values(), exercise["alternatives"].values(), exercise["mutants"]
        caught, diagnosed = _share(m["caught"] for m in mistakes), _share(m["diagnosed"] for m in mistakes)
        killed = _share([True] * (mutants["killed"] + mutants["equivalent"]) + [False] * len(mutants["survived"]))
        table.add_row(exercise["name"], f"{exercise['points']:g}", " ".join(exercise["covers"]),
                      caught if caught == diagnosed else f"{caught} caught, {diagnosed} diagnosed", _share(a["passed"] for a in others),
                      killed + (f" ({mutants['equivalent']}≡)" if mutants["equivalent"] else ""))
    console.print(table)
    for problem in report["problems"]:
        console.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
    for exercise in report["exercises"]:
        for diff in exercise["mutants"]["survived"]:
            console.print(f"\n{exercise['name']}, a surviving mutant:\n{diff}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{report['name']}: {'all is well' if report['ok'] else str(len(report['problems'])) + ' problems'}",
                  style="green" if report["ok"] else "red", markup=False, highlight=False)


def _share(passed) -> str:
    passed = list(passed)
    text = f"{sum(passed)}/{len(passed)}"
    return "" if not passed else text if all(passed) else f"[red]{text}[/]"
