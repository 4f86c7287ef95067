"""The digits and the networks: one split for everybody, and trained weights that do what their files say."""
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from course import journey, plots
from course.datasets import digits
from course.models import NETWORKS, SEEDS, load, mlp
from course.train import accuracy, data_for, recorded, train

from .conftest import ROOT

TRAINED = [(name, seed) for name in NETWORKS for seed in range(SEEDS[name])]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_digit_is_on_exactly_one_side_of_the_split():
    x_train, y_train, x_val, y_val = digits(arrays="numpy")
    pixels, labels = load_digits(return_X_y=True)
    ours = np.column_stack([np.concatenate([x_train, x_val]) * 16, np.concatenate([y_train, y_val])])
    theirs = np.column_stack([pixels, labels])
    assert len(x_train) == len(y_train) == 1297 and len(x_val) == len(y_val) == 500
    assert (ours[np.lexsort(ours.T)] == theirs[np.lexsort(theirs.T)]).all()
    assert np.bincount(y_val).min() >= 35, "a class is rare in the validation part"


def test_the_split_is_the_same_every_time_and_in_every_form():
    flat, images, arrays = digits(), digits(images=True), digits(arrays="numpy")
    for one, other, array in zip(flat, images, arrays):
        assert torch.equal(one, other.reshape(one.shape)) and (one.numpy() == array).all()
    assert images[0].shape == (1297, 1, 8, 8) and flat[0].dtype == torch.float32 and flat[1].dtype == torch.int64
    assert flat[0].min() == 0 and flat[0].max() == 1
    flat[0].zero_()
    assert digits()[0].max() == 1, "a caller changed another caller's data"


def test_bad_names_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match="torch.*numpy"):
        digits(arrays="jax")
    with pytest.raises(ValueError, match="'mlp', 'cnn'"):
        load("resnet")
    with pytest.raises(ValueError, match="seeds 0 to 4"):
        load("cnn", 5)


def test_the_check_command_measures_what_the_weights_record():
    run = subprocess.run([sys.executable, "-m", "course.train", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    for name, seed in TRAINED:
        assert recorded(name, seed) >= (0.95 if name == "small_mlp" else 0.97)
        assert f"{name}, seed {seed}: " in run.stdout and f"validation accuracy {recorded(name, seed):.3f}, recorded {recorded(name, seed):.3f}" in run.stdout


@pytest.mark.parametrize("name", NETWORKS)
def test_retraining_gives_the_same_network(name):
    """The same accuracy, and the same weights but for the last digits, in which processors differ."""
    again, stored = train(name), load(name)
    assert accuracy(again, data_for(name)) == accuracy(stored, data_for(name)) == pytest.approx(recorded(name), abs=5e-4)
    for ours, theirs in zip(again.parameters(), stored.parameters()):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_loaded_network_is_ready_to_use(name):
    model = load(name)
    assert not model.training and all(p.dtype == torch.float32 for p in model.parameters())
    logits = model(data_for(name)[2])
    assert logits.shape == (500, 10)
    assert torch.equal(model.train()(data_for(name)[2]), logits), "train mode computes something else"
    with torch.no_grad():
        next(model.parameters()).zero_()
    assert next(load(name).parameters()).any(), "a caller changed another caller's network"


def test_a_row_of_the_running_table_measures_all_five_trainings():
    networks = [load("small_mlp", seed) for seed in range(5)]
    exact = journey.measure("float32", 7240, networks)
    assert exact.sqnr == float("inf") and exact.accuracy == [recorded("small_mlp", seed) for seed in range(5)]
    tenth = journey.measure("a tenth more", 7240, [lambda x, network=network: 1.1 * network(x) for network in networks])
    assert tenth == journey.Row("a tenth more", 7240, exact.accuracy, 20.0), "a tenth of the amplitude is 20 dB below it"
    with pytest.raises(ValueError, match="5 seeds"):
        journey.measure("two only", 7240, networks[:2])
    text = journey.table("05-uniform-quantization", exact, tenth).splitlines()
    assert text[1:] == [str(exact), str(tenth)] and "96.6% to 97.8%" in text[1] and text[2].endswith("20.0 dB")


def test_an_mlp_has_the_sizes_asked_for():
    model = mlp((64, 24, 10))
    assert [tuple(p.shape) for p in model.parameters()] == [(24, 64), (24,), (10, 24), (10,)]
    assert isinstance(model[-1], torch.nn.Linear)


def test_plots_show_what_they_are_given():
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    fig, axes = plt.subplots(1, 3)
    plots.weight_histogram(np.array([-0.9, -0.2, 0.1, 0.5]), 0.5, axes[0], "layer")
    assert axes[0].get_title(loc="left") + axes[0].get_title() == "layer\n50% pruned at t = 0.5"
    assert sum(bar.get_height() for bar in axes[0].patches) == 4
    plots.mask_picture([[True, False, True]], axes[1], values=[[0.5, -0.25, 3]])
    assert [text.get_text() for text in axes[1].texts] == ["0.5", "-0.25", "3"]
    plots.accuracy_curves({"a": {0: 0.9, 0.5: 0.8}, "b": {0: 0.9}}, axes[2], dense=0.9)
    assert [text.get_text() for text in axes[2].get_legend().get_texts()] == ["a", "b"]
    plt.close(fig)
