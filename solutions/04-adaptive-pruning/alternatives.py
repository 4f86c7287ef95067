"""Other right answers to the exercises of 04."""
import copy
import heapq
from fractions import Fraction

import numpy as np
import torch

from autograder.mistakes import alternative


@alternative("activation_strength")
def in_torch(model, X):
    layers = []
    h = torch.tensor(X)
    for W, b in zip(model["W"][:-1], model["b"][:-1]):
        h = torch.relu(h @ torch.tensor(W) + torch.tensor(b))
        layers.append(h.abs().sum(0) / len(h))
    return layers


@alternative("activation_strength")
def input_by_input(model, X):
    totals = [[0.0] * len(b) for b in model["b"][:-1]]
    for x in X:
        for total, W, b in zip(totals, model["W"], model["b"]):
            x = [max(0.0, sum(x[i] * W[i][j] for i in range(len(x))) + b[j]) for j in range(len(b))]
            for j, value in enumerate(x):
                total[j] += value / len(X)
    return totals


@alternative("activation_strength")
def masked_sums(model, X):
    strengths = ()
    for W, b in list(zip(model["W"], model["b"]))[:-1]:
        z = np.einsum("ni,ij->nj", X, W) + b
        X = z * (z > 0)
        strengths += (np.linalg.norm(X, ord=1, axis=0) / X.shape[0] if X.size else X.sum(axis=0),)
    return strengths


@alternative("prune_weakest")
def with_infinite_strengths(model, k, X):
    new = {key: [np.array(part) for part in model[key]] for key in ("W", "b")}
    new["alive"] = [np.array(part) for part in model.get("alive", [np.ones(W.shape[1], dtype=bool) for W in model["W"][:-1]])]
    layer_of = np.repeat(np.arange(len(new["alive"])), [len(a) for a in new["alive"]])
    place_of = np.concatenate([np.zeros(0, dtype=int), *(np.arange(len(a)) for a in new["alive"])]).astype(int)
    while k > 0 and any(a.sum() > 1 for a in new["alive"]):
        h, strengths = X, []
        for W, b, alive in zip(new["W"], new["b"], new["alive"]):
            h = np.maximum(h @ W + b, 0)
            strengths.append(np.where(alive & (alive.sum() > 1), np.mean(h, axis=0), np.inf))
        at = int(np.argmin(np.concatenate(strengths)))
        l, j = layer_of[at], place_of[at]
        new["W"][l][:, j] = 0
        new["W"][l + 1][j, :] = 0
        new["b"][l][j] = 0
        new["alive"][l][j] = False
        k -= 1
    return new


@alternative("prune_weakest")
def recursive_in_torch(model, k, X):
    W, b = [torch.tensor(w) for w in model["W"]], [torch.tensor(v) for v in model["b"]]
    alive = [torch.tensor(a) for a in model["alive"]] if "alive" in model else [torch.ones(v.shape, dtype=torch.bool) for v in b[:-1]]

    def remove(left):
        h, weakest = torch.tensor(X), None
        for l, mask in enumerate(alive):
            h = torch.relu(h @ W[l] + b[l])
            for j in mask.nonzero().flatten().tolist() if mask.sum() > 1 else []:
                strength = h[:, j].mean().item()
                if weakest is None or strength < weakest[0]:
                    weakest = strength, l, j
        if left and weakest:
            _, l, j = weakest
            alive[l][j] = False
            W[l], b[l], W[l + 1] = W[l] * alive[l], b[l] * alive[l], W[l + 1] * alive[l][:, None]
            remove(left - 1)

    remove(k)
    return {"alive": alive, "b": b, "W": W}


def _cut(model, gone):
    """Masks, as 0 and 1, without the `gone` least magnitudes of all layers."""
    places = [(abs(float(v)), l, at) for l, W in enumerate(model["W"]) for at, v in np.ndenumerate(np.asarray(W))]
    masks = [np.ones(np.shape(W)) for W in model["W"]]
    for _, l, at in heapq.nsmallest(gone, places):
        masks[l][at] = 0
    return masks


def _times(model, masks):
    return {"W": [np.asarray(W) * m for W, m in zip(model["W"], masks)], "b": [np.array(b) for b in model["b"]]}


def _bisect(model, train, validate, tolerance, step):
    """The largest number of rounds that holds, by bisection; every trial prunes the given model at once."""
    n = sum(W.size for W in model["W"])
    base = validate(model)
    history, best = [(0.0, base)], copy.deepcopy(model)
    low, high = 0, 1
    while round(high * step * n) <= n:
        high += 1
    while high - low > 1:
        middle = (low + high) // 2
        masks = _cut(model, round(middle * step * n))
        trial = _times(train(_times(model, masks)), masks)
        history.append((middle * step, validate(trial)))
        if history[-1][1] >= base - tolerance:
            low, best = middle, trial
        else:
            high = middle
    return best, history


def _rounds(model, train, validate, tolerance, step):
    """Round by round, with masks that are kept, and the models on a stack."""
    stack, n = [model], sum(W.size for W in model["W"])
    base = float(validate(model))
    told = [[0.0, base]]
    for r in range(1, n + 2):
        if round(r * step * n) > n:
            break
        masks = _cut(stack[-1], round(r * step * n))
        stack.append(_times(train(_times(stack[-1], masks)), masks))
        told.append([float(np.mean(np.concatenate([W.ravel() for W in stack[-1]["W"]]) == 0)), float(validate(stack[-1]))])
        if not told[-1][1] >= base - tolerance:
            stack.pop()
            break
    return stack[-1], np.array(told)


def _torch_loop(model, train, validate, tolerance, step):
    """torch tensors, top-k, and a history without the round that failed."""
    base, r = validate(model), 1
    history, n = [(0.0, base)], sum(W.size for W in model["W"])
    while round(r * step * n) <= n:
        flat = torch.cat([torch.as_tensor(W).abs().flatten() for W in model["W"]])
        keep = torch.zeros(n).scatter(0, flat.topk(n - round(r * step * n)).indices, 1.0).split([W.size for W in model["W"]])
        masks = [m.reshape(W.shape).double().numpy() for m, W in zip(keep, model["W"])]
        trained = _times(train(_times(model, masks)), masks)
        measured = validate(trained)
        if base - measured > tolerance and measured < base - tolerance:
            break
        model = trained
        history.append((1 - float(keep[0].sum() + sum(k.sum() for k in keep[1:])) / n, measured))
        r += 1
    return {"W": [torch.as_tensor(W) for W in model["W"]], "b": [torch.as_tensor(b) for b in model["b"]]}, history


@alternative("adaptive_prune")
def by_bisection(model, train, validate, tolerance, step):
    return _bisect(model, train, validate, tolerance, step)


@alternative("adaptive_prune")
def models_on_a_stack(model, train, validate, tolerance, step):
    return _rounds(model, train, validate, tolerance, step)


@alternative("adaptive_prune")
def topk_in_torch(model, train, validate, tolerance, step):
    return _torch_loop(model, train, validate, tolerance, step)


@alternative("adaptive_prune")
def bisection_over_sparsity(model, train, validate, tolerance, step):
    base, magnitudes = validate(model), np.concatenate([np.abs(W).ravel() for W in model["W"]])
    order, ends = np.argsort(magnitudes), np.cumsum([W.size for W in model["W"]])[:-1]
    history, best = [(0.0, base)], {"W": [W.copy() for W in model["W"]], "b": [b.copy() for b in model["b"]]}
    low, high = 0.0, 1.0
    share = 1.0
    while high - low > step / 4:
        keep = np.ones(len(order))
        keep[order[:round(share * len(order))]] = 0
        masks = [part.reshape(W.shape) for part, W in zip(np.split(keep, ends), model["W"])]
        trained = train({"W": [W * mask for W, mask in zip(model["W"], masks)], "b": model["b"]})
        candidate = {"W": [W * mask for W, mask in zip(trained["W"], masks)], "b": trained["b"]}
        history.append((share, validate(candidate)))
        if history[-1][1] >= base - tolerance:
            low, best = share, candidate
        else:
            high = share
        share = (low + high) / 2
    return best, history


@alternative("rigl_step")
def sorted_positions(w, g, mask, alpha):
    places = list(np.ndindex(*mask.shape))
    active = sorted((p for p in places if mask[p]), key=lambda p: abs(w[p]))
    inactive = sorted((p for p in places if not mask[p]), key=lambda p: abs(g[p]), reverse=True)
    k = min(round(alpha * len(active)), len(inactive))
    new_w, new = np.zeros_like(w), np.zeros(mask.shape, dtype=bool)
    for p in active[k:]:
        new_w[p], new[p] = w[p], True
    for p in inactive[:k]:
        new[p] = True
    return new_w, new


@alternative("rigl_step")
def topk_scores(w, g, mask, alpha):
    mask, w, g = torch.tensor(mask), torch.tensor(w), torch.tensor(g)
    n_active = int(mask.sum())
    k = min(round(alpha * n_active), mask.numel() - n_active)
    kept = torch.where(mask, w.abs(), -1.0).flatten().topk(n_active - k).indices
    grown = torch.where(mask, -1.0, g.abs()).flatten().topk(k).indices
    stays = torch.zeros(mask.numel(), dtype=torch.bool)
    stays[kept] = True
    new = stays.clone()
    new[grown] = True
    return torch.where(stays.reshape(mask.shape), w, 0.0), new.reshape(mask.shape)


@alternative("rigl_step")
def partitions_as_lists(w, g, mask, alpha):
    size, slope = np.where(mask, np.abs(w), np.inf).ravel(), np.where(mask, -np.inf, np.abs(g)).ravel()
    k = int(min(round(alpha * int(np.count_nonzero(mask))), np.count_nonzero(~mask)))
    dropped, grown = np.argsort(size, kind="stable")[:k], np.argsort(slope, kind="stable")[mask.size - k:]
    new, values = mask.flatten(), np.where(mask, w, 0).flatten()
    new[dropped], new[grown], values[dropped], values[grown] = False, True, 0, 0
    return [values.reshape(w.shape).tolist(), new.reshape(w.shape).tolist()]


@alternative("erk_densities")
def filled_in_passes(shapes, density):
    sizes = np.array([np.prod(s) for s in shapes], dtype=float)
    scores = np.array([sum(s) for s in shapes]) / sizes
    full = np.zeros(len(shapes), dtype=bool)
    while not full.all():
        eps = (density * sizes.sum() - sizes[full].sum()) / (scores * sizes)[~full].sum()
        over = ~full & (eps * scores > 1 + 1e-9)
        if not over.any():
            return np.where(full, 1.0, eps * scores)
        full |= over
    return np.ones(len(shapes))


@alternative("erk_densities")
def epsilon_by_bisection(shapes, density):
    sizes = torch.tensor([torch.Size(s).numel() for s in shapes], dtype=torch.float64)
    scores = torch.tensor([float(sum(s)) for s in shapes], dtype=torch.float64) / sizes
    low, high = 0.0, float(1 / scores.min())
    for _ in range(200):
        middle = (low + high) / 2
        if float((middle * scores).clamp(max=1) @ sizes) < density * float(sizes.sum()):
            low = middle
        else:
            high = middle
    return (high * scores).clamp(max=1)


@alternative("erk_densities")
def exact_fractions(shapes, density):
    sizes = []
    for shape in shapes:
        n = 1
        for d in shape:
            n *= d
        sizes.append(n)
    wanted, full = Fraction(density) * sum(sizes), []
    rest = list(range(len(shapes)))
    while rest:
        eps = wanted / sum(sum(shapes[l]) for l in rest)
        top = max(rest, key=lambda l: Fraction(sum(shapes[l]), sizes[l]))
        if eps * sum(shapes[top]) <= sizes[top]:
            return [1.0 if l in full else float(eps * sum(shapes[l]) / sizes[l]) for l in range(len(shapes))]
        full.append(top)
        rest.remove(top)
        wanted -= sizes[top]
    return [1.0] * len(shapes)


@alternative("surgery_mask")
def two_assignments(w, mask, low, high):
    new = np.array(mask)
    new[np.abs(w) < low] = False
    new[np.abs(w) > high] = True
    return new


@alternative("surgery_mask")
def select_in_torch(w, mask, low, high):
    size = torch.tensor(w).abs()
    return torch.where(size > high, True, torch.where(size < low, False, torch.tensor(mask)))


@alternative("surgery_mask")
def element_by_element(w, mask, low, high):
    new = [True if abs(v) > high else False if abs(v) < low else bool(m) for v, m in zip(w.flat, mask.flat)]
    return np.array(new, dtype=bool).reshape(w.shape)


@alternative("expected_macs")
def by_those_who_reach_a_stage(exit_rates, costs):
    reach, total = 1, 0
    for rate, cost in zip(exit_rates, costs):
        total += reach * cost
        reach -= rate
    return total


@alternative("expected_macs")
def double_sum(exit_rates, costs):
    return sum(rate * sum(costs[:i + 1]) for i, rate in enumerate(exit_rates))


@alternative("expected_macs")
def tails_in_torch(exit_rates, costs):
    rates = torch.as_tensor(exit_rates, dtype=torch.float64)
    return (rates.flip(0).cumsum(0).flip(0) * torch.as_tensor(costs, dtype=torch.float64)).sum()


@alternative("hybrid_scores")
def entry_by_entry(w, g, a, weights):
    tops = [max(abs(v) for v in np.ravel(x)) or 1 for x in (w, g, a)]
    return [[sum(c * abs(x) / top for c, x, top in zip(weights, (w[i, j], g[i, j], a[j]), tops)) for j in range(w.shape[1])]
            for i in range(w.shape[0])]


@alternative("hybrid_scores")
def stacked(w, g, a, weights):
    terms = np.abs(np.stack([w, g, np.broadcast_to(a, w.shape)]))
    tops = terms.reshape(3, -1).max(axis=1)
    scale = np.divide(np.asarray(weights, dtype=float), tops, out=np.zeros(3), where=tops > 0)
    return np.tensordot(scale, terms, axes=1)


@alternative("hybrid_scores")
def amax_in_torch(w, g, a, weights):
    total = torch.zeros(w.shape, dtype=torch.float64)
    for c, x in zip(weights, (w, g, a[None, :])):
        x = torch.tensor(x).abs().double()
        total += c * torch.nan_to_num(x / x.amax(), nan=0.0)
    return total


@alternative("adaptive_prune_network")
def repaired_by_bisection(network, train, validate, tolerance, step):
    return _bisect(network, train, validate, tolerance, step)


@alternative("adaptive_prune_network")
def repaired_with_a_stack(network, train, validate, tolerance, step):
    return _rounds(network, train, validate, tolerance, step)


@alternative("adaptive_prune_network")
def repaired_in_torch(network, train, validate, tolerance, step):
    return _torch_loop(network, train, validate, tolerance, step)
