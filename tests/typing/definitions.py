"""Not run: `mypy --strict` reads it. Each `type: ignore` is a mistake that the types have to see."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import fastfeat as ff
from fastfeat import Aggregation, Expr, FeatureSet, Stream, col, count

if TYPE_CHECKING:
    from typing_extensions import assert_type

    payments = Stream(
        "payments",
        {
            "ts": ff.Timestamp("us"),
            "card": ff.String(max_bytes=64, pattern="c-[0-9]+"),
            "channel": ff.Categorical(["chip", "online"], default="chip"),
            "items": ff.Int64(ge=1, one_of=[1, 2, 3]),
            "amount": ff.Float64(ge=0, nullable=True, default=None),
            "declined": ff.Boolean(default=False),
        },
        time="ts",
        lateness=timedelta(seconds=10),
    )
    amount = col("amount")
    assert_type(payments["amount"], Expr)
    assert_type(payments.count(), Aggregation)
    assert_type(amount.sum(), Aggregation)
    assert_type(amount.agg("count", "sum"), Aggregation)
    assert_type(count().where(amount > 1), Aggregation)
    assert_type(amount.lag(2).over("card", "1h", ff.rolling(timedelta(hours=2))), Expr)
    assert_type(count().over(hour=amount // 3_600, user="card"), Expr)
    assert_type(count().over("card", ff.tumbling("1d", timezone="Europe/Paris"), ff.last(9), ties="exclude"), Expr)
    assert_type(ff.rate().over("card", ff.rolling("1h", offset="1d", closed="left"), include_current=False), Expr)
    assert_type(ff.time_since_first().over("card", ff.session("30m"), ff.since(col("declined"))), Expr)
    assert_type(amount.quantile(0.9), Aggregation)
    assert_type(amount.ewm_mean(half_life=timedelta(hours=1)), Aggregation)
    assert_type(col("card").max_by(amount).over("1h", ff.hopping("30d", every="1h")), Expr)
    assert_type(payments.rate(), Aggregation)

    merchants = ff.Lookup("merchants", key="merchant", columns={"merchant": ff.String(), "risk": ff.Float64})
    assert_type(merchants["risk"], Expr)
    assert_type(merchants.on(col("card"))["risk"].mean().over("card"), Expr)

    assert_type(1 - amount, Expr)
    assert_type(2**amount, Expr)
    assert_type(amount == 1, Expr)
    assert_type(amount != "a", Expr)
    assert_type(col("ts") > datetime(2026, 1, 1), Expr)
    assert_type((amount > 1) & ~col("declined"), Expr)
    assert_type(ff.when(amount > 1).then("large").otherwise(None), Expr)
    assert_type(ff.coalesce(amount, 0.0).fill_null(0).cast(ff.Int64()), Expr)
    assert_type(abs(amount).alias("size"), Expr)
    assert_type(amount.clip(0, upper=col("items")).is_in([1, 2.5, None]), Expr)
    assert_type(col("card").str.lower().str.len() + col("ts").dt.hour(), Expr)
    assert_type(ff.haversine(amount, 4.9, 52, amount), Expr)

    features = payments.features(amount.mean().over("card", "1h"), large=amount > 100)
    assert_type(features, FeatureSet)
    assert_type(features.names, tuple[str, ...])
    assert_type(list(features), list[str])
    assert_type(FeatureSet.from_json(features.to_json()), FeatureSet)

    ff.Timestamp("min")  # type: ignore[arg-type]
    ff.Timestamp()  # type: ignore[call-arg]
    ff.Float64(ge="0")  # type: ignore[arg-type]
    ff.Float64(0)  # type: ignore[call-arg]
    ff.Boolean(one_of=[True])  # type: ignore[call-arg]
    Stream("s", {"ts": ff.Timestamp("us")})  # type: ignore[call-arg]
    Stream("s", {"ts": ff.Timestamp("us")}, time="ts", on_late="drop")  # type: ignore[arg-type]
    ff.rolling(3600)  # type: ignore[arg-type]
    ff.rolling("1h", "1d")  # type: ignore[call-arg]
    ff.rolling("1h", closed="start")  # type: ignore[arg-type]
    ff.hopping("30d")  # type: ignore[call-arg]
    ff.since("declined")  # type: ignore[arg-type]
    amount.quantile("0.9")  # type: ignore[arg-type]
    amount.corr("items")  # type: ignore[arg-type]
    amount.clip([0])  # type: ignore[arg-type]
    ff.Lookup("merchants", "merchants.parquet")  # type: ignore[call-arg]
    amount.sum() / 2  # type: ignore[operator]
    amount / amount.mean()  # type: ignore[operator]
    amount.sum().alias("x")  # type: ignore[attr-defined]
    amount.sum().over("card").where(amount > 1)  # type: ignore[attr-defined]
    amount.over("card")  # type: ignore[attr-defined]
    amount - [1]  # type: ignore[operator]
    count().where(True)  # type: ignore[arg-type]
    count().over("card", ties="ignore")  # type: ignore[arg-type]
    payments.features("amount")  # type: ignore[arg-type]
    payments.features(spend=amount.sum())  # type: ignore[arg-type]
    ff.when(amount > 1).then(2) + 1  # type: ignore[operator]
