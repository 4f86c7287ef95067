# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 10 · Lightweight architectures
#
# Pruning and quantization make a given network cheaper. One can also *design* a cheap one: with layers that need fewer multiplications,
# matrices that hold fewer numbers, parameters that serve in several places; and one can let a search do the designing, under a limit on the
# cost.
#
# All of it begins with counting, and counting is where one is fooled most easily: a layer with eight times fewer multiply-adds need not be
# eight times as fast, two small matrices can be larger than the one they replace, and a search that forgets its limit finds the largest
# network. You will count first.
#
# - **Cheaper convolutions.** A convolution in two steps (1) and what it saves (2); the block of MobileNetV2 that is built from them (3).
# - **Fewer numbers.** A matrix as a product, and when that is smaller (4); one parameter in several places (5); a layer whose weights share
#   values by a hash (6).
# - **Search.** An evolutionary search that keeps its constraint (7), a cheap stand-in for training every candidate (8), and a cost that
#   gradient descent can lower (9).
#
# **Conventions.** Arrays are torch tensors, float32. A *MAC* is a multiply-add of a convolution or a matrix product; biases, batch norm and
# activations are not counted. A function gives back something new and leaves its arguments as they were; only `tie_weights` changes the
# model that it is given.

# %%
import itertools
import math
import random
import time

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import nn
import torch.nn.functional as F
import matplotlib.pyplot as plt
from autograder import observe
from course import models, plots
from course.datasets import digits
from course.train import accuracy, fit

torch.set_num_threads(1)                         # networks as small as these run fastest on one

# %% [markdown]
# ## 1. A convolution in two steps
#
# A convolution does two things at once: it looks around within each channel, and it mixes the channels. Take them apart. Write
# `depthwise_separable(c_in, c_out, k) -> layer`, which takes pictures (N, `c_in`, H, W) to (N, `c_out`, H, W):
#
# 1. *depthwise*: one k × k filter for each input channel; channel i of the result comes from channel i alone: `c_in` channels in, `c_in`
#    out;
# 2. *pointwise*: a 1 × 1 convolution over all channels of a pixel, from `c_in` to `c_out` channels. It is not grouped.
#
# - `layer` is a new `nn.Sequential` of exactly two `nn.Conv2d`, in this order: no activation or normalisation in between.
# - `k` is odd. Stride 1, no dilation, and zeros around the picture so that height and width stay (*same* padding).
# - `c_in` and `c_out` are any positive numbers; neither need divide the other. With or without biases, as you like. The weights are
#   trainable, and random as torch makes them.
#
# Source: Howard et al. (2017), *MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications*, section 3.1.
#
# *Worked example.* `depthwise_separable(4, 6, 3)` has weights of shape (4, 1, 3, 3) and (6, 4, 1, 1): 36 + 24 = 60 numbers. The full
# convolution that it stands for has (6, 4, 3, 3): 216.
#
# <details><summary>Hint 1</summary><code>nn.Conv2d</code> has an argument that splits the channels into groups which do not see one
# another.</details>
# <details><summary>Hint 2</summary>With as many groups as channels each group is one channel. How many outputs has the depthwise step
# then?</details>
# <details><summary>Hint 3</summary><code>nn.Conv2d(c_in, c_in, k, padding=k // 2, groups=c_in)</code>, then <code>nn.Conv2d(c_in, c_out,
# 1)</code>, in an <code>nn.Sequential</code>.</details>

# %% answer="depthwise_separable"
def depthwise_separable(c_in, c_out, k):
    """A depthwise k × k convolution, then a pointwise one: (N, c_in, H, W) -> (N, c_out, H, W)."""
    ### BEGIN SOLUTION
    return nn.Sequential(nn.Conv2d(c_in, c_in, k, padding=k // 2, groups=c_in), nn.Conv2d(c_in, c_out, 1))
    ### END SOLUTION

# %% test="depthwise_separable" points=3
def separate_and_look(separate, c_in, c_out, k, x):
    """What kind of modules there are and how large their weights; then the output for x with weights 1, 2, 3, … mod 7 and biases 0."""
    layer = separate(c_in, c_out, k)
    modules = list(layer)
    looks = {"the modules": ["Conv2d" if isinstance(m, nn.Conv2d) else type(m).__name__ for m in modules], "a Sequential": isinstance(layer, nn.Sequential),
             "the weights": [list(m.weight.shape) for m in modules if isinstance(m, nn.Conv2d)],
             "trainable": {p.requires_grad for p in layer.parameters()},
             "signs of the initial weights": [p.sign().unique() for p in layer.parameters() if p.numel() > 16 and p.dim() > 1]}
    with torch.no_grad():
        for m in layer.modules():
            if isinstance(m, nn.Conv2d):
                m.weight.copy_((torch.arange(1.0, 1 + m.weight.numel()) % 7 - 2.5).reshape(m.weight.shape))
                if m.bias is not None:
                    m.bias.zero_()
    return looks | {"the output": layer(x).detach()}


_seen = observe(separate_and_look, depthwise_separable, 4, 6, 3, torch.ones(1, 4, 5, 5))
assert _seen["the modules"] == ["Conv2d", "Conv2d"]
assert [list(shape) for shape in _seen["the weights"]] == [[4, 1, 3, 3], [6, 4, 1, 1]]
assert list(np.shape(_seen["the output"])) == [1, 6, 5, 5], "height and width stay"
### BEGIN HIDDEN TESTS
seed(1)
exam.compare("layers", [
    case("4 channels to 6, k = 3, pictures of 5 × 8", 4, 6, 3, torch.randn(2, 4, 5, 8)),
    case("3 channels to 7, k = 5, pictures of 9 × 6", 3, 7, 5, torch.randn(2, 3, 9, 6)),
    case("6 channels to 2, k = 3, pictures of 4 × 7", 6, 2, 3, torch.randn(3, 6, 4, 7)),
    case("4 channels to 8, a multiple, k = 3, pictures of 6 × 6", 4, 8, 3, torch.randn(1, 4, 6, 6)),
    case("5 channels to 5, k = 7, pictures of 10 × 9", 5, 5, 7, torch.randn(2, 5, 10, 9)),
], weight=2, probe=separate_and_look, rtol=1e-4, atol=1e-4)
exam.compare("edges", [
    edge("k = 1: two 1 × 1 convolutions", 3, 4, 1, torch.randn(2, 3, 4, 5)),
    edge("one channel in", 1, 4, 3, torch.randn(2, 1, 6, 5)),
    edge("one channel out", 5, 1, 3, torch.randn(2, 5, 6, 5)),
    edge("a picture of a single pixel, k = 3", 2, 3, 3, torch.randn(2, 2, 1, 1)),
], probe=separate_and_look, rtol=1e-4, atol=1e-4)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 2. What it saves
#
# Write `cost_ratio(n, k) -> float`: the MACs of a depthwise separable convolution divided by those of the full convolution that it stands
# for, with k × k
# filters and n *output* channels.
#
# With M input channels and an output of D × D pixels, the full convolution takes $D^2 \cdot k^2 \cdot M \cdot n$ MACs, the depthwise step
# $D^2 \cdot k^2 \cdot M$ and the pointwise step $D^2 \cdot M \cdot n$. Stride 1, same padding; biases are not counted. Divide; D and M
# cancel.
#
# - `n` and `k` are positive integers. The result is a number; it can exceed 1.
#
# Source: Howard et al. (2017), section 3.1, where the ratio is derived.
#
# *Worked example.* n = 64, k = 5, M = 16, D = 10: the full convolution takes 100·25·16·64 = 2 560 000 MACs, the two steps 100·25·16 +
# 100·16·64 = 40 000
# + 102 400 = 142 400. The ratio is 0.055625, so 18 times fewer.
#
# <details><summary>Hint 1</summary>The steps run one after the other. What happens to their costs?</details>
# <details><summary>Hint 2</summary>Divide each of the two terms by the full cost on its own.</details>
# <details><summary>Hint 3</summary>The depthwise step leaves 1/n, the pointwise step 1/k².</details>

# %% answer="cost_ratio"
def cost_ratio(n, k):
    """MACs of the depthwise separable convolution / MACs of the full one."""
    ### BEGIN SOLUTION
    return 1 / n + 1 / k ** 2
    ### END SOLUTION

# %% test="cost_ratio" points=2
assert np.isclose(cost_ratio(64, 5), 0.055625)
### BEGIN HIDDEN TESTS
exam.compare("layers", [
    case("256 output channels, k = 3", 256, 3),
    case("32 output channels, k = 5", 32, 5),
    case("7 output channels, k = 3", 7, 3),
    case("1024 output channels, k = 7", 1024, 7),
    case("3 output channels, k = 11", 3, 11),
])
exam.compare("edges", [
    edge("k = 1: the depthwise step comes on top, the ratio exceeds 1", 64, 1),
    edge("one output channel: the ratio exceeds 1", 1, 3),
    edge("one output channel and k = 1: twice the cost", 1, 1),
    edge("two output channels, k = 2", 2, 2),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: fewer multiplications, and then?
#
# With exercises 1 and 2 done, run this cell. It counts, for one layer of 128 to 128 channels on 28 × 28 pixels, the MACs, the bytes that
# must cross between memory and processor at least (input, weights and output, once each, float32), and their quotient, the *arithmetic
# intensity* in FLOP per byte (a MAC is 2 FLOP). A machine that does P FLOP in the time in which it moves one byte (its *ridge point*) waits
# for memory wherever the intensity is below P: that is the *roofline* of Williams et al. (2009). No marks.

# %%
def counted(conv, h, w):
    """(MACs, bytes) of a convolution with same padding on one float32 picture of h × w pixels."""
    weights = conv.weight.numel()
    return h * w * weights, 4 * (h * w * (conv.in_channels + conv.out_channels) + weights)


def milliseconds(layer, x, rounds=7):
    """The fastest of some runs."""
    times = []
    with torch.no_grad():
        for _ in range(rounds):
            start = time.perf_counter()
            layer(x)
            times.append(1e3 * (time.perf_counter() - start))
    return min(times)


plots.use_style()
full, separable = nn.Conv2d(128, 128, 3, padding=1), depthwise_separable(128, 128, 3)
layers = {"full 3 × 3": full, "depthwise 3 × 3": separable[0], "pointwise 1 × 1": separable[1]}
cost = {name: counted(layer, 28, 28) for name, layer in layers.items()}
for name, (macs, moved) in cost.items():
    print(f"{name:16} {macs / 1e6:8.2f} million MACs   {moved / 1e6:5.2f} MB   {2 * macs / moved:6.1f} FLOP per byte")
both = sum(cost[name][0] for name in list(cost)[1:])
print(f"MACs of the two steps / MACs of the full one: {both / cost['full 3 × 3'][0]:.4f}, cost_ratio(128, 3): {cost_ratio(128, 3):.4f}")

ridges = np.geomspace(1, 400, 200)
bound = {name: np.maximum(2 * macs, moved * ridges) for name, (macs, moved) in cost.items()}          # in FLOP times
x = torch.randn(1, 128, 28, 28)
measured = {name: milliseconds(layer, x) for name, layer in layers.items()}
left, right = plt.subplots(1, 2, figsize=(10, 3.4))[1]
share = [100 * macs / cost["full 3 × 3"][0] for macs, _ in cost.values()], [100 * ms / measured["full 3 × 3"] for ms in measured.values()]
for place, (values, colour, hatch, label) in enumerate(zip(share, (plots.BLUE, plots.ORANGE), ("", "//"), ("MACs", "time, measured here"))):
    left.bar(np.arange(3) + 0.4 * place - 0.2, values, width=0.4, color=colour, hatch=hatch, edgecolor="white", label=label)
left.set_xticks(range(3), layers)
left.set(yscale="log", ylabel="% of the full convolution", title="one picture, 128 → 128 channels, 28 × 28")
left.legend()
right.plot(ridges, bound["full 3 × 3"] / (bound["depthwise 3 × 3"] + bound["pointwise 1 × 1"]), marker="", label="roofline bound")
right.axhline(1 / cost_ratio(128, 3), color=plots.GREY, linestyle="--", linewidth=1.2, marker="", label="ratio of MACs")
right.axhline(1, color=plots.GREY, linewidth=1, marker="")
right.set(xscale="log", xlabel="ridge point of the machine (FLOP per byte)", ylabel="speedup of the separable layer", title="what the roofline allows", ylim=(0, 9))
right.legend(loc="lower left")
plt.show()

# %% [markdown]
# The two steps move *more* bytes than the full convolution: the picture goes in and out twice. While arithmetic is what a machine is short
# of (left end of the curve), that does not matter, and the saving in MACs is a saving in time. The larger the ridge point, the less is left
# of it; here nothing is left at about 140 FLOP per byte, where the full convolution is still limited by arithmetic and both steps wait for
# memory. The bars show how this machine does. That is a bound for layers that run one after the other; fused layers keep the picture in the
# cache and move less.

# %% [markdown]
# ## 3. The inverted residual
#
# MobileNetV2 is a stack of one block: widen the channels by a factor, filter them depthwise, narrow them again. What travels from block to
# block is narrow; what is filtered is wide; and the last step is *linear*, because a ReLU in few channels would destroy information that
# nothing can restore.
#
# Write a class `InvertedResidual(c_in, c_out, stride, expand)`, an `nn.Module` for pictures (N, `c_in`, H, W), with E = `c_in` · `expand`
# channels inside:
#
# | step | convolution | then |
# |---|---|---|
# | expansion | 1 × 1, `c_in` → E | batch norm, ReLU6 |
# | depthwise | 3 × 3, E → E, one filter per channel, padding 1, stride `stride` | batch norm, ReLU6 |
# | projection | 1 × 1, E → `c_out` | batch norm, *no activation* |
#
# $$\mathrm{ReLU6}(x) = \min(\max(x, 0), 6), \qquad y = \begin{cases} x + \mathrm{block}(x) & \text{if stride} = 1 \text{ and } c_{in} = c_{out} \\
# \mathrm{block}(x) & \text{otherwise} \end{cases}$$
#
# - The skip adds `x` itself; where shapes differ there is none (and no convolution in its place). Nothing follows the sum.
# - `stride` is 1 or 2, `expand` an integer ≥ 1. With `expand = 1` the expansion step (convolution, batch norm, ReLU6) may be left out, or
#   be there.
# - Convolutions are `nn.Conv2d`, with or without bias; normalisations are `nn.BatchNorm2d`; no other layer has parameters. Each is called
#   once in a forward pass. Activations may be modules or functions.
# - It works in train mode (batch statistics) and in eval mode (running statistics), and `x` is not changed. All weights can be trained.
#   Those of the convolutions begin at random, batch norms as torch makes them: γ = 1, β = 0.
#
# Source: Sandler et al. (2018), *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, section 3, table 1.
#
# *Worked example.* `InvertedResidual(4, 4, 1, 6)` has E = 24: convolutions of 4·24 = 96, 24·9 = 216 and 24·4 = 96 weights. Stride 1 and 4 =
# 4, so it adds `x`. With stride 2 an 8 × 6 picture becomes 4 × 3, and nothing is added.
#
# <details><summary>Hint 1</summary>Build the steps once, in <code>__init__</code>, and remember there whether the block has a
# skip.</details>
# <details><summary>Hint 2</summary>Both conditions must hold for the skip. The depthwise convolution has <code>groups</code> equal to its
# channels, and it alone has the stride.</details>
# <details><summary>Hint 3</summary>A <code>nn.Sequential</code> of Conv2d(c_in, E, 1), BatchNorm2d(E), ReLU6, Conv2d(E, E, 3, stride, 1,
# groups=E), BatchNorm2d(E), ReLU6, Conv2d(E, c_out, 1), BatchNorm2d(c_out). In <code>forward</code>: <code>x + self.block(x) if self.skip
# else self.block(x)</code>.</details>

# %% answer="InvertedResidual"
class InvertedResidual(nn.Module):
    """Widen by `expand`, filter depthwise, narrow linearly; the input is added where stride and channels allow it."""
    ### BEGIN SOLUTION

    def __init__(self, c_in, c_out, stride, expand):
        super().__init__()
        wide = c_in * expand
        self.skip = stride == 1 and c_in == c_out
        self.block = nn.Sequential(
            nn.Conv2d(c_in, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(),
            nn.Conv2d(wide, c_out, 1, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        return x + self.block(x) if self.skip else self.block(x)
    ### END SOLUTION

# %% test="InvertedResidual" points=6
def block_and_look(block_class, c_in, c_out, stride, expand, x):
    """The convolutions and batch norms in the order in which they are called, given weights of our own; the outputs in eval and train mode."""
    block, called = block_class(c_in, c_out, stride, expand), []
    layers = [m for m in block.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
    handles = [m.register_forward_pre_hook(lambda m, _: called.append(m)) for m in layers]
    shape = list(block.eval()(x.clone()).shape)
    for handle in handles:
        handle.remove()
    source, found = torch.Generator().manual_seed(3), []
    trainable = {p.requires_grad for p in block.parameters()}
    norms_begin = [p.detach().clone() for m in called if isinstance(m, nn.BatchNorm2d) for p in (m.weight, m.bias)]
    convolutions_begin = [m.weight.detach().clone() for m in called if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        for m in called:
            if isinstance(m, nn.Conv2d):
                m.weight.copy_(torch.randn(m.weight.shape, generator=source) * 2 / math.sqrt(m.weight[0].numel()))
                found.append({"layer": "convolution", "weight": m.weight.clone(), "bias": None if m.bias is None else m.bias.clone()})
            else:
                m.weight.copy_(1 + torch.rand(m.weight.shape, generator=source))
                m.bias.copy_(torch.randn(m.bias.shape, generator=source))
                m.running_mean.copy_(0.3 * torch.randn(m.bias.shape, generator=source))
                m.running_var.copy_(0.2 + 0.3 * torch.rand(m.bias.shape, generator=source))
                found.append({"layer": "batch norm", "eps": float(m.eps)} | {
                    name: getattr(m, name).clone() for name in ("weight", "bias", "running_mean", "running_var")})
    given = x.clone()
    leaf = x.clone().requires_grad_()
    y = block.eval()(leaf * 1)
    (gradient,) = torch.autograd.grad((y * torch.linspace(-1, 2, y.numel()).reshape(y.shape)).sum(), leaf)
    with torch.no_grad():
        outputs = {"eval": y.detach(), "train": block.train()(given)}
    return {"layers": found, "parameters": sum(p.numel() for p in block.parameters()), "trainable": trainable, "norms begin with": norms_begin,
            "convolutions begin with": convolutions_begin, "shape": shape, "outputs": outputs, "gradient": gradient, "x": given}


_seen = observe(block_and_look, InvertedResidual, 4, 4, 1, 6, torch.randn(2, 4, 8, 6))
assert [math.prod(np.shape(layer["weight"])) for layer in _seen["layers"] if layer["layer"] == "convolution"] == [96, 216, 96]
assert list(observe(block_and_look, InvertedResidual, 4, 4, 2, 6, torch.randn(2, 4, 8, 6))["shape"]) == [2, 4, 4, 3]
### BEGIN HIDDEN TESTS
def _t(value):
    return torch.as_tensor(np.asarray(value), dtype=torch.float32)


def _through(layers, x, stride, skip, training):
    """The block made of these layers, applied to x; also whether ReLU6 had work at both ends."""
    y, last = x, len(layers) - 2
    for n in range(0, len(layers), 2):
        conv, norm = layers[n], layers[n + 1]
        weight, bias = _t(conv["weight"]), None if conv["bias"] is None else _t(conv["bias"])
        depthwise = n == last - 2
        y = F.conv2d(y, weight, bias, stride if depthwise else 1, 1 if depthwise else 0, groups=len(weight) if depthwise else 1)
        mean, variance = _t(norm["running_mean"]).clone(), _t(norm["running_var"]).clone()
        y = F.batch_norm(y, mean, variance, _t(norm["weight"]), _t(norm["bias"]), training, eps=norm["eps"])
        y = y if n == last else y.clamp(0, 6)
    return x + y if skip else y


def _is_the_block(found, c_in, c_out, stride, expand, x):
    layers, wide = found["layers"], c_in * expand
    kinds = [layer["layer"] for layer in layers]
    steps = ["convolution", "batch norm"]
    assert kinds == 3 * steps or (expand == 1 and kinds == 2 * steps), "the convolutions and batch norms that are called are not those of the table, in its order"
    shapes = [list(np.shape(layer["weight"])) for layer in layers[::2]]
    wanted = [[wide, c_in, 1, 1], [wide, 1, 3, 3], [c_out, wide, 1, 1]]
    assert shapes == wanted[3 - len(shapes):], "a convolution's weights do not have the shape that the table asks for"
    held = sum(math.prod(np.shape(layer[name])) for layer in layers for name in ("weight", "bias") if layer[name] is not None)
    assert found["parameters"] == held, "there are parameters that belong to none of the layers that are called"
    assert found["trainable"] == {True}, "a parameter is frozen"
    assert all((np.asarray(p) == (n + 1) % 2).all() for n, p in enumerate(found["norms begin with"])), "a batch norm does not begin with γ = 1 and β = 0"
    assert all(len(np.unique(w)) > 1 for w in map(np.asarray, found["convolutions begin with"]) if w.size > 1), "a convolution's weights all begin alike"
    assert np.array_equal(found["x"], x), "the input was changed"
    skip = stride == 1 and c_in == c_out
    leaf = x.clone().requires_grad_()
    y = _through(layers, leaf, stride, skip, False)
    given = {name: _t(output) for name, output in found["outputs"].items()}
    assert given["eval"].shape == y.shape, "the output has the wrong shape"
    assert torch.allclose(given["eval"], y, rtol=1e-3, atol=1e-3), "in eval mode the output is not that of the block"
    assert torch.allclose(given["train"], _through(layers, x, stride, skip, True), rtol=1e-3, atol=1e-3), "in train mode the output is not that of the block"
    (gradient,) = torch.autograd.grad((y * torch.linspace(-1, 2, y.numel()).reshape(y.shape)).sum(), leaf)
    assert torch.allclose(_t(found["gradient"]), gradient, rtol=1e-2, atol=1e-2), "the gradient that comes back to the input is wrong"


seed(3)
exam.law("blocks without a skip", _is_the_block, [
    case("3 channels to 5, stride 1, expanded by 4", 3, 5, 1, 4, torch.randn(3, 3, 6, 7)),
    case("4 channels to 4, stride 2, expanded by 3", 4, 4, 2, 3, torch.randn(2, 4, 8, 7)),
    case("6 channels to 2, stride 2, expanded by 2", 6, 2, 2, 2, torch.randn(4, 6, 5, 9)),
    case("2 channels to 6, stride 1, expanded by 6", 2, 6, 1, 6, torch.randn(2, 2, 6, 5)),
], weight=2, probe=block_and_look)
exam.law("blocks with a skip", _is_the_block, [
    case("4 channels to 4, stride 1, expanded by 6", 4, 4, 1, 6, torch.randn(2, 4, 6, 7)),
    case("5 channels to 5, stride 1, expanded by 2", 5, 5, 1, 2, 3 * torch.randn(3, 5, 5, 4)),
], weight=2, probe=block_and_look)
exam.law("edges", _is_the_block, [
    edge("expand = 1, with a skip", 4, 4, 1, 1, torch.randn(2, 4, 5, 6)),
    edge("expand = 1, stride 2, 4 channels to 7", 4, 7, 2, 1, torch.randn(2, 4, 7, 6)),
    edge("one channel in and out, expanded by 5", 1, 1, 1, 5, torch.randn(3, 1, 6, 5)),
    edge("4 channels to 4, stride 2, on a single pixel", 4, 4, 2, 3, torch.randn(8, 4, 1, 1)),
], probe=block_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: three networks read digits
#
# With exercises 1 and 3 done, run this cell. The course's convolutional network, the same with its second convolution made depthwise
# separable, and one whose second convolution became an inverted residual; each trained for 4 epochs. Only the last has batch norm, so the
# shapes are not all that differs. No marks.

# %%
def digits_cnn(second):
    """The course's cnn with another second convolution, 8 → 16 channels on 4 × 4 pixels."""
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10))


def macs_of(layer, shape):
    """MACs of all convolutions in `layer` for one picture of this shape."""
    total = []
    hooks = [m.register_forward_hook(lambda m, _, y: total.append(m.weight.numel() * y.shape[2] * y.shape[3]))
             for m in layer.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        layer(torch.zeros(2, *shape))
    for hook in hooks:
        hook.remove()
    return sum(total)


pictures = digits(images=True)
torch.manual_seed(0)
seconds = {"full": nn.Conv2d(8, 16, 3, padding=1), "separable": depthwise_separable(8, 16, 3), "inverted, expand 3": InvertedResidual(8, 16, 1, 3)}
points = {name: (macs_of(second, (8, 4, 4)), accuracy(fit(digits_cnn(second), pictures, 4, rate=5e-3).eval(), pictures)) for name, second in seconds.items()}
ax = plt.subplots(figsize=(6, 3))[1]
for (name, (macs, reached)), colour, marker in zip(points.items(), plots.COLOURS, plots.MARKERS):
    ax.plot(macs / 1e3, 100 * reached, marker, color=colour, markersize=8, label=name)
ax.set(xlabel="MACs of the second convolution (thousands)", ylabel="validation accuracy (%)", xlim=(0, 20), ylim=(85, 100), title="what the savings cost")
ax.legend(loc="lower right")
plt.show()
print({name: macs for name, (macs, _) in points.items()})

# %% [markdown]
# ## 4. A matrix as a product
#
# A dense layer of m outputs and n inputs holds mn weights. If they are nearly of rank r, two thin matrices do nearly the same: $W \approx A
# B$.
#
# Write `low_rank(w, r) -> (a, b)` for a matrix `w` of shape (m, n), m and n of any size, and 1 ≤ r ≤ min(m, n):
#
# $$W = U \Sigma V^\top, \qquad A B = \sum_{i \le r} \sigma_i u_i v_i^\top$$
#
# - `a` has the shape (m, r), `b` the shape (r, n), and `a @ b` is the matrix of rank at most r that is nearest to `w` in the sum of squared
#   differences: the r largest singular values and their vectors. How the singular values are shared out between a and b is yours. (Tests
#   allow 1 % above the least squared error.)
# - A `w` whose rank is below r, a matrix of zeros too, is factored exactly. `w` is not changed.
#
# Write `break_even_rank(m, n) -> int`: the largest r for which the two factors hold *fewer* numbers than the matrix,
#
# $$r\,(m + n) < m\,n.$$
#
# - `m` and `n` are positive integers. An equal number saves nothing. If no r ≥ 1 saves, the result is 0.
#
# Source: Eckart and Young (1936), *The approximation of one matrix by another of lower rank*; for networks Denton et al. (2014),
# *Exploiting Linear Structure Within Convolutional Networks for Efficient Evaluation*.
#
# *Worked example.* `w = [[2, 0, 0], [0, 1, 0]]`, r = 1: the singular values are 2 and 1, so `a @ b` is `[[2, 0, 0], [0, 0, 0]]`, and the
# squared error is 1. For a matrix of 60 × 30 the factors hold 90 r numbers instead of 1800: 19 is the largest rank that saves, 20 needs
# exactly as many.
#
# <details><summary>Hint 1</summary><code>torch.linalg.svd</code> gives U, the singular values in falling order, and V already
# transposed.</details>
# <details><summary>Hint 2</summary>Keep r columns of U, r singular values and r <em>rows</em> of the last factor. The singular values must
# go in exactly once.</details>
# <details><summary>Hint 3</summary><code>u, s, vt = torch.linalg.svd(w, full_matrices=False)</code>; return <code>u[:, :r] * s[:r]</code>
# and <code>vt[:r]</code>. For whole numbers, r (m + n) &lt; mn is r (m + n) ≤ mn − 1.</details>

# %% answer="low_rank"
def low_rank(w, r):
    """Factors (m, r) and (r, n) whose product is the best approximation of w by a matrix of rank r."""
    ### BEGIN SOLUTION
    u, s, vt = torch.linalg.svd(w, full_matrices=False)
    return u[:, :r] * s[:r], vt[:r]
    ### END SOLUTION


def break_even_rank(m, n):
    """The largest rank at which two factors hold fewer numbers than an m × n matrix."""
    ### BEGIN SOLUTION
    return (m * n - 1) // (m + n)
    ### END SOLUTION

# %% test="low_rank" points=4
_a, _b = low_rank(torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), 1)
assert np.shape(_a) == (2, 1) and np.shape(_b) == (1, 3)
assert np.allclose(np.asarray(_a) @ np.asarray(_b), [[2, 0, 0], [0, 0, 0]], atol=1e-6)
assert break_even_rank(60, 30) == 19
### BEGIN HIDDEN TESTS
def _is_nearest(result, w, r):
    a, b = (np.asarray(factor, dtype=np.float64) for factor in result)
    m, n = w.shape
    assert a.shape == (m, r) and b.shape == (r, n), "the factors must have the shapes (m, r) and (r, n)"
    assert np.isfinite(a).all() and np.isfinite(b).all(), "a factor is not finite"
    w = w.double().numpy()
    least = np.square(np.linalg.svd(w, compute_uv=False)[r:]).sum()
    error = np.square(w - a @ b).sum()
    assert error <= 1.01 * least + 1e-6 * np.square(w).sum() + 1e-12, "the product is further from w than the nearest matrix of rank r"


def _matrix(m, n, *singular):
    """A matrix with these singular values."""
    k = len(singular)
    return torch.linalg.qr(torch.randn(m, k))[0] @ torch.diag(torch.tensor(singular, dtype=torch.float32)) @ torch.linalg.qr(torch.randn(n, k))[0].T


seed(4)
_thin = _matrix(4, 9, 3.0, 0.5)
exam.law("matrices", _is_nearest, [
    case("a 6 × 4 matrix, r = 2", torch.randn(6, 4), 2),
    case("a 5 × 12 matrix, r = 3", torch.randn(5, 12), 3),
    case("a 20 × 15 matrix with singular values far from 1, r = 4", _matrix(20, 15, 30.0, 12.0, 7.0, 3.0, 0.9, 0.4), 4),
    case("a square matrix of 7 × 7 small weights, r = 3", 0.01 * torch.randn(7, 7), 3),
    case("a square matrix of 8 × 8 that is symmetric, r = 2", _matrix(8, 8, 5.0, 2.0, 1.0) + 3 * torch.eye(8), 2),
], weight=2)
exam.law("edges of the factors", _is_nearest, [
    edge("r = min(m, n): exact", torch.randn(3, 5), 3),
    edge("r above the rank of w", _thin, 3),
    edge("r = 1", torch.randn(9, 4), 1),
    edge("zeros everywhere", torch.zeros(4, 3), 2),
    edge("a single row", torch.randn(1, 6), 1),
    edge("a single column", torch.randn(5, 1), 1),
    edge("negative weights only", -torch.rand(4, 6) - 0.1, 2),
])
exam.compare("ranks that save", [
    case("1000 × 1000", 1000, 1000),
    case("64 × 10", 64, 10),
    case("512 × 2048", 512, 2048),
    case("17 × 301", 17, 301),
    case("6 × 3: r = 2 would be as many", 6, 3),
    case("12 × 4: r = 3 would be as many", 12, 4),
    case("7 × 3: r = 2 saves a single number", 7, 3),
    edge("2 × 2: none saves", 2, 2),
    edge("a single row: none saves", 1, 50),
    edge("1 × 1: none saves", 1, 1),
    edge("3 × 3: r = 1 saves", 3, 3),
], of="break_even_rank")
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: where low rank pays
#
# With exercise 4 done, run this cell. It factors the first two layers of the trained digits network, at every rank, without retraining.
# Left of the dashed line the factors are smaller than the matrix; right of it they are larger. No marks.

# %%
trained, data = models.load("mlp"), digits()
left, right = plt.subplots(1, 2, figsize=(10, 3.2))[1]
for name, colour, marker in (("0", plots.BLUE, "o"), ("2", plots.ORANGE, "s")):
    layer = trained.get_submodule(name)
    whole, reached = layer.weight.detach().clone(), []
    m, n = whole.shape
    for r in range(1, min(m, n) + 1):
        a, b = low_rank(whole, r)
        layer.weight.data = torch.as_tensor(a) @ torch.as_tensor(b)
        reached.append(100 * accuracy(trained, data))
    layer.weight.data = whole
    left.plot(range(1, min(m, n) + 1), torch.linalg.svdvals(whole), color=colour, marker="", label=f"layer {name}, {m} × {n}")
    right.plot(range(1, min(m, n) + 1), reached, color=colour, marker=marker, markersize=3, label=f"layer {name}, {m} × {n}")
    right.axvline(break_even_rank(m, n) + 0.5, color=colour, linestyle="--", linewidth=1.2, marker="")
    first = next(r for r, value in enumerate(reached, 1) if value >= reached[-1] - 1)
    print(f"layer {name}: {m} × {n}, break-even rank {break_even_rank(m, n)}; the least rank within one point of the whole matrix is {first}: "
          f"{first * (m + n)} numbers instead of {m * n}")
left.set(xlabel="number", ylabel="singular value", title="singular values of the two layers")
right.set(xlabel="rank kept", ylabel="validation accuracy (%)", title="one layer factored, the other whole")
right.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## 5. One parameter in several places
#
# A language model's input embedding and its output layer may be one matrix; ALBERT runs one layer twelve times. That is *weight sharing*:
# one stored parameter, several uses. Two parameters that start alike are not shared: the first step parts them.
#
# Write `tie_weights(model, groups)`, which changes `model` in place. `groups` is a list of lists of parameter names, as
# `model.named_parameters()` gives them before, such as `[["0.weight", "4.weight"], ["0.bias", "2.bias", "4.bias"]]`. Afterwards, in each
# group, all names are *one* `nn.Parameter`:
#
# - `model.get_parameter(name)` is the same object for all names of the group, and `model.parameters()` gives it once, so that it is counted
#   once and an optimizer steps it once. The gradient is then the sum over its uses by itself.
# - Its value is that of the *first name in the group*, whatever the order of the layers. It can be trained.
# - Groups are tied separately; parameters that are in no group stay as they are, as do buffers and the training mode. All names remain.
# - Names may be nested as deeply as you like, `"encoder.body.0.weight"`, or stand at the top, `"weight"`. The parameters of a group have
#   the same shape; no name is in two groups. A group may have a single name, and `groups` may be empty.
# - What the function returns does not matter.
#
# Sources: Press and Wolf (2017), *Using the Output Embedding to Improve Language Models*; Lan et al. (2020), *ALBERT*.
#
# *Worked example.* `nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))` has 24 parameters in 4 tensors. With the group
# `["2.weight", "0.weight"]` there are 15 in 3 tensors, and both layers multiply by what was the weight of layer 2.
#
# <details><summary>Hint 1</summary>Copying a <em>value</em> leaves two parameters. Which object does a module look for when you say
# <code>layer.weight</code>?</details>
# <details><summary>Hint 2</summary><code>setattr(layer, "weight", parameter)</code> makes any <code>nn.Parameter</code> the weight of a
# layer. A name splits into the module's and the parameter's at its last dot.</details>
# <details><summary>Hint 3</summary>For each group, <code>shared = model.get_parameter(names[0])</code>; for each other name, <code>path, _,
# last = name.rpartition(".")</code> and <code>setattr(model.get_submodule(path), last, shared)</code>. The path "" is the model
# itself.</details>

# %% answer="tie_weights"
def tie_weights(model, groups):
    """Make the parameters of each group one, with the value of the first name; in place."""
    ### BEGIN SOLUTION
    for first, *others in groups:
        shared = model.get_parameter(first)
        for name in others:
            path, _, last = name.rpartition(".")
            setattr(model.get_submodule(path), last, shared)
    ### END SOLUTION

# %% test="tie_weights" points=4
def tie_and_look(tie, model, groups, x):
    """Which names are one parameter, what they hold, what the model gives for x; then the values after two steps of SGD with momentum on it.

    Without x, the model is stepped on a sum of all named parameters, each times numbers of its own.
    """
    names = [name for name, _ in model.named_parameters()]
    tie(model, groups)
    held = [model.get_parameter(name) for name in names]
    looks = {"names that are one parameter": [next(k for k, other in enumerate(held) if other is p) for p in held],
             "parameters to train": sorted(p.numel() for p in model.parameters() if p.requires_grad),
             "the values": [p.detach().clone() for p in held], "the names that remain": [name for name in names if name in model.state_dict()],
             "the modes": [m.training for m in model.modules()], "the buffers": [b.clone() for b in model.buffers()],
             "the groups": [list(group) for group in groups]}
    if x is not None:
        looks["the output"] = model(x).detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        uses = [(model.get_parameter(name) * torch.linspace(k - 1, k + 1, held[k].numel()).reshape(held[k].shape)).sum() for k, name in enumerate(names)]
        (sum(uses) if x is None else model(x).square().mean()).backward()
        optimizer.step()
    return looks | {"the values after two steps": [model.get_parameter(name).detach().clone() for name in names]}


torch.manual_seed(5)
_net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
_seen = observe(tie_and_look, tie_weights, _net, [["2.weight", "0.weight"]], torch.randn(4, 3))
assert list(_seen["names that are one parameter"]) == [0, 1, 0, 3]
assert list(_seen["parameters to train"]) == [3, 3, 9], "15 parameters in 3 tensors"
### BEGIN HIDDEN TESTS
def _at_the_top():
    """A module with parameters of its own, and nested ones."""
    module, inner = nn.Module(), nn.Module()
    module.u, module.v, inner.w = (nn.Parameter(torch.randn(2, 5)) for _ in range(3))
    inner.deeper = nn.Sequential(nn.Linear(5, 2), nn.Linear(5, 2))
    module.inner = inner
    return module


seed(5)
_chain = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
_words = nn.Sequential(nn.Embedding(7, 5), nn.Linear(5, 5), nn.Linear(5, 7))
_filters = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)).eval()
_nested = nn.Sequential(nn.Linear(4, 6), models.Residual(nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))), models.Residual(nn.Linear(6, 6)))
_pixels = torch.randn(2, 3, 5, 4)
exam.compare("networks", [
    case("the weights of two layers of three, the biases stay", _chain, [["0.weight", "4.weight"]], torch.randn(5, 4)),
    case("the first name is that of the last layer", _chain, [["4.weight", "0.weight"]], torch.randn(5, 4)),
    case("three names in a group, in no order", _chain, [["2.weight", "4.weight", "0.weight"]], torch.randn(5, 4)),
    case("two groups, weights and biases", _chain, [["2.weight", "0.weight"], ["0.bias", "2.bias", "4.bias"]], torch.randn(5, 4)),
    case("an embedding and the output layer", _words, [["0.weight", "2.weight"]], torch.tensor([[0, 3, 6], [2, 2, 5]])),
    case("the kernels of two convolutions in eval mode, and a batch norm's γ with the other's β", _filters, [["0.weight", "3.weight"], ["1.weight", "4.bias"]], _pixels),
    case("nested names", _nested, [["1.body.2.weight", "2.body.weight"], ["0.bias", "1.body.0.bias"]], torch.randn(3, 4)),
], weight=2, probe=tie_and_look, rtol=1e-4, atol=1e-5)
exam.compare("edges", [
    edge("parameters at the top of a module and inside it", _at_the_top(), [["v", "inner.w", "u"], ["inner.deeper.1.bias", "inner.deeper.0.bias"]], None),
    edge("a single name in a group changes nothing", _chain, [["2.weight"]], torch.randn(5, 4)),
    edge("no groups", _chain, [], torch.randn(5, 4)),
], probe=tie_and_look, rtol=1e-4, atol=1e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 6. A layer of few values
#
# A codebook stores for each weight which value it has. *HashedNets* store nothing of the kind: a hash of the position computes it. So a
# layer of any size lives on as few numbers as one likes.
#
# Write a class `HashedLinear(n_in, n_out, buckets, seed=0)`, an `nn.Module` that takes x of shape (N, `n_in`) to (N, `n_out`):
#
# $$y_i = \sum_j V_{ij}\, x_j + b_i, \qquad V_{ij} = w_{h(i, j)}, \qquad h(i, j) \in \{0, \dots, \text{buckets} - 1\}$$
#
# - w are `buckets` shared values, trainable parameters; the matrix V takes at most `buckets` different values, also after training. (The
#   paper multiplies by a second hash that gives signs; leave it out.) $V_{ij}$ *is* a shared value, without a factor.
# - The bias b is optional: none, or one number for each output. So at most `buckets` + `n_out` numbers are trainable.
# - h is pseudo-random in i *and* j, and `seed` alone fixes it: two layers of the same sizes and seed have the same partition of the
#   positions, whatever the random generators of torch, numpy and Python stand at; layers of different seeds have different partitions. It
#   stays for the layer's life. Any hash or seeded generator will do, but Python's `hash` of a text will not: it is another in each run.
#   Where a layer has many more positions than buckets, hardly a bucket may stay empty.
# - The initial values of w are random: not all alike.
# - The gradient of a shared value is the *sum* over all positions that use it:
#
# $$\frac{\partial L}{\partial w_k} = \sum_{(i, j):\, h(i, j) = k} \frac{\partial L}{\partial V_{ij}}$$
#
# - `buckets` ≥ 1 may be 1, and may exceed the number of positions. Tests read the matrix as `layer(torch.eye(n_in)) -
#   layer(torch.zeros(n_in, n_in))`, which is V transposed. They also set the trainable parameters to 1, 2, 3, … in place and read it again.
#
# Source: Chen et al. (2015), *Compressing Neural Networks with the Hashing Trick*, the section on HashedNets.
#
# *Worked example.* `n_in = 2`, `n_out = 3`, `buckets = 2`, and say h is 0 for the positions (0,0), (1,1), (2,1) and 1 for the others; w =
# (0.5, −2). Then V = [[0.5, −2], [−2, 0.5], [−2, 0.5]]. For x = (1, 3) y = (−5.5, −0.5, −0.5). With ∂L/∂y = (1, 1, 1) every row of ∂L/∂V is
# (1, 3), and ∂L/∂w = (1 + 3 + 3, 3 + 1 + 1) = (7, 5).
#
# <details><summary>Hint 1</summary>A table of bucket numbers of the shape of V, made once, from a generator that is the layer's
# own.</details>
# <details><summary>Hint 2</summary><code>torch.randint(buckets, shape, generator=torch.Generator().manual_seed(seed))</code>. Keep it as a
# buffer: it is no parameter.</details>
# <details><summary>Hint 3</summary>In <code>forward</code>, <code>self.values[self.bucket]</code> looks all of V up, and autograd sums the
# gradients of what was looked up several times; then <code>F.linear</code>.</details>

# %% answer="HashedLinear"
class HashedLinear(nn.Module):
    """A dense layer whose n_out × n_in weights are `buckets` shared values, placed by a seeded hash."""
    ### BEGIN SOLUTION

    def __init__(self, n_in, n_out, buckets, seed=0):
        super().__init__()
        own = torch.Generator().manual_seed(seed)
        self.register_buffer("bucket", torch.randint(buckets, (n_out, n_in), generator=own))
        self.values = nn.Parameter(torch.randn(buckets) / math.sqrt(n_in))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return F.linear(x, self.values[self.bucket], self.bias)
    ### END SOLUTION

# %% test="HashedLinear" points=5
def matrix_of(layer, n_in):
    """The (n_out, n_in) matrix that the layer multiplies by."""
    with torch.no_grad():
        return (layer(torch.eye(n_in)) - layer(torch.zeros(n_in, n_in))).T.contiguous()


def hash_and_look(layer_class, n_in, n_out, buckets, seed, x, g):
    """The matrix of a new layer; then the matrices of several with the trainable parameters set to 1, 2, 3, …, and what a step of SGD makes of one."""
    def numbered(number, *seed):
        random.seed(number), np.random.seed(number), torch.manual_seed(number)
        layer = layer_class(n_in, n_out, buckets, *seed)
        random.seed(number), np.random.seed(number), torch.manual_seed(number)
        first = 1.0
        with torch.no_grad():
            for p in filter(lambda p: p.requires_grad, layer.parameters()):
                p.copy_(torch.arange(first, first + p.numel()).reshape(p.shape))
                first += p.numel()
        return layer

    torch.manual_seed(9)
    fresh = layer_class(n_in, n_out, buckets, seed)
    layer = numbered(1, seed)
    looks = {"fresh": matrix_of(fresh, n_in), "again": matrix_of(fresh, n_in), "trainable": sum(p.numel() for p in fresh.parameters() if p.requires_grad),
             "numbered": matrix_of(layer, n_in), "twin": matrix_of(numbered(2, seed), n_in), "other seeds": [matrix_of(numbered(1, seed + k), n_in) for k in (1, 2)],
             "no seed": matrix_of(numbered(1), n_in), "seed 0": matrix_of(numbered(2, 0), n_in), "output": layer(x).detach().clone(),
             "at zero": layer(torch.zeros(1, n_in)).detach().clone()}
    (layer(x) * g).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=1.0).step()
    return looks | {"after a step": matrix_of(layer, n_in)}


_seen = observe(hash_and_look, HashedLinear, 6, 4, 5, 3, torch.randn(2, 6), torch.randn(2, 4))
assert np.shape(_seen["numbered"]) == (4, 6) and len(np.unique(_seen["numbered"])) <= 5
assert np.array_equal(_seen["numbered"], _seen["twin"]), "the same seed, another partition"
### BEGIN HIDDEN TESTS
def _same_partition(one, other):
    a, b = (np.unique(np.asarray(m).ravel(), return_inverse=True)[1].ravel() for m in (one, other))
    return len(set(zip(a.tolist(), b.tolist()))) == len(set(a.tolist())) == len(set(b.tolist()))


def _shares(found, n_in, n_out, buckets, seed, x, g):
    fresh, v = np.asarray(found["fresh"], dtype=float), np.asarray(found["numbered"], dtype=float)
    assert v.shape == (n_out, n_in), "the layer does not take (N, n_in) to (N, n_out)"
    assert np.isfinite(fresh).all() and np.isfinite(v).all(), "the matrix is not finite"
    assert np.array_equal(fresh, np.asarray(found["again"], dtype=float)), "two calls of one layer use different matrices"
    assert (np.diff(np.sort(fresh.ravel())) > 1e-5).sum() + 1 <= buckets and len(np.unique(v)) <= buckets, "the matrix has more different values than buckets"
    assert found["trainable"] <= buckets + n_out, "more numbers are trainable than the shared values and a bias"
    assert np.abs(fresh).max() > 1e-4, "the initial values are 0"
    assert _same_partition(v, found["twin"]), "two layers with the same seed have different partitions"
    assert _same_partition(found["no seed"], found["seed 0"]), "without a seed the partition is not that of seed 0"
    places = n_in * n_out
    if buckets > 1 and places >= 20 * buckets:
        assert fresh.max() - fresh.min() > 1e-4, "the initial values are all alike"
        assert len(np.unique(v)) >= 0.75 * buckets, "many buckets are empty"
        assert not any(_same_partition(v, other) for other in found["other seeds"]), "layers of different seeds have the same partition"
        assert (v.std(axis=0) > 0).mean() > 0.5 and (v.std(axis=1) > 0).mean() > 0.5, "the bucket does not depend on both row and column"
    x, g = x.double().numpy(), g.double().numpy()
    assert np.allclose(np.asarray(found["output"], dtype=float), x @ v.T + np.asarray(found["at zero"], dtype=float), rtol=1e-4, atol=1e-3), \
        "the output is not the product with that matrix plus a bias"
    moved, slope = np.asarray(found["after a step"], dtype=float), g.T @ x
    summed = sum((v == value) * slope[v == value].sum() for value in np.unique(v))
    assert np.allclose(moved, v - summed, rtol=1e-3, atol=1e-3), "the gradient of a shared value is not the sum over its positions"


def _with_inputs(n_in, n_out, buckets, number, rows=5):
    return n_in, n_out, buckets, number, torch.randn(rows, n_in), torch.randn(rows, n_out)


seed(6)
exam.law("layers", _shares, [
    case("12 inputs, 20 outputs, 8 buckets, seed 0", *_with_inputs(12, 20, 8, 0)),
    case("30 inputs, 14 outputs, 16 buckets, seed 7", *_with_inputs(30, 14, 16, 7)),
    case("25 inputs, 25 outputs, 5 buckets, seed 123", *_with_inputs(25, 25, 5, 123)),
    case("9 inputs, 40 outputs, 2 buckets, seed 4", *_with_inputs(9, 40, 2, 4, 1)),
], weight=2, probe=hash_and_look)
exam.law("edges", _shares, [
    edge("a single bucket", *_with_inputs(6, 4, 1, 0)),
    edge("more buckets than positions", *_with_inputs(3, 2, 50, 1)),
    edge("one input", *_with_inputs(1, 9, 3, 2)),
    edge("one output", *_with_inputs(9, 1, 3, 2)),
], probe=hash_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: few values, or a thin network?
#
# With exercise 6 done, run this cell. It makes the digits network 64–64–32–10 smaller in two ways: with hashed layers of as few values, or
# with narrower hidden layers. Each point is a network that was trained for 6 epochs. No marks.

# %%
def hashed_mlp(share):
    sizes = (64, 64, 32, 10)
    layers = [part for a, b in zip(sizes, sizes[1:]) for part in (HashedLinear(a, b, max(1, round(share * a * b))), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def thin_mlp(share):
    """Hidden layers of 2h and h units, with h so that the parameters come nearest."""
    def count(h):
        return (64 + 1) * 2 * h + (2 * h + 1) * h + (h + 1) * 10

    goal = sum(p.numel() for p in hashed_mlp(share).parameters())
    h = min(range(1, 33), key=lambda h: abs(count(h) - goal))
    return models.mlp((64, 2 * h, h, 10))


shares = (1 / 4, 1 / 10, 1 / 25)
ax = plt.subplots(figsize=(6.5, 3.2))[1]
for label, make in (("hashed layers (exercise 6)", hashed_mlp), ("a thinner network", thin_mlp)):
    torch.manual_seed(6)
    networks = [fit(make(share), data, 6, rate=5e-3) for share in shares]
    held = [sum(p.numel() for p in network.parameters()) for network in networks]
    print(f"{label}: parameters {held}")
    ax.plot(held, [100 * accuracy(network, data) for network in networks], label=label)
ax.set(xscale="log", xlabel="parameters", ylabel="validation accuracy (%)", title="the same storage, spent in two ways")
ax.minorticks_off()
ax.set_xticks([300, 600, 1200, 2400], ["300", "600", "1200", "2400"])
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# A thin network is cheaper in time as well; a hashed one runs with the full matrix, however few numbers it holds. Sharing saves storage,
# not multiplications.

# %% [markdown]
# ## 7. Search under a constraint
#
# Write `evolve(space, predictor, constraint) -> config`, an evolutionary search for a good architecture that is cheap enough.
#
# - `space` is `{name: choices}`, each `choices` a list of numbers, in any order. A *configuration* is a dictionary with one of its choices
#   for every name. There are at most 20,000 of them.
# - `predictor(config) -> float` says how good it is: higher is better; it may be negative. `constraint(config) -> bool` says whether it is
#   allowed. Both are functions that take a plain dictionary and always give the same for the same. They run beside the tests, at a price
#   per call of a fraction of a millisecond; all calls of one search together may be up to 100,000.
# - The result satisfies the constraint, and its score is at least the 99th percentile (`np.percentile`) of the scores of *all*
#   configurations that do: it is among the best hundredth, or equals it.
# - If no configuration satisfies the constraint, raise `ValueError`. There may be very few that do, even a single one: drawing a hundred
#   times in vain proves nothing.
# - `space` is not changed. Choices are drawn from a list, never interpolated.
#
# The scheme: draw a first population of allowed configurations. In each generation keep the best quarter as parents; make children by
# *crossover* (each name's choice from one of two different parents) and *mutation* (now and then a fresh choice); only children that
# satisfy the constraint join. Return the best. Any other search that gives such a result is right, too: what is tested is the result, on
# spaces in which the choices depend on one another.
#
# Source: Cai et al. (2020), *Once-for-All: Train One Network and Specialize it for Efficient Deployment*, which searches so for each
# device, guided by predictors of accuracy and latency. Its space has more than $10^{19}$ configurations; ours is small enough to be
# checked.
#
# *Worked example.* `{"depth": [2, 3], "width": [8, 16, 32]}`, score = depth · width, constraint width² · depth ≤ 600. Allowed are (2, 8),
# (3, 8) and (2, 16), with scores 16, 24 and 32. The result is depth 2, width 16. (3, 32) scores 96 and is not allowed; crossing (3, 8) and
# (2, 16) can give (3, 16), which takes 768 and must not join.
#
# <details><summary>Hint 1</summary>Make all configurations with <code>itertools.product(*space.values())</code>, shuffle them, and take the
# first 60 or so that are allowed. If there are none, you know it for certain.</details>
# <details><summary>Hint 2</summary>A child: <code>{name: random.choice((mother[name], father[name])) for name in space}</code>; then, with
# a probability of 0.1 to 0.2 for each name, <code>random.choice(space[name])</code> instead. Ask the constraint before it joins.</details>
# <details><summary>Hint 3</summary>Ten to thirty generations of 40 to 60 children. Keep the parents in the population, so that the best is
# never lost. Make a fixed number of tries for children in each generation: under a tight constraint few succeed.</details>

# %% answer="evolve"
def evolve(space, predictor, constraint):
    """A configuration that satisfies the constraint and scores among the best hundredth of those."""
    ### BEGIN SOLUTION
    rng = random.Random(0)
    configs = [dict(zip(space, values)) for values in itertools.product(*space.values())]
    rng.shuffle(configs)
    population = [(predictor(config), config) for config in itertools.islice(filter(constraint, configs), 60)]
    if not population:
        raise ValueError("no configuration satisfies the constraint")
    for _ in range(10):
        parents = sorted(population, key=lambda scored: scored[0], reverse=True)[:20]
        population = parents
        for _ in range(40):
            (_, mother), (_, father) = rng.choice(parents), rng.choice(parents)
            child = {name: rng.choice((mother[name], father[name])) if rng.random() < 0.8 else rng.choice(space[name]) for name in space}
            if constraint(child):
                population.append((predictor(child), child))
    return max(population, key=lambda scored: scored[0])[1]
    ### END SOLUTION

# %% test="evolve" points=5
from autograder import callback


def _product(config):
    return config["depth"] * config["width"]


def _light(config):
    return config["width"] ** 2 * config["depth"] <= 600


_found = evolve({"depth": [2, 3], "width": [8, 16, 32]}, callback(_product), callback(_light))
assert dict(_found) == {"depth": 2, "width": 16}
### BEGIN HIDDEN TESTS
def _is_among_the_best(config, space, predictor, constraint):
    predictor, constraint = getattr(predictor, "target", predictor), getattr(constraint, "target", constraint)
    assert set(config) == set(space), "the configuration does not have the names of the space"
    config = {name: next((choice for choice in space[name] if float(config[name]) == choice), None) for name in space}
    assert None not in config.values(), "a value is none of the choices of its name"
    assert constraint(config), "the configuration does not satisfy the constraint"
    every = (dict(zip(space, values)) for values in itertools.product(*space.values()))
    scores = [predictor(one) for one in every if constraint(one)]
    assert predictor(config) >= np.percentile(scores, 99) - 1e-9, "the score is below the 99th percentile of what is allowed"


def _genes(names, choices):
    return {name: list(choices) for name in names}


def _coupled(space, number, shift=0.0, pairs=1.0):
    """A score of one random number for each choice, and one for each pair of choices of neighbouring names."""
    rng = np.random.default_rng(number)
    own, both = ([rng.random((len(choices), len(choices))) for choices in space.values()] for _ in range(2))
    names, index = list(space), {name: {choice: k for k, choice in enumerate(choices)} for name, choices in space.items()}

    def score(config):
        at = [index[name][config[name]] for name in names]
        return shift + sum(float(own[n][k, 0] + pairs * both[n][k % len(both[n]), at[n - 1] % len(both[n])]) for n, k in enumerate(at))

    return callback(score)


def _sum_between(low, high):
    return callback(lambda config: low <= sum(config.values()) <= high)


def _one_of(*allowed):
    return callback(lambda config: any(dict(config) == one for one in allowed))


def _accuracy(config):
    """Deeper, wider and longer kernels help less and less; depth and width should fit one another, and a kernel can be too long."""
    depth, width = config["depth"], config["width"]
    return 60 + 6 * math.log(depth * width / 8) - 0.0005 * (width - 5 * depth) ** 2 - 0.6 * abs(config["kernel"] - 5) + 2 * math.log(config["expand"])


def _affordable(config):
    depth, width, expand = config["depth"], config["width"], config["expand"]
    return depth * width ** 2 * expand + 4 * depth * width * expand * config["kernel"] ** 2 <= 120_000


def _anything(config):
    return True


def _nothing(config):
    return False


def _all_alike(config):
    return 0.5


def _at_the_border(config):
    return config["a"] * config["b"] * config["c"] + 7 * config["d"] - 0.4 * config["a"] ** 2 * config["d"]


def _within_the_border(config):
    return config["a"] * config["b"] * config["d"] <= 600


def _weighted(config):
    g = [config[name] for name in "uvwxyz"]
    return 3 * g[0] + g[1] + 2 * g[2] + g[3] * g[4] + g[5] <= 16


_blocks = {"depth": [2, 3, 4, 5, 6, 8, 10, 12], "width": [64, 8, 12, 16, 24, 32, 40, 48], "kernel": [3, 5, 7, 9], "expand": [1, 2, 3, 4, 5, 6]}
_six, _eight = _genes("uvwxyz", [3, 1, 4, 2]), _genes("abcdefgh", [1, 2, 3])
_odd = {"a": [1, 2, 3, 4, 5, 6, 7, 8], "b": [70, 60, 10, 20, 30, 40, 50], "c": [0.5, 1.0, 1.5, 2.0, 2.5], "d": [1, 2, 4, 8]}
_last = {name: choices[-1] for name, choices in _blocks.items()}
exam.law("choices that depend on one another", _is_among_the_best, [
    case("4096 configurations, all of them allowed", _six, _coupled(_six, 1), callback(_anything)),
    case("6561 configurations, of which six in seven are allowed", _eight, _coupled(_eight, 8), _sum_between(8, 18)),
    case("negative scores, half of the configurations allowed", _six, _coupled(_six, 4, -50.0, 0.8), _sum_between(6, 14)),
], weight=2)
exam.law("constraints that bind", _is_among_the_best, [
    case("1536 networks under a limit of MACs", _blocks, callback(_accuracy), callback(_affordable)),
    case("the better, the nearer to the border", _odd, callback(_at_the_border), callback(_within_the_border)),
    case("the sum of the choices must lie in a narrow band", _six, _coupled(_six, 5, 0.0, 0.5), _sum_between(14, 15)),
    case("one configuration in nine is allowed", _six, _coupled(_six, 6, 0.0, 0.5), callback(_weighted)),
], weight=2)
exam.law("edges", _is_among_the_best, [
    edge("one of 1536 configurations is allowed", _blocks, callback(_accuracy), _one_of(_last)),
    edge("two of 1536 configurations are allowed", _blocks, callback(_accuracy), _one_of(_last, _last | {"depth": 2})),
    edge("all scores are alike", _odd, callback(_all_alike), callback(_within_the_border)),
    edge("one name", {"width": [5, 9, 1, 7]}, callback(lambda config: -abs(config["width"] - 6.5)), callback(_anything)),
    edge("a single configuration", {"width": [8], "depth": [2]}, callback(_product), callback(_anything)),
    edge("a name with a single choice", {"width": [8, 16, 32], "depth": [2]}, callback(_product), callback(_light)),
    edge("nothing is allowed: raises ValueError", {"depth": [2, 3, 4], "width": [8, 16, 32]}, callback(_product), callback(_nothing)),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 8. A stand-in for training
#
# A search asks thousands of times how good an architecture is, and training each would take years. So a few hundred are trained, and a
# regression learns to predict the accuracy of the others from their description. What it must get right is the *order*: a search only
# compares. The measure is Kendall's τ: of all pairs, the share that is ordered alike minus the share that is ordered otherwise. 1 is the
# same order, 0 is chance.
#
# Write `accuracy_predictor(X, y) -> predict`:
#
# - `X` is a tensor (n, 3), each row an architecture with its features scaled to [0, 1]; `y` (n,) are their accuracies, in standard units
#   (mean 0, standard deviation 1).
# - `predict(X_new)` takes a tensor (m, 3) of other architectures and gives m numbers, an array of shape (m,): higher for what is better.
# - Tests use sets that the function `architectures` of the next cell makes with seeds of their own: 600 rows to learn from, 150 to 300
#   others to be ordered. On those, τ must be at least 0.7. Which feature plays which role, and the signs, change from set to set: learn
#   them from the data.
# - A row is predicted alike alone or in a batch (to within 1e-3), in whatever batch, and as often as one asks. `X` and `y` are not changed.
# - Any method is welcome, those of scikit-learn too: a small neural network, nearest neighbours, a forest, boosting, kernel regression. It
#   should learn within a few seconds (a Gaussian process that searches for its length scales takes longer; `optimizer=None` leaves the
#   search out). A linear model is of no use here: it reaches a τ of about 0.
#
# Sources: Cai et al. (2020), *Once-for-All*, whose predictor is a small feed-forward network; Kendall (1938), *A New Measure of Rank
# Correlation*.
#
# *Worked example of τ.* True accuracies 0.7, 0.8, 0.9, predictions 1, 3, 2: two of the three pairs are in order, one is not: τ = (2 − 1)/3
# = 1/3. Squared errors do not enter: 0.1, 30, 20 give the same.
#
# <details><summary>Hint 1</summary>Plot y against each feature (you have <code>architectures</code>). One has its best value in the middle;
# two matter only together. Nothing of this is a straight line.</details>
# <details><summary>Hint 2</summary>What is like the new row? A mean of the known accuracies that is weighted by nearness is a start, and it
# is nonlinear.</details>
# <details><summary>Hint 3</summary>Kernel ridge regression: with $k(a, b) = e^{-5 \lVert a - b \rVert^2}$ and the matrix K of all pairs of
# rows of X, solve $(K + 0.01\, I)\, c = y$; then predict $\sum_i c_i\, k(x, x_i)$. <code>torch.cdist</code> gives the distances. Or fit a
# regressor of scikit-learn and return its <code>predict</code>.</details>

# %%
def architectures(seed, n=600, held_out=300):
    """(X, y, X_new, y_new): a synthetic set of architectures with n rows to learn from, and others; the roles of the features depend on the seed."""
    rng = np.random.default_rng(seed)
    X = rng.random((n + held_out, 3))
    depth, width, kernel = X[:, rng.permutation(3)].T
    hill, wave, together = 1.5 * np.sin(np.pi * depth), np.cos(2 * np.pi * width), (2 * width - 1) * (2 * kernel - 1)
    first, second, third = rng.choice([-1, 1], 3)
    y = first * hill + second * wave + third * together + 0.05 * rng.normal(size=len(X))
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)
    return X[:n], y[:n], X[n:], y[n:]

# %% answer="accuracy_predictor"
def accuracy_predictor(X, y):
    """Learn accuracy from architectures; returns predict(X_new)."""
    ### BEGIN SOLUTION
    def kernel(a, b):
        return torch.exp(-5 * torch.cdist(a, b) ** 2)

    weights = torch.linalg.solve(kernel(X, X) + 0.01 * torch.eye(len(X)), y)
    return lambda X_new: kernel(X_new, X) @ weights
    ### END SOLUTION

# %% test="accuracy_predictor" points=4
def learn_and_predict(learn, X, y, X_new):
    """Predictions for all new rows at once, for ten of them alone, for a few, and once more for all; X and y afterwards."""
    predict = learn(X, y)

    def predicted(rows):
        given = predict(rows.clone())
        return given.detach() if torch.is_tensor(given) else given

    return {"all": predicted(X_new), "alone": [predicted(X_new[k:k + 1]) for k in range(10)], "last rows": predicted(X_new[-7:]),
            "again": predicted(X_new), "X": X, "y": y}


_X, _y, _X_new, _y_new = architectures(0)
_seen = observe(learn_and_predict, accuracy_predictor, _X, _y, _X_new)
assert len(np.ravel(_seen["all"])) == 300
assert kendalltau(np.ravel(_seen["all"]), _y_new)[0] >= 0.7
### BEGIN HIDDEN TESTS
def _orders(found, X, y, X_new):
    predicted = np.asarray(found["all"], dtype=float).ravel()
    assert predicted.shape == (len(X_new),), "there must be one number for each new row"
    assert np.isfinite(predicted).all(), "a prediction is not finite"
    assert np.array_equal(found["X"], X) and np.array_equal(found["y"], y), "X or y was changed"
    alone = np.array([float(np.asarray(one, dtype=float).reshape(())) if math.prod(np.shape(one)) == 1 else np.nan for one in found["alone"]])
    last, again = (np.asarray(found[name], dtype=float).ravel() for name in ("last rows", "again"))
    assert np.allclose(alone, predicted[:10], rtol=1e-3, atol=1e-3), "a row alone is not predicted as in the batch"
    assert last.shape == (7,) and np.allclose(last, predicted[-7:], rtol=1e-3, atol=1e-3), "a row is predicted otherwise in another batch"
    assert np.allclose(again, predicted, rtol=1e-3, atol=1e-3), "a second call gives other predictions"
    wanted = next(new for number in (402_653_189, 805_306_457, 1_610_612_741) for *_, rows, new in [architectures(number)] if torch.equal(rows[:len(X_new)], X_new))[:len(X_new)]
    assert kendalltau(predicted, wanted.numpy())[0] >= 0.7, "τ on the held-out architectures is below 0.7"


exam.law("held-out architectures", _orders, [
    case("another set", *architectures(402_653_189)[:3]),
    case("a set in which the features have other roles", *architectures(805_306_457)[:3]),
    edge("a third set, of which 150 rows are to be ordered", *architectures(1_610_612_741)[:2], architectures(1_610_612_741)[2][:150]),
], probe=learn_and_predict)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: search, with a stand-in, under a limit
#
# With exercises 7 and 8 done, run this cell. The space is real: digits networks with two hidden layers of 3 to 40 units. All 49 are trained
# for 4 epochs, so that we know the truth; your predictor sees 24 of them, and your search asks the predictor, under a limit on the MACs.
# (The 49 are trained side by side, as one stack of matrices with 40 units each, of which masks switch off what a network does not have.) No
# marks.

# %%
units = [3, 5, 8, 12, 18, 28, 40]
space = {"first": units, "second": units}


def mlp_macs(config):
    return 64 * config["first"] + config["first"] * config["second"] + 10 * config["second"]


def features(config):
    """The widths and the MACs, on a logarithmic scale, from 0 to 1."""
    return [math.log(config["first"] / 3) / math.log(40 / 3), math.log(config["second"] / 3) / math.log(40 / 3), math.log(mlp_macs(config) / 231) / math.log(4560 / 231)]


def train_all(configs, epochs=4):
    """The validation accuracy of each network, all of them trained at once."""
    torch.manual_seed(8)
    widths = torch.tensor([[64, *config.values(), 10] for config in configs])
    masks = [(torch.arange(40) < widths[:, layer, None]).float()[:, None] for layer in (1, 2)]
    parameters = [torch.randn(len(configs), n_in, n_out) * (2 / widths[:, layer, None, None]).sqrt() for layer, (n_in, n_out) in enumerate([(64, 40), (40, 40), (40, 10)])]
    parameters = [p.requires_grad_() for p in (*parameters, torch.zeros(len(configs), 1, 10))]

    def logits(x):
        first, second, last, bias = parameters
        h = (x.expand(len(configs), -1, -1) @ first).relu() * masks[0]
        return ((h @ second).relu() * masks[1]) @ last + bias

    (x, y, x_val, y_val), optimizer = data, torch.optim.Adam(parameters, lr=5e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            (F.cross_entropy(logits(x[batch]).flatten(0, 1), y[batch].repeat(len(configs))) * len(configs)).backward()
            optimizer.step()
    with torch.no_grad():
        return (logits(x_val).argmax(2) == y_val).double().mean(1).float()


configs = [dict(zip(space, values)) for values in itertools.product(*space.values())]
described, truth = torch.tensor([features(config) for config in configs]), train_all(configs)
known = torch.randperm(len(configs), generator=torch.Generator().manual_seed(8)) < 24
centre, spread = truth[known].mean(), truth[known].std()
predict = accuracy_predictor(described[known], (truth[known] - centre) / spread)
guessed = torch.as_tensor(np.asarray(predict(described), dtype=np.float32)).ravel() * spread + centre
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
left.plot(100 * truth[~known], 100 * guessed[~known], "o", color=plots.BLUE)
left.axline((70, 70), slope=1, color=plots.GREY, linestyle="--", linewidth=1, marker="")
left.set(xlabel="measured accuracy (%)", ylabel="predicted (%)", title=f"25 networks that it has not seen: τ = {kendalltau(guessed[~known], truth[~known])[0]:.2f}")
right.plot([mlp_macs(config) for config in configs], 100 * truth, ".", color=plots.PALE, markersize=8, label="all 49")
for limit in (500, 1000, 2000):
    found = evolve(space, lambda config: float(np.ravel(predict(torch.tensor([features(config)])))[0]), lambda config: mlp_macs(config) <= limit)
    best = max(score for config, score in zip(configs, truth.tolist()) if mlp_macs(config) <= limit)
    reached = truth[configs.index(found)].item()
    right.plot(mlp_macs(found), 100 * reached, "s", color=plots.ORANGE, markersize=8, label="found" if limit == 500 else None)
    right.plot(limit, 100 * best, "_", color=plots.BLUE, markersize=16, markeredgewidth=2, label="best within the limit" if limit == 500 else None)
    right.axvline(limit, color=plots.GREY, linestyle="--", linewidth=1, marker="")
    print(f"at most {limit} MACs: found {found} with {mlp_macs(found)}")
right.set(xscale="log", xlabel="MACs", ylabel="validation accuracy (%)", title="dashed: the limits")
right.minorticks_off()
right.set_xticks([250, 500, 1000, 2000, 4000], ["250", "500", "1000", "2000", "4000"])
right.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## 9. A cost that gradient descent can lower
#
# The other way to search keeps all candidates at once: every layer computes a mixture of its operations, weighted by a softmax of trainable
# numbers α, and the weights are trained together with the rest (DARTS). To make the result cheap, its *expected latency* joins the loss.
# Latencies are looked up in a table that was measured once on the device.
#
# Write `expected_latency(alphas, latencies) -> latency` for two tensors of shape (L, K): for L layers with K candidate operations each, the
# numbers α and the latency of each operation in that layer:
#
# $$p_{lo} = \frac{e^{\alpha_{lo}}}{\sum_{o'} e^{\alpha_{lo'}}}, \qquad E = \sum_{l} \sum_{o} p_{lo}\, t_{lo}, \qquad \frac{\partial E}{\partial \alpha_{lo}} = p_{lo}\,\Big(t_{lo} - \sum_{o'} p_{lo'} t_{lo'}\Big)$$
#
# - The softmax runs over the operations of each layer, that is along each row; the layers run one after the other, so that their latencies
#   add up.
# - The result is a tensor with a single number, through which the gradient flows to `alphas` as in the formula. It is finite for α of ± 1e4
#   too.
# - `alphas` and `latencies` are not changed.
#
# Sources: Wu et al. (2019), *FBNet*, for the table of latencies and their expectation; Liu et al. (2019), *DARTS*, for the softmax over
# operations.
#
# *Worked example.* `alphas = [[0, 0], [ln 3, 0]]`, `latencies = [[2, 4], [1, 5]]`: p = [[0.5, 0.5], [0.75, 0.25]], and E = 3 + 2 = 5. The
# gradient is [[−0.5, 0.5], [−0.75, 0.75]]: a step against it makes the cheaper operation likelier.
#
# <details><summary>Hint 1</summary>An <code>argmax</code> has no gradient, and the latency of the likeliest is not the expected
# one.</details>
# <details><summary>Hint 2</summary><code>torch.softmax(alphas, dim=1)</code> is stable. Which axis are the operations?</details>
# <details><summary>Hint 3</summary>Multiply the probabilities by the latencies, element by element, and sum everything. Leave out
# <code>item()</code> and <code>detach()</code>.</details>

# %% answer="expected_latency"
def expected_latency(alphas, latencies):
    """The sum over layers of the mean latency under the softmax of each row; differentiable in alphas."""
    ### BEGIN SOLUTION
    return (torch.softmax(alphas, dim=1) * latencies).sum()
    ### END SOLUTION

# %% test="expected_latency" points=3
def expect_and_look(expect, alphas, latencies):
    """The value, the gradient of alphas, and both arguments afterwards."""
    leaf = alphas.clone().requires_grad_()
    given, table = leaf * 1, latencies.clone()
    value = expect(given, table)
    gradient = torch.autograd.grad(value.sum(), leaf, allow_unused=True)[0] if torch.is_tensor(value) and value.requires_grad else None
    return {"how many numbers": torch.as_tensor(value).numel(), "the value": torch.as_tensor(value).detach().reshape(-1), "the gradient of alphas": gradient,
            "alphas afterwards": given.detach(), "latencies afterwards": table}


_seen = observe(expect_and_look, expected_latency, torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([[2.0, 4.0], [1.0, 5.0]]))
assert np.allclose(_seen["the value"], [5.0])
assert np.allclose(_seen["the gradient of alphas"], [[-0.5, 0.5], [-0.75, 0.75]])
### BEGIN HIDDEN TESTS
seed(9)
exam.compare("tables", [
    case("3 layers, 4 operations", torch.randn(3, 4), 5 * torch.rand(3, 4)),
    case("6 layers, 2 operations, latencies of some hundreds", 2 * torch.randn(6, 2), 100 + 300 * torch.rand(6, 2)),
    case("2 layers, 7 operations", 3 * torch.randn(2, 7), torch.rand(2, 7)),
    case("5 layers, 5 operations", torch.randn(5, 5), 1 + 9 * torch.rand(5, 5)),
], weight=2, probe=expect_and_look)
exam.compare("edges", [
    edge("alphas of 10 000 and −10 000", torch.tensor([[1e4, 0.0, -1e4], [0.0, -1e4, 1e4]]), torch.tensor([[3.0, 1.0, 2.0], [1.0, 4.0, 7.0]])),
    edge("a single layer", torch.tensor([[0.3, -1.0, 2.0]]), torch.tensor([[4.0, 1.0, 2.0]])),
    edge("a single operation: a latency that no α can change", torch.tensor([[0.7], [-2.0], [1.0]]), torch.tensor([[1.5], [2.5], [4.0]])),
    edge("an operation that costs nothing", torch.randn(2, 3), torch.tensor([[0.0, 2.0, 3.0], [1.0, 0.0, 9.0]])),
    edge("all alphas alike", torch.zeros(3, 4), torch.arange(12.0).reshape(3, 4)),
], probe=expect_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## Concepts
#
# What the exercises above taught you, asked the way an interviewer asks it: five checks that are marked at once, and a question to answer
# in your own words. In a check every statement stands alone; any number of them, but at least one, is true.

# %% check="separable_convolution" points=1

# %% check="separable_macs" points=1

# %% check="depthwise_intensity" points=1

# %% check="tied_or_alike" points=1

# %% check="hashed_layer_ratio" points=1

# %% [markdown] interview="I21" points=5

# %% [markdown]
# ## Where this leads
#
# You have built three ways to a network that is small from the start: blocks that need fewer multiplications (`depthwise_separable`,
# `InvertedResidual`), matrices that hold fewer numbers (`low_rank`, `tie_weights`, `HashedLinear`), and a search that designs under a limit
# (`evolve` with `accuracy_predictor`, or gradients with `expected_latency`).
#
# Keep the three currencies apart. Low rank below the break-even saves numbers and multiplications; sharing saves numbers only; a separable
# convolution saves numbers and multiplications, and moves more bytes. Which of them is time depends on the machine: compute the arithmetic
# intensity first, then measure (12).
#
# A small network need not be trained from labels alone: a large one can teach it (09). And the small one can be pruned and quantized like
# any other (11).
