"""Every aggregation in every window, over histories in any order: the engine answers what the judge recomputes."""

import json
import random

import fastfeat as ff
import pyarrow
import pytest
from fastfeat import Engine, Stream, count
from harness import assert_equals_reference, assert_row, definition, row_bits, sorted_by_time
from hypothesis import given, note, settings
from hypothesis import strategies as st
from reference import Reference, TooFarBackError
from strategies import PLAIN, WHOLE, cases, edges_ns, long_cases, payment_streams
from strategies_aggregations import WHOLE as KINDS
from strategies_aggregations import WINDOW_KINDS, aggregations, has_a_meaning, window_choices
from strategies_events import BEYOND, IN_ORDER, UNITS, WITHIN, in_unit, long_run
from strategies_expressions import PAYMENT_COLUMNS, whole
from tables import arrow_table, assert_table, runs

FEW = max(settings().max_examples // 5, 2)


@given(cases())
@settings(max_examples=5 * settings().max_examples)
def test_rows_equal_the_reference(case):
    note(case.features.to_json())
    assert_equals_reference(case.features, case.events, lookups=case.lookups)


@pytest.mark.parametrize("disorder", [IN_ORDER, WITHIN])
@given(cases(language=PLAIN, disorder=WITHIN))
def test_rows_of_plain_windows_out_of_order_equal_the_reference(disorder, case):
    note(case.features.to_json())
    events = case.events if disorder == WITHIN else sorted_by_time(case)
    assert_equals_reference(case.features, events)


@given(cases(disorder=BEYOND))
@settings(max_examples=2 * settings().max_examples)
def test_late_events_are_rejected_and_change_nothing(case):
    note(case.features.to_json())
    assert_equals_reference(case.features, case.events, lookups=case.lookups)


@given(cases(disorder=BEYOND, on_late="emit"))
@settings(max_examples=2 * settings().max_examples)
def test_late_rows_are_of_what_is_still_known(case):
    note(case.features.to_json())
    assert_equals_reference(case.features, case.events, lookups=case.lookups)


def some_rows(seed, size):
    """Where a history changes its shape is the engine's secret: the first hundreds are looked at densely."""
    places = range(size)
    return {*random.Random(seed).sample(places, min(size, 40)), *places[:150:9], *places[-3:]}


@pytest.mark.parametrize("on_late", ["reject", "emit"])
@given(st.data(), st.integers(0, 2**32))
@settings(max_examples=settings().max_examples // 2)
def test_rows_of_long_histories_equal_the_reference(on_late, data, seed):
    case = data.draw(long_cases(disorder=BEYOND, on_late=on_late, max_size=1_300))
    assert_equals_reference(case.features, case.events, some_rows(seed, len(case.events)), case.lookups)


@pytest.mark.parametrize("window_kind", WINDOW_KINDS)
@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(max_examples=FEW)
def test_every_aggregation_in_every_window(kind, window_kind, data):
    """One combination at a time, so that a failure names it; few examples each, as there are hundreds of them."""
    window = data.draw(window_choices(window_kind, ("3ms", "1s", "1m")))
    kinds = [kind] if has_a_meaning(kind, window, own=True) else ["count"]
    payments = data.draw(payment_streams(("us", "ns"), WITHIN))
    made = aggregations(whole(PAYMENT_COLUMNS), [window], kinds)
    features = payments.features(**{f"f{place}": data.draw(made) for place in range(2)})
    note(features.to_json())
    size = data.draw(st.sampled_from((12, 60, 200)))
    sharp, gaps = data.draw(st.sampled_from(((0.0, 0.02), (0.2, 0.02), (0.6, 0.05))))
    events = long_run(data.draw(st.integers(0, 2**32)), (payments,), edges_ns([window]), size, sharp, gaps, WITHIN)
    assert_equals_reference(features, events, rows={*range(0, size, max(1, size // 25)), size - 1})


# --- One path ------------------------------------------------------------------------------------------------------


@given(cases(disorder=BEYOND, on_late="emit", complete=True, aligned=True))
def test_push_and_push_json_and_push_batch_and_peek_give_equal_bits(case):
    note(case.features.to_json())
    streams = {stream.name: stream for stream in case.streams}
    online, text, batch = Engine(case.features), Engine(case.features), Engine(case.features)
    for name, events in runs(case.events):
        rows = []
        for event in events:
            peeked = row_bits(online.peek(event, stream=name))
            rows.append(online.push(event, stream=name))
            assert row_bits(rows[-1]) == peeked
            assert row_bits(text.push_json(json.dumps(event).encode(), stream=name)) == peeked
        answer = batch.push_batch(arrow_table(streams[name], events), stream=name)
        if name == case.features.stream.name:
            assert_table(pyarrow.table(answer), rows)
        else:
            assert answer is None
    assert told(online) == told(text) == told(batch)
    assert online.late_events() == text.late_events() == batch.late_events()


def told(engine):
    """What an engine says of itself, but for its size: an answer's memory is kept for the next one, of peeks too."""
    return {name: value for name, value in engine.stats().items() if name != "state_bytes"}


# --- Rows without an event -----------------------------------------------------------------------------------------


# By the nanoseconds of a tick: the first second there is, and the one after the last.
INSTANTS_S = {1: (-9_214_560_000, 9_214_646_400), 1_000: (-62_135_596_800, 253_402_300_800)}


@pytest.mark.parametrize(("unit", "tick_ns"), [("us", 1_000), ("ns", 1)])
@pytest.mark.parametrize(("ticks", "is_there"), [(0, True), (-1, False), (-5, False)])
def test_the_watermark_may_lie_before_the_first_instant_but_no_question(unit, tick_ns, ticks, is_there):
    payments = Stream("payments", {"ts": ff.Timestamp(unit), "card": ff.String()}, time="ts", lateness="5us")
    engine = Engine(payments.features(seen=count().over("card", "1h")))
    first = INSTANTS_S[tick_ns][0] * 10**9 // tick_ns
    engine.push({"ts": first, "card": "a"})
    if is_there:
        assert engine.lookup({"card": "a"}, at=first)["seen"] == 1
    else:
        with pytest.raises(ff.InvalidEvent, match="instants lie between"):
            engine.lookup({"card": "a"}, at=first + ticks)


@given(cases(disorder=WITHIN, language=WHOLE), st.data())
def test_lookups_equal_the_reference(case, data):
    """Between events and after them: at the watermark, at the newest event, and a window later."""
    note(case.features.to_json())
    engine, reference = Engine(case.features), Reference(definition(case.features), case.lookups)
    own = case.features.stream
    names = {key for key in ("card", "merchant", "user", "entry", "ratio", "quantity") if key in own.fields}
    unit = own.fields[own.time].unit
    for stream, event in case.events:
        engine.push(event, stream=stream)
        reference.accept(event, stream)
        newest = reference.newest(own.name)
        if newest is None or data.draw(st.integers(0, 3)):
            continue
        given_keys = {name: value for name, value in event.items() if name in names} if stream == own.name else {}
        ahead = data.draw(st.sampled_from((0, 1, 5_000, 10**9, 60 * 10**9)))
        at_ns = reference.nanoseconds(newest) + ahead - data.draw(st.sampled_from((0, own.lateness_ns)))
        at_ns -= at_ns % max(UNITS[unit], reference.nanoseconds(1))
        ticks = at_ns // reference.nanoseconds(1)
        first, after = INSTANTS_S[reference.nanoseconds(1)]
        if not first * 10**9 <= at_ns < after * 10**9:
            with pytest.raises(ff.InvalidEvent, match="instants lie between"):
                engine.lookup(given_keys, at=in_unit(at_ns, unit))
            continue
        try:
            moment = reference.lookup_moment(given_keys, ticks, own.name)
        except TooFarBackError:
            continue
        row = engine.lookup(given_keys, at=in_unit(at_ns, unit))
        assert_row(reference, moment, row, f"lookup of {given_keys} at {at_ns} ns")
