"""Expressions over the fields of an event: the verbs are those of polars.

Nothing is computed here. `Expr` builds the tree that the engine compiles; `docs/semantics.md` section 5 has the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn, TypeAlias

from fastfeat.aggregating import Aggregating
from fastfeat.errors import DefinitionError, check_text, shown
from fastfeat.namespaces import Namespaces
from fastfeat.nodes import Aggregate, Alias, Call, Column, Node, constant, walk
from fastfeat.printing import show
from fastfeat.schema import Float64, Int64

__all__ = ["Expr", "Operand", "coalesce", "col", "haversine", "lit", "when"]

MEMBERS_MAX: Final = 1_000

_HINTS = {
    "where": "write it before .over(...), on the aggregation",
    "over": "it needs an aggregation before it, as in .sum().over(...)",
}


@dataclass(frozen=True, eq=False, repr=False)
class Expr(Aggregating, Namespaces):
    """A value computed from an event, or from aggregations over the events before it.

    Operators and methods make new expressions; `.equals` compares two of them.

    >>> (col("amount") / 2).log1p()
    (col('amount') / 2).log1p()
    """

    _node: Node
    __array_ufunc__: ClassVar[None] = None  # NumPy leaves `numpy.float64(2) * col("x")` to the expression

    def __repr__(self) -> str:
        return show(self._node)

    def __hash__(self) -> int:
        return hash((Expr, self._node))

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} is true or false only once an event is there: use & | ~, not and/or/not; "
            "(1 < x) & (x < 5), not 1 < x < 5; when(c).then(a).otherwise(b), not if"
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            hint = f"; {_HINTS[name]}" if name in _HINTS else ""
            raise AttributeError(f"an expression has no `{name}`{hint}", name=name, obj=self)

    def equals(self, other: Expr) -> bool:
        """Whether both are the same expression; `==` makes an expression instead.

        >>> col("a").equals(col("a")), col("a").equals(col("b"))
        (True, False)
        """
        return isinstance(other, Expr) and self._node == other._node

    def __add__(self, other: Operand) -> Expr:
        return _call("add", self, other)

    def __radd__(self, other: Operand) -> Expr:
        return _call("add", other, self)

    def __sub__(self, other: Operand) -> Expr:
        return _call("sub", self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return _call("sub", other, self)

    def __mul__(self, other: Operand) -> Expr:
        return _call("mul", self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return _call("mul", other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return _call("div", self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return _call("div", other, self)

    def __floordiv__(self, other: Operand) -> Expr:
        return _call("floordiv", self, other)

    def __rfloordiv__(self, other: Operand) -> Expr:
        return _call("floordiv", other, self)

    def __mod__(self, other: Operand) -> Expr:
        return _call("mod", self, other)

    def __rmod__(self, other: Operand) -> Expr:
        return _call("mod", other, self)

    def __pow__(self, other: Operand) -> Expr:
        return _call("pow", self, other)

    def __rpow__(self, other: Operand) -> Expr:
        return _call("pow", other, self)

    def __neg__(self) -> Expr:
        return _call("neg", self)

    def __eq__(self, other: Operand) -> Expr:  # type: ignore[override]
        return _call("eq", self, _not_none(other, ".is_null()"))

    def __ne__(self, other: Operand) -> Expr:  # type: ignore[override]
        return _call("ne", self, _not_none(other, "~x.is_null()"))

    def __lt__(self, other: Operand) -> Expr:
        return _call("lt", self, other)

    def __le__(self, other: Operand) -> Expr:
        return _call("le", self, other)

    def __gt__(self, other: Operand) -> Expr:
        return _call("gt", self, other)

    def __ge__(self, other: Operand) -> Expr:
        return _call("ge", self, other)

    def __and__(self, other: Operand) -> Expr:
        return _call("and", self, other)

    def __rand__(self, other: Operand) -> Expr:
        return _call("and", other, self)

    def __or__(self, other: Operand) -> Expr:
        return _call("or", self, other)

    def __ror__(self, other: Operand) -> Expr:
        return _call("or", other, self)

    def __xor__(self, other: Operand) -> Expr:
        return _call("xor", self, other)

    def __rxor__(self, other: Operand) -> Expr:
        return _call("xor", other, self)

    def __invert__(self) -> Expr:
        return _call("not", self)

    def abs(self) -> Expr:
        """The value without its sign; an Int64 stays one."""
        return _call("abs", self)

    __abs__ = abs

    def exp(self) -> Expr:
        """e to the power of the value."""
        return _call("exp", self)

    def log1p(self) -> Expr:
        """The natural logarithm of 1 + value; NaN below -1."""
        return _call("log1p", self)

    def sqrt(self) -> Expr:
        """The square root; NaN of a negative number."""
        return _call("sqrt", self)

    def floor(self) -> Expr:
        """The largest whole number not above the value, as Float64."""
        return _call("floor", self)

    def is_null(self) -> Expr:
        """Whether there is no value: true or false, never null. A NaN is a value."""
        return _call("is_null", self)

    def fill_null(self, value: Operand) -> Expr:
        """The value, or `value` where there is none.

        >>> col("tip").fill_null(0.0)
        col('tip').fill_null(0.0)
        """
        return _call("fill_null", self, value)

    def clip(self, lower: Operand = None, upper: Operand = None) -> Expr:
        """The value, but not below `lower` nor above `upper`; a bound that is null, or not given, bounds nothing.

        Where the lower bound is above the upper one, the upper one counts.

        >>> col("amount").clip(0, 1_000)
        col('amount').clip(0, 1000)
        >>> col("amount").clip(upper=col("limit"))
        col('amount').clip(None, col('limit'))
        """
        return _call("clip", self, lower, upper)

    def is_in(self, values: Iterable[bool | int | float | str | datetime | None]) -> Expr:
        """Whether the value equals one of these constants, at most 1,000; null in the list matches nothing.

        >>> col("country").is_in(["NL", "BE"])
        col('country').is_in(['NL', 'BE'])
        """
        # The order of a set changes from process to process, and the definition with it.
        if isinstance(values, (str, bytes, Set, Mapping, Expr)) or not isinstance(values, Iterable):
            raise DefinitionError("is_in", f"{shown(values)} is no list of constants; write one, as in ['NL', 'BE']")
        listed = tuple(values)
        if len(listed) > MEMBERS_MAX:
            raise DefinitionError(
                "is_in", f"the list has {len(listed)} values and the limit is {MEMBERS_MAX}; use a Lookup"
            )
        for value in listed:
            if isinstance(value, Expr):
                raise DefinitionError("is_in", f"{value!r} is no constant; write (x == {value!r}) | (x == ...)")
        return _call("is_in", self, *listed)

    def cast(self, to: Float64 | Int64 | type[Float64] | type[Int64]) -> Expr:
        """The value as another type: Float64 cut off to Int64 (null when it does not fit), Boolean as 0 and 1.

        >>> col("declined").cast(Float64())
        col('declined').cast(Float64())
        """
        for kind in (Float64, Int64):
            if to is kind or (isinstance(to, kind) and to == kind()):
                return _call(f"cast_{kind.kind}", self)
        raise DefinitionError("cast", f"cannot cast to {shown(to)}; write Float64() or Int64(), without rules")

    def alias(self, name: str) -> Expr:
        """The same expression under a name: that of the feature, or the part of its name that stands for this input.

        >>> (col("amount") * col("rate")).alias("euros").sum().over("card", "1h")
        (col('amount') * col('rate')).alias('euros').sum().over('card', '1h')
        """
        return Expr(Alias(self._node, check_text("alias", "the name", name)))


Operand: TypeAlias = Expr | bool | int | float | str | datetime | None


def col(name: str) -> Expr:
    """The field of an event that is called `name`.

    >>> col("amount") > 100
    col('amount') > 100
    """
    return Expr(Column(check_text("col", "the name", name)))


def lit(value: bool | int | float | str | datetime | None) -> Expr:
    """A constant. Operators take plain values as well; a feature that is a constant needs this.

    >>> lit(1.5)
    lit(1.5)
    """
    return Expr(constant(value))


def coalesce(*values: Operand) -> Expr:
    """The first of the values that is not null. A text is a text here, not a column.

    >>> coalesce(col("nickname"), col("name"), "nobody")
    coalesce(col('nickname'), col('name'), 'nobody')
    """
    if len(values) < 2:
        raise DefinitionError("coalesce", f"it has {len(values)} values; write two or more")
    return _call("coalesce", *values)


def haversine(lat1: Operand, lon1: Operand, lat2: Operand, lon2: Operand) -> Expr:
    """The great-circle distance between two places in km; latitudes and longitudes are in degrees.

    >>> haversine(col("lat"), col("lon"), 52.37, 4.9)
    haversine(col('lat'), col('lon'), 52.37, 4.9)
    """
    return _call("haversine", lat1, lon1, lat2, lon2)


def when(condition: Expr) -> When:
    """A choice: `when(c).then(a).otherwise(b)` is b where c is false or null.

    >>> when(col("amount") > 100).then("large").otherwise("small")
    when(col('amount') > 100).then('large').otherwise('small')
    """
    if not isinstance(condition, Expr):
        raise DefinitionError("when", f"the condition is {shown(condition)}; write an expression, as in col('x') > 1")
    return When(condition)


@dataclass(frozen=True, eq=False)
class When:
    """A choice that still needs `.then(...)`."""

    _condition: Expr

    def then(self, value: Operand) -> Then:
        """What it is where the condition is true."""
        return Then(self._condition, Expr(lift(value)))


@dataclass(frozen=True, eq=False)
class Then:
    """A choice that still needs `.otherwise(...)`."""

    _condition: Expr
    _value: Expr

    def otherwise(self, value: Operand) -> Expr:
        """What it is where the condition is false or null."""
        return _call("when", self._condition, self._value, value)


def lift(value: object) -> Node:
    """What an operator or a function was given, as a tree."""
    if isinstance(value, Expr):
        return value._node
    refuse_unfinished("expression", value)
    return constant(value)


def refuse_unfinished(place: str, value: object) -> None:
    """Says what is still missing from an aggregation without a window, or a choice without an end."""
    from fastfeat.aggregations import Aggregation

    if isinstance(value, (When, Then)):
        raise DefinitionError(place, "a choice is not finished; write when(c).then(a).otherwise(b)")
    if isinstance(value, Aggregation):
        raise DefinitionError(place, f"{value!r} says not over which events; write {value!r}.over(...)")


def row_node(place: str, node: Node) -> Node:
    """Refuses aggregations in what is computed from one event alone."""
    inner = next((each for each in walk(node) if isinstance(each, Aggregate)), None)
    if inner is not None:
        raise DefinitionError(
            place,
            f"it reads {Expr(inner)!r}, but an aggregation, its filter and its keys read the fields of one event; "
            "compose the finished aggregations instead, as in a.mean().over(...) / b.mean().over(...)",
        )
    return node


def condition_node(place: str, condition: object) -> Node:
    """A condition on one event."""
    if not isinstance(condition, Expr):
        hint = f"write col({condition!r})" if isinstance(condition, str) else "write one, as in col('x') > 1"
        raise DefinitionError(place, f"{shown(condition)} is not an expression; {hint}")
    return row_node(place, condition._node)


def _call(function: str, *arguments: Operand) -> Expr:
    return Expr(Call(function, tuple(lift(argument) for argument in arguments)))


def _not_none(value: Operand, instead: str) -> Operand:
    if value is None:
        raise DefinitionError("expression", f"nothing compares to None; write {instead}")
    return value
