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
# Pruning removes the parameters that matter least. One of the oldest criteria, and still a good one, is the simplest: a weight matters as much
# as it is large. Han et al. (2015), *Learning both Weights and Connections for Efficient Neural Networks*, pruned networks that way,
# retrained what was left, and removed about nine weights in ten of AlexNet without losing accuracy.
#
# You will build that recipe piece by piece, then what was made of it:
#
# - **Which weights go?** Those below a threshold, in one array (1) and in a network (2); an exact share of an array (3), of a whole
#   network in one ranking (4), of a layer's weights and of its biases (5).
# - **When do they go?** A schedule that removes many early and few late (6).
# - **How is the lost accuracy won back?** Retraining in which pruned weights stay pruned (7), or rewinding to the start (8).
# - **What is it worth?** The speed a mask can buy on a given machine (9), and a published answer to be repaired (10).
#
# **Conventions.** A *mask* is boolean, `True` = keep. *Sparsity* is zeros / elements; a share `s` of n elements is Python's
# `round(s * n)`. A function gives back something new and leaves its arguments as they were, unless its exercise says "in place".
# Arrays are numpy, but exercises 2, 5 and 7 take torch modules. Results may be numpy arrays, torch tensors or lists: values count.

# %%
import copy

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
import matplotlib.pyplot as plt
from autograder import observe
from course import models, plots
from course.datasets import digits
from course.train import accuracy

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
assert np.asarray(_mask).tolist() == [True, False, False, True]
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
# ## 2. Prune every dense layer of a network
#
# Write `prune_dense(model, t) -> (pruned, masks)` for a torch module `model` and a threshold `t`. In every `nn.Linear` of it, however
# deeply nested, the weights below the threshold go:
#
# $$M = \left[\,|W| \ge t\,\right], \qquad W \leftarrow W \odot M$$
#
# - `pruned` is a new model, with everything else as in `model`: biases, convolutions, normalisation layers, buffers.
# - `masks` is a dictionary with the boolean mask of each such weight and of nothing else, keyed by its name in
#   `model.named_parameters()`, e.g. `"0.weight"` or `"head.2.weight"`. Without a dense layer it is empty.
# - A weight whose magnitude equals `t` is kept; `t = 0` keeps everything. `t < 0` raises `ValueError`.
# - `model` is untouched, its gradients and training mode too, and shares no parameter with `pruned`: training one leaves the other.
# - Weights are read as `layer.weight`, so a reparametrised layer is as good.
#
# Source: Han et al. (2015), section 3, second step of figure 2: prune the connections whose weights are below a threshold.
#
# *Worked example.* `nn.Linear(3, 2)` with weight `[[0.5, -0.2, 0.1], [-0.9, 0.3, 0]]` and any bias, `t = 0.25`: the mask is
# `[[True, False, False], [True, True, False]]`, three of six weights go, and the bias stays whole. Choose t with care:
# `nn.Linear(100, 10)` starts with weights between −0.1 and 0.1, so t = 0.5 would leave nothing of it.
#
# <details><summary>Hint 1</summary>Which modules does <code>model.named_modules()</code> list, and what are they called?</details>
# <details><summary>Hint 2</summary><code>copy.deepcopy(model)</code> is a model of your own to change. Ask
# <code>isinstance(module, nn.Linear)</code>: a convolution has a <code>weight</code> as well.</details>
# <details><summary>Hint 3</summary>For each linear module: <code>mask = module.weight.detach().abs() &gt;= t</code>; under
# <code>torch.no_grad()</code>, <code>module.weight.mul_(mask)</code>; keep the mask under the module's name with
# <code>.weight</code> behind it. Return the copy and the masks.</details>

# %% answer="prune_dense"
def prune_dense(model, t):
    """A copy of the model whose dense weights |w| < t are 0, and its keep-masks by parameter name."""
    ### BEGIN SOLUTION
    if t < 0:
        raise ValueError("a threshold is not negative")
    pruned, masks = copy.deepcopy(model), {}
    dense = {id(m.weight) for m in pruned.modules() if isinstance(m, nn.Linear)}
    with torch.no_grad():
        for name, weight in pruned.named_parameters():
            if id(weight) in dense:
                masks[name] = weight.abs() >= t
                weight.mul_(masks[name])
    return pruned, masks
    ### END SOLUTION

# %% test="prune_dense" points=4
_net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
_net[0].weight.data = torch.tensor([[0.5, -0.2, 0.1], [-0.9, 0.3, 0.0]])
_pruned, _masks = prune_dense(_net, 0.25)
assert sorted(_masks) == ["0.weight", "2.weight"]
assert np.asarray(_masks["0.weight"]).tolist() == [[True, False, False], [True, True, False]]
assert np.allclose(_pruned[0].weight.tolist(), [[0.5, 0.0, 0.0], [-0.9, 0.3, 0.0]])
assert np.allclose(_pruned[0].bias.tolist(), _net[0].bias.tolist())
### BEGIN HIDDEN TESTS
def _prune_and_look(prune, model, t, x):
    """What `prune(model, t)` gives, as the layers use it; then what is left of `model` after the new one was changed."""
    names = list(model.state_dict())
    for p in model.parameters():
        p.grad = torch.ones_like(p)

    def tensors(network):
        owners = {name: network.get_submodule(name.rpartition(".")[0]) for name in names}
        found = {name: getattr(owner, name.rpartition(".")[2]) for name, owner in owners.items()}
        return {name: tensor if tensor is None else tensor.detach().clone() for name, tensor in found.items()}

    pruned, masks = prune(model, t)
    modes = [module.training for module in model.modules()]
    new = tensors(pruned)
    with torch.no_grad():
        output = pruned.eval()(x)
        for p in pruned.parameters():
            p.add_(1)
    return {"the masks": dict(masks.items()), "the new model": new, "its output": output, "the old model's training mode": modes,
            "the old model, after a change of the new": tensors(model), "the old model's gradients": [p.grad for p in model.parameters()]}


seed(2)
_mlp = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
_deep = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Sequential(nn.Linear(5, 2))))
_conv = nn.Sequential(nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU()), nn.Flatten(), nn.Linear(12, 5))
_normed = nn.Sequential(nn.Linear(6, 4, bias=False), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 3))
_ties = nn.Sequential(nn.Linear(4, 2))
_flat = nn.Sequential(nn.Conv1d(2, 3, 2), nn.Flatten())
for _net, _scale in ((_mlp, 1), (_deep, 0.1), (_conv, 1), (_normed, 1), (_flat, 1)):
    for _p in _net.parameters():
        nn.init.normal_(_p, std=_scale)
_conv(torch.randn(8, 1, 4, 4))                       # batch norm has seen data: its buffers are its own
_normed.eval()
_ties[0].weight.data = torch.tensor([[0.5, -0.5, 0.25, -0.75], [0.0, -0.25, 1.0, 0.5]])
exam.compare("dense networks", [
    case("two layers, t = 0.7", _mlp, 0.7, torch.randn(4, 5)),
    case("three nested layers of small weights, t = 0.05", _deep, 0.05, torch.randn(4, 4)),
], weight=2, probe=_prune_and_look)
exam.compare("networks with other layers", [
    case("convolution and batch norm before a dense layer, t = 0.8", _conv, 0.8, torch.randn(2, 1, 4, 4)),
    case("a dense layer without bias, a layer norm, another dense layer, in eval mode, t = 0.6", _normed, 0.6, torch.randn(4, 6)),
], probe=_prune_and_look)
exam.compare("edges", [
    edge("t = 0 keeps everything", _ties, 0.0, torch.randn(2, 4)),
    edge("magnitudes equal to t are kept", _ties, 0.5, torch.randn(2, 4)),
    edge("t above every magnitude: the biases are left", _deep, 100.0, torch.randn(3, 4)),
    edge("no dense layer: a copy and no masks", _flat, 0.5, torch.randn(2, 2, 4)),
    edge("a negative threshold raises ValueError", _mlp, -0.1, torch.randn(4, 5)),
], probe=_prune_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Prune an exact share
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
assert np.asarray(magnitude_mask(np.array([[3.0, -1.0], [0.5, -2.0]]), 0.5)).tolist() == [[True, False], [False, True]]
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
# ## 4. One ranking for the whole network
#
# The same share in every layer is seldom best: a large layer of small weights can give more than a small layer of large ones. Rank the
# weights of all layers together, and let the sparsity of each layer follow.
#
# Write `global_masks(weights, s) -> masks` for a dictionary of float arrays, keyed by parameter name, and a sparsity `s`:
#
# - only parameters with at least two dimensions are ranked; let n be the number of their elements, all together. Every other one (a
#   bias, the γ of a batch norm, a single number) gets a mask that is all `True`, however small its values;
# - `masks` has the keys of `weights`; each mask is boolean and has its parameter's shape;
# - exactly `round(s * n)` elements of all masks together are `False`, and no pruned weight of any layer is larger in magnitude than
#   a kept weight of any layer; where magnitudes tie, any choice is right. A layer of small weights may lose all of them;
# - `s` outside [0, 1] raises `ValueError`; `weights` and its arrays are not changed.
#
# Sources: See et al. (2016), *Compression of Neural Machine Translation Models via Pruning*, where this scheme is called class-blind
# and one share per layer class-uniform; Frankle & Carbin (2019), *The Lottery Ticket Hypothesis*, section 4, "Global pruning".
#
# *Worked example.* `{"a.weight": [[0.9, -0.8, 0.3]], "a.bias": [0.01], "b.weight": [[0.1], [-0.2], [1.0]]}`, `s = 0.5`: n = 6 and three
# go, 0.1, 0.2 and 0.3. So `a.weight` gets `[[True, True, False]]`, `b.weight` gets `[[False], [False], [True]]`, and `a.bias` stays.
#
# <details><summary>Hint 1</summary>Where exactly is the line between kept and pruned, and how many layers must know of it?</details>
# <details><summary>Hint 2</summary>Put the magnitudes of all matrices and kernels behind one another in one long vector:
# <code>np.concatenate([np.abs(w).ravel() for w in …])</code>. What you need of it you have written in exercise 3.</details>
# <details><summary>Hint 3</summary>Make the long keep-mask with <code>argsort</code>, then walk through the parameters in the same order:
# cut off the next <code>w.size</code> elements and give them the shape of <code>w</code>. Parameters with
# <code>w.ndim &lt; 2</code> get <code>np.ones(w.shape, bool)</code>.</details>

# %% answer="global_masks"
def global_masks(weights, s):
    """Keep-masks with round(s·n) zeros in all, at the smallest magnitudes of all parameters with two or more dimensions."""
    ### BEGIN SOLUTION
    if not 0 <= s <= 1:
        raise ValueError("a sparsity lies in [0, 1]")
    masks = {name: np.ones(w.shape, dtype=bool) for name, w in weights.items()}
    ranked = [name for name, w in weights.items() if w.ndim >= 2]
    magnitudes = np.concatenate([np.zeros(0), *(np.abs(weights[name]).ravel() for name in ranked)])
    keep = np.ones(magnitudes.size, dtype=bool)
    keep[np.argsort(magnitudes)[:round(s * magnitudes.size)]] = False
    for name in ranked:
        mine, keep = np.split(keep, [weights[name].size])
        masks[name] = mine.reshape(weights[name].shape)
    return masks
    ### END SOLUTION

# %% test="global_masks" points=4
_weights = {"a.weight": np.array([[0.9, -0.8, 0.3]]), "a.bias": np.array([0.01]), "b.weight": np.array([[0.1], [-0.2], [1.0]])}
_masks = global_masks(_weights, 0.5)
assert np.asarray(_masks["a.weight"]).tolist() == [[True, True, False]]
assert np.asarray(_masks["b.weight"]).tolist() == [[False], [False], [True]]
assert np.asarray(_masks["a.bias"]).tolist() == [True]
### BEGIN HIDDEN TESTS
def _in_one_ranking(masks, weights, s):
    assert set(masks) == set(weights), "the masks must have the keys of the weights"
    masks = {name: np.asarray(mask) for name, mask in masks.items()}
    for name, w in weights.items():
        assert masks[name].shape == w.shape, "a mask must have the shape of its parameter"
        assert masks[name].dtype == bool, "masks must be boolean"
        assert w.ndim >= 2 or masks[name].all(), "a parameter with fewer than two dimensions was pruned"
    ranked = [name for name, w in weights.items() if w.ndim >= 2]
    keep = np.concatenate([masks[name].ravel() for name in ranked])
    size = np.concatenate([np.abs(weights[name]).ravel() for name in ranked])
    assert (~keep).sum() == round(s * size.size), "the number of zeros in all masks together is not round(s·n)"
    assert keep.all() or not keep.any() or size[~keep].max() <= size[keep].min(), "a pruned weight is larger than a kept one"


_rng = np.random.default_rng(4)
_mlp = {"0.weight": _rng.normal(0, 1, (5, 3)), "0.bias": _rng.normal(0, 0.1, 5), "2.weight": _rng.normal(0, 0.3, (2, 5)),
        "2.bias": np.zeros(2)}
_conv = {"norm.weight": np.full(4, 0.02), "conv.weight": _rng.normal(0, 0.05, (4, 2, 3, 3)).astype(np.float32),
         "fc.weight": _rng.normal(0, 1, (3, 7)).astype(np.float32), "fc.bias": np.full(3, 5.0), "out.weight": _rng.normal(0, 0.2, (6, 1))}
_alike = {"a.weight": np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]]), "a.bias": np.ones(2), "b.weight": np.ones((2, 2))}
exam.law("layers of different scale", _in_one_ranking, [
    case("5 × 3 and 2 × 5 matrices with biases, s = 0.4", _mlp, 0.4),
    case("5 × 3 and 2 × 5 matrices with biases, s = 0.75: 18.75 rounds to 19", _mlp, 0.75),
    case("a kernel and two matrices, batch norm's γ smaller and biases larger than all of them, s = 0.7", _conv, 0.7),
], weight=2)
exam.law("ties", _in_one_ranking, [
    edge("all magnitudes alike in two layers, s = 0.3", _alike, 0.3),
    edge("all zeros, s = 0.3", {"a.weight": np.zeros((2, 5)), "b.weight": np.zeros((3, 1))}, 0.3),
    case("a tie across the cut and across layers, s = 0.5",
         {"a.weight": np.array([[0.5, 2.0, -2.0]]), "b.weight": np.array([[-2.0], [3.0], [2.0]])}, 0.5),
])
exam.law("edges", _in_one_ranking, [
    edge("s = 0 keeps everything", _mlp, 0.0),
    edge("s = 1 keeps biases only", _mlp, 1.0),
    edge("half of 5 elements: round(2.5) is 2", {"a.weight": _rng.normal(0, 1, (1, 3)), "b.weight": _rng.normal(0, 1, (2, 1))}, 0.5),
    edge("a layer of tiny weights loses all of them", {"a.weight": _rng.normal(0, 1e-4, (2, 3)), "b.weight": 1 + _rng.random((4, 3))}, 0.5),
    edge("a single number is no weight", {"scale": np.array(0.001), "a.weight": _rng.normal(0, 1, (4, 3))}, 0.25),
    edge("s = -0.1 raises ValueError", _mlp, -0.1),
    edge("s = 1.5 raises ValueError", _mlp, 1.5),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: one ranking, or one for each layer
#
# The network `models.load("mlp")` reads handwritten digits (64 pixels, two hidden layers of 64 and 32, 6,464 weights); of the 500 validation
# pictures it gets 97.6 % right. With exercises 3 and 4 done, run this cell: it prunes the network both ways, without any retraining. No marks.

# %%
data, sparsities = digits(), [0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
weights = {name: p.detach().numpy() for name, p in models.load("mlp").named_parameters()}


def pruned_accuracy(masks):
    """Validation accuracy of the trained network under these masks."""
    model = models.load("mlp")
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.mul_(torch.as_tensor(np.asarray(masks[name])))
    return accuracy(model, data)


curves = {"one ranking (exercise 4)": {s: pruned_accuracy(global_masks(weights, s)) for s in sparsities},
          "one for each layer (exercise 3)": {s: pruned_accuracy({name: magnitude_mask(w, s) if w.ndim > 1 else np.ones(w.shape, bool)
                                                                  for name, w in weights.items()}) for s in sparsities}}
plots.use_style()
plots.accuracy_curves(curves, plt.subplots(figsize=(6, 3.5))[1], dense=pruned_accuracy(global_masks(weights, 0.0)))
plt.show()

# %% [markdown]
# ## 5. Weights and biases, each with its own mask
#
# Biases are often left alone: a layer with 784 inputs and 300 outputs has 235,200 weights and 300 biases, so there is little to gain.
# Whoever prunes them must give them a mask of their own: a bias is a vector, and no position in the matrix is one in it.
#
# Write `prune_parameters(layer, s) -> pruned` for a torch `nn.Linear` or `nn.Conv2d` and a sparsity `s`:
#
# - in the weight (n elements) the `round(s * n)` smallest magnitudes are 0, and, by a ranking of its own, in the bias (m elements) the
#   `round(s * m)` smallest; everything kept has its value. Where magnitudes tie, any choice is right, but the count is exact;
# - a bias of `None` stays `None`; stride, padding and the like stay;
# - `s` outside [0, 1] raises `ValueError`;
# - `pruned` is a new layer and `layer` untouched, its gradients and training mode too; they share no parameter. Parameters are
#   read as `pruned.weight` and `pruned.bias`, so a reparametrised layer is as good.
#
# Sources: Han et al. (2015), section 3, for the criterion; the exact count is the convention of this course. PyTorch's
# `torch.nn.utils.prune` takes the same view: a mask belongs to one named parameter of one module.
#
# *Worked example.* Weight `[[0.4, -0.1], [0.3, 0.2]]`, bias `[0.5, -0.6]`, `s = 0.5`: of four weights 0.1 and 0.2 go, of two biases 0.5
# goes, so `[[0.4, 0], [0.3, 0]]` and `[0, -0.6]`. One ranking over all six would take 0.1, 0.2 and 0.3 and leave the bias whole.
#
# <details><summary>Hint 1</summary>What you do to the weight you do to the bias: which loop says that once?</details>
# <details><summary>Hint 2</summary><code>copy.deepcopy(layer).parameters()</code> gives weight and bias of a layer that is yours to
# change, and no bias where there is none.</details>
# <details><summary>Hint 3</summary>Under <code>torch.no_grad()</code>, for each parameter <code>p</code>:
# <code>smallest = p.abs().flatten().argsort()[:round(s * p.numel())]</code>, then <code>p.view(-1)[smallest] = 0</code>, which writes
# into <code>p</code>.</details>

# %% answer="prune_parameters"
def prune_parameters(layer, s):
    """A copy of the layer in which weight and bias each lost its smallest magnitudes, the share s."""
    ### BEGIN SOLUTION
    if not 0 <= s <= 1:
        raise ValueError("a sparsity lies in [0, 1]")
    pruned = copy.deepcopy(layer)
    with torch.no_grad():
        for p in pruned.parameters():
            smallest = p.abs().flatten().argsort()[:round(s * p.numel())]
            p.view(-1)[smallest] = 0
    return pruned
    ### END SOLUTION

# %% test="prune_parameters" points=4
_layer = nn.Linear(2, 2)
_layer.weight.data, _layer.bias.data = torch.tensor([[0.4, -0.1], [0.3, 0.2]]), torch.tensor([0.5, -0.6])
_pruned = prune_parameters(_layer, 0.5)
assert np.allclose(_pruned.weight.tolist(), [[0.4, 0.0], [0.3, 0.0]])
assert np.allclose(_pruned.bias.tolist(), [0.0, -0.6])
### BEGIN HIDDEN TESTS
def _prune_and_look(prune, layer, s, x):
    """What `prune(layer, s)` gives, as the layer uses it; then what is left of `layer` after the new one was changed."""
    for p in layer.parameters():
        p.grad = torch.ones_like(p)
    pruned = prune(layer, s)
    new = [None if p is None else p.detach().clone() for p in (pruned.weight, pruned.bias)]
    mode = layer.training
    with torch.no_grad():
        output = pruned(x)
        for p in pruned.parameters():
            p.add_(1)
    old = [None if p is None else p.detach().clone() for p in (layer.weight, layer.bias)]
    return {"new": new, "output": output, "mode": mode, "old": old, "grads": [p.grad for p in layer.parameters()]}


def _prunes_the_smallest_of_each(found, layer, s, x):
    twin = copy.deepcopy(layer)
    for name, got in zip(("weight", "bias"), found["new"], strict=True):
        before = getattr(layer, name)
        if before is None:
            assert got is None, "a bias of None must stay None"
            continue
        before, got = before.detach().numpy(), np.asarray(got)
        pruned, size = got == 0, np.abs(before)
        assert got.shape == before.shape, f"the {name} must keep its shape"
        assert pruned.sum() == max(round(s * before.size), (before == 0).sum()), f"the number of zeros in the {name} is wrong"
        assert (got[~pruned] == before[~pruned]).all(), f"a kept value of the {name} was changed"
        assert pruned.all() or not pruned.any() or size[pruned].max() <= size[~pruned].min(), \
            f"a pruned value of the {name} is larger than a kept one"
        getattr(twin, name).data = torch.tensor(got)
    wanted = twin(x).detach().numpy()
    assert np.shape(found["output"]) == wanted.shape and np.allclose(found["output"], wanted, rtol=1e-4, atol=1e-5), \
        "the new layer does not compute with its parameters what the old one would"
    for was, now in zip((layer.weight, layer.bias), found["old"], strict=True):
        assert now is None if was is None else np.array_equal(was.detach(), now), "the given layer was changed, or shares parameters with the new one"
    assert found["mode"] is layer.training and all((np.asarray(g) == 1).all() for g in found["grads"]), "the given layer was changed"


seed(5)
_wide, _tall, _flat, _bare = nn.Linear(5, 3), nn.Linear(4, 7), nn.Linear(5, 1), nn.Linear(6, 2, bias=False).eval()
_conv, _zero, _alike = nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.Linear(3, 4), nn.Linear(3, 2)
for _layer, _scale in ((_wide, 0.1), (_tall, 10), (_bare, 1), (_conv, 0.3), (_zero, 0)):
    nn.init.normal_(_layer.weight)
    if _layer is not _bare:
        nn.init.normal_(_layer.bias, std=_scale)
nn.init.constant_(_alike.weight, -0.5), nn.init.constant_(_alike.bias, 0.25)
exam.law("dense layers", _prunes_the_smallest_of_each, [
    case("5 inputs, 3 outputs, biases smaller than the weights, s = 0.4", _wide, 0.4, torch.randn(4, 5)),
    case("4 inputs, 7 outputs, biases larger than the weights, s = 0.75", _tall, 0.75, torch.randn(4, 4)),
    case("5 inputs, 3 outputs, s = 0.25: 3.75 weights round to 4, 0.75 biases to 1", _wide, 0.25, torch.randn(4, 5)),
], weight=2, probe=_prune_and_look)
exam.law("other layers", _prunes_the_smallest_of_each, [
    case("a 3 × 3 convolution with stride and padding, s = 0.6", _conv, 0.6, torch.randn(2, 2, 5, 6)),
    edge("a dense layer without bias, in eval mode, s = 0.3", _bare, 0.3, torch.randn(4, 6)),
], probe=_prune_and_look)
exam.law("edges", _prunes_the_smallest_of_each, [
    edge("s = 0 keeps everything", _tall, 0.0, torch.randn(4, 4)),
    edge("s = 1 keeps nothing", _wide, 1.0, torch.randn(4, 5)),
    edge("half of 5 weights: round(2.5) is 2; half of one bias: round(0.5) is 0", _flat, 0.5, torch.randn(4, 5)),
    edge("all weights alike, s = 0.5", _alike, 0.5, torch.randn(4, 3)),
    edge("biases that are all 0 already, s = 0.25", _zero, 0.25, torch.randn(4, 3)),
    edge("s = -0.1 raises ValueError", _wide, -0.1, torch.randn(4, 5)),
    edge("s = 1.5 raises ValueError", _wide, 1.5, torch.randn(4, 5)),
], probe=_prune_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 6. A schedule for the sparsity
#
# A network that loses 90 % of its weights at once may not recover; one that loses them in portions, trained in between, can. Early on
# there are many superfluous weights, so portions can be large; near the end every weight hurts, so they must be small.
#
# Write `agp_sparsity(step, s_i, s_f, t0, n, dt) -> float`, the sparsity at training step `step`, which rises from `s_i` at step `t0`
# to `s_f` in `n` prunings, one every `dt` steps:
#
# $$s_t = s_f + (s_i - s_f)\left(1 - \frac{t - t_0}{n\,\Delta t}\right)^3, \qquad t \in \{t_0,\; t_0 + \Delta t,\; \dots,\; t_0 + n\,\Delta t\}$$
#
# - Before `t0` the sparsity is `s_i`; after the last pruning, at `t0 + n * dt`, it stays `s_f`.
# - `step`, `t0`, `n`, `dt` are integers, `n` and `dt` at least 1; 0 ≤ `s_i` ≤ `s_f` ≤ 1. Between two prunings, where the
#   paper leaves the schedule open, it is not tested.
#
# Source: Zhu & Gupta (2017), *To prune, or not to prune: exploring the efficacy of pruning for model compression*, section 3, equation 1.
#
# *Worked example.* From `s_i = 0` to `s_f = 0.8` from step `t0 = 10` in `n = 4` prunings, `dt = 5`. At step 20 half the way is done:
# 0.8 + (0 − 0.8) · (1 − 0.5)³ = 0.8 − 0.1 = 0.7. All five, at steps 10, 15, 20, 25, 30: 0, 0.4625, 0.7, 0.7875, 0.8; then 0.8 for good.
#
# <details><summary>Hint 1</summary>How long does it take from the first pruning to the last, in steps?</details>
# <details><summary>Hint 2</summary>Let <code>done</code> be the part of the way done, <code>(step - t0) / (n * dt)</code>. What does it become before
# <code>t0</code>, and what after the end? Neither is part of the way.</details>
# <details><summary>Hint 3</summary>Clamp it: <code>done = min(max(done, 0), 1)</code>. With 0 the formula gives s_i, with 1 it gives s_f, so one
# line is left: <code>s_f + (s_i - s_f) * (1 - done) ** 3</code>.</details>

# %% answer="agp_sparsity"
def agp_sparsity(step, s_i, s_f, t0, n, dt):
    """Sparsity at a training step on the cubic schedule from s_i at t0 to s_f at t0 + n·dt."""
    ### BEGIN SOLUTION
    done = (step - t0) / (n * dt)
    done = min(max(done, 0.0), 1.0)
    return s_f + (s_i - s_f) * (1 - done) ** 3
    ### END SOLUTION

# %% test="agp_sparsity" points=3
assert np.isclose(agp_sparsity(20, 0.0, 0.8, 10, 4, 5), 0.7)
assert np.isclose(agp_sparsity(15, 0.0, 0.8, 10, 4, 5), 0.4625)
### BEGIN HIDDEN TESTS
exam.compare("on the way", [
    case("second of 4 prunings, every 5 steps from step 10, from 0 to 0.8", 20, 0.0, 0.8, 10, 4, 5),
    case("third of 5 prunings, every 100 steps from step 0, from 0 to 0.95", 300, 0.0, 0.95, 0, 5, 100),
    case("first of 8 prunings, every 7 steps from step 1000, from 0.2 to 0.6", 1007, 0.2, 0.6, 1000, 8, 7),
    case("last but one of 10 prunings, every step from step 3, from 0.5 to 0.9", 12, 0.5, 0.9, 3, 10, 1),
], weight=2)
exam.compare("start, end and beyond", [
    edge("at t0, from 0.25 to 0.9", 10, 0.25, 0.9, 10, 4, 5),
    edge("at the last pruning, from 0.25 to 0.9", 30, 0.25, 0.9, 10, 4, 5),
    edge("one step before t0, from 0.25 to 0.9", 9, 0.25, 0.9, 10, 4, 5),
    edge("long before t0, from 0.1 to 0.7", 0, 0.1, 0.7, 500, 3, 10),
    edge("one step after the end, from 0.25 to 0.9", 31, 0.25, 0.9, 10, 4, 5),
    edge("long after the end, from 0.1 to 0.7", 10_000, 0.1, 0.7, 500, 3, 10),
    edge("a single pruning, at its end, from 0.3 to 0.5", 4, 0.3, 0.5, 2, 1, 2),
    edge("a schedule that stands still at 0.4", 12, 0.4, 0.4, 10, 4, 1),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 7. Retrain what is left
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
# ### See it: nine weights in ten gone, and retrained
#
# With exercises 4 and 7 done, run this cell: it prunes the same network to 90 % in one cut and retrains what is left for six passes over the
# training pictures, with your `masked_train_step`. No marks.

# %%
model = models.load("mlp")
masks = {name: torch.as_tensor(np.asarray(mask)) for name, mask in global_masks(weights, 0.9).items()}
with torch.no_grad():
    for name, p in model.named_parameters():
        p.mul_(masks[name])
optimizer, order = torch.optim.Adam(model.parameters(), lr=0.01), torch.Generator().manual_seed(0)
history = [accuracy(model, data)]
for _ in range(6):
    for chosen in torch.randperm(len(data[0]), generator=order).split(128):
        masked_train_step(model, masks, optimizer, (data[0][chosen], data[1][chosen]))
    history.append(accuracy(model, data))
axes = plt.subplots(figsize=(6, 3.5))[1]
axes.plot(history, marker="o")
axes.set(xlabel="passes over the training pictures", ylabel="validation accuracy", ylim=(0, 1), title="90 % of the weights gone")
plt.show()
print(f"before retraining {history[0]:.1%}, after it {history[-1]:.1%}; still zero: "
      f"{1 - sum((p != 0).sum().item() for p in model.parameters() if p.ndim > 1) / 6464:.1%} of the weights")

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


def _descend(weights, masks):
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
    return _descend(weights, masks)


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
_fit, _flat = callback(_descend), callback(_level)
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
