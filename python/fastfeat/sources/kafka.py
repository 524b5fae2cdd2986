"""Kafka as a source: the one small interface behind which aiokafka's consumer and admin client are.

`Membership` is in the group and reads nothing: it says which partitions this worker owns. Each of them is read by a
`Reader` of its own, outside the group, from positions that are always given. So no record is ever handed out in the
middle of a rebalance, and a partition that is being restored holds up no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fastfeat.errors import FastfeatError
from fastfeat.protocol import Position

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord

__all__ = ["KafkaError", "Membership", "OffsetLost", "Offsets", "Reader", "Topics"]

KEEPER_MS: Final = 500
CLOSE_SECONDS_MAX: Final = 5.0

Offsets = Mapping[tuple[str, int], tuple[int, str]]


class KafkaError(FastfeatError, RuntimeError):
    """Kafka refuses what is asked of it; the message says what and the way out."""

    code = "kafka"


class OffsetLost(KafkaError):  # noqa: N818 - the same
    """The topic no longer has the events at an offset that is still needed."""

    code = "offset_lost"


class Membership:
    """This worker in its group. `owned` are the partition numbers of which it has all topics."""

    def __init__(
        self,
        connection: Mapping[str, Any],
        topics: Sequence[str],
        *,
        group: str,
        instance: str | None,
        session_timeout_ms: int,
    ) -> None:
        self.owned: frozenset[int] = frozenset()
        self.changed = asyncio.Event()
        self.rebalances = 0
        self.error: BaseException | None = None
        self._topics = tuple(topics)
        self._confirm_s = session_timeout_ms / 1_000
        self._options = dict(connection) | {
            "group_id": group,
            "group_instance_id": instance,
            "session_timeout_ms": session_timeout_ms,
            "heartbeat_interval_ms": max(100, session_timeout_ms // 4),
        }
        self._consumer: AIOKafkaConsumer | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Joins the group."""
        from aiokafka import AIOKafkaConsumer
        from aiokafka.abc import ConsumerRebalanceListener
        from aiokafka.coordinator.assignors.range import RangePartitionAssignor

        membership = self

        class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
            def on_partitions_revoked(self, revoked: Any) -> None:
                # Nothing stops here. Who keeps a partition need not notice, and who loses it is shut out by the next
                # owner's producer.
                membership.rebalances += 1

            def on_partitions_assigned(self, assigned: Any) -> None:
                consumer.pause(*assigned)
                membership._assigned({(each.topic, each.partition) for each in assigned})

        consumer = AIOKafkaConsumer(
            **self._options,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # Range gives the same numbers of all topics to the same member.
            partition_assignment_strategy=(RangePartitionAssignor,),
            max_partition_fetch_bytes=1_024,
        )
        consumer.subscribe(list(self._topics), listener=Listener())
        self._consumer = consumer
        await consumer.start()
        self._keeper = asyncio.create_task(self._keep(consumer))

    def _assigned(self, places: set[tuple[str, int]]) -> None:
        numbers = {number for _, number in places}
        self.owned = frozenset(n for n in numbers if all((topic, n) in places for topic in self._topics))
        self.changed.set()

    async def _keep(self, consumer: AIOKafkaConsumer) -> None:
        """A member that never asks for records is put out of the group after a while; all of ours are paused."""
        from aiokafka import errors

        gone_for_good = (
            errors.GroupAuthorizationFailedError,
            errors.TopicAuthorizationFailedError,
            errors.AuthenticationFailedError,
            errors.UnknownError,
        )
        while True:
            try:
                await consumer.getmany(timeout_ms=KEEPER_MS)
            except gone_for_good as error:
                self.error = error
                self.changed.set()
                return
            except errors.KafkaError:
                await asyncio.sleep(KEEPER_MS / 1_000)
            await asyncio.sleep(0.05)

    async def confirm(self, number: int) -> bool:
        """Whether the group itself says, now, that this worker is a member that owns the partition."""
        assert self._consumer is not None
        coordinator = self._consumer._coordinator
        if number not in self.owned or coordinator.coordinator_id is None or coordinator.generation < 0:
            return False
        # Its own heartbeats may be due only later.
        confirmed = await asyncio.wait_for(coordinator._do_heartbeat(), self._confirm_s)
        return bool(confirmed) and number in self.owned

    async def commit(self, offsets: Offsets) -> None:
        """Commits positions outside transactions, as a member: one that was put out is refused."""
        from aiokafka.structs import OffsetAndMetadata, TopicPartition

        assert self._consumer is not None
        await self._consumer.commit(
            {TopicPartition(*place): OffsetAndMetadata(*offset) for place, offset in offsets.items()}
        )

    async def stop(self) -> None:
        """Leaves the group."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self._consumer is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._consumer.stop(), CLOSE_SECONDS_MAX)


class Topics:
    """What is asked about topics and groups."""

    def __init__(self, connection: Mapping[str, Any], group: str) -> None:
        self._connection, self._group = dict(connection), group

    async def committed(self, places: Sequence[tuple[str, int]]) -> list[tuple[int, str] | None]:
        """For each place the committed offset and what was kept beside it."""
        from aiokafka.structs import TopicPartition

        async with self._admin() as admin:
            asked = [TopicPartition(*place) for place in places]
            found = await admin.list_consumer_group_offsets(self._group, partitions=asked)
        offsets = [found.get(each) for each in asked]
        return [None if one is None or one.offset < 0 else (one.offset, one.metadata or "") for one in offsets]

    async def partitions(self, topics: Sequence[str]) -> dict[str, int]:
        """How many partitions each topic has; topics that are not there are left out."""
        from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

        try:
            async with self._admin() as admin:
                described = await admin.describe_topics(list(topics))
        except KafkaConnectionError:
            await refuse_if_refused(self._connection)
            raise
        hidden = [one["topic"] for one in described if one["error_code"] == TopicAuthorizationFailedError.errno]
        if hidden:
            shown = ", ".join(f"`{topic}`" for topic in hidden)
            raise KafkaError(
                f"topics {shown} may not be seen by this user; grant it Describe and Read of sources, Describe and "
                "Write of what it sends to"
            )
        return {one["topic"]: len(one["partitions"]) for one in described if not one["error_code"]}

    async def create(self, topic: str, partitions: int, *, like: str, configs: Mapping[str, str] | None = None) -> None:
        """Creates a topic with as many replicas as another one has; no error if it is there."""
        from aiokafka.admin import NewTopic
        from aiokafka.errors import TopicAlreadyExistsError

        async with self._admin() as admin:
            (described,) = await admin.describe_topics([like])
            replicas = len(described["partitions"][0]["replicas"])
            with contextlib.suppress(TopicAlreadyExistsError):
                await admin.create_topics([NewTopic(topic, partitions, replicas, topic_configs=dict(configs or {}))])
        # It is not everywhere at once.
        for _ in range(50):
            if topic in await self.partitions([topic]):
                return
            await asyncio.sleep(0.1)

    @contextlib.asynccontextmanager
    async def _admin(self) -> Any:
        from aiokafka.admin import AIOKafkaAdminClient

        admin = AIOKafkaAdminClient(**self._connection)
        try:
            await admin.start()
            yield admin
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(admin.close(), CLOSE_SECONDS_MAX)


async def refuse_if_refused(connection: Mapping[str, Any]) -> None:
    """Raises KafkaError where no repetition helps: what the client only tells as a connection that was not made."""
    from aiokafka.conn import create_conn
    from aiokafka.errors import AuthenticationFailedError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

    options = {name: value for name, value in connection.items() if name != "bootstrap_servers"}
    for server in str(connection["bootstrap_servers"]).split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            (await create_conn(host, int(port), **options)).close()
        except ssl.SSLCertVerificationError as error:
            raise KafkaError(
                f"Kafka at {server} has a certificate that is not trusted: {error.verify_message}; set tls_ca to that "
                "of its authority, and name the host as the certificate does"
            ) from error
        except ssl.SSLError as error:
            raise KafkaError(
                f"Kafka at {server} does not speak TLS with this worker: {error.reason}; look at security_protocol, "
                "tls_certificate and tls_key"
            ) from error
        except (AuthenticationFailedError, SaslAuthenticationFailed, UnsupportedSaslMechanismError) as error:
            told = str(error) or type(error).__name__
            raise KafkaError(
                f"Kafka at {server} refuses `{connection.get('sasl_plain_username')}`: {told}; look at sasl_mechanism, "
                "sasl_username and sasl_password"
            ) from error
        except Exception:
            # Away, or busy: that may pass.
            continue


class Reader:
    """Reads some partitions from positions that it is given, committed records only."""

    def __init__(self, connection: Mapping[str, Any], places: Sequence[tuple[str, int]], *, fetch_bytes: int) -> None:
        self.places = tuple(places)
        self._connection, self._fetch_bytes = dict(connection), fetch_bytes
        self._consumer: AIOKafkaConsumer | None = None
        self._at: Position | None = None
        self._partitions: list[Any] = []
        self._kept: list[list[ConsumerRecord[Any, Any]]] = [[] for _ in self.places]

    async def start(self, position: Position) -> None:
        """Reads from here on."""
        from aiokafka import AIOKafkaConsumer
        from aiokafka.structs import TopicPartition

        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **self._connection,
                group_id=None,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="none",
                max_partition_fetch_bytes=self._fetch_bytes,
            )
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._partitions = [TopicPartition(*place) for place in self.places]
            # No await between the two: it never looks for a position of its own.
            consumer.assign(self._partitions)
            self._consumer = consumer
            self._at = None
        if self._at != position:
            for partition, offset in zip(self._partitions, position, strict=True):
                self._consumer.seek(partition, offset)
            self._at = position
            self._kept = [[] for _ in self.places]

    async def read(
        self, *, rows_max: int, timeout_ms: int, places: Sequence[int] | None = None
    ) -> list[list[ConsumerRecord[Any, Any]]]:
        """What comes next, for each place; all empty if nothing came in time. The position moves behind it.

        Only of some `places` if they are named. What was not taken the last time comes first.
        """
        from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

        assert self._consumer is not None
        kept, self._kept = self._kept, [[] for _ in self.places]
        asked = self._partitions if places is None else [self._partitions[place] for place in places]
        in_hand = sum(map(len, kept))
        try:
            found = await self._consumer.getmany(
                *asked, timeout_ms=0 if in_hand else timeout_ms, max_records=max(1, rows_max - in_hand)
            )
        except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
            raise OffsetLost(
                f"{', '.join(f'{topic}-{number}' for topic, number in self.places)}: the events at {self._at} are "
                f"gone ({error}); retention is shorter than the worker was away: raise it, or begin a new group"
            ) from error
        except BaseException:
            self._kept = kept
            raise
        records = [have + found.get(each, []) for have, each in zip(kept, self._partitions, strict=True)]
        if any(records):
            assert self._at is not None
            self._at = tuple(some[-1].offset + 1 if some else at for some, at in zip(records, self._at, strict=True))
        return records

    def unread(self, records: list[list[ConsumerRecord[Any, Any]]]) -> None:
        """Takes back the last of what `read` gave; it comes first the next time."""
        assert self._at is not None
        self._kept = records
        self._at = tuple(some[0].offset if some else at for some, at in zip(records, self._at, strict=True))

    async def more(self) -> list[bool]:
        """Whether readers may see more of each place than `read` gave, as of the last fetch."""
        assert self._consumer is not None
        ends = [self._consumer.last_stable_offset(each) for each in self._partitions]
        if any(end is None or end < 0 for end in ends):
            ends = list(await self.ends())
        return [at < end for at, end in zip(await self.position(), ends, strict=True)]

    async def position(self) -> Position:
        """Where it reads next: behind what `read` gave, and behind markers that are no records."""
        assert self._consumer is not None
        return tuple([await self._consumer.position(each) for each in self._partitions])

    async def beginnings(self) -> Position:
        """The oldest offsets that are there."""
        assert self._consumer is not None
        found = await self._consumer.beginning_offsets(self._partitions)
        return tuple(found[each] for each in self._partitions)

    async def ends(self) -> Position:
        """Behind the newest records that readers may see."""
        assert self._consumer is not None
        found = await self._consumer.end_offsets(self._partitions)
        return tuple(found[each] for each in self._partitions)

    def lag(self) -> int | None:
        """How many records it is behind, as of the last fetch; None before one."""
        assert self._consumer is not None
        ends = [self._consumer.last_stable_offset(each) for each in self._partitions]
        if self._at is None or any(end is None or end < 0 for end in ends):
            return None
        return sum(max(0, int(end) - at) for end, at in zip(ends, self._at, strict=True))

    async def stop(self) -> None:
        """Closes its connections."""
        consumer, self._consumer, self._at = self._consumer, None, None
        if consumer is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(consumer.stop(), CLOSE_SECONDS_MAX)
