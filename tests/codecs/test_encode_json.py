"""Rows as messages in JSON: what a JSON parser reads back is the row, to the bit."""

import json
import math
from datetime import datetime

import fastfeat as ff
import numpy
import pytest
from fastfeat import Engine
from hypothesis import given
from scored_taps import FEATURES, message, trained
from strategies import cases


def as_json(value):
    """What JSON can say of a typed value."""
    if isinstance(value, list):
        return [as_json(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def same(found, expected):
    """Equal, with the bits of doubles; an instant is ISO 8601 text."""
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, datetime):
        return datetime.fromisoformat(found[:19] + "+00:00") == expected.replace(microsecond=0)
    return type(found) is type(expected) and repr(found) == repr(expected)


@given(cases())
def test_what_is_read_back_is_the_row(case):
    engine = Engine(case.features)
    own = case.features.stream.name
    for stream, event in case.events:
        outcome = engine.push_messages([json.dumps(event, default=str).encode()], stream=stream)
        ((row,), (encoded,)) = outcome.rows(), outcome.encode()
        if row is None:
            assert encoded is None
            continue
        assert stream == own
        found = json.loads(encoded)
        assert list(found) == ["features", "definition"]
        assert found["definition"] == case.features.fingerprint
        assert list(found["features"]) == list(row)
        for name, value in row.items():
            assert same(found["features"][name], as_json(value)), (name, value, encoded)


def test_members_and_their_order():
    outcome = Engine(FEATURES).push_messages([message(), b"", message(x=0.1)])
    first, second, third = outcome.encode("json", ids=["one", None, 3], extra={"topic": "taps"})
    assert second is None
    fingerprint = FEATURES.fingerprint
    assert first == (
        b'{"id":"one","features":{"n":1,"total":1.0,"mean":1.0},"definition":"%s","topic":"taps"}'
        % fingerprint.encode()
    )
    assert json.loads(third)["id"] == "3"
    assert json.loads(third)["features"] == {"n": 2, "total": 1.1, "mean": 0.55}


def test_indexes_choose_rows_and_keep_their_ids():
    outcome = Engine(FEATURES).push_messages([message(), message(), message()])
    ids, extra = [b"a", b"b", b"c"], [{"offset": 7}, None, {"offset": 9}]
    found = [json.loads(each) for each in outcome.encode(indexes=[2, -2], ids=ids, extra=extra)]
    assert [each["id"] for each in found] == ["c", "b"]
    assert [each.get("offset") for each in found] == [9, None]
    assert outcome.encode(indexes=numpy.flatnonzero(outcome.status == 3)) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ids": ["a"]}, "1 ids and 2 rows"),
        ({"ids": [b"\xff", b"a"]}, "not UTF-8"),
        ({"extra": [{}]}, "extra has 1 dicts and there are 2 rows"),
        ({"extra": {"score": 1}}, "`score` is a member of its own"),
        ({"extra": [{"model": "m"}, None]}, "give one dict"),
        ({"extra": {"x": math.nan}}, "not JSON compliant"),
        ({"reasons": True}, "there are no reasons"),
        ({"format": "jsn"}, "format is `jsn`"),
    ],
)
def test_what_cannot_be_written_is_refused(options, told):
    outcome = Engine(FEATURES).push_messages([message(), message()])
    with pytest.raises(ValueError, match=told):
        outcome.encode(**options)


def test_an_index_that_is_not_there_is_refused():
    with pytest.raises(IndexError, match="outside an outcome of 1 rows"):
        Engine(FEATURES).push_messages([message()]).encode(indexes=[1])


def test_scores_are_those_of_single_events_and_their_model_is_named():
    model = trained()
    together, alone = Engine(FEATURES, model=model), Engine(FEATURES, model=model)
    payloads = [message(ts=number, x=number / 3) for number in range(20)]
    payloads.insert(5, b"")
    outcome = together.push_messages(payloads, score=True)
    assert math.isnan(outcome.scores[5])
    scores = numpy.delete(outcome.scores, 5)
    expected = [alone.score_json(payload).score for payload in payloads if payload]
    assert scores.view(numpy.uint64).tolist() == numpy.asarray(expected).view(numpy.uint64).tolist()
    found = json.loads(outcome.encode()[0])
    assert list(found) == ["features", "score", "model", "definition"]
    assert found["score"] == expected[0]
    assert found["model"] == together.model_version
    assert len(together.model_version) == 64
    assert json.loads(outcome.encode(extra={"model": "taps-7"})[0])["model"] == "taps-7"


def test_without_score_no_model_is_named():
    outcome = Engine(FEATURES, model=trained()).push_messages([message()])
    assert outcome.scores is None
    assert list(json.loads(outcome.encode()[0])) == ["features", "definition"]


def test_scores_of_several_classes_are_lists():
    model = trained(classes=3)
    outcome = Engine(FEATURES, model=model).push_messages([message(), b""], score=True)
    assert outcome.scores.shape == (2, 3)
    assert numpy.isnan(outcome.scores[1]).all()
    assert json.loads(outcome.encode()[0])["score"] == list(Engine(FEATURES, model=model).score_json(message()).score)


@pytest.mark.parametrize("classes", [1, 3])
def test_reasons_are_those_of_single_events(classes):
    model = trained(classes)
    together, alone = Engine(FEATURES, model=model), Engine(FEATURES, model=model)
    payloads = [message(ts=number, x=number / 3) for number in range(20)]
    outcome = together.push_messages(payloads, score=True, reasons=2)
    for payload, encoded in zip(payloads, outcome.encode(reasons=True), strict=True):
        expected = alone.score_json(payload).reasons(2)
        assert json.loads(encoded)["reasons"] == [
            {"feature": each.name, "value": each.value, "contribution": each.contribution} for each in expected
        ]
    assert "reasons" not in json.loads(outcome.encode()[0])


def test_more_reasons_than_features_are_all_of_them():
    outcome = Engine(FEATURES, model=trained()).push_messages([message()], score=True, reasons=100)
    assert len(json.loads(outcome.encode(reasons=True)[0])["reasons"]) == 3


def test_a_model_without_contributions_is_refused_before_anything_changes():
    engine = Engine(FEATURES, model=trained(linear_tree=True))
    with pytest.raises(ff.ModelError, match="linear"):
        engine.push_messages([message()], score=True, reasons=1)
    assert engine.stats()["events"] == 0
