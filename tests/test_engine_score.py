"""Engine.score: LightGBM's own answers on the engine's own rows, and the reasons for them."""

import json
import subprocess
import sys

import fastfeat as ff
import lightgbm
import numpy as np
import pytest
from fastfeat import Engine, ModelError, Stream, col

S = Stream(
    "s",
    {
        "ts": ff.Timestamp("us"),
        "key": ff.String(),
        "x": ff.Float64(nullable=True),
        "flag": ff.Boolean(nullable=True),
        "kind": ff.Categorical(["low", "mid", "high"], nullable=True),
    },
    time="ts",
)
FEATURES = S.features(
    total=col("x").sum().over("key", "1h"),
    count=ff.count().over("key", "1h"),
    previous=col("x").lag(1).over("key"),
    flag=col("flag"),
    kind=col("kind"),
    text=col("key"),
)
INPUTS = tuple(name for name in FEATURES.names if name != "text")
KINDS = (None, "low", "mid", "high")


def events(count, seed=1):
    random = np.random.default_rng(seed)
    for ts in range(count):
        yield {
            "ts": ts * 1_000_000,
            "key": f"k{random.integers(9)}",
            "x": None if random.random() < 0.1 else float(random.normal()),
            "flag": [None, False, True][random.integers(3)],
            "kind": KINDS[random.integers(4)],
        }


def matrix(names=INPUTS, count=600):
    engine = Engine(FEATURES)
    places = [FEATURES.names.index(name) for name in names]
    return np.array([np.asarray(engine.push(event))[places] for event in events(count)])


def train(objective="binary", names=INPUTS, rounds=15, **options):
    data = matrix(names)
    total = np.nan_to_num(data[:, list(names).index("total")])
    labels = {"binary": total > 0, "multiclass": np.digitize(total, [-1, 1]), "regression": total * 2}[objective]
    parameters = {"objective": objective, "verbose": -1, "num_threads": 1, "deterministic": True, "min_data_in_leaf": 5}
    if objective == "multiclass":
        parameters["num_class"] = 3
    dataset = lightgbm.Dataset(data, labels, feature_name=list(names), categorical_feature=["kind"])
    return lightgbm.train({**parameters, **options}, dataset, rounds)


@pytest.fixture(scope="module")
def booster():
    return train()


@pytest.mark.parametrize("objective", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("raw", [False, True])
def test_a_score_is_boosters_own_to_the_bit(objective, raw):
    booster = train(objective)
    engine = Engine(FEATURES, model=booster, raw_score=raw)
    rows = matrix(count=100)
    expected, expected_raw = booster.predict(rows, raw_score=raw), booster.predict(rows, raw_score=True)
    for event, score, raw_score, row in zip(events(100), expected, expected_raw, rows, strict=True):
        result = engine.score(event) if event["ts"] % 2 else engine.score_json(json.dumps(event))
        np.testing.assert_array_equal(result.score, score)
        np.testing.assert_array_equal(result.raw_score, raw_score)
        assert isinstance(result.score, tuple if objective == "multiclass" else float)
        np.testing.assert_array_equal(np.asarray(result.features)[:5], row)
    assert engine.stats()["events"] == 100


def test_the_order_of_the_models_features_does_not_matter(booster):
    other = train(names=tuple(reversed(INPUTS)))
    engine, rows = Engine(FEATURES, model=other), matrix(tuple(reversed(INPUTS)), 50)
    for event, expected in zip(events(50), other.predict(rows), strict=True):
        assert engine.score(event).score == expected


@pytest.mark.parametrize("objective", ["binary", "multiclass"])
def test_contributions_and_base_value_make_the_raw_score(objective):
    booster = train(objective)
    engine = Engine(FEATURES, model=booster)
    classes = 3 if objective == "multiclass" else 1
    for event, row in zip(events(50), matrix(count=50), strict=True):
        result = engine.score(event)
        expected = booster.predict(row[None], pred_contrib=True)[0].reshape(classes, -1)
        for index in range(classes):
            found = result.contributions(index)
            assert tuple(found) == INPUTS
            assert list(found.values()) == expected[index, :-1].tolist()
            raw, base = (np.atleast_1d(value)[index] for value in (result.raw_score, result.base_value))
            assert base == expected[index, -1]
            assert sum(found.values()) + base == pytest.approx(raw, rel=1e-9, abs=1e-12)
        likeliest = int(np.argmax(result.score)) if classes > 1 else 0
        assert result.contributions() == result.contributions(likeliest)
    with pytest.raises(IndexError, match=f"the model has {classes} classes"):
        result.contributions(classes)


def test_reasons_are_the_strongest_contributions_first(booster):
    engine = Engine(FEATURES, model=booster)
    for event in events(80):
        result = engine.score(event)
        ranked = sorted(result.contributions().items(), key=lambda item: -abs(item[1]))  # stable: ties by feature order
        reasons = result.reasons(99)
        assert [(reason.name, reason.contribution) for reason in reasons] == ranked
        assert [reason.value for reason in reasons] == [result.features[name] for name, _ in ranked]
        assert result.reasons() == reasons[:3]
        assert result.reasons(0) == []
        assert result.reasons(k=1, class_index=0) == reasons[:1]
    assert "Reason(" in repr(reasons[0])
    assert repr(result).startswith("ScoreResult(score=0.")


def test_reasons_outlive_the_engine_and_the_events_after(booster):
    engine = Engine(FEATURES, model=booster)
    first = engine.score(next(events(1)))
    before = [(reason.name, reason.contribution) for reason in first.reasons(5)]
    for event in list(events(50))[1:]:
        engine.score(event).reasons()
    del engine
    assert [(reason.name, reason.contribution) for reason in first.reasons(5)] == before


def test_a_model_comes_from_a_booster_a_file_a_folder_or_an_estimator(booster, tmp_path):
    path = tmp_path / "fraud.txt"
    booster.save_model(path)
    (tmp_path / "model.txt").write_bytes(path.read_bytes())
    names = list(INPUTS)
    data = matrix()
    estimator = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1, num_threads=1)
    estimator.fit(data, np.nan_to_num(data[:, 0]), feature_name=names)
    event = next(events(1))
    expected = Engine(FEATURES, model=booster).score(event).score
    for model in (path, str(path), tmp_path):
        engine = Engine(FEATURES, model=model)
        assert engine.score(event).score == expected
        assert engine.model is model
    assert Engine(FEATURES, model=estimator).score(event).score == estimator.booster_.predict(data[:1])[0]


def test_a_model_that_does_not_fit_is_refused_with_all_names(booster):
    fewer = S.features(total=col("x").sum().over("key", "1h"), extra=col("x"))
    with pytest.raises(ModelError) as caught:
        Engine(fewer, model=booster)
    told = str(caught.value)
    assert "the model asks for `count`, `previous`, `flag`, `kind`" in told
    assert "the model does not know `extra`" in told
    assert "total" not in told
    unnamed = lightgbm.train({"verbose": -1}, lightgbm.Dataset(np.eye(50)[:, :5], np.arange(50)), 1)
    with pytest.raises(ModelError, match="the model asks for `Column_0`"):
        Engine(FEATURES, model=unnamed)
    text_input = S.features(total=col("x").sum().over("key", "1h"), count=col("key"))
    with pytest.raises(ModelError, match="asks for `count`"):
        Engine(text_input, model=train(names=("total", "count", "kind")))


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "does not exist"), (b"not a model", "model text"), (b"\xff\xfe", "cannot be read"), (b"", "model text")],
)
def test_a_file_that_is_no_model_is_refused(tmp_path, content, words):
    path = tmp_path / "model.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=words):
        Engine(FEATURES, model=path)


def test_what_is_no_model_is_refused():
    with pytest.raises(ModelError, match="is no model"):
        Engine(FEATURES, model=3)


def test_an_engine_without_a_model_does_not_score():
    engine = Engine(FEATURES)
    for call in (lambda: engine.score(next(events(1))), lambda: engine.score_json(b'{"ts":0,"key":"k"}')):
        with pytest.raises(ModelError, match="has no model"):
            call()
    assert engine.stats()["events"] == 0


def test_a_refused_event_is_not_scored(booster):
    engine = Engine(FEATURES, model=booster)
    with pytest.raises(ff.InvalidEvent):
        engine.score({"ts": 0})
    with pytest.raises(ff.InvalidEvent):
        engine.score_json(b"{}")
    assert engine.stats()["events"] == 0


def test_an_event_of_a_stream_without_features_has_no_score(booster):
    other = Stream("other", {"ts": ff.Timestamp("us")}, time="ts")
    engine = Engine(FEATURES, streams=[other], model=booster)
    assert engine.score({"ts": 0}, stream="other") is None
    assert engine.score_json(b'{"ts": 1}', stream="other") is None


def test_without_lightgbm_the_way_out_is_told(booster, monkeypatch):
    monkeypatch.setattr("fastfeat.engine.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "fastfeat\[lightgbm\]"'):
        Engine(FEATURES, model=booster)


def test_a_model_file_is_scored_without_importing_lightgbm(booster, tmp_path):
    booster.save_model(tmp_path / "model.txt")
    (tmp_path / "features.json").write_text(FEATURES.to_json())
    program = f"""
import sys, fastfeat as ff
features = ff.FeatureSet.from_json(open(r"{tmp_path}/features.json").read())
engine = ff.Engine(features, model=r"{tmp_path}")
print(engine.score({{"ts": 0, "key": "k", "x": 1.0}}).score)
assert "lightgbm" not in sys.modules and "pyarrow" not in sys.modules and "numpy" not in sys.modules
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(found.stdout) == Engine(FEATURES, model=booster).score({"ts": 0, "key": "k", "x": 1.0}).score


def test_scores_of_pushes_that_go_beside_each_other_are_those_of_one_thread():
    features = S.features(total=col("x").sum().over("key", "1h"), count=ff.count().over("key", "1h"))
    random = np.random.default_rng(1)
    data = lightgbm.Dataset(random.normal(size=(500, 2)), random.integers(0, 2, 500), feature_name=list(features.names))
    model = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 5)
    engine, twin = Engine(features, model=model), Engine(features, model=model)
    assert engine._open_up()
    for event in events(300):
        one, other = engine.score(event), twin.score(event)
        assert (one.score, one.features) == (other.score, other.features)
    assert engine._is_crowded()
