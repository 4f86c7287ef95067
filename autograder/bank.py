"""The question bank: one YAML file per question, checked and read; numbers drawn, answers worked out.

A question has a text in two languages, a rubric and a model answer for free text, misconceptions, and graded checks built on them.
Does not make notebook cells: that is `questions`.
"""
import math
import random
import re
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import yaml

from .assignment import AssignmentError

ANSWER_WORDS = 200
TEXT = {"type": "string", "pattern": r"\S"}
NAME = {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_-]*$"}


def _object(required: dict, optional: dict | None = None) -> dict:
    return {"type": "object", "properties": required | (optional or {}), "required": list(required), "additionalProperties": False}


CHOICE = _object({"name": NAME, "kind": {"const": "choice"}, "ask": TEXT, "options": {"type": "array", "minItems": 2, "maxItems": 26, "items": {"oneOf": [
    _object({"text": TEXT, "right": {"type": "boolean"}, "why": TEXT}), _object({"misconception": NAME})]}}})
NUMBER = _object({"name": NAME, "kind": {"const": "number"}, "ask": TEXT, "answer": TEXT, "why": TEXT,
                  "rtol": {"type": "number", "minimum": 0, "exclusiveMaximum": 0.5},
                  "wrong": {"type": "array", "minItems": 1, "items": _object({"id": NAME, "answer": TEXT, "why": TEXT})}},
                 {"numbers": {"type": "object", "additionalProperties": {"type": "array", "minItems": 3, "maxItems": 3, "items": {"type": "number"}}}})
SCHEMA = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A question of the bank"} | _object({
    "id": NAME, "topic": TEXT, "level": {"enum": ["foundation", "intermediate", "advanced"]},
    "question": _object({"en": TEXT, "zh": TEXT}),
    "rubric": {"type": "array", "minItems": 3, "maxItems": 6, "items": _object({"points": {"type": "integer", "minimum": 1}, "text": TEXT})},
    "answer": TEXT, "sources": {"type": "array", "minItems": 1, "items": TEXT},
    "misconceptions": {"type": "array", "minItems": 2, "items": _object({"id": NAME, "claim": TEXT, "why": TEXT})},
}, {"checks": {"type": "array", "items": {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["choice", "number"]}}, "allOf": [
    {"if": {"properties": {"kind": {"const": kind}}}, "then": schema} for kind, schema in (("choice", CHOICE), ("number", NUMBER))]}}})


@dataclass(frozen=True)
class Option:
    """One option of a choice. `mistake` names the error of picking a wrong one, or of missing a right one; `why` is its diagnosis."""
    letter: str
    text: str
    right: bool
    mistake: str
    why: str


@dataclass(frozen=True)
class Wrong:
    """A number that a known wrong derivation gives."""
    mistake: str
    value: float
    why: str


@dataclass(frozen=True)
class Check:
    """A graded check: a choice with its options, or a number with its tolerance; `why` answers an unknown wrong number."""
    name: str
    question: str
    ask: str
    answer: frozenset[str] | float
    options: tuple[Option, ...] = ()
    rtol: float = 0.0
    why: str = ""
    wrong: tuple[Wrong, ...] = ()


@dataclass(frozen=True)
class Question:
    """One question. `question` has the languages `en` and `zh`; `rubric` and `misconceptions` are as in the file."""
    id: str
    topic: str
    level: str
    question: dict[str, str]
    rubric: list[dict]
    answer: str
    sources: list[str]
    misconceptions: list[dict]
    checks: tuple[Check, ...]


def files_naming(folder: Path, names: set[str]) -> list[Path]:
    """The files of the bank that hold a question or a check of one of these names; reads, but does not parse them."""
    return [path for path in sorted(folder.glob("*.yml"))
            if path.stem in names or names & set(re.findall(r"\bname:\s*[\"']?([\w-]+)", path.read_text(encoding="utf-8")))]


def load(paths: list[Path]) -> dict[str, Question]:
    """The questions of these files by id; raises AssignmentError with the file and what to mend."""
    bank, checks = {}, {}
    for path in paths:
        question = _read(path)
        for check in question.checks:
            if (other := checks.setdefault(check.name, path)) != path:
                raise AssignmentError(f"{path}: the check {check.name!r} is in {other.name} too; rename one")
        bank[question.id] = question
    return bank


def _read(path: Path) -> Question:
    try:
        told = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AssignmentError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(told))
    if error:
        where = "/".join(map(str, error.absolute_path)) or "the file"
        raise AssignmentError(f"{path}: {where}: {' '.join(error.message.split())[:200]}")
    try:
        if told["id"] != path.stem:
            raise ValueError(f"its id is {told['id']!r}; a file is named for its question")
        if (words := len(told["answer"].split())) > ANSWER_WORDS:
            raise ValueError(f"the model answer has {words} words; at most {ANSWER_WORDS}")
        known = {m["id"]: m for m in told["misconceptions"]}
        if len(known) < len(told["misconceptions"]):
            raise ValueError("two misconceptions share an id")
        checks = tuple((_choice if c["kind"] == "choice" else _number)(c, told["id"], known) for c in told.get("checks", ()))
        if len({c.name for c in checks}) < len(checks):
            raise ValueError("two checks share a name")
    except ValueError as error:
        raise AssignmentError(f"{path}: {error}") from None
    return Question(**told | {"checks": checks})


def _choice(told, question, known) -> Check:
    _need_identifier(told["name"])
    options = []
    for letter, option in zip("abcdefghijklmnopqrstuvwxyz", told["options"]):
        if identity := option.get("misconception"):
            if identity not in known:
                raise ValueError(f"{told['name']}: there is no misconception {identity!r}; there are: {', '.join(known)}")
            options.append(Option(letter, known[identity]["claim"], False, identity, known[identity]["why"].strip()))
        else:
            mistake = f"{'misses' if option['right'] else 'picks'}_{letter}"
            options.append(Option(letter, option["text"].strip(), option["right"], mistake, option["why"].strip()))
    right = frozenset(o.letter for o in options if o.right)
    if not 0 < len(right) < len(options):
        raise ValueError(f"{told['name']}: a choice needs a right option and a wrong one")
    if len({o.mistake for o in options}) < len(options):
        raise ValueError(f"{told['name']}: a misconception stands in two options")
    return Check(told["name"], question, told["ask"].strip(), right, tuple(options))


def _number(told, question, _) -> Check:
    name = told["name"]
    _need_identifier(name)
    numbers = _draw(name, told.get("numbers", {}))
    if unknown := set(re.findall(r"\{(\w+)\}", told["ask"])) - set(numbers):
        raise ValueError(f"{name}: {{{sorted(unknown)[0]}}} in its text is none of its numbers")
    right = _work_out(name, told["answer"], numbers)
    wrong = tuple(Wrong(w["id"], _work_out(name, w["answer"], numbers), _fill(w["why"], numbers)) for w in told["wrong"])
    if len({w.mistake for w in wrong}) < len(wrong):
        raise ValueError(f"{name}: two wrong answers share an id")
    values = [("the answer", right), *((w.mistake, w.value) for w in wrong)]
    for place, (one, a) in enumerate(values):
        for other, b in values[place + 1:]:
            if abs(a - b) <= told["rtol"] * (abs(a) + abs(b)):
                raise ValueError(f"{name}: with the numbers drawn, {one} and {other} cannot be told apart ({a:g}, {b:g}); choose other ranges")
    return Check(name, question, _fill(told["ask"], numbers), right, (), told["rtol"], _fill(told["why"], numbers), wrong)


def _need_identifier(name):
    if not name.isidentifier():
        raise ValueError(f"{name!r} is no Python name; a check is named like a variable")


def _draw(name, ranges) -> dict:
    """A value for each range (low, high, step), from a generator seeded with the check's name."""
    generator, drawn = random.Random(name), {}
    for key, (low, high, step) in ranges.items():
        if not (step > 0 and low <= high):
            raise ValueError(f"{name}: the range of {key!r} must be [low, high, step] with low <= high and step > 0")
        drawn[key] = round(low + step * generator.randint(0, math.floor((high - low) / step + 1e-9)), 12)
    return drawn


def _work_out(name, expression, numbers) -> float:
    functions = {n: f for n, f in vars(math).items() if not n.startswith("_")} | {"abs": abs, "max": max, "min": min, "round": round, "sum": sum}
    try:
        value = eval(expression, {"__builtins__": {}} | functions | numbers)
    except Exception as error:
        raise ValueError(f"{name}: {expression!r} cannot be worked out: {error}") from None
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{name}: {expression!r} gives {value!r}, which is no finite number")
    return value


def _fill(text, numbers) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: str(numbers.get(m[1], m[0])), text.strip())
