# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 08 · Integer inference
#
# Quantized weights in a file are small. Quantized *arithmetic* is what makes a chip cheap: a microcontroller or an accelerator for phones may have
# no floating-point unit at all. Jacob et al. (2018), *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*,
# showed how a network runs on integers alone, from the codes of its input to the codes of its logits, and nearly every 8-bit runtime since works like it.
#
# Every real number $x$ is stood for by a code $q$, with $x \approx s\,(q - z)$: a real scale $s$ and an integer zero point $z$ for each tensor. A layer
# $y = Wx + b$ then becomes
#
# $$q_y = z_y + m \Big( \underbrace{\sum_j q_{w,j}\,(q_{x,j} - z_x) + q_b}_{\text{acc, an int32}} \Big), \qquad m = \frac{s_w\, s_x}{s_y}.$$
#
# All of it is integer but the one factor $m$, and that will be replaced by an integer multiplication and a shift. You will build
#
# - the bias as an integer (1), and the zero point moved out of the inner loop (2);
# - the factor $m$ in fixed point (3), and with it linear layers and convolutions (4), ReLU, pooling, and addition (5);
# - a model that runs without a single floating-point operation (6), and its row in the running table of this track.
#
# **Conventions.** Activations: affine codes −128 … 127, the real range widened to hold 0, so that real 0 has the exact code $z$. Weights: symmetric codes
# −127 … 127, zero point 0, one scale for each output channel or one for all. Biases and accumulators: int32. Inputs are torch tensors: codes of activations
# and weights int8, $q_b$ and acc int32; scales, zero points and multipliers that belong to a whole tensor are Python numbers. Results may be torch, numpy or
# lists, of any *integer* dtype. Arguments are left as they are.

# %%
import math

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
import matplotlib.pyplot as plt
from autograder import observe
from course import journey, models, plots, watch
from course.datasets import digits

# %% [markdown]
# The numbers between −1 and 3 on 8 bits: $s = 4/255$, and real 0 falls on the code $z = -64$. Rounded, $0.5$ becomes $32 - 64 = -32$. What lies outside
# the range gets the code at its end, and that is what *saturation* means.

# %%
plots.use_style()
plots.number_line(4 / 255, -64, plt.subplots(figsize=(7, 2))[1], shown=(0.5, 1.7, 3.4))
plt.show()

# %% [markdown]
# ## 1. The bias
#
# A product of a weight code and an input code stands for $s_w s_x$ times its value. What is to be added to a sum of such products must be in the same unit, so
# the bias gets the scale $s_w s_x$ and the zero point 0. Write `quantize_bias(b, s_w, s_x) -> q_bias`:
#
# $$q_b = \operatorname{clamp}\left(\operatorname{round}\left(\frac{b}{s_w\, s_x}\right),\; -2^{31},\; 2^{31} - 1\right)$$
#
# - `b` is a float32 tensor (C_out,); `s_w > 0` a Python float, or a float32 tensor (C_out,) with one scale for each output; `s_x > 0` a Python float.
# - The result has the shape of `b` and an integer dtype. A bias that does not fit saturates: it gets exactly $-2^{31}$ or $2^{31}-1$.
# - Ties may be rounded either way. Below the ends a result may differ from the exact quotient by ½, and by $10^{-6}$ of it, so that float32 is good enough.
#
# Source: Jacob et al. (2018), section 2.4, equation 11: $S_{bias} = S_1 S_2$, $Z_{bias} = 0$, and biases are int32.
#
# *Worked example.* `b = [0.5, -0.26]`, `s_w = 0.02`, `s_x = 0.05`: the step is 0.001, so `q_bias = [500, -260]`. In units of `s_w` alone they would be
# 25 and −13: a bias that is 20 times too small.
#
# <details><summary>Hint 1</summary>What is the real value of one unit of the accumulator? Divide by it.</details>
# <details><summary>Hint 2</summary>Neither truncation nor <code>//</code> rounds to the nearest: <code>torch.round</code> does. And float32 has 24 bits:
# the nearest float32 to 2³¹ − 1 is 2³¹, which int32 cannot hold.</details>
# <details><summary>Hint 3</summary>In float64: <code>q = torch.round(b.double() / (s_w * s_x))</code>, then <code>clamp</code> to the ends, which float64
# holds exactly, then <code>.long()</code>.</details>

# %% answer="quantize_bias"
def quantize_bias(b, s_w, s_x):
    """The bias in units of s_w·s_x, rounded, saturated at int32."""
    ### BEGIN SOLUTION
    q = torch.round(b.double() / (s_w * s_x))
    return q.clamp(-2**31, 2**31 - 1).long()
    ### END SOLUTION

# %% test="quantize_bias" points=3
assert np.asarray(quantize_bias(torch.tensor([0.5, -0.26]), 0.02, 0.05)).tolist() == [500, -260]
assert np.asarray(quantize_bias(torch.tensor([0.5, -0.26]), torch.tensor([0.02, 0.2]), 0.05)).tolist() == [500, -26]
### BEGIN HIDDEN TESTS
def _in_units_of_the_accumulator(result, b, s_w, s_x):
    q, exact = np.asarray(result), np.asarray(b, np.float64) / (np.asarray(s_w, np.float64) * s_x)
    assert q.shape == exact.shape, "the result must have the shape of b"
    assert q.dtype.kind in "iu", "the result must be integers"
    low, high = exact < -2**31, exact > 2**31 - 1
    assert (q[low] == -2**31).all() and (q[high] == 2**31 - 1).all(), "a bias beyond int32 must saturate at its ends"
    inside = ~low & ~high
    assert (np.abs(q[inside] - exact[inside]) <= 0.5 + 1e-6 * np.abs(exact[inside])).all(), "a value is not the nearest to b / (s_w · s_x)"


_rng = np.random.default_rng(1)


def _biases(n, scale):
    return torch.tensor(_rng.normal(0, scale, n), dtype=torch.float32)


exam.law("one scale", _in_units_of_the_accumulator, [
    case("5 biases, s_w = 0.02, s_x = 0.05", _biases(5, 0.3), 0.02, 0.05),
    case("9 biases of about one step", _biases(9, 0.02), 0.25, 0.1),
    case("6 biases, fine scales: results of several digits", _biases(6, 2), 0.0031, 0.00071),
    case("s_w = 2, s_x = 0.01: neither may be left out", _biases(7, 3), 2.0, 0.01),
], weight=2)
exam.law("a scale for each output", _in_units_of_the_accumulator, [
    case("7 biases, 7 scales", _biases(7, 1), torch.tensor(_rng.uniform(0.001, 0.1, 7), dtype=torch.float32), 0.03),
    case("scales that span five decades", _biases(6, 0.5), torch.tensor([1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0]), 0.4),
], weight=2)
exam.law("edges", _in_units_of_the_accumulator, [
    edge("biases of 0", torch.zeros(3), 0.01, 0.02),
    edge("beyond int32 at both ends, beside biases that fit", torch.tensor([3.0, -3.0, 1e-4, -0.7, 50.0]), 1e-5, 1e-5),
    edge("one scale is so small that its bias saturates", torch.tensor([-1.0, 1.0, 1.0]), torch.tensor([1e-9, 1e-9, 1e-2]), 0.01),
    edge("one output", torch.tensor([-0.777]), torch.tensor([0.013]), 0.11),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The zero point leaves the loop
#
# In $\sum_j q_{w,j}\,(q_{x,j} - z_x)$ the subtraction is paid for at every product. But $z_x$ is one number:
#
# $$\sum_j q_{w,j}\,(q_{x,j} - z_x) + q_b \;=\; \sum_j q_{w,j}\, q_{x,j} \;+\; \Big(q_b - z_x \sum_j q_{w,j}\Big),$$
#
# and the bracket is known before any input is. Write `fold_zero_point(q_bias, q_w, z_x) -> folded`, the bracket for every output:
#
# - `q_bias` is int32 (C_out,); `q_w` int8, of shape (C_out, C_in) or (C_out, C_in, K_h, K_w): all that belongs to one output is summed; `z_x` is a Python int,
#   −128 … 127.
# - The result has shape (C_out,), an integer dtype, and is exact; it fits int32. int8 does not hold the products, and in general not even the sum.
#
# Source: Jacob et al. (2018), section 2.3, equations 7 and 8; there the weights have a zero point as well, here it is 0.
#
# *Worked example.* `q_w = [[1, 2, -4], [100, 90, 80]]`, `q_bias = [10, 20]`, `z_x = -3`: the sums are −1 and 270, so the result is
# `[10 - 3, 20 + 810] = [7, 830]`.
#
# <details><summary>Hint 1</summary>A linear layer's output has one row of weights, a convolution's output channel one kernel of three dimensions.</details>
# <details><summary>Hint 2</summary><code>q_w.flatten(1)</code> makes a row of everything that belongs to one output, for both kinds of layer.</details>
# <details><summary>Hint 3</summary>Sum first, in a wide integer: <code>q_w.flatten(1).sum(1)</code> of an int8 tensor is int64 in torch. Then multiply by
# <code>z_x</code>: <code>q_w * z_x</code> on int8 would wrap around.</details>

# %% answer="fold_zero_point"
def fold_zero_point(q_bias, q_w, z_x):
    """The bias that makes up for an input whose zero point is not subtracted: q_bias − z_x·Σ q_w, for each output."""
    ### BEGIN SOLUTION
    return q_bias - z_x * q_w.flatten(1).sum(1)
    ### END SOLUTION

# %% test="fold_zero_point" points=3
_q_w = torch.tensor([[1, 2, -4], [100, 90, 80]], dtype=torch.int8)
assert np.asarray(fold_zero_point(torch.tensor([10, 20], dtype=torch.int32), _q_w, -3)).tolist() == [7, 830]
### BEGIN HIDDEN TESTS
def _exactly(result, q_bias, q_w, z_x):
    wanted = [b - z_x * sum(row) for b, row in zip(q_bias.tolist(), q_w.reshape(len(q_w), -1).tolist())]
    got = np.asarray(result)
    assert got.shape == (len(wanted),), "there must be one number for each output"
    assert got.dtype.kind in "iu", "the result must be integers"
    assert got.tolist() == wanted, "a value is not q_bias − z_x · Σ q_w"


_rng = np.random.default_rng(2)


def _codes(*shape):
    return torch.tensor(_rng.integers(-127, 128, shape), dtype=torch.int8)


def _biases(n):
    return torch.tensor(_rng.integers(-50_000, 50_000, n), dtype=torch.int32)


exam.law("linear layers", _exactly, [
    case("3 outputs, 7 inputs, z_x = -128", _biases(3), _codes(3, 7), -128),
    case("8 outputs, 5 inputs, z_x = 37", _biases(8), _codes(8, 5), 37),
    case("a square layer, z_x = -5", _biases(6), _codes(6, 6), -5),
    case("weights of 400 inputs that are all large", _biases(2), torch.full((2, 400), 120, dtype=torch.int8), -90),
    case("biases near 2^30: float32 does not hold them", torch.tensor([2**30 + 1, -2**30 - 7, 2**30 - 5], dtype=torch.int32), _codes(3, 8), -77),
])
exam.law("convolutions", _exactly, [
    case("4 filters of 3 × 3 × 2, z_x = -100", _biases(4), _codes(4, 3, 3, 2), -100),
    case("3 filters on 3 channels, 3 × 3, z_x = 11", _biases(3), _codes(3, 3, 3, 3), 11),
])
exam.law("edges", _exactly, [
    edge("z_x = 0: the bias as it is", _biases(4), _codes(4, 6), 0),
    edge("z_x = 127, one output, one weight of -127", _biases(1), torch.tensor([[-127]], dtype=torch.int8), 127),
    edge("weights of 0", _biases(3), torch.zeros(3, 4, dtype=torch.int8), -77),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 3. A real factor in fixed point
#
# What is left is the factor $m = s_w s_x / s_y$, a real number, most often between 0 and 1. Write it as a mantissa and a power of two:
#
# $$m = \frac{m_0}{2^{31}} \cdot 2^{-shift}, \qquad 2^{30} \le m_0 < 2^{31},$$
#
# that is, $m_0 / 2^{31}$ lies in $[\tfrac12, 1)$ and $m_0$ uses all 31 bits of a positive int32. A product with $m$ is then an integer product and a shift to the right.
#
# Write `fixed_point(m) -> (m0, shift)` for a Python float `m > 0`:
#
# - both are integers, $2^{30} \le$ `m0` $< 2^{31}$, and `m0` differs from $m \cdot 2^{31 + shift}$ by at most 1. `shift` is negative where $m \ge 1$.
#
# Write `requantize(acc, m0, shift) -> q` for an int32 tensor `acc`:
#
# - `m0` and `shift` are Python ints, or int64 tensors; they broadcast with `acc` by the usual rules, and the result has the shape that results.
# - The result is whole, of an integer dtype, and $|q - acc \cdot m| \le 0.75$ with $m = m_0 \cdot 2^{-31-shift}$. So one rounding passes, with ties either way, and so does
#   gemmlowp's pair of roundings; a shift alone, which rounds down, does not. Nothing is clamped to 8 bits here.
# - **Integers only.** Every tensor and numpy array that comes up during the call has an integer or boolean dtype, and no floating-point number is computed from `acc`. The dtypes
#   are recorded while it runs.
# - Tested with $-30 \le$ `shift` $\le 31$ and $|acc \cdot m| < 2^{30}$; `acc` may be any int32, so the product needs int64.
#
# Source: Jacob et al. (2018), section 2.2, equations 5 and 6, and the text after them: $M := 2^{-n} M_0$ with $M_0$ in [0.5, 1), as a fixed-point multiplication and a rounding shift.
#
# *Worked example.* $m = 0.15 = 0.6 \cdot 2^{-2}$: `m0 = round(0.6 · 2³¹) = 1288490189`, `shift = 2`. For `acc = 1001` the product is
# 1289778679189; rounded after a shift by 33 it is 150 (exactly 150.15). $m = 3 = 0.75 \cdot 2^{2}$ has `shift = -2`.
#
# <details><summary>Hint 1</summary>Double or halve m until it lies in [½, 1), and count.</details>
# <details><summary>Hint 2</summary><code>math.frexp(m)</code> gives the mantissa in [½, 1) and the exponent e with m = mantissa · 2^e. Rounding can turn the largest
# mantissas into 2³¹; then it is 2³⁰, and one shift less. To round a shift by n to the nearest, add 2^(n−1) first.</details>
# <details><summary>Hint 3</summary><code>(acc.long() * m0 + (1 &lt;&lt; (30 + shift))) &gt;&gt; (31 + shift)</code>. In int32 the product of <code>acc</code> and a
# Python int would wrap around.</details>

# %% answer="fixed_point"
def fixed_point(m):
    """(m0, shift) with m = m0 · 2^(−31−shift) and m0 in [2^30, 2^31)."""
    ### BEGIN SOLUTION
    mantissa, exponent = math.frexp(m)
    m0 = round(mantissa * 2**31)
    if m0 == 2**31:
        return 2**30, -exponent - 1
    return m0, -exponent
    ### END SOLUTION


def requantize(acc, m0, shift):
    """acc · m0 · 2^(−31−shift), rounded, in integers."""
    ### BEGIN SOLUTION
    return (acc.long() * m0 + (1 << (30 + shift))) >> (31 + shift)
    ### END SOLUTION

# %% test="fixed_point" points=6
assert tuple(map(int, fixed_point(0.15)))[1] == 2 and abs(int(fixed_point(0.15)[0]) - 1288490189) <= 100
assert np.asarray(requantize(torch.tensor([1001, -1001], dtype=torch.int32), 1288490189, 2)).tolist() == [150, -150]
### BEGIN HIDDEN TESTS
from fractions import Fraction as _Fraction


def _mantissa_and_shift(result, m):
    m0, shift = (np.asarray(part) for part in result)
    assert m0.size == 1 and shift.size == 1 and m0.dtype.kind in "iu" and shift.dtype.kind in "iu", "m0 and shift must be whole numbers"
    m0, shift = int(m0.item()), int(shift.item())
    assert 2**30 <= m0 < 2**31, "m0 must lie in [2^30, 2^31)"
    assert abs(shift) < 200 and abs(m0 - _Fraction(m) * _Fraction(2) ** (31 + shift)) <= 1, "m0 · 2^(−31−shift) is not m"


def _close_to_the_product(result, acc, m0, shift):
    q = np.asarray(result)
    acc, m0, shift = (np.asarray(part).astype(object) for part in (acc, m0, shift))
    exact, one = acc * m0, 2 ** (31 + shift + 0 * acc)
    assert q.shape == exact.shape, "the result must have the shape to which the arguments broadcast"
    assert q.dtype.kind in "iu", "the result must be integers"
    assert (4 * np.abs(q.astype(object) * one - exact) <= 3 * one).all(), "a result is further than 0.75 from acc · m"


def _watched(answer, acc, other, m0, shift):
    """What `answer` gives for acc, the floating arrays and tensors that came up, and the floating numbers for acc and for another accumulator."""
    recorder = watch.Recorder()
    rebuilt = watch.instrumented(answer, recorder.see)
    with recorder:
        result = rebuilt(acc, m0, shift)
    first = len(recorder.scalars)
    with recorder:
        rebuilt(other, m0, shift)
    return {"result": result, "float arrays": len(recorder.floats), "numbers": recorder.scalars[:first][:300], "for another": recorder.scalars[first:][:300]}


def _in_integers(found, acc, other, m0, shift):
    assert found["float arrays"] == 0, "a tensor or array of floating-point numbers came up during the call"
    assert found["numbers"] == found["for another"], "floating-point numbers were computed from acc during the call"
    _close_to_the_product(found["result"], acc, m0, shift)


_rng = np.random.default_rng(3)


def _accs(most, *shape):
    return torch.tensor(_rng.integers(-most, most, shape), dtype=torch.int32)


_m0 = torch.tensor(_rng.integers(2**30, 2**31, 5))
_shift = torch.tensor([0, 3, 7, 11, 1])
_f32 = [float(np.float32(m)) for m in (0.3, 0.0123, 1.7e-6, 0.77, 5.3, 300.1)]
exam.law("mantissas and shifts", _mantissa_and_shift, [
    case("m = 0.3", _f32[0]), case("m = 0.0123", _f32[1]), case("m = 1.7e-6", _f32[2]), case("m = 0.77: no shift", _f32[3]),
    case("m = 5.3: a negative shift", _f32[4]), case("m = 300.1: a negative shift", _f32[5]),
], of="fixed_point")
exam.law("powers of two, and what rounds to one", _mantissa_and_shift, [
    edge("m = 0.5: the smallest mantissa", 0.5), edge("m = 1", 1.0), edge("m = 4", 4.0), edge("m = 2^-20", 2.0**-20),
    edge("m = 1 - 2^-40: the mantissa must not become 2^31", 1 - 2.0**-40), edge("m just below 2^-7", 2.0**-7 * (1 - 2.0**-45)),
], of="fixed_point")
exam.law("one multiplier", _close_to_the_product, [
    case("24 accumulators of up to 20,000, m about 0.004", _accs(20_000, 24), 1_100_000_003, 7),
    case("large accumulators, m about 0.7: float32 has too few bits", _accs(10**9, 30), 1_500_000_001, 0),
    case("a 3 × 8 matrix, shift = 1", _accs(5000, 3, 8), 2_147_483_647, 1),
    case("m about 3: shift = -2", _accs(10**8, 16), 1_610_612_737, -2),
    case("2 × 3 × 4 × 5 accumulators of a convolution", _accs(60_000, 2, 3, 4, 5), 1_288_490_189, 9),
], of="requantize", weight=2)
exam.law("a multiplier for each channel", _close_to_the_product, [
    case("6 × 5 accumulators, 5 multipliers along the last axis", _accs(30_000, 6, 5), _m0, _shift),
    case("5 × 5 accumulators, 5 multipliers along the last axis", _accs(30_000, 5, 5), _m0, _shift),
    case("2 × 5 × 3 × 4 accumulators, multipliers of shape 5 × 1 × 1", _accs(30_000, 2, 5, 3, 4), _m0.view(5, 1, 1), _shift.view(5, 1, 1)),
    case("one shift, 5 multipliers", _accs(30_000, 4, 5), _m0, 4),
    case("6 × 1 accumulators, 5 multipliers: 6 × 5 results", _accs(30_000, 6, 1), _m0, _shift),
], of="requantize")
exam.law("integers only", _in_integers, [
    case("8 accumulators, one multiplier", _accs(30_000, 8), _accs(30_000, 8), 1_100_000_003, 6),
    case("4 × 5 accumulators, 5 multipliers", _accs(30_000, 4, 5), _accs(30_000, 4, 5), _m0, _shift),
], of="requantize", probe=_watched)
exam.law("edges", _close_to_the_product, [
    edge("accumulators of 0", torch.zeros(3, dtype=torch.int32), 1_234_567_891, 5),
    edge("the ends of int32, shift = 4", torch.tensor([-2**31, 2**31 - 1, -2**31 + 1], dtype=torch.int32), 1_999_999_999, 4),
    edge("shift = 31: everything becomes 0 or 1 in magnitude at most", torch.tensor([-2**31, 2**31 - 1, 12345], dtype=torch.int32), 2_147_483_647, 31),
    edge("shift = -30: m near a thousand million", torch.tensor([1, -1, 0], dtype=torch.int32), 2**30, -30),
    edge("a single accumulator", torch.tensor([-777], dtype=torch.int32), 1_717_986_918, 3),
], of="requantize")
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Linear layers and convolutions
#
# Now the layer itself. Write `int_linear(q_x, q_w, q_bias, z_x, m0, shift, z_out) -> q_y`:
#
# $$acc_{no} = \sum_j q_{w,oj}\,(q_{x,nj} - z_x) + q_{b,o}, \qquad q_{y,no} = \operatorname{clamp}\big(\operatorname{round}(acc_{no} \cdot m_o) + z_{out},\; -128,\; 127\big)$$
#
# - `q_x` is int8 (N, C_in), `q_w` int8 (C_out, C_in), `q_bias` int32 (C_out,), *not* folded; `z_x` and `z_out` are Python ints, −128 … 127.
# - `m0` and `shift` are Python ints, or int64 tensors (C_out,), one for each output; $m = m_0 \cdot 2^{-31-shift}$ as in exercise 3.
# - The result has shape (N, C_out) and an integer dtype. Before it is clamped, it is within 0.75 of $acc \cdot m + z_{out}$: your `requantize` does that, and so does exact arithmetic in
#   float64, rounded. (Here only values are judged; without floats it must go in exercise 6.)
# - The zero point is added *before* the clamp, which saturates: 130 becomes 127, not −126.
# - `acc` fits int32; 8 or 16 bits do not hold it, and neither do the 24 bits of float32.
#
# Write `int_conv2d(q_x, q_w, q_bias, z_x, m0, shift, z_out, stride=1, padding=0) -> q_y` likewise:
#
# - `q_x` is int8 (N, C_in, H, W), `q_w` int8 (C_out, C_in, K_h, K_w); `stride` and `padding` are ints, the same for rows and columns; the result has the shape that
#   `torch.nn.functional.conv2d` gives, with `m0` and `shift` (C_out,) along the channels, its axis 1.
# - Like `conv2d`, it does not flip the kernel. Padding stands for *real* 0: where a window reaches beyond the picture, `q_x − z_x` is 0.
#
# Source: Jacob et al. (2018), section 2.4: int32 accumulation, then scale down, cast down with saturation to 8 bits.
#
# *Worked example.* `q_x = [[10, -20]]`, `q_w = [[3, 4]]`, `q_bias = [50]`, `z_x = -30`: acc = 3 · 40 + 4 · 10 + 50 = 210. With m = 0.15 and
# `z_out = -100`: 31.5 − 100 = −68.5, so −68 or −69. With m = 1.5 and `z_out = 0` it is 315, and saturates at 127.
#
# <details><summary>Hint 1</summary>Codes minus a zero point need 9 bits: leave int8 before you subtract.</details>
# <details><summary>Hint 2</summary><code>F.conv2d</code> and <code>@</code> work on int64 tensors. If <code>q_x − z_x</code> is what you convolve, then the zeros with which
# <code>conv2d</code> pads are real zeros.</details>
# <details><summary>Hint 3</summary><code>acc = (q_x.long() - z_x) @ q_w.long().T + q_bias</code>, then as in exercise 3, <code>+ z_out</code>, <code>.clamp(-128, 127)</code>.
# For a convolution give <code>m0</code> and <code>shift</code> the shape (C_out, 1, 1): <code>torch.as_tensor(m0).view(-1, 1, 1)</code>.</details>

# %% answer="int_linear"
def int_linear(q_x, q_w, q_bias, z_x, m0, shift, z_out):
    """Codes (N, C_out) of a linear layer from codes (N, C_in)."""
    ### BEGIN SOLUTION
    acc = (q_x.long() - z_x) @ q_w.long().T + q_bias
    y = (acc * m0 + (1 << (30 + shift))) >> (31 + shift)
    return (y + z_out).clamp(-128, 127)
    ### END SOLUTION


def int_conv2d(q_x, q_w, q_bias, z_x, m0, shift, z_out, stride=1, padding=0):
    """Codes (N, C_out, H', W') of a convolution from codes (N, C_in, H, W)."""
    ### BEGIN SOLUTION
    acc = F.conv2d(q_x.long() - z_x, q_w.long(), q_bias.long(), stride, padding)
    m0, shift = torch.as_tensor(m0).view(-1, 1, 1), torch.as_tensor(shift).view(-1, 1, 1)
    y = (acc * m0 + (1 << (30 + shift))) >> (31 + shift)
    return (y + z_out).clamp(-128, 127)
    ### END SOLUTION

# %% test="int_linear" points=6
_q_x, _q_w = torch.tensor([[10, -20]], dtype=torch.int8), torch.tensor([[3, 4]], dtype=torch.int8)
_q_bias = torch.tensor([50], dtype=torch.int32)
assert int(np.asarray(int_linear(_q_x, _q_w, _q_bias, -30, 1288490189, 2, -100)).item()) in (-68, -69)
assert int(np.asarray(int_linear(_q_x, _q_w, _q_bias, -30, 1610612736, -1, 0)).item()) == 127
_picture, _kernel = torch.full((1, 1, 2, 2), -30, dtype=torch.int8), torch.ones(1, 1, 3, 3, dtype=torch.int8)
assert np.asarray(int_conv2d(_picture, _kernel, _q_bias, -30, 1073741824, 0, 0, 1, 1)).tolist() == [[[[25, 25], [25, 25]]]]
### BEGIN HIDDEN TESTS
def _follows(result, acc, m0, shift, z_out):
    """`result` against exact integers: within 0.75 of acc·m + z_out, clamped."""
    q = np.asarray(result)
    assert q.shape == tuple(acc.shape), "the result has the wrong shape"
    assert q.dtype.kind in "iu", "the result must be integers"
    acc, m0, shift = (np.asarray(part).astype(object) for part in (acc, m0, shift))
    one = 2 ** (31 + shift + 0 * acc)
    exact = np.minimum(np.maximum(acc * m0 + z_out * one, -128 * one), 127 * one)
    assert (q >= -128).all() and (q <= 127).all(), "a code lies outside −128 … 127"
    assert (4 * np.abs(q.astype(object) * one - exact) <= 3 * one).all(), "a code is further than 0.75 from acc · m + z_out, clamped"


def _linear(result, q_x, q_w, q_bias, z_x, m0, shift, z_out):
    _follows(result, (q_x.long() - z_x) @ q_w.long().T + q_bias.long(), m0, shift, z_out)


def _conv(result, q_x, q_w, q_bias, z_x, m0, shift, z_out, stride=1, padding=0):
    acc = F.conv2d(q_x.long() - z_x, q_w.long(), q_bias.long(), stride, padding)
    m0, shift = (part.view(-1, 1, 1) if torch.is_tensor(part) else part for part in (m0, shift))
    _follows(result, acc, m0, shift, z_out)


_rng = np.random.default_rng(4)


def _codes(*shape, low=-127):
    return torch.tensor(_rng.integers(low, 128, shape), dtype=torch.int8)


def _biases(n, most):
    return torch.tensor(_rng.integers(-most, most, n), dtype=torch.int32)


def _multipliers(n):
    return torch.tensor(_rng.integers(2**30, 2**31, n))


_row, _large = torch.tensor(_rng.integers(60, 127, 2000), dtype=torch.int8), torch.tensor(_rng.integers(90, 128, (4, 2000)), dtype=torch.int8)
_long = torch.stack([_row, _row, _row, _row, _row])
_long[torch.arange(1, 5), torch.tensor([3, 500, 999, 1876])] += 1
_cancel = (-((_row.long() + 128) @ _large.long().T) + torch.tensor([-61, 5, -33, -87])).int()
_ends = torch.tensor([[-128] * 6, [127] * 6, [0] * 6], dtype=torch.int8)
exam.law("linear layers", _linear, [
    case("6 inputs of 9 numbers, 4 outputs, one multiplier", _codes(6, 9, low=-128), _codes(4, 9), _biases(4, 8000), -11, 1_234_567_891, 7, 5),
    case("3 inputs of 12 numbers, 7 outputs with a multiplier each", _codes(3, 12, low=-128), _codes(7, 12), _biases(7, 20_000), 40, _multipliers(7),
         torch.tensor([6, 9, 7, 8, 7, 10, 8]), -60),
    case("as many inputs as outputs, with a multiplier each", _codes(5, 11, low=-128), _codes(5, 11), _biases(5, 9000), -128, _multipliers(5),
         torch.tensor([7, 11, 8, 9, 6]), -20),
    case("20 numbers near both ends of int8 and z_x = -128: the difference needs 9 bits", _codes(4, 20, low=100), _codes(3, 20, low=60), _biases(3, 100), -128,
         1_800_000_011, 12, -50),
], of="int_linear", weight=2)
exam.law("accumulators", _linear, [
    case("sums of about 48 million that the biases cancel", _long, _large, _cancel, -128, 1_700_000_003, 0, 3),
    case("small sums of which none saturates", _codes(5, 8, low=120), torch.tensor(_rng.integers(-3, 4, (4, 8)), dtype=torch.int8), _biases(4, 30), 100, 1_900_000_001, 1, -7),
    case("m above 1: a negative shift", _codes(4, 3, low=118), torch.tensor(_rng.integers(-1, 2, (5, 3)), dtype=torch.int8), _biases(5, 9), 122, 1_400_000_001, -2, 10),
], of="int_linear")
exam.law("convolutions", _conv, [
    case("3 channels of 7 × 6, 4 filters of 3 × 2", _codes(2, 3, 7, 6, low=-128), _codes(4, 3, 3, 2), _biases(4, 9000), 17, 1_345_678_901, 8, -9, 1, 0),
    case("stride and padding left out: 1 and 0", _codes(2, 2, 5, 6, low=-128), _codes(3, 2, 3, 3), _biases(3, 9000), -31, 1_245_678_901, 8, 13),
    case("stride 2, padding 1, z_x = -100, a multiplier for each of 5 filters", _codes(3, 2, 7, 6, low=-128), _codes(5, 2, 3, 3), _biases(5, 5000), -100, _multipliers(5),
         torch.tensor([8, 10, 9, 8, 7]), -30, 2, 1),
    case("stride 3, padding 2, z_x = 90", _codes(2, 1, 8, 5, low=-128), _codes(3, 1, 4, 3), _biases(3, 3000), 90, _multipliers(3), torch.tensor([8, 9, 7]), 12, 3, 2),
    case("as many pictures as filters, rows and columns, a multiplier for each filter", _codes(4, 2, 4, 4, low=-128), _codes(4, 2, 3, 3), _biases(4, 6000), -60,
         _multipliers(4), torch.tensor([7, 11, 9, 8]), 0, 1, 1),
    case("16 channels and large weights: sums beyond 16 bits", _codes(1, 16, 4, 5, low=30), _codes(2, 16, 3, 3, low=50), _biases(2, 500), -110, 1_500_000_001, 15, -128, 1, 0),
], of="int_conv2d", weight=3)
exam.law("edges of linear layers", _linear, [
    edge("saturation at both ends", _ends, _codes(5, 6, low=90) * torch.tensor([[1], [-1], [1], [-1], [1]], dtype=torch.int8), _biases(5, 100), 3, 2_000_000_001, 3, 25),
    edge("inputs that are all real 0: the biases are left", torch.full((2, 4), 33, dtype=torch.int8), _codes(3, 4), _biases(3, 700), 33, 1_100_000_011, 3, -1),
    edge("one number, one output, m = 1/2", torch.tensor([[7]], dtype=torch.int8), torch.tensor([[-9]], dtype=torch.int8), torch.tensor([2], dtype=torch.int32), -2, 2**30, 0, 0),
], of="int_linear")
exam.law("edges of convolutions", _conv, [
    edge("1 × 1 filters", _codes(2, 3, 3, 5, low=-128), _codes(4, 3, 1, 1), _biases(4, 2000), 20, 1_777_777_777, 8, 4, 1, 0),
    edge("the kernel is as large as the picture", _codes(3, 2, 4, 3, low=-128), _codes(2, 2, 4, 3), _biases(2, 4000), -128, 1_200_000_007, 8, 77, 1, 0),
    edge("a picture that is all real 0, padded: nothing but the biases", torch.full((1, 2, 3, 4), -77, dtype=torch.int8), _codes(3, 2, 3, 3), _biases(3, 900), -77,
         1_300_000_003, 3, 6, 1, 1),
], of="int_conv2d")
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: what an accumulator must hold
#
# With exercises 1 and 4 done, run this cell: it computes the accumulators of the digits CNN's second convolution, 72 products each, on 200 pictures. No marks. (An
# accumulator is what `int_conv2d` leaves before it rescales, so it is computed here from your biases.)

# %%
cnn, pictures = models.load("cnn"), digits(images=True)[2][:200]
with torch.no_grad():
    inputs = cnn[:3](pictures)
s_x, s_w = inputs.max().item() / 255, cnn[3].weight.abs().amax((1, 2, 3)).detach() / 127
codes, weights = torch.round(inputs / s_x).long(), torch.round(cnn[3].weight.detach() / s_w.view(-1, 1, 1, 1)).long()      # codes less their zero point
biases = torch.as_tensor(np.asarray(quantize_bias(cnn[3].bias.detach(), s_w, s_x))).long()
plots.accumulator_histogram(F.conv2d(codes, weights, biases, padding=1), plt.subplots(figsize=(6.5, 3))[1], most=72 * 255 * 127)
plt.show()

# %% [markdown]
# ## 5. ReLU, pooling, addition
#
# What has no weights works on codes directly, if it minds the zero point. All codes are int8, pictures NCHW, and results of an integer dtype with codes in −128 … 127.
#
# - `int_relu(q, z)`, for codes of any shape with zero point `z`: $s\,(q - z) < 0$ becomes real 0. Scale and zero point stay.
# - `int_maxpool(q, k)`: the largest code of every $k \times k$ window, stride $k$, no padding; rows and columns that fill no window are dropped.
# - `int_avgpool(q, k)`: the average of the same windows as a code, within ½ of the exact mean, ties either way. A scale above 0 and a shared zero point keep both order
#   and averages, so neither needs `z`.
# - `int_add(q_a, z_a, m_a, q_b, z_b, m_b, z_out)`, for two tensors of the same shape: their scales differ, so both come to the scale of the sum first. With
#   `m_a = (m0, shift)` for $s_a / s_{out}$ and `m_b` likewise, pairs of Python ints as in exercise 3 (either may stand for 1 or more),
#
# $$q = \operatorname{clamp}\big(m_a (q_a - z_a) + m_b (q_b - z_b) + z_{out},\; -128,\; 127\big).$$
#
#   Each product may be rounded by itself, within 0.75, so before it is clamped the sum is within 1.5 of the exact one. It is clamped *once*, at the end: a part that is too
#   large may be balanced by the other.
#
# Source: Jacob et al. (2018), appendix A.2 on addition (there one input is brought to the other's scale first); ReLU, maxima and averages follow from $x = s\,(q - z)$ with $s > 0$.
#
# *Worked example.* `int_relu([-120, -90, 5], -100) = [-100, -90, 5]`: code −90 stands for a positive number. A 2 × 2 window of −3, −4, −4, −4 has the mean −3.75: code −4, where
# truncation gives −3. In `int_add` with both $m = 1$, z = 0 for all: 100 + 100 − 0 saturates at 127.
#
# <details><summary>Hint 1</summary>Which code stands for real 0? Not 0.</details>
# <details><summary>Hint 2</summary>A window's sum needs more than 8 bits, and an integer division rounds toward −∞ (<code>//</code>) or 0 (C): add half the divisor before
# <code>//</code>. <code>q.unfold(2, k, k).unfold(3, k, k)</code> gives all windows, (N, C, H', W', k, k).</details>
# <details><summary>Hint 3</summary>Average: <code>(2 * total + n) // (2 * n)</code> with n = k². Addition: rescale <code>q_a.long() - z_a</code> and <code>q_b.long() - z_b</code>
# as in exercise 3, add them and <code>z_out</code>, clamp.</details>

# %% answer="int_relu"
def int_relu(q, z):
    """Codes of max(x, 0)."""
    ### BEGIN SOLUTION
    return q.clamp(min=z)
    ### END SOLUTION


def int_maxpool(q, k):
    """The largest code of each k × k window, stride k."""
    ### BEGIN SOLUTION
    return q.unfold(2, k, k).unfold(3, k, k).amax((-1, -2))
    ### END SOLUTION


def int_avgpool(q, k):
    """The rounded mean code of each k × k window, stride k."""
    ### BEGIN SOLUTION
    total = q.long().unfold(2, k, k).unfold(3, k, k).sum((-1, -2))
    return (2 * total + k * k) // (2 * k * k)
    ### END SOLUTION


def int_add(q_a, z_a, m_a, q_b, z_b, m_b, z_out):
    """Codes of a + b, with m = (m0, shift) of each for its scale over the sum's."""
    ### BEGIN SOLUTION
    total = z_out
    for q, z, (m0, shift) in ((q_a, z_a, m_a), (q_b, z_b, m_b)):
        total = total + (((q.long() - z) * m0 + (1 << (30 + shift))) >> (31 + shift))
    return total.clamp(-128, 127)
    ### END SOLUTION

# %% test="int_relu" points=5
assert np.asarray(int_relu(torch.tensor([-120, -90, 5], dtype=torch.int8), -100)).tolist() == [-100, -90, 5]
_window = torch.tensor([[[[-3, -4], [-4, -4]]]], dtype=torch.int8)
assert np.asarray(int_maxpool(_window, 2)).tolist() == [[[[-3]]]]
assert np.asarray(int_avgpool(_window, 2)).tolist() == [[[[-4]]]]
_one, _hundred = (2**30, -1), torch.tensor([100], dtype=torch.int8)
assert np.asarray(int_add(_hundred, 0, _one, _hundred, 0, _one, 0)).tolist() == [127]
### BEGIN HIDDEN TESTS
def _codes_of(result, shape):
    q = np.asarray(result)
    assert q.shape == tuple(shape), "the result has the wrong shape"
    assert q.dtype.kind in "iu", "the result must be integers"
    assert (q >= -128).all() and (q <= 127).all(), "a code lies outside −128 … 127"
    return q.astype(np.int64)


def _relu(result, q, z):
    assert (_codes_of(result, q.shape) == np.maximum(np.asarray(q).astype(int), z)).all(), "a code below z must become z, and no other may change"


def _windows(q, k):
    n, c, h, w = q.shape
    q = np.asarray(q).astype(np.int64)[:, :, :h // k * k, :w // k * k].reshape(n, c, h // k, k, w // k, k)
    return q.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // k, w // k, k * k)


def _maxima(result, q, k):
    windows = _windows(q, k)
    assert (_codes_of(result, windows.shape[:-1]) == windows.max(-1)).all(), "a code is not the largest of its window"


def _averages(result, q, k):
    windows = _windows(q, k)
    got = _codes_of(result, windows.shape[:-1])
    assert (2 * np.abs(got * k * k - windows.sum(-1)) <= k * k).all(), "a code is further than ½ from the mean of its window"


def _sums(result, q_a, z_a, m_a, q_b, z_b, m_b, z_out):
    q = _codes_of(result, q_a.shape).astype(object)
    one = 2**70
    exact = z_out * one + sum((np.asarray(codes).astype(object) - z) * m0 * 2 ** (39 - shift) for codes, z, (m0, shift) in ((q_a, z_a, m_a), (q_b, z_b, m_b)))
    assert (q[2 * exact < -259 * one] == -128).all() and (q[2 * exact > 257 * one] == 127).all(), "a sum beyond the codes must saturate at their ends"
    exact = np.minimum(np.maximum(exact, -128 * one), 127 * one)
    assert (2 * np.abs(q * one - exact) <= 3 * one).all(), "a code is further than 1.5 from the exact sum, clamped once"


_rng = np.random.default_rng(5)


def _codes(*shape, low=-128, high=127):
    return torch.tensor(_rng.integers(low, high + 1, shape), dtype=torch.int8)


_wide, _tall, _square = _codes(2, 3, 6, 9), _codes(3, 2, 8, 5), _codes(1, 2, 4, 4)
_third, _small, _half = (1_431_655_765, 1), (1_999_999_999, 6), (1_150_000_001, 0)
_twice, _five = (1_073_741_824, -2), (1_342_177_280, -3)
exam.law("ReLU", _relu, [
    case("5 × 7 codes, z = -20", _codes(5, 7), -20), case("pictures, z = 31", _wide, 31), case("codes below 0 that stand for positive numbers, z = -100", _codes(12), -100),
    edge("z = -128: nothing is negative", _codes(9), -128), edge("z = 127: nothing is positive", _codes(3, 3), 127), edge("z = 0", _codes(4, 4), 0),
], of="int_relu")
exam.law("maximum pooling", _maxima, [
    case("2 × 3 × 6 × 9, k = 3", _wide, 3), case("3 × 2 × 8 × 5, k = 2: the last column is dropped", _tall, 2), case("codes that are all negative, k = 2", _codes(2, 2, 4, 6, high=-3), 2),
    edge("k = 1", _square, 1), edge("the window is the picture", _square, 4),
    edge("all codes are -128", torch.full((1, 1, 2, 4), -128, dtype=torch.int8), 2),
], of="int_maxpool")
exam.law("average pooling", _averages, [
    case("2 × 3 × 6 × 9, k = 3", _wide, 3), case("3 × 2 × 8 × 5, k = 2: the last column is dropped", _tall, 2),
    case("negative codes, k = 3", _codes(2, 2, 6, 6, high=-100), 3), case("large codes, k = 2", _codes(2, 2, 6, 4, low=90), 2), case("7 × 7, k = 3: a row and a column are dropped", _codes(1, 2, 7, 7), 3),
    edge("k = 1", _square, 1), edge("the window is the picture", _square, 4),
    edge("all codes are -128", torch.full((1, 1, 2, 4), -128, dtype=torch.int8), 2), edge("all codes are 127", torch.full((1, 1, 3, 3), 127, dtype=torch.int8), 3),
], of="int_avgpool")
exam.law("addition", _sums, [
    case("4 × 9 codes, m = 1/3 and about 0.53", _codes(4, 9), -30, _third, _codes(4, 9), 12, _half, 5),
    case("one scale is 2, the other is small", _codes(20), 60, _twice, _codes(20), -128, _small, -10),
    case("pictures, z_out = -128", _codes(2, 3, 4, 2, low=-20), -50, _half, _codes(2, 3, 4, 2), -100, _third, -128),
    case("parts whose fractions are large: rounding down twice is too much", torch.tensor([[2, 5, -1]], dtype=torch.int8), 0, (1_990_000_000, 1),
         torch.tensor([[2, 5, -1]], dtype=torch.int8), 0, (1_990_000_000, 1), 40),
    case("parts far beyond 8 bits that balance", _codes(30, low=60), -100, _five, _codes(30, high=-60), 100, _five, 3),
    edge("saturation at both ends", torch.tensor([127, -128, 127, -128], dtype=torch.int8), 0, _half, torch.tensor([127, -128, -128, 127], dtype=torch.int8), 0, _twice, 9),
    edge("both parts are real 0", torch.full((2, 3), 7, dtype=torch.int8), 7, _third, torch.full((2, 3), -9, dtype=torch.int8), -9, _five, 33),
], of="int_add", weight=2)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 6. A model without floats
#
# Put it together. Write a class `IntegerModel(model, x_calib)`:
#
# - `model` is an `nn.Sequential` of `Conv2d`, `Linear`, `ReLU`, `MaxPool2d`, `AvgPool2d` and `Flatten`, in any order that computes, in eval mode, every `Conv2d` and `Linear` with a bias. Strides and paddings are
#   the same for rows and columns, kernels may be oblong; no dilation, no groups; pooling has stride k and no padding; `Flatten` is the usual one. `x_calib` is a float32 tensor of inputs.
#   Here floats are allowed: run `x_calib` through the model to find the range of what goes into and comes out of its layers. `model` is not changed.
# - `.quantize(x)` gives the codes −128 … 127 of a float32 tensor `x`, by the affine grid of the calibrated inputs, in the shape of `x`. It rounds to the nearest code, and what lies outside
#   the range saturates: it gets the code at its end. Inside the model, too, what lies beyond a calibrated range saturates and never wraps around.
# - Called with such codes, it gives **integer logits** of the shape that `model` gives. Their unit and their zero point are yours, but they are the same for all classes.
# - **No floating-point operation during the call.** The dtypes are recorded at every step: each tensor and numpy array that comes up has an integer or boolean dtype, and no floating-point
#   number is computed from the codes.
# - The result for a picture does not depend on the others in its batch.
#
# Graded on digits CNNs of the course (calibrated on training pictures, 500 validation pictures): the arg max of the integer logits is that of the float logits in at least 99 % (a class that shares the largest integer counts as
# the largest), and the correlation of all integer logits with the float logits is at least 0.99. On other models of these layers, at least 0.99 of correlation.
#
# Source: Jacob et al. (2018), section 2, and section 3.1 on ranges.
#
# *Worked example.* A `Linear` of one input and one output with weight 0.5 and bias 0.25, calibrated on inputs 0 … 2 (so outputs 0.25 … 1.25, widened to 0 … 1.25): $s_x = 2/255$, $z_x = -128$; $s_w = 0.5/127$, $q_w = 127$;
# $q_b = 0.25/(s_w s_x) = 8096$; $s_y = 1.25/255$, $z_y = -128$; $m = s_w s_x/s_y = 0.0063$. Input 1.0: code 0 (127.5 − 128 = −0.5, rounded to even), acc = 127 · 128 + 8096 = 24352, times m is
# 153.4; code 153 − 128 = 25, which stands for 153 · 1.25/255 = 0.75.
#
# <details><summary>Hint 1</summary>Walk through the layers once, with the calibration inputs and the grid of the current tensor (s, z) at hand. A linear layer or convolution turns it into the grid of its output; ReLU, pooling
# and Flatten leave it as it is.</details>
# <details><summary>Hint 2</summary>A ReLU on codes is a maximum with z, not with 0. With one scale for each output channel, $m$ is a vector; so every channel ends in the unit of the output, and that holds for the
# logits as well: raw accumulators of different scales cannot be compared.</details>
# <details><summary>Hint 3</summary>Keep a list of steps, one for each layer: a function's name and its integers. For a layer with weights: <code>q_w</code>, <code>q_bias = quantize_bias(b, s_w, s_x)</code>, <code>z_x</code>,
# <code>m0</code> and <code>shift</code> from <code>fixed_point(s_w * s_x / s_y)</code> for every channel, <code>z_y</code>. The call runs your functions of exercises 4 and 5 over that list.</details>

# %% answer="IntegerModel"
class IntegerModel:
    """A Sequential that maps codes to integer logits by integer operations alone."""
    ### BEGIN SOLUTION
    def __init__(self, model, x_calib):
        def grid(x):
            lo, hi = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
            scale = (hi - lo) / 255
            return scale, round(-128 - lo / scale)

        self.grid, self.steps = grid(x_calib), []
        (s, z), x = self.grid, x_calib
        for layer in model:
            x = layer(x).detach()
            if not isinstance(layer, (nn.Linear, nn.Conv2d)):
                self.steps.append((layer, z))
                continue
            w = layer.weight.detach().flatten(1)
            s_w = w.abs().amax(1, keepdim=True).clamp(min=1e-9) / 127
            q_w = torch.round(w / s_w).long().view(layer.weight.shape)
            q_bias = torch.round(layer.bias.detach() / (s_w[:, 0] * s)).long()
            s_out, z_out = grid(x)
            mantissa, exponent = torch.frexp(s_w[:, 0] * s / s_out)
            self.steps.append((layer, z, q_w, q_bias, (mantissa * 2**31).long(), -exponent.long(), z_out))
            s, z = s_out, z_out

    def quantize(self, x):
        s, z = self.grid
        return (torch.round(x / s) + z).clamp(-128, 127).long()

    def __call__(self, q):
        for layer, z, *integers in self.steps:
            if integers:
                q_w, q_bias, m0, shift, z_out = integers
                if isinstance(layer, nn.Conv2d):
                    acc = F.conv2d(q - z, q_w, q_bias, layer.stride, layer.padding)
                    m0, shift = m0.view(-1, 1, 1), shift.view(-1, 1, 1)
                else:
                    acc = F.linear(q - z, q_w, q_bias)
                y = (acc * m0 + (1 << (30 + shift))) >> (31 + shift)
                q = (y + z_out).clamp(-128, 127)
            elif isinstance(layer, nn.ReLU):
                q = q.clamp(min=z)
            elif isinstance(layer, nn.Flatten):
                q = q.flatten(1)
            else:
                k = layer.kernel_size
                windows = q.unfold(2, k, k).unfold(3, k, k).flatten(-2)
                q = windows.amax(-1) if isinstance(layer, nn.MaxPool2d) else (2 * windows.sum(-1) + k * k) // (2 * k * k)
        return q
    ### END SOLUTION

# %% test="IntegerModel" points=8
def run_on_integers(answer, model, x_calib, x):
    """The codes of x and their logits, those of the first input alone, which floating numbers came up in the calls, and what is left of the arguments."""
    recorder = watch.Recorder()
    built = watch.instrumented(answer, recorder.see)(model, x_calib)
    codes = built.quantize(x)
    with recorder:
        logits = built(codes)
    numbers = []
    for part in (x[:20], x[-20:]):
        few = built.quantize(part)
        recorder.scalars.clear()
        with recorder:
            built(few)
        numbers.append(recorder.scalars[:300])
    return {"codes": codes, "logits": logits, "alone": built(built.quantize(x[:1])), "far": built.quantize(4 * x - 1),
            "model": dict(model.state_dict()), "modes": [layer.training for layer in model.modules()], "inputs": [x_calib, x],
            "float arrays": len(recorder.floats), "numbers": numbers}


_pictures = digits(images=True)
_run = observe(run_on_integers, IntegerModel, models.load("cnn"), _pictures[0][:300], _pictures[2][:60])
assert np.shape(_run["logits"]) == (60, 10)
assert _run["float arrays"] == 0, "floating-point arrays or tensors came up during the call"
assert np.corrcoef(np.ravel(_run["logits"]), np.ravel(models.load("cnn")(_pictures[2][:60]).detach()))[0, 1] >= 0.99
### BEGIN HIDDEN TESTS
def _agrees(found, model, x_calib, x):
    wanted = model(x).detach().double().numpy()
    codes, logits, alone, far = (np.asarray(found[name]) for name in ("codes", "logits", "alone", "far"))
    assert codes.shape == tuple(x.shape) == far.shape, "the codes must have the shape of x"
    assert codes.dtype.kind in "iu" and far.dtype.kind in "iu", "codes must be integers"
    assert min(codes.min(), far.min()) >= -128 and max(codes.max(), far.max()) <= 127, "a code lies outside −128 … 127"
    assert logits.shape == wanted.shape, "the logits have the wrong shape"
    assert logits.dtype.kind in "iu", "the logits must be integers"
    assert found["float arrays"] == 0, "a tensor or array of floating-point numbers came up during the call"
    assert found["numbers"][0] == found["numbers"][1], "floating-point numbers were computed from the codes during the call"
    assert np.array_equal(alone, logits[:1]), "a picture's logits depend on the others in its batch"
    state = model.state_dict()
    assert all(np.array_equal(found["model"][name], p) for name, p in state.items()) and not any(found["modes"]), "the given model was changed"
    assert all(np.array_equal(left, part) for left, part in zip(found["inputs"], (x_calib, x))), "x_calib, or the x given to quantize, was changed"
    assert np.corrcoef(logits.ravel().astype(np.float64), wanted.ravel())[0, 1] >= 0.99, "the integer logits are not proportional to the float logits"


def _agrees_on_digits(found, model, x_calib, x):
    _agrees(found, model, x_calib, x)
    wanted, logits = model(x).detach().argmax(1).numpy(), np.asarray(found["logits"])
    assert (logits[np.arange(len(wanted)), wanted] == logits.max(1)).mean() >= 0.99, "the largest logit is another one than the float model's for more than 1 % of the pictures"


def quantized(answer, model, x_calib, *inputs):
    """The codes of several inputs."""
    built = answer(model, x_calib)
    return [built.quantize(x) for x in inputs]


def _rounded_and_saturated(found, model, x_calib, rising, mirrored, zero):
    codes, other, z = (np.asarray(part).ravel().astype(np.int64) for part in found)
    assert (np.diff(codes) >= 0).all(), "a larger input got a smaller code: codes must saturate, not wrap around"
    x, most = rising.numpy().ravel(), x_calib.abs().max().item()
    assert (codes[x > 2.1 * most] == 127).all() and (codes[x < -2.1 * most] <= -127).all(), "an input far outside the calibrated range does not have the code at its end"
    inner = np.abs(x) < 0.9 * min(-x_calib.min().item(), x_calib.max().item())
    assert (codes[inner] + other[inner] == 2 * z[0]).mean() > 0.9, "the codes of x and -x do not lie equally far from that of 0: round to the nearest"


def _random(*layers, biases=0.3, gains=()):
    """Layers with weights drawn anew; `gains` multiplies the rows of the last."""
    model = nn.Sequential(*layers).eval()
    for p in model.parameters():
        p.data = torch.randn(p.shape) * (biases if p.dim() == 1 else (2 / p[0].numel()) ** 0.5)
    for p in list(model.parameters())[-2:] if gains else ():
        p.data *= torch.tensor(gains).view(-1, *[1] * (p.dim() - 1))
    return model


seed(6)
_x, _, _val, _ = digits(images=True)
_flat, _flat_val = _x.flatten(1), _val.flatten(1)
_shifted = torch.randn(200, 2, 9, 9) * 0.5 - 0.4
_negative = _random(nn.Linear(64, 12), nn.Linear(12, 4))
_negative[0].weight.data = -_negative[0].weight.data.abs()
_uneven = torch.cat([torch.tensor([-1.0, 1.55]), torch.rand(198) * 2.55 - 1]).view(50, 4)
_rising = (torch.rand(1200) * 8 - 4).sort()[0].view(300, 4)
_dimmed = torch.cat([0.75 * _flat[:300], torch.eye(64)])
exam.law("digits networks", _agrees_on_digits, [
    case("the CNN of the course, seed 1", models.load("cnn", 1), _x[:400], _val),
    case("the CNN of the course, seed 3", models.load("cnn", 3), _x[:400], _val),
    case("the small MLP, on rows of 64 pixels", models.load("small_mlp", 2), _flat[:400], _flat_val),
], probe=run_on_integers, weight=2)
exam.law("other networks", _agrees, [
    case("Flatten, then three linear layers with large biases", _random(nn.Flatten(), nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 5), biases=1.5), _x[:300], _val[:100]),
    case("inputs mostly below 0, stride 2, padding 1, average pooling before ReLU",
         _random(nn.Conv2d(2, 6, 3, stride=2, padding=1), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 4)), _shifted, _shifted[:80]),
    case("no ReLU between two convolutions, padding 2, maximum pooling, then ReLU",
         _random(nn.Conv2d(2, 5, (3, 2), padding=2), nn.Conv2d(5, 6, 3, padding=1), nn.MaxPool2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4)), _shifted, _shifted[:80]),
    case("the CNN of the course, calibrated on 20 pictures only, so that codes of others saturate", models.load("cnn", 4), _x[:20], _val[:200]),
    case("calibrated on dimmed pictures, so that activations and logits saturate", models.load("small_mlp", 1), _dimmed, _flat_val[:200]),
    case("outputs whose weights differ tenfold in size", _random(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 6), gains=(1.0, 0.1, 0.3, 0.8, 0.15, 0.5)), _flat[:300], _flat_val[:100]),
], probe=run_on_integers, weight=2)
exam.law("codes of the input", _rounded_and_saturated, [
    case("calibrated on -1 … 1.55, and inputs from -4 to 4 in rising order", _random(nn.Linear(4, 3)), _uneven, _rising, -_rising, torch.zeros(1, 4)),
], probe=quantized)
exam.law("edges", _agrees, [
    edge("a single linear layer on inputs that are all negative", _random(nn.Linear(7, 5)), -1 - torch.rand(50, 7), -1 - torch.rand(40, 7)),
    edge("a first layer whose weights are all negative", _negative, _flat[:200], _flat_val[:60]),
    edge("stride 3, no padding, average pooling with k = 3", _random(nn.Conv2d(2, 8, 2, stride=3), nn.AvgPool2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4)),
         _shifted, _shifted[:60]),
    edge("ReLU and pooling come first", _random(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 6)), _shifted, _shifted[:60]),
    edge("weights and inputs of a thousandth", _random(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 4), biases=0.001), torch.rand(80, 12) / 1000, torch.rand(60, 12) / 1000),
], probe=run_on_integers)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: five networks on integers
#
# With exercise 6 done, run these cells. First your model on five trainings of the digits CNN, 500 validation pictures each. No marks.

# %%
x_train, _, x_val, y_val = digits(images=True)
agreements, correlations = [], []
for training in range(5):
    network = models.load("cnn", training)
    integer = IntegerModel(network, x_train)
    with torch.no_grad():
        exact = network(x_val)
    logits = torch.as_tensor(np.asarray(integer(integer.quantize(x_val)))).double()
    agreements.append((logits.argmax(1) == exact.argmax(1)).double().mean().item())
    correlations.append(torch.corrcoef(torch.stack([logits.flatten(), exact.double().flatten()]))[0, 1].item())
print(f"arg max as in float: mean {np.mean(agreements):.1%}, from {min(agreements):.1%} to {max(agreements):.1%}")
print(f"correlation of the logits: from {min(correlations):.4f} to {max(correlations):.4f}")
plots.logits_picture(exact, logits, plt.subplots(figsize=(4.2, 3.4))[1])
plt.show()

# %% [markdown]
# The dtypes, operation by operation: what torch was given and what it gave in one call of the last of these models, each kind once. (A model in numpy shows no rows.)

# %%
recorder = watch.Recorder()
codes = integer.quantize(x_val)
with recorder:
    integer(codes)
for operation, dtypes in dict.fromkeys((name, " ".join(dtypes)) for name, dtypes in recorder.operations):
    print(f"{operation:24}{dtypes}")

# %% [markdown]
# ### The running table: the small MLP on integers alone
#
# The network of this track, 64-24-10, once more, with your `IntegerModel`. Its size counts 1,776 weights of 8 bits, 34 biases of 32 bits, for each of the 34 output channels a multiplier of 32 bits and a shift of 8, and three zero points
# of 8 bits. SQNR compares real numbers, so each model's integer logits are first put into the unit of the float ones, by a line fitted on the training pictures.

# %%
def on_integers(training):
    """Pictures -> logits of the small MLP of that training, computed by integers; only the last line, a change of unit, is float."""
    network, pictures = models.load("small_mlp", training), digits()[0]
    integer = IntegerModel(network, pictures)

    def codes_of_logits(x):
        return torch.as_tensor(np.asarray(integer(integer.quantize(x)))).double()

    slope, offset = np.polyfit(codes_of_logits(pictures).flatten().numpy(), network(pictures).detach().double().flatten().numpy(), 1)
    return lambda x: slope * codes_of_logits(x) + offset


size = 1776 + 34 * 4 + 34 * (4 + 1) + 3
row = journey.measure("8 bits, integers alone", size, [on_integers(training) for training in range(5)])
print(journey.table("08-integer-inference", row))

# %% [markdown]
# ## Concepts
#
# What the exercises above taught you, asked the way an interviewer asks it: five checks that are marked at once, and a question to answer in your own words. In a check every statement stands alone; any
# number of them, but at least one, is true.

# %% check="integer_units" points=1

# %% check="accumulator_bits" points=1

# %% check="zero_point_rules" points=1

# %% check="multiplier_shift" points=1

# %% check="saturation_and_wrapping" points=1

# %% [markdown] interview="I05" points=5

# %% [markdown]
# ## Where this leads
#
# A network of 8-bit codes, 32-bit accumulators and one fixed-point multiplier for each channel: that is what runs on the integer units of phones and microcontrollers. Nothing was retrained, and the digits networks lost next to nothing.
# At 4 bits and below the same arithmetic works, but the weights must be trained for their grid (07); networks with outliers need finer scales or clipped ranges first (05).
#
# Everything here was *simulated* in int64, on a machine with floats: the numbers are those of an integer chip, its speed is not. What a kernel really gains must be measured on the target (12).
