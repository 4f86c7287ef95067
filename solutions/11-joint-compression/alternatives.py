"""Other right answers to the exercises of 11: all of them must earn full marks."""
import bz2
import copy
import io
import itertools
import json
import math
import struct
from fractions import Fraction

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn
import torch.nn.functional as F
import torch.nn.utils.prune as torch_prune

from autograder.mistakes import alternative
from course.train import accuracy


@alternative("prune_then_quantize")
def in_numpy(w, s, bits):
    if s < 0 or s > 1:
        raise ValueError
    values = w.numpy().astype(np.float64)
    kept = np.full(values.size, True)
    kept[np.argsort(-np.abs(values), axis=None, kind="stable")[values.size - round(s * values.size):]] = False
    kept = kept.reshape(values.shape)
    values = np.where(kept, values, 0.0)
    largest, top = np.abs(values).max(), 2 ** (bits - 1) - 1
    if largest == 0:
        return np.zeros_like(values), kept
    return np.rint(values * top / largest) * largest / top, kept


@alternative("prune_then_quantize")
def with_lists(w, s, bits):
    if not (0 <= s <= 1):
        raise ValueError("s")
    flat = w.flatten().tolist()
    gone = set(sorted(range(len(flat)), key=lambda i: abs(flat[i]))[:round(s * len(flat))])
    scale = max((abs(v) for i, v in enumerate(flat) if i not in gone), default=0.0) / (2 ** (bits - 1) - 1)
    hat = [0.0 if i in gone or scale == 0 else round(v / scale) * scale for i, v in enumerate(flat)]
    return torch.tensor(hat).reshape(w.shape).tolist(), torch.tensor([i not in gone for i in range(len(flat))]).reshape(w.shape).tolist()


@alternative("prune_then_quantize")
def with_torch_prune(w, s, bits):
    if not 0 <= s <= 1:
        raise ValueError
    holder = nn.Module()
    holder.register_parameter("weight", nn.Parameter(w.clone()))
    torch_prune.l1_unstructured(holder, "weight", amount=round(s * w.numel()))
    kept, top = holder.weight.detach(), 2 ** (bits - 1) - 1
    scale = (kept.abs().max() / top).item()
    hat = torch.fake_quantize_per_tensor_affine(kept, scale, 0, -top, top) if scale else kept
    return hat, holder.weight_mask.bool()


@alternative("mask_2_4")
def by_ranks(w):
    fours = w.abs().reshape(*w.shape[:-1], -1, 4)
    return (fours.argsort(dim=-1).argsort(dim=-1) >= 2).reshape(w.shape)


@alternative("mask_2_4")
def four_by_four(w):
    flat, mask = w.abs().flatten().tolist(), []
    for start in range(0, len(flat), 4):
        best = sorted(range(4), key=lambda i: flat[start + i])[2:]
        mask += [i in best for i in range(4)]
    return np.array(mask).reshape(tuple(w.shape)).tolist()


@alternative("pack_2_4")
class packed_in_numpy:
    def pack_2_4(w):
        w = w.numpy()
        fours = w.reshape(-1, 4)
        order = np.sort(np.argsort(fours == 0, axis=1, kind="stable")[:, :2], axis=1).astype(np.uint8)
        shape = (*w.shape[:-1], w.shape[-1] // 2)
        return np.take_along_axis(fours, order.astype(int), axis=1).reshape(shape), order.reshape(shape)

    def unpack_2_4(values, indices):
        one_hot = F.one_hot(indices.reshape(-1, 2).long(), 4).float()
        return (values.reshape(-1, 2, 1) * one_hot).sum(dim=1).reshape(*values.shape[:-1], -1)


@alternative("pack_2_4")
class packed_in_lists:
    def pack_2_4(w):
        values, places = [], []
        for four in w.reshape(-1, 4).tolist():
            found = [i for i in range(4) if four[i] != 0]
            found = sorted(found + [i for i in range(4) if i not in found][:2 - len(found)])
            values += [four[i] for i in found]
            places += found
        shape = (*w.shape[:-1], w.shape[-1] // 2)
        return torch.tensor(values).reshape(shape), torch.tensor(places, dtype=torch.int8).reshape(shape)

    def unpack_2_4(values, indices):
        out = torch.zeros(values.numel() * 2)
        base = 4 * (torch.arange(values.numel()) // 2)
        out[base + indices.flatten()] = values.flatten()
        return out.reshape(*values.shape[:-1], 2 * values.shape[-1])


def _kept(w, s):
    mask = torch.ones(w.numel(), dtype=torch.bool)
    mask[w.abs().flatten().argsort()[:round(s * w.numel())]] = False
    return mask.reshape(w.shape)


def _shrunk(model, s, bits):
    state, top = {}, 2 ** (bits - 1) - 1
    for name, p in model.named_parameters():
        if p.dim() > 1:
            values = p.detach() * _kept(p.detach(), s)
            step = values.abs().max() / top
            state[name] = torch.round(values / step) * step if step else values
    network = copy.deepcopy(model)
    network.load_state_dict(model.state_dict() | state)
    return network


@alternative("joint_search")
def by_the_training_loss(model, data, budget):
    counts = [p.numel() for p in model.parameters() if p.ndim >= 2]
    best = (math.inf, None)
    for b in (2, 3, 4, 5, 6):
        for k in range(10):
            s = k / 10
            size = sum(n * (1 + b) - round(s * n) * b for n in counts) + 32 * len(counts)
            if Fraction(size, sum(counts)) <= budget:
                network = _shrunk(model, s, b)
                with torch.no_grad():
                    loss = float(F.cross_entropy(network(data[0]), data[1]))
                best = min(best, (loss, {"sparsity": s, "bits": b, "model": network, "size": float(size)}), key=lambda pair: pair[0])
    if best[1] is None:
        raise ValueError("no pair of sparsity and bits fits")
    return best[1]


@alternative("joint_search")
def largest_sparsity_that_is_needed(model, data, budget):
    """For every width the fewest zeros that fit; then the best width on validation."""
    counts = [p.numel() for p in model.parameters() if p.dim() > 1]
    choices = []
    for bits in range(2, 9):
        for k in range(101):
            size = sum(n + (n - round(k / 100 * n)) * bits + 32 for n in counts)
            if size <= budget * sum(counts):
                choices += [(k / 100, bits, size), (min(1.0, k / 100 + 0.05), bits, None)]
                break
    if not choices:
        raise ValueError("budget")
    s, bits, _ = max(choices, key=lambda choice: accuracy(_shrunk(model, *choice[:2]), data))
    size = sum(n + (n - round(s * n)) * bits + 32 for n in counts)
    return {"sparsity": np.float64(s), "bits": torch.tensor(bits), "model": _shrunk(model, s, bits), "size": torch.tensor(size)}


@alternative("joint_search")
def budget_in_bits(model, data, budget):
    """Reads the budget as bits in all."""
    counts = [p.numel() for p in model.parameters() if p.dim() > 1]
    fitting = [(s / 10, b) for s in range(10) for b in range(2, 9) if sum(n + (n - round(s / 10 * n)) * b + 32 for n in counts) <= budget]
    if not fitting:
        raise ValueError("budget")
    s, b = max(fitting, key=lambda pair: accuracy(_shrunk(model, *pair), data))
    return {"sparsity": s, "bits": b, "model": _shrunk(model, s, b), "size": sum(n + (n - round(s * n)) * b + 32 for n in counts)}


@alternative("joint_train")
def clip_and_share(model, data, s, bits):
    """CLIP-Q with a k-means codebook for each tensor, made again in every epoch."""
    if not 0 <= s <= 1:
        raise ValueError("s")
    network, (x, y) = copy.deepcopy(model), data[:2]
    layers = {name: p for name, p in network.named_parameters() if p.dim() > 1}

    def centres_of(w):
        values = w[_kept(w, s)]
        centres = torch.linspace(values.min(), values.max(), 2 ** bits - 1)
        for _ in range(8):
            labels = (values[:, None] - centres).abs().argmin(1)
            centres = torch.stack([values[labels == k].mean() if bool((labels == k).any()) else centres[k] for k in range(len(centres))])
        return centres

    def share(w, centres):
        return centres[(w.unsqueeze(-1) - centres).abs().argmin(-1)] * _kept(w, s)

    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(8):
        books = {name: centres_of(p.detach()) for name, p in layers.items()}
        for batch in torch.randperm(len(x)).split(64):
            hat = {name: p + (share(p.detach(), books[name]) - p.detach()) for name, p in layers.items()}
            optimizer.zero_grad()
            F.cross_entropy(torch.func.functional_call(network, hat, (x[batch],)), y[batch]).backward()
            optimizer.step()
    masks = {name: _kept(p.detach(), s) for name, p in layers.items()}
    for name, p in layers.items():
        p.data = share(p.data, centres_of(p.data))
    return network, {name: mask.numpy() for name, mask in masks.items()}


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, s, top):
        kept = w * _kept(w, s)
        step = kept.abs().max() / top
        return torch.round(kept / step) * step

    @staticmethod
    def backward(ctx, g):
        return g, None, None


@alternative("joint_train")
def slow_and_by_the_largest(model, data, s, bits):
    """Ten epochs of Adam at a small rate, the scale from the largest kept weight, weights fed by hand."""
    if s < 0 or s > 1:
        raise ValueError("s")
    x, y = data[:2]
    w1, b1, w2, b2 = [p.detach().clone().requires_grad_() for p in model.parameters()]
    top, optimizer = 2 ** (bits - 1) - 1, torch.optim.Adam([w1, b1, w2, b2], lr=2e-3)
    for _ in range(10):
        for i in range(0, len(x), 32):
            hidden = F.relu(F.linear(x[i:i + 32], _Through.apply(w1, s, top), b1))
            loss = F.cross_entropy(F.linear(hidden, _Through.apply(w2, s, top), b2), y[i:i + 32])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    trained = copy.deepcopy(model).eval()
    w1, w2 = w1.detach(), w2.detach()
    trained.load_state_dict(dict(zip(model.state_dict(), (_Through.apply(w1, s, top), b1.detach(), _Through.apply(w2, s, top), b2.detach()))))
    return trained, {"2.weight": _kept(w2, s).tolist(), "0.weight": _kept(w1, s).tolist()}


def _retrained(network, masks, bits, data, epochs, rate=0.005):
    """Masks fixed, weights rounded in every step; the latent weights are kept."""
    (x, y), layers, top = data[:2], {name: p for name, p in network.named_parameters() if p.dim() > 1}, 2 ** (bits - 1) - 1

    def hat(name):
        kept = layers[name].detach() * masks[name]
        step = kept.abs().max() / top
        return torch.round(kept / step).clamp(-top, top) * step

    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            weights = {name: p + (hat(name) - p).detach() for name, p in layers.items()}
            F.cross_entropy(torch.func.functional_call(network, weights, (x[batch],)), y[batch]).backward()
            optimizer.step()
    result = copy.deepcopy(network)
    result.load_state_dict(result.state_dict() | {name: hat(name) for name in layers})
    return result


@alternative("iterate_to_target")
def in_a_sequence(model, data, target):
    """Prunes in rounds with fixed masks at four bits, then lowers the bits until the ratio is met, then trains on."""
    network, history = copy.deepcopy(model), []
    counts = [p.numel() for p in model.parameters() if p.dim() > 1]
    for s, bits in ((0.2, 8), (0.4, 6), (0.5, 5), (0.6, 4), (0.6, 3), (0.7, 3), (0.75, 3), (0.8, 3), (0.83, 3), (0.85, 3)):
        masks = {name: _kept(p.detach(), s) for name, p in network.named_parameters() if p.dim() > 1}
        ratio = 32 * sum(counts) / sum(n + (n - round(s * n)) * bits + 32 for n in counts)
        for _ in range(8 if ratio >= target["ratio"] else 1):
            result = _retrained(network, masks, bits, data, 4)
            history.append(dict(sparsity=s, bits=bits, ratio=ratio, accuracy=np.float64(accuracy(result, data))))
            if ratio >= target["ratio"] and history[-1]["accuracy"] >= target["accuracy"]:
                return result, history
    return result, history


@alternative("iterate_to_target")
def at_once_and_long(model, data, target):
    """The fewest zeros for three bits that meet the ratio, and training until the accuracy does."""
    counts, bits = [p.numel() for p in model.parameters() if p.dim() > 1], 3
    size = lambda s: sum(n + (n - round(s * n)) * bits + 32 for n in counts)
    s = next(k / 100 for k in range(100) if 32 * sum(counts) / size(k / 100) >= target["ratio"])
    network, history = copy.deepcopy(model), ()
    for _ in range(10):
        masks = {name: _kept(p.detach(), s) for name, p in network.named_parameters() if p.dim() > 1}
        result = _retrained(network, masks, bits, data, 6)
        history += ({"accuracy": accuracy(result, data), "ratio": torch.tensor(32 * sum(counts) / size(s)), "bits": bits, "sparsity": s},)
        if history[-1]["accuracy"] >= target["accuracy"]:
            break
    return result, list(history)


@alternative("deep_compression")
class fixed_length_and_bz2:
    """Labels of a shared codebook by scikit-learn, and an entropy coder from the library in place of Huffman's."""

    def deep_compression(model):
        names = {name for name, p in model.named_parameters() if p.ndim > 1}
        head, body = [], []
        for name, tensor in model.state_dict().items():
            array = tensor.numpy()
            if name in names:
                flat = array.astype(np.float64).ravel()
                kept = np.argsort(np.abs(flat))[int(0.6 * flat.size):]
                distinct = len(np.unique(flat[kept]))
                found = KMeans(min(15, distinct), n_init=1, random_state=0).fit(flat[kept, None])
                labels = np.zeros(flat.size, dtype=np.uint8)
                labels[kept] = found.labels_ + 1
                head.append([name, list(array.shape), "w"])
                body.append(found.cluster_centers_.astype(np.float32).ravel().tobytes().ljust(60, b"\0") + labels.tobytes())
            else:
                head.append([name, list(array.shape), array.dtype.name])
                body.append(array.tobytes())
        text = json.dumps(head).encode()
        blob = bz2.compress(struct.pack("<I", len(text)) + text + b"".join(body))
        return blob, torch.tensor(32.0 * sum(t.numel() for t in model.state_dict().values()) / (8 * len(blob)))

    def decompress(blob):
        stream = io.BytesIO(bz2.decompress(blob))
        (length,) = struct.unpack("<I", stream.read(4))
        state = {}
        for name, shape, kind in json.loads(stream.read(length)):
            count = math.prod(shape)
            if kind == "w":
                codebook = np.concatenate([[0], np.frombuffer(stream.read(60), dtype=np.float32)])
                state[name] = codebook[np.frombuffer(stream.read(count), dtype=np.uint8)].reshape(shape)
            else:
                dtype = np.dtype(kind)
                state[name] = np.frombuffer(stream.read(count * dtype.itemsize), dtype=dtype).reshape(shape)
        return state


@alternative("pipeline_order")
def by_recursion(model, data, steps):
    def grow(network, done):
        left = [name for name in steps if name not in done]
        if not left:
            x, y = data[2], data[3]
            with torch.no_grad():
                return {done: np.mean(network(x).argmax(-1).numpy() == y.numpy())}
        return {order: score for name in left for order, score in grow(steps[name](network, data), (*done, name)).items()}
    return grow(model, ())


@alternative("pipeline_order")
def with_copies(model, data, steps):
    table = {}
    for order in sorted(itertools.permutations(steps.keys(), len(steps))):
        network = copy.deepcopy(model)
        for step in order:
            network = steps[step](copy.deepcopy(network), data)
        network.eval()
        with torch.inference_mode():
            right = network(data[2]).argmax(dim=1).eq(data[3]).sum()
        table[order] = right / len(data[3])
    return table
