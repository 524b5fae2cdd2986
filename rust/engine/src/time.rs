//! Instants as text, for messages.

use jiff::Timestamp;

/// ISO 8601 in UTC of an instant in ticks.
pub fn iso(ticks: i64, ticks_per_second: i64) -> String {
    let ns = i128::from(ticks) * i128::from(1_000_000_000 / ticks_per_second);
    Timestamp::from_nanosecond(ns).map_or_else(|_| format!("{ticks} ticks"), |instant| instant.to_string())
}
