"""A batch of messages in one call is what `push_json` makes of each, to the bit; what is refused changes nothing."""

import json
import math
import threading

import fastfeat as ff
import numpy
import pytest
from fastfeat import Engine, FastfeatError, InvalidEvent, LateEvent, MemoryLimit, Stream, col, count
from harness import row_bits
from hypothesis import given
from hypothesis import strategies as st
from strategies import cases

TAPS = Stream(
    "taps",
    {
        "ts": ff.Timestamp("s"),
        "user": ff.String(),
        "x": ff.Float64(nullable=True, ge=-1e6),
        "kind": ff.Categorical(["low", "high"], nullable=True),
        "at": ff.Timestamp("s", nullable=True),
    },
    time="ts",
    lateness="10s",
)
FEATURES = TAPS.features(
    n=count().over("user", "1h"),
    total=col("x").sum().over("user", "1h"),
    before=col("x").lag(1).over("user"),
    users=col("user").last_k(2).over("1h"),
    kind=col("kind").last().over("user"),
    at=col("at").max().over("user"),
    name=col("user").first().over("1h"),
)
ROW, ACCEPTED, INVALID, LATE, LATE_ROW, MEMORY = range(6)


def message(**fields):
    return json.dumps({"ts": 0, "user": "a", **fields}).encode()


def one_by_one(engine, payloads, stream=None):
    """Rows and errors of single pushes, the judge of a batch."""
    found = []
    for payload in payloads:
        try:
            found.append(engine.push_json(payload, stream=stream))
        except FastfeatError as error:
            found.append(error)
    return found


GOOD = [
    message(ts=ts, user=user, x=x) for ts, user, x in [(0, "a", 1.5), (5, "b", None), (7, "a", -0.0), (7, "a", 1e5)]
]
BAD = [
    (None, "undecodable"),
    (b"", "undecodable"),
    (b"\xff\xfe", "undecodable"),
    (b"[" * 100_000, "undecodable"),
    (b'{"ts": 0, "user": ' + b"[" * 1_000 + b"]" * 1_000 + b"}", "undecodable"),
    (b'{"ts": 0, "user": "a"} {}', "undecodable"),
    (b"[1]", "undecodable"),
    (b"x" * 2_000_000, "undecodable"),
    (message(user="u" * 1_000_000), "invalid"),
    (message(x=-2e6), "invalid"),
    (message(ts=9_223_372_036_854_775_807), "invalid"),
    (message(ts=292277 * 31_556_952), "invalid"),
    (message(kind="middle", x="1"), "invalid"),
    (b"{}", "invalid"),
]


def test_rows_scores_and_messages_of_a_good_batch():
    outcome = Engine(FEATURES).push_messages(GOOD)
    assert len(outcome) == 4
    assert outcome.status.dtype == numpy.uint8
    assert outcome.status.tolist() == [ROW] * 4
    assert outcome.message.tolist() == [0, 1, 2, 3]
    assert outcome.values.shape == (4, 7)
    assert outcome.values[:, 0].tolist() == [1.0, 1.0, 2.0, 3.0]
    assert outcome.scores is None
    assert outcome.problems == []


def test_an_empty_batch_is_an_empty_outcome():
    outcome = Engine(FEATURES).push_messages([])
    assert outcome.values.shape == (0, 7)
    assert outcome.status.tolist() == []
    assert outcome.encode() == []


def assert_equals_single_pushes(features, payloads, stream=None, **options):
    together, alone = Engine(features, **options), Engine(features, **options)
    outcome, expected = together.push_messages(payloads, stream=stream), one_by_one(alone, payloads, stream)
    rows = outcome.rows()
    refused = {problem.index: problem for problem in outcome.problems}
    for place, (status, one) in enumerate(zip(outcome.status.tolist(), expected, strict=True)):
        if isinstance(one, FastfeatError):
            wanted = INVALID if isinstance(one, InvalidEvent) else LATE if isinstance(one, LateEvent) else MEMORY
            assert status == wanted
            assert refused.pop(place).message == str(one)
        elif one is None:
            assert status == ACCEPTED
        else:
            assert status in (ROW, LATE_ROW)
            typed, bits = row_bits(one)
            assert typed == [(name, type(value).__name__, repr(value)) for name, value in rows[place].items()]
            numbers = [bit for bit in bits if not math.isnan(numpy.uint64(bit).view(numpy.float64))]
            found = outcome.values[place]
            assert found[~numpy.isnan(found)].view(numpy.uint64).tolist() == numbers
        if not isinstance(one, ff.Row):
            assert rows[place] is None
            assert numpy.isnan(outcome.values[place]).all()
    assert not refused
    assert together.stats() == alone.stats()
    return outcome


@given(cases())
def test_any_events_come_out_as_one_by_one(case):
    own = case.features.stream.name
    together, alone = Engine(case.features), Engine(case.features)
    start = 0
    while start < len(case.events):
        stream = case.events[start][0]
        end = start
        while end < len(case.events) and case.events[end][0] == stream:
            end += 1
        payloads = [json.dumps(event, default=str).encode() for _, event in case.events[start:end]]
        outcome = together.push_messages(payloads, stream=stream)
        rows = outcome.rows()
        for place, one in enumerate(one_by_one(alone, payloads, stream)):
            if isinstance(one, ff.Row):
                assert rows[place] is not None
                assert repr(one.to_dict()) == repr(rows[place])
                assert stream == own
                got = outcome.values[place].view(numpy.uint64)
                is_null = numpy.isnan(outcome.values[place])
                assert (got[~is_null] == numpy.asarray(one).view(numpy.uint64)[~is_null]).all()
            else:
                assert rows[place] is None
        start = end
    assert together.stats() == alone.stats()


@pytest.mark.parametrize(("bad", "code"), BAD, ids=range(len(BAD)))
def test_bad_messages_cost_a_problem_and_nothing_else(bad, code):
    engine = Engine(FEATURES)
    outcome = engine.push_messages([GOOD[0], bad, GOOD[2]])
    assert outcome.status.tolist() == [ROW, INVALID, ROW]
    (problem,) = outcome.problems
    assert (problem.index, problem.code) == (1, code)
    assert problem.problems
    assert len(problem.message) < 1_000
    assert numpy.isnan(outcome.values[1]).all()
    assert outcome.values[2, 0] == 2.0
    assert engine.stats()["invalid"] == 1
    assert engine.stats()["events"] == 2


def test_a_batch_of_good_and_bad_is_what_single_pushes_make_of_it():
    payloads = [*GOOD, *(bad for bad, _ in BAD if bad is not None), *GOOD]
    outcome = assert_equals_single_pushes(FEATURES, payloads)
    problem = next(each for each in outcome.problems if each.index == 4 + 12 - 1)
    with pytest.raises(InvalidEvent) as caught:
        Engine(FEATURES).push_json(payloads[problem.index])
    assert problem.problems == caught.value.problems


def test_late_events_are_refused_or_get_a_row():
    payloads = [message(ts=100), message(ts=90), message(ts=89), message(ts=100)]
    outcome = assert_equals_single_pushes(FEATURES, payloads)
    assert outcome.status.tolist() == [ROW, ROW, LATE, ROW]
    assert [(problem.index, problem.code) for problem in outcome.problems] == [(2, "late")]
    emitting = Stream("taps", dict(TAPS.fields), time="ts", lateness="10s", on_late="emit")
    outcome = assert_equals_single_pushes(emitting.features(n=count().over("user", "1h")), payloads)
    assert outcome.status.tolist() == [ROW, ROW, LATE_ROW, ROW]
    assert outcome.problems == []
    assert outcome.encode()[2] is not None


def test_an_event_of_another_stream_is_accepted_and_has_no_row():
    logins = Stream("logins", {"ts": ff.Timestamp("s"), "user": ff.String()}, time="ts", on_late="emit")
    engine = Engine(TAPS.features(logins=logins.count().over("1h", user=col("user"))))
    outcome = engine.push_messages([message(ts=1), message(ts=0)], stream="logins")
    assert outcome.status.tolist() == [ACCEPTED, LATE]
    assert outcome.values.shape == (2, 0)
    assert outcome.encode() == [None, None]
    assert engine.push_messages([message(ts=2)]).values.tolist() == [[1.0]]


def test_the_memory_limit_refuses_new_keys_and_takes_known_ones():
    payloads = [message(user=f"u{number}") for number in range(20_000)] + [message(user="u0")]
    outcome = Engine(FEATURES, memory_limit="2MiB").push_messages(payloads)
    assert MEMORY in outcome.status.tolist()
    assert outcome.status[-1] == ROW
    assert {problem.code for problem in outcome.problems} == {"memory"}
    engine = Engine(FEATURES, memory_limit="2MiB")
    first = next(one for one in one_by_one(engine, payloads) if isinstance(one, MemoryLimit))
    assert outcome.problems[0].message == str(first)


@pytest.mark.parametrize("payload", [bytearray(GOOD[0]), memoryview(GOOD[0])], ids=["bytearray", "memoryview"])
def test_payloads_may_be_other_memory(payload):
    assert Engine(FEATURES).push_messages((payload,)).status.tolist() == [ROW]


@pytest.mark.parametrize("payload", ["text", 3, {"ts": 0}])
def test_other_objects_are_refused_before_anything_changes(payload):
    engine = Engine(FEATURES)
    with pytest.raises(TypeError, match="payload 1 is of type"):
        engine.push_messages([GOOD[0], payload])
    assert engine.stats()["events"] == 0


def test_what_cannot_be_asked_is_refused_before_anything_changes():
    engine = Engine(FEATURES)
    with pytest.raises(ValueError, match="did you mean `json`"):
        engine.push_messages(GOOD, format="jsn")
    with pytest.raises(InvalidEvent, match="takes no stream"):
        engine.push_messages(GOOD, stream="tips")
    with pytest.raises(ff.ModelError, match="no model"):
        engine.push_messages(GOOD, score=True)
    with pytest.raises(ValueError, match="score=True"):
        engine.push_messages(GOOD, reasons=3)
    assert engine.stats()["events"] == 0


def test_other_threads_run_meanwhile():
    engine = Engine(FEATURES)
    payloads = [message(ts=number // 100, user=f"u{number % 5_000}", x=1.0) for number in range(200_000)]
    steps, done = [], threading.Event()

    def count_steps():
        number = 0
        while not done.is_set():
            number += 1
        steps.append(number)

    other = threading.Thread(target=count_steps)
    other.start()
    engine.push_messages(payloads)
    done.set()
    other.join()
    assert steps[0] > 1_000


@given(st.lists(st.binary(max_size=60)))
def test_no_bytes_stop_a_batch(payloads):
    outcome = Engine(FEATURES).push_messages([*payloads, GOOD[0]])
    assert outcome.status[-1] == ROW
    assert [problem.index for problem in outcome.problems] == list(range(len(payloads)))
