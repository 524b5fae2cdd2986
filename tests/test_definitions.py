"""From what a user writes to a row of features: names, order, which stream a column is of, and that sets are values."""

import copy
import pickle
import sys

import fastfeat as ff
import pytest
from fastfeat import DefinitionError, FeatureSet, Stream, col, count
from fastfeat.aggregations import KINDS, WITH_ARGUMENTS
from fastfeat.expressions import lift
from fastfeat.features import FEATURES_MAX
from fastfeat.naming import named
from fastfeat.nodes import Aggregate, Column
from fastfeat.scoping import resolve
from fastfeat.windows import Since

payments = Stream(
    "payments",
    {
        "ts": ff.Timestamp("us"),
        "card": ff.String(max_bytes=64),
        "merchant": ff.String(),
        "customer": ff.Int64(),
        "amount": ff.Float64(ge=0),
        "declined": ff.Boolean(default=False),
        "1h": ff.String(nullable=True),
    },
    time="ts",
    lateness="10s",
)
logins = Stream(
    "logins",
    {"at": ff.Timestamp("ms"), "user": ff.Int64(), "card": ff.String(), "ok": ff.Boolean(), "amount": ff.Int64()},
    time="at",
)
amount = col("amount")


def test_the_example_of_the_contract_names_its_features():
    features = payments.features(
        amount.agg("count", "sum", "mean", "std", "min", "max").over("card", "1h", "24h", "7d"),
        merchants_24h=col("merchant").n_unique().over("card", "24h"),
        declines_1h=count().where(col("declined")).over("card", "1h"),
        previous_amount=amount.lag(1).over("card"),
        seconds_since_previous=ff.time_since_last().over("card"),
        amount_vs_week=amount / amount.mean().over("card", "7d"),
        merchant_mean_24h=amount.mean().over("merchant", "24h"),
    )
    kinds = ("count", "sum", "mean", "std", "min", "max")
    assert features.names == (
        *(f"amount_{kind}_card_{window}" for kind in kinds for window in ("1h", "24h", "7d")),
        "merchants_24h",
        "declines_1h",
        "previous_amount",
        "seconds_since_previous",
        "amount_vs_week",
        "merchant_mean_24h",
    )


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (amount, ["amount"]),
        (payments["amount"], ["amount"]),
        (amount.alias("a"), ["a"]),
        ((amount * 2).alias("double"), ["double"]),
        (amount.sum().over("card", "1h"), ["amount_sum_card_1h"]),
        (amount.sum().over("card"), ["amount_sum_card"]),
        (amount.sum().over("1h"), ["amount_sum_1h"]),
        (amount.sum().over(), ["amount_sum"]),
        (amount.sum().over("card", "merchant", "24h"), ["amount_sum_card_merchant_24h"]),
        (amount.sum().over("24h", "card", "1h"), ["amount_sum_card_24h", "amount_sum_card_1h"]),
        (amount.sum().over("card", "60m"), ["amount_sum_card_60m"]),
        (amount.sum().over("card", ff.rolling("90m")), ["amount_sum_card_90m"]),
        (amount.sum().over(col("1h"), "1h"), ["amount_sum_1h_1h"]),
        (amount.sum().over(col("card"), "1h"), ["amount_sum_card_1h"]),
        (amount.sum().over("1h", whole=amount.floor()), ["amount_sum_whole_1h"]),
        (count().over("card", "1h"), ["count_card_1h"]),
        (amount.count().over("card", "1h"), ["amount_count_card_1h"]),
        (payments.count().over("card", "1h"), ["count_card_1h"]),
        (amount.lag().over("card"), ["amount_lag_1_card"]),
        (amount.lag(3).over("card", "1h"), ["amount_lag_3_card_1h"]),
        (amount.lag(1_000).over("card"), ["amount_lag_1000_card"]),
        (ff.time_since_last().over("card"), ["time_since_last_card"]),
        (amount.time_since_last().over("card"), ["amount_time_since_last_card"]),
        (count().where(col("declined")).over("card", "1h"), ["count_where_declined_card_1h"]),
        (amount.sum().where(col("declined")).over("card"), ["amount_sum_where_declined_card"]),
        (count().where((amount > 9).alias("large")).over("card"), ["count_where_large_card"]),
        ((amount * 2).alias("double").sum().over("card"), ["double_sum_card"]),
        (
            amount.agg("sum", "max").over("1h", "2h"),
            [f"amount_{each}" for each in ("sum_1h", "sum_2h", "max_1h", "max_2h")],
        ),
        (amount.agg("sum", "max").over("card").alias("a"), ["a_sum", "a_max"]),
        (amount.sum().over("card", "1h", "2h").alias("a"), ["a_1h", "a_2h"]),
        (amount.sum().over("card", "1h").alias("a").alias("b"), ["b"]),
        (logins.count().over("1h", user=col("customer")), ["logins_count_user_1h"]),
        (logins["amount"].sum().over("card", "1h"), ["logins_amount_sum_card_1h"]),
        (count().where(logins["ok"]).over("card"), ["logins_count_where_ok_card"]),
        (logins.time_since_last().over("card"), ["logins_time_since_last_card"]),
    ],
)
def test_an_unnamed_feature_is_named_after_what_it_is(expression: ff.Expr, names: "list[str]"):
    assert list(payments.features(expression)) == names


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (amount.sum().over("card", "1h"), ["x"]),
        (amount.sum().over("card", "1h", "24h"), ["x_1h", "x_24h"]),
        (amount.agg("sum").over("card", "1h"), ["x"]),
        (amount.agg("sum", "max").over("card", "1h"), ["x_sum", "x_max"]),
        (amount.agg("sum", "max").over("card", "1h", "2h"), ["x_sum_1h", "x_sum_2h", "x_max_1h", "x_max_2h"]),
        (amount / amount.mean().over("card", "1h", "24h"), ["x_1h", "x_24h"]),
        (amount.sum().over("card", "1h", "2h") / amount.sum().over("card", "2h", "60m"), ["x_1h", "x_2h"]),
        (amount.sum().over("card", "1h", "2h") / amount.sum().over("card"), ["x_1h", "x_2h"]),
        (amount - amount.agg("min", "max").over("card", "1h"), ["x_min", "x_max"]),
        (amount.alias("a"), ["x"]),
        (ff.lit(1), ["x"]),
    ],
)
def test_a_keyword_names_features_and_the_window_follows(expression: ff.Expr, names: "list[str]"):
    assert list(payments.features(x=expression)) == names


def test_unnamed_features_come_first_and_all_come_as_written():
    features = payments.features(col("merchant"), count().over("card"), z=amount, self=amount, a=amount)
    assert features.names == ("merchant", "count_card", "z", "self", "a")


def test_every_window_of_a_composition_has_its_own_part():
    both = payments.features(x=amount.sum().over("card", "1h", "2h") / amount.max().over("card", "2h", "1h"))
    one_by_one = payments.features(
        x_1h=amount.sum().over("card", "1h") / amount.max().over("card", "1h"),
        x_2h=amount.sum().over("card", "2h") / amount.max().over("card", "2h"),
    )
    assert both == one_by_one


def test_a_column_bound_to_the_stream_of_the_features_is_the_plain_column():
    bound = payments.features(x=payments["amount"].sum().where(payments["declined"]).over(payments["card"], "1h"))
    plain = payments.features(x=col("amount").sum().where(col("declined")).over("card", "60m"))
    assert bound == plain
    assert hash(bound) == hash(plain)
    assert payments.features(x=amount.sum().over(card=col("card"))) == payments.features(x=amount.sum().over("card"))


def test_columns_of_an_aggregation_of_another_stream_are_of_that_stream():
    features = payments.features(
        mine=col("user").n_unique().where(logins["ok"]).over("1h", user=col("customer")),
        both=logins["amount"].sum().over("card", "1h") + amount,
    )
    assert features.streams == (payments, logins)
    assert features.stream == payments
    assert payments.features(amount).streams == (payments,)


@pytest.mark.parametrize(
    ("arguments", "place", "told"),
    [
        ([], "features", "there are none"),
        (["amount"], "unnamed feature 1", "'amount' is not an expression; write col('amount')"),
        ([amount, [amount]], "unnamed feature 2", "features(*items)"),
        ([5], "unnamed feature 1", "a constant is ff.lit(value)"),
        ([amount.sum()], "unnamed feature 1", "col('amount').sum() says not over which events"),
        ([ff.when(amount > 1).then(1)], "unnamed feature 1", "write when(c).then(a).otherwise(b)"),
        ([amount + 1], "unnamed feature 1, col('amount') + 1", "a composed feature needs a name"),
        ([(amount + 1).sum().over("card")], "unnamed feature 1", "its input col('amount') + 1 is computed"),
        ([count().where(~col("declined")).over()], "unnamed feature 1", "its filter ~col('declined') is computed"),
        ([count().over("card"), amount.max().over("card").alias("count_card")], "feature `count_card`", "two features"),
        ([amount, amount], "feature `amount`", "two features have this name, col('amount') and col('amount')"),
        ([col("amuont")], "feature `amuont`", "column `amuont` is not in stream `payments`; did you mean `amount`?"),
        ([count().over("kard")], "feature `count_kard`", "did you mean `card`?"),
        ([count().over("7x")], "feature `count_7x`", "as a window it is not a duration: write `7d`"),
        ([count().where(col("declind")).over()], "feature `count_where_declind`", "did you mean `declined`?"),
        ([logins["ok"]], "feature `ok`", "aggregate it, as in logins.col('ok').last().over(...)"),
        ([count().over(logins["user"])], "feature `count_user`", "logins.col('user') is not there"),
        ([logins.count().over("user")], "feature `logins_count_user`", "say which of them is the key: over(user=col("),
        ([logins.count().over("customer")], "feature `logins_count_customer`", "is not in stream `logins`"),
        ([logins.count().over(usr=col("customer"))], "feature `logins_count_usr`", "did you mean `user`?"),
        ([logins.count().over(user=col("custoner"))], "feature `logins_count_user`", "did you mean `customer`?"),
    ],
)
def test_a_definition_that_cannot_be_is_refused_with_the_way_out(arguments: list, place: str, told: str):
    with pytest.raises(DefinitionError) as caught:
        payments.features(*arguments)
    assert caught.value.place.startswith(place)
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda: amount.sum().over("card", "card"), "key `card` is there twice"),
        (lambda: amount.sum().over("card", card=amount), "key `card` is there twice"),
        (lambda: amount.sum().over("1h", "60m"), "windows `1h` and `60m` are the same"),
        (lambda: amount.sum().over("0h"), "window `0h` is not positive"),
        (lambda: amount.sum().over("300000000w"), "longer than 292 years"),
        (lambda: amount.sum().over(""), "a key is an empty text"),
        (lambda: amount.sum().over(5), "5 is neither a key nor a window"),
        (lambda: amount.sum().over(amount + 1), "write over(name=col('amount') + 1)"),
        (lambda: amount.sum().over(x=5), "key `x` is 5"),
        (lambda: amount.sum().over("card", include_current=0), "include_current is 0; write True or False"),
        (lambda: amount.sum().over("card", ties="exlude"), "did you mean `exclude`? write `include` or `exclude`"),
        (lambda: amount.sum().over("card", ties=False), "ties is False; write `include` or `exclude`"),
        (lambda: amount.sum().over(ff.last(5), ff.last(5)), "windows `last(5)` and `last(5)` are the same"),
        (
            lambda: amount.sum().over(ff.rolling("1h", offset="1d"), ff.rolling("1h", offset="24h")),
            "windows `rolling('1h', offset='1d')` and `rolling('1h', offset='24h')` are the same",
        ),
        (lambda: amount.sum().over(ff.hopping), "is neither a key nor a window"),
        (lambda: payments.count().over(ff.since(logins["ok"])), "it reads streams `payments` and `logins`"),
        (lambda: count().over(payments["card"], ff.since(logins["ok"])), "key payments.col('card') is not of stream"),
        (lambda: amount.sum().over(x=count().over()), "it reads count().over()"),
        (lambda: amount.sum().over("card").max(), "compose the finished aggregations instead"),
        (lambda: count().where(count().over() > 1), "compose the finished aggregations instead"),
        (lambda: count().where("declined"), "write col('declined')"),
        (lambda: count().where(True), "True is not an expression"),
        (lambda: payments.count().where(logins["ok"]), "it reads streams `payments` and `logins`"),
        (lambda: (payments["amount"] + logins["amount"]).sum(), "it reads streams `payments` and `logins`"),
        (lambda: logins.count().over(payments["customer"]), "as in over(user=payments.col('customer'))"),
        (lambda: amount.agg(), "it names no aggregation"),
        (lambda: amount.agg("sum", "sum"), "`sum` is there twice"),
        (lambda: amount.agg("maen"), "'maen' is not an aggregation; did you mean `mean`?"),
        (lambda: amount.agg("lag"), "`lag` needs more than its name; write .lag(n) by itself"),
        (lambda: amount.agg("sum", "corr"), "write .corr(col(...)) by itself"),
        (lambda: amount.agg("quantlie"), "did you mean `quantile`?"),
        (lambda: amount.agg(5), "5 is not an aggregation; agg takes count, sum"),
        (lambda: amount.last_k(0), "k is 0; write a whole number from 1 to 1000"),
        (lambda: amount.top_k(1_001), "k is 1001"),
        (lambda: amount.top_k("3"), "k is '3'"),
        (lambda: amount.quantile(90), "q is 90; write a number from 0 to 1, such as 0.9 for 90 %"),
        (lambda: amount.quantile(-0.1), "q is -0.1; write a number from 0 to 1, such as 0.9"),
        (lambda: amount.quantile(float("nan")), "q is nan"),
        (lambda: amount.approx_quantile("0.9"), "q is '0.9'"),
        (lambda: amount.approx_quantile(True), "q is True"),
        (lambda: amount.approx_quantile(10**400), "write a number from 0 to 1"),
        (lambda: amount.ewm_mean("1 hour"), "half_life `1 hour` is not a duration; write `1h`"),
        (lambda: amount.ewm_sum("0s"), "half_life `0s` is not positive"),
        (lambda: amount.ewm_sum(3600), "half_life is 3600; write a text"),
        (lambda: amount.cov("customer"), "'customer' is not an expression; write col('customer')"),
        (lambda: amount.corr(5), "5 is not an expression; write one, as in col('x')"),
        (lambda: amount.min_by(amount.max()), "write col('amount').max().over(...)"),
        (lambda: amount.max_by(amount.max().over("card")), "compose the finished aggregations instead"),
        (lambda: logins["amount"].cov(payments["amount"]), "it reads streams `logins` and `payments`"),
        (lambda: amount.lag(0), "n is 0; write a whole number from 1 to 1000"),
        (lambda: amount.lag(1_001), "n is 1001"),
        (lambda: amount.lag(True), "n is True"),
        (lambda: amount.lag(1.0), "n is 1.0"),
    ],
)
def test_an_aggregation_that_cannot_be_is_refused_where_it_is_written(mistake, told: str):
    with pytest.raises(DefinitionError) as caught:
        mistake()
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (amount.sum().over("card", ff.rolling("1h", offset="1d")), ["amount_sum_card_1h_offset_1d"]),
        (amount.sum().over("card", ff.rolling("1h", closed="left")), ["amount_sum_card_1h_left"]),
        (amount.sum().over(ff.rolling("1h", offset="2d", closed="both")), ["amount_sum_1h_offset_2d_both"]),
        (amount.sum().over("card", ff.tumbling("1d")), ["amount_sum_card_tumbling_1d"]),
        (amount.sum().over(ff.tumbling("1d", timezone="Europe/Paris")), ["amount_sum_tumbling_1d"]),
        (amount.sum().over("card", ff.hopping("30d", every="1h")), ["amount_sum_card_hopping_30d"]),
        (count().over("card", ff.session("30m")), ["count_card_session_30m"]),
        (amount.mean().over("card", "1h", ff.last(100)), ["amount_mean_card_1h", "amount_mean_card_last_100"]),
        (count().over("card", ff.since(col("declined"))), ["count_card_since_declined"]),
        (count().over("card", ff.since((amount > 9).alias("large"))), ["count_card_since_large"]),
        (count().over("card", "1h", include_current=False), ["count_card_1h_before"]),
        (count().over("card", include_current=False), ["count_card_before"]),
        (count().over("card", "1h", ties="exclude"), ["count_card_1h_strictly_before"]),
        (count().over("card", ties="exclude", include_current=False), ["count_card_strictly_before"]),
        (amount.quantile(0.9).over("card", "1h"), ["amount_quantile_0.9_card_1h"]),
        (amount.approx_quantile(1).over("card"), ["amount_approx_quantile_1.0_card"]),
        (amount.last_k(3).over("card"), ["amount_last_k_3_card"]),
        (amount.top_k(2).over("card", "1h"), ["amount_top_k_2_card_1h"]),
        (amount.ewm_mean(half_life="60m").over("card"), ["amount_ewm_mean_60m_card"]),
        (amount.cov(col("customer")).over("card", "1h"), ["amount_cov_customer_card_1h"]),
        (col("merchant").max_by(amount).over("card", "1h"), ["merchant_max_by_amount_card_1h"]),
        (amount.corr((amount * 2).alias("twice")).over("card"), ["amount_corr_twice_card"]),
        (ff.rate().over("card", "1h"), ["rate_card_1h"]),
        (amount.rate().over("card", "1h"), ["amount_rate_card_1h"]),
        (ff.time_since_first().over("card", ff.session("1h")), ["time_since_first_card_session_1h"]),
        (logins.rate().over("card", "1h"), ["logins_rate_card_1h"]),
        (logins.time_since_first().over("card"), ["logins_time_since_first_card"]),
        (count().over("card", ff.since(logins["ok"])), ["logins_count_card_since_ok"]),
        (col("declined").any().over("card", "1h"), ["declined_any_card_1h"]),
    ],
)
def test_windows_parameters_and_second_inputs_are_in_the_name(expression: ff.Expr, names: "list[str]"):
    assert [name for name, _ in named("feature", None, lift(expression), payments)] == names


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (count().over("card", ff.last(5)), ["x"]),
        (count().over("card", ff.since(amount > 9)), ["x"]),
        (count().over("card", ff.last(5), ff.session("1h")), ["x_last_5", "x_session_1h"]),
        (count().over("card", "1h", ff.since((amount > 9).alias("large"))), ["x_1h", "x_since_large"]),
        (count().over("card", "1h", "2h", ties="exclude"), ["x_1h", "x_2h"]),
    ],
)
def test_a_keyword_is_followed_by_what_differs(expression: ff.Expr, names: "list[str]"):
    assert [name for name, _ in named("feature", "x", lift(expression), payments)] == names


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        (count().over("card", ff.since(amount > 9)), "its condition col('amount') > 9 is computed, so it needs a name"),
        (amount.cov(amount * 2).over("card"), "its second input col('amount') * 2 is computed"),
    ],
)
def test_a_computed_part_needs_a_name(expression: ff.Expr, told: str):
    with pytest.raises(DefinitionError) as caught:
        list(named("feature", None, lift(expression), payments))
    assert told in caught.value.message


def test_two_ways_to_write_the_same_are_the_same():
    assert count().over("card", ties="exclude", include_current=False).equals(count().over("card", ties="exclude"))
    assert amount.quantile(1).over("card").equals(amount.quantile(1.0).over("card"))
    assert amount.quantile(-0.0).over("card").equals(amount.quantile(0).over("card"))
    assert amount.ewm_sum("1h").over("card").equals(amount.ewm_sum("60m").over("card"))
    assert not count().over("card").equals(count().over("card", include_current=False))


def test_the_condition_of_since_is_of_the_stream_that_is_aggregated():
    mine = payments.col("amount").sum().over("card", ff.since(payments["declined"]))
    assert resolve("x", lift(mine), payments) == resolve("x", lift(plain_since()), payments)
    other = resolve("x", lift(logins["amount"].sum().over("card", ff.since(col("ok")))), payments)
    assert isinstance(other, Aggregate)
    assert other.windows == (Since(Column("ok", logins)),)
    with pytest.raises(DefinitionError, match=r"column `okk` is not in stream `logins`; did you mean `ok`\?"):
        resolve("x", lift(logins.count().over("card", ff.since(col("okk")))), payments)


def plain_since() -> ff.Expr:
    return amount.sum().over("card", ff.since(col("declined").alias("name")))


def test_aggregations_that_need_more_than_a_name_say_so_one_by_one():
    for name in WITH_ARGUMENTS:
        assert hasattr(ff.Expr, name)
        with pytest.raises(DefinitionError, match="needs more than its name"):
            amount.agg(name)
    assert all(repr(getattr(amount, name)()) == f"col('amount').{name}()" for name in KINDS)


def test_parts_with_different_windows_or_aggregations_make_no_feature():
    with pytest.raises(DefinitionError, match="the windows `1h`, `2h` and another `1h`, `3h`"):
        payments.features(x=amount.sum().over("1h", "2h") / amount.sum().over("1h", "3h"))
    with pytest.raises(DefinitionError, match="the aggregations `sum`, `max` and another `sum`, `min`"):
        payments.features(x=amount.agg("sum", "max").over() / amount.agg("sum", "min").over())


def test_two_streams_of_one_name_are_refused():
    other = Stream("payments", {"ts": ff.Timestamp("us"), "card": ff.String()}, time="ts")
    with pytest.raises(DefinitionError, match="two different streams called `payments`"):
        payments.features(x=other.count().over("card"))
    others = Stream("logins", {"at": ff.Timestamp("ms"), "card": ff.String()}, time="at")
    with pytest.raises(DefinitionError, match="two different streams called `logins`"):
        payments.features(x=others.count().over("card"), y=logins.count().over("card"))


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        (ff.rate().over("card"), "rate"),
        (amount.median().over("card"), "approx_quantile"),
        (amount.quantile(0.9).over("card", ff.hopping("30d", every="1d")), "approx_quantile"),
        (logins["card"].is_first().over("card", "1h"), "is_first"),
        (count().over("card", ff.tumbling("1d", timezone="Europe/Pariss")), "Europe/Paris"),
        (amount.str.lower(), "str_lower"),
        (col("card").sum().over("card"), "sum"),
    ],
)
def test_what_the_compiler_refuses_is_refused_by_features(expression: ff.Expr, told: str):
    with pytest.raises(DefinitionError) as caught:
        payments.features(x=expression)
    assert caught.value.place == "feature `x`"
    assert told in caught.value.message


def test_the_ten_thousandth_feature_is_in_and_the_next_is_refused():
    windows = [f"{hours}h" for hours in range(1, 101)]
    keys = ["card", "merchant", "customer", "declined", "1h"]
    kinds = ("count", "sum", "mean", "min", "max", "first", "last", "var", "std", "n_unique")
    most = [amount.agg(*kinds).over(col(key), *windows) for key in keys]
    more = [each.alias(f"again_{index}") for index, each in enumerate(most)]
    assert FEATURES_MAX == 10_000
    assert len(payments.features(*most, *more)) == FEATURES_MAX
    with pytest.raises(DefinitionError, match="there are more than 10000 features"):
        payments.features(*most, *more, amount)


def test_a_feature_set_is_a_value():
    other = logins["amount"].sum().where(col("ok"))
    features = payments.features(amount.sum().over("card", "1h"), y=other.over("1h", user=col("customer")))
    written_otherwise = payments.features(
        amount.sum().over("card", "60m").alias("amount_sum_card_1h"), y=other.over("60m", user="customer")
    )
    copied, pickled = copy.deepcopy(features), pickle.loads(pickle.dumps(features))
    for again in (written_otherwise, copied, pickled, FeatureSet.from_json(features.to_json())):
        assert again == features
        assert hash(again) == hash(features)
        assert again.fingerprint == features.fingerprint
        assert again.to_json() == features.to_json()
        assert again.streams == features.streams
    assert features != payments.features(amount.sum().over("card", "1h"))
    assert (len(features), list(features), "y" in features) == (2, ["amount_sum_card_1h", "y"], True)
    assert all(name in features.describe() for name in features)
    with pytest.raises(AttributeError):
        features.stream = logins  # type: ignore[misc]


def test_features_of_another_order_or_name_are_others():
    sets = [
        payments.features(a=amount, b=col("card")),
        payments.features(b=col("card"), a=amount),
        payments.features(a=amount, c=col("card")),
        payments.features(a=amount, b=col("merchant")),
    ]
    assert len(set(sets)) == 4
    assert len({each.fingerprint for each in sets}) == 4


def test_a_feature_set_prints_as_source():
    features = payments.features(amount.sum().over("card", "1h", "24h"), **{"odd name": amount})
    assert repr(features) == (
        "payments.features(\n"
        "    amount_sum_card_1h=col('amount').sum().over('card', '1h'),\n"
        "    amount_sum_card_24h=col('amount').sum().over('card', '24h'),\n"
        "    **{'odd name': col('amount')},\n"
        ")"
    )
    assert eval(repr(features)) == features
    assert FeatureSet.from_json(features.to_json()) == features
    assert "<td>odd name</td>" in features._repr_html_()
    wide = payments.features(amount.sum().over("card", *(f"{hours}h" for hours in range(1, 1_001))))
    assert "# and 900 more" in repr(wide)


def test_html_is_escaped():
    features = payments.features(**{"<b>": ff.when(amount > 1).then("<i>").otherwise("&")})
    assert "&lt;b&gt;" in features._repr_html_()
    assert "<i>" not in features._repr_html_()


def test_the_schema_has_a_type_for_every_feature():
    import pyarrow

    features = payments.features(
        col("card"), amount, col("declined"), col("ts"), count().over("card"), amount.mean().over("card")
    )
    assert features.schema == pyarrow.schema(
        [
            ("card", pyarrow.string()),
            ("amount", pyarrow.float64()),
            ("declined", pyarrow.bool_()),
            ("ts", pyarrow.timestamp("us", tz="UTC")),
            ("count_card", pyarrow.int64()),
            ("amount_mean_card", pyarrow.float64()),
        ]
    )


def test_timestamps_and_categories_have_the_types_of_arrow():
    import pyarrow

    stream = Stream("s", {"ts": ff.Timestamp("ns"), "kind": ff.Categorical(["a", "b"])}, time="ts")
    schema = stream.features(col("ts"), col("kind")).schema
    assert schema.field("ts").type == pyarrow.timestamp("ns", tz="UTC")
    assert schema.field("kind").type == pyarrow.dictionary(pyarrow.int32(), pyarrow.string())


def test_a_missing_pyarrow_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pip install "fastfeat\[arrow\]"'):
        _ = payments.features(amount).schema
