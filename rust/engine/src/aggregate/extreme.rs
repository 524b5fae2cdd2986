//! min and max share one order: whole numbers that are smaller the better a value is, NaN worst of all.

use crate::encode::encode_fields;

/// Rank of a payload: the smallest rank is the minimum, or the maximum where `max` is set.
#[inline]
pub fn order(payload: u64, float: bool, max: bool) -> i64 {
    let rank = if float {
        if f64::from_bits(payload).is_nan() {
            return i64::MAX;
        }
        flip(payload)
    } else {
        payload as i64
    };
    if max { !rank } else { rank }
}

/// The payload behind a rank.
#[inline]
pub fn payload(rank: i64, float: bool, max: bool) -> u64 {
    if float && rank == i64::MAX {
        return f64::NAN.to_bits();
    }
    let rank = if max { !rank } else { rank };
    if float { flip(rank as u64) as u64 } else { rank as u64 }
}

/// Bits of a double to a whole number of the same order, and back (IEEE 754, 5.10, total order without NaN).
#[inline]
fn flip(bits: u64) -> i64 {
    let signed = bits as i64;
    signed ^ ((signed >> 63) as u64 >> 1) as i64
}

/// The best of some values by its rank, and what stands beside it; of equal ones the one that came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// The smaller the better.
    pub rank: i64,
    /// Which event, in total order.
    pub position: u64,
    /// A value of that event.
    pub beside: u64,
    /// Whether there is any value.
    pub any: bool,
}

encode_fields!(Best { rank, position, beside, any });

impl Default for Best {
    fn default() -> Self {
        Self { rank: i64::MAX, position: u64::MAX, beside: 0, any: false }
    }
}

impl Best {
    /// Takes in another value, or the best of others.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        if other.any && (!self.any || (other.rank, other.position) < (self.rank, self.position)) {
            *self = *other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_the_order_of_doubles() {
        let values = [f64::NEG_INFINITY, f64::MIN, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, f64::MAX, f64::INFINITY];
        for pair in values.windows(2) {
            assert!(order(pair[0].to_bits(), true, false) < order(pair[1].to_bits(), true, false), "{pair:?}");
            assert!(order(pair[0].to_bits(), true, true) > order(pair[1].to_bits(), true, true), "{pair:?}");
        }
        for value in values {
            for max in [false, true] {
                assert!(
                    order(value.to_bits(), true, max) < order(f64::NAN.to_bits(), true, max),
                    "NaN is never better"
                );
                assert_eq!(payload(order(value.to_bits(), true, max), true, max), value.to_bits());
            }
        }
        for value in [i64::MIN, -1, 0, i64::MAX] {
            assert_eq!(payload(order(value as u64, false, true), false, true) as i64, value);
        }
    }
}
