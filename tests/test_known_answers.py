"""Every known mistake is caught and named, every alternative passes, behind the real wall."""
import pytest

from autograder import mistakes, questions

from .conftest import NAME, ROOT, graded, outcome

FOLDER = ROOT / "solutions" / NAME
MISTAKES, ALTERNATIVES = mistakes.load(FOLDER / "mistakes.py"), mistakes.load(FOLDER / "alternatives.py")


@pytest.mark.parametrize("wrong", MISTAKES, ids=lambda m: f"{m.exercise}-{m.name}")
def test_a_mistake_loses_marks_and_gets_its_own_diagnosis(grader, assignment, hand_in, right, wrong):
    answers = right | {wrong.exercise: wrong.cell(assignment.answer_names[wrong.exercise])}
    result = grader.verdict("wrong", hand_in(answers))
    found = outcome(result, wrong.exercise)
    assert found.score < found.max_score and (found.mistake, found.message) == (wrong.name, wrong.diagnosis)
    assert all(e.status == "passed" for e in graded(result) if e.name != wrong.exercise)


@pytest.mark.parametrize("other", ALTERNATIVES, ids=lambda a: f"{a.exercise}-{a.name}")
def test_another_right_answer_earns_full_marks(grader, assignment, hand_in, right, other):
    result = grader.verdict("right", hand_in(right | {other.exercise: other.cell(assignment.answer_names[other.exercise])}))
    assert {(e.status, e.message) for e in graded(result)} == {("passed", "")}


@pytest.mark.parametrize("source", ["None", "float('nan')", "lambda *a: None", "lambda *a: float('nan')", "lambda *a: a[0]", "lambda *a: a",
                                    "lambda *a: 0", "lambda *a: ()", "lambda *a: np.zeros_like(a[0])", "lambda *a: (np.full(a[0].shape, np.nan),) * 2",
                                    "lambda *a: np.ones(a[0].shape, bool)", "lambda *a: (a[0], np.ones(a[0].shape, bool))",
                                    "lambda *a: np.random.rand(*a[0].shape) > .5",
                                    "lambda *a: a[1]", "lambda *a: a[2]", "lambda *a: 1.0", "lambda *a: 1 / 0", "lambda *a: int('x')",
                                    "lambda *a: copy.deepcopy(a[0])", "lambda *a: (a[0], {})", "lambda *a: (copy.deepcopy(a[0]), {})", "lambda *a: {}",
                                    "lambda *a: {k: np.ones(w.shape, bool) for k, w in a[0].items()}", "lambda *a: np.random.rand()",
                                    "lambda *a: {k: np.zeros(w.shape, bool) for k, w in a[0].items()}", "type('Any', (), {'__eq__': lambda s, o: True})()"])
def test_a_generic_answer_earns_nothing(grader, assignment, hand_in, source):
    answers = {name: f"{name} = {source}" for name in assignment.answer_names}
    result = grader.verdict("generic", hand_in(answers))
    assert result.score == 0, [(e.name, e.score, e.message) for e in result.exercises]


def test_stubbing_an_answer_costs_only_its_own_exercise(grader, hand_in, right):
    for name in right:
        result = grader.verdict("partial", hand_in({n: s for n, s in right.items() if n != name}))
        assert {e.name: e.status for e in graded(result)} == {n: "missing" if n == name else "passed" for n in right}


def test_the_reference_is_graded_alike_three_times(grader, hand_in, right, full):
    assert [grader.verdict("same", hand_in(right)).score for _ in range(3)] == [full] * 3


def test_every_wrong_answer_to_a_check_gets_its_own_diagnosis_and_every_right_form_passes(layout, grader, hand_in, right):
    answers = questions.check_answers(layout, NAME)
    assert {a.exercise for a in answers} == {"pruning_families", "what_pruning_keeps", "what_zeros_buy", "accuracy_sparsity_curve", "stored_ratio"}
    for number in range(max(sum(a.exercise == b.exercise for a in answers) for b in answers)):      # one of each check at a time
        given = {}
        for one in answers:
            mine = [a for a in answers if a.exercise == one.exercise]
            given[one.exercise] = mine[number % len(mine)]
        result = grader.verdict("checks", hand_in(right | {name: a.cell([name]) for name, a in given.items()}))
        for name, one in given.items():
            found = outcome(result, name)
            wanted = (0.0, one.name, one.diagnosis) if one.diagnosis else (found.max_score, None, "")
            assert (found.score, found.mistake, found.message) == wanted, one.name
