"""The yardsticks: they run on few events with answers that are checked, and what is made of their numbers is right."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMPARE = ROOT / "benches" / "compare"
NUMBERS = {
    "about": {
        "cpu": "a",
        "cores": 2,
        "memory_gib": 1.0,
        "python": "3",
        "date": "d",
        "events": 5,
        "repeats": 2,
        "load_before": 0,
    },
    "measured": {
        "fastfeat_core_cards_30": {
            "ns_per_event": [500.0, 600.0],
            "p50_us": [0.4, 0.5],
            "p99_us": [1.0, 1.0],
            "p99_9_us": [2.0, 2.5],
        },
        "plain_rust_cards_30": {
            "ns_per_event": [1000.0, 1100.0],
            "p50_us": [0.9, 1.0],
            "p99_us": [3.0, 3.0],
            "p99_9_us": [5.0, 9.0],
        },
        "fastfeat_core_cards_30_and_a_window": {"ns_per_event": [512.0, 600.0]},
        "keys_100_core": {"ns_per_event": [400.0, 400.0], "bytes_per_card": [90.0, 90.0], "events": [500, 500]},
        "keys_900_core": {"ns_per_event": [800.0, 800.0], "bytes_per_card": [80.0, 80.0], "events": [4500, 4500]},
        "fastfeat_1_cards_18": {"events_per_s": [5_000_000.0, 4_000_000.0]},
    },
    "missing": {"lleaves_row": "llvmlite has no wheel for this Python"},
}


@pytest.fixture(scope="module")
def module():
    """A module of the folder; nothing there is imported by anything but its scripts."""
    sys.path.insert(0, str(COMPARE))
    yield importlib.import_module
    sys.path.remove(str(COMPARE))


def script(name, *arguments):
    command = [sys.executable, str(COMPARE / f"{name}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("name", "measures"),
    [
        ("plain_rust", {"plain_rust_cards_18", "plain_rust_cards_30"}),
        ("python_deques", {"python_deques_cards_30"}),
        ("polars_rolling", {"polars_{threads}_cards_18", "polars_{threads}_cards_30"}),
        ("fastfeat_batch", {f"fastfeat_{threads}_cards_{work}" for threads in (1, 2) for work in (18, 30)}),
        ("fastfeat_push", {"fastfeat_push", "fastfeat_push_out", "fastfeat_push_json"}),
    ],
)
def test_a_script_runs_alone_and_prints_one_line(name, measures):
    answer = script(name, "--events", "2000")
    assert answer.returncode == 0, answer.stderr
    (line,) = answer.stdout.splitlines()
    measured = json.loads(line)["measured"]
    threads = next((each.split("_")[1] for each in measured if each.startswith("polars")), "")
    assert set(measured) == {each.format(threads=threads) for each in measures}


def test_sums_of_engines_agree(module):
    told = module("run").disagreements
    one = {"sums": {"x": 10.0, "y": 1.0}}
    assert told({"a_cards_18": [one], "b_cards_18": [{"sums": {"x": 10.0 + 1e-9}}]}) == []
    assert len(told({"a_cards_18": [one], "b_cards_18": [{"sums": {"x": 10.1}}]})) == 1


def test_best_is_the_largest_rate_and_the_smallest_time(module):
    runs = [
        {"p50_us": 2.0, "events_per_s": 5.0, "final_bits": "a"},
        {"p50_us": 1.0, "events_per_s": 9.0, "final_bits": "a"},
    ]
    assert module("run").best_and_worst(runs) == {
        "p50_us": [1.0, 2.0], "events_per_s": [9.0, 5.0], "final_bits": "a",
    }  # fmt: skip


def test_tables_say_ratios_and_what_did_not_run(module):
    report = module("report")
    result = report.Result(NUMBERS)
    forms = report.forms(result)
    assert "| engine against the plain Rust loop, `cards-30` | 500 ns an event | 0.50 times |" in forms
    assert "| +12 ns |" in forms
    assert "2.00 times 100 cards" in forms
    assert "did not run: llvmlite has no wheel for this Python" in report.one_row(result)
    assert "5,000,000 (4,000,000)" in report.batch(result)
    assert "0.40 (0.50)" in report.online(result)


def test_only_what_is_between_the_markers_changes(module):
    page = "a\n<!-- performance:begin -->\nold\n<!-- performance:end -->\nb\n"
    assert module("report").between(page, "new", "page") == page.replace("old", "new")
    with pytest.raises(SystemExit, match="markers"):
        module("report").between("a", "new", "page")


@pytest.mark.parametrize("page", ["README.md", "docs/performance.md"])
def test_pages_have_the_markers(module, page):
    text = (ROOT / page).read_text()
    assert "new" in module("report").between(text, "new", page)


def test_every_yardstick_is_a_script_with_requirements(module):
    for each in module("catalogue").scripts(1_000_000):
        assert (COMPARE / f"{each.name}.py").exists(), each.name
        assert each.requirements is None or (COMPARE / "requirements" / each.requirements).exists(), each.name
