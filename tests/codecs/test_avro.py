"""Avro messages: what fastavro wrote is what `push` makes of what fastavro reads; whatever else comes is refused."""

import io
import json
import struct
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import fastavro
import fastfeat as ff
import numpy
import pytest
from fastfeat import DefinitionError, Engine, InvalidEvent, Stream, col, count
from hypothesis import given
from hypothesis import strategies as st

FIELDS = {
    "ts": ff.Timestamp("us"),
    "card": ff.String(nullable=True),
    "x": ff.Float64(nullable=True, allow_nan=True),
    "n": ff.Int64(nullable=True),
    "b": ff.Boolean(nullable=True),
    "kind": ff.Categorical(["low", "high"], default="low"),
    "at": ff.Timestamp("ms", nullable=True),
}
TAPS = Stream("taps", FIELDS, time="ts", lateness="50000d")
FEATURES = TAPS.features(
    count=count().over("card"),
    total=col("x").sum().over("card"),
    x=col("x").lag(1).over("card"),
    n=col("n").last().over("card"),
    b=col("b").last().over("card"),
    kind=col("kind").last().over("card"),
    at=col("at").last().over("card"),
    cards=col("card").last_k(3).over(),
)
UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def framed(id, data):
    return struct.pack(">bI", 0, id) + data


def written(schema, record):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def read(schema, data):
    return fastavro.schemaless_reader(io.BytesIO(data), schema, None)


# --- Schemas and records of any shape -------------------------------------------------------------------------------

texts = st.text(max_size=8)
longs = st.integers(-(2**63), 2**63 - 1)
ints = st.integers(-(2**31), 2**31 - 1)
doubles = st.floats(allow_subnormal=True)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2020, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))
millis = instants.map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000))

# By column: a type of Avro, and its values.
WANTED = {
    "ts": [
        ({"type": "long", "logicalType": "timestamp-micros"}, instants),
        ({"type": "long", "logicalType": "timestamp-millis"}, millis),
        (
            {"type": "long", "logicalType": "local-timestamp-micros"},
            instants.map(lambda time: time.replace(tzinfo=None)),
        ),
        ({"type": "int", "logicalType": "date"}, st.dates(date(2000, 1, 1), date(2020, 1, 1))),
        ("long", st.integers(0, 10**15)),
        ("string", instants.map(datetime.isoformat)),
    ],
    "card": [("string", texts), ({"type": "string", "logicalType": "uuid"}, st.uuids())],
    "x": [("double", doubles), ("float", st.floats(width=32)), ("long", longs), ("int", ints)],
    "n": [("long", longs), ("int", ints)],
    "b": [("boolean", st.booleans())],
    "kind": [
        ("string", st.sampled_from(["low", "high"])),
        ({"type": "enum", "name": "kinds", "symbols": ["high", "low"]}, st.sampled_from(["low", "high"])),
    ],
    "at": [({"type": "long", "logicalType": "timestamp-millis"}, millis), ("long", st.integers(0, 10**12))],
}


@st.composite
def others(draw, level=0, names=None):
    """A type that the stream does not know, and its values."""
    names = [] if names is None else names
    simple = [
        ("null", st.none()),
        ("boolean", st.booleans()),
        ("int", ints),
        ("long", longs),
        ("float", st.floats(width=32)),
        ("double", doubles),
        ("bytes", st.binary(max_size=5)),
        ("string", texts),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, st.just(Decimal("12.34"))),
        ({"type": "int", "logicalType": "time-millis"}, st.times().map(lambda time: time.replace(microsecond=0))),
        ({"type": "long", "logicalType": "time-micros"}, st.times()),
    ]
    kind = draw(st.sampled_from(["simple"] * 3 + ["fixed", "enum", "array", "map", "record", "union"]))
    if kind == "simple" or level > 2:
        return draw(st.sampled_from(simple))
    names.append(f"t{len(names)}")
    name = names[-1]
    if kind == "fixed":
        size = draw(st.integers(0, 4))
        return {"type": "fixed", "name": name, "size": size}, st.binary(min_size=size, max_size=size)
    if kind == "enum":
        return {"type": "enum", "name": name, "symbols": ["A", "B"]}, st.sampled_from(["A", "B"])
    if kind == "union":
        schema, values = draw(st.sampled_from(simple[1:8]))
        return ["null", schema], st.none() | values
    schema, values = draw(others(level + 1, names))
    if kind == "array":
        return {"type": "array", "items": schema}, st.lists(values, max_size=3)
    if kind == "map":
        return {"type": "map", "values": schema}, st.dictionaries(texts, values, max_size=3)
    fields = [{"name": "a", "type": schema}, {"name": "b", "type": "string"}]
    return {"type": "record", "name": name, "fields": fields}, st.fixed_dictionaries({"a": values, "b": texts})


@st.composite
def streams_of_messages(draw):
    """A schema with fields in any order, some of them unknown, and records of it."""
    columns = draw(st.permutations([name for name in FIELDS if name in ("ts", "card") or draw(st.booleans())]))
    fields, values, names = [], {}, []
    for column in columns:
        schema, of = draw(st.sampled_from(WANTED[column]))
        if column not in ("ts", "kind") and draw(st.booleans()):
            schema, of = draw(st.permutations([schema, "null"])), of | st.none()
        fields.append({"name": column, "type": schema})
        values[column] = of
    for number in range(draw(st.integers(0, 3))):
        schema, of = draw(others(names=names))
        name = f"other{number}"
        fields.insert(draw(st.integers(0, len(fields))), {"name": name, "type": schema})
        values[name] = of
    schema = {"type": "record", "name": "tap", "namespace": "of.tests", "fields": fields}
    return schema, draw(st.lists(st.fixed_dictionaries(values), min_size=1, max_size=5))


def as_event(record):
    """What fastavro reads, as an event."""
    event = {name: value for name, value in record.items() if name in FIELDS}
    if event.get("card") is not None:
        event["card"] = str(event["card"])
    return event


def assert_pushes(outcome, schema, data, features=FEATURES):
    alone = Engine(features)
    for place, message in enumerate(data):
        event = as_event(read(schema, message))
        row = alone.push(event)
        assert outcome.status[place] in (0, 4)
        assert repr(outcome.rows()[place]) == repr(row.to_dict())
        vector = numpy.asarray(row)
        same = outcome.values[place].view(numpy.uint64) == vector.view(numpy.uint64)
        assert (same | numpy.isnan(vector)).all()


@given(streams_of_messages())
def test_what_fastavro_writes_is_read_as_fastavro_reads_it(case):
    schema, records = case
    data = [written(schema, record) for record in records]
    registered = Engine(FEATURES).push_messages([framed(7, each) for each in data], format=ff.Avro({7: schema}))
    assert_pushes(registered, schema, data)
    raw = Engine(FEATURES).push_messages(data, format=ff.Avro(schema, framing="raw"))
    assert_pushes(raw, schema, data)
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    fingerprint = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
    single = [b"\xc3\x01" + fingerprint + each for each in data]
    outcome = Engine(FEATURES).push_messages(single, format=ff.Avro([SIMPLE, schema], framing="single_object"))
    assert_pushes(outcome, schema, data)


SIMPLE = {
    "type": "record",
    "name": "tap",
    "fields": [
        {"name": "ts", "type": "long"},
        {"name": "card", "type": "string"},
        {"name": "x", "type": ["null", "double"]},
    ],
}


def simple(ts=0, card="c", x=1.5):
    return framed(7, written(SIMPLE, {"ts": ts, "card": card, "x": x}))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 255)), max_size=4), st.integers(0, 40))
def test_damaged_bytes_never_stop_a_batch(changes, length):
    message = bytearray(simple(card="a card of some length"))
    for place, byte in changes:
        message[place % len(message)] = byte
    outcome = Engine(FEATURES).push_messages(
        [bytes(message), bytes(message[:length]), simple()], format=ff.Avro({7: SIMPLE})
    )
    assert set(outcome.status[:2].tolist()) <= {0, 2, 3}
    assert outcome.status[2] in (0, 3)


@given(st.binary(max_size=80))
def test_no_bytes_stop_a_batch(data):
    anything = {
        "type": "record",
        "name": "any",
        "fields": [
            {"name": "list", "type": {"type": "array", "items": ["null", "any", {"type": "map", "values": "null"}]}},
            {"name": "ts", "type": "long"},
        ],
    }
    outcome = Engine(FEATURES).push_messages([data], format=ff.Avro(anything, framing="raw"))
    assert outcome.status.tolist() in ([0], [2])


def test_an_unknown_id_is_told_with_the_id():
    outcome = Engine(FEATURES).push_messages([simple(), framed(8, b"")], format=ff.Avro({7: SIMPLE}))
    (problem,) = outcome.problems
    assert (problem.index, problem.code) == (1, "undecodable")
    assert "schema id 8 is not known" in problem.message


def test_a_registry_is_asked_once_for_each_id_and_before_anything_is_taken():
    asked = []

    def registry(id):
        asked.append((id, engine.stats()["events"]))
        if id == 9:
            raise LookupError(id)
        return json.dumps(SIMPLE) if id == 7 else "no schema"

    engine, format = Engine(FEATURES), ff.Avro(registry=registry)
    batch = [simple(), framed(8, b"\0"), simple(ts=1), framed(9, b""), None, b"x"]
    outcome = engine.push_messages(batch, format=format)
    assert outcome.status.tolist() == [0, 2, 0, 2, 2, 2]
    assert asked == [(7, 0), (8, 0), (9, 0)]
    assert "the schema is no Avro schema" in outcome.problems[0].message
    assert "schema id 9 is not known" in outcome.problems[1].message
    # What a registry does not have it may have later; what it has given stays.
    assert engine.push_messages(batch, format=format).status.tolist() == [0, 2, 0, 2, 2, 2]
    assert asked[3:] == [(9, 2)]


def test_a_registry_that_fails_is_an_error_and_nothing_has_changed():
    def registry(id):
        raise ConnectionError("no route")

    engine = Engine(FEATURES)
    with pytest.raises(ConnectionError, match="no route"):
        engine.push_messages([simple()], format=ff.Avro(registry=registry))
    assert engine.stats()["events"] == 0


def test_a_registry_gives_references_behind_the_schema():
    schema = {**SIMPLE, "fields": [*SIMPLE["fields"], {"name": "more", "type": "of.others.more"}]}
    more = {"type": "fixed", "name": "more", "namespace": "of.others", "size": 2}
    texts = [json.dumps(schema), json.dumps(more)]
    outcome = Engine(FEATURES).push_messages([simple() + b"ab"], format=ff.Avro(registry=lambda id: texts))
    assert outcome.status.tolist() == [0]


def test_a_decimal_is_refused_with_the_way_out_and_is_passed_over_where_nobody_wants_it():
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    record = {"ts": 0, "card": "c", "x": Decimal("1.25"), "price": Decimal("2.50")}
    schema = {
        **SIMPLE,
        "fields": [*SIMPLE["fields"][:2], {"name": "x", "type": decimal}, {"name": "price", "type": decimal}],
    }
    outcome = Engine(FEATURES).push_messages([framed(1, written(schema, record))], format=ff.Avro({1: schema}))
    (problem,) = outcome.problems
    assert problem.code == "invalid"
    assert [(each.field, each.rule) for each in problem.problems] == [("x", "type")]
    assert "as a double" in problem.message
    del schema["fields"][2]
    outcome = Engine(FEATURES).push_messages([framed(1, written(schema, record))], format=ff.Avro({1: schema}))
    assert outcome.status.tolist() == [0]


def test_absent_fields_take_the_streams_defaults_and_broken_rules_are_those_of_push():
    schema = {**SIMPLE, "fields": [{"name": "card", "type": "long"}, {"name": "n", "type": "string"}]}
    message = framed(1, written(schema, {"card": 3, "n": "x"}))
    (problem,) = Engine(FEATURES).push_messages([message], format=ff.Avro({1: schema})).problems
    with pytest.raises(InvalidEvent) as caught:
        Engine(FEATURES).push({"card": 3, "n": "x"})
    assert problem.problems == caught.value.problems
    assert problem.message == str(caught.value)


def test_nanoseconds_are_kept_where_the_stream_has_them():
    stream = Stream("taps", {"ts": ff.Timestamp("ns")}, time="ts")
    schema = {
        "type": "record",
        "name": "tap",
        "fields": [{"name": "ts", "type": {"type": "long", "logicalType": "timestamp-nanos"}}],
    }
    features = stream.features(since=ff.time_since_last().over())
    written_long = {**schema, "fields": [{"name": "ts", "type": "long"}]}
    data = [framed(1, written(written_long, {"ts": ts})) for ts in (10**18, 10**18 + 3)]
    assert Engine(features).push_messages(data, format=ff.Avro({1: schema})).values[1, 0] == 3e-9


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ff.Avro(), "there is no schema"),
        (lambda: ff.Avro(SIMPLE), "schemas are by id"),
        (lambda: ff.Avro({-1: SIMPLE}), "a schema id is -1"),
        (lambda: ff.Avro({7: 3}), "a schema is 3"),
        (lambda: ff.Avro({7: SIMPLE}, framing="row"), "did you mean `raw`"),
        (lambda: ff.Avro({7: SIMPLE}, registry="http://registry"), "give a function"),
        (lambda: ff.Avro(SIMPLE, registry=str, framing="raw"), "give `schemas`"),
        (
            lambda: Engine(FEATURES).push_messages([], format=ff.Avro({7: "{"})),
            "schema 7: the schema is no Avro schema",
        ),
        (lambda: Engine(FEATURES).push_messages([], format=ff.Avro({7: '"string"'})), "an event is a record"),
    ],
)
def test_what_is_no_format_is_refused_where_it_is_written(make, told):
    with pytest.raises(DefinitionError, match=told):
        make()


def test_a_name_alone_is_no_format_with_schemas():
    with pytest.raises(ValueError, match=r"write format=fastfeat\.Avro"):
        Engine(FEATURES).push_messages([], format="avro")


def test_formats_compare_print_and_are_made_once_for_an_engine():
    one, other = ff.Avro({7: SIMPLE}), ff.Avro({7: json.dumps(SIMPLE)})
    assert one == other
    assert hash(one) == hash(other)
    engine = Engine(FEATURES)
    for _ in range(100):
        engine.push_messages([simple()], format=ff.Avro({7: SIMPLE}))
    assert len(engine._decoders) == 1


def test_a_time_far_away_costs_a_problem():
    micros = {**SIMPLE, "fields": [{"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}
    message = framed(1, written({**SIMPLE, "fields": [{"name": "ts", "type": "long"}]}, {"ts": 2**63 - 1}))
    (problem,) = Engine(FEATURES).push_messages([message], format=ff.Avro({1: micros})).problems
    assert [(each.field, each.rule) for each in problem.problems] == [("ts", "range")]


def test_instants_of_every_unit_are_the_same():
    at = EPOCH + timedelta(days=9_000, microseconds=123_000)
    for unit in ("millis", "micros"):
        schema = {
            **SIMPLE,
            "fields": [
                {"name": "ts", "type": {"type": "long", "logicalType": f"timestamp-{unit}"}},
                *SIMPLE["fields"][1:],
            ],
        }
        engine = Engine(FEATURES)
        engine.push_messages(
            [framed(1, written(schema, {"ts": at, "card": "c", "x": None}))], format=ff.Avro({1: schema})
        )
        assert engine.stats()["streams"]["taps"]["newest"] == at
