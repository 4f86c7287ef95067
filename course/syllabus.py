"""The syllabus: which assignments there are, in which order, and what their exercises cover.

Reads `syllabus.yml`; does not read notebooks: `problems` is told which questions and exercises there are.
"""
import json
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import yaml

PLACE = Path(__file__).resolve().parent / "syllabus.yml"
SCHEMA = json.loads(PLACE.with_name("syllabus.schema.json").read_text(encoding="utf-8"))


class SyllabusError(Exception):
    """The syllabus cannot be read; the message says where and why."""


@dataclass(frozen=True)
class Limits:
    """`seconds` of compute to grade the reference; `memory_mb` of one submission."""
    seconds: float
    memory_mb: int


@dataclass(frozen=True)
class Assignment:
    """One assignment. `covers`: exercise or concept check -> ids of questions and tasks."""
    name: str
    title: str
    requires: list[str]
    hours: float
    limits: Limits
    covers: dict[str, list[str]]


@dataclass(frozen=True)
class Syllabus:
    """`tasks`: id -> what it asks; `assignments` in order; `planned`: id -> the assignment that will cover it."""
    tasks: dict[str, str]
    assignments: list[Assignment]
    planned: dict[str, str]

    def covered(self) -> dict[str, list[str]]:
        """Each id that is covered, with the places: `assignment/exercise`."""
        found: dict[str, list[str]] = {}
        for assignment in self.assignments:
            for exercise, ids in assignment.covers.items():
                for one in ids:
                    found.setdefault(one, []).append(f"{assignment.name}/{exercise}")
        return found

    def problems(self, questions: set[str], exercises: dict[str, list[str]]) -> list[str]:
        """What is wrong, a line each. `questions`: the bank's ids; `exercises`: those of every assignment that exists, checks included."""
        return [*self._coverage(questions | set(self.tasks)), *self._exercises(exercises), *self._order()]

    def _coverage(self, ids):
        covered, existing = self.covered(), {a.name for a in self.assignments}
        for one in sorted(ids | set(covered) | set(self.planned)):
            if one not in ids:
                yield f"{one} is neither a question of the bank nor a task"
            elif one in covered and one in self.planned:
                yield f"{one} is planned, and covered by {covered[one][0]}; strike it from planned"
            elif one not in covered and one not in self.planned:
                yield f"{one} is neither covered nor planned"
            elif self.planned.get(one) in existing:
                yield f"{one} is planned for {self.planned[one]}, which is there but does not cover it"

    def _exercises(self, exercises):
        listed = {a.name: a.covers for a in self.assignments}
        for name in sorted(set(listed) - set(exercises)):
            yield f"{name} is not in solutions/"
        for name in sorted(set(exercises) - set(listed)):
            yield f"{name} is in solutions/, but not in the syllabus"
        for name in sorted(set(listed) & set(exercises)):
            for exercise in sorted(set(listed[name]) - set(exercises[name])):
                yield f"{name} has no exercise {exercise}"
            for exercise in sorted(set(exercises[name]) - set(listed[name])):
                yield f"{name}: its exercise {exercise} covers nothing"

    def _order(self):
        before, planned = set(), set(self.planned.values())
        for assignment in self.assignments:
            if assignment.name in before:
                yield f"{assignment.name} stands in the syllabus twice"
            for name in assignment.requires:
                if name not in before | (planned - {a.name for a in self.assignments}):
                    yield f"{assignment.name} requires {name}, which neither comes earlier nor is planned"
            before.add(assignment.name)


def load(place: Path = PLACE) -> Syllabus:
    """The syllabus of a file; raises SyllabusError with one line that says where it is wrong."""
    try:
        told = yaml.safe_load(place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SyllabusError(f"{place}: cannot be read: {' '.join(str(error).split())}") from None
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(told))
    if error:
        where = "/".join(map(str, error.absolute_path)) or "the file"
        raise SyllabusError(f"{place}: {where}: {' '.join(error.message.split())[:200]}")
    assignments = [Assignment(**one | {"limits": Limits(**one["limits"])}) for one in told["assignments"]]
    return Syllabus(told["tasks"], assignments, told["planned"])
