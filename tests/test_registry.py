"""Nothing registered lacks a builder, a reference, a test, or its place in the docs; what it lacks is said by name."""

import json
import re
from pathlib import Path

import fastfeat as ff
import pytest
import reference
import reference_expressions
from fastfeat import Lookup, Stream, _core, aggregations, col, count, printing, windows
from harness import definition

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
SEMANTICS = (DOCS / "semantics.md").read_text()
REGISTRY = _core.registry()
JUDGED = re.compile(r"\b(properties\.equals_reference|assert_equals_reference)\(")

AGGREGATIONS = {*aggregations.KINDS, *aggregations.WITH_ARGUMENTS}
WINDOWS = {"all", *(kind.__name__.lower() for kind in windows.WINDOWS)}
# A lookup is no function of the registry: it reads rows, and has a page beside them.
PAGES_BESIDE = {"lookup"}


def section(number):
    (found,) = re.findall(rf"^## {number}\. .*?(?=^## |\Z)", SEMANTICS, re.MULTILINE | re.DOTALL)
    return found


def in_tables(number):
    """What the first column of the table in a section says in backticks."""
    rows = [line.split(" | ")[0].replace("\\|", "|") for line in section(number).splitlines() if line.startswith("| ")]
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


NAMED = {code.split("(")[0] for code in in_tables(4)}


def is_judged(path):
    """Whether a test file is there, and holds its name to the reference over generated events."""
    return path.exists() and JUDGED.search(path.read_text()) is not None


def missing(wanted):
    return ", ".join(what for what, is_there in wanted.items() if not is_there)


def test_the_registry_has_every_kind_and_no_name_twice():
    assert set(REGISTRY) == {"aggregations", "windows", "functions"}
    for kind, names in REGISTRY.items():
        assert names, kind
        assert len(set(names)) == len(names), kind


def test_what_the_tables_of_the_docs_say_was_found():
    assert {"count", "lag", "time_since_last"} <= NAMED
    assert "ff.session" in {code.split("(")[0] for code in in_tables(2)}


@pytest.mark.parametrize("name", sorted({*REGISTRY["aggregations"], *AGGREGATIONS, *reference.AGGREGATIONS, *NAMED}))
def test_aggregation_has_all_it_needs(name):
    lacks = missing(
        {
            "a line in the registry, rust/engine/src/aggregate/mod.rs": name in REGISTRY["aggregations"],
            "a builder in fastfeat.aggregations": name in AGGREGATIONS,
            "a method of col(...), or a function of fastfeat": hasattr(ff.Expr, name) or hasattr(ff, name),
            "a function in tests/reference_aggregations.py": name in reference.AGGREGATIONS,
            f"tests/aggregations/test_{name}.py, equal to the reference": is_judged(
                TESTS / "aggregations" / f"test_{name}.py"
            ),
            "a line in docs/semantics.md, section 4": name in NAMED,
            f"a page docs/reference/aggregations/{name}.md": (
                DOCS / "reference" / "aggregations" / f"{name}.md"
            ).exists(),
        }
    )
    assert not lacks, f"aggregation `{name}` lacks {lacks}"


@pytest.mark.parametrize("name", sorted({*REGISTRY["windows"], *WINDOWS, *reference.WINDOWS}))
def test_window_has_all_it_needs(name):
    first_column = section(2)
    lacks = missing(
        {
            "a line in the registry, rust/engine/src/window/mod.rs": name in REGISTRY["windows"],
            "a class in fastfeat.windows": name in WINDOWS,
            "a chooser in tests/reference_windows.py": name in reference.WINDOWS,
            f"tests/windows/test_{name}.py, equal to the reference": is_judged(TESTS / "windows" / f"test_{name}.py"),
            "a line in docs/semantics.md, section 2": ("| none |" if name == "all" else f"ff.{name}(") in first_column,
            f"a page docs/reference/windows/{name}.md": (DOCS / "reference" / "windows" / f"{name}.md").exists(),
        }
    )
    assert not lacks, f"window `{name}` lacks {lacks}"


def written(name):
    """A function as it is written, or the part of it by which one knows it."""
    symbol = printing.BINARY.get(name) or printing.UNARY.get(name)
    return symbol or printing.CASTS.get(name) or printing.METHODS.get(name, name)


def is_shown(text):
    """Whether the table of section 5 has it: operators stand side by side in one piece of code, the rest by name."""
    if text[0].isalpha():
        return any(re.search(rf"(?<!\w){re.escape(text)}(?!\w)", code) for code in in_tables(5))
    return any(text in code.split() for code in in_tables(5))


def functions_written():
    """The functions that expressions write into a definition, by making one of each."""
    a, b, c, t, s = col("a"), col("b"), col("c"), col("ts"), col("s")
    numbers = [a + a, a - a, a * a, a / a, a // a, a % a, a**a, -a, a.abs(), a.exp(), a.log1p(), a.sqrt(), a.floor()]
    compared = [a == b, a != b, a < b, a <= b, a > b, a >= b, c & c, c | c, c ^ c, ~c, a.clip(0, 1), b.is_in([1])]
    others = [a.is_null(), a.fill_null(0.0), ff.coalesce(a, b), ff.when(c).then(a).otherwise(b), t - t]
    others += [t.dt.hour(), t.dt.weekday(), s.str.lower(), s.str.len(), ff.haversine(a, a, a, a)]
    casts = [b.cast(ff.Float64()), a.cast(ff.Int64()), c.cast(ff.Int64())]
    fields = {"a": ff.Float64(), "b": ff.Int64(), "c": ff.Boolean(), "s": ff.String()}
    stream = Stream("stream", {"ts": ff.Timestamp("us"), **fields}, time="ts")
    made = [*numbers, *compared, *others, *casts]
    features = stream.features(**{f"f{place}": expression for place, expression in enumerate(made)})
    return {feature["expression"]["function"] for feature in definition(features)["features"]}


BUILT = functions_written()
REFERRED = {
    name for table in ("FUNCTIONS", "OF_AN_INSTANT", "SEES_NULL") for name in vars(reference_expressions)[table]
}


@pytest.mark.parametrize("name", sorted({*REGISTRY["functions"], *BUILT, *REFERRED}))
def test_function_has_all_it_needs(name):
    lacks = missing(
        {
            "a line in the registry, rust/engine/src/derive/mod.rs": name in REGISTRY["functions"],
            "an expression that writes it": name in BUILT,
            "a function in tests/reference_expressions.py": name in REFERRED,
            f"a line in docs/semantics.md, section 5, with `{written(name)}`": is_shown(written(name)),
            f"a page docs/reference/functions/{name}.md": (DOCS / "reference" / "functions" / f"{name}.md").exists(),
        }
    )
    assert not lacks, f"function `{name}` lacks {lacks}"


@pytest.mark.parametrize(
    ("room", "kind", "beside"),
    [("aggregations", "aggregations", set()), ("windows", "windows", set()), ("functions", "functions", PAGES_BESIDE)],
)
def test_nothing_is_tested_or_has_a_page_that_is_gone(room, kind, beside):
    tested = {path.stem.removeprefix("test_") for path in (TESTS / room).glob("test_*.py")}
    pages = {path.stem for path in (DOCS / "reference" / room).glob("*.md")}
    gone = (tested | pages) - {*REGISTRY[kind], *beside}
    assert not gone, f"there are tests or pages of {sorted(gone)}, which no registry has"


def test_every_method_of_expressions_is_in_the_docs():
    methods = {name for name in vars(ff.Expr) if not name.startswith("_")} - AGGREGATIONS - {"agg", "alias", "equals"}
    lacking = {name for name in methods if name not in section(5)}
    assert not lacking, f"docs/semantics.md, section 5, says nothing of {sorted(lacking)}"


def test_a_lookup_is_no_function_and_has_its_page():
    assert not PAGES_BESIDE & {*REGISTRY["functions"]}
    stream = Stream("s", {"ts": ff.Timestamp("us"), "shop": ff.Int64()}, time="ts")
    shops = Lookup("shops", key="shop", columns={"shop": ff.Int64(), "size": ff.Int64()})
    (feature,) = definition(stream.features(size=shops["size"]))["features"]
    assert "function" not in feature["expression"]
    assert (DOCS / "reference" / "functions" / "lookup.md").exists()


def test_definition_version_is_the_one_that_is_judged():
    stream = Stream("s", {"ts": ff.Timestamp("us")}, time="ts")
    assert json.loads(stream.features(n=count().over()).to_json())["version"] == 1
