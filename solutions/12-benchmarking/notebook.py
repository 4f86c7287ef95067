# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 12 · Benchmarking
#
# "Three times smaller, twice as fast, no loss." Every claim of this kind is a measurement, and most of those you will read were made badly:
# the clock was stopped before the device was done, one lucky run stands for many, zeros were counted as savings, accuracy was looked at on
# clean data only. This assignment builds the instruments, and then points them at four versions of one network.
#
# - **How long does it take?** Time on a device that works while you wait for nothing (1), a sample of times in honest numbers (2), two
#   versions compared pair by pair (3).
# - **How long, and how much energy, should it take?** A bound from arithmetic and memory traffic (4), a model of energy (5).
# - **How good is it still?** Under noise and shift, input by input (6); in its confidence (7); and is a difference in accuracy more than
#   luck (8)?
# - **The report card** that puts all of it on one page and is not fooled by zeros (9).
#
# **Conventions.** Times are in seconds. Arrays are numpy; in exercise 9 models and their inputs are torch. A function leaves its arguments
# as they were. Results may be numpy arrays, torch tensors, Python numbers or lists: values count.

# %%
import copy
import functools
import math

import numpy as np
import torch
from torch import nn
import matplotlib.pyplot as plt
from sklearn.metrics import f1_score
from autograder import callback, observe
from course import devices, models, plots
from course.datasets import digits
from course.train import fit

# %% [markdown]
# ## The laboratory
#
# `devices.at_hand()` is the CUDA device of your machine if it has one, else its processor. `devices.Simulated` is a device on which time
# passes only by what you do, so that the same program always takes the same time: the tests use it, and you may. `make_versions()` makes
# the four networks that this assignment is about, once: the course's `cnn` as it is (`dense`); the same without half of its filters,
# retrained (`smaller`); that one again in tensors of the old shapes, with zeros where the filters were (`zeroed`), so that it computes
# exactly what `smaller` computes; and `dense` stored and computed in 16-bit floats (`half`). `noisy` is the noise of exercise 9.

# %%
torch.set_num_threads(1)                             # one thread, or every other program on this machine is in your times


def without_filters(model, first, second):
    """The course's cnn with these filters of its two convolutions only."""
    small = nn.Sequential(nn.Conv2d(1, len(first), 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Conv2d(len(first), len(second), 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Flatten(), nn.Linear(4 * len(second), 10))
    with torch.no_grad():
        small[0].weight.copy_(model[0].weight[first])
        small[0].bias.copy_(model[0].bias[first])
        small[3].weight.copy_(model[3].weight[second][:, first])
        small[3].bias.copy_(model[3].bias[second])
        small[7].weight.view(10, -1, 4).copy_(model[7].weight.view(10, -1, 4)[:, second])
        small[7].bias.copy_(model[7].bias)
    return small


def with_zeros(small, first, second):
    """The course's cnn in its full shapes, with the small one's parameters in their places and zeros elsewhere."""
    full = models.cnn()
    with torch.no_grad():
        for p in full.parameters():
            p.zero_()
        full[0].weight[first], full[0].bias[first] = small[0].weight, small[0].bias
        full[3].weight[second[:, None], first], full[3].bias[second] = small[3].weight, small[3].bias
        full[7].weight.view(10, -1, 4)[:, second] = small[7].weight.view(10, -1, 4)
        full[7].bias.copy_(small[7].bias)
    return full


@functools.cache
def make_versions():
    """{'dense', 'zeroed', 'smaller', 'half': model}, in eval mode; the smaller one is trained for 15 epochs after it lost its filters."""
    dense = models.load("cnn")
    strongest = [layer.weight.abs().sum(dim=(1, 2, 3)).argsort(descending=True) for layer in (dense[0], dense[3])]
    first, second = (order[:len(order) // 2].sort().values for order in strongest)
    smaller = fit(without_filters(dense, first, second), digits(images=True), 15, rate=3e-3)
    half = nn.Sequential(models.Cast(torch.float16), *copy.deepcopy(dense).half(), models.Cast(torch.float32))
    return {name: model.eval() for name, model in
            {"dense": dense, "zeroed": with_zeros(smaller, first, second), "smaller": smaller, "half": half}.items()}


def noisy(x):
    """A torch batch with Gaussian noise of standard deviation 0.25: the same noise whenever the shape is the same."""
    return x + 0.25 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.device)

# %% [markdown]
# ## 1. Time on a device that does not wait
#
# A call that starts work on a GPU returns as soon as the work is *queued*. Stop a clock then, and you have timed the queueing. And the
# first calls are slow: kernels are compiled or chosen, memory is allocated, caches are cold.
#
# Write `gpu_time(fn, device, warmup, iterations) -> seconds`: how long one call `fn()` takes, in the mean. In this order:
#
# 1. call `fn()` `warmup` times, which is not timed; 2. synchronize; 3. start; 4. call `fn()` `iterations` times, one after the other,
#    without waiting in between; 5. synchronize; 6. stop.
#
# - `device.clock()` is the host's monotonic clock, in seconds, with an arbitrary zero. `device.time()` is the wall clock in seconds, which
#   somebody may set while you measure, and which may move in coarse steps. `device.synchronize()` returns when all work is done.
# - `device.event()` makes an event, a mark in the queue. `event.record()` puts it behind the work queued so far, and returns at once.
#   `start.elapsed_time(end)` gives the *milliseconds* between two marks, as the device passed them, and raises RuntimeError before it has
#   passed both.
# - Events or the monotonic clock: either will do. The result is a number of seconds for one call; the tests accept an error of 1 %.
# - `fn` takes nothing and is called `warmup + iterations` times in all. `warmup` ≥ 0 and `iterations` ≥ 1 are integers.
#
# Sources: the documentation of PyTorch, "CUDA semantics", section "Asynchronous execution", and of `torch.cuda.Event`, whose unit is
# milliseconds.
#
# *Worked example.* Each call works for 2 ms on the device and takes the host 0.01 ms to launch; `warmup = 1`, `iterations = 10`. Without
# any synchronization, the clock says 0.1 ms: 0.01 ms a call. With it 20.01 ms: 2.001 ms a call. Events say 20.01 too; read as seconds that
# is a thousand times too much. Without the first `synchronize()` the clock starts while the warm-up still runs: 22.0 ms.
#
# <details><summary>Hint 1</summary>When the loop over <code>fn()</code> has ended, what has the device done? Who waits for it?</details>
# <details><summary>Hint 2</summary>There are two places for <code>device.synchronize()</code>: before the clock is read for the first time,
# and before it is read for the second time.</details>
# <details><summary>Hint 3</summary>Warm up, synchronize, <code>start = device.clock()</code>, the loop, synchronize, and return
# <code>(device.clock() - start) / iterations</code>. With events, <code>record()</code> takes the place of the clock, and milliseconds want
# to be divided by 1000.</details>

# %% answer="gpu_time"
def gpu_time(fn, device, warmup, iterations):
    """Mean seconds of one call fn() on a device that works asynchronously."""
    ### BEGIN SOLUTION
    for _ in range(warmup):
        fn()
    device.synchronize()
    start = device.clock()
    for _ in range(iterations):
        fn()
    device.synchronize()
    return (device.clock() - start) / iterations
    ### END SOLUTION

# %% test="gpu_time" points=6
_device = devices.Simulated(cold=[0.5], warm=[0.002], launch=1e-5)           # the first run takes half a second, all others 2 ms
_seconds = gpu_time(callback(_device.run), callback(_device, devices.METHODS), 1, 10)
assert abs(float(_seconds) - 0.002) <= 2e-5, "2 ms a call"
### BEGIN HIDDEN TESTS
def _time_and_count(time, device, warmup, iterations):
    """The seconds that an answer gives, and how often it has called."""
    seconds = time(device.run, device, warmup, iterations)
    return [seconds, device.runs()]


def _is_the_time_of_a_call(found, device, warmup, iterations):
    seconds, calls = found
    right = []
    for waits in (True, False):                      # events need no wait before the start: they queue behind the warm-up
        fresh = copy.deepcopy(getattr(device, "target", device))
        for _ in range(warmup):
            fresh.run()
        if waits:
            fresh.synchronize()
        start = max(fresh.now, fresh.free)
        for _ in range(iterations):
            fresh.run()
        right.append((max(fresh.now, fresh.free) - start) / iterations)
    assert np.shape(seconds) == (), "the result is one number"
    assert min(abs(float(seconds) / true - 1) for true in right) <= 0.01, "this is not the time of one call"
    assert calls == warmup + iterations, "fn must be called warmup + iterations times"


def _simulated(cold, warm, launch=1e-6, **set_clock):
    return callback(devices.Simulated(cold, warm, launch, **set_clock), devices.METHODS)


_uneven = (np.random.default_rng(1).lognormal(0, 0.5, 40) * 1e-3).tolist()
_steep = [2e-3 * 1.1**n for n in range(30)]
exam.law("an asynchronous device", _is_the_time_of_a_call, [
    case("3 calls to warm up, of which the first is slow, then 20 of 2 ms", _simulated([0.3], [0.002]), 3, 20),
    case("5 calls to warm up, of which two are slow, then 25 of different length", _simulated([0.08, 0.03], _uneven), 5, 25),
    case("4 calls to warm up, then 8, each longer than the one before", _simulated([], _steep), 4, 8),
    case("7 calls to warm up, then 3, each longer than the one before", _simulated([], _steep), 7, 3),
    case("calls of a quarter of a second", _simulated([2.0, 1.0, 0.5], [0.25, 0.26, 0.24]), 3, 6),
], weight=2, probe=_time_and_count)
exam.law("a wall clock that is set", _is_the_time_of_a_call, [
    case("an hour back, during the timed calls", _simulated([0.2], [0.003], set_at=8, set_by=-3600.0), 2, 10),
    case("three hundredths of a second forward, during the timed calls", _simulated([0.2], [0.003, 0.004], set_at=5, set_by=0.03), 2, 12),
    case("it moves 64 times a second only", _simulated([0.2], [0.0007], tick=1 / 64), 2, 12),
], probe=_time_and_count)
exam.law("calls that are short", _is_the_time_of_a_call, [
    case("the host needs longer to launch a call than the device to work on it", _simulated([1e-3], [6e-6, 5e-6], launch=1e-5), 2, 50),
    case("launching takes half as long as the work", _simulated([1e-3], [2e-5], launch=1e-5), 3, 50),
], probe=_time_and_count)
exam.law("edges", _is_the_time_of_a_call, [
    edge("no warm-up: the slow first call counts", _simulated([0.1], [0.002]), 0, 5),
    edge("a single timed call", _simulated([0.1, 0.05], [0.004, 0.002]), 2, 1),
    edge("no warm-up and a single call", _simulated([0.1], [0.002]), 0, 1),
], probe=_time_and_count)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: why to warm up
#
# With exercise 1 done, run this cell. It times the first thirty calls of a network that was never called before, one by one, on your
# device. On a processor there may be little to see; where kernels have to be loaded or compiled, the first call stands out. No marks.

# %%
device = devices.at_hand()
gpu_time(lambda: None, device, 0, 1)                     # stops here if exercise 1 is not done
torch.manual_seed(0)
fresh = nn.Sequential(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()).to(device.place)
pictures = digits(images=True)[2][:100].to(device.place)
with torch.no_grad():
    one_by_one = [1000 * gpu_time(lambda: fresh(pictures), device, 0, 1) for _ in range(30)]
plots.use_style()
axes = plt.subplots(figsize=(6.4, 2.8))[1]
axes.plot(range(1, 31), one_by_one, label="one call, timed alone")
axes.axhline(np.median(one_by_one[10:]), color=plots.GREY, linestyle="--", linewidth=1, marker="", label="median of the last 20")
axes.set(xlabel="call number", ylabel="time (ms)", ylim=(0, None), title=f"the first calls on {device.name}")
axes.legend()
plt.show()

# %% [markdown]
# ## 2. A sample of times in numbers
#
# No two runs take the same time. The distribution has a hard edge at the left, what the work takes if nothing interferes, and a long tail
# at the right, where something did. A mean mixes both. The median tells of the usual case, high percentiles of the tail, which is what
# users feel.
#
# Write `summarize(times) -> dict` for a numpy array `times` of n ≥ 2 numbers, with these keys, each a float:
#
# - `'median'`, and `'p50'`, `'p95'`, `'p99'`: percentiles with linear interpolation, numpy's default;
# - `'iqr'`: the 75th percentile less the 25th;
# - `'std'`: the standard deviation of a *sample*, $\sqrt{\sum_i (t_i - \bar t)^2 / (n - 1)}$;
# - `'low'` and `'high'`: the 95 % percentile bootstrap interval of the median. Draw n of the n times *with replacement*, take the median;
#   repeat often (1,000 times is enough); low and high are the 2.5th and the 97.5th percentile of these medians.
#
# All times count: a slow run is part of what you measured. Seed and number of resamples are yours: `low` and `high` may each differ from
# the exact interval by a quarter of its width. `times` is not changed; its order does not matter.
#
# Source: Efron and Tibshirani (1993), *An Introduction to the Bootstrap*, chapter 13, the percentile interval; Hoefler and Belli (2015),
# *Scientific Benchmarking of Parallel Computing Systems*, on medians, percentiles and intervals for times.
#
# *Worked example.* `[2, 1, 3, 10]`, in ms: sorted 1, 2, 3, 10. The median is 2.5, the mean 4.0. p95 lies at place 0.95 · 3 = 2.85 between
# the third and the fourth: 3 + 0.85 · 7 = 8.95. IQR = 4.75 − 1.75 = 3. std = √(50/3) = 4.08 (with n instead of n − 1 it would be 3.54).
#
# <details><summary>Hint 1</summary><code>np.percentile(times, [25, 50, 75, 95, 99])</code> gives five of the numbers that you need at once.
# What is <code>ddof</code> in <code>np.std</code>?</details>
# <details><summary>Hint 2</summary>A resample is <code>rng.choice(times, size=n)</code>; a thousand of them at once are an array of shape
# (1000, n), and their medians run along axis 1.</details>
# <details><summary>Hint 3</summary><code>medians = np.median(rng.choice(times, (1000, len(times))), axis=1)</code>, then <code>low, high =
# np.percentile(medians, [2.5, 97.5])</code>.</details>

# %% answer="summarize"
def summarize(times):
    """Median, percentiles, IQR, sample standard deviation, and a 95 % bootstrap interval of the median."""
    ### BEGIN SOLUTION
    p25, p50, p75, p95, p99 = np.percentile(times, [25, 50, 75, 95, 99])
    medians = np.median(np.random.default_rng(0).choice(times, (2000, len(times))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return {"median": p50, "p50": p50, "p95": p95, "p99": p99, "iqr": p75 - p25, "std": np.std(times, ddof=1), "low": low, "high": high}
    ### END SOLUTION

# %% test="summarize" points=5
_told = summarize(np.array([2.0, 1.0, 3.0, 10.0]))
assert abs(_told["median"] - 2.5) <= 1e-9 and abs(_told["p95"] - 8.95) <= 1e-9
assert abs(_told["iqr"] - 3.0) <= 1e-9 and abs(_told["std"] - math.sqrt(50 / 3)) <= 1e-9
assert 1 <= _told["low"] <= 2.5 <= _told["high"] <= 10
### BEGIN HIDDEN TESTS
def _interval(values):
    """The 95 % bootstrap interval of the median, from many resamples."""
    drawn = np.random.default_rng(99).choice(values, (3000, len(values)))
    return np.percentile(np.median(drawn, axis=1), [2.5, 97.5])


def _is_a_summary(told, times):
    times = np.asarray(times, dtype=np.float64)
    right = {f"p{q}": np.percentile(times, q) for q in (50, 95, 99)}
    right |= {"median": right["p50"], "iqr": np.percentile(times, 75) - np.percentile(times, 25), "std": times.std(ddof=1)}
    scale = np.abs(times).max()
    for key, value in right.items():
        assert key in told, f"the key {key} is missing"
        assert np.shape(told[key]) == () and abs(float(told[key]) - value) <= 1e-5 * abs(value) + 1e-7 * scale, f"{key} is wrong"
    low, high = _interval(times)
    for key, value in (("low", low), ("high", high)):
        assert key in told, f"the key {key} is missing"
        assert np.shape(told[key]) == () and abs(float(told[key]) - value) <= 0.25 * (high - low) + 1e-6 * scale, f"{key} is not the bootstrap's"


_rng = np.random.default_rng(2)
_tail = 1e-3 * (1 + _rng.gamma(2, 0.1, 101))
_tail[::17] *= 6
exam.law("samples of times", _is_a_summary, [
    case("101 times of about 1.2 ms, six of them six times as long", _tail),
    case("60 times in seconds, with a long tail", _rng.lognormal(0, 0.6, 60)),
    case("200 times of about 30 µs in float32", (3e-5 * (1 + _rng.gamma(1.5, 0.2, 200))).astype(np.float32)),
    case("50 times that rise from the first to the last", np.sort(_rng.gamma(3, 1, 50))),
    case("45 times that fall from the first to the last", -np.sort(-_rng.gamma(2, 1e-3, 45))),
], weight=2)
exam.law("few times, and odd ones", _is_a_summary, [
    case("three times", np.array([3.0, 2.0, 8.0])),
    edge("two times: the bootstrap's medians are these two and their mean", np.array([3e-3, 1e-3])),
    edge("all times alike", np.full(12, 0.004)),
    edge("half of the runs fast, half slow", np.r_[np.linspace(1, 1.2, 30), np.linspace(3, 3.5, 31)]),
    edge("one run a thousand times as long as the others", np.r_[_rng.uniform(1e-3, 2e-3, 39), 1.5]),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Which is faster, and by how much?
#
# A machine drifts: it heats up, its clock changes, somebody starts a job. Measure all of version A and then all of B, and the drift is in
# the result. So *interleave*, A B A B …: the i-th time of A and the i-th time of B are neighbours and share whatever the machine was doing.
# What is compared is the ratio within each pair.
#
# Write `speedup(a, b) -> (median, low, high)` for two numpy arrays of n ≥ 2 positive times each, where `a[i]` and `b[i]` were measured side
# by side:
#
# $$r_i = a_i / b_i, \qquad \text{the median of the } r_i, \qquad \text{its 95 \% percentile bootstrap interval as in exercise 2}$$
#
# - `a` is the old version and `b` the new one: 2.0 says that b takes half the time.
# - The bootstrap draws *pairs*, that is, ratios. Seed and number of resamples are yours: `low` and `high` may each differ from the exact
#   interval by a quarter of its width; the median is exact.
# - `a` and `b` have the same length, and are not changed.
#
# Source: Kalibera and Jones (2013), *Rigorous Benchmarking in Reasonable Time*, who give a speed-up as a ratio with an interval; the paired
# median is the convention of this course.
#
# *Worked example.* `a = [2, 4, 8]`, `b = [1, 2, 8]`: the machine got four times slower while you measured. The ratios are 2, 2, 1, with
# median 2.0. The ratio of the means is 14/11 = 1.27, that of the medians 4/2 = 2.
#
# <details><summary>Hint 1</summary>One line makes of two arrays the one array that you need. What do you know already to do with
# it?</details>
# <details><summary>Hint 2</summary>If a takes 2 s and b takes 1 s, the result has to be 2: which of them is the numerator?</details>
# <details><summary>Hint 3</summary><code>ratios = a / b</code>; then median, and the bootstrap of exercise 2 on
# <code>ratios</code>.</details>

# %% answer="speedup"
def speedup(a, b):
    """Median of the paired ratios a/b with its 95 % bootstrap interval: (median, low, high)."""
    ### BEGIN SOLUTION
    ratios = a / b
    medians = np.median(np.random.default_rng(0).choice(ratios, (2000, len(ratios))), axis=1)
    return np.median(ratios), *np.percentile(medians, [2.5, 97.5])
    ### END SOLUTION

# %% test="speedup" points=4
_ratio, _low, _high = speedup(np.array([2.0, 4.0, 8.0]), np.array([1.0, 2.0, 8.0]))
assert abs(_ratio - 2.0) <= 1e-9
assert 1.0 - 1e-9 <= _low <= _high <= 2.0 + 1e-9
### BEGIN HIDDEN TESTS
def _is_a_paired_ratio(told, a, b):
    told, ratios = np.asarray(told, dtype=np.float64), np.asarray(a, dtype=np.float64) / b
    assert told.shape == (3,), "the result is (median, low, high)"
    median, drawn = np.median(ratios), np.random.default_rng(99).choice(ratios, (3000, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    assert abs(told[0] - median) <= 1e-5 * median, "the median of the ratios is wrong"
    assert abs(told[1] - low) <= 0.25 * (high - low) + 1e-6 * median, "low is not the bootstrap's"
    assert abs(told[2] - high) <= 0.25 * (high - low) + 1e-6 * median, "high is not the bootstrap's"


_rng = np.random.default_rng(3)


def _runs(n, ratio, drift, scale=1e-3):
    """n pairs on a machine whose speed changes by `drift`; the old version takes `ratio` times as long as the new one."""
    machine = scale * np.exp(drift * np.cumsum(_rng.normal(0, 1, n)))
    return ratio * machine * _rng.lognormal(0, 0.08, n), machine * _rng.lognormal(0, 0.08, n)


_a, _b = _runs(61, 1.6, 0.0)
_a[::9] *= 5
exam.law("machines that drift", _is_a_paired_ratio, [
    case("61 pairs on a machine whose speed wanders by a factor", *_runs(61, 1.7, 0.25)),
    case("120 pairs on a machine that wanders, b is slower", *_runs(120, 0.8, 0.2, 0.05)),
    case("40 pairs in float32", *(t.astype(np.float32) for t in _runs(40, 3.0, 0.15))),
], weight=2)
exam.law("machines that stand still", _is_a_paired_ratio, [
    case("61 pairs, in every ninth of which a was disturbed", _a, _b),
    case("the same with a and b exchanged", _b, _a),
    case("90 pairs of which nothing differs but the noise", *_runs(90, 1.0, 0.0)),
])
exam.law("edges", _is_a_paired_ratio, [
    edge("two pairs", np.array([3.0, 2.0]), np.array([1.0, 4.0])),
    edge("a and b alike: 1 with an interval of no width", _a, _a.copy()),
    edge("every ratio is 2.5, however slow the machine gets", 2.5 * _b * np.arange(1, 62), _b * np.arange(1, 62)),
    edge("three pairs, one of them far off", np.array([2.0, 40.0, 2.2]), np.ones(3)),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: dense, zeroed, smaller, half
#
# With exercises 1 and 3 done, run this cell (some seconds). It times the four versions on your device in turn, for a batch of 500 digits
# and for a single one, and shows how much faster than `dense` each is, with its interval. No marks.

# %%
device = devices.at_hand()
speedup(np.ones(2), np.ones(2))                          # stops here if exercise 3 is not done
versions = {name: copy.deepcopy(model).to(device.place) for name, model in make_versions().items()}
figure, panels = plt.subplots(1, 2, figsize=(9, 2.6), sharey=True)
for axes, batch, rounds in zip(panels, (500, 1), (15, 60)):
    pictures = digits(images=True)[2][:batch].to(device.place)
    with torch.no_grad():
        times = np.array([[gpu_time(lambda: model(pictures), device, 1, 2) for model in versions.values()] for _ in range(rounds)])
    for row, name in enumerate(versions):
        middle, low, high = speedup(times[:, 0], times[:, row])
        axes.plot([low, high], [row, row], color=plots.BLUE, linewidth=5, marker="")
        axes.plot([middle], [row], color="black", marker="|", markersize=14)
    axes.axvline(1, color=plots.GREY, linestyle="--", linewidth=1, marker="")
    axes.set(yticks=range(4), yticklabels=list(versions), ylim=(-0.5, 3.5), xlabel="time of dense / time of the version", xlim=(0, None),
             title=f"batch of {batch}: dense takes {1000 * np.median(times[:, 0]):.2g} ms")
panels[0].invert_yaxis()
plt.show()

# %% [markdown]
# On the processor this was written on (two x86 cores), in the batch of 500 `zeroed` was as fast as `dense` to within a few per cent, though
# almost two thirds of its parameters are zeros; `smaller`, which computes the very same function, was 1.7 times as fast with 3.3 times
# fewer multiplications; `half` was slower than `dense`, for that processor has no units for 16-bit floats. For a single digit nothing paid
# off: there the time goes into starting the layers one after the other, not into arithmetic. Your device may rank them otherwise. That is
# why one measures.

# %% [markdown]
# ## 4. The roofline: how fast could it be?
#
# Before you tune, know the bound. A layer must do its arithmetic, and it must move its bytes: weights and inputs in, *outputs out*. A
# machine can do both at the same time, so that the slower of the two decides.
#
# Write `roofline_time(macs, bytes, peak, bandwidth) -> (seconds, verdict)`:
#
# $$t = \max\!\left(\frac{2 \cdot \text{MACs}}{\text{peak}},\; \frac{\text{bytes}}{\text{bandwidth}}\right)$$
#
# - `peak` is in FLOP/s, and a multiply-accumulate is *two* floating-point operations; `bandwidth` is in bytes per second. Both are
#   positive.
# - `verdict` is `'compute'` if the arithmetic takes longer and `'memory'` if the traffic does. If both take equally long, either will do.
# - `macs` and `bytes` are numbers ≥ 0: everything that is computed, everything that is moved.
#
# Source: Williams, Waterman and Patterson (2009), *Roofline: An Insightful Visual Performance Model for Multicore Architectures*:
# attainable performance is the minimum of peak performance and bandwidth times operational intensity; divide the operations by it, and you
# have this time.
#
# *Worked example.* A machine of 100 GFLOP/s and 20 GB/s. A depthwise 3 × 3 convolution (stride 1, padding 1) on 64 channels of 32 × 32 in
# float32: 9 · 64 · 1024 = 589,824 MACs; bytes: 4 · (65,536 in + 65,536 out + 576 weights) = 526,592. Arithmetic 11.8 µs, traffic 26.3 µs:
# memory bound, 26.3 µs. (Without the output's bytes it would be 13.2 µs.) The pointwise convolution behind it, 64 → 64, has 4,194,304 MACs
# on nearly the same bytes: 83.9 µs, compute bound. It has 7.1 times the arithmetic and takes 3.2 times as long.
#
# <details><summary>Hint 1</summary>What takes longer, decides. Which of <code>min</code> and <code>max</code> is that?</details>
# <details><summary>Hint 2</summary>Peak is in operations, not in MACs. What is the factor?</details>
# <details><summary>Hint 3</summary>Compute both times; return the larger one, and <code>'compute'</code> if the first of them is the
# larger, else <code>'memory'</code>.</details>

# %% answer="roofline_time"
def roofline_time(macs, bytes, peak, bandwidth):
    """The least seconds that arithmetic and traffic allow, and which of them binds: 'compute' or 'memory'."""
    ### BEGIN SOLUTION
    compute, memory = 2 * macs / peak, bytes / bandwidth
    return (compute, "compute") if compute > memory else (memory, "memory")
    ### END SOLUTION

# %% test="roofline_time" points=3
_seconds, _verdict = roofline_time(589_824, 526_592, 100e9, 20e9)
assert abs(_seconds - 26.3296e-6) <= 1e-10 and _verdict == "memory"
_seconds, _verdict = roofline_time(4_194_304, 540_672, 100e9, 20e9)
assert abs(_seconds - 83.88608e-6) <= 1e-10 and _verdict == "compute"
### BEGIN HIDDEN TESTS
def _is_the_bound(told, macs, bytes, peak, bandwidth):
    seconds, verdict = told
    right = max(2 * macs / peak, bytes / bandwidth)
    assert np.shape(seconds) == () and abs(float(seconds) - right) <= 1e-5 * right, "the time is wrong"
    assert verdict in ("compute", "memory"), "the verdict is 'compute' or 'memory'"
    assert verdict == ("compute" if 2 * macs / peak > bytes / bandwidth else "memory") or 2 * macs / peak == bytes / bandwidth, "the verdict is wrong"


exam.law("layers", _is_the_bound, [
    case("a 3 × 3 convolution on a processor of 50 GFLOP/s and 10 GB/s", 37_748_736, 671_744, 50e9, 10e9),
    case("a depthwise convolution on the same processor", 589_824, 526_592, 50e9, 10e9),
    case("a 4096 × 4096 dense layer for one vector: each weight is used once", 4096 * 4096, 4 * 4096 * 4098, 1e12, 1e11),
    case("the same layer for 256 vectors", 256 * 4096 * 4096, 4 * 4096 * (4096 + 512), 1e12, 1e11),
    case("between one and two operations a byte of the ridge: two operations a MAC make it compute bound", 6_000_000, 1_000_000, 1e11, 1e10),
    case("a machine with more bandwidth than arithmetic", 1000, 4000, 1e6, 1e9),
], weight=2)
exam.law("edges", _is_the_bound, [
    edge("nothing to compute: copying", 0, 4096, 1e12, 1e11),
    edge("nothing to move", 12_345, 0, 1e9, 1e9),
    edge("both take equally long: 10 operations a byte", 5_000, 1_000, 1e10, 1e9),
    edge("more MACs than an int32 can count", 175_000_000_000, 350_000_000_000, 9.89e14, 3.35e12),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Energy
#
# Time is not the only bill. What a computation costs in joules is ruled by where its data lie: fetching a 32-bit number from DRAM costs as
# much as 139 float32 MACs. A power meter is the only judge, but a model with the memory in it tells you where to look.
#
# Write `energy(macs, dram_bytes, sram_bytes, bits) -> picojoules`:
#
# $$E = e_{\text{MAC}}(\text{bits}) \cdot \text{MACs} + 160 \cdot \text{bytes}_{\text{DRAM}} + 1.25 \cdot \text{bytes}_{\text{SRAM}}$$
#
# | | 8-bit integer MAC | 16-bit float MAC | 32-bit float MAC | DRAM, a byte | SRAM, a byte |
# |---|---|---|---|---|---|
# | picojoules | 0.23 | 1.5 | 4.6 | 160 | 1.25 |
#
# - `bits` is 8, 16 or 32, the width of the arithmetic. The traffic is given in *bytes*, and narrower numbers are in it already: do not
#   scale it.
# - The arguments are numbers ≥ 0, for one inference or for many; the result is a number of picojoules.
#
# Source: Horowitz (2014), *Computing's Energy Problem (and What We Can Do About It)*, the table of energies at 45 nm: a MAC is a
# multiplication and an addition (8 bits: 0.2 + 0.03; 16: 1.1 + 0.4; 32: 3.7 + 0.9); 10 pJ for 64 bits from an 8 KB cache; DRAM at 1.3 to
# 2.6 nJ, of which the lower end for 64 bits, rounded to 160 pJ a byte.
#
# *Worked example.* The course's `cnn` reads one digit with 23,680 MACs, and its 1,898 float32 weights are 7,592 bytes. From DRAM each time:
# 4.6 · 23,680 + 160 · 7,592 = 108,928 + 1,214,720 = 1,323,648 pJ: 92 % of it is memory. If the weights stay in SRAM: 108,928 + 9,490 =
# 118,418 pJ, eleven times less.
#
# <details><summary>Hint 1</summary>Three terms. Which of them knows <code>bits</code>?</details>
# <details><summary>Hint 2</summary>A dictionary <code>{8: 0.23, 16: 1.5, 32: 4.6}</code> is the table's first half.</details>
# <details><summary>Hint 3</summary>Look the MAC up, multiply by <code>macs</code>, and add the two products of the table's second
# half.</details>

# %% answer="energy"
def energy(macs, dram_bytes, sram_bytes, bits):
    """Picojoules of arithmetic at that width and of memory traffic, by Horowitz's table."""
    ### BEGIN SOLUTION
    return {8: 0.23, 16: 1.5, 32: 4.6}[bits] * macs + 160 * dram_bytes + 1.25 * sram_bytes
    ### END SOLUTION

# %% test="energy" points=3
assert abs(energy(23_680, 7_592, 0, 32) - 1_323_648) <= 1
assert abs(energy(23_680, 0, 7_592, 32) - 118_418) <= 1
### BEGIN HIDDEN TESTS
exam.compare("networks", [
    case("float32, weights from DRAM, activations in SRAM", 1_000_000, 40_000, 90_000, 32),
    case("8-bit integers, the same network: a quarter of the bytes", 1_000_000, 10_000, 22_500, 8),
    case("16-bit floats, a small network with large activations", 250_000, 5_000, 70_000, 16),
    case("8-bit integers, all in SRAM", 23_680, 0, 12_000, 8),
    case("a large network in 16 bits", 7_000_000_000, 14_000_000_000, 3_000_000_000, 16),
], weight=2, atol=0)
exam.compare("edges", [
    edge("nothing but arithmetic, 32 bits", 1_000, 0, 0, 32),
    edge("nothing but arithmetic, 16 bits", 1_000, 0, 0, 16),
    edge("nothing but arithmetic, 8 bits", 1_000, 0, 0, 8),
    edge("nothing but DRAM", 0, 512, 0, 8),
    edge("nothing but SRAM", 0, 0, 512, 32),
    edge("nothing at all costs nothing", 0, 0, 0, 32),
], atol=0)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Robustness: what the mean on clean data hides
#
# Two networks can be right equally often on the validation pictures and differ on every tenth input; or one of them falls apart when the
# pictures get noisy. Whoever replaces a network by a compressed one needs to know both, against the *old network*, on the *same* inputs.
#
# Write `robustness(models, data, corruptions) -> report`:
#
# - `models` maps names to functions `x -> labels` (n integers for n rows of x), one of them named `'dense'`: the one to compare with. `data
#   = (x, y)`: numpy inputs, first axis n ≥ 1, and their n labels. `corruptions` maps names to functions `x -> corrupted x` of the same
#   shape, which may be *random*: called again, they give other noise.
# - Call each corruption *once*, on the clean `x`, and show the result to *all* models. The clean pictures themselves enter no number.
# - `report[model][corruption]` is a dictionary, for `'dense'` too, with
#   - `'accuracy'`: the share of labels that equal y;
#   - `'flip_rate'`: the share of labels that differ from the *dense* model's on the same corrupted inputs, right or wrong;
#   - `'drop'`: an array with one number for each class that occurs in y, in ascending order: the dense model's accuracy on the corrupted
#     inputs of that class less this model's.
# - `'dense'` has a flip rate of 0 and drops of 0. Without corruptions each model has an empty dictionary. Nothing that was given is
#   changed.
#
# Sources: Hendrycks and Dietterich (2019), *Benchmarking Neural Network Robustness to Common Corruptions and Perturbations*; Hooker et al.
# (2019), *What Do Compressed Deep Neural Networks Forget?*, on what compression does to single classes.
#
# *Worked example.* y = `[0, 0, 1, 1]`; on the noisy inputs dense says `[0, 1, 1, 1]` and the pruned one `[1, 0, 1, 1]`. Both are right in 3
# of 4: accuracy 0.75 each. But two of four labels differ: flip rate 0.5. Class 0: 1/2 − 1/2 = 0, class 1: 1 − 1 = 0, so the drops are `[0,
# 0]`. Against y the "flips" would be 0.25, which is just the error.
#
# <details><summary>Hint 1</summary>Two loops, over corruptions and over models. Which must be the outer one, if a corruption may be called
# once only?</details>
# <details><summary>Hint 2</summary>Inside the outer loop: corrupt, ask <code>models['dense']</code> for its labels, then go through all
# models.</details>
# <details><summary>Hint 3</summary><code>drop = [(dense == y)[y == c].mean() - (labels == y)[y == c].mean() for c in np.unique(y)]</code>;
# the flip rate is <code>(labels != dense).mean()</code>.</details>

# %% answer="robustness"
def robustness(models, data, corruptions):
    """Accuracy, flip rate against 'dense' and per-class drop of every model under every corruption."""
    ### BEGIN SOLUTION
    x, y = data
    report = {name: {} for name in models}
    for corruption, corrupt in corruptions.items():
        shown = corrupt(x)
        labels = {name: np.asarray(model(shown)) for name, model in models.items()}
        dense = labels["dense"]
        for name, told in labels.items():
            report[name][corruption] = {
                "accuracy": np.mean(told == y), "flip_rate": np.mean(told != dense),
                "drop": np.array([np.mean(dense[y == c] == c) - np.mean(told[y == c] == c) for c in np.unique(y)])}
    return report
    ### END SOLUTION

# %% test="robustness" points=6
def _dense_reader(x):
    return np.array([0, 1, 1, 1])


def _pruned_reader(x):
    return np.array([1, 0, 1, 1])


def _shift(x):
    return x + 1.0


_report = robustness({"dense": _dense_reader, "pruned": _pruned_reader}, (np.zeros((4, 2)), np.array([0, 0, 1, 1])), {"shift": _shift})
assert abs(_report["pruned"]["shift"]["accuracy"] - 0.75) <= 1e-9 and abs(_report["pruned"]["shift"]["flip_rate"] - 0.5) <= 1e-9
assert np.allclose(_report["pruned"]["shift"]["drop"], [0.0, 0.0]) and _report["dense"]["shift"]["flip_rate"] == 0
### BEGIN HIDDEN TESTS
class _Noise:
    """A corruption that gives other noise on every call."""

    def __init__(self, seed, scale, shift=0.0):
        self.rng, self.scale, self.shift = np.random.default_rng(seed), scale, shift

    def __call__(self, x):
        return np.asarray(x) + self.shift + self.scale * self.rng.normal(0, 1, np.shape(x))


def _report_on(answer, weights, data, names, *noises):
    """What an answer says of linear readers with these weights; then x and y as they are."""
    def reader(w):
        return lambda x: np.asarray(x).reshape(len(x), -1).dot(w).argmax(axis=1)

    report = answer({name: reader(w) for name, w in weights.items()}, data, dict(zip(names, noises)))
    told = {model: {corruption: {key: of[key] for key in ("accuracy", "flip_rate", "drop")} for corruption, of in row.items()} for model, row in report.items()}
    return {"the report": told, "x and y": data}


_rng = np.random.default_rng(6)


def _readers(n_in, classes, **spreads):
    """Weights of a linear reader, and of others that differ from it by noise of that spread."""
    dense = _rng.normal(0, 1, (n_in, classes))
    return {name: dense + spread * _rng.normal(0, 1, dense.shape) for name, spread in spreads.items()} if spreads else {"dense": dense}


def _inputs(n, w, shape=None, kept=None):
    """n inputs and labels that the reader w mostly gives; `kept`: only of these classes."""
    x = _rng.normal(0, 1, (20 * n, len(w)))
    y = (x @ w + 0.5 * _rng.normal(0, 1, (20 * n, w.shape[1]))).argmax(axis=1)
    chosen = np.flatnonzero(np.isin(y, range(w.shape[1]) if kept is None else kept))[:n]
    return (x[chosen] if shape is None else x[chosen].reshape(n, *shape)), y[chosen]


_three = _readers(6, 4, pruned=0.5, dense=0.0, tiny=1.5)
_two = _readers(12, 9, dense=0.0, quantized=0.4)
_alone = _readers(5, 3)
_noise, _more, _bright = callback(_Noise(1, 0.4)), callback(_Noise(2, 1.0)), callback(_Noise(3, 0.1, 0.7))
exam.compare("noise and shift", [
    case("three models under two kinds of noise", _three, _inputs(150, _three["dense"]), ["weak", "strong"], _noise, _more),
    case("two models under noise and under a shift, 90 inputs", _two, _inputs(90, _two["dense"]), ["noise", "brightness"], _more, _bright),
    case("inputs of shape 3 × 4, three corruptions", _two, _inputs(80, _two["dense"], (3, 4)), ["a", "b", "c"], _bright, _noise, _more),
], weight=2, probe=_report_on)
exam.compare("classes", [
    case("labels of the classes 2, 5 and 7 only", _two, _inputs(70, _two["dense"], kept=[7, 2, 5]), ["noise"], _more),
    case("the classes 3 and 1, the first input is of class 3", _three, (np.vstack([np.eye(4, 6)[[3, 1]], _rng.normal(0, 1, (20, 6))]), np.r_[3, 1, _rng.choice([1, 3], 20)]),
         ["noise"], _noise),
], probe=_report_on)
exam.compare("edges", [
    edge("no corruption", _three, _inputs(9, _three["dense"]), []),
    edge("only the dense model", _alone, _inputs(40, _alone["dense"]), ["noise"], _more),
    edge("one input", _three, (_rng.normal(0, 1, (1, 6)), np.array([2])), ["noise", "shift"], _noise, _bright),
    edge("a corruption that changes nothing", _three, _inputs(60, _three["dense"]), ["none"], callback(_Noise(4, 0.0))),
], probe=_report_on)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: equal accuracy, other answers
#
# With exercise 6 done, run this cell. It shows the four versions noise, a shift by one pixel, and weak contrast. No marks.

# %%
x_val, y_val = digits(images=True, arrays="numpy")[2:]


def reader(model):
    """The model as a function from numpy pictures to numpy labels."""
    def labels(x):
        with torch.no_grad():
            return model(torch.as_tensor(np.asarray(x), dtype=torch.float32)).argmax(1).numpy()
    return labels


rng = np.random.default_rng(0)
corruptions = {"clean": lambda x: x, "noise": lambda x: x + rng.normal(0, 0.25, x.shape), "one pixel to the right": lambda x: np.roll(x, 1, axis=3),
               "contrast / 3": lambda x: 0.5 + (x - 0.5) / 3}
report = robustness({name: reader(model) for name, model in make_versions().items()}, (x_val, y_val), corruptions)
figure, panels = plt.subplots(1, 2, figsize=(9, 2.9), sharey=True)
for axes, key, title in zip(panels, ("accuracy", "flip_rate"), ("accuracy", "labels that differ from dense's")):
    for number, (name, colour, hatch) in enumerate(zip(report, (plots.BLUE, plots.PALE, plots.ORANGE, plots.GREEN), ("", "//", "..", "xx"))):
        axes.barh(np.arange(len(corruptions)) + 0.2 * (number - 1.5), [float(report[name][c][key]) for c in corruptions], 0.2, color=colour, hatch=hatch,
                  edgecolor="white", label=name)
    axes.set(yticks=range(len(corruptions)), yticklabels=list(corruptions), xlabel="share of the 500 pictures", title=title)
panels[0].invert_yaxis()
panels[1].legend()
plt.show()

# %% [markdown]
# Where this was written, the clean pictures said next to nothing: 97.4 % for `dense`, 97.0 % for `smaller`, 2.4 % of the labels differ.
# Under noise 12 % differ, for 2 points of accuracy. Under weak contrast `smaller` was *more* accurate than `dense`, 66 % against 50 %, and
# yet 59 % of its labels differ, and of the eights it recognised 88 points fewer. Nobody who relied on the old network's habits would call
# that the same network. `zeroed` equals `smaller` everywhere, as it must; `half` changed no label at all.
#
# ## 7. Is it as sure as it should be?
#
# A network that says "90 %" should be right in 90 % of these cases: then it is *calibrated*. Whoever refuses inputs below a threshold
# relies on it, and compression can change it while the accuracy stays.
#
# Write `expected_calibration_error(p, y, bins) -> float` for probabilities `p`, a numpy array of shape (N, C) with N ≥ 1, labels `y` of
# shape (N,), and a number of bins M = `bins` ≥ 1:
#
# $$\mathrm{ECE} = \sum_{m=1}^{M} \frac{|B_m|}{N}\, \big|\,\mathrm{acc}(B_m) - \mathrm{conf}(B_m)\,\big|$$
#
# - The *confidence* of row i is its largest probability, its prediction the class that has it (rows of the tests have only one). $B_m$
#   holds the rows whose confidence lies in $\left(\frac{m-1}{M}, \frac{m}{M}\right]$: a confidence on an edge belongs to the *lower* bin.
# - acc is the share of the rows in the bin whose prediction equals y, conf the mean of their confidences. An empty bin contributes 0.
# - The rows of p sum to 1. Nothing is changed.
#
# Source: Guo et al. (2017), *On Calibration of Modern Neural Networks*, section 2, equation 3.
#
# *Worked example.* Confidences 0.95, 0.85, 0.9, 0.6, of which the first, third and fourth are right; M = 2. All lie in (0.5, 1]: acc 0.75,
# conf 0.825, ECE 0.075. With M = 4, (0.5, 0.75] holds the last, |1 − 0.6| = 0.4, and (0.75, 1] the others, |2/3 − 0.9| = 0.233: ECE = 0.4 /
# 4 + 0.233 · 3 / 4 = 0.275.
#
# <details><summary>Hint 1</summary>Two arrays of length N are all you need: confidence, and right or wrong. Which bin is which row
# in?</details>
# <details><summary>Hint 2</summary>For bin m: <code>inside = (confidence &gt; (m - 1) / bins) &amp; (confidence &lt;= m / bins)</code>.
# What is the mean of no numbers?</details>
# <details><summary>Hint 3</summary>|B|/N · |acc − conf| is <code>abs(right[inside].sum() - confidence[inside].sum()) / N</code>: with sums,
# an empty bin gives 0 by itself.</details>

# %% answer="expected_calibration_error"
def expected_calibration_error(p, y, bins):
    """Mean gap between accuracy and confidence over equal bins of confidence, weighted by their rows."""
    ### BEGIN SOLUTION
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    total = 0.0
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        total += abs(right[inside].sum() - confidence[inside].sum())
    return total / len(y)
    ### END SOLUTION

# %% test="expected_calibration_error" points=4
_p = np.array([[0.95, 0.03, 0.02], [0.1, 0.85, 0.05], [0.05, 0.05, 0.9], [0.6, 0.3, 0.1]])
assert abs(expected_calibration_error(_p, np.array([0, 0, 2, 0]), 2) - 0.075) <= 1e-6
assert abs(expected_calibration_error(_p, np.array([0, 0, 2, 0]), 4) - 0.275) <= 1e-6
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(7)


def _probabilities(n, classes, sharpness):
    """Rows that sum to 1, the sharper the surer, with labels drawn from blunter ones."""
    z = _rng.normal(0, 1, (n, classes))
    p, true = np.exp(sharpness * z), np.exp(z)
    p, true = p / p.sum(axis=1, keepdims=True), true / true.sum(axis=1, keepdims=True)
    return p, np.array([_rng.choice(classes, p=row) for row in true])


_sure, _timid = _probabilities(200, 10, 4.0), _probabilities(150, 5, 0.5)
_edges = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.75, 0.125, 0.125], [0.125, 0.125, 0.75], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.375, 0.125]])
exam.compare("networks", [
    case("200 rows of ten classes, surer than right, 10 bins", *_sure, 10),
    case("the same in 15 bins", *_sure, 15),
    case("150 rows of five classes, less sure than right, 7 bins", *_timid, 7),
    case("80 rows of three classes in float32, 5 bins", _probabilities(80, 3, 2.0)[0].astype(np.float32), _rng.integers(0, 3, 80), 5),
    case("rows that are right and sure in one bin, wrong and sure in another", np.tile([[0.9, 0.1], [0.3, 0.7]], (10, 1)), np.tile([0, 0], 10), 4),
], weight=2, atol=1e-7)
exam.compare("edges", [
    edge("one bin", *_sure, 1),
    edge("more bins than rows: most are empty", _timid[0][:6], _timid[1][:6], 50),
    edge("confidences on the edges of four bins", _edges, np.array([0, 0, 0, 0, 0, 0, 0]), 4),
    edge("confidences on the edge of two bins", _edges, np.array([0, 1, 1, 2, 0, 0, 0]), 2),
    edge("all sure and all right: 0", np.eye(4), np.arange(4), 10),
    edge("all sure and all wrong: 1", np.eye(4), np.array([1, 2, 3, 0]), 10),
    edge("one row", np.array([[0.2, 0.7, 0.1]]), np.array([1]), 3),
], atol=1e-7)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 8. More than luck?
#
# 97.4 % against 96.6 % on the same 500 pictures: is the first network better? That depends on how many pictures they *disagree* about. The
# exact McNemar test looks at these only: if neither were better, each of them would be a toss of a coin.
#
# Write `mcnemar(a, b, y) -> p` for the labels `a` and `b` that two models give for the same n inputs, and the true labels `y` (numpy, whole
# numbers). Let $n_a$ be how many inputs only a gets right, $n_b$ how many only b, $m = n_a + n_b$:
#
# $$p = \min\!\left(1,\; 2 \sum_{k=0}^{\min(n_a, n_b)} \binom{m}{k} \frac{1}{2^m}\right), \qquad p = 1.0 \text{ if } m = 0$$
#
# - Inputs that both get right count nothing, nor do those that both get wrong, even if their labels differ.
# - It is two-sided, so that exchanging a and b changes nothing; p is a float in [0, 1], exact to a relative error of 10⁻⁵, also where it is
#   tiny. n ≥ 1; nothing is changed.
#
# Source: McNemar (1947), *Note on the Sampling Error of the Difference between Correlated Proportions or Percentages*; in place of its
# normal approximation the exact binomial probability.
#
# *Worked example.* Only a is right on 9 pictures, only b on 3: m = 12, p = 2 · (1 + 12 + 66 + 220) / 4096 = 0.146. A difference of 6
# pictures is not much, if it is 9 against 3. If it is 6 against 0, p = 2 / 64 = 0.031. With 5 against 5 the sum doubled is 1.25: p = 1.
#
# <details><summary>Hint 1</summary><code>right_a = a == y</code> and <code>right_b = b == y</code>: how do you count where only one of them
# is true?</details>
# <details><summary>Hint 2</summary><code>math.comb(m, k)</code> is exact for any size, and Python divides one huge whole number by another
# exactly enough. Make the two counts Python's with <code>int(…)</code>: those of numpy end at 64 bits, and <code>2**m</code> does
# not.</details>
# <details><summary>Hint 3</summary><code>2 * sum(math.comb(m, k) for k in range(min(n_a, n_b) + 1)) / 2**m</code>, and not above 1. For m =
# 0 it gives 2, so that the minimum does the rest.</details>

# %% answer="mcnemar"
def mcnemar(a, b, y):
    """Two-sided p-value of the exact McNemar test of two models' labels."""
    ### BEGIN SOLUTION
    only_a, only_b = int(np.sum((a == y) & (b != y))), int(np.sum((b == y) & (a != y)))
    m = only_a + only_b
    return min(1.0, 2 * sum(math.comb(m, k) for k in range(min(only_a, only_b) + 1)) / 2**m)
    ### END SOLUTION

# %% test="mcnemar" points=4
_y = np.arange(20)
_a, _b = _y.copy(), _y.copy()
_a[:3], _b[3:12] = -1, -1                                    # only b is right on three, only a on nine
assert abs(mcnemar(_a, _b, _y) - 0.14599609375) <= 1e-6
assert abs(mcnemar(_y, _y, _y) - 1.0) <= 1e-12
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(8)


def _labels(both_right, only_a, only_b, both_wrong):
    """Labels of two models that disagree so often, in random order; where both are wrong, they give different labels."""
    n = both_right + only_a + only_b + both_wrong
    y, order = _rng.integers(0, 10, n), _rng.permutation(n)
    kind = np.repeat([0, 1, 2, 3], [both_right, only_a, only_b, both_wrong])[order]
    return (y + np.isin(kind, [2, 3])) % 10, (y + 2 * np.isin(kind, [1, 3])) % 10, y


exam.compare("two models", [
    case("9 against 3, 480 both right, 8 both wrong", *_labels(480, 9, 3, 8)),
    case("4 against 13, 30 both wrong with different labels", *_labels(60, 4, 13, 30)),
    case("60 against 40", *_labels(900, 60, 40, 0)),
    case("12 against 0", *_labels(100, 12, 0, 5)),
    case("400 against 260: thousands of inputs", *_labels(2000, 400, 260, 140)),
    case("700 against 650: more than a float's powers of two", *_labels(300, 700, 650, 10)),
], weight=2, atol=0)
exam.compare("edges", [
    edge("no disagreement about what is right: 1", *_labels(20, 0, 0, 0)),
    edge("both wrong everywhere, with different labels: 1", *_labels(0, 0, 0, 15)),
    edge("5 against 5: 1", *_labels(10, 5, 5, 1)),
    edge("1 against 0: 1", *_labels(30, 1, 0, 2)),
    edge("0 against 6", *_labels(0, 0, 6, 0)),
    edge("7 against 6: 1", *_labels(3, 7, 6, 3)),
    edge("one input, on which only b is right", np.array([3]), np.array([2]), np.array([2])),
    edge("40 against 0: a tiny p", *_labels(0, 40, 0, 3)),
], atol=0)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 9. The report card
#
# Everything on one page, measured and not believed. Write `report_card(model, baseline, data, device) -> dict`. `model` and `baseline` are
# torch modules in eval mode that map a float32 batch to logits; `data = (x, y)` with tensors x (first axis n ≥ 1) and y (n labels), on the
# device's place; `device` as in exercise 1. The keys:
#
# - `'accuracy'`: the share of the n inputs whose largest logit is at y, and `'f1_macro'`: the mean over all classes that occur in y or
#   among the predictions of F1 = 2 TP / (2 TP + FP + FN).
# - `'ratio'`: bits of the baseline's `state_dict()` / bits of the model's, *as stored*: of every tensor in it, buffers too, elements times
#   bytes an element times 8. A zero takes as many bits as any other number.
# - `'macs'`: the multiply-accumulates of the model's `nn.Conv2d` and `nn.Linear` layers for one input `x[:1]`, as in exercise 3 of
#   assignment 00: for each call of such a layer, elements of its output times $\frac{C_{in}}{g} K_h K_w$ or $n_{in}$; biases not counted,
#   products with zeros counted.
# - `'latency'`: `(median, low, high)` in seconds of one call `model(x[:1])`: 20 calls to warm up, then 50 timed ones, *each by itself*,
#   from a synchronized start to a synchronized stop; the median and its interval as in exercise 2. (The tests take other numbers of samples
#   near 50 as well; the median may be off by 6 %, `low` and `high` by 40 % of the interval's width.)
# - `'energy'`: picojoules for one input by the model of exercise 5: `'macs'` of the width of the model's first parameter, 8 ·
#   `element_size()`, which is 16 or 32; the bytes of its state dict, once from DRAM; nothing from SRAM.
# - `'robustness'`: `{'accuracy': …, 'flip_rate': …}` on `noisy(x)` from the laboratory: the model's accuracy there, and the share of labels
#   that differ from the baseline's there. (The noise is always the same, but it depends on the shape: call it on all of x.)
#
# All numbers plain; models and data are left as they were. The device's time is the only one that counts, and a model's first calls are
# slow.
#
# Source: the definitions of this course; Blalock et al. (2020), *What is the State of Neural Network Pruning?*, section 6, on what to
# report.
#
# *Worked example.* The `cnn` with nine weights in ten set to 0, against itself unpruned: ratio 1.0, MACs 23,680 as before, energy 1,323,648
# pJ as before, and the latency as before. The only thing that nine zeros in ten have changed, stored and computed this way, is what the
# network says. In 16-bit floats: ratio 2.0, energy 1.5 · 23,680 + 160 · 3,796 = 642,880 pJ.
#
# <details><summary>Hint 1</summary>Five small functions and one dictionary. The bits: <code>t.numel() * t.element_size() * 8</code> for
# each t in <code>model.state_dict().values()</code>. You may call your answers to exercises 1 to 6 here.</details>
# <details><summary>Hint 2</summary>MACs: <code>register_forward_hook</code> on the layers of a deep copy, and <code>output.numel() *
# layer.weight[0].numel()</code> for each call. F1: <code>f1_score(y, labels, average="macro")</code> of scikit-learn is imported, and takes
# numpy arrays.</details>
# <details><summary>Hint 3</summary>Latency, under <code>torch.no_grad()</code>: 20 times <code>model(x[:1])</code>; then 50 times:
# synchronize, <code>start = device.clock()</code>, <code>model(x[:1])</code>, synchronize, <code>device.clock() - start</code>; that is
# <code>gpu_time(…, warmup=0, iterations=1)</code>. Then <code>summarize</code>.</details>

# %% answer="report_card"
def report_card(model, baseline, data, device):
    """Accuracy, macro F1, stored ratio, MACs, latency with interval, energy and robustness of a model against its baseline."""
    ### BEGIN SOLUTION
    def stored_bytes(network):
        return sum(t.numel() * t.element_size() for t in network.state_dict().values())

    def note(layer, inputs, output):
        macs.append(output.numel() * math.prod(layer.weight.shape[1:]))

    def now():
        device.synchronize()
        return device.clock()

    def timed_call():
        start = now()
        model(x[:1])
        return now() - start

    def labels(network, batch):
        return np.array(network(batch).argmax(dim=1).tolist())

    x, y, macs, watched = data[0], data[1].tolist(), [], copy.deepcopy(model)
    for layer in watched.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(note)
    with torch.no_grad():
        watched(x[:1])
        times = [timed_call() for _ in range(70)][20:]
        clean, shifted, dense = labels(model, x), labels(model, noisy(x)), labels(baseline, noisy(x))
    medians = np.median(np.random.default_rng(0).choice(times, (2000, len(times))), axis=1)
    per_mac = {2: 1.5, 4: 4.6}[next(model.parameters()).element_size()]
    return {"accuracy": np.mean(clean == y),
            "f1_macro": f1_score(y, clean, average="macro"),
            "ratio": stored_bytes(baseline) / stored_bytes(model),
            "macs": sum(macs),
            "latency": (np.median(times), *np.percentile(medians, [2.5, 97.5])),
            "energy": per_mac * sum(macs) + 160 * stored_bytes(model),
            "robustness": {"accuracy": np.mean(shifted == y), "flip_rate": np.mean(shifted != dense)}}
    ### END SOLUTION

# %% test="report_card" points=8
def fill_in(card_of, model, baseline, data, device):
    """The card of two models whose calls take time on a simulated device, the baseline's four times as much; then what the answer left behind."""
    for network, load in ((model, 1.0), (baseline, 4.0)):
        network.register_forward_hook(lambda layer, inputs, output, load=load: device.run(load * (0.5 + 0.5 * len(output))))
    card = card_of(model, baseline, data, device)
    keys = ("accuracy", "f1_macro", "ratio", "macs", "energy")
    return {"card": {key: card[key] for key in keys} | {"robustness": {key: card["robustness"][key] for key in ("accuracy", "flip_rate")}},
            "latency": card["latency"],
            "afterwards": [[dict(network.state_dict()), [part.training for part in network.modules()], [p.grad for p in network.parameters()],
                            [len(part._forward_hooks) for part in network.modules()]] for network in (model, baseline)] + [list(data)]}


_net, (_x, _y) = models.load("cnn"), digits(images=True)[2:]
_zeroed = copy.deepcopy(_net)
_zeroed[3].weight.data[:8] = 0.0
_told = observe(fill_in, report_card, _zeroed, _net, (_x[:100], _y[:100]), callback(devices.Simulated([], [0.002]), devices.METHODS))
assert abs(_told["card"]["ratio"] - 1.0) <= 1e-9, "zeros in dense tensors save no bit"
assert _told["card"]["macs"] == 23_680
assert abs(_told["card"]["energy"] - 1_323_648) <= 1
assert abs(_told["latency"][0] - 0.002) <= 4e-5
### BEGIN HIDDEN TESTS
def _card_alone(card_of, model, baseline, data, device):
    """All of it but the latency."""
    told = fill_in(card_of, model, baseline, data, device)
    return [told["card"], told["afterwards"]]


def _latency_alone(card_of, model, baseline, data, device):
    """Median, low and high."""
    return fill_in(card_of, model, baseline, data, device)["latency"]


def _is_the_latency(told, model, baseline, data, device):
    told, device = np.asarray(told, dtype=np.float64), getattr(device, "target", device)
    assert told.shape == (3,), "the latency is (median, low, high)"
    times = np.tile(device.warm, 2) + device.launch                             # 50 of them, each warm time twice
    median, drawn = np.median(times), np.random.default_rng(99).choice(times, (3000, len(times)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    assert abs(told[0] - median) <= 0.06 * median, "the median of the latency is wrong"
    assert abs(told[1] - low) <= 0.4 * (high - low), "low is not that of the median's interval"
    assert abs(told[2] - high) <= 0.4 * (high - low), "high is not that of the median's interval"


seed(9)
_rng = np.random.default_rng(9)
_small = nn.Sequential(nn.Sequential(nn.Conv2d(1, 3, (3, 5), padding=1, stride=2), nn.ReLU(), nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, groups=3, bias=False), nn.ReLU())),
                       nn.Flatten(), nn.Linear(72, 10)).eval()
_wide = models.mlp((12, 40, 5)).eval()
_narrow = models.mlp((12, 9, 5)).eval()
_buffered = copy.deepcopy(_wide)
_buffered[0].register_buffer("kept", torch.rand(40, 12) < 0.5)
_buffered[0].weight.data[~_buffered[0].kept] = 0.0
_half = nn.Sequential(models.Cast(torch.float16), *copy.deepcopy(_net).half(), models.Cast(torch.float32)).eval()
_worse = copy.deepcopy(_net)
for _p in _worse.parameters():
    _p.data += 0.25 * _p.data.std() * torch.randn(_p.shape)
_again = nn.Sequential(models.Residual(nn.Linear(12, 12), times=2), nn.Linear(12, 5)).eval()
_rows = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Flatten(), nn.Linear(48, 10)).eval()
_digits, _few, _made = (_x[100:180], _y[100:180]), (_x[:7], _y[:7]), torch.randn(60, 12)
_labels = torch.randint(0, 5, (60,))
_uneven = (1e-3 * np.r_[np.linspace(0.8, 1.2, 22), 5.0, 6.0, 4.0])[_rng.permutation(25)].tolist()
_early = [0.02] * 18


def _on(cold=(), warm=(0.001,), launch=1e-5, **set_clock):
    return callback(devices.Simulated(cold, warm, launch, **set_clock), devices.METHODS)


exam.compare("sizes and quality", [
    case("a cnn with noise on its weights against the cnn, 80 digits", _worse, _net, _digits, _on()),
    case("a smaller network with a stride and three groups against the cnn", _small, _net, _digits, _on()),
    case("a narrow dense network against a wide one, made-up data of 5 classes", _narrow, _wide, (_made, _labels), _on()),
    case("the wide one against the narrow one: it is larger", _wide, _narrow, (_made, _labels), _on()),
    case("a cnn whose parameters are float16, 80 digits", _half, _net, _digits, _on()),
    case("a network that calls a linear layer twice", _again, _wide, (_made, _labels), _on()),
    case("a linear layer that is applied to each of the eight rows of a digit", _rows, _net, _digits, _on()),
], weight=2, probe=_card_alone, atol=1e-6)
exam.compare("not fooled by zeros", [
    case("half of the second convolution is zero: everything is stored and computed as before", _zeroed, _net, _digits, _on()),
    case("a mask kept as a buffer is stored too: larger than before", _buffered, _wide, (_made, _labels), _on()),
    edge("all weights are zero", copy.deepcopy(_narrow).apply(lambda m: [nn.init.zeros_(p) for p in m.parameters()] and None), _narrow, (_made, _labels), _on()),
], probe=_card_alone, atol=1e-6)
exam.law("latency", _is_the_latency, [
    case("calls of different length, some disturbed, the first 18 slow", _worse, _net, _digits, _on(_early, _uneven)),
    case("a wall clock that moves 64 times a second, and is set meanwhile", _narrow, _wide, (_made, _labels),
         _on(_early, _uneven[::-1], set_at=50, set_by=-60.0, tick=1 / 64)),
    case("a slow device", _small, _net, _few, _on([4.0] * 18, [200 * t for t in _uneven], 1e-4)),
], weight=2, probe=_latency_alone)
exam.compare("edges", [
    edge("the baseline against itself: ratio 1, no flips", _net, copy.deepcopy(_net), _digits, _on()),
    edge("a single input", _worse, _net, (_x[:1], _y[:1]), _on()),
    edge("seven inputs: some classes occur in y, others only among the predictions", _worse, _net, _few, _on()),
    edge("no 3 among the digits, though some are read as one", _worse, _net, (_digits[0][_digits[1] != 3], _digits[1][_digits[1] != 3]), _on()),
], probe=_card_alone, atol=1e-6)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: four report cards
#
# With all exercises done, run this cell. It fills in the cards of the four versions on your device. No marks.

# %%
device = devices.at_hand()
x_val, y_val = (t.to(device.place) for t in digits(images=True)[2:])
versions = {name: copy.deepcopy(model).to(device.place) for name, model in make_versions().items()}
print(f"on {device.name}, one digit at a time")
print("          accuracy     F1   ratio    MACs    latency [95 %] in µs        µJ    noisy   flips     ECE   McNemar p")
with torch.no_grad():
    probabilities = {name: model(x_val).softmax(dim=1).cpu().numpy() for name, model in versions.items()}
for name, model in versions.items():
    card, y = report_card(model, versions["dense"], (x_val, y_val), device), y_val.cpu().numpy()
    middle, low, high = (1e6 * float(t) for t in card["latency"])
    p = mcnemar(probabilities["dense"].argmax(axis=1), probabilities[name].argmax(axis=1), y)
    print(f"{name:8}  {float(card['accuracy']):8.3f}  {float(card['f1_macro']):5.3f}  {float(card['ratio']):6.2f}  {int(card['macs']):6}  "
          f"{middle:8.1f} [{low:6.1f}, {high:6.1f}]  {1e-6 * float(card['energy']):8.2f}  {float(card['robustness']['accuracy']):7.3f} {float(card['robustness']['flip_rate']):7.3f}  "
          f"{float(expected_calibration_error(probabilities[name], y, 10)):6.3f}  {float(p):10.2g}")

# %% [markdown]
# Read the card line by line. `zeroed`: all numbers of quality are those of `smaller`, all numbers of cost those of `dense`: it has paid the
# price of pruning and got nothing for it. `smaller`: 2.85 times fewer bits, 3.3 times fewer MACs, a third of the energy by the model, and
# for a single digit the latency of `dense`, all but for a few per cent. `half`: half of the bits and of the energy by the model, no change
# in quality; on a processor without 16-bit units it is several times slower. The difference of 0.4 points between `dense` and `smaller` is
# seven pictures that only `dense` reads against five that only `smaller` reads: McNemar's p is 0.77. Five hundred pictures cannot say which
# of the two is the better reader. That they are different readers, the flips say clearly.
#
# ## Concepts
#
# What the exercises above taught you, asked the way an interviewer asks it: five checks that are marked at once, and two questions to
# answer in your own words. In a check every statement stands alone; any number of them, but at least one, is true.

# %% check="timing_protocol" points=1

# %% check="depthwise_on_a_roofline" points=1

# %% check="same_accuracy_other_answers" points=1

# %% check="where_the_energy_goes" points=1

# %% check="trends_of_compression" points=1

# %% [markdown] interview="I22" points=5

# %% [markdown] interview="I24" points=5

# %% [markdown]
# ## Where this leads
#
# You have a protocol: warm up, synchronize, interleave, report medians with intervals; bound the time by a roofline and the energy by a
# model with the memory in it; compare with the network you replace on the inputs that hurt; and count the bits that are really stored. Use
# it on your own results of assignments 01 to 11, and on the next paper you read: which of the nine instruments would its claim survive?
#
# Open questions. The roofline knows one memory; a real machine has a ladder of caches. Horowitz's table is of 2014 and 45 nm: today's
# arithmetic is far cheaper, and memory less so, which makes the argument stronger and the numbers wrong. A percentile bootstrap supposes
# independent samples, and neighbouring times are not quite: measure in several sessions. And `noisy` is one kind of noise among many.
