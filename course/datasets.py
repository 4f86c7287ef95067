"""The data of the course: scikit-learn's handwritten digits, split once and for everybody.

1,797 grey pictures of 8 × 8 pixels, ten classes; they come with scikit-learn, so nothing is downloaded. This is the *test* part of the UCI
set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998), written by 13 people. Our split is random, so every writer occurs on both
sides: accuracy here says how well a network knows these hands, not how it would read a stranger's.

Does not augment, batch or standardise.
"""
import numpy as np
import torch
from sklearn.datasets import load_digits

VALIDATION = 500                      # pictures held out: one of them is 0.2 % of accuracy


def digits(images: bool = False, arrays: str = "torch") -> tuple:
    """The digits as `data = (x_train, y_train, x_val, y_val)`: 1,297 pictures to learn from and 500 held out.

    x is float32 in [0, 1], of shape (n, 64), or (n, 1, 8, 8) with `images`; y is int64 in 0..9, of shape (n,). The arrays are new on every call.
    arrays: "torch" or "numpy"; anything else raises ValueError.
    """
    if arrays not in ("torch", "numpy"):
        raise ValueError(f'arrays is "torch" or "numpy", not {arrays!r}')
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32).reshape((-1, 1, 8, 8) if images else (-1, 64))
    order = np.random.RandomState(0).permutation(len(x))          # RandomState: its stream is frozen, default_rng's is not
    train, val = order[:-VALIDATION], order[-VALIDATION:]
    data = x[train], y[train].astype(np.int64), x[val], y[val].astype(np.int64)
    return data if arrays == "numpy" else tuple(torch.from_numpy(array) for array in data)
