"""The student's objects as the judge sees them, and the judge's objects as the student may call them.

A Proxy forwards a call, an attribute, an item or an iteration to the sandbox and has nothing else: no truth value, equality,
order, hash or number. A callback runs here, through an explicit list of methods, with arguments by value.
"""
import operator
import time
from dataclasses import dataclass, field

from . import service, values
from .channel import Channel
from .crossing import Sender

# What an exception of the student's may arrive as: decided by the names of its own base classes, first match; else RuntimeError.
STUDENT_ERRORS = {kind.__name__: kind for kind in (
    ValueError, TypeError, KeyError, IndexError, AttributeError, NameError, UnboundLocalError, ZeroDivisionError, OverflowError,
    FloatingPointError, ArithmeticError, LookupError, AssertionError, NotImplementedError, RecursionError, MemoryError, ImportError,
    ModuleNotFoundError, FileNotFoundError, PermissionError, OSError, UnicodeError, BufferError, RuntimeError)}


class Opaque(TypeError):
    """A test used a student's object where plain data was expected."""


class TimedOut(BaseException):
    """The student's code took longer than its limit."""


class Crashed(BaseException):
    """The process with the student's code is gone."""


class Forged(BaseException):
    """The sandbox sent something that no answer sends."""


@dataclass
class Callback:
    """A judge's object that student code may call. `methods` lists, for each class, what may be called on it."""
    target: object
    methods: dict = field(default_factory=dict)
    limit: int = 100_000


class Conversation:
    """One test cell talking to one checkpoint: requests out, values, errors and callbacks in."""

    def __init__(self, sock, scopes, secret_names, seconds: float, lines: dict[str, int] = {}):
        self.sender = Sender(scopes, secret_names, self._reference_of)
        self.channel = Channel(sock, self.sender.encode, lambda data: values.unpack(data, self._revive))
        self.deadline, self.lines = time.monotonic() + seconds, lines
        self.callbacks, self.methods, self.calls = [], {}, 0
        self.exams = []                                      # those that the test at hand has made
        self.raised, self.raised_line = None, None           # the last exception of the student's, and its line in their cell

    def request(self, operation: str, *fields):
        """Ask the sandbox; returns its value, or raises what the student's code raised."""
        try:
            self.channel.send(operation, *fields, deadline=self.deadline)
            while True:
                match self.channel.receive(self.deadline):
                    case "value", value:
                        return value
                    case "callback", target, method, args, kwargs:
                        self._call_back(target, method, args, kwargs)
                    case "raise", names, cell, line:
                        known = type(cell) is str and type(line) is int and 0 < line <= self.lines.get(cell, 0)
                        self.raised, self.raised_line = student_error(names), line if known else None
                        raise self.raised
                    case _:
                        raise Forged(f"an answer of an unknown kind to {operation}")
        except TimeoutError:
            raise TimedOut from None
        except ConnectionError:
            raise Crashed from None
        except values.Malformed as error:
            raise Forged(f"a malformed answer: {error}") from None

    def observe(self, function, args, kwargs={}, seed: int | None = None):
        """Call a function next to the student's objects, or one of these; with a seed, every generator there is seeded first."""
        return self.request("call", function, args, kwargs, seed)

    def _reference_of(self, value):
        if isinstance(value, Proxy):
            return values.HANDLE, object.__getattribute__(value, "_handle")
        if isinstance(value, Callback):
            self.methods |= value.methods
            target = value.target
        elif type(value) in self.methods:
            target = value
        else:
            return None
        known = next((n for n, one in enumerate(self.callbacks) if one is target), None)
        if known is None:
            known = len(self.callbacks)
            self.callbacks.append(target)
            self.calls = max(self.calls, value.limit if isinstance(value, Callback) else 0)
        return values.CALLBACK, known, tuple(self.methods.get(type(target), ("__call__",)))

    def _revive(self, tag, fields):
        if tag == values.HANDLE and len(fields) == 1 and type(fields[0]) is int:
            return Proxy(self, fields[0])
        if tag == values.CALLBACK and len(fields) == 1 and type(fields[0]) is int and 0 <= fields[0] < len(self.callbacks):
            return self.callbacks[fields[0]]
        raise values.Malformed("an unknown tag")

    def _call_back(self, target, method, args, kwargs):
        allowed = self.methods.get(type(target), ("__call__",))
        if not any(target is one for one in self.callbacks) or type(method) is not str or method not in allowed \
                or type(args) is not tuple or type(kwargs) is not dict or any(type(k) is not str for k in kwargs):
            raise Forged("a call of something that was not handed out")
        self.calls -= 1
        try:
            if self.calls < 0:
                raise RuntimeError("too many calls")
            result = target(*args, **kwargs) if method == "__call__" else getattr(target, method)(*args, **kwargs)
        except Exception as error:
            reply = "raise", next(base for base in type(error).__mro__ if base.__module__ == "builtins")
        else:
            reply = "value", result
        self.channel.send(*reply, deadline=self.deadline)


def student_error(names) -> Exception:
    """The exception that stands for one of the student's, whose class and bases have these names."""
    known = [n for n in names if type(n) is str and n in STUDENT_ERRORS] if type(names) is list else []
    return STUDENT_ERRORS[known[0] if known else "RuntimeError"]("raised by the student's code")


def _refuse(what):
    def refuse(self, *_):
        raise Opaque(f"the answer gave an object that is no plain data, and a test needed its {what}")
    return refuse


class Proxy:
    """An object that lives in the sandbox."""
    __slots__ = ("_conversation", "_handle")

    def __init__(self, conversation: Conversation, handle: int):
        object.__setattr__(self, "_conversation", conversation)
        object.__setattr__(self, "_handle", handle)

    def _ask(self, function, *args):
        return object.__getattribute__(self, "_conversation").observe(function, (self, *args))

    def __call__(self, *args, **kwargs):
        return object.__getattribute__(self, "_conversation").observe(self, args, kwargs)

    def __getattr__(self, name):
        if name.startswith("__"):                    # numpy and torch ask for __array__ and its like, and would trust the answer
            raise AttributeError(name)
        return self._ask(getattr, name)

    def __setattr__(self, name, value):
        self._ask(setattr, name, value)

    def __getitem__(self, key):
        return self._ask(operator.getitem, key)

    def __iter__(self):
        iterator = self._ask(iter)
        while type(iterator) is Proxy:
            found = iterator._ask(service.advance)
            if type(found) is not list:
                break
            if not found:
                return
            yield found[0]
        raise Forged("an iterator that is none")

    def __repr__(self):
        return "<an object of the student's>"

    __bool__ = __len__ = _refuse("truth value")
    __eq__ = __ne__ = __contains__ = _refuse("equality")
    __lt__ = __le__ = __gt__ = __ge__ = _refuse("order")
    __hash__ = _refuse("hash")
    __int__ = __float__ = __complex__ = __index__ = _refuse("number")
    __reduce_ex__ = __deepcopy__ = _refuse("copy")
