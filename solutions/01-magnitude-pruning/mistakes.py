"""Wrong answers to the exercises of 01, each with what to tell a student who gave it."""
import numpy as np
import torch
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
