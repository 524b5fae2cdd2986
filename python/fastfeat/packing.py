"""Messages of a partition as the batches that Kafka keeps, laid out in one call of compiled code."""

from __future__ import annotations

from collections.abc import Sequence

from fastfeat import _core

__all__ = ["pack"]


def pack(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps_ms: Sequence[int],
    headers: Sequence[Sequence[tuple[str, bytes | None]]] | None,
    bytes_max: int,
) -> list[_core.RecordBatch]:
    """The messages in order, in as few batches as `bytes_max` lets; one that is longer has a batch of its own.

    >>> [(batch.count, batch.size) for batch in pack([b"a", None], [b"x", b"y"], [5, 6], None, 1_000)]
    [(2, 78)]
    """
    return _core.record_batches(keys, values, timestamps_ms, headers, bytes_max)
