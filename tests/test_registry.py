"""Nothing registered lacks a reference, a test, or a line in the docs; what is missing is said by name."""

import json
import re
from pathlib import Path

import fastfeat as ff
import pytest
import reference
import reference_expressions
from fastfeat import Stream, aggregations, col, count
from harness import definition

TESTS = Path(__file__).parent
SEMANTICS = (TESTS.parent / "docs" / "semantics.md").read_text()


def section(number):
    (found,) = re.findall(rf"^## {number}\. .*?(?=^## |\Z)", SEMANTICS, re.MULTILINE | re.DOTALL)
    return found


def table_names(number):
    """What the first column of the table in a section says in backticks."""
    rows = [line.split(" | ")[0] for line in section(number).splitlines() if line.startswith("| `")]
    return {name.split("(")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)}


DOCUMENTED = table_names(4)
OFFERED = {*aggregations.KINDS, "lag"}


def test_the_table_of_aggregations_was_found():
    assert {"count", "lag", "time_since_last"} <= DOCUMENTED


@pytest.mark.parametrize("name", sorted(DOCUMENTED | OFFERED | set(reference.AGGREGATIONS)))
def test_aggregation_is_offered_documented_judged_and_tested(name):
    wanted = {
        "a builder in fastfeat.aggregations": name in OFFERED,
        "a line in docs/semantics.md, section 4": name in DOCUMENTED,
        "a function in tests/reference.py": name in reference.AGGREGATIONS,
        f"tests/aggregations/test_{name}.py": (TESTS / "aggregations" / f"test_{name}.py").exists(),
    }
    missing = [what for what, is_there in wanted.items() if not is_there]
    assert not missing, f"aggregation `{name}` lacks {', '.join(missing)}"


@pytest.mark.parametrize("path", sorted((TESTS / "aggregations").glob("test_*.py")), ids=lambda path: path.stem)
def test_no_test_of_an_aggregation_that_is_gone(path):
    assert path.stem.removeprefix("test_") in OFFERED


@pytest.mark.parametrize("name", sorted(reference.WINDOWS))
def test_window_is_documented_judged_and_tested(name):
    assert (TESTS / "windows" / f"test_{name}.py").exists(), f"window `{name}` lacks tests/windows/test_{name}.py"
    line = {"rolling": "ff.rolling", "all": "| none |"}[name]
    assert line in section(2), f"window `{name}` lacks a line in section 2"


@pytest.mark.parametrize("path", sorted((TESTS / "windows").glob("test_*.py")), ids=lambda path: path.stem)
def test_no_test_of_a_window_that_is_gone(path):
    assert path.stem.removeprefix("test_") in reference.WINDOWS


def functions_written():
    """The functions that the expressions of section 5 write into a definition, by making one of each."""
    a, b, c, t = col("a"), col("b"), col("c"), col("ts")
    numbers = [a + a, a - a, a * a, a / a, a // a, a % a, a**a, -a, a.abs(), a.exp(), a.log1p(), a.sqrt(), a.floor()]
    compared = [a == b, a != b, a < b, a <= b, a > b, a >= b, c & c, c | c, c ^ c, ~c]
    others = [a.is_null(), a.fill_null(0.0), ff.coalesce(a, b), ff.when(c).then(a).otherwise(b), t - t]
    casts = [b.cast(ff.Float64()), a.cast(ff.Int64()), c.cast(ff.Int64())]
    stream = Stream("s", {"ts": ff.Timestamp("us"), "a": ff.Float64(), "b": ff.Int64(), "c": ff.Boolean()}, time="ts")
    made = [*numbers, *compared, *others, *casts]
    features = stream.features(**{f"f{place}": expression for place, expression in enumerate(made)})
    return {feature["expression"]["function"] for feature in definition(features)["features"]}


def test_every_function_of_expressions_is_judged():
    judged = {*reference_expressions.FUNCTIONS, *reference_expressions.SEES_NULL}
    written = functions_written()
    assert not written - judged, f"no reference for {sorted(written - judged)}"
    assert not judged - written, f"no expression writes {sorted(judged - written)}"


def test_every_expression_method_is_in_the_docs():
    methods = {name for name in vars(ff.Expr) if not name.startswith("_")} - OFFERED - {"agg", "alias", "equals"}
    missing = {name for name in methods if name not in section(5)}
    assert not missing, f"docs/semantics.md, section 5, says nothing of {sorted(missing)}"


def test_definition_version_is_the_one_that_is_judged():
    stream = Stream("s", {"ts": ff.Timestamp("us")}, time="ts")
    assert json.loads(stream.features(n=count().over()).to_json())["version"] == 1
