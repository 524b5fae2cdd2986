//! Which of several values: null tests, fills, when/then/otherwise.

use super::{Arguments, Type};
use crate::definition::FieldKind;
use crate::event::Value;

pub(super) fn any(_: &[Type]) -> Result<Type, String> {
    Ok(Type { kind: FieldKind::Boolean, nullable: false })
}

/// The kind two branches have in common: numbers meet as Float64 (the compiler casts the Int64 branch).
fn common(a: Type, b: Type) -> Result<FieldKind, String> {
    match (a.kind, b.kind) {
        (a, b) if a == b => Ok(a),
        _ if a.is_number() && b.is_number() => Ok(FieldKind::Float64),
        _ => Err(format!("cannot choose between a {} and a {}; both must have one type", a.name(), b.name())),
    }
}

pub(super) fn same(arguments: &[Type]) -> Result<Type, String> {
    let kind = common(arguments[0], arguments[1])?;
    Ok(Type { kind, nullable: arguments[0].nullable && arguments[1].nullable })
}

pub(super) fn branches(arguments: &[Type]) -> Result<Type, String> {
    if arguments[0].kind != FieldKind::Boolean {
        return Err(format!("takes a Boolean condition, not a {}", arguments[0].name()));
    }
    let kind = common(arguments[1], arguments[2])?;
    Ok(Type { kind, nullable: arguments[1].nullable || arguments[2].nullable })
}

pub(super) fn is_null(arguments: &mut Arguments<'_>) -> Value {
    Value::Bool(arguments.values[0] == Value::Null)
}

pub(super) fn coalesce(arguments: &mut Arguments<'_>) -> Value {
    let [a, b, ..] = arguments.values;
    if a == Value::Null { b } else { a }
}

pub(super) fn when(arguments: &mut Arguments<'_>) -> Value {
    let [condition, a, b, _] = arguments.values;
    if condition == Value::Bool(true) { a } else { b }
}
