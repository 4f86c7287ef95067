"""Wrong answers to the exercises of 09, each with what to tell a student who gave it."""
import copy

import torch
import torch.nn.functional as F

from autograder.mistakes import mistake


def _checked(T):
    if T <= 0:
        raise ValueError
    return T


@mistake("soften", "You divided the logits by their sum. They can be negative or sum to 0, so that is no distribution: take the softmax of logits / T.")
def divided_by_their_sum(logits, T):
    return logits / _checked(T) / logits.sum(-1, keepdim=True)


@mistake("soften", "You divided the logits by the sum over the whole tensor. Every row is a distribution of its own: the softmax of logits / T.")
def divided_by_the_batch_sum(logits, T):
    return logits / _checked(T) / logits.sum()


@mistake("soften", "You took the softmax over the batch (the first dimension), so that each class sums to 1 over the pictures. The classes lie along the "
         "last dimension.")
def over_the_batch(logits, T):
    return F.softmax(logits / _checked(T), dim=0)


@mistake("soften", "You took the softmax along dimension 1. For a vector, and with more than two dimensions, the classes lie elsewhere: use dim=-1.")
def along_dimension_one(logits, T):
    return F.softmax(logits / _checked(T), dim=1 if logits.dim() > 1 else 0)


@mistake("soften", "You took one softmax over all numbers. Each row along the last dimension sums to 1.")
def over_everything(logits, T):
    return F.softmax((logits / _checked(T)).flatten(), dim=0).reshape(logits.shape)


@mistake("soften", "Your exponentials overflow (or all underflow): softmax computed as exp / sum gives NaN for large logits. Subtract the row's maximum "
         "first, or use F.softmax.")
def overflow(logits, T):
    e = (logits / _checked(T)).exp()
    return e / e.sum(-1, keepdim=True)


@mistake("soften", "You subtracted the maximum of the whole tensor. A row far below it underflows to 0/0: subtract the maximum of each row.")
def maximum_of_the_tensor(logits, T):
    scaled = logits / _checked(T)
    e = (scaled - (scaled.max() if scaled.numel() else 0)).exp()
    return e / e.sum(-1, keepdim=True)


@mistake("soften", "You ignored T: these are the ordinary probabilities. Divide the logits by T first.")
def without_temperature(logits, T):
    _checked(T)
    return F.softmax(logits, dim=-1)


@mistake("soften", "You multiplied by T, which makes the targets sharper. Divide.")
def multiplied(logits, T):
    return F.softmax(logits * _checked(T), dim=-1)


@mistake("soften", "You divided the probabilities by T, so that a row sums to 1/T. It is the logits that are divided.")
def probabilities_divided(logits, T):
    return F.softmax(logits, dim=-1) / _checked(T)


@mistake("soften", "You raised the probabilities at T = 1 to 1/T. Where they underflow to 0, no temperature brings them back: divide the logits.")
def power_of_probabilities(logits, T):
    p = F.softmax(logits, dim=-1) ** (1 / _checked(T))
    return p / p.sum(-1, keepdim=True)


@mistake("soften", "The temperature is fixed at 4. It is an argument.")
def always_four(logits, T):
    _checked(T)
    return F.softmax(logits / 4, dim=-1)


@mistake("soften", "You gave the logarithms of the probabilities.")
def logarithms(logits, T):
    return F.log_softmax(logits / _checked(T), dim=-1)


@mistake("soften", "A temperature of 0 or below must raise ValueError; you computed on.")
def never_raises(logits, T):
    return F.softmax(logits / T, dim=-1)


@mistake("soften", "T = 0 must raise ValueError, like a negative T.")
def zero_is_let_through(logits, T):
    if T < 0:
        raise ValueError
    return F.softmax(logits / T, dim=-1)


@mistake("soften", "You refuse temperatures below 1. They are allowed: any T above 0 is.")
def refuses_below_one(logits, T):
    if T < 1:
        raise ValueError
    return F.softmax(logits / T, dim=-1)


@mistake("soften", "You rounded T to a whole number.")
def whole_temperatures(logits, T):
    return F.softmax(logits / max(1, int(_checked(T))), dim=-1)


def _kd(z, v, y, T, a, soft=None, hard=None):
    """The loss with one of its terms replaced."""
    soft = soft or (lambda: T ** 2 * F.kl_div(F.log_softmax(z / T, 1), F.softmax(v / T, 1), reduction="batchmean"))
    hard = hard or (lambda: F.cross_entropy(z, y))
    return a * soft() + (1 - a) * hard()


def _no_t_squared(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: F.kl_div(F.log_softmax(student / T, 1), F.softmax(teacher / T, 1), reduction="batchmean"))


@mistake("kd_loss", "You left out the factor T². The soft gradients scale as 1/T², so at high temperatures the targets do not count any more.")
def no_t_squared(student, teacher, y, T, a):
    return _no_t_squared(student, teacher, y, T, a)


@mistake("kd_loss", "You multiplied by T instead of T².")
def once_t(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: T * F.kl_div(F.log_softmax(student / T, 1), F.softmax(teacher / T, 1), reduction="batchmean"))


@mistake("kd_loss", "You multiplied the label term by T² too. It has temperature 1 and needs no correction.")
def both_times_t_squared(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, hard=lambda: T ** 2 * F.cross_entropy(student, y))


def _reversed_kl(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a,
               lambda: T ** 2 * F.kl_div(F.log_softmax(teacher / T, 1), F.softmax(student / T, 1), reduction="batchmean"))


@mistake("kd_loss", "Your KL is the wrong way round: KL(q‖p), with the student's probabilities as weights. The teacher's are the target: KL(p‖q).")
def reversed_kl(student, teacher, y, T, a):
    return _reversed_kl(student, teacher, y, T, a)


@mistake("kd_loss", "You gave F.kl_div the student's probabilities. Its first argument is logarithms: F.log_softmax(student / T, dim=1).")
def probabilities_for_logarithms(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: T ** 2 * F.kl_div(F.softmax(student / T, 1), F.softmax(teacher / T, 1), reduction="batchmean"))


@mistake("kd_loss", "You gave F.kl_div logarithms for both. Its second argument is probabilities, unless you say log_target=True.")
def logarithms_for_both(student, teacher, y, T, a):
    p = F.log_softmax(teacher / T, 1)
    return _kd(student, teacher, y, T, a, lambda: -T ** 2 * (p * F.log_softmax(student / T, 1)).sum(1).mean())


def _mean_over_elements(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: T ** 2 * (F.softmax(teacher / T, 1) * -F.log_softmax(student / T, 1)).mean())


@mistake("kd_loss", "F.kl_div's default reduction takes the mean over all N·C elements, so that the soft term is C times too small. Use reduction=\"batchmean\".")
def mean_over_elements(student, teacher, y, T, a):
    return _mean_over_elements(student, teacher, y, T, a)


@mistake("kd_loss", "Your soft term is summed over the batch, not averaged: it grows with the batch. Divide by N, or use reduction=\"batchmean\".")
def soft_term_summed(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: T ** 2 * F.kl_div(F.log_softmax(student / T, 1), F.softmax(teacher / T, 1), reduction="sum"))


@mistake("kd_loss", "Both terms are summed over the batch. The loss is the mean over its N samples.")
def everything_summed(student, teacher, y, T, a):
    return len(y) * _kd(student, teacher, y, T, a)


@mistake("kd_loss", "You swapped the weights: a belongs to the soft targets, 1 − a to the labels.")
def a_swapped(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, 1 - a)


@mistake("kd_loss", "You gave the label term the full weight. It is weighted with 1 − a.")
def labels_unweighted(student, teacher, y, T, a):
    return a * _kd(student, teacher, y, T, 1) + F.cross_entropy(student, y)


@mistake("kd_loss", "You gave the soft term the full weight. It is weighted with a.")
def targets_unweighted(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, 1) + (1 - a) * F.cross_entropy(student, y)


def _no_labels(student, teacher, y, T, a):
    return a * _kd(student, teacher, y, T, 1)


@mistake("kd_loss", "You left out the labels.")
def no_labels(student, teacher, y, T, a):
    return _no_labels(student, teacher, y, T, a)


@mistake("kd_loss", "You left out the teacher: this is plain training.")
def no_targets(student, teacher, y, T, a):
    return (1 - a) * F.cross_entropy(student, y)


@mistake("kd_loss", "You softened the label term too. The labels are for the student as it is deployed, at T = 1.")
def labels_at_t(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, hard=lambda: F.cross_entropy(student / T, y))


@mistake("kd_loss", "F.cross_entropy takes logits and applies a log-softmax itself; you gave it probabilities.")
def softmax_twice(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, hard=lambda: F.cross_entropy(F.softmax(student, 1), y))


def _student_at_one(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: T ** 2 * F.kl_div(F.log_softmax(student, 1), F.softmax(teacher / T, 1), reduction="batchmean"))


@mistake("kd_loss", "The student is compared at T = 1 with targets at T. Both logits are divided by T.")
def student_at_one(student, teacher, y, T, a):
    return _student_at_one(student, teacher, y, T, a)


def _teacher_at_one(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: T ** 2 * F.kl_div(F.log_softmax(student / T, 1), F.softmax(teacher, 1), reduction="batchmean"))


@mistake("kd_loss", "The targets have no temperature. Both logits are divided by T.")
def teacher_at_one(student, teacher, y, T, a):
    return _teacher_at_one(student, teacher, y, T, a)


@mistake("kd_loss", "The temperature is fixed at 4. It is an argument.")
def t_fixed(student, teacher, y, T, a):
    return _kd(student, teacher, y, 4.0, a)


@mistake("kd_loss", "The weight is fixed at 0.9. It is an argument.")
def a_fixed(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, 0.9)


@mistake("kd_loss", "You took the softmax over the batch. The classes lie along dimension 1.")
def softmax_over_the_batch(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: T ** 2 * F.kl_div(F.log_softmax(student / T, 0), F.softmax(teacher / T, 0), reduction="batchmean"))


@mistake("kd_loss", "You compared logits by their squared difference. That is the limit of very high temperatures only; at T it is KL of the softmax.")
def squared_logits(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: F.mse_loss(student, teacher))


@mistake("kd_loss", "You compared the probabilities by their squared difference. The soft term is T²·KL(p‖q).")
def squared_probabilities(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: T ** 2 * F.mse_loss(F.softmax(student / T, 1), F.softmax(teacher / T, 1)))


@mistake("kd_loss", "You made the teacher's largest logit the target: a label, without what it says of the other classes.")
def teachers_label(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: F.cross_entropy(student, teacher.argmax(1)))


def _logits_over_their_sum(student, teacher, y, T, a):
    return -(teacher / teacher.sum() * F.log_softmax(student, 1)).sum(1).mean()


@mistake("kd_loss", "Your \"soft labels\" are logits divided by their sum over the batch: negative numbers that mean nothing. The targets are softmax(v / T).")
def logits_over_their_sum(student, teacher, y, T, a):
    return _logits_over_their_sum(student, teacher, y, T, a)


@mistake("kd_loss", "The logarithm of an underflowed softmax is −∞. Take F.log_softmax, which gives the logarithms directly.")
def log_of_softmax(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: -T ** 2 * (F.softmax(teacher / T, 1) * F.softmax(student / T, 1).log()).sum(1).mean())


@mistake("kd_loss", "Where the teacher's probability is 0, p · log p is 0 · (−∞), NaN. Leave log p out (it is a constant), or use F.kl_div.")
def log_of_the_targets(student, teacher, y, T, a):
    p = F.softmax(teacher / T, 1)
    return _kd(student, teacher, y, T, a, lambda: T ** 2 * (p * (p.log() - F.log_softmax(student / T, 1))).sum(1).mean())


@mistake("kd_loss", "A small number inside the logarithm keeps it finite, but changes the gradient where a probability is small. Use F.log_softmax.")
def small_number_in_the_log(student, teacher, y, T, a):
    return _kd(student, teacher, y, T, a, lambda: -T ** 2 * (F.softmax(teacher / T, 1) * (F.softmax(student / T, 1) + 1e-8).log()).sum(1).mean())


@mistake("kd_loss", "You divided the teacher's logits by T in place: they are changed for whoever uses them next. Write teacher / T.")
def divides_in_place(student, teacher, y, T, a):
    teacher.div_(T)
    return _kd(student, teacher * T, y, T, a)


@mistake("kd_loss", "You return a loss for each sample. The loss is one number, their mean.")
def one_loss_for_each_sample(student, teacher, y, T, a):
    soft = -T ** 2 * (F.softmax(teacher / T, 1) * F.log_softmax(student / T, 1)).sum(1)
    return (a * soft + (1 - a) * F.cross_entropy(student, y, reduction="none")) / len(y)


@mistake("kd_loss", "The sign is wrong: following this gradient leads away from the teacher.")
def wrong_sign(student, teacher, y, T, a):
    return -_kd(student, teacher, y, T, a)


def _step(student, teacher, batch, optimizer, T=4.0, a=0.9, loss=None, grad=False, mode="eval", zero=True):
    """The right step with one thing changed."""
    x, y = batch
    if mode:
        teacher.train(mode == "train")
    with torch.set_grad_enabled(grad):
        v = teacher(x)
    z = student(x)
    found = (loss or _kd)(z, v, y, T, a)
    if zero:
        optimizer.zero_grad()
    found.backward()
    optimizer.step()
    return found.item()


@mistake("distill_step", "The teacher ran in train mode: its dropout made the targets noisy, and its running statistics moved. Call teacher.eval() first.")
def teacher_in_train_mode(student, teacher, batch, optimizer, T=4.0, a=0.9):
    return _step(student, teacher, batch, optimizer, T, a, mode=None)


@mistake("distill_step", "You put the teacher into train mode. It is used in eval mode.")
def teacher_put_into_train_mode(student, teacher, batch, optimizer, T=4.0, a=0.9):
    return _step(student, teacher, batch, optimizer, T, a, mode="train")


@mistake("distill_step", "You left a teacher in train mode that had come in eval mode. Leave it in eval, or put back the mode that it had.")
def teacher_left_in_train_mode(student, teacher, batch, optimizer, T=4.0, a=0.9):
    found = _step(student, teacher, batch, optimizer, T, a)
    teacher.train()
    return found


@mistake("distill_step", "Gradients flow into the teacher: its .grad has changed. Compute its logits under torch.no_grad(), or detach them.")
def gradients_into_the_teacher(student, teacher, batch, optimizer, T=4.0, a=0.9):
    return _step(student, teacher, batch, optimizer, T, a, grad=True)


@mistake("distill_step", "You cleared the teacher's gradients. Leave everything of the teacher as it is.")
def teachers_gradients_cleared(student, teacher, batch, optimizer, T=4.0, a=0.9):
    teacher.zero_grad()
    return _step(student, teacher, batch, optimizer, T, a)


@mistake("distill_step", "You put the teacher's parameters into the optimizer, and trained it along. The teacher is fixed.")
def teacher_in_the_optimizer(student, teacher, batch, optimizer, T=4.0, a=0.9):
    if len(optimizer.param_groups) == 1:
        optimizer.add_param_group({"params": list(teacher.parameters())})
    return _step(student, teacher, batch, optimizer, T, a, grad=True)


@mistake("distill_step", "You did not clear the gradients of the step before: optimizer.zero_grad() before loss.backward().")
def old_gradients_kept(student, teacher, batch, optimizer, T=4.0, a=0.9):
    return _step(student, teacher, batch, optimizer, T, a, zero=False)


@mistake("distill_step", "The student stays as it was: the optimizer never takes its step, or its gradients were cleared between backward() and step().")
def no_step(student, teacher, batch, optimizer, T=4.0, a=0.9):
    x, y = batch
    teacher.eval()
    with torch.no_grad():
        found = _kd(student(x), teacher(x), y, T, a)
    return found.item()


@mistake("distill_step", "You used the student in eval mode. Its batch norm takes the batch's statistics: leave it in train mode.")
def student_in_eval_mode(student, teacher, batch, optimizer, T=4.0, a=0.9):
    return _step(student.eval(), teacher, batch, optimizer, T, a)


@mistake("distill_step", "You left the student in eval mode, so that the next step does not train it as it should.")
def student_left_in_eval_mode(student, teacher, batch, optimizer, T=4.0, a=0.9):
    found = _step(student, teacher, batch, optimizer, T, a)
    student.eval()
    return found


@mistake("distill_step", "You left the student in eval mode after the step. Leave it in train mode, as it came.")
def student_put_into_train_and_eval(student, teacher, batch, optimizer, T=4.0, a=0.9):
    found = _step(student.train(), teacher, batch, optimizer, T, a)
    student.eval()
    return found


@mistake("distill_step", "You return the loss after the step. Return it as it was before.")
def loss_after_the_step(student, teacher, batch, optimizer, T=4.0, a=0.9):
    _step(student, teacher, batch, optimizer, T, a)
    with torch.no_grad():
        return _kd(student(batch[0]), teacher(batch[0]), batch[1], T, a).item()


@mistake("distill_step", "You return the label term only. The loss has both.")
def returns_the_label_term(student, teacher, batch, optimizer, T=4.0, a=0.9):
    with torch.no_grad():
        told = F.cross_entropy(student(batch[0]), batch[1]).item()
    _step(student, teacher, batch, optimizer, T, a)
    return told


@mistake("distill_step", "You return the loss of the whole batch, summed. The loss is the mean over its samples.")
def returns_the_sum(student, teacher, batch, optimizer, T=4.0, a=0.9):
    return len(batch[1]) * _step(student, teacher, batch, optimizer, T, a)


@mistake("distill_step", "You return nothing. Return the loss as a number.")
def returns_nothing(student, teacher, batch, optimizer, T=4.0, a=0.9):
    _step(student, teacher, batch, optimizer, T, a)


@mistake("distill_step", "You trained by the labels alone; the teacher has no say.")
def step_by_labels(student, teacher, batch, optimizer, T=4.0, a=0.9):
    return _step(student, teacher, batch, optimizer, T, a, loss=lambda z, v, y, T, a: F.cross_entropy(z, y))


@mistake("distill_step", "You left out the factor T² of the soft term.")
def step_without_t_squared(student, teacher, batch, optimizer, T=4.0, a=0.9):
    return _step(student, teacher, batch, optimizer, T, a, loss=_no_t_squared)


@mistake("distill_step", "Your default temperature is not 4.")
def another_default_temperature(student, teacher, batch, optimizer, T=2.0, a=0.9):
    return _step(student, teacher, batch, optimizer, T, a)


@mistake("distill_step", "Your default a is not 0.9.")
def another_default_a(student, teacher, batch, optimizer, T=4.0, a=0.5):
    return _step(student, teacher, batch, optimizer, T, a)


@mistake("distill_step", "You used T = 4 whatever you were given.")
def step_with_t_fixed(student, teacher, batch, optimizer, T=4.0, a=0.9):
    return _step(student, teacher, batch, optimizer, 4.0, a)


@mistake("distill_step", "You used a = 0.9 whatever you were given.")
def step_with_a_fixed(student, teacher, batch, optimizer, T=4.0, a=0.9):
    return _step(student, teacher, batch, optimizer, T, 0.9)


@mistake("distill_step", "You swapped the weights: a belongs to the soft targets, 1 − a to the labels.")
def step_with_a_swapped(student, teacher, batch, optimizer, T=4.0, a=0.9):
    return _step(student, teacher, batch, optimizer, T, 1 - a)


@mistake("distill_step", "You made a new optimizer in every step, so that momentum is lost. Use the one that is given.")
def optimizer_of_its_own(student, teacher, batch, optimizer, T=4.0, a=0.9):
    options = {name: value for name, value in optimizer.param_groups[0].items() if name in ("lr", "momentum")}
    return _step(student, teacher, batch, type(optimizer)(student.parameters(), **options), T, a)


def _attention(fs, ft, map_of=lambda f: f.pow(2).sum(1).flatten(1), scaled=lambda a: F.normalize(a, dim=1), loss=F.mse_loss):
    return loss(scaled(map_of(fs)), scaled(map_of(ft)))


def _hint(fs, ft, regressor):
    return F.mse_loss(regressor(fs), ft)


@mistake("hint_loss", "Your hint loss leaves out the regressor where the shapes fit without it. It always applies: the teacher's features need not lie as the student's.")
class regressor_only_where_needed:
    def hint_loss(fs, ft, regressor):
        return F.mse_loss(fs if fs.shape == ft.shape else regressor(fs), ft)

    attention_loss = _attention


@mistake("hint_loss", "Your hint loss does not train the regressor: its output was detached, or computed under no_grad.")
class regressor_detached:
    def hint_loss(fs, ft, regressor):
        weights = [p.requires_grad for p in regressor.parameters()]
        for p in regressor.parameters():
            p.requires_grad_(False)
        made = regressor(fs)
        for p, before in zip(regressor.parameters(), weights):
            p.requires_grad_(before)
        return F.mse_loss(made, ft)

    attention_loss = _attention


@mistake("hint_loss", "Your hint loss has no gradient for the student's features: they were detached. It is the student that is to learn.")
class student_detached:
    def hint_loss(fs, ft, regressor):
        return F.mse_loss(regressor(fs.detach()), ft)

    attention_loss = _attention


@mistake("hint_loss", "You kept the factor ½ of FitNets' equation. Here it is the plain mean of the squares.")
class half_of_the_hint:
    def hint_loss(fs, ft, regressor):
        return 0.5 * _hint(fs, ft, regressor)

    attention_loss = _attention


@mistake("hint_loss", "Your hint loss is a sum over the elements. Take the mean.")
class hint_summed:
    def hint_loss(fs, ft, regressor):
        return F.mse_loss(regressor(fs), ft, reduction="sum")

    attention_loss = _attention


@mistake("hint_loss", "You summed the squares of each sample and took the mean over the batch. The mean is over all elements.")
class hint_mean_over_samples:
    def hint_loss(fs, ft, regressor):
        return F.mse_loss(regressor(fs), ft, reduction="sum") / len(fs)

    attention_loss = _attention


@mistake("hint_loss", "Your hint loss takes the absolute error. It is the squared one.")
class hint_absolute:
    def hint_loss(fs, ft, regressor):
        return F.l1_loss(regressor(fs), ft)

    attention_loss = _attention


@mistake("hint_loss", "Your hint loss takes the root of the mean squared error.")
class hint_root:
    def hint_loss(fs, ft, regressor):
        return _hint(fs, ft, regressor).sqrt()

    attention_loss = _attention


@mistake("hint_loss", "Your attention maps are not normalised: the layer with the larger activations decides. Scale each sample's map to length 1.")
class maps_unnormalised:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, scaled=lambda a: a)


@mistake("hint_loss", "Your attention map sums |f| over the channels. It sums f².")
class absolute_for_squares:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, map_of=lambda f: f.abs().sum(1).flatten(1))


@mistake("hint_loss", "Your attention map sums f over the channels, so that activations of opposite sign cancel. It sums f².")
class signed_sum:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, map_of=lambda f: f.sum(1).flatten(1))


@mistake("hint_loss", "Your attention map takes the largest f² of the channels. It takes their sum.")
class largest_channel:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, map_of=lambda f: f.pow(2).amax(1).flatten(1))


@mistake("hint_loss", "Your attention map takes the root of the sum of squares. It is the sum itself.")
class root_of_the_sum:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, map_of=lambda f: f.pow(2).sum(1).flatten(1).clamp(min=1e-30).sqrt())


@mistake("hint_loss", "You scaled the maps of the whole batch together. Every sample's map has length 1 of its own.")
class scaled_by_the_batch:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, scaled=lambda a: F.normalize(a.flatten(), dim=0))


@mistake("hint_loss", "You scaled each place over the batch. Scale each sample over its places.")
class scaled_over_samples:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, scaled=lambda a: F.normalize(a, dim=0))


@mistake("hint_loss", "You scaled each row of a map by itself. Scale the whole map, all its H·W places together: flatten it first.")
class scaled_by_rows:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, map_of=lambda f: f.pow(2).sum(1), scaled=lambda a: F.normalize(a, dim=2))


@mistake("hint_loss", "You scaled the maps to sum 1. Scale them to Euclidean length 1.")
class scaled_to_sum_one:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, scaled=lambda a: F.normalize(a, p=1, dim=1))


@mistake("hint_loss", "A map of zeros is divided by its length 0, which gives NaN. It stays 0: F.normalize does that, or bound the length from below.")
class zero_map_divided:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, scaled=lambda a: a / a.norm(dim=1, keepdim=True))


@mistake("hint_loss", "The value at a map of zeros is right, but its gradient is NaN: the root of 0 has the slope ∞, and torch.where does not stop it. Bound what is "
         "under the root from below, or use F.normalize.")
class zero_map_with_nan_gradient:
    hint_loss = _hint

    def attention_loss(fs, ft):
        def scaled(a):
            length = a.pow(2).sum(1, keepdim=True).sqrt()
            return torch.where(length > 0, a / length, torch.zeros_like(a))
        return _attention(fs, ft, scaled=scaled)


@mistake("hint_loss", "You summed over the places and kept the channels. The attention map keeps the places and sums over the channels.")
class channels_kept:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, map_of=lambda f: f.pow(2).sum((2, 3)))


@mistake("hint_loss", "What you add to the length of a map is so large that it changes maps of small features. It only has to keep a 0 from the denominator: 1e-12 will do.")
class large_number_added:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, scaled=lambda a: a / (a.norm(dim=1, keepdim=True) + 1e-4))


@mistake("hint_loss", "Your attention loss is the length of the difference, as in the paper. Here it is the mean of its squares.")
class length_of_the_difference:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, loss=lambda p, q: (p - q).norm(dim=1).mean())


@mistake("hint_loss", "Your attention loss is a sum over the places, and a mean over the samples only. The mean is over all N·H·W differences.")
class attention_summed:
    hint_loss = _hint

    def attention_loss(fs, ft):
        return _attention(fs, ft, loss=lambda p, q: F.mse_loss(p, q, reduction="sum") / len(p))


def _relate(s, t, distances=None, scale=None, loss=F.smooth_l1_loss):
    """The loss with the distances (N, N), their scale or the function replaced; the means are over i ≠ j."""
    pairs = ~torch.eye(len(s), dtype=torch.bool)
    parts = []
    for x in (s, t):
        d = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist") if distances is None else distances(x)
        parts.append(d / (d[pairs].mean() if scale is None else scale(d)))
    return loss(parts[0][pairs], parts[1][pairs])


@mistake("relational_loss", "Your loss is the mean over all N² entries, with the zeros of the diagonal. Only the N(N − 1) pairs with i ≠ j count.")
def diagonal_in_the_loss(s, t):
    return _relate(s, t, loss=lambda a, b: F.smooth_l1_loss(a, b, reduction="sum") / len(s) ** 2)


@mistake("relational_loss", "Your μ is the mean over all N² entries: the zeros of the diagonal make it too small. Only pairs with i ≠ j count.")
def diagonal_in_mu(s, t):
    return _relate(s, t, scale=lambda d: d.mean())


@mistake("relational_loss", "Both means run over all N² entries. The diagonal holds no pairs: divide by N(N − 1).")
def diagonal_in_both(s, t):
    return _relate(s, t, scale=lambda d: d.mean(), loss=lambda a, b: F.smooth_l1_loss(a, b, reduction="sum") / len(s) ** 2)


@mistake("relational_loss", "The distances are compared as they are, so a student that is right but for its scale is punished. Divide each side by its own mean distance.")
def not_scale_free(s, t):
    return _relate(s, t, scale=lambda d: 1)


@mistake("relational_loss", "You divided both sides by the teacher's mean distance. Each has its own.")
def scaled_by_the_teacher(s, t):
    mean = F.pdist(t).mean()
    return _relate(s, t, scale=lambda d: mean)


@mistake("relational_loss", "You divided by the largest distance. Divide by the mean.")
def scaled_by_the_largest(s, t):
    return _relate(s, t, scale=lambda d: d.max())


@mistake("relational_loss", "The value is right, but you took μ for a constant. It depends on the student's embeddings too: do not detach it.")
def mu_detached(s, t):
    return _relate(s, t, scale=lambda d: d[~torch.eye(len(d), dtype=torch.bool)].mean().detach())


@mistake("relational_loss", "You left distances of 0 out of the mean. Where two samples coincide their distance counts like any other.")
def positive_distances_only(s, t):
    return _relate(s, t, scale=lambda d: d[d > 0].mean())


@mistake("relational_loss", "You compared squared distances. Take the Euclidean distance, without the square.")
def squared_distances(s, t):
    return _relate(s, t, lambda x: (x[:, None] - x[None]).pow(2).sum(2))


@mistake("relational_loss", "You took the sum of absolute differences as the distance. It is the Euclidean one.")
def city_block(s, t):
    return _relate(s, t, lambda x: (x[:, None] - x[None]).abs().sum(2))


@mistake("relational_loss", "You compared angles (cosines), not distances.")
def cosines(s, t):
    return F.smooth_l1_loss(F.normalize(s, dim=1) @ F.normalize(s, dim=1).T, F.normalize(t, dim=1) @ F.normalize(t, dim=1).T)


@mistake("relational_loss", "You scaled the embeddings to length 1 first. That moves every sample; only the distances are scaled.")
def embeddings_normalised(s, t):
    return _relate(F.normalize(s, dim=1), F.normalize(t, dim=1))


@mistake("relational_loss", "The loss is the mean squared difference. It is smooth L1: ½u² up to 1, linear beyond.")
def mean_square(s, t):
    return _relate(s, t, loss=F.mse_loss)


@mistake("relational_loss", "You took ½u² everywhere. Beyond |u| = 1 smooth L1 goes on linearly.")
def half_square(s, t):
    return _relate(s, t, loss=lambda a, b: 0.5 * F.mse_loss(a, b))


@mistake("relational_loss", "You took the absolute difference everywhere. Up to |u| = 1 smooth L1 is ½u².")
def absolute_difference(s, t):
    return _relate(s, t, loss=F.l1_loss)


@mistake("relational_loss", "Your loss is a sum over the pairs. Take the mean.")
def pairs_summed(s, t):
    return _relate(s, t, loss=lambda a, b: F.smooth_l1_loss(a, b, reduction="sum"))


@mistake("relational_loss", "You summed each pair once (i < j) and divided by N(N − 1), which counts it twice: half the loss.")
def half_the_pairs(s, t):
    return 0.5 * _relate(s, t)


@mistake("relational_loss", "Where two samples coincide (or on the diagonal) the gradient is NaN: the root of 0 has the slope ∞. Use F.pdist or torch.cdist, whose gradient is 0 "
         "there, or bound the square from below.")
def root_of_zero(s, t):
    return _relate(s, t, lambda x: (x[:, None] - x[None]).pow(2).sum(2).sqrt())


def _distilled(student, teacher, loader, T, a, epochs, seed, loss=_kd, rate=0.01, mode="eval", grad=False, fresh=False):
    """The right training with one thing changed."""
    if seed is not None:
        torch.manual_seed(seed)
    if mode:
        teacher.train(mode == "train")
    optimizer = torch.optim.Adam(student.parameters(), lr=rate)
    for _ in range(epochs):
        for x, y in loader:
            with torch.set_grad_enabled(grad):
                v = teacher(x)
            optimizer.zero_grad()
            loss(student(x), v, y, T, a).backward()
            optimizer.step()
    return student


@mistake("distill", "You trained by the labels alone. No label says what a 3 is; the teacher's probabilities do.")
def hard_labels_only(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, a, epochs, seed, loss=lambda z, v, y, T, a: F.cross_entropy(z, y) + 0 * v.sum())


@mistake("distill", "You took the teacher's largest logit for a label. On pictures without a 3 it is never the 3: what is to be learnt lies in the small probabilities.")
def teachers_labels(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, a, epochs, seed,
                      loss=lambda z, v, y, T, a: a * F.cross_entropy(z, v.argmax(1)) + (1 - a) * F.cross_entropy(z, y))


@mistake("distill", "Your targets are logits divided by their sum, no probabilities. The network learns nothing from them.")
def targets_over_their_sum(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, a, epochs, seed, loss=_logits_over_their_sum)


@mistake("distill", "You swapped the weights: a belongs to the soft targets, 1 − a to the labels.")
def distilled_with_a_swapped(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, 1 - a, epochs, seed)


@mistake("distill", "The weight is 0.9 whatever you are asked for. With a = 0 the teacher has no say.")
def distilled_with_a_fixed(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, 0.9, epochs, seed)


@mistake("distill", "The temperature is 4 whatever you are asked for. It is an argument.")
def distilled_with_t_fixed(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, 4.0, a, epochs, seed)


@mistake("distill", "You left out the factor T² of the soft term, so that the targets hardly count beside the labels.")
def distilled_without_t_squared(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, a, epochs, seed, loss=_no_t_squared)


@mistake("distill", "You train for 30 epochs whatever you are asked for. Take the number from the argument epochs.")
def thirty_epochs_always(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, a, 30, seed)


@mistake("distill", "You pass over the loader once. Do it epochs times.")
def one_epoch(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, a, 1, seed)


@mistake("distill", "You ignored the seed, so that with a loader that shuffles two runs differ. Call torch.manual_seed(seed) first.")
def unseeded(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, a, epochs, None)


@mistake("distill", "The seed is 0 whatever you are given.")
def seed_fixed(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, a, epochs, 0)


@mistake("distill", "The teacher ran in train mode: its dropout made the targets noisy, and its running statistics moved. Call teacher.eval() first.")
def distilled_in_train_mode(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, a, epochs, seed, mode=None)


@mistake("distill", "Gradients flow into the teacher. Compute its logits under torch.no_grad(), or detach them.")
def distilled_with_gradients(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, a, epochs, seed, grad=True)


@mistake("distill", "You trained the teacher along: its parameters were in the optimizer. It is fixed.")
def teacher_trained_along(student, teacher, loader, T, a, epochs, seed):
    torch.manual_seed(seed)
    teacher.eval()
    optimizer = torch.optim.Adam([*student.parameters(), *teacher.parameters()], lr=0.01)
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            _kd(student(x), teacher(x), y, T, a).backward()
            optimizer.step()
    return student


@mistake("distill", "You returned the teacher.")
def returns_the_teacher(student, teacher, loader, T, a, epochs, seed):
    _distilled(student, teacher, loader, T, a, epochs, seed)
    return teacher


@mistake("distill", "You returned the student as it was: the copy is what was trained.")
def returns_the_untrained(student, teacher, loader, T, a, epochs, seed):
    _distilled(copy.deepcopy(student), teacher, loader, T, a, epochs, seed)
    return student


@mistake("distill", "You returned nothing. Even if you train in place, return the student.")
def distilled_nothing(student, teacher, loader, T, a, epochs, seed):
    _distilled(student, teacher, loader, T, a, epochs, seed)


@mistake("distill", "You set the seed in every epoch, so that a loader that shuffles gives the same order each time. Set it once, before the first.")
def seeded_in_every_epoch(student, teacher, loader, T, a, epochs, seed):
    torch.manual_seed(seed)
    teacher.eval()
    optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
    for _ in range(epochs):
        torch.manual_seed(seed)
        for x, y in loader:
            with torch.no_grad():
                v = teacher(x)
            optimizer.zero_grad()
            _kd(student(x), v, y, T, a).backward()
            optimizer.step()
    return student


@mistake("distill", "You made a new Adam in every epoch, which forgets its averages. Make one, before the first epoch.")
def adam_in_every_epoch(student, teacher, loader, T, a, epochs, seed):
    torch.manual_seed(seed)
    for epoch in range(epochs):
        _distilled(student, teacher, loader, T, a, 1, None)
    return student


@mistake("distill", "You initialised the student anew. Train it from the weights with which it comes.")
def initialised_anew(student, teacher, loader, T, a, epochs, seed):
    torch.manual_seed(seed)
    for layer in student:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    return _distilled(student, teacher, loader, T, a, epochs, None)


@mistake("distill", "You left out the last batch of each pass, if it is smaller. Every batch makes a step.")
def last_batch_left_out(student, teacher, loader, T, a, epochs, seed):
    if isinstance(loader, list):
        loader = [batch for batch in loader if len(batch[1]) == len(loader[0][1])]
    return _distilled(student, teacher, loader, T, a, epochs, seed)


@mistake("distill", "You left a teacher in train mode that had come in eval mode.")
def distilled_leaving_train_mode(student, teacher, loader, T, a, epochs, seed):
    _distilled(student, teacher, loader, T, a, epochs, seed)
    teacher.train()
    return student


@mistake("distill", "The learning rate is far too small for so few steps. It is 0.01.")
def rate_too_small(student, teacher, loader, T, a, epochs, seed):
    return _distilled(student, teacher, loader, T, a, epochs, seed, rate=1e-5)


def _ensemble(teachers, x, T, mean, mode="eval"):
    for teacher in teachers:
        if mode:
            teacher.train(mode == "train")
    with torch.no_grad():
        return mean(torch.stack([teacher(x) for teacher in teachers]))


@mistake("ensemble_targets", "You averaged the logits. Each teacher's softmax comes first, then the mean: otherwise the loudest teacher decides alone.")
def mean_of_logits(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(v.mean(0) / T, 1))


@mistake("ensemble_targets", "You multiplied the probabilities (the geometric mean) and left them unnormalised. Take the arithmetic mean.")
def geometric_mean(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.log_softmax(v / T, 2).mean(0).exp())


@mistake("ensemble_targets", "You summed the probabilities, so that a row sums to the number of teachers. Take the mean.")
def sum_of_probabilities(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(v / T, 2).sum(0))


@mistake("ensemble_targets", "You ignored the temperature.")
def ensemble_without_temperature(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(v, 2).mean(0))


@mistake("ensemble_targets", "You softened the mean of the probabilities. Each teacher's logits are divided by T, before its softmax.")
def softened_afterwards(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(F.softmax(v, 2).mean(0) / T, 1))


@mistake("ensemble_targets", "You raised the mean to 1/T. Each teacher's logits are divided by T, before its softmax.")
def power_of_the_mean(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(F.softmax(v, 2).mean(0).log() / T, 1))


@mistake("ensemble_targets", "You took the softmax over the batch. The classes are the columns.")
def ensemble_over_the_batch(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(v / T, 1).mean(0))


@mistake("ensemble_targets", "You took the softmax over the teachers. The classes are the columns.")
def ensemble_over_the_teachers(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(v / T, 0).mean(0))


@mistake("ensemble_targets", "You counted votes for the largest logit. What a teacher says of the other classes is what soft targets are for.")
def votes(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.one_hot(v.argmax(2), v.shape[2]).float().mean(0))


@mistake("ensemble_targets", "Only the first teacher is asked.")
def first_teacher_only(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(v[0] / T, 1))


@mistake("ensemble_targets", "Only the last teacher is asked: your loop overwrites the result.")
def last_teacher_only(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(v[-1] / T, 1))


@mistake("ensemble_targets", "You gave the result with the teachers along the first dimension. Take the mean over them.")
def no_mean(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(v / T, 2))


@mistake("ensemble_targets", "The exponentials overflow for large logits. Use F.softmax.")
def ensemble_overflow(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: ((v / T).exp() / (v / T).exp().sum(2, keepdim=True)).mean(0))


@mistake("ensemble_targets", "Your teachers ran in the mode in which they came: dropout makes their targets noisy. Call eval() on each.")
def ensemble_in_train_mode(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(v / T, 2).mean(0), mode=None)


@mistake("ensemble_targets", "You put the teachers into train mode. They run in eval mode.")
def ensemble_put_into_train_mode(teachers, x, T):
    return _ensemble(teachers, x, T, lambda v: F.softmax(v / T, 2).mean(0), mode="train")


@mistake("ensemble_targets", "You put only the first teacher into eval mode. All of them run in it.")
def first_in_eval_mode(teachers, x, T):
    teachers[0].eval()
    return _ensemble(teachers, x, T, lambda v: F.softmax(v / T, 2).mean(0), mode=None)


@mistake("ensemble_targets", "You left teachers in train mode that had come in eval mode.")
def ensemble_left_in_train_mode(teachers, x, T):
    found = _ensemble(teachers, x, T, lambda v: F.softmax(v / T, 2).mean(0))
    for teacher in teachers:
        teacher.train()
    return found


def _loop(student, teacher, loader, optimizer, T, a, epochs, step=_step, report=lambda losses: sum(losses) / len(losses), **changes):
    """The right loop with one thing changed: an option of `_step`, or what an epoch reports."""
    losses = []
    for _ in range(epochs):
        losses.append(report([step(student, teacher, batch, optimizer, T, a, **changes) for batch in loader]))
    return losses


@mistake("distill_loop", "This is the loop as it was. Eight things are wrong with it: the teacher's mode and its gradients, the targets, the temperature, T², the label term, the "
         "reduction and old gradients, and the loss that is reported.")
def as_published(student, teacher, loader, optimizer, T, a, epochs):
    def loss(z, v, y, T, a):
        return F.kl_div(F.log_softmax(z, -1), v / v.sum(), reduction="mean")
    return _loop(student, teacher, loader, optimizer, T, a, epochs, report=lambda losses: losses[-1], loss=loss, mode=None, grad=True, zero=False)


@mistake("distill_loop", "One defect is left: the teacher is not in eval mode. Its dropout makes the targets noisy, and its running statistics move.")
def loop_without_eval(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, epochs, mode=None)


@mistake("distill_loop", "One defect is left: gradients flow into the teacher. Compute its logits under torch.no_grad().")
def loop_without_no_grad(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, epochs, grad=True)


@mistake("distill_loop", "One defect is left: the \"soft labels\" are logits divided by the sum of the batch. Take softmax(v / T).")
def loop_with_logits_over_their_sum(student, teacher, loader, optimizer, T, a, epochs):
    def loss(z, v, y, T, a):
        return _kd(z, v, y, T, a, lambda: -T ** 2 * (v / v.sum() * F.log_softmax(z / T, 1)).sum(1).mean())
    return _loop(student, teacher, loader, optimizer, T, a, epochs, loss=loss)


@mistake("distill_loop", "One defect is left: the \"soft labels\" are logits divided by the sum of their row. Take softmax(v / T).")
def loop_with_logits_over_their_row(student, teacher, loader, optimizer, T, a, epochs):
    def loss(z, v, y, T, a):
        return _kd(z, v, y, T, a, lambda: -T ** 2 * (v / v.sum(1, keepdim=True) * F.log_softmax(z / T, 1)).sum(1).mean())
    return _loop(student, teacher, loader, optimizer, T, a, epochs, loss=loss)


@mistake("distill_loop", "One defect is left: there is no temperature, neither in the targets nor in the student's part of the soft term.")
def loop_without_temperature(student, teacher, loader, optimizer, T, a, epochs):
    def loss(z, v, y, T, a):
        return _kd(z, v, y, T, a, lambda: T ** 2 * F.kl_div(F.log_softmax(z, 1), F.softmax(v, 1), reduction="batchmean"))
    return _loop(student, teacher, loader, optimizer, T, a, epochs, loss=loss)


@mistake("distill_loop", "There is no temperature and no T². Divide both logits by T in the soft term, and multiply it by T².")
def loop_at_temperature_one(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, 1.0, a, epochs)


@mistake("distill_loop", "One defect is left: the student's logits are not divided by T in the soft term.")
def loop_with_student_at_one(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, epochs, loss=_student_at_one)


@mistake("distill_loop", "One defect is left: the teacher's logits are not divided by T.")
def loop_with_teacher_at_one(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, epochs, loss=_teacher_at_one)


@mistake("distill_loop", "One defect is left: the factor T² of the soft term is missing.")
def loop_without_t_squared(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, epochs, loss=_no_t_squared)


@mistake("distill_loop", "One defect is left: the labels are not used. Add (1 − a) times the cross-entropy.")
def loop_without_labels(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, epochs, loss=_no_labels)


@mistake("distill_loop", "The labels are not used, and the soft term has the full weight. The loss is a·T²·KL + (1 − a)·CE.")
def loop_with_targets_alone(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, 1.0, epochs)


@mistake("distill_loop", "One defect is left: reduction=\"mean\" divides by the number of elements, so that the soft term is C times too small. Use \"batchmean\".")
def loop_with_mean_reduction(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, epochs, loss=_mean_over_elements)


@mistake("distill_loop", "One defect is left: the gradients of earlier steps are never cleared. Call optimizer.zero_grad() before backward().")
def loop_without_zero_grad(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, epochs, zero=False)


@mistake("distill_loop", "One defect is left: an epoch reports the loss of its last batch. Report the mean over its batches.")
def loop_reporting_the_last_batch(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, epochs, report=lambda losses: losses[-1])


@mistake("distill_loop", "An epoch reports the sum of its batches' losses. Report the mean.")
def loop_reporting_the_sum(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, epochs, report=sum)


@mistake("distill_loop", "You return the loss of every batch. Return one number for each epoch, the mean.")
def loop_reporting_every_batch(student, teacher, loader, optimizer, T, a, epochs):
    losses = []
    _loop(student, teacher, loader, optimizer, T, a, epochs, report=losses.extend)
    return losses


@mistake("distill_loop", "Your mean goes on from epoch to epoch. Start the sum anew in each.")
def loop_with_running_mean(student, teacher, loader, optimizer, T, a, epochs):
    seen = []

    def report(losses):
        seen.extend(losses)
        return sum(seen) / len(seen)
    return _loop(student, teacher, loader, optimizer, T, a, epochs, report=report)


@mistake("distill_loop", "You swapped the weights: a belongs to the soft targets, 1 − a to the labels.")
def loop_with_a_swapped(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, 1 - a, epochs)


@mistake("distill_loop", "Your KL is the wrong way round. The teacher's probabilities are the target: KL(p‖q).")
def loop_with_reversed_kl(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, epochs, loss=_reversed_kl)


@mistake("distill_loop", "You pass over the loader once. Do it epochs times.")
def loop_of_one_epoch(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student, teacher, loader, optimizer, T, a, min(1, epochs))


@mistake("distill_loop", "The student is in eval mode, so that its batch norm does not take the batch's statistics. Leave it in train mode.")
def loop_with_student_in_eval_mode(student, teacher, loader, optimizer, T, a, epochs):
    return _loop(student.eval(), teacher, loader, optimizer, T, a, epochs)


@mistake("distill_loop", "You put the teacher's parameters into the optimizer. It is fixed.")
def loop_with_teacher_in_the_optimizer(student, teacher, loader, optimizer, T, a, epochs):
    optimizer.add_param_group({"params": list(teacher.parameters())})
    return _loop(student, teacher, loader, optimizer, T, a, epochs, grad=True)


@mistake("distill_loop", "You leave out the last batch, if it is smaller. Every batch makes a step.")
def loop_without_the_last_batch(student, teacher, loader, optimizer, T, a, epochs):
    size = len(loader[0][1])
    return _loop(student, teacher, [batch for batch in loader if len(batch[1]) == size], optimizer, T, a, epochs)


@mistake("distill_loop", "You left a teacher in train mode that had come in eval mode.")
def loop_leaving_train_mode(student, teacher, loader, optimizer, T, a, epochs):
    losses = _loop(student, teacher, loader, optimizer, T, a, epochs)
    teacher.train()
    return losses


@mistake("distill_loop", "You return nothing. Return the list of losses.")
def loop_returning_nothing(student, teacher, loader, optimizer, T, a, epochs):
    _loop(student, teacher, loader, optimizer, T, a, epochs)
