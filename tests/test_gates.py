"""The gates of `make bench` close when the code gets slow, and say which, how slow, and the limit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from gates import failures, quantiles

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


@pytest.mark.parametrize(("delay_us", "gate_closes"), [(0, False), (20_000, True)])
def test_a_delay_in_push_fails_the_run(tmp_path, delay_us, gate_closes):
    gates = tmp_path / "gates.toml"
    gates.write_text("events_min = 500\n[push_online]\np50_us = 10_000\n")
    options = ["-q", "--gates", str(gates), "--results", str(tmp_path / "results")]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", f"{BENCHES / 'test_latency.py'}::test_push", *options],
        cwd=BENCHES.parent,
        env={**os.environ, "FASTFEAT_BENCH_EVENTS": "500", "FASTFEAT_BENCH_DELAY_US": str(delay_us)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == int(gate_closes), run.stdout + run.stderr
    assert ("FAILED gate push_online.p50_us: measured 2" in run.stdout) == gate_closes, run.stdout
