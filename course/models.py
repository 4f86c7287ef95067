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


def small_mlp() -> nn.Sequential:
    """The `mlp` of sizes 64, 24, 10: the one that the quantization track takes down to two bits."""
    return mlp((64, 24, 10))


NETWORKS = {"mlp": mlp, "cnn": cnn, "small_mlp": small_mlp}
SEEDS = {"mlp": 1, "cnn": 5, "small_mlp": 5}         # trained this many times, to tell an effect from its spread


def load(name: str, seed: int = 0) -> nn.Sequential:
    """The trained network of that name, "mlp", "cnn" or "small_mlp", in eval mode and float32; another name or seed raises ValueError.

    "cnn" takes `digits(images=True)`, the others `digits()`; `python -m course.train --check` measures their accuracies.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}; there are {', '.join(map(repr, NETWORKS))}")
    if seed not in range(SEEDS[name]):
        raise ValueError(f"{name!r} was not trained with seed {seed!r}; there are the seeds 0 to {SEEDS[name] - 1}")
    model = NETWORKS[name]()
    model.load_state_dict(load_file(file_of(name, seed)))
    return model.float().eval()


def file_of(name: str, seed: int) -> Path:
    """Where the weights of that training lie."""
    return WEIGHTS / (f"{name}.safetensors" if seed == 0 else f"{name}-{seed}.safetensors")


class Residual(nn.Module):
    """x -> x + body(x), `times` times over with the same weights: a network that is no chain of layers. Shapes as of `body`, which keeps them."""

    def __init__(self, body: nn.Module, times: int = 1):
        super().__init__()
        self.body, self.times = body, times

    def forward(self, x):
        for _ in range(self.times):
            x = x + self.body(x)
        return x


class Cast(nn.Module):
    """x -> x in another torch dtype: what stands before and behind layers that store and compute in 16 bits."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        return x.to(self.dtype)
