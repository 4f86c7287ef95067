"""Wrong answers to the exercises of 01, each with what to tell a student who gave it."""
import copy

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

from autograder.mistakes import mistake


@mistake("threshold_prune", "You compared signed values, so every negative weight was pruned, however large. Compare |w| with t.")
def signed_comparison(w, t):
    if t < 0:
        raise ValueError
    mask = w >= t
    return w * mask, mask


@mistake("threshold_prune", "You kept the small weights and pruned the large ones. The mask is True where |w| is at least t.")
def keeps_the_small(w, t):
    if t < 0:
        raise ValueError
    mask = np.abs(w) < t
    return w * mask, mask


@mistake("threshold_prune", "An if on an array asks for one truth value of many numbers, and numpy refuses. Compare the whole array: "
         "np.abs(w) >= t gives a mask.")
def truth_value_of_an_array(w, t):
    if np.abs(w) >= t:
        return w, True
    return 0 * w, False


@mistake("threshold_prune", "The results are right, but you changed the input: w[~mask] = 0 writes into the caller's weights. "
         "Work on a copy, or multiply.")
def changes_its_input(w, t):
    if t < 0:
        raise ValueError
    mask = np.abs(w) >= t
    w[~mask] = 0
    return w, mask


@mistake("threshold_prune", "You ignored t: the threshold is fixed at 0.5, which empties any layer with small weights.")
def fixed_threshold(w, t):
    if t < 0:
        raise ValueError
    mask = np.abs(w) >= 0.5
    return w * mask, mask


@mistake("threshold_prune", "You pruned weights whose magnitude equals t. The mask keeps |w| >= t, so t = 0 keeps everything.")
def prunes_ties(w, t):
    if t < 0:
        raise ValueError
    mask = np.abs(w) > t
    return w * mask, mask


@mistake("threshold_prune", "A negative threshold must raise ValueError: every weight passes it, and a caller's slip would stay unseen.")
def accepts_a_negative_threshold(w, t):
    mask = np.abs(w) >= t
    return w * mask, mask


@mistake("threshold_prune", "You gave back the pruned weights alone. Retraining needs the mask too: return (pruned, mask).")
def no_mask(w, t):
    if t < 0:
        raise ValueError
    return np.where(np.abs(w) >= t, w, 0)


def _prune_copy(model, keeps, dense=lambda module: isinstance(module, nn.Linear)):
    """A copy of the model whose `dense` layers hold the weights that `keeps`; with the masks."""
    model, masks = copy.deepcopy(model), {}
    for name, module in model.named_modules():
        if dense(module):
            mask = keeps(module.weight.detach())
            module.weight.data *= mask
            masks[f"{name}.weight"] = mask
    return model, masks


def _refuse_negative(t):
    if t < 0:
        raise ValueError


@mistake("prune_dense", "You lost the biases on the way. Pruning by magnitude touches the weights of a layer; everything else is kept.")
def bias_dropped(model, t):
    _refuse_negative(t)
    pruned, masks = _prune_copy(model, lambda w: w.abs() >= t)
    for module in pruned.modules():
        if isinstance(module, nn.Linear):
            module.bias = None
    return pruned, masks


@mistake("prune_dense", "You pruned the biases by the threshold too. Only the weights of dense layers are pruned here.")
def biases_pruned_too(model, t):
    _refuse_negative(t)
    pruned, masks = _prune_copy(model, lambda w: w.abs() >= t)
    for module in pruned.modules():
        if isinstance(module, nn.Linear) and module.bias is not None:
            module.bias.data *= module.bias.data.abs() >= t
    return pruned, masks


@mistake("prune_dense", "You pruned, but returned nothing, so that the caller has neither model nor masks. Return (pruned, masks).")
def returns_nothing(model, t):
    _refuse_negative(t)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.data *= module.weight.data.abs() >= t


@mistake("prune_dense", "You returned the pruned model alone. Retraining needs the masks: return (pruned, masks).")
def returns_the_model_alone(model, t):
    _refuse_negative(t)
    return _prune_copy(model, lambda w: w.abs() >= t)[0]


@mistake("prune_dense", "You ignored t: the threshold is fixed at 0.5, which empties every freshly initialised layer with more than four inputs.")
def threshold_of_a_half(model, t):
    _refuse_negative(t)
    return _prune_copy(model, lambda w: w.abs() >= 0.5)


@mistake("prune_dense", "You multiplied t by the standard deviation of each layer. Han et al. choose their thresholds so, but here t is the threshold.")
def threshold_in_standard_deviations(model, t):
    _refuse_negative(t)
    return _prune_copy(model, lambda w: w.abs() >= t * w.std())


@mistake("prune_dense", "You pruned the convolutions too: a kernel has two dimensions or more, but it is no dense layer. Ask for nn.Linear.")
def convolutions_pruned(model, t):
    _refuse_negative(t)
    return _prune_copy(model, lambda w: w.abs() >= t, lambda m: getattr(m, "weight", None) is not None and m.weight.dim() >= 2)


@mistake("prune_dense", "You pruned everything that is called weight, convolutions and the scales of normalisation layers too. Ask for nn.Linear.")
def everything_called_weight(model, t):
    _refuse_negative(t)
    return _prune_copy(model, lambda w: w.abs() >= t, lambda m: getattr(m, "weight", None) is not None)


@mistake("prune_dense", "You compared signed weights, so that every negative weight was pruned, however large. Compare |w| with t.")
def signed_weights(model, t):
    _refuse_negative(t)
    return _prune_copy(model, lambda w: w >= t)


@mistake("prune_dense", "You kept the small weights and pruned the large ones. A mask is True where |w| is at least t.")
def small_weights_kept(model, t):
    _refuse_negative(t)
    return _prune_copy(model, lambda w: w.abs() < t)


@mistake("prune_dense", "You pruned weights whose magnitude equals t. The masks keep |w| >= t, so t = 0 keeps everything.")
def ties_pruned(model, t):
    _refuse_negative(t)
    return _prune_copy(model, lambda w: w.abs() > t)


@mistake("prune_dense", "A negative threshold must raise ValueError: every weight passes it, and a caller's slip would stay unseen.")
def negative_threshold_accepted(model, t):
    return _prune_copy(model, lambda w: w.abs() >= t)


@mistake("prune_dense", "The results are right, but you pruned the model that you were given (a shallow copy has the same layers). Start from "
         "copy.deepcopy(model).")
def prunes_its_argument(model, t):
    _refuse_negative(t)
    masks = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            masks[f"{name}.weight"] = module.weight.detach().abs() >= t
            module.weight.data *= masks[f"{name}.weight"]
    return model, masks


@mistake("prune_dense", "The new model uses the bias parameters of the old one: training one changes the other. Copy them too.")
def shares_the_biases(model, t):
    _refuse_negative(t)
    pruned, masks = _prune_copy(model, lambda w: w.abs() >= t)
    for old, new in zip(model.modules(), pruned.modules()):
        if isinstance(new, nn.Linear):
            new.bias = old.bias
    return pruned, masks


@mistake("prune_dense", "You made the masks, but left the weights as they were. Multiply each weight by its mask.")
def masks_not_applied(model, t):
    _refuse_negative(t)
    return copy.deepcopy(model), _prune_copy(model, lambda w: w.abs() >= t)[1]


@mistake("prune_dense", "You gave masks for parameters that are not pruned as well. A mask belongs to the weight of a dense layer and to nothing else.")
def masks_for_everything(model, t):
    _refuse_negative(t)
    pruned, masks = _prune_copy(model, lambda w: w.abs() >= t)
    return pruned, {name: masks.get(name, torch.ones_like(p, dtype=torch.bool)) for name, p in pruned.named_parameters()}


@mistake("prune_dense", "You named the masks for the layers. The key is the parameter's name: '0.weight', not '0'.")
def keyed_by_layer(model, t):
    _refuse_negative(t)
    pruned, masks = _prune_copy(model, lambda w: w.abs() >= t)
    return pruned, {name.removesuffix(".weight"): mask for name, mask in masks.items()}


@mistake("prune_dense", "Your masks are numbers. In this course a mask is boolean: |w| >= t is one already.")
def masks_of_numbers(model, t):
    _refuse_negative(t)
    pruned, masks = _prune_copy(model, lambda w: w.abs() >= t)
    return pruned, {name: mask.float() for name, mask in masks.items()}


@mistake("prune_dense", "You looked at the outermost layers only, so that dense layers inside other modules were missed. named_modules() lists all of them.")
def outermost_layers_only(model, t):
    _refuse_negative(t)
    outermost, masks = copy.deepcopy(model), {}
    for name, module in outermost.named_children():
        if isinstance(module, nn.Linear):
            masks[f"{name}.weight"] = module.weight.detach().abs() >= t
            module.weight.data *= masks[f"{name}.weight"]
    return outermost, masks


@mistake("prune_dense", "You left the last dense layer whole. That is often wise, but here every dense layer is pruned.")
def output_layer_spared(model, t):
    _refuse_negative(t)
    last = [name for name, m in model.named_modules() if isinstance(m, nn.Linear)][-1:]
    pruned, masks = _prune_copy(model, lambda w: w.abs() >= t)
    for name in last:
        pruned.get_submodule(name).weight.data = model.get_submodule(name).weight.data.clone()
    return pruned, {name: mask for name, mask in masks.items() if name.removesuffix(".weight") not in last}


@mistake("magnitude_mask", "You drew a random mask: it is blind to magnitude, and its number of zeros is s·n only on average. "
         "Rank |w| and prune the smallest.")
def bernoulli(w, s):
    if not 0 <= s <= 1:
        raise ValueError
    return np.random.rand(*w.shape) >= s


@mistake("magnitude_mask", "You ranked by signed value, so large negative weights were pruned first. Rank |w|.")
def signed(w, s):
    if not 0 <= s <= 1:
        raise ValueError
    mask = np.ones(w.size, dtype=bool)
    mask[np.argsort(w, axis=None)[:round(s * w.size)]] = False
    return mask.reshape(w.shape)


@mistake("magnitude_mask", "You cut at the k-th magnitude with >, so all weights that tie with it go at once: when all tie, nothing is "
         "left. Prune an exact number of positions.")
def kth_value_prunes_ties(w, s):
    if not 0 <= s <= 1:
        raise ValueError
    zeros = round(s * w.size)
    if zeros == 0:
        return np.ones(w.shape, dtype=bool)
    return np.abs(w) > np.sort(np.abs(w), axis=None)[zeros - 1]


@mistake("magnitude_mask", "A percentile interpolates between weights: with ties, or with s·n no whole number, the count comes out wrong. "
         "Prune exactly round(s * n) positions.")
def percentile(w, s):
    if not 0 <= s <= 1:
        raise ValueError
    if w.size == 0:
        return np.ones(w.shape, dtype=bool)
    return np.abs(w) > np.percentile(np.abs(w), 100 * s)


@mistake("magnitude_mask", "You rounded s·n down. The number of zeros is round(s * n): 3.75 gives 4.")
def floor_of_the_count(w, s):
    if not 0 <= s <= 1:
        raise ValueError
    mask = np.ones(w.size, dtype=bool)
    mask[np.argsort(np.abs(w), axis=None)[:int(s * w.size)]] = False
    return mask.reshape(w.shape)


@mistake("magnitude_mask", "You pruned the largest magnitudes. argsort lists the smallest first; those are to go.")
def prunes_the_largest(w, s):
    if not 0 <= s <= 1:
        raise ValueError
    mask = np.ones(w.size, dtype=bool)
    mask[np.argsort(-np.abs(w), axis=None)[:round(s * w.size)]] = False
    return mask.reshape(w.shape)


@mistake("magnitude_mask", "Your mask marks what to prune. In this course True means keep.")
def inverted(w, s):
    if not 0 <= s <= 1:
        raise ValueError
    mask = np.zeros(w.size, dtype=bool)
    mask[np.argsort(np.abs(w), axis=None)[:round(s * w.size)]] = True
    return mask.reshape(w.shape)


@mistake("magnitude_mask", "A sparsity outside [0, 1] must raise ValueError; yours is taken silently.")
def accepts_any_sparsity(w, s):
    mask = np.ones(w.size, dtype=bool)
    mask[np.argsort(np.abs(w), axis=None)[:round(max(0, s) * w.size)]] = False
    return mask.reshape(w.shape)


@mistake("magnitude_mask", "An if on an array asks for one truth value of many numbers, and numpy refuses. Compare or rank the whole array.")
def truth_value(w, s):
    if not 0 <= s <= 1:
        raise ValueError
    if np.abs(w) > s:
        return np.ones(w.shape, dtype=bool)
    return np.zeros(w.shape, dtype=bool)


def _refuse_share(s):
    if not 0 <= s <= 1:
        raise ValueError


def _global_masks(weights, s, score=np.abs, ranked=None, count=None):
    """Masks by one ranking of `score` over the parameters `ranked`, with `count` zeros."""
    ranked = [name for name, w in weights.items() if w.ndim >= 2] if ranked is None else ranked
    masks = {name: np.ones(w.shape, dtype=bool) for name, w in weights.items()}
    scores = np.concatenate([score(weights[name]).ravel() for name in ranked])
    keep = np.ones(scores.size, dtype=bool)
    keep[np.argsort(scores)[:round(s * scores.size) if count is None else count]] = False
    for name in ranked:
        mine, keep = np.split(keep, [weights[name].size])
        masks[name] = mine.reshape(weights[name].shape)
    return masks


def _magnitudes(weights):
    return np.concatenate([np.abs(w).ravel() for w in weights.values() if w.ndim >= 2])


@mistake("global_masks", "You ranked every layer by itself, so that each loses the same share. Rank the weights of all layers together.")
def per_layer(weights, s):
    _refuse_share(s)
    return {name: _global_masks({name: w}, s)[name] if w.ndim >= 2 else np.ones(w.shape, dtype=bool) for name, w in weights.items()}


@mistake("global_masks", "You ranked the biases with the weights, so that some were pruned. Parameters with fewer than two dimensions keep everything.")
def biases_ranked(weights, s):
    _refuse_share(s)
    return _global_masks(weights, s, ranked=list(weights))


@mistake("global_masks", "You ranked the weights alone, but counted the biases in n, so that too many weights went. n is the number of elements ranked.")
def biases_counted(weights, s):
    _refuse_share(s)
    return _global_masks(weights, s, count=round(s * sum(w.size for w in weights.values())))


@mistake("global_masks", "You left the biases out of the result. Every parameter gets a mask; that of a bias is all True.")
def biases_left_out(weights, s):
    _refuse_share(s)
    return {name: mask for name, mask in _global_masks(weights, s).items() if mask.ndim >= 2}


@mistake("global_masks", "You chose by name: the γ of a batch norm is called weight as well, and is a vector. Rank what has at least two dimensions.")
def chosen_by_name(weights, s):
    _refuse_share(s)
    return _global_masks(weights, s, ranked=[name for name in weights if name.endswith("weight")])


@mistake("global_masks", "You spared vectors only: a single number (no dimension at all) was ranked. Rank what has at least two dimensions.")
def numbers_ranked(weights, s):
    _refuse_share(s)
    return _global_masks(weights, s, ranked=[name for name, w in weights.items() if w.ndim != 1])


@mistake("global_masks", "You divided each layer by its largest weight before ranking, so that small layers were spared. Rank |w| as it is.")
def scaled_per_layer(weights, s):
    _refuse_share(s)
    return _global_masks(weights, s, score=lambda w: np.abs(w) / (np.abs(w).max() or 1))


@mistake("global_masks", "You ranked by signed value, so that large negative weights were pruned first. Rank |w|.")
def signed_ranking(weights, s):
    _refuse_share(s)
    return _global_masks(weights, s, score=lambda w: w)


@mistake("global_masks", "You pruned the largest magnitudes. The smallest are to go.")
def largest_of_all(weights, s):
    _refuse_share(s)
    return _global_masks(weights, s, score=lambda w: -np.abs(w))


@mistake("global_masks", "You rounded s·n down. The number of zeros is round(s * n): 18.75 gives 19.")
def global_floor(weights, s):
    _refuse_share(s)
    return _global_masks(weights, s, count=int(s * _magnitudes(weights).size))


@mistake("global_masks", "Your masks mark what to prune. In this course True means keep.")
def masks_inverted(weights, s):
    _refuse_share(s)
    return {name: ~mask for name, mask in _global_masks(weights, s).items()}


@mistake("global_masks", "You kept what lies above the k-th magnitude, so all weights that tie with it go at once, in every layer. Prune an exact "
         "number of positions.")
def global_threshold_prunes_ties(weights, s):
    _refuse_share(s)
    cut = np.sort(np.append(_magnitudes(weights), -1))[round(s * _magnitudes(weights).size)]
    return {name: np.abs(w) > cut if w.ndim >= 2 else np.ones(w.shape, dtype=bool) for name, w in weights.items()}


@mistake("global_masks", "You kept everything from a threshold upwards, so all weights that tie with it stay, in every layer. Prune an exact number of "
         "positions.")
def global_threshold_keeps_ties(weights, s):
    _refuse_share(s)
    cut = np.sort(np.append(_magnitudes(weights), np.inf))[round(s * _magnitudes(weights).size)]
    return {name: np.abs(w) >= cut if w.ndim >= 2 else np.ones(w.shape, dtype=bool) for name, w in weights.items()}


@mistake("global_masks", "A quantile interpolates between weights: with ties, or with s·n no whole number, the count comes out wrong. Prune exactly "
         "round(s * n) positions.")
def global_quantile(weights, s):
    _refuse_share(s)
    cut = np.quantile(_magnitudes(weights), s)
    return {name: np.abs(w) > cut if w.ndim >= 2 else np.ones(w.shape, dtype=bool) for name, w in weights.items()}


@mistake("global_masks", "A sparsity outside [0, 1] must raise ValueError; yours is taken silently.")
def any_share_accepted(weights, s):
    return _global_masks(weights, min(max(s, 0), 1))


@mistake("global_masks", "Your masks are flat. Each must have the shape of its parameter.")
def flat_masks(weights, s):
    _refuse_share(s)
    return {name: mask.ravel() for name, mask in _global_masks(weights, s).items()}


@mistake("global_masks", "You gave back pruned weights. What is asked for are the masks.")
def weights_for_masks(weights, s):
    _refuse_share(s)
    return {name: weights[name] * mask for name, mask in _global_masks(weights, s).items()}


@mistake("global_masks", "The masks are right, but you set the caller's weights to 0. Leave the arrays as they are.")
def prunes_the_callers_weights(weights, s):
    _refuse_share(s)
    masks = _global_masks(weights, s)
    for name, mask in masks.items():
        weights[name][~mask] = 0
    return masks


def _smallest(p, s, score=torch.abs):
    """Flat positions of the round(s·n) smallest scores."""
    return score(p.detach()).flatten().argsort()[:round(s * p.numel())]


def _zero(p, positions):
    p.data.view(-1)[positions] = 0


def _prune_each(layer, s, score=torch.abs, count=round):
    """A copy of the layer with the smallest of each parameter at 0."""
    layer = copy.deepcopy(layer)
    for p in layer.parameters():
        _zero(p, score(p.detach()).flatten().argsort()[:count(s * p.numel())])
    return layer


@mistake("prune_parameters", "You indexed the bias with the mask or the positions of the weight. The weight is a matrix and the bias a vector: it needs "
         "a mask of its own shape, from its own magnitudes.")
def weight_mask_indexes_the_bias(layer, s):
    _refuse_share(s)
    pruned = copy.deepcopy(layer)
    mask = torch.ones_like(pruned.weight, dtype=torch.bool)
    mask.view(-1)[_smallest(pruned.weight, s)] = False
    pruned.weight.data[~mask] = 0
    pruned.bias.data[~mask] = 0
    return pruned


@mistake("prune_parameters", "You lost the bias. It is pruned by its own mask and stays part of the layer.")
def bias_lost(layer, s):
    _refuse_share(s)
    pruned = _prune_each(layer, s)
    pruned.bias = None
    return pruned


@mistake("prune_parameters", "You pruned the weight and left the bias whole. Here the bias loses its round(s·m) smallest values too.")
def bias_left_whole(layer, s):
    _refuse_share(s)
    pruned = copy.deepcopy(layer)
    _zero(pruned.weight, _smallest(pruned.weight, s))
    return pruned


@mistake("prune_parameters", "You ranked weights and biases together, so that the parameter with the smaller values lost more than its share. Rank each "
         "by itself.")
def one_shared_ranking(layer, s):
    _refuse_share(s)
    pruned = copy.deepcopy(layer)
    flat = torch.nn.utils.parameters_to_vector(pruned.parameters()).detach()
    flat[_smallest(flat, s)] = 0
    torch.nn.utils.vector_to_parameters(flat, pruned.parameters())
    return pruned


@mistake("prune_parameters", "You pruned the bias by the weight's threshold: all or none of it may lie below. The bias loses round(s·m) values, by its own "
         "ranking.")
def weight_threshold_for_the_bias(layer, s):
    _refuse_share(s)
    pruned = copy.deepcopy(layer)
    positions = _smallest(pruned.weight, s)
    cut = pruned.weight.detach().view(-1)[positions].abs().max() if len(positions) else -1
    _zero(pruned.weight, positions)
    if pruned.bias is not None:
        pruned.bias.data[pruned.bias.data.abs() <= cut] = 0
    return pruned


@mistake("prune_parameters", "You pruned the biases of the units with the smallest weights. A bias is ranked by its own magnitude.")
def bias_follows_its_row(layer, s):
    _refuse_share(s)
    pruned = copy.deepcopy(layer)
    rows = pruned.weight.detach().abs().flatten(1).sum(1)
    _zero(pruned.weight, _smallest(pruned.weight, s))
    if pruned.bias is not None:
        _zero(pruned.bias, _smallest(rows, s))
    return pruned


@mistake("prune_parameters", "A layer made with bias=False has a bias of None, and your function fails on it. Prune the bias where there is one.")
def fails_without_a_bias(layer, s):
    _refuse_share(s)
    pruned = copy.deepcopy(layer)
    for p in (pruned.weight, pruned.bias):
        _zero(p, _smallest(p, s))
    return pruned


@mistake("prune_parameters", "You gave a bias of zeros to a layer that had none. None stays None.")
def zeros_for_no_bias(layer, s):
    _refuse_share(s)
    pruned = _prune_each(layer, s)
    if pruned.bias is None:
        pruned.bias = nn.Parameter(torch.zeros(pruned.weight.shape[0]))
    return pruned


@mistake("prune_parameters", "You built the new layer as nn.Linear, whatever the old one was. copy.deepcopy gives a layer of the same kind.")
def dense_layers_only(layer, s):
    _refuse_share(s)
    pruned = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
    pruned.load_state_dict(layer.state_dict())
    return _prune_each(pruned, s)


@mistake("prune_parameters", "You pruned the layer that you were given. Work on copy.deepcopy(layer).")
def prunes_the_given_layer(layer, s):
    _refuse_share(s)
    for p in layer.parameters():
        _zero(p, _smallest(p, s))
    return layer


@mistake("prune_parameters", "What you gave back is no layer: nothing, or a tuple. Return the pruned copy, and only that.")
def no_layer(layer, s):
    _refuse_share(s)
    return _prune_each(layer, s), "masks"


@mistake("prune_parameters", "You ranked signed values, so that large negative ones were pruned first. Rank magnitudes.")
def signed_parameters(layer, s):
    _refuse_share(s)
    return _prune_each(layer, s, score=lambda p: p)


@mistake("prune_parameters", "You pruned the largest magnitudes. The smallest are to go.")
def largest_parameters(layer, s):
    _refuse_share(s)
    return _prune_each(layer, s, score=lambda p: -p.abs())


@mistake("prune_parameters", "You rounded s·n down. Counts are round(s * n) in the weight and round(s * m) in the bias: 3.75 gives 4, 0.75 gives 1.")
def floor_of_each_count(layer, s):
    _refuse_share(s)
    return _prune_each(layer, s, count=int)


@mistake("prune_parameters", "You cut at the k-th magnitude, so all values that tie with it go at once. Prune an exact number of positions.")
def ties_go_at_once(layer, s):
    _refuse_share(s)
    pruned = copy.deepcopy(layer)
    for p in pruned.parameters():
        if zeros := round(s * p.numel()):
            p.data[p.data.abs() <= p.data.abs().flatten().kthvalue(zeros).values] = 0
    return pruned


@mistake("prune_parameters", "A sparsity outside [0, 1] must raise ValueError; yours is taken silently.")
def any_share_of_a_layer(layer, s):
    return _prune_each(layer, min(max(s, 0), 1))


def _done(step, t0, steps):
    """The part of the way that is done at a step."""
    return min(max((step - t0) / steps, 0), 1)


@mistake("agp_sparsity", "Your schedule is a straight line. The cube of what is left to do removes many weights early and few late.")
def linear(step, s_i, s_f, t0, n, dt):
    return s_i + (s_f - s_i) * _done(step, t0, n * dt)


@mistake("agp_sparsity", "Your schedule is of second degree. In equation 1 the part still to do is cubed.")
def quadratic(step, s_i, s_f, t0, n, dt):
    return s_f + (s_i - s_f) * (1 - _done(step, t0, n * dt)) ** 2


@mistake("agp_sparsity", "The cubic term has the wrong sign: your sparsity falls towards s_f from above. The factor is (s_i − s_f), which is not positive.")
def wrong_sign(step, s_i, s_f, t0, n, dt):
    return s_f - (s_i - s_f) * (1 - _done(step, t0, n * dt)) ** 3


@mistake("agp_sparsity", "You cubed the part done, not the part still to do: your schedule begins slowly and ends fast. It must be the other way round.")
def cube_of_the_part_done(step, s_i, s_f, t0, n, dt):
    return s_i + (s_f - s_i) * _done(step, t0, n * dt) ** 3


@mistake("agp_sparsity", "You exchanged s_i and s_f: your schedule starts at the final sparsity and falls to the initial one.")
def ends_exchanged(step, s_i, s_f, t0, n, dt):
    return s_i + (s_f - s_i) * (1 - _done(step, t0, n * dt)) ** 3


@mistake("agp_sparsity", "Before t0 your sparsity is not s_i: the formula holds from t0 on, and gives too little before it.")
def not_clamped_before_t0(step, s_i, s_f, t0, n, dt):
    return s_f + (s_i - s_f) * (1 - min((step - t0) / (n * dt), 1)) ** 3


@mistake("agp_sparsity", "After the last pruning your sparsity does not stay at s_f: the cube turns negative there, and the sparsity goes on rising.")
def not_clamped_at_the_end(step, s_i, s_f, t0, n, dt):
    return s_f + (s_i - s_f) * (1 - max((step - t0) / (n * dt), 0)) ** 3


@mistake("agp_sparsity", "You used the formula at every step. It holds from t0 to t0 + n·dt; before, the sparsity is s_i, and after, s_f.")
def not_clamped_at_all(step, s_i, s_f, t0, n, dt):
    return s_f + (s_i - s_f) * (1 - (step - t0) / (n * dt)) ** 3


@mistake("agp_sparsity", "Before t0 you gave 0. The network has the initial sparsity s_i then.")
def zero_before_t0(step, s_i, s_f, t0, n, dt):
    return 0.0 if step < t0 else s_f + (s_i - s_f) * (1 - _done(step, t0, n * dt)) ** 3


@mistake("agp_sparsity", "You took the initial sparsity to be 0. The schedule starts from s_i.")
def initial_sparsity_ignored(step, s_i, s_f, t0, n, dt):
    return s_f - s_f * (1 - _done(step, t0, n * dt)) ** 3


@mistake("agp_sparsity", "You left out dt: your schedule is over after n steps. It takes n prunings, dt steps apart: n·dt.")
def dt_left_out(step, s_i, s_f, t0, n, dt):
    return s_f + (s_i - s_f) * (1 - _done(step, t0, n)) ** 3


@mistake("agp_sparsity", "You counted from step 0. The schedule starts at t0: what counts is step − t0.")
def t0_left_out(step, s_i, s_f, t0, n, dt):
    return s_f + (s_i - s_f) * (1 - _done(step, 0, n * dt)) ** 3


@mistake("agp_sparsity", "You divided with //, which is 0 until the end: the sparsity jumps from s_i to s_f at once.")
def integer_division(step, s_i, s_f, t0, n, dt):
    return s_f + (s_i - s_f) * (1 - min(max((step - t0) // (n * dt), 0), 1)) ** 3


@mistake("agp_sparsity", "Your schedule arrives one pruning early. From t0 to the end there are n intervals of dt steps, not n − 1.")
def one_pruning_early(step, s_i, s_f, t0, n, dt):
    return s_f + (s_i - s_f) * (1 - _done(step, t0, max(n - 1, 1) * dt)) ** 3


def _loss(model, batch, optimizer):
    x, y = batch
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    return loss


@mistake("masked_train_step", "You trained without using the masks: every pruned weight has a gradient, so it came back in the first step.")
def weights_revive(model, masks, optimizer, batch):
    loss = _loss(model, batch, optimizer)
    optimizer.step()
    return loss.item()


@mistake("masked_train_step", "You applied the masks before the step only. The optimizer then moved the pruned weights again; mask after "
         "optimizer.step().")
def masks_before_the_step(model, masks, optimizer, batch):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in masks:
                parameter.mul_(masks[name].float())
    loss = _loss(model, batch, optimizer)
    optimizer.step()
    with torch.no_grad():
        loss = loss + 0.0
    return float(loss)


@mistake("masked_train_step", "You masked the gradients alone. Momentum and Adam's averages from before pruning still move the pruned "
         "weights; mask the weights after the step.")
def gradients_only(model, masks, optimizer, batch):
    loss = _loss(model, batch, optimizer)
    for name, parameter in model.named_parameters():
        if name in masks:
            parameter.grad.mul_(masks[name])
    optimizer.step()
    return loss.item()


@mistake("masked_train_step", "Gradients of an earlier step were still in .grad, and yours were added to them. Call optimizer.zero_grad() first.")
def accumulates_gradients(model, masks, optimizer, batch):
    x, y = batch
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in masks:
                parameter.mul_(masks[name])
    return loss.item()


@mistake("masked_train_step", "You returned the loss after the step. Return the one that the step was computed from.")
def loss_after_the_step(model, masks, optimizer, batch):
    _loss(model, batch, optimizer)
    optimizer.step()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in masks:
                parameter.mul_(masks[name])
        return F.cross_entropy(model(batch[0]), batch[1]).item()


@mistake("masked_train_step", "You summed the loss over the batch. The mean keeps the step's size independent of the batch's.")
def sum_of_losses(model, masks, optimizer, batch):
    x, y = batch
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y, reduction="sum")
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in masks:
                parameter.mul_(masks[name])
    return loss.item()


def _ticket(train, init, rounds, p, count=lambda p, kept, size: round(p * kept), rank=lambda trained, start: np.abs(trained),
            start=lambda w, trained: w, given=lambda w, mask: w * mask):
    """The search for a ticket, with one part of it replaced by a wrong one; gives the masks and the last trained weights."""
    if not 0 <= p <= 1:
        raise ValueError
    masks, trained = {name: np.ones(w.shape, dtype=bool) for name, w in init.items()}, init
    for _ in range(rounds):
        trained = train({name: given(start(w, trained[name]), masks[name]) for name, w in init.items()}, masks)
        for name, mask in masks.items():
            kept = np.flatnonzero(mask)
            order = np.argsort(rank(trained[name], init[name])[mask])
            mask.flat[kept[order[:count(p, kept.size, mask.size)]]] = False
    return masks, trained


def _masked(weights, masks):
    return {name: w * masks[name] for name, w in weights.items()}


@mistake("lottery_ticket", "You gave back the trained weights. The ticket is the pruned network at its start: init times the masks.")
def returns_the_trained_weights(train, init, rounds, p):
    masks, trained = _ticket(train, init, rounds, p)
    return _masked(trained, masks), masks


@mistake("lottery_ticket", "You never rewound: every round trained on from the last one's final weights, and those are what you gave back. Train "
         "from init·mask each time, and return init·mask.")
def rewinds_to_the_final_weights(train, init, rounds, p):
    masks, trained = _ticket(train, init, rounds, p, start=lambda w, trained: trained)
    return _masked(trained, masks), masks


@mistake("lottery_ticket", "You rewound at the end only: from the second round on, training started from trained weights. Every round trains from "
         "init·mask.")
def rewinds_at_the_end_only(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, start=lambda w, trained: trained)
    return _masked(init, masks), masks


@mistake("lottery_ticket", "Every round pruned p of all weights. It prunes p of those that remain: 10 weights at p = 0.2 become 8, 6, 5, not 8, 6, 4.")
def share_of_all(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, count=lambda p, kept, size: round(p * size))
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You drew new random weights for the ticket. The hypothesis is about the initial values that the network had: rewind to init.")
def fresh_random_init(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p)
    return {name: np.random.normal(0, 0.1, w.shape) * masks[name] for name, w in init.items()}, masks


@mistake("lottery_ticket", "You drew new random weights before every round. The hypothesis is about the initial values that the network had: rewind to init.")
def trains_from_fresh_weights(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, start=lambda w, trained: np.random.normal(0, 0.1, w.shape))
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You trained once and pruned everything in one go. What is least after a round depends on the weights pruned before it: "
         "train again in every round.")
def one_shot(train, init, rounds, p):
    if not 0 <= p <= 1:
        raise ValueError
    masks = {name: np.ones(w.shape, dtype=bool) for name, w in init.items()}
    trained = train(init, masks)
    for name, mask in masks.items():
        left = mask.size
        for _ in range(rounds):
            left -= round(p * left)
        mask.flat[np.argsort(np.abs(trained[name]), axis=None)[:mask.size - left]] = False
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You ranked the initial magnitudes, so training decided nothing. Rank the weights that train gives back.")
def ranks_the_initial_weights(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, rank=lambda trained, start: np.abs(start))
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You ranked by how far each weight moved in training. The criterion is its trained magnitude.")
def ranks_the_movement(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, rank=lambda trained, start: np.abs(trained - start))
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You ranked signed trained weights, so large negative ones went first. Rank their magnitudes.")
def signed_ticket(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, rank=lambda trained, start: trained)
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You pruned the largest trained magnitudes. The least are to go.")
def prunes_the_largest_trained(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, rank=lambda trained, start: -np.abs(trained))
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You rounded p · remaining down. The number of weights that go is round(p * remaining).")
def floor_of_the_remaining_share(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, count=lambda p, kept, size: int(p * kept))
    return _masked(init, masks), masks


@mistake("lottery_ticket", "Pruned weights are 0 after training, and you ranked them again: each round mostly prunes what was gone already. Rank "
         "only the weights that remain.")
def prunes_the_pruned(train, init, rounds, p):
    if not 0 <= p <= 1:
        raise ValueError
    masks = {name: np.ones(w.shape, dtype=bool) for name, w in init.items()}
    for _ in range(rounds):
        trained = train(_masked(init, masks), masks)
        for name, mask in masks.items():
            mask.flat[np.argsort(np.abs(trained[name]), axis=None)[:round(p * mask.sum())]] = False
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You made each round's mask anew, so the weights pruned in earlier rounds came back. A pruned weight stays pruned.")
def forgets_earlier_rounds(train, init, rounds, p):
    if not 0 <= p <= 1:
        raise ValueError
    masks = {name: np.ones(w.shape, dtype=bool) for name, w in init.items()}
    for _ in range(rounds):
        trained = train(_masked(init, masks), masks)
        for name, w in trained.items():
            fresh = np.ones(w.shape, dtype=bool)
            fresh.flat[np.argsort(np.abs(w), axis=None)[:round(p * masks[name].sum())]] = False
            fresh[~masks[name]] = True
            masks[name] = fresh
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You ranked all arrays together. Here each has its own ranking and loses its own round(p * remaining) weights.")
def one_ranking_for_all(train, init, rounds, p):
    if not 0 <= p <= 1:
        raise ValueError
    masks = {name: np.ones(w.shape, dtype=bool) for name, w in init.items()}
    for _ in range(rounds):
        trained = train(_masked(init, masks), masks)
        left = sorted((abs(trained[name].flat[k]), name, k) for name, mask in masks.items() for k in np.flatnonzero(mask))
        for _, name, k in left[:round(p * len(left))]:
            masks[name].flat[k] = False
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You pruned every weight up to the k-th magnitude, so all that tie with it went at once. Prune an exact number of positions.")
def prunes_ties_of_the_cut(train, init, rounds, p):
    if not 0 <= p <= 1:
        raise ValueError
    masks = {name: np.ones(w.shape, dtype=bool) for name, w in init.items()}
    for _ in range(rounds):
        trained = train(_masked(init, masks), masks)
        for name, mask in masks.items():
            size, gone = np.abs(trained[name]), round(p * mask.sum())
            if gone:
                mask &= size > np.sort(size[mask])[gone - 1]
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You cut at a quantile of the remaining magnitudes. It interpolates, so the count comes out wrong; prune exactly "
         "round(p * remaining) positions.")
def cuts_at_a_quantile(train, init, rounds, p):
    if not 0 <= p <= 1:
        raise ValueError
    masks = {name: np.ones(w.shape, dtype=bool) for name, w in init.items()}
    for _ in range(rounds):
        trained = train(_masked(init, masks), masks)
        for name, mask in masks.items():
            size = np.abs(trained[name])
            if mask.any():
                mask &= size > np.quantile(size[mask], p)
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You trained from the whole of init. What is gone takes no part: hand over init·mask.")
def trains_unmasked_weights(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, given=lambda w, mask: w)
    return _masked(init, masks), masks


@mistake("lottery_ticket", "The masks are right, but you gave back all of init. The ticket is init times the masks.")
def returns_init_unmasked(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p)
    return init, masks


@mistake("lottery_ticket", "You trained once more than there are rounds. Finding a ticket ends with pruning; training it is another matter.")
def trains_the_ticket_too(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p)
    train(_masked(init, masks), masks)
    return _masked(init, masks), masks


@mistake("lottery_ticket", "The result is right, but you pruned init itself, so there is nothing left to rewind to. Multiply into new arrays.")
def prunes_init_itself(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p)
    for name, w in init.items():
        w *= masks[name]
    return init, masks


@mistake("lottery_ticket", "Your masks are numbers. In this course a mask is boolean: what indexes and inverts as a mask should not need converting.")
def ticket_masks_of_numbers(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p)
    return _masked(init, masks), {name: mask.astype(float) for name, mask in masks.items()}


@mistake("lottery_ticket", "A share p outside [0, 1] must raise ValueError; yours is taken silently.")
def accepts_any_share(train, init, rounds, p):
    masks, trained = {name: np.ones(w.shape, dtype=bool) for name, w in init.items()}, init
    for _ in range(rounds):
        trained = train(_masked(init, masks), masks)
        for name, mask in masks.items():
            kept = np.flatnonzero(mask)
            mask.flat[kept[np.argsort(np.abs(trained[name][mask]))[:max(0, round(p * kept.size))]]] = False
    return _masked(init, masks), masks


def _fours(mask):
    return mask.shape[1] % 4 == 0 and bool((mask.reshape(-1, 4).sum(axis=1) <= 2).all())


def _rows(mask):
    return len(mask) / mask.any(axis=1).sum()


@mistake("dense_speedup", "You gave 1/(1 − sparsity). No kernel skips zeros wherever they are: a dense one multiplies by all of them, and the others need "
         "them in certain places.")
def one_over_density(mask, hardware):
    return mask.size / mask.sum() if mask.any() else 1.0


@mistake("dense_speedup", "You gave the dense kernel 1/(1 − sparsity). It multiplies by zeros too: its speedup is always 1.")
def dense_skips_zeros(mask, hardware):
    if hardware == "dense":
        return mask.size / mask.sum()
    return (2.0 if _fours(mask) else 1.0) if hardware == "2:4" else _rows(mask)


@mistake("dense_speedup", "You judged 2:4 by the share of zeros in the whole matrix. The hardware needs them in every aligned four; one four that "
         "keeps three is enough to rule it out.")
def total_sparsity_for_2_4(mask, hardware):
    if hardware == "2:4":
        return 2.0 if mask.mean() <= 0.5 else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You asked for exactly two kept weights in every four. Fewer fit as well: the place of a missing one is filled with a zero.")
def exactly_two(mask, hardware):
    if hardware == "2:4":
        return 2.0 if mask.shape[1] % 4 == 0 and (mask.reshape(-1, 4).sum(axis=1) == 2).all() else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "Your fours run over the ends of rows. They lie along the last axis; where 4 does not divide it, the speedup is 1.")
def fours_across_rows(mask, hardware):
    if hardware == "2:4":
        flat = np.append(mask.ravel(), np.zeros(-mask.size % 4, dtype=bool))
        return 2.0 if (flat.reshape(-1, 4).sum(axis=1) <= 2).all() else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You let a row end in an incomplete four. Where 4 does not divide the number of columns the 2:4 kernel cannot be used: 1.")
def incomplete_fours(mask, hardware):
    if hardware == "2:4":
        padded = np.pad(mask, ((0, 0), (0, -mask.shape[1] % 4)))
        return 2.0 if _fours(padded) else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You left the columns behind the last whole four unchecked. Where 4 does not divide their number the 2:4 kernel cannot be used: 1.")
def drops_the_rest(mask, hardware):
    if hardware == "2:4":
        whole = mask[:, :mask.shape[1] // 4 * 4]
        return 2.0 if _fours(whole) else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You looked for fours at every offset. The hardware's fours are aligned: columns 0 to 3, 4 to 7, and so on.")
def sliding_fours(mask, hardware):
    if hardware == "2:4":
        fits = mask.shape[1] % 4 == 0 and all(mask[:, k:k + 4].sum(axis=1).max() <= 2 for k in range(mask.shape[1] - 3))
        return 2.0 if fits else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You counted fours down the columns. They lie along the last axis, within a row.")
def fours_down_the_columns(mask, hardware):
    if hardware == "2:4":
        return 2.0 if _fours(mask.T) else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You gave 2:4 hardware 1/(1 − sparsity). It does two multiplications for every four, also where fewer would do: 2 at most.")
def more_zeros_more_speed(mask, hardware):
    if hardware == "2:4":
        return mask.size / mask.sum() if _fours(mask) else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You counted rows as gone although they keep a weight. A row is cut out only when nothing in it is kept.")
def mostly_empty_rows(mask, hardware):
    if hardware == "structured":
        return len(mask) / max(1, (mask.mean(axis=1) > 0.5).sum())
    return 2.0 if hardware == "2:4" and _fours(mask) else 1.0


@mistake("dense_speedup", "You counted only rows that are kept whole. A row that keeps a single weight has to be computed too: use any, not all.")
def whole_rows_only(mask, hardware):
    if hardware == "structured":
        return len(mask) / max(1, mask.all(axis=1).sum())
    return 2.0 if hardware == "2:4" and _fours(mask) else 1.0


@mistake("dense_speedup", "You gave the structured kernel 1/(1 − sparsity). Zeros in rows that stay save nothing; divide rows by rows that keep any weight.")
def structured_by_sparsity(mask, hardware):
    if hardware == "structured":
        return mask.size / mask.sum()
    return 2.0 if hardware == "2:4" and _fours(mask) else 1.0


@mistake("dense_speedup", "You cut out columns. What this kernel cuts out are rows that keep nothing.")
def empty_columns(mask, hardware):
    if hardware == "structured":
        return _rows(mask.T)
    return 2.0 if hardware == "2:4" and _fours(mask) else 1.0


@mistake("dense_speedup", "Your ratio is upside down: the share of rows that remain. The speedup is rows / rows that keep any weight.")
def upside_down(mask, hardware):
    if hardware == "structured":
        return 1 / _rows(mask)
    return 2.0 if hardware == "2:4" and _fours(mask) else 1.0


def _drop(network, rate, size=lambda w, b: np.abs(w).sum(axis=1), count=round, spared=1):
    """Structured pruning with one part of it replaced by a wrong one."""
    if not 0 <= rate <= 1:
        raise ValueError
    pruned = {layer: {kind: array.copy() for kind, array in parameters.items()} for layer, parameters in network.items()}
    for layer in list(pruned)[:len(pruned) - spared]:
        weights, biases = pruned[layer]["weights"], pruned[layer]["biases"]
        least = np.argsort(size(weights, biases))[:count(rate * len(weights))]
        weights[least], biases[least] = 0, 0
    return pruned


@mistake("structured_prune", "This is still the published answer: it draws lots for every single weight, so two calls disagree, large weights go as "
         "easily as small ones, and no unit disappears. Rank the rows and clear whole ones.")
def bernoulli_weights(network, rate):
    pruned = {}
    for layer, parameters in network.items():
        keep = np.random.binomial(1, 1 - rate, size=parameters["weights"].shape)
        pruned[layer] = {"weights": parameters["weights"] * keep, "biases": parameters["biases"]}
    return pruned


@mistake("structured_prune", "Whole units go now, but you drew lots for them. Prune the units of least L1 norm.")
def random_units(network, rate):
    return _drop(network, rate, size=lambda w, b: np.random.rand(len(w)))


@mistake("structured_prune", "You pruned single weights by magnitude: the zeros are scattered over the rows, and every unit still has to be computed. "
         "Rank rows, and clear whole ones.")
def scattered_by_magnitude(network, rate):
    if not 0 <= rate <= 1:
        raise ValueError
    pruned = {layer: {kind: array.copy() for kind, array in parameters.items()} for layer, parameters in network.items()}
    for layer in list(pruned)[:-1]:
        weights = pruned[layer]["weights"]
        weights.flat[np.argsort(np.abs(weights), axis=None)[:round(rate * weights.size)]] = 0
    return pruned


@mistake("structured_prune", "You ranked units by Euclidean length (L2). The criterion here is the sum of magnitudes (L1), and the two disagree.")
def euclidean_length(network, rate):
    return _drop(network, rate, size=lambda w, b: np.linalg.norm(w, axis=1))


@mistake("structured_prune", "You ranked units by the signed sum of their weights, where large weights of both signs cancel. Sum |w|.")
def signed_sum(network, rate):
    return _drop(network, rate, size=lambda w, b: w.sum(axis=1))


@mistake("structured_prune", "You ranked units by the magnitude of their signed sum: large weights of both signs cancel. Sum |w|, not |sum of w|.")
def magnitude_of_the_sum(network, rate):
    return _drop(network, rate, size=lambda w, b: np.abs(w.sum(axis=1)))


@mistake("structured_prune", "You ranked units by their largest weight. The criterion is the sum over all magnitudes of the row.")
def largest_weight(network, rate):
    return _drop(network, rate, size=lambda w, b: np.abs(w).max(axis=1))


@mistake("structured_prune", "You counted the bias into a unit's norm. The criterion is the L1 norm of its weights alone.")
def norm_with_bias(network, rate):
    return _drop(network, rate, size=lambda w, b: np.abs(w).sum(axis=1) + np.abs(b))


@mistake("structured_prune", "You pruned the units of largest norm. The least are to go.")
def prunes_the_largest_units(network, rate):
    return _drop(network, rate, size=lambda w, b: -np.abs(w).sum(axis=1))


@mistake("structured_prune", "You rounded rate · n_out down. The number of units that go is round(rate * n_out).")
def floor_of_the_units(network, rate):
    return _drop(network, rate, count=int)


@mistake("structured_prune", "You pruned the last layer too. Its units are the classes: a network without them cannot answer.")
def prunes_the_classes(network, rate):
    return _drop(network, rate, spared=0)


@mistake("structured_prune", "You cleared the rows but left their biases: a unit with a bias still gives a constant to the next layer. Both go.")
def biases_stay(network, rate):
    pruned = _drop(network, rate)
    for layer in pruned:
        pruned[layer]["biases"] = network[layer]["biases"].copy()
    return pruned


@mistake("structured_prune", "You cleared columns, which are inputs, and left the units in place. A unit is a row of the (n_out, n_in) weights.")
def clears_columns(network, rate):
    if not 0 <= rate <= 1:
        raise ValueError
    pruned = {layer: {kind: array.copy() for kind, array in parameters.items()} for layer, parameters in network.items()}
    for layer in list(pruned)[:-1]:
        weights = pruned[layer]["weights"]
        weights[:, np.argsort(np.abs(weights).sum(axis=0))[:round(rate * weights.shape[1])]] = 0
    return pruned


@mistake("structured_prune", "You cut the units out, so the shapes changed and the next layer no longer fits. Here pruned units become 0 and all shapes stay.")
def cuts_units_out(network, rate):
    if not 0 <= rate <= 1:
        raise ValueError
    pruned = {layer: {kind: array.copy() for kind, array in parameters.items()} for layer, parameters in network.items()}
    for layer in list(pruned)[:-1]:
        weights, biases = pruned[layer]["weights"], pruned[layer]["biases"]
        kept = np.sort(np.argsort(np.abs(weights).sum(axis=1))[round(rate * len(weights)):])
        pruned[layer] = {"weights": weights[kept], "biases": biases[kept]}
    return pruned


@mistake("structured_prune", "You ranked the units of all layers together. Each layer loses its own round(rate * n_out).")
def units_of_all_layers(network, rate):
    if not 0 <= rate <= 1:
        raise ValueError
    pruned = {layer: {kind: array.copy() for kind, array in parameters.items()} for layer, parameters in network.items()}
    units = sorted((np.abs(row).sum(), layer, k) for layer in list(pruned)[:-1] for k, row in enumerate(pruned[layer]["weights"]))
    for _, layer, k in units[:round(rate * len(units))]:
        pruned[layer]["weights"][k], pruned[layer]["biases"][k] = 0, 0
    return pruned


@mistake("structured_prune", "You cut at the k-th norm with <=, so all units that tie with it go at once. Prune an exact number of units.")
def tied_units_go_together(network, rate):
    if not 0 <= rate <= 1:
        raise ValueError
    pruned = {layer: {kind: array.copy() for kind, array in parameters.items()} for layer, parameters in network.items()}
    for layer in list(pruned)[:-1]:
        size = np.abs(pruned[layer]["weights"]).sum(axis=1)
        if gone := round(rate * len(size)):
            out = size <= np.sort(size)[gone - 1]
            pruned[layer]["weights"][out], pruned[layer]["biases"][out] = 0, 0
    return pruned


@mistake("structured_prune", "The result is right, but you changed the network that you were given. Copy its arrays first; a copied dictionary still "
         "holds the same arrays.")
def changes_the_network(network, rate):
    if not 0 <= rate <= 1:
        raise ValueError
    pruned = dict(network)
    for layer in list(pruned)[:-1]:
        weights, biases = pruned[layer]["weights"], pruned[layer]["biases"]
        least = np.argsort(np.abs(weights).sum(axis=1))[:round(rate * len(weights))]
        weights[least], biases[least] = 0, 0
    return pruned


@mistake("structured_prune", "A rate outside [0, 1] must raise ValueError; yours is taken silently.")
def accepts_any_rate(network, rate):
    return _drop(network, min(max(rate, 0), 1))
