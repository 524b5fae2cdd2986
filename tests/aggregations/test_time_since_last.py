import fastfeat as ff
import properties
from fastfeat import Stream, col, time_since_last
from harness import answers, assert_equals_reference, assert_same

OVER = ("card", "10s")


def test_the_first_event_has_none_before_it():
    assert_same(answers(time_since_last().over("card"), [(0, 1.0), (3, 1.0), (103, 1.0)]), [None, 3.0, 100.0])


def test_equal_times_are_zero_seconds_apart():
    assert_same(answers(time_since_last().over("card"), [(5, 1.0), (5, 1.0)]), [None, 0.0])


def test_event_on_the_window_edge_is_out():
    assert_same(answers(time_since_last().over(*OVER), [(0, 1.0), (9, 1.0), (19, 1.0)]), [None, 9.0, None])


def test_with_a_value_the_last_event_that_has_one():
    assert_same(answers(col("x").time_since_last().over("card"), [(0, 1.0), (3, None), (5, 2.0)]), [None, 3.0, 5.0])


def test_with_a_filter_the_last_that_met_it():
    events = [{"ts": ts, "b": b} for ts, b in ((0, True), (3, False), (5, None), (9, True), (11, False))]
    assert_same(answers(time_since_last().where(col("b")).over("card"), events), [None, 3.0, 5.0, 9.0, 2.0])


def test_over_keys_and_over_the_whole_stream():
    events = [{"ts": place, "card": "ab"[place % 2]} for place in range(4)]
    assert_same(answers(time_since_last().over("card"), events), [None, None, 2.0, 2.0])
    assert_same(answers(time_since_last().over(), events), [None, 1.0, 1.0, 1.0])


def test_null_key_has_no_event_before():
    assert_same(
        answers(time_since_last().over("card"), [{"ts": 0, "card": None}, {"ts": 1, "card": None}]), [None, None]
    )


def test_the_ends_of_time_are_apart():
    for unit, first, last in (("us", "0001-01-01", "9999-12-31T23:59:59.999999Z"), ("ns", "1678-01-01", "2261-12-31")):
        stream = Stream("s", {"ts": ff.Timestamp(unit)}, time="ts")
        features = stream.features(since=time_since_last().over(), age=col("ts") - col("ts").first().over())
        assert_equals_reference(features, [("s", {"ts": first}), ("s", {"ts": last})])


def test_parts_of_a_second():
    stream = Stream("s", {"ts": ff.Timestamp("us")}, time="ts")
    features = stream.features(since=time_since_last().over())
    assert_equals_reference(features, [("s", {"ts": ts}) for ts in (0, 1, 300_000, 1_000_000, 1_234_567)])


def test_equals_the_reference():
    properties.equals_reference(
        time_since_last().over(*OVER),
        col("x").time_since_last().over("card"),
        time_since_last().where(col("b")).over("3s"),
    )


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").time_since_last().over(*OVER), col("n").time_since_last().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(
        time_since_last().over(*OVER),
        col("x").time_since_last().over("card"),
        time_since_last().where(col("b")).over("3s"),
    )
