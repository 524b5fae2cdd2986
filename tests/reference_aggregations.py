"""Part of the judge: what is computed over the events inside a window (`docs/semantics.md`, section 4).

Everything rational is computed in fractions and rounded once, at the end.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from reference_expressions import seconds
from reference_windows import Candidate


@dataclass(frozen=True)
class Seen:
    """What an aggregation sees of one row: the events inside that count, in total order."""

    entries: Sequence[Candidate]
    own: Candidate | None
    """The row's own event, inside or not; None where it has none, or one that does not count."""
    row_time: int
    ticks_per_second: int
    window: dict[str, Any]
    result_type: str
    categories: Sequence[str] | None = None
    """Of the values, where they are categorical."""

    @property
    def values(self) -> list[Any]:
        return [entry.values[0] for entry in self.entries]

    @property
    def numbers(self) -> list[Any]:
        return [number(value) for value in self.values]

    @property
    def pairs(self) -> list[tuple[Any, Any]]:
        return [(number(entry.values[0]), number(entry.values[1])) for entry in self.entries]

    def seconds(self, nanoseconds: int) -> float:
        return seconds(nanoseconds * self.ticks_per_second // 1_000_000_000, self.ticks_per_second)


def number(value: Any) -> Any:
    """Booleans count as 0 and 1 where a number is asked for."""
    return int(value) if isinstance(value, bool) else value


def same_value(value: Any) -> Any:
    """Equal for equal values: 0.0 equals -0.0, every NaN equals every NaN."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else ("float", value + 0.0)
    return None if value is None else (type(value).__name__, value)


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def all_finite(numbers: Sequence[Any]) -> bool:
    return all(math.isfinite(each) for each in numbers)


# --- Counts, sums and moments --------------------------------------------------------------------------------------


def count(seen: Seen) -> int:
    return len(seen.entries)


def rate(seen: Seen) -> float:
    """Per second of the window's length."""
    return len(seen.entries) / (seen.window["length_ns"] / 1e9)


def sum_(seen: Seen) -> float:
    return correctly_rounded_sum(seen.numbers)


def mean(seen: Seen) -> float | None:
    """The exact sum, rounded once, by the count; beyond the largest double it rounds as if there were larger ones."""
    if not seen.entries:
        return None
    count, total = len(seen.entries), correctly_rounded_sum(seen.numbers)
    if math.isinf(total) and all_finite(seen.numbers):
        smaller = nearest_double(exact_sum(seen.numbers) / HUGE_POWER) / count
        return nearest_double(Fraction(smaller) * HUGE_POWER)
    return total / count


def var(seen: Seen) -> float | None:
    """ddof = 1; null below two values; NaN with any NaN or infinity inside."""
    numbers = seen.numbers
    if len(numbers) < 2:
        return None
    if not all_finite(numbers):
        return math.nan
    total, squares = exact_sum(numbers), exact_sum(numbers, power=2)
    return nearest_double((squares - total * total / len(numbers)) / (len(numbers) - 1))


def std(seen: Seen) -> float | None:
    variance = var(seen)
    return None if variance is None else math.sqrt(variance)


def central_moments(numbers: Sequence[Any]) -> tuple[Fraction, Fraction, Fraction]:
    """The second, third and fourth of the population, from exact sums of powers."""
    middle, second, third, fourth = (exact_sum(numbers, power) / len(numbers) for power in (1, 2, 3, 4))
    return (
        second - middle**2,
        third - 3 * middle * second + 2 * middle**3,
        fourth - 4 * middle * third + 6 * middle**2 * second - 3 * middle**4,
    )


def skew(seen: Seen) -> float | None:
    numbers = seen.numbers
    if not all_finite(numbers):
        return math.nan
    if not numbers:
        return None
    second, third, _ = central_moments(numbers)
    return None if second == 0 else signed_root(third, third * third / second**3)


def kurtosis(seen: Seen) -> float | None:
    numbers = seen.numbers
    if not all_finite(numbers):
        return math.nan
    if not numbers:
        return None
    second, _, fourth = central_moments(numbers)
    return None if second == 0 else nearest_double(fourth / second**2 - 3)


def cross_sums(pairs: Sequence[tuple[Any, Any]]) -> tuple[Fraction, Fraction, Fraction]:
    """Sums of the squares and of the products of the deviations: of x, of y, of both."""
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    x_sum, y_sum = exact_sum(xs), exact_sum(ys)
    return (
        exact_sum(xs, power=2) - x_sum * x_sum / len(pairs),
        exact_sum(ys, power=2) - y_sum * y_sum / len(pairs),
        exact_dot(xs, ys) - x_sum * y_sum / len(pairs),
    )


def cov(seen: Seen) -> float | None:
    if len(seen.entries) < 2:
        return None
    if not all_finite([each for pair in seen.pairs for each in pair]):
        return math.nan
    return nearest_double(cross_sums(seen.pairs)[2] / (len(seen.entries) - 1))


def corr(seen: Seen) -> float | None:
    if len(seen.entries) < 2:
        return None
    if not all_finite([each for pair in seen.pairs for each in pair]):
        return math.nan
    xx, yy, xy = cross_sums(seen.pairs)
    return None if xx == 0 or yy == 0 else signed_root(xy, xy * xy / (xx * yy))


def slope(seen: Seen) -> float | None:
    """Per second."""
    if len(seen.entries) < 2:
        return None
    if not all_finite(seen.numbers):
        return math.nan
    tt, _, ty = cross_sums(over_time(seen))
    return None if tt == 0 else nearest_double(ty / tt * 1_000_000_000)


def over_time(seen: Seen) -> list[tuple[int, Any]]:
    """Nanoseconds and values."""
    return [(entry.time, number(entry.values[0])) for entry in seen.entries]


def weights(seen: Seen, half_life: int) -> list[Fraction]:
    """2^(-age / half-life), relative to that of the last event: of none but relative ones a mean is made."""
    last = seen.entries[-1].time
    return [power_of_two(Fraction(entry.time - last, half_life)) for entry in seen.entries]


def ewm_sum(seen: Seen, half_life: int) -> float:
    if not seen.entries:
        return 0.0
    if not all_finite(seen.numbers):
        return special_sum(seen.numbers)
    return decayed(seen, seen.numbers, half_life)


def decayed(seen: Seen, numbers: Sequence[Any], half_life: int) -> float:
    """Aged from the newest number that is not zero: beside a zero far newer the others would all count as nothing."""
    told = [(Fraction(each), entry.time) for each, entry in zip(numbers, seen.entries, strict=True) if each != 0]
    newest = max((time for _, time in told), default=0)
    total = sum((each * power_of_two(Fraction(time - newest, half_life)) for each, time in told), Fraction(0))
    return nearest_double(power_of_two(Fraction(newest - seen.row_time, half_life)) * total)


def ewm_mean(seen: Seen, half_life: int) -> float | None:
    if not seen.entries:
        return None
    if not all_finite(seen.numbers):
        return special_sum(seen.numbers)
    shares = weights(seen, half_life)
    return nearest_double(weighted(seen.numbers, shares) / sum(shares))


def weighted(numbers: Sequence[Any], shares: Sequence[Fraction]) -> Fraction:
    return sum((Fraction(each) * share for each, share in zip(numbers, shares, strict=True)), Fraction(0))


def power_of_two(exponent: Fraction) -> Fraction:
    """To some units of the 16th digit, however large or small it is."""
    whole = math.floor(exponent)
    if abs(whole) > 5_000:
        return Fraction(0) if whole < 0 else Fraction(2**5_000)
    return Fraction(2.0 ** float(exponent - whole)) * Fraction(2) ** whole


# --- Extremes and order ------------------------------------------------------------------------------------------


def min_(seen: Seen) -> Any:
    return extreme(seen, min)


def max_(seen: Seen) -> Any:
    return extreme(seen, max)


def extreme(seen: Seen, choose: Callable[..., Any]) -> Any:
    """NaN is ignored unless nothing else is there; of 0.0 and -0.0 the latter is the smaller."""
    if not seen.entries:
        return None
    values = [value for value in seen.values if not is_nan(value)]
    if not values:
        return math.nan
    chosen = choose(values, key=by_size)
    return float(chosen) if seen.result_type == "float64" else chosen


def by_size(value: Any) -> Any:
    return (value, math.copysign(1.0, value)) if value == 0 else (value, 0.0)


def min_by(seen: Seen) -> Any:
    return extreme_by(seen, min)


def max_by(seen: Seen) -> Any:
    return extreme_by(seen, max)


def extreme_by(seen: Seen, choose: Callable[..., Any]) -> Any:
    """Python's `min` and `max` keep the first of equals, and so the earliest."""
    if not seen.entries:
        return None
    known = [entry for entry in seen.entries if not is_nan(entry.values[1])]
    if not known:
        return seen.values[0]
    return choose(known, key=lambda entry: by_size(entry.values[1])).values[0]


def first(seen: Seen) -> Any:
    return seen.values[0] if seen.entries else None


def last(seen: Seen) -> Any:
    return seen.values[-1] if seen.entries else None


def lag(seen: Seen, n: int) -> Any:
    """The row's own event is not among the entries: see `LOOK_BEFORE`."""
    return seen.values[-n] if len(seen.entries) >= n else None


def last_k(seen: Seen, k: int) -> list[Any] | None:
    return seen.values[::-1][:k] or None


def any_(seen: Seen) -> bool | None:
    return any(seen.values) if seen.entries else None


def all_(seen: Seen) -> bool | None:
    return all(seen.values) if seen.entries else None


def time_since_last(seen: Seen) -> float | None:
    return seen.seconds(seen.row_time - seen.entries[-1].time) if seen.entries else None


def time_since_first(seen: Seen) -> float | None:
    return seen.seconds(seen.row_time - seen.entries[0].time) if seen.entries else None


# --- Distinct values and ranks -------------------------------------------------------------------------------------


def n_unique(seen: Seen) -> int:
    return len({same_value(value) for value in seen.values})


def is_first(seen: Seen) -> bool | None:
    """The row's own event is not among the entries: see `LOOK_BEFORE`."""
    if seen.own is None:
        return None
    return same_value(seen.own.values[0]) not in {same_value(value) for value in seen.values}


def by_frequency(seen: Seen) -> list[tuple[Any, int]]:
    """Values and how often they are there, most frequent first, of equally frequent ones the smaller.

    NaN is the largest; categories have the order of their list."""
    counted = Counter(same_value(value) for value in seen.values)
    plain = {same_value(value): value + 0.0 if isinstance(value, float) else value for value in seen.values}

    def order(value: Any) -> tuple[Any, ...]:
        if is_nan(plain[value]):
            return (-counted[value], 1, 0)
        size = plain[value] if seen.categories is None else seen.categories.index(plain[value])
        return (-counted[value], 0, size)

    ranked = sorted(counted, key=order)
    return [(plain[value], counted[value]) for value in ranked]


def mode(seen: Seen) -> Any:
    return by_frequency(seen)[0][0] if seen.entries else None


def top_k(seen: Seen, k: int) -> list[Any] | None:
    return [value for value, _ in by_frequency(seen)[:k]] or None


def entropy(seen: Seen) -> float | None:
    if not seen.entries:
        return None
    total = len(seen.entries)
    return math.fsum(-times / total * math.log(times / total) for _, times in by_frequency(seen)) + 0.0


def quantile(seen: Seen, q: float) -> float | None:
    """Linear between the neighbours. A value at a whole rank is itself; towards an infinity it is that infinity."""
    if not seen.entries:
        return None
    if any(map(is_nan, seen.numbers)):
        return math.nan
    ranked = sorted(map(float, seen.numbers), key=by_size)
    below, share = neighbours(len(ranked), q)
    if share == 0 or ranked[below] == ranked[below + 1]:
        return ranked[below]
    low, high = ranked[below], ranked[below + 1]
    if math.isinf(low) or math.isinf(high):
        return low + high
    return nearest_double(Fraction(low) + (Fraction(high) - Fraction(low)) * share)


def neighbours(count: int, q: float) -> tuple[int, Fraction]:
    """The rank below, and how far the quantile lies towards the next; q * (n - 1) is a double."""
    rank = q * (count - 1)
    return math.floor(rank), Fraction(rank) - math.floor(rank)


def median(seen: Seen) -> float | None:
    return quantile(seen, 0.5)


def approx_quantile(seen: Seen, q: float) -> float | None:
    """The exact value of that rank; an answer within 1 % of it is right."""
    if not seen.entries:
        return None
    if any(map(is_nan, seen.numbers)):
        return math.nan
    return sorted(map(float, seen.numbers), key=by_size)[math.floor(q * (len(seen.entries) - 1))]


AGGREGATIONS: dict[str, Callable[..., Any]] = {
    "count": count,
    "sum": sum_,
    "mean": mean,
    "var": var,
    "std": std,
    "min": min_,
    "max": max_,
    "first": first,
    "last": last,
    "lag": lag,
    "last_k": last_k,
    "n_unique": n_unique,
    "approx_n_unique": n_unique,
    "is_first": is_first,
    "quantile": quantile,
    "median": median,
    "approx_quantile": approx_quantile,
    "mode": mode,
    "top_k": top_k,
    "entropy": entropy,
    "any": any_,
    "all": all_,
    "skew": skew,
    "kurtosis": kurtosis,
    "slope": slope,
    "cov": cov,
    "corr": corr,
    "min_by": min_by,
    "max_by": max_by,
    "ewm_sum": ewm_sum,
    "ewm_mean": ewm_mean,
    "rate": rate,
    "time_since_last": time_since_last,
    "time_since_first": time_since_first,
}
LOOK_BEFORE = ("lag", "time_since_last", "is_first")

INT64 = ("count", "n_unique", "approx_n_unique")
BOOLEAN = ("any", "all", "is_first")
OF_THE_INPUT = ("min", "max", "first", "last", "lag", "mode", "min_by", "max_by")
LISTS = ("last_k", "top_k")


def result_type(kind: str, source: str | None) -> str:
    """`source` is the type of the first argument."""
    if kind in INT64:
        return "int64"
    if kind in BOOLEAN:
        return "boolean"
    if kind in ("min", "max") and source == "boolean":
        return "float64"
    if kind in OF_THE_INPUT:
        return str(source)
    return f"list[{source}]" if kind in LISTS else "float64"


# --- How far an answer may be ------------------------------------------------------------------------------------


SCALED = ("ewm_sum", "ewm_mean", "quantile", "median", "skew", "kurtosis", "corr", "cov", "slope", "entropy")


def scale(kind: str, seen: Seen, *parameters: Any) -> float:
    """The size of what an inexact answer is made of: it may be off by its tolerance of this, where terms cancel."""
    if kind not in SCALED or not seen.entries:
        return 0.0
    if kind == "entropy":
        return 1.0
    numbers = seen.numbers
    if not all_finite(numbers):
        return 0.0
    sizes = [abs(Fraction(each)) for each in numbers]
    if kind == "ewm_sum":
        return decayed(seen, sizes, parameters[0])
    if kind == "ewm_mean":
        shares = weights(seen, parameters[0])
        return nearest_double(weighted(sizes, shares) / sum(shares))
    if kind in ("quantile", "median"):
        ranked = sorted(map(float, numbers))
        below, share = neighbours(len(ranked), parameters[0] if parameters else 0.5)
        return max(abs(each) for each in ranked[below : below + 2]) if share else 0.0
    if kind in ("skew", "kurtosis", "corr"):
        return 1.0
    if kind in ("cov", "slope") and len(numbers) > 1:
        points = seen.pairs if kind == "cov" else over_time(seen)
        if not all_finite([each for pair in points for each in pair]):
            return 0.0
        xx, yy, _ = cross_sums(points)
        if kind == "cov":
            return signed_root(Fraction(1), xx * yy / (len(numbers) - 1) ** 2)
        return signed_root(Fraction(1), yy / xx) * 1e9 if xx else 0.0
    return 0.0


# --- Exact arithmetic --------------------------------------------------------------------------------------------

# Every finite double is a whole number of these.
SMALLEST_EXPONENT = 1074
HUGE_POWER = 2**200


def units(number: Any) -> int:
    numerator, denominator = number.as_integer_ratio()
    return int(numerator) << (SMALLEST_EXPONENT - denominator.bit_length() + 1)


def exact_sum(numbers: Sequence[Any], power: int = 1) -> Fraction:
    return Fraction(sum(units(each) ** power for each in numbers), 1 << (SMALLEST_EXPONENT * power))


def exact_dot(xs: Sequence[Any], ys: Sequence[Any]) -> Fraction:
    return Fraction(sum(units(x) * units(y) for x, y in zip(xs, ys, strict=True)), 1 << (2 * SMALLEST_EXPONENT))


def special_sum(numbers: Sequence[Any]) -> float:
    """NaN with a NaN or both infinities inside, that infinity with one."""
    return float(sum(each for each in numbers if not math.isfinite(each)))


def correctly_rounded_sum(numbers: Sequence[Any]) -> float:
    """The exact sum rounded once."""
    return nearest_double(exact_sum(numbers)) if all_finite(numbers) else special_sum(numbers)


def nearest_double(number: Fraction) -> float:
    """Ties to even; beyond the largest double an infinity."""
    try:
        return number.numerator / number.denominator
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def signed_root(sign: Fraction, square: Fraction) -> float:
    """The root of an exact square, to a unit of the last place, however far from 1 it is."""
    if square == 0:
        return 0.0
    shift = (square.numerator.bit_length() - square.denominator.bit_length()) // 2
    root = Fraction(math.sqrt(nearest_double(square / Fraction(4) ** shift))) * Fraction(2) ** shift
    return nearest_double(root if sign > 0 else -root)
