"""course.watch sees floats wherever they come up in an answer, and only there."""
import linecache

import numpy as np
import pytest
import torch
from course import watch

CELL = '''
def helper(q):
    return q * 0.5
def in_numpy(q):
    return (q.numpy() / 3).astype(int)
def in_python(q):
    return [int(helper(v)) for v in q.tolist()]
def in_torch(q):
    return (q.double() * 2).long()
def in_integers(q):
    size = int(q.shape[0] / 2)
    q = q.long() * 3 >> 1
    q += size
    return np.maximum(q.numpy(), 0)[:size]
class Model:
    def __call__(self, q):
        return in_python(q)
'''


@pytest.fixture
def notebook():
    """A namespace whose functions come from a cell that linecache knows by an invented file name, as IPython registers it."""
    name, scope = "/tmp/ipykernel_1/1234.py", {"np": np, "torch": torch, "__name__": "__main__"}
    linecache.cache[name] = (len(CELL), None, CELL.splitlines(True), name)
    exec(compile(CELL, name, "exec"), scope)
    yield scope
    del linecache.cache[name]


def seen(answer, q):
    recorder = watch.Recorder()
    rebuilt = watch.instrumented(answer, recorder.see)
    rebuilt = rebuilt() if isinstance(rebuilt, type) else rebuilt
    with recorder:
        rebuilt(torch.tensor(q))
    return recorder.floats, recorder.scalars


def test_floats_are_seen(notebook):
    assert seen(notebook["in_numpy"], [1, 5])[0] == {"numpy float64"}
    floats, scalars = seen(notebook["in_python"], [3, 5])
    assert floats == set() and set(scalars) == {"1.5", "2.5"}
    assert set(seen(notebook["Model"], [3])[1]) == {"1.5"}
    assert seen(notebook["in_torch"], [1, 5])[0] == {"torch torch.float64"}


def test_integers_and_shapes_are_not_flagged(notebook):
    first, second = (seen(notebook["in_integers"], q) for q in ([1, 5, 7, 9], [-3, 2, 0, 8]))
    assert first == second == (set(), ["2.0"])       # the size of a shape over 2: the same whatever the codes


def test_an_answer_without_source_is_given_back():
    exec("def answer(q): return q * 0.5", scope := {})
    assert watch.instrumented(scope["answer"], print) is scope["answer"]
    assert watch.instrumented(len, print) is len
