# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 05 · Uniform quantization
#
# A float32 weight takes 32 bits. Quantization gives it a place on a grid of $2^b$ levels and stores the place: $b$ bits, and one *scale* for many
# weights. Nothing is removed: a network of 1,810 parameters still has 1,810. Each of them takes fewer bits, and integer arithmetic costs less
# than floating point.
#
# You will build what every integer toolchain has inside, from the grid to a whole network:
#
# - **A grid.** Scale and zero point from a range (1); values to codes and back (2).
# - **How many values share a scale?** A channel (3), a group of neighbours (4).
# - **Which range?** All of it, most of it, or the one of least error (5).
# - **A network.** Batch norm vanishes into the convolution before it (6), the error gets a unit (7), and a trained network is quantized without
#   training (8).
# - **Repair** a published answer (9).
#
# **Conventions**, in all exercises. Let $b$ be the bits.
#
# | | codes | zero point |
# |---|---|---|
# | *affine* grid | $q_{min} = -2^{b-1}$ to $q_{max} = 2^{b-1} - 1$ (8 bits: −128 to 127) | integer $z$, the code of real 0 |
# | *symmetric* grid | $-(2^{b-1} - 1)$ to $2^{b-1} - 1$ (8 bits: −127 to 127) | none: code 0 is real 0 |
#
# *Round* is to the nearest integer, and from halfway between two to the even one: 0.5 → 0, 1.5 → 2, −2.5 → −2. So do `torch.round`, `np.round`
# and Python's `round`. *Clamp* is to the ends of the grid. Tensors are torch float32 (exercise 9: numpy). A function gives back something new and
# leaves its arguments as they were. Results may be torch tensors, numpy arrays, lists or numbers: values count. Codes have an integer type, any
# of them.

# %%
import copy
import math

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
import matplotlib.pyplot as plt
from sklearn.datasets import load_sample_image
from autograder import observe
from course import journey, models, plots
from course.datasets import digits
from course.train import accuracy

torch.set_num_threads(1)                                 # so small a network is slower on many threads

# %% [markdown]
# ## 1. Scale and zero point of a range
#
# Write `affine_qparams(lo, hi, bits) -> (scale, zero_point)` for a range of floats, `lo` ≤ `hi`, and `bits` from 1 to 8. Real 0 must have a code
# of its own (padding, a ReLU's output and a pruned weight are exactly 0), so first the range is widened to hold 0, on the side where it does not;
# then
#
# $$lo' = \min(lo, 0), \qquad hi' = \max(hi, 0), \qquad s = \frac{hi' - lo'}{2^b - 1}, \qquad z = \mathrm{clamp}\Big(\mathrm{round}\Big(q_{min} - \frac{lo'}{s}\Big)\Big)$$
#
# with the *affine* grid: $q_{min} = -2^{b-1}$, and the clamp is to $q_{min} \dots 2^{b-1} - 1$.
#
# - `scale` is a number above 0, `zero_point` a number of an *integer type* (Python, numpy or torch): it will be added to codes, and −64.0 is no
#   integer.
# - For `lo = hi = 0` any scale above 0 and any zero point on the grid are right: every grid with a zero point holds 0.
# - Where $q_{min} - lo'/s$ lies halfway between two integers, either is accepted: in floating point the last digit decides.
#
# Source: Jacob et al. (2018), *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*, section 2.1,
# equation 1: $r = S(q - Z)$.
#
# *Worked example.* `lo = -1, hi = 3, bits = 8`: s = 4/255 = 0.015686; −128 + 1/0.015686 = −128 + 63.75 = −64.25, so z = −64. Code −64 is real 0;
# code −128 is 0.015686 · (−128 + 64) = −1.004, code 127 is 2.996. The range moved a little, so that 0 is exact. `lo = 2, hi = 6` gives the grid
# of 0 to 6.
#
# <details><summary>Hint 1</summary>How many steps lie between 2<sup>b</sup> levels?</details>
# <details><summary>Hint 2</summary>Which code should <code>lo</code> get, and so how many steps above it is 0? The scale is the length of one
# step: divide by it to count steps.</details>
# <details><summary>Hint 3</summary><code>lo, hi = min(lo, 0), max(hi, 0)</code>; <code>scale = (hi - lo) / (2 ** bits - 1)</code>, or 1.0 if that
# is 0; then <code>round(-2 ** (bits - 1) - lo / scale)</code>, between the ends of the grid.</details>

# %% answer="affine_qparams"
def affine_qparams(lo, hi, bits):
    """(scale, zero_point) of the affine grid over [lo, hi], widened to hold 0."""
    ### BEGIN SOLUTION
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    qmin, qmax = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    scale = (hi - lo) / (qmax - qmin) or 1.0
    return scale, min(max(round(qmin - lo / scale), qmin), qmax)
    ### END SOLUTION

# %% test="affine_qparams" points=3
_scale, _zero_point = affine_qparams(-1.0, 3.0, 8)
assert abs(_scale - 4 / 255) <= 1e-6
assert _zero_point == -64
### BEGIN HIDDEN TESTS
def _spans_the_range(result, lo, hi, bits):
    scale, zero_point = map(np.asarray, result)
    assert scale.size == 1 and zero_point.size == 1, "expected one scale and one zero point"
    scale, lo, hi = float(scale.reshape(())), min(lo, 0.0), max(hi, 0.0)
    assert 0 < scale < np.inf, "the scale must be a finite number above 0"
    assert zero_point.dtype.kind in "iu", "the zero point must be of an integer type"
    qmin, qmax = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    assert qmin <= zero_point.reshape(()) <= qmax, "the zero point must lie on the grid"
    if lo < hi:
        wanted = (hi - lo) / (2 ** bits - 1)
        assert abs(scale - wanted) <= 1e-5 * wanted, "the scale is wrong"
        assert abs(zero_point.reshape(()) - (qmin - lo / wanted)) <= 0.501, "the zero point is wrong"


exam.law("ranges that hold 0", _spans_the_range, [
    case("from -1 to 3, 8 bits", -1.0, 3.0, 8),
    case("from -2.7 to 0.9, 4 bits", -2.7, 0.9, 4),
    case("from -0.013 to 0.02, 3 bits", -0.013, 0.02, 3),
    case("from -70 to 41, 5 bits", -70.0, 41.0, 5),
    case("from -3.3 to 5.1, 7 bits", -3.3, 5.1, 7),
], weight=2)
exam.law("ranges that do not hold 0", _spans_the_range, [
    case("from 2 to 6, 8 bits: widened down to 0", 2.0, 6.0, 8),
    case("from -5 to -4, 8 bits: widened up to 0", -5.0, -4.0, 8),
    case("from 10 to 10.5, 4 bits", 10.0, 10.5, 4),
    edge("a constant: from 0.7 to 0.7, 8 bits", 0.7, 0.7, 8),
    edge("a constant below 0: from -3 to -3, 6 bits", -3.0, -3.0, 6),
])
exam.law("edges", _spans_the_range, [
    edge("from 0 to 1, 8 bits", 0.0, 1.0, 8),
    edge("from -1 to 0, 2 bits", -1.0, 0.0, 2),
    edge("from -0.2 to 0.8, one bit: 0 and one level beside it", -0.2, 0.8, 1),
    edge("from 0 to 0, 8 bits: any scale above 0", 0.0, 0.0, 8),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Values to codes and back
#
# Write `quantize(x, s, z, bits) -> q` for a float32 tensor `x` of any shape, a scale `s` above 0 (float), a zero point `z` (int) and `bits` from
# 1 to 8:
#
# $$q = \mathrm{clamp}\Big(\mathrm{round}\Big(\frac{x}{s}\Big) + z,\; q_{min},\; q_{max}\Big)$$
#
# and `dequantize(q, s, z) -> x_hat` for codes `q`:
#
# $$\hat x = s\,(q - z)$$
#
# - The grid of `quantize` is always the affine one, $-2^{b-1}$ to $2^{b-1} - 1$; values beyond it *saturate*: they get the code of the nearer end,
#   also where x/s is larger than an int32 can hold.
# - Halfway between two codes round to even: `x / s = 2.5` gives 2, 3.5 gives 4 (tested with an even `z`, where rounding before and after adding z
#   agree).
# - `q` has the shape of `x` and an integer type. `x` may be empty.
# - `dequantize` takes *any* integer type, int8 and uint8 among them, and gives float32 values in the shape of `q`. Mind that `q - z` may not fit
#   into the type of `q`: 127 − (−128) is 255.
#
# Source: Jacob et al. (2018), section 2.1, equation 1, and section 3, equation 12.
#
# *Worked example.* `s = 0.5, z = 1, bits = 3`, codes −4 to 3. `x = [0.6, -1.3, 9]`: x/s = [1.2, −2.6, 18], rounded [1, −3, 18], plus z [2, −2,
# 19], clamped `[2, -2, 3]`. Back: 0.5 · [1, −3, 2] = `[0.5, -1.5, 1.0]`. The first two are off by at most s/2; the third was clipped.
#
# <details><summary>Hint 1</summary>Four steps for the way in (divide, round, shift, clamp), two for the way back. A scale alone rounds
# nothing.</details>
# <details><summary>Hint 2</summary><code>torch.round</code> rounds half to even, and <code>clamp(lo, hi)</code> saturates. Clamp while the values
# are floats, and change the type last.</details>
# <details><summary>Hint 3</summary><code>(torch.round(x / s) + z).clamp(-2 ** (bits - 1), 2 ** (bits - 1) - 1)</code>, then
# <code>.to(torch.int32)</code>. Back: make floats of the codes first, <code>(q.float() - z) * s</code>.</details>

# %% answer="quantize"
def quantize(x, s, z, bits):
    """The codes of x on the affine grid: clamp(round(x / s) + z)."""
    ### BEGIN SOLUTION
    return (torch.round(x / s) + z).clamp(-2 ** (bits - 1), 2 ** (bits - 1) - 1).to(torch.int32)
    ### END SOLUTION


def dequantize(q, s, z):
    """The values that codes stand for: s · (q − z)."""
    ### BEGIN SOLUTION
    return (q.to(torch.float32) - z) * s
    ### END SOLUTION

# %% test="quantize" points=4
_q = quantize(torch.tensor([0.6, -1.3, 9.0]), 0.5, 1, 3)
assert np.asarray(_q).tolist() == [2, -2, 3]
assert np.allclose(dequantize(torch.tensor([2, -2, 3]), 0.5, 1), [0.5, -1.5, 1.0])
### BEGIN HIDDEN TESTS
def _has_the_codes(q, x, s, z, bits):
    q, x = np.asarray(q), x.double().numpy()
    assert q.shape == x.shape, "the codes must have the shape of x"
    assert q.dtype.kind in "iu" or not q.size, "the codes must be of an integer type"
    wanted = np.clip(np.round(x / s) + z, -2 ** (bits - 1), 2 ** (bits - 1) - 1)
    assert np.array_equal(q, wanted), "the codes are wrong"


def _near(codes, s, generator):
    """Values up to 0.4 of a step beside these codes' (zero point 0): none is near a tie."""
    codes = torch.as_tensor(codes, dtype=torch.float32)
    return (codes + 0.8 * torch.rand(codes.shape, generator=generator) - 0.4) * s


_rng = torch.Generator().manual_seed(2)
_wide, _tall = torch.randint(-15, 16, (3, 5), generator=_rng), torch.randint(-60, 190, (7, 4), generator=_rng)
exam.law("codes", _has_the_codes, [
    case("a 3 × 5 matrix, s = 0.25, z = 0, 8 bits", _near(_wide, 0.25, _rng), 0.25, 0, 8),
    case("a 7 × 4 matrix of small values, s = 0.003, z = -64, 8 bits", _near(_tall, 0.003, _rng), 0.003, -64, 8),
    case("a 2 × 3 × 4 tensor of large values, s = 7.5, z = 3, 5 bits",
         _near(torch.randint(-19, 13, (2, 3, 4), generator=_rng), 7.5, _rng), 7.5, 3, 5),
    case("a vector of 40, s = 0.01, z = -20, 6 bits", _near(torch.randint(-12, 52, (40,), generator=_rng), 0.01, _rng), 0.01, -20, 6),
], of="quantize", weight=2)
exam.law("beyond the grid", _has_the_codes, [
    case("4 bits, z = 2: codes from -8 to 7, values far on both sides",
         _near([-30.0, -11.0, -10.0, -9.0, 0.0, 4.0, 5.0, 6.0, 40.0], 0.1, _rng), 0.1, 2, 4),
    case("8 bits, z = 0: the lowest code is -128, not -127",
         _near([-127.0, -128.0, -129.0, -200.0, 126.0, 127.0, 128.0, 300.0], 0.02, _rng), 0.02, 0, 8),
    edge("values of a million steps, z = -128", torch.tensor([1e6, -1e6, 3.1]) * 0.5, 0.5, -128, 8),
    edge("values of five billion steps, more than an int32 holds", torch.tensor([5e9, -5e9, 3.1]) * 0.5, 0.5, 2, 8),
    edge("2 bits: codes -2 to 1", _near([-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0], 0.001, _rng), 0.001, -1, 2),
], of="quantize")
exam.law("edges", _has_the_codes, [
    edge("the tie test: halves of a step round to even", torch.tensor([0.25, 0.75, 1.25, 1.75, -0.25, -0.75, -1.25]), 0.5, 0, 8),
    edge("the tie test, z = -4", torch.tensor([[0.125, 0.375], [-0.375, -0.625]]), 0.25, -4, 5),
    edge("one bit: codes -1 and 0", torch.tensor([0.1, 0.4, 0.7, 1.3, -2.0]), 1.0, -1, 1),
    edge("an empty tensor", torch.zeros(2, 0), 0.1, 0, 8),
    edge("a single number, of shape ()", torch.tensor(-1.1), 0.5, 1, 4),
], of="quantize")
exam.compare("values", [
    case("int32 codes, s = 0.25, z = 3", torch.randint(-128, 128, (4, 3), generator=_rng, dtype=torch.int32), 0.25, 3),
    case("int64 codes, s = 0.003, z = -100", torch.randint(-128, 128, (2, 5), generator=_rng), 0.003, -100),
    edge("int8 codes, z = -128: the differences do not fit into int8", torch.tensor([-128, -1, 0, 127], dtype=torch.int8), 0.5, -128),
    edge("uint8 codes below z", torch.tensor([[0, 3, 200, 255]], dtype=torch.uint8), 2.0, 128),
    edge("int16 codes, s = 1e-4, z = 0", torch.tensor([-32768, 32767, 1], dtype=torch.int16), 1e-4, 0),
    edge("int16 codes whose differences do not fit into int16", torch.tensor([32767, -32768], dtype=torch.int16), 0.01, -30000),
    edge("no codes", torch.zeros(2, 0, dtype=torch.int32), 0.5, 1),
], of="dequantize", weight=2)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: a grid over weights, and over a photograph
#
# With exercises 1 and 2 done, run the next cell. Above: the weights of a trained network's first layer, and the levels that they are rounded to;
# most weights are small, and most levels are where there are few. Below: a photograph whose grey values are quantized uniformly. A pixel needs 8
# bits to look continuous; at 4 the sky shows contours, at 1 there is a threshold left. No marks.

# %%
plots.use_style()


def rounded(x, bits, lo, hi):
    """x on the affine grid of [lo, hi], with your functions."""
    s, z = affine_qparams(lo, hi, bits)
    return torch.as_tensor(np.asarray(dequantize(quantize(x, s, z, bits), s, z))).float()


first = models.load("small_mlp")[0].weight.detach()
photograph = torch.tensor(load_sample_image("china.jpg")[::2, ::2].mean(axis=2) / 255, dtype=torch.float32)
fig, axes = plt.subplots(1, 2, figsize=(8.4, 2.6))
for bits, ax in zip((4, 2), axes):
    lo, hi = first.min().item(), first.max().item()
    plots.grid_over_histogram(first, rounded(torch.linspace(lo, hi, 2000), bits, lo, hi).unique(), ax, f"{bits} bits")
plt.show()
fig, axes = plt.subplots(1, 4, figsize=(10, 2.1))
for bits, ax in zip((8, 4, 2, 1), axes):
    ax.imshow(rounded(photograph, bits, 0.0, 1.0), cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[], title=f"{bits} bit{'s' if bits > 1 else ''}")
    ax.grid(False)
plt.show()

# %% [markdown]
# ## 3. A scale for each channel
#
# One scale for a whole weight matrix is set by its largest weight, and a row of small weights gets few of the levels. A row is an output channel;
# give each its own scale, at a cost of one number per row.
#
# Write `quantize_per_channel(w, bits, axis) -> (q, scale)` for a float32 tensor `w` of two or more dimensions, `bits` from 2 to 8 and 0 ≤ `axis` <
# `w.dim()`. A *channel* is a slice $w_c$ of `w` at one index $c$ of `axis`; on the **symmetric** grid
#
# $$s_c = \frac{\max |w_c|}{2^{b-1} - 1}, \qquad q_c = \mathrm{round}\Big(\frac{w_c}{s_c}\Big) \in \{-(2^{b-1} - 1), \dots, 2^{b-1} - 1\}$$
#
# - `q` has the shape of `w` and an integer type, `scale` has the shape `(w.shape[axis],)`.
# - A channel of zeros gets the codes 0 and any (finite) scale above 0.
# - $w_c / s_c$ is never halfway between two integers in the tests, but either neighbour would do. `w` is not changed.
#
# Source: Krishnamoorthi (2018), *Quantizing Deep Convolutional Networks for Efficient Inference: A Whitepaper*, section 2 (symmetric quantizer;
# granularity).
#
# *Worked example.* `w = [[1.0, -0.55], [0.02, 0.008]]`, 3 bits, `axis = 0`: the grid is −3 to 3, the scales are 1/3 and 0.02/3. Row 0 is [3,
# −1.65] steps, rounded [3, −2]; row 1 is [3, 1.2], rounded [3, 1]. With one scale for all, 1/3, row 1 would be [0.06, 0.024] steps, rounded [0,
# 0]: gone.
#
# <details><summary>Hint 1</summary>A maximum over everything except one axis. How do you bring that axis to the front?</details>
# <details><summary>Hint 2</summary><code>w.movedim(axis, 0).flatten(1)</code> has one row per channel. For the division the scale must stand
# along <code>axis</code>: it needs a shape with ones.</details>
# <details><summary>Hint 3</summary><code>peak = w.abs().movedim(axis, 0).flatten(1).amax(1)</code>; <code>scale = peak / (2 ** (bits - 1) -
# 1)</code>, with 1 wherever it is 0; reshape it to <code>shape = [1] * w.dim()</code>, <code>shape[axis] = -1</code>, and round <code>w /
# scale.view(shape)</code>.</details>

# %% answer="quantize_per_channel"
def quantize_per_channel(w, bits, axis):
    """(codes, scale per index of axis) on the symmetric grid."""
    ### BEGIN SOLUTION
    rows = w.movedim(axis, 0).flatten(1)
    scale = rows.abs().amax(1) / (2 ** (bits - 1) - 1)
    scale[scale == 0] = 1
    q = torch.round(rows / scale[:, None]).to(torch.int32)
    return q.reshape(w.movedim(axis, 0).shape).movedim(0, axis), scale
    ### END SOLUTION

# %% test="quantize_per_channel" points=4
_q, _scale = quantize_per_channel(torch.tensor([[1.0, -0.55], [0.02, 0.008]]), 3, 0)
assert np.asarray(_q).tolist() == [[3, -2], [3, 1]]
assert np.allclose(_scale, [1 / 3, 0.02 / 3])
### BEGIN HIDDEN TESTS
def _rounds_each_channel(result, w, bits, axis):
    q, scale = map(np.asarray, result)
    w, top = np.moveaxis(w.double().numpy(), axis, 0), 2 ** (bits - 1) - 1
    assert scale.shape == (len(w),), "the scale must have the shape (channels,)"
    assert q.ndim == w.ndim and np.moveaxis(q, axis, 0).shape == w.shape, "the codes must have the shape of w"
    assert q.dtype.kind in "iu", "the codes must be of an integer type"
    assert (scale > 0).all() and np.isfinite(scale).all(), "a scale must be a finite number above 0"
    for row, codes, step in zip(w, np.moveaxis(q, axis, 0), scale):
        peak = np.abs(row).max()
        if peak == 0:
            assert (codes == 0).all(), "a channel of zeros must have the codes 0"
            continue
        assert abs(step - peak / top) <= 1e-4 * peak / top, "the scale of a channel is wrong"
        assert (np.abs(codes) <= top).all(), "a code lies outside the symmetric grid"
        assert (np.abs(codes - row * top / peak) <= 0.501).all(), "a weight is not rounded to the nearest code"


_rng = torch.Generator().manual_seed(3)


def _rows(*shape, axis=0):
    """Random weights of very different size in each channel of `axis`."""
    size = torch.logspace(-1, 0.5, shape[axis])[torch.randperm(shape[axis], generator=_rng)]
    return torch.randn(*shape, generator=_rng) * size.view([-1 if k == axis else 1 for k in range(len(shape))])


_holed = _rows(4, 6)
_holed[2] = 0
_below = -_rows(5, 3).abs() - 0.1
exam.law("rows of a matrix", _rounds_each_channel, [
    case("3 rows of 5, 8 bits", _rows(3, 5), 8, 0),
    case("7 rows of 4, 4 bits", _rows(7, 4), 4, 0),
    case("5 rows of 3 negative weights, 6 bits", _below, 6, 0),
    case("6 rows of 6, 3 bits", _rows(6, 6), 3, 0),
], weight=2)
exam.law("other axes", _rounds_each_channel, [
    case("axis 1 of a 3 × 5 matrix, 8 bits", _rows(3, 5, axis=1), 8, 1),
    case("axis 1 of a 4 × 4 matrix, 4 bits", _rows(4, 4, axis=1), 4, 1),
    case("axis 0 of a 4 × 2 × 3 × 3 kernel, 8 bits", _rows(4, 2, 3, 3), 8, 0),
    case("axis 1 of a 3 × 5 × 2 × 2 kernel, 5 bits", _rows(3, 5, 2, 2, axis=1), 5, 1),
    case("axis 2 of a 2 × 3 × 6 tensor, 4 bits", _rows(2, 3, 6, axis=2), 4, 2),
])
exam.law("edges", _rounds_each_channel, [
    edge("a row of zeros among others, 8 bits", _holed, 8, 0),
    edge("2 bits: codes -1, 0, 1", _rows(3, 7), 2, 0),
    edge("one row of one weight, 8 bits", torch.tensor([[-0.3]]), 8, 0),
    edge("all weights are 0, 4 bits", torch.zeros(2, 3), 4, 0),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 4. A scale for each group
#
# Finer still: one scale for every `group` neighbours along the last axis. It is how language models get down to four bits, where one large weight
# would ruin a whole row. The scales are no longer few: a 16-bit scale for each 32 weights costs half a bit per weight.
#
# Write `quantize_per_group(w, bits, group) -> (q, scale)` for a float32 tensor `w` of one or more dimensions whose last axis has n elements,
# `bits` from 2 to 8 and an integer `group` ≥ 1. Group j is the elements $jG$ to $(j + 1)G - 1$ of the last axis, G standing for `group`. Each is
# quantized on the **symmetric** grid by its own largest magnitude, as a channel in exercise 3:
#
# $$s_g = \frac{\max |w_g|}{2^{b-1} - 1}, \qquad q_g = \mathrm{round}\Big(\frac{w_g}{s_g}\Big)$$
#
# - `q` has the shape of `w` and an integer type; `scale` has the shape of `w` with n/G in place of n. For a 3 × 8 matrix and G = 4 it is 3 × 2.
# - A group of zeros gets the codes 0 and any (finite) scale above 0.
# - If G does not divide n: `ValueError`. `w` is not changed.
#
# Source: Shen et al. (2020), *Q-BERT: Hessian Based Ultra Low Precision Quantization of BERT*, group-wise quantization; Frantar et al. (2023),
# *GPTQ*, which uses groups of neighbours in a row.
#
# *Worked example.* `w = [[0.3, -0.14, 6.0, 1.7]]`, 3 bits, `group = 2`: scales [[0.1, 2.0]], codes `[[3, -1, 3, 1]]`. By the whole row's scale,
# 2.0, the first two would both be 0.
#
# <details><summary>Hint 1</summary>Exercise 3 with other channels. Which shape of <code>w</code> has one group per row?</details>
# <details><summary>Hint 2</summary><code>w.reshape(*w.shape[:-1], -1, group)</code> splits the last axis only, so no group runs over the end of a
# row.</details>
# <details><summary>Hint 3</summary>In that shape <code>amax(-1)</code> has already the shape of the scale; with <code>keepdim=True</code> it
# divides. Reshape the codes back to <code>w.shape</code>. Before all that, compare <code>w.shape[-1] % group</code> with 0.</details>

# %% answer="quantize_per_group"
def quantize_per_group(w, bits, group):
    """(codes, scale per group of neighbours on the last axis) on the symmetric grid."""
    ### BEGIN SOLUTION
    if w.shape[-1] % group:
        raise ValueError("the group must divide the last axis")
    groups = w.reshape(*w.shape[:-1], -1, group)
    scale = groups.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    scale[scale == 0] = 1
    return torch.round(groups / scale).to(torch.int32).reshape(w.shape), scale[..., 0]
    ### END SOLUTION

# %% test="quantize_per_group" points=3
_q, _scale = quantize_per_group(torch.tensor([[0.3, -0.14, 6.0, 1.7]]), 3, 2)
assert np.asarray(_q).tolist() == [[3, -1, 3, 1]]
assert np.allclose(_scale, [[0.1, 2.0]])
### BEGIN HIDDEN TESTS
def _rounds_each_group(result, w, bits, group):
    q, scale = map(np.asarray, result)
    w, top = w.double().numpy(), 2 ** (bits - 1) - 1
    assert scale.shape == (*w.shape[:-1], w.shape[-1] // group), "the scale must have the shape (..., n / group)"
    assert q.shape == w.shape, "the codes must have the shape of w"
    assert q.dtype.kind in "iu", "the codes must be of an integer type"
    assert (scale > 0).all() and np.isfinite(scale).all(), "a scale must be a finite number above 0"
    for part, codes, step in zip(w.reshape(-1, group), q.reshape(-1, group), scale.ravel()):
        peak = np.abs(part).max()
        if peak == 0:
            assert (codes == 0).all(), "a group of zeros must have the codes 0"
            continue
        assert abs(step - peak / top) <= 1e-4 * peak / top, "the scale of a group is wrong"
        assert (np.abs(codes) <= top).all(), "a code lies outside the symmetric grid"
        assert (np.abs(codes - part * top / peak) <= 0.501).all(), "a weight is not rounded to the nearest code"


_rng = torch.Generator().manual_seed(4)


def _heavy(*shape):
    """Random weights, some of them far larger than their neighbours."""
    return torch.randn(*shape, generator=_rng) * torch.exp(torch.randn(*shape, generator=_rng))


_holed = _heavy(3, 8)
_holed[1, 4:] = 0
exam.law("matrices", _rounds_each_group, [
    case("3 × 8, groups of 4, 8 bits", _heavy(3, 8), 8, 4),
    case("5 × 12, groups of 3, 4 bits", _heavy(5, 12), 4, 3),
    case("6 × 6, groups of 2, 4 bits", _heavy(6, 6), 4, 2),
    case("2 × 10, groups of 5, 3 bits, all weights negative", -_heavy(2, 10).abs() - 0.05, 3, 5),
    case("4 × 2, groups of 2, 6 bits", _heavy(4, 2), 6, 2),
], weight=2)
exam.law("other shapes", _rounds_each_group, [
    case("a vector of 12, groups of 4, 5 bits", _heavy(12), 5, 4),
    case("2 × 3 × 8, groups of 4, 4 bits", _heavy(2, 3, 8), 4, 4),
    case("4 × 2 × 3 × 6, groups of 3, 8 bits", _heavy(4, 2, 3, 6), 8, 3),
    case("8 × 3 stored by columns, groups of 3, 4 bits", _heavy(3, 8).T, 4, 3),
])
exam.law("edges", _rounds_each_group, [
    edge("a group of zeros among others, 4 bits", _holed, 4, 4),
    edge("the group is the whole row", _heavy(4, 6), 4, 6),
    edge("groups of one: every code is an end of the grid", _heavy(2, 3), 4, 1),
    edge("2 bits: codes -1, 0, 1", _heavy(3, 8), 2, 4),
    edge("4 does not divide 6: ValueError, though it divides all 24 weights", _heavy(4, 6), 4, 4),
    edge("a group longer than the row: ValueError", _heavy(2, 4), 4, 8),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: one scale for all, for a channel, for a group
#
# With exercises 3 and 4 done, run the next cell. The second convolution of the digits CNN has filters of very different size (left); a finer
# scale follows them. Right: the signal-to-noise ratio of the 4-bit weights of three tensors, and above each bar the bits per weight when a scale
# takes 16 bits. Groups of 8 are the best here, and the dearest: they take 6 bits per weight, and two more bits with a scale per channel would
# have won more (13 dB). Groups pay in long rows, where they can be long too. No marks.

# %%
def in_four_bits(w, per):
    """w rounded to 4 bits by your functions, and the number of its scales."""
    if per == "tensor":
        q, s = quantize_per_channel(w.reshape(1, -1), 4, 0)
    elif per == "channel":
        q, s = quantize_per_channel(w.flatten(1), 4, 0)
    else:
        q, s = quantize_per_group(w.flatten(1), 4, 8)
    q, s = torch.as_tensor(np.asarray(q)), torch.as_tensor(np.asarray(s))
    return (q.reshape(*s.shape, -1) * s[..., None]).reshape(w.shape), s.numel()


tensors = {f"layer {name}": module.weight.detach() for name, module in models.load("cnn").named_children() if name in "37"}
tensors["MLP, layer 0"] = models.load("mlp")[0].weight.detach()
fig, axes = plt.subplots(1, 2, figsize=(9, 3), width_ratios=(1, 1.7))
axes[0].bar(range(16), tensors["layer 3"].flatten(1).abs().amax(1), color=plots.PALE)
axes[0].set(xlabel="output channel of layer 3", ylabel="largest |weight|")
for k, (per, colour) in enumerate(zip(("tensor", "channel", "group of 8"), (plots.PALE, plots.BLUE, plots.ORANGE))):
    for place, w in enumerate(tensors.values()):
        w_hat, scales = in_four_bits(w, per)
        height = float(10 * torch.log10(w.square().sum() / (w - w_hat).square().sum()))
        axes[1].bar(place + 0.27 * (k - 1), height, 0.25, color=colour, label=f"a scale per {per}" if place == 0 else None)
        axes[1].text(place + 0.27 * (k - 1), height + 0.3, f"{4 + 16 * scales / w.numel():.2f}", ha="center", fontsize=8)
axes[1].set(xticks=range(3), xticklabels=tensors, ylabel="SQNR at 4 bits (dB)", ylim=(0, 32))
axes[1].legend(ncols=3, fontsize=8, loc="upper center")
plt.show()

# %% [markdown]
# ## 5. Calibrate the range
#
# The range of a layer's inputs is not known until data have gone through. Of a sample of them, which range should the grid have? All of it, and
# one outlier makes every step coarse; less, and the outlier is clipped. Rounding error against clipping error.
#
# Write `calibrate(x, bits, method) -> (scale, zero_point)` for a float32 tensor `x` of any shape with at least one element, `bits` from 2 to 8, and
# `method` one of these. Each chooses a range $[lo, hi]$, and the result is that of exercise 1 for it: the *affine* grid, the range widened to
# hold 0, an integer zero point, any scale above 0 if all is 0.
#
# - `"minmax"`: the smallest and the largest value of `x`.
# - `"percentile"`: with $p$ the 99.9 percentile of the **magnitudes** $|x|$ (linear between neighbours, as `torch.quantile` and `np.percentile`
#   have it), clamp `x` to $[-p, p]$; then the smallest and the largest value of that.
# - `"mse"`: the least squared error. Shrink both ends of the min/max range by the same factor: $[\tfrac{k}{100} \min x,\ \tfrac{k}{100} \max x]$
#   for k = 1, 2, …, 100, quantize `x` on each of these grids (exercise 2, values beyond the grid saturate), and take the one with the least
#
# $$\mathrm{MSE} = \frac{1}{n} \sum_i \big(x_i - \hat x_i\big)^2 \qquad \text{over all of } x, \text{ the clipped values too.}$$
#
# - The scale of `"minmax"` and `"percentile"` is tested to a relative 0.002: libraries find a percentile's position in float32.
# - For `"mse"` any scale and zero point whose MSE is at most 1.01 times the least of these hundred are right, however you found them.
# - `x` is not changed.
#
# Sources: Wu et al. (2020), *Integer Quantization for Deep Learning Inference: Principles and Empirical Evaluation*, for calibration by maximum
# and by percentile; Banner et al. (2019), *Post-Training 4-bit Quantization of Convolution Networks for Rapid-Deployment*, for clipping by least
# squared error.
#
# *Worked example.* `x` holds 500 zeros, 500 ones and one 15; `bits = 4`. Min/max: 0 to 15, so the scale is 1, the zero point −8, and nothing is
# lost. Percentile: of the 1001 magnitudes in order, the one at position 0.999 · 1000 = 999 (counted from 0) is the last 1, so p = 1 and the scale
# is 1/15: the 15 is clipped to 1. Least error: k = 100, which is exact.
#
# <details><summary>Hint 1</summary>All three end in exercise 1. Only the range differs.</details>
# <details><summary>Hint 2</summary><code>torch.quantile(x.abs(), 0.999)</code> is one number: the magnitudes are ranked, not the signed values.
# For the error, a grid's x̂ comes from exercise 2.</details>
# <details><summary>Hint 3</summary>For <code>"mse"</code> make a list of <code>affine_qparams(k / 100 * lo, k / 100 * hi, bits)</code> for k from
# 1 to 100 and return the one whose <code>((x - x_hat) ** 2).mean()</code> is least: <code>min(candidates, key=...)</code>.</details>

# %% answer="calibrate"
def calibrate(x, bits, method):
    """(scale, zero_point) of the affine grid over the range that `method` ("minmax", "percentile", "mse") finds in x."""
    ### BEGIN SOLUTION
    qmin, qmax = -2 ** (bits - 1), 2 ** (bits - 1) - 1

    def grid(lo, hi):
        lo, hi = min(lo, 0.0), max(hi, 0.0)
        s = (hi - lo) / (qmax - qmin) or 1.0
        return s, min(max(round(qmin - lo / s), qmin), qmax)

    def mse(s, z):
        return (((torch.round(x / s) + z).clamp(qmin, qmax) - z) * s - x).square().mean().item()

    if method == "percentile":
        p = torch.quantile(x.abs(), 0.999)
        x = x.clamp(-p, p)
    lo, hi = x.min().item(), x.max().item()
    if method == "mse":
        return min((grid(lo * k / 100, hi * k / 100) for k in range(1, 101)), key=lambda found: mse(*found))
    return grid(lo, hi)
    ### END SOLUTION

# %% test="calibrate" points=4
_x = torch.cat([torch.tensor([0.0, 1.0]).repeat(500), torch.tensor([15.0])])
_scale, _zero_point = calibrate(_x, 4, "minmax")
assert abs(_scale - 1) <= 1e-5 and _zero_point == -8
_scale, _zero_point = calibrate(_x, 4, "percentile")
assert abs(_scale - 1 / 15) <= 1e-3 / 15 and _zero_point == -8
### BEGIN HIDDEN TESTS
def _grid(lo, hi, bits):
    """(scale, zero point before rounding) for a range, and the ends of the grid; the scale is 0 if all is 0."""
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    s, qmin = (hi - lo) / (2 ** bits - 1), -2 ** (bits - 1)
    return s, qmin - lo / s if s else qmin, qmin, -qmin - 1


def _error(x, s, z, bits):
    return np.square((np.clip(np.round(x / s) + z, -2 ** (bits - 1), 2 ** (bits - 1) - 1) - z) * s - x).mean()


def _numbers(result, bits):
    scale, zero_point = map(np.asarray, result)
    assert scale.size == 1 and zero_point.size == 1, "expected one scale and one zero point"
    assert 0 < scale.reshape(()) < np.inf, "the scale must be a finite number above 0"
    assert zero_point.dtype.kind in "iu", "the zero point must be of an integer type"
    assert -2 ** (bits - 1) <= zero_point.reshape(()) <= 2 ** (bits - 1) - 1, "the zero point must lie on the grid"
    return float(scale.reshape(())), int(zero_point.reshape(()))


def _has_the_range(result, x, bits, method):
    (scale, zero_point), x = _numbers(result, bits), x.double().numpy()
    p = np.percentile(np.abs(x), 99.9) if method == "percentile" else np.inf
    wanted, exact, *_ = _grid(max(x.min(), -p), min(x.max(), p), bits)
    if wanted:
        assert abs(scale - wanted) <= 2e-3 * wanted, "the scale is wrong"
        assert abs(zero_point - exact) <= 0.51, "the zero point is wrong"


def _has_the_least_error(result, x, bits, method):
    (scale, zero_point), x = _numbers(result, bits), x.double().numpy()
    least = np.inf
    for k in range(1, 101):
        s, exact, qmin, qmax = _grid(x.min() * k / 100, x.max() * k / 100, bits)
        least = min(least, _error(x, s, np.clip(np.round(exact), qmin, qmax), bits) if s else 0)
    assert _error(x, scale, zero_point, bits) <= 1.01 * least + 1e-12, "the squared error is more than 1.01 times the least"


_rng = torch.Generator().manual_seed(5)


def _draw(*shape):
    return torch.randn(*shape, generator=_rng)


_lopsided, _one_sided = torch.where(_draw(37, 40) > 0, 0.3 * _draw(37, 40), 2 * _draw(37, 40).abs() - 0.2), torch.relu(_draw(6, 5, 9, 7) + 0.3)
_outliers = torch.cat([_draw(3000), torch.tensor([25.0, -9.0, 14.0, 21.0])])
_levels = torch.cat([torch.tensor([-5.0, 10.0]), torch.randint(-4, 10, (500,), generator=_rng) + 0.2 * torch.rand(500, generator=_rng) - 0.1])
_below, _above = -3 - _draw(50, 30).abs(), 5 + _draw(400)
exam.law("minmax", _has_the_range, [
    case("a lopsided sample of both signs, 8 bits", _lopsided, 8, "minmax"),
    case("outputs of a ReLU, 4 bits", _one_sided, 4, "minmax"),
    case("normal values with outliers, 6 bits", _outliers, 6, "minmax"),
    edge("all values negative, 8 bits", _below, 8, "minmax"),
    edge("all values above 0, 3 bits", _above, 3, "minmax"),
    edge("a single value, 8 bits", torch.tensor([-0.7]), 8, "minmax"),
    edge("all zeros: any scale above 0", torch.zeros(3, 4), 8, "minmax"),
])
exam.law("percentile", _has_the_range, [
    case("a lopsided sample of both signs, 8 bits", _lopsided, 8, "percentile"),
    case("outputs of a ReLU, 4 bits", _one_sided, 4, "percentile"),
    case("normal values with outliers on both sides, 8 bits", _outliers, 8, "percentile"),
    case("outliers below only, 6 bits", -_outliers.abs() + 0.5, 6, "percentile"),
    edge("50 values: the percentile lies between the two largest magnitudes", _draw(5, 10), 8, "percentile"),
    edge("all values negative, 5 bits", _below, 5, "percentile"),
    edge("a single value, 8 bits", torch.tensor([0.7]), 8, "percentile"),
    edge("all zeros: any scale above 0", torch.zeros(7), 4, "percentile"),
])
exam.law("least squared error", _has_the_least_error, [
    case("a lopsided sample of both signs, 4 bits", _lopsided, 4, "mse"),
    case("outputs of a ReLU, 3 bits", _one_sided, 3, "mse"),
    case("normal values with outliers, 4 bits", _outliers, 4, "mse"),
    case("the same, 8 bits", _outliers, 8, "mse"),
    case("normal values, 2 bits", _draw(900), 2, "mse"),
    edge("values near the 16 levels of their own range, 4 bits: nothing is to be clipped", _levels, 4, "mse"),
    edge("a uniform sample, 4 bits: nearly nothing is clipped", torch.rand(1000, generator=_rng) * 4 - 1, 4, "mse"),
    edge("all values above 0, 4 bits", _above, 4, "mse"),
    edge("all values negative, 5 bits", _below, 5, "mse"),
    edge("an outlier that is far out, 2 bits: a tenth of the range is best", -torch.cat([_draw(2000).abs(), torch.tensor([25.0])]), 2, "mse"),
    edge("zeros, about as many ones, and 15, 4 bits: the whole range is best",
         torch.cat([torch.zeros(500), 1 + 0.06 * torch.rand(500, generator=_rng) - 0.03, torch.tensor([15.0])]), 4, "mse"),
], weight=2)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Fold a batch norm into its convolution
#
# After training a batch norm is a fixed scale and shift for each channel, so an integer network has none: it is folded into the convolution
# before it, and the folded weights are what is quantized. They are the ones that need a scale per channel, because each channel was multiplied by
# its own $\gamma / \sigma$.
#
# Write `fold_batchnorm(conv, bn) -> folded` for an `nn.Conv2d` and the `nn.BatchNorm2d` behind it, both in eval mode:
#
# $$W'_c = W_c\,\frac{\gamma_c}{\sqrt{\sigma_c^2 + \epsilon}}, \qquad b'_c = (b_c - \mu_c)\,\frac{\gamma_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_c$$
#
# - $\mu$ and $\sigma^2$ are the batch norm's *running* mean and variance, $\gamma$ and $\beta$ its weight and bias (there always are both),
#   $\epsilon$ is its `eps`.
# - The result is a new `nn.Conv2d` with a bias, also where `conv` has none ($b = 0$), and with the stride, padding, padding mode (zeros, circular,
#   …), dilation and groups of `conv`: `folded(x)` is `bn(conv(x))` up to rounding.
# - `conv` and `bn` are as they were, gradients and `requires_grad` too, and share no parameter with the result.
#
# Source: Jacob et al. (2018), section 3.2, equation 14 for the weights.
#
# *Worked example.* One channel, a 1 × 1 kernel of weight 3 and bias 1; γ = 2, β = 0.5, μ = 4, σ² = 3.99, ε = 0.01. The factor is 2/√4 = 1: $W'$ =
# 3, $b'$ = (1 − 4) · 1 + 0.5 = −2.5. For x = 2: conv gives 7, batch norm 2 · (7 − 4)/2 + 0.5 = 3.5; folded: 3 · 2 − 2.5 = 3.5.
#
# <details><summary>Hint 1</summary>Write down bn(conv(x)) for one channel and multiply out: a factor for everything that conv computes, and a
# constant.</details>
# <details><summary>Hint 2</summary>The factor has the shape (C_out,), the weight (C_out, C_in/groups, k, k): the factor belongs to axis 0.
# <code>view(-1, 1, 1, 1)</code>.</details>
# <details><summary>Hint 3</summary><code>factor = bn.weight / torch.sqrt(bn.running_var + bn.eps)</code>. In <code>copy.deepcopy(conv)</code> set
# <code>weight</code> to <code>nn.Parameter(conv.weight.detach() * factor...)</code> and <code>bias</code> likewise: every other setting is then
# right.</details>

# %% answer="fold_batchnorm"
def fold_batchnorm(conv, bn):
    """One Conv2d that computes bn(conv(x)), in eval mode."""
    ### BEGIN SOLUTION
    folded = copy.deepcopy(conv)
    with torch.no_grad():
        factor = bn.weight / torch.sqrt(bn.running_var + bn.eps)
        bias = torch.zeros_like(bn.running_mean) if conv.bias is None else conv.bias
        folded.weight = nn.Parameter(conv.weight * factor.view(-1, 1, 1, 1))
        folded.bias = nn.Parameter((bias - bn.running_mean) * factor + bn.bias)
    return folded
    ### END SOLUTION

# %% test="fold_batchnorm" points=3
_conv, _bn = nn.Conv2d(1, 1, 1).eval(), nn.BatchNorm2d(1, eps=0.01).eval()
for _t, _value in ((_conv.weight, 3.0), (_conv.bias, 1.0), (_bn.weight, 2.0), (_bn.bias, 0.5), (_bn.running_mean, 4.0), (_bn.running_var, 3.99)):
    _t.data.fill_(_value)
_folded = fold_batchnorm(_conv, _bn)
assert np.allclose(_folded.weight.tolist(), 3.0) and np.allclose(_folded.bias.tolist(), -2.5)
assert np.allclose(_folded(torch.full((1, 1, 2, 3), 2.0)).tolist(), 3.5)
### BEGIN HIDDEN TESTS
def _fold_and_look(fold, conv, bn, x):
    """What the folded layer is and computes; then what is left of `conv` and `bn` after it was changed."""
    for p in (*conv.parameters(), *bn.parameters()):
        p.grad = torch.ones_like(p)
    folded = fold(conv, bn)
    modes = [conv.training, bn.training]
    with torch.no_grad():
        found = {"the folded layer is a Conv2d": isinstance(folded, nn.Conv2d), "its weight": folded.weight.detach().clone(),
                 "its bias": folded.bias.detach().clone(), "its output": folded(x).clone()}
        for p in folded.parameters():
            p.add_(1)
    return found | {"conv, after a change of the folded layer": dict(conv.state_dict()), "bn, after a change of the folded layer": dict(bn.state_dict()),
                    "modes": modes, "gradients": [p.grad for p in (*conv.parameters(), *bn.parameters())],
                    "requires_grad": [p.requires_grad for p in (*conv.parameters(), *bn.parameters())]}


seed(6)


def _pair(*sizes, eps=1e-5, variance=1.0, **settings):
    """A convolution and a batch norm that has seen data, in eval mode."""
    conv, bn = nn.Conv2d(*sizes, **settings), nn.BatchNorm2d(sizes[1], eps=eps)
    nn.init.normal_(bn.weight), nn.init.normal_(bn.bias), nn.init.normal_(bn.running_mean)
    bn.running_var.uniform_(0.2, 3).mul_(variance)
    return conv.eval(), bn.eval()


_dead = _pair(3, 4, 3)
with torch.no_grad():
    _dead[1].weight[2], _dead[1].running_var[1] = 0, 0
exam.compare("plain convolutions", [
    case("2 to 5 channels, 3 × 3", *_pair(2, 5, 3), torch.randn(3, 2, 6, 5)),
    case("4 to 4 channels, 1 × 1", *_pair(4, 4, 1), torch.randn(2, 4, 3, 4)),
    case("3 to 4 channels, no bias", *_pair(3, 4, 3, bias=False), torch.randn(2, 3, 5, 4)),
    case("small variances and eps = 0.1", *_pair(2, 3, (2, 3), eps=0.1, variance=0.05), torch.randn(2, 2, 5, 6)),
], weight=2, probe=_fold_and_look, rtol=1e-4, atol=1e-5)
exam.compare("stride, padding, dilation and groups", [
    case("stride 2 and padding 1", *_pair(1, 4, 3, stride=2, padding=1), torch.randn(2, 1, 8, 7)),
    case("dilation 2 and padding (2, 1), no bias", *_pair(2, 3, 3, dilation=2, padding=(2, 1), bias=False), torch.randn(2, 2, 7, 8)),
    case("two groups", *_pair(4, 6, 3, groups=2), torch.randn(2, 4, 5, 6)),
    case("depthwise: 5 groups, stride (2, 1)", *_pair(5, 5, 3, groups=5, stride=(2, 1), padding=1), torch.randn(2, 5, 6, 5)),
    case("circular padding (1, 2)", *_pair(2, 3, 3, padding=(1, 2), padding_mode="circular"), torch.randn(2, 2, 5, 6)),
], probe=_fold_and_look, rtol=1e-4, atol=1e-5)
exam.compare("edges", [
    edge("γ = 0 in one channel, variance 0 in another", *_dead, torch.randn(2, 3, 5, 4)),
    edge("a single picture: no batch to take statistics of", *_pair(1, 2, 3), torch.randn(1, 1, 3, 3)),
    edge("one channel, no bias, eps = 1", *_pair(1, 1, 2, eps=1.0, bias=False), torch.randn(2, 1, 4, 3)),
], probe=_fold_and_look, rtol=1e-4, atol=1e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 7. The error in decibels
#
# Write `sqnr_db(x, q) -> float`, the signal-to-quantization-noise ratio of a float32 tensor `x` of any shape and of `q`, the *dequantized* values
# in the same shape (not the codes):
#
# $$\mathrm{SQNR} = 10 \log_{10} \frac{\sum_i x_i^2}{\sum_i (x_i - q_i)^2}\ \mathrm{dB}$$
#
# - Powers are sums of squares as they stand: no mean is subtracted, no maximum taken.
# - Where `q` equals `x` everywhere there is no noise: the result is `inf` (`x` is not all 0 in the tests). The arguments are not changed.
# - Tested to a relative $10^{-4}$.
#
# Where the 6 dB per bit come from: on a grid of step $s$, an error that is uniform over $[-s/2, s/2]$ has the mean square $s^2/12$. Values
# uniform over $[-R, R]$ have the mean square $R^2/3$, and $s = 2R/2^b$. The ratio is $R^2/3 \cdot 12/s^2 = 2^{2b}$: each bit halves the step,
# quarters the noise, and adds $10 \log_{10} 4 = 6.02$ dB. Other data lose a constant for the part of the range that they hardly use; Gaussian
# data on a min/max grid lose more, the longer the sample.
#
# Source: Gray & Neuhoff (1998), *Quantization*, IEEE Transactions on Information Theory 44(6), for the rule of 6 dB per bit.
#
# *Worked example.* `x = [3, 4]`, `q = [3.0, 4.5]`: signal 9 + 16 = 25, noise 0.25, ratio 100: 20 dB. With `q = [0, 0]` the noise is the signal: 0 dB.
#
# <details><summary>Hint 1</summary>Ten times the logarithm to base ten of a ratio of <em>powers</em>. Twenty times that would be for
# amplitudes.</details>
# <details><summary>Hint 2</summary>What happens to your division if the noise is 0? A torch tensor gives inf, a Python float raises.</details>
# <details><summary>Hint 3</summary><code>noise = ((x - q) ** 2).sum()</code>, as a tensor; <code>10 * torch.log10((x ** 2).sum() / noise)</code>,
# and <code>.item()</code>.</details>

# %% answer="sqnr_db"
def sqnr_db(x, q):
    """Power of x over the power of the error x − q, in decibels."""
    ### BEGIN SOLUTION
    return (10 * torch.log10(x.square().sum() / (x - q).square().sum())).item()
    ### END SOLUTION

# %% test="sqnr_db" points=3
assert abs(sqnr_db(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5])) - 20) <= 1e-3
assert sqnr_db(torch.ones(2, 3), torch.ones(2, 3)) == float("inf")
### BEGIN HIDDEN TESTS
_rng = torch.Generator().manual_seed(7)


def _noisy(*shape, mean=0.0, noise=0.1):
    x = torch.randn(*shape, generator=_rng) + mean
    return x, x + noise * torch.randn(*shape, generator=_rng)


exam.compare("signal and noise", [
    case("a vector with a little noise", *_noisy(50, noise=0.01)),
    case("a 3 × 7 matrix with much noise", *_noisy(3, 7, noise=0.8)),
    case("values far from 0", *_noisy(4, 9, mean=5.0)),
    case("an error that is the same everywhere", torch.arange(1.0, 13).reshape(3, 4), torch.arange(1.0, 13).reshape(3, 4) + 0.25),
    case("a 2 × 3 × 4 × 5 tensor of small values", *(1e-3 * t for t in _noisy(2, 3, 4, 5))),
], weight=2, rtol=1e-4)
exam.compare("edges", [
    edge("more noise than signal: below 0 dB", *_noisy(20, noise=3.0)),
    edge("everything rounded to 0: 0 dB", _noisy(5, 4)[0], torch.zeros(5, 4)),
    edge("no noise: infinity", torch.tensor([0.5, -2.0, 0.0]), torch.tensor([0.5, -2.0, 0.0])),
    edge("a single value", torch.tensor([-3.0]), torch.tensor([-2.5])),
], rtol=1e-4)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: six decibels per bit
#
# With exercises 1, 2, 5 and 7 done, run the next cell. Uniform data come close to the dashed line from 4 bits on (a grid over the whole range has
# $2^b - 1$ steps and not $2^b$, which matters at few bits). Gaussian data on the grid from their minimum to their maximum stay 8 to 10 dB below
# it: 20,000 values reach four standard deviations, and most levels lie where hardly a value is. `"mse"` clips, and wins 6 dB at 2 bits; at 8 bits
# there is nearly nothing to win. No marks.

# %%
def at_all_bits(x, method):
    """{bits: SQNR in dB} of x on the grid that your `calibrate` chooses."""
    found = {}
    for bits in range(2, 9):
        s, z = calibrate(x, bits, method)
        found[bits] = float(sqnr_db(x, torch.as_tensor(np.asarray(dequantize(quantize(x, s, z, bits), s, z)))))
    return found


generator = torch.Generator().manual_seed(0)
gaussian, uniform = torch.randn(20_000, generator=generator), torch.rand(20_000, generator=generator) * 2 - 1
ax = plt.subplots(figsize=(6, 3.6))[1]
plots.error_against_bits({"uniform, minmax": at_all_bits(uniform, "minmax"), "Gaussian, mse": at_all_bits(gaussian, "mse"),
                          "Gaussian, minmax": at_all_bits(gaussian, "minmax")}, ax)
plt.show()

# %% [markdown]
# ## 8. Quantize a trained network
#
# Write `post_training_quantize(model, data, bits) -> quantized` for a torch module `model` in float32, a tensor `data` of calibration inputs (one
# batch, as `model` takes it) and `bits` from 2 to 8: a new model that computes as an integer network would, with its values in float ("fake
# quantization"). *Layers* are all `nn.Linear` and `nn.Conv2d`, wherever they are in the model.
#
# - **Weights** of every layer are rounded on the symmetric grid with a scale per *output channel* (axis 0), as in exercise 3 (rows of zeros too),
#   and replaced by $s_c\, q_c$.
# - **Inputs** of every layer are rounded on the affine grid of one tensor whenever the new model runs, $\hat x = s\,(q - z)$ as in exercise 2:
#   they move in steps, and beyond the grid they saturate. s and z are fixed and come from exercise 1 for the smallest and the largest value that
#   enters *this layer of the float model* when it computes `model(data)`. A layer that is called several times has one range, over all of its
#   calls.
# - **Biases** stay float, outputs are not rounded, everything else (activations, pooling, additions) computes as before, in float.
# - `model` may be any module, with layers at any depth, used more than once or beside each other, not just an `nn.Sequential`. It has no dropout
#   and no batch norm, and no two layers share a parameter.
# - `quantized` is a new model with the names and shapes of the parameters of `model`, and `quantized(x)` takes the same inputs. `model` is as it
#   was: its weights, gradients, `requires_grad` and training mode; `quantized(x)` does not change with later changes of it.
# - Tested on the outputs, where no value comes near a tie.
#
# Sources: Krishnamoorthi (2018), post-training quantization of weights and activations; Nagel et al. (2021), *A White Paper on Neural Network
# Quantization*.
#
# *Worked example.* `nn.Linear(1, 1)` with weight 1.3 and bias 0.1, calibrated with 0 and 3, 2 bits. The weight is the largest of its channel, so
# it stays 1.3. Inputs: 0 to 3 in steps of 3/3 = 1. An input of 1.4 is read as 1, the output is 1.4; one of 1.6 as 2, 2.7; one of 10 as 3, 4.0.
#
# <details><summary>Hint 1</summary>A layer's input exists only while the model runs. <code>register_forward_pre_hook</code> lets you look at it,
# and, if the hook returns something, replace it.</details>
# <details><summary>Hint 2</summary>Three passes over a deep copy's layers: hooks that watch, then <code>model(data)</code>, and remove them; then
# new weights; then hooks that round. Calibrate before any weight is rounded.</details>
# <details><summary>Hint 3</summary>A hook is <code>def rounded(layer, args)</code> and returns the new input, here <code>(clamp(round(args[0] /
# s) + z) - z) * s</code>. If you make the hooks in a loop, bind each layer's own numbers: <code>def rounded(layer, args, s=s,
# z=z)</code>.</details>

# %% answer="post_training_quantize"
def post_training_quantize(model, data, bits):
    """A copy of the model with rounded weights (per output channel), whose layers round their inputs on calibrated grids."""
    ### BEGIN SOLUTION
    model = copy.deepcopy(model)
    qmin, qmax = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    ranges = {layer: [0.0, 0.0] for layer in model.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))}

    def watch(layer, args):
        lo, hi = ranges[layer]
        ranges[layer] = [min(lo, args[0].min().item()), max(hi, args[0].max().item())]

    hooks = [layer.register_forward_pre_hook(watch) for layer in ranges]
    with torch.no_grad():
        model(data)
    for hook in hooks:
        hook.remove()
    for layer, (lo, hi) in ranges.items():
        s = (hi - lo) / (qmax - qmin) or 1.0
        z = min(max(round(qmin - lo / s), qmin), qmax)

        def rounded(layer, args, s=s, z=z):
            return ((torch.round(args[0] / s) + z).clamp(qmin, qmax) - z) * s

        rows = layer.weight.detach().flatten(1)
        scale = rows.abs().amax(1, keepdim=True) / qmax
        scale[scale == 0] = 1
        layer.weight.data = (torch.round(rows / scale) * scale).view_as(layer.weight)
        layer.register_forward_pre_hook(rounded)
    return model
    ### END SOLUTION

# %% test="post_training_quantize" points=6
_net = nn.Sequential(nn.Linear(1, 1))
_net[0].weight.data, _net[0].bias.data = torch.tensor([[1.3]]), torch.tensor([0.1])
_quantized = post_training_quantize(_net, torch.tensor([[0.0], [3.0]]), 2)
with torch.no_grad():
    assert np.allclose(_quantized(torch.tensor([[1.4], [1.6], [10.0]])).tolist(), [[1.4], [2.7], [4.0]])
    assert np.allclose(_net(torch.tensor([[1.4]])).tolist(), [[1.92]])
### BEGIN HIDDEN TESTS
def _quantize_and_look(quantize, model, data, bits, x):
    """What the new model computes, before and after a change of the old one, and its parameters' names and shapes; what is left of the old one."""
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    quantized = quantize(model, data, bits)
    with torch.no_grad():
        output = quantized(x).clone()
        found = {"output": output, "shapes": {name: tuple(p.shape) for name, p in quantized.named_parameters()},
                 "the old model's output": model(x).clone(), "the old model": {name: p.detach().clone() for name, p in model.named_parameters()},
                 "modes": [module.training for module in model.modules()], "gradients": [p.grad for p in model.parameters()],
                 "requires_grad": [p.requires_grad for p in model.parameters()]}
        for p in model.parameters():
            p.mul_(-3)
        found["output after a change of the old model"] = quantized(x).clone()
    return found


def _exact(model, data, bits, x):
    """Our outputs for x, and for which of its rows no layer's input is within 0.004 of a step of a tie."""
    model, qmin = copy.deepcopy(model), -2 ** (bits - 1)
    seen, sure = {}, torch.ones(len(x), dtype=torch.bool)

    def watch(layer, args):
        seen.setdefault(layer, []).append(args[0].detach().flatten())

    def rounded(layer, args):
        values = torch.cat([*seen[layer], torch.zeros(1)])
        s = (values.max() - values.min()).item() / (2 ** bits - 1) or 1.0
        z, steps = round(qmin - values.min().item() / s), args[0] / s
        tie = ((steps - steps.floor() - 0.5).abs() < 0.004) & (steps + z > qmin - 1) & (steps + z < -qmin)
        sure.logical_and_(~tie.flatten(1).any(1))
        return ((torch.round(steps) + z).clamp(qmin, -qmin - 1) - z) * s

    layers = [layer for layer in model.modules() if type(layer) in (nn.Linear, nn.Conv2d)]
    hooks = [layer.register_forward_pre_hook(watch) for layer in layers]
    with torch.no_grad():
        model(data)
        for hook in hooks:
            hook.remove()
        for layer in layers:
            rows = layer.weight.flatten(1)
            scale = rows.abs().amax(1, keepdim=True).clamp_min(1e-30) / (-qmin - 1)
            layer.weight.copy_((torch.round(rows / scale) * scale).view_as(layer.weight))
            layer.register_forward_pre_hook(rounded)
        return model(x), sure


def _moves_in_steps(found, model, data, bits, x):
    output, sure = _exact(model, data, bits, x)
    assert sure.sum() >= 5
    assert found["shapes"] == {name: tuple(p.shape) for name, p in model.named_parameters()}, "the parameters must keep their names and shapes"
    same = all(np.array_equal(found["the old model"][name], p.detach()) for name, p in model.named_parameters())
    same &= np.allclose(found["the old model's output"], model(x).detach(), rtol=1e-4, atol=1e-5)
    same &= found["modes"] == [module.training for module in model.modules()] and all((np.asarray(g) == 1).all() for g in found["gradients"])
    same &= found["requires_grad"] == [p.requires_grad for p in model.parameters()]
    assert same, "the given model was changed"
    got, after = np.asarray(found["output"]), np.asarray(found["output after a change of the old model"])
    assert got.shape == tuple(output.shape), "the output must have the shape of the float model's"
    close = np.allclose(got[sure], output[sure], rtol=1e-4, atol=1e-4 * float(output.abs().max()))
    assert close, "the outputs are not those of the quantized network"
    assert np.allclose(after[sure], got[sure], rtol=1e-4, atol=1e-5), "the new model depends on the old one"


seed(8)


def _clear(model):
    """The model with random weights, no one near a tie on the grids of 2 to 8 bits, rows of different size, and large biases."""
    for module in model.modules():
        if type(module) in (nn.Linear, nn.Conv2d):
            weight = torch.randn_like(module.weight) * torch.logspace(-0.5, 0.5, len(module.weight)).view(-1, *[1] * (module.weight.dim() - 1))
            for _ in range(100):
                peak = weight.flatten(1).abs().amax(1).view(-1, *[1] * (weight.dim() - 1))
                tie = sum(((weight / peak * top) % 1 - 0.5).abs() < 0.01 for top in (1, 3, 7, 31, 127)) > 0
                weight = torch.where(tie, weight * 0.97, weight)
            assert not tie.any()
            module.weight.data = weight
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.7)
    return model


_one = _clear(nn.Sequential(nn.Linear(4, 3)))
_mlp = _clear(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 4))).eval()
_bare = _clear(nn.Sequential(nn.Linear(6, 5, bias=False), nn.LeakyReLU(0.3), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 2)))
_cnn = _clear(nn.Sequential(
    nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3)))
_grouped = _clear(nn.Sequential(
    nn.Conv2d(2, 4, 3, groups=2, bias=False), nn.LeakyReLU(), nn.Conv2d(4, 4, 2, groups=4, dilation=2), nn.Flatten(), nn.Linear(16, 3)))
_nested = _clear(nn.Sequential(
    nn.Sequential(nn.Linear(4, 6), nn.ReLU()), models.Residual(nn.Sequential(nn.Linear(6, 5), nn.LeakyReLU(0.3), nn.Linear(5, 6))), nn.Linear(6, 2)))
_twice = _clear(models.Residual(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4)), times=3)).eval()
_pictures = _clear(models.Residual(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 1))))
_shrinking = models.Residual(nn.Sequential(nn.Linear(4, 4)), times=3)
_shrinking.body[0].weight.data, _shrinking.body[0].bias.data = 0.1 - 0.7 * torch.eye(4), torch.tensor([0.0, 0.1, -0.1, 0.05])
_dead = _clear(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)))
_dead[0].weight.data[2] = _dead[2].weight.data[0] = 0
exam.law("linear layers", _moves_in_steps, [
    case("one layer, 8 bits", _one, torch.randn(30, 4), 8, torch.randn(60, 4)),
    case("one layer, 3 bits, inputs above 0 only", _one, torch.rand(30, 4) + 2, 3, torch.rand(60, 4) + 2),
    case("two layers and a ReLU, 4 bits", _mlp, torch.randn(40, 5), 4, torch.randn(80, 5)),
    case("three layers, one without bias, a leaky ReLU between them, 2 bits", _bare, torch.randn(40, 6), 2, torch.randn(80, 6)),
    case("the same, 6 bits", _bare, torch.randn(40, 6) - 0.5, 6, torch.randn(80, 6) - 0.5),
    edge("rows of zeros in both layers, 4 bits", _dead, torch.randn(40, 4), 4, torch.randn(80, 4)),
    edge("calibrated with zeros, then zeros, 8 bits: any scale above 0", _one, torch.zeros(10, 4), 8, torch.zeros(20, 4)),
], weight=2, probe=_quantize_and_look)
exam.law("beyond the calibrated range", _moves_in_steps, [
    case("one layer, inputs up to ten times too large, 4 bits", _one, torch.randn(30, 4), 4, 10 * torch.randn(60, 4)),
    case("two layers, calibrated with small inputs, 8 bits", _mlp, 0.2 * torch.randn(40, 5), 8, torch.randn(80, 5)),
    edge("two layers, a single calibration input, 8 bits", _mlp, torch.randn(1, 5), 8, torch.randn(80, 5)),
    edge("calibrated above 0, then inputs below 0, 4 bits", _one, torch.rand(30, 4), 4, -torch.rand(60, 4)),
], probe=_quantize_and_look)
exam.law("convolutions", _moves_in_steps, [
    case("two convolutions, pooling and a linear layer, 4 bits", _cnn, torch.randn(30, 1, 4, 5), 4, torch.randn(80, 1, 4, 5)),
    case("convolutions with groups and dilation, 3 bits", _grouped, torch.randn(30, 2, 6, 6), 3, torch.randn(100, 2, 6, 6)),
    case("the same, 8 bits", _grouped, torch.randn(30, 2, 6, 6), 8, torch.randn(200, 2, 6, 6)),
], probe=_quantize_and_look)
exam.law("networks that are no chain", _moves_in_steps, [
    case("a nested network with a residual branch, 4 bits", _nested, torch.randn(40, 4), 4, torch.randn(80, 4)),
    case("a residual network whose layers run three times, 4 bits", _twice, 0.2 * torch.randn(40, 4), 4, 0.2 * torch.randn(80, 4)),
    case("the same, 8 bits", _twice, 0.2 * torch.randn(40, 4), 8, 0.2 * torch.randn(80, 4)),
    case("a layer that runs three times on smaller and smaller inputs, 4 bits", _shrinking, torch.randn(40, 4), 4, torch.randn(80, 4)),
    edge("a residual branch of two convolutions, 2 bits", _pictures, torch.randn(20, 2, 3, 4), 2, torch.randn(80, 2, 3, 4)),
], weight=2, probe=_quantize_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: how few bits does the network stand?
#
# With exercises 3 and 8 done, run the next two cells. The network that this track takes down to two bits and to integers has 64 inputs, 24 hidden
# units and 10 outputs, and was trained with five seeds. The first cell quantizes all five at 8 to 2 bits: the line is the mean of the validation
# accuracies, the band reaches from the lowest to the highest. The second starts the table that assignments 06 to 08 go on with. `size` counts the
# bits of the weights, four bytes for each bias and for each channel's scale, and five (a scale and a zero point) for each layer's input. Eight
# bits cost nothing, without any training: every seed stays within 1 point of float. Two bits ruin the network, and its weights alone do: 07 will
# train them. No marks.

# %%
data = digits()
networks = [models.load("small_mlp", seed) for seed in range(5)]


def weights_alone(network, bits):
    """The network with its weights rounded by your `quantize_per_channel`, its inputs in float."""
    network = copy.deepcopy(network)
    for layer in (network[0], network[2]):
        q, s = quantize_per_channel(layer.weight.detach(), bits, 0)
        layer.weight.data = torch.as_tensor(np.asarray(q)) * torch.as_tensor(np.asarray(s)).float()[:, None]
    return network


def both(network, bits):
    return post_training_quantize(network, data[0], bits)


ax = plt.subplots(figsize=(6, 3.4))[1]
for (label, quantized), colour, marker in zip({"weights": weights_alone, "weights and inputs": both}.items(), plots.COLOURS, plots.MARKERS):
    runs = np.array([[accuracy(quantized(network, bits), data) for bits in range(2, 9)] for network in networks])
    ax.plot(range(2, 9), runs.mean(0), color=colour, marker=marker, label=label)
    ax.fill_between(range(2, 9), runs.min(0), runs.max(0), color=colour, alpha=0.15, linewidth=0)
ax.axhline(np.mean([accuracy(network, data) for network in networks]), color=plots.GREY, linestyle="--", linewidth=1, marker="", label="float32")
ax.set(xlabel="bits", ylabel="validation accuracy, five seeds", ylim=(0.4, 1.01))
ax.legend(loc="lower right")
plt.show()

# %%
def size(bits, inputs):
    """Bytes: 1,776 weights, 34 scales, 34 biases, and scale and zero point of as many inputs."""
    return 1776 * bits // 8 + 4 * 34 + 4 * 34 + 5 * inputs


rows = [
    journey.measure("float32", 4 * 1810, networks),
    journey.measure("8-bit weights and inputs", size(8, 2), [both(network, 8) for network in networks]),
    journey.measure("2-bit weights, inputs in float", size(2, 0), [weights_alone(network, 2) for network in networks]),
    journey.measure("2-bit weights and inputs", size(2, 2), [both(network, 2) for network in networks]),
]
print(journey.table("05-uniform-quantization", *rows))
worst = max(before - after for before, after in zip(rows[0].accuracy, rows[1].accuracy))
print(f"\nfloat32 to 8 bits, over five seeds: the largest loss is {100 * worst:.1f} points of accuracy")

# %% [markdown]
# ## 9. Repair a low-bit quantizer
#
# The next cell holds an answer to "quantize this network to b bits" in the form in which it circulates. It runs, and it quantizes nothing: count
# the different values before and after, and try one bit. Another that circulates rounds to multiples of $2^{b-1}$, whatever the data: small
# weights all become 0, and every further bit makes it worse. Write `low_bit_quantize(network, bits) -> network` as it should be:
#
# - `network` maps layer names to `{'weights': array, 'biases': array}`, all numpy float arrays of any shape and at least one element; `bits` from
#   1 to 8.
# - Every array, weights and biases alike, is quantized by itself with *one* scale, and the result holds the *dequantized* values. For `bits` ≥ 2
#   on the symmetric grid:
#
# $$s = \frac{\max |w|}{2^{b-1} - 1}, \qquad \hat w = s \cdot \mathrm{round}\Big(\frac{w}{s}\Big)$$
#
# - With one bit the symmetric grid would be {0}. Two values are possible, and the best two are $\hat w = \alpha\,\mathrm{sign}(w)$ with $\alpha =
#   \mathrm{mean} |w|$ and $\mathrm{sign}(0) = +1$.
# - An array of zeros stays zero, at any number of bits.
# - The result is a new dictionary with the same layers, names and shapes; `network` is not changed. No weight is halfway between two levels in
#   the tests.
#
# Sources: Krishnamoorthi (2018), section 2 (symmetric quantizer); Rastegari et al. (2016), *XNOR-Net*, section 3.1: the optimal scale of a binary
# filter is the mean of $|w|$.
#
# *Worked example.* Weights `[0.9, -0.4, 0.1]`. 2 bits: s = 0.9/1, the codes are [1, 0, 0] (0.44 rounds to 0), the values `[0.9, 0, 0]`. 3 bits: s =
# 0.3, codes [3, −1, 0], values `[0.9, -0.3, 0]`. One bit: α = 1.4/3 = 0.467, values `[0.467, -0.467, 0.467]`.
#
# <details><summary>Hint 1</summary>What is missing in the published answer? A scale that comes from the data, rounding, and the way back. And the
# biases.</details>
# <details><summary>Hint 2</summary>Write it for one array first, with three cases: all zeros, one bit, more bits. <code>np.sign(0)</code> is 0,
# so it will not do for one bit.</details>
# <details><summary>Hint 3</summary><code>np.where(w &gt;= 0, 1.0, -1.0) * np.abs(w).mean()</code> is the one-bit case; <code>s = np.abs(w).max()
# / (2 ** (bits - 1) - 1)</code> and <code>np.round(w / s) * s</code> the other. Build the new dictionary layer by layer.</details>

# %%
def published_quantize(network, bits):
    """As it circulates, in our words. Leave it as it is; the repaired one goes into the next cell."""
    quantized = {}
    for layer, parameters in network.items():
        quantized[layer] = {"weights": parameters["weights"] / 2 ** (bits - 1), "biases": parameters["biases"]}
    return quantized

# %% answer="low_bit_quantize"
def low_bit_quantize(network, bits):
    """A new network whose weights and biases lie on a symmetric grid each; one bit: ±mean|w|."""
    ### BEGIN SOLUTION
    def quantized(w):
        if bits == 1:
            return np.where(w >= 0, 1.0, -1.0) * np.abs(w).mean()
        s = np.abs(w).max() / (2 ** (bits - 1) - 1) or 1.0
        return np.round(w / s) * s

    return {layer: {kind: quantized(w) for kind, w in parameters.items()} for layer, parameters in network.items()}
    ### END SOLUTION

# %% test="low_bit_quantize" points=4
_network = {"out": {"weights": np.array([[0.9, -0.4, 0.1]]), "biases": np.array([2.0])}}
_quantized = low_bit_quantize(_network, 3)
assert np.allclose(_quantized["out"]["weights"], [[0.9, -0.3, 0.0]])
assert np.allclose(_quantized["out"]["biases"], [2.0])
assert np.allclose(low_bit_quantize(_network, 1)["out"]["weights"], np.array([[1, -1, 1]]) * 1.4 / 3)
### BEGIN HIDDEN TESTS
def _lies_on_its_grid(result, network, bits):
    assert set(result) == set(network), "the layers must keep their names"
    for layer, parameters in network.items():
        assert set(result[layer]) == set(parameters), "a layer holds its weights and its biases"
        for kind, w in parameters.items():
            got, w = np.asarray(result[layer][kind], dtype=float), w.astype(float)
            assert got.shape == w.shape, f"the {kind} must keep their shape"
            top = 2 ** (bits - 1) - 1
            s, size = np.abs(w).max() / max(top, 1), np.abs(w).max()
            if bits == 1:
                assert np.allclose(got, np.where(w >= 0, 1, -1) * np.abs(w).mean(), rtol=1e-4, atol=1e-6 * size), f"the {kind} are not ±mean|w|"
                continue
            steps = got / (s or 1)
            assert (np.abs(steps - np.round(steps)) <= 1e-3 * np.maximum(1, np.abs(steps) / 100)).all(), f"the {kind} do not lie on their grid"
            assert (np.abs(got - w) <= 0.501 * s).all(), f"the {kind} are not rounded to the nearest level of their own grid"


_rng = np.random.default_rng(9)


def _make(*sizes, dtype=float, scale=1.0):
    """Layers whose weights are small and whose biases are large."""
    return {f"fc{n}": {"weights": (scale * 0.2 ** n * _rng.normal(0, 1, (n_out, n_in))).astype(dtype),
                       "biases": (scale * (n + 1) * _rng.normal(0, 1, n_out)).astype(dtype)}
            for n, (n_in, n_out) in enumerate(zip(sizes, sizes[1:]))}


_three = _make(4, 9, 6, 5)
_holed = _make(3, 5, 2)
_holed["fc0"]["biases"][:] = 0
_holed["fc1"]["weights"][:] = 0
_holed["fc0"]["weights"][1, 2] = _holed["fc0"]["weights"][4, 0] = 0
exam.law("two to eight bits", _lies_on_its_grid, [
    case("three layers, 4 bits", _three, 4),
    case("three layers, 8 bits", _three, 8),
    case("three layers, 2 bits: -s, 0 and s", _three, 2),
    case("a float32 network of large weights, 3 bits", _make(7, 5, 3, dtype=np.float32, scale=300.0), 3),
    case("tiny weights, 5 bits", _make(6, 8, scale=1e-3), 5),
], weight=2)
exam.law("one bit", _lies_on_its_grid, [
    case("three layers", _three, 1),
    case("a float32 network", _make(5, 6, 2, dtype=np.float32, scale=3.0), 1),
    edge("zeros among the weights count as +", _holed, 1),
])
exam.law("edges", _lies_on_its_grid, [
    edge("biases that are all 0, and weights that are all 0, 4 bits", _holed, 4),
    edge("one layer with a single weight, 8 bits", _make(1, 1), 8),
    edge("a convolution kernel of four dimensions, 3 bits",
         {"conv": {"weights": _rng.normal(0, 1, (3, 2, 2, 2)), "biases": _rng.normal(0, 1, 3)}}, 3),
])
exam.score()
### END HIDDEN TESTS


# %% [markdown]
# ## Concepts
#
# What the exercises above taught you, asked the way an interviewer asks it: five checks that are marked at once, and two questions to
# answer in your own words. In a check every statement stands alone; any number of them, but at least one, is true.

# %% check="quantization_families" points=1

# %% check="what_quantization_buys" points=1

# %% check="group_scale_bits" points=1

# %% check="affine_grid" points=1

# %% check="code_of_a_value" points=1

# %% [markdown] interview="I05" points=5

# %% [markdown] interview="I17" points=5

# %% [markdown]
# ## Where this leads
#
# `affine_qparams`, `quantize` and `dequantize` are the whole of uniform quantization; the rest is the choice of the range and of how many values
# share it. `fold_batchnorm` and `post_training_quantize` make of it a recipe that needs a trained network and some inputs, no labels and no
# training, and at 8 bits it loses almost nothing.
#
# Below that each bit costs 6 dB, and at 2 bits a uniform grid has three levels for the weights of a channel, and the largest sets them.
# Three ways out: put the levels where the weights are (06); train with the rounding in the loop, so that the weights find places on the grid
# (07); and if it is speed and energy that you want, compute with the codes instead of with what they stand for (08).
