"""What crosses the wall arrives as it was; what no packer writes is refused, whatever it is."""
import collections
import os

import msgpack
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from autograder import values
from autograder.compare import difference

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])) | st.binary()
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                    max_leaves=20)
ARRAYS = hnp.arrays(st.sampled_from([np.bool_, np.int8, np.uint16, np.int64, np.float16, np.float32, np.float64, np.complex64]),
                    hnp.array_shapes(min_dims=0, min_side=0, max_side=4))


@given(DATA)
def test_plain_data_arrives_as_it_was(value):
    assert repr(values.unpack(values.pack(value))) == repr(value)


@given(ARRAYS)
def test_arrays_arrive_as_they_were(array):
    found = values.unpack(values.pack(array))
    assert type(found) is np.ndarray and found.dtype == array.dtype and found.shape == array.shape
    assert found.tobytes() == np.ascontiguousarray(array).tobytes() and found.flags.writeable


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "bfloat16", "float32", "float64", "complex64"])
def test_tensors_arrive_as_they_were(dtype):
    tensor = torch.randn(3, 2).mul(9).to(getattr(torch, dtype)).T
    found = values.unpack(values.pack(tensor))
    assert type(found) is torch.Tensor and found.dtype == tensor.dtype and torch.equal(found, tensor)


def test_near_relatives_are_made_plain():
    pair = collections.namedtuple("pair", "a b")
    given = [collections.OrderedDict(b=1), torch.Size([2, 3]), pair(1, 2), torch.nn.Parameter(torch.ones(2)), frozenset({1})]
    found = values.unpack(values.pack(given))
    assert [type(v) for v in found] == [dict, tuple, tuple, torch.Tensor, set]


@pytest.mark.parametrize("value", [type("Sly", (int,), {})(3), type("Sly", (str,), {})("a"), type("Sly", (list,), {})(), object(), len, int,
                                   np.zeros(2).view(type("Sly", (np.ndarray,), {})), np.array([object()]), np.matrix("1 2"),
                                   torch.zeros(2).to_sparse(), torch.zeros(2).as_subclass(type("Sly", (torch.Tensor,), {})), "\ud800"])
def test_what_is_no_plain_data_is_not_sent(value):
    with pytest.raises(values.NotData):
        values.pack(value)


def test_cycles_and_depth_are_no_data():
    loop = []
    loop.append(loop)
    with pytest.raises(values.NotData):
        values.pack(loop)


def nested(depth):
    return [values.LIST, [nested(depth - 1)]] if depth else None


FORGED = {
    "a bare map": {}, "a bare extension": msgpack.ExtType(1, b""), "an unknown tag": [99, 1], "a tag that is no number": ["x", 1],
    "a boolean tag": [True, [1]], "a container without values": [values.LIST], "a container of text": [values.LIST, "abc"],
    "an odd dictionary": [values.DICT, [1]], "an unhashable key": [values.DICT, [[values.LIST, []], 1]],
    "an object array": [values.ARRAY, "object", [1], b"12345678"], "a structured dtype": [values.ARRAY, "i4,i4", [1], b"12345678"],
    "a negative shape": [values.ARRAY, "int8", [-1], b""], "a shape too large": [values.ARRAY, "int8", [2**62, 2**62], b""],
    "a shape of floats": [values.ARRAY, "int8", [1.0], b"1"], "too few bytes": [values.TENSOR, "float32", [2], b"1234"],
    "a tensor of objects": [values.TENSOR, "object", [1], b"12345678"], "a handle": [values.HANDLE, 0], "a pickle": [10, b"cos\n"], "too deep": nested(60), "no number": [values.BIG_INT, "zz"], "a huge number": [values.BIG_INT, 3],
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_payloads_are_malformed(what):
    with pytest.raises(values.Malformed):
        values.unpack(msgpack.packb(FORGED[what]))


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_noise_is_malformed_or_data(noise):
    try:
        values.unpack(noise)
    except values.Malformed:
        pass


def test_random_damage_never_raises_anything_else():
    good = values.pack([{"a": np.arange(5)}, torch.ones(2, 2), (1, 2.5, "x", b"y", {3})])
    generator = np.random.default_rng(0)
    for _ in range(2000):
        bad = bytearray(good)
        for place in generator.integers(0, len(bad), 3):
            bad[place] = os.urandom(1)[0]
        try:
            values.unpack(bytes(bad))
        except values.Malformed:
            pass


@pytest.mark.parametrize("got, wanted, same", [
    (np.array([1.0, 2]), [1, 2], True), (torch.tensor([1.0]), np.array([1.0000001]), True), ([1, 2], (1, 2), True), (3, 3.0, True),
    (np.int8([1]), torch.tensor([1]), True), (np.array([1, 0]), np.array([True, False]), False), (np.nan, np.nan, True), (np.nan, 1.0, False),
    (1.0, np.nan, False), (np.inf, np.inf, True), ([np.nan], [0.0], False), (None, 1, False), ({"a": 1}, {"a": 1.0}, True), ({}, {"a": 1}, False),
    (np.ones((2, 3)), np.ones((3, 2)), False), ([torch.tensor(1.0), torch.tensor(2.0)], [1.0, 2.0], True), ("a", "a", True), ("a", "b", False),
    ([np.ones(2), np.ones(3)], [np.ones(2), np.ones(3)], True), (2**80, 2**80, True), (2**80, 2**81, False), (True, 1, False), ([], [], True),
])
def test_values_are_compared_by_value(got, wanted, same):
    assert (difference(got, wanted) is None) == same
