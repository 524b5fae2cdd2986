"""The JSON between Python and the compiler: exact texts for examples, and that it reads back as what was written."""

import json
import math

import fastfeat as ff
import pytest
from fastfeat import DefinitionError, FeatureSet, Stream, col
from fastfeat.definition import Feature, decode, encode
from fastfeat.durations import Duration
from fastfeat.expressions import lift
from fastfeat.nodes import Aggregate, Call, Column, Constant, Key, LookupColumn, Node
from fastfeat.schema import FieldType
from fastfeat.windows import LAST_MAX, AllTime, Hopping, Last, Rolling, Session, Since, Tumbling, Window
from hypothesis import given
from hypothesis import strategies as st

payments = Stream("payments", {"ts": ff.Timestamp("us"), "card": ff.String(), "amount": ff.Float64()}, time="ts")
logins = Stream("logins", {"at": ff.Timestamp("ns"), "user": ff.String(), "n": ff.Int64()}, time="at", lateness="1s")
merchants = ff.Lookup(
    "merchants", key="id", columns={"id": ff.String(), "risk": ff.Float64(), "since": ff.Timestamp("s")}
)
HOUR = {"kind": "rolling", "length_ns": 3_600_000_000_000, "offset_ns": 0, "closed": "right"}


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (ff.Timestamp("ms"), {"type": "timestamp", "unit": "ms"}),
        (ff.Timestamp("ms", default=5), {"type": "timestamp", "unit": "ms", "default": {"time": 5_000_000}}),
        (
            ff.String(max_bytes=8, pattern="a+", one_of=["a", "aa"], default="a"),
            {
                "type": "string",
                "default": {"text": "a"},
                "one_of": [{"text": "a"}, {"text": "aa"}],
                "pattern": "a+",
                "max_bytes": 8,
            },
        ),
        (
            ff.Categorical(["a", "b"], nullable=True, default="b"),
            {"type": "categorical", "nullable": True, "default": {"text": "b"}, "categories": ["a", "b"]},
        ),
        (
            ff.Int64(gt=0, le=9, one_of=[3, 4]),
            {"type": "int64", "gt": {"int": 0}, "le": {"int": 9}, "one_of": [{"int": 3}, {"int": 4}]},
        ),
        (
            ff.Float64(ge=0, lt=math.inf, allow_nan=True, default=math.nan),
            {
                "type": "float64",
                "ge": {"float": 0.0},
                "lt": {"float": "inf"},
                "default": {"float": "nan"},
                "allow_nan": True,
            },
        ),
        (ff.Float64(nullable=True, default=None), {"type": "float64", "nullable": True, "allow_nan": False}),
        (ff.Boolean(default=False), {"type": "boolean", "default": {"bool": False}}),
    ],
)
def test_a_field_is_written_with_its_rules(kind: FieldType, written: dict):
    stream = Stream("s", {"t": ff.Timestamp("s"), "x": kind}, time="t")
    data = json.loads(encode(stream, (stream,), (), (Feature("x", Column("x")),)))
    assert data["streams"][0]["fields"][1] == {"name": "x", "nullable": False} | written


def test_a_stream_is_written_with_its_lateness():
    (stream,) = json.loads(encode(logins, (logins,), (), (Feature("n", Column("n")),)))["streams"]
    assert {name: stream[name] for name in ("name", "time", "lateness_ns", "on_late")} == {
        "name": "logins",
        "time": "at",
        "lateness_ns": 1_000_000_000,
        "on_late": "reject",
    }
    late = Stream("s", {"t": ff.Timestamp("s")}, time="t", on_late="emit")
    assert json.loads(encode(late, (late,), (), (Feature("t", Column("t")),)))["streams"][0]["on_late"] == "emit"


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        (col("amount"), {"op": "column", "name": "amount"}),
        (ff.lit(None), {"op": "literal", "value": "null"}),
        (ff.lit(True), {"op": "literal", "value": {"bool": True}}),
        (ff.lit(-3), {"op": "literal", "value": {"int": -3}}),
        (ff.lit(0.5), {"op": "literal", "value": {"float": 0.5}}),
        (ff.lit(-math.inf), {"op": "literal", "value": {"float": "-inf"}}),
        (ff.lit(math.nan), {"op": "literal", "value": {"float": "nan"}}),
        (ff.lit("é"), {"op": "literal", "value": {"text": "é"}}),
        (
            2 - col("amount"),
            {
                "op": "call",
                "function": "sub",
                "arguments": [{"op": "literal", "value": {"int": 2}}, {"op": "column", "name": "amount"}],
            },
        ),
        (
            ff.count().over("card", "1h"),
            {
                "op": "aggregate",
                "kind": "count",
                "arguments": [],
                "parameters": [],
                "keys": [{"name": "card"}],
                "window": HOUR,
                "include_current": True,
                "ties": "include",
            },
        ),
        (
            col("amount").lag(2).where(col("amount") > 1).over(),
            {
                "op": "aggregate",
                "kind": "lag",
                "arguments": [{"op": "column", "name": "amount"}],
                "parameters": [{"int": 2}],
                "where": {
                    "op": "call",
                    "function": "gt",
                    "arguments": [{"op": "column", "name": "amount"}, {"op": "literal", "value": {"int": 1}}],
                },
                "keys": [],
                "window": {"kind": "all"},
                "include_current": True,
                "ties": "include",
            },
        ),
        (
            logins["n"].sum().over("1h", user=col("card")),
            {
                "op": "aggregate",
                "kind": "sum",
                "arguments": [{"op": "column", "name": "n"}],
                "parameters": [],
                "stream": "logins",
                "keys": [{"name": "user", "expression": {"op": "column", "name": "card"}}],
                "window": HOUR,
                "include_current": True,
                "ties": "include",
            },
        ),
    ],
)
def test_an_expression_is_written_as_the_compiler_reads_it(expression: ff.Expr, written: dict):
    text = encode(payments, (payments, logins), (merchants,), (Feature("x", lift(expression)),))
    (feature,) = json.loads(text)["features"]
    assert feature == {"name": "x", "stream": "payments", "expression": written}


AMOUNT = {"op": "column", "name": "amount"}


@pytest.mark.parametrize(
    ("window", "written"),
    [
        (ff.rolling("1h"), HOUR),
        (
            ff.rolling("1h", offset="1m", closed="left"),
            HOUR | {"offset_ns": 60_000_000_000, "closed": "left"},
        ),
        (ff.tumbling("1h"), {"kind": "tumbling", "length_ns": HOUR["length_ns"]}),
        (
            ff.tumbling("1h", timezone="Europe/Paris"),
            {"kind": "tumbling", "length_ns": HOUR["length_ns"], "timezone": "Europe/Paris"},
        ),
        (ff.hopping("1h", every="1s"), {"kind": "hopping", "length_ns": HOUR["length_ns"], "every_ns": 1_000_000_000}),
        (ff.session("1h"), {"kind": "session", "gap_ns": HOUR["length_ns"]}),
        (ff.last(7), {"kind": "last", "count": 7}),
        (ff.since(col("amount")), {"kind": "since", "condition": AMOUNT}),
    ],
)
def test_a_window_is_written_as_the_compiler_reads_it(window: Window, written: dict):
    text = encode(payments, (payments,), (), (Feature("x", lift(ff.count().over("card", window))),))
    assert json.loads(text)["features"][0]["expression"]["window"] == written
    assert decode(text).features[0].node == lift(ff.count().over("card", window))


@pytest.mark.parametrize(
    ("aggregation", "written"),
    [
        (col("amount").last_k(3), {"kind": "last_k", "arguments": [AMOUNT], "parameters": [{"int": 3}]}),
        (col("amount").top_k(3), {"kind": "top_k", "arguments": [AMOUNT], "parameters": [{"int": 3}]}),
        (col("amount").quantile(1), {"kind": "quantile", "arguments": [AMOUNT], "parameters": [{"float": 1.0}]}),
        (
            col("amount").approx_quantile(0.9),
            {"kind": "approx_quantile", "arguments": [AMOUNT], "parameters": [{"float": 0.9}]},
        ),
        (
            col("amount").ewm_mean("1h"),
            {"kind": "ewm_mean", "arguments": [AMOUNT], "parameters": [{"int": HOUR["length_ns"]}]},
        ),
        (
            col("amount").corr(col("card")),
            {"kind": "corr", "arguments": [AMOUNT, {"op": "column", "name": "card"}], "parameters": []},
        ),
        (ff.rate(), {"kind": "rate", "arguments": [], "parameters": []}),
        (ff.time_since_first(), {"kind": "time_since_first", "arguments": [], "parameters": []}),
    ],
)
def test_parameters_and_second_arguments_are_written(aggregation: ff.Aggregation, written: dict):
    expression = aggregation.over("card")
    text = encode(payments, (payments,), (), (Feature("x", lift(expression)),))
    found = json.loads(text)["features"][0]["expression"]
    assert {name: found[name] for name in written} == written
    assert ff.Expr(decode(text).features[0].node).equals(expression)


def test_what_of_its_own_instant_is_inside_is_written():
    for choice, written in (
        ({}, (True, "include")),
        ({"include_current": False}, (False, "include")),
        ({"ties": "exclude"}, (False, "exclude")),
    ):
        node = lift(ff.count().over("card", **choice))
        text = encode(payments, (payments,), (), (Feature("x", node),))
        found = json.loads(text)["features"][0]["expression"]
        assert (found["include_current"], found["ties"]) == written
        assert decode(text).features[0].node == node


def test_a_lookup_is_written_with_its_columns_and_read_without_rows():
    features = (Feature("x", lift(merchants.on(col("card"))["risk"])), Feature("y", lift(merchants["risk"] + 1)))
    text = encode(payments, (payments,), (merchants,), features)
    assert json.loads(text)["lookups"] == [
        {
            "name": "merchants",
            "key": "id",
            "columns": [
                {"name": "id", "type": "string"},
                {"name": "risk", "type": "float64"},
                {"name": "since", "type": "timestamp"},
            ],
        }
    ]
    assert json.loads(text)["features"][0]["expression"] == {
        "op": "lookup",
        "lookup": "merchants",
        "key": {"op": "column", "name": "card"},
        "column": "risk",
    }
    again = decode(text)
    assert again.lookups == (merchants,)
    assert again.features == features
    assert again.lookups[0].rows is None


def test_a_definition_written_before_there_were_lookups_reads():
    text = payments.features(x=col("amount")).to_json()
    assert decode(text.replace('"lookups":[],', "")) == decode(text)


def test_aliases_are_for_names_only():
    aliased = payments.features(x=(col("amount") * 2).alias("double").sum().over("card").alias("y"))
    assert aliased == payments.features(x=(col("amount") * 2).sum().over("card"))
    assert "double" not in aliased.to_json()


def test_what_this_release_does_not_know_is_refused_not_dropped():
    text = payments.features(x=col("amount").sum().over("card", "1h")).to_json()
    for old, new in (('"kind":"rolling"', '"kind":"lunar"'), ('"version":1', '"version":2')):
        with pytest.raises(DefinitionError, match="update fastfeat"):
            decode(text.replace(old, new))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"version":1}', '{"version":1,"streams":[],"features":5}'])
def test_a_text_that_is_no_definition_is_refused(text: str):
    with pytest.raises(DefinitionError):
        FeatureSet.from_json(text)


def test_another_object_is_no_definition():
    with pytest.raises(DefinitionError, match="write what to_json returned"):
        FeatureSet.from_json(b"{}")  # type: ignore[arg-type]


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
CONSTANTS = st.one_of(
    st.just(Constant("null", None)),
    st.builds(Constant, st.just("bool"), st.booleans()),
    st.builds(Constant, st.just("int"), INTEGERS),
    st.builds(Constant, st.just("float"), st.floats()),
    st.builds(Constant, st.just("text"), st.text(st.characters(codec="utf-8"))),
    st.builds(Constant, st.just("time"), INTEGERS),
)
ROWS: st.SearchStrategy[Node] = st.recursive(
    st.builds(Column, NAMES) | CONSTANTS,
    lambda inner: (
        st.builds(Call, NAMES, st.lists(inner, max_size=3).map(tuple))
        | st.builds(LookupColumn, st.just(merchants), inner, st.sampled_from(["id", "risk", "since"]))
    ),
    max_leaves=6,
)
LENGTHS = st.builds(Duration, st.integers(1, 2**63 - 1))
WINDOWS: st.SearchStrategy[Window] = st.one_of(
    st.just(AllTime()),
    st.builds(Rolling, LENGTHS, LENGTHS | st.just(Duration(0)), st.sampled_from(["right", "left", "both", "neither"])),
    st.builds(Tumbling, LENGTHS, st.none() | NAMES),
    st.builds(Hopping, LENGTHS, LENGTHS),
    st.builds(Session, LENGTHS),
    st.builds(Last, st.integers(1, LAST_MAX)),
    st.builds(Since, ROWS),
)
KINDS_AND_PARAMETERS = st.one_of(
    st.tuples(NAMES, st.lists(INTEGERS | st.floats(allow_nan=False), max_size=2).map(tuple)),
    st.tuples(st.sampled_from(["ewm_mean", "ewm_sum"]), st.tuples(LENGTHS)),
)
AGGREGATES = st.builds(
    lambda kind, **parts: Aggregate(kinds=(kind[0],), parameters=kind[1], **parts),
    KINDS_AND_PARAMETERS,
    arguments=st.lists(ROWS, max_size=2).map(tuple),
    condition=st.none() | ROWS,
    stream=st.none(),
    keys=st.lists(st.builds(Key, NAMES, st.none() | ROWS), max_size=2).map(tuple),
    windows=st.tuples(WINDOWS),
    include_current=st.booleans(),
    ties=st.sampled_from(["include", "exclude"]),
)
FEATURES = st.lists(st.builds(Feature, NAMES, ROWS | AGGREGATES), min_size=1, max_size=4).map(tuple)
UNITS = ["s", "ms", "us", "ns"]
BOUNDS = st.integers(0, 9)
FIELDS = st.one_of(
    st.builds(ff.Timestamp, st.sampled_from(UNITS), nullable=st.booleans(), default=st.integers(0, 99)),
    st.builds(ff.String, max_bytes=st.none() | st.integers(99, 999), nullable=st.booleans(), default=NAMES),
    st.builds(ff.Categorical, st.lists(NAMES, min_size=1, unique=True), nullable=st.booleans()),
    st.builds(ff.Int64, ge=st.none() | BOUNDS, lt=st.none() | st.integers(10, 20), nullable=st.booleans()),
    st.builds(ff.Float64, allow_nan=st.just(True), default=st.floats(), ge=st.none() | st.just(-math.inf)),
    st.builds(ff.Boolean, nullable=st.just(True), default=st.none() | st.booleans()),
)


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    fields = draw(st.dictionaries(NAMES, FIELDS, max_size=4))
    lateness = f"{draw(st.integers(0, 2**63 - 1))}ns"
    return Stream(draw(NAMES), {**fields, "the time": ff.Timestamp("us")}, time="the time", lateness=lateness)


@given(streams(), FEATURES)
def test_any_definition_reads_back_as_what_was_written(stream: Stream, features: "tuple[Feature, ...]"):
    text = encode(stream, (stream,), (merchants,), features)
    assert decode(text) == (stream, (stream,), (merchants,), features)
    assert encode(*decode(text)) == text
