"""What a grading run says in the terminal: a sign per student and exercise, the mistakes that were recognised, and what was odd."""
from collections import Counter
from statistics import median

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .result import ExerciseResult, Result

SIGNS = {"passed": ("✓", "green", "full marks"), "partly": ("~", "yellow", "some points"), "failed": ("✗", "red", "no points"),
         "error": ("!", "red", "raised an error"), "timeout": ("T", "magenta", "took too long"), "crashed": ("C", "magenta", "crashed"),
         "missing": ("·", "dim", "not answered"), "manual": ("?", "cyan", "to be marked")}


def print_summary(results: list[Result], console: Console):
    """One row per submission, one column per exercise; then one row per exercise; then what was odd about submissions."""
    ordered = sorted(results, key=lambda r: r.student)
    exercises = ordered[0].exercises
    table = Table(header_style="bold", box=None, padding=(0, 1))
    numbers = [str(n + 1) for n in range(len(exercises))]
    taken = sum(len(title) + 2 for title in (*numbers, "score", ""))
    table.add_column("student", no_wrap=True, overflow="ellipsis", max_width=max(8, min(44, console.width - taken)))
    for title in (*numbers, "score"):
        table.add_column(title, justify="right" if title == "score" else "center", no_wrap=True, min_width=len(title))
    for result in ordered:
        table.add_row(escape(result.student), *map(_sign, result.exercises), f"{result.score:g}")
    console.print(table)
    console.print("\n " + "  ".join(f"[{colour}]{sign}[/] {meaning}" for sign, colour, meaning in SIGNS.values()), "\n", highlight=False)
    table = Table(header_style="bold", box=None, padding=(0, 1))
    for title, justify in (("", "right"), ("exercise", "left"), ("points", "right"), ("full marks", "right"), ("mistakes recognised", "left")):
        table.add_column(title, justify=justify, no_wrap=title != "mistakes recognised")
    for number, exercise in enumerate(exercises):
        given = [r.exercises[number] for r in ordered]
        full = sum(e.status == "passed" for e in given)
        found = Counter(e.mistake for e in given if e.mistake).most_common()
        table.add_row(str(number + 1), escape(exercise.name), f"{exercise.max_score:g}", "" if any(e.status == "manual" for e in given) else f"{100 * full / len(given):.0f} %",
                      ", ".join(f"{escape(name)} ×{count}" for name, count in found))
    table.add_row("", "total", f"{ordered[0].max_score:g}", "", f"median of the class: {median(r.score for r in ordered):g}", style="bold")
    console.print(table)
    for result in ordered:
        for flag in result.flags:
            console.print(f"{result.student}: {flag}", markup=False, highlight=False, soft_wrap=True)


def _sign(exercise: ExerciseResult) -> str:
    sign, colour, _ = SIGNS["partly" if exercise.status != "passed" and exercise.score > 0 else exercise.status]
    return f"[{colour}]{sign}[/]"
