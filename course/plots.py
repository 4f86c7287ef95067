"""The pictures of the lessons: each function draws one thing into axes the caller made with `plt.subplots`.

Colours are Okabe and Ito's, told apart with any colour vision; lines differ in marker too. Does not compute: it draws what it is given.
"""
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import PercentFormatter

BLUE, ORANGE, GREEN, PURPLE, GREY, PALE, LIGHT = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666", "#B5B5B5", "#E9E9E9"
COLOURS, MARKERS = (BLUE, ORANGE, GREEN, PURPLE), "osD^"


def use_style() -> None:
    """Set matplotlib's defaults for this session: readable type, no boxes, light grids."""
    plt.rcParams.update({
        "figure.dpi": 110, "figure.constrained_layout.use": True, "font.size": 10, "axes.titlesize": 10.5, "axes.titlelocation": "left",
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": LIGHT, "axes.axisbelow": True,
        "axes.edgecolor": GREY, "legend.frameon": False, "lines.linewidth": 1.8, "lines.markersize": 5,
        "axes.prop_cycle": plt.cycler(color=COLOURS, marker=MARKERS),
    })


def weight_histogram(w, t: float, ax: Axes, title: str = "") -> None:
    """How many of the weights `w` (any shape) have which value; those of magnitude below `t` > 0 are grey, and their share is written above."""
    w = np.asarray(w).ravel()
    width = t / max(1, round(20 * t / np.abs(w).max()))                   # about 40 bars, with an edge at the threshold
    count = int(np.ceil(np.abs(w).max() / width))
    _, edges, bars = ax.hist(w, bins=width * np.arange(-count, count + 1))
    for bar, left, right in zip(bars, edges, edges[1:]):
        bar.set_facecolor(PALE if abs(left + right) / 2 < t else BLUE)
    for edge in (-t, t):
        ax.axvline(edge, color=ORANGE, linestyle="--", linewidth=1.4)
    ax.set(xlabel="weight", title=f"{title}\n{(np.abs(w) < t).mean():.0%} pruned at t = {t:g}".strip())
    ax.grid(False)


def mask_picture(mask, ax: Axes, title: str = "", values=None) -> None:
    """A boolean matrix (rows, columns), True = kept, as coloured and pale cells; with `values` of that shape, each cell shows its number."""
    mask = np.asarray(mask, dtype=bool)
    rows, columns = mask.shape
    ax.imshow(mask, cmap=ListedColormap([LIGHT, BLUE]), vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
    ax.grid(False)
    ax.grid(which="minor", color="white", linewidth=2)
    ax.set_axisbelow(False)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    for (row, column), kept in np.ndenumerate(mask if values is not None else np.zeros((0, 0))):
        ax.text(column, row, f"{values[row][column]:g}", ha="center", va="center", color="white" if kept else GREY)


def pixel_picture(values, ax: Axes, title: str = "") -> None:
    """One number for each of the 64 pixels, in the order of `digits()`, as an 8 × 8 picture with its scale beside it."""
    shown = ax.imshow(np.asarray(values).reshape(8, 8), cmap="cividis")
    ax.set(xticks=[], yticks=[], title=title)
    ax.grid(False)
    ax.figure.colorbar(shown, ax=ax, shrink=0.85)


def accuracy_curves(curves: dict, ax: Axes, dense: float | None = None) -> None:
    """Accuracy against sparsity, both shares in [0, 1]: `curves` maps a label to its points, {sparsity: accuracy}. `dense`: the level to compare with."""
    if dense is not None:
        ax.axhline(dense, color=GREY, linewidth=1, linestyle="--", marker="")
        ax.text(1, dense + 0.015, f"dense: {dense:.1%}", color=GREY, fontsize=9, ha="right", transform=ax.get_yaxis_transform())
    for label, points in curves.items():
        ax.plot(list(points), list(points.values()), label=label)
    ax.set(xlabel="sparsity (share of the weights that is zero)", ylabel="validation accuracy", ylim=(0, 1.06))
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.legend(loc="lower left")


def accuracy_bands(curves: dict, sparsities, ax: Axes) -> None:
    """Accuracy against sparsity of several runs: `curves` maps up to five labels to arrays (runs, sparsities). Line: mean; band: lowest to highest."""
    for (label, runs), colour, marker in zip(curves.items(), (*COLOURS, GREY), (*MARKERS, "v")):
        runs = np.asarray(runs)
        ax.plot(sparsities, runs.mean(0), color=colour, marker=marker, label=label)
        ax.fill_between(sparsities, runs.min(0), runs.max(0), color=colour, alpha=0.15, linewidth=0)
    ax.set(xlabel="sparsity (share of the weights that is zero)", ylabel="validation accuracy", ylim=(0, 1.03))
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.legend(loc="lower left")


def budget_bars(kept: dict, budget: int, ax: Axes) -> None:
    """Weights kept, one bar for each way and stacked by layer: `kept` maps a way to {layer: count}, up to four layers. The dashed line is the budget."""
    left = np.zeros(len(kept))
    for layer, colour, hatch in zip(next(iter(kept.values())), (BLUE, PALE, ORANGE, GREEN), ("", "//", "..", "xx")):
        counts = np.array([counts[layer] for counts in kept.values()])
        ax.barh(list(kept), counts, left=left, color=colour, hatch=hatch, edgecolor="white", label=f"layer {layer}")
        left += counts
    ax.axvline(budget, color=GREY, linestyle="--", linewidth=1.4)
    ax.text(budget, -0.6, "budget ", color=GREY, fontsize=9, ha="right", va="center")
    ax.set(xlabel="weights kept", ylim=(len(kept) - 0.4, -0.8), title="where the kept weights are")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, fontsize=9)
    ax.grid(axis="y", visible=False)


def grid_over_histogram(values, levels, ax: Axes, title: str = "") -> None:
    """How many of `values` (any shape) have which value, and the levels of a quantization grid as lines over it."""
    ax.hist(np.asarray(values).ravel(), bins=60, color=PALE)
    for level in np.asarray(levels).ravel():
        ax.axvline(level, color=BLUE, linewidth=1.1)
    ax.set(xlabel="value", ylabel="count", title=title)
    ax.grid(False)


def error_against_bits(curves: dict, ax: Axes) -> None:
    """SQNR in dB against bits: `curves` maps up to four labels to {bits: dB}. The dashed line rises by 6.02 dB per bit from 0."""
    bits = sorted(set().union(*curves.values()))
    ax.plot(bits, 20 * np.log10(2) * np.array(bits), color=GREY, linestyle="--", linewidth=1.4, marker="", label="6.02 dB per bit")
    for label, points in curves.items():
        ax.plot(list(points), list(points.values()), label=label)
    ax.set(xlabel="bits", ylabel="SQNR (dB)", xticks=bits)
    ax.legend(loc="upper left")


def levels_over_histogram(w, w_hat, ax: Axes, title: str = "") -> None:
    """How many of the weights `w` have which value, and a line at each value that occurs in `w_hat`, which has the shape of w."""
    w, w_hat = np.asarray(w).ravel(), np.asarray(w_hat).ravel()
    ax.hist(w, bins=50, color=PALE, weights=np.full(w.size, 100 / w.size))
    levels = np.unique(w_hat)
    for level in levels:
        ax.axvline(level, color=BLUE, linewidth=1)
    told = f"{levels.size} levels, {(w_hat == 0).mean():.0%} of the weights at 0, SQNR {_sqnr(w, w_hat):.1f} dB"
    ax.set(xlabel="weight", ylabel="share of the weights (%)", title=f"{title}\n{told}".strip())


def exponent_bars(layers: dict, ax: Axes, title: str = "") -> None:
    """The share of weights that are 0 and ± each power of two: `layers` maps up to four labels to arrays that hold nothing else."""
    shares = {}
    for label, w in layers.items():
        size = np.abs(np.asarray(w)).ravel()
        exponents, counts = np.unique(np.log2(size[size > 0]).round().astype(int), return_counts=True)
        shares[label] = {None: 100 * (size == 0).mean()} | dict(zip(exponents.tolist(), 100 * counts / size.size))
    places = [None, *sorted({e for share in shares.values() for e in share if e is not None})]
    for number, ((label, share), colour, hatch) in enumerate(zip(shares.items(), (BLUE, PALE, ORANGE, GREEN), ("", "//", "..", "xx"))):
        left = np.arange(len(places)) + (number - (len(shares) - 1) / 2) * 0.8 / len(shares)
        ax.bar(left, [share.get(e, 0) for e in places], width=0.8 / len(shares), color=colour, hatch=hatch, edgecolor="white", label=label)
    ax.set_xticks(range(len(places)), ["0", *(f"$\\pm 2^{{{e}}}$" for e in places[1:])])
    ax.set(ylabel="share of the weights (%)", title=title)
    ax.legend()
    ax.grid(axis="x", visible=False)


def photograph(picture, original, ax: Axes, title: str = "") -> None:
    """A grey picture (rows, columns) with values in [0, 1]; its SQNR against `original` stands below the title."""
    picture, original = np.asarray(picture), np.asarray(original)
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[], title=f"{title}\n{_sqnr(original, picture):.1f} dB")
    ax.spines[:].set_visible(False)
    ax.grid(False)


def _sqnr(exact, approximate) -> float:
    """Signal power over error power, in dB."""
    exact, approximate = np.asarray(exact, dtype=float), np.asarray(approximate, dtype=float)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(np.square(exact).sum() / np.square(exact - approximate).sum())


def number_line(scale: float, zero_point: int, ax: Axes, shown: tuple = ()) -> None:
    """The reals on one line, the 8-bit codes of the affine grid below it; arrows take the numbers `shown` to their codes, saturated where they lie outside."""
    lo, hi = scale * (-128 - zero_point), scale * (127 - zero_point)
    margin = 0.12 * (hi - lo)
    for y, left, right in ((1, lo - margin, hi + margin), (0, lo, hi)):
        ax.plot([left, right], [y, y], color=GREY, linewidth=1.2, marker="")
    for real in (*(tick for tick in np.linspace(lo, hi, 5) if abs(tick) > margin), 0.0):
        code, at_zero = round(real / scale) + zero_point, real == 0
        ax.plot([real, real], [0, 1], color=ORANGE if at_zero else PALE, linewidth=1.6 if at_zero else 0.8, linestyle="--" if at_zero else ":", marker="")
        ax.text(real, 1.12, f"{real:.2g}", ha="center", va="bottom", color=ORANGE if at_zero else GREY)
        ax.text(real, -0.14, f"{code}" + (" = z" if at_zero else ""), ha="center", va="top", color=ORANGE if at_zero else GREY)
    for real in shown:
        code = min(max(round(real / scale) + zero_point, -128), 127)
        ax.annotate("", (scale * (code - zero_point), 0.03), (real, 0.97), arrowprops={"arrowstyle": "->", "color": BLUE})
        ax.text(real, 0.82, f" {real:g} → {code}", color=BLUE, fontsize=9)
    ax.set(ylim=(-0.6, 1.6), xlim=(lo - margin, hi + 1.4 * margin), xticks=[], yticks=[0, 1], yticklabels=["codes", "real numbers"])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def accumulator_histogram(acc, ax: Axes, most: int) -> None:
    """How many bits the accumulators `acc` (any shape, integers) need with their sign, and where 8, 16 and 32 bits end; `most` is the largest possible sum."""
    acc = np.asarray(acc).ravel().astype(float)
    bits = np.where(acc == 0, 1, np.floor(np.log2(np.maximum(np.abs(acc), 1))) + 2)
    counts = np.array([(bits == n).mean() for n in range(1, 34)])
    ax.bar(range(1, 34), counts, color=BLUE, width=0.85)
    top = 1.25 * counts.max()
    for end in (8, 16, 32):
        ax.axvline(end + 0.5, color=ORANGE, linestyle="--", linewidth=1.4, marker="")
        ax.text(end + 0.3, top, f"int{end} ends", ha="right", va="top", color=ORANGE, fontsize=9)
    needed = int(np.floor(np.log2(most))) + 2
    ax.plot([needed], [0.05 * top], marker="v", color=GREY, linestyle="")
    ax.text(needed, 0.1 * top, "worst case", ha="center", color=GREY, fontsize=9)
    ax.set(xlabel="bits that the accumulator needs, sign included", ylabel="share of the accumulators", xlim=(0, 34), ylim=(0, 1.05 * top))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="x", visible=False)


def logits_picture(exact, integer, ax: Axes) -> None:
    """Float logits (n, classes) across, integer logits up: the largest of each row dark, the others pale."""
    exact, integer = np.asarray(exact), np.asarray(integer)
    top = exact == exact.max(1, keepdims=True)
    for chosen, colour, marker, label in ((~top, PALE, ".", "other classes"), (top, BLUE, "o", "largest of its picture")):
        ax.plot(exact[chosen], integer[chosen], linestyle="", marker=marker, markersize=3, color=colour, label=label)
    ax.set(xlabel="float logit", ylabel="integer logit (code)")
    ax.legend(loc="upper left", fontsize=9)


def class_bars(shares, ax: Axes, title: str = "", marked: int | None = None) -> None:
    """One bar for each class with its share in [0, 1]; the class `marked` (by default the one with the largest share) is dark, the others pale."""
    shares = np.asarray(shares)
    marked = int(shares.argmax()) if marked is None else marked
    ax.bar(range(len(shares)), shares, color=[BLUE if label == marked else PALE for label in range(len(shares))])
    ax.set(xlabel="class", ylabel="probability", xticks=range(len(shares)), ylim=(0, 1), title=title)
    ax.grid(axis="x", visible=False)
