"""Answers one test cell's requests inside the sandbox, next to the student's objects.

Does not know what is right: it calls, looks up and runs probes, and sends back what came of it.
"""
import pickle
import random
import sys

from . import values
from .channel import Channel, Closed
from .crossing import PROBE, decode
from .shell import is_cell

_raise_from = {name: kind for name, kind in vars(__import__("builtins")).items()
               if isinstance(kind, type) and issubclass(kind, Exception)}


class Stub:
    """Stands for a judge's object: its listed methods run there, with arguments by value."""

    def __init__(self, service, number, methods):
        self._service, self._number = service, number
        for method in methods:
            if method != "__call__":
                setattr(self, method, lambda *args, _m=method, **kwargs: service.call_back(self, _m, args, kwargs))

    def __call__(self, *args, **kwargs):
        return self._service.call_back(self, "__call__", args, kwargs)


class Service:
    """The requests a judge may make; objects that are no plain data stay here, known by number."""

    def __init__(self, channel: Channel, namespace: dict):
        self.channel, self.namespace, self.objects, self.stubs, self.probes = channel, namespace, [], {}, {}
        channel.encode = lambda message: values.pack(message, self._opaque)
        channel.decode = lambda data: decode(data, self._resolve)

    def names(self, wanted):
        return {name: self.namespace[name] for name in wanted if name in self.namespace}

    def call(self, target, args, kwargs):
        return target(*args, **kwargs)

    def observe(self, probe, args, kwargs, number):
        seed(number)
        if torch := sys.modules.get("torch"):
            torch.set_default_dtype(torch.float32)   # whatever a cell set: results depend on it
        return self.call(probe, args, kwargs)

    def get(self, target, name):
        return getattr(target, name)

    def set(self, target, name, value):
        setattr(target, name, value)

    def item(self, target, key):
        return target[key]

    def iter(self, target):
        return iter(target)

    def next(self, target):
        return next(target)

    def seed(self, number):
        seed(number)

    def call_back(self, stub, method, args, kwargs):
        self.channel.send("callback", stub, method, args, kwargs)
        kind, answer = self.channel.receive()
        if kind == "value":
            return answer
        raise next((_raise_from[name] for name in answer if name in _raise_from), RuntimeError)("raised by the test's callback")

    def _opaque(self, value):
        if isinstance(value, Stub):
            return [values.CALLBACK, value._number]
        self.objects.append(value.value if isinstance(value, Whole) else value)
        return [values.HANDLE, len(self.objects) - 1]

    def _resolve(self, tag, number, methods=()):
        if tag == values.HANDLE:
            return self.objects[number]
        if tag == PROBE:
            if number not in self.probes:
                self.probes[number] = pickle.loads(number)
            return self.probes[number]
        return self.stubs.setdefault(number, Stub(self, number, methods))


OPERATIONS = {name: getattr(Service, name) for name in ("names", "call", "observe", "get", "set", "item", "iter", "next", "seed")}


def serve(channel: Channel, namespace: dict):
    """Answer requests until the judge hangs up."""
    service = Service(channel, namespace)
    while True:
        try:
            operation, *fields = channel.receive()
        except Closed:
            return
        except Exception:                            # what the test sent cannot be rebuilt here
            channel.send("raise", ["TypeError"], None, None)
            continue
        try:
            reply = "value", OPERATIONS[operation](service, *fields)
        except StopIteration if operation == "next" else ():
            reply = "stop",
        except BaseException as error:
            reply = "raise", [base.__name__ for base in type(error).__mro__], *_place_of(error)
        try:
            channel.send(*reply)
        except values.NotData:                       # too deep, a cycle, a surrogate: still an object, though not data
            channel.send("value", Whole(reply[1]))


class Whole:
    """Wraps a value that cannot be sent as data, so that it is sent as a handle."""

    def __init__(self, value):
        self.value = value


def _place_of(error) -> tuple[str | None, int | None]:
    """The cell and the line in it that an exception passed through last."""
    place, trace = (None, None), error.__traceback__
    while trace:
        if is_cell(trace.tb_frame.f_code.co_filename):
            place = trace.tb_frame.f_code.co_filename[1:-1], trace.tb_lineno
        trace = trace.tb_next
    return place


def seed(number: int):
    """Seed every generator an answer may draw from."""
    random.seed(number)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(number % 2**32)
    if torch := sys.modules.get("torch"):
        torch.default_generator.manual_seed(number)  # torch.manual_seed would look for accelerators, in every fork anew
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(number)
