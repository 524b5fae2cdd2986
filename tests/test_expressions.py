"""Expressions: the tree they build, how they print, and what is refused while they are written."""

import copy
import functools
import math
import pickle
from datetime import datetime, timezone

import fastfeat as ff
import numpy as np
import pytest
from fastfeat import DefinitionError, Expr, Float64, Int64, Stream, Timestamp, coalesce, col, count, lit, when
from fastfeat.expressions import lift
from hypothesis import given
from hypothesis import strategies as st

X, Y = col("x"), col("y")
S = Stream("s", {"ts": Timestamp("us"), "x": Float64()}, time="ts")
M = ff.Lookup("m", key="k", columns={"k": ff.String(), "risk": Float64()})


@pytest.mark.parametrize(
    ("expression", "function", "printed"),
    [
        (X + 1, "add", "col('x') + 1"),
        (1 + X, "add", "1 + col('x')"),
        (X - Y, "sub", "col('x') - col('y')"),
        (1 - X, "sub", "1 - col('x')"),
        (X * 2.5, "mul", "col('x') * 2.5"),
        (2 * X, "mul", "2 * col('x')"),
        (X / Y, "div", "col('x') / col('y')"),
        (1 / X, "div", "1 / col('x')"),
        (X // 2, "floordiv", "col('x') // 2"),
        (7 // X, "floordiv", "7 // col('x')"),
        (X % 2, "mod", "col('x') % 2"),
        (7 % X, "mod", "7 % col('x')"),
        (X**2, "pow", "col('x') ** 2"),
        (2**X, "pow", "2 ** col('x')"),
        ((-2) ** X, "pow", "(-2) ** col('x')"),
        (-X, "neg", "-col('x')"),
        (X == Y, "eq", "col('x') == col('y')"),
        (X != "a", "ne", "col('x') != 'a'"),
        (X < 1, "lt", "col('x') < 1"),
        (1 < X, "gt", "col('x') > 1"),  # noqa: SIM300 - Python turns it round
        (X <= 1, "le", "col('x') <= 1"),
        (X > 1, "gt", "col('x') > 1"),
        (X >= 1, "ge", "col('x') >= 1"),
        ((X > 1) & Y, "and", "(col('x') > 1) & col('y')"),
        (True & X, "and", "lit(True) & col('x')"),
        (X | Y, "or", "col('x') | col('y')"),
        (X ^ Y, "xor", "col('x') ^ col('y')"),
        (~X, "not", "~col('x')"),
        ((X + Y).abs(), "abs", "(col('x') + col('y')).abs()"),
        (abs(X), "abs", "col('x').abs()"),
        (X.exp(), "exp", "col('x').exp()"),
        (X.log1p(), "log1p", "col('x').log1p()"),
        (X.sqrt(), "sqrt", "col('x').sqrt()"),
        (X.floor(), "floor", "col('x').floor()"),
        (X.clip(0, 10), "clip", "col('x').clip(0, 10)"),
        (X.clip(0), "clip", "col('x').clip(0, None)"),
        (X.clip(upper=Y), "clip", "col('x').clip(None, col('y'))"),
        (X.is_in([1, 2]), "is_in", "col('x').is_in([1, 2])"),
        (X.is_in([]), "is_in", "col('x').is_in([])"),
        (X.clip(), "clip", "col('x').clip(None, None)"),
        ((X + Y).is_in(("a", None)), "is_in", "(col('x') + col('y')).is_in(['a', None])"),
        (X.dt.hour(), "dt_hour", "col('x').dt.hour()"),
        (X.dt.weekday(), "dt_weekday", "col('x').dt.weekday()"),
        (X.str.lower(), "str_lower", "col('x').str.lower()"),
        ((X + Y).str.len(), "str_len", "(col('x') + col('y')).str.len()"),
        (ff.haversine(X, Y, 52.5, -1), "haversine", "haversine(col('x'), col('y'), 52.5, -1)"),
        (X.is_null(), "is_null", "col('x').is_null()"),
        (X.fill_null(0), "fill_null", "col('x').fill_null(0)"),
        (X.fill_null(Y), "fill_null", "col('x').fill_null(col('y'))"),
        (coalesce(X, Y, "none"), "coalesce", "coalesce(col('x'), col('y'), 'none')"),
        (when(X > 1).then(Y).otherwise(None), "when", "when(col('x') > 1).then(col('y')).otherwise(None)"),
        (X.cast(Float64()), "cast_float64", "col('x').cast(Float64())"),
        (X.cast(Int64), "cast_int64", "col('x').cast(Int64())"),
        (lit(None) == X, "eq", "lit(None) == col('x')"),
        (datetime(2026, 1, 1) < X, "gt", "col('x') > datetime.fromisoformat('2026-01-01T00:00:00+00:00')"),
        (X * math.inf, "mul", "col('x') * float('inf')"),
    ],
)
def test_an_operator_or_a_method_calls_a_function_and_prints_as_python(expression: Expr, function: str, printed: str):
    node = lift(expression)
    assert getattr(node, "function", None) == function
    assert repr(expression) == printed
    assert eval(printed, globals() | vars(ff)).equals(expression)


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        (X, "col('x')"),
        (S["x"], "s.col('x')"),
        (lit("a"), "lit('a')"),
        (X.alias("z"), "col('x').alias('z')"),
        (X.sum().over("k"), "col('x').sum().over('k')"),
        (X.sum().over(), "col('x').sum().over()"),
        (X.lag().over("k", "1h"), "col('x').lag(1).over('k', '1h')"),
        (X.agg("sum", "max").over("k", "1h", "60s"), "col('x').agg('sum', 'max').over('k', '1h', '60s')"),
        (X.agg("sum").over("k"), "col('x').sum().over('k')"),
        ((X + 1).std().where(Y).over("k"), "(col('x') + 1).std().where(col('y')).over('k')"),
        (count().where(X).where(Y).over("1h"), "count().where(col('x') & col('y')).over('1h')"),
        (S.count().over("1h", user=Y), "s.count().over('1h', user=col('y'))"),
        (X.sum().over(col("1h"), "1h"), "col('x').sum().over(col('1h'), '1h')"),
        (X.sum().over(**{"a b": Y}), "col('x').sum().over(**{'a b': col('y')})"),
        (X.cov(Y + 1).over("k"), "col('x').cov(col('y') + 1).over('k')"),
        (X.max_by(Y).where(X > 1).over("k"), "col('x').max_by(col('y')).where(col('x') > 1).over('k')"),
        (X.quantile(0.9).over("k", "1h"), "col('x').quantile(0.9).over('k', '1h')"),
        (X.top_k(3).over("k"), "col('x').top_k(3).over('k')"),
        (X.ewm_mean(half_life="90m").over("k"), "col('x').ewm_mean('90m').over('k')"),
        (S.rate().over("k", "1h"), "s.rate().over('k', '1h')"),
        (X.sum().over("k", ff.rolling("1h")), "col('x').sum().over('k', '1h')"),
        (
            X.sum().over("k", ff.rolling("1h", closed="left"), ff.last(5)),
            "col('x').sum().over('k', rolling('1h', closed='left'), last(5))",
        ),
        (X.sum().over("k", include_current=False), "col('x').sum().over('k', include_current=False)"),
        (X.sum().over("k", ties="exclude"), "col('x').sum().over('k', ties='exclude')"),
        (X.sum().over("k", ties="exclude", include_current=False), "col('x').sum().over('k', ties='exclude')"),
        (X.sum().over("1h", ties="exclude", user=Y), "col('x').sum().over('1h', ties='exclude', user=col('y'))"),
        (M["risk"], "m['risk']"),
        (M.on(X + 1)["risk"] * 2, "m.on(col('x') + 1)['risk'] * 2"),
        (ff.time_since_last().over("k"), "time_since_last().over('k')"),
        (X.time_since_last().over("k"), "col('x').time_since_last().over('k')"),
        (X / X.mean().over("k"), "col('x') / col('x').mean().over('k')"),
    ],
)
def test_an_expression_prints_as_what_a_person_writes(expression: Expr, printed: str):
    assert repr(expression) == printed
    assert eval(printed, {**vars(ff), "s": S, "m": M}).equals(expression)


def test_an_expression_is_a_value_that_equals_compares():
    assert (X + 1).equals(col("x") + 1)
    assert not (X + 1).equals(X + 1.0)
    assert not (X + 1).equals(1 + X)
    assert not lit(True).equals(lit(1))
    assert lit(math.nan).equals(lit(float("nan")))
    assert not lit(0.0).equals(lit(-0.0))
    assert not X.equals("x")  # type: ignore[arg-type]
    assert hash(X + 1) == hash(col("x") + 1)
    assert isinstance(X == X, Expr)
    assert pickle.loads(pickle.dumps(S["x"] + 1)).equals(S["x"] + 1)
    assert copy.deepcopy(X + 1).equals(X + 1)
    with pytest.raises(AttributeError):
        X.name = "y"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: bool(X > 1),
        lambda: X > 1 and X < 5,
        lambda: X > 1 or X < 5,
        lambda: not X,
        lambda: 1 < X < 5,
        lambda: "yes" if X > 1 else "no",
        lambda: X in [1, 2],
    ],
)
def test_an_expression_has_no_truth_value(mistake):
    with pytest.raises(TypeError, match=r"use & \| ~, not and/or/not") as caught:
        mistake()
    assert "(1 < x) & (x < 5), not 1 < x < 5" in str(caught.value)


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda: X == None, "write .is_null()"),  # noqa: E711
        (lambda: X != None, "write ~x.is_null()"),  # noqa: E711
        (lambda: X - [1], "[1] is not one; write a number"),
        (lambda: X + np.array([1, 2]), "is not one; write a number"),
        (lambda: X + np.datetime64("2026-01-01"), "write a number, a text, True or False, None, a datetime"),
        (lambda: X + 2**63, "9223372036854775808 is beyond 64 bits"),
        (lambda: X == "\ud800", "lone surrogate"),
        (lambda: datetime(1, 1, 1) < X, "outside 1677 to 2262"),
        (lambda: X / X.mean(), "col('x').mean() says not over which events; write col('x').mean().over(...)"),
        (lambda: X.mean() / X, "col('x').mean() says not over which events"),
        (lambda: X.mean() / 2, "col('x').mean() says not over which events"),
        (lambda: X.mean() == 2, "col('x').mean() says not over which events"),
        (lambda: lit([1]), "[1] is not one"),
        (lambda: X.fill_null(when(X).then(1)), "write when(c).then(a).otherwise(b)"),
        (lambda: when(True), "write an expression, as in col('x') > 1"),
        (lambda: coalesce(X), "it has 1 values; write two or more"),
        (lambda: X.cast(float), "write Float64() or Int64()"),
        (lambda: X.cast(Float64(ge=0)), "without rules"),
        (lambda: X.clip([0]), "[0] is not one"),
        (lambda: X.is_in("NL"), "'NL' is no list of constants; write one, as in ['NL', 'BE']"),
        (lambda: X.is_in({"NL"}), "is no list of constants"),
        (lambda: X.is_in(5), "5 is no list of constants"),
        (lambda: X.is_in([1, Y]), "col('y') is no constant; write (x == col('y')) | (x == ...)"),
        (lambda: X.is_in(range(1_001)), "the list has 1001 values and the limit is 1000; use a Lookup"),
        (lambda: ff.haversine(X, Y, X, [1]), "[1] is not one"),
        (lambda: X.alias(""), "the name is empty"),
        (lambda: col(""), "the name is empty"),
        (lambda: col(5), "the name is 5; write a text"),
        (lambda: sum([X] * 60), "nested 51 deep and the limit is 50"),
        (lambda: functools.reduce(lambda half, _: half + half, range(12), X), "the limit is 1000"),
    ],
)
def test_what_an_expression_cannot_be_is_refused_where_it_is_written(mistake, told: str):
    with pytest.raises(DefinitionError) as caught:
        mistake()
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda: X.sum().over("k").where(Y), "write it before .over(...)"),
        (lambda: X.over("k"), "it needs an aggregation before it"),
        (lambda: X.sum().alias("z"), "write .over(...) before .alias"),
        (lambda: X.product(), "an expression has no `product`"),
    ],
)
def test_a_method_that_is_not_there_says_where_it_is(mistake, told: str):
    with pytest.raises(AttributeError) as caught:
        mistake()
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(2.0), 2.0),
        (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=timezone.utc)),
    ],
)
def test_a_constant_of_another_library_is_a_plain_one(value: object, plain: object):
    assert (value == X).equals(plain == X)  # type: ignore[arg-type, attr-defined]
    assert (np.float64(2) * X).equals(2.0 * X)


LEAVES = st.sampled_from(
    ["col('x')", "col('1h')", "lit(-1)", "lit(1.5)", "lit('a')", "s.col('x')", "count().over('k')"]
)
GROWN = st.one_of(
    st.builds(
        "({}) {} ({})".format,
        st.deferred(lambda: SOURCES),
        st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "&", "|", "^"]),
        st.deferred(lambda: SOURCES),
    ),
    st.builds("{}({})".format, st.sampled_from("-~"), st.deferred(lambda: SOURCES)),
    st.builds("({}).{}".format, st.deferred(lambda: SOURCES), st.sampled_from(["abs()", "fill_null(0)", "alias('z')"])),
    st.builds("when({}).then(1).otherwise(-2.5)".format, st.deferred(lambda: SOURCES)),
)
SOURCES: st.SearchStrategy[str] = st.one_of(LEAVES, GROWN)


@given(SOURCES)
def test_any_expression_prints_as_source_that_makes_it_again(source: str):
    names = {**vars(ff), "s": S}
    expression = eval(source, names)
    assert eval(repr(expression), names).equals(expression)
