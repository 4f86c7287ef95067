"""Wrong answers to the exercises of 00, each with what to tell a student who gave it."""
import copy
import heapq
import itertools
import math
from collections import Counter

import numpy as np
import torch
from torch import nn

from autograder.mistakes import mistake


@mistake("sparsity", "You gave the share of the non-zeros, which is the density. Sparsity is the share of the zeros: 1 minus that.")
def density(t):
    return np.count_nonzero(t) / max(t.size, 1)


@mistake("sparsity", "You divided whole numbers with //, which cuts the share down to 0 or 1. Use /.")
def integer_division(t):
    return float(np.sum(t == 0) // max(t.size, 1))


@mistake("sparsity", "Right for all arrays but the empty one, where you get NaN: the mean of nothing. Give 0.0 there.")
def nan_when_empty(t):
    with np.errstate(all="ignore"):
        return float(np.float64(np.sum(t == 0)) / np.float64(t.size))


@mistake("sparsity", "An empty array makes you divide by zero. Give 0.0 there.")
def crash_when_empty(t):
    return int(np.sum(t == 0)) / t.size


@mistake("sparsity", "You call an empty array all zeros: 1 minus the share of the non-zeros is 1 there. There is no zero in it: give 0.0.")
def empty_is_all_zeros(t):
    return 1 - np.count_nonzero(t) / max(t.size, 1)


@mistake("sparsity", "You gave a percentage. Sparsity is a share between 0 and 1.")
def percentage(t):
    return 100 * float(np.sum(t == 0)) / max(t.size, 1)


@mistake("sparsity", "You gave the number of zeros. Sparsity is their share: divide by the number of elements.")
def number_of_zeros(t):
    return float(np.sum(t == 0))


@mistake("sparsity", "You divided by len(t), the length of the first axis only. The number of elements is t.size.")
def by_the_first_axis(t):
    return float(np.sum(t == 0)) / max(len(t), 1)


@mistake("sparsity", "You count numbers close to zero as zeros. Only an exact zero can be left out of a file: compare with == 0.")
def nearly_zero(t):
    return float(np.sum(np.abs(t) < 1e-8) / max(t.size, 1))


@mistake("sparsity", "You count negative numbers as zeros. Compare with == 0.")
def not_positive(t):
    return float(np.sum(t <= 0) / max(t.size, 1))


@mistake("sparsity", "You gave the share of the rows that are all zero. Count the zero elements, wherever they are.")
def empty_rows(t):
    rows = t.reshape(t.shape[0], -1)
    return float(np.sum((rows == 0).all(axis=1)) / max(len(rows), 1)) if t.size else 0.0


@mistake("count_parameters", "You left out the biases and other vectors. Every parameter counts, whatever its shape.")
def biases_dropped(model, nonzero=False):
    return sum(int((p != 0).sum()) if nonzero else p.numel() for p in model.parameters() if p.dim() > 1)


@mistake("count_parameters", "You counted a parameter once for every place where it is used. Tied weights are stored once, and count once.")
def tied_counted_twice(model, nonzero=False):
    return sum(int((p != 0).sum()) if nonzero else p.numel() for _, p in model.named_parameters(remove_duplicate=False))


@mistake("count_parameters", "You counted the buffers too (the running statistics of a batch norm). They are no parameters.")
def buffers_counted(model, nonzero=False):
    return sum(int((p != 0).sum()) if nonzero else p.numel() for p in [*model.parameters(), *model.buffers()])


@mistake("count_parameters", "You summed over the state_dict: it holds buffers as well, and tied weights under each of their names. Sum "
         "over model.parameters().")
def state_dict_summed(model, nonzero=False):
    return sum(int((p != 0).sum()) if nonzero else p.numel() for p in model.state_dict().values())


@mistake("count_parameters", "You counted trainable parameters only. A frozen parameter must be stored like any other.")
def only_trainable(model, nonzero=False):
    return sum(int((p != 0).sum()) if nonzero else p.numel() for p in model.parameters() if p.requires_grad)


@mistake("count_parameters", "You ignored nonzero: with nonzero=True the zeros are left out.")
def nonzero_ignored(model, nonzero=False):
    return sum(p.numel() for p in model.parameters())


@mistake("count_parameters", "You always left out the zeros. They are left out with nonzero=True only.")
def always_nonzero(model, nonzero=False):
    return sum(int((p != 0).sum()) for p in model.parameters())


@mistake("count_parameters", "With nonzero=True you counted the positive ones. A negative weight is not zero either.")
def only_positive(model, nonzero=False):
    return sum(int((p > 0).sum()) if nonzero else p.numel() for p in model.parameters())


@mistake("count_parameters", "With nonzero=True you counted the zeros. Count what is not 0.")
def zeros_counted(model, nonzero=False):
    return sum(int((p == 0).sum()) if nonzero else p.numel() for p in model.parameters())


@mistake("count_parameters", "You counted tensors. A tensor of shape (3, 2) holds 6 parameters: p.numel().")
def tensors_counted(model, nonzero=False):
    return sum(int((p != 0).any()) if nonzero else 1 for p in model.parameters())


@mistake("count_parameters", "You went through all modules and took all parameters of each: module.parameters() includes those of the "
         "modules inside, so nested ones were counted again and again.")
def counted_at_every_level(model, nonzero=False):
    return sum(int((p != 0).sum()) if nonzero else p.numel() for m in model.modules() for p in m.parameters())


@mistake("count_parameters", "You counted dense layers and convolutions only. Norms, embeddings and recurrent layers have parameters as "
         "well.")
def two_kinds_of_layers(model, nonzero=False):
    layers = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    return sum(int((p != 0).sum()) if nonzero else p.numel() for p in {p for m in layers for p in m.parameters()})


@mistake("count_parameters", "You took what is called weight and bias. A recurrent layer calls its parameters otherwise: ask for all, by "
         "model.parameters().")
def weight_and_bias_by_name(model, nonzero=False):
    found = {p for name, p in model.named_parameters() if name.rpartition(".")[2] in ("weight", "bias")}
    return sum(int((p != 0).sum()) if nonzero else p.numel() for p in found)


@mistake("count_parameters", "You took two different layers for one because they hold equal values (or have equal shapes). One parameter "
         "is one object.")
def equal_values_counted_once(model, nonzero=False):
    found = {tuple(p.flatten().tolist()): p for p in model.parameters()}
    return sum(int((p != 0).sum()) if nonzero else p.numel() for p in found.values())


@mistake("count_parameters", "You counted modules without inner modules only. A module may own parameters and have modules inside, such as "
         "nn.MultiheadAttention: ask the model for all, by model.parameters().")
def innermost_modules(model, nonzero=False):
    found = {p for m in model.modules() if not list(m.children()) for p in m.parameters()}
    return sum(int((p != 0).sum()) if nonzero else p.numel() for p in found)


def _count(model, x, of, kinds=(nn.Conv2d, nn.Linear), total=sum):
    """Call a copy of the model; the total of `of(layer, input, output)` over the calls of layers of these kinds."""
    found, watched = [], copy.deepcopy(model)
    for layer in watched.modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(lambda layer, inputs, output: found.append(of(layer, inputs[0], output)))
    watched(x)
    return total(found)


def _macs(layer, x, y):
    return y.numel() * layer.weight[0].numel()


@mistake("count_macs", "You ignored the groups: with g groups each output sees C_in / g channels only.")
def groups_ignored(model, x):
    return _count(model, x, lambda layer, x, y: y.numel() * (
        layer.in_channels * math.prod(layer.kernel_size) if isinstance(layer, nn.Conv2d) else layer.in_features))


@mistake("count_macs", "You took the size of the input. A convolution computes once for every position of its output: H_out · W_out.")
def size_of_the_input(model, x):
    return _count(model, x, lambda layer, x, y: layer.weight.numel() * x[:, 0].numel() if isinstance(layer, nn.Conv2d) else _macs(layer, x, y))


@mistake("count_macs", "You counted a MAC as two operations. Those are FLOPs; one multiply-accumulate is one.")
def flops(model, x):
    return 2 * _count(model, x, _macs)


@mistake("count_macs", "You counted the biases too. Adding a bias is no multiply-accumulate; here it counts nothing.")
def biases_counted(model, x):
    return _count(model, x, lambda layer, x, y: _macs(layer, x, y) + (0 if layer.bias is None else y.numel()))


@mistake("count_macs", "You counted a single picture. The MACs of the whole batch x are asked for.")
def one_picture(model, x):
    return _count(model, x, lambda layer, x, y: _macs(layer, x, y) // len(y))


@mistake("count_macs", "You counted a layer once that was called twice, as if a second call were free. Add up over the calls.")
def each_layer_once(model, x):
    return _count(model, x, lambda layer, x, y: (layer, _macs(layer, x, y)), total=lambda found: sum(dict(found).values()))


@mistake("count_macs", "Your count is right, but your hooks are still on the model, and fire in every call to come. Keep each handle and "
         "call its remove(), or work on a copy.")
def hooks_left(model, x):
    counts, modes, state = [], [m.training for m in model.modules()], copy.deepcopy(model.state_dict())
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(lambda layer, inputs, output: counts.append(_macs(layer, None, output)))
    model.eval()(x)
    for m, mode in zip(model.modules(), modes):
        m.training = mode
    model.load_state_dict(state)
    return sum(counts)


@mistake("count_macs", "Your count is right, but you took all hooks off the model, those too that were there before. Remove your own "
         "only, or work on a copy.")
def all_hooks_removed(model, x):
    counts = _count(model, x, _macs)
    for m in model.modules():
        m._forward_hooks.clear()
    return counts


@mistake("count_macs", "Your count is right, but the model is left in eval mode. Put every module's mode back, or work on a copy.")
def left_in_eval_mode(model, x):
    counts = _count(model, x, _macs)
    model.eval()
    return counts


@mistake("count_macs", "Your count is right, but you turned requires_grad off for good. Use torch.no_grad(), or work on a copy.")
def frozen(model, x):
    counts = _count(model, x, _macs)
    model.requires_grad_(False)
    return counts


@mistake("count_macs", "Your count is right, but you called train() on the whole model at the end: modules that were in eval mode no "
         "longer are. Note each module's mode, or work on a copy.")
def one_mode_for_all(model, x):
    counts = _count(model, x, _macs)
    model.train(model.training)
    return counts


@mistake("count_macs", "Your count is right, but you called the model itself in training mode, so its batch norms took x into their "
         "running statistics. Work on a copy, or in eval mode.")
def buffers_changed(model, x):
    with torch.no_grad():
        model(x)
    return _count(model, x, _macs)


@mistake("count_macs", "You squared one side of the kernel. Kernels need not be square: K_h · K_w.")
def square_kernels(model, x):
    return _count(model, x, lambda layer, x, y: y.numel() * layer.weight.shape[1] * layer.kernel_size[0]**2 if isinstance(layer, nn.Conv2d)
                  else _macs(layer, x, y))


@mistake("count_macs", "You squared one side of the output. Pictures need not be square: H_out · W_out.")
def square_pictures(model, x):
    return _count(model, x, lambda layer, x, y: len(y) * layer.weight.numel() * y.shape[-1]**2 if isinstance(layer, nn.Conv2d)
                  else _macs(layer, x, y))


@mistake("count_macs", "You counted one-dimensional and transposed convolutions too. Only nn.Conv2d and nn.Linear count.")
def other_convolutions(model, x):
    return _count(model, x, _macs, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear))


@mistake("count_macs", "A dense layer maps every vector along its last axis: for an input of shape (n, T, n_in) there are n · T of them.")
def one_vector_per_sample(model, x):
    return _count(model, x, lambda layer, x, y: len(y) * layer.weight.numel() if isinstance(layer, nn.Linear) else _macs(layer, x, y))


@mistake("count_macs", "You counted a layer that is never called. What counts is what the call model(x) computes.")
def uncalled_counted(model, x):
    called, watched = [], copy.deepcopy(model)
    for layer in watched.modules():
        layer.register_forward_hook(lambda layer, inputs, output: called.append(layer))
    watched(x)
    never = [m for m in watched.modules() if isinstance(m, nn.Linear) and m not in called]
    return _count(model, x, _macs) + sum(len(x) * m.weight.numel() for m in never)


@mistake("count_macs", "You counted the weights. A convolution uses each of them at every position of its output, and every layer for "
         "each picture.")
def weights_counted(model, x):
    return _count(model, x, lambda layer, x, y: layer.weight.numel())


@mistake("count_macs", "You counted the outputs. Each of them is a sum of many products: C_in / g · K_h · K_w in a convolution, n_in in a "
         "dense layer.")
def outputs_counted(model, x):
    return _count(model, x, lambda layer, x, y: y.numel())


@mistake("count_macs", "You forgot the dense layers. nn.Linear counts as well.")
def convolutions_only(model, x):
    return _count(model, x, _macs, nn.Conv2d)


@mistake("count_macs", "You left out products with a zero weight. A dense kernel computes them too; they count.")
def zero_weights_free(model, x):
    return _count(model, x, lambda layer, x, y: y.numel() // len(layer.weight) * int(layer.weight.count_nonzero()) if not layer.weight.any()
                  else _macs(layer, x, y))


@mistake("count_macs", "You looked at the outermost layers only. Layers may be nested at any depth: modules() lists all.")
def outermost_layers(model, x):
    if isinstance(model, (nn.Conv2d, nn.Linear)):
        return _count(model, x, _macs)
    outermost = [name for name, m in model.named_children()]
    total, model = 0, copy.deepcopy(model)
    for name in outermost:
        layer = model.get_submodule(name)
        y = layer(x)
        total += _macs(layer, x, y) if isinstance(layer, (nn.Conv2d, nn.Linear)) else 0
        x = y
    return total


def _numbers(shapes):
    return [math.prod(shape) for shape in shapes]


def _bits(shapes, bits, codebook_bits, index_bits):
    return sum(_numbers(shapes)) * (bits + index_bits) + len(shapes) * 2**bits * codebook_bits


@mistake("model_bits", "You forgot the codebooks. Whoever decodes needs each table: 2^bits entries of codebook_bits for each tensor.")
def codebook_forgotten(shapes, bits, codebook_bits=0, index_bits=0):
    return sum(_numbers(shapes)) * (bits + index_bits)


@mistake("model_bits", "You forgot the indices. Each stored number also costs index_bits.")
def index_forgotten(shapes, bits, codebook_bits=0, index_bits=0):
    return sum(_numbers(shapes)) * bits + len(shapes) * 2**bits * codebook_bits


@mistake("model_bits", "You gave bytes. The result is in bits.")
def in_bytes(shapes, bits, codebook_bits=0, index_bits=0):
    return _bits(shapes, bits, codebook_bits, index_bits) / 8


@mistake("model_bits", "You counted one codebook for all tensors. Each tensor has its own.")
def one_codebook(shapes, bits, codebook_bits=0, index_bits=0):
    return sum(_numbers(shapes)) * (bits + index_bits) + (2**bits * codebook_bits if shapes else 0)


@mistake("model_bits", "You gave the codebook one entry for each bit. A code of b bits has 2^b different values, and each needs an entry.")
def an_entry_for_each_bit(shapes, bits, codebook_bits=0, index_bits=0):
    return sum(_numbers(shapes)) * (bits + index_bits) + len(shapes) * bits * codebook_bits


@mistake("model_bits", "You took codebook_bits for the size of the whole table. Each of its 2^bits entries takes codebook_bits.")
def a_table_of_one_entry(shapes, bits, codebook_bits=0, index_bits=0):
    return sum(_numbers(shapes)) * (bits + index_bits) + len(shapes) * codebook_bits


@mistake("model_bits", "You paid for the index once for each tensor. Each stored number has one.")
def an_index_for_each_tensor(shapes, bits, codebook_bits=0, index_bits=0):
    return sum(_numbers(shapes)) * bits + len(shapes) * (2**bits * codebook_bits + index_bits)


@mistake("model_bits", "You paid for indices of the codebook's entries too. They are stored in order.")
def indexed_codebook(shapes, bits, codebook_bits=0, index_bits=0):
    return sum(_numbers(shapes)) * (bits + index_bits) + len(shapes) * 2**bits * (codebook_bits + index_bits if codebook_bits else 0)


@mistake("model_bits", "You added the sides of a shape. A tensor of shape (4, 3) has 4 · 3 elements: math.prod.")
def sum_of_the_sides(shapes, bits, codebook_bits=0, index_bits=0):
    return sum(map(sum, shapes)) * (bits + index_bits) + len(shapes) * 2**bits * codebook_bits


@mistake("model_bits", "The shape () holds one number, not none: the product of no sides is 1.")
def no_sides_no_number(shapes, bits, codebook_bits=0, index_bits=0):
    return sum(math.prod(s) if s else 0 for s in shapes) * (bits + index_bits) + len(shapes) * 2**bits * codebook_bits


@mistake("model_bits", "You left out the tensors with fewer than two dimensions. Biases are stored too.")
def biases_not_stored(shapes, bits, codebook_bits=0, index_bits=0):
    return _bits([s for s in shapes if len(s) > 1], bits, codebook_bits, index_bits)


@mistake("model_bits", "You always paid for a codebook. With codebook_bits=0 there is none: the bits are the number itself.")
def always_a_codebook(shapes, bits, codebook_bits=0, index_bits=0):
    return _bits(shapes, bits, codebook_bits or 32, index_bits)


@mistake("model_bits", "You gave a compression ratio against 32 bits. The bits themselves are asked for.")
def ratio(shapes, bits, codebook_bits=0, index_bits=0):
    return 32 * sum(_numbers(shapes)) / max(1, _bits(shapes, bits, codebook_bits, index_bits))


def _occurring(counts):
    return {symbol: count for symbol, count in counts.items() if count > 0}


def _huffman(counts, joins_last=False):
    """Right lengths, for the mistakes that spoil them; 0 for a single symbol. A join keeps a place among equal counts, or comes last."""
    heap, last = [(count, number, [symbol]) for number, (symbol, count) in enumerate(counts.items())], itertools.count(len(counts))
    lengths = dict.fromkeys(counts, 0)
    heapq.heapify(heap)
    while len(heap) > 1:
        (a, _, some), (b, number, others) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in some + others:
            lengths[symbol] += 1
        heapq.heappush(heap, (a + b, next(last) if joins_last else number, some + others))
    return lengths


@mistake("huffman_lengths", "You gave all symbols the same length. That is a code of fixed width; frequent symbols must get shorter words.")
def fixed_length(counts):
    found = _occurring(counts)
    return dict.fromkeys(found, max(1, math.ceil(math.log2(len(found))))) if found else {}


@mistake("huffman_lengths", "A single symbol got 0 bits. Nobody could count such words in a stream: give it length 1.")
def nothing_for_one_symbol(counts):
    return _huffman(_occurring(counts))


@mistake("huffman_lengths", "A single symbol got 0 bits. Nobody could count such words in a stream: give it length 1.")
def nothing_for_one_symbol_joins_last(counts):
    return _huffman(_occurring(counts), joins_last=True)


@mistake("huffman_lengths", "You gave words to symbols that never occur, and lengthened other words to do so. Leave out what has count 0.")
def zero_counts_coded(counts):
    lengths = _huffman(counts)
    return lengths if len(lengths) != 1 else dict.fromkeys(lengths, 1)


@mistake("huffman_lengths", "You gave words to symbols that never occur, and lengthened other words to do so. Leave out what has count 0.")
def zero_counts_coded_joins_last(counts):
    lengths = _huffman(counts, joins_last=True)
    return lengths if len(lengths) != 1 else dict.fromkeys(lengths, 1)


@mistake("huffman_lengths", "You listed symbols that never occur, with length 0. Leave them out.")
def zero_counts_listed(counts):
    lengths = _huffman(_occurring(counts))
    return dict.fromkeys(counts, 0) | (lengths if len(lengths) != 1 else dict.fromkeys(lengths, 1))


@mistake("huffman_lengths", "You listed symbols that never occur, with length 0. Leave them out.")
def zero_counts_listed_joins_last(counts):
    lengths = _huffman(_occurring(counts), joins_last=True)
    return dict.fromkeys(counts, 0) | (lengths if len(lengths) != 1 else dict.fromkeys(lengths, 1))


@mistake("huffman_lengths", "You rounded −log₂ p up. Those are Shannon's lengths: a prefix code with them exists, but it is not the "
         "shortest.")
def shannon_lengths(counts):
    found = _occurring(counts)
    return {symbol: max(1, math.ceil(math.log2(sum(found.values()) / count))) for symbol, count in found.items()}


@mistake("huffman_lengths", "You rounded −log₂ p to the nearest whole number. Such lengths may belong to no prefix code, or to one that "
         "is too long.")
def rounded_information(counts):
    found = _occurring(counts)
    return {symbol: max(1, round(math.log2(sum(found.values()) / count))) for symbol, count in found.items()}


@mistake("huffman_lengths", "You gave −log₂ p, the information of each symbol. A word has a whole number of bits; Huffman's joins give "
         "them.")
def information(counts):
    found = _occurring(counts)
    return {symbol: math.log2(sum(found.values()) / count) if len(found) > 1 else 1 for symbol, count in found.items()}


@mistake("huffman_lengths", "You split the sorted symbols into halves of equal weight, from the top. That is Shannon and Fano's code; it "
         "can be longer than Huffman's, who joins from the bottom.")
def shannon_fano(counts):
    ranked = sorted(_occurring(counts).items(), key=lambda item: (-item[1], str(item[0])))
    if len(ranked) == 1:
        return {ranked[0][0]: 1}
    lengths = dict.fromkeys((symbol for symbol, _ in ranked), 0)

    def split(part):
        if len(part) < 2:
            return
        cut = min(range(1, len(part)), key=lambda k: abs(sum(c for _, c in part[:k]) - sum(c for _, c in part[k:])))
        for symbol, _ in part:
            lengths[symbol] += 1
        split(part[:cut])
        split(part[cut:])

    split(ranked)
    return lengths


@mistake("huffman_lengths", "You joined the most frequent symbols first, so that they got the longest words. Join the rarest.")
def most_frequent_joined(counts):
    found = _occurring(counts)
    heap = sorted((count, number, [symbol]) for number, (symbol, count) in enumerate(found.items()))
    lengths = dict.fromkeys(found, 1 if len(found) == 1 else 0)
    while len(heap) > 1:
        (a, _, some), (b, number, others) = heap.pop(), heap.pop()
        for symbol in some + others:
            lengths[symbol] += 1
        heap = sorted([*heap, (a + b, number, some + others)])
    return lengths


@mistake("huffman_lengths", "You always joined the next symbol to what was joined before: the counts were sorted once, or a join's "
         "count was not the sum of its two. Add them, and look for the two smallest after every join.")
def sorted_once(counts):
    ranked = [symbol for symbol, _ in sorted(_occurring(counts).items(), key=lambda item: item[1])]
    return {symbol: max(1, len(ranked) - max(place, 1)) for place, symbol in enumerate(ranked)}


@mistake("huffman_lengths", "You put every join behind all that was left, whatever its count. It has its place by its count, between the "
         "others: look for the two smallest after every join.")
def joins_put_last(counts):
    found = _occurring(counts)
    line = [[symbol] for symbol in sorted(found, key=found.get)]
    lengths = dict.fromkeys(found, 1 if len(found) == 1 else 0)
    while len(line) > 1:
        joined = line[0] + line[1]
        for symbol in joined:
            lengths[symbol] += 1
        line = [*line[2:], joined]
    return lengths


@mistake("huffman_lengths", "You gave lengths one too large: the root is no bit. Count the joins that a symbol takes part in.")
def root_counted(counts):
    return {symbol: length + 1 for symbol, length in _huffman(_occurring(counts)).items()}


@mistake("huffman_lengths", "You gave the words' bits as text. The lengths are asked for.")
def words_for_lengths(counts):
    found = _occurring(counts)
    lengths = {symbol: max(1, length) for symbol, length in _huffman(found).items()}
    words, word, last = {}, 0, 0
    for symbol in sorted(lengths, key=lambda s: (lengths[s], str(s))):
        word <<= lengths[symbol] - last
        words[symbol], last, word = format(word, f"0{lengths[symbol]}b"), lengths[symbol], word + 1
    return words


@mistake("huffman_lengths", "You joined the two smallest, but gave the join the larger of their counts. A join occurs as often as both "
         "together: add them.")
def joined_by_maximum(counts):
    found = _occurring(counts)
    heap = [(count, [symbol]) for symbol, count in found.items()]
    lengths = dict.fromkeys(found, 1 if len(found) == 1 else 0)
    while len(heap) > 1:
        (a, some), (b, others), *rest = sorted(heap, key=lambda group: group[0])
        for symbol in some + others:
            lengths[symbol] += 1
        heap = [*rest, (max(a, b), some + others)]
    return lengths


@mistake("huffman_lengths", "Your lengths are right, but you took the counts out of the dictionary that you were given. Work on a copy.")
def counts_consumed(counts):
    lengths = _huffman(_occurring(counts))
    counts.clear()
    return lengths if len(lengths) != 1 else dict.fromkeys(lengths, 1)


def _encode(m, index_bits, largest=None, first=-1, fits=lambda gap, largest: gap <= largest, fillers=99, behind=False):
    """The right code, and near it the wrong ones: another largest gap or start, another test of what fits, fewer fillers, or some at the end."""
    flat, largest = m.ravel(), 2**index_bits if largest is None else largest
    values, gaps, before = [], [], first
    for position in [*np.flatnonzero(flat), *([flat.size - 1] if behind else [])]:
        gap, filled = int(position) - before, 0
        while not fits(gap, largest) and filled < fillers:
            values, gaps, gap, filled = [*values, 0.0], [*gaps, largest], gap - largest, filled + 1
        if flat[position] != 0 and gap + filled * largest > 0 or position == 0:
            values, gaps = [*values, flat[position]], [*gaps, gap]
        before = int(position) if flat[position] != 0 else before
    return np.array(values), np.array(gaps, int), m.shape


def _decode(values, gaps, shape, first=-1):
    flat = np.zeros(math.prod(shape))
    flat[np.cumsum(gaps) + first] = values
    return flat.reshape(shape)


@mistake("csr_encode", "You stored gaps that do not fit into index_bits. A gap above 2^index_bits must be bridged with fillers: value 0, "
         "gap 2^index_bits.")
class NoFiller:
    def csr_encode(m, index_bits):
        return _encode(m, index_bits, fillers=0)

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "You stored one filler where more are needed. Put fillers while the gap is too large, not if it is.")
class OneFiller:
    def csr_encode(m, index_bits):
        return _encode(m, index_bits, fillers=1)

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "Your gaps start from position 0, so that a non-zero there would have gap 0, which no code has. Before the first "
         "lies position −1.")
class FromPositionZero:
    def csr_encode(m, index_bits):
        return _encode(m, index_bits, first=0)

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape, first=0)


@mistake("csr_encode", "You stored the number of zeros between two entries, one less than the gap. A gap is the difference of the "
         "positions: neighbours have gap 1.")
class ZerosBetween:
    def csr_encode(m, index_bits):
        values, gaps, shape = _encode(m, index_bits)
        return values, gaps - 1, shape

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps + 1, shape)


@mistake("csr_encode", "Your largest gap is 2^index_bits − 1. Gaps start at 1, so that index_bits have room for 1 to 2^index_bits.")
class LargestGapOneLess:
    def csr_encode(m, index_bits):
        return _encode(m, index_bits, largest=2**index_bits - 1)

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "You took index_bits for the largest gap. With that many bits gaps up to 2^index_bits can be written.")
class BitsForTheLargestGap:
    def csr_encode(m, index_bits):
        return _encode(m, index_bits, largest=index_bits)

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "You put a filler before a gap of exactly 2^index_bits, and the gap left is 0. Such a gap fits: fill while it is "
         "larger.")
class FillerBeforeTheLargestGap:
    def csr_encode(m, index_bits):
        values, gaps, before, flat, largest = [], [], -1, m.ravel(), 2**index_bits
        for position in np.flatnonzero(flat).tolist():
            gap = position - before
            while gap >= largest:
                values, gaps, gap = [*values, 0.0], [*gaps, largest], gap - largest
            values, gaps, before = [*values, flat[position]], [*gaps, gap], position
        return np.array(values), np.array(gaps, int), m.shape

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "You lost the shape: what comes back is a vector. Return m.shape, and reshape when you decode.")
class ShapeLost:
    def csr_encode(m, index_bits):
        values, gaps, _ = _encode(m, index_bits)
        return values, gaps, (m.size,)

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape).ravel()


@mistake("csr_encode", "You decoded to a vector. Give it the shape before you return it.")
class DecodedToAVector:
    def csr_encode(m, index_bits):
        return _encode(m, index_bits)

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape).ravel()


@mistake("csr_encode", "You went through the matrix column by column. The positions run row by row.")
class ColumnByColumn:
    def csr_encode(m, index_bits):
        return *_encode(m.T, index_bits)[:2], m.shape

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape[::-1]).T


@mistake("csr_encode", "You started anew in every row. The positions of the whole matrix run on, and a gap may run over the end of a row.")
class EveryRowAnew:
    def csr_encode(m, index_bits):
        rows = [_encode(row[None], index_bits)[:2] for row in m]
        return np.concatenate([v for v, _ in rows]), np.concatenate([g for _, g in rows]), m.shape

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "You stored positions instead of gaps. A gap is the difference to the position of the entry before.")
class Positions:
    def csr_encode(m, index_bits):
        return m[m != 0], np.flatnonzero(m), m.shape

    def csr_decode(values, gaps, shape):
        flat = np.zeros(math.prod(shape))
        flat[gaps] = values
        return flat.reshape(shape)


@mistake("csr_encode", "You put fillers behind the last non-zero. Nothing comes after it that needs one; the shape says where the matrix "
         "ends.")
class FillersAtTheEnd:
    def csr_encode(m, index_bits):
        return _encode(m, index_bits, behind=True)

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "You stored a filler as soon as there were 2^index_bits zeros in a row, behind the last non-zero too. Wait for the "
         "next non-zero: fillers stand only before one.")
class FillerForEveryRun:
    def csr_encode(m, index_bits):
        values, gaps, before = [], [], -1
        for position, value in enumerate(m.ravel()):
            if value != 0 or position - before == 2**index_bits:
                values, gaps, before = [*values, value], [*gaps, position - before], position
        return np.array(values), np.array(gaps, int), m.shape

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "You left out numbers close to zero. Only an exact zero may be left out: compare with 0.")
class NearlyZeroLeftOut:
    def csr_encode(m, index_bits):
        return _encode(np.where(np.abs(m) < 1e-8, 0, m), index_bits)

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "You took the numbers in the order in which they lie in memory (order='K' or 'A'). A transposed matrix lies there "
         "column by column; positions run row by row.")
class AsInMemory:
    def csr_encode(m, index_bits):
        return *_encode(m.ravel(order="K")[None], index_bits)[:2], m.shape

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "After a filler you stored the whole gap once more. A filler is an entry: the next gap counts from where it stands.")
class GapCountedTwice:
    def csr_encode(m, index_bits):
        values, gaps, before = [], [], -1
        for position in np.flatnonzero(m).tolist():
            whole = position - before
            fillers = (whole - 1) // 2**index_bits
            values += [0.0] * fillers + [m.flat[position]]
            gaps += [2**index_bits] * fillers + [whole]
            before = position
        return np.array(values), np.array(gaps, int), m.shape

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "You stored the fillers' gaps, but not their zeros, so that values and gaps differ in length. A filler is a value "
         "of 0, too.")
class FillersWithoutValue:
    def csr_encode(m, index_bits):
        values, gaps, shape = _encode(m, index_bits)
        return values[values != 0], gaps, shape

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "You let large gaps wrap around, as an unsigned number of index_bits would. The place is lost; bridge them with "
         "fillers.")
class WrappedGaps:
    def csr_encode(m, index_bits):
        values, gaps, shape = _encode(m, index_bits, fillers=0)
        return values, (gaps - 1) % 2**index_bits + 1, shape

    def csr_decode(values, gaps, shape):
        return _decode(values, gaps, shape)


@mistake("csr_encode", "When you decode, you drop the fillers before you add up the gaps, so that what follows moves forward. A filler's "
         "gap counts.")
class FillersDropped:
    def csr_encode(m, index_bits):
        return _encode(m, index_bits)

    def csr_decode(values, gaps, shape):
        return _decode(values[values != 0], gaps[values != 0], shape)


@mistake("csr_encode", "You decode one position too far: the first gap counts from position −1, so subtract 1 from the sums of the gaps.")
class DecodedOneTooFar:
    def csr_encode(m, index_bits):
        return _encode(m, index_bits)

    def csr_decode(values, gaps, shape):
        return np.roll(_decode(values, gaps, shape).ravel(), 1).reshape(shape)


@mistake("csr_encode", "You take gaps for positions when you decode. Add them up: np.cumsum(gaps) - 1.")
class GapsAsPositions:
    def csr_encode(m, index_bits):
        return _encode(m, index_bits)

    def csr_decode(values, gaps, shape):
        flat = np.zeros(math.prod(shape))
        flat[gaps - 1] = values
        return flat.reshape(shape)


def _classes(y_true, y_pred):
    """For every class of the union: hits, how often it is true, how often it was said."""
    for c in np.union1d(y_true, y_pred):
        yield np.sum((y_true == c) & (y_pred == c)), np.sum(y_true == c), np.sum(y_pred == c)


def _share(part, whole, empty=0.0):
    return part / whole if whole else empty


def _f1(hits, true, said):
    return 2 * hits / (true + said)


@mistake("f1_macro", "You pooled the hits of all classes. That is the micro F1, which for one label a picture is the accuracy. Average "
         "the classes' F1.")
def micro(y_true, y_pred):
    return np.mean(y_true == y_pred)


@mistake("f1_macro", "A class without hits made your mean NaN: 0/0. It counts as 0.")
def nan_for_an_absent_class(y_true, y_pred):
    with np.errstate(all="ignore"):
        rates = [(np.float64(h) / s, np.float64(h) / t) for h, t, s in _classes(y_true, y_pred)]
        return np.mean([2 * p * r / (p + r) for p, r in rates])


@mistake("f1_macro", "You left out the classes without a hit (nanmean, or an if). Such a class has F1 = 0, and counts in the mean.")
def lost_classes_left_out(y_true, y_pred):
    scores = [_f1(*c) for c in _classes(y_true, y_pred) if c[0]]
    return np.mean(scores) if scores else 0.0


@mistake("f1_macro", "You counted 0/0 as 1: a class that is never predicted got precision 1. Here 0/0 is 0.")
def undefined_is_one(y_true, y_pred):
    scores = []
    for h, t, s in _classes(y_true, y_pred):
        p, r = _share(h, s, 1.0), _share(h, t, 1.0)
        scores.append(_share(2 * p * r, p + r, 1.0))
    return np.mean(scores)


@mistake("f1_macro", "You weighted the classes by how often they occur. The macro F1 gives every class the same weight.")
def weighted(y_true, y_pred):
    return sum(t * _f1(h, t, s) for h, t, s in _classes(y_true, y_pred)) / len(y_true)


@mistake("f1_macro", "You averaged precision and recall first, and took the F1 of the averages. Take each class's F1, then the mean.")
def f1_of_averages(y_true, y_pred):
    p = np.mean([_share(h, s) for h, t, s in _classes(y_true, y_pred)])
    r = np.mean([_share(h, t) for h, t, s in _classes(y_true, y_pred)])
    return _share(2 * p * r, p + r)


@mistake("f1_macro", "You took the classes of y_true only. A class that was predicted and is never true counts too, with F1 = 0.")
def classes_of_the_truth(y_true, y_pred):
    return np.mean([_f1(h, t, s) for h, t, s in _classes(y_true, y_pred) if t])


@mistake("f1_macro", "You took the classes of y_pred only. A class that is never predicted counts too, with F1 = 0.")
def classes_of_the_predictions(y_true, y_pred):
    return np.mean([_f1(h, t, s) for h, t, s in _classes(y_true, y_pred) if s])


@mistake("f1_macro", "You took all labels from 0 to the largest as classes. Only those that occur in one of the arrays count.")
def all_labels_up_to_the_largest(y_true, y_pred):
    return sum(_f1(*c) for c in _classes(y_true, y_pred)) / (int(max(y_true.max(), y_pred.max())) + 1)


@mistake("f1_macro", "You divided by ten classes, whatever occurs. The mean is over the labels of the two arrays.")
def always_ten_classes(y_true, y_pred):
    return sum(_f1(*c) for c in _classes(y_true, y_pred)) / 10


@mistake("f1_macro", "You gave the mean recall (the balanced accuracy). F1 asks for precision as well.")
def mean_recall(y_true, y_pred):
    return np.mean([_share(h, t) for h, t, s in _classes(y_true, y_pred)])


@mistake("f1_macro", "You gave the mean precision. F1 asks for recall as well.")
def mean_precision(y_true, y_pred):
    return np.mean([_share(h, s) for h, t, s in _classes(y_true, y_pred)])


@mistake("f1_macro", "You took the arithmetic mean of precision and recall. F1 is their harmonic mean, 2PR/(P + R), which is near the "
         "smaller one.")
def arithmetic_mean(y_true, y_pred):
    return np.mean([(_share(h, s) + _share(h, t)) / 2 for h, t, s in _classes(y_true, y_pred)])


@mistake("f1_macro", "You forgot the factor 2: TP / (2 TP + FP + FN) is half the F1.")
def half_of_it(y_true, y_pred):
    return np.mean([_f1(*c) / 2 for c in _classes(y_true, y_pred)])


@mistake("f1_macro", "You gave TP / (TP + FP + FN), the Jaccard index. F1 counts the hits twice, above and below.")
def jaccard(y_true, y_pred):
    return np.mean([h / (t + s - h) for h, t, s in _classes(y_true, y_pred)])


@mistake("f1_macro", "You gave the F1 of one class, the largest label, as for a yes-or-no question. Take the mean over all classes.")
def one_class(y_true, y_pred):
    return _f1(*list(_classes(y_true, y_pred))[-1])


@mistake("f1_macro", "You gave a percentage. F1 is a share between 0 and 1.")
def f1_percentage(y_true, y_pred):
    return 100 * np.mean([_f1(*c) for c in _classes(y_true, y_pred)])


def _front(points, dominates):
    """The rows i that no row dominates: dominates(cost difference, accuracy difference) of another row to row i."""
    return [i for i, (c, a) in enumerate(points) if not any(dominates(other[0] - c, other[1] - a) for other in points)]


@mistake("pareto_front", "You kept dominated versions that tie in one of the two: of two that cost the same, only the more accurate is "
         "worth choosing. Equal in one and better in the other dominates.")
def strictly_better_in_both(points):
    return _front(points, lambda c, a: c < 0 and a > 0)


@mistake("pareto_front", "You dropped versions because an equal one exists. Equal rows do not dominate each other: without 'better in one "
         "of the two', every copy kills the other.")
def equal_versions_dropped(points):
    rows = range(len(points))
    return [i for i in rows if not any(k != i and points[k][0] <= points[i][0] and points[k][1] >= points[i][1] for k in rows)]


@mistake("pareto_front", "You kept one of several equal versions. All of them are on the front.")
def one_of_equal_versions(points):
    front = _front(points, lambda c, a: c <= 0 and a >= 0 and (c < 0 or a > 0))
    return [i for i in front if not any(np.array_equal(points[k], points[i]) for k in range(i))]


@mistake("pareto_front", "You maximised both. Cost is to be small: a version dominates if its cost is at most the other's.")
def both_maximised(points):
    return _front(points, lambda c, a: c >= 0 and a >= 0 and (c > 0 or a > 0))


@mistake("pareto_front", "You minimised both. Accuracy is to be large.")
def both_minimised(points):
    return _front(points, lambda c, a: c <= 0 and a <= 0 and (c < 0 or a < 0))


@mistake("pareto_front", "You have it the wrong way round: high cost and low accuracy won. Minimise the cost, maximise the accuracy.")
def the_worst_front(points):
    return _front(points, lambda c, a: c >= 0 and a <= 0 and (c > 0 or a < 0))


@mistake("pareto_front", "You took a version to be dominated if another is better in one of the two. It must be at least as good in the "
         "other as well.")
def better_in_one_is_enough(points):
    return _front(points, lambda c, a: c < 0 or a > 0)


@mistake("pareto_front", "You gave the dominated versions. Those that no other dominates are asked for.")
def the_dominated(points):
    front = _front(points, lambda c, a: c <= 0 and a >= 0 and (c < 0 or a > 0))
    return [i for i in range(len(points)) if i not in front]


@mistake("pareto_front", "The right versions, but ordered by cost. Give their row numbers in ascending order.")
def ordered_by_cost(points):
    return sorted(_front(points, lambda c, a: c <= 0 and a >= 0 and (c < 0 or a > 0)), key=lambda i: tuple(points[i]))


@mistake("pareto_front", "You gave a mask. The row numbers are asked for: np.flatnonzero(mask).")
def mask_for_indices(points):
    front = _front(points, lambda c, a: c <= 0 and a >= 0 and (c < 0 or a > 0))
    return np.isin(np.arange(len(points)), front)


@mistake("pareto_front", "You gave the rows themselves. Their numbers are asked for.")
def rows_for_indices(points):
    return points[_front(points, lambda c, a: c <= 0 and a >= 0 and (c < 0 or a > 0))]


@mistake("pareto_front", "You walked along the cost and kept what beats the best accuracy so far, but where costs tie you took them in "
         "the order of the rows. Sort ties by accuracy, the best first, and keep equal ones.")
def sweep_without_ties(points):
    best, front = -np.inf, []
    for i in np.argsort(points[:, 0], kind="stable"):
        if points[i, 1] > best:
            best = points[i, 1]
            front.append(int(i))
    return sorted(front)


@mistake("pareto_front", "You kept the corners of the convex hull. A version in a dent is dominated by no other version, and belongs to "
         "the front; a mixture of its neighbours is no network.")
def convex_hull(points):
    front = _front(points, lambda c, a: c <= 0 and a >= 0 and (c < 0 or a > 0))

    def below(i):
        (c, a), rows = points[i], [points[k] for k in front]
        return any(l[0] < c < r[0] and l[1] + (r[1] - l[1]) * (c - l[0]) / (r[0] - l[0]) > a + 1e-12 for l in rows for r in rows)

    return [i for i in front if not below(i)]


@mistake("pareto_front", "You ranked by accuracy divided by cost and kept the best. A front is no single number: versions that are dear "
         "and accurate belong to it as well.")
def best_ratio(points):
    if len(points) == 0:
        return []
    worth = points[:, 1] / np.maximum(points[:, 0], 1e-9)
    return np.flatnonzero(worth == worth.max())
