"""The gates of `make bench` close when the code gets slow, and say which, how slow, and the limit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from gates import failures, quantiles

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BENCHES = Path(__file__).parents[1] / "benches"
GATES = {"events_min": 20_000, "score_online": {"p99_9_us": 1000}, "push_online": {"p50_us": 10}}
FAST = {"score_online": {"p99_9_us": 80.0}, "push_online": {"p50_us": 2.5}}


def test_fast_enough_passes():
    assert failures(FAST, GATES) == []


def test_a_delay_in_one_call_of_five_hundred_closes_the_gate_of_score():
    delayed = [3e-6] * 998 + [1.2e-3] * 2
    measured = {**FAST, "score_online": quantiles(delayed)}
    assert failures(measured, GATES) == ["gate score_online.p99_9_us: measured 1200, the limit is 1000"]


def test_reaching_the_limit_is_failing():
    assert failures({"push_online": {"p50_us": 10.0}}, GATES) == [
        "gate push_online.p50_us: measured 10, the limit is 10"
    ]


def test_a_number_that_is_missing_or_not_a_number_fails():
    assert failures({"push_online": {}}, GATES) == ["gate push_online.p50_us: was not measured, the limit is 10"]
    assert len(failures({"push_online": {"p50_us": float("nan")}}, GATES)) == 1


def test_a_benchmark_that_was_not_run_is_not_judged():
    assert failures({}, GATES) == []


def test_quantiles_are_values_that_were_measured():
    assert quantiles([i * 1e-6 for i in range(1, 1001)]) == pytest.approx(
        {"p50_us": 500, "p99_us": 990, "p99_9_us": 999, "max_us": 1000}
    )
    assert quantiles([5e-6])["p50_us"] == pytest.approx(5)


# Every gate, and the benchmark that measures it.
MEASURED_BY = {
    ("push_online", "p50_us"): "test_latency.py::test_push",
    ("score_online", "p99_9_us"): "test_latency.py::test_score",
    ("core_online", "ratio_to_plain"): "test_ratios.py::test_core",
    ("cards_18_ratio_batch", "ratio_to_plain"): "test_ratios.py::test_batch",
    ("cards_30_ratio_batch", "ratio_to_plain"): "test_ratios.py::test_batch",
    ("one_window_more_online", "ratio_to_plain"): "test_ratios.py::test_a_window_more",
    ("late_events_online", "ratio_to_sorted"): "test_ratios.py::test_late_events",
    ("increment_batch", "mb_per_million"): "test_checkpoint.py::test_increments",
    ("increment_batch", "s_per_million"): "test_checkpoint.py::test_increments",
    ("increment_batch", "replay_us"): "test_checkpoint.py::test_increments",
    ("restore_batch", "ratio_to_read"): "test_checkpoint.py::test_restore",
    ("while_written_online", "p99_9_us"): "test_checkpoint.py::test_while_written",
    ("while_written_online", "p99_9_ratio"): "test_checkpoint.py::test_while_written",
    ("while_written_online", "longest_used_us"): "test_checkpoint.py::test_while_written",
    ("while_written_online", "longest_share"): "test_checkpoint.py::test_while_written",
    ("while_written_online", "instant_us"): "test_checkpoint.py::test_while_written",
}
HELD = [(name, number, limit) for name, limits in tomllib.loads((BENCHES / "gates.toml").read_text()).items()
        if isinstance(limits, dict) for number, limit in limits.items()]  # fmt: skip


def test_every_gate_has_a_benchmark_that_measures_it():
    assert {(name, number) for name, number, _ in HELD} == set(MEASURED_BY)


@pytest.mark.parametrize(("name", "number", "limit"), HELD)
def test_every_gate_closes_at_its_limit(name, number, limit):
    gates = tomllib.loads((BENCHES / "gates.toml").read_text())
    just_below = {each: limit * 0.999 for each, limit in gates[name].items()}
    assert failures({name: just_below}, gates) == []
    assert len(failures({name: just_below | {number: limit}}, gates)) == 1


def bench(tmp_path, gates, delay_us, *benchmarks, **environment):
    """A run of few events, held to these gates, in which every event takes so much longer."""
    (tmp_path / "gates.toml").write_text("events_min = 500\n" + gates)
    options = ["-q", "--gates", str(tmp_path / "gates.toml"), "--results", str(tmp_path / "results")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *(str(BENCHES / each) for each in benchmarks), *options],
        cwd=BENCHES.parent,
        env={**os.environ, "FASTFEAT_BENCH_EVENTS": "500", "FASTFEAT_BENCH_DELAY_US": str(delay_us), **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("delay_us", "gate_closes"), [(0, False), (20_000, True)])
@pytest.mark.parametrize("gate", [("push_online", "p50_us"), ("score_online", "p99_9_us")])
def test_a_delay_in_a_call_fails_the_run(tmp_path, gate, delay_us, gate_closes):
    run = bench(tmp_path, f"[{gate[0]}]\n{gate[1]} = 15_000\n", delay_us, MEASURED_BY[gate])
    assert run.returncode == int(gate_closes), run.stdout + run.stderr
    assert (f"FAILED gate {gate[0]}.{gate[1]}: measured " in run.stdout) == gate_closes, run.stdout


RATIOS = [gate for gate in MEASURED_BY if gate[1] == "ratio_to_plain" and gate[0] != "one_window_more_online"]


@pytest.mark.parametrize(("delay_us", "gate_closes"), [(0, False), (5_000, True)])
def test_a_delay_in_the_engine_closes_every_gate_against_the_plain_loop(tmp_path, delay_us, gate_closes):
    # 5,000 us are thousands of times what the loop takes; without a delay, a first turn of few events is tens of times.
    gates = "".join(f"[{name}]\n{number} = 500\n" for name, number in RATIOS)
    run = bench(tmp_path, gates, delay_us, "test_ratios.py")
    assert run.returncode == int(gate_closes), run.stdout + run.stderr
    for name, number in RATIOS:
        assert (f"FAILED gate {name}.{number}" in run.stdout) == gate_closes, run.stdout


def test_a_delay_in_what_is_compared_with_fastfeat_itself_closes_its_gates(tmp_path):
    names = {"one_window_more_online": "ratio_to_plain", "late_events_online": "ratio_to_sorted"}
    gates = "".join(f"[{name}]\n{number} = 500\n" for name, number in names.items())
    run = bench(tmp_path, gates, 5_000, "test_ratios.py", FASTFEAT_BENCH_DELAY_IN="four_windows,late")
    assert run.returncode == 1, run.stdout + run.stderr
    for name, number in names.items():
        assert f"FAILED gate {name}.{number}" in run.stdout, run.stdout


@pytest.mark.parametrize(("delay_us", "gate_closes"), [(0, False), (500_000, True)])
def test_a_restore_that_waits_closes_its_gate(tmp_path, delay_us, gate_closes):
    # A file of 500 events is read in some microseconds.
    benchmark = MEASURED_BY["restore_batch", "ratio_to_read"]
    run = bench(tmp_path, "[restore_batch]\nratio_to_read = 100\n", delay_us, benchmark)
    assert run.returncode == int(gate_closes), run.stdout + run.stderr
    assert ("FAILED gate restore_batch.ratio_to_read" in run.stdout) == gate_closes, run.stdout


@pytest.mark.parametrize(("delay_us", "gate_closes"), [(0, False), (500_000, True)])
def test_a_push_that_waits_for_a_checkpoint_closes_its_gates(tmp_path, delay_us, gate_closes):
    names = ("p99_9_us", "longest_share")
    run = bench(
        tmp_path,
        "[while_written_online]\np99_9_us = 150_000\nlongest_share = 5\n",
        delay_us,
        MEASURED_BY["while_written_online", "p99_9_us"],
    )
    assert run.returncode == int(gate_closes), run.stdout + run.stderr
    for name in names:
        assert (f"FAILED gate while_written_online.{name}" in run.stdout) == gate_closes, run.stdout
