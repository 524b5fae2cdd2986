//! Whole numbers of a fixed size, and values as whole multiples of powers of two: what exact higher moments are made of.
//!
//! As in `exact.rs`: values within 2^126 of their smallest unit are summed in that unit; the rest go to sums in units of 2^-1074,
//! which hold any double. Which of the two depends on the values alone, not on their order.

use std::ops::{Add, Mul, Sub};

use super::{exact, wide};
use crate::encode::{Broken, Decode, Encode, Input, encode_fields};

/// Bits of magnitude a value may have in units of the smallest one.
const VALUE_BITS: i32 = 126;

/// Exponent of the smallest double, the unit of wide sums.
pub(super) const SMALLEST: i32 = -1074;

/// A signed number of N words in two's complement, low word first. Nothing checks for overflow: sizes are chosen so that sums of
/// 2^64 values fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const N: usize>([u64; N]);

encode_fields!(Whole<const N: usize> { 0 });

impl<const N: usize> Default for Whole<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> From<u64> for Whole<N> {
    fn from(value: u64) -> Self {
        let mut words = [0; N];
        words[0] = value;
        Self(words)
    }
}

impl<const N: usize> Whole<N> {
    /// The same number in another size.
    pub fn resized<const M: usize>(&self) -> Whole<M> {
        let mut words = [if self.is_negative() { u64::MAX } else { 0 }; M];
        let kept = N.min(M);
        words[..kept].copy_from_slice(&self.0[..kept]);
        Whole(words)
    }

    /// Times 2^bits.
    pub fn shifted(&self, bits: usize) -> Self {
        let (skip, bits) = (bits / 64, bits % 64);
        let mut words = [0; N];
        for index in (skip..N).rev() {
            words[index] = self.0[index - skip] << bits;
            if bits > 0 && index > skip {
                words[index] |= self.0[index - skip - 1] >> (64 - bits);
            }
        }
        Self(words)
    }

    /// Adds a magnitude times 2^bit, or takes it away.
    #[inline]
    pub fn accumulate(&mut self, magnitude: &[u64], bit: usize, negative: bool) {
        wide::accumulate(&mut self.0, magnitude, bit, negative);
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.0[N - 1] >> 63 == 1
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; N]
    }

    /// The words of its magnitude.
    pub fn magnitude(&self) -> [u64; N] {
        if self.is_negative() { (Self::default() - *self).0 } else { self.0 }
    }

    /// The nearest double as mantissa in [1, 2], with the sign, and exponent; zero as (0, 0).
    pub fn rounded(&self) -> (f64, i32) {
        let (mantissa, exponent) = wide::round(&self.magnitude());
        (if self.is_negative() { -mantissa } else { mantissa }, exponent)
    }
}

impl<const N: usize> Add for Whole<N> {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        let mut carry = false;
        for (word, other) in self.0.iter_mut().zip(other.0) {
            let (sum, over1) = word.overflowing_add(other);
            let (sum, over2) = sum.overflowing_add(u64::from(carry));
            (*word, carry) = (sum, over1 || over2);
        }
        self
    }
}

impl<const N: usize> Sub for Whole<N> {
    type Output = Self;

    fn sub(mut self, other: Self) -> Self {
        let mut borrow = false;
        for (word, other) in self.0.iter_mut().zip(other.0) {
            let (difference, under1) = word.overflowing_sub(other);
            let (difference, under2) = difference.overflowing_sub(u64::from(borrow));
            (*word, borrow) = (difference, under1 || under2);
        }
        self
    }
}

impl<const N: usize> Mul for Whole<N> {
    type Output = Self;

    /// The low N words, which in two's complement are those of the signed product.
    fn mul(self, other: Self) -> Self {
        let mut words = [0; N];
        multiply(&self.0, &other.0, &mut words);
        Self(words)
    }
}

/// Writes the product into words that are zero, as many of it as there are.
pub(super) fn multiply(a: &[u64], b: &[u64], words: &mut [u64]) {
    for (first, &factor) in a.iter().enumerate().filter(|&(_, &factor)| factor != 0) {
        let mut carry = 0_u128;
        let mut place = words.iter_mut().skip(first);
        for &other in b {
            let Some(word) = place.next() else { break };
            let product = u128::from(factor) * u128::from(other) + u128::from(*word) + carry;
            *word = product as u64;
            carry = product >> 64;
        }
        if let Some(word) = place.next() {
            // Rows before this one have not come as far.
            *word = carry as u64;
        }
    }
}

/// A value as whole magnitude times 2^exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    pub(super) negative: bool,
    pub(super) magnitude: u64,
    pub(super) exponent: i32,
    /// A NaN or an infinity; the rest means nothing then.
    pub(super) finite: bool,
}

impl Number {
    /// The magnitude is odd or zero then, so that whole numbers of any size have no fine unit.
    fn new(negative: bool, magnitude: u64, exponent: i32) -> Self {
        let zeros = if magnitude == 0 { 0 } else { magnitude.trailing_zeros() };
        Self { negative, magnitude: magnitude >> zeros, exponent: exponent + zeros as i32, finite: true }
    }

    /// Its magnitude in units of 2^unit, for which it is in the span.
    pub(super) fn in_units(&self, unit: i32) -> [u64; 2] {
        if self.magnitude == 0 {
            return [0; 2];
        }
        let value = u128::from(self.magnitude) << (self.exponent - unit);
        [value as u64, (value >> 64) as u64]
    }

    /// At which bit of a sum in units of 2^-1074 its magnitude begins.
    pub(super) fn bit(&self) -> usize {
        if self.magnitude == 0 { 0 } else { (self.exponent - SMALLEST) as usize }
    }
}

impl From<f64> for Number {
    #[inline]
    fn from(x: f64) -> Self {
        let (magnitude, exponent) = exact::parts(x);
        Self { finite: x.is_finite(), ..Self::new(x.is_sign_negative(), magnitude, exponent) }
    }
}

impl From<i64> for Number {
    #[inline]
    fn from(x: i64) -> Self {
        Self::new(x < 0, x.unsigned_abs(), 0)
    }
}

/// Between which powers of two the bits of some values lie; zeros have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// All are multiples of 2^unit.
    unit: i32,
    /// All are below 2^top.
    top: i32,
}

impl Default for Span {
    fn default() -> Self {
        Self { unit: i32::MAX, top: i32::MIN }
    }
}

impl Encode for Span {
    fn encode(&self, out: &mut Vec<u8>) {
        self.unit.encode(out);
        self.top.encode(out);
    }
}

impl Decode for Span {
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
        let span = Self { unit: input.read()?, top: input.read()? };
        let possible = SMALLEST <= span.unit && span.unit < span.top && span.top <= 1024;
        if span != Self::default() && !possible {
            return Err(Broken(format!("values between 2^{} and 2^{}", span.unit, span.top)));
        }
        Ok(span)
    }
}

impl Span {
    #[inline]
    pub(super) fn of(number: Number) -> Self {
        if number.magnitude == 0 || !number.finite {
            return Self::default();
        }
        let bits = 64 - number.magnitude.leading_zeros() as i32;
        Self { unit: number.exponent, top: number.exponent + bits }
    }

    #[inline]
    pub(super) fn with(self, other: Self) -> Self {
        Self { unit: self.unit.min(other.unit), top: self.top.max(other.top) }
    }

    /// Whether its values can be summed in its unit.
    #[inline]
    pub(super) fn fits(self) -> bool {
        self.unit == i32::MAX || self.top - self.unit <= VALUE_BITS
    }

    /// 0 where there are only zeros.
    #[inline]
    pub(super) fn unit(self) -> i32 {
        if self.unit == i32::MAX { 0 } else { self.unit }
    }

    /// How many bits finer the unit of `finer` is.
    #[inline]
    pub(super) fn bits_to(self, finer: Self) -> usize {
        if self.unit == i32::MAX { 0 } else { (self.unit - finer.unit) as usize }
    }

    /// The bit at which sums in its unit begin in wide ones.
    #[inline]
    pub(super) fn bits_to_wide(self) -> usize {
        if self.unit == i32::MAX { 0 } else { (self.unit - SMALLEST) as usize }
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use proptest::prelude::*;

    use super::*;

    fn whole(value: i128) -> Whole<6> {
        let mut whole = Whole::default();
        let magnitude = value.unsigned_abs();
        whole.accumulate(&[magnitude as u64, (magnitude >> 64) as u64], 0, value < 0);
        whole
    }

    fn big(whole: &Whole<6>) -> BigInt {
        let magnitude: BigInt = whole.magnitude().iter().rev().fold(0.into(), |all: BigInt, &word| (all << 64) + word);
        if whole.is_negative() { -magnitude } else { magnitude }
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_whole_numbers(a: i128, b: i128, bits in 0..120_usize) {
            let (x, y) = (whole(a), whole(b));
            let (a, b) = (BigInt::from(a), BigInt::from(b));
            prop_assert_eq!(big(&(x + y)), &a + &b);
            prop_assert_eq!(big(&(x - y)), &a - &b);
            prop_assert_eq!(big(&(x * y)), &a * &b);
            prop_assert_eq!(big(&x.shifted(bits)), &a << bits);
            prop_assert_eq!(big(&x.resized::<3>().resized()), a);
        }

        #[test]
        fn a_number_is_its_double(x in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO) {
            let number = Number::from(x);
            let value = exact::times_power(number.magnitude as f64, number.exponent);
            prop_assert_eq!(if number.negative { -value } else { value }, x);
        }
    }

    #[test]
    fn a_span_holds_what_its_unit_can_count() {
        let span = |values: &[f64]| values.iter().fold(Span::default(), |span, &x| span.with(Span::of(x.into())));
        assert!(span(&[]).fits() && span(&[0.0, -0.0]).fits());
        assert_eq!(span(&[6.0, 0.75, 0.0]), Span { unit: -2, top: 3 });
        assert!(span(&[1.0, 2f64.powi(125)]).fits());
        assert!(!span(&[1.0, 2f64.powi(126)]).fits());
        assert_eq!(Span::of(Number::from(i64::MIN)), Span { unit: 63, top: 64 });
    }
}
