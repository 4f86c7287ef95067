"""Other right answers to the exercises of 02: all of them must earn full marks."""
import copy
import functools
import math

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from torch.nn.utils import prune

from autograder.mistakes import alternative


@alternative("mlp_forward")
class torch_autograd:
    def mlp_forward(X, Ws, bs):
        a = torch.from_numpy(X)
        for W, b in zip(Ws[:-1], bs[:-1]):
            a = F.relu(a @ torch.from_numpy(W) + torch.from_numpy(b))
        return torch.sigmoid(a @ torch.from_numpy(Ws[-1]) + torch.from_numpy(bs[-1]))

    def mlp_backward(X, y, Ws, bs):
        Ws = [torch.tensor(W, requires_grad=True) for W in Ws]
        bs = [torch.tensor(b, requires_grad=True) for b in bs]
        a = torch.tensor(X)
        for W, b in zip(Ws[:-1], bs[:-1]):
            a = F.relu(a @ W + b)
        out = torch.sigmoid(a @ Ws[-1] + bs[-1])
        loss = ((out - torch.tensor(y).reshape(out.shape)) ** 2).sum() / (2 * len(X))
        loss.backward()
        return tuple(W.grad for W in Ws), tuple(b.grad for b in bs)


@alternative("mlp_forward")
class three_layers_written_out:
    def mlp_forward(X, Ws, bs):
        (W1, W2, W3), (b1, b2, b3) = Ws, bs
        h1 = (X @ W1 + b1).clip(min=0)
        h2 = (h1 @ W2 + b2).clip(min=0)
        return 0.5 * (1 + np.tanh(0.5 * (h2 @ W3 + b3)))

    def mlp_backward(X, y, Ws, bs):
        (W1, W2, W3), (b1, b2, b3) = Ws, bs
        N = X.shape[0]
        z1 = X @ W1 + b1
        h1 = np.where(z1 > 0, z1, 0)
        z2 = h1 @ W2 + b2
        h2 = np.where(z2 > 0, z2, 0)
        e = np.exp(-(h2 @ W3 + b3))
        out = 1 / (1 + e)
        if y.ndim == 1:
            y = y[:, np.newaxis]
        d3 = (out - y) * e / (1 + e) ** 2
        d2 = np.where(z2 > 0, np.dot(d3, W3.T), 0)
        d1 = np.where(z1 > 0, np.dot(d2, W2.T), 0)
        ones = np.ones(N)
        return [np.dot(X.T, d1) / N, np.dot(h1.T, d2) / N, np.dot(h2.T, d3) / N], [ones @ d1 / N, ones @ d2 / N, ones @ d3 / N]


def _one_sample(x, target, Ws, bs):
    """Gradients of ½|out − y|² for one sample, by outer products."""
    inputs = [x]
    for W, b in zip(Ws[:2], bs[:2]):
        inputs.append(np.maximum(inputs[-1] @ W + b, 0))
    out = 1 / (1 + np.exp(-(inputs[-1] @ Ws[2] + bs[2])))
    delta, dWs, dbs = (out - target) * out * (1 - out), [], []
    for layer in (2, 1, 0):
        dWs.insert(0, np.outer(inputs[layer], delta))
        dbs.insert(0, delta)
        delta = (Ws[layer] @ delta) * (inputs[layer] > 0)
    return dWs, dbs


@alternative("mlp_forward")
class sample_by_sample:
    def mlp_forward(X, Ws, bs):
        rows = []
        for x in X:
            a = x
            for layer in range(3):
                a = a @ Ws[layer] + bs[layer]
                a = np.maximum(a, 0) if layer < 2 else 1 / (1 + np.exp(-a))
            rows.append(a.tolist())
        return rows

    def mlp_backward(X, y, Ws, bs):
        dWs, dbs = [np.zeros_like(W) for W in Ws], [np.zeros_like(b) for b in bs]
        for x, target in zip(X, np.reshape(y, (len(X), -1))):
            for sums, parts in zip((dWs, dbs), _one_sample(x, target, Ws, bs)):
                for total, part in zip(sums, parts):
                    total += part / len(X)
        return dWs, dbs


@alternative("mlp_forward")
class finite_differences:
    def mlp_forward(X, Ws, bs):
        a = X
        for W, b in zip(Ws, bs):
            z = a @ W + b
            a = np.maximum(z, 0)
        return 1 / (1 + np.exp(-z))

    def mlp_backward(X, y, Ws, bs):
        Ws, bs = copy.deepcopy(list(Ws)), copy.deepcopy(list(bs))
        y = np.reshape(y, (len(X), -1))

        def slope(p, at, h=1e-5):
            here, losses = p[at], []
            for step in (h, -h):
                p[at] = here + step
                losses.append(0.5 * ((finite_differences.mlp_forward(X, Ws, bs) - y) ** 2).sum(axis=1).mean())
            p[at] = here
            return (losses[0] - losses[1]) / (2 * h)

        return tuple([np.array([slope(p, at) for at in np.ndindex(p.shape)]).reshape(p.shape) for p in group] for group in (Ws, bs))


@alternative("gradient_mask")
def sum_and_topk(grads, s):
    if s < 0 or s > 1:
        raise ValueError("s")
    score = torch.from_numpy(np.asarray(grads)).abs().sum(0)
    flat = score.flatten()
    mask = torch.zeros(flat.numel(), dtype=torch.bool)
    mask[flat.topk(flat.numel() - round(s * flat.numel())).indices] = True
    return mask.reshape(score.shape)


@alternative("gradient_mask")
def running_mean_and_partition(grads, s):
    if not (s >= 0 and s <= 1):
        raise ValueError("s")
    score = np.zeros(grads.shape[1:])
    for k, g in enumerate(grads, 1):
        score += (np.sqrt(g.astype(float) ** 2) - score) / k
    zeros, keep = round(s * score.size), np.ones(score.shape, dtype=bool)
    if zeros:
        keep.flat[np.argpartition(score.ravel(), zeros - 1)[:zeros]] = False
    return keep


@alternative("gradient_mask")
def norm_along_batches_as_lists(grads, s):
    if s != min(max(s, 0), 1):
        raise ValueError("s")
    score = np.linalg.norm(grads.reshape(len(grads), -1), ord=1, axis=0)
    gone = set(sorted(range(score.size), key=lambda k: score[k])[:round(s * score.size)])
    return np.reshape([k not in gone for k in range(score.size)], grads.shape[1:]).tolist()


@alternative("taylor_scores")
def product_of_squares(w, g):
    return np.square(w) * np.square(g)


@alternative("taylor_scores")
def through_torch(w, g):
    return (torch.from_numpy(w) * torch.from_numpy(g)).pow(2)


@alternative("taylor_scores")
def element_by_element(w, g):
    flat = [(float(a) * float(b)) ** 2 for a, b in zip(w.flat, g.flat)]
    return np.reshape(flat, w.shape).tolist()


def _weights(model):
    return {name: p for name, p in model.named_parameters() if p.ndim > 1}


@alternative("snip_mask")
def switches(model, batch, s):
    """The paper's own way: gradients for switches c = 1 in a functional copy."""
    if s < 0 or s > 1:
        raise ValueError("s")
    weights = {name: w.detach() for name, w in _weights(model).items()}
    c = {name: torch.ones_like(w, requires_grad=True) for name, w in weights.items()}
    logits = torch.func.functional_call(model, {name: w * c[name] for name, w in weights.items()}, (batch[0],))
    grads = torch.autograd.grad(nn.CrossEntropyLoss()(logits, batch[1]), list(c.values()))
    sensitivity = {name: g.abs() for name, g in zip(c, grads)}
    total = sum(g.sum() for g in sensitivity.values())
    flat = torch.cat([(g / total).reshape(-1) for g in sensitivity.values()])
    keep = torch.zeros_like(flat, dtype=torch.bool)
    keep[flat.topk(flat.numel() - round(s * flat.numel())).indices] = True
    parts = keep.split([g.numel() for g in sensitivity.values()])
    return {name: part.reshape(g.shape) for (name, g), part in zip(sensitivity.items(), parts)}


@alternative("snip_mask")
def backward_on_a_copy(model, batch, s):
    if not 0 <= s <= 1:
        raise ValueError("s")
    twin = copy.deepcopy(model)
    twin.zero_grad()
    F.cross_entropy(twin(batch[0]), batch[1]).backward()
    scores = {name: (w.detach() * w.grad).pow(2).numpy() for name, w in _weights(twin).items()}      # squares keep the order
    places = [(float(v), name, at) for name, score in scores.items() for at, v in np.ndenumerate(score)]
    masks = {name: np.ones(score.shape, dtype=bool) for name, score in scores.items()}
    for _, name, at in sorted(places)[:round(s * len(places))]:
        masks[name][at] = False
    return masks


@alternative("snip_mask")
def torch_global_unstructured(model, batch, s):
    if not 0 <= s <= 1:
        raise ValueError("s")
    weights = _weights(model)
    grads = torch.autograd.grad(F.cross_entropy(model(batch[0]), batch[1]), list(weights.values()))
    holders = {name: nn.Module() for name in weights}
    for (name, holder), g in zip(holders.items(), grads):
        holder.w = nn.Parameter((weights[name] * g).detach().clone())
    count = round(s * sum(g.numel() for g in grads))
    prune.global_unstructured([(holder, "w") for holder in holders.values()], prune.L1Unstructured, amount=count)
    return {name: holder.w_mask.bool() for name, holder in holders.items()}


@alternative("movement_scores")
def loop_over_steps(ws, gs, lr):
    scores = np.zeros(ws.shape[1:])
    for w, g in zip(ws, gs):
        scores -= lr * w * g
    return scores


@alternative("movement_scores")
def loop_from_a_number(ws, gs, lr):
    scores = 0
    for w, g in zip(ws, gs):
        scores = scores - lr * w * g
    return scores.tolist()


@alternative("movement_scores")
def einsum(ws, gs, lr):
    return np.einsum("t...,t...->...", ws, -lr * gs)


@alternative("movement_scores")
def moves_times_weights(ws, gs, lr):
    steps = -lr * torch.from_numpy(gs)
    return (torch.from_numpy(ws) * steps).sum(0)


def _loss_of_one(parameters, model, x, y):
    return F.cross_entropy(torch.func.functional_call(model, parameters, (x[None],)), y[None])


@alternative("fisher_scores")
def vmapped(model, batch):
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    gradient = torch.func.grad(functools.partial(_loss_of_one), argnums=0)
    grads = torch.func.vmap(gradient, in_dims=(None, None, 0, 0))(parameters, model, *batch)
    return {name: p ** 2 * grads[name].pow(2).mean(0) for name, p in parameters.items()}


@alternative("fisher_scores")
def half_the_mean_by_backward_on_a_copy(model, batch):
    twin, (x, y) = copy.deepcopy(model), batch
    fisher = {name: torch.zeros(p.shape) for name, p in twin.named_parameters()}
    for n in range(len(x)):
        twin.zero_grad()
        F.cross_entropy(twin(x[n:n + 1]), y[n:n + 1]).backward()
        for name, p in twin.named_parameters():
            fisher[name] += p.grad ** 2 / len(x)
    return {name: 0.5 * fisher[name] * p.detach() ** 2 for name, p in twin.named_parameters()}


@alternative("fisher_scores")
def taylor_of_each_sample_normalised_as_a_whole(model, batch):
    names, parameters = zip(*model.named_parameters())
    losses = F.cross_entropy(model(batch[0]), batch[1], reduction="none")
    squares = [np.zeros(p.shape) for p in parameters]
    for loss in losses:
        for k, g in enumerate(torch.autograd.grad(loss, parameters, retain_graph=True)):
            squares[k] = squares[k] + (g * parameters[k]).detach().numpy() ** 2
    largest = max(square.max() for square in squares)
    return {name: square / largest for name, square in zip(names, squares)}


@alternative("sensitivity_scan")
def copies(model, evaluate, ratios):
    if any(r < 0 or r > 1 for r in ratios):
        raise ValueError("ratio")

    def score(layer, ratio):
        twin = copy.deepcopy(model)
        w = twin.get_submodule(layer).weight.data
        smallest = w.abs().flatten().topk(round(ratio * w.numel()), largest=False).indices
        w.view(-1)[smallest] = 0
        return evaluate(twin)

    layers = [name for name, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    return {layer: {ratio: score(layer, ratio) for ratio in ratios} for layer in layers}


@alternative("sensitivity_scan")
def torch_l1_unstructured(model, evaluate, ratios):
    if any(not 0 <= r <= 1 for r in ratios):
        raise ValueError("ratio")
    evaluate(model)                                  # the dense score, to look at
    state, table = copy.deepcopy(model.state_dict()), {}
    for name, module in model.named_modules():
        if not hasattr(module, "weight"):
            continue
        for ratio in ratios:
            prune.l1_unstructured(module, "weight", amount=round(ratio * module.weight.numel()))
            try:
                table.setdefault(name, {})[ratio] = evaluate(model)
            finally:
                prune.remove(module, "weight")
                model.load_state_dict(state)
    return table


@alternative("sensitivity_scan")
def from_numpy_and_back(model, evaluate, ratios):
    for ratio in ratios:
        if ratio != min(max(ratio, 0), 1):
            raise ValueError("ratio")
    table, modules = {}, dict(model.named_modules())
    for name in [n.rpartition(".")[0] for n, p in model.named_parameters() if p.dim() > 1]:
        weight, row = modules[name].weight, {}
        saved = weight.detach().numpy().copy()
        try:
            for ratio in sorted(ratios):
                pruned = saved.copy()
                pruned.flat[np.argsort(np.abs(saved), axis=None)[:round(ratio * saved.size)]] = 0
                weight.data = torch.from_numpy(pruned)
                row[ratio] = evaluate(model)
        finally:
            weight.data = torch.from_numpy(saved)
        table[name] = row
    return table


@alternative("sensitivity_scan")
def new_parameters_and_eval_mode(model, evaluate, ratios):
    if not all(0 <= r <= 1 for r in ratios):
        raise ValueError("ratio")
    modes, table = [(m, m.training) for m in model.modules()], {}
    model.eval()
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            saved, table[name] = module.weight.detach().clone(), {}
            ranks = saved.abs().flatten().argsort().argsort().view_as(saved)
            for ratio in ratios:
                module.weight = nn.Parameter(saved * (ranks >= round(ratio * saved.numel())))
                try:
                    table[name][ratio] = torch.tensor(evaluate(model))
                finally:
                    module.weight = nn.Parameter(saved.clone())
    for module, mode in modes:
        module.training = mode
    return table


@alternative("allocate_sparsity")
def dynamic_programming(table, sizes, budget):
    best = {0: (0.0, {})}                            # weights kept so far -> the best sum, and how
    for layer, row in table.items():
        longer = {}
        for kept, (total, chosen) in best.items():
            for ratio, score in row.items():
                now = kept + sizes[layer] - round(ratio * sizes[layer])
                if now <= budget and (now not in longer or total + score > longer[now][0]):
                    longer[now] = total + score, {**chosen, layer: ratio}
        best = longer
    if not best:
        raise ValueError("nothing fits")
    return max(best.values(), key=lambda found: found[0])[1]


@alternative("allocate_sparsity")
def branch_and_bound(table, sizes, budget):
    layers = list(table)
    hopes = [sum(max(table[layer].values()) for layer in layers[k:]) for k in range(len(layers) + 1)]
    best = [-math.inf, None]

    def search(k, left, total, chosen):
        if left < 0 or total + hopes[k] <= best[0]:
            return
        if k == len(layers):
            best[:] = [total, dict(chosen)]
            return
        layer = layers[k]
        for ratio in sorted(table[layer], key=table[layer].get, reverse=True):
            search(k + 1, left - (sizes[layer] - round(ratio * sizes[layer])), total + table[layer][ratio], chosen + [(layer, ratio)])

    search(0, budget, 0.0, [])
    if best[1] is None:
        raise ValueError("nothing fits")
    return best[1]


@alternative("allocate_sparsity")
def recursion_with_a_memory(table, sizes, budget):
    layers = tuple(table)

    @functools.lru_cache(None)
    def best(k, left):
        if left < 0:
            return -math.inf, ()
        if k == len(layers):
            return 0.0, ()
        found = []
        for ratio, score in table[layers[k]].items():
            rest, chosen = best(k + 1, left - sizes[layers[k]] + round(ratio * sizes[layers[k]]))
            found.append((rest + score, (ratio, *chosen)))
        return max(found)

    total, chosen = best(0, budget)
    if total == -math.inf:
        raise ValueError("budget")
    return {layer: np.float64(ratio) for layer, ratio in zip(layers, chosen)}
