"""Aggregations: what is computed, of which events (`where`), and over which keys and windows (`over`).

An `Aggregation` is unfinished until `over` makes an expression of it. `docs/semantics.md` section 4 has the rules.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NoReturn, SupportsIndex

from fastfeat.durations import duration, reads_as_duration
from fastfeat.errors import DefinitionError, nearest, shown
from fastfeat.expressions import Expr, condition_node, refuse_unfinished, row_node
from fastfeat.nodes import Aggregate, Alias, Call, Column, Key, Node, Parameter, Ties, walk
from fastfeat.printing import show_aggregation, window_text
from fastfeat.windows import WINDOWS, AllTime, Rolling, Since, Window

if TYPE_CHECKING:
    from fastfeat.streams import Stream

__all__ = [
    "KINDS",
    "WITH_ARGUMENTS",
    "Aggregation",
    "count",
    "rate",
    "time_since_first",
    "time_since_last",
]

# What `agg` takes: no more than the value is needed.
KINDS: Final = (
    "count",
    "sum",
    "mean",
    "var",
    "std",
    "min",
    "max",
    "first",
    "last",
    "n_unique",
    "approx_n_unique",
    "median",
    "mode",
    "any",
    "all",
    "is_first",
    "skew",
    "kurtosis",
    "slope",
    "entropy",
    "rate",
    "time_since_last",
    "time_since_first",
)
# The others, and how they are written.
WITH_ARGUMENTS: Final[Mapping[str, str]] = {
    "lag": "lag(n)",
    "last_k": "last_k(k)",
    "top_k": "top_k(k)",
    "quantile": "quantile(q)",
    "approx_quantile": "approx_quantile(q)",
    "ewm_mean": "ewm_mean(half_life)",
    "ewm_sum": "ewm_sum(half_life)",
    "cov": "cov(col(...))",
    "corr": "corr(col(...))",
    "min_by": "min_by(col(...))",
    "max_by": "max_by(col(...))",
}
ENTRIES_MAX: Final = 1_000
_TIES: Final = ("include", "exclude")


@dataclass(frozen=True, eq=False, repr=False)
class Aggregation:
    """An aggregation that says not yet over which events; `.over(...)` finishes it.

    >>> count().where(col("declined")).over("card", "1h")
    count().where(col('declined')).over('card', '1h')
    """

    _node: Aggregate

    def __repr__(self) -> str:
        return show_aggregation(self._node)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            hint = f"; write .over(...) before .{name}" if hasattr(Expr, name) else ""
            raise AttributeError(f"an aggregation has no `{name}`{hint}", name=name, obj=self)

        def _unfinished(self, *_others: object) -> NoReturn:
            raise DefinitionError("expression", f"{self!r} says not over which events; write {self!r}.over(...)")

        __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = _unfinished
        __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = _unfinished
        __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __neg__ = __invert__ = _unfinished
        __and__ = __or__ = __xor__ = __rand__ = __ror__ = __rxor__ = __abs__ = _unfinished
        __hash__ = object.__hash__

    def where(self, condition: Expr) -> Aggregation:
        """Only of events for which the condition is true; null is not true. A second one narrows it further.

        >>> col("amount").sum().where(col("country") != "NL").over("card", "24h")
        col('amount').sum().where(col('country') != 'NL').over('card', '24h')
        """
        node = condition_node("where", condition)
        if self._node.condition is not None:
            node = Call("and", (self._node.condition, node))
        return Aggregation(dataclasses.replace(self._node, condition=node, stream=_source(self._node.stream, node)))

    def over(
        self,
        /,
        *keys_and_windows: str | Expr | Window,
        include_current: bool = True,
        ties: Ties = "include",
        **named_keys: Expr | str,
    ) -> Expr:
        """Over the events that share these keys, within these windows.

        A text that reads as a duration is a window, any other a key column; `col("1h")` is a column of that name.
        No key: one state for the whole stream. No window: all time. Several windows make several features.
        A named key is a column of the stream that is aggregated, and what stands for it in the event at hand.
        `include_current=False` leaves the event itself out, `ties="exclude"` every event of its instant.

        >>> col("amount").sum().over("card", "merchant", "1h", "24h")
        col('amount').sum().over('card', 'merchant', '1h', '24h')
        >>> col("amount").mean().over("card", ff.last(10), include_current=False)
        col('amount').mean().over('card', last(10), include_current=False)
        """
        _check_choices(include_current, ties)
        keys: list[Key] = []
        windows: list[Window] = []
        source = self._node.stream
        for item in keys_and_windows:
            if isinstance(item, WINDOWS):
                windows.append(item)
                source = _source(source, item.condition) if isinstance(item, Since) else source
            elif isinstance(item, str) and reads_as_duration(item):
                windows.append(Rolling(duration("over", "window", item)))
        for item in keys_and_windows:
            if not isinstance(item, WINDOWS) and not (isinstance(item, str) and reads_as_duration(item)):
                keys.append(_positional_key(item, source))
        keys += [_named_key(name, value) for name, value in named_keys.items()]
        for index, key in enumerate(keys):
            if any(key.name == other.name for other in keys[:index]):
                raise DefinitionError("over", f"key `{key.name}` is there twice; write it once")
        for index, window in enumerate(windows):
            same = next((other for other in windows[:index] if window == other), None)
            if same is not None:
                both = f"{window_text(same)} and {window_text(window)}"
                raise DefinitionError("over", f"windows {both} are the same; write one")
        return Expr(
            dataclasses.replace(
                self._node,
                stream=source,
                keys=tuple(keys),
                windows=tuple(windows) or (AllTime(),),
                include_current=include_current,
                ties=ties,
            )
        )


def count() -> Aggregation:
    """How many events there are; `col("x").count()` counts those whose x is not null.

    >>> count().over("card", "1h")
    count().over('card', '1h')
    """
    return aggregation(("count",))


def time_since_last() -> Aggregation:
    """Seconds since the event before this one; null when there is none.

    >>> time_since_last().over("card")
    time_since_last().over('card')
    """
    return aggregation(("time_since_last",))


def time_since_first() -> Aggregation:
    """Seconds since the first event of the window.

    >>> time_since_first().over("card", ff.session("30m"))
    time_since_first().over('card', session('30m'))
    """
    return aggregation(("time_since_first",))


def rate() -> Aggregation:
    """How many events a second there are, over the window's length.

    >>> rate().over("card", "1h")
    rate().over('card', '1h')
    """
    return aggregation(("rate",))


def agg(value: Expr, names: tuple[str, ...]) -> Aggregation:
    """What `Expr.agg` is."""
    if not names:
        raise DefinitionError("agg", f"it names no aggregation; write some of {', '.join(KINDS)}")
    for index, name in enumerate(names):
        if name not in KINDS:
            if isinstance(name, str) and name in WITH_ARGUMENTS:
                written = WITH_ARGUMENTS[name]
                raise DefinitionError("agg", f"`{name}` needs more than its name; write .{written} by itself")
            known = f"{nearest(str(name), (*KINDS, *WITH_ARGUMENTS))} agg takes {', '.join(KINDS)}"
            raise DefinitionError("agg", f"{shown(name)} is not an aggregation;{known}")
        if name in names[:index]:
            raise DefinitionError("agg", f"`{name}` is there twice; write it once")
    return aggregation(names, (value,))


def aggregation(
    kinds: tuple[str, ...],
    values: tuple[Expr, ...] = (),
    parameters: tuple[Parameter, ...] = (),
    *,
    stream: Stream | None = None,
) -> Aggregation:
    """An unfinished aggregation; `stream` is that of an aggregation without a value."""
    nodes = tuple(row_node(kinds[0], value._node) for value in values)
    for node in nodes:
        stream = _source(stream, node)
    return Aggregation(Aggregate(kinds, nodes, parameters, None, stream, (), ()))


def how_many(place: str, what: str, value: object) -> int:
    """The n of `lag`, the k of `last_k` and `top_k`."""
    if isinstance(value, bool) or not isinstance(value, SupportsIndex) or not 1 <= operator.index(value) <= ENTRIES_MAX:
        raise DefinitionError(place, f"{what} is {shown(value)}; write a whole number from 1 to {ENTRIES_MAX}")
    return operator.index(value)


def part_of_one(place: str, what: str, value: object) -> float:
    """The q of a quantile."""
    try:
        part = math.nan if isinstance(value, (bool, str)) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        part = math.nan
    if not 0 <= part <= 1:
        hint = f", such as {part / 100} for {shown(value)} %" if 1 < part <= 100 else ", such as 0.9"
        raise DefinitionError(place, f"{what} is {shown(value)}; write a number from 0 to 1{hint}")
    return abs(part)  # -0.0 is 0.0


def compared_with(place: str, other: object) -> Expr:
    """The second value of `cov`, `corr`, `min_by` and `max_by`."""
    refuse_unfinished(place, other)
    if isinstance(other, Expr):
        return other
    hint = f"write col({other!r})" if isinstance(other, str) else "write one, as in col('x')"
    raise DefinitionError(place, f"{shown(other)} is not an expression; {hint}")


def _check_choices(include_current: object, ties: object) -> None:
    if not isinstance(include_current, bool):
        raise DefinitionError("over", f"include_current is {shown(include_current)}; write True or False")
    if ties not in _TIES:
        hint = nearest(ties, _TIES) if isinstance(ties, str) else ""
        raise DefinitionError("over", f"ties is {shown(ties)};{hint} write `include` or `exclude`")


def _source(stream: Stream | None, node: Node) -> Stream | None:
    """The one stream that bound columns belong to."""
    for each in walk(node):
        if isinstance(each, Column) and each.stream is not None:
            if stream is not None and stream != each.stream:
                raise DefinitionError(
                    "aggregation",
                    f"it reads streams `{stream.name}` and `{each.stream.name}`, and an aggregation reads one; "
                    "aggregate each by itself and compose the results",
                )
            stream = each.stream
    return stream


def _positional_key(item: object, source: Stream | None) -> Key:
    if isinstance(item, str):
        if not item:
            raise DefinitionError("over", "a key is an empty text; write the name of a column, or leave it out")
        return Key(item)
    if isinstance(item, Expr):
        node = item._node
        if isinstance(node, Column):
            if node.stream is not None and source is not None and node.stream != source:
                raise DefinitionError(
                    "over",
                    f"key {item!r} is not of stream `{source.name}`; name the column that it stands for there, "
                    f"as in over(user={item!r})",
                )
            return Key(node.name, node if node.stream is not None and source is None else None)
        raise DefinitionError("over", f"key {item!r} is computed and needs a name; write over(name={item!r})")
    hint = "write a text such as `1h`, or ff.rolling(...)" if isinstance(item, timedelta) else "write a column's name"
    raise DefinitionError("over", f"{shown(item)} is neither a key nor a window; {hint}")


def _named_key(name: str, value: object) -> Key:
    if isinstance(value, str):
        value = Expr(Column(value))
    if not isinstance(value, Expr):
        raise DefinitionError("over", f"key `{name}` is {shown(value)}; write a column or an expression")
    node = row_node(f"key `{name}`", value._node)
    while isinstance(node, Alias):
        node = node.inner
    return Key(name, node)
