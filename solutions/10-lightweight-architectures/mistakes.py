"""Wrong answers to the exercises of 10, each with what to tell a student who gave it."""
import copy
import itertools
import math
import random

import torch
from torch import nn
import torch.nn.functional as F

from autograder.mistakes import mistake


@mistake("depthwise_separable", "You grouped the pointwise convolution too. It must see all channels of a pixel: it is the only step that mixes them.")
def pointwise_grouped(c_in, c_out, k):
    return nn.Sequential(nn.Conv2d(c_in, c_in, k, padding=k // 2, groups=c_in), nn.Conv2d(c_in, c_out, 1, groups=math.gcd(c_in, c_out)))


@mistake("depthwise_separable", "You widened to c_out channels in the depthwise step (a depth multiplier), which needs c_out to be a multiple of c_in and "
         "costs more. The depthwise step has one filter per input channel; the pointwise step changes their number.")
def depth_multiplier(c_in, c_out, k):
    return nn.Sequential(nn.Conv2d(c_in, c_out, k, padding=k // 2, groups=c_in), nn.Conv2d(c_out, c_out, 1))


@mistake("depthwise_separable", "You put the pointwise step first. The depthwise step comes first, on the c_in input channels.")
def pointwise_first(c_in, c_out, k):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 1), nn.Conv2d(c_out, c_out, k, padding=k // 2, groups=c_out))


@mistake("depthwise_separable", "Your layer shrinks the picture: the k × k filters need k // 2 zeros around it.")
def no_padding(c_in, c_out, k):
    return nn.Sequential(nn.Conv2d(c_in, c_in, k, groups=c_in), nn.Conv2d(c_in, c_out, 1))


@mistake("depthwise_separable", "You padded by 1 whatever k is. That keeps the size for k = 3 only; it takes k // 2.")
def padding_of_one(c_in, c_out, k):
    return nn.Sequential(nn.Conv2d(c_in, c_in, k, padding=1, groups=c_in), nn.Conv2d(c_in, c_out, 1))


@mistake("depthwise_separable", "You padded the pointwise convolution as well: a 1 × 1 filter needs no zeros around the picture.")
def pointwise_padded(c_in, c_out, k):
    return nn.Sequential(nn.Conv2d(c_in, c_in, k, padding=k // 2, groups=c_in), nn.Conv2d(c_in, c_out, 1, padding=k // 2))


@mistake("depthwise_separable", "Your first convolution is a full one: without groups each filter sees all channels, and nothing is saved.")
def full_first(c_in, c_out, k):
    return nn.Sequential(nn.Conv2d(c_in, c_in, k, padding=k // 2), nn.Conv2d(c_in, c_out, 1))


@mistake("depthwise_separable", "That is one full convolution. Take it apart: a depthwise one, then a pointwise one.")
def one_convolution(c_in, c_out, k):
    return nn.Sequential(nn.Conv2d(c_in, c_out, k, padding=k // 2))


@mistake("depthwise_separable", "There is more between or behind the convolutions than the two that are asked for. MobileNet has batch norm and ReLU there; "
         "this exercise has not.")
def activation_between(c_in, c_out, k):
    return nn.Sequential(nn.Conv2d(c_in, c_in, k, padding=k // 2, groups=c_in), nn.ReLU(), nn.Conv2d(c_in, c_out, 1))


@mistake("depthwise_separable", "Your depthwise filters are 3 × 3 whatever k is.")
def always_three(c_in, c_out, k):
    return nn.Sequential(nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in), nn.Conv2d(c_in, c_out, 1))


@mistake("cost_ratio", "You multiplied the two terms. The steps run one after the other, so their costs add: 1/n + 1/k².")
def product(n, k):
    return 1 / (n * k ** 2)


@mistake("cost_ratio", "That is how many times fewer MACs there are. Asked for is the inverse: the separable cost over the full one.")
def how_many_times_fewer(n, k):
    return n * k ** 2 / (n + k ** 2)


@mistake("cost_ratio", "You forgot the square of k: a filter has k² weights per channel.")
def k_not_squared(n, k):
    return 1 / n + 1 / k


@mistake("cost_ratio", "You squared n as well. The full convolution costs n times the depthwise step, so that leaves 1/n.")
def both_squared(n, k):
    return 1 / n ** 2 + 1 / k ** 2


@mistake("cost_ratio", "You divided whole numbers with //, which cuts off the fraction. Use /.")
def whole_division(n, k):
    return 1 // n + 1 // k ** 2


@mistake("cost_ratio", "That is the limit for many output channels, the pointwise step alone. The depthwise step adds 1/n.")
def pointwise_share(n, k):
    return 1 / k ** 2


@mistake("cost_ratio", "That is the depthwise step alone. The pointwise step adds 1/k².")
def depthwise_share(n, k):
    return 1 / n


@mistake("cost_ratio", "That is the share of MACs that is saved. Asked for is the share that is left.")
def saving(n, k):
    return 1 - 1 / n - 1 / k ** 2


@mistake("cost_ratio", "You counted parameters, biases included, of a layer with as many input as output channels. The ratio is one of MACs, without biases.")
def parameters_with_biases(n, k):
    return (n * k ** 2 + n + n * n + n) / (n * n * k ** 2 + n)


@mistake("cost_ratio", "You divided by k² but not by n: the full convolution has k² weights for each pair of an input and an output channel.")
def over_one_channel(n, k):
    return (k ** 2 + n) / k ** 2


def _steps(c_in, c_out, stride, expand, wide=None, groups=True, strides=None, padding=1, last_norm=True, act=nn.ReLU6):
    wide = wide or c_in * expand
    s1, s2, s3 = strides or (1, stride, 1)
    layers = [nn.Conv2d(c_in, wide, 1, s1, bias=False), nn.BatchNorm2d(wide), act(),
              nn.Conv2d(wide, wide, 3, s2, padding, groups=wide if groups else 1, bias=False), nn.BatchNorm2d(wide), act(),
              nn.Conv2d(wide, c_out, 1, s3, bias=False)]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(c_out)] if last_norm else []))


class _Block(nn.Module):
    """The right block, of which a mistake changes a part."""

    def __init__(self, c_in, c_out, stride, expand):
        super().__init__()
        self.skip = stride == 1 and c_in == c_out
        self.block = self.make(c_in, c_out, stride, expand)

    def make(self, c_in, c_out, stride, expand):
        return _steps(c_in, c_out, stride, expand)

    def forward(self, x):
        return x + self.block(x) if self.skip else self.block(x)


@mistake("InvertedResidual", "You put an activation behind the projection. The last step is linear: in few channels ReLU6 would destroy information.")
class activation_after_projection(_Block):
    def make(self, c_in, c_out, stride, expand):
        return nn.Sequential(*_steps(c_in, c_out, stride, expand), nn.ReLU6())


@mistake("InvertedResidual", "You add the input whatever the shapes are. The skip is there only with stride 1 and as many channels out as in.")
class skip_always(_Block):
    def forward(self, x):
        return x + self.block(x)


@mistake("InvertedResidual", "You add the input whenever the stride is 1, also where the number of channels changes.")
class skip_by_stride(_Block):
    def __init__(self, c_in, c_out, stride, expand):
        super().__init__(c_in, c_out, stride, expand)
        self.skip = stride == 1


@mistake("InvertedResidual", "You add the input whenever the channels agree, also with stride 2, where height and width do not.")
class skip_by_channels(_Block):
    def __init__(self, c_in, c_out, stride, expand):
        super().__init__(c_in, c_out, stride, expand)
        self.skip = c_in == c_out


@mistake("InvertedResidual", "Your block never adds its input. With stride 1 and equal channels it is residual: y = x + block(x).")
class skip_never(_Block):
    def forward(self, x):
        return self.block(x)


@mistake("InvertedResidual", "You put a convolution into the skip where the shapes differ, as ResNets do. Here such a block has no skip at all.")
class skip_with_a_convolution(_Block):
    def __init__(self, c_in, c_out, stride, expand):
        super().__init__(c_in, c_out, stride, expand)
        self.short = None if self.skip else nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        return self.block(x) + (self.short(x) if self.short else x)


@mistake("InvertedResidual", "You used ReLU. ReLU6 also cuts off above 6, which keeps activations in a range that few bits can hold.")
class relu_for_relu6(_Block):
    def make(self, c_in, c_out, stride, expand):
        return _steps(c_in, c_out, stride, expand, act=nn.ReLU)


@mistake("InvertedResidual", "You put an activation behind the sum. Nothing follows the sum: what goes from block to block is linear.")
class activation_after_sum(_Block):
    def forward(self, x):
        return F.relu6(super().forward(x)) if self.skip else self.block(x)


@mistake("InvertedResidual", "The batch norm behind the projection is missing. There is one after each convolution, the last too.")
class projection_without_norm(_Block):
    def make(self, c_in, c_out, stride, expand):
        return _steps(c_in, c_out, stride, expand, last_norm=False)


@mistake("InvertedResidual", "Your 3 × 3 convolution is a full one. Depthwise means as many groups as channels.")
class not_depthwise(_Block):
    def make(self, c_in, c_out, stride, expand):
        return _steps(c_in, c_out, stride, expand, groups=False)


@mistake("InvertedResidual", "You put the stride into the expansion. It belongs to the depthwise convolution.")
class stride_in_the_expansion(_Block):
    def make(self, c_in, c_out, stride, expand):
        return _steps(c_in, c_out, stride, expand, strides=(stride, 1, 1))


@mistake("InvertedResidual", "You put the stride into the projection. It belongs to the depthwise convolution.")
class stride_in_the_projection(_Block):
    def make(self, c_in, c_out, stride, expand):
        return _steps(c_in, c_out, stride, expand, strides=(1, 1, stride))


@mistake("InvertedResidual", "You ignored the stride.")
class stride_ignored(_Block):
    def make(self, c_in, c_out, stride, expand):
        return _steps(c_in, c_out, stride, expand, strides=(1, 1, 1))


@mistake("InvertedResidual", "You expanded the output channels. Inside the block there are c_in · expand.")
class output_expanded(_Block):
    def make(self, c_in, c_out, stride, expand):
        return _steps(c_in, c_out, stride, expand, wide=c_out * expand)


@mistake("InvertedResidual", "That is the classical bottleneck: narrow inside. The inverted residual is wide inside, c_in · expand channels.")
class narrow_inside(_Block):
    def make(self, c_in, c_out, stride, expand):
        return _steps(c_in, c_out, stride, expand, wide=max(1, c_in // expand))


@mistake("InvertedResidual", "The 3 × 3 convolution has no padding, so the picture loses its rim. Padding is 1.")
class depthwise_without_padding(_Block):
    def make(self, c_in, c_out, stride, expand):
        return _steps(c_in, c_out, stride, expand, padding=0)


@mistake("InvertedResidual", "You add the wrong thing: the skip adds the block's input x, not what the expansion made of it or twice the result.")
class result_twice(_Block):
    def forward(self, x):
        y = self.block(x)
        return y + y if self.skip else y


@mistake("InvertedResidual", "You add the input whenever the shapes agree. With stride 2 a single pixel stays one, and there is no skip all the same: ask stride and channels.")
class skip_by_shape(_Block):
    def forward(self, x):
        y = self.block(x)
        return x + y if x.shape == y.shape else y


@mistake("InvertedResidual", "You set γ of the last batch norm to 0, so that the block begins as the identity, as ResNets often do. Here batch norms begin as torch makes them.")
class identity_to_start(_Block):
    def __init__(self, c_in, c_out, stride, expand):
        super().__init__(c_in, c_out, stride, expand)
        nn.init.zeros_(self.block[-1].weight)


def _right_rank(m, n):
    return (m * n - 1) // (m + n)


def _right_factors(w, r):
    u, s, vt = torch.linalg.svd(w, full_matrices=False)
    return u[:, :r] * s[:r], vt[:r]


@mistake("low_rank", "The singular values are in both factors, so that the product has them squared. Put them into one factor, or their roots into each.")
class values_on_both_sides:
    break_even_rank = _right_rank

    def low_rank(w, r):
        u, s, vt = torch.linalg.svd(w, full_matrices=False)
        return u[:, :r] * s[:r], s[:r, None] * vt[:r]


@mistake("low_rank", "The singular values are in neither factor. Scale the columns of U, or the rows of Vᵀ, by them.")
class values_forgotten:
    break_even_rank = _right_rank

    def low_rank(w, r):
        u, _, vt = torch.linalg.svd(w, full_matrices=False)
        return u[:, :r], vt[:r]


@mistake("low_rank", "Your second factor is turned over: torch.linalg.svd gives V already transposed, so its first r rows are wanted, as they are.")
class v_not_transposed:
    break_even_rank = _right_rank

    def low_rank(w, r):
        u, s, vt = torch.linalg.svd(w, full_matrices=False)
        return u[:, :r] * s[:r], vt[:, :r].T


@mistake("low_rank", "The second factor has the shape (n, r). It must be (r, n), so that a @ b is a matrix like w.")
class b_upright:
    break_even_rank = _right_rank

    def low_rank(w, r):
        a, b = _right_factors(w, r)
        return a, b.T


@mistake("low_rank", "You kept the smallest singular values. They come in falling order: the first r matter most.")
class smallest_values:
    break_even_rank = _right_rank

    def low_rank(w, r):
        u, s, vt = torch.linalg.svd(w, full_matrices=False)
        return u[:, -r:] * s[-r:], vt[-r:]


@mistake("low_rank", "You set the small singular values to 0 and kept the shapes: the factors are as large as before. Cut them to r columns and r rows.")
class zeros_instead_of_a_cut:
    break_even_rank = _right_rank

    def low_rank(w, r):
        u, s, vt = torch.linalg.svd(w, full_matrices=False)
        return u * torch.where(torch.arange(len(s)) < r, s, 0.0), vt


@mistake("low_rank", "You took r columns of w itself and fitted the rest to them. The best r directions are the singular vectors.")
class columns_of_w:
    break_even_rank = _right_rank

    def low_rank(w, r):
        return w[:, :r].clone(), torch.linalg.pinv(w[:, :r]) @ w


@mistake("low_rank", "Your rank is one too small: the r largest singular values are to be kept.")
class one_rank_less:
    break_even_rank = _right_rank

    def low_rank(w, r):
        a, b = (factor.clone() for factor in _right_factors(w, r))
        a[:, r - 1:] = 0
        return a, b


@mistake("low_rank", "In break_even_rank you took equal numbers for a saving. r (m + n) must be *less* than mn: at 6 × 3, r = 2 takes 18 of 18.")
class equal_is_a_saving:
    def break_even_rank(m, n):
        return m * n // (m + n)

    low_rank = _right_factors


@mistake("low_rank", "You think every rank below min(m, n) saves. Two factors of rank r hold r (m + n) numbers, which exceeds mn long before.")
class full_rank_saves:
    def break_even_rank(m, n):
        return min(m, n) - 1

    low_rank = _right_factors


@mistake("low_rank", "In break_even_rank you gave the quotient mn / (m + n). Asked for is the largest whole r below it.")
class quotient:
    def break_even_rank(m, n):
        return m * n / (m + n)

    low_rank = _right_factors


@mistake("low_rank", "In break_even_rank you rounded the quotient to the nearest whole number, which may lie above it.")
class quotient_rounded:
    def break_even_rank(m, n):
        return round(m * n / (m + n))

    low_rank = _right_factors


@mistake("low_rank", "Your break-even rank is at least 1. For a single row, or 2 × 2, no rank saves anything: 0.")
class at_least_one:
    def break_even_rank(m, n):
        return max(1, (m * n - 1) // (m + n))

    low_rank = _right_factors


@mistake("low_rank", "In break_even_rank you counted r biases between the two factors. Only the numbers of a and b count: r (m + n) < mn.")
class biases_counted:
    def break_even_rank(m, n):
        return (m * n - 1) // (m + n + 1)

    low_rank = _right_factors


def _set(model, name, parameter):
    path, _, last = name.rpartition(".")
    setattr(model.get_submodule(path), last, parameter)


@mistake("tie_weights", "You copied the value. The parameters start alike and are still separate: counted, stored and stepped each on its own. One nn.Parameter must stand "
         "under all names.")
def same_start(model, groups):
    with torch.no_grad():
        for first, *others in groups:
            for name in others:
                model.get_parameter(name).copy_(model.get_parameter(first))


@mistake("tie_weights", "The parameters share their memory but are still several: counted several times, and an optimizer steps the same numbers once for each. "
         "Set one nn.Parameter under all names.")
def shared_memory(model, groups):
    for first, *others in groups:
        for name in others:
            model.get_parameter(name).data = model.get_parameter(first).data


@mistake("tie_weights", "The value that stays is that of the last name of the group. It must be that of the first.")
def last_value(model, groups):
    for names in groups:
        for name in names:
            _set(model, name, model.get_parameter(names[-1]))


@mistake("tie_weights", "The value that stays is that of the name that the model lists first, not the one that the group lists first.")
def models_order(model, groups):
    order = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    for names in groups:
        for name in names:
            _set(model, name, model.get_parameter(min(names, key=order.index)))


@mistake("tie_weights", "You gave the group the mean of its values. The value of the first name stays.")
def mean_value(model, groups):
    for names in groups:
        shared = nn.Parameter(torch.stack([model.get_parameter(name).detach() for name in names]).mean(0))
        for name in names:
            _set(model, name, shared)


@mistake("tie_weights", "You tied the first two names of each group only.")
def first_two_only(model, groups):
    for names in groups:
        for name in names[1:2]:
            _set(model, name, model.get_parameter(names[0]))


@mistake("tie_weights", "You tied the first group only.")
def first_group_only(model, groups):
    for names in groups[:1]:
        for name in names[1:]:
            _set(model, name, model.get_parameter(names[0]))


@mistake("tie_weights", "You worked on a copy, and the model that was given is as before. This one function changes its argument.")
def on_a_copy(model, groups):
    model = copy.deepcopy(model)
    for first, *others in groups:
        for name in others:
            _set(model, name, model.get_parameter(first))
    return model


@mistake("tie_weights", "The shared parameter asks for no gradient any more, so that it is never trained.")
def frozen_share(model, groups):
    for names in groups:
        shared = nn.Parameter(model.get_parameter(names[0]).detach().clone(), requires_grad=False)
        for name in names:
            _set(model, name, shared)


@mistake("tie_weights", "You put the whole first layer into the other places, so that its other parameters are shared too. Only the named ones are to be tied.")
def whole_layers(model, groups):
    for first, *others in groups:
        layer = model.get_submodule(first.rpartition(".")[0])
        for name in others:
            path = name.rpartition(".")[0]
            above, _, place = path.rpartition(".")
            setattr(model.get_submodule(above), place, layer)


@mistake("tie_weights", "You find names with a single dot only. A name may be nested more deeply, or stand at the top without a dot: split it at its last dot.")
def one_dot(model, groups):
    for first, *others in groups:
        layer, last = first.split(".")
        shared = getattr(getattr(model, layer), last)
        for name in others:
            layer, last = name.split(".")
            setattr(getattr(model, layer), last, shared)


@mistake("tie_weights", "You took the names out of `groups`, which the caller still needs. Only the model changes.")
def groups_emptied(model, groups):
    for names in groups:
        shared = model.get_parameter(names.pop(0))
        while names:
            _set(model, names.pop(0), shared)


class _Hashed(nn.Module):
    """The right layer, of which a mistake changes a part."""

    def __init__(self, n_in, n_out, buckets, seed=0):
        super().__init__()
        self.sizes = n_in, n_out, buckets, seed
        self.register_buffer("bucket", self.partition(n_in, n_out, buckets, seed))
        self.values = nn.Parameter(torch.randn(buckets) / math.sqrt(n_in))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def partition(self, n_in, n_out, buckets, seed):
        return torch.randint(buckets, (n_out, n_in), generator=torch.Generator().manual_seed(seed))

    def matrix(self):
        return self.values[self.bucket]

    def forward(self, x):
        return F.linear(x, self.matrix(), self.bias)


@mistake("HashedLinear", "You drew the buckets from the global generator, so that two layers of one seed differ. Seed a generator of the layer's own.")
class unseeded(_Hashed):
    def partition(self, n_in, n_out, buckets, seed):
        return torch.randint(buckets, (n_out, n_in))


@mistake("HashedLinear", "Your partition is the same for all seeds. It must depend on `seed`.")
class seed_ignored(_Hashed):
    def partition(self, n_in, n_out, buckets, seed):
        return super().partition(n_in, n_out, buckets, 0)


@mistake("HashedLinear", "You deal the buckets out in turn, (i · n_in + j) mod buckets. That is no hash: it does not depend on the seed.")
class in_turn(_Hashed):
    def partition(self, n_in, n_out, buckets, seed):
        return (torch.arange(n_out * n_in) % buckets).reshape(n_out, n_in)


@mistake("HashedLinear", "Every output has one bucket for all its inputs. The hash is one of the position, row and column.")
class one_bucket_a_row(_Hashed):
    def partition(self, n_in, n_out, buckets, seed):
        return super().partition(1, n_out, buckets, seed).expand(n_out, n_in).clone()


@mistake("HashedLinear", "Every input has one bucket for all outputs, so that all outputs are alike. The hash is one of the position, row and column.")
class one_bucket_a_column(_Hashed):
    def partition(self, n_in, n_out, buckets, seed):
        return super().partition(n_in, 1, buckets, seed).expand(n_out, n_in).clone()


@mistake("HashedLinear", "You hash anew in every forward pass, so that the matrix changes from call to call. The partition stays for the layer's life.")
class hashed_anew(_Hashed):
    def matrix(self):
        n_in, n_out, buckets, _ = self.sizes
        return self.values[torch.randint(buckets, (n_out, n_in))]


@mistake("HashedLinear", "All positions got parameters of their own that only start alike. After a step they differ: there must be `buckets` parameters.")
class same_initial_value(_Hashed):
    def __init__(self, n_in, n_out, buckets, seed=0):
        super().__init__(n_in, n_out, buckets, seed)
        self.weight = nn.Parameter(self.values.detach()[self.bucket])
        del self.values

    def matrix(self):
        return self.weight


@mistake("HashedLinear", "The gradient of a shared value is the mean over its positions. By the chain rule it is the sum.")
class gradient_mean(_Hashed):
    def matrix(self):
        count = torch.bincount(self.bucket.ravel(), minlength=len(self.values)).clamp(min=1)
        slow = self.values / count
        return (self.values.detach() - slow.detach() + slow)[self.bucket]


class _LastUse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, bucket):
        ctx.save_for_backward(bucket)
        ctx.buckets = len(values)
        return values[bucket]

    @staticmethod
    def backward(ctx, g):
        grad = torch.zeros(ctx.buckets)
        for place, slope in zip(ctx.saved_tensors[0].ravel().tolist(), g.ravel()):
            grad[place] = slope
        return grad, None


@mistake("HashedLinear", "Of all positions of a bucket only the last one's gradient reaches the shared value: an indexed assignment overwrites. Sum them "
         "(index_add, or let autograd do it).")
class gradient_of_the_last_use(_Hashed):
    def matrix(self):
        return _LastUse.apply(self.values, self.bucket)


@mistake("HashedLinear", "You multiply by a hash that gives signs, as the paper does. Here it is left out: with it the matrix has up to twice as many values.")
class with_signs(_Hashed):
    def matrix(self):
        n_in, n_out, _, seed = self.sizes
        return self.values[self.bucket] * (2 * super().partition(n_in, n_out, 2, seed + 1) - 1)


@mistake("HashedLinear", "Your shared values start at 0, all alike. Draw them at random.")
class zeros_to_start(_Hashed):
    def __init__(self, n_in, n_out, buckets, seed=0):
        super().__init__(n_in, n_out, buckets, seed)
        nn.init.zeros_(self.values)


@mistake("HashedLinear", "Your shared values all start alike, so that the matrix is constant. Draw them at random.")
class ones_to_start(_Hashed):
    def __init__(self, n_in, n_out, buckets, seed=0):
        super().__init__(n_in, n_out, buckets, seed)
        nn.init.constant_(self.values, 0.1)


@mistake("HashedLinear", "The shared values are no trainable parameters: no optimizer will ever move them.")
class frozen_values(_Hashed):
    def matrix(self):
        return self.values.detach()[self.bucket]


@mistake("HashedLinear", "Your matrix is n_in × n_out and is used the wrong way round: outputs are rows.")
class wrong_way_round(_Hashed):
    def partition(self, n_in, n_out, buckets, seed):
        return super().partition(n_out, n_in, buckets, seed)


def _all(space):
    return [dict(zip(space, values)) for values in itertools.product(*space.values())]


def _search(space, predictor, constraint, generations=25, mutate=0.15, cross=True, check=True, start=60):
    """The scheme of the statement, of which a mistake changes a part."""
    rng = random.Random(0)
    population = [config for config in rng.sample(_all(space), len(_all(space))) if constraint(config)][:start]
    if not population:
        raise ValueError
    for _ in range(generations):
        parents = sorted(population, key=predictor, reverse=True)[:15]
        population = parents[:]
        for _ in range(45):
            mother = rng.choice(parents)
            father = rng.choice(parents) if cross else mother
            child = {name: rng.choice(space[name]) if rng.random() < mutate else rng.choice((mother[name], father[name])) for name in space}
            if not check or constraint(child):
                population.append(child)
    return max(population, key=predictor)


@mistake("evolve", "You never asked the constraint: the best of all configurations is too expensive.")
def constraint_ignored(space, predictor, constraint):
    return max(_all(space), key=predictor)


@mistake("evolve", "You asked the constraint of the first population only. A child of two allowed parents need not be allowed: ask it before it joins.")
def children_unchecked(space, predictor, constraint):
    return _search(space, predictor, constraint, check=False)


@mistake("evolve", "Your children have a single parent and no mutation: they are copies, and the search never leaves its first population.")
def copies_of_one_parent(space, predictor, constraint):
    return _search(space, predictor, constraint, cross=False, mutate=0.0, generations=5, start=40)


@mistake("evolve", "You returned the best of a few random draws, without any search after them.")
def best_of_few(space, predictor, constraint):
    allowed = [config for config in random.Random(1).sample(_all(space), len(_all(space))) if constraint(config)][:30]
    if not allowed:
        raise ValueError
    return max(allowed, key=predictor)


@mistake("evolve", "You chose for each name by itself, the others held fixed. The choices depend on one another: such a climb ends on the first hill.")
def one_name_after_the_other(space, predictor, constraint):
    allowed = [config for config in _all(space) if constraint(config)]
    if not allowed:
        raise ValueError
    config = allowed[0]
    for name in space:
        config = max((one for one in ({**config, name: choice} for choice in space[name]) if constraint(one)), key=predictor)
    return config


@mistake("evolve", "Your search looks for the lowest score. Higher is better.")
def lowest_score(space, predictor, constraint):
    return min((config for config in _all(space) if constraint(config)), key=predictor)


@mistake("evolve", "You gave up after a hundred draws that were not allowed, although something is allowed. The space is small: list it.")
def gives_up_after_a_hundred(space, predictor, constraint):
    rng = random.Random(0)
    if not any(constraint({name: rng.choice(choices) for name, choices in space.items()}) for _ in range(100)):
        raise ValueError
    return max((config for config in _all(space) if constraint(config)), key=predictor)


@mistake("evolve", "Where nothing is allowed you return something all the same. Raise ValueError.")
def something_at_any_price(space, predictor, constraint):
    allowed = [config for config in _all(space) if constraint(config)]
    return max(allowed or _all(space), key=predictor)


@mistake("evolve", "You looked for the best of all and then for the nearest allowed one. Search among what is allowed from the start.")
def nearest_allowed_to_the_best(space, predictor, constraint):
    best = max(_all(space), key=predictor)
    return max((config for config in _all(space) if constraint(config)), key=lambda config: sum(config[name] == best[name] for name in space))


@mistake("evolve", "You returned the allowed configuration that costs most, or comes last. Rank by the predictor.")
def last_allowed(space, predictor, constraint):
    allowed = [config for config in _all(space) if constraint(config)]
    if not allowed:
        raise ValueError
    return allowed[-1]


def _least_squares(X, y):
    one = torch.cat([X, torch.ones(len(X), 1)], 1)
    return torch.linalg.lstsq(one, y[:, None]).solution[:, 0]


@mistake("accuracy_predictor", "Your model is linear. The best depth lies in the middle, and two features matter only together: no straight line can order that.")
def linear(X, y):
    weights = _least_squares(X, y)
    return lambda X_new: X_new @ weights[:-1] + weights[-1]


@mistake("accuracy_predictor", "Your network has several layers and nothing nonlinear between them: the product of matrices is a matrix, so it is a linear model.")
def deep_but_linear(X, y):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 32), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        F.mse_loss(net(X)[:, 0], y).backward()
        optimizer.step()
    return lambda X_new: net(X_new)[:, 0].detach()


def _kernel(a, b):
    return torch.exp(-5 * torch.cdist(a, b) ** 2)


def _fitted(X, y):
    weights = torch.linalg.solve(_kernel(X, X) + 0.01 * torch.eye(len(X)), y)
    return lambda X_new: _kernel(X_new, X) @ weights


@mistake("accuracy_predictor", "You returned ranks within the batch. A row alone then always has rank 0; give a score that does not depend on the other rows.")
def ranks_in_the_batch(X, y):
    predict = _fitted(X, y)
    return lambda X_new: predict(X_new).argsort().argsort().float()


@mistake("accuracy_predictor", "You centred or scaled the new rows by the mean and spread of their own batch. Use those of the training rows, or none.")
def scaled_by_the_batch(X, y):
    predict = _fitted((X - X.mean(0)) / X.std(0), y)
    return lambda X_new: predict((X_new - X_new.mean(0)) / X_new.std(0, unbiased=False).clamp(min=1e-3))


@mistake("accuracy_predictor", "You give all rows that were not in the training set the same number. It is those that are to be ordered.")
def by_heart(X, y):
    known = {tuple(row): value for row, value in zip(X.tolist(), y.tolist())}
    mean = float(y.mean())
    return lambda X_new: torch.tensor([known.get(tuple(row), mean) for row in X_new.tolist()])


@mistake("accuracy_predictor", "You predict the training rows, whatever is asked. predict must look at X_new.")
def training_rows(X, y):
    predict = _fitted(X, y)
    return lambda X_new: predict(X)[:len(X_new)]


@mistake("accuracy_predictor", "Your prediction falls where the accuracy rises: higher must mean better.")
def worse_is_higher(X, y):
    predict = _fitted(X, y)
    return lambda X_new: -predict(X_new)


@mistake("accuracy_predictor", "You rank by the size of the network, the sum of its features. Larger is not better here.")
def size_only(X, y):
    return lambda X_new: X_new.sum(1)


@mistake("accuracy_predictor", "You use one feature only. Two of them matter only together.")
def one_feature(X, y):
    return _on_first(_fitted(X[:, :1], y))


def _on_first(predict):
    return lambda X_new: predict(X_new[:, :1])


@mistake("accuracy_predictor", "Each call of your predictor adds to what it has learnt before, so that a row is predicted otherwise the next time.")
def noisy(X, y):
    predict = _fitted(X, y)
    return lambda X_new: predict(X_new) + 0.1 * torch.randn(len(X_new))


@mistake("expected_latency", "You took the latency of the likeliest operation. That is not the expected one, and argmax has no gradient.")
def of_the_likeliest(alphas, latencies):
    return latencies[torch.arange(len(alphas)), alphas.argmax(1)].sum()


@mistake("expected_latency", "Your value is that of the likeliest operation (a hard choice forward, a soft one backward). Asked for is the expectation.")
def hard_forward(alphas, latencies):
    p = torch.softmax(alphas, 1)
    hard = F.one_hot(alphas.argmax(1), alphas.shape[1]).float()
    return ((hard - p.detach() + p) * latencies).sum()


@mistake("expected_latency", "The latencies are not in it: probabilities alone sum to the number of layers, whatever α.")
def latencies_unweighted(alphas, latencies):
    return torch.softmax(alphas, 1).sum()


@mistake("expected_latency", "You averaged the latencies of the operations without the probabilities.")
def plain_mean(alphas, latencies):
    return latencies.mean(1).sum() + 0 * alphas.sum()


@mistake("expected_latency", "Your softmax runs down the columns, over the layers. It belongs to the operations of one layer: dim=1.")
def over_the_layers(alphas, latencies):
    return (torch.softmax(alphas, 0) * latencies).sum()


@mistake("expected_latency", "Your softmax runs over all layers and operations together. Each layer chooses by itself: one softmax per row.")
def over_everything(alphas, latencies):
    return (torch.softmax(alphas.flatten(), 0) * latencies.flatten()).sum()


@mistake("expected_latency", "You averaged over the layers. They run one after the other, so their latencies add up.")
def mean_over_layers(alphas, latencies):
    return (torch.softmax(alphas, 1) * latencies).sum(1).mean()


@mistake("expected_latency", "You took the slowest layer. The layers run one after the other, so their latencies add up.")
def slowest_layer(alphas, latencies):
    return (torch.softmax(alphas, 1) * latencies).sum(1).max()


@mistake("expected_latency", "exp of a large α overflows, and inf / inf is not a number. torch.softmax subtracts the row's maximum first.")
def overflow(alphas, latencies):
    e = alphas.exp()
    return (e / e.sum(1, keepdim=True) * latencies).sum()


@mistake("expected_latency", "The α themselves are not probabilities. Softmax makes them positive, with the sum 1 in each row.")
def without_softmax(alphas, latencies):
    return (alphas * latencies).sum()


@mistake("expected_latency", "You used a sigmoid for each α. The operations of a layer exclude one another: softmax.")
def sigmoid(alphas, latencies):
    return (torch.sigmoid(alphas) * latencies).sum()


@mistake("expected_latency", "The value is right, but no gradient reaches alphas: leave out item(), float() and detach().")
def out_of_the_graph(alphas, latencies):
    return torch.tensor(float((torch.softmax(alphas.detach(), 1) * latencies).sum()))


@mistake("expected_latency", "You added random (Gumbel) noise, as FBNet does when it samples. The expectation has none.")
def with_gumbel_noise(alphas, latencies):
    return (F.gumbel_softmax(alphas, dim=1) * latencies).sum()
