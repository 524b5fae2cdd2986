//! Skewness and kurtosis from exact sums of the first four powers.
//!
//! Sums are whole numbers, so values may come in any order, be merged and be taken away: no order and nothing that has left shows.
//! With n values, N^2 m2 = n S2 - S1^2 and so on are whole numbers too, n cancels out of both answers, and they are rounded once
//! each before the division.

use super::exact;
use super::whole::{Number, Span, Whole, multiply};
use crate::encode::{Broken, Decode, Encode, Input};

/// Sums of the powers of some values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Higher {
    count: u64,
    /// NaN and infinities among them.
    not_finite: u64,
    span: Span,
    sums: Sums,
}

#[derive(Clone, Debug, PartialEq)]
enum Sums {
    /// In units of the span: 126 bits a value, 64 bits of room, a sign.
    Narrow(Whole<3>, Whole<5>, Whole<7>, Whole<9>),
    /// In units of 2^-1074 and its powers: any doubles.
    Wide(Box<(Whole<35>, Whole<67>, Whole<100>, Whole<134>)>),
}

impl Default for Sums {
    fn default() -> Self {
        Self::Narrow(Whole::default(), Whole::default(), Whole::default(), Whole::default())
    }
}

/// Words of the whole numbers that answers are made of: 4 * 126 bits a value, the fourth power of n, small factors, a sign.
const NARROW: usize = 13;
/// The same for any doubles.
const WIDE: usize = 138;

impl Sums {
    /// In the unit of another span that holds this one.
    fn rescaled(&mut self, from: Span, to: Span) {
        if let (Self::Narrow(s1, s2, s3, s4), true) = (&mut *self, to.fits()) {
            let bits = from.bits_to(to);
            if bits > 0 {
                (*s1, *s2) = (s1.shifted(bits), s2.shifted(2 * bits));
                (*s3, *s4) = (s3.shifted(3 * bits), s4.shifted(4 * bits));
            }
        } else if let Self::Narrow(s1, s2, s3, s4) = self {
            let bits = from.bits_to_wide();
            *self = Self::Wide(Box::new((
                s1.resized().shifted(bits),
                s2.resized().shifted(2 * bits),
                s3.resized().shifted(3 * bits),
                s4.resized().shifted(4 * bits),
            )));
        }
    }

    /// One value more, or less.
    #[inline]
    fn change(&mut self, number: Number, unit: i32, away: bool) {
        let odd = number.negative != away;
        let (mut square, mut cube, mut fourth) = ([0; 4], [0; 6], [0; 8]);
        match self {
            Self::Narrow(s1, s2, s3, s4) => {
                let value = number.in_units(unit);
                multiply(&value, &value, &mut square);
                multiply(&value, &square, &mut cube);
                multiply(&square, &square, &mut fourth);
                s1.accumulate(&value, 0, odd);
                s2.accumulate(&square, 0, away);
                s3.accumulate(&cube, 0, odd);
                s4.accumulate(&fourth, 0, away);
            }
            Self::Wide(sums) => {
                let (value, bit) = ([number.magnitude], number.bit());
                multiply(&value, &value, &mut square);
                multiply(&value, &square, &mut cube);
                multiply(&square, &square, &mut fourth);
                sums.0.accumulate(&value, bit, odd);
                sums.1.accumulate(&square[..2], 2 * bit, away);
                sums.2.accumulate(&cube[..3], 3 * bit, odd);
                sums.3.accumulate(&fourth[..4], 4 * bit, away);
            }
        }
    }
}

impl Encode for Higher {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.count, self.not_finite).encode(out);
        self.span.encode(out);
        match &self.sums {
            Sums::Narrow(s1, s2, s3, s4) => ((*s1, *s2), (*s3, *s4)).encode(out),
            Sums::Wide(sums) => {
                let (s1, s2, s3, s4) = &**sums;
                ((*s1, *s2), (*s3, *s4)).encode(out);
            }
        }
    }
}

impl Decode for Higher {
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
        let (count, not_finite) = input.read()?;
        let span: Span = input.read()?;
        // Which of the two it is follows from the values alone.
        let sums = if span.fits() {
            Sums::Narrow(input.read()?, input.read()?, input.read()?, input.read()?)
        } else {
            Sums::Wide(Box::new((input.read()?, input.read()?, input.read()?, input.read()?)))
        };
        Ok(Self { count, not_finite, span, sums })
    }
}

impl Higher {
    /// One value more.
    #[inline]
    pub fn add(&mut self, value: impl Into<Number>) {
        let number = value.into();
        self.count += 1;
        if !number.finite {
            self.not_finite += 1;
            return;
        }
        let span = self.span.with(Span::of(number));
        if span != self.span {
            self.sums.rescaled(self.span, span);
            self.span = span;
        }
        self.sums.change(number, span.unit(), false);
    }

    /// One value less, that was added before.
    #[inline]
    pub fn sub(&mut self, value: impl Into<Number>) {
        let number = value.into();
        self.count -= 1;
        if number.finite {
            self.sums.change(number, self.span.unit(), true);
        } else {
            self.not_finite -= 1;
        }
        if self.count == 0 {
            // The unit, and the memory of wide sums, go with the last value.
            *self = Self::default();
        }
    }

    /// All values of another.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.not_finite += other.not_finite;
        let span = self.span.with(other.span);
        self.sums.rescaled(self.span, span);
        self.span = span;
        let mut theirs = other.sums.clone();
        theirs.rescaled(other.span, span);
        match (&mut self.sums, &theirs) {
            (Sums::Narrow(s1, s2, s3, s4), Sums::Narrow(o1, o2, o3, o4)) => {
                (*s1, *s2, *s3, *s4) = (*s1 + *o1, *s2 + *o2, *s3 + *o3, *s4 + *o4);
            }
            (Sums::Wide(sums), Sums::Wide(others)) => {
                let (s1, s2, s3, s4) = &mut **sums;
                let (o1, o2, o3, o4) = &**others;
                (*s1, *s2, *s3, *s4) = (*s1 + *o1, *s2 + *o2, *s3 + *o3, *s4 + *o4);
            }
            _ => unreachable!("both have been brought to one span"),
        }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        match &self.sums {
            Sums::Narrow(..) => 0,
            Sums::Wide(sums) => size_of_val(&**sums),
        }
    }

    /// m3 / m2^1.5 of the population; `None` without values and where m2 is 0, NaN where a value is not finite.
    pub fn skew(&self) -> Option<f64> {
        self.answer(skew, skew)
    }

    /// m4 / m2^2 - 3 of the population; `None` and NaN as `skew`.
    pub fn kurtosis(&self) -> Option<f64> {
        self.answer(kurtosis, kurtosis)
    }

    fn answer(&self, narrow: fn(Powers<NARROW>) -> Option<f64>, wide: fn(Powers<WIDE>) -> Option<f64>) -> Option<f64> {
        if self.not_finite > 0 {
            return Some(f64::NAN);
        }
        let n = self.count;
        match &self.sums {
            Sums::Narrow(s1, s2, s3, s4) => narrow([n.into(), s1.resized(), s2.resized(), s3.resized(), s4.resized()]),
            Sums::Wide(sums) => {
                let (s1, s2, s3, s4) = &**sums;
                wide([n.into(), s1.resized(), s2.resized(), s3.resized(), s4.resized()])
            }
        }
    }
}

/// The sums of the powers from 0 to 4.
type Powers<const N: usize> = [Whole<N>; 5];

fn skew<const N: usize>([n, s1, s2, s3, _]: Powers<N>) -> Option<f64> {
    let second = n * s2 - s1 * s1;
    if second.is_zero() {
        return None;
    }
    // n (n S3 - 3 S1 S2) + 2 S1^3
    let third = n * (n * s3 - Whole::from(3) * s1 * s2) + Whole::from(2) * s1 * s1 * s1;
    let (a, a_exponent) = third.rounded();
    let (mut b, mut b_exponent) = second.rounded();
    if b_exponent % 2 != 0 {
        b *= 2.0;
        b_exponent -= 1;
    }
    Some(exact::times_power(a / (b * b.sqrt()), a_exponent - b_exponent / 2 * 3))
}

fn kurtosis<const N: usize>([n, s1, s2, s3, s4]: Powers<N>) -> Option<f64> {
    let second = n * s2 - s1 * s1;
    if second.is_zero() {
        return None;
    }
    // n^2 (n S4 - 4 S1 S3) + 3 S1^2 (2 n S2 - S1^2), and 3 of the square of the second away before anything is rounded.
    let square = s1 * s1;
    let fourth = n * n * (n * s4 - Whole::from(4) * s1 * s3) + Whole::from(3) * square * (n * s2 + second);
    let (a, a_exponent) = (fourth - Whole::from(3) * second * second).rounded();
    let (b, b_exponent) = second.rounded();
    Some(exact::times_power(a / (b * b), a_exponent - 2 * b_exponent))
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use num_rational::BigRational;
    use num_traits::{FromPrimitive, Signed, ToPrimitive, Zero};
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Higher {
        let mut higher = Higher::default();
        values.iter().for_each(|&x| higher.add(x));
        higher
    }

    /// Central moments with fractions of any size.
    fn judge(values: &[f64]) -> Option<(f64, f64)> {
        let values: Vec<BigRational> = values.iter().map(|&x| BigRational::from_float(x).expect("finite")).collect();
        let n = BigRational::from_integer(BigInt::from_usize(values.len()).expect("small"));
        let mean = values.iter().sum::<BigRational>() / &n;
        let moment = |power: i32| values.iter().map(|x| (x - &mean).pow(power)).sum::<BigRational>() / &n;
        let second = moment(2);
        if second.is_zero() {
            return None;
        }
        let third = moment(3);
        let sign = if third.is_negative() { -1.0 } else { 1.0 };
        let square = (&third * &third / second.pow(3)).to_f64().expect("a double");
        let three = BigRational::from_integer(3.into());
        Some((sign * square.sqrt(), (moment(4) / second.pow(2) - three).to_f64().expect("a double")))
    }

    fn near(found: Option<f64>, expected: Option<f64>) -> bool {
        match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() <= 1e-14 * expected.abs(),
            (found, expected) => found == expected,
        }
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-100_000_i32..100_000).prop_map(|cents| f64::from(cents) / 100.0),
            2 => (0_u8..20).prop_map(|step| 1e9 + f64::from(step)),
            1 => -1e6..1e6_f64,
            1 => Just(0.0),
        ]
    }

    #[test]
    fn known_values() {
        assert_eq!(of(&[1.0, 2.0, 3.0]).skew(), Some(0.0));
        assert_eq!(of(&[1.0, 2.0, 3.0]).kurtosis(), Some(-1.5));
        // Two values: m4 = m2^2.
        assert_eq!(of(&[0.1, 7.3]).kurtosis(), Some(-2.0));
        // scipy.stats.skew([0, 0, 0, 1]), kurtosis
        assert!(near(of(&[0.0, 0.0, 0.0, 1.0]).skew(), Some(2.0 / 3f64.sqrt())));
        assert!(near(of(&[0.0, 0.0, 0.0, 1.0]).kurtosis(), Some(7.0 / 3.0 - 3.0)));
    }

    #[test]
    fn nothing_and_what_does_not_vary_have_neither() {
        for values in [&[][..], &[3.5], &[0.1, 0.1, 0.1], &[0.0, -0.0]] {
            assert_eq!((of(values).skew(), of(values).kurtosis()), (None, None), "{values:?}");
        }
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(of(&[1.0, odd]).skew().is_some_and(f64::is_nan));
            assert!(of(&[odd]).kurtosis().is_some_and(f64::is_nan));
        }
    }

    #[test]
    fn whole_numbers_beyond_doubles_stay_apart() {
        let mut higher = Higher::default();
        for x in [i64::MAX, i64::MAX - 1, i64::MAX - 2, i64::MIN] {
            higher.add(x);
        }
        assert_eq!(higher.bytes(), 0);
        higher.sub(i64::MIN);
        assert_eq!((higher.skew(), higher.kurtosis()), (Some(0.0), Some(-1.5)));
    }

    #[test]
    fn the_largest_and_the_smallest_doubles_fit_together() {
        let values = [f64::MAX, -f64::MAX, 5e-324, f64::MAX, 1.0];
        let higher = of(&values);
        assert!(higher.bytes() > 0);
        let (skew, kurtosis) = judge(&values).expect("they vary");
        assert!(near(higher.skew(), Some(skew)) && near(higher.kurtosis(), Some(kurtosis)), "{higher:?}");
        let tiny = of(&[5e-324, 1e-323, 0.0]);
        assert_eq!((tiny.bytes(), tiny.skew(), tiny.kurtosis()), (0, Some(0.0), Some(-1.5)));
    }

    #[test]
    fn wide_sums_go_with_the_last_value() {
        let mut higher = of(&[1e300, 1e-300]);
        assert!(higher.bytes() > 0);
        higher.sub(1e300);
        higher.sub(1e-300);
        assert_eq!(higher, Higher::default());
    }

    proptest! {
        #[test]
        fn answers_are_those_of_fractions(values in prop::collection::vec(value(), 0..40)) {
            let higher = of(&values);
            prop_assert_eq!(higher.bytes(), 0);
            let expected = judge_or_none(&values);
            prop_assert!(near(higher.skew(), expected.map(|both| both.0)), "{:?} {:?}", higher.skew(), expected);
            prop_assert!(near(higher.kurtosis(), expected.map(|both| both.1)), "{:?} {:?}", higher.kurtosis(), expected);
        }

        #[test]
        fn answers_of_any_doubles_are_those_of_fractions(values in prop::collection::vec(prop_oneof![prop::num::f64::NORMAL, value()], 2..8)) {
            let higher = of(&values);
            let expected = judge_or_none(&values);
            prop_assert!(near(higher.skew(), expected.map(|both| both.0)), "{:?} {:?}", higher.skew(), expected);
            prop_assert!(near(higher.kurtosis(), expected.map(|both| both.1)), "{:?} {:?}", higher.kurtosis(), expected);
        }

        #[test]
        fn no_order_shows(
            mut values in prop::collection::vec(prop_oneof![9 => value(), 1 => prop::num::f64::ANY], 0..30),
            cut in 0..30_usize,
        ) {
            let forward = of(&values);
            let (a, b) = values.split_at(cut.min(values.len()));
            let mut merged = of(b);
            merged.merge(&of(a));
            prop_assert_eq!(&merged, &forward);
            values.reverse();
            prop_assert_eq!(of(&values), forward);
        }

        #[test]
        fn what_has_left_leaves_no_trace(
            stays in prop::collection::vec(value(), 0..10),
            leaves in prop::collection::vec(prop::num::f64::ANY, 0..10),
        ) {
            let mut higher = of(&leaves);
            stays.iter().for_each(|&x| higher.add(x));
            leaves.iter().for_each(|&x| higher.sub(x));
            let never = of(&stays);
            prop_assert_eq!(higher.count(), never.count());
            prop_assert_eq!(higher.skew().map(f64::to_bits), never.skew().map(f64::to_bits));
            prop_assert_eq!(higher.kurtosis().map(f64::to_bits), never.kurtosis().map(f64::to_bits));
        }
    }

    fn judge_or_none(values: &[f64]) -> Option<(f64, f64)> {
        if values.is_empty() { None } else { judge(values) }
    }
}
