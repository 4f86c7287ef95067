# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 01 · Magnitude pruning
#
# Pruning removes the parameters that matter least. The oldest criterion that still works is the simplest: a weight matters as much
# as it is large. Han et al. (2015), *Learning both Weights and Connections for Efficient Neural Networks*, pruned networks that way,
# retrained what was left, and removed about nine weights in ten of AlexNet without losing accuracy.
#
# You will build the three pieces of that recipe:
#
# 1. `threshold_prune`: drop what is smaller than a threshold;
# 2. `magnitude_mask`: drop an exact share instead, whatever the scale of the weights;
# 3. `masked_train_step`: retrain without letting pruned weights come back.
#
# **Conventions.** A *mask* is boolean, `True` = keep. *Sparsity* is zeros / elements. Arrays are numpy in exercises 1 and 2;
# exercise 3 works on a torch model. Inputs must be left as they are.

# %%
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from autograder import observe

# %% [markdown]
# ## 1. Prune by a threshold
#
# Write `threshold_prune(w, t) -> (pruned, mask)` for an array `w` of floats of any shape and a threshold `t`:
#
# $$\text{mask}_i = \left[\,|w_i| \ge t\,\right], \qquad \text{pruned}_i = w_i \cdot \text{mask}_i$$
#
# - `mask` is a boolean array, and both results have the shape of `w`.
# - A weight whose magnitude *equals* `t` is kept. `t = 0` keeps everything, zeros too.
# - `t < 0` raises `ValueError`.
# - `w` is not changed. An empty `w` gives two empty arrays.
#
# Source: Han et al. (2015), section 3: "all connections with weights below a threshold are removed from the network".
#
# *Worked example.* `w = [0.5, -0.2, 0.1, -0.9]`, `t = 0.5`: the magnitudes are 0.5, 0.2, 0.1, 0.9, so the mask is
# `[True, False, False, True]` and the pruned weights are `[0.5, 0, 0, -0.9]`: half of the weights are gone.
#
# <details><summary>Hint 1</summary>A weight of −0.9 is large. What do you compare with t?</details>
# <details><summary>Hint 2</summary><code>np.abs(w) &gt;= t</code> compares all elements at once and gives a boolean array.
# An <code>if</code> on an array does not.</details>
# <details><summary>Hint 3</summary>Check <code>t</code> first; then
# <code>mask = np.abs(w) &gt;= t</code> and return <code>w * mask, mask</code>. The product is a new array.</details>

# %% answer="threshold_prune"
def threshold_prune(w, t):
    """Zero the weights with |w| < t; returns (pruned, mask)."""
    ### BEGIN SOLUTION
    if t < 0:
        raise ValueError("a threshold is not negative")
    mask = np.abs(w) >= t
    return w * mask, mask
    ### END SOLUTION

# %% test="threshold_prune" points=3
_pruned, _mask = threshold_prune(np.array([0.5, -0.2, 0.1, -0.9]), 0.5)
assert _mask.tolist() == [True, False, False, True]
assert np.allclose(_pruned, [0.5, 0.0, 0.0, -0.9])
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(1)
_wide, _tall = _rng.normal(0, 1, (3, 5)), _rng.normal(0, 0.1, (7, 2)).astype(np.float32)
exam.compare("ordinary weights", [
    case("a 3 × 5 matrix of both signs, t = 0.7", _wide, 0.7),
    case("a 7 × 2 float32 matrix of small weights, t = 0.05", _tall, 0.05),
    case("a vector of negative weights, t = 1", -np.arange(0.25, 3, 0.25), 1.0),
    case("a 2 × 3 × 2 × 2 convolution kernel, t = 0.3", _rng.normal(0, 0.5, (2, 3, 2, 2)), 0.3),
], weight=2)
exam.compare("edges", [
    edge("t = 0 keeps everything, zeros too", np.array([[0.0, -1.0], [2.0, 0.0]]), 0.0),
    edge("magnitudes equal to t are kept", np.array([0.5, -0.5, 0.25, -0.75]), 0.5),
    edge("t above every magnitude", _wide, 100.0),
    edge("an empty array", np.zeros((0, 4)), 0.5),
    edge("a negative threshold raises ValueError", _wide, -0.1),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Prune an exact share
#
# A threshold means something else in every layer: 0.05 empties one and touches nothing in the next. Choose the *sparsity* instead.
#
# Write `magnitude_mask(w, s) -> mask` for an array `w` of floats of any shape with n elements and a sparsity `s`:
#
# - the mask is boolean, has the shape of `w`, and exactly `round(s * n)` elements are `False` (Python's `round`);
# - no pruned weight is larger in magnitude than a kept one; where magnitudes tie, any choice is right;
# - `s` outside [0, 1] raises `ValueError`; `w` is not changed; an empty `w` gives an empty mask.
#
# Source: Han et al. (2015), section 3; the exact count is the convention of this course.
#
# *Worked example.* `w = [[3, -1], [0.5, -2]]`, `s = 0.5`: two of four go, the smallest magnitudes are 0.5 and 1, so the mask is
# `[[True, False], [False, True]]`. With `w = [1, 1, 1, 1]` any two may go, but exactly two.
#
# <details><summary>Hint 1</summary>A threshold cannot split a tie. What can: an order, or a number of positions?</details>
# <details><summary>Hint 2</summary><code>np.argsort(np.abs(w), axis=None)</code> lists flat positions from the smallest magnitude
# to the largest.</details>
# <details><summary>Hint 3</summary>Start from <code>mask = np.ones(w.size, bool)</code>, set the first <code>round(s * w.size)</code>
# of those positions to <code>False</code>, and give the mask the shape of <code>w</code>.</details>

# %% answer="magnitude_mask"
def magnitude_mask(w, s):
    """Keep-mask of w with exactly round(s·n) zeros, at the smallest magnitudes."""
    ### BEGIN SOLUTION
    if not 0 <= s <= 1:
        raise ValueError("a sparsity lies in [0, 1]")
    order = np.argsort(np.abs(w), axis=None)
    mask = np.ones(w.size, dtype=bool)
    mask[order[:round(s * w.size)]] = False
    return mask.reshape(w.shape)
    ### END SOLUTION

# %% test="magnitude_mask" points=4
assert magnitude_mask(np.array([[3.0, -1.0], [0.5, -2.0]]), 0.5).tolist() == [[True, False], [False, True]]
assert int(np.asarray(magnitude_mask(np.ones(4), 0.5)).sum()) == 2
### BEGIN HIDDEN TESTS
def _prunes_the_smallest(mask, w, s):
    mask, size = np.asarray(mask), np.abs(w)
    assert mask.shape == w.shape, "the mask must have the shape of w"
    assert mask.dtype == bool, "the mask must be boolean"
    assert (~mask).sum() == round(s * w.size), "the number of zeros is not round(s·n)"
    assert mask.all() or not mask.any() or size[~mask].max() <= size[mask].min(), "a pruned weight is larger than a kept one"


_rng = np.random.default_rng(2)
_wide, _tall = _rng.normal(0, 1, (3, 5)), _rng.normal(0, 0.01, (8, 2)).astype(np.float32)
exam.law("different magnitudes", _prunes_the_smallest, [
    case("a 3 × 5 matrix, s = 0.4", _wide, 0.4),
    case("an 8 × 2 float32 matrix of small weights, s = 0.75", _tall, 0.75),
    case("a 3 × 5 matrix, s = 0.25: 3.75 rounds to 4", _wide, 0.25),
    case("a 4 × 3 × 3 × 3 kernel, s = 0.9", _rng.normal(0, 2, (4, 3, 3, 3)), 0.9),
], weight=2)
exam.law("ties", _prunes_the_smallest, [
    case("all magnitudes alike, of both signs, s = 0.5", np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]]), 0.5),
    edge("all zeros, s = 0.3", np.zeros((2, 5)), 0.3),
    case("a tie across the cut, s = 0.5", np.array([0.5, 2.0, -2.0, 2.0, -2.0, 3.0]), 0.5),
])
exam.law("edges", _prunes_the_smallest, [
    edge("s = 0 keeps everything", _wide, 0.0),
    edge("s = 1 keeps nothing", _wide, 1.0),
    edge("half of 5 elements: round(2.5) is 2", _rng.normal(0, 1, 5), 0.5),
    edge("an empty array", np.zeros((0, 3)), 0.5),
    edge("s = -0.1 raises ValueError", _wide, -0.1),
    edge("s = 1.5 raises ValueError", _wide, 1.5),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Retrain what is left
#
# Pruning costs accuracy; retraining wins it back, if pruned weights stay pruned. Write
# `masked_train_step(model, masks, optimizer, batch) -> loss`, one step of that retraining, in place:
#
# - `batch = (x, y)`, the loss is the mean cross-entropy of `model(x)` and the labels `y`; return it as a float, as it was
#   *before* the step;
# - `masks` maps parameter names (as in `model.named_parameters()`) to boolean tensors, `True` = keep; parameters without a mask train
#   as usual;
# - after the step, every masked weight (`layer.weight` as the layer uses it) is exactly 0 where its mask is `False`, and the kept
#   weights are where the optimizer took them;
# - the weights arrive masked, but the optimizer may still carry momentum for pruned weights from before, and gradients of an earlier
#   step may still be in `.grad`. Tested with SGD with momentum and weight decay, and with Adam.
#
# Source: Han et al. (2015), section 3, third step: retrain to learn the final weights of the connections that remain.
#
# *Worked example.* SGD with learning rate 0.1 and momentum 0.9; a pruned weight is 0 now, its momentum from before pruning is 2 and its
# gradient 0. The optimizer moves it to −0.1 · (0.9 · 2) = −0.18. Masking the gradient does not help; masking the weight does.
#
# <details><summary>Hint 1</summary>Where can a pruned weight come back from? Its gradient, its momentum, and Adam's averages.</details>
# <details><summary>Hint 2</summary>Whatever the optimizer does, it does in <code>optimizer.step()</code>. Repair the weights after it,
# without recording a gradient.</details>
# <details><summary>Hint 3</summary><code>optimizer.zero_grad()</code>, loss, <code>loss.backward()</code>,
# <code>optimizer.step()</code>; then, under <code>torch.no_grad()</code>, multiply each named parameter that has a mask by it.
# Return <code>loss.item()</code>.</details>

# %% answer="masked_train_step"
def masked_train_step(model, masks, optimizer, batch):
    """One step of retraining in place that leaves pruned weights at 0; returns the loss before the step."""
    ### BEGIN SOLUTION
    x, y = batch
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in masks:
                parameter.mul_(masks[name])
    return loss.item()
    ### END SOLUTION

# %% test="masked_train_step" points=5
def retrain(step, sizes, method, options, masked, rounds, seed):
    """Train a small network densely for two steps, prune it at random, then take `rounds` steps with `step`.

    Gives the losses and, after every step, the weights and biases as the layers use them.
    """
    torch.manual_seed(seed)
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.Tanh()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = getattr(torch.optim, method)(model.parameters(), **options)
    batches = [(torch.randn(6, sizes[0]), torch.randint(sizes[-1], (6,))) for _ in range(rounds + 2)]
    for x, y in batches[:2]:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    masks = {name: torch.rand(p.shape) < 0.5 for name, p in model.named_parameters() if name in masked}
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name in masks:
                p.mul_(masks[name])
    losses, trace = [], []
    for batch in batches[2:]:
        losses.append(step(model, masks, optimizer, batch))
        with torch.no_grad():
            model(batch[0])                          # a reparametrised layer renews its weight here
        linear = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
        trace.append([(layer.weight.detach().clone(), layer.bias.detach().clone()) for layer in linear])
    return {"losses": losses, "trace": trace, "masks": masks}


_run = observe(retrain, masked_train_step, [4, 5, 3], "SGD", {"lr": 0.1}, ["0.weight"], 2, 0)
assert all(np.isfinite(loss) for loss in _run["losses"])
for _weights in _run["trace"]:
    assert (_weights[0][0][~_run["masks"]["0.weight"]] == 0).all(), "a pruned weight came back"
### BEGIN HIDDEN TESTS
_sgd, _adam = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}, {"lr": 0.01}
exam.compare("SGD with momentum and weight decay", [
    case("two layers, the first masked", [4, 6, 3], "SGD", _sgd, ["0.weight"], 1, 1),
    case("three layers, two masked, three steps", [5, 7, 4, 3], "SGD", _sgd, ["0.weight", "2.weight"], 3, 2),
    edge("no masks: plain training", [4, 6, 3], "SGD", _sgd, [], 2, 3),
], probe=retrain, rtol=1e-4, atol=1e-5)
exam.compare("Adam", [
    case("three layers, all masked, three steps", [5, 7, 4, 3], "Adam", _adam, ["0.weight", "2.weight", "4.weight"], 3, 4),
    case("two layers, a mask on a bias too", [4, 6, 3], "Adam", _adam, ["0.weight", "0.bias"], 2, 5),
], probe=retrain, rtol=1e-4, atol=1e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## Concepts
#
# What the exercises above taught you, asked the way an interviewer asks it: five checks that are marked at once, and two questions to
# answer in your own words. In a check every statement stands alone; any number of them, but at least one, is true.

# %% check="pruning_families" points=1

# %% check="what_pruning_keeps" points=1

# %% check="what_zeros_buy" points=1

# %% check="accuracy_sparsity_curve" points=1

# %% check="stored_ratio" points=1

# %% [markdown] interview="I26" points=5

# %% [markdown] interview="I04" points=5

# %% [markdown]
# ## Where this leads
#
# `magnitude_mask` chooses, `masked_train_step` recovers: alternate the two with a rising sparsity and you have the pipeline most pruning
# papers start from. Nothing has become faster yet: a dense matrix product takes as long over zeros as over any other number.
