"""Formats of messages: how the bytes of a topic become events. Frozen values; what reads them is compiled code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Final, Literal, NoReturn, Protocol, TypeAlias

from fastfeat.errors import DefinitionError, nearest, shown

__all__ = ["Avro", "Format", "Json", "format_of"]

SCHEMA_ID_MAX: Final = 2**32 - 1
_FRAMINGS: Final = ("registry", "single_object", "raw")

AvroSchema: TypeAlias = "str | Mapping[str, Any] | Sequence[Any]"
"""A schema as JSON text, or as what that text says."""


class Reader(Protocol):
    """What the compiled module makes of a format."""

    def add_avro(self, id: int, text: str, references: Sequence[str]) -> str | None:
        """Adds a schema; why it is none, where it is none."""

    def unknown(self, payloads: Sequence[Any]) -> list[int]:
        """The ids of schemas that messages are written with and that are not known."""


@dataclass(frozen=True)
class Format:
    """What all formats share."""

    name: ClassVar[str]

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


NAMED: Final[dict[str, Format]] = {"json": Json()}
KINDS: Final[tuple[type[Format], ...]] = (Json, Avro)


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
        f"format is {shown(value)};{hint} write one of {', '.join(map(repr, NAMED))}, or fastfeat.Avro(...)"
    )
