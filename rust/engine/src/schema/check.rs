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
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds<T> {
    pub(super) ge: Option<T>,
    pub(super) gt: Option<T>,
    pub(super) le: Option<T>,
    pub(super) lt: Option<T>,
}

impl<T: PartialOrd + Copy> Bounds<T> {
    #[inline]
    fn check(&self, value: T) -> Result<(), Broken> {
        // `>=` rather than `not <`: a NaN keeps no bound.
        if self.ge.is_some_and(|bound| !matches!(value.partial_cmp(&bound), Some(o) if o.is_ge())) {
            return Err(Broken::Ge);
        }
        if self.gt.is_some_and(|bound| !matches!(value.partial_cmp(&bound), Some(o) if o.is_gt())) {
            return Err(Broken::Gt);
        }
        if self.le.is_some_and(|bound| !matches!(value.partial_cmp(&bound), Some(o) if o.is_le())) {
            return Err(Broken::Le);
        }
        if self.lt.is_some_and(|bound| !matches!(value.partial_cmp(&bound), Some(o) if o.is_lt())) {
            return Err(Broken::Lt);
        }
        Ok(())
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

impl Field {
    /// The value as the event stores it, or the rule it breaks. `raw` is not null: that is the caller's to decide.
    #[inline]
    pub(super) fn check(&self, raw: Raw<'_>, event: &mut Event) -> Result<Value, Broken> {
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
                bounds.check(value)?;
                match one_of {
                    Some(allowed) if allowed.binary_search(&value).is_err() => Err(Broken::OneOf),
                    _ => Ok(Value::Int(value)),
                }
            }
            (Check::Bool, Raw::Bool(value)) => Ok(Value::Bool(value)),
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
                    _ => Ok(Value::Text(event.store(text))),
                }
            }
            (Check::Categorical(codes), Raw::Text(text)) => {
                match codes.binary_search_by(|(category, _)| (**category).cmp(text)) {
                    Ok(place) => Ok(Value::Int(codes[place].1)),
                    Err(_) => Err(Broken::OneOf),
                }
            }
            _ => Err(Broken::Type),
        }
    }
}

#[inline]
fn check_float(bounds: &Bounds<f64>, allow_nan: bool, one_of: Option<&[f64]>, value: f64) -> Result<Value, Broken> {
    if !value.is_finite() && !allow_nan {
        return Err(Broken::AllowNan);
    }
    // A NaN that is allowed lies on no side of a bound. One particular NaN means null in a row, so all become the canonical one.
    if !value.is_nan() {
        bounds.check(value)?;
    }
    match one_of {
        Some(allowed) if !allowed.iter().any(|one| *one == value || (one.is_nan() && value.is_nan())) => {
            Err(Broken::OneOf)
        }
        _ => Ok(Value::Float(canonical(value))),
    }
}

#[inline]
fn check_time(bounds: &Bounds<i64>, ticks: Option<i64>) -> Result<Value, Broken> {
    let ticks = ticks.ok_or(Broken::Range)?;
    bounds.check(ticks)?;
    Ok(Value::Time(ticks))
}
