"""What the judge sends into the sandbox: inputs by value, probes as code, handles and callbacks by number, in one pickle a message.

Refuses, with a line for the author, whatever could carry an expected value across: closures, lambdas, functions that read data
globals, and everything the reference or the mistakes define. What comes back is never a pickle: that is `values`.
"""
import dis
import io
import pickle
import sys
import types

import cloudpickle

SECRET_MODULES = ("autograder.judge", "autograder.mistakes", "autograder.proxy", "autograder_known_answers", "__main__")
PROBE = "probe"


class Refused(TypeError):
    """The test tried to send what must stay with the judge."""


class Sender:
    """Encodes the judge's messages. `scopes` are the notebook's namespaces in the judge, whose plain functions may be probes.

    `reference_of(value)` gives (tag, field, …) for a proxy or a callback, else None.
    """

    def __init__(self, scopes: list[dict], secret_names: frozenset[str], reference_of):
        self.scopes, self.secret_names, self.reference_of, self.probes = scopes, secret_names, reference_of, {}

    def encode(self, message: tuple) -> bytes:
        """The message as a pickle; objects in it that share parts (a model, its optimizer) still do on the other side."""
        return self._pickle(message, lambda item: (PROBE, self._probe(item)) if self._is_probe(item) else self.reference_of(item))

    def _is_probe(self, item) -> bool:
        return isinstance(item, types.FunctionType) and any(item.__globals__ is scope for scope in self.scopes)

    def _probe(self, function) -> bytes:
        """A probe as a pickle of its own, made once: code is slow to take apart, and a test sends it with every case."""
        if function not in self.probes:
            self.probes[function] = self._pickle(function, lambda item: None)
        return self.probes[function]

    def _pickle(self, value, reference_of) -> bytes:
        sender, buffer = self, io.BytesIO()

        class Pickler(cloudpickle.Pickler):
            def persistent_id(self, item):
                return reference_of(item)

            def reducer_override(self, item):
                if sender._is_probe(item):
                    sender.check_probe(item)
                elif isinstance(item, (type, types.FunctionType)) and \
                        (item.__module__ in SECRET_MODULES or item.__module__ not in sys.modules):
                    raise Refused(f"{item.__qualname__} may not cross: it is not in a module that both sides can import")
                elif (whole := _without_the_rest(item)) is not item:
                    return whole.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
                return super().reducer_override(item)

        try:
            Pickler(buffer).dump(value)
        except (pickle.PicklingError, AttributeError) as error:
            raise Refused(f"cannot be sent to the student's code: {error}") from None
        return buffer.getvalue()

    def check_probe(self, function):
        """Raise Refused unless this function of the notebook reads modules, functions and its arguments only."""
        name = function.__name__
        if function.__qualname__ != name or name == "<lambda>" or function.__closure__:
            raise Refused(f"{name}: a probe must be a plain top-level function, no closure or lambda; pass what it needs as arguments")
        if name in self.secret_names or name.startswith("_reference"):
            raise Refused(f"{name}: a reference answer may not cross")
        for used in _globals_of(function.__code__):
            value = function.__globals__.get(used, function)         # itself, a builtin, or a NameError in the sandbox
            if not (isinstance(value, types.ModuleType) or (callable(value) and hasattr(value, "__qualname__"))):
                raise Refused(f"{name} reads the global {used!r}: pass data to a probe as an argument")


def decode(data: bytes, resolve) -> tuple:
    """In the sandbox: the judge's message; `resolve(tag, field, …)` finds handles, callbacks and probes."""
    unpickler = pickle.Unpickler(io.BytesIO(data))
    unpickler.persistent_load = lambda identity: resolve(*identity)
    return unpickler.load()


def _without_the_rest(item):
    """A tensor that is a view of a larger one, such as the part of a data set that is not held out, as one of its own; else `item` itself."""
    torch = sys.modules.get("torch")
    if not torch or type(item) not in (torch.Tensor, torch.nn.Parameter) or item.layout is not torch.strided \
            or item.untyped_storage().nbytes() <= item.numel() * item.element_size():
        return item
    whole = item.detach().clone().requires_grad_(item.requires_grad)
    return whole if type(item) is torch.Tensor else torch.nn.Parameter(whole, item.requires_grad)


def _globals_of(code) -> set[str]:
    names = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*[_globals_of(c) for c in code.co_consts if isinstance(c, types.CodeType)])
