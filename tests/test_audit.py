"""The audit passes a clean assignment and says of every kind of slip what to do; the real assignments pass it.

The slips are made in copies of a small course of another subject, `tests/fixtures/text-course`.
"""
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jsonschema
import nbformat
import pytest

from autograder.assignment import Assignment, grade_id
from autograder.audit import mutants, record, trials
from autograder.audit.leaks import leaks
from autograder.audit.lint import lint
from autograder.audit.run import audit
from autograder.build import build
from autograder.cli import main
from autograder.isolation import Limits
from autograder.layout import Layout
from autograder.questions import known_answers

from .conftest import ROOT

NAME, FIXTURE = "text-statistics", ROOT / "tests" / "fixtures" / "text-course"
COUNT = {"type": "integer", "minimum": 0}
SCHEMA = {"type": "object", "required": ["schema", "assignments"], "additionalProperties": False, "properties": {
    "schema": {"const": 1}, "assignments": {"type": "array", "items": {
        "type": "object", "required": ["name", "ok", "seconds", "peak_mb", "problems", "exercises"], "additionalProperties": False, "properties": {
            "name": {"type": "string"}, "ok": {"type": "boolean"}, "seconds": {"type": "number"}, "peak_mb": {"type": "number"},
            "problems": {"type": "array", "items": {"type": "string"}}, "exercises": {"type": "array", "items": {
                "type": "object", "required": ["name", "points", "covers", "mistakes", "alternatives", "mutants"], "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"}, "points": {"type": "number"}, "covers": {"type": "array", "items": {"type": "string"}},
                    "mistakes": {"additionalProperties": {"type": "object", "required": ["caught", "diagnosed"], "additionalProperties": {"type": "boolean"}}},
                    "alternatives": {"additionalProperties": {"type": "object", "required": ["passed"], "additionalProperties": {"type": "boolean"}}},
                    "mutants": {"type": "object", "required": ["total", "killed", "equivalent", "survived"], "additionalProperties": False, "properties": {
                        "total": COUNT, "killed": COUNT, "equivalent": COUNT, "survived": {"type": "array", "items": {"type": "string"}}}}}}}}}}}}


def copy_of(place, root=FIXTURE) -> Layout:
    for part in ("solutions", "course", "assignments"):
        shutil.copytree(root / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
    return Layout(place)


def change(path, old, new, times=1):
    text = path.read_text()
    assert text.count(old) >= times, old
    path.write_text(text.replace(old, new, times))


class Run:
    """One audit: its report, and how many trials it took."""

    def __init__(self, layout, trust, name=NAME):
        self.total = 0
        self.report = audit(layout, name, trust, started=lambda total: setattr(self, "total", total))
        self.problems = self.report["problems"]
        self.exercises = {e["name"]: e for e in self.report["exercises"]}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """The fixture's course and its full audit."""
    layout = copy_of(tmp_path_factory.mktemp("clean"))
    return layout, Run(layout, "nothing")


TANGLED = '''
# %% [markdown]
# ## 3. Both

# %% answer="summary"
def summary(text, days):
    """Both statistics."""
    ### BEGIN SOLUTION
    return type_token_ratio(text), longest_streak(days)
    ### END SOLUTION

# %% test="summary" points=1
### BEGIN HIDDEN TESTS
exam.compare("both", [case("three words, a day", "a new day", ["2024-01-01"])])
exam.score()
### END HIDDEN TESTS
'''


@pytest.fixture(scope="module")
def weak(tmp_path_factory):
    """An audit of the fixture with one slip of each kind that only running can show."""
    layout = copy_of(tmp_path_factory.mktemp("weak"))
    folder = layout.solution(NAME)
    notebook = folder / "notebook.py"
    change(notebook, '    case("an apostrophe", "It\'s it"),\n', "")
    change(notebook, '    edge("the same word three times", "no, no, no"),\n', "")
    change(notebook, 'exam.compare("edges", [\n    edge("an empty text"', 'exam.law("edges", _no_words, [\n    edge("an empty text"')
    change(notebook, 'exam.compare("ordinary sentences"', 'def _no_words(result, text):\n    assert not abs(result) > 1e-9, "the ratio is wrong"\n\n\n'
           'exam.compare("ordinary sentences"')
    change(notebook, '    edge("no days", []),\n    edge("one day, listed twice", ["2020-06-15", "2020-06-15"]),\n'
           '    edge("a day listed twice within a streak", ["2020-06-15", "2020-06-16", "2020-06-16", "2020-06-17"]),\n', "")
    with notebook.open("a") as file:
        file.write(TANGLED)
    with (folder / "mistakes.py").open("a") as file:
        file.write('''

@mistake("longest_streak", "You gave the streak as a float.")
def gives_a_float(days):
    longest, streak, last = 0.0, 0.0, None
    for day in _dates(days):
        streak = streak + 1 if last and day - last == timedelta(days=1) else 1
        longest, last = max(longest, streak), day
    return longest


@mistake("longest_streak", "The same as the last streak, by another name.")
def also_the_last_streak(days):
    streak, last = 0, None
    for day in _dates(days):
        streak, last = streak + 1 if last and day - last == timedelta(days=1) else 1, day
    return streak
''')
    change(folder / "alternatives.py", "max(streaks.values(), default=0)", "max(streaks.values())")
    change(folder / "alternatives.py", "return len(counts) / max(1, counts.total())", "return len(counts) / counts.total()")
    change(layout.root / "course" / "syllabus.yml", "seconds: 3, memory_mb: 2048", "seconds: 0.001, memory_mb: 2048")
    with (folder / "equivalents.yml").open("a") as file:
        file.write("  - diff: |\n      - last = date.min\n      + last = date.today()\n    reason: there is no such mutant\n")
    build(layout, NAME)
    release = nbformat.read(layout.release(NAME), 4)
    release.cells[3].metadata["note"] = "words = re.findall(r\"[a-z]+\", text.lower())"
    nbformat.write(release, layout.release(NAME))
    return Run(layout, "everything")


def says(problems, *parts):
    return [p for p in problems if all(part in p for part in parts)]


def test_a_clean_assignment_passes(clean):
    _, run = clean
    assert run.report["ok"] and run.problems == []
    assert set(run.exercises) == {"type_token_ratio", "longest_streak"} and run.exercises["longest_streak"]["covers"] == ["V2"]
    for exercise in run.exercises.values():
        assert all(m == {"caught": True, "diagnosed": True} for m in exercise["mistakes"].values()) and len(exercise["mistakes"]) >= 4
        assert all(a == {"passed": True} for a in exercise["alternatives"].values())
        found = exercise["mutants"]
        assert found["killed"] + found["equivalent"] == found["total"] > 10 and found["survived"] == []
    assert run.exercises["longest_streak"]["mutants"]["equivalent"] == 1
    assert 0 < run.report["seconds"] < 3 and 5 < run.report["peak_mb"] < 2048


def test_a_weak_test_lets_a_mutant_survive(weak):
    survivors = weak.exercises["longest_streak"]["mutants"]["survived"]
    assert "- longest = streak = 0\n+ longest = streak = 1" in survivors
    assert says(weak.problems, "longest_streak: a mutant earns full marks (- longest = streak = 0  + longest = streak = 1)", "add a case", "equivalents.yml")
    assert len(says(weak.problems, "longest_streak: a mutant")) == len(survivors)


def test_a_missed_mistake_is_a_problem(weak):
    assert says(weak.problems, "longest_streak: the mistake gives_a_float earns full marks")
    assert weak.exercises["longest_streak"]["mistakes"]["gives_a_float"] == {"caught": False, "diagnosed": False}


def test_a_wrong_diagnosis_is_a_problem(weak):
    assert says(weak.problems, "the mistake also_the_last_streak gets the diagnosis of the_last_streak")
    assert weak.exercises["longest_streak"]["mistakes"]["also_the_last_streak"] == {"caught": True, "diagnosed": False}


def test_an_alternative_that_fails_is_a_problem(weak):
    assert says(weak.problems, "type_token_ratio: the alternative counter earns 1 of 2", "You divided by the number of words")
    assert weak.exercises["type_token_ratio"]["alternatives"]["counter"] == {"passed": False}


def test_an_exercise_that_needs_another_answer_is_a_problem(weak):
    assert says(weak.problems, "summary: its reference uses longest_streak, which is the answer of longest_streak")
    assert not says(weak.problems, "summary: its test uses")


def test_an_exercise_with_nothing_around_it_is_a_problem(weak):
    for missing in ("it covers nothing", "it has 0 of 3 mistakes", "it has no alternative", "the statement names no source", "it has 0 of 3 hints",
                    "test_summary has no edge case"):
        assert says(weak.problems, f"summary: {missing}"), missing


def test_a_test_that_nan_passes_is_a_problem(weak):
    assert says(weak.problems, "type_token_ratio: test_type_token_ratio", "NaN passes this")
    assert says(weak.problems, "type_token_ratio: by the hidden part, generic answers earn some of 2", "NaN (1)")


def test_a_generic_answer_that_earns_is_a_problem(weak):
    assert says(weak.problems, "type_token_ratio: by the hidden part", "zeros (1); give every group a case on which these are wrong")


def test_a_group_of_cases_that_must_raise_is_a_problem(weak):
    assert says(weak.problems, "longest_streak: by the hidden part", "raises ValueError (1)", "a group holds no case that must give a value")


def test_an_equivalence_that_matches_no_survivor_is_a_problem(weak):
    assert says(weak.problems, "equivalents.yml lists - last = date.min  + last = date.today(), which is no mutant that survives")
    assert not says(weak.problems, "date.max")


def test_a_leaking_release_is_a_problem(weak):
    assert says(weak.problems, f"assignments/{NAME} is not what solutions/{NAME} builds; run: autograder build {NAME}")
    assert says(weak.problems, "the release carries the reference of type_token_ratio in its metadata or outputs")


def test_a_notebook_over_its_limits_is_a_problem(weak):
    assert says(weak.problems, "grading the reference takes", "the syllabus allows 0.001")


def test_every_problem_is_one_line_and_nothing_is_recorded(weak):
    assert not weak.report["ok"] and all("\n" not in p and len(p) > 20 for p in weak.problems)


@pytest.fixture(scope="module")
def built(clean, tmp_path_factory):
    """The fixture's assignment, built, for slips that reading shows."""
    layout = copy_of(tmp_path_factory.mktemp("built"))
    build(layout, NAME)
    return layout.load(NAME), known_answers(layout, NAME)


def altered(assignment, cell, old, new) -> Assignment:
    """The assignment with a text replaced in the cell of this id, in source and release."""
    source, release = copy.deepcopy(assignment.source), copy.deepcopy(assignment.release)
    (found,) = [c for c in source.cells if grade_id(c) == cell]
    assert old in found.source
    found.source = found.source.replace(old, new)
    return Assignment(assignment.name, source, release, assignment.mistakes)


SLIPS = [
    ("text-6", "<details><summary>Hint 3</summary>", "<details><summary>Hint 3</summary></details>", ["longest_streak: it has 2 of 3 hints"]),
    ("text-6", "Source: ISO", "See ISO", ["longest_streak: the statement names no source"]),
    ("test_longest_streak", "edge(", "case(", ["longest_streak: test_longest_streak has no edge case"]),
    ("test_longest_streak", "assert longest", "days = []\nassert longest", ["leaves the public name days behind for later cells; call it _days"]),
    ("test_longest_streak", "assert longest", "import math\nassert longest", ["leaves the public name math behind"]),
    ("test_longest_streak", "assert longest", "_found = longest_streak([])\nassert _found is not None\nassert longest", ["`_found is not None`: a student's object"]),
    ("test_longest_streak", "assert longest", "assert not longest_streak([]) is None\nassert longest", ["a student's object"]),
    ("test_longest_streak", "assert longest", "assert isinstance(longest_streak([]), int)\nassert longest", ["`isinstance(longest_streak([]), int)`: a student's"]),
    ("test_longest_streak", "exam.score()", "def _law(result):\n    assert result is not None\nexam.score()", ["`result is not None`: a student's object"]),
    ("test_longest_streak", "assert longest", "assert not longest_streak([]) > 0\nassert longest", ["`not longest_streak([]) > 0`: NaN passes this"]),
    ("test_longest_streak", "assert longest", "assert not any(longest_streak([]) < n for n in [0])\nassert longest", ["NaN passes this"]),
    ("test_longest_streak", "exam.score()", "if longest_streak([]) > 0:\n    raise ValueError\nexam.score()", ["NaN passes this"]),
    ("test_longest_streak", "exam.score()", "assert type_token_ratio('') == 0\nexam.score()", ["its test uses type_token_ratio, which is the answer of type_token_ratio"]),
    ("test_longest_streak", "exam.score()", "def _look(answer):\n    return answer([]) == 0\nobserve(_look, longest_streak)\nexam.score()",
     ["`answer([]) == 0` in _look: a verdict that is reached beside the student's code can be forged"]),
    ("test_longest_streak", "exam.score()", "def _look(answer):\n    return [answer is abs]\nobserve(_look, longest_streak)\nexam.score()",
     ["`answer is abs` in _look: a verdict"]),
    ("test_longest_streak", "exam.score()", "_days = longest_streak([])\nexam.compare('', [case('the same again', _days)])\nexam.score()",
     ["`case('the same again', _days)`: a case holds what a student's code gave"]),
    ("setup-2", "import re", "import re\nclass Diary: pass", ["setup-2: the setup cell defines the class Diary"]),
    ("longest_streak", "### BEGIN SOLUTION", "# begin", ["its reference is not between solution markers"]),
]


@pytest.mark.parametrize("cell, old, new, wanted", SLIPS, ids=lambda value: value[0][:40] if type(value) is list else "")
def test_reading_finds_a_slip_and_nothing_else(built, cell, old, new, wanted):
    assignment, _ = built
    assert lint(assignment) == []
    found = lint(altered(assignment, cell, old, new))
    assert len(found) == 1 and wanted[0] in found[0]


def test_code_to_repair_may_stand_between_statement_and_answer(built):
    assignment, answers = built
    wrong = next(a for a in answers if a.name == "the_last_streak")
    changed = altered(assignment, "text-6", "## 2.", "## 2.")
    place = next(n for n, c in enumerate(changed.source.cells) if grade_id(c) == "text-6") + 1
    for notebook in (changed.source, changed.release):
        shown = nbformat.v4.new_code_cell(wrong.source.rpartition("\n\n")[2], metadata={"nbgrader": {"grade_id": "shown", "locked": True}})
        notebook.cells.insert(place, shown)
    assert lint(changed) == [] and leaks(changed, changed.release, answers) == []


def test_a_probe_may_look_at_a_students_objects(built):
    probe = "def look(answer):\n    return isinstance(answer([]), int), answer([]) is not None\n\n\n_seen = observe(look, longest_streak)\nassert longest"
    assert lint(altered(built[0], "test_longest_streak", "assert longest", probe)) == []


@pytest.mark.parametrize("cell, leak, wanted", [
    ("setup-2", "words = re.findall(r'[a-z]+', text.lower())\nreturn len(set(words)) / len(words) if words else 0.0".replace("'", '"'), "the reference of type_token_ratio"),
    ("text-1", "The hidden text is: To be, or not to be. A case: commas and full stops.", "a case of test_type_token_ratio"),
    ("text-1", "You gave the last streak. Keep the longest one that you have seen.", "the diagnosis of the_last_streak"),
    ("text-1", "streak = streak + 1 if last and day.day == last.day + 1 else 1\nlongest, last = max(longest, streak), day\nfor day in _dates(days):\n"
     "longest, streak, last = 0, 0, None\n", "the mistake compares_days_of_the_month"),
])
def test_a_release_that_shows_a_secret_leaks(built, cell, leak, wanted):
    assignment, answers = built
    assert leaks(assignment, assignment.release, answers) == []
    release = copy.deepcopy(assignment.release)
    next(c for c in release.cells if grade_id(c) == cell).source += "\n" + leak
    assert says(leaks(assignment, release, answers), f"the release shows {wanted} in cell {cell}")


def test_outputs_and_metadata_leak_too(built):
    assignment, answers = built
    release = copy.deepcopy(assignment.release)
    cell = next(c for c in release.cells if c.cell_type == "code")
    cell.outputs = [nbformat.v4.new_output("stream", text='exam.compare("ordinary diaries", [\n')]
    assert says(leaks(assignment, release, answers), "the release carries the hidden part of test_longest_streak")


def test_mutants_are_of_the_promised_kinds_and_all_different():
    source = """def f(x, n):
    "The text of a docstring is not changed."
    before = x
    ### BEGIN SOLUTION
    if n < 0:
        raise ValueError("the text of an error is not changed")
    x = np.sum(np.abs(x), axis=0) + n
    x[:n] = 2
    return g(x, n)
    ### END SOLUTION"""
    found = mutants.mutants(source)
    diffs = "\n".join(m.diff for m in found)
    assert len({m.source for m in found}) == len(found) and "text of" not in diffs.replace("- raise ValueError('the text of", "").replace("+ raise ValueError('the text of", "")
    for wanted in ("+ if n <= 0:", "+ if not n < 0:", "+ if n < 1:", "axis=1) + n", "axis=0) - n", "+ x = np.sum(np.abs(x), axis=0)\n", "+ x = np.sum(x, axis=0) + n",
                   "np.mean(", "+ x[:n + 1] = 2", "+ x[:n] = 3", "+ pass", "+ return g(n, x)"):
        assert wanted in diffs, wanted
    assert all("before = x" in m.source for m in found)


def test_a_change_that_compiles_to_the_same_is_no_mutant():
    found = [m.source.split("\n")[-1] for m in mutants.mutants("x = a[:]\ny = 2 * 1")]
    assert found == ["y = 2 / 1", "y = 1", "y = 3 * 1", "y = 2 * 2", "y = 2 * 0"]                 # not y = 2, and y = 1 * 1 no second time
    assert mutants.mutants("x = (") == []


def test_answers_of_different_exercises_share_a_submission():
    one, two, other = (trials.Trial("mistake", label, exercise, {}) for label, exercise in (("one", "a"), ("two", "a"), ("other", "b")))
    alone = trials.Trial("alone", "", "a", {}, by_itself=True)
    assert trials.submissions([alone, one, two, other]) == [[alone], [one, other], [two]]


def test_where_a_shared_submission_is_stopped_whole_each_trial_is_graded_alone(tmp_path):
    class Grader:
        limits = Limits()

        def ask(self, submission, limits):
            return None if b"stop" in submission else {"exercises": [{"name": "a", "score": 1.0}, {"name": "b", "score": 1.0}]}

    one, other = (trials.Trial("mutant", name, name, {name: source}) for name, source in (("type_token_ratio", "stop"), ("longest_streak", "go")))
    layout = copy_of(tmp_path)
    build(layout, NAME)
    graded = trials.Trials(layout.load(NAME), []).grade(Grader(), [one, other], {})
    assert [(trial, list(results)) for trial, results in graded] == [(one, []), (other, ["a", "b"])]


def test_the_record_is_trusted_for_what_is_unchanged_and_never_by_full(clean):
    layout, first = clean
    again = Run(layout, "everything")
    assert again.total == 0 and again.report["exercises"] == first.report["exercises"]
    known = sum(len(e[kind]) for e in first.exercises.values() for kind in ("mistakes", "alternatives"))
    again = Run(layout, "mutants")
    assert again.total == known + len(first.exercises) + 1 and again.report["exercises"] == first.report["exercises"]
    kept = record.place(layout, NAME).read_bytes()
    change(layout.solution(NAME) / "notebook.py", "no, no, no", "so, so, so")
    build(layout, NAME)
    changed = Run(layout, "everything")
    mine = first.exercises["longest_streak"]["mutants"]["total"]
    assert changed.report["ok"] and changed.total == first.total - mine
    assert record.place(layout, NAME).read_bytes() != kept
    assert Run(layout, "everything").total == 0 and Run(layout, "nothing").total == first.total


@pytest.mark.parametrize("old, new, decides", [
    ("\n\ndef load(", "\n\ndef unused():\n    return load('mlp')\n\n\ndef load(", False),             # a function more
    ("nn.ReLU()]", "nn.Tanh()]", True),                                                        # in a function that one in use calls
    ("\n\ndef load(", "\n\nnn.ReLU = nn.Tanh\n\n\ndef load(", True),                            # in no function
])
def test_the_record_holds_while_what_the_notebook_uses_of_the_course_stays(tmp_path, old, new, decides):
    layout, name = copy_of(tmp_path, ROOT), "01-magnitude-pruning"
    build(layout, name)
    before = record.keys(layout, layout.load(name), {}, {})
    change(tmp_path / "course" / "models.py", old, new)
    assert (record.keys(layout, layout.load(name), {}, {}) != before) == decides


def test_the_command_gives_json_of_schema_1_and_exit_code_0(clean, capsys):
    layout, _ = clean
    out = layout.root / "audit.json"
    assert main(["audit", "--root", str(layout.root), "--json", str(out)]) == 0
    told = json.loads(out.read_text())
    jsonschema.validate(told, SCHEMA)
    assert [a["name"] for a in told["assignments"]] == [NAME] and "all is well" in capsys.readouterr().err


def test_a_broken_reference_is_a_problem_and_exit_code_1(tmp_path, capsys):
    layout = copy_of(tmp_path)
    change(layout.solution(NAME) / "notebook.py", "else 0.0\n", "else 1.0\n")
    change(layout.solution(NAME) / "notebook.py", "- 0.8) <= 1e-9", "- 0.9) <= 1e-9")
    assert main(["audit", NAME, "--root", str(tmp_path), "--json", str(tmp_path / "out.json")]) == 1
    assert "the reference answer of type_token_ratio does not pass its own tests" in capsys.readouterr().err
    jsonschema.validate(json.loads((tmp_path / "out.json").read_text()), SCHEMA)
    assert not record.place(layout, NAME).exists()


def test_a_case_that_the_reference_cannot_do_is_refused_before_anything_is_graded(tmp_path):
    layout = copy_of(tmp_path)
    change(layout.solution(NAME) / "notebook.py", 'edge("an empty text", "")', 'edge("an empty text", None)')
    assert says(Run(layout, "everything").problems, "an empty text: the reference raises AttributeError; mend the case")


@pytest.mark.parametrize("break_it, arguments, told", [
    (lambda layout: None, ["99-nothing"], "no solutions/99-nothing"),
    (lambda layout: None, ["--json", "/no/such/folder/x.json"], "no folder"),
    (lambda layout: shutil.rmtree(layout.root / "solutions"), [], "no assignments"),
    (lambda layout: (layout.solution(NAME) / "equivalents.yml").write_text("longest_streak: [{diff: x}]"), [], "wants, for each exercise, a list"),
    (lambda layout: (layout.root / "course" / "syllabus.yml").write_text("- nothing"), [], "syllabus.yml cannot be read"),
])
def test_a_slip_at_the_command_line_gets_one_line_and_exit_code_2(tmp_path, capsys, break_it, arguments, told):
    break_it(copy_of(tmp_path))
    assert main(["audit", *arguments, "--root", str(tmp_path)]) == 2
    shown = capsys.readouterr().err
    assert told in shown and len(shown.strip().split("\n")) == 1


def test_an_interrupted_audit_ends_with_130_and_leaves_no_process_and_no_record(tmp_path):
    layout = copy_of(tmp_path)
    run = subprocess.Popen([sys.executable, "-m", "autograder.cli", "audit", "--root", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    children = f"/proc/{run.pid}/task/{run.pid}/children"
    while run.poll() is None and not any(b"audit.stock" in _command(pid) for pid in open(children).read().split()):
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, shown = run.communicate(timeout=60)
    assert run.returncode == 130 and "nothing was written" in shown
    assert not record.place(layout, NAME).exists()
    deadline = time.monotonic() + 10
    while (left := _naming(str(tmp_path))) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


def _command(pid) -> bytes:
    try:
        return open(f"/proc/{pid}/cmdline", "rb").read()
    except OSError:
        return b""


def _naming(text) -> list[str]:
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid() and text.encode() in _command(pid)]


@pytest.mark.parametrize("name", Layout(ROOT).assignments())
def test_the_assignments_of_the_course_pass_their_audit(tmp_path, name):
    """References, alternatives and mistakes anew; mutants, where nothing has changed since the committed record, as it says."""
    run = Run(copy_of(tmp_path, ROOT), "mutants", name)
    assert run.total and run.problems == []
