"""What a change of the definition says before it is done, and what it refuses."""

import json
import re
from pathlib import Path

import fastfeat as ff
import pyarrow
import pytest
from fastfeat import CheckpointError, DefinitionError, Engine, FeatureSet, Lookup, Stream, col, count

GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "changing-a-definition.md"
FIELDS = {
    "ts": ff.Timestamp("us"),
    "card": ff.String(),
    "shop": ff.String(nullable=True),
    "x": ff.Float64(ge=-1e9),
}
PAYMENTS = Stream("payments", FIELDS, time="ts", lateness="20us")
LOGINS = Stream("logins", {"at": ff.Timestamp("us"), "user": ff.String()}, time="at")
X = col("x")
OLD = PAYMENTS.features(
    spend=X.sum().over("card", "1d"),
    best=X.max().over("card"),
    shops=count().over("shop", "1h"),
    logins=LOGINS.count().over("1h", user=col("card")),
    double=X * 2.0,
)


def other(lateness="20us", time="ts", **fields):
    """The stream with other columns."""
    return Stream("payments", {**FIELDS, **fields}, time=time, lateness=lateness)


def of(features):
    return features.spend, features.best


def same_over(stream):
    return stream.features(
        spend=X.sum().over("card", "1d"),
        best=X.max().over("card"),
        shops=count().over("shop", "1h"),
        logins=LOGINS.count().over("1h", user=col("card")),
        double=X * 2.0,
    )


def fates(change):
    return {each.name: each.fate for each in change}


def whys(change):
    return {each.name: each.why for each in change if each.why}


def written(tmp_path, features=OLD, events=40, **options):
    engine = Engine(features, streams=[LOGINS], **options)
    for place in range(events):
        engine.push({"ts": place * 1_000_000, "card": f"c-{place % 4}", "shop": f"s-{place % 7}", "x": place / 3})
        engine.push({"at": place * 1_000_000, "user": f"c-{place % 4}"}, stream="logins")
    return engine, engine.checkpoint(tmp_path / "state.ff")


# --- What is told --------------------------------------------------------------------------------------------------


def test_a_plan_is_a_plain_value():
    new = PAYMENTS.features(spend=X.sum().over("card", "1d"), n=count().over("card", "2d"), best=X.min().over("card"))
    change = OLD.plan(new)
    assert change == OLD.plan(new)
    assert change != OLD.plan(OLD)
    assert (change.kept, change.new, change.changed) == (("spend",), ("n",), ("best",))
    assert change.dropped == ("shops", "logins", "double")
    assert [each.name for each in change] == ["spend", "n", "best", "shops", "logins", "double"]
    assert len(change) == 6
    assert json.loads(change.to_json()) == json.loads(json.dumps(change.to_dict()))
    assert change.to_dict()["features"][1]["tables"] == ("payments by card since change 1",)
    assert change.bytes_kept is None
    assert change.seconds is None
    assert change.measured is None
    text = str(change)
    assert text.startswith("1 feature kept, 1 new, 1 changed, 3 dropped\n")
    assert ["payments", "by", "shop", "dropped", "?", "0", "B"] in [line.split() for line in text.splitlines()]


def test_nothing_changed_is_all_kept():
    change = OLD.plan(FeatureSet.from_json(OLD.to_json()))
    assert set(fates(change).values()) == {"kept"}
    assert {each.fate for each in change.tables} == {"kept"}


def test_the_order_of_features_does_not_matter():
    data = json.loads(OLD.to_json())
    data["features"].reverse()
    assert set(fates(OLD.plan(FeatureSet.from_json(json.dumps(data)))).values()) == {"kept"}


def test_bytes_are_measured_or_estimated(tmp_path):
    new = PAYMENTS.features(spend=X.sum().over("card", "1d"), long=X.sum().over("card", "7d"))
    engine, path = written(tmp_path)
    measured = OLD.plan(new, engine=engine)
    assert measured.measured == "engine"
    assert 0 < measured.bytes_kept < engine.stats()["state_bytes"]
    assert measured.bytes_dropped > 0
    assert measured.seconds > 0
    assert " kept and " in str(measured)
    stored = OLD.plan(new, checkpoint=path)
    assert stored.measured == "checkpoint"
    assert 0 < stored.bytes_kept < path.stat().st_size
    expected = OLD.plan(new, keys={"card": 1_000, "shop": 10, "user": 1_000}, events_per_key_per_day=10)
    assert expected.measured == "estimate"
    assert expected.bytes_kept > 100_000
    begun = next(each for each in expected.tables if each.fate == "new")
    assert begun.bytes_after > 300_000, "seven days of ten events of a thousand keys"
    assert OLD.plan(new, engine=engine, keys=10, events_per_key_per_day=1).measured == "engine"
    with pytest.raises(DefinitionError, match="give one of them"):
        OLD.plan(new, engine=engine, checkpoint=path)
    with pytest.raises(DefinitionError, match="engine has other features"):
        new.plan(OLD, engine=engine)
    with pytest.raises(ValueError, match="of another definition"):
        new.plan(OLD, checkpoint=path)
    with pytest.raises(DefinitionError, match="is no FeatureSet"):
        OLD.plan("x")


def test_the_guide_is_true():
    text = GUIDE.read_text()
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, str(GUIDE), "exec"), names)
    assert f"```\n{names['change']}\n```" in text, names["change"]


# --- What touches a feature ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "touched"),
    [
        (other(x=ff.Float64()), {"spend", "best", "double"}),
        (other(x=ff.Float64(ge=-1e9, nullable=True)), {"spend", "best", "double"}),
        (other(card=ff.String(max_bytes=9)), {"spend", "best", "logins"}),
        (other(shop=ff.String()), {"shops"}),
        (other(extra=ff.Int64(nullable=True)), set()),
        (other(lateness="5us"), set()),
        (other(lateness="21us"), {"spend", "best", "shops", "logins"}),
        # Whole numbers of another unit are read as the same times.
        (other(ts=ff.Timestamp("ms")), set()),
    ],
)
def test_a_changed_stream_touches_the_features_that_read_it(stream, touched):
    change = OLD.plan(same_over(stream))
    found = {each.name for each in change if each.fate == "changed"}
    assert found == touched
    assert all("has another type or rule" in why or "is longer" in why for why in whys(change).values())


def test_another_clock_touches_everything_with_state():
    change = OLD.plan(same_over(other(extra=ff.Timestamp("ns", nullable=True))))
    assert fates(change) == {**dict.fromkeys(("spend", "best", "shops", "logins"), "changed"), "double": "kept"}
    assert set(whys(change).values()) == {"the streams count time in another unit"}
    assert not any(each.at_once for each in change if each.fate == "changed")


def test_another_time_column_touches_the_stream():
    old = other(sent=ff.Timestamp("us")).features(n=count().over("card", "1h"))
    change = old.plan(other(time="sent", sent=ff.Timestamp("us")).features(n=count().over("card", "1h")))
    assert whys(change) == {"n": "the time of stream `payments` is another column"}
    assert not change.features[0].at_once


def test_another_lookup_touches_who_reads_it():
    def shops(**columns):
        rows = {name: pyarrow.array([None], kind) for name, kind in columns.items()}
        table = pyarrow.table({"id": pyarrow.array(["s-1"]), **rows})
        return Lookup("shops", table, key="id")

    def features(lookup):
        return PAYMENTS.features(
            fee=lookup.on(col("shop"))["fee"].sum().over("card", "1h"), n=count().over("card", "1h")
        )

    old = features(shops(fee=pyarrow.float64()))
    assert set(fates(old.plan(features(shops(fee=pyarrow.float64())))).values()) == {"kept"}
    change = old.plan(features(shops(fee=pyarrow.float64(), more=pyarrow.int64())))
    assert whys(change) == {"fee": "lookup `shops` has another key or other columns"}


@pytest.mark.parametrize(
    ("feature", "at_once"),
    [
        (X.mean().over("card", "1d"), True),
        (X.std().over("card", "3h"), True),
        (X.max().over("card", ff.tumbling("1h")), True),
        (X.max().over("card", ff.rolling("1h", offset="23h")), True),
        (X.max().over("card", ff.rolling("1h", offset="24h")), False),
        (X.sum().over("card", ff.rolling("1d", closed="both")), True),
        (X.max().over("card"), True),
        (X.min().over("card"), False),
        (X.sum().over("card"), False),
        (X.sum().where(X > 3.0).over("card", "1h"), False),
        ((X + 1.0).sum().over("card", "1h"), False),
        (X.sum().over("shop", "1h"), False),
        (count().over("shop", "30m"), True),
        (count().over("card", "shop", "1h"), False),
        (X.last().over("card", ff.last(3)), False),
        (X.sum().over("card", ff.session("5m")), False),
        (X.max().over("card", ff.hopping("1h", every="1m")), False),
        (X.sum().over("card", "1h") / X.max().over("card"), True),
        (X.sum().over("card", "1h") / X.min().over("card"), False),
        (LOGINS.count().over("30m", user=col("card")), True),
        (LOGINS.count().over("30m", user=col("shop")), True),
        (LOGINS.count().over("2h", user=col("card")), False),
        (X.abs(), True),
    ],
)
def test_what_the_kept_state_knows_is_complete_at_once(feature, at_once):
    new = PAYMENTS.features(spend=X.sum().over("card", "1d"), it=feature)
    change = OLD.plan(new)
    assert [(each.name, each.at_once) for each in change.features[:2]] == [("spend", True), ("it", at_once)]


# --- What is refused -------------------------------------------------------------------------------------------------


def test_a_changed_feature_is_refused_by_name_and_restarted_by_choice(tmp_path):
    _, path = written(tmp_path)
    new = PAYMENTS.features(
        spend=X.sum().over("card", "2d"), best=X.min().over("card"), shops=count().over("shop", "1h")
    )
    with pytest.raises(
        CheckpointError, match=r"`spend` \(it is written in another way\), `best` .*changed=\["
    ) as caught:
        Engine.restore(new, path)
    assert caught.value.fault == "refused"
    with pytest.raises(CheckpointError, match="asked for: `best`"):
        Engine.restore(new, path, changed=["spend"])
    with pytest.raises(CheckpointError, match=r"`shops` is no feature that is another.*these are: spend, best"):
        Engine.restore(new, path, changed=["spend", "best", "shops"])
    for changed in (["spend", "best"], ("best", "spend"), "restart"):
        assert Engine.restore(new, path, changed=changed).features_complete_since()["shops"] is None
    for wrong in ("spend", "all", ""):
        with pytest.raises(ValueError, match="write one of 'refuse', 'restart', 'refuse_any'"):
            Engine.restore(new, path, changed=wrong)
    for wrong in (3, [3], None):
        with pytest.raises(TypeError, match="write the names"):
            Engine.restore(new, path, changed=wrong)


def test_many_changed_features_are_counted(tmp_path):
    def features(window):
        return PAYMENTS.features(**{f"f{place}": count().over("card", window) for place in range(9)})

    path = Engine(features("1h")).checkpoint(tmp_path / "state.ff")
    with pytest.raises(CheckpointError, match=r"`f4` \(.*\), and 4 more; give"):
        Engine.restore(features("2h"), path)


def test_another_idle_after_is_refused_still(tmp_path):
    _, path = written(tmp_path, idle_after="1h")
    with pytest.raises(CheckpointError, match="idle_after"):
        Engine.restore(PAYMENTS.features(spend=X.sum().over("card", "1d")), path)
