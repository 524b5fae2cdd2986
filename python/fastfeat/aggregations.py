"""Aggregations: what is computed, of which events (`where`), and over which keys and windows (`over`).

An `Aggregation` is unfinished until `over` makes an expression of it. `docs/semantics.md` section 4 has the rules.
"""

from __future__ import annotations

import dataclasses
import operator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NoReturn, SupportsIndex

from fastfeat.errors import DefinitionError, nearest, shown
from fastfeat.expressions import Expr, lift
from fastfeat.nodes import Aggregate, Alias, Call, Column, Key, Node, walk
from fastfeat.printing import show_aggregation
from fastfeat.windows import AllTime, Rolling, Window, duration_ns, reads_as_duration

if TYPE_CHECKING:
    from fastfeat.streams import Stream

__all__ = ["KINDS", "Aggregation", "count", "time_since_last"]

KINDS: Final = ("count", "sum", "mean", "var", "std", "min", "max", "first", "last", "n_unique", "time_since_last")
LAG_MAX: Final = 1_000
_RESERVED: Final = ("include_current", "ties")


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
        if not isinstance(condition, Expr):
            hint = f"write col({condition!r})" if isinstance(condition, str) else "write one, as in col('x') > 1"
            raise DefinitionError("where", f"{shown(condition)} is not an expression; {hint}")
        node = _row_expression("where", condition._node)
        if self._node.condition is not None:
            node = Call("and", (self._node.condition, node))
        return Aggregation(dataclasses.replace(self._node, condition=node, stream=_source(self._node.stream, node)))

    def over(self, /, *keys_and_windows: str | Expr | Rolling, **named_keys: Expr | str) -> Expr:
        """Over the events that share these keys, within these windows.

        A text that reads as a duration is a window, any other a key column; `col("1h")` is a column of that name.
        No key: one state for the whole stream. No window: all time. Several windows make several features.
        A named key is a column of the stream that is aggregated, and what stands for it in the event at hand.

        >>> col("amount").sum().over("card", "merchant", "1h", "24h")
        col('amount').sum().over('card', 'merchant', '1h', '24h')
        """
        keys: list[Key] = []
        windows: list[Window] = []
        for item in keys_and_windows:
            if isinstance(item, Rolling):
                windows.append(item)
            elif isinstance(item, str) and reads_as_duration(item):
                windows.append(Rolling(duration_ns("over", "window", item), item))
            else:
                keys.append(_positional_key(item, self._node.stream))
        keys += [_named_key(name, value) for name, value in named_keys.items()]
        for index, key in enumerate(keys):
            if any(key.name == other.name for other in keys[:index]):
                raise DefinitionError("over", f"key `{key.name}` is there twice; write it once")
        for index, window in enumerate(windows):
            same = next((other for other in windows[:index] if window == other), None)
            if isinstance(window, Rolling) and isinstance(same, Rolling):
                raise DefinitionError("over", f"windows `{same.text}` and `{window.text}` are the same; write one")
        return Expr(dataclasses.replace(self._node, keys=tuple(keys), windows=tuple(windows) or (AllTime(),)))


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


def lag(value: Expr, n: int) -> Aggregation:
    """What `Expr.lag` is."""
    if isinstance(n, bool) or not isinstance(n, SupportsIndex) or not 1 <= operator.index(n) <= LAG_MAX:
        raise DefinitionError("lag", f"n is {shown(n)}; write a whole number from 1 to {LAG_MAX}")
    return aggregation(("lag",), value, (operator.index(n),))


def agg(value: Expr, names: tuple[str, ...]) -> Aggregation:
    """What `Expr.agg` is."""
    if not names:
        raise DefinitionError("agg", f"it names no aggregation; write some of {', '.join(KINDS)}")
    for index, name in enumerate(names):
        if name not in KINDS:
            known = f"{nearest(str(name), KINDS)} agg takes {', '.join(KINDS)}; lag is .lag(n)"
            raise DefinitionError("agg", f"{shown(name)} is not an aggregation;{known}")
        if name in names[:index]:
            raise DefinitionError("agg", f"`{name}` is there twice; write it once")
    return aggregation(names, value)


def aggregation(
    kinds: tuple[str, ...],
    value: Expr | None = None,
    parameters: tuple[int, ...] = (),
    *,
    stream: Stream | None = None,
) -> Aggregation:
    """An unfinished aggregation; `stream` is that of an aggregation without a value."""
    node = None if value is None else _row_expression(kinds[0], lift(value))
    source = stream if node is None else _source(stream, node)
    return Aggregation(Aggregate(kinds, node, parameters, None, source, (), ()))


def _row_expression(place: str, node: Node) -> Node:
    """Refuses aggregations in what is computed from one event alone."""
    inner = next((each for each in walk(node) if isinstance(each, Aggregate)), None)
    if inner is not None:
        raise DefinitionError(
            place,
            f"it reads {Expr(inner)!r}, but an aggregation, its filter and its keys read the fields of one event; "
            "compose the finished aggregations instead, as in a.mean().over(...) / b.mean().over(...)",
        )
    return node


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
    if name in _RESERVED:
        raise DefinitionError("over", f"`{name}` is not a name for a key; write another, as in key_{name}=...")
    if isinstance(value, str):
        value = Expr(Column(value))
    if not isinstance(value, Expr):
        raise DefinitionError("over", f"key `{name}` is {shown(value)}; write a column or an expression")
    node = _row_expression(f"key `{name}`", value._node)
    while isinstance(node, Alias):
        node = node.inner
    return Key(name, node)
