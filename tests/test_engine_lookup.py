"""Rows without an event: what the features of some keys are at a time."""

from datetime import datetime, timezone

import fastfeat as ff
import pytest
from fastfeat import Engine, InvalidEvent, Stream, TooOld, col, count

payments = Stream(
    "payments",
    {
        "ts": ff.Timestamp("s"),
        "card": ff.String(),
        "amount": ff.Float64(default=1.0),
        "kind": ff.Categorical(["a", "b"], default="a"),
    },
    time="ts",
    lateness="10s",
)
features = payments.features(
    spend=col("amount").sum().over("card", "60s"),
    ever=count().over("card"),
    previous=col("amount").lag().over("card"),
    since=ff.time_since_last().over("card"),
    amount=col("amount"),
    hour=col("ts").dt.hour(),
)


@pytest.fixture
def engine() -> Engine:
    made = Engine(features)
    for ts, amount in ((100, 1.0), (130, 2.0), (160, 4.0)):
        made.push({"ts": ts, "card": "c", "amount": amount})
    return made


def test_a_lookup_is_a_row_as_of_a_time_without_an_event(engine: Engine):
    row = engine.lookup({"card": "c"}, at=165)
    assert row.to_dict() == {"spend": 6.0, "ever": 3, "previous": 4.0, "since": 5.0, "amount": None, "hour": 0}


def test_by_default_it_is_as_of_the_newest_event(engine: Engine):
    assert engine.lookup({"card": "c"}) == engine.lookup({"card": "c"}, at=160)


def test_the_time_is_taken_as_an_event_takes_it(engine: Engine):
    expected = engine.lookup({"card": "c"}, at=7_200)
    assert expected["hour"] == 2
    assert engine.lookup({"card": "c"}, at="1970-01-01T02:00:00Z") == expected
    assert engine.lookup({"card": "c"}, at=datetime(1970, 1, 1, 2, tzinfo=timezone.utc)) == expected


def test_windows_age_and_nothing_changes(engine: Engine):
    before = engine.stats()
    assert engine.lookup({"card": "c"}, at=190)["spend"] == 4.0
    assert engine.lookup({"card": "c"}, at=1_000)["spend"] == 0.0
    assert engine.lookup({"card": "never"}, at=1_000)["ever"] == 0
    assert engine.stats() == before
    assert engine.lookup({"card": "c"}, at=165)["spend"] == 6.0


def test_what_the_keys_do_not_give_is_null(engine: Engine):
    row = engine.lookup({}, at=165)
    assert (row["spend"], row["ever"], row["previous"], row["amount"]) == (0.0, 0, None, None)


def test_at_the_watermark_it_answers_and_before_it_is_refused(engine: Engine):
    assert engine.lookup({"card": "c"}, at=150)["ever"] == 2
    with pytest.raises(TooOld, match="ask for the watermark or later, or backfill") as caught:
        engine.lookup({"card": "c"}, at=149)
    assert (caught.value.stream, caught.value.time, caught.value.watermark) == (
        "payments",
        "1970-01-01T00:02:29Z",
        "1970-01-01T00:02:30Z",
    )


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"crad": "c"}, "the stream has no such column; did you mean `card`?"),
        ({"ts": 5}, "the time is given by at="),
        ({"card": 5}, "field `card` is 5"),
        ({"kind": "c"}, "field `kind`"),
    ],
)
def test_a_key_that_cannot_be_is_refused(engine: Engine, keys: dict, told: str):
    with pytest.raises(InvalidEvent) as caught:
        engine.lookup(keys, at=200)
    assert told in str(caught.value)


def test_a_time_is_needed_before_the_first_event():
    with pytest.raises(InvalidEvent, match="say at="):
        Engine(features).lookup({"card": "c"})
    assert Engine(features).lookup({"card": "c"}, at=0)["ever"] == 0
    with pytest.raises(InvalidEvent, match="field `ts` is"):
        Engine(features).lookup({"card": "c"}, at=0.5)  # type: ignore[arg-type]


def test_keys_are_a_mapping(engine: Engine):
    with pytest.raises(TypeError, match="lookup takes a dict of keys"):
        engine.lookup("c", at=200)  # type: ignore[arg-type]
