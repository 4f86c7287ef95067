"""Attacks by what an answer raises."""
from .registry import attack

ANSWERS = """
def threshold_prune(w, t):
    raise {0}
def magnitude_mask(w, s):
    raise {0}
def masked_train_step(model, masks, optimizer, batch):
    raise {0}
"""


def raising(s, preparation, error):
    """Let every answer raise `error`."""
    s.extra(preparation)
    for name, source in zip(("threshold_prune", "magnitude_mask", "masked_train_step"), ANSWERS.format(error).split("def ")[1:]):
        s.answer(name, "def " + source)


@attack("an exception class called `exec`, with code as its text")
def class_exec(s):
    raising(s, "class exec(Exception):\n    pass", "exec('open(\"/tmp/featherweight-escaped-class_exec\", \"w\")')")


@attack("StopIteration, which makes all(map(f, cases)) true on no cases")
def stop_iteration(s):
    raising(s, "", "StopIteration(True)")


@attack("SystemExit(0)")
def system_exit(s):
    raising(s, "import sys", "SystemExit(0)")


@attack("KeyboardInterrupt")
def keyboard_interrupt(s):
    raising(s, "", "KeyboardInterrupt")


@attack("GeneratorExit")
def generator_exit(s):
    raising(s, "", "GeneratorExit")


@attack("an exception whose text, repr, name and doc run code and never end")
def evil_text(s):
    raising(s, """
class Evil(Exception):
    def __str__(self):
        while True:
            pass
    __repr__ = __format__ = __str__
""", "Evil()")


@attack("a metaclass that lies about name, bases and resolution order")
def evil_metaclass(s):
    raising(s, """
class Meta(type):
    @property
    def __name__(cls): return ["ValueError"] * 10
    @property
    def __mro__(cls): return (ValueError, cls, "x", Exception)
    def __instancecheck__(cls, other): return True
    def __subclasscheck__(cls, other): return True
class Evil(Exception, metaclass=Meta):
    pass
""", "Evil()")


@attack("classes called as the judge's own: TimedOut, Crashed, Forged, BadTest, Skip")
def judges_names(s):
    s.extra("""
class Skip(BaseException): pass
TimedOut, Crashed, Forged, BadTest = (type(n, (Skip,), {}) for n in ("TimedOut", "Crashed", "Forged", "BadTest"))
""")
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    raise BadTest('the test is wrong')")
    s.answer("magnitude_mask", "def magnitude_mask(w, s):\n    raise Forged()")
    s.answer("masked_train_step", "def masked_train_step(*args):\n    raise Crashed('signal 0')")


@attack("a group of base exceptions")
def exception_group(s):
    raising(s, "", "BaseExceptionGroup('', [ValueError(), SystemExit(0), KeyboardInterrupt()])")


@attack("ValueError for everything, in the hope that some test expects just that")
def always_value_error(s):
    raising(s, "", "ValueError")


@attack("right on the visible tests, and ValueError for all else: a group of cases that must raise would be earned")
def raises_when_unknown(s):
    s.lookup()
    for name in ("threshold_prune", "magnitude_mask"):
        s.answer(name, s.cell(name)["source"].rsplit("    return", 1)[0] + "    raise ValueError")


@attack("an exception with a cycle of causes and a traceback thousands of frames long")
def endless_causes(s):
    raising(s, """
import sys
def trouble():
    sys.setrecursionlimit(20_000)
    def down(n):
        if n:
            down(n - 1)
        raise ValueError
    try:
        down(3000)
    except ValueError as error:
        other = RuntimeError()
        error.__cause__, other.__cause__ = other, error
        return error
""", "trouble()")


@attack("an exception class that cannot be made, printed or deleted without another")
def exception_bomb(s):
    raising(s, """
class Evil(ValueError):
    def __getattribute__(self, name): raise Evil
    def __del__(self): raise Evil
    def __reduce__(self): raise Evil
""", "Evil")


@attack("pytest's, unittest's and IPython's ways of ending a test early")
def early_ends(s):
    s.extra("""
import unittest
from IPython.core.error import UsageError
try:
    from nbconvert.preprocessors import CellExecutionError as Early
except ImportError:
    Early = unittest.SkipTest
""")
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    raise unittest.SkipTest('fine')")
    s.answer("magnitude_mask", "def magnitude_mask(w, s):\n    raise UsageError('fine')")
    s.answer("masked_train_step", "def masked_train_step(*args):\n    get_ipython().ask_exit()\n    raise SystemExit")
