# The typed face of the compiled module, kept by hand; `make stubs-check` holds it to the module itself.
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, final, overload, type_check_only

import numpy
from numpy.typing import NDArray
from typing_extensions import Buffer, Self, disjoint_base

from fastfeat.errors import RefusedMessage

__all__ = [
    "Decoder",
    "Engine",
    "LookupTable",
    "Outcome",
    "Plan",
    "Reason",
    "RecordBatch",
    "Row",
    "ScoreResult",
    "checkpoint_change",
    "inspect_checkpoint",
    "record_batches",
    "registry",
    "remove_stored",
    "restore_row",
    "stored_bytes",
    "stored_names",
]

_Value: TypeAlias = float | bool | str | datetime | list[Any] | None
_Default = TypeVar("_Default")
_Event: TypeAlias = tuple[datetime, dict[str, Any], bool]
# Value, beginning and end of the window, events inside, those that left, whether the window keeps events.
_Explained: TypeAlias = tuple[Any, datetime | None, datetime, list[_Event], list[_Event], bool]
# Writable memory of doubles. Not bound to Buffer: before Python 3.12 no type says that it is one.
_Out = TypeVar("_Out")

@final
class Plan:
    """A compiled definition. Compiling is where every mistake in it is told, as `DefinitionError`."""

    def __new__(cls, json: str) -> Self: ...
    @property
    def names(self) -> list[str]:
        """Names of the features, in the order of the row."""
    @property
    def types(self) -> list[str]:
        """Their types, e.g. `Float64`, `List(String)`."""
    @property
    def streams(self) -> list[str]:
        """Names of the streams, in the order of the definition."""
    @property
    def fingerprint(self) -> str:
        """Hash of the definition and of the version of its meaning, 64 hex digits."""
    @property
    def tables(self) -> list[tuple[str, list[str]]]:
        """Names of the tables of its state, e.g. `payments by card`, each with the parts of its key."""
    def estimate(
        self,
        expected: list[tuple[int, float]],
        *,
        days: float,
        key_bytes: int,
        texts: int,
        text_bytes: int,
        idle_after_ns: int | None = None,
    ) -> tuple[list[tuple[int, int]], int]:
        """Keys with state and their bytes, by table, and the bytes of texts; `expected` is keys and events a day."""
    def change(self, new: Plan) -> str:
        """What a change to another definition keeps, begins anew and drops, as JSON."""
    def describe(self) -> str:
        """The plan as a text for people: which state exists, and why."""

@final
class LookupTable:
    """Rows of reference data, in Arrow's memory."""

    def __new__(cls, table: Any) -> Self: ...
    @property
    def columns(self) -> list[tuple[str, str | None, str]]:
        """Name, type for the engine (None where it has none) and type in Arrow, by column."""
    def check(self, name: str, key: str, columns: list[tuple[str, str]]) -> None:
        """Reads every row of these columns; raises DefinitionError with the first that cannot be."""
    def __len__(self) -> int: ...

@type_check_only
class _RowFormat(Protocol):
    """An `AvroOutput`."""

    @property
    def prefix(self) -> bytes: ...

# Before Python 3.12 there is a buffer without a method `__buffer__`.
@type_check_only
class _Buffer:
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Row(_Buffer):
    """The features of one event: a mapping from name to value, and a vector of floats.

    `row["name"]` and `row[0]` give typed values, None for null; `numpy.asarray(row)` is the float64 vector, where null
    is NaN, without a copy.
    """

    __hash__: None  # type: ignore[assignment]
    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
    def keys(self) -> tuple[str, ...]:
        """Names of the features, in order."""
    def values(self) -> list[_Value]:
        """The typed values, in the order of the names."""
    def items(self) -> list[tuple[str, _Value]]:
        """Pairs of name and typed value."""
    def to_dict(self) -> dict[str, _Value]:
        """Name to typed value: None for null, int, float, bool, str, a datetime in UTC, or a list of them."""
    @overload
    def get(self, name: str) -> _Value: ...
    @overload
    def get(self, name: str, default: _Default) -> _Value | _Default: ...
    def __getitem__(self, key: str | int, /) -> Any: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: dict[int, Any], /) -> Self: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def _repr_html_(self) -> str: ...

@final
class Reason:
    """One feature's share in a score."""

    __hash__: None  # type: ignore[assignment]
    @property
    def name(self) -> str:
        """Name of the feature."""
    @property
    def value(self) -> Any:
        """Its typed value, None for null."""
    @property
    def contribution(self) -> float:
        """What it adds to the raw score."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class ScoreResult:
    """The score of one event, its features, and why."""

    @property
    def score(self) -> Any:
        """The model's answer, as `Booster.predict` gives it; one float per class where there are several."""
    @property
    def raw_score(self) -> Any:
        """The answer before the objective's transformation."""
    @property
    def features(self) -> Row:
        """The features that were scored."""
    @property
    def base_value(self) -> Any:
        """What the raw score is without any feature; with all contributions it makes the raw score."""
    def contributions(self, class_index: int | None = None) -> dict[str, float]:
        """What each feature adds to the raw score, in the order of the features."""
    def reasons(self, k: int = 3, class_index: int | None = None) -> list[Reason]:
        """The `k` features that move the raw score most, up or down, strongest first."""

@final
class Decoder:
    """How the messages of a stream are read."""

    def add_avro(self, id: int, text: str, references: Sequence[str]) -> str | None:
        """Adds the text of an Avro schema, and those that it refers to. Why it is none, where it is none."""
    def add_protobuf(self, id: int | None, descriptors: bytes) -> str | None:
        """Adds the descriptors of a schema id, or of all ids. Why they are none, where they are none."""
    def unknown(self, payloads: Sequence[Buffer | None]) -> list[int]:
        """The ids of schemas that messages are written with and that are not known, each once."""

@final
class Outcome:
    """What became of a batch of messages: one row for each event, in order."""

    @property
    def status(self) -> NDArray[numpy.uint8]:
        """What became of each row: 0 it has a row, 1 accepted and its stream has no features, 2 invalid or not
        decodable, 3 late, 4 late with a row, 5 refused by the memory limit."""
    @property
    def message(self) -> NDArray[numpy.uint32]:
        """The message, by its place in the batch, that each row came from."""
    @property
    def values(self) -> NDArray[numpy.float64]:
        """The features by row and feature; NaN where null and where there is no row."""
    @property
    def scores(self) -> NDArray[numpy.float64] | None:
        """The scores by row, and class where there are several; NaN where there is no row. None without `score`."""
    @property
    def problems(self) -> list[RefusedMessage]:
        """Why rows are not there, or have no score, in order."""
    def rows(self) -> list[dict[str, _Value] | None]:
        """The typed features of each row by name; None where there is no row."""
    def encode(
        self,
        format: Literal["json"] | _RowFormat | None = None,
        *,
        indexes: Sequence[int] | NDArray[Any] | None = None,
        ids: Sequence[str | bytes | int | None] | None = None,
        extra: Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None = None,
        reasons: bool = False,
    ) -> list[bytes | None]:
        """The rows as messages, as JSON or an `AvroOutput`: bytes for each that has one, None for the others.

        `indexes` are the rows that are wanted, all by default. `ids` has an id for every row. `extra` has further
        members, as one dict for all rows or one a row; its `model` and `definition` take the place of the engine's.
        """
    def __len__(self) -> int: ...

@disjoint_base
class Engine:
    """The engine behind `fastfeat.Engine`."""

    def __new__(
        cls,
        definition: str,
        stream: str,
        *,
        model: str | None = None,
        library: str | os.PathLike[str] | None = None,
        raw_score: bool = False,
        memory_limit: int | None = None,
        evict_idle: bool = False,
        spill_path: str | os.PathLike[str] | None = None,
        idle_after_ns: int | None = None,
        late_events_max: int = 1_000,
        checkpoint: str | os.PathLike[str] | None = None,
        changed: str = "refuse_any",
        restart: list[str] = ...,
        store_options: Sequence[tuple[str, str]] = ...,
    ) -> Self: ...
    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the row."""
    @overload
    def push(self, event: Mapping[str, Any], *, stream: None = None, out: None = None) -> Row: ...
    @overload
    def push(self, event: Mapping[str, Any], *, stream: None = None, out: _Out) -> _Out: ...
    @overload
    def push(self, event: Mapping[str, Any], *, stream: str, out: None = None) -> Row | None: ...
    @overload
    def push(self, event: Mapping[str, Any], *, stream: str, out: _Out) -> _Out | None: ...
    @overload
    def push_json(self, data: Buffer | str, *, stream: None = None, out: None = None) -> Row: ...
    @overload
    def push_json(self, data: Buffer | str, *, stream: None = None, out: _Out) -> _Out: ...
    @overload
    def push_json(self, data: Buffer | str, *, stream: str, out: None = None) -> Row | None: ...
    @overload
    def push_json(self, data: Buffer | str, *, stream: str, out: _Out) -> _Out | None: ...
    @overload
    def peek(self, event: Mapping[str, Any], *, stream: None = None) -> Row: ...
    @overload
    def peek(self, event: Mapping[str, Any], *, stream: str) -> Row | None: ...
    @overload
    def score(self, event: Mapping[str, Any], *, stream: None = None) -> ScoreResult: ...
    @overload
    def score(self, event: Mapping[str, Any], *, stream: str) -> ScoreResult | None: ...
    @overload
    def score_json(self, data: Buffer | str, *, stream: None = None) -> ScoreResult: ...
    @overload
    def score_json(self, data: Buffer | str, *, stream: str) -> ScoreResult | None: ...
    def push_batch(self, table: Any, *, stream: str | None = None, threads: int | None = None) -> Any:
        """Pushes the rows of a table, in order, and gives a table of their features."""
    def _decoder(
        self, format: str, *, stream: str | None = None, framing: str = "raw", message: str | None = None
    ) -> Decoder:
        """How messages of a stream in a format are read. Avro and Protobuf know no schema yet."""
    def _push_messages(
        self,
        payloads: Sequence[Buffer | None],
        decoder: Decoder,
        *,
        score: bool = False,
        reasons: int = 0,
        definition: str,
        model: str | None = None,
    ) -> Outcome:
        """Takes a batch of messages, each as `decoder` reads it, in order."""
    def lookup(self, keys: Mapping[str, Any], *, at: int | str | datetime | None = None) -> Row:
        """The features of some keys at a time, by default that of the newest event. Nothing changes."""
    def _explain(
        self, feature: int, keys: Mapping[str, Any], *, at: int | str | datetime | None = None
    ) -> tuple[datetime, Any, list[_Explained]]:
        """What a feature (by its position) of some keys is made of."""
    def _late_events(self) -> list[tuple[str, datetime, datetime, int, bool]]:
        """The newest late events, oldest first."""
    def _set_lookup(self, name: str, table: LookupTable) -> None:
        """Gives a lookup its rows: from the next event on all of them at once, in place of those it had."""
    def _checkpoint(
        self,
        path: str | os.PathLike[str],
        offsets: str,
        keep: int,
        incremental: bool,
        store_options: Sequence[tuple[str, str]],
    ) -> Path | str:
        """Writes all state, or what is new since the last one of a folder; where it is then."""
    def _state(self) -> bytes:
        """All state as bytes, the same for the same state. The engine takes no event meanwhile."""
    def _held_ns(self) -> tuple[int, int]:
        """For how long the writer of the last checkpoint of all state had the engine: at its instant, and the longest
        after."""
    def _helped(self) -> tuple[int, int]:
        """How many calls saved a part of the last checkpoint of all state after their events, and the nanoseconds of
        the longest of those parts."""
    @property
    def _restored(self) -> tuple[str, Path | str, list[str]] | None:
        """Of an engine that was restored: its offsets as JSON, its file, and what was damaged on the way to it."""
    @property
    def _unsynced(self) -> bool:
        """Whether a sync of a checkpoint has failed, so that this engine writes no more."""
    def _time_chunks(self, events: list[tuple[str | None, Any]]) -> tuple[list[int], int, int]:
        """Nanoseconds of the engine alone by chunk of events, how many were pushed, how many refused."""
    def _time_stages(self, events: list[tuple[str | None, Any]]) -> dict[str, int]:
        """Nanoseconds of each stage over all events."""
    def _complete_since(self) -> list[tuple[str, datetime | None]]:
        """Names of the features, each with the time from which on its rows are complete; None from the beginning."""
    def _change_to(self, new: Plan) -> tuple[str, list[tuple[int, int]]]:
        """What a change to a definition keeps, begins anew and drops, as JSON; and by table its bytes and keys."""
    def stats(self) -> dict[str, Any]:
        """What the engine has seen and holds, in all and by stream."""

def checkpoint_change(
    path: str | os.PathLike[str], store_options: Sequence[tuple[str, str]], old: Plan, new: Plan
) -> str:
    """The change from the definition of a checkpoint, given as `old`, to `new`, as JSON."""

@final
class RecordBatch:
    """Messages of one partition, laid out as brokers keep them."""

    @property
    def count(self) -> int:
        """How many messages it has."""
    @property
    def size(self) -> int:
        """Its bytes, once it is sealed."""
    def seal(self, producer: int, epoch: int, sequence: int, transactional: bool) -> bytes:
        """The batch as it is sent by this producer."""

def inspect_checkpoint(
    path: str | os.PathLike[str], key: Sequence[tuple[str, str]], store_options: Sequence[tuple[str, str]]
) -> str:
    """What is inside a checkpoint, as JSON; with pairs of key columns and values also what it keeps of that key."""

def stored_names(folder: str) -> list[str]:
    """Names of the files in a folder of an object store."""

def stored_bytes(path: str) -> int:
    """Bytes of a file in an object store."""

def remove_stored(folder: str, names: Sequence[str]) -> None:
    """Removes files of a folder in an object store; some that are not there do no harm."""

def record_batches(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int],
    headers: Sequence[Sequence[tuple[str, bytes | None]]] | None,
    bytes_max: int,
) -> list[RecordBatch]:
    """Messages in order, in as few batches as `bytes_max` lets; one that is longer has a batch of its own."""

def registry() -> dict[str, list[str]]:
    """Names of everything that a definition can say: `aggregations`, `windows`, `functions`, `codecs`."""

def restore_row(
    names: list[str] | tuple[str, ...],
    types: list[str] | tuple[str, ...],
    categories: list[list[str]],
    ticks_per_second: int,
    values: list[Any],
) -> Row:
    """Builds a Row again from the plain values of `Row.__reduce__`."""
