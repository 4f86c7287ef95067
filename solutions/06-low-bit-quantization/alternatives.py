"""Other right answers to the exercises of 06: all of them must earn full marks."""
import itertools

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from sklearn.cluster import KMeans

from autograder.mistakes import alternative


@alternative("binarize")
def in_numpy(w):
    a = w.numpy()
    return np.abs(a).mean(axis=tuple(range(1, a.ndim))), np.sign(a).astype(np.int8) + (a == 0)


@alternative("binarize")
def norms_as_lists(w):
    rows = w.reshape(w.shape[0], -1)
    alpha = torch.linalg.vector_norm(rows, ord=1, dim=1) / rows.shape[1]
    return alpha.tolist(), (1 - 2 * (w < 0).to(torch.int8)).tolist()


@alternative("binarize")
def least_squares_in_float64(w):
    signs = torch.ones_like(w, dtype=torch.float64)
    signs[w < 0] = -1
    return [(one.double() * sign).sum() / sign.numel() for one, sign in zip(w, signs)], signs


@alternative("ternarize")
def exact_search(w):
    size = w.abs().flatten().double().sort(descending=True).values
    gained = size.cumsum(0)**2 / torch.arange(1, len(size) + 1)
    best = int(gained.argmax())
    alpha = size[:best + 1].mean()
    return float(alpha), torch.sign(w).long() * (w.abs().double() >= size[best])


@alternative("ternarize")
def twn_in_numpy(w):
    a = w.numpy().astype(np.float64)
    kept = np.abs(a) > 0.7 * np.abs(a).mean()
    return np.float64(np.abs(a[kept]).mean()) if kept.any() else 0, (np.sign(a) * kept).astype(np.int8)


@alternative("ternarize")
def loop_over_thresholds(w):
    best = float((w.double()**2).sum()), 0.0, torch.zeros_like(w)
    for threshold in w.abs().unique():
        kept = w.abs() >= threshold
        alpha = w.abs()[kept].double().mean()
        error = float(((w - alpha * torch.sign(w) * kept)**2).sum())
        if error < best[0]:
            best = error, alpha, torch.sign(w) * kept
    return best[1], best[2].tolist()


@alternative("ternarize")
def alternating(w):
    """Lloyd's algorithm on the three levels, started from TWN: the error only falls."""
    size, kept = w.abs().double(), w.abs() > 0.7 * w.abs().mean()
    for _ in range(50):
        alpha = size[kept].mean() if kept.any() else torch.zeros((), dtype=torch.float64)
        kept = (size > alpha / 2) & (alpha > 0)
    alpha = size[kept].mean() if kept.any() else torch.zeros(1)
    return alpha, kept.to(torch.int32) * w.sign().int()


@alternative("ttq_backward")
def masks(g, codes, w_p, w_n):
    a, b = (codes == 1).to(g.dtype), (codes == -1).to(g.dtype)
    return g * (w_p * a + w_n * b + (1 - a - b)), float((g * a).sum()), float(-(g * b).sum())


@alternative("ttq_backward")
def table_of_factors(g, codes, w_p, w_n):
    factors = torch.tensor([w_n, 1.0, w_p])
    sums = torch.zeros(3).index_add(0, (codes + 1).flatten(), g.flatten())
    return g * factors[codes + 1], sums[2], -sums[0]


@alternative("ttq_backward")
def levels_by_autograd(g, codes, w_p, w_n):
    p, n = torch.tensor(w_p, requires_grad=True), torch.tensor(w_n, requires_grad=True)
    (p * (codes == 1) - n * (codes == -1)).backward(g)
    grad = g.clone()
    grad[codes == 1] *= w_p
    grad[codes == -1] *= w_n
    return grad, p.grad, n.grad


@alternative("ttq_backward")
def in_numpy_with_select(g, codes, w_p, w_n):
    g, codes = g.numpy().astype(float), codes.numpy()
    return g * np.select([codes == 1, codes == -1], [w_p, w_n], 1), g.sum(where=codes == 1), 0 - g.sum(where=codes == -1)


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.floor(x + 0.5)

    @staticmethod
    def backward(ctx, g):
        return g


@alternative("dorefa_weights")
class ByAutogradFunction:
    def dorefa_weights(w, k):
        t, n = w.tanh(), 2**k - 1
        return _Round.apply(n * (t / t.abs().max().detach() / 2 + 0.5)) / n * 2 - 1

    def dorefa_activations(a, k):
        return _Round.apply((2**k - 1) * torch.clip(a, min=0.0, max=1.0)) / (2**k - 1)


class _Whole(torch.autograd.Function):
    """Value and gradient written out, nothing left to autograd."""
    @staticmethod
    def forward(ctx, w, k):
        t, n = torch.tanh(w), 2**k - 1
        ctx.save_for_backward((1 - t**2) / t.abs().max())
        return 2 * torch.round(n * (t / (2 * t.abs().max()) + 0.5)) / n - 1

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None


@alternative("dorefa_weights")
class Derived:
    def dorefa_weights(w, k):
        return _Whole.apply(w, k)

    def dorefa_activations(a, k):
        n = 2**k - 1
        inside = ((a > 0) & (a < 1)).to(a.dtype)
        return a * inside + (torch.round(a.clamp(0, 1) * n) / n - a * inside).detach()


@alternative("dorefa_weights")
class TorchFakeQuantize:
    def dorefa_weights(w, k):
        t, n = torch.tanh(w), 2**k - 1
        return 2 * torch.fake_quantize_per_tensor_affine(t / (2 * t.abs().max()) + 0.5, 1 / n, 0, 0, n) - 1

    def dorefa_activations(a, k):
        n = 2**k - 1
        return torch.fake_quantize_per_tensor_affine(torch.nn.functional.hardtanh(a, 0.0, 1.0), 1 / n, 0, 0, n)


@alternative("power_of_two")
def frexp(w, bits):
    """By the parts of the float: w = m · 2^e with ½ ≤ |m| < 1, and the logarithm is rounded up from √½ on."""
    m, e = np.frexp(np.abs(w.numpy().astype(float)))
    e = e - (m < np.sqrt(0.5))
    highest = e[w.numpy() != 0].max() if (w != 0).any() else 0
    kept = (w.numpy() != 0) & (e > highest - (2**(bits - 1) - 1))
    return np.sign(w.numpy()) * np.where(kept, np.exp2(e.astype(float)), 0)


@alternative("power_of_two")
def one_by_one(w, bits):
    logs = [None if v == 0 else round(float(np.log2(abs(v)))) for v in w.flatten().tolist()]
    highest = max((e for e in logs if e is not None), default=0)
    values = [0.0 if e is None or e < highest - 2**(bits - 1) + 2 else 2.0**e if v > 0 else -2.0**e for e, v in zip(logs, w.flatten().tolist())]
    return torch.tensor(values, dtype=torch.float64).reshape(w.shape)


@alternative("power_of_two")
def nearest_of_the_logarithms(w, bits):
    highest = torch.log2(w.abs().max().clamp(min=1e-30)).round().int().item()
    exponents = torch.arange(highest - 2**(bits - 1) + 1, highest + 1).double()          # one below the lowest stands for 0
    which = (torch.log2(w.abs().double())[..., None] - exponents).abs().argmin(-1)
    levels = torch.where(exponents > exponents[0], 2.0**exponents, 0.0)
    return torch.where(w == 0, 0.0, w.sign() * levels[which])


@alternative("inq_step")
def in_numpy_with_python_sort(w, frozen, fraction):
    if fraction < 0 or fraction > 1:
        raise ValueError("fraction")
    new, now = w.numpy().astype(np.float64).ravel(), frozen.numpy().copy().ravel()
    free = sorted(np.flatnonzero(~now), key=lambda i: -abs(new[i]))
    s = np.abs(new).max()
    for i in free[:round(fraction * len(free))]:
        if s > 0:
            n1 = int(np.floor(np.log2(4 * s / 3))) if i == free[0] else n1
            levels = [0.0] + [2.0**(n1 - j) for j in range(8)]
            new[i] = np.sign(new[i]) * min(levels, key=lambda level: abs(level - abs(new[i])))
        now[i] = True
        s = np.abs(w.numpy()).max()
    return new.reshape(w.shape), now.reshape(w.shape)


@alternative("inq_step")
def topk_and_rule_of_the_paper(w, frozen, fraction):
    """Equation 4 as it stands: β · sign(w), where (α + β)/2 ≤ |w| < 3β/2 for neighbours α < β."""
    if not (0 <= fraction <= 1):
        raise ValueError("fraction")
    size, now = w.abs(), frozen.clone()
    count = round(fraction * int((~frozen).sum()))
    now.view(-1)[size.masked_fill(frozen, -1).flatten().topk(count).indices] = True
    quantized = torch.zeros_like(w)
    if size.max() > 0:
        n1 = torch.floor(torch.log2(size.max() * 4 / 3))
        betas = 2.0**torch.arange(n1 - 7, n1 + 1)
        for alpha, beta in itertools.pairwise([torch.tensor(0.0), *betas]):
            quantized = torch.where(((alpha + beta) / 2 <= size) & (size < 1.5 * beta), beta * w.sign(), quantized)
    return torch.where(now & ~frozen, quantized, w), now


@alternative("gradual_schedule")
def last_width_gets_the_rest(start_bits, end_bits, epochs):
    return [max(start_bits - t, end_bits) for t in range(epochs)]


@alternative("gradual_schedule")
def first_width_gets_the_rest(start_bits, end_bits, epochs):
    below = tuple(range(start_bits - 1, end_bits - 1, -1))
    return (start_bits,) * (epochs - len(below)) + below


@alternative("gradual_schedule")
def rounded_line(start_bits, end_bits, epochs):
    return np.rint(np.linspace(start_bits, end_bits, epochs)).astype(int)


@alternative("gradual_schedule")
def split_in_parts(start_bits, end_bits, epochs):
    widths = torch.arange(start_bits, end_bits - 1, -1)
    return torch.cat([w.expand(len(part)) for w, part in zip(widths, np.array_split(np.arange(epochs), len(widths)))])


@alternative("kmeans_quantize")
def scikit_learn(w, k):
    a = w.numpy()
    values, labels = a[a != 0].reshape(-1, 1), np.full(a.shape, -1)
    codebook = np.zeros(k)
    if len(values):
        found = KMeans(min(k, len(np.unique(values))), n_init=10, random_state=0).fit(values)
        codebook[:len(found.cluster_centers_)] = found.cluster_centers_[:, 0]
        codebook[len(found.cluster_centers_):] = codebook[0]
        labels[a != 0] = found.labels_
    return codebook, labels


@alternative("kmeans_quantize")
def scikit_learn_from_a_line(w, k):
    values = w[w != 0].double().numpy()[:, None]
    labels = torch.full_like(w, -1, dtype=torch.int32)
    if len(values) < k:
        entries = np.resize(values[:, 0], k) if len(values) else np.ones(k)
        if len(values):
            labels[w != 0] = torch.arange(len(values), dtype=torch.int32)
        return entries, labels
    found = KMeans(k, init=np.linspace(values.min(), values.max(), k)[:, None], n_init=1, tol=0).fit(values)
    labels[w != 0] = torch.from_numpy(found.predict(values))
    return found.cluster_centers_, labels


@alternative("kmeans_quantize")
def scipy_kmeans2(w, k):
    values, labels = w[w != 0].double().numpy(), np.full(w.shape, -1)
    if values.size == 0:
        return [0.5] * k, labels
    codebook, _ = kmeans2(values, np.linspace(values.min(), values.max(), k), iter=200, minit="matrix", missing="warn")
    labels[w.numpy() != 0] = np.abs(np.subtract.outer(values, codebook)).argmin(axis=1)
    return codebook.tolist(), labels


@alternative("kmeans_quantize")
def optimal_by_dynamic_programming(w, k):
    """In one dimension clusters are intervals, so the best partition is found exactly."""
    values, labels = np.sort(w[w != 0].double().numpy()), np.full(w.shape, -1)
    if not len(values):
        return np.zeros(k), labels
    n, one, two = len(values), np.concatenate([[0], values.cumsum()]), np.concatenate([[0], np.square(values).cumsum()])
    i, j = np.arange(n)[:, None], np.arange(1, n + 1)[None]
    cost = np.where(j > i, two[j] - two[i] - np.square(one[j] - one[i]) / np.maximum(j - i, 1), np.inf)     # of the interval i … j − 1
    best, cuts = cost[0], []
    for _ in range(min(k, n) - 1):
        total = np.concatenate([[np.inf], best[:-1]])[:, None] + cost
        cuts.append(total.argmin(0))
        best = total.min(0)
    edges = [n]
    for cut in reversed(cuts):
        edges.append(int(cut[edges[-1] - 1]))
    codebook = np.array([values[a:b].mean() for a, b in itertools.pairwise([*edges[::-1][:0], 0, *edges[::-1]]) if b > a])
    codebook = np.concatenate([codebook, np.repeat(codebook[-1:], k - len(codebook))])
    labels[w.numpy() != 0] = np.abs(w[w != 0].double().numpy()[:, None] - codebook).argmin(1)
    return codebook, labels


@alternative("codebook_gradient")
def loop_over_entries(g, labels, k):
    return [g[labels == j].sum() for j in range(k)]


@alternative("codebook_gradient")
def bincount(g, labels, k):
    kept = labels.numpy() >= 0
    return np.bincount(labels.numpy()[kept], weights=g.numpy()[kept], minlength=k)


@alternative("codebook_gradient")
def by_autograd(g, labels, k):
    codebook = torch.zeros(k, requires_grad=True)
    (torch.nn.functional.pad(codebook, (0, 1))[labels] * g).sum().backward()           # −1 looks up the zero that was put behind
    return codebook.grad


@alternative("codebook_gradient")
def one_hot_product(g, labels, k):
    members = torch.nn.functional.one_hot(labels.flatten() + 1, k + 1)[:, 1:]
    return g.flatten().double() @ members.double()


@alternative("codebook_gradient")
def plain_loop(g, labels, k):
    grad = [0.0] * k
    for value, label in zip(g.flatten().tolist(), labels.flatten().tolist()):
        if label != -1:
            grad[label] += value
    return np.array(grad)
