"""Where a checkpoint is: a path of this machine, or an address in an object store."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from fastfeat.errors import shown

__all__ = ["checkpoint_path", "is_address", "option_pairs"]

ADDRESS: Final = re.compile(r"[A-Za-z0-9+.-]{2,}://")
# What pathlib makes of an address: it takes one of two slashes out.
BROKEN: Final = re.compile(r"(s3a?|gs|az|adl|azure|abfss?|memory|file):/(?!/)")


def is_address(path: str | os.PathLike[str]) -> TypeGuard[str]:
    """Whether it leads to a store rather than to a file of this machine by its path.

    >>> is_address("s3://bucket/payments"), is_address("checkpoints/payments")
    (True, False)
    """
    return isinstance(path, str) and ADDRESS.match(path) is not None


def checkpoint_path(path: str | os.PathLike[str]) -> str:
    """A path or an address as a text."""
    text = os.fspath(path)
    if not isinstance(text, str) or not text:
        raise TypeError(f"a checkpoint goes to a path, not to {shown(path)}")
    if BROKEN.match(text):
        raise TypeError(f"{shown(text)} was an address before pathlib took a slash out of it; give it as a text")
    return text


def option_pairs(options: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Options of a store as names and texts. No message shows a value: it may be a secret.

    >>> option_pairs({"endpoint": "http://localhost:9000", "allow_http": True, "max_retries": 3})
    [('endpoint', 'http://localhost:9000'), ('allow_http', 'true'), ('max_retries', '3')]
    """
    if options is None:
        return []
    if not isinstance(options, Mapping):
        raise TypeError("store_options is a dict from the name of an option to its value")
    pairs = []
    for name, value in options.items():
        if not isinstance(name, str) or not isinstance(value, (str, bool, int)):
            raise TypeError(
                f"the store option {shown(name)} has a {type(value).__name__}; write a text, number or bool"
            )
        pairs.append((name, str(value).lower() if isinstance(value, bool) else str(value)))
    return pairs
