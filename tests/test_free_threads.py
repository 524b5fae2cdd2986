"""One engine and many threads that do everything at once, with the interpreter's lock or without it."""

import contextlib
import json
import sys
import sysconfig
import threading

import fastfeat as ff
import numpy as np
import pytest
from fastfeat import Engine, Stream, col, count

THREADS = 6
EVENTS = 300
PAYMENTS = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "card": ff.String(), "shop": ff.String(), "x": ff.Float64()},
    time="ts",
    lateness="1d",
)


def features():
    x = col("x")
    return PAYMENTS.features(
        x.agg("count", "sum", "std", "max").over("card", "1s", "1h"),
        shops=col("shop").n_unique().over("card", "1h"),
        middle=x.median().over("card", "1s"),
        previous=col("shop").lag(1).over("card"),
        everywhere=count().over("shop"),
        total=x.sum().over("shop"),
    )


def numbers():
    """Those for which threads push beside each other, each shard of a table behind a lock of its own."""
    x = col("x")
    return PAYMENTS.features(
        x.agg("count", "sum", "std", "max").over("card", "1s", "1h"),
        shops=col("shop").n_unique().over("card", "1h"),
        everywhere=count().over("shop", "1h"),
        total=x.sum().over("shop", "1h"),
    )


def events_of(thread):
    """Cards are a thread's own; shops are everybody's."""
    return [
        {
            "ts": n * 10_000 + thread,
            "card": f"{thread}-{n * n % 3}",
            "shop": f"shop-{n % 5}",
            "x": (n * 7 + thread) % 11 / 3,
        }
        for n in range(EVENTS)
    ]


def of_the_card(row):
    return {name: value for name, value in row.to_dict().items() if name not in ("everywhere", "total")}


class Crew:
    """Threads that begin together; the first error of any is raised at the end."""

    def __init__(self):
        self.threads, self.errors, self.ended = [], [], threading.Event()
        self.gate = None

    def add(self, work, *arguments):
        def run():
            try:
                self.gate.wait()
                work(*arguments)
            except BaseException as error:
                self.errors.append(error)

        self.threads.append(threading.Thread(target=run))

    def add_until_the_end(self, work):
        def run():
            while True:
                ends = self.ended.is_set()
                work()
                if ends:
                    return

        self.add(run)

    def run(self, main):
        self.gate = threading.Barrier(len(self.threads))
        for thread in self.threads:
            thread.start()
        for thread in self.threads[:main]:
            thread.join()
        self.ended.set()
        for thread in self.threads[main:]:
            thread.join()
        if self.errors:
            raise self.errors[0]


@pytest.mark.parametrize("features", [features, numbers])
def test_rows_and_state_are_those_of_one_thread(tmp_path, features):
    engine, crew, rows = Engine(features()), Crew(), {}

    def push(thread):
        mine, out = [], np.empty(len(engine.names))
        for n, event in enumerate(events_of(thread)):
            ways = n % 4
            if ways == 0:
                row = engine.push_json(json.dumps(event))
            elif ways == 1:
                peeked = engine.peek(event)
                row = engine.push(event)
                assert of_the_card(peeked) == of_the_card(row)
            elif ways == 2:
                row = engine.push(event)
                assert np.asarray(row)[0] == row[0] == row.to_dict()[engine.names[0]]
            else:
                engine.peek(event)
                row = engine.push(event)
                engine.push(events_of(thread)[n] | {"card": f"out-{thread}"}, out=out)
            mine.append(of_the_card(row))
        rows[thread] = mine

    def look():
        stats = engine.stats()
        assert stats["events"] == sum(stream["events"] for stream in stats["streams"].values())
        # Before the first event there is no newest time.
        engine.lookup({"card": "0-0", "shop": "shop-1"}, at=None if stats["events"] else 10**9)
        with contextlib.suppress(ff.InvalidEvent):
            engine.push({"ts": "no time", "card": 3})

    def write():
        engine.checkpoint(tmp_path, keep=2, incremental=True)

    for thread in range(THREADS):
        crew.add(push, thread)
    crew.add_until_the_end(look)
    crew.add_until_the_end(write)
    # Pushes begin to go beside each other, time and again; the others end that.
    crew.add_until_the_end(engine._open_up)
    crew.run(THREADS)

    twin = Engine(features())
    pushed = 0
    for thread in range(THREADS):
        expected = []
        for n, event in enumerate(events_of(thread)):
            expected.append(of_the_card(twin.push(event)))
            pushed += 1
            if n % 4 == 3:
                twin.push(event | {"card": f"out-{thread}"})
                pushed += 1
        assert rows[thread] == expected
    assert engine.stats()["events"] == twin.stats()["events"] == pushed
    engine.checkpoint(tmp_path, incremental=True)
    restored = Engine.restore(features(), tmp_path)
    for thread in range(THREADS):
        for card in (*(f"{thread}-{n}" for n in range(3)), f"out-{thread}"):
            for shop in range(5):
                keys = {"card": card, "shop": f"shop-{shop}"}
                assert engine.lookup(keys).to_dict() == twin.lookup(keys).to_dict() == restored.lookup(keys).to_dict()


def refusals(engine):
    """What engines say to events that they do not take."""
    for event in ({"ts": "no time"}, {"ts": -(10**15), "card": "a", "shop": "b", "x": 1.0}, 3):
        with pytest.raises((ff.InvalidEvent, ff.LateEvent)) as refused:
            engine.push(event)
        yield str(refused.value)
    with pytest.raises(ff.InvalidEvent) as refused:
        engine.push_json(b"{")
    yield str(refused.value)


def test_pushes_beside_each_other_are_those_of_one_thread():
    engine, twin, out = Engine(numbers()), Engine(numbers()), np.empty(len(numbers().names))
    assert engine._open_up()
    for event in (event for thread in range(3) for event in events_of(thread)):
        expected = twin.push(event)
        assert engine.push(event) == expected
        twin.push_json(json.dumps(event | {"card": "other"}))
        engine.push_json(json.dumps(event | {"card": "other"}), out=out)
    assert list(refusals(engine)) == list(refusals(twin))
    assert engine._is_crowded()
    # What an engine keeps ready for its next event is not that of its twin, which has pushed them all itself.
    assert engine.stats() | {"state_bytes": 0} == twin.stats() | {"state_bytes": 0}
    assert not engine._is_crowded(), "whoever asks has the engine for itself"
    assert engine._state() == twin._state()
    assert not Engine(features())._open_up(), "texts in rows"


def test_an_event_that_others_change_meanwhile_is_taken_or_refused():
    engine, crew = Engine(features()), Crew()
    event = {"ts": 0, "card": "a", "shop": "s", "x": 1.0}
    taken = []

    def change():
        for n in range(2_000):
            event["x"] = n
            event.pop("shop", None)
            event["shop"] = "t"
            event[f"more-{n % 7}"] = n
            event.pop(f"more-{(n + 3) % 7}", None)

    def push():
        for _ in range(500):
            with contextlib.suppress(ff.InvalidEvent, RuntimeError):
                taken.append(engine.push(event))

    crew.add(change)
    for _ in range(3):
        crew.add(push)
    crew.run(4)
    assert engine.stats()["events"] == len(taken)


def test_a_row_is_read_by_many_at_once():
    engine, crew = Engine(features()), Crew()
    row = engine.push(events_of(0)[0])
    first = engine.push(events_of(0)[1])
    told = []

    def read():
        told.append((row.to_dict(), list(row), np.asarray(row).tolist()[:3], row == first, repr(row)))

    for _ in range(8):
        crew.add(read)
    crew.run(8)
    assert len(told) == 8
    assert all(each == told[0] for each in told)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this interpreter has its lock")
def test_threads_that_wait_for_each_other_come_to_push_beside_each_other():
    engine, crew, seen = Engine(numbers()), Crew(), []

    def push(thread):
        for event in events_of(thread) * 20:
            engine.push(event)
            seen.append(engine._is_crowded())

    for thread in range(THREADS):
        crew.add(push, thread)
    crew.run(THREADS)
    assert any(seen)
    assert engine.stats()["events"] == THREADS * EVENTS * 20


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this interpreter has its lock")
def test_the_module_does_not_bring_the_lock_back():
    assert not sys._is_gil_enabled()
