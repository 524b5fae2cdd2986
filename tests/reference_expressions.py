"""Part of the judge: expressions over the values of an event (`docs/semantics.md`, section 5)."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
EARTH_KM = 6371.0088


@dataclass(frozen=True, order=True)
class Instant:
    """A timestamp: ticks of the plan since 1970-01-01T00:00:00Z."""

    ticks: int


def evaluate(
    expression: Mapping[str, Any],
    values: Mapping[str, Any],
    context: Any,
    aggregate: Callable[[Mapping[str, Any]], Any] | None = None,
) -> Any:
    """The value of an expression for one event. `aggregate` answers the aggregations in it."""
    op = expression["op"]
    if op == "column":
        return values[expression["name"]]
    if op == "literal":
        return literal(expression["value"], context.ticks_per_second)
    if op == "aggregate":
        assert aggregate is not None, "an aggregation inside an aggregation"
        return aggregate(expression)
    if op == "lookup":
        key = evaluate(expression["key"], values, context, aggregate)
        return context.find(expression["lookup"], key, expression["column"])
    assert op == "call", op
    arguments = [evaluate(argument, values, context, aggregate) for argument in expression["arguments"]]
    name = expression["function"]
    if name in SEES_NULL:
        result = SEES_NULL[name](*arguments)
    elif None in arguments:
        return None  # an expression with null in it is null
    elif name == "sub" and isinstance(arguments[0], Instant):
        result = seconds(arguments[0].ticks - arguments[1].ticks, context.ticks_per_second)
    elif name in OF_AN_INSTANT:
        result = OF_AN_INSTANT[name](arguments[0].ticks // context.ticks_per_second)
    else:
        result = FUNCTIONS[name](*arguments)
    if type_of(expression, context) == "float64" and isinstance(result, int):
        return float(result)  # where an Int64 meets a Float64 the result is a Float64
    return result


def seconds(ticks: int, ticks_per_second: int) -> float:
    """The whole ticks as the nearest double, divided by those of a second."""
    return float(ticks) / float(ticks_per_second)


def literal(value: Any, ticks_per_second: int) -> Any:
    if value == "null":
        return None
    ((kind, content),) = value.items()
    if kind == "time":
        return Instant(content * ticks_per_second // 1_000_000_000)
    return float(content) if kind == "float" else content


# --- Types -------------------------------------------------------------------------------------------------------


def type_of(expression: Mapping[str, Any], context: Any) -> str:
    op = expression["op"]
    if op == "column":
        return context.column_type(expression["name"])
    if op == "aggregate":
        return context.aggregate_type(expression)
    if op == "literal":
        return literal_type(expression["value"])
    if op == "lookup":
        return context.lookup_type(expression["lookup"], expression["column"])
    arguments = [type_of(argument, context) for argument in expression["arguments"]]
    name = expression["function"]
    if name in TYPES:
        return TYPES[name]
    if name == "when":
        arguments = arguments[1:]
    if name == "sub" and "timestamp" in arguments:
        return "float64"  # seconds
    return common_type(arguments)


def literal_type(value: Any) -> str:
    if value == "null":
        return "null"
    (kind,) = value
    return {"bool": "boolean", "int": "int64", "float": "float64", "text": "string", "time": "timestamp"}[kind]


def common_type(types: list[str]) -> str:
    """Int64 with Int64 stays Int64, any Float64 makes it Float64, Categorical with text is text."""
    known = {kind for kind in types if kind != "null"}
    if known == {"int64", "float64"}:
        return "float64"
    if known == {"categorical", "string"}:
        return "string"
    (kind,) = known
    return kind


TYPES = {
    **dict.fromkeys(("div", "pow", "exp", "log1p", "sqrt", "floor", "cast_float64", "haversine"), "float64"),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "not", "is_null", "is_in"), "boolean"),
    **dict.fromkeys(("cast_int64", "dt_hour", "dt_weekday", "str_len"), "int64"),
    "str_lower": "string",
}


# --- Arithmetic --------------------------------------------------------------------------------------------------


def whole(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Int64 with Int64 stays Int64, null on overflow; any Float64 makes it Float64."""

    def computed(*arguments: Any) -> Any:
        if all(isinstance(argument, int) for argument in arguments):
            result = compute(*arguments)
            return result if result is None or INT64_MIN <= result <= INT64_MAX else None
        return compute(*(float(argument) for argument in arguments))

    return computed


def div(a: float, b: float) -> float:
    """Always Float64, IEEE 754."""
    a, b = float(a), float(b)
    if b != 0.0:
        return a / b
    if a == 0.0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def floordiv(a: Any, b: Any) -> Any:
    if isinstance(b, int):
        return None if b == 0 else a // b
    return div(a, b) if b == 0.0 else a // b


def mod(a: Any, b: Any) -> Any:
    if isinstance(b, int):
        return None if b == 0 else a % b
    return math.nan if b == 0.0 else a % b


def pow_(a: float, b: float) -> float:
    a, b = float(a), float(b)
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:  # a negative number to a fraction; zero to a negative
        if a != 0.0:
            return math.nan
        return math.copysign(math.inf, a) if b % 2 == 1 else math.inf


def exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log1p(x: float) -> float:
    if x == -1:
        return -math.inf
    return math.log1p(x) if x > -1 else math.nan


def sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0 else math.nan


def floor(x: float) -> float:
    x = float(x)
    if not math.isfinite(x):
        return x
    return math.copysign(float(math.floor(x)), x)


def cast_int64(x: Any) -> int | None:
    """Cuts off; null when it does not fit."""
    if isinstance(x, float):
        if not math.isfinite(x):
            return None
        x = math.trunc(x)
    return int(x) if INT64_MIN <= x <= INT64_MAX else None


def haversine(lat1: Any, lon1: Any, lat2: Any, lon2: Any) -> float:
    """Kilometres on a sphere, degrees in."""
    degrees = (lat1, lon1, lat2, lon2)
    if not all(math.isfinite(each) for each in degrees):
        return math.nan
    lat1, lon1, lat2, lon2 = map(math.radians, degrees)
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(max(0.0, half))))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": whole(operator.add),
    "sub": whole(operator.sub),
    "mul": whole(operator.mul),
    "neg": whole(operator.neg),
    "abs": whole(abs),
    "floordiv": whole(floordiv),
    "mod": whole(mod),
    "div": div,
    "pow": pow_,
    "exp": exp,
    "log1p": log1p,
    "sqrt": sqrt,
    "floor": floor,
    "cast_float64": float,
    "cast_int64": cast_int64,
    # Python compares an int with a float exactly, a NaN as IEEE 754 does, texts by code point: the order of UTF-8.
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "xor": operator.ne,
    "not": operator.not_,
    "str_lower": str.lower,
    "str_len": len,
    "haversine": haversine,
}

# Of whole seconds since 1970, which began on a Thursday; Monday is 1.
OF_AN_INSTANT: dict[str, Callable[[int], int]] = {
    "dt_hour": lambda seconds: seconds // 3_600 % 24,
    "dt_weekday": lambda seconds: (seconds // 86_400 + 3) % 7 + 1,
}


# --- What null does not spread through ---------------------------------------------------------------------------


def and_(a: bool | None, b: bool | None) -> bool | None:
    """Kleene: false & null is false."""
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def or_(a: bool | None, b: bool | None) -> bool | None:
    """Kleene: true | null is true."""
    if a is True or b is True:
        return True
    return None if a is None or b is None else False


def coalesce(*values: Any) -> Any:
    """The first that is not null."""
    return next((value for value in values if value is not None), None)


def when(condition: bool | None, then: Any, otherwise: Any) -> Any:
    return then if condition is True else otherwise


def clip(value: Any, lower: Any, upper: Any) -> Any:
    """A bound that is null bounds nothing; nothing is beyond a NaN, nor is a NaN beyond anything."""
    if value is None:
        return None
    if lower is not None and value < lower:
        value = lower
    return upper if upper is not None and value > upper else value


def is_in(value: Any, *constants: Any) -> bool | None:
    return None if value is None else any(value == constant for constant in constants if constant is not None)


SEES_NULL: dict[str, Callable[..., Any]] = {
    "is_null": lambda value: value is None,
    "fill_null": coalesce,
    "coalesce": coalesce,
    "when": when,
    "clip": clip,
    "is_in": is_in,
    "and": and_,
    "or": or_,
}
