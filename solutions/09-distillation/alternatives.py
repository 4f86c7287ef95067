"""Other right answers to the exercises of 09: all of them must earn full marks."""
import copy
import itertools

import numpy as np
import torch
from scipy.special import softmax
from torch import nn
import torch.nn.functional as F

from autograder.mistakes import alternative


@alternative("soften")
def with_the_maximum_subtracted(logits, T):
    if not T > 0:
        raise ValueError(f"T = {T}")
    z = logits.double().numpy() / T
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@alternative("soften")
def by_scipy(logits, T):
    if T <= 0:
        raise ValueError
    return softmax(np.asarray(logits) / T, axis=-1).tolist()


@alternative("soften")
def by_logsumexp(logits, T):
    if T <= 0:
        raise ValueError("T must be positive")
    scaled = logits / T
    return (scaled - scaled.logsumexp(-1, keepdim=True)).exp()


@alternative("kd_loss")
def soft_cross_entropy(student, teacher, y, T, a):
    p = torch.softmax(teacher / T, -1)
    return a * T * T * F.cross_entropy(student / T, p) + (1 - a) * F.cross_entropy(student, y)


@alternative("kd_loss")
def with_modules_and_log_targets(student, teacher, y, T, a):
    kl = nn.KLDivLoss(reduction="batchmean", log_target=True)
    soft = kl(F.log_softmax(student / T, dim=1), F.log_softmax(teacher / T, dim=1))
    return soft * (a * T ** 2) + nn.CrossEntropyLoss()(student, y) * (1 - a)


@alternative("kd_loss")
def by_hand_in_float64(student, teacher, y, T, a):
    z, v = student.double(), teacher.double()
    log_q = z / T - torch.logsumexp(z / T, 1, keepdim=True)
    p = torch.exp(v / T - torch.logsumexp(v / T, 1, keepdim=True))
    hard = torch.logsumexp(z, 1) - z[torch.arange(len(y)), y]
    return (-a * T ** 2 * (p * log_q).sum(1) + (1 - a) * hard).mean()


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, v, y, T, a):
        q, p = (z / T).softmax(1), (v / T).softmax(1)
        ctx.save_for_backward((a * T * (q - p) + (1 - a) * (z.softmax(1) - F.one_hot(y, z.shape[1]))) / len(z))
        return -(a * T * T * (p * (z / T).log_softmax(1)).sum() + (1 - a) * z.log_softmax(1)[torch.arange(len(y)), y].sum()) / len(z)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None, None, None, None


@alternative("kd_loss")
def with_its_gradient_written_out(student, teacher, y, T, a):
    return _Loss.apply(student, teacher, y, T, a)


def _soft(z, v, y, T, a):
    """The loss with the cross-entropy in place of KL."""
    return a * T * T * F.cross_entropy(z / T, F.softmax(v / T, 1)) + (1 - a) * F.cross_entropy(z, y)


@alternative("distill_step")
def detached_and_mode_put_back(student, teacher, batch, optimizer, T=4.0, a=0.9):
    before = teacher.training
    optimizer.zero_grad(set_to_none=False)
    teacher.eval()
    x, y = batch
    loss = _soft(student(x), teacher(x).detach(), y, T, a)
    teacher.train(before)
    loss.backward()
    optimizer.step()
    return loss.detach()


@alternative("distill_step")
def teacher_frozen(student, teacher, batch, optimizer, T=4.0, a=0.9):
    for p in teacher.eval().parameters():
        p.requires_grad = False
    student.train()
    loss = _soft(student(batch[0]), teacher(batch[0]), batch[1], T, a)
    student.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss)


@alternative("distill_step")
def on_a_copy_of_the_teacher(student, teacher, batch, optimizer, T=4.0, a=0.9):
    with torch.inference_mode():
        p = copy.deepcopy(teacher).eval()(batch[0]).div(T).softmax(1)
    p, z = p.clone(), student(batch[0])

    def closure():
        return T ** 2 * F.kl_div((z / T).log_softmax(1), p, reduction="sum") / len(p), F.nll_loss(z.log_softmax(1), batch[1])

    soft, hard = closure()
    parameters = list(student.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(a * soft + (1 - a) * hard, parameters)):
        parameter.grad = gradient
    optimizer.step()
    return np.float64((a * soft + (1 - a) * hard).item())


@alternative("hint_loss")
class written_out:
    def hint_loss(fs, ft, regressor):
        return (regressor(fs) - ft).pow(2).mean()

    def attention_loss(fs, ft):
        total = 0
        for one, other in zip(fs, ft):
            maps = []
            for f in (one, other):
                a = (f ** 2).sum(0)
                maps.append(a / a.norm() if a.detach().any() else a)
            total = total + ((maps[0] - maps[1]) ** 2).mean()
        return total / len(fs)


@alternative("hint_loss")
class with_the_mean_over_channels:
    def hint_loss(fs, ft, regressor):
        made = regressor(fs)
        return torch.linalg.vector_norm(made - ft) ** 2 / made.numel()

    def attention_loss(fs, ft):
        def scaled(f):
            a = torch.einsum("nchw,nchw->nhw", f, f) / f.shape[1]
            return a / a.square().sum((1, 2), keepdim=True).clamp(min=1e-20).sqrt()
        return nn.MSELoss()(scaled(fs), scaled(ft))


@alternative("relational_loss")
def over_all_ordered_pairs(s, t):
    away = ~torch.eye(len(s), dtype=torch.bool)
    d = [torch.cdist(x, x)[away] for x in (s, t)]
    u = (d[0] / d[0].mean() - d[1] / d[1].mean()).abs()
    return torch.where(u <= 1, 0.5 * u * u, u - 0.5).mean()


@alternative("relational_loss")
def by_inner_products(s, t):
    def distances(x):
        x = x.double()
        square = x.pow(2).sum(1)
        d = (square[:, None] + square[None] - 2 * x @ x.T).clamp(min=1e-12).sqrt()
        return d * (1 - torch.eye(len(x)))

    n = len(s) * (len(s) - 1)
    parts = [d / (d.sum() / n) for d in (distances(s), distances(t))]
    return F.huber_loss(*parts, reduction="sum") / n


@alternative("relational_loss")
def pair_by_pair(s, t):
    pairs = list(itertools.combinations(range(len(s)), 2))
    one = torch.stack([(s[i] - s[j]).norm() for i, j in pairs])
    other = torch.stack([(t[i] - t[j]).norm() for i, j in pairs])
    return nn.SmoothL1Loss()(one / one.mean(), other / other.mean())


@alternative("distill")
def with_targets_made_once(student, teacher, loader, T, a, epochs, seed):
    trained = copy.deepcopy(student)
    torch.manual_seed(seed)
    with torch.no_grad():
        teacher.eval()
        batches = [(x, (teacher(x) / T).softmax(1), y) for x, y in loader]
    optimizer = torch.optim.Adam(trained.parameters(), lr=1e-2)
    for _ in range(epochs):
        for x, p, y in batches:
            z = trained(x)
            loss = a * T * T * F.cross_entropy(z / T, p) + (1 - a) * F.cross_entropy(z, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return trained.eval()


@alternative("distill")
def with_adam_by_hand(student, teacher, loader, T, a, epochs, seed):
    torch.random.manual_seed(seed)
    for p in teacher.eval().parameters():
        p.requires_grad_(False)
    weights = list(student.parameters())
    m, v, t = [torch.zeros_like(w) for w in weights], [torch.zeros_like(w) for w in weights], 0
    for _ in range(epochs):
        for x, y in loader:
            t += 1
            gradients = torch.autograd.grad(_soft(student(x), teacher(x), y, T, a), weights)
            with torch.no_grad():
                for w, g, one, two in zip(weights, gradients, m, v):
                    one.mul_(0.9).add_(0.1 * g)
                    two.mul_(0.999).add_(0.001 * g * g)
                    w -= 0.01 * (one / (1 - 0.9 ** t)) / ((two / (1 - 0.999 ** t)).sqrt() + 1e-8)
    return student


@alternative("ensemble_targets")
def a_running_sum(teachers, x, T):
    total = 0
    for teacher in teachers:
        mode = teacher.training
        teacher.eval()
        total = total + torch.softmax(teacher(x).detach() / T, dim=-1)
        teacher.train(mode)
    return total / len(teachers)


@alternative("ensemble_targets")
def in_numpy(teachers, x, T):
    with torch.inference_mode():
        outputs = np.array([copy.deepcopy(teacher).eval()(x).double().numpy() for teacher in teachers])
    return softmax(outputs / T, axis=2).mean(axis=0)


@alternative("distill_loop")
def soft_cross_entropy_with_frozen_teacher(student, teacher, loader, optimizer, T, a, epochs):
    teacher.eval().requires_grad_(False)
    student.train()
    losses = []
    for _ in range(epochs):
        total = count = 0
        for x, y in loader:
            optimizer.zero_grad()
            loss = _soft(student(x), teacher(x), y, T, a)
            loss.backward()
            optimizer.step()
            total, count = total + loss.item() * len(y), count + len(y)
        losses.append(total / count)
    return losses


@alternative("distill_loop")
def with_a_step_of_its_own(student, teacher, loader, optimizer, T, a, epochs):
    kl, ce = nn.KLDivLoss(reduction="batchmean", log_target=True), nn.CrossEntropyLoss()

    @torch.no_grad()
    def targets(x):
        training, _ = teacher.training, teacher.eval()
        p = F.log_softmax(teacher(x) / T, dim=-1)
        teacher.train(training)
        return p

    def step(x, y):
        z, p = student(x), targets(x)
        loss = a * T ** 2 * kl(F.log_softmax(z / T, dim=-1), p) + (1 - a) * ce(z, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return [torch.stack([step(x, y) for x, y in loader]).mean() for _ in range(epochs)]
