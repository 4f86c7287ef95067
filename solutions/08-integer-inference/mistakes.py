"""Wrong answers to the exercises of 08, each with what to tell a student who gave it."""
import copy
import math

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

from autograder.mistakes import mistake

INT32 = -2**31, 2**31 - 1


def _to_int32(steps):
    return steps.clamp(*INT32).to(torch.int32)


@mistake("quantize_bias", "You divided by s_w alone. The accumulator counts in steps of s_w·s_x, so the bias must be in that unit too.")
def weight_scale_only(b, s_w, s_x):
    return _to_int32(torch.round(b.double() / s_w))


@mistake("quantize_bias", "You divided by s_x alone. The accumulator counts in steps of s_w·s_x, so the bias must be in that unit too.")
def input_scale_only(b, s_w, s_x):
    return _to_int32(torch.round(b.double() / s_x))


@mistake("quantize_bias", "You took s_x/s_w for the step. A product of two codes stands for s_w·s_x.")
def quotient_of_scales(b, s_w, s_x):
    return _to_int32(torch.round(b.double() / (s_x / s_w)))


@mistake("quantize_bias", "You multiplied by the scale. Codes are real numbers divided by their step.")
def multiplied(b, s_w, s_x):
    return _to_int32(torch.round(b.double() * (s_w * s_x)))


@mistake("quantize_bias", "You cut the bias to 8 bits. It is added to a sum of products and is kept in int32.")
def eight_bits(b, s_w, s_x):
    return torch.round(b.double() / (s_w * s_x)).clamp(-128, 127).to(torch.int8)


@mistake("quantize_bias", "You rounded toward 0: a conversion to integers drops the fraction. Round to the nearest first.")
def truncated(b, s_w, s_x):
    return _to_int32(b.double() / (s_w * s_x))


@mistake("quantize_bias", "You rounded down. Round to the nearest.")
def floored(b, s_w, s_x):
    return _to_int32(torch.floor(b.double() / (s_w * s_x)))


@mistake("quantize_bias", "A bias beyond int32 wrapped around. It must saturate: clamp before you convert.")
def wraps(b, s_w, s_x):
    return torch.round(b.double() / (s_w * s_x)).to(torch.int64).to(torch.int32)


@mistake("quantize_bias", "A bias beyond int32 came out with the wrong sign or size: you clamped in float32, where 2^31 − 1 becomes 2^31, which int32 "
         "cannot hold. Clamp in float64, or in int64.")
def clamped_in_float32(b, s_w, s_x):
    return _to_int32(torch.round(b / torch.as_tensor(s_w * s_x, dtype=torch.float32)))


@mistake("quantize_bias", "You left a bias beyond int32 as it is, in a wider integer. Clamp it to −2^31 … 2^31 − 1.")
def not_saturated(b, s_w, s_x):
    return torch.round(b.double() / (s_w * s_x)).to(torch.int64)


@mistake("fold_zero_point", "You computed in float32, which has 24 bits: large biases came out rounded. Stay in integers of 32 or 64 bits.")
def folded_in_float32(q_bias, q_w, z_x):
    return (q_bias.float() - z_x * q_w.float().flatten(1).sum(1)).long()


@mistake("fold_zero_point", "You added z_x·Σ q_w. The zero point is subtracted from the input, so the term has a minus.")
def plus(q_bias, q_w, z_x):
    return q_bias + z_x * q_w.flatten(1).sum(1)


@mistake("fold_zero_point", "You summed over the outputs, axis 0. Each output needs the sum of its own weights.")
def sum_over_outputs(q_bias, q_w, z_x):
    return q_bias - z_x * q_w.sum(0)


@mistake("fold_zero_point", "You summed over axis 1 only. A convolution's output has weights over input channels, rows and columns: sum over all three.")
def sum_over_input_channels_only(q_bias, q_w, z_x):
    return q_bias - z_x * q_w.sum(1)


@mistake("fold_zero_point", "You took all weights together. Each output needs the sum of its own weights.")
def sum_over_everything(q_bias, q_w, z_x):
    return q_bias - z_x * q_w.sum()


@mistake("fold_zero_point", "You multiplied in int8, where the products wrap around. Sum in a wide integer first, then multiply.")
def products_in_int8(q_bias, q_w, z_x):
    return q_bias - (q_w * z_x).flatten(1).sum(1)


@mistake("fold_zero_point", "You summed in int8, where the sum wraps around. Sum in int32 or int64.")
def sums_in_int8(q_bias, q_w, z_x):
    return q_bias - z_x * q_w.flatten(1).sum(1, dtype=torch.int8).long()


@mistake("fold_zero_point", "You left the zero point out. The correction is z_x times the sum of the weights.")
def without_the_zero_point(q_bias, q_w, z_x):
    return q_bias - q_w.flatten(1).sum(1)


@mistake("fold_zero_point", "You took the mean of the weights instead of their sum.")
def mean_of_the_weights(q_bias, q_w, z_x):
    return q_bias - torch.round(z_x * q_w.flatten(1).double().mean(1)).long()


def _right_pair(m):
    mantissa, exponent = math.frexp(m)
    m0 = round(mantissa * 2**31)
    return (m0, -exponent) if m0 < 2**31 else (2**30, -exponent - 1)


def _right_shift(acc, m0, shift):
    return (acc.long() * m0 + (1 << (30 + shift))) >> (31 + shift)


@mistake("fixed_point", "Your mantissa lies in [¼, ½), so m0 is below 2^30 and wastes a bit. Bring m into [½, 1).")
class mantissa_too_small:
    def fixed_point(m):
        mantissa, exponent = math.frexp(m)
        return round(mantissa * 2**30), -exponent - 1
    requantize = _right_shift


@mistake("fixed_point", "Your mantissa lies in [1, 2), so m0 does not fit a positive int32. Bring m into [½, 1).")
class mantissa_too_large:
    def fixed_point(m):
        mantissa, exponent = math.frexp(m)
        return round(mantissa * 2**32), -exponent + 1
    requantize = _right_shift


@mistake("fixed_point", "Your shift has the wrong sign: m below ½ has a positive shift, m of 1 and more a negative one.")
class shift_of_the_wrong_sign:
    def fixed_point(m):
        m0, shift = _right_pair(m)
        return m0, -shift
    requantize = _right_shift


@mistake("fixed_point", "Your shift is the whole shift to the right. m = m0 · 2^(−31−shift): the 31 bits of the mantissa are not part of it.")
class whole_shift:
    def fixed_point(m):
        m0, shift = _right_pair(m)
        return m0, 31 + shift
    requantize = _right_shift


@mistake("fixed_point", "Where the mantissa rounds up to 1, m0 became 2^31, which int32 does not hold. Make it 2^30 and lower the shift by one.")
class mantissa_becomes_one:
    def fixed_point(m):
        mantissa, exponent = math.frexp(m)
        return round(mantissa * 2**31), -exponent
    requantize = _right_shift


@mistake("fixed_point", "You only handled m below 1. Where m ≥ 1, halve it until it lies in [½, 1), and the shift becomes negative.")
class never_negative:
    def fixed_point(m):
        shift = 0
        while m < 0.5:
            m, shift = m * 2, shift + 1
        return min(round(m * 2**31), 2**31 - 1), shift
    requantize = _right_shift


@mistake("fixed_point", "You gave the mantissa as a fraction. m0 is an integer, the mantissa times 2^31.")
class mantissa_as_a_fraction:
    def fixed_point(m):
        mantissa, exponent = math.frexp(m)
        return mantissa, -exponent
    requantize = _right_shift


@mistake("fixed_point", "You multiplied in float32. A chip with integer units cannot, and 24 bits are too few for large accumulators. Multiply by m0 in int64, then shift.")
class float32_multiply:
    fixed_point = _right_pair

    def requantize(acc, m0, shift):
        return torch.round(acc.float() * (torch.as_tensor(m0).float() * 2.0 ** (-31.0 - shift))).long()


@mistake("fixed_point", "The values are right, but you multiplied in floating point. Multiply by m0 in int64, then shift: integers only.")
class float64_multiply:
    fixed_point = _right_pair

    def requantize(acc, m0, shift):
        return torch.round(acc.double() * (torch.as_tensor(m0).double() * 2.0 ** (-31.0 - shift))).long()


@mistake("fixed_point", "The values are right, but numpy multiplied in floating point: an integer array times 2.0**… is a float64 array. Multiply by m0 in int64, then shift.")
class numpy_float_multiply:
    fixed_point = _right_pair

    def requantize(acc, m0, shift):
        return np.rint(np.asarray(acc) * (np.asarray(m0) * 2.0 ** (-31.0 - np.asarray(shift)))).astype(np.int64)


@mistake("fixed_point", "The values are right, but you computed them from Python floats, one by one. Multiply by m0 as an integer, then shift.")
class python_float_multiply:
    fixed_point = _right_pair

    def requantize(acc, m0, shift):
        acc, m0, shift = torch.broadcast_tensors(acc, torch.as_tensor(m0), torch.as_tensor(shift))
        flat = [round(a * m * 2.0 ** (-31 - s)) for a, m, s in zip(acc.flatten().tolist(), m0.flatten().tolist(), shift.flatten().tolist())]
        return torch.tensor(flat, dtype=torch.int64).view(acc.shape)


@mistake("fixed_point", "Your shift only drops bits, which rounds down, by up to a whole step. Add half of the divisor, 1 << (30 + shift), first.")
class truncating_shift:
    fixed_point = _right_pair

    def requantize(acc, m0, shift):
        return (acc.long() * m0) >> (31 + shift)


@mistake("fixed_point", "You rounded toward 0. Round to the nearest, for negative accumulators too.")
class toward_zero:
    fixed_point = _right_pair

    def requantize(acc, m0, shift):
        product = acc.long() * m0
        return torch.sign(product) * (product.abs() >> (31 + shift))


@mistake("fixed_point", "You left the 31 bits of the mantissa out of the shift: m = m0 · 2^(−31−shift).")
class without_the_31:
    fixed_point = _right_pair

    def requantize(acc, m0, shift):
        shift = torch.as_tensor(shift).clamp(min=1)
        return (acc.long() * m0 + (1 << (shift - 1))) >> shift


@mistake("fixed_point", "The product wrapped around in int32: a Python int times an int32 tensor stays int32. Convert acc to int64 first.")
class product_in_int32:
    fixed_point = _right_pair

    def requantize(acc, m0, shift):
        return ((acc * m0).long() + (1 << (30 + shift))) >> (31 + shift)


@mistake("fixed_point", "You clamped to 8 bits already. Requantizing ends before the zero point is added; the clamp comes after that.")
class clamped_too_early:
    fixed_point = _right_pair

    def requantize(acc, m0, shift):
        return _right_shift(acc, m0, shift).clamp(-128, 127)


def _rescale(acc, m0, shift, z_out):
    return (((acc.long() * m0 + (1 << (30 + shift))) >> (31 + shift)) + z_out).clamp(-128, 127)


def _channels(value):
    return torch.as_tensor(value).view(-1, 1, 1)


def _answers(centred=lambda q, z: q.long() - z, summed=lambda acc: acc, biased=lambda b: b.long(), rescale=_rescale, channels=_channels, padded=None,
             stride_of=lambda stride: stride, padding_of=lambda padding: padding, kernel=lambda w: w.long()):
    """Both answers, right but for what is put in."""
    def int_linear(q_x, q_w, q_bias, z_x, m0, shift, z_out):
        return rescale(summed(centred(q_x, z_x) @ q_w.long().T + biased(q_bias)), m0, shift, z_out)

    def int_conv2d(q_x, q_w, q_bias, z_x, m0, shift, z_out, stride=1, padding=0):
        stride, padding = stride_of(stride), padding_of(padding)
        if padded:
            x, padding = centred(F.pad(q_x, (padding,) * 4, value=padded(z_x)), z_x), 0
        else:
            x = centred(q_x, z_x)
        acc = F.conv2d(x, kernel(q_w), biased(q_bias), stride, padding)
        return rescale(summed(acc), channels(m0), channels(shift), z_out)
    return int_linear, int_conv2d


@mistake("int_linear", "You dropped the output's zero point: add z_out to what you rescaled, before the clamp.")
class output_zero_point_dropped:
    int_linear, int_conv2d = _answers(rescale=lambda acc, m0, shift, z: _rescale(acc, m0, shift, 0))


@mistake("int_linear", "You subtracted the output's zero point. A code is x/s + z.")
class output_zero_point_subtracted:
    int_linear, int_conv2d = _answers(rescale=lambda acc, m0, shift, z: _rescale(acc, m0, shift, -z))


@mistake("int_linear", "You clamped before you added z_out, and again after it: codes that need the room are lost. Add the zero point first, clamp once.")
class clamped_before_the_zero_point:
    int_linear, int_conv2d = _answers(rescale=lambda acc, m0, shift, z: (_rescale(acc, m0, shift, 0) + z).clamp(-128, 127))


@mistake("int_linear", "Codes beyond 8 bits wrapped around: a cast to int8 makes 130 to −126. Clamp to −128 … 127 first.")
class wraps_at_eight_bits:
    int_linear, int_conv2d = _answers(rescale=lambda acc, m0, shift, z: (_right_shift(acc, m0, shift) + z).to(torch.int8))


@mistake("int_linear", "You left codes beyond −128 … 127 as they are. Saturate: clamp them to the ends.")
class no_saturation:
    int_linear, int_conv2d = _answers(rescale=lambda acc, m0, shift, z: _right_shift(acc, m0, shift) + z)


@mistake("int_linear", "You clamped to −127 … 127, the grid of symmetric weights. Activations have the code −128 as well.")
class symmetric_range:
    int_linear, int_conv2d = _answers(rescale=lambda acc, m0, shift, z: _rescale(acc, m0, shift, z).clamp(-127, 127))


@mistake("int_linear", "You clamped to 0 … 255, the codes of uint8. Here codes are −128 … 127.")
class unsigned_range:
    int_linear, int_conv2d = _answers(rescale=lambda acc, m0, shift, z: (_right_shift(acc, m0, shift) + z).clamp(0, 255))


@mistake("int_linear", "Your accumulator has 8 bits, and the sums wrap around. Sum in int32 or int64.")
class accumulator_of_8_bits:
    int_linear, int_conv2d = _answers(summed=lambda acc: acc.to(torch.int8))


@mistake("int_linear", "Your accumulator has 16 bits, and large sums wrap around. Sum in int32 or int64.")
class accumulator_of_16_bits:
    int_linear, int_conv2d = _answers(summed=lambda acc: acc.to(torch.int16))


@mistake("int_linear", "You summed in float32, which has 24 bits: where large sums and biases cancel, what is left is wrong. Sum in integers, or in float64.")
class accumulator_of_float32:
    def int_linear(q_x, q_w, q_bias, z_x, m0, shift, z_out):
        return _rescale(((q_x.float() - z_x) @ q_w.float().T + q_bias.float()).long(), m0, shift, z_out)

    int_conv2d = _answers()[1]


@mistake("int_linear", "You padded with code 0. Padding stands for real 0, whose code is z_x: convolve q_x − z_x with zeros around it, or pad q_x with z_x.")
class padded_with_code_0:
    int_linear, int_conv2d = _answers(padded=lambda z: 0)


@mistake("int_linear", "You left the input's zero point out: what is summed is q_w·(q_x − z_x).")
class input_zero_point_dropped:
    int_linear, int_conv2d = _answers(centred=lambda q, z: q.long())


@mistake("int_linear", "You added the input's zero point. A code less its zero point counts the steps from real 0.")
class input_zero_point_added:
    int_linear, int_conv2d = _answers(centred=lambda q, z: q.long() + z)


@mistake("int_linear", "q_x − z_x wrapped around in int8: the difference needs 9 bits. Convert to a wider integer before you subtract.")
class difference_in_int8:
    int_linear, int_conv2d = _answers(centred=lambda q, z: (q - z).long())


@mistake("int_linear", "You forgot the bias. It is part of the accumulator.")
class bias_forgotten:
    int_linear, int_conv2d = _answers(biased=lambda b: 0 * b.long())


@mistake("int_linear", "You dropped the bits that are shifted out, which rounds down. Round to the nearest, within 0.75.")
class rounds_down:
    int_linear, int_conv2d = _answers(rescale=lambda acc, m0, shift, z: (((acc.long() * m0) >> (31 + shift)) + z).clamp(-128, 127))


@mistake("int_linear", "You used the stride 1 whatever is asked for. Pass stride on.")
class stride_ignored:
    int_linear, int_conv2d = _answers(stride_of=lambda stride: 1)


@mistake("int_linear", "You did not pad. Pass padding on.")
class padding_ignored:
    int_linear, int_conv2d = _answers(padding_of=lambda padding: 0)


@mistake("int_linear", "In the convolution your multipliers lie along the last axis, the columns. They belong to the channels, axis 1: give them the shape (C_out, 1, 1).")
class multipliers_along_the_columns:
    int_linear, int_conv2d = _answers(channels=lambda value: value)


@mistake("int_linear", "You used the first output's multiplier for all. m0 and shift may have one entry for each output.")
class first_multiplier_for_all:
    int_linear, int_conv2d = _answers(rescale=lambda acc, m0, shift, z: _rescale(acc, torch.as_tensor(m0).flatten()[0], torch.as_tensor(shift).flatten()[0], z))


@mistake("int_linear", "You flipped the kernel. conv2d does not: it is a cross-correlation.")
class kernel_flipped:
    int_linear, int_conv2d = _answers(kernel=lambda w: w.long().flip(2, 3))


def _part(q, z, m):
    return _right_shift(q.long() - z, *m)


class _Right:
    def int_relu(q, z):
        return q.clamp(min=z)

    def int_maxpool(q, k):
        return F.max_pool2d(q, k)

    def int_avgpool(q, k):
        total = q.long().unfold(2, k, k).unfold(3, k, k).sum((-1, -2))
        return (2 * total + k * k) // (2 * k * k)

    def int_add(q_a, z_a, m_a, q_b, z_b, m_b, z_out):
        return (_part(q_a, z_a, m_a) + _part(q_b, z_b, m_b) + z_out).clamp(-128, 127)


def _but(**changed):
    """The four answers, right but for those that are given."""
    return {name: changed.get(name, vars(_Right)[name]) for name in ("int_relu", "int_maxpool", "int_avgpool", "int_add")}


@mistake("int_relu", "Your ReLU cuts at code 0. Real 0 has the code z: it is a maximum with z.")
class relu_at_code_0:
    locals().update(_but(int_relu=lambda q, z: q.clamp(min=0)))


@mistake("int_relu", "Your ReLU puts code 0 where the number is negative. Real 0 has the code z.")
class relu_puts_code_0:
    locals().update(_but(int_relu=lambda q, z: torch.where(q > z, q, torch.zeros_like(q))))


@mistake("int_relu", "Your ReLU gives codes less the zero point. Scale and zero point stay: what is above z keeps its code.")
class relu_loses_the_zero_point:
    locals().update(_but(int_relu=lambda q, z: (q.long() - z).clamp(min=0).clamp(max=127)))


@mistake("int_relu", "Your average truncates toward 0 and is up to a step off. Add half of the divisor before you divide, or round the exact quotient.")
class average_truncates:
    locals().update(_but(int_avgpool=lambda q, k: torch.div(q.long().unfold(2, k, k).unfold(3, k, k).sum((-1, -2)), k * k, rounding_mode="trunc")))


@mistake("int_relu", "Your average rounds down and is up to a step off: // floors. Add half of the divisor before you divide.")
class average_floors:
    locals().update(_but(int_avgpool=lambda q, k: q.long().unfold(2, k, k).unfold(3, k, k).sum((-1, -2)) // (k * k)))


@mistake("int_relu", "The sum of your average wrapped around in int8. Sum in a wider integer.")
class average_sums_in_int8:
    locals().update(_but(int_avgpool=lambda q, k: (2 * q.unfold(2, k, k).unfold(3, k, k).sum((-1, -2), dtype=torch.int8).long() + k * k) // (2 * k * k)))


@mistake("int_relu", "Your average is a sum: divide by the k² codes of a window.")
class average_is_a_sum:
    locals().update(_but(int_avgpool=lambda q, k: q.long().unfold(2, k, k).unfold(3, k, k).sum((-1, -2)).clamp(-128, 127)))


@mistake("int_relu", "Your average divides by k, but a window has k² codes.")
class average_divides_by_k:
    locals().update(_but(int_avgpool=lambda q, k: torch.round(q.double().unfold(2, k, k).unfold(3, k, k).sum((-1, -2)) / k).clamp(-128, 127).long()))


@mistake("int_relu", "Your windows overlap: the stride of the pooling is k, not 1.")
class pooling_with_stride_1:
    locals().update(_but(int_maxpool=lambda q, k: F.max_pool2d(q, k, 1), int_avgpool=lambda q, k: torch.round(F.avg_pool2d(q.double(), k, 1)).long()))


@mistake("int_relu", "Your pooling keeps windows that are not full. Rows and columns that fill no window are dropped.")
class pooling_rounds_up:
    locals().update(_but(int_maxpool=lambda q, k: F.max_pool2d(q, k, ceil_mode=True),
                         int_avgpool=lambda q, k: torch.round(F.avg_pool2d(q.double(), k, ceil_mode=True)).long()))


@mistake("int_relu", "Your maximum pooling never goes below code 0. A window may hold negative codes only: start from its own codes.")
class maximum_from_0:
    locals().update(_but(int_maxpool=lambda q, k: F.max_pool2d(q, k).clamp(min=0)))


@mistake("int_relu", "Your maximum pooling takes the code of largest magnitude. It is the largest code, with its sign.")
class maximum_of_magnitudes:
    locals().update(_but(int_maxpool=lambda q, k: (lambda w: w.gather(-1, w.long().abs().argmax(-1, keepdim=True))[..., 0])(q.unfold(2, k, k).unfold(3, k, k).flatten(-2))))


@mistake("int_relu", "You added the codes without rescaling. Two tensors have two scales: bring both to the scale of the sum first.")
class added_without_rescaling:
    locals().update(_but(int_add=lambda q_a, z_a, m_a, q_b, z_b, m_b, z_out: (q_a.long() - z_a + q_b.long() - z_b + z_out).clamp(-128, 127)))


@mistake("int_relu", "You rescaled codes with their zero points in them. Subtract z_a and z_b first: m applies to steps from real 0.")
class added_with_zero_points:
    locals().update(_but(int_add=lambda q_a, z_a, m_a, q_b, z_b, m_b, z_out: (_part(q_a, 0, m_a) + _part(q_b, 0, m_b) + z_out).clamp(-128, 127)))


@mistake("int_relu", "You clamped the parts before you added them. A part may lie beyond 8 bits although the sum does not: clamp once, at the end.")
class clamped_parts:
    locals().update(_but(int_add=lambda q_a, z_a, m_a, q_b, z_b, m_b, z_out:
                         (_part(q_a, z_a, m_a).clamp(-128, 127) + _part(q_b, z_b, m_b).clamp(-128, 127) + z_out).clamp(-128, 127)))


@mistake("int_relu", "Your sum wrapped around at 8 bits. Clamp to −128 … 127 before the cast.")
class sum_wraps:
    locals().update(_but(int_add=lambda q_a, z_a, m_a, q_b, z_b, m_b, z_out: (_part(q_a, z_a, m_a) + _part(q_b, z_b, m_b) + z_out).to(torch.int8)))


@mistake("int_relu", "Your sum lacks the zero point of the result: add z_out.")
class sum_without_zero_point:
    locals().update(_but(int_add=lambda q_a, z_a, m_a, q_b, z_b, m_b, z_out: (_part(q_a, z_a, m_a) + _part(q_b, z_b, m_b)).clamp(-128, 127)))


@mistake("int_relu", "Both parts of your sum are rounded down, which adds up to almost two steps. Round each to the nearest.")
class sum_of_floors:
    locals().update(_but(int_add=lambda q_a, z_a, m_a, q_b, z_b, m_b, z_out: sum(
        ((q.long() - z) * m[0]) >> (31 + m[1]) for q, z, m in ((q_a, z_a, m_a), (q_b, z_b, m_b))).add(z_out).clamp(-128, 127)))


class _Integers:
    """A right model, with places to go wrong in: each option is one of the mistakes below."""
    bias_scale = channel_scales = True
    relu_at = pad_with = None
    subtract_zero = add_zero = saturate = True

    def __init__(self, model, x_calib):
        self.grid, self.steps = self.range(x_calib), []
        (s, z), x, layers = self.grid, x_calib, list(model)
        self.last = [n for n, layer in enumerate(layers) if isinstance(layer, (nn.Linear, nn.Conv2d))][-1]
        for number, layer in enumerate(layers):
            x = layer(x).detach()
            if not isinstance(layer, (nn.Linear, nn.Conv2d)):
                self.steps.append((layer, z))
                continue
            w = layer.weight.detach().double().flatten(1)
            s_w = w.abs().amax(1, keepdim=True).clamp(min=1e-9) / 127
            s_out, z_out = self.range(x)
            q_w = torch.round(w / s_w).long().view(layer.weight.shape)
            q_b = torch.round(layer.bias.detach().double() / (s_w[:, 0] * (s if self.bias_scale else 1))).long()
            m0, shift = torch.tensor([_right_pair(m) for m in (s_w[:, 0] * s / s_out).tolist()]).T
            self.steps.append((layer, z, q_w, q_b, m0, shift, z_out, number == self.last))
            s, z = s_out, z_out

    @staticmethod
    def range(x):
        lo, hi = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
        s = (hi - lo) / 255 or 1.0
        return s, round(-128 - lo / s)

    def quantize(self, x):
        s, z = self.grid
        q = torch.round(x.double() / s) + z
        return (q.clamp(-128, 127) if self.saturate else q).long()

    def __call__(self, q):
        for layer, z, *integers in self.steps:
            q = self.layer(q, layer, z, *integers) if integers else self.other(q, layer, z)
        return q

    def layer(self, q, layer, z, q_w, q_b, m0, shift, z_out, last):
        x = q - z if self.subtract_zero else q
        if isinstance(layer, nn.Conv2d):
            if self.pad_with is not None:
                x = F.pad(x, (layer.padding[0],) * 4, value=self.pad_with - z)
            acc = F.conv2d(x, q_w, q_b, layer.stride, 0 if self.pad_with is not None else layer.padding)
            m0, shift = _channels(m0), _channels(shift)
        else:
            acc = x @ q_w.T + q_b
        return self.rescale(acc, m0, shift, z_out, last)

    def rescale(self, acc, m0, shift, z_out, last):
        return acc if last and not self.channel_scales else _rescale(acc, m0, shift, z_out if self.add_zero else 0)

    def other(self, q, layer, z):
        if isinstance(layer, nn.ReLU):
            return q.clamp(min=z if self.relu_at is None else self.relu_at)
        if isinstance(layer, nn.Flatten):
            return q.flatten(1)
        pool = _Right.int_maxpool if isinstance(layer, nn.MaxPool2d) else _Right.int_avgpool
        return pool(q, layer.kernel_size)


@mistake("IntegerModel", "Your ReLU cuts at code 0 instead of the zero point, so small activations are lost or negative ones kept. Real 0 has the code z.")
class relu_cuts_at_0(_Integers):
    relu_at = 0


@mistake("IntegerModel", "You have no ReLU where negative numbers come in: codes below the zero point must become the zero point.")
class no_relu(_Integers):
    relu_at = -128


@mistake("IntegerModel", "You scaled the biases by s_w alone. The accumulator counts in steps of s_w·s_x.")
class bias_in_units_of_weights(_Integers):
    bias_scale = False


@mistake("IntegerModel", "You gave the last layer's accumulators as logits, though every output has a scale of its own. Bring them to one unit, or use one scale for that layer's weights.")
class logits_left_unscaled(_Integers):
    channel_scales = False


@mistake("IntegerModel", "You padded pictures with code 0. Padding stands for real 0, whose code is the input's zero point.")
class pads_with_code_0(_Integers):
    pad_with = 0


@mistake("IntegerModel", "You left the input's zero point out of the products: sum q_w·(q_x − z_x), or fold z_x into the bias.")
class zero_point_not_subtracted(_Integers):
    subtract_zero = False


@mistake("IntegerModel", "You left the output's zero point out. Add it to what you rescaled, before the clamp.")
class zero_point_not_added(_Integers):
    add_zero = False


@mistake("IntegerModel", "Your quantize does not saturate: inputs outside the calibrated range get codes outside −128 … 127.")
class inputs_not_saturated(_Integers):
    saturate = False


@mistake("IntegerModel", "Your quantize wraps around: a large input got a small code. Clamp to −128 … 127 before the cast to int8.")
class inputs_wrap(_Integers):
    def quantize(self, x):
        s, z = self.grid
        return (torch.round(x / s) + z).long().to(torch.int8)


@mistake("IntegerModel", "Your quantize rounds down. Take the nearest code: torch.round before you add the zero point.")
class inputs_rounded_down(_Integers):
    def quantize(self, x):
        s, z = self.grid
        return (torch.floor(x / s) + z).clamp(-128, 127).long()


@mistake("IntegerModel", "You rescaled in floating point: acc times a real factor, rounded. Use the integer multiplier m0 and a rounding shift.")
class rescales_in_float(_Integers):
    def rescale(self, acc, m0, shift, z_out, last):
        return (torch.round(acc.double() * m0.double() * 2.0 ** (-31.0 - shift)) + z_out).clamp(-128, 127).long()


@mistake("IntegerModel", "You rescaled in floating point, by numpy: its arrays were float64. Use the integer multiplier m0 and a rounding shift.")
class rescales_in_numpy_floats(_Integers):
    def rescale(self, acc, m0, shift, z_out, last):
        return torch.from_numpy(np.clip(np.rint(acc.numpy() * (m0.numpy() * 2.0 ** (-31.0 - shift.numpy()))) + z_out, -128, 127).astype(np.int64))


@mistake("IntegerModel", "You rescaled the logits with Python floats, number by number. Use the integer multiplier m0 and a rounding shift.")
class rescales_in_python_floats(_Integers):
    def rescale(self, acc, m0, shift, z_out, last):
        if not last:
            return super().rescale(acc, m0, shift, z_out, last)
        rows = [[max(-128, min(127, round(a * (m * 2.0 ** (-31 - s))) + z_out)) for a, m, s in zip(row, m0.tolist(), shift.tolist())] for row in acc.tolist()]
        return torch.tensor(rows)


@mistake("IntegerModel", "You turned the codes back into floats, ran the float model and rounded its logits. Every layer has to compute on codes.")
class float_model_inside(_Integers):
    def __init__(self, model, x_calib):
        super().__init__(model, x_calib)
        self.model = copy.deepcopy(model)

    def __call__(self, q):
        s, z = self.grid
        return torch.round(self.model((q - z).float() * s) * 1000).detach().long()


@mistake("IntegerModel", "You summed products in floating point: they were float tensors. Convolve and multiply integer tensors, in int64.")
class products_in_float(_Integers):
    def layer(self, q, layer, z, q_w, q_b, m0, shift, z_out, last):
        x = (q - z).double()
        if isinstance(layer, nn.Conv2d):
            acc, m0, shift = F.conv2d(x, q_w.double(), q_b.double(), layer.stride, layer.padding), _channels(m0), _channels(shift)
        else:
            acc = F.linear(x, q_w.double(), q_b.double())
        return _rescale(acc.long(), m0, shift, z_out)


@mistake("IntegerModel", "Your logits are floating-point numbers: you turned the last codes back into real numbers. The answer to codes is integer logits.")
class float_logits(_Integers):
    def __call__(self, q):
        return super().__call__(q) * 0.1


@mistake("IntegerModel", "You took the range of each layer's output from the batch at hand, so a picture's logits depend on the others. Ranges are calibrated once.")
class ranges_of_the_batch(_Integers):
    def rescale(self, acc, m0, shift, z_out, last):
        y = _right_shift(acc, m0, shift)
        return (y * 127) // y.abs().max().clamp(min=1) if last else (y + z_out).clamp(-128, 127)


@mistake("IntegerModel", "You kept the sums in 16 bits, where they wrap around. Accumulators are int32.")
class sums_of_16_bits(_Integers):
    def rescale(self, acc, m0, shift, z_out, last):
        return super().rescale(acc.to(torch.int16).long(), m0, shift, z_out, last)


@mistake("IntegerModel", "Codes beyond 8 bits wrap around in your layers: inputs larger than those of the calibration turn large activations into small ones. Clamp to −128 … 127 first.")
class codes_wrap(_Integers):
    def rescale(self, acc, m0, shift, z_out, last):
        return (_right_shift(acc, m0, shift) + z_out).to(torch.int8).long()


@mistake("IntegerModel", "You rounded the weights of the model that you were given. Leave it as it is and keep codes of your own.")
class changes_the_model(_Integers):
    def __init__(self, model, x_calib):
        super().__init__(model, x_calib)
        for p in model.parameters():
            p.data = torch.round(p.data * 100) / 100
