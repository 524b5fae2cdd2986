"""What `fastfeat bench` measures: every change is there, adds up, and leads to the budget where one can."""

import json

import fastfeat as ff
import pytest
from fastfeat import Stream, col, count
from fastfeat.costs import ENGINE_STAGES, measure, step_ns

PAYMENTS = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "card": ff.String(), "shop": ff.String(), "amount": ff.Float64(ge=0)},
    time="ts",
)
FEATURES = PAYMENTS.features(
    spend=col("amount").sum().over("card", "1h", "24h"),
    most=col("amount").max().over("card", "24h"),
    shops=col("shop").n_unique().over("card", "24h"),
    shop_count=count().over("shop", "1h"),
)
EVENTS = [
    (None, {"ts": i * 60_000_000, "card": f"c-{i % 7}", "shop": f"s-{i % 3}", "amount": float(i % 11)})
    for i in range(600)
]


@pytest.fixture(scope="module")
def costs():
    return measure(FEATURES, EVENTS, repeats=2)


def test_the_second_half_is_measured(costs):
    assert (costs.events, costs.refused) == (300, 0)
    assert costs.keys == 10
    assert costs.state_bytes > 0


def test_stages_make_the_whole(costs):
    assert list(costs.stages) == ["read", *ENGINE_STAGES, "give"]
    assert all(nanoseconds > 0 for nanoseconds in costs.stages.values())
    assert costs.ns_per_event == pytest.approx(sum(costs.stages.values()))


def test_every_feature_group_key_and_window_is_tried(costs):
    tried = {(each.kind, each.what): each.features for each in costs.changes}
    features = {("feature", f"drop {name}"): (name,) for name in FEATURES.names}
    assert features.items() <= tried.items()
    assert tried["group", "drop the 3 of amount by card"] == ("spend_1h", "spend_24h", "most")
    assert tried["key", "drop the 4 by card"] == ("spend_1h", "spend_24h", "most", "shops")
    assert {what for kind, what in tried if kind == "step"} == {
        "step by card over 1h every 1m",
        "step by card over 24h every 30m",
        "step by shop over 1h every 1m",
    }


def test_dropping_a_key_saves_its_bytes(costs):
    saved = {each.what: each.saves_bytes_per_key for each in costs.changes}
    assert saved["drop shop_count"] > 0
    assert saved["drop the 4 by card"] > saved["drop most"]


def test_a_slow_half_of_the_features_is_where_the_time_goes():
    """Forty exact distinct counts beside one count: leaving them out saves most of it."""
    heavy = {f"distinct_{i}": (col("amount") + i).n_unique().over("card", "24h") for i in range(40)}
    found = measure(PAYMENTS.features(light=count().over("card", "1h"), **heavy), EVENTS, repeats=3)
    key = {each.what: each.saves_ns for each in found.changes if each.kind == "feature"}
    one = sum(key[f"drop distinct_{i}"] for i in range(40)) / 40
    engine_ns = sum(found.stages[name] for name in ENGINE_STAGES)
    assert 40 * one > engine_ns / 4
    assert key["drop light"] < engine_ns / 2


def test_a_budget_that_is_met_needs_no_plan():
    found = measure(FEATURES, EVENTS, budget_us=10_000, repeats=1)
    assert found.meets_budget
    assert found.plan == ()


def test_a_budget_that_is_missed_has_a_plan_whose_steps_get_faster():
    heavy = {f"distinct_{i}": (col("amount") + i).n_unique().over("card", "24h") for i in range(20)}
    features = PAYMENTS.features(light=count().over("card", "1h"), **heavy)
    whole = measure(features, EVENTS, repeats=2)
    found = measure(features, EVENTS, budget_us=whole.ns_per_event / 1e3 * 0.6, repeats=2)
    assert not found.meets_budget
    assert found.plan
    times = [found.ns_per_event, *(step.ns_per_event for step in found.plan)]
    assert times == sorted(times, reverse=True)
    assert found.plan_meets_budget


def test_refused_events_are_counted_and_cost_nothing():
    bad = [(None, {"ts": 0, "card": "c", "shop": "s", "amount": -1.0})] * 10
    found = measure(FEATURES, [*EVENTS, *bad], repeats=1)
    assert found.refused == 10


def test_events_may_be_json_and_of_several_streams():
    logins = Stream("logins", {"ts": ff.Timestamp("us"), "user": ff.String()}, time="ts")
    features = PAYMENTS.features(
        spend=col("amount").sum().over("card", "1h"), logins=logins.count().over("1h", user=col("card"))
    )
    events = []
    for _, event in EVENTS:
        events.append((None, json.dumps(event).encode()))
        events.append(("logins", {"ts": event["ts"], "user": event["card"]}))
    found = measure(features, events, repeats=1)
    assert (found.events, found.refused) == (600, 0)


@pytest.mark.parametrize("length_s", [1, 7, 60, 3_600, 86_400, 604_800, 31_536_000])
def test_a_step_is_a_fair_part_of_its_window(length_s):
    length_ns = length_s * 1_000_000_000
    assert 0 < step_ns(length_ns) <= length_ns / 48
