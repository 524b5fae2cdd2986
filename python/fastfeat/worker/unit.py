"""One partition at work: does what the protocol asks for, and tells it how that went."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from fastfeat.config import Settings
from fastfeat.errors import CheckpointError
from fastfeat.metrics import Counters
from fastfeat.pipeline import Pipeline, Repartition
from fastfeat.protocol import (
    Action,
    AskCommitted,
    Close,
    Committed,
    Done,
    Event,
    Failed,
    Fault,
    Look,
    Looked,
    Mark,
    Pin,
    Position,
    Processed,
    Protocol,
    Publish,
    Read,
    Replay,
    Restore,
    Restored,
    Seal,
    Snapshot,
    StartProducer,
    Wait,
)
from fastfeat.sinks.kafka import Offsets, Publisher, PublishError
from fastfeat.sources.kafka import KafkaError, OffsetLost, Reader, Topics
from fastfeat.worker.aligned import read_aligned
from fastfeat.worker.outgoing import batches, in_order, metadata, origin_and_token, outputs
from fastfeat.worker.replay import stretches, up_to
from fastfeat.worker.router import Router
from fastfeat.worker.state import Results, State

__all__ = ["GaveUp", "StateLost", "Unit"]

log = logging.getLogger("fastfeat.worker")

IDLE_MS: Final = 200
BACKOFF_S: Final = 0.1
BACKOFF_S_MAX: Final = 5.0
FENCED_S: Final = 1.0
BACKOFF_CHECKPOINTS: Final = 8
"""After checkpoints that failed, the next one is tried after at most so many times `checkpoint_every_s`."""

Confirm = Callable[[int], Awaitable[bool]]
"""Whether the group says that this worker still owns a partition."""


class GaveUp(KafkaError):  # noqa: N818 - it did
    """Something went wrong for longer than the settings allow."""

    code = "gave_up"


class StateLost(CheckpointError):  # noqa: N818 - it is
    """There is neither a checkpoint nor all of the events that it could be made of again."""

    code = "state_lost"


class Unit:
    """Partition `number` of every source, with a state, a producer and a reader of its own."""

    def __init__(
        self,
        number: int,
        pipeline: Pipeline | Repartition,
        settings: Settings,
        topics: Topics,
        publisher: Publisher,
        state: State | Router,
        confirm: Confirm,
    ) -> None:
        self.number = number
        self.counters = Counters()
        self.caught_up = False
        self.error: BaseException | None = None
        self.state = state
        self.machine = Protocol(uuid.uuid4().hex[:12])
        self._pipeline, self._settings = pipeline, settings
        self._topics, self._publisher, self._confirm = topics, publisher, confirm
        self._places = [(source.topic, number) for source in pipeline.sources]
        self._reader = Reader(settings.connection(), self._places, fetch_bytes=settings.fetch_bytes)
        self._results = Results()
        self._origin: Position = ()
        self._partitions: Mapping[str, int] = {}
        self._snapshot_at = time.monotonic()
        self._snapshot_every_s = self._every_s = settings.checkpoint_every_s
        self._failing_since: float | None = None
        self._reading = True
        self._fetched_at = 0.0
        self._wake = asyncio.Event()

    def stop(self, *, checkpoint: bool) -> None:
        """Ends after what is in hand, with a last checkpoint if wanted."""
        self.machine.stopping = True
        self.machine.snapshot_due |= checkpoint and self.machine.running
        self._wake.set()

    async def run(self) -> None:
        """Until it is stopped or cannot go on; `error` says why."""
        try:
            action = self.machine.step(None)
            while not isinstance(action, Close):
                event = await self._told(action)
                action = self.machine.step(event)
                age_s = time.monotonic() - self._snapshot_at
                if isinstance(action, Read) and age_s > self._snapshot_every_s:
                    self.machine.snapshot_due = True
            self.error = action.error
            if self.error is None:
                await self._settle()
        finally:
            await self._publisher.drop()
            await self._reader.stop()
            self.state.drop()

    async def _settle(self) -> None:
        """What is under way is confirmed and committed; where it cannot be, who comes next makes it again."""
        try:
            await self._publisher.settle()
        except PublishError as error:
            log.warning("the last results may come again: %s", error, extra={"partition": self.number})

    async def _told(self, action: Action) -> Event:
        """Does it; errors become what they mean."""
        try:
            event = await self._do(action)
        except PublishError as error:
            event = Failed(error.fault, error)
        except (OffsetLost, StateLost) as error:
            event = Failed(Fault.FATAL, error)
        except CheckpointError as error:
            unsynced = isinstance(action, Snapshot) and self.state.unsynced
            passing = Fault.UNSYNCED if unsynced else Fault.RETRIABLE
            event = Failed(passing if error.fault == "disk" else Fault.FATAL, error)
        except Exception as error:
            event = Failed(Fault.RETRIABLE if _passing(error) else Fault.FATAL, error)
        if isinstance(event, Failed):
            return self._failed(action, event)
        if isinstance(action, (Publish, Replay, Pin)) or (isinstance(action, Read) and self._reading):
            self._failing_since = None
        return event

    def _failed(self, action: Action, failed: Failed) -> Failed:
        what = type(action).__name__
        self.counters.failed(what, failed.fault.value)
        log.warning("%s failed: %s", what, failed.error, extra={"partition": self.number, "fault": failed.fault.value})
        if isinstance(action, Snapshot):
            # A disk that is full or broken may stay so: each time it is left alone for longer.
            self._snapshot_at = time.monotonic()
            self._snapshot_every_s = min(2 * self._snapshot_every_s, BACKOFF_CHECKPOINTS * self._every_s)
            return failed
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if failed.fault is not Fault.FATAL and now - self._failing_since > self._settings.give_up_after_s:
            error = GaveUp(
                f"partition {self.number}: {what} has failed for {now - self._failing_since:.0f} s, longer than "
                f"give_up_after_s={self._settings.give_up_after_s:g} allows: {failed.error}"
            )
            return Failed(Fault.FATAL, error)
        return failed

    async def _do(self, action: Action) -> Event:
        match action:
            case Look() | Mark() | Seal() | StartProducer():
                # Who was cut off may have lost the partition unawares; its producer would shut out that of the owner.
                if not await self._confirm(self.number):
                    return Failed(Fault.RETRIABLE, KafkaError("the group does not confirm that the partition is ours"))
                return await self._produce(action)
            case AskCommitted():
                return await self._committed()
            case Pin(token=token):
                return await self._pin(token)
            case Restore(at_most=at_most, origin=origin):
                return await self._restore(at_most, origin)
            case Replay(begin=begin, end=end):
                await self._replay(begin, end)
                return Done()
            case Read(begin=begin):
                return await self._read(begin)
            case Publish(begin=begin, end=end, token=token):
                return await self._publish(begin, end, token)
            case Snapshot(position=position):
                return await self._snapshot(position)
            case Wait(attempt=attempt, fault=fault):
                await self._wait(attempt, fault)
                return Done()
        raise AssertionError(action)

    async def _produce(self, action: Look | Mark | Seal | StartProducer) -> Event:
        """A new producer, and what comes before it."""
        publisher = self._publisher
        match action:
            case Look():
                return Looked(*await publisher.look())
            case Mark(commit=commit):
                await publisher.mark(commit)
            case Seal(commit=commit):
                partitions = {topic: await publisher.partitions(topic) for topic in self._outputs()}
                await publisher.seal(commit, outputs(self._pipeline, self.number, partitions))
            case StartProducer():
                await publisher.start()
                self._partitions = {topic: await publisher.partitions(topic) for topic in self._outputs()}
        return Done()

    def _outputs(self) -> list[str]:
        named = (self._pipeline.sink, self._pipeline.dead_letters)
        journal = [] if self._pipeline.journal is None else [self._pipeline.journal]
        return [each.topic for each in named if each is not None] + journal

    def _offsets(self, position: Position, token: str) -> Offsets:
        beside = metadata(self._origin, token)
        return {place: (offset, beside) for place, offset in zip(self._places, position, strict=True)}

    async def _committed(self) -> Committed:
        await self._publisher.settle()
        found = await self._topics.committed(self._places)
        offsets = [each for each in found if each is not None]
        if not offsets:
            return Committed(None)
        if len(offsets) != len(found):
            missing = [f"{t}-{n}" for (t, n), each in zip(self._places, found, strict=True) if each is None]
            raise StateLost(
                self._pipeline.name,
                "refused",
                f"the group has committed some sources but not {', '.join(missing)}; a source was added: use a new "
                "group, or commit an offset for it",
            )
        origin, token = origin_and_token(offsets[0][1])
        position = tuple(offset for offset, _ in offsets)
        if origin is None:
            log.warning("offsets were committed by somebody else; state begins there", extra={"partition": self.number})
        self._origin = origin or position
        return Committed(position, self._origin, token)

    async def _pin(self, token: str) -> Event:
        self.state.empty()
        await self._reader.start((0,) * len(self._places))
        begins, ends = await self._reader.beginnings(), await self._reader.ends()
        starts = [source.start for source in self._pipeline.sources]
        places = zip(starts, begins, ends, strict=True)
        position = tuple(begin if start == "earliest" else end for start, begin, end in places)
        self._origin = position
        tainted = await self._publisher.publish([], self._offsets(position, token))
        return Done(tainted=tainted, position=position)

    async def _restore(self, at_most: Position, origin: Position) -> Event:
        begun = time.monotonic()
        self.caught_up = False
        self._results = Results()
        position = await asyncio.to_thread(self.state.restore, at_most)
        if position is None:
            await self._reader.start(origin)
            begins = await self._reader.beginnings()
            if any(begin > first for begin, first in zip(begins, origin, strict=True)):
                raise StateLost(
                    self.state.folder.place,
                    "refused",
                    f"there is no checkpoint at or before {at_most}, and of the events since {origin} those before "
                    f"{begins} are gone; put the folder of checkpoints back, or begin a new group",
                )
            self.state.empty()
            position = origin
        seconds = time.monotonic() - begun
        self._snapshot_at = self.counters.state_at = time.monotonic()
        log.info(
            "state restored", extra={"partition": self.number, "position": list(position), "seconds": round(seconds, 3)}
        )
        return Restored(position)

    async def _replay(self, begin: Position, end: Position) -> None:
        events = 0
        await self._reader.start(begin)
        if self._pipeline.journal is None:
            async for records in up_to(self._reader, end, rows_max=self._settings.batch_rows):
                await asyncio.to_thread(self.state.push, 0, records, None)
                events += len(records)
        else:
            journal = Reader(
                self._settings.connection(),
                [(self._pipeline.journal, self.number)],
                fetch_bytes=self._settings.fetch_bytes,
            )
            try:
                await journal.start((self.state.journal,))
                async for stretch in stretches(journal, self._reader, begin, end, rows_max=self._settings.batch_rows):
                    for place, records in in_order(stretch):
                        await asyncio.to_thread(self.state.push, place, records, None)
                        events += len(records)
            finally:
                await journal.stop()
        self.counters.replayed += events
        log.info("replayed", extra={"partition": self.number, "events": events, "position": list(end)})

    async def _read(self, begin: Position) -> Event:
        settings = self._settings
        try:
            await self._reader.start(begin)
            records = await read_aligned(self._reader, rows_max=settings.batch_rows, timeout_ms=IDLE_MS)
            count, first = sum(map(len, records)), time.perf_counter()
            due = time.monotonic() + settings.batch_ms / 1_000
            while 0 < count < settings.batch_rows and (left := due - time.monotonic()) > 0:
                rows_max, timeout_ms = settings.batch_rows - count, max(1, int(left * 1e3))
                more = await read_aligned(self._reader, rows_max=rows_max, timeout_ms=timeout_ms)
                records = [a + b for a, b in zip(records, more, strict=True)]
                count = sum(map(len, records))
            await self._ask(records)
        except OffsetLost:
            raise
        except Exception as error:
            if not _passing(error):
                raise
            # Nothing was pushed yet, so the state is as good as before.
            failed = self._failed(Read(begin), Failed(Fault.RETRIABLE, error))
            await self._reader.stop()
            if failed.fault is Fault.FATAL:
                return failed
            self._reading = False
            await self._wait(3, Fault.RETRIABLE)
            return Processed(begin)
        self._reading = True
        self.counters.lag = self._reader.lag()
        if count == 0:
            self.caught_up = True
            return Processed(begin, tainted=self._publisher.failed)
        self.caught_up |= self.counters.lag is not None and self.counters.lag < settings.batch_rows
        self._results = results = Results()
        begun = time.perf_counter()
        for place, some in in_order(records):
            self.state.push(place, some, results)
        self.counters.took("push", time.perf_counter() - begun)
        self.counters.took("wait", begun - first)
        self._fetched_at = first
        end = tuple(some[-1].offset + 1 if some else at for some, at in zip(records, begin, strict=True))
        await asyncio.sleep(0)
        return Processed(end)

    async def _ask(self, records: Sequence[Sequence[Any]]) -> None:
        """A registry may be slow to answer, or away: asked here, it holds up nobody else and changes nothing."""
        for place, some in enumerate(records):
            if some and getattr(self._pipeline.sources[place].format, "registry", None) is not None:
                await asyncio.to_thread(self.state.ask, place, some)

    async def _publish(self, begin: Position, end: Position, token: str) -> Event:
        begun = time.perf_counter()
        made = batches(self._pipeline, self.number, self._results, begin, end, self._partitions)
        tainted = await self._publisher.publish(made, self._offsets(end, token))
        self.counters.took("publish", time.perf_counter() - begun)
        self.counters.took("added", self._publisher.handed_at - self._fetched_at)
        self.counters.published(self._results, tainted=tainted)
        self._results = Results()
        return Done(tainted=tainted)

    async def _snapshot(self, position: Position) -> Event:
        # None is ahead of what the group has committed.
        await self._publisher.settle()
        begun = time.perf_counter()
        if self._pipeline.journal is not None:
            ends = await self._ends_of_journal(self._pipeline.journal)
            self.state.journal = ends
        size_bytes = await asyncio.to_thread(self.state.checkpoint, position)
        self._snapshot_at = self.counters.state_at = time.monotonic()
        self._snapshot_every_s = self._every_s
        if size_bytes is None:
            return Done()
        self.counters.took("checkpoint", time.perf_counter() - begun)
        self.counters.checkpointed(size_bytes)
        log.info("checkpoint written", extra={"partition": self.number, "position": list(position)})
        return Done()

    async def _ends_of_journal(self, topic: str) -> int:
        """Entries to come are at this offset or behind it."""
        journal = Reader(self._settings.connection(), [(topic, self.number)], fetch_bytes=1_024)
        try:
            await journal.start((0,))
            return (await journal.ends())[0]
        finally:
            await journal.stop()

    async def _wait(self, attempt: int, fault: Fault) -> None:
        seconds = min(BACKOFF_S_MAX, BACKOFF_S * 2 ** min(attempt - 1, 10)) * random.uniform(0.5, 1.0)
        if fault is Fault.FENCED:
            # Who is shut out has most likely lost the partition, and is told so soon.
            seconds = max(seconds, FENCED_S)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    def stats(self) -> dict[str, Any] | None:
        """What the engine says; None while there is none or it is at work elsewhere."""
        engine = self.state.engine
        if engine is None:
            return None
        with contextlib.suppress(RuntimeError):
            return engine.stats()
        return None


def _passing(error: BaseException) -> bool:
    """Whether it may be better next time."""
    from aiokafka import errors

    never = (errors.TopicAuthorizationFailedError, errors.GroupAuthorizationFailedError)
    lost = (errors.KafkaError, OSError, asyncio.TimeoutError)
    # The admin client stumbles over some answers of a broker that has just come back.
    return isinstance(error, lost) and not isinstance(error, never)
