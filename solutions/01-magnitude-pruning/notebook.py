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
# ## 8. Find a winning ticket
#
# Retrained from its trained weights, a pruned network recovers. Frankle and Carbin asked for more: can what is left be trained from
# the start, *from its own initial values*? Their search trains, prunes a little, rewinds, and repeats. Write
# `lottery_ticket(train, init, rounds, p) -> (weights, masks)`:
#
# - `init` maps names to numpy arrays of at least two dimensions; every one of them is pruned, each by its own ranking.
# - `train(weights, masks) -> weights` is given to you. It takes and gives dictionaries like `init`, keeps pruned weights at 0, and changes
#   nothing that it is given. Call it exactly once a round, always with the *initial* weights times the masks, and with the masks.
# - After each training, prune in every array the `round(p * remaining)` weights of least *trained* magnitude among those that remain.
#   Ties may fall either way.
# - Return the ticket: `init` times the final masks, and the masks (boolean, `True` = keep), both keyed like `init`. `init` is not changed.
# - `rounds = 0` trains nothing and keeps everything; `p = 0` trains and keeps everything; with `p = 1` nothing is left after a round;
#   `p` outside [0, 1] raises `ValueError`.
#
# Source: Frankle and Carbin (2019), *The Lottery Ticket Hypothesis*, section 1, "Identifying winning tickets", steps 1 to 4, repeated as
# "iterative pruning": each round prunes a share of the weights that survived the one before.
#
# *Worked example.* 10 weights, `p = 0.2`, three rounds: `round(2.0) = 2`, `round(1.6) = 2` and `round(1.2) = 1` go, so 10, 8, 6, 5 remain. A
# fifth of *all* weights in every round would leave 4.
#
# <details><summary>Hint 1</summary>What must the second round forget of the first, and what must it remember? It forgets the trained
# values; it remembers which weights are gone.</details>
# <details><summary>Hint 2</summary>A pruned weight has magnitude 0 and would be ranked least once more. Rank the remaining ones only:
# <code>np.flatnonzero(mask)</code> lists their flat positions, <code>np.abs(trained[name][mask])</code> their magnitudes, in the same
# order.</details>
# <details><summary>Hint 3</summary>Start from all-<code>True</code> masks. In each of <code>rounds</code> turns call
# <code>train({name: w * masks[name] …}, masks)</code>; then for each name, with <code>kept = np.flatnonzero(mask)</code> and
# <code>order = np.argsort(…)</code>, set <code>mask.flat[kept[order[:round(p * kept.size)]]] = False</code>. The result is made of
# <code>init</code>; the trained weights are only ever ranked.</details>

# %% answer="lottery_ticket"
def lottery_ticket(train, init, rounds, p):
    """Iterative magnitude pruning with rewinding to init; returns (init·mask, masks)."""
    ### BEGIN SOLUTION
    if not 0 <= p <= 1:
        raise ValueError("a share lies in [0, 1]")
    masks = {name: np.ones(w.shape, dtype=bool) for name, w in init.items()}
    for _ in range(rounds):
        trained = train({name: w * masks[name] for name, w in init.items()}, masks)
        for name, mask in masks.items():
            kept = np.flatnonzero(mask)
            order = np.argsort(np.abs(trained[name][mask]))
            mask.flat[kept[order[:round(p * kept.size)]]] = False
    return {name: w * masks[name] for name, w in init.items()}, masks
    ### END SOLUTION

# %% test="lottery_ticket" points=5
from autograder import callback


def fit(weights, masks):
    """Training in small: two steps of gradient descent on ½|A·w − b|², pruned weights held at 0."""
    trained = {}
    for name, start in weights.items():
        w, mask = np.array(start, dtype=float).ravel(), np.ravel(masks[name])
        k = np.arange(w.size)
        A, b = np.cos(np.outer(k, k) ** 2), np.sin(k)
        for _ in range(2):
            w = (w - A.T @ (A @ w - b) / w.size) * mask
        trained[name] = w.reshape(np.shape(start))
    return trained


_init = {"fc": np.array([[0.3, -0.8, 0.1, 0.9, -0.2], [0.7, 0.4, -0.6, 0.2, -0.5]])}
_starts = []


def _train(weights, masks):
    _starts.append(bool(np.allclose(weights["fc"], np.multiply(_init["fc"], masks["fc"]))))
    return fit(weights, masks)


_weights, _masks = lottery_ticket(callback(_train), _init, 3, 0.2)
assert int(np.sum(np.asarray(_masks["fc"]))) == 5, "10, 8, 6, 5 weights remain"
assert np.allclose(_weights["fc"], np.multiply(_init["fc"], _masks["fc"])), "the ticket is init·mask"
assert _starts == [True, True, True], "train is called once a round, from init·mask"
### BEGIN HIDDEN TESTS
def _prunes_what_remains(result, train, init, rounds, p):
    weights, masks = result
    assert set(weights) == set(init) and set(masks) == set(init), "both results must have the names of init"
    for name, w in init.items():
        mask, left = np.asarray(masks[name]), w.size
        for _ in range(rounds):
            left -= round(p * left)
        assert mask.shape == w.shape and mask.dtype == bool, "a mask must be boolean and have the shape of its weights"
        assert mask.sum() == left, "a round prunes round(p · remaining) weights, also where magnitudes tie"
        assert np.allclose(weights[name], w * mask), "the weights must be init·mask"


def _level(weights, masks):
    """Training that ends with all remaining magnitudes alike."""
    return {name: np.where(masks[name], np.where(np.asarray(w) < 0, -1.0, 1.0), 0.0) for name, w in weights.items()}


_rng = np.random.default_rng(8)
_fit, _flat = callback(fit), callback(_level)
_one = {"fc": _rng.normal(0, 0.5, (4, 5))}
_two = {"1.weight": _rng.normal(0, 0.1, (5, 3)), "0.weight": _rng.normal(0, 1, (3, 7)).astype(np.float32)}
_conv = {"conv": _rng.normal(0, 0.3, (2, 3, 2, 3)), "fc": _rng.normal(0, 0.3, (3, 2))}
exam.compare("one round", [
    case("a 4 × 5 matrix, p = 0.4", _fit, _one, 1, 0.4),
    case("two matrices of different scale, p = 0.25: 3.75 rounds to 4", _fit, _two, 1, 0.25),
])
exam.compare("several rounds", [
    case("a 4 × 5 matrix, four rounds of p = 0.2", _fit, _one, 4, 0.2),
    case("two matrices, three rounds of p = 0.5", _fit, _two, 3, 0.5),
    case("a 2 × 3 × 2 × 3 kernel and a matrix, five rounds of p = 0.3", _fit, _conv, 5, 0.3),
], weight=3)
exam.law("ties", _prunes_what_remains, [
    edge("training makes all magnitudes alike, two rounds of p = 0.5", _flat, _two, 2, 0.5),
    edge("training makes all magnitudes alike, three rounds of p = 0.3", _flat, _conv, 3, 0.3),
])
exam.compare("edges", [
    edge("no rounds keep everything", _fit, _two, 0, 0.5),
    edge("p = 0 keeps everything", _fit, _one, 2, 0.0),
    edge("p = 1: nothing is left, and a second round finds nothing to prune", _fit, _two, 2, 1.0),
    edge("p = -0.1 raises ValueError", _fit, _one, 1, -0.1),
    edge("p = 1.2 raises ValueError", _fit, _one, 1, 1.2),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 9. What the zeros buy
#
# A pruned weight is a zero, and a zero saves time only on a machine that skips it. Write `dense_speedup(mask, hardware) -> float`: how many
# times fewer multiplications a matrix product does with the pruned weight matrix than with the full one. `mask` is a boolean matrix (numpy,
# `True` = keep) in which at least one row keeps a weight; it is not changed. `hardware` is one of:
#
# - `'dense'`: an ordinary kernel multiplies by every entry, whatever it is: always 1.0.
# - `'2:4'`: a kernel that does two multiplications for every aligned four of the last axis (columns 0 to 3, 4 to 7, …): 2.0 if every such four
#   of every row keeps *at most* two, else 1.0. If 4 does not divide the number of columns the kernel cannot be used: 1.0.
# - `'structured'`: rows that keep nothing are cut out, and what is left is a smaller dense product: rows / rows that keep *any* weight.
#
# Source: Mishra et al. (2021), *Accelerating Sparse Deep Neural Networks*, abstract: the 2:4 pattern "leads to twice the math throughput of dense
# matrix units"; for whole rows Li et al. (2017), *Pruning Filters for Efficient ConvNets*, section 3. These are upper bounds:
# memory traffic and overhead do not shrink along.
#
# *Worked example.* A 4 × 4 mask keeps two weights, one in row 0 and one in row 2: 7/8 of it are zeros, and 1/(1 − 7/8) = 8 is the speedup that is
# often promised. A dense kernel gives 1.0. Every four keeps at most two, so 2:4 gives 2.0, never more. Two of four rows are left: 4/2 = 2.0.
#
# <details><summary>Hint 1</summary>Sparsity appears in none of the three rules. What counts is where the zeros are.</details>
# <details><summary>Hint 2</summary>If 4 divides the number of columns, <code>mask.reshape(-1, 4)</code> has one aligned four in each row.
# Otherwise the fours would run over the ends of rows.</details>
# <details><summary>Hint 3</summary><code>mask.reshape(-1, 4).sum(axis=1)</code> counts what each four keeps, and
# <code>mask.any(axis=1)</code> says which rows keep anything; sum it for their number.</details>

# %% answer="dense_speedup"
def dense_speedup(mask, hardware):
    """Multiplications of the full product / those of the pruned one, on 'dense', '2:4' or 'structured' hardware."""
    ### BEGIN SOLUTION
    if hardware == "2:4":
        fits = mask.shape[1] % 4 == 0 and (mask.reshape(-1, 4).sum(axis=1) <= 2).all()
        return 2.0 if fits else 1.0
    if hardware == "structured":
        return float(len(mask) / mask.any(axis=1).sum())
    return 1.0
    ### END SOLUTION

# %% test="dense_speedup" points=3
_mask = np.zeros((4, 4), dtype=bool)
_mask[0, 1] = _mask[2, 3] = True
assert dense_speedup(_mask, "dense") == 1.0
assert dense_speedup(_mask, "2:4") == 2.0
assert dense_speedup(_mask, "structured") == 2.0
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(9)
_pairs = np.tile(np.array([[1, 0, 0, 1, 1, 1, 0, 0], [0, 1, 0, 1, 0, 0, 1, 1], [1, 0, 1, 0, 0, 1, 0, 1]], dtype=bool), (1, 2))
_thin = _pairs & (_rng.random(_pairs.shape) < 0.5)
_thin[1] = False
_crowded = _thin.copy()
_crowded[2, 4:8] = [True, True, False, True]
_rows = np.ones((7, 6), dtype=bool)
_rows[[0, 2, 3, 6]] = _rows[1, 4] = _rows[5, :2] = False
_lone = np.zeros((5, 12), dtype=bool)
_lone[[0, 1, 3], [4, 11, 0]] = True
exam.compare("fours", [
    case("every aligned four of a 3 × 16 mask keeps exactly two: 2:4 hardware", _pairs, "2:4"),
    case("every aligned four keeps two, no row is empty: a structured kernel", _pairs, "structured"),
    case("every aligned four keeps two: a dense kernel", _pairs, "dense"),
    case("fours that keep two, one or none: 2:4 hardware", _thin, "2:4"),
    case("mostly zeros, but one four keeps three: 2:4 hardware", _crowded, "2:4"),
    case("every other column of 8 is kept: 2:4 hardware", np.tile([True, False], (3, 4)), "2:4"),
    case("random zeros, 3 in 4 of a 6 × 20 mask: 2:4 hardware", _rng.random((6, 20)) < 0.25, "2:4"),
    case("fours down the columns keep two, along the rows four: 2:4 hardware", np.repeat([[1, 1, 0, 0]], 8, axis=0).T.astype(bool), "2:4"),
])
exam.compare("rows", [
    case("4 of 7 rows are empty: a structured kernel", _rows, "structured"),
    case("4 of 7 rows are empty: a dense kernel", _rows, "dense"),
    case("rows that keep a single weight stay: a structured kernel", _lone, "structured"),
    case("random zeros, 3 in 4, one row of 3 empty: a structured kernel", _thin, "structured"),
    case("random zeros, 3 in 4: a dense kernel", _thin, "dense"),
    case("three empty columns: a structured kernel", np.array([[1, 0, 0, 0], [1, 0, 0, 0]], dtype=bool), "structured"),
])
exam.compare("edges", [
    edge("nothing pruned: 2:4 hardware", np.ones((2, 8), dtype=bool), "2:4"),
    edge("nothing pruned: a structured kernel", np.ones((5, 3), dtype=bool), "structured"),
    edge("4 does not divide 6 columns, though fours across rows would fit: 2:4 hardware", np.tile([True, False], (2, 3)), "2:4"),
    edge("4 does not divide 6 columns, though four and two of each row fit: 2:4 hardware", np.arange(6) >= 2 * np.ones((4, 1)), "2:4"),
    edge("4 does not divide 7 columns, though the first four of each row fit: 2:4 hardware", np.arange(7) >= 2 * np.ones((3, 1)), "2:4"),
    edge("3 columns, one weight a row: 2:4 hardware", np.eye(3, dtype=bool), "2:4"),
    edge("one row of four that keeps two: 2:4 hardware", np.array([[True, True, False, False]]), "2:4"),
    edge("one weight in a column of nine: a structured kernel", np.arange(9).reshape(9, 1) == 4, "structured"),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 10. Repair a structured pruner
#
# The next cell holds an answer to "prune this network structurally, at a rate" in the form in which it circulates. It runs, and
# it is wrong. Call it twice on one network and compare; look for a unit that is gone. Then write
# `structured_prune(network, rate) -> network` as it should be:
#
# - `network` maps layer names, first layer first, to `{'weights': array (n_out, n_in), 'biases': array (n_out,)}`, all numpy. Row i of the
#   weights and entry i of the biases belong to unit i of that layer.
# - In every layer but the last, the `round(rate * n_out)` units of least $L_1$ norm go: their weights and their biases become 0.
#   Ties may fall either way.
#
# $$s_i = \sum_j |W_{ij}|$$
#
# - All shapes stay, kept units and the whole last layer (its units are the classes) are as they were. A network of one layer is its last.
# - The result is a new network with the same names; `network` is not changed. `rate` outside [0, 1] raises `ValueError`.
#
# Source: Li et al. (2017), *Pruning Filters for Efficient ConvNets*, section 3.1, steps 1 to 3; a unit stands for their filter.
#
# *Worked example.* Rows `[3, 0, 0]`, `[1.2, 1.2, 1.2]`, `[-0.5, 0.5, 0.5]`, `[-2, 2, -2]` have norms 3, 3.6, 1.5 and 6. At
# `rate = 0.5` two of four go: units 0 and 2. By Euclidean length it would be units 1 and 2, by signed sum 2 and 3.
#
# <details><summary>Hint 1</summary>Three defects: it draws lots, so no two calls agree; it never looks at a weight's size; and its zeros are
# scattered, so every unit still has to be computed.</details>
# <details><summary>Hint 2</summary>Give each unit one number, <code>np.abs(weights).sum(axis=1)</code>, and let
# <code>np.argsort</code> rank the units. A unit is a row of the weights <em>and</em> a bias.</details>
# <details><summary>Hint 3</summary>Copy every array first. For each layer in <code>list(network)[:-1]</code> take
# <code>least = order[:round(rate * n_out)]</code>, and set <code>weights[least] = 0</code> and <code>biases[least] = 0</code> in the copy.</details>

# %%
def published_prune(network, rate):
    """As it circulates, in our words. Leave it as it is; the repaired one goes into the next cell."""
    pruned = {}
    for layer, parameters in network.items():
        keep = np.random.binomial(1, 1 - rate, size=parameters["weights"].shape)
        pruned[layer] = {"weights": parameters["weights"] * keep, "biases": parameters["biases"]}
    return pruned

# %% answer="structured_prune"
def structured_prune(network, rate):
    """A new network without the round(rate · n_out) units of least L1 norm in every layer but the last."""
    ### BEGIN SOLUTION
    if not 0 <= rate <= 1:
        raise ValueError("a rate lies in [0, 1]")
    pruned = {layer: {kind: array.copy() for kind, array in parameters.items()} for layer, parameters in network.items()}
    for layer in list(pruned)[:-1]:
        weights, biases = pruned[layer]["weights"], pruned[layer]["biases"]
        least = np.argsort(np.abs(weights).sum(axis=1))[:round(rate * len(weights))]
        weights[least], biases[least] = 0, 0
    return pruned
    ### END SOLUTION

# %% test="structured_prune" points=5
_network = {
    "hidden": {"weights": np.array([[3, 0, 0], [1.2, 1.2, 1.2], [-0.5, 0.5, 0.5], [-2, 2, -2]]),
               "biases": np.array([1.0, 2.0, 3.0, 4.0])},
    "output": {"weights": np.array([[1.0, -1.0, 0.5, 0.2], [0.1, 0.3, -0.2, 0.4]]),
               "biases": np.array([0.5, -0.5])}}
_pruned = structured_prune(_network, 0.5)
assert np.allclose(_pruned["hidden"]["weights"], [[0, 0, 0], [1.2, 1.2, 1.2], [0, 0, 0], [-2, 2, -2]])
assert np.allclose(_pruned["hidden"]["biases"], [0, 2, 0, 4])
assert np.allclose(_pruned["output"]["weights"], _network["output"]["weights"])
### BEGIN HIDDEN TESTS
def _drops_the_least_units(result, network, rate):
    assert set(result) == set(network), "the layers must keep their names"
    last = list(network)[-1]
    for layer in network:
        w, b = network[layer]["weights"], network[layer]["biases"]
        new_w, new_b = np.asarray(result[layer]["weights"]), np.asarray(result[layer]["biases"])
        assert new_w.shape == w.shape and new_b.shape == b.shape, "all shapes must stay"
        if layer == last:
            assert np.allclose(new_w, w) and np.allclose(new_b, b), "the last layer must stay as it is"
            continue
        gone, size = (new_w == 0).all(axis=1), np.abs(w).sum(axis=1)
        assert gone.sum() == round(rate * len(w)), "the number of units without a weight is not round(rate · n_out)"
        assert (new_b[gone] == 0).all(), "the bias of a pruned unit must be 0"
        assert np.allclose(new_w[~gone], w[~gone]) and np.allclose(new_b[~gone], b[~gone]), "a kept unit must stay as it is"
        assert gone.all() or not gone.any() or size[gone].max() <= size[~gone].min() * (1 + 1e-6), "a pruned unit is larger than a kept one"


_rng = np.random.default_rng(10)


def _make(*sizes, dtype=float):
    return {f"fc{n}": {"weights": _rng.normal(0, n, (n_out, n_in)).astype(dtype), "biases": _rng.normal(0, n, n_out).astype(dtype)}
            for n, (n_in, n_out) in enumerate(zip(sizes, sizes[1:]), 1)}


_three, _classes = _make(4, 9, 6, 5), {"weights": _rng.normal(0, 1, (2, 4)), "biases": _rng.normal(0, 1, 2)}
_biases = np.array([4.0, 3.0, 2.0, 1.0])
_tied = {"first": {"weights": np.array([[1.0, -2.0], [3.0, 0.0], [-1.5, 1.5], [0.0, -3.0]]), "biases": _biases}, "last": _classes}
_dead = {"first": {"weights": np.array([[1.0, -2.0], [0.0, 0.0], [-0.5, 1.0], [2.0, 2.0]]), "biases": _biases}, "last": _classes}
exam.law("networks", _drops_the_least_units, [
    case("layers of 9, 6 and 5 units, rate = 0.5", _three, 0.5),
    case("layers of 9, 6 and 5 units, rate = 0.3: 2.7 rounds to 3", _three, 0.3),
    case("a float32 network of 16 units and 3 classes, rate = 0.75", _make(7, 16, 3, dtype=np.float32), 0.75),
    case("five layers, rate = 0.4", _make(3, 5, 8, 6, 7, 2), 0.4),
], weight=2)
exam.law("ties and dead units", _drops_the_least_units, [
    edge("all norms tie, rate = 0.5", _tied, 0.5),
    edge("a unit that has a bias only goes first, rate = 0.25", _dead, 0.25),
    edge("the same, rate = 0.5", _dead, 0.5),
])
exam.law("edges", _drops_the_least_units, [
    edge("rate = 0 changes nothing", _three, 0.0),
    edge("rate = 1 empties every layer but the last", _three, 1.0),
    edge("half of 5 units: round(2.5) is 2", _make(3, 5, 4), 0.5),
    edge("a single layer is the last one", _make(4, 3), 0.5),
    edge("rate = -0.1 raises ValueError", _three, -0.1),
    edge("rate = 1.5 raises ValueError", _three, 1.5),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## Where this leads
#
# You have the parts of the pipeline that most pruning papers start from: `magnitude_mask` or `global_masks` choose, `agp_sparsity` says how much
# by when, `masked_train_step` recovers. `lottery_ticket` is the same loop of training and pruning with a rewind in it, and its question is what
# the initial values were worth.
#
# Count what it bought. In dense storage a network with nine zeros in ten is as large as before, and a dense kernel is as slow: that is
# `dense_speedup`. Zeros pay when they are stored compactly, when they fall into the 2:4 pattern, or when whole units go as in `structured_prune`:
# behind a ReLU such a unit gives 0, so its row and the next layer's column can be cut out. The price is accuracy: at the same sparsity, whole
# units usually cost more of it than scattered weights, because the choice is coarser.
#
# Open questions. Is magnitude the right criterion, and should every layer lose the same share (02)? How are units cut out of a real
# network with convolutions and batch norm (03)? How far can pruning go, if the accuracy is to decide (04)?
