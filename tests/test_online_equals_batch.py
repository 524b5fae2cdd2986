"""One path: `push`, `push_json` and `push_batch` give equal bits for equal input order."""

import json

import fastfeat as ff
import polars
import pyarrow
import pytest
from fastfeat import Engine, InvalidEvent, LateEvent, Stream, col, count
from harness import row_bits
from hypothesis import given, note, settings
from hypothesis import strategies as st
from strategies import cases, long_cases
from strategies_events import IN_ORDER, UNITS
from tables import arrow_table, assert_table, runs

# --- Any case ----------------------------------------------------------------------------------------------------


def assert_batches_equal_pushes(case, chunks, make_table):
    """Each run of events of one stream as a table; an engine that pushes them one by one gives equal bits."""
    streams = {stream.name: stream for stream in case.streams}
    online, batch = Engine(case.features), Engine(case.features)
    for name, events in runs(case.events):
        rows = [online.push(event, stream=name) for event in events]
        table = make_table(streams[name], events, [chunk for chunk in chunks if chunk < len(events)])
        answer = batch.push_batch(table, stream=name)
        if name == case.features.stream.name:
            assert_table(answer, rows)
        else:
            assert rows == [None] * len(events)
            assert answer is None
    assert online.stats() == batch.stats()


def polars_frame(stream, events, chunks):
    """The same through polars, whose texts are views."""
    table = arrow_table(stream, events, chunks, plain=True)
    return polars.from_arrow(table, rechunk=False)


def record_batch_reader(stream, events, chunks):
    return arrow_table(stream, events, chunks).to_reader()


def large_texts(stream, events, chunks):
    table = arrow_table(stream, events, chunks)
    kinds = [pyarrow.large_string() if pyarrow.types.is_string(field.type) else field.type for field in table.schema]
    return table.cast(pyarrow.schema([(field.name, kind) for field, kind in zip(table.schema, kinds, strict=True)]))


TABLES = (arrow_table, polars_frame, record_batch_reader, large_texts)


@pytest.mark.parametrize("make_table", TABLES, ids=lambda make: make.__name__)
@given(cases(complete=True, aligned=True), st.lists(st.integers(0, 30), max_size=3))
def test_push_batch_equals_push(make_table, case, chunks):
    note(case.features.to_json())
    assert_batches_equal_pushes(case, chunks, make_table)


@given(long_cases(max_size=1_000), st.lists(st.integers(0, 900), max_size=5))
@settings(max_examples=settings().max_examples // 3 or 1)
def test_push_batch_equals_push_over_long_histories(case, chunks):
    note(case.features.to_json())
    assert_batches_equal_pushes(case, chunks, arrow_table)


@given(cases())
def test_push_json_equals_push(case):
    note(case.features.to_json())
    online, text = Engine(case.features), Engine(case.features)
    for place, (stream, event) in enumerate(case.events):
        written = json.dumps(event, default=lambda moment: moment.isoformat(), ensure_ascii=place % 2 == 0)
        row = online.push(event, stream=stream)
        assert row_bits(text.push_json(written.encode(), stream=stream)) == row_bits(row)


@given(cases(complete=True, aligned=True, disorder=IN_ORDER))
def test_tables_of_several_streams_are_merged_by_time(case):
    note(case.features.to_json())
    tables = {stream.name: [e for name, e in case.events if name == stream.name] for stream in case.streams}
    times = {stream.name: (stream.time, UNITS[stream.fields[stream.time].unit]) for stream in case.streams}
    order = {stream.name: place for place, stream in enumerate(case.streams)}

    def at(named_event):
        name, event = named_event
        field, unit = times[name]
        return event[field] * unit, order[name]

    merged = sorted(((name, event) for name, events in tables.items() for event in events), key=at)
    online, batch = Engine(case.features), Engine(case.features)
    rows = [online.push(event, stream=name) for name, event in merged]
    answer = batch.push_batch({s.name: arrow_table(s, tables[s.name]) for s in case.streams})
    if isinstance(answer, dict):
        answer = answer[case.features.stream.name]
    assert_table(answer, [row for row in rows if row is not None])


# --- Tables at their edges -----------------------------------------------------------------------------------------

STREAM = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "card": ff.String(), "x": ff.Float64(nullable=True), "n": ff.Int64(default=7)},
    time="ts",
)
FEATURES = STREAM.features(
    n=count().over("card", "1s"),
    total=col("x").sum().over("card", "1s"),
    mean=col("x").mean().over("card"),
    last=col("card").lag(1).over(),
    number=col("n"),
)
EVENTS = [{"ts": place * 1_000, "card": "abc"[place % 3], "x": place / 10} for place in range(100)]


def pushed(events=EVENTS):
    engine = Engine(FEATURES)
    return [engine.push(event) for event in events]


def table_of(events=EVENTS):
    return pyarrow.Table.from_pylist(events)


def test_empty_table_gives_an_empty_table_with_the_features_types():
    for empty in (table_of().slice(0, 0), pyarrow.table(table_of().schema.empty_table())):
        answer = pyarrow.table(Engine(FEATURES).push_batch(empty))
        assert answer.num_rows == 0
        assert answer.schema.names == list(FEATURES.names)
        assert answer.schema.types == FEATURES.schema.types


def test_answer_has_the_schema_of_the_features():
    assert pyarrow.table(Engine(FEATURES).push_batch(table_of())).schema.equals(FEATURES.schema)


def test_empty_chunks_and_slices_with_offsets():
    table = table_of()
    pieces = [table.slice(0, 0), table.slice(0, 33), table.slice(33, 0), table.slice(33, 1), table.slice(34)]
    assert_table(Engine(FEATURES).push_batch(pyarrow.concat_tables(pieces)), pushed())
    engine = Engine(FEATURES)
    for start in range(0, 100, 7):
        assert_table(engine.push_batch(table.slice(start, 7)), pushed()[start : start + 7])


def test_columns_in_another_order_and_more_of_them():
    table = table_of().select(["x", "card", "ts"]).append_column("more", pyarrow.array([None] * 100))
    assert_table(Engine(FEATURES).push_batch(table), pushed())


def test_absent_column_takes_the_default_and_null_too():
    table = table_of().append_column("n", pyarrow.nulls(100, pyarrow.int64()))
    answer = pyarrow.table(Engine(FEATURES).push_batch(table))
    assert answer["number"].to_pylist() == [7] * 100
    assert pyarrow.table(Engine(FEATURES).push_batch(table_of()))["number"].to_pylist() == [7] * 100


def test_batches_and_pushes_interleave():
    engine, rows = Engine(FEATURES), pushed()
    for start in range(0, 100, 10):
        assert row_bits(engine.push(EVENTS[start])) == row_bits(rows[start])
        assert_table(engine.push_batch(table_of(EVENTS[start + 1 : start + 10])), rows[start + 1 : start + 10])


def test_missing_column_is_named():
    with pytest.raises((ff.FastfeatError, ValueError), match="card"):
        Engine(FEATURES).push_batch(table_of().drop_columns(["card"]))


@pytest.mark.parametrize("what", [3, "text", None, [1, 2], object()])
def test_what_is_no_table_is_refused(what):
    engine = Engine(FEATURES)
    with pytest.raises((ff.FastfeatError, TypeError, ValueError)):
        engine.push_batch(what)
    assert row_bits(engine.push(EVENTS[0])) == row_bits(pushed()[0])


def test_table_with_a_row_that_breaks_a_rule_changes_nothing():
    engine = Engine(FEATURES)
    assert_table(engine.push_batch(table_of(EVENTS[:5])), pushed()[:5])
    bad = [*EVENTS[5:50], {**EVENTS[50], "card": None}, *EVENTS[51:]]
    with pytest.raises(InvalidEvent) as caught:
        engine.push_batch(table_of(bad))
    assert [(problem.field, problem.rule) for problem in caught.value.problems] == [("card", "not_null")]
    assert_table(engine.push_batch(table_of(EVENTS[5:])), pushed()[5:])


def test_table_with_a_late_row_changes_nothing():
    engine = Engine(FEATURES)
    assert_table(engine.push_batch(table_of(EVENTS[:5])), pushed()[:5])
    for late in ([*EVENTS[5:50], EVENTS[48], *EVENTS[50:]], EVENTS[3:]):
        with pytest.raises(LateEvent):
            engine.push_batch(table_of(late))
    assert_table(engine.push_batch(table_of(EVENTS[5:])), pushed()[5:])
