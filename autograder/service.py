"""Answers one test cell's requests inside the sandbox, next to the student's objects.

Does not know what is right: it calls what it is told to call, and sends back what came of it.
"""
import itertools
import pickle
import random
import sys
import traceback

from . import values
from .channel import Channel
from .crossing import PROBE, decode
from .shell import is_cell


class Stub:
    """Stands for a judge's object: its listed methods run there, with arguments by value. It has no room for others."""
    __slots__ = ("_service", "_number", "_methods")

    def __init__(self, service, number, methods):
        self._service, self._number, self._methods = service, number, methods

    def __getattr__(self, method):
        if method.startswith("_") or method not in self._methods:
            raise AttributeError(method)
        return lambda *args, **kwargs: self._service.call_back(self, method, args, kwargs)

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

    def call(self, function, args, kwargs, number):
        if number is not None:
            seed(number)
            if torch := sys.modules.get("torch"):
                torch.set_default_dtype(torch.float32)       # whatever a cell set: results depend on it
        return function(*args, **kwargs)

    def call_back(self, stub, method, args, kwargs):
        self.channel.send("callback", stub, method, args, kwargs)
        kind, answer = self.channel.receive()
        if kind == "value":
            return answer
        raise answer("raised by the test's callback")

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


def serve(channel: Channel, namespace: dict):
    """Answer requests until the judge hangs up."""
    service = Service(channel, namespace)
    while True:
        try:
            operation, *fields = channel.receive()
        except ConnectionError:
            return
        except Exception:                            # what the test sent cannot be rebuilt here
            channel.send("raise", ["TypeError"], None, None)
            continue
        try:
            reply = "value", getattr(service, operation)(*fields)
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
    place = None, None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if is_cell(frame.f_code.co_filename):
            place = frame.f_code.co_filename[1:-1], line
    return place


def advance(iterator) -> list:
    """The next value of an iterator, if it has one."""
    return list(itertools.islice(iterator, 1))


def seed(number: int):
    """Seed every generator an answer may draw from."""
    random.seed(number)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(number % 2**32)
    if torch := sys.modules.get("torch"):
        torch.default_generator.manual_seed(number)  # torch.manual_seed would look for accelerators, in every fork anew
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(number)
