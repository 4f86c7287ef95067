"""Other right answers to the exercises of 01: all of them must earn full marks."""
import copy
import heapq
import pickle
from fractions import Fraction

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from torch.nn.utils import parametrize, prune

from autograder.mistakes import alternative


@alternative("threshold_prune")
def where(w, t):
    if t < 0:
        raise ValueError("negative threshold")
    keep = ~(np.abs(w) < t)
    return np.where(keep, w, np.zeros_like(w)), keep


@alternative("threshold_prune")
def through_torch(w, t):
    if t < 0:
        raise ValueError("negative threshold")
    weights = torch.from_numpy(w.copy())
    mask = (weights.abs() >= t)
    return weights.masked_fill(~mask, 0.0), mask


@alternative("threshold_prune")
def loops_and_lists(w, t):
    if t < 0:
        raise ValueError("negative threshold")
    mask = np.array([abs(v) >= t for v in w.ravel()], dtype=bool).reshape(w.shape)
    return [v * k for v, k in zip(w, mask)] if w.size else w.copy(), mask.tolist() if w.size else mask


@alternative("prune_dense")
def state_dict_through_numpy(model, t):
    if t < 0:
        raise ValueError("negative threshold")
    state, masks = {name: tensor.clone() for name, tensor in model.state_dict().items()}, {}
    for name, module in model.named_modules():
        if type(module) is nn.Linear:
            w = module.weight.detach().numpy()
            masks[name + ".weight"] = ~(np.abs(w) < t)
            state[name + ".weight"] = torch.from_numpy(np.where(masks[name + ".weight"], w, 0))
    pruned = copy.deepcopy(model)
    pruned.load_state_dict(state)
    return pruned, masks


@alternative("prune_dense")
def recursion(model, t):
    if not t >= 0:
        raise ValueError("negative threshold")
    pruned, masks = pickle.loads(pickle.dumps(model)), {}

    def visit(module, path):
        for name, child in module.named_children():
            visit(child, [*path, name])
        if isinstance(module, nn.Linear):
            keep = torch.ge(module.weight.abs(), t)
            module.weight = nn.Parameter(torch.where(keep, module.weight, torch.zeros_like(module.weight)).detach())
            masks[".".join([*path, "weight"])] = keep.tolist()

    visit(pruned, [])
    return [pruned, masks]


@alternative("prune_dense")
def hooks_of_torch_prune(model, t):
    if t < 0:
        raise ValueError("negative threshold")
    model = copy.deepcopy(model)
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Linear)]
    masks = {f"{name}.weight": m.weight.detach().abs() >= t for name, m in layers}
    for name, m in layers:
        prune.custom_from_mask(m, "weight", masks[f"{name}.weight"])
    return model, masks


class _Pruned(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, v):
        return v * self.mask


@alternative("prune_dense")
def parametrized_layers(model, t):
    if t < 0:
        raise ValueError("negative threshold")
    pruned, masks = copy.deepcopy(model), {}
    for name, module in list(pruned.named_modules()):
        if isinstance(module, nn.Linear):
            masks[f"{name}.weight"] = (module.weight.abs() >= t).detach()
            parametrize.register_parametrization(module, "weight", _Pruned(masks[f"{name}.weight"]))
    return pruned, masks


@alternative("magnitude_mask")
def argpartition(w, s):
    if s < 0 or s > 1:
        raise ValueError("sparsity")
    zeros, flat = round(s * w.size), np.abs(w).ravel()
    mask = np.full(w.size, True)
    if zeros == w.size:
        mask[:] = False
    elif zeros:
        mask[np.argpartition(flat, zeros)[:zeros]] = False
    return mask.reshape(w.shape)


@alternative("magnitude_mask")
def torch_topk(w, s):
    if s < 0 or s > 1:
        raise ValueError("sparsity")
    flat = torch.from_numpy(np.abs(w)).reshape(-1)
    mask = torch.zeros(flat.numel(), dtype=torch.bool)
    mask[torch.topk(flat, flat.numel() - round(s * flat.numel())).indices] = True
    return mask.reshape(w.shape)


@alternative("magnitude_mask")
def kth_value_with_ties_filled(w, s):
    if s < 0 or s > 1:
        raise ValueError("sparsity")
    zeros, size = round(s * w.size), np.abs(w).ravel()
    if zeros == 0:
        return np.ones(w.shape, dtype=bool)
    cut = np.sort(size)[zeros - 1]
    mask = size >= cut
    ties = np.flatnonzero(size == cut)
    mask[ties[:zeros - int((size < cut).sum())]] = False
    return mask.reshape(w.shape)


@alternative("magnitude_mask")
def torch_prune(w, s):
    if s < 0 or s > 1:
        raise ValueError("sparsity")
    weights = torch.from_numpy(w.copy())
    if not weights.numel():
        return torch.ones(w.shape, dtype=torch.bool)
    return prune.L1Unstructured(amount=round(s * w.size)).compute_mask(weights, torch.ones_like(weights)).bool()


@alternative("global_masks")
def torch_global_unstructured(weights, s):
    if s < 0 or s > 1:
        raise ValueError("sparsity")
    holders = {name: nn.Module() for name, w in weights.items() if w.ndim >= 2}
    for name, holder in holders.items():
        holder.w = nn.Parameter(torch.tensor(weights[name]))
    count = round(s * sum(weights[name].size for name in holders))
    prune.global_unstructured([(h, "w") for h in holders.values()], prune.L1Unstructured, amount=count)
    return {name: holders[name].w_mask.bool() if name in holders else torch.ones(w.shape, dtype=torch.bool) for name, w in weights.items()}


@alternative("global_masks")
def heap_of_positions(weights, s):
    if not 0 <= s <= 1:
        raise ValueError("sparsity")
    masks = {name: np.full(w.shape, True) for name, w in weights.items()}
    places = [(abs(float(v)), name, at) for name, w in weights.items() if len(w.shape) > 1 for at, v in np.ndenumerate(w)]
    for _, name, at in heapq.nsmallest(round(s * len(places)), places):
        masks[name][at] = False
    return masks


@alternative("global_masks")
def ranks_of_a_topk_as_lists(weights, s):
    if not 0 <= s <= 1:
        raise ValueError("sparsity")
    names = [name for name in weights if weights[name].ndim > 1]
    flat = torch.cat([torch.from_numpy(np.abs(weights[name])).double().flatten() for name in names])
    keep = torch.zeros(len(flat), dtype=torch.bool)
    keep[flat.topk(len(flat) - round(s * len(flat))).indices] = True
    parts = dict(zip(names, keep.split([weights[name].size for name in names])))
    return {name: (parts[name].reshape(w.shape) if name in parts else torch.ones(w.shape).bool()).tolist() for name, w in weights.items()}


@alternative("global_masks")
def threshold_with_ties_filled(weights, s):
    if not 0 <= s <= 1:
        raise ValueError("sparsity")
    ranked = {name: np.abs(w) for name, w in weights.items() if w.ndim >= 2}
    every = np.sort(np.concatenate([size.reshape(-1) for size in ranked.values()]))
    zeros = round(s * len(every))
    cut = every[zeros - 1] if zeros else -1.0
    spare = zeros - int((every < cut).sum())
    masks = {}
    for name, w in weights.items():
        masks[name] = np.ones_like(w, dtype=bool)
        if name in ranked:
            masks[name][ranked[name] < cut] = False
            ties = np.argwhere(ranked[name] == cut)[:spare]
            masks[name][tuple(ties.T)] = False
            spare -= len(ties)
    return masks


@alternative("prune_parameters")
def torch_l1_unstructured(layer, s):
    pruned = copy.deepcopy(layer)
    for name in ("weight", "bias"):
        if getattr(pruned, name) is not None:
            prune.l1_unstructured(pruned, name, amount=float(s))
    return pruned


@alternative("prune_parameters")
def weight_then_bias_in_numpy(layer, s):
    if not (s >= 0 and s <= 1):
        raise ValueError("sparsity")

    def pruned_array(a):
        flat = a.detach().numpy().flatten()
        flat[np.argpartition(np.abs(flat), np.arange(flat.size))[:round(s * flat.size)]] = 0
        return nn.Parameter(torch.from_numpy(flat.reshape(a.shape)))

    new = pickle.loads(pickle.dumps(layer))
    new.weight = pruned_array(layer.weight)
    if layer.bias is not None:
        new.bias = pruned_array(layer.bias)
    return new


@alternative("prune_parameters")
def masks_by_topk(layer, s):
    if s > 1 or s < 0:
        raise ValueError("sparsity")
    state = {}
    for name, p in layer.state_dict().items():
        mask = torch.zeros(p.numel())
        mask[p.abs().reshape(-1).topk(p.numel() - round(s * p.numel())).indices] = 1.0
        state[name] = p * mask.view_as(p)
    new = copy.deepcopy(layer)
    new.load_state_dict(state)
    return new


@alternative("prune_parameters")
def loops(layer, s):
    if not 0 <= s <= 1:
        raise ValueError("sparsity")
    new = copy.deepcopy(layer).requires_grad_(False)
    for p in new.parameters():
        places = sorted(np.ndindex(*p.shape), key=lambda at: abs(p[at].item()))
        for at in places[:round(s * len(places))]:
            p[at] = 0.0
    return new.requires_grad_(True)


@alternative("agp_sparsity")
def cases(step, s_i, s_f, t0, n, dt):
    end = t0 + n * dt
    if step <= t0:
        return s_i
    if step >= end:
        return s_f
    return s_i + (s_f - s_i) * (1 - ((end - step) / (end - t0)) ** 3)


@alternative("agp_sparsity")
def held_between_prunings(step, s_i, s_f, t0, n, dt):
    prunings = int(np.clip((step - t0) // dt, 0, n))
    return np.float64(s_f - (s_f - s_i) * np.power(1 - prunings / n, 3))


@alternative("agp_sparsity")
def exact_fractions(step, s_i, s_f, t0, n, dt):
    left = 1 - Fraction(min(max(step - t0, 0), n * dt), n * dt)
    return float(Fraction(s_f) + (Fraction(s_i) - Fraction(s_f)) * left ** 3)


@alternative("agp_sparsity")
def expanded_in_torch(step, s_i, s_f, t0, n, dt):
    x = torch.clamp(torch.tensor((step - t0) / (n * dt), dtype=torch.float64), 0, 1)
    return s_i + (s_f - s_i) * x * (3 - 3 * x + x * x)


@alternative("masked_train_step")
def gradients_and_weights(model, masks, optimizer, batch):
    x, y = batch
    optimizer.zero_grad(set_to_none=False)
    loss = torch.nn.CrossEntropyLoss()(model(x), y)
    loss.backward()
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        parameters[name].grad *= mask
    optimizer.step()
    for name, mask in masks.items():
        parameters[name].data[~mask] = 0
    return loss.detach()


class _Masked(torch.nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, v):
        return v * self.mask


@alternative("masked_train_step")
def reparametrised(model, masks, optimizer, batch):
    for name, mask in masks.items():
        where, _, kind = name.rpartition(".")
        layer = model.get_submodule(where)
        if not parametrize.is_parametrized(layer, kind):
            parametrize.register_parametrization(layer, kind, _Masked(mask))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(batch[0]), batch[1])
    loss.backward()
    optimizer.step()
    return loss.item()


@alternative("masked_train_step")
def torch_prune_hooks(model, masks, optimizer, batch):
    for name, mask in masks.items():
        where, _, kind = name.rpartition(".")
        layer = model.get_submodule(where)
        if not hasattr(layer, kind + "_mask"):
            prune.custom_from_mask(layer, kind, mask)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(batch[0]), batch[1])
    loss.backward()
    optimizer.step()
    return loss.item()


@alternative("lottery_ticket")
def plain_loops(train, init, rounds, p):
    if p < 0 or p > 1:
        raise ValueError("p")
    gone = {name: set() for name in init}

    def masked():
        masks, weights = {}, {}
        for name, w in init.items():
            masks[name] = np.array([k not in gone[name] for k in range(w.size)], dtype=bool).reshape(w.shape)
            weights[name] = np.where(masks[name], w, 0)
        return weights, masks

    for _ in range(rounds):
        weights, masks = masked()
        trained = train(weights=weights, masks=masks)
        for name in init:
            left = [k for k in range(init[name].size) if k not in gone[name]]
            left.sort(key=lambda k: abs(trained[name].flat[k]), reverse=True)
            gone[name].update(left[len(left) - round(p * len(left)):])
    return masked()


@alternative("lottery_ticket")
def least_of_all_by_partition(train, init, rounds, p):
    if not (p >= 0 and p <= 1):
        raise ValueError("p")
    masks = {name: np.full_like(w, True, dtype=bool) for name, w in init.items()}
    for _ in range(int(rounds)):
        trained = train({name: np.multiply(w, masks[name]) for name, w in init.items()}, {name: mask.copy() for name, mask in masks.items()})
        new = {}
        for name in masks:
            size = np.where(masks[name], np.abs(trained[name]), -1.0).ravel()      # what is gone comes first
            gone = size.size - int(masks[name].sum())
            gone += round(p * (size.size - gone))
            flat = np.zeros(size.size, dtype=bool)
            if gone < size.size:
                flat[np.argpartition(size, gone)[gone:]] = True
            new[name] = flat.reshape(masks[name].shape)
        masks = new
    return {name: init[name] * masks[name] for name in init}, masks


@alternative("lottery_ticket")
def recursive_in_torch(train, init, rounds, p):
    if p < 0 or p > 1:
        raise ValueError("p")

    def search(masks, rounds):
        ticket = {name: torch.tensor(w) * masks[name] for name, w in init.items()}
        if rounds == 0:
            return ticket, masks
        trained = train({name: w.numpy() for name, w in ticket.items()}, {name: mask.numpy() for name, mask in masks.items()})
        fewer = {}
        for name, mask in masks.items():
            size = torch.as_tensor(trained[name]).abs().masked_fill(~mask, -1).flatten()
            left = int(mask.sum()) - round(p * int(mask.sum()))
            fewer[name] = torch.zeros(size.numel(), dtype=torch.bool).scatter(0, size.topk(left).indices, True).reshape(mask.shape)
        return search(fewer, rounds - 1)

    return search({name: torch.ones(w.shape, dtype=torch.bool) for name, w in init.items()}, rounds)


@alternative("dense_speedup")
def row_by_row(mask, hardware):
    speedup = 1
    if hardware == "structured":
        speedup = mask.shape[0] / sum(1 for row in mask if True in row.tolist())
    elif hardware == "2:4":
        rows = mask.tolist()
        fours = [row[k:k + 4] for row in rows for k in range(0, len(row), 4)]
        if all(len(four) == 4 and sum(four) <= 2 for four in fours):
            speedup = 2
    return speedup


@alternative("dense_speedup")
def in_torch(mask, hardware):
    kept = torch.from_numpy(mask)
    rules = {"dense": lambda: torch.tensor(1.0),
             "2:4": lambda: torch.tensor(1.0 + (kept.shape[-1] % 4 == 0 and bool((kept.unflatten(-1, (-1, 4)).sum(-1) < 3).all()))),
             "structured": lambda: kept.shape[0] / (kept.sum(1) > 0).sum()}
    return rules[hardware]()


@alternative("dense_speedup")
def strided(mask, hardware):
    if hardware == "dense":
        return 1.0
    if hardware == "structured":
        return 1 / np.mean(np.count_nonzero(mask, axis=-1) != 0)
    if mask.shape[-1] % 4:
        return 1.0
    counts = sum(mask[:, k::4].astype(int) for k in range(4))
    return float(np.where(counts.max() > 2, 1, 2))


@alternative("structured_prune")
def multiplied_by_keep(network, rate):
    if rate < 0 or rate > 1:
        raise ValueError("rate")
    *inner, last = network
    result = {}
    for layer in inner:
        weights, biases = network[layer]["weights"], network[layer]["biases"]
        keep = np.ones(biases.shape)
        for k in sorted(range(len(biases)), key=lambda k: sum(map(abs, weights[k])))[:round(rate * len(biases))]:
            keep[k] = 0
        result[layer] = {"weights": weights * keep[:, None], "biases": biases * keep}
    return {**result, last: network[last]}


@alternative("structured_prune")
def mean_magnitude_in_torch(network, rate):
    if not 0 <= rate <= 1:
        raise ValueError("rate")
    result = {}
    for number, (layer, parameters) in enumerate(network.items(), 1):
        weights, biases = torch.tensor(parameters["weights"]), torch.tensor(parameters["biases"])
        if number < len(network):
            least = weights.abs().mean(dim=1).topk(round(rate * weights.shape[0]), largest=False).indices
            weights = weights.index_fill(0, least, 0.0)
            biases = biases.index_fill(0, least, 0.0)
        result[layer] = {"biases": biases, "weights": weights}
    return result


@alternative("structured_prune")
def deep_copy_and_norm(network, rate):
    import copy
    assert_rate = min(max(rate, 0.0), 1.0)
    if assert_rate != rate:
        raise ValueError("rate")
    pruned = copy.deepcopy(network)
    for layer, parameters in pruned.items():
        if layer != next(reversed(pruned)):
            n_out = parameters["weights"].shape[0]
            norms = np.linalg.norm(parameters["weights"], ord=1, axis=1)
            keep = np.argpartition(norms, range(n_out))[round(rate * n_out):]
            for kind in ("weights", "biases"):
                whole = parameters[kind]
                parameters[kind] = np.zeros_like(whole)
                parameters[kind][keep] = whole[keep]
    return pruned
