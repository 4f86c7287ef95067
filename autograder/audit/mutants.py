"""Automatic mutants of a reference answer: one small change each, of the kind that people make.

Changes only what stands between the solution markers. Leaves out what compiles to the same code, docstrings and the texts of exceptions.
Does not run anything.
"""
import ast
import difflib
from dataclasses import dataclass
from types import CodeType

from ..assignment import BEGIN_SOLUTION, END_SOLUTION

FLIPPED = {ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE), ast.Eq: (ast.NotEq,),
           ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,)}
SWAPPED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Pow: ast.Mult,
           ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift}
PAIRS = [("min", "max"), ("argmin", "argmax"), ("minimum", "maximum"), ("any", "all"), ("floor", "ceil"), ("zeros", "ones"), ("log2", "log"),
         ("zeros_like", "ones_like"), ("sum", "mean"), ("std", "var"), ("softmax", "log_softmax"), ("nlargest", "nsmallest"),
         ("cumsum", "cumprod"), ("add", "sub"), ("mul", "div"), ("add_", "sub_"), ("mul_", "div_"), ("startswith", "endswith")]
SIBLINGS = dict(PAIRS) | {b: a for a, b in PAIRS}
AXES = ("axis", "dim")
DROPPED_VIEWS = ("T", "mT")
CONVERSIONS = ("item", "tolist", "numpy", "detach", "contiguous", "float", "list", "tuple", "asarray")      # results are compared by value
SHAPING = ("reshape", "view")
COMMUTATIVE = ("min", "max", "minimum", "maximum", "isclose", "allclose", "array_equal", "equal", "hypot", "gcd", "add", "mul", "multiply")


@dataclass(frozen=True)
class Mutant:
    """An answer cell with one change; `diff` shows it as `- line` and `+ line`."""
    source: str
    diff: str


def mutants(source: str) -> list[Mutant]:
    """All different mutants of an answer cell, in the order of its lines; none if it is no Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    first, last = _region(source)
    bound = _bound(tree)
    original = ast.unparse(tree)
    found, seen = [], {_fingerprint(original)}
    for parent, name, place, node in _slots(tree):
        if not first < getattr(node, "lineno", 0) < last:
            continue
        for other in _changes(node, parent, name, bound):
            value = getattr(parent, name)
            put = other if place is None else [*value[:place], *(other if type(other) is list else [other]), *value[place + 1:]]
            setattr(parent, name, put)
            try:
                text = ast.unparse(ast.fix_missing_locations(tree))
                mark = _fingerprint(text)
            except (SyntaxError, ValueError, AttributeError):    # a change that leaves no program
                mark = None
            setattr(parent, name, value)
            if mark and mark not in seen:
                seen.add(mark)
                found.append(Mutant(text, _diff(original, text)))
    return found


def normal(diff: str) -> str:
    """A diff as it is compared: without the spaces around its lines."""
    return "\n".join(f"{line.strip()[0]} {line.strip()[1:].strip()}" for line in diff.split("\n") if line.strip())


def _region(source: str) -> tuple[int, int]:
    """The lines of the solution's markers; all of a cell without markers."""
    lines = [line.strip() for line in source.split("\n")]
    if BEGIN_SOLUTION in lines and END_SOLUTION in lines:
        return lines.index(BEGIN_SOLUTION) + 1, lines.index(END_SOLUTION) + 1
    return 0, len(lines) + 1


def _slots(tree):
    """Every node below `tree` with its parent, the parent's field and the place in it; an exception's text is left out."""
    for name, value in ast.iter_fields(tree):
        for place, node in enumerate(value) if type(value) is list else [(None, value)]:
            if isinstance(node, ast.AST):
                yield tree, name, place, node
                anywhere = isinstance(node, ast.UnaryOp) and isinstance(tree, ast.Call) and _called(tree) in SHAPING       # -2 says what -1 says
                if not isinstance(node, (ast.Raise, ast.JoinedStr)) and not anywhere:
                    yield from _slots(node)


def _changes(node, parent, name, bound):
    """What may stand in a node's place: another node, or a list of statements for a statement."""
    if isinstance(node, ast.stmt):
        yield from _statements(node)
    elif isinstance(node, ast.Compare):
        for number, op in enumerate(node.ops):
            for flipped in FLIPPED[type(op)]:
                yield ast.Compare(node.left, [*node.ops[:number], flipped(), *node.ops[number + 1:]], node.comparators)
    elif isinstance(node, ast.BinOp):
        if swap := SWAPPED.get(type(node.op)):
            yield ast.BinOp(node.left, swap(), node.right)
        if not isinstance(node.op, ast.Mod) or not isinstance(node.left, ast.Constant):
            yield node.left
            yield node.right
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        yield from node.values
    elif isinstance(node, ast.Constant):
        if not isinstance(parent, (ast.Expr, ast.FormattedValue)):          # a docstring
            yield from map(ast.Constant, _constants(node.value, isinstance(parent, ast.keyword) and parent.arg in AXES))
    elif isinstance(node, ast.Call):
        yield from _calls(node, bound, alone=isinstance(parent, ast.Expr))
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(_negated(node.test), node.body, node.orelse)
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.comprehension):
        for number, test in enumerate(node.ifs):
            yield ast.comprehension(node.target, node.iter, [*node.ifs[:number], *node.ifs[number + 1:]], node.is_async)
            yield ast.comprehension(node.target, node.iter, [*node.ifs[:number], _negated(test), *node.ifs[number + 1:]], node.is_async)
    elif isinstance(node, ast.Slice):
        yield from _slices(node)
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        if node.attr in DROPPED_VIEWS:
            yield node.value
        elif sibling := SIBLINGS.get(node.attr):
            yield ast.Attribute(node.value, sibling, ast.Load())
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and name == "func" and node.id in SIBLINGS:
        yield ast.Name(SIBLINGS[node.id], ast.Load())


def _statements(node):
    if isinstance(node, (ast.Expr, ast.AugAssign, ast.Delete)) and not isinstance(getattr(node, "value", None), ast.Constant):
        yield ast.Pass()
    elif isinstance(node, ast.Assign) and all(isinstance(t, (ast.Subscript, ast.Attribute)) for t in node.targets):
        yield ast.Pass()                             # into an item or an attribute; a name that is never bound is no plausible slip
    if isinstance(node, ast.AugAssign) and (swap := SWAPPED.get(type(node.op))):
        yield ast.AugAssign(node.target, swap(), node.value)
        yield ast.Assign([node.target], node.value, lineno=node.lineno)
    if isinstance(node, ast.If):
        yield ast.If(_negated(node.test), node.body, node.orelse)
        yield node.body
        yield node.orelse or ast.Pass()
    elif isinstance(node, ast.While):
        yield ast.Pass()
    elif isinstance(node, ast.With):
        yield node.body
    elif isinstance(node, ast.Break):
        yield ast.Continue()
    elif isinstance(node, ast.Continue):
        yield ast.Break()
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
        yield ast.Return(ast.Tuple(node.value.elts[::-1], ast.Load()))


def _calls(node, bound, alone):
    if isinstance(node.func, ast.Name) and node.func.id == "range":
        stop = min(1, len(node.args) - 1)
        for op in (ast.Add(), ast.Sub()):
            yield ast.Call(node.func, [*node.args[:stop], ast.BinOp(node.args[stop], op, ast.Constant(1)), *node.args[stop + 1:]], [])
        return
    called = _called(node)
    if len(node.args) > 1 and called not in COMMUTATIVE and not any(isinstance(a, ast.Starred) for a in node.args):
        yield ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)
    for number in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, [*node.keywords[:number], *node.keywords[number + 1:]])
    if alone or called in CONVERSIONS:
        return
    if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value, bound):
        yield node.func.value                        # x.abs() becomes x
    elif len(node.args) == 1 or (node.args and node.keywords):
        yield node.args[0]                           # np.abs(x) becomes x


def _called(node) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _bound(tree) -> set[str]:
    """The names that a cell gives a value itself; a call through another name is taken for a module's function."""
    return {n.arg if isinstance(n, ast.arg) else n.id for n in ast.walk(tree)
            if isinstance(n, ast.arg) or (isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))}


def _is_module(node, bound) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id not in bound


def _slices(node):
    for part in ("lower", "upper"):
        bound = getattr(node, part)
        if bound is None:
            continue
        whole = {"lower": node.lower, "upper": node.upper, "step": node.step}
        yield ast.Slice(**whole | {part: None})
        if not isinstance(bound, (ast.Constant, ast.UnaryOp)):
            for op in (ast.Add(), ast.Sub()):
                yield ast.Slice(**whole | {part: ast.BinOp(bound, op, ast.Constant(1))})


def _constants(value, axis: bool):
    if value is True or value is False:
        yield not value
    elif axis:
        yield {0: 1, 1: 0, -1: 0}.get(value, 0)
    elif type(value) is int:
        yield value + 1
        yield value - 1
    elif type(value) is float:
        yield value * 2 if value else 1.0
    elif type(value) is str:
        yield value + "x"


def _negated(test):
    return test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else ast.UnaryOp(ast.Not(), test)


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=0)
    return normal("\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")))


def _fingerprint(source: str):
    """What the source compiles to, wherever its lines stand."""
    return _of_code(compile(source, "<mutant>", "exec"))


def _of_code(code: CodeType):
    constants = tuple(_of_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants
