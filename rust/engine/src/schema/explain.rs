//! The sentence about a broken rule: the rule's own value and the way out.

use std::fmt::Write;

use super::check::{Bounds, Broken, Check};
use super::{Field, Raw, instant};
use crate::definition::{FieldKind, TimeUnit};
use crate::error::Problem;

/// How many of the allowed values a message lists.
const LISTED_MAX: usize = 8;

impl Broken {
    /// The stable name of the rule.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Type => "type",
            Self::NotNull => "not_null",
            Self::Ge => "ge",
            Self::Gt => "gt",
            Self::Le => "le",
            Self::Lt => "lt",
            Self::OneOf => "one_of",
            Self::Pattern => "pattern",
            Self::MaxBytes => "max_bytes",
            Self::AllowNan => "allow_nan",
            Self::Range => "range",
        }
    }
}

/// What broke, for `EventError`.
#[cold]
pub(super) fn problem(field: &Field, broken: Broken, raw: Raw<'_>) -> Problem {
    let value = if broken == Broken::Required { "missing".to_owned() } else { shown(raw) };
    Problem { field: field.name.clone(), value, rule: broken.rule(), message: message(field, broken, raw) }
}

/// A value as a message shows it, shortened before it is copied.
fn shown(raw: Raw<'_>) -> String {
    match raw {
        Raw::Null => "null".to_owned(),
        Raw::Bool(value) => value.to_string(),
        Raw::Int(value) => value.to_string(),
        Raw::Float(value) => format!("{value:?}"),
        Raw::Time(nanoseconds) => instant::iso(nanoseconds),
        Raw::Text(text) => shortened(text, |text| format!("{text:?}")),
        Raw::BigInt(text) | Raw::Other(_, text) => shortened(text, str::to_owned),
    }
}

fn shortened(text: &str, show: impl Fn(&str) -> String) -> String {
    match text.char_indices().nth(Problem::VALUE_CHARS_MAX) {
        None => show(text),
        Some((end, _)) => format!("{}… ({} bytes)", show(&text[..end]), text.len()),
    }
}

pub(super) fn message(field: &Field, broken: Broken, raw: Raw<'_>) -> String {
    match broken {
        Broken::Required => "send it, or declare the field nullable or with a default".to_owned(),
        Broken::NotNull => "send a value, or declare the field nullable or with a default".to_owned(),
        Broken::Type => wrong_type(field, raw),
        Broken::Ge | Broken::Gt | Broken::Le | Broken::Lt => beyond_bound(field, broken),
        Broken::OneOf => match &field.check {
            Check::Float { one_of: Some(one_of), .. } => {
                list("allowed are", one_of.iter().map(|one| format!("{one:?}")))
            }
            Check::Int { one_of: Some(one_of), .. } => list("allowed are", one_of.iter().map(i64::to_string)),
            Check::Text { one_of: Some(one_of), .. } => {
                list("allowed are", one_of.iter().map(|one| format!("{one:?}")))
            }
            _ => list("the categories are", field.categories.iter().map(|one| format!("{one:?}"))),
        },
        Broken::Pattern => match &field.check {
            Check::Text { pattern: Some(pattern), .. } => {
                format!("the whole text must match the pattern `{}`", pattern.written)
            }
            _ => String::new(),
        },
        Broken::MaxBytes => match (&field.check, raw) {
            (Check::Text { bytes_max, .. }, Raw::Text(text)) => format!(
                "it has {} bytes in UTF-8 and {bytes_max} are allowed; shorten it, or raise the field's max_bytes",
                text.len()
            ),
            _ => String::new(),
        },
        Broken::AllowNan => {
            "NaN and infinities are no values of this field; send null, or declare allow_nan".to_owned()
        }
        Broken::Range => match &field.check {
            Check::Time { clock, .. } => format!(
                "instants lie between {}; whole numbers count {} since 1970",
                clock.range_text(),
                unit_name(field.unit)
            ),
            Check::Int { .. } => {
                "Int64 lies between -2^63 and 2^63 - 1; declare the field Float64 or String".to_owned()
            }
            _ => "it is beyond the largest double; declare the field String".to_owned(),
        },
    }
}

fn wrong_type(field: &Field, raw: Raw<'_>) -> String {
    let way_out = match (field.kind, raw) {
        (FieldKind::Timestamp, Raw::Text(_)) => {
            return "this text is not an ISO 8601 time; write it as 2026-01-31T12:00:00Z, with an offset rather than the name of a zone"
                .to_owned();
        }
        (FieldKind::Timestamp, Raw::Float(_)) => format!(
            "a float does not hold every instant; send a whole number of {}, a datetime or ISO 8601 text",
            unit_name(field.unit)
        ),
        (FieldKind::Timestamp, _) => {
            format!("send a whole number of {}, a datetime or ISO 8601 text", unit_name(field.unit))
        }
        (FieldKind::Int64, Raw::Float(_)) => {
            "send a whole number without a point, or declare the field Float64".to_owned()
        }
        (FieldKind::Int64 | FieldKind::Float64, Raw::Text(_)) => "send it without quotes".to_owned(),
        (FieldKind::Int64, _) => "send a whole number".to_owned(),
        (FieldKind::Float64, _) => "send a number".to_owned(),
        (FieldKind::Boolean, _) => "send true or false".to_owned(),
        (FieldKind::String, _) => "send a text".to_owned(),
        (FieldKind::Categorical, _) => "send one of the categories as text".to_owned(),
    };
    format!("{} takes {}, not {}; {way_out}", kind_name(field.kind), taken(field.kind), found(raw))
}

/// The name users know a type by.
pub(super) fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Timestamp => "Timestamp",
        FieldKind::String => "String",
        FieldKind::Categorical => "Categorical",
        FieldKind::Int64 => "Int64",
        FieldKind::Float64 => "Float64",
        FieldKind::Boolean => "Boolean",
    }
}

fn taken(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Timestamp => "instants",
        FieldKind::String | FieldKind::Categorical => "texts",
        FieldKind::Int64 => "whole numbers",
        FieldKind::Float64 => "numbers",
        FieldKind::Boolean => "true and false",
    }
}

fn found(raw: Raw<'_>) -> String {
    match raw {
        Raw::Null => "null".to_owned(),
        Raw::Bool(_) => "a boolean".to_owned(),
        Raw::Int(_) | Raw::BigInt(_) => "a whole number".to_owned(),
        Raw::Float(_) => "a float".to_owned(),
        Raw::Text(_) => "a text".to_owned(),
        Raw::Time(_) => "an instant".to_owned(),
        Raw::Other(name, _) => format!("a value of type {name}"),
    }
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::S => "seconds",
        TimeUnit::Ms => "milliseconds",
        TimeUnit::Us => "microseconds",
        TimeUnit::Ns => "nanoseconds",
    }
}

fn beyond_bound(field: &Field, broken: Broken) -> String {
    let (word, bound) = match &field.check {
        Check::Float { bounds, .. } => bound(bounds, broken, |value| format!("{value:?}")),
        Check::Int { bounds, .. } => bound(bounds, broken, |value| value.to_string()),
        Check::Time { bounds, clock } => bound(bounds, broken, |ticks| clock.text(ticks)),
        _ => None,
    }
    .unwrap_or_default();
    format!("it must be {word} {bound}")
}

fn bound<T: Copy>(bounds: &Bounds<T>, broken: Broken, show: impl Fn(T) -> String) -> Option<(&'static str, String)> {
    let (sign, value) = match broken {
        Broken::Ge => (">=", bounds.written.ge),
        Broken::Gt => (">", bounds.written.gt),
        Broken::Le => ("<=", bounds.written.le),
        _ => ("<", bounds.written.lt),
    };
    value.map(|value| (sign, show(value)))
}

fn list(start: &str, values: impl ExactSizeIterator<Item = String>) -> String {
    let count = values.len();
    let mut text = start.to_owned();
    for (index, value) in values.take(LISTED_MAX).enumerate() {
        let _ = write!(text, "{}{}", if index == 0 { " " } else { ", " }, shortened(&value, str::to_owned));
    }
    if count > LISTED_MAX {
        let _ = write!(text, " and {} more", count - LISTED_MAX);
    }
    text
}
