"""Generic answers: what can be handed in without having understood the exercise. Each must earn nothing.

They are made of the right answer: called on copies, its result with every number replaced, so that the shape is right and nothing else.
Runs inside the sandbox, beside the right answer that the audit put there. Does not judge.
"""
import copy
import functools
import inspect
import math
import random
import sys

import numpy as np

# What a number becomes, wherever it stands in a result; None: one drawn at random.
FILLS = {"NaN": math.nan, "infinity": math.inf, "zeros": 0, "ones": 1, "random values": None}
TEXTS = {"NaN": "nan", "infinity": "inf", "zeros": "", "ones": "1"}           # what a text becomes, unless drawn at random
KINDS = ("None", "an empty result", "the input", "all inputs", "results that equal everything", "an object that equals everything", *FILLS)


class Everything:
    """Claims to equal everything, to be true, and to do whatever is asked of it."""
    __hash__ = object.__hash__

    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __contains__ = __lt__
    def __bool__(self): return True
    def __call__(self, *args, **kwargs): return self
    def __getattr__(self, name): return self
    def __getitem__(self, key): return self
    def __iter__(self): return iter([self, self])
    def __len__(self): return 2
    __int__ = __index__ = __len__
    def __float__(self): return 1.0


def generic(kind: str, right):
    """The generic answer of this kind in place of `right`: a function, a class or data. `kind` is one of KINDS, or "raises <exception>"."""
    if kind == KINDS[5]:
        return Everything()
    if inspect.isclass(right):
        return _class(kind, right)
    return _function(kind, right) if callable(right) else _result(kind, right, ())


def _function(kind, right, own=0):
    @functools.wraps(right)
    def answer(*args, **kwargs):
        if kind.startswith("raises "):
            raise getattr(__import__("builtins"), kind.split()[1])("a generic answer")
        args, kwargs = _copies(args, kwargs)         # a right answer must not do its work on the test's own objects
        return _result(kind, right(*args, **kwargs), args[own:])
    return answer


def _class(kind, right):
    """A class whose methods give generic results; the right object is kept out of sight, to give them their shape."""
    def start(self, *args, **kwargs):
        right.__init__(self, *args, **kwargs)
        self.__dict__["_right"] = copy.deepcopy(self)
        for name, value in vars(self).items():
            if isinstance(value, (bool, int, float, str, list, tuple, np.ndarray)) and not name.startswith("_"):
                self.__dict__[name] = _result(kind, value, ())

    def method(original):
        return lambda self, *args, **kwargs: _function(kind, original, 1)(self.__dict__.get("_right", self), *args, **kwargs)

    found = {name: method(value) for name, value in vars(right).items() if inspect.isfunction(value) and name != "__init__"}
    return type(right.__name__, (right,), {**found, "__init__": start})


def _copies(args, kwargs):
    """Copies of all that can be copied; what shared parts (a model, its optimizer) still does."""
    memo = {}
    for value in (*args, *kwargs.values()):
        try:
            copy.deepcopy(value)
        except Exception:
            memo[id(value)] = value
    return copy.deepcopy((args, kwargs), memo)


def _result(kind, right, args):
    if kind in FILLS:
        return _filled(right, kind)
    if kind == "results that equal everything":
        return Everything()
    if kind == "the input" and args:
        return tuple(args[0] for _ in right) if type(right) is tuple else args[0]
    if kind == "all inputs":
        return args
    if kind == "an empty result":
        if isinstance(right, np.ndarray) or hasattr(right, "new_zeros"):
            return right.reshape(-1)[:0]
        return type(right)() if isinstance(right, (str, bytes, list, tuple, dict, set)) else []
    return None


def _filled(value, kind):
    """`value` with every number and text in it replaced."""
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_, int, float, complex, np.number)):
        return _array(np.asarray(value), kind).item()
    if isinstance(value, str):
        return TEXTS[kind] if kind in TEXTS else "".join(random.choice("abcdefgh ") for _ in value)
    if isinstance(value, np.ndarray):
        return _array(value, kind)
    if hasattr(value, "new_zeros"):                  # a tensor
        new = sys.modules["torch"].from_numpy(_array((value.double() if value.is_floating_point() else value).detach().numpy(), kind))
        return new.to(value.dtype) if value.is_floating_point() else new
    if hasattr(value, "load_state_dict"):            # a model
        new = copy.deepcopy(value)
        new.load_state_dict({name: _filled(part, kind) for name, part in value.state_dict().items()})
        return new
    if isinstance(value, dict):
        return {key: _filled(item, kind) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        items = [_filled(item, kind) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, range) or hasattr(value, "__next__"):
        return iter([_filled(item, kind) for item in value])
    if inspect.isroutine(value) or isinstance(value, functools.partial):
        return lambda *args, **kwargs: _filled(value(*args, **kwargs), kind)
    if not hasattr(value, "__dict__") or inspect.isclass(value):
        return None
    new = copy.copy(value)
    new.__dict__.update({name: _filled(part, kind) for name, part in vars(value).items()})
    return new


def _array(value, kind):
    """An array of the same shape; of the same dtype where that can hold what goes in."""
    fill = FILLS[kind]
    if fill is None:
        drawn = np.asarray(np.random.random(value.shape))
        return np.asarray(drawn < 0.5) if value.dtype == bool else (drawn * (10 if value.dtype.kind in "iu" else 1)).astype(value.dtype)
    return np.full(value.shape, fill, dtype=value.dtype if value.dtype.kind in "fc" or kind in ("zeros", "ones") else float)
