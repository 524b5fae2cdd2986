"""Part of the judge: which of its candidates a window chooses (`docs/semantics.md`, section 2).

Times are whole nanoseconds here, so that a length that is no whole number of ticks is compared exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Candidate:
    """One event of the key as an aggregation sees it."""

    place: int
    """Its arrival; times and places together make the total order."""
    time: int
    """In nanoseconds."""
    counts: bool
    """Whether it meets `where` and none of its values is null. Some windows look at those that do not, too."""
    values: tuple[Any, ...]
    starts: bool
    """Whether it meets the condition of a `since`."""


# Each takes the window, all candidates in total order, and the row's time, and returns those that are inside.
Chooser = Callable[[Mapping[str, Any], Sequence[Candidate], int], list[Candidate]]


def rolling(window: Mapping[str, Any], candidates: Sequence[Candidate], row_time: int) -> list[Candidate]:
    newest = row_time - window.get("offset_ns", 0)
    oldest = newest - window["length_ns"]
    closed = window.get("closed", "right")
    return [
        candidate
        for candidate in candidates
        if oldest < candidate.time < newest
        or (candidate.time == oldest and closed in ("left", "both"))
        or (candidate.time == newest and closed in ("right", "both"))
    ]


def tumbling(window: Mapping[str, Any], candidates: Sequence[Candidate], row_time: int) -> list[Candidate]:
    oldest = tumbling_start(row_time, window["length_ns"], window.get("timezone"))
    return [candidate for candidate in candidates if oldest <= candidate.time <= row_time]


def hopping(window: Mapping[str, Any], candidates: Sequence[Candidate], row_time: int) -> list[Candidate]:
    oldest = floor(row_time - window["length_ns"], window["every_ns"])
    return [candidate for candidate in candidates if oldest <= candidate.time <= row_time]


def session(window: Mapping[str, Any], candidates: Sequence[Candidate], row_time: int) -> list[Candidate]:
    """Backwards from the row, until a gap is longer than the session's."""
    inside: list[Candidate] = []
    later = row_time
    for candidate in reversed(candidates):
        if later - candidate.time > window["gap_ns"]:
            break
        inside.insert(0, candidate)
        later = candidate.time
    return inside


def last(window: Mapping[str, Any], candidates: Sequence[Candidate], row_time: int) -> list[Candidate]:
    return list(candidates[-window["count"] :])


def since(window: Mapping[str, Any], candidates: Sequence[Candidate], row_time: int) -> list[Candidate]:
    starts = [index for index, candidate in enumerate(candidates) if candidate.starts]
    return list(candidates[starts[-1] :]) if starts else []


def all_time(window: Mapping[str, Any], candidates: Sequence[Candidate], row_time: int) -> list[Candidate]:
    return list(candidates)


WINDOWS: dict[str, Chooser] = {
    "rolling": rolling,
    "tumbling": tumbling,
    "hopping": hopping,
    "session": session,
    "last": last,
    "since": since,
    "all": all_time,
}
# They keep no event beyond the watermark: what is before it has been folded.
FOLDED = ("all", "hopping")


def inside_late(
    window: Mapping[str, Any],
    seen: Sequence[Candidate],
    own: Candidate | None,
    row_time: int,
    known: Sequence[Candidate],
    watermark: int,
) -> list[Candidate]:
    """The window of a late row. `seen` are its candidates, the row's own event not among them; `known` are those that
    it would have at the watermark."""
    choose = WINDOWS[window["kind"]]
    itself = [] if own is None else [own]
    moved = [replace(each, time=watermark) for each in itself]
    visible = [candidate for candidate in choose(window, [*known, *moved], watermark) if candidate not in moved]
    if window["kind"] in FOLDED:
        # All that was folded, later than the row or not; what lies at the watermark is not folded yet.
        return [candidate for candidate in visible if candidate.time < watermark] + itself
    # Of the others nothing is known any more, not even whether one of them began a `since`.
    return choose(window, [*(candidate for candidate in seen if candidate in visible), *itself], row_time)


# --- Where a window begins -----------------------------------------------------------------------------------------


def floor(time: int, length: int) -> int:
    """The largest multiple of the length since 1970 that is not after the time."""
    return time // length * length


def tumbling_start(time: int, length: int, zone: str | None = None) -> int:
    """The floor, by the local clock of a time zone where there is one."""
    if zone is None:
        return floor(time, length)
    clock = ZoneInfo(zone)
    floored = floor(time + offset(clock, time), length)  # what the local clock showed when the window began
    offsets = {offset(clock, floored + days * DAY // 2) for days in range(-4, 5)} | {offset(clock, time)}
    showed_it = [floored - each for each in offsets if offset(clock, floored - each) == each]
    jumped_over_it = [
        instant
        for before in offsets
        for after in offsets
        if before < after and (instant := jump(clock, floored, before, after)) is not None
    ]
    return max(instant for instant in showed_it + jumped_over_it if instant <= time)


def jump(clock: ZoneInfo, local: int, before: int, after: int) -> int | None:
    """The instant at which the clock goes from `before` to `after` and jumps over a local time, if it does."""
    early, late = local - after, local - before  # at the one it has not jumped yet, at the other it has
    while late - early > 1:
        middle = (early + late) // 2
        early, late = (early, middle) if middle + offset(clock, middle) > local else (middle, late)
    return late if early + offset(clock, early) < local < late + offset(clock, late) else None


def offset(clock: ZoneInfo, time: int) -> int:
    """How far the local clock is ahead of UTC at an instant; beyond the calendar it is as at its end."""
    second = min(max(time // SECOND, -62_135_596_800 + 86_400), 253_402_300_799 - 86_400)
    local = (EPOCH + timedelta(seconds=second)).astimezone(clock)
    return local.utcoffset() // timedelta(seconds=1) * SECOND
