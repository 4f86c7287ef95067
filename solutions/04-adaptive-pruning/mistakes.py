"""Wrong answers to the exercises of 04, each with what to tell a student who gave it."""
import copy
import math

import numpy as np

from autograder.mistakes import mistake


def _outputs(model, X):
    outputs, h = [], X
    for W, b in zip(model["W"], model["b"]):
        outputs.append(h @ W + b)
        h = np.maximum(outputs[-1], 0)
    return outputs


def _hidden(model, X):
    return [np.maximum(z, 0) for z in _outputs(model, X)[:-1]]


@mistake("activation_strength", "You averaged over the neurons: that is one number for each input, and cannot say which neuron to prune. Average over "
         "the samples, axis 0.")
def averaged_over_neurons(model, X):
    return [h.mean(axis=1) for h in _hidden(model, X)]


@mistake("activation_strength", "You measured before the activation: the mean of z lets negative values cancel what the neuron passes on. Apply the ReLU first.")
def before_the_activation(model, X):
    return [z.mean(axis=0) for z in _outputs(model, X)[:-1]]


@mistake("activation_strength", "You took |z| for |ReLU(z)|: a neuron that is strongly negative passes on nothing, and counts as strong with you.")
def absolute_before_the_activation(model, X):
    return [np.abs(z).mean(axis=0) for z in _outputs(model, X)[:-1]]


@mistake("activation_strength", "You applied the ReLU to the mean. The mean of the ReLU is another number: inputs that switch a neuron off must not cancel those "
         "that switch it on.")
def relu_of_the_mean(model, X):
    return [np.maximum(z.mean(axis=0), 0) for z in _outputs(model, X)[:-1]]


@mistake("activation_strength", "You summed over the samples. The strength is the mean, which does not grow with the number of inputs.")
def summed_over_samples(model, X):
    return [h.sum(axis=0) for h in _hidden(model, X)]


@mistake("activation_strength", "You counted how often a neuron fires. Its strength is how much it passes on, on average.")
def share_that_fires(model, X):
    return [(h > 0).mean(axis=0) for h in _hidden(model, X)]


@mistake("activation_strength", "You listed the last layer too. Its neurons are the classes: they are not hidden.")
def last_layer_too(model, X):
    return [np.maximum(z, 0).mean(axis=0) for z in _outputs(model, X)]


@mistake("activation_strength", "Between the layers you left out the ReLU, so all layers but the first get wrong inputs.")
def linear_between_layers(model, X):
    strengths = []
    for W, b in zip(model["W"][:-1], model["b"][:-1]):
        X = X @ W + b
        strengths.append(np.maximum(X, 0).mean(axis=0))
    return strengths


@mistake("activation_strength", "You left out the biases.")
def without_biases(model, X):
    return [h.mean(axis=0) for h in _hidden({"W": model["W"], "b": [0 * b for b in model["b"]]}, X)]


@mistake("activation_strength", "You measured the first hidden layer only. There is one array for each hidden layer.")
def first_layer_only(model, X):
    return [h.mean(axis=0) for h in _hidden(model, X)[:1]]


@mistake("activation_strength", "You gave one long array. The result is a list with one array for each hidden layer.")
def one_long_array(model, X):
    return np.concatenate([np.zeros(0)] + [h.mean(axis=0) for h in _hidden(model, X)])


@mistake("activation_strength", "You divided each layer by its maximum. The strengths are means as they are; exercise 8 normalises.")
def normalised_strengths(model, X):
    return [h.mean(axis=0) / (h.mean(axis=0).max() or 1) for h in _hidden(model, X)]


def _mean_relu(model, X):
    return [h.mean(axis=0) for h in _hidden(model, X)]


def _prune_neurons(model, k, X, strength=_mean_relu, remeasure=True, known=True, only_live=True, may_empty=False, rows=True, columns=True, bias=True,
                   copied=True, weakest=min):
    """prune_weakest with one part of it replaced by a wrong one."""
    if copied:
        model = copy.deepcopy(model)
    W, b = model["W"], model["b"]
    alive = model["alive"] if known and "alive" in model else [np.ones(len(v), dtype=bool) for v in b[:-1]]
    strengths = strength(model, X)
    for _ in range(k):
        if remeasure:
            strengths = strength(model, X)
        candidates = [(s[j], l, j) for l, (s, a) in enumerate(zip(strengths, alive)) for j in range(len(a))
                      if (a[j] or not only_live) and (may_empty or a.sum() > 1)]
        if not candidates:
            break
        _, l, j = weakest(candidates)
        if columns:
            W[l][:, j] = 0
        if bias:
            b[l][j] = 0
        if rows:
            W[l + 1][j] = 0
        alive[l][j] = False
    model["alive"] = alive
    return model


@mistake("prune_weakest", "You averaged over the neurons, so your mask has an entry for each input. It needs one for each neuron: average over axis 0.")
def mask_shaped_by_samples(model, k, X):
    new = copy.deepcopy(model)
    masks = []
    for l, h in enumerate(_hidden(model, X)):
        strength = h.mean(axis=1)
        mask = np.ones(strength.shape, dtype=bool)
        mask[np.argsort(strength)[:k]] = False
        new["W"][l] = new["W"][l] * mask
        masks.append(mask)
    return {"W": new["W"], "b": new["b"], "alive": masks}


@mistake("prune_weakest", "You removed the incoming weights only. Its bias and its outgoing weights, row j of the next layer, go as well.")
def incoming_only(model, k, X):
    return _prune_neurons(model, k, X, rows=False, bias=False)


@mistake("prune_weakest", "You left the outgoing weights: row j of W[l + 1] must become 0 too.")
def outgoing_left(model, k, X):
    return _prune_neurons(model, k, X, rows=False)


@mistake("prune_weakest", "You left the incoming weights: column j of W[l] must become 0 too.")
def incoming_left(model, k, X):
    return _prune_neurons(model, k, X, columns=False)


@mistake("prune_weakest", "You left the bias. With its weights at 0 such a neuron still says ReLU(b), so it is not gone: set b[l][j] to 0.")
def bias_left(model, k, X):
    return _prune_neurons(model, k, X, bias=False)


@mistake("prune_weakest", "The model came with 'alive' masks, and you began anew with all True: what was dead before counts as live again.")
def revives_the_dead(model, k, X):
    return _prune_neurons(model, k, X, known=False)


@mistake("prune_weakest", "You ranked the dead neurons too. Their strength is 0, so you removed them again and again, and the live ones stayed. Rank live ones only.")
def prunes_the_dead_again(model, k, X):
    return _prune_neurons(model, k, X, only_live=False)


@mistake("prune_weakest", "You measured once, and removed k neurons by that. After each removal the neurons behind it have other inputs: measure again.")
def measured_once(model, k, X):
    return _prune_neurons(model, k, X, remeasure=False)


@mistake("prune_weakest", "You emptied a layer, which cuts the network in two. The last live neuron of a layer stays.")
def empties_a_layer(model, k, X):
    return _prune_neurons(model, k, X, may_empty=True)


@mistake("prune_weakest", "You removed the strongest neurons. The weakest are to go.")
def strongest_first(model, k, X):
    return _prune_neurons(model, k, X, weakest=max)


@mistake("prune_weakest", "You ranked by the mean before the ReLU. What a neuron passes on is what counts.")
def ranked_before_the_activation(model, k, X):
    return _prune_neurons(model, k, X, strength=lambda m, X: [z.mean(axis=0) for z in _outputs(m, X)[:-1]])


@mistake("prune_weakest", "You ranked by the size of the incoming weights. Here the strength on data decides.")
def ranked_by_weights(model, k, X):
    return _prune_neurons(model, k, X, strength=lambda m, X: [np.abs(W).sum(axis=0) for W in m["W"][:-1]])


@mistake("prune_weakest", "You removed k neurons from every layer. It is k in all: one ranking of all hidden layers.")
def k_from_every_layer(model, k, X):
    new = copy.deepcopy(model)
    new["alive"] = new.get("alive") or [np.ones(len(v), dtype=bool) for v in new["b"][:-1]]
    for l, alive in enumerate(new["alive"]):
        for _ in range(min(k, alive.sum() - 1)):
            j = np.argmin(np.where(alive, _mean_relu(new, X)[l], np.inf))
            new["W"][l][:, j], new["b"][l][j], new["W"][l + 1][j], alive[j] = 0, 0, 0, False
    return new


@mistake("prune_weakest", "You looked at the first hidden layer only. The ranking holds the neurons of all hidden layers.")
def first_hidden_layer_only(model, k, X):
    def first(model, X):
        strengths = _mean_relu(model, X)
        return strengths[:1] + [np.full(s.shape, np.inf) for s in strengths[1:]]
    return _prune_neurons(model, k, X, strength=first)


@mistake("prune_weakest", "The result has no 'alive' masks, so the next call does not know what is dead. Return 'W', 'b' and 'alive'.")
def no_alive_masks(model, k, X):
    new = _prune_neurons(model, k, X)
    return {"W": new["W"], "b": new["b"]}


@mistake("prune_weakest", "Your 'alive' masks mark what is dead. True means live.")
def alive_inverted(model, k, X):
    new = _prune_neurons(model, k, X)
    return new | {"alive": [~a for a in new["alive"]]}


@mistake("prune_weakest", "You changed the model that you were given. Work on copies of its arrays, the 'alive' masks too.")
def changes_its_model(model, k, X):
    return _prune_neurons(model, k, X, copied=False)


@mistake("prune_weakest", "You cut the neurons out, so that the arrays shrank. Here all shapes stay; what goes becomes 0.")
def shapes_shrink(model, k, X):
    new = _prune_neurons(model, k, X)
    keep = [np.ones(len(model["W"][0]), dtype=bool), *new["alive"], np.ones(len(model["b"][-1]), dtype=bool)]
    return {"W": [W[a][:, c] for W, a, c in zip(new["W"], keep, keep[1:])], "b": [b[c] for b, c in zip(new["b"], keep[1:])],
            "alive": [np.ones(a.sum(), dtype=bool) for a in keep[1:-1]]}


def _masks(model, gone, per_layer=False, score=np.abs):
    """Keep-masks without the `gone` smallest of all weights; or, per layer, without its share of them."""
    sizes = [W.size for W in model["W"]]
    if per_layer:
        share = gone / sum(sizes)
        return [_masks({"W": [W]}, round(share * W.size), score=score)[0] for W in model["W"]]
    keep = np.ones(sum(sizes), dtype=bool)
    keep[np.argsort(np.concatenate([score(W).ravel() for W in model["W"]]))[:gone]] = False
    return [m.reshape(W.shape) for m, W in zip(np.split(keep, np.cumsum(sizes)[:-1]), model["W"])]


def _masked(model, masks):
    return {"W": [np.asarray(W) * m for W, m in zip(model["W"], masks)], "b": [np.array(b) for b in model["b"]]}


def _loop(model, train, validate, tolerance, step, falls=lambda a, base, t: a < base - t, roll_back=True, reapply=True, trains=True,
          per_layer=False, score=np.abs, more=lambda r, step: r * step <= 1, cut=_masks,
          rolled_back=lambda model, candidate: model):
    """The adaptive loop with one part of it replaced by a wrong one."""
    n, base, r = sum(W.size for W in model["W"]), validate(model), 1
    history = [(0.0, base)]
    while more(r, step):
        gone = min(n, round(r * step * n))
        masks = cut(model, gone, per_layer, score)
        candidate = _masked(model, masks)
        if trains:
            candidate = train(candidate)
        if reapply:
            candidate = _masked(candidate, masks)
        history.append((1 - sum(m.sum() for m in masks) / n, validate(candidate)))
        if falls(history[-1][1], base, tolerance):
            return (rolled_back(model, candidate) if roll_back else candidate), history
        model, r = candidate, r + 1
    return model, history


@mistake("adaptive_prune", "You went on pruning while the accuracy was below the limit, and stopped when it held. It is the other way round: prune while it holds, stop when it "
         "falls.")
def prunes_when_it_falls(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, falls=lambda a, base, t: a >= base - t, roll_back=False)


@mistake("adaptive_prune", "You stopped at the first round that held, and went on where the accuracy was too low. It is the other way round: stop where it falls.")
def stops_where_it_holds(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, falls=lambda a, base, t: a >= base - t)


@mistake("adaptive_prune", "You stopped when the accuracy fell, and gave back the network that fell. Roll back: the result is the model of the round before.")
def never_rolls_back(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, roll_back=False)


@mistake("adaptive_prune", "You asked whether the accuracy equals the base, float against float. It may fall by `tolerance`, and it may rise: ask whether it is below "
         "base − tolerance.")
def floats_compared_for_equality(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, falls=lambda a, base, t: a != base)


@mistake("adaptive_prune", "Your limit is base · (1 − tolerance), a relative drop. The tolerance is absolute: base − tolerance.")
def relative_drop(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, falls=lambda a, base, t: a < base * (1 - t))


@mistake("adaptive_prune", "You compared each round with the one before, so that many small drops add up to a large one. Compare with the base.")
def compared_with_the_round_before(model, train, validate, tolerance, step):
    before = [validate(model)]

    def falls(measured, base, tolerance):
        before.append(measured)
        return measured < before[-2] - tolerance
    return _loop(model, train, validate, tolerance, step, falls=falls)


@mistake("adaptive_prune", "An accuracy equal to base − tolerance still holds. Roll back if it is below.")
def equality_falls(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, falls=lambda a, base, t: a <= base - t)


@mistake("adaptive_prune", "You ignored the tolerance: any drop at all ended the loop.")
def no_tolerance(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, falls=lambda a, base, t: a < base)


@mistake("adaptive_prune", "You never called train, so the kept weights could not make up for the lost ones. Train in every round, before you validate.")
def never_trains(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, trains=False)


@mistake("adaptive_prune", "Training has revived the pruned weights, and you did not set them to 0 again: the model that you validated, and gave back, is not sparse.")
def weights_revive(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, reapply=False)


@mistake("adaptive_prune", "You gave every layer the same share. There is one ranking of the weights of all layers.")
def a_ranking_for_each_layer(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, per_layer=True)


@mistake("adaptive_prune", "You pruned the largest magnitudes first. The least are to go.")
def largest_first(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, score=lambda W: np.where(W == 0, -np.inf, -np.abs(W)))


@mistake("adaptive_prune", "You ranked signed values, so that large negative weights went first. Rank magnitudes.")
def signed_values(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, score=lambda W: np.where(W == 0, -np.inf, W))


@mistake("adaptive_prune", "You measured the accuracy on pictures of your own choice instead of calling validate. If those are the test pictures, nothing is left that could "
         "judge the result honestly.")
def measures_on_the_test_pictures(model, train, validate, tolerance, step):
    from course.datasets import digits
    *_, x, y = digits(arrays="numpy")
    return _loop(model, train, lambda m: float((_outputs(m, x)[-1].argmax(axis=1) == y).mean()), tolerance, step)


@mistake("adaptive_prune", "You stopped after a single round. Go on as long as the accuracy holds.")
def a_single_round(model, train, validate, tolerance, step):
    done, history = _loop(model, train, validate, tolerance, step, falls=lambda a, base, t: True, roll_back=False)
    return (done if history[-1][1] >= history[0][1] - tolerance else model), history


@mistake("adaptive_prune", "You rolled back the weights, but not to the model of the round before: the result is the model as it was given, dense. Keep the last one that held.")
def rolls_back_to_the_start(model, train, validate, tolerance, step):
    done, history = _loop(model, train, validate, tolerance, step)
    return (model if history[-1][1] < history[0][1] - tolerance else done), history


def _failed_biases(model, candidate):
    return {"W": model["W"], "b": candidate["b"]}


@mistake("adaptive_prune", "You rolled back the weights, and kept the biases of the round that failed. Roll back the whole model.")
def keeps_the_failed_biases(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, rolled_back=_failed_biases)


@mistake("adaptive_prune", "The first round failed, and you gave back a further trained model. The result is then the model as it was given.")
def trains_the_given_model(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, rolled_back=lambda last, _: train(model) if last is model else last)


@mistake("adaptive_prune", "You rolled back at the end although every round held. Roll back only where the accuracy has fallen.")
def rolls_back_at_the_end(model, train, validate, tolerance, step):
    done, history = _loop(model, train, validate, tolerance, step)
    if history[-1][1] >= history[0][1] - tolerance:
        done, _ = _loop(model, train, validate, tolerance, step, more=lambda r, step: (r + 1) * step <= 1)
    return done, history


@mistake("adaptive_prune", "You left out the last round: where r · step is 1, that round is still to be tried.")
def last_round_missing(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, more=lambda r, step: r * step < 1)


def _all_below(model, gone, *_):
    """Keep-masks by a threshold, at which all ties go."""
    limit = np.sort(np.concatenate([np.abs(W).ravel() for W in model["W"]]))[gone - 1]
    return [np.abs(W) > limit for W in model["W"]]


@mistake("adaptive_prune", "You cut at a threshold, and all weights tied with it went: more than round(r * step * n). Prune that many, of the tied ones any.")
def prunes_all_ties(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step, cut=_all_below)


@mistake("adaptive_prune", "You pruned the biases too. Only the entries of W are ranked.")
def biases_pruned(model, train, validate, tolerance, step):
    done, history = _loop(model, train, validate, tolerance, step)
    masks = [W.any(axis=0) & (np.arange(W.shape[1]) > 0) for W in done["W"]]
    return {"W": done["W"], "b": [b * m for b, m in zip(done["b"], masks)]}, history


@mistake("adaptive_prune", "You gave back the model alone. The result is (model, history).")
def model_alone(model, train, validate, tolerance, step):
    return _loop(model, train, validate, tolerance, step)[0]


@mistake("adaptive_prune", "Your history lacks the beginning: its first pair is (0.0, base), the model before anything was pruned.")
def history_without_the_base(model, train, validate, tolerance, step):
    done, history = _loop(model, train, validate, tolerance, step)
    return done, history[1:]


@mistake("adaptive_prune", "Your history holds accuracies alone. It is a list of pairs (sparsity, accuracy).")
def history_without_sparsity(model, train, validate, tolerance, step):
    done, history = _loop(model, train, validate, tolerance, step)
    return done, [measured for _, measured in history]


@mistake("adaptive_prune", "The result is right, but you pruned the arrays of the model that you were given. Multiply into new arrays.")
def prunes_its_argument(model, train, validate, tolerance, step):
    done, history = _loop(model, train, validate, tolerance, step)
    for W, new in zip(model["W"], done["W"]):
        W *= np.asarray(new) != 0
    return done, history


def _move(w, g, mask, alpha, drop=np.abs, grow=np.abs, swaps=lambda alpha, active, mask: round(alpha * active), candidates=lambda mask, dropped: ~mask,
          start=lambda w, grown: 0.0):
    """rigl_step with one part of it replaced by a wrong one."""
    k = min(swaps(alpha, int(mask.sum()), mask), int((~mask).sum()), int(mask.sum()))
    new = mask.copy()
    active = np.flatnonzero(mask)
    dropped = active[np.argsort(drop(w)[mask], kind="stable")[:k]]
    new.flat[dropped] = False
    may_grow = candidates(mask, dropped)
    grown = np.flatnonzero(may_grow)[np.argsort(-grow(g)[may_grow], kind="stable")[:k]]
    new.flat[grown] = True
    new_w = w * new
    new_w.flat[grown] = start(w, grown)
    return new_w, new


@mistake("rigl_step", "You grew by |w|. An inactive weight is 0, so its magnitude says nothing; the gradient says where the loss asks for a connection.")
def grows_by_weight(w, g, mask, alpha):
    return _move(w, w, mask, alpha)


@mistake("rigl_step", "You grew where the gradient is largest, also among active entries: that adds nothing, and the number of connections falls.")
def grows_where_active(w, g, mask, alpha):
    k = min(round(alpha * int(mask.sum())), int((~mask).sum()))
    new = mask.copy()
    new.flat[np.flatnonzero(mask)[np.argsort(np.abs(w)[mask])[:k]]] = False
    grown = np.argsort(-np.abs(g), axis=None)[:k]
    fresh = np.zeros(mask.shape, dtype=bool)
    fresh.flat[grown] = True
    return w * (mask & new & ~fresh), new | fresh


@mistake("rigl_step", "You let entries grow that had just been dropped. Grow only where the mask was False before the step.")
def regrows_what_was_dropped(w, g, mask, alpha):
    def candidates(mask, dropped):
        free = ~mask
        free.flat[dropped] = True
        return free
    return _move(w, g, mask, alpha, candidates=candidates)


@mistake("rigl_step", "Grown weights start at 0, so that the output does not jump. Yours start at random.")
def random_start(w, g, mask, alpha):
    return _move(w, g, mask, alpha, start=lambda w, grown: np.random.normal(0, 0.1, len(grown)))


@mistake("rigl_step", "You gave the grown weights a gradient step at once. They start at 0; the optimizer moves them.")
def starts_with_a_gradient_step(w, g, mask, alpha):
    return _move(w, g, mask, alpha, start=lambda w, grown: -0.1 * g.flat[grown])


@mistake("rigl_step", "You grew at random (that is SET, Mocanu et al. 2018). RigL grows where |g| is largest.")
def grows_at_random(w, g, mask, alpha):
    return _move(w, np.random.permutation(g.size).reshape(g.shape).astype(float), mask, alpha)


@mistake("rigl_step", "You grew where |g| is smallest. The largest gradients ask most for a connection.")
def grows_the_smallest(w, g, mask, alpha):
    return _move(w, g, mask, alpha, grow=lambda g: -np.abs(g))


@mistake("rigl_step", "You ranked signed gradients. A large negative one asks for a connection as much: rank |g|.")
def signed_gradients(w, g, mask, alpha):
    return _move(w, g, mask, alpha, grow=lambda g: g)


@mistake("rigl_step", "You ranked signed weights, so that large negative ones were dropped first. Rank |w|.")
def signed_weights(w, g, mask, alpha):
    return _move(w, g, mask, alpha, drop=lambda w: w)


@mistake("rigl_step", "You dropped the largest weights. The least are to go.")
def drops_the_largest(w, g, mask, alpha):
    return _move(w, g, mask, alpha, drop=lambda w: -np.abs(w))


@mistake("rigl_step", "You dropped by |g|. Gradients choose what grows; magnitudes choose what is dropped.")
def drops_by_gradient(w, g, mask, alpha):
    return _move(w, g, mask, alpha, drop=lambda w: np.abs(g))


@mistake("rigl_step", "You swapped the share alpha of all entries. It is a share of the active ones.")
def share_of_all_entries(w, g, mask, alpha):
    return _move(w, g, mask, alpha, swaps=lambda alpha, active, mask: round(alpha * mask.size))


@mistake("rigl_step", "You swapped the share alpha of the inactive entries. It is a share of the active ones.")
def share_of_the_inactive(w, g, mask, alpha):
    return _move(w, g, mask, alpha, swaps=lambda alpha, active, mask: round(alpha * (mask.size - active)))


@mistake("rigl_step", "You rounded alpha·active down. k is round(alpha * active): 3.6 gives 4.")
def swaps_rounded_down(w, g, mask, alpha):
    return _move(w, g, mask, alpha, swaps=lambda alpha, active, mask: int(alpha * active))


@mistake("rigl_step", "You took w != 0 for the mask. An active entry may be 0, for it has just been grown: use the mask that is given.")
def mask_from_the_weights(w, g, mask, alpha):
    return _move(w, g, w != 0, alpha)


@mistake("rigl_step", "You dropped, but nothing grew: the network loses connections at every step.")
def drops_only(w, g, mask, alpha):
    new = mask.copy()
    new.flat[np.flatnonzero(mask)[np.argsort(np.abs(w)[mask])[:round(alpha * int(mask.sum()))]]] = False
    return w * new, new


@mistake("rigl_step", "You grew, but dropped nothing: the network gains connections at every step.")
def grows_only(w, g, mask, alpha):
    new = mask.copy()
    new.flat[np.flatnonzero(~mask)[np.argsort(-np.abs(g)[~mask])[:round(alpha * int(mask.sum()))]]] = True
    return w * mask, new


@mistake("rigl_step", "Where fewer entries are inactive than round(alpha·active), you dropped more than can grow. k is at most the number of inactive ones.")
def drops_more_than_can_grow(w, g, mask, alpha):
    k = round(alpha * int(mask.sum()))
    new = mask.copy()
    new.flat[np.flatnonzero(mask)[np.argsort(np.abs(w)[mask])[:k]]] = False
    new.flat[np.flatnonzero(~mask)[np.argsort(-np.abs(g)[~mask])[:k]]] = True
    return w * (mask & new), new


@mistake("rigl_step", "The result is right, but you moved connections in the mask and the weights that you were given. Work on copies.")
def moves_in_place(w, g, mask, alpha):
    w_new, new = _move(w, g, mask, alpha)
    w[...], mask[...] = w_new, new
    return w, mask


def _score(shape):
    return sum(shape) / math.prod(shape)


def _scaled(shapes, density, score=_score):
    """Densities in proportion to the scores, and where they exceed 1, more than 1."""
    sizes = [math.prod(s) for s in shapes]
    eps = density * sum(sizes) / sum(score(s) * n for s, n in zip(shapes, sizes))
    return [eps * score(s) for s in shapes]


def _filled(shapes, density, score=_score):
    """Densities in proportion to the scores, none above 1, with the exact sum."""
    full = set()
    while True:
        rest = [l for l in range(len(shapes)) if l not in full]
        wanted = density * sum(math.prod(s) for s in shapes) - sum(math.prod(shapes[l]) for l in full)
        if not rest:
            return [1.0] * len(shapes)
        eps = wanted / sum(score(shapes[l]) * math.prod(shapes[l]) for l in rest)
        over = {l for l in rest if eps * score(shapes[l]) > 1 + 1e-12}
        if not over:
            return [1.0 if l in full else eps * score(shapes[l]) for l in range(len(shapes))]
        full |= over


@mistake("erk_densities", "You gave every layer the same density. Small layers get a larger one, in proportion to Σ dims / Π dims.")
def uniform(shapes, density):
    return [density] * len(shapes)


@mistake("erk_densities", "You cut densities off at 1, and what the full layers could not take is lost: the total is too small. Give it to the others.")
def cut_off_at_one(shapes, density):
    return [min(1.0, d) for d in _scaled(shapes, density)]


@mistake("erk_densities", "Some of your densities exceed 1: no layer can keep more weights than it has. Such a layer is full, and the others get the rest.")
def more_than_one(shapes, density):
    return _scaled(shapes, density)


@mistake("erk_densities", "You redistributed once. The others get more by that, and one of them may exceed 1 now: repeat until none does.")
def redistributed_once(shapes, density):
    first, sizes = _scaled(shapes, density), [math.prod(s) for s in shapes]
    rest = [l for l, d in enumerate(first) if d <= 1]
    wanted = density * sum(sizes) - sum(n for l, n in enumerate(sizes) if l not in rest)
    eps = wanted / sum(sum(shapes[l]) for l in rest) if rest else 0
    return [min(1.0, eps * _score(s)) if l in rest else 1.0 for l, s in enumerate(shapes)]


@mistake("erk_densities", "Your densities are the raw scores: no ε was found for which the total is density · Σ n.")
def raw_scores(shapes, density):
    return [min(1.0, _score(s)) for s in shapes]


@mistake("erk_densities", "You chose ε such that the mean of the densities is `density`. Layers differ in size: Σ d·n must be density · Σ n.")
def mean_of_the_densities(shapes, density):
    scores = [_score(s) for s in shapes]
    return [min(1.0, density * len(shapes) * score / sum(scores)) for score in scores]


@mistake("erk_densities", "You used the first two dimensions only. ERK counts the kernel's height and width too: all dims are summed.")
def without_the_kernel(shapes, density):
    return _filled(shapes, density, score=lambda s: (s[0] + s[1]) / (s[0] * s[1]))


@mistake("erk_densities", "Your score is upside down: it gives large layers more than small ones.")
def score_upside_down(shapes, density):
    return _filled(shapes, density, score=lambda s: math.prod(s) / sum(s))


@mistake("erk_densities", "Your score is 1 / Π dims, so that every layer keeps the same number of weights. It is Σ dims / Π dims.")
def same_number_for_each(shapes, density):
    return _filled(shapes, density, score=lambda s: 1 / math.prod(s))


@mistake("erk_densities", "You gave sparsities. A density is the share that is kept.")
def sparsities(shapes, density):
    return [1 - d for d in _filled(shapes, density)]


@mistake("erk_densities", "You took `density` for a sparsity: the total is (1 − density) · Σ n.")
def total_of_the_zeros(shapes, density):
    return _filled(shapes, 1 - density)


@mistake("erk_densities", "You gave the numbers of weights kept. What is asked for is their share of each layer.")
def counts(shapes, density):
    return [round(d * math.prod(s)) for d, s in zip(_filled(shapes, density), shapes)]


@mistake("surgery_mask", "You used one threshold: whatever is not above low is off, whatever is above it is on. Between low and high the mask stays as it was.")
def no_hysteresis(w, mask, low, high):
    return np.abs(w) >= low


@mistake("surgery_mask", "You used the upper threshold alone: weights in the gap that were on went off. Between low and high the mask stays as it was.")
def upper_threshold_alone(w, mask, low, high):
    return np.abs(w) > high


@mistake("surgery_mask", "You exchanged the thresholds. Below low a weight goes off, above high it comes on.")
def thresholds_exchanged(w, mask, low, high):
    return np.where(np.abs(w) < high, False, np.where(np.abs(w) > low, True, mask))


@mistake("surgery_mask", "You exchanged the thresholds: with you a weight comes on above low, and stays on from high. It comes on above high, and stays on from low.")
def on_above_low(w, mask, low, high):
    return (np.abs(w) > low) | (mask & (np.abs(w) >= high))


@mistake("surgery_mask", "You compared signed weights, so that every negative weight is off. Compare |w|.")
def signed_surgery(w, mask, low, high):
    return (w > high) | (mask & (w >= low))


@mistake("surgery_mask", "You never splice: what is off stays off. Above high a weight comes on again; so look at the stored weights, not at w · mask, "
         "which is 0 for all that are off.")
def never_splices(w, mask, low, high):
    return mask & (np.abs(w) >= low)


@mistake("surgery_mask", "You never prune: what is on stays on. Below low a weight goes off.")
def never_prunes(w, mask, low, high):
    return mask | (np.abs(w) > high)


@mistake("surgery_mask", "You inverted the mask: True must mean on.")
def inverted_mask(w, mask, low, high):
    return ~((np.abs(w) > high) | (mask & (np.abs(w) >= low)))


@mistake("surgery_mask", "A magnitude equal to low leaves the mask as it was; you turned it off.")
def off_at_low(w, mask, low, high):
    return (np.abs(w) > high) | (mask & (np.abs(w) > low))


@mistake("surgery_mask", "A magnitude equal to high leaves the mask as it was; you turned it on.")
def on_at_high(w, mask, low, high):
    return (np.abs(w) >= high) | (mask & (np.abs(w) >= low))


@mistake("surgery_mask", "You gave back weights. What is asked for is the mask.")
def weights_for_the_mask(w, mask, low, high):
    return w * ((np.abs(w) > high) | (mask & (np.abs(w) >= low)))


@mistake("surgery_mask", "The result is right, but you wrote it into the mask that you were given. Make a new array.")
def surgery_in_place(w, mask, low, high):
    mask[np.abs(w) < low] = False
    mask[np.abs(w) > high] = True
    return mask


@mistake("expected_macs", "You counted only the stage that an input leaves after. It has paid for all earlier stages too: use the running sums of the costs.")
def earlier_stages_forgotten(exit_rates, costs):
    return float(np.dot(exit_rates, costs))


@mistake("expected_macs", "You gave the cost of a batch: it runs until its hardest input is done, through every stage that anybody needs. Here inputs come one at a time.")
def of_a_batch(exit_rates, costs):
    return float(np.cumsum(costs)[np.flatnonzero(exit_rates).max()])


@mistake("expected_macs", "You gave the worst case, all stages for every input. The mean weighs each exit by its rate.")
def all_stages(exit_rates, costs):
    return float(np.sum(costs))


@mistake("expected_macs", "You read the rates as conditional: the share of those that reach a stage. They are shares of all inputs, and sum to 1.")
def conditional_rates(exit_rates, costs):
    total, reach = 0.0, 1.0
    for rate, cost in zip(exit_rates, costs):
        total += reach * cost
        reach *= 1 - rate
    return total


@mistake("expected_macs", "You averaged the costs of the exits as if all were equally frequent. Weigh each by its rate.")
def unweighted(exit_rates, costs):
    return float(np.mean(np.cumsum(costs)))


@mistake("expected_macs", "Your running sums leave out the stage that the input leaves after: it has paid for that one too.")
def own_stage_free(exit_rates, costs):
    return float(np.dot(exit_rates, np.cumsum(costs) - np.asarray(costs)))


@mistake("expected_macs", "You cumulated the wrong way: an input that leaves after stage i pays with you for the stages from i on (or, which is the same, you cumulated the rates). It pays "
         "for those up to i.")
def later_stages_paid(exit_rates, costs):
    return float(np.dot(exit_rates, np.cumsum(costs[::-1])[::-1]))


@mistake("expected_macs", "You gave one number for each exit. What is asked for is their sum, one number.")
def one_for_each_exit(exit_rates, costs):
    return np.asarray(exit_rates) * np.cumsum(costs)


@mistake("expected_macs", "You divided the mean by the number of stages. It is a mean over inputs, and the rates have seen to that.")
def divided_by_stages(exit_rates, costs):
    return float(np.dot(exit_rates, np.cumsum(costs))) / len(costs)


def _terms(w, g, a, own=lambda x: np.abs(x).max()):
    """|w|, |g|, |a|, each divided by its own number, or by 1 where that is 0."""
    return [np.abs(x) / (own(x) or 1) for x in (w, g, a)]


def _sum(terms, weights):
    return sum(c * term for c, term in zip(weights, terms))


@mistake("hybrid_scores", "You added the criteria as they are: the one in the largest unit decides alone. Divide each by its own maximum.")
def not_normalised(w, g, a, weights):
    return _sum([np.abs(x) for x in (w, g, a)], weights)


@mistake("hybrid_scores", "You multiplied the terms: a single zero makes the whole score 0. Add them.")
def product(w, g, a, weights):
    w, g, a = _terms(w, g, a)
    return w ** weights[0] * g ** weights[1] * a ** weights[2]


@mistake("hybrid_scores", "You multiplied the weighted terms: a single zero makes the whole score 0. Add them.")
def product_of_the_weighted(w, g, a, weights):
    return math.prod(c * term if term.any() else 1 for c, term in zip(weights, _terms(w, g, a))) * np.ones(w.shape)


@mistake("hybrid_scores", "You divided all terms by one common maximum, so that the largest unit still decides. Each has its own.")
def common_maximum(w, g, a, weights):
    top = max(np.abs(x).max() for x in (w, g, a))
    return _sum(_terms(w, g, a, own=lambda x: top), weights)


@mistake("hybrid_scores", "You divided each term by its sum. Divide it by its maximum.")
def divided_by_the_sum(w, g, a, weights):
    return _sum(_terms(w, g, a, own=lambda x: np.abs(x).sum()), weights)


@mistake("hybrid_scores", "You divided each term by its Euclidean norm. Divide it by its maximum.")
def divided_by_the_norm(w, g, a, weights):
    return _sum(_terms(w, g, a, own=lambda x: np.sqrt((x ** 2).sum())), weights)


@mistake("hybrid_scores", "You normalised to the range from minimum to maximum, so the smallest counts as 0. Divide by the maximum only.")
def minimum_to_maximum(w, g, a, weights):
    sizes = [np.abs(x) - np.abs(x).min() for x in (w, g, a)]
    return _sum([x / (x.max() or 1) for x in sizes], weights)


@mistake("hybrid_scores", "You normalised each column by its own maximum. There is one maximum for the whole array.")
def maximum_of_each_column(w, g, a, weights):
    w, g = (np.abs(x) / np.where(np.abs(x).max(axis=0) > 0, np.abs(x).max(axis=0), 1) for x in (w, g))
    return _sum([w, g, np.abs(a) / (np.abs(a).max() or 1)], weights)


@mistake("hybrid_scores", "You left the signs: a large negative weight or gradient counts as little. Take absolute values.")
def signed_terms(w, g, a, weights):
    return _sum([x / (np.abs(x).max() or 1) for x in (w, g, a)], weights)


@mistake("hybrid_scores", "You divided by the largest signed value, which is not the largest magnitude where that is negative.")
def signed_maximum(w, g, a, weights):
    return _sum(_terms(w, g, a, own=lambda x: x.max()), weights)


@mistake("hybrid_scores", "You gave the activations to the rows. a has one entry for each column of w: the neuron that the weight leads into.")
def activations_of_the_rows(w, g, a, weights):
    w, g, a = _terms(w, g, a)
    return _sum([w, g, a[:, None]], weights)


@mistake("hybrid_scores", "An array that is all 0 gave 0/0, which is NaN. Its term counts as 0.")
def zero_over_zero(w, g, a, weights):
    with np.errstate(all="ignore"):
        return _sum([np.abs(x) / np.float64(np.abs(x).max()) for x in (w, g, a)], weights)


@mistake("hybrid_scores", "You divided the sum by α + β + γ. The score is the sum itself.")
def weighted_mean(w, g, a, weights):
    return _sum(_terms(w, g, a), weights) / (sum(weights) or 1)


@mistake("hybrid_scores", "You ignored α, β and γ.")
def equal_weights(w, g, a, weights):
    return _sum(_terms(w, g, a), (1, 1, 1))


@mistake("hybrid_scores", "You left out the activations.")
def without_activations(w, g, a, weights):
    return _sum(_terms(w, g, a)[:2], weights)


@mistake("hybrid_scores", "You multiplied magnitude and gradient into one term |w·g|. Here each stands alone.")
def taylor_for_two(w, g, a, weights):
    wg = np.abs(w * g)
    return _sum([wg / (wg.max() or 1), 0 * wg, np.abs(a) / (np.abs(a).max() or 1)], (weights[0] + weights[1], 0, weights[2]))


@mistake("adaptive_prune_network", "Your mask has one entry for each input, for you averaged over the neurons (axis 1): it does not fit the weights. Here you need no activations: rank "
         "magnitudes.")
def a_mask_of_samples(network, train, validate, tolerance, step):
    X = np.random.default_rng(0).random((97, len(network["W"][0])))
    base = validate(network)
    strength = np.maximum(_outputs(network, X)[0], 0).mean(axis=1)
    pruned = {"W": [network["W"][0] * (strength > np.quantile(strength, step)), *network["W"][1:]], "b": network["b"]}
    return train(pruned), [(0.0, base)]


@mistake("adaptive_prune_network", "The published program, as it was: its accuracy compares the largest logit with the label, so it is always 0, never falls, and nothing is pruned. Call "
         "validate.")
def floats_compared_with_labels(network, train, validate, tolerance, step):
    before, history = 0.0, [(0.0, validate(network))]
    labels = np.zeros(50)
    for _ in range(int(1 / step)):
        network = train(network)
        measured = np.mean(_outputs(network, np.random.default_rng(0).random((50, len(network["W"][0]))))[-1].max(axis=1) == labels)
        before = measured
        history.append((0.0, before))
    return network, history


@mistake("adaptive_prune_network", "It still prunes when the accuracy falls, and not while it holds. Turn the condition round.")
def prunes_on_a_fall(network, train, validate, tolerance, step):
    return _loop(network, train, validate, tolerance, step, falls=lambda a, base, t: a >= base - t, roll_back=False)


@mistake("adaptive_prune_network", "It still gives back what it has last, although that fell below the limit. Keep the network of the round before, and return that.")
def gives_back_the_last(network, train, validate, tolerance, step):
    return _loop(network, train, validate, tolerance, step, roll_back=False)


@mistake("adaptive_prune_network", "You rolled back the weights, and kept the biases of the round that failed. Roll back the whole network.")
def keeps_biases_that_failed(network, train, validate, tolerance, step):
    return _loop(network, train, validate, tolerance, step, rolled_back=_failed_biases)


@mistake("adaptive_prune_network", "You left out the last round: where r · step is 1, that round is still to be tried.")
def without_the_last_round(network, train, validate, tolerance, step):
    return _loop(network, train, validate, tolerance, step, more=lambda r, step: r * step < 1)


@mistake("adaptive_prune_network", "Each round is compared with the one before, as in the published program, so that many small drops add up. Compare with the base.")
def still_compared_with_the_round_before(network, train, validate, tolerance, step):
    before = [validate(network)]

    def falls(measured, base, tolerance):
        before.append(measured)
        return measured < before[-2] - tolerance
    return _loop(network, train, validate, tolerance, step, falls=falls)


@mistake("adaptive_prune_network", "Your limit is base · (1 − tolerance), a relative drop. The tolerance is absolute: base − tolerance.")
def relative_tolerance(network, train, validate, tolerance, step):
    return _loop(network, train, validate, tolerance, step, falls=lambda a, base, t: a < base * (1 - t))


@mistake("adaptive_prune_network", "Training has revived the pruned weights. Set them to 0 again before you validate, in every round.")
def lets_weights_revive(network, train, validate, tolerance, step):
    return _loop(network, train, validate, tolerance, step, reapply=False)


@mistake("adaptive_prune_network", "You never train, so that the kept weights cannot make up for the lost ones. The published program was right in that: train in every round.")
def training_lost(network, train, validate, tolerance, step):
    return _loop(network, train, validate, tolerance, step, trains=False)


@mistake("adaptive_prune_network", "You gave every layer the same share. There is one ranking of the weights of all layers.")
def ranks_each_layer(network, train, validate, tolerance, step):
    return _loop(network, train, validate, tolerance, step, per_layer=True)


@mistake("adaptive_prune_network", "An accuracy equal to base − tolerance still holds. Roll back if it is below.")
def equality_rolls_back(network, train, validate, tolerance, step):
    return _loop(network, train, validate, tolerance, step, falls=lambda a, base, t: a <= base - t)


@mistake("adaptive_prune_network", "The result is right, but you changed the network that you were given: `*=` writes into its arrays, as in the published program.")
def writes_into_its_argument(network, train, validate, tolerance, step):
    done, history = _loop(network, train, validate, tolerance, step)
    for W, new in zip(network["W"], done["W"]):
        W *= np.asarray(new) != 0
    return done, history


@mistake("adaptive_prune_network", "You gave back the network alone. The result is (network, history).")
def network_alone(network, train, validate, tolerance, step):
    return _loop(network, train, validate, tolerance, step)[0]


@mistake("adaptive_prune_network", "Your history begins after the first round. Its first pair is (0.0, base).")
def history_from_the_first_round(network, train, validate, tolerance, step):
    done, history = _loop(network, train, validate, tolerance, step)
    return done, history[1:]
