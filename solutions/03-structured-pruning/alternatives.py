"""Other right answers to the exercises of 03: all of them must earn full marks."""
import copy

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune

from autograder.mistakes import alternative


@alternative("filter_scores")
def vector_norm(conv):
    return torch.linalg.vector_norm(conv.weight, ord=1, dim=(1, 2, 3))


@alternative("filter_scores")
def list_of_numpy_sums(conv):
    return [float(np.abs(f).sum()) for f in conv.weight.detach().numpy()]


@alternative("filter_scores")
def einstein(conv):
    return np.einsum("ocij->o", np.abs(conv.weight.detach().double().numpy()))


@alternative("remove_neurons")
def built_anew(fc1, fc2, keep):
    new1 = nn.Linear(fc1.in_features, len(keep), bias=fc1.bias is not None).train(fc1.training)
    new2 = nn.Linear(len(keep), fc2.out_features, bias=fc2.bias is not None).train(fc2.training)
    with torch.no_grad():
        new1.weight.copy_(fc1.weight[keep])
        new2.weight.copy_(fc2.weight[:, keep])
        if fc1.bias is not None:
            new1.bias.copy_(fc1.bias[keep])
        if fc2.bias is not None:
            new2.bias.copy_(fc2.bias)
    return new1, new2


@alternative("remove_neurons")
def by_boolean_mask(fc1, fc2, keep):
    stays = torch.zeros(fc1.out_features, dtype=torch.bool)
    stays[keep] = True
    new = [copy.deepcopy(fc1), copy.deepcopy(fc2)]
    new[0].weight = nn.Parameter(fc1.weight.detach()[stays])
    if new[0].bias is not None:
        new[0].bias = nn.Parameter(fc1.bias.detach()[stays])
    new[1].weight = nn.Parameter(fc2.weight.detach().t()[stays].t().contiguous())
    new[0].out_features = new[1].in_features = int(stays.sum())
    return new


@alternative("remove_filters")
def modules_built_anew(conv, bn, following, keep):
    n = len(keep)
    new = nn.Conv2d(conv.in_channels, n, conv.kernel_size, conv.stride, conv.padding, conv.dilation, bias=conv.bias is not None)
    new.load_state_dict({key: t[keep] for key, t in conv.state_dict().items()})
    norm = None
    if bn is not None:
        norm = nn.BatchNorm2d(n, eps=bn.eps, momentum=bn.momentum)
        norm.load_state_dict({key: t[keep] if t.dim() else t for key, t in bn.state_dict().items()})
        norm.train(bn.training)
    state = dict(following.state_dict())
    if isinstance(following, nn.Conv2d):
        f = following
        after = nn.Conv2d(n, f.out_channels, f.kernel_size, f.stride, f.padding, f.dilation, bias=f.bias is not None)
        state["weight"] = state["weight"][:, keep]
    else:
        block = following.in_features // conv.out_channels
        columns = torch.cat([torch.arange(int(j) * block, (int(j) + 1) * block) for j in keep])
        after = nn.Linear(len(columns), following.out_features, bias=following.bias is not None)
        state["weight"] = state["weight"][:, columns]
    after.load_state_dict(state)
    return new.train(conv.training), norm, after.train(following.training)


@alternative("remove_filters")
def with_numpy_take(conv, bn, following, keep):
    modules = [copy.deepcopy(m) for m in (conv, bn, following)]
    old, n = conv.out_channels, len(keep)

    def take(t, positions, axis):
        return torch.from_numpy(np.take(t.detach().numpy(), positions, axis=axis))

    modules[0].weight.data = take(conv.weight, keep.numpy(), 0)
    if conv.bias is not None:
        modules[0].bias.data = take(conv.bias, keep.numpy(), 0)
    modules[0].out_channels = n
    if bn is not None:
        for name in ("weight", "bias"):
            setattr(modules[1], name, nn.Parameter(take(getattr(bn, name), keep.numpy(), 0)))
        for name in ("running_mean", "running_var"):
            modules[1].register_buffer(name, take(getattr(bn, name), keep.numpy(), 0))
        modules[1].num_features = n
    block = following.weight.shape[1] // old
    positions = (keep.numpy()[:, None] * block + np.arange(block)).ravel()
    modules[2].weight.data = take(following.weight, positions, 1)
    setattr(modules[2], "in_features" if isinstance(following, nn.Linear) else "in_channels", len(positions))
    return tuple(modules)


@alternative("equivalent_to_masked")
def layer_by_layer_from_the_end(net, keep):
    modules = list(copy.deepcopy(net))
    weighted = [k for k, m in enumerate(modules) if isinstance(m, (nn.Linear, nn.Conv2d))]
    for at, following in reversed(list(zip(weighted, weighted[1:]))):
        if str(at) not in keep:
            continue
        chosen, units = keep[str(at)], len(modules[at].weight)
        for module in modules[at:following]:
            for tensor in module.state_dict(keep_vars=True).values():
                if tensor.dim():
                    tensor.data = tensor.data[chosen]
        w = modules[following].weight.data
        block = w.shape[1] // units
        modules[following].weight.data = w[:, (chosen[:, None] * block + torch.arange(block)).flatten()]
    return nn.Sequential(*modules)


@alternative("equivalent_to_masked")
def units_in_reverse_order(net, keep):
    """The units of a layer may be renumbered, as long as everything that reads them follows."""
    new, chosen, block_of = [], None, 1
    for name, module in net.named_children():
        module = copy.deepcopy(module)
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            w = module.weight.detach()
            if chosen is not None:
                per_unit = w.shape[1] // block_of
                w = torch.cat([w[:, j * per_unit:(j + 1) * per_unit] for j in chosen], dim=1)
            block_of = len(w)
            chosen = sorted(keep[name].tolist(), reverse=True) if name in keep else list(range(len(w)))
            module.weight = nn.Parameter(w[chosen])
            if module.bias is not None:
                module.bias = nn.Parameter(module.bias.detach()[chosen])
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            fresh = type(module)(len(chosen), eps=module.eps)
            fresh.load_state_dict({key: t[chosen] if t.dim() else t for key, t in module.state_dict().items()})
            module = fresh
        new.append(module)
    return nn.Sequential(*new)


def _gammas(model):
    return {name + ".weight": m.weight for name, m in model.named_modules() if type(m) in (nn.BatchNorm1d, nn.BatchNorm2d)}


@alternative("slimming_loss")
class thresholds_with_ties_filled:
    def slimming_loss(model, lam):
        return lam * torch.cat(list(_gammas(model).values())).norm(p=1)

    def slimming_masks(model, ratio):
        if ratio < 0 or ratio > 1:
            raise ValueError("ratio")
        sizes = {name: np.abs(g.detach().numpy()) for name, g in _gammas(model).items()}
        every = np.sort(np.concatenate(list(sizes.values())))
        chosen = round(ratio * every.size)
        cut = every[chosen - 1] if chosen else -1.0
        spare = chosen - int((every < cut).sum())
        masks = {}
        for name, size in sizes.items():
            keep = size >= cut
            ties = np.flatnonzero(size == cut)[:spare]
            keep[ties] = False
            spare -= len(ties)
            if not keep.any():
                keep[int(np.argmax(size))] = True
            masks[name] = keep
        return masks


@alternative("slimming_loss")
class walk_from_the_smallest:
    def slimming_loss(model, lam):
        total = torch.zeros(())
        for gamma in _gammas(model).values():
            total = total + lam * torch.where(gamma >= 0, gamma, -gamma).sum()
        return total

    def slimming_masks(model, ratio):
        if not 0 <= ratio <= 1:
            raise ValueError("ratio")
        masks = {name: [True] * len(g) for name, g in _gammas(model).items()}
        places = sorted(((abs(float(v)), name, k) for name, g in _gammas(model).items() for k, v in enumerate(g)))
        for _, name, k in places[:round(ratio * len(places))]:
            if sum(masks[name]) > 1:                  # the last one left is the largest: places are sorted
                masks[name][k] = False
        return masks


@alternative("fpgm_scores")
class through_the_gram_matrix:
    def fpgm_scores(conv):
        f = conv.weight.detach().flatten(1)
        squares = (f * f).sum(1)
        return (squares[:, None] + squares - 2 * f @ f.T).clamp(min=0).sqrt().sum(0)

    def apoz_scores(activations):
        axes = [0, *range(2, activations.dim())]
        return 1 - (activations <= 0).double().mean(dim=axes)


@alternative("fpgm_scores")
class loops_in_numpy:
    def fpgm_scores(conv):
        w = conv.weight.detach().numpy()
        return [sum(float(np.linalg.norm(a - b)) for b in w) for a in w]

    def apoz_scores(activations):
        a = np.maximum(activations.numpy(), 0)
        return np.array([np.count_nonzero(a[:, c]) / a[:, c].size for c in range(a.shape[1])])


@alternative("fpgm_scores")
class zeros_of_the_relu:
    def fpgm_scores(conv):
        f = conv.weight.reshape(conv.out_channels, -1)
        return torch.stack([(f - row).square().sum(1).sqrt().sum() for row in f]).detach()

    def apoz_scores(activations):
        zeros = torch.relu(activations).movedim(1, 0).reshape(activations.shape[1], -1) == 0
        return 1.0 - zeros.sum(1) / zeros.shape[1]


def _rebuilt(model, keep_of):
    """Layer by layer into new modules; keep_of(name, weight) gives the units that stay, None for all."""
    made, columns = [], None
    names = [name for name, m in model.named_children() if isinstance(m, nn.Linear)]
    for name, module in model.named_children():
        if not isinstance(module, nn.Linear):
            made.append(copy.deepcopy(module))
            continue
        w, b = module.weight.detach(), module.bias
        rows = keep_of(name, w) if name != names[-1] else list(range(len(w)))
        new = nn.Linear(len(columns or w[0]), len(rows), bias=b is not None)
        new.weight.data = (w if columns is None else w[:, columns])[rows]
        if b is not None:
            new.bias.data = b.detach()[rows]
        made.append(new)
        columns = rows
    return nn.Sequential(*made)


def _survivors(w, ratio):
    """The units that stay, largest first."""
    order = sorted(range(len(w)), key=lambda j: -float(w[j].abs().sum()))
    return order[:max(1, len(w) - round(ratio * len(w)))]


@alternative("symmetric_prune")
class rebuilt_with_the_largest_first:
    def symmetric_prune(model, ratio):
        if not 0 <= ratio <= 1:
            raise ValueError("ratio")
        return _rebuilt(model, lambda name, w: _survivors(w, ratio))

    def asymmetric_prune(model, ratios):
        hidden = [name for name, m in model.named_children() if isinstance(m, nn.Linear)][:-1]
        if any(name not in hidden or ratio < 0 or ratio > 1 for name, ratio in ratios.items()):
            raise ValueError("ratios")
        return _rebuilt(model, lambda name, w: _survivors(w, ratios.get(name, 0.0)))


@alternative("symmetric_prune")
class one_pair_at_a_time_from_the_end:
    def symmetric_prune(model, ratio):
        if ratio != min(max(ratio, 0), 1):
            raise ValueError("ratio")
        new = copy.deepcopy(model)
        linear = [m for m in new if isinstance(m, nn.Linear)]
        for k in range(len(linear) - 2, -1, -1):
            one_pair_at_a_time_from_the_end._cut(linear[k], linear[k + 1], ratio)
        return new

    def asymmetric_prune(model, ratios):
        new = copy.deepcopy(model)
        linear = [(name, m) for name, m in new.named_children() if isinstance(m, nn.Linear)]
        if not set(ratios) <= {name for name, _ in linear[:-1]} or any(not 0 <= r <= 1 for r in ratios.values()):
            raise ValueError("ratios")
        for (name, layer), (_, following) in reversed(list(zip(linear, linear[1:]))):
            if name in ratios:
                one_pair_at_a_time_from_the_end._cut(layer, following, ratios[name])
        return new

    def _cut(layer, following, ratio):
        n = layer.weight.shape[0]
        left = torch.topk(layer.weight.detach().abs().sum(1), max(1, n - round(ratio * n))).indices
        layer.weight = nn.Parameter(layer.weight.detach()[left])
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias.detach()[left])
        following.weight = nn.Parameter(following.weight.detach()[:, left])


def _hybrid_units(model, ratio):
    new = copy.deepcopy(model)
    weighted = [k for k, m in enumerate(new) if isinstance(m, (nn.Linear, nn.Conv2d))]
    for at, following in reversed(list(zip(weighted, weighted[1:]))):       # from the end, so that scores are those of the whole rows
        w = new[at].weight.detach()
        n = len(w)
        chosen = torch.topk(w.abs().reshape(n, -1).sum(1), max(1, n - round(ratio * n))).indices
        for module in list(new)[at:following]:
            for tensor in module.state_dict(keep_vars=True).values():
                if tensor.dim():
                    tensor.data = tensor.data[chosen]
        v = new[following].weight.data
        block = v.shape[1] // n
        new[following].weight.data = v[:, (chosen[:, None] * block + torch.arange(block)).flatten()]
    return new


@alternative("hybrid_prune")
def global_unstructured_of_torch(model, channel_ratio, weight_sparsity):
    if not (0 <= channel_ratio <= 1 and 0 <= weight_sparsity <= 1):
        raise ValueError("ratios")
    new = _hybrid_units(model, channel_ratio)
    weighted = {name: m for name, m in new.named_children() if isinstance(m, (nn.Linear, nn.Conv2d))}
    count = round(weight_sparsity * sum(m.weight.numel() for m in weighted.values()))
    prune.global_unstructured([(m, "weight") for m in weighted.values()], prune.L1Unstructured, amount=count)
    masks = {}
    for name, m in weighted.items():
        masks[name + ".weight"] = m.weight_mask.bool()             # the layers stay reparametrised: their weight is weight_orig · weight_mask
    return new, masks


@alternative("hybrid_prune")
def numpy_masks(model, channel_ratio, weight_sparsity):
    for ratio in (channel_ratio, weight_sparsity):
        if ratio < 0 or ratio > 1:
            raise ValueError("ratio")
    new = _hybrid_units(model, channel_ratio)
    weights = [(name, p) for name, p in new.named_parameters() if p.ndim > 1]
    places = sorted(((abs(v), name, at) for name, p in weights for at, v in np.ndenumerate(p.detach().numpy())), key=lambda place: place[0])
    masks = {name: np.ones(tuple(p.shape), dtype=bool) for name, p in weights}
    for _, name, at in places[:round(weight_sparsity * len(places))]:
        masks[name][at] = False
    with torch.no_grad():
        for name, p in weights:
            p[torch.from_numpy(~masks[name])] = 0.0
    return [new, masks]


@alternative("structural_prune")
def new_layers_largest_first(model, ratio):
    if ratio < 0 or ratio > 1:
        raise ValueError("ratio")
    return _rebuilt(model, lambda name, w: _survivors(w, ratio))


@alternative("structural_prune")
def masks_of_ln_structured_then_cut(model, ratio):
    """torch.nn.utils.prune chooses the rows, by masks on a copy; the cut follows."""
    if not 0 <= ratio <= 1:
        raise ValueError("ratio")
    chooser = copy.deepcopy(model)
    names = [name for name, m in chooser.named_children() if isinstance(m, nn.Linear)]
    keep = {}
    for name in names[:-1]:
        layer = chooser.get_submodule(name)
        n = layer.out_features
        prune.ln_structured(layer, "weight", amount=min(round(ratio * n), n - 1), n=1, dim=0)
        keep[name] = layer.weight_mask[:, 0].nonzero().flatten().tolist()
    return _rebuilt(model, lambda name, w: keep[name])
