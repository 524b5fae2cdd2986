//! One value against the compiled rules of its field: a single match on the hot path, the sentence about a broken rule
//! off it.

use regex::Regex;

use super::instant::{self, Clock};
use super::{Field, Raw};
use crate::event::{Event, Value};
use crate::row::canonical;

/// The rules of one field, ready to be kept.
#[derive(Clone, Debug)]
pub(super) enum Check {
    Float { bounds: Bounds<f64>, allow_nan: bool, one_of: Option<Box<[f64]>> },
    Int { bounds: Bounds<i64>, one_of: Option<Box<[i64]>> },
    Bool,
    Time { bounds: Bounds<i64>, clock: Clock },
    Text { bytes_max: usize, pattern: Option<Pattern>, one_of: Option<Box<[Box<str>]>> },
    Categorical(Codes),
}

/// Categories in the order of their texts, each with its code.
pub(super) type Codes = Box<[(Box<str>, i64)]>;

/// A regular expression as written, and compiled to match whole texts only.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) written: String,
    pub(super) whole: Regex,
}

/// What lies between `ge` or `gt` and `le` or `lt`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<T> {
    /// The least and the greatest value inside: two comparisons decide.
    pub(super) least: T,
    pub(super) greatest: T,
    /// As they were written, to say which one is broken.
    pub(super) written: Written<T>,
}

/// Bounds as they were written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written<T> {
    pub(super) ge: Option<T>,
    pub(super) gt: Option<T>,
    pub(super) le: Option<T>,
    pub(super) lt: Option<T>,
}

impl<T: PartialOrd + Copy> Bounds<T> {
    /// Whether a value is inside; a NaN never is.
    #[inline]
    fn hold(&self, value: T) -> bool {
        value >= self.least && value <= self.greatest
    }

    /// The bound that a value outside breaks; None where it breaks none of those written.
    #[cold]
    fn broken_by(&self, value: T) -> Option<Broken> {
        let Written { ge, gt, le, lt } = self.written;
        if ge.is_some_and(|bound| value < bound) {
            return Some(Broken::Ge);
        }
        if gt.is_some_and(|bound| value <= bound) {
            return Some(Broken::Gt);
        }
        if le.is_some_and(|bound| value > bound) {
            return Some(Broken::Le);
        }
        lt.is_some_and(|bound| value >= bound).then_some(Broken::Lt)
    }
}

/// The rule that a value breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Required,
    Type,
    NotNull,
    Ge,
    Gt,
    Le,
    Lt,
    OneOf,
    Pattern,
    MaxBytes,
    AllowNan,
    Range,
}

/// A value that keeps the rules of its field; a text is where it was.
pub(super) enum Tested<'r> {
    Value(Value),
    Text(&'r str),
}

impl Field {
    /// The value as the event stores it, or the rule it breaks. `raw` is not null: that is the caller's to decide.
    #[inline]
    pub(super) fn check(&self, raw: Raw<'_>, event: &mut Event) -> Result<Value, Broken> {
        Ok(match self.test(raw)? {
            Tested::Value(value) => value,
            Tested::Text(text) => Value::Text(event.store(text)),
        })
    }

    /// The same without an event.
    #[inline]
    pub(super) fn test<'r>(&self, raw: Raw<'r>) -> Result<Tested<'r>, Broken> {
        match (&self.check, raw) {
            (Check::Float { bounds, allow_nan, one_of }, Raw::Float(value)) => {
                check_float(bounds, *allow_nan, one_of.as_deref(), value)
            }
            (Check::Float { bounds, allow_nan, one_of }, Raw::Int(value)) => {
                check_float(bounds, *allow_nan, one_of.as_deref(), value as f64)
            }
            (Check::Float { bounds, allow_nan, one_of }, Raw::BigInt(digits)) => {
                match digits.parse::<f64>().ok().filter(|value| value.is_finite()) {
                    Some(value) => check_float(bounds, *allow_nan, one_of.as_deref(), value),
                    None => Err(Broken::Range),
                }
            }
            (Check::Int { bounds, one_of }, Raw::Int(value)) => {
                if !bounds.hold(value) {
                    return Err(bounds.broken_by(value).unwrap_or(Broken::Range));
                }
                match one_of {
                    Some(allowed) if allowed.binary_search(&value).is_err() => Err(Broken::OneOf),
                    _ => Ok(Tested::Value(Value::Int(value))),
                }
            }
            (Check::Bool, Raw::Bool(value)) => Ok(Tested::Value(Value::Bool(value))),
            (Check::Time { bounds, clock }, Raw::Int(number)) => check_time(bounds, clock.ticks_of_number(number)),
            (Check::Time { bounds, clock }, Raw::Time(nanoseconds)) => {
                check_time(bounds, clock.ticks_of_nanoseconds(nanoseconds))
            }
            (Check::Time { bounds, clock }, Raw::Text(text)) => {
                let nanoseconds = instant::parse_iso(text).ok_or(Broken::Type)?;
                check_time(bounds, clock.ticks_of_nanoseconds(nanoseconds))
            }
            (Check::Int { .. } | Check::Time { .. }, Raw::BigInt(_)) => Err(Broken::Range),
            (Check::Text { bytes_max, pattern, one_of }, Raw::Text(text)) => {
                if text.len() > *bytes_max {
                    return Err(Broken::MaxBytes);
                }
                if pattern.as_ref().is_some_and(|pattern| !pattern.whole.is_match(text)) {
                    return Err(Broken::Pattern);
                }
                match one_of {
                    Some(allowed) if allowed.binary_search_by(|one| (**one).cmp(text)).is_err() => Err(Broken::OneOf),
                    _ => Ok(Tested::Text(text)),
                }
            }
            (Check::Categorical(codes), Raw::Text(text)) => {
                match codes.binary_search_by(|(category, _)| (**category).cmp(text)) {
                    Ok(place) => Ok(Tested::Value(Value::Int(codes[place].1))),
                    Err(_) => Err(Broken::OneOf),
                }
            }
            _ => Err(Broken::Type),
        }
    }
}

#[inline]
fn check_float(
    bounds: &Bounds<f64>,
    allow_nan: bool,
    one_of: Option<&[f64]>,
    value: f64,
) -> Result<Tested<'static>, Broken> {
    // Without `allow_nan` the bounds are finite.
    if !bounds.hold(value) {
        if !value.is_finite() && !allow_nan {
            return Err(Broken::AllowNan);
        }
        // A NaN that is allowed lies on no side of a bound.
        if let Some(broken) = bounds.broken_by(value) {
            return Err(broken);
        }
    }
    match one_of {
        Some(allowed) if !allowed.iter().any(|one| *one == value || (one.is_nan() && value.is_nan())) => {
            Err(Broken::OneOf)
        }
        // One particular NaN means null in a row, so all become the canonical one.
        _ => Ok(Tested::Value(Value::Float(canonical(value)))),
    }
}

#[inline]
fn check_time(bounds: &Bounds<i64>, ticks: Option<i64>) -> Result<Tested<'static>, Broken> {
    match ticks {
        Some(ticks) if bounds.hold(ticks) => Ok(Tested::Value(Value::Time(ticks))),
        Some(ticks) => Err(bounds.broken_by(ticks).unwrap_or(Broken::Range)),
        None => Err(Broken::Range),
    }
}
