"""How the last transaction of an id ended, asked of its coordinator, and its seal: rule 6 of `fastfeat.protocol`.

aiokafka knows no request for the state of a transaction (KIP-664) and none that ends one of a producer that is not
its own, so these few frames are sent here. Everything from `look` to the end of `seal` goes over connections that
were not lost in between: a coordinator that comes back in the middle of it may have forgotten to tell somebody again.

The mark is kept by the coordinator, in the transaction's timeout: those of workers are multiples of four milliseconds,
and one that is being sealed has another remainder. So it is kept at once with the epoch that shuts the others out.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fastfeat.protocol import Fault
from fastfeat.sinks.describing import describe_transactions

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

__all__ = ["PublishError", "Sealer", "timeout_ms"]

AGAIN_S: Final = 0.01
"""Between two questions about a transaction that is just ending."""
COMMIT_MARK: Final = 1
ABORT_MARK: Final = 2
NOT_FOUND: Final = 105
"""TRANSACTIONAL_ID_NOT_FOUND, which aiokafka has no name for."""
PRODUCER_FENCED: Final = 90


class PublishError(Exception):
    """What went wrong, and what that means for the results."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def timeout_ms(wanted_ms: int, seal: bool | None = None) -> int:
    """The timeout of an id's transactions, and what is to be sealed, if anything is.

    >>> timeout_ms(15_000), timeout_ms(15_000, True), timeout_ms(15_003, False)
    (15000, 14997, 14998)
    """
    whole_ms = wanted_ms - wanted_ms % 4
    return whole_ms if seal is None else whole_ms - 4 + (COMMIT_MARK if seal else ABORT_MARK)


@dataclass(frozen=True)
class _Found:
    state: str
    mark: bool | None
    producer: int
    epoch: int

    @property
    def ended(self) -> bool | None:
        return {"CompleteCommit": True, "CompleteAbort": False}.get(self.state)


class Sealer:
    """One look, and what follows of it."""

    def __init__(self, connection: Mapping[str, Any], *, transactional_id: str, group: str, timeout_ms: int) -> None:
        self._connection, self._id, self._group, self._timeout_ms = connection, transactional_id, group, timeout_ms
        self._client: AIOKafkaClient | None = None
        self._coordinator = -1
        self._producer, self._epoch = -1, -1
        self._lost = False

    async def look(self) -> tuple[bool | None, bool]:
        """How the last transaction ended, and whether that is marked already. One that is open will be aborted."""
        while True:
            try:
                await self._connect()
                found = await self._settled()
                break
            except PublishError as error:
                if error.fault is not Fault.RETRIABLE:
                    raise
                # The coordinator has moved, or is only now being made.
                await asyncio.sleep(AGAIN_S)
        if found is None or (found.state in ("Empty", "Dead") and found.mark is None):
            return None, False
        self._producer, self._epoch = found.producer, found.epoch
        return (bool(found.ended), False) if found.mark is None else (found.mark, True)

    async def mark(self, commit: bool) -> None:
        """A new epoch, under which nothing but the seal is done."""
        from aiokafka.protocol.transaction import InitProducerIdRequest

        found = await self._described()
        if found is None or (found.epoch, found.mark) != (self._epoch, None):
            raise PublishError(Fault.RETRIABLE, "another owner is at the same transaction")
        request = InitProducerIdRequest(self._id, timeout_ms(self._timeout_ms, commit))
        answer = await self._answered(request)
        self._producer, self._epoch = answer.producer_id, answer.producer_epoch

    async def seal(self, commit: bool, places: Sequence[tuple[str, int]]) -> None:
        """Done when the coordinator has told every partition."""
        from aiokafka.protocol.transaction import AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest

        who = (self._id, self._producer, self._epoch)
        await self._leaders(places)
        by_topic = defaultdict(list)
        for topic, partition in places:
            by_topic[topic].append(partition)
        if by_topic:
            await self._answered(AddPartitionsToTxnRequest(*who, list(by_topic.items())))
        await self._answered(AddOffsetsToTxnRequest(*who, self._group))
        await self._answered(EndTxnRequest(*who, commit))
        found = await self._settled()
        if found is None or (found.ended, found.epoch) != (commit, self._epoch):
            raise PublishError(Fault.RETRIABLE, "another owner is at the same transaction")
        self._whole()

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        assert self._client is not None
        return len(await self._client._wait_on_metadata(topic))

    async def unbegun(self) -> None:
        """Raises if somebody has begun a transaction of this id since; done with looking."""
        if self._client is None:
            return
        found = await self._described()
        self._whole()
        await self.close()
        if found is not None and found.state not in ("Empty", "CompleteCommit", "CompleteAbort", "Dead"):
            raise PublishError(Fault.RETRIABLE, "another owner has begun a transaction")

    async def close(self) -> None:
        """Lets go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connect(self) -> None:
        from aiokafka.client import AIOKafkaClient
        from aiokafka.conn import CloseReason

        await self.close()
        self._lost = False
        client = self._client = AIOKafkaClient(**self._connection)
        closed = client._on_connection_closed

        def lost(connection: Any, reason: Any) -> None:
            # Of a client that was let go of nothing is to be told.
            self._lost |= client is self._client and reason is not CloseReason.SHUTDOWN
            closed(connection, reason)

        client._on_connection_closed = lost
        await client.bootstrap()
        self._coordinator = await self._found_coordinator()

    async def _found_coordinator(self) -> int:
        from aiokafka.client import ConnectionGroup, CoordinationType
        from aiokafka.errors import CoordinatorNotAvailableError

        assert self._client is not None
        while True:
            try:
                node = int(await self._client.coordinator_lookup(CoordinationType.TRANSACTION, self._id))
                await self._client.ready(node, group=ConnectionGroup.COORDINATION)
                return node
            except CoordinatorNotAvailableError:
                await asyncio.sleep(AGAIN_S)

    def _whole(self) -> None:
        """A coordinator that went away in between is asked from the beginning."""
        if self._lost:
            raise PublishError(Fault.RETRIABLE, "a connection was lost while a transaction was being sealed")

    async def _leaders(self, places: Sequence[tuple[str, int]]) -> None:
        """Partitions without a leader would be passed over again."""
        from aiokafka.structs import TopicPartition

        assert self._client is not None
        for topic in {topic for topic, _ in places}:
            self._client.add_topic(topic)
        await self._client.force_metadata_update()
        for place in places:
            if self._client.cluster.leader_for_partition(TopicPartition(*place)) in (None, -1):
                raise PublishError(Fault.RETRIABLE, f"partition {place[1]} of topic `{place[0]}` has no leader")

    async def _settled(self) -> _Found | None:
        """The state when nothing is just being ended; None where there is none, or the broker cannot tell."""
        from aiokafka.errors import IncompatibleBrokerVersion

        while True:
            try:
                found = await self._described()
            except IncompatibleBrokerVersion:
                return None
            if found is None or not found.state.startswith("Prepare"):
                return found
            await asyncio.sleep(AGAIN_S)

    async def _described(self) -> _Found | None:
        while True:
            answer = await self._send(describe_transactions([self._id]))
            (one,) = answer.to_object()["transactions"]
            if one["error_code"] == NOT_FOUND:
                return None
            if not await self._again(one["error_code"]):
                break
        left = one["timeout_ms"] % 4
        mark = {COMMIT_MARK: True, ABORT_MARK: False}.get(left)
        return _Found(one["state"], mark, one["producer_id"], one["producer_epoch"])

    async def _answered(self, request: Any) -> Any:
        """Sent until the coordinator has time for it."""
        while True:
            answer = await self._send(request)
            if "errors" in answer.SCHEMA.names:
                codes = {code for _, errors in answer.errors for _, code in errors}
            else:
                codes = {answer.error_code}
            if not [True for code in codes if await self._again(code)]:
                return answer

    async def _send(self, request: Any) -> Any:
        from aiokafka.client import ConnectionGroup

        assert self._client is not None
        self._whole()
        return await self._client.send(self._coordinator, request, group=ConnectionGroup.COORDINATION)

    async def _again(self, code: int) -> bool:
        """Whether the same is to be asked again; raises where that does not help."""
        from aiokafka import errors

        later = (errors.ConcurrentTransactions, errors.CoordinatorLoadInProgressError)
        moved = (errors.NotCoordinatorError, errors.CoordinatorNotAvailableError)
        kind = errors.for_code(code)
        if code == PRODUCER_FENCED or kind is errors.InvalidProducerEpoch:
            raise PublishError(Fault.FENCED, "another owner has shut this one out")
        if kind in moved:
            raise PublishError(Fault.RETRIABLE, f"the coordinator of `{self._id}` has moved")
        if kind in later:
            await asyncio.sleep(AGAIN_S)
            return True
        if kind is not errors.NoError:
            raise kind(self._id)
        return False
