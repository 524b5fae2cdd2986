//! Exact sums of some values: what sum, mean, var and std of any union of them are made of.
//!
//! Whole numbers as long as the values fit (`exact.rs`), else a long accumulator (`wide.rs`). Both are exact, so it never shows which it was,
//! nor in which order or in which groups the values came.

use super::exact::{self, Moments, U256, UNSET};
use super::wide::WideMoments;
use crate::encode::{Broken, Decode, Encode, Input};

/// Count, sum and sum of squares.
#[derive(Clone, Debug)]
pub struct MomentSum {
    /// How many values.
    pub count: u64,
    scale: i32,
    narrow: Moments,
    wide: Option<Box<WideMoments>>,
}

impl Default for MomentSum {
    fn default() -> Self {
        Self { count: 0, scale: UNSET, narrow: Moments::default(), wide: None }
    }
}

impl Encode for MomentSum {
    fn encode(&self, out: &mut Vec<u8>) {
        self.count.encode(out);
        self.scale.encode(out);
        self.narrow.encode(out);
        self.wide.encode(out);
    }
}

impl Decode for MomentSum {
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
        let sum = Self { count: input.read()?, scale: input.read()?, narrow: input.read()?, wide: input.read()? };
        if sum.scale != UNSET && !(exact::SCALE_MIN..=exact::SCALE_MAX).contains(&sum.scale) {
            return Err(Broken(format!("a sum in units of 2^{}", sum.scale)));
        }
        Ok(sum)
    }
}

impl MomentSum {
    /// Bytes beyond its own size.
    pub fn bytes(&self) -> usize {
        if self.wide.is_some() { size_of::<WideMoments>() } else { 0 }
    }

    /// Unit and sums, unless they are too wide; `UNSET` where all values are zero.
    pub(crate) fn narrow(&self) -> Option<(i32, Moments)> {
        self.wide.is_none().then_some((self.scale, self.narrow))
    }

    /// Sums of nothing yet, whose unit suits a value that will come.
    #[inline]
    pub fn for_value(x: f64) -> Self {
        let (mantissa, exponent) = exact::parts(x);
        let scale = if mantissa == 0 || !x.is_finite() { UNSET } else { exponent };
        Self { scale, ..Self::default() }
    }

    /// One double more.
    #[inline]
    pub fn add_float(&mut self, x: f64, squares: bool) {
        self.count += 1;
        if self.wide.is_none() && x.is_finite() {
            let (mantissa, exponent) = exact::parts(x);
            if exponent < self.scale && mantissa != 0 {
                self.refine(exponent);
            }
            let value = exact::fixed_parts(mantissa, exponent, x.is_sign_negative(), self.scale);
            if let Some(sum) = value.and_then(|value| self.narrow.add(value, square(value, squares))) {
                self.narrow = sum;
                return;
            }
        }
        self.widen().add(x, squares);
    }

    /// One double less that was once added; false where that cannot be told from the sums alone.
    #[inline]
    pub fn sub_float(&mut self, x: f64, squares: bool) -> bool {
        let value = if self.wide.is_none() { exact::fixed(x, self.scale) } else { None };
        let rest = value.and_then(|value| self.narrow.sub(value, square(value, squares)));
        rest.map(|rest| (self.narrow, self.count) = (rest, self.count - 1)).is_some()
    }

    /// One whole number less that was once added.
    #[inline]
    pub fn sub_whole(&mut self, x: i64, squares: bool) -> bool {
        let value = i128::from(x);
        let rest = if self.wide.is_none() { self.narrow.sub(value, square(value, squares)) } else { None };
        rest.map(|rest| (self.narrow, self.count) = (rest, self.count - 1)).is_some()
    }

    /// One whole number more.
    #[inline]
    pub fn add_whole(&mut self, x: i64, squares: bool) {
        let value = i128::from(x);
        self.merge(&Self {
            count: 1,
            scale: 0,
            narrow: Moments { sum: value, squares: square(value, squares) },
            wide: None,
        });
    }

    /// Some doubles more, as bits; `keeps` has a bit for each that counts.
    pub fn add_floats(&mut self, values: &[u64], keeps: u32, squares: bool) {
        let (mut smallest, mut largest) = (u64::MAX, 0);
        for (index, bits) in values.iter().enumerate() {
            let magnitude = if keeps >> index & 1 == 1 { bits & !(1 << 63) } else { 0 };
            largest = largest.max(magnitude);
            // Zero becomes the largest number there is: it asks for no scale.
            smallest = smallest.min(magnitude.wrapping_sub(1));
        }
        let Some((scale, bits)) = exact::common_scale(smallest.wrapping_add(1), largest) else {
            return self.add_slowly(values, keeps, squares);
        };
        // Where the sums so far have a finer unit that does for these values too, nothing has to be aligned afterwards.
        let shift = scale.saturating_sub(self.scale);
        let (scale, bits) = if self.scale != UNSET && shift > 0 && bits + shift <= 58 {
            (self.scale, bits + shift)
        } else {
            (scale, bits)
        };
        if bits > 58 {
            return self.add_slowly(values, keeps, squares);
        }
        let (mut sum, mut square) = (0_i64, 0_u128);
        for (index, &bits) in values.iter().enumerate() {
            // What does not count is taken as zero.
            let value = exact::small(bits & u64::from(keeps >> index & 1).wrapping_neg(), scale);
            // At most 32 values of at most 58 bits.
            sum += value;
            if squares {
                square += u128::from(value.unsigned_abs()) * u128::from(value.unsigned_abs());
            }
        }
        self.merge(&Self {
            count: u64::from(keeps.count_ones()),
            scale,
            narrow: Moments { sum: i128::from(sum), squares: U256::from_low(square) },
            wide: None,
        });
    }

    fn add_slowly(&mut self, values: &[u64], keeps: u32, squares: bool) {
        for (index, &bits) in values.iter().enumerate() {
            if keeps >> index & 1 == 1 {
                self.add_float(f64::from_bits(bits), squares);
            }
        }
    }

    /// Takes in the sums of other values.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        if self.wide.is_none() && other.wide.is_none() {
            let joined = if self.scale == other.scale { self.narrow.join(&other.narrow) } else { self.align(other) };
            if let Some(narrow) = joined {
                self.narrow = narrow;
                self.count += other.count;
                return;
            }
        }
        self.count += other.count;
        let (scale, narrow) = (other.settled(), &other.narrow);
        match &other.wide {
            Some(wide) => self.widen().merge(wide),
            None => self.widen().merge(&WideMoments::from_narrow(narrow, scale)),
        }
    }

    /// The joint sums of two that differ in their units; `None` where they do not fit.
    fn align(&mut self, other: &Self) -> Option<Moments> {
        if other.scale == UNSET || other.narrow == Moments::default() {
            return Some(self.narrow);
        }
        if self.scale == UNSET || self.narrow == Moments::default() {
            self.scale = other.scale;
            return Some(other.narrow);
        }
        if self.scale > other.scale {
            let joined = self.narrow.finer((self.scale - other.scale) as u32)?.join(&other.narrow)?;
            self.scale = other.scale;
            Some(joined)
        } else {
            self.narrow.join(&other.narrow.finer((other.scale - self.scale) as u32)?)
        }
    }

    /// Makes the unit smaller, if the sums still fit then.
    fn refine(&mut self, exponent: i32) {
        if self.scale == UNSET || self.narrow == Moments::default() {
            self.scale = exponent;
        } else if let Some(finer) = self.narrow.finer((self.scale - exponent) as u32) {
            self.narrow = finer;
            self.scale = exponent;
        }
    }

    fn settled(&self) -> i32 {
        if self.scale == UNSET { 0 } else { self.scale }
    }

    fn widen(&mut self) -> &mut WideMoments {
        let (narrow, scale) = (self.narrow, self.settled());
        self.wide.get_or_insert_with(|| Box::new(WideMoments::from_narrow(&narrow, scale)))
    }

    /// The correctly rounded sum; 0 of nothing.
    #[inline]
    pub fn sum(&self) -> f64 {
        match &self.wide {
            None => exact::sum(&self.narrow, self.settled()),
            Some(wide) => wide_sum(wide),
        }
    }

    /// The sum, rounded once, divided by the count.
    #[inline]
    pub fn mean(&self) -> Option<f64> {
        match (self.count, &self.wide) {
            (0, _) => None,
            (count, None) => Some(exact::mean(&self.narrow, self.settled(), count)),
            (count, Some(wide)) => Some(wide_mean(wide, count)),
        }
    }

    /// The same where the sum is at hand.
    #[inline]
    pub fn mean_of(&self, sum: f64) -> Option<f64> {
        match (self.count, &self.wide) {
            (0, _) => None,
            (count, None) => Some(exact::mean_of(sum, &self.narrow, self.settled(), count)),
            (count, Some(wide)) => Some(wide_mean(wide, count)),
        }
    }

    /// Sample variance.
    #[inline(never)]
    pub fn variance(&self) -> Option<f64> {
        match (self.count, &self.wide) {
            (0 | 1, _) => None,
            (count, None) => Some(exact::variance(&self.narrow, self.settled(), count)),
            (count, Some(wide)) => Some(wide.variance(count)),
        }
    }
}

#[cold]
#[inline(never)]
fn wide_sum(wide: &WideMoments) -> f64 {
    wide.sum()
}

#[cold]
#[inline(never)]
fn wide_mean(wide: &WideMoments, count: u64) -> f64 {
    wide.mean(count)
}

#[inline]
fn square(value: i128, wanted: bool) -> U256 {
    if wanted { U256::square(value) } else { U256::default() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one_by_one(values: &[f64]) -> MomentSum {
        let mut sum = MomentSum::default();
        values.iter().for_each(|&x| sum.add_float(x, true));
        sum
    }

    fn answers(sum: &MomentSum) -> (u64, u64, Option<u64>, Option<u64>) {
        (sum.count, sum.sum().to_bits(), sum.mean().map(f64::to_bits), sum.variance().map(f64::to_bits))
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let one = prop_oneof![
            6 => (-100_000..100_000_i32).prop_map(|cents| f64::from(cents) / 100.0),
            1 => prop::sample::select(vec![0.0, -0.0, 1e15, 1e-15, 1e300, -1e300, 5e-324, f64::MAX, f64::NAN, f64::INFINITY]),
            1 => prop::num::f64::NORMAL,
        ];
        prop::collection::vec(one, 0..32)
    }

    proptest! {
        #[test]
        fn groups_and_order_leave_no_trace(a in values(), b in values(), c in values(), keeps in any::<u32>()) {
            let all: Vec<f64> = a.iter().chain(&b).chain(&c).copied().collect();
            let wanted = answers(&one_by_one(&all));
            let mut joined = one_by_one(&c);
            joined.merge(&one_by_one(&a));
            joined.merge(&one_by_one(&b));
            prop_assert_eq!(answers(&joined), wanted);
            let mut sliced = MomentSum::default();
            for part in [&b, &c, &a] {
                let bits: Vec<u64> = part.iter().map(|x| x.to_bits()).collect();
                let all = if bits.len() == 32 { u32::MAX } else { (1 << bits.len()) - 1 };
                sliced.add_floats(&bits, keeps & all, true);
                sliced.add_floats(&bits, !keeps & all, true);
            }
            prop_assert_eq!(answers(&sliced), wanted);
        }

        #[test]
        fn whole_numbers_are_exact(values in prop::collection::vec(any::<i64>(), 1..50)) {
            let mut sum = MomentSum::default();
            values.iter().for_each(|&x| sum.add_whole(x, true));
            let exact: i128 = values.iter().map(|&x| i128::from(x)).sum();
            prop_assert_eq!(sum.sum(), exact as f64);
        }
    }
}
