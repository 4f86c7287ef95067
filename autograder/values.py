"""The data that may cross the wall, as msgpack: plain values by exact type, rebuilt as plain values on the other side.

None, bool, int, float, str, bytes, list, tuple, dict, set, numpy arrays and scalars, torch tensors; OrderedDict, torch.Size,
named tuples and Parameters are made plain. Every container is written as `[tag, …]`, so that nothing a sender writes can be
read as anything else. `pack` asks `opaque(value)` for the fields of what is not data, `unpack` gives them to `revive(tag, fields)`.

Does not pickle, and does not know what a handle is: that is `proxy`.
"""
import collections
import itertools
import math
import sys

import msgpack
import numpy as np

LIST, TUPLE, SET, DICT, ARRAY, SCALAR, TENSOR, BIG_INT = range(8)
HANDLE, CALLBACK = 8, 9

MAX_DEPTH = 40
MAX_ITEMS = 2_000_000
DTYPES = frozenset("bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split())
INT64 = range(-2**63, 2**63)


class NotData(Exception):
    """The value is no plain data, and the packer has no other way to send it."""


class Malformed(Exception):
    """The bytes are not what `pack` writes."""


def _refuse(value):
    raise NotData(f"a {type(value).__name__} is not plain data")


def pack(value, opaque=_refuse) -> bytes:
    """`value` as bytes; raises NotData where a part of it is neither data nor known to `opaque`."""
    try:
        return msgpack.packb(_encode(value, opaque, 0), use_bin_type=True)
    except (UnicodeEncodeError, OverflowError, ValueError, RecursionError) as error:
        raise NotData(str(error)) from None


def _encode(value, opaque, depth):
    kind = type(value)
    if value is None or kind in (bool, float, str, bytes):
        return value
    if kind is int:
        return value if value in INT64 else [BIG_INT, format(value, "x")]
    if depth > MAX_DEPTH:
        raise NotData("nested too deeply, or in a cycle")
    if kind is list:
        return [LIST, [_encode(v, opaque, depth + 1) for v in value]]
    if kind in (dict, collections.OrderedDict, set, frozenset):
        try:
            keys = [_encode(key, _refuse, depth + 1) for key in value]
        except NotData:                              # keyed by objects: an object as a whole
            return opaque(value)
        if kind in (set, frozenset):
            return [SET, keys]
        return [DICT, [part for key, v in zip(keys, value.values()) for part in (key, _encode(v, opaque, depth + 1))]]
    if kind is tuple or kind.__name__ == "Size" or (kind.__base__ is tuple and hasattr(kind, "_fields")):
        return [TUPLE, [_encode(v, opaque, depth + 1) for v in tuple.__iter__(value)]]
    if kind is np.ndarray and value.dtype.name in DTYPES:
        return [ARRAY, value.dtype.name, list(value.shape), np.ascontiguousarray(value, value.dtype.newbyteorder("=")).tobytes()]
    if isinstance(value, np.generic) and kind.__module__ == "numpy" and value.dtype.name in DTYPES:
        return [SCALAR, value.dtype.name, value.tobytes()]
    torch = sys.modules.get("torch")
    if torch and (kind is torch.Tensor or kind is torch.nn.Parameter) and value.layout is torch.strided:
        name = str(value.dtype).removeprefix("torch.")
        if name in DTYPES | {"bfloat16"} and value.device.type != "meta":
            plain = value.detach().cpu().resolve_conj().resolve_neg()
            raw = plain.view(torch.int16) if name == "bfloat16" else plain         # numpy knows no bfloat16
            return [TENSOR, name, list(plain.shape), raw.numpy().tobytes()]
    return opaque(value)


def _unknown(tag, fields):
    raise Malformed("an unknown tag")


def unpack(data: bytes, revive=_unknown):
    """The value that `pack` wrote; raises Malformed on anything else."""
    try:
        return _decode(msgpack.unpackb(data, raw=False, use_list=True, max_map_len=0), revive, itertools.count(), 0)
    except Malformed:
        raise
    except Exception as error:                       # msgpack's own errors are many, and share no class
        raise Malformed(f"{type(error).__name__}: {error}"[:200]) from None


def _decode(node, revive, items, depth):
    if depth > MAX_DEPTH + 1 or next(items) >= MAX_ITEMS:
        raise Malformed("too deep or too many values")
    if type(node) is not list:
        if node is None or type(node) in (bool, int, float, str, bytes):
            return node
        raise Malformed(f"a bare {type(node).__name__}")
    tag, *fields = node
    if _exact(tag, int) in (LIST, TUPLE, SET, DICT):
        values = [_decode(n, revive, items, depth + 1) for n in _exact(*fields, list)]
        return values if tag == LIST else tuple(values) if tag == TUPLE else _keyed(tag, values)
    if tag == BIG_INT:
        return int(_exact(*fields, str), 16)
    if tag == ARRAY:
        return _array(*fields)
    if tag == SCALAR:
        dtype, raw = fields
        return _array(dtype, [], raw)[()]
    if tag == TENSOR:
        return _tensor(*fields)
    return revive(tag, fields)


def _keyed(tag, values):
    """A set or dictionary, key by key in Python: keys chosen to collide take long, and this loop can be interrupted."""
    if tag == SET:
        return {key for key in values}
    return {key: value for key, value in zip(values[::2], values[1::2], strict=True)}


def _exact(value, kind):
    if type(value) is not kind:
        raise Malformed(f"a {type(value).__name__} for a {kind.__name__}")
    return value


def _array(name, shape, raw):
    if _exact(name, str) not in DTYPES:
        raise Malformed("a dtype that may not cross")
    dtype = np.dtype(name)
    if any(_exact(n, int) < 0 for n in _exact(shape, list)) or len(shape) > 32:
        raise Malformed("a shape that is none")
    if math.prod(shape) * dtype.itemsize != len(_exact(raw, bytes)):
        raise Malformed("a shape that does not fit its data")
    if dtype.name == "bool" and raw.strip(b"\0\1"):
        raw = (np.frombuffer(raw, np.uint8) != 0).tobytes()
    return np.frombuffer(raw, dtype).reshape(shape).copy()


def _tensor(name, shape, raw):
    import torch
    if name == "bfloat16":
        return torch.from_numpy(_array("int16", shape, raw)).view(torch.bfloat16)
    return torch.from_numpy(_array(name, shape, raw))
