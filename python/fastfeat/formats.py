"""Formats of messages: how the bytes of a topic become events. Frozen values; what reads them is compiled code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastfeat.errors import nearest, shown

__all__ = ["Format", "Json", "format_of"]


@dataclass(frozen=True)
class Json:
    """One JSON object a message, UTF-8.

    >>> Json()
    Json()
    """


Format = Json
NAMED: Final[dict[str, Format]] = {"json": Json()}


def format_of(value: object) -> Format:
    """A format from its name or itself.

    >>> format_of("json")
    Json()
    """
    if isinstance(value, Format):
        return value
    hint = nearest(value, NAMED) if isinstance(value, str) else ""
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]
    raise ValueError(f"format is {shown(value)};{hint} write one of {', '.join(map(repr, NAMED))} or fastfeat.Json()")
