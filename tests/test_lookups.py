"""Lookups as definitions: their columns, what finds a row, what a wrong one is told."""

import copy
import pickle
import sys
from datetime import date, datetime, timezone

import fastfeat as ff
import polars
import pyarrow
import pyarrow.parquet
import pytest
from fastfeat import DefinitionError, Lookup, Stream, col
from fastfeat.expressions import lift
from fastfeat.naming import named
from fastfeat.nodes import Aggregate, Column, LookupColumn
from fastfeat.scoping import lookups, resolve

payments = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "merchant": ff.String(), "shop": ff.Int64(), "amount": ff.Float64()},
    time="ts",
)
TABLE = pyarrow.table(
    {
        "merchant": ["m-1", "m-2"],
        "country": pyarrow.array(["NL", "BE"]).dictionary_encode(),
        "risk": pyarrow.array([0.5, None], pyarrow.float32()),
        "size": pyarrow.array([1, 2], pyarrow.uint16()),
        "open": [True, None],
        "opened": [datetime(2020, 1, 1, tzinfo=timezone.utc), None],
        "day": [date(2020, 1, 1), None],
    }
)
merchants = Lookup("merchants", TABLE, key="merchant")


def test_the_columns_of_a_table_have_the_types_of_the_engine():
    assert merchants.columns == {
        "merchant": ff.String(),
        "country": ff.String(),
        "risk": ff.Float64(),
        "size": ff.Int64(),
        "open": ff.Boolean(),
        "opened": ff.Timestamp("us"),
        "day": ff.Timestamp("us"),
    }
    assert (merchants.name, merchants.key) == ("merchants", "merchant")
    assert merchants.rows is not None
    assert len(merchants.rows) == 2
    assert repr(merchants.rows) == "LookupTable(2 rows of 7 columns)"


def test_a_column_that_nothing_can_read_is_left_out():
    table = TABLE.append_column("tags", pyarrow.array([["a"], []]))
    assert Lookup("merchants", table, key="merchant") == merchants


@pytest.mark.parametrize("table", [polars.from_arrow(TABLE), TABLE.to_pandas(), TABLE.to_reader()])
def test_any_table_of_arrow_is_taken(table: object):
    assert list(Lookup("merchants", table, key="merchant").columns) == TABLE.column_names


def test_columns_say_which_are_wanted_and_in_which_order():
    chosen = Lookup("merchants", TABLE, key="merchant", columns={"risk": ff.Float64(), "merchant": ff.String})
    assert list(chosen.columns) == ["risk", "merchant"]
    assert chosen == Lookup("merchants", key="merchant", columns={"risk": ff.Float64(), "merchant": ff.String()})


def test_a_path_is_a_parquet_file(tmp_path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "merchants.parquet"
    pyarrow.parquet.write_table(TABLE, path)
    assert Lookup("merchants", path, key="merchant") == merchants
    assert Lookup("merchants", str(path), key="merchant") == merchants
    with pytest.raises(DefinitionError, match="does not exist; write the path of a Parquet file"):
        Lookup("merchants", tmp_path / "none.parquet", key="merchant")
    (tmp_path / "text").write_text("merchant,country")
    with pytest.raises(DefinitionError, match="is no Parquet file"):
        Lookup("merchants", tmp_path / "text", key="merchant")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pip install "fastfeat\[arrow\]"'):
        Lookup("merchants", path, key="merchant")


def test_a_lookup_is_a_value_and_its_rows_are_not_part_of_it():
    empty = Lookup("merchants", TABLE.slice(0, 0), key="merchant")
    assert empty == merchants
    assert hash(empty) == hash(merchants)
    assert merchants != Lookup("shops", TABLE, key="merchant")
    assert merchants != Lookup("merchants", TABLE, key="size")
    again = pickle.loads(pickle.dumps(merchants))
    assert again == copy.deepcopy(merchants) == merchants
    assert again.rows is not None
    assert len(again.rows) == 2
    assert eval(repr(merchants), vars(ff) | {}) == merchants
    with pytest.raises(AttributeError):
        merchants.key = "size"  # type: ignore[misc]
    assert ("country" in merchants, "land" in merchants) == (True, False)
    assert list(merchants) == TABLE.column_names


def test_a_column_is_found_by_the_streams_own_column_or_by_something_else():
    assert lift(merchants["risk"]) == LookupColumn(merchants, Column("merchant"), "risk")
    assert lift(merchants.on(col("shop") + 1)["risk"]) == LookupColumn(merchants, lift(col("shop") + 1), "risk")
    assert merchants.on(col("merchant"))["risk"].equals(merchants["risk"])
    assert repr(merchants["risk"] > 1) == "merchants['risk'] > 1"
    assert repr(merchants.on(col("shop"))["risk"].mean().over("merchant")) == (
        "merchants.on(col('shop'))['risk'].mean().over('merchant')"
    )


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (merchants["country"], ["merchants_country"]),
        (merchants.on(col("shop"))["risk"], ["merchants_risk"]),
        (merchants["risk"].mean().over("merchant", "1h"), ["merchants_risk_mean_merchant_1h"]),
        (ff.count().where(merchants["open"]).over("1h"), ["count_where_merchants_open_1h"]),
        (merchants["risk"].alias("risk"), ["risk"]),
    ],
)
def test_a_lookup_is_in_the_name(expression: ff.Expr, names: "list[str]"):
    assert [name for name, _ in named("feature", None, lift(expression), payments)] == names


def test_lookups_are_found_wherever_they_are_read():
    shops = Lookup("shops", key="shop", columns={"shop": ff.Int64(), "closed": ff.Boolean()})
    expression = merchants["risk"].sum().where(shops["closed"]).over("merchant", ff.since(shops["closed"]))
    node = resolve("x", lift(expression), payments)
    assert list(lookups(node)) == [merchants, shops, shops]
    assert isinstance(node, Aggregate)
    assert node.arguments == (LookupColumn(merchants, Column("merchant"), "risk"),)


def test_a_stream_without_the_keys_column_says_what_to_write():
    other = Stream("others", {"ts": ff.Timestamp("us"), "mercant": ff.String()}, time="ts")
    with pytest.raises(DefinitionError) as caught:
        resolve("feature `x`", lift(merchants["risk"]), other)
    assert "column `merchant` is not in stream `others`; did you mean `mercant`?" in caught.value.message
    assert caught.value.message.endswith("say what finds the row: merchants.on(col(...))")


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda: Lookup("m", key="k"), "neither a table nor columns; give it a table, or columns={...}"),
        (lambda: Lookup("", TABLE, key="k"), "the name is empty"),
        (
            lambda: Lookup("m", TABLE, key="mercant"),
            "key `mercant` is not one of its columns; did you mean `merchant`?",
        ),
        (lambda: Lookup("m", [1], key="k"), "give it anything with the Arrow PyCapsule interface"),
        (lambda: Lookup("m", key="k", columns={}), "columns is {}; write {'merchant': ff.String(), ...}"),
        (
            lambda: Lookup("m", key="k", columns={"k": str}),
            "column `k` is <class 'str'>; write Timestamp('us'), String()",
        ),
        (lambda: Lookup("m", key="k", columns={"k": ff.Categorical(["a"])}), "column `k` is Categorical"),
        (lambda: Lookup("m", key="k", columns={"k": ff.Int64(ge=0)}), "have no rules; write Int64()"),
        (
            lambda: Lookup("m", TABLE, key="merchant", columns={"merchant": ff.Int64()}),
            "column `merchant` is Utf8 in the table; cast it to Int64()",
        ),
        (
            lambda: Lookup("m", TABLE, key="merchant", columns={"merchant": ff.String(), "land": ff.String()}),
            "the table has no column `land`; leave it out of columns",
        ),
        (lambda: Lookup("m", pyarrow.table({"k": [[1]]}), key="k"), "column `k` is List"),
        (
            lambda: Lookup("m", pyarrow.table({"k": [1, 2, 1]}), key="k"),
            "row 2: key `k` is 1 as in row 0; keep one row a key",
        ),
        (lambda: Lookup("m", pyarrow.table({"k": ["a", None]}), key="k"), "row 1: field `k` is null"),
        (lambda: merchants["contry"], "it has no column `contry`; did you mean `country`?"),
        (lambda: merchants[0], "a column is 0; write a text"),
        (lambda: merchants.on("shop"), "'shop' is not an expression; write on(col('shop'))"),
        (lambda: merchants.on(col("a").last().over("b")), "compose the finished aggregations instead"),
        (lambda: merchants.on(col("a").last()), "write col('a').last().over(...)"),
    ],
)
def test_a_lookup_that_cannot_be_is_refused_where_it_is_written(mistake, told: str):
    with pytest.raises(DefinitionError) as caught:
        mistake()
    assert told in caught.value.message


def test_features_keep_their_lookups_and_pickle_with_the_rows():
    features = payments.features(risk=merchants["risk"], mean=merchants["risk"].mean().over("merchant"))
    assert features.lookups == (merchants,)
    again = pickle.loads(pickle.dumps(features))
    assert again == features
    assert again.lookups[0].rows is not None
    assert ff.FeatureSet.from_json(features.to_json()) == features


def test_two_lookups_of_one_name_are_refused():
    other = Lookup("merchants", TABLE.select(["merchant", "size"]), key="merchant")
    with pytest.raises(DefinitionError, match="two different lookups called `merchants`"):
        payments.features(a=merchants["size"], b=other["size"])


def events(*merchants: "str | None"):
    return [{"ts": place, "merchant": each, "shop": 1, "amount": 1.0} for place, each in enumerate(merchants)]


def test_an_engine_joins_the_row_of_each_event():
    nullable = Stream("s", {"ts": ff.Timestamp("ns"), "merchant": ff.String(nullable=True)}, time="ts")
    columns = ["country", "risk", "size", "open", "opened", "day"]
    engine = ff.Engine(nullable.features(*(merchants[column] for column in columns)))
    first, second = datetime(2020, 1, 1, tzinfo=timezone.utc), None
    found = [
        engine.push({"ts": place, "merchant": each}).values() for place, each in enumerate(["m-1", "m-2", "?", None])
    ]
    assert found[:2] == [["NL", 0.5, 1, True, first, first], ["BE", None, 2, None, second, None]]
    assert found[2:] == [[None] * 6] * 2
    stats = engine.stats()["lookups"]["merchants"]
    assert (stats["rows"], stats["misses"], stats["version"]) == (2, 1, 1)
    assert stats["bytes"] > 0


def test_new_rows_count_from_the_next_event():
    engine = ff.Engine(payments.features(land=merchants["country"]))
    newer = Lookup("merchants", TABLE.slice(1).set_column(1, "country", [["FR"]]), key="merchant")
    first, second, third = events("m-2", "m-2", "m-1")
    assert engine.push(first)["land"] == "BE"
    engine.set_lookup(newer)
    assert engine.push(second)["land"] == "FR"
    assert engine.push(third)["land"] is None


def test_an_engine_may_be_given_other_rows_than_the_definition_has():
    features = ff.FeatureSet.from_json(payments.features(land=merchants["country"]).to_json())
    with pytest.raises(DefinitionError, match=r"it has no rows; give its table with Engine\(features, lookups"):
        ff.Engine(features)
    engine = ff.Engine(features, lookups=[merchants])
    assert engine.push(events("m-1")[0])["land"] == "NL"


@pytest.mark.parametrize(
    ("lookup", "told"),
    [
        (TABLE, "is no Lookup; write lookups=[merchants, shops]"),
        (Lookup("merchant", TABLE, key="merchant"), "read no lookup of this name; did you mean `merchants`?"),
        (Lookup("merchants", TABLE, key="size"), "make it with key='merchant', columns={'merchant': String()"),
    ],
)
def test_another_lookup_than_that_of_the_features_is_refused(lookup: object, told: str):
    features = payments.features(land=merchants["country"])
    engine = ff.Engine(features)
    for give in (lambda: ff.Engine(features, lookups=[lookup]), lambda: engine.set_lookup(lookup)):
        with pytest.raises(DefinitionError) as caught:
            give()
        assert told in str(caught.value)
