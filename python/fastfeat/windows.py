"""Windows: which events of a key an aggregation sees. `docs/semantics.md` section 2 has the rules.

Frozen values; most have a `name`, which the names of features end in. A length alone, such as `"1h"`, is a rolling
window; no window is all time.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, SupportsIndex, TypeAlias
from zoneinfo import ZoneInfo

from fastfeat.durations import NANOSECONDS_MAX, Duration, duration
from fastfeat.errors import DefinitionError, check_text, nearest, shown

if TYPE_CHECKING:
    from fastfeat.expressions import Expr
    from fastfeat.nodes import Node

__all__ = [
    "AllTime",
    "Hopping",
    "Last",
    "Rolling",
    "Session",
    "Since",
    "Tumbling",
    "Window",
    "hopping",
    "last",
    "rolling",
    "session",
    "since",
    "tumbling",
]

Closed: TypeAlias = Literal["right", "left", "both", "neither"]
CLOSED: Final = ("right", "left", "both", "neither")
LAST_MAX: Final = 1_000_000
_NONE: Final = Duration(0)


@dataclass(frozen=True)
class Rolling:
    """The events with times in (t - length, t], moved back by the offset. Made by `rolling`."""

    length: Duration
    offset: Duration = _NONE
    closed: Closed = "right"

    @property
    def name(self) -> str:
        """As names of features end in it, e.g. `1h`, `1h_offset_1d_left`."""
        offset = f"_offset_{self.offset.text}" if self.offset.nanoseconds else ""
        return self.length.text + offset + (f"_{self.closed}" if self.closed != "right" else "")

    def __repr__(self) -> str:
        offset = f", offset={self.offset!r}" if self.offset.nanoseconds else ""
        closed = f", closed={self.closed!r}" if self.closed != "right" else ""
        return f"rolling({self.length!r}{offset}{closed})"


@dataclass(frozen=True)
class Tumbling:
    """The events since the last whole multiple of the length. Made by `tumbling`."""

    length: Duration
    timezone: str | None = None

    @property
    def name(self) -> str:
        """As names of features end in it, e.g. `tumbling_1d`."""
        return f"tumbling_{self.length.text}"

    def __repr__(self) -> str:
        timezone = "" if self.timezone is None else f", timezone={self.timezone!r}"
        return f"tumbling({self.length!r}{timezone})"


@dataclass(frozen=True)
class Hopping:
    """The events since the last whole multiple of `every` that is at least `length` ago. Made by `hopping`."""

    length: Duration
    every: Duration

    @property
    def name(self) -> str:
        """As names of features end in it, e.g. `hopping_30d`."""
        return f"hopping_{self.length.text}"

    def __repr__(self) -> str:
        return f"hopping({self.length!r}, every={self.every!r})"


@dataclass(frozen=True)
class Session:
    """The events without a longer gap between them, up to now. Made by `session`."""

    gap: Duration

    @property
    def name(self) -> str:
        """As names of features end in it, e.g. `session_30m`."""
        return f"session_{self.gap.text}"

    def __repr__(self) -> str:
        return f"session({self.gap!r})"


@dataclass(frozen=True)
class Last:
    """The newest so many events. Made by `last`."""

    count: int

    @property
    def name(self) -> str:
        """As names of features end in it, e.g. `last_100`."""
        return f"last_{self.count}"

    def __repr__(self) -> str:
        return f"last({self.count})"


@dataclass(frozen=True, repr=False)
class Since:
    """The events from the last one on that met a condition. Made by `since`."""

    condition: Node

    def __repr__(self) -> str:
        from fastfeat.printing import show

        return f"since({show(self.condition)})"


@dataclass(frozen=True)
class AllTime:
    """Every event of the key so far: what `over` means without a window."""


Window: TypeAlias = Rolling | Tumbling | Hopping | Session | Last | Since | AllTime
"""What `over` takes beside a duration as text; all time is none of them."""
WINDOWS: Final = (Rolling, Tumbling, Hopping, Session, Last, Since)


def rolling(length: str | timedelta, *, offset: str | timedelta = "0s", closed: Closed = "right") -> Rolling:
    """A window over the events of the last `length`: times in (t - length, t].

    `length` is a text such as `"1h"` or `"1h30m"` (units `ns us ms s m h d w`), or a `datetime.timedelta`.
    In `over` the text alone means the same. `offset` moves the whole window into the past; `closed` says which ends
    are inside: `right`, `left`, `both` or `neither`.

    >>> rolling("1h30m")
    rolling('1h30m')
    >>> rolling("1h") == rolling("60m") == rolling(timedelta(hours=1))
    True
    >>> rolling("1h", offset="1d", closed="left")  # the same hour, yesterday
    rolling('1h', offset='1d', closed='left')
    """
    window = Rolling(
        duration("rolling", "window", length), duration("rolling", "offset", offset, zero=True), _closed(closed)
    )
    if window.length.nanoseconds + window.offset.nanoseconds > NANOSECONDS_MAX:
        raise DefinitionError(
            "rolling", "length and offset together are longer than 292 years; write at most `106751d` in all"
        )
    return window


def tumbling(length: str | timedelta, *, timezone: str | ZoneInfo | None = None) -> Tumbling:
    """A window that begins anew at every whole multiple of `length` since 1970: times in [floor(t, length), t].

    With a time zone the multiples are those of its clock, so that a day has 23 hours when summer time begins.

    >>> tumbling("1d", timezone="Europe/Paris")
    tumbling('1d', timezone='Europe/Paris')
    """
    zone = timezone.key if isinstance(timezone, ZoneInfo) else timezone
    if zone is not None:
        zone = check_text("tumbling", "timezone", zone)
    # The same windows are the same value.
    return Tumbling(duration("tumbling", "window", length), None if zone == "UTC" else zone)


def hopping(length: str | timedelta, *, every: str | timedelta) -> Hopping:
    """A long window in bounded memory: times in [floor(t - length, every), t].

    Its newest end is exact, its oldest moves in steps of `every`; no single event is kept, only a slice for each step.

    >>> hopping("30d", every="1h")
    hopping('30d', every='1h')
    """
    window = Hopping(duration("hopping", "window", length), duration("hopping", "every", every))
    if window.every.nanoseconds > window.length.nanoseconds:
        raise DefinitionError(
            "hopping",
            f"every `{window.every.text}` is longer than the window, `{window.length.text}`; write a shorter step",
        )
    return window


def session(gap: str | timedelta) -> Session:
    """The events of one visit: it ends when nothing comes for longer than `gap`. A gap of exactly that goes on.

    >>> session("30m")
    session('30m')
    """
    return Session(duration("session", "gap", gap))


def last(count: int) -> Last:
    """The newest `count` events of the key, whatever their times; 1 to 1,000,000.

    >>> last(100)
    last(100)
    """
    if isinstance(count, bool) or not isinstance(count, SupportsIndex) or not 1 <= operator.index(count) <= LAST_MAX:
        raise DefinitionError("last", f"count is {shown(count)}; write a whole number from 1 to {LAST_MAX}")
    return Last(operator.index(count))


def since(condition: Expr) -> Since:
    """The events from the last one on that met the condition, that one included; none when none met it.

    The features of a computed condition need a name: a keyword, or `.alias(name)` on the condition.

    >>> since(col("amount") > 100)
    since(col('amount') > 100)
    """
    from fastfeat.expressions import condition_node  # expressions are made of windows

    return Since(condition_node("since", condition))


def _closed(closed: object) -> Closed:
    if closed in CLOSED:
        return closed
    hint = nearest(closed, CLOSED) if isinstance(closed, str) else ""
    raise DefinitionError("rolling", f"closed is {shown(closed)};{hint} write one of `{'`, `'.join(CLOSED)}`")
