//! Sums that are exact: whole numbers, multiples of a power of two.
//!
//! A double is m * 2^e with whole m. As long as the values of a lane lie within 2^126 of their smallest unit 2^scale, their sum
//! is an i128 and the sum of their squares a 256-bit number, both exact, so that adding and taking away leave no trace and no order.
//! What does not fit goes to `wide.rs`, which holds any double. One rounding happens, at the end.

use super::wide;
use crate::encode::encode_fields;

/// Bits of magnitude a value may have in units of the scale: its square stays below 2^252.
const VALUE_BITS: i32 = 126;

/// Between these lie the units that doubles, and whole numbers, have.
pub(super) const SCALE_MIN: i32 = -1074;
pub(super) const SCALE_MAX: i32 = 1024;

/// No value has set a scale yet.
pub const UNSET: i32 = i32::MAX / 2;

/// Whole mantissa and exponent of its last bit; zero has exponent 971, the largest there is.
#[inline]
pub fn parts(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7FF) as i32;
    let fraction = bits & ((1 << 52) - 1);
    match exponent {
        0 if fraction == 0 => (0, 971),
        0 => (fraction, -1074),
        _ => (fraction | 1 << 52, exponent - 1075),
    }
}

/// The double in units of 2^scale, if it is a whole number of them and not too large.
#[inline]
pub fn fixed(x: f64, scale: i32) -> Option<i128> {
    let (mantissa, exponent) = parts(x);
    fixed_parts(mantissa, exponent, x.is_sign_negative(), scale)
}

/// The same from its parts.
#[inline]
pub fn fixed_parts(mantissa: u64, exponent: i32, negative: bool, scale: i32) -> Option<i128> {
    let shift = exponent - scale;
    let magnitude = if (0..=VALUE_BITS - 53).contains(&shift) {
        i128::from(mantissa) << shift
    } else if mantissa == 0 {
        0
    } else if shift < 0 && mantissa.trailing_zeros() as i32 >= -shift {
        i128::from(mantissa >> -shift)
    } else {
        return None;
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Unsigned 256-bit number, low word first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct U256(pub [u64; 4]);

encode_fields!(U256 { 0 });

impl U256 {
    /// The square of a magnitude below 2^127.
    #[inline]
    pub fn square(value: i128) -> Self {
        let magnitude = value.unsigned_abs();
        let (low, high) = (magnitude as u64, (magnitude >> 64) as u64);
        if high == 0 {
            return Self::from_low(u128::from(low) * u128::from(low));
        }
        let ll = u128::from(low) * u128::from(low);
        let cross = (u128::from(low) * u128::from(high)) << 1;
        let hh = u128::from(high) * u128::from(high);
        let (word1, carry1) = ((ll >> 64) as u64).overflowing_add(cross as u64);
        let (upper, _) = hh.overflowing_add(cross >> 64);
        let (upper, _) = upper.overflowing_add(u128::from(carry1));
        Self([ll as u64, word1, upper as u64, (upper >> 64) as u64])
    }

    /// From 128 bits.
    #[inline]
    pub fn from_low(low: u128) -> Self {
        Self::from_halves(low, 0)
    }

    /// Sum, `None` when it does not fit.
    #[inline]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let (sum, carry) = self.add(other);
        (!carry).then_some(sum)
    }

    #[inline]
    fn add(self, other: Self) -> (Self, bool) {
        let (low, carry) = self.halves().0.overflowing_add(other.halves().0);
        let (high, over1) = self.halves().1.overflowing_add(other.halves().1);
        let (high, over2) = high.overflowing_add(u128::from(carry));
        (Self::from_halves(low, high), over1 || over2)
    }

    /// Difference; what is taken away was once added.
    #[inline]
    pub fn minus(self, other: Self) -> Self {
        let (low, borrow) = self.halves().0.overflowing_sub(other.halves().0);
        let high = self.halves().1.wrapping_sub(other.halves().1).wrapping_sub(u128::from(borrow));
        Self::from_halves(low, high)
    }

    /// Low and high half.
    #[inline]
    pub(crate) fn halves(self) -> (u128, u128) {
        let [a, b, c, d] = self.0;
        (u128::from(a) | u128::from(b) << 64, u128::from(c) | u128::from(d) << 64)
    }

    #[inline]
    pub(crate) fn from_halves(low: u128, high: u128) -> Self {
        Self([low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64])
    }

    fn checked_shl(self, bits: u32) -> Option<Self> {
        let zeros = match self.0.iter().rposition(|&word| word != 0) {
            None => return Some(self),
            Some(top) => (3 - top as u32) * 64 + self.0[top].leading_zeros(),
        };
        if bits > zeros {
            return None;
        }
        let (words, bits) = ((bits / 64) as usize, bits % 64);
        let mut shifted = [0; 4];
        for index in (words..4).rev() {
            shifted[index] = self.0[index - words] << bits;
            if bits > 0 && index > words {
                shifted[index] |= self.0[index - words - 1] >> (64 - bits);
            }
        }
        Some(Self(shifted))
    }
}

/// Sum and sum of squares of some values, in units of 2^scale and 2^(2 scale).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// Sum.
    pub sum: i128,
    /// Sum of squares; stays zero where no variance is asked for.
    pub squares: U256,
}

encode_fields!(Moments { sum, squares });

impl Moments {
    /// One value more; `None` when the sums do not fit.
    #[inline]
    pub fn add(self, value: i128, square: U256) -> Option<Self> {
        let sum = self.sum.checked_add(value)?;
        if sum.unsigned_abs() >> VALUE_BITS != 0 {
            return None;
        }
        Some(Self { sum, squares: self.squares.checked_add(square)? })
    }

    /// One value less that was once added; `None` when the sum of what remains does not fit.
    #[inline]
    pub fn sub(self, value: i128, square: U256) -> Option<Self> {
        let sum = self.sum.checked_sub(value)?;
        if sum.unsigned_abs() >> VALUE_BITS != 0 {
            return None;
        }
        Some(Self { sum, squares: self.squares.minus(square) })
    }

    /// The sums of both; `None` when they do not fit.
    #[inline]
    pub fn join(&self, other: &Self) -> Option<Self> {
        self.add(other.sum, other.squares)
    }

    /// The same sums in units smaller by 2^bits; `None` when they do not fit.
    pub fn finer(self, bits: u32) -> Option<Self> {
        if self.sum != 0 && bits + 1 >= self.sum.unsigned_abs().leading_zeros() {
            return None;
        }
        let sum = if self.sum == 0 { 0 } else { self.sum << bits };
        Some(Self { sum, squares: self.squares.checked_shl(bits.checked_mul(2)?)? })
    }
}

/// The correctly rounded sum.
#[inline]
pub fn sum(moments: &Moments, scale: i32) -> f64 {
    // The whole number is rounded once; a power of two changes no bit of it. A subnormal result was exact before.
    let nearest = nearest(moments.sum);
    if (-1000..800).contains(&scale) { nearest * power_of_two(scale) } else { far(nearest, scale) }
}

/// `times_power` where that is rare.
#[cold]
#[inline(never)]
fn far(x: f64, exponent: i32) -> f64 {
    times_power(x, exponent)
}

/// `value as f64`, faster: the upper 63 bits of the magnitude, the last of which stands for all that is cut off, round as the whole does.
#[inline]
fn nearest(value: i128) -> f64 {
    let sign = value >> 127;
    let magnitude = ((value ^ sign) - sign) as u128;
    let (high, low) = ((magnitude >> 64) as u64, magnitude as u64);
    // One bit more than what does not fit, so that the rest is positive.
    let cut = if high == 0 { (low >> 63) as u32 } else { 65 - high.leading_zeros() };
    let (top, lost) = if cut < 64 {
        ((magnitude >> cut) as u64, low & ((1 << cut) - 1))
    } else {
        (high >> (cut - 64), low | high & ((1 << (cut - 64)) - 1))
    };
    let rounded = (top | u64::from(lost != 0)) as i64 as f64 * power_of_two(cut as i32);
    f64::from_bits(rounded.to_bits() | (sign as u64) << 63)
}

/// Exact sum rounded once, divided by the count; also where the sum is beyond the largest double.
#[inline]
pub fn mean(moments: &Moments, scale: i32, count: u64) -> f64 {
    mean_of(sum(moments, scale), moments, scale, count)
}

/// The same where the sum is at hand.
#[inline]
pub fn mean_of(sum: f64, moments: &Moments, scale: i32, count: u64) -> f64 {
    if sum.is_finite() { sum / count as f64 } else { far_mean(moments, scale, count) }
}

#[cold]
#[inline(never)]
fn far_mean(moments: &Moments, scale: i32, count: u64) -> f64 {
    times_power(moments.sum as f64 / count as f64, scale)
}

/// Sample variance (ddof = 1) of `count` >= 2 values: (n * sum of squares - square of sum) / (n * (n - 1)), the numerator exact.
#[inline]
pub fn variance(moments: &Moments, scale: i32, count: u64) -> f64 {
    let [a, b, c, d] = moments.squares.0;
    if c == 0 && d == 0 && moments.sum.unsigned_abs() < 1 << 64 {
        return small_variance(u128::from(a) | u128::from(b) << 64, moments.sum.unsigned_abs(), scale, count);
    }
    let n = u128::from(count);
    // 256 bits times 64 bits, word by word.
    let mut words = [0_u64; 5];
    let mut carry = 0_u128;
    for (word, factor) in words.iter_mut().zip([a, b, c, d]) {
        let product = u128::from(factor) * n + carry;
        *word = product as u64;
        carry = product >> 64;
    }
    words[4] = carry as u64;
    let square = U256::square(moments.sum).0;
    let mut borrow = false;
    for (word, other) in words.iter_mut().zip(square.into_iter().chain([0])) {
        let (difference, under1) = word.overflowing_sub(other);
        let (difference, under2) = difference.overflowing_sub(u64::from(borrow));
        (*word, borrow) = (difference, under1 || under2);
    }
    quotient(round(&words), 2 * scale, count)
}

/// The same of sums that fit 128 and 64 bits.
#[inline]
fn small_variance(squares: u128, sum: u128, scale: i32, count: u64) -> f64 {
    let n = u128::from(count);
    let low = (squares & u128::from(u64::MAX)) * n;
    let high = (squares >> 64) * n + (low >> 64);
    let product = (low & u128::from(u64::MAX)) | high << 64;
    let (rest, borrow) = product.overflowing_sub(sum * sum);
    let top = (high >> 64) as u64 - u64::from(borrow);
    quotient(round(&[rest as u64, (rest >> 64) as u64, top]), 2 * scale, count)
}

/// words * 2^exponent / (n * (n - 1)), the numerator rounded once.
pub fn ratio(words: &[u64], exponent: i32, count: u64) -> f64 {
    quotient(wide::round(words), exponent, count)
}

#[inline]
fn quotient((mantissa, top): (f64, i32), exponent: i32, count: u64) -> f64 {
    let pairs = match count.checked_mul(count - 1) {
        Some(pairs) if pairs < 1 << 63 => pairs as i64 as f64,
        _ => (u128::from(count) * u128::from(count - 1)) as f64,
    };
    let exponent = top + exponent;
    let quotient = mantissa / pairs;
    // Neither leaves the range of normal numbers.
    if (-800..800).contains(&exponent) { quotient * power_of_two(exponent) } else { far(quotient, exponent) }
}

/// `wide::round` of few words.
#[inline]
fn round<const N: usize>(words: &[u64; N]) -> (f64, i32) {
    let mut top = N - 1;
    while top > 0 && words[top] == 0 {
        top -= 1;
    }
    if words[top] == 0 {
        return (0.0, 0);
    }
    let zeros = words[top].leading_zeros();
    let below = if top > 0 { words[top - 1] } else { 0 };
    let leading = words[top] << zeros | (below >> 1) >> (63 - zeros);
    let mut rest = below << zeros;
    for word in &words[..top.saturating_sub(1)] {
        rest |= word;
    }
    // 64 bits hold eleven more than a double: a last bit that stands for all that was cut off rounds as the whole would. One less fits a
    // signed number, which is what processors convert.
    let signed = leading >> 1 | u64::from(rest != 0) | leading & 1;
    (signed as i64 as f64 * f64::from_bits((1023 - 62) << 52), top as i32 * 64 + 63 - zeros as i32)
}

/// 2^exponent for a normal result.
#[inline]
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// x * 2^exponent, rounded at most once; x is zero, normal or not finite.
pub fn times_power(x: f64, exponent: i32) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let bits = x.to_bits();
    let unit = f64::from_bits(bits & !(0x7FF << 52) | 1023 << 52);
    let smallest = f64::from_bits(1);
    match ((bits >> 52) & 0x7FF) as i32 - 1023 + exponent {
        top @ -1022..=1023 => unit * power_of_two(top),
        // One multiplication by a power of two, so one rounding, also among the subnormal numbers.
        top @ -1074..=-1023 => unit * f64::from_bits(1 << (top + 1074)),
        -1075 => unit * 0.5 * smallest,
        top if top > 0 => unit * f64::INFINITY,
        _ => unit * 0.0,
    }
}

/// The double behind some bits in units of 2^scale, which it is known to be a whole number of, of at most 62 bits.
#[inline]
pub fn small(bits: u64, scale: i32) -> i64 {
    let exponent = ((bits >> 52) & 0x7FF) as i32;
    let normal = i64::from(exponent != 0);
    let mantissa = (bits & ((1 << 52) - 1)) as i64 | normal << 52;
    // Zero has the exponent of the smallest numbers: its shift may be negative, and means nothing.
    let shift = (exponent + 1 - normal as i32 - 1075 - scale).max(0);
    let magnitude = mantissa << shift;
    if (bits as i64) < 0 { -magnitude } else { magnitude }
}

/// The scale at which all of some values fit, and the bits that the largest then has, from the smallest and largest magnitudes
/// among them (as bits of doubles); `None` for none.
#[inline]
pub fn common_scale(smallest_nonzero: u64, largest: u64) -> Option<(i32, i32)> {
    if largest >= 0x7FF0_0000_0000_0000 {
        return None;
    }
    if largest == 0 {
        return Some((0, 1));
    }
    let (_, low) = parts(f64::from_bits(smallest_nonzero));
    let (_, high) = parts(f64::from_bits(largest));
    (high - low <= VALUE_BITS - 53 - 6).then_some((low, 53 + high - low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::wide::WideMoments;

    fn narrow(values: &[f64]) -> Option<(Moments, i32)> {
        let magnitudes = values.iter().map(|x| x.abs().to_bits());
        let largest = magnitudes.clone().max().unwrap_or(0);
        let (scale, _) = common_scale(magnitudes.filter(|&bits| bits != 0).min().unwrap_or(0), largest)?;
        let mut moments = Moments::default();
        for &x in values {
            let value = fixed(x, scale)?;
            moments = moments.add(value, U256::square(value))?;
        }
        Some((moments, scale))
    }

    fn wide(values: &[f64]) -> WideMoments {
        let mut moments = WideMoments::default();
        values.iter().for_each(|&x| moments.add(x, true));
        moments
    }

    #[test]
    fn a_small_amount_survives_a_large_one() {
        let (moments, scale) = narrow(&[1e15, 0.1, -1e15]).expect("fits");
        assert_eq!(sum(&moments, scale), 0.1);
        assert_eq!(wide(&[1e300, 0.1, -1e300]).sum(), 0.1);
        assert_eq!(wide(&[1e300, 5e-324, -1e300]).sum(), 5e-324);
    }

    #[test]
    fn a_mean_is_finite_where_the_sum_is_not() {
        let moments = wide(&[f64::MAX, f64::MAX]);
        assert_eq!(moments.sum(), f64::INFINITY);
        assert_eq!(moments.mean(2), f64::MAX);
        let (moments, scale) = narrow(&[f64::MAX, f64::MAX]).expect("fits");
        assert_eq!(sum(&moments, scale), f64::INFINITY);
        assert_eq!(mean(&moments, scale, 2), f64::MAX);
    }

    #[test]
    fn powers_of_two_round_once_among_the_subnormal_numbers() {
        assert_eq!(times_power(1.0, -1074), 5e-324);
        assert_eq!(times_power(1.0, -1075), 0.0);
        assert_eq!(times_power(1.5, -1075), 5e-324);
        assert_eq!(times_power(-1.0, 1024), f64::NEG_INFINITY);
        assert_eq!(times_power(1.75, -1074), f64::from_bits(2));
        assert_eq!(times_power(3.0, 1000), 3.0 * 2f64.powi(1000));
    }

    #[test]
    fn the_variance_of_a_far_mean_is_exact() {
        let values = [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0];
        let (moments, scale) = narrow(&values).expect("fits");
        assert_eq!(variance(&moments, scale, 3), 1.0);
        assert_eq!(wide(&values).variance(3), 1.0);
    }

    #[test]
    fn whole_numbers_become_the_nearest_double() {
        let near = [
            0,
            1,
            (1 << 53) - 1,
            (1 << 53) + 1,
            (1 << 54) + 2,
            (1 << 63) - 1,
            1 << 63,
            (1 << 64) + 1,
            (1 << 100) + (1 << 47),
            (1 << 126) - 1,
        ];
        for value in near.into_iter().flat_map(|value: i128| [value - 1, value, value + 1]) {
            assert_eq!(nearest(value).to_bits(), (value as f64).to_bits(), "{value}");
            assert_eq!(nearest(-value), -value as f64, "{value}");
        }
    }

    #[test]
    fn finer_units_hold_the_same_number() {
        let (moments, scale) = narrow(&[0.75, 12.5]).expect("fits");
        let finer = moments.finer(20).expect("fits");
        assert_eq!(sum(&finer, scale - 20), 13.25);
        assert_eq!(variance(&finer, scale - 20, 2), variance(&moments, scale, 2));
        assert_eq!(moments.finer(120), None);
    }

    proptest! {
        /// Both ways of adding agree to the last bit, so it never shows which one was taken.
        #[test]
        fn narrow_and_wide_sums_agree(values in prop::collection::vec(prop_oneof![-1e6..1e6, prop::num::f64::NORMAL, Just(0.1), Just(-0.0), Just(1e15)], 2..40)) {
            let wide = wide(&values);
            let n = values.len() as u64;
            if let Some((moments, scale)) = narrow(&values) {
                prop_assert_eq!(sum(&moments, scale).to_bits(), wide.sum().to_bits());
                prop_assert_eq!(mean(&moments, scale, n).to_bits(), wide.mean(n).to_bits());
                prop_assert_eq!(variance(&moments, scale, n).to_bits(), wide.variance(n).to_bits());
                prop_assert_eq!(WideMoments::from_narrow(&moments, scale), wide);
            }
        }

        #[test]
        fn sums_of_whole_numbers_are_those_of_integers(values in prop::collection::vec(-(1_i64 << 52)..(1_i64 << 52), 1..40)) {
            let doubles: Vec<f64> = values.iter().map(|&x| x as f64).collect();
            let exact: i128 = values.iter().map(|&x| i128::from(x)).sum();
            prop_assert_eq!(wide(&doubles).sum(), exact as f64);
        }
    }
}
