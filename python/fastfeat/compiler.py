"""The one door from definitions to the compiled module: JSON in, what the plan says of itself out."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from fastfeat import _core
from fastfeat._core import Engine, LookupTable
from fastfeat.errors import DefinitionError, shown
from fastfeat.places import checkpoint_path

__all__ = ["Compiled", "LookupTable", "compile_definition", "read_lookup_table"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the compiler says of a definition that it accepts."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    """E.g. `float64`, `list(string)`."""
    fingerprint: str
    description: str
    _plan: _core.Plan

    @property
    def tables(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Names of the tables of its state, each with the parts of its key."""
        return tuple((name, tuple(key)) for name, key in self._plan.tables)

    def estimate(
        self,
        expected: list[tuple[int, float]],
        *,
        days: float,
        key_bytes: int,
        texts: int,
        text_bytes: int,
        idle_after_ns: int | None,
    ) -> tuple[list[tuple[int, int]], int]:
        """Keys with state and their bytes, by table, and the bytes of texts; `expected` is keys and events a day."""
        return self._plan.estimate(
            expected,
            days=days,
            key_bytes=key_bytes,
            texts=texts,
            text_bytes=text_bytes,
            idle_after_ns=idle_after_ns,
        )

    def change(
        self, new: Compiled, engine: Engine | None, checkpoint: str | os.PathLike[str] | None
    ) -> tuple[str, dict[int, int] | None]:
        """What a change is, as JSON; and bytes by table before it, where an engine or a checkpoint says them."""
        if engine is not None:
            told, tables = engine._change_to(new._plan)
            return told, {place: size for place, (size, _) in enumerate(tables)}
        if checkpoint is None:
            return self._plan.change(new._plan), None
        path = checkpoint_path(checkpoint)
        told = _core.checkpoint_change(path, [], self._plan, new._plan)
        chains = json.loads(_core.inspect_checkpoint(path, [], []))["chains"]
        return told, {place: table["bytes"] for place, table in enumerate(chains[0][0]["tables"])}


def compile_definition(definition: str) -> Compiled:
    """Checks a definition, as JSON; raises `DefinitionError` where it cannot work."""
    plan = _core.Plan(definition)
    types = tuple(name.lower() for name in plan.types)
    return Compiled(tuple(plan.names), types, plan.fingerprint, plan.describe(), plan)


def read_lookup_table(place: str, table: object) -> LookupTable:
    """The rows of a lookup from anything with the Arrow PyCapsule interface."""
    try:
        return LookupTable(table)
    except TypeError as error:
        raise DefinitionError(
            place,
            f"its table is {shown(table)}; give it anything with the Arrow PyCapsule interface, such as a pyarrow or "
            "polars table, or the path of a Parquet file",
        ) from error
