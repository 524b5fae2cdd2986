"""The model that every benchmark scores with: 100 trees of 31 leaves over cards-30."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from workloads import Cards, cards_30

if TYPE_CHECKING:
    import lightgbm


def feature_rows(work: Cards, events: int) -> np.ndarray:
    """The rows of cards-30 of the first so many events; null is NaN."""
    from fastfeat import Engine

    table = Engine(cards_30()).push_batch(work.table(0, events))
    return np.column_stack([table[name].to_numpy() for name in table.column_names]).astype(float)


def booster(work: Cards) -> lightgbm.Booster:
    """Will the card spend more than it does in a usual week?"""
    import lightgbm

    names = list(cards_30().names)
    matrix = feature_rows(work, min(50_000, len(work) // 2))
    noise = np.random.default_rng(7).normal(0, 0.5, len(matrix))
    label = (np.nan_to_num(matrix[:, names.index("amount_vs_week")]) + noise) > 1.2
    options = {"objective": "binary", "num_leaves": 31, "min_data_in_leaf": 5, "num_threads": 1, "verbose": -1}
    model = lightgbm.train(options, lightgbm.Dataset(matrix, label, feature_name=names), num_boost_round=100)
    assert model.num_trees() == 100
    assert model.trees_to_dataframe().query("left_child.isnull()").groupby("tree_index").size().median() == 31
    return model
