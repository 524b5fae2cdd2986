//! Functions of one number, and casts between kinds.

use super::{Arguments, Type, as_float};
use crate::definition::FieldKind;
use crate::event::Value;

fn unary(arguments: &Arguments<'_>, compute: fn(f64) -> f64) -> Value {
    as_float(arguments.values[0]).map_or(Value::Null, |x| Value::Float(compute(x)))
}

pub(super) fn exp(arguments: &Arguments<'_>) -> Value {
    unary(arguments, f64::exp)
}

pub(super) fn log1p(arguments: &Arguments<'_>) -> Value {
    unary(arguments, f64::ln_1p)
}

pub(super) fn sqrt(arguments: &Arguments<'_>) -> Value {
    unary(arguments, f64::sqrt)
}

pub(super) fn floor(arguments: &Arguments<'_>) -> Value {
    unary(arguments, f64::floor)
}

pub(super) fn castable(arguments: &[Type]) -> Result<Type, String> {
    match arguments[0].kind {
        FieldKind::Float64 | FieldKind::Int64 | FieldKind::Boolean => {
            Ok(Type { kind: FieldKind::Float64, nullable: arguments[0].nullable })
        }
        _ => Err(format!("takes numbers and Booleans, not a {}", arguments[0].name())),
    }
}

pub(super) fn castable_to_int(arguments: &[Type]) -> Result<Type, String> {
    let from_float = castable(arguments)?.nullable || arguments[0].kind == FieldKind::Float64;
    Ok(Type { kind: FieldKind::Int64, nullable: from_float })
}

pub(super) fn cast_float64(arguments: &Arguments<'_>) -> Value {
    unary(arguments, |x| x)
}

pub(super) fn cast_int64(arguments: &Arguments<'_>) -> Value {
    match arguments.values[0] {
        Value::Int(x) => Value::Int(x),
        Value::Bool(x) => Value::Int(i64::from(x)),
        // -2^63 is a double, 2^63 is the first that does not fit.
        Value::Float(x) if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x) => {
            Value::Int(x as i64)
        }
        _ => Value::Null,
    }
}
