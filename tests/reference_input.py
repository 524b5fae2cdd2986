"""Part of the judge: which events are taken and which values they have (`docs/semantics.md`, sections 1 and 7)."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

from reference_expressions import INT64_MAX, INT64_MIN, Instant, literal

TEXT_BYTES_DEFAULT = 4096
SECONDS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class RefusedError(Exception):
    """The broken rules, as (field, rule)."""

    def __init__(self, problems: list[tuple[str, str]]):
        super().__init__(problems)
        self.problems = problems


class LateError(Exception):
    """The event is before the watermark of its stream, which rejects such events."""

    def __init__(self, stream: str, time: int, newest: int):
        super().__init__(stream, time, newest)
        self.stream, self.time, self.newest = stream, time, newest
        self.behind_ticks = newest - time


class BrokenError(Exception):
    """One value breaks one rule of its type."""


class Schema:
    """The columns of a stream and the rules their values keep."""

    def __init__(self, definition: Mapping[str, Any], ticks_per_second: int):
        self.time = definition["time"]
        self.fields = definition["fields"]
        self.ticks_per_second = ticks_per_second

    def field(self, name: str) -> Mapping[str, Any]:
        (found,) = (field for field in self.fields if field["name"] == name)
        return found

    def check(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The event's values, or every broken rule at once. Fields the stream does not know are ignored."""
        values, problems = {}, []
        for field in self.fields:
            name = field["name"]
            value, rules = self.check_field(field, name in event, event.get(name))
            values[name] = value
            problems += [(name, rule) for rule in rules]
        if problems:
            raise RefusedError(problems)
        return values

    def check_field(self, field: Mapping[str, Any], is_there: bool, raw: Any) -> tuple[Any, list[str]]:
        default = field.get("default")
        if raw is None:
            if is_there and field.get("nullable"):
                return None, []  # a null is kept where the field is nullable
            if default is not None:
                return self.literal(field, default), []
            if field.get("nullable"):
                return None, []
            return None, ["not_null" if is_there else "required"]
        try:
            value = CONVERSIONS[field["type"]](raw, field, self.ticks_per_second)
        except BrokenError as broken:
            return None, [str(broken)]
        return value, broken_rules(value, field, self.ticks_per_second)

    def literal(self, field: Mapping[str, Any], value: Any) -> Any:
        value = literal(value, self.ticks_per_second)
        return float(value) if field["type"] == "float64" and value is not None else value


BOUNDS = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}


def broken_rules(value: Any, field: Mapping[str, Any], ticks_per_second: int) -> list[str]:
    if isinstance(value, float) and not math.isfinite(value) and not field.get("allow_nan"):
        return ["allow_nan"]
    broken = [
        rule
        for rule, holds in BOUNDS.items()
        if field.get(rule) is not None and not holds(value, literal(field[rule], ticks_per_second))
    ]
    if isinstance(value, float) and math.isnan(value):
        broken = []  # a NaN that is allowed lies on no side of a bound
    if field.get("one_of") is not None and value not in [literal(one, ticks_per_second) for one in field["one_of"]]:
        broken.append("one_of")
    if field.get("categories") is not None and value not in field["categories"]:
        broken.append("one_of")
    if field.get("pattern") is not None and re.fullmatch(field["pattern"], value) is None:
        broken.append("pattern")
    if field["type"] == "string" and len(value.encode()) > (field.get("max_bytes") or TEXT_BYTES_DEFAULT):
        broken.append("max_bytes")
    return broken


# --- Types are not guessed ---------------------------------------------------------------------------------------


def to_boolean(raw: Any, field: Mapping[str, Any], ticks_per_second: int) -> bool:
    if not isinstance(raw, bool):
        raise BrokenError("type")
    return raw


def to_text(raw: Any, field: Mapping[str, Any], ticks_per_second: int) -> str:
    if not isinstance(raw, str) or any("\ud800" <= character <= "\udfff" for character in raw):
        raise BrokenError("type")  # half a surrogate pair is no text that UTF-8 could carry
    return raw


def to_float(raw: Any, field: Mapping[str, Any], ticks_per_second: int) -> float:
    """Whole numbers (rounded to the nearest double) and anything with `__float__`."""
    if isinstance(raw, bool) or not (hasattr(raw, "__float__") or hasattr(raw, "__index__")):
        raise BrokenError("type")
    try:
        return float(raw)
    except OverflowError:
        raise BrokenError("range") from None


def to_int(raw: Any, field: Mapping[str, Any], ticks_per_second: int) -> int:
    """Whole numbers and anything with `__index__`, no 3.0."""
    if isinstance(raw, bool) or not hasattr(raw, "__index__"):
        raise BrokenError("type")
    value = raw.__index__()
    if not INT64_MIN <= value <= INT64_MAX:
        raise BrokenError("range")
    return value


def to_instant(raw: Any, field: Mapping[str, Any], ticks_per_second: int) -> Instant:
    """Whole numbers in the field's unit, a `datetime`, ISO 8601 text; a float is refused."""
    if isinstance(raw, datetime):
        nanoseconds = datetime_nanoseconds(raw)
    elif isinstance(raw, str):
        nanoseconds = iso_nanoseconds(raw)
    elif isinstance(raw, (bool, float)) or not hasattr(raw, "__index__"):
        raise BrokenError("type")
    else:
        nanoseconds = raw.__index__() * (1_000_000_000 // SECONDS[field.get("unit") or "us"])
    ticks = nanoseconds * ticks_per_second // 1_000_000_000  # digits below the tick are cut off, towards the past
    first, last = (1, 9999) if ticks_per_second == 1_000_000 else (1678, 2261)
    oldest = datetime_nanoseconds(datetime(first, 1, 1))
    newest = datetime_nanoseconds(datetime(last, 12, 31)) + 86_400 * 1_000_000_000
    if not oldest <= nanoseconds < newest:
        raise BrokenError("range")
    return Instant(ticks)


def datetime_nanoseconds(moment: datetime) -> int:
    """A datetime without a zone is UTC."""
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1_000


ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,}))?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)


def iso_nanoseconds(text: str) -> int:
    """`T` or a space between date and time; a zone or `Z` is optional (UTC); a date alone is midnight UTC."""
    match = ISO.fullmatch(text)
    if match is None:
        raise BrokenError("type")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        raise BrokenError("type") from None
    hour, minute, second = int(hour or 0), int(minute or 0), int(second or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise BrokenError("type")
    seconds = days * 86_400 + hour * 3_600 + minute * 60 + second
    if zone not in (None, "Z"):
        sign = 1 if zone[0] == "+" else -1
        seconds -= sign * (int(zone[1:3]) * 3_600 + int(zone[-2:]) * 60)
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0")[:9])


CONVERSIONS = {
    "boolean": to_boolean,
    "string": to_text,
    "categorical": to_text,
    "float64": to_float,
    "int64": to_int,
    "timestamp": to_instant,
}
