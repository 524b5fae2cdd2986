"""Which stream a column belongs to: the event at hand, or the events that an aggregation reads.

After `resolve` a column of the feature's own stream says no stream, and an aggregation says its stream only
when it is another one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastfeat.errors import DefinitionError
from fastfeat.nodes import Aggregate, Column, Constant, Key, LookupColumn, Node, rebuild, walk
from fastfeat.printing import show
from fastfeat.streams import Stream, check_column
from fastfeat.windows import Since

if TYPE_CHECKING:
    from fastfeat.lookups import Lookup


def resolve(place: str, node: Node, stream: Stream) -> Node:
    """The expression of a feature of `stream`, its columns found and checked."""
    if isinstance(node, Constant):
        return node
    if isinstance(node, Aggregate):
        return _aggregate(place, node, stream)
    if isinstance(node, Column):
        return Column(_own(place, node, stream))
    if isinstance(node, LookupColumn):
        _check_joined(place, node, stream)
    return rebuild(node, lambda part: resolve(place, part, stream))


def foreign_streams(node: Node) -> Iterator[Stream]:
    """The other streams that a resolved expression reads."""
    for each in walk(node):
        if isinstance(each, Aggregate) and each.stream is not None:
            yield each.stream


def lookups(node: Node) -> Iterator[Lookup]:
    """The reference data that an expression reads."""
    for each in walk(node):
        if isinstance(each, LookupColumn):
            yield each.lookup


def _own(place: str, node: Column, stream: Stream) -> str:
    if node.stream is not None and node.stream != stream:
        if node.stream.name == stream.name:
            _refuse_namesake(place, stream.name)
        raise DefinitionError(
            place,
            f"{show(node)} is not there when an event of `{stream.name}` comes; aggregate it, as in "
            f"{show(node)}.last().over(...)",
        )
    check_column(place, stream, node.name)
    return node.name


def _aggregate(place: str, node: Aggregate, stream: Stream) -> Aggregate:
    source = stream if node.stream is None else node.stream
    other = None if source == stream else source
    if other is not None and other.name == stream.name:
        _refuse_namesake(place, stream.name)

    def read(part: Node) -> Node:
        if isinstance(part, Column):
            check_column(place, source, part.name)
            return Column(part.name, other)
        if isinstance(part, LookupColumn):
            _check_joined(place, part, source)
        return rebuild(part, read)

    return dataclasses.replace(
        node,
        arguments=tuple(read(argument) for argument in node.arguments),
        condition=None if node.condition is None else read(node.condition),
        stream=other,
        keys=tuple(_key(place, key, stream, other) for key in node.keys),
        windows=tuple(Since(read(each.condition)) if isinstance(each, Since) else each for each in node.windows),
    )


def _check_joined(place: str, node: LookupColumn, stream: Stream) -> None:
    """A lookup by the column of its key's name: when there is none, something else may stand for it."""
    if node.key == Column(node.lookup.key):
        name = node.lookup.name
        check_column(place, stream, node.lookup.key, f"; say what finds the row: {name}.on(col(...))")


def _key(place: str, key: Key, stream: Stream, other: Stream | None) -> Key:
    """A key column has to be where it is written and, unless something stands for it, where it is read."""
    expression = None if key.expression is None else resolve(place, key.expression, stream)
    if expression == Column(key.name):
        expression = None
    if other is not None:
        check_column(place, other, key.name)
    if expression is None:
        instead = "" if other is None else f"; say which of them is the key: over({key.name}=col(...))"
        check_column(place, stream, key.name, instead)
    return Key(key.name, expression)


def _refuse_namesake(place: str, name: str) -> None:
    raise DefinitionError(place, f"it reads two different streams called `{name}`; rename one, or use one of them")
