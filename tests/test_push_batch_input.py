"""Tables into an engine and out of it: the types that fit, all rows or none, and streams merged by time."""

import sys
from datetime import date, datetime, timezone

import fastfeat as ff
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fastfeat import Engine, InvalidEvent, LateEvent, Stream, col
from hypothesis import given
from hypothesis import strategies as st

ALL = Stream(
    "all",
    {
        "ts": ff.Timestamp("ms"),
        "f": ff.Float64(nullable=True),
        "i": ff.Int64(nullable=True),
        "b": ff.Boolean(nullable=True),
        "s": ff.String(nullable=True),
        "c": ff.Categorical(["low", "high"], nullable=True),
    },
    time="ts",
)
FEATURES = ALL.features(at=col("ts"), f=col("f"), i=col("i"), b=col("b"), s=col("s"), c=col("c"))
AT = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


def push(**columns):
    return Engine(FEATURES).push_batch(pa.table(columns))


def test_every_type_comes_out_as_the_features_own():
    table = push(
        ts=pa.array([1, 2], pa.int64()),
        f=[0.5, None],
        i=[2**53 + 1, None],
        b=[True, None],
        s=["é", None],
        c=["high", None],
        unknown=[object, 1][:0] or pa.nulls(2),
    )
    assert isinstance(table, pa.Table)
    assert table.schema.equals(FEATURES.schema)
    table.validate(full=True)
    assert table.column_names == list(FEATURES.names)
    assert table.to_pylist() == [
        {
            "at": datetime(1970, 1, 1, 0, 0, 0, 1000, timezone.utc),
            "f": 0.5,
            "i": 2**53 + 1,
            "b": True,
            "s": "é",
            "c": "high",
        },
        {
            "at": datetime(1970, 1, 1, 0, 0, 0, 2000, timezone.utc),
            "f": None,
            "i": None,
            "b": None,
            "s": None,
            "c": None,
        },
    ]
    assert table.column("f").null_count == 1


@pytest.mark.parametrize(
    ("name", "array", "expected"),
    [
        *(("i", pa.array([3, None], kind()), [3, None]) for kind in (pa.int8, pa.int16, pa.int32, pa.int64)),
        *(("i", pa.array([3, None], kind()), [3, None]) for kind in (pa.uint8, pa.uint16, pa.uint32, pa.uint64)),
        *(("f", pa.array([3, None], kind()), [3.0, None]) for kind in (pa.int8, pa.uint64, pa.float32, pa.float64)),
        ("f", pa.array([2**64 - 1], pa.uint64()), [2.0**64]),
        ("f", pa.array(np.array([0.5], np.float16)), [0.5]),
        ("f", pa.nulls(2), [None, None]),
        ("s", pa.nulls(2), [None, None]),
        *(
            ("s", pa.array(["é", None, "x" * 40], kind()), ["é", None, "x" * 40])
            for kind in (pa.string, pa.large_string, pa.string_view)
        ),
        ("s", pa.array(["é", None, "é"]).dictionary_encode(), ["é", None, "é"]),
        ("s", pa.array(["a", "b"], pa.large_string()).cast(pa.dictionary(pa.uint8(), pa.large_string())), ["a", "b"]),
        (
            "s",
            pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), pa.array(["a", None])),
            ["a", None, None],
        ),
        ("s", pa.array([None, None], pa.dictionary(pa.int32(), pa.string())), [None, None]),
        ("c", pa.array(["high", None, "low"]).dictionary_encode(), ["high", None, "low"]),
        ("b", pa.array([True, None, False]), [True, None, False]),
    ],
)
def test_a_column_of_a_fitting_type_is_taken(name, array, expected):
    ts = pa.array(range(len(array)), pa.int64())
    for table in (
        pa.table({"ts": ts, name: array}),
        pa.table({name: array.slice(1), "ts": ts.slice(1)}),
        pa.concat_tables(
            [
                pa.table({"ts": ts.slice(0, 1), name: array.slice(0, 1)}),
                pa.table({"ts": ts.slice(1), name: array.slice(1)}),
            ]
        ),
    ):
        found = Engine(FEATURES).push_batch(table).column(name).to_pylist()
        assert found == expected[len(expected) - len(table) :]


@pytest.mark.parametrize(
    "array",
    [
        *(
            pa.array([AT], pa.timestamp(unit, zone))
            for unit in ("s", "ms", "us", "ns")
            for zone in ("UTC", "Asia/Kolkata")
        ),
        pa.array([AT.replace(tzinfo=None)], pa.timestamp("us")),
        pa.array([int(AT.timestamp() * 1000)], pa.int64()),
        pa.array([int(AT.timestamp() * 1000)], pa.uint64()),
        pa.array(["2026-01-31T13:00:00+01:00"]),
        pa.array(["2026-01-31 12:00:00"]).dictionary_encode(),
    ],
)
def test_a_time_comes_in_any_unit_and_zone(array):
    assert push(ts=array).column("at").to_pylist() == [AT]


@pytest.mark.parametrize(
    "array", [pa.array([date(2026, 1, 31)], pa.date32()), pa.array([date(2026, 1, 31)], pa.date64())]
)
def test_a_date_is_midnight(array):
    assert push(ts=array).column("at").to_pylist() == [AT.replace(hour=0)]


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("i", pa.array([1.0])),
        ("i", pa.array([True])),
        ("i", pa.array(["1"])),
        ("i", pa.array([AT], pa.timestamp("us", "UTC"))),
        ("f", pa.array([True])),
        ("f", pa.array(["1"])),
        ("f", pa.array([1], pa.decimal128(5, 2))),
        ("b", pa.array([1])),
        ("s", pa.array([b"x"])),
        ("s", pa.array([1])),
        ("c", pa.array([1])),
        ("ts", pa.array([1.0])),
        ("ts", pa.array([1], pa.time64("us"))),
        ("s", pa.array([["x"]])),
        ("f", pa.array([1.0]).dictionary_encode()),
    ],
)
def test_a_column_that_can_never_fit_is_refused_by_name(name, array):
    columns = {"ts": pa.array([0]), name: array}
    for rows in (1, 0):
        with pytest.raises(InvalidEvent) as caught:
            Engine(FEATURES).push_batch(pa.table(columns).slice(0, rows))
        assert [(problem.field, problem.rule) for problem in caught.value.problems] == [(name, "type")]


def test_two_columns_of_one_name_are_refused():
    table = pa.Table.from_arrays([pa.array([0]), pa.array([1.0]), pa.array([2.0])], names=["ts", "f", "f"])
    with pytest.raises(InvalidEvent) as caught:
        Engine(FEATURES).push_batch(table)
    assert caught.value.problems[0].rule == "duplicate"
    others = pa.Table.from_arrays([pa.array([0]), pa.array([1]), pa.array([2])], names=["ts", "other", "other"])
    assert len(Engine(FEATURES).push_batch(others)) == 1


@pytest.mark.parametrize(
    "make",
    [
        pa.Table.from_pylist,
        lambda rows: pa.RecordBatch.from_pylist(rows),
        lambda rows: pa.RecordBatchReader.from_batches(
            pa.Table.from_pylist(rows).schema, pa.Table.from_pylist(rows).to_batches(max_chunksize=1)
        ),
        pl.DataFrame,
        pd.DataFrame,
        lambda rows: pd.DataFrame(rows).set_index("other"),
        lambda rows: pl.DataFrame(rows, schema_overrides={"s": pl.Categorical, "ts": pl.UInt32, "f": pl.Float32}),
    ],
)
def test_any_table_with_the_capsule_interface_is_taken(make):
    rows = [{"ts": n, "f": n / 2, "s": f"text {n % 3}", "b": n % 2 == 0, "other": n} for n in range(10)]
    found = Engine(FEATURES).push_batch(make(rows))
    assert found.select(["f", "s", "b"]).to_pylist() == [{key: row[key] for key in "fsb"} for row in rows]


@pytest.mark.parametrize("table", [None, 3, [{"ts": 0}], "table", np.zeros(3), pa.array([1.0])])
def test_what_is_no_table_is_a_type_error(table):
    with pytest.raises((TypeError, ValueError)):
        Engine(FEATURES).push_batch(table)


def test_a_table_of_no_rows_is_a_table_of_no_rows():
    found = Engine(FEATURES).push_batch(pa.table({"ts": pa.array([], pa.int64())}))
    assert len(found) == 0
    assert found.schema.equals(FEATURES.schema)
    assert len(Engine(FEATURES).push_batch(pa.table({}))) == 0


# --- all rows or none ---------------------------------------------------------------------------------------------

LOGINS = Stream("logins", {"ts": ff.Timestamp("us"), "user": ff.String()}, time="ts")
PAYMENTS = Stream("payments", {"ts": ff.Timestamp("us"), "user": ff.String(), "x": ff.Float64(ge=0)}, time="ts")
TOGETHER = PAYMENTS.features(
    total=col("x").sum().over("user", "1h"), logins=LOGINS.count().over("1h", user=col("user"))
)


def payments(*rows):
    return pa.table({"ts": [ts for ts, _ in rows], "user": ["u"] * len(rows), "x": [x for _, x in rows]})


def logins(*times):
    return pa.table({"ts": pa.array(times, pa.int64()), "user": ["u"] * len(times)})


@pytest.mark.parametrize(
    ("table", "error", "words", "counted"),
    [
        (payments((5, 1.0), (6, 1.0), (7, -1.0)), InvalidEvent, "row 2: it must be >= 0.0", {"invalid": 1, "late": 0}),
        (payments((5, 1.0), (6, 1.0), (4, 1.0)), LateEvent, "row 2: ", {"invalid": 0, "late": 1}),
        (payments((3, 1.0), (6, 1.0)), LateEvent, "row 0: ", {"invalid": 0, "late": 1}),
        (payments((5, 1.0)).drop_columns(["x"]), InvalidEvent, "row 0: send it", {"invalid": 1, "late": 0}),
    ],
)
def test_a_table_with_one_bad_row_changes_nothing(table, error, words, counted):
    engine = Engine(TOGETHER)
    engine.push_batch(payments((4, 10.0)))
    before = engine.peek({"ts": 4, "user": "u", "x": 0.0})
    chunked = pa.concat_tables([table.slice(n, 1) for n in range(len(table))])
    for refused in (table, {"payments": table}, {"logins": logins(3, 9), "payments": chunked}):
        with pytest.raises(error, match=words):
            engine.push_batch(refused)
    assert engine.peek({"ts": 4, "user": "u", "x": 0.0}) == before
    stats = engine.stats()
    assert stats["events"] == 1
    assert {name: stats[name] / 3 for name in counted} == counted


def test_a_late_row_of_a_table_is_told_as_push_tells_it():
    def told(call, data):
        engine = Engine(TOGETHER)
        engine.push_batch(payments((4, 10.0)))
        with pytest.raises(LateEvent) as caught:
            call(engine)(data)
        error = caught.value
        message = str(error).removeprefix("row 0: ")
        return error.stream, error.time, error.newest, error.behind_us, error.lateness_us, message

    event = {"ts": 3, "user": "u", "x": 1.0}
    assert told(lambda engine: engine.push, event) == told(lambda engine: engine.push_batch, payments((3, 1.0)))


def test_tables_of_several_streams_are_merged_by_time_and_ties_go_by_the_dict():
    first = Engine(TOGETHER).push_batch(
        {"logins": logins(1, 2, 2, 5), "payments": payments((2, 1.0), (4, 1.0), (5, 1.0))}
    )
    assert first.column("logins").to_pylist() == [3, 3, 4]
    second = Engine(TOGETHER).push_batch(
        {"payments": payments((2, 1.0), (4, 1.0), (5, 1.0)), "logins": logins(1, 2, 2, 5)}
    )
    assert second.column("logins").to_pylist() == [1, 3, 3]
    assert first.column("total").to_pylist() == [1.0, 2.0, 3.0]


def test_a_table_of_a_stream_without_features_gives_none():
    engine = Engine(TOGETHER)
    assert engine.push_batch(logins(1, 2), stream="logins") is None
    assert engine.push_batch({"logins": logins(3)}) is None
    assert engine.push_batch({}) is None
    assert engine.stats()["streams"]["logins"]["events"] == 3
    assert engine.push_batch(payments((3, 1.0)), stream="payments").column("logins").to_pylist() == [3]


def test_the_names_of_a_dict_of_tables_are_checked():
    engine = Engine(TOGETHER)
    with pytest.raises(InvalidEvent, match="did you mean `logins`"):
        engine.push_batch({"payments": payments((1, 1.0)), "login": logins(1)})
    with pytest.raises(TypeError, match="leave out stream="):
        engine.push_batch({"payments": payments((1, 1.0))}, stream="payments")
    with pytest.raises(TypeError, match="dict from the name of a stream"):
        engine.push_batch({3: payments((1, 1.0))})
    assert engine.stats()["events"] == 0


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["u", "v"]), st.floats(0, 1e6)), max_size=30),
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["u", "v"])), max_size=30),
    st.booleans(),
    st.integers(1, 7),
)
def test_merged_tables_and_single_events_give_the_same_bits(paid, logged, payments_first, chunk):
    paid, logged = sorted(paid, key=lambda row: row[0]), sorted(logged, key=lambda row: row[0])
    events = [(ts, not payments_first, "payments", {"ts": ts, "user": user, "x": x}) for ts, user, x in paid]
    events += [(ts, payments_first, "logins", {"ts": ts, "user": user}) for ts, user in logged]
    engine = Engine(TOGETHER)
    rows = [engine.push(event, stream=stream) for _, _, stream, event in sorted(events, key=lambda one: one[:2])]
    expected = [np.asarray(row).view(np.uint64).tolist() for row in rows if row is not None]

    def table(stream):
        schema = pa.schema(
            [("ts", pa.int64()), ("user", pa.string())] + ([("x", pa.float64())] if stream == "payments" else [])
        )
        whole = pa.Table.from_pylist([event for _, _, name, event in events if name == stream], schema=schema)
        return pa.Table.from_batches(whole.to_batches(max_chunksize=chunk), schema)

    names = ("payments", "logins") if payments_first else ("logins", "payments")
    batch = Engine(TOGETHER)
    found = batch.push_batch({name: table(name) for name in names})
    columns = [found.column(name).to_numpy().astype(np.float64) for name in TOGETHER.names]
    assert np.array(columns).T.view(np.uint64).tolist() == expected or not expected
    assert len(found) == len(expected)
    one, other = engine.stats(), batch.stats()
    assert (one["events"], one["keys"]) == (other["events"], other["keys"])


def test_without_pyarrow_the_answer_still_has_the_capsule_interface(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = Engine(FEATURES).push_batch(pl.DataFrame({"ts": [1], "f": [0.5]}))
    assert not isinstance(found, pa.Table)
    assert pl.DataFrame(found)["f"].to_list() == [0.5]


def test_damaged_text_is_refused_rather_than_read():
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe"))
    with pytest.raises(ValueError, match="the table is damaged"):
        Engine(FEATURES).push_batch(pa.table({"ts": [0], "s": broken}))
