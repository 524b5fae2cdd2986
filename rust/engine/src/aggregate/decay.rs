//! Sums whose weights halve with every half-life: 2^(-(t - s) / h) for a value of time s seen at t.
//!
//! With s = (b + f) * h, b whole and f in [0, 1), a value weighs 2^b * 2^f relative to one fixed instant. The second factor is of the event alone;
//! the first is a power of two and costs no rounding. Sums are kept in double-double (Dekker 1971; about 106 bits) in units of 2^b of the newest
//! value: whatever the groups and the order in which values come, the sum rounds to the same double.

/// A double and what it lacks to the exact number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Double {
    high: f64,
    low: f64,
}

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
        let exponent = exponent.clamp(-4_000, 4_000) as i32;
        Self { high: libm::ldexp(self.high, exponent), low: libm::ldexp(self.low, exponent) }
    }
}

/// The weighted sum of some values, and the sum of their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecaySum {
    /// How many values.
    pub count: u64,
    /// Whole half-lives of the newest value; sums are in units of 2^block.
    block: i64,
    sum: Double,
    weight: Double,
}

/// 2^fraction of the time's last half-life, and how many whole ones came before.
fn weight(time: i64, half_life: i64) -> (i64, f64) {
    let (block, rest) = (time.div_euclid(half_life), time.rem_euclid(half_life));
    (block, libm::exp2(rest as f64 / half_life as f64))
}

impl DecaySum {
    /// One value more; times and the half-life in ticks.
    pub fn add(&mut self, x: f64, time: i64, half_life: i64) {
        let (block, weight) = weight(time, half_life);
        let weight_of = Double { high: weight, low: 0.0 };
        self.merge(&Self { count: 1, block, sum: Double::product(x, weight), weight: weight_of });
    }

    /// Takes in the sums of other values.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let block = self.block.max(other.block);
        let align = |part: &Self, double: Double| double.scaled(part.block.saturating_sub(block));
        self.sum = align(self, self.sum).plus(align(other, other.sum));
        self.weight = align(self, self.weight).plus(align(other, other.weight));
        self.block = block;
        self.count += other.count;
    }

    /// The weighted sum as of `t`; 0 of nothing.
    pub fn sum(&self, t: i64, half_life: i64) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let (block, weight) = weight(t, half_life);
        let sum = self.sum.high / weight;
        libm::ldexp(sum, (self.block.saturating_sub(block)).clamp(-4_000, 4_000) as i32)
    }

    /// The weighted mean, the same at any time.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum.high / self.weight.high)
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
