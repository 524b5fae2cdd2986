"""Amounts of memory as people write them: `"2GiB"`, `"500MB"`, or a number of bytes."""

from __future__ import annotations

import operator
import re
from typing import Final, SupportsIndex

from fastfeat.errors import DefinitionError, shown

__all__ = ["size_bytes", "size_text"]

UNITS_BYTES: Final = {
    "b": 1,
    "kb": 1_000,
    "mb": 1_000**2,
    "gb": 1_000**3,
    "tb": 1_000**4,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
}
BYTES_MAX: Final = 2**63 - 1
_SHOWN: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([kmgt]?i?b)", re.IGNORECASE | re.ASCII)


def size_bytes(place: str, what: str, size: int | str) -> int:
    """An amount of memory in bytes, at least one.

    >>> size_bytes("engine", "memory_limit", "2GiB"), size_bytes("engine", "memory_limit", "1.5 MB")
    (2147483648, 1500000)
    """
    way_out = "write a number of bytes, or a text such as `2GiB` or `500MB`"
    if isinstance(size, str):
        match = _SIZE.fullmatch(size)
        if match is None or match[2].lower() not in UNITS_BYTES:
            raise DefinitionError(place, f"{what} {shown(size)} is no amount of memory; {way_out}")
        whole, _, fraction = match[1].partition(".")
        unit = UNITS_BYTES[match[2].lower()]
        number = int(whole) * unit + int(fraction or 0) * unit // int(10 ** len(fraction))
    elif isinstance(size, SupportsIndex) and not isinstance(size, bool):
        number = operator.index(size)
    else:
        raise DefinitionError(place, f"{what} is {shown(size)}; {way_out}")
    if not 1 <= number <= BYTES_MAX:
        raise DefinitionError(place, f"{what} {shown(size)} is not between 1 and {BYTES_MAX} bytes; {way_out}")
    return number


def size_text(size: int) -> str:
    """Bytes as a person reads them.

    >>> size_text(512), size_text(3 << 20)
    ('512 B', '3.0 MiB')
    """
    number, unit = float(size), 0
    while number >= 1024 and unit < len(_SHOWN) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.0f} B" if unit == 0 else f"{number:.1f} {_SHOWN[unit]}"
