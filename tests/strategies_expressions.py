"""Hypothesis inputs: expressions over the fields of one event, of every type."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import fastfeat as ff
import pyarrow
from fastfeat import Stream, col
from hypothesis import strategies as st

Expr = Any
Strategy = st.SearchStrategy
CARDS = ("a", "b", "ç")


@dataclass(frozen=True)
class Columns:
    """The columns of a stream by type, as expressions."""

    floats: tuple[Expr, ...]
    ints: tuple[Expr, ...]
    booleans: tuple[Expr, ...]
    texts: tuple[Expr, ...]
    times: tuple[Expr, ...]
    whole: bool = False
    """Whether functions of the whole language are drawn, or those alone that take a moment to shrink."""

    @property
    def all(self) -> tuple[Expr, ...]:
        return self.floats + self.ints + self.booleans + self.texts + self.times


PAYMENT_COLUMNS = Columns(
    floats=(col("amount"), col("ratio")),
    ints=(col("quantity"), col("user")),
    booleans=(col("declined"), col("online")),
    texts=(col("card"), col("merchant"), col("entry")),
    times=(col("ts"), col("opened")),
)


def login_columns(logins: Stream) -> Columns:
    bound = {name: logins.col(name) for name in ("score", "user", "tries", "failed", "customer", "device", "at")}
    return Columns(
        floats=(bound["score"],),
        ints=(bound["user"], bound["tries"]),
        booleans=(bound["failed"],),
        texts=(bound["customer"], bound["device"]),
        times=(bound["at"],),
    )


SHOPS = [
    {"shop": "m1", "country": "NL", "fee": 0.25, "rank": 3, "safe": True},
    {"shop": "m2", "country": None, "fee": 1e15, "rank": -(2**62), "safe": None},
    {"shop": "a", "country": "BE", "fee": None, "rank": None, "safe": False},
]
LOOKUPS = {"shops": SHOPS}


@cache
def shops() -> Any:
    """Reference data whose rows are `SHOPS`."""
    types = {"shop": pyarrow.string(), "country": pyarrow.string(), "fee": pyarrow.float64()}
    types |= {"rank": pyarrow.int64(), "safe": pyarrow.bool_()}
    return ff.Lookup("shops", pyarrow.Table.from_pylist(SHOPS, pyarrow.schema(list(types.items()))), key="shop")


def whole(columns: Columns, shop: Expr | None = None) -> Columns:
    """With every function, and with the columns of reference data that `shop` finds."""
    if shop is None:
        return replace(columns, whole=True)
    found = shops().on(shop)
    return replace(
        columns,
        floats=(*columns.floats, found["fee"]),
        ints=(*columns.ints, found["rank"]),
        booleans=(*columns.booleans, found["safe"]),
        texts=(*columns.texts, found["country"]),
        whole=True,
    )


def numbers(columns: Columns, depth: int = 2, leaves: Strategy | None = None) -> Strategy:
    """Expressions of numbers. `leaves` are aggregations, where a feature may hold them."""
    leaf = st.sampled_from(columns.floats + columns.ints)
    leaf = leaf if leaves is None else leaf | leaves
    if depth == 0:
        return leaf
    inner = numbers(columns, depth - 1, leaves)
    constant = st.sampled_from((0, 1, 2, -3, 0.0, -0.0, 0.5, 1e15, 2**53 + 1))
    operand = inner | constant
    arithmetic = st.sampled_from(
        (
            lambda a, b: a + b,
            lambda a, b: a - b,
            lambda a, b: b - a,
            lambda a, b: a * b,
            lambda a, b: a / b,
            lambda a, b: b / a,
            lambda a, b: a // b,
            lambda a, b: a % b,
            lambda a, b: a.fill_null(b),
        )
    )
    unary = st.sampled_from(
        (
            lambda a: -a,
            lambda a: a.abs(),
            lambda a: a.sqrt(),
            lambda a: a.floor(),
            lambda a: a.cast(ff.Int64()),
            lambda a: a.cast(ff.Float64()),
        )
    )
    condition = booleans(columns, 0, leaves)
    return st.one_of(
        *([numbers_of_the_whole(columns, inner, operand)] if columns.whole else []),
        leaf,
        st.builds(lambda f, a, b: f(a, b), arithmetic, inner, operand),
        st.builds(lambda f, a: f(a), unary, inner),
        st.builds(lambda c, a, b: ff.when(c).then(a).otherwise(b), condition, operand, inner),
        st.builds(lambda a, b, c: ff.coalesce(a, b, c), inner, inner, operand),
        st.builds(lambda a: a.cast(ff.Float64()), st.sampled_from(columns.booleans)),
        st.builds(lambda a: a.cast(ff.Int64()), st.sampled_from(columns.booleans)),
        st.builds(lambda a, b: a - b, st.sampled_from(columns.times), st.sampled_from(columns.times)),
    )


def numbers_of_the_whole(columns: Columns, inner: Strategy, operand: Strategy) -> Strategy:
    time, text = st.sampled_from(columns.times), st.sampled_from(columns.texts)
    bound = st.none() | operand
    return st.one_of(
        st.builds(lambda a, low, high: a.clip(low, high), inner, bound, operand),
        st.builds(lambda a, low: a.clip(low, None), inner, operand),
        st.builds(lambda a: a.dt.hour(), time),
        st.builds(lambda a: a.dt.weekday(), time),
        st.builds(lambda a: a.str.len(), text),
    )


def booleans(columns: Columns, depth: int = 1, leaves: Strategy | None = None) -> Strategy:
    number = numbers(columns, 0, leaves)
    compare = st.sampled_from(
        (
            lambda a, b: a == b,
            lambda a, b: a != b,
            lambda a, b: a < b,
            lambda a, b: a <= b,
            lambda a, b: a > b,
            lambda a, b: a >= b,
        )
    )
    constant = st.sampled_from((0, 1, 0.1, -0.0, 1e15, 2**53 + 1, 2.0**53))
    text = st.sampled_from(columns.texts)
    leaf = st.one_of(
        st.sampled_from(columns.booleans),
        st.builds(lambda f, a, b: f(a, b), compare, number, number | constant),
        st.builds(lambda f, a, b: f(a, b), compare, text, text | st.sampled_from((*CARDS, "m1", "chip"))),
        st.builds(lambda f, a, b: f(a, b), compare, *(2 * [st.sampled_from(columns.times)])),
        st.builds(lambda a: a.is_null(), st.sampled_from(columns.all)),
    )
    if columns.whole:
        texts = st.lists(st.sampled_from((*CARDS, "m1", "chip", "")), min_size=1, max_size=3, unique=True)
        leaf |= st.builds(lambda a, b: a.is_in(b), text, texts)
        leaf |= st.builds(lambda a, b: a.is_in(b), number, st.lists(constant, min_size=1, max_size=3))
        leaf |= st.builds(lambda a, b: a.str.lower() == b, text, text)
    if depth == 0:
        return leaf
    inner = booleans(columns, depth - 1, leaves)
    logic = st.sampled_from((lambda a, b: a & b, lambda a, b: a | b, lambda a, b: a ^ b))
    return st.one_of(
        leaf,
        st.builds(lambda f, a, b: f(a, b), logic, inner, inner),
        st.builds(lambda a: ~a, inner),
        st.builds(lambda a, b: a.fill_null(b), inner, st.booleans()),
    )


def anything(columns: Columns, depth: int = 1) -> Strategy:
    """Row expressions of any type."""
    text = st.sampled_from(columns.texts)
    return st.one_of(
        numbers(columns, depth),
        booleans(columns, depth),
        text,
        st.sampled_from(columns.times),
        st.builds(lambda a, b: ff.coalesce(a, b, "none"), text, text),
        st.builds(lambda c, a: ff.when(c).then(a).otherwise("other"), booleans(columns, 0), text),
    )
