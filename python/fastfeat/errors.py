"""Everything that fastfeat raises on purpose.

    FastfeatError
    ├── DefinitionError (ValueError)   a stream or a feature cannot be what its definition says
    ├── InvalidEvent    (ValueError)   an event breaks rules of its stream
    ├── LateEvent       (ValueError)   an event is older than the lateness of its stream allows
    ├── TooOld          (ValueError)   a lookup asks for a time before which the state may have changed
    ├── MemoryLimit     (MemoryError)  an event's key is new, and the state is at the limit it was given
    ├── SpillError      (OSError)      the disk that keys are spilled to does not do what it should
    ├── CheckpointError (ValueError)   a checkpoint could not be written, or cannot be gone on from
    ├── ModelError      (ValueError)   a model cannot be read, or does not fit the features
    └── SchemaRegistryError (ConnectionError)   a schema registry cannot be asked, or answers something else
        └── SchemaNotFound  (LookupError)       it has no such schema

A refused event has changed nothing. Each class has a stable `code` for logs, metrics and dead letters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar, Literal, NamedTuple

__all__ = [
    "CheckpointError",
    "CheckpointWarning",
    "DefinitionError",
    "FastfeatError",
    "InvalidEvent",
    "LateEvent",
    "MemoryLimit",
    "ModelError",
    "Problem",
    "RefusedMessage",
    "SchemaNotFound",
    "SchemaRegistryError",
    "SpillError",
    "TooOld",
]

SHOWN_CHARS_MAX = 80


class FastfeatError(Exception):
    """The root of what fastfeat raises on purpose.

    >>> issubclass(LateEvent, FastfeatError)
    True
    """

    code: ClassVar[str] = "fastfeat"


class DefinitionError(FastfeatError, ValueError):
    """A definition that cannot be compiled: where it stands, what is wrong, the way out.

    >>> error = DefinitionError("feature `spend`", "column `amuont` is unknown; did you mean `amount`?")
    >>> print(error)
    feature `spend`: column `amuont` is unknown; did you mean `amount`?
    >>> error.place
    'feature `spend`'
    """

    code: ClassVar[str] = "definition"

    def __init__(self, place: str, message: str) -> None:
        super().__init__(place, message)
        self.place = place
        """Feature, stream, field or call in which the mistake stands."""
        self.message = message
        """The value found, the rule and the way out."""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class Problem(NamedTuple):
    """One rule that one field of an event breaks.

    >>> print(Problem("amount", "-3.0", "ge", "must be at least 0"))
    field `amount` is -3.0: must be at least 0
    """

    field: str
    """Name of the field; empty when the event as a whole is at fault."""
    value: str
    """The value found, shortened."""
    rule: str
    """Stable name of the rule, e.g. `required`, `type`, `ge`, `pattern`, `json`."""
    message: str
    """A sentence with the rule's own value and the way out."""

    def __str__(self) -> str:
        return f"field `{self.field}` is {self.value}: {self.message}" if self.field else self.message


@dataclass(frozen=True)
class RefusedMessage:
    """Why a message of a batch has no row, or its row no score.

    >>> problem = Problem("amount", "-3.0", "ge", "must be at least 0")
    >>> RefusedMessage(7, "invalid", "stream `payments`: must be at least 0", [problem]).problems[0].rule
    'ge'
    """

    index: int
    """Its row in the outcome."""
    code: str
    """`undecodable`: no event at all. `invalid`: it breaks rules. `late`, `memory`: refused for these reasons.
    `model`: its features stand, the model failed on them."""
    message: str
    """All of it in a sentence, with the way out."""
    problems: list[Problem]
    """Every broken rule, as in `InvalidEvent.problems`; empty for the other codes."""


class InvalidEvent(FastfeatError, ValueError):  # noqa: N818 - the event is refused, nothing has failed
    """An event that breaks rules of its stream; it has changed nothing.

    >>> error = InvalidEvent("payments", [("amount", "-3.0", "ge", "must be at least 0")])
    >>> error.problems[0].rule
    'ge'
    """

    code: ClassVar[str] = "invalid_event"

    def __init__(self, stream: str, problems: Iterable[tuple[str, str, str, str]]) -> None:
        self.stream = stream
        """Name of the stream."""
        self.problems = [Problem(*problem) for problem in problems]
        """Every broken rule, in the order of the fields."""
        super().__init__(stream, self.problems)

    def __str__(self) -> str:
        return f"stream `{self.stream}`: {'; '.join(map(str, self.problems))}"


class LateEvent(FastfeatError, ValueError):  # noqa: N818 - the same
    """An event that is older than the lateness of its stream allows; it has changed nothing but a counter.

    >>> error = LateEvent("payments", "2026-01-01T00:00:00Z", "2026-01-01T00:00:07Z", 7_000_000, 0, "7 s too old")
    >>> error.behind_us
    7000000
    """

    code: ClassVar[str] = "late_event"

    def __init__(self, stream: str, time: str, newest: str, behind_us: int, lateness_us: int, message: str) -> None:
        super().__init__(stream, time, newest, behind_us, lateness_us, message)
        self.stream = stream
        """Name of the stream."""
        self.time = time
        """ISO 8601 time of the event."""
        self.newest = newest
        """ISO 8601 time of the newest event of the stream."""
        self.behind_us = behind_us
        """How much older it is, in microseconds."""
        self.lateness_us = lateness_us
        """How much is allowed, in microseconds."""
        self.message = message
        """All of this in a sentence, with the way out."""

    def __str__(self) -> str:
        return self.message


class TooOld(FastfeatError, ValueError):  # noqa: N818 - the question is refused, nothing has failed
    """A lookup at a time before the watermark: what was known then may be gone already.

    >>> error = TooOld("payments", "2026-01-01T00:00:00Z", "2026-01-01T00:00:07Z", "7 s before the watermark")
    >>> error.watermark
    '2026-01-01T00:00:07Z'
    """

    code: ClassVar[str] = "too_old"

    def __init__(self, stream: str, time: str, watermark: str, message: str) -> None:
        super().__init__(stream, time, watermark, message)
        self.stream = stream
        """Name of the stream."""
        self.time = time
        """ISO 8601 time that was asked for."""
        self.watermark = watermark
        """ISO 8601 time from which on the engine can answer: the newest event minus the lateness."""
        self.message = message
        """All of this in a sentence, with the way out."""

    def __str__(self) -> str:
        return self.message


class MemoryLimit(FastfeatError, MemoryError):  # noqa: N818 - the event is refused, nothing has failed
    """An event of a key that is not there yet, while the state is at its limit; it has changed nothing but a counter.

    >>> error = MemoryLimit("payments", 1_000, 1_000, "the state is at its limit of 1000 bytes")
    >>> isinstance(error, MemoryError), error.limit_bytes
    (True, 1000)
    """

    code: ClassVar[str] = "memory_limit"

    def __init__(self, stream: str, state_bytes: int, limit_bytes: int, message: str) -> None:
        super().__init__(stream, state_bytes, limit_bytes, message)
        self.stream = stream
        """Name of the stream."""
        self.state_bytes = state_bytes
        """What the state holds."""
        self.limit_bytes = limit_bytes
        """What it may hold."""
        self.message = message
        """All of this in a sentence, with the way out."""

    def __str__(self) -> str:
        return self.message


class SpillError(FastfeatError, OSError):
    """The disk that keys are spilled to does not do what it should; the event it was met at has changed nothing.

    >>> error = SpillError("/tmp/spilled", "it takes no more: no space left on device; make room there")
    >>> print(error)
    spill folder `/tmp/spilled`: it takes no more: no space left on device; make room there
    """

    code: ClassVar[str] = "spill"

    def __init__(self, place: str, message: str) -> None:
        super().__init__(place, message)
        self.place = place
        """The folder."""
        self.message = message
        """What was found, and the way out."""

    def __str__(self) -> str:
        return f"spill folder `{self.place}`: {self.message}"


class CheckpointError(FastfeatError, ValueError):
    """A checkpoint that could not be written, or from which an engine cannot go on.

    >>> error = CheckpointError("state.ff", "damaged", "it ends in the middle of a section's header: it was cut off")
    >>> print(error)
    checkpoint `state.ff`: it ends in the middle of a section's header: it was cut off
    """

    code: ClassVar[str] = "checkpoint"

    def __init__(self, place: str, fault: Literal["damaged", "refused", "disk"], message: str) -> None:
        super().__init__(place, fault, message)
        self.place = place
        """The file or folder."""
        self.fault = fault
        """`damaged`: the bytes are not what was written. `refused`: it does not fit what was asked for.
        `disk`: the disk could not be read or written."""
        self.message = message
        """What was found, where, and the way out."""

    def __str__(self) -> str:
        return f"checkpoint `{self.place}`: {self.message}"


class CheckpointWarning(UserWarning):
    """A damaged checkpoint was passed over, and an older one used in its place."""


class ModelError(FastfeatError, ValueError):
    """A model that cannot be read, or does not fit the features.

    >>> print(ModelError("model `fraud.txt` does not exist"))
    model `fraud.txt` does not exist
    """

    code: ClassVar[str] = "model"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        """The value found, the rule and the way out."""


class SchemaRegistryError(FastfeatError, ConnectionError):
    """A schema registry that cannot be asked, or that answers something else than a schema.

    >>> print(SchemaRegistryError("https://registry", "GET schemas/ids/7 failed: timed out"))
    schema registry https://registry: GET schemas/ids/7 failed: timed out
    """

    code: ClassVar[str] = "schema_registry"

    def __init__(self, url: str, message: str, status: int | None = None) -> None:
        super().__init__(url, message)
        self.url = url
        """The registry, without user and password."""
        self.status = status
        """That of HTTP, where it is the answer that says no."""
        self.message = message
        """What was asked, what came of it, and the way out."""

    def __str__(self) -> str:
        return f"schema registry {self.url}: {self.message}"


class SchemaNotFound(SchemaRegistryError, LookupError):  # noqa: N818 - the registry has answered
    """A schema that a registry does not have.

    >>> issubclass(SchemaNotFound, LookupError)
    True
    """

    code: ClassVar[str] = "schema_not_found"


def shown(value: object) -> str:
    """A value as an error repeats it: a megabyte of text is not repeated."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}…"


def nearest(name: str, names: Iterable[str]) -> str:
    """The part of a message that helps after a misspelt name; empty when nothing is near.

    >>> nearest("amuont", ["amount", "card"])
    ' did you mean `amount`?'
    """
    lowered = {candidate.lower(): candidate for candidate in names}
    found = get_close_matches(name[:SHOWN_CHARS_MAX].lower(), lowered, n=1)
    return f" did you mean `{lowered[found[0]]}`?" if found else ""


def check_text(place: str, what: str, value: object) -> str:
    """Refuses what is not a text that UTF-8 can carry."""
    if not isinstance(value, str):
        raise DefinitionError(place, f"{what} is {shown(value)}; write a text")
    if not value:
        raise DefinitionError(place, f"{what} is empty; write at least one character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DefinitionError(place, f"{what} {shown(value)} has a lone surrogate; write valid Unicode") from None
    return str(value)
