"""Rows in Avro: the schema that `outcome.encode(AvroOutput(...))` writes by, and what stands before each record."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final, Literal, Protocol

from fastfeat.errors import DefinitionError, nearest, shown
from fastfeat.features import FeatureSet
from fastfeat.schema import Timestamp

__all__ = ["AvroOutput", "avro_schema"]

SCHEMA_ID_MAX: Final = 2**32 - 1
_FRAMINGS: Final = ("registry", "raw")
RECORD: Final = "fastfeat.Row"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPES: Final[dict[str, Any]] = {
    "float64": "double",
    "int64": "long",
    "boolean": "boolean",
    "string": "string",
    "categorical": "string",
}


class Registry(Protocol):
    """What gives schemas their ids: a `SchemaRegistry`, or anything that answers so."""

    def register(self, subject: str, schema: Mapping[str, Any]) -> int:
        """Registers a schema under a subject; its id, also where it was there before."""

    def incompatible(self, subject: str, schema: Mapping[str, Any]) -> str | None:
        """Why the subject would not take the schema; None where it would. Changes nothing."""


@dataclass(frozen=True)
class AvroOutput:
    """Rows as Avro records of `avro_schema(features)`, each behind the id that a schema registry gave that schema.

    As the format of a sink it may have the registry in place of the id: `AvroOutput(registry=registry)`, with a
    `SchemaRegistry`. The worker then registers the schema when it starts, under `subject` (by default the topic's name
    and `-value`). `record` is the full name of the record. `framing="raw"` writes the record alone.

    >>> AvroOutput(7).prefix
    b'\\x00\\x00\\x00\\x00\\x07'
    """

    schema_id: int | None = None
    _: KW_ONLY
    framing: Literal["registry", "raw"] = "registry"
    registry: Registry | None = None
    subject: str | None = None
    record: str = RECORD

    def __post_init__(self) -> None:
        """Refuses what cannot be written."""
        if self.framing not in _FRAMINGS:
            hint = nearest(self.framing, _FRAMINGS) if isinstance(self.framing, str) else ""
            raise DefinitionError("AvroOutput", f"framing is {shown(self.framing)};{hint} write 'registry' or 'raw'")
        id = self.schema_id
        if self.registry is None and self.subject is not None:
            raise DefinitionError("AvroOutput", f"subject={shown(self.subject)} is that of a registry; give one")
        if self.registry is not None:
            self._check_registry()
            return
        if self.framing == "raw" and id is not None:
            raise DefinitionError("AvroOutput", 'framing="raw" has no place for a schema id; leave one of them out')
        whole = isinstance(id, int) and not isinstance(id, bool)
        if self.framing == "registry" and not (whole and id is not None and 0 <= id <= SCHEMA_ID_MAX):
            raise DefinitionError(
                "AvroOutput",
                f"schema_id is {shown(id)}; register avro_schema(features) and give its id, or write framing='raw'",
            )

    def _check_registry(self) -> None:
        if self.framing == "raw" or self.schema_id is not None:
            raise DefinitionError("AvroOutput", "a registry gives the id; leave schema_id out, and framing='raw'")
        if not hasattr(self.registry, "register"):
            raise DefinitionError("AvroOutput", f"registry is {shown(self.registry)}; give an ff.SchemaRegistry(url)")

    @property
    def prefix(self) -> bytes:
        """What stands before each record."""
        if self.registry is not None:
            raise DefinitionError("AvroOutput", "the schema has no id yet; ask with registered(topic, features)")
        return b"" if self.schema_id is None else struct.pack(">bI", 0, self.schema_id)

    def registered(self, topic: str, features: FeatureSet) -> AvroOutput:
        """The same with the id that the registry gives the schema of these rows; itself where there is no registry."""
        if self.registry is None:
            return self
        schema_id = self.registry.register(self._subject(topic), avro_schema(features, name=self.record))
        return AvroOutput(schema_id, record=self.record)

    def incompatible(self, topic: str, features: FeatureSet) -> str | None:
        """Why the registry would refuse the schema of these rows; None where it would not. Registers nothing."""
        schema = avro_schema(features, name=self.record)
        return None if self.registry is None else self.registry.incompatible(self._subject(topic), schema)

    def _subject(self, topic: str) -> str:
        return self.subject or f"{topic}-value"


def avro_schema(features: FeatureSet, *, name: str = RECORD) -> dict[str, Any]:
    """The Avro schema of rows of these features: what a registry is given, and readers read by.

    A feature whose name Avro does not take has its other characters as underscores. What a message does not have is
    null, or an empty list of reasons. Features of an engine that is scored by a model of several classes have a list.

    >>> taps = ff.Stream("taps", {"ts": ff.Timestamp("s"), "user": ff.String()}, time="ts")
    >>> schema = avro_schema(taps.features(n=ff.count().over("user", "1h")))
    >>> [field["name"] for field in schema["fields"]]
    ['id', 'features', 'score', 'reasons', 'model', 'definition']
    >>> schema["fields"][1]["type"]["fields"]
    [{'name': 'n', 'type': ['null', 'long'], 'default': None}]
    """
    if not all(_NAME.fullmatch(part) for part in name.split(".")):
        raise DefinitionError("avro_schema", f"name is {shown(name)}; write one such as 'shop.Row'")
    stamps = (kind for stream in features.streams for kind in stream.fields.values() if isinstance(kind, Timestamp))
    unit = "nanos" if any(kind.unit == "ns" for kind in stamps) else "micros"
    instant = {"type": "long", "logicalType": f"timestamp-{unit}"}
    fields: dict[str, dict[str, Any]] = {}
    for feature, kind in zip(features.names, features.types, strict=True):
        short = _avro_name(feature)
        if short in fields:
            raise DefinitionError(
                "avro_schema", f"two features are called `{short}` in Avro, one of them {feature!r}; rename one"
            )
        inner = kind.removeprefix("list(").removesuffix(")") if kind.startswith("list(") else kind
        of = instant if inner == "timestamp" else _TYPES[inner]
        type_ = {"type": "array", "items": of} if inner != kind else of
        doc = {} if short == feature else {"doc": feature}
        fields[short] = {"name": short, "type": ["null", type_], "default": None, **doc}
    reason = {
        "type": "record",
        "name": f"{name}Reason",
        "fields": [
            {"name": "feature", "type": "string"},
            {"name": "value", "type": ["null", "double", "long", "boolean", "string"], "default": None},
            {"name": "contribution", "type": "double"},
        ],
    }
    return {
        "type": "record",
        "name": name,
        "fields": [
            {"name": "id", "type": ["null", "string"], "default": None},
            {
                "name": "features",
                "type": {"type": "record", "name": f"{name}Features", "fields": list(fields.values())},
            },
            {"name": "score", "type": ["null", "double", {"type": "array", "items": "double"}], "default": None},
            {"name": "reasons", "type": {"type": "array", "items": reason}, "default": []},
            {"name": "model", "type": ["null", "string"], "default": None},
            {"name": "definition", "type": ["null", "string"], "default": None},
        ],
    }


def _avro_name(feature: str) -> str:
    short = re.sub(r"[^A-Za-z0-9_]", "_", feature)
    return f"_{short}" if short[0].isdigit() else short
