"""The state of one partition: an engine, its checkpoints by position, and what it makes of records.

A checkpoint's name is the position that it stands at, and equal positions mean equal bytes. So it does no harm when
an owner that does not yet know it lost the partition writes or prunes in the same folder.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fastfeat.avro_rows import AvroOutput
from fastfeat.checkpoints import PART, Folder
from fastfeat.engine import Engine
from fastfeat.errors import CheckpointError, CheckpointWarning, SpillError
from fastfeat.formats import Format
from fastfeat.pipeline import Pipeline
from fastfeat.protocol import Position

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

__all__ = ["RECORD_BYTES_MAX", "Results", "State"]

SUFFIX: Final = ".ff"
RECORD_BYTES_MAX: Final = 1_000_000
"""Of one message that goes out, with its headers: below what brokers take by default."""


@dataclass
class Results:
    """What came of some records: rows, and records that were refused."""

    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    timestamps_ms: list[int] = field(default_factory=list)
    headers: list[Sequence[tuple[str, bytes]]] = field(default_factory=list)
    """Those of the message that the row came from; empty where no message had any."""
    refused: list[tuple[Any, str, str, str]] = field(default_factory=list)
    """The record, and why: code, message, problems as JSON."""
    rules: Counter[str] = field(default_factory=Counter)
    """Rules that messages broke: of each message every rule once."""
    events: int = 0

    def add(self, records: Sequence[ConsumerRecord[Any, Any]], values: list[bytes]) -> None:
        """A value for each of the records, under its key, its time and its headers."""
        if self.headers or any(record.headers for record in records):
            self.headers += [()] * (len(self.keys) - len(self.headers))
            self.headers += [record.headers for record in records]
        self.keys += [record.key for record in records]
        self.values += values
        self.timestamps_ms += [record.timestamp for record in records]


class State:
    """The engine of a partition. Nothing here knows Kafka, but that records have a key, a value and an offset."""

    def __init__(self, pipeline: Pipeline, folder: Folder, *, keep: int, output: AvroOutput | None = None) -> None:
        self.folder = folder
        self.engine: Engine | None = None
        self.journal = 0
        """Where the journal of several sources is read from after a restore."""
        self._pipeline, self._keep, self._output = pipeline, keep, output

    def ask(self, place: int, records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        """Asks a registry for the schemas of these records, where it has to be asked. Nothing else happens."""
        source = self._pipeline.sources[place]
        if self.engine is not None and source.stream is not None and isinstance(source.format, Format):
            self.engine._reader(source.format, source.stream.name, [record.value for record in records])

    @property
    def unsynced(self) -> bool:
        """Whether this state cannot be written down any more."""
        return self.engine is not None and self.engine._unsynced

    def empty(self) -> None:
        """An engine that has seen nothing."""
        self.engine = Engine(self._pipeline.features, **self._options())
        self.journal = 0

    def drop(self) -> None:
        """Lets go of the state."""
        self.engine = None

    def restore(self, at_most: Position) -> Position | None:
        """Takes the newest checkpoint that is whole and not ahead; None if there is none."""
        self.engine = None
        for name, _ in self._checkpoints(at_most):
            try:
                path = self.folder.path(name)
                engine = Engine.restore(self._pipeline.features, path, changed="refuse_any", **self._options())
            except CheckpointError as error:
                if error.fault != "damaged":
                    raise
                warnings.warn(str(error), CheckpointWarning, stacklevel=2)
                continue
            except FileNotFoundError:
                continue
            position = tuple(engine.offsets["position"])
            if any(a > b for a, b in zip(position, at_most, strict=True)):
                continue
            self.engine, self.journal = engine, engine.offsets["journal"]
            return position
        return None

    def checkpoint(self, position: Position) -> int:
        """Writes a checkpoint of this position, and lets the oldest go; how many bytes it has."""
        assert self.engine is not None
        self.folder.make()
        name = f"{_name(position)}{SUFFIX}"
        offsets = {"position": list(position), "journal": self.journal}
        self.engine.checkpoint(self.folder.path(name), offsets=offsets)
        size_bytes = self.folder.size_bytes(name)
        self._prune(position)
        return size_bytes

    def _options(self) -> dict[str, Any]:
        # A stream without features of its own is known by name all the same.
        return {"model": self._pipeline.model, "streams": self._pipeline.streams, **self._pipeline.engine}

    def _checkpoints(self, at_most: Position | None = None) -> list[tuple[str, Position]]:
        """Their names, the newest first."""
        found = []
        for name in self.folder.names():
            if name.endswith(SUFFIX):
                with contextlib.suppress(ValueError):
                    position = tuple(int(part) for part in name.removesuffix(SUFFIX).split("-"))
                    if at_most is None or all(a <= b for a, b in zip(position, at_most, strict=True)):
                        found.append((name, position))
        return sorted(found, key=lambda each: sum(each[1]), reverse=True)

    def _prune(self, newest: Position) -> None:
        gone = [name for name, _ in self._checkpoints(newest)[self._keep :]]
        for name in self.folder.names():
            # Of a writer that was killed: it wrote at a position that is behind this one.
            if name.startswith(".") and name.endswith(PART):
                with contextlib.suppress(ValueError):
                    if sum(int(part) for part in name[1:].split(SUFFIX)[0].split("-")) < sum(newest):
                        gone.append(name)
        self.folder.remove(gone)

    def push(self, place: int, records: Sequence[ConsumerRecord[Any, Any]], results: Results | None) -> None:
        """Takes records of a source, in order. Without `results` they were published before: only the state moves."""
        assert self.engine is not None
        if not records:
            return
        pipeline, source = self._pipeline, self._pipeline.sources[place]
        assert source.stream is not None
        assert isinstance(source.format, Format), "the pipeline has looked"
        # Scoring changes no state, so a replay leaves it out.
        wanted = results is not None
        outcome = self.engine.push_messages(
            [record.value for record in records],
            stream=source.stream.name,
            format=source.format,
            score=wanted and pipeline.model is not None,
            reasons=pipeline.reasons if wanted else 0,
        )
        spilled = next((problem for problem in outcome.problems if problem.code == SpillError.code), None)
        if spilled is not None:
            # Nothing is wrong with the message: the state is made anew, and the message taken again.
            raise SpillError(str(pipeline.engine["spill_path"]), spilled.message)
        if results is None:
            return
        results.events += len(records)
        for problem in outcome.problems:
            record = records[int(outcome.message[problem.index])]
            results.refused.append((record, problem.code, problem.message, _problems(problem)))
            results.rules.update({one.rule for one in problem.problems} or {problem.code})
        if pipeline.sink is None:
            return
        of = outcome.message.tolist()
        prefix = f"{source.topic}-{records[0].partition}-"
        ids = [f"{prefix}{records[i].offset}" for i in of]
        if len(of) != len(records):
            ids = _told_apart(ids)
        values = outcome.encode(self._output, ids=ids, reasons=bool(pipeline.reasons))
        present = [value for value in values if value is not None]
        if len(present) == len(records) == len(of) and max(_sizes(present, records)) <= RECORD_BYTES_MAX:
            # As it is nearly always: a row for each record.
            results.add(records, present)
            return
        for i, value in zip(of, values, strict=True):
            if value is None:
                continue
            (size,) = _sizes([value], [records[i]])
            if size > RECORD_BYTES_MAX:
                told = f"its row is {size} bytes, more than the {RECORD_BYTES_MAX} that a message may have"
                results.refused.append((records[i], "too_large", told, "[]"))
            else:
                results.add([records[i]], [value])


def _name(position: Position) -> str:
    return "-".join(f"{offset:020d}" for offset in position)


def _sizes(values: Sequence[bytes], records: Sequence[ConsumerRecord[Any, Any]]) -> list[int]:
    """Of each value together with the headers of its record."""
    if not any(record.headers for record in records):
        return list(map(len, values))
    return [
        len(value) + sum(len(name) + len(head or b"") for name, head in record.headers)
        for value, record in zip(values, records, strict=True)
    ]


def _told_apart(ids: list[str]) -> list[str]:
    """Of the rows of a message that has several: its id, a point, and their place in it. Others keep theirs.

    So an id says nothing of what came together with the message.
    """
    several, seen = Counter(ids), Counter[str]()
    apart = []
    for each in ids:
        apart.append(f"{each}.{seen[each]}" if several[each] > 1 else each)
        seen[each] += 1
    return apart


def _problems(problem: Any) -> str:
    return json.dumps([list(map(str, each)) for each in problem.problems], ensure_ascii=False)
