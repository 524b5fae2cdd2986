"""`fastfeat run`: files in, the rows that one engine makes of the events out; nothing half done is left."""

import json
import math
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastfeat import Engine
from fastfeat.commands import run as command

APP = """
import fastfeat as ff
from fastfeat import Stream, col

payments = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "card": ff.String(), "amount": ff.Float64(ge=0, nullable=True)},
    time="ts",
)
logins = Stream("logins", {"ts": ff.Timestamp("us"), "card": ff.String()}, time="ts")
features = payments.features(spend=col("amount").sum().over("card", "1h"), logins=logins.count().over("card", "1h"))
pipeline = ff.Pipeline(
    "p", features, sources=[ff.Kafka("payments", stream=payments), ff.Kafka("logins", stream=logins)]
)
"""
EVENTS = [{"ts": i * 60_000_000, "card": f"c-{i % 5}", "amount": float(i % 9) / 7} for i in range(300)]
LOGINS = [{"ts": i * 90_000_000 + 1, "card": f"c-{i % 3}"} for i in range(150)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "pipeline_of_a_user.py").write_text(APP)
    lines = [json.dumps(event) for event in EVENTS]
    lines.insert(7, '{"ts": 1, "card": 3}')
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    (tmp_path / "logins.jsonl").write_text("\n".join(map(json.dumps, LOGINS)))
    pq.write_table(pa.Table.from_pylist(EVENTS), tmp_path / "events.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pipeline_of_a_user", raising=False)
    return tmp_path


def expected(with_logins=False):
    import pipeline_of_a_user as app

    engine = Engine(app.features, streams=[app.logins])
    merged = [(event["ts"], "payments", event) for event in EVENTS]
    merged += [(event["ts"], "logins", event) for event in LOGINS] if with_logins else []
    rows = [engine.push(event, stream=name) for _, name, event in sorted(merged, key=lambda one: one[0])]
    return [row.to_dict() for row in rows if row is not None]


def run(inputs, output, dead_letters=None):
    return command.run("pipeline_of_a_user:pipeline", inputs, output, dead_letters)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_lines_in_and_out(folder, capsys):
    assert run(["events.jsonl"], "out.jsonl", "dead.jsonl") == 0
    assert [line["features"] for line in lines(folder / "out.jsonl")] == expected()
    (letter,) = lines(folder / "dead.jsonl")
    assert (letter["id"], letter["code"], letter["event"]) == ("payments-7", "invalid", '{"ts": 1, "card": 3}')
    assert json.loads(capsys.readouterr().err) == {"events": 301, "rows": 300, "refused": 1}


def test_parquet_in_and_out(folder):
    assert run(["events.parquet"], "out.parquet") == 0
    rows = pq.read_table(folder / "out.parquet").to_pylist()
    assert [{name: row[name] for name in ("spend", "logins")} for row in rows] == expected()
    assert all(math.isfinite(row["spend"]) for row in rows)


def test_several_files_are_merged_by_time(folder):
    assert run(["payments=events.parquet", "logins=logins.jsonl"], "out.jsonl") == 0
    assert [line["features"] for line in lines(folder / "out.jsonl")] == expected(with_logins=True)


def test_stdin_and_stdout(folder):
    call = [sys.executable, "-m", "fastfeat", "run", "pipeline_of_a_user:pipeline", "--input", "-"]
    done = subprocess.run(call, input=(folder / "events.jsonl").read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["features"] for line in done.stdout.splitlines()] == expected()


@pytest.mark.parametrize(
    ("inputs", "output", "told"),
    [
        (["none.jsonl"], "out.jsonl", "is no file"),
        (["events.jsonl"], "out.csv", "use .jsonl"),
        (["clicks=events.jsonl"], "out.jsonl", "no stream `clicks`"),
        (["events.jsonl", "events.parquet"], "out.jsonl", "has a file already"),
        (["events.jsonl"], "nowhere/out.jsonl", "cannot be written"),
    ],
)
def test_what_cannot_be_done_leaves_nothing(folder, capsys, inputs, output, told):
    before = sorted(folder.iterdir())
    assert run(inputs, output) == 2
    assert told in capsys.readouterr().err
    assert [path for path in sorted(folder.iterdir()) if path.name != "__pycache__"] == [
        path for path in before if path.name != "__pycache__"
    ]
