"""Wrong answers to the exercises of 02, each with what to tell a student who gave it."""
import copy
import itertools
import math

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

from autograder.mistakes import mistake


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _forward(X, Ws, bs, hidden=lambda z: np.maximum(z, 0), last=_sigmoid):
    a = X
    for W, b in zip(Ws[:-1], bs):
        a = hidden(a @ W + b)
    return last(a @ Ws[-1] + bs[-1])


def _backward(X, y, Ws, bs, error=lambda out, y: out - y.reshape(out.shape), slope=lambda out: out * (1 - out), scale=lambda delta: len(delta),
              live=lambda a: a > 0, of_weights=lambda a, delta: a.T @ delta, of_biases=lambda delta: delta.sum(axis=0), back=lambda delta, W: delta @ W.T):
    """The right gradients, with one part of them replaced by a wrong one."""
    inputs = [X]
    for W, b in zip(Ws[:-1], bs):
        inputs.append(np.maximum(inputs[-1] @ W + b, 0))
    out = _forward(X, Ws, bs)
    delta = error(out, y) * slope(out)
    delta = delta / scale(delta)
    dWs, dbs = [], []
    for W, a in zip(Ws[::-1], inputs[::-1]):
        dWs.append(of_weights(a, delta))
        dbs.append(of_biases(delta))
        delta = back(delta, W) * live(a)
    return dWs[::-1], dbs[::-1]


@mistake("mlp_forward", "You gave every layer one and the same gradient, made of the output's error. The chain rule gives each layer its own: "
         "the error goes back through the weights and activations of the layers above.")
class one_gradient_for_every_layer:
    """The answer that circulates."""
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        gradient = np.mean(_forward(X, Ws, bs) - y)
        return [np.full(W.shape, gradient) for W in Ws], [np.full(b.shape, gradient) for b in bs]


@mistake("mlp_forward", "You subtracted y of shape (N,) from out of shape (N, 1): numpy makes (N, N) of it, every output against every target. "
         "Give y the shape of out first.")
class targets_broadcast:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, error=lambda out, y: out - y)


@mistake("mlp_forward", "You summed the (N, N) difference of out (N, 1) and y (N,) back to one column: the shapes fit again, the numbers do not. "
         "Give y the shape of out first.")
class targets_broadcast_and_summed:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, error=lambda out, y: out - y if y.ndim == 2 else (out - y).sum(axis=1, keepdims=True))


@mistake("mlp_forward", "You left out the ReLU's slope: where a hidden unit was off, nothing comes back through it. Multiply delta by (a > 0).")
class no_relu_mask:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, live=np.ones_like)


@mistake("mlp_forward", "You left out the sigmoid's slope out·(1 − out). With the squared error it belongs there; it would cancel with the "
         "cross-entropy only.")
class no_sigmoid_slope:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, slope=np.ones_like)


@mistake("mlp_forward", "You used the sigmoid's slope in the hidden layers, which are ReLUs. Theirs is 1 where the unit is on, else 0.")
class sigmoid_slope_in_hidden_layers:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, live=lambda a: a * (1 - a))


@mistake("mlp_forward", "You took the sigmoid of its own output before taking the slope. out is σ(z) already: the slope is out·(1 − out).")
class sigmoid_twice_in_the_slope:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, slope=lambda out: _sigmoid(out) * (1 - _sigmoid(out)))


@mistake("mlp_forward", "Your bias gradients still have a row for each sample. A bias acts on all samples: add up axis 0 of delta.")
class bias_gradient_not_summed:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, of_biases=lambda delta: delta)


@mistake("mlp_forward", "Your bias gradients have shape (1, n_out). A gradient has its parameter's shape, here (n_out,): sum without keepdims.")
class bias_gradient_of_two_dimensions:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, of_biases=lambda delta: delta.sum(axis=0, keepdims=True))


@mistake("mlp_forward", "You averaged delta over the samples for the biases after dividing by N already. Divide once: the bias gradient is the sum of "
         "the deltas.")
class bias_gradient_averaged_twice:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, of_biases=lambda delta: delta.mean(axis=0))


@mistake("mlp_forward", "You left out the mean: the loss averages over the N samples, so the gradient is divided by N.")
class mean_left_out:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, scale=lambda delta: 1)


@mistake("mlp_forward", "You divided by N·k, the number of outputs. The loss averages over the samples and sums over the outputs: divide by N.")
class mean_over_outputs_too:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, scale=lambda delta: delta.size)


@mistake("mlp_forward", "Your gradients are twice too large. The loss has a factor ½, which cancels the 2 of the square.")
class half_forgotten:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, scale=lambda delta: len(delta) / 2)


@mistake("mlp_forward", "Your gradients have the wrong sign: with y − out they point downhill. The gradient points uphill, out − y.")
class wrong_sign:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, error=lambda out, y: y.reshape(out.shape) - out)


@mistake("mlp_forward", "Your lists begin with the last layer. Going back you meet it first, but the first layer comes first in the result.")
class last_layer_first:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        dWs, dbs = _backward(X, y, Ws, bs)
        return dWs[::-1], dbs[::-1]


@mistake("mlp_forward", "You sent the error back through W instead of its transpose. Forward goes a @ W, backward delta @ W.T.")
class weights_not_transposed:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs, back=lambda delta, W: delta @ W)


@mistake("mlp_forward", "You gave the pair in the wrong order: (dWs, dbs), weights first.")
class biases_first:
    mlp_forward = _forward

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, bs)[::-1]


@mistake("mlp_forward", "You left the biases out of the forward pass. Each layer computes a @ W + b.")
class no_biases:
    def mlp_forward(X, Ws, bs):
        return _forward(X, Ws, [0 * b for b in bs])

    def mlp_backward(X, y, Ws, bs):
        return _backward(X, y, Ws, [0 * b for b in bs])


@mistake("mlp_forward", "Your hidden layers are sigmoids too. Only the last layer is; the others are max(z, 0).")
class sigmoid_in_hidden_layers:
    def mlp_forward(X, Ws, bs):
        return _forward(X, Ws, bs, hidden=_sigmoid)
    mlp_backward = _backward


@mistake("mlp_forward", "You applied the ReLU to the last layer too, before the sigmoid: no output is below 0.5 then.")
class relu_on_the_output:
    def mlp_forward(X, Ws, bs):
        return _forward(X, Ws, bs, last=lambda z: _sigmoid(np.maximum(z, 0)))
    mlp_backward = _backward


@mistake("mlp_forward", "You left out the sigmoid at the end: out is σ(z_3), not z_3.")
class no_sigmoid:
    def mlp_forward(X, Ws, bs):
        return _forward(X, Ws, bs, last=lambda z: z)
    mlp_backward = _backward


@mistake("mlp_forward", "Your outputs are a softmax over the k units. Here each output is a sigmoid of its own.")
class softmax_at_the_end:
    def mlp_forward(X, Ws, bs):
        return _forward(X, Ws, bs, last=lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))
    mlp_backward = _backward


@mistake("mlp_forward", "Your output has shape (N,) where there is one unit. It is always (N, k), here (N, 1).")
class output_flattened:
    def mlp_forward(X, Ws, bs):
        out = _forward(X, Ws, bs)
        return out.ravel() if out.shape[1] == 1 else out
    mlp_backward = _backward


def _refuse_share(s):
    if not 0 <= s <= 1:
        raise ValueError


def _lowest_out(score, s, count=round):
    mask = np.ones(score.size, dtype=bool)
    mask[np.argsort(score, axis=None)[:count(s * score.size)]] = False
    return mask.reshape(score.shape)


def _mean(grads):
    return np.abs(grads).mean(axis=0)


@mistake("gradient_mask", "You ranked by the last batch alone; its gradient is a sample of one. Average |g| over all batches, axis 0.")
def last_batch_only(grads, s):
    _refuse_share(s)
    return _lowest_out(np.abs(grads[-1]), s)


@mistake("gradient_mask", "You averaged before taking the absolute value, so that batches which pull in opposite directions cancel. First |g|, then "
         "the mean.")
def mean_before_absolute_value(grads, s):
    _refuse_share(s)
    return _lowest_out(np.abs(grads.mean(axis=0)), s)


@mistake("gradient_mask", "You ranked signed gradients, so that strongly negative ones went first. A score is a size: take |g|.")
def signed_gradients(grads, s):
    _refuse_share(s)
    return _lowest_out(grads.mean(axis=0), s)


@mistake("gradient_mask", "You pruned the weights with the largest gradients, those that the loss feels most. The least are to go.")
def largest_gradients_pruned(grads, s):
    _refuse_share(s)
    return _lowest_out(-_mean(grads), s)


@mistake("gradient_mask", "You averaged squares. A rare large gradient counts for more that way; here the score is the mean of |g|.")
def mean_of_squares(grads, s):
    _refuse_share(s)
    return _lowest_out((grads.astype(float) ** 2).mean(axis=0), s)


@mistake("gradient_mask", "You took the largest |g| of all batches. The score is the mean over them.")
def largest_of_the_batches(grads, s):
    _refuse_share(s)
    return _lowest_out(np.abs(grads).max(axis=0), s)


@mistake("gradient_mask", "Your mask has an entry for each batch too. The batches (axis 0) are averaged away: one entry is left for each weight.")
def batches_not_averaged(grads, s):
    _refuse_share(s)
    return _lowest_out(np.abs(grads), s)


@mistake("gradient_mask", "You averaged over the wrong axis. The batches are axis 0 of grads.")
def wrong_axis(grads, s):
    _refuse_share(s)
    return _lowest_out(np.abs(grads).mean(axis=-1), s)


@mistake("gradient_mask", "You compared with a threshold, the s-quantile of the scores: where scores tie, or s·n is no whole number, the count is "
         "wrong. Prune exactly round(s * n) positions.")
def quantile_of_the_scores(grads, s):
    _refuse_share(s)
    score = _mean(grads)
    return score > np.quantile(score, s)


@mistake("gradient_mask", "You kept what lies above the k-th score, so that all weights which tie with it go at once. Prune exactly round(s * n) "
         "positions.")
def above_the_kth_score(grads, s):
    _refuse_share(s)
    score = _mean(grads)
    zeros = round(s * score.size)
    return score > np.sort(score, axis=None)[zeros - 1] if zeros else np.ones(score.shape, dtype=bool)


@mistake("gradient_mask", "You drew a random mask. It does not look at the gradients at all.")
def drawn_at_random(grads, s):
    _refuse_share(s)
    return np.random.rand(*grads.shape[1:]) >= s


@mistake("gradient_mask", "You rounded s·n down. The number of zeros is round(s * n): 3.75 gives 4.")
def floor_of_the_count(grads, s):
    _refuse_share(s)
    return _lowest_out(_mean(grads), s, int)


@mistake("gradient_mask", "You rounded halves up. Python's round takes a half to the even number: round(2.5) is 2.")
def half_up(grads, s):
    _refuse_share(s)
    return _lowest_out(_mean(grads), s, lambda x: int(x + 0.5))


@mistake("gradient_mask", "Your mask marks what to prune. In this course True means keep.")
def inverted(grads, s):
    _refuse_share(s)
    return ~_lowest_out(_mean(grads), s)


@mistake("gradient_mask", "A sparsity outside [0, 1] must raise ValueError; yours is taken silently.")
def any_share_accepted(grads, s):
    return _lowest_out(_mean(grads), min(max(s, 0), 1))


@mistake("taylor_scores", "You scored the gradient alone. A slope without the distance to go says nothing: multiply by the weight.")
def gradient_alone(w, g):
    return np.abs(g)


@mistake("taylor_scores", "You scored the weight alone. That is magnitude; the gradient tells what the loss makes of it.")
def weight_alone(w, g):
    return np.abs(w)


@mistake("taylor_scores", "You scored the squared weight alone. Multiply by the gradient before squaring.")
def squared_weight_alone(w, g):
    return w ** 2


@mistake("taylor_scores", "You gave |g·w|. The ranking is the same, but the importance here is its square.")
def not_squared(w, g):
    return np.abs(g * w)


@mistake("taylor_scores", "You gave g·w with its sign, so that a large rise of the loss on one side ranks last. Square it.")
def signed_product(w, g):
    return g * w


@mistake("taylor_scores", "You squared one factor only. The product is squared as a whole: (g·w)².")
def one_factor_squared(w, g):
    return g * w ** 2


@mistake("taylor_scores", "You squared the gradient only. The product is squared as a whole: (g·w)².")
def gradient_squared_only(w, g):
    return g ** 2 * w


@mistake("taylor_scores", "You put ½ in front. That belongs to the second-order term; the first-order importance is (g·w)² without a factor.")
def with_a_half(w, g):
    return 0.5 * (g * w) ** 2


@mistake("taylor_scores", "You normalised the scores. They are asked for without any factor: a normalisation per layer would change a global ranking.")
def normalised(w, g):
    scores = (g * w) ** 2
    return scores / scores.sum() if scores.sum() else scores


@mistake("taylor_scores", "You added everything up to one number. Here each weight has its own score.")
def one_sum(w, g):
    return ((g * w) ** 2).sum()


def _weights(model):
    return {name: p for name, p in model.named_parameters() if p.dim() >= 2}


def _grads(model, batch, parameters, loss=F.cross_entropy):
    return torch.autograd.grad(loss(model(batch[0]), batch[1]), list(parameters.values()))


def _cut(scores, s, count=round):
    """Keep-masks of one ranking of a dictionary of scores."""
    flat = torch.cat([score.detach().flatten() for score in scores.values()])
    keep = torch.ones(len(flat), dtype=torch.bool)
    keep[flat.argsort()[:count(s * len(flat))]] = False
    return {name: part.view(scores[name].shape) for name, part in zip(scores, keep.split([score.numel() for score in scores.values()]))}


def _sensitivity(model, batch, parameters=None, loss=F.cross_entropy):
    parameters = _weights(model) if parameters is None else parameters
    return {name: (p * g).abs() for (name, p), g in zip(parameters.items(), _grads(model, batch, parameters, loss))}


def _snip(model, batch, s, count=round, **changed):
    _refuse_share(s)
    return _cut(_sensitivity(model, batch, **changed), s, count)


@mistake("snip_mask", "You ranked every layer by itself. All weights are ranked together, so that a layer without influence can go.")
def per_layer_ranking(model, batch, s):
    _refuse_share(s)
    return {name: _cut({name: score}, s)[name] for name, score in _sensitivity(model, batch).items()}


@mistake("snip_mask", "You divided each layer's scores by their sum before ranking, so that all layers lose alike. Divide by the sum of all, or not "
         "at all.")
def normalised_per_layer(model, batch, s):
    _refuse_share(s)
    return _cut({name: score / score.sum() for name, score in _sensitivity(model, batch).items()}, s)


@mistake("snip_mask", "You fed the model ones instead of the batch. That is another method; SNIP's point is that the first gradient knows the data.")
def input_of_ones(model, batch, s):
    return _snip(model, (torch.ones_like(batch[0]), batch[1]), s)


@mistake("snip_mask", "You fed the model random numbers instead of the batch. SNIP's scores come from the data.")
def random_input(model, batch, s):
    return _snip(model, (torch.randn_like(batch[0]), batch[1]), s)


@mistake("snip_mask", "You fed the model random numbers from [0, 1) instead of the batch. SNIP's scores come from the data.")
def uniform_random_input(model, batch, s):
    return _snip(model, (torch.rand_like(batch[0]), batch[1]), s)


@mistake("snip_mask", "You fed the model ones and took the gradient of its summed outputs: neither the pictures nor the labels play a part. SNIP asks the "
         "batch's cross-entropy.")
def without_data(model, batch, s):
    return _snip(model, (torch.ones_like(batch[0]), batch[1]), s, loss=lambda out, y: out.sum())


@mistake("snip_mask", "You used the classes that the model predicts as labels. The loss compares with the true labels y.")
def predicted_labels(model, batch, s):
    return _snip(model, (batch[0], model(batch[0]).argmax(1)), s)


@mistake("snip_mask", "You took the gradient of the summed outputs; the labels play no part in it. The loss is the mean cross-entropy.")
def gradient_of_the_outputs(model, batch, s):
    return _snip(model, batch, s, loss=lambda out, y: out.sum())


@mistake("snip_mask", "You used the first sample only. The loss is the mean over the whole batch.")
def first_sample_only(model, batch, s):
    return _snip(model, (batch[0][:1], batch[1][:1]), s)


@mistake("snip_mask", "You added up |w·g| over single samples, so that nothing cancels. SNIP takes the gradient of the batch's mean loss first.")
def absolute_value_per_sample(model, batch, s):
    _refuse_share(s)
    parts = [_sensitivity(model, (x[None], y[None])) for x, y in zip(*batch)]
    return _cut({name: sum(part[name] for part in parts) for name in parts[0]}, s)


@mistake("snip_mask", "You pruned the weights with the largest scores. The least sensitive are to go.")
def most_sensitive_pruned(model, batch, s):
    _refuse_share(s)
    return _cut({name: -score for name, score in _sensitivity(model, batch).items()}, s)


@mistake("snip_mask", "You scored |g| alone. The derivative for the switch is w·g: a weight of 0 has nothing to switch off.")
def snip_by_gradient_alone(model, batch, s):
    _refuse_share(s)
    weights = _weights(model)
    return _cut({name: g.abs() for name, g in zip(weights, _grads(model, batch, weights))}, s)


@mistake("snip_mask", "You scored |w| alone. Before training it is a random number; the score is |w·g|.")
def snip_by_magnitude(model, batch, s):
    _refuse_share(s)
    return _cut({name: w.abs() for name, w in _weights(model).items()}, s)


@mistake("snip_mask", "You ranked w·g with its sign. The sensitivity is |w·g|: a change of the loss in either direction counts.")
def signed_sensitivity(model, batch, s):
    _refuse_share(s)
    weights = _weights(model)
    return _cut({name: w * g for (name, w), g in zip(weights.items(), _grads(model, batch, weights))}, s)


@mistake("snip_mask", "You ranked the biases with the weights and gave them masks. Only parameters with at least two dimensions are pruned.")
def biases_ranked(model, batch, s):
    return _snip(model, batch, s, parameters=dict(model.named_parameters()))


@mistake("snip_mask", "You gave the biases masks of their own. They are not pruned: a mask belongs to each weight and to nothing else.")
def masks_for_biases(model, batch, s):
    masks = _snip(model, batch, s)
    return {name: masks.get(name, torch.ones_like(p, dtype=torch.bool)) for name, p in model.named_parameters()}


@mistake("snip_mask", "You used what was in .grad before: backward adds to it. Ask torch.autograd.grad for the gradients, or set .grad aside.")
def adds_to_old_gradients(model, batch, s):
    _refuse_share(s)
    before = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    masks = _cut({name: (w * w.grad).abs() for name, w in _weights(model).items()}, s)
    for p, grad in zip(model.parameters(), before):
        p.grad = grad
    return masks


@mistake("snip_mask", "The masks are right, but backward left its gradients in the model's .grad, and zero_grad removed what was there. "
         "torch.autograd.grad stores nothing.")
def leaves_gradients_behind(model, batch, s):
    _refuse_share(s)
    model.zero_grad()
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    return _cut({name: (w * w.grad).abs() for name, w in _weights(model).items()}, s)


@mistake("snip_mask", "The masks are right, but you deleted what was in .grad on the way. Leave it as it was.")
def deletes_old_gradients(model, batch, s):
    masks = _snip(model, batch, s)
    model.zero_grad()
    return masks


@mistake("snip_mask", "The masks are right, but you applied them to the model's weights. Give the masks back and leave the model as it was.")
def prunes_the_model(model, batch, s):
    masks = _snip(model, batch, s)
    for name, w in _weights(model).items():
        w.data *= masks[name]
    return masks


@mistake("snip_mask", "The masks are right, but you put the model into another mode. Leave it as it was.")
def changes_the_mode(model, batch, s):
    model.train(not model.training)
    return _snip(model, batch, s)


@mistake("snip_mask", "You named the masks for the layers. The key is the parameter's name: '0.weight', not '0'.")
def keyed_by_layer(model, batch, s):
    return {name.rpartition(".")[0]: mask for name, mask in _snip(model, batch, s).items()}


@mistake("snip_mask", "Your masks mark what to prune. In this course True means keep.")
def snip_inverted(model, batch, s):
    return {name: ~mask for name, mask in _snip(model, batch, s).items()}


@mistake("snip_mask", "Your masks are numbers. In this course a mask is boolean.")
def masks_of_numbers(model, batch, s):
    return {name: mask.float() for name, mask in _snip(model, batch, s).items()}


@mistake("snip_mask", "You kept what lies above the k-th score, so that all weights which tie with it go at once. Prune exactly round(s * n) "
         "positions.")
def ties_go_at_once(model, batch, s):
    _refuse_share(s)
    scores = _sensitivity(model, batch)
    flat = torch.cat([score.flatten() for score in scores.values()]).sort().values
    zeros = round(s * len(flat))
    return {name: score > flat[zeros - 1] if zeros else torch.ones_like(score, dtype=torch.bool) for name, score in scores.items()}


@mistake("snip_mask", "You rounded s·n down. The number of zeros is round(s * n): 60.9 gives 61.")
def snip_floor(model, batch, s):
    return _snip(model, batch, s, count=int)


@mistake("snip_mask", "You rounded halves up, or added one. The number of zeros is Python's round(s * n): 26.5 gives 26.")
def snip_half_up(model, batch, s):
    return _snip(model, batch, s, count=lambda x: int(x + 0.5))


@mistake("snip_mask", "A sparsity outside [0, 1] must raise ValueError; yours is taken silently.")
def snip_any_share(model, batch, s):
    return _cut(_sensitivity(model, batch), min(max(s, 0), 1))


@mistake("movement_scores", "The sign is wrong: your score is positive for weights that move towards 0. Gradient descent moves by −lr·g, so the score "
         "is −lr·Σ w·g.")
def movement_sign(ws, gs, lr):
    return lr * (ws * gs).sum(axis=0)


@mistake("movement_scores", "You took absolute values, so that a weight which runs away from 0 and one which runs towards it score alike. Keep the sign.")
def absolute_movement(ws, gs, lr):
    return np.abs(lr * (ws * gs).sum(axis=0))


@mistake("movement_scores", "You took the absolute value of every step before adding them up. The steps carry their sign.")
def absolute_steps(ws, gs, lr):
    return lr * np.abs(ws * gs).sum(axis=0)


@mistake("movement_scores", "You scored |w|. That is magnitude, which movement pruning replaces: where the weight is going counts, not where it is.")
def magnitude(ws, gs, lr):
    return np.abs(ws[-1])


@mistake("movement_scores", "You left out the learning rate: −Σ w·g is multiplied by lr.")
def learning_rate_left_out(ws, gs, lr):
    return -(ws * gs).sum(axis=0)


@mistake("movement_scores", "You averaged over the steps. They are added up: training longer scores more.")
def mean_over_steps(ws, gs, lr):
    return -lr * (ws * gs).mean(axis=0)


@mistake("movement_scores", "You used the last step alone. The scores accumulate over all of them.")
def last_step_only(ws, gs, lr):
    return -lr * ws[-1] * gs[-1]


@mistake("movement_scores", "You multiplied the last weights by the sum of all gradients. Each gradient belongs to the weight of its own step.")
def last_weights_times_all_gradients(ws, gs, lr):
    return -lr * ws[-1] * gs.sum(axis=0)


@mistake("movement_scores", "You added up weights and gradients apart and multiplied the sums. Multiply within each step, then add up.")
def product_of_sums(ws, gs, lr):
    return -lr * ws.sum(axis=0) * gs.sum(axis=0)


@mistake("movement_scores", "You gave how far the weight has moved, −lr·Σ g. Whether that is away from 0 depends on its sign: multiply by w.")
def distance_moved(ws, gs, lr):
    return -lr * gs.sum(axis=0)


@mistake("movement_scores", "You gave the squares of Taylor's criterion. Movement keeps the sign and does not square.")
def taylor(ws, gs, lr):
    return lr * ((ws * gs) ** 2).sum(axis=0)


@mistake("movement_scores", "You added up everything to one number. Only the steps (axis 0) are added up: each weight has its own score.")
def one_number(ws, gs, lr):
    return -lr * (ws * gs).sum()


@mistake("movement_scores", "You added up the wrong axis. The steps are axis 0.")
def last_axis(ws, gs, lr):
    return -lr * (ws * gs).sum(axis=-1)


def _squares(model, batch, of_sample=lambda g: g ** 2, labels=None):
    """Sums over single samples of a function of their gradients, for every parameter."""
    parameters = dict(model.named_parameters())
    sums = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for x, y in zip(batch[0], batch[1] if labels is None else labels):
        for name, g in zip(parameters, _grads(model, (x[None], y[None]), parameters)):
            sums[name] += of_sample(g)
    return sums


def _fisher(model, batch, power=2, **changed):
    sums = _squares(model, batch, **changed)
    return {name: p.detach().abs() ** power * sums[name] for name, p in model.named_parameters()}


@mistake("fisher_scores", "You squared the gradient of the batch: (E g)². Near a minimum that is close to 0 for every weight. Square each sample's "
         "gradient, then average: E g².")
def square_of_the_mean(model, batch):
    parameters = dict(model.named_parameters())
    return {name: p.detach() ** 2 * g ** 2 for (name, p), g in zip(parameters.items(), _grads(model, batch, parameters))}


@mistake("fisher_scores", "You left out w²: E g² is the curvature alone. Removing a weight goes the whole way w, and costs ½·h·w².")
def weight_left_out(model, batch):
    return _squares(model, batch)


@mistake("fisher_scores", "You multiplied by |w| instead of w². The cost of a way of length w in a parabola grows with its square.")
def weight_not_squared(model, batch):
    return _fisher(model, batch, power=1)


@mistake("fisher_scores", "You multiplied by w with its sign. A score is a cost: w².")
def signed_weight(model, batch):
    sums = _squares(model, batch)
    return {name: p.detach() * sums[name] for name, p in model.named_parameters()}


@mistake("fisher_scores", "You averaged |g|, not g². The Fisher information is the mean of the squares.")
def mean_of_absolute_values(model, batch):
    return _fisher(model, batch, of_sample=torch.abs)


@mistake("fisher_scores", "You averaged |g·w| over the samples. That is a first-order score; square each product before averaging.")
def mean_of_absolute_products(model, batch):
    return _fisher(model, batch, power=1, of_sample=torch.abs)


@mistake("fisher_scores", "You used the classes that the model predicts as labels. Here the labels are the true ones, y.")
def fisher_with_predicted_labels(model, batch):
    return _fisher(model, batch, labels=model(batch[0]).argmax(1))


@mistake("fisher_scores", "You used the first sample only. Average over all of them.")
def fisher_of_the_first_sample(model, batch):
    return _fisher(model, (batch[0][:1], batch[1][:1]))


@mistake("fisher_scores", "Gradients of earlier samples were still in .grad when you squared it: backward adds up. Set it to zero before each sample.")
def gradients_not_reset(model, batch):
    twin = copy.deepcopy(model)
    twin.zero_grad()
    sums = {name: torch.zeros_like(p) for name, p in twin.named_parameters()}
    for x, y in zip(*batch):
        F.cross_entropy(twin(x[None]), y[None]).backward()
        for name, p in twin.named_parameters():
            sums[name] += p.grad ** 2
    return {name: p.detach() ** 2 * sums[name] for name, p in twin.named_parameters()}


@mistake("fisher_scores", "What was in the model's .grad before went into your scores. Ask torch.autograd.grad for the gradients, or begin with zeros.")
def old_gradients_counted(model, batch):
    sums = _squares(model, batch)
    for name, p in model.named_parameters():
        if p.grad is not None:
            sums[name] += p.grad ** 2
    return {name: p.detach() ** 2 * sums[name] for name, p in model.named_parameters()}


@mistake("fisher_scores", "The scores are right, but you left your gradients in the model's .grad. Leave there what was there.")
def fisher_leaves_gradients(model, batch):
    scores = _fisher(model, batch)
    model.zero_grad()
    F.cross_entropy(model(batch[0][-1:]), batch[1][-1:]).backward()
    return scores


@mistake("fisher_scores", "The scores are right, but you deleted what was in .grad on the way. Leave it as it was.")
def fisher_deletes_gradients(model, batch):
    scores = _fisher(model, batch)
    model.zero_grad()
    return scores


@mistake("fisher_scores", "You scored the weights only. Every parameter gets its scores, biases too.")
def weights_only(model, batch):
    return {name: score for name, score in _fisher(model, batch).items() if score.dim() >= 2}


@mistake("fisher_scores", "You named the scores for the layers, so that a bias's scores replace its weight's. The key is the parameter's name: "
         "'0.weight', not '0'.")
def fisher_keyed_by_layer(model, batch):
    return {name.rpartition(".")[0]: score for name, score in _fisher(model, batch).items()}


@mistake("fisher_scores", "You normalised each parameter's scores by themselves, so that layers cannot be compared. One factor may be common to all, "
         "none may differ.")
def fisher_normalised_per_layer(model, batch):
    return {name: score / score.max() for name, score in _fisher(model, batch).items()}


@mistake("fisher_scores", "You took the root: |w|·√(E g²) ranks alike, but is no multiple of w²·E g².")
def root_of_the_scores(model, batch):
    return {name: score.sqrt() for name, score in _fisher(model, batch).items()}


@mistake("fisher_scores", "Your scores are negative. Removing a weight at a minimum raises the loss: the score is positive, low = prune.")
def negative_scores(model, batch):
    return {name: -score for name, score in _fisher(model, batch).items()}


@mistake("fisher_scores", "You subtracted the squared mean: that is the gradients' variance. The Fisher score uses E g² itself.")
def variance_of_the_gradients(model, batch):
    sums, parameters = _squares(model, batch), dict(model.named_parameters())
    means = dict(zip(parameters, _grads(model, batch, parameters)))
    return {name: p.detach() ** 2 * (sums[name] / len(batch[0]) - means[name] ** 2) for name, p in parameters.items()}


def _layers(model):
    return {name: m for name, m in model.named_modules() if getattr(m, "weight", None) is not None and m.weight.dim() >= 2}


def _prune(w, ratio, score=torch.abs, count=round):
    with torch.no_grad():
        w.view(-1)[score(w.detach()).flatten().argsort()[:count(ratio * w.numel())]] = 0


def _scan(model, evaluate, ratios, prune=lambda module, ratio: _prune(module.weight, ratio), layers=_layers, entry=lambda score, model: score):
    """The scan on copies, with one part of it replaced by a wrong one."""
    if not all(0 <= ratio <= 1 for ratio in ratios):
        raise ValueError
    table = {}
    for name in layers(model):
        table[name] = {}
        for ratio in ratios:
            twin = copy.deepcopy(model)
            prune(twin.get_submodule(name), ratio)
            table[name][ratio] = entry(evaluate(twin), model)
    return table


def _scan_in_place(model, evaluate, ratios, save, restore_after):
    """The scan on the model itself; `save(model)` gives what puts it back, called after each "ratio", "layer", or "scan"."""
    if not all(0 <= ratio <= 1 for ratio in ratios):
        raise ValueError
    table, restore = {}, save(model)
    for name, module in _layers(model).items():
        table[name] = {}
        for ratio in ratios:
            _prune(module.weight, ratio)
            table[name][ratio] = evaluate(model)
            if restore_after == "ratio":
                restore()
        if restore_after == "layer":
            restore()
    if restore_after == "scan":
        restore()
    return table


def _keep_copies(model):
    state = copy.deepcopy(model.state_dict())
    return lambda: model.load_state_dict(state)


@mistake("sensitivity_scan", "The model was never put back: every layer was measured with the ones before it pruned. If you saved model.state_dict() or a "
         "list of weights, that shares its memory with the model and was pruned along: save a clone, or prune a copy.")
def not_restored(model, evaluate, ratios):
    return _scan_in_place(model, evaluate, ratios, _keep_copies, None)


@mistake("sensitivity_scan", "You put the model back at the very end only, so that each layer was measured with the earlier ones pruned. One layer "
         "alone: restore after each.")
def restored_at_the_end_only(model, evaluate, ratios):
    return _scan_in_place(model, evaluate, ratios, _keep_copies, "scan")


@mistake("sensitivity_scan", "You put a layer back only after all its ratios. With ratios in falling order the smaller ones were then measured on a layer "
         "that had lost more already.")
def restored_once_a_layer(model, evaluate, ratios):
    return _scan_in_place(model, evaluate, ratios, _keep_copies, "layer")


@mistake("sensitivity_scan", "When evaluate raises, your model stays pruned. Restore it in a finally block, or prune a copy.")
def not_restored_after_an_exception(model, evaluate, ratios):
    return _scan_in_place(model, evaluate, ratios, _keep_copies, "ratio")


@mistake("sensitivity_scan", "The table is right, but you left the model in eval mode. Put it back into the mode it was in.")
def left_in_eval_mode(model, evaluate, ratios):
    model.eval()
    return _scan(model, evaluate, ratios)


@mistake("sensitivity_scan", "The table is right, but you left the weights with requires_grad off: they would not train any more. Prune under "
         "torch.no_grad() instead.")
def weights_left_frozen(model, evaluate, ratios):
    for module in _layers(model).values():
        module.weight.requires_grad_(False)
    return _scan(model, evaluate, ratios)


@mistake("sensitivity_scan", "The table is right, but you deleted what was in .grad. A scan needs no gradients: leave them alone.")
def deletes_the_gradients(model, evaluate, ratios):
    model.zero_grad()
    return _scan(model, evaluate, ratios)


def _prune_ties(w, ratio):
    zeros, size = round(ratio * w.numel()), w.detach().abs()
    if zeros:
        w.data *= size > size.flatten().kthvalue(zeros).values


@mistake("sensitivity_scan", "You kept what lies above the k-th magnitude, so that all weights which tie with it go at once. Prune exactly "
         "round(ratio * n) positions.")
def ties_pruned_at_once(model, evaluate, ratios):
    return _scan(model, evaluate, ratios, prune=lambda module, ratio: _prune_ties(module.weight, ratio))


@mistake("sensitivity_scan", "You caught the exception of evaluate and went on or gave up in silence. Restore the model and let it pass: the caller must "
         "know.")
def swallows_the_exception(model, evaluate, ratios):
    try:
        return _scan(model, evaluate, ratios)
    except KeyError:
        return {}


@mistake("sensitivity_scan", "You put the weights back by adding what you had taken away from changed numbers; in floating point that gives other bits. "
         "Keep a copy.")
def restored_by_arithmetic(model, evaluate, ratios):
    if not all(0 <= ratio <= 1 for ratio in ratios):
        raise ValueError
    table = {}
    for name, module in _layers(model).items():
        table[name] = {}
        for ratio in ratios:
            before = module.weight.detach().clone()
            _prune(module.weight, ratio)
            change = before - module.weight.detach() + 1.0
            try:
                table[name][ratio] = evaluate(model)
            finally:
                module.weight.data.add_(change).sub_(1.0)
    return table


def _prune_with_bias(module, ratio):
    _prune(module.weight, ratio)
    if module.bias is not None:
        _prune(module.bias, ratio)


@mistake("sensitivity_scan", "You pruned the biases too. Only the layer's weight loses its smallest values.")
def biases_pruned(model, evaluate, ratios):
    return _scan(model, evaluate, ratios, prune=_prune_with_bias)


@mistake("sensitivity_scan", "You pruned the largest weights. Those of least magnitude are to go.")
def largest_weights_pruned(model, evaluate, ratios):
    return _scan(model, evaluate, ratios, prune=lambda module, ratio: _prune(module.weight, ratio, lambda w: -w.abs()))


@mistake("sensitivity_scan", "You ranked signed weights, so that strongly negative ones went first. Rank |w|.")
def signed_weights(model, evaluate, ratios):
    return _scan(model, evaluate, ratios, prune=lambda module, ratio: _prune(module.weight, ratio, lambda w: w))


@mistake("sensitivity_scan", "You pruned at random. The round(ratio * n) weights of least magnitude go.")
def random_weights(model, evaluate, ratios):
    return _scan(model, evaluate, ratios, prune=lambda module, ratio: _prune(module.weight, ratio, torch.rand_like))


@mistake("sensitivity_scan", "You kept the share `ratio` instead of removing it.")
def share_kept(model, evaluate, ratios):
    return _scan(model, evaluate, ratios, prune=lambda module, ratio: _prune(module.weight, 1 - ratio))


@mistake("sensitivity_scan", "You rounded the counts down. round(ratio * n) weights go: 10.5 gives 10, but 31.5 gives 32.")
def counts_rounded_down(model, evaluate, ratios):
    return _scan(model, evaluate, ratios, prune=lambda module, ratio: _prune(module.weight, ratio, count=int))


@mistake("sensitivity_scan", "You scanned dense layers only. A convolution has a weight as well.")
def dense_layers_only(model, evaluate, ratios):
    return _scan(model, evaluate, ratios, layers=lambda m: [name for name, one in m.named_modules() if isinstance(one, nn.Linear)])


@mistake("sensitivity_scan", "You looked at the outermost modules only; layers inside others were missed. named_modules() lists all of them.")
def outermost_modules_only(model, evaluate, ratios):
    return _scan(model, evaluate, ratios, layers=lambda m: [name for name in _layers(m) if "." not in name])


@mistake("sensitivity_scan", "You left out the last layer. It may be sensitive, and that is what the scan is to show.")
def last_layer_left_out(model, evaluate, ratios):
    return _scan(model, evaluate, ratios, layers=lambda m: list(_layers(m))[:-1])


@mistake("sensitivity_scan", "You pruned all layers at once. The scan asks what each layer costs alone.")
def all_layers_at_once(model, evaluate, ratios):
    if not all(0 <= ratio <= 1 for ratio in ratios):
        raise ValueError
    scores = {}
    for ratio in ratios:
        twin = copy.deepcopy(model)
        for module in _layers(twin).values():
            _prune(module.weight, ratio)
        scores[ratio] = [evaluate(twin) for _ in _layers(model)][0]
    return {name: dict(scores) for name in _layers(model)}


@mistake("sensitivity_scan", "You wrote down the drop below the dense score. The table holds what evaluate gave.")
def drops_for_scores(model, evaluate, ratios):
    dense = evaluate(model)
    return _scan(model, evaluate, ratios, entry=lambda score, _: dense - score)


@mistake("sensitivity_scan", "Your table is {ratio: {layer: score}}. The layers come first.")
def transposed_table(model, evaluate, ratios):
    table = _scan(model, evaluate, ratios)
    return {ratio: {name: row[ratio] for name, row in table.items()} for ratio in ratios}


@mistake("sensitivity_scan", "You named the rows for the parameters. The key is the module's name: '0', not '0.weight'.")
def keyed_by_parameter(model, evaluate, ratios):
    return {f"{name}.weight": row for name, row in _scan(model, evaluate, ratios).items()}


@mistake("sensitivity_scan", "A ratio outside [0, 1] must raise ValueError; yours is taken silently.")
def any_ratio_accepted(model, evaluate, ratios):
    table = _scan(model, evaluate, [min(max(ratio, 0), 1) for ratio in ratios])
    return {name: dict(zip(ratios, row.values())) for name, row in table.items()}


def _choices(table):
    return [dict(zip(table, ratios)) for ratios in itertools.product(*table.values())]


def _kept(ratios, sizes):
    return sum(sizes[layer] - round(r * sizes[layer]) for layer, r in ratios.items())


def _score(ratios, table):
    return sum(table[layer][r] for layer, r in ratios.items())


@mistake("allocate_sparsity", "It is the wrong way round: you pruned the sensitive layers most. They lose the most accuracy; prune the insensitive ones "
         "more.")
def reversed_rule(table, sizes, budget):
    return min((c for c in _choices(table) if _kept(c, sizes) <= budget), key=lambda c: _score(c, table))


@mistake("allocate_sparsity", "You gave all layers the same ratio, or nearly so. Layers differ in sensitivity and in size; look for the best "
         "combination.")
def uniform(table, sizes, budget):
    fitting = [c for c in _choices(table) if _kept(c, sizes) <= budget]
    closest = min(max(c.values()) - min(c.values()) for c in fitting) if fitting else 0
    return max((c for c in fitting if max(c.values()) - min(c.values()) == closest), key=lambda c: _score(c, table))


@mistake("allocate_sparsity", "You gave all layers one and the same ratio. Layers differ in sensitivity and in size, and each may have its own: look "
         "through the combinations.")
def one_ratio_for_all(table, sizes, budget):
    first = next(iter(table.values()))
    return max((c for c in (dict.fromkeys(table, r) for r in first) if _kept(c, sizes) <= budget), key=lambda c: _score(c, table))


@mistake("allocate_sparsity", "You paired layers and sizes by their position. Both are dictionaries, in any order: take sizes[layer].")
def sizes_by_position(table, sizes, budget):
    sizes = dict(zip(table, sizes.values()))
    return max((c for c in _choices(table) if _kept(c, sizes) <= budget), key=lambda c: _score(c, table))


@mistake("allocate_sparsity", "You took the mean ratio as the sparsity, as if all layers were of one size. The budget counts weights: 90 % of a small layer "
         "saves little.")
def sizes_ignored(table, sizes, budget):
    share = budget / sum(sizes.values())
    return max((c for c in _choices(table) if sum(1 - r for r in c.values()) / len(c) <= share + 1e-12), key=lambda c: _score(c, table))


@mistake("allocate_sparsity", "You did not look at the budget: the least pruned choice scores best, but keeps too many weights.")
def budget_ignored(table, sizes, budget):
    return {layer: max(row, key=row.get) for layer, row in table.items()}


@mistake("allocate_sparsity", "You held the pruned weights to the budget. It limits the kept ones, n − round(ratio * n) in each layer.")
def pruned_weights_limited(table, sizes, budget):
    return max((c for c in _choices(table) if sum(sizes.values()) - _kept(c, sizes) <= budget), key=lambda c: _score(c, table))


@mistake("allocate_sparsity", "You overspent: your choice is the one nearest to the budget, from either side. No more than the budget may be kept.")
def budget_exceeded(table, sizes, budget):
    return min(_choices(table), key=lambda c: (abs(_kept(c, sizes) - budget), -_score(c, table)))


@mistake("allocate_sparsity", "Where nothing fits you gave the sparsest choice. It exceeds the budget: raise ValueError.")
def sparsest_where_nothing_fits(table, sizes, budget):
    fitting = [c for c in _choices(table) if _kept(c, sizes) <= budget]
    return max(fitting, key=lambda c: _score(c, table)) if fitting else {layer: max(row) for layer, row in table.items()}


@mistake("allocate_sparsity", "Where nothing fits you gave nothing. Raise ValueError, so that the caller's slip is seen.")
def nothing_where_nothing_fits(table, sizes, budget):
    fitting = [c for c in _choices(table) if _kept(c, sizes) <= budget]
    return max(fitting, key=lambda c: _score(c, table)) if fitting else None


@mistake("allocate_sparsity", "You took the budget for the number of weights to remove. It is the largest number that may be kept.")
def budget_of_removed_weights(table, sizes, budget):
    return max((c for c in _choices(table) if sum(sizes.values()) - _kept(c, sizes) >= budget), key=lambda c: _score(c, table))


@mistake("allocate_sparsity", "You required fewer weights than the budget. It may be used up: ≤, not <.")
def budget_not_used_up(table, sizes, budget):
    return max((c for c in _choices(table) if _kept(c, sizes) < budget), key=lambda c: _score(c, table))


@mistake("allocate_sparsity", "You did not round the counts: a layer loses round(ratio * n) weights, a whole number.")
def counts_not_rounded(table, sizes, budget):
    return max((c for c in _choices(table) if sum((1 - r) * sizes[layer] for layer, r in c.items()) <= budget + 1e-9), key=lambda c: _score(c, table))


@mistake("allocate_sparsity", "You rounded the kept counts, round((1 - ratio) * n). The pruned ones are rounded: half of 5 is round(2.5) = 2, so 3 are kept.")
def kept_counts_rounded(table, sizes, budget):
    return max((c for c in _choices(table) if sum(round((1 - r) * sizes[layer]) for layer, r in c.items()) <= budget), key=lambda c: _score(c, table))


@mistake("allocate_sparsity", "You rounded the pruned counts down. A layer loses round(ratio * n) weights: 1.75 gives 2.")
def pruned_counts_rounded_down(table, sizes, budget):
    return max((c for c in _choices(table) if sum(sizes[layer] - int(r * sizes[layer] + 1e-9) for layer, r in c.items()) <= budget),
               key=lambda c: _score(c, table))


@mistake("allocate_sparsity", "You took the step with the smallest drop again and again. That greedy search can miss the best combination; try all of "
         "them, or use dynamic programming.")
def greedy(table, sizes, budget):
    return _greedy(table, sizes, budget, lambda drop, saved: drop)


@mistake("allocate_sparsity", "You took the step with the smallest drop for each weight saved, again and again. That is a good heuristic, but not always the "
         "best combination; try all of them, or use dynamic programming.")
def greedy_per_weight(table, sizes, budget):
    return _greedy(table, sizes, budget, lambda drop, saved: drop / max(saved, 1))


def _greedy(table, sizes, budget, price):
    chosen = {layer: min(row) for layer, row in table.items()}
    while _kept(chosen, sizes) > budget:
        steps = []
        for layer, r in chosen.items():
            higher = [other for other in sorted(table[layer]) if other > r]
            if higher:
                saved = round(higher[0] * sizes[layer]) - round(r * sizes[layer])
                steps.append((price(table[layer][r] - table[layer][higher[0]], saved), layer, higher[0]))
        if not steps:
            raise ValueError
        _, layer, r = min(steps)
        chosen[layer] = r
    return chosen


@mistake("allocate_sparsity", "You began with a best score of 0, so that no choice with a negative sum was ever taken. Scores may be negative: begin with "
         "minus infinity.")
def best_starts_at_zero(table, sizes, budget):
    best, chosen = 0, None
    for c in _choices(table):
        if _kept(c, sizes) <= budget and _score(c, table) > best:
            best, chosen = _score(c, table), c
    if chosen is None:
        raise ValueError
    return chosen


@mistake("allocate_sparsity", "You multiplied the scores. The allocation maximises their sum.")
def product_of_scores(table, sizes, budget):
    return max((c for c in _choices(table) if _kept(c, sizes) <= budget), key=lambda c: math.prod(table[layer][r] for layer, r in c.items()))


@mistake("allocate_sparsity", "You made the worst layer's score as good as possible. The allocation maximises the sum over the layers.")
def best_of_the_worst(table, sizes, budget):
    return max((c for c in _choices(table) if _kept(c, sizes) <= budget), key=lambda c: min(table[layer][r] for layer, r in c.items()))


@mistake("allocate_sparsity", "You took the sparsest choice that fits. The budget is what you may keep: spend it where the score gains most.")
def as_sparse_as_possible(table, sizes, budget):
    return min((c for c in _choices(table) if _kept(c, sizes) <= budget), key=lambda c: _kept(c, sizes))


@mistake("allocate_sparsity", "You gave numbers of weights. Asked for is the ratio of each layer.")
def numbers_of_weights(table, sizes, budget):
    best = max((c for c in _choices(table) if _kept(c, sizes) <= budget), key=lambda c: _score(c, table))
    return {layer: sizes[layer] - round(r * sizes[layer]) for layer, r in best.items()}
