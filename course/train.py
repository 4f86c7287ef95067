"""Train the networks of the course: `python -m course.train` makes course/weights anew, `--check` measures what is there.

Deterministic: seeds for the initial weights and for the order of the pictures, one thread, and float64 while training. In float32 two processors
may round a sum differently, and hundreds of steps make two accuracies of it; in float64 the difference stays far below what can change a label.
"""
import argparse
import sys

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save as serialize

from autograder.files import write_whole
from course.datasets import digits
from course.models import NETWORKS, SEEDS, file_of, load

EPOCHS, RATE = 80, 1e-3


def fit(model: torch.nn.Module, data: tuple, epochs: int, rate: float = RATE, seed: int = 0) -> torch.nn.Module:
    """Train `model` in place, and return it, by Adam at learning rate `rate` on batches of 32 with mean cross-entropy.

    data = (x_train, y_train, …) in the model's dtype; `seed` fixes the order of the pictures. Trains whatever `model.parameters()` gives.
    """
    x, y = data[:2]
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=order).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    return model


def accuracy(model: torch.nn.Module, data: tuple) -> float:
    """The share of the validation pictures, the last two of `data`, whose label gets the largest logit."""
    x, y = data[-2:]
    with torch.no_grad():
        return (model(x).argmax(1) == y).double().mean().item()


def data_for(name: str) -> tuple:
    """The digits as the network of that name takes them, float32."""
    return digits(images=name == "cnn")


def train(name: str, seed: int = 0) -> torch.nn.Module:
    """A newly trained network of that name, float32, in eval mode; `seed` decides its first weights and the order of the pictures."""
    torch.manual_seed(seed)
    x, y, *held_out = data_for(name)
    model = fit(NETWORKS[name]().double(), (x.double(), y, *held_out), EPOCHS, seed=seed)
    return model.float().eval()


def save(name: str, seed: int, model: torch.nn.Module) -> None:
    """Write the weights, with their accuracy in the file's metadata."""
    write_whole(file_of(name, seed), serialize(model.state_dict(), {"validation accuracy": f"{accuracy(model, data_for(name)):.3f}"}))


def recorded(name: str, seed: int = 0) -> float:
    """The validation accuracy that is written in the weights' file."""
    with safe_open(file_of(name, seed), "pt") as file:
        return float(file.metadata()["validation accuracy"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.train", description="Train the digits networks, or measure the trained ones.")
    parser.add_argument("--check", action="store_true", help="measure the stored weights and train nothing; exit code 1 if their accuracy changed")
    check = parser.parse_args().check
    torch.set_num_threads(1)
    same = True
    for name in NETWORKS:
        for seed in range(SEEDS[name]):
            if not check:
                save(name, seed, train(name, seed))
            model = load(name, seed)
            measured = accuracy(model, data_for(name))
            same &= abs(measured - recorded(name, seed)) < 5e-4
            print(f"{name}, seed {seed}: {sum(p.numel() for p in model.parameters())} parameters, validation accuracy {measured:.3f}, "
                  f"recorded {recorded(name, seed):.3f}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
