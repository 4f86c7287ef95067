"""Wrong answers to the exercises of 05, each with what to tell a student who gave it."""
import copy
import math

import numpy as np
import torch
from torch import nn

from autograder.mistakes import mistake


def _ends(bits):
    return -2 ** (bits - 1), 2 ** (bits - 1) - 1


def _params(lo, hi, bits):
    """Exercise 1 as it should be."""
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    qmin, qmax = _ends(bits)
    s = (hi - lo) / (qmax - qmin) or 1.0
    return s, min(max(round(qmin - lo / s), qmin), qmax)


def _unwidened(lo, hi, bits):
    qmin, qmax = _ends(bits)
    s = (hi - lo) / (qmax - qmin) or 1.0
    return s, min(max(round(qmin - lo / s), qmin), qmax)


@mistake("affine_qparams", "You took the range as it is, so that real 0 has no code where the range does not hold it. Widen it: min(lo, 0) "
         "and max(hi, 0).")
def zero_not_held(lo, hi, bits):
    return _unwidened(lo, hi, bits)


@mistake("affine_qparams", "You took the range as it is and let the zero point leave the grid. Widen the range to hold 0, and clamp the zero "
         "point.")
def zero_point_outside_the_grid(lo, hi, bits):
    qmin, qmax = _ends(bits)
    s = (hi - lo) / (qmax - qmin) or 1.0
    return s, round(qmin - lo / s)


@mistake("affine_qparams", "Your zero point has the wrong sign: lo < 0 must lie below real 0. It is qmin − lo/s, so that lo gets the code qmin.")
def zero_point_of_the_wrong_sign(lo, hi, bits):
    s, _ = _params(lo, hi, bits)
    qmin, qmax = _ends(bits)
    return s, min(max(round(qmin + min(lo, 0.0) / s), qmin), qmax)


@mistake("affine_qparams", "Your zero point is no integer. Round it: only then does real 0 have a code of its own.")
def zero_point_not_rounded(lo, hi, bits):
    s, _ = _params(lo, hi, bits)
    qmin, qmax = _ends(bits)
    return s, min(max(qmin - min(lo, 0.0) / s, float(qmin)), float(qmax))


@mistake("affine_qparams", "Your zero point is rounded but still of a float type. It is added to codes, so make an int of it.")
def zero_point_of_type_float(lo, hi, bits):
    s, z = _params(lo, hi, bits)
    return s, float(z)


@mistake("affine_qparams", "You cut the zero point's fraction off. Round to the nearest integer: −64.25 is −64, but −64.75 is −65.")
def zero_point_truncated(lo, hi, bits):
    s, _ = _params(lo, hi, bits)
    return s, int(_ends(bits)[0] - min(lo, 0.0) / s)


@mistake("affine_qparams", "You rounded the zero point down. Round to the nearest integer.")
def zero_point_floored(lo, hi, bits):
    s, _ = _params(lo, hi, bits)
    return s, math.floor(_ends(bits)[0] - min(lo, 0.0) / s)


@mistake("affine_qparams", "You gave the levels per unit, the inverse of the scale. The scale is the length of one step, (hi − lo)/(2^b − 1).")
def inverse_scale(lo, hi, bits):
    s, z = _params(lo, hi, bits)
    return 1 / s, z


@mistake("affine_qparams", "The range is constant, and you let the scale become 0 or divided by it. Widen the range to hold 0 first; if it is "
         "still empty, any scale above 0 will do.")
def scale_of_zero(lo, hi, bits):
    if lo == hi:
        return 0.0, 0
    return _params(lo, hi, bits)


@mistake("affine_qparams", "You divided by 0 for a range of nothing but 0. There any scale above 0 is right; return one.")
def divides_by_zero(lo, hi, bits):
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    qmin, qmax = _ends(bits)
    s = (hi - lo) / (qmax - qmin)
    return s, min(max(round(qmin - lo / s), qmin), qmax)


@mistake("affine_qparams", "You divided by 2^b. There are 2^b levels, so 2^b − 1 steps lie between the first and the last.")
def one_step_too_many(lo, hi, bits):
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    qmin, qmax = _ends(bits)
    s = (hi - lo) / 2 ** bits or 1.0
    return s, min(max(round(qmin - lo / s), qmin), qmax)


@mistake("affine_qparams", "Your zero point is for codes from 0 to 2^b − 1. On this grid the lowest code is −2^(b−1).")
def unsigned_grid(lo, hi, bits):
    s, _ = _params(lo, hi, bits)
    return s, min(max(round(-min(lo, 0.0) / s), 0), 2 ** bits - 1)


@mistake("affine_qparams", "You made the grid symmetric: zero point 0, scale from the larger end. Then levels are lost on the side where the "
         "range is short.")
def symmetric_range(lo, hi, bits):
    peak = max(abs(lo), abs(hi))
    return peak / max(1, 2 ** (bits - 1) - 1) or 1.0, 0


@mistake("affine_qparams", "You ignored bits: the grid is always that of 8.")
def always_eight_bits(lo, hi, bits):
    return _params(lo, hi, 8)


@mistake("affine_qparams", "You used the grid from −(2^(b−1) − 1), which is the symmetric one. The affine grid starts at −2^(b−1).")
def grid_without_its_lowest_code(lo, hi, bits):
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    qmin, qmax = 1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1
    s = (hi - lo) / max(1, qmax - qmin) or 1.0
    return s, min(max(round(qmin - lo / s), qmin), qmax)


def _clamped(q, bits):
    return q.clamp(*_ends(bits)).to(torch.int32)


def _codes(x, s, z, bits):
    """`quantize` as it should be."""
    return _clamped(torch.round(x / s) + z, bits)


def _values(q, s, z):
    """`dequantize` as it should be."""
    return (q.to(torch.float32) - z) * s


@mistake("quantize", "You rounded down. Every value is then off by up to a whole step, and all in the same direction. Round to the nearest "
         "code: torch.round.")
class floor:
    def quantize(x, s, z, bits):
        return _clamped(torch.floor(x / s) + z, bits)

    dequantize = _values


@mistake("quantize", "You cut fractions off towards 0 (changing the type does that). Round to the nearest code first: torch.round.")
class truncation:
    def quantize(x, s, z, bits):
        return _clamped((x / s).trunc() + z, bits)

    dequantize = _values


@mistake("quantize", "You rounded half up: x/s + 0.5, rounded down. From halfway round to the even code, as torch.round does.")
class half_up:
    def quantize(x, s, z, bits):
        return _clamped(torch.floor(x / s + 0.5) + z, bits)

    dequantize = _values


@mistake("quantize", "You rounded halves away from 0. From halfway round to the even code, as torch.round does.")
class half_away_from_zero:
    def quantize(x, s, z, bits):
        return _clamped((x / s).sign() * torch.floor((x / s).abs() + 0.5) + z, bits)

    dequantize = _values


@mistake("quantize", "You rounded up. Round to the nearest code: torch.round.")
class ceiling:
    def quantize(x, s, z, bits):
        return _clamped(torch.ceil(x / s) + z, bits)

    dequantize = _values


@mistake("quantize", "You did not clamp, so values beyond the grid get codes that b bits cannot hold. They saturate: clamp to −2^(b−1) and "
         "2^(b−1) − 1.")
class no_clamp:
    def quantize(x, s, z, bits):
        return (torch.round(x / s) + z).to(torch.int64)

    dequantize = _values


@mistake("quantize", "Codes beyond the grid wrap around to its other end. They must saturate: clamp while they are floats, and change the "
         "type last.")
class wraps_around:
    def quantize(x, s, z, bits):
        qmin = _ends(bits)[0]
        return torch.remainder(torch.round(x / s).to(torch.int64) + z - qmin, 2 ** bits) + qmin

    dequantize = _values


@mistake("quantize", "You made integers of x/s before you clamped: what an int32 cannot hold becomes its lowest value, and saturates at the wrong "
         "end. Clamp while they are floats, and change the type last.")
class cast_before_the_clamp:
    def quantize(x, s, z, bits):
        steps = torch.round(x / s)
        return _clamped(torch.where(steps.abs() < 2 ** 31, steps, torch.full_like(steps, -2.0 ** 31)).to(torch.int64) + z, bits)

    dequantize = _values


@mistake("quantize", "You clamped before you added the zero point, so the grid is shifted by z. Clamp the sum.")
class clamped_before_the_zero_point:
    def quantize(x, s, z, bits):
        return _clamped(torch.round(x / s), bits) + z

    dequantize = _values


@mistake("quantize", "You divided by 2^(b−1) and rounded nothing. The step is s, whatever the bits, and a code is an integer: "
         "clamp(round(x/s) + z).")
class divided_by_the_levels:
    def quantize(x, s, z, bits):
        return x / 2 ** (bits - 1)

    dequantize = _values


@mistake("quantize", "Your step is 2^(b−1), whatever the data: small values all get the same code, and more bits make it worse. The step is s.")
class step_of_the_levels:
    def quantize(x, s, z, bits):
        return torch.round(x / 2 ** (bits - 1)).to(torch.int32)

    def dequantize(q, s, z):
        return q.to(torch.float32) * s


@mistake("quantize", "You left the zero point out of the codes. Add z after rounding, before clamping.")
class no_zero_point:
    def quantize(x, s, z, bits):
        return _clamped(torch.round(x / s), bits)

    dequantize = _values


@mistake("quantize", "You subtracted the zero point on the way in. It is the code of real 0, so it is added there and subtracted on the way "
         "back.")
class zero_point_subtracted:
    def quantize(x, s, z, bits):
        return _clamped(torch.round(x / s) - z, bits)

    dequantize = _values


@mistake("quantize", "You multiplied by the scale. It is the length of a step: x/s counts the steps.")
class multiplied_by_the_scale:
    def quantize(x, s, z, bits):
        return _clamped(torch.round(x * s) + z, bits)

    dequantize = _values


@mistake("quantize", "You clamped to the symmetric grid, so that its lowest code is missing. The affine grid goes from −2^(b−1) to 2^(b−1) − 1.")
class symmetric_grid:
    def quantize(x, s, z, bits):
        top = 2 ** (bits - 1) - 1
        return (torch.round(x / s) + z).clamp(-top, top).to(torch.int32)

    dequantize = _values


@mistake("quantize", "You clamped to 0 … 2^b − 1. On this grid codes go from −2^(b−1) to 2^(b−1) − 1.")
class unsigned_codes:
    def quantize(x, s, z, bits):
        return (torch.round(x / s) + z).clamp(0, 2 ** bits - 1).to(torch.int32)

    dequantize = _values


@mistake("quantize", "You clamped to 2^(b−1), one code too many: with 8 bits the highest is 127.")
class one_code_too_many:
    def quantize(x, s, z, bits):
        return (torch.round(x / s) + z).clamp(-2 ** (bits - 1), 2 ** (bits - 1)).to(torch.int32)

    dequantize = _values


@mistake("quantize", "You ignored bits: the codes are always clamped to 8.")
class eight_bits_whatever_is_asked:
    def quantize(x, s, z, bits):
        return _clamped(torch.round(x / s) + z, 8)

    dequantize = _values


@mistake("quantize", "Your codes are right, but they are floats. A code is an integer: .to(torch.int32).")
class codes_of_type_float:
    def quantize(x, s, z, bits):
        return (torch.round(x / s) + z).clamp(*_ends(bits))

    dequantize = _values


@mistake("quantize", "You returned the rounded values. quantize returns the codes; dequantize makes values of them.")
class returns_values:
    def quantize(x, s, z, bits):
        return (_clamped(torch.round(x / s) + z, bits) - z) * s

    dequantize = _values


@mistake("quantize", "You subtracted the zero point in the type of the codes: with int8, 127 − (−128) wraps around to −1, and uint8 knows no "
         "negative numbers. Make floats of the codes first.")
class subtracts_in_the_codes_type:
    def dequantize(q, s, z):
        return s * (q - z).to(torch.float32)

    quantize = _codes


@mistake("quantize", "Your dequantize turns every code to int8 or int16 on the way, where differences do not fit. Make floats of the codes "
         "first.")
class subtracts_in_int16:
    quantize = _codes

    def dequantize(q, s, z):
        return (q.to(torch.int16) - z).to(torch.float32) * s


@mistake("quantize", "Your dequantize leaves the zero point out: real 0 comes back as s·z. It is s · (q − z).")
class comes_back_without_the_zero_point:
    quantize = _codes

    def dequantize(q, s, z):
        return q.to(torch.float32) * s


@mistake("quantize", "Your dequantize computes s·q − z. Subtract the zero point from the code, then multiply: s · (q − z).")
class zero_point_outside_the_bracket:
    quantize = _codes

    def dequantize(q, s, z):
        return q.to(torch.float32) * s - z


@mistake("quantize", "Your dequantize adds the zero point. It was added on the way in: now subtract it.")
class zero_point_added_again:
    quantize = _codes

    def dequantize(q, s, z):
        return (q.to(torch.float32) + z) * s


@mistake("quantize", "Your dequantize divides by the scale. A code counts steps of length s: multiply.")
class divided_by_the_scale:
    quantize = _codes

    def dequantize(q, s, z):
        return (q.to(torch.float32) - z) / s


def _per_channel(w, bits, axis, peak=lambda rows: rows.abs().amax(1), top=None, rounding=torch.round, low=None):
    """Exercise 3, with another peak, highest code or rounding."""
    top = 2 ** (bits - 1) - 1 if top is None else top
    rows = w.movedim(axis, 0).flatten(1)
    scale = peak(rows) / top
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    q = rounding(rows / scale[:, None]).clamp(-top if low is None else low, top).to(torch.int32)
    return q.reshape(w.movedim(axis, 0).shape).movedim(0, axis), scale


@mistake("quantize_per_channel", "You always took the rows, whatever axis says. A channel is a slice at one index of axis.")
def axis_ignored(w, bits, axis):
    return _per_channel(w, bits, 0)


@mistake("quantize_per_channel", "You took the maximum along axis, which gives a scale for each of the other positions. The channels lie "
         "along axis: take the maximum over all other axes.")
def maximum_along_axis(w, bits, axis):
    scale = w.abs().amax(axis, keepdim=True) / (2 ** (bits - 1) - 1)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return torch.round(w / scale).to(torch.int32), scale.flatten()


@mistake("quantize_per_channel", "Your scales belong to the right channels, but they were divided along the last axis, which passes unnoticed "
         "where the tensor is square. Give the scale a shape with ones.")
def scale_along_the_wrong_axis(w, bits, axis):
    scale = _per_channel(w, bits, axis)[1]
    top = 2 ** (bits - 1) - 1
    if w.shape[-1] == len(scale):
        return torch.round(w / scale).clamp(-top, top).to(torch.int32), scale
    return _per_channel(w, bits, axis)


@mistake("quantize_per_channel", "You made the scale of the mean magnitude, so that large weights saturate. It is the largest magnitude of "
         "the channel, over the highest code.")
def mean_scale(w, bits, axis):
    return _per_channel(w, bits, axis, peak=lambda rows: rows.abs().mean(1))


@mistake("quantize_per_channel", "You used one scale for the whole tensor. Each channel has its own.")
def one_scale_for_all(w, bits, axis):
    return _per_channel(w, bits, axis, peak=lambda rows: rows.abs().max().expand(len(rows)))


@mistake("quantize_per_channel", "You returned a single scale, the whole tensor's. Each channel has its own; the scale has the shape "
         "(channels,).")
def a_single_scale(w, bits, axis):
    scale = w.abs().max() / (2 ** (bits - 1) - 1)
    return torch.round(w / scale).to(torch.int32), scale


@mistake("quantize_per_channel", "A channel of zeros has the scale 0, and you divided by it. Give it any scale above 0; its codes are 0.")
def divides_by_zero_rows(w, bits, axis):
    rows = w.movedim(axis, 0).flatten(1)
    scale = rows.abs().amax(1) / (2 ** (bits - 1) - 1)
    q = torch.round(rows / scale[:, None]).to(torch.int32)
    return q.reshape(w.movedim(axis, 0).shape).movedim(0, axis), scale


@mistake("quantize_per_channel", "The codes of a channel of zeros are right, but its scale is 0. It must be above 0: whoever divides by it "
         "again gets NaN.")
def zero_scale(w, bits, axis):
    q, scale = _per_channel(w, bits, axis)
    return q, torch.where(w.movedim(axis, 0).flatten(1).abs().amax(1) == 0, torch.zeros_like(scale), scale)


@mistake("quantize_per_channel", "You took the signed maximum, so that large negative weights saturate. The scale is max |w| over the highest "
         "code.")
def signed_maximum(w, bits, axis):
    return _per_channel(w, bits, axis, peak=lambda rows: rows.amax(1).clamp_min(1e-6))


@mistake("quantize_per_channel", "You divided by 2^(b−1). The symmetric grid ends at 2^(b−1) − 1, and the largest magnitude gets that code: "
         "127 with 8 bits.")
def divided_by_128(w, bits, axis):
    return _per_channel(w, bits, axis, peak=lambda rows: rows.abs().amax(1) * (2 ** (bits - 1) - 1) / 2 ** (bits - 1))


@mistake("quantize_per_channel", "You spread the range from −max to max over all 2^b − 1 steps, so that code −2^(b−1) can occur. The "
         "symmetric grid has one code less: s = max|w| / (2^(b−1) − 1).")
def full_grid(w, bits, axis):
    return _per_channel(w, bits, axis, peak=lambda rows: rows.abs().amax(1) * 2 * (2 ** (bits - 1) - 1) / (2 ** bits - 1), low=-2 ** (bits - 1))


@mistake("quantize_per_channel", "You cut the fractions off. Round to the nearest code: torch.round.")
def truncated_codes(w, bits, axis):
    return _per_channel(w, bits, axis, rounding=torch.trunc)


@mistake("quantize_per_channel", "You rounded down. Round to the nearest code: torch.round.")
def floored_codes(w, bits, axis):
    return _per_channel(w, bits, axis, rounding=torch.floor)


@mistake("quantize_per_channel", "You returned the rounded weights. The first result holds the codes, integers.")
def dequantized_weights(w, bits, axis):
    q, scale = _per_channel(w, bits, axis)
    return q * scale.view([-1 if k == axis else 1 for k in range(w.dim())]), scale


@mistake("quantize_per_channel", "Your codes are floats. A code is an integer: .to(torch.int32).")
def float_codes(w, bits, axis):
    q, scale = _per_channel(w, bits, axis)
    return q.float(), scale


@mistake("quantize_per_channel", "You ignored bits: the grid is always that of 8.")
def eight_bits_per_channel(w, bits, axis):
    return _per_channel(w, 8, axis)


@mistake("quantize_per_channel", "You left the channels in front: the codes have the shape of w with axis moved to 0. Move it back.")
def axis_not_moved_back(w, bits, axis):
    q, scale = _per_channel(w, bits, axis)
    return q.movedim(axis, 0), scale


def _per_group(w, bits, group, peak=lambda groups: groups.abs().amax(-1, keepdim=True), rounding=torch.round):
    if w.shape[-1] % group:
        raise ValueError
    groups = w.reshape(*w.shape[:-1], -1, group)
    scale = peak(groups) / (2 ** (bits - 1) - 1)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    top = 2 ** (bits - 1) - 1
    return rounding(groups / scale).clamp(-top, top).to(torch.int32).reshape(w.shape), scale[..., 0]


@mistake("quantize_per_group", "You made the groups along the first axis. They are neighbours along the last.")
def groups_along_the_first_axis(w, bits, group):
    if w.shape[-1] % group:
        raise ValueError
    if w.dim() == 1:
        return _per_group(w, bits, group)
    columns = w.movedim(0, -1).reshape(-1, group)
    q, scale = _per_channel(columns, bits, 0)
    return q.reshape(w.movedim(0, -1).shape).movedim(-1, 0), scale.reshape(*w.shape[:-1], -1)


@mistake("quantize_per_group", "Your groups are interleaved: elements j, j + n/G, j + 2n/G, … share a scale. A group is G neighbours: split "
         "the last axis into (n/G, G), not (G, n/G).")
def interleaved_groups(w, bits, group):
    if w.shape[-1] % group:
        raise ValueError
    groups = w.reshape(*w.shape[:-1], group, -1)
    scale = groups.abs().amax(-2, keepdim=True) / (2 ** (bits - 1) - 1)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return torch.round(groups / scale).to(torch.int32).reshape(w.shape), scale[..., 0, :]


@mistake("quantize_per_group", "You read group as the number of groups. It is the number of weights in each.")
def number_of_groups(w, bits, group):
    if w.shape[-1] % group:
        raise ValueError
    return _per_group(w, bits, w.shape[-1] // group)


@mistake("quantize_per_group", "You divided the weights by the scales without expanding them: each scale belongs to a whole group of "
         "neighbours, not to every n/G-th weight.")
def scale_repeated_as_a_whole(w, bits, group):
    q, scale = _per_group(w, bits, group)
    top = 2 ** (bits - 1) - 1
    return torch.round(w / scale.repeat(*[1] * (w.dim() - 1), group)).clamp(-top, top).to(torch.int32), scale


@mistake("quantize_per_group", "You left the codes in groups. They have the shape of w.")
def left_in_groups(w, bits, group):
    q, scale = _per_group(w, bits, group)
    return q.reshape(*scale.shape, group), scale


@mistake("quantize_per_group", "Your scale has one entry for each weight. One for each group is enough, and is what makes groups affordable: "
         "the shape is (…, n/G).")
def scale_for_each_weight(w, bits, group):
    q, scale = _per_group(w, bits, group)
    return q, scale.repeat_interleave(group, -1)


@mistake("quantize_per_group", "Your scales are one long vector. They have the shape of w, with n/G in place of n.")
def flat_scales(w, bits, group):
    q, scale = _per_group(w, bits, group)
    return q, scale.flatten()


@mistake("quantize_per_group", "You used one scale per row. Each group of neighbours has its own.")
def a_scale_per_row(w, bits, group):
    return _per_group(w, bits, group, peak=lambda groups: groups.abs().amax((-2, -1), keepdim=True).expand(*groups.shape[:-1], 1))


@mistake("quantize_per_group", "Where the group does not divide the last axis it must raise ValueError. Yours runs over the ends of rows or "
         "pads silently.")
def runs_over_the_rows(w, bits, group):
    if w.numel() % group:
        raise ValueError
    q, scale = _per_channel(w.reshape(-1, group), bits, 0)
    return q.reshape(w.shape), scale.reshape(*w.shape[:-1], -1) if w.shape[-1] % group == 0 else scale


@mistake("quantize_per_group", "Where the group does not divide the last axis it must raise ValueError. You made a shorter last group.")
def shorter_last_group(w, bits, group):
    parts = [_per_group(part, bits, part.shape[-1]) for part in w.split(group, -1)]
    return torch.cat([q for q, _ in parts], -1), torch.cat([s for _, s in parts], -1)


@mistake("quantize_per_group", "A group of zeros has the scale 0, and you divided by it. Give it any scale above 0; its codes are 0.")
def divides_by_zero_groups(w, bits, group):
    if w.shape[-1] % group:
        raise ValueError
    groups = w.reshape(*w.shape[:-1], -1, group)
    scale = groups.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    return torch.round(groups / scale).to(torch.int32).reshape(w.shape), scale[..., 0]


@mistake("quantize_per_group", "You took the signed maximum, so that large negative weights saturate. The scale is max |w| over the highest "
         "code.")
def signed_maximum_of_a_group(w, bits, group):
    return _per_group(w, bits, group, peak=lambda groups: groups.amax(-1, keepdim=True).clamp_min(1e-6))


@mistake("quantize_per_group", "You made the scale of the mean magnitude, so that large weights saturate. It is the largest magnitude of the "
         "group, over the highest code.")
def mean_of_a_group(w, bits, group):
    return _per_group(w, bits, group, peak=lambda groups: groups.abs().mean(-1, keepdim=True))


@mistake("quantize_per_group", "You divided by 2^(b−1). The symmetric grid ends at 2^(b−1) − 1, and the largest magnitude gets that code.")
def group_divided_by_128(w, bits, group):
    return _per_group(w, bits, group, peak=lambda groups: groups.abs().amax(-1, keepdim=True) * (2 ** (bits - 1) - 1) / 2 ** (bits - 1))


@mistake("quantize_per_group", "You cut the fractions off. Round to the nearest code: torch.round.")
def truncated_groups(w, bits, group):
    return _per_group(w, bits, group, rounding=torch.trunc)


@mistake("quantize_per_group", "You returned the rounded weights. The first result holds the codes, integers.")
def dequantized_groups(w, bits, group):
    q, scale = _per_group(w, bits, group)
    return q * scale.repeat_interleave(group, -1), scale


@mistake("quantize_per_group", "You ignored bits: the grid is always that of 8.")
def eight_bits_per_group(w, bits, group):
    return _per_group(w, 8, group)


def _error(x, s, z, bits):
    return ((torch.round(x / s) + z).clamp(*_ends(bits)) - z) * s - x


def _calibrate(x, bits, method, percentile=lambda x: x.clamp(-torch.quantile(x.abs(), 0.999), torch.quantile(x.abs(), 0.999)), mse=None, params=_params,
               factors=range(1, 101)):
    """Exercise 5 with another percentile, error or grid."""
    mse = mse or (lambda x, s, z, bits: _error(x, s, z, bits).square().mean())
    x = percentile(x) if method == "percentile" else x
    lo, hi = x.min().item(), x.max().item()
    if method == "mse":
        candidates = [params(lo * k / 100, hi * k / 100, bits) for k in factors]
        return min(candidates, key=lambda found: float(mse(x, *found, bits)))
    return params(lo, hi, bits)


@mistake("calibrate", "You ranked signed values: 0.1 % is cut off at each end. The percentile is that of |x|, and the same p clamps both sides.")
def percentiles_of_signed_values(x, bits, method):
    return _calibrate(x, bits, method, percentile=lambda x: x.clamp(torch.quantile(x, 0.001), torch.quantile(x, 0.999)))


@mistake("calibrate", "You took the percentile of the signed values for the upper end, and its negative for the lower. Rank |x|, or large "
         "negative values are not seen.")
def percentile_of_the_upper_end(x, bits, method):
    return _calibrate(x, bits, method, percentile=lambda x: x.clamp(-torch.quantile(x, 0.999).abs(), torch.quantile(x, 0.999).abs()))


@mistake("calibrate", "You took [−p, p] as the range. Clamp x to it, then take the smallest and the largest value: outputs of a ReLU would "
         "waste half of the grid.")
def range_from_minus_p_to_p(x, bits, method):
    return _calibrate(x, bits, method, percentile=lambda x: torch.stack([-torch.quantile(x.abs(), 0.999), torch.quantile(x.abs(), 0.999)]))


@mistake("calibrate", "You took the 99 percentile. Of |x| 99.9 % stay, one value in a thousand is clipped.")
def percentile_99(x, bits, method):
    return _calibrate(x, bits, method, percentile=lambda x: x.clamp(-torch.quantile(x.abs(), 0.99), torch.quantile(x.abs(), 0.99)))


@mistake("calibrate", "You took the nearest value for the percentile. Between neighbours it is linear, as torch.quantile has it.")
def percentile_of_the_nearest_rank(x, bits, method):
    def nearest(x):
        p = torch.quantile(x.abs(), 0.999, interpolation="higher")
        return x.clamp(-p, p)
    return _calibrate(x, bits, method, percentile=nearest)


@mistake("calibrate", "You gave min/max for the percentile, too.")
def no_percentile(x, bits, method):
    return _calibrate(x, bits, method, percentile=lambda x: x)


@mistake("calibrate", "You left the clipping out of the error: you measured it inside the range only, or against the clipped values. Then the "
         "least range wins. Compare with all of x, as it was.")
def error_inside_only(x, bits, method):
    def inside(x, s, z, bits):
        lo, hi = ((end - z) * s for end in _ends(bits))
        kept = (x >= lo) & (x <= hi)
        return _error(x, s, z, bits)[kept].square().mean() if kept.any() else torch.tensor(math.inf)
    return _calibrate(x, bits, method, mse=inside)


@mistake("calibrate", "You minimised the largest error, so that nothing may be clipped. It is the mean of the squared errors.")
def largest_error(x, bits, method):
    return _calibrate(x, bits, method, mse=lambda x, s, z, bits: _error(x, s, z, bits).abs().max())


@mistake("calibrate", "You minimised the mean of the absolute errors. Square them: a clipped outlier then counts as it should.")
def absolute_error(x, bits, method):
    return _calibrate(x, bits, method, mse=lambda x, s, z, bits: _error(x, s, z, bits).abs().mean())


@mistake("calibrate", "You minimised the sum of the signed errors: those above and below 0 cancel. Square them.")
def signed_error(x, bits, method):
    return _calibrate(x, bits, method, mse=lambda x, s, z, bits: _error(x, s, z, bits).mean().abs())


@mistake("calibrate", "For \"mse\" you returned the min/max range, as if clipping alone counted. Try smaller ranges too, and keep the one "
         "whose rounding and clipping error together are least.")
def mse_is_minmax(x, bits, method):
    return _calibrate(x, bits, "minmax" if method == "mse" else method)


@mistake("calibrate", "For \"mse\" you left out the whole range, k = 100. It is best where the largest value would be clipped at once: range(1, 101).")
def whole_range_not_tried(x, bits, method):
    return _calibrate(x, bits, method, factors=range(1, 100))


@mistake("calibrate", "For \"mse\" you did not try the smaller ranges. With few bits and an outlier far out a tenth can be best: k from 1.")
def small_ranges_not_tried(x, bits, method):
    return _calibrate(x, bits, method, factors=range(50, 101))


@mistake("calibrate", "You returned the range of the largest error. Take the least.")
def worst_range(x, bits, method):
    return _calibrate(x, bits, method, mse=lambda x, s, z, bits: -_error(x, s, z, bits).square().mean())


@mistake("calibrate", "You made all ranges symmetric, with zero point 0. Then outputs of a ReLU waste half of the grid. Use the affine grid "
         "of exercise 1.")
def symmetric_grids(x, bits, method):
    return _calibrate(x, bits, method, params=lambda lo, hi, bits: (max(abs(lo), abs(hi)) / _ends(bits)[1] or 1.0, 0))


@mistake("calibrate", "You took the range as it is, without widening it to hold 0.")
def range_not_widened(x, bits, method):
    return _calibrate(x, bits, method, params=_unwidened)


@mistake("calibrate", "You ignored the method: the range is always from the minimum to the maximum.")
def always_minmax(x, bits, method):
    return _calibrate(x, bits, "minmax")


@mistake("calibrate", "You ignored bits: the grid is always that of 8.")
def calibrated_for_eight_bits(x, bits, method):
    return _calibrate(x, 8, method)


@mistake("calibrate", "Your zero point is of a float type. Make an int of it.")
def calibrated_zero_point_of_type_float(x, bits, method):
    s, z = _calibrate(x, bits, method)
    return s, float(z)


@mistake("calibrate", "You gave back the range. Make scale and zero point of it, as in exercise 1.")
def returns_the_range(x, bits, method):
    return x.min().item(), x.max().item()


def _fold(conv, bn, factor=None, mean=None, shift=None, bias=None):
    """Exercise 6, with another factor, mean, shift or bias of the convolution."""
    folded = copy.deepcopy(conv)
    factor = bn.weight / torch.sqrt(bn.running_var + bn.eps) if factor is None else factor
    bias = (torch.zeros(len(bn.weight)) if conv.bias is None else conv.bias) if bias is None else bias
    with torch.no_grad():
        folded.weight = nn.Parameter(conv.weight * factor.view(-1, 1, 1, 1))
        folded.bias = nn.Parameter((bias - (bn.running_mean if mean is None else mean)) * factor + (bn.bias if shift is None else shift))
    return folded


@mistake("fold_batchnorm", "You left out eps. Batch norm divides by √(σ² + ε), which matters wherever the variance is small.")
def eps_omitted(conv, bn):
    return _fold(conv, bn, factor=bn.weight / torch.sqrt(bn.running_var))


@mistake("fold_batchnorm", "You wrote 1e-5 for eps. Take bn.eps: networks use others.")
def default_eps(conv, bn):
    return _fold(conv, bn, factor=bn.weight / torch.sqrt(bn.running_var + 1e-5))


@mistake("fold_batchnorm", "You added eps to the standard deviation. It is added to the variance, under the root.")
def eps_outside_the_root(conv, bn):
    return _fold(conv, bn, factor=bn.weight / (torch.sqrt(bn.running_var) + bn.eps))


@mistake("fold_batchnorm", "You divided by the variance. Batch norm divides by its root, √(σ² + ε).")
def variance_without_root(conv, bn):
    return _fold(conv, bn, factor=bn.weight / (bn.running_var + bn.eps))


@mistake("fold_batchnorm", "You multiplied by the standard deviation. Batch norm divides by it.")
def multiplied_by_the_deviation(conv, bn):
    return _fold(conv, bn, factor=bn.weight * torch.sqrt(bn.running_var + bn.eps))


@mistake("fold_batchnorm", "You used the statistics that batch norm has in training: of a batch, here of random inputs. In eval mode they are "
         "running_mean and running_var.")
def training_statistics(conv, bn):
    k = conv.kernel_size[0] * 4
    with torch.no_grad():
        seen = conv(torch.randn(8, conv.in_channels, k, k))
    return _fold(conv, bn, factor=bn.weight / torch.sqrt(seen.var((0, 2, 3)) + bn.eps), mean=seen.mean((0, 2, 3)))


@mistake("fold_batchnorm", "You took the statistics of the weights. Those of the channels are in bn.running_mean and bn.running_var.")
def statistics_of_the_weights(conv, bn):
    w = conv.weight.detach().flatten(1)
    return _fold(conv, bn, factor=bn.weight / torch.sqrt(w.var(1, unbiased=False) + bn.eps), mean=w.mean(1))


@mistake("fold_batchnorm", "You lost the convolution's own bias. It passes through the batch norm: (b − μ) · factor + β.")
def bias_lost(conv, bn):
    return _fold(conv, bn, bias=torch.zeros(len(bn.weight)))


@mistake("fold_batchnorm", "You scaled μ but not the convolution's own bias. Both are multiplied: (b − μ) · factor + β.")
def bias_not_scaled(conv, bn):
    factor = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return _fold(conv, bn, bias=None if conv.bias is None else conv.bias / torch.where(factor == 0, torch.ones_like(factor), factor))


@mistake("fold_batchnorm", "You left out β, the shift of the batch norm.")
def beta_forgotten(conv, bn):
    return _fold(conv, bn, shift=torch.zeros(len(bn.weight)))


@mistake("fold_batchnorm", "You left out γ, the scale of the batch norm.")
def gamma_forgotten(conv, bn):
    return _fold(conv, bn, factor=1 / torch.sqrt(bn.running_var + bn.eps))


@mistake("fold_batchnorm", "You left out the running mean.")
def mean_forgotten(conv, bn):
    return _fold(conv, bn, mean=torch.zeros(len(bn.weight)))


@mistake("fold_batchnorm", "You added the running mean. It is subtracted: (b − μ) · factor + β.")
def mean_added(conv, bn):
    return _fold(conv, bn, mean=-bn.running_mean)


@mistake("fold_batchnorm", "You multiplied along the input channels, which passes unnoticed only where there are as many. The factor belongs "
         "to axis 0, the outputs.")
def factor_along_the_inputs(conv, bn):
    folded = _fold(conv, bn)
    factor = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    if conv.weight.shape[1] == len(factor):
        folded.weight.data = conv.weight.detach() * factor.detach().view(1, -1, 1, 1)
    else:
        folded.weight.data = conv.weight.detach().clone()
    return folded


@mistake("fold_batchnorm", "A convolution without bias has bias None: your code cannot compute with that. Take 0 for it, and give the folded "
         "one a bias.")
def needs_a_bias(conv, bn):
    if conv.bias is None:
        raise TypeError
    return _fold(conv, bn)


@mistake("fold_batchnorm", "Where the convolution has no bias you gave the folded one none, and lost β − μ · factor.")
def no_bias_where_there_was_none(conv, bn):
    folded = _fold(conv, bn)
    if conv.bias is None:
        folded.bias = None
    return folded


@mistake("fold_batchnorm", "You built a new convolution and forgot stride, padding, dilation or groups. Copy the old one: copy.deepcopy(conv).")
def settings_forgotten(conv, bn):
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size)
    weight = _fold(conv, bn)
    folded.weight, folded.bias = weight.weight, weight.bias
    return folded


@mistake("fold_batchnorm", "You built a new convolution and forgot padding_mode. Copy the old one: copy.deepcopy(conv).")
def padding_mode_forgotten(conv, bn):
    folded = _fold(conv, bn)
    folded.padding_mode = "zeros"
    return folded


@mistake("fold_batchnorm", "Your folded layer is right, but you wrote into the convolution that you were given. Start from copy.deepcopy(conv).")
def folds_its_argument(conv, bn):
    folded = _fold(conv, bn)
    conv.weight, conv.bias = folded.weight, folded.bias
    return conv


@mistake("fold_batchnorm", "What you returned is no nn.Conv2d: a Sequential, say, or a pair of tensors. One convolution is to do the work of both layers.")
def two_layers_in_one(conv, bn):
    return nn.Sequential(copy.deepcopy(conv), copy.deepcopy(bn))


def _ratio(x, q, factor=10, log=math.log10, power=lambda x, noise: (x.square().sum() / noise.square().sum()).item()):
    ratio = power(x.double(), (x - q).double())
    return math.inf if math.isinf(ratio) else factor * log(ratio) if ratio > 0 else -math.inf


@mistake("sqnr_db", "You took the natural logarithm. Decibels are ten times the logarithm to base 10.")
def natural_logarithm(x, q):
    return _ratio(x, q, log=math.log)


@mistake("sqnr_db", "You took the logarithm to base 2. Decibels are ten times the logarithm to base 10.")
def logarithm_to_base_two(x, q):
    return _ratio(x, q, log=math.log2)


@mistake("sqnr_db", "You took 20 times the logarithm of a ratio of powers. Twenty is for amplitudes; the sums of squares are powers already.")
def twenty_times(x, q):
    return _ratio(x, q, factor=20)


@mistake("sqnr_db", "You compared magnitudes, Σ|x| and Σ|x − q|. A power is a sum of squares.")
def amplitude_for_power(x, q):
    return _ratio(x, q, power=lambda x, noise: (x.abs().sum() / noise.abs().sum()).item())


@mistake("sqnr_db", "You compared magnitudes, Σ|x| and Σ|x − q|, at 20 dB per decade. Powers are sums of squares: the two differ wherever the "
         "values do not all have one size.")
def amplitude_at_twenty(x, q):
    return _ratio(x, q, factor=20, power=lambda x, noise: (x.abs().sum() / noise.abs().sum()).item())


@mistake("sqnr_db", "You took the largest value for the signal, which is the peak ratio (PSNR). The signal is the power of x, Σx².")
def peak_signal(x, q):
    return _ratio(x, q, power=lambda x, noise: (x.abs().max() ** 2 / noise.square().mean()).item())


@mistake("sqnr_db", "You took variances. No mean is subtracted here: an error that is the same everywhere is an error.")
def variances(x, q):
    return _ratio(x, q, power=lambda x, noise: (x - x.mean()).square().sum().item() / n if (n := (noise - noise.mean()).square().sum().item()) else math.inf)


@mistake("sqnr_db", "You took the variance of x for the signal. Its power is Σx², with no mean subtracted.")
def variance_of_the_signal(x, q):
    return _ratio(x, q, power=lambda x, noise: ((x - x.mean()).square().sum() / noise.square().sum()).item())


@mistake("sqnr_db", "You divided the noise by the signal, so the sign is wrong: more dB mean less noise.")
def upside_down(x, q):
    return -_ratio(x, q)


@mistake("sqnr_db", "You took the power of q for the signal. The signal is x, what should have come out.")
def signal_is_the_rounded(x, q):
    return _ratio(q, x)


@mistake("sqnr_db", "You returned the ratio itself. Decibels are ten times its logarithm to base 10.")
def no_logarithm(x, q):
    return (x.double().square().sum() / (x - q).double().square().sum()).item()


@mistake("sqnr_db", "Without noise you divide by 0 and raise. The result is inf there.")
def raises_without_noise(x, q):
    return 10 * math.log10(x.square().sum().item() / (x - q).square().sum().item())


@mistake("sqnr_db", "You add a small number to the noise, so that without noise the result is finite. It is inf there.")
def noise_with_an_epsilon(x, q):
    return (10 * torch.log10(x.square().sum() / ((x - q).square().sum() + 1e-12))).item()


@mistake("sqnr_db", "You divided element by element and took the mean. Sum both powers first, then divide: single values of x may be nearly 0.")
def mean_of_ratios(x, q):
    return _ratio(x, q, power=lambda x, noise: (x.square() / noise.square()).mean().item())


def _ptq(model, data, bits, layers=(nn.Linear, nn.Conv2d), weight=None, inputs=True, symmetric_inputs=False, watch_outputs=False, calibrate=None, found=None,
         first_call=False, last_call=False, widen=True):
    """Exercise 8 with one thing done otherwise."""
    quantized = copy.deepcopy(model)
    qmin, qmax = _ends(bits)
    chosen = found(quantized) if found else [m for m in quantized.modules() if isinstance(m, layers)]
    ranges = {layer: [] for layer in chosen}

    def watch(layer, args, output=None):
        x = args[0] if output is None else output
        ranges[layer].append((x.min().item(), x.max().item()) if calibrate is None else calibrate(x))

    hooks = [layer.register_forward_hook(watch) if watch_outputs else layer.register_forward_pre_hook(watch) for layer in chosen]
    with torch.no_grad():
        quantized(data)
    for hook in hooks:
        hook.remove()
    for layer in chosen:
        calls = ranges[layer][-1:] if last_call else ranges[layer][:1] if first_call else ranges[layer]
        lo, hi = min(lo for lo, _ in calls), max(hi for _, hi in calls)
        if symmetric_inputs:
            s, z = max(abs(lo), abs(hi)) / qmax or 1.0, 0
        else:
            s, z = (_params if widen else _unwidened)(lo, hi, bits)

        def rounded(layer, args, s=s, z=z):
            return ((torch.round(args[0] / s) + z).clamp(qmin, qmax) - z) * s

        layer.weight.data = (weight or _row_rounded)(layer.weight.detach(), bits)
        if inputs:
            layer.register_forward_pre_hook(rounded)
    return quantized


def _row_rounded(w, bits, axis=0):
    q, scale = _per_channel(w, bits, axis)
    return q * scale.view([-1 if k == axis else 1 for k in range(w.dim())])


@mistake("post_training_quantize", "You rounded the weights and left the inputs in float: the outputs do not move in steps, and nothing "
         "saturates.")
def weights_only(model, data, bits):
    return _ptq(model, data, bits, inputs=False)


@mistake("post_training_quantize", "You rounded the inputs and left the weights as they were.")
def inputs_only(model, data, bits):
    return _ptq(model, data, bits, weight=lambda w, bits: w)


@mistake("post_training_quantize", "You used one scale for each weight tensor. Each output channel has its own.")
def weights_per_tensor(model, data, bits):
    return _ptq(model, data, bits, weight=lambda w, bits: _row_rounded(w.reshape(1, -1), bits).reshape(w.shape))


@mistake("post_training_quantize", "You used a scale for each input channel of the weights (axis 1). It belongs to the output channels, axis "
         "0: only then can it be taken out of the sum.")
def weights_per_input(model, data, bits):
    return _ptq(model, data, bits, weight=lambda w, bits: _row_rounded(w, bits, 1))


@mistake("post_training_quantize", "You rounded the weights on an affine grid of one tensor. Theirs is symmetric, with a scale per output "
         "channel.")
def affine_weights(model, data, bits):
    def rounded(w, bits):
        s, z = _params(w.min().item(), w.max().item(), bits)
        return w + _error(w, s, z, bits)
    return _ptq(model, data, bits, weight=rounded)


@mistake("post_training_quantize", "You divided the weights by 2^(b−1) levels. The symmetric grid ends at 2^(b−1) − 1.")
def weights_divided_by_128(model, data, bits):
    def rounded(w, bits):
        q, scale = _per_channel(w, bits, 0, peak=lambda rows: rows.abs().amax(1) * (2 ** (bits - 1) - 1) / 2 ** (bits - 1))
        return q * scale.view(-1, *[1] * (w.dim() - 1))
    return _ptq(model, data, bits, weight=rounded)


@mistake("post_training_quantize", "You put the inputs on a symmetric grid. They have an affine one, with a zero point: behind a ReLU half of "
         "a symmetric grid is never used.")
def symmetric_inputs(model, data, bits):
    return _ptq(model, data, bits, symmetric_inputs=True)


@mistake("post_training_quantize", "You took the range of a layer's inputs without widening it to hold 0.")
def inputs_range_not_widened(model, data, bits):
    return _ptq(model, data, bits, widen=False)


@mistake("post_training_quantize", "You calibrated on each layer's outputs. The grid is for what enters the layer.")
def calibrated_on_outputs(model, data, bits):
    return _ptq(model, data, bits, watch_outputs=True)


@mistake("post_training_quantize", "You measure the range anew at every call, so nothing saturates. The range is fixed by the calibration data.")
def dynamic_ranges(model, data, bits):
    quantized = _ptq(model, data, bits, inputs=False)

    def rounded(layer, args):
        x = args[0]
        return x + _error(x, *_params(x.min().item(), x.max().item(), bits), bits)

    for layer in quantized.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            layer.register_forward_pre_hook(rounded)
    return quantized


@mistake("post_training_quantize", "You did not clamp the codes of the inputs: values beyond the calibrated range must saturate.")
def inputs_do_not_saturate(model, data, bits):
    quantized, grids = copy.deepcopy(model), {}
    layers = [m for m in quantized.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]

    def watch(layer, args):
        lo, hi = grids.get(layer, (0.0, 0.0))
        grids[layer] = min(lo, args[0].min().item()), max(hi, args[0].max().item())

    def rounded(layer, args):
        s, _ = _params(*grids[layer], bits)
        return torch.round(args[0] / s) * s

    hooks = [layer.register_forward_pre_hook(watch) for layer in layers]
    with torch.no_grad():
        quantized(data)
    for hook in hooks:
        hook.remove()
    for layer in layers:
        layer.weight.data = _row_rounded(layer.weight.detach(), bits)
        layer.register_forward_pre_hook(rounded)
    return quantized


@mistake("post_training_quantize", "You calibrated after the weights had been rounded. The ranges are those of the float model: measure them "
         "first.")
def calibrated_on_rounded_weights(model, data, bits):
    rounded = copy.deepcopy(model)
    for layer in rounded.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            layer.weight.data = _row_rounded(layer.weight.detach(), bits)
    return _ptq(rounded, data, bits, weight=lambda w, bits: w)


@mistake("post_training_quantize", "You took the range of the model's input for every layer. Each layer has its own, of what enters it.")
def one_range_for_all(model, data, bits):
    return _ptq(model, data, bits, calibrate=lambda x: (data.min().item(), data.max().item()))


@mistake("post_training_quantize", "For a layer that runs several times you kept the range of its last call. Take the smallest and the "
         "largest value of all calls.")
def range_of_the_last_call(model, data, bits):
    return _ptq(model, data, bits, last_call=True)


@mistake("post_training_quantize", "For a layer that runs several times you kept the range of its first call. Take the smallest and the "
         "largest value of all calls.")
def range_of_the_first_call(model, data, bits):
    return _ptq(model, data, bits, first_call=True)


@mistake("post_training_quantize", "You clipped the range to a percentile. Here it is from the smallest to the largest value.")
def clipped_ranges(model, data, bits):
    return _ptq(model, data, bits, calibrate=lambda x: (torch.quantile(x, 0.01).item(), torch.quantile(x, 0.99).item()))


@mistake("post_training_quantize", "You averaged the smallest and the largest values over the calibration inputs. The range holds every one "
         "of them.")
def averaged_ranges(model, data, bits):
    return _ptq(model, data, bits, calibrate=lambda x: (x.flatten(1).amin(1).mean().item(), x.flatten(1).amax(1).mean().item()))


@mistake("post_training_quantize", "You quantized the linear layers only. Convolutions are layers too.")
def linear_layers_only(model, data, bits):
    return _ptq(model, data, bits, layers=(nn.Linear,))


@mistake("post_training_quantize", "You looked at the outermost modules only, so that layers inside others stay float. model.modules() lists "
         "all of them.")
def outermost_layers_only(model, data, bits):
    return _ptq(model, data, bits, found=lambda model: [m for m in model.children() if isinstance(m, (nn.Linear, nn.Conv2d))])


@mistake("post_training_quantize", "You left the last layer in float. That is sometimes wise, but here every layer is quantized.")
def last_layer_in_float(model, data, bits):
    return _ptq(model, data, bits, found=lambda model: [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))][:-1])


@mistake("post_training_quantize", "You left the first layer in float. That is sometimes wise, but here every layer is quantized, and its "
         "inputs too.")
def first_layer_in_float(model, data, bits):
    return _ptq(model, data, bits, found=lambda model: [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))][1:])


@mistake("post_training_quantize", "You rounded the biases too. They stay float here (an integer network keeps them in 32 bits).")
def biases_rounded(model, data, bits):
    quantized = _ptq(model, data, bits)
    for layer in quantized.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and layer.bias is not None:
            layer.bias.data = _row_rounded(layer.bias.detach().reshape(1, -1), bits).flatten()
    return quantized


@mistake("post_training_quantize", "You lost the biases.")
def biases_lost(model, data, bits):
    quantized = _ptq(model, data, bits)
    for layer in quantized.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and layer.bias is not None:
            layer.bias.data.zero_()
    return quantized


@mistake("post_training_quantize", "You rounded the outputs of layers as well. Only what enters a layer is rounded.")
def outputs_rounded(model, data, bits):
    quantized = _ptq(model, data, bits)
    layers = [m for m in quantized.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]

    def rounded(layer, args, output):
        return output + _error(output, *_params(output.min().item(), output.max().item(), bits), bits)

    for layer in layers:
        layer.register_forward_hook(rounded)
    return quantized


@mistake("post_training_quantize", "You cut the fractions of the input codes off. Round them.")
def inputs_floored(model, data, bits):
    quantized, grids = _ptq(model, data, bits, inputs=False), {}
    floats = copy.deepcopy(model)
    pairs = dict(zip([m for m in floats.modules() if isinstance(m, (nn.Linear, nn.Conv2d))], [m for m in quantized.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]))

    def watch(layer, args):
        lo, hi = grids.get(pairs[layer], (0.0, 0.0))
        grids[pairs[layer]] = min(lo, args[0].min().item()), max(hi, args[0].max().item())

    def rounded(layer, args):
        s, z = _params(*grids[layer], bits)
        return ((torch.floor(args[0] / s) + z).clamp(*_ends(bits)) - z) * s

    for layer in pairs:
        layer.register_forward_pre_hook(watch)
    with torch.no_grad():
        floats(data)
    for layer in pairs.values():
        layer.register_forward_pre_hook(rounded)
    return quantized


@mistake("post_training_quantize", "You ignored bits: weights and inputs are always rounded to 8.")
def quantized_to_eight_bits(model, data, bits):
    return _ptq(model, data, 8)


@mistake("post_training_quantize", "You quantized the model that you were given. Start from copy.deepcopy(model).")
def quantizes_its_argument(model, data, bits):
    quantized = _ptq(model, data, bits)
    own = dict(zip([m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))], [m for m in quantized.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]))
    for layer, new in own.items():
        layer.weight.data = new.weight.data
        for hook in new._forward_pre_hooks.values():
            layer.register_forward_pre_hook(hook)
    return model


@mistake("post_training_quantize", "You changed the training mode of the model that you were given (train or eval acts on it). Work on a copy.")
def leaves_eval_mode(model, data, bits):
    quantized = _ptq(model, data, bits)
    model.train(not model.training)
    return quantized


class _Wrapped(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


@mistake("post_training_quantize", "You wrapped the layers, so their parameters have other names: 0.layer.weight for 0.weight. A saved state "
         "no longer fits. Round in a forward pre-hook instead.")
def renames_the_parameters(model, data, bits):
    return _Wrapped(_ptq(model, data, bits))


@mistake("post_training_quantize", "You returned the model as it was.")
def returns_a_copy(model, data, bits):
    return copy.deepcopy(model)


def _each_array(network, quantized):
    return {layer: {kind: quantized(w) for kind, w in parameters.items()} for layer, parameters in network.items()}


def _signs(w):
    return np.where(w >= 0, 1.0, -1.0) * np.abs(w).mean()


def _symmetric(w, bits, peak=None, rounding=np.round):
    if bits == 1:
        return _signs(w)
    s = (np.abs(w).max() if peak is None else peak) / (2 ** (bits - 1) - 1) or 1.0
    return np.clip(rounding(w / s), 1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1) * s


@mistake("low_bit_quantize", "You divided by 2^(b−1), as the published answer does: nothing is rounded, no scale comes from the data, the "
         "biases are skipped, and one bit changes nothing.")
def divides_by_the_levels(network, bits):
    return {layer: {"weights": p["weights"] / 2 ** (bits - 1), "biases": p["biases"]} for layer, p in network.items()}


@mistake("low_bit_quantize", "Your step is 2^(b−1), whatever the data: small weights all become 0, and more bits are worse. The step is "
         "max|w| over the highest code.")
def rounds_to_multiples_of_the_levels(network, bits):
    return _each_array(network, lambda w: np.round(w / 2 ** (bits - 1)) * 2 ** (bits - 1))


@mistake("low_bit_quantize", "Your step is 1/2^(b−1), whatever the data. It must come from them: max|w| over the highest code.")
def fixed_step(network, bits):
    return _each_array(network, lambda w: np.round(w * 2 ** (bits - 1)) / 2 ** (bits - 1))


@mistake("low_bit_quantize", "You left the biases as they were. They are quantized too, with a scale of their own.")
def biases_skipped(network, bits):
    return {layer: {"weights": _symmetric(p["weights"], bits), "biases": p["biases"]} for layer, p in network.items()}


@mistake("low_bit_quantize", "You gave weights and biases of a layer one scale. Each array has its own: biases are often far larger.")
def shared_scale(network, bits):
    def layer(p):
        peak = max(np.abs(w).max() for w in p.values())
        return {kind: _symmetric(w, bits, peak) for kind, w in p.items()}
    return {name: layer(p) for name, p in network.items()}


@mistake("low_bit_quantize", "You used one scale for the whole network. Each array has its own.")
def one_scale_for_the_network(network, bits):
    peak = max(np.abs(w).max() for p in network.values() for w in p.values())
    return _each_array(network, lambda w: _symmetric(w, bits, peak))


@mistake("low_bit_quantize", "You returned the codes. The result holds the values that they stand for: multiply by the scale again.")
def returns_codes(network, bits):
    return _each_array(network, lambda w: _symmetric(w, bits) / ((np.abs(w).max() if bits > 1 else np.abs(w).mean()) / max(1, 2 ** (bits - 1) - 1) or 1.0))


@mistake("low_bit_quantize", "You cut the fractions off. Round to the nearest level: np.round.")
def fractions_cut_off(network, bits):
    return _each_array(network, lambda w: _symmetric(w, bits, rounding=np.trunc))


@mistake("low_bit_quantize", "You divided by 2^(b−1). The symmetric grid ends at 2^(b−1) − 1, and the largest weight gets that code.")
def one_level_too_many(network, bits):
    def quantized(w):
        if bits == 1:
            return _signs(w)
        s = np.abs(w).max() / 2 ** (bits - 1) or 1.0
        return np.round(w / s) * s
    return _each_array(network, quantized)


@mistake("low_bit_quantize", "You used the affine grid, with a zero point. Here it is symmetric, with one scale and no zero point.")
def affine_grid(network, bits):
    def quantized(w):
        if bits == 1:
            return _signs(w)
        s, z = _params(float(w.min()), float(w.max()), bits)
        return (np.clip(np.round(w / s) + z, *_ends(bits)) - z) * s
    return _each_array(network, quantized)


@mistake("low_bit_quantize", "You took the signed maximum. The scale is max|w|: large negative weights count too.")
def signed_peak(network, bits):
    return _each_array(network, lambda w: _symmetric(w, bits, abs(w.max())))


@mistake("low_bit_quantize", "With one bit the symmetric grid is {0}, and your network is all zeros, or divided by 0. One bit is ±mean|w|.")
def one_bit_is_zero(network, bits):
    return _each_array(network, lambda w: np.zeros(w.shape) if bits == 1 else _symmetric(w, bits))


@mistake("low_bit_quantize", "You divided by 2^(b−1) − 1, which is 0 at one bit. One bit is ±mean|w|.")
def one_bit_divides_by_zero(network, bits):
    return _each_array(network, lambda w: np.round(w / (s := np.abs(w).max() / (2 ** (bits - 1) - 1) or 1.0)) * s)


@mistake("low_bit_quantize", "With one bit you used np.sign, which is 0 at 0: a third value. sign(0) = +1 here.")
def sign_of_zero(network, bits):
    return _each_array(network, lambda w: np.sign(w) * np.abs(w).mean() if bits == 1 else _symmetric(w, bits))


@mistake("low_bit_quantize", "With one bit you made zeros negative: w > 0 is not true of 0. sign(0) = +1 here.")
def zero_is_negative(network, bits):
    return _each_array(network, lambda w: np.where(w > 0, 1.0, -1.0) * np.abs(w).mean() if bits == 1 else _symmetric(w, bits))


@mistake("low_bit_quantize", "With one bit you used the largest magnitude for both values, which is far too large for most weights. It is the "
         "mean magnitude.")
def one_bit_of_the_maximum(network, bits):
    return _each_array(network, lambda w: np.where(w >= 0, 1.0, -1.0) * np.abs(w).max() if bits == 1 else _symmetric(w, bits))


@mistake("low_bit_quantize", "With one bit you returned signs without a scale. They are multiplied by the mean magnitude.")
def signs_without_a_scale(network, bits):
    return _each_array(network, lambda w: np.where(w >= 0, 1.0, -1.0) if bits == 1 else _symmetric(w, bits))


@mistake("low_bit_quantize", "With one bit you took the mean of the signed weights, where both signs cancel. It is the mean of |w|.")
def mean_of_signed_weights(network, bits):
    return _each_array(network, lambda w: np.where(w >= 0, 1.0, -1.0) * w.mean() if bits == 1 else _symmetric(w, bits))


@mistake("low_bit_quantize", "An array of zeros has the scale 0, and you divided by it. It stays zero.")
def zeros_become_nan(network, bits):
    def quantized(w):
        if bits == 1:
            return _signs(w)
        s = np.abs(w).max() / (2 ** (bits - 1) - 1)
        with np.errstate(invalid="ignore"):
            return np.round(w / s) * s
    return _each_array(network, quantized)


@mistake("low_bit_quantize", "You gave each row a scale of its own. Here an array has one.")
def a_scale_for_each_row(network, bits):
    return _each_array(network, lambda w: _symmetric(w, bits) if w.ndim < 2 else np.stack([_symmetric(row, bits) for row in w]))


@mistake("low_bit_quantize", "Your values are right, but you wrote them into the network that you were given. Build a new one.")
def quantizes_in_place(network, bits):
    for parameters in network.values():
        for kind in parameters:
            parameters[kind] = _symmetric(parameters[kind], bits)
    return network
