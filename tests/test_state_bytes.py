"""`state_bytes` is what the process really holds, and the memory limit holds it there; each in a process of its own.

Ten million keys take minutes: `make bench-memory` shows them, and a flood of as many.
"""

import pytest
from growth import MERCHANTS, MIB, NOISE_BYTES, Work, measured


def assert_counted(found):
    counted = found["state_bytes"]
    # A small state may come to lie in what was freed before, and the process grows by nothing.
    took = found["grown_bytes"] if counted > 6 * MIB else found["kept_bytes"]
    assert abs(took - counted) <= 0.1 * counted + NOISE_BYTES, found


@pytest.mark.parametrize("features", ["cards_30", "mixed"])
@pytest.mark.parametrize("keys", [10_000, 1_000_000])
def test_keys_of_one_event_take_what_is_counted(features, keys):
    found = measured(Work(features, keys))
    assert found["keys"] >= keys
    assert_counted(found)


@pytest.mark.parametrize(
    ("features", "keys", "per_day"),
    [
        ("cards_30", 10_000, 2.0),
        ("cards_30", 10_000, 20.0),
        ("all_time", 60_000, 1.0),
        ("hopping", 10_000, 2.0),
        ("mixed", 10_000, 2.0),
        ("mixed", 500, 400.0),
    ],
)
def test_keys_of_a_few_and_of_many_events_take_what_is_counted(features, keys, per_day):
    found = measured(Work(features, keys, per_day))
    assert found["state_bytes"] > 6 * MIB, "too small to tell"
    assert_counted(found)


@pytest.mark.parametrize("features", ["cards_30", "all_time", "mixed"])
@pytest.mark.parametrize("on_limit", ["error", "evict_idle"])
def test_a_flood_of_keys_stays_under_the_limit(features, on_limit):
    limit = 16 * MIB
    found = measured(Work(features, 300_000, memory_limit=limit, on_limit=on_limit))
    assert 0.6 * limit < found["state_bytes"] <= limit
    assert found["highest_bytes"] <= limit + NOISE_BYTES
    if on_limit == "error":
        assert found["refused"] == found["tables_refused"] > 0
        assert (found["evicted"], found["events"] < 300_000) == (0, True)
    else:
        assert (found["refused"], found["events"]) == (0, 300_000)
        # Every card goes once, in the order in which they came; a merchant is never idle for as long.
        came = 300_000 + (MERCHANTS if features == "cards_30" else 0)
        assert found["keys"] + found["evicted"] == came
