"""`engine.explain(feature, keys, at=)`: why a value is what it is."""

import fastfeat as ff
import pytest
from fastfeat import Engine, col, count
from harness import PAYMENTS, payment

X = col("x")
FEATURES = PAYMENTS.features(
    spend=X.sum().over("card", "10s"),
    large=count().where(X > 2.0).over("card", "10s"),
    ratio=X.max().over("card", "10s") / X.mean().over("card"),
)


def engine_after(*events, features=FEATURES):
    engine = Engine(features)
    for event in events:
        engine.push(payment(event))
    return engine


EVENTS = ((0, 1.0), (4, 2.5), (9, 4.0))


@pytest.mark.parametrize("at", [9, 10, 13, 14, 30])
@pytest.mark.parametrize("name", ["spend", "large", "ratio"])
def test_the_value_is_that_of_a_lookup(name, at):
    engine = engine_after(*EVENTS)
    assert engine.explain(name, {"card": "c"}, at=at).value == engine.lookup({"card": "c"}, at=at)[name]


def test_its_text_names_the_feature_the_events_and_their_values():
    text = str(engine_after(*EVENTS).explain("spend", {"card": "c"}, at=9))
    assert "spend" in text
    assert "7.5" in text
    for second, x in EVENTS:
        assert f"00:00:0{second}" in text
        assert str(x) in text


def test_without_a_time_it_is_of_the_newest_event():
    engine = engine_after(*EVENTS)
    assert engine.explain("spend", {"card": "c"}).value == engine.lookup({"card": "c"}, at=9)["spend"]


def test_it_changes_nothing():
    engine, alone = engine_after(*EVENTS), engine_after(*EVENTS)
    before = {name: engine.stats()[name] for name in ("events", "keys", "late", "invalid")}
    engine.explain("ratio", {"card": "c"}, at=9)
    engine.explain("ratio", {"card": "never seen"}, at=9)
    assert {name: engine.stats()[name] for name in before} == before
    assert engine.push(payment((9, 1.0))).to_dict() == alone.push(payment((9, 1.0))).to_dict()


def test_a_key_never_seen_is_explained_too():
    assert engine_after(*EVENTS).explain("spend", {"card": "z"}, at=9).value == 0.0


def test_events_that_just_left_are_told_apart_from_those_inside():
    engine = engine_after(*EVENTS)
    inside, left = (str(engine.explain("spend", {"card": "c"}, at=at)) for at in (9, 14))
    assert inside != left
    assert engine.explain("spend", {"card": "c"}, at=14).value == 4.0


def test_a_feature_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises((ff.FastfeatError, KeyError, ValueError), match="spend"):
        engine_after(*EVENTS).explain("spent", {"card": "c"}, at=9)


def test_it_is_a_value_that_notebooks_show():
    explanation = engine_after(*EVENTS).explain("spend", {"card": "c"}, at=9)
    assert isinstance(explanation, ff.Explanation)
    assert "spend" in explanation._repr_html_()
    assert explanation == engine_after(*EVENTS).explain("spend", {"card": "c"}, at=9)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ff.tumbling("5s"),
        lambda: ff.hopping("10s", every="5s"),
        lambda: ff.session("5s"),
        lambda: ff.last(2),
        lambda: ff.since(X > 2.0),
        lambda: ff.rolling("5s", offset="1s", closed="both"),
    ],
    ids=["tumbling", "hopping", "session", "last", "since", "rolling"],
)
def test_every_window_is_explained(make):
    engine = engine_after(*EVENTS, features=PAYMENTS.features(it=X.sum().over("card", make())))
    for at in (9, 12, 60):
        explanation = engine.explain("it", {"card": "c"}, at=at)
        assert explanation.value == engine.lookup({"card": "c"}, at=at)["it"]
        assert "it" in str(explanation)
