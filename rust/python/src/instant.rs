//! Instants between Python's datetimes and nanoseconds since 1970, without going through floats.

use pyo3::prelude::*;
use pyo3::types::{PyDate, PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyTimeAccess, PyTzInfo, PyTzInfoAccess};

const SECONDS_PER_DAY: i64 = 86_400;
const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// Nanoseconds since 1970 of a datetime; one without a zone is UTC.
pub fn nanoseconds(instant: &Bound<'_, PyDateTime>) -> PyResult<i128> {
    let seconds_of_day =
        i64::from(instant.get_hour()) * 3_600 + i64::from(instant.get_minute()) * 60 + i64::from(instant.get_second());
    let mut microseconds =
        (days_of(instant) * SECONDS_PER_DAY + seconds_of_day) * 1_000_000 + i64::from(instant.get_microsecond());
    if instant.get_tzinfo().is_some() {
        let offset = instant.call_method0(pyo3::intern!(instant.py(), "utcoffset"))?;
        if let Ok(offset) = offset.cast::<PyDelta>() {
            let seconds = i64::from(offset.get_days()) * SECONDS_PER_DAY + i64::from(offset.get_seconds());
            microseconds -= seconds * 1_000_000 + i64::from(offset.get_microseconds());
        }
    }
    Ok(i128::from(microseconds) * 1_000)
}

/// Nanoseconds since 1970 of midnight UTC of a date.
pub fn nanoseconds_of_date(date: &Bound<'_, PyDate>) -> i128 {
    i128::from(days_of(date) * SECONDS_PER_DAY) * NANOSECONDS_PER_SECOND
}

/// Ticks since 1970 as a datetime in UTC; digits below the microsecond are cut off towards the past.
pub fn datetime(py: Python<'_>, ticks: i64, ticks_per_second: i64) -> PyResult<Bound<'_, PyDateTime>> {
    let (seconds, rest) = (ticks.div_euclid(ticks_per_second), ticks.rem_euclid(ticks_per_second));
    let microsecond = (i128::from(rest) * 1_000_000 / i128::from(ticks_per_second)) as u32;
    let (days, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = ((second / 3_600) as u8, (second / 60 % 60) as u8, (second % 60) as u8);
    let utc = PyTzInfo::utc(py)?.to_owned();
    PyDateTime::new(py, year, month, day, hour, minute, second, microsecond, Some(&utc))
}

fn days_of(date: &impl PyDateAccess) -> i64 {
    days(date.get_year().into(), date.get_month().into(), date.get_day().into())
}

/// Days since 1970 of a date of the Gregorian calendar. Years begin in March, so that the leap day ends one
/// (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of `days`.
fn civil(days: i64) -> (i32, u8, u8) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as u8, day as u8)
}
