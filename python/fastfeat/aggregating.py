"""The aggregations of a value as its methods: `col("amount").sum()`. What they build is in `aggregations`.

`docs/semantics.md` section 4 has the rules, `docs/reference/aggregations` a page for each.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from fastfeat.aggregations import Aggregation
    from fastfeat.expressions import Expr
    from fastfeat.nodes import Parameter

__all__ = ["Aggregating"]


class Aggregating:
    """What can be aggregated: every expression over the fields of one event."""

    def agg(self, *names: str) -> Aggregation:
        """Several aggregations of this expression, by name. Their features come one aggregation after the other.

        >>> col("amount").agg("count", "sum").over("card", "1h", "24h")
        col('amount').agg('count', 'sum').over('card', '1h', '24h')
        """
        from fastfeat.aggregations import agg  # aggregations are made of expressions

        return agg(cast("Expr", self), names)

    def count(self) -> Aggregation:
        """How many events have a value here (`ff.count()` counts all events)."""
        return self.agg("count")

    def sum(self) -> Aggregation:
        """The correctly rounded sum; 0 of nothing. Float64."""
        return self.agg("sum")

    def mean(self) -> Aggregation:
        """The mean; null of nothing."""
        return self.agg("mean")

    def var(self) -> Aggregation:
        """The variance of a sample (ddof=1); null below two values."""
        return self.agg("var")

    def std(self) -> Aggregation:
        """The standard deviation of a sample (ddof=1); null below two values."""
        return self.agg("std")

    def skew(self) -> Aggregation:
        """The skewness of the population; null where nothing varies."""
        return self.agg("skew")

    def kurtosis(self) -> Aggregation:
        """The excess kurtosis of the population, 0 of a normal distribution; null where nothing varies."""
        return self.agg("kurtosis")

    def slope(self) -> Aggregation:
        """The slope of the least-squares line of the value over the event's time, per second."""
        return self.agg("slope")

    def min(self) -> Aggregation:
        """The smallest value; null of nothing."""
        return self.agg("min")

    def max(self) -> Aggregation:
        """The largest value; null of nothing."""
        return self.agg("max")

    def first(self) -> Aggregation:
        """The oldest value in the window."""
        return self.agg("first")

    def last(self) -> Aggregation:
        """The newest value in the window, that of the event itself included."""
        return self.agg("last")

    def n_unique(self) -> Aggregation:
        """How many different values; 0 of nothing."""
        return self.agg("n_unique")

    def approx_n_unique(self) -> Aggregation:
        """About how many different values, in bounded memory: exact up to 128, standard error 3.3 % above."""
        return self.agg("approx_n_unique")

    def is_first(self) -> Aggregation:
        """Whether no event before this one has its value; null when it has none."""
        return self.agg("is_first")

    def mode(self) -> Aggregation:
        """The most frequent value; of several the smallest."""
        return self.agg("mode")

    def entropy(self) -> Aggregation:
        """The entropy of the values' frequencies, in nats: 0 when all are the same."""
        return self.agg("entropy")

    def median(self) -> Aggregation:
        """The value in the middle, or the mean of the two there."""
        return self.agg("median")

    def any(self) -> Aggregation:
        """Whether some value is true; null of nothing."""
        return self.agg("any")

    def all(self) -> Aggregation:
        """Whether every value is true; null of nothing."""
        return self.agg("all")

    def rate(self) -> Aggregation:
        """How many events a second have a value here, over the window's length."""
        return self.agg("rate")

    def time_since_last(self) -> Aggregation:
        """Seconds since the last event before this one that has a value here."""
        return self.agg("time_since_last")

    def time_since_first(self) -> Aggregation:
        """Seconds since the first event in the window that has a value here."""
        return self.agg("time_since_first")

    def lag(self, n: int = 1) -> Aggregation:
        """The value of the n-th event before this one that has a value here; n is 1 to 1,000.

        >>> col("amount").lag().over("card")
        col('amount').lag(1).over('card')
        """
        from fastfeat.aggregations import how_many

        return self._with("lag", how_many("lag", "n", n))

    def last_k(self, k: int) -> Aggregation:
        """The newest k values as a list, newest first; k is 1 to 1,000.

        >>> col("merchant").last_k(3).over("card")
        col('merchant').last_k(3).over('card')
        """
        from fastfeat.aggregations import how_many

        return self._with("last_k", how_many("last_k", "k", k))

    def top_k(self, k: int) -> Aggregation:
        """The k most frequent values as a list, most frequent first; k is 1 to 1,000.

        >>> col("merchant").top_k(3).over("card", "30d")
        col('merchant').top_k(3).over('card', '30d')
        """
        from fastfeat.aggregations import how_many

        return self._with("top_k", how_many("top_k", "k", k))

    def quantile(self, q: float) -> Aggregation:
        """The value below which the part q of all values lies, interpolated linearly as NumPy does; q is 0 to 1.

        >>> col("amount").quantile(0.9).over("card", "30d")
        col('amount').quantile(0.9).over('card', '30d')
        """
        from fastfeat.aggregations import part_of_one

        return self._with("quantile", part_of_one("quantile", "q", q))

    def approx_quantile(self, q: float) -> Aggregation:
        """The same within 1 % of the value and in bounded memory, so over all time too; q is 0 to 1.

        >>> col("amount").approx_quantile(0.99).over("card")
        col('amount').approx_quantile(0.99).over('card')
        """
        from fastfeat.aggregations import part_of_one

        return self._with("approx_quantile", part_of_one("approx_quantile", "q", q))

    def ewm_mean(self, half_life: str | timedelta) -> Aggregation:
        """The mean, in which a value counts half as much every `half_life`.

        >>> col("amount").ewm_mean("1h").over("card")
        col('amount').ewm_mean('1h').over('card')
        """
        from fastfeat.durations import duration

        return self._with("ewm_mean", duration("ewm_mean", "half_life", half_life))

    def ewm_sum(self, half_life: str | timedelta) -> Aggregation:
        """The sum, in which a value counts half as much every `half_life`.

        >>> col("amount").ewm_sum(half_life="1h").over("card")
        col('amount').ewm_sum('1h').over('card')
        """
        from fastfeat.durations import duration

        return self._with("ewm_sum", duration("ewm_sum", "half_life", half_life))

    def cov(self, other: Expr) -> Aggregation:
        """The covariance of a sample (ddof=1) with another value, of the events that have both.

        >>> col("amount").cov(col("tip")).over("card", "7d")
        col('amount').cov(col('tip')).over('card', '7d')
        """
        return self._with("cov", other=other)

    def corr(self, other: Expr) -> Aggregation:
        """The correlation with another value, -1 to 1, of the events that have both.

        >>> col("amount").corr(col("tip")).over("card", "7d")
        col('amount').corr(col('tip')).over('card', '7d')
        """
        return self._with("corr", other=other)

    def min_by(self, other: Expr) -> Aggregation:
        """The value where another one is smallest; of several the earliest.

        >>> col("merchant").min_by(col("amount")).over("card", "7d")
        col('merchant').min_by(col('amount')).over('card', '7d')
        """
        return self._with("min_by", other=other)

    def max_by(self, other: Expr) -> Aggregation:
        """The value where another one is largest; of several the earliest.

        >>> col("merchant").max_by(col("amount")).over("card", "7d")
        col('merchant').max_by(col('amount')).over('card', '7d')
        """
        return self._with("max_by", other=other)

    def _with(self, kind: str, *parameters: Parameter, other: object = None) -> Aggregation:
        from fastfeat.aggregations import aggregation, compared_with

        values = (cast("Expr", self),) if parameters else (cast("Expr", self), compared_with(kind, other))
        return aggregation((kind,), values, parameters)
