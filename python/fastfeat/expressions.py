"""Expressions over the fields of an event: the verbs are those of polars.

Nothing is computed here. `Expr` builds the tree that the engine compiles; `docs/semantics.md` section 5 has the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, NoReturn, TypeAlias

from fastfeat.errors import DefinitionError, check_text, shown
from fastfeat.nodes import Alias, Call, Column, Node, constant
from fastfeat.printing import show
from fastfeat.schema import Float64, Int64

if TYPE_CHECKING:
    from fastfeat.aggregations import Aggregation

__all__ = ["Expr", "Operand", "coalesce", "col", "lit", "when"]

_HINTS = {
    "where": "write it before .over(...), on the aggregation",
    "over": "it needs an aggregation before it, as in .sum().over(...)",
}


@dataclass(frozen=True, eq=False, repr=False)
class Expr:
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

    def count(self) -> Aggregation:
        """How many events have a value here (`ff.count()` counts all events)."""
        return self.agg("count")

    def sum(self) -> Aggregation:
        """The correctly rounded sum; 0 of nothing. Float64."""
        return self.agg("sum")

    def mean(self) -> Aggregation:
        """The mean; null of nothing."""
        return self.agg("mean")

    def var(self) -> Aggregation:
        """The variance of a sample (ddof=1); null below two values."""
        return self.agg("var")

    def std(self) -> Aggregation:
        """The standard deviation of a sample (ddof=1); null below two values."""
        return self.agg("std")

    def min(self) -> Aggregation:
        """The smallest value; null of nothing."""
        return self.agg("min")

    def max(self) -> Aggregation:
        """The largest value; null of nothing."""
        return self.agg("max")

    def first(self) -> Aggregation:
        """The oldest value in the window."""
        return self.agg("first")

    def last(self) -> Aggregation:
        """The newest value in the window, that of the event itself included."""
        return self.agg("last")

    def n_unique(self) -> Aggregation:
        """How many different values; 0 of nothing."""
        return self.agg("n_unique")

    def time_since_last(self) -> Aggregation:
        """Seconds since the last event before this one that has a value here."""
        return self.agg("time_since_last")

    def lag(self, n: int = 1) -> Aggregation:
        """The value of the n-th event before this one that has a value here; n is 1 to 1,000.

        >>> col("amount").lag().over("card")
        col('amount').lag(1).over('card')
        """
        from fastfeat.aggregations import lag  # aggregations are made of expressions

        return lag(self, n)

    def agg(self, *names: str) -> Aggregation:
        """Several aggregations of this expression, by name. Their features come one aggregation after the other.

        >>> col("amount").agg("count", "sum").over("card", "1h", "24h")
        col('amount').agg('count', 'sum').over('card', '1h', '24h')
        """
        from fastfeat.aggregations import agg

        return agg(self, names)


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


def _call(function: str, *arguments: Operand) -> Expr:
    return Expr(Call(function, tuple(lift(argument) for argument in arguments)))


def _not_none(value: Operand, instead: str) -> Operand:
    if value is None:
        raise DefinitionError("expression", f"nothing compares to None; write {instead}")
    return value
