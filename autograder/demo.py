"""The demo: a simulated class hands in, is graded and gets feedback, in a course of its own; every outcome is compared with the known one."""
import shutil
from pathlib import Path

from .assignment import AssignmentError
from .build import build
from .feedback import generate
from .layout import Layout
from .members import ClassOf, Member
from .questions import known_answers
from .result import Result
from .summary import print_summary


def run_demo(root: Path, names: list[str], isolation: str, console) -> int:
    """Make demo/ anew, grade a class of each assignment (all where none is named), print the tables; 0 if every outcome was the expected one, else 1.

    Where there is no sandbox (`isolation` is "process"), only those come whose code does no harm.
    """
    from .cli import grade_with_progress
    known = Layout(root).assignments()
    if not known or not set(names) <= set(known):
        raise AssignmentError(f"no assignment {min(set(names) - set(known), default='at all')} in {root / 'solutions'}; "
                              f"there are: {', '.join(known) or 'none'}; run the demo in the course's folder")
    layout, wrong = _open_course(root), 0
    for name in names or known:
        build(layout, name)
        group = ClassOf(layout.load(name), known_answers(layout, name)).members(honest=isolation == "process")
        for member in group:
            folder = layout.submitted(name, member.name)
            folder.mkdir(parents=True)
            member.hand_in(folder)
        results = grade_with_progress(layout, name, None, isolation)
        print_summary(results, console)
        for line in differences(group, results):
            wrong += 1
            console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        generate(layout, name)
    said = f"{wrong} outcomes were not as expected." if wrong else "Every outcome was as expected."
    console.print(f"{said} The class is in {layout.root}: open feedback/<student>/<assignment>/<assignment>.html there in a browser, "
                  "or look at the grades with: cd demo && nbgrader export", highlight=False, markup=False, soft_wrap=True)
    return 1 if wrong else 0


def differences(group: list[Member], results: list[Result]) -> list[str]:
    """A line for every exercise of every member that did not come to what is known of it."""
    found = {r.student: {e.name: e for e in r.exercises} for r in results}
    return [f"{member.name}: {name} {problem}" for member in group for name, expected in member.expected.items()
            if (problem := expected.differs(found[member.name][name]))]


def _open_course(root: Path) -> Layout:
    layout = Layout(root / "demo")
    if layout.root.exists():
        shutil.rmtree(layout.root)
    for part in ("solutions", "course"):
        shutil.copytree(root / part, layout.root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "nbgrader_config.py", layout.root)
    return layout
