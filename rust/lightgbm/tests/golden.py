"""Model texts that LightGBM writes, with rows and the bits of `Booster.predict`: the judge of the Rust tests.

`python golden.py FOLDER` writes NAME.txt and NAME.golden for every kind of model below (the Rust tests run this).
`python golden.py --fixtures FOLDER` writes the few small ones that are stored in tests/fixtures, and the answers for
the texts that older versions of LightGBM once wrote there (`written_by_*.txt`).

A .golden file has one line per fact: `row`, then `normal`, `raw` and `contributions` (`none` where LightGBM has none)
for that row, each number as the 16 hexadecimal digits of its bits.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

FEATURES = 7
CATEGORICAL = [2, 3]
ROWS = 40
ROWS_FIXTURE = 8
FIXTURES = ["binary", "multiclass", "regression_linear_tree", "categorical", "rf", "one_leaf", "no_trees", "poisson"]
# What windows really hand over: missing, zeros of both signs, the ends of the range, categories never seen.
ODD = [np.nan, 0.0, -0.0, 1e-36, -1e-35, 1e-34, np.inf, -np.inf, 1e300, -1e300, 5e-324, 2.7, -1.0, 299.0, 1e10]

QUIET = {"verbosity": -1, "num_threads": 1, "seed": 7, "deterministic": True, "force_col_wise": True}


def data(seed: int = 7, rows: int = 600) -> np.ndarray:
    """Seeded columns: heavy tails, small integers, categories, holes, mostly zero, constant."""
    rng = np.random.default_rng(seed)
    table = np.empty((rows, FEATURES))
    table[:, 0] = rng.normal(size=rows)
    table[:, 1] = np.exp(rng.normal(3.2, 1.1, size=rows)).round(2)
    table[:, 2] = rng.integers(0, 5, size=rows)
    table[:, 3] = rng.integers(0, 300, size=rows)
    table[:, 4] = np.where(rng.random(rows) < 0.3, np.nan, rng.normal(size=rows))
    table[:, 5] = np.where(rng.random(rows) < 0.7, 0.0, rng.normal(size=rows))
    table[:, 6] = rng.integers(0, 3, size=rows) * 1e6
    return table


TABLE = data()
RNG = np.random.default_rng(11)
SIGNAL = (
    TABLE[:, 0]
    + 0.01 * TABLE[:, 1]
    + (TABLE[:, 3] % 3)
    + np.nan_to_num(TABLE[:, 4], nan=1.5)
    + np.sign(TABLE[:, 5])
    + RNG.normal(size=len(TABLE))
)
BINARY = (np.median(SIGNAL) < SIGNAL).astype(float)
POSITIVE = np.exp(SIGNAL / SIGNAL.std())
CLASSES = np.digitize(SIGNAL, np.quantile(SIGNAL, [0.3, 0.7])).astype(float)
UNIT = 1 / (1 + np.exp(-SIGNAL))

DIFFER_FROM_THEIR_TEXT = ["in_memory_sigmoid"]
MODELS: dict[str, Callable[[int], lgb.Booster]] = {}


def train(
    label: np.ndarray, trees: int, table: np.ndarray = TABLE, *, dataset: dict | None = None, **params: Any
) -> lgb.Booster:
    """One small booster, text-loaded as `lightgbm.train` always returns it."""
    params = {**QUIET, "num_leaves": 7, "min_data_in_leaf": 5, **params}
    keep = params.pop("keep", False)
    extra = params.pop("train", {})
    return lgb.train(
        params,
        lgb.Dataset(table, label, params=params, free_raw_data=False, **(dataset or {})),
        trees,
        keep_training_booster=keep,
        **extra,
    )


def model(function: Callable[[int], lgb.Booster]) -> Callable[[int], lgb.Booster]:
    """Registers a way to make a model under its own name."""
    MODELS[function.__name__] = function
    return function


def simple(name: str, label: np.ndarray, **params: Any) -> None:
    """Registers a model that differs by parameters alone."""
    MODELS[name] = lambda trees: train(label, trees, **params)


simple("binary", BINARY, objective="binary")
simple("binary_sigmoid", BINARY, objective="binary", sigmoid=0.123456789)
simple("binary_unbalanced", BINARY, objective="binary", is_unbalance=True)
simple("binary_float_sums", BINARY, objective="binary", use_quantized_grad=True)
simple("binary_bagging", BINARY, objective="binary", bagging_fraction=0.5, bagging_freq=1, feature_fraction=0.5)
simple("binary_stumps", BINARY, objective="binary", num_leaves=2)
simple("binary_large", BINARY, objective="binary", num_leaves=255, min_data_in_leaf=1, min_sum_hessian_in_leaf=0.0)
simple("binary_few_bins", BINARY, objective="binary", max_bin=2)
simple("binary_not_from_average", BINARY, objective="binary", boost_from_average=False)
simple("binary_extra_trees", BINARY, objective="binary", extra_trees=True, path_smooth=1.0)
simple("binary_monotone", BINARY, objective="binary", monotone_constraints=[1, 1, 0, 0, -1, 0, 0])
simple("binary_interaction", BINARY, objective="binary", interaction_constraints="[0,1],[2,3,4]")
simple("binary_no_missing", BINARY, objective="binary", use_missing=False)
simple("binary_zero_as_missing", BINARY, objective="binary", zero_as_missing=True)
simple("binary_no_shape_check", BINARY, objective="binary", predict_disable_shape_check=True)
simple("binary_early_stop_of_prediction", BINARY, objective="binary", pred_early_stop=True, pred_early_stop_freq=1)
simple("cross_entropy", UNIT, objective="cross_entropy")
simple("cross_entropy_lambda", UNIT, objective="cross_entropy_lambda")
simple("multiclass", CLASSES, objective="multiclass", num_class=3)
simple("multiclass_ova", CLASSES, objective="multiclassova", num_class=3, sigmoid=0.7)
simple("multiclass_empty_class", CLASSES, objective="multiclass", num_class=5)
simple("multiclass_dart", CLASSES, objective="multiclass", num_class=3, boosting="dart")
for name in ["regression", "regression_l1", "huber", "fair", "quantile", "mape"]:
    simple(name, SIGNAL, objective=name)
    simple(name + "_sqrt", POSITIVE, objective=name, reg_sqrt=True)
for name in ["poisson", "gamma", "tweedie"]:
    simple(name, POSITIVE, objective=name)
    simple(name + "_sqrt", POSITIVE, objective=name, reg_sqrt=True)
simple("regression_tiny", SIGNAL * 1e-37, objective="regression")
simple("regression_huge", SIGNAL * 1e30, objective="regression")
simple("regression_constant", np.full(len(TABLE), 3.25), objective="regression")
simple("regression_linear_tree", SIGNAL, objective="regression", linear_tree=True, linear_lambda=0.1)
simple("binary_linear_tree", BINARY, objective="binary", linear_tree=True)
simple("multiclass_linear_tree", CLASSES, objective="multiclass", num_class=3, linear_tree=True)
simple("linear_tree_one_leaf", SIGNAL, objective="regression", linear_tree=True, min_data_in_leaf=500)
simple("lambdarank", CLASSES, objective="lambdarank", dataset={"group": [20] * 30})
simple("rank_xendcg", CLASSES, objective="rank_xendcg", dataset={"group": [20] * 30})
simple("dart", BINARY, objective="binary", boosting="dart", drop_rate=0.5, skip_drop=0.0)
simple("goss", BINARY, objective="binary", data_sample_strategy="goss")
RF = {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1, "feature_fraction": 0.7}
simple("rf", BINARY, objective="binary", **RF)
simple("rf_regression", SIGNAL, objective="regression", **RF)
simple("rf_multiclass", CLASSES, objective="multiclass", num_class=3, **RF)
simple("rf_one_leaf", BINARY, objective="binary", **{**RF, "min_data_in_leaf": 500})
simple("one_leaf", BINARY, objective="binary", min_data_in_leaf=500)
KINDS = {"dataset": {"categorical_feature": CATEGORICAL}, "min_data_per_group": 1, "cat_smooth": 1.0}
simple("categorical", BINARY, objective="binary", **KINDS)
simple("categorical_one_hot", BINARY, objective="binary", dataset={"categorical_feature": [2]}, max_cat_to_onehot=10)
simple("categorical_linear", SIGNAL, objective="regression", dataset={"categorical_feature": [2]}, linear_tree=True)
simple("categorical_multiclass", CLASSES, objective="multiclass", num_class=3, **KINDS)
simple("categorical_zero_as_missing", BINARY, objective="binary", zero_as_missing=True, **KINDS)
NAMES = ["amount_sum_card_1h", "a=b", "größe", "名前", "with space", "x/z|%", "==="]
simple("odd_names", BINARY, objective="binary", dataset={"feature_name": NAMES})
simple("odd_names_monotone", BINARY, objective="binary", monotone_constraints=[1] * 7, dataset={"feature_name": NAMES})


@model
def categorical_with_holes(trees: int) -> lgb.Booster:
    """Categories that are missing, and thousands of them."""
    table = TABLE.copy()
    table[::7, 2] = np.nan
    table[:, 3] = np.random.default_rng(5).integers(0, 5000, size=len(table))
    return train(BINARY, trees, table, objective="binary", **KINDS)


@model
def infinite_data(trees: int) -> lgb.Booster:
    """Columns that hold infinities and the largest doubles."""
    table = TABLE.copy()
    table[::5, 0] = np.inf
    table[1::5, 0] = -np.inf
    table[::3, 1] = 1.7e308
    table[:, 5] *= 1e-310
    return train(BINARY, trees, table, objective="binary")


@model
def one_feature(trees: int) -> lgb.Booster:
    """The smallest row."""
    return train(BINARY, trees, TABLE[:, :1], objective="binary")


@model
def many_features(trees: int) -> lgb.Booster:
    """More columns than a window set is likely to have."""
    return train(BINARY, trees, np.random.default_rng(3).normal(size=(600, 400)) + SIGNAL[:, None], objective="binary")


@model
def no_trees(trees: int) -> lgb.Booster:
    """A booster before its first iteration."""
    return lgb.Booster({**QUIET, "objective": "binary"}, lgb.Dataset(TABLE, BINARY))


@model
def chain(trees: int) -> lgb.Booster:
    """Every split takes one row off: as deep as leaves allow."""
    line = np.arange(100.0).reshape(-1, 1)
    return train(
        2.0 ** line[:, 0], trees, line, objective="regression", num_leaves=90, max_bin=1000, min_data_in_bin=1,
        min_data_in_leaf=1, min_sum_hessian_in_leaf=0.0,
    )  # fmt: skip


def log_loss(scores: np.ndarray, dataset: lgb.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """A user's own objective: no `objective` line in the text."""
    probability = 1 / (1 + np.exp(-scores))
    return probability - dataset.get_label(), probability * (1 - probability)


@model
def own_objective(trees: int) -> lgb.Booster:
    """A user's own objective, one class."""
    return train(BINARY, trees, objective=log_loss)


@model
def own_objective_multiclass(trees: int) -> lgb.Booster:
    """A user's own objective, three classes."""

    def squares(scores: np.ndarray, dataset: lgb.Dataset) -> tuple[np.ndarray, np.ndarray]:
        wanted = np.eye(3)[dataset.get_label().astype(int)]
        return scores - wanted, np.ones_like(scores)

    return train(CLASSES, trees, objective=squares, num_class=3)


@model
def early_stopped(trees: int) -> lgb.Booster:
    """`best_iteration` is set: predict and model_to_string both stop there."""
    valid = lgb.Dataset(data(9), np.random.default_rng(1).integers(0, 2, 600))
    booster = train(
        BINARY, 60, objective="binary", keep=True,
        train={"valid_sets": [valid], "callbacks": [lgb.early_stopping(3, verbose=False)]},
    )  # fmt: skip
    assert 0 < booster.best_iteration < booster.num_trees()
    # From a later start on they part: predict goes to the end, the text stops.
    text = booster.model_to_string(start_iteration=1)
    row = rows(FEATURES, 1)[0]
    assert not same(predict(booster, row, start_iteration=1), predict(lgb.Booster(model_str=text), row))
    return booster


@model
def continued(trees: int) -> lgb.Booster:
    """Trained on from another booster."""
    return train(BINARY, trees, objective="binary", train={"init_model": train(BINARY, trees, objective="binary")})


@model
def resaved(trees: int) -> lgb.Booster:
    """Loaded from its own text, several times over."""
    booster = train(CLASSES, trees, objective="multiclass", num_class=3, dataset={"categorical_feature": CATEGORICAL})
    for _ in range(3):
        booster = lgb.Booster(model_str=booster.model_to_string())
    return booster


@model
def resaved_linear(trees: int) -> lgb.Booster:
    """The same with linear leaves."""
    booster = train(SIGNAL, trees, objective="regression", linear_tree=True)
    return lgb.Booster(model_str=booster.model_to_string())


@model
def resaved_one_leaf(trees: int) -> lgb.Booster:
    """The same with nothing but a constant."""
    return lgb.Booster(model_str=train(BINARY, trees, objective="binary", min_data_in_leaf=500).model_to_string())


@model
def refitted(trees: int) -> lgb.Booster:
    """Old structure, leaves from new data."""
    return train(BINARY, trees, objective="binary").refit(data(9), BINARY[::-1])


@model
def leaves_set(trees: int) -> lgb.Booster:
    """Leaves written by hand."""
    return train(BINARY, trees, objective="binary", keep=True).set_leaf_output(0, 1, 1.0 / 3.0)


@model
def shuffled(trees: int) -> lgb.Booster:
    """Trees in another order."""
    return train(BINARY, trees, objective="binary", keep=True).shuffle_models()


@model
def rolled_back(trees: int) -> lgb.Booster:
    """An iteration taken back."""
    return train(BINARY, trees, objective="binary", keep=True).rollback_one_iter()


@model
def forced_splits(trees: int) -> lgb.Booster:
    """Splits read from a file."""
    path = Path(sys.argv[-1]) / "forced.json"
    path.write_text('{"feature": 0, "threshold": 0.5, "left": {"feature": 1, "threshold": 20.0}}')
    return train(BINARY, trees, objective="binary", forcedsplits_filename=str(path))


@model
def weighted(trees: int) -> lgb.Booster:
    """Rows of weight zero."""
    return train(BINARY, trees, objective="binary", dataset={"weight": (np.arange(len(TABLE)) % 3).astype(float)})


@model
def in_memory(trees: int) -> lgb.Booster:
    """Still bound to its training data, not yet through text."""
    return train(BINARY, trees, objective="binary", keep=True)


@model
def in_memory_sigmoid(trees: int) -> lgb.Booster:
    """The one that differs from its own text: LightGBM writes the objective's numbers with six digits."""
    return train(BINARY, trees, objective="binary", sigmoid=0.123456789, keep=True)


@model
def in_memory_rf(trees: int) -> lgb.Booster:
    """The same for a random forest."""
    return train(BINARY, trees, objective="binary", keep=True, **RF)


@model
def some_iterations(trees: int) -> lgb.Booster:
    """A text of some iterations scores as `predict` with the same two numbers does."""
    booster = train(BINARY, trees, objective="binary")
    row = rows(FEATURES, 1)[0]
    for numbers in [{"num_iteration": 5}, {"num_iteration": -1}, {"start_iteration": 2, "num_iteration": 4}]:
        text = booster.model_to_string(**numbers)
        assert same(predict(booster, row, **numbers), predict(lgb.Booster(model_str=text), row))
    return lgb.Booster(model_str=text)


@model
def some_iterations_rf(trees: int) -> lgb.Booster:
    """The average of a random forest is over the iterations that are there."""
    booster = train(BINARY, trees, objective="binary", **RF)
    row = rows(FEATURES, 1)[0]
    text = booster.model_to_string(num_iteration=5)
    assert same(predict(booster, row, num_iteration=5), predict(lgb.Booster(model_str=text), row))
    return lgb.Booster(model_str=text)


def rows(features: int, count: int) -> np.ndarray:
    """Rows as in training, then rows with odd values in every place."""
    usual = data(13, count)[:, :features]
    if features > FEATURES:
        usual = np.random.default_rng(4).normal(size=(count, features)) * 5
    odd = usual.copy()
    rng = np.random.default_rng(17)
    for row in odd:
        for place in rng.choice(features, size=max(1, features // 2), replace=False):
            row[place] = ODD[rng.integers(len(ODD))]
    odd[-1] = np.nan
    odd[-2 % count] = 0.0
    return np.concatenate([usual[: count // 2], odd[count // 2 :]])


def bits(numbers: np.ndarray) -> str:
    """Sixteen digits a number, exactly."""
    return " ".join(struct.pack(">d", number).hex() for number in np.ravel(numbers))


def same(left: np.ndarray, right: np.ndarray) -> bool:
    """Equal to the last bit."""
    return bits(left) == bits(right)


def predict(booster: lgb.Booster, row: np.ndarray, **how: Any) -> np.ndarray:
    """One row, as a user would."""
    return np.asarray(booster.predict(row.reshape(1, -1), num_threads=1, **how), dtype=np.float64)


def golden(text: str, count: int) -> str:
    """The rows and the judge's answers for a text."""
    judge = lgb.Booster(model_str=text)
    lines = []
    for row in rows(judge.num_feature(), count):
        lines.append("row " + bits(row))
        lines.append("normal " + bits(predict(judge, row)))
        lines.append("raw " + bits(predict(judge, row, raw_score=True)))
        linear = "[linear_tree: 1]" in text
        lines.append("contributions " + ("none" if linear else bits(predict(judge, row, pred_contrib=True))))
    return "\n".join(lines) + "\n"


def write(folder: Path, name: str, text: str, count: int) -> None:
    """NAME.txt and NAME.golden."""
    (folder / f"{name}.txt").write_bytes(text.encode())
    (folder / f"{name}.golden").write_text(golden(text, count))


def main(folder: Path, *, fixtures: bool) -> None:
    """Everything into one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FIXTURES if fixtures else MODELS:
        booster = MODELS[name](3 if fixtures else 12)
        text = booster.model_to_string()
        write(folder, name, text, ROWS_FIXTURE if fixtures else ROWS)
        loaded = lgb.Booster(model_str=text)
        for row in rows(booster.num_feature(), 8):
            if not same(predict(booster, row), predict(loaded, row)):
                assert name in DIFFER_FROM_THEIR_TEXT, f"{name}: a Booster and its own text differ"
    for path in folder.glob("written_by_*.txt"):
        write(folder, path.stem, path.read_bytes().decode(), ROWS_FIXTURE)


if __name__ == "__main__":
    main(Path(sys.argv[-1]), fixtures="--fixtures" in sys.argv)
