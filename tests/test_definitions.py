"""Cells that only define run without a fork of their own, and no test can tell."""
import pytest

from autograder.definitions import Names, names_only_defined

from .conftest import outcome

DEFINE = {
    "a function": ("def f(x, t=0.5, *rest, **more):\n    if x: return t\n\n    return x", {"f"}),
    "an annotated one": ("def f(x: np.ndarray, t: float = 0.5) -> tuple[int, str]:\n    return x", {"f"}),
    "one in a line": ("async def f(): return 1", {"f"}),
    "imports": ("import os, numpy as np\nfrom collections import Counter as C", {"os", "numpy", "as", "np", "collections", "import", "Counter", "C"}),
    "plain data": ("# letters\nletters = {'a', \"b\"}\nhalf = -0.5  # of 1", {"letters", "half"}),
    "nothing": ("\n# later\n", set()),
}
MORE = ["f()", "x = f(1)", "x = 2 ** 9", "@wrap\ndef f(): pass", "def f(x=g()): pass", "class C: pass", "while True: pass", "if x:\n    y = 1", "    while True: pass",
        "\n  f()\ndef g(): pass", "!ls", "%matplotlib inline", "x?", "import os; os._exit(0)", "import os\rwhile True: pass", "def f(): pass\fg()",
        "def f(x=[\n    g()\n]): pass", 'def f():\n    """\ntext\n    """', "x: int = 3", "f.a = 1", "a, b = 1, 2", "x += 1", "print", "from x import (y)", "x = 1; y()"]


@pytest.mark.parametrize("kind", DEFINE)
def test_a_cell_that_only_defines_is_known_with_its_names(kind):
    source, names = DEFINE[kind]
    assert names_only_defined(source) == names


@pytest.mark.parametrize("source", MORE)
def test_a_cell_that_may_do_more_is_not_taken_for_one(source):
    assert names_only_defined(source) is None


def test_a_cell_that_binds_an_earlier_word_anew_must_wait():
    names = Names()
    assert names.adds_only("def f(x):\n    return helper(x)")
    assert not names.adds_only("def helper(x):\n    return x")           # f would find it only from now on
    assert not names.adds_only("def f(x):\n    return x")
    assert names.adds_only("def g(x):\n    return f(x)")


def test_each_test_sees_what_stood_above_it(grader, hand_in, right, full):
    late = {"threshold_prune": right["threshold_prune"].replace("np.abs", "_size") + "\ndef _size(w): return np.abs(w)",
            "magnitude_mask": right["magnitude_mask"] + "\ndef _size(w): return -np.abs(w)"}
    assert grader.verdict("anew", hand_in(right | late)).score == full
    early = {"threshold_prune": right["threshold_prune"].replace("np.abs", "_size"), "magnitude_mask": right["magnitude_mask"] + "\ndef _size(w): return np.abs(w)"}
    found = outcome(grader.verdict("early", hand_in(right | early)), "threshold_prune")
    assert found.status == "error" and "NameError" in found.message
