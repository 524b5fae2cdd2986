import fastfeat as ff
import properties
import pytest
from fastfeat import DefinitionError, col
from harness import PAYMENTS, answers, assert_same

OVER = ("card", "10s")


def test_rate_is_the_count_by_the_length_of_the_window():
    assert_same(
        answers(ff.rate().over(*OVER), [(0, 1.0), (1, None), (10, 1.0), (40, 1.0)]), [0.1, 0.2, 0.2, 0.1], 1e-15
    )


def test_of_a_column_and_filtered():
    events = [{"ts": 0, "x": 1.0, "b": True}, {"ts": 0, "x": None, "b": True}, {"ts": 0, "x": 1.0, "b": None}]
    assert_same(answers(col("x").rate().over(*OVER), events), [0.1, 0.1, 0.2], 1e-15)
    assert_same(answers(ff.rate().where(col("b")).over(*OVER), events), [0.1, 0.2, 0.2], 1e-15)


def test_of_nothing_it_is_zero():
    assert_same(answers(ff.rate().over(*OVER, include_current=False), [(0, 1.0)]), [0.0])
    assert_same(answers(ff.rate().over("card", "10s"), [{"ts": 0, "card": None}]), [0.0])


def test_by_the_length_whatever_part_of_it_has_passed():
    assert_same(answers(ff.rate().over("card", ff.tumbling("4s")), [(0, 1.0), (3, 1.0), (4, 1.0)]), [0.25, 0.5, 0.25])
    assert_same(answers(ff.rate().over("card", ff.hopping("4s", every="2s")), [(1, 1.0), (5, 1.0)]), [0.25, 0.5])
    assert_same(answers(ff.rate().over("card", ff.rolling("4s", offset="1s")), [(0, 1.0), (1, 1.0)]), [0.0, 0.25])


@pytest.mark.parametrize(
    "make", [tuple, lambda: (ff.last(10),), lambda: (ff.session("10s"),)], ids=["all", "last", "session"]
)
def test_over_windows_without_a_length_it_is_refused(make):
    with pytest.raises(DefinitionError, match="rate"):
        PAYMENTS.features(it=ff.rate().over("card", *make()))


def features():
    return (ff.rate().over(*OVER), col("x").rate().over("card", "7s"), ff.rate().where(col("b")).over("3s"))


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(ff.rate().over(*OVER), col("n").rate().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
