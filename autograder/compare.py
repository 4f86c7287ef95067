"""When are two results the same? By value: numpy, torch and Python alike, with a tolerance, NaN equal to NaN only.

Masks (bool) equal only masks; integer dtypes are alike; lists equal tuples. Says how results differ, never what they hold.
"""
import sys

import numpy as np


def difference(got, wanted, rtol: float = 1e-5, atol: float = 1e-6) -> str | None:
    """None if `got` is the same value as `wanted`; else in words how it differs."""
    if isinstance(wanted, dict):
        if not isinstance(got, dict):
            return "expected a dictionary"
        if got.keys() != wanted.keys():
            return "the dictionary has other keys"
        return next((f"at key {k!r}: {d}" for k, v in wanted.items() if (d := difference(got[k], v, rtol, atol))), None)
    if isinstance(wanted, (set, frozenset)):
        return None if isinstance(got, (set, frozenset)) and got == wanted else "expected another set"
    if wanted is None or isinstance(wanted, (str, bytes)):
        if type(got) is type(wanted):
            return None if got == wanted else "the value is wrong"
        return "expected None" if wanted is None else "expected text"
    if isinstance(wanted, (list, tuple)) and not _numbers(wanted):
        if not isinstance(got, (list, tuple)):
            return "expected a sequence of results" if got is not None else "returned None"
        if len(got) != len(wanted):
            return f"expected {len(wanted)} results"
        return next((f"result {n}: {d}" for n, (g, w) in enumerate(zip(got, wanted), 1) if (d := difference(g, w, rtol, atol))), None)
    return _array_difference(got, wanted, rtol, atol)


def _array_difference(got, wanted, rtol, atol):
    if got is None:
        return "returned None"
    wanted, got = as_array(wanted), as_array(got)
    if wanted is None:
        raise TypeError("a reference must give data: numbers, text, arrays, or containers of these")
    if got is None:
        return "expected numbers"
    if got.shape != wanted.shape:
        return "the shape is wrong"
    if (wanted.dtype == bool) != (got.dtype == bool) and got.size:
        return "expected booleans" if wanted.dtype == bool else "expected numbers, not booleans"
    if wanted.dtype.kind in "iub" and got.dtype.kind in "iub":
        return None if np.array_equal(got, wanted) else "the values are wrong"
    with np.errstate(all="ignore"):
        same = np.isclose(got.astype(np.complex128), wanted.astype(np.complex128), rtol=rtol, atol=atol, equal_nan=True)
    if same.all():
        return None
    return "the values are wrong" if np.isfinite(got).all() else "the values are wrong, and some are not finite"


def as_array(value) -> np.ndarray | None:
    """Numbers as an array; None if `value` holds anything else."""
    torch = sys.modules.get("torch")
    if torch and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype is torch.bfloat16 else value).numpy()
    if isinstance(value, (list, tuple)):
        parts = [as_array(v) for v in value]
        if any(p is None or p.shape != parts[0].shape for p in parts):
            return None
        value = np.stack(parts) if parts else np.zeros(0)
    if not isinstance(value, (bool, int, float, complex, np.generic, np.ndarray)):
        return None
    array = np.asarray(value)
    if array.dtype == object:                        # whole numbers beyond 64 bits
        try:
            array = array.astype(np.float64)
        except OverflowError:
            return None
    return array if array.dtype.kind in "biufc" else None


def as_number(value) -> float | None:
    """One finite number of Python's, numpy's or torch's own types; None for a boolean, NaN, an infinity, several numbers and all else."""
    kind, torch = type(value), sys.modules.get("torch")
    own = kind in (int, float, np.ndarray, *np.sctypeDict.values()) or (torch and kind is torch.Tensor)
    array = as_array(value) if own else None                 # a subclass of float may say that it is any number
    if array is None or array.shape != () or array.dtype.kind not in "iuf" or not np.isfinite(array):
        return None
    return float(array)


def as_letters(value) -> set[str] | None:
    """The letters, in lower case, of a text or of a set, list or tuple of texts; None if `value` is anything else."""
    parts = [value] if type(value) is str else list(value) if type(value) in (set, frozenset, list, tuple) else None
    if parts is None or any(type(part) is not str for part in parts):
        return None
    return set("".join(parts).lower())


def _numbers(sequence) -> bool:
    """Whether a list is a plain array written as a list: numbers, or lists of numbers of one length."""
    if not sequence:
        return True
    if all(isinstance(v, (bool, int, float, np.generic)) for v in sequence):
        return True
    return all(isinstance(v, (list, tuple)) and v and _numbers(v) for v in sequence) and len({len(v) for v in sequence}) == 1
