"""Nothing registered lacks a builder, a reference, a test, a line in the docs or a page; what is missing is named."""

import json
import re
from pathlib import Path

import fastfeat as ff
import pytest
import reference_aggregations
import reference_expressions
import reference_windows
import strategies_aggregations
from fastfeat import Stream, _core, aggregations, col, count, formats, windows
from harness import definition

TESTS = Path(__file__).parent
ROOT = TESTS.parent
SEMANTICS = (ROOT / "docs" / "semantics.md").read_text()
SOURCES = ROOT / "rust" / "engine" / "src"
REFERENCE = ROOT / "docs" / "reference"


def section(number):
    (found,) = re.findall(rf"^## {number}\. .*?(?=^## |\Z)", SEMANTICS, re.MULTILINE | re.DOTALL)
    return found


def table_names(number):
    """What the first column of the table in a section says in backticks."""
    rows = [line.split(" | ")[0] for line in section(number).splitlines() if line.startswith("| `")]
    return {name.split("(")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)}


def registered(path, macro, pattern):
    """The names in the lines of a registry, which is a macro of the engine's."""
    (lines,) = re.findall(rf"^{macro}! \{{\n(.*?)^\}}", (SOURCES / path).read_text(), re.MULTILINE | re.DOTALL)
    return re.findall(pattern, lines, re.MULTILINE)


AGGREGATIONS = set(registered("aggregate/mod.rs", "aggregates", r"^    \d+, (\w+);"))
WINDOWS = set(registered("window/mod.rs", "windows", r'^    \d+, "(\w+)"'))
FUNCTIONS = set(registered("derive/mod.rs", "functions", r'^    "(\w+)"'))
BUILT = {*aggregations.KINDS, *aggregations.WITH_ARGUMENTS}
BUILT_WINDOWS = {"all", *(kind.__name__.lower() for kind in windows.WINDOWS)}
JUDGED_FUNCTIONS = {
    *reference_expressions.FUNCTIONS,
    *reference_expressions.SEES_NULL,
    *reference_expressions.OF_AN_INSTANT,
}


def refuse_missing(what, wanted):
    missing = [each for each, is_there in wanted.items() if not is_there]
    assert not missing, f"{what} lacks {', '.join(missing)}"


def test_the_registries_and_the_tables_were_found():
    assert {"count", "lag", "time_since_last", "ewm_sum"} <= AGGREGATIONS & table_names(4)
    assert {"rolling", "all", "since"} <= WINDOWS
    assert {"add", "when", "haversine"} <= FUNCTIONS


@pytest.mark.parametrize(
    ("path", "macro"),
    [("aggregate/mod.rs", "aggregates"), ("window/mod.rs", "windows")],
    ids=["aggregations", "windows"],
)
def test_numbers_that_go_into_checkpoints_are_never_used_twice(path, macro):
    numbers = registered(path, macro, r"^    (\d+),")
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    "name", sorted(AGGREGATIONS | BUILT | table_names(4) | set(reference_aggregations.AGGREGATIONS))
)
def test_aggregation_is_registered_offered_documented_judged_drawn_and_tested(name):
    refuse_missing(
        f"aggregation `{name}`",
        {
            "a line in rust/engine/src/aggregate/mod.rs": name in AGGREGATIONS,
            "a builder in fastfeat.aggregations": name in BUILT,
            "a method of Expr": hasattr(ff.Expr, name),
            "a line in docs/semantics.md, section 4": name in table_names(4),
            f"docs/reference/aggregations/{name}.md": (REFERENCE / "aggregations" / f"{name}.md").exists(),
            "a function in tests/reference_aggregations.py": name in reference_aggregations.AGGREGATIONS,
            "a place in tests/strategies_aggregations.py": name
            in (*strategies_aggregations.WHOLE, *strategies_aggregations.INEXACT),
            f"tests/aggregations/test_{name}.py": (TESTS / "aggregations" / f"test_{name}.py").exists(),
        },
    )


@pytest.mark.parametrize("path", sorted((TESTS / "aggregations").glob("test_*.py")), ids=lambda path: path.stem)
def test_aggregation_is_tested_for_its_three_properties(path):
    assert path.stem.removeprefix("test_") in AGGREGATIONS, "it tests an aggregation that is gone"
    text = path.read_text()
    properties = ("equals_reference", "leaves_no_trace", "order_of_arrival_does_not_matter")
    refuse_missing(path.name, {name: f"properties.{name}(" in text for name in properties})


@pytest.mark.parametrize("name", sorted(WINDOWS | BUILT_WINDOWS | set(reference_windows.WINDOWS)))
def test_window_is_registered_offered_documented_judged_drawn_and_tested(name):
    line = "| none |" if name == "all" else f"`ff.{name}("
    refuse_missing(
        f"window `{name}`",
        {
            "a line in rust/engine/src/window/mod.rs": name in WINDOWS,
            "a class in fastfeat.windows": name in BUILT_WINDOWS,
            "a builder in fastfeat": name == "all" or hasattr(ff, name),
            "a line in docs/semantics.md, section 2": line in section(2) or f"ff.{name}(" in section(2),
            f"docs/reference/windows/{name}.md": (REFERENCE / "windows" / f"{name}.md").exists(),
            "a function in tests/reference_windows.py": name in reference_windows.WINDOWS,
            "a place in tests/strategies_aggregations.py": name in strategies_aggregations.WINDOW_KINDS,
            f"tests/windows/test_{name}.py": (TESTS / "windows" / f"test_{name}.py").exists(),
        },
    )


@pytest.mark.parametrize("path", sorted((TESTS / "windows").glob("test_*.py")), ids=lambda path: path.stem)
def test_no_test_of_a_window_that_is_gone(path):
    assert path.stem.removeprefix("test_") in WINDOWS


def functions_written():
    """The functions that the expressions of section 5 write into a definition, by making one of each."""
    a, b, c, t, s = col("a"), col("b"), col("c"), col("ts"), col("s")
    numbers = [a + a, a - a, a * a, a / a, a // a, a % a, a**a, -a, a.abs(), a.exp(), a.log1p(), a.sqrt(), a.floor()]
    compared = [a == b, a != b, a < b, a <= b, a > b, a >= b, c & c, c | c, c ^ c, ~c, a.is_in([1.0, 2.0])]
    others = [a.is_null(), a.fill_null(0.0), ff.coalesce(a, b), ff.when(c).then(a).otherwise(b), t - t, a.clip(0, 1)]
    parts = [t.dt.hour(), t.dt.weekday(), s.str.lower(), s.str.len(), ff.haversine(a, a, a, a)]
    casts = [b.cast(ff.Float64()), a.cast(ff.Int64()), c.cast(ff.Int64())]
    fields = {"ts": ff.Timestamp("us"), "a": ff.Float64(), "b": ff.Int64(), "c": ff.Boolean(), "s": ff.String()}
    made = [*numbers, *compared, *others, *parts, *casts]
    features = Stream("s", fields, time="ts").features(**{f"f{place}": each for place, each in enumerate(made)})
    return {feature["expression"]["function"] for feature in definition(features)["features"]}


# It takes any number of constants, so that it is no line of the registry, which says how many arguments a function has.
OF_ANY_NUMBER = {"is_in"}


@pytest.mark.parametrize("name", sorted(FUNCTIONS | JUDGED_FUNCTIONS | functions_written()))
def test_function_is_registered_written_documented_and_judged(name):
    refuse_missing(
        f"function `{name}`",
        {
            "a line in rust/engine/src/derive/mod.rs": name in FUNCTIONS | OF_ANY_NUMBER,
            "an expression that writes it": name in functions_written(),
            "a function in tests/reference_expressions.py": name in JUDGED_FUNCTIONS,
            f"docs/reference/functions/{name}.md": (REFERENCE / "functions" / f"{name}.md").exists(),
        },
    )


FORMATS = {kind.name for kind in formats.KINDS}
# Arrow IPC needs Arrow, which the engine crate does not know: its codec is in rust/python/src/ipc.rs.
CODECS = {*registered("codec/mod.rs", "codecs", r'^    "(\w+)"'), "arrow_ipc"}


@pytest.mark.parametrize("name", sorted(CODECS | FORMATS))
def test_codec_is_registered_offered_documented_and_tested(name):
    refuse_missing(
        f"codec `{name}`",
        {
            "a line in rust/engine/src/codec/mod.rs": name in CODECS and name in _core.registry()["codecs"],
            "a format in fastfeat.formats": name in FORMATS,
            f"docs/reference/formats/{name}.md": (REFERENCE / "formats" / f"{name}.md").exists(),
            "a test in tests/codecs": any(name in path.stem for path in (TESTS / "codecs").glob("test_*.py")),
        },
    )


def test_every_expression_method_is_in_the_docs():
    others = {"agg", "alias", "equals", "dt", "str"}
    methods = {name for name in vars(ff.Expr) if not name.startswith("_")} - BUILT - others
    missing = {name for name in methods if name not in section(5)}
    assert not missing, f"docs/semantics.md, section 5, says nothing of {sorted(missing)}"


def test_definition_version_is_the_one_that_is_judged():
    stream = Stream("s", {"ts": ff.Timestamp("us")}, time="ts")
    assert json.loads(stream.features(n=count().over()).to_json())["version"] == 1
