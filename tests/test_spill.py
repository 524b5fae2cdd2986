"""`on_limit="spill"`: keys go to disk and come back, and no row, list or checkpoint tells."""

import random
import tempfile
from pathlib import Path

import fastfeat as ff
import pyarrow
import pytest
from fastfeat import DefinitionError, Engine, MemoryLimit, SpillError, Stream, col, count
from harness import row_bits
from hypothesis import given, note, settings
from strategies import cases, long_cases
from strategies_events import BEYOND

STREAM = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "card": ff.String(), "shop": ff.String(), "x": ff.Float64()},
    time="ts",
    lateness="2s",
)
X = col("x")
FEATURES = STREAM.features(
    X.agg("count", "sum", "mean", "std", "min", "max", "median").over("card", "1h", "24h"),
    shops=col("shop").n_unique().over("card", "24h"),
    top=col("shop").top_k(2).over("card"),
    total=X.sum().over("card"),
    shop_mean=X.mean().over("shop", "24h"),
)
ROOMY = "1TB"
TIGHT = 145_000


def spilling(features, folder, limit=None, **options):
    """By default with a limit at which all keys go but those of the event at hand."""
    limit = Engine(features, **options).stats()["state_bytes"] + TIGHT if limit is None else limit
    return Engine(features, memory_limit=limit, on_limit="spill", spill_path=folder, **options)


def events(number, cards, seed=5):
    chosen = random.Random(seed)
    time = 10_000_000
    for _ in range(number):
        time += chosen.randrange(2_000_000)
        yield {
            "ts": time - chosen.choice((0, 0, 0, 1_500_000)),
            "card": f"c-{chosen.randrange(cards)}",
            "shop": f"s-{chosen.randrange(40)}",
            "x": chosen.choice((chosen.random(), 1e300, -3.5)),
        }


def counted(engine):
    """What it says of itself, but for where things are."""
    where = ("state_bytes", "journal_bytes", "spilled_keys", "spilled_bytes", "spill_file_bytes")
    return {name: value for name, value in engine.stats().items() if name not in where}


def assert_never_noticed(case):
    with tempfile.TemporaryDirectory() as folder:
        never, engine = Engine(case.features, memory_limit=ROOMY), spilling(case.features, Path(folder) / "spilled")
        for stream, event in case.events:
            if stream == case.features.stream.name:
                assert told(engine.peek, event, stream) == told(never.peek, event, stream)
            assert told(engine.push, event, stream) == told(never.push, event, stream)
        assert counted(engine) == counted(never)
        assert engine.late_events() == never.late_events()
        assert engine._state() == never._state()


def told(call, event, stream):
    try:
        row = call(event, stream=stream)
    except ff.LateEvent as error:
        return str(error)
    return None if row is None else row_bits(row)


@given(cases(disorder=BEYOND, on_late="emit"))
@settings(max_examples=2 * settings().max_examples)
def test_rows_are_those_of_an_engine_without_a_limit(case):
    note(case.features.to_json())
    assert_never_noticed(case)


@given(long_cases(disorder=BEYOND, max_size=700))
@settings(max_examples=settings().max_examples // 2)
def test_busy_keys_come_back(case):
    note(case.features.to_json())
    assert_never_noticed(case)


def test_state_four_times_the_limit(tmp_path):
    """Rows, lookups, explanations and tables; what is in memory stays under the limit."""
    never = Engine(FEATURES, memory_limit=ROOMY)
    everything = list(events(30_000, 6_000))
    for event in everything:
        never.push(event)
    limit = never.stats()["state_bytes"] // 4
    engine, never = spilling(FEATURES, tmp_path / "spilled", limit), Engine(FEATURES, memory_limit=ROOMY)
    for place, event in enumerate(everything[:20_000]):
        assert row_bits(engine.push(event)) == row_bits(never.push(event))
        if place % 500 == 0:
            assert engine.stats()["state_bytes"] <= limit
    stats = engine.stats()
    assert stats["spilled_keys"] > stats["keys"] / 2
    assert stats["spilled_bytes"] > limit
    for card in ("c-1", "c-2", "c-77", "c-none"):
        keys = {"card": card, "shop": "s-3"}
        assert row_bits(engine.lookup(keys)) == row_bits(never.lookup(keys))
        assert str(engine.explain("total", keys)) == str(never.explain("total", keys))
    fields = {name: [event[name] for event in everything[20_000:]] for name in STREAM.fields}
    table = pyarrow.table({**fields, "ts": pyarrow.array(fields["ts"], pyarrow.timestamp("us"))})
    answers = [pyarrow.table(each.push_batch(table)) for each in (engine, never)]
    assert answers[0].equals(answers[1])
    assert engine.stats()["state_bytes"] <= limit
    assert counted(engine) == counted(never)


def test_a_checkpoint_goes_on_under_a_smaller_limit(tmp_path):
    never, engine = Engine(FEATURES, memory_limit=ROOMY), spilling(FEATURES, tmp_path / "one", 900_000)
    everything = list(events(12_000, 4_000))
    (tmp_path / "chain").mkdir()
    for place, event in enumerate(everything[:9_000]):
        engine.push(event)
        never.push(event)
        if place in (4_000, 8_000):
            engine.checkpoint(tmp_path / "chain", offsets={"place": place + 1}, incremental=True)
    assert engine.stats()["spilled_keys"] > 1_000
    folder = tmp_path / "another"
    restored = Engine.restore(FEATURES, tmp_path / "chain", memory_limit=900_000, on_limit="spill", spill_path=folder)
    assert restored.stats()["state_bytes"] <= 900_000
    assert restored.stats()["spilled_keys"] > 1_000
    for event in everything[restored.offsets["place"] : 9_000]:
        restored.push(event)
    for event in everything[9_000:]:
        assert row_bits(restored.push(event)) == row_bits(never.push(event))
    # Whoever goes on needs no folder.
    restored.checkpoint(tmp_path / "state.ff")
    assert counted(Engine.restore(FEATURES, tmp_path / "state.ff")) == counted(restored)


def test_keys_that_nothing_sees_leave_from_disk(tmp_path):
    features = STREAM.features(n=count().over("card", "1h"))
    engine = spilling(features, tmp_path)
    for card in range(2_000):
        engine.push({"ts": card, "card": f"c-{card}", "shop": "", "x": 0})
    assert engine.stats()["spilled_keys"] > 1_900
    for place in range(600):
        engine.push({"ts": 4_000_000_000 + place, "card": "c", "shop": "", "x": 0})
    stats = engine.stats()
    assert (stats["keys"], stats["expired"], stats["spilled_keys"]) == (1, 2_000, 0)


def test_what_cannot_go_to_disk_is_refused(tmp_path):
    """A word of memory stays of each key: at some number of keys there is no room for more."""
    features = STREAM.features(n=count().over("card"))
    engine = spilling(features, tmp_path, 400_000)
    outcome = engine.push_messages(
        [b'{"ts": %d, "card": "c-%d", "shop": "", "x": 0}' % (card, card) for card in range(30_000)]
    )
    assert {problem.code for problem in outcome.problems} == {"memory"}
    kept = engine.stats()["keys"]
    assert 5_000 < kept < 25_000
    with pytest.raises(MemoryLimit, match="spill"):
        engine.push({"ts": 100_000, "card": "new", "shop": "", "x": 0})
    assert engine.push({"ts": 200_000, "card": "c-0", "shop": "", "x": 0})["n"] == 2
    assert engine.stats()["keys"] == kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spill_path": "spilled"}, "spill_path is 'spilled' without on_limit='spill'; write both"),
        ({"on_limit": "spill", "spill_path": "spilled"}, "on_limit is 'spill' without a limit; write memory_limit="),
        ({"on_limit": "spill", "memory_limit": "1GB"}, "spill_path is None; write a folder on a local disk"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(DefinitionError) as caught:
        Engine(FEATURES, **options)
    assert message in str(caught.value)


def test_engines_share_a_folder(tmp_path):
    first, second = (spilling(FEATURES, tmp_path / "spilled") for _ in range(2))
    path = first.checkpoint(tmp_path / "state.ff")
    third = Engine.restore(FEATURES, path, memory_limit="1MB", on_limit="spill", spill_path=tmp_path / "spilled")
    names = ["fastfeat-1.spill", "fastfeat-2.spill", "fastfeat.spill"]
    assert sorted(each.name for each in (tmp_path / "spilled").iterdir()) == names
    del first, second, third


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(SpillError, match="cannot be used"):
        spilling(FEATURES, tmp_path / "not" / "there")
