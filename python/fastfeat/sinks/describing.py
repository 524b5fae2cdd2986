"""The frames of DescribeTransactions, version 0 (KIP-664), which aiokafka does not have."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

__all__ = ["describe_transactions"]


def describe_transactions(transactional_ids: Sequence[str]) -> Any:
    """A request for the state, the timeout, the producer and its epoch of transactional ids."""
    return _request()(transactional_ids)


@cache
def _request() -> Any:
    from aiokafka.protocol.api import Request, RequestStruct, Response
    from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

    text, tags = CompactString("utf-8"), ("tags", TaggedFields)

    class Answered(Response):  # type: ignore[misc]
        API_KEY, API_VERSION = 65, 0
        SCHEMA = Schema(
            ("throttle_time_ms", Int32),
            (
                "transactions",
                CompactArray(
                    ("error_code", Int16),
                    ("transactional_id", text),
                    ("state", text),
                    ("timeout_ms", Int32),
                    ("start_time_ms", Int64),
                    ("producer_id", Int64),
                    ("producer_epoch", Int16),
                    ("topics", CompactArray(("topic", text), ("partitions", CompactArray(Int32)), tags)),
                    tags,
                ),
            ),
            tags,
        )

    class Asked(RequestStruct):  # type: ignore[misc]
        FLEXIBLE_VERSION = True
        API_KEY, API_VERSION, RESPONSE_TYPE = 65, 0, Answered
        SCHEMA = Schema(("transactional_ids", CompactArray(text)), tags)

    class DescribeTransactions(Request[Asked]):  # type: ignore[misc]
        API_KEY = 65

        def __init__(self, transactional_ids: Sequence[str]) -> None:
            self._ids = list(transactional_ids)

        def build(self, request_struct_class: Any) -> Any:
            return request_struct_class(self._ids, {})

    return DescribeTransactions
