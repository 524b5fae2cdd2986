"""A window of a million live events: sums to the bit, means and variances to their promise, and in bearable time."""

import math

import fastfeat as ff
import numpy
import pyarrow
import pytest
from fastfeat import Engine, Stream, col

LIVE = 1_000_000
EVENTS = LIVE + 60_000
SAMPLED = (LIVE // 2, LIVE - 1, LIVE, LIVE + 1, LIVE + 31_234, LIVE + 50_000, LIVE + 50_001, EVENTS - 1)
STREAM = Stream("payments", {"ts": ff.Timestamp("us"), "x": ff.Float64()}, time="ts")
# One event a microsecond: a second holds a million.
FEATURES = STREAM.features(
    sum=col("x").sum().over("1s"),
    mean=col("x").mean().over("1s"),
    var=col("x").var().over("1s"),
    all=col("x").sum().over(),
)


def plain():
    return numpy.random.default_rng(1).lognormal(3.2, 1.1, EVENTS).round(2)


def large_beside_small():
    """1e15, then 0.1, then -1e15, over and over: the small ones are all there is."""
    return numpy.resize([1e15, 0.1, -1e15, 0.1], EVENTS)


def huge_that_leave():
    """Huge values early on; once they have left, nothing may be left of them."""
    values = plain()
    values[10:30_000:7] *= 1e290
    values[50_000] = 1.7e308
    return values


def opposites():
    """What sums to almost nothing: each value and, far away, its opposite."""
    values = plain()
    half = EVENTS // 2
    values[half : 2 * half] = -values[:half]
    values[half::1_000] += 2.0**-30
    return values


def large_mean():
    return 1e9 + numpy.random.default_rng(2).standard_normal(EVENTS)


def every_exponent():
    random = numpy.random.default_rng(3)
    return numpy.ldexp(random.uniform(-1, 1, EVENTS), random.integers(-1_070, 1_000, EVENTS))


@pytest.mark.parametrize(
    "values",
    [plain, large_beside_small, huge_that_leave, opposites, large_mean, every_exponent],
    ids=lambda make: make.__name__,
)
def test_a_million_live_events(values):
    values = values()
    table = pyarrow.table({"ts": numpy.arange(EVENTS), "x": values})
    answer = pyarrow.table(Engine(FEATURES).push_batch(table))
    columns = {name: answer[name].to_numpy() for name in answer.column_names}
    for row in SAMPLED:
        window = values[max(0, row + 1 - LIVE) : row + 1]
        total = math.fsum(window)
        assert columns["sum"][row] == total
        assert columns["mean"][row] == total / len(window)
        assert columns["all"][row] == math.fsum(values[: row + 1])
        deviations = window - total / len(window)
        with numpy.errstate(over="ignore"):
            squares = deviations * deviations
        expected = math.fsum(squares) / (len(window) - 1) if numpy.isfinite(squares).all() else None
        if expected is not None:
            assert columns["var"][row] == pytest.approx(expected, rel=1e-9, abs=0)


def test_one_by_one_after_a_million():
    """Push, not only batches: the same row, and the row after it."""
    values = large_beside_small()
    engine = Engine(FEATURES)
    engine.push_batch(pyarrow.table({"ts": numpy.arange(LIVE), "x": values[:LIVE]}))
    for row in range(LIVE, LIVE + 20):
        found = engine.push({"ts": row, "x": float(values[row])})
        if row % 5 == 0:
            assert found["sum"] == math.fsum(values[row + 1 - LIVE : row + 1])
