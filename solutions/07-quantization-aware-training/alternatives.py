"""Other right answers to the exercises of 07: all of them must earn full marks."""
import copy
import itertools

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from torch.ao.quantization import MovingAverageMinMaxObserver
from torch.nn.utils import parametrize

from autograder.mistakes import alternative


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        return v.round()

    @staticmethod
    def backward(ctx, g):
        return g


@alternative("ste_round")
def own_function(x):
    return _Straight.apply(x)


@alternative("ste_round")
def detached_twice(x):
    return torch.round(x).detach() + x - x.detach()


@alternative("ste_round")
def through_numpy(x):
    return x + torch.as_tensor(np.rint(x.detach().numpy()) - x.detach().numpy())


@alternative("fake_quantize")
def torch_fake_quantize(x, s, z, bits):
    return torch.fake_quantize_per_tensor_affine(x, float(s), int(z), -2 ** (bits - 1), 2 ** (bits - 1) - 1)


@alternative("fake_quantize")
def torch_fake_quantize_as_given(x, s, z, bits):
    return torch.fake_quantize_per_tensor_affine(x, s, z, -2 ** (bits - 1), 2 ** (bits - 1) - 1)


@alternative("fake_quantize")
def mask_and_identity(x, s, z, bits):
    s = s.detach() if torch.is_tensor(s) else s
    low, high = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    codes = torch.round(x.detach() / s) + z
    on_the_grid = (codes >= low) & (codes <= high)
    value = (torch.clamp(codes, low, high) - z) * s
    return value + torch.where(on_the_grid, x - x.detach(), 0.0)


class _Fake(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, s, z, low, high):
        codes = torch.round(x / s) + z
        ctx.save_for_backward(torch.logical_and(codes >= low, codes <= high))
        return (codes.clamp(low, high) - z) * s

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None, None, None, None


@alternative("fake_quantize")
def function_with_a_mask(x, s, z, bits):
    half = 1 << (bits - 1)
    return _Fake.apply(x, s, z, -half, half - 1)


@alternative("fake_quantize")
def constant_beyond_the_ends(x, s, z, bits):
    codes = torch.round(x.detach() / float(s)) + z
    held = codes.clamp(-2 ** (bits - 1), 2 ** (bits - 1) - 1)
    passed = torch.where(codes == held, x, x.detach())
    return (held - z) * float(s) + passed - passed.detach()


@alternative("fake_quantize")
def clipped_in_real_values(x, s, z, bits):
    s = float(s)
    low, high = (-2 ** (bits - 1) - z) * s, (2 ** (bits - 1) - 1 - z) * s
    inside = torch.clamp(x, low, high)
    return inside + (torch.round(inside / s) * s - inside).detach()


class _Lsq(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, s, q_n, q_p):
        v = x / s
        ctx.save_for_backward(v, s)
        ctx.ends = q_n, q_p
        return torch.round(torch.clamp(v, -q_n, q_p)) * s

    @staticmethod
    def backward(ctx, g):
        (v, s), (q_n, q_p) = ctx.saved_tensors, ctx.ends
        below, above = v <= -q_n, v >= q_p
        inside = ~(below | above)
        terms = torch.where(below, -float(q_n), torch.where(above, float(q_p), torch.round(v) - v))
        return g * inside, (g * terms).sum().reshape(s.shape) / (v.numel() * q_p) ** 0.5, None, None


@alternative("lsq")
def three_cases(x, s, bits):
    return _Lsq.apply(x, s, 2 ** (bits - 1), 2 ** (bits - 1) - 1)


@alternative("lsq")
def scaled_by_a_hook(x, s, bits):
    q_n, q_p = 2 ** (bits - 1), 2 ** (bits - 1) - 1
    step = s * 1.0
    if step.requires_grad:
        step.register_hook(lambda g: g / np.sqrt(x.numel() * q_p))
    v = torch.clamp(x / step, -q_n, q_p)
    return _Straight.apply(v) * step


@alternative("lsq")
def piece_by_piece(x, s, bits):
    q_n, q_p = 2 ** (bits - 1), 2 ** (bits - 1) - 1
    grad_scale = (x.numel() * q_p) ** -0.5
    held = s.detach()
    v = x.detach() / held
    slope = torch.where(v <= -q_n, torch.full_like(v, -q_n), torch.where(v >= q_p, torch.full_like(v, q_p), v.round() - v))
    inside = ((v > -q_n) & (v < q_p)).to(x.dtype)
    value = v.clamp(-q_n, q_p).round() * held
    return value + inside * (x - x.detach()) + grad_scale * slope * (s - held)


@alternative("pact")
def paper_equation_1(x, alpha, bits):
    y = 0.5 * (x.abs() - (x - alpha).abs() + alpha)
    levels = 2 ** bits - 1
    rounded = torch.round(y.detach() * levels / alpha.detach()) * alpha.detach() / levels
    return rounded + y - y.detach()


class _Pact(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha, bits):
        ctx.save_for_backward(x, alpha)
        n = 2 ** bits - 1
        return torch.round(x.clamp(0, alpha.item()) * n / alpha) * alpha / n

    @staticmethod
    def backward(ctx, g):
        x, alpha = ctx.saved_tensors
        return g * ((x > 0) & (x < alpha)), (g * (x >= alpha)).sum(), None


@alternative("pact")
def function_of_two(x, alpha, bits):
    return _Pact.apply(x, alpha, bits)


@alternative("pact")
def where_by_where(x, alpha, bits):
    n = 2 ** bits - 1
    step = (alpha / n).detach()
    inner = x + (torch.round(x / step) * step - x).detach()
    return torch.where(x > alpha, alpha.expand_as(x), torch.where(x > 0, inner, torch.zeros_like(x)))


@alternative("pact")
def clamped_by_tensors(x, alpha, bits):
    y = torch.clamp(x, torch.zeros_like(alpha), alpha)
    with torch.no_grad():
        scale = (2 ** bits - 1) / alpha
        correction = torch.round(y * scale) / scale - y
    return y + correction


@alternative("EmaObserver")
class torch_observer:
    def __init__(self, momentum=0.9):
        self.inner, self.on = MovingAverageMinMaxObserver(averaging_constant=1 - momentum), True

    def observe(self, x):
        if self.on:
            self.inner(x.reshape(-1))

    def freeze(self):
        self.on = False

    @property
    def lo(self):
        return self.inner.min_val

    @property
    def hi(self):
        return self.inner.max_val


@alternative("EmaObserver")
class history_of_extremes:
    def __init__(self, momentum=0.9):
        self.seen, self.momentum, self.open = [], momentum, True

    def observe(self, x):
        if self.open:
            values = x.detach().numpy().astype(np.float64)
            self.seen = self.seen + [(values.min(), values.max())]

    def freeze(self):
        self.open = False

    def _average(self, which):
        m, n = self.momentum, len(self.seen)
        return m ** (n - 1) * self.seen[0][which] + sum((1 - m) * m ** (n - 1 - k) * self.seen[k][which] for k in range(1, n))

    lo = property(lambda self: self._average(0))
    hi = property(lambda self: self._average(1))


@alternative("EmaObserver")
class module_with_buffers(nn.Module):
    def __init__(self, momentum=0.9):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("lo", torch.tensor(float("nan")))
        self.register_buffer("hi", torch.tensor(float("nan")))
        self.observe = self._watch

    @torch.no_grad()
    def _watch(self, x):
        lo, hi = torch.aminmax(x)
        self.lo = lo.clone() if self.lo.isnan() else torch.lerp(lo, self.lo, self.momentum)
        self.hi = hi.clone() if self.hi.isnan() else torch.lerp(hi, self.hi, self.momentum)

    def freeze(self):
        self.observe = lambda x: None


class _Quantizer(nn.Module):
    def __init__(self, w, bits):
        super().__init__()
        self.q_n, self.q_p = 2 ** (bits - 1), 2 ** (bits - 1) - 1
        self.s = nn.Parameter(2 * w.detach().abs().mean(1, keepdim=True) / self.q_p ** 0.5)

    def forward(self, w):
        g = (w.numel() * self.q_p) ** -0.5
        s = g * self.s + (self.s - g * self.s).detach()
        return _Straight.apply((w / s).clamp(-self.q_n, self.q_p)) * s


@alternative("train_qat")
def learned_step_sizes(model, data, bits, epochs):
    model, (x, y) = copy.deepcopy(model), data[:2]
    for layer in (model[0], model[2]):
        parametrize.register_parametrization(layer, "weight", _Quantizer(layer.weight, bits))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    steps = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, epochs * -(-len(x) // 32))
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(32):
            loss = F.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps.step()
    for layer in (model[0], model[2]):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return model


@alternative("train_qat")
def ternary_or_finer_with_sgd(model, data, bits, epochs):
    x, y = data[:2]
    parts = [model[0].weight, model[2].weight]

    def levels(w):
        size = w.detach().abs()
        if bits > 2:
            s = size.amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
            return torch.round(w.detach() / s) * s
        kept = size > 0.7 * size.mean(dim=1, keepdim=True)
        return (size * kept).sum(1, keepdim=True) / kept.sum(1, keepdim=True).clamp(min=1) * w.detach().sign() * kept

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    total = epochs * -(-len(x) // 32)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: max(0.02, 1 - k / total))
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(32):
            latent = [w.detach().clone() for w in parts]
            with torch.no_grad():
                for w in parts:
                    w.copy_(levels(w))
            optimizer.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            with torch.no_grad():
                for w, kept in zip(parts, latent):
                    w.copy_(kept)
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        for w in parts:
            w.copy_(levels(w))
    return model


@alternative("train_qat")
def by_hand_in_numpy_steps(model, data, bits, epochs):
    x, y = data[0], data[1]
    half = 2 ** (bits - 1)

    def grid(w):
        s = w.abs().amax(dim=1, keepdim=True) / half
        return (((w / s - 0.5).round().clamp(-half, half - 1)) + 0.5) * s

    latent = {name: p.detach().clone() for name, p in model.named_parameters()}
    m, v, t = {n: torch.zeros_like(p) for n, p in latent.items()}, {n: torch.zeros_like(p) for n, p in latent.items()}, 0
    for epoch in range(epochs):
        for batch in torch.randperm(len(x)).split(32):
            t += 1
            used = {n: (grid(p) if p.dim() == 2 else p).requires_grad_() for n, p in ((n, p.clone()) for n, p in latent.items())}
            loss = F.cross_entropy(torch.func.functional_call(model, used, (x[batch],)), y[batch])
            for (n, p), g in zip(latent.items(), torch.autograd.grad(loss, list(used.values()))):
                m[n] = 0.9 * m[n] + 0.1 * g
                v[n] = 0.999 * v[n] + 0.001 * g * g
                p -= 0.004 * (1 - 0.9 * epoch / epochs) * (m[n] / (1 - 0.9 ** t)) / ((v[n] / (1 - 0.999 ** t)).sqrt() + 1e-8)
    model.load_state_dict({n: grid(p) if p.dim() == 2 else p for n, p in latent.items()})
    return model


@alternative("assign_bits")
def dynamic_programming(sensitivity, sizes, budget):
    best = {0: (0.0, {})}
    for layer, row in sensitivity.items():
        reached = {}
        for used, (loss, chosen) in best.items():
            for bits, more in row.items():
                total = used + sizes[layer] * bits
                if total <= budget and (total not in reached or loss + more < reached[total][0]):
                    reached[total] = loss + more, {**chosen, layer: bits}
        best = reached
    if not best:
        raise ValueError("nothing fits")
    return min(best.values(), key=lambda found: found[0])[1]


@alternative("assign_bits")
def recursive_enumeration(sensitivity, sizes, budget):
    layers = sorted(sensitivity, key=lambda layer: -sizes[layer])

    def search(place, left):
        if place == len(layers):
            return 0.0, {}
        found = None
        for bits, loss in sensitivity[layers[place]].items():
            rest = search(place + 1, left - bits * sizes[layers[place]]) if bits * sizes[layers[place]] <= left else None
            if rest and (found is None or loss + rest[0] < found[0]):
                found = loss + rest[0], {layers[place]: bits, **rest[1]}
        return found

    result = search(0, budget)
    if result is None:
        raise ValueError(f"{budget} bits are too few")
    return result[1]


@alternative("assign_bits")
def arrays_of_all(sensitivity, sizes, budget):
    layers = list(sensitivity)
    widths = np.array(list(itertools.product(*(sorted(sensitivity[layer]) for layer in layers))))
    cost = widths @ np.array([sizes[layer] for layer in layers])
    loss = np.array([sum(sensitivity[layer][int(b)] for layer, b in zip(layers, row)) for row in widths])
    if not (cost <= budget).any():
        raise ValueError("the budget is too small")
    row = widths[np.where(cost <= budget, loss, np.inf).argmin()]
    return {layer: np.int64(b) for layer, b in zip(layers, row)}


@alternative("assign_bits")
def within_one_percent(sensitivity, sizes, budget):
    every = [dict(zip(sensitivity, bits)) for bits in itertools.product(*sensitivity.values())]
    fitting = [(sum(sensitivity[n][b] for n, b in one.items()), sum(sizes[n] * b for n, b in one.items()), one) for one in every
               if sum(sizes[n] * b for n, b in one.items()) <= budget]
    if not fitting:
        raise ValueError
    least = min(loss for loss, _, _ in fitting)
    return min((found for found in fitting if found[0] <= 1.01 * least), key=lambda found: found[1])[2]
