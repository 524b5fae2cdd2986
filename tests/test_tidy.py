"""The rules of the house that reading the sources can check: who may use whom, and what stays out of a room."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python" / "fastfeat"
ENGINE = ROOT / "rust" / "engine"
MAY_IMPORT_CORE = {"engine.py", "errors.py", "compiler.py", "checkpoints.py", "packing.py"}
ASYNCIO_ROOMS = {"sources", "sinks", "worker"}
OPTIONAL = {"pyarrow", "polars", "lightgbm", "pandas", "aiokafka", "pyspark", "rich", "typer", "httpx"}
TOUCHES_THE_DISK = {ENGINE / "src" / "checkpoint" / "file.rs", ENGINE / "src" / "spill" / "file.rs"}
HAS_THREADS = {ENGINE / "src" / each for each in ("batch.rs", "batch/aside.rs", "checkpoint/parts.rs")}
LINES_MAX = 600

PYTHON = sorted(PACKAGE.rglob("*.py"))
RUST = sorted(path for path in (ROOT / "rust").rglob("*.rs") if "target" not in path.parts)
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path):
    return str(path.relative_to(ROOT))


def imports(path, top_level_only=False):
    """Full names of the modules that a file imports; `from a import b` counts as both `a` and `a.b`."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                package = ["fastfeat", *path.relative_to(PACKAGE).parent.parts]
                module = ".".join([*package[: len(package) - node.level + 1], *([module] if module else [])])
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def uses(path, *modules):
    return sorted(name for name in imports(path) if any(name == m or name.startswith(f"{m}.") for m in modules))


def code_of(path):
    """Rust without its comments and texts, roughly: enough to look for words."""
    text = re.sub(r'r#".*?"#|"(?:\\.|[^"\\])*"', '""', path.read_text(), flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)


def test_there_is_something_to_check():
    assert PYTHON
    assert RUST
    assert TESTS


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_only_the_doors_import_the_compiled_module(path):
    if name_of(path).removeprefix("python/fastfeat/") not in MAY_IMPORT_CORE:
        assert not uses(path, "fastfeat._core"), f"go through one of {sorted(MAY_IMPORT_CORE)}"


def test_sources_sinks_and_scorers_use_only_errors():
    for room in ("sources", "sinks", "scorers"):
        for path in sorted((PACKAGE / room).glob("*.py")):
            # What a position is, and what a fault means, is the protocol's to say.
            allowed = ("fastfeat", "fastfeat.errors", "fastfeat.protocol", f"fastfeat.{room}")
            others = [name for name in uses(path, "fastfeat") if name not in allowed]
            others = [name for name in others if not name.startswith(tuple(f"{one}." for one in allowed[1:]))]
            assert not others, f"{name_of(path)} uses {others}"


DEFINING = ("schema", "windows", "aggregations", "expressions", "nodes", "naming", "printing", "scoping", "streams")


@pytest.mark.parametrize("name", DEFINING)
def test_definitions_do_not_know_the_engine_nor_the_world(name):
    path = PACKAGE / f"{name}.py"
    if path.exists():
        later = ("engine", "backfill", "worker", "compiler", "sources", "sinks", "scorers", "_core")
        assert not uses(path, *(f"fastfeat.{module}" for module in later))
        assert not uses(path, "os", "io", "socket", "pathlib", "asyncio", "time", "logging"), "definitions do no I/O"


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_asyncio_stays_in_its_rooms(path):
    if not set(path.relative_to(PACKAGE).parts) & ASYNCIO_ROOMS:
        assert not uses(path, "asyncio")


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_optional_packages_are_not_needed_to_import(path):
    top = {name.split(".")[0] for name in imports(path, top_level_only=True)}
    assert not top & OPTIONAL, "import it where it is used, in its one file"


def test_init_has_names_and_nothing_else():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    others = [
        ast.unparse(node)
        for node in tree.body
        if not isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign))
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    assert not others


def test_the_reference_does_not_know_what_it_judges():
    for path in sorted((ROOT / "tests").glob("reference*.py")):
        assert not uses(path, "fastfeat", "numpy", "harness", "strategies"), name_of(path)


def test_the_engine_crate_does_not_know_python():
    for path in [*ENGINE.rglob("*.rs"), ENGINE / "Cargo.toml"]:
        text = code_of(path) if path.suffix == ".rs" else path.read_text()
        assert not re.search(r"\b(pyo3|PyResult|PyErr|numpy)\b", text), name_of(path)


@pytest.mark.parametrize("path", [path for path in RUST if ENGINE in path.parents], ids=name_of)
def test_the_engine_reads_no_clock_and_opens_nothing(path):
    if "tests" not in path.parts and "benches" not in path.parts and path not in TOUCHES_THE_DISK:
        world = r"\b(SystemTime|Instant::now|std::(?:net|fs|thread)|e?println!|log::(?:trace|debug|info|warn|error)!)"
        found = re.findall(world, code_of(path))
        assert not [name for name in found if path not in HAS_THREADS or name != "std::thread"]


def rust_uses(room):
    """Which rooms of the engine crate the files of a room name."""
    folder, file = ENGINE / "src" / room, ENGINE / "src" / f"{room}.rs"
    paths = [*folder.rglob("*.rs"), *([file] if file.exists() else [])]
    found = set()
    for path in paths:
        code = code_of(path)
        found |= set(re.findall(r"\bcrate::(\w+)", code))
        for group in re.findall(r"\bcrate::\{([^;]*)\}", code):
            found |= set(re.findall(r"(?:^|,)\s*(\w+)", group))
    return found - {room}


# STYLE, section 3: b may use a where `a -> b`; here: what a room must not use.
FORBIDDEN = {
    "aggregate": {"window", "state", "engine", "plan", "key", "codec"},
    "window": {"aggregate", "state", "engine", "plan", "key", "codec"},
    "derive": {"state", "engine", "aggregate", "window"},
    "state": {"engine", "codec"},
    "codec": {"window", "state", "aggregate", "engine"},
    "key": {"engine", "plan", "aggregate", "window"},
    "row": {"engine", "plan", "state", "aggregate", "window"},
    "output": {"engine", "plan", "state", "aggregate", "window", "codec", "event"},
    "event": {"engine", "plan", "state", "schema"},
    "definition": {"engine", "plan", "state", "event"},
    "plan": {"engine", "state", "checkpoint"},
    "encode": {"engine", "plan", "state", "aggregate", "window", "key", "checkpoint"},
}


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_rooms_of_the_engine_keep_to_their_arrows(room):
    wrong = rust_uses(room) & FORBIDDEN[room]
    assert not wrong, f"`{room}` uses {sorted(wrong)}; a new arrow is a commit of its own, with the reason"


@pytest.mark.parametrize("path", [*RUST, *PYTHON, *TESTS], ids=name_of)
def test_no_file_is_long(path):
    lines = len(path.read_text().splitlines())
    assert lines <= LINES_MAX, f"{lines} lines: two ideas in one room?"


@pytest.mark.parametrize("path", RUST, ids=name_of)
def test_expect_with_a_reason_and_never_a_bare_allow(path):
    code = re.sub(r"//[^\n]*", "", path.read_text())
    for word, attribute in re.findall(r"#!?\[[^]]*?\b(expect|allow)\((.*?)\)\s*\]", code, re.DOTALL):
        assert "reason" in attribute, f"{word}({attribute}) gives no reason; write #[expect(lint, reason = ...)]"


@pytest.mark.parametrize("path", [path for path in RUST if ENGINE in path.parents], ids=name_of)
def test_unsafe_says_who_guarantees_what(path):
    text = path.read_text()
    assert len(re.findall(r"\bunsafe\s*\{", code_of(path))) <= len(re.findall(r"// SAFETY:", text))


@pytest.mark.parametrize("path", [*PYTHON, *TESTS], ids=name_of)
def test_nothing_is_left_undone(path):
    left = ("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error", "pytest." + "skip", "mark." + "xfail")
    assert not [word for word in left if word in path.read_text()]
