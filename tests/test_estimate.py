"""`features.estimate` says what the state will take: within a fifth of what is measured once such events have come."""

import dataclasses

import fastfeat as ff
import pytest
from fastfeat import DefinitionError, Engine, Estimate, Stream, col, count
from growth import MERCHANTS, Work, feature_set

EVENTS_MAX = 250_000
DAYS = 30.0
payments = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "card": ff.String(), "shop": ff.Int64(), "amount": ff.Float64()},
    time="ts",
)
spend = payments.features(spend=col("amount").sum().over("card", "24h"), n=count().over("shop", "card", "1h"))


@pytest.mark.parametrize("per_day", [0.1, 3.0, 50.0, 2_000.0])
@pytest.mark.parametrize("features", ["cards_30", "all_time", "hopping", "session", "mixed"])
def test_it_is_within_a_fifth_of_what_is_measured(features, per_day):
    days = DAYS if per_day < 100 else 10.0
    keys = max(12, min(20_000, round(EVENTS_MAX / per_day / days)))
    work = Work(features, keys, per_day, days)
    engine = Engine(feature_set(features))
    for table in work.tables():
        engine.push_batch(table)
    stats = engine.stats()
    found = feature_set(features).estimate(
        keys={"card": keys, "merchant": MERCHANTS} if features == "cards_30" else keys,
        events_per_key_per_day={"card": per_day, "merchant": per_day * keys / MERCHANTS}
        if features == "cards_30"
        else per_day,
        days=days,
        key_bytes=7,
        texts=MERCHANTS if features == "cards_30" else 0,
        text_bytes=6,
    )
    # Of few bytes the pieces in which the shards of tables grow are a part.
    allowed = 0.2 * stats["state_bytes"] + 100_000
    assert abs(found.bytes - stats["state_bytes"]) <= allowed, (found.bytes / stats["state_bytes"], str(found), stats)
    assert found.keys == pytest.approx(stats["keys"], rel=0.2, abs=20)


def test_it_tells_bytes_in_all_and_by_table():
    found = spend.estimate(keys={"card": 1_000_000, "shop, card": 3_000_000}, events_per_key_per_day=3)
    assert [(table.name, table.key) for table in found.tables] == [
        ("payments by card", ("card",)),
        ("payments by shop, card", ("shop", "card")),
    ]
    assert found.bytes == sum(table.bytes for table in found.tables) + found.text_bytes
    assert found.keys == sum(table.keys for table in found.tables)
    assert found.bytes_per_key == pytest.approx(found.bytes / found.keys)
    assert found.tables[0].keys > 0.9 * 1_000_000
    assert found.tables[1].keys < 0.6 * 3_000_000, "of 3 a day few are seen an hour later"
    assert str(found).splitlines()[1].split() == ["table", "keys", "bytes/key", "bytes"]
    assert "<td>payments by card</td>" in found._repr_html_()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.text_bytes = 1  # type: ignore[misc]
    assert isinstance(found, Estimate)


def test_the_same_question_has_the_same_answer():
    asked = {"keys": 10_000, "events_per_key_per_day": 5.0}
    assert spend.estimate(**asked) == spend.estimate(**asked)


def test_more_keys_more_events_and_longer_keys_take_more():
    def size(**changed):
        return spend.estimate(**{"keys": 100_000, "events_per_key_per_day": 5.0, **changed}).bytes

    assert 9 < size(keys=1_000_000) / size() < 11
    assert size(events_per_key_per_day=50.0) > 2 * size()
    assert size(key_bytes=200) > size() + 100_000 * 150


def test_what_is_idle_is_let_go():
    features = payments.features(spend=col("amount").sum().over("card"))
    asked = {"keys": 100_000, "events_per_key_per_day": 0.01}
    forever, let_go = features.estimate(**asked), features.estimate(**asked, idle_after="7d")
    assert let_go.keys < 0.2 * forever.keys


def test_without_a_key_all_events_are_of_one_state():
    features = payments.features(n=col("amount").max().over("1h"), by=count().over("card", "1h"))
    found = features.estimate(keys=1_000, events_per_key_per_day=24.0)
    (whole,) = (table for table in found.tables if not table.key)
    assert whole.keys == 1
    assert 1_000 * 16 < whole.bytes < 1_000 * 100


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"keys": -1}, "keys of `payments by card` is -1; write a whole number from 0 to 4294967295"),
        ({"keys": 1.5}, "keys of `payments by card` is 1.5"),
        ({"keys": {"card": 5}}, "keys says nothing of `shop, card`; write one number, or one for each key"),
        (
            {"keys": {"cart": 5, "shop, card": 5}},
            "keys has `cart`, which is no key of the features; did you mean `card`?",
        ),
        ({"events_per_key_per_day": float("nan")}, "events_per_key_per_day of `payments by card` is nan"),
        ({"days": -1}, "days is -1; write a number from 0 to 36500"),
        ({"key_bytes": "8"}, "key_bytes is '8'"),
        ({"idle_after": "1"}, "idle_after `1` is not a duration"),
    ],
)
def test_what_cannot_be_expected_is_refused(asked, told):
    with pytest.raises(DefinitionError) as caught:
        spend.estimate(**{"keys": 10, "events_per_key_per_day": 1.0, **asked})
    assert told in str(caught.value)
