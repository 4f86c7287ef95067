"""Other right answers to the exercises of 12: all of them must earn full marks."""
import copy
import math
import random
import statistics
from collections import Counter

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from scipy import stats
from sklearn.metrics import f1_score

from autograder.mistakes import alternative


@alternative("gpu_time")
def events(fn, device, warmup, iterations):
    for _ in range(warmup):
        fn()
    device.synchronize()
    start, end = device.event(), device.event()
    start.record()
    for _ in range(iterations):
        fn()
    end.record()
    device.synchronize()
    return start.elapsed_time(end) / 1e3 / iterations


@alternative("gpu_time")
def events_behind_the_warm_up(fn, device, warmup, iterations):
    """Events queue: they need no wait before the start."""
    [fn() for _ in range(warmup)]
    marks = [device.event() for _ in range(iterations + 1)]
    marks[0].record()
    for mark in marks[1:]:
        fn()
        mark.record()
    device.synchronize()
    return np.mean([a.elapsed_time(b) for a, b in zip(marks, marks[1:])]) * 1e-3


@alternative("gpu_time")
def clock_in_a_closure(fn, device, warmup, iterations):
    def now():
        device.synchronize()
        return device.clock()

    n = 0
    while n < warmup:
        fn()
        n += 1
    began = now()
    for _ in range(iterations):
        fn()
    return torch.tensor((now() - began) / iterations, dtype=torch.float64)


@alternative("summarize")
def loops_of_the_standard_library(times):
    values = sorted(float(t) for t in times)

    def percentile(q, of=values):
        place = q / 100 * (len(of) - 1)
        below = min(int(place), len(of) - 2)
        return of[below] + (place - below) * (of[below + 1] - of[below])

    medians = sorted(statistics.median(random.choices(values, k=len(values))) for _ in range(1000))
    return {"median": statistics.median(values), "p50": percentile(50), "p95": percentile(95), "p99": percentile(99), "iqr": percentile(75) - percentile(25),
            "std": statistics.stdev(values), "low": percentile(2.5, medians), "high": percentile(97.5, medians)}


@alternative("summarize")
def through_scipy(times):
    interval = stats.bootstrap((np.asarray(times, dtype=float),), np.median, n_resamples=3000, method="percentile", random_state=5).confidence_interval
    return {"median": np.median(times), "p50": np.quantile(times, 0.5), "p95": np.quantile(times, 0.95), "p99": np.quantile(times, 0.99), "iqr": stats.iqr(times),
            "std": np.sqrt(np.var(times, ddof=1)), "low": interval.low, "high": interval.high, "n": len(times)}


@alternative("summarize")
def through_torch(times):
    t = torch.from_numpy(times.astype(np.float64))
    medians = torch.quantile(t[torch.randint(len(t), (1000, len(t)))], 0.5, dim=1)
    p25, p50, p75, p95, p99 = torch.quantile(t, torch.tensor([0.25, 0.5, 0.75, 0.95, 0.99], dtype=torch.float64))
    low, high = torch.quantile(medians, torch.tensor([0.025, 0.975], dtype=torch.float64))
    return {"median": p50, "p50": p50, "p95": p95, "p99": p99, "iqr": p75 - p25, "std": t.std(), "low": low, "high": high}


@alternative("speedup")
def indices_of_pairs(a, b):
    rng = np.random.RandomState(11)
    drawn = []
    for _ in range(800):
        chosen = rng.randint(0, len(a), len(a))
        drawn.append(np.median(a[chosen] / b[chosen]))
    return [float(np.median(np.divide(a, b))), *np.quantile(drawn, [0.025, 0.975]).tolist()]


@alternative("speedup")
def scipy_bootstrap(a, b):
    result = stats.bootstrap((a, b), lambda u, v, axis=-1: np.median(u / v, axis=axis), paired=True, vectorized=True, n_resamples=2000, method="percentile")
    return np.array([np.median(a / b), *result.confidence_interval])


@alternative("roofline_time")
def by_intensity(macs, bytes, peak, bandwidth):
    flops = 2 * macs
    if flops * bandwidth > peak * bytes:
        return [flops / peak, "compute"]
    return [bytes / bandwidth, "memory"]


@alternative("roofline_time")
def maximum_of_pairs(macs, bytes, peak, bandwidth):
    return max((bytes / bandwidth, "memory"), (macs / (peak / 2), "compute"), key=lambda pair: pair[0])


@alternative("energy")
def sums_of_operations(macs, dram_bytes, sram_bytes, bits):
    multiply = {8: 0.2, 16: 1.1, 32: 3.7}
    add = {8: 0.03, 16: 0.4, 32: 0.9}
    return macs * (multiply[bits] + add[bits]) + np.dot([dram_bytes, sram_bytes], [1280 / 8, 10 / 8])


@alternative("energy")
def branches(macs, dram_bytes, sram_bytes, bits):
    if bits == 8:
        arithmetic = 0.23 * macs
    elif bits == 16:
        arithmetic = 1.5 * macs
    else:
        arithmetic = 4.6 * macs
    return torch.tensor(arithmetic + 160.0 * dram_bytes + 1.25 * sram_bytes, dtype=torch.float64)


@alternative("robustness")
def lists_and_counts(models, data, corruptions):
    x, y = data
    truth, report = [int(c) for c in y], {}
    seen = {name: corrupt(x) for name, corrupt in corruptions.items()}
    for model in models:
        report[model] = {}
        for name, shown in seen.items():
            told = [int(c) for c in models[model](shown)]
            dense = [int(c) for c in models["dense"](shown)]
            right, before, count = Counter(), Counter(), Counter(truth)
            for a, b, c in zip(told, dense, truth):
                right[c] += a == c
                before[c] += b == c
            report[model][name] = {"drop": [(before[c] - right[c]) / count[c] for c in sorted(count)], "accuracy": sum(right.values()) / len(truth),
                                   "flip_rate": sum(a != b for a, b in zip(told, dense)) / len(truth)}
    return report


@alternative("robustness")
def one_hot(models, data, corruptions):
    x, y = data
    classes = sorted(set(np.asarray(y).tolist()))
    members = torch.tensor([[float(v == c) for v in y] for c in classes], dtype=torch.float64)
    members = members / members.sum(1, keepdim=True)
    report = {name: {} for name in models}
    for key in corruptions:
        shown = np.asarray(corruptions[key](x))
        told = {name: torch.as_tensor(np.array(models[name](shown))) for name in models}
        hits = {name: (t == torch.as_tensor(np.array(y))).double() for name, t in told.items()}
        for name in models:
            report[name][key] = {"accuracy": hits[name].mean(), "flip_rate": 1 - (told[name] == told["dense"]).double().mean(),
                                 "drop": members @ (hits["dense"] - hits[name])}
    return report


@alternative("expected_calibration_error")
def digitized(p, y, bins):
    confidence = p.astype(np.float64).max(axis=1)
    number = np.digitize(confidence, [m / bins for m in range(1, bins)], right=True)
    gap = (p.argmax(axis=1) == y) - confidence
    return float(np.abs(np.bincount(number, weights=gap, minlength=bins)).sum() / len(p))


@alternative("expected_calibration_error")
def loops(p, y, bins):
    held = [[] for _ in range(bins)]
    for row, label in zip(p.tolist(), y.tolist()):
        sure = max(row)
        held[min(bins, max(1, math.ceil(sure * bins))) - 1].append((row.index(sure) == label, sure))
    total = 0
    for rows in held:
        if rows:
            acc, conf = sum(r for r, _ in rows) / len(rows), sum(c for _, c in rows) / len(rows)
            total += len(rows) / len(p) * abs(acc - conf)
    return total


@alternative("mcnemar")
def binomtest(a, b, y):
    right_a, right_b = np.asarray(a) == y, np.asarray(b) == y
    n = int((right_a ^ right_b).sum())
    return stats.binomtest(int((right_a & ~right_b).sum()), n, 0.5).pvalue if n else 1.0


@alternative("mcnemar")
def cumulative(a, b, y):
    counts = Counter((bool(u == t), bool(v == t)) for u, v, t in zip(a, b, y))
    only_a, only_b = counts[True, False], counts[False, True]
    return np.minimum(2 * stats.binom.cdf(min(only_a, only_b), only_a + only_b, 0.5), 1)


@alternative("mcnemar")
def by_logarithms(a, b, y):
    n_a, n_b = int(np.sum((a == y) > (b == y))), int(np.sum((a == y) < (b == y)))
    m = n_a + n_b
    logs = [math.lgamma(m + 1) - math.lgamma(k + 1) - math.lgamma(m - k + 1) - m * math.log(2) for k in range(min(n_a, n_b) + 1)]
    return torch.tensor(min(1.0, 2 * math.fsum(map(math.exp, logs))), dtype=torch.float64)


@alternative("report_card")
def flop_counter_and_events(model, baseline, data, device):
    x, y = data
    one = x[0:1]
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            model(one)
        for _ in range(25):
            model(one)
        times = []
        for _ in range(100):
            start, end = device.event(), device.event()
            device.synchronize()
            start.record()
            model(one)
            end.record()
            device.synchronize()
            times.append(start.elapsed_time(end) / 1000)
        noise = noisy(x)
        clean, shown, old = model(x).argmax(-1).numpy(), model(noise).argmax(-1).numpy(), baseline(noise).argmax(-1).numpy()
    bits = [sum(8 * t.nbytes for t in network.state_dict().values()) for network in (baseline, model)]
    width = 8 * next(iter(model.parameters())).element_size()
    interval = stats.bootstrap((times,), np.median, method="percentile", n_resamples=1000).confidence_interval
    macs = counter.get_total_flops() // 2
    return {"accuracy": np.mean(clean == y.numpy()), "f1_macro": f1_score(y.numpy(), clean, average="macro", zero_division=0), "ratio": bits[0] / bits[1], "macs": macs,
            "latency": [np.median(times), interval.low, interval.high], "energy": (1.5 if width == 16 else 4.6) * macs + 20 * bits[1],
            "robustness": {"accuracy": np.mean(shown == y.numpy()), "flip_rate": np.mean(shown != old)}}


@alternative("report_card")
def by_hand(model, baseline, data, device):
    (x, y), macs, handles = data, 0, []

    def count(layer, inputs, output):
        nonlocal macs
        if isinstance(layer, nn.Linear):
            macs += output[0].numel() * layer.in_features
        else:
            macs += output[0].numel() * layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]

    def predict(network, inputs):
        with torch.no_grad():
            return network(inputs).max(dim=1).indices.tolist()

    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            handles.append(layer.register_forward_hook(count))
    predict(model, x[:1])
    for handle in handles:
        handle.remove()
    for _ in range(20):
        predict(model, x[:1])
    times = []
    for _ in range(50):
        device.synchronize()
        began = device.clock()
        with torch.no_grad():
            model(x[:1])
        device.synchronize()
        times.append(device.clock() - began)
    truth, told, noise = y.tolist(), predict(model, x), noisy(x)
    shown, old = predict(model, noise), predict(baseline, noise)
    f1 = []
    for c in set(truth) | set(told):
        hit = sum(a == b == c for a, b in zip(truth, told))
        f1.append(2 * hit / (truth.count(c) + told.count(c)))
    size = {name: sum(t.numel() * t.element_size() for t in network.state_dict().values()) for name, network in (("old", baseline), ("new", model))}
    medians = [statistics.median(random.choices(times, k=50)) for _ in range(1000)]
    low, high = np.percentile(medians, [2.5, 97.5])
    n = len(truth)
    return {"accuracy": sum(map(int.__eq__, truth, told)) / n, "f1_macro": sum(f1) / len(f1), "ratio": size["old"] / size["new"], "macs": macs,
            "latency": (statistics.median(times), low, high), "energy": macs * (4.6 if next(model.parameters()).dtype == torch.float32 else 1.5) + 160 * size["new"],
            "robustness": {"accuracy": sum(a == b for a, b in zip(truth, shown)) / n, "flip_rate": sum(a != b for a, b in zip(shown, old)) / n}}
