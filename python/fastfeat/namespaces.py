"""What only some types have: `.dt` of timestamps, `.str` of texts. `docs/semantics.md` section 5 has the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from fastfeat.nodes import Call

if TYPE_CHECKING:
    from fastfeat.expressions import Expr

__all__ = ["DateTimeMethods", "Namespaces", "TextMethods"]


class Namespaces:
    """The two names under which an expression has them."""

    @property
    def dt(self) -> DateTimeMethods:
        """What a timestamp has, in UTC: `.dt.hour()`, `.dt.weekday()`."""
        return DateTimeMethods(cast("Expr", self))

    @property
    def str(self) -> TextMethods:
        """What a text has: `.str.lower()`, `.str.len()`."""
        return TextMethods(cast("Expr", self))


@dataclass(frozen=True)
class DateTimeMethods:
    """What a timestamp has, in UTC."""

    _expression: Expr

    def hour(self) -> Expr:
        """The hour of the day, 0 to 23.

        >>> col("ts").dt.hour()
        col('ts').dt.hour()
        """
        return _call("dt_hour", self._expression)

    def weekday(self) -> Expr:
        """The day of the week, 1 (Monday) to 7 (Sunday).

        >>> col("ts").dt.weekday() >= 6
        col('ts').dt.weekday() >= 6
        """
        return _call("dt_weekday", self._expression)


@dataclass(frozen=True)
class TextMethods:
    """What a text has."""

    _expression: Expr

    def lower(self) -> Expr:
        """The text in Unicode's lower case.

        >>> col("country").str.lower() == "nl"
        col('country').str.lower() == 'nl'
        """
        return _call("str_lower", self._expression)

    def len(self) -> Expr:
        """How many Unicode characters the text has.

        >>> col("name").str.len()
        col('name').str.len()
        """
        return _call("str_len", self._expression)


def _call(function: str, expression: Expr) -> Expr:
    return type(expression)(Call(function, (expression._node,)))
