"""What an expression is inside: a tree of frozen values, as in `definition.rs`. `Expr` wraps it with operators.

Until a feature is made of it, an aggregate may have several kinds and windows, and a column may say its stream.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, SupportsFloat, SupportsIndex, TypeAlias

from fastfeat.durations import Duration
from fastfeat.errors import DefinitionError, shown
from fastfeat.schema import instant_ns
from fastfeat.windows import Since, Window

if TYPE_CHECKING:
    from fastfeat.lookups import Lookup
    from fastfeat.streams import Stream

# JSON parsers stop at 128 levels, and an expression has two for each of its own.
EXPRESSION_DEPTH_MAX: Final = 50
EXPRESSION_NODES_MAX: Final = 1_000

ConstantKind = Literal["null", "bool", "int", "float", "text", "time"]
Ties: TypeAlias = Literal["include", "exclude"]
Parameter: TypeAlias = int | float | Duration


@dataclass(frozen=True, slots=True)
class Column:
    """A field of an event; `stream` is None for the stream that the feature is of."""

    depth: ClassVar[int] = 1
    size: ClassVar[int] = 1
    name: str
    stream: Stream | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A constant. They compare as they print: 1 is not 1.0, a NaN equals itself, -0.0 is not 0.0."""

    depth: ClassVar[int] = 1
    size: ClassVar[int] = 1
    kind: ConstantKind
    value: bool | int | float | str | None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and (self.kind, repr(self.value)) == (other.kind, repr(other.value))

    def __hash__(self) -> int:
        return hash((self.kind, repr(self.value)))


@dataclass(frozen=True, slots=True)
class Call:
    """A function of other expressions."""

    function: str
    arguments: tuple[Node, ...]
    depth: int = field(init=False, compare=False, repr=False)
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # A list of constants is one thing to compute, however long.
        _measure(self, self.arguments[:1] if self.function == "is_in" else self.arguments)


@dataclass(frozen=True, slots=True)
class Alias:
    """An expression with the name that features made of it get. It computes what its inner expression does."""

    inner: Node
    name: str
    depth: int = field(init=False, compare=False, repr=False)
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        _measure(self, (self.inner,))


@dataclass(frozen=True, slots=True)
class LookupColumn:
    """A column of the row of reference data that the key finds."""

    lookup: Lookup
    key: Node
    column: str
    depth: int = field(init=False, compare=False, repr=False)
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        _measure(self, (self.key,))

    @property
    def name(self) -> str:
        """What stands for it in the name of a feature."""
        return f"{self.lookup.name}_{self.column}"


@dataclass(frozen=True, slots=True)
class Key:
    """A key column, or what takes its place in an event of the reading stream."""

    name: str
    expression: Node | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Aggregations of one value over windows of the events that share a key."""

    kinds: tuple[str, ...]
    arguments: tuple[Node, ...]
    """What is aggregated, and what it is compared with; nothing for the events themselves."""
    parameters: tuple[Parameter, ...]
    condition: Node | None
    stream: Stream | None
    keys: tuple[Key, ...]
    windows: tuple[Window, ...]
    include_current: bool = True
    ties: Ties = "include"
    depth: int = field(init=False, compare=False, repr=False)
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.ties == "exclude":  # the event itself is of its own instant: both ways to write it are the same
            object.__setattr__(self, "include_current", False)
        _measure(self, tuple(children(self)))

    @property
    def kind(self) -> str:
        """The kind, once a feature is made of it."""
        (kind,) = self.kinds
        return kind

    @property
    def window(self) -> Window:
        """The window, once a feature is made of it."""
        (window,) = self.windows
        return window


Node = Column | Constant | Call | Alias | LookupColumn | Aggregate


def children(node: Node) -> Iterator[Node]:
    """The expressions right under this one."""
    if isinstance(node, Call):
        yield from node.arguments
    elif isinstance(node, Alias):
        yield node.inner
    elif isinstance(node, LookupColumn):
        yield node.key
    elif isinstance(node, Aggregate):
        yield from node.arguments
        parts = (node.condition, *(key.expression for key in node.keys))
        yield from (part for part in parts if part is not None)
        yield from (window.condition for window in node.windows if isinstance(window, Since))


def walk(node: Node) -> Iterator[Node]:
    """This expression and all under it."""
    yield node
    for child in children(node):
        yield from walk(child)


def rebuild(node: Node, change: Callable[[Node], Node]) -> Node:
    """The same expression with `change` made to what is right under it. Aliases are for names only: they go."""
    if isinstance(node, Alias):
        return rebuild(node.inner, change)
    if isinstance(node, Call):
        return Call(node.function, tuple(change(argument) for argument in node.arguments))
    if isinstance(node, LookupColumn):
        return LookupColumn(node.lookup, change(node.key), node.column)
    if isinstance(node, Aggregate):
        return dataclasses.replace(
            node,
            arguments=tuple(change(argument) for argument in node.arguments),
            condition=None if node.condition is None else change(node.condition),
            keys=tuple(Key(key.name, None if key.expression is None else change(key.expression)) for key in node.keys),
            windows=tuple(
                Since(change(window.condition)) if isinstance(window, Since) else window for window in node.windows
            ),
        )
    return node


def constant(value: object) -> Constant:
    """A Python value as a constant, or a refusal that says what an expression takes."""
    dtype = getattr(value, "dtype", None)
    if dtype is not None and getattr(value, "ndim", None) == 0 and getattr(dtype, "kind", "") in tuple("biufU"):
        return constant(getattr(value, "item")())  # noqa: B009 - a NumPy scalar, without importing NumPy
    if value is None:
        return Constant("null", None)
    if isinstance(value, bool):
        return Constant("bool", value)
    if isinstance(value, str):
        return Constant("text", _text(value))
    if isinstance(value, datetime):
        return Constant("time", instant_ns("constant", value))
    if isinstance(value, SupportsIndex) and dtype is None:
        number = operator.index(value)
        if not -(2**63) <= number < 2**63:
            raise DefinitionError("constant", f"{shown(number)} is beyond 64 bits; write it as a float")
        return Constant("int", number)
    if isinstance(value, SupportsFloat) and dtype is None:
        double = float(value)
        return Constant("float", math.nan if math.isnan(double) else double)
    raise DefinitionError(
        "constant",
        f"{shown(value)} is not one; write a number, a text, True or False, None, a datetime, or another expression",
    )


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DefinitionError("constant", f"{shown(value)} has a lone surrogate; write valid Unicode") from None
    return str(value)


def _measure(node: Any, parts: tuple[Node, ...]) -> None:
    """Refuses a tree too deep to parse or too large to be meant, as it is built."""
    depth = 1 + max((part.depth for part in parts), default=0)
    size = 1 + sum(part.size for part in parts)
    if depth > EXPRESSION_DEPTH_MAX:
        raise DefinitionError(
            "expression",
            f"it is nested {depth} deep and the limit is {EXPRESSION_DEPTH_MAX}; group its parts, as in "
            "(a + b) + (c + d), or split it into several features",
        )
    if size > EXPRESSION_NODES_MAX:
        raise DefinitionError(
            "expression",
            f"it has {size} parts and the limit is {EXPRESSION_NODES_MAX}; split it into several features",
        )
    object.__setattr__(node, "depth", depth)
    object.__setattr__(node, "size", size)
