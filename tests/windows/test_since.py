"""`ff.since(condition)`: from the newest candidate that met the condition on; empty where none did."""

import random

import fastfeat as ff
import pytest
from fastfeat import Stream, col, count
from harness import PAYMENTS, answers, assert_equals_reference, assert_same

FLAG = col("b")


def events(*flags):
    return [{"ts": ts, "b": b, "n": ts} for ts, b in enumerate(flags)]


def counts(made, **options):
    return answers(count().over("card", ff.since(FLAG), **options), made)


def test_it_is_empty_until_one_meets_the_condition():
    assert counts(events(False, None, True, False, False)) == [0, 0, 1, 2, 3]


def test_it_begins_anew_with_each_that_does():
    assert counts(events(True, False, True, True, False)) == [1, 2, 1, 1, 2]


def test_null_does_not_meet_it():
    assert counts(events(True, None, None)) == [1, 2, 3]


def test_however_long_ago_it_was():
    assert counts([{"ts": 0, "b": True}, {"ts": 10**9, "b": False}]) == [1, 2]


def test_without_the_event_itself_it_is_no_candidate_for_the_beginning_either():
    assert counts(events(True, False, True, False), include_current=False) == [0, 1, 2, 1]


def test_without_its_instant():
    made = [{"ts": ts, "b": b} for ts, b in ((0, True), (1, False), (2, True), (2, False), (3, False))]
    assert counts(made, ties="exclude") == [0, 1, 2, 2, 2]


def test_equal_times_are_in_order_of_arrival():
    assert counts([{"ts": 5, "b": b} for b in (True, False, True, False)]) == [1, 2, 1, 2]


def test_a_filter_applies_to_what_is_inside_and_moves_nothing():
    feature = count().where(col("n") > 2).over("card", ff.since(FLAG))
    assert_same(answers(feature, events(True, False, False, False, True)), [0, 0, 0, 1, 1])


def test_lag_and_time_since_last_look_into_it():
    made = events(True, False, True, False)
    assert_same(answers(col("n").lag(1).over("card", ff.since(FLAG)), made), [None, 0, None, 2])
    assert_same(answers(ff.time_since_last().over("card", ff.since(FLAG)), made), [None, 1.0, None, 1.0])
    assert_same(answers(ff.time_since_first().over("card", ff.since(FLAG)), made), [0.0, 1.0, 0.0, 1.0])


def test_event_out_of_order_may_begin_it():
    stream = Stream("s", {"ts": ff.Timestamp("s"), "b": ff.Boolean()}, time="ts", lateness="20s")
    features = stream.features(n=count().over(ff.since(FLAG)))
    made = [
        ("s", {"ts": ts, "b": b})
        for ts, b in ((0, True), (10, False), (20, False), (15, True), (20, False), (12, True))
    ]
    engine = ff.Engine(features)
    assert [engine.push(event)["n"] for _, event in made] == [1, 2, 3, 1, 3, 1]
    assert engine.push({"ts": 20, "b": False})["n"] == 4
    assert_equals_reference(features, made)


def test_condition_of_an_expression_of_another_stream():
    logins = Stream("logins", {"at": ff.Timestamp("s"), "card": ff.String(), "ok": ff.Boolean()}, time="at")
    failures = logins.count().over(ff.since(logins["ok"]), card=col("card"))
    engine = ff.Engine(PAYMENTS.features(it=failures - 1))
    for at, ok in ((0, True), (1, False), (2, False)):
        engine.push({"at": at, "card": "c", "ok": ok}, stream="logins")
    assert engine.push({"ts": 2, "card": "c"}, stream="payments")["it"] == 2
    assert engine.push({"ts": 2, "card": "d"}, stream="payments")["it"] == -1


@pytest.mark.parametrize("condition", ["b", 5, None])
def test_what_is_no_condition_is_refused(condition):
    with pytest.raises((ff.DefinitionError, TypeError)):
        PAYMENTS.features(it=count().over("card", ff.since(condition)))
    with pytest.raises(ff.DefinitionError):
        PAYMENTS.features(it=count().over("card", ff.since(col("x"))))


@pytest.mark.parametrize("share", [0.5, 0.05, 0.004])
def test_equals_the_reference_over_short_and_long_stretches(share):
    stream = Stream("s", {"ts": ff.Timestamp("s"), "k": ff.String(), "x": ff.Float64(), "b": ff.Boolean()}, time="ts")
    kinds = ("count", "sum", "min", "max", "first", "last", "n_unique")
    features = stream.features(
        x=col("x").agg(*kinds).over("k", ff.since(FLAG)),
        other=col("x").agg(*kinds).where(col("x") > 0).over("k", ff.since(col("x") < 0)),
        before=col("x").sum().over("k", ff.since(FLAG), include_current=False),
    )
    random_ = random.Random(share)
    time, made = 0, []
    for _ in range(1_200):
        time += random_.choice((0, 0, 1))
        x = random_.choice((0.1, 1e15, 3.0)) if random_.random() > share else -1e15
        made.append(("s", {"ts": time, "k": random_.choice("aaab"), "x": x, "b": random_.random() < share}))
    assert_equals_reference(features, made, rows={*range(0, 1_200, 37), *range(25, 60), 1_199})
