"""Other right answers to the exercises of 01: all of them must earn full marks."""
import copy

import numpy as np
import torch
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
    if rate != min(max(rate, 0.0), 1.0):
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
