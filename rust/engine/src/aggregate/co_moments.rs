//! Covariance, correlation and slope from exact sums of two values and their products.
//!
//! As in `higher.rs`: sums are whole numbers, each of the two axes in its own unit. n Sxy - Sx Sy is a whole number too, and rounded
//! once before anything is divided by it.

use super::exact;
use super::whole::{Number, SMALLEST, Span, Whole, multiply};
use crate::encode::{Broken, Decode, Encode, Input, encode_fields};

/// Sums over pairs of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoMoments {
    count: u64,
    /// Pairs with a NaN or an infinity.
    not_finite: u64,
    x: Span,
    y: Span,
    sums: Sums,
}

#[derive(Clone, Debug, PartialEq)]
enum Sums {
    /// In units of the spans.
    Narrow { x: Whole<3>, y: Whole<3>, xx: Whole<5>, yy: Whole<5>, xy: Whole<5> },
    /// In units of 2^-1074 and its square.
    Wide(Box<WideSums>),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct WideSums {
    x: Whole<35>,
    y: Whole<35>,
    xx: Whole<67>,
    yy: Whole<67>,
    xy: Whole<67>,
}

encode_fields!(WideSums { x, y, xx, yy, xy });

impl Default for Sums {
    fn default() -> Self {
        let (line, square) = (Whole::default(), Whole::default());
        Self::Narrow { x: line, y: line, xx: square, yy: square, xy: square }
    }
}

/// Words of what answers are made of: 2 * 126 bits a pair, the square of n, a sign.
const NARROW: usize = 7;
/// The same for any doubles.
const WIDE: usize = 70;

impl Sums {
    /// In the units of other spans that hold these.
    fn rescaled(&mut self, (x_from, y_from): (Span, Span), (x_to, y_to): (Span, Span)) {
        let Self::Narrow { x, y, xx, yy, xy } = self else { return };
        if x_to.fits() && y_to.fits() {
            let (x_bits, y_bits) = (x_from.bits_to(x_to), y_from.bits_to(y_to));
            if x_bits + y_bits > 0 {
                (*x, *y) = (x.shifted(x_bits), y.shifted(y_bits));
                (*xx, *yy, *xy) = (xx.shifted(2 * x_bits), yy.shifted(2 * y_bits), xy.shifted(x_bits + y_bits));
            }
        } else {
            let (x_bits, y_bits) = (x_from.bits_to_wide(), y_from.bits_to_wide());
            *self = Self::Wide(Box::new(WideSums {
                x: x.resized().shifted(x_bits),
                y: y.resized().shifted(y_bits),
                xx: xx.resized().shifted(2 * x_bits),
                yy: yy.resized().shifted(2 * y_bits),
                xy: xy.resized().shifted(x_bits + y_bits),
            }));
        }
    }

    #[inline]
    fn change(&mut self, (a, b): (Number, Number), (x_unit, y_unit): (i32, i32), away: bool) {
        let (a_odd, b_odd, product_odd) = (a.negative != away, b.negative != away, (a.negative != b.negative) != away);
        let product = |a: &[u64], b: &[u64]| {
            let mut words = [0; 4];
            multiply(a, b, &mut words);
            words
        };
        match self {
            Self::Narrow { x, y, xx, yy, xy } => {
                let (a, b) = (a.in_units(x_unit), b.in_units(y_unit));
                x.accumulate(&a, 0, a_odd);
                y.accumulate(&b, 0, b_odd);
                xx.accumulate(&product(&a, &a), 0, away);
                yy.accumulate(&product(&b, &b), 0, away);
                xy.accumulate(&product(&a, &b), 0, product_odd);
            }
            Self::Wide(sums) => {
                let (a_bit, b_bit) = (a.bit(), b.bit());
                let (a, b) = ([a.magnitude], [b.magnitude]);
                sums.x.accumulate(&a, a_bit, a_odd);
                sums.y.accumulate(&b, b_bit, b_odd);
                sums.xx.accumulate(&product(&a, &a)[..2], 2 * a_bit, away);
                sums.yy.accumulate(&product(&b, &b)[..2], 2 * b_bit, away);
                sums.xy.accumulate(&product(&a, &b)[..2], a_bit + b_bit, product_odd);
            }
        }
    }
}

impl Encode for CoMoments {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.count, self.not_finite).encode(out);
        self.x.encode(out);
        self.y.encode(out);
        match &self.sums {
            Sums::Narrow { x, y, xx, yy, xy } => ((*x, *y), ((*xx, *yy), *xy)).encode(out),
            Sums::Wide(sums) => sums.encode(out),
        }
    }
}

impl Decode for CoMoments {
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
        let (count, not_finite) = input.read()?;
        let (x, y): (Span, Span) = input.read()?;
        // Which of the two it is follows from the values alone.
        let sums = if x.fits() && y.fits() {
            let ((x, y), ((xx, yy), xy)) = input.read()?;
            Sums::Narrow { x, y, xx, yy, xy }
        } else {
            Sums::Wide(input.read()?)
        };
        Ok(Self { count, not_finite, x, y, sums })
    }
}

impl CoMoments {
    /// One pair more. Whole numbers, ticks of a time among them, are taken as they are.
    #[inline]
    pub fn add(&mut self, x: impl Into<Number>, y: impl Into<Number>) {
        let (x, y) = (x.into(), y.into());
        self.count += 1;
        if !x.finite || !y.finite {
            self.not_finite += 1;
            return;
        }
        self.grow(self.x.with(Span::of(x)), self.y.with(Span::of(y)));
        self.sums.change((x, y), (self.x.unit(), self.y.unit()), false);
    }

    /// One pair less, that was added before.
    #[inline]
    pub fn sub(&mut self, x: impl Into<Number>, y: impl Into<Number>) {
        let (x, y) = (x.into(), y.into());
        self.count -= 1;
        if x.finite && y.finite {
            self.sums.change((x, y), (self.x.unit(), self.y.unit()), true);
        } else {
            self.not_finite -= 1;
        }
        if self.count == 0 {
            // The units, and the memory of wide sums, go with the last pair.
            *self = Self::default();
        }
    }

    /// All pairs of another.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.not_finite += other.not_finite;
        self.grow(self.x.with(other.x), self.y.with(other.y));
        let mut theirs = other.sums.clone();
        theirs.rescaled((other.x, other.y), (self.x, self.y));
        match (&mut self.sums, &theirs) {
            (Sums::Narrow { x, y, xx, yy, xy }, Sums::Narrow { x: ox, y: oy, xx: oxx, yy: oyy, xy: oxy }) => {
                (*x, *y, *xx, *yy, *xy) = (*x + *ox, *y + *oy, *xx + *oxx, *yy + *oyy, *xy + *oxy);
            }
            (Sums::Wide(sums), Sums::Wide(others)) => {
                **sums = WideSums {
                    x: sums.x + others.x,
                    y: sums.y + others.y,
                    xx: sums.xx + others.xx,
                    yy: sums.yy + others.yy,
                    xy: sums.xy + others.xy,
                };
            }
            _ => unreachable!("both have been brought to one span"),
        }
    }

    fn grow(&mut self, x: Span, y: Span) {
        if (x, y) != (self.x, self.y) {
            self.sums.rescaled((self.x, self.y), (x, y));
            (self.x, self.y) = (x, y);
        }
    }

    /// Number of pairs.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        match &self.sums {
            Sums::Narrow { .. } => 0,
            Sums::Wide(sums) => size_of_val(&**sums),
        }
    }

    /// Sample covariance (ddof = 1); `None` below two pairs, NaN where a value is not finite.
    pub fn cov(&self) -> Option<f64> {
        self.answer(|central| {
            let size = exact::ratio(&central.xy_magnitude, central.units.0 + central.units.1, self.count);
            Some(if central.xy.0 < 0.0 { -size } else { size })
        })
    }

    /// Pearson's correlation; `None` below two pairs and where either does not vary, NaN where a value is not finite.
    pub fn corr(&self) -> Option<f64> {
        self.answer(|central| {
            let ((a, a_exponent), (b, b_exponent), (c, c_exponent)) = (central.xy, central.xx, central.yy);
            if b == 0.0 || c == 0.0 {
                return None;
            }
            let (mut square, mut exponent) = (b * c, b_exponent + c_exponent);
            if exponent % 2 != 0 {
                square *= 2.0;
                exponent -= 1;
            }
            // Rounding may lead over the ends.
            Some(exact::times_power(a / square.sqrt(), a_exponent - exponent / 2).clamp(-1.0, 1.0))
        })
    }

    /// Least squares of y over x, times `units` (a power of ten that makes ticks seconds); `None` below two pairs and where x does
    /// not vary, NaN where a value is not finite.
    pub fn slope(&self, units: u32) -> Option<f64> {
        self.answer(|central| {
            let ((a, a_exponent), (b, b_exponent)) = (central.xy, central.xx);
            if b == 0.0 {
                return None;
            }
            let (x_unit, y_unit) = central.units;
            Some(exact::times_power(a * f64::from(units) / b, a_exponent - b_exponent + y_unit - x_unit))
        })
    }

    fn answer(&self, of: impl Fn(&Central) -> Option<f64>) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        if self.not_finite > 0 {
            return Some(f64::NAN);
        }
        let n = self.count;
        of(&match &self.sums {
            Sums::Narrow { x, y, xx, yy, xy } => {
                let units = (self.x.unit(), self.y.unit());
                central::<NARROW>(n, [x.resized(), y.resized(), xx.resized(), yy.resized(), xy.resized()], units)
            }
            Sums::Wide(sums) => {
                let WideSums { x, y, xx, yy, xy } = &**sums;
                let units = (SMALLEST, SMALLEST);
                central::<WIDE>(n, [x.resized(), y.resized(), xx.resized(), yy.resized(), xy.resized()], units)
            }
        })
    }
}

/// n^2 times the central moments, each rounded once, as mantissa and exponent.
struct Central {
    xx: (f64, i32),
    yy: (f64, i32),
    xy: (f64, i32),
    xy_magnitude: [u64; WIDE],
    /// Exponents of the units of both axes.
    units: (i32, i32),
}

fn central<const N: usize>(n: u64, [x, y, xx, yy, xy]: [Whole<N>; 5], units: (i32, i32)) -> Central {
    let n = Whole::from(n);
    let product = n * xy - x * y;
    let mut xy_magnitude = [0; WIDE];
    xy_magnitude[..N].copy_from_slice(&product.magnitude());
    Central {
        xx: (n * xx - x * x).rounded(),
        yy: (n * yy - y * y).rounded(),
        xy: product.rounded(),
        xy_magnitude,
        units,
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use num_rational::BigRational;
    use num_traits::{FromPrimitive, Signed, ToPrimitive, Zero};
    use proptest::prelude::*;

    use super::*;

    fn of(pairs: &[(f64, f64)]) -> CoMoments {
        let mut moments = CoMoments::default();
        pairs.iter().for_each(|&(x, y)| moments.add(x, y));
        moments
    }

    type Answers = [Option<f64>; 3];

    fn answers(moments: &CoMoments) -> Answers {
        [moments.cov(), moments.corr(), moments.slope(1)]
    }

    /// The three with fractions of any size.
    fn judge(pairs: &[(f64, f64)]) -> Answers {
        if pairs.len() < 2 {
            return [None; 3];
        }
        let fraction = |x: f64| BigRational::from_float(x).expect("finite");
        let n = BigRational::from_integer(BigInt::from_usize(pairs.len()).expect("small"));
        let one = BigRational::from_integer(1.into());
        let (xs, ys): (Vec<_>, Vec<_>) = pairs.iter().map(|&(x, y)| (fraction(x), fraction(y))).unzip();
        let (x_mean, y_mean) = (xs.iter().sum::<BigRational>() / &n, ys.iter().sum::<BigRational>() / &n);
        let sum = |a: &[BigRational], a_mean: &BigRational, b: &[BigRational], b_mean: &BigRational| {
            a.iter().zip(b).map(|(a, b)| (a - a_mean) * (b - b_mean)).sum::<BigRational>()
        };
        let (xx, yy) = (sum(&xs, &x_mean, &xs, &x_mean), sum(&ys, &y_mean, &ys, &y_mean));
        let xy = sum(&xs, &x_mean, &ys, &y_mean);
        let double = |fraction: BigRational| fraction.to_f64().expect("a double");
        let sign = if xy.is_negative() { -1.0 } else { 1.0 };
        let varies = !xx.is_zero() && !yy.is_zero();
        [
            Some(double(&xy / (&n - one))),
            varies.then(|| sign * double(&xy * &xy / (&xx * &yy)).sqrt()),
            (!xx.is_zero()).then(|| double(&xy / &xx)),
        ]
    }

    fn near(found: Answers, expected: Answers) -> bool {
        found.into_iter().zip(expected).all(|both| match both {
            (Some(found), Some(expected)) => {
                found == expected || (found - expected).abs() <= (1e-14 * expected.abs()).max(5e-324)
            }
            (found, expected) => found == expected,
        })
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
    fn a_line_is_met_exactly() {
        let pairs = [(1.0, 2.5), (2.0, 4.5), (4.0, 8.5)];
        assert_eq!(answers(&of(&pairs)), [Some(14.0 / 3.0), Some(1.0), Some(2.0)]);
        let falling: Vec<_> = pairs.iter().map(|&(x, y)| (x, -y)).collect();
        assert_eq!(answers(&of(&falling)), [Some(-14.0 / 3.0), Some(-1.0), Some(-2.0)]);
    }

    #[test]
    fn what_does_not_vary_has_no_correlation() {
        assert_eq!(answers(&of(&[])), [None; 3]);
        assert_eq!(answers(&of(&[(1.0, f64::NAN)])), [None; 3]);
        assert_eq!(answers(&of(&[(0.1, 1.0), (0.1, 2.0)])), [Some(0.0), None, None]);
        assert_eq!(answers(&of(&[(1.0, 0.1), (2.0, 0.1)])), [Some(0.0), None, Some(0.0)]);
        for pair in [(f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            assert!(answers(&of(&[(1.0, 2.0), pair])).iter().all(|answer| answer.is_some_and(f64::is_nan)));
        }
    }

    #[test]
    fn slopes_over_ticks_are_per_second() {
        let mut moments = CoMoments::default();
        // Nanoseconds of 2026, which no double holds: a rise of 3 a second, a nanosecond apart.
        for tick in 0..5_i64 {
            moments.add(1_769_860_800_000_000_001 + tick, tick as f64 * 3e-9);
        }
        let slope = moments.slope(1_000_000_000).expect("time goes on");
        assert!((slope - 3.0).abs() < 1e-14, "{slope}");
        assert_eq!(moments.bytes(), 0);
    }

    #[test]
    fn wide_sums_go_with_the_last_pair() {
        let mut moments = of(&[(1e300, 1.0), (1e-300, 2.0)]);
        assert!(moments.bytes() > 0);
        moments.sub(1e300, 1.0);
        moments.sub(1e-300, 2.0);
        assert_eq!(moments, CoMoments::default());
    }

    proptest! {
        #[test]
        fn answers_are_those_of_fractions(pairs in prop::collection::vec((value(), value()), 0..40)) {
            let moments = of(&pairs);
            prop_assert_eq!(moments.bytes(), 0);
            prop_assert!(near(answers(&moments), judge(&pairs)), "{:?} {:?}", answers(&moments), judge(&pairs));
        }

        #[test]
        fn answers_of_any_doubles_are_those_of_fractions(
            pairs in prop::collection::vec((prop_oneof![prop::num::f64::NORMAL, value()], value()), 0..8),
        ) {
            let moments = of(&pairs);
            prop_assert!(near(answers(&moments), judge(&pairs)), "{:?} {:?}", answers(&moments), judge(&pairs));
        }

        #[test]
        fn no_order_shows(
            mut pairs in prop::collection::vec((prop_oneof![9 => value(), 1 => prop::num::f64::ANY], value()), 0..30),
            cut in 0..30_usize,
        ) {
            let forward = of(&pairs);
            let (a, b) = pairs.split_at(cut.min(pairs.len()));
            let mut merged = of(b);
            merged.merge(&of(a));
            prop_assert_eq!(&merged, &forward);
            pairs.reverse();
            prop_assert_eq!(of(&pairs), forward);
        }

        #[test]
        fn what_has_left_leaves_no_trace(
            stays in prop::collection::vec((value(), value()), 0..10),
            leaves in prop::collection::vec((prop::num::f64::ANY, prop::num::f64::ANY), 0..10),
        ) {
            let mut moments = of(&leaves);
            stays.iter().for_each(|&(x, y)| moments.add(x, y));
            leaves.iter().for_each(|&(x, y)| moments.sub(x, y));
            let bits = |answers: Answers| answers.map(|answer| answer.map(f64::to_bits));
            prop_assert_eq!(bits(answers(&moments)), bits(answers(&of(&stays))));
        }
    }
}
