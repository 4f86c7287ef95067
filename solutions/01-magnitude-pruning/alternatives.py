"""Other right answers to the exercises of 01: all of them must earn full marks."""
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
