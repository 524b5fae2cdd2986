"""Kafka as a sink: the one small interface behind which aiokafka's producer is. Batches and positions, together.

aiokafka resends frames by itself, so that an older copy may still be on its way when the answer to the newer one is
here. `publish` therefore tells whether any request failed on the way: then the producer has to be replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

from fastfeat.protocol import Fault
from fastfeat.sinks.sealing import PublishError, Sealer, timeout_ms

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

__all__ = ["Batch", "Offsets", "Plain", "PublishError", "Publisher", "Transactional"]

DROP_SECONDS_MAX: Final = 2.0
START_SECONDS_MAX: Final = 60.0
BATCH_BYTES: Final = 1_000_000
"""Below what brokers take by default. Batches of a partition go out one after another, so that few are better."""
BATCH_BYTES_MIN: Final = 8 * 1_024
RETRY_MS: Final = 20
"""Before a request is sent again that was answered with "not yet". The client's own is 100: the step of a commit."""
BETWEEN_TRANSACTIONS_S: Final = 0.002
"""The same for the first request of a transaction, while the broker ends the one before; the client's is 20 ms."""

UNDER_WAY_MAX: Final = 4
"""So many batches of a partition may be handed over before the first of them is confirmed."""
COMMIT_EVERY_S: Final = 0.1
"""Positions that are committed beside the rows, of each partition."""

T = TypeVar("T")
Header = tuple[str, bytes | None]
Offsets = Mapping[tuple[str, int], tuple[int, str]]
"""By topic and partition: the next offset, and what is kept beside it."""


@dataclass(frozen=True)
class Batch:
    """Messages for one partition, in order."""

    topic: str
    partition: int
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    timestamps_ms: Sequence[int]
    headers: Sequence[Sequence[Header]] | None = None


class Commit(Protocol):
    """Commits positions of the group without a transaction."""

    async def __call__(self, offsets: Offsets) -> None:
        """Raises if they may not have been committed."""


class Packed(Protocol):
    """A batch that is laid out already."""

    @property
    def count(self) -> int:
        """How many messages it has."""

    @property
    def size(self) -> int:
        """Its bytes."""

    def seal(self, producer: int, epoch: int, sequence: int, transactional: bool) -> bytes:
        """As it is sent by this producer."""


Pack = Callable[
    [Sequence[bytes | None], Sequence[bytes | None], Sequence[int], Sequence[Sequence[Header]] | None, int],
    Sequence[Packed],
]
"""Keys, values, timestamps, headers and the most bytes: batches."""


class _Built:
    """What aiokafka's producer asks of a batch of its own, answered for one that is packed."""

    def __init__(self, packed: Packed, transactional: bool) -> None:
        self._packed, self._transactional = packed, transactional
        self._state, self._bytes = (-1, -1, -1), b""

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._state = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytes:
        self._bytes = self._bytes or self._packed.seal(*self._state, self._transactional)
        return self._bytes

    def size(self) -> int:
        return self._packed.size

    def record_count(self) -> int:
        return self._packed.count

    def close(self) -> None:
        pass

    def closed(self) -> bool:
        return True


class Publisher:
    """Starts and drops a producer; what publishing means is told by its two kinds."""

    def __init__(
        self,
        connection: Mapping[str, Any],
        *,
        deadline_s: float,
        compression: str | None = None,
        pack: Pack | None = None,
    ) -> None:
        """With `pack` batches are laid out by it, and else, or where they are compressed, message by message."""
        self._pack = pack if compression is None else None
        self._connection = dict(connection)
        self._deadline_s = deadline_s
        self._compression = compression
        self._batch_bytes = BATCH_BYTES
        self._producer: AIOKafkaProducer | None = None
        self._failures = 0
        self.handed_at = 0.0
        """When the last messages were handed over to the producer: seconds of `perf_counter`."""

    def _options(self) -> dict[str, Any]:
        return {"enable_idempotence": True}

    async def look(self) -> tuple[bool | None, bool]:
        """Drops the producer there is. How the last transaction ended, if one did, and whether that is marked."""
        await self.drop()
        return None, False

    async def mark(self, commit: bool) -> None:
        """Has the coordinator keep what is to be sealed; without transactions nothing is."""

    async def seal(self, commit: bool, places: Sequence[tuple[str, int]]) -> None:
        """Ends what is undecided at these places; without transactions nothing is."""

    async def start(self) -> None:
        """Drops the producer there is and starts a new one."""
        from aiokafka import AIOKafkaProducer
        from aiokafka.errors import KafkaError
        from aiokafka.producer import sender

        await self.drop()
        # No option of the client says it.
        sender.BACKOFF_OVERRIDE = BETWEEN_TRANSACTIONS_S
        producer = AIOKafkaProducer(
            max_batch_size=self._batch_bytes,
            max_request_size=2 * BATCH_BYTES,
            compression_type=self._compression,
            **({"retry_backoff_ms": RETRY_MS} | self._connection | self._options()),
        )
        self._failures = 0
        self._watch(producer)
        try:
            self._producer = producer
            await asyncio.wait_for(producer.start(), START_SECONDS_MAX)
        except (KafkaError, OSError, asyncio.TimeoutError) as error:
            await self.drop()
            raise _told(error, "the producer could not start") from error

    def _watch(self, producer: AIOKafkaProducer) -> None:
        """Counts requests that failed, since their frames may arrive yet, and connections that were lost."""
        from aiokafka.conn import CloseReason

        client, send, closed = producer.client, producer.client.send, producer.client._on_connection_closed

        async def watched(node: Any, request: Any, **options: Any) -> Any:
            self._allow(request)
            try:
                return await send(node, request, **options)
            except BaseException:
                self._failures += 1
                raise

        def lost(connection: Any, reason: Any) -> None:
            if producer is self._producer and reason not in (CloseReason.IDLE_DROP, CloseReason.SHUTDOWN):
                self._failures += 1
            closed(connection, reason)

        client.send, client._on_connection_closed = watched, lost

    def _allow(self, request: Any) -> None:
        """Raises if this may not be sent by this producer any more."""

    async def drop(self) -> None:
        """Lets go of the producer without waiting for anything that it has in hand."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        producer._closed = True
        sender = producer._sender.sender_task

        async def refuse(*_: Any, **__: Any) -> Any:
            raise asyncio.CancelledError

        producer.client.send = refuse
        with contextlib.suppress(BaseException):
            if sender is not None:
                sender.cancel()
                await asyncio.wait([sender], timeout=DROP_SECONDS_MAX)
                sender.cancel()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(producer.client.close(), DROP_SECONDS_MAX)

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        assert self._producer is not None
        return len(await self._producer.partitions_for(topic))

    async def publish(self, batches: Sequence[Batch], offsets: Offsets) -> bool:
        """Sends all and commits. Whether any request failed on the way, though all went well in the end."""
        if self._producer is None:
            raise PublishError(Fault.AMBIGUOUS, "there is no producer")
        before = self._failures
        await self._within(self._publish(self._producer, batches, offsets), batches)
        return self._failures != before

    @property
    def failed(self) -> bool:
        """Whether something that was published before turned out to have failed: a new producer sends it again."""
        return False

    async def settle(self) -> None:
        """Until all that was published is confirmed and committed."""

    async def _within(self, work: Awaitable[None], batches: Sequence[Batch]) -> None:
        """Does it within the deadline; errors become what they mean."""
        from aiokafka.errors import KafkaError, MessageSizeTooLargeError

        try:
            await asyncio.wait_for(work, self._deadline_s)
        except MessageSizeTooLargeError as error:
            if self._batch_bytes <= BATCH_BYTES_MIN:
                topics = ", ".join(sorted({each.topic for each in batches}))
                raise PublishError(Fault.FATAL, f"{error}; raise max.message.bytes of {topics}") from error
            self._batch_bytes //= 2
            raise PublishError(Fault.AMBIGUOUS, f"{error}; going on with batches half as large") from error
        except asyncio.TimeoutError as error:
            raise PublishError(Fault.AMBIGUOUS, f"publishing took longer than {self._deadline_s} s") from error
        except (KafkaError, OSError, AssertionError) as error:
            raise _told(error, "publishing failed") from error

    async def _publish(self, producer: AIOKafkaProducer, batches: Sequence[Batch], offsets: Offsets) -> None:
        raise AssertionError("a kind of Publisher says how")

    async def _send(self, producer: AIOKafkaProducer, batches: Sequence[Batch]) -> list[asyncio.Future[Any]]:
        futures = []
        for batch in batches:
            for built in self._packed(batch) if self._pack is not None else self._appended(producer, batch):
                futures.append(await producer.send_batch(built, batch.topic, partition=batch.partition))
        self.handed_at = time.perf_counter()
        return futures

    def _packed(self, batch: Batch) -> list[_Built]:
        assert self._pack is not None
        transactional = "transactional_id" in self._options()
        packed = self._pack(batch.keys, batch.values, batch.timestamps_ms, batch.headers, self._batch_bytes)
        return [_Built(each, transactional) for each in packed]

    def _appended(self, producer: AIOKafkaProducer, batch: Batch) -> Iterator[Any]:
        builder = producer.create_batch()
        headers = batch.headers or [()] * len(batch.keys)
        for key, value, timestamp, heads in zip(batch.keys, batch.values, batch.timestamps_ms, headers, strict=True):
            if builder.append(key=key, value=value, timestamp=timestamp, headers=list(heads)) is None:
                yield builder
                builder = producer.create_batch()
                builder.append(key=key, value=value, timestamp=timestamp, headers=list(heads))
        if builder.record_count():
            yield builder


class Transactional(Publisher):
    """Rows, dead letters and positions in one transaction; a new producer shuts the older ones of its id out."""

    def __init__(
        self,
        connection: Mapping[str, Any],
        *,
        transactional_id: str,
        group: str,
        transaction_timeout_ms: int,
        deadline_s: float,
        compression: str | None = None,
        pack: Pack | None = None,
    ) -> None:
        super().__init__(connection, deadline_s=deadline_s, compression=compression, pack=pack)
        self._id, self._group, self._timeout_ms = transactional_id, group, timeout_ms(transaction_timeout_ms)
        self._sealer = Sealer(
            connection, transactional_id=transactional_id, group=group, timeout_ms=transaction_timeout_ms
        )

    def _options(self) -> dict[str, Any]:
        own = {"transactional_id": self._id, "transaction_timeout_ms": self._timeout_ms}
        return super()._options() | own

    async def look(self) -> tuple[bool | None, bool]:
        """Drops the producer there is. How the last transaction ended, if one did, and whether that is marked."""
        await super().look()
        return await self._sealing(self._sealer.look())

    async def mark(self, commit: bool) -> None:
        """Shuts older producers out and has the coordinator keep what is to be sealed."""
        await self._sealing(self._sealer.mark(commit))

    async def seal(self, commit: bool, places: Sequence[tuple[str, int]]) -> None:
        """Ends what is undecided at these places, and in the group."""
        await self._sealing(self._sealer.seal(commit, places))

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        if self._producer is None:
            return await self._sealing(self._sealer.partitions(topic))
        return await super().partitions(topic)

    async def start(self) -> None:
        """Starts a new producer, unless another owner has begun a transaction since it was looked at."""
        await self._sealing(self._sealer.unbegun())
        await super().start()

    async def drop(self) -> None:
        """Lets go of the producer without waiting for anything that it has in hand."""
        await super().drop()
        await self._sealer.close()

    @property
    def failed(self) -> bool:
        """Whether anything was lost since the producer was started: what it has committed is looked at again."""
        return self._failures > 0

    def _allow(self, request: Any) -> None:
        from aiokafka.protocol.transaction import AddOffsetsToTxnRequest, AddPartitionsToTxnRequest

        if isinstance(request, (AddOffsetsToTxnRequest, AddPartitionsToTxnRequest)):
            self._may_begin()

    def _may_begin(self) -> None:
        if self.failed:
            raise PublishError(Fault.AMBIGUOUS, "a connection was lost: the last transaction is to be looked at")

    async def _sealing(self, work: Awaitable[T]) -> T:
        from aiokafka.errors import KafkaError

        try:
            return await asyncio.wait_for(work, self._deadline_s)
        except asyncio.TimeoutError as error:
            message = f"the last transaction could not be looked at within {self._deadline_s} s"
            raise PublishError(Fault.RETRIABLE, message) from error
        except (KafkaError, OSError) as error:
            told = _told(error, "looking at the last transaction failed")
            raise PublishError(Fault.RETRIABLE if told.fault is Fault.AMBIGUOUS else told.fault, str(told)) from error

    async def _publish(self, producer: AIOKafkaProducer, batches: Sequence[Batch], offsets: Offsets) -> None:
        self._may_begin()
        await producer.begin_transaction()
        futures = await self._send(producer, batches)
        await self._add_offsets(producer, offsets)
        await _all(futures)
        await self._commit(producer)

    async def _add_offsets(self, producer: AIOKafkaProducer, offsets: Offsets) -> None:
        await producer.send_offsets_to_transaction(_kafka_offsets(offsets), self._group)

    async def _commit(self, producer: AIOKafkaProducer) -> None:
        await producer.commit_transaction()


@dataclass
class _Sent:
    """What was handed over and is not confirmed."""

    batches: Sequence[Batch]
    offsets: Offsets
    confirmed: bool = False


class Plain(Publisher):
    """Rows first, then the positions: after a failure in between, rows come twice.

    Up to `under_way_max` batches may be under way when `publish` returns, and positions are committed behind them, from
    time to time. What was not confirmed is kept: a new producer sends it again, in order, before anything else, so
    that a failure costs no state. `settle` waits for all of it. With 0, nothing is under way when `publish` returns.
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        *,
        commit: Commit,
        acks: Literal["all", 1] = "all",
        deadline_s: float,
        compression: str | None = None,
        pack: Pack | None = None,
        under_way_max: int = UNDER_WAY_MAX,
    ) -> None:
        super().__init__(connection, deadline_s=deadline_s, compression=compression, pack=pack)
        self._commit, self._acks, self._under_way_max = commit, acks, under_way_max
        self._under_way: deque[_Sent] = deque()
        self._to_commit: Offsets | None = None
        self._committed_at = 0.0
        self._committing = asyncio.Lock()
        self._committer: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._moved = asyncio.Event()

    def _options(self) -> dict[str, Any]:
        # A producer whose requests have numbers has them confirmed by all.
        return super()._options() if self._acks == "all" else {"enable_idempotence": False, "acks": self._acks}

    async def start(self) -> None:
        """Starts a new producer, which sends again what was not confirmed."""
        await super().start()
        self._error = None
        assert self._producer is not None
        await self._within(self._again(self._producer), [each for sent in self._under_way for each in sent.batches])

    async def _again(self, producer: AIOKafkaProducer) -> None:
        for sent in tuple(self._under_way):
            self._await(producer, sent, await self._send(producer, sent.batches))
        await self._settle()

    async def drop(self) -> None:
        """Lets go of the producer, and keeps what it has in hand."""
        if self._committer is not None:
            self._committer.cancel()
            await asyncio.wait([self._committer])
            self._committer = None
        await super().drop()

    @property
    def failed(self) -> bool:
        """Whether something that was published before turned out to have failed: a new producer sends it again."""
        return self._error is not None

    async def settle(self) -> None:
        """Until all that was published is confirmed and committed."""
        if self._producer is None and self._under_way:
            raise PublishError(Fault.AMBIGUOUS, "there is no producer")
        await self._within(self._settle(), [each for sent in self._under_way for each in sent.batches])

    async def _publish(self, producer: AIOKafkaProducer, batches: Sequence[Batch], offsets: Offsets) -> None:
        if self._error is not None:
            raise self._error
        sent = _Sent(batches, offsets)
        futures = await self._send(producer, batches)
        self._under_way.append(sent)
        self._await(producer, sent, futures)
        if self._under_way_max == 0:
            return await self._settle()
        await self._until(self._under_way_max)

    async def _until(self, count: int) -> None:
        """Until no more than so many batches are under way."""
        while self._error is None and len(self._under_way) > count:
            self._moved.clear()
            await self._moved.wait()
        if self._error is not None:
            raise self._error

    async def _settle(self) -> None:
        await self._until(0)
        await self._commit_now()

    def _await(self, producer: AIOKafkaProducer, sent: _Sent, futures: list[asyncio.Future[Any]]) -> None:
        """Told when these are confirmed, or not; of a producer that was dropped, nothing is told."""

        def done(results: asyncio.Future[list[Any]]) -> None:
            if producer is not self._producer:
                return
            failed = [one for one in results.result() if isinstance(one, BaseException)]
            self._error = self._error or next(iter(failed), None)
            sent.confirmed = not failed
            # Positions are committed in order, so that none is ahead of rows that are not confirmed.
            while self._under_way and self._under_way[0].confirmed:
                self._to_commit = self._under_way.popleft().offsets
            if self._to_commit is not None and self._committer is None and self._error is None:
                self._committer = asyncio.create_task(self._commit_on())
            self._moved.set()

        asyncio.gather(*futures, return_exceptions=True).add_done_callback(done)

    async def _commit_on(self) -> None:
        """Commits positions as they come, from time to time, until none is left."""
        try:
            while self._to_commit is not None:
                await asyncio.sleep(self._committed_at + COMMIT_EVERY_S - time.monotonic())
                await asyncio.wait_for(self._commit_now(), self._deadline_s)
        except Exception as error:
            # It is raised where the next thing is published.
            self._error = self._error or error
        finally:
            self._committer = None
            self._moved.set()

    async def _commit_now(self) -> None:
        async with self._committing:
            if (offsets := self._to_commit) is None:
                return
            await self._commit(offsets)
            self._committed_at = time.monotonic()
            if self._to_commit is offsets:
                self._to_commit = None


def _kafka_offsets(offsets: Offsets) -> dict[Any, Any]:
    from aiokafka.structs import OffsetAndMetadata, TopicPartition

    return {TopicPartition(*place): OffsetAndMetadata(*offset) for place, offset in offsets.items()}


async def _all(futures: list[asyncio.Future[Any]]) -> None:
    for result in await asyncio.gather(*futures, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _told(error: BaseException, what: str) -> PublishError:
    """What an error of the client means."""
    from aiokafka import errors

    fenced = (errors.ProducerFenced, errors.InvalidProducerEpoch)
    fatal = (
        errors.TransactionalIdAuthorizationFailed,
        errors.TopicAuthorizationFailedError,
        errors.GroupAuthorizationFailedError,
        errors.AuthenticationFailedError,
        errors.SaslAuthenticationFailed,
        errors.UnsupportedVersionError,
    )
    # The client wraps what it did not expect of an answer.
    if isinstance(error.__cause__, PublishError):
        return error.__cause__
    error = error.__cause__ if isinstance(error.__cause__, fatal) else error
    fault = Fault.FENCED if isinstance(error, fenced) else Fault.FATAL if isinstance(error, fatal) else Fault.AMBIGUOUS
    return PublishError(fault, f"{what}: {type(error).__name__} {error}".rstrip())
