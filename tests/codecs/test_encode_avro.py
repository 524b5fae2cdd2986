"""Rows as messages in Avro: fastavro reads them by `avro_schema` and finds the row, to the bit."""

import io
import json
import math
import struct
from datetime import datetime

import fastavro
import fastfeat as ff
import pytest
from fastfeat import DefinitionError, Engine, Stream, col, count
from hypothesis import given
from scored_taps import FEATURES, message, trained
from strategies import cases


def read(schema, data):
    return fastavro.schemaless_reader(io.BytesIO(data), schema, None)


def same(found, expected):
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, datetime):
        return found == expected
    if isinstance(expected, float) and math.isnan(expected):
        return math.isnan(found)
    return type(found) is type(expected) and repr(found) == repr(expected)


@given(cases())
def test_what_fastavro_reads_is_the_row(case):
    engine, own = Engine(case.features), case.features.stream.name
    schema = fastavro.parse_schema(ff.avro_schema(case.features))
    for stream, event in case.events:
        outcome = engine.push_messages([json.dumps(event, default=str).encode()], stream=stream)
        ((row,), (encoded,)) = outcome.rows(), outcome.encode(ff.AvroOutput(framing="raw"), ids=["an id"])
        if row is None:
            assert encoded is None
            continue
        assert stream == own
        found = read(schema, encoded)
        assert found["id"] == "an id"
        assert found["definition"] == case.features.fingerprint
        assert (found["score"], found["reasons"], found["model"]) == (None, [], None)
        for name, value in zip(found["features"], row.values(), strict=True):
            assert same(found["features"][name], value), (name, value)


@pytest.mark.parametrize("classes", [1, 3])
def test_scores_reasons_and_versions_are_those_of_json(classes):
    engine = Engine(FEATURES, model=trained(classes))
    outcome = engine.push_messages([message(), b"", message(x=0.1)], score=True, reasons=2)
    schema = ff.avro_schema(FEATURES, name="shop.taps.Row")
    encoded = outcome.encode(ff.AvroOutput(258), ids=["a", "b", None], reasons=True)
    assert encoded[1] is None
    for data, text in zip(encoded, outcome.encode(ids=["a", "b", None], reasons=True), strict=True):
        if data is not None:
            assert data[:5] == struct.pack(">bI", 0, 258)
            assert read(schema, data[5:]) == {"id": None, **json.loads(text)}


def test_versions_may_be_given_and_other_extra_members_have_no_place():
    outcome = Engine(FEATURES, model=trained()).push_messages([message()], score=True)
    raw = ff.AvroOutput(framing="raw")
    (data,) = outcome.encode(raw, extra={"model": "taps-7"})
    assert read(ff.avro_schema(FEATURES), data)["model"] == "taps-7"
    with pytest.raises(ValueError, match="no place for `extra`"):
        outcome.encode(raw, extra={"topic": "taps"})
    with pytest.raises(TypeError, match="is a version; give a text"):
        outcome.encode(raw, extra={"model": 7})


def test_names_that_avro_does_not_take_are_written_with_underscores():
    stream = Stream("taps", {"ts": ff.Timestamp("s")}, time="ts")
    features = stream.features(**{"a b": count().over(), "1st": count().over("1h"), "é": count().over("2h")})
    fields = ff.avro_schema(features)["fields"][1]["type"]["fields"]
    assert [(field["name"], field["doc"]) for field in fields] == [("a_b", "a b"), ("_1st", "1st"), ("_", "é")]
    with pytest.raises(DefinitionError, match="two features are called `a_b`"):
        ff.avro_schema(stream.features(**{"a b": count().over(), "a_b": count().over("1h")}))


def test_what_was_written_is_read_again_by_an_engine():
    features = Stream("taps", {"ts": ff.Timestamp("us"), "at": ff.Timestamp("us")}, time="ts").features(
        at=col("at").last().over()
    )
    (data,) = (
        Engine(features).push_messages([b'{"ts": 0, "at": "2026-01-02T03:04:05.678901Z"}']).encode(ff.AvroOutput(3))
    )
    found = read(ff.avro_schema(features), data[5:])
    assert found["features"]["at"].isoformat() == "2026-01-02T03:04:05.678901+00:00"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ff.AvroOutput(), "schema_id is None; register"),
        (lambda: ff.AvroOutput(-1), "schema_id is -1"),
        (lambda: ff.AvroOutput(True), "schema_id is True"),
        (lambda: ff.AvroOutput(7, framing="raw"), "leave one of them out"),
        (lambda: ff.AvroOutput(7, framing="rav"), "did you mean `raw`"),
        (lambda: ff.AvroOutput(subject="rows"), "is that of a registry; give one"),
        (lambda: ff.AvroOutput(7, registry=Ids()), "leave schema_id out"),
        (lambda: ff.AvroOutput(registry="http://registry"), r"give an ff.SchemaRegistry\(url\)"),
        (lambda: ff.avro_schema(FEATURES, name="a b"), "name is 'a b'"),
    ],
)
def test_what_is_no_output_is_refused_where_it_is_written(make, told):
    with pytest.raises(DefinitionError, match=told):
        make()


class Ids:
    """A registry that gives the same id to all, and remembers."""

    def register(self, subject, schema):
        self.asked = (subject, schema)
        return 9

    def incompatible(self, subject, schema):
        return f"{subject}: no"


def test_a_registry_gives_the_id_before_rows_are_written():
    registry = Ids()
    output = ff.AvroOutput(registry=registry, record="shop.Row")
    outcome = Engine(FEATURES).push_messages([message()])
    with pytest.raises(DefinitionError, match="the schema has no id yet"):
        outcome.encode(output)
    registered = output.registered("scored", FEATURES)
    assert registry.asked == ("scored-value", ff.avro_schema(FEATURES, name="shop.Row"))
    assert outcome.encode(registered)[0][:5] == b"\0\0\0\0\x09"
    assert registered.registered("scored", FEATURES) is registered
    assert output.incompatible("scored", FEATURES) == "scored-value: no"
    assert ff.AvroOutput(registry=registry, subject="rows").incompatible("scored", FEATURES) == "rows: no"
    assert registered.incompatible("scored", FEATURES) is None


def test_another_object_is_no_format():
    with pytest.raises(TypeError, match="not Json"):
        Engine(FEATURES).push_messages([message()]).encode(ff.Json())
