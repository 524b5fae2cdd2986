"""Every Python block of the README runs, top to bottom, as a reader would run it."""

import re
from pathlib import Path

import lightgbm
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks():
    """Each block with the line it starts at, so that an error points into the README."""
    text = (ROOT / "README.md").read_text()
    return [(text[: match.start(1)].count("\n"), match[1]) for match in BLOCKS.finditer(text)]


def a_small_model(path, names):
    random = np.random.default_rng(0)
    values = random.random((500, len(names)))
    data = lightgbm.Dataset(values, values[:, 0] > 0.5, feature_name=list(names))
    options = {"objective": "binary", "num_leaves": 4, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    lightgbm.train(options, data, num_boost_round=5).save_model(path)


def test_every_block_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for line, block in blocks():
        if "fraud.txt" in block:
            a_small_model("fraud.txt", names["features"].names)
        exec(compile("\n" * line + block, str(ROOT / "README.md"), "exec"), names)
    printed = capsys.readouterr().out
    assert "amount" in printed
    assert "bytes of state" in printed
    assert len(blocks()) >= 6


@pytest.mark.parametrize("target", ["demo", "demo-kafka", "test", "check", "bench", "bench-smoke"])
def test_commands_of_the_readme_exist(target):
    assert f"make {target}" in (ROOT / "README.md").read_text()
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_files_of_the_readme_exist():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing
