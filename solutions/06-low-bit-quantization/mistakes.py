"""Wrong answers to the exercises of 06, each with what to tell a student who gave it."""
import math

import numpy as np
import torch

from autograder.mistakes import mistake


def _signs(w):
    return torch.where(w >= 0, 1, -1)


def _per_filter(w):
    return w.abs().flatten(1)


@mistake("binarize", "Your signs are 0 and 1. A binary weight is −α or +α: with {0, 1} no weight could be negative.")
def zero_and_one(w):
    return _per_filter(w).mean(1), torch.where(w >= 0, 1, 0)


@mistake("binarize", "You took one α for the whole tensor. Each filter, a step of the first axis, has its own.")
def per_tensor(w):
    return w.abs().mean(), _signs(w)


@mistake("binarize", "All your filters share the mean over the whole tensor. α is the mean over one filter.")
def per_tensor_repeated(w):
    return w.abs().mean().repeat(len(w)), _signs(w)


@mistake("binarize", "Your α is 1: the signs alone lose the size of the weights. α is the mean magnitude of the filter.")
def no_alpha(w):
    return torch.ones(len(w)), _signs(w)


@mistake("binarize", "sign(0) is 0 in your answer, as in torch.sign. One bit has no third value: a weight of 0 gets +1.")
def torch_sign(w):
    return _per_filter(w).mean(1), torch.sign(w)


@mistake("binarize", "You gave weights that are exactly 0 the sign −1. Here sign(0) = +1.")
def zero_is_negative(w):
    return _per_filter(w).mean(1), torch.where(w > 0, 1, -1)


@mistake("binarize", "You took the mean of the signed weights, in which both signs cancel. α is the mean of |w|.")
def signed_mean(w):
    return w.flatten(1).mean(1), _signs(w)


@mistake("binarize", "Your α is the sum of the magnitudes. Divide it by the number of weights of the filter.")
def sum_for_mean(w):
    return _per_filter(w).sum(1), _signs(w)


@mistake("binarize", "Your α is the largest magnitude of the filter. The error is least with the mean magnitude.")
def largest(w):
    return _per_filter(w).amax(1), _signs(w)


@mistake("binarize", "Your α is the root mean square. The error is least with the mean magnitude, which is never larger.")
def root_mean_square(w):
    return w.flatten(1).square().mean(1).sqrt(), _signs(w)


@mistake("binarize", "You divided by the number of weights that are not 0. Zeros are weights of the filter too: n counts them.")
def zeros_not_counted(w):
    size = _per_filter(w)
    return size.sum(1) / (size > 0).sum(1).clamp(min=1), _signs(w)


@mistake("binarize", "You took the mean along the wrong axis. The first axis counts the filters; the mean is over all others.")
def per_input(w):
    return w.abs().transpose(0, 1).flatten(1).mean(1), _signs(w)


@mistake("binarize", "You took the mean over the last axis only. A filter's weights are all axes but the first.")
def last_axis(w):
    return w.abs().mean(-1), _signs(w)


@mistake("binarize", "Your α keeps the other axes, with length 1. Its shape is (C_out,).")
def axes_kept(w):
    return w.abs().mean(tuple(range(1, w.dim())), keepdim=True), _signs(w)


@mistake("binarize", "You gave the signs times α. The second result is the signs alone, −1 and +1.")
def signs_scaled(w):
    alpha = _per_filter(w).mean(1)
    return alpha, _signs(w) * alpha.view(-1, *[1] * (w.dim() - 1))


@mistake("binarize", "You gave the two results in the wrong order: first alpha, then the signs.")
def results_exchanged(w):
    return _signs(w), _per_filter(w).mean(1)


@mistake("binarize", "Your signs are booleans. They are the numbers −1 and +1.")
def boolean_signs(w):
    return _per_filter(w).mean(1), w >= 0


@mistake("binarize", "The results are right, but you changed w: what ends in _ , or assigns to a part of w, writes into the caller's tensor.")
def changes_w(w):
    alpha = w.abs_().flatten(1).mean(1)
    return alpha, _signs(w)


def _kept(w, factor=0.7):
    return w.abs() > factor * w.abs().mean()


def _mean_of(w, kept):
    return (w.abs() * kept).sum() / kept.sum().clamp(min=1)


@mistake("ternarize", "Your α is the mean over all weights, zeros included. It is the mean magnitude of those that were kept.")
def mean_over_all(w):
    return w.abs().mean(), torch.sign(w) * _kept(w)


@mistake("ternarize", "Your α is the sum of the kept magnitudes divided by the number of all weights. Divide it by the number of kept ones.")
def divided_by_all(w):
    return (w.abs() * _kept(w)).mean(), torch.sign(w) * _kept(w)


@mistake("ternarize", "Your threshold is 0.7 of the largest magnitude, so that nearly everything becomes 0. It is 0.7 of the mean magnitude.")
def share_of_the_maximum(w):
    kept = w.abs() > 0.7 * w.abs().max()
    return _mean_of(w, kept), torch.sign(w) * kept


@mistake("ternarize", "Your threshold is 0.05 of the largest magnitude. That is TTQ's, which learns its levels; here it is 0.7 of the "
         "mean magnitude.")
def threshold_of_ttq(w):
    kept = w.abs() > 0.05 * w.abs().max()
    return _mean_of(w, kept), torch.sign(w) * kept


@mistake("ternarize", "Your threshold is 0.7 itself, whatever the size of the weights. It is 0.7 times their mean magnitude.")
def fixed_threshold(w):
    kept = w.abs() > 0.7
    return _mean_of(w, kept), torch.sign(w) * kept


@mistake("ternarize", "Your threshold is the mean magnitude; the factor 0.7 is missing.")
def factor_missing(w):
    kept = _kept(w, 1.0)
    return _mean_of(w, kept), torch.sign(w) * kept


@mistake("ternarize", "You compared w with Δ, so that every negative weight became 0. Compare |w|.")
def asymmetric(w):
    kept = w > 0.7 * w.abs().mean()
    return _mean_of(w, kept), torch.sign(w) * kept


@mistake("ternarize", "Your threshold comes from the signed mean, in which both signs cancel, so nearly everything is kept. Take the mean "
         "of |w|.")
def threshold_of_the_signed_mean(w):
    kept = w.abs() > 0.7 * w.mean()
    return _mean_of(w, kept), torch.sign(w) * kept


@mistake("ternarize", "You took a threshold for positive and another for negative weights, but there is one α: one threshold, over all "
         "magnitudes, goes with it.")
def two_thresholds(w):
    p, n = w.clamp(min=0), (-w).clamp(min=0)
    kept = torch.where(w > 0, w > 0.7 * p.sum() / (p > 0).sum().clamp(min=1), -w > 0.7 * n.sum() / (n > 0).sum().clamp(min=1))
    return _mean_of(w, kept), torch.sign(w) * kept


@mistake("ternarize", "You kept the signs of all weights, so that no code is 0: these are binary weights. What lies within Δ becomes 0.")
def nothing_is_zero(w):
    return w.abs().mean(), torch.sign(w)


@mistake("ternarize", "Your codes lost their signs: they are 0 and 1. A negative weight has the code −1.")
def signs_lost(w):
    return _mean_of(w, _kept(w)), _kept(w).long()


@mistake("ternarize", "You averaged the kept weights with their signs, which cancel. α is the mean of their magnitudes.")
def signed_alpha(w):
    kept = _kept(w)
    return (w * kept).sum() / kept.sum().clamp(min=1), torch.sign(w) * kept


@mistake("ternarize", "You left the scale out: α is 1. It is the mean magnitude of the kept weights.")
def scale_of_one(w):
    return torch.tensor(1.0) if w.any() else torch.tensor(0.0), torch.sign(w) * _kept(w)


@mistake("ternarize", "Where nothing is kept, your α is NaN: the mean of nothing. It must be 0 there.")
def mean_of_nothing(w):
    kept = _kept(w)
    return w.abs()[kept].mean(), torch.sign(w) * kept


@mistake("ternarize", "You gave a scale for each row. Here one α serves the whole tensor.")
def alpha_per_row(w):
    kept = _kept(w)
    rows, marks = w.abs().reshape(len(w), -1), kept.reshape(len(w), -1)
    return (rows * marks).sum(1) / marks.sum(1).clamp(min=1), torch.sign(w) * kept


@mistake("ternarize", "You rounded w/α to −1, 0 or 1 with α the largest magnitude: a uniform grid, in which a bell falls into the 0. "
         "Choose α from the kept weights.")
def uniform_grid(w):
    alpha = w.abs().max()
    return alpha, torch.round(w / alpha.clamp(min=1e-30))


@mistake("ternarize", "You gave the weights α·codes as the second result. The codes are −1, 0 and 1.")
def codes_scaled(w):
    alpha = _mean_of(w, _kept(w))
    return alpha, alpha * torch.sign(w) * _kept(w)


@mistake("ternarize", "The results are right, but you changed w: work on a copy, or multiply.")
def zeroes_w(w):
    kept = _kept(w)
    w[~kept] = 0
    return w.abs().sum() / kept.sum().clamp(min=1), torch.sign(w)


def _ttq(g, codes, plus, zero, minus):
    return g * torch.where(codes > 0, plus, torch.where(codes < 0, minus, zero))


def _sums(g, codes):
    return g[codes == 1].sum(), g[codes == -1].sum()


@mistake("ttq_backward", "∂w_n lacks its minus. The forward pass has −w_n, so the chain rule gives −Σ g over the negative codes.")
def sign_of_w_n_lost(g, codes, w_p, w_n):
    return _ttq(g, codes, w_p, 1.0, w_n), *_sums(g, codes)


@mistake("ttq_backward", "You gave the gradients of both levels a minus. Only w_n stands with a minus in the forward pass.")
def both_negative(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return _ttq(g, codes, w_p, 1.0, w_n), -p, -n


@mistake("ttq_backward", "You gave weights with code 0 the gradient 0, so that they can never leave the zero level. Their factor is 1.")
def zero_region_dead(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return _ttq(g, codes, w_p, 0.0, w_n), p, -n


@mistake("ttq_backward", "You scaled the gradient of weights with code 0 by w_p. Their factor is 1.")
def zero_region_scaled_by_w_p(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return _ttq(g, codes, w_p, w_p, w_n), p, -n


@mistake("ttq_backward", "You scaled the gradient of weights with code 0 by w_n. Their factor is 1.")
def zero_region_scaled_by_w_n(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return _ttq(g, codes, w_p, w_n, w_n), p, -n


@mistake("ttq_backward", "You multiplied the gradients of negative codes by −w_n. In the scaled gradient of the paper both factors are "
         "positive.")
def factor_of_w_n_negative(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return _ttq(g, codes, w_p, 1.0, -w_n), p, -n


@mistake("ttq_backward", "You passed g on unchanged. The float weights get it scaled: by w_p where the code is 1, by w_n where it is −1.")
def not_scaled(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return g.clone(), p, -n


@mistake("ttq_backward", "You exchanged the levels: w_p belongs to the code 1, w_n to −1.")
def levels_exchanged(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return _ttq(g, codes, w_n, 1.0, w_p), p, -n


@mistake("ttq_backward", "You exchanged the gradients of the two levels: return grad_w, then that of w_p, then that of w_n.")
def gradients_exchanged(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return _ttq(g, codes, w_p, 1.0, w_n), -n, p


@mistake("ttq_backward", "You averaged over the weights of a level. A shared value's gradient is the sum over all its places.")
def means_for_sums(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return _ttq(g, codes, w_p, 1.0, w_n), p / (codes == 1).sum().clamp(min=1), -n / (codes == -1).sum().clamp(min=1)


@mistake("ttq_backward", "You divided the sums by the number of all weights. A shared value's gradient is the sum over all its places.")
def means_over_all(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return _ttq(g, codes, w_p, 1.0, w_n), p / g.numel(), -n / g.numel()


@mistake("ttq_backward", "The mean or the sum of an empty choice became NaN. Where no weight has the code, the gradient is 0.")
def nan_where_empty(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return _ttq(g, codes, w_p, 1.0, w_n), p if (codes == 1).any() else p / 0, -n if (codes == -1).any() else n / 0


@mistake("ttq_backward", "You summed the scaled gradients for the levels. The derivative by w_p is Σ g itself: w_p is not in it.")
def sums_of_scaled(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    return _ttq(g, codes, w_p, 1.0, w_n), w_p * p, -w_n * n


@mistake("ttq_backward", "You summed g by its own sign. Which level a weight has is said by its code.")
def by_the_sign_of_g(g, codes, w_p, w_n):
    return _ttq(g, codes, w_p, 1.0, w_n), g[g > 0].sum(), -g[g < 0].sum()


@mistake("ttq_backward", "The results are right, but you changed g: g *= … writes into the caller's tensor.")
def changes_g(g, codes, w_p, w_n):
    p, n = _sums(g, codes)
    g *= _ttq(torch.ones_like(g), codes, w_p, 1.0, w_n)
    return g, p, -n


def _straight(x, n):
    return x + (torch.round(n * x) / n - x).detach()


def _unit(w):
    t = torch.tanh(w)
    return t / (2 * t.abs().max()) + 0.5


def _weights(w, k):
    return 2 * _straight(_unit(w), 2**k - 1) - 1


def _activations(a, k):
    return _straight(a.clamp(0, 1), 2**k - 1)


@mistake("dorefa_weights", "You divided [0, 1] into 2^k steps. With k bits there are 2^k levels, and so 2^k − 1 steps.")
class StepsForLevels:
    def dorefa_weights(w, k):
        return 2 * _straight(_unit(w), 2**k) - 1

    def dorefa_activations(a, k):
        return _straight(a.clamp(0, 1), 2**k)


@mistake("dorefa_weights", "Your grid has 2^(k−1) − 1 steps, that of signed integers. Both grids have 2^k − 1, on [0, 1].")
class SignedSteps:
    def dorefa_weights(w, k):
        return 2 * _straight(_unit(w), 2**(k - 1) - 1) - 1

    def dorefa_activations(a, k):
        return _straight(a.clamp(0, 1), 2**(k - 1) - 1)


@mistake("dorefa_weights", "Gradients vanish at your rounding: torch.round has the gradient 0. Round in a detached term, so that the "
         "backward pass sees the identity.")
class RoundingStopsGradients:
    def dorefa_weights(w, k):
        return 2 * torch.round((2**k - 1) * _unit(w)) / (2**k - 1) - 1

    def dorefa_activations(a, k):
        return torch.round((2**k - 1) * a.clamp(0, 1)) / (2**k - 1)


@mistake("dorefa_weights", "Your results carry no gradient at all: detach(), no_grad() or numpy cut them off. Detach the rounding error "
         "only.")
class Detached:
    def dorefa_weights(w, k):
        return _weights(w.detach(), k)

    def dorefa_activations(a, k):
        return _activations(a.detach(), k)


@mistake("dorefa_weights", "You did not clip the activations: what is above 1 or below 0 stays there. min(max(a, 0), 1) comes first.")
class NoClip:
    dorefa_weights = _weights

    def dorefa_activations(a, k):
        return _straight(a, 2**k - 1)


@mistake("dorefa_weights", "Outside [0, 1] an activation's gradient is 0; you let it pass, because the clipping is in the detached part. "
         "Only the rounding is straight-through.")
class GradientThroughTheClip:
    dorefa_weights = _weights

    def dorefa_activations(a, k):
        return a + (_activations(a, k) - a).detach()


@mistake("dorefa_weights", "You clipped the activations to [−1, 1]. They lie in [0, 1].")
class ClippedToMinusOne:
    dorefa_weights = _weights

    def dorefa_activations(a, k):
        return _straight(a.clamp(-1, 1), 2**k - 1)


@mistake("dorefa_weights", "You cut off at 0 but not at 1: that is ReLU. Activations are clipped at both ends.")
class ReluOnly:
    dorefa_weights = _weights

    def dorefa_activations(a, k):
        return _straight(a.clamp(min=0), 2**k - 1)


@mistake("dorefa_weights", "You passed the gradient of the weights on unchanged. Only the rounding is straight-through; tanh and the "
         "division keep their derivatives.")
class IdentityForEverything:
    def dorefa_weights(w, k):
        return w + (_weights(w, k) - w).detach()

    dorefa_activations = _activations


@mistake("dorefa_weights", "You left out tanh: the weights are only divided by the largest. tanh comes first, in the weights and in the "
         "maximum.")
class NoTanh:
    def dorefa_weights(w, k):
        return 2 * _straight(w / (2 * w.abs().max()) + 0.5, 2**k - 1) - 1

    dorefa_activations = _activations


@mistake("dorefa_weights", "You divided by the largest |w|. The maximum is taken of |tanh w|, so that the largest weight reaches ±1.")
class MaximumOfTheWeights:
    def dorefa_weights(w, k):
        return 2 * _straight(torch.tanh(w) / (2 * w.abs().max()) + 0.5, 2**k - 1) - 1

    dorefa_activations = _activations


@mistake("dorefa_weights", "You did not divide by the maximum: the weights do not fill [0, 1].")
class NoMaximum:
    def dorefa_weights(w, k):
        return 2 * _straight(torch.tanh(w) / 2 + 0.5, 2**k - 1) - 1

    dorefa_activations = _activations


@mistake("dorefa_weights", "Your maximum is that of the signed values: where a negative weight is the largest, the grid is left. Take the "
         "largest magnitude.")
class SignedMaximum:
    def dorefa_weights(w, k):
        t = torch.tanh(w)
        return 2 * _straight(t / (2 * t.max()) + 0.5, 2**k - 1) - 1

    dorefa_activations = _activations


@mistake("dorefa_weights", "You took a maximum for each row. It is one for the whole tensor.")
class MaximumOfEachRow:
    def dorefa_weights(w, k):
        t = torch.tanh(w)
        return 2 * _straight(t / (2 * t.abs().amax(-1, keepdim=True)) + 0.5, 2**k - 1) - 1

    dorefa_activations = _activations


@mistake("dorefa_weights", "Your weights lie in [0, 1]: the last step, 2 · … − 1, is missing.")
class NotStretched:
    def dorefa_weights(w, k):
        return _straight(_unit(w), 2**k - 1)

    dorefa_activations = _activations


@mistake("dorefa_weights", "You rounded tanh(w)/max on the whole of [−1, 1], with twice as many steps. Quantize on [0, 1], then stretch.")
class RoundedAfterStretching:
    def dorefa_weights(w, k):
        return _straight(2 * _unit(w) - 1, 2**k - 1)

    dorefa_activations = _activations


@mistake("dorefa_weights", "You rounded down. Each value takes the nearest level.")
class Floor:
    def dorefa_weights(w, k):
        x, n = _unit(w), 2**k - 1
        return 2 * (x + (torch.floor(n * x) / n - x).detach()) - 1

    def dorefa_activations(a, k):
        x, n = a.clamp(0, 1), 2**k - 1
        return x + (torch.floor(n * x) / n - x).detach()


@mistake("dorefa_weights", "You multiplied by the grid, but did not divide again: your values are the numbers of the levels.")
class CodesForValues:
    def dorefa_weights(w, k):
        n = 2**k - 1
        return n * _straight(_unit(w), n)

    def dorefa_activations(a, k):
        n = 2**k - 1
        return n * _straight(a.clamp(0, 1), n)


@mistake("dorefa_weights", "Nothing is rounded in your answer: the values are scaled and clipped only.")
class NotRounded:
    def dorefa_weights(w, k):
        return 2 * _unit(w) - 1

    def dorefa_activations(a, k):
        return a.clamp(0, 1)


@mistake("dorefa_weights", "You took k = 2, whatever k is.")
class AlwaysTwoBits:
    def dorefa_weights(w, k):
        return _weights(w, 2)

    def dorefa_activations(a, k):
        return _activations(a, 2)


@mistake("dorefa_weights", "You treated the activations like weights, with tanh. They are clipped to [0, 1] and rounded there.")
class ActivationsThroughTanh:
    dorefa_weights = _weights
    dorefa_activations = _weights


def _exponents(w, rounding=torch.round):
    e = rounding(torch.log2(w.abs()))
    return e, rounding(torch.log2(w.abs().max()))


@mistake("power_of_two", "You took the logarithm of the signed weights: for a negative number it is NaN. Take log2 |w|, and give the sign "
         "back at the end.")
def logarithm_of_negatives(w, bits):
    e, highest = torch.round(torch.log2(w)), torch.round(torch.log2(w.abs().max()))
    return torch.sign(w) * 2.0**e.clamp(min=highest - 2**(bits - 1) + 2)


@mistake("power_of_two", "Your weights lost their signs. Multiply by sign(w).")
def sign_lost(w, bits):
    e, highest = _exponents(w)
    return torch.where(e >= highest - 2**(bits - 1) + 2, 2.0**e, 0.0)


@mistake("power_of_two", "A weight of 0 became NaN or a level: log2 0 is −∞. 0 stays 0.")
def zero_becomes_a_level(w, bits):
    e, highest = _exponents(torch.where(w == 0, 1.0, w))
    return torch.where(e >= highest - 2**(bits - 1) + 2, torch.where(w >= 0, 1.0, -1.0) * 2.0**e, 0.0)


@mistake("power_of_two", "A weight of 0 became NaN: 0 · ∞ or −∞ − (−∞) is none. 0 stays 0, also where all weights are 0.")
def nan_of_zero(w, bits):
    e, highest = _exponents(w)
    return torch.where(e - highest >= 2 - 2**(bits - 1), torch.sign(w) * 2.0**e, 0.0 * e * 0.0 if (w == 0).all() else 0.0)


@mistake("power_of_two", "You chose the power that is nearest in value. It is the exponent that is rounded: 1.45 becomes 2.")
def nearest_in_value(w, bits):
    e, highest = torch.floor(torch.log2(w.abs() * 4 / 3)), torch.round(torch.log2(w.abs().max()))
    return torch.where(e >= highest - 2**(bits - 1) + 2, torch.sign(w) * 2.0**e.clamp(max=highest), 0.0)


@mistake("power_of_two", "You rounded the weight, not the exponent: most weights are below ½ and became 0. Round log2 |w|.")
def value_rounded(w, bits):
    rounded = torch.round(w)
    e, highest = _exponents(rounded)
    return torch.where(e >= highest - 2**(bits - 1) + 2, torch.sign(rounded) * 2.0**e, 0.0)


@mistake("power_of_two", "You rounded the exponent down. It is rounded to the nearest integer.")
def exponent_floored(w, bits):
    e, highest = _exponents(w, torch.floor)
    return torch.where(e >= highest - 2**(bits - 1) + 2, torch.sign(w) * 2.0**e, 0.0)


@mistake("power_of_two", "You rounded the exponent up. It is rounded to the nearest integer.")
def exponent_raised(w, bits):
    e, highest = _exponents(w, torch.ceil)
    return torch.where(e >= highest - 2**(bits - 1) + 2, torch.sign(w) * 2.0**e, 0.0)


@mistake("power_of_two", "You truncated the exponent towards 0, as int() does: −1.47 became −1 by chance, −1.74 too. Round to the nearest "
         "integer.")
def exponent_truncated(w, bits):
    e, highest = _exponents(w, torch.trunc)
    return torch.where(e >= highest - 2**(bits - 1) + 2, torch.sign(w) * 2.0**e, 0.0)


@mistake("power_of_two", "Exponents below the lowest became the lowest, so that tiny weights grew. They become 0.")
def clamped_to_the_lowest(w, bits):
    e, highest = _exponents(w)
    return torch.sign(w) * 2.0**e.clamp(min=highest - 2**(bits - 1) + 2) if w.any() else torch.zeros_like(w)


@mistake("power_of_two", "You kept one exponent too many: from E down to E − 2^(bits−1) + 2 there are 2^(bits−1) − 1.")
def one_exponent_more(w, bits):
    e, highest = _exponents(w)
    return torch.where(e >= highest - 2**(bits - 1) + 1, torch.sign(w) * 2.0**e, 0.0)


@mistake("power_of_two", "You kept one exponent too few: the lowest one, E − 2^(bits−1) + 2, is a level.")
def one_exponent_less(w, bits):
    e, highest = _exponents(w)
    return torch.where(e > highest - 2**(bits - 1) + 2, torch.sign(w) * 2.0**e, 0.0)


@mistake("power_of_two", "You gave 2^bits − 1 exponents. A bit is needed for the sign: there are 2^(bits−1) − 1 exponents.")
def no_bit_for_the_sign(w, bits):
    e, highest = _exponents(w)
    return torch.where(e >= highest - 2**bits + 2, torch.sign(w) * 2.0**e, 0.0)


@mistake("power_of_two", "You left out the lower end: weights of any smallness stay. Below E − 2^(bits−1) + 2 they become 0.")
def no_lowest(w, bits):
    e, _ = _exponents(w)
    return torch.sign(w) * 2.0**e


@mistake("power_of_two", "Your exponents end at 0, as if the largest weight were 1. They hang from E, the exponent of the largest weight.")
def highest_is_zero(w, bits):
    e, _ = _exponents(w)
    return torch.where(e >= 2 - 2**(bits - 1), torch.sign(w) * 2.0**e, 0.0)


@mistake("power_of_two", "You took the largest weight instead of the largest magnitude for E; it may be negative.")
def largest_signed(w, bits):
    e, highest = torch.round(torch.log2(w.abs())), torch.round(torch.log2(w.max().clamp(min=0)))
    return torch.where(e >= highest - 2**(bits - 1) + 2, torch.sign(w) * 2.0**e, 0.0)


@mistake("power_of_two", "You took E from the logarithm without rounding it, or rounded it down. E is rounded to nearest, like every "
         "exponent.")
def highest_floored(w, bits):
    e, highest = torch.round(torch.log2(w.abs())), torch.floor(torch.log2(w.abs().max()))
    return torch.where(e >= highest - 2**(bits - 1) + 2, torch.sign(w) * 2.0**torch.minimum(e, highest), 0.0)


@mistake("power_of_two", "Your E is the exponent of the power nearest in value to the largest magnitude. E rounds the "
         "logarithm, like every exponent: a largest magnitude of 1.46 gives log2 1.46 = 0.55, so E = 1 and not 0.")
def highest_nearest_in_value(w, bits):
    e, highest = torch.round(torch.log2(w.abs())), torch.floor(torch.log2(w.abs().max() * 4 / 3))
    return torch.where(e >= highest - 2**(bits - 1) + 2, torch.sign(w) * 2.0**e, 0.0)


@mistake("power_of_two", "You took the natural logarithm. The exponents are those of 2.")
def natural_logarithm(w, bits):
    e, highest = torch.round(torch.log(w.abs())), torch.round(torch.log(w.abs().max()))
    return torch.where(e >= highest - 2**(bits - 1) + 2, torch.sign(w) * 2.0**e, 0.0)


@mistake("power_of_two", "You gave the exponents. The result is the weights: sign(w) · 2^e.")
def exponents_given(w, bits):
    e, highest = _exponents(w)
    return torch.where(e >= highest - 2**(bits - 1) + 2, e, 0.0)


def _inq(w, frozen, fraction, order=lambda flat, free: flat[free].abs().argsort(descending=True), count=lambda fraction, free, n: round(fraction * free),
         highest=lambda s: math.floor(math.log2(4 * s / 3)), exponents=8, zero=True, scale=lambda flat, done: flat.abs().max(), requantize=False,
         nearest=None, checked=True):
    """One step of INQ in which everything can be done otherwise."""
    if checked and not 0 <= fraction <= 1:
        raise ValueError
    flat, done = w.flatten().clone(), frozen.flatten().clone()
    s = scale(flat, done).item()
    top = highest(s) if s > 0 else 0
    levels = torch.tensor([0.0] * zero + [2.0**n for n in range(top - exponents + 1, top + 1)]) if s > 0 else torch.zeros(1)
    free = (~done).nonzero().squeeze(1)
    chosen = free[order(flat, free)[:count(fraction, len(free), len(flat))]]
    done[chosen] = True
    moved = done if requantize else chosen
    size = flat[moved].abs()
    value = nearest(size, levels) if nearest else levels[(size[:, None] - levels).abs().argmin(1)]
    flat[moved] = torch.sign(flat[moved]) * value
    return flat.reshape(w.shape), done.reshape(w.shape)


@mistake("inq_step", "You froze the smallest weights first. The largest matter most: they are quantized first, and the small ones make up "
         "for it.")
def smallest_first(w, frozen, fraction):
    return _inq(w, frozen, fraction, order=lambda flat, free: flat[free].abs().argsort())


@mistake("inq_step", "You ranked signed weights, so that large negative ones came last. Rank magnitudes.")
def ranked_with_signs(w, frozen, fraction):
    return _inq(w, frozen, fraction, order=lambda flat, free: flat[free].argsort(descending=True))


@mistake("inq_step", "You drew the weights to freeze by chance. The largest are chosen.")
def chosen_by_chance(w, frozen, fraction):
    return _inq(w, frozen, fraction, order=lambda flat, free: torch.randperm(len(free)))


@mistake("inq_step", "You froze the first weights of the tensor. The largest are chosen.")
def first_of_the_tensor(w, frozen, fraction):
    return _inq(w, frozen, fraction, order=lambda flat, free: torch.arange(len(free)))


@mistake("inq_step", "You put the frozen weights on the grid again, and some moved. A frozen weight stays exactly as it is.")
def frozen_move(w, frozen, fraction):
    return _inq(w, frozen, fraction, requantize=True)


@mistake("inq_step", "You took the fraction of all weights. It is a share of those that are still free.")
def fraction_of_all(w, frozen, fraction):
    return _inq(w, frozen, fraction, count=lambda fraction, free, n: round(fraction * n))


@mistake("inq_step", "You took the fraction as the share that is frozen when the step is over. It is a share of the weights that are "
         "still free.")
def fraction_when_over(w, frozen, fraction):
    return _inq(w, frozen, fraction, count=lambda fraction, free, n: max(0, round(fraction * n) - (n - free)))


@mistake("inq_step", "You rounded the number of weights down. It is round(fraction * free): 3.75 gives 4.")
def count_floored(w, frozen, fraction):
    return _inq(w, frozen, fraction, count=lambda fraction, free, n: int(fraction * free))


@mistake("inq_step", "You rounded half a weight up. Python's round takes a half to the even number: round(2.5) is 2.")
def count_half_up(w, frozen, fraction):
    return _inq(w, frozen, fraction, count=lambda fraction, free, n: int(fraction * free + 0.5))


@mistake("inq_step", "You took s over the free weights only. It is the largest magnitude of all, frozen ones included.")
def scale_of_the_free(w, frozen, fraction):
    return _inq(w, frozen, fraction, scale=lambda flat, done: (flat.abs() * ~done).max())


@mistake("inq_step", "You took the largest weight for s. It is the largest magnitude; the largest weight may be negative.")
def scale_signed(w, frozen, fraction):
    return _inq(w, frozen, fraction, scale=lambda flat, done: flat.max())


@mistake("inq_step", "You took n₁ = floor(log2 s): the factor 4/3 is missing, so a largest weight of 0.9 would become 0.5.")
def four_thirds_missing(w, frozen, fraction):
    return _inq(w, frozen, fraction, highest=lambda s: math.floor(math.log2(s)))


@mistake("inq_step", "Your lowest level is one power too high: n₁ is log2(4s/3) rounded down, and there are eight exponents, n₁ down to "
         "n₁ − 7.")
def highest_raised(w, frozen, fraction):
    return _inq(w, frozen, fraction, highest=lambda s: math.ceil(math.log2(4 * s / 3)))


@mistake("inq_step", "You took n₁ = round(log2 s). It is floor(log2(4s/3)), which goes up from 1.5 on, not from √2: s = 1.45 gives n₁ = 0.")
def logarithm_rounded(w, frozen, fraction):
    return _inq(w, frozen, fraction, highest=lambda s: round(math.log2(s)))


@mistake("inq_step", "You kept one exponent too many. With 5 bits there are eight: n₁ down to n₁ − 7.")
def nine_exponents(w, frozen, fraction):
    return _inq(w, frozen, fraction, exponents=9)


@mistake("inq_step", "You took sixteen exponents. One of the 5 bits says 0 or not, one is the sign: eight exponents are left.")
def sixteen_exponents(w, frozen, fraction):
    return _inq(w, frozen, fraction, exponents=16)


@mistake("inq_step", "0 is no level in your answer, so that tiny weights grow to the smallest power. 0 is a level.")
def zero_missing(w, frozen, fraction):
    return _inq(w, frozen, fraction, zero=False)


@mistake("inq_step", "You rounded the exponent. INQ takes the level nearest in value: 1.45 becomes 1, although its logarithm, "
         "0.54, rounds to 1, which is the level 2.")
def nearest_in_the_logarithm(w, frozen, fraction):
    def nearest(size, levels):
        e = torch.round(torch.log2(size.clamp(min=1e-30))).clamp(max=math.log2(levels.max()) if levels.max() > 0 else 0)
        return torch.where(size < levels[1] / 2, 0.0, torch.maximum(2.0**e, levels[1])) if len(levels) > 1 else torch.zeros_like(size)
    return _inq(w, frozen, fraction, nearest=nearest)


@mistake("inq_step", "You rounded magnitudes down to the next level. Each takes the nearest.")
def rounded_down(w, frozen, fraction):
    return _inq(w, frozen, fraction, nearest=lambda size, levels: levels[(torch.searchsorted(levels, size, right=True) - 1).clamp(min=0)])


@mistake("inq_step", "Your new frozen holds only what this step froze. Weights that were frozen before stay frozen.")
def only_the_new(w, frozen, fraction):
    new, now = _inq(w, frozen, fraction)
    return new, now & ~frozen


@mistake("inq_step", "You put all weights on the grid. Free weights keep their values, so that retraining can move them.")
def everything_quantized(w, frozen, fraction):
    new, now = _inq(w, frozen, fraction)
    return torch.where(frozen, w, _inq(w, frozen, 1.0)[0]), now


@mistake("inq_step", "You marked the weights as frozen, but did not quantize them.")
def not_quantized(w, frozen, fraction):
    return w.clone(), _inq(w, frozen, fraction)[1]


@mistake("inq_step", "Your quantized weights lost their signs.")
def signs_gone(w, frozen, fraction):
    new, now = _inq(w, frozen, fraction)
    return torch.where(now & ~frozen, new.abs(), new), now


@mistake("inq_step", "You changed the arguments. Both results are new tensors: start from clone().")
def in_place(w, frozen, fraction):
    new, now = _inq(w, frozen, fraction)
    w.copy_(new)
    frozen.copy_(now)
    return w, frozen


@mistake("inq_step", "You gave the argument itself back where nothing had to be done. Both results are new tensors: start from clone().")
def argument_given_back(w, frozen, fraction):
    new, now = _inq(w, frozen, fraction)
    return (w, frozen) if torch.equal(now, frozen) else (new, now)


@mistake("inq_step", "You gave the weights alone. The next step needs to know what is frozen: return (w, frozen).")
def weights_alone(w, frozen, fraction):
    return _inq(w, frozen, fraction)[0]


@mistake("inq_step", "Where all weights are 0 you took the logarithm of 0. Then 0 is the only level.")
def logarithm_of_zero(w, frozen, fraction):
    if not 0 <= fraction <= 1:
        raise ValueError
    math.log2(4 * w.abs().max().item() / 3)
    return _inq(w, frozen, fraction)


@mistake("inq_step", "A fraction outside [0, 1] must raise ValueError; yours is taken silently.")
def any_fraction(w, frozen, fraction):
    return _inq(w, frozen, min(max(fraction, 0), 1))


@mistake("inq_step", "Your frozen is made of numbers. It is boolean.")
def frozen_as_numbers(w, frozen, fraction):
    new, now = _inq(w, frozen, fraction)
    return new, now.float()


def _down(start_bits, end_bits, epochs):
    return [max(start_bits - t, end_bits) for t in range(epochs)]


@mistake("gradual_schedule", "Your widths rise. Training starts with many bits and ends with few.")
def rising(start_bits, end_bits, epochs):
    return _down(start_bits, end_bits, epochs)[::-1]


@mistake("gradual_schedule", "You jump from the first width to the last. Every width on the way gets an epoch.")
def one_jump(start_bits, end_bits, epochs):
    return [start_bits] * (epochs // 2) + [end_bits] * (epochs - epochs // 2)


@mistake("gradual_schedule", "You halve the width, as from 8 to 4 to 2. Here no width on the way is skipped.")
def halving(start_bits, end_bits, epochs):
    widths = [start_bits]
    while widths[-1] > end_bits:
        widths.append(max(widths[-1] // 2, end_bits))
    return (widths + [end_bits] * epochs)[:epochs]


@mistake("gradual_schedule", "You shared the epochs among the steps between the widths, so that the last width gets none. There is one "
         "width more than steps.")
def never_arrives(start_bits, end_bits, epochs):
    return [start_bits - t * (start_bits - end_bits) // epochs for t in range(epochs)]


@mistake("gradual_schedule", "You lower the width by one in every epoch and go on below end_bits. There it stays.")
def below_the_end(start_bits, end_bits, epochs):
    return [start_bits - t for t in range(epochs)]


@mistake("gradual_schedule", "Your list ends when end_bits is reached. It has an entry for each epoch.")
def too_short(start_bits, end_bits, epochs):
    return list(range(start_bits, end_bits - 1, -1))


@mistake("gradual_schedule", "Your list stops before end_bits: range() leaves out its end.")
def end_left_out(start_bits, end_bits, epochs):
    widths = list(range(start_bits, end_bits, -1)) or [start_bits]
    return widths + [widths[-1]] * (epochs - len(widths))


@mistake("gradual_schedule", "The first epoch already has a bit less. It has start_bits.")
def starts_one_lower(start_bits, end_bits, epochs):
    return [max(start_bits - t - 1, end_bits) for t in range(epochs)]


@mistake("gradual_schedule", "Your list has one entry too many: one for each epoch, and the start besides. The start is the first epoch's.")
def one_entry_more(start_bits, end_bits, epochs):
    return _down(start_bits, end_bits, epochs + 1)


@mistake("gradual_schedule", "Your widths are fractions. A width is a whole number of bits.")
def fractions_of_bits(start_bits, end_bits, epochs):
    return np.linspace(start_bits, end_bits, epochs)


@mistake("gradual_schedule", "All epochs have the last width. A gradual schedule starts from start_bits.")
def last_width_only(start_bits, end_bits, epochs):
    return [end_bits] * epochs


@mistake("gradual_schedule", "All epochs but the last have the first width, so those in between are skipped.")
def late_jump(start_bits, end_bits, epochs):
    return [start_bits] * (epochs - 1) + [end_bits]


def _lloyd(values, codebook, rounds=1000, empty=None):
    for _ in range(rounds):
        nearest = (values[:, None] - codebook).abs().argmin(1)
        sums = torch.zeros(len(codebook)).index_add(0, nearest, values)
        counts = torch.bincount(nearest, minlength=len(codebook))
        means = torch.where(counts > 0, sums / counts.clamp(min=1), codebook if empty is None else empty)
        if torch.equal(means, codebook):
            break
        codebook = means
    return codebook


def _share(w, k, make, zeros_too=False, zero_label=-1):
    """Labels by the nearest of the entries that `make` gives for the weights that are clustered."""
    chosen = torch.ones_like(w, dtype=torch.bool) if zeros_too else w != 0
    values, labels = w[chosen], torch.full(w.shape, zero_label)
    if not len(values):
        return torch.zeros(k), labels
    codebook = make(values)
    labels[chosen] = (values[:, None] - codebook).abs().argmin(1)
    return codebook, labels


def _linear(values, k):
    return torch.linspace(values.min(), values.max(), k)


@mistake("kmeans_quantize", "Your codebook is drawn from the weights by chance and never moves. Repeat assignment and mean until nothing "
         "changes.")
def random_codebook(w, k):
    return _share(w, k, lambda v: v[torch.randint(len(v), (k,))])


@mistake("kmeans_quantize", "You drew random numbers for the codebook. It must follow the weights: start at equal distances, then repeat "
         "assignment and mean.")
def random_numbers(w, k):
    return _share(w, k, lambda v: torch.randn(k))


@mistake("kmeans_quantize", "Your entries stay at equal distances: that is a uniform grid. Move each to the mean of its weights, and repeat.")
def linear_only(w, k):
    return _share(w, k, lambda v: _linear(v, k))


@mistake("kmeans_quantize", "You moved the entries to their means once. Assign again and repeat, until nothing changes.")
def one_round(w, k):
    return _share(w, k, lambda v: _lloyd(v, _linear(v, k), rounds=1))


@mistake("kmeans_quantize", "You took quantiles for the codebook, as many weights on each entry. Weights on the tails are rounded badly; "
         "k-means gives less error.")
def quantiles(w, k):
    return _share(w, k, lambda v: torch.quantile(v, (torch.arange(k) + 0.5) / k))


@mistake("kmeans_quantize", "Your entries start far outside the weights, and most of them never get one. Start between the smallest and "
         "the largest weight.")
def starts_outside(w, k):
    return _share(w, k, lambda v: _lloyd(v, torch.linspace(-3 * v.abs().max(), 3 * v.abs().max(), k)))


@mistake("kmeans_quantize", "You clustered the zeros too, so that pruned weights come back with a value. They get the label −1 and take "
         "no part.")
def zeros_clustered(w, k):
    return _share(w, k, lambda v: _lloyd(v, _linear(v, k)), zeros_too=True)


@mistake("kmeans_quantize", "You gave pruned weights the label 0, which is an entry of the codebook. Their label is −1.")
def zeros_labelled_zero(w, k):
    return _share(w, k, lambda v: _lloyd(v, _linear(v, k)), zero_label=0)


@mistake("kmeans_quantize", "You gave pruned weights the label k. Their label is −1.")
def zeros_labelled_k(w, k):
    return _share(w, k, lambda v: _lloyd(v, _linear(v, k)), zero_label=k)


@mistake("kmeans_quantize", "The zeros took part in the clustering: they have the label −1, but they pulled an entry towards 0.")
def zeros_pull(w, k):
    return _share(w, k, lambda v: _lloyd(w.flatten(), _linear(w.flatten(), k)))


@mistake("kmeans_quantize", "Your labels are not those of the nearest entries: you sorted the codebook after the labels were given, or "
         "moved it once more. Label last.")
def labels_of_another_order(w, k):
    codebook, labels = _share(w, k, lambda v: _lloyd(v, _linear(v, k)))
    return codebook.flip(0), labels


@mistake("kmeans_quantize", "An entry without weights became NaN: the mean of nothing. It stays where it is.")
def empty_is_nan(w, k):
    values, labels = w[w != 0], torch.full(w.shape, -1)
    if not len(values):
        return torch.zeros(k), labels
    codebook = _lloyd(values, _linear(values, k))
    nearest = (values[:, None] - codebook).abs().argmin(1)
    labels[w != 0] = nearest
    counts = torch.bincount(nearest, minlength=k)
    return torch.where(counts > 0, codebook, float("nan")), labels


@mistake("kmeans_quantize", "Your codebook has fewer than k entries where few values occur. It always has k.")
def entries_dropped(w, k):
    codebook, labels = _share(w, k, lambda v: _lloyd(v, _linear(v, k)))
    used, numbers = torch.unique(labels[labels >= 0], return_inverse=True)
    labels[labels >= 0] = numbers
    return codebook[used], labels


@mistake("kmeans_quantize", "You gave the weights themselves as the second result. It is the labels: the numbers of the entries.")
def values_for_labels(w, k):
    codebook, labels = _share(w, k, lambda v: _lloyd(v, _linear(v, k)))
    return codebook, torch.where(labels >= 0, codebook[labels], 0.0)


@mistake("kmeans_quantize", "Your labels are floats. They number the entries: integers.")
def float_labels(w, k):
    codebook, labels = _share(w, k, lambda v: _lloyd(v, _linear(v, k)))
    return codebook, labels.float()


@mistake("kmeans_quantize", "Your labels are a vector. They have the shape of w.")
def flat_labels(w, k):
    codebook, labels = _share(w, k, lambda v: _lloyd(v, _linear(v, k)))
    return codebook, labels.flatten()[:max(1, w.numel() - 1)]


@mistake("kmeans_quantize", "You gave labels for the weights that are not 0 only. Pruned weights have a label too, −1.")
def labels_of_the_kept(w, k):
    codebook, labels = _share(w, k, lambda v: _lloyd(v, _linear(v, k)))
    return codebook, labels[labels >= 0]


@mistake("kmeans_quantize", "Labels in an unsigned integer cannot hold −1: it became 255. Use a signed integer.")
def unsigned_labels(w, k):
    codebook, labels = _share(w, k, lambda v: _lloyd(v, _linear(v, k)))
    return codebook, labels.to(torch.uint8)


@mistake("kmeans_quantize", "You took weights that are nearly 0 for pruned. Only what is exactly 0 gets the label −1.")
def nearly_zero_is_pruned(w, k):
    return _share(torch.where(w.abs() < 1e-6, 0.0, w), k, lambda v: _lloyd(v, _linear(v, k)))


@mistake("kmeans_quantize", "You made 2^k entries. k is the number of entries, not of bits.")
def k_as_bits(w, k):
    return _share(w, k, lambda v: _lloyd(v, _linear(v, 2**k)))


@mistake("kmeans_quantize", "You clustered the magnitudes, so that a negative weight gets a positive value. Cluster the weights with "
         "their signs.")
def magnitudes_clustered(w, k):
    codebook, labels = _share(w.abs(), k, lambda v: _lloyd(v, _linear(v, k)))
    return codebook, labels


@mistake("kmeans_quantize", "Where all weights are 0 you asked for the minimum of nothing. Then all labels are −1, and any k finite "
         "numbers will do.")
def nothing_to_cluster(w, k):
    w[w != 0].min()
    return _share(w, k, lambda v: _lloyd(v, _linear(v, k)))


@mistake("codebook_gradient", "You averaged over the members. A shared value occurs in every one of them: its gradient is the sum.")
def mean_of_members(g, labels, k):
    sums = torch.zeros(k).index_add(0, labels[labels >= 0], g[labels >= 0])
    return sums / torch.bincount(labels[labels >= 0], minlength=k).clamp(min=1)


@mistake("codebook_gradient", "The mean over an entry without members became NaN, and for the others the mean is wrong too: the gradient "
         "is the sum.")
def nan_without_members(g, labels, k):
    return torch.stack([g[labels == j].mean() for j in range(k)])


@mistake("codebook_gradient", "Pruned weights went into the last entry: −1 is a position in Python. Leave them out.")
def pruned_in_the_last(g, labels, k):
    grad = np.zeros(k, dtype=np.float32)
    np.add.at(grad, labels.numpy(), g.numpy())
    return grad


@mistake("codebook_gradient", "Pruned weights went into entry 0. They belong to none.")
def pruned_in_the_first(g, labels, k):
    return torch.zeros(k).index_add(0, labels.flatten().clamp(min=0), g.flatten())


@mistake("codebook_gradient", "Every entry got the gradient of one of its weights only: grad[labels] += g writes each position once. Add "
         "them all up.")
def written_once(g, labels, k):
    grad, kept = torch.zeros(k), labels >= 0
    grad[labels[kept]] += g[kept]
    return grad


@mistake("codebook_gradient", "You gave a number for each label that occurs. The result has k entries, and those without members get 0.")
def only_those_that_occur(g, labels, k):
    return torch.stack([g[labels == j].sum() for j in torch.unique(labels[labels >= 0])]) if (labels >= 0).any() else torch.zeros(0)


@mistake("codebook_gradient", "Your result ends with the largest label that occurs. It has k entries.")
def ends_early(g, labels, k):
    kept = labels >= 0
    return np.bincount(labels[kept].numpy(), weights=g[kept].numpy())


@mistake("codebook_gradient", "You gave each weight the gradient of its entry. The result has one number for each entry: shape (k,).")
def spread_over_the_weights(g, labels, k):
    sums = torch.zeros(k).index_add(0, labels[labels >= 0], g[labels >= 0])
    return torch.where(labels >= 0, sums[labels], 0.0)


@mistake("codebook_gradient", "You added up magnitudes, so that gradients of both signs cannot cancel. Sum g with its sign.")
def magnitudes_added(g, labels, k):
    return torch.zeros(k).index_add(0, labels[labels >= 0], g[labels >= 0].abs())


@mistake("codebook_gradient", "You counted the members. The gradient is the sum of their g.")
def members_counted(g, labels, k):
    return torch.bincount(labels[labels >= 0], minlength=k).float()


@mistake("codebook_gradient", "Your gradient has the wrong sign: it is the gradient, not the step against it.")
def step_for_gradient(g, labels, k):
    return -torch.zeros(k).index_add(0, labels[labels >= 0], g[labels >= 0])


@mistake("codebook_gradient", "You divided the sums by the number of all weights. The gradient is the plain sum.")
def divided_by_everything(g, labels, k):
    return torch.zeros(k).index_add(0, labels[labels >= 0], g[labels >= 0]) / g.numel()


@mistake("codebook_gradient", "Your result has an entry for the pruned weights too: k + 1 numbers. They are left out.")
def entry_for_the_pruned(g, labels, k):
    return torch.zeros(k + 1).index_add(0, labels.flatten() + 1, g.flatten())


@mistake("codebook_gradient", "The result is right, but you changed an argument: g[labels < 0] = 0 or labels += 1 writes into the "
         "caller's tensor.")
def changes_its_arguments(g, labels, k):
    g[labels < 0] = 0
    return torch.zeros(k).index_add(0, labels.flatten().clamp(min=0), g.flatten())
