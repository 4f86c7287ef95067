"""The audit of one assignment, from its sources to its report.

Builds it elsewhere, so the committed release is looked at as it is; writes nothing but the record of an audit that passed.
"""
import contextlib
import tempfile
from pathlib import Path

import nbformat
import yaml

from ..assignment import Assignment, AssignmentError, grade_id
from ..build import build
from ..grader import Grader
from ..isolation import Limits
from ..layout import Layout
from ..questions import known_answers
from . import record
from .leaks import leaks
from .lint import MISTAKES, is_check, lint
from .mutants import normal
from .reference import Stock, measure
from .trials import Trials, without_visible_asserts


def audit(layout: Layout, name: str, trust: str = "everything", started=lambda total: None, graded=lambda: None) -> dict:
    """The report of one assignment. `trust`: what is taken from its record where nothing that decides it has changed: "everything", "mutants"
    (with them generic answers, stock nbgrader's scores, time and memory), or "nothing". Calls `started` with the number of trials, and `graded` after each.

    Raises AssignmentError if it cannot be built, GraderError and IsolationError if nothing can be graded.
    """
    if name not in layout.assignments():
        raise AssignmentError(f"no assignment {name!r} in {layout.root / 'solutions'}; there are: {', '.join(layout.assignments()) or 'none'}")
    with tempfile.TemporaryDirectory() as scratch:
        made = Layout(Path(scratch))
        for part in ("solutions", "course"):
            (made.root / part).symlink_to(layout.root / part)
        build(made, name)
        assignment = made.load(name)
        entry, equivalents = syllabus_entry(layout, name), record.equivalents(layout, name)
        keys = record.keys(layout, assignment, entry, equivalents)
        old = record.load(layout, name) if trust != "nothing" else {}
        if trust == "everything" and old.get("keys") == keys:
            return old["report"]
        report = _Audit(layout, made, assignment, entry, equivalents, keys, old).run(started, graded)
    if report["ok"]:
        record.save(layout, name, keys, report)
    return report


def syllabus_entry(layout: Layout, name: str) -> dict:
    """What `course/syllabus.yml` says of an assignment; empty where it says nothing."""
    try:
        told = yaml.safe_load((layout.root / "course" / "syllabus.yml").read_text())
        return next((dict(one) for one in told["assignments"] if one["name"] == name), {})
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        raise AssignmentError(f"{layout.root / 'course' / 'syllabus.yml'} cannot be read; it wants a list `assignments`, each with a `name`") from None


class _Audit:
    def __init__(self, layout, made, assignment, entry, equivalents, keys, old):
        self.layout, self.made, self.assignment, self.entry, self.equivalents = layout, made, assignment, entry, equivalents
        self.keys, self.old_keys = keys, old.get("keys", {})
        self.unchanged = keys == self.old_keys
        self.old = {e["name"]: e for e in old["report"]["exercises"]} if old else {}
        self.measured = (old["report"]["seconds"], old["report"]["peak_mb"]) if old else (0.0, 0.0)
        self.known = known_answers(made, assignment.name)
        self.bare, self.bare_paths = self._variant("bare")
        self.trials, self.problems, self.matched = Trials(self.bare, self.known), [], set()
        self.cheap = {}                                  # what generic answers earn, by exercise
        self.covers = entry.get("covers") or {}
        self.exercises = {e.name: {"name": e.name, "points": e.points, "covers": self.covers.get(e.name, []), "mistakes": {}, "alternatives": {},
                                   "mutants": {"total": 0, "killed": 0, "equivalent": 0, "survived": []}} for e in assignment.exercises}
        self.points = {e.name: e.points for e in assignment.exercises}

    def run(self, started, graded) -> dict:
        self._read()
        limits, (seconds, peak), each = self.entry.get("limits") or {}, self.measured, {}
        memory = {"memory": limits["memory_mb"] << 20} if "memory_mb" in limits else {}
        try:
            if not self.unchanged:
                with Grader(self.layout.root, self.assignment, self.made.paths(self.assignment.name), limits=Limits(**memory)) as grader:
                    seconds, peak, each, problems = measure(grader, self.trials)
                    self.problems += problems
                self._within(limits, seconds, peak)
            self._grade(memory, each, started, graded)
        except AssignmentError as error:                 # the reference fails its own tests: nothing else can be known
            self.problems.append(str(error))
        return {"name": self.assignment.name, "ok": not self.problems, "seconds": round(seconds, 3), "peak_mb": round(peak, 1),
                "problems": self.problems, "exercises": list(self.exercises.values())}

    def _variant(self, label, change=lambda source: source, mistakes: bool = True) -> tuple[Assignment, dict]:
        """The assignment, and its paths, without demonstrations: they decide nothing and take time. `change` its source; without mistakes, no failure is diagnosed."""
        paths = {"mistakes": self.made.mistakes(self.assignment.name) if mistakes else self.made.root / "none.py"}
        for part in ("source", "release"):
            notebook = nbformat.from_dict(getattr(self.assignment, part))
            notebook.cells = [c for c in notebook.cells if grade_id(c) not in self.assignment.demonstrations]
            paths[part] = self.made.root / f"{label}-{part}.ipynb"
            nbformat.write(change(notebook) if part == "source" else notebook, paths[part])
        return Assignment.load(self.assignment.name, **paths), paths

    def _read(self):
        """What needs no running."""
        name = self.assignment.name
        if not self.entry:
            self.problems.append(f"course/syllabus.yml has no assignment {name}; write its title, requires, hours, limits and covers there")
        for exercise in self.assignment.exercises:
            if self.entry and not self.covers.get(exercise.name):
                self.problems.append(f"{exercise.name}: it covers nothing; list what it covers in course/syllabus.yml")
            if exercise.manual or is_check(self.assignment, exercise):
                continue
            mine = [k for k in self.known if k.exercise == exercise.name]
            wrong = sum(k.diagnosis is not None for k in mine)
            if wrong < MISTAKES:
                self.problems.append(f"{exercise.name}: it has {wrong} of {MISTAKES} mistakes; write plausible wrong answers into mistakes.py")
            if wrong == len(mine):
                self.problems.append(f"{exercise.name}: it has no alternative; write another right answer into alternatives.py")
        self.problems += [f"{what} names {one!r}, which is no exercise of {name}; rename or remove it"
                          for what, names in (("mistakes.py or alternatives.py", [k.exercise for k in self.known]), ("equivalents.yml", self.equivalents),
                                              ("course/syllabus.yml", self.covers)) for one in dict.fromkeys(names) if one not in self.exercises]
        self.problems += lint(self.assignment)
        committed = self.layout.release(name)
        if not committed.exists() or committed.read_bytes() != self.made.release(name).read_bytes():
            self.problems.append(f"assignments/{name} is not what solutions/{name} builds; run: autograder build {name}, and commit")
        releases = [self.assignment.release] + ([nbformat.read(committed, 4)] if committed.exists() else [])
        self.problems += dict.fromkeys(p for release in releases for p in leaks(self.assignment, release, self.known))

    def _within(self, limits, seconds, peak):
        for what, unit, used, most in (("seconds", "s of compute", seconds, limits.get("seconds")), ("memory_mb", "MB", peak, limits.get("memory_mb"))):
            if self.entry and most is None:
                self.problems.append(f"course/syllabus.yml gives {self.assignment.name} no limit {what}; add it under limits")
            elif most is not None and used > most:
                self.problems.append(f"grading the reference takes {used:.2f} {unit}, and the syllabus allows {most:g}; use fewer or smaller cases")

    def _grade(self, memory, seconds, started, graded):
        fresh = [e for e in self.trials.exercises if not is_check(self.assignment, e) and self._unrecorded(e)]
        # A group that a generic answer passes by the hidden part alone is weak, whatever the visible part says.
        rounds = [([] if self.unchanged else list(self.trials.generic()), lambda: self._variant("hidden", without_visible_asserts, mistakes=False), {}),
                  ([*self.trials.alone(), *self.trials.known_answers()], lambda: (self.bare, self.bare_paths), memory),
                  ([t for e in fresh for t in self.trials.mutants(e)], lambda: self._variant("undiagnosed", mistakes=False), memory)]
        started(sum(len(trials) for trials, _, _ in rounds))
        same = self.old_keys.get("stock") == self.keys["stock"]
        with contextlib.nullcontext() if same else Stock(self.made.source(self.assignment.name), self.layout.root) as stock:
            for trials, variant, limits in rounds:
                if trials:
                    assignment, paths = variant()
                    with Grader(self.layout.root, assignment, paths, limits=Limits(**limits)) as grader:
                        for trial, results in self.trials.grade(grader, trials, seconds, graded):
                            getattr(self, f"_{trial.kind}")(trial, results)
            if not same:
                self.problems += stock.problems(self.assignment)
        self._too_cheap()
        for exercise in fresh:
            self._stale(exercise.name)

    def _unrecorded(self, exercise) -> bool:
        """Whether an exercise's mutants must run; if not, what the record says of them is taken."""
        name = exercise.name
        if self.old_keys.get("mutants", {}).get(name) != self.keys["mutants"][name] or name not in self.old:
            return True
        self.exercises[name]["mutants"] = self.old[name]["mutants"]
        return False

    def _earned(self, results, name) -> float:
        return results[name]["score"] if name in results else 0.0

    def _empty(self, trial, results):
        self.problems += [f"{name}: the untouched release earns {r['score']:g} of {self.points[name]:g}; assert something that a stub does not give"
                          for name, r in results.items() if r["score"]]

    def _generic(self, trial, results):
        for name, result in results.items():
            if result["score"]:
                self.cheap.setdefault(name, []).append((trial.label, result["score"]))

    def _too_cheap(self):
        for name, earned in self.cheap.items():
            told = ", ".join(f"{label} ({score:g})" for label, score in earned)
            advice = ("a group holds no case that must give a value; add one" if any(label.startswith("raises") for label, _ in earned)
                      else "give every group a case on which these are wrong")
            self.problems.append(f"{name}: by the hidden part, generic answers earn some of {self.points[name]:g}: {told}; {advice}")

    def _alone(self, trial, results):
        for name, result in results.items():
            if name == trial.exercise and result["score"] != self.points[name]:
                self.problems.append(f"{name}: its reference earns {result['score']:g} of {self.points[name]:g} where no other exercise is answered "
                                     f"({result['message']}); let it need nothing but setup cells")
            elif name != trial.exercise and result["score"]:
                self.problems.append(f"{name}: it earns {result['score']:g} from the answer of {trial.exercise} alone; give it a test of its own")

    def _alternative(self, trial, results):
        name, earned = trial.exercise, self._earned(results, trial.exercise)
        self.exercises[name]["alternatives"][trial.label] = {"passed": earned == self.points[name]}
        if earned != self.points[name]:
            message = results[name]["message"] if name in results else "it was stopped"
            self.problems.append(f"{name}: the alternative {trial.label} earns {earned:g} of {self.points[name]:g} ({message}); "
                                 "mend it, or have the test accept it")

    def _mistake(self, trial, results):
        name, result = trial.exercise, results.get(trial.exercise, {})
        diagnosis = next(k.diagnosis for k in self.known if (k.exercise, k.name) == (name, trial.label))
        caught = self._earned(results, name) < self.points[name]
        diagnosed = (result.get("mistake"), result.get("message")) == (trial.label, diagnosis)
        self.exercises[name]["mistakes"][trial.label] = {"caught": caught, "diagnosed": diagnosed}
        if not caught:
            self.problems.append(f"{name}: the mistake {trial.label} earns full marks; add a case on which it is wrong")
        elif not diagnosed and result.get("mistake"):
            self.problems.append(f"{name}: the mistake {trial.label} gets the diagnosis of {result['mistake']}; add a case on which the two differ")
        elif not diagnosed:
            self.problems.append(f"{name}: the mistake {trial.label} gets no diagnosis but {result.get('message', 'none')!r}; "
                                 "let it give the same in every run, and data that can be compared")

    def _mutant(self, trial, results):
        found = self.exercises[trial.exercise]["mutants"]
        found["total"] += 1
        if self._earned(results, trial.exercise) < self.points[trial.exercise]:
            found["killed"] += 1
        elif trial.label in {normal(d) for d in self.equivalents.get(trial.exercise, {})}:
            found["equivalent"] += 1
            self.matched.add((trial.exercise, trial.label))
        else:
            found["survived"].append(trial.label)
            self.problems.append(f"{trial.exercise}: a mutant earns full marks ({'  '.join(trial.label.splitlines())}); "
                                 "add a case on which it is wrong, or give a reason in equivalents.yml")

    def _stale(self, name):
        for diff in self.equivalents.get(name, {}):
            if (name, normal(diff)) not in self.matched:
                self.problems.append(f"{name}: equivalents.yml lists {'  '.join(normal(diff).splitlines())}, which is no mutant that survives; remove it")
