//! `is_in`: whether a value is one of some constants, compared as `==` does. One step, however many there are.

use super::{Type, kind_name};
use crate::definition::FieldKind;
use crate::event::{Event, Value};

/// Its name in definitions; it stands beside the registry, as it takes any number of constants.
pub const IS_IN: &str = "is_in";

/// Most constants of one `is_in`.
pub const MEMBERS_MAX: usize = 1_000;

/// The constants, sorted, each once.
#[derive(Clone, Debug, PartialEq)]
pub enum Members {
    /// Whole numbers, also those that were written as doubles, and what else there is of doubles, by their bits.
    Numbers(Vec<i64>, Vec<u64>),
    /// Ticks.
    Times(Vec<i64>),
    /// Whether false, true is among them.
    Booleans([bool; 2]),
    /// Texts, by bytes.
    Texts(Vec<Box<str>>),
}

impl Members {
    /// No constant yet, for values of a type.
    pub fn new(of: Type) -> Self {
        match of.kind {
            FieldKind::Float64 | FieldKind::Int64 => Self::Numbers(Vec::new(), Vec::new()),
            FieldKind::Timestamp => Self::Times(Vec::new()),
            FieldKind::Boolean => Self::Booleans([false; 2]),
            FieldKind::String | FieldKind::Categorical => Self::Texts(Vec::new()),
        }
    }

    /// One constant more that is no text; null and NaN equal nothing.
    pub fn insert(&mut self, value: Value) -> Result<(), String> {
        match (self, value) {
            (_, Value::Null) => {}
            (Self::Numbers(whole, _), Value::Int(x)) => insert(whole, x),
            (Self::Numbers(whole, other), Value::Float(x)) => match as_whole(x) {
                Some(x) => insert(whole, x),
                None if x.is_nan() => {}
                None => insert(other, x.to_bits()),
            },
            (Self::Times(ticks), Value::Time(x)) => insert(ticks, x),
            (Self::Booleans(there), Value::Bool(x)) => there[usize::from(x)] = true,
            (members, value) => return Err(members.refuse(value_name(value))),
        }
        Ok(())
    }

    /// One text more.
    pub fn insert_text(&mut self, text: &str) -> Result<(), String> {
        match self {
            Self::Texts(texts) => {
                insert(texts, text.into());
                Ok(())
            }
            members => Err(members.refuse(kind_name(FieldKind::String))),
        }
    }

    fn refuse(&self, constant: &str) -> String {
        let own = match self {
            Self::Numbers(..) => "a number",
            Self::Times(_) => "a Timestamp",
            Self::Booleans(_) => "a Boolean",
            Self::Texts(_) => "a String",
        };
        format!("`{IS_IN}` cannot compare {own} with a {constant}; write constants of the value's own type")
    }

    /// Whether the value is among them; null of null.
    #[inline]
    pub fn test(&self, value: Value, event: &Event) -> Value {
        Value::Bool(match (self, value) {
            (Self::Numbers(whole, _), Value::Int(x)) => whole.binary_search(&x).is_ok(),
            (Self::Numbers(whole, other), Value::Float(x)) => match as_whole(x) {
                Some(x) => whole.binary_search(&x).is_ok(),
                None => other.binary_search(&x.to_bits()).is_ok(),
            },
            (Self::Times(ticks), Value::Time(x)) => ticks.binary_search(&x).is_ok(),
            (Self::Booleans(there), Value::Bool(x)) => there[usize::from(x)],
            (Self::Texts(texts), Value::Text(text)) => {
                let text = event.text(text);
                texts.binary_search_by(|member| (**member).cmp(text)).is_ok()
            }
            _ => return Value::Null,
        })
    }
}

fn insert<T: Ord>(sorted: &mut Vec<T>, member: T) {
    if let Err(place) = sorted.binary_search(&member) {
        sorted.insert(place, member);
    }
}

/// A double that is a whole number of 64 bits, as that: 3.0 equals 3 and -0.0 equals 0.
#[inline]
fn as_whole(x: f64) -> Option<i64> {
    // -2^63 is a double, 2^63 is the first that does not fit.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x) && x.trunc() == x;
    fits.then_some(x as i64)
}

fn value_name(value: Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Float(_) => kind_name(FieldKind::Float64),
        Value::Int(_) => kind_name(FieldKind::Int64),
        Value::Bool(_) => kind_name(FieldKind::Boolean),
        Value::Time(_) => kind_name(FieldKind::Timestamp),
        Value::Text(_) => kind_name(FieldKind::String),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(kind: FieldKind, values: &[Value]) -> Members {
        let mut members = Members::new(Type { kind, nullable: true });
        for &value in values {
            members.insert(value).expect("fits");
        }
        members
    }

    #[test]
    fn numbers_are_compared_as_equality_does() {
        let big = (1_i64 << 53) + 1;
        let constants = [
            Value::Int(3),
            Value::Float(-0.0),
            Value::Float(0.5),
            Value::Float(f64::NAN),
            Value::Float(f64::INFINITY),
            Value::Int(big),
            Value::Null,
        ];
        let members = members(FieldKind::Float64, &constants);
        let event = Event::default();
        for (value, expected) in [
            (Value::Float(3.0), true),
            (Value::Int(0), true),
            (Value::Float(0.5), true),
            (Value::Float(f64::INFINITY), true),
            (Value::Float(f64::NEG_INFINITY), false),
            (Value::Float(f64::NAN), false),
            (Value::Int(big), true),
            (Value::Int(big - 1), false),
            (Value::Float(big as f64), false),
            (Value::Float(3.5), false),
        ] {
            assert_eq!(members.test(value, &event), Value::Bool(expected), "{value:?}");
        }
        assert_eq!(members.test(Value::Null, &event), Value::Null);
    }

    #[test]
    fn texts_times_and_booleans_are_found() {
        let mut event = Event::default();
        let mut texts = Members::new(Type { kind: FieldKind::String, nullable: true });
        for text in ["b", "a", "b", ""] {
            texts.insert_text(text).expect("a text");
        }
        for (text, expected) in [("a", true), ("b", true), ("", true), ("c", false), ("A", false)] {
            let value = Value::Text(event.store(text));
            assert_eq!(texts.test(value, &event), Value::Bool(expected), "{text}");
        }
        let times = members(FieldKind::Timestamp, &[Value::Time(7)]);
        assert_eq!(times.test(Value::Time(7), &event), Value::Bool(true));
        assert_eq!(times.test(Value::Time(8), &event), Value::Bool(false));
        let booleans = members(FieldKind::Boolean, &[Value::Bool(false), Value::Null]);
        assert_eq!(booleans.test(Value::Bool(false), &event), Value::Bool(true));
        assert_eq!(booleans.test(Value::Bool(true), &event), Value::Bool(false));
    }

    #[test]
    fn a_constant_of_another_type_is_refused() {
        let mut numbers = members(FieldKind::Int64, &[]);
        assert!(numbers.insert_text("3").is_err_and(|message| message.contains("a number with a String")));
        assert!(numbers.insert(Value::Bool(true)).is_err_and(|message| message.contains("Boolean")));
    }
}
