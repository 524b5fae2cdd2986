"""No row sees the future: whatever comes later, earlier rows are what they were."""

import random

from fastfeat import Engine
from harness import row_bits
from hypothesis import given, note
from hypothesis import strategies as st
from strategies import cases, long_cases
from strategies_events import IN_ORDER, UNITS


def rows_of(features, events):
    engine = Engine(features)
    return [row_bits(engine.push(event, stream=stream)) for stream, event in events]


def reordered_in_place(future, time_fields, random_):
    """The same times in the same order, each with the values of another event of its stream."""
    changed = []
    for stream, event in future:
        others = [other for name, other in future if name == stream]
        time = time_fields[stream]
        changed.append((stream, {**random_.choice(others), time: event[time]}))
    return changed


@given(cases(max_size=40), st.integers(0, 40), st.randoms(use_true_random=False))
def test_changing_the_future_changes_no_earlier_row(case, cut, random_):
    note(case.features.to_json())
    cut = min(cut, len(case.events))
    past, future = case.events[:cut], case.events[cut:]
    rows = rows_of(case.features, case.events)
    assert rows_of(case.features, past) == rows[:cut]
    time_fields = {stream.name: stream.time for stream in case.streams}
    changed = reordered_in_place(future, time_fields, random_)
    assert rows_of(case.features, past + changed)[:cut] == rows[:cut]


@given(long_cases(max_size=700), st.integers(0, 2**32))
def test_rows_are_the_same_however_the_input_is_cut(case, seed):
    """A row depends on what came before it, not on what its engine was asked since."""
    rows = rows_of(case.features, case.events)
    for cut in random.Random(seed).sample(range(len(case.events)), 3):
        assert rows_of(case.features, case.events[: cut + 1])[-1] == rows[cut]


@given(cases(max_size=40, disorder=IN_ORDER))
def test_events_of_other_keys_and_streams_arriving_later_in_time_are_not_seen(case):
    """One stream runs ahead: the rows of the other are those of an engine that got the events in order of time."""
    note(case.features.to_json())
    order = sorted(range(len(case.events)), key=lambda place: (event_ns(case, place), place))
    in_order = dict(zip(order, rows_of(case.features, [case.events[place] for place in order]), strict=True))
    as_arrived = rows_of(case.features, case.events)
    name = case.features.stream.name
    for place, (stream, _) in enumerate(case.events):
        ran_behind = any(event_ns(case, later) <= event_ns(case, place) for later in range(place + 1, len(case.events)))
        if stream == name and not ran_behind:
            assert as_arrived[place] == in_order[place]


def event_ns(case, place):
    from reference_input import datetime_nanoseconds, iso_nanoseconds

    stream, event = case.events[place]
    (definition,) = (each for each in case.streams if each.name == stream)
    time = event[definition.time]
    if isinstance(time, str):
        return iso_nanoseconds(time)
    if isinstance(time, int):
        return time * UNITS[definition.fields[definition.time].unit]
    return datetime_nanoseconds(time)
