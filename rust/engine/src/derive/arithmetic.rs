//! + - * / // % ** and their signs: Int64 stays Int64 and is null on overflow; one Float64 makes all Float64.

use super::{Arguments, Type, as_float};
use crate::definition::FieldKind;
use crate::event::Value;

pub(super) fn closed(arguments: &[Type]) -> Result<Type, String> {
    numbers(arguments)?;
    if arguments.iter().all(|argument| argument.kind == FieldKind::Int64) {
        // Overflow and division by zero have no Int64 value.
        return Ok(Type::nullable(FieldKind::Int64));
    }
    Ok(Type { kind: FieldKind::Float64, nullable: any_null(arguments) })
}

pub(super) fn subtraction(arguments: &[Type]) -> Result<Type, String> {
    if arguments.iter().all(|argument| argument.kind == FieldKind::Timestamp) {
        return Ok(Type { kind: FieldKind::Float64, nullable: any_null(arguments) });
    }
    closed(arguments)
}

pub(super) fn to_float(arguments: &[Type]) -> Result<Type, String> {
    numbers(arguments)?;
    Ok(Type { kind: FieldKind::Float64, nullable: any_null(arguments) })
}

pub(super) fn any_null(arguments: &[Type]) -> bool {
    arguments.iter().any(|argument| argument.nullable)
}

fn numbers(arguments: &[Type]) -> Result<(), String> {
    match arguments.iter().find(|argument| !argument.is_number()) {
        None => Ok(()),
        Some(other) if other.kind == FieldKind::Boolean => {
            Err("takes numbers, not a Boolean; write `.cast(ff.Int64())`".to_owned())
        }
        Some(other) => Err(format!("takes numbers, not a {}", other.name())),
    }
}

#[inline]
fn binary(a: Value, b: Value, ints: fn(i64, i64) -> Option<i64>, floats: fn(f64, f64) -> f64) -> Value {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => Value::Float(floats(a, b)),
        (Value::Int(a), Value::Int(b)) => ints(a, b).map_or(Value::Null, Value::Int),
        (a, b) => match (as_float(a), as_float(b)) {
            (Some(a), Some(b)) => Value::Float(floats(a, b)),
            _ => Value::Null,
        },
    }
}

#[inline]
fn floats(arguments: &Arguments<'_>, compute: fn(f64, f64) -> f64) -> Value {
    match (as_float(arguments.values[0]), as_float(arguments.values[1])) {
        (Some(a), Some(b)) => Value::Float(compute(a, b)),
        _ => Value::Null,
    }
}

pub(super) fn add(arguments: &mut Arguments<'_>) -> Value {
    binary(arguments.values[0], arguments.values[1], i64::checked_add, |a, b| a + b)
}

pub(super) fn sub(arguments: &mut Arguments<'_>) -> Value {
    match (arguments.values[0], arguments.values[1]) {
        (Value::Time(a), Value::Time(b)) => Value::Float(seconds(a, b, arguments.ticks_per_second)),
        (a, b) => binary(a, b, i64::checked_sub, |a, b| a - b),
    }
}

/// Seconds from `b` to `a`, rounded once.
pub(crate) fn seconds(a: i64, b: i64, ticks_per_second: i64) -> f64 {
    // Instants of a plan span less than 2^63 ticks, their differences less than 2^64.
    (i128::from(a) - i128::from(b)) as f64 / ticks_per_second as f64
}

pub(super) fn mul(arguments: &mut Arguments<'_>) -> Value {
    binary(arguments.values[0], arguments.values[1], i64::checked_mul, |a, b| a * b)
}

pub(super) fn div(arguments: &mut Arguments<'_>) -> Value {
    floats(arguments, |a, b| a / b)
}

pub(super) fn floordiv(arguments: &mut Arguments<'_>) -> Value {
    binary(arguments.values[0], arguments.values[1], floor_divide_int, floor_divide)
}

pub(super) fn modulo(arguments: &mut Arguments<'_>) -> Value {
    binary(arguments.values[0], arguments.values[1], modulo_int, modulo_float)
}

fn floor_divide_int(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

fn modulo_int(a: i64, b: i64) -> Option<i64> {
    let rest = if b == -1 { 0 } else { a.checked_rem(b)? };
    Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
}

/// Python's float `%`: the rest has the sign of the divisor.
fn modulo_float(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        f64::copysign(0.0, b)
    } else if (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}

/// Python's float `//`, which rounds the quotient that belongs to its own `%`; by zero the IEEE quotient.
fn floor_divide(a: f64, b: f64) -> f64 {
    if b == 0.0 {
        return a / b;
    }
    let rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest != 0.0 && (b < 0.0) != (rest < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return f64::copysign(0.0, a / b);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

pub(super) fn pow(arguments: &mut Arguments<'_>) -> Value {
    floats(arguments, libm::pow)
}

pub(super) fn neg(arguments: &mut Arguments<'_>) -> Value {
    match arguments.values[0] {
        Value::Float(a) => Value::Float(-a),
        Value::Int(a) => a.checked_neg().map_or(Value::Null, Value::Int),
        _ => Value::Null,
    }
}

pub(super) fn abs(arguments: &mut Arguments<'_>) -> Value {
    match arguments.values[0] {
        Value::Float(a) => Value::Float(a.abs()),
        Value::Int(a) => a.checked_abs().map_or(Value::Null, Value::Int),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_division_and_rest_have_the_signs_of_python() {
        for (a, b, quotient, rest) in [(7, 2, 3, 1), (-7, 2, -4, 1), (7, -2, -4, -1), (-7, -2, 3, -1), (6, -3, -2, 0)] {
            assert_eq!((floor_divide_int(a, b), modulo_int(a, b)), (Some(quotient), Some(rest)), "{a} {b}");
            assert_eq!(floor_divide(a as f64, b as f64), quotient as f64, "{a} {b}");
            assert_eq!(modulo_float(a as f64, b as f64), rest as f64, "{a} {b}");
        }
    }

    #[test]
    fn int64_has_no_value_beyond_its_ends() {
        assert_eq!(floor_divide_int(i64::MIN, -1), None);
        assert_eq!(modulo_int(i64::MIN, -1), Some(0));
        assert_eq!(floor_divide_int(1, 0), None);
        assert_eq!(modulo_int(1, 0), None);
    }

    #[test]
    fn seconds_between_the_ends_of_time_do_not_overflow() {
        assert_eq!(seconds(i64::MAX, i64::MIN, 1), 18_446_744_073_709_551_615.0);
    }
}
