"""Rows in Avro: the schema that `outcome.encode(AvroOutput(...))` writes by, and what stands before each record."""

from __future__ import annotations

import re
import struct
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final, Literal

from fastfeat.errors import DefinitionError, nearest, shown
from fastfeat.features import FeatureSet
from fastfeat.schema import Timestamp

__all__ = ["AvroOutput", "avro_schema"]

SCHEMA_ID_MAX: Final = 2**32 - 1
_FRAMINGS: Final = ("registry", "raw")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPES: Final[dict[str, Any]] = {
    "float64": "double",
    "int64": "long",
    "boolean": "boolean",
    "string": "string",
    "categorical": "string",
}


@dataclass(frozen=True)
class AvroOutput:
    """Rows as Avro records of `avro_schema(features)`, each behind the id that a schema registry gave that schema.

    `framing="raw"` writes the record alone.

    >>> AvroOutput(7).prefix
    b'\\x00\\x00\\x00\\x00\\x07'
    """

    schema_id: int | None = None
    _: KW_ONLY
    framing: Literal["registry", "raw"] = "registry"

    def __post_init__(self) -> None:
        """Refuses what cannot be written."""
        if self.framing not in _FRAMINGS:
            hint = nearest(self.framing, _FRAMINGS) if isinstance(self.framing, str) else ""
            raise DefinitionError("AvroOutput", f"framing is {shown(self.framing)};{hint} write 'registry' or 'raw'")
        id = self.schema_id
        if self.framing == "raw" and id is not None:
            raise DefinitionError("AvroOutput", 'framing="raw" has no place for a schema id; leave one of them out')
        whole = isinstance(id, int) and not isinstance(id, bool)
        if self.framing == "registry" and not (whole and id is not None and 0 <= id <= SCHEMA_ID_MAX):
            raise DefinitionError(
                "AvroOutput",
                f"schema_id is {shown(id)}; register avro_schema(features) and give its id, or write framing='raw'",
            )

    @property
    def prefix(self) -> bytes:
        """What stands before each record."""
        return b"" if self.schema_id is None else struct.pack(">bI", 0, self.schema_id)


def avro_schema(features: FeatureSet, *, name: str = "fastfeat.Row") -> dict[str, Any]:
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
