"""What test cells are written with: an Exam over described cases, `observe`, `seed`, `callback`.

The same cell runs behind the wall, in a student's plain kernel and under stock nbgrader. Outside the judge these functions call
the answer directly. The mistakes stay with the judge: elsewhere a failure names the case, not the misunderstanding.
"""
import contextvars
import copy
from dataclasses import dataclass, field

from . import service
from .compare import as_letters, as_number, difference
from .proxy import Callback, Opaque, Proxy

# The judge's run of the test cell at hand; None in a plain kernel.
wall = contextvars.ContextVar("wall", default=None)


class BadCase(Exception):
    """A case on which the reference raises, and whose words do not say so: by accident, every answer that raises would pass it."""


@dataclass(frozen=True)
class Case:
    """Arguments for one call, and what they are in words that a student may read."""
    description: str
    args: tuple
    edge: bool = False


def case(description: str, *args) -> Case:
    """An ordinary case."""
    return Case(description, args)


def edge(description: str, *args) -> Case:
    """A case at the edge of what the statement allows: empty, all ties, zero, extreme."""
    return Case(description, args, edge=True)


def observe(probe, *args, _seed: int = 0, **kwargs):
    """Run the trusted function `probe` next to the student's objects, and return the evidence it gives as plain data.

    `probe` is a plain top-level function that reads modules and its arguments only; it must not judge.
    """
    if run := wall.get():
        return run.observe(probe, args, kwargs, _seed)
    service.seed(_seed)
    return probe(*args, **kwargs)


def seed(number: int):
    """Seed Python's, numpy's and torch's generators here and where the student's code runs."""
    service.seed(number)
    if run := wall.get():
        run.observe(service.seed, (number,))


def callback(target, methods: dict | None = None, limit: int = 100_000):
    """`target` as student code may call it: a function, or an object of which `methods` = {class: (method, …)} may be called.

    It runs in the judge, gets plain data, and raises RuntimeError after `limit` calls.
    """
    return Callback(target, methods or {}, limit) if wall.get() else target


def call_and_keep(function, *args):
    """Call, and give the arguments back as they are afterwards."""
    return function(*args), args


@dataclass(frozen=True)
class Outcome:
    """What came of one call: its value and the arguments after it, or the exception's class."""
    value: object = None
    after: tuple | None = None
    raised: type | None = None
    line: int | None = None


@dataclass
class Group:
    """Cases that earn their share of the points together. `failure` is (description, reason) of the first case that failed.

    A group without a title is a plain answer: its `failure` is (diagnosis,), and `mistake` names the error, where it is a known one.
    """
    title: str
    weight: float
    calls: list = field(default_factory=list)        # of (name, probe, case, outcome)
    failure: tuple[str, ...] | None = None
    mistake: str | None = None

    @property
    def message(self) -> str:
        return ": ".join([self.title, *self.failure] if self.title else self.failure)


class Exam:
    """The hidden test of one exercise. `answers` and `references`: what the answer cell defines, the student's and ours, by name."""

    def __init__(self, points: float, answers: dict, references: dict):
        self.points, self.answers, self.references, self.groups = float(points), answers, references, []
        if run := wall.get():
            run.exams.append(self)

    def compare(self, title: str, cases, *, weight: float = 1, of: str | None = None, probe=None, rtol: float = 1e-5, atol: float = 1e-6):
        """Every case must give what the reference gives, or raise as it raises, and leave its arguments as they were.

        With `probe`, what is compared is the evidence of `probe(answer, *args)`.
        """
        self._group(title, cases, weight, of, probe, lambda outcome, wanted, args: _compare(outcome, wanted, rtol, atol))

    def law(self, title: str, law, cases, *, weight: float = 1, of: str | None = None, probe=None):
        """Every case must keep `law(result, *args)`, which asserts what must hold and says in each assert what does not.

        Where the reference raises, the answer must raise alike.
        """
        self._group(title, cases, weight, of, probe, lambda outcome, wanted, args: _keeps(law, outcome, wanted, args))

    def choice(self, options: dict[str, tuple[str, str]]):
        """The answer must name the letters that the reference names, all of them and no other: a set, list, tuple or text of letters.

        `options` gives for each letter the name and the diagnosis of picking it though it is wrong, or of missing it though it is right.
        """
        ((name, right),) = self.references.items()
        picked = as_letters(self.answers[name])
        if not picked or not picked <= set(options):
            self._settle(f"expected letters from {min(options)} to {max(options)}")
        elif errors := sorted(picked - right) or sorted(right - picked):
            self._settle(options[errors[0]][1], options[errors[0]][0])
        else:
            self._settle()

    def number(self, rtol: float, wrong, why: str):
        """The answer must be the reference's number, within rtol of it. `wrong`: (value, name, diagnosis) of known errors; `why`: of all others."""
        ((name, right),) = self.references.items()
        given = as_number(self.answers[name])
        if given is None:
            self._settle("expected a finite number")
        elif abs(given - right) <= rtol * abs(right):
            self._settle()
        else:
            known = [(told, mistake) for value, mistake, told in wrong if abs(given - value) <= rtol * abs(value)]
            self._settle(*known[0] if known else (why,))

    def _settle(self, diagnosis: str | None = None, mistake: str | None = None):
        self.groups.append(Group("", 1, failure=diagnosis and (diagnosis,), mistake=mistake))

    def score(self) -> float:
        """The points earned, as a plain float; outside the judge it also prints what failed."""
        total = sum(g.weight for g in self.groups)
        earned = sum(g.weight for g in self.groups if g.failure is None)
        if not self.groups or total <= 0:
            raise ValueError("an exam needs a group of cases with a weight")
        if not wall.get():
            for group in self.failures():
                print(group.message)
        return self.points if earned == total else float(self.points * earned / total)

    def failures(self) -> list[Group]:
        return [g for g in self.groups if g.failure]

    def matches(self, mistake: dict) -> bool:
        """Whether the student's outcomes are those of this wrong answer, in every case of every group."""
        return all(_equal(outcome, _local(mistake.get(name, self.references[name]), probe, c.args, number))
                   for group in self.groups for number, (name, probe, c, outcome) in enumerate(group.calls))

    def _group(self, title, cases, weight, of, probe, judge):
        name = of or next(iter(self.answers))
        group = Group(title, weight)
        self.groups.append(group)
        for number, one in enumerate(cases):
            wanted = _local(self.references[name], probe, one.args, number)
            if wanted.raised and wanted.raised.__name__ not in one.description:
                raise BadCase(f"{one.description}: the reference raises {wanted.raised.__name__}; mend the case, or name the exception in its words")
            outcome = _ask(self.answers[name], probe, one.args, number)
            group.calls.append((name, probe, one, outcome))
            reason = judge(outcome, wanted, one.args)
            if reason and not group.failure:
                group.failure = one.description, reason


def _ask(answer, probe, args, number) -> Outcome:
    """The answer's outcome, wherever it lives."""
    run = wall.get()
    if not run or not isinstance(answer, Proxy):
        return _local(answer, probe, args, number)
    args = copy.deepcopy(args)
    try:
        if probe:
            return Outcome(run.observe(probe, (answer, *args), {}, number))
        result = run.observe(call_and_keep, (answer, *args), {}, number)
        value, after = result if type(result) is tuple and len(result) == 2 else (result, None)
        return Outcome(value, after)
    except Exception as error:
        if error is not run.raised:
            raise
        return Outcome(raised=type(error), line=run.raised_line)


def _local(function, probe, args, number) -> Outcome:
    args = tuple(arg.target if isinstance(arg, Callback) else arg for arg in copy.deepcopy(args))
    service.seed(number)
    try:
        if probe:
            return Outcome(probe(function, *args))
        return Outcome(function(*args), args)
    except Exception as error:
        return Outcome(raised=type(error))


def _compare(outcome, wanted, rtol, atol):
    if wanted.raised:
        return None if outcome.raised and issubclass(outcome.raised, wanted.raised) else f"expected {wanted.raised.__name__}"
    return _raised(outcome) or difference(outcome.value, wanted.value, rtol, atol) or _changed(outcome, wanted)


def _keeps(law, outcome, wanted, args):
    if wanted.raised:
        return _compare(outcome, wanted, 0, 0)
    if reason := _raised(outcome):
        return reason
    try:
        law(outcome.value, *copy.deepcopy(args))
    except AssertionError as error:
        return str(error) or "the result is wrong"
    except Exception:                                # the result is of a kind that the law cannot read
        return "the result has the wrong type or shape"
    return _changed(outcome, wanted)


def _raised(outcome):
    if outcome.raised:
        return f"raised {outcome.raised.__name__}" + (f" (line {outcome.line} of the cell)" if outcome.line else "")
    return None


def _changed(outcome, wanted):
    """Whether an input is no longer what the reference left. One that is no plain data, such as a callback, is for a probe to look at."""
    if outcome.after is None or wanted.after is None:
        return None
    if type(outcome.after) is not tuple or len(outcome.after) != len(wanted.after):
        return "an input was changed"
    for got, left in zip(outcome.after, wanted.after):
        try:
            if difference(got, left, 0, 0):
                return "an input was changed"
        except (TypeError, Opaque):
            continue
    return None


def _equal(outcome, other) -> bool:
    if outcome.raised or other.raised:
        return bool(outcome.raised and other.raised and outcome.raised is other.raised)
    try:
        return difference(outcome.value, other.value) is None and not _changed(outcome, other)
    except (TypeError, Opaque):
        return False
