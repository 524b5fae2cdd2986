"""Hypothesis inputs: aggregations over windows, and features made of them.

`PLAIN` windows and aggregations are the small part of the language that a failure is best shrunk in; `WHOLE` has all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import fastfeat as ff
from fastfeat import Stream, col
from hypothesis import strategies as st
from strategies_expressions import Columns, Expr, Strategy, anything, booleans, numbers

WINDOWS_NS = {"5us": 5_000, "3ms": 3_000_000, "1s": 10**9, "7s": 7 * 10**9, "1m": 60 * 10**9, "1h30m": 5400 * 10**9}
PARIS = "Europe/Paris"
LOCAL_NS = {"1h": 3600 * 10**9, "1d": 86_400 * 10**9, "7d": 604_800 * 10**9}
HOPS = {
    "5us": ("5us",),
    "3ms": ("3ms", "5us"),
    "1s": ("1s", "3ms"),
    "7s": ("1s", "7s"),
    "1m": ("7s",),
    "1h30m": ("1m",),
}


@dataclass(frozen=True)
class WindowChoice:
    """A window as drawn: `make` writes it, given a condition; gaps between events often are its `edges_ns`."""

    kind: str
    arguments: tuple[Any, ...] = ()
    edges_ns: tuple[int, ...] = ()

    def make(self, condition: Expr | None = None) -> tuple[Any, ...]:
        """What `over` takes: nothing for all time."""
        if self.kind == "all":
            return ()
        if self.kind == "text":
            return self.arguments
        if self.kind == "since":
            return (ff.since(condition),)
        positional, named = self.arguments
        return (getattr(ff, self.kind)(*positional, **named),)

    @property
    def is_folded(self) -> bool:
        return self.kind in ("all", "hopping")

    @property
    def has_a_length(self) -> bool:
        return self.kind in ("text", "rolling", "tumbling", "hopping")

    @property
    def zone(self) -> str | None:
        return self.arguments[1].get("timezone") if self.kind == "tumbling" else None


ALL_TIME = WindowChoice("all")
WINDOW_KINDS = ("rolling", "tumbling", "hopping", "session", "last", "since", "all")


def plain_windows(names: Sequence[str] = tuple(sorted(WINDOWS_NS))) -> Strategy:
    return st.sampled_from([WindowChoice("text", (name,), (WINDOWS_NS[name],)) for name in names])


@st.composite
def window_choices(
    draw: Callable[..., Any],
    kind: str | None = None,
    lengths: Sequence[str] = tuple(sorted(WINDOWS_NS)),
    zones: bool = False,
) -> WindowChoice:
    """Any window. Those of a local clock have lengths of hours and days, and ask for times that fit: `zones`."""
    kind = kind or draw(st.sampled_from(WINDOW_KINDS))
    length = draw(st.sampled_from(lengths))
    length_ns = WINDOWS_NS[length]
    if kind == "rolling":
        options: dict[str, Any] = {"closed": draw(st.sampled_from(("right", "left", "both", "neither")))}
        edges = [length_ns]
        if draw(st.booleans()):
            offset = draw(st.sampled_from(lengths))
            options["offset"] = offset
            edges += [WINDOWS_NS[offset], WINDOWS_NS[offset] + length_ns]
        return WindowChoice(kind, ((length,), options), tuple(edges))
    if kind == "tumbling":
        if zones and draw(st.booleans()):
            local = draw(st.sampled_from(sorted(LOCAL_NS)))
            zone = draw(st.sampled_from((PARIS, "America/Havana", "Asia/Kathmandu", "UTC")))
            return WindowChoice(kind, ((local,), {"timezone": zone}), (LOCAL_NS[local],))
        return WindowChoice(kind, ((length,), {}), (length_ns,))
    if kind == "hopping":
        every = draw(st.sampled_from(HOPS[length]))
        return WindowChoice(kind, ((length,), {"every": every}), (length_ns, WINDOWS_NS[every]))
    if kind == "session":
        return WindowChoice(kind, ((length,), {}), (length_ns,))
    if kind == "last":
        return WindowChoice(kind, ((draw(st.sampled_from((1, 2, 3, 5, 40))),), {}))
    return WindowChoice(kind)


# --- Aggregations ------------------------------------------------------------------------------------------------

NUMERIC = ("sum", "mean", "min", "max")
INEXACT = ("var", "std")
PLAIN = (*NUMERIC, "count", "first", "last", "lag", "n_unique", "time_since_last")
OF_NUMBERS = (*INEXACT, "skew", "kurtosis", "slope", "quantile", "median", "approx_quantile", "ewm_sum", "ewm_mean")
OF_PAIRS = ("cov", "corr", "min_by", "max_by")
OF_ANYTHING = ("last_k", "top_k", "mode", "entropy", "approx_n_unique", "is_first", "time_since_first", "rate")
WHOLE = (*PLAIN, *OF_NUMBERS, *OF_PAIRS, *OF_ANYTHING, "any", "all")
LISTS = ("last_k", "top_k")
NEEDS_NO_VALUE = ("count", "rate", "time_since_last", "time_since_first")
HALF_LIVES = ("5us", "3ms", "1s", "1m")
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.9, 1.0)


def has_a_meaning(kind: str, window: WindowChoice, own: bool) -> bool:
    """Every combination has one, but for those that semantics.md refuses."""
    if kind in ("quantile", "median"):
        return not window.is_folded
    if kind == "rate":
        return window.has_a_length
    return own or kind != "is_first"


@st.composite
def over(draw: Callable[..., Any], own: bool) -> tuple[tuple[str, ...], dict[str, Expr]]:
    """Keys, single, composite, computed or none, as the arguments of `over`."""
    if not own:
        by_text = {"customer": draw(st.sampled_from((col("card"), col("merchant"))))}
        by_number = {"user": draw(st.sampled_from((col("user"), col("quantity"), col("quantity") % 2)))}
        return (), draw(st.sampled_from((by_text, by_number, {**by_text, **by_number}, {})))
    names = st.sampled_from(((), ("card",), ("merchant",), ("card", "merchant"), ("user", "entry"), ("ratio",)))
    computed = st.sampled_from(
        (
            {},
            {},
            {"parity": col("user") % 2},
            {"large": col("amount") > 1.0},
            {"rest": col("amount") % 1.0},
            {"shop": ff.coalesce(col("merchant"), col("card"))},
        )
    )
    return draw(names), draw(computed)


@st.composite
def values_for(draw: Callable[..., Any], kind: str, columns: Columns) -> Expr:
    """A value of a type that the aggregation takes."""
    if kind in ("min", "max"):
        return draw(numbers(columns, 1) | st.sampled_from(columns.booleans + columns.times))
    if kind in ("any", "all"):
        return draw(booleans(columns))
    if kind in ("cov", "corr"):
        return draw(st.sampled_from(columns.floats + columns.ints) | numbers(columns, 1))
    if kind in (*NUMERIC, *OF_NUMBERS):
        return draw(st.sampled_from(columns.floats + columns.ints + columns.booleans) | numbers(columns, 1))
    return draw(st.sampled_from(columns.all) | anything(columns))


@st.composite
def unfinished(draw: Callable[..., Any], kind: str, columns: Columns, stream: Stream | None) -> Any:
    """An aggregation of a value, or of events, that says not yet over what."""
    if kind in NEEDS_NO_VALUE and draw(st.booleans()):
        return getattr(ff if stream is None else stream, kind)()
    value = draw(values_for(kind, columns))
    if kind == "lag":
        return value.lag(draw(st.sampled_from((1, 1, 2, 3, 40))))
    if kind in LISTS:
        return getattr(value, kind)(draw(st.sampled_from((1, 2, 3, 40))))
    if kind in ("quantile", "approx_quantile"):
        return getattr(value, kind)(draw(st.sampled_from(QUANTILES) | st.floats(0.0, 1.0)))
    if kind in ("ewm_sum", "ewm_mean"):
        return getattr(value, kind)(draw(st.sampled_from(HALF_LIVES)))
    if kind in ("cov", "corr"):
        return getattr(value, kind)(draw(values_for(kind, columns)))
    if kind in OF_PAIRS:
        return getattr(value, kind)(draw(values_for("min", columns)))
    return value.agg(kind)


@st.composite
def aggregations(
    draw: Callable[..., Any],
    columns: Columns,
    windows: Sequence[WindowChoice],
    kinds: Sequence[str] = PLAIN,
    stream: Stream | None = None,
) -> Expr:
    """One aggregation over one window; of another stream where one is given."""
    window = draw(st.sampled_from((*windows, ALL_TIME)) if not columns.whole else st.sampled_from(windows))
    fitting = [kind for kind in kinds if has_a_meaning(kind, window, stream is None)]
    made = draw(unfinished(draw(st.sampled_from(fitting or ["count"])), columns, stream))
    if draw(st.booleans()):
        made = made.where(draw(booleans(columns)))
    positional, named = draw(over(stream is None))
    options: dict[str, Any] = {}
    if columns.whole:
        options = draw(st.sampled_from(({}, {}, {"include_current": False}, {"ties": "exclude"})))
    condition = draw(booleans(columns, 0)) if window.kind == "since" else None
    return made.over(*positional, *window.make(condition), **named, **options)


@st.composite
def features_of(
    draw: Callable[..., Any],
    windows: Sequence[WindowChoice],
    columns: Columns,
    logins: Stream | None,
    login_columns: Columns | None,
) -> Expr:
    """A feature: an aggregation, or an expression of some."""
    kinds = WHOLE if columns.whole else PLAIN
    own = aggregations(columns, windows, kinds)
    other = own
    if logins is not None and login_columns is not None:
        other = aggregations(login_columns, windows, kinds, stream=logins)
    either = st.sampled_from((own, own, other)).flatmap(lambda one: one)
    number = aggregations(columns, windows, kinds=("count", "sum", "mean", "n_unique", "time_since_last"))
    inexact = aggregations(columns, windows, kinds=INEXACT)
    choices = [
        *([either] * (10 if columns.whole else 2)),
        anything(columns),
        numbers(columns, 2, number),
        booleans(columns, 1, number),
        inexact,
        # Nothing here turns a small error into a large one, as a difference or a comparison would.
        st.builds(lambda a, b: a / b, st.sampled_from(columns.floats), inexact),
        st.builds(lambda a: a.is_null(), aggregations(columns, windows, [k for k in kinds if k not in LISTS])),
    ]
    if columns.whole:
        degrees = st.sampled_from((0.0, 52.5, -33.9, 180.0))
        here = st.sampled_from(columns.floats).map(lambda value: value.clip(-90.0, 90.0))
        choices.append(st.builds(lambda *all_of_them: ff.haversine(*all_of_them), here, degrees, degrees, degrees))
    return draw(draw(st.sampled_from(choices)))  # `one_of` would count the branches of each
