"""A small stream, its features, messages of it and models of its features. x formulas"""

import json

import fastfeat as ff
import lightgbm
import numpy
from fastfeat import Stream, col, count

TAPS = Stream("taps", {"ts": ff.Timestamp("s"), "user": ff.String(), "x": ff.Float64()}, time="ts")
FEATURES = TAPS.features(
    n=count().over("user", "1h"), total=col("x").sum().over("user", "1h"), mean=col("x").mean().over("user", "1h")
)


def message(ts=0, user="a", x=1.0):
    return json.dumps({"ts": ts, "user": user, "x": x}).encode()


def trained(classes=1, **options):
    random = numpy.random.default_rng(7)
    x = random.normal(size=(500, 3))
    y = random.integers(0, max(classes, 2), 500)
    objective = {"objective": "multiclass", "num_class": classes} if classes > 1 else {"objective": "binary"}
    data = lightgbm.Dataset(x, y, feature_name=list(FEATURES.names))
    return lightgbm.train({**objective, **options, "verbose": -1, "num_threads": 1}, data, 5)
