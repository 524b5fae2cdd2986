"""Pipeline: which topics go in, what is computed, where rows and refused messages go. Plain values; nothing starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from fastfeat.errors import DefinitionError, check_text, nearest, shown
from fastfeat.features import FeatureSet
from fastfeat.formats import Format, format_of
from fastfeat.streams import Stream

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = ["Kafka", "Pipeline"]

GUARANTEES: Final = ("exactly_once", "at_least_once")
STARTS: Final = ("earliest", "latest")


@dataclass(frozen=True)
class Kafka:
    """A topic. As a source it has the stream whose events it carries; connections are settings of the worker.

    `start` says where a group that has never committed begins. `format` is how messages are read.

    >>> Kafka("scored")
    Kafka('scored')
    """

    topic: str
    _: KW_ONLY
    stream: Stream | None = None
    format: Format | str = "json"
    start: Literal["earliest", "latest"] = "earliest"

    def __post_init__(self) -> None:
        place = f"topic {shown(self.topic)}"
        check_text(place, "the name", self.topic)
        if self.stream is not None and not isinstance(self.stream, Stream):
            raise DefinitionError(place, f"stream is {shown(self.stream)}; write stream=payments")
        if self.start not in STARTS:
            hint = nearest(str(self.start), STARTS)
            raise DefinitionError(place, f"start is {shown(self.start)};{hint} write `earliest` or `latest`")
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
    kept in `checkpoint`, a folder that all workers of a group share. With `exactly_once`, read-committed readers see
    each row once, bit for bit as a worker that never stopped would have made it; with `at_least_once` rows may come
    twice after a failure, and cost less. `reasons` is how many reasons a score is given. `engine` are further options
    of `Engine`, such as `memory_limit`.

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
