# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 00 · Measuring models
#
# Compression is a trade: a network gets cheaper and, as a rule, a little worse. Who trades without measuring is cheated: by a "90 %
# smaller" that forgot the indices, by a "10 times faster" that counted zeros, by an accuracy that hides a lost class. Before you compress
# anything, you build the scales.
#
# - **What does a network cost?** Zeros (1), parameters (2), multiply-accumulates (3), bits in a given format (4).
# - **How small can it be stored?** By codes that spend few bits on frequent symbols (5), by formats that leave the zeros out (6).
# - **How good is it still?** Beyond accuracy: the macro F1 (7).
# - **Which version is worth shipping?** Those on the Pareto front of cost and accuracy (8).
#
# The networks are the course's two readers of handwritten digits: `mlp`, three dense layers, and `cnn`, two convolutions and a dense
# layer. By the end you will have weighed both, plain and compressed, and will know which versions nobody should choose.
#
# **Conventions.** *Sparsity* is zeros / elements. The *compression ratio* is original bits / compressed bits, and everything needed to
# decode is counted. A function leaves its arguments as they were. Arrays are numpy, but exercises 2 and 3 take torch modules. Results may
# be numpy arrays, torch tensors, numbers or lists: values count.

# %%
import copy
import heapq
import math
from collections import Counter

import numpy as np
import torch
from torch import nn
import matplotlib.pyplot as plt
from course import models, plots
from course.datasets import digits

# %% [markdown]
# ## 1. Sparsity
#
# Write `sparsity(t) -> float` for a numpy array `t` of floats or integers, of any shape:
#
# $$\text{sparsity}(t) = \frac{\#\{i : t_i = 0\}}{\#\{i\}}$$
#
# - It is a share between 0 and 1, not a percentage, and it is the share of the *zeros*. All elements count, whatever the shape.
# - Only an exact zero is one: `1e-12` is not, `-0.0` is.
# - An empty array has sparsity 0.0: there is no zero in it.
#
# Source: the definition that this course uses throughout; Gale et al. (2019), *The State of Sparsity in Deep Neural Networks*, report their
# results by it.
#
# *Worked example.* `[[0, 1.5, 0], [0, -2, 0.1]]` has 3 zeros among 6 elements: sparsity 0.5. (Its first column alone is all zeros.)
#
# <details><summary>Hint 1</summary>What do you get from <code>t == 0</code>, and what is its mean?</details>
# <details><summary>Hint 2</summary>Try your function on <code>np.zeros((0, 3))</code>. What is 0 divided by 0?</details>
# <details><summary>Hint 3</summary>Return <code>0.0</code> if <code>t.size</code> is 0; otherwise the number of zeros,
# <code>np.sum(t == 0)</code>, divided by <code>t.size</code>.</details>

# %% answer="sparsity"
def sparsity(t):
    """Zeros / elements; 0.0 for an empty array."""
    ### BEGIN SOLUTION
    return float(np.sum(t == 0) / max(t.size, 1))
    ### END SOLUTION

# %% test="sparsity" points=3
assert abs(sparsity(np.array([[0, 1.5, 0], [0, -2, 0.1]])) - 0.5) <= 1e-9
assert abs(sparsity(np.array([3.0, 0.0, -1.0, 2.0])) - 0.25) <= 1e-9
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(1)
_wide, _kernel = np.round(_rng.normal(0, 1, (3, 5))), _rng.normal(0, 1, (2, 3, 3, 2))
_kernel[_kernel < 0.3] = 0
_rows = _rng.normal(0, 1, (6, 7)).astype(np.float32)
_rows[[1, 4]] = _rows[0, 2] = 0
exam.compare("ordinary arrays", [
    case("a 3 × 5 matrix of whole numbers of both signs", _wide),
    case("a 2 × 3 × 3 × 2 kernel, more than half of it zero", _kernel),
    case("a 6 × 7 float32 matrix with two rows of zeros and one zero elsewhere", _rows),
    case("a vector of integers", np.array([0, -3, 7, 0, 0, 1, -1])),
    case("one zero among 1000", (np.arange(1000) - 400.0)),
], weight=2)
exam.compare("edges", [
    edge("an array of no rows and 4 columns", np.zeros((0, 4))),
    edge("nothing but zeros", np.zeros((3, 2))),
    edge("no zero at all", np.full((2, 5), -0.5)),
    edge("tiny weights are no zeros", np.array([1e-12, -1e-30, 0.0, 1e-9, 2.0])),
    edge("minus zero is a zero", np.array([-0.0, 1.0, 0.0, -2.0, 3.0])),
    edge("a single zero", np.array([0.0])),
    edge("a single number that is not zero", np.array([4.0])),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Parameters
#
# Write `count_parameters(model, nonzero=False) -> int` for a torch module `model`: how many numbers its parameters hold,
#
# $$N = \sum_{p\,\in\,P} |p|, \qquad P = \text{the set of distinct parameters of the model},$$
#
# and with `nonzero=True` how many of these are not exactly 0.
#
# - All parameters count: of every kind of layer, however deeply nested, weights *and* biases, trained and frozen (`requires_grad=False`)
#   alike.
# - A parameter that is used in several places (tied weights, a layer that occurs twice) is one parameter and counts once.
# - Buffers, such as the running mean of a batch norm, are no parameters and do not count.
# - A model without parameters gives 0. `model` is left as it was. No two different parameters share memory.
#
# Source: the definition of `nn.Module.parameters` in PyTorch's documentation; Blalock et al. (2020), *What is the State of Neural Network
# Pruning?*, show how results become incomparable when everyone counts differently.
#
# *Worked example.* `nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.BatchNorm1d(2))`: 2 · 3 weights and 2 biases, and of the batch norm 2
# scales γ and 2 shifts β, in all 12. Its running mean, running variance and counter are buffers. A fresh batch norm has γ = 1 and β = 0,
# so with `nonzero=True` and no zero in the dense layer it is 10.
#
# <details><summary>Hint 1</summary>Which iterator of a module knows all parameters, and lists each of them once?</details>
# <details><summary>Hint 2</summary><code>model.state_dict()</code> is not it: it holds buffers too, and a tied weight under both of its
# names. <code>model.parameters()</code> is.</details>
# <details><summary>Hint 3</summary>Sum over <code>model.parameters()</code>: <code>p.numel()</code>, or, if <code>nonzero</code>,
# <code>p.count_nonzero().item()</code>.</details>

# %% answer="count_parameters"
def count_parameters(model, nonzero=False):
    """Elements of all distinct parameters of a module, or those that are not 0."""
    ### BEGIN SOLUTION
    return sum(p.count_nonzero().item() if nonzero else p.numel() for p in model.parameters())
    ### END SOLUTION

# %% test="count_parameters" points=4
_net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.BatchNorm1d(2))
_net[0].weight.data, _net[0].bias.data = torch.tensor([[0.5, -0.2, 0.1], [-0.9, 0.3, 2.0]]), torch.tensor([0.1, -0.1])
assert count_parameters(_net) == 12
assert count_parameters(_net, nonzero=True) == 10
### BEGIN HIDDEN TESTS
def _count_and_look(count, model, *nonzero):
    """What `count` gives, and how the model is afterwards."""
    counted = count(model, *nonzero)
    return {"the count": counted, "the model afterwards": dict(model.state_dict().items()),
            "requires_grad": [p.requires_grad for p in model.parameters()], "modes": [m.training for m in model.modules()]}


seed(2)
_conv = nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.PReLU(),
                      nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(16, 5)))).eval()
_twice = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
_twice.append(_twice[0])
_tied = nn.Sequential(nn.Embedding(7, 4), nn.LayerNorm(4), nn.Linear(4, 7))
_tied[2].weight = _tied[0].weight
_frozen = nn.Sequential(nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 2)).requires_grad_(False)
_frozen[2].bias.requires_grad_(True)
_recurrent = nn.GRU(3, 4)
_sparse = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3, bias=False))
_alike = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(4, 3))
_attention = nn.MultiheadAttention(4, 2)             # owns parameters, and has a dense layer inside
_bare, _zero = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3, affine=False), nn.Flatten()), nn.Sequential(nn.Linear(3, 4))
with torch.no_grad():
    for _p in _sparse.parameters():
        _p[torch.rand(_p.shape) < 0.6] = 0.0
    _twice[0].weight[:, :2], _tied[0].weight[3], _frozen[0].weight[1], _frozen[2].bias[0] = 0.0, 0.0, 0.0, 0.0
    _conv[0].weight[:, 1], _conv[1].weight[2] = 0.0, 0.0
    for _p in (*_alike.parameters(), *_zero.parameters()):
        _p.fill_(0.0 if _p.shape[0] == 4 else 0.25)
exam.compare("all parameters", [
    case("a 3 × 3 convolution without bias, batch norm, PReLU and a nested dense layer", _conv),
    case("dense layers of 5 × 3 and 3 × 2, all frozen but one bias", _frozen, False),
    case("a recurrent layer, whose parameters are not called weight and bias", _recurrent),
    case("two layers of one shape that hold equal values", _alike),
    case("multi-head attention, which owns parameters beside those of its inner layer", _attention),
], weight=2, probe=_count_and_look)
exam.compare("shared parameters", [
    case("one dense layer in two places", _twice),
    case("an embedding whose weight is the output layer's too", _tied),
    case("one dense layer in two places, without its zeros", _twice, True),
    case("a tied weight, without its zeros", _tied, True),
], probe=_count_and_look)
exam.compare("without zeros", [
    case("a sparse network with negative weights and zero biases", _sparse, True),
    case("the same network, its zeros counted too", _sparse, False),
    case("convolution and batch norm with zeros, in eval mode", _conv, True),
    case("frozen layers with zeros", _frozen, True),
], probe=_count_and_look)
exam.compare("edges", [
    edge("no parameters, but buffers: 0", _bare),
    edge("the course's mlp", models.mlp()),
    edge("nothing but zeros: 0", _zero, True),
    edge("nothing but zeros, counted", _zero),
], probe=_count_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Multiply-accumulates
#
# The parameters say how much must be stored, not how much must be computed: a convolution uses each of its weights at every position of
# the picture. The unit of work is the *multiply-accumulate* (MAC), one product added to a sum.
#
# Write `count_macs(model, x) -> int` for a torch module and a tensor that it takes: the MACs of the `nn.Conv2d` and `nn.Linear` layers in
# one call `model(x)`, over the whole batch `x`. Every number that such a layer puts out is a sum of products, so with n for the pictures
# of the batch
#
# $$\text{MACs}_{\text{conv}} = n \cdot C_{out} \cdot \frac{C_{in}}{g} \cdot K_h K_w \cdot H_{out} W_{out}, \qquad
# \text{MACs}_{\text{linear}} = \text{rows} \cdot n_{in} \cdot n_{out},$$
#
# where g is the number of groups, $H_{out} \times W_{out}$ the size of the *output*, and rows the vectors that the dense layer maps: n,
# or n · T for an input of shape (n, T, n_in).
#
# - Biases, and layers of all other kinds (pooling, batch norm, `Conv1d`, transposed convolutions, …) count nothing.
# - What counts is what is computed: a layer that is called twice counts twice, one that is never called counts 0, layers may be nested at
#   any depth.
# - One MAC is one, not two operations. Products with a zero weight count: a dense kernel computes them too.
# - `model` is left as it was: its hooks (it may have some of its own), the training mode of every module, its parameters with their
#   `requires_grad`, and its buffers, the running statistics of a batch norm in training mode too.
#
# Source: Howard et al. (2017), *MobileNets*, section 3.1, equation 2 (they call MACs "mult-adds"); g divides the input channels, as in the
# documentation of `nn.Conv2d`.
#
# *Worked example.* `nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2)` turns a picture of 4 × 6 × 6 into 8 × 3 × 3. Each of its 72
# outputs is a sum over 2 channels · 9 = 18 products: 1,296 MACs, for a batch of five 6,480. (By the size of the input it would be 5,184,
# without the groups 2,592.)
#
# <details><summary>Hint 1</summary>Somebody must look at the outputs while the model runs. What does
# <code>layer.register_forward_hook(f)</code> do?</details>
# <details><summary>Hint 2</summary>A hook gets <code>(layer, inputs, output)</code>. There are <code>output.numel()</code> outputs, and
# each takes as many MACs as one row of the weight has elements: <code>layer.weight[0].numel()</code>. True of both kinds of
# layer.</details>
# <details><summary>Hint 3</summary>Work on <code>copy.deepcopy(model)</code>, and nothing needs to be put back: register the hook on each
# of its <code>modules()</code> that is an <code>nn.Conv2d</code> or <code>nn.Linear</code>, call the copy with <code>x</code>, and return
# the sum of what the hook noted down in a list.</details>

# %% answer="count_macs"
def count_macs(model, x):
    """Multiply-accumulates of the Conv2d and Linear layers in model(x)."""
    ### BEGIN SOLUTION
    counts = []

    def note(layer, inputs, output):
        counts.append(output.numel() * layer.weight[0].numel())

    watched = copy.deepcopy(model)
    for layer in watched.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(note)
    watched(x)
    return sum(counts)
    ### END SOLUTION

# %% test="count_macs" points=5
assert count_macs(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), torch.randn(1, 4, 6, 6)) == 1296
assert count_macs(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), torch.randn(5, 4, 6, 6)) == 6480
assert count_macs(nn.Sequential(nn.Linear(7, 3), nn.ReLU(), nn.Linear(3, 2)), torch.randn(4, 7)) == 4 * (21 + 6)
### BEGIN HIDDEN TESTS
def _count_and_inspect(count, model, x):
    """What `count` gives for a model that has hooks of its own; then how the model and x are."""
    import logging
    own = logging.getLogger("own").debug             # takes what a hook takes, does nothing, and can be copied in every way

    for layer in model.modules():
        layer.register_forward_hook(own)
        layer.register_forward_pre_hook(own)
    counted = count(model, x)
    hooks = [[len(found), sum(1 for h in found.values() if h == own)]
             for layer in model.modules() for found in (layer._forward_hooks, layer._forward_pre_hooks)]
    everywhere = torch.nn.modules.module._global_forward_hooks, torch.nn.modules.module._global_forward_pre_hooks
    return {"the count": counted, "the model's hooks": hooks, "the modes": [layer.training for layer in model.modules()],
            "requires_grad": [p.requires_grad for p in model.parameters()],
            "parameters and buffers": dict(model.state_dict().items()), "hooks on every module": [len(h) for h in everywhere], "x": x}


seed(3)
_odd = nn.Conv2d(6, 4, (3, 2), stride=(2, 1), padding=(1, 0), groups=2)
_separable = nn.Sequential(nn.Conv2d(5, 5, 3, padding=1, groups=5, bias=False), nn.Conv2d(5, 9, 1))
_dilated = nn.Sequential(nn.Conv2d(1, 3, 3, dilation=2), nn.ReLU(), nn.Sequential(nn.Conv2d(3, 2, 5, padding="same"), nn.MaxPool2d(2)))
_loop = nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU())
_loop.append(_loop[0])
_unused = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
_unused[1].add_module("spare", nn.Linear(5, 5))
_others = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten(), nn.Linear(12, 5, bias=False), nn.LayerNorm(5))
_upward = nn.Sequential(nn.ConvTranspose2d(2, 3, 2, stride=2), nn.Conv2d(3, 1, 2), nn.Flatten(), nn.PReLU())
_normed = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 6), nn.BatchNorm1d(6))
_mixed = copy.deepcopy(_normed)
_mixed[1].eval()
_mixed[5].requires_grad_(False)
exam.compare("dense layers and convolutions", [
    case("a convolution with a 3 × 2 kernel, stride (2, 1), padding (1, 0), two groups, batch of 3", _odd, torch.randn(3, 6, 9, 7)),
    case("a depthwise and a pointwise convolution, batch of 2", _separable, torch.randn(2, 5, 4, 6)),
    case("a dilated convolution, and one with padding 'same' nested before pooling", _dilated, torch.randn(2, 1, 10, 8)),
    case("three dense layers, batch of 4", models.mlp((7, 5, 6, 2)), torch.randn(4, 7)),
    case("the course's cnn, batch of 3", models.cnn(), torch.randn(3, 1, 8, 8)),
], weight=2, probe=_count_and_inspect)
exam.compare("what is called", [
    case("one convolution in two places: called twice, on pictures of different size", _loop, torch.randn(2, 2, 7, 6)),
    case("a layer that is there but never called", _unused, torch.randn(3, 4)),
    case("a dense layer on 4 vectors for each of 2 inputs", nn.Sequential(nn.Linear(3, 5), nn.ReLU()), torch.randn(2, 4, 3)),
    case("a one-dimensional convolution before a dense layer without bias", _others, torch.randn(2, 2, 6)),
    case("a transposed convolution before a convolution", _upward, torch.randn(2, 2, 3, 4)),
], probe=_count_and_inspect)
exam.compare("the model is left alone", [
    case("batch norm and dropout in training mode, batch of 4", _normed, torch.randn(4, 1, 6, 6)),
    case("in training mode, but one batch norm in eval mode and one dense layer frozen", _mixed, torch.randn(4, 1, 6, 6)),
    case("a trained network in eval mode", models.load("cnn"), torch.rand(2, 1, 8, 8)),
], probe=_count_and_inspect)
exam.compare("edges", [
    edge("no convolution, no dense layer: 0", nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)), torch.randn(5, 3)),
    edge("a single dense layer is the model, batch of 1", nn.Linear(8, 3), torch.randn(1, 8)),
    edge("a 1 × 1 output", nn.Conv2d(2, 3, 4, bias=False), torch.randn(1, 2, 4, 4)),
    edge("all weights zero: they are multiplied all the same", nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).apply(
        lambda m: [nn.init.zeros_(p) for p in m.parameters()] and None), torch.randn(2, 4)),
], probe=_count_and_inspect)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: where the parameters and the work are
#
# With exercises 2 and 3 done, run this cell. It weighs the layers of both networks. No marks.

# %%
pictures = {"mlp": digits()[2][:1], "cnn": digits(images=True)[2][:1]}
labels, parameters, macs, colours = [], [], [], []
for network, x in pictures.items():
    for layer in models.load(network):
        if count_parameters(layer):
            labels.append(f"{network}: {type(layer).__name__} {' × '.join(map(str, layer.weight.shape))}")
            parameters.append(count_parameters(layer))
            macs.append(count_macs(layer, x))
            colours.append(plots.BLUE if network == "mlp" else plots.ORANGE)
        x = layer(x)
plots.use_style()
figure, axes = plt.subplots(1, 2, figsize=(9, 2.9), sharey=True)
for ax, counts, title in zip(axes, (parameters, macs), ("parameters", "MACs per picture")):
    ax.bar_label(ax.barh(labels, counts, color=colours), fmt="{:,.0f}", padding=3)
    ax.set(title=f"{title} (mlp {sum(counts[:3]):,}, cnn {sum(counts[3:]):,})", xlim=(0, 1.25 * max(counts)))
    ax.invert_yaxis() if ax is axes[0] else None
plt.show()

# %% [markdown]
# The cnn has 29 % of the mlp's parameters and does 3.7 times its work: small and cheap are two axes. Its first convolution has 4 % of its
# parameters and 19 % of its work, its dense layer a third of the parameters and 3 % of the work. Whoever wants a smaller file and whoever
# wants less arithmetic start at different layers.
#
# ## 4. Bits
#
# A file of float32 numbers takes 32 bits for each. After compression there may be fewer numbers, narrower numbers, and things that were
# not there before: where the numbers belong, and what the codes mean. All of it is counted.
#
# Write `model_bits(shapes, bits, codebook_bits=0, index_bits=0) -> int`: the bits that the tensors of a model take,
#
# $$\sum_{\text{tensors}} \left[\, n \cdot (b + b_{index}) + 2^{b} \cdot b_{codebook} \,\right],$$
#
# with n for the elements of a tensor, b = `bits` for the bits of each stored number, `index_bits` for the bits that say where it belongs.
#
# - `shapes` is a list of tuples, one for each tensor. An empty list takes 0 bits. The shape `()` is one number.
# - `codebook_bits > 0` means that the b bits are a code, and that *each tensor* has a table of its own with $2^b$ entries of
#   `codebook_bits` each. `codebook_bits = 0` means that there is no table: the b bits are the number itself.
# - `index_bits` are paid for every number; 0 means that all are stored in order.
# - The arguments are whole numbers, `bits` at least 1. The result is in bits, not bytes.
#
# Source: Han et al. (2016), *Deep Compression*, section 3, equation 1: k shared weights cost n log₂ k + k b bits, with k = $2^{bits}$
# here and b our `codebook_bits`; section 2 for the index beside each weight.
#
# *Worked example*, theirs: a 4 × 4 matrix with 4 shared weights takes `model_bits([(4, 4)], 2, codebook_bits=32)` = 16 · 2 + 4 · 32 = 160
# bits, and as float32 `model_bits([(4, 4)], 32)` = 512. The compression ratio is 3.2. Two such matrices take 320 bits: each has its
# table.
#
# <details><summary>Hint 1</summary>How many numbers has the shape <code>(16, 8, 3, 3)</code>, and how many has <code>()</code>?
# <code>math.prod</code> knows both.</details>
# <details><summary>Hint 2</summary>Two parts do not depend on each other: what each number costs, and what each table costs. How many
# numbers, how many tables?</details>
# <details><summary>Hint 3</summary>For each shape add <code>math.prod(shape) * (bits + index_bits) + 2**bits * codebook_bits</code>;
# without a codebook the second term is 0 by itself.</details>

# %% answer="model_bits"
def model_bits(shapes, bits, codebook_bits=0, index_bits=0):
    """Bits of tensors of these shapes at `bits` a number, with a codebook for each tensor and an index for each number."""
    ### BEGIN SOLUTION
    return sum(math.prod(shape) * (bits + index_bits) + 2**bits * codebook_bits for shape in shapes)
    ### END SOLUTION

# %% test="model_bits" points=3
assert model_bits([(4, 4)], 32) == 512
assert model_bits([(4, 4)], 2, codebook_bits=32) == 160
assert model_bits([(4, 4), (4, 4)], 2, codebook_bits=32) == 320
assert model_bits([(3, 5)], 8, index_bits=4) == 180
### BEGIN HIDDEN TESTS
_cnn, _vgg = [(8, 1, 3, 3), (8,), (16, 8, 3, 3), (16,), (10, 64), (10,)], [(4096, 25088), (4096,), (4096, 4096), (4096,), (1000, 4096), (1000,)]
exam.compare("numbers", [
    case("the course's cnn in float32", _cnn, 32),
    case("the course's cnn in 8 bits", _cnn, 8),
    case("three large dense layers in 16 bits", _vgg, 16),
    case("three large dense layers in float32: more bits than an int32 can count", _vgg, 32),
], rtol=1e-12, atol=0)
exam.compare("codes and indices", [
    case("4-bit codes, a codebook of 32-bit entries for each tensor", _cnn, 4, 32),
    case("5-bit codes, a codebook of 16-bit entries, a 3-bit index for each number", [(7, 3), (5,)], 5, 16, 3),
    case("float32 numbers, each with an 8-bit index", _cnn, 32, 0, 8),
    case("three large dense layers in float32, each number with an 8-bit index", _vgg, 32, 0, 8),
    case("three large dense layers, 6-bit codes, 32-bit entries, 5-bit indices", _vgg, 6, 32, 5),
    case("1-bit codes, two entries of 8 bits", [(9, 2), (2, 3, 3)], 1, 8, 0),
], rtol=1e-12, atol=0, weight=2)
exam.compare("edges", [
    edge("no tensor takes no bits", [], 32, 32, 4),
    edge("the shape () is one number", [(), (3, 2)], 16),
    edge("one number with a codebook is larger than before", [()], 3, 32, 2),
    edge("a tensor without elements, no codebook", [(0, 5), (4,)], 8, 0, 4),
], rtol=1e-12, atol=0)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Huffman codes
#
# Codes of one width waste bits when some are frequent and others rare. A *prefix code* gives each symbol a word of its own length, and no
# word begins another, so that words need no separators. Huffman's are as short as such a code can be: join the two rarest symbols to one,
# whose count is the sum of theirs; repeat until one is left; a symbol's length is the number of joins that it took part in.
#
# Write `huffman_lengths(counts) -> dict` for a dictionary `{symbol: count}` of whole numbers ≥ 0: the length of each symbol's word in
# bits, `{symbol: length}`, for a prefix code whose total $\sum_i c_i\, \ell_i$ is as small as possible. With $p_i = c_i / \sum_j c_j$,
# such lengths satisfy
#
# $$\sum_i 2^{-\ell_i} = 1, \qquad H \le L < H + 1, \qquad H = -\sum_i p_i \log_2 p_i, \quad L = \sum_i p_i\, \ell_i .$$
#
# - Symbols that never occur (count 0) get no word and are left out. If nothing is left, the result is `{}`.
# - A single symbol gets length 1, although there is nothing to tell apart: a word of 0 bits could not be counted in a stream. (The one
#   exception to the sum above: it is ½.)
# - Where counts tie, several codes are optimal; any of them is right. The order of the dictionary does not matter.
# - The symbols of one dictionary are all strings or all integers. Lengths are whole numbers; `counts` is not changed.
#
# Source: Huffman (1952), *A Method for the Construction of Minimum-Redundancy Codes*; used for codes and indices by Han et al. (2016),
# section 4. The sum is Kraft's equality, H the entropy of Shannon (1948).
#
# *Worked example.* `{"a": 5, "b": 2, "c": 1, "d": 1}`: join c and d (count 2), join that with b (4), join that with a (9). So a takes
# part in 1 join, b in 2, c and d in 3: lengths 1, 2, 3, 3, total 5 + 4 + 3 + 3 = 15 bits instead of 18 at 2 bits each. H = 1.66 ≤ L =
# 15/9 = 1.67; ½ + ¼ + ⅛ + ⅛ = 1.
#
# <details><summary>Hint 1</summary>Which two groups come next? After a join the order may be another one, so a list sorted once will not
# do. <code>heapq</code> always gives the smallest.</details>
# <details><summary>Hint 2</summary>Keep in the heap what you join: <code>(count, number, symbols)</code>, with the symbols of the group
# as a list. The number, different for each, decides ties; otherwise Python compares the lists.</details>
# <details><summary>Hint 3</summary>While the heap holds two entries or more: pop two, add 1 to the length of every symbol of both, push
# <code>(count1 + count2, number2, symbols1 + symbols2)</code>. Deal with a single symbol before.</details>

# %% answer="huffman_lengths"
def huffman_lengths(counts):
    """Word length of each symbol that occurs, in an optimal prefix code."""
    ### BEGIN SOLUTION
    heap = [(count, number, [symbol]) for number, (symbol, count) in enumerate(counts.items()) if count > 0]
    lengths = {symbol: 1 if len(heap) == 1 else 0 for _, _, [symbol] in heap}
    heapq.heapify(heap)
    while len(heap) > 1:
        (rarest, _, some), (next_rarest, number, others) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in some + others:
            lengths[symbol] += 1
        heapq.heappush(heap, (rarest + next_rarest, number, some + others))
    return lengths
    ### END SOLUTION

# %% test="huffman_lengths" points=5
_lengths = huffman_lengths({"a": 5, "b": 2, "c": 1, "d": 1})
assert [_lengths[_symbol] for _symbol in "abcd"] == [1, 2, 3, 3]
assert huffman_lengths({"x": 7, "y": 0})["x"] == 1
### BEGIN HIDDEN TESTS
def _lengths_and_counts(lengths, counts):
    """The lengths as a plain dictionary, and the counts afterwards."""
    found = lengths(counts)
    return {"lengths": {symbol: found[symbol] for symbol in found}, "counts": counts}


def _optimal(found, counts):
    lengths, occurring = found["lengths"], {symbol: count for symbol, count in counts.items() if count > 0}
    assert found["counts"] == counts, "the counts were changed"
    assert set(lengths) >= set(occurring), "a symbol that occurs has no word"
    assert set(lengths) <= set(occurring), "a symbol that never occurs has a word"
    bits = {symbol: float(length) for symbol, length in lengths.items()}
    assert all(b == round(b) for b in bits.values()), "a length is a whole number of bits"
    assert all(b >= 1 for b in bits.values()), "a word has at least one bit"
    if len(bits) > 1:
        assert sum(2.0 ** -b for b in bits.values()) <= 1 + 1e-9, "no prefix code has these lengths: the sum of 2^-length is above 1"
        assert abs(sum(2.0 ** -b for b in bits.values()) - 1) <= 1e-9, "words are longer than they need be: the sum of 2^-length is below 1"
    heap = sorted(occurring.values())
    least = sum(heap) if len(heap) == 1 else 0
    while len(heap) > 1:
        joined = heap.pop(0) + heap.pop(0)
        least += joined
        heap = sorted([*heap, joined])
    assert sum(occurring[symbol] * b for symbol, b in bits.items()) == least, "a code with a smaller total exists"


_rng = np.random.default_rng(5)
_fibonacci = [1, 1]
while len(_fibonacci) < 16:
    _fibonacci.append(_fibonacci[-1] + _fibonacci[-2])
_codes = Counter(np.round(_rng.normal(0, 2.2, 3000)).astype(int).tolist())
exam.law("counts of different size", _optimal, [
    case("five symbols, 15, 7, 6, 6 and 5 times", {"A": 15, "B": 7, "C": 6, "D": 6, "E": 5}),
    case("4-bit codes of a weight matrix, whole numbers of both signs", dict(_codes)),
    case("powers of two", {"w16": 16, "w1": 1, "w8": 8, "w4": 4, "w2": 2, "w1b": 1}),
    case("16 Fibonacci numbers: the longest word has 15 bits", {n: c for n, c in enumerate(_fibonacci)}),
    case("30 random counts", {f"s{n}": int(c) for n, c in enumerate(_rng.integers(1, 400, 30))}),
    case("counts beyond 32 bits", {"a": 10**13, "b": 3 * 10**12, "c": 3 * 10**12 + 1, "d": 7}),
    case("one symbol far more frequent than the three others together", {0: 996, 1: 2, -1: 1, 2: 1}),
], weight=2, probe=_lengths_and_counts)
exam.law("ties", _optimal, [
    edge("4 symbols equally often", dict.fromkeys("abcd", 3)),
    edge("5 symbols equally often", dict.fromkeys(range(5), 10)),
    edge("7 symbols once each", dict.fromkeys("tensor?", 1)),
    edge("1, 1, 2, 2: two different codes are optimal", {"a": 1, "b": 1, "c": 2, "d": 2}),
    edge("1, 1, 1, 3, 3: a join ties with a symbol", {4: 3, 2: 1, 0: 1, 1: 1, 3: 3}),
], probe=_lengths_and_counts)
exam.law("edges", _optimal, [
    edge("a single symbol: 1 bit", {"only": 42}),
    edge("two symbols of very different count: 1 bit each", {7: 100_000, 8: 1}),
    edge("symbols that never occur are left out", {"a": 4, "b": 0, "c": 2, "d": 1, "e": 0}),
    edge("one symbol left when those that never occur are gone", {-1: 0, 0: 9, 1: 0}),
    edge("all counts 0: nothing", {"a": 0, "b": 0}),
    edge("no symbols: nothing", {}),
], probe=_lengths_and_counts)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Store the zeros by leaving them out
#
# In a sparse matrix only the non-zeros are worth storing, each with its place. A whole place takes many bits; the *gap* since the last
# stored one takes few, because gaps are short. Gaps that do not fit are bridged by a stored zero, a *filler*.
#
# Write `csr_encode(m, index_bits) -> (values, gaps, shape)` and `csr_decode(values, gaps, shape) -> m` for a matrix of floats:
#
# - The positions of m run row by row: in a matrix with c columns, row i and column j are position i · c + j. A gap may run over the end
#   of a row.
# - Walk through the non-zeros in this order. Each is stored with its gap, its position minus the position of the entry stored before it;
#   before the first lies position −1, so that a non-zero at position 0 has gap 1.
# - A gap is at most $G = 2^{\text{index\_bits}}$ (stored as gap − 1, the gaps 1 … G fit into `index_bits` bits). While the gap to a
#   non-zero is larger than G, store a filler first: value 0, gap G. Fillers stand nowhere else: none before a gap of exactly G, none
#   after the last non-zero.
# - `values` and `gaps` are equally long, numpy arrays or lists; `shape` is `m.shape`. Without a non-zero both are empty. `index_bits` is
#   at least 1.
# - `csr_decode` gets numpy arrays (`gaps` of integers) and a tuple, and gives back the matrix, of shape `shape`, with its zeros.
# - Arguments are not changed.
#
# Source: Han et al. (2016), *Deep Compression*, section 2 and figure 2, "relative index" with "filler zero"; their largest gap for 3 bits
# is 8, too.
#
# *Worked example.* `[[0, 7, 0, 0], [0, 0, 0, 9]]` with `index_bits=2`, so G = 4. The 7 at position 1 has gap 1 − (−1) = 2. The 9 at
# position 7 would have gap 6 > 4: a filler with gap 4 is put at position 5, and 2 are left. `values` = [7, 0, 9], `gaps` = [2, 4, 2],
# `shape` = (2, 4). With `index_bits=3` no filler is needed: [7, 9] and [2, 6].
#
# <details><summary>Hint 1</summary><code>np.flatnonzero(m)</code> lists the positions of the non-zeros, row by row. And backwards: which
# function makes positions of gaps?</details>
# <details><summary>Hint 2</summary>Encode: remember the position <code>before</code>, starting at −1. For each non-zero take
# <code>gap = position - before</code>; <em>while</em> it is larger than G, append a filler and subtract G. Then append value and
# gap.</details>
# <details><summary>Hint 3</summary>Decode: <code>np.cumsum(gaps) - 1</code> are the positions of all entries, the fillers' too. Write the
# values there into <code>np.zeros(math.prod(shape))</code> and give it the shape.</details>

# %% answer="csr_encode"
def csr_encode(m, index_bits):
    """Non-zeros of a matrix, row by row, with the gap before each; fillers where a gap is above 2**index_bits."""
    ### BEGIN SOLUTION
    flat, largest = m.ravel(), 2**index_bits
    values, gaps, before = [], [], -1
    for position in np.flatnonzero(flat):
        gap = position - before
        while gap > largest:
            values.append(0.0)
            gaps.append(largest)
            gap -= largest
        values.append(flat[position])
        gaps.append(gap)
        before = position
    return np.array(values), np.array(gaps, int), m.shape
    ### END SOLUTION


def csr_decode(values, gaps, shape):
    """The matrix that csr_encode made these of."""
    ### BEGIN SOLUTION
    flat = np.zeros(math.prod(shape))
    flat[np.cumsum(gaps) - 1] = values
    return flat.reshape(shape)
    ### END SOLUTION

# %% test="csr_encode" points=5
_m = np.array([[0.0, 7.0, 0.0, 0.0], [0.0, 0.0, 0.0, 9.0]])
_values, _gaps, _shape = csr_encode(_m, 2)
assert np.allclose(_values, [7, 0, 9]) and np.array_equal(_gaps, [2, 4, 2]) and tuple(_shape) == (2, 4)
assert np.array_equal(csr_decode(np.array([7.0, 0.0, 9.0]), np.array([2, 4, 2]), (2, 4)), _m)
_values, _gaps, _shape = csr_encode(_m, 3)
assert np.array_equal(csr_decode(np.asarray(_values), np.asarray(_gaps), tuple(map(int, _shape))), _m)
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(6)


def _sparse(rows, columns, share):
    return _rng.normal(0, 1, (rows, columns)) * (_rng.random((rows, columns)) >= share)


def _at(shape, *positions):
    m = np.zeros(shape)
    m.flat[list(positions)] = np.arange(1, len(positions) + 1) * 1.5 - 4
    return m


def _encode_and_look(encode, m, index_bits, transposed=False):
    """What `encode` gives for m, or for m.T, whose rows do not lie in memory one after another; then m."""
    return {"what is stored": encode(m.T if transposed else m, index_bits), "the matrix afterwards": m}


_half, _most, _tall = _sparse(5, 7, 0.5), _sparse(9, 14, 0.93), _sparse(17, 3, 0.8).astype(np.float32)
exam.compare("encode: gaps that fit", [
    case("a 5 × 7 matrix, half of it zero, 4 bits", _half, 4),
    case("a 17 × 3 float32 matrix, 8 bits", _tall, 8),
    case("a gap runs over the end of a row, 3 bits", _at((3, 4), 0, 2, 9, 10), 3),
    edge("no zeros: every gap is 1", np.arange(1.0, 7.0).reshape(2, 3), 2),
    edge("one bit: gaps of 1 and 2", _at((2, 5), 1, 2, 4, 5, 7, 9), 1),
    edge("tiny weights are no zeros", np.array([[0.0, 1e-12, -2.5], [-0.5, 0.0, 1.0]]), 2),
], of="csr_encode")
exam.compare("encode: fillers", [
    case("a 9 × 14 matrix, 93 % zero, 3 bits", _most, 3),
    case("the same, 2 bits", _most, 2),
    case("a 5 × 7 matrix, half of it zero, 1 bit", _half, 1),
    case("a gap that takes three fillers", _at((3, 8), 1, 20), 2),
    edge("a gap of exactly 4 with 2 bits needs no filler, one of 5 needs one", _at((2, 7), 0, 4, 9), 2),
    edge("a gap of exactly 8 with 2 bits needs one filler", _at((3, 6), 2, 10), 2),
    edge("the first non-zero lies beyond the largest gap", _at((4, 5), 13), 2),
    case("a 24 × 25 matrix, 8 bits: a gap of 256 and one beyond", _at((24, 25), 3, 259, 530, 599), 8),
    case("a 260 × 260 matrix, 16 bits: a gap of 40,000", _at((260, 260), 9, 40_009, 67_590), 16),
], of="csr_encode", weight=2)
exam.compare("encode: edges", [
    edge("nothing but zeros after a single entry: no filler behind it", _at((4, 6), 3), 2),
    edge("a matrix of zeros only: nothing is stored, but the shape", np.zeros((3, 5)), 2),
    edge("one non-zero at position 0", _at((4, 3), 0), 3),
    edge("one column", _at((9, 1), 2, 8), 2),
    edge("m.T for a 5 × 7 matrix m, half of it zero, 3 bits", _half, 3, True),
], of="csr_encode", probe=_encode_and_look)
exam.compare("decode", [
    case("four values in a 3 × 4 matrix", np.array([2.5, -1.0, 4.0, 0.5]), np.array([1, 2, 7, 1]), (3, 4)),
    case("two fillers in a 4 × 6 matrix", np.array([1.5, 0.0, 0.0, -3.0, 2.0]), np.array([3, 4, 4, 2, 4]), (4, 6)),
    case("a long gap in a 7 × 3 float32 matrix", np.array([1.5, -0.25], dtype=np.float32), np.array([2, 17]), (7, 3)),
    case("values of many digits, positions beyond 256", np.array([-2.7182818, 0.0, 0.1234567]), np.array([40, 256, 256]), (24, 25)),
    edge("a filler comes first", np.array([0.0, 6.0]), np.array([4, 3]), (2, 5)),
    edge("nothing stored: a matrix of zeros", np.zeros(0), np.zeros(0, dtype=int), (2, 3)),
    edge("a full matrix", np.array([1.0, 2, 3, 4, 5, 6]), np.ones(6, dtype=int), (3, 2)),
], of="csr_decode", weight=2)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: what a zero saves, by format
#
# With exercises 1, 4, 5 and 6 done, run this cell: it prunes the mlp's 6,464 weights (all layers in one ranking, the smallest magnitudes
# to zero) and stores what is left in six formats. On the right each weight is one of 14 values and a zero, a code of 4 bits. No marks.

# %%
def pruned_weights(network, share, levels=0):
    """The weight tensors of a trained network as matrices, the `share` of smallest magnitude 0; with `levels`, so many values of either sign."""
    weights = [p.detach().numpy().reshape(len(p), -1) for p in models.load(network).parameters() if p.ndim > 1]
    magnitudes = np.sort(np.concatenate([np.abs(w).ravel() for w in weights]))
    cut = magnitudes[round(share * magnitudes.size) - 1] if share > 0 else -1.0
    found = []
    for w in weights:
        step = np.abs(w).max() / max(levels, 1)
        rounded = np.sign(w) * step * (np.minimum(np.abs(w) // step, levels - 1) + 0.5) if levels else w
        found.append(np.where(np.abs(w) > cut, rounded, 0.0))
    return found


def huffman_bits(symbols, alphabet):
    """Bits of all symbols in their Huffman code, and of a table of 5 bits for the length of each possible symbol's word: it defines the code."""
    counts = Counter(np.round(symbols, 6).tolist())
    lengths = huffman_lengths(counts)
    return sum(counts[symbol] * lengths[symbol] for symbol in lengths) + 5 * alphabet


def stored_bits(weights, index_bits, levels=0, entropy_coded=False):
    """Bits of sparse matrices as non-zeros and fillers with gaps, each value 32 bits, or a 4-bit code with a codebook of float32."""
    total = 0
    for m in weights:
        values, gaps, _ = csr_encode(m, index_bits)
        if entropy_coded:
            total += huffman_bits(values, 16) + huffman_bits(gaps, 2**index_bits) + 16 * 32
        else:
            total += model_bits([(len(gaps),)], 4 if levels else 32, 32 if levels else 0, index_bits)
    return total


shares = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98])
floats, codes = [pruned_weights("mlp", s) for s in shares], [pruned_weights("mlp", s, levels=7) for s in shares]
n = sum(m.size for m in floats[0])
zeros = np.array([sparsity(np.concatenate([m.ravel() for m in weights])) for weights in floats])
formats = [{"dense: 32-bit numbers": [model_bits([m.shape for m in weights], 32) for weights in floats],
            "32-bit place for each": [model_bits([(round(n * (1 - s)),)], 32, index_bits=32) for s in zeros],
            "5-bit gaps and fillers": [stored_bits(weights, 5) for weights in floats]},
           {"dense: 4-bit codes": [model_bits([m.shape for m in weights], 4, codebook_bits=32) for weights in codes],
            "4-bit codes, 4-bit gaps": [stored_bits(weights, 4, levels=7) for weights in codes],
            "the same, Huffman coded": [stored_bits(weights, 4, levels=7, entropy_coded=True) for weights in codes]}]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
for ax, curves, title in zip(axes, formats, ("float32 weights", "4-bit codes")):
    for name, bits in curves.items():
        ax.plot(zeros, np.array(bits) / n, label=name)
    ax.set(xlabel="sparsity (share of the weights that is zero)", ylabel="bits stored per weight", title=title, ylim=0)
    ax.legend()
plt.show()

# %% [markdown]
# A dense format gains nothing from zeros: its line is flat. With a place of 32 bits beside each float, pruning *loses* until half of the
# weights are gone; with 5-bit gaps it pays from 14 % on. At the far end gaps grow long: at 98 % there are 139 fillers for 129 weights,
# and the 32-bit place is the smaller one again. On the right the values are short, so that a gap of 4 bits weighs as much as its value,
# and pays beyond half only. Huffman codes follow what is there: in the full matrix, where every gap is 1, a gap takes 1 bit.
#
# ## 7. Beyond accuracy: macro F1
#
# A class of 1 % can be lost whole for 1 % of accuracy. The macro F1 gives every class the same weight.
#
# Write `f1_macro(y_true, y_pred) -> float` for two numpy arrays of n ≥ 1 labels. For each class c that occurs in `y_true` *or* in
# `y_pred`, with TP pictures of c that were called c, FP others that were called c, and FN of c that were called something else:
#
# $$P_c = \frac{TP}{TP + FP}, \qquad R_c = \frac{TP}{TP + FN}, \qquad F_{1,c} = \frac{2 P_c R_c}{P_c + R_c}, \qquad
# \text{macro } F_1 = \frac{1}{|C|}\sum_{c \in C} F_{1,c} .$$
#
# - $0/0$ is 0: a class that is never predicted has precision 0, one that only occurs in `y_pred` has recall 0, and either has $F_1 = 0$
#   and *counts* in the mean.
# - The classes are the union of the labels in both arrays, whatever other labels there might be: labels are whole numbers ≥ 0, of any
#   integer dtype, not always 0, 1, 2, ….
# - The arrays are not changed. The result lies between 0 and 1.
#
# Source: Opitz and Burst (2019), *Macro F1 and Macro F1*, section 1, equations 1 and 2, "averaged F1". (Their second formula, the F1 of
# the averaged precision and recall, is another number, and not ours.)
#
# *Worked example.* `y_true = [0, 0, 0, 0, 1, 1]`, `y_pred = [0, 0, 0, 2, 0, 1]`. Class 0: TP 3, FP 1, FN 1, so P = R = F1 = ¾. Class 1:
# TP 1, FP 0, FN 1: P = 1, R = ½, F1 = ⅔. Class 2 was only predicted: F1 = 0. Mean: (¾ + ⅔ + 0)/3 = 0.472. The accuracy is 4/6 = 0.667.
#
# <details><summary>Hint 1</summary>What of all that does one class need? Two boolean arrays: which pictures are of c, and which were
# called c.</details>
# <details><summary>Hint 2</summary>Write P and R into the formula, and it becomes 2 TP / (2 TP + FP + FN): twice the hits, divided by how
# often c is true plus how often it was said. In the union of the labels this is never 0/0.</details>
# <details><summary>Hint 3</summary>For each <code>c</code> in <code>np.union1d(y_true, y_pred)</code>: <code>true = y_true == c</code>,
# <code>said = y_pred == c</code>, F1 = <code>2 * np.sum(true &amp; said) / (np.sum(true) + np.sum(said))</code>. Return the mean.</details>

# %% answer="f1_macro"
def f1_macro(y_true, y_pred):
    """Mean of the classes' F1 over all labels that occur in either array."""
    ### BEGIN SOLUTION
    scores = []
    for c in np.union1d(y_true, y_pred):
        true, said = y_true == c, y_pred == c
        scores.append(2 * np.sum(true & said) / (np.sum(true) + np.sum(said)))
    return float(np.mean(scores))
    ### END SOLUTION

# %% test="f1_macro" points=4
assert abs(f1_macro(np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 2, 0, 1])) - 17 / 36) <= 1e-6
assert abs(f1_macro(np.array([1, 0, 1]), np.array([1, 0, 1])) - 1) <= 1e-6
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(7)


def _said(y, right, classes):
    """Predictions for y of which about the share `right` is right."""
    return np.where(_rng.random(y.size) < right, y, _rng.choice(classes, y.size)).astype(y.dtype)


_even, _rare = _rng.integers(0, 3, 60), _rng.choice(4, 200, p=[0.8, 0.15, 0.04, 0.01])
_wide, _many = _rng.choice([2, 5, 9], 40).astype(np.uint8), _rng.choice([3, 44, 259, 300], 50).astype(np.uint16)
exam.compare("classes of different size", [
    case("three classes, 60 labels", _even, _said(_even, 0.6, 3)),
    case("four classes of 80, 15, 4 and 1 %, 200 labels", _rare, _said(_rare, 0.7, 4)),
    case("labels 2, 5 and 9, as uint8", _wide, _said(_wide, 0.5, [2, 5, 9])),
    case("two classes, mostly false alarms of one", np.array([0] * 9 + [1] * 3), np.array([0] * 4 + [1] * 8)),
    case("labels 3, 44, 259 and 300, as uint16", _many, _said(_many, 0.6, [3, 44, 259, 300])),
    case("int32 labels against int64 predictions", _even.astype(np.int32), _said(_even, 0.4, 3)),
], weight=2)
exam.compare("absent classes", [
    edge("the last of three classes is never predicted", np.array([0, 0, 1, 1, 2, 2, 2]), np.array([0, 1, 1, 1, 0, 1, 1])),
    edge("a class that is predicted, but never true", np.array([0, 0, 1, 1, 1]), np.array([0, 3, 1, 3, 1])),
    edge("one class each way", np.array([4, 4, 6, 6, 6, 4]), np.array([4, 4, 8, 4, 8, 4])),
    edge("everything is called the frequent class", np.array([1] * 95 + [7] * 5), np.full(100, 1)),
])
exam.compare("edges", [
    edge("all right, three classes", np.array([3, 1, 4, 1]), np.array([3, 1, 4, 1])),
    edge("all wrong", np.array([0, 1, 2, 0]), np.array([1, 2, 0, 2])),
    edge("a single label, right", np.array([5]), np.array([5])),
    edge("a single label, wrong", np.array([5]), np.array([0])),
    case("one of two right", np.array([3, 8]), np.array([3, 3])),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 8. The Pareto front
#
# Many versions of a network, each with its cost and its accuracy: no single one is best. But some are never worth choosing, because
# another is at least as cheap *and* at least as accurate, and better in one of the two. Such a version is *dominated*. The others are the
# Pareto front.
#
# Write `pareto_front(points) -> indices` for a numpy array `points` of shape (n, 2), each row a version (cost, accuracy): the rows that
# no row dominates, in ascending order. Row j dominates row i if
#
# $$c_j \le c_i \;\text{ and }\; a_j \ge a_i, \quad\text{and}\quad c_j < c_i \;\text{ or }\; a_j > a_i .$$
#
# - Cost is to be small, accuracy large.
# - Equal rows do not dominate each other: all of them are on the front, or none.
# - The result is a list or an integer array of row numbers, smallest first; for n = 0 it is empty. `points` is not changed.
#
# Source: Kung, Luccio and Preparata (1975), *On Finding the Maxima of a Set of Vectors*, for the front as the set of maxima.
#
# *Worked example.* `[[4, .90], [2, .80], [4, .95], [3, .80], [2, .80]]`: row 0 costs what row 2 costs and is worse; row 3 is as good as
# row 1 and dearer. Rows 1 and 4 are equal, and nothing is cheaper. The front is `[1, 2, 4]`.
#
# <details><summary>Hint 1</summary>Write the definition down as it stands: for each row, is there another one that dominates it?</details>
# <details><summary>Hint 2</summary>For row i compare all rows at once: <code>cost &lt;= cost[i]</code>,
# <code>accuracy &gt;= accuracy[i]</code>, and so on, joined with <code>&amp;</code> and <code>|</code>. Row i does not dominate itself:
# it is better in nothing.</details>
# <details><summary>Hint 3</summary>Keep <code>i</code> unless
# <code>((cost &lt;= cost[i]) &amp; (accuracy &gt;= accuracy[i]) &amp; ((cost &lt; cost[i]) | (accuracy &gt; accuracy[i]))).any()</code>.</details>

# %% answer="pareto_front"
def pareto_front(points):
    """Rows (cost, accuracy) that no other row dominates, in ascending order."""
    ### BEGIN SOLUTION
    front, cost, accuracy = [], points[:, 0], points[:, 1]
    for i, (c, a) in enumerate(points):
        dominates = (cost <= c) & (accuracy >= a) & ((cost < c) | (accuracy > a))
        if not dominates.any():
            front.append(i)
    return front
    ### END SOLUTION

# %% test="pareto_front" points=4
assert np.asarray(pareto_front(np.array([[4, 0.90], [2, 0.80], [4, 0.95], [3, 0.80], [2, 0.80]]))).tolist() == [1, 2, 4]
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(8)
_cloud = np.column_stack([_rng.uniform(1, 100, 40), _rng.random(40)])
_cost = _rng.permutation(np.arange(1.0, 13.0))
_curve = np.column_stack([_cost, 1 - 0.8 / _cost])
_mixed = np.vstack([_curve, np.column_stack([_cost + 3, 1 - 0.85 / _cost])])[_rng.permutation(24)]
_grid = np.column_stack([_rng.integers(1, 5, 30), _rng.integers(1, 5, 30) / 4.0])
exam.compare("different versions", [
    case("40 random versions", _cloud),
    case("12 versions on a bent curve, in any order: all are on the front", _curve),
    case("the same and 12 worse ones", _mixed),
    case("costs of millions of bits, accuracies close to each other",
         np.array([[8.1e6, .971], [2.2e6, .970], [4.0e6, .969], [1.1e6, .952], [1.3e6, .950]])),
    case("costs and accuracies that differ in the sixth digit", np.array(
        [[1.00002, .912343], [1.00001, .912341], [1.00003, .912342], [1.00001, .912340], [1.00004, .912345]])),
    case("a front with a dent: a version below the line between its neighbours", np.array([[1, 0.5], [2, 0.55], [3, 0.9], [2.5, 0.54]])),
], weight=2)
exam.compare("equal values", [
    case("30 versions on a grid, with many ties and duplicates", _grid),
    edge("the same cost, different accuracies", np.array([[3, 0.7], [3, 0.9], [3, 0.8]])),
    edge("the same accuracy, different costs", np.array([[5, 0.9], [2, 0.9], [7, 0.9]])),
    edge("three equal versions are all kept", np.array([[2, 0.9], [2, 0.9], [2, 0.9]])),
    edge("equal versions that are dominated all go", np.array([[2, 0.5], [1, 0.6], [2, 0.5], [3, 0.9]])),
])
exam.compare("edges", [
    edge("no version", np.zeros((0, 2))),
    edge("a single version", np.array([[10.0, 0.1]])),
    edge("one version is best in both", np.array([[9, 0.3], [1, 0.99], [4, 0.5]])),
    edge("a cost and an accuracy of 0", np.array([[0, 0.0], [1, 0.0], [1, 1.0]])),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: which version would you ship?
#
# With exercises 4 to 8 done, run this cell and the one before: 28 versions of the two networks, pruned and not retrained, as float32 and
# as 4-bit codes, each stored in the best of its formats above. Biases are counted as float32. No marks.

# %%
def evaluated(network, weights):
    """Accuracy and macro F1 of a network with these weights, on the 500 validation pictures."""
    model, new = models.load(network), iter(weights)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim > 1:
                p.copy_(torch.as_tensor(next(new)).reshape(p.shape))
        x, y = digits(images=network == "cnn")[2:]
        said = model(x).argmax(1)
    return (said == y).double().mean().item(), f1_macro(y.numpy(), said.numpy())


versions = []
for network in ("mlp", "cnn"):
    biases = sum(p.numel() for p in models.load(network).parameters() if p.ndim == 1)
    for levels, kind in ((0, "float32"), (7, "4-bit")):
        for s in (0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9):
            weights = pruned_weights(network, s, levels)
            dense = model_bits([m.shape for m in weights], 4 if levels else 32, 32 if levels else 0)
            size = min(dense, stored_bits(weights, 5, levels), *([stored_bits(weights, 5, levels, True)] if levels else []))
            versions.append((network, kind, s, (size + 32 * biases) / 8, *evaluated(network, weights)))
points = np.array([(size, accuracy) for _, _, _, size, accuracy, _ in versions])
front = np.asarray(pareto_front(points), dtype=int)
ax = plt.subplots(figsize=(7.5, 4))[1]
for (network, kind), marker in zip([("mlp", "float32"), ("mlp", "4-bit"), ("cnn", "float32"), ("cnn", "4-bit")], "osD^"):
    of = [i for i, v in enumerate(versions) if v[:2] == (network, kind)]
    ax.plot(points[of, 0], points[of, 1], marker, label=f"{network}, {kind}", color=plots.BLUE if network == "mlp" else plots.ORANGE,
            markerfacecolor="white" if kind == "float32" else None)
order = front[np.argsort(points[front, 0])]
ax.step(points[order, 0], points[order, 1], where="post", color=plots.GREY, marker="", linewidth=1.2, label="Pareto front", zorder=0)
ax.set(xscale="log", xlabel="size as stored (bytes)", ylabel="validation accuracy", ylim=(0, 1.03))
ax.legend(loc="lower right")
plt.show()
print("on the front:               bytes   ratio   accuracy   macro F1")
for i in order:
    network, kind, s, size, accuracy, f1 = versions[i]
    print(f"{network} {kind:8} {s:4.0%} zeros  {size:9,.0f}   {4 * 6570 / size:5.1f}   {accuracy:8.3f}   {f1:8.3f}")

# %% [markdown]
# Most of the front is the cnn in 4-bit codes. With 30 % zeros it takes 1,142 bytes, 23 times less than the mlp as float32, and reads 9 of
# 500 pictures fewer. No pruned float32 version of the mlp is worth its bytes. But the front says what is not dominated, not what is good
# enough: its left half is a cliff that nobody would ship, and at its foot macro F1 is less than half of the accuracy, because most of the
# ten classes are lost. These networks were not retrained after pruning; 01 shows how much that wins back.
#
# ## Concepts
#
# What the exercises above taught you, asked the way an interviewer asks it: six checks that are marked at once, and two questions to
# answer in your own words. Where a check lists statements, every one stands alone; any number of them, but at least one, is true.

# %% check="what_compression_is" points=1

# %% check="why_compress" points=1

# %% check="least_time_per_token" points=1

# %% check="judging_a_compressed_model" points=1

# %% check="break_even_sparsity" points=1

# %% check="evaluating_pruning" points=1

# %% [markdown] interview="I11" points=5

# %% [markdown] interview="I15" points=5

# %% [markdown]
# ## Where this leads
#
# You have scales for four costs and two qualities. The assignments that follow change networks and weigh them again: what to prune (01,
# 02), in shapes that save work and not only storage (03), with a loop that stops before accuracy falls (04), fewer bits for each weight
# (05 to 07).
#
# What is missing? Seconds and joules. MACs say what must be computed, not how long it takes: 12 measures latency, energy, and how sure
# one can be of a difference. On 500 pictures, one of them is 0.2 % of accuracy, and two versions a few pictures apart may well change
# places on the next 500.
