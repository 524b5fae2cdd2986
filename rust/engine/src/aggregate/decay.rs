//! Sums whose weights halve with every half-life: 2^(-(t - s) / h) for a value of time s seen at t.
//!
//! With s = (b + f) * h, b whole and f in [0, 1), a value weighs 2^b * 2^f relative to one fixed instant. The second factor is of the event alone;
//! the first is a power of two and costs no rounding. Sums are kept in double-double (Dekker 1971; about 106 bits) with an exponent of their
//! own, so that no age and no size is too large: whatever the groups and the order in which values come, the sum rounds to the same double.

use crate::encode::encode_fields;

/// A double and what it lacks to the exact number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Double {
    high: f64,
    low: f64,
}

encode_fields!(Double { high, low });

impl Double {
    fn two_sum(a: f64, b: f64) -> Self {
        let sum = a + b;
        let part = sum - a;
        Self { high: sum, low: (a - (sum - part)) + (b - part) }
    }

    /// The exact product, by splitting each factor in halves (Veltkamp); what would overflow on the way has no low part.
    fn product(a: f64, b: f64) -> Self {
        let split = |x: f64| {
            let part = 134_217_729.0 * x;
            let high = part - (part - x);
            (high, x - high)
        };
        let high = a * b;
        let ((a1, a2), (b1, b2)) = (split(a), split(b));
        let low = ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2;
        Self { high, low: if low.is_finite() { low } else { 0.0 } }
    }

    fn plus(self, other: Self) -> Self {
        let sum = Self::two_sum(self.high, other.high);
        if !sum.high.is_finite() {
            return Self { high: self.high + other.high, low: 0.0 };
        }
        let rest = Self::two_sum(self.low, other.low);
        let first = Self::two_sum(sum.high, sum.low + rest.high);
        let last = Self::two_sum(first.high, first.low + rest.low);
        Self { high: last.high, low: last.low }
    }

    /// Times 2^exponent.
    fn scaled(self, exponent: i64) -> Self {
        Self { high: times_power(self.high, exponent), low: times_power(self.low, exponent) }
    }
}

fn times_power(x: f64, exponent: i64) -> f64 {
    libm::ldexp(x, exponent.clamp(-4_000, 4_000) as i32)
}

/// A double-double times a power of two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Scaled {
    exponent: i64,
    double: Double,
}

encode_fields!(Scaled { exponent, double });

impl Scaled {
    fn plus(self, other: Self) -> Self {
        // Zero has no exponent: it must not lift the other's out of sight.
        if other.double.high == 0.0 {
            return self;
        }
        if self.double.high == 0.0 {
            return other;
        }
        let exponent = self.exponent.max(other.exponent);
        let align = |part: Self| part.double.scaled(part.exponent.saturating_sub(exponent));
        Self { exponent, double: align(self).plus(align(other)) }.normal()
    }

    /// With a leading part between 1/2 and 1, so that sums of many do not overflow.
    fn normal(self) -> Self {
        if !self.double.high.is_finite() || self.double.high == 0.0 {
            return self;
        }
        let (_, exponent) = libm::frexp(self.double.high);
        let exponent = i64::from(exponent);
        Self { exponent: self.exponent.saturating_add(exponent), double: self.double.scaled(-exponent) }
    }
}

/// The weighted sum of some values, and the sum of their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecaySum {
    /// How many values.
    pub count: u64,
    sum: Scaled,
    weight: Scaled,
}

encode_fields!(DecaySum { count, sum, weight });

/// 2^fraction of the time's last half-life, and how many whole ones came before.
fn weight(time: i64, half_life: i64) -> (i64, f64) {
    let (block, rest) = (time.div_euclid(half_life), time.rem_euclid(half_life));
    (block, libm::exp2(rest as f64 / half_life as f64))
}

impl DecaySum {
    /// One value more; times and the half-life in ticks.
    pub fn add(&mut self, x: f64, time: i64, half_life: i64) {
        let (block, weight) = weight(time, half_life);
        let (mantissa, exponent) = if x.is_finite() { libm::frexp(x) } else { (x, 0) };
        let exponent = block.saturating_add(i64::from(exponent));
        let sum = Scaled { exponent, double: Double::product(mantissa, weight) };
        let weight = Scaled { exponent: block, double: Double { high: weight, low: 0.0 } };
        self.merge(&Self { count: 1, sum: sum.normal(), weight: weight.normal() });
    }

    /// Takes in the sums of other values.
    pub fn merge(&mut self, other: &Self) {
        self.sum = self.sum.plus(other.sum);
        self.weight = self.weight.plus(other.weight);
        self.count += other.count;
    }

    /// The weighted sum as of `t`; 0 of nothing.
    pub fn sum(&self, t: i64, half_life: i64) -> f64 {
        let (block, weight) = weight(t, half_life);
        times_power(self.sum.double.high / weight, self.sum.exponent.saturating_sub(block))
    }

    /// The weighted mean, the same at any time.
    pub fn mean(&self) -> Option<f64> {
        let mean = self.sum.double.high / self.weight.double.high;
        (self.count > 0).then(|| times_power(mean, self.sum.exponent.saturating_sub(self.weight.exponent)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_halves_with_every_half_life() {
        let mut sum = DecaySum::default();
        sum.add(8.0, -250, 100);
        assert_eq!(sum.sum(-250, 100), 8.0);
        assert_eq!(sum.sum(-50, 100), 2.0);
        sum.add(1.0, -50, 100);
        assert_eq!(sum.sum(50, 100), 1.5);
        assert!((sum.mean().unwrap() - 3.0 / 1.25).abs() < 1e-15);
        assert_eq!(sum.sum(100_000_000, 100), 0.0);
    }

    #[test]
    fn neither_size_nor_age_overflows() {
        let mut sum = DecaySum::default();
        (0..10).for_each(|time| sum.add(1.25e308, time, 1_000_000));
        assert!((sum.mean().unwrap() / 1.25e308 - 1.0).abs() < 1e-15);
        let mut old = DecaySum::default();
        old.add(0.0, 0, 1);
        old.add(3.0, i64::MIN / 2, 1);
        old.add(1e-300, i64::MIN / 2, 1);
        assert!(old.mean().is_some_and(f64::is_finite));
        old.add(f64::INFINITY, i64::MIN / 2, 1);
        assert_eq!(old.sum(5, 1), f64::INFINITY);
        old.add(f64::NEG_INFINITY, 0, 1);
        assert!(old.sum(5, 1).is_nan() && old.mean().unwrap().is_nan());
    }

    proptest! {
        #[test]
        fn order_and_groups_leave_no_trace(
            values in prop::collection::vec((-1e6..1e6, 0..2_000_i64), 1..40),
            cut in 0..40_usize,
        ) {
            let whole = |values: &[(f64, i64)]| {
                let mut sum = DecaySum::default();
                values.iter().for_each(|&(x, time)| sum.add(x, time, 77));
                sum
            };
            let all = whole(&values);
            let cut = cut.min(values.len());
            let mut other = whole(&values[cut..]);
            other.merge(&whole(&values[..cut]));
            prop_assert_eq!(other.sum(2_500, 77).to_bits(), all.sum(2_500, 77).to_bits());
            prop_assert_eq!(other.mean(), all.mean());
            let slow: f64 = values.iter().map(|&(x, time)| x * libm::exp2(-((2_500 - time) as f64) / 77.0)).sum();
            let size: f64 = values.iter().map(|&(x, time)| x.abs() * libm::exp2(-((2_500 - time) as f64) / 77.0)).sum();
            prop_assert!((all.sum(2_500, 77) - slow).abs() <= 1e-13 * size);
        }
    }
}
