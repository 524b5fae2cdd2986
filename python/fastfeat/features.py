"""Feature sets: the features of a stream, compiled once and frozen. `Stream.features` makes them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Any, Final, Literal

from fastfeat.changes import DefinitionChange, read_change
from fastfeat.compiler import Compiled, compile_definition
from fastfeat.definition import Definition, Feature, decode, encode
from fastfeat.errors import DefinitionError, check_text, shown
from fastfeat.estimates import Estimate, estimate
from fastfeat.expressions import Expr, refuse_unfinished
from fastfeat.lookups import Lookup
from fastfeat.naming import named
from fastfeat.nodes import Aggregate, walk
from fastfeat.printing import keywords, show
from fastfeat.schema import Timestamp
from fastfeat.scoping import foreign_streams, lookups, resolve
from fastfeat.streams import Stream

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped]

    from fastfeat.engine import Engine

__all__ = ["FEATURES_MAX", "FeatureSet", "build"]

FEATURES_MAX: Final = 10_000
_LINES_SHOWN_MAX: Final = 100


@dataclass(frozen=True, repr=False)
class FeatureSet:
    """What every event of a stream makes a row of: a plain value that compares, hashes, prints, pickles, goes to JSON.

    >>> payments = ff.Stream(
    ...     "payments", {"ts": ff.Timestamp("us"), "card": ff.String(), "amount": ff.Float64()}, time="ts"
    ... )
    >>> features = payments.features(spend=ff.col("amount").sum().over("card", "1h", "24h"))
    >>> features.names
    ('spend_1h', 'spend_24h')
    >>> FeatureSet.from_json(features.to_json()) == features
    True
    """

    stream: Stream
    """The stream whose events make the rows."""
    streams: tuple[Stream, ...]
    """That stream first, then the others that the features read."""
    lookups: tuple[Lookup, ...]
    """The reference data that the features read."""
    _features: tuple[Feature, ...]
    _compiled: Compiled = field(compare=False)

    @classmethod
    def from_json(cls, text: str) -> FeatureSet:
        """The features that `to_json` wrote; what cannot be compiled is refused with `DefinitionError`.

        JSON has no rows of lookups: give them with `Engine(features, lookups=[...])`.
        """
        if not isinstance(text, str):
            raise DefinitionError("definition", f"{shown(text)} is not a text; write what to_json returned")
        compiled = compile_definition(text)
        return cls(*decode(text), compiled)

    def to_json(self) -> str:
        """The definition as JSON: equal features are equal texts."""
        return encode(self.stream, self.streams, self.lookups, self._features)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the row."""
        return self._compiled.names

    @property
    def types(self) -> tuple[str, ...]:
        """Types of the features, in the order of the row, e.g. `float64`, `list(string)`."""
        return self._compiled.types

    @property
    def fingerprint(self) -> str:
        """Hash of the definition and of the version of its meaning, 64 hex digits."""
        return self._compiled.fingerprint

    @property
    def schema(self) -> pyarrow.Schema:
        """Names and types of the features as Arrow has them. Needs pyarrow."""
        try:
            import pyarrow
        except ImportError:
            raise ImportError('FeatureSet.schema needs pyarrow: pip install "fastfeat[arrow]"') from None
        stamps = (kind for stream in self.streams for kind in stream.fields.values() if isinstance(kind, Timestamp))
        tick = "ns" if any(kind.unit == "ns" for kind in stamps) else "us"
        types: dict[str, Any] = {
            "float64": pyarrow.float64(),
            "int64": pyarrow.int64(),
            "boolean": pyarrow.bool_(),
            "string": pyarrow.string(),
            "categorical": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
            "timestamp": pyarrow.timestamp(tick, tz="UTC"),
        }
        types |= {f"list({kind})": pyarrow.list_(of) for kind, of in types.items()}
        return pyarrow.schema(
            [(each, types[kind]) for each, kind in zip(self.names, self._compiled.types, strict=True)]
        )

    def written(self, name: str) -> tuple[str, tuple[str, ...]]:
        """A feature as it is written, and its aggregations, each once.

        >>> payments = ff.Stream("payments", {"ts": ff.Timestamp("us"), "amount": ff.Float64()}, time="ts")
        >>> payments.features(x=ff.col("amount") / ff.col("amount").mean().over("1h")).written("x")
        ("col('amount') / col('amount').mean().over('1h')", ("col('amount').mean().over('1h')",))
        """
        node = next(each.node for each in self._features if each.name == name)
        aggregates = dict.fromkeys(each for each in walk(node) if isinstance(each, Aggregate))
        return show(node), tuple(map(show, aggregates))

    def describe(self) -> str:
        """The plan as a text for people: which state is kept, and for which feature."""
        return self._compiled.description

    def estimate(
        self,
        *,
        keys: int | Mapping[str, int],
        events_per_key_per_day: float | Mapping[str, float],
        days: float = 90.0,
        key_bytes: int = 16,
        texts: int = 1_000,
        text_bytes: int = 16,
        idle_after: str | timedelta | None = None,
    ) -> Estimate:
        """What the state will take: bytes in all, per key, and by table. Nothing is deployed for it; it takes a moment.

        `keys` and `events_per_key_per_day` are one number for all keys, or one for each, such as
        `{"card": 1_000_000, "merchant": 20_000}` (of several columns `"card, merchant"`). Events come at times of
        chance, have no nulls, and meet half of the conditions; `days` is how long they have been coming. A text of a
        key has `key_bytes`; the text columns that events are remembered by have `texts` different values of
        `text_bytes`. `idle_after` is that of the engine.

        >>> payments = ff.Stream(
        ...     "payments", {"ts": ff.Timestamp("us"), "card": ff.String(), "amount": ff.Float64()}, time="ts"
        ... )
        >>> features = payments.features(spend=ff.col("amount").sum().over("card", "24h"))
        >>> size = features.estimate(keys=1_000_000, events_per_key_per_day=3)
        >>> 50e6 < size.bytes < 300e6
        True
        """
        return estimate(
            self._compiled,
            keys=keys,
            events_per_key_per_day=events_per_key_per_day,
            days=days,
            key_bytes=key_bytes,
            texts=texts,
            text_bytes=text_bytes,
            idle_after=idle_after,
        )

    def plan(
        self,
        new: FeatureSet,
        *,
        engine: Engine | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        **expected: Any,
    ) -> DefinitionChange:
        """What a change from these features to others keeps, begins anew and drops, before it is done.

        Bytes are measured where an `engine` of these features, or a `checkpoint` of them, is given; else they are
        estimated, where it is told what to expect: what `estimate` takes. Nothing is changed.

        >>> payments = ff.Stream(
        ...     "payments", {"ts": ff.Timestamp("us"), "card": ff.String(), "amount": ff.Float64()}, time="ts"
        ... )
        >>> amount = ff.col("amount")
        >>> old = payments.features(spend=amount.sum().over("card", "24h"), most=amount.max().over("card", "1h"))
        >>> new = payments.features(spend=amount.sum().over("card", "24h"), most=amount.max().over("card", "2h"))
        >>> change = old.plan(new, keys=100_000, events_per_key_per_day=4)
        >>> change.kept, change.changed, change.features[1].at_once, change.bytes_kept > 5e6
        (('spend',), ('most',), True, True)
        """
        if not isinstance(new, FeatureSet):
            raise DefinitionError("plan", f"{shown(new)} is no FeatureSet; write stream.features(...)")
        if engine is not None and checkpoint is not None:
            raise DefinitionError("plan", "bytes are of an engine or of a checkpoint; give one of them")
        if engine is not None and engine.names != self.names:
            raise DefinitionError("plan", "the engine has other features; plan from engine.features")
        told, before = self._compiled.change(new._compiled, engine, checkpoint)
        measured: Literal["engine", "checkpoint", "estimate"] | None = None
        if before is not None:
            measured = "checkpoint" if engine is None else "engine"
        begun = None
        if expected:
            if before is None:
                sizes = self.estimate(**expected).tables
                measured, before = "estimate", {place: table.bytes for place, table in enumerate(sizes)}
            begun = new._begun(told, expected)
        return read_change(told, before, begun, measured)

    def _begun(self, told: str, expected: dict[str, Any]) -> dict[str, int]:
        """Bytes of the tables that begin with a change, by name, once their windows have filled."""
        names = {each["name"] for each in json.loads(told)["features"] if not each["at_once"]}
        features = tuple(each for each in self._features if each.name in names)
        if not features:
            return {}
        compiled = compile_definition(encode(self.stream, self.streams, self.lookups, features))
        known = {", ".join(key) for _, key in compiled.tables} | {name for name, _ in compiled.tables}
        told_of: dict[str, Any] = {
            what: {name: number for name, number in given.items() if name in known}
            if isinstance(given, Mapping)
            else given
            for what, given in expected.items()
        }
        sizes = FeatureSet(self.stream, self.streams, self.lookups, features, compiled).estimate(**told_of).tables
        return {table.name: table.bytes for table in sizes}

    def __len__(self) -> int:
        return len(self._features)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __repr__(self) -> str:
        texts = [(each.name, show(each.node)) for each in self._features]
        lines = keywords(texts[:_LINES_SHOWN_MAX])
        hidden = [f"# and {len(texts) - _LINES_SHOWN_MAX} more"] if len(texts) > _LINES_SHOWN_MAX else []
        return "\n    ".join([f"{self.stream.name}.features(", *(f"{line}," for line in lines), *hidden]) + "\n)"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(each.name)}</td><td>{kind}</td><td><code>{escape(show(each.node))}</code></td></tr>"
            for each, kind in list(zip(self._features, self._compiled.types, strict=True))[:_LINES_SHOWN_MAX]
        )
        title = f"{len(self)} features of {escape(self.stream.name)}"
        return (
            f"<table><caption>{title}</caption><thead><tr><th>feature</th><th>type</th><th>definition</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self.to_json(), self.lookups))


def _restore(text: str, lookups: tuple[Lookup, ...]) -> FeatureSet:
    """As `from_json`, with the rows of the lookups."""
    definition = decode(text)._replace(lookups=lookups)
    return FeatureSet(*definition, compile_definition(text))


def build(stream: Stream, unnamed: tuple[object, ...], keyworded: Mapping[str, object]) -> FeatureSet:
    """What `Stream.features` is: names, then columns, then the compiler."""
    found: dict[str, Feature] = {}
    written: list[tuple[str, str | None, object]] = [
        (f"unnamed feature {number}", None, value) for number, value in enumerate(unnamed, 1)
    ]
    written += [(f"feature `{name}`", check_text("features", "a name", name), keyworded[name]) for name in keyworded]
    for place, keyword, value in written:
        expression = _expression(place, value)
        where = f"{place}, {shown(expression)}" if keyword is None else place
        for name, node in named(where, keyword, expression._node, stream):
            feature = Feature(name, resolve(f"feature `{name}`", node, stream))
            if name in found:
                raise DefinitionError(
                    f"feature `{name}`",
                    f"two features have this name, {show(found[name].node)} and {show(feature.node)}; rename one "
                    "with features(name=...), or .alias(name)",
                )
            found[name] = feature
            if len(found) > FEATURES_MAX:
                raise DefinitionError(
                    place, f"there are more than {FEATURES_MAX} features; split them over several sets"
                )
    if not found:
        raise DefinitionError("features", "there are none; write one, such as ff.count().over('card', '1h')")
    features = tuple(found.values())
    definition = Definition(stream, _streams(stream, features), _lookups(features), features)
    return FeatureSet(*definition, compile_definition(encode(*definition)))


def _expression(place: str, value: object) -> Expr:
    refuse_unfinished(place, value)
    if isinstance(value, Expr):
        return value
    hint = f"write col({value!r})" if isinstance(value, str) else "write an expression; a constant is ff.lit(value)"
    if isinstance(value, (list, tuple)):
        hint = "write its items one by one, or features(*items)"
    raise DefinitionError(place, f"{shown(value)} is not an expression; {hint}")


def _streams(stream: Stream, features: tuple[Feature, ...]) -> tuple[Stream, ...]:
    """Every stream that is read, the features' own first."""
    found = {stream.name: stream}
    for feature in features:
        for other in foreign_streams(feature.node):
            if found.setdefault(other.name, other) != other:
                raise DefinitionError(
                    f"feature `{feature.name}`",
                    f"there are two different streams called `{other.name}`; rename one, or use one of them",
                )
    return tuple(found.values())


def _lookups(features: tuple[Feature, ...]) -> tuple[Lookup, ...]:
    """All reference data that is read, in the order in which it is met."""
    found: dict[str, Lookup] = {}
    for feature in features:
        for lookup in lookups(feature.node):
            if found.setdefault(lookup.name, lookup) != lookup:
                raise DefinitionError(
                    f"feature `{feature.name}`",
                    f"there are two different lookups called `{lookup.name}`; rename one, or use one of them",
                )
    return tuple(found.values())
