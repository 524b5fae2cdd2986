"""Expressions as text that a person can paste back: `col('amount').sum().over('card', '1h')`."""

from __future__ import annotations

import math
from typing import Final

from fastfeat.durations import reads_as_duration
from fastfeat.nodes import Aggregate, Alias, Call, Column, Constant, LookupColumn, Node
from fastfeat.schema import instant
from fastfeat.windows import AllTime, Rolling, Window

BINARY: Final = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "and": "&",
    "or": "|",
    "xor": "^",
}
UNARY: Final = {"neg": "-", "not": "~"}
METHODS: Final = {
    "dt_hour": "dt.hour",
    "dt_weekday": "dt.weekday",
    "str_lower": "str.lower",
    "str_len": "str.len",
}
FREE: Final = ("coalesce", "haversine")
CASTS: Final = {"cast_float64": "Float64()", "cast_int64": "Int64()"}
# With these a number on the left comes back as the left argument; `1 < x` would come back as `x > 1`.
_ORDERED: Final = frozenset(["add", "sub", "mul", "div", "floordiv", "mod", "pow"])


def show(node: Node) -> str:
    """The expression as Python source."""
    if isinstance(node, Column):
        return f"{node.stream.name}.col({node.name!r})" if node.stream else f"col({node.name!r})"
    if isinstance(node, Constant):
        return f"lit({_constant(node)})"
    if isinstance(node, Alias):
        return f"{_receiver(node.inner)}.alias({node.name!r})"
    if isinstance(node, LookupColumn):
        found = "" if node.key == Column(node.lookup.key) else f".on({show(node.key)})"
        return f"{node.lookup.name}{found}[{node.column!r}]"
    if isinstance(node, Aggregate):
        return show_aggregation(node) + _over(node)
    return _call(node)


def show_aggregation(node: Aggregate) -> str:
    """The part before `.over(...)`."""
    inside = ", ".join([*map(show, node.arguments[1:]), *map(repr, node.parameters)])
    kinds = f"{node.kinds[0]}({inside})" if len(node.kinds) == 1 else f"agg({', '.join(map(repr, node.kinds))})"
    where = "" if node.condition is None else f".where({show(node.condition)})"
    if node.arguments:
        return f"{_receiver(node.arguments[0])}.{kinds}{where}"
    return f"{node.stream.name}.{kinds}{where}" if node.stream else f"{kinds}{where}"


def show_window(window: Window) -> str:
    """The window as it stands in `over`: a plain length as its text."""
    plain = isinstance(window, Rolling) and window == Rolling(window.length)
    return repr(window.length) if plain and isinstance(window, Rolling) else repr(window)


def window_text(window: Window) -> str:
    """The window as a message repeats it, in backticks."""
    return f"`{show_window(window)}`".replace("`'", "`").replace("'`", "`")


def _over(node: Aggregate) -> str:
    keys = [
        f"col({key.name!r})" if reads_as_duration(key.name) else repr(key.name)
        for key in node.keys
        if key.expression is None
    ]
    windows = [show_window(window) for window in node.windows if not isinstance(window, AllTime)]
    choices = ["ties='exclude'"] if node.ties == "exclude" else []
    choices += ["include_current=False"] if not node.include_current and not choices else []
    named = [(key.name, show(key.expression)) for key in node.keys if key.expression is not None]
    return f".over({', '.join([*keys, *windows, *choices, *keywords(named)])})"


def keywords(items: list[tuple[str, str]]) -> list[str]:
    """Keyword arguments as source, also for names that are no identifiers."""
    plain = [f"{name}={text}" for name, text in items if name.isidentifier()]
    odd = [f"{name!r}: {text}" for name, text in items if not name.isidentifier()]
    return plain + ([f"**{{{', '.join(odd)}}}"] if odd else [])


def _call(node: Call) -> str:
    name, arguments = node.function, node.arguments
    if name in BINARY:
        left = arguments[0]
        plain = isinstance(left, Constant) and left.kind in ("int", "float") and name in _ORDERED
        plain = plain and not isinstance(arguments[1], Constant)
        first = _number(left) if plain and isinstance(left, Constant) else _receiver(left)
        right = arguments[1]
        plain = isinstance(right, Constant) and right.kind != "null"  # `x == None` is refused
        return f"{first} {BINARY[name]} {_argument(right) if plain else _receiver(right)}"
    if name in UNARY:
        return UNARY[name] + _receiver(arguments[0])
    if name in CASTS:
        return f"{_receiver(arguments[0])}.cast({CASTS[name]})"
    if name == "when":
        condition, then, otherwise = arguments
        return f"when({show(condition)}).then({_argument(then)}).otherwise({_argument(otherwise)})"
    rest = ", ".join(map(_argument, arguments if name in FREE else arguments[1:]))
    if name in FREE:
        return f"{name}({rest})"
    rest = f"[{rest}]" if name == "is_in" else rest
    return f"{_receiver(arguments[0])}.{METHODS.get(name, name)}({rest})"


def _receiver(node: Node) -> str:
    """What a method or an operator binds to: operators in parentheses."""
    operator = isinstance(node, Call) and (node.function in BINARY or node.function in UNARY)
    return f"({show(node)})" if operator else show(node)


def _argument(node: Node) -> str:
    return _constant(node) if isinstance(node, Constant) else show(node)


def _number(node: Constant) -> str:
    text = _constant(node)
    return f"({text})" if text.startswith("-") else text


def _constant(node: Constant) -> str:
    value = node.value
    if node.kind == "time" and isinstance(value, int):
        return f"datetime.fromisoformat({instant(value).isoformat()!r})"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    return repr(value)
