# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 04 · Adaptive pruning
#
# Assignments 01 and 02 prune *statically*: somebody names a sparsity, one score decides, and what is gone stays gone. But how sparse may a network
# become? That depends on the network, the data and the loss you accept, and nobody knows it beforehand. *Adaptive* pruning asks the network
# itself, again and again: prune a little, train, measure on held-out data, go on while the accuracy holds, and roll back when it falls.
#
# You will build that loop and what belongs to it:
#
# - **Which neurons go?** The weakest, by what they do on data (1), measured again after each removal (2).
# - **How far?** As far as the validation accuracy allows (3).
# - **May a weight come back?** While a sparse network trains, weak connections make room for promising ones (4), from a sensible share in each
#   layer (5); or two thresholds let a pruned weight return (6).
# - **Must every input cost the same?** No, if easy ones may leave early (7).
# - **Which score?** Magnitude, gradient and activation in one (8). And an answer in circulation, to be repaired (9).
#
# **Conventions.** A model is a dictionary `{'W': [...], 'b': [...]}` of numpy arrays, the first layer first: `W[l]` has shape (n_in, n_out) and
# `b[l]` shape (n_out,), so that a *column* of `W[l]` belongs to a neuron. Between layers stands a ReLU; the last layer gives logits; all others are
# hidden. A *mask* is boolean, `True` = keep. A function gives back something new and leaves its arguments as they were. Results may be numpy
# arrays, torch tensors or lists: values count. Where scores tie, any choice is right.

# %% [markdown]
# ## The laboratory
#
# The next cell provides a small trainer and the digits, split in *three*: 897 pictures to train on, 400 to validate, which is what a loop may look at
# to decide, and 500 to test, which nothing looks at before the end. The first two are the training part of the course's split, the third its
# held-out part. You may use everything in this cell in your answers.

# %%
import copy
import math

import numpy as np
import matplotlib.pyplot as plt
from course import plots
from course.datasets import digits

_x, _y, x_test, y_test = digits(arrays="numpy")
x_train, y_train, x_val, y_val = _x[:-400], _y[:-400], _x[-400:], _y[-400:]
SIZES = (64, 64, 32, 10)                             # 6,464 weights


def new_model(sizes, seed):
    """An untrained model with layers of these sizes: normal weights of variance 2 / n_in, biases 0."""
    rng = np.random.RandomState(seed)
    return {"W": [rng.normal(0, (2 / n_in) ** 0.5, (n_in, n_out)) for n_in, n_out in zip(sizes, sizes[1:])],
            "b": [np.zeros(n_out) for n_out in sizes[1:]]}


def layer_outputs(model, X):
    """What each layer gives *before* its ReLU, the first layer first: arrays (N, n_out); the last are the logits."""
    outputs, h = [], X
    for W, b in zip(model["W"], model["b"]):
        outputs.append(h @ W + b)
        h = np.maximum(outputs[-1], 0)
    return outputs


def accuracy(model, X, y):
    """The share of the pictures whose label gets the largest logit."""
    return float((layer_outputs(model, X)[-1].argmax(axis=1) == y).mean())


def sparsity(model):
    """The share of the weights that is 0; biases are not counted."""
    return 1 - sum(np.count_nonzero(W) for W in model["W"]) / sum(W.size for W in model["W"])


def probabilities(logits):
    """Softmax of each row."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def gradients(model, X, y):
    """The gradients of the mean cross-entropy for all weights, then for all biases."""
    outputs = layer_outputs(model, X)
    inputs = [X] + [np.maximum(z, 0) for z in outputs[:-1]]
    d = (probabilities(outputs[-1]) - np.eye(outputs[-1].shape[1])[y]) / len(y)
    of_weights, of_biases = [], []
    for l in reversed(range(len(inputs))):
        of_weights.insert(0, inputs[l].T @ d)
        of_biases.insert(0, d.sum(axis=0))
        if l:
            d = (d @ model["W"][l].T) * (outputs[l - 1] > 0)
    return of_weights, of_biases


def fit(model, epochs, seed=0, rate=4e-3):
    """The model after `epochs` passes over the training pictures with Adam, batches of 64. A weight that is 0 stays 0."""
    parameters = [p.copy() for p in model["W"] + model["b"]]
    count = len(model["W"])
    new = {"W": parameters[:count], "b": parameters[count:]}
    free = [W != 0 for W in model["W"]] + [True] * count
    first, second = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    rng, t = np.random.RandomState(seed), 0
    for _ in range(epochs):
        for chosen in np.array_split(rng.permutation(len(x_train)), len(x_train) // 64):
            t += 1
            of_weights, of_biases = gradients(new, x_train[chosen], y_train[chosen])
            for p, g, m, v, mask in zip(parameters, of_weights + of_biases, first, second, free):
                g = g * mask
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                p -= rate * (1 - 0.999 ** t) ** 0.5 / (1 - 0.9 ** t) * m / (np.sqrt(v) + 1e-8)
    return new

# %% [markdown]
# ## 1. How strong is a neuron?
#
# Magnitude looks at weights alone. A neuron's *activation strength* looks at what it does on data: one that hardly ever fires passes nothing on.
#
# Write `activation_strength(model, X) -> strengths` for inputs `X` of shape (N, n_in), N ≥ 1. For neuron j of hidden layer l,
#
# $$s_j^{(l)} = \frac1N \sum_{i=1}^{N} \left|\,\mathrm{ReLU}\big(z^{(l)}_{ij}\big)\right|, \qquad z^{(l)} = h^{(l-1)} W^{(l)} + b^{(l)}, \qquad
# h^{(l)} = \mathrm{ReLU}\big(z^{(l)}\big), \qquad h^{(0)} = X$$
#
# - The result is a list with one array of shape (n_hidden,) for each hidden layer, the first layer first. The last layer is not hidden: a model of one
#   layer gives an empty list.
# - `model` and `X` are not changed.
#
# Source: Molchanov et al. (2017), *Pruning Convolutional Neural Networks for Resource Efficient Inference*, section 2.2, the criterion "activation".
#
# *Worked example.* `X = [[1, 0], [0, 1]]`, `W = [[1, -2], [0.5, 1]]`, `b = [0, -0.5]`: z is `[[1, -2.5], [0.5, 0.5]]`, after the ReLU
# `[[1, 0], [0.5, 0.5]]`, so the strengths are `[0.75, 0.25]`. The mean of z would be −1 for the second neuron, the mean of |z| 1.5.
#
# <details><summary>Hint 1</summary>You need one number for each neuron. Which axis of h has the neurons, and which has to disappear?</details>
# <details><summary>Hint 2</summary><code>layer_outputs(model, X)</code> of the laboratory gives the z of all layers, the last one too.</details>
# <details><summary>Hint 3</summary>For each <code>z</code> but the last: <code>np.maximum(z, 0).mean(axis=0)</code>. ReLU gives nothing
# negative, so its absolute value is itself.</details>

# %% answer="activation_strength"
def activation_strength(model, X):
    """Mean |ReLU| of each hidden neuron over the rows of X: one array a hidden layer."""
    ### BEGIN SOLUTION
    return [np.maximum(z, 0).mean(axis=0) for z in layer_outputs(model, X)[:-1]]
    ### END SOLUTION

# %% test="activation_strength" points=3
_tiny = {"W": [np.array([[1.0, -2.0], [0.5, 1.0]]), np.array([[1.0], [1.0]])], "b": [np.array([0.0, -0.5]), np.array([0.0])]}
_strengths = activation_strength(_tiny, np.array([[1.0, 0.0], [0.0, 1.0]]))
assert len(_strengths) == 1, "one array for the one hidden layer"
assert np.allclose(_strengths[0], [0.75, 0.25])
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(1)


def _net(*sizes, bias=0.5):
    return {"W": [_rng.normal(0, 1, shape) for shape in zip(sizes, sizes[1:])], "b": [_rng.normal(0, bias, n) for n in sizes[1:]]}


_deep, _dead = _net(4, 6, 5, 3), _net(3, 5, 2)
_dead["b"][0][[1, 3]] = -100
exam.compare("networks", [
    case("one hidden layer of 7, 9 inputs", _net(5, 7, 3), _rng.normal(0, 1, (9, 5))),
    case("two hidden layers, 6 and 5", _deep, _rng.normal(0, 1, (11, 4))),
    case("three hidden layers, 5, 8 and 4", _net(3, 5, 8, 4, 2), _rng.normal(0, 2, (7, 3))),
    case("as many inputs as neurons: 6", _net(6, 6, 6, 4), _rng.normal(0, 1, (6, 6))),
], weight=2)
exam.compare("edges", [
    edge("a single input", _deep, _rng.normal(0, 1, (1, 4))),
    edge("two neurons that never fire", _dead, _rng.random((8, 3))),
    edge("one layer: nothing is hidden", _net(4, 3), _rng.normal(0, 1, (5, 4))),
    edge("inputs that are all 0: biases alone", _deep, np.zeros((3, 4))),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Prune the weakest, and measure again
#
# If a neuron goes, all that hangs on it goes: its incoming weights, its bias and its outgoing weights. And the neurons behind it now get other inputs,
# so their strengths are no longer what they were.
#
# Write `prune_weakest(model, k, X) -> model`. It removes up to `k` hidden neurons, one after the other:
#
# - Measure the strengths of exercise 1 on `X`, of the model as it is *now*. Of all live hidden neurons of all layers together, remove the weakest,
#   but never the last live one of a layer. Then measure again. When no neuron may go it stops, even before `k`.
# - Removing neuron j of hidden layer l sets to 0: column j of `W[l]`, entry j of `b[l]`, and row j of `W[l + 1]`. All shapes stay.
# - The result has the keys `'W'`, `'b'` and `'alive'`. `alive` is a list with one boolean array of shape (n_hidden,) for each hidden layer, `True` = live.
# - `model` may have `'alive'` already: what is dead there stays dead, takes no part, and has zeros already. Without that key, all hidden
#   neurons live. A model of one layer gets `alive = []`.
# - `model`, with its `alive`, and `X` are not changed. `k = 0` removes nothing. A live neuron may well have strength 0.
#
# Source: Molchanov et al. (2017), *Pruning Convolutional Neural Networks for Resource Efficient Inference*, section 2: evaluate, remove the least
# important, repeat. Their loop fine-tunes after each removal.
#
# *Worked example.* Strengths `[0.9, 0.1, 0.5]` and `[0.3, 0.2]`, `k = 2`. First neuron 1 of the first layer goes (0.1). Measured again, the second layer
# has, say, `[0.3, 0.05]`: now its neuron 1 goes. A third removal could not take neuron 0 of the second layer, the last one, however weak it is.
#
# <details><summary>Hint 1</summary>Make copies, and a loop of <code>k</code> turns that begins with measuring <em>them</em>.</details>
# <details><summary>Hint 2</summary>List the candidates as tuples <code>(strength, layer, neuron)</code>, and leave out what is dead, and layers with one
# live neuron. <code>min</code> compares tuples by their first entry.</details>
# <details><summary>Hint 3</summary>For the weakest <code>(_, l, j)</code>: <code>W[l][:, j] = 0</code>, <code>b[l][j] = 0</code>,
# <code>W[l + 1][j] = 0</code>, <code>alive[l][j] = False</code>. Break out of the loop where there is no candidate.</details>

# %% answer="prune_weakest"
def prune_weakest(model, k, X):
    """A copy of the model without the k weakest hidden neurons, each found after the last was removed; with 'alive' masks."""
    ### BEGIN SOLUTION
    W, b = [w.copy() for w in model["W"]], [v.copy() for v in model["b"]]
    alive = [a.copy() for a in model["alive"]] if "alive" in model else [np.full(v.shape, True) for v in b[:-1]]
    for _ in range(k):
        strengths = [np.maximum(z, 0).mean(axis=0) for z in layer_outputs({"W": W, "b": b}, X)]
        candidates = [(s[j], l, j) for l, (s, a) in enumerate(zip(strengths, alive)) if a.sum() > 1 for j in np.flatnonzero(a)]
        if not candidates:
            break
        _, l, j = min(candidates)
        W[l][:, j], b[l][j], W[l + 1][j], alive[l][j] = 0, 0, 0, False
    return {"W": W, "b": b, "alive": alive}
    ### END SOLUTION

# %% test="prune_weakest" points=5
_tiny = {"W": [np.array([[1.0, -2.0], [0.5, 1.0]]), np.array([[3.0], [4.0]])], "b": [np.array([0.0, -0.5]), np.array([0.5])]}
_pruned = prune_weakest(_tiny, 1, np.array([[1.0, 0.0], [0.0, 1.0]]))
assert np.asarray(_pruned["alive"][0]).tolist() == [True, False]
assert np.allclose(_pruned["W"][0], [[1, 0], [0.5, 0]]) and np.allclose(_pruned["b"][0], [0, 0]) and np.allclose(_pruned["W"][1], [[3], [0]])
### BEGIN HIDDEN TESTS
_rng, _two, _three = (np.random.default_rng(seed) for seed in (2, 44, 30))


def _net(*sizes, rng=_rng):
    return {"W": [rng.normal(0.2, 1, shape) for shape in zip(sizes, sizes[1:])], "b": [rng.uniform(0.2, 1, n) for n in sizes[1:]]}


def _without(model, dead):
    """The model with these neurons, {layer: positions}, removed before."""
    new = copy.deepcopy(model)
    new["alive"] = [np.ones(len(b), dtype=bool) for b in new["b"][:-1]]
    for l, gone in dead.items():
        new["W"][l][:, gone], new["b"][l][gone], new["W"][l + 1][gone], new["alive"][l][gone] = 0, 0, 0, False
    return new


def _any_of_the_tied(result, model, k, X):
    """Twin neurons: which of them goes is open, what goes with it is not."""
    alive = np.asarray(result["alive"][0])
    assert alive.dtype == bool and alive.shape == (4,), "alive must hold a boolean array of shape (n_hidden,) for each hidden layer"
    assert alive[:2].sum() == 1 and alive[2:].all(), "one of the two weakest, and only one, must go"
    for got, was in zip([*result["W"], *result["b"]], [model["W"][0] * alive, model["W"][1] * alive[:, None], model["b"][0] * alive, model["b"][1]]):
        assert np.shape(got) == was.shape and np.allclose(got, was), "exactly what hangs on the removed neuron becomes 0"


_wide, _deep, _X = _net(5, 7, 3), _net(4, 6, 5, 3), _rng.random((9, 4))
_strong = {"W": [_rng.uniform(2, 3, (3, 2)), _rng.uniform(0.1, 0.2, (2, 1)), _rng.uniform(1, 2, (1, 5)), _rng.normal(0, 1, (5, 2))],
           "b": [_rng.uniform(0.2, 1, n) for n in (2, 1, 5, 2)]}
_strong["b"][1][0] = 0.01
_unfed = _net(4, 6, 5, 3)
_unfed["W"][0][:, 2], _unfed["W"][1][:, 0] = 0, 0
_switching, _signed = _net(4, 9, 3), _rng.normal(0, 2, (20, 4))
_twins = {"W": [np.array([[0.5, 0.5, 2.0, 3.0], [0.25, 0.25, 1.0, 2.0]]), _rng.normal(0, 1, (4, 3))], "b": [np.full(4, 0.5), np.ones(3)]}
exam.compare("one neuron", [
    case("a hidden layer of 7", _wide, 1, _rng.random((6, 5))),
    case("two hidden layers, 6 and 5", _deep, 1, _X),
    case("three hidden layers, 5, 4 and 6", _net(4, 5, 4, 6, 2), 1, _X),
    case("as many inputs as neurons: 6", _net(6, 6, 6, 2), 1, _rng.random((6, 6))),
    case("neurons that are off for many inputs", _switching, 1, _signed),
])
exam.compare("several, measured again", [
    case("4 of two hidden layers", _deep, 4, _X),
    case("4 of two hidden layers, 6 and 7", _net(4, 6, 7, 3, rng=_two), 4, _two.random((9, 4))),
    case("5 of three hidden layers", _net(3, 5, 6, 5, 2, rng=_three), 5, _three.random((9, 3))),
    case("5 of a hidden layer of 7", _wide, 5, _rng.random((6, 5))),
    case("3 of 9 neurons that are off for many inputs", _switching, 3, _signed),
], weight=2)
exam.compare("after earlier removals", [
    case("two are dead in the first layer, two more go", _without(_deep, {0: [1, 4]}), 2, _X),
    case("dead ones in both layers, three more go", _without(_deep, {0: [0, 2, 5], 1: [3]}), 3, _X),
    edge("nothing more goes, k = 0", _without(_deep, {1: [0, 2]}), 0, _X),
])
exam.compare("edges", [
    edge("k = 0, all live", _deep, 0, _X),
    edge("k is more than may go: one a layer stays", _deep, 50, _X),
    edge("neurons that live on their biases alone: all their incoming weights are 0", _unfed, 2, _X),
    edge("a layer of one neuron, the weakest of all, stays", _strong, 2, _rng.random((5, 3))),
    edge("one layer: nothing is hidden", _net(4, 3), 2, _X),
])
exam.law("ties", _any_of_the_tied, [edge("two neurons alike, k = 1", _twins, 1, _rng.random((5, 2)))])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: the weakest, or any
#
# With exercise 2 done, run this cell. It removes neurons from a trained network of 64 and 32 hidden neurons, the weakest first, without any retraining, and
# compares with neurons drawn at random (five draws; the band spans them). No marks.

# %%
prune_weakest(new_model(SIZES, 0), 1, x_train[:1])       # stops here if exercise 2 is not done
trained = fit(new_model(SIZES, 0), 20)
counts = [0, 10, 20, 30, 40, 50, 60, 70, 80]


def random_neurons_removed(count, seed):
    """The validation accuracy of the trained network without `count` hidden neurons, drawn at random from both layers together."""
    model, gone = copy.deepcopy(trained), np.random.RandomState(seed).permutation(96)[:count]
    for l, j in ((0, gone[gone < 64]), (1, gone[gone >= 64] - 64)):
        model["W"][l][:, j], model["b"][l][j], model["W"][l + 1][j] = 0, 0, 0
    return accuracy(model, x_val, y_val)


weakest, model = [], trained
for count in counts:
    weakest.append(accuracy(model, x_val, y_val))
    model = prune_weakest(model, 10, x_train[:300])
drawn = np.array([[random_neurons_removed(count, seed) for count in counts] for seed in range(5)])
plots.use_style()
axes = plt.subplots(figsize=(6, 3.3))[1]
axes.plot(counts, weakest, label="the weakest on 300 training pictures (exercise 2)")
axes.plot(counts, drawn.mean(axis=0), label="at random: mean and range of five draws")
axes.fill_between(counts, drawn.min(axis=0), drawn.max(axis=0), color=plots.ORANGE, alpha=0.2)
axes.set(xlabel="hidden neurons removed, of 96", ylabel="validation accuracy", ylim=(0, 1.03))
axes.legend(loc="upper right")
plt.show()

# %% [markdown]
# For the first 30 of the 96 the weakest are clearly the better choice. From 40 on they are not, and both are of no use without retraining: strong is not the same as useful, for a neuron that fires for every digit is
# strong as well. How far to go, the strengths do not say.

# %% [markdown]
# ## 3. The loop: prune while the accuracy holds
#
# Write `adaptive_prune(model, train, validate, tolerance, step) -> (model, history)`. Two functions are given to you. `train(model)` gives a further
# trained model and knows of no mask: *it may make any weight other than 0*. `validate(model)` gives the accuracy on held-out pictures, a float. Both take
# and give plain data (`{'W': …, 'b': …}`) and change nothing.
#
# - The base is `validate(model)` of the model as it is given. Let n be the number of entries of all `W` together; biases are never pruned.
# - Round r = 1, 2, 3, … starts from the model of the round before. It **prunes**: of the n weights, `round(r * step * n)` in all are to be 0, those of
#   least magnitude in *one* ranking of all layers. It **trains**, and sets the same weights to 0 again (**re-applies the mask**). It **validates**.
# - If the accuracy is below `base - tolerance`, that round is **rolled back**: the result is the model of the round before, with its biases, and the loop ends.
#   Otherwise the next round follows. An accuracy equal to `base - tolerance` holds.
# - There is no round with `r * step` above 1: then the loop ends, and nothing is rolled back. If the first round is rolled back, the result is the model
#   as it was given.
# - `history` is a list of pairs `(sparsity, accuracy)`, from `(0.0, base)` on, one for each model that was validated, in that order. Only its form is
#   marked: the model is what counts. So you may search in another way, such as bisection, if the result holds, and one step more would not.
# - What binds, whatever the search: weights and biases of the result come from *one* model, which was pruned by that ranking, trained, masked with the same zeros, and holds (without
#   a zero it is the model exactly as given); and `step * n` more zeros would not hold, or be more than n in all. Of weights of equal magnitude any may go.
# - 0 < `step` ≤ 1, `tolerance` ≥ 0. `model` is not changed.
#
# Sources: Han et al. (2015), *Learning both Weights and Connections for Efficient Neural Networks*, section 3, pruning and retraining in turns; the rule
# to stop and roll back is the convention of this course.
#
# *Worked example.* 100 weights, `step = 0.1`, `tolerance = 0.02`, base 0.96: the accuracy may not fall below 0.94. The rounds give 0.97, 0.95, 0.94, 0.91 at 10,
# 20, 30 and 40 zeros. The fourth falls below, so the result is the model of the third: sparsity 0.3. The history has five pairs.
#
# <details><summary>Hint 1</summary>What must you still hold in your hands when a round has failed? Do not overwrite it before you know.</details>
# <details><summary>Hint 2</summary>One ranking: <code>np.concatenate([np.abs(W).ravel() for W in …])</code>, <code>argsort</code>, the first
# <code>round(r * step * n)</code> positions go. Weights that are 0 already rank first, so what is gone stays gone. <code>np.split</code> cuts the
# long mask into layers.</details>
# <details><summary>Hint 3</summary>In a loop over r: make the masks, <code>candidate = train({'W': [W * m …], 'b': model['b']})</code>, multiply its weights by
# the masks, measure, append to the history; <code>if measured &lt; base - tolerance: break</code>; only then <code>model = candidate</code>.</details>

# %% answer="adaptive_prune"
def adaptive_prune(model, train, validate, tolerance, step):
    """Prune by `step` a round, train and validate while the accuracy holds, and roll back when it falls; (model, history)."""
    ### BEGIN SOLUTION
    def masked(network):
        return {"W": [W * m for W, m in zip(network["W"], masks)], "b": network["b"]}

    sizes, base = [W.size for W in model["W"]], validate(model)
    history = [(0.0, base)]
    for r in range(1, math.floor(1 / step) + 1):
        gone = round(r * step * sum(sizes))
        keep = np.ones(sum(sizes))
        keep[np.argsort(np.concatenate([np.abs(W).ravel() for W in model["W"]]))[:gone]] = 0
        masks = [m.reshape(W.shape) for m, W in zip(np.split(keep, np.cumsum(sizes)), model["W"])]
        candidate = masked(train(masked(model)))
        measured = validate(candidate)
        history.append((gone / sum(sizes), measured))
        if measured < base - tolerance:
            return model, history
        model = candidate
    return model, history
    ### END SOLUTION

# %% test="adaptive_prune" points=7
from autograder import callback


def _halfway(model):
    """Training in small: every weight, a pruned one too, goes half of its way to 1."""
    return {"W": [0.5 * np.asarray(W) + 0.5 for W in model["W"]], "b": [np.asarray(b) + 0.1 for b in model["b"]]}


def _kept(model):
    """Validation in small: the share of the weights that is not 0."""
    return float(np.mean(np.concatenate([np.ravel(W) for W in model["W"]]) != 0))


_ladder = {"W": [np.arange(1.0, 13.0).reshape(4, 3), np.arange(13.0, 19.0).reshape(3, 2)],
           "b": [np.ones(3), np.ones(2)]}
_pruned, _history = adaptive_prune(_ladder, callback(_halfway), callback(_kept), 0.5, 1 / 6)
assert [int((np.asarray(W) == 0).sum()) for W in _pruned["W"]] == [9, 0], "three rounds of 3 weights hold; the least of all layers go"
assert np.allclose(_history[0], [0, 1]), "the history begins with (0.0, base)"
### BEGIN HIDDEN TESTS
def _task(target, pull=0.9):
    """Callbacks: training goes a part of the way to `target`, for pruned weights too; accuracy is 1 less the squared distance that is left."""
    whole = sum(float((t ** 2).sum()) for t in target)

    def train(model):
        return {"W": [np.asarray(W) + pull * (t - W) for W, t in zip(model["W"], target)], "b": [np.asarray(b) + 0.01 for b in model["b"]]}

    def validate(model):
        return max(0.0, 1 - sum(float(((np.asarray(W) - t) ** 2).sum()) for W, t in zip(model["W"], target)) / whole)

    return callback(train), callback(validate)


def _compensating(target):
    """Callbacks: training scales the weights that are not 0 until the sum of all magnitudes is that of `target`, and makes pruned ones tiny;
    accuracy is 1 less what is missing of that sum, and less the share of the target's squares where a weight is 0."""
    squares, whole = sum(float((t ** 2).sum()) for t in target), sum(float(np.abs(t).sum()) for t in target)

    def train(model):
        factor = whole / max(1e-9, sum(float(np.abs(W).sum()) for W in model["W"]))
        return {"W": [np.where(np.asarray(W) == 0, 1e-6, factor * np.asarray(W)) for W in model["W"]], "b": [np.asarray(b) + 0.01 for b in model["b"]]}

    def validate(model):
        missing = abs(1 - sum(float(np.abs(W).sum()) for W in model["W"]) / whole)
        return max(0.0, 1 - missing - sum(float((t[np.asarray(W) == 0] ** 2).sum()) for W, t in zip(model["W"], target)) / squares)

    return callback(train), callback(validate)


def _staircase(model):
    """1 less a quarter for each quarter of the weights that is 0."""
    W = np.concatenate([np.ravel(W) for W in model["W"]])
    return 1 - 0.25 * (4 * int((W == 0).sum()) // W.size)


def _nothing_hurts(model):
    return 0.75


def _everything_hurts(model):
    return 1.0 if all(np.all(np.asarray(W) != 0) for W in model["W"]) else 0.5


def _holds_and_is_maximal(result, model, train, validate, tolerance, step):
    found, history = result
    train, validate = getattr(train, "target", train), getattr(validate, "target", validate)
    W, b = [np.asarray(w, dtype=float) for w in found["W"]], [np.asarray(v, dtype=float) for v in found["b"]]
    assert [w.shape for w in W] == [w.shape for w in model["W"]] and [v.shape for v in b] == [v.shape for v in model["b"]], "all shapes must stay"
    base, n = validate(model), sum(w.size for w in W)
    assert validate({"W": W, "b": b}) >= base - tolerance - 1e-9, "the model that you return is less accurate than base − tolerance"
    wanted = exam.references["adaptive_prune"](model, train, validate, tolerance, step)[0]
    zeros, possible = (sum(int((w == 0).sum()) for w in net) for net in (W, wanted["W"]))
    assert zeros >= possible - round(step * n) - 1, "more could have been pruned while the accuracy holds"
    assert all((v != 0).all() for v in b), "a bias was pruned"
    pairs = np.asarray(history, dtype=float)
    assert pairs.ndim == 2 and pairs.shape[1] == 2 and len(pairs) > (zeros > 0), "history must hold a pair for each model that was validated"
    assert abs(pairs[0] - [0, base]).max() <= 1e-6, "the history begins with (0.0, base)"
    assert ((pairs >= 0) & (pairs <= 1)).all(), "sparsity and accuracy are shares, between 0 and 1"


def _counting(model):
    """Training that keeps the order of the magnitudes, makes pruned weights tiny, and writes into the biases how many weights each neuron came with."""
    return {"W": [np.where(np.asarray(W) == 0, 1e-6, 1.5 * np.asarray(W)) for W in model["W"]],
            "b": [1.0 + np.count_nonzero(np.asarray(W), axis=0) for W in model["W"]]}


def _is_the_round(result, model, train, validate, tolerance, step):
    """For `_counting`, and an accuracy that hangs on the number of zeros alone: every search must end within one step of the most that holds."""
    found, train, validate = result[0], getattr(train, "target", train), getattr(validate, "target", validate)
    W, b = [np.asarray(w, dtype=float) for w in found["W"]], [np.asarray(v, dtype=float) for v in found["b"]]
    assert [w.shape for w in W] == [w.shape for w in model["W"]] and [v.shape for v in b] == [v.shape for v in model["b"]], "all shapes must stay"
    wanted = exam.references["adaptive_prune"](model, train, validate, tolerance, step)[0]
    zeros, right = (sum(int((np.asarray(w) == 0).sum()) for w in net) for net in (W, wanted["W"]))
    n = sum(w.size for w in W)

    def holds(count):
        flat = np.where(np.arange(n) < count, 0.0, 1.0)
        parts = np.split(flat, np.cumsum([w.size for w in W])[:-1])
        return validate({"W": [part.reshape(w.shape) for part, w in zip(parts, W)], "b": model["b"]}) >= validate(model) - tolerance

    assert zeros == right or holds(zeros), "the model that you return is less accurate than base − tolerance"
    assert zeros == right or zeros + step * n > n + 1e-9 or not holds(round(zeros + step * n)), "one step more would hold too"
    if zeros:
        given, gone = (np.concatenate([np.ravel(w) for w in net]) for net in (model["W"], [w == 0 for w in W]))
        assert gone.all() or np.abs(given[gone]).max() <= np.abs(given[~gone]).min(), "a pruned weight is larger than one that stays"
        for w, v in zip(W, b):
            assert np.allclose(v, 1 + np.count_nonzero(w, axis=0)), "the biases do not come from the training that the weights come from"
    else:
        for got, was in zip(W + b, model["W"] + model["b"]):
            assert np.allclose(got, was), "where the first round does not hold, weights and biases must be those that were given"


_rng = np.random.default_rng(3)


def _target(*sizes, scales=(1, 1, 1), spread=None):
    drawn = [_rng.choice([-1, 1], shape) * (_rng.uniform(1, 1 + spread, shape) if spread else np.abs(_rng.normal(0, 1, shape)) + 0.01)
             for shape in zip(sizes, sizes[1:])]
    return [scale * t for scale, t in zip(scales, drawn)]


def _start(target, share):
    return {"W": [share * t + _rng.normal(0, 1e-3, t.shape) for t in target], "b": [_rng.uniform(0.5, 1, t.shape[1]) for t in target]}


_one, _even, _layered = _target(6, 9, 7, 4), _target(6, 9, 7, 4, spread=0.2), _target(5, 12, 9, 3, scales=(1, 0.1, 0.5))
_four = _target(8, 6, 7, 5, 3, scales=(0.3, 1, 0.6, 2))
exam.law("networks", _holds_and_is_maximal, [
    case("three layers, tolerance 0.1, step 0.05", _start(_one, 0.4), *_task(_one), 0.1, 0.05),
    case("three layers of different scale: one ranking", _start(_layered, 0.5), *_task(_layered), 0.02, 0.04),
    case("training makes up for what was pruned", _start(_one, 0.8), *_compensating(_one), 0.1, 0.04),
    case("four layers of different scale", _start(_four, 0.6), *_task(_four, 0.95), 0.05, 0.04),
    case("a tolerance of 0.4 at a base of 0.75: an absolute drop", _start(_even, 0.5), *_task(_even, 0.95), 0.4, 0.02),
    case("no tolerance, but training helps", _start(_one, 0.3), *_task(_one), 0.0, 0.05),
], weight=3)
exam.law("edges", _holds_and_is_maximal, [
    edge("an accuracy equal to base − tolerance holds", _start(_one, 0.4), callback(_halfway), callback(_staircase), 0.5, 0.05),
    edge("one layer", _start(_one[:1], 0.5), *_task(_one[:1]), 0.1, 0.1),
])


def _drawn(*sizes):
    return {"W": [_rng.normal(0, 1, shape) for shape in zip(sizes, sizes[1:])], "b": [_rng.uniform(0.2, 0.8, n) for n in sizes[1:]]}


_alike = {"W": [np.full((5, 4), 0.5), np.full((4, 5), -0.5)], "b": [np.full(4, 0.3), np.full(5, 0.3)]}
exam.law("holds, and one step more does not", _is_the_round, [
    case("n = 37, step = 0.15: 17 zeros hold, 22 do not", _drawn(4, 3, 5, 2), callback(_counting), callback(_kept), 0.5, 0.15),
    case("every round holds, step = 0.25: all weights go", _drawn(4, 3, 7), callback(_counting), callback(_nothing_hurts), 0.1, 0.25),
    case("every round holds, n = 33, step = 0.3: 30 weights go in three rounds", _drawn(4, 3, 7), callback(_counting), callback(_nothing_hurts), 0.0, 0.3),
    edge("no round holds", _drawn(4, 3, 7), callback(_counting), callback(_everything_hurts), 0.25, 0.1),
    edge("40 weights, all alike: the first round holds, the second does not", _alike, callback(_counting), callback(_kept), 0.5, 0.3),
    edge("a single round, step = 1, which holds", _drawn(3, 4), callback(_counting), callback(_nothing_hurts), 0.0, 1.0),
], weight=2)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: the path of the loop, and what it is worth
#
# With exercise 3 done, run this cell: a network is trained for 20 epochs, then the loop takes 5 % of the weights a round, with two epochs of training in each,
# at a tolerance of one point (4 of the 400 validation pictures). For comparison, *static* pruning: one cut of the same trained network to the sparsity
# that the loop has found, then as many epochs of training as the loop spent. Three seeds; the test pictures are looked at here for the first time. No marks.

# %%
STEP, TOLERANCE, EPOCHS = 0.05, 0.01, 2


def static_prune(model, share, epochs, seed):
    """One cut by global magnitude, then training."""
    cut = np.sort(np.concatenate([np.abs(W).ravel() for W in model["W"]]))[round(share * 6464)]
    return fit({"W": [W * (np.abs(W) >= cut) for W in model["W"]], "b": model["b"]}, epochs, seed)


adaptive_prune(new_model((2, 1), 0), copy.deepcopy, sparsity, 1, 1)      # stops here if exercise 3 is not done
runs = []
for seed in range(3):
    dense = fit(new_model(SIZES, seed), 20, seed)
    looped, history = adaptive_prune(dense, lambda m: fit(m, EPOCHS, seed), lambda m: accuracy(m, x_val, y_val),
                                     TOLERANCE, STEP)
    static = static_prune(dense, sparsity(looped), EPOCHS * (len(history) - 1), seed)
    runs.append((history, sparsity(looped), [accuracy(m, x_test, y_test) for m in (dense, looped, static)]))

plots.use_style()
fig, axes = plt.subplots(1, 2, figsize=(9, 3.3), width_ratios=(3, 2))
path = np.array(runs[0][0])
axes[0].plot(path[:, 0], path[:, 1], label="rounds of the loop, seed 0")
axes[0].plot(path[-2:, 0], path[-2:, 1], color=plots.ORANGE, linestyle="--", marker="", label="rolled back")
axes[0].plot(*path[-1], marker="X", markersize=10, color=plots.ORANGE, linestyle="")
axes[0].axhline(path[0, 1] - TOLERANCE, color=plots.GREY, linestyle=":", marker="", label="base − tolerance")
axes[0].set(xlabel="sparsity", ylabel="validation accuracy", title="the path")
axes[0].legend()
for offset, (name, column) in enumerate((("dense", 0), ("adaptive", 1), ("static, same sparsity", 2))):
    axes[1].plot(np.arange(3) + 0.15 * (offset - 1), [run[2][column] for run in runs], linestyle="", label=name)
axes[1].set(xticks=range(3), xticklabels=[f"seed {s}\n{run[1]:.0%} zeros" for s, run in enumerate(runs)], ylabel="test accuracy",
            ylim=(0.92, 1), title="on pictures that the loop never saw")
axes[1].legend(loc="upper right", fontsize=8)
plt.show()

# %% [markdown]
# Three things to see. The loop found *how far* it could go, which nobody had to guess. At that sparsity, and for the same training, one static cut is at least as good: the loop adapts the rate and is no
# better criterion, and its last mask was trained for two epochs only. And what it holds is the *validation* accuracy. When this was written seed 1 had not lost a single one of the 400 validation pictures
# by being pruned, and yet three points on the test pictures: what has chosen a network flatters it, and 400 pictures are few (one standard error is 0.9 points). The lesson has more networks.

# %% [markdown]
# ## 4. Drop the weak, grow the promising
#
# RigL trains a network that is sparse from the start, and every so often moves some of its connections: the weakest are dropped, and where the loss asks most for a
# connection, one is grown. Write one such move, `rigl_step(w, g, mask, alpha) -> (w, mask)`, for a weight array `w` of any shape, the gradient `g` of the loss for
# *all* its entries (inactive ones too), and the boolean `mask` of the active ones:
#
# - Let k be `round(alpha * active)`, with as many active entries as `mask` has `True`, but at most the number of inactive ones.
# - **Drop** the k active entries of least $|w|$. **Grow** the k entries of largest $|g|$ among those that were inactive *before* the step: what has just been
#   dropped does not come back in the same step.
# - The new mask is boolean and has as many active entries as before. In the new `w`, what was active and stays so is as it was; *all else is 0*, the
#   grown entries too. An active entry may well be 0.
# - Ties may fall either way. 0 ≤ `alpha` ≤ 1. `w`, which is 0 where `mask` is `False`, `g` and `mask` are not changed.
#
# Source: Evci et al. (2020), *Rigging the Lottery: Making All Tickets Winners*, section 3, drop and grow criterion. (Their Algorithm 1 lets what has just been
# dropped compete again; ours makes every swap a swap.)
#
# *Worked example.* `w = [0.9, 0.1, 0, 0, -0.5, 0]`, active are 0, 1 and 4, `g = [0.1, 9, -0.7, 0.2, 0, 0.3]`, `alpha = 0.3`: `round(0.9) = 1`. Dropped is entry 1 (0.1), grown is
# entry 2 (|−0.7| is largest of 0.7, 0.2, 0.3; the 9 belongs to entry 1, which was active). The mask has 0, 2 and 4, and `w` is `[0.9, 0, 0, 0, -0.5, 0]`.
#
# <details><summary>Hint 1</summary>Rank twice, in two different sets: the active entries by one number, the inactive by another.</details>
# <details><summary>Hint 2</summary><code>np.flatnonzero(mask)</code> and <code>np.flatnonzero(~mask)</code> list the two sets as flat
# positions; take both before you change anything. <code>np.abs(w[mask])</code> is in the same order as the first.</details>
# <details><summary>Hint 3</summary><code>drop = active[np.argsort(np.abs(w[mask]))[:k]]</code>,
# <code>grow = inactive[np.argsort(-np.abs(g[~mask]))[:k]]</code>. Copy the mask, set <code>new.flat[drop] = False</code> and
# <code>new.flat[grow] = True</code>. <code>w</code> was 0 wherever the mask was <code>False</code>, so <code>w * new</code> is 0 at the grown entries too.</details>

# %% answer="rigl_step"
def rigl_step(w, g, mask, alpha):
    """Swap the share alpha of the active entries: the least |w| go, the largest |g| among the inactive come, at 0; (w, mask)."""
    ### BEGIN SOLUTION
    active, inactive = np.flatnonzero(mask), np.flatnonzero(~mask)
    k = min(round(alpha * active.size), inactive.size)
    new = mask.copy()
    new.flat[active[np.argsort(np.abs(w[mask]))[:k]]] = False
    new.flat[inactive[np.argsort(-np.abs(g[~mask]))[:k]]] = True
    return w * new, new                              # w was 0 where the mask was False: grown entries are 0
    ### END SOLUTION

# %% test="rigl_step" points=5
_w, _new = rigl_step(np.array([0.9, 0.1, 0, 0, -0.5, 0]), np.array([0.1, 9, -0.7, 0.2, 0, 0.3]), np.array([1, 1, 0, 0, 1, 0], dtype=bool), 0.3)
assert np.asarray(_new).tolist() == [True, False, True, False, True, False]
assert np.allclose(_w, [0.9, 0, 0, 0, -0.5, 0])
### BEGIN HIDDEN TESTS
def _swaps(result, w, g, mask, alpha):
    new_w, new = np.asarray(result[0]), np.asarray(result[1])
    k = min(round(alpha * int(mask.sum())), int((~mask).sum()))
    assert new.dtype == bool and new.shape == mask.shape and new_w.shape == w.shape, "both results must have the shape of w, and the mask be boolean"
    dropped, grown = mask & ~new, new & ~mask
    assert dropped.sum() == k, "the number of dropped entries is not min(round(alpha·active), inactive)"
    assert grown.sum() == k, "the number of grown entries is not the number of dropped ones"
    stays = mask & new
    assert k == 0 or not stays.any() or np.abs(w[dropped]).max() <= np.abs(w[stays]).min(), "a dropped weight is larger than one that stays"
    left = ~(mask | grown)
    assert k == 0 or not left.any() or np.abs(g[grown]).min() >= np.abs(g[left]).max(), "a grown entry has a smaller gradient than one that was left out"
    assert np.allclose(new_w[stays], w[stays]), "a weight that stays must keep its value"
    assert (new_w[~stays] == 0).all(), "what is dropped, inactive or just grown must be 0"


_rng = np.random.default_rng(4)


def _sparse(shape, density):
    mask = np.zeros(math.prod(shape), dtype=bool)
    mask[_rng.permutation(mask.size)[:round(density * mask.size)]] = True
    mask = mask.reshape(shape)
    return _rng.normal(0, 1, shape) * mask, _rng.normal(0, 1, shape), mask


_wide, _tall, _kernel = _sparse((5, 8), 0.3), _sparse((9, 4), 0.5), _sparse((4, 3, 3, 3), 0.2)
_small = _tall[0].astype(np.float32) * np.float32(0.01), _tall[1].astype(np.float32), _tall[2]
_loud = _wide[0], np.where(_wide[2], 50, 1) * _wide[1], _wide[2]
_level = np.where(_tall[2], -0.5, 0.0), np.full((9, 4), 0.25), _tall[2]
_fresh = _wide[0] * (_rng.random((5, 8)) < 0.5), _wide[1], _wide[2]
exam.law("matrices and kernels", _swaps, [
    case("a 5 × 8 matrix, 12 active, alpha = 0.3: 3.6 rounds to 4", *_wide, 0.3),
    case("a 9 × 4 float32 matrix of small weights, half active, alpha = 0.2", *_small, 0.2),
    case("a 4 × 3 × 3 × 3 kernel, alpha = 0.5", *_kernel, 0.5),
    case("the largest gradients belong to active entries", *_loud, 0.4),
    case("large negative weights and gradients", -np.abs(_wide[0]) * (1 + 9 * (_wide[0] < 0)), -np.abs(_wide[1]), _wide[2], 0.25),
], weight=2)
exam.law("edges", _swaps, [
    edge("alpha = 0 changes nothing", *_wide, 0.0),
    edge("alpha = 1 moves every connection", *_wide, 1.0),
    edge("round(2.5) is 2", *_sparse((4, 5), 0.25), 0.5),
    edge("fewer inactive than round(alpha·active)", *_sparse((4, 5), 0.8), 0.5),
    edge("all active: nothing can grow, nothing is dropped", _wide[1], _wide[1] + 1, np.ones((5, 8), dtype=bool), 0.3),
    edge("none active", np.zeros((3, 4)), _rng.normal(0, 1, (3, 4)), np.zeros((3, 4), dtype=bool), 0.5),
    edge("all weights alike, all gradients alike", *_level, 0.3),
    edge("some active weights are 0", *_fresh, 0.25),
    edge("all gradients are 0", _wide[0], np.zeros((5, 8)), _wide[2], 0.3),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 5. A share for every layer
#
# A network that is sparse from the start needs a density (1 − sparsity) for each layer before anything is trained. The same for all starves small layers. The
# Erdős–Rényi-Kernel rule (ERK) gives layer $l$ a density in proportion to a score,
#
# $$d_l = \min\big(1,\; \varepsilon\, r_l\big), \qquad r_l = \frac{\sum_i \mathrm{dim}_i}{\prod_i \mathrm{dim}_i}, \qquad
# \text{with } \varepsilon \text{ such that} \quad \sum_l d_l\, n_l = \mathrm{density} \cdot \sum_l n_l$$
#
# where the dims are *all* the dimensions of the layer's weights and $n_l$ their product. Write `erk_densities(shapes, density) -> densities`:
#
# - `shapes` is a list of tuples, of two or four positive integers each; 0 < `density` ≤ 1. The result is a list of floats, in the order of `shapes`.
# - No density exceeds 1: layers that would are dense, and what they cannot take goes to the others, by the same rule, until none exceeds 1. The sum is exact, up
#   to rounding errors (relative 1e-5); the number of weights need not be whole.
#
# Source: Evci et al. (2020), *Rigging the Lottery: Making All Tickets Winners*, section 3, sparsity distribution (Erdős–Rényi-Kernel).
#
# *Worked example.* Shapes `(64, 64)`, `(64, 32)`, `(32, 10)`: scores 128/4096 = 0.03125, 96/2048 = 0.046875, 42/320 = 0.13125. At density 0.1, 646.4 of 6,464
# weights are wanted. Σ r·n = 128 + 96 + 42 = 266, so ε = 646.4/266 = 2.430 and the densities are 0.0759, 0.1139, 0.3190. At density 0.4, ε = 9.72 would give the
# last layer 1.28: it gets 1, and the others ε = (2585.6 − 320)/224 = 10.114, so 0.3161 and 0.4741.
#
# <details><summary>Hint 1</summary>Forget the 1 at first: what is Σ ε·r·n, and so ε? A score times its n is simply the sum of the dims.</details>
# <details><summary>Hint 2</summary>Raising one layer's share can push the next one over 1. Either repeat until none exceeds 1, or go through the layers in a
# clever order.</details>
# <details><summary>Hint 3</summary>Go from the largest score to the smallest. At each layer, ε = (weights still wanted) / (sum of the dims of this and all later
# layers); it gets <code>min(1, ε·r)</code>; take its weights off what is wanted. Once a layer stays below 1, ε stays as it is.</details>

# %% answer="erk_densities"
def erk_densities(shapes, density):
    """Erdős–Rényi-Kernel densities, each at most 1, that keep the share `density` of all weights."""
    ### BEGIN SOLUTION
    sizes, dims = [math.prod(s) for s in shapes], [sum(s) for s in shapes]
    wanted, left = density * sum(sizes), sum(dims)
    densities = {}
    for l in sorted(range(len(shapes)), key=lambda l: -dims[l] / sizes[l]):
        densities[l] = min(1.0, wanted / left * dims[l] / sizes[l])
        wanted, left = wanted - densities[l] * sizes[l], left - dims[l]
    return [densities[l] for l in range(len(shapes))]
    ### END SOLUTION

# %% test="erk_densities" points=4
assert np.allclose(erk_densities([(64, 64), (64, 32), (32, 10)], 0.1), [0.0759, 0.1139, 0.3190], atol=1e-4)
assert np.allclose(erk_densities([(64, 64), (64, 32), (32, 10)], 0.4), [0.3161, 0.4741, 1.0], atol=1e-4)
### BEGIN HIDDEN TESTS
_mlp, _conv = [(784, 300), (300, 100), (100, 10)], [(16, 3, 3, 3), (32, 16, 3, 3), (64, 32, 1, 1), (10, 64)]
exam.compare("no layer is full", [
    case("three matrices, density 0.05", _mlp, 0.05),
    case("kernels and a matrix, density 0.02", _conv, 0.02),
    case("a small layer first, density 0.1", [(4, 30), (200, 50), (50, 40)], 0.1),
])
exam.compare("full layers", [
    case("one layer is full at density 0.3", _mlp, 0.3),
    case("kernels: two layers are full at density 0.5", _conv, 0.5),
    case("filling one layer fills the next", [(100, 100), (10, 22), (10, 10)], 0.161),
    case("full layers in the middle", [(64, 64), (8, 8), (10, 3), (64, 32)], 0.4),
    case("all but one layer are full, density 0.9", [(40, 60), (20, 10), (10, 5)], 0.9),
    case("filling fills others, round after round", [(5, 35), (15, 3), (227, 1), (20, 12)], 0.9),
    case("seven layers: filling fills others, four times", [(10, 5), (46, 31), (57, 80), (58, 113), (68, 114), (86, 130), (89, 79)], 0.95),
], weight=2)
exam.compare("edges", [
    edge("density 1: all are full", _mlp, 1.0),
    edge("density 1, one layer", [(7, 3)], 1.0),
    edge("one kernel, density 0.25", [(8, 4, 3, 3)], 0.25),
    edge("equal layers get equal densities", [(12, 9)] * 3, 0.35),
    edge("a vector as a matrix: (1, 9)", [(1, 9), (30, 20)], 0.2),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: a sparse network looks for its pixels
#
# With exercises 4 and 5 done, run this cell. A network of density 0.1 (ERK) starts with random connections and moves some of them after each epoch; alpha falls from 0.3 to 0
# on a cosine, as in RigL. The pictures show how many of the 64 neurons of the first layer look at each of the 64 pixels. Nobody told it which pixels are always dark. No marks.

# %%
SPARSE_EPOCHS = 30


def sparse_start(seed, densities):
    """An untrained model with random masks of these densities."""
    model, rng = new_model(SIZES, seed), np.random.RandomState(seed)
    for W, d in zip(model["W"], densities):
        W.flat[rng.permutation(W.size)[round(d * W.size):]] = 0
        W *= d ** -0.5                               # fewer inputs: larger weights, for outputs of the same size
    return model


def with_masks(model, masks, small=1e-12):
    """The model as `fit` takes it: active weights that are 0 get a tiny value, for `fit` leaves zeros alone."""
    return {"W": [np.where(m & (W == 0), small, W * m) for W, m in zip(model["W"], masks)], "b": model["b"]}


model = sparse_start(0, erk_densities([W.shape for W in new_model(SIZES, 0)["W"]], 0.1))
masks, seen = [W != 0 for W in model["W"]], {}
for epoch in range(SPARSE_EPOCHS + 1):
    if epoch in (0, 2, 10, SPARSE_EPOCHS):
        seen[epoch] = np.asarray(masks[0]).sum(axis=1), accuracy(model, x_val, y_val)
    if epoch < SPARSE_EPOCHS:
        model = fit(model, 1, seed=epoch)
        alpha = 0.15 * (1 + math.cos(math.pi * epoch / SPARSE_EPOCHS))
        moved = [rigl_step(W, g, m, alpha) for W, g, m in zip(model["W"], gradients(model, x_train, y_train)[0], masks)]
        masks = [np.asarray(m) for _, m in moved]
        model = with_masks({"W": [np.asarray(W) for W, _ in moved], "b": model["b"]}, masks)
plots.use_style()
fig, axes = plt.subplots(1, 4, figsize=(10, 2.6))
for ax, (epoch, (count, measured)) in zip(axes, seen.items()):
    plots.pixel_picture(count, ax, f"after {epoch} epochs\nvalidation accuracy {measured:.1%}")
fig.suptitle("neurons of layer 1 connected to each pixel", fontsize=10)
plt.show()

# %% [markdown]
# ## 6. Surgery with two thresholds
#
# Dynamic network surgery has no rounds. The mask is decided anew all through training (at random steps, ever fewer of them), and it is the *stored* weights that decide: all of them are trained, the
# masked ones too, so one that was cut can grow and be *spliced* back. A single threshold would flip weights that hover about it at every step; two leave a gap in which nothing
# happens (hysteresis).
#
# Write `surgery_mask(w, mask, low, high) -> mask` for stored weights `w` of any shape (none is empty), the boolean `mask` so far, and 0 ≤ `low` ≤ `high`:
#
# $$\text{mask}'_i = \begin{cases} \text{off} & |w_i| < \text{low} \\ \text{on} & |w_i| > \text{high} \\ \text{mask}_i & \text{otherwise} \end{cases}$$
#
# - The result is a new boolean array of the shape of `w`. A magnitude *equal* to `low` or to `high` leaves the mask as it was. `w` and `mask` are not changed.
#
# Source: Guo et al. (2016), *Dynamic Network Surgery for Efficient DNNs*, the function h with its two thresholds. (There, a magnitude equal to the upper threshold switches on.)
#
# *Worked example.* `low = 0.3`, `high = 0.5`, `w = [0.2, -0.2, 0.4, -0.4, 0.6, -0.6]`, mask so far `[1, 0, 1, 0, 1, 0]`: the result is `[0, 0, 1, 0, 1, 1]`. The two 0.4 lie in the gap and
# keep what they had; −0.6 is spliced.
#
# <details><summary>Hint 1</summary>Three cases, and only one of them asks what was before.</details>
# <details><summary>Hint 2</summary>A weight is on if it is above <code>high</code>, or if it was on and is not below <code>low</code>.</details>
# <details><summary>Hint 3</summary><code>size = np.abs(w)</code>, then <code>(size &gt; high) | (mask &amp; (size &gt;= low))</code>.</details>

# %% answer="surgery_mask"
def surgery_mask(w, mask, low, high):
    """The mask after surgery: off below low, on above high, unchanged between."""
    ### BEGIN SOLUTION
    size = np.abs(w)
    return (size > high) | (mask & (size >= low))
    ### END SOLUTION

# %% test="surgery_mask" points=3
_mask = surgery_mask(np.array([0.2, -0.2, 0.4, -0.4, 0.6, -0.6]), np.array([True, False, True, False, True, False]), 0.3, 0.5)
assert np.asarray(_mask).tolist() == [False, False, True, False, True, True]
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(6)
_wide, _tall, _kernel = _rng.normal(0, 1, (4, 7)), _rng.normal(0, 0.1, (9, 3)).astype(np.float32), _rng.normal(0, 1, (3, 2, 3, 3))
_grid = np.array([0.25, -0.25, 0.5, -0.5, 0.25, -0.25, 0.5, -0.5])
_half = np.arange(8) < 4
exam.compare("weights of both signs", [
    case("a 4 × 7 matrix, half of it on", _wide, _rng.random((4, 7)) < 0.5, 0.4, 0.9),
    case("a 9 × 3 float32 matrix of small weights, mostly off", _tall, _rng.random((9, 3)) < 0.2, 0.03, 0.12),
    case("a 3 × 2 × 3 × 3 kernel, mostly on", _kernel, _rng.random((3, 2, 3, 3)) < 0.8, 0.5, 1.2),
    case("large negative weights that are off", -np.linspace(0.1, 2, 12).reshape(3, 4), np.zeros((3, 4), dtype=bool), 0.5, 1.0),
], weight=2)
exam.compare("edges", [
    edge("magnitudes equal to low keep what they had", _grid, _half, 0.25, 0.75),
    edge("magnitudes equal to high keep what they had", _grid, ~_half, 0.125, 0.5),
    edge("both thresholds alike", _grid, _rng.random(8) < 0.5, 0.375, 0.375),
    edge("both thresholds 0: what is not 0 is on, zeros keep what they had", np.array([0.0, 0.0, -0.1, 0.1]), np.array([True, False, False, True]), 0.0, 0.0),
    edge("all in the gap", _wide, _wide > 0, 0.0, 100.0),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 7. Leave early
#
# What adapts so far is the network; it can also be the computation. A network with *exits* computes a first stage, and if that is sure enough of its answer, stops; otherwise it
# goes on to the next. Every input may cost something else, so what matters for the energy is the expectation.
#
# Write `expected_macs(exit_rates, costs) -> float`, the mean number of multiplications an input takes:
#
# - `exit_rates[i]` is the share of *all* inputs that leave after stage i (from 0), so the rates are not negative and sum to 1; what leaves nowhere earlier leaves after the last.
# - `costs[i]` is the cost of stage i *alone*, its exit included. An input that leaves after stage i has paid for stages 0 to i.
# - Both are lists or arrays of one length, at least 1. Inputs come one at a time. The result is one number.
#
# Source: Teerapittayanon et al. (2016), *BranchyNet: Fast Inference via Early Exiting from Deep Neural Networks*; the formula is that of an expected value.
#
# *Worked example.* Stages of 10, 20 and 70; rates 0.5, 0.3, 0.2. Leaving after them costs 10, 30 and 100: 0.5 · 10 + 0.3 · 30 + 0.2 · 100 = 34. Were earlier stages forgotten, it would be 25.
#
# <details><summary>Hint 1</summary>What has an input paid that leaves after the last stage?</details>
# <details><summary>Hint 2</summary><code>np.cumsum</code> gives the sums from the first stage to each.</details>
# <details><summary>Hint 3</summary>Multiply the rates by these sums, and add up. It is a dot product.</details>

# %% answer="expected_macs"
def expected_macs(exit_rates, costs):
    """Mean cost of an input: exit rates (unconditional) times the cost of all stages up to each exit."""
    ### BEGIN SOLUTION
    return float(np.dot(exit_rates, np.cumsum(costs)))
    ### END SOLUTION

# %% test="expected_macs" points=3
assert abs(expected_macs([0.5, 0.3, 0.2], [10, 20, 70]) - 34) <= 1e-9
### BEGIN HIDDEN TESTS
exam.compare("several stages", [
    case("two stages", [0.7, 0.3], [100, 900]),
    case("four stages, arrays", np.array([0.4, 0.1, 0.2, 0.3]), np.array([5.0, 7.5, 2.5, 30.0])),
    case("a costly first stage", [0.25, 0.5, 0.25], [8000, 300, 20]),
    case("millions of multiplications", [0.6, 0.15, 0.25], [1_200_000, 3_400_000, 9_000_000]),
], weight=2)
exam.compare("edges", [
    edge("a single stage", [1.0], [500]),
    edge("all leave after the first", [1.0, 0.0, 0.0], [10, 20, 70]),
    edge("all leave after the last", [0.0, 0.0, 1.0], [10, 20, 70]),
    edge("nobody leaves after the second", [0.5, 0.0, 0.5], [1, 2, 4]),
    edge("a stage that costs nothing", [0.2, 0.5, 0.3], [6, 0, 9]),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: what an early exit saves
#
# With exercise 7 done, run this cell. The first stage is a network with 8 hidden neurons (592 multiplications), the second one with 64 and 32 (6,464), which sees the pictures that the first
# is not sure of: its largest probability is below a threshold. (Such a *cascade* is an early exit whose stages share nothing.) Each point of the curves is a threshold. No marks.

# %%
stage_costs = [64 * 8 + 8 * 10, 64 * 64 + 64 * 32 + 32 * 10]
print("multiplications per input if nobody leaves:", expected_macs([0, 1], stage_costs))
first, second = fit(new_model((64, 8, 10), 0), 40), fit(new_model(SIZES, 0), 20)
p, late = probabilities(layer_outputs(first, x_test)[-1]), layer_outputs(second, x_test)[-1].argmax(axis=1)
points = []
for threshold in (1.01, 0.999, 0.99, 0.97, 0.93, 0.85, 0.7, 0.5, 0.0):
    leaves = p.max(axis=1) >= threshold
    correct = np.where(leaves, p.argmax(axis=1), late) == y_test
    points.append((leaves.mean(), expected_macs([leaves.mean(), 1 - leaves.mean()], stage_costs), correct.mean()))
rate, macs, right = np.array(points).T
plots.use_style()
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2))
axes[0].plot(rate, macs)
axes[0].axhline(stage_costs[1], color=plots.GREY, linestyle="--", marker="", label="the second network alone")
axes[0].set(xlabel="exit rate: share of the inputs that leave early", ylabel="multiplications per input, mean", ylim=(0, 7500))
axes[0].legend()
axes[1].plot(macs, right)
axes[1].set(xlabel="multiplications per input, mean", ylabel="test accuracy", ylim=(0.85, 1), xlim=(0, 7500))
plt.show()

# %% [markdown]
# If nobody leaves, the first stage was wasted: the exit pays from a rate of 592/6464 = 9 % on. What it does not lower is the *longest* time: the hardest picture runs through both.

# %% [markdown]
# ## 8. Three scores in one
#
# Magnitude, gradient and activation each see something that the others miss. A hybrid score adds them up; but a weight is some 0.1 large, a gradient 0.001, an activation 3, so
# without care the largest unit of measurement decides alone.
#
# Write `hybrid_scores(w, g, a, weights) -> scores` for the weights `w` of one layer, shape (n_in, n_out), their gradients `g` of the same shape, the activation strengths
# `a` of shape (n_out,), one for each *column* of `w`, and three numbers `weights` = (α, β, γ) ≥ 0:
#
# $$\text{score}_{ij} = \alpha\, \frac{|w_{ij}|}{\max |w|} + \beta\, \frac{|g_{ij}|}{\max |g|} + \gamma\, \frac{|a_j|}{\max |a|}$$
#
# - Each maximum is over its own array, so each term lies in [0, 1]. If an array is all 0, its term is 0 (0/0 counts as 0).
# - The result has the shape of `w`. It is a *sum*: a weight that is 0 by one criterion may still count by the others. The sum is not divided by anything.
# - Nothing is changed. No array is empty.
#
# Sources: Molchanov et al. (2017), *Pruning Convolutional Neural Networks for Resource Efficient Inference*, section 2.2, has the criteria; to divide by the maximum and add up is the convention of this course.
#
# *Worked example.* `w = [[2, -1], [0, 4]]`, `g = [[0.1, 0.2], [-0.4, 0]]`, `a = [3, 6]`, `weights = (1, 1, 2)`: the terms are `[[0.5, 0.25], [0, 1]]`, `[[0.25, 0.5], [1, 0]]` and, for the columns,
# `[0.5, 1]`, twice. The scores are `[[1.75, 2.75], [2, 3]]`.
#
# <details><summary>Hint 1</summary>The same is done to each of three arrays; only then are they added.</details>
# <details><summary>Hint 2</summary>numpy repeats an array of shape (n_out,) along the rows of one of shape (n_in, n_out): entry j goes to column j.</details>
# <details><summary>Hint 3</summary>For each pair of a number and an array: <code>top = np.abs(x).max()</code>; if it is above 0, add
# <code>c * np.abs(x) / top</code>. Start from <code>np.zeros(w.shape)</code>.</details>

# %% answer="hybrid_scores"
def hybrid_scores(w, g, a, weights):
    """Weighted sum of |w|, |g| and |a| (one a column), each divided by its own maximum."""
    ### BEGIN SOLUTION
    scores = np.zeros(w.shape)
    for c, x in zip(weights, (w, g, a)):
        top = np.abs(x).max()
        if top > 0:
            scores = scores + c * np.abs(x) / top
    return scores
    ### END SOLUTION

# %% test="hybrid_scores" points=4
_scores = hybrid_scores(np.array([[2.0, -1.0], [0.0, 4.0]]), np.array([[0.1, 0.2], [-0.4, 0.0]]), np.array([3.0, 6.0]), (1, 1, 2))
assert np.allclose(_scores, [[1.75, 2.75], [2, 3]])
### BEGIN HIDDEN TESTS
_rng = np.random.default_rng(8)


def _layer(n_in, n_out, dtype=float):
    return [part.astype(dtype) for part in (_rng.normal(0, 0.1, (n_in, n_out)), _rng.normal(0, 1e-3, (n_in, n_out)), _rng.uniform(0, 3, n_out))]


_w, _g, _a = _layer(5, 3)
_negative = [-np.abs(part) for part in _layer(4, 6)]
exam.compare("layers", [
    case("5 × 3, all three alike", _w, _g, _a, (1, 1, 1)),
    case("4 × 4: a belongs to the columns", *_layer(4, 4), (0.5, 0.3, 0.2)),
    case("3 × 8 in float32", *_layer(3, 8, np.float32), [2.0, 0.5, 1.5]),
    case("the largest values are negative", *_negative, (1, 2, 3)),
], weight=2)
exam.compare("one criterion alone", [
    case("magnitude", _w, _g, _a, (1, 0, 0)),
    case("gradient", _w, _g, _a, (0, 1, 0)),
    case("activation", _w, _g, _a, (0, 0, 1)),
])
exam.compare("edges", [
    edge("all gradients are 0", _w, np.zeros((5, 3)), _a, (1, 1, 1)),
    edge("no neuron ever fires", _w, _g, np.zeros(3), (0.4, 0.4, 0.2)),
    edge("weights that are 0 count by the others", np.where(_w > 0, _w, 0), _g, _a, (1, 1, 1)),
    edge("all arrays are 0", np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(3), (1, 1, 1)),
    edge("a layer of one weight", np.array([[-0.3]]), np.array([[2.0]]), np.array([0.5]), (1, 2, 4)),
    edge("all numbers are 0", _w, _g, _a, (0, 0, 0)),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 9. Repair an adaptive pruner
#
# The next cell holds an answer to "prune this network adaptively, by accuracy and activation strength" in the form in which it circulates. It has three symptoms:
#
# - its history says that the accuracy is 0.000 in every round, of a network that gets 96 % right;
# - it prunes nothing: the network comes back without a single zero;
# - if you make it believe in an accuracy that falls, it raises `ValueError: operands could not be broadcast together`.
#
# A fourth defect shows once these are mended: it gives back whatever it has last, however bad. Find the causes, and write
# `adaptive_prune_network(network, train, validate, tolerance, step) -> (network, history)` as it should be. Its contract is that of exercise 3, in full:
#
# - `network` is a model `{'W': […], 'b': […]}`; `train(network)` gives a further trained one (and may make any weight other than 0); `validate(network)` gives
#   its accuracy on held-out pictures, a float. Both change nothing. The base is `validate(network)` of the network as it is given, n the number of entries of all `W`.
# - Round r = 1, 2, … starts from the network of the round before: of the n weights, `round(r * step * n)` in all are to be 0, those of least magnitude in one
#   ranking of all layers (biases are never pruned); it trains, sets the same weights to 0 again, and validates.
# - At an accuracy below `base - tolerance` the round is rolled back, and the loop ends with the network of the round before, the given one if there was none. Otherwise the
#   next round follows; equality holds. There is no round with `r * step` above 1: then the loop just ends.
# - `history`: pairs `(sparsity, accuracy)` from `(0.0, base)` on, one for each validated network, in order; only its form is marked. Another search, such as bisection, is
#   as good if its result holds and one step more would not. 0 < `step` ≤ 1, `tolerance` ≥ 0; `network` is not changed.
# - What binds, whatever the search: weights and biases of the result come from *one* network, which was pruned by that ranking, trained, masked with the same zeros, and holds (without
#   a zero it is the network exactly as given); and `step * n` more zeros would not hold, or be more than n in all. Of weights of equal magnitude any may go.
#
# Source: as in exercise 3: Han et al. (2015), section 3; the rule to stop and roll back is the convention of this course.
#
# *Worked example.* The published program has 400 validation pictures and 64 neurons in the first layer. Its `.mean(axis=1)` gives 400 numbers, one a *picture*; no matrix with 64 columns can be multiplied by them.
# `outputs.max(axis=1)` gives the largest *logit*, such as 7.31, and `7.31 == 7` is false: so the accuracy is 0, and what is 0 never falls.
#
# <details><summary>Hint 1</summary>Four lines, four defects: which values are compared with the labels? When does it prune? Which axis is averaged? What is returned after
# a fall?</details>
# <details><summary>Hint 2</summary>You need no accuracy of your own: <code>validate</code> is given to you. And you need no activations: here the ranking is by magnitude. What
# is left is when to go on, when to stop, and what to keep.</details>
# <details><summary>Hint 3</summary>Write down one round: masks from the magnitudes, weights times masks, <code>train</code>, masks again, <code>validate</code>,
# history. If the accuracy is below the limit return the network from before the round; otherwise this one is the next to be pruned.</details>

# %%
def published_adaptive_prune(network, train, validate, tolerance, step):
    """As it circulates, in our words. Leave it as it is; the repaired one goes into the next cell."""
    before, history = 0.0, []
    for _ in range(int(1 / step)):
        network = train(network)
        outputs = layer_outputs(network, x_val)
        measured = np.mean(outputs[-1].max(axis=1) == y_val)
        if measured < before - tolerance:
            strength = np.maximum(outputs[0], 0).mean(axis=1)
            network["W"][0] *= strength > np.quantile(strength, step)
        before = measured
        history.append((sparsity(network), measured))
    return network, history

# %% answer="adaptive_prune_network"
def adaptive_prune_network(network, train, validate, tolerance, step):
    """Prune while the validation accuracy holds, roll back when it falls; (network, history)."""
    ### BEGIN SOLUTION
    def masked(one):
        return {"W": [W * m for W, m in zip(one["W"], masks)], "b": one["b"]}

    n, base = sum(W.size for W in network["W"]), validate(network)
    history = [(0.0, base)]
    for r in range(1, math.floor(1 / step) + 1):
        gone = round(r * step * n)
        ranking = np.argsort(np.concatenate([np.abs(W).ravel() for W in network["W"]]))
        mask = np.ones(n)
        mask[ranking[:gone]] = 0
        masks, start = [], 0
        for W in network["W"]:
            masks.append(mask[start:start + W.size].reshape(W.shape))
            start += W.size
        pruned = masked(train(masked(network)))
        history.append((gone / n, validate(pruned)))
        if history[-1][1] < base - tolerance:
            return network, history
        network = pruned
    return network, history
    ### END SOLUTION

# %% test="adaptive_prune_network" points=6
from autograder import callback


def _towards_one(network):
    """Training in small: every weight, a pruned one too, goes half of its way to 1."""
    return {"W": [0.5 * np.asarray(W) + 0.5 for W in network["W"]], "b": [np.asarray(b) + 0.1 for b in network["b"]]}


def _share_kept(network):
    """Validation in small: the share of the weights that is not 0."""
    return float(np.mean(np.concatenate([np.ravel(W) for W in network["W"]]) != 0))


_ladder = {"W": [np.arange(1.0, 7.0).reshape(2, 3), np.arange(7.0, 13.0).reshape(3, 2), np.arange(13.0, 21.0).reshape(2, 4)],
           "b": [np.ones(3), np.ones(2), np.ones(4)]}
_repaired, _history = adaptive_prune_network(_ladder, callback(_towards_one), callback(_share_kept), 0.5, 0.2)
assert [int((np.asarray(W) == 0).sum()) for W in _repaired["W"]] == [6, 2, 0], "8 of 20 weights go while more than half must stay"
assert np.allclose(_history[0], [0, 1]), "the history begins with (0.0, base)"
### BEGIN HIDDEN TESTS
def _task(target, pull=0.9):
    """Callbacks: training goes a part of the way to `target`, for pruned weights too; accuracy is 1 less the squared distance that is left."""
    whole = sum(float((t ** 2).sum()) for t in target)

    def train(network):
        return {"W": [np.asarray(W) + pull * (t - W) for W, t in zip(network["W"], target)], "b": [np.asarray(b) + 0.01 for b in network["b"]]}

    def validate(network):
        return max(0.0, 1 - sum(float(((np.asarray(W) - t) ** 2).sum()) for W, t in zip(network["W"], target)) / whole)

    return callback(train), callback(validate)


def _compensating(target):
    """Callbacks: training scales the weights that are not 0 until the sum of all magnitudes is that of `target`, and makes pruned ones tiny;
    accuracy is 1 less what is missing of that sum, and less the share of the target's squares where a weight is 0."""
    squares, whole = sum(float((t ** 2).sum()) for t in target), sum(float(np.abs(t).sum()) for t in target)

    def train(network):
        factor = whole / max(1e-9, sum(float(np.abs(W).sum()) for W in network["W"]))
        return {"W": [np.where(np.asarray(W) == 0, 1e-6, factor * np.asarray(W)) for W in network["W"]], "b": [np.asarray(b) + 0.01 for b in network["b"]]}

    def validate(network):
        missing = abs(1 - sum(float(np.abs(W).sum()) for W in network["W"]) / whole)
        return max(0.0, 1 - missing - sum(float((t[np.asarray(W) == 0] ** 2).sum()) for W, t in zip(network["W"], target)) / squares)

    return callback(train), callback(validate)


def _steps_of_an_eighth(network):
    """1 less an eighth for each eighth of the weights that is 0."""
    W = np.concatenate([np.ravel(W) for W in network["W"]])
    return 1 - 0.125 * (8 * int((W == 0).sum()) // W.size)


def _always_good(network):
    return 0.875


def _good_if_dense(network):
    return 0.75 if all(np.all(np.asarray(W) != 0) for W in network["W"]) else 0.25


def _is_repaired(result, network, train, validate, tolerance, step):
    found, history = result
    train, validate = getattr(train, "target", train), getattr(validate, "target", validate)
    W, b = [np.asarray(w, dtype=float) for w in found["W"]], [np.asarray(v, dtype=float) for v in found["b"]]
    assert [w.shape for w in W] == [w.shape for w in network["W"]] and [v.shape for v in b] == [v.shape for v in network["b"]], "all shapes must stay"
    base, n = validate(network), sum(w.size for w in W)
    assert validate({"W": W, "b": b}) >= base - tolerance - 1e-9, "the network that you return is less accurate than base − tolerance"
    wanted = exam.references["adaptive_prune_network"](network, train, validate, tolerance, step)[0]
    zeros, possible = (sum(int((w == 0).sum()) for w in net) for net in (W, wanted["W"]))
    assert zeros >= possible - round(step * n) - 1, "more could have been pruned while the accuracy holds"
    assert all((v != 0).all() for v in b), "a bias was pruned"
    pairs = np.asarray(history, dtype=float)
    assert pairs.ndim == 2 and pairs.shape[1] == 2 and len(pairs) > (zeros > 0), "history must hold a pair for each network that was validated"
    assert abs(pairs[0] - [0, base]).max() <= 1e-6, "the history begins with (0.0, base)"
    assert ((pairs >= 0) & (pairs <= 1)).all(), "sparsity and accuracy are shares, between 0 and 1"


def _counting(network):
    """Training that keeps the order of the magnitudes, makes pruned weights tiny, and writes into the biases how many weights each neuron came with."""
    return {"W": [np.where(np.asarray(W) == 0, 1e-6, 1.5 * np.asarray(W)) for W in network["W"]],
            "b": [1.0 + np.count_nonzero(np.asarray(W), axis=0) for W in network["W"]]}


def _is_the_very_round(result, network, train, validate, tolerance, step):
    """For `_counting`, and an accuracy that hangs on the number of zeros alone: every search must end within one step of the most that holds."""
    found, train, validate = result[0], getattr(train, "target", train), getattr(validate, "target", validate)
    W, b = [np.asarray(w, dtype=float) for w in found["W"]], [np.asarray(v, dtype=float) for v in found["b"]]
    assert [w.shape for w in W] == [w.shape for w in network["W"]] and [v.shape for v in b] == [v.shape for v in network["b"]], "all shapes must stay"
    wanted = exam.references["adaptive_prune_network"](network, train, validate, tolerance, step)[0]
    zeros, right = (sum(int((np.asarray(w) == 0).sum()) for w in net) for net in (W, wanted["W"]))
    n = sum(w.size for w in W)

    def holds(count):
        flat = np.where(np.arange(n) < count, 0.0, 1.0)
        parts = np.split(flat, np.cumsum([w.size for w in W])[:-1])
        return validate({"W": [part.reshape(w.shape) for part, w in zip(parts, W)], "b": network["b"]}) >= validate(network) - tolerance

    assert zeros == right or holds(zeros), "the network that you return is less accurate than base − tolerance"
    assert zeros == right or zeros + step * n > n + 1e-9 or not holds(round(zeros + step * n)), "one step more would hold too"
    if zeros:
        given, gone = (np.concatenate([np.ravel(w) for w in net]) for net in (network["W"], [w == 0 for w in W]))
        assert gone.all() or np.abs(given[gone]).max() <= np.abs(given[~gone]).min(), "a pruned weight is larger than one that stays"
        for w, v in zip(W, b):
            assert np.allclose(v, 1 + np.count_nonzero(w, axis=0)), "the biases do not come from the training that the weights come from"
    else:
        for got, was in zip(W + b, network["W"] + network["b"]):
            assert np.allclose(got, was), "where the first round does not hold, weights and biases must be those that were given"


_rng = np.random.default_rng(9)


def _target(*sizes, scales, spread=None):
    drawn = [_rng.choice([-1, 1], shape) * (_rng.uniform(1, 1 + spread, shape) if spread else np.abs(_rng.normal(0, 1, shape)) + 0.01)
             for shape in zip(sizes, sizes[1:])]
    return [scale * t for scale, t in zip(scales, drawn)]


def _start(target, share):
    return {"W": [share * t + _rng.normal(0, 1e-3, t.shape) for t in target], "b": [_rng.uniform(0.5, 1, t.shape[1]) for t in target]}


_three, _even = _target(7, 8, 9, 3, scales=(0.2, 1, 0.4)), _target(5, 9, 8, 5, scales=(1, 1, 1), spread=0.2)
_plain, _five = _target(7, 8, 9, 3, scales=(1, 1, 1)), _target(4, 7, 6, 8, 5, 3, scales=(1, 0.3, 1, 0.1, 2))
exam.law("networks", _is_repaired, [
    case("three layers of different scale", _start(_three, 0.5), *_task(_three), 0.05, 0.04),
    case("training makes up for what was pruned", _start(_plain, 0.8), *_compensating(_plain), 0.1, 0.04),
    case("five layers of different scale", _start(_five, 0.4), *_task(_five, 0.95), 0.1, 0.04),
    case("an absolute drop of 0.4 from a base of 0.75", _start(_even, 0.5), *_task(_even, 0.95), 0.4, 0.02),
    case("no tolerance, but training helps", _start(_three, 0.3), *_task(_three), 0.0, 0.05),
], weight=3)
exam.law("edges", _is_repaired, [
    edge("an accuracy equal to base − tolerance holds", _start(_even, 0.4), callback(_towards_one), callback(_steps_of_an_eighth), 0.5, 0.04),
])


def _drawn(*sizes):
    return {"W": [_rng.normal(0, 1, shape) for shape in zip(sizes, sizes[1:])], "b": [_rng.uniform(0.2, 0.8, n) for n in sizes[1:]]}


_alike = {"W": [np.full((5, 4), 0.5), np.full((4, 5), -0.5)], "b": [np.full(4, 0.3), np.full(5, 0.3)]}
exam.law("holds, and one step more does not", _is_the_very_round, [
    case("n = 37, step = 0.15: 17 zeros hold, 22 do not", _drawn(4, 3, 5, 2), callback(_counting), callback(_share_kept), 0.5, 0.15),
    case("every round holds, step = 0.25: all weights go", _drawn(4, 3, 7), callback(_counting), callback(_always_good), 0.1, 0.25),
    case("every round holds, n = 33, step = 0.3: 30 weights go in three rounds", _drawn(4, 3, 7), callback(_counting), callback(_always_good), 0.0, 0.3),
    edge("no round holds", _drawn(4, 3, 7), callback(_counting), callback(_good_if_dense), 0.25, 0.1),
    edge("40 weights, all alike: the first round holds, the second does not", _alike, callback(_counting), callback(_share_kept), 0.5, 0.3),
    edge("a single round, step = 1, which holds", _drawn(3, 4), callback(_counting), callback(_always_good), 0.0, 1.0),
], weight=2)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## Concepts
#
# What the exercises above taught you, asked the way an interviewer asks it: six checks that are marked at once, and two questions to
# answer in your own words. In a check every statement stands alone; any number of them, but at least one, is true.

# %% check="binding_constraints" points=1

# %% check="adaptive_or_static" points=1

# %% check="early_exit_mean" points=1

# %% check="scores_and_clocks" points=1

# %% check="rounds_of_training" points=1

# %% check="conditions_for_savings" points=1

# %% [markdown] interview="I25" points=5

# %% [markdown] interview="I28" points=5

# %% [markdown]
# ## Where this leads
#
# Everything here is feedback: measure, decide, measure again. `adaptive_prune` gets its rate from the validation accuracy, `prune_weakest` its ranking from the activations of what is left, `rigl_step`
# its next connections from gradients, `surgery_mask` from the stored weights, and an early exit decides for each input.
#
# Feedback costs. Every round trains and validates; what decided can no longer judge, so there must be pictures that no decision saw; and input-dependent work has a mean *and* a worst case. Where the rate is
# known, the training budget small or the timing must be constant, static pruning is the better choice.
#
# Zeros that are scattered are still computed by a dense kernel (01); neurons, as in `prune_weakest`, can be cut out of the arrays (03). The same loop works for other decisions than masks: bits (07, 11).
