"""Formats of messages: how the bytes of a topic become events. Frozen values; what reads them is compiled code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Final, Literal, NoReturn, Protocol, TypeAlias

from fastfeat.errors import DefinitionError, nearest, shown

__all__ = ["ArrowIpc", "Avro", "Format", "Json", "Protobuf", "format_of"]

SCHEMA_ID_MAX: Final = 2**32 - 1
_FRAMINGS: Final = ("registry", "single_object", "raw")

AvroSchema: TypeAlias = "str | Mapping[str, Any] | Sequence[Any]"
"""A schema as JSON text, or as what that text says."""


class Reader(Protocol):
    """What the compiled module makes of a format."""

    def add_avro(self, id: int, text: str, references: Sequence[str]) -> str | None:
        """Adds a schema; why it is none, where it is none."""

    def add_protobuf(self, id: int | None, descriptors: bytes) -> str | None:
        """Adds the types of messages of an id, or of all ids; why they are none, where they are none."""

    def unknown(self, payloads: Sequence[Any]) -> list[int]:
        """The ids of schemas that messages are written with and that are not known."""


@dataclass(frozen=True)
class Format:
    """What all formats share."""

    name: ClassVar[str]

    @property
    def only(self) -> str | None:
        """The only type of messages that is read, where there is one."""
        return None

    def framed(self) -> str:
        """What stands before an event in a message."""
        return "raw"

    def prepare(self, reader: Reader) -> None:
        """Gives a new reader the schemas that are known."""

    def ask(self, reader: Reader, payloads: Sequence[Any]) -> None:
        """Asks for schemas that messages are written with, before the first of them is taken."""

    def _refuse(self, message: str) -> NoReturn:
        raise DefinitionError(type(self).__name__, message)


@dataclass(frozen=True)
class Json(Format):
    """One JSON object a message, UTF-8.

    >>> Json()
    Json()
    """

    name: ClassVar[str] = "json"


@dataclass(frozen=True, init=False)
class Avro(Format):
    """One Avro record a message; its fields are found by name.

    `framing="registry"`: each message names its schema by the id of a schema registry. `schemas` are those by id;
    ids that it does not have are asked of `registry`, a function from an id to a schema (or a list: the schema, then
    those it refers to) that raises LookupError for an id that there is not. `"single_object"`: each has the
    fingerprint of one of the `schemas`, a list. `"raw"`: all are of the one schema in `schemas`.

    >>> Avro({7: {"type": "record", "name": "tap", "fields": [{"name": "user", "type": "string"}]}}).framing
    'registry'
    """

    name: ClassVar[str] = "avro"
    schemas: tuple[tuple[int, str], ...]
    """Schemas by id, as texts; single objects and raw messages count them from 0."""
    _: KW_ONLY
    registry: Callable[[int], str | Sequence[str]] | None
    framing: Literal["registry", "single_object", "raw"]

    def __init__(
        self,
        schemas: Mapping[int, AvroSchema] | Sequence[AvroSchema] | str | None = None,
        *,
        registry: Callable[[int], str | Sequence[str]] | None = None,
        framing: Literal["registry", "single_object", "raw"] = "registry",
    ) -> None:
        _check_framing(self, framing, _FRAMINGS)
        if registry is not None and framing != "registry":
            self._refuse(f"a registry is asked by id, and messages with framing={framing!r} have none; give `schemas`")
        object.__setattr__(self, "schemas", self._listed(schemas, framing))
        object.__setattr__(self, "registry", _checked_registry(self, registry))
        object.__setattr__(self, "framing", framing)
        if not self.schemas and registry is None:
            self._refuse("there is no schema; give `schemas`, or a `registry` to ask for them")

    def _listed(self, schemas: Any, framing: str) -> tuple[tuple[int, str], ...]:
        if schemas is None:
            return ()
        if framing == "registry":
            if not isinstance(schemas, Mapping) or "type" in schemas:
                self._refuse(f"schemas are by id, such as {{7: schema}}, and these are {shown(schemas)}")
            return tuple((_schema_id(self, id), self._text(schema)) for id, schema in schemas.items())
        many = framing == "single_object" and isinstance(schemas, (list, tuple))
        return tuple((number, self._text(schema)) for number, schema in enumerate(schemas if many else [schemas]))

    def _text(self, schema: object) -> str:
        if isinstance(schema, str):
            return schema
        if not isinstance(schema, (Mapping, list, tuple)):
            self._refuse(f"a schema is {shown(schema)}; write it as JSON text, or as the dict that it says")
        try:
            return json.dumps(schema)
        except (TypeError, ValueError) as error:
            self._refuse(f"the schema {shown(schema)} is not JSON: {error}")

    def framed(self) -> str:
        """What stands before an event in a message."""
        return self.framing

    def prepare(self, reader: Reader) -> None:
        """Gives a new reader the schemas that are known."""
        for id, text in self.schemas:
            refusal = reader.add_avro(id, text, [])
            if refusal is not None:
                self._refuse(f"schema {id}: {refusal}")

    def ask(self, reader: Reader, payloads: Sequence[Any]) -> None:
        """Asks the registry for schemas that messages are written with, before the first of them is taken."""
        if self.registry is None:
            return
        for id in reader.unknown(payloads):
            try:
                answer = self.registry(id)
            except LookupError:
                continue
            text, *references = [answer] if isinstance(answer, str) else answer
            # A registry may hold anything: what is no schema is told of each message that names it.
            reader.add_avro(id, text, references)


@dataclass(frozen=True, init=False)
class Protobuf(Format):
    """One Protobuf message of a known type a message; its fields are found by name.

    `descriptors` are bytes of a `FileDescriptorSet` (`protoc --include_imports --descriptor_set_out`), or such bytes
    by schema id, where each message names its schema by the id of a schema registry (`framing="registry"`) and its
    type by its place in the last file of the set. Ids that they do not have are asked of `registry`, a function from
    an id to such bytes that raises LookupError for an id that there is not. `message` is the full name of the only
    type that is read; with `framing="raw"`, where messages do not name theirs, it has to be there.

    >>> Protobuf(b"", message="shop.Payment", framing="raw").message
    'shop.Payment'
    """

    name: ClassVar[str] = "protobuf"
    descriptors: tuple[tuple[int | None, bytes], ...]
    """By schema id; None stands for all."""
    _: KW_ONLY
    message: str | None
    registry: Callable[[int], bytes] | None
    framing: Literal["registry", "raw"]

    def __init__(
        self,
        descriptors: bytes | Mapping[int, bytes] | None = None,
        *,
        message: str | None = None,
        registry: Callable[[int], bytes] | None = None,
        framing: Literal["registry", "raw"] = "registry",
    ) -> None:
        _check_framing(self, framing, ("registry", "raw"))
        if framing == "raw" and (message is None or not isinstance(descriptors, bytes)):
            self._refuse(
                'messages with framing="raw" do not name their type; give its descriptors in bytes and `message`'
            )
        if message is not None and not isinstance(message, str):
            self._refuse(f"message is {shown(message)}; write the full name of a type, such as 'shop.Payment'")
        if registry is not None and isinstance(descriptors, bytes):
            self._refuse("these descriptors are for every id, so that a registry is never asked; leave one of them out")
        object.__setattr__(self, "descriptors", self._listed(descriptors))
        object.__setattr__(self, "message", message)
        object.__setattr__(self, "registry", _checked_registry(self, registry))
        object.__setattr__(self, "framing", framing)
        if not self.descriptors and registry is None:
            self._refuse("there are no descriptors; give `descriptors`, or a `registry` to ask for them")

    def _listed(self, descriptors: Any) -> tuple[tuple[int | None, bytes], ...]:
        if isinstance(descriptors, bytes):
            return ((None, descriptors),)
        if descriptors is not None and not isinstance(descriptors, Mapping):
            self._refuse(f"descriptors are {shown(descriptors)}; give bytes, or bytes by schema id")
        listed = tuple((_schema_id(self, id), given) for id, given in (descriptors or {}).items())
        for id, given in listed:
            if not isinstance(given, bytes):
                self._refuse(f"the descriptors of {id} are {shown(given)}; give the bytes of a FileDescriptorSet")
        return listed

    @property
    def only(self) -> str | None:
        """The only type of messages that is read, where there is one."""
        return self.message

    def framed(self) -> str:
        """What stands before an event in a message."""
        return self.framing

    def prepare(self, reader: Reader) -> None:
        """Gives a new reader the descriptors that are known."""
        for id, given in self.descriptors:
            refusal = reader.add_protobuf(id, given)
            if refusal is not None:
                self._refuse(refusal if id is None else f"schema {id}: {refusal}")

    def ask(self, reader: Reader, payloads: Sequence[Any]) -> None:
        """Asks the registry for schemas that messages are written with, before the first of them is taken."""
        if self.registry is None:
            return
        for id in reader.unknown(payloads):
            try:
                given = self.registry(id)
            except LookupError:
                continue
            # A registry may hold anything: what are no descriptors is told of each message that names them.
            reader.add_protobuf(id, given)


@dataclass(frozen=True)
class ArrowIpc(Format):
    """A stream of Arrow record batches a message, each row an event.

    >>> ArrowIpc()
    ArrowIpc()
    """

    name: ClassVar[str] = "arrow_ipc"


def _check_framing(format: Format, framing: object, known: Sequence[str]) -> None:
    if framing not in known:
        hint = nearest(framing, known) if isinstance(framing, str) else ""
        format._refuse(f"framing is {shown(framing)};{hint} write one of {', '.join(map(repr, known))}")


def _checked_registry(format: Format, registry: Any) -> Any:
    if registry is not None and not callable(registry):
        format._refuse(f"registry is {shown(registry)}; give a function from a schema id to a schema")
    return registry


def _schema_id(format: Format, id: object) -> int:
    if isinstance(id, bool) or not isinstance(id, int) or not 0 <= id <= SCHEMA_ID_MAX:
        format._refuse(f"a schema id is {shown(id)}; write a whole number from 0 to {SCHEMA_ID_MAX}")
    return id


NAMED: Final[dict[str, Format]] = {"json": Json(), "arrow_ipc": ArrowIpc()}
KINDS: Final[tuple[type[Format], ...]] = (Json, Avro, Protobuf, ArrowIpc)


def format_of(value: object) -> Format:
    """A format from its name or itself.

    >>> format_of("json")
    Json()
    """
    if isinstance(value, Format):
        return value
    names = [kind.name for kind in KINDS]
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]
    if isinstance(value, str) and value in names:
        kind = KINDS[names.index(value)].__name__
        raise ValueError(f"format {value!r} needs schemas: write format=fastfeat.{kind}(...)")
    hint = nearest(value, names) if isinstance(value, str) else ""
    raise ValueError(
        f"format is {shown(value)};{hint} write one of {', '.join(map(repr, NAMED))}, fastfeat.Avro(...) or "
        "fastfeat.Protobuf(...)"
    )
