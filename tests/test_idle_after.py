"""`Engine(idle_after=)`: a row sees nothing of its key from before a gap longer than that, in event time."""

import random

import fastfeat as ff
import pytest
from fastfeat import Engine, Stream, col, count

STREAM = {"ts": ff.Timestamp("s"), "key": ff.String(), "x": ff.Float64(), "flag": ff.Boolean()}


def features(stream):
    x = col("x")
    return stream.features(
        n=count().over("key"),
        total=x.sum().over("key"),
        previous=x.lag(1).over("key"),
        one_before=x.lag(2).over("key"),
        strictly_previous=x.lag(1).over("key", ties="exclude"),
        first=x.first().over("key"),
        distinct=x.n_unique().over("key"),
        newest=count().over("key", ff.last(3)),
        since=count().over("key", ff.since(col("flag"))),
        rolling=x.sum().over("key", "6s"),
    )


def expected(earlier, event, idle):
    """By the rule, from the raw events: those of the key up to the row, back to the first long gap."""
    time, x = event["ts"], event["x"]
    seen = []
    later = time
    for other in reversed(earlier):
        if later - other["ts"] > idle:
            break
        seen.insert(0, other)
        later = other["ts"]
    everything = [*seen, event]
    strict = [other for other in seen if other["ts"] < time]
    met = [place for place, other in enumerate(everything) if other["flag"]]
    return {
        "n": len(everything),
        "total": sum(other["x"] for other in everything),
        "previous": seen[-1]["x"] if seen else None,
        "one_before": seen[-2]["x"] if len(seen) > 1 else None,
        "strictly_previous": strict[-1]["x"] if strict else None,
        "first": everything[0]["x"],
        "distinct": len({other["x"] for other in everything}),
        "newest": min(3, len(everything)),
        "since": len(everything) - met[-1] if met else 0,
        "rolling": sum(other["x"] for other in everything if other["ts"] > time - 6) if x is not None else None,
    }


@pytest.mark.parametrize("lateness", [0, 5])
@pytest.mark.parametrize("idle", [7, 10, 20])
@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_seen_from_before_a_long_gap(seed, idle, lateness):
    draw = random.Random(f"{seed} {idle} {lateness}")
    engine = Engine(features(Stream("s", STREAM, time="ts", lateness=f"{lateness}s")), idle_after=f"{idle}s")
    time, events = 0, []
    for _ in range(150):
        time += draw.choice([0, 0, 1, 1, 2, 3, idle, idle + 1, idle + 2])
        events.append(
            {"ts": time, "key": draw.choice("ab"), "x": float(draw.randrange(5)), "flag": draw.random() < 0.2}
        )
    events.sort(key=lambda event: event["ts"] + draw.random() * lateness)
    taken, newest = [], 0
    for event in events:
        if event["ts"] < newest - lateness:
            continue
        newest = max(newest, event["ts"])
        earlier = [other for other in taken if other["key"] == event["key"] and other["ts"] <= event["ts"]]
        earlier.sort(key=lambda other: other["ts"])  # stable: of equal times what came first is first
        assert engine.push(event).to_dict() == expected(earlier, event, idle), event
        taken.append(event)


def test_a_key_that_was_idle_for_too_long_leaves():
    stream = Stream("s", STREAM, time="ts")
    engine = Engine(stream.features(n=count().over("key")), idle_after="10s")
    for time in range(0, 4_000, 20):
        engine.push({"ts": time, "key": f"k{time}", "x": 0.0, "flag": False})
    assert engine.stats()["keys"] <= 3
    assert engine.stats()["expired"] >= 197


@pytest.mark.parametrize("others", [3, 30, 100])
@pytest.mark.parametrize(
    "window", ["100s", ff.hopping("100s", every="10s"), ff.session("100s"), ff.tumbling("100s")], ids=str
)
def test_a_busy_key_that_nothing_sees_goes_a_few_events_at_a_time_and_may_come_back(window, others):
    """Found when a key that had begun to go got an event: what was kept of its past pointed before its log."""
    stream = Stream("s", STREAM, time="ts")
    x = col("x")
    engine = Engine(
        stream.features(
            n=count().over("key", window), unique=x.n_unique().over("key", window), mode=x.mode().over("key", window)
        )
    )

    def push(time, key, x):
        return engine.push({"ts": time, "key": key, "x": x, "flag": False}).to_dict()

    for place in range(1_000):
        push(place // 500, "a", float(place))
    for place in range(others):
        push(1_000 + place, "b", 0.0)
    assert push(1_000 + others, "a", 1.0) == {"n": 1, "unique": 1, "mode": 1.0}
    assert push(1_000 + others, "a", 2.0) == {"n": 2, "unique": 2, "mode": 1.0}
