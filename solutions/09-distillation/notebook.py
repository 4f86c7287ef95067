# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 09 · Distillation
#
# Pruning and quantization take a trained network and make it smaller. Distillation trains a small network, the *student*, to answer as a large
# one, the *teacher*, does. A label says "this is a 7". The teacher says "a 7, a little like a 9, not at all like a 6", and how much a picture
# resembles the classes that it does *not* belong to is knowledge that no label holds.
#
# You will build, piece by piece, what distillation is made of, and find out what it is worth:
#
# - **What does the teacher say?** Its probabilities, softened by a temperature (1).
# - **How does the student listen?** One loss for both, soft targets and labels (2), and one step of training that leaves the teacher alone (3).
# - **What else can be imitated?** Features and attention maps (4), the distances between samples (5).
# - **What is in it?** A student learns to read 3s without ever having seen one (6).
# - **Several teachers?** Their mean (7).
# - **Does it always help?** No. You repair a training loop as it circulates (8) and measure a case in which it gains nothing.
#
# **Conventions.** Arrays are torch tensors, float32; labels are int64. z are the student's logits, v the teacher's, N the number of samples in the
# batch, $q = \mathrm{softmax}(z/T)$ and $p = \mathrm{softmax}(v/T)$. A function leaves its arguments as they were, except for what a step or a
# training loop is there to change. A loss is one number (a tensor) with which `backward()` works, and what counts in the tests is its gradient.

# %%
import copy

import numpy as np
import torch
import torch._dynamo                             # torch's optimizers load it when they are first used, which takes a second or two
from torch import nn
import torch.nn.functional as F
import matplotlib.pyplot as plt
from autograder import observe
from course import models, plots
from course.datasets import digits
from course.train import accuracy

torch.set_num_threads(1)                         # networks as small as these train fastest on one

# %% [markdown]
# ## 1. Soften the targets
#
# A trained network is too sure of itself: on most pictures its probabilities are nearly those of the label. Dividing the logits by a *temperature*
# brings out the small ones. Write `soften(logits, T) -> probabilities`:
#
# $$p_i = \frac{e^{z_i/T}}{\sum_j e^{z_j/T}}$$
#
# - `logits` is a float32 tensor of any shape with at least one dimension; the classes lie along the *last* dimension, and every row along it is
#   a softmax of its own. The result has the same shape.
# - It is right for large logits too (tested up to ±10,000, within 0.5 %): finite, non-negative, and each row sums to 1.
# - `T` is a number above 0, whole or not, above or below 1. `T <= 0` raises `ValueError`.
# - `logits` is not changed. There is at least one row; a single class has probability 1.
#
# Source: Hinton, Vinyals and Dean (2015), *Distilling the Knowledge in a Neural Network*, section 2, equation 1.
#
# *Worked example.* Logits (5, 2, 0). T = 1: $e^5 = 148.4$, $e^2 = 7.4$, $e^0 = 1$, so (0.946, 0.047, 0.006). T = 4: the exponents are 1.25, 0.5 and
# 0, so (0.569, 0.269, 0.163): the same order, but now the second class is told from the third. Logits divided by their sum would give
# (0.71, 0.29, 0), and for (5, −5, 0) nothing at all.
#
# <details><summary>Hint 1</summary>What overflows: the ratio, or the exponentials that it is made of?</details>
# <details><summary>Hint 2</summary>Softmax does not change when the same number is subtracted from all logits of a row. Which number makes
# the largest exponent 0? (<code>torch.softmax</code> subtracts it for you.)</details>
# <details><summary>Hint 3</summary>Check <code>T</code> first; then it is one line with <code>F.softmax</code> and
# <code>dim=-1</code>.</details>

# %% answer="soften"
def soften(logits, T):
    """softmax(logits / T) along the last dimension."""
    ### BEGIN SOLUTION
    if T <= 0:
        raise ValueError("a temperature is above 0")
    return F.softmax(logits / T, dim=-1)
    ### END SOLUTION

# %% test="soften" points=3
assert np.allclose(soften(torch.tensor([[5.0, 2.0, 0.0]]), 1), [[0.946, 0.047, 0.006]], atol=1e-3)
assert np.allclose(soften(torch.tensor([[5.0, 2.0, 0.0]]), 4), [[0.569, 0.269, 0.163]], atol=1e-3)
### BEGIN HIDDEN TESTS
seed(1)
exam.compare("rows of logits", [
    case("4 × 3 logits, T = 4", 3 * torch.randn(4, 3), 4.0),
    case("2 × 10 logits, T = 2.5", 6 * torch.randn(2, 10), 2.5),
    case("5 × 5 logits, T = 1", 4 * torch.randn(5, 5), 1),
    case("3 × 4 logits, T = 0.5 makes them sharper", torch.randn(3, 4), 0.5),
    case("3 × 6 logits, T = 20", 5 * torch.randn(3, 6), 20),
    case("logits 150 to 300 apart, T = 100", torch.tensor([[300.0, 0.0, 150.0], [-40.0, 160.0, 0.0]]), 100.0),
    case("logits that are all negative, T = 3", -8 - torch.rand(3, 5), 3.0),
], weight=2)
exam.compare("other shapes", [
    case("one row, a vector of 6 logits, T = 4", 4 * torch.randn(6), 4.0),
    case("2 × 3 × 4 logits: the classes are last, T = 2", 3 * torch.randn(2, 3, 4), 2.0),
    edge("one class only", torch.randn(3, 1), 2.0),
])
exam.compare("large logits", [                   # the spacing of float32 at 10,000 is 0.001
    edge("logits of ±10,000, T = 1", torch.tensor([[1e4, -1e4, 9999.0], [-1e4, -1e4, -9998.0]]), 1.0),
    edge("logits of ±10,000, T = 4", torch.tensor([[1e4, 9996.0, -1e4, 0.0]]), 4.0),
], rtol=5e-3)
exam.compare("edges", [
    edge("logits that are all alike", torch.full((2, 4), -3.0), 5.0),
    edge("logits that sum to 0", torch.tensor([[2.0, -2.0, 0.0], [-1.0, -1.0, 2.0]]), 2.0),
    edge("T = 0 raises ValueError", torch.randn(2, 3), 0),
    edge("T = -1 raises ValueError", torch.randn(2, 3), -1.0),
])
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: what a temperature brings out
#
# With exercise 1 done, run this cell: three pictures of the validation set, and what the teacher of this assignment, `models.load("mlp")`, says of
# them at T = 1 and at T = 4. No marks.

# %%
data, teacher = digits(), models.load("mlp")
plots.use_style()
figure, axes = plt.subplots(3, 3, figsize=(8, 5.5), width_ratios=(1, 2, 2))
for row, number in zip(axes, (2, 46, 50)):
    with torch.no_grad():
        logits = teacher(data[2][number])
    row[0].imshow(data[2][number].reshape(8, 8), cmap="gray_r")
    row[0].set(xticks=[], yticks=[], title=f"label {data[3][number]}")
    row[0].grid(False)
    for ax, T in zip(row[1:], (1, 4)):
        plots.class_bars(soften(logits, T), ax, f"T = {T}")
plt.show()

# %% [markdown]
# ## 2. One loss for targets and labels
#
# Write `kd_loss(student, teacher, y, T, a) -> loss` for the logits of a batch:
#
# $$L = \frac1N \sum_{n=1}^{N} \Big[\, a\, T^2\, \mathrm{KL}\big(p_n \,\|\, q_n\big) + (1-a)\,\mathrm{CE}\big(y_n,\ \mathrm{softmax}(z_n)\big) \Big],
# \qquad \mathrm{KL}(p\,\|\,q) = \sum_i p_i \log \frac{p_i}{q_i}$$
#
# Its gradient with respect to the student's logits is, for sample n,
#
# $$\frac{\partial L}{\partial z_n} = \frac{a\,T\,(q_n - p_n) + (1-a)\,\big(\mathrm{softmax}(z_n) - \mathrm{onehot}(y_n)\big)}{N},$$
#
# and that is what is tested, so the cross-entropy $-\sum_i p_i \log q_i$ in place of KL is as right: the two differ by the entropy of p, in which z does
# not occur.
#
# - `student` and `teacher` are float32 logits (N, C) with N, C ≥ 1, `y` the N labels (int64). The label term has temperature 1.
# - `T` > 0, also below 1, and 0 ≤ `a` ≤ 1, both ends included, are numbers.
# - The loss is one number, finite, and has a finite gradient, for logits of ±10,000 too. None of the arguments is changed.
#
# Source: Hinton et al. (2015), section 2: both objectives, the soft gradients "scale as 1/T²", hence the factor T²; section 2.1, equation 2, has the
# gradient. (There C is the soft term alone, without the factor.)
#
# *Worked example.* One picture, z = (0, 0), v = (4, 0), label 0, T = 2, a = 0.5. q = (0.5, 0.5), p = softmax(2, 0) = (0.881, 0.119), softmax(z) =
# (0.5, 0.5). Soft part: 2 · (q − p) = (−0.762, 0.762); hard part: (0.5 − 1, 0.5) = (−0.5, 0.5); with halves of both (−0.631, 0.631). Without T² the soft
# part would be (−0.190, 0.190), and at T = 10 (−0.010, 0.010).
#
# <details><summary>Hint 1</summary>Never take the log of a softmax: an underflown probability is 0, and its log is −∞. Which function gives the
# logarithms directly?</details>
# <details><summary>Hint 2</summary><code>F.kl_div(log_q, p, reduction="batchmean")</code> wants the <em>logarithms</em> of the student's probabilities
# first, the teacher's probabilities second. Its default reduction divides by N·C; "batchmean" divides by N.</details>
# <details><summary>Hint 3</summary><code>log_q = F.log_softmax(student / T, dim=1)</code>,
# <code>p = F.softmax(teacher / T, dim=1)</code>; then <code>a * T ** 2</code> times the soft term, plus <code>(1 - a)</code> times
# <code>F.cross_entropy(student, y)</code>.</details>

# %% answer="kd_loss"
def kd_loss(student, teacher, y, T, a):
    """a·T²·KL(p‖q) + (1 − a)·CE, the mean over the batch."""
    ### BEGIN SOLUTION
    p = F.softmax(teacher / T, dim=1)
    log_q = F.log_softmax(student / T, dim=1)
    soft = F.kl_div(log_q, p, reduction="batchmean")
    return a * T ** 2 * soft + (1 - a) * F.cross_entropy(student, y)
    ### END SOLUTION

# %% test="kd_loss" points=5
def loss_and_gradient(kd, student, teacher, y, T, a):
    """The gradient of the student's logits; the loss less itself, which is 0 if it is finite; the arguments afterwards."""
    z = student.clone().requires_grad_()
    given = z * 1
    loss = kd(given, teacher, y, T, a).reshape(())
    return {"the gradient": torch.autograd.grad(loss, z)[0], "the loss less itself": (loss - loss).detach(),
            "the arguments afterwards": [given.detach(), teacher, y]}


_seen = observe(loss_and_gradient, kd_loss, torch.zeros(1, 2), torch.tensor([[4.0, 0.0]]), torch.tensor([0]), 2.0, 0.5)
assert np.allclose(_seen["the gradient"], [[-0.631, 0.631]], atol=1e-3)
assert float(_seen["the loss less itself"]) == 0, "the loss is not finite"
### BEGIN HIDDEN TESTS
seed(2)


def _batch(n, classes, scale=3.0):
    return scale * torch.randn(n, classes), scale * torch.randn(n, classes), torch.randint(classes, (n,))


exam.compare("both terms", [
    case("4 pictures, 3 classes, T = 4, a = 0.9", *_batch(4, 3), 4.0, 0.9),
    case("3 pictures, 7 classes, T = 2, a = 0.3", *_batch(3, 7), 2, 0.3),
    case("6 pictures, 6 classes, T = 10, a = 0.5", *_batch(6, 6), 10.0, 0.5),
    case("5 pictures, 10 classes, T = 1, a = 0.7", *_batch(5, 10), 1.0, 0.7),
    case("5 pictures, 4 classes, T = 0.5, a = 0.6", *_batch(5, 4, 1.0), 0.5, 0.6),
    case("8 pictures, 3 classes, T = 20, a = 0.8, logits below 1", *_batch(8, 3, 0.5), 20, 0.8),
], weight=2, probe=loss_and_gradient, rtol=1e-3)
exam.compare("one term", [
    case("a = 1: the targets alone, T = 3", *_batch(4, 5), 3.0, 1.0),
    case("a = 0: the labels alone, T = 3", *_batch(4, 5), 3.0, 0.0),
], probe=loss_and_gradient, rtol=1e-3)
_alike = 3 * torch.randn(3, 4)
exam.compare("large logits", [
    edge("logits of ±10,000, T = 4", torch.tensor([[1e4, -1e4, 0.0], [0.0, 9e3, 1e4]]), torch.tensor([[-1e4, 1e4, 0.0], [1e4, 9992.0, -1e4]]),
         torch.tensor([1, 2]), 4.0, 0.5),
], probe=loss_and_gradient, rtol=5e-3)
exam.compare("edges", [
    edge("a single picture", *_batch(1, 6), 4.0, 0.9),
    edge("student and teacher agree: what is left is the label", _alike, _alike.clone(), torch.tensor([1, 0, 3]), 4.0, 0.9),
    edge("a single class: nothing to learn", torch.randn(3, 1), torch.randn(3, 1), torch.zeros(3, dtype=torch.int64), 2.0, 0.5),
], probe=loss_and_gradient, rtol=1e-3)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 3. One step, and the teacher stays as it is
#
# Write `distill_step(student, teacher, batch, optimizer, T=4.0, a=0.9) -> loss`, one step of training in place. `batch = (x, y)`, the loss is that of
# exercise 2 for the logits `student(x)` and `teacher(x)`.
#
# - The student's parameters move by one `optimizer.step()` along the gradient of this loss and of nothing else: gradients that an earlier step left in
#   `.grad` do not count. `optimizer` has the student's parameters; it is used as it is given.
# - The student arrives in train mode and is used in it (its batch norm takes the batch's statistics); several steps
#   follow one another, and it is in train mode after each.
# - The teacher may arrive in train mode, and has dropout and batch norm; it is used in *eval* mode. It may be left in eval mode, and
#   `requires_grad` of its parameters may be switched off; a teacher that arrived in eval mode is in eval mode afterwards. Its parameters, its buffers
#   (running means!) and whatever stands in its `.grad` stay exactly as they were.
# - Return the loss as it was *before* the step, as a number. With the cross-entropy in place of KL it is larger by a constant of the teacher; either is
#   right.
# - `T` and `a` may be given or not. `batch` is not changed.
#
# Source: Hinton et al. (2015), section 2. That the teacher is frozen and in eval mode goes without saying there; most wrong loops fail at it.
#
# *Worked example.* A student with one weight for each of two classes, z = x·w, at w = (0, 0), x = 1; teacher's logits (4, 0), label 0, T = 2,
# a = 0.5: the gradient is that of exercise 2, (−0.631, 0.631). SGD with learning rate 1 leaves w = (0.631, −0.631).
#
# <details><summary>Hint 1</summary>Three things can reach the teacher: its mode, its buffers, its gradients. One line each, or less.</details>
# <details><summary>Hint 2</summary><code>teacher.eval()</code> fixes mode and buffers. What runs under <code>torch.no_grad()</code> records
# no gradient.</details>
# <details><summary>Hint 3</summary><code>teacher.eval()</code>; the teacher's logits under <code>no_grad</code>; the loss, as in exercise 2 (your
# <code>kd_loss</code> will do); <code>optimizer.zero_grad()</code>, <code>loss.backward()</code>, <code>optimizer.step()</code>,
# <code>return loss.item()</code>.</details>

# %% answer="distill_step"
def distill_step(student, teacher, batch, optimizer, T=4.0, a=0.9):
    """One step of the student in place; returns the loss before it."""
    ### BEGIN SOLUTION
    x, y = batch
    teacher.eval()
    with torch.no_grad():
        p = F.softmax(teacher(x) / T, dim=1)
    z = student(x)
    soft = F.kl_div(F.log_softmax(z / T, dim=1), p, reduction="batchmean")
    loss = a * T ** 2 * soft + (1 - a) * F.cross_entropy(z, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION

# %% test="distill_step" points=5
def step_and_look(step, student, teacher, x, y, in_train_mode, method, options, given):
    """Five steps on two batches in turn, halves of x and y, with gradients of 0.5 left over everywhere.

    Gives the student's parameters after every step, by how much each batch's loss fell from visit to visit, and what is left of the rest.
    """
    student.train(), teacher.train(in_train_mode)
    for p in [*student.parameters(), *teacher.parameters()]:
        p.grad = torch.full_like(p, 0.5)
    optimizer = getattr(torch.optim, method)(student.parameters(), **options)
    half = len(x) // 2
    batches = [(x[:half], y[:half]), (x[half:], y[half:])]
    losses, trace = [], []
    for number in range(5):
        losses.append(float(step(student, teacher, batches[number % 2], optimizer, *given)))
        trace.append([p.detach().clone() for p in student.parameters()])
    return {"the student after each step": trace, "the student is in train mode": [m.training for m in student.modules()],
            "how the loss changed": [late - early for early, late in zip(losses, losses[2:])],
            "the teacher's parameters and buffers": list(teacher.state_dict().values()), "the teacher's gradients": [p.grad for p in teacher.parameters()],
            "a teacher that came in eval mode is in train mode": [] if in_train_mode else [m.training for m in teacher.modules()],
            "the optimizer's parameters": sum(len(group["params"]) for group in optimizer.param_groups), "the batch": [x, y]}


def one_weight_each(step, x, y, v, T, a):
    """A student z = x·w with w = 0 after one step of SGD at learning rate 1; the teacher always says v."""
    student, teacher = torch.nn.Linear(1, len(v), bias=False), torch.nn.Linear(1, len(v))
    with torch.no_grad():
        student.weight.zero_(), teacher.weight.zero_(), teacher.bias.copy_(v)
    step(student, teacher, (x, y), torch.optim.SGD(student.parameters(), lr=1.0), T, a)
    return student.weight.detach().flatten()


assert np.allclose(observe(one_weight_each, distill_step, torch.ones(1, 1), torch.tensor([0]), torch.tensor([4.0, 0.0]), 2.0, 0.5),
                   [0.631, -0.631], atol=1e-3)
### BEGIN HIDDEN TESTS
seed(3)


def _pair(n_in, hidden, classes):
    """A student with batch norm and a teacher with dropout and batch norm, whose running statistics are far from those of a batch."""
    student = nn.Sequential(nn.Linear(n_in, hidden, bias=False), nn.BatchNorm1d(hidden), nn.Tanh(), nn.Linear(hidden, classes))
    teacher = nn.Sequential(nn.Linear(n_in, 2 * hidden), nn.BatchNorm1d(2 * hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(2 * hidden, classes))
    with torch.no_grad():
        for norm in (student[1], teacher[1]):
            norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 3)
        teacher[-1].weight.mul_(8)
    return student, teacher


_sgd, _adam = {"lr": 0.2, "momentum": 0.9}, {"lr": 0.02}
_plain = models.mlp((5, 6, 4)), models.mlp((5, 9, 4))
exam.compare("a teacher in eval mode", [
    case("5 inputs, 4 classes, T and a not given, SGD", *_plain, torch.randn(14, 5), torch.randint(4, (14,)), False, "SGD", _sgd, ()),
    case("batch norm and dropout, T = 2, a = 0.4, SGD", *_pair(4, 6, 3), torch.randn(12, 4), torch.randint(3, (12,)), False, "SGD", _sgd, (2.0, 0.4)),
    case("batch norm and dropout, T = 6, a = 0.7, Adam", *_pair(6, 5, 5), torch.randn(20, 6), torch.randint(5, (20,)), False, "Adam", _adam, (6, 0.7)),
], probe=step_and_look, rtol=1e-3, atol=2e-5)
exam.compare("a teacher in train mode", [
    case("batch norm and dropout, T and a not given, SGD", *_pair(4, 6, 3), torch.randn(12, 4), torch.randint(3, (12,)), True, "SGD", _sgd, ()),
    case("batch norm and dropout, T = 3, a = 0.8, Adam", *_pair(3, 7, 6), torch.randn(16, 3), torch.randint(6, (16,)), True, "Adam", _adam, (3.0, 0.8)),
], probe=step_and_look, rtol=1e-3, atol=2e-5)
exam.compare("edges", [
    edge("a = 1: the labels do not count", *_pair(4, 5, 4), torch.randn(10, 4), torch.zeros(10, dtype=torch.int64), True, "SGD", _sgd, (4.0, 1.0)),
    edge("a = 0: the labels alone", *_pair(4, 5, 4), torch.randn(10, 4), torch.randint(4, (10,)), True, "SGD", _sgd, (4.0, 0.0)),
    edge("batches of one picture, T = 1", models.mlp((3, 4, 5)), models.mlp((3, 8, 5)), torch.randn(2, 3), torch.tensor([4, 1]), True, "SGD", _sgd, (1, 0.5)),
], probe=step_and_look, rtol=1e-3, atol=2e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Imitate what is inside
#
# The teacher says more than its answer: its hidden layers can be imitated too. They seldom have the student's shape, and there are two ways round
# it. Write both.
#
# **A learned map.** `hint_loss(fs, ft, regressor) -> loss`: the mean squared error, over all elements, between what `regressor` makes of the
# student's features and the teacher's features,
#
# $$L = \mathrm{mean}\,\big(\mathrm{regressor}(f_s) - f_t\big)^2$$
#
# - `regressor` is a torch module that takes `fs` and gives the shape of `ft`. It is trained along with the student: the loss has a gradient for
#   its parameters and for `fs`. It always applies, also where `fs` and `ft` have one shape.
#
# **A summary that both have.** `attention_loss(fs, ft) -> loss` for feature maps (N, C, H, W) whose numbers of channels may differ. The attention map of a
# sample is the sum of squares over the channels, H·W numbers, scaled to Euclidean length 1:
#
# $$A_n = \sum_c f_{n,c}^2, \qquad \hat A_n = \frac{A_n}{\lVert A_n \rVert_2}, \qquad L = \frac{1}{N H W} \sum_{n,h,w} \big(\hat A^s - \hat A^t\big)^2$$
#
# - A map that is all 0 stays 0 (no NaN), and gives its features the gradient 0.
# - Both: tested are the value and the gradients. Features are float32 tensors, `ft` asks for no gradient, and no argument is changed. The
#   factor ½ of FitNets' equation and the unsquared norm of the attention paper's are left out here; the mean is over all elements.
#
# Sources: Romero et al. (2015), *FitNets: Hints for Thin Deep Nets*, equation 3 (there with a factor ½ and a sum); Zagoruyko and Komodakis (2017), *Paying More
# Attention to Attention*, activation-based transfer, with the sum of squares over channels and normalised maps.
#
# *Worked example.* One sample, one channel, a map of two places: fs = (1, 1), ft = (3, 0). A: (1, 1) and (9, 0); scaled: (0.707, 0.707) and (1, 0).
# L = ((−0.293)² + 0.707²) / 2 = (0.086 + 0.5) / 2 = 0.293. And the hint loss with a regressor that doubles: ((2 − 3)² + (2 − 0)²) / 2 = 2.5.
#
# <details><summary>Hint 1</summary>Which of the four dimensions does an attention map lose, and over which ones is it scaled?</details>
# <details><summary>Hint 2</summary><code>f.pow(2).sum(dim=1).flatten(1)</code> has one row for each sample.
# <code>F.normalize</code> divides by a length, and leaves 0 alone.</details>
# <details><summary>Hint 3</summary>Both end in <code>F.mse_loss(·, ·)</code>: once of <code>regressor(fs)</code> and <code>ft</code>, once of the two
# normalised maps (<code>F.normalize(…, dim=1)</code>).</details>

# %% answer="hint_loss"
def hint_loss(fs, ft, regressor):
    """Mean squared error between regressor(fs) and ft."""
    ### BEGIN SOLUTION
    return F.mse_loss(regressor(fs), ft)
    ### END SOLUTION


def attention_loss(fs, ft):
    """Mean squared difference of the attention maps Σ_c f², each sample's scaled to length 1."""
    ### BEGIN SOLUTION
    maps = [F.normalize(f.pow(2).sum(dim=1).flatten(1), dim=1) for f in (fs, ft)]
    return F.mse_loss(*maps)
    ### END SOLUTION

# %% test="hint_loss" points=5
def hint_and_look(hint, fs, ft, regressor):
    """The loss, its gradients for the features and for the regressor, and what is left of the arguments."""
    leaf = fs.clone().requires_grad_()
    weights = list(regressor.parameters())
    given = leaf * 1
    loss = hint(given, ft, regressor)
    gradients = torch.autograd.grad(loss, [leaf, *weights], allow_unused=True)
    return {"the loss": loss.detach(), "the gradient of fs": gradients[0], "the regressor's gradients": list(gradients[1:]),
            "the arguments afterwards": [given.detach(), ft, [p.detach() for p in weights], regressor.training]}


def attention_and_look(attention, fs, ft):
    """The loss, its gradient for the student's features, and the features afterwards."""
    leaf = fs.clone().requires_grad_()
    given = leaf * 1
    loss = attention(given, ft)
    return {"the loss": loss.detach(), "the gradient of fs": torch.autograd.grad(loss, leaf)[0], "the arguments afterwards": [given.detach(), ft]}


_double = nn.Linear(2, 2)
with torch.no_grad():
    _double.weight.copy_(2 * torch.eye(2)), _double.bias.zero_()
_seen = observe(hint_and_look, hint_loss, torch.ones(1, 2), torch.tensor([[3.0, 0.0]]), _double)
assert np.isclose(float(_seen["the loss"]), 2.5)
_seen = observe(attention_and_look, attention_loss, torch.ones(1, 1, 1, 2), torch.tensor([[[[3.0, 0.0]]]]))
assert np.isclose(float(_seen["the loss"]), 0.293, atol=1e-3)
### BEGIN HIDDEN TESTS
seed(4)
exam.compare("hints", [
    case("3 student channels to 5 teacher channels by a 1 × 1 convolution", torch.randn(2, 3, 4, 6), torch.randn(2, 5, 4, 6), nn.Conv2d(3, 5, 1)),
    case("vectors of 4 features to 7 by a linear layer", torch.randn(6, 4), 3 * torch.randn(6, 7), nn.Linear(4, 7)),
    case("features of one shape, by a linear layer without bias", torch.randn(5, 5), torch.randn(5, 5), nn.Linear(5, 5, bias=False)),
    case("maps of other sizes by a 3 × 3 convolution with stride 2", torch.randn(2, 2, 8, 6), torch.randn(2, 3, 4, 3), nn.Conv2d(2, 3, 3, stride=2, padding=1)),
    edge("a single feature of one sample", torch.tensor([[2.0]]), torch.tensor([[-1.0]]), nn.Linear(1, 1)),
], weight=2, probe=hint_and_look, rtol=1e-4)
exam.compare("attention maps", [
    case("3 and 5 channels of 4 × 6", torch.randn(2, 3, 4, 6), torch.randn(2, 5, 4, 6)),
    case("as many channels, rows, columns and samples: 4", torch.randn(4, 4, 4, 4), torch.randn(4, 4, 4, 4)),
    case("samples and channels of different size", torch.randn(3, 4, 2, 5) * torch.tensor([0.5, 2.0, 9.0]).reshape(3, 1, 1, 1),
         torch.randn(3, 6, 2, 5) * torch.arange(1.0, 7.0).reshape(1, 6, 1, 1)),
    case("one channel and seven", torch.rand(2, 1, 3, 3), torch.randn(2, 7, 3, 3)),
    case("small features of the student", 0.02 * torch.randn(2, 3, 3, 4), torch.randn(2, 2, 3, 4)),
], of="attention_loss", weight=2, probe=attention_and_look, rtol=1e-3)
_map = torch.randn(3, 2, 4, 3)
exam.compare("edges of attention", [
    edge("the student's features are the teacher's times −7", -7 * _map, _map),
    edge("one of three samples is 0 for the student", torch.stack([_map[0], torch.zeros(2, 4, 3), _map[2]]), torch.randn(3, 5, 4, 3)),
    edge("one of three samples is 0 for the teacher", torch.randn(3, 5, 4, 3), torch.stack([torch.zeros(2, 4, 3), *_map[1:]])),
    edge("all are 0 for both", torch.zeros(2, 3, 2, 2), torch.zeros(2, 4, 2, 2)),
    edge("maps of one place: both are 1", torch.randn(4, 3, 1, 1), torch.randn(4, 2, 1, 1)),
], of="attention_loss", probe=attention_and_look, rtol=1e-4)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Imitate the relations
#
# What matters of an embedding is not where a sample lies but how far from the others. Write `relational_loss(s, t) -> loss` for the embeddings of one
# batch, `s` (N, D) by the student and `t` (N, E) by the teacher; N ≥ 2, and D and E may differ. For all pairs i ≠ j:
#
# $$d_{ij} = \lVert x_i - x_j \rVert_2, \qquad \psi_{ij} = \frac{d_{ij}}{\mu}, \quad \mu = \frac{1}{N(N-1)} \sum_{i \ne j} d_{ij}, \qquad
# L = \frac{1}{N(N-1)} \sum_{i \ne j} \ell\big(\psi^s_{ij} - \psi^t_{ij}\big)$$
#
# $$\ell(u) = \tfrac12 u^2 \ \text{ where } |u| \le 1, \qquad |u| - \tfrac12 \ \text{ elsewhere}$$
#
# - Each side has its own μ, so neither scale counts. *Both* means are over the N(N−1) pairs with i ≠ j; the N zeros on the diagonal are no pairs. (Over the
#   pairs i < j they are the same means.)
# - μ depends on the student as well: the gradient goes through it.
# - Two different samples may have one embedding: their distance is 0 and counts, and they give each other the gradient 0, not NaN. (Not all coincide: μ > 0.)
# - `t` asks for no gradient; `s` and `t` are not changed. Tested are the value and the gradient of `s`.
#
# Source: Park et al. (2019), *Relational Knowledge Distillation*, section 3.2.1, distance-wise loss with the Huber loss. Published code often takes
# the mean over all N² entries instead, and μ over positive distances only; the convention here is as stated.
#
# *Worked example.* Student on a line at 0, 1, 3: distances 1, 2, 3, μ = 2, ψ = 0.5, 1, 1.5. Teacher at 0, 4, 8: distances 4, 4, 8, μ = 5.33, ψ = 0.75, 0.75,
# 1.5. Differences in the order of the pairs (1,2), (2,3), (1,3): −0.25, 0.25, 0. L = (0.03125 + 0.03125 + 0)/3 = 0.0208.
#
# <details><summary>Hint 1</summary>Every pair counts twice in both sums and twice in N(N−1). So half the pairs are enough.</details>
# <details><summary>Hint 2</summary><code>F.pdist(x)</code> lists the distances of all pairs i &lt; j, with the gradient 0 where one is 0;
# <code>torch.sqrt</code> at 0 has the gradient ∞.</details>
# <details><summary>Hint 3</summary>For both: <code>d = F.pdist(x)</code>, <code>d / d.mean()</code>. Then
# <code>F.smooth_l1_loss</code>, whose mean is over the pairs.</details>

# %% answer="relational_loss"
def relational_loss(s, t):
    """Smooth L1 between the pairwise distances of s and t, each in units of its mean."""
    ### BEGIN SOLUTION
    distances = [F.pdist(x) for x in (s, t)]
    return F.smooth_l1_loss(*[d / d.mean() for d in distances])
    ### END SOLUTION

# %% test="relational_loss" points=4
def relate_and_look(relational, s, t):
    """The loss, its gradient for the student's embeddings, and the embeddings afterwards."""
    leaf = s.clone().requires_grad_()
    given = leaf * 1
    loss = relational(given, t)
    return {"the loss": loss.detach(), "the gradient of s": torch.autograd.grad(loss, leaf)[0], "the arguments afterwards": [given.detach(), t]}


_seen = observe(relate_and_look, relational_loss, torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.0], [4.0], [8.0]]))
assert np.isclose(float(_seen["the loss"]), 0.0208, atol=1e-4)
assert np.isfinite(np.asarray(_seen["the gradient of s"])).all()
### BEGIN HIDDEN TESTS
seed(5)
_far, _near = torch.randn(7, 3), torch.randn(6, 4)
_far[2] += torch.tensor([30.0, -20.0, 10.0])
_near[4] = _near[1]
_turn = torch.linalg.qr(torch.randn(5, 5)).Q
_t = torch.randn(8, 5)
exam.compare("embeddings", [
    case("5 samples, 3 and 6 dimensions", torch.randn(5, 3), torch.randn(5, 6)),
    case("4 samples in 4 dimensions", torch.randn(4, 4), torch.randn(4, 4)),
    case("9 samples, the student's 50 times as large", 50 * torch.randn(9, 4), torch.randn(9, 2)),
    case("6 samples, the teacher's 50 times as large", torch.randn(6, 2), 50 * torch.randn(6, 3)),
    case("3 samples far from 0", torch.randn(3, 2) + 5, torch.randn(3, 4) - 5),
], weight=2, probe=relate_and_look, rtol=1e-3, atol=1e-5)
exam.compare("large differences", [
    case("one sample far out for the student", _far, torch.randn(7, 4)),
    case("one sample far out for the teacher", torch.randn(7, 2), _far),
], probe=relate_and_look, rtol=1e-3, atol=1e-5)
exam.compare("edges", [
    edge("two of six samples coincide for the student", _near, torch.randn(6, 3)),
    edge("two of six samples coincide for the teacher", torch.randn(6, 3), _near),
    edge("the student is the teacher, turned, moved and 3 times as large", 3 * _t @ _turn + 1, _t),
    edge("two samples: one pair, always right", torch.randn(2, 3), torch.randn(2, 3)),
], probe=relate_and_look, rtol=1e-3, atol=1e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Read a digit that you never saw
#
# Take every 3 out of the training pictures, and a network that learns from labels cannot know what a 3 is: it never says "3". Let a teacher that knows them
# look at the same pictures, without any 3 among them, and say of each how much it is like a 3. Is that enough?
#
# Write `distill(student, teacher, loader, T, a, epochs, seed) -> student`:
#
# - `student` is an untrained network in train mode; you may train it in place and return it, or train and return a copy. It is trained with the loss of
#   exercise 2 by one Adam with learning rate 0.01, from the weights with which it comes: `epochs` passes over `loader`, one step for each batch, the last
#   and smaller one too.
# - `loader` gives batches `(x, y)` each time it is iterated over: a list of batches, or a torch `DataLoader` that shuffles anew with torch's global
#   generator. Call `torch.manual_seed(seed)` once, before the first pass: equal arguments then give equal networks, and with a loader that shuffles another
#   seed gives another one. There is no other randomness.
# - The teacher is used in eval mode and without gradients, and is left as in exercise 3. The batches are not changed.
# - `a = 0` is plain training by labels; with `a = 1` the labels have no say.
#
# It is judged by the weights and biases of what you return, in a network of our own. `student` is `models.mlp((64, 24, 10))`, `teacher` the trained
# `models.load("mlp")`, `loader` the training pictures without 3s in batches of 128, 30 epochs. Of the 50 3s among the 500 validation pictures at least 30 %
# must be read as 3, and of all 500 pictures at least 85 % right, so always saying 3 is no way out. With `a = 0` no 3 is to be read (at most 5 %), and
# at least 80 % of all.
#
# Source: Hinton et al. (2015), section 3, the transfer set without the digit 3. (There the bias of the 3 had to be corrected afterwards; here it is not.)
#
# *Worked example.* What to expect, from our own runs with five untrained networks: plain training reads 0 % of the 3s and 88 % of all pictures. Distilled with
# T = 4 and a = 0.9 the same networks read 70 to 88 % of the 3s and about 95 % of all; with T = 8 and a = 0.6 it is 86 to 90 % and 95 to 96 %. At T = 2
# (a = 0.9) it is 12 to 54 % of the 3s only, depending on the order of the pictures: the temperature brings the 3 out.
#
# <details><summary>Hint 1</summary>It is exercise 3 in a loop. What has to be made once, and what for each batch?</details>
# <details><summary>Hint 2</summary>Once: the seed, <code>torch.optim.Adam(student.parameters(), lr=0.01)</code>, <code>teacher.eval()</code>. A new Adam in every epoch
# would forget its averages.</details>
# <details><summary>Hint 3</summary><code>for _ in range(epochs):</code> <code>for x, y in loader:</code> the step of exercise 3 (your
# <code>distill_step</code> will do). Return the student.</details>

# %% answer="distill"
def distill(student, teacher, loader, T, a, epochs, seed):
    """Train the student by Adam on the teacher's soft targets and the labels."""
    ### BEGIN SOLUTION
    student = copy.deepcopy(student)
    torch.manual_seed(seed)
    teacher.eval()
    optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
    for _ in range(epochs):
        for x, y in loader:
            with torch.no_grad():
                p = F.softmax(teacher(x) / T, dim=1)
            z = student(x)
            soft = F.kl_div(F.log_softmax(z / T, dim=1), p, reduction="batchmean")
            loss = a * T ** 2 * soft + (1 - a) * F.cross_entropy(z, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return student
    ### END SOLUTION

# %% test="distill" points=6
def weights_and_biases(network):
    """What the layers of a network hold that have a weight matrix."""
    modules = [] if network is None else network.modules()
    layers = [m for m in modules if getattr(m, "weight", None) is not None and m.weight.dim() == 2]
    return {"weights": [layer.weight.detach().clone() for layer in layers], "biases": [layer.bias.detach().clone() for layer in layers]}


def loader_of(x, y, size, shuffled):
    """A list of batches, or a loader that shuffles."""
    if shuffled:
        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=size, shuffle=True)
    return list(zip(x.split(size), y.split(size)))


def distill_and_look(train, student, teacher, x, y, size, shuffled, T, a, epochs, number):
    """What the layers of the distilled network hold."""
    return weights_and_biases(train(student, teacher, loader_of(x, y, size, shuffled), T, a, epochs, number))


_x, _y, *_ = digits()
torch.manual_seed(6)
_found = observe(distill_and_look, distill, models.mlp((64, 24, 10)), models.load("mlp"), _x[:128], _y[:128], 64, False, 4.0, 0.9, 1, 0)
assert [tuple(w.shape) for w in _found["weights"]] == [(24, 64), (10, 24)]
### BEGIN HIDDEN TESTS
def _distill_shortly(train, student, teacher, x, y, size, T, a):
    """What short trainings from one start give, each with something changed; the optimizers and their steps; the orders in which a loader that
    shuffles was read; what is left of teacher and data."""
    from torch.optim.optimizer import register_optimizer_step_post_hook
    stepped = []
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: stepped.append(optimizer))
    read = []

    def batch_of(chosen):
        read.extend(chosen)
        return x[chosen], y[chosen]

    def run(T, a, epochs, number, shuffled, noise, mode=True):
        stepped.clear(), read.clear(), teacher.train(mode)
        torch.manual_seed(noise)
        loader = list(zip(x.split(size), y.split(size)))
        if shuffled:
            loader = torch.utils.data.DataLoader(range(len(x)), batch_size=size, shuffle=True, collate_fn=batch_of)
        found = weights_and_biases(train(copy.deepcopy(student), teacher, loader, T, a, epochs, number))
        return {"found": found, "steps": len(stepped), "optimizers": len(set(map(id, stepped))), "orders": [read[:len(x)], read[len(x):]],
                "left in train mode": teacher.training}

    runs = {"one epoch": run(T, a, 1, 3, False, 10), "three epochs": run(T, a, 3, 3, False, 11), "another T": run(2 * T, a, 1, 3, False, 12),
            "another a": run(T, a / 2, 1, 3, False, 13), "shuffled": run(T, a, 2, 3, True, 14), "shuffled again": run(T, a, 2, 3, True, 15),
            "another seed": run(T, a, 2, 4, True, 14), "in eval mode": run(T, a, 1, 3, False, 16, mode=False)}
    handle.remove()
    return {"runs": runs, "data": [x, y], "teacher": dict(teacher.state_dict()), "teacher's gradients": [p.grad for p in teacher.parameters()]}


def _has_its_layers(found):
    assert [np.shape(w) for w in found["weights"]] == [(24, 64), (10, 24)] and [np.shape(b) for b in found["biases"]] == [(24,), (10,)], \
        "the network that is returned must have the layers of the student"
    assert all(np.isfinite(np.asarray(part)).all() for part in (*found["weights"], *found["biases"])), "a weight or bias is not finite"


def _apart(one, other):
    """The largest difference between the weights and biases of two runs."""
    pairs = zip((*one["found"]["weights"], *one["found"]["biases"]), (*other["found"]["weights"], *other["found"]["biases"]), strict=True)
    return max(float(np.abs(np.asarray(p) - np.asarray(q)).max()) for p, q in pairs)


def _way(student, teacher, x, y, size, T, a, epochs):
    """The student's weights and biases in one row, before and after so many epochs of Adam at 0.01 on the loss of exercise 2."""
    rows = [torch.cat([p.detach().flatten() for p in student.parameters()])]
    optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
    teacher.eval()
    for _ in range(epochs):
        for part, labels in zip(x.split(size), y.split(size)):
            z, p = student(part), F.softmax(teacher(part).detach() / T, dim=1)
            optimizer.zero_grad()
            (a * T ** 2 * F.kl_div(F.log_softmax(z / T, dim=1), p, reduction="batchmean") + (1 - a) * F.cross_entropy(z, labels)).backward()
            optimizer.step()
    return *rows, torch.cat([p.detach().flatten() for p in student.parameters()])


def _row(found):
    """Weights and biases in the order of the parameters of the network."""
    return torch.cat([torch.as_tensor(np.asarray(part)).flatten() for pair in zip(found["weights"], found["biases"], strict=True) for part in pair])


def _trains_as_it_is_told(result, student, teacher, x, y, size, T, a):
    runs = result["runs"]
    for run in runs.values():
        _has_its_layers(run["found"])
    assert all(np.array_equal(left, part) for left, part in zip(result["data"], (x, y))), "the batches were changed"
    assert all(np.array_equal(result["teacher"][name], value) for name, value in teacher.state_dict().items()), "the teacher was changed"
    assert all(g is None for g in result["teacher's gradients"]), "the teacher got gradients"
    assert runs["in eval mode"]["left in train mode"] is False, "a teacher that came in eval mode is left in train mode"
    batches = -(-len(x) // size)
    for name, epochs in (("one epoch", 1), ("three epochs", 3)):
        assert runs[name]["steps"] in (0, epochs * batches), "there must be one optimizer step for each batch of each epoch"
        assert runs[name]["optimizers"] <= 1, "there must be one optimizer for all epochs"
    assert _apart(runs["one epoch"], runs["three epochs"]) > 1e-3, "more epochs change nothing"
    assert _apart(runs["one epoch"], runs["another T"]) > 1e-5, "another temperature changes nothing"
    assert _apart(runs["one epoch"], runs["another a"]) > 1e-5, "another a changes nothing"
    assert _apart(runs["shuffled"], runs["shuffled again"]) <= 1e-5, "the same seed gives another network"
    assert _apart(runs["shuffled"], runs["another seed"]) > 1e-5, "with a loader that shuffles, another seed must give another network"
    first, second = runs["shuffled"]["orders"]
    assert first != second, "every pass reads a loader that shuffles in the same order: set the seed once"
    for name, epochs in (("one epoch", 1), ("three epochs", 3)):
        before, after = _way(copy.deepcopy(student), teacher, x, y, size, T, a, epochs)
        assert (_row(runs[name]["found"]) - after).norm() <= 0.08 * (after - before).norm(), \
            f"after {name} the student is not where Adam at 0.01 takes it along the loss of exercise 2"     # right answers differ by less than 0.01


def _read(found):
    """The shares of the 3s and of all validation pictures that a network with these weights reads."""
    _has_its_layers(found)
    network = models.mlp((64, 24, 10))
    names = ("0.weight", "2.weight", "0.bias", "2.bias")
    network.load_state_dict({name: torch.as_tensor(np.asarray(part)) for name, part in zip(names, (*found["weights"], *found["biases"]))})
    x, y = digits()[2:]
    with torch.no_grad():
        right = network(x[:, _pixels]).argmax(1) == _labels[y]
    return right[y == 3].double().mean().item(), right.double().mean().item()


def _reads_what_it_never_saw(found, *args):
    threes, everything = _read(found)
    assert threes >= 0.3, "less than 30 % of the 3s are read"
    assert everything >= 0.85, "less than 85 % of the validation pictures are read"


def _knows_no_three(found, *args):
    threes, everything = _read(found)
    assert threes <= 0.05, "3s are read, though with a = 0 nobody told the student of them"
    assert everything >= 0.8, "less than 80 % of the validation pictures are read"


def _untrained(number):
    torch.manual_seed(number)
    return models.mlp((64, 24, 10))


torch.manual_seed(7)
_pixels, _labels, _teacher = torch.randperm(64), torch.randperm(10), models.load("mlp")
with torch.no_grad():                            # other places and names for all: who was trained elsewhere reads nothing here
    _teacher[0].weight.copy_(_teacher[0].weight[:, _pixels])
    _teacher[-1].weight.copy_(_teacher[-1].weight[_labels.argsort()]), _teacher[-1].bias.copy_(_teacher[-1].bias[_labels.argsort()])
_seen_x, _seen_y = _x[_y != 3][:, _pixels], _labels[_y[_y != 3]]
_x, _y = _x[:, _pixels], _labels[_y]
_dropping = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 10))
with torch.no_grad():
    _dropping[-1].weight.mul_(8)                 # so that both terms of the loss count alike
exam.law("short training", _trains_as_it_is_told, [
    edge("150 pictures in batches of 40, the last one smaller; a teacher with dropout and batch norm, in train mode",
         _untrained(2), _dropping, _x[:150], _y[:150], 40, 5.0, 0.4),
], weight=2, probe=_distill_shortly)
exam.law("the unseen class", _reads_what_it_never_saw, [
    case("an untrained network, T = 4, a = 0.9", _untrained(1), _teacher, _seen_x, _seen_y, 128, False, 4.0, 0.9, 30, 1),
    case("another untrained network, T = 8, a = 0.6", _untrained(3), _teacher, _seen_x, _seen_y, 128, False, 8.0, 0.6, 30, 5),
], weight=3, probe=distill_and_look)
exam.law("one term alone", _reads_what_it_never_saw, [
    edge("a = 1: all labels are 0, and do not count", _untrained(5), _teacher, _seen_x, torch.zeros_like(_seen_y), 128, False, 8.0, 1.0, 30, 2),
], probe=distill_and_look)
exam.law("plain training", _knows_no_three, [
    edge("a = 0: the labels alone", _untrained(1), _teacher, _seen_x, _seen_y, 128, False, 4.0, 0.0, 30, 1),
], probe=distill_and_look)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: class by class
#
# With exercise 6 done, run this cell: the same untrained student, trained by labels and distilled, both without a single 3, and the share of each
# digit that they read. No marks.

# %%
seen = data[1] != 3
loader = list(zip(data[0][seen].split(128), data[1][seen].split(128)))


def by_digit(a):
    """The share of each digit's validation pictures that is read by a student that saw no 3."""
    torch.manual_seed(0)
    trained = distill(models.mlp((64, 24, 10)), teacher, loader, 4.0, a, 30, 0).eval()
    with torch.no_grad():
        right = trained(data[2]).argmax(1) == data[3]
    return [right[data[3] == digit].double().mean().item() for digit in range(10)]


shares = {"labels alone": by_digit(0.0), "distilled, T = 4": by_digit(0.9)}
figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
for ax, (label, share) in zip(axes, shares.items()):
    plots.class_bars(share, ax, label, marked=3)
    ax.set_ylabel("share that is read")
plt.show()

# %% [markdown]
# ## 7. Several teachers
#
# Networks trained from different starts err differently, and where they do their mean errs less. (On our digits they hardly do: five networks read 96.6 to
# 97.8 % of the validation pictures, their mean 97.0 %.) An ensemble is too large to deploy; as a teacher its size costs nothing later. Write
# `ensemble_targets(teachers, x, T) -> targets`, the mean of the teachers' softened *probabilities*:
#
# $$p = \frac1M \sum_{m=1}^{M} \mathrm{softmax}\big(v^{(m)} / T\big)$$
#
# - `teachers` is a list of M ≥ 1 torch modules, `x` a batch; each gives logits (N, C), and so is the shape of the result. `T` > 0.
# - Every teacher runs in *eval* mode, and is left as in exercise 3: the mode may stay eval, parameters, buffers and `.grad` are as before.
# - Softmax first, mean second. The mean of the logits is another thing: its softmax is the renormalised *geometric* mean, in which one teacher that gives a
#   class hardly any probability has a veto.
# - Finite for logits of ±10,000. `x` and the list are not changed.
#
# Source: Hinton et al. (2015), section 1, which allows the arithmetic or the geometric mean of the ensemble's predictions; here it is the arithmetic one.
#
# *Worked example.* Two teachers, two classes, T = 1: logits (10, 0) and (0, 2). Probabilities (1.000, 0.000) and (0.119, 0.881), mean (0.560, 0.440). The mean of
# the logits is (5, 1), and its softmax (0.982, 0.018): the louder one is alone.
#
# <details><summary>Hint 1</summary>Which comes first, the softmax or the mean?</details>
# <details><summary>Hint 2</summary><code>for teacher in teachers: teacher.eval()</code>; without gradients a list of M tensors
# (N, C).</details>
# <details><summary>Hint 3</summary><code>torch.stack([F.softmax(teacher(x) / T, dim=1) for teacher in teachers])</code> has the teachers along dimension 0:
# take the mean over it.</details>

# %% answer="ensemble_targets"
def ensemble_targets(teachers, x, T):
    """The mean of softmax(teacher(x) / T) over the teachers, in eval mode."""
    ### BEGIN SOLUTION
    for teacher in teachers:
        teacher.eval()
    with torch.no_grad():
        return torch.stack([F.softmax(teacher(x) / T, dim=1) for teacher in teachers]).mean(dim=0)
    ### END SOLUTION

# %% test="ensemble_targets" points=3
def ensemble_and_look(ensemble, teachers, x, T, in_train_mode):
    """The targets of teachers that arrive in this mode with gradients of 0.5 left over, and what is left of the arguments."""
    for one in teachers:
        one.train(in_train_mode)
        for p in one.parameters():
            p.grad = torch.full_like(p, 0.5)
    number, targets = len(teachers), ensemble(teachers, x, T)
    return {"the targets": targets.detach() if isinstance(targets, torch.Tensor) else targets, "the number of teachers": [number, len(teachers)], "x": x,
            "parameters and buffers": [list(one.state_dict().values()) for one in teachers],
            "gradients": [[p.grad for p in one.parameters()] for one in teachers],
            "teachers that came in eval mode are in train mode": [] if in_train_mode else [[m.training for m in one.modules()] for one in teachers]}


def _always(logits):
    """A network that gives these logits for any x of one number."""
    layer = nn.Linear(1, len(logits))
    with torch.no_grad():
        layer.weight.zero_(), layer.bias.copy_(torch.tensor(logits))
    return layer


_seen = observe(ensemble_and_look, ensemble_targets, [_always([10.0, 0.0]), _always([0.0, 2.0])], torch.zeros(1, 1), 1.0, False)
assert np.allclose(_seen["the targets"], [[0.560, 0.440]], atol=1e-3)
### BEGIN HIDDEN TESTS
seed(7)


def _teacher(n_in, hidden, classes, scale):
    made = nn.Sequential(nn.Linear(n_in, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, classes))
    with torch.no_grad():
        made[1].running_mean.normal_(), made[1].running_var.uniform_(0.5, 3), made[-1].weight.mul_(scale)
    return made


exam.compare("teachers in eval mode", [
    case("two plain networks, 5 pictures, 4 classes, T = 4", [models.mlp((3, 8, 4)), models.mlp((3, 6, 5, 4))], 4 * torch.randn(5, 3), 4.0, False),
    case("three with dropout and batch norm, T = 2", [_teacher(4, h, 3, 9) for h in (6, 7, 8)], torch.randn(6, 4), 2.0, False),
    case("five of very different loudness, T = 1", [_teacher(4, 6, 6, s) for s in (1, 3, 9, 27, 81)], torch.randn(6, 4), 1, False),
    case("three, T = 0.5", [_teacher(2, 5, 4, 3) for _ in range(3)], torch.randn(7, 2), 0.5, False),
], weight=2, probe=ensemble_and_look)
exam.compare("teachers in train mode", [
    case("three with dropout and batch norm, T = 3", [_teacher(4, h, 5, 9) for h in (6, 7, 8)], torch.randn(8, 4), 3.0, True),
    case("two with dropout and batch norm, T = 10", [_teacher(3, h, 2, 20) for h in (9, 4)], torch.randn(5, 3), 10.0, True),
], probe=ensemble_and_look)
exam.compare("edges", [
    edge("a single teacher, T = 4", [_teacher(4, 6, 3, 9)], torch.randn(4, 4), 4.0, False),
    edge("the same teacher three times", 3 * [models.mlp((3, 5, 4))], torch.randn(2, 3), 2.0, False),
    edge("one picture", [_teacher(2, 4, 3, 5) for _ in range(2)], torch.randn(1, 2), 4.0, True),
], probe=ensemble_and_look)
exam.compare("large logits", [
    edge("logits of ±10,000 that disagree", [_always([1e4, -1e4, 0.0]), _always([-1e4, 1e4, 0.0]), _always([0.0, 9990.0, 1e4])], torch.zeros(2, 1), 5.0, False),
], probe=ensemble_and_look, rtol=5e-3)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ## 8. Repair a distillation loop
#
# The answer cell below holds a distillation loop in the form in which it circulates, in our words. It runs, the loss is a number or NaN, and the student learns
# little or nothing. Look for what is missing beside exercises 1 to 3: at least eight things are wrong. Repair it, and delete the line at the end.
#
# `distill_loop(student, teacher, loader, optimizer, T, a, epochs) -> losses`
#
# - trains the student in place, `epochs` passes over `loader` (batches `(x, y)`, in the order in which it gives them, the last one may be smaller), one step of
#   `optimizer`, which has the student's parameters, for each batch, along the gradient of the loss of exercise 2 and nothing else;
# - returns a list with one number for each epoch: the mean of the losses of its batches, each as it was before its step. As in exercise 3 the cross-entropy
#   may stand in place of KL: a constant of the teacher may be added, the same for every epoch. (Where the loss is tested all batches are of one size, so
#   that the mean over pictures is the same.) `epochs = 0` gives an empty list;
# - the student arrives in train mode and is used in it; the teacher may arrive in train mode, is used in eval mode and without gradients, and is left as in
#   exercise 3. There may be old gradients. The batches are not changed.
#
# Source: Hinton et al. (2015), section 2; the loop to be repaired is how "knowledge distillation in PyTorch" is often answered.
#
# *Worked example.* The "soft labels" of the loop: logits (3, −1) and (1, −2) of two pictures sum to 1, so it takes them for probabilities: 3, −1, 1 and −2. Neither row
# is a distribution. With softmax at T = 4 they are (0.731, 0.269) and (0.679, 0.321).
#
# <details><summary>Hint 1</summary>Read it line by line and ask of each: which exercise did this better? The arguments <code>y</code>, <code>T</code> and <code>a</code> are never
# used.</details>
# <details><summary>Hint 2</summary>Teacher: mode, gradients, softmax, temperature. Student: temperature. Loss: reduction, T², label term. Result: whose loss is it that an epoch
# reports?</details>
# <details><summary>Hint 3</summary>Inside the inner loop stands your <code>distill_step</code>, written out; collect what it gives, and append the mean for the
# epoch.</details>

# %% answer="distill_loop"
def distill_loop(student, teacher, loader, optimizer, T, a, epochs):
    """Distil the teacher into the student: the mean loss of each epoch. To be repaired."""
    history = []
    for epoch in range(epochs):
        for inputs, labels in loader:
            output = teacher(inputs)
            soft_labels = output / output.sum()
            prediction = F.log_softmax(student(inputs), dim=-1)
            batch_loss = F.kl_div(prediction, soft_labels, reduction="mean")
            batch_loss.backward()
            optimizer.step()
        history.append(batch_loss.item())
    return history
### BEGIN SOLUTION


def distill_loop(student, teacher, loader, optimizer, T, a, epochs):
    """Distil the teacher into the student in place; returns the mean loss of each epoch."""
    teacher.eval()
    losses = []
    for _ in range(epochs):
        total = []
        for x, y in loader:
            with torch.no_grad():
                p = F.softmax(teacher(x) / T, dim=1)
            z = student(x)
            soft = F.kl_div(F.log_softmax(z / T, dim=1), p, reduction="batchmean")
            loss = a * T ** 2 * soft + (1 - a) * F.cross_entropy(z, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total.append(loss.item())
        losses.append(sum(total) / len(total))
    return losses
### END SOLUTION

# %% test="distill_loop" points=5
def loop_and_look(loop, student, teacher, x, y, size, in_train_mode, method, options, T, a, epochs):
    """Distil, with gradients of 0.5 left over everywhere: the student afterwards, how the losses changed, and what is left of the rest.

    The losses are left out where the last batch is smaller.
    """
    student.train(), teacher.train(in_train_mode)
    for p in [*student.parameters(), *teacher.parameters()]:
        p.grad = torch.full_like(p, 0.5)
    optimizer = getattr(torch.optim, method)(student.parameters(), **options)
    loader = list(zip(x.split(size), y.split(size)))
    losses = [float(loss) for loss in loop(student, teacher, loader, optimizer, T, a, epochs)]
    return {"the student": [p.detach().clone() for p in student.parameters()], "how many losses": len(losses),
            "how the losses changed": [loss - losses[0] for loss in losses] if len(x) % size == 0 else [],
            "the teacher's parameters and buffers": list(teacher.state_dict().values()), "the teacher's gradients": [p.grad for p in teacher.parameters()],
            "a teacher that came in eval mode is in train mode": [] if in_train_mode else [m.training for m in teacher.modules()],
            "the optimizer's parameters": sum(len(group["params"]) for group in optimizer.param_groups), "the batches": [x, y]}


torch.manual_seed(8)
_found = observe(loop_and_look, distill_loop, models.mlp((4, 5, 3)), models.mlp((4, 8, 3)), torch.randn(12, 4), torch.randint(3, (12,)), 4, False,
                 "SGD", {"lr": 0.1}, 2.0, 0.5, 6)
assert _found["how many losses"] == 6
assert _found["how the losses changed"][-1] < 0, "the loss does not fall"
### BEGIN HIDDEN TESTS
seed(8)


def _pair(n_in, hidden, classes):
    """A student with batch norm and a teacher with dropout and batch norm, whose running statistics are far from those of a batch."""
    student = nn.Sequential(nn.Linear(n_in, hidden, bias=False), nn.BatchNorm1d(hidden), nn.Tanh(), nn.Linear(hidden, classes))
    teacher = nn.Sequential(nn.Linear(n_in, 2 * hidden), nn.BatchNorm1d(2 * hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(2 * hidden, classes))
    with torch.no_grad():
        for norm in (student[1], teacher[1]):
            norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 3)
        teacher[-1].weight.mul_(8)
    return student, teacher


_sgd, _adam = {"lr": 0.1, "momentum": 0.9}, {"lr": 0.01}
exam.compare("a teacher in eval mode", [
    case("two plain networks, three epochs of three batches, T = 4, a = 0.9", models.mlp((5, 6, 4)), models.mlp((5, 9, 4)), 2 * torch.randn(18, 5),
         torch.randint(4, (18,)), 6, False, "SGD", _sgd, 4.0, 0.9, 3),
    case("batch norm and dropout, four epochs of two batches, T = 2, a = 0.4", *_pair(4, 6, 3), torch.randn(14, 4), torch.randint(3, (14,)), 7, False,
         "SGD", _sgd, 2, 0.4, 4),
    case("Adam, two epochs, T = 6, a = 0.7", *_pair(6, 5, 5), torch.randn(20, 6), torch.randint(5, (20,)), 5, False, "Adam", _adam, 6.0, 0.7, 2),
], probe=loop_and_look, rtol=1e-3, atol=5e-5)
exam.compare("a teacher in train mode", [
    case("batch norm and dropout, three epochs, T = 3, a = 0.8", *_pair(4, 6, 3), torch.randn(15, 4), torch.randint(3, (15,)), 5, True,
         "SGD", _sgd, 3.0, 0.8, 3),
    case("the last batch is smaller, two epochs, T = 5, a = 0.5", *_pair(3, 7, 6), torch.randn(17, 3), torch.randint(6, (17,)), 6, True,
         "SGD", _sgd, 5.0, 0.5, 2),
], probe=loop_and_look, rtol=1e-3, atol=5e-5)
exam.compare("edges", [
    edge("a = 1: the labels do not count", *_pair(4, 5, 4), torch.randn(12, 4), torch.zeros(12, dtype=torch.int64), 6, True, "SGD", _sgd, 4.0, 1.0, 2),
    edge("a = 0: the labels alone", *_pair(4, 5, 4), torch.randn(12, 4), torch.randint(4, (12,)), 6, True, "SGD", _sgd, 4.0, 0.0, 2),
    edge("one epoch of a single batch, T = 1", models.mlp((3, 4, 5)), models.mlp((3, 8, 5)), torch.randn(6, 3), torch.randint(5, (6,)), 6, False,
         "SGD", _sgd, 1.0, 0.5, 1),
    edge("no epochs: nothing happens", *_pair(4, 5, 4), torch.randn(6, 4), torch.randint(4, (6,)), 3, False, "SGD", _sgd, 4.0, 0.5, 0),
], probe=loop_and_look, rtol=1e-3, atol=5e-5)
exam.score()
### END HIDDEN TESTS

# %% [markdown]
# ### See it: when it helps, and when not
#
# With exercise 8 done, run this cell. The same student and teacher twice: with all 1,297 training pictures and their labels, and with 100 of them (the
# teacher learnt from all). Five seeds each, by labels alone (a = 0) and distilled (T = 4, a = 0.9). No marks.

# %%
few = torch.randperm(len(data[0]), generator=torch.Generator().manual_seed(0))[:100]
settings = {"all pictures": (torch.arange(len(data[0])), 20), "100 pictures": (few, 150)}


def scores(chosen, epochs, a):
    """Validation accuracy for five seeds."""
    found = []
    for number in range(5):
        torch.manual_seed(number)
        small, order = models.mlp((64, 24, 10)), torch.randperm(len(chosen))
        batches = [(data[0][chosen[part]], data[1][chosen[part]]) for part in order.split(128)]
        distill_loop(small, teacher, batches, torch.optim.Adam(small.parameters(), lr=0.01), 4.0, a, epochs)
        found.append(accuracy(small.eval(), data))
    return found


ax = plt.subplots(figsize=(6, 3.2))[1]
for place, (label, (chosen, epochs)) in enumerate(settings.items()):
    for shift, a, colour, marker, name in ((-0.1, 0.0, plots.ORANGE, "s", "labels alone"), (0.1, 0.9, plots.BLUE, "o", "distilled")):
        found = scores(chosen, epochs, a)
        ax.plot(5 * [place + shift], found, linestyle="", color=colour, marker=marker, label=name if place == 0 else None)
        print(f"{label:13} {name:13} {np.mean(found):.1%}  ({min(found):.1%} to {max(found):.1%})")
ax.axhline(accuracy(teacher, data), color=plots.GREY, linestyle="--", linewidth=1, marker="", label="teacher")
ax.set(xticks=range(2), xticklabels=settings, xlim=(-0.5, 1.5), ylabel="validation accuracy", ylim=(0.8, 1))
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# ## Concepts
#
# What the exercises above taught you, asked the way an interviewer asks it: five checks that are marked at once, and one question to
# answer in your own words. In a check every statement stands alone; any number of them, but at least one, is true.

# %% check="soft_targets" points=1

# %% check="softened_probability" points=1

# %% check="soft_gradient" points=1

# %% check="distillation_loop_rules" points=1

# %% check="when_distillation_helps" points=1

# %% [markdown] interview="I14" points=5

# %% [markdown]
# ## Where this leads
#
# You have the loss (`kd_loss`), the step that leaves the teacher alone (`distill_step`), the loops around it (`distill`, `distill_loop`), and three other things to
# imitate: features, attention, relations. A student need not be a smaller copy of its teacher: it may be quantized, or pruned, or built of other layers,
# which is why distillation goes along with every other method of this course.
#
# Count what it bought. Where the teacher knows something that the student's labels do not say, it bought a lot: a class that was missing, nearly half of the gap that
# 1,197 missing pictures left. Where the labels were plenty, it bought nothing: five seeds of each were no worse by labels alone, and the teacher had
# to be trained first. Always train that baseline.
#
# What remains: what should the student look like? Cheap layers, factored ones, searched ones (10); and all methods under one budget (11).
