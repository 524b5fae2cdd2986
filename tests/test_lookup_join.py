"""`ff.Lookup`: reference data joined by key, as of the event's arrival."""

import fastfeat as ff
import polars
import pyarrow
import pytest
from fastfeat import Engine, Stream, col
from harness import assert_equals_reference

ROWS = [
    {"merchant": "m1", "country": "NL", "fee": 0.5, "rank": 3, "safe": True},
    {"merchant": "m2", "country": None, "fee": None, "rank": 2**53 + 1, "safe": False},
    {"merchant": "", "country": "ü", "fee": -0.0, "rank": None, "safe": None},
]
STREAM = Stream(
    "payments",
    {
        "ts": ff.Timestamp("s"),
        "merchant": ff.String(nullable=True),
        "shop": ff.String(nullable=True),
        "x": ff.Float64(default=0.0),
    },
    time="ts",
)


def merchants(rows=ROWS):
    return ff.Lookup("merchants", pyarrow.Table.from_pylist(rows), key="merchant")


def event(ts, merchant, shop=None, x=0.0):
    return {"ts": ts, "merchant": merchant, "shop": shop, "x": x}


def test_columns_are_expressions_of_the_row_that_the_key_finds():
    table = merchants()
    engine = Engine(STREAM.features(**{name: table[name] for name in ("country", "fee", "rank", "safe")}))
    found = [list(engine.push(event(0, name)).values()) for name in ("m1", "m2", "", "none", None)]
    assert found == [
        ["NL", 0.5, 3, True],
        [None, None, 2**53 + 1, False],
        ["ü", 0.0, None, None],
        [None, None, None, None],
        [None, None, None, None],
    ]


def test_by_another_expression():
    table = merchants()
    other = ff.coalesce(col("merchant"), col("shop"))
    engine = Engine(STREAM.features(one=table.on(col("shop"))["country"], other=table.on(other)["country"]))
    assert engine.push(event(0, None, "m1")).to_dict() == {"one": "NL", "other": "NL"}
    assert engine.push(event(0, "", "m1")).to_dict() == {"one": "NL", "other": "ü"}


def test_inside_of_aggregations_filters_and_keys():
    table = merchants()
    features = STREAM.features(
        fees=table["fee"].sum().over("10s"),
        safe=ff.count().where(table["safe"]).over(),
        by_country=ff.count().over(country=table["country"]),
        cost=col("x") * table["fee"].fill_null(1.0),
    )
    events = [event(place, name, x=2.0) for place, name in enumerate(("m1", "m2", "m1", "none", "", "m1"))]
    engine = assert_equals_reference(features, [("payments", each) for each in events], lookups={"merchants": ROWS})
    assert engine.push(event(9, "m1", x=4.0)).to_dict() == {"fees": 2.0, "safe": 4, "by_country": 4, "cost": 2.0}


def test_misses_are_counted_and_nulls_are_not():
    engine = Engine(STREAM.features(it=merchants()["country"]))
    for name in ("m1", "m2", "none", "none", None):
        engine.push(event(0, name))
    stats = engine.stats()["lookups"]["merchants"]
    assert stats["misses"] == 2
    assert stats["rows"] == 3


def test_replaced_rows_are_found_by_the_events_after():
    table = merchants()
    engine = Engine(
        STREAM.features(now=table["country"], first=table["country"].first().over(), fees=table["fee"].sum().over())
    )
    assert engine.push(event(0, "m1")).to_dict() == {"now": "NL", "first": "NL", "fees": 0.5}
    engine.set_lookup(merchants([{**ROWS[0], "country": "BE", "fee": 2.0}]))
    assert engine.push(event(1, "m1")).to_dict() == {"now": "BE", "first": "NL", "fees": 2.5}
    assert engine.push(event(2, "m2"))["now"] is None
    engine.set_lookup(table)
    assert engine.push(event(3, "m2"))["fees"] == 2.5


def test_rows_that_do_not_fit_are_refused_and_the_old_ones_stay():
    engine = Engine(STREAM.features(it=merchants()["fee"]))
    wrong = [
        merchants([{"merchant": "m1"}]),
        merchants([{**ROWS[0], "fee": "text"}]),
        ff.Lookup("merchant", pyarrow.Table.from_pylist(ROWS), key="merchant"),
        ff.Lookup("merchants", key="merchant", columns=dict(merchants().columns)),
        pyarrow.Table.from_pylist(ROWS),
    ]
    for each in wrong:
        with pytest.raises(ff.FastfeatError):
            engine.set_lookup(each)
    assert engine.push(event(0, "m1"))["it"] == 0.5


def test_an_engine_may_be_given_other_rows_than_the_features_were_made_with():
    table = merchants()
    other = merchants([{**ROWS[0], "country": "BE"}])
    assert Engine(STREAM.features(it=table["country"]), lookups=[other]).push(event(0, "m1"))["it"] == "BE"


@pytest.mark.parametrize("make", [pyarrow.Table.from_pylist, polars.DataFrame], ids=["pyarrow", "polars"])
def test_anything_with_arrows_interface_is_a_table(make):
    table = ff.Lookup("merchants", make(ROWS), key="merchant")
    assert Engine(STREAM.features(it=table["country"])).push(event(0, "m1"))["it"] == "NL"


def test_a_parquet_file_is_a_table(tmp_path):
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "merchants.parquet")
    table = ff.Lookup("merchants", tmp_path / "merchants.parquet", key="merchant")
    assert Engine(STREAM.features(it=table["rank"])).push(event(0, "m2"))["it"] == 2**53 + 1


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        (ROWS, "shop"),
        ([{"merchant": None, "fee": 1.0}], "merchant"),
        ([{"merchant": "m1", "fee": 1.0}, {"merchant": "m1", "fee": 2.0}], "merchant"),
        ([{"merchant": [1], "fee": 1.0}], "merchant"),
    ],
    ids=["no such column", "null key", "key twice", "list key"],
)
def test_keys_that_find_no_one_row_are_refused(rows, key):
    def engine():
        table = ff.Lookup("merchants", pyarrow.Table.from_pylist(rows), key=key)
        return Engine(STREAM.features(it=table.on(col("merchant"))["fee"]))

    with pytest.raises((ff.FastfeatError, ValueError, TypeError)):
        engine()


def test_columns_that_are_not_there_are_named():
    with pytest.raises((ff.FastfeatError, KeyError), match="country"):
        merchants()["contry"]


def test_key_of_another_type_is_refused():
    with pytest.raises(ff.DefinitionError):
        STREAM.features(it=merchants().on(col("x"))["country"])


@pytest.mark.parametrize(
    ("keys", "asked", "found"),
    [
        ([1, 2, -(2**63)], [-(2**63), 2, 5], ["c", "b", None]),
        ([0.5, -0.0, float("nan")], [0.0, float("nan"), 0.25], ["b", "c", None]),
        ([True, False], [False, True], ["b", "a"]),
    ],
    ids=["whole numbers", "doubles", "booleans"],
)
def test_keys_of_every_type_are_equal_when_their_values_are(keys, asked, found):
    rows = [{"key": key, "name": name} for key, name in zip(keys, "abc", strict=False)]
    kind = {int: ff.Int64(), float: ff.Float64(allow_nan=True), bool: ff.Boolean()}[type(keys[0])]
    stream = Stream("s", {"ts": ff.Timestamp("s"), "key": kind}, time="ts")
    engine = Engine(stream.features(it=ff.Lookup("names", pyarrow.Table.from_pylist(rows), key="key")["name"]))
    assert [engine.push({"ts": 0, "key": key})["it"] for key in asked] == found


def test_a_lookup_row_reads_reference_data_by_the_keys_given():
    table = merchants()
    engine = Engine(STREAM.features(country=table["country"], n=ff.count().over("merchant")))
    engine.push(event(0, "m1"))
    assert engine.lookup({"merchant": "m1"}, at=0).to_dict() == {"country": "NL", "n": 1}
    assert engine.lookup({}, at=0).to_dict() == {"country": None, "n": 0}


def test_tables_and_json_join_as_pushes_do():
    table = merchants()
    features = STREAM.features(country=table["country"], fees=table["fee"].sum().over())
    events = [event(place, name) for place, name in enumerate(("m1", "none", "m1", None))]
    online = Engine(features)
    rows = [online.push(each).to_dict() for each in events]
    assert pyarrow.table(Engine(features).push_batch(pyarrow.Table.from_pylist(events))).to_pylist() == rows
