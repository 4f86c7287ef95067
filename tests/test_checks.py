"""What an exam's cases hold an answer to, in a plain kernel."""
import numpy as np
import pytest

from autograder.checks import BadCase, Exam, callback, case


def twice(train, weights):
    return 2 * train(weights)


def spoil(train, weights):
    result = twice(train, weights)
    weights *= 0
    return result


@pytest.mark.parametrize("answer, failure", [(twice, None), (spoil, ("an array", "an input was changed"))])
def test_a_changed_input_is_seen_beside_a_callback(answer, failure):
    exam = Exam(2, {"f": answer}, {"f": twice})
    exam.compare("a group", [case("an array", callback(np.sum), np.ones(3))])
    assert exam.groups[0].failure == failure and exam.score() == (0 if failure else 2)


def first(x):
    return x[0]


def test_a_case_on_which_the_reference_raises_says_so_or_is_refused():
    exam = Exam(1, {"f": first}, {"f": first})
    exam.compare("edges", [case("nothing raises IndexError", [])])
    assert exam.score() == 1
    with pytest.raises(BadCase, match="nothing: the reference raises IndexError; mend the case"):
        exam.compare("edges", [case("nothing", [])])
