"""The engine answers what the judge recomputes from the raw events: rolling windows and all time, in order of time.

The part of the language that a failure is best shrunk in; `test_whole_language.py` has the rest.
"""

import random

import fastfeat as ff
import pytest
from fastfeat import col, count
from harness import assert_equals_reference
from hypothesis import given, note, settings
from hypothesis import strategies as st
from strategies import PLAIN, cases, long_cases, payment_streams
from strategies_aggregations import WINDOWS_NS, WindowChoice, aggregations
from strategies_events import IN_ORDER, long_run
from strategies_expressions import PAYMENT_COLUMNS


@given(cases(language=PLAIN, disorder=IN_ORDER))
@settings(max_examples=5 * settings().max_examples)
def test_rows_equal_the_reference(case):
    note(case.features.to_json())
    assert_equals_reference(case.features, case.events)


@given(long_cases(language=PLAIN, disorder=IN_ORDER), st.integers(0, 2**32))
@settings(max_examples=settings().max_examples // 2)
def test_rows_of_long_histories_equal_the_reference(case, seed):
    note(case.features.to_json())
    places = range(len(case.events))
    some = random.Random(seed).sample(places, min(len(case.events), 60))
    # Where a history changes its shape is the engine's secret: the first hundreds are looked at densely.
    assert_equals_reference(case.features, case.events, rows={*some, *places[:200:7], *places[-3:]})


KINDS = ("count", "sum", "mean", "var", "std", "min", "max", "first", "last", "lag", "n_unique", "time_since_last")


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(max_examples=max(settings().max_examples // 3, 10))
def test_every_aggregation_equals_the_reference_over_short_and_long_histories(kind, data):
    payments = data.draw(payment_streams(("us", "ns")))
    windows = data.draw(st.sampled_from((("1s",), ("3ms", "1m"), ("3ms", "1s", "1m"))))
    choices = [WindowChoice("text", (window,)) for window in windows]
    made = aggregations(PAYMENT_COLUMNS, choices, kinds=(kind,))
    features = payments.features(**{f"f{i}": data.draw(made) for i in range(data.draw(st.integers(1, 3)))})
    note(features.to_json())
    lengths = [WINDOWS_NS[window] for window in windows]
    sharp, gaps = data.draw(st.sampled_from(((0.0, 0.01), (0.1, 0.01), (0.6, 0.05))))
    size = data.draw(st.sampled_from((20, 150, 600)))
    events = long_run(data.draw(st.integers(0, 2**32)), (payments,), lengths, size, sharp, gaps)
    assert_equals_reference(
        features, events, rows={*range(0, size, max(1, size // 50)), *range(min(size, 20)), size - 1}
    )


def test_every_aggregation_of_every_column_in_one_set_of_features():
    """The plan shares state between features: many at once must not disturb each other."""
    stream = ff.Stream(
        "payments",
        {"ts": ff.Timestamp("us"), "card": ff.String(), "shop": ff.String(nullable=True)}
        | {"x": ff.Float64(nullable=True), "y": ff.Float64(allow_nan=True), "n": ff.Int64(), "b": ff.Boolean()},
        time="ts",
    )
    expressions = {}
    for name in ("x", "y", "n", "b"):
        column = col(name)
        for keys in (("card",), ("card", "shop"), ()):
            where = col("b") if name in ("x", "n") else col("x") > 1
            label = f"{name}_{'_'.join(keys)}"
            kinds = ("count", "sum", "mean", "var", "std", "min", "max", "first", "last", "n_unique", "time_since_last")
            expressions[label] = column.agg(*kinds).over(*keys, "3ms", "1s")
            expressions[f"{label}_all"] = column.agg(*kinds).over(*keys)
            expressions[f"{label}_lag"] = column.lag(2).over(*keys, "1s")
            expressions[f"{label}_some"] = column.agg(*kinds).where(where).over(*keys, "1s")
    expressions["events"] = count().over("1s")
    features = stream.features(**expressions)
    random_ = random.Random(20240229)
    time, events = 0, []
    for _ in range(400):
        time += random_.choice((0, 1, 500, 2_999, 3_000, 3_001, 20_000))
        event = {
            "ts": time,
            "card": random_.choice("aab"),
            "shop": random_.choice(("s", "t", None)),
            "x": random_.choice((None, 0.1, 1e15, -1e15, 2.5, 1e300)),
            "y": random_.choice((0.1, 1e15, 2.5, 5e-324, -0.0, 0.0, 1.0, 2.0, float("inf"), float("nan"))),
            "n": random_.choice((1, 2, 3, 2**62, -(2**63))),
            "b": random_.random() < 0.5,
        }
        events.append(("payments", event))
    assert_equals_reference(features, events, rows=range(0, 400, 9))
