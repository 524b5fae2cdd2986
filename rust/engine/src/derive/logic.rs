//! & | ^ ~ over Booleans, with Kleene's rules for null.

use super::{Arguments, Type, arithmetic::any_null};
use crate::definition::FieldKind;
use crate::event::Value;

pub(super) fn booleans(arguments: &[Type]) -> Result<Type, String> {
    match arguments.iter().find(|argument| argument.kind != FieldKind::Boolean) {
        None => Ok(Type { kind: FieldKind::Boolean, nullable: any_null(arguments) }),
        Some(other) => Err(format!("takes Booleans, not a {}; compare it with something first", other.name())),
    }
}

pub(super) fn and(arguments: &mut Arguments<'_>) -> Value {
    match (arguments.values[0], arguments.values[1]) {
        (Value::Bool(false), _) | (_, Value::Bool(false)) => Value::Bool(false),
        (Value::Bool(true), Value::Bool(true)) => Value::Bool(true),
        _ => Value::Null,
    }
}

pub(super) fn or(arguments: &mut Arguments<'_>) -> Value {
    match (arguments.values[0], arguments.values[1]) {
        (Value::Bool(true), _) | (_, Value::Bool(true)) => Value::Bool(true),
        (Value::Bool(false), Value::Bool(false)) => Value::Bool(false),
        _ => Value::Null,
    }
}

pub(super) fn xor(arguments: &mut Arguments<'_>) -> Value {
    match (arguments.values[0], arguments.values[1]) {
        (Value::Bool(a), Value::Bool(b)) => Value::Bool(a != b),
        _ => Value::Null,
    }
}

pub(super) fn not(arguments: &mut Arguments<'_>) -> Value {
    match arguments.values[0] {
        Value::Bool(a) => Value::Bool(!a),
        _ => Value::Null,
    }
}
