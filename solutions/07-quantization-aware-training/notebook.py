# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 07 · Quantization-aware training
#
# Rounding a trained network to eight bits costs next to nothing; rounding it to two costs dearly. A network that is *trained* with rounded weights
# learns to live with them. One thing stands in the way: the derivative of rounding is 0 almost everywhere, so nothing behind it learns. The cure is
# to round on the way forward and to look away on the way back, the *straight-through estimator*.
#
# You will build, piece by piece, what quantization-aware training (QAT) is made of, and train a network to two bits:
#
# - **What is the gradient of a staircase?** Of rounding (1), of a whole quantizer with its ends (2).
# - **Who chooses the grid?** Gradient descent can: the step of the grid (3), the clipping level of an activation (4); or a moving average of what the
#   training has seen (5).
# - **Does it pay?** A digits network, trained from scratch with two bits for every weight (6).
# - **Do all layers need the same?** Bits for each layer, under one budget (7).
#
# **Conventions.** Arrays are torch tensors, float32. A *grid* with b bits has at most $2^b$ codes; rounding is to the nearest code, half to even
# (`torch.round`). "The gradient of x" is the one that `backward()` leaves in `x.grad`. A function gives back something new and leaves its
# arguments as
# they were; only `train_qat` may change the model that it is given.

# %%
import copy
import itertools
import math
import warnings

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
import matplotlib.pyplot as plt
from autograder import observe
from course import journey, models, plots
from course.datasets import digits
from course.train import accuracy

torch.set_num_threads(1)                         # networks as small as these train fastest on one

# %% [markdown]
# ## 1. Round, and let the gradient through
#
# Write `ste_round(x) -> y` for a float32 tensor `x` of any shape, with
#
# $$y = \mathrm{round}(x), \qquad \frac{\partial L}{\partial x} := \frac{\partial L}{\partial y}$$
#
# - Forward: the nearest whole number, half to even: 0.5 → 0, 1.5 → 2, −2.5 → −2. `y` has the shape of `x`.
# - Backward: whatever gradient arrives at `y` leaves at `x` unchanged, whatever the size of `x`.
# - `x` is not changed. An `x` that asks for no gradient, an empty one and a single number are rounded as well.
#
# Source: Bengio, Léonard and Courville (2013), *Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation*, which
# names the straight-through estimator: back-propagate through the hard function as if it had been the identity.
#
# *Worked example.* `x = [0.4, 1.7, -2.6]` and L = 1·y₁ + 2·y₂ + 3·y₃. Forward y = [0, 2, −3], so L = −5. Backward `x.grad = [1, 2, 3]`;
# with `torch.round`
# alone it is [0, 0, 0].
#
# <details><summary>Hint 1</summary>You need an expression whose value is round(x) and whose derivative is that of x.</details>
# <details><summary>Hint 2</summary><code>v.detach()</code> has the value of v, and autograd takes it for a constant.</details>
# <details><summary>Hint 3</summary>Add to x the correction <code>round(x) - x</code>, as a constant. (A
# <code>torch.autograd.Function</code> whose <code>backward</code> returns what it gets does the same.)</details>

# %% answer="ste_round"
def ste_round(x):
    """Round half to even; the gradient passes unchanged."""
    ### BEGIN SOLUTION
    return x + (x.round() - x).detach()
    ### END SOLUTION

# %% test="ste_round" points=2
def round_and_look(f, x, g):
    """y = f(x), the gradient of x when g arrives at y, and x afterwards."""
    leaf = x.clone().requires_grad_()
    x = leaf * 1
    y = f(x)
    gradient = torch.autograd.grad(y, leaf, g, allow_unused=True)[0] if y.requires_grad else None
    return {"the value": y.detach(), "the gradient of x": gradient, "x afterwards": x.detach()}


_seen = observe(round_and_look, ste_round, torch.tensor([0.4, 1.7, -2.6]), torch.tensor([1.0, 2.0, 3.0]))
assert np.allclose(_seen["the value"], [0, 2, -3])
assert np.array_equal(_seen["the gradient of x"], [1, 2, 3]), "the gradient is not that of the identity"
### BEGIN HIDDEN TESTS
seed(1)
exam.compare("value and gradient", [
    case("a 3 × 5 matrix of values between −3 and 3", 6 * torch.rand(3, 5) - 3, torch.randn(3, 5)),
    case("values of some hundreds", 500 * torch.randn(7), torch.randn(7)),
    case("values between −0.5 and 0.5, all of which round to 0", torch.rand(2, 3, 2) - 0.5, torch.randn(2, 3, 2)),
], weight=2, probe=round_and_look)
exam.compare("edges", [
    edge("values half way between two whole numbers", torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, -2.5]), torch.randn(6)),
    edge("whole numbers stay", torch.tensor([-3.0, 0.0, 4.0]), torch.randn(3)),
    edge("one number without a dimension", torch.tensor(2.7), torch.tensor(-1.5)),
    edge("an empty tensor beside a gradient of nothing", torch.zeros(0, 4), torch.zeros(0, 4)),
], probe=round_and_look)
exam.compare("without a gradient", [
    case("a tensor that asks for no gradient", torch.tensor([[1.2, -0.7], [3.6, 2.4]])),
    edge("the same, empty", torch.zeros(0)),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Fake quantization
#
# In training, nothing is stored in integers yet: a tensor is quantized and at once dequantized, so that the rest of the network feels the
# rounding and goes
# on computing in float. Beyond the ends of the grid there is another thing to feel: a value that is clipped does not move the output any more.
#
# Write `fake_quantize(x, s, z, bits) -> y` for a float32 tensor `x` of any shape, a scale `s` > 0, an integer zero point `z` and `bits` ≥
# 2, on the *affine
# grid* of 05:
#
# $$c = \mathrm{round}(x / s) + z, \qquad q = \mathrm{clamp}\left(c,\; -2^{b-1},\; 2^{b-1} - 1\right), \qquad y = s\,(q - z)$$
#
# - Gradient of x, element by element: 1 where c lies on the grid, its two end codes included; 0 where c lies beyond them. So
#   $\partial L/\partial x = \partial L/\partial y \cdot [\,-2^{b-1} \le c \le 2^{b-1} - 1\,]$. (Tests leave out the half steps just beyond
#   the end codes, where
#   c is still on the grid but x is outside.)
# - `s` is a float. If your function takes a tensor with a single number as well, and that asks for a gradient, it gets none from here, or
#   zero: range and zero point come from elsewhere.
# - Ties in x/s go to the even neighbour. `z` lies on the grid. `x` is not changed, and `y` has its shape.
#
# Source: Jacob et al. (2018), *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*, section 3,
# training with
# simulated quantization; the gradient is the straight-through estimator of Bengio et al. (2013).
#
# *Worked example.* `s = 0.5`, `z = 0`, `bits = 2`: codes −2 to 1, values −1 to 0.5. For `x = [-1.6, -0.6, 0.1, 0.9]` c = [−3, −1, 0, 2], q
# = [−2, −1, 0, 1],
# y = [−1, −0.5, 0, 0.5], and the gradient is [0, 1, 1, 0].
#
# <details><summary>Hint 1</summary>Two things stop a gradient here: rounding always, clipping outside only. Which of them should?</details>
# <details><summary>Hint 2</summary>torch knows the gradient of <code>torch.clamp</code>: 1 inside and at the ends, 0 outside. So only
# rounding needs help, as
# in exercise 1.</details>
# <details><summary>Hint 3</summary>With <code>u = x / s</code>: <code>c = u + (u.round() - u).detach() + z</code>, clamp it, subtract z, multiply by
# <code>s</code>. Take <code>float(s)</code> first, and nothing can flow there.</details>

# %% answer="fake_quantize"
def fake_quantize(x, s, z, bits):
    """Quantize to the affine grid and back; gradient 1 on the grid and 0 beyond it, none for s."""
    ### BEGIN SOLUTION
    u = x / float(s)
    codes = u + (u.round() - u).detach() + z
    return float(s) * (codes.clamp(-2 ** (bits - 1), 2 ** (bits - 1) - 1) - z)
    ### END SOLUTION

# %% test="fake_quantize" points=4
def quantize_and_look(f, x, s, z, bits, g):
    """y = f(x, s, z, bits), the gradient of x when g arrives at y, x afterwards; then the gradient of s as a tensor, if f takes one that asks for it."""
    leaf, scale = x.clone().requires_grad_(), torch.tensor(s, requires_grad=True)
    x = leaf * 1
    y = f(x, s, z, bits)
    gradient = torch.autograd.grad(y, leaf, g, allow_unused=True)[0] if y.requires_grad else None
    try:
        with warnings.catch_warnings():              # float(s) of such a tensor is right here, and torch warns of it
            warnings.simplefilter("ignore")
            again = f(leaf * 1, scale, z, bits)
        of_scale = torch.autograd.grad(again, scale, g, allow_unused=True)[0]
    except (TypeError, RuntimeError):
        of_scale = None
    return {"the value": y.detach(), "the gradient of x": gradient, "x afterwards": x.detach(), "the gradient of s": 0.0 if of_scale is None else of_scale}


_seen = observe(quantize_and_look, fake_quantize, torch.tensor([-1.6, -0.6, 0.1, 0.9]), 0.5, 0, 2, torch.ones(4))
assert np.allclose(_seen["the value"], [-1, -0.5, 0, 0.5])
assert np.allclose(_seen["the gradient of x"].tolist(), [0, 1, 1, 0])
### BEGIN HIDDEN TESTS
def _inputs(s, z, bits, *shape):
    """Values whose codes lie on the grid and up to twice as far, but not near a rounding tie nor in the half steps beyond the ends."""
    low, high = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    codes = torch.randint(2 * low, 2 * high + 2, shape) + 0.9 * (torch.rand(*shape) - 0.5)
    codes[(codes > high) & (codes < high + 0.6)] = high - 0.2
    codes[(codes < low) & (codes > low - 0.6)] = low + 0.2
    return ((codes - z) * s).float()


seed(2)
exam.compare("inside and outside", [
    case("4 bits, s = 0.3, z = 0, a 4 × 6 matrix", _inputs(0.3, 0, 4, 4, 6), 0.3, 0, 4, torch.randn(4, 6)),
    case("2 bits, s = 1.7, z = -1, a vector", _inputs(1.7, -1, 2, 20), 1.7, -1, 2, torch.randn(20)),
    case("8 bits, s = 0.01734, z = 37, a 3 × 2 × 5 tensor", _inputs(0.01734, 37, 8, 3, 2, 5), 0.01734, 37, 8, torch.randn(3, 2, 5)),
    case("3 bits, s = 0.11, z = 2", _inputs(0.11, 2, 3, 5, 5), 0.11, 2, 3, torch.randn(5, 5)),
], weight=2, probe=quantize_and_look)
exam.compare("edges", [
    edge("exactly on the grid, from end to end: gradient 1 at both ends", torch.arange(-4.0, 4.0) * 0.25, 0.25, 0, 3, torch.randn(8)),
    edge("the same with z = -4: all values from 0 up", torch.arange(0.0, 8.0) * 0.25, 0.25, -4, 3, torch.randn(8)),
    edge("far beyond both ends: the end codes, gradient 0", torch.tensor([60.0, -60.0, 0.3]), 0.1, 3, 4, torch.randn(3)),
    edge("values half way between two codes", torch.tensor([0.25, 0.75, 1.25, -0.25, -0.75]), 0.5, 0, 4, torch.randn(5)),
    edge("one number without a dimension", torch.tensor(0.37), 0.1, 1, 8, torch.tensor(2.0)),
    edge("zero is exactly 0, whatever z", torch.zeros(3), 0.3, 5, 4, torch.randn(3)),
], probe=quantize_and_look)
exam.compare("without a gradient", [
    case("a matrix that asks for no gradient", _inputs(0.3, 1, 4, 2, 7), 0.3, 1, 4),
    edge("an empty tensor", torch.zeros(0, 3), 0.3, 1, 4),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Learn the step of the grid
#
# Who says that a grid must be made for the largest weight? Let the loss decide: make the step s a parameter, and train it like a weight. That is LSQ,
# *learned step size quantization*. What it needs is a useful derivative with respect to s.
#
# Write `lsq(x, s, bits) -> y` for a float32 tensor `x` of any shape with N elements, a positive step `s`, which is a tensor of shape `()`
# or `(1,)` that
# asks for a gradient, and `bits` ≥ 2. With $Q_N = 2^{b-1}$, $Q_P = 2^{b-1} - 1$ (the paper's grid for signed data: not the symmetric one,
# it has one code more
# below zero):
#
# $$\bar v = \mathrm{round}\big(\mathrm{clip}(x/s,\, -Q_N,\, Q_P)\big), \qquad y = \bar v\, s$$
#
# $$\frac{\partial y}{\partial s} = g \cdot \begin{cases} -x/s + \mathrm{round}(x/s) & \text{if } -Q_N < x/s < Q_P \\ -Q_N & \text{if } x/s \le -Q_N \\
# Q_P & \text{if } x/s \ge Q_P \end{cases} \qquad\qquad \frac{\partial y}{\partial x} = \begin{cases} 1 & \text{if } -Q_N < x/s < Q_P \\ 0 & \text{otherwise} \end{cases}$$
#
# - The *gradient scale* $g = 1/\sqrt{N\, Q_P}$, with N = `x.numel()`, belongs to the gradient of s alone: s is one number that hears from
#   all N elements, and without g its
#   steps would be far too large. The value of y does not know of g, nor does the gradient of x.
# - Clipping comes before rounding: at x/s = $Q_P$ + 0.3 the second formula gives 0 and the first $Q_P$. Tests leave out x/s at exactly
#   $-Q_N$ or $Q_P$, and ties but
#   for one case (half to even).
# - The gradient of s has the shape of s: the sum over all elements, each with the gradient that arrives at it. Neither `x` nor `s` is changed.
#
# Source: Esser et al. (2020), *Learned Step Size Quantization*, equations 1 and 2 (value), 3 (gradient of s), 5 (gradient of x), and
# section 2.2 (gradient scale).
#
# *Worked example.* `bits = 3`, so codes −4 to 3; `s = 0.5`, `x = [0.6, -2.5, 3.0, -0.35]`, L = Σy. x/s = [1.2, −5, 6, −0.7], $\bar v$ = [1,
# −4, 3, −1],
# y = [0.5, −2, 1.5, −0.5]. The terms of s are −1.2 + 1 = −0.2, then −4, 3 and 0.7 − 1 = −0.3, together −1.5; g = 1/√(4·3) = 0.2887, so
# `s.grad` = −0.433.
# `x.grad` = [1, 0, 0, 1].
#
# <details><summary>Hint 1</summary>Write y as a product, <code>rounded * s</code>, where rounding passes the gradient on. Differentiate it
# by hand with
# the product rule: which of the three cases do you get for free?</details>
# <details><summary>Hint 2</summary>All of them. d(v̄·s)/ds = v̄ + s·dv̄/ds, and inside the range dv̄/ds is that of x/s: −x/s². So
# <code>torch.clamp(x / s, ...)</code>, a straight-through rounding and the product leave only the gradient scale to do.</details>
# <details><summary>Hint 3</summary>A number whose value is s and whose gradient is g times smaller:
# <code>g * s + (s - g * s).detach()</code>. Use it in
# place of s everywhere.</details>

# %% answer="lsq"
def lsq(x, s, bits):
    """x on the grid of step s; both learn, by equations 3 and 5 of the paper and its gradient scale."""
    ### BEGIN SOLUTION
    q_n, q_p = 2 ** (bits - 1), 2 ** (bits - 1) - 1
    g = 1 / math.sqrt(x.numel() * q_p)
    s = g * s + (s - g * s).detach()
    v = (x / s).clamp(-q_n, q_p)
    return (v + (v.round() - v).detach()) * s
    ### END SOLUTION

# %% test="lsq" points=5
def learn_and_look(f, x, s, bits, g):
    """y = f(x, s, bits), the gradients of x and s when g arrives at y, and both afterwards."""
    x_leaf, s_leaf = x.clone().requires_grad_(), s.clone().requires_grad_()
    x, s = x_leaf * 1, s_leaf * 1
    y = f(x, s, bits)
    of_x, of_s = torch.autograd.grad(y, (x_leaf, s_leaf), g, allow_unused=True) if y.requires_grad else (None, None)
    return {"the value": y.detach(), "the gradient of x": of_x, "the gradient of s": of_s, "x afterwards": x.detach(), "s afterwards": s.detach()}


_seen = observe(learn_and_look, lsq, torch.tensor([0.6, -2.5, 3.0, -0.35]), torch.tensor(0.5), 3, torch.ones(4))
assert np.allclose(_seen["the value"], [0.5, -2, 1.5, -0.5])
assert np.allclose(_seen["the gradient of x"].tolist(), [1, 0, 0, 1])
assert np.isclose(float(_seen["the gradient of s"]), -0.4330127)
### BEGIN HIDDEN TESTS
def _spread(s, bits, *shape):
    """Values at all distances from the grid, but not near a tie, nor at its very ends."""
    low, high = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    return s * (torch.randint(2 * low, 2 * high + 2, shape) + 0.45 * torch.sign(torch.randn(*shape)) * (0.1 + 0.9 * torch.rand(*shape))).float()


seed(3)
exam.compare("values and gradients", [
    case("3 bits, s = 0.4, a 4 × 6 matrix", _spread(0.4, 3, 4, 6), torch.tensor(0.4), 3, torch.randn(4, 6)),
    case("2 bits, s = 1.3, a vector of 15", _spread(1.3, 2, 15), torch.tensor(1.3), 2, torch.randn(15)),
    case("4 bits, s = 0.05 of shape (1,), a 2 × 3 × 4 × 2 kernel", _spread(0.05, 4, 2, 3, 4, 2), torch.tensor([0.05]), 4, torch.randn(2, 3, 4, 2)),
    case("8 bits, s = 0.02, a 7 × 3 matrix", _spread(0.02, 8, 7, 3), torch.tensor(0.02), 8, torch.randn(7, 3)),
], weight=2, probe=learn_and_look, rtol=1e-4, atol=1e-5)
exam.compare("one part of the formula at a time", [
    case("all inside the range", 0.3 * torch.tensor([0.2, -1.3, 1.8, -2.7]), torch.tensor(0.3), 3, torch.ones(4)),
    case("all above the range", 0.3 * torch.tensor([3.7, 5.2, 9.1]), torch.tensor(0.3), 3, torch.ones(3)),
    case("all below the range", 0.3 * torch.tensor([-4.8, -6.1, -30.2, -5.3]), torch.tensor(0.3), 3, torch.ones(4)),
    edge("in the half steps beyond both ends", 0.3 * torch.tensor([3.2, 3.4, -4.3, -4.1]), torch.tensor([0.3]), 3, torch.tensor([1.0, 2.0, -1.0, 3.0])),
    edge("values half way between two codes", torch.tensor([0.25, 0.75, 1.25, -0.25]), torch.tensor(0.5), 3, torch.ones(4)),
    edge("a single element", torch.tensor([0.37]), torch.tensor([0.1]), 4, torch.tensor([-2.0])),
    edge("zeros", torch.zeros(2, 5), torch.tensor(0.1), 2, torch.ones(2, 5)),
], weight=2, probe=learn_and_look, rtol=1e-4, atol=1e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Learn where to clip
#
# Weights come from both sides of zero; what leaves a ReLU does not, and a few large values can stretch its grid so far that all the others
# fall on two codes.
# PACT replaces the ReLU by a clipping whose level α is trained.
#
# Write `pact(x, alpha, bits) -> y` for a float32 tensor `x` of any shape, a positive `alpha` that is a tensor of shape `()` and asks for a
# gradient, and
# `bits` ≥ 1:
#
# $$y = \mathrm{clip}(x,\, 0,\, \alpha), \qquad y_q = \mathrm{round}\!\left(y \cdot \frac{2^b - 1}{\alpha}\right) \cdot \frac{\alpha}{2^b - 1}$$
#
# The function returns $y_q$. So the grid has $2^b$ values from 0 to α, with a step of α/(2^b − 1).
#
# - Gradient of x: 1 where 0 < x < α, 0 outside.
# - Gradient of α: 1 where x > α, 0 where x < α: the rounding adds nothing to it, as if $y_q$ were y. It is summed over all elements, each with the
#   gradient that arrives at it.
# - Tests leave out x = 0, x = α and ties. `x` and `alpha` are not changed.
#
# Source: Choi et al. (2018), *PACT: Parameterized Clipping Activation for Quantized Neural Networks*, section 4, equations 1 to 3.
#
# *Worked example.* `alpha = 3`, `bits = 2`: step 1. `x = [-1, 0.4, 1.7, 2.8, 5]` is clipped to [0, 0.4, 1.7, 2.8, 3] and rounded to [0, 0,
# 2, 3, 3]. For L = Σy_q
# the gradient of x is [0, 1, 1, 1, 0] and that of α is 1, from the last element alone: 2.8 is rounded *up to* α, but not clipped.
#
# <details><summary>Hint 1</summary>Which of the two steps, clipping and rounding, may autograd see?</details>
# <details><summary>Hint 2</summary>Clip so that α takes part: <code>torch.clamp(x, 0, alpha.item())</code> forgets it.
# <code>torch.minimum(torch.relu(x), alpha)</code> gives both gradients.</details>
# <details><summary>Hint 3</summary>Clip to y, compute y_q from y and α, and return <code>y + (y_q - y).detach()</code>: the value of the rounded, the
# gradient of the clipped.</details>

# %% answer="pact"
def pact(x, alpha, bits):
    """Clip to [0, alpha] and round to 2^bits values; alpha learns from what is clipped."""
    ### BEGIN SOLUTION
    y = torch.minimum(torch.relu(x), alpha)
    step = alpha / (2 ** bits - 1)
    return y + ((y / step).round() * step - y).detach()
    ### END SOLUTION

# %% test="pact" points=4
def clip_and_look(f, x, alpha, bits, g):
    """y = f(x, alpha, bits), the gradients of x and alpha when g arrives at y, and both afterwards."""
    x_leaf, alpha_leaf = x.clone().requires_grad_(), alpha.clone().requires_grad_()
    x, alpha = x_leaf * 1, alpha_leaf * 1
    y = f(x, alpha, bits)
    of_x, of_alpha = torch.autograd.grad(y, (x_leaf, alpha_leaf), g, allow_unused=True) if y.requires_grad else (None, None)
    return {"the value": y.detach(), "the gradient of x": of_x, "the gradient of alpha": of_alpha, "x afterwards": x.detach(), "alpha afterwards": alpha.detach()}


_seen = observe(clip_and_look, pact, torch.tensor([-1.0, 0.4, 1.7, 2.8, 5.0]), torch.tensor(3.0), 2, torch.ones(5))
assert np.allclose(_seen["the value"], [0, 0, 2, 3, 3])
assert np.allclose(_seen["the gradient of x"].tolist(), [0, 1, 1, 1, 0])
assert np.isclose(float(_seen["the gradient of alpha"]), 1.0)
### BEGIN HIDDEN TESTS
def _around(alpha, bits, *shape):
    """Values below 0, between 0 and alpha, and above, at most 0.4 steps from a value of the grid, and away from 0 and alpha."""
    levels = 2 ** bits - 1
    near = torch.randint(-levels, 2 * levels + 1, shape) + 0.4 * torch.sign(torch.randn(*shape)) * (0.1 + 0.9 * torch.rand(*shape))
    return (near * alpha / levels).float()


seed(4)
exam.compare("values and gradients", [
    case("2 bits, alpha = 1.5, a 4 × 6 matrix", _around(1.5, 2, 4, 6), torch.tensor(1.5), 2, torch.randn(4, 6)),
    case("4 bits, alpha = 6, a 2 × 3 × 4 × 2 batch of pictures", _around(6.0, 4, 2, 3, 4, 2), torch.tensor(6.0), 4, torch.randn(2, 3, 4, 2)),
    case("8 bits, alpha = 0.3, a vector of 20", _around(0.3, 8, 20), torch.tensor(0.3), 8, torch.randn(20)),
    case("3 bits, alpha = 10, a 5 × 3 matrix", _around(10.0, 3, 5, 3), torch.tensor(10.0), 3, torch.randn(5, 3)),
], weight=2, probe=clip_and_look, rtol=1e-4, atol=1e-5)
exam.compare("one part at a time", [
    case("all between 0 and alpha: nothing for alpha, though some are rounded up to it", torch.tensor([0.1, 0.9, 1.4, 1.95]), torch.tensor(2.0), 2, torch.ones(4)),
    case("all above alpha", torch.tensor([2.1, 3.7, 100.0]), torch.tensor(2.0), 2, torch.tensor([1.0, -3.0, 0.5])),
    case("all negative, some below −alpha", torch.tensor([-0.2, -1.5, -2.5, -40.0]), torch.tensor(2.0), 3, torch.ones(4)),
    edge("1 bit: 0 or alpha", torch.tensor([-0.3, 0.2, 0.6, 0.95, 1.7]), torch.tensor(1.2), 1, torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])),
    edge("a single number, above alpha", torch.tensor(4.2), torch.tensor(0.7), 4, torch.tensor(-2.0)),
], weight=2, probe=clip_and_look, rtol=1e-4, atol=1e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: three staircases, and the slopes that training sees
#
# With exercises 2 to 4 done, run this cell. Above: what goes forward. Below: what your code sends back for each x; it is not the slope of
# the staircase, which
# is 0 or undefined everywhere. No marks.

# %%
def slopes(f, x, learnt=None):
    """f at every x, and the derivative with respect to x, or to `learnt` where that is given."""
    values, found = [], []
    for one in x:
        one = one.reshape(1).clone().requires_grad_()
        y = f(one)
        (slope,) = torch.autograd.grad(y.sum(), one if learnt is None else learnt)
        values.append(y.item())
        found.append(slope.item())
    return values, found


plots.use_style()
xs, step, level = torch.linspace(-3.3, 3.3, 331) + 1e-3, torch.tensor(1.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
columns = [("fake_quantize: 2 bits, s = 1, z = 0", "gradient of x", lambda v: fake_quantize(v, 1.0, 0, 2), None),
           ("lsq: 2 bits, s = 1", "gradient of s", lambda v: lsq(v, step, 2), step), ("pact: 2 bits, α = 2", "gradient of α", lambda v: pact(v, level, 2), level)]
axes = plt.subplots(2, 3, figsize=(10, 5), sharex=True, gridspec_kw={"height_ratios": [3, 2]})[1]
for (title, what, f, learnt), above, below in zip(columns, *axes):
    values, found = slopes(f, xs, learnt)
    above.plot(xs, xs, color=plots.PALE, marker="", linestyle="--", label="y = x")
    above.plot(xs, values, color=plots.BLUE, marker="", label="value")
    below.plot(xs, found, color=plots.ORANGE, marker="", label=what)
    above.set(title=title, ylim=(-3.3, 3.3)), below.set(xlabel="x", ylabel=what)
axes[0, 0].set_ylabel("y"), axes[0, 0].legend()
plt.show()

# %% [markdown]
# ## 5. Watch a range while it moves
#
# An activation has no fixed minimum and maximum: they move as the network learns, and one odd batch should not decide. So the range is a
# moving average of the
# batches' extremes, frozen when training ends.
#
# Write a class `EmaObserver(momentum=0.9)` with the methods `observe(x)` and `freeze()` and the attributes `lo` and `hi`:
#
# $$\mathrm{lo} \leftarrow m \cdot \mathrm{lo} + (1 - m) \cdot \min x, \qquad \mathrm{hi} \leftarrow m \cdot \mathrm{hi} + (1 - m) \cdot \max x$$
#
# - min and max are those of all elements of the batch `x`, a non-empty float tensor of any shape. It is not changed.
# - The *first* batch sets both: lo = min x, hi = max x. Before it, `lo` and `hi` may be anything.
# - After `freeze()`, `observe` changes nothing any more; a second `freeze()` leaves it so. (Tests freeze after the first batch at the earliest.)
# - The range is as observed: it is not widened to hold 0, and there is no bias correction. `lo` and `hi` are single numbers, in Python,
#   numpy or torch.
# - Every observer has a range and a momentum of its own; 0 ≤ `momentum` ≤ 1.
#
# Source: Jacob et al. (2018), section 3.1, for ranges of activations by exponential moving averages; that the first batch sets the range is torch's
# `MovingAverageMinMaxObserver`, and the convention here.
#
# *Worked example.* m = 0.9. The batch [−1, 0, 2] sets lo = −1, hi = 2. The batch [0, 4] gives lo = 0.9·(−1) + 0.1·0 = −0.9 and hi
# = 0.9·2 + 0.1·4 = 2.2. An average that
# starts from 0 would have lo = −0.09 and hi = 0.58.
#
# <details><summary>Hint 1</summary>Three states: nothing seen yet, watching, frozen.</details>
# <details><summary>Hint 2</summary><code>None</code> is a good value for "nothing seen yet".</details>
# <details><summary>Hint 3</summary>In <code>observe</code>: return if frozen; take <code>x.min().item()</code> and <code>x.max().item()</code>; if
# <code>self.lo is None</code> they are the range, otherwise average.</details>

# %% answer="EmaObserver"
class EmaObserver:
    """Exponential moving averages of the batches' minimum and maximum."""
    ### BEGIN SOLUTION

    def __init__(self, momentum=0.9):
        self.momentum, self.frozen = momentum, False
        self.lo = self.hi = None

    def observe(self, x):
        if self.frozen:
            return
        lo, hi, m = x.min().item(), x.max().item(), self.momentum
        if self.lo is None:
            self.lo, self.hi = lo, hi
        else:
            self.lo, self.hi = m * self.lo + (1 - m) * lo, m * self.hi + (1 - m) * hi

    def freeze(self):
        self.frozen = True
    ### END SOLUTION

# %% test="EmaObserver" points=3
def watch(observer_class, options, batches, freezes):
    """The ranges after every batch; `freeze` is called after the batches of these numbers. A second observer, with a momentum of its own, watches in between."""
    one, other = observer_class(**options), observer_class(momentum=0.25)
    found = []
    for number, x in enumerate(batches, 1):
        one.observe(x)
        other.observe(-3 * x)
        found.append([float(one.lo), float(one.hi), float(other.lo), float(other.hi)])
        if number in freezes:
            one.freeze()
    return {"lo, hi of one and of another observer, after every batch": found, "the batches afterwards": batches}


def _ranges(found):
    return found["lo, hi of one and of another observer, after every batch"]


_seen = _ranges(observe(watch, EmaObserver, {}, [torch.tensor([-1.0, 0.0, 2.0]), torch.tensor([0.0, 4.0])], []))
assert np.allclose(_seen[0][:2], [-1, 2]), "the first batch sets the range"
assert np.allclose(_seen[1][:2], [-0.9, 2.2])
### BEGIN HIDDEN TESTS
seed(5)
exam.compare("moving averages", [
    case("five batches of 4 × 6, momentum not given", {}, [torch.randn(4, 6) for _ in range(5)], []),
    case("four batches of different size and scale, momentum 0.5", {"momentum": 0.5}, [k * torch.randn(3 * k, 2) + k for k in range(1, 5)], []),
    case("batches of pictures, 2 × 3 × 4 × 4, momentum 0.99", {"momentum": 0.99}, [torch.randn(2, 3, 4, 4) for _ in range(3)], []),
    case("one odd batch among small ones, momentum 0.8", {"momentum": 0.8}, [torch.rand(5) - 0.5, torch.tensor([-90.0, 70.0]), *(torch.rand(5) - 0.5 for _ in range(3))], []),
], weight=2, probe=watch)
exam.compare("frozen", [
    case("frozen after the third of six batches", {}, [torch.randn(4, 6) for _ in range(6)], [3]),
    edge("frozen after the first batch, momentum 0.3", {"momentum": 0.3}, [torch.randn(7) for _ in range(3)], [1]),
    edge("a second freeze() after the third batch leaves it frozen", {"momentum": 0.6}, [torch.randn(5) for _ in range(5)], [2, 3]),
], probe=watch)
exam.compare("edges", [
    edge("positive values only: the range is not widened to 0", {}, [2 + torch.rand(6) for _ in range(3)], []),
    edge("negative values only", {"momentum": 0.6}, [-2 - torch.rand(6) for _ in range(3)], []),
    edge("a first batch of zeros sets the range too", {"momentum": 0.7}, [torch.zeros(3), torch.tensor([-2.0, 5.0]), torch.tensor([1.0, 3.0])], []),
    edge("one element a batch", {}, [torch.tensor([1.5]), torch.tensor([-0.5]), torch.tensor(2.0)], []),
    edge("momentum 0: the last batch alone", {"momentum": 0.0}, [torch.randn(5) for _ in range(3)], []),
    edge("momentum 1: the first batch alone", {"momentum": 1.0}, [torch.randn(5) for _ in range(3)], []),
], probe=watch)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Train a network of two bits
#
# Everything comes together: forward with rounded weights, backward straight through, and the step goes to *latent* float weights behind
# them. A latent weight may move
# a little at every step and nothing happens; after enough little steps in one direction its code changes. Rounded weights that are stored back
# could never do that: every step would be rounded away.
#
# Write `train_qat(model, data, bits, epochs) -> trained`:
#
# - `model` is a new, untrained `models.mlp((64, 24, 10))`: the digits network with 64 pixels, 24 hidden units and 10 classes. You may train
#   it in place and return
#   it, or work on a copy. `bits` is at least 2.
# - `data = (x_train, y_train, x_val, y_val)` as from `digits()`, pixels in [0, 1]. Train on the first two, with the mean cross-entropy, for
#   `epochs` passes
#   (so three times the epochs are three times the optimizer's steps). The last two are for you to look at; the hidden tests put other pictures there.
# - The weights of *both* linear layers are quantized. Biases and activations stay float.
# - In `trained` the linear layers hold the quantized weights: in every row of a `layer.weight` (one output channel) there are at most
#   `2 ** bits` different values;
#   values less than 1e-6 apart count as one. Grid, scales, optimizer, learning rate, batches and their order are yours. With 4 bits you use
#   them: some row takes
#   more than four values.
# - It is judged by these weights and biases, in a network of our own: of the 500 validation pictures at least 92 % right, after 20 epochs,
#   with 2 bits (from two
#   different untrained networks) and with 4.
#
# $$\hat w = \mathrm{quantize}(w), \qquad L = \mathrm{CE}\big(f(x; \hat w)\big), \qquad w \leftarrow w - \eta\, \frac{\partial L}{\partial \hat w}$$
#
# Sources: Courbariaux, Bengio and David (2015), *BinaryConnect*, for the latent weights; Jacob et al. (2018), section 3; Esser et al.
# (2020), section 2.1, for the start of
# a step size, $2\,\mathrm{mean}|w|\,/\sqrt{Q_P}$.
#
# *Worked example.* One weight with latent value 0.30, on the grid {…, 0, 1, …} with step 1: forward 0. Its gradient is −1 in every step and
# the learning rate 0.1: latent
# 0.40, 0.50, 0.60. At 0.60 the code becomes 1. With the rounded weight overwriting the latent one: 0 + 0.1 → round(0.1) = 0, and so for ever.
#
# What to expect, from our own runs (20 epochs of Adam, two bits): most right answers reach 93 to 97 %. With a learning rate that stays at 0.01
# to the end, on batches of 128, the last steps still flip codes: 2 of 16 networks fell below 92 %, one to 86 %. With the same rate lowered to 0
# by the end none of 16 did. The scale matters too: with $\max|w|$ of the row
# on the grid {−1, 0, 1} only 89 to 95 %, as one large weight sends most others to 0. Without a gradient through the rounding at most 24 %.
#
# <details><summary>Hint 1</summary>Which of these does the optimizer hold: the latent weights, the rounded ones, the biases? And which of
# them does the forward pass use?</details>
# <details><summary>Hint 2</summary>Make a function that gives <code>w + (quantized - w).detach()</code>, with a scale for each row from the
# mean of |w|. Compute the forward pass by
# hand, with two <code>F.linear</code> and a <code>F.relu</code> between. Adam will do, at a learning rate of 0.003 on batches of 32,
# or 0.02 on 128; lower it to 0 by the end (<code>torch.optim.lr_scheduler.CosineAnnealingLR</code>).</details>
# <details><summary>Hint 3</summary>Per batch: logits from the quantized weights and <code>layer.bias</code>, <code>optimizer.zero_grad()</code>,
# <code>F.cross_entropy(...).backward()</code>, <code>optimizer.step()</code> with the optimizer over <code>model.parameters()</code>. After
# the last epoch, and only then,
# <code>layer.weight.copy_(quantized)</code> under <code>torch.no_grad()</code>.</details>

# %% answer="train_qat"
def train_qat(model, data, bits, epochs):
    """The network trained with quantized weights, which it holds at the end."""
    ### BEGIN SOLUTION
    model, (x, y) = copy.deepcopy(model), data[:2]
    first, last = model[0], model[2]
    q_p = 2 ** (bits - 1) - 1

    def quantized(w):
        s = 2 * w.abs().mean(dim=1, keepdim=True) / math.sqrt(q_p)
        return w + ((w / s).round().clamp(-q_p - 1, q_p) * s - w).detach()

    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(128):
            hidden = F.relu(F.linear(x[batch], quantized(first.weight), first.bias))
            optimizer.zero_grad()
            F.cross_entropy(F.linear(hidden, quantized(last.weight), last.bias), y[batch]).backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        for layer in (first, last):
            layer.weight.copy_(quantized(layer.weight))
    return model
    ### END SOLUTION

# %% test="train_qat" points=6
def weights_and_biases(network):
    """What the layers of a network hold that have a weight matrix."""
    modules = [] if network is None else network.modules()
    layers = [m for m in modules if getattr(m, "weight", None) is not None and m.weight.dim() == 2]
    return {"weights": [layer.weight.detach().clone() for layer in layers],
            "biases": [None if layer.bias is None else layer.bias.detach().clone() for layer in layers]}


def train_and_look(train, model, data, bits, epochs):
    """What the layers of the trained network hold."""
    return weights_and_biases(train(model, data, bits, epochs))


def _most_values(weight):
    """The most different values in a row; what is less than 1e-6 apart is one."""
    return int((np.diff(np.sort(np.asarray(weight, dtype=np.float64), axis=1), axis=1) > 1e-6).sum(axis=1).max()) + 1


_x, _y, *_ = digits()
torch.manual_seed(6)
_found = observe(train_and_look, train_qat, models.mlp((64, 24, 10)), (_x[:200], _y[:200], _x[:50], _y[:50]), 2, 2)
assert [tuple(w.shape) for w in _found["weights"]] == [(24, 64), (10, 24)]
assert max(_most_values(w) for w in _found["weights"]) <= 4, "a row of the weights takes more than 2 ** bits values"
### BEGIN HIDDEN TESTS
def _train_shortly(train, model, data, bits, epochs):
    """What the layers hold after one epoch and after `epochs`, from the same start; how many optimizer steps each made; the data afterwards."""
    from torch.optim.optimizer import register_optimizer_step_post_hook
    steps = []
    handle = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    short = weights_and_biases(train(copy.deepcopy(model), data, bits, 1))
    first = len(steps)
    long = weights_and_biases(train(copy.deepcopy(model), data, bits, epochs))
    handle.remove()
    return {"short": short, "long": long, "steps": [first, len(steps) - first], "data": data}


def _holds_a_grid(found, bits):
    weights, biases = found["weights"], found["biases"]
    assert [np.shape(w) for w in weights] == [(24, 64), (10, 24)] and [np.shape(b) for b in biases] == [(24,), (10,)], \
        "the trained network must have the layers of the given one"
    assert all(np.isfinite(np.asarray(part)).all() for part in (*weights, *biases)), "a weight or bias is not finite"
    assert max(_most_values(w) for w in weights) <= 2 ** bits, "a row of the weights takes more than 2 ** bits values"
    assert min(_most_values(w) for w in weights) > 1, "the weights of a layer are all alike"


def _trains_as_long_as_asked(found, model, data, bits, epochs):
    for part in ("short", "long"):
        _holds_a_grid(found[part], bits)
    assert all(np.array_equal(left, part) for left, part in zip(found["data"], data)), "the data were changed"
    first, second = found["steps"]
    assert second == epochs * first, "three times the epochs must be three times the optimizer's steps"
    assert first or not np.allclose(found["short"]["biases"][0], found["long"]["biases"][0], atol=1e-6), "more epochs change nothing"


def _reads_digits(found, model, data, bits, epochs):
    _holds_a_grid(found, bits)
    if bits == 4:
        assert max(_most_values(w) for w in found["weights"]) > 4, "with 4 bits no row takes more than four values"
    network = models.mlp((64, 24, 10))
    names = ("0.weight", "2.weight", "0.bias", "2.bias")
    network.load_state_dict({name: torch.as_tensor(np.asarray(part)) for name, part in zip(names, (*found["weights"], *found["biases"]))})
    x, y = digits()[2:]
    assert accuracy(network, (None, None, x[:, _pixels], _labels[y])) >= 0.92 - 1e-9, "less than 92 % of the validation pictures are read"


def _untrained(number):
    torch.manual_seed(number)
    return models.mlp((64, 24, 10))


torch.manual_seed(15)
_pixels, _labels = torch.randperm(64), torch.randperm(10)     # other places and names for all: who was trained elsewhere reads nothing here
_x, _y = _x[:, _pixels], _labels[_y]
_given = (_x, _y, _x[:300], _y[:300])
exam.law("short training", _trains_as_long_as_asked, [
    edge("3 bits, 600 pictures, one epoch and three", _untrained(2), (_x[:600], _y[:600], _x[600:900], _y[600:900]), 3, 3),
], weight=0.5, probe=_train_shortly)
exam.law("20 epochs with two bits", _reads_digits, [
    case("an untrained network", _untrained(1), _given, 2, 20),
    case("another untrained network", _untrained(4), _given, 2, 20),
], weight=3, probe=train_and_look)
exam.law("20 epochs with four bits", _reads_digits, [
    case("a third untrained network", _untrained(3), _given, 4, 20),
], weight=1, probe=train_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: rounded after training, or trained rounded
#
# With exercise 6 done, run this cell. Five networks of the same size: trained in float; the same, their weights rounded to two bits
# afterwards, in two ways (the symmetric grid
# of 05 with a scale for each row from its largest weight; the step on the four-valued grid that has the least squared error, searched for
# each row); and trained by your
# `train_qat`. No marks.

# %%
data = digits()


def rounded(w, step, q_n, q_p):
    """The weights on the grid −q_n … q_p with this step for each row."""
    return (w / step).round().clamp(-q_n, q_p) * step


def largest_weight(w):
    return rounded(w, w.abs().amax(dim=1, keepdim=True), 1, 1)


def least_error(w):
    tried = torch.stack([rounded(w, share * w.abs().amax(dim=1, keepdim=True), 2, 1) for share in torch.linspace(0.1, 1, 46)])
    best = (tried - w).square().sum(dim=2).argmin(dim=0)
    return tried[best, torch.arange(len(w))]


def after_training(quantize, seed_number):
    """The trained float network of that seed, its weights quantized."""
    network = models.load("small_mlp", seed_number)
    with torch.no_grad():
        for layer in (network[0], network[2]):
            layer.weight.copy_(quantize(layer.weight))
    return network


def trained_with_two_bits(seed_number):
    torch.manual_seed(seed_number)
    return train_qat(models.mlp((64, 24, 10)), data, 2, 20)


networks = {"float": [models.load("small_mlp", k) for k in range(5)],
            "2 bits after training: largest weight": [after_training(largest_weight, k) for k in range(5)],
            "2 bits after training: least error": [after_training(least_error, k) for k in range(5)],
            "2 bits, trained (exercise 6)": [trained_with_two_bits(k) for k in range(5)]}
ax = plt.subplots(figsize=(7, 3.5))[1]
for label, found in networks.items():
    scores = [accuracy(network, data) for network in found]
    ax.plot(range(5), scores, label=label)
    print(f"{label:40} {np.mean(scores):.1%}  ({min(scores):.1%} to {max(scores):.1%})")
ax.axhline(0.92, color=plots.GREY, linestyle="--", linewidth=1, marker="")
ax.set(xticks=range(5), xlabel="seed", ylabel="validation accuracy", ylim=(0.4, 1))
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=9)
plt.show()

# %% [markdown]
# ## 7. Bits for each layer
#
# Two bits for every weight are the same for every layer, and layers are not the same: one can be rounded hard and hardly anything happens,
# another ruins the network. With
# *mixed precision* a layer gets the bits that it needs, and the sum is what counts.
#
# Write `assign_bits(sensitivity, sizes, budget) -> bits`:
#
# $$\min_{b} \sum_{l} \text{sensitivity}[l][b_l] \qquad \text{subject to} \qquad \sum_{l} n_l\, b_l \le \text{budget}$$
#
# - `sensitivity` is `{layer: {bits: loss}}`: how much is lost when this layer alone has that many bits. Losses are not negative; mostly,
#   but not always, more bits lose less.
#   Layers may offer different bits. `sizes` is `{layer: number of weights}`, `budget` the number of *bits* for all weights together; it may
#   be used up.
# - `bits` is `{layer: bits}` with one of its own choices for each layer. The sum of the losses must be within 2 % of the least that fits,
#   so any method that comes so near
#   is right, and where several choices do, any of them.
# - If nothing fits, raise `ValueError`.
# - The tables are small: up to 6 layers and 4 choices each. The arguments are not changed.
#
# Sources: Dong et al. (2019), *HAWQ*, for bits by sensitivity; Wang et al. (2019), *HAQ*, for the budget; Yao et al. (2021), *HAWQ-V3*,
# which writes it as this
# integer program.
#
# *Worked example.* `{"a": {2: 0.5, 4: 0.1, 8: 0.0}, "b": {2: 0.3, 4: 0.2, 8: 0.15}}`, sizes 100 and 50, budget 500 bits. a at 4 and b at 2
# take 400 + 100 = 500 and lose 0.1 + 0.3 = 0.4, the
# least that fits: `{"a": 4, "b": 2}`. Two bits for both lose 0.8; four for both would take 600.
#
# <details><summary>Hint 1</summary>With 6 layers and 4 choices there are 4096 combinations. Is that too many to look at?</details>
# <details><summary>Hint 2</summary><code>itertools.product(*sensitivity.values())</code> gives a tuple of bits for each combination, in the
# order of the layers. Keep
# those that fit.</details>
# <details><summary>Hint 3</summary>Of those take the <code>min</code> by the sum of the losses; <code>min</code> of nothing raises
# <code>ValueError</code> by itself. (Taking the best single
# step again and again is not enough: it can miss by far more than 2 %.)</details>

# %% answer="assign_bits"
def assign_bits(sensitivity, sizes, budget):
    """One width per layer with the least sum of losses, in at most `budget` bits."""
    ### BEGIN SOLUTION
    choices = [dict(zip(sensitivity, bits)) for bits in itertools.product(*sensitivity.values())]
    fitting = [bits for bits in choices if sum(sizes[layer] * b for layer, b in bits.items()) <= budget]
    return min(fitting, key=lambda bits: sum(sensitivity[layer][b] for layer, b in bits.items()))       # of none: ValueError
    ### END SOLUTION

# %% test="assign_bits" points=4
_table = {"a": {2: 0.5, 4: 0.1, 8: 0.0}, "b": {2: 0.3, 4: 0.2, 8: 0.15}}
assert dict(assign_bits(_table, {"a": 100, "b": 50}, 500)) == {"a": 4, "b": 2}
### BEGIN HIDDEN TESTS
def _is_near_the_best(bits, sensitivity, sizes, budget):
    assert set(bits) == set(sensitivity), "there must be a width for each layer"
    chosen = {}
    for layer, row in sensitivity.items():
        near = [b for b in row if abs(b - float(bits[layer])) < 1e-6]
        assert near, "a width is none of its layer's choices"
        chosen[layer] = near[0]
    assert sum(sizes[layer] * b for layer, b in chosen.items()) <= budget, "the weights take more bits than the budget allows"
    best = min(sum(sensitivity[layer][b] for layer, b in zip(sensitivity, choice)) for choice in itertools.product(*sensitivity.values())
               if sum(sizes[layer] * b for layer, b in zip(sensitivity, choice)) <= budget)
    assert sum(sensitivity[layer][b] for layer, b in chosen.items()) <= 1.02 * best + 1e-9, "the sum of the losses is more than 2 % above the least that fits"


_rng = np.random.default_rng(7)


def _losses(layers, widths, steep):
    """Losses that fall by about a factor of 4 with each bit; the first layer is the most sensitive one if steep > 1."""
    return {f"fc{n}": {b: float(round(steep ** -n * 4.0 ** (2 - b) * (0.7 + 0.6 * _rng.random()), 6)) for b in widths} for n in range(1, layers + 1)}


_three, _six = _losses(3, [2, 3, 4, 8], 3.0), _losses(6, [2, 4, 8], 1.3)
_sizes = {"fc1": 320, "fc2": 2048, "fc3": 4096}
_own = {"conv": {4: 0.3, 8: 0.02}, "fc1": {1: 0.9, 2: 0.4, 4: 0.05, 6: 0.04}, "fc2": {2: 0.6, 3: 0.2}}
_trap = {"a": {2: 1.0, 4: 0.55, 8: 0.5}, "b": {2: 1.0, 4: 0.9, 8: 0.05}}
_down = {"a": {2: 0.30, 8: 0.0}, "b": {2: 0.25, 8: 0.0}, "c": {2: 0.50, 8: 0.0}}
_bumpy = {"a": {2: 0.2, 3: 0.35, 4: 0.1}, "b": {2: 0.4, 3: 0.1, 4: 0.3}}
exam.law("tables", _is_near_the_best, [
    case("three layers, the sensitive one the smallest, 3 bits on average", _three, _sizes, 3 * 6464),
    case("three layers, the sensitive one the largest, 3 bits on average", _three, {"fc1": 4096, "fc2": 2048, "fc3": 320}, 3 * 6464),
    case("three layers of one size, 4 bits on average", _three, {"fc1": 40, "fc2": 40, "fc3": 40}, 480),
    case("six layers of different sizes, 4 bits on average", _six, {f"fc{n}": 10 * n * n for n in range(1, 7)}, 4 * 910),
    case("six layers, falling sizes, 5 bits on average", _six, {f"fc{n}": 10 * (7 - n) for n in range(1, 7)}, 5 * 210),
    case("layers with choices of their own", _own, {"conv": 30, "fc1": 100, "fc2": 70}, 700),
    case("sizes in another order than the table", _three, dict(reversed(_sizes.items())), 3 * 6464),
    case("the best single step leads astray", _trap, {"a": 100, "b": 100}, 1000),
    case("one layer pays for two", _down, {"a": 100, "b": 90, "c": 150}, 1800),
    case("more bits may lose more", _bumpy, {"a": 10, "b": 20}, 90),
], weight=2)
exam.law("edges", _is_near_the_best, [
    edge("a budget that everything fits", _three, _sizes, 10 ** 6),
    edge("the budget is exactly what the best choice takes", _down, {"a": 100, "b": 90, "c": 150}, 100 * 2 + 90 * 2 + 150 * 8),
    edge("one bit less than that", _down, {"a": 100, "b": 90, "c": 150}, 100 * 2 + 90 * 2 + 150 * 8 - 1),
    edge("the budget is exactly what the fewest bits take", _own, {"conv": 30, "fc1": 100, "fc2": 70}, 120 + 100 + 140),
    edge("a loss of zero is within reach", {"a": {2: 0.4, 4: 0.0}, "b": {2: 0.0, 4: 0.0}}, {"a": 50, "b": 60}, 320),
    edge("all losses alike", {"a": {2: 0.5, 4: 0.5}, "b": {2: 0.5, 4: 0.5}}, {"a": 10, "b": 30}, 100),
    edge("a single layer", {"a": {2: 0.9, 4: 0.3, 8: 0.1}}, {"a": 100}, 500),
    edge("one bit less than the fewest raises ValueError", _own, {"conv": 30, "fc1": 100, "fc2": 70}, 359),
    edge("fewer bits than weights raises ValueError", _own, {"conv": 30, "fc1": 100, "fc2": 70}, 60),
    edge("a budget of 0 raises ValueError", _three, _sizes, 0),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: bits against loss
#
# With exercise 7 done, run this cell. It measures the sensitivity of each of the three layers of `models.load("mlp")` (rounded after
# training, a scale for each row) as the rise of
# the training loss, gives your `assign_bits` six budgets, and draws what all 125 ways to give the layers 2, 3, 4, 6 or 8 bits *really*
# lose. No marks.

# %%
widths, mlp = (2, 3, 4, 6, 8), models.load("mlp")
sizes = {name: p.numel() for name, p in mlp.named_parameters() if p.dim() > 1}


def loss_with(bits):
    """Training loss of the network with these bits; a layer that is not named keeps its float weights."""
    weights = {name: p.detach() for name, p in mlp.named_parameters()}
    for name, b in bits.items():
        top = 2 ** (b - 1) - 1
        weights[name] = rounded(weights[name], weights[name].abs().amax(dim=1, keepdim=True) / top, top, top)
    with torch.no_grad():
        return F.cross_entropy(torch.func.functional_call(mlp, weights, (data[0],)), data[1]).item()


sensitivity = {name: {b: max(0.0, loss_with({name: b}) - loss_with({})) for b in widths} for name in sizes}
every = [dict(zip(sizes, bits)) for bits in itertools.product(widths, repeat=len(sizes))]
chosen = [assign_bits(sensitivity, sizes, round(mean * sum(sizes.values()))) for mean in (2.25, 2.75, 3.25, 4, 5, 6.5)]
ax = plt.subplots(figsize=(7, 3.8))[1]
for label, group, style in (("all 125", every, {"color": plots.PALE, "marker": ".", "markersize": 6}),
                            ("the same for all layers", [dict.fromkeys(sizes, b) for b in widths], {"color": plots.BLUE, "marker": "s", "markersize": 8}),
                            ("assign_bits (exercise 7)", chosen, {"color": plots.ORANGE, "marker": "D", "markersize": 6})):
    means = [sum(sizes[name] * b for name, b in bits.items()) / sum(sizes.values()) for bits in group]
    ax.plot(means, [loss_with(bits) for bits in group], linestyle="", label=label, **style)
ax.set(xlabel="bits per weight, on average", ylabel="training loss", yscale="log", title="mixed precision")
ax.legend()
plt.show()
print("bits of the layers:", *(tuple(bits.values()) for bits in chosen))

# %% [markdown]
# ### The running table
#
# The network of this track, 64–24–10, with your two-bit weights beside the steps before. Size counts what must be stored: 1,776 weights of
# 2 bits, 34 scales (one for each
# row) and 34 biases in float32: 444 + 136 + 136 = 716 bytes. SQNR compares the logits with those of the *float network of that seed*; a
# network that was trained anew has logits
# of its own, so that here the number says nothing about quality. With exercise 6 done, run this cell. No marks.

# %%
print(journey.table("07-quantization-aware-training",
                    journey.measure("2 bits, trained from scratch", 444 + 136 + 136, networks["2 bits, trained (exercise 6)"])))

# %% [markdown]
# ## Concepts
#
# What the exercises above taught you, asked the way an interviewer asks it: five checks that are marked at once, and two questions to
# answer in your own words. In a check every statement stands alone; any number of them, but at least one, is true.

# %% check="straight_through" points=1

# %% check="qat_or_gradual" points=1

# %% check="lsq_step_gradient" points=1

# %% check="bits_by_sensitivity" points=1

# %% check="mixed_precision_ratio" points=1

# %% [markdown] interview="I02" points=5

# %% [markdown] interview="I13" points=5

# %% [markdown]
# ## Where this leads
#
# You have what frameworks call fake quantization: `ste_round` and `fake_quantize` put rounding into the forward pass, `lsq` and `pact` let
# the loss choose the grid,
# `EmaObserver` follows ranges that cannot be learnt, `train_qat` is the loop around them, `assign_bits` spends bits where they are needed.
#
# Count what it bought. The weights of the digits network take 2 bits instead of 32, and it reads two or three points worse than in float;
# but it was *trained* for it, which
# needs the data, the labels and the time. Where eight bits are enough, calibration alone does it (05). A straight-through gradient is a
# wrong gradient that works: the weights it
# trains never come to rest, and near a boundary they flip between two codes.
#
# And nothing is faster yet. All of this was computed in float32, rounding included. What remains is to compute with the codes themselves,
# in integers alone (08).
