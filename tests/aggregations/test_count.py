import properties
from fastfeat import col, count
from harness import answers, assert_same, seconds

OVER = ("card", "10s")


def test_events_are_counted_with_their_nulls():
    assert_same(answers(count().over(*OVER), seconds([None, 1.0, None])), [1, 2, 3])


def test_values_are_counted_without_nulls():
    nan = float("nan")
    assert_same(answers(col("x").count().over(*OVER), seconds([None, 1.0, nan, None, 2.0])), [0, 1, 2, 2, 3])


def test_every_type_can_be_counted():
    for name, value in (("text", "t"), ("b", False), ("n", 0), ("at", 0), ("kind", "low")):
        assert_same(answers(col(name).count().over(*OVER), [{"ts": 0, name: value}, {"ts": 1, name: None}]), [1, 1])


def test_event_on_the_window_edge_is_out():
    assert_same(answers(count().over(*OVER), [(0, 1.0), (9, 1.0), (10, 1.0), (20, 1.0), (30, 1.0)]), [1, 2, 2, 1, 1])


def test_equal_times_count_those_that_arrived_before():
    assert_same(answers(count().over(*OVER), [(5, 1.0)] * 3), [1, 2, 3])


def test_filter_takes_true_only():
    events = [{"ts": place, "b": b} for place, b in enumerate((True, None, False, True))]
    assert_same(answers(count().where(col("b")).over(*OVER), events), [1, 1, 1, 2])


def test_null_key_counts_nothing_not_even_itself():
    assert_same(answers(count().over(*OVER), [(0, 1.0), {"ts": 1, "card": None}, (2, 1.0)]), [1, 0, 2])


def test_thousands_of_events_are_counted_one_by_one():
    found = answers(count().over(*OVER), [(place // 500, 1.0) for place in range(8_000)])
    assert found == [min(place + 1, 4_500 + place % 500 + 1) for place in range(8_000)]


def test_equals_the_reference():
    properties.equals_reference(
        count().over(*OVER), col("x").count().where(col("b")).over(*OVER), col("n").count().over()
    )


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(count().over(*OVER), col("x").count().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(
        count().over(*OVER), col("x").count().where(col("b")).over(*OVER), col("n").count().over()
    )
