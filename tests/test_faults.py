"""A fault costs the exercise it is in, says what it was, and costs nobody else anything."""
from dataclasses import replace

import pytest

from autograder.build import build
from autograder.grader import Grader

from .conftest import NAME, graded, outcome

FAULTS = {
    "a segmentation fault": ("import ctypes\nctypes.string_at(0)", "crashed", "segmentation fault"),
    "ending the process": ("import os\nos._exit(3)", "crashed", "ended before"),
    "an endless loop": ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", "timeout", "time limit"),
    "memory without end": ("hoard = []\nwhile True:\n    hoard.append(bytearray(60_000_000))\n    hoard[-1][::4096] = b'x' * len(hoard[-1][::4096])",
                           ("crashed", "error", "timeout"), ""),              # a MemoryError in each of many cases takes long
    "memory filled and kept": ("hoard = []\nfor size in 1 << 24, 1 << 18:\n    try:\n        while True: hoard.append(bytearray(size))\n"
                               "    except MemoryError: pass\nraise MemoryError", "crashed", ""),
    "an exception": ("raise ValueError('oops')", "error", "ValueError"),
    "a syntax error": ("def threshold_prune(w, t) return", "error", "SyntaxError"),
    "leaving the shell": ("raise SystemExit", "error", "SystemExit"),
    "recursion without end": ("def f(): return f()\nf()", "error", "RecursionError"),
}


SNOOP = """
import os, socket
assert os.getuid() and not os.path.exists("{root}/gradebook.db")
for _reach in (lambda: open("{place}/new", "w"), lambda: socket.create_connection(("1.1.1.1", 53), 3)):
    try:
        _reach()
    except OSError:
        continue
    assert False, "the judge reaches more than its assignment"
"""


def test_the_judge_itself_sees_its_assignment_and_no_more(fresh):
    """Should a test cell ever be talked into running a student's code, there is nothing to take or to harm."""
    (fresh.root / "gradebook.db").write_text("grades")
    path = fresh.solution(NAME) / "notebook.py"
    looks = SNOOP.format(root=fresh.root, place=fresh.source(NAME).parent)
    path.write_text(path.read_text().replace("exam.score()", f"{looks}exam.score()", 1))
    build(fresh, NAME)
    with Grader(fresh.root, fresh.load(NAME), fresh.paths(NAME)) as grader:         # raises unless the reference earns full marks
        assert grader.isolated


@pytest.fixture
def hasty(grader):
    """The grader with short limits, for answers that never end."""
    usual = grader.limits
    grader.limits = replace(usual, cell_seconds=6.0, test_seconds=15.0, memory=1 << 30)
    yield grader
    grader.limits = usual


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_cell_costs_only_its_exercise(hasty, hand_in, right, fault):
    source, status, words = FAULTS[fault]
    result = hasty.verdict("faulty", hand_in(right | {"threshold_prune": source}))
    found = outcome(result, "threshold_prune")
    assert found.score == 0 and found.status in status and words in found.message, found
    assert all(e.status == "passed" for e in graded(result) if e.name != "threshold_prune")


@pytest.mark.parametrize("fault", ["a segmentation fault", "ending the process", "an endless loop", "memory without end"])
def test_a_fault_in_a_call_costs_only_its_exercise(hasty, hand_in, right, fault):
    """`global_masks` is also called by a demonstration, which must not take the run with it."""
    source, status, words = FAULTS[fault]
    body = "\n".join("    " + line for line in source.split("\n"))
    result = hasty.verdict("faulty", hand_in(right | {"global_masks": f"def global_masks(weights, s):\n{body}"}))
    found = outcome(result, "global_masks")
    assert found.score == 0 and found.status in status and words in found.message, found
    assert all(e.status == "passed" for e in graded(result) if e.name != "global_masks")


def test_a_crash_in_a_scratch_cell_costs_nothing(grader, hand_in, right, full):
    result = grader.verdict("scratch", hand_in(right, extra={"threshold_prune": "import os\nos._exit(1)", "magnitude_mask": "1 / 0"}))
    assert result.score == full


def test_threads_a_student_starts_hang_no_checkpoint(grader, hand_in, right, full):
    scratch = "torch.set_num_threads(2)\na = torch.randn(600, 600, requires_grad=True)\n(a @ a).sum().backward()"
    result = grader.verdict("threads", hand_in(right, extra={"setup-2": scratch, "magnitude_mask": scratch}))
    assert result.score == full, [(e.name, e.status, e.message) for e in result.exercises]


def test_a_process_left_behind_is_stopped(grader, hand_in, right, full):
    left = "import subprocess\nsubprocess.Popen(['sleep', '1000'])\nimport os\nwhile os.fork() == 0:\n    import time; time.sleep(1000)"
    assert grader.verdict("strays", hand_in(right, extra={"threshold_prune": left})).score == full


def test_warnings_stderr_and_magics_cost_nothing(grader, hand_in, right, full):
    noisy = ("import sys, warnings\nwarnings.warn('careful')\nprint('oops', file=sys.stderr)\n%matplotlib inline\n!echo hello\n"
             "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()\n")
    chatty = {name: source.replace("):\n", "):\n    import sys, warnings; warnings.warn('w'); print('x', file=sys.stderr)\n", 1)
              for name, source in right.items()}
    result = grader.verdict("noisy", hand_in(chatty, extra={"setup-2": noisy}))
    assert result.score == full
    assert '"image/png"' in result.notebook and "hello" in result.notebook and "careful" in result.notebook


def test_a_callable_object_is_as_good_as_a_function(grader, hand_in, right, full):
    objects = {name: source + f"\n\nclass _Callable:\n    def __init__(self, f): self.f = f\n    def __call__(self, *a): return self.f(*a)\n"
               f"{name} = _Callable({name})" for name, source in right.items() if "def " in source}
    assert grader.verdict("objects", hand_in(right | objects)).score == full
