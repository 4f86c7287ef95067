"""The simulated class: what each of its students hands in, and what each must come to.

Works for any assignment: made of its reference, its known answers and its released notebook. Does not grade.
"""
import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import nbformat

from .assignment import Assignment, grade_id, role, without_markers
from .mistakes import KnownAnswer
from .result import ExerciseResult

MISTAKES, ALTERNATIVES = 7, 3                         # students who make mistakes, and who found another way
SCRIPT = "<script>alert('ran')</script><img src=x onerror=alert('ran')>"
HARM = {                                              # in the cell of one exercise: what it must come to, and what the cell does
    "loops-forever": ("timeout", "while True:\n    pass"),
    "sleeps-when-called": ("timeout", "{stub}\n    import time\n    time.sleep(10_000)"),
    "ends-the-process": ("crashed", "import os\nos._exit(0)"),
    "ends-the-process-when-called": ("crashed", "{stub}\n    import os\n    os._exit(0)"),
    "dies-of-a-bad-pointer": ("crashed", "import ctypes\nctypes.string_at(0)"),
    "takes-all-memory": ("crashed error", "hoard = []\nwhile True:\n    hoard.append(bytearray(50_000_000))"),
    "forks-without-end": ("timeout crashed", "import os, time\nwhile True:\n    try:\n        if os.fork() == 0:\n            time.sleep(10_000)\n"
                                             "    except OSError:\n        time.sleep(0.01)"),
    "prints-without-end": ("timeout crashed", "while True:\n    print('x' * 10_000)"),
    "makes-a-syntax-error": ("error", "def {name}(:\n    return 1"),
    "forgot-an-import": ("error", "{name} = nowhere.made(1)"),
}
CHEATS = {                                            # before a wrong answer, which must earn nothing
    "drops-asserts-from-the-tests": "import ast\nclass Drop(ast.NodeTransformer):\n    def visit_Assert(self, node):\n        return ast.Pass()\n"
                                    "get_ipython().ast_transformers.append(Drop())",
    "rewrites-test-cells-as-they-run": "get_ipython().input_transformers_cleanup.append(lambda lines: ['1000.0\\n'] if any('assert' in l for l in lines) else lines)",
    "patches-numpy-to-agree": "import numpy, numpy.testing\nnumpy.allclose = numpy.array_equal = numpy.testing.assert_allclose = lambda *a, **k: True\n"
                              "try:\n    import torch\n    torch.equal = torch.allclose = lambda *a, **k: True\nexcept ImportError:\n    pass",
    "patches-the-grading-kit": "import autograder.checks, autograder.compare\n"
                               "autograder.checks.difference = autograder.compare.difference = lambda *a, **k: None\nautograder.checks.Exam.score = lambda exam: 1000.0",
    "reads-every-file-for-the-answer": "import glob\nfor top in ('..', '/home/*', '/root', '/srv', '/tmp'):\n    for name in ('mistakes.py', 'alternatives.py', 'notebook.py'):\n"
                                       "        for path in glob.glob(f'{top}/{name}') + glob.glob(f'{top}/*/{name}') + glob.glob(f'{top}/*/*/{name}'):\n"
                                       "            exec(open(path).read())",
    "equals-everything": "class Everything:\n    def __eq__(self, other): return True\n    def __getattr__(self, name): return self\n    def __call__(self, *args): return self\n"
                         "    def __bool__(self): return True\n    def __iter__(self): return iter([self, self])\n    def __float__(self): return 1.0\n",
}


@dataclass(frozen=True)
class Expected:
    """What an exercise must come to: one of these statuses, this known mistake, and the score that goes with them."""
    statuses: tuple[str, ...]
    mistake: KnownAnswer | None = None

    def differs(self, found: ExerciseResult) -> str | None:
        """What is not as expected, in words; None if all is."""
        if self.mistake:
            if found.mistake != self.mistake.name or found.message != self.mistake.diagnosis:
                return f"is {found.status} {found.mistake or 'without a diagnosis'}, not {self.mistake.name}: {found.message}"
            return f"earns full marks for {self.mistake.name}" if found.score >= found.max_score else None
        if found.status not in self.statuses:
            return f"is {found.status}, not {' or '.join(self.statuses)}: {found.message}"
        earned = found.max_score if self.statuses == ("passed",) else 0.0
        return f"earns {found.score:g}, not {earned:g}" if found.score != earned else None


PASSED, MISSING, MANUAL = Expected(("passed",)), Expected(("missing",)), Expected(("manual",))
NOTHING = Expected(("failed", "error", "crashed", "timeout", "missing"))


@dataclass(frozen=True)
class Member:
    """One student: a name that says what they did, how they fill their folder, and what each exercise must come to."""
    name: str
    hand_in: Callable[[Path], None]
    expected: dict[str, Expected]


class ClassOf:
    """The class of one assignment."""

    def __init__(self, assignment: Assignment, known: list[KnownAnswer]):
        self.assignment, self.known, self.file = assignment, known, f"{assignment.name}.ipynb"
        self.names = assignment.answer_names
        self.right = {grade_id(c): without_markers(c.source) for c in assignment.source.cells if role(c) == "answer"}
        self.texts = {e.name: "An answer in my own words." for e in assignment.exercises if e.manual}
        self.all_right = {e.name: MANUAL if e.manual else PASSED for e in assignment.exercises}
        self.all_missing = dict.fromkeys(self.all_right, MISSING)
        functions = [n for n, source in self.right.items() if any(isinstance(node, ast.FunctionDef) for node in ast.parse(source).body)]
        self.victim = next(iter(functions or self.right))
        self.wrong = {n: "\n".join(f"def {each}(*args, **kwargs):\n    return None" for each in self.names[n]) for n in self.right}

    def members(self, honest: bool) -> list[Member]:
        """All of them; `honest` leaves out those whose code harms or cheats."""
        made = [self._member("answers-as-the-reference"), Member("hands-in-the-untouched-notebook", self._writer({}), self.all_missing)]
        made += [*self._partly_done(), *self._other_ways(), *self._mistaken(), *self._edited(), *self._unreadable()]
        return made if honest else [*made, *self._harmful(), *self._cheating()]

    def _member(self, name, answers=None, edit=lambda notebook: None, expected=None) -> Member:
        """Someone with right answers but for these, whose notebook is edited, and who passes but for what is expected."""
        return Member(name, self._writer(self.right | self.texts | (answers or {}), edit), self.all_right | (expected or {}))

    def _writer(self, answers, edit=lambda notebook: None):
        def write(folder: Path):
            notebook = json.loads(nbformat.writes(self.assignment.release))
            for cell in notebook["cells"]:
                cell["source"] = answers.get(_id(cell), "".join(cell["source"]))
            edit(notebook)
            (folder / self.file).write_text(json.dumps(notebook))
        return write

    def _partly_done(self):
        order = list(self.all_right)
        for name, done in (("did-the-first-exercise-only", order[:1]), ("did-all-but-the-last", order[:-1]), ("did-every-other-exercise", order[::2])):
            answers = {n: source for n, source in (self.right | self.texts).items() if n in done}
            yield Member(name, self._writer(answers), {n: self.all_right[n] if n in done else MISSING for n in order})

    def _rounds(self, known, most):
        """Known answers dealt out: the k-th student takes the k-th of every exercise, or begins anew where there are fewer."""
        by_exercise = {n: mine for n in self.right if (mine := [k for k in known if k.exercise == n])}
        for number in range(min(most, max(map(len, by_exercise.values()), default=0))):
            yield number + 1, {n: mine[number % len(mine)] for n, mine in by_exercise.items()}

    def _other_ways(self):
        for number, chosen in self._rounds([k for k in self.known if not k.diagnosis], ALTERNATIVES):
            yield self._member(f"found-other-ways-{number}", {n: k.cell(self.names[n]) for n, k in chosen.items()})

    def _mistaken(self):
        for number, chosen in self._rounds([k for k in self.known if k.diagnosis], MISTAKES):
            yield self._member(f"makes-mistakes-{number}", {n: k.cell(self.names[n]) for n, k in chosen.items()},
                               expected={n: Expected((), k) for n, k in chosen.items()})

    def _edited(self):
        """Odd notebooks with right answers, which cost nothing, and tampered ones with wrong answers, which gain nothing."""
        def in_cells_of_their_own(notebook):
            for place, cell in reversed(list(enumerate(notebook["cells"]))):
                if _id(cell) in self.right:
                    notebook["cells"].insert(place + 1, _code(cell["source"]))
                    cell["source"] = next(c.source for c in self.assignment.release.cells if grade_id(c) == _id(cell))

        def twice(notebook):
            notebook["cells"] = [c for cell in notebook["cells"] for c in (cell, json.loads(json.dumps(cell)))]

        def backwards(notebook):
            notebook["cells"].reverse()

        def saved_by_another_editor(notebook):
            notebook["metadata"] = {"kernelspec": {"name": ".venv", "display_name": ".venv"}}
            for number, cell in enumerate(notebook["cells"]):
                cell |= {"id": f"{number:08x}", "source": cell["source"].splitlines(keepends=True)}
                cell["metadata"]["vscode"] = {"languageId": "python"}

        def with_other_ids(notebook):
            for number, cell in enumerate(notebook["cells"]):
                cell["id"] = f"mine-{number}"
                if _id(cell) in self.right:
                    cell["metadata"]["nbgrader"]["grade_id"] = f"mine-{number}"

        def without_tests(notebook):
            notebook["cells"] = [c for c in notebook["cells"] if not _id(c).startswith("test_")]

        def with_more_points(notebook):
            for cell in notebook["cells"]:
                if "points" in cell["metadata"].get("nbgrader", {}):
                    cell["metadata"]["nbgrader"]["points"] = 1000.0

        def with_tests_of_their_own(notebook):
            for cell in notebook["cells"]:
                if _id(cell).startswith("test_"):
                    cell["source"] = "1000.0"

        def with_forged_results(notebook):
            for cell in notebook["cells"]:
                if cell["cell_type"] == "code":
                    cell["outputs"] = [{"output_type": "execute_result", "data": {"text/plain": "1000.0"}, "metadata": {}, "execution_count": 1}]

        for name, edit in (("answers-in-cells-of-their-own", in_cells_of_their_own), ("has-every-cell-twice", twice), ("has-the-cells-backwards", backwards),
                           ("saved-with-another-editor", saved_by_another_editor), ("renamed-the-answer-cells", with_other_ids), ("deleted-the-tests", without_tests)):
            yield self._member(name, edit=edit)
        for name, edit in (("deleted-the-tests-of-wrong-answers", without_tests), ("raised-the-points-of-wrong-answers", with_more_points),
                           ("rewrote-the-tests", with_tests_of_their_own), ("forged-the-results", with_forged_results)):
            yield self._member(name, self.wrong, edit, {n: NOTHING for n in self.right})

    def _unreadable(self):
        right = self._writer(self.right | self.texts)

        def cut(folder):
            right(folder)
            (folder / self.file).write_bytes((folder / self.file).read_bytes()[:2000])

        def link(folder):
            (folder / self.file).symlink_to("../../../gradebook.db")

        def misnamed(folder):
            right(folder)
            (folder / self.file).rename(folder / "final version (2).ipynb")

        nothing = (("handed-in-half-a-file", cut), ("handed-in-a-text-file", lambda folder: (folder / "answers.txt").write_text("see the other folder")),
                   ("handed-in-a-link-to-the-gradebook", link))
        return [*(Member(name, write, self.all_missing) for name, write in nothing), Member("renamed-the-notebook", misnamed, self.all_right)]

    def _harmful(self):
        stub = f"def {self.names[self.victim][0]}(*args, **kwargs):"
        for name, (statuses, source) in HARM.items():
            source = source.replace("{name}", self.names[self.victim][0]).replace("{stub}", stub)
            yield self._member(name, {self.victim: source}, expected={self.victim: Expected(tuple(statuses.split()))})

    def _cheating(self):
        for name, source in CHEATS.items():
            answer = f"{', '.join(self.names[self.victim])} = Everything()" if "class Everything" in source else self.wrong[self.victim]
            if len(self.names[self.victim]) > 1:
                answer = answer.replace("= Everything()", "= [Everything()] * " + str(len(self.names[self.victim])))
            yield self._member(name, {self.victim: f"{source}\n{answer}"}, expected={self.victim: NOTHING})
        alive = f"from IPython.display import HTML, display\ndisplay(HTML({SCRIPT!r}))\nprint({SCRIPT!r})\nraise ValueError({SCRIPT!r})"

        def with_scripts(notebook):
            notebook["cells"] += [_code(alive), {"cell_type": "markdown", "id": "mine", "metadata": {"name": SCRIPT}, "source": f"{SCRIPT} [link](javascript:alert(1))"}]
            notebook["metadata"]["title"] = SCRIPT
        yield self._member("hides-scripts-for-the-marker", edit=with_scripts)


def _id(cell: dict) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def _code(source: str) -> dict:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
