"""Wrong answers to the exercises of 03, each with what to tell a student who gave it."""
import copy

import numpy as np
import torch
from torch import nn

from autograder.mistakes import mistake

NORMS = nn.BatchNorm1d, nn.BatchNorm2d
LAYERS = nn.Linear, nn.Conv2d


@mistake("filter_scores", "You summed over the output channels: there is one score for each input channel. Axis 0 of the weight, the filters, is the one that stays.")
def input_channels(conv):
    return conv.weight.detach().abs().sum((0, 2, 3))


@mistake("filter_scores", "You added the bias to the score. Only the kernels' weights count.")
def bias_included(conv):
    scores = conv.weight.detach().abs().flatten(1).sum(1)
    return scores if conv.bias is None else scores + conv.bias.detach().abs()


@mistake("filter_scores", "You averaged over the filter's weights. That ranks the filters of one layer alike, but the score asked for is the sum.")
def mean_of_the_filter(conv):
    return conv.weight.detach().abs().flatten(1).mean(1)


@mistake("filter_scores", "You averaged over axis 0, the output channels: what is left is one number for each input channel. Sum over all other axes instead.")
def mean_over_the_filters(conv):
    return conv.weight.detach().abs().mean(0).sum((1, 2))


@mistake("filter_scores", "You summed signed weights, so that positive and negative ones cancel. Take absolute values first.")
def signed_sum(conv):
    return conv.weight.detach().flatten(1).sum(1)


@mistake("filter_scores", "You took the absolute value of the sum, in which positive and negative weights have cancelled already. Absolute values come first.")
def absolute_of_the_sum(conv):
    return conv.weight.detach().flatten(1).sum(1).abs()


@mistake("filter_scores", "You took the Euclidean norm. Asked for is the L1 norm, the sum of absolute values.")
def euclidean(conv):
    return conv.weight.detach().flatten(1).norm(dim=1)


@mistake("filter_scores", "You gave one number for each kernel, (C_out, C_in). A filter is all kernels of one output channel: sum over its input channels too.")
def one_for_each_kernel(conv):
    return conv.weight.detach().abs().sum((2, 3))


@mistake("filter_scores", "The scores are right, but you changed the layer: abs_() writes into its weights. Use abs(), which makes a new tensor.")
def absolute_in_place(conv):
    return conv.weight.data.abs_().flatten(1).sum(1)


def _linear_pair(fc1, fc2):
    return copy.deepcopy(fc1), copy.deepcopy(fc2)


def _label(fc1, fc2, n):
    fc1.out_features = fc2.in_features = n
    return fc1, fc2


def _cut_units(layer, keep):
    for p in layer.parameters():
        p.data = p.data[keep]


def _cut_inputs(layer, keep):
    layer.weight.data = layer.weight.data[:, keep]


@mistake("remove_neurons", "You set the units that go to zero, but they are all still there: the shapes are the old ones, and so is the work. Select the rows and "
         "columns that stay.")
def zeroes_only(fc1, fc2, keep):
    fc1, fc2 = _linear_pair(fc1, fc2)
    stays = torch.zeros(fc1.out_features).index_fill(0, keep, 1.0)
    fc1.weight.data *= stays[:, None]
    if fc1.bias is not None:
        fc1.bias.data *= stays
    fc2.weight.data *= stays
    return fc1, fc2


@mistake("remove_neurons", "You forgot the bias of fc1: it still has an entry for every unit that went.")
def first_bias_forgotten(fc1, fc2, keep):
    fc1, fc2 = _linear_pair(fc1, fc2)
    fc1.weight.data = fc1.weight.data[keep]
    _cut_inputs(fc2, keep)
    return _label(fc1, fc2, len(keep))


@mistake("remove_neurons", "You kept the first entries of fc1's bias. An entry belongs to its unit: bias[keep].")
def first_entries_of_the_bias(fc1, fc2, keep):
    new1, new2 = _linear_pair(fc1, fc2)
    _cut_units(new1, keep)
    _cut_inputs(new2, keep)
    if fc1.bias is not None:
        new1.bias.data = fc1.bias.data[:len(keep)].clone()
    return _label(new1, new2, len(keep))


@mistake("remove_neurons", "You took rows of fc2. A hidden unit is one of its inputs, and inputs are columns: fc2.weight[:, keep].")
def rows_of_the_second(fc1, fc2, keep):
    fc1, fc2 = _linear_pair(fc1, fc2)
    _cut_units(fc1, keep)
    fc2.weight.data = fc2.weight.data[keep]
    return _label(fc1, fc2, len(keep))


@mistake("remove_neurons", "You left fc2 as it was: it still reads units that no longer exist, and the shapes do not fit.")
def second_layer_untouched(fc1, fc2, keep):
    fc1, fc2 = _linear_pair(fc1, fc2)
    _cut_units(fc1, keep)
    fc1.out_features = len(keep)
    return fc1, fc2


@mistake("remove_neurons", "The rows of fc1 and the columns of fc2 are in different orders, so each unit's output is read as another's. Use the same keep for both.")
def order_scrambled(fc1, fc2, keep):
    fc1, fc2 = _linear_pair(fc1, fc2)
    _cut_units(fc1, keep)
    _cut_inputs(fc2, keep.flip(0))
    return _label(fc1, fc2, len(keep))


@mistake("remove_neurons", "You kept the first units, as many as keep has entries. keep says which ones stay.")
def the_first_units(fc1, fc2, keep):
    fc1, fc2 = _linear_pair(fc1, fc2)
    _cut_units(fc1, slice(len(keep)))
    _cut_inputs(fc2, slice(len(keep)))
    return _label(fc1, fc2, len(keep))


@mistake("remove_neurons", "You removed the units in keep. keep lists those that stay.")
def removes_what_should_stay(fc1, fc2, keep):
    fc1, fc2 = _linear_pair(fc1, fc2)
    others = torch.tensor(sorted(set(range(fc1.out_features)) - set(keep.tolist())), dtype=torch.long)
    _cut_units(fc1, others)
    _cut_inputs(fc2, others)
    return _label(fc1, fc2, len(others))


@mistake("remove_neurons", "You cut the bias of fc2. It belongs to the outputs, which all stay.")
def second_bias_cut(fc1, fc2, keep):
    fc1, fc2 = _linear_pair(fc1, fc2)
    _cut_units(fc1, keep)
    _cut_inputs(fc2, keep)
    if fc2.bias is not None:
        fc2.bias.data = fc2.bias.data[:len(keep)]
    return _label(fc1, fc2, len(keep))


@mistake("remove_neurons", "The tensors are right, but in_features and out_features still have their old values. Set them: whoever reads them believes them.")
def sizes_not_set(fc1, fc2, keep):
    fc1, fc2 = _linear_pair(fc1, fc2)
    _cut_units(fc1, keep)
    _cut_inputs(fc2, keep)
    return fc1, fc2


@mistake("remove_neurons", "A layer made with bias=False has a bias of None, and your function fails on it.")
def fails_without_bias(fc1, fc2, keep):
    fc1, fc2 = _linear_pair(fc1, fc2)
    fc1.weight.data, fc1.bias.data = fc1.weight.data[keep], fc1.bias.data[keep]
    _cut_inputs(fc2, keep)
    return _label(fc1, fc2, len(keep))


@mistake("remove_neurons", "New layers are in train mode. Each one must be in the mode that the given one was in.")
def train_mode(fc1, fc2, keep):
    fc1, fc2 = _linear_pair(fc1, fc2)
    _cut_units(fc1, keep)
    _cut_inputs(fc2, keep)
    return _label(fc1.train(), fc2.train(), len(keep))


@mistake("remove_neurons", "You cut the layers that you were given. Work on copies.")
def neurons_in_place(fc1, fc2, keep):
    _cut_units(fc1, keep)
    _cut_inputs(fc2, keep)
    return _label(fc1, fc2, len(keep))


@mistake("remove_neurons", "The new fc2 uses the bias parameter of the given one: training one changes the other. Copy the layers.")
def second_bias_shared(fc1, fc2, keep):
    new1, new2 = _linear_pair(fc1, fc2)
    _cut_units(new1, keep)
    _cut_inputs(new2, keep)
    new2.bias = fc2.bias
    return _label(new1, new2, len(keep))


def _filters(conv, bn, following, keep, cut_norm=None, cut_following=None):
    """The right cut, but for what is given instead."""
    conv, bn, following = copy.deepcopy((conv, bn, following))
    channels, conv.out_channels = conv.out_channels, len(keep)
    _cut_units(conv, keep)
    if bn is not None:
        (cut_norm or _cut_norm)(bn, keep)
    (cut_following or _cut_following)(following, keep, channels)
    if isinstance(following, nn.Linear):
        following.in_features = following.weight.shape[1]
    else:
        following.in_channels = following.weight.shape[1]
    return conv, bn, following


def _cut_norm(bn, keep):
    _cut_units(bn, keep)
    bn.running_mean, bn.running_var, bn.num_features = bn.running_mean[keep], bn.running_var[keep], len(keep)


def _cut_following(following, keep, channels):
    following.weight.data = following.weight.data.unflatten(1, (channels, -1))[:, keep].flatten(1, 2)


@mistake("remove_filters", "You forgot the batch norm's running mean and variance: they still have an entry for every old channel.")
def running_statistics_forgotten(conv, bn, following, keep):
    def cut(bn, keep):
        _cut_units(bn, keep)
        bn.num_features = len(keep)
    return _filters(conv, bn, following, keep, cut)


@mistake("remove_filters", "You took a new batch norm, or reset it: its running mean and variance are 0 and 1. Those of the kept channels must move along.")
def running_statistics_reset(conv, bn, following, keep):
    def cut(bn, keep):
        _cut_norm(bn, keep)
        bn.reset_running_stats()
    return _filters(conv, bn, following, keep, cut)


@mistake("remove_filters", "You kept the running statistics of the first channels, not of those in keep.")
def first_running_statistics(conv, bn, following, keep):
    def cut(bn, keep):
        mean, var = bn.running_mean, bn.running_var
        _cut_norm(bn, keep)
        bn.running_mean, bn.running_var = mean[:len(keep)].clone(), var[:len(keep)].clone()
    return _filters(conv, bn, following, keep, cut)


@mistake("remove_filters", "You cut the batch norm's running statistics, but not its γ and β.")
def gamma_and_beta_forgotten(conv, bn, following, keep):
    def cut(bn, keep):
        bn.running_mean, bn.running_var, bn.num_features = bn.running_mean[keep], bn.running_var[keep], len(keep)
    return _filters(conv, bn, following, keep, cut)


@mistake("remove_filters", "You left the batch norm as it was: it still normalises channels that no longer exist.")
def batch_norm_untouched(conv, bn, following, keep):
    return _filters(conv, bn, following, keep, lambda bn, keep: None)


@mistake("remove_filters", "Your batch norm has lost its eps. Everything but the channels stays as it was.")
def eps_lost(conv, bn, following, keep):
    def cut(bn, keep):
        _cut_norm(bn, keep)
        bn.eps = 1e-5
    return _filters(conv, bn, following, keep, cut)


@mistake("remove_filters", "The tensors are right, but num_features of the batch norm has its old value. Set it.")
def num_features_not_set(conv, bn, following, keep):
    def cut(bn, keep):
        n = bn.num_features
        _cut_norm(bn, keep)
        bn.num_features = n
    return _filters(conv, bn, following, keep, cut)


@mistake("remove_filters", "You sliced the next layer on axis 0, its outputs. The channels that went are its inputs: axis 1.")
def following_on_the_wrong_axis(conv, bn, following, keep):
    def cut(following, keep, channels):
        following.weight.data = following.weight.data[[k % len(following.weight) for k in keep.tolist()]]
    return _filters(conv, bn, following, keep, cut_following=cut)


@mistake("remove_filters", "You took column j of the linear layer for channel j. Behind Flatten a channel is a block of H·W columns: from j·H·W on.")
def block_ignored(conv, bn, following, keep):
    return _filters(conv, bn, following, keep, cut_following=lambda following, keep, channels: _cut_inputs(following, keep))


@mistake("remove_filters", "You took every C-th column for a channel, as if the channels varied fastest. Flatten lays all H·W values of one channel side by side.")
def channels_last(conv, bn, following, keep):
    def cut(following, keep, channels):
        w = following.weight.data
        following.weight.data = w.unflatten(1, (-1, channels))[:, :, keep].flatten(1, 2) if isinstance(following, nn.Linear) else w[:, keep]
    return _filters(conv, bn, following, keep, cut_following=cut)


@mistake("remove_filters", "You worked out the block's size with the new number of channels. P is in_features divided by the old one.")
def block_of_the_new_size(conv, bn, following, keep):
    def cut(following, keep, channels):
        block = following.weight.shape[1] // len(keep) if isinstance(following, nn.Linear) else 1
        columns = [j * block + p for j in keep.tolist() for p in range(block)]
        _cut_inputs(following, [c for c in columns if c < following.weight.shape[1]])
    return _filters(conv, bn, following, keep, cut_following=cut)


@mistake("remove_filters", "You left the next layer as it was: it still expects the old number of channels.")
def following_untouched(conv, bn, following, keep):
    return _filters(conv, bn, following, keep, cut_following=lambda following, keep, channels: None)


@mistake("remove_filters", "bn may be None: your function fails on it, or does not give None back in its place.")
def fails_without_batch_norm(conv, bn, following, keep):
    n = bn.num_features
    return _filters(conv, bn, following, keep) if n else None


@mistake("remove_filters", "A convolution made with bias=False has a bias of None, and your function fails on it. Before a batch norm that is common.")
def fails_without_a_conv_bias(conv, bn, following, keep):
    conv.bias.detach()
    return _filters(conv, bn, following, keep)


@mistake("remove_filters", "You forgot the bias of the convolution: it still has an entry for every filter that went.")
def conv_bias_forgotten(conv, bn, following, keep):
    new = _filters(conv, bn, following, keep)
    new[0].bias = copy.deepcopy(conv.bias)
    return new


@mistake("remove_filters", "You left the second module out where bn is None. Three results are asked for, and the second is None then.")
def two_results(conv, bn, following, keep):
    return tuple(module for module in _filters(conv, bn, following, keep) if module is not None)


@mistake("remove_filters", "Your layers are in train mode, as new ones are. Each module must stay in the mode that it was in: in train mode a batch norm computes something else.")
def modes_lost(conv, bn, following, keep):
    return tuple(module and module.train() for module in _filters(conv, bn, following, keep))


@mistake("remove_filters", "Your convolution has lost its stride, padding or dilation. Build the new one with those of the old, or start from a copy.")
def stride_lost(conv, bn, following, keep):
    new, bn, following = _filters(conv, bn, following, keep)
    bare = nn.Conv2d(conv.in_channels, len(keep), conv.kernel_size, bias=conv.bias is not None).train(conv.training)
    bare.load_state_dict(new.state_dict())
    return bare, bn, following


@mistake("remove_filters", "You set the filters that go to zero, but they are all still there: the shapes are the old ones, and so is the work.")
def filters_zeroed(conv, bn, following, keep):
    conv, bn, following = copy.deepcopy((conv, bn, following))
    stays = torch.zeros(conv.out_channels).index_fill(0, keep, 1.0)
    for p in (p for module in (conv, bn) if module is not None for p in module.parameters()):
        p.data *= stays.view(-1, *[1] * (p.dim() - 1))
    return conv, bn, following


@mistake("remove_filters", "You cut the modules that you were given. Work on copies.")
def filters_in_place(conv, bn, following, keep):
    new = _filters(conv, bn, following, keep)
    for old, made in zip((conv, bn, following), new):
        if old is not None:
            old.__dict__.update(made.__dict__)
    return conv, bn, following


def _network(net, keep, cut_norm=True, blocks=True, rows=lambda module, kept: _cut_all(module, kept)):
    """The right walk through a Sequential, but for what is switched off."""
    net, kept, units = copy.deepcopy(net), None, 0
    for name, module in net.named_children():
        if isinstance(module, LAYERS):
            if kept is not None:
                w = module.weight.data
                module.weight.data = w.unflatten(1, (units, -1))[:, kept].flatten(1, 2) if blocks else w[:, kept]
            units, kept = len(module.weight), keep.get(name)
        if kept is not None and (cut_norm or not isinstance(module, NORMS)):
            rows(module, kept)
    return net


def _cut_all(module, kept):
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.dim():
            tensor.data = tensor.data[kept]


@mistake("equivalent_to_masked", "You kept the first units of each layer, as many as keep lists. The indices say which ones stay.")
def keeps_the_first(net, keep):
    return _network(net, {name: torch.arange(len(kept)) for name, kept in keep.items()})


@mistake("equivalent_to_masked", "You chose the units by their size. Which ones stay is given: by keep.")
def keeps_the_largest(net, keep):
    sizes = {name: net.get_submodule(name).weight.detach().abs().flatten(1).sum(1) for name in keep}
    return _network(net, {name: sizes[name].argsort()[len(sizes[name]) - len(kept):].sort().values for name, kept in keep.items()})


@mistake("equivalent_to_masked", "You removed the units in keep. keep lists those that stay.")
def keeps_the_others(net, keep):
    others = {name: sorted(set(range(len(net.get_submodule(name).weight))) - set(kept.tolist())) for name, kept in keep.items()}
    return _network(net, {name: torch.tensor(kept, dtype=torch.long) for name, kept in others.items()})


@mistake("equivalent_to_masked", "You masked the units, but did not remove them: the layers have their old shapes.")
def masked_only(net, keep):
    net = copy.deepcopy(net)
    for name, kept in keep.items():
        for p in net.get_submodule(name).parameters():
            p.data *= torch.zeros(len(p)).index_fill(0, kept, 1.0).view(-1, *[1] * (p.dim() - 1))
    return net


class _Masked(nn.Module):
    def __init__(self, inner, mask):
        super().__init__()
        self.inner, self.mask = inner, mask

    def forward(self, x):
        y = self.inner(x)
        return y * self.mask.view(1, -1, *[1] * (y.dim() - 2))


@mistake("equivalent_to_masked", "You masked the units behind their activations, but did not remove them: this is the masked network itself, with its old shapes.")
def masked_behind_the_activation(net, keep):
    net, mask = copy.deepcopy(net), None
    for name, module in list(net.named_children()):
        if isinstance(module, LAYERS):
            mask = torch.zeros(len(module.weight)).index_fill(0, keep[name], 1.0) if name in keep else None
        elif mask is not None and not isinstance(module, NORMS):
            setattr(net, name, _Masked(module, mask))
            mask = None
    return net


@mistake("equivalent_to_masked", "You zeroed the weights of the units that go, and left them in the network. They go on saying what their biases and β make of "
         "0, and the layers do not shrink.")
def weights_zeroed(net, keep):
    net = copy.deepcopy(net)
    for name, kept in keep.items():
        w = net.get_submodule(name).weight
        w.data *= torch.zeros(len(w)).index_fill(0, kept, 1.0).view(-1, *[1] * (w.dim() - 1))
    return net


@mistake("equivalent_to_masked", "You forgot the batch norms: their entries for the removed units must go, in parameters and in running statistics.")
def norms_forgotten(net, keep):
    return _network(net, keep, cut_norm=False)


@mistake("equivalent_to_masked", "You cut the parameters of the batch norms, but not their running mean and variance, which are buffers.")
def buffers_forgotten(net, keep):
    return _network(net, keep, rows=_cut_units)


@mistake("equivalent_to_masked", "Behind Flatten you took column j for channel j. A channel is a block of H·W columns there.")
def no_blocks(net, keep):
    return _network(net, keep, blocks=False)


def _reset(net, kind, **values):
    for module in net:
        if isinstance(module, kind):
            for name, value in values.items():
                setattr(module, name, value)
    return net


@mistake("equivalent_to_masked", "A layer made with bias=False has a bias of None, and your function fails on it. Before a batch norm that is common.")
def network_needs_a_bias(net, keep):
    net[0].bias.detach()
    return _network(net, keep)


@mistake("equivalent_to_masked", "Your batch norms have lost their eps. Everything but the units stays as it was: start from a copy, or hand eps on.")
def network_loses_eps(net, keep):
    return _reset(_network(net, keep), NORMS, eps=1e-5)


@mistake("equivalent_to_masked", "Your convolutions have lost stride, padding or dilation. Everything but the units stays as it was: start from a copy, or hand them on.")
def network_loses_dilation(net, keep):
    return _reset(_network(net, keep), nn.Conv2d, dilation=(1, 1))


@mistake("equivalent_to_masked", "Your convolutions have lost stride, padding or dilation. Everything but the units stays as it was: start from a copy, or hand them on.")
def network_loses_settings(net, keep):
    return _reset(_network(net, keep), nn.Conv2d, stride=(1, 1), padding=(0, 0), dilation=(1, 1))


@mistake("equivalent_to_masked", "You cut the network that you were given. Work on a copy.")
def network_in_place(net, keep):
    small = _network(net, keep)
    for old, new in zip(net, small):
        old.__dict__.update(new.__dict__)
    return net


def _refuse(*ratios):
    if not all(0 <= ratio <= 1 for ratio in ratios):
        raise ValueError


def _norms_of(model, kinds=NORMS):
    return {name: m for name, m in model.named_modules() if isinstance(m, kinds)}


def _right_loss(model, lam):
    return lam * sum(m.weight.abs().sum() for m in _norms_of(model).values())


def _right_masks(model, ratio):
    return _slim(model, ratio)


def _slim(model, ratio, score=lambda m: m.weight.detach().abs(), spare=True, count=round, kinds=NORMS):
    """Masks by one ranking of `score` over all batch norms; `spare`: whether a layer keeps its largest."""
    _refuse(ratio)
    scores = {f"{name}.weight": score(m) for name, m in _norms_of(model, kinds).items()}
    order = torch.cat(list(scores.values())).argsort()
    keep = torch.ones(len(order), dtype=torch.bool)
    keep[order[:count(ratio * len(order))]] = False
    masks = dict(zip(scores, keep.split([len(s) for s in scores.values()])))
    for name, s in scores.items():
        if spare and not masks[name].any():
            masks[name][s.argmax()] = True
    return masks


@mistake("slimming_loss", "Your penalty squares γ (L2). It shrinks all γ, and makes none of them zero: the L1 norm pulls a small γ as strongly as a large one.")
class squared:
    slimming_masks, slimming_loss = _right_masks, lambda model, lam: lam * sum((m.weight ** 2).sum() for m in _norms_of(model).values())


@mistake("slimming_loss", "Your penalty adds up signed γ, so that a negative one is rewarded for growing. Take absolute values.")
class signed_penalty:
    slimming_masks, slimming_loss = _right_masks, lambda model, lam: lam * sum(m.weight.sum() for m in _norms_of(model).values())


@mistake("slimming_loss", "You left λ out of the penalty.")
class lambda_left_out:
    slimming_masks, slimming_loss = _right_masks, lambda model, lam: _right_loss(model, 1.0)


@mistake("slimming_loss", "Your penalty is a mean. The sum over all γ is asked for: a wide layer is penalised for each of its channels.")
class mean_penalty:
    slimming_masks, slimming_loss = _right_masks, lambda model, lam: lam * torch.cat([m.weight for m in _norms_of(model).values()]).abs().mean()


@mistake("slimming_loss", "You penalised β (`bias`), the shift. The scale γ is the batch norm's `weight`.")
class penalty_on_beta:
    slimming_masks = _right_masks

    def slimming_loss(model, lam):
        return lam * sum(m.bias.abs().sum() + 0 * m.weight.sum() for m in _norms_of(model).values())


@mistake("slimming_loss", "You penalised γ and β. Only γ, the `weight`, scales a channel.")
class penalty_on_both:
    slimming_masks = _right_masks

    def slimming_loss(model, lam):
        return _right_loss(model, lam) + lam * sum(m.bias.abs().sum() for m in _norms_of(model).values())


@mistake("slimming_loss", "Your penalty is a plain number, taken out of the graph: it cannot push γ anywhere. Leave out item(), detach() and data.")
class out_of_the_graph:
    slimming_masks, slimming_loss = _right_masks, lambda model, lam: float(_right_loss(model, lam))


@mistake("slimming_loss", "You counted batch norms of one kind only, or the layers that stand outermost. Both nn.BatchNorm1d and nn.BatchNorm2d count, wherever they "
         "are: model.modules() lists all.")
class one_kind_only:
    slimming_masks = _right_masks

    def slimming_loss(model, lam):
        return lam * (sum(m.weight.abs().sum() for m in model.modules() if isinstance(m, nn.BatchNorm2d)) + 0 * _right_loss(model, lam))


@mistake("slimming_loss", "You penalised every vector that is called weight, a layer norm's too. Ask for nn.BatchNorm1d and nn.BatchNorm2d.")
class every_vector:
    slimming_masks = _right_masks

    def slimming_loss(model, lam):
        return lam * sum(p.abs().sum() for name, p in model.named_parameters() if p.dim() == 1 and name.endswith("weight"))


@mistake("slimming_loss", "You counted norms of other kinds: an instance norm or nn.BatchNorm3d. Only nn.BatchNorm1d and nn.BatchNorm2d are asked for.")
class every_batch_norm:
    def slimming_loss(model, lam):
        return lam * sum(m.weight.abs().sum() for m in _norms_of(model, (*NORMS, nn.BatchNorm3d, nn.InstanceNorm2d)).values())

    def slimming_masks(model, ratio):
        return _slim(model, ratio, kinds=(*NORMS, nn.BatchNorm3d, nn.InstanceNorm2d))


@mistake("slimming_loss", "You ranked every layer by itself. Slimming has one threshold for the whole network, so that layers lose different shares.")
class threshold_for_each_layer:
    slimming_loss = _right_loss

    def slimming_masks(model, ratio):
        _refuse(ratio)
        masks = {}
        for name, m in _norms_of(model).items():
            gamma = m.weight.detach().abs()
            mask = masks[f"{name}.weight"] = torch.ones(len(gamma), dtype=torch.bool)
            mask[gamma.argsort()[:min(round(ratio * len(gamma)), len(gamma) - 1)]] = False
        return masks


@mistake("slimming_loss", "You emptied a layer: nothing gets through the network any more. A layer about to lose all channels keeps its largest |γ|.")
class empties_a_layer:
    slimming_loss, slimming_masks = _right_loss, lambda model, ratio: _slim(model, ratio, spare=False)


@mistake("slimming_loss", "You ranked signed γ, so that large negative ones went first. A channel is as large as |γ|.")
class signed_gamma:
    slimming_loss, slimming_masks = _right_loss, lambda model, ratio: _slim(model, ratio, score=lambda m: m.weight.detach())


@mistake("slimming_loss", "You ranked β (`bias`) instead of γ (`weight`).")
class beta_ranked:
    slimming_loss, slimming_masks = _right_loss, lambda model, ratio: _slim(model, ratio, score=lambda m: m.bias.detach().abs())


@mistake("slimming_loss", "You removed the channels with the largest |γ|. The smallest are to go.")
class largest_gamma_go:
    slimming_loss, slimming_masks = _right_loss, lambda model, ratio: _slim(model, ratio, score=lambda m: -m.weight.detach().abs())


@mistake("slimming_loss", "Your masks mark what goes. In this course True means keep.")
class masks_inverted:
    slimming_loss, slimming_masks = _right_loss, lambda model, ratio: {name: ~mask for name, mask in _right_masks(model, ratio).items()}


@mistake("slimming_loss", "You named the masks for the modules. The key is the parameter's name: '1.weight', not '1'.")
class named_for_modules:
    slimming_loss = _right_loss

    def slimming_masks(model, ratio):
        return {name.removesuffix(".weight"): mask for name, mask in _right_masks(model, ratio).items()}


@mistake("slimming_loss", "Where a layer kept its last channel you removed another one in its stead, to come to round(ratio·N). Fewer go then.")
class another_in_its_stead:
    slimming_loss = _right_loss

    def slimming_masks(model, ratio):
        _refuse(ratio)
        gammas = {f"{name}.weight": m.weight.detach().abs() for name, m in _norms_of(model).items()}
        masks = {name: torch.ones(len(g), dtype=torch.bool) for name, g in gammas.items()}
        places = sorted((g[k].item(), name, k) for name, g in gammas.items() for k in range(len(g)))
        left = round(ratio * len(places))
        for _, name, k in places:
            if left and masks[name].sum() > 1:
                masks[name][k], left = False, left - 1
        return masks


@mistake("slimming_loss", "You rounded ratio·N down. The number is round(ratio * N): 9.6 gives 10.")
class floor_of_the_count:
    slimming_loss, slimming_masks = _right_loss, lambda model, ratio: _slim(model, ratio, count=int)


@mistake("slimming_loss", "You cut at the k-th |γ|, so that all that tie with it go at once. Choose an exact number of positions.")
class ties_go_at_once:
    slimming_loss = _right_loss

    def slimming_masks(model, ratio):
        _refuse(ratio)
        gammas = {f"{name}.weight": m.weight.detach().abs() for name, m in _norms_of(model).items()}
        every = torch.cat(list(gammas.values())).sort().values
        chosen = round(ratio * len(every))
        masks = {name: gamma > (every[chosen - 1] if chosen else -1) for name, gamma in gammas.items()}
        for name, gamma in gammas.items():
            if not masks[name].any():
                masks[name][gamma.argmax()] = True
        return masks


@mistake("slimming_loss", "You keep the largest |γ| of every layer, also where the layer has others left: where |γ| tie, that brings back a channel that should go.")
class largest_always_kept:
    slimming_loss = _right_loss

    def slimming_masks(model, ratio):
        masks = _right_masks(model, ratio)
        for name, m in _norms_of(model).items():
            masks[f"{name}.weight"][m.weight.detach().abs().argmax()] = True
        return masks


@mistake("slimming_loss", "A ratio outside [0, 1] must raise ValueError; yours is taken silently.")
class any_ratio:
    slimming_loss, slimming_masks = _right_loss, lambda model, ratio: _slim(model, min(max(ratio, 0), 1))


@mistake("slimming_loss", "You set the γ of pruned channels to zero in the model that you were given. Only masks are asked for.")
class model_changed:
    slimming_loss = _right_loss

    def slimming_masks(model, ratio):
        masks = _right_masks(model, ratio)
        for name, m in _norms_of(model).items():
            m.weight.data *= masks[f"{name}.weight"]
        return masks


def _distances(conv):
    f = conv.weight.detach().flatten(1)
    return (f[:, None] - f[None]).pow(2).sum(2).sqrt()


def _right_fpgm(conv):
    return _distances(conv).sum(1)


def _right_apoz(activations):
    return (activations > 0).float().transpose(0, 1).flatten(1).mean(1)


@mistake("fpgm_scores", "You added up squared distances. The geometric median belongs to the distances themselves; squares belong to the mean, and favour outliers.")
class squared_distances:
    apoz_scores, fpgm_scores = _right_apoz, lambda conv: _distances(conv).pow(2).sum(1)


@mistake("fpgm_scores", "You turned the score round: the filters in the middle have the largest one. A low score means prune, and the filters in the middle, close to all "
         "others, are to go first.")
class largest_distance_first:
    apoz_scores, fpgm_scores = _right_apoz, lambda conv: -_right_fpgm(conv)


@mistake("fpgm_scores", "You took the distance to the nearest other filter. Asked for is the sum of the distances to all.")
class nearest_neighbour:
    apoz_scores = _right_apoz

    def fpgm_scores(conv):
        d = _distances(conv) + torch.diag(torch.full((len(conv.weight),), float("inf")))
        return d.min(1).values


@mistake("fpgm_scores", "You took the distance to the mean filter. The sum of the distances to all filters is something else: one outlier moves the mean, and hardly the sum.")
class distance_to_the_mean:
    apoz_scores = _right_apoz

    def fpgm_scores(conv):
        f = conv.weight.detach().flatten(1)
        return (f - f.mean(0)).norm(dim=1)


@mistake("fpgm_scores", "You averaged the distances. The sum is asked for.")
class mean_distance:
    apoz_scores, fpgm_scores = _right_apoz, lambda conv: _distances(conv).mean(1)


@mistake("fpgm_scores", "You added up absolute differences (L1). The distances are Euclidean.")
class manhattan:
    apoz_scores = _right_apoz

    def fpgm_scores(conv):
        f = conv.weight.detach().flatten(1)
        return (f[:, None] - f[None]).abs().sum((1, 2))


@mistake("fpgm_scores", "You compared the input channels. A filter is a slice along axis 0 of the weight.")
class among_input_channels:
    apoz_scores = _right_apoz

    def fpgm_scores(conv):
        f = conv.weight.detach().transpose(0, 1).flatten(1)
        return (f[:, None] - f[None]).norm(dim=2).sum(1)


@mistake("fpgm_scores", "You gave the norms of the filters. FPGM asks how far they are from each other: large filters that are alike can replace each other.")
class norms_of_filters:
    apoz_scores, fpgm_scores = _right_apoz, lambda conv: conv.weight.detach().flatten(1).norm(dim=1)


@mistake("fpgm_scores", "You returned the share of zeros, APoZ itself. The score is 1 − APoZ, so that a unit that is mostly silent has a low one.")
class apoz_inverted:
    fpgm_scores, apoz_scores = _right_fpgm, lambda activations: 1 - _right_apoz(activations)


@mistake("fpgm_scores", "You counted values that are exactly 0. The activations are those before the ReLU, which makes a zero of every negative one, too.")
class zeros_before_the_relu:
    fpgm_scores, apoz_scores = _right_fpgm, lambda activations: (activations != 0).float().transpose(0, 1).flatten(1).mean(1)


@mistake("fpgm_scores", "You took a value of exactly 0 for active. The ReLU of 0 is 0: only what is greater is let through.")
class zero_is_active:
    fpgm_scores, apoz_scores = _right_fpgm, lambda activations: (activations >= 0).float().transpose(0, 1).flatten(1).mean(1)


@mistake("fpgm_scores", "You took small positive values for zeros. The ReLU lets everything above 0 through: the bound is 0 itself.")
class small_is_zero:
    fpgm_scores, apoz_scores = _right_fpgm, lambda activations: (activations > 1e-2).float().transpose(0, 1).flatten(1).mean(1)


@mistake("fpgm_scores", "You averaged the activations' sizes. APoZ counts: how often is the unit silent, not how loud is it.")
class mean_activation:
    fpgm_scores, apoz_scores = _right_fpgm, lambda activations: activations.clamp(min=0).transpose(0, 1).flatten(1).mean(1)


@mistake("fpgm_scores", "You averaged over the samples only. With (N, C, H, W) the places of the picture count as well: one number for each channel.")
class over_samples_only:
    fpgm_scores, apoz_scores = _right_fpgm, lambda activations: (activations > 0).float().mean(0)


@mistake("fpgm_scores", "You averaged over the units: you have one number for each sample. The unit is on axis 1, and it is the axis that stays.")
class over_units:
    fpgm_scores, apoz_scores = _right_fpgm, lambda activations: (activations > 0).float().flatten(1).mean(1)


@mistake("fpgm_scores", "You counted the active values instead of taking their share. Divide by the number of values of a unit.")
class counted_only:
    fpgm_scores, apoz_scores = _right_fpgm, lambda activations: (activations > 0).float().transpose(0, 1).flatten(1).sum(1)


def _cut_mlp(model, ratios, score=lambda w: w.abs().sum(1), least=1, count=round, columns=True, biases=True, greedy=False, output=False, largest=False):
    """A copy of the MLP with the share `ratios[k]` cut from its k-th linear layer, right but for what is switched."""
    pruned = copy.deepcopy(model)
    layers = [m for m in pruned if isinstance(m, nn.Linear)]
    scores = [score(m.weight.data) for m in layers]
    for k, layer in enumerate(layers):
        if k not in ratios or (k == len(layers) - 1 and not output):
            continue
        s = score(layer.weight.data) if greedy else scores[k]
        n = len(s)
        gone = min(count(ratios[k] * n), n - least)
        order = (-s if largest else s).argsort()
        keep = order[gone:].sort().values
        layer.weight.data = layer.weight.data[keep]
        if biases and layer.bias is not None:
            layer.bias.data = layer.bias.data[keep]
        if columns and k + 1 < len(layers):
            layers[k + 1].weight.data = layers[k + 1].weight.data[:, keep]
    return pruned


def _linear_names(model):
    return [name for name, m in model.named_children() if isinstance(m, nn.Linear)]


def _all(model, ratio, **how):
    _refuse(ratio)
    return _cut_mlp(model, dict.fromkeys(range(len(_linear_names(model))), ratio), **how)


def _each(model, ratios, **how):
    names = _linear_names(model)
    if set(ratios) - set(names[:-1]):
        raise ValueError
    _refuse(*ratios.values())
    return _cut_mlp(model, {names.index(name): ratio for name, ratio in ratios.items()}, **how)


def _both(**how):
    return (lambda model, ratio: _all(model, ratio, **how)), (lambda model, ratios: _each(model, ratios, **how))


def _in_place(model, small):
    for old, new in zip(model, small):
        old.__dict__.update(new.__dict__)
    return model


def _mask_rows(model, ratios):
    """Units and biases zeroed, and nothing removed."""
    model = copy.deepcopy(model)
    layers = [m for m in model if isinstance(m, nn.Linear)]
    for k, ratio in ratios.items():
        if k < len(layers) - 1:
            n = len(layers[k].weight)
            least = layers[k].weight.data.abs().sum(1).argsort()[:min(round(ratio * n), n - 1)]
            for p in layers[k].parameters():
                p.data[least] = 0
    return model


@mistake("symmetric_prune", "You pruned the last layer too: its rows are the classes, and the network can no longer name them all. Only hidden layers lose units.")
class output_pruned:
    def symmetric_prune(model, ratio):
        return _all(model, ratio, output=True)

    def asymmetric_prune(model, ratios):
        _refuse(*ratios.values())
        names = _linear_names(model)
        if set(ratios) - set(names):
            raise ValueError
        return _cut_mlp(model, {names.index(name): ratio for name, ratio in ratios.items()}, output=True)


@mistake("symmetric_prune", "You pruned the input features. They are given by the data: the first layer keeps its columns.")
class inputs_pruned:
    def _cut(pruned, ratio):
        first = next(m for m in pruned if isinstance(m, nn.Linear))
        s = first.weight.data.abs().sum(0)
        first.weight.data = first.weight.data[:, s.argsort()[min(round(ratio * len(s)), len(s) - 1):].sort().values]
        return pruned

    def symmetric_prune(model, ratio):
        return inputs_pruned._cut(_all(model, ratio), ratio)

    def asymmetric_prune(model, ratios):
        return inputs_pruned._cut(_each(model, ratios), ratios.get("0", 0))


@mistake("symmetric_prune", "You gave the ratios to the layers in the order of the dictionary. A ratio belongs to the layer that its key names.")
class in_the_order_of_the_dictionary:
    def symmetric_prune(model, ratio):
        return _all(model, ratio)

    def asymmetric_prune(model, ratios):
        _each(model, ratios)
        return _cut_mlp(model, dict(enumerate(ratios.values())))


@mistake("symmetric_prune", "You scored a layer after columns of it had been removed. Scores are those of the weights as given: compute all of them before the first cut.")
class greedy:
    symmetric_prune, asymmetric_prune = _both(greedy=True)


@mistake("symmetric_prune", "You removed rows, and left the next layer's columns: the shapes do not fit.")
class rows_only:
    symmetric_prune, asymmetric_prune = _both(columns=False)


@mistake("symmetric_prune", "You forgot the biases: they still have entries for the units that went.")
class biases_forgotten:
    symmetric_prune, asymmetric_prune = _both(biases=False)


@mistake("symmetric_prune", "You set the units that go to zero. They are still there, at the old cost; remove their rows, biases and columns.")
class units_zeroed:
    def symmetric_prune(model, ratio):
        _refuse(ratio)
        return _mask_rows(model, dict.fromkeys(range(len(_linear_names(model))), ratio))

    def asymmetric_prune(model, ratios):
        _each(model, ratios)
        return _mask_rows(model, {_linear_names(model).index(name): ratio for name, ratio in ratios.items()})


@mistake("symmetric_prune", "You removed the largest units. Those with the least L1 norm are to go.")
class largest_units_go:
    symmetric_prune, asymmetric_prune = _both(largest=True)


@mistake("symmetric_prune", "You ranked the units by the sum of signed weights, in which large weights of both signs cancel. Take absolute values first.")
class signed_rows:
    symmetric_prune, asymmetric_prune = _both(score=lambda w: w.sum(1))


@mistake("symmetric_prune", "You ranked the units by their Euclidean norm. The L1 norm is asked for.")
class euclidean_rows:
    symmetric_prune, asymmetric_prune = _both(score=lambda w: w.norm(dim=1))


@mistake("symmetric_prune", "You emptied a hidden layer: nothing reaches the outputs any more. At least one unit of each stays.")
class layer_emptied:
    symmetric_prune, asymmetric_prune = _both(least=0)


@mistake("symmetric_prune", "You rounded ratio·n down. The number of units that go is round(ratio * n): 2.8 gives 3.")
class floor_of_units:
    symmetric_prune, asymmetric_prune = _both(count=int)


@mistake("symmetric_prune", "A ratio outside [0, 1] must raise ValueError; yours is taken silently.")
class any_ratio_of_units:
    def symmetric_prune(model, ratio):
        return _all(model, min(max(ratio, 0), 1))

    def asymmetric_prune(model, ratios):
        return _each(model, {name: min(max(ratio, 0), 1) for name, ratio in ratios.items()})


@mistake("symmetric_prune", "A key of ratios that is no hidden linear layer must raise ValueError: the last layer, an activation, a name that is not there. You pass over it.")
class wrong_names_passed_over:
    def symmetric_prune(model, ratio):
        return _all(model, ratio)

    def asymmetric_prune(model, ratios):
        _refuse(*ratios.values())
        return _each(model, {name: ratio for name, ratio in ratios.items() if name in _linear_names(model)[:-1]})


@mistake("symmetric_prune", "You cut the network that you were given. Work on a copy.")
class given_network_cut:
    def symmetric_prune(model, ratio):
        return _in_place(model, _all(model, ratio))

    def asymmetric_prune(model, ratios):
        return _in_place(model, _each(model, ratios))


def _hybrid(model, channel_ratio, weight_sparsity, count=None, greedy=False, per_layer=False, score=lambda w: w.abs().flatten(1).sum(1), apply=True,
            spared=(), magnitude=torch.abs):
    """The right hybrid pruning, but for what is switched."""
    _refuse(channel_ratio, weight_sparsity)
    layers = {name: m for name, m in model.named_children() if isinstance(m, LAYERS)}
    keep = {}
    for name in list(layers)[:-1]:
        scored = (_network(model, keep).get_submodule(name) if greedy else layers[name]).weight.detach()
        n = len(scored)
        keep[name] = score(scored).argsort()[min(round(channel_ratio * n), n - 1):].sort().values
    small = _network(model, keep)
    weights = {name: p for name, p in small.named_parameters() if p.dim() >= 2 and name not in spared}
    groups = [[name] for name in weights] if per_layer else [list(weights)]
    masks = {}
    for group in groups:
        order = torch.cat([magnitude(weights[name].data).flatten() for name in group]).argsort()
        mask = torch.ones(len(order), dtype=torch.bool)
        mask[order[:round(weight_sparsity * (count or len(order)))]] = False
        masks |= {name: part.view_as(weights[name]) for name, part in zip(group, mask.split([weights[name].numel() for name in group]))}
    if apply:
        for name, p in weights.items():
            p.data = p.data * masks[name]
    return small, masks


@mistake("hybrid_prune", "You counted the sparsity on the old network. N is the number of weights that are left after the units went.")
def counted_on_the_old_size(model, channel_ratio, weight_sparsity):
    return _hybrid(model, channel_ratio, weight_sparsity, count=sum(p.numel() for p in model.parameters() if p.dim() >= 2))


@mistake("hybrid_prune", "Your masks have the shapes of the old network and fit no tensor of the new one. Choose the weights after the cut.")
def masks_of_the_old_shapes(model, channel_ratio, weight_sparsity):
    return _hybrid(model, channel_ratio, weight_sparsity)[0], _hybrid(model, 0, weight_sparsity)[1]


@mistake("hybrid_prune", "You masked weights, but removed no units: the layers have their old shapes. Both steps are asked for.")
def weights_only(model, channel_ratio, weight_sparsity):
    _refuse(channel_ratio)
    return _hybrid(model, 0, weight_sparsity)


@mistake("hybrid_prune", "You removed units, but masked no weights in the smaller network. Both steps are asked for.")
def units_only(model, channel_ratio, weight_sparsity):
    _refuse(weight_sparsity)
    return _hybrid(model, channel_ratio, 0)


@mistake("hybrid_prune", "You masked first, in the old network, and then cut the units. The weights are chosen in the network that is left.")
def weights_first(model, channel_ratio, weight_sparsity):
    _refuse(channel_ratio, weight_sparsity)
    small = _hybrid(_hybrid(model, 0, weight_sparsity)[0], channel_ratio, 0)[0]
    return small, {name: p.detach() != 0 for name, p in small.named_parameters() if p.dim() >= 2}


@mistake("hybrid_prune", "You ranked the weights of every layer by themselves. One ranking over the whole smaller network is asked for.")
def weights_ranked_per_layer(model, channel_ratio, weight_sparsity):
    return _hybrid(model, channel_ratio, weight_sparsity, per_layer=True)


@mistake("hybrid_prune", "You scored units after columns of their layer had been removed. Scores are those of the weights as given: compute all before the first cut.")
def units_scored_late(model, channel_ratio, weight_sparsity):
    return _hybrid(model, channel_ratio, weight_sparsity, greedy=True)


@mistake("hybrid_prune", "A layer made with bias=False has a bias of None, and your function fails on it. Before a batch norm that is common.")
def hybrid_needs_a_bias(model, channel_ratio, weight_sparsity):
    model[0].bias.detach()
    return _hybrid(model, channel_ratio, weight_sparsity)


@mistake("hybrid_prune", "Your batch norms have lost their eps. Everything but the units stays as it was: start from a copy, or hand eps on.")
def hybrid_loses_eps(model, channel_ratio, weight_sparsity):
    small, masks = _hybrid(model, channel_ratio, weight_sparsity)
    return _reset(small, NORMS, eps=1e-5), masks


@mistake("hybrid_prune", "Your convolutions have lost stride, padding or dilation. Everything but the units stays as it was: start from a copy, or hand them on.")
def hybrid_loses_dilation(model, channel_ratio, weight_sparsity):
    small, masks = _hybrid(model, channel_ratio, weight_sparsity)
    return _reset(small, nn.Conv2d, dilation=(1, 1)), masks


@mistake("hybrid_prune", "Your convolutions have lost stride, padding or dilation. Everything but the units stays as it was: start from a copy, or hand them on.")
def hybrid_loses_settings(model, channel_ratio, weight_sparsity):
    small, masks = _hybrid(model, channel_ratio, weight_sparsity)
    return _reset(small, nn.Conv2d, stride=(1, 1), padding=(0, 0), dilation=(1, 1)), masks


@mistake("hybrid_prune", "You read the masks off the new weights. A weight that was 0 as given is masked only if it is among the round(s·N) chosen.")
def masks_read_off(model, channel_ratio, weight_sparsity):
    small, masks = _hybrid(model, channel_ratio, weight_sparsity)
    return small, {name: small.get_parameter(name).detach() != 0 for name in masks}


@mistake("hybrid_prune", "You made the masks, but left the weights as they were. Masked weights are 0 in the new network.")
def masks_never_applied(model, channel_ratio, weight_sparsity):
    return _hybrid(model, channel_ratio, weight_sparsity, apply=False)


@mistake("hybrid_prune", "You spared the last layer's weights. No unit of it is removed, but its weights are ranked with all others.")
def last_layer_spared(model, channel_ratio, weight_sparsity):
    last = [name for name, p in model.named_parameters() if p.dim() >= 2][-1]
    small, masks = _hybrid(model, channel_ratio, weight_sparsity, spared=(last,))
    return small, masks | {last: torch.ones_like(small.get_parameter(last), dtype=torch.bool)}


@mistake("hybrid_prune", "You gave masks for biases and batch norms as well. Only weights, parameters with at least two dimensions, have one.")
def masks_for_all_parameters(model, channel_ratio, weight_sparsity):
    small, masks = _hybrid(model, channel_ratio, weight_sparsity)
    return small, {name: masks.get(name, torch.ones_like(p, dtype=torch.bool)) for name, p in small.named_parameters()}


@mistake("hybrid_prune", "Your masks are numbers. In this course a mask is boolean.")
def masks_are_numbers(model, channel_ratio, weight_sparsity):
    small, masks = _hybrid(model, channel_ratio, weight_sparsity)
    return small, {name: mask.float() for name, mask in masks.items()}


@mistake("hybrid_prune", "You returned the model alone. Retraining needs the masks: return (model, masks).")
def model_without_masks(model, channel_ratio, weight_sparsity):
    return _hybrid(model, channel_ratio, weight_sparsity)[0]


@mistake("hybrid_prune", "You ranked weights with their signs, so that negative ones went first, however large. Rank magnitudes.")
def signed_weights(model, channel_ratio, weight_sparsity):
    return _hybrid(model, channel_ratio, weight_sparsity, magnitude=lambda w: w)


@mistake("hybrid_prune", "You pruned the largest weights. The smallest magnitudes are to go.")
def largest_weights_go(model, channel_ratio, weight_sparsity):
    return _hybrid(model, channel_ratio, weight_sparsity, magnitude=lambda w: -w.abs())


@mistake("hybrid_prune", "You removed the largest units. Those with the least L1 norm are to go.")
def largest_units_removed(model, channel_ratio, weight_sparsity):
    return _hybrid(model, channel_ratio, weight_sparsity, score=lambda w: -w.abs().flatten(1).sum(1))


@mistake("hybrid_prune", "A ratio outside [0, 1] must raise ValueError; yours is taken silently.")
def hybrid_of_any_ratio(model, channel_ratio, weight_sparsity):
    return _hybrid(model, min(max(channel_ratio, 0), 1), min(max(weight_sparsity, 0), 1))


@mistake("hybrid_prune", "You pruned the network that you were given. Work on a copy.")
def hybrid_in_place(model, channel_ratio, weight_sparsity):
    small, masks = _hybrid(model, channel_ratio, weight_sparsity)
    return _in_place(model, small), masks


@mistake("structural_prune", "Nothing was pruned: indices are drawn that nobody reads, and layers are removed from a list that the model does not know of. Cut the "
         "rows of the units with the least L1 norm, their biases, and the next layer's columns.")
def as_published(model, ratio):
    pruned = copy.deepcopy(model)
    layers = list(pruned.children())
    for layer in list(layers):
        if isinstance(layer, nn.Linear):
            doomed = np.random.choice(layer.out_features, int(ratio * layer.out_features))
            if len(doomed) > 0:
                layers.remove(layer)
    return pruned


@mistake("structural_prune", "You check the ratio, and then return a copy in which nothing is pruned.")
def checks_and_copies(model, ratio):
    _refuse(ratio)
    return copy.deepcopy(model)


@mistake("structural_prune", "You now remove whole layers from the model, and what is left does not fit together. Structural pruning removes units within the layers.")
def removes_layers(model, ratio):
    _refuse(ratio)
    layers = [m for m in copy.deepcopy(model)]
    linear = [m for m in layers if isinstance(m, nn.Linear)]
    doomed = {id(m) for m in linear[:round(ratio * len(linear))]}
    return nn.Sequential(*[m for m in layers if id(m) not in doomed])


@mistake("structural_prune", "You use the drawn indices now, but they are still drawn: which units go is a matter of luck. Rank them by the L1 norm of their rows.")
def drawn_units(model, ratio):
    return _all(model, ratio, score=lambda w: torch.tensor(np.random.permutation(len(w))))


@mistake("structural_prune", "You zero the units, so that they are still there: as many parameters, as much work. Remove them.")
def zeroed_units(model, ratio):
    _refuse(ratio)
    return _mask_rows(model, dict.fromkeys(range(len(_linear_names(model))), ratio))


@mistake("structural_prune", "You removed rows, and left the next layer's columns: the shapes do not fit.")
def rows_without_columns(model, ratio):
    return _all(model, ratio, columns=False)


@mistake("structural_prune", "You forgot the biases: they still have entries for the units that went.")
def units_without_their_biases(model, ratio):
    return _all(model, ratio, biases=False)


@mistake("structural_prune", "You pruned the last layer too, as the broken program would have: its rows are the classes, and all of them stay.")
def classes_pruned(model, ratio):
    return _all(model, ratio, output=True)


@mistake("structural_prune", "You scored a layer after columns of it had been removed. Scores are those of the weights as given.")
def scored_after_the_cut(model, ratio):
    return _all(model, ratio, greedy=True)


@mistake("structural_prune", "You ranked by the sum of signed weights, in which large weights of both signs cancel.")
def ranked_by_signed_sum(model, ratio):
    return _all(model, ratio, score=lambda w: w.sum(1))


@mistake("structural_prune", "You removed the largest units. Those with the least L1 norm are to go.")
def largest_removed(model, ratio):
    return _all(model, ratio, largest=True)


@mistake("structural_prune", "You emptied a hidden layer. At least one unit of each stays.")
def empties_layers(model, ratio):
    return _all(model, ratio, least=0)


@mistake("structural_prune", "You kept int(ratio·n) of the broken program, which rounds down. The number of units that go is round(ratio * n): 2.7 gives 3.")
def rounds_down(model, ratio):
    return _all(model, ratio, count=int)


@mistake("structural_prune", "A ratio outside [0, 1] must raise ValueError. The broken program takes 7 without a word, and so do you.")
def takes_any_ratio(model, ratio):
    return _all(model, min(max(ratio, 0), 1))


@mistake("structural_prune", "You cut the model that you were given. Start from copy.deepcopy(model).")
def cuts_its_argument(model, ratio):
    return _in_place(model, _all(model, ratio))
