"""A checkpoint that is written while other threads push: the state of one instant, and the engine does not notice."""

import json
import os
import sys
import threading

import fastfeat as ff
import numpy as np
import pyarrow as pa
import pytest
from fastfeat import Engine, Stream, col, count
from harness import row_bits

EVENTS = 6_000
PAYMENTS = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "card": ff.String(), "shop": ff.String(nullable=True), "x": ff.Float64()},
    time="ts",
    lateness="30us",
)


def features():
    x = col("x")
    return PAYMENTS.features(
        x.agg("count", "sum", "std", "max").over("card", "2ms", "20ms"),
        shops=col("shop").n_unique().over("card", "20ms"),
        middle=x.median().over("shop", "10ms"),
        total=x.sum().over("card"),
        newest=col("shop").last_k(3).over("shop"),
        session=count().over("card", ff.session("20us")),
    )


def numbers():
    """Those of which a row is floats."""
    x = col("x")
    return PAYMENTS.features(x.agg("count", "sum", "std", "max").over("card", "2ms"), total=x.sum().over("shop", "1ms"))


def event(place):
    """Cards come and leave, a few shops have thousands of events, one event in seven is out of order."""
    behind = place * 7 % 29 if place % 7 == 0 else 0
    shop = None if place % 11 == 0 else f"shop {place // 400 % 5}"
    return {
        "ts": 1_000 + 5 * place - behind,
        "card": f"c-{place * place % 97 + place // 500}",
        "shop": shop,
        "x": place / 8,
    }


ROOMY = 1 << 40
"""A limit that is never reached: memory is laid out as under one that is."""


def spilling(folder):
    """Options by which half of the state is on disk in the end."""
    whole = Engine(features(), memory_limit=ROOMY)
    for place in range(EVENTS):
        whole.push(event(place))
    return {"memory_limit": whole.stats()["state_bytes"] // 2, "on_limit": "spill", "spill_path": folder / "keys"}


@pytest.mark.parametrize(("incremental", "spills"), [(False, False), (True, False), (False, True), (True, True)])
def test_each_file_is_the_state_of_an_instant(tmp_path, incremental, spills):
    options = spilling(tmp_path) if spills else {}
    roomy = {"memory_limit": ROOMY} if spills else {}
    folder, shared, over, found = tmp_path / "states", Engine(features(), **options), threading.Event(), []
    folder.mkdir()

    def push():
        for place in range(EVENTS):
            shared.push(event(place))
        over.set()

    thread = threading.Thread(target=push)
    thread.start()
    while not over.is_set():
        path = shared.checkpoint(folder, keep=1, incremental=incremental)
        restored = Engine.restore(features(), path, **roomy)
        found.append((restored.stats()["events"], restored._state()))
    thread.join()
    engine, pushed = Engine(features(), **roomy), 0
    for events, state in found:
        for place in range(pushed, events):
            engine.push(event(place))
        pushed = events
        assert engine._state() == state, f"after {events} events"
    for place in range(pushed, EVENTS):
        engine.push(event(place))
    assert engine._state() == shared._state()
    assert {events for events, _ in found} - {0, EVENTS}, "some were written in between"
    assert bool(shared.stats()["spilled_keys"]) is spills


def test_who_goes_on_from_it_comes_to_the_same(tmp_path):
    shared, begun = Engine(features()), threading.Event()

    def push():
        for place in range(EVENTS):
            shared.push(event(place))
            if place == EVENTS // 2:
                begun.set()

    thread = threading.Thread(target=push)
    thread.start()
    begun.wait()
    engine = Engine.restore(features(), shared.checkpoint(tmp_path / "state.ff"))
    thread.join()
    never = Engine(features())
    begin = engine.stats()["events"]
    for place in range(EVENTS):
        row = never.push(event(place))
        if place >= begin:
            assert row_bits(engine.push(event(place))) == row_bits(row)
    assert engine._state() == never._state() == shared._state()


def test_checkpoints_of_several_threads_come_one_after_the_other(tmp_path):
    engine, errors = Engine(features()), []
    for place in range(2_000):
        engine.push(event(place))

    def write(name):
        try:
            engine.checkpoint(tmp_path / name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(f"{number}.ff",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for place in range(2_000, 3_000):
        engine.push(event(place))
    for thread in threads:
        thread.join()
    assert not errors
    for number in range(4):
        restored = Engine.restore(features(), tmp_path / f"{number}.ff")
        assert 2_000 <= restored.stats()["events"] <= 3_000


def test_a_checkpoint_out_of_an_event_of_the_engine_is_refused(tmp_path):
    engine = Engine(features())

    class Reentrant:
        def __float__(self):
            engine.checkpoint(tmp_path / "state.ff")
            return 0.5

    with pytest.raises(RuntimeError, match="busy with an event"):
        engine.push(event(0) | {"x": Reentrant()})
    engine.push(event(0))
    engine.checkpoint(tmp_path / "state.ff")


def table(place):
    events = [event(place + further) for further in range(4)]
    return pa.table({name: [event[name] for event in events] for name in events[0]})


def late(engine, _place):
    with pytest.raises(ff.LateEvent):
        engine.push(event(0))


CALLS = {
    "push": lambda engine, place: engine.push(event(place)),
    "push into out": lambda engine, place: engine.push(event(place), out=np.zeros(len(engine.names))),
    "push_json": lambda engine, place: engine.push_json(json.dumps(event(place))),
    "push_batch": lambda engine, place: engine.push_batch(table(place)),
    "a push that raises": late,
    "peek": lambda engine, place: engine.peek(event(place)),
    "lookup": lambda engine, _place: engine.lookup({"card": "c-1", "shop": "shop 1"}),
}


@pytest.mark.parametrize("call", CALLS)
def test_who_has_the_engine_helps_to_save_it(tmp_path, call):
    """As long as it takes, as a thread may be kept from its processor."""
    engine, over, begin = Engine(numbers() if call == "push into out" else features()), threading.Event(), 2_000
    for place in range(begin):
        engine.push(event(place))
    errors = []

    def use():
        try:
            place = begin
            while not over.is_set():
                CALLS[call](engine, place)
                place += 4 if call == "push_batch" else 1
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    while not errors:
        path = engine.checkpoint(tmp_path / "state.ff")
        helped, longest_ns = engine._helped()
        assert (helped > 0) == (longest_ns > 0)
        if helped:
            break
    over.set()
    thread.join()
    assert not errors
    wanted = numbers() if call == "push into out" else features()
    restored, replayed = Engine.restore(wanted, path), Engine(wanted)
    for place in range(restored.stats()["events"]):
        replayed.push(event(place))
    for _ in range(restored.stats()["late"]):
        late(replayed, None)
    assert restored._state() == replayed._state()


@pytest.mark.skipif(sys.platform != "linux", reason="what a thread can say of itself there")
def test_the_writer_takes_no_processor_from_others_and_is_a_usual_thread_again(tmp_path, monkeypatch):
    engine, found, usual = Engine(features()), [], os.sched_setscheduler

    def told(thread, policy, parameter):
        usual(thread, policy, parameter)
        found.append(os.sched_getscheduler(thread))

    monkeypatch.setattr(os, "sched_setscheduler", told)
    engine.checkpoint(tmp_path / "state.ff")
    with pytest.raises(ff.CheckpointError):
        engine.checkpoint(tmp_path / "not" / "there" / "state.ff")
    assert found == [os.SCHED_BATCH, os.SCHED_OTHER] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="what a thread can say of itself there")
def test_a_system_that_refuses_it_is_written_on_all_the_same(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert Engine(features()).checkpoint(tmp_path / "state.ff").exists()
