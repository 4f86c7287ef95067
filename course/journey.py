"""The running table of the quantization track: the small digits network on its way from float to integers alone, a row for each step.

A row is measured over the five trainings of `course.models.load("small_mlp", seed)`. The rows so far stand in course/journey.yml, each with the
lesson that prints it.
"""
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
import yaml

from course.datasets import digits
from course.models import SEEDS, load

STORED = Path(__file__).parent / "journey.yml"


class Row(NamedTuple):
    """One step: the bytes that the network takes, its accuracy with each seed, and the mean SQNR of its logits in dB."""
    step: str
    bytes: int
    accuracy: list[float]
    sqnr: float

    def __str__(self):
        mean = sum(self.accuracy) / len(self.accuracy)
        spread = f"{mean:7.1%}   {min(self.accuracy):.1%} to {max(self.accuracy):.1%}"
        return f"{self.step:<34}{self.bytes:>6} B {spread:>26}{self.sqnr:>10.1f} dB"


def measure(step: str, size: int, networks: list[Callable]) -> Row:
    """The row of a step that takes `size` bytes; `networks[seed]` maps pictures (n, 64) to logits (n, 10).

    SQNR is the power of the float network's logits over the power of the difference, on the validation pictures.
    """
    x, y = digits()[2:]
    if len(networks) != SEEDS["small_mlp"]:
        raise ValueError(f"wants one network for each of the {SEEDS['small_mlp']} seeds")
    accuracies, ratios = [], []
    with torch.no_grad():
        for seed, network in enumerate(networks):
            exact, logits = load("small_mlp", seed)(x).double(), network(x).double()
            accuracies.append(round((logits.argmax(1) == y).double().mean().item(), 3))
            ratios.append(10 * torch.log10(exact.square().sum() / (logits - exact).square().sum()).item())
    return Row(step, size, accuracies, round(sum(ratios) / len(ratios), 1))


def stored() -> dict[str, list[Row]]:
    """For each lesson, in their order, the rows that it measures."""
    return {lesson: [Row(**row) for row in rows] for lesson, rows in yaml.safe_load(STORED.read_text()).items()}


def table(lesson: str, *rows: Row) -> str:
    """The table up to this lesson: the stored rows of the lessons before it, then `rows`, its own."""
    earlier = [row for name, found in stored().items() if name < lesson for row in found]
    head = f"{'step':<34}{'size':>8} {'accuracy, five seeds':>26}{'SQNR':>13}"
    return "\n".join([head, *map(str, [*earlier, *rows])])
