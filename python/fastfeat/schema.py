"""Field types: what the columns of an event may hold, and the rules that its values keep.

Frozen values that compare, hash and print as they are written. A rule that does not fit is refused at once.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import KW_ONLY, dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, ClassVar, Final, Literal, NoReturn, SupportsFloat, SupportsIndex

from fastfeat.errors import DefinitionError, check_text, nearest, shown

__all__ = ["Boolean", "Categorical", "FieldType", "Float64", "Int64", "String", "Timestamp"]

TEXT_BYTES_MAX: Final = 1_048_576
TEXT_BYTES_DEFAULT: Final = 4_096
TICK_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class NoDefault(Enum):
    """Tells a field without a default from one whose default is None."""

    NO_DEFAULT = "no default"

    def __repr__(self) -> str:
        return self.value


NO_DEFAULT: Final = NoDefault.NO_DEFAULT


@dataclass(frozen=True, eq=False, repr=False)
class _Type:
    """What all field types share. They compare as they print: a default of NaN equals itself, -0.0 is not 0.0."""

    kind: ClassVar[str]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        written = [(each, getattr(self, each.name)) for each in dataclasses.fields(self)]
        arguments = ", ".join(
            f"{each.name}={_shown(value)}" if each.kw_only else _shown(value)
            for each, value in written
            if value is not each.default
        )
        return f"{type(self).__name__}({arguments})"

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _check_flags(self, *flags: str) -> None:
        for name in flags:
            if not isinstance(getattr(self, name), bool):
                self._refuse(f"{name} is {shown(getattr(self, name))}; write True or False")

    def _check_default(self, default: object, nullable: bool) -> bool:
        """Whether there is a default value to check. On a nullable field, default=None says what nullable says."""
        self._check_flags("nullable")
        if default is None and not nullable:
            self._refuse("default=None on a field that is not nullable; write nullable=True, or leave the default out")
        if default is None:
            self._set(default=NO_DEFAULT)
        return default is not None and default is not NO_DEFAULT

    def _check_texts(self, what: str, values: object, bytes_max: int) -> tuple[str, ...]:
        texts = self._listed(what, values)
        checked = tuple(self._check_text(what, text, bytes_max) for text in texts)
        self._check_distinct(what, checked)
        return checked

    def _check_text(self, what: str, text: object, bytes_max: int) -> str:
        if text == "":
            return ""
        text = check_text(type(self).__name__, what, text)
        if len(text.encode()) > bytes_max:
            self._refuse(f"{what}: {shown(text)} is longer than max_bytes={bytes_max}; shorten it, or raise max_bytes")
        return text

    def _listed(self, what: str, values: object) -> tuple[object, ...]:
        # The order of a set changes from process to process, and the definition with it.
        if isinstance(values, (str, bytes, Set, Mapping)) or not isinstance(values, Iterable):
            self._refuse(f"{what} is {shown(values)}; write a list")
        listed = tuple(values)
        if not listed:
            self._refuse(f"{what} is empty; write at least one value")
        return listed

    def _check_distinct(self, what: str, values: tuple[object, ...]) -> None:
        seen: set[object] = set()
        for value in values:
            if value in seen:
                self._refuse(f"{what} has {shown(value)} twice; write it once")
            seen.add(value)

    def _refuse(self, message: str) -> NoReturn:
        raise DefinitionError(type(self).__name__, message)


@dataclass(frozen=True, eq=False, repr=False)
class Timestamp(_Type):
    """An instant, UTC. Events give it as a whole number in `unit`, a datetime, or ISO 8601 text.

    >>> Timestamp("us")
    Timestamp('us')
    """

    kind: ClassVar[str] = "timestamp"
    unit: Literal["s", "ms", "us", "ns"]
    _: KW_ONLY
    nullable: bool = False
    default: datetime | int | NoDefault | None = NO_DEFAULT
    """A datetime (UTC if it has no zone), or a whole number in `unit`."""

    def __post_init__(self) -> None:
        if self.unit not in TICK_NS:
            self._refuse(f"unit is {shown(self.unit)}; write `s`, `ms`, `us` or `ns`")
        if self._check_default(self.default, self.nullable):
            self._set(default=self._normal(self.default))

    def _normal(self, default: object) -> datetime | int:
        if isinstance(default, datetime):
            nanoseconds = instant_ns(type(self).__name__, default)
            ticks, rest = divmod(nanoseconds, TICK_NS[self.unit])
            return instant(nanoseconds) if rest else ticks
        if not isinstance(default, SupportsIndex):
            self._refuse(f"default is {shown(default)}; write a datetime, or a whole number in {self.unit}")
        ticks = _whole(self, "default", default)
        if not -(2**63) <= ticks * TICK_NS[self.unit] < 2**63:
            self._refuse(f"default={ticks} lies outside 1677 to 2262; write an instant in between")
        return ticks


@dataclass(frozen=True, eq=False, repr=False)
class String(_Type):
    """Text. Without `max_bytes` it has a limit of 4,096 bytes of UTF-8.

    `pattern` must match the whole text (syntax of Rust's `regex`).

    >>> String(max_bytes=64, pattern="c-[0-9]+")
    String(max_bytes=64, pattern='c-[0-9]+')
    """

    kind: ClassVar[str] = "string"
    _: KW_ONLY
    max_bytes: int | None = None
    pattern: str | None = None
    one_of: Sequence[str] | None = None
    nullable: bool = False
    default: str | NoDefault | None = NO_DEFAULT

    def __post_init__(self) -> None:
        bytes_max = TEXT_BYTES_DEFAULT
        if self.max_bytes is not None:
            bytes_max = _whole(self, "max_bytes", self.max_bytes)
            if not 1 <= bytes_max <= TEXT_BYTES_MAX:
                self._refuse(f"max_bytes={bytes_max}; write 1 to {TEXT_BYTES_MAX}")
            self._set(max_bytes=bytes_max)
        if self.pattern is not None:
            check_text("String", "pattern", self.pattern)
        if self.one_of is not None:
            self._set(one_of=self._check_texts("one_of", self.one_of, bytes_max))
        if self._check_default(self.default, self.nullable):
            self._check_text("default", self.default, bytes_max)
            if self.one_of is not None and self.default not in self.one_of:
                self._refuse(f"default={shown(self.default)} is not in one_of; add it there, or choose another")


@dataclass(frozen=True, eq=False, repr=False)
class Categorical(_Type):
    """One of a fixed list of texts; its position in the list is its value in a float vector.

    >>> Categorical(["chip", "swipe", "online"])
    Categorical(('chip', 'swipe', 'online'))
    """

    kind: ClassVar[str] = "categorical"
    categories: Sequence[str]
    _: KW_ONLY
    nullable: bool = False
    default: str | NoDefault | None = NO_DEFAULT

    def __post_init__(self) -> None:
        categories = self._check_texts("categories", self.categories, TEXT_BYTES_MAX)
        self._set(categories=categories)
        if self._check_default(self.default, self.nullable) and self.default not in categories:
            hint = nearest(str(self.default), categories) or " add it there, or choose another"
            self._refuse(f"default={shown(self.default)} is not a category;{hint}")


@dataclass(frozen=True, eq=False, repr=False)
class Int64(_Type):
    """A whole number of 64 bits. A float such as 3.0 is none.

    >>> Int64(ge=0, lt=200)
    Int64(ge=0, lt=200)
    """

    kind: ClassVar[str] = "int64"
    _: KW_ONLY
    ge: int | None = None
    gt: int | None = None
    le: int | None = None
    lt: int | None = None
    one_of: Sequence[int] | None = None
    nullable: bool = False
    default: int | NoDefault | None = NO_DEFAULT

    def __post_init__(self) -> None:
        bounds = {name: _whole(self, name, getattr(self, name)) for name in _RULES if getattr(self, name) is not None}
        self._set(**bounds)
        low = bounds.get("ge", bounds.get("gt", -(2**63) - 1) + 1)
        high = bounds.get("le", bounds.get("lt", 2**63) - 1)
        _check_rules(self, bounds, empty=low > high)
        if self.one_of is not None:
            self._set(one_of=_numbers(self, self.one_of, bounds, _whole))
        if self._check_default(self.default, self.nullable):
            self._set(default=_whole(self, "default", self.default))
            _check_value(self, "default", self.default, bounds, self.one_of)


@dataclass(frozen=True, eq=False, repr=False)
class Float64(_Type):
    """An IEEE 754 double. NaN and the infinities are values of it only with `allow_nan=True`.

    >>> Float64(ge=0)
    Float64(ge=0.0)
    """

    kind: ClassVar[str] = "float64"
    _: KW_ONLY
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    one_of: Sequence[float] | None = None
    allow_nan: bool = False
    nullable: bool = False
    default: float | NoDefault | None = NO_DEFAULT

    def __post_init__(self) -> None:
        self._check_flags("allow_nan")
        bounds = {name: _double(self, name, getattr(self, name)) for name in _RULES if getattr(self, name) is not None}
        self._set(**bounds)
        low = bounds.get("ge", bounds.get("gt", -math.inf))
        high = bounds.get("le", bounds.get("lt", math.inf))
        closed = "gt" not in bounds and "lt" not in bounds
        _check_rules(self, bounds, empty=low > high or (low == high and not closed))
        if self.one_of is not None:
            self._set(one_of=_numbers(self, self.one_of, bounds, _double))
        if self._check_default(self.default, self.nullable):
            default = _double(self, "default", self.default, nan=True)
            self._set(default=default)
            if not math.isfinite(default) and not self.allow_nan:
                self._refuse(f"default={default} is not finite; write allow_nan=True, or a finite default")
            if not math.isnan(default):
                _check_value(self, "default", default, bounds, self.one_of)


@dataclass(frozen=True, eq=False, repr=False)
class Boolean(_Type):
    """True or false; a number is neither.

    >>> Boolean(default=False)
    Boolean(default=False)
    """

    kind: ClassVar[str] = "boolean"
    _: KW_ONLY
    nullable: bool = False
    default: bool | NoDefault | None = NO_DEFAULT

    def __post_init__(self) -> None:
        if self._check_default(self.default, self.nullable):
            self._check_flags("default")


FieldType = Timestamp | String | Categorical | Int64 | Float64 | Boolean

_RULES: Final = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}


def instant_ns(place: str, instant: datetime) -> int:
    """Nanoseconds since 1970; a datetime without a zone is UTC."""
    aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=timezone.utc)
    nanoseconds = (aware - _EPOCH) // timedelta(microseconds=1) * 1_000
    if not -(2**63) <= nanoseconds < 2**63:
        raise DefinitionError(place, f"{instant.isoformat()} lies outside 1677 to 2262; write an instant in between")
    return nanoseconds


def instant(nanoseconds: int) -> datetime:
    """The instant, UTC, cut off to whole microseconds."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1_000)


def _whole(owner: _Type, what: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        owner._refuse(f"{what} is {shown(value)}; write a whole number")
    number = operator.index(value)
    if not -(2**63) <= number < 2**63:
        owner._refuse(f"{what} is {shown(number)}, beyond 64 bits; write a smaller number")
    return number


def _double(owner: _Type, what: str, value: object, *, nan: bool = False) -> float:
    if isinstance(value, (bool, str)) or not isinstance(value, SupportsFloat):
        owner._refuse(f"{what} is {shown(value)}; write a number")
    try:
        number = float(value)
    except OverflowError:
        owner._refuse(f"{what} is {shown(value)}, beyond the largest double; write a smaller number")
    if math.isnan(number) and not nan:
        owner._refuse(f"{what} is nan, which nothing compares to; write a number")
    return number


def _check_rules(owner: _Type, bounds: dict[str, Any], *, empty: bool) -> None:
    for one, other in (("ge", "gt"), ("le", "lt")):
        if one in bounds and other in bounds:
            owner._refuse(f"{one}={bounds[one]} and {other}={bounds[other]} say the same twice; keep one of them")
    if empty:
        written = " and ".join(f"{name}={value}" for name, value in bounds.items())
        owner._refuse(f"{written} leaves no value; raise the upper bound, or lower the lower one")


def _check_value(owner: _Type, what: str, value: Any, bounds: dict[str, Any], one_of: Sequence[Any] | None) -> None:
    for name, bound in bounds.items():
        if not _RULES[name](value, bound):
            owner._refuse(f"{what}={value} breaks {name}={bound}; write one that keeps it, or change the rule")
    if one_of is not None and value not in one_of:
        owner._refuse(f"{what}={value} is not in one_of; add it there, or choose another")


def _numbers(owner: _Type, values: object, bounds: dict[str, Any], read: Any) -> tuple[Any, ...]:
    numbers = tuple(read(owner, "one_of", value) for value in owner._listed("one_of", values))
    for number in numbers:
        _check_value(owner, "one_of", number, bounds, None)
    owner._check_distinct("one_of", numbers)
    return numbers


def _shown(value: object) -> str:
    """As a person would write it: `float('nan')` rather than `nan`."""
    return f"float('{value}')" if isinstance(value, float) and not math.isfinite(value) else repr(value)
