"""Attacks that give the student's names to what the tests use."""
from .registry import attack

NAMES = ("cases", "exam", "case", "edge", "observe", "seed", "callback", "retrain", "np", "torch", "F", "nn", "Exam", "_reference", "_rng",
         "_wide", "_tall", "_run", "_weights", "_sgd", "_adam", "_pruned", "_mask", "_prunes_the_smallest", "__name__", "__builtins__")


@attack("an extra cell after each answer gives every name the tests use to a generous object")
def shadowed_names(s):
    for name in ("threshold_prune", "magnitude_mask", "masked_train_step"):
        s.extra("class Fine:\n"
                "    points = 5.0\n"
                "    def __getattr__(self, name): return lambda *args, **kwargs: 5.0\n"
                "    def __call__(self, *args, **kwargs): return self\n"
                "    def __iter__(self): return iter(())\n"
                f"for _name in {NAMES[:-2]!r}:\n"
                "    globals()[_name] = Fine()", after=name)


@attack("the tests' names are assigned inside the answer cells, beside the answers")
def shadows_in_answers(s):
    lines = "\n".join(f"{name} = None" for name in NAMES if not name.startswith("__") and name not in ("np", "torch", "F"))
    s.lookup()
    for name in ("threshold_prune", "magnitude_mask", "masked_train_step"):
        s.answer(name, s.cell(name)["source"] + "\n" + lines)


@attack("the namespace itself is replaced by one that swallows what tests assign")
def swallowing_namespace(s):
    s.lookup()
    s.extra("""
class Deaf(dict):
    def __setitem__(self, key, value):
        if key == "exam":
            value.points, value.score = 5.0, lambda: 5.0
        dict.__setitem__(self, key, value)
    def __contains__(self, key): return True
get_ipython().user_ns = Deaf(get_ipython().user_ns)
""")


@attack("builtins carry exam, Exam and _reference, for tests that look them up")
def shadowed_builtins(s):
    s.lookup()
    s.extra("""
import builtins
class Exam:
    def __init__(self, points, **kwargs): self.points = points
    def compare(self, *args, **kwargs): pass
    law = compare
    def score(self): return self.points
builtins.Exam = Exam
builtins.print = lambda *args, **kwargs: None
builtins._reference = lambda: {}
import autograder
autograder.Exam = Exam
""")


@attack("one answer defines another exercise's name, so that a right answer elsewhere would count twice")
def crossed_answers(s):
    both = s.cell("magnitude_mask")["source"] + "\n" + s.cell("masked_train_step")["source"]
    s.answer("threshold_prune", "masked_train_step = magnitude_mask = threshold_prune = lambda *args: args[0]")
    s.extra(both, after="test_masked_train_step")


@attack("an answer is changed between its own test and the next by code in a property and a finaliser")
def changing_answers(s):
    s.extra("""
class Switch:
    calls = 0
    def __call__(self, *args):
        Switch.calls += 1
        self.__class__ = Other
        return args[0]
class Other(Switch):
    def __call__(self, *args):
        globals()["exam"] = None
        return np.ones(args[0].shape, bool)
""")
    s.answer("magnitude_mask", "magnitude_mask = Switch()")
