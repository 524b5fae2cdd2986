"""The reference: a page for every registered name, and every example on it is run."""

import doctest
import re
from pathlib import Path

import pytest
from fastfeat import aggregations, formats, printing, windows

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
INDEX = REFERENCE / "README.md"
PAGES = [INDEX, *sorted(REFERENCE.glob("*/*.md"))]
BLOCKS = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
COST = "Cost: see [what an event costs](../costs.md)."

METHODS = {"abs", "exp", "log1p", "sqrt", "floor", "clip", "is_in", "is_null", "fill_null", "when", "lookup"}
TABLES = (printing.BINARY, printing.UNARY, printing.CASTS, printing.METHODS, printing.FREE)
NAMES = {
    "aggregations": {*aggregations.KINDS, *aggregations.WITH_ARGUMENTS},
    "windows": {"all", *(kind.__name__.lower() for kind in windows.WINDOWS)},
    "functions": METHODS.union(*TABLES),
    "formats": {kind.name for kind in formats.KINDS},
}


def name_of(path):
    return str(path.relative_to(REFERENCE))


def blocks(path):
    """Each block of Python with the line it starts at, so that an error points into the page."""
    text = path.read_text()
    return [(text[: match.start(1)].count("\n"), match[1]) for match in BLOCKS.finditer(text)]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_example_is_true(path):
    _, prelude = blocks(INDEX)[0]
    names = {}
    exec(compile(prelude, str(INDEX), "exec"), names)
    examples = [(line, block) for line, block in blocks(path) if ">>>" in block]
    assert examples, f"{name_of(path)} has no example"
    for line, block in examples:
        test = doctest.DocTestParser().get_doctest(block, names, name_of(path), str(path), line)
        told = []
        failed, _ = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
        assert not failed, "".join(told)


@pytest.mark.parametrize("room", NAMES)
def test_every_name_has_a_page_and_every_page_a_name(room):
    assert {path.stem for path in (REFERENCE / room).glob("*.md")} == NAMES[room]


@pytest.mark.parametrize("path", PAGES[1:], ids=name_of)
def test_a_page_has_its_name_its_cost_and_a_place_in_the_index(path):
    text = path.read_text()
    assert text.startswith("# ")
    assert COST in text
    assert f"]({name_of(path)})" in INDEX.read_text()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_leads_somewhere(path):
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    assert not [link for link in links if "://" not in link and not (path.parent / link).exists()]
