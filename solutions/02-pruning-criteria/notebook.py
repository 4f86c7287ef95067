# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 02 · Pruning criteria
#
# A weight is worth as much as the loss would rise without it. To measure that for every weight, one would run the network once for each of
# them. A *criterion* is a cheaper guess, and there are many: the weight's size, its gradient, their product, the loss's curvature, where the
# weight is going. Each was published with a curve that beats the others.
#
# You will build the main ones, and compare them as one should: the same networks, the same sparsity, several seeds, random pruning as the
# baseline. Then you leave single weights and ask how much each *layer* can lose.
#
# - **Gradients by hand.** A three-layer network in numpy (1), pruned by its gradients (2).
# - **Criteria for a weight.** First order, after training (3) and before it (4); where a weight is heading (5); second order (6).
# - **Criteria for a layer.** Its sensitivity, measured (7), and what follows for its share of a budget (8).
#
# **Conventions.** A *mask* is boolean, `True` = keep. A share `s` of n elements is Python's `round(s * n)`. *Weights* are parameters with at
# least two dimensions. A function leaves its arguments as they were. Arrays are numpy in 1, 2, 3, 5 and 8; models and batches are torch in
# 4, 6 and 7. Results may be numpy arrays, torch tensors, numbers or lists: values count.

# %%
import copy
import itertools

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
import matplotlib.pyplot as plt
from autograder import observe
from course import models, plots
from course.datasets import digits
from course.train import accuracy

torch.set_num_threads(1)                             # for networks as small as these, more threads cost more than they save

# %% [markdown]
# ## 1. A three-layer network and its gradients
#
# Write two functions for a network of three layers in numpy. `Ws = [W1, W2, W3]` are its weights, `Wl` of shape (n_in, n_out), and
# `bs = [b1, b2, b3]` its biases, `bl` of shape (n_out,); `X` has shape (N, n_in of the first layer), N ≥ 1.
#
# `mlp_forward(X, Ws, bs) -> out` of shape (N, k), k units in the last layer: ReLU in the hidden layers, a sigmoid at the end,
#
# $$a_0 = X, \qquad z_l = a_{l-1} W_l + b_l, \qquad a_l = \max(z_l, 0) \;\text{ for } l = 1, 2, \qquad \text{out} = \frac{1}{1 + e^{-z_3}}.$$
#
# `mlp_backward(X, y, Ws, bs) -> (dWs, dbs)`: the gradients of
#
# $$L = \frac1N \sum_{n=1}^{N} \tfrac12 \sum_{j=1}^{k} (\text{out}_{nj} - y_{nj})^2$$
#
# for the weights and for the biases, two lists with the first layer first, each gradient with the shape of its parameter.
#
# - `y` has the shape of `out`, (N, k), or, where k = 1, the shape (N,). Its numbers may be integers.
# - The slope of the ReLU is 1 where $z > 0$ and 0 where $z < 0$; no $z$ is exactly 0 in the tests, and $|z_3| < 30$.
# - Arrays are float64; none that is given is changed.
#
# Source: Rumelhart, Hinton and Williams (1986), *Learning representations by back-propagating errors*: the chain rule from the last layer back.
# Any other way to the same numbers is as right.
#
# *Worked example.* One input $X = (1, 2)$ and $y = 1$, with
# $W_1 = \begin{pmatrix} 1 & -1 \\ 0.5 & 0.5 \end{pmatrix}$, $b_1 = (0, -0.5)$, $W_2 = \begin{pmatrix} 0.5 \\ 1 \end{pmatrix}$, $b_2 = 0$,
# $W_3 = 2$, $b_3 = -2$. Forward: $z_1 = (2, -0.5)$, $a_1 = (2, 0)$, $z_2 = a_2 = 1$, $z_3 = 0$, out = 0.5. Backward:
# $\partial L/\partial z_3 = (0.5 - 1) \cdot 0.5 \cdot 0.5 = -0.125$, so $\partial L/\partial W_3 = a_2 \cdot (-0.125) = -0.125$. One layer down
# $\partial L/\partial z_2 = -0.125 \cdot 2 = -0.25$, so $\partial L/\partial W_2 = (2, 0) \cdot (-0.25) = (-0.5, 0)$. Then
# $\partial L/\partial z_1 = (-0.25 \cdot 0.5,\; 0)$: the second unit is off and learns nothing.
#
# <details><summary>Hint 1</summary>Going back, every layer needs what it was given going forward. Keep the activations in a list.</details>
# <details><summary>Hint 2</summary>Start with <code>delta = (out - y) * out * (1 - out) / len(X)</code>, where y has the shape of out:
# (N, 1) minus (N,) is (N, N) in numpy. Then a layer's gradients are <code>a.T @ delta</code> and <code>delta.sum(axis=0)</code>, with a
# its input.</details>
# <details><summary>Hint 3</summary>To go one layer down, <code>delta = (delta @ W.T) * (a &gt; 0)</code>: back through the weights, then through
# the ReLU that made a. Every layer has a delta of its own.</details>

# %% answer="mlp_forward"
def mlp_forward(X, Ws, bs):
    """Output (N, k) of the network: ReLU in hidden layers, sigmoid at the end."""
    ### BEGIN SOLUTION
    a = X
    for W, b in zip(Ws[:-1], bs):
        a = np.maximum(a @ W + b, 0)
    return 1 / (1 + np.exp(-(a @ Ws[-1] + bs[-1])))
    ### END SOLUTION


def mlp_backward(X, y, Ws, bs):
    """Gradients (dWs, dbs) of mean over N of ½ Σ (out − y)², first layer first."""
    ### BEGIN SOLUTION
    inputs = [X]
    for W, b in zip(Ws[:-1], bs):
        inputs.append(np.maximum(inputs[-1] @ W + b, 0))
    out = mlp_forward(X, Ws, bs)
    delta = (out - y.reshape(out.shape)) * out * (1 - out) / len(X)
    dWs, dbs = [], []
    for W, a in zip(Ws[::-1], inputs[::-1]):
        dWs.append(a.T @ delta)
        dbs.append(delta.sum(axis=0))
        delta = (delta @ W.T) * (a > 0)
    return dWs[::-1], dbs[::-1]
    ### END SOLUTION

# %% test="mlp_forward" points=6
_X, _y = np.array([[1.0, 2.0]]), np.array([1.0])
_Ws = [np.array([[1.0, -1.0], [0.5, 0.5]]), np.array([[0.5], [1.0]]), np.array([[2.0]])]
_bs = [np.array([0.0, -0.5]), np.array([0.0]), np.array([-2.0])]
assert np.allclose(mlp_forward(_X, _Ws, _bs), [[0.5]])
_dWs, _dbs = mlp_backward(_X, _y, _Ws, _bs)
assert np.allclose(_dWs[2], [[-0.125]]) and np.allclose(_dbs[2], [-0.125])
assert np.allclose(_dWs[1], [[-0.5], [0.0]]) and np.allclose(_dbs[1], [-0.25])
_slopes = []                                          # the loss to both sides of each entry of W1
for _i, _j in np.ndindex(2, 2):
    _losses = []
    for _h in (1e-5, -1e-5):
        _moved = [W.copy() for W in _Ws]
        _moved[0][_i, _j] += _h
        _losses.append(0.5 * (np.asarray(mlp_forward(_X, _moved, _bs)) - 1).item() ** 2)
    _slopes.append((_losses[0] - _losses[1]) / 2e-5)
assert np.allclose(_dWs[0], np.reshape(_slopes, (2, 2)), atol=1e-6), "dW1 is not the slope of the loss"
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(1)


def _make(N, *sizes):
    Ws = [_rng.normal(0, 1.5 / np.sqrt(n_in), (n_in, n_out)) for n_in, n_out in zip(sizes, sizes[1:])]
    return _rng.normal(0, 1.5, (N, sizes[0])), Ws, [_rng.normal(0, 0.5, n_out) for n_out in sizes[1:]]


_three, _one, _square, _single = _make(7, 4, 6, 5, 3), _make(6, 3, 5, 4, 1), _make(5, 5, 5, 5, 5), _make(1, 3, 4, 2, 2)
_X, _Ws, _bs = _make(4, 3, 5, 4, 2)
_dead = _X, _Ws, [_bs[0] - 30, _bs[1] + 2, _bs[2]]
_onehot = np.eye(3)[_rng.integers(0, 3, 7)]
exam.compare("forward", [
    case("7 inputs, layers of 6, 5 and 3 units", *_three),
    case("6 inputs, one output unit: the result is (6, 1)", *_one),
    case("5 inputs, all layers of 5 units", *_square),
    edge("a single input", *_single),
    edge("a first layer whose units are all off", *_dead),
    edge("outputs near 0 and 1", _three[0], [_three[1][0], _three[1][1], 3 * _three[1][2]], _three[2]),
], of="mlp_forward")
exam.compare("backward", [
    case("7 inputs, layers of 6, 5 and 3 units, one-hot targets", _three[0], _onehot, *_three[1:]),
    case("targets that are any numbers, layers of 5, 4 and 1 units", _one[0], _rng.normal(0, 2, (6, 1)), *_one[1:]),
    case("all layers of 5 units", _square[0], _rng.normal(0, 1, (5, 5)), *_square[1:]),
], of="mlp_backward", weight=2)
exam.compare("backward, edges", [
    edge("one output unit, targets of shape (6,)", _one[0], _rng.normal(0, 2, 6), *_one[1:]),
    edge("one output unit, integer targets of shape (6,)", _one[0], np.array([0, 1, 1, 0, 1, 0]), *_one[1:]),
    edge("a single input", _single[0], np.array([[1.0, 0.0]]), *_single[1:]),
    edge("a first layer whose units are all off: its gradients are 0", _dead[0], _rng.normal(0, 1, (4, 2)), *_dead[1:]),
], of="mlp_backward")
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Prune by the gradient
#
# The simplest criterion that looks at the data: a weight whose gradient is small hardly changes the loss when it moves a little. After
# training, the *mean* gradient over the whole set is near 0 for every weight, so average its size over batches instead.
#
# Write `gradient_mask(grads, s) -> mask` for the gradients of one parameter, `grads` of shape (batches, \*shape) with at least one batch, as
# numpy floats, and a sparsity `s`:
#
# $$\text{score} = \frac{1}{B} \sum_{b=1}^{B} \left| g^{(b)} \right|$$
#
# - `mask` is boolean and has the parameter's shape; with n elements, exactly `round(s * n)` are `False`, those of least score; ties may
#   fall either way;
# - `s` outside [0, 1] raises `ValueError`.
#
# Source: to ask the error's derivative, averaged over the training patterns, what can go is the idea of Mozer and Smolensky (1989), *Skeletonization*,
# there for a gate on each unit (exercise 4 has gates on weights). $|g|$ of single weights is simpler still: it asks for the slope at the weight's value,
# and not yet for the value; exercise 3 does.
#
# *Worked example.* Two batches, `grads = [[0.4, -0.1, 0.3], [-0.4, -0.2, 0.3]]`, `s = 1/3`: the scores are 0.4, 0.15, 0.3, so the second weight
# goes: `[True, False, True]`. Averaged with their signs the gradients would be 0, −0.15, 0.3, and the first would go, the one that both
# batches pull at hardest.
#
# <details><summary>Hint 1</summary>Which axis counts the batches? One score is left for each weight.</details>
# <details><summary>Hint 2</summary><code>np.abs(grads).mean(axis=0)</code>, in this order. The rest is a ranking, as in
# <code>magnitude_mask</code> of assignment 01.</details>
# <details><summary>Hint 3</summary><code>np.argsort(score, axis=None)</code> lists flat positions, least first. Set the first
# <code>round(s * score.size)</code> of them to <code>False</code> in an all-<code>True</code> array and reshape it.</details>

# %% answer="gradient_mask"
def gradient_mask(grads, s):
    """Keep-mask with round(s·n) zeros at the least mean |gradient| over the batches (axis 0)."""
    ### BEGIN SOLUTION
    if not 0 <= s <= 1:
        raise ValueError("a sparsity lies in [0, 1]")
    score = np.abs(grads).mean(axis=0)
    mask = np.ones(score.size, dtype=bool)
    mask[np.argsort(score, axis=None)[:round(s * score.size)]] = False
    return mask.reshape(score.shape)
    ### END SOLUTION

# %% test="gradient_mask" points=4
assert np.asarray(gradient_mask(np.array([[0.4, -0.1, 0.3], [-0.4, -0.2, 0.3]]), 1 / 3)).tolist() == [True, False, True]
assert np.asarray(gradient_mask(np.ones((2, 4, 3)), 0.5)).shape == (4, 3)
### BEGIN HIDDEN TESTS
def _prunes_the_least(mask, grads, s):
    mask, score = np.asarray(mask), np.abs(grads).mean(axis=0)
    assert mask.shape == score.shape, "the mask must have the parameter's shape"
    assert mask.dtype == bool, "the mask must be boolean"
    assert (~mask).sum() == round(s * score.size), "the number of zeros is not round(s·n)"
    assert mask.all() or not mask.any() or score[~mask].max() <= score[mask].min() * (1 + 1e-5), "a pruned weight has a larger score than a kept one"


_rng = np.random.default_rng(2)
_wide, _tall = _rng.normal(0, 1, (4, 3, 5)), _rng.normal(0, 0.01, (3, 8, 2)).astype(np.float32)
_rare = _rng.normal(0, 0.1, (6, 4, 7)) * (1 + 20 * (_rng.random((6, 4, 7)) < 0.15))
_near = np.array([0.50009, 0.50001, 0.50008, 0.50002, 0.50007, 0.50003])
_opposed = np.array([1.0, -1.0, 1.0, -1.0])[:, None, None] * _rng.random((3, 4)) + _rng.normal(0, 0.05, (4, 3, 4))
exam.law("ordinary gradients", _prunes_the_least, [
    case("4 batches of a 3 × 5 matrix, s = 0.4", _wide, 0.4),
    case("3 batches of an 8 × 2 float32 matrix of small gradients, s = 0.75", _tall, 0.75),
    case("4 batches of a 3 × 5 matrix, s = 0.25: 3.75 rounds to 4", _wide, 0.25),
    case("5 batches of a vector of 9 biases, s = 0.3: 2.7 rounds to 3", _rng.normal(0, 1, (5, 9)), 0.3),
    case("4 batches of a 1 × 5 matrix, s = 0.4", _rng.normal(0, 1, (4, 1, 5)), 0.4),
], weight=2)
exam.law("gradients that disagree", _prunes_the_least, [
    case("gradients that alternate in sign from batch to batch, s = 0.5", _opposed, 0.5),
    case("gradients that are rarely large, s = 0.5", _rare, 0.5),
    case("gradients that are rarely large, s = 0.8", _rare, 0.8),
])
exam.law("edges", _prunes_the_least, [
    edge("s = 0 keeps everything", _wide, 0.0),
    edge("s = 1 keeps nothing", _wide, 1.0),
    edge("all gradients zero, s = 0.3", np.zeros((3, 2, 5)), 0.3),
    edge("all scores alike, of both signs, s = 0.5", np.where(np.arange(8)[:, None] < np.array([4, 1, 6, 2, 5, 3]), -1.0, 1.0), 0.5),
    edge("half of 5 elements: round(2.5) is 2", _rng.normal(0, 1, (3, 5)), 0.5),
    edge("a single batch of a 3 × 4 matrix, s = 0.4", _rng.normal(0, 1, (1, 3, 4)), 0.4),
    edge("scores that differ in the fifth digit, s = 0.5", np.stack([_near, _near]) * np.array([1, -1, 1, -1, 1, -1]), 0.5),
    edge("s = -0.1 raises ValueError", _wide, -0.1),
    edge("s = 1.5 raises ValueError", _wide, 1.5),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: numpy alone, from training to retraining
#
# With exercises 1 and 2 done, this cell trains a 64-32-16-10 network on the digits with your gradients and prunes each layer by
# `gradient_mask`: half of the weights, then 70 %. It trains the second on, with the mask applied after every step and without. Two things to see.
# Half of the weights go for nothing, because many never get a gradient: those of pixels that are never lit, of units that are never on. The next
# fifth is another matter. And without the mask a pruned weight is back in the first step in which it gets a gradient, since the
# loss has a slope in a weight that stands at 0 as anywhere else; what recovers there is no longer the pruned network. No marks.

# %%
x_train, y_train, x_val, y_val = digits(arrays="numpy")
X, Y, targets = x_train.astype(float), y_train, np.eye(10)[y_train]


def descend(Ws, bs, epochs, masks=None, rate=1.0):
    """Train by plain gradient descent on batches of 64; after each epoch (accuracy, sparsity), the start first."""
    order, history, held = np.random.default_rng(0), [], masks or [1.0] * len(Ws)
    for epoch in range(epochs + 1):
        right = np.argmax(mlp_forward(x_val, Ws, bs), axis=1) == y_val
        history.append((right.mean(), np.mean([(W == 0).mean() for W in Ws])))
        for chosen in np.array_split(order.permutation(len(X)), len(X) // 64) if epoch < epochs else ():
            dWs, dbs = mlp_backward(X[chosen], targets[chosen], Ws, bs)
            Ws = [(W - rate * np.asarray(g)) * mask for W, g, mask in zip(Ws, dWs, held)]
            bs = [b - rate * np.asarray(g) for b, g in zip(bs, dbs)]
    return Ws, bs, np.array(history)


rng = np.random.default_rng(0)
Ws, bs, trained = descend([rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out)) for n_in, n_out in ((64, 32), (32, 16), (16, 10))],
                          [np.zeros(32), np.zeros(16), np.zeros(10)], 15)
batches = [mlp_backward(X[k:k + 64], targets[k:k + 64], Ws, bs)[0] for k in range(0, len(X), 64)]
print(f"trained: {trained[-1, 0]:.1%} of the validation pictures right")
for s in (0.5, 0.7):
    masks = [np.asarray(gradient_mask(np.stack([np.asarray(dWs[layer]) for dWs in batches]), s)) for layer in range(3)]
    pruned = [W * mask for W, mask in zip(Ws, masks)]
    shuffled = [W * rng.permutation(mask.ravel()).reshape(mask.shape) for W, mask in zip(Ws, masks)]
    print(f"{s:.0%} of each layer pruned: by gradient {descend(pruned, bs, 0)[2][0, 0]:.1%}, at random {descend(shuffled, bs, 0)[2][0, 0]:.1%}")
plots.use_style()
fig, axes = plt.subplots(1, 2, figsize=(8, 3))
for label, held in (("mask after every step", masks), ("no mask", None)):
    for ax, values in zip(axes, descend(pruned, bs, 5, held)[2].T):
        ax.plot(values, label=label)
axes[0].set(xlabel="passes of retraining", ylabel="validation accuracy", ylim=(0, 1.03), title="70 % of each layer pruned by gradient")
axes[1].set(xlabel="passes of retraining", ylabel="share of weights that are 0", ylim=(-0.03, 1.03))
axes[1].legend()
plt.show()

# %% [markdown]
# ## 3. First order: weight times gradient
#
# What does the loss do when a weight w becomes 0? To first order $L(0) - L(w) \approx -g \cdot w$ with $g = \partial L/\partial w$. A slope
# alone says nothing without the distance to go. Molchanov et al. take the square as importance: a large change of the loss in either
# direction means that the weight does something.
#
# Write `taylor_scores(w, g) -> scores` for numpy arrays `w` and `g` of one shape:
#
# $$I_i = (g_i\, w_i)^2$$
#
# - The scores have the shape of `w`, one for each weight, exactly these numbers without any factor (compared to a relative 10⁻⁵, however small).
#
# Source: Molchanov et al. (2019), *Importance Estimation for Neural Network Pruning*: the first-order estimate of the squared change of
# the loss.
#
# *Worked example.* `w = [0.5, -0.2, 2]`, `g = [-0.1, 0.4, 0]`: the products are −0.05, −0.08 and 0, the scores 0.0025, 0.0064 and 0. The
# smallest weight matters most here, and the largest not at all.
#
# <details><summary>Hint 1</summary>If the loss is a straight line with slope g, how far does it fall over a way of length w?</details>
# <details><summary>Hint 2</summary>One product and one square, element by element; no sum.</details>
# <details><summary>Hint 3</summary><code>(g * w) ** 2</code></details>

# %% answer="taylor_scores"
def taylor_scores(w, g):
    """(g·w)² for each weight: the squared first-order change of the loss when the weight goes."""
    ### BEGIN SOLUTION
    return (g * w) ** 2
    ### END SOLUTION

# %% test="taylor_scores" points=2
assert np.allclose(taylor_scores(np.array([0.5, -0.2, 2.0]), np.array([-0.1, 0.4, 0.0])), [0.0025, 0.0064, 0.0], atol=1e-9)
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(3)
exam.compare("scores", [
    case("a 3 × 5 matrix", _rng.normal(0, 1, (3, 5)), _rng.normal(0, 1, (3, 5))),
    case("a 7 × 2 float32 matrix with small gradients", _rng.normal(0, 0.5, (7, 2)).astype(np.float32), _rng.normal(0, 1e-3, (7, 2)).astype(np.float32)),
    case("a 2 × 3 × 2 × 2 kernel with gradients of 10⁻⁴", _rng.normal(0, 0.1, (2, 3, 2, 2)), _rng.normal(0, 1e-4, (2, 3, 2, 2))),
    case("weights and gradients of opposite signs", -_rng.random(6) - 0.1, _rng.random(6) + 0.1),
], weight=2, rtol=1e-5, atol=1e-20)
exam.compare("edges", [
    edge("some weights and some gradients are 0", np.array([[0.0, 1.5], [-2.0, 0.0]]), np.array([[0.7, 0.0], [0.3, 0.0]])),
    edge("a large weight with a small gradient, and the reverse", np.array([1e3, -1e-3]), np.array([-1e-3, 1e2])),
], rtol=1e-5, atol=1e-20)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 4. SNIP: prune before training
#
# At initialisation a weight's size is a random number. But the first gradient already knows the data. SNIP gives every weight a switch c, 1 = on,
# and asks how fast the loss changes when it is turned: $\partial L / \partial c_i = w_i\, \partial L / \partial w_i$ at $c = 1$.
#
# Write `snip_mask(model, batch, s) -> masks` for a torch `model`, `batch = (x, y)` and a sparsity `s`:
#
# $$s_i = \left| w_i\, g_i \right|, \qquad g = \frac{\partial}{\partial w} \text{ of the mean cross-entropy of model(x) and the labels } y$$
#
# - `masks` maps the name of every weight (parameter with at least two dimensions, named as in `model.named_parameters()`) to a boolean mask of
#   its shape; biases have none.
# - All weights of all layers are ranked together: with n of them in the whole model exactly `round(s * n)` elements of all masks are `False`, those
#   of least score; ties may fall either way. A layer may lose everything.
# - `model` is as it was: its parameters, their `requires_grad`, its mode, and whatever is in each parameter's `.grad`, which may be `None` or hold numbers
#   already; these are not part of the score.
# - `s` outside [0, 1] raises `ValueError`.
#
# Source: Lee, Ajanthan and Torr (2019), *SNIP: Single-shot Network Pruning based on Connection Sensitivity*, section 4. They divide by the sum of
# all scores, which changes no ranking.
#
# *Worked example.* `nn.Linear(2, 2)` with weight `[[1, 0.5], [-1, 2]]` and bias 0, one input $x = (1, 0)$ with label 0. The logits are 1 and −1,
# the probabilities 0.881 and 0.119, so the gradients are `[[-0.119, 0], [0.119, 0]]` and the scores `[[0.119, 0], [0.119, 0]]`. With `s = 0.5` the
# second column goes: the input never lights it, and neither 0.5 nor 2 ever does anything.
#
# <details><summary>Hint 1</summary><code>loss.backward()</code> adds to what is in <code>.grad</code>. Is there another way to ask for
# gradients?</details>
# <details><summary>Hint 2</summary><code>torch.autograd.grad(loss, weights)</code> returns the gradients and stores nothing.</details>
# <details><summary>Hint 3</summary>Join all <code>(w * g).abs().flatten()</code> with <code>torch.cat</code>, rank once, make one long mask, and
# cut it up again with <code>split</code>, as in <code>global_masks</code> of assignment 01.</details>

# %% answer="snip_mask"
def snip_mask(model, batch, s):
    """Keep-masks by parameter name with round(s·n) zeros in all, at the least |w·g| of the whole model."""
    ### BEGIN SOLUTION
    if not 0 <= s <= 1:
        raise ValueError("a sparsity lies in [0, 1]")
    x, y = batch
    weights = {name: p for name, p in model.named_parameters() if p.dim() >= 2}
    grads = torch.autograd.grad(F.cross_entropy(model(x), y), list(weights.values()))
    scores = torch.cat([(w * g).abs().flatten() for w, g in zip(weights.values(), grads)])
    keep = torch.ones(len(scores), dtype=torch.bool)
    keep[scores.argsort()[:round(s * len(scores))]] = False
    parts = keep.split([w.numel() for w in weights.values()])
    return {name: part.view_as(weights[name]) for name, part in zip(weights, parts)}
    ### END SOLUTION

# %% test="snip_mask" points=5
_net = nn.Linear(2, 2)
_net.weight.data, _net.bias.data = torch.tensor([[1.0, 0.5], [-1.0, 2.0]]), torch.zeros(2)
_masks = snip_mask(_net, (torch.tensor([[1.0, 0.0]]), torch.tensor([0])), 0.5)
assert {name: np.asarray(mask).tolist() for name, mask in _masks.items()} == {"weight": [[True, False], [True, False]]}
### BEGIN HIDDEN TESTS
def _score_and_look(answer, model, batch, *args):
    """What `answer(model, batch, …)` gives, and what is left of the model, half of whose parameters hold a gradient already."""
    for p in list(model.parameters())[::2]:
        p.grad = torch.linspace(-3, 3, p.numel()).view_as(p)
    result = answer(model, batch, *args)
    return {"result": dict(result.items()), "parameters": {name: p.detach() for name, p in model.named_parameters()},
            "requires_grad": [p.requires_grad for p in model.parameters()], "gradients": [p.grad for p in model.parameters()],
            "modes": [module.training for module in model.modules()]}


def _untouched(found, model):
    assert all(np.array_equal(found["parameters"][name], p.detach()) for name, p in model.named_parameters()), "the model's parameters were changed"
    assert found["requires_grad"] == [p.requires_grad for p in model.parameters()], "the parameters' requires_grad was changed"
    for place, (p, grad) in enumerate(zip(model.parameters(), found["gradients"], strict=True)):
        wanted = torch.linspace(-3, 3, p.numel()).view_as(p) if place % 2 == 0 else None
        assert grad is None if wanted is None else grad is not None and np.array_equal(grad, wanted), "what was in .grad was changed"
    assert found["modes"] == [module.training for module in model.modules()], "the model's training mode was changed"


def _prunes_the_least_sensitive(found, model, batch, s):
    _untouched(found, model)
    weights = {name: p for name, p in model.named_parameters() if p.dim() >= 2}
    grads = torch.autograd.grad(F.cross_entropy(model(batch[0]), batch[1]), list(weights.values()))
    scores = {name: (p.detach() * g).abs().numpy().ravel() for (name, p), g in zip(weights.items(), grads)}
    masks = {name: np.asarray(mask) for name, mask in found["result"].items()}
    assert set(masks) == set(weights), "there must be a mask for each weight and for nothing else"
    for name, p in weights.items():
        assert masks[name].shape == tuple(p.shape), "a mask must have the shape of its weight"
        assert masks[name].dtype == bool, "masks must be boolean"
    keep, score = np.concatenate([masks[name].ravel() for name in weights]), np.concatenate([scores[name] for name in weights])
    assert (~keep).sum() == round(s * keep.size), "the number of zeros in all masks together is not round(s·n)"
    least = score[keep].min() * (1 + 1e-3) + 1e-7 if keep.any() else np.inf
    assert keep.all() or score[~keep].max() <= least, "a pruned weight has a larger score than a kept one"


seed(4)
_mlp = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
_uneven = nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 4, bias=False)).eval()
_conv = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5))
for _net, _scale in ((_mlp, 0.6), (_uneven, 0.5), (_conv, 0.5)):
    for _p in _net.parameters():
        nn.init.normal_(_p, std=_scale)
with torch.no_grad():
    _uneven[0].weight.mul_(0.02)                     # its scores are small too: one ranking takes nearly all from here
_batch, _small = (torch.randn(12, 5), torch.randint(3, (12,))), (torch.randn(9, 6), torch.randint(4, (9,)))
_pictures = torch.randn(6, 1, 4, 4), torch.randint(5, (6,))
_dark = _batch[0] * torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0]), _batch[1]
exam.law("ordinary networks", _prunes_the_least_sensitive, [
    case("three layers, s = 0.5", _mlp, _batch, 0.5),
    case("three layers, s = 0.9", _mlp, _batch, 0.9),
    case("a convolution and a dense layer, s = 0.7", _conv, _pictures, 0.7),
    case("a first layer of small weights, no bias in the second, in eval mode, s = 0.6", _uneven, _small, 0.6),
], weight=3, probe=_score_and_look)
exam.law("edges", _prunes_the_least_sensitive, [
    edge("s = 0 keeps everything", _mlp, _batch, 0.0),
    edge("s = 1 keeps nothing", _conv, _pictures, 1.0),
    edge("106 weights, s = 0.25: 26.5 rounds to 26", _mlp, _batch, 0.25),
    edge("inputs that are always 0 leave scores of 0, s = 0.1", _mlp, _dark, 0.1),
    edge("a batch of one, s = 0.4", _mlp, (_batch[0][:1], _batch[1][:1]), 0.4),
    edge("s = -0.1 raises ValueError", _mlp, _batch, -0.1),
    edge("s = 1.2 raises ValueError", _mlp, _batch, 1.2),
], probe=_score_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: train what SNIP left
#
# With exercise 4 done, this cell prunes fresh networks to 90 % before the first step and trains what is left for ten passes: masks by SNIP on 256
# pictures, by magnitude (of weights that are random numbers), and at random. Three seeds each: a dot is one network. No marks.

# %%
data = digits()


def fit(seed, masks={}, passes=10, rate=0.1, momentum=0.9):
    """A network of `models.mlp`, initialised by the seed and trained by gradient descent with momentum, with these weights held at 0."""
    torch.manual_seed(seed)
    model, order = models.mlp(), torch.Generator().manual_seed(seed)
    parameters = dict(model.named_parameters())
    speed = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for name in masks:
        parameters[name].data.mul_(masks[name])
    for _ in range(passes):
        for chosen in torch.randperm(len(data[0]), generator=order).split(64):
            loss = F.cross_entropy(model(data[0][chosen]), data[1][chosen])
            for (name, p), g in zip(parameters.items(), torch.autograd.grad(loss, list(parameters.values()))):
                speed[name].mul_(momentum).add_(g)
                p.data.sub_(rate * speed[name])
                if name in masks:
                    p.data.mul_(masks[name])
    return model


def lowest_out(scores, s):
    """Keep-masks of one ranking of these scores, a dictionary of tensors."""
    flat = torch.cat([torch.as_tensor(score).flatten() for score in scores.values()])
    keep = torch.ones(len(flat), dtype=torch.bool)
    keep[flat.argsort()[:round(s * len(flat))]] = False
    return {name: part.view(score.shape) for (name, score), part in zip(scores.items(), keep.split([score.numel() for score in scores.values()]))}


def weights_of(model):
    return {name: p.detach() for name, p in model.named_parameters() if p.dim() > 1}


found = {"SNIP": [], "magnitude": [], "random": []}
for seed_number in range(3):
    torch.manual_seed(seed_number)
    fresh = models.mlp()
    snip = snip_mask(fresh, (data[0][:256], data[1][:256]), 0.9)
    masks = {"SNIP": {name: torch.as_tensor(np.asarray(mask)) for name, mask in snip.items()},
             "magnitude": lowest_out({name: w.abs() for name, w in weights_of(fresh).items()}, 0.9),
             "random": lowest_out({name: torch.rand(w.shape) for name, w in weights_of(fresh).items()}, 0.9)}
    for name in found:
        found[name].append(accuracy(fit(seed_number, masks[name]), data))
ax = plt.subplots(figsize=(5.5, 2.4))[1]
for place, (name, accuracies) in enumerate(found.items()):
    ax.plot(accuracies, [place] * 3, "o", color=plots.BLUE)
    print(f"{name:10} {np.mean(accuracies):.1%} on average, from {min(accuracies):.1%} to {max(accuracies):.1%}")
ax.set(yticks=range(3), yticklabels=list(found), ylim=(2.6, -0.6), xlim=(0, 1), xlabel="validation accuracy, 90 % pruned before training")
plt.show()

# %% [markdown]
# ## 5. Movement: where a weight is heading
#
# When a trained network is fine-tuned for a new task, large weights are large because of the *old* task. Movement pruning scores a weight by
# what fine-tuning does to it: one that moves away from 0 is wanted, one that moves towards 0 is not, whatever its size.
#
# Write `movement_scores(ws, gs, lr) -> scores` for one parameter over T training steps: numpy arrays `ws`, its values, and `gs`, its gradients
# $g^{(t)} = \partial L/\partial w$ at these values, both of shape (T, \*shape) with T ≥ 1, and the learning rate `lr`:
#
# $$S = -\,\mathrm{lr} \sum_{t=1}^{T} w^{(t)} g^{(t)}$$
#
# - The scores have the parameter's shape. They have a sign: the lowest, most negative ones are to be pruned first.
#
# Source: Sanh, Wolf and Rush (2020), *Movement Pruning: Adaptive Sparsity by Fine-Tuning*, section 4: what the straight-through gradient of the
# mask accumulates in the scores.
#
# *Worked example.* Two steps, `ws = [[0.5, -0.2], [0.4, -0.3]]`, all gradients 1, `lr = 0.1`. The first weight goes 0.5, 0.4: towards 0. The second goes
# −0.2, −0.3: away from it. Scores: −0.1 · (0.5 + 0.4) = −0.09 and −0.1 · (−0.2 − 0.3) = 0.05. The larger weight is pruned.
#
# <details><summary>Hint 1</summary>Gradient descent moves a weight by −lr · g. What is the sign of w · (−lr · g), if that is away from 0?</details>
# <details><summary>Hint 2</summary>Multiply first, element by element, then add up the steps, and only the steps: axis 0.</details>
# <details><summary>Hint 3</summary><code>-lr * (ws * gs).sum(axis=0)</code></details>

# %% answer="movement_scores"
def movement_scores(ws, gs, lr):
    """−lr · Σ over the steps (axis 0) of w·g: positive where a weight moves away from 0."""
    ### BEGIN SOLUTION
    return -lr * (ws * gs).sum(axis=0)
    ### END SOLUTION

# %% test="movement_scores" points=3
assert np.allclose(movement_scores(np.array([[0.5, -0.2], [0.4, -0.3]]), np.ones((2, 2)), 0.1), [-0.09, 0.05])
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(5)


def _descent(*shape, steps, lr):
    """Values and gradients along a descent to a random point."""
    w, goal, ws, gs = _rng.normal(0, 1, shape), _rng.normal(0, 1, shape), [], []
    for _ in range(steps):
        ws.append(w)
        gs.append(w - goal + _rng.normal(0, 0.2, shape))
        w = w - lr * gs[-1]
    return np.stack(ws), np.stack(gs), lr


exam.compare("along a descent", [
    case("10 steps of a 3 × 5 matrix, lr = 0.1", *_descent(3, 5, steps=10, lr=0.1)),
    case("4 steps of a 6 × 2 matrix, lr = 0.5", *_descent(6, 2, steps=4, lr=0.5)),
    case("6 steps of a 2 × 3 × 2 × 2 kernel, lr = 0.05", *_descent(2, 3, 2, 2, steps=6, lr=0.05)),
    case("3 steps of a 3 × 3 matrix, lr = 0.2", *_descent(3, 3, steps=3, lr=0.2)),
], weight=2)
exam.compare("edges", [
    edge("a single step, lr = 1", *_descent(4, 3, steps=1, lr=1.0)),
    edge("weights of 0 do not score, whatever their gradients", np.zeros((3, 2, 4)), _rng.normal(0, 1, (3, 2, 4)), 0.1),
    edge("a weight that swings around 0 under gradients of its own sign", np.array([[0.5], [-0.25], [0.125]]), np.array([[7.5], [-3.75], [1.875]]), 0.1),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Second order: optimal brain damage with the Fisher information
#
# After training the gradient is near 0, and the first-order estimate with it. What is left is the curvature: removing w costs about
# $\tfrac12 h w^2$, with h the second derivative. That is optimal brain damage. The diagonal of the Hessian is expensive; near a minimum, with
# a loss that is a log-likelihood, the mean *squared* gradient of single samples stands in for it: the empirical Fisher information.
#
# Write `fisher_scores(model, batch) -> scores` for a torch `model` and `batch = (x, y)` with N samples:
#
# $$S_i = w_i^2 \cdot \frac1N \sum_{n=1}^{N} \left( \frac{\partial\, \ell_n}{\partial w_i} \right)^2, \qquad
# \ell_n = \text{cross-entropy of } \text{model}(x_n) \text{ and its true label } y_n$$
#
# - `scores` maps the name of *every* parameter, biases too, to a tensor of its shape.
# - One positive factor common to all scores is allowed (½, N, a normalisation of the whole), a factor per layer is not: only the ranking is used, and
#   it is global.
# - `model` is as it was: its parameters, their `requires_grad`, its mode, and what is in `.grad`, which is no part of the score.
#
# Sources: LeCun, Denker and Solla (1990), *Optimal Brain Damage*, section 2, for $\tfrac12 h w^2$; Theis et al. (2018), *Faster gaze prediction with
# dense networks and Fisher pruning*, for the Fisher information in its place.
#
# *Worked example.* `nn.Linear(1, 2, bias=False)` with weights 2 and 2 − ln 3, and the input 1 twice, with labels 0 and 1. The probabilities are 3/4 and
# 1/4, so for the first weight the two gradients are −1/4 and 3/4: their mean is 1/4, its square 0.0625, but the mean of the squares is
# (0.0625 + 0.5625)/2 = 0.3125. Score: 4 · 0.3125 = 1.25. The second weight has the same squares: 0.9014² · 0.3125 = 0.2539.
#
# <details><summary>Hint 1</summary>The gradient of the batch is the mean of the samples' gradients: squaring it is too late. Where can you square
# earlier?</details>
# <details><summary>Hint 2</summary>Loop over the samples, <code>x[n:n+1]</code> and <code>y[n:n+1]</code>, and add up
# <code>g ** 2</code>.</details>
# <details><summary>Hint 3</summary><code>torch.autograd.grad(F.cross_entropy(model(x[n:n+1]), y[n:n+1]), parameters)</code> gives all
# gradients of sample n and leaves <code>.grad</code> alone. At the end multiply each sum by <code>p.detach() ** 2</code>.</details>

# %% answer="fisher_scores"
def fisher_scores(model, batch):
    """w² · E[g²] for every parameter by name, g per sample; up to a common factor (here N)."""
    ### BEGIN SOLUTION
    parameters = dict(model.named_parameters())
    squares = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for x, y in zip(*batch):
        loss = F.cross_entropy(model(x[None]), y[None])
        for square, g in zip(squares.values(), torch.autograd.grad(loss, list(parameters.values()))):
            square.add_(g ** 2)
    return {name: p.detach() ** 2 * squares[name] for name, p in parameters.items()}
    ### END SOLUTION

# %% test="fisher_scores" points=5
_net = nn.Linear(1, 2, bias=False)
_net.weight.data = torch.tensor([[2.0], [2 - np.log(3)]], dtype=torch.float32)
_scores = np.asarray(fisher_scores(_net, (torch.ones(2, 1), torch.tensor([0, 1])))["weight"])
assert _scores.shape == (2, 1) and np.isclose(_scores[1, 0] / _scores[0, 0], 0.2539 / 1.25, rtol=1e-3)
### BEGIN HIDDEN TESTS
def _by_their_total(scores):
    """The scores divided by the sum of their sizes, so that answers which differ in the common factor look alike."""
    try:
        scores = {name: np.asarray(score.detach() if torch.is_tensor(score) else score, dtype=float) for name, score in scores.items()}
    except (TypeError, ValueError, RuntimeError):
        return scores                                # of a kind that has no total
    total = sum(np.abs(score).sum() for score in scores.values())
    return {name: score / total for name, score in scores.items()} if 0 < total < np.inf else scores


def _score_and_look(answer, model, batch, *args):
    """What `answer(model, batch, …)` gives, and what is left of the model, half of whose parameters hold a gradient already."""
    for p in list(model.parameters())[::2]:
        p.grad = torch.linspace(-3, 3, p.numel()).view_as(p)
    result = answer(model, batch, *args)
    return {"result": _by_their_total(dict(result.items())), "parameters": {name: p.detach() for name, p in model.named_parameters()},
            "requires_grad": [p.requires_grad for p in model.parameters()], "gradients": [p.grad for p in model.parameters()],
            "modes": [module.training for module in model.modules()]}


def _untouched(found, model):
    assert all(np.array_equal(found["parameters"][name], p.detach()) for name, p in model.named_parameters()), "the model's parameters were changed"
    assert found["requires_grad"] == [p.requires_grad for p in model.parameters()], "the parameters' requires_grad was changed"
    for place, (p, grad) in enumerate(zip(model.parameters(), found["gradients"], strict=True)):
        wanted = torch.linspace(-3, 3, p.numel()).view_as(p) if place % 2 == 0 else None
        assert grad is None if wanted is None else grad is not None and np.array_equal(grad, wanted), "what was in .grad was changed"
    assert found["modes"] == [module.training for module in model.modules()], "the model's training mode was changed"


def _is_the_fisher_score(found, model, batch):
    _untouched(found, model)
    parameters = dict(model.named_parameters())
    sums = [np.zeros(p.shape) for p in parameters.values()]
    for x, y in zip(*batch):
        for total, g in zip(sums, torch.autograd.grad(F.cross_entropy(model(x[None]), y[None]), list(parameters.values()))):
            total += g.numpy().astype(float) ** 2
    got = found["result"]
    assert set(got) == set(parameters), "there must be scores for every parameter by its name, and for nothing else"
    assert all(tuple(np.shape(got[name])) == tuple(p.shape) for name, p in parameters.items()), "scores must have the shape of their parameter"
    wanted = np.concatenate([(p.detach().numpy().astype(float) ** 2 * total).ravel() for p, total in zip(parameters.values(), sums)])
    got = np.concatenate([np.asarray(got[name], dtype=float).ravel() for name in parameters])
    assert np.isfinite(got).all(), "a score is not finite"
    factor = (got * wanted).sum() / (wanted * wanted).sum()
    assert factor > 0, "the scores are no positive multiple of w²·E[g²]"
    assert np.allclose(got, factor * wanted, rtol=1e-3, atol=1e-6 * factor * wanted.max()), "the scores are not proportional to w²·E[g²]"


seed(6)
_mlp = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
_bare = nn.Sequential(nn.Linear(3, 7, bias=False), nn.Tanh(), nn.Linear(7, 4)).eval()
_conv = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5))
for _net, _scale in ((_mlp, 0.7), (_bare, 0.5), (_conv, 0.4)):
    for _p in _net.parameters():
        nn.init.normal_(_p, std=_scale)
_batch, _small = (torch.randn(7, 4), torch.randint(3, (7,))), (torch.randn(5, 3), torch.randint(4, (5,)))
_pictures = torch.randn(6, 1, 4, 4), torch.randint(5, (6,))
_sparse = copy.deepcopy(_mlp)
with torch.no_grad():
    _sparse[2].weight[1:4] = 0
exam.law("networks", _is_the_fisher_score, [
    case("three layers, 7 samples", _mlp, _batch),
    case("no bias in the first of two layers, in eval mode, 5 samples", _bare, _small),
    case("a convolution and a dense layer, 6 samples", _conv, _pictures),
], weight=2, probe=_score_and_look)
exam.law("edges", _is_the_fisher_score, [
    edge("a single sample", _mlp, (_batch[0][:1], _batch[1][:1])),
    edge("one input with every label in turn, whose gradients nearly cancel", _mlp, (_batch[0][:1].repeat(6, 1), torch.tensor([0, 1, 2, 0, 1, 2]))),
    edge("weights that are 0 score 0", _sparse, _batch),
], probe=_score_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: five criteria and a die
#
# With exercises 2, 3 and 6 done, this cell trains five networks, which differ in their seed only, and prunes each by every criterion, without
# retraining, in one ranking for the whole network. The gradient-based ones see the same 256 training pictures; $(g w)^2$ and $|g|$ are averaged over
# eight batches of them. The line is the mean over the five networks, the band reaches from the worst to the best. No marks.

# %%
def scored(model, seed_number):
    """Each criterion's scores of the model's weights."""
    weights = weights_of(model)
    order = torch.Generator().manual_seed(seed_number)
    chosen = torch.randperm(len(data[0]), generator=order)[:256]
    grads = [dict(zip(weights, torch.autograd.grad(F.cross_entropy(model(data[0][part]), data[1][part]), [model.get_parameter(name) for name in weights])))
             for part in chosen.split(32)]
    fisher = fisher_scores(model, (data[0][chosen], data[1][chosen]))
    return {"magnitude |w|": {n: w.abs() for n, w in weights.items()},
            "Fisher w²E[g²]": {n: torch.as_tensor(fisher[n]) for n in weights},
            "Taylor (gw)²": {n: sum(torch.as_tensor(taylor_scores(w.numpy(), g[n].numpy())) for g in grads) for n, w in weights.items()},
            "gradient |g|": {n: sum(g[n].abs() for g in grads) for n in weights},
            "random": {n: torch.rand(w.shape, generator=order) for n, w in weights.items()}}


def masked_accuracy(model, masks):
    pruned = copy.deepcopy(model)
    with torch.no_grad():
        for name, mask in masks.items():
            pruned.get_parameter(name).mul_(mask)
    return accuracy(pruned, data)


sparsities = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
curves = {}
for seed_number in range(5):
    model = fit(seed_number)
    for name, scores in scored(model, seed_number).items():
        curves.setdefault(name, []).append([masked_accuracy(model, lowest_out(scores, s)) for s in sparsities])
ax = plt.subplots(figsize=(7, 4))[1]
plots.accuracy_bands(curves, sparsities, ax)
plt.show()
print("accuracy at 70 % sparsity, five networks: mean (worst to best)")
for name, rows in curves.items():
    at = [row[sparsities.index(0.7)] for row in rows]
    print(f"{name:15} {np.mean(at):.1%}  ({min(at):.1%} to {max(at):.1%})")

# %% [markdown]
# ## 7. How sensitive is a layer?
#
# No score of single weights says how much a whole layer can lose. Measuring it is cheap: prune one layer, evaluate, put it back; then the next.
#
# Write `sensitivity_scan(model, evaluate, ratios) -> table` for a torch `model`, a function `evaluate(model) -> float` (higher is better), and
# a list `ratios` of shares in any order:
#
# - `table` is `{layer: {ratio: score}}`: for every module of the model that has a weight (in the tests `nn.Linear` and `nn.Conv2d`), however deeply
#   nested, under its name in `model.named_modules()`, and for every ratio, the score that `evaluate` gives when *that layer alone* has lost the
#   `round(ratio * n)` of its n weights that are least in magnitude. Ties may fall either way. Its bias is not pruned, and nothing else is.
# - `evaluate` is called with `model` or with a copy of it, as often as you like; it changes nothing.
# - Afterwards `model` is as it was: its parameters bit for bit, their `requires_grad`, its mode, and what is in `.grad`. If `evaluate` raises, the
#   parameters are put back bit for bit as well, and the exception reaches the caller.
# - A ratio outside [0, 1] raises `ValueError`.
#
# Source: Han et al. (2015), *Learning both Weights and Connections for Efficient Neural Networks*, figure 6: accuracy against the share pruned, a
# curve for each layer of AlexNet.
#
# *Worked example.* A layer `"0"` with weights 0.5, −0.1, 0.2, 0.4, then a layer `"2"` with 2 and −3; no biases; `evaluate` adds up all |w|: 6.2 before.
# At ratio 0.5 layer `"0"` loses 0.1 and 0.2: 5.9. Put back, layer `"2"` loses 2: 4.2. So
# `{"0": {0.5: 5.9}, "2": {0.5: 4.2}}`. Without putting back, the second would be 3.9.
#
# <details><summary>Hint 1</summary>What must be true of the model before each call of evaluate, apart from one layer?</details>
# <details><summary>Hint 2</summary><code>model.state_dict()</code> shares its memory with the model: what you "saved" is pruned along.
# <code>weight.detach().clone()</code> is a copy; or prune a <code>copy.deepcopy(model)</code>, and there is nothing to put back.</details>
# <details><summary>Hint 3</summary><code>try: … table[name][ratio] = evaluate(model)</code>, then <code>finally:</code>
# <code>weight.copy_(before)</code> under <code>torch.no_grad()</code>. The finally part runs after an exception too.</details>

# %% answer="sensitivity_scan"
def sensitivity_scan(model, evaluate, ratios):
    """{layer: {ratio: score}} with one layer at a time pruned by magnitude; the model is left as it was."""
    ### BEGIN SOLUTION
    if not all(0 <= ratio <= 1 for ratio in ratios):
        raise ValueError("a ratio lies in [0, 1]")
    table = {}
    for name, module in model.named_modules():
        if not isinstance(module, (nn.Linear, nn.Conv2d)):
            continue
        weight, table[name] = module.weight, {}
        before = weight.detach().clone()
        order = before.abs().flatten().argsort()
        for ratio in ratios:
            try:
                with torch.no_grad():
                    weight.view(-1)[order[:round(ratio * len(order))]] = 0
                table[name][ratio] = evaluate(model)
            finally:
                with torch.no_grad():
                    weight.copy_(before)
    return table
    ### END SOLUTION

# %% test="sensitivity_scan" points=5
def scan_and_look(scan, model, ratios, x, fails_at):
    """The table with an evaluate that reads the weights' sizes and the outputs; its call number `fails_at` raises. Then what is left of
    the model, whose biases hold gradients already."""
    calls = []
    for p in model.parameters():
        if p.dim() == 1:                             # no weight: one that is put back as a new Parameter would lose it
            p.grad = torch.linspace(-3, 3, p.numel())

    def evaluate(network):
        calls.append(len(calls) + 1)
        if calls[-1] == fails_at:
            raise KeyError("a measurement that fails")
        with torch.no_grad():
            total = network(x).square().mean().item() if x is not None else 0.0
            tensors = [getattr(module, kind, None) for module in network.modules() for kind in ("weight", "bias")]
            return total + sum(tensor.abs().sum().item() for tensor in tensors if tensor is not None)

    raised, table = None, {}
    try:
        table = scan(model, evaluate, ratios)
    except KeyError as error:
        raised = type(error).__name__
    state, parameters = model.state_dict(), dict(model.named_parameters())
    found = {"table": {layer: dict(row.items()) for layer, row in table.items()} if table else table, "raised": raised,
             "the model's bits": {name: state[name].view(torch.int32) for name in sorted(state)}}
    if not raised:
        found["the model's mode"] = {name: module.training for name, module in model.named_modules()}
        found["the model's requires_grad"] = {name: p.requires_grad for name, p in parameters.items()}
        found["the gradients of the model's biases"] = {name: p.grad for name, p in parameters.items() if p.dim() == 1}
    return found


_net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
_net[0].weight.data, _net[2].weight.data = torch.tensor([[0.5, -0.1], [0.2, 0.4]]), torch.tensor([[2.0, -3.0]])
_run = observe(scan_and_look, sensitivity_scan, _net, [0.5], None, 0)
assert np.isclose(_run["table"]["0"][0.5], 5.9) and np.isclose(_run["table"]["2"][0.5], 4.2), _run["table"]
### BEGIN HIDDEN TESTS
seed(7)
_mlp = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3))
_conv = nn.Sequential(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()), nn.Flatten(), nn.Sequential(nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2, bias=False))).eval()
for _net in (_mlp, _conv):
    for _p in _net.parameters():
        nn.init.normal_(_p, std=0.7)
_signed, _alike = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)), nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
with torch.no_grad():
    _mlp[0].weight[0] *= 1e-6                        # adding and taking away again would not give these bits back
    _signed[0].weight.copy_(torch.tensor([[-0.0, 1.0, -2.0], [0.0, 0.5, -0.25]]))
    _alike[0].weight.copy_(torch.tensor([[0.5, -0.5, 0.5, -0.5]]).expand(3, 4))
_x, _pictures = torch.randn(6, 5), torch.randn(4, 1, 4, 4)
exam.compare("tables", [
    case("three dense layers, ratios 0.3, 0.6, 0.9", _mlp, [0.3, 0.6, 0.9], _x, 0),
    case("three dense layers, ratios in falling order", _mlp, [0.8, 0.5, 0.2, 0.0], _x, 0),
    case("a nested convolution and dense layers, in eval mode, ratios 0.75, 0.25, 0.5", _conv, [0.75, 0.25, 0.5], _pictures, 0),
], weight=2, probe=scan_and_look, rtol=1e-4, atol=1e-5)
exam.compare("the model afterwards", [
    case("evaluate raises in its first call", _mlp, [0.5, 0.9], _x, 1),
    case("evaluate raises in its fourth call", _mlp, [0.9, 0.5], _x, 4),
    edge("evaluate raises in its last call", _conv, [0.5], _pictures, 3),
    edge("weights of −0, ratio 0.5", _signed, [0.5], torch.randn(3, 3), 0),
], probe=scan_and_look, rtol=1e-4, atol=1e-5)
exam.compare("edges", [
    edge("ratios 0 and 1", _mlp, [1.0, 0.0], _x, 0),
    edge("half of 35 weights: round(17.5) is 18", _mlp, [0.5], _x, 0),
    edge("a layer whose 12 weights are all alike in magnitude: 3 go, then 6", _alike, [0.25, 0.5], None, 0),
    edge("a ratio of -0.1 raises ValueError", _mlp, [0.5, -0.1], _x, 0),
    edge("a ratio of 1.1 raises ValueError", _mlp, [1.1], _x, 0),
], probe=scan_and_look, rtol=1e-4, atol=1e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 8. Spend a budget where it hurts least
#
# A sensitive layer falls far when it is pruned, so prune the *insensitive* ones more. How much more? As much as the budget allows: choose one ratio for
# each layer such that the scores of exercise 7 add up to the most and no more weights are kept than the budget.
#
# Write `allocate_sparsity(table, sizes, budget) -> ratios`:
#
# $$\max_{r} \sum_{l} \text{table}[l][r_l] \qquad \text{subject to} \qquad \sum_{l} \big( n_l - \text{round}(r_l\, n_l) \big) \le \text{budget}$$
#
# - `table` is `{layer: {ratio: score}}` as in exercise 7: higher scores are better, any number is possible, negative ones too, and layers
#   may have different ratios; `sizes` is `{layer: number of weights}`; `budget` is the largest number of weights that may be kept, and may be used up.
# - `ratios` is `{layer: ratio}` with one of its own ratios for each layer of the table. The sum must be the *exact* maximum; where several choices
#   reach it, any is right.
# - If no choice fits the budget, raise `ValueError`.
# - The tables are small: up to 6 layers and 5 ratios.
#
# Sources: Han et al. (2015), *Learning both Weights and Connections for Efficient Neural Networks*, section 5, and Li et al. (2017), *Pruning Filters for
# Efficient ConvNets*, section 3, for the rule: layers that are sensitive to pruning are pruned less; the optimisation is the multiple-choice knapsack problem (Sinha and Zoltners 1979).
#
# *Worked example.* `{"a": {0.0: 0.97, 0.5: 0.96, 0.9: 0.93}, "b": {0.0: 0.97, 0.5: 0.90, 0.9: 0.30}}`, sizes 1000 and 200, budget 600. Half of each keeps
# 500 + 100 = 600 and scores 0.96 + 0.90 = 1.86. But the insensitive a at 0.9 and b whole keep 100 + 200 = 300 and score 0.93 + 0.97 = 1.90, the
# most that fits: `{"a": 0.9, "b": 0.0}`.
#
# <details><summary>Hint 1</summary>How many choices are there with 3 layers and 4 ratios? You could look at all of them.</details>
# <details><summary>Hint 2</summary><code>itertools.product(*table.values())</code> runs through all combinations of ratios, a tuple each, in the order of
# the layers.</details>
# <details><summary>Hint 3</summary>Make a dictionary of each with <code>dict(zip(table, ratios))</code>, keep those that fit, and take the
# <code>max</code> with the sum of scores as <code>key</code>. Taking the cheapest step each time (greedily) can miss the best.</details>

# %% answer="allocate_sparsity"
def allocate_sparsity(table, sizes, budget):
    """One ratio per layer with the largest sum of scores that keeps at most `budget` weights."""
    ### BEGIN SOLUTION
    choices = [dict(zip(table, ratios)) for ratios in itertools.product(*table.values())]
    fitting = [ratios for ratios in choices if sum(sizes[layer] - round(r * sizes[layer]) for layer, r in ratios.items()) <= budget]
    return max(fitting, key=lambda ratios: sum(table[layer][r] for layer, r in ratios.items()))       # of none: ValueError
    ### END SOLUTION

# %% test="allocate_sparsity" points=5
_table = {"a": {0.0: 0.97, 0.5: 0.96, 0.9: 0.93}, "b": {0.0: 0.97, 0.5: 0.90, 0.9: 0.30}}
assert dict(allocate_sparsity(_table, {"a": 1000, "b": 200}, 600)) == {"a": 0.9, "b": 0.0}
### BEGIN HIDDEN TESTS
def _is_the_best_that_fits(ratios, table, sizes, budget):
    assert set(ratios) == set(table), "there must be a ratio for each layer of the table"
    chosen = {}
    for layer, row in table.items():
        near = [r for r in row if abs(r - float(ratios[layer])) < 1e-9]
        assert near, "a ratio is none of its layer's in the table"
        chosen[layer] = near[0]
    kept = sum(sizes[layer] - round(r * sizes[layer]) for layer, r in chosen.items())
    assert kept <= budget, "more weights are kept than the budget allows"
    best = max(sum(table[layer][r] for layer, r in zip(table, choice)) for choice in itertools.product(*table.values())
               if sum(sizes[layer] - round(r * sizes[layer]) for layer, r in zip(table, choice)) <= budget)
    assert sum(table[layer][r] for layer, r in chosen.items()) >= best - 1e-9, "another choice that fits has a larger sum of scores"


_rng = np.random.default_rng(8)


def _drops(layers, ratios, steep):
    """A table of falling scores; a layer's fall is `steep` times its number and a little chance."""
    return {f"fc{n}": {r: float(round(0.97 - steep * n * r ** 3 - 0.02 * _rng.random() * r, 4)) for r in ratios} for n in range(1, layers + 1)}


_three, _six = _drops(3, [0.0, 0.3, 0.6, 0.9], 0.2), _drops(6, [0.0, 0.5, 0.8], 0.1)
_small_first = {"fc1": 320, "fc2": 2048, "fc3": 4096}
_losses = {layer: {r: score - 1.5 for r, score in row.items()} for layer, row in _three.items()}
_trap = {"a": {0.0: 1.0, 0.5: 0.98, 0.9: 0.3}, "b": {0.0: 1.0, 0.5: 0.9, 0.9: 0.89}}
_own = {"conv": {0.1: 0.9, 0.4: 0.7}, "fc1": {0.2: 0.95, 0.5: 0.93, 0.8: 0.6}, "fc2": {0.0: 0.97, 0.25: 0.96}}
_collapse = {"a": {0.0: 1.0, 0.5: 0.5}, "b": {0.0: 0.55, 0.5: 0.1}}
_rounded = {layer: {0.2: 0.9, 0.6: low} for layer, low in (("a", 0.1), ("b", 0.4), ("c", 0.3))}
_near = {"a": {0.0: 0.9302, 0.5: 0.9301}, "b": {0.0: 0.9303, 0.5: 0.9300}}
_halves = {layer: {0.5: 0.9, 0.9: low} for layer, low in (("a", 0.4), ("b", 0.3))}
_upwards = {layer: {0.25: 0.9, 0.6: low} for layer, low in (("a", 0.1), ("b", 0.4), ("c", 0.3))}
exam.law("tables", _is_the_best_that_fits, [
    case("three layers, the sensitive one the largest, budget 2000", _three, _small_first, 2000),
    case("three layers, the sensitive one the smallest, budget 2000", _three, {"fc1": 4096, "fc2": 2048, "fc3": 320}, 2000),
    case("three layers of one size, budget 60 of 120", _three, {"fc1": 40, "fc2": 40, "fc3": 40}, 60),
    case("six layers of different sizes, budget 40 %", _six, {f"fc{n}": n * n * 50 for n in range(1, 7)}, 1820),
    case("layers with ratios of their own, budget 500", _own, {"conv": 100, "fc1": 400, "fc2": 200}, 500),
    case("sizes in another order than the table, budget 2000", _three, dict(reversed(_small_first.items())), 2000),
    case("scores that differ in the fourth digit, budget 150", _near, {"a": 100, "b": 100}, 150),
    case("negative scores, budget 3000", _losses, _small_first, 3000),
    case("the cheapest first step leads astray, budget 120 of 200", _trap, {"a": 100, "b": 100}, 120),
    case("one layer nearly collapses in the best choice, budget 150", _collapse, {"a": 100, "b": 100}, 150),
    case("scores that rise with pruning, budget 150", {"a": {0.0: 0.9, 0.5: 0.95}, "b": {0.0: 0.9, 0.5: 0.8}}, {"a": 100, "b": 100}, 150),
], weight=2)
exam.law("edges", _is_the_best_that_fits, [
    edge("a budget that everything fits", _three, _small_first, 10_000),
    edge("the budget is exactly what the best choice keeps", _trap, {"a": 100, "b": 100}, 150),
    edge("the budget is exactly what the sparsest choice keeps", _trap, {"a": 100, "b": 100}, 20),
    edge("counts are rounded: 0.2 of 7 is 1, so each of three layers keeps 6; budget 17", _rounded, {"a": 7, "b": 7, "c": 7}, 17),
    edge("counts are rounded: 0.25 of 7 is 2, so each of three layers keeps 5; budget 15", _upwards, {"a": 7, "b": 7, "c": 7}, 15),
    edge("half of 5 weights: round(2.5) is 2, so 3 are kept; budget 5 for two such layers", _halves, {"a": 5, "b": 5}, 5),
    edge("half of 7 weights: round(3.5) is 4, so 3 are kept; budget 6 for two such layers", _halves, {"a": 7, "b": 7}, 6),
    edge("half of 5 weights is all that may go, budget 2: raises ValueError", {"a": {0.5: 0.9}}, {"a": 5}, 2),
    edge("all choices score alike", {"a": {0.0: 0.5, 0.5: 0.5}, "b": {0.0: 0.5, 0.5: 0.5}}, {"a": 10, "b": 30}, 25),
    edge("a single layer, budget 50 of 100, more pruning scores more", {"a": {0.0: 0.9, 0.5: 0.8, 0.6: 0.85}}, {"a": 100}, 50),
    edge("a budget one below the sparsest choice raises ValueError", _trap, {"a": 100, "b": 100}, 19),
    edge("a budget of 0 raises ValueError", _three, _small_first, 0),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: sensitivity, and three ways to keep 30 % of the weights
#
# With exercises 7 and 8 done, this cell scans the trained `models.load("mlp")`, gives each layer its share of a budget of 30 % of the 6,464 weights,
# and compares with the same share for every layer. The scan reads the *training* pictures, so that the validation accuracy below stays a fair
# one. The last layer holds only 320 weights: sparing it costs next to nothing of the budget. No marks.

# %%
model, ratios = models.load("mlp"), [0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
sizes = {name: p.numel() for name, p in ((n, m.weight) for n, m in model.named_modules() if isinstance(m, nn.Linear))}
table = sensitivity_scan(model, lambda network: accuracy(network, data[:2]), ratios)
budget = round(0.3 * sum(sizes.values()))
chosen = dict(allocate_sparsity(table, sizes, budget))


def by_ratios(ratio_of):
    """Masks that prune each layer by magnitude at its own ratio."""
    return {f"{layer}.weight": lowest_out({layer: model.get_submodule(layer).weight.detach().abs()}, r)[layer] for layer, r in ratio_of.items()}


ways = {"0.7 everywhere": by_ratios({layer: 0.7 for layer in sizes}), "by sensitivity": by_ratios(chosen),
        "one ranking": lowest_out({n: w.abs() for n, w in weights_of(model).items()}, 0.7)}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6))
for layer, row in table.items():
    axes[0].plot(list(row), list(row.values()), label=f"layer {layer}: {sizes[layer]} weights")
axes[0].set(xlabel="share of that layer pruned", ylabel="training accuracy", ylim=(0, 1.03), title="one layer pruned at a time")
axes[0].legend(loc="lower left")
plots.budget_bars({way: {layer: int(masks[f"{layer}.weight"].sum()) for layer in sizes} for way, masks in ways.items()}, budget, axes[1])
plt.show()
for way, masks in ways.items():
    print(f"{way:15} keeps {sum(int(mask.sum()) for mask in masks.values())} weights, validation accuracy {masked_accuracy(model, masks):.1%}")

# %% [markdown]
# ## Concepts
#
# Five checks that are marked at once, and two questions to answer in your own words. In a check every statement stands alone; any number of
# them, but at least one, is true.

# %% check="importance_scores" points=1

# %% check="brain_damage" points=1

# %% check="sensitivity_rule" points=1

# %% check="sparsity_of_two_layers" points=1

# %% check="gradient_scores_and_clock" points=1

# %% [markdown] interview="I18" points=5

# %% [markdown] interview="I20" points=5

# %% [markdown]
# ## Where this leads
#
# What did the comparison say? Every criterion beats the die by far. On trained networks magnitude, Fisher and Taylor lie closer together than the
# best and the worst network of one criterion, so one network would have settled nothing; and the two that look at 256 pictures, which a trained
# network nearly knows by heart, vary more than magnitude, which needs none. The gradient alone finds what never learns, and then fails: a slope
# without a distance is no cost. Before training SNIP is clearly ahead, since there magnitude ranks random numbers. And at 70 %, *where* to prune (one
# ranking, or a share by sensitivity) moved the accuracy of the same network more than the choice between the three good criteria did.
#
# A criterion is also a price. Magnitude needs no data; Taylor and SNIP need one backward pass for each batch, Fisher one for each sample, movement
# a whole fine-tuning, a scan one evaluation for each layer and ratio. And all of them assume that the other weights stay: after a large cut, measure
# again.
#
# Next: whole neurons and filters, where the criterion scores a structure (03), and loops that score, prune and roll back by themselves (04).
