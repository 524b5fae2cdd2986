"""Arrow IPC messages: the rows of their batches are those of `push`, one by one; damage costs the message it is in."""

import fastfeat as ff
import numpy
import polars
import pyarrow
import pytest
from fastfeat import Engine, Stream, col, count
from hypothesis import given
from hypothesis import strategies as st

TAPS = Stream(
    "taps",
    {"ts": ff.Timestamp("us"), "card": ff.String(nullable=True), "x": ff.Float64(nullable=True, ge=0)},
    time="ts",
    lateness="1h",
)
FEATURES = TAPS.features(n=count().over("card"), total=col("x").sum().over("card"), first=col("card").first().over())
SCHEMA = pyarrow.schema(
    [("ts", pyarrow.timestamp("us", tz="UTC")), ("card", pyarrow.string()), ("x", pyarrow.float64())]
)


def written(*batches, schema=SCHEMA, **options):
    """A stream of batches, each a list of events."""
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, schema, **options) as writer:
        for events in batches:
            writer.write_batch(pyarrow.RecordBatch.from_pylist(events, schema=schema))
    return sink.getvalue().to_pybytes()


events = st.fixed_dictionaries(
    {
        "ts": st.integers(0, 10**6),
        "card": st.none() | st.text(max_size=3),
        "x": st.none() | st.floats(-1, 100) | st.just(1e300),
    }
)


def push(engine, event):
    try:
        return engine.push(event)
    except ff.InvalidEvent as error:
        return error


@given(st.lists(st.lists(st.lists(events, max_size=4), max_size=3), max_size=3))
def test_every_row_is_an_event(messages):
    payloads = [written(*batches) for batches in messages]
    outcome = Engine(FEATURES).push_messages(payloads, format=ff.ArrowIpc())
    alone = Engine(FEATURES)
    rows, place = outcome.rows(), 0
    for number, batches in enumerate(messages):
        for event in (event for batch in batches for event in batch):
            assert outcome.message[place] == number
            one = push(alone, event)
            if isinstance(one, ff.InvalidEvent):
                assert outcome.status[place] == 2
                (problem,) = [each for each in outcome.problems if each.index == place]
                assert problem.problems == one.problems
                assert rows[place] is None
            else:
                assert repr(rows[place]) == repr(one.to_dict())
                vector = numpy.asarray(one)
                same = outcome.values[place].view(numpy.uint64) == vector.view(numpy.uint64)
                assert (same | numpy.isnan(vector)).all()
            place += 1
    assert place == len(outcome)


EVENTS = [{"ts": 0, "card": "a", "x": 1.0}, {"ts": 1, "card": "b", "x": None}]
GOOD = written(EVENTS)


def test_a_message_that_is_no_stream_is_one_row_and_stops_nothing():
    batch = [GOOD, b"", None, b"ARROW1\0\0", GOOD[:-60], GOOD]
    outcome = Engine(FEATURES).push_messages(batch, format="arrow_ipc")
    assert outcome.message.tolist() == [0, 0, 1, 2, 3, 4, 5, 5]
    assert outcome.status.tolist() == [0, 0, 2, 2, 2, 2, 0, 0]
    assert {problem.code for problem in outcome.problems} == {"undecodable"}
    assert outcome.values[-2, 1] == 2.0


def test_a_column_of_another_type_costs_its_message():
    schema = pyarrow.schema([("ts", pyarrow.timestamp("us")), ("card", pyarrow.int64())])
    batch = [written([{"ts": 0, "card": 1}, {"ts": 1, "card": 2}], schema=schema), GOOD]
    outcome = Engine(FEATURES).push_messages(batch, format=ff.ArrowIpc())
    assert outcome.status.tolist() == [2, 0, 0]
    assert [(each.field, each.rule) for each in outcome.problems[0].problems] == [("card", "type")]
    assert outcome.problems[0].code == "invalid"


def test_dictionaries_and_other_writers_are_read():
    schema = pyarrow.schema([("ts", pyarrow.int64()), ("card", pyarrow.dictionary(pyarrow.int32(), pyarrow.string()))])
    assert Engine(FEATURES).push_messages([written(EVENTS, schema=schema)], format=ff.ArrowIpc()).status.tolist() == [
        0,
        0,
    ]
    data = polars.DataFrame(EVENTS).write_ipc_stream(None).getvalue()
    assert Engine(FEATURES).push_messages([data], format=ff.ArrowIpc()).status.tolist() == [0, 0]


def test_compressed_bodies_are_refused_with_the_way_out():
    events = [{"ts": number, "card": "a", "x": 1.0} for number in range(1_000)]
    payload = written(events, options=pyarrow.ipc.IpcWriteOptions(compression="zstd"))
    (problem,) = Engine(FEATURES).push_messages([payload], format=ff.ArrowIpc()).problems
    assert "without compression" in problem.message


def test_rows_without_bytes_are_refused():
    schema = pyarrow.schema([("nothing", pyarrow.null())])
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pyarrow.record_batch([pyarrow.nulls(10**9)], schema=schema))
    (problem,) = Engine(FEATURES).push_messages([sink.getvalue().to_pybytes()], format=ff.ArrowIpc()).problems
    assert "1000000000 rows are announced" in problem.message


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=5), st.integers(0, len(GOOD)))
def test_damaged_bytes_never_stop_a_batch(changes, length):
    message = bytearray(GOOD)
    for place, byte in changes:
        message[place] = byte
    outcome = Engine(FEATURES).push_messages([bytes(message), bytes(message[:length]), GOOD], format=ff.ArrowIpc())
    assert outcome.message[-1] == 2
    assert outcome.status[-1] in (0, 3)


@pytest.mark.parametrize("place", range(0, len(GOOD), 4))
def test_the_largest_numbers_in_any_place_never_stop_a_batch(place):
    for number in (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\x80"):
        message = GOOD[:place] + number + GOOD[place + 4 :]
        assert Engine(FEATURES).push_messages([message, GOOD], format=ff.ArrowIpc()).message[-1] == 1
