"""Many events of one key: it is a block of 32, then a log in chunks with summaries per 32 and per 1,024.

Every aggregation, in every kind of window, on both sides of each of these sizes, in order and shuffled within the
lateness. Rows are sampled, as the judge looks at every event for each.
"""

import random

import fastfeat as ff
import pytest
from fastfeat import col
from harness import assert_equals_reference, with_lateness
from properties import shuffled
from strategies_aggregations import NEEDS_NO_VALUE, WINDOW_KINDS
from strategies_aggregations import WHOLE as KINDS

LATENESS = 30
X, Y, N = col("x"), col("y"), col("n")
STREAM = with_lateness(f"{LATENESS}s")
# A second has some events, so that a window of seconds has hundreds, and one of minutes thousands.
PER_SECOND = 8


def window_of(kind, seconds):
    """A window of about so many seconds, as `over` takes it."""
    return {
        "rolling": lambda: (f"{seconds}s",),
        "tumbling": lambda: (ff.tumbling(f"{seconds}s"),),
        "hopping": lambda: (ff.hopping(f"{seconds}s", every=f"{max(seconds // 5, 1)}s"),),
        "session": lambda: (ff.session("2s"),),
        "last": lambda: (ff.last(seconds * PER_SECOND),),
        "since": lambda: (ff.since(N == 77),),
        "all": tuple,
    }[kind]()


def aggregation(kind):
    if kind == "lag":
        return X.lag(40)
    if kind in ("last_k", "top_k"):
        return getattr(N, kind)(50)
    if kind in ("quantile", "approx_quantile"):
        return getattr(X, kind)(0.9)
    if kind in ("ewm_sum", "ewm_mean"):
        return getattr(X, kind)("20s")
    if kind in ("cov", "corr", "min_by", "max_by"):
        return getattr(X, kind)(Y)
    if kind in ("any", "all"):
        return getattr(X < 0.0 if kind == "any" else X >= 0.0, kind)()
    if kind in ("rate", "time_since_last", "time_since_first"):
        return getattr(ff, kind)().where(X > 500.0)
    return (N if kind in ("n_unique", "approx_n_unique", "mode", "entropy", "is_first") else X).agg(kind)


def features_of(kind, seconds):
    """The aggregation in each window that it has a meaning in, and where the event does not count itself."""
    folded = ("all", "hopping") if kind in ("quantile", "median") else ()
    without_length = ("session", "last", "since", "all") if kind == "rate" else ()
    fitting = [window for window in WINDOW_KINDS if window not in folded + without_length]
    made = {each: aggregation(kind).over("card", *window_of(each, seconds)) for each in fitting}
    if kind not in NEEDS_NO_VALUE:
        made["some"] = aggregation(kind).where(col("b")).over("card", f"{seconds}s")
    made["before"] = aggregation(kind).over("card", f"{seconds}s", include_current=False)
    return STREAM.features(**made)


def many(size, seed):
    """Events of one key with a few gaps; amounts of cents, some of them large, and few whole numbers."""
    random_ = random.Random(seed)
    time, events = 0, []
    for _ in range(size):
        gap = random_.random()
        time += 3 if gap < 0.002 else gap < 1 / PER_SECOND
        x = (
            random_.randrange(1, 100_000) / 100
            if random_.random() < 0.97
            else random_.choice((1e15, -1e15, -0.5, None))
        )
        event = {"ts": time, "card": "c", "x": x, "y": random_.randrange(1_000) / 8, "b": random_.random() < 0.6}
        events.append(event | {"n": random_.randrange(300)})
    return events


FORTY_THOUSAND = shuffled(random.Random(7), many(40_000, seed=7), LATENESS)


def check(features, events, rows):
    assert_equals_reference(features, [("payments", event) for event in events], rows)


@pytest.mark.parametrize("order", ["in order", "shuffled"])
@pytest.mark.parametrize("size", [40, 1_100])
@pytest.mark.parametrize("kind", KINDS)
def test_a_history_that_outgrows_a_block_and_a_summary(kind, size, order):
    events = many(size, seed=size)
    if order == "shuffled":
        events = shuffled(random.Random(size), events, LATENESS)
    around = range(size) if size == 40 else {*range(28, 40, 3), *range(60, 70, 4), *range(1_020, 1_060, 9), 555, 1_099}
    check(features_of(kind, seconds=max(size // PER_SECOND // 2, 3)), events, around)


@pytest.mark.parametrize("kind", KINDS)
def test_forty_thousand_events_out_of_order(kind):
    """Thousands of them are in the window; most have left it by the end."""
    features = STREAM.features(it=aggregation(kind).over("card", "400s"))
    check(features, FORTY_THOUSAND, {21_777, len(FORTY_THOUSAND) - 1})


@pytest.mark.parametrize("kind", ["sum", "min", "n_unique", "median", "slope", "max_by"])
def test_all_forty_thousand_events_are_inside(kind):
    size = 40_000
    features = STREAM.features(
        it=aggregation(kind).over("card", "30d"), last=aggregation(kind).over("card", ff.last(size))
    )
    check(features, many(size, seed=3), {size // 2 + 13, size - 1})


def test_a_key_that_outgrows_and_shrinks_again_and_again():
    """Bursts of hundreds, then silence until all have left; what comes after sees nothing of what was there."""
    kinds = ("count", "sum", "std", "min", "first", "last", "n_unique", "median", "mode", "skew")
    features = STREAM.features(x=X.agg(*kinds).over("card", "20s"), k=X.last_k(40).over("card", "20s"))
    random_, events, time = random.Random(5), [], 0
    for burst in (500, 3, 40, 1, 1_200, 33, 2, 31, 32, 64):
        for _ in range(burst):
            time += random_.random() < 0.02
            events.append({"ts": time, "card": "c", "x": random_.choice((0.1, 1e300, -1e15, 3.0, None))})
        time += 100
    check(features, shuffled(random_, events, 5), range(0, len(events), 17))
