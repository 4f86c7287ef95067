"""A simulated class: submissions of the real notebook with known answers, submitted and graded in a course of their own.

Every member's outcome is known beforehand; the demo says where grading disagrees. Where there is no sandbox, only the honest come.
"""
import shutil
from dataclasses import dataclass
from pathlib import Path

import nbformat

from . import mistakes
from .assignment import Assignment, AssignmentError, grade_id
from .build import build
from .layout import Layout

CHEATS = {
    "cheat-rewrites-asserts": """
import ast
class Drop(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
get_ipython().ast_transformers.append(Drop())
""",
    "cheat-equals-everything": """
class Everything:
    def __eq__(self, other): return True
    def __getattr__(self, name): return self
    def __call__(self, *args): return self
    def __bool__(self): return True
    def __iter__(self): return iter([self, self])
{names} = Everything()
""",
}
HARM = {"harm-loops-forever": "while True:\n    pass", "harm-ends-its-process": "import os\nos._exit(0)",
        "harm-takes-all-memory": "hoard = []\nwhile True:\n    hoard.append(bytearray(50_000_000))"}


@dataclass(frozen=True)
class Member:
    """One simulated student: their answers by exercise, and what each must come to: (status, mistake)."""
    name: str
    answers: dict[str, str]
    expected: dict[str, tuple[str, str | None]]


def members(assignment: Assignment, folder: Path, honest: bool) -> list[Member]:
    """The class; `honest` leaves out those who cheat, crash, loop and hoard."""
    right = {grade_id(c): c.source for c in assignment.source.cells if grade_id(c) in assignment.answer_names}
    unanswered = {e.name: ("missing", None) for e in assignment.exercises if e.manual}
    passed = unanswered | {name: ("passed", None) for name in right}
    known = {kind: mistakes.load(folder / f"{kind}.py") for kind in ("mistakes", "alternatives")}
    found = [Member("ada-reference", right, passed), Member("bob-untouched", {}, unanswered | {name: ("missing", None) for name in right})]
    for kind, answers in known.items():
        for number in range(max((sum(a.exercise == e for a in answers) for e in right), default=0)):
            chosen = {e: mine[number % len(mine)] for e in right if (mine := [a for a in answers if a.exercise == e])}
            given = right | {e: a.cell(assignment.answer_names[e]) for e, a in chosen.items()}
            expected = passed | {e: ("wrong", a.name) for e, a in chosen.items() if a.diagnosis}
            found.append(Member(f"{kind[:-1]}-{number + 1}", given, expected))
    first = next(iter(right))
    names = ", ".join(assignment.answer_names[first])
    for name, source in {} if honest else (CHEATS | HARM).items():
        found.append(Member(name, right | {first: source.replace("{names}", names)}, passed | {first: ("wrong", None)}))
    return found


def submit(layout: Layout, assignment: Assignment, member: Member):
    """Hand in the release notebook with a member's answers in it."""
    notebook = nbformat.from_dict(assignment.release)
    for cell in notebook.cells:
        if grade_id(cell) in member.answers:
            cell.source = member.answers[grade_id(cell)]
    place = layout.submitted(assignment.name, member.name)
    place.mkdir(parents=True)
    (place / f"{assignment.name}.ipynb").write_text(nbformat.writes(notebook))


def run_demo(root: Path, isolation: str, console) -> int:
    """Make demo/, let the class submit, grade it, print the table; 0 if every outcome was the expected one."""
    from .cli import grade_with_progress, print_summary
    layout = Layout(root / "demo")
    names = Layout(root).assignments()
    if not names:
        raise AssignmentError(f"no assignments in {root / 'solutions'}; run the demo in the course's folder")
    if layout.root.exists():
        shutil.rmtree(layout.root)
    for part in ("solutions", "course"):
        shutil.copytree(root / part, layout.root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "nbgrader_config.py", layout.root)
    wrong = 0
    for name in names:
        build(layout, name)
        assignment = layout.load(name)
        group = members(assignment, layout.solution(name), honest=isolation == "process")
        for member in group:
            submit(layout, assignment, member)
        results = {r.student: r for r in grade_with_progress(layout, name, None, isolation)}
        print_summary(list(results.values()))
        for member in group:
            for exercise in results[member.name].exercises:
                if not _as_expected(exercise, *member.expected[exercise.name]):
                    wrong += 1
                    console.print(f"{member.name}: {exercise.name} came to {exercise.status} {exercise.mistake}, not to "
                                  f"{member.expected[exercise.name]}: {exercise.message}", style="red", markup=False)
    console.print(f"{'Every outcome was as expected.' if not wrong else f'{wrong} outcomes were not as expected.'} "
                  f"The graded class is in {layout.root}; look at it with: cd demo && nbgrader export", highlight=False)
    return 1 if wrong else 0


def _as_expected(exercise, status, mistake) -> bool:
    if status == "wrong":
        return exercise.score < exercise.max_score and exercise.mistake == mistake
    return exercise.status == status
