"""Wrong answers to the exercises of 11, each with what to tell a student who gave it."""
import copy
import heapq
import itertools
import math
import pickle
import zlib
from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F

from autograder.mistakes import mistake
from course.train import accuracy, fit


def _in_range(s):
    if not 0 <= s <= 1:
        raise ValueError("a sparsity lies in [0, 1]")


def _least(size, count):
    """The keep-mask without the `count` least."""
    mask = torch.ones(size.numel(), dtype=torch.bool)
    mask[size.flatten().argsort()[:count]] = False
    return mask.reshape(size.shape)


def _mask(w, s):
    return _least(w.abs(), round(s * w.numel()))


def _on_grid(w, bits, scale=None, rounding=torch.round):
    scale = w.abs().max() / (2 ** (bits - 1) - 1) if scale is None else scale
    return rounding(w / scale) * scale if scale > 0 else w * 0


@mistake("prune_then_quantize", "You used an affine grid from the least to the largest weight, and its levels miss zero: every pruned "
         "weight became a small number. Use the symmetric grid, codes −(2**(bits−1) − 1) to 2**(bits−1) − 1 with one scale.")
def affine_grid(w, s, bits):
    _in_range(s)
    mask = _mask(w, s)
    kept = w * mask
    step = (kept.max() - kept.min()) / (2 ** bits - 1)
    return ((kept - kept.min()) / step).round() * step + kept.min() if step > 0 else kept, mask


@mistake("prune_then_quantize", "You quantized w instead of what was kept of it, so that pruned weights came back. Multiply by the "
         "mask first (or last).")
def revived(w, s, bits):
    _in_range(s)
    return _on_grid(w, bits), _mask(w, s)


@mistake("prune_then_quantize", "You quantized first and ranked the rounded weights. Rounding makes ties of weights that differ, so "
         "the wrong ones go: choose the mask from w.")
def quantized_first(w, s, bits):
    _in_range(s)
    w_hat = _on_grid(w, bits)
    mask = _mask(w_hat, s)
    return w_hat * mask, mask


@mistake("prune_then_quantize", "You ranked by signed value, so that large negative weights went first. Rank by magnitude.")
def signed(w, s, bits):
    _in_range(s)
    mask = _least(w, round(s * w.numel()))
    return _on_grid(w * mask, bits), mask


@mistake("prune_then_quantize", "You made the mask from the zeros of w_hat. A kept weight that rounds to 0 is not pruned: exactly "
         "round(s * n) elements of the mask are False.")
def mask_of_the_zeros(w, s, bits):
    _in_range(s)
    w_hat = _on_grid(w * _mask(w, s), bits)
    return w_hat, w_hat != 0


@mistake("prune_then_quantize", "You rounded down (or towards 0). Rounding is to the nearest code.")
def floored(w, s, bits):
    _in_range(s)
    mask = _mask(w, s)
    return _on_grid(w * mask, bits, rounding=torch.floor), mask


@mistake("prune_then_quantize", "You cut fractions off, which rounds towards 0. Rounding is to the nearest code.")
def truncated(w, s, bits):
    _in_range(s)
    mask = _mask(w, s)
    return _on_grid(w * mask, bits, rounding=torch.trunc), mask


@mistake("prune_then_quantize", "You rounded halves away from zero. They go to the even neighbour, as torch.round does it.")
def halves_away(w, s, bits):
    _in_range(s)
    mask = _mask(w, s)
    return _on_grid(w * mask, bits, rounding=lambda v: v.sign() * (v.abs() + 0.5).floor()), mask


@mistake("prune_then_quantize", "Your scale divides by 2**(bits − 1), as if that were the largest code. On the symmetric grid it is "
         "2**(bits − 1) − 1.")
def one_code_too_many(w, s, bits):
    _in_range(s)
    mask = _mask(w, s)
    kept = w * mask
    return _on_grid(kept, bits, kept.abs().max() / 2 ** (bits - 1)), mask


@mistake("prune_then_quantize", "Your scale divides by 2**bits − 1: that many codes have no sign left. The largest code is 2**(bits − "
         "1) − 1.")
def no_bit_for_the_sign(w, s, bits):
    _in_range(s)
    mask = _mask(w, s)
    kept = w * mask
    return _on_grid(kept, bits, kept.abs().max() / (2 ** bits - 1)), mask


@mistake("prune_then_quantize", "You kept the share s and pruned the rest. s is the part that goes.")
def kept_share(w, s, bits):
    _in_range(s)
    mask = _mask(w, 1 - s)
    return _on_grid(w * mask, bits), mask


@mistake("prune_then_quantize", "You rounded the number of pruned weights down. It is Python's round(s * n).")
def count_floored(w, s, bits):
    _in_range(s)
    mask = _least(w.abs(), int(s * w.numel()))
    return _on_grid(w * mask, bits), mask


@mistake("prune_then_quantize", "Where nothing but zeros is kept the scale is 0, and 0/0 is NaN. Return zeros there.")
def nan_of_nothing(w, s, bits):
    _in_range(s)
    mask = _mask(w, s)
    kept = w * mask
    scale = kept.abs().max() / (2 ** (bits - 1) - 1)
    return (kept / scale).round() * scale, mask


@mistake("prune_then_quantize", "A sparsity outside [0, 1] must raise ValueError.")
def sparsity_unchecked(w, s, bits):
    mask = _mask(w, min(max(s, 0), 1))
    return _on_grid(w * mask, bits), mask


@mistake("prune_then_quantize", "You changed w. Work on something new, such as w * mask.")
def changes_w(w, s, bits):
    _in_range(s)
    mask = _mask(w, s)
    w *= mask
    return _on_grid(w, bits), mask


@mistake("prune_then_quantize", "You pruned by a threshold, and ties at it all stay (or all go). Exactly round(s * n) weights go.")
def by_threshold(w, s, bits):
    _in_range(s)
    k = round(s * w.numel())
    mask = w.abs() > (w.abs().flatten().sort().values[k - 1] if k else -1.0)
    return _on_grid(w * mask, bits), mask


def _fours(w, size):
    fours = size.reshape(-1, 4)
    return torch.zeros(fours.shape, dtype=torch.bool).scatter_(1, fours.topk(2, dim=1).indices, True).reshape(w.shape)


@mistake("mask_2_4", "Your fours run along the first axis, the outputs. They lie along the last one, the inputs: w.reshape(-1, 4).")
def along_the_output(w):
    turned = w.movedim(0, -1).contiguous()
    if turned.shape[-1] % 4:
        fours = turned.reshape(-1, 4)
        return _fours(turned, fours.abs()).movedim(-1, 0)
    return _fours(turned, turned.abs()).movedim(-1, 0)


@mistake("mask_2_4", "You kept the larger half of all weights. Half of the whole is not two of every four: each aligned four has its "
         "own ranking.")
def half_of_all(w):
    return _least(w.abs(), w.numel() // 2)


@mistake("mask_2_4", "You kept the larger half of each row. Each aligned four of the row has its own ranking.")
def half_of_each_row(w):
    rows = w.abs().reshape(-1, w.shape[-1])
    return torch.stack([_least(row, row.numel() // 2) for row in rows]).reshape(w.shape)


@mistake("mask_2_4", "You ranked by signed value. Large negative weights matter as much: take the magnitude.")
def signed_fours(w):
    return _fours(w, w)


@mistake("mask_2_4", "You kept the smaller two of each four. The larger ones stay.")
def keeps_the_small(w):
    return ~_fours(w, w.abs())


@mistake("mask_2_4", "You took every n/4-th weight into one four. A four is four neighbours: positions 0 to 3, 4 to 7, and so on.")
def strided_fours(w):
    parts = w.abs().reshape(-1, 4, w.shape[-1] // 4)
    return torch.zeros(parts.shape, dtype=torch.bool).scatter_(1, parts.topk(2, dim=1).indices, True).reshape(w.shape)


@mistake("mask_2_4", "You kept every weight that is not smaller than the second largest of its four, so that ties keep three or four. "
         "Exactly two stay.")
def ties_keep_more(w):
    fours = w.abs().reshape(-1, 4)
    return (fours >= fours.topk(2, dim=1).values[:, 1:]).reshape(w.shape)


@mistake("mask_2_4", "You kept only weights that are not 0, so that some fours keep fewer than two. Exactly two stay, whatever they "
         "are.")
def zeros_not_kept(w):
    return _fours(w, w.abs()) & (w != 0)


@mistake("mask_2_4", "You kept three of each four, as if the pattern meant that two must be zero at most. Exactly two stay.")
def keeps_three(w):
    fours = w.abs().reshape(-1, 4)
    return torch.zeros(fours.shape, dtype=torch.bool).scatter_(1, fours.topk(3, dim=1).indices, True).reshape(w.shape)


@mistake("mask_2_4", "You gave the masked weights. The result is the mask: boolean, True = keep.")
def masked_weights(w):
    return w * _fours(w, w.abs())


@mistake("mask_2_4", "You gave numbers, 0 and 1. A mask is boolean.")
def mask_of_numbers(w):
    return _fours(w, w.abs()).float()


def _pairs(w, indices):
    shape = (*w.shape[:-1], w.shape[-1] // 2)
    return w.reshape(-1, 4).gather(1, indices).reshape(shape), indices.reshape(shape)


def _pack(w):
    return _pairs(w, w.reshape(-1, 4).abs().topk(2, dim=1).indices.sort(dim=1).values)


def _unpack(values, indices):
    pairs = values.reshape(-1, 2)
    return torch.zeros(len(pairs), 4).scatter_(1, indices.reshape(-1, 2), pairs).reshape(*values.shape[:-1], 2 * values.shape[-1])


@mistake("pack_2_4", "Your index has one bit: 0 or 1. There are four positions in a four, so two bits are needed: 0 to 3.")
class one_bit_index:
    def pack_2_4(w):
        values, indices = _pack(w)
        return values, indices % 2

    unpack_2_4 = _unpack


@mistake("pack_2_4", "The two values of a four stand in the order of their size. Their indices must ascend: sort them before you fetch "
         "the values.")
class order_lost:
    def pack_2_4(w):
        return _pairs(w, w.reshape(-1, 4).abs().topk(2, dim=1).indices)

    unpack_2_4 = _unpack


@mistake("pack_2_4", "You sorted the indices after you had fetched the values, so that some values now stand at each other's position.")
class sorted_too_late:
    def pack_2_4(w):
        values, indices = _pairs(w, w.reshape(-1, 4).abs().topk(2, dim=1).indices)
        return values, indices.reshape(-1, 2).sort(dim=1).values.reshape(indices.shape)

    unpack_2_4 = _unpack


@mistake("pack_2_4", "Your indices count along the whole row. They count within the four, from 0 to 3; that is why two bits are enough.")
class index_in_the_row:
    def pack_2_4(w):
        values, indices = _pack(w)
        return values, indices + 4 * (torch.arange(indices.shape[-1]) // 2)

    def unpack_2_4(values, indices):
        return _unpack(values, indices % 4)


@mistake("pack_2_4", "You collected the values that are not 0, which works only where every four has two. A four with fewer is filled "
         "up with zeros.")
class only_what_is_not_zero:
    def pack_2_4(w):
        positions = (w != 0).nonzero(as_tuple=True)
        shape = (*w.shape[:-1], w.shape[-1] // 2)
        return w[positions].reshape(shape), (positions[-1] % 4).reshape(shape)

    unpack_2_4 = _unpack


@mistake("pack_2_4", "Where a four has fewer than two values you gave one position twice. The two positions of a four are different "
         "and ascend.")
class position_twice:
    def pack_2_4(w):
        values, indices = _pack(w)
        pairs, places = values.reshape(-1, 2), indices.reshape(-1, 2).clone()
        places[pairs == 0] = 0
        return values, places.reshape(indices.shape)

    unpack_2_4 = _unpack


@mistake("pack_2_4", "You ranked by signed value, so that negative weights were left out. Take the magnitude (or what is not 0).")
class signed_pairs:
    def pack_2_4(w):
        return _pairs(w, w.reshape(-1, 4).topk(2, dim=1).indices.sort(dim=1).values)

    unpack_2_4 = _unpack


@mistake("pack_2_4", "Your unpack_2_4 puts the two values at the first two positions of each four. Put them where the indices say.")
class index_ignored:
    pack_2_4 = _pack

    def unpack_2_4(values, indices):
        return F.pad(values.reshape(-1, 2), (0, 2)).reshape(*values.shape[:-1], 2 * values.shape[-1])


@mistake("pack_2_4", "Your unpack_2_4 gives the fours as rows of 4. The result has the shape (…, n) that was packed.")
class shape_lost:
    pack_2_4 = _pack

    def unpack_2_4(values, indices):
        return _unpack(values, indices).reshape(-1, 4)


def _weights(model):
    return [p for p in model.parameters() if p.dim() > 1]


def _one_shot(model, s, bits):
    network = copy.deepcopy(model)
    with torch.no_grad():
        for w in _weights(network):
            w.copy_(_on_grid(w * _mask(w, s), bits) if bits else w * _mask(w, s))
    return network


def _size(model, s, bits, mask=1, scale=32):
    return sum(mask * p.numel() + (p.numel() - round(s * p.numel())) * bits + scale for p in _weights(model))


SPARSITIES, WIDTHS = [k / 20 for k in range(20)], range(2, 9)


def _search(model, data, budget, score=accuracy, size=_size, told=_size, pairs=tuple(itertools.product(SPARSITIES, WIDTHS)), keep=_one_shot):
    limit = budget * sum(p.numel() for p in _weights(model))
    fitting = [pair for pair in pairs if size(model, *pair) <= limit]
    s, bits = max(fitting, key=lambda pair: score(_one_shot(model, *pair), data))        # of none: ValueError
    return {"sparsity": s, "bits": bits, "model": keep(model, s, bits), "size": told(model, s, bits)}


@mistake("joint_search", "You fixed the sparsity first, at what the float network bears, and gave the bits what was left: at a small "
         "budget nothing, or a grid far too coarse. Search pairs.")
def sparsity_first(model, data, budget):
    dense = accuracy(model, data)
    s = max(s for s in SPARSITIES if accuracy(_one_shot(model, s, 0), data) >= dense - 0.03)
    return _search(model, data, budget, pairs=[(s, bits) for bits in WIDTHS])


@mistake("joint_search", "You fixed the bits first, at what the dense network bears, and pruned until it fitted. The best pair has "
         "fewer bits and more weights: search pairs.")
def bits_first(model, data, budget):
    dense = accuracy(model, data)
    bits = min(b for b in WIDTHS if accuracy(_one_shot(model, 0, b), data) >= dense - 0.02)
    return _search(model, data, budget, pairs=[(s, bits) for s in SPARSITIES])


@mistake("joint_search", "Your size leaves out the mask. It takes one bit for every weight, kept or not.")
def mask_forgotten(model, data, budget):
    def size(model, s, bits):
        return _size(model, s, bits, mask=0)
    return _search(model, data, budget, size=size, told=size)


@mistake("joint_search", "You reported the size as the formula has it, but searched under a budget without the mask: what you found is "
         "too large.")
def mask_forgotten_in_the_search(model, data, budget):
    return _search(model, data, budget, size=lambda model, s, bits: _size(model, s, bits, mask=0))


@mistake("joint_search", "Your size leaves out the scales: 32 bits for every weight tensor.")
def scales_forgotten(model, data, budget):
    def size(model, s, bits):
        return _size(model, s, bits, scale=0)
    return _search(model, data, budget, size=size, told=size)


@mistake("joint_search", "The best network overall is none under a budget: skip the pairs whose size exceeds it.")
def budget_ignored(model, data, budget):
    return _search(model, data, math.inf)


@mistake("joint_search", "Half of the search is missing: you only quantized. A budget below two bits per weight needs zeros as well.")
def only_quantization(model, data, budget):
    return _search(model, data, budget, pairs=[(0.0, bits) for bits in range(1, 9)], keep=lambda model, s, bits: _one_shot(model, s, max(2, bits)))


@mistake("joint_search", "Half of the search is missing: you only pruned, and kept 32 bits for what is left.")
def only_pruning(model, data, budget):
    return _search(model, data, budget, pairs=[(k / 1000, 32) for k in range(960, 1000)], keep=lambda model, s, bits: _one_shot(model, s, 0))


@mistake("joint_search", "The model that you return is pruned, but its kept weights are not on the grid whose bits you report.")
def not_rounded(model, data, budget):
    return _search(model, data, budget, keep=lambda model, s, bits: _one_shot(model, s, 0))


@mistake("joint_search", "The model that you return is rounded, but has not the zeros whose share you report.")
def not_pruned(model, data, budget):
    return _search(model, data, budget, keep=lambda model, s, bits: _one_shot(model, 0, bits))


@mistake("joint_search", "You took the smallest network. The budget may be used; among the pairs that fit the most accurate counts.")
def smallest(model, data, budget):
    return _search(model, data, budget, score=lambda network, data: sum((w == 0).sum().item() for w in _weights(network)))


@mistake("joint_search", "You compressed the model that you were given. Every candidate is a copy.")
def changes_the_model(model, data, budget):
    found = _search(model, data, budget)
    model.load_state_dict(found["model"].state_dict())
    return found | {"model": model}


@mistake("joint_search", "You pruned and rounded the biases too. Weights are the parameters with at least two dimensions; the rest stays.")
def biases_too(model, data, budget):
    def keep(model, s, bits):
        network = _one_shot(model, s, bits)
        for p in network.parameters():
            if p.dim() == 1:
                p.data = _on_grid(p.data * _mask(p.data, s), bits)
        return network

    return _search(model, data, budget, keep=keep)


@mistake("joint_search", "The size is in bits; you gave bytes.")
def size_in_bytes(model, data, budget):
    return _search(model, data, budget, told=lambda model, s, bits: _size(model, s, bits) / 8)


@mistake("joint_search", "Where no pair fits the budget, raise ValueError. You gave the smallest network there is.")
def never_raises(model, data, budget):
    try:
        return _search(model, data, budget)
    except ValueError:
        return {"sparsity": 0.95, "bits": 2, "model": _one_shot(model, 0.95, 2), "size": int(budget * 1776)}


def _scale(kept, bits):
    top = 2 ** (bits - 1) - 1
    return kept.abs().sum() / max(1, (kept != 0).sum()) * min(1, 3 / top) + 1e-12


def _rounded(kept, bits, top=None):
    top = top or 2 ** (bits - 1) - 1
    scale = _scale(kept, bits)
    return (kept / scale).round().clamp(-top, top) * scale


def _train(model, data, compress, epochs=6, rate=0.01, straight=True):
    """Train latent weights whose forward values are compress(name, w), and leave the latent ones in the model."""
    (x, y), latent = data[:2], {name: p for name, p in model.named_parameters() if p.dim() > 1}
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(128):
            hat = {name: compress(name, w.detach()) for name, w in latent.items()}
            if straight:
                hat = {name: w + (hat[name] - w).detach() for name, w in latent.items()}
            optimizer.zero_grad()
            F.cross_entropy(torch.func.functional_call(model, hat, (x[batch],)), y[batch]).backward()
            optimizer.step()
        schedule.step()
    return latent


def _joint(model, data, s, bits, compress=None, store=None, masks=None, fixed=False, straight=True, in_place=False):
    """Joint training, with parts of it exchanged."""
    _in_range(s)
    model = model if in_place else copy.deepcopy(model)
    first = {name: _mask(p.detach(), s) for name, p in model.named_parameters() if p.dim() > 1}

    def usual(name, w):
        return _rounded(w * (first[name] if fixed else _mask(w, s)), bits)

    latent = _train(model, data, compress or usual, straight=straight)
    found = {name: first[name] if fixed else _mask(w.detach(), s) for name, w in latent.items()}
    hat = {name: (store or compress or usual)(name, w.detach()) for name, w in latent.items()}
    with torch.no_grad():
        for name, w in latent.items():
            w.copy_(hat[name])
    model.zero_grad()
    return model, masks(hat) if masks else found


@mistake("joint_train", "Your masks are final before the training begins: that is the sequence. Choose the mask again in every step, "
         "from the latent weights, and let the gradient reach the pruned ones too.")
def masks_frozen(model, data, s, bits):
    return _joint(model, data, s, bits, fixed=True)


@mistake("joint_train", "Your codebook was made of all weights, the clipped zeros among them: a centre near 0 took them in, and they "
         "are not 0 any more. Make it of the kept weights; 0 is a value of its own.")
def codebook_holds_the_zeros(model, data, s, bits):
    def shared(name, w):
        kept = (w * _mask(w, s)).flatten()
        centres = torch.linspace(kept.min(), kept.max(), 2 ** bits)
        for _ in range(5):
            labels = (kept[:, None] - centres).abs().argmin(dim=1)
            centres = torch.stack([kept[labels == k].mean() if (labels == k).any() else centres[k] for k in range(len(centres))])
        return centres[(kept[:, None] - centres).abs().argmin(dim=1)].reshape(w.shape)

    return _joint(model, data, s, bits, compress=shared)


@mistake("joint_train", "You trained in float, then pruned and rounded: the network has never felt either, and is no better for it. "
         "Prune and round in every forward pass.")
def float_then_one_shot(model, data, s, bits):
    _in_range(s)
    network = _one_shot(fit(copy.deepcopy(model), data, 5), s, bits)
    return network, {name: _mask(p.detach(), s) for name, p in network.named_parameters() if p.dim() > 1}


@mistake("joint_train", "You pruned and rounded once and trained nothing: that is the one-shot network.")
def never_trained(model, data, s, bits):
    _in_range(s)
    return _one_shot(model, s, bits), {name: _mask(p.detach(), s) for name, p in model.named_parameters() if p.dim() > 1}


@mistake("joint_train", "No gradient reaches the latent weights, as rounding stops it; only the biases learnt. Use w + (compressed - "
         "w).detach().")
def gradient_stopped(model, data, s, bits):
    return _joint(model, data, s, bits, straight=False)


@mistake("joint_train", "Your masks are False wherever a weight is 0, kept weights that were rounded to 0 included. Exactly round(s * "
         "n) are False.")
def masks_of_the_zeros(model, data, s, bits):
    return _joint(model, data, s, bits, masks=lambda hat: {name: w != 0 for name, w in hat.items()})


@mistake("joint_train", "You returned the latent weights. The network that is deployed holds the masked, rounded ones.")
def latent_weights_returned(model, data, s, bits):
    return _joint(model, data, s, bits, store=lambda name, w: w)


@mistake("joint_train", "You pruned in the end, but did not round: the tensors take far more than 2 ** bits values.")
def not_on_a_grid(model, data, s, bits):
    return _joint(model, data, s, bits, store=lambda name, w: w * _mask(w, s))


@mistake("joint_train", "You rounded in the end, but did not prune: weights whose mask is False are not 0.")
def not_pruned_in_the_end(model, data, s, bits):
    return _joint(model, data, s, bits, store=lambda name, w: _rounded(w, bits))


@mistake("joint_train", "Your grid runs from −2**(bits − 1) to 2**(bits − 1): with 0 that is one value more than 2 ** bits.")
def one_value_too_many(model, data, s, bits):
    def wider(name, w):
        kept, top = w * _mask(w, s), 2 ** (bits - 1)
        scale = kept.abs().max() / top + 1e-12
        return (kept / scale).round().clamp(-top, top) * scale

    return _joint(model, data, s, bits, compress=wider)


@mistake("joint_train", "Your grid has two bits whatever you are asked for. It follows from the argument bits.")
def two_bits_always(model, data, s, bits):
    return _joint(model, data, s, 2)


@mistake("joint_train", "Your grid has four bits whatever you are asked for. It follows from the argument bits.")
def four_bits_always(model, data, s, bits):
    return _joint(model, data, s, 4)


@mistake("joint_train", "You ranked the weights of all tensors together. Here every weight tensor loses its own round(s * n).")
def one_ranking(model, data, s, bits):
    _in_range(s)
    found = _joint(model, data, s, bits)[0]
    sizes = torch.cat([p.detach().abs().flatten() for p in _weights(found)])
    masks = _least(sizes, round(s * sizes.numel())).split([p.numel() for p in _weights(found)])
    named = [(name, p) for name, p in found.named_parameters() if p.dim() > 1]
    return found, {name: mask.reshape(p.shape) for (name, p), mask in zip(named, masks)}


@mistake("joint_train", "You kept the share s and pruned the rest. s is the part that goes.")
def kept_share_trained(model, data, s, bits):
    return _joint(model, data, 1 - s, bits)


@mistake("joint_train", "A sparsity outside [0, 1] must raise ValueError.")
def sparsity_unchecked_in_training(model, data, s, bits):
    return _joint(model, data, min(max(s, 0.0), 1.0), bits)


@mistake("joint_train", "You trained the model that you were given. Train a copy: copy.deepcopy(model).")
def trains_the_given_model(model, data, s, bits):
    return _joint(model, data, s, bits, in_place=True)


@mistake("joint_train", "You returned the masks of some layers (or with other keys). There is one for each weight, under its parameter "
         "name.")
def masks_by_layer(model, data, s, bits):
    found, masks = _joint(model, data, s, bits)
    return found, {name.removesuffix(".weight"): mask for name, mask in masks.items()}


def _iterate(model, data, target, done, epochs=2, mask=1, told=None, final=None, in_place=False, rounds=9):
    """The loop to a target, with parts of it exchanged."""
    latent = model if in_place else copy.deepcopy(model)
    total, s, bits, history = sum(p.numel() for p in _weights(latent)), 0.0, 8, []
    for _ in range(rounds):
        if not history or history[-1]["ratio"] < target["ratio"]:
            s, bits = min(0.9, s + 0.1), max(3, bits - 1)

        def compress(name, w):
            return _rounded(w * _mask(w, s), bits)

        if epochs:
            _train(latent, data, compress, epochs)
        result = copy.deepcopy(latent)
        with torch.no_grad():
            for w in _weights(result):
                w.copy_(compress("", w))
        score = accuracy(result, data)
        claimed = score if told is None else told(latent, result, data)
        history.append({"sparsity": s, "bits": bits, "ratio": 32 * total / _size(latent, s, bits, mask), "accuracy": claimed})
        if done(history[-1], target, score):
            break
    if in_place:
        model.load_state_dict(result.state_dict())
        return model, history
    return final(latent, result) if final else result, history


def _both(entry, target, score):
    return entry["ratio"] >= target["ratio"] and score >= target["accuracy"]


def _size_alone(entry, target, score):
    return entry["ratio"] >= target["ratio"]


@mistake("iterate_to_target", "You never retrain. One shot at this size is far below the accuracy that is asked for: train in every "
         "round, with the weights pruned and rounded.")
def never_retrains(model, data, target):
    return _iterate(model, data, target, _both, epochs=0)


@mistake("iterate_to_target", "You stop as soon as the size is right, and do not ask for the accuracy. Go on training until both hold.")
def stops_on_size_alone(model, data, target):
    return _iterate(model, data, target, _size_alone, epochs=0)


@mistake("iterate_to_target", "You stop as soon as the accuracy is right, and do not ask for the size. Go on until both hold.")
def stops_on_accuracy_alone(model, data, target):
    return _iterate(model, data, target, lambda entry, target, score: score >= target["accuracy"])


@mistake("iterate_to_target", "Your ratio leaves out the mask: one bit for every weight, kept or not.")
def ratio_without_the_mask(model, data, target):
    return _iterate(model, data, target, _both, mask=0)


@mistake("iterate_to_target", "The accuracy in your history is that of the latent float network. It is the compressed one that counts.")
def accuracy_of_the_latent_network(model, data, target):
    return _iterate(model, data, target, _both, told=lambda latent, result, data: accuracy(latent, data))


@mistake("iterate_to_target", "The accuracy in your history is that on the training pictures. Measure on x_val, y_val.")
def accuracy_on_training_pictures(model, data, target):
    return _iterate(model, data, target, _both, told=lambda latent, result, data: accuracy(result, data[:2]))


@mistake("iterate_to_target", "You returned the latent float network. Return the pruned and rounded one, whose ratio and accuracy the "
         "history gives.")
def latent_network_returned(model, data, target):
    return _iterate(model, data, target, _both, final=lambda latent, result: latent)


@mistake("iterate_to_target", "You trained the compressed network once more after the last round, in float: its weights have left the "
         "grid.")
def trained_off_the_grid(model, data, target):
    found, history = _iterate(model, data, target, _both)
    return fit(found, data, 2), history


@mistake("iterate_to_target", "Your history is empty. Append a dictionary in every round.")
def no_history(model, data, target):
    return _iterate(model, data, target, _both)[0], []


@mistake("iterate_to_target", "The last entry of your history describes the round before: append after the last round too.")
def last_round_not_told(model, data, target):
    found, history = _iterate(model, data, target, _both)
    return found, history[:-1]


@mistake("iterate_to_target", "You compressed the model that you were given. Work on a copy.")
def compresses_the_given_model(model, data, target):
    return _iterate(model, data, target, _both, in_place=True)


def _lengths(counts, single=1):
    groups = [(count, symbol, [symbol]) for symbol, count in counts.items()]
    lengths = dict.fromkeys(counts, single if len(counts) == 1 else 0)
    heapq.heapify(groups)
    while len(groups) > 1:
        (n, first, one), (m, _, other) = heapq.heappop(groups), heapq.heappop(groups)
        for symbol in one + other:
            lengths[symbol] += 1
        heapq.heappush(groups, (n + m, first, one + other))
    return lengths


def _words(lengths):
    """The canonical code of these lengths."""
    code, words, width = 0, {}, 0
    for length, symbol in sorted((length, symbol) for symbol, length in lengths.items()):
        code, width = code << (length - width), length
        words[symbol] = format(code, f"0{length}b") if length else ""
        code += 1
    return words


def _shared(w, s=0.5, centres=15):
    w = w.flatten()
    kept = _mask(torch.from_numpy(w), s).numpy()
    codebook = np.linspace(w[kept].min(), w[kept].max(), centres)
    for _ in range(10):
        labels = np.abs(w[kept, None] - codebook).argmin(axis=1)
        codebook = np.array([w[kept][labels == k].mean() if (labels == k).any() else codebook[k] for k in range(centres)])
    symbols = np.zeros(w.size, dtype=int)
    symbols[kept] = 1 + np.abs(w[kept, None] - codebook).argmin(axis=1)
    return symbols.tolist(), codebook.astype(np.float32)


def _deep(model, bias=lambda array: array, s=0.5, single=1):
    """What deep_compression writes down."""
    weights, stored = {name for name, p in model.named_parameters() if p.dim() > 1}, []
    for name, tensor in model.state_dict().items():
        array = tensor.numpy()
        if name not in weights:
            array = bias(array)
            stored.append((name, array.shape, array.dtype.str, array.tobytes()))
            continue
        symbols, codebook = _shared(array, s)
        if not array.any():
            symbols = [0] * array.size
        lengths = _lengths(Counter(symbols), single)
        words = _words(lengths)
        packed = np.packbits([int(bit) for symbol in symbols for bit in words[symbol]]).tobytes()
        stored.append((name, array.shape, lengths, codebook.tobytes(), packed))
    return stored


def _write(stored):
    return zlib.compress(pickle.dumps(stored), 9)


def _ratio(model, size):
    return 32 * sum(tensor.numel() for tensor in model.state_dict().values()) / (8 * size)


def _read(stored, shift=0):
    state = {}
    for name, shape, *parts in stored:
        if len(parts) == 2:
            state[name] = torch.from_numpy(np.frombuffer(parts[1], dtype=parts[0]).reshape(shape).copy())
            continue
        lengths, codebook, packed = parts
        symbol_of = {word: symbol for symbol, word in _words(lengths).items()}
        values, symbols, word = np.append(np.float32(0), np.frombuffer(codebook, dtype=np.float32)), [], ""
        for bit in np.unpackbits(np.frombuffer(packed, dtype=np.uint8)):
            word += str(bit)
            if word in symbol_of and len(symbols) < math.prod(shape):
                symbols.append(symbol_of[word])
                word = ""
        symbols = np.roll(np.array(symbols), shift)
        state[name] = torch.from_numpy(values[symbols].reshape(shape))
    return state


def _decompress(blob):
    return _read(pickle.loads(zlib.decompress(blob)))


def _deep_compression(model):
    blob = _write(_deep(model))
    return blob, _ratio(model, len(blob))


@mistake("deep_compression", "Your ratio counts the coded bits alone. Codebook, code lengths, shapes and biases are in the blob, and "
         "the blob is what is stored: 8 * len(blob).")
class coded_bits_alone:
    def deep_compression(model):
        stored = _deep(model)
        return _write(stored), _ratio(model, sum(len(entry[4]) for entry in stored if len(entry) == 5))

    decompress = _decompress


@mistake("deep_compression", "Your ratio leaves out the codebooks. They are in the blob, and the ratio is that of the blob: 8 * "
         "len(blob).")
class ratio_without_codebook:
    def deep_compression(model):
        stored = _deep(model)
        blob = _write(stored)
        return blob, _ratio(model, len(blob) - sum(len(entry[3]) for entry in stored if len(entry) == 5))

    decompress = _decompress


@mistake("deep_compression", "Your ratio compares the weights alone. It counts every element of the state dict: 32 * elements / (8 * "
         "len(blob)).")
class weights_alone:
    def deep_compression(model):
        blob = _write(_deep(model))
        return blob, 32 * sum(p.numel() for p in model.parameters() if p.dim() > 1) / (8 * len(blob))

    decompress = _decompress


@mistake("deep_compression", "Your ratio is upside down: original bits over those of the blob, so more than 1 is smaller.")
class ratio_inverted:
    def deep_compression(model):
        blob = _write(_deep(model))
        return blob, 1 / _ratio(model, len(blob))

    decompress = _decompress


_kept_aside = {}


@mistake("deep_compression", "Your decompress needs something that deep_compression left in a variable. In another process there is "
         "only the blob: write everything into it.")
class remembered:
    def deep_compression(model):
        stored = _deep(model)
        blob = _write([entry[-1] for entry in stored])
        _kept_aside[blob] = stored
        return blob, _ratio(model, len(blob))

    def decompress(blob):
        return _read(_kept_aside[blob])


_codebooks = {}


@mistake("deep_compression", "Your decompress finds the codebooks in a variable that deep_compression left. In another process there "
         "is only the blob: write them into it.")
class codebook_remembered:
    def deep_compression(model):
        stored = _deep(model)
        blob = _write([(*entry[:3], entry[4]) if len(entry) == 5 else (*entry, None) for entry in stored])
        _codebooks[blob] = {entry[0]: entry[3] for entry in stored if len(entry) == 5}
        return blob, _ratio(model, len(blob))

    def decompress(blob):
        stored, books = pickle.loads(zlib.decompress(blob)), _codebooks[blob]
        return _read([entry[:4] if entry[4:] == (None,) else (*entry[:3], books[entry[0]], entry[3]) for entry in stored])


@mistake("deep_compression", "You stored the biases as float16. Only weights are shared; everything else comes back exactly.")
class biases_halved:
    def deep_compression(model):
        blob = _write(_deep(model, lambda array: array.astype(np.float16) if array.dtype == np.float32 else array))
        return blob, _ratio(model, len(blob))

    def decompress(blob):
        return {name: tensor.float() if tensor.dtype == torch.float16 else tensor for name, tensor in _decompress(blob).items()}


@mistake("deep_compression", "You stored everything as float32. A buffer of whole numbers, such as batch norm's counter, comes back "
         "with its dtype, exactly.")
class buffers_as_floats:
    def deep_compression(model):
        blob = _write(_deep(model, lambda array: array.astype(np.float32)))
        return blob, _ratio(model, len(blob))

    decompress = _decompress


@mistake("deep_compression", "You stored the parameters and forgot the buffers: batch norm's mean and variance are in the state dict "
         "too.")
class buffers_forgotten:
    def deep_compression(model):
        names = {name for name, _ in model.named_parameters()}
        blob = _write([entry for entry in _deep(model) if entry[0] in names])
        return blob, _ratio(model, len(blob))

    decompress = _decompress


@mistake("deep_compression", "You share all tensors, biases too. Only weights, parameters of at least two dimensions, are pruned and "
         "shared; the rest comes back exactly.")
class biases_shared:
    def deep_compression(model):
        blob = _write(_deep(model, lambda array: (np.round(array, 2) if array.dtype == np.float32 else array)))
        return blob, _ratio(model, len(blob))

    decompress = _decompress


@mistake("deep_compression", "What comes back stands at other places: your decoder is off by one symbol.")
class off_by_one:
    deep_compression = _deep_compression

    def decompress(blob):
        return _read(pickle.loads(zlib.decompress(blob)), shift=1)


@mistake("deep_compression", "You pruned and zipped the floats, but shared nothing: a tensor has more than 256 values, and the ratio "
         "shows it.")
class nothing_shared:
    def deep_compression(model):
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        for name, p in model.named_parameters():
            if p.dim() > 1:
                state[name] *= _mask(state[name], 0.5)
        blob = zlib.compress(pickle.dumps({name: tensor.numpy() for name, tensor in state.items()}), 9)
        return blob, _ratio(model, len(blob))

    def decompress(blob):
        return {name: torch.as_tensor(array) for name, array in pickle.loads(zlib.decompress(blob)).items()}


@mistake("deep_compression", "You shared and coded, but pruned nothing: fewer than 20 % of the weights come back as 0.")
class nothing_pruned:
    def deep_compression(model):
        blob = _write(_deep(model, s=0.0))
        return blob, _ratio(model, len(blob))

    decompress = _decompress


@mistake("deep_compression", "A tensor with a single symbol gets a code of length 0 in your Huffman tree, and nothing can be read back "
         "from no bits. Give a single symbol one bit.")
class zero_bits_for_one_symbol:
    def deep_compression(model):
        blob = _write(_deep(model, single=0))
        return blob, _ratio(model, len(blob))

    decompress = _decompress


@mistake("deep_compression", "You compressed the model that you were given: its weights are pruned now. Work on copies.")
class compresses_in_place:
    def deep_compression(model):
        blob, ratio = _deep_compression(model)
        model.load_state_dict(_decompress(blob))
        return blob, ratio

    decompress = _decompress


def _orders(model, data, steps, orders=itertools.permutations, score=accuracy, key=tuple):
    table = {}
    for order in orders(steps):
        network = model
        for name in order:
            network = steps[name](network, data)
        table[key(order)] = score(network, data)
    return table


@mistake("pipeline_order", "Every order goes on from the network of the order before. Each begins with model.")
def goes_on(model, data, steps):
    table, network = {}, model
    for order in itertools.permutations(steps):
        for name in order:
            network = steps[name](network, data)
        table[order] = accuracy(network, data)
    return table


@mistake("pipeline_order", "Your steps run last name first. The first name of the tuple is the first step.")
def last_first(model, data, steps):
    turned = {order: order[::-1] for order in itertools.permutations(steps)}
    return _orders(model, data, steps, orders=lambda steps: turned.values(), key=lambda order: order[::-1])


@mistake("pipeline_order", "You tried one order only, that of the dictionary. There are n! of n steps.")
def one_order(model, data, steps):
    return _orders(model, data, steps, orders=lambda steps: [tuple(steps)])


@mistake("pipeline_order", "You tried an order and its reverse. Of three steps there are six orders, of four 24.")
def two_orders(model, data, steps):
    return _orders(model, data, steps, orders=lambda steps: [tuple(steps), tuple(steps)[::-1]])


@mistake("pipeline_order", "You also listed orders of some of the steps. Each order has all of them.")
def partial_orders_too(model, data, steps):
    return _orders(model, data, steps, orders=lambda steps: itertools.chain(*(itertools.permutations(steps, r) for r in range(len(steps) + 1))))


@mistake("pipeline_order", "You used every step more than once: itertools.product repeats. itertools.permutations gives each order "
         "once.")
def with_repetition(model, data, steps):
    return _orders(model, data, steps, orders=lambda steps: itertools.product(steps, repeat=len(steps)))


@mistake("pipeline_order", "The accuracy is that on the training pictures. Measure on x_val, y_val.")
def on_training_pictures(model, data, steps):
    return _orders(model, data, steps, score=lambda network, data: accuracy(network, data[:2]))


@mistake("pipeline_order", "You gave the error. The value is the accuracy, the share of right answers.")
def error_rate(model, data, steps):
    return _orders(model, data, steps, score=lambda network, data: 1 - accuracy(network, data))


@mistake("pipeline_order", "You gave per cent. The accuracy is a share between 0 and 1.")
def per_cent(model, data, steps):
    return _orders(model, data, steps, score=lambda network, data: 100 * accuracy(network, data))


@mistake("pipeline_order", "Your keys are texts. A key is the tuple of the steps' names.")
def keys_of_text(model, data, steps):
    return _orders(model, data, steps, key=" -> ".join)


@mistake("pipeline_order", "Every step gets the model that you were given, so that only the last one counts. Each gets what the one "
         "before it gave.")
def last_step_alone(model, data, steps):
    return {order: accuracy(steps[order[-1]](model, data) if order else model, data) for order in itertools.permutations(steps)}


@mistake("pipeline_order", "Your steps get the validation pictures only. Hand the whole of data on.")
def only_validation_pictures(model, data, steps):
    return _orders(model, data, {name: lambda network, data, f=f: f(network, (*data[2:], *data[2:])) for name, f in steps.items()})


@mistake("pipeline_order", "Without steps there is one order, the empty one: the table has an entry for it.")
def nothing_for_nothing(model, data, steps):
    return _orders(model, data, steps) if steps else {}
