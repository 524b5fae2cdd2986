"""Pipeline: which topics go in, what is computed, where rows and refused messages go. Plain values; nothing starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from fastfeat.avro_rows import AvroOutput
from fastfeat.errors import DefinitionError, check_text, nearest, shown
from fastfeat.features import FeatureSet
from fastfeat.formats import Format, Json, format_of
from fastfeat.streams import Stream

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = ["Kafka", "Pipeline", "Repartition", "repartition"]

GUARANTEES: Final = ("exactly_once", "at_least_once")
STARTS: Final = ("earliest", "latest")


@dataclass(frozen=True)
class Kafka:
    """A topic. As a source it has the stream whose events it carries; connections are settings of the worker.

    `start` says where a group that has never committed begins. `format` is how messages are read; of a sink, how rows
    are written: JSON, or `AvroOutput`. `acks`, of a sink of an `at_least_once` pipeline, says who has to have a row
    before its event counts as done: all replicas that are in sync, or with 1 the leader alone, which is sooner.

    >>> Kafka("scored")
    Kafka('scored')
    >>> Kafka("scored", acks=1).acks
    1
    """

    topic: str
    _: KW_ONLY
    stream: Stream | None = None
    format: Format | AvroOutput | str = "json"
    start: Literal["earliest", "latest"] = "earliest"
    acks: Literal["all", 1] = "all"

    def __post_init__(self) -> None:
        place = f"topic {shown(self.topic)}"
        check_text(place, "the name", self.topic)
        if self.stream is not None and not isinstance(self.stream, Stream):
            raise DefinitionError(place, f"stream is {shown(self.stream)}; write stream=payments")
        if self.start not in STARTS:
            hint = nearest(str(self.start), STARTS)
            raise DefinitionError(place, f"start is {shown(self.start)};{hint} write `earliest` or `latest`")
        if isinstance(self.acks, bool) or self.acks not in ("all", 1):
            raise DefinitionError(place, f"acks is {shown(self.acks)}; write 'all' or 1")
        if self.stream is not None and self.acks != "all":
            raise DefinitionError(place, "acks is how rows are confirmed, and a source has none; write it on the sink")
        if isinstance(self.format, AvroOutput):
            if self.stream is not None:
                raise DefinitionError(place, "AvroOutput is how rows are written; events are read by ff.Avro(...)")
            return
        try:
            object.__setattr__(self, "format", format_of(self.format))
        except ValueError as error:
            raise DefinitionError(place, str(error)) from None

    def __repr__(self) -> str:
        stream = "" if self.stream is None else f", stream={self.stream.name}"
        return f"Kafka({self.topic!r}{stream})"


@dataclass(frozen=True)
class Pipeline:
    """What `fastfeat worker app:pipeline` runs: sources in, rows (and scores, with a model) out.

    `name` names the application: groups, transactional ids and checkpoints are under it. The state of a partition is
    kept in `checkpoint`, a folder that all workers of a group share (or its address in an object store). With
    `exactly_once`, read-committed readers see each row once, bit for bit as a worker that never stopped would have
    made it; with `at_least_once` rows may come twice after a failure, and cost less. `reasons` is how many reasons a
    score is given. `engine` are further options of `Engine`, such as `memory_limit`.

    With several sources, partition `n` of all of them feeds one state; the order in which their events were taken
    is kept in the topic `<name>.journal`, in the same transaction as the rows.

    >>> payments = Stream("payments", {"ts": Timestamp("us"), "card": String()}, time="ts")
    >>> features = payments.features(n=count().over("card", "1h"))
    >>> Pipeline("fraud", features, sources=[Kafka("payments", stream=payments)], sink=Kafka("scored")).guarantee
    'exactly_once'
    """

    name: str
    features: FeatureSet
    _: KW_ONLY
    sources: Sequence[Kafka]
    sink: Kafka | None = None
    dead_letters: Kafka | None = None
    model: Booster | str | os.PathLike[str] | None = None
    guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"
    checkpoint: str | os.PathLike[str] = "checkpoints"
    reasons: int = 0
    engine: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        place = f"pipeline {shown(self.name)}"
        check_text(place, "the name", self.name)
        if not isinstance(self.features, FeatureSet):
            raise DefinitionError(place, f"{shown(self.features)} is no FeatureSet; write stream.features(...)")
        if self.guarantee not in GUARANTEES:
            hint = nearest(str(self.guarantee), GUARANTEES)
            raise DefinitionError(
                place, f"guarantee is {shown(self.guarantee)};{hint} write one of {', '.join(GUARANTEES)}"
            )
        if isinstance(self.reasons, bool) or not isinstance(self.reasons, int) or self.reasons < 0:
            raise DefinitionError(place, f"reasons is {shown(self.reasons)}; write how many, 0 or more")
        if self.reasons and self.model is None:
            raise DefinitionError(place, f"reasons={self.reasons} without a model; give model=..., or leave them out")
        object.__setattr__(self, "sources", tuple(self.sources))
        object.__setattr__(self, "engine", MappingProxyType(dict(self.engine)))
        self._check_topics(place)

    def _check_topics(self, place: str) -> None:
        if not self.sources:
            raise DefinitionError(place, "there are no sources; write sources=[ff.Kafka('payments', stream=payments)]")
        for each in (*self.sources, *(one for one in (self.sink, self.dead_letters) if one is not None)):
            if not isinstance(each, Kafka):
                raise DefinitionError(place, f"{shown(each)} is no ff.Kafka(...)")
        streams = [one.stream for one in self.sources if one.stream is not None]
        if len(streams) != len(self.sources):
            missing = next(one for one in self.sources if one.stream is None)
            raise DefinitionError(place, f"source {missing!r} has no stream; write ff.Kafka(..., stream=payments)")
        if all(one.name != self.features.stream.name for one in streams):
            raise DefinitionError(place, f"no source carries `{self.features.stream.name}`, which rows are made of")
        _check_formats(place, self.sink, self.dead_letters)
        _check_acks(place, self.guarantee, self.sources, self.sink, self.dead_letters)
        topics = [each.topic for each in self.sources]
        outputs = [each.topic for each in (self.sink, self.dead_letters) if each is not None]
        for topic in topics + outputs:
            if (topics + outputs).count(topic) > 1:
                raise DefinitionError(place, f"topic `{topic}` is named twice; a worker would read what it writes")

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The stream of each source."""
        return tuple(source.stream for source in self.sources if source.stream is not None)

    @property
    def journal(self) -> str | None:
        """The topic that says in which order the events of several sources were taken; None with one source."""
        return f"{self.name}.journal" if len(self.sources) > 1 else None

    def transactional_id(self, group: str, partition: int) -> str:
        """The id that a partition's producers have in common, whichever worker they run in."""
        return f"{self.name}-{group}-{self.sources[0].topic}-{partition}"


def _check_formats(place: str, sink: Kafka | None, dead_letters: Kafka | None) -> None:
    """What is sent has few formats: a format that nothing would be written in is refused."""
    if sink is not None and not isinstance(sink.format, (Json, AvroOutput)):
        kind = type(sink.format).__name__
        way_out = "write format=ff.AvroOutput(...)" if kind == "Avro" else 'write "json" or ff.AvroOutput(...)'
        raise DefinitionError(place, f"{kind} is how events are read, and {sink!r} has rows; {way_out}")
    if dead_letters is not None and dead_letters.format != Json():
        raise DefinitionError(place, "dead letters are the bytes that were refused, as they were; leave format out")


def _check_acks(
    place: str, guarantee: str, sources: Sequence[Kafka], sink: Kafka | None, dead_letters: Kafka | None
) -> None:
    """What only one broker has may go with it: where that would break a promise, it is refused."""
    if dead_letters is not None and dead_letters.acks != "all":
        raise DefinitionError(place, "dead letters are confirmed as rows are; write acks on the sink")
    if sink is None or sink.acks == "all":
        return
    if guarantee == "exactly_once":
        raise DefinitionError(
            place,
            "acks=1 and guarantee='exactly_once': a transaction is confirmed by all replicas in sync, or a row might "
            "be lost after its event counts as done; leave acks out, or write guarantee='at_least_once'",
        )
    if len(sources) > 1:
        raise DefinitionError(
            place,
            "acks=1 and several sources: the journal of their order goes out with the rows, and without it the state "
            "cannot be made again; leave acks out",
        )


@dataclass(frozen=True)
class Repartition:
    """What `fastfeat worker app:by_merchant` runs: the messages of a topic, once each, under another key.

    Made by `repartition`.
    """

    name: str
    _: KW_ONLY
    source: Kafka
    by: tuple[str, ...]
    sink: Kafka
    dead_letters: Kafka | None = None
    partitions: int | None = None
    guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"

    @property
    def sources(self) -> tuple[Kafka, ...]:
        """The one that it has."""
        return (self.source,)

    @property
    def journal(self) -> None:
        """The order of one source is its own."""
        return

    def transactional_id(self, group: str, partition: int) -> str:
        """As for a pipeline."""
        return f"{self.name}-{group}-{self.source.topic}-{partition}"


def repartition(
    name: str,
    source: Kafka,
    *,
    by: str | Sequence[str],
    to: Kafka,
    dead_letters: Kafka | None = None,
    partitions: int | None = None,
    guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once",
) -> Repartition:
    """Sends the messages of a topic to another one, keyed by other fields, so that a key's state has one owner.

    A pipeline over `to` then sees all events of a merchant in one partition. Messages are JSON; the fields of `by`
    are their key, by which Kafka's usual hash finds the partition. If the topic is not there, a worker creates it with
    `partitions`, by default as many as the source has. Messages of one source partition stay in order; of several they
    mix, and the streams of `to` need a `lateness` that covers how far apart they are.

    >>> payments = Stream("payments", {"ts": Timestamp("us"), "merchant": String()}, time="ts")
    >>> made = repartition(
    ...     "by-merchant", Kafka("payments", stream=payments), by="merchant", to=Kafka("payments.by-merchant")
    ... )
    >>> made.by
    ('merchant',)
    """
    place = f"repartition {shown(name)}"
    check_text(place, "the name", name)
    fields = (by,) if isinstance(by, str) else tuple(by)
    if not isinstance(source, Kafka) or source.stream is None:
        raise DefinitionError(place, f"source {shown(source)} has no stream; write ff.Kafka(..., stream=payments)")
    if source.format != format_of("json"):
        raise DefinitionError(place, f"messages of {source!r} are {source.format}; only JSON is repartitioned")
    for field_name in fields:
        if field_name not in source.stream.fields:
            hint = nearest(str(field_name), source.stream.fields) or f" it has {', '.join(source.stream.fields)}"
            raise DefinitionError(place, f"`{source.stream.name}` has no field {shown(field_name)};{hint}")
    if not fields:
        raise DefinitionError(place, "by is empty; write by='merchant'")
    if to.format != format_of("json"):
        raise DefinitionError(place, "messages are sent on as they are; leave the format of `to` out")
    _check_formats(place, to, dead_letters)
    topics = [each.topic for each in (source, to, dead_letters) if each is not None]
    if len(set(topics)) < len(topics):
        raise DefinitionError(
            place, f"a topic of {', '.join(topics)} is named twice; a worker would read what it writes"
        )
    if partitions is not None and (isinstance(partitions, bool) or not isinstance(partitions, int) or partitions < 1):
        raise DefinitionError(place, f"partitions is {shown(partitions)}; write how many, 1 or more")
    if guarantee not in GUARANTEES:
        raise DefinitionError(place, f"guarantee is {shown(guarantee)}; write one of {', '.join(GUARANTEES)}")
    _check_acks(place, guarantee, (source,), to, dead_letters)
    return Repartition(
        name, source=source, by=fields, sink=to, dead_letters=dead_letters, partitions=partitions, guarantee=guarantee
    )
