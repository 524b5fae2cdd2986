"""One event at a time, a row in hand before the next is given: push, push into a buffer, push_json, score.

Four fifths of the events are history, so that keys, windows and caches are as in a service that runs; each event of
the last fifth is one round. pytest-benchmark's own clock adds about 0.1 us to a round.
"""

from __future__ import annotations

import json

import model
import numpy as np
import pytest
from workloads import cards, cards_30, close, expected


@pytest.fixture(scope="module")
def work():
    return cards()


@pytest.fixture(scope="module")
def history(work):
    return len(work) * 4 // 5


@pytest.fixture(scope="module")
def booster(work):
    return model.booster(work)


def run_each(benchmark, function, arguments):
    """Each argument is one round; the answer of the last."""
    each = iter(arguments)
    answer = benchmark.pedantic(function, setup=lambda: ((next(each),), {}), rounds=len(arguments))
    return answer, benchmark.stats.stats.sorted_data


def warm(work, history, **options):
    from fastfeat import Engine

    engine = Engine(cards_30(), **options)
    for start in range(0, history, 100_000):
        engine.push_batch(work.table(start, min(start + 100_000, history)))
    return engine


def check(row, work):
    """The row of the last event is the one that slow plain Python computes."""
    for name, want in expected(work, len(work) - 1).items():
        assert close(row[name], want), name


def numbers(row):
    return {name: np.nan if value is None else value for name, value in row.items()}


def test_push(benchmark, record, delay, work, history):
    engine = warm(work, history)
    row, seconds = run_each(benchmark, delay(engine.push), work.dicts(history))
    check(numbers(row.to_dict()), work)
    record("push", "online", events=len(seconds), seconds=seconds)


def test_push_into_a_buffer(benchmark, record, delay, work, history):
    engine = warm(work, history)
    out = np.empty(len(cards_30()))
    _, seconds = run_each(benchmark, delay(lambda event: engine.push(event, out=out)), work.dicts(history))
    check(dict(zip(cards_30().names, out.tolist(), strict=True)), work)
    record("push_out", "online", events=len(seconds), seconds=seconds)


def test_push_json(benchmark, record, delay, work, history):
    engine = warm(work, history)
    texts = [json.dumps(event).encode() for event in work.dicts(history)]
    row, seconds = run_each(benchmark, delay(engine.push_json), texts)
    check(numbers(row.to_dict()), work)
    record("push_json", "online", events=len(seconds), seconds=seconds)


def test_score(benchmark, record, delay, work, history, booster):
    engine = warm(work, history, model=booster)
    result, seconds = run_each(benchmark, delay(engine.score), work.dicts(history))
    check(numbers(result.features.to_dict()), work)
    assert result.score == pytest.approx(booster.predict(np.asarray(result.features)[None])[0], rel=1e-12)
    record("score", "online", events=len(seconds), seconds=seconds)
