# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 03 · Structured pruning
#
# A mask makes weights zero, and a dense kernel multiplies by zeros as diligently as by anything else. To make a network smaller and faster on
# every machine, cut whole *units* out of it: the neurons of a linear layer, the filters of a convolution. Its tensors shrink, and nothing about
# the hardware has to be special. Li et al. (2017), *Pruning Filters for Efficient ConvNets*, did that to VGG-16 and ResNet.
#
# You will do it to the networks of this course, from one score to a whole recipe:
#
# - **The cut.** Score filters (1), take neurons out of two linear layers (2), filters out of a convolution, its batch norm and what
#   follows (3), and check that a cut network computes exactly what the masked one computed (4).
# - **The choice.** Scores that are learnt with the network (5), scores that look at filters or at activations (6).
# - **How much from where.** The same share of every layer or a share for each (7), units first and then weights (8), and a published
#   answer to be repaired (9).
#
# **Conventions.** A *unit* is a row of a linear layer's weight, with its bias, or a *filter*, a slice `weight[j]` of a convolution's, with its
# bias; the unit's output is a *feature*, or a *channel*. `keep` is an int64 tensor of the indices that stay, ascending, at least one. Ratios are the
# part *removed*, counts are Python's `round(ratio * n)`. A function gives back something new, leaves the modules that it was given as they
# were, and shares no parameter with them. Results may be torch tensors, numpy arrays or lists: values count. In the later exercises you may call
# your earlier answers; what is wrong in these is wrong there, too.

# %%
import copy
import time

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
import matplotlib.pyplot as plt
from autograder import observe
from course import models, plots
from course.datasets import digits
from course.train import accuracy, fit

torch.set_num_threads(1)                                 # so small a network is slower on many threads

# %% [markdown]
# ## 1. Score filters by their size
#
# Write `filter_scores(conv) -> scores` for an `nn.Conv2d`: the $L_1$ norm of each filter, over its input channels and its kernels,
#
# $$s_j = \sum_{c}\sum_{u,v} |W_{j,c,u,v}|.$$
#
# - `conv.weight` has the shape (C_out, C_in, k_h, k_w), and `scores` the shape (C_out,): one number for each *output* channel.
# - It is a sum, not a mean. The bias does not count. `conv` is not changed.
#
# Source: Li et al. (2017), *Pruning Filters for Efficient ConvNets*, section 3.1, step 1: the sum of a filter's absolute kernel weights.
#
# *Worked example.* Two filters over one input channel, $\begin{pmatrix}1 & -2\\ 0 & 0.5\end{pmatrix}$ and $\begin{pmatrix}-1 & 1\\ 0.5 & 0.5\end{pmatrix}$,
# have the scores 3.5 and 3, so the second goes first. By signed sum they would have −0.5 and 1.
#
# <details><summary>Hint 1</summary>Which axis of the weight survives the sum?</details>
# <details><summary>Hint 2</summary><code>conv.weight.abs()</code> has four axes. All but axis 0 are summed over.</details>
# <details><summary>Hint 3</summary><code>conv.weight.detach().abs().flatten(1)</code> has one row for each filter; sum the rows.</details>

# %% answer="filter_scores"
def filter_scores(conv):
    """The L1 norm of each filter: (C_out,)."""
    ### BEGIN SOLUTION
    return conv.weight.detach().abs().flatten(1).sum(1)
    ### END SOLUTION

# %% test="filter_scores" points=2
_conv = nn.Conv2d(1, 2, 2)
_conv.weight.data = torch.tensor([[[[1.0, -2.0], [0.0, 0.5]]], [[[-1.0, 1.0], [0.5, 0.5]]]])
assert np.allclose(np.asarray([float(s) for s in filter_scores(_conv)]), [3.5, 3.0])
### BEGIN HIDDEN TESTS
def _score_and_look(score, conv):
    """The scores, and what is left of the layer."""
    return {"scores": score(conv), "the layer": {name: p.detach().clone() for name, p in conv.named_parameters()}}


seed(1)
_plain, _square, _long = nn.Conv2d(3, 5, 3), nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(2, 4, (1, 5), bias=False)
_one, _nothing, _small = nn.Conv2d(4, 1, 3), nn.Conv2d(2, 6, 3), nn.Conv2d(1, 8, 1, stride=2)
for _conv, _scale in ((_plain, 1), (_square, 1), (_long, 3), (_one, 0.1), (_nothing, 0), (_small, 0.01)):
    for _p in _conv.parameters():
        nn.init.normal_(_p, std=_scale)
_nothing.bias.data += 1
exam.compare("convolutions", [
    case("5 filters of 3 × 3 over 3 channels", _plain),
    case("as many filters as channels", _square),
    case("4 filters of 1 × 5 over 2 channels, without bias", _long),
], weight=2, probe=_score_and_look)
exam.compare("edges", [
    edge("a single filter", _one),
    edge("filters of zeros that have a bias", _nothing),
    edge("kernels of 1 × 1 over one channel", _small),
], probe=_score_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Remove neurons
#
# Let `fc1` and `fc2` be two `nn.Linear` with an activation between them: $a = \phi(W_1 x + b_1)$, $y = W_2\,a + b_2$. Write
# `remove_neurons(fc1, fc2, keep) -> (fc1, fc2)`: the two layers with only the hidden units in `keep`. A unit is a row of $W_1$, an entry of
# $b_1$ and a *column* of $W_2$, and all three go:
#
# $$W_1' = W_1[\text{keep}, :], \qquad b_1' = b_1[\text{keep}], \qquad W_2' = W_2[:, \text{keep}], \qquad b_2' = b_2.$$
#
# - With k indices in `keep` the new shapes are (k, n_in), (k,), (n_out, k) and (n_out,), and the `in_features` and `out_features` of both
#   layers agree with them. The kept units stay in their order.
# - A bias of `None` stays `None`. Each layer stays in the mode (`training`) that it was in.
# - Both layers are new, and the given ones are as they were.
#
# Source: Li et al. (2017), section 3.1, step 3, says it of filters: remove the unit, and what the next layer made of it.
#
# *Worked example.* $W_1 = \begin{pmatrix}1&0\\2&2\\0&3\end{pmatrix}$, $b_1 = (0.1, 0.2, 0.3)$, $W_2 = (1\;\,2\;\,3)$, `keep = [0, 2]`:
# $W_1' = \begin{pmatrix}1&0\\0&3\end{pmatrix}$, $b_1' = (0.1, 0.3)$, $W_2' = (1\;\,3)$. Of 9 + 4 parameters ($b_2$ is one of them) 6 + 3 are left.
#
# <details><summary>Hint 1</summary>Draw the two matrices. Where is unit j in the first, and where in the second?</details>
# <details><summary>Hint 2</summary>Indexing with a tensor selects: <code>w[keep]</code> rows, <code>w[:, keep]</code> columns. A layer of your own to
# change is <code>copy.deepcopy(fc1)</code>.</details>
# <details><summary>Hint 3</summary>In the copies set <code>fc1.weight.data = fc1.weight.data[keep]</code>, the bias likewise where there is one, and
# <code>fc2.weight.data = fc2.weight.data[:, keep]</code>; then <code>fc1.out_features = fc2.in_features = len(keep)</code>.</details>

# %% answer="remove_neurons"
def remove_neurons(fc1, fc2, keep):
    """Copies of two linear layers that have only the hidden units in `keep` between them."""
    ### BEGIN SOLUTION
    fc1, fc2 = copy.deepcopy(fc1), copy.deepcopy(fc2)
    fc1.weight.data = fc1.weight.data[keep]
    if fc1.bias is not None:
        fc1.bias.data = fc1.bias.data[keep]
    fc2.weight.data = fc2.weight.data[:, keep]
    fc1.out_features = fc2.in_features = len(keep)
    return fc1, fc2
    ### END SOLUTION

# %% test="remove_neurons" points=3
_fc1, _fc2 = nn.Linear(2, 3), nn.Linear(3, 1)
_fc1.weight.data, _fc1.bias.data = torch.tensor([[1.0, 0.0], [2.0, 2.0], [0.0, 3.0]]), torch.tensor([0.1, 0.2, 0.3])
_fc2.weight.data = torch.tensor([[1.0, 2.0, 3.0]])
_new1, _new2 = remove_neurons(_fc1, _fc2, torch.tensor([0, 2]))
assert np.allclose(_new1.weight.tolist(), [[1.0, 0.0], [0.0, 3.0]])
assert np.allclose(_new1.bias.tolist(), [0.1, 0.3])
assert np.allclose(_new2.weight.tolist(), [[1.0, 3.0]])
assert (_new1.out_features, _new2.in_features) == (2, 2)
### BEGIN HIDDEN TESTS
def _cut_and_look(remove, fc1, fc2, keep, x):
    """The layers that `remove` gives and what they compute; then what is left of the given ones after the new ones were changed."""
    given, new = (fc1, fc2), list(remove(fc1, fc2, keep))
    tensors = [None if p is None else p.detach().clone() for layer in new for p in (layer.weight, layer.bias)]
    with torch.no_grad():
        try:
            output = new[1](torch.tanh(new[0](x)))
        except RuntimeError:
            output = "they do not fit together"
        for p in [p for layer in new for p in layer.parameters()]:
            p.add_(1)
    return {"sizes": [(layer.in_features, layer.out_features) for layer in new], "parameters": tensors, "output": output,
            "modes": [layer.training for layer in new], "given": [dict(layer.state_dict()) for layer in given], "keep": keep}


seed(2)
_make = nn.Linear
_wide = _make(4, 6), _make(6, 3)
_square = _make(5, 5), _make(5, 5)
_frozen = _make(3, 7).eval(), _make(7, 2).eval()
_bare = _make(4, 5, bias=False), _make(5, 2, bias=False)
_half = _make(4, 5, bias=False).eval(), _make(5, 3)
_keep = torch.tensor
exam.compare("pairs of layers", [
    case("4 inputs, 6 hidden units of which 3 stay, 3 outputs", *_wide, _keep([1, 2, 5]), torch.randn(4, 4)),
    case("all layers of 5 units, 3 of the hidden ones stay", *_square, _keep([0, 3, 4]), torch.randn(4, 5)),
    case("layers in eval mode, 4 of 7 units stay", *_frozen, _keep([0, 1, 4, 6]), torch.randn(4, 3)),
], weight=2, probe=_cut_and_look)
exam.compare("edges", [
    edge("keep lists every unit", *_wide, torch.arange(6), torch.randn(4, 4)),
    edge("keep lists a single unit", *_wide, _keep([3]), torch.randn(4, 4)),
    edge("the last units go", *_square, _keep([0, 1]), torch.randn(4, 5)),
    edge("neither layer has a bias", *_bare, _keep([0, 2, 3]), torch.randn(4, 4)),
    edge("the first has no bias and is in eval mode, the second in train mode", *_half, _keep([1, 4]), torch.randn(4, 4)),
], probe=_cut_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Remove filters
#
# A filter leaves more traces. Write `remove_filters(conv, bn, following, keep) -> (conv, bn, following)` for an `nn.Conv2d`, the `nn.BatchNorm2d`
# behind it or `None`, and the next layer with weights, which is either an `nn.Conv2d` or an `nn.Linear` behind `nn.Flatten`. Activations
# and pooling may stand between them. Filter j of `conv` is
#
# - `weight[j]` and `bias[j]` of `conv`;
# - entry j of the batch norm's `weight` (γ), `bias` (β), `running_mean` and `running_var`;
# - if `following` is a convolution, its `weight[:, j]`; if it is linear, a *block* of columns: `nn.Flatten` lays the H × W values of channel 0
#   first, then those of channel 1, …, so with $P = H \cdot W$ channel j is columns
#
# $$jP,\; jP + 1,\; \dots,\; jP + P - 1, \qquad P = \texttt{in\_features} / C_{out}.$$
#
# Everything of the filters that are not in `keep` goes. Return three new modules, in this order (the second is `None` if `bn` is):
#
# - `out_channels`, `in_channels`, `in_features` and `num_features` agree with the new shapes; kept filters stay in their order;
# - stride, padding, dilation, the batch norm's eps and each module's mode (`training`) stay; so does the bias of `following`;
# - `conv` or `following` may have a bias of `None`, which stays `None`. Convolutions have `groups = 1`, a batch norm has γ, β and running statistics.
# - The given modules are as they were.
#
# Source: Li et al. (2017), section 3.1, step 3, and figure 1; the entries of the batch norm go with their feature map.
#
# *Worked example.* The course's CNN ends in 16 filters, pictures of 2 × 2, `nn.Flatten` and `nn.Linear(64, 10)`, so P = 4. Keeping filters 0 and 3
# keeps columns 0 to 3 and 12 to 15: `nn.Linear(8, 10)`. Columns 0 and 3 alone would be two pixels of the first channel.
#
# <details><summary>Hint 1</summary>Follow one channel through the network: which numbers were made for it alone? List them for all three
# modules.</details>
# <details><summary>Hint 2</summary>Copy the modules; <code>t[keep]</code> for everything that has one entry for each filter, and <code>t[:, keep]</code> for
# what has one for each input channel. Buffers are plain attributes: <code>bn.running_mean = bn.running_mean[keep]</code>.</details>
# <details><summary>Hint 3</summary>For the linear layer give the weight an axis of its own for the channels:
# <code>w.unflatten(1, (C_out, P))[:, keep].flatten(1)</code>. C_out is the old one.</details>

# %% answer="remove_filters"
def remove_filters(conv, bn, following, keep):
    """Copies of a convolution, its batch norm (or None) and the next layer that have only the filters in `keep`."""
    ### BEGIN SOLUTION
    conv, bn, following = copy.deepcopy((conv, bn, following))
    channels = conv.out_channels
    conv.weight.data = conv.weight.data[keep]
    if conv.bias is not None:
        conv.bias.data = conv.bias.data[keep]
    conv.out_channels = len(keep)
    if bn is not None:
        bn.weight.data, bn.bias.data = bn.weight.data[keep], bn.bias.data[keep]
        bn.running_mean, bn.running_var = bn.running_mean[keep], bn.running_var[keep]
        bn.num_features = len(keep)
    following.weight.data = following.weight.data.unflatten(1, (channels, -1))[:, keep].flatten(1, 2)      # a convolution has blocks of 1
    if isinstance(following, nn.Linear):
        following.in_features = following.weight.shape[1]
    else:
        following.in_channels = len(keep)
    return conv, bn, following
    ### END SOLUTION

# %% test="remove_filters" points=5
_conv, _bn, _fc = nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Linear(6, 1)
_conv.weight.data, _fc.weight.data = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1), torch.arange(6.0).reshape(1, 6)
_bn.running_mean[:] = torch.tensor([0.1, 0.2, 0.3])
_new, _newbn, _newfc = remove_filters(_conv, _bn, _fc, torch.tensor([0, 2]))
assert np.allclose(np.ravel(_new.weight.tolist()), [1.0, 3.0]) and _new.out_channels == 2
assert np.allclose(_newbn.running_mean.tolist(), [0.1, 0.3])
assert np.allclose(_newfc.weight.tolist(), [[0.0, 1.0, 4.0, 5.0]]) and _newfc.in_features == 4
### BEGIN HIDDEN TESTS
def _cut_and_look(remove, conv, bn, following, keep, x):
    """The modules that `remove` gives and what they compute; then what is left of the given ones after the new ones were changed."""
    given = [module for module in (conv, bn, following) if module]
    conv, bn, following = new = remove(conv, bn, following, keep)

    def attributes(module, names):
        values = {name: getattr(module, name) for name in names.split()}
        return {name: v.detach().clone() if torch.is_tensor(v) else v for name, v in values.items()}

    shape = "in_channels out_channels stride padding dilation training weight bias"
    looks = [attributes(conv, shape),
             None if bn is None else attributes(bn, "num_features eps training weight bias running_mean running_var"),
             attributes(following, "in_features out_features training weight bias" if isinstance(following, nn.Linear) else shape)]
    with torch.no_grad():
        try:
            a = conv(x)
            a = torch.relu(a if bn is None else bn(a))
            output = following(a.flatten(1) if isinstance(following, nn.Linear) else a)
        except RuntimeError:
            output = "they do not fit together"
        for tensor in [t for module in new if module for t in module.state_dict().values()]:
            tensor.add_(1)
    return {"modules": looks, "output": output, "given": [dict(module.state_dict()) for module in given], "keep": keep}


def _train_a_little(bn, eps=1e-5):
    """A batch norm with γ, β and running statistics of its own."""
    bn.eps = eps
    nn.init.normal_(bn.weight), nn.init.normal_(bn.bias), nn.init.normal_(bn.running_mean), nn.init.uniform_(bn.running_var, 0.5, 2)
    return bn


seed(3)
_to_conv = nn.Conv2d(3, 5, 3, padding=1).eval(), _train_a_little(nn.BatchNorm2d(5)).eval(), nn.Conv2d(5, 4, 3, stride=2).eval()
_to_fc = nn.Conv2d(2, 6, 3).eval(), _train_a_little(nn.BatchNorm2d(6), 1e-2).eval(), nn.Linear(6 * 2 * 3, 4).eval()
_square = nn.Conv2d(4, 4, 1), None, nn.Conv2d(4, 4, 3, padding=(1, 0), dilation=2)
_plain = nn.Conv2d(1, 4, 3, stride=(2, 1), dilation=(1, 2)), None, nn.Linear(4 * 2 * 2, 3)
_training = nn.Conv2d(2, 5, 2, bias=False), _train_a_little(nn.BatchNorm2d(5), 0.1), nn.Linear(5 * 3 * 3, 2, bias=False)
_mixed = nn.Conv2d(2, 3, 3), _train_a_little(nn.BatchNorm2d(3)).eval(), nn.Conv2d(3, 2, 1, bias=False).eval()
_pixel = nn.Conv2d(2, 4, 3), None, nn.Linear(4, 3)
_keep = torch.tensor
exam.compare("batch norm and the next convolution", [
    case("5 filters of which 3 stay, batch norm, a 3 × 3 convolution", *_to_conv, _keep([0, 2, 3]), torch.randn(2, 3, 6, 6)),
    case("no batch norm; 4 filters over 4 channels, a dilated convolution", *_square, _keep([1, 2]), torch.randn(2, 4, 7, 8)),
    case("batch norm in eval mode between a convolution in train mode and one without bias", *_mixed, _keep([0, 2]), torch.randn(3, 2, 5, 5)),
], weight=2, probe=_cut_and_look, rtol=1e-4, atol=1e-5)
exam.compare("a linear layer behind Flatten", [
    case("6 filters of which 3 stay, batch norm, pictures of 2 × 3", *_to_fc, _keep([1, 2, 5]), torch.randn(2, 2, 4, 5)),
    case("no batch norm, stride and dilation, pictures of 2 × 2", *_plain, _keep([0, 3]), torch.randn(2, 1, 6, 6)),
    case("train mode, layers without bias, a batch norm with a large eps", *_training, _keep([0, 1, 4]), torch.randn(4, 2, 4, 4)),
], weight=2, probe=_cut_and_look, rtol=1e-4, atol=1e-5)
exam.compare("edges", [
    edge("all filters stay", *_to_conv, torch.arange(5), torch.randn(2, 3, 6, 6)),
    edge("one filter stays, the next layer is a convolution", *_to_conv, _keep([4]), torch.randn(2, 3, 6, 6)),
    edge("one filter stays, the next layer is linear", *_to_fc, _keep([3]), torch.randn(2, 2, 4, 5)),
    edge("pictures of a single pixel before the linear layer", *_pixel, _keep([0, 2, 3]), torch.randn(2, 2, 3, 3)),
], probe=_cut_and_look, rtol=1e-4, atol=1e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# The next exercises cut whole networks. Layers carry their sizes as attributes, which print but do not compute; this helper brings them in line.

# %%
def sized(net):
    """Set in_features, out_features, in_channels, out_channels and num_features of all layers to what their tensors say; returns `net`."""
    for module in net.modules():
        if isinstance(module, nn.Linear):
            module.out_features, module.in_features = module.weight.shape
        elif isinstance(module, nn.Conv2d):
            module.out_channels, module.in_channels = module.weight.shape[:2]
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.num_features = len(module.weight)
    return net

# %% [markdown]
# ## 4. A smaller network that computes the same
#
# Is a cut network the network that was masked? Only if the mask says that a unit is *silent*: what leaves it is 0, behind its batch norm and its
# activation,
#
# $$\tilde a_j = m_j\; \phi\big(\mathrm{BN}(z_j)\big), \qquad m_j \in \{0, 1\}.$$
#
# Zero a filter's weights only, and it goes on saying a constant: its bias, its β, the activation of these. Write
# `equivalent_to_masked(net, keep) -> net`, the smaller network whose output equals that of the masked one.
#
# - `net` is an `nn.Sequential` of `nn.Linear`, `nn.Conv2d` (`groups = 1`), `nn.BatchNorm1d` and `nn.BatchNorm2d`, activations, pooling and `nn.Flatten`, none of
#   them nested. A batch norm belongs to the last `Linear` or `Conv2d` before it; none stands behind `nn.Flatten` before the next `Linear`.
# - Layers may have no bias (`bias=False`), convolutions any stride, padding and dilation, batch norms any eps; all of that stays. A batch norm has γ, β and
#   running statistics.
# - `keep` maps names of hidden layers, as in `net.named_children()` (`"0"`, `"3"`, …), to the indices of their units that stay. Units of layers that it
#   does not name all stay; the last layer with weights is never named.
# - In the masked network the output of every unit that does not stay is 0, where it reaches the next pooling, `Flatten` or layer with weights.
# - The result is a new `nn.Sequential` with as many modules, in which the units that do not stay are *gone*: the weight of every layer has only
#   the rows, and the next layer's only the columns, of those that stay. In eval mode its outputs are those of the masked network (to 1e-5).
#   In which mode it is returned is up to you.
# - `net`, its mode among it, and `keep` are as they were.
#
# Source: Li et al. (2017), section 3.1, step 4: the remaining weights are copied to a new model.
#
# *Worked example.* `Linear(1, 2)` with weights (1, −1) and biases (0, 2), ReLU, `Linear(2, 1)` with weights (3, 1) and bias 0.5. At x = 1 both units
# give 1, and the output is 4.5. `keep = {"0": [0]}`: the masked network gives 3 · 1 + 0.5 = 3.5, and so does the new one, which is 1-1-1. With the
# *weight* of unit 1 zeroed, the unit gives ReLU(2) = 2 for every x, and the output is 5.5.
#
# <details><summary>Hint 1</summary>Walk through the network once. What must you remember of the last layer that was cut, when you come to a batch
# norm, and when you come to the next layer with weights?</details>
# <details><summary>Hint 2</summary>At a layer with weights: first cut its columns by what the layer before it kept (behind <code>Flatten</code> in blocks, as
# in exercise 3), then its rows by what it keeps itself. At a batch norm cut every tensor by what the last layer kept.</details>
# <details><summary>Hint 3</summary>Remember <code>kept</code> (indices, or None) and <code>units</code> (how many the layer had before its cut):
# <code>w.unflatten(1, (units, -1))[:, kept].flatten(1, 2)</code> cuts the columns of any layer. Everything in <code>layer.state_dict()</code> that has a
# dimension has its units on axis 0.</details>

# %% answer="equivalent_to_masked"
def equivalent_to_masked(net, keep):
    """A copy of the Sequential without the units that `keep` does not list: what the masked network computes."""
    ### BEGIN SOLUTION
    net, kept, units = copy.deepcopy(net), None, None
    for name, module in net.named_children():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            if kept is not None:
                module.weight.data = module.weight.data.unflatten(1, (units, -1))[:, kept].flatten(1, 2)
            units, kept = len(module.weight), keep.get(name)
        if kept is not None:
            for tensor in (*module.parameters(), *module.buffers()):
                if tensor.dim() > 0:
                    tensor.data = tensor.data[kept]
    return sized(net)
    ### END SOLUTION

# %% test="equivalent_to_masked" points=4
_net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
for _p, _values in zip(_net.parameters(), ([[1.0], [-1.0]], [0.0, 2.0], [[3.0, 1.0]], [0.5])):
    _p.data = torch.tensor(_values)
_small = equivalent_to_masked(_net, {"0": torch.tensor([0])})
assert np.allclose(_small(torch.tensor([[1.0]])).tolist(), [[3.5]])
assert tuple(_small[0].weight.shape) == (1, 1) and tuple(_small[2].weight.shape) == (1, 1)
### BEGIN HIDDEN TESTS
def _cut_and_look(cut, net, keep, x):
    """What the new network computes and its weights' shapes; then what is left of the given one after the new one was changed."""
    new = cut(net, keep)
    modes = [module.training for module in net.modules()]
    shapes = [tuple(module.weight.shape) for module in new.modules() if getattr(module, "weight", None) is not None]
    with torch.no_grad():
        try:
            output = new.eval()(x)
        except RuntimeError:
            output = "its layers do not fit together"
        for tensor in (*new.parameters(), *new.buffers()):
            tensor.add_(1)
    return {"shapes": shapes, "output": output, "given": dict(net.state_dict()), "modes": modes, "keep": keep}


def _stir(net):
    """The network with biases and batch norms that are no longer as they were made."""
    for module in net:
        if getattr(module, "weight", None) is not None:
            nn.init.normal_(module.weight, std=0.5)
        if getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias)
        if hasattr(module, "running_mean"):
            nn.init.normal_(module.running_mean), nn.init.uniform_(module.running_var, 0.5, 2)
    return net.eval()


seed(4)
_mlp = _stir(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)))
_loud = _stir(nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Sigmoid(), nn.Linear(5, 4), nn.Sigmoid(), nn.BatchNorm1d(4), nn.Linear(4, 2)))
_cnn = _stir(nn.Sequential(
    nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Flatten(),
    nn.Linear(5 * 2 * 1, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)))
_pooled = _stir(nn.Sequential(nn.Conv2d(2, 6, 2, stride=2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(6 * 4, 2)))
_odd = _stir(nn.Sequential(
    nn.Conv2d(1, 5, 3, stride=2, padding=2, dilation=2, bias=False), nn.BatchNorm2d(5, eps=0.1), nn.ReLU(), nn.Conv2d(5, 4, 3, padding=1, dilation=2), nn.ReLU(),
    nn.Flatten(), nn.Linear(4 * 3 * 3, 6, bias=False), nn.BatchNorm1d(6, eps=0.1), nn.ReLU(), nn.Linear(6, 3))).train()
_keep = torch.tensor
exam.compare("linear layers", [
    case("two hidden layers, both named", _mlp, {"0": _keep([0, 2, 3]), "2": _keep([1, 3])}, torch.randn(4, 5)),
    case("only the second hidden layer is named", _mlp, {"2": _keep([0, 1, 2])}, torch.randn(4, 5)),
    case("batch norm before a sigmoid in one layer, behind it in the other", _loud, {"0": _keep([0, 3]), "3": _keep([1, 2])}, torch.randn(4, 4)),
], probe=_cut_and_look, rtol=1e-4, atol=1e-5)
exam.compare("convolutions", [
    case("two convolutions and a hidden linear layer, batch norms, all named", _cnn,
         {"0": _keep([1, 2]), "4": _keep([0, 1, 4]), "7": _keep([2, 3, 5])}, torch.randn(2, 1, 8, 6)),
    case("the convolution before Flatten alone is named", _cnn, {"4": _keep([0, 3])}, torch.randn(2, 1, 8, 6)),
    case("sigmoid and average pooling, the layers named last to first", _pooled, {"3": _keep([0, 4, 5]), "0": _keep([1, 3])}, torch.randn(2, 2, 8, 8)),
    case("layers without bias before batch norms of eps = 0.1, stride 2, dilation 2, in train mode", _odd,
         {"0": _keep([0, 2, 4]), "3": _keep([1, 3]), "6": _keep([0, 2, 3, 5])}, torch.randn(2, 1, 9, 9)),
], weight=2, probe=_cut_and_look, rtol=1e-4, atol=1e-5)
exam.compare("edges", [
    edge("no layer is named: a copy", _mlp, {}, torch.randn(4, 5)),
    edge("all units of the named layers stay", _cnn, {"0": torch.arange(4), "7": torch.arange(6)}, torch.randn(2, 1, 8, 6)),
    edge("one unit of every hidden layer stays", _cnn, {"0": _keep([3]), "4": _keep([2]), "7": _keep([0])}, torch.randn(2, 1, 8, 6)),
], probe=_cut_and_look, rtol=1e-4, atol=1e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: half of the filters gone
#
# The network `models.load("cnn")` reads handwritten digits with 8 filters, 16 filters and a linear layer; of the 500 validation pictures it gets
# 97.4 % right. With exercises 1 and 4 done, run this cell: it removes half of the filters of both convolutions, those of least $L_1$ norm, without
# any retraining, and compares three networks: the *dense* one, a *zeroed* one in which the same filters and biases are 0, and the *smaller* one. No marks.

# %%
def halves(net):
    """The larger half of the filters of both convolutions, by your scores."""
    ranks = {name: torch.as_tensor(np.asarray(filter_scores(net.get_submodule(name)))).argsort() for name in ("0", "3")}
    return {name: rank[len(rank) // 2:].sort().values for name, rank in ranks.items()}


def zeroed(net, keep):
    """A copy of the CNN in which the filters and biases that do not stay are 0: behind a ReLU, without batch norm, that is the masked network."""
    net = copy.deepcopy(net)
    with torch.no_grad():
        for name, kept in keep.items():
            for p in net.get_submodule(name).parameters():
                p.mul_(torch.zeros(len(p)).index_fill(0, kept, 1.0).view(-1, *[1] * (p.dim() - 1)))
    return net


def macs(net):
    """Multiplications per picture: each weight of the two convolutions is used at 8 × 8 and at 4 × 4 places, one of the linear layer once."""
    return sum(net[index].weight.numel() * places for index, places in ((0, 64), (3, 16), (7, 1)))


def milliseconds(nets, x, rounds=10):
    """For each network the time of its multiplying layers and that of all others; in turn, and of every layer the fastest of all rounds."""
    best = {name: np.full(len(net), np.inf) for name, net in nets.items()}
    with torch.no_grad():
        for _ in range(rounds):
            for name, net in nets.items():
                a = x
                for index, layer in enumerate(net):
                    start = time.perf_counter()
                    a = layer(a)
                    best[name][index] = min(best[name][index], 1000 * (time.perf_counter() - start))
    return {name: (times[[0, 3, 7]].sum(), times[[1, 2, 4, 5, 6]].sum()) for name, times in best.items()}


pictures, dense = digits(images=True), models.load("cnn")
keep = halves(dense)
networks = {"dense": dense, "zeroed": zeroed(dense, keep), "smaller": equivalent_to_masked(dense, keep).eval()}

plots.use_style()
fig, axes = plt.subplots(1, 8, figsize=(9, 1.8))
for j, ax in enumerate(axes):
    stays = j in keep["0"].tolist()
    ax.imshow(dense[0].weight[j, 0].detach(), cmap="gray", vmin=-1, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"filter {j}\nscore {float(filter_scores(dense[0])[j]):.2f}\n{'stays' if stays else 'goes'}", color="black" if stays else plots.ORANGE, fontsize=9)
fig.suptitle("first convolution: the eight 3 × 3 filters (black −1, white +1)", fontsize=10)
plt.show()

for name, net in networks.items():
    print(f"{name:8} {sum(p.numel() for p in net.parameters()):5} parameters {macs(net):6} multiplications  accuracy {accuracy(net, pictures):.1%}")
difference = (networks["smaller"](pictures[2]) - networks["zeroed"](pictures[2])).abs().max()
print("the smaller network computes what the zeroed one does:", bool(difference < 1e-4))

multiplying, others = zip(*milliseconds(networks, pictures[2]).values())
axes = plt.subplots(figsize=(6.4, 2.2))[1]
axes.barh(list(networks), multiplying, color=plots.BLUE, label="convolutions, linear layer")
axes.barh(list(networks), others, left=multiplying, color=plots.PALE, label="ReLU, pooling")
axes.set(xlabel="milliseconds for 500 pictures, on this machine")
axes.invert_yaxis()
axes.legend(loc="lower right")
plt.show()

# %% [markdown]
# The convolutions multiply by zeros as long as by anything else; only the smaller network has less to do. (Where the zeroed one is faster at all, it is in
# the max pooling, whose comparisons are easier to foresee among zeros.) Its time falls less than its multiplications, which are 31 % of the dense network's: so thin a layer
# spends much of its time on moving data and on being called. The lesson shows a wider one.
#
# ## 5. Scores that the network learns
#
# Behind a batch norm a channel's size is what its γ says it is. So let training decide which γ a channel deserves: add a penalty that pulls
# all of them towards 0, $L = \sum \ell + \lambda \sum_\gamma |\gamma|$. Only channels that earn it keep a large γ; the others can be cut.
#
# Write two functions. `slimming_loss(model, lam)` is the penalty,
#
# $$\lambda \sum_{\text{batch norms}} \sum_j |\gamma_j| ,$$
#
# - over the γ (`weight`) of every `nn.BatchNorm1d` and `nn.BatchNorm2d` in `model`, however deeply nested, and of nothing else: no layer norm, instance norm or
#   `nn.BatchNorm3d`;
# - a torch tensor without dimensions, differentiable in every γ (tested at γ ≠ 0), to be added to a loss. There is at least one batch norm, and each has a γ.
#
# `slimming_masks(model, ratio) -> masks` chooses the channels:
#
# - `masks` maps the *parameter name* of each of these γ (`"1.weight"`, `"body.4.weight"`) to a boolean mask, `True` = keep, of the shape of γ;
# - one ranking over all N entries of all γ: the `round(ratio * N)` smallest $|\gamma|$ are chosen to go. Ties may fall either way;
# - a layer that would lose all of its channels keeps the one of largest $|\gamma|$ (any one of them, if they tie). No other channel goes in its stead, so
#   fewer than `round(ratio * N)` are removed then;
# - `ratio` outside [0, 1] raises `ValueError`. `model` is not changed, nor is its mode.
#
# Source: Liu et al. (2017), *Learning Efficient Convolutional Networks through Network Slimming*, section 3: equation 1, with g(γ) = |γ|, and the global
# threshold. The channel that each layer keeps is this course's addition: with an empty layer nothing would get through.
#
# *Worked example.* Two batch norms with γ = (0.9, −0.8, 0.1) and (0.2, 0.3), λ = 0.01: the penalty is 0.01 · 2.3 = 0.023. With `ratio = 0.6` three of
# five are chosen, 0.1, 0.2 and 0.3; the second layer would be empty, so its 0.3 stays: `[True, True, False]` and `[False, True]`, two gone.
#
# <details><summary>Hint 1</summary>How does training see a number? Through its gradient: do not take γ out of the graph.</details>
# <details><summary>Hint 2</summary><code>model.named_modules()</code> lists all modules; two classes count. For the masks collect the |γ| in a
# dictionary, join them with <code>torch.cat</code>, rank once, and split again.</details>
# <details><summary>Hint 3</summary>Loss: <code>lam * sum(m.weight.abs().sum() for m in …)</code>. Masks: an all-True vector of length N, the first
# <code>round(ratio * N)</code> positions of <code>argsort</code> set to False, <code>split</code> by the layers' sizes; then, in each layer that has
# nothing left, set the position of its <code>argmax</code> to True.</details>

# %% answer="slimming_loss"
def slimming_loss(model, lam):
    """λ Σ|γ| over all batch norms, for autograd."""
    ### BEGIN SOLUTION
    return lam * sum(m.weight.abs().sum() for m in model.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)))
    ### END SOLUTION


def slimming_masks(model, ratio):
    """Keep-masks of all γ by parameter name, from one ranking; no layer is emptied."""
    ### BEGIN SOLUTION
    if not 0 <= ratio <= 1:
        raise ValueError("a ratio lies in [0, 1]")
    gammas = {f"{name}.weight": m.weight.detach().abs() for name, m in model.named_modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))}
    order = torch.cat(list(gammas.values())).argsort()
    keep = torch.ones(len(order), dtype=torch.bool)
    keep[order[:round(ratio * len(order))]] = False
    masks = dict(zip(gammas, keep.split([len(g) for g in gammas.values()])))
    for name, gamma in gammas.items():
        if not masks[name].any():
            masks[name][gamma.argmax()] = True
    return masks
    ### END SOLUTION

# %% test="slimming_loss" points=5
def _watch(loss, model, lam):
    """The penalty and the gradient that it gives each γ."""
    value = loss(model, lam)
    value.backward()
    norms = {name: m for name, m in model.named_modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))}
    return {"value": value.detach(), "gradients": {name: m.weight.grad for name, m in norms.items()}, "modes": [m.training for m in model.modules()]}


_net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2), nn.BatchNorm1d(2))
_net[1].weight.data, _net[4].weight.data = torch.tensor([0.9, -0.8, 0.1]), torch.tensor([0.2, 0.3])
_seen = observe(_watch, slimming_loss, _net, 0.01)
assert np.isclose(float(_seen["value"]), 0.023)
assert np.allclose(_seen["gradients"]["1"].tolist(), [0.01, -0.01, 0.01])
_masks = slimming_masks(_net, 0.6)
assert np.asarray(_masks["1.weight"]).tolist() == [True, True, False]
assert np.asarray(_masks["4.weight"]).tolist() == [False, True]
### BEGIN HIDDEN TESTS
def _mask_and_look(mask, model, ratio):
    """The masks, and what is left of the model."""
    masks = mask(model, ratio)
    return {"masks": dict(masks.items()), "model": dict(model.state_dict()), "modes": [m.training for m in model.modules()]}


def _spares_the_largest(found, model, ratio):
    gammas = {f"{name}.weight": m.weight.detach().abs().numpy() for name, m in model.named_modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))}
    masks = {name: np.asarray(mask) for name, mask in found["masks"].items()}
    assert set(masks) == set(gammas), "the masks must have the names of the batch norms' weights, and no others"
    ordered = np.sort(np.concatenate(list(gammas.values())))
    chosen = round(ratio * len(ordered))
    cut = ordered[chosen - 1] if chosen else -1.0        # what is smaller must go, what is larger must stay, what is alike may do either
    gone, saved, perhaps = 0, 0, 0
    for name, gamma in gammas.items():
        mask = masks[name]
        assert mask.shape == gamma.shape and mask.dtype == bool, "a mask must be boolean and have the shape of its γ"
        assert mask.any(), "a layer must keep at least one channel"
        gone += (~mask).sum()
        if gamma.max() < cut:
            assert mask.sum() == 1 and gamma[mask][0] == gamma.max(), "a layer that would be emptied keeps its largest channel, and no other"
            saved += 1
            continue
        assert mask[gamma > cut].all(), "a channel that is larger than the cut was removed"
        assert not mask[gamma < cut].any(), "a channel that is smaller than the cut was kept"
        perhaps += gamma.max() == cut and mask.sum() == 1
    assert chosen - saved - perhaps <= gone <= chosen - saved, "the number of channels that go is wrong"
    for name, tensor in model.state_dict().items():
        assert np.array_equal(tensor, found["model"][name]), "the model was changed"
    assert list(found["modes"]) == [m.training for m in model.modules()], "the model's mode was changed"


def _net_of(*gammas):
    """Linear layers with batch norms that have these γ, and other β."""
    layers, n_in = [], 3
    for gamma in gammas:
        layers += [nn.Linear(n_in, len(gamma)), nn.BatchNorm1d(len(gamma)), nn.ReLU()]
        nn.init.uniform_(layers[-2].bias, 1, 2)
        layers[-2].weight.data, n_in = torch.tensor(gamma), len(gamma)
    return nn.Sequential(*layers, nn.Linear(n_in, 2))


seed(5)
_mlp = _net_of([0.5, -1.5, 0.25, 2.0], [-0.75, 0.125, 1.0])
_cnn = nn.Sequential(
    nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Sequential(nn.Conv2d(5, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), nn.Flatten(),
    nn.Linear(64, 6), nn.LayerNorm(6), nn.Sequential(nn.Linear(6, 7), nn.Sequential(nn.BatchNorm1d(7))), nn.Linear(7, 3))
_cnn.unused = nn.ModuleList([nn.InstanceNorm2d(4, affine=True), nn.BatchNorm3d(3)])
for _p in _cnn.parameters():
    nn.init.normal_(_p)
_weak = _net_of([0.01, -0.03, 0.02], [1.0, -0.5, 2.0, 0.25], [-3.0, 0.75])
_alike = _net_of([1.0, 1.0, -1.0], [-1.0, 1.0, 1.0])
_tied = _net_of([0.5, -0.5], [0.5, 0.25, 2.0, -0.5])
exam.compare("the penalty", [
    case("two batch norms behind linear layers, λ = 0.5", _mlp, 0.5),
    case("batch norms of both kinds, nested, beside norms of other kinds, λ = 0.01", _cnn, 0.01),
    edge("λ = 0", _mlp, 0.0),
], of="slimming_loss", weight=2, probe=_watch)
exam.law("the masks", _spares_the_largest, [
    case("7 γ of two layers, ratio = 0.4", _mlp, 0.4),
    case("16 γ of three layers, nested, beside norms of other kinds, ratio = 0.35", _cnn, 0.35),
    case("16 γ of three layers, ratio = 0.6: 9.6 rounds to 10", _cnn, 0.6),
], of="slimming_masks", weight=2, probe=_mask_and_look)
exam.law("a layer about to be emptied", _spares_the_largest, [
    case("three tiny γ in one layer, ratio = 0.5", _weak, 0.5),
    case("the same, ratio = 0.35: nothing else goes in its stead", _weak, 0.35),
    case("seven of nine go, ratio = 0.8", _weak, 0.8),
    edge("ratio = 1: one channel of each layer stays", _cnn, 1.0),
], of="slimming_masks", probe=_mask_and_look)
exam.law("ties and ends", _spares_the_largest, [
    edge("all |γ| alike in two layers, ratio = 0.5", _alike, 0.5),
    edge("all |γ| alike in two layers, ratio = 0.35", _alike, 0.35),
    edge("all |γ| alike in two layers, ratio = 1", _alike, 1.0),
    edge("a tie across the cut and across layers, ratio = 0.5", _tied, 0.5),
    edge("ratio = 0 keeps everything", _mlp, 0.0),
    edge("ratio = -0.1 raises ValueError", _mlp, -0.1),
    edge("ratio = 1.5 raises ValueError", _mlp, 1.5),
], of="slimming_masks", probe=_mask_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Two other scores
#
# A small filter need not be useless, and a large one need not be needed. Two scores look at something else. In both a *low* score means: prune this first.
#
# `fpgm_scores(conv) -> scores` looks for filters that the others can replace. Each filter is a point, its weights in one long vector $F_j$; one near
# the middle of all of them is the one best made up for by the rest:
#
# $$s_j = \sum_{i=1}^{C_{out}} \lVert F_j - F_i \rVert_2$$
#
# - a sum of Euclidean distances (not squared), its own 0 included; the shape is (C_out,), the bias does not count, `conv` is not changed;
# - tested to a relative $10^{-3}$, because the usual shortcut for distances loses digits.
#
# `apoz_scores(activations) -> scores` looks at what a unit does. Given its values *before* the ReLU, its APoZ (average percentage of zeros) is the share of
# them that the ReLU makes zero:
#
# $$\mathrm{APoZ}_c = \frac{\#\{\,a \le 0\,\}}{\#\{a\}} \quad \text{over all samples and places of unit } c, \qquad s_c = 1 - \mathrm{APoZ}_c$$
#
# - `activations` is a tensor (N, C) or (N, C, H, W) with the unit on axis 1, N, H and W at least 1; the result has the shape (C,) and lies in [0, 1];
# - a value of exactly 0 counts as zero. `activations` is not changed.
#
# Sources: He et al. (2019), *Filter Pruning via Geometric Median for Deep Convolutional Neural Networks Acceleration*; Hu et al. (2016), *Network
# Trimming*, the definition of APoZ. The score 1 − APoZ is the course's: it makes low mean "prune".
#
# *Worked example.* Three 1 × 1 filters with weights 0, 3 and 4: the distances of the second are 3, 0 and 1, so the scores are 7, 4 and 5. The middle filter
# goes first; by $L_1$ it would be the first one. One unit with the values (−1, 0, 2, −3) before the ReLU has APoZ ¾ and score ¼.
#
# <details><summary>Hint 1</summary>How many distances are there among n filters, and what is the shape of a table of them?</details>
# <details><summary>Hint 2</summary>For the table: <code>torch.cdist(f, f)</code> with one filter in each row of <code>f</code>. For APoZ: a comparison gives
# booleans, and the mean of booleans is a share.</details>
# <details><summary>Hint 3</summary><code>f = conv.weight.detach().flatten(1)</code>, and the rows of the table summed. For APoZ bring the unit to the front,
# <code>activations.transpose(0, 1).flatten(1)</code>, and take each row's mean of <code>&gt; 0</code> as floats.</details>

# %% answer="fpgm_scores"
def fpgm_scores(conv):
    """Sum of the Euclidean distances of each filter to all filters: (C_out,)."""
    ### BEGIN SOLUTION
    filters = conv.weight.detach().flatten(1)
    return torch.cdist(filters, filters).sum(1)
    ### END SOLUTION


def apoz_scores(activations):
    """The share of each unit's pre-activations, on axis 1, that a ReLU lets through: (C,)."""
    ### BEGIN SOLUTION
    return (activations > 0).float().transpose(0, 1).flatten(1).mean(1)
    ### END SOLUTION

# %% test="fpgm_scores" points=4
_conv = nn.Conv2d(1, 3, 1)
_conv.weight.data = torch.tensor([0.0, 3.0, 4.0]).reshape(3, 1, 1, 1)
assert np.allclose(np.asarray([float(s) for s in fpgm_scores(_conv)]), [7.0, 4.0, 5.0])
assert np.allclose(np.asarray([float(s) for s in apoz_scores(torch.tensor([[-1.0], [0.0], [2.0], [-3.0]]))]), [0.25])
### BEGIN HIDDEN TESTS
def _score_and_look(score, conv):
    """The scores, and what is left of the layer."""
    return {"scores": score(conv), "the layer": {name: p.detach().clone() for name, p in conv.named_parameters()}}


seed(6)
_plain, _square, _long = nn.Conv2d(3, 5, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(2, 7, (1, 4), bias=False)
_one, _alike, _shifted, _two = nn.Conv2d(3, 1, 3), nn.Conv2d(2, 4, 2), nn.Conv2d(1, 6, 3), nn.Conv2d(2, 2, 3)
for _conv in (_plain, _square, _long, _one, _alike, _shifted, _two):
    for _p in _conv.parameters():
        nn.init.normal_(_p)
nn.init.constant_(_alike.weight, -0.5)
_one.weight.data = torch.round(2 * _one.weight.data) / 2         # exact squares: the shortcut finds distance 0, too
_shifted.weight.data += 3
_flat, _maps = torch.randn(9, 4) + torch.tensor([-1.0, 0.0, 0.5, 1.0]), torch.randn(5, 3, 2, 4) + torch.tensor([1.0, -0.7, 0.2]).reshape(3, 1, 1)
_rounded = torch.round(torch.randn(3, 3, 3, 3))
exam.compare("distances among filters", [
    case("5 filters of 3 × 3 over 3 channels", _plain),
    case("as many filters as channels", _square),
    case("7 filters of 1 × 4 over 2 channels, without bias", _long),
    case("large filters that lie close to each other", _shifted),
], of="fpgm_scores", weight=2, probe=_score_and_look, rtol=1e-3, atol=1e-3)
exam.compare("activations", [
    case("9 samples of 4 units", _flat),
    case("5 samples of 3 channels of 2 × 4", _maps),
    case("whole numbers, many of them exactly 0, as many samples as channels and rows", _rounded),
], of="apoz_scores", weight=2)
exam.compare("edges of the distances", [
    edge("a single filter", _one),
    edge("filters that are all alike", _alike),
    edge("two filters only: both have the same score", _two),
], of="fpgm_scores", probe=_score_and_look, rtol=1e-3, atol=1e-3)
exam.compare("edges of the activations", [
    edge("all values are exactly 0", torch.zeros(4, 3)),
    edge("values close to 0 on both sides", torch.tensor([[1e-3, -1e-3], [1e-6, -1e-6], [-1e-3, 1e-3], [0.0, -1e-6], [1e-3, 0.0]])),
    edge("no value is above 0, and all are", torch.tensor([[-1.0, 1.0], [-2.0, 3.0], [-0.5, 0.25]])),
    edge("one sample of one unit", torch.tensor([[2.0]])),
    edge("one sample of 2 channels of 1 × 3", torch.tensor([[[[-1.0, 0.0, 1.0]], [[0.5, 2.0, -3.0]]]])),
], of="apoz_scores")
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: four criteria on the same networks
#
# With exercises 1, 4 and 6 done, run this cell. It trains the CNN three times, from different seeds, and removes the same share of both convolutions
# by each score and at random (four draws for each network), without retraining. Lines are means, bands reach from the worst to the best. No marks.

# %%
def criteria(net, generator):
    """(name, [scores of the first convolution, of the second]) for three scores and four draws of lots."""
    with torch.no_grad():
        before_relu = net[0](pictures[0]), net[:4](pictures[0])
    found = [("$L_1$ norm", [filter_scores(net[0]), filter_scores(net[3])]), ("FPGM", [fpgm_scores(net[0]), fpgm_scores(net[3])]),
             ("1 − APoZ", [apoz_scores(a) for a in before_relu])]
    return found + [("random", [torch.rand(8, generator=generator), torch.rand(16, generator=generator)]) for _ in range(4)]


shares, curves = np.arange(1, 6) / 8, {}
for number in range(3):
    torch.manual_seed(number)
    net = fit(models.cnn(), pictures, epochs=4, rate=0.01, seed=number)
    for name, both in criteria(net, torch.Generator().manual_seed(number)):
        ranks = {layer: torch.as_tensor(np.asarray(scores)).argsort() for layer, scores in zip(("0", "3"), both)}
        cuts = [{layer: rank[round(share * len(rank)):].sort().values for layer, rank in ranks.items()} for share in shares]
        curves.setdefault(name, []).append([accuracy(equivalent_to_masked(net, keep).eval(), pictures) for keep in cuts])

axes = plt.subplots(figsize=(6.4, 3.6))[1]
for (name, runs), colour, line in zip(curves.items(), (*plots.COLOURS[:3], plots.GREY), ("-", "--", "-.", ":")):
    axes.plot(shares, np.mean(runs, axis=0), color=colour, linestyle=line, label=name)
    axes.fill_between(shares, np.min(runs, axis=0), np.max(runs, axis=0), color=colour, alpha=0.12)
axes.set(xlabel="share of the filters removed from both convolutions", ylabel="validation accuracy", ylim=(0, 1.02))
axes.legend(loc="lower left")
plt.show()

# %% [markdown]
# When we ran it the $L_1$ norm came first, and APoZ was hardly better than the mean of the draws once many filters were gone. In the lesson, with four networks that
# were trained longer, FPGM takes that place. The bands overlap: three networks do not settle which score is best, and a lucky draw is as good as any of them. What
# retraining leaves of the differences is in the lesson, too.

# %% [markdown]
# ## 7. How much from each layer
#
# Two ways to spread the cut over a network, for an `nn.Sequential` of `nn.Linear` layers with activations between them:
#
# - `symmetric_prune(model, ratio) -> model` removes the same ratio from every hidden layer;
# - `asymmetric_prune(model, ratios) -> model` removes from each hidden layer what `ratios` says, a dictionary from names as in
#   `model.named_children()` (`"0"`, `"2"`, …) to ratios. A layer that is not listed keeps all its units. The order of the dictionary means nothing.
#
# For both:
#
# - a hidden layer is every `nn.Linear` but the last. Of its n units the `round(ratio * n)` with the least $L_1$ norm of their *row* go, but at least one unit
#   stays. Ties may fall either way;
# - a unit's norm is $s_j = \sum_i |W_{ji}|$ of the weight *as given*, with all its columns; biases do not count;
# - a unit that goes takes its row, its bias and its column in the next layer with it: the tensors become smaller. All else stays as it is, the
#   input features and the outputs of the last layer among it;
# - a ratio outside [0, 1] raises `ValueError`; in `ratios` so does the name of the last `nn.Linear`, of another module, or of nothing at all;
# - the result is a new `nn.Sequential` with as many modules, in train or eval mode as you like; `model`, its mode among it, and `ratios` are as they were. A
#   network of one linear layer has no hidden one.
#
# Sources: the two names are used in several ways; this course's definitions are *one ratio for all layers* against *a ratio for each, by its sensitivity*.
# Scores as given are what Li et al. (2017), section 3.3, call independent pruning, as opposed to greedy.
#
# *Worked example.* A network 64-24-12-10 at ratio 0.25 becomes 64-18-9-10: the weights (24, 64), (12, 24), (10, 12) become (18, 64), (9, 18), (10, 9), and
# of 1,536 + 288 + 120 = 1,944 weights 1,152 + 162 + 90 = 1,404 are left. With `ratios = {"2": 0.5}` it becomes 64-24-6-10.
#
# <details><summary>Hint 1</summary>One of the two functions can call the other. Which?</details>
# <details><summary>Hint 2</summary>List the linear layers with their names, and score all of them before you cut any. Then go through pairs of a layer
# and the next one, <code>zip(names, names[1:])</code>: that leaves the last one out by itself.</details>
# <details><summary>Hint 3</summary>For n units: <code>gone = min(round(ratio * n), n - 1)</code> and <code>keep = scores.argsort()[gone:].sort().values</code>; then
# do what you did in exercise 2, in a <code>copy.deepcopy</code> of the model. <code>set(ratios) - set(names[:-1])</code> holds the names that are wrong.</details>

# %% answer="symmetric_prune"
def symmetric_prune(model, ratio):
    """A copy of the MLP without the share `ratio` of the units of each hidden layer."""
    ### BEGIN SOLUTION
    if not 0 <= ratio <= 1:
        raise ValueError("a ratio lies in [0, 1]")
    linear = [name for name, layer in model.named_children() if isinstance(layer, nn.Linear)]
    return asymmetric_prune(model, dict.fromkeys(linear[:-1], ratio))
    ### END SOLUTION


def asymmetric_prune(model, ratios):
    """A copy of the MLP without the share `ratios[name]` of the units of the hidden layers that are listed."""
    ### BEGIN SOLUTION
    pruned = copy.deepcopy(model)
    layers = {name: layer for name, layer in pruned.named_children() if isinstance(layer, nn.Linear)}
    names = list(layers)
    if set(ratios) - set(names[:-1]):
        raise ValueError("only hidden linear layers have a ratio")
    if not all(0 <= ratio <= 1 for ratio in ratios.values()):
        raise ValueError("a ratio lies in [0, 1]")
    scores = {name: layer.weight.data.abs().sum(1) for name, layer in layers.items()}
    for name, following in zip(names, names[1:]):
        n = len(scores[name])
        gone = min(round(ratios.get(name, 0) * n), n - 1)
        keep = scores[name].argsort()[gone:].sort().values
        for p in layers[name].parameters():
            p.data = p.data[keep]
        layers[following].weight.data = layers[following].weight.data[:, keep]
    return sized(pruned)
    ### END SOLUTION

# %% test="symmetric_prune" points=5
_net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 3))
_net[0].weight.data = torch.tensor([[3.0, 0.0], [0.5, -0.5], [-2.0, 2.0], [0.2, 0.1]])
_net[2].weight.data = torch.tensor([[0.1, 5.0, 0.1, 5.0], [1.0, 0.0, 1.0, 0.0]])
_new = symmetric_prune(_net, 0.5)
assert np.allclose(_new[0].weight.abs().sum(1).sort().values.tolist(), [3.0, 4.0])
assert np.allclose(_new[2].weight.tolist(), [[0.1, 0.1]]), "unit 0 of layer 2 is the larger one, by its row as given"
assert tuple(_new[4].weight.shape) == (3, 1)
assert [tuple(asymmetric_prune(_net, {"2": 0.5})[k].weight.shape) for k in (0, 2, 4)] == [(4, 2), (1, 4), (3, 1)]
### BEGIN HIDDEN TESTS
def _prune_and_look(prune, model, ratio, x):
    """What the new network computes and its weights' shapes; then what is left of the given one after the new one was changed."""
    new = prune(model, ratio)
    modes = [module.training for module in model.modules()]
    shapes = [tuple(layer.weight.shape) for layer in new.modules() if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        try:
            output = new(x)
        except RuntimeError:
            output = "its layers do not fit together"
        for p in new.parameters():
            p.add_(1)
    return {"shapes": shapes, "output": output, "given": dict(model.state_dict()), "modes": modes, "ratio": ratio}


def _computes_one_of(found, model, ratio, x):
    """All norms of the hidden layer tie: any choice of as many units is right."""
    import itertools
    first, last = model[0], model[2]
    n = len(first.weight)
    kept = max(1, n - round((ratio["0"] if type(ratio) is dict else ratio) * n))
    assert found["shapes"] == [(kept, first.in_features), (last.out_features, kept)], "the weights have the wrong shapes"
    with torch.no_grad():
        possible = [last(torch.relu(first(x)) * torch.zeros(n).index_fill(0, torch.tensor(chosen), 1.0)).numpy()
                    for chosen in itertools.combinations(range(n), kept)]
    output = np.asarray(found["output"])
    assert output.shape == possible[0].shape and any(np.allclose(output, y, rtol=1e-4, atol=1e-5) for y in possible), \
        "the outputs are those of no network that lost so many units"
    assert all(np.array_equal(tensor, found["given"][name]) for name, tensor in model.state_dict().items()), "the given network was changed"


def _mlp(*sizes, act=nn.ReLU):
    """An MLP whose units differ in size, so that which of them go is no matter of rounding."""
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layer = nn.Linear(n_in, n_out)
        layer.weight.data *= (0.5 + torch.randperm(n_out)[:, None] / n_out) * (0.5 + torch.randperm(n_in) / n_in)
        nn.init.normal_(layer.bias)
        layers += [layer, act()]
    return nn.Sequential(*layers[:-1])


seed(7)
_three, _deep, _single = _mlp(6, 8, 5, 3), _mlp(4, 9, 7, 6, 5, 3, act=nn.Tanh), _mlp(4, 3)
_sigmoid = nn.Sequential(*_mlp(5, 10, 4), nn.Sigmoid())
_alike = _mlp(3, 4, 2)
_alike[0].weight.data = torch.tensor([[1.0, -1.0, 0.5], [0.5, 1.0, 1.0], [-0.5, 2.0, 0.0], [2.5, 0.0, 0.0]])
_bare = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 2))
exam.compare("the same ratio for all", [
    case("hidden layers of 8 and 5 units, ratio = 0.5", _three, 0.5, torch.randn(5, 6)),
    case("hidden layers of 8 and 5 units, ratio = 0.35: 2.8 rounds to 3, 1.75 to 2", _three, 0.35, torch.randn(5, 6)),
    case("four hidden layers, tanh, ratio = 0.4", _deep, 0.4, torch.randn(5, 4)),
    case("an activation behind the last layer, ratio = 0.3", _sigmoid, 0.3, torch.randn(5, 5)),
], of="symmetric_prune", weight=2, probe=_prune_and_look, rtol=1e-4, atol=1e-5)
exam.compare("a ratio for each", [
    case("two hidden layers, ratios 0.25 and 0.6", _three, {"0": 0.25, "2": 0.6}, torch.randn(5, 6)),
    case("the layers listed last to first", _deep, {"6": 0.2, "4": 0.5, "2": 0.7, "0": 0.1}, torch.randn(5, 4)),
    case("two of four hidden layers are listed", _deep, {"4": 0.5, "0": 0.3}, torch.randn(5, 4)),
    case("layers without biases", _bare, {"2": 0.4, "0": 0.5}, torch.randn(5, 4)),
], of="asymmetric_prune", weight=2, probe=_prune_and_look, rtol=1e-4, atol=1e-5)
exam.compare("edges of one ratio", [
    edge("ratio = 0: a copy", _three, 0.0, torch.randn(5, 6)),
    edge("ratio = 1: one unit of each hidden layer stays", _deep, 1.0, torch.randn(5, 4)),
    edge("half of 5 units: round(2.5) is 2", _mlp(3, 5, 4), 0.5, torch.randn(5, 3)),
    edge("a single layer is the last one", _single, 0.5, torch.randn(5, 4)),
    edge("ratio = -0.1 raises ValueError", _three, -0.1, torch.randn(5, 6)),
    edge("ratio = 1.5 raises ValueError", _three, 1.5, torch.randn(5, 6)),
    edge("ratio = 2 raises ValueError, though there is no hidden layer", _single, 2, torch.randn(5, 4)),
    edge("ratio = -0.5 raises ValueError, though there is no hidden layer", _single, -0.5, torch.randn(5, 4)),
], of="symmetric_prune", probe=_prune_and_look, rtol=1e-4, atol=1e-5)
exam.compare("edges of several ratios", [
    edge("nothing is listed: a copy", _three, {}, torch.randn(5, 6)),
    edge("a ratio of 1 leaves one unit, one of 0 all", _three, {"0": 1.0, "2": 0.0}, torch.randn(5, 6)),
    edge("the last layer raises ValueError, at ratio 0 too", _three, {"0": 0.5, "4": 0.0}, torch.randn(5, 6)),
    edge("an activation raises ValueError", _three, {"1": 0.5}, torch.randn(5, 6)),
    edge("a name that is not there raises ValueError", _three, {"12": 0.5}, torch.randn(5, 6)),
    edge("one ratio of -0.1 raises ValueError", _three, {"0": 0.5, "2": -0.1}, torch.randn(5, 6)),
    edge("one ratio of 1.5 raises ValueError", _three, {"0": 1.5, "2": 0.5}, torch.randn(5, 6)),
], of="asymmetric_prune", probe=_prune_and_look, rtol=1e-4, atol=1e-5)
exam.law("ties, one ratio", _computes_one_of, [
    edge("all norms of 4 units are 2.5, ratio = 0.5", _alike, 0.5, torch.randn(3, 3)),
], of="symmetric_prune", weight=0.5, probe=_prune_and_look)
exam.law("ties, several ratios", _computes_one_of, [
    edge("all norms of 4 units are 2.5, a ratio of 0.25", _alike, {"0": 0.25}, torch.randn(3, 3)),
], of="asymmetric_prune", weight=0.5, probe=_prune_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: is the same share for all a good share?
#
# With exercise 7 done, run this cell. It cuts the trained MLP 64-64-32-10 with nine ratios for each of its two hidden layers, 81 networks without
# retraining; the orange line is the nine with one ratio for both. No marks.

# %%
data, mlp = digits(), models.load("mlp")
ratios = np.arange(9) / 10


def size_and_accuracy(net):
    return sum(p.numel() for p in net.parameters()), accuracy(net, data)


every = [size_and_accuracy(asymmetric_prune(mlp, {"0": a, "2": b})) for a in ratios for b in ratios]
same = [size_and_accuracy(symmetric_prune(mlp, ratio)) for ratio in ratios]
axes = plt.subplots(figsize=(6.4, 3.4))[1]
axes.plot(*zip(*every), "o", color=plots.PALE, label="a ratio for each layer")
axes.plot(*zip(*same), color=plots.ORANGE, marker="s", label="the same ratio for both")
axes.set(xlabel="parameters left", ylabel="validation accuracy", ylim=(0, 1.02))
axes.legend(loc="lower right")
plt.show()

# %% [markdown]
# A grey point to the upper left of an orange one is smaller and better at once: removing 40 % of the first and 60 % of the second layer gives 89 %, 40 % of
# both only 83 %. But 81 networks were tried on the same 500 pictures to find it; to be sure, it would have to be measured on others.
#
# ## 8. Units first, then weights
#
# *Hybrid* pruning does both: whole units go where the network can spare them, and among the weights that are left the small ones are masked. Write
# `hybrid_prune(model, channel_ratio, weight_sparsity) -> (model, masks)`.
#
# `model` is an `nn.Sequential` as in exercise 4 (linear layers, convolutions with `groups = 1`, batch norms, activations, pooling, `nn.Flatten`, not nested). Layers
# may have no bias, convolutions any stride, padding and dilation, batch norms any eps; all of that stays.
#
# 1. *Units.* From every `nn.Linear` and `nn.Conv2d` but the last of them, remove the `round(channel_ratio * n)` of its n units with the least $L_1$ norm of
#    their weights *as given* (row or filter, without bias), but leave at least one; their batch norm entries and the next layer's inputs go too.
# 2. *Weights.* In the network that is left, a *weight* is an element of a parameter with at least two dimensions, N of them in all, the last layer's among
#    them. One ranking over all of them masks the `round(weight_sparsity * N)` smallest magnitudes.
#
# $$N = \sum_{\text{layers } l \text{ of the cut network}} \operatorname{size}(W_l), \qquad \#\text{zeros} = \texttt{round}(s\,N)$$
#
# - The result is `(model, masks)`: a new `nn.Sequential` with as many modules, whose masked weights *are* 0; and a dictionary with the boolean mask
#   (`True` = keep) of every weight tensor and of nothing else, keyed by parameter name (`"0.weight"`), in the *new* shape.
# - The masks mark exactly `round(weight_sparsity * N)` weights, also where more of them are 0 already.
# - Ties may fall either way. Either ratio outside [0, 1] raises `ValueError`. `model` is as it was, its mode among it. Outputs are compared in eval mode; in which
#   mode the new network is returned is up to you.
#
# Sources: Li et al. (2017), section 3.1, for the units; Han et al. (2015), *Learning both Weights and Connections*, section 3, for the weights.
#
# *Worked example.* An MLP 64-24-10 has 1,776 weights. `channel_ratio = 0.5` leaves 64-12-10 with 768 + 120 = 888; `weight_sparsity = 0.75` masks
# `round(0.75 * 888)` = 666 of *these* and leaves 222, an eighth: shares that are kept multiply. 75 % of the old size would be 1,332, more than there are.
#
# <details><summary>Hint 1</summary>The two steps are two programs, one behind the other; the second does not know that there was a first.</details>
# <details><summary>Hint 2</summary>Step 1 is the walk of exercise 4 with a <code>keep</code> of your own: scores of all hidden layers first, then the cut. Step 2 is
# one long vector of magnitudes, as in 01: join, rank, split.</details>
# <details><summary>Hint 3</summary>With <code>weights = {name: p for name, p in new.named_parameters() if p.dim() &gt;= 2}</code>, take
# <code>order = torch.cat([p.detach().abs().flatten() for p in weights.values()]).argsort()</code>, set the first of them False in a long all-True mask,
# <code>split</code> it by the sizes, <code>view_as</code> each part, and multiply <code>p.data</code> by it.</details>

# %% answer="hybrid_prune"
def hybrid_prune(model, channel_ratio, weight_sparsity):
    """A copy without the least units, whose least weights are masked; with the masks of its weights."""
    ### BEGIN SOLUTION
    if not (0 <= channel_ratio <= 1 and 0 <= weight_sparsity <= 1):
        raise ValueError("ratios lie in [0, 1]")
    model, kept, units = copy.deepcopy(model), None, None
    last = [module for module in model if isinstance(module, (nn.Linear, nn.Conv2d))][-1]
    for module in model:
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            scores = module.weight.data.abs().flatten(1).sum(1)              # before its columns go
            if kept is not None:
                module.weight.data = module.weight.data.unflatten(1, (units, -1))[:, kept].flatten(1, 2)
            units = len(scores)
            gone = 0 if module is last else min(round(channel_ratio * units), units - 1)
            kept = scores.argsort()[gone:].sort().values
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.dim() > 0:
                tensor.data = tensor.data[kept]

    weights = {name: p for name, p in model.named_parameters() if p.dim() >= 2}
    order = torch.cat([p.data.abs().flatten() for p in weights.values()]).argsort()
    mask = torch.ones(len(order), dtype=torch.bool)
    mask[order[:round(weight_sparsity * len(order))]] = False
    masks = {name: part.view_as(weights[name]) for name, part in zip(weights, mask.split([p.numel() for p in weights.values()]))}
    for name, p in weights.items():
        p.data = p.data * masks[name]
    return sized(model), masks
    ### END SOLUTION

# %% test="hybrid_prune" points=5
_net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
_net[0].weight.data, _net[2].weight.data = torch.tensor([[4.0, -3.0], [1.0, 1.0]]), torch.tensor([[0.5, 9.0]])
_new, _masks = hybrid_prune(_net, 0.5, 0.34)
assert np.asarray(_masks["0.weight"]).tolist() == [[True, True]]
assert np.asarray(_masks["2.weight"]).tolist() == [[False]], "0.34 of the three weights that are left is one, the smallest of them"
assert np.allclose(_new[0].weight.tolist(), [[4.0, -3.0]])
assert np.allclose(_new[2].weight.tolist(), [[0.0]])
### BEGIN HIDDEN TESTS
def _prune_and_look(prune, model, channel_ratio, weight_sparsity, x):
    """The masks, the new network's weights and output; then what is left of the given one after the new one was changed."""
    new, masks = prune(model, channel_ratio, weight_sparsity)
    modes = [module.training for module in model.modules()]
    layers = {name: m for name, m in new.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))}
    weights = {f"{name}.weight": layer.weight.detach().clone() for name, layer in layers.items()}        # as they are used, reparametrised or not
    with torch.no_grad():
        try:
            output = new.eval()(x)
        except RuntimeError:
            output = "its layers do not fit together"
        for tensor in (*new.parameters(), *new.buffers()):
            tensor.add_(1)
    return {"masks": dict(masks.items()), "weights": weights, "output": output, "given": dict(model.state_dict()), "modes": modes}


def _is_small_and_masked(found, model, channel_ratio, weight_sparsity, x):
    names = [name for name, p in model.named_parameters() if p.dim() >= 2]
    weights, masks = ({name: np.asarray(t) for name, t in found[key].items()} for key in ("weights", "masks"))
    assert set(masks) == set(names) == set(weights), "there must be a mask for every weight, and for nothing else"
    units, before = None, 0
    for name in names:
        n_out, n_in, *kernel = model.get_parameter(name).shape
        columns = n_in if units is None else n_in // before * units
        before, units = n_out, n_out if name == names[-1] else max(1, n_out - round(channel_ratio * n_out))
        assert weights[name].shape == (units, columns, *kernel), f"{name} has the wrong shape: units are left that should be gone, or too many went"
        assert masks[name].shape == weights[name].shape, "a mask must have the shape of its weight in the new network"
        assert masks[name].dtype == bool, "masks must be boolean"
        assert (weights[name][~masks[name]] == 0).all(), "a masked weight must be 0 in the new network"
    total, zeros = sum(m.size for m in masks.values()), sum((~m).sum() for m in masks.values())
    assert zeros == round(weight_sparsity * total), "the number of masked weights is not round(s·N), N counted in the new network"
    assert all(np.array_equal(tensor, found["given"][name]) for name, tensor in model.state_dict().items()), "the given network was changed"
    assert list(found["modes"]) == [module.training for module in model.modules()], "the mode of the given network was changed"


def _computes_what_it_should(found, model, channel_ratio, weight_sparsity, x):
    _is_small_and_masked(found, model, channel_ratio, weight_sparsity, x)
    with torch.no_grad():
        wanted = exam.references["hybrid_prune"](model, channel_ratio, weight_sparsity)[0].eval()(x).numpy()
    output = np.asarray(found["output"])
    assert output.shape == wanted.shape and np.allclose(output, wanted, rtol=1e-4, atol=1e-5), \
        "the outputs are wrong: other units or weights went than those of least magnitude, or something of a unit was left"


def _keeps_what_it_masks_not(found, model, channel_ratio, weight_sparsity, x):
    """For weights that are all of one magnitude: those that are kept are not zero."""
    _is_small_and_masked(found, model, channel_ratio, weight_sparsity, x)
    assert all((np.asarray(found["weights"][name])[np.asarray(mask)] != 0).all() for name, mask in found["masks"].items()), "a kept weight is 0"


def _stir(net):
    """The network with units of different sizes, and biases and batch norms that are no longer as they were made."""
    for module in net:
        if getattr(module, "weight", None) is not None:
            nn.init.normal_(module.weight, std=0.3)
            if module.bias is not None:
                nn.init.normal_(module.bias)
            if module.weight.dim() > 1:
                size = 0.5 + torch.randperm(len(module.weight)) / len(module.weight)
                module.weight.data *= size.view(-1, *[1] * (module.weight.dim() - 1)) * (0.2 + torch.rand(module.weight.shape[1:]))
        if hasattr(module, "running_mean"):
            nn.init.normal_(module.running_mean), nn.init.uniform_(module.running_var, 0.5, 2)
    return net.eval()


seed(8)
_mlp = _stir(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3)))
_cnn = _stir(nn.Sequential(
    nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten(),
    nn.Linear(4 * 2 * 1, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)))
_small = _stir(nn.Sequential(nn.Conv2d(2, 5, 2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(5 * 4, 4)))
_last = _stir(nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 5), nn.Sigmoid()))
_odd = _stir(nn.Sequential(
    nn.Conv2d(1, 5, 3, stride=2, padding=2, dilation=2, bias=False), nn.BatchNorm2d(5, eps=0.1), nn.ReLU(), nn.Conv2d(5, 4, 3, padding=1, dilation=2), nn.ReLU(),
    nn.Flatten(), nn.Linear(4 * 3 * 3, 6, bias=False), nn.BatchNorm1d(6, eps=0.1), nn.ReLU(), nn.Linear(6, 3))).train()
_sparse = _stir(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3)))
for _layer in _sparse[::2]:
    _layer.weight.data *= torch.arange(_layer.weight.numel()).view_as(_layer.weight) % 3 > 0
_alike = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
for _p in _alike.parameters():
    nn.init.constant_(_p, -0.5)
exam.law("linear networks", _computes_what_it_should, [
    case("two hidden layers, half of the units, 0.4 of the weights", _mlp, 0.5, 0.4, torch.randn(5, 6)),
    case("two hidden layers, ratios 0.35 and 0.7, where counts are rounded", _mlp, 0.35, 0.7, torch.randn(5, 6)),
    case("a batch norm, and an activation behind the last layer", _last, 0.3, 0.5, torch.randn(5, 4)),
], weight=2, probe=_prune_and_look)
exam.law("convolutional networks", _computes_what_it_should, [
    case("two convolutions, a hidden linear layer and batch norms, half of the units, 0.6 of the weights", _cnn, 0.5, 0.6, torch.randn(3, 1, 8, 6)),
    case("one convolution, sigmoid and average pooling, ratios 0.4 and 0.25", _small, 0.4, 0.25, torch.randn(3, 2, 5, 5)),
    case("layers without bias before batch norms of eps = 0.1, stride 2, dilation 2, in train mode, ratios 0.4 and 0.3", _odd, 0.4, 0.3, torch.randn(3, 1, 9, 9)),
], weight=2, probe=_prune_and_look)
exam.law("edges", _computes_what_it_should, [
    edge("both ratios 0: a copy with full masks", _cnn, 0.0, 0.0, torch.randn(3, 1, 8, 6)),
    edge("a quarter of the units and no weights", _cnn, 0.25, 0.0, torch.randn(3, 1, 8, 6)),
    edge("no units and 0.55 of the weights", _mlp, 0.0, 0.55, torch.randn(5, 6)),
    edge("channel_ratio = 1 leaves one unit of each hidden layer", _cnn, 1.0, 0.3, torch.randn(3, 1, 8, 6)),
    edge("a third of the weights are 0 as given, a tenth is masked", _sparse, 0.25, 0.1, torch.randn(5, 6)),
    edge("weight_sparsity = 1 masks everything, the biases speak alone", _mlp, 0.5, 1.0, torch.randn(5, 6)),
    edge("channel_ratio = -0.1 raises ValueError", _mlp, -0.1, 0.5, torch.randn(5, 6)),
    edge("channel_ratio = 1.1 raises ValueError", _mlp, 1.1, 0.5, torch.randn(5, 6)),
    edge("weight_sparsity = -0.1 raises ValueError", _mlp, 0.5, -0.1, torch.randn(5, 6)),
    edge("weight_sparsity = 1.1 raises ValueError", _mlp, 0.5, 1.1, torch.randn(5, 6)),
], probe=_prune_and_look)
exam.law("ties", _keeps_what_it_masks_not, [
    edge("all weights are alike, half of the units and of the weights go", _alike, 0.5, 0.5, torch.randn(5, 3)),
    edge("all weights are alike, ratios 0.25 and 0.3", _alike, 0.25, 0.3, torch.randn(5, 3)),
], probe=_prune_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 9. Repair a structural pruner
#
# The next cell holds an answer to "prune this model structurally, at a ratio" in the form in which it circulates. It runs without an error, and
# here is what its users report:
#
# - "The pruned model has as many parameters as before. It is not faster, and it gives the same outputs to the last digit."
# - "I asked for a ratio of 0.9, then of 0.1. No difference. Then of 7: no complaint either."
# - "It draws random numbers, but I can change the seed as I like and nothing happens. I print the list of layers at the end, and some are missing from it,
#   while the model still has all of them."
#
# Write `structural_prune(model, ratio) -> model` as it should be, with the contract of `symmetric_prune` in exercise 7:
#
# - `model` is an `nn.Sequential` of `nn.Linear` layers with activations between them. From every `nn.Linear` but the last, the `round(ratio * n)` of its n
#   units with the least $L_1$ norm of their row, $s_j = \sum_i |W_{ji}|$, are removed, but at least one stays. Ties may fall either way.
# - Norms are those of the weights as given, before any column is removed; biases do not count.
# - A unit that goes takes its row, its bias (if there is one) and its column in the next layer with it, so that the tensors become smaller. All else stays: input
#   features, the outputs of the last layer, activations, the number of modules.
# - `ratio` outside [0, 1] raises `ValueError`. The result is new, in train or eval mode as you like, and `model` as it was, its mode among it.
#
# Source: Li et al. (2017), section 3.1, for what should happen; the broken form is ours, written after answers that circulate.
#
# *Worked example.* Rows `[3, 0]`, `[0.5, -0.5]`, `[-2, 2]`, `[0.2, 0.1]` have the norms 3, 1, 4 and 0.3. At `ratio = 0.5` two of four go: units 1 and 3. A network
# 2-4-3 with 12 + 15 parameters becomes 2-2-3 with 6 + 9.
#
# <details><summary>Hint 1</summary>For each line of the broken program ask: who reads what it writes? <code>doomed</code> is read by nobody, and
# <code>layers</code> is a list of its own: a module that is removed from it is still in the model.</details>
# <details><summary>Hint 2</summary>Keep the copy. Replace the drawing of lots by a ranking, and the removal of layers by the removal of units: rows here,
# a bias entry here, columns in the next linear layer. The last linear layer's rows are the classes.</details>
# <details><summary>Hint 3</summary>This is exercise 7 with one ratio; your answer to it may be called here. Or, going through the linear layers from the last pair
# to the first, score a layer, cut its rows and the next one's columns: its own columns are cut only afterwards.</details>

# %%
def published_structural_prune(model, ratio):
    """As it circulates, in our words. Leave it as it is; the repaired one goes into the next cell."""
    pruned = copy.deepcopy(model)
    layers = list(pruned.children())
    for layer in list(layers):
        if isinstance(layer, nn.Linear):
            doomed = np.random.choice(layer.out_features, int(ratio * layer.out_features))
            if len(doomed) > 0:
                layers.remove(layer)
    return pruned

# %% answer="structural_prune"
def structural_prune(model, ratio):
    """A copy of the MLP without the share `ratio` of the units of each hidden layer."""
    ### BEGIN SOLUTION
    if not 0 <= ratio <= 1:
        raise ValueError("a ratio lies in [0, 1]")
    pruned = copy.deepcopy(model)
    layers = [layer for layer in pruned if isinstance(layer, nn.Linear)]
    for layer, following in list(zip(layers, layers[1:]))[::-1]:             # backwards: a layer is scored before its columns go
        gone = min(round(ratio * len(layer.weight)), len(layer.weight) - 1)
        keep = layer.weight.data.abs().sum(1).argsort()[gone:].sort().values
        for p in layer.parameters():
            p.data = p.data[keep]
        following.weight.data = following.weight.data[:, keep]
    return sized(pruned)
    ### END SOLUTION

# %% test="structural_prune" points=4
_net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
_net[0].weight.data = torch.tensor([[3.0, 0.0], [0.5, -0.5], [-2.0, 2.0], [0.2, 0.1]])
_new = structural_prune(_net, 0.5)
assert sum(p.numel() for p in _new.parameters()) == 15
assert np.allclose(_new[0].weight.abs().sum(1).sort().values.tolist(), [3.0, 4.0])
assert tuple(_new[2].weight.shape) == (3, 2)
### BEGIN HIDDEN TESTS
def _prune_and_look(prune, model, ratio, x):
    """What the new network computes and its weights' shapes; then what is left of the given one after the new one was changed."""
    new = prune(model, ratio)
    modes = [module.training for module in model.modules()]
    shapes = [tuple(layer.weight.shape) for layer in new.modules() if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        try:
            output = new(x)
        except RuntimeError:
            output = "its layers do not fit together"
        for p in new.parameters():
            p.add_(1)
    return {"shapes": shapes, "output": output, "given": dict(model.state_dict()), "modes": modes, "ratio": ratio}


def _computes_one_of(found, model, ratio, x):
    """All norms of the hidden layer tie: any choice of as many units is right."""
    import itertools
    first, last = model[0], model[2]
    n = len(first.weight)
    kept = max(1, n - round(ratio * n))
    assert found["shapes"] == [(kept, first.in_features), (last.out_features, kept)], "the weights have the wrong shapes"
    with torch.no_grad():
        possible = [last(torch.relu(first(x)) * torch.zeros(n).index_fill(0, torch.tensor(chosen), 1.0)).numpy()
                    for chosen in itertools.combinations(range(n), kept)]
    output = np.asarray(found["output"])
    assert output.shape == possible[0].shape and any(np.allclose(output, y, rtol=1e-4, atol=1e-5) for y in possible), \
        "the outputs are those of no network that lost so many units"


def _mlp(*sizes, act=nn.ReLU, bias=True):
    """An MLP whose units differ in size, so that which of them go is no matter of rounding."""
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layer = nn.Linear(n_in, n_out, bias=bias)
        layer.weight.data *= (0.5 + torch.randperm(n_out)[:, None] / n_out) * (0.5 + torch.randperm(n_in) / n_in)
        if bias:
            nn.init.normal_(layer.bias)
        layers += [layer, act()]
    return nn.Sequential(*layers[:-1])


seed(9)
_three, _deep = _mlp(5, 9, 6, 4), _mlp(3, 8, 10, 7, 5, 2, act=nn.Tanh)
_alike = _mlp(3, 4, 2)
_alike[0].weight.data = torch.tensor([[1.0, -1.0, 0.5], [0.5, 1.0, 1.0], [-0.5, 2.0, 0.0], [2.5, 0.0, 0.0]])
exam.compare("networks", [
    case("hidden layers of 9 and 6 units, ratio = 0.5", _three, 0.5, torch.randn(5, 5)),
    case("hidden layers of 9 and 6 units, ratio = 0.3: 2.7 rounds to 3, 1.8 to 2", _three, 0.3, torch.randn(5, 5)),
    case("four hidden layers, tanh, ratio = 0.6", _deep, 0.6, torch.randn(5, 3)),
    case("layers without biases, ratio = 0.4", _mlp(4, 7, 5, 3, bias=False), 0.4, torch.randn(5, 4)),
], weight=2, probe=_prune_and_look, rtol=1e-4, atol=1e-5)
exam.law("ties", _computes_one_of, [
    edge("all norms of 4 units are 2.5, ratio = 0.5", _alike, 0.5, torch.randn(3, 3)),
], probe=_prune_and_look)
exam.compare("edges", [
    edge("ratio = 0: a copy", _three, 0.0, torch.randn(5, 5)),
    edge("ratio = 1: one unit of each hidden layer stays", _deep, 1.0, torch.randn(5, 3)),
    edge("half of 5 units: round(2.5) is 2", _mlp(3, 5, 4), 0.5, torch.randn(5, 3)),
    edge("a single layer is the last one", _mlp(4, 3), 0.5, torch.randn(5, 4)),
    edge("ratio = -0.1 raises ValueError", _three, -0.1, torch.randn(5, 5)),
    edge("ratio = 1.5 raises ValueError", _three, 1.5, torch.randn(5, 5)),
    edge("ratio = 7 raises ValueError", _three, 7, torch.randn(5, 5)),
], probe=_prune_and_look, rtol=1e-4, atol=1e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## Concepts
#
# What the exercises above taught you, asked the way an interviewer asks it: five checks that are marked at once, and two questions to
# answer in your own words. In a check every statement stands alone; any number of them, but at least one, is true.

# %% check="kinds_of_pruning" points=1

# %% check="symmetric_parameters" points=1

# %% check="what_each_kind_saves" points=1

# %% check="hybrid_ratio" points=1

# %% check="class_of_a_method" points=1

# %% [markdown] interview="I07" points=5

# %% [markdown] interview="I12" points=5

# %% [markdown]
# ## Where this leads
#
# You can take units out of a network so that nothing of them is left: `remove_neurons` and `remove_filters` say what a unit is, `equivalent_to_masked` that
# the smaller network computes what the masked one did. That is the point of structured pruning: parameters, multiplications and time fall
# together, on hardware that knows nothing of sparsity.
#
# The price is that the choice is coarse. Half of the filters went, and without retraining so did much of the accuracy; which score is best
# was not settled. With retraining the differences between scores shrink, and what counts is how many units each
# layer keeps: the lesson measures that.
#
# Real networks have branches: where two paths are added, both must lose the same channels, so their filters are chosen together. And how much each layer should
# lose follows from its sensitivity (02), or is left to a loop that prunes while the accuracy holds (04).
