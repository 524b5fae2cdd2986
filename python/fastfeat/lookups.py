"""Lookups: reference data by key, joined to events as they come. Definitions know names and types of the columns;
the rows are given to an engine, which can take new ones while it runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NoReturn

from fastfeat.compiler import LookupTable, read_lookup_table
from fastfeat.errors import DefinitionError, check_text, nearest, shown
from fastfeat.expressions import Expr, refuse_unfinished, row_node
from fastfeat.nodes import Column, LookupColumn, Node
from fastfeat.schema import Boolean, FieldType, Float64, Int64, String, Timestamp

__all__ = ["COLUMN_TYPES", "Joined", "Lookup"]

# What a column may be. A Timestamp's unit is the table's own affair.
COLUMN_TYPES: Final[Mapping[str, FieldType]] = {
    kind.kind: kind for kind in (Timestamp("us"), String(), Int64(), Float64(), Boolean())
}


class Lookup:
    """Reference data: a table in which a key finds one row, such as the country of a merchant.

    `table` is anything with the Arrow PyCapsule interface (pyarrow, polars, pandas, DuckDB), or the path of a Parquet
    file. Without one, `columns` says the types, and `Engine(lookups=[...])` gets the rows. Its columns are expressions:
    `merchants["country"]` looks for the stream's own column of the key's name, `merchants.on(...)` for something else.
    Two lookups are equal when their names, keys and columns are: rows are data, and may change.

    >>> merchants = Lookup("merchants", key="merchant", columns={"merchant": String(), "country": String()})
    >>> merchants["country"] == "NL"
    merchants['country'] == 'NL'
    >>> merchants.on(col("shop"))["country"]
    merchants.on(col('shop'))['country']
    """

    __slots__ = ("_columns", "_key", "_name", "_rows", "_table")
    _name: str
    _key: str
    _columns: Mapping[str, FieldType]
    _table: object
    _rows: LookupTable | None

    def __init__(
        self,
        name: str,
        table: object = None,
        *,
        key: str,
        columns: Mapping[str, FieldType | type[FieldType]] | None = None,
    ) -> None:
        place = f"lookup `{check_text('lookup', 'the name', name)}`"
        check_text(place, "key", key)
        if table is None and columns is None:
            raise DefinitionError(place, "it has neither a table nor columns; give it a table, or columns={...}")
        if isinstance(table, (str, os.PathLike)):
            table = _read_parquet(place, table)
        rows = None if table is None else read_lookup_table(place, table)
        wanted = None if columns is None else _written(place, columns)
        found = wanted or {}
        if rows is not None:
            found = _of_table(place, rows, key, wanted)
        if key not in found:
            known = nearest(key, found) or f" it has {', '.join(found)}"
            raise DefinitionError(place, f"key `{key}` is not one of its columns;{known}")
        if rows is not None:
            rows.check(name, key, [(column, kind.kind) for column, kind in found.items()])
        values = {"_name": name, "_key": key, "_columns": MappingProxyType(found), "_table": table, "_rows": rows}
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    @property
    def name(self) -> str:
        """Name of the lookup."""
        return self._name

    @property
    def key(self) -> str:
        """Name of the column that finds a row."""
        return self._key

    @property
    def columns(self) -> Mapping[str, FieldType]:
        """Type of each column, the key's too."""
        return self._columns

    @property
    def rows(self) -> LookupTable | None:
        """The rows, if it has any: what an engine takes."""
        return self._rows

    def __getitem__(self, column: str) -> Expr:
        return Joined(self, Column(self._key))[column]

    def on(self, key: Expr) -> Joined:
        """The same rows, found by something else than the column of the key's name.

        >>> shops = Lookup("shops", key="id", columns={"id": Int64(), "risk": Float64()})
        >>> shops.on(col("shop"))["risk"].mean().over("card", "24h")
        shops.on(col('shop'))['risk'].mean().over('card', '24h')
        """
        place = f"lookup `{self._name}`"
        refuse_unfinished(place, key)
        if not isinstance(key, Expr):
            hint = f"write on(col({key!r}))" if isinstance(key, str) else "write on(col('shop'))"
            raise DefinitionError(place, f"{shown(key)} is not an expression; {hint}")
        return Joined(self, row_node(place, key._node))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Lookup) and self._identity() == other._identity())

    def __hash__(self) -> int:
        return hash((self._name, self._key, tuple(self._columns)))

    def _identity(self) -> tuple[object, ...]:
        return (self._name, self._key, list(self._columns.items()))

    def __repr__(self) -> str:
        columns = ", ".join(f"{name!r}: {kind!r}" for name, kind in self._columns.items())
        return f"Lookup({self._name!r}, key={self._key!r}, columns={{{columns}}})"

    def __contains__(self, column: object) -> bool:
        return column in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Lookup is a value and does not change: make another one with its own {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Lookup is a value and does not change: it keeps its {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self._name, self._table, self._key, dict(self._columns)))


@dataclass(frozen=True)
class Joined:
    """A lookup and what finds its rows; its columns are expressions."""

    lookup: Lookup
    _key: Node

    def __getitem__(self, column: str) -> Expr:
        place = f"lookup `{self.lookup.name}`"
        check_text(place, "a column", column)
        if column not in self.lookup.columns:
            known = nearest(column, self.lookup.columns) or f" it has {', '.join(self.lookup.columns)}"
            raise DefinitionError(place, f"it has no column `{column}`;{known}")
        return Expr(LookupColumn(self.lookup, self._key, column))


def _read_parquet(place: str, path: str | os.PathLike[str]) -> object:
    try:
        from pyarrow import parquet  # type: ignore[import-untyped]
    except ImportError:
        raise ImportError('a Lookup of a Parquet file needs pyarrow: pip install "fastfeat[arrow]"') from None
    try:
        table: object = parquet.read_table(path)
    except FileNotFoundError:
        raise DefinitionError(
            place, f"file `{os.fspath(path)}` does not exist; write the path of a Parquet file"
        ) from None
    except (OSError, ValueError) as error:
        raise DefinitionError(place, f"file `{os.fspath(path)}` is no Parquet file: {error}") from error
    return table


def _written(place: str, columns: object) -> dict[str, FieldType]:
    if not isinstance(columns, Mapping) or not columns:
        raise DefinitionError(place, f"columns is {shown(columns)}; write {{'merchant': ff.String(), ...}}")
    return {check_text(place, "the name of a column", name): _plain(place, name, columns[name]) for name in columns}


def _plain(place: str, name: str, kind: object) -> FieldType:
    """The type without rules: nothing checks reference data."""
    known = COLUMN_TYPES.get(getattr(kind, "kind", ""))
    if known is None:
        raise DefinitionError(place, f"column `{name}` is {shown(kind)}; write {_types()}")
    if isinstance(kind, FieldType) and kind != known and not isinstance(kind, Timestamp):
        raise DefinitionError(
            place, f"column `{name}` is {kind!r}, and a lookup's columns have no rules; write {known!r}"
        )
    return known


def _of_table(place: str, rows: LookupTable, key: str, wanted: Mapping[str, FieldType] | None) -> dict[str, FieldType]:
    """The columns of a table, or those of them that are wanted."""
    found: dict[str, FieldType] = {}
    for name, kind, arrow in rows.columns:
        if wanted is not None and name not in wanted:
            continue
        if kind is None and wanted is None and name != key:
            continue  # a column that nothing can read is as good as not there
        if kind is None or (wanted is not None and COLUMN_TYPES[kind] != wanted[name]):
            expected = _types() if wanted is None else repr(wanted[name])
            raise DefinitionError(place, f"column `{name}` is {arrow} in the table; cast it to {expected}")
        found[name] = COLUMN_TYPES[kind]
    for name in wanted or {}:
        if name not in found:
            hint = nearest(name, [each for each, _, _ in rows.columns])
            raise DefinitionError(place, f"the table has no column `{name}`;{hint or ' leave it out of columns'}")
    return found if wanted is None else {name: found[name] for name in wanted}


def _types() -> str:
    return ", ".join(map(repr, COLUMN_TYPES.values()))


def _restore(name: str, table: object, key: str, columns: dict[str, FieldType]) -> Lookup:
    return Lookup(name, table, key=key, columns=columns)
