"""Reads an assignment for what an author forgot or should not have written: statements, hints, test cells, setup cells, references.

Everything here is found by reading; nothing runs. Each function gives problems, one line each, that say what to do.
"""
import ast
import dis
import re

from ..assignment import BEGIN_SOLUTION, Assignment, Exercise, grade_id, role, split_test

HINTS, MISTAKES = 3, 3
PROVIDED = {"exam", "Exam", "callback", "case", "edge", "observe", "seed"}           # what the build puts into a hidden part
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
SAME = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
JUDGES = {"all", "allclose", "any", "array_equal", "assert_close", "equal", "isclose"}


def lint(assignment: Assignment) -> list[str]:
    """The problems of the notebook's cells."""
    problems = []
    provided = [node for c in assignment.source.cells if role(c) == "setup" for node in _parse(c.source).body if isinstance(node, ast.FunctionDef)]
    for exercise in assignment.exercises:
        if not exercise.manual:
            problems += [f"{exercise.name}: {p}" for p in [*_statement(assignment, exercise), *_reference(assignment, exercise)]]
            problems += [f"{exercise.name}: {p}" for cell in _tests(assignment, exercise) for p in _test(cell, _answers_of(assignment, exercise), provided)]
    for cell in assignment.source.cells:
        if role(cell) == "setup":
            problems += [f"{grade_id(cell)}: the setup cell defines the class {node.name}, which cannot cross the wall; put it into a module and import it"
                         for node in _parse(cell.source).body if isinstance(node, ast.ClassDef)]
    return problems


def is_check(assignment: Assignment, exercise: Exercise) -> bool:
    """Whether an exercise is a concept check from the question bank, whose statement, answer and test are the bank's."""
    return any("question" in c.metadata for c in assignment.source.cells if role(c) == "answer" and grade_id(c) in exercise.answers)


def _statement(assignment, exercise):
    if is_check(assignment, exercise):
        return
    text = statement(assignment, exercise)
    if not text.strip():
        yield "there is no statement; write a markdown cell before the answer cell"
        return
    if not re.search(r"(?m)^\W*sources?\W*:\W*\w", text, re.IGNORECASE):
        yield "the statement names no source; add a line that starts with 'Source:' (paper and section or equation; or whose definition it is)"
    hints = [body for body in re.findall(r"(?s)<details>(.*?)</details>", text) if re.sub(r"<[^>]*>", "", body.partition("</summary>")[2]).strip()]
    if len(hints) < HINTS:
        yield f"it has {len(hints)} of {HINTS} hints; add <details><summary>Hint {len(hints) + 1}</summary>…</details> to the statement"


def statement(assignment: Assignment, exercise: Exercise) -> str:
    """The prose between the exercise before and an exercise's answer."""
    text = []
    for cell in assignment.source.cells:
        if grade_id(cell) == exercise.answers[0]:
            break
        if role(cell) == "prose":
            text.append(cell.source)
        elif role(cell) != "setup":
            text = []
    return "\n\n".join(text)


def _reference(assignment, exercise):
    """Answers without a solution region, and answers or tests that need what another exercise's answer defines."""
    others = {name: a for a, names in assignment.answer_names.items() if a not in exercise.answers for name in names}
    own = _answers_of(assignment, exercise)
    for cell in assignment.source.cells:
        if grade_id(cell) not in (*exercise.answers, *exercise.tests):
            continue
        if role(cell) == "answer" and BEGIN_SOLUTION not in cell.source:
            yield f"its reference is not between solution markers, so students receive it; put {BEGIN_SOLUTION!r} above and its END below"
        tree = _parse(cell.source)
        tree.body = [node for node in tree.body if getattr(node, "name", "") != "_reference"]
        for name in sorted(_globals(tree) & others.keys() - own):
            yield (f"its {'reference' if role(cell) == 'answer' else 'test'} uses {name}, which is the answer of {others[name]}: "
                   "a student without that one would lose this one too; write out what it needs, or provide it in a setup cell")


def _answers_of(assignment, exercise) -> set[str]:
    return {name for answer in exercise.answers for name in assignment.answer_names.get(answer, ())}


def _tests(assignment, exercise):
    return [c for c in assignment.source.cells if grade_id(c) in exercise.tests]


def _test(cell, answers, provided):
    _, hidden = split_test(cell.source)
    tree = _parse(cell.source)
    if not hidden.strip():
        yield f"{grade_id(cell)} has no hidden part; add cases between the hidden markers, or a student can pass by reading the test"
    elif not _calls(_parse(hidden), ("edge", "choice", "number")):
        yield f"{grade_id(cell)} has no edge case; write edge(\"in words\", …) for the empty, tied, zero or extreme input"
    probes = _probes(tree)
    for name in dict.fromkeys(_left_behind(tree)):
        if not name.startswith("_") and name not in PROVIDED | probes:
            yield f"{grade_id(cell)} leaves the public name {name} behind for later cells; call it _{name}"
    for node in _outside(tree, probes):
        yield from (f"{grade_id(cell)}, `{_short(node)}`: {p}" for p in _passes_nan(node))
    for node in _about_students(tree, probes, answers):
        yield (f"{grade_id(cell)}, `{_short(node)}`: a student's object may be anything behind the wall, so this proves nothing; "
               "compare its value, or have a probe look at it")
    for call in _calls(tree, ("case", "edge")):
        if _names(call) & _from_students(tree, answers):
            yield (f"{grade_id(cell)}, `{_short(call)}`: a case holds what a student's code gave, and the reference would run on it outside the sandbox; "
                   "have a probe keep it beside the answer")
    beside = [*provided, *tree.body]
    probes = _probes(ast.Module(beside, []))
    for function in (n for n in beside if getattr(n, "name", None) in probes):
        yield from (f"{grade_id(cell)}, `{_short(node)}` in {function.name}: a verdict that is reached beside the student's code can be forged; "
                    "return what the probe sees, and compare that in the test" for node in _verdicts(function))


def _probes(tree) -> set[str]:
    """Functions that run beside the student's objects: given to observe or as probe=, and those they call."""
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    found = {n.value.id for n in ast.walk(tree) if isinstance(n, ast.keyword) and n.arg == "probe" and isinstance(n.value, ast.Name)}
    found |= {call.args[0].id for call in _calls(tree, ("observe",)) if call.args and isinstance(call.args[0], ast.Name)}
    while more := {n.id for f in found & functions.keys() for n in ast.walk(functions[f]) if isinstance(n, ast.Name)} & functions.keys() - found:
        found |= more
    return found


def _verdicts(node):
    """Where a probe asserts, compares for sameness (but with None) or asks for all or any, unless it chooses so what to do next."""
    same = isinstance(node, ast.Compare) and isinstance(node.ops[0], SAME) and getattr(node.comparators[0], "value", ...) is not None
    if same or isinstance(node, ast.Assert) or (isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) in JUDGES):
        yield node
        return
    chooses = [getattr(node, "test", None), *getattr(node, "ifs", [])]
    for child in ast.iter_child_nodes(node):
        if child not in chooses:
            yield from _verdicts(child)


def _outside(tree, probes):
    """Every node but those of probes and of the copied reference."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.FunctionDef) and (node.name in probes or node.name == "_reference")):
            yield node
            yield from _outside(node, ())


def _passes_nan(node):
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.Invert)):
        if any(isinstance(n, ast.Compare) and isinstance(n.ops[0], ORDER) for n in _same_value(node.operand)):
            yield "NaN passes this, because every comparison with NaN is false; turn it round: assert error <= tolerance"
    elif isinstance(node, ast.If) and any(isinstance(n, ast.Compare) and isinstance(n.ops[0], ORDER) for n in _same_value(node.test)):
        if any(isinstance(n, ast.Raise) or (isinstance(n, ast.Assert) and isinstance(n.test, ast.Constant)) for n in node.body):
            yield "NaN passes this, because every comparison with NaN is false; assert what must hold instead"


def _same_value(node):
    """A truth value's parts: through any(), all(), bool(), (…).any() and boolean operators."""
    yield node
    if isinstance(node, ast.BoolOp):
        parts = node.values
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr)):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Call):
        parts = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
    else:
        parts = [node.elt] if isinstance(node, (ast.GeneratorExp, ast.ListComp)) else []
    for part in parts:
        yield from _same_value(part)


def _from_students(tree, answers) -> set[str]:
    """The names that a test cell's top level gives to the answers and to what is computed from them."""
    found, size = set(answers), -1
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    while len(found) > size:
        size = len(found)
        for node in _outside(tree, functions):
            if isinstance(node, (ast.Assign, ast.NamedExpr, ast.For, ast.comprehension)):
                value, targets = (node.iter, [node.target]) if hasattr(node, "iter") else (node.value, getattr(node, "targets", None) or [node.target])
                if _names(value) & found:
                    found |= {name for target in targets for name in _names(target)}
    return found


def _about_students(tree, probes, answers):
    """`is not None` and isinstance on what came from an answer: in a law on its parameters, else on what is computed from the answer."""
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    scopes = [(tree, probes | {f.name for f in functions}, _from_students(tree, answers))]
    scopes += [(f, set(), {a.arg for a in ast.walk(f) if isinstance(a, ast.arg)}) for f in functions if f.name not in probes | {"_reference"}]
    for scope, skipped, suspects in scopes:
        for node in _outside(scope, skipped):
            negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
            test, op = (node.operand, ast.Is) if negated else (node, ast.IsNot)
            identity = isinstance(test, ast.Compare) and isinstance(test.ops[0], op) and _names(test.left) & suspects
            instance = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance" and _names(node) & suspects
            if identity or instance:
                yield node


def _left_behind(tree):
    """The names that a cell's top level gives a value, wherever it does."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((a.asname or a.name).split(".")[0] for a in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif not isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            yield from _left_behind(node)


def _globals(tree) -> set[str]:
    """The names that a cell reads from outside itself, at any depth."""
    def of(code):
        names = {s.argval for s in dis.get_instructions(code) if s.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
        return names.union(*(of(c) for c in code.co_consts if hasattr(c, "co_code")))
    return of(compile(tree, "<cell>", "exec"))


def _calls(tree, names):
    return [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", getattr(n.func, "attr", None)) in names]


def _names(node) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _short(node) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) < 60 else text[:57] + "…"


def _parse(source: str) -> ast.Module:
    """A cell as Python, magics left out; empty if it is none."""
    try:
        return ast.parse("\n".join("" if re.match(r"\s*[%!]", line) else line for line in source.split("\n")))
    except SyntaxError:
        return ast.Module([], [])
