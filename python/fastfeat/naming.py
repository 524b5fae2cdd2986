"""One written feature -> the features it makes: several windows or aggregations make several, each with its name.

Aggregations vary slower than windows: `count_card_1h`, `count_card_24h`, then `sum_card_1h`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TypeVar

from fastfeat.durations import Duration
from fastfeat.errors import DefinitionError
from fastfeat.nodes import Aggregate, Alias, Column, LookupColumn, Node, rebuild, walk
from fastfeat.printing import show, window_text
from fastfeat.streams import Stream
from fastfeat.windows import AllTime, Since, Window

_T = TypeVar("_T", bound=str | Window)


def named(place: str, name: str | None, node: Node, stream: Stream) -> Iterator[tuple[str, Node]]:
    """The features of one expression. `name` is the keyword it was given, if any; an alias stands for it."""
    while isinstance(node, Alias):
        name = node.name if name is None else name
        node = node.inner
    aggregates = [each for each in walk(node) if isinstance(each, Aggregate)]
    kinds = _axis(place, "aggregations", [each.kinds for each in aggregates])
    windows = _axis(place, "windows", [each.windows for each in aggregates])
    for kind in kinds or (None,):
        for window in windows or (None,):
            if name is None:
                parts = _automatic(place, node, stream, kind, window)
            else:
                parts = [name, *([kind] if kind else []), *_suffix(place, window)]
            yield "_".join(parts), _single(node, kind, window)


def _axis(place: str, what: str, found: list[tuple[_T, ...]]) -> Sequence[_T]:
    """What the features of one expression differ in: every part of it that has several must have the same."""
    several = [each for each in found if len(each) > 1]
    for other in several[1:]:
        if set(other) != set(several[0]):
            raise DefinitionError(
                place,
                f"one part of it has the {what} {_listed(several[0])} and another {_listed(other)}; give all parts "
                "the same, or only one",
            )
    return several[0] if several else ()


def _listed(items: Sequence[str | Window]) -> str:
    return ", ".join(f"`{item}`" if isinstance(item, str) else window_text(item) for item in items)


def _suffix(place: str, window: Window | None) -> list[str]:
    """What the window adds to a name. That of `since` is known before aliases go."""
    if window is None or isinstance(window, AllTime):
        return []
    if isinstance(window, Since):
        return [f"since_{_short(place, 'condition', window.condition)}"]
    return [window.name]


def _single(node: Node, kind: str | None, window: Window | None) -> Node:
    """The expression with one aggregation and one window where it has several."""
    if isinstance(node, Aggregate):
        one_kind = (kind,) if kind and len(node.kinds) > 1 else node.kinds
        one_window = (window,) if window and len(node.windows) > 1 else node.windows
        return dataclasses.replace(node, kinds=one_kind, windows=one_window)
    return rebuild(node, lambda part: _single(part, kind, window))


def _automatic(place: str, node: Node, stream: Stream, kind: str | None, window: Window | None) -> list[str]:
    """The parts of a name that the expression gives itself."""
    if isinstance(node, (Column, LookupColumn)):
        return [node.name]
    if not isinstance(node, Aggregate):
        raise DefinitionError(
            place, "a composed feature needs a name; write features(name=...), or .alias(name) at its end"
        )
    foreign = [node.stream.name] if node.stream is not None and node.stream != stream else []
    of = [_short(place, "input", each) for each in node.arguments[:1]]
    compared = [_short(place, "second input", each) for each in node.arguments[1:]]
    parameters = [each.text if isinstance(each, Duration) else str(each) for each in node.parameters]
    where = [] if node.condition is None else ["where", _short(place, "filter", node.condition)]
    keys = [key.name for key in node.keys]
    windows = _suffix(place, window or node.windows[0])
    before = ["strictly_before"] if node.ties == "exclude" else [] if node.include_current else ["before"]
    return [*foreign, *of, kind or node.kinds[0], *compared, *parameters, *where, *keys, *windows, *before]


def _short(place: str, what: str, node: Node) -> str:
    if isinstance(node, (Column, Alias, LookupColumn)):
        return node.name
    raise DefinitionError(
        place,
        f"its {what} {show(node)} is computed, so it needs a name; write features(name=...), "
        f"or .alias(name) on the {what}",
    )
