"""The worker as a whole: joins the group, runs a unit for each partition that it owns, stops in good order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from fastfeat.avro_rows import AvroOutput
from fastfeat.checkpoints import Folder
from fastfeat.config import Settings
from fastfeat.engine import Engine
from fastfeat.errors import CheckpointError, DefinitionError, FastfeatError, SchemaRegistryError
from fastfeat.metrics import Counters, collector
from fastfeat.packing import pack
from fastfeat.pipeline import Pipeline, Repartition
from fastfeat.places import is_address
from fastfeat.sinks.kafka import Plain, Publisher, Transactional
from fastfeat.sources.kafka import KafkaError, Membership, OffsetLost, Topics
from fastfeat.worker.http import Server
from fastfeat.worker.rights import way_out
from fastfeat.worker.router import Router
from fastfeat.worker.state import State
from fastfeat.worker.traces import traced
from fastfeat.worker.unit import Unit

__all__ = ["DONE", "GAVE_UP", "STATE", "Worker"]

log = logging.getLogger("fastfeat.worker")

DONE: Final = 0
GAVE_UP: Final = 3
STATE: Final = 4
STATS_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.2
RETRY_SECONDS_MAX: Final = 5.0
JOURNAL: Final = {"retention.ms": "-1", "cleanup.policy": "delete"}


class Worker:
    """Runs a pipeline until it is stopped or cannot go on."""

    def __init__(self, pipeline: Pipeline | Repartition, settings: Settings) -> None:
        self.pipeline, self.settings = pipeline, settings
        self.units: dict[int, Unit] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._connection = settings.connection()
        self._topics = Topics(self._connection, settings.group)
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._error: BaseException | None = None
        self._membership: Membership | None = None
        self._output: AvroOutput | None = None
        self._model: str | None = None
        """Its version."""
        self.server: Server | None = None

    async def check(self) -> dict[str, int]:
        """What a start needs, without starting: features and model compile, topics are there. Their partitions."""
        if isinstance(self.pipeline, Pipeline):
            engine = Engine(self.pipeline.features, model=self.pipeline.model, **self.pipeline.engine)
            self._model = engine.model_version
            await asyncio.to_thread(_check_output, self.pipeline)
        named = [source.topic for source in self.pipeline.sources]
        outputs = [each.topic for each in (self.pipeline.sink, self.pipeline.dead_letters) if each is not None]
        journal = [] if self.pipeline.journal is None else [self.pipeline.journal]
        found = await self._topics.partitions([*named, *outputs, *journal])
        made = [self.pipeline.sink.topic] if isinstance(self.pipeline, Repartition) else []
        for topic in (*named, *outputs):
            if topic not in found and topic not in made:
                raise KafkaError(f"topic `{topic}` is not there; create it, or correct its name in the pipeline")
        counts = {topic: found[topic] for topic in named}
        if len(set(counts.values())) > 1:
            raise KafkaError(
                f"the sources have {counts} partitions; partition n of each feeds one state, so they need equally "
                "many: create them so, or send one through a topic that has as many"
            )
        if journal and found.get(journal[0], counts[named[0]]) != counts[named[0]]:
            raise KafkaError(f"topic `{journal[0]}` has {found[journal[0]]} partitions, the sources {counts[named[0]]}")
        return found

    def stop(self) -> None:
        """Ends after what is in hand; `run` then returns."""
        self._stop.set()

    async def run(self) -> int:
        """The exit code: 0 stopped in good order, 3 gave up, 4 the state cannot be restored."""
        with self._signals(), self._http():
            membership = None
            try:
                membership = await self._patiently(self._join)
                if membership is not None:
                    await self._reconcile(membership)
            finally:
                await self._end(membership)
        if self._error is None:
            log.info("stopped")
            return DONE
        code = getattr(self._error, "code", type(self._error).__name__)
        log.error("%s%s", self._error, way_out(self._error, self.settings.group), extra={"code": code})
        return STATE if isinstance(self._error, (CheckpointError, OffsetLost)) else GAVE_UP

    async def _patiently(self, begin: Callable[[], Awaitable[Membership]]) -> Membership | None:
        """A broker that is away may come back; what it refuses stays refused. None if it was stopped meanwhile."""
        from aiokafka import errors

        begun, delay_s = time.monotonic(), RETRY_SECONDS
        refused = (
            errors.AuthenticationFailedError,
            errors.SaslAuthenticationFailed,
            errors.TopicAuthorizationFailedError,
            errors.GroupAuthorizationFailedError,
        )
        while not self._stop.is_set():
            try:
                return await begin()
            except (errors.KafkaError, OSError, asyncio.TimeoutError) as error:
                # A registry that answers no will do so again; one that is busy or broken may not.
                no = isinstance(error, SchemaRegistryError) and 400 <= (error.status or 0) < 500
                if isinstance(error, refused) or no or time.monotonic() - begun > self.settings.give_up_after_s:
                    raise
                place = "" if isinstance(error, SchemaRegistryError) else f"Kafka at {self.settings.servers}: "
                log.warning("%s%s; trying again", place, error if not place else repr(error))
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), delay_s)
                delay_s = min(2 * delay_s, RETRY_SECONDS_MAX)
        return None

    async def _join(self) -> Membership:
        found = await self.check()
        if isinstance(self.pipeline, Pipeline) and self.pipeline.sink is not None:
            sink, features = self.pipeline.sink, self.pipeline.features
            if isinstance(sink.format, AvroOutput):
                self._output = await asyncio.to_thread(sink.format.registered, sink.topic, features)
        if isinstance(self.pipeline, Repartition) and self.pipeline.sink.topic not in found:
            count = self.pipeline.partitions or found[self.pipeline.source.topic]
            await self._topics.create(self.pipeline.sink.topic, count, like=self.pipeline.source.topic)
        if self.pipeline.journal is not None and self.pipeline.journal not in found:
            source = self.pipeline.sources[0].topic
            await self._topics.create(self.pipeline.journal, found[source], like=source, configs=JOURNAL)
        membership = Membership(
            self._connection,
            [source.topic for source in self.pipeline.sources],
            group=self.settings.group,
            instance=self.settings.instance,
            session_timeout_ms=self.settings.session_timeout_ms,
        )
        try:
            await membership.start()
        except BaseException:
            await membership.stop()
            raise
        self._membership = membership
        log.info("joined", extra={"group": self.settings.group})
        _leave_alone()
        return membership

    async def _reconcile(self, membership: Membership) -> None:
        """Until it is stopped: a unit for each partition owned, and none for others."""
        loop = asyncio.get_running_loop()
        while not self._stop.is_set() and self._error is None:
            if membership.error is not None:
                self._error = KafkaError(f"the group refuses this worker: {membership.error!r}")
                self._error.__cause__ = membership.error
                return
            owned = membership.owned
            for number, unit in self.units.items():
                if number not in owned:
                    unit.stop(checkpoint=False)
            for number in sorted(owned - self.units.keys()):
                self._begin(number, loop)
            await self._either(membership.changed, self._ended, self._stop)
            membership.changed.clear()
            self._ended.clear()

    async def _either(self, *events: asyncio.Event) -> None:
        waits = [asyncio.create_task(each.wait()) for each in events]
        await asyncio.wait(waits, timeout=STATS_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        for unit in self.units.values():
            unit.counters.engine = unit.stats() or unit.counters.engine

    def _begin(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        state = self._state(number)
        publisher, confirm = self._publisher(number), self._confirm
        unit = Unit(number, self.pipeline, self.settings, self._topics, publisher, state, confirm)
        if self.settings.traces:
            traced(unit)
        self.units[number] = unit
        self._tasks[number] = task = loop.create_task(unit.run(), name=f"partition-{number}")

        def ended(task: asyncio.Task[None]) -> None:
            self.units.pop(number)
            self._tasks.pop(number)
            error = unit.error if task.cancelled() else task.exception() or unit.error
            if error is not None and self._error is None:
                self._error = error
            self._ended.set()

        task.add_done_callback(ended)
        log.info("partition begins", extra={"partition": number})

    async def _confirm(self, number: int) -> bool:
        assert self._membership is not None
        return await self._membership.confirm(number)

    def _state(self, number: int) -> State | Router:
        if isinstance(self.pipeline, Repartition):
            return Router(self.pipeline)
        place = self.settings.checkpoint or self.pipeline.checkpoint
        folder = Folder(place, self.settings.group, f"{number:05d}")
        return State(self.pipeline, folder, keep=self.settings.checkpoint_keep, output=self._output)

    def _publisher(self, number: int) -> Publisher:
        settings, deadline_s = self.settings, self.settings.publish_deadline_ms / 1_000
        if self.pipeline.guarantee == "exactly_once":
            return Transactional(
                self._connection,
                transactional_id=self.pipeline.transactional_id(settings.group, number),
                group=settings.group,
                transaction_timeout_ms=settings.transaction_timeout_ms,
                deadline_s=deadline_s,
                compression=settings.compression,
                pack=pack,
            )
        assert self._membership is not None
        return Plain(
            self._connection,
            commit=self._membership.commit,
            acks="all" if self.pipeline.sink is None else self.pipeline.sink.acks,
            deadline_s=deadline_s,
            compression=settings.compression,
            pack=pack,
            # Where a journal goes out with the rows, each of its entries is committed before the next one.
            **({} if self.pipeline.journal is None else {"under_way_max": 0}),
        )

    async def _end(self, membership: Membership | None) -> None:
        """Units finish what is in hand, within the deadline; then the group is left."""
        for unit in self.units.values():
            unit.stop(checkpoint=True)
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.settings.stop_deadline_s)
            for task in late:
                log.warning("%s did not end within stop_deadline_s", task.get_name())
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=5)
        if membership is not None:
            await membership.stop()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            with contextlib.suppress(RuntimeError, ValueError):
                loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in numbers:
                with contextlib.suppress(RuntimeError, ValueError):
                    loop.remove_signal_handler(number)

    @contextlib.contextmanager
    def _http(self) -> Iterator[None]:
        if self.settings.http_port is None:
            yield
            return
        token = self.settings.http_token
        self.server = Server(
            self.settings.http_host,
            self.settings.http_port,
            token=None if token is None else token.get_secret_value(),
            collector=collector(self._counters, self._gauges, self._versions, self._lateness_s()),
            health=self.health,
        )
        log.info("listening", extra={"host": self.settings.http_host, "port": self.server.port})
        try:
            yield
        finally:
            self.server.stop()

    def _versions(self) -> dict[str, str]:
        found = {"pipeline": self.pipeline.name, "fastfeat": version("fastfeat")}
        if isinstance(self.pipeline, Pipeline):
            found["definition"] = self.pipeline.features.fingerprint
            if self._model is not None:
                found["model"] = self._model
        return found

    def _lateness_s(self) -> dict[str, float]:
        return {
            one.stream.name: one.stream.lateness_ns / 1e9 for one in self.pipeline.sources if one.stream is not None
        }

    def _counters(self) -> list[tuple[int, Counters]]:
        return [(number, unit.counters) for number, unit in sorted(self.units.copy().items())]

    def _gauges(self) -> dict[str, float]:
        membership = self._membership
        return {
            "partitions_owned": float(len(self.units)),
            "rebalances": 0.0 if membership is None else float(membership.rebalances),
            "ready": float(self.health()[1]),
        }

    def health(self) -> tuple[bool, bool, dict[str, Any]]:
        """Whether it is healthy, whether it is ready (all its partitions have caught up), and what to say."""
        units = self.units.copy()
        caught_up = {number: unit.caught_up and unit.machine.running for number, unit in units.items()}
        healthy = self._error is None
        ready = healthy and bool(units) and all(caught_up.values()) and not self._stop.is_set()
        about = {
            "partitions": {str(number): "running" if ok else "catching up" for number, ok in sorted(caught_up.items())},
            "error": None if self._error is None else str(self._error),
        }
        return healthy, ready, about


def _leave_alone() -> None:
    """What is here by now, modules and the pipeline, stays: collections of garbage need not look through it again."""
    gc.collect()
    gc.freeze()


def _check_output(pipeline: Pipeline) -> None:
    """Whether a registry would take the schema of the rows."""
    if pipeline.sink is None or not isinstance(pipeline.sink.format, AvroOutput):
        return
    why = pipeline.sink.format.incompatible(pipeline.sink.topic, pipeline.features)
    if why is not None:
        raise DefinitionError(
            f"sink `{pipeline.sink.topic}`", f"its schema of rows is refused: {why}; give AvroOutput another subject"
        )


def _check_folder(place: str | os.PathLike[str], group: str) -> None:
    """Whether checkpoints could be written here, without writing any; of a store, whether it answers."""
    if is_address(place):
        Folder(place, group).names()
        return
    folder = Path(place) / group
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "cannot be written to" if there.is_dir() else "is no folder"
        raise CheckpointError(str(folder), "disk", f"`{there}` {why}; set checkpoint to a folder that can be written")


def run(pipeline: Pipeline | Repartition, settings: Settings, *, dry_run: bool = False) -> int:
    """Runs a worker in this thread, or checks everything and starts nothing."""

    async def main() -> int:
        worker = Worker(pipeline, settings)
        try:
            if dry_run:
                found = await worker.check()
                if isinstance(pipeline, Pipeline):
                    _check_folder(settings.checkpoint or pipeline.checkpoint, settings.group)
                log.info("all there; nothing was started", extra={"partitions": found})
                return DONE
            return await worker.run()
        except (FastfeatError, OSError) as error:
            log.error("%s", error, extra={"code": getattr(error, "code", type(error).__name__)})
            return GAVE_UP
        except Exception as error:
            from aiokafka.errors import KafkaError as ClientError

            if not isinstance(error, ClientError):
                raise
            told = way_out(error, settings.group)
            log.error("Kafka at %s: %r%s", settings.servers, error, told, extra={"code": "kafka"})
            return GAVE_UP

    return asyncio.run(main())
