"""The story of 11 holds over all five seeds: the joint search beats both corners, and Deep Compression comes back from its bytes in another process."""
import copy
import pickle
import subprocess
import sys

import pytest
import torch

from course import models
from course.train import accuracy, data_for

from .conftest import ROOT, reference_source

NAME = "11-joint-compression"
READ = """
import pickle, sys
names = {}
exec(open(sys.argv[1]).read(), names)
state = names["decompress"](open(sys.argv[2], "rb").read())
pickle.dump({name: tensor.numpy() for name, tensor in state.items()}, open(sys.argv[3], "wb"))
"""


@pytest.fixture(scope="module")
def source() -> str:
    """The notebook's first setup cell and its reference answers."""
    return reference_source(NAME, "joint_search", "deep_compression")


@pytest.fixture(scope="module")
def answers(source) -> dict:
    names = {}
    exec(source, names)
    return names


def pruned_alone(model, budget):
    """In one shot, as many float32 weights kept as the budget (bits per weight) allows beside a mask."""
    network = copy.deepcopy(model)
    weights = [p for p in network.parameters() if p.dim() > 1]
    total = sum(w.numel() for w in weights)
    s = min(k / 1000 for k in range(1001) if sum(w.numel() + 32 * (w.numel() - round(k / 1000 * w.numel())) for w in weights) <= budget * total)
    with torch.no_grad():
        for w in weights:
            w.view(-1)[w.abs().flatten().argsort()[:round(s * w.numel())]] = 0
    return network


def quantized_alone(model, bits):
    network = copy.deepcopy(model)
    with torch.no_grad():
        for w in network.parameters():
            if w.dim() > 1:
                scale = w.abs().max() / (2 ** (bits - 1) - 1)
                w.copy_((w / scale).round() * scale)
    return network


@pytest.mark.parametrize("name", ["small_mlp", "cnn"])
def test_the_joint_search_beats_both_corners_with_every_seed(answers, name):
    data = data_for(name)
    for seed in range(models.SEEDS[name]):
        model = models.load(name, seed)
        for budget in (1.5, 2.0, 2.25, 2.5):
            found = answers["joint_search"](model, data, budget)
            joint = accuracy(found["model"], data)
            assert joint > accuracy(pruned_alone(model, budget), data)
            if budget > 2.05:                        # two bits for every weight and the scales fit
                assert joint > accuracy(quantized_alone(model, 2), data)


def test_deep_compression_comes_back_in_another_process_with_every_seed(source, answers, tmp_path):
    (tmp_path / "answers.py").write_text(source)
    for seed in range(models.SEEDS["small_mlp"]):
        model = models.load("small_mlp", seed)
        blob, ratio = answers["deep_compression"](model)
        elements = sum(tensor.numel() for tensor in model.state_dict().values())
        assert type(blob) is bytes and ratio == 32 * elements / (8 * len(blob)) and ratio > 6
        (tmp_path / "blob").write_bytes(blob)
        subprocess.run([sys.executable, "-c", READ, *(tmp_path / name for name in ("answers.py", "blob", "state"))], cwd=ROOT, check=True)
        state = pickle.loads((tmp_path / "state").read_bytes())
        here = answers["decompress"](blob)
        assert set(state) == set(model.state_dict())
        for tensor_name, tensor in model.state_dict().items():
            assert (state[tensor_name] == here[tensor_name].numpy()).all() and state[tensor_name].shape == tuple(tensor.shape)
            if tensor.dim() > 1:
                assert len(set(state[tensor_name].ravel())) <= 16 and (state[tensor_name] == 0).sum() == tensor.numel() / 2
            else:
                assert (state[tensor_name] == tensor.numpy()).all()
