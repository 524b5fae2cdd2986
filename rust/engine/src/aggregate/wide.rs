//! Sums of any doubles, exact: a number with a bit for every power of two that a double can have.
//! (Kulisch's long accumulator; Neal, "Fast exact summation using small and large superaccumulators", arXiv:1505.05571.)

use super::exact::{self, Moments};
use crate::encode::encode_fields;

/// Words of the sum: 2^-1074 to 2^1024, 64 bits of room and a sign.
const SUM_WORDS: usize = 35;
/// Words of the sum of squares: 2^-2148 to 2^2048 and 64 bits of room.
const SQUARE_WORDS: usize = 67;

/// Sum, sum of squares and what is not finite, of any values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WideMoments {
    sum: [u64; SUM_WORDS],
    squares: [u64; SQUARE_WORDS],
    nans: u64,
    infinities: u64,
    negative_infinities: u64,
}

encode_fields!(WideMoments { sum, squares, nans, infinities, negative_infinities });

impl Default for WideMoments {
    fn default() -> Self {
        Self { sum: [0; SUM_WORDS], squares: [0; SQUARE_WORDS], nans: 0, infinities: 0, negative_infinities: 0 }
    }
}

impl WideMoments {
    /// From sums in units of 2^scale.
    pub fn from_narrow(moments: &Moments, scale: i32) -> Self {
        let mut wide = Self::default();
        if moments.sum != 0 {
            let magnitude = moments.sum.unsigned_abs();
            let bit = (scale + 1074) as usize;
            accumulate(&mut wide.sum, &[magnitude as u64, (magnitude >> 64) as u64], bit, moments.sum < 0);
        }
        if moments.squares.0 != [0; 4] {
            accumulate(&mut wide.squares, &moments.squares.0, (2 * scale + 2148) as usize, false);
        }
        wide
    }

    /// Takes in the sums of other values.
    pub fn merge(&mut self, other: &Self) {
        add_words(&mut self.sum, &other.sum);
        add_words(&mut self.squares, &other.squares);
        self.nans += other.nans;
        self.infinities += other.infinities;
        self.negative_infinities += other.negative_infinities;
    }

    /// One value more.
    pub fn add(&mut self, x: f64, squares: bool) {
        if !x.is_finite() {
            let counter = if x.is_nan() {
                &mut self.nans
            } else if x > 0.0 {
                &mut self.infinities
            } else {
                &mut self.negative_infinities
            };
            *counter += 1;
            return;
        }
        let (mantissa, exponent) = exact::parts(x);
        if mantissa == 0 {
            return;
        }
        accumulate(&mut self.sum, &[mantissa], (exponent + 1074) as usize, x.is_sign_negative());
        if squares {
            let square = u128::from(mantissa) * u128::from(mantissa);
            accumulate(
                &mut self.squares,
                &[square as u64, (square >> 64) as u64],
                (2 * exponent + 2148) as usize,
                false,
            );
        }
    }

    /// What the values that are not finite make of a sum; `None` when all are finite.
    fn not_finite(&self) -> Option<f64> {
        match (self.nans, self.infinities, self.negative_infinities) {
            (0, 0, 0) => None,
            (0, _, 0) => Some(f64::INFINITY),
            (0, 0, _) => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }

    fn sum_parts(&self) -> (f64, i32) {
        let mut magnitude = self.sum;
        let negative = magnitude[SUM_WORDS - 1] >> 63 == 1;
        if negative {
            negate(&mut magnitude);
        }
        let (mantissa, exponent) = round(&magnitude);
        (if negative { -mantissa } else { mantissa }, exponent - 1074)
    }

    /// The correctly rounded sum.
    pub fn sum(&self) -> f64 {
        self.not_finite().unwrap_or_else(|| {
            let (mantissa, exponent) = self.sum_parts();
            exact::times_power(mantissa, exponent)
        })
    }

    /// The sum rounded once, divided by the count.
    pub fn mean(&self, count: u64) -> f64 {
        let sum = self.sum();
        if sum.is_finite() || self.not_finite().is_some() {
            return sum / count as f64;
        }
        let (mantissa, exponent) = self.sum_parts();
        exact::times_power(mantissa / count as f64, exponent)
    }

    /// Sample variance of `count` >= 2 values.
    pub fn variance(&self, count: u64) -> f64 {
        if self.not_finite().is_some() {
            return f64::NAN;
        }
        let mut magnitude = self.sum;
        if magnitude[SUM_WORDS - 1] >> 63 == 1 {
            negate(&mut magnitude);
        }
        // n * sum of squares
        let mut words = [0_u64; SUM_WORDS * 2 + 1];
        let mut carry = 0_u128;
        for (word, factor) in words.iter_mut().zip(self.squares.into_iter().chain([0; 2])) {
            let product = u128::from(factor) * u128::from(count) + carry;
            *word = product as u64;
            carry = product >> 64;
        }
        // - square of sum
        let mut square = [0_u64; SUM_WORDS * 2 + 1];
        for (i, &a) in magnitude.iter().enumerate().filter(|&(_, &a)| a != 0) {
            let mut carry = 0_u128;
            for (j, &b) in magnitude.iter().enumerate() {
                let product = u128::from(a) * u128::from(b) + u128::from(square[i + j]) + carry;
                square[i + j] = product as u64;
                carry = product >> 64;
            }
            square[i + SUM_WORDS] = carry as u64;
        }
        negate(&mut square);
        add_words(&mut words, &square);
        exact::ratio(&words, -2148, count)
    }
}

/// Adds (or takes away) a magnitude at a bit position to a number in two's complement.
pub(super) fn accumulate(words: &mut [u64], magnitude: &[u64], bit: usize, negative: bool) {
    let (first, shift) = (bit / 64, bit % 64);
    let mut carry = false;
    let mut above = 0;
    for (index, word) in words.iter_mut().enumerate().skip(first) {
        let part = magnitude.get(index - first).copied().unwrap_or(0);
        let shifted = part << shift | above;
        above = if shift == 0 { 0 } else { part >> (64 - shift) };
        if index - first > magnitude.len() && !carry {
            break;
        }
        let (value, over1) = if negative { word.overflowing_sub(shifted) } else { word.overflowing_add(shifted) };
        let (value, over2) =
            if negative { value.overflowing_sub(u64::from(carry)) } else { value.overflowing_add(u64::from(carry)) };
        (*word, carry) = (value, over1 || over2);
    }
}

/// Adds a number of the same width, in two's complement.
fn add_words(words: &mut [u64], others: &[u64]) {
    let mut carry = false;
    for (word, other) in words.iter_mut().zip(others) {
        let (sum, over1) = word.overflowing_add(*other);
        let (sum, over2) = sum.overflowing_add(u64::from(carry));
        (*word, carry) = (sum, over1 || over2);
    }
}

fn negate(words: &mut [u64]) {
    let mut carry = true;
    for word in words {
        let (value, over) = (!*word).overflowing_add(u64::from(carry));
        (*word, carry) = (value, over);
    }
}

/// The nearest double (ties to even) to a whole number, as mantissa in [1, 2] and exponent; zero as (0, 0).
pub fn round(words: &[u64]) -> (f64, i32) {
    let Some(top) = words.iter().rposition(|&word| word != 0) else { return (0.0, 0) };
    let zeros = words[top].leading_zeros();
    let below = if top > 0 { words[top - 1] } else { 0 };
    let mut leading = words[top] << zeros;
    if zeros > 0 {
        leading |= below >> (64 - zeros);
    }
    let cut_off = below << zeros != 0 || words[..top.saturating_sub(1)].iter().any(|&word| word != 0);
    // 64 bits hold eleven more than a double: a last bit that stands for all that was cut off rounds as the whole would.
    let rounded = (leading | u64::from(cut_off)) as f64;
    (rounded / 9_223_372_036_854_775_808.0, top as i32 * 64 + 63 - zeros as i32)
}
