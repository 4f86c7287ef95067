"""Other right answers to the exercises of 08: all of them must earn full marks."""
import math
from fractions import Fraction

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view

from autograder.mistakes import alternative


@alternative("quantize_bias")
def numpy_in_float64(b, s_w, s_x):
    steps = np.asarray(b, np.float64) / (np.asarray(s_w, np.float64) * s_x)
    return np.clip(np.rint(steps), -2**31, 2**31 - 1).astype(np.int64)


@alternative("quantize_bias")
def python_and_a_list(b, s_w, s_x):
    scales = s_w.tolist() if torch.is_tensor(s_w) else [s_w] * len(b)
    return [max(-2**31, min(2**31 - 1, math.floor(v / (s * s_x) + 0.5))) for v, s in zip(b.tolist(), scales)]


@alternative("quantize_bias")
def float32_and_int64(b, s_w, s_x):
    return (b / (s_w * s_x)).clamp(-1e15, 1e15).round().to(torch.int64).clamp(-(1 << 31), (1 << 31) - 1)


@alternative("fold_zero_point")
def einsum_in_numpy(q_bias, q_w, z_x):
    rows = q_w.numpy().reshape(len(q_w), -1).astype(np.int32)
    return q_bias.numpy() - np.einsum("oi->o", rows) * np.int32(z_x)


@alternative("fold_zero_point")
def layer_on_a_constant_input(q_bias, q_w, z_x):
    constant = torch.full((q_w[0].numel(),), z_x, dtype=torch.int64)
    return (q_bias - q_w.reshape(len(q_w), -1).long() @ constant).tolist()


@alternative("fixed_point")
class gemmlowp:
    """SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT."""
    def fixed_point(m):
        shift = 0
        while m < 0.5:
            m, shift = 2 * m, shift + 1
        while m >= 1:
            m, shift = m / 2, shift - 1
        return np.int64(min(int(m * 2**31 + 0.5), 2**31 - 1)), shift

    def requantize(acc, m0, shift):
        acc, m0, shift = np.broadcast_arrays(*(np.asarray(part, dtype=np.int64) for part in (acc, m0, shift)))
        left, right = np.maximum(-shift, 0), np.maximum(shift, 0)
        product = (acc << left) * m0
        high = (product + np.where(product >= 0, 1 << 30, 1 - (1 << 30)))
        high = np.where(high >= 0, high >> 31, -((-high) >> 31))
        mask = (np.int64(1) << right) - 1
        remainder, threshold = high & mask, (mask >> 1) + (high < 0)
        return (high >> right) + (remainder > threshold)


@alternative("fixed_point")
class python_integers:
    def fixed_point(m):
        shift = -math.frexp(m)[1]
        m0 = math.floor(Fraction(m) * Fraction(2) ** (31 + shift))
        return m0, shift

    def requantize(acc, m0, shift):
        def one(a, m, s):
            n = 31 + s
            magnitude = (abs(a) * m + (1 << (n - 1))) >> n
            return magnitude if a >= 0 else -magnitude

        acc, m0, shift = torch.broadcast_tensors(acc, torch.as_tensor(m0), torch.as_tensor(shift))
        flat = [one(*parts) for parts in zip(acc.flatten().tolist(), m0.flatten().tolist(), shift.flatten().tolist())]
        return torch.tensor(flat, dtype=torch.int64).view(acc.shape)


@alternative("fixed_point")
class torch_division:
    def fixed_point(m):
        exponent = math.floor(math.log2(m)) + 1
        while not 0.5 <= m / 2.0**exponent < 1:
            exponent += 1 if m / 2.0**exponent >= 1 else -1
        m0 = torch.tensor(m / 2.0**exponent, dtype=torch.float64).mul(2**31).round().long().item()
        return (m0, -exponent) if m0 < 2**31 else (m0 // 2, -exponent - 1)

    def requantize(acc, m0, shift):
        one = torch.ones((), dtype=torch.int64) << torch.as_tensor(31 + shift)
        product = acc.to(torch.int64) * m0
        return torch.div(product + one // 2, one, rounding_mode="floor").to(torch.int32)


@alternative("int_linear")
class exact_in_float64:
    """Every sum is below 2^53, so float64 computes it exactly; then one rounding."""
    def int_linear(q_x, q_w, q_bias, z_x, m0, shift, z_out):
        acc = (q_x.double() - z_x) @ q_w.double().T + q_bias.double()
        m = torch.as_tensor(m0).double() * torch.pow(2.0, -31.0 - torch.as_tensor(shift).double())
        return torch.clamp(torch.round(acc * m) + z_out, -128, 127).to(torch.int8)

    def int_conv2d(q_x, q_w, q_bias, z_x, m0, shift, z_out, stride=1, padding=0):
        acc = F.conv2d(q_x.double() - z_x, q_w.double(), q_bias.double(), stride=stride, padding=padding)
        m = torch.as_tensor(m0).double() * torch.pow(2.0, -31.0 - torch.as_tensor(shift).double())
        return torch.clamp(torch.round(acc * m.reshape(-1, 1, 1)) + z_out, -128, 127).to(torch.int8)


@alternative("int_linear")
class windows_in_numpy:
    """Padded with the code of real 0, the zero point folded into the bias, and gemmlowp's two roundings."""
    def _scaled(acc, m0, shift, z_out):
        m0, shift = np.asarray(m0, dtype=np.int64), np.asarray(shift, dtype=np.int64)
        product = (acc << np.maximum(-shift, 0)) * m0
        high = (product + (1 << 30)) >> 31
        right = np.maximum(shift, 0)
        return np.clip(((high + ((np.int64(1) << right) >> 1)) >> right) + z_out, -128, 127).astype(np.int8)

    def int_linear(q_x, q_w, q_bias, z_x, m0, shift, z_out):
        x, w = q_x.numpy().astype(np.int64), q_w.numpy().astype(np.int64)
        return windows_in_numpy._scaled(x @ w.T + (q_bias.numpy().astype(np.int64) - z_x * w.sum(1)), m0, shift, z_out)

    def int_conv2d(q_x, q_w, q_bias, z_x, m0, shift, z_out, stride=1, padding=0):
        w = np.asarray(q_w, dtype=np.int64)
        x = np.pad(np.asarray(q_x, dtype=np.int64), ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=z_x)
        windows = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
        bias = np.asarray(q_bias, dtype=np.int64) - z_x * w.sum((1, 2, 3))
        acc = np.einsum("nchwij,ocij->nhwo", windows, w) + bias
        return windows_in_numpy._scaled(acc, m0, shift, z_out).transpose(0, 3, 1, 2)


@alternative("int_linear")
class rows_and_unfold:
    """A convolution as a linear layer on unfolded windows, in int32 until the product with m0."""
    def int_linear(q_x, q_w, q_bias, z_x, m0, shift, z_out):
        acc = torch.stack([(row.to(torch.int32) * (q_x.to(torch.int32) - z_x)).sum(1) for row in q_w], 1) + q_bias
        total = 31 + torch.as_tensor(shift)
        product = acc.to(torch.int64) * torch.as_tensor(m0)
        y = (product >> total) + ((product >> (total - 1)) & 1)
        return torch.minimum(torch.maximum(y + z_out, torch.tensor(-128)), torch.tensor(127)).tolist()

    def int_conv2d(q_x, q_w, q_bias, z_x, m0, shift, z_out, stride=1, padding=0):
        x = F.pad(q_x.to(torch.int32), (padding,) * 4, value=z_x)
        windows = x.unfold(2, q_w.shape[2], stride).unfold(3, q_w.shape[3], stride).permute(0, 2, 3, 1, 4, 5)
        rows = rows_and_unfold.int_linear(windows.flatten(3).flatten(0, 2), q_w.flatten(1), q_bias, z_x, m0, shift, z_out)
        return torch.tensor(rows).view(*windows.shape[:3], -1).permute(0, 3, 1, 2)


@alternative("int_relu")
class torch_functions:
    def int_relu(q, z):
        return F.relu(q.int() - z) + z

    def int_maxpool(q, k):
        return F.max_pool2d(q, k)

    def int_avgpool(q, k):
        return torch.round(F.avg_pool2d(q.double(), k)).to(torch.int32)

    def int_add(q_a, z_a, m_a, q_b, z_b, m_b, z_out):
        a = (q_a.double() - z_a) * m_a[0] * 2.0 ** (-31 - m_a[1])
        b = (q_b.double() - z_b) * m_b[0] * 2.0 ** (-31 - m_b[1])
        return torch.clamp(torch.round(a + b) + z_out, -128, 127).to(torch.int8)


@alternative("int_relu")
class numpy_and_lists:
    def int_relu(q, z):
        return np.maximum(q.numpy(), z).tolist()

    def int_maxpool(q, k):
        n, c, h, w = q.shape
        return np.array(q)[:, :, :h // k * k, :w // k * k].reshape(n, c, h // k, k, w // k, k).max((3, 5))

    def int_avgpool(q, k):
        n, c, h, w = q.shape
        total = np.array(q, dtype=np.int32)[:, :, :h // k * k, :w // k * k].reshape(n, c, h // k, k, w // k, k).sum((3, 5))
        return (total + k * k // 2) // (k * k)

    def int_add(q_a, z_a, m_a, q_b, z_b, m_b, z_out):
        def part(q, z, m):
            one = 1 << (31 + m[1])
            return [round(Fraction((v - z) * m[0], one)) for v in q.flatten().tolist()]

        total = [max(-128, min(127, a + b + z_out)) for a, b in zip(part(q_a, z_a, m_a), part(q_b, z_b, m_b))]
        return np.array(total, dtype=np.int64).reshape(q_a.shape)


def _grid(values):
    lo, hi = min(0.0, float(np.min(values))), max(0.0, float(np.max(values)))
    scale = (hi - lo) / 255 if hi > lo else 1.0
    return scale, int(np.clip(np.rint(-128 - lo / scale), -128, 127))


@alternative("IntegerModel")
class numpy_model:
    """One scale for all weights of a layer, numpy throughout, logits of 16 bits in a finer unit."""
    def __init__(self, model, x_calib):
        self.s, self.z = s, z = _grid(x_calib.numpy())
        self.program, last = [], [i for i, layer in enumerate(model) if isinstance(layer, (nn.Linear, nn.Conv2d))][-1]
        for number, layer in enumerate(model):
            x_calib = layer(x_calib).detach()
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                w, b = (p.detach().numpy().astype(np.float64) for p in (layer.weight, layer.bias))
                s_w = np.abs(w).max() / 127
                s_out, z_out = _grid(x_calib.numpy())
                if number == last:
                    s_out, z_out = s_out / 128, z_out * 128
                mantissa, exponent = math.frexp(s_w * s / s_out)
                place = (layer.stride[0], layer.padding[0], len(layer.weight.shape) == 4) if w.ndim == 4 else (1, 0, False)
                self.program.append(("layer", np.rint(w / s_w).astype(np.int64), np.rint(b / (s_w * s)).astype(np.int64), z,
                                     int(mantissa * 2**31), 31 - exponent, z_out, 15 if number == last else 7, *place))
                s, z = s_out, z_out
            else:
                self.program.append((type(layer).__name__, z if isinstance(layer, nn.ReLU) else getattr(layer, "kernel_size", 0)))

    def quantize(self, x):
        return np.clip(np.rint(np.asarray(x) / self.s) + self.z, -128, 127).astype(np.int8)

    def __call__(self, q):
        for kind, *rest in self.program:
            if kind == "layer":
                w, b, z, m0, shift, z_out, bits, stride, padding, conv = rest
                q = q.astype(np.int64)
                if conv:
                    q = np.pad(q, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=z)
                    windows = sliding_window_view(q - z, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
                    acc = np.tensordot(windows, w, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2) + b[:, None, None]
                else:
                    acc = (q - z) @ w.T + b
                q = np.clip(((acc * m0 + (1 << (shift - 1))) >> shift) + z_out, -2**bits, 2**bits - 1)
            elif kind == "ReLU":
                q = np.maximum(q, rest[0])
            elif kind == "Flatten":
                q = q.reshape(len(q), -1)
            else:
                k = rest[0]
                h, w = (int(size / k) for size in q.shape[2:])
                windows = q[:, :, :h * k, :w * k].reshape(*q.shape[:2], h, k, w, k)
                q = windows.max((3, 5)) if kind == "MaxPool2d" else (2 * windows.astype(np.int64).sum((3, 5)) + k * k) // (2 * k * k)
        return q


@alternative("IntegerModel")
class closures_and_two_roundings:
    """Each layer a function of codes; the zero point folded, pictures padded with it; ranges by quantiles; logits in int32 accumulators of one scale."""
    def __init__(self, model, x_calib):
        self.scale, self.zero = s, z = self._range(x_calib)
        self.functions, layers = [], [*model]
        final = max(i for i, layer in enumerate(layers) if hasattr(layer, "weight"))
        for i, layer in enumerate(layers):
            x_calib = layer(x_calib).detach()
            if hasattr(layer, "weight"):
                s_out, z_out = self._range(x_calib)
                self.functions.append(self._affine(layer, s, z, s_out, z_out, i == final))
                s, z = s_out, z_out
            else:
                self.functions.append({"ReLU": lambda q, z=z: torch.where(q < z, torch.full_like(q, z), q), "Flatten": lambda q: q.reshape(q.shape[0], -1),
                                       "MaxPool2d": lambda q, layer=layer: F.max_pool2d(q, layer.kernel_size),
                                       "AvgPool2d": lambda q, layer=layer: F.avg_pool2d(q, layer.kernel_size)}[type(layer).__name__])

    @staticmethod
    def _range(x):
        lo, hi = torch.aminmax(x)
        lo, hi = min(0.0, lo.item()), max(0.0, hi.item())
        s = max(hi - lo, 1e-12) / 255
        return s, min(max(round(-128 - lo / s), -128), 127)

    @staticmethod
    def _affine(layer, s, z, s_out, z_out, final):
        w = layer.weight.detach()
        s_w = w.abs().flatten(1).amax(1) / 127 if not final else w.abs().max().expand(len(w)) / 127
        q_w = (w / s_w.view(-1, *[1] * (w.dim() - 1))).round().long()
        q_b = (layer.bias.detach() / (s_w * s)).round().long() - z * q_w.flatten(1).sum(1)
        pairs = [math.frexp(m) for m in (s_w.double() * s / s_out).tolist()]
        m0, shift = torch.tensor([round(f * 2**30) for f, _ in pairs]), torch.tensor([-e for _, e in pairs])

        def run(q):
            if w.dim() == 4:
                padding = layer.padding[0]
                acc = F.conv2d(F.pad(q, (padding,) * 4, value=z), q_w, q_b, layer.stride)
            else:
                acc = q @ q_w.T + q_b
            if final:
                return acc
            m, n = (v.view(-1, *[1] * (acc.dim() - 2)) for v in (m0, shift))
            y = acc * m + (torch.ones_like(n) << (29 + n)) >> (30 + n)
            return torch.clip(y + z_out, -128, 127)
        return run

    def quantize(self, x):
        return torch.clip(torch.round(x / self.scale) + self.zero, -128, 127).int()

    def __call__(self, q):
        q = q.long()
        for function in self.functions:
            q = function(q)
        return q.int()
