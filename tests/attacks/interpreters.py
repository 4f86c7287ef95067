"""Attacks on the interpreter that a test would share: transformers, hooks, patched modules, traces, formatters."""
from .registry import attack

GENEROUS_EXAM = """
class GenerousExam:
    def __init__(self, points, answers, references):
        self.points = float(points)
    def compare(self, *args, **kwargs):
        pass
    law = compare
    def score(self):
        return self.points
"""


@attack("an AST transformer drops every assert and turns exam.score() into exam.points")
def ast_transformer(s):
    s.extra("""
import ast
class Lenient(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)
    def visit_Call(self, node):
        if isinstance(node.func, ast.Attribute) and node.func.attr == "score":
            return ast.copy_location(ast.Attribute(node.func.value, "points", ast.Load()), node)
        return self.generic_visit(node)
get_ipython().ast_transformers.append(Lenient())
""")


@attack("an IPython input transformer empties every cell that holds an assert")
def input_transformer(s):
    s.extra('get_ipython().input_transformers_cleanup.append(lambda lines: [] if any("assert" in line for line in lines) else lines)')


@attack("the Exam class is patched to give full points")
def patched_exam(s):
    s.lookup()
    s.extra("import autograder.checks\nautograder.checks.Exam.score = lambda self: self.points")


@attack("the comparison in the kit is patched to find no difference")
def patched_comparison(s):
    s.lookup()
    s.extra("""
import autograder.checks, autograder.compare
for module in (autograder.checks, autograder.compare):
    module.difference = lambda *args, **kwargs: None
autograder.checks._keeps = autograder.checks._compare = lambda *args, **kwargs: None
autograder.checks._raised = autograder.checks._changed = lambda *args: None
""")


@attack("sys.modules holds another `autograder`, whose Exam is generous")
def swapped_module(s):
    s.lookup()
    s.extra(GENEROUS_EXAM + """
import sys, types
import autograder as real
fake = types.ModuleType("autograder")
vars(fake).update(vars(real))
fake.Exam = GenerousExam
sys.modules["autograder"] = fake
""")


@attack("an import hook serves another `autograder`")
def import_hook(s):
    s.lookup()
    s.extra(GENEROUS_EXAM + """
import builtins, sys
real_import = builtins.__import__
def importing(name, *args, **kwargs):
    module = real_import(name, *args, **kwargs)
    if name.startswith("autograder"):
        module.Exam = GenerousExam
    return module
builtins.__import__ = importing
class Finder:
    def find_spec(self, name, path=None, target=None):
        return None
sys.meta_path.insert(0, Finder())
""")


@attack("numpy's comparisons and numpy.testing always agree")
def patched_numpy(s):
    s.extra("""
import numpy.testing
for name in ("allclose", "isclose", "array_equal", "array_equiv", "all", "equal", "isfinite"):
    setattr(np, name, lambda *args, **kwargs: np.bool_(True))
for name in dir(numpy.testing):
    if name.startswith("assert"):
        setattr(numpy.testing, name, lambda *args, **kwargs: None)
""")


@attack("torch's comparisons always agree")
def patched_torch(s):
    s.extra("""
torch.equal = torch.allclose = lambda *args, **kwargs: True
torch.isclose = lambda a, b, **kwargs: torch.ones(a.shape, dtype=torch.bool)
torch.Tensor.__eq__ = lambda a, b: torch.ones(a.shape, dtype=torch.bool)
torch.Tensor.all = lambda *args, **kwargs: torch.tensor(True)
torch.testing.assert_close = lambda *args, **kwargs: None
""")


@attack("builtins are replaced: all, any, isinstance, round, sum, AssertionError")
def patched_builtins(s):
    s.extra("""
import builtins
builtins.AssertionError = type("Fine", (Exception,), {})
builtins.all = builtins.any = builtins.isinstance = builtins.issubclass = lambda *args: True
builtins.round = builtins.sum = builtins.len = lambda *args: 0
""", after="masked_train_step")


@attack("a trace function jumps over assert statements and rewrites the exam's failures")
def trace_jumps(s):
    s.lookup()
    s.extra("""
import sys
def watch(frame, event, arg):
    for name in ("group", "reason", "failed"):
        if name in frame.f_locals and frame.f_code.co_name in ("_group", "score", "_examine"):
            group = frame.f_locals.get("group")
            if hasattr(group, "failure"):
                group.failure = None
    if frame.f_code.co_name == "score" and "self" in frame.f_locals:
        for group in getattr(frame.f_locals["self"], "groups", []):
            group.failure = None
    return watch
sys.settrace(watch)
import threading
threading.settrace(watch)
""")


@attack("a profile function empties the groups of every Exam it sees")
def profiler(s):
    s.lookup()
    s.extra("""
import sys
def watch(frame, event, arg):
    if event == "call" and frame.f_code.co_name == "score":
        for group in getattr(frame.f_locals.get("self"), "groups", []):
            group.failure = None
sys.setprofile(watch)
""")


@attack("IPython shows no traceback and reports every cell as a success")
def silent_shell(s):
    s.extra("""
shell = get_ipython()
shell.showtraceback = shell.showsyntaxerror = lambda *args, **kwargs: None
async def run_code(*args, **kwargs):
    return False
type(shell).run_code = run_code
""")


@attack("a formatter prints every float as the points of its test")
def float_formatter(s):
    s.lookup()
    s.extra("""
points = iter(["3.0", "4.0", "5.0"])
plain = get_ipython().display_formatter.formatters["text/plain"]
plain.for_type(float, lambda value, printer, cycle: printer.text(next(points, "5.0")))
""")


@attack("cell hooks put a generous Exam into the namespace and full points into the result")
def cell_hooks(s):
    s.lookup()
    s.extra(GENEROUS_EXAM + """
import autograder
def before(*info):
    autograder.Exam = GenerousExam
    get_ipython().user_ns.update(Exam=GenerousExam)
def after(result):
    result.result, result.error_in_exec = 5.0, None
get_ipython().events.register("pre_run_cell", before)
get_ipython().events.register("post_run_cell", after)
""")


@attack("every code object of the kit found by the garbage collector is replaced")
def replaced_code_objects(s):
    s.lookup()
    s.extra("""
import gc, types
def fine(*args, **kwargs):
    return None
for thing in gc.get_objects():
    if isinstance(thing, types.FunctionType) and thing.__module__ == "autograder.compare" and not thing.__closure__:
        thing.__code__ = fine.__code__
""")


@attack("a module `pytest`, `unittest` and `doctest` that never fail")
def fake_test_frameworks(s):
    s.extra("""
import sys, types
for name in ("pytest", "unittest", "doctest", "nbgrader", "hypothesis"):
    fake = types.ModuleType(name)
    fake.__getattr__ = lambda attribute: (lambda *args, **kwargs: None)
    sys.modules[name] = fake
""", after=None)


@attack("class bodies and calls are rewritten: Exam.__new__ gives an exam that passed")
def exam_new(s):
    s.lookup()
    s.extra("""
import autograder.checks as checks
class Passed(checks.Exam):
    def failures(self): return []
    def _group(self, title, cases, weight, *rest):
        self.groups.append(checks.Group(title, weight))
checks.Exam.__new__ = lambda cls, *args, **kwargs: object.__new__(Passed)
checks.Exam._group = Passed._group
""")
