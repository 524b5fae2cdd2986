"""Durations as people write them, in whole nanoseconds inside.

There is no month and no year: they have no fixed length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from fastfeat.errors import DefinitionError, shown

__all__ = ["Duration", "duration", "duration_ns", "format_duration", "reads_as_duration", "suggestion"]

NANOSECONDS_MAX: Final = 2**63 - 1
_SECOND: Final = 1_000_000_000
UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3_600 * _SECOND,
    "d": 86_400 * _SECOND,
    "w": 604_800 * _SECOND,
}
_PART: Final = re.compile(r"([0-9]+)(ns|us|ms|s|m|h|d|w)")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
_ALMOST: Final = re.compile(r"\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*([a-zµ]*)\s*", re.IGNORECASE)
# What other libraries call them; a month and a year have no fixed length, so the days stand for them.
_OTHER_UNITS_NS: Final = {
    **{name: _SECOND for name in ("sec", "second")},
    **{name: 60 * _SECOND for name in ("min", "minute", "t")},
    **{name: 3_600 * _SECOND for name in ("hr", "hour")},
    **{name: 86_400 * _SECOND for name in ("", "day")},
    **{name: 604_800 * _SECOND for name in ("wk", "week")},
    **{name: 30 * 86_400 * _SECOND for name in ("mo", "mon", "month")},
    **{name: 365 * 86_400 * _SECOND for name in ("y", "yr", "year")},
    **{name: 1_000_000 for name in ("milli", "millisecond")},
    **{name: 1_000 for name in ("µs", "micro", "microsecond")},
    **{name: 1 for name in ("nano", "nanosecond")},
}


@dataclass(frozen=True)
class Duration:
    """A length of time; equal ones are equal, however they were written."""

    nanoseconds: int
    text: str = field(default="", compare=False)
    """As the user wrote it; names of features have it."""

    def __post_init__(self) -> None:
        if not self.text:
            object.__setattr__(self, "text", format_duration(self.nanoseconds))

    def __repr__(self) -> str:
        return repr(self.text)


def duration(place: str, what: str, length: str | timedelta, *, zero: bool = False) -> Duration:
    """A duration as it was written, refused when it is none."""
    nanoseconds = duration_ns(place, what, length, zero=zero)
    return Duration(nanoseconds, length if isinstance(length, str) else "")


def reads_as_duration(text: str) -> bool:
    """Whether a text in `over` is a window rather than a key column.

    >>> reads_as_duration("24h"), reads_as_duration("card")
    (True, False)
    """
    return _DURATION.fullmatch(text) is not None


def duration_ns(place: str, what: str, length: str | timedelta, *, zero: bool = False) -> int:
    """A duration in nanoseconds: whole, positive (or zero, where that means something), within 64 bits.

    >>> duration_ns("rolling", "window", "1h30m")
    5400000000000
    """
    if isinstance(length, timedelta):
        nanoseconds = length // timedelta(microseconds=1) * 1_000
    elif not isinstance(length, str):
        raise DefinitionError(place, f"{what} is {shown(length)}; write a text such as `7d`, or a timedelta")
    elif not reads_as_duration(length):
        raise DefinitionError(place, f"{what} `{length[:40]}` is not a duration; write {suggestion(length)}")
    else:
        parts = _PART.findall(length)
        # The number of digits is bounded before it is read: a long one costs quadratic time.
        long = any(len(digits.lstrip("0")) > 19 for digits, _ in parts)
        nanoseconds = NANOSECONDS_MAX + 1 if long else sum(int(digits) * UNITS_NS[unit] for digits, unit in parts)
    if nanoseconds > NANOSECONDS_MAX:
        raise DefinitionError(place, f"{what} `{str(length)[:40]}` is longer than 292 years; write at most `106751d`")
    if nanoseconds < 0 or (nanoseconds == 0 and not zero):
        least = "at least `0s`" if zero else "a positive one such as `1h`"
        raise DefinitionError(place, f"{what} `{length}` is not positive; write {least}")
    return nanoseconds


def format_duration(nanoseconds: int) -> str:
    """The duration as a text with one unit; a day is `24h`, two are `2d`.

    >>> format_duration(5_400_000_000_000), format_duration(86_400_000_000_000), format_duration(0)
    ('90m', '24h', '0s')
    """
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, rest = divmod(nanoseconds, UNITS_NS[unit])
        if rest == 0 and (unit != "d" or count > 1) and (count > 0 or unit == "s"):
            return f"{count}{unit}"
    return f"{nanoseconds}ns"


def suggestion(text: str) -> str:
    """What the user may have meant, in backticks."""
    match = _ALMOST.fullmatch(text[:40])
    if match is None:
        return "a whole number and a unit, such as `7d` or `1h30m`"
    number, name = abs(float(match[1])), match[2]
    unit = UNITS_NS.get(name) or UNITS_NS.get(name.lower()) or _OTHER_UNITS_NS.get(name.lower())
    if unit is None:
        unit = _OTHER_UNITS_NS.get(name.lower().rstrip("s"), UNITS_NS["d"])
    nanoseconds = round(number * unit)
    if not 0 < nanoseconds <= NANOSECONDS_MAX:
        return "a whole number and a unit, such as `7d` or `1h30m`"
    return f"`{format_duration(nanoseconds)}`"
