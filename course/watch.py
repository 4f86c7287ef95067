"""What numbers a computation is made of: which dtypes torch's operations take and give, and what a notebook's own operations give.

`Recorder` sees every torch operation while it is entered. Numpy and Python's own numbers pass it by, so `instrumented` builds a function or class anew
from its source, with every operator and every call in it shown to the recorder. Does not judge, and does not look inside libraries other than torch.
"""
import ast
import linecache
import types

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Recorder(TorchDispatchMode):
    """While entered, `operations` lists (torch operation, dtypes of its tensors, the results' last), `floats` the kinds of floating arrays that
    came up anywhere, and `scalars` the single floating numbers as texts, in order: the size of a picture divided by a stride is one, and harmless."""

    def __init__(self):
        super().__init__()
        self.operations, self.floats, self.scalars, self.on = [], set(), [], False

    def __enter__(self):
        self.on = True
        return super().__enter__()

    def __exit__(self, *error):
        self.on = False
        return super().__exit__(*error)

    def __torch_dispatch__(self, function, kinds, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        dtypes = [leaf.dtype for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
        self.operations.append((function.overloadpacket.__name__, [str(dtype).removeprefix("torch.") for dtype in dtypes]))
        self.floats.update(f"torch {dtype}" for dtype in dtypes if dtype.is_floating_point or dtype.is_complex)
        return result

    def see(self, value):
        """Note what a value is made of, if entered; gives the value back."""
        if self.on and type(value) not in (int, bool, str, type(None)):
            for part in (value, *value) if type(value) in (tuple, list) else (value,):
                self._note(part)
        return value

    def _note(self, value):
        if isinstance(value, (float, complex, np.inexact)):
            self.scalars.append(repr(value))
        elif isinstance(value, torch.Tensor):
            if value.dtype.is_floating_point or value.dtype.is_complex:
                self.floats.add(f"torch {value.dtype}")
        elif isinstance(value, np.ndarray):
            if value.dtype.kind in "fc":
                self.floats.add(f"numpy {value.dtype}")
            elif value.dtype == object:
                self.scalars += [repr(one) for one in value.flat if isinstance(one, (float, complex, np.inexact))]


def instrumented(answer, see):
    """`answer`, a function or class of a notebook or file, built anew so that `see(value)` is called on what each operator and call in it gives.

    Helpers beside it are built anew too. Where the source is not at hand, the answer as it is.
    """
    try:
        home = next(member.__globals__ for member in (answer, *vars(answer).values()) if isinstance(member, types.FunctionType))
        scope = {**home, "__see__": see}
        own = {name: path for name, value in home.items() if (path := _path(value, home))}
        for path in dict.fromkeys(own.values()):
            names = {name for name, other in own.items() if other == path}
            tree = ast.parse("".join(linecache.getlines(path)))
            tree.body = [node for node in tree.body if isinstance(node, DEFINITIONS) and node.name in names or isinstance(node, ast.Assign)
                         and any(isinstance(target, ast.Name) and target.id in names for target in node.targets)]
            exec(compile(ast.fix_missing_locations(_Watched().visit(tree)), path, "exec"), scope)
        return _named(answer.__qualname__, scope) or next(scope[name] for name, value in home.items() if value is answer)
    except Exception:                                    # no source, or one that does not run a second time
        return answer


def _path(value, home):
    """The file or cell that a function or class of this namespace was written in; None for what is imported."""
    members = [value, *vars(value).values()] if isinstance(value, type) else [value]
    return next((one.__code__.co_filename for one in members if isinstance(one, types.FunctionType) and one.__globals__ is home), None)


def _named(qualname, scope):
    first, *rest = qualname.split(".")
    found = scope.get(first)
    for name in rest:
        found = vars(found).get(name) if isinstance(found, type) else None
    return found


class _Watched(ast.NodeTransformer):
    """Wraps every operator and call as `__see__(…)`."""

    def _wrapped(self, node):
        self.generic_visit(node)
        return ast.Call(ast.Name("__see__", ast.Load()), [node], [])

    visit_BinOp = visit_UnaryOp = visit_Call = _wrapped

    def visit_AugAssign(self, node):
        self.generic_visit(node)
        if isinstance(node.target, ast.Name):
            return [node, ast.Expr(ast.Call(ast.Name("__see__", ast.Load()), [ast.Name(node.target.id, ast.Load())], []))]
        return node

    def visit_MatchValue(self, node):
        return node
