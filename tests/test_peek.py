"""`peek` answers what `push` would and changes nothing."""

import pytest
from fastfeat import Engine, InvalidEvent, LateEvent, count
from harness import PAYMENTS, assert_row, definition, payment, row_bits
from hypothesis import given, note, settings
from hypothesis import strategies as st
from reference import Reference
from strategies import cases, long_cases


def peeked_engine_equals_an_engine_never_peeked(case, choose):
    """Before each event, peek others: of this time and later ones, of this key and others."""
    peeked, alone = Engine(case.features), Engine(case.features)
    for place, (stream, event) in enumerate(case.events):
        for other in choose(place):
            name, guess = case.events[other]
            try:
                peeked.peek(guess, stream=name)
            except LateEvent:
                assert other < place
        answer = row_bits(peeked.peek(event, stream=stream))
        assert row_bits(peeked.push(event, stream=stream)) == answer
        assert row_bits(alone.push(event, stream=stream)) == answer


@given(cases(), st.randoms(use_true_random=False))
def test_peek_answers_what_push_would_and_changes_nothing(case, random):
    note(case.features.to_json())
    everything = range(len(case.events))
    peeked_engine_equals_an_engine_never_peeked(case, lambda place: random.choices(everything, k=random.randrange(4)))


@given(long_cases(max_size=700), st.randoms(use_true_random=False))
@settings(max_examples=settings().max_examples // 3)
def test_peek_changes_nothing_in_long_histories(case, random):
    note(case.features.to_json())
    size = len(case.events)
    peeked_engine_equals_an_engine_never_peeked(
        case, lambda place: [random.randrange(place, size)] if random.random() < 0.3 else []
    )


@given(cases())
def test_peek_equals_the_reference(case):
    note(case.features.to_json())
    engine, reference = Engine(case.features), Reference(definition(case.features), case.lookups)
    for stream, event in case.events:
        moment = reference.moment(event, stream)
        assert_row(reference, moment, engine.peek(event, stream=stream))
        reference.accept(event, stream)
        engine.push(event, stream=stream)


def test_peek_far_ahead_does_not_expire_what_is_inside_now():
    engine = Engine(PAYMENTS.features(n=count().over("card", "10s")))
    engine.push(payment((0, 1.0)))
    assert engine.peek(payment((1_000_000, 1.0)))["n"] == 1
    assert engine.push(payment((1, 1.0)))["n"] == 2


def test_peek_of_an_unknown_key_makes_no_key():
    engine = Engine(PAYMENTS.features(n=count().over("card", "10s")))
    engine.push(payment((0, 1.0)))
    keys = engine.stats()["keys"]
    assert engine.peek({**payment((1, 1.0)), "card": "unknown"})["n"] == 1
    assert engine.stats()["keys"] == keys


def test_peek_counts_nothing():
    engine = Engine(PAYMENTS.features(n=count().over("card", "10s")))
    engine.push(payment((5, 1.0)))
    before = {name: engine.stats()[name] for name in ("events", "late", "invalid")}
    engine.peek(payment((6, 1.0)))
    with pytest.raises(LateEvent):
        engine.peek(payment((4, 1.0)))
    with pytest.raises(InvalidEvent):
        engine.peek({"ts": 6, "x": "text"})
    assert {name: engine.stats()[name] for name in ("events", "late", "invalid")} == before


def test_row_of_a_push_outlives_a_peek():
    engine = Engine(PAYMENTS.features(n=count().over("card", "10s")))
    row = engine.push(payment((0, 1.0)))
    engine.peek(payment((1, 1.0)))
    engine.push(payment((1, 1.0)))
    assert row["n"] == 1
