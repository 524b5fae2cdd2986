import fastfeat as ff
import properties
from fastfeat import Stream, col
from harness import answers, assert_equals_reference, assert_same

OVER = ("card", "10s")


def test_the_first_is_the_event_itself_when_it_is_alone():
    assert_same(answers(ff.time_since_first().over("card"), [(0, 1.0), (3, 1.0), (103, 1.0)]), [0.0, 3.0, 103.0])


def test_event_on_the_window_edge_is_out():
    assert_same(
        answers(ff.time_since_first().over(*OVER), [(0, 1.0), (9, 1.0), (10, 1.0), (20, 1.0)]), [0.0, 9.0, 1.0, 0.0]
    )


def test_without_the_event_itself_there_may_be_none():
    feature = ff.time_since_first().over(*OVER, include_current=False)
    assert_same(answers(feature, [(0, 1.0), (3, 1.0), (13, 1.0)]), [None, 3.0, None])


def test_with_a_value_the_first_event_that_has_one():
    events = [(0, None), (3, 1.0), (5, None)]
    assert_same(answers(col("x").time_since_first().over("card"), events), [None, 0.0, 2.0])


def test_with_a_filter_the_first_that_met_it():
    events = [{"ts": ts, "b": b} for ts, b in ((0, False), (3, True), (5, None), (9, True))]
    assert_same(answers(ff.time_since_first().where(col("b")).over("card"), events), [None, 0.0, 2.0, 6.0])


def test_how_long_a_session_has_lasted():
    session = ff.time_since_first().over("card", ff.session("10s"))
    assert_same(answers(session, [(0, 1.0), (10, 1.0), (19, 1.0), (30, 1.0)]), [0.0, 10.0, 19.0, 0.0])


def test_parts_of_a_second():
    stream = Stream("s", {"ts": ff.Timestamp("us")}, time="ts")
    features = stream.features(since=ff.time_since_first().over())
    assert_equals_reference(features, [("s", {"ts": ts}) for ts in (0, 1, 300_000, 1_000_000, 1_234_567)])


def features():
    return (
        ff.time_since_first().over(*OVER),
        col("x").time_since_first().over("card"),
        ff.time_since_first().where(col("b")).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(ff.time_since_first().over(*OVER), col("n").time_since_first().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
