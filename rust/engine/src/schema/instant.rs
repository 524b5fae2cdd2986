//! Instants: units, ISO 8601 text and the range that a plan's ticks cover. Whatever is finer than a tick is cut off
//! towards the past.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::fmt::temporal::{DateTimeParser, Pieces};

use crate::definition::TimeUnit;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;
const PARSER: DateTimeParser = DateTimeParser::new();

/// Longest ISO 8601 text read, after digits below the nanosecond have been cut off.
const ISO_BYTES_MAX: usize = 64;

/// How whole numbers of one field become ticks, and which ticks there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// Ticks in one of the field's units; 0 where the unit is finer than the tick.
    ticks_per_unit: i64,
    /// Units in one tick, where the unit is finer.
    units_per_tick: i64,
    nanoseconds_per_tick: i64,
    ticks_min: i64,
    ticks_max: i64,
}

impl Clock {
    pub(super) fn new(ticks_per_second: i64, unit: TimeUnit) -> Self {
        let units_per_second = match unit {
            TimeUnit::S => 1,
            TimeUnit::Ms => 1_000,
            TimeUnit::Us => 1_000_000,
            TimeUnit::Ns => 1_000_000_000,
        };
        let (first, end) = seconds(ticks_per_second);
        Self {
            ticks_per_unit: ticks_per_second / units_per_second,
            units_per_tick: units_per_second / ticks_per_second,
            nanoseconds_per_tick: NANOSECONDS_PER_SECOND as i64 / ticks_per_second,
            ticks_min: first * ticks_per_second,
            ticks_max: end * ticks_per_second - 1,
        }
    }

    /// Ticks of a whole number in the field's unit; None outside the range.
    #[inline]
    pub(super) fn ticks_of_number(&self, number: i64) -> Option<i64> {
        let ticks = match self.ticks_per_unit {
            1 => number,
            0 => number.div_euclid(self.units_per_tick),
            several => number.checked_mul(several)?,
        };
        self.within(ticks)
    }

    /// Ticks of nanoseconds since 1970; None outside the range.
    #[inline]
    pub(super) fn ticks_of_nanoseconds(&self, nanoseconds: i128) -> Option<i64> {
        let ticks = match i64::try_from(nanoseconds) {
            // i128 divides in software; what fits 64 bits need not.
            Ok(nanoseconds) => nanoseconds.div_euclid(self.nanoseconds_per_tick),
            Err(_) => i64::try_from(nanoseconds.div_euclid(i128::from(self.nanoseconds_per_tick))).ok()?,
        };
        self.within(ticks)
    }

    #[inline]
    fn within(&self, ticks: i64) -> Option<i64> {
        (self.ticks_min..=self.ticks_max).contains(&ticks).then_some(ticks)
    }

    /// What added before cutting off turns the floor into the ceiling.
    pub(super) fn nanoseconds_below_tick(&self) -> i128 {
        i128::from(self.nanoseconds_per_tick) - 1
    }

    /// The first and last day that ticks cover, as a text.
    pub(super) fn range_text(&self) -> &'static str {
        if self.nanoseconds_per_tick == 1 { "1678-01-01 and 2261-12-31" } else { "0001-01-01 and 9999-12-31" }
    }

    /// Ticks as ISO 8601.
    pub(super) fn text(&self, ticks: i64) -> String {
        iso(i128::from(ticks) * i128::from(self.nanoseconds_per_tick))
    }
}

/// Seconds since 1970 of the first instant, and of the first one beyond the last.
fn seconds(ticks_per_second: i64) -> (i64, i64) {
    if ticks_per_second == 1_000_000_000 { (-9_214_560_000, 9_214_646_400) } else { (-62_135_596_800, 253_402_300_800) }
}

/// Ticks since 1970-01-01T00:00:00Z as ISO 8601, e.g. `2026-01-31T12:00:00.5Z`.
pub fn iso_ticks(ticks: i64, ticks_per_second: i64) -> String {
    iso(i128::from(ticks) * (NANOSECONDS_PER_SECOND / i128::from(ticks_per_second)))
}

pub(super) fn iso(nanoseconds: i128) -> String {
    let seconds = nanoseconds.div_euclid(NANOSECONDS_PER_SECOND);
    let fraction = nanoseconds.rem_euclid(NANOSECONDS_PER_SECOND) as i32;
    match i64::try_from(seconds).ok().and_then(|seconds| EPOCH.checked_add(SignedDuration::new(seconds, fraction)).ok())
    {
        Some(instant) => format!("{instant}Z"),
        None => format!("{seconds} seconds after 1970"),
    }
}

/// Nanoseconds since 1970 of an ISO 8601 text; None where it is none.
///
/// Date, then `T` or a space and a time, then `Z` or an offset; the last two are optional and mean midnight and UTC.
/// Names of time zones are refused: their rules change, and with them the bits of yesterday's features.
pub(super) fn parse_iso(text: &str) -> Option<i128> {
    let mut shortened = [0; ISO_BYTES_MAX];
    let bytes = cut_fraction(text.as_bytes(), &mut shortened)?;
    // A Python isoformat() starts with a digit; the signed six-digit years of ISO 8601 lie outside every range.
    if !bytes.first()?.is_ascii_digit() {
        return None;
    }
    let pieces: Pieces<'_> = PARSER.parse_pieces(bytes).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let civil = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let offset_seconds = pieces.to_numeric_offset().map_or(0, |offset| i128::from(offset.seconds()));
    Some(civil.duration_since(EPOCH).as_nanos() - offset_seconds * NANOSECONDS_PER_SECOND)
}

/// Leaves at most nine digits of the fraction of a second, which is all that the parser takes.
fn cut_fraction<'a>(text: &'a [u8], shortened: &'a mut [u8; ISO_BYTES_MAX]) -> Option<&'a [u8]> {
    let Some(point) = text.iter().take(ISO_BYTES_MAX).position(|byte| matches!(byte, b'.' | b',')) else {
        return (text.len() <= ISO_BYTES_MAX).then_some(text);
    };
    let digits = text[point + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits <= 9 {
        return (text.len() <= ISO_BYTES_MAX).then_some(text);
    }
    let (head, tail) = (&text[..point + 10], &text[point + 1 + digits..]);
    let kept = shortened.get_mut(..head.len() + tail.len())?;
    kept[..head.len()].copy_from_slice(head);
    kept[head.len()..].copy_from_slice(tail);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn microseconds(text: &str) -> Option<i64> {
        Clock::new(1_000_000, TimeUnit::Us).ticks_of_nanoseconds(parse_iso(text)?)
    }

    #[test]
    fn iso_texts_are_read_as_utc() {
        let noon = Some(1_769_860_800_000_000);
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00+00:00",
            "2026-01-31t12:00:00z",
            "2026-01-31T14:00:00+02:00",
            "2026-01-31T06:30:00-05:30",
            "2026-01-31T12:00:00.000000999Z",
            "2026-01-31T12:00:00.0000009999999999999999999999999999999999999999999999999999999999Z",
            "2026-01-31T12:00",
        ] {
            assert_eq!(microseconds(text), noon, "{text}");
        }
        assert_eq!(microseconds("2026-01-31"), Some(1_769_817_600_000_000));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            " ",
            "now",
            "12:00:00",
            "2026-02-30",
            "2026-01-31T25:00:00Z",
            "2026-01-31T12:00:00Zulu",
            " 2026-01-31",
            "2026-01-31T12:00:00[Europe/Paris]",
            "2026-01-31T12:00:00+01:00[Europe/Paris]",
            "+002026-01-31T12:00:00Z",
            "31.01.2026",
            "1769860800",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
        assert_eq!(parse_iso(&"2".repeat(1 << 20)), None);
        assert_eq!(
            parse_iso(&format!("2026-01-31T12:00:00.{}", "1".repeat(1 << 20))),
            parse_iso("2026-01-31T12:00:00.111111111")
        );
    }

    #[test]
    fn digits_below_the_tick_are_cut_towards_the_past() {
        assert_eq!(microseconds("1969-12-31T23:59:59.9999999Z"), Some(-1));
        assert_eq!(microseconds("1970-01-01T00:00:00.0000009Z"), Some(0));
        let finer = Clock::new(1_000_000, TimeUnit::Ns);
        assert_eq!((finer.ticks_of_number(-1), finer.ticks_of_number(1_999)), (Some(-1), Some(1)));
        assert_eq!(finer.ticks_of_nanoseconds(-1), Some(-1));
    }

    #[test]
    fn the_ends_of_the_range_are_inside_and_their_neighbours_out() {
        let clock = Clock::new(1_000_000, TimeUnit::Us);
        let (first, last) = (-62_135_596_800_000_000, 253_402_300_799_999_999);
        assert_eq!(microseconds("0001-01-01"), Some(first));
        assert_eq!(microseconds("9999-12-31T23:59:59.999999Z"), Some(last));
        assert_eq!(clock.ticks_of_number(first - 1), None);
        assert_eq!(clock.ticks_of_number(last + 1), None);
        assert_eq!(microseconds("0000-12-31T23:59:59Z"), None);
        assert_eq!(microseconds("9999-12-31T23:59:59-00:01"), None);
        assert_eq!(clock.text(first), "0001-01-01T00:00:00Z");
        assert_eq!(clock.text(last), "9999-12-31T23:59:59.999999Z");

        let clock = Clock::new(1_000_000_000, TimeUnit::Ns);
        assert_eq!(clock.text(clock.ticks_min), "1678-01-01T00:00:00Z");
        assert_eq!(clock.text(clock.ticks_max), "2261-12-31T23:59:59.999999999Z");
        assert_eq!(clock.ticks_of_number(i64::MAX), None);
        assert_eq!(Clock::new(1_000_000, TimeUnit::S).ticks_of_number(i64::MAX), None);
        assert_eq!(clock.ticks_of_nanoseconds(i128::MAX), None);
        assert_eq!(iso(i128::MIN).split(' ').nth(1), Some("seconds"));
    }

    proptest! {
        #[test]
        fn a_printed_instant_reads_back(ticks in -62_135_596_800_000_000_i64..=253_402_300_799_999_999) {
            prop_assert_eq!(microseconds(&iso_ticks(ticks, 1_000_000)), Some(ticks));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            parse_iso(&text);
        }

        #[test]
        fn almost_instants_are_read_or_refused(text in "[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-9:.,+Z-]{0,40}") {
            parse_iso(&text);
        }
    }
}
