"""`fastfeat bench` as people call it: what it prints, what it refuses, its exit codes, and that help is quick."""

import json
import os
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastfeat.commands import bench

APP = """
import fastfeat as ff
from fastfeat import Engine, Stream, col

payments = Stream("payments", {"ts": ff.Timestamp("us"), "card": ff.String(), "amount": ff.Float64(ge=0)}, time="ts")
features = payments.features(
    spend=col("amount").sum().over("card", "1h", "24h"), most=col("amount").max().over("card", "24h")
)
engine = Engine(features)
number = 7
"""
EVENTS = [{"ts": i * 60_000_000, "card": f"c-{i % 5}", "amount": float(i % 9)} for i in range(400)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "app_of_a_user.py").write_text(APP)
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    table = pa.table({"ts": pa.array([e["ts"] for e in EVENTS], pa.timestamp("us", "UTC")),
                      "card": [e["card"] for e in EVENTS], "amount": [e["amount"] for e in EVENTS]})  # fmt: skip
    pq.write_table(table, tmp_path / "events.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "app_of_a_user", raising=False)
    return tmp_path


def run(target="app_of_a_user:features", events=("events.jsonl",), budget_us=None, as_json=False):
    return bench.run(target, list(events), budget_us, None, 1_000, 1, as_json)


@pytest.mark.parametrize("events", ["events.jsonl", "events.parquet", "payments=events.jsonl"])
def test_json_has_every_number(folder, capsys, events):
    assert run(events=[events], as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["events"] == 200
    assert found["refused"] == 0
    assert found["bytes_per_key"] > 0
    assert set(found["stages"]) == {"read", "find", "answer", "store", "row", "give"}
    assert {each["what"] for each in found["changes"] if each["kind"] == "feature"} == {
        "drop spend_1h", "drop spend_24h", "drop most",
    }  # fmt: skip


def test_the_table_names_stages_and_features(folder, capsys):
    assert run(target="app_of_a_user:engine") == 0
    text = capsys.readouterr().out
    assert "us an event" in text
    for word in ("answer", "store", "drop most", "step by card over 24h every 30m"):
        assert word in text


def test_a_budget_that_is_missed_is_exit_code_1_and_told(folder, capsys):
    assert run(budget_us=0.001) == 1
    assert "missed by" in capsys.readouterr().out


def test_a_budget_that_is_met_is_exit_code_0(folder, capsys):
    assert run(budget_us=10_000.0) == 0
    assert "met" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"target": "app_of_a_user"}, "write module:object"),
        ({"target": "no_such_module:features"}, "run it where the module is, or set PYTHONPATH"),
        ({"target": "app_of_a_user:featurs"}, "`features`"),
        ({"target": "app_of_a_user:number"}, "name what stream.features(...) returned"),
        ({"events": ["nothing.jsonl"]}, "`nothing.jsonl` is no file"),
        ({"events": ["app_of_a_user.py"]}, "end in `.py`"),
        ({"events": ["logins=events.jsonl"]}, "no stream `logins`"),
        ({"events": ["events.jsonl", "events.parquet"]}, "has a file already"),
    ],
)
def test_what_cannot_be_measured_is_exit_code_2_and_says_the_way_out(folder, capsys, options, told):
    assert run(**options) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""


def test_a_damaged_parquet_file_is_exit_code_2(folder, capsys):
    (folder / "bad.parquet").write_bytes(b"not parquet at all")
    assert run(events=["bad.parquet"]) == 2
    assert "no Parquet file" in capsys.readouterr().err


def test_events_that_are_all_refused_say_why(folder, capsys):
    (folder / "bad.jsonl").write_text('{"ts": 1, "card": "c", "amount": -1}\n' * 10)
    assert run(events=["bad.jsonl"]) == 2
    assert "amount" in capsys.readouterr().err


def command(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "fastfeat", *arguments], capture_output=True, text=True, **options)


def test_the_command_runs(folder):
    answer = command("bench", "app_of_a_user:features", "--events", "events.jsonl", "--repeats", "1", "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["events"] == 200


def test_a_wrong_option_is_exit_code_2(folder):
    assert command("bench", "app_of_a_user:features").returncode == 2


def test_without_typer_it_says_what_to_install(tmp_path):
    (tmp_path / "typer.py").write_text("raise ImportError('no typer')")
    answer = command("--help", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert answer.returncode == 2
    assert 'pip install "fastfeat[cli]"' in answer.stderr


def test_help_loads_nothing_that_it_does_not_need():
    code = "import sys, fastfeat.__main__ as m; sys.argv = ['fastfeat', '--help']\n"
    code += "try: m.main()\nexcept SystemExit: pass\n"
    code += (
        "heavy = {'numpy', 'pyarrow', 'rich.console', 'lightgbm', 'fastfeat.costs'} & set(sys.modules); print(heavy)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "bench" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "set()"


def test_help_is_there_at_once():
    def seconds(run):
        start = time.perf_counter()
        assert run().returncode == 0
        return time.perf_counter() - start

    def bare():
        return subprocess.run([sys.executable, "-c", "pass"], check=False)

    # The best of several: other tests, and other people, use the machine.
    # A busy machine takes longer to start any interpreter.
    times = [(seconds(lambda: command("--help")), seconds(bare)) for _ in range(7)]
    assert min(one for one, _ in times) < max(0.15 * 2, 20 * min(other for _, other in times))
