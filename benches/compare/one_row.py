"""What the yardsticks of one row's score share: the model's files, and the count of answers that are not LightGBM's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from yardstick import latencies

ROUNDS = 10


def folder() -> Path:
    """Where `model_files.py` wrote the model."""
    return Path(os.environ["FASTFEAT_BENCH_MODEL"])


def rows() -> np.ndarray:
    return np.load(folder() / "rows.npy")


def measure(score: Callable[[np.ndarray], float], given: np.ndarray) -> dict:
    """Latencies of `score` over rows of shape (1, features), and how many answers differ from LightGBM's raw score."""
    each = [row.reshape(1, -1) for row in given]
    answers = np.array([score(row) for row in each])
    wrong = ~np.isclose(answers, np.load(folder() / "answers.npy"), rtol=1e-9, atol=1e-12)
    spread, _ = latencies(score, each * ROUNDS)
    return {"rows": len(given), "wrong_rows": int(wrong.sum()), **spread}
