"""Wrong answers to the exercises of 07, each with what to tell a student who gave it."""
import itertools
import math

import torch
from torch import nn
import torch.nn.functional as F

from autograder.mistakes import mistake


def _with_slopes(value, *terms):
    """`value`, with the derivative `slope` with respect to each `variable` of the terms (variable, slope)."""
    value = value.detach()
    for variable, slope in terms:
        value = value + (variable - variable.detach()) * slope
    return value


@mistake("ste_round", "The value is right, but no gradient comes through: the derivative of torch.round is 0 everywhere. Take the "
         "rounding out of "
         "autograd's sight: x + (x.round() - x).detach().")
def gradient_of_the_staircase(x):
    return x.round()


@mistake("ste_round", "You detached all of it, so that x does not take part in the result any more. Detach the correction round(x) - x "
         "only, and add it to x.")
def detached(x):
    return x.detach().round()


@mistake("ste_round", "You rounded down. Rounding is to the nearest whole number: torch.round.")
def floor(x):
    return x + (x.floor() - x).detach()


@mistake("ste_round", "You cut the fraction off, which rounds towards 0. Rounding is to the nearest whole number: torch.round.")
def truncated(x):
    return x + (x.trunc() - x).detach()


@mistake("ste_round", "You rounded halves upwards (or away from 0). They go to the even neighbour, as torch.round does it: 0.5 gives "
         "0, 2.5 gives 2.")
def halves_up(x):
    return x + ((x + 0.5).floor() - x).detach()


@mistake("ste_round", "You rounded halves away from 0. They go to the even neighbour, as torch.round does it: 0.5 gives 0, 2.5 gives 2.")
def halves_away(x):
    return x + (x.sign() * (x.abs() + 0.5).floor() - x).detach()


@mistake("ste_round", "The gradient is right, but the value is x itself: nothing was rounded. Did you detach the wrong part?")
def not_rounded(x):
    return x.round() + (x - x.round()).detach() + (x - x.detach())


@mistake("ste_round", "You stopped the gradient where |x| > 1, as is done for binary activations. Here it passes whatever the size of x.")
def clipped_gradient(x):
    return _with_slopes(x.round(), (x, (x.detach().abs() <= 1).float()))


@mistake("ste_round", "Forward you round, but the gradient is multiplied by the rounded value (or by x). It passes unchanged, as if y "
         "were x.")
def gradient_times_value(x):
    return _with_slopes(x.round(), (x, x.detach().round()))


@mistake("ste_round", "You rounded x in place, so that the caller's tensor is changed. Make a new one.")
def rounds_its_input(x):
    y = x + (x.round() - x).detach()
    x.data.round_()
    return y


def _codes(x, s, z):
    return (x.detach() / float(s)).round() + z


def _ends(bits):
    return -2 ** (bits - 1), 2 ** (bits - 1) - 1


def _fake(x, s, z, bits, slope):
    """The right value with the derivative slope(codes, low, high)."""
    low, high = _ends(bits)
    codes = _codes(x, s, z)
    return _with_slopes(float(s) * (codes.clamp(low, high) - z), (x, slope(codes, low, high)))


@mistake("fake_quantize", "You let the gradient through everywhere. Beyond the end codes the value is clipped and moves no more: "
         "gradient 0 there.")
def gradient_outside_too(x, s, z, bits):
    return _fake(x, s, z, bits, lambda codes, low, high: 1.0)


@mistake("fake_quantize", "Your gradient is smaller by the factor s. The forward pass divides by s and multiplies by it again, so "
         "nothing is left of it.")
def gradient_times_scale(x, s, z, bits):
    return _fake(x, s, z, bits, lambda codes, low, high: s * ((codes >= low) & (codes <= high)).float())


@mistake("fake_quantize", "Your gradient is divided by s: the way back from the codes, the multiplication by s, is missing in it.")
def gradient_over_scale(x, s, z, bits):
    return _fake(x, s, z, bits, lambda codes, low, high: ((codes >= low) & (codes <= high)).float() / float(s))


@mistake("fake_quantize", "No gradient comes through: rounding has derivative 0 everywhere. It needs the straight-through estimator of "
         "exercise 1.")
def gradient_zero(x, s, z, bits):
    return _fake(x, s, z, bits, lambda codes, low, high: 0.0)


@mistake("fake_quantize", "You took the end codes for clipped. A value whose code is the first or last of the grid is on it: gradient 1.")
def end_codes_without_gradient(x, s, z, bits):
    return _fake(x, s, z, bits, lambda codes, low, high: ((codes > low) & (codes < high)).float())


@mistake("fake_quantize", "You gave s a gradient: with a scale that is a tensor, it flows through the division and the product. Take "
         "float(s) or s.detach().")
def gradient_to_the_scale(x, s, z, bits):
    low, high = _ends(bits)
    u = x / s
    return s * ((u + (u.round() - u).detach() + z).clamp(low, high) - z)


@mistake("fake_quantize", "You did not clamp the codes, so that values beyond the range are kept as they are. A grid of b bits has "
         "2**b codes.")
def no_clamp(x, s, z, bits):
    return _with_slopes(float(s) * (_codes(x, s, z) - z), (x, 1.0))


@mistake("fake_quantize", "You used the symmetric grid, which leaves out the lowest code. The affine grid begins at -2**(bits - 1).")
def symmetric_grid(x, s, z, bits):
    low, high = _ends(bits)
    codes = _codes(x, s, z)
    return _with_slopes(float(s) * (codes.clamp(low + 1, high) - z), (x, ((codes >= low + 1) & (codes <= high)).float()))


@mistake("fake_quantize", "You used the grid from 0 to 2**bits - 1. The affine grid of this course is signed: -2**(bits - 1) to "
         "2**(bits - 1) - 1.")
def unsigned_grid(x, s, z, bits):
    codes, high = _codes(x, s, z), 2 ** bits - 1
    return _with_slopes(float(s) * (codes.clamp(0, high) - z), (x, ((codes >= 0) & (codes <= high)).float()))


@mistake("fake_quantize", "You clamped x/s without the zero point (it comes too late, or not at all), so that the range is shifted by z. "
         "Add z first: the codes must lie on the grid.")
def clamped_before_the_zero_point(x, s, z, bits):
    low, high = _ends(bits)
    codes = (x.detach() / float(s)).round()
    return _with_slopes(float(s) * codes.clamp(low, high), (x, ((codes >= low) & (codes <= high)).float()))


@mistake("fake_quantize", "You added the zero point but did not take it away again, so that 0 does not come back as 0: y = s·(q − z).")
def zero_point_kept(x, s, z, bits):
    low, high = _ends(bits)
    codes = _codes(x, s, z)
    return _with_slopes(float(s) * codes.clamp(low, high), (x, ((codes >= low) & (codes <= high)).float()))


@mistake("fake_quantize", "You subtracted the zero point where it is added, and the other way round: q = round(x/s) + z, y = s·(q − z).")
def zero_point_sign(x, s, z, bits):
    return _fake(x, s, -z, bits, lambda codes, low, high: ((codes >= low) & (codes <= high)).float())


@mistake("fake_quantize", "You returned the codes. Fake quantization goes back to real values at once: y = s·(q − z).")
def codes_returned(x, s, z, bits):
    low, high = _ends(bits)
    codes = _codes(x, s, z)
    return _with_slopes(codes.clamp(low, high), (x, ((codes >= low) & (codes <= high)).float() / float(s)))


@mistake("fake_quantize", "You rounded down. Codes are those of the nearest values: torch.round.")
def codes_rounded_down(x, s, z, bits):
    low, high = _ends(bits)
    codes = (x.detach() / float(s)).floor() + z
    return _with_slopes(float(s) * (codes.clamp(low, high) - z), (x, ((codes >= low) & (codes <= high)).float()))


@mistake("fake_quantize", "The grid is fixed at 8 bits; it follows from the argument bits.")
def eight_bits_always(x, s, z, bits):
    return _fake(x, s, z, 8, lambda codes, low, high: ((codes >= low) & (codes <= high)).float())


def _lsq(x, s, bits, value=None, of_x=None, of_s=None, g=None, q_n=None):
    """LSQ with one part exchanged: each is a function of v = x/s, Q_N and Q_P, but g, which is a number."""
    q_n, q_p = q_n or 2 ** (bits - 1), 2 ** (bits - 1) - 1
    v = (x / s).detach()
    inside = (v > -q_n) & (v < q_p)
    codes = v.clamp(-q_n, q_p).round() if value is None else value(v, q_n, q_p)
    slope_s = torch.where(inside, v.round() - v, v.clamp(-q_n, q_p)) if of_s is None else of_s(v, q_n, q_p)
    slope_x = inside.float() if of_x is None else of_x(v, q_n, q_p)
    g = 1 / math.sqrt(x.numel() * q_p) if g is None else g
    return _with_slopes(codes * s, (x, slope_x), (s, g * slope_s))


@mistake("lsq", "You left out the gradient scale: the gradient of s must be multiplied by 1/√(N·Q_P).")
def no_gradient_scale(x, s, bits):
    return _lsq(x, s, bits, g=1.0)


@mistake("lsq", "You multiplied by √(N·Q_P). The gradient scale makes the gradient of s smaller: 1/√(N·Q_P).")
def gradient_scale_inverted(x, s, bits):
    return _lsq(x, s, bits, g=math.sqrt(x.numel() * (2 ** (bits - 1) - 1)))


@mistake("lsq", "The gradient scale has Q_P in it, the largest code, 2**(bits - 1) - 1; you took Q_N, or the number of codes.")
def gradient_scale_of_q_n(x, s, bits):
    return _lsq(x, s, bits, g=1 / math.sqrt(x.numel() * 2 ** (bits - 1)))


@mistake("lsq", "You left out the root: the gradient scale is 1/√(N·Q_P).")
def gradient_scale_without_root(x, s, bits):
    return _lsq(x, s, bits, g=1 / (x.numel() * (2 ** (bits - 1) - 1)))


@mistake("lsq", "Your gradient scale counts the rows of x. N is the number of all its elements: x.numel().")
def rows_for_elements(x, s, bits):
    return _lsq(x, s, bits, g=1 / math.sqrt(max(1, len(x)) * (2 ** (bits - 1) - 1)))


@mistake("lsq", "You left Q_P out of the gradient scale: it is 1/√(N·Q_P).")
def gradient_scale_without_q_p(x, s, bits):
    return _lsq(x, s, bits, g=1 / math.sqrt(x.numel()))


@mistake("lsq", "You took the rounded codes for constants, so that s got round(x/s) where x is inside the grid. There the derivative "
         "is round(x/s) − x/s: x/s "
         "depends on s too.")
def rounded_constant(x, s, bits):
    return _lsq(x, s, bits, of_s=lambda v, q_n, q_p: v.clamp(-q_n, q_p).round())


@mistake("lsq", "The sign of the inner gradient of s is the other way round: it is −x/s + round(x/s).")
def sign_of_the_inner_part(x, s, bits):
    return _lsq(x, s, bits, of_s=lambda v, q_n, q_p: torch.where((v > -q_n) & (v < q_p), v - v.round(), v.clamp(-q_n, q_p)))


@mistake("lsq", "The gradient of s has the wrong sign, all of it.")
def sign_of_all(x, s, bits):
    return _lsq(x, s, bits, of_s=lambda v, q_n, q_p: -torch.where((v > -q_n) & (v < q_p), v.round() - v, v.clamp(-q_n, q_p)))


@mistake("lsq", "s learns nothing from values beyond the grid. They are clipped to −Q_N·s or Q_P·s, which moves with s: gradient −Q_N "
         "or Q_P.")
def step_learns_inside_only(x, s, bits):
    return _lsq(x, s, bits, of_s=lambda v, q_n, q_p: torch.where((v > -q_n) & (v < q_p), v.round() - v, torch.zeros_like(v)))


@mistake("lsq", "You rounded first and clipped then, so that in the half steps just beyond the ends both gradients are those of the "
         "inside. By the paper's equation 1 x/s "
         "is clipped first.")
def rounds_before_it_clips(x, s, bits):
    def inside(v, q_n, q_p):
        return (v.round() >= -q_n) & (v.round() <= q_p)

    return _lsq(x, s, bits, of_x=lambda v, q_n, q_p: inside(v, q_n, q_p).float(),
                of_s=lambda v, q_n, q_p: torch.where(inside(v, q_n, q_p), v.round() - v, v.clamp(-q_n, q_p)))


@mistake("lsq", "The gradient of x passes everywhere. Where x/s lies beyond the grid it is 0.")
def x_learns_outside(x, s, bits):
    return _lsq(x, s, bits, of_x=lambda v, q_n, q_p: 1.0)


@mistake("lsq", "x gets no gradient. Inside the grid it passes unchanged.")
def x_learns_nothing(x, s, bits):
    return _lsq(x, s, bits, of_x=lambda v, q_n, q_p: 0.0)


@mistake("lsq", "You scaled the gradient of x too. The gradient scale belongs to s alone.")
def x_scaled_too(x, s, bits):
    g = 1 / math.sqrt(x.numel() * (2 ** (bits - 1) - 1))
    return _lsq(x, s, bits, of_x=lambda v, q_n, q_p: g * ((v > -q_n) & (v < q_p)).float())


@mistake("lsq", "s gets no gradient at all. It is the parameter that LSQ learns.")
def step_is_not_learnt(x, s, bits):
    return _lsq(x, s.detach(), bits, g=0.0)


@mistake("lsq", "You used the symmetric grid. LSQ's grid for signed data has one more code below zero: −2**(bits − 1).")
def lsq_on_the_symmetric_grid(x, s, bits):
    return _lsq(x, s, bits, q_n=2 ** (bits - 1) - 1)


@mistake("lsq", "You used the paper's grid for unsigned data, 0 to 2**bits − 1. Here it is the signed one.")
def lsq_on_the_unsigned_grid(x, s, bits):
    v, q_p = (x / s).detach(), 2 ** bits - 1
    inside = (v > 0) & (v < q_p)
    return _with_slopes(v.clamp(0, q_p).round() * s, (x, inside.float()),
                        (s, torch.where(inside, v.round() - v, v.clamp(0, q_p)) / math.sqrt(x.numel() * q_p)))


@mistake("lsq", "You multiplied s by the gradient scale in the forward pass, so that the values are wrong. It scales the gradient "
         "only: g*s + (s - g*s).detach().")
def scale_in_the_forward_pass(x, s, bits):
    return _lsq(x, s / math.sqrt(x.numel() * (2 ** (bits - 1) - 1)), bits, g=1.0)


@mistake("lsq", "You returned the codes. Multiply them by s.")
def lsq_codes(x, s, bits):
    q_n, q_p = 2 ** (bits - 1), 2 ** (bits - 1) - 1
    g = 1 / math.sqrt(x.numel() * q_p)
    s = g * s + (s - g * s).detach()
    v = (x / s).clamp(-q_n, q_p)
    return v + (v.round() - v).detach()


def _pact(x, alpha, bits, of_x=None, of_alpha=None, value=None):
    """PACT with one part exchanged, each a function of x and alpha without their gradients."""
    v, a, levels = x.detach(), alpha.detach(), 2 ** bits - 1
    step = a / levels
    y = (v.clamp(min=0).minimum(a) / step).round() * step if value is None else value(v, a, levels)
    slope_x = ((v > 0) & (v < a)).float() if of_x is None else of_x(v, a, levels)
    slope_a = (v > a).float() if of_alpha is None else of_alpha(v, a, levels)
    return _with_slopes(y, (x, slope_x), (alpha, slope_a))


@mistake("pact", "alpha gets a gradient of 1 from every element. Only those above alpha depend on it; below, the gradient is 0.")
def alpha_learns_everywhere(x, alpha, bits):
    return _pact(x, alpha, bits, of_alpha=lambda v, a, levels: 1.0)


@mistake("pact", "alpha is not learnt: with alpha.item(), or a detached alpha, autograd takes it for a constant. Where x is clipped "
         "the output is alpha, gradient 1.")
def alpha_is_not_learnt(x, alpha, bits):
    return _pact(x, alpha.detach(), bits)


@mistake("pact", "The rounding leaks into the gradient of alpha: inside you gave it y_q/α − y/α. By the paper's equation 3 it is 0 "
         "where x < α: round a detached copy.")
def rounding_leaks(x, alpha, bits):
    levels = 2 ** bits - 1
    y = torch.minimum(torch.relu(x), alpha) * levels / alpha
    return (y + (y.round() - y).detach()) * alpha / levels


@mistake("pact", "You took the rounded codes for constants, so that alpha got y_q/α from every element. It is 1 where x > α and 0 below.")
def codes_as_constants(x, alpha, bits):
    return _pact(x, alpha, bits, of_alpha=lambda v, a, levels: (v.clamp(min=0).minimum(a) * levels / a).round() / levels)


@mistake("pact", "You clipped at −α instead of at 0. PACT takes the place of a ReLU: what is negative becomes 0, with gradient 0.")
def clipped_at_minus_alpha(x, alpha, bits):
    return _pact(x, alpha, bits, value=lambda v, a, levels: (v.maximum(-a).minimum(a) * levels / a).round() * a / levels,
                 of_x=lambda v, a, levels: (v.abs() < a).float(), of_alpha=lambda v, a, levels: (v > a).float() - (v < -a).float())


@mistake("pact", "Negative values are not clipped at all. PACT takes the place of a ReLU: what is negative becomes 0, with gradient 0.")
def not_clipped_below(x, alpha, bits):
    return _pact(x, alpha, bits, value=lambda v, a, levels: (v.minimum(a) * levels / a).round() * a / levels,
                 of_x=lambda v, a, levels: (v < a).float())


@mistake("pact", "The value at negative x is right, but the gradient passes there. Where x < 0 the output stays 0: gradient 0.")
def gradient_below_zero(x, alpha, bits):
    return _pact(x, alpha, bits, of_x=lambda v, a, levels: (v < a).float())


@mistake("pact", "The gradient of x passes above alpha too. There the output is alpha, whatever x: gradient 0.")
def gradient_above_alpha(x, alpha, bits):
    return _pact(x, alpha, bits, of_x=lambda v, a, levels: (v > 0).float())


@mistake("pact", "x gets no gradient. Between 0 and alpha it passes as if nothing were rounded: gradient 1.")
def no_gradient_inside(x, alpha, bits):
    return _pact(x, alpha, bits, of_x=lambda v, a, levels: 0.0)


@mistake("pact", "Your step is alpha/2**bits. From 0 to alpha, both included, 2**bits values have 2**bits − 1 steps between them.")
def one_step_too_many(x, alpha, bits):
    return _pact(x, alpha, bits, value=lambda v, a, levels: (v.clamp(min=0).minimum(a) * (levels + 1) / a).round() * a / (levels + 1))


@mistake("pact", "You took the step of a signed grid, alpha/(2**(bits − 1) − 1). After the clipping nothing is negative, so all "
         "2**bits codes serve the values from 0 to alpha.")
def signed_levels(x, alpha, bits):
    levels = max(1, 2 ** (bits - 1) - 1)
    return _pact(x, alpha, bits, value=lambda v, a, _: (v.clamp(min=0).minimum(a) * levels / a).round() * a / levels)


@mistake("pact", "You rounded down. The codes are those of the nearest values: torch.round.")
def pact_rounded_down(x, alpha, bits):
    return _pact(x, alpha, bits, value=lambda v, a, levels: (v.clamp(min=0).minimum(a) * levels / a).floor() * a / levels)


@mistake("pact", "You clipped and did not round. The result is one of 2**bits values.")
def only_clipped(x, alpha, bits):
    return torch.minimum(torch.relu(x), alpha)


@mistake("pact", "You averaged the gradient of alpha over the elements. It is summed: the mean, where there is one, is in the gradient "
         "that arrives.")
def alpha_mean(x, alpha, bits):
    return _pact(x, alpha, bits, of_alpha=lambda v, a, levels: (v > a).float() / v.numel())


@mistake("pact", "The sign of the gradient of alpha is wrong: a larger alpha lets the clipped values grow, so it is +1 where x > α.")
def alpha_sign(x, alpha, bits):
    return _pact(x, alpha, bits, of_alpha=lambda v, a, levels: -(v > a).float())


class _Observer:
    """An observer whose `update(state, lo, hi)` gives the new (lo, hi)."""
    start = None, None

    def __init__(self, momentum=0.9):
        self.m, self.frozen, self.n, (self.lo, self.hi) = momentum, False, 0, self.start

    def observe(self, x):
        if self.frozen:
            return
        self.n += 1
        lo, hi = self.extremes(x)
        self.lo, self.hi = (lo, hi) if self.lo is None else (self.average(self.lo, lo), self.average(self.hi, hi))

    def extremes(self, x):
        return x.min().item(), x.max().item()

    def average(self, old, new):
        return self.m * old + (1 - self.m) * new

    def freeze(self):
        self.frozen = True


@mistake("EmaObserver", "Your average started from 0, so that the first ranges are far too small. The first batch sets lo and hi.")
class started_from_zero(_Observer):
    start = (0.0, 0.0)


@mistake("EmaObserver", "The range went on moving after freeze(). From then on observe must do nothing.")
class never_frozen(_Observer):
    def freeze(self):
        pass


@mistake("EmaObserver", "You averaged means of the batch. lo follows the smallest element of each batch, hi the largest.")
class extremes_of_means(_Observer):
    def observe(self, x):
        if not self.frozen:
            self.n += 1
            mean = x.mean().item()
            self.running = mean if self.n == 1 else self.average(self.running, mean)
            self.lo, self.hi = (mean, mean) if self.n == 1 else (min(self.lo, self.running), max(self.hi, self.running))


@mistake("EmaObserver", "You kept the extremes of everything seen, so that one odd batch decides for good. Average: m·old + (1 − m)·batch.")
class extremes_of_all(_Observer):
    def observe(self, x):
        if not self.frozen:
            lo, hi = self.extremes(x)
            self.lo, self.hi = (lo, hi) if self.lo is None else (min(lo, self.lo), max(hi, self.hi))


@mistake("EmaObserver", "You gave the momentum to the new batch. It belongs to the old value: m·old + (1 − m)·batch.")
class momentum_swapped(_Observer):
    def average(self, old, new):
        return (1 - self.m) * old + self.m * new


@mistake("EmaObserver", "You took the plain mean over all batches. The moving average weights the last batch with 1 − m, and forgets "
         "the first ones.")
class plain_mean(_Observer):
    def average(self, old, new):
        return old + (new - old) / self.n


@mistake("EmaObserver", "The momentum is fixed at 0.9; it is an argument.")
class momentum_fixed(_Observer):
    def average(self, old, new):
        return 0.9 * old + 0.1 * new


@mistake("EmaObserver", "You widened the range to hold 0. That is for whoever makes scale and zero point of it; the observer tells "
         "what was seen.")
class widened_to_zero(_Observer):
    def extremes(self, x):
        return min(0.0, x.min().item()), max(0.0, x.max().item())


@mistake("EmaObserver", "You made the range symmetric, ±max|x|. lo and hi are averaged each on its own.")
class symmetric_range(_Observer):
    def extremes(self, x):
        return -x.abs().max().item(), x.abs().max().item()


@mistake("EmaObserver", "All your observers share one range: lo and hi are attributes of the class. Set them on self, in __init__.")
class shared_by_all(_Observer):
    ranges = []

    def __init__(self, momentum=0.9):
        self.ranges.clear()
        super().__init__(momentum)

    def observe(self, x):
        if not self.frozen:
            lo, hi = self.extremes(x)
            self.ranges[:] = [lo, hi] if not self.ranges else [self.average(self.ranges[0], lo), self.average(self.ranges[1], hi)]
            self.lo, self.hi = self.ranges


@mistake("EmaObserver", "All your observers share one momentum: it is an attribute of the class. Set it on self, in __init__.")
class momentum_of_the_class(_Observer):
    given = [0.9]

    def __init__(self, momentum=0.9):
        super().__init__(momentum)
        self.given[0] = momentum

    def average(self, old, new):
        return self.given[0] * old + (1 - self.given[0]) * new


@mistake("EmaObserver", "Your freeze() switches: called twice, it lets the range move again. Set the flag to True.")
class freeze_switches(_Observer):
    def freeze(self):
        self.frozen = not self.frozen


@mistake("EmaObserver", "You took lo = 0 for \"nothing seen yet\", so that after a first batch of zeros the second one sets the range "
         "anew. Use None, or a flag.")
class zero_taken_for_nothing(_Observer):
    def observe(self, x):
        if not self.frozen:
            lo, hi = self.extremes(x)
            self.lo, self.hi = (lo, hi) if not self.lo else (self.average(self.lo, lo), self.average(self.hi, hi))


@mistake("EmaObserver", "There is one average only: the last batch's range is kept as it is. Average it with the old one.")
class last_batch(_Observer):
    def average(self, old, new):
        return new


def _grid(w, bits):
    """The weights on a grid whose scale comes from the mean of each row."""
    q_p = 2 ** (bits - 1) - 1
    s = 2 * w.detach().abs().mean(dim=1, keepdim=True) / math.sqrt(q_p)
    return (w / s).round().clamp(-q_p - 1, q_p) * s


def _straight(w, bits):
    return w + (_grid(w, bits) - w).detach()


def _layers(model):
    return [m for m in model.modules() if isinstance(m, nn.Linear)]


def _fit(model, data, epochs, quantize, after=lambda: None):
    """Train in place with `quantize(w)` in the forward pass."""
    x, y, first, last = data[0], data[1], *_layers(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(128):
            logits = F.linear(F.relu(F.linear(x[batch], quantize(first.weight), first.bias)), quantize(last.weight), last.bias)
            optimizer.zero_grad()
            F.cross_entropy(logits, y[batch]).backward()
            optimizer.step()
            after()
    return model


@torch.no_grad()
def _store(model, quantize, layers=(0, 1)):
    for number, layer in enumerate(_layers(model)):
        if number in layers:
            layer.weight.copy_(quantize(layer.weight))
    return model


@mistake("train_qat", "You trained in float and rounded at the end: that is post-training quantization, and two bits are too few for "
         "it. Round in every forward pass, so that "
         "the network learns with it.")
def rounded_at_the_end(model, data, bits, epochs):
    return _store(_fit(model, data, epochs, lambda w: w), lambda w: _grid(w, bits))


@mistake("train_qat", "No gradient reaches the weights: rounding has derivative 0, so only the biases learnt. Use the straight-through "
         "estimator: "
         "w + (quantized - w).detach().")
def gradient_stopped(model, data, bits, epochs):
    return _store(_fit(model, data, epochs, lambda w: _grid(w, bits)), lambda w: _grid(w, bits))


@mistake("train_qat", "You overwrote the latent weights with the rounded ones after every step, so that every small step is lost. Keep "
         "the latent weights in float until the last "
         "epoch is over.")
def latent_weights_overwritten(model, data, bits, epochs):
    return _fit(model, data, epochs, lambda w: w, after=lambda: _store(model, lambda w: _grid(w, bits)))


@mistake("train_qat", "You overwrote the latent weights with the rounded ones in every step, though the forward pass rounds anyway. "
         "Keep the latent weights in float until the last "
         "epoch is over.")
def rounded_and_overwritten(model, data, bits, epochs):
    return _fit(model, data, epochs, lambda w: _straight(w, bits), after=lambda: _store(model, lambda w: _grid(w, bits)))


@mistake("train_qat", "You returned the latent float weights. The network that is deployed holds the quantized ones: copy them in "
         "after the last epoch.")
def latent_weights_returned(model, data, bits, epochs):
    return _fit(model, data, epochs, lambda w: _straight(w, bits))


@mistake("train_qat", "You quantized the first layer only. Both linear layers are to be quantized.")
def first_layer_alone(model, data, bits, epochs):
    first = _layers(model)[0].weight
    return _store(_fit(model, data, epochs, lambda w: _straight(w, bits) if w is first else w), lambda w: _grid(w, bits), layers=(0,))


@mistake("train_qat", "You used the grid from −2**(bits − 1) to 2**(bits − 1): one value too many. With b bits there are 2**b codes.")
def one_value_too_many(model, data, bits, epochs):
    def grid(w):
        top = 2 ** (bits - 1)
        s = 2 * w.detach().abs().mean(dim=1, keepdim=True) / math.sqrt(top)
        return (w / s).round().clamp(-top, top) * s

    return _store(_fit(model, data, epochs, lambda w: w + (grid(w) - w).detach()), grid)


@mistake("train_qat", "The weights take the values of two bits whatever you are asked for. The grid follows from the argument bits.")
def two_bits_always(model, data, bits, epochs):
    return _store(_fit(model, data, epochs, lambda w: _straight(w, 2)), lambda w: _grid(w, 2))


@mistake("train_qat", "The weights take the values of four bits whatever you are asked for. The grid follows from the argument bits.")
def four_bits_always(model, data, bits, epochs):
    return _store(_fit(model, data, epochs, lambda w: _straight(w, 4)), lambda w: _grid(w, 4))


@mistake("train_qat", "You train for 20 epochs whatever you are asked for. Take the number from the argument epochs.")
def twenty_epochs_always(model, data, bits, epochs):
    return _store(_fit(model, data, 20, lambda w: _straight(w, bits)), lambda w: _grid(w, bits))


@mistake("train_qat", "The scale comes from the largest weight of each row on the grid −1, 0, 1: one large weight sends most others to "
         "0, and the network does not get "
         "far enough. Take the scale from the mean of |w|, or learn it.")
def scale_of_the_largest(model, data, bits, epochs):
    def grid(w):
        q_p = 2 ** (bits - 1) - 1
        s = w.detach().abs().amax(dim=None if bits == 2 else 1, keepdim=True) / q_p
        return (w / s).round().clamp(-q_p, q_p) * s

    return _store(_fit(model, data, epochs, lambda w: w + (grid(w) - w).detach()), grid)


@mistake("train_qat", "You quantized the untrained network and returned it. It has to be trained.")
def never_trained(model, data, bits, epochs):
    return _store(model, lambda w: _grid(w, bits))


@mistake("train_qat", "You returned nothing. Even if you train in place, return the network.")
def nothing_returned(model, data, bits, epochs):
    _store(_fit(model, data, epochs, lambda w: _straight(w, bits)), lambda w: _grid(w, bits))


def _assign(sensitivity, sizes, budget, cost=lambda size, bits: size * bits, fits=lambda total, budget: total <= budget, score=sum):
    choices = [dict(zip(sensitivity, bits)) for bits in itertools.product(*sensitivity.values())]
    fitting = [c for c in choices if fits(sum(cost(sizes[layer], b) for layer, b in c.items()), budget)]
    return min(fitting, key=lambda c: score(sensitivity[layer][b] for layer, b in c.items()))


@mistake("assign_bits", "You gave all layers the same number of bits. What a layer needs differs: that is the point of mixed precision.")
def uniform(sensitivity, sizes, budget):
    common = set.intersection(*map(set, sensitivity.values())) or {min(map(min, sensitivity.values()))}
    fitting = [b for b in common if b * sum(sizes.values()) <= budget]
    return dict.fromkeys(sensitivity, max(fitting))


@mistake("assign_bits", "You gave the sensitive layers the fewest bits, so that the sum of the losses is as large as it can be. "
         "Sensitive layers need more bits.")
def sensitive_layers_get_fewer(sensitivity, sizes, budget):
    return _assign(sensitivity, sizes, budget, score=lambda losses: -sum(losses))


@mistake("assign_bits", "You ignored the sizes and shared the budget out as if all layers were alike. A width costs sizes[layer] · bits.")
def sizes_ignored(sensitivity, sizes, budget):
    mean = sum(sizes.values()) / len(sizes)
    return _assign(sensitivity, sizes, budget, cost=lambda size, bits: mean * bits)


@mistake("assign_bits", "You took the budget for a number of parameters: you compared it with Σ of the sizes. It is a number of bits, "
         "Σ sizes · bits.")
def budget_in_parameters(sensitivity, sizes, budget):
    return _assign(sensitivity, sizes, budget, cost=lambda size, bits: size)


@mistake("assign_bits", "You counted bytes. The budget is in bits.")
def budget_in_bytes(sensitivity, sizes, budget):
    return _assign(sensitivity, sizes, budget, cost=lambda size, bits: size * bits / 8)


@mistake("assign_bits", "Your budget hardly ever binds. Compare it, as it is, with the bits of all weights together, Σ sizes · bits: not with "
         "the sum of the widths, nor multiplied by the number of weights.")
def sum_of_the_widths(sensitivity, sizes, budget):
    return _assign(sensitivity, sizes, budget, cost=lambda size, bits: bits)


@mistake("assign_bits", "You left the budget out: every layer gets the width with the least loss.")
def no_budget(sensitivity, sizes, budget):
    return {layer: min(row, key=row.get) for layer, row in sensitivity.items()}


@mistake("assign_bits", "You did not let the budget be used up: what takes exactly as many bits fits.")
def budget_never_used_up(sensitivity, sizes, budget):
    return _assign(sensitivity, sizes, budget, fits=lambda total, budget: total < budget)


@mistake("assign_bits", "Where nothing fits you gave the fewest bits all the same. Raise ValueError: the caller must know that the "
         "budget is broken.")
def never_raises(sensitivity, sizes, budget):
    try:
        return _assign(sensitivity, sizes, budget)
    except ValueError:
        return {layer: min(row) for layer, row in sensitivity.items()}


@mistake("assign_bits", "You raised the bits step by step, always where the loss falls most for each bit spent. Such a greedy way can "
         "end far from the best: here it is a small problem that "
         "can be solved exactly.")
def greedy_from_below(sensitivity, sizes, budget):
    bits = {layer: min(row) for layer, row in sensitivity.items()}
    left = budget - sum(sizes[layer] * b for layer, b in bits.items())
    if left < 0:
        raise ValueError
    while True:
        steps = []
        for layer, row in sensitivity.items():
            for b in row:
                price = sizes[layer] * (b - bits[layer])
                if 0 < price <= left and row[b] < row[bits[layer]]:
                    steps.append(((row[bits[layer]] - row[b]) / price, price, layer, b))
        if not steps:
            return bits
        _, price, layer, b = max(steps, key=lambda step: step[0])
        bits[layer], left = b, left - price


@mistake("assign_bits", "You lowered the bits step by step, always where the loss rises least for each bit saved. Such a greedy way "
         "can end far from the best: here it is a small problem "
         "that can be solved exactly.")
def greedy_from_above(sensitivity, sizes, budget):
    bits = {layer: max(row) for layer, row in sensitivity.items()}
    while sum(sizes[layer] * b for layer, b in bits.items()) > budget:
        steps = []
        for layer, row in sensitivity.items():
            lower = [b for b in row if b < bits[layer]]
            if lower:
                b = max(lower)
                steps.append(((row[b] - row[bits[layer]]) / (sizes[layer] * (bits[layer] - b)), layer, b))
        if not steps:
            raise ValueError
        _, layer, b = min(steps, key=lambda step: step[0])
        bits[layer] = b
    return bits


@mistake("assign_bits", "You minimised the largest loss of a layer. The sum of the losses counts.")
def largest_loss(sensitivity, sizes, budget):
    return _assign(sensitivity, sizes, budget, score=max)


@mistake("assign_bits", "You used up as much of the budget as you could, whatever the losses. The most bits are not always the least loss.")
def most_bits(sensitivity, sizes, budget):
    choices = [dict(zip(sensitivity, bits)) for bits in itertools.product(*sensitivity.values())]
    used = [(sum(sizes[layer] * b for layer, b in c.items()), number) for number, c in enumerate(choices)]
    return choices[max((total, number) for total, number in used if total <= budget)[1]]


@mistake("assign_bits", "You multiplied each loss by the size of its layer. The losses are those of the whole network already.")
def losses_weighted_by_size(sensitivity, sizes, budget):
    choices = [dict(zip(sensitivity, bits)) for bits in itertools.product(*sensitivity.values())]
    fitting = [c for c in choices if sum(sizes[layer] * b for layer, b in c.items()) <= budget]
    return min(fitting, key=lambda c: sum(sizes[layer] * sensitivity[layer][b] for layer, b in c.items()))
