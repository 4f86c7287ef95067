"""The networks of the course: small enough to prune, quantize and retrain in a second.

Plain `nn.Sequential`s without dropout or batch norm, so that a network is its weights and nothing else, and in train mode computes what it does in
eval mode. They give logits. Does not train them: `course.train` does.
"""
from pathlib import Path

from safetensors.torch import load_file
from torch import nn

WEIGHTS = Path(__file__).parent / "weights"


def mlp(sizes: tuple[int, ...] = (64, 64, 32, 10)) -> nn.Sequential:
    """Linear layers of these sizes with a ReLU between each two: (n, sizes[0]) -> logits (n, sizes[-1]). Initialised by torch's seed."""
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def cnn() -> nn.Sequential:
    """Two 3 × 3 convolutions, each with ReLU and 2 × 2 max pooling, and a linear layer: (n, 1, 8, 8) -> logits (n, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10))


NETWORKS = {"mlp": mlp, "cnn": cnn}


def load(name: str) -> nn.Sequential:
    """The trained network of that name, "mlp" or "cnn", in eval mode and float32; another name raises ValueError.

    "mlp" takes `digits()`, "cnn" takes `digits(images=True)`; `python -m course.train --check` measures their accuracies.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}; there are {', '.join(map(repr, NETWORKS))}")
    model = NETWORKS[name]()
    model.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"))
    return model.float().eval()
