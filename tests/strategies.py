"""Hypothesis inputs: streams with every field type, features over them, and events that sit on the edges.

`cases()` draws few events with every edge in them, `long_cases()` many events of few keys, made from a seed:
the engine keeps a short history of a key in another shape than a long one, and these cross from one to the other.
`language` says how much of the language the features are of: `PLAIN`, in which a failure is best shrunk, or `WHOLE`.
Expressions, aggregations and events have a file each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import fastfeat as ff
from fastfeat import Stream, col
from hypothesis import strategies as st
from strategies_aggregations import WINDOW_KINDS, WindowChoice, features_of, plain_windows, window_choices
from strategies_events import CATEGORIES, IN_ORDER, SHARP_INTS, UNITS, WITHIN, event_lists, long_run
from strategies_expressions import LOOKUPS, PAYMENT_COLUMNS, Columns, login_columns, whole

PLAIN, WHOLE = "plain", "whole"
LATENESSES = ("0s", "5us", "3ms", "1s", "7s", "1m")


@dataclass(frozen=True, repr=False)
class Case:
    """Features, and events in order of arrival as (stream, event)."""

    features: Any
    streams: tuple[Stream, ...]
    events: list[tuple[str, dict[str, Any]]]

    @property
    def lookups(self) -> dict[str, Any]:
        """The rows of the reference data in the features."""
        return LOOKUPS

    def __repr__(self) -> str:
        """Failures print the case: the definition, and no more events than one reads."""
        shown = self.events if len(self.events) <= 40 else [*self.events[:3], "...", *self.events[-3:]]
        lines = [self.features.to_json(), *map(repr, shown), f"{len(self.events)} events"]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


# --- Streams -----------------------------------------------------------------------------------------------------


@st.composite
def payment_streams(
    draw: Callable[..., Any], units: Sequence[str] = tuple(UNITS), disorder: str = IN_ORDER, on_late: str = "reject"
) -> Stream:
    """A stream with fields of every type; which of them are nullable, have defaults or allow NaN is drawn."""
    flag = st.booleans()
    return Stream(
        "payments",
        {
            "card": ff.String(max_bytes=8),
            "merchant": ff.String(nullable=draw(flag), default="m1") if draw(flag) else ff.String(nullable=True),
            "amount": ff.Float64(allow_nan=draw(flag), nullable=draw(flag)),
            "ratio": ff.Float64(allow_nan=True, nullable=True),
            "quantity": ff.Int64(nullable=True) if draw(flag) else ff.Int64(default=draw(st.sampled_from(SHARP_INTS))),
            "user": ff.Int64(nullable=draw(flag)),
            "declined": ff.Boolean(nullable=draw(flag), default=draw(flag)),
            "online": ff.Boolean(nullable=True),
            "entry": ff.Categorical(CATEGORIES, nullable=draw(flag)),
            "ts": ff.Timestamp(draw(st.sampled_from(units))),
            "opened": ff.Timestamp("us", nullable=True),
        },
        time="ts",
        lateness="0s" if disorder == IN_ORDER else draw(st.sampled_from(LATENESSES)),
        on_late=on_late,
    )


@st.composite
def login_streams(
    draw: Callable[..., Any], units: Sequence[str] = tuple(UNITS), disorder: str = IN_ORDER, on_late: str = "reject"
) -> Stream:
    flag = st.booleans()
    return Stream(
        "logins",
        {
            "at": ff.Timestamp(draw(st.sampled_from(units))),
            "customer": ff.String(nullable=draw(flag)),
            "user": ff.Int64(nullable=draw(flag)),
            "score": ff.Float64(allow_nan=draw(flag), nullable=True),
            "failed": ff.Boolean(default=False),
            "tries": ff.Int64(nullable=draw(flag)),
            "device": ff.Categorical(CATEGORIES, nullable=True),
        },
        time="at",
        lateness="0s" if disorder == IN_ORDER else draw(st.sampled_from(LATENESSES)),
        on_late=on_late,
    )


# --- Cases ---------------------------------------------------------------------------------------------------------


@st.composite
def windows_of(
    draw: Callable[..., Any], language: str, lengths: Sequence[str] | None, zones: bool = False
) -> list[WindowChoice]:
    """A few windows that the features of a case share."""
    options = {} if lengths is None else {"lengths": tuple(lengths)}
    if language == PLAIN:
        choice = plain_windows(*options.values())
        return draw(st.lists(choice, min_size=1, max_size=3, unique=True))
    kinds = draw(st.lists(st.sampled_from(WINDOW_KINDS), min_size=2, max_size=4, unique=True))
    return [draw(window_choices(kind, zones=zones, **options)) for kind in kinds]


@st.composite
def features_over(
    draw: Callable[..., Any], payments: Stream, logins: Stream | None, windows: Sequence[WindowChoice], language: str
) -> Any:
    columns: Columns = PAYMENT_COLUMNS
    others = None if logins is None else login_columns(logins)
    if language == WHOLE:
        columns = whole(columns, col("merchant"))
        others = None if logins is None or others is None else whole(others, logins.col("customer"))
    feature = features_of(windows, columns, logins, others)
    made = [draw(feature) for _ in range(draw(st.sampled_from((1, 2, 3, 4, 6) if language == WHOLE else (1, 2, 3, 4))))]
    return payments.features(**{f"f{index}": expression for index, expression in enumerate(made)})


def edges_ns(windows: Sequence[WindowChoice]) -> list[int]:
    return [edge for window in windows for edge in window.edges_ns] or [10**9]


@st.composite
def cases(
    draw: Callable[..., Any],
    complete: bool = False,
    aligned: bool = False,
    max_size: int = 30,
    language: str = WHOLE,
    disorder: str = WITHIN,
    on_late: str = "reject",
) -> Case:
    """One or two streams, some features, few events. `aligned` times are whole numbers in their unit, as in tables."""
    units = ("us", "us", "ns", "ms", "s")
    payments = draw(payment_streams(units, disorder, on_late))
    logins = draw(st.none() | login_streams(units, disorder, on_late))
    windows = draw(windows_of(language, None, zones=True))
    features = draw(features_over(payments, logins, windows, language))
    local = any(window.zone is not None for window in windows)
    events = event_lists(features.streams, edges_ns(windows), max_size, complete, aligned, disorder, local)
    return Case(features, features.streams, draw(events))


@st.composite
def long_cases(
    draw: Callable[..., Any],
    max_size: int = 1_500,
    language: str = WHOLE,
    disorder: str = WITHIN,
    on_late: str = "reject",
) -> Case:
    """Hundreds of events of one key inside a window: both shapes of a history and the change between them are met."""
    payments = draw(payment_streams(("us", "ns"), disorder, on_late))
    logins = draw(st.none() | login_streams(("us", "ns"), disorder, on_late))
    windows = draw(windows_of(language, ("3ms", "1s", "7s", "1m")))
    features = draw(features_over(payments, logins, windows, language))
    events = long_run(
        draw(st.integers(0, 2**32)),
        features.streams,
        edges_ns(windows),
        draw(st.sampled_from((100, 300, 700, max_size))),
        draw(st.sampled_from((0.0, 0.05, 0.5))),
        draw(st.sampled_from((0.0, 0.002, 0.02))),
        disorder,
    )
    return Case(features, features.streams, events)
