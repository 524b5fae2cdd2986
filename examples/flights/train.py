"""A table of features in, a LightGBM model out; and how good it is."""

from __future__ import annotations

import lightgbm
import numpy as np
import pyarrow as pa
from sklearn.metrics import log_loss, roc_auc_score

OPTIONS = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.05,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.7,
    "seed": 2013,
    "num_threads": 1,  # two gain little here, and nothing beside other work
    "deterministic": True,
    "verbose": -1,
}
TREES = 200


def matrix(rows: pa.Table) -> np.ndarray:
    """The rows as a model reads them: numbers, NaN for null, a categorical's code."""
    return np.column_stack([_numbers(column) for column in rows.columns])


def train(rows: pa.Table, late: np.ndarray, categorical: list[str]) -> lightgbm.Booster:
    """Learns `late` from every column of `rows`."""
    data = lightgbm.Dataset(
        matrix(rows), late.astype(float), feature_name=rows.column_names, categorical_feature=categorical
    )
    return lightgbm.train(OPTIONS, data, num_boost_round=TREES)


def quality(late: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """AUC (higher is better; 0.5 is chance) and log loss (lower is better)."""
    return {"auc": float(roc_auc_score(late, scores)), "log_loss": float(log_loss(late, scores))}


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array([chunk.indices for chunk in column.chunks])
    return column.cast(pa.float64(), safe=False).to_numpy()
