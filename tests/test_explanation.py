"""Explanations: what they print, as text and as HTML."""

from dataclasses import FrozenInstanceError
from datetime import datetime, timedelta, timezone

import pytest
from fastfeat import Explanation
from fastfeat.explanation import EVENTS_SHOWN_MAX, ExplainedAggregation, ExplainedEvent

AT = datetime(2026, 11, 24, 13, tzinfo=timezone.utc)
MEAN = "col('amount').mean().where(col('declined')).over('card', '1h')"


def event(minutes: int, amount: "float | None", counts: bool = True) -> ExplainedEvent:
    return ExplainedEvent(AT - timedelta(minutes=minutes), {"amount": amount, "declined": counts}, counts)


def aggregation(*events: ExplainedEvent, left: "tuple[ExplainedEvent, ...]" = ()) -> ExplainedAggregation:
    return ExplainedAggregation(MEAN, 2.5, AT - timedelta(hours=1), AT, events, left)


def explanation(*aggregations: ExplainedAggregation, definition: str = MEAN) -> Explanation:
    return Explanation("spend", definition, {"card": "<c>"}, AT, 2.5, aggregations)


def test_it_prints_as_a_table_of_the_events_inside_and_of_those_that_left():
    told = explanation(aggregation(event(30, None, counts=False), event(0, 2.5), left=(event(61, 7.0),)))
    assert str(told).splitlines() == [
        "spend = 2.5 at 2026-11-24T13:00:00+00:00, card='<c>'",
        "",
        f"{MEAN} = 2.5",
        "from 2026-11-24T12:00:00+00:00 until 2026-11-24T13:00:00+00:00: 2 events, 1 counts",
        "  time                       amount  declined  counts",
        "  2026-11-24T12:30:00+00:00  None    False     no",
        "  2026-11-24T13:00:00+00:00  2.5     True      yes",
        "just left:",
        "  time                       amount  declined  counts",
        "  2026-11-24T11:59:00+00:00  7.0     True      yes",
    ]


def test_a_composed_feature_says_itself_and_then_its_parts():
    all_time = ExplainedAggregation("count().over('card')", 9, None, AT, (), (), kept=False)
    told = str(explanation(aggregation(), all_time, definition="a / b")).splitlines()
    assert told[1] == "a / b"
    assert told[4] == "from 2026-11-24T12:00:00+00:00 until 2026-11-24T13:00:00+00:00: 0 events, 0 count"
    assert told[6:] == [
        "count().over('card') = 9",
        "all time until 2026-11-24T13:00:00+00:00: no single event is kept",
    ]


def test_of_many_events_the_oldest_and_the_newest_are_shown():
    events = [event(59 - minute, 1.0) for minute in range(EVENTS_SHOWN_MAX + 1)]
    told = str(explanation(aggregation(*events)))
    assert "… 1 more" in told
    assert told.count("  yes") == EVENTS_SHOWN_MAX
    assert events[0].time.isoformat() in told
    assert events[-1].time.isoformat() in told
    assert "… 1 more" not in str(explanation(aggregation(*events[1:])))


def test_html_is_escaped_and_has_both_tables():
    html = explanation(aggregation(event(0, 2.5), left=(event(61, 7.0),)))._repr_html_()
    assert "card=&#x27;&lt;c&gt;&#x27;" in html
    assert "<c>" not in html
    assert html.count("<table>") == 2
    assert "<td>7.0</td>" in html


def test_it_is_a_frozen_value():
    one = explanation(aggregation(event(0, 2.5)))
    assert one == explanation(aggregation(event(0, 2.5)))
    assert one != explanation(aggregation(event(0, 3.5)))
    with pytest.raises(FrozenInstanceError):
        one.value = 3.0  # type: ignore[misc]
