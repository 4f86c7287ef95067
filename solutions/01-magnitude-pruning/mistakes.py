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


@mistake("lottery_ticket", "You never rewound: every round trained on from the last one's final weights, and those are what you gave "
         "back. Train from init·mask each time, and return init·mask.")
def rewinds_to_the_final_weights(train, init, rounds, p):
    masks, trained = _ticket(train, init, rounds, p, start=lambda w, trained: trained)
    return _masked(trained, masks), masks


@mistake("lottery_ticket", "You rewound at the end only: from the second round on, training started from trained weights. Every round "
         "trains from init·mask.")
def rewinds_at_the_end_only(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, start=lambda w, trained: trained)
    return _masked(init, masks), masks


@mistake("lottery_ticket", "Every round pruned p of all weights. It prunes p of those that remain: 10 weights at p = 0.2 become 8, 6, 5, "
         "not 8, 6, 4.")
def share_of_all(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, count=lambda p, kept, size: round(p * size))
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You drew new random weights for the ticket. The hypothesis is about the initial values that the network had: "
         "rewind to init.")
def fresh_random_init(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p)
    return {name: np.random.normal(0, 0.1, w.shape) * masks[name] for name, w in init.items()}, masks


@mistake("lottery_ticket", "You drew new random weights before every round. The hypothesis is about the initial values that the network "
         "had: rewind to init.")
def trains_from_fresh_weights(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p, start=lambda w, trained: np.random.normal(0, 0.1, w.shape))
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You trained once and pruned everything in one go. What is least after a round depends on the weights pruned "
         "before it: train again in every round.")
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


@mistake("lottery_ticket", "Pruned weights are 0 after training, and you ranked them again: each round mostly prunes what was gone "
         "already. Rank only the weights that remain.")
def prunes_the_pruned(train, init, rounds, p):
    if not 0 <= p <= 1:
        raise ValueError
    masks = {name: np.ones(w.shape, dtype=bool) for name, w in init.items()}
    for _ in range(rounds):
        trained = train(_masked(init, masks), masks)
        for name, mask in masks.items():
            mask.flat[np.argsort(np.abs(trained[name]), axis=None)[:round(p * mask.sum())]] = False
    return _masked(init, masks), masks


@mistake("lottery_ticket", "You made each round's mask anew, so the weights pruned in earlier rounds came back. A pruned weight stays "
         "pruned.")
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


@mistake("lottery_ticket", "You pruned every weight up to the k-th magnitude, so all that tie with it went at once. Prune an exact number "
         "of positions.")
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


@mistake("lottery_ticket", "You cut at a quantile of the remaining magnitudes. It interpolates, so the count comes out wrong; prune "
         "exactly round(p * remaining) positions.")
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


@mistake("lottery_ticket", "You trained once more than there are rounds. Finding a ticket ends with pruning; training it is another "
         "matter.")
def trains_the_ticket_too(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p)
    train(_masked(init, masks), masks)
    return _masked(init, masks), masks


@mistake("lottery_ticket", "The result is right, but you pruned init itself, so there is nothing left to rewind to. Multiply into new "
         "arrays.")
def prunes_init_itself(train, init, rounds, p):
    masks, _ = _ticket(train, init, rounds, p)
    for name, w in init.items():
        w *= masks[name]
    return init, masks


@mistake("lottery_ticket", "Your masks are numbers. In this course a mask is boolean: what indexes and inverts as a mask should not need "
         "converting.")
def masks_of_numbers(train, init, rounds, p):
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


@mistake("dense_speedup", "You gave 1/(1 − sparsity). None of the three skips zeros wherever they are: the dense one multiplies by all, "
         "and the others need them in certain places.")
def one_over_density(mask, hardware):
    return mask.size / mask.sum() if mask.any() else 1.0


@mistake("dense_speedup", "You gave the dense kernel 1/(1 − sparsity). It multiplies by zeros too: its speedup is always 1.")
def dense_skips_zeros(mask, hardware):
    if hardware == "dense":
        return mask.size / mask.sum()
    return (2.0 if _fours(mask) else 1.0) if hardware == "2:4" else _rows(mask)


@mistake("dense_speedup", "You judged 2:4 by the share of zeros in the whole matrix. The hardware needs them in every aligned four; one "
         "four that keeps three is enough to rule it out.")
def total_sparsity_for_2_4(mask, hardware):
    if hardware == "2:4":
        return 2.0 if mask.mean() <= 0.5 else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You asked for exactly two kept weights in every four. Fewer fit as well: the place of a missing one is filled "
         "with a zero.")
def exactly_two(mask, hardware):
    if hardware == "2:4":
        return 2.0 if mask.shape[1] % 4 == 0 and (mask.reshape(-1, 4).sum(axis=1) == 2).all() else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "Your fours run over the ends of rows. They lie along the last axis; where 4 does not divide it, the speedup is "
         "1.")
def fours_across_rows(mask, hardware):
    if hardware == "2:4":
        flat = np.append(mask.ravel(), np.zeros(-mask.size % 4, dtype=bool))
        return 2.0 if (flat.reshape(-1, 4).sum(axis=1) <= 2).all() else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You let a row end in an incomplete four. Where 4 does not divide the number of columns the 2:4 kernel cannot "
         "be used: 1.")
def incomplete_fours(mask, hardware):
    if hardware == "2:4":
        padded = np.pad(mask, ((0, 0), (0, -mask.shape[1] % 4)))
        return 2.0 if _fours(padded) else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You left the columns behind the last whole four unchecked. Where 4 does not divide their number the 2:4 kernel "
         "cannot be used: 1.")
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


@mistake("dense_speedup", "Your fours are made of columns that lie far apart. A four is contiguous: columns 0 to 3, 4 to 7, and so on.")
def strided_fours(mask, hardware):
    if hardware == "2:4":
        return 2.0 if mask.shape[1] % 4 == 0 and (mask.reshape(len(mask), 4, -1).sum(axis=1) <= 2).all() else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You counted fours down the columns. They lie along the last axis, within a row.")
def fours_down_the_columns(mask, hardware):
    if hardware == "2:4":
        return 2.0 if _fours(mask.T) else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You gave 2:4 hardware 1/(1 − sparsity). It does two multiplications for every four, also where fewer would do: "
         "2 at most.")
def more_zeros_more_speed(mask, hardware):
    if hardware == "2:4":
        return mask.size / mask.sum() if _fours(mask) else 1.0
    return _rows(mask) if hardware == "structured" else 1.0


@mistake("dense_speedup", "You counted rows as gone although they keep a weight. A row is cut out only when nothing in it is kept.")
def mostly_empty_rows(mask, hardware):
    if hardware == "structured":
        return len(mask) / max(1, (mask.mean(axis=1) > 0.5).sum())
    return 2.0 if hardware == "2:4" and _fours(mask) else 1.0


@mistake("dense_speedup", "You counted only rows that are kept whole. A row that keeps a single weight has to be computed too: use any, "
         "not all.")
def whole_rows_only(mask, hardware):
    if hardware == "structured":
        return len(mask) / max(1, mask.all(axis=1).sum())
    return 2.0 if hardware == "2:4" and _fours(mask) else 1.0


@mistake("dense_speedup", "You gave the structured kernel 1/(1 − sparsity). Zeros in rows that stay save nothing; divide rows by rows "
         "that keep any weight.")
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


@mistake("structured_prune", "This is still the published answer: it draws lots for every single weight, so two calls disagree, large "
         "weights go as easily as small ones, and no unit disappears. Rank the rows and clear whole ones.")
def bernoulli_weights(network, rate):
    pruned = {}
    for layer, parameters in network.items():
        keep = np.random.binomial(1, 1 - rate, size=parameters["weights"].shape)
        pruned[layer] = {"weights": parameters["weights"] * keep, "biases": parameters["biases"]}
    return pruned


@mistake("structured_prune", "Whole units go now, but you drew lots for them. Prune the units of least L1 norm.")
def random_units(network, rate):
    return _drop(network, rate, size=lambda w, b: np.random.rand(len(w)))


@mistake("structured_prune", "You pruned single weights by magnitude: the zeros are scattered over the rows, and every unit still has to "
         "be computed. Rank rows, and clear whole ones.")
def scattered_by_magnitude(network, rate):
    if not 0 <= rate <= 1:
        raise ValueError
    pruned = {layer: {kind: array.copy() for kind, array in parameters.items()} for layer, parameters in network.items()}
    for layer in list(pruned)[:-1]:
        weights = pruned[layer]["weights"]
        weights.flat[np.argsort(np.abs(weights), axis=None)[:round(rate * weights.size)]] = 0
    return pruned


@mistake("structured_prune", "You ranked units by Euclidean length (L2). The criterion here is the sum of magnitudes (L1), and the two "
         "disagree.")
def euclidean_length(network, rate):
    return _drop(network, rate, size=lambda w, b: np.linalg.norm(w, axis=1))


@mistake("structured_prune", "You ranked units by the signed sum of their weights, where large weights of both signs cancel. Sum |w|.")
def signed_sum(network, rate):
    return _drop(network, rate, size=lambda w, b: w.sum(axis=1))


@mistake("structured_prune", "You ranked units by the magnitude of their signed sum: large weights of both signs cancel. Sum |w|, not "
         "|sum of w|.")
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


@mistake("structured_prune", "You cleared the rows but left their biases: a unit with a bias still gives a constant to the next layer. "
         "Both go.")
def biases_stay(network, rate):
    pruned = _drop(network, rate)
    for layer in pruned:
        pruned[layer]["biases"] = network[layer]["biases"].copy()
    return pruned


@mistake("structured_prune", "You cleared columns, which are inputs, and left the units in place. A unit is a row of the (n_out, n_in) "
         "weights.")
def clears_columns(network, rate):
    if not 0 <= rate <= 1:
        raise ValueError
    pruned = {layer: {kind: array.copy() for kind, array in parameters.items()} for layer, parameters in network.items()}
    for layer in list(pruned)[:-1]:
        weights = pruned[layer]["weights"]
        weights[:, np.argsort(np.abs(weights).sum(axis=0))[:round(rate * weights.shape[1])]] = 0
    return pruned


@mistake("structured_prune", "You cut the units out, so the shapes changed and the next layer no longer fits. Here pruned units become 0 "
         "and all shapes stay.")
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


@mistake("structured_prune", "The result is right, but you changed the network that you were given. Copy its arrays first; a copied "
         "dictionary still holds the same arrays.")
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
