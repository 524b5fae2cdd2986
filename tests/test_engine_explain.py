"""Explanations of an engine: the windows of a feature, the events inside and those that just left."""

from datetime import datetime, timedelta, timezone

import fastfeat as ff
import pytest
from fastfeat import Engine, InvalidEvent, Stream, TooOld, col, count

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
payments = Stream(
    "payments",
    {"ts": ff.Timestamp("s"), "card": ff.String(), "amount": ff.Float64(nullable=True), "ok": ff.Boolean(default=True)},
    time="ts",
)
amount = col("amount")
features = payments.features(
    spend=amount.sum().where(col("ok")).over("card", "60s"),
    share=amount.sum().over("card", "60s") / amount.sum().over("card"),
    newest=amount.last_k(2).over("card", ff.last(2)),
    plain=amount,
)


@pytest.fixture
def engine() -> Engine:
    made = Engine(features)
    for ts, value, ok in ((0, 8.0, True), (30, 1.0, True), (60, 2.0, False), (80, None, True), (85, 4.0, True)):
        made.push({"ts": ts, "card": "c", "amount": value, "ok": ok})
    return made


def seconds(events) -> "list[float]":
    return [(event.time - EPOCH).total_seconds() for event in events]


def test_it_tells_the_window_and_which_events_count(engine: Engine):
    told = engine.explain("spend", {"card": "c"}, at=89)
    (spend,) = told.aggregations
    assert (told.feature, told.value, told.keys, told.at) == (
        "spend",
        5.0,
        {"card": "c"},
        EPOCH + timedelta(seconds=89),
    )
    assert told.definition == spend.definition == "col('amount').sum().where(col('ok')).over('card', '60s')"
    assert (spend.value, spend.kept) == (5.0, True)
    assert (spend.since, spend.until) == (EPOCH + timedelta(seconds=29), EPOCH + timedelta(seconds=89))
    assert seconds(spend.events) == [30, 60, 80, 85]
    assert [event.counts for event in spend.events] == [True, False, False, True]
    assert [event.values["amount"] for event in (spend.events[0], spend.events[3])] == [1.0, 4.0]
    assert "spend = 5.0" in str(told)
    assert "<table>" in told._repr_html_()


def test_what_just_left_is_told_while_it_is_known(engine: Engine):
    (spend,) = engine.explain("spend", {"card": "c"}, at=95).aggregations
    assert seconds(spend.events) == [60, 80, 85]
    assert set(seconds(spend.left)) <= {0, 30}
    assert 30 in seconds(spend.left)


def test_a_composed_feature_has_its_parts_in_order(engine: Engine):
    told = engine.explain("share", {"card": "c"}, at=85)
    recent, ever = told.aggregations
    assert (recent.value, ever.value, told.value) == (7.0, 15.0, 7.0 / 15.0)
    assert (recent.definition, ever.definition) == (
        "col('amount').sum().over('card', '60s')",
        "col('amount').sum().over('card')",
    )
    assert (ever.since, ever.kept, ever.events) == (None, False, ())


def test_lists_and_plain_columns_are_told(engine: Engine):
    told = engine.explain("newest", {"card": "c"})
    assert told.value == told.aggregations[0].value == [4.0]
    plain = engine.explain("plain", {"card": "c"})
    assert (plain.value, plain.aggregations) == (None, ())


def test_it_is_what_lookup_answers_and_changes_nothing(engine: Engine):
    before = engine.stats()
    for name in features:
        assert engine.explain(name, {"card": "c"}, at=100).value == engine.lookup({"card": "c"}, at=100)[name]
    assert engine.explain("spend", {"card": "other"}, at=100).aggregations[0].events == ()
    assert engine.stats() == before


def test_what_cannot_be_told_is_refused(engine: Engine):
    with pytest.raises(KeyError, match="no feature is called `spent`; did you mean `spend`"):
        engine.explain("spent", {"card": "c"})
    with pytest.raises(TooOld):
        engine.explain("spend", {"card": "c"}, at=84)
    with pytest.raises(InvalidEvent, match="did you mean `card`"):
        engine.explain("spend", {"crad": "c"})


def test_events_of_another_stream_are_told():
    logins = Stream("logins", {"at": ff.Timestamp("s"), "user": ff.String(), "how": ff.String()}, time="at")
    engine = Engine(
        payments.features(n=logins["how"].n_unique().over("60s", user=col("card")), own=count().over("card"))
    )
    engine.push({"at": 5, "user": "c", "how": "app"}, stream="logins")
    engine.push({"at": 6, "user": "c", "how": "web"}, stream="logins")
    engine.push({"ts": 5, "card": "c"})
    (told,) = engine.explain("n", {"card": "c"}, at=5).aggregations
    assert [event.values for event in told.events] == [{"how": "app"}]
