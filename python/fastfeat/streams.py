"""Streams: named columns with rules, one of which is the event's time. Features are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from fastfeat.aggregations import Aggregation, aggregation
from fastfeat.durations import duration_ns, format_duration, suggestion
from fastfeat.errors import DefinitionError, check_text, nearest, shown
from fastfeat.expressions import Expr
from fastfeat.nodes import Column
from fastfeat.schema import NO_DEFAULT, FieldType, Timestamp

if TYPE_CHECKING:
    from fastfeat.features import FeatureSet

__all__ = ["Stream"]

_ON_LATE: Final = ("reject", "emit")
_NAMES_SHOWN_MAX: Final = 20


class Stream:
    """Events of one kind: their columns, and how far out of order they may come.

    `lateness` is how much older than the newest event of the stream an event may be; an older one is late
    and `push` raises `LateEvent`. A `Stream` is a plain value: it compares, hashes, prints and pickles.

    >>> payments = Stream(
    ...     "payments",
    ...     {"ts": Timestamp("us"), "card": String(max_bytes=64), "amount": Float64(ge=0)},
    ...     time="ts",
    ... )
    >>> payments.features(payments["amount"].sum().over("card", "1h")).names
    ('amount_sum_card_1h',)
    """

    __slots__ = ("_fields", "_hash", "_lateness_ns", "_name", "_on_late", "_time")
    _name: str
    _fields: Mapping[str, FieldType]
    _time: str
    _lateness_ns: int
    _on_late: Literal["reject", "emit"]
    _hash: int

    def __init__(
        self,
        name: str,
        fields: Mapping[str, FieldType],
        *,
        time: str,
        lateness: str | timedelta = "0s",
        on_late: Literal["reject", "emit"] = "reject",
    ) -> None:
        check_text("stream", "the name", name)
        place = f"stream `{name}`"
        columns = _check_fields(place, fields)
        if on_late not in _ON_LATE:
            raise DefinitionError(place, f"on_late is {shown(on_late)}; write `reject`")
        values: dict[str, object] = {
            "_name": name,
            "_fields": MappingProxyType(columns),
            "_time": _check_time(place, columns, time),
            "_lateness_ns": duration_ns(place, "lateness", lateness, zero=True),
            "_on_late": on_late,
        }
        values["_hash"] = hash((*(values[each] for each in ("_name", "_time", "_lateness_ns")), *columns.items()))
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    @property
    def name(self) -> str:
        """Name of the stream."""
        return self._name

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """Type of each column, in the order they were written."""
        return self._fields

    @property
    def time(self) -> str:
        """Name of the column with the event's time."""
        return self._time

    @property
    def lateness(self) -> str:
        """How much older than the newest an event may be, e.g. `10s`."""
        return format_duration(self._lateness_ns)

    @property
    def lateness_ns(self) -> int:
        """The same in nanoseconds."""
        return self._lateness_ns

    @property
    def on_late(self) -> Literal["reject", "emit"]:
        """What happens to an event that is late."""
        return self._on_late

    def col(self, name: str) -> Expr:
        """A column of this stream; `payments["amount"]` is the same.

        >>> Stream("logins", {"ts": Timestamp("us")}, time="ts").col("ts")
        logins.col('ts')
        """
        check_column(f"stream `{self._name}`", self, check_text(f"stream `{self._name}`", "a column", name))
        return Expr(Column(name, self))

    def __getitem__(self, name: str) -> Expr:
        return self.col(name)

    def count(self) -> Aggregation:
        """How many events of this stream there are."""
        return aggregation(("count",), stream=self)

    def time_since_last(self) -> Aggregation:
        """Seconds since the last event of this stream."""
        return aggregation(("time_since_last",), stream=self)

    def time_since_first(self) -> Aggregation:
        """Seconds since the first event of this stream in the window."""
        return aggregation(("time_since_first",), stream=self)

    def rate(self) -> Aggregation:
        """How many events a second there are of this stream."""
        return aggregation(("rate",), stream=self)

    def features(self, /, *unnamed: Expr, **named: Expr) -> FeatureSet:
        """What every event of this stream makes a row of: unnamed features as written, then named ones.

        Several windows or aggregations make several features; the name then ends in them. All is compiled here, so
        that a mistake is told where it was written.

        >>> payments = Stream(
        ...     "payments", {"ts": Timestamp("us"), "card": String(), "amount": Float64()}, time="ts"
        ... )
        >>> payments.features(
        ...     count().over("card", "1h"),
        ...     spend=col("amount").sum().over("card", "1h", "24h"),
        ... ).names
        ('count_card_1h', 'spend_1h', 'spend_24h')
        """
        from fastfeat.features import build  # features are made of streams

        return build(self, unnamed, named)

    def _key(self) -> tuple[object, ...]:
        return (self._name, list(self._fields.items()), self._time, self._lateness_ns, self._on_late)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Stream) and self._hash == other._hash and self._key() == other._key()
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        fields = ", ".join(f"{name!r}: {kind!r}" for name, kind in self._fields.items())
        lateness = f", lateness={self.lateness!r}" if self._lateness_ns else ""
        on_late = f", on_late={self._on_late!r}" if self._on_late != "reject" else ""
        return f"Stream({self._name!r}, {{{fields}}}, time={self._time!r}{lateness}{on_late})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Stream is a value and does not change: make another one with its own {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Stream is a value and does not change: it keeps its {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self._name, dict(self._fields), self._time, self._lateness_ns, self._on_late))


def check_column(place: str, stream: Stream, name: str, instead: str = "") -> None:
    """Refuses a column that the stream does not have, with the nearest name and the ones there are."""
    if name in stream.fields:
        return
    hint = nearest(name, stream.fields)
    if not hint and name[:1].isdigit():
        hint = f" as a window it is not a duration: write {suggestion(name)}."
    names = list(stream.fields)
    more = f" and {len(names) - _NAMES_SHOWN_MAX} more" if len(names) > _NAMES_SHOWN_MAX else ""
    known = f"It has {', '.join(names[:_NAMES_SHOWN_MAX])}{more}{instead}"
    raise DefinitionError(place, f"column `{name}` is not in stream `{stream.name}`;{hint} {known}")


def _check_fields(place: str, fields: object) -> dict[str, FieldType]:
    if not isinstance(fields, Mapping) or not fields:
        raise DefinitionError(place, f"its fields are {shown(fields)}; write {{'ts': ff.Timestamp('us'), ...}}")
    for name, kind in fields.items():
        check_text(place, "the name of a field", name)
        if not isinstance(kind, FieldType):
            way_out = "write a field type, such as ff.Float64() or ff.String()"
            if isinstance(kind, type) and issubclass(kind, FieldType):
                way_out = f"write {kind.__name__}(...), with parentheses"
            raise DefinitionError(f"field `{name}` of {place}", f"its type is {shown(kind)}; {way_out}")
    return dict(fields)


def _check_time(place: str, fields: Mapping[str, FieldType], time: object) -> str:
    name = check_text(place, "time", time)
    stamps = [each for each, kind in fields.items() if isinstance(kind, Timestamp)]
    if name not in fields:
        raise DefinitionError(
            place, f"time `{name}` is not a field;{nearest(name, stamps) or ' name a Timestamp field'}"
        )
    kind = fields[name]
    if not isinstance(kind, Timestamp):
        raise DefinitionError(f"field `{name}` of {place}", f"it is the event's time and {kind!r}; make it a Timestamp")
    if kind.nullable or kind.default is not NO_DEFAULT:
        raise DefinitionError(
            f"field `{name}` of {place}", "every event has a time of its own; leave out nullable and default"
        )
    return name


def _restore(name: str, fields: dict[str, FieldType], time: str, lateness_ns: int, on_late: Any) -> Stream:
    return Stream(name, fields, time=time, lateness=f"{lateness_ns}ns", on_late=on_late)
