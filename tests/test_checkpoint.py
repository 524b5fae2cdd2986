"""A checkpoint is whole or absent, and an engine goes on from it as if it had never stopped, to the bit."""

import contextlib
import gc
import os
import resource
import shutil
import threading
import warnings
from pathlib import Path

import fastfeat as ff
import pyarrow
import pytest
from fastfeat import CheckpointError, CheckpointWarning, Engine, LateEvent, Lookup, Stream, col, count
from harness import row_bits
from hypothesis import given, note, settings
from hypothesis import strategies as st
from stored import FIXTURES, OFFSETS, stored_events, stored_features
from strategies import cases, edges_ns, long_cases, payment_streams
from strategies_aggregations import WHOLE as KINDS
from strategies_aggregations import WINDOW_KINDS, aggregations, has_a_meaning, window_choices
from strategies_events import BEYOND, WITHIN, long_run
from strategies_expressions import PAYMENT_COLUMNS, whole

FEW = max(settings().max_examples // 7, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Examples of hypothesis share it: each writes over the last."""
    return tmp_path_factory.mktemp("checkpoints")


def pushed(engine, stream, event):
    try:
        return row_bits(engine.push(event, stream=stream))
    except LateEvent as error:
        return str(error)


def counts(engine):
    """What is counted, but for bytes: memory lies otherwise after a restart."""
    return {name: value for name, value in engine.stats().items() if name != "state_bytes"}


def assert_goes_on(features, events, stops, path, **options):
    """At each of `stops` one of two engines is written, and another goes on in its place."""
    never, stopped = Engine(features, **options), Engine(features, **options)
    for place, (stream, event) in enumerate(events):
        if place in stops:
            stopped.checkpoint(path, offsets={"place": place})
            written = stopped._state()
            stopped = Engine.restore(features, path, **options)
            assert stopped.offsets == {"place": place}
            assert counts(stopped) == counts(never)
            assert stopped.late_events() == never.late_events()
            assert stopped._state() == written, "the same state gives the same bytes"
        assert pushed(stopped, stream, event) == pushed(never, stream, event), f"event {place} of {stream}: {event}"
    assert counts(stopped) == counts(never)
    assert never._state() == stopped._state(), "both have come to the same state"


# --- Any case ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_late", ["reject", "emit"])
@given(st.data())
def test_any_engine_goes_on(folder, on_late, data):
    case = data.draw(cases(disorder=BEYOND, on_late=on_late))
    note(case.features.to_json())
    stops = data.draw(st.sets(st.integers(0, max(len(case.events) - 1, 0)), min_size=1, max_size=3))
    assert_goes_on(case.features, case.events, stops, folder / "any.ff")


@given(long_cases(disorder=BEYOND, max_size=1_100), st.sets(st.integers(0, 1_000), min_size=1, max_size=3))
@settings(max_examples=FEW)
def test_engines_of_busy_keys_go_on(folder, case, stops):
    note(case.features.to_json())
    assert_goes_on(case.features, case.events, {stop % len(case.events) for stop in stops}, folder / "busy.ff")


@pytest.mark.parametrize("window_kind", WINDOW_KINDS)
@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(max_examples=2)
def test_every_aggregation_in_every_window_goes_on(folder, kind, window_kind, data):
    window = data.draw(window_choices(window_kind, ("3ms", "1s", "1m")))
    kinds = [kind] if has_a_meaning(kind, window, own=True) else ["count"]
    payments = data.draw(payment_streams(("us", "ns"), WITHIN))
    made = aggregations(whole(PAYMENT_COLUMNS), [window], kinds)
    features = payments.features(**{f"f{place}": data.draw(made) for place in range(2)})
    note(features.to_json())
    events = long_run(data.draw(st.integers(0, 2**32)), (payments,), edges_ns([window]), 150, 0.2, 0.02, WITHIN)
    assert_goes_on(features, events, {data.draw(st.integers(1, 149))}, folder / "one.ff")


# --- One engine ----------------------------------------------------------------------------------------------------

PAYMENTS = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "card": ff.String(), "shop": ff.String(nullable=True), "x": ff.Float64(allow_nan=True)},
    time="ts",
    lateness="20us",
)
FEATURES = PAYMENTS.features(
    n=count().over("card", "1ms"),
    total=col("x").sum().over("card"),
    spread=col("x").std().over("card", ff.hopping("1ms", every="100us")),
    shops=col("shop").top_k(2).over("shop"),
    last=col("shop").last().over("card", ff.last(5)),
)
EVENTS = [
    {"ts": 100 + 7 * place - place % 3 * 9, "card": f"c-{place % 4}", "shop": "sh" * (place % 5), "x": place / 8}
    for place in range(200)
]


def engine_of(events, features=FEATURES, **options):
    engine = Engine(features, **options)
    for event in events:
        engine.push(event)
    return engine


def assert_is_at(engine, place, features=FEATURES):
    """It answers the rest of the events as one that had the first `place` of them."""
    never = engine_of(EVENTS[:place], features)
    for event in EVENTS[place : place + 20]:
        assert row_bits(engine.push(event)) == row_bits(never.push(event))


@pytest.mark.parametrize("offsets", [OFFSETS, {}, {"topic": {"0": 2**63, "é": None}, "more": [1, "a", 0.5]}])
def test_offsets_come_back(tmp_path, offsets):
    path = engine_of(EVENTS[:50]).checkpoint(tmp_path / "state.ff", offsets=offsets)
    engine = Engine.restore(FEATURES, path)
    assert engine.offsets == offsets
    engine.offsets.clear()
    assert engine.offsets == offsets
    assert Engine(FEATURES).offsets == {}


@pytest.mark.parametrize("offsets", [{0: 1}, {"a": {0: 1}}, {"a": float("nan")}, {"a": (1,)}, {"\ud800": 1}, [1], "a"])
def test_offsets_that_would_not_come_back_are_refused(tmp_path, offsets):
    with pytest.raises(TypeError, match="offsets"):
        Engine(FEATURES).checkpoint(tmp_path / "state.ff", offsets=offsets)
    assert not list(tmp_path.iterdir())


def test_invalid_and_late_events_are_counted_on(tmp_path):
    engine = engine_of(EVENTS[:100])
    for event, error in (({"ts": 1}, ff.InvalidEvent), ({**EVENTS[0], "ts": 2}, LateEvent)):
        with pytest.raises(error):
            engine.push(event)
    restored = Engine.restore(FEATURES, engine.checkpoint(tmp_path / "state.ff"))
    assert counts(restored) == counts(engine)
    assert (restored.stats()["invalid"], restored.stats()["late"]) == (1, 1)
    assert restored.late_events() == engine.late_events()
    assert len(restored.late_events()) == 1
    assert Engine.restore(FEATURES, tmp_path / "state.ff", late_events_max=0).late_events() == []


def test_a_batch_goes_on_too(tmp_path):
    names = ("ts", "card", "shop", "x")
    table = pyarrow.table({name: [event[name] for event in EVENTS] for name in names})
    never, first = Engine(FEATURES), Engine(FEATURES)
    whole_table = pyarrow.table(never.push_batch(table))
    first.push_batch(table.slice(0, 101))
    rest = Engine.restore(FEATURES, first.checkpoint(tmp_path / "state.ff")).push_batch(table.slice(101))
    assert pyarrow.table(rest).equals(whole_table.slice(101))


def test_lookups_are_given_their_rows_again(tmp_path):
    def shops(risk):
        return Lookup("shops", pyarrow.table({"shop": ["sh", "shsh"], "risk": risk}), key="shop")

    lookup = shops([1, 2])
    features = PAYMENTS.features(risk=lookup["risk"], n=count().over("card"))
    engine = engine_of(EVENTS[:30], features)
    engine.set_lookup(shops([3, 4]))
    for event in EVENTS[30:60]:
        engine.push(event)
    path = engine.checkpoint(tmp_path / "state.ff")
    restored = Engine.restore(features, path, lookups=[shops([3, 4])])
    assert counts(restored) == counts(engine)
    assert restored.stats()["lookups"]["shops"]["version"] == 2
    assert row_bits(restored.push(EVENTS[61])) == row_bits(engine.push(EVENTS[61]))
    # Other rows are another version; they are not those of the checkpoint.
    assert Engine.restore(features, path).stats()["lookups"]["shops"]["version"] == 3


def test_a_changed_definition_is_refused_by_name(tmp_path):
    path = engine_of(EVENTS[:50]).checkpoint(tmp_path / "state.ff")
    other = PAYMENTS.features(n=count().over("card", "1ms"), total=col("x").sum().over("shop"))
    with pytest.raises(
        CheckpointError, match=r"another definition \(fingerprint .*`total` is changed.*`shops`.* gone"
    ) as caught:
        Engine.restore(other, path, changed="refuse_any")
    assert (caught.value.fault, caught.value.place) == ("refused", str(path))
    assert caught.value.code == "checkpoint"


def test_another_idle_after_is_refused(tmp_path):
    path = engine_of(EVENTS[:50], idle_after="1s").checkpoint(tmp_path / "state.ff")
    with pytest.raises(CheckpointError, match="`idle_after` of 1000000 ticks, and none is asked for"):
        Engine.restore(FEATURES, path)
    Engine.restore(FEATURES, path, idle_after="1s")


def test_other_threads_run_while_it_is_written(tmp_path):
    """The interpreter is let go: a thread of Python counts on while checkpoints are written."""
    engine, done, counted = engine_of(EVENTS), threading.Event(), 0

    def count_on():
        nonlocal counted
        while not done.is_set():
            counted += 1

    thread = threading.Thread(target=count_on)
    thread.start()
    for _ in range(5):
        engine.checkpoint(tmp_path / "state.ff")
    done.set()
    thread.join()
    assert counted > 0


# --- Files and folders ---------------------------------------------------------------------------------------------


def test_a_file_is_written_over_as_a_whole_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "state.ff"
    for place in (50, 100):
        assert engine_of(EVENTS[:place]).checkpoint(path) == path
        assert_is_at(Engine.restore(FEATURES, path), place)
    assert [each.name for each in tmp_path.iterdir()] == ["state.ff"]


def test_what_killed_writers_left_is_swept(tmp_path):
    left, other = tmp_path / ".state.ff.1-0.part", tmp_path / ".state.ff.mine.part"
    left.write_bytes(b"half")
    other.write_bytes(b"of somebody else")
    engine_of(EVENTS[:50]).checkpoint(tmp_path / "state.ff")
    assert not left.exists()
    assert other.exists()


def test_a_folder_keeps_the_newest(tmp_path):
    engine = Engine(FEATURES)
    for place in range(6):
        for event in EVENTS[place * 10 : place * 10 + 10]:
            engine.push(event)
        path = engine.checkpoint(tmp_path, offsets={"place": place}, keep=3)
        assert path == tmp_path / f"checkpoint-{place + 1}.ff"
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        *(f"checkpoint-{number}.ff" for number in (4, 5, 6)),
        "manifest.json",
    ]
    restored = Engine.restore(FEATURES, tmp_path)
    assert restored.offsets == {"place": 5}
    assert_is_at(restored, 60)
    engine.checkpoint(tmp_path, keep=1)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["checkpoint-7.ff", "manifest.json"]


def test_a_path_that_ends_as_a_folder_makes_one(tmp_path):
    path = engine_of(EVENTS[:50]).checkpoint(f"{tmp_path}/new/")
    assert path == tmp_path / "new" / "checkpoint-1.ff"
    assert_is_at(Engine.restore(FEATURES, tmp_path / "new"), 50)


@pytest.fixture
def three(tmp_path):
    """A folder of checkpoints at 20, 40 and 60 events."""
    folder = tmp_path / "three"
    folder.mkdir()
    for place in (20, 40, 60):
        engine_of(EVENTS[:place]).checkpoint(folder, offsets={"place": place})
    return folder


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "changed":
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    elif how == "another file":
        path.write_bytes(b"\x00" * len(content))


@pytest.mark.parametrize("how", ["gone", "empty", "cut", "changed", "another file"])
def test_the_one_before_is_used_and_the_damage_is_named(three, how):
    damage(three / "checkpoint-3.ff", how)
    with pytest.warns(CheckpointWarning, match=r"checkpoint-3\.ff") as caught:
        engine = Engine.restore(FEATURES, three)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert engine.offsets == {"place": 40}
    assert_is_at(engine, 40)
    damage(three / "checkpoint-2.ff", "cut")
    damage(three / "checkpoint-1.ff", "cut")
    with pytest.raises(
        CheckpointError, match=r"none .* is whole.*checkpoint-3\.ff.*checkpoint-2\.ff.*checkpoint-1\.ff"
    ):
        Engine.restore(FEATURES, three)


@pytest.mark.parametrize("how", ["gone", "empty", "cut", "changed", "another file"])
def test_a_damaged_manifest_is_named_and_the_files_are_looked_at(three, how):
    damage(three / "manifest.json", how)
    with pytest.warns(CheckpointWarning, match=r"manifest\.json"):
        engine = Engine.restore(FEATURES, three)
    assert engine.offsets == {"place": 60}
    # The next one mends it.
    engine.checkpoint(three, offsets={"place": 61}, keep=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Engine.restore(FEATURES, three).offsets == {"place": 61}
    assert sorted(each.name for each in three.iterdir()) == ["checkpoint-3.ff", "checkpoint-4.ff", "manifest.json"]


def test_a_file_that_the_manifest_does_not_name_does_not_count(three):
    shutil.copy(three / "checkpoint-1.ff", three / "checkpoint-9.ff")
    assert Engine.restore(FEATURES, three).offsets == {"place": 60}
    assert engine_of(EVENTS[:5]).checkpoint(three).name == "checkpoint-10.ff"
    assert not (three / "checkpoint-9.ff").exists()


def test_another_definition_does_not_lead_to_an_older_checkpoint(three):
    features = PAYMENTS.features(n=count().over("card"))
    engine_of(EVENTS[:5], features).checkpoint(three)
    with pytest.raises(CheckpointError, match=r"checkpoint-4\.ff.*features are others.*`n`"):
        Engine.restore(FEATURES, three)
    with pytest.raises(CheckpointError, match=r"checkpoint-4\.ff.*another definition"):
        Engine.restore(FEATURES, three, changed="refuse_any")


@pytest.mark.parametrize("name", ["nothing.ff", "nothing/", "here"])
def test_nothing_there_is_said(tmp_path, name):
    (tmp_path / "here").mkdir()
    with pytest.raises(CheckpointError, match=r"does not exist|cannot be read|has no checkpoint"):
        Engine.restore(FEATURES, f"{tmp_path}/{name}")


@pytest.mark.parametrize("path", ["missing/state.ff", "file/state.ff", "file/"])
def test_a_disk_that_refuses_leaves_what_was_there(tmp_path, path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(CheckpointError, match="could not be written") as caught:
        engine_of(EVENTS[:5]).checkpoint(f"{tmp_path}/{path}")
    assert caught.value.fault == "disk"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "here"


@pytest.mark.parametrize("bytes_max", [0, 1, 12, 5_000])
def test_a_disk_that_takes_no_more_leaves_the_one_before(three, bytes_max):
    """The limit on the size of a file stands in for a full disk: a write is cut short, and the next one fails."""
    engine, before = engine_of(EVENTS), {each: each.read_bytes() for each in three.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r"could not be written.*is still there") as caught:
            engine.checkpoint(three)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.fault == "disk"
    assert {each: each.read_bytes() for each in three.iterdir()} == before
    assert Engine.restore(FEATURES, three).offsets == {"place": 60}


@pytest.mark.parametrize("keep", [0, -1, True, 1.5, "3"])
def test_keep_is_a_number_of_checkpoints(tmp_path, keep):
    with pytest.raises(ValueError, match="keep is"):
        Engine(FEATURES).checkpoint(tmp_path, keep=keep)


# --- Damage, from Python: the Rust tests change every byte ---------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "state.ff"
    engine_of(EVENTS[:12]).checkpoint(path)
    return path


@given(st.data())
@settings(max_examples=200)
def test_any_damage_is_refused(folder, small, data):
    content, path = bytearray(small.read_bytes()), folder / "damaged.ff"
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        Engine.restore(FEATURES, path)
    # A version that is not known cannot be told from one that is damaged.
    assert caught.value.fault == ("refused" if 8 <= place < 12 and len(content) > 12 else "damaged")


def test_open_files_are_closed(tmp_path):
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        return
    engine = engine_of(EVENTS[:50])
    gc.collect()
    before = len(os.listdir(descriptors))
    for _ in range(20):
        engine.checkpoint(tmp_path)
        Engine.restore(FEATURES, tmp_path)
        with contextlib.suppress(CheckpointError):
            Engine.restore(FEATURES, tmp_path / "manifest.json")
    assert len(os.listdir(descriptors)) == before


# --- Stored files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
@pytest.mark.parametrize("path", ["state.ff", "chain"])
def test_every_format_opens(path, version):
    features, events = stored_features(), stored_events()
    never = Engine(features)
    for stream, event in events[:150]:
        never.push(event, stream=stream)
    engine = Engine.restore(features, FIXTURES / version / path)
    assert engine.offsets == OFFSETS
    assert counts(engine) == counts(never)
    for stream, event in events[150:]:
        assert row_bits(engine.push(event, stream=stream)) == row_bits(never.push(event, stream=stream))
