"""What the judge may send into the sandbox: inputs by value, probes as code, handles and callbacks by number.

Refuses, with a line for the author, whatever could carry an expected value across: closures, lambdas, functions that read data
globals, and everything the reference or the mistakes define. Does not decide what comes back: that is `values` and `proxy`.
"""
import dis
import importlib
import io
import marshal
import pickle
import sys
import types

from . import values

SECRET_MODULES = ("autograder.judge", "autograder.mistakes", "autograder.proxy", "__main__")


class Refused(TypeError):
    """The test tried to send what must stay with the judge."""


class Sender:
    """Encodes what a test sends. `scopes` are the notebook's namespaces in the judge, whose plain functions may be probes.

    `reference_of(value)` gives [tag, field, …] for a proxy or a callback, else None.
    """

    def __init__(self, scopes: list[dict], secret_names: frozenset[str], reference_of):
        self.scopes, self.secret_names, self.reference_of = scopes, secret_names, reference_of

    def opaque(self, value):
        """For `values.pack`: the tagged form of what is not plain data."""
        if reference := self.reference_of(value):
            return reference
        if self._is_probe(value):
            return [values.PROBE, marshal.dumps(self.probe(value))]
        return [values.PICKLE, self._pickle(value)]

    def arguments(self, args: tuple, kwargs: dict):
        """The arguments as they are sent: together in one pickle where objects in them may share parts (a model, its optimizer)."""
        try:
            values.pack((args, kwargs), self._no_pickle)
            return args, kwargs
        except values.NotData:
            return Pickled((args, kwargs)), None

    def _no_pickle(self, value):
        if self._is_probe(value) or self.reference_of(value):
            return None
        raise values.NotData

    def _is_probe(self, value) -> bool:
        return isinstance(value, types.FunctionType) and any(value.__globals__ is scope for scope in self.scopes)

    def probe(self, function) -> dict:
        """A function of the notebook as plain data: its code, its defaults, and where its globals come from."""
        name = function.__name__
        if function.__qualname__ != name or name == "<lambda>" or function.__closure__:
            raise Refused(f"{name}: a probe must be a plain top-level function, no closure or lambda; pass what it needs as arguments")
        if name in self.secret_names or name.startswith("_reference"):
            raise Refused(f"{name}: a reference answer may not cross")
        found = {}
        for used in sorted(_globals_of(function.__code__)):
            value = function.__globals__.get(used, function)
            if value is function:                            # itself, a builtin, or a NameError in the sandbox
                continue
            if isinstance(value, types.ModuleType):
                found[used] = ("module", self._importable(value.__name__))
            elif self._is_probe(value):
                found[used] = ("probe", self.probe(value))
            elif callable(value) and getattr(value, "__module__", None) and hasattr(value, "__qualname__"):
                found[used] = ("object", self._importable(value.__module__), value.__qualname__)
            else:
                raise Refused(f"{name} reads the global {used!r}: pass data to a probe as an argument")
        return {"name": name, "code": _anonymous(function.__code__), "defaults": values.pack((function.__defaults__ or (),
                function.__kwdefaults__ or {})), "globals": found}

    def _importable(self, module: str) -> str:
        if module in SECRET_MODULES or module not in sys.modules:
            raise Refused(f"{module} may not cross")
        return module

    def _pickle(self, value) -> bytes:
        sender, buffer = self, io.BytesIO()

        class Pickler(pickle.Pickler):
            def persistent_id(self, item):
                if reference := sender.reference_of(item):
                    return reference
                return [values.PROBE, marshal.dumps(sender.probe(item))] if sender._is_probe(item) else None

            def reducer_override(self, item):
                if isinstance(item, (type, types.FunctionType)):
                    sender._importable(item.__module__)
                return NotImplemented

        try:
            Pickler(buffer, protocol=5).dump(value.value if isinstance(value, Pickled) else value)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise Refused(f"a {type(value).__name__} cannot be sent to the student's code: {error}") from None
        return buffer.getvalue()


class Pickled:
    """Marks arguments that cross as one pickle."""

    def __init__(self, value):
        self.value = value


class Receiver:
    """The sandbox's side: rebuilds what a Sender wrote. `resolve(tag, fields)` finds handles and callbacks."""

    def __init__(self, resolve):
        self.resolve = resolve

    def revive(self, tag, fields):
        """For `values.unpack`."""
        if tag == values.PROBE:
            return _rebuild(marshal.loads(fields[0]))
        if tag == values.PICKLE:
            return self._unpickle(fields[0])
        return self.resolve(tag, fields)

    def _unpickle(self, data):
        receiver = self

        class Unpickler(pickle.Unpickler):
            def persistent_load(self, identity):
                tag, *fields = identity
                return receiver.revive(tag, fields)

        return Unpickler(io.BytesIO(data)).load()


def _rebuild(spec: dict):
    scope = {"__builtins__": __builtins__, "__name__": "probe"}
    for name, (kind, *where) in spec["globals"].items():
        if kind == "probe":
            scope[name] = _rebuild(where[0])
        else:
            found = importlib.import_module(where[0])
            for part in where[1].split(".") if kind == "object" else ():
                found = getattr(found, part)
            scope[name] = found
    defaults, keyword_defaults = values.unpack(spec["defaults"])
    function = scope[spec["name"]] = types.FunctionType(spec["code"], scope, spec["name"], defaults)
    function.__kwdefaults__ = keyword_defaults
    return function


def _globals_of(code):
    names = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*[_globals_of(c) for c in code.co_consts if isinstance(c, types.CodeType)])


def _anonymous(code):
    consts = tuple(_anonymous(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.replace(co_filename="<probe>", co_consts=consts)
