"""Wrong answers to the exercises of 12, each with what to tell a student who gave it."""
import copy
import math

import numpy as np
import torch
from torch import nn
from sklearn.metrics import f1_score

from autograder.mistakes import mistake


def _clocked(fn, device, warmup, iterations, before=True, after=True, clock="clock"):
    """Seconds of the timed calls together, with a synchronization before the start and before the stop, or without."""
    for _ in range(warmup):
        fn()
    if before:
        device.synchronize()
    start = getattr(device, clock)()
    for _ in range(iterations):
        fn()
    if after:
        device.synchronize()
    return getattr(device, clock)() - start


def _marked(fn, device, warmup, iterations):
    """Milliseconds of the timed calls together, by events."""
    for _ in range(warmup):
        fn()
    device.synchronize()
    start, end = device.event(), device.event()
    start.record()
    for _ in range(iterations):
        fn()
    end.record()
    device.synchronize()
    return start.elapsed_time(end)


@mistake("gpu_time", "You do not synchronize before you stop the clock. An asynchronous device returns at once and is still at work then, so you timed the "
         "launching of the work and not the work.")
def no_synchronize(fn, device, warmup, iterations):
    return _clocked(fn, device, warmup, iterations, before=False, after=False) / iterations


@mistake("gpu_time", "You do not synchronize before you start the clock: the warm-up is still running then, and its rest is in your time.")
def no_synchronize_before_the_start(fn, device, warmup, iterations):
    return _clocked(fn, device, warmup, iterations, before=False) / iterations


@mistake("gpu_time", "You timed the warm-up too: its slow calls are in the mean. Start the clock behind it.")
def warm_up_timed(fn, device, warmup, iterations):
    return _clocked(fn, device, 0, warmup + iterations) / (warmup + iterations)


@mistake("gpu_time", "You timed the warm-up too, and then divided by the iterations alone. Start the clock behind the warm-up.")
def warm_up_timed_and_not_counted(fn, device, warmup, iterations):
    return _clocked(fn, device, 0, warmup + iterations) / iterations


@mistake("gpu_time", "You left the warm-up out. The first calls are slow for reasons that will not come back; make warmup calls before you start.")
def no_warm_up(fn, device, warmup, iterations):
    return _clocked(fn, device, 0, iterations) / iterations


@mistake("gpu_time", "You warm up with one call, whatever warmup says.")
def one_warm_up(fn, device, warmup, iterations):
    return _clocked(fn, device, 1, iterations) / iterations


@mistake("gpu_time", "You counted the warm-up among the calls that you divided by. The time is that of the iterations alone.")
def divided_by_all_calls(fn, device, warmup, iterations):
    return _clocked(fn, device, warmup, iterations) / (warmup + iterations)


@mistake("gpu_time", "Your result is in milliseconds, as elapsed_time gives them, and not in seconds: divide by 1000.")
def milliseconds(fn, device, warmup, iterations):
    return _marked(fn, device, warmup, iterations) / iterations


@mistake("gpu_time", "You used the wall clock, which somebody may set while you measure. Use device.clock(), which only goes forward, or events.")
def wall_clock(fn, device, warmup, iterations):
    return _clocked(fn, device, warmup, iterations, clock="time") / iterations


@mistake("gpu_time", "You gave the time of all iterations together. Divide by their number.")
def all_together(fn, device, warmup, iterations):
    return _clocked(fn, device, warmup, iterations)


@mistake("gpu_time", "You divide by a fixed number of calls, and not by iterations.")
def fixed_iterations(fn, device, warmup, iterations):
    return _clocked(fn, device, warmup, iterations) / 10


@mistake("gpu_time", "You synchronize after every call. So no call is launched while another one runs, and each pays for its launch: that is another, longer time. "
         "Synchronize once before the start and once before the stop.")
def synchronize_in_the_loop(fn, device, warmup, iterations):
    def waited():
        fn()
        device.synchronize()
    return _clocked(waited, device, warmup, iterations) / iterations


@mistake("gpu_time", "You read the events before the device had come to them, and elapsed_time raised, or an event was never recorded. Record both, then synchronize.")
def read_too_early(fn, device, warmup, iterations):
    for _ in range(warmup):
        fn()
    start, end = device.event(), device.event()
    start.record()
    for _ in range(iterations):
        fn()
    end.record()
    return start.elapsed_time(end) / 1000 / iterations


@mistake("gpu_time", "You timed each call by itself and took the median. The result here is the mean of the iterations, from one start to one stop.")
def median_of_single_calls(fn, device, warmup, iterations):
    times = [_clocked(fn, device, warmup if n == 0 else 0, 1) for n in range(iterations)]
    return float(np.median(times))


@mistake("gpu_time", "You took the fastest call. The result here is the mean of all iterations.")
def fastest_call(fn, device, warmup, iterations):
    return min(_clocked(fn, device, warmup if n == 0 else 0, 1) for n in range(iterations))


@mistake("gpu_time", "You timed one call only, and ignored iterations.")
def iterations_ignored(fn, device, warmup, iterations):
    return _clocked(fn, device, warmup, 1)


def _told(times, **changed):
    """A right summary but for what is changed."""
    p25, p50, p75, p95, p99 = np.percentile(times, [25, 50, 75, 95, 99])
    low, high = _bootstrap(times)
    return {"median": p50, "p50": p50, "p95": p95, "p99": p99, "iqr": p75 - p25, "std": np.std(times, ddof=1), "low": low, "high": high} | changed


def _bootstrap(values, statistic=np.median, size=None, resamples=2000, levels=(2.5, 97.5)):
    drawn = np.random.default_rng(0).choice(values, (resamples, size or len(values)))
    return np.percentile(statistic(drawn, axis=1), levels)


@mistake("summarize", "You gave the mean for the median. One slow run in a hundred moves the mean, and it is in neither the usual case nor the tail.")
def mean_for_median(times):
    return _told(times, median=np.mean(times), p50=np.mean(times))


@mistake("summarize", "You gave mean and standard deviation only. A sample with a long tail needs percentiles and an interval: all eight keys are asked for.")
def mean_only(times):
    return {"mean": np.mean(times), "std": np.std(times, ddof=1)}


@mistake("summarize", "You dropped the slow runs as outliers before you summarised. They are part of what was measured, and the tail is what p99 is for.")
def outliers_dropped(times):
    p25, p75 = np.percentile(times, [25, 75])
    return _told(times[times <= p75 + 1.5 * (p75 - p25)])


@mistake("summarize", "You divided by n for the standard deviation. Of a sample it is n − 1: np.std(times, ddof=1).")
def population_deviation(times):
    return _told(times, std=np.std(times))


@mistake("summarize", "You gave the variance for the standard deviation. Take its square root.")
def variance(times):
    return _told(times, std=np.var(times, ddof=1))


@mistake("summarize", "You took the percentiles by the nearest rank. Here they are interpolated linearly between neighbours, as numpy does by default.")
def nearest_rank(times):
    return _told(times, **{f"p{q}": np.percentile(times, q, method="inverted_cdf") for q in (95, 99)})


@mistake("summarize", "You gave the 2.5th and the 97.5th percentile of the times themselves. They say where the times lie; low and high say how well the median is known. Resample first.")
def percentiles_of_the_times(times):
    low, high = np.percentile(times, [2.5, 97.5])
    return _told(times, low=low, high=high)


@mistake("summarize", "You gave median ± 1.96 · std / √n. That is an interval for the mean of a normal sample; the tail of the times makes it far too wide. Use the bootstrap of the median.")
def normal_interval(times):
    half = 1.96 * np.std(times, ddof=1) / np.sqrt(len(times))
    return _told(times, low=np.median(times) - half, high=np.median(times) + half)


@mistake("summarize", "You bootstrapped the mean. low and high belong to the median: take the median of each resample.")
def bootstrap_of_the_mean(times):
    low, high = _bootstrap(times, np.mean)
    return _told(times, low=low, high=high)


@mistake("summarize", "You drew without replacement: then each resample is the sample again, and all medians are alike. Draw with replacement.")
def without_replacement(times):
    return _told(times, low=np.median(times), high=np.median(times))


@mistake("summarize", "You gave the smallest and the largest of the resampled medians. The interval runs from their 2.5th to their 97.5th percentile.")
def extreme_medians(times):
    low, high = _bootstrap(times, levels=(0, 100), resamples=4000)
    return _told(times, low=low, high=high)


@mistake("summarize", "Your resamples have ten times each. They must be as large as the sample, or their medians scatter more than that of the sample.")
def small_resamples(times):
    low, high = _bootstrap(times, size=10)
    return _told(times, low=low, high=high)


@mistake("summarize", "You exchanged low and high.")
def low_and_high_exchanged(times):
    low, high = _bootstrap(times)
    return _told(times, low=high, high=low)


@mistake("summarize", "You sorted the given array in place. Work on a copy: np.sort(times), or let np.percentile do it.")
def sorts_its_input(times):
    times.sort()
    return _told(times)


@mistake("summarize", "You gave the 75th percentile for the IQR. It is the 75th less the 25th.")
def upper_quartile(times):
    return _told(times, iqr=np.percentile(times, 75))


@mistake("summarize", "You gave the whole range for the IQR. It is the 75th percentile less the 25th.")
def range_for_iqr(times):
    return _told(times, iqr=np.max(times) - np.min(times))


@mistake("summarize", "You took the first and last place as if the times were sorted. They come in the order in which they were measured.")
def supposes_sorted(times):
    return _told(times, **{"p95": times[int(0.95 * len(times))], "p99": times[int(0.99 * len(times))], "p50": times[len(times) // 2], "median": times[len(times) // 2]})


def _with_interval(ratios):
    return np.median(ratios), *_bootstrap(ratios)


@mistake("speedup", "You divided the mean of all a by the mean of all b. The drift of the machine and every disturbed run are in that. Take the ratio within each pair.")
def ratio_of_means(a, b):
    low, high = _bootstrap(a / b)
    return np.mean(a) / np.mean(b), low, high


@mistake("speedup", "You divided the median of a by the median of b. On a machine that drifts the two medians come from different moments. Take the ratio within each pair.")
def ratio_of_medians(a, b):
    low, high = _bootstrap(a / b)
    return np.median(a) / np.median(b), low, high


@mistake("speedup", "You took the mean of the ratios. One disturbed pair moves it; the median is asked for.")
def mean_of_ratios(a, b):
    return np.mean(a / b), *_bootstrap(a / b)


@mistake("speedup", "You inverted the ratio. a is the old version and b the new one: 2.0 says that b takes half the time, so a / b.")
def inverted(a, b):
    return _with_interval(b / a)


@mistake("speedup", "You gave no interval. Without it nobody can tell 1.05 from luck: return (median, low, high).")
def no_interval(a, b):
    return float(np.median(a / b))


@mistake("speedup", "You repeated the median in place of an interval. Bootstrap the ratios for low and high.")
def interval_of_no_width(a, b):
    middle = np.median(a / b)
    return middle, middle, middle


@mistake("speedup", "You resampled a and b apart, which tears the pairs: the drift of the machine is in your interval. Resample the ratios.")
def resampled_apart(a, b):
    rng = np.random.default_rng(0)
    drawn = np.median(rng.choice(a, (2000, len(a))), axis=1) / np.median(rng.choice(b, (2000, len(b))), axis=1)
    return np.median(a / b), *np.percentile(drawn, [2.5, 97.5])


@mistake("speedup", "You sorted a and b before you divided. So the pairs are no longer those that were measured side by side.")
def sorted_first(a, b):
    return _with_interval(np.sort(a) / np.sort(b))


@mistake("speedup", "You paired every time of a with every time of b. Only those measured side by side are pairs.")
def all_pairs(a, b):
    return _with_interval((a[:, None] / b[None, :]).ravel())


@mistake("speedup", "You gave the 2.5th and the 97.5th percentile of the ratios themselves. They say where the ratios lie; low and high say how well their median is known. Resample first.")
def percentiles_of_the_ratios(a, b):
    return np.percentile(a / b, [50, 2.5, 97.5])


@mistake("speedup", "You gave the difference of the times. A speed-up is their ratio.")
def difference_of_times(a, b):
    return _with_interval(a - b)


@mistake("speedup", "You gave the saving, 1 − b/a. A speed-up is a/b: 2.0 where half of the time is saved.")
def share_saved(a, b):
    return _with_interval(1 - b / a)


@mistake("roofline_time", "You took the smaller of the two times. Both have to be done, so the longer one decides: max. (It is the attainable performance of which Williams takes the minimum.)")
def minimum(macs, bytes, peak, bandwidth):
    compute, memory = 2 * macs / peak, bytes / bandwidth
    return min(compute, memory), "compute" if compute > memory else "memory"


@mistake("roofline_time", "You added the two times. In the roofline model arithmetic and traffic overlap, so that the longer one decides.")
def added(macs, bytes, peak, bandwidth):
    compute, memory = 2 * macs / peak, bytes / bandwidth
    return compute + memory, "compute" if compute > memory else "memory"


@mistake("roofline_time", "You counted a multiply-accumulate as one operation. Peak is in FLOP/s, and a MAC is two of them.")
def one_operation_per_mac(macs, bytes, peak, bandwidth):
    compute, memory = macs / peak, bytes / bandwidth
    return max(compute, memory), "compute" if compute > memory else "memory"


@mistake("roofline_time", "You counted bits against bytes per second. bytes / bandwidth needs no 8.")
def bits_for_bytes(macs, bytes, peak, bandwidth):
    compute, memory = 2 * macs / peak, 8 * bytes / bandwidth
    return max(compute, memory), "compute" if compute > memory else "memory"


@mistake("roofline_time", "Your verdicts are exchanged: the one of the two that takes longer binds.")
def verdict_exchanged(macs, bytes, peak, bandwidth):
    compute, memory = 2 * macs / peak, bytes / bandwidth
    return max(compute, memory), "memory" if compute > memory else "compute"


@mistake("roofline_time", "You looked at the arithmetic alone, so that everything is compute bound. A depthwise convolution does 9 MACs for each number it reads and writes: it waits for memory.")
def arithmetic_alone(macs, bytes, peak, bandwidth):
    return 2 * macs / peak, "compute"


@mistake("roofline_time", "You half forgot the traffic: only half of the bytes are in your time. Inputs are read and outputs are written, and bytes holds both already.")
def half_of_the_traffic(macs, bytes, peak, bandwidth):
    compute, memory = 2 * macs / peak, bytes / 2 / bandwidth
    return max(compute, memory), "compute" if compute > memory else "memory"


@mistake("roofline_time", "You gave the attainable performance in FLOP/s. Asked for is the time: the operations divided by it.")
def performance(macs, bytes, peak, bandwidth):
    attainable = min(peak, bandwidth * 2 * macs / bytes)
    return attainable, "compute" if attainable == peak else "memory"


@mistake("roofline_time", "You decide by one operation a byte. Where the ridge lies depends on the machine: at peak / bandwidth. Compare the two times.")
def fixed_ridge(macs, bytes, peak, bandwidth):
    return max(2 * macs / peak, bytes / bandwidth), "compute" if 2 * macs > bytes else "memory"


@mistake("roofline_time", "You gave the time in microseconds. Seconds are asked for.")
def microseconds(macs, bytes, peak, bandwidth):
    compute, memory = 2e6 * macs / peak, 1e6 * bytes / bandwidth
    return max(compute, memory), "compute" if compute > memory else "memory"


MAC = {8: 0.23, 16: 1.5, 32: 4.6}


@mistake("energy", "You counted the arithmetic only. Most of the energy goes into fetching data: add 160 pJ for each byte from DRAM and 1.25 for each from SRAM.")
def macs_only(macs, dram_bytes, sram_bytes, bits):
    return MAC[bits] * macs


@mistake("energy", "You took the energy of a float32 MAC whatever bits says. An 8-bit MAC takes 0.23 pJ, a twentieth.")
def float_for_all(macs, dram_bytes, sram_bytes, bits):
    return MAC[32] * macs + 160 * dram_bytes + 1.25 * sram_bytes


@mistake("energy", "You multiplied the bytes by 8. The table's energies are for a byte.")
def bits_of_traffic(macs, dram_bytes, sram_bytes, bits):
    return MAC[bits] * macs + 8 * (160 * dram_bytes + 1.25 * sram_bytes)


@mistake("energy", "You divided the bytes by 8. They are bytes already, and the table's energies are for a byte.")
def traffic_divided_by_eight(macs, dram_bytes, sram_bytes, bits):
    return MAC[bits] * macs + (160 * dram_bytes + 1.25 * sram_bytes) / 8


@mistake("energy", "You scaled the traffic by bits / 32. The bytes are those that move, narrower numbers are in them already.")
def traffic_scaled(macs, dram_bytes, sram_bytes, bits):
    return MAC[bits] * macs + bits / 32 * (160 * dram_bytes + 1.25 * sram_bytes)


@mistake("energy", "You took 640 pJ for a byte from DRAM. That is what 32 bits take: a byte takes 160.")
def word_for_byte(macs, dram_bytes, sram_bytes, bits):
    return MAC[bits] * macs + 640 * dram_bytes + 5 * sram_bytes


@mistake("energy", "You left the SRAM out: 1.25 pJ a byte.")
def no_sram(macs, dram_bytes, sram_bytes, bits):
    return MAC[bits] * macs + 160 * dram_bytes


@mistake("energy", "You exchanged DRAM and SRAM: a byte from DRAM takes 160 pJ, one from SRAM 1.25.")
def memories_exchanged(macs, dram_bytes, sram_bytes, bits):
    return MAC[bits] * macs + 1.25 * dram_bytes + 160 * sram_bytes


@mistake("energy", "You scaled the MAC's energy in proportion to its bits. It falls faster: 4.6, 1.5 and 0.23 pJ at 32, 16 and 8 bits.")
def proportional_to_bits(macs, dram_bytes, sram_bytes, bits):
    return 4.6 * bits / 32 * macs + 160 * dram_bytes + 1.25 * sram_bytes


@mistake("energy", "You counted a MAC as two operations and took the table's energy for each. The energies are those of a whole MAC.")
def mac_counted_twice(macs, dram_bytes, sram_bytes, bits):
    return 2 * MAC[bits] * macs + 160 * dram_bytes + 1.25 * sram_bytes


@mistake("energy", "You gave microjoules or joules. Picojoules are asked for.")
def joules(macs, dram_bytes, sram_bytes, bits):
    return 1e-12 * (MAC[bits] * macs + 160 * dram_bytes + 1.25 * sram_bytes)


def _entry(told, dense, y, **changed):
    return {"accuracy": np.mean(told == y), "flip_rate": np.mean(told != dense),
            "drop": np.array([np.mean(dense[y == c] == c) - np.mean(told[y == c] == c) for c in np.unique(y)])} | changed


def _each(models, data, corruptions, entry):
    """A right report but for the entries: `entry(told, dense, y)`."""
    report = {name: {} for name in models}
    for corruption, corrupt in corruptions.items():
        shown = corrupt(data[0])
        labels = {name: np.asarray(model(shown)) for name, model in models.items()}
        for name, told in labels.items():
            report[name][corruption] = entry(told, labels["dense"], data[1])
    return report


@mistake("robustness", "Every model saw noise of its own, because you called the corruption anew for each. Corrupt once, and show the same inputs to all.")
def noise_for_each_model(models, data, corruptions):
    x, y = data
    report = {name: {} for name in models}
    for corruption, corrupt in corruptions.items():
        dense = np.asarray(models["dense"](corrupt(x)))
        for name, model in models.items():
            told = dense if name == "dense" else np.asarray(model(corrupt(x)))
            report[name][corruption] = _entry(told, dense, y)
    return report


@mistake("robustness", "You counted labels that differ from y as flips. That is the error rate; a flip is a label that differs from the dense model's, right or wrong.")
def flips_against_labels(models, data, corruptions):
    return _each(models, data, corruptions, lambda told, dense, y: _entry(told, dense, y, flip_rate=np.mean(told != y)))


@mistake("robustness", "You counted as flips only inputs that the dense model gets right. Every label that differs from the dense model's is one.")
def flips_of_right_labels(models, data, corruptions):
    return _each(models, data, corruptions, lambda told, dense, y: _entry(told, dense, y, flip_rate=np.mean((told != dense) & (dense == y))))


@mistake("robustness", "You counted agreement instead of flips. The flip rate of the dense model is 0.")
def agreement(models, data, corruptions):
    return _each(models, data, corruptions, lambda told, dense, y: _entry(told, dense, y, flip_rate=np.mean(told == dense)))


@mistake("robustness", "You compared with what the dense model says of the clean inputs. All models, the dense one too, are to be looked at on the same corrupted inputs.")
def clean_dense(models, data, corruptions):
    dense = np.asarray(models["dense"](data[0]))
    return _each(models, data, corruptions, lambda told, _, y: _entry(told, dense, y))


@mistake("robustness", "The clean inputs are in your numbers: you averaged their accuracy in. Only corrupted inputs count.")
def clean_in_the_mean(models, data, corruptions):
    x, y = data
    report = _each(models, data, corruptions, _entry)
    for name, model in models.items():
        clean = np.mean(np.asarray(model(x)) == y)
        for entry in report[name].values():
            entry["accuracy"] = (entry["accuracy"] + clean) / 2
    return report


@mistake("robustness", "You never corrupted the inputs: all numbers are those of the clean ones.")
def never_corrupted(models, data, corruptions):
    return _each(models, data, {name: lambda x: x for name in corruptions}, _entry)


@mistake("robustness", "You applied the corruptions one after the other. Each is applied to the clean inputs.")
def chained(models, data, corruptions):
    x, y = data
    report = {name: {} for name in models}
    for corruption, corrupt in corruptions.items():
        x = corrupt(x)
        labels = {name: np.asarray(model(x)) for name, model in models.items()}
        for name, told in labels.items():
            report[name][corruption] = _entry(told, labels["dense"], y)
    return report


@mistake("robustness", "Your drops have the wrong sign: a class that the model lost has a positive drop, dense less model.")
def drop_inverted(models, data, corruptions):
    return _each(models, data, corruptions, lambda told, dense, y: _entry(told, dense, y, drop=-_entry(told, dense, y)["drop"]))


@mistake("robustness", "You gave one drop for all classes together. One number for each class that occurs in y is asked for.")
def one_drop(models, data, corruptions):
    return _each(models, data, corruptions, lambda told, dense, y: _entry(told, dense, y, drop=np.mean(dense == y) - np.mean(told == y)))


@mistake("robustness", "You divided a class's lost inputs by all inputs. A class's accuracy is over the inputs of that class.")
def drop_over_all(models, data, corruptions):
    return _each(models, data, corruptions, lambda told, dense, y: _entry(
        told, dense, y, drop=np.array([np.sum((dense == y) & (y == c)) - np.sum((told == y) & (y == c)) for c in np.unique(y)]) / len(y)))


@mistake("robustness", "You gave a drop for every class from 0 to the largest. Classes that do not occur in y have none.")
def drop_for_all_numbers(models, data, corruptions):
    def entry(told, dense, y):
        drops = [np.mean((dense == y)[y == c]) - np.mean((told == y)[y == c]) if (y == c).any() else 0.0 for c in range(y.max() + 1)]
        return _entry(told, dense, y, drop=np.array(drops))
    return _each(models, data, corruptions, entry)


@mistake("robustness", "You listed the classes in the order in which they occur. Ascending order is asked for.")
def classes_as_they_come(models, data, corruptions):
    return _each(models, data, corruptions, lambda told, dense, y: _entry(
        told, dense, y, drop=np.array([np.mean(dense[y == c] == c) - np.mean(told[y == c] == c) for c in dict.fromkeys(y.tolist())])))


@mistake("robustness", "You left the dense model out of the report. It belongs in it, with a flip rate of 0 and drops of 0.")
def without_dense(models, data, corruptions):
    report = _each(models, data, corruptions, _entry)
    return {name: entries for name, entries in report.items() if name != "dense"}


def _bins(p, y, bins, lower_open=True):
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    for m in range(bins):
        if lower_open:
            inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        else:
            inside = (confidence >= m / bins) & ((confidence < (m + 1) / bins) | (m == bins - 1))
        yield inside, confidence, right


@mistake("expected_calibration_error", "An empty bin gave you NaN, the mean of no numbers, and with it the sum. An empty bin contributes 0.")
def empty_bin_is_nan(p, y, bins):
    return sum(inside.mean() * abs(right[inside].mean() - confidence[inside].mean()) for inside, confidence, right in _bins(p, y, bins))


@mistake("expected_calibration_error", "You averaged over the bins. A bin counts as many times as it has rows: weigh it by |B|/N.")
def unweighted(p, y, bins):
    gaps = [abs(right[inside].mean() - confidence[inside].mean()) for inside, confidence, right in _bins(p, y, bins) if inside.any()]
    return float(np.mean(gaps))


@mistake("expected_calibration_error", "You averaged over all bins, empty ones as 0. A bin counts as many times as it has rows: weigh it by |B|/N.")
def unweighted_with_empty_bins(p, y, bins):
    return sum(abs(right[inside].mean() - confidence[inside].mean()) for inside, confidence, right in _bins(p, y, bins) if inside.any()) / bins


@mistake("expected_calibration_error", "Your bins hold their lower edge and not their upper one. A confidence on an edge belongs to the lower bin: (lo, hi].")
def lower_edge_in(p, y, bins):
    return sum(abs(right[inside].sum() - confidence[inside].sum()) for inside, confidence, right in _bins(p, y, bins, False)) / len(y)


@mistake("expected_calibration_error", "You let gaps of opposite sign cancel. Each bin contributes its absolute gap.")
def signed(p, y, bins):
    return abs(sum(right[inside].sum() - confidence[inside].sum() for inside, confidence, right in _bins(p, y, bins))) / len(y)


@mistake("expected_calibration_error", "You squared the gaps. The ECE takes their absolute values.")
def squared(p, y, bins):
    return sum(inside.mean() * (right[inside].mean() - confidence[inside].mean()) ** 2 for inside, confidence, right in _bins(p, y, bins) if inside.any())


@mistake("expected_calibration_error", "You gave the largest gap (that is the maximum calibration error). The ECE is the mean of the gaps, weighted by rows.")
def largest_gap(p, y, bins):
    return max(abs(right[inside].mean() - confidence[inside].mean()) for inside, confidence, right in _bins(p, y, bins) if inside.any())


@mistake("expected_calibration_error", "You took the probability of the true class for the confidence. Confidence is the largest probability, whatever the label.")
def probability_of_the_label(p, y, bins):
    confidence, right = p[np.arange(len(y)), y], p.argmax(axis=1) == y
    numbers = np.clip(np.ceil(confidence * bins), 1, bins)
    return sum(abs(right[numbers == m].sum() - confidence[numbers == m].sum()) for m in range(1, bins + 1)) / len(y)


@mistake("expected_calibration_error", "You took the middle of a bin for its confidence. conf is the mean of the confidences in it.")
def middle_of_the_bin(p, y, bins):
    return sum(abs(right[inside].sum() - (m + 0.5) / bins * inside.sum()) for m, (inside, _, right) in enumerate(_bins(p, y, bins))) / len(y)


@mistake("expected_calibration_error", "You cut the bins so that each holds equally many rows. They are equally wide: ((m − 1)/M, m/M].")
def equally_filled(p, y, bins):
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    return sum(abs(right[part].sum() - confidence[part].sum()) for part in np.array_split(np.argsort(confidence), bins)) / len(y)


@mistake("expected_calibration_error", "You used ten bins whatever the argument says.")
def ten_bins(p, y, bins):
    return sum(abs(right[inside].sum() - confidence[inside].sum()) for inside, confidence, right in _bins(p, y, 10)) / len(y)


@mistake("expected_calibration_error", "You gave the gap as a percentage. It is a share between 0 and 1.")
def percentage(p, y, bins):
    return 100 * sum(abs(right[inside].sum() - confidence[inside].sum()) for inside, confidence, right in _bins(p, y, bins)) / len(y)


def _discordant(a, b, y):
    return int(np.sum((a == y) & (b != y))), int(np.sum((b == y) & (a != y)))


def _tail(m, k):
    return sum(math.comb(m, i) for i in range(k + 1)) / 2**m


@mistake("mcnemar", "Your p is above 1 where the two counts are equal or nearly so: the doubled sum counts the middle twice. Take min(1, …).")
def above_one(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    return 2 * _tail(n_a + n_b, min(n_a, n_b))


@mistake("mcnemar", "You compared the two accuracies as if they came from different inputs. They are of the same inputs: only those on which one model is right and the other wrong tell anything.")
def unpaired(a, b, y):
    n, right_a, right_b = len(y), np.mean(a == y), np.mean(b == y)
    pooled = (right_a + right_b) / 2
    spread = math.sqrt(2 * pooled * (1 - pooled) / n)
    return math.erfc(abs(right_a - right_b) / spread / math.sqrt(2)) if spread else 1.0


@mistake("mcnemar", "Your test is one-sided: you did not double the sum. Nobody said beforehand which of the two is better.")
def one_sided(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    return min(1.0, _tail(n_a + n_b, min(n_a, n_b)))


@mistake("mcnemar", "You summed from the wrong side for one of the two orders: with min(n_a, n_b), exchanging a and b changes nothing.")
def depends_on_the_order(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    return min(1.0, 2 * _tail(n_a + n_b, n_a))


@mistake("mcnemar", "You used the chi-squared approximation with continuity correction. The exact binomial probability is asked for.")
def chi_squared_corrected(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    return math.erfc(math.sqrt(max(0, abs(n_a - n_b) - 1) ** 2 / (n_a + n_b) / 2)) if n_a + n_b else 1.0


@mistake("mcnemar", "You used the chi-squared or the normal approximation. The exact binomial probability is asked for.")
def chi_squared(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    return math.erfc(math.sqrt((n_a - n_b) ** 2 / (n_a + n_b) / 2)) if n_a + n_b else 1.0


@mistake("mcnemar", "You counted half of the middle term (the mid-p value). The exact test counts all of it.")
def mid_p(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    m, k = n_a + n_b, min(n_a, n_b)
    return min(1.0, 2 * _tail(m, k) - math.comb(m, k) / 2**m) if m else 1.0


@mistake("mcnemar", "You counted inputs on which the labels differ. Where both are wrong, differing labels say nothing of which model is better.")
def differing_labels(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    m = int(np.sum(a != b))
    return min(1.0, 2 * _tail(m, min(n_a, n_b)))


@mistake("mcnemar", "You gave 0 where the models never disagree. Then nothing speaks against their being equally good: p = 1.")
def zero_without_disagreement(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    return min(1.0, 2 * _tail(n_a + n_b, min(n_a, n_b))) if n_a + n_b else 0.0


@mistake("mcnemar", "You divided by the number of disagreements without asking whether there is any. Without one, p = 1.")
def breaks_without_disagreement(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    return min(1.0, 2 * _tail(n_a + n_b, min(n_a, n_b))) if (n_a - n_b) / (n_a + n_b) < 2 else 1.0


@mistake("mcnemar", "You gave the probability of exactly this many, doubled. A p-value counts all that are as far out or further: sum over k.")
def one_term(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    return min(1.0, 2 * math.comb(n_a + n_b, min(n_a, n_b)) / 2 ** (n_a + n_b))


@mistake("mcnemar", "Your sum stops one term too early. It runs up to and with min(n_a, n_b).")
def one_term_too_few(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    m = n_a + n_b
    return min(1.0, 2 * sum(math.comb(m, k) for k in range(min(n_a, n_b))) / 2**m) if m else 1.0


@mistake("mcnemar", "Powers of two beyond 1024 do not fit a float: 0.5 ** m became 0. Divide whole numbers by 2**m.")
def underflow(a, b, y):
    n_a, n_b = _discordant(a, b, y)
    total = float(sum(math.comb(n_a + n_b, k) for k in range(min(n_a, n_b) + 1)) % 10**300) if n_a + n_b > 1074 else None
    return min(1.0, 2 * _tail(n_a + n_b, min(n_a, n_b))) if total is None else min(1.0, 2 * total * 0.5 ** (n_a + n_b))


def _noisy(x):
    return x + 0.25 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))


def _bytes(network):
    return sum(t.numel() * t.element_size() for t in network.state_dict().values())


def _macs(model, x, of=lambda layer, output: output.numel() * layer.weight[0].numel()):
    counts, watched = [], copy.deepcopy(model)
    for layer in watched.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(lambda layer, inputs, output: counts.append(of(layer, output)))
    with torch.no_grad():
        watched(x)
    return sum(counts)


def _samples(call, device, warmup=20, count=50, before=True, after=True, clock="clock"):
    for _ in range(warmup):
        call()
    times = []
    for _ in range(count):
        if before:
            device.synchronize()
        start = getattr(device, clock)()
        call()
        if after:
            device.synchronize()
        times.append(getattr(device, clock)() - start)
    return np.array(times)


def _card(model, baseline, data, device, **changed):
    """A right card but for what is changed."""
    x, y = data
    with torch.no_grad():
        labels, shifted, dense = model(x).argmax(1), model(_noisy(x)).argmax(1), baseline(_noisy(x)).argmax(1)
        if "latency" not in changed:
            times = _samples(lambda: model(x[:1]), device)
            changed["latency"] = np.median(times), *_bootstrap(times)
    macs = _macs(model, x[:1])
    return {"accuracy": (labels == y).double().mean().item(), "f1_macro": f1_score(y, labels, average="macro"), "ratio": _bytes(baseline) / _bytes(model),
            "macs": macs, "energy": {2: 1.5, 4: 4.6}[next(model.parameters()).element_size()] * macs + 160 * _bytes(model),
            "robustness": {"accuracy": (shifted == y).double().mean().item(), "flip_rate": (shifted != dense).double().mean().item()}} | changed


@mistake("report_card", "You counted only non-zero weights for the ratio. Stored densely, a zero takes as many bits as any other number: a model full of zeros has ratio 1.0.")
def fooled_by_zeros(model, baseline, data, device):
    bits = [sum(int(t.count_nonzero()) * t.element_size() for t in network.state_dict().values()) or 1 for network in (baseline, model)]
    return _card(model, baseline, data, device, ratio=bits[0] / bits[1])


@mistake("report_card", "Your ratio counts numbers, not bits: 16-bit numbers are half as large. Multiply by the element size.")
def numbers_for_bits(model, baseline, data, device):
    counts = [sum(t.numel() for t in network.state_dict().values()) for network in (baseline, model)]
    return _card(model, baseline, data, device, ratio=counts[0] / counts[1])


@mistake("report_card", "Your ratio counts parameters only. A mask that is kept as a buffer is stored too: go through the state dict.")
def parameters_only(model, baseline, data, device):
    sizes = [sum(p.numel() * p.element_size() for p in network.parameters()) for network in (baseline, model)]
    return _card(model, baseline, data, device, ratio=sizes[0] / sizes[1])


@mistake("report_card", "Your ratio leaves out the biases. All that is stored counts.")
def matrices_only(model, baseline, data, device):
    sizes = [sum(t.numel() * t.element_size() for t in network.state_dict().values() if t.dim() > 1) for network in (baseline, model)]
    return _card(model, baseline, data, device, ratio=sizes[0] / sizes[1])


@mistake("report_card", "Your ratio is inverted: original bits / compressed bits, so that more than 1 is smaller.")
def ratio_inverted(model, baseline, data, device):
    return _card(model, baseline, data, device, ratio=_bytes(model) / _bytes(baseline))


@mistake("report_card", "You left out the products with zero weights. A dense kernel computes them like any other.")
def macs_without_zeros(model, baseline, data, device):
    x = data[0][:1]
    macs = _macs(model, x, lambda layer, output: output.numel() // layer.weight.shape[0] * int(layer.weight.count_nonzero()))
    return _card(model, baseline, data, device, macs=macs)


@mistake("report_card", "You counted the MACs of the whole batch. Those of one input are asked for.")
def macs_of_the_batch(model, baseline, data, device):
    return _card(model, baseline, data, device, macs=_macs(model, data[0]))


@mistake("report_card", "You counted FLOPs. A MAC is one, not two.")
def flops(model, baseline, data, device):
    return _card(model, baseline, data, device, macs=2 * _macs(model, data[0][:1]))


@mistake("report_card", "Your MACs ignore the groups of a convolution: each output takes C_in / g channels.")
def groups_ignored(model, baseline, data, device):
    macs = _macs(model, data[0][:1], lambda layer, output: output.numel() * layer.weight[0].numel() * getattr(layer, "groups", 1))
    return _card(model, baseline, data, device, macs=macs)


@mistake("report_card", "Your MACs count each layer once. One that is called twice computes twice: count its calls.")
def macs_of_each_layer_once(model, baseline, data, device):
    called = set()
    macs = _macs(model, data[0][:1], lambda layer, output: 0 if layer in called else called.add(layer) or output.numel() * layer.weight[0].numel())
    return _card(model, baseline, data, device, macs=macs)


@mistake("report_card", "Your MACs take a linear layer for one product of its matrix. It is applied to every vector of its input: count the elements of its output.")
def macs_of_one_vector(model, baseline, data, device):
    macs = _macs(model, data[0][:1], lambda layer, output: layer.weight.numel() if isinstance(layer, nn.Linear) else output.numel() * layer.weight[0].numel())
    return _card(model, baseline, data, device, macs=macs)


@mistake("report_card", "You gave the baseline's MACs, or took them for equal. The model's own are asked for.")
def macs_of_the_baseline(model, baseline, data, device):
    return _card(model, baseline, data, device, macs=_macs(baseline, data[0][:1]))


@mistake("report_card", "You timed the baseline. The card is the model's.")
def latency_of_the_baseline(model, baseline, data, device):
    with torch.no_grad():
        times = _samples(lambda: baseline(data[0][:1]), device)
    return _card(model, baseline, data, device, latency=(np.median(times), *_bootstrap(times)))


def _with_latency(model, baseline, data, device, told=lambda times: (np.median(times), *_bootstrap(times)), inputs=None, **how):
    x = data[0][:1] if inputs is None else inputs
    with torch.no_grad():
        times = _samples(lambda: model(x), device, **how)
    return _card(model, baseline, data, device, latency=told(times))


@mistake("report_card", "You do not synchronize: the calls return at once, and you timed their launching.")
def latency_without_synchronize(model, baseline, data, device):
    return _with_latency(model, baseline, data, device, before=False, after=False)


@mistake("report_card", "You timed the model without a warm-up: its first calls are slow.")
def latency_without_warm_up(model, baseline, data, device):
    return _with_latency(model, baseline, data, device, warmup=0)


@mistake("report_card", "You timed the whole batch. The latency is that of one call on one input.")
def latency_of_the_batch(model, baseline, data, device):
    return _with_latency(model, baseline, data, device, inputs=data[0])


@mistake("report_card", "You timed the whole batch and divided by its size. That is a throughput; the latency is that of one call on one input.")
def latency_from_throughput(model, baseline, data, device):
    n = len(data[0])
    return _with_latency(model, baseline, data, device, inputs=data[0], told=lambda times: (np.median(times) / n, *_bootstrap(times / n)))


@mistake("report_card", "You gave the mean latency. Some calls are disturbed; the median is asked for.")
def mean_latency(model, baseline, data, device):
    return _with_latency(model, baseline, data, device, lambda times: (np.mean(times), *_bootstrap(times)))


@mistake("report_card", "You gave the latency without an interval: (median, low, high).")
def latency_without_interval(model, baseline, data, device):
    return _with_latency(model, baseline, data, device, lambda times: (np.median(times),) * 3)


@mistake("report_card", "You gave percentiles of the times as the interval. low and high say how well the median is known: bootstrap it.")
def percentiles_as_interval(model, baseline, data, device):
    return _with_latency(model, baseline, data, device, lambda times: np.percentile(times, [50, 2.5, 97.5]))


@mistake("report_card", "You gave the latency in milliseconds. Seconds are asked for.")
def latency_in_milliseconds(model, baseline, data, device):
    return _with_latency(model, baseline, data, device, lambda times: (1000 * np.median(times), *(1000 * _bootstrap(times))))


@mistake("report_card", "You timed with the wall clock, which was set meanwhile. Use device.clock() or events.")
def latency_by_the_wall_clock(model, baseline, data, device):
    return _with_latency(model, baseline, data, device, clock="time")


@mistake("report_card", "You left the memory out of the energy: the bytes of the state dict come from DRAM once, at 160 pJ each.")
def energy_of_macs_only(model, baseline, data, device):
    per = {2: 1.5, 4: 4.6}[next(model.parameters()).element_size()]
    return _card(model, baseline, data, device, energy=per * _macs(model, data[0][:1]))


@mistake("report_card", "You took the energy of a 32-bit MAC for a model in 16-bit floats.")
def energy_of_float32(model, baseline, data, device):
    return _card(model, baseline, data, device, energy=4.6 * _macs(model, data[0][:1]) + 160 * _bytes(model))


@mistake("report_card", "Your energy takes 160 pJ for each bit. They are for a byte.")
def energy_of_bits(model, baseline, data, device):
    per = {2: 1.5, 4: 4.6}[next(model.parameters()).element_size()]
    return _card(model, baseline, data, device, energy=per * _macs(model, data[0][:1]) + 8 * 160 * _bytes(model))


def _labels(model, x):
    with torch.no_grad():
        return model(x).argmax(1)


@mistake("report_card", "Your flips are counted against the labels y: that is the error. Compare with the baseline's labels on the same noisy inputs.")
def card_flips_against_labels(model, baseline, data, device):
    x, y = data
    shifted = _labels(model, _noisy(x))
    return _card(model, baseline, data, device, robustness={"accuracy": (shifted == y).double().mean().item(), "flip_rate": (shifted != y).double().mean().item()})


@mistake("report_card", "Your flips compare noisy inputs with what the baseline says of clean ones. Show both models the same noisy inputs.")
def card_flips_against_clean(model, baseline, data, device):
    x, y = data
    shifted = _labels(model, _noisy(x))
    told = {"accuracy": (shifted == y).double().mean().item(), "flip_rate": (shifted != _labels(baseline, x)).double().mean().item()}
    return _card(model, baseline, data, device, robustness=told)


@mistake("report_card", "Your robustness was measured on clean inputs. Use noisy(x).")
def robustness_on_clean_inputs(model, baseline, data, device):
    x, y = data
    clean = _labels(model, x)
    return _card(model, baseline, data, device, robustness={"accuracy": (clean == y).double().mean().item(), "flip_rate": (clean != _labels(baseline, x)).double().mean().item()})


@mistake("report_card", "Your robustness gives the baseline's accuracy under noise. The model's is asked for.")
def robustness_of_the_baseline(model, baseline, data, device):
    x, y = data
    shifted, dense = _labels(model, _noisy(x)), _labels(baseline, _noisy(x))
    return _card(model, baseline, data, device, robustness={"accuracy": (dense == y).double().mean().item(), "flip_rate": (shifted != dense).double().mean().item()})


@mistake("report_card", "You gave the micro F1, which is the accuracy. The macro F1 is the mean over the classes.")
def micro_f1(model, baseline, data, device):
    return _card(model, baseline, data, device, f1_macro=f1_score(data[1], _labels(model, data[0]), average="micro"))


@mistake("report_card", "Your F1 leaves out a class that is only among the predictions. It counts, with an F1 of 0.")
def f1_of_the_classes_in_y(model, baseline, data, device):
    y = data[1].tolist()
    return _card(model, baseline, data, device, f1_macro=f1_score(y, _labels(model, data[0]), labels=sorted(set(y)), average="macro"))


@mistake("report_card", "You weighted the classes' F1 by how often they occur. In the macro F1 all classes count alike.")
def weighted_f1(model, baseline, data, device):
    return _card(model, baseline, data, device, f1_macro=f1_score(data[1], _labels(model, data[0]), average="weighted"))


@mistake("report_card", "Your accuracy and F1 were measured on noisy inputs. They are those of x as it is.")
def accuracy_under_noise(model, baseline, data, device):
    x, y = data
    shifted = _labels(model, _noisy(x))
    return _card(model, baseline, data, device, accuracy=(shifted == y).double().mean().item(), f1_macro=f1_score(y, shifted, average="macro"))


@mistake("report_card", "The card is right, but you left the model in training mode. Leave models as they were.")
def left_in_training_mode(model, baseline, data, device):
    told = _card(model, baseline, data, device)
    model.train()
    return told


@mistake("report_card", "The card is right, but your hooks are still on the model's layers, and count on with every call. Remove them, or watch a copy.")
def hooks_left(model, baseline, data, device):
    told = _card(model, baseline, data, device)
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(lambda *_: None)
    return told
