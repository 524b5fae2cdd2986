//! == != < <= > >=: numbers exactly (an Int64 is not rounded to meet a Float64), texts by bytes, NaN equal to nothing.

use std::cmp::Ordering;

use super::{Arguments, Type, arithmetic::any_null};
use crate::definition::FieldKind;
use crate::event::Value;

pub(super) fn comparable(arguments: &[Type]) -> Result<Type, String> {
    let (a, b) = (arguments[0], arguments[1]);
    if !(a.is_number() && b.is_number()) && a.kind != b.kind {
        return Err(format!(
            "cannot compare a {} with a {}; write a literal or a `cast` of the same type",
            a.name(),
            b.name()
        ));
    }
    Ok(Type { kind: FieldKind::Boolean, nullable: any_null(arguments) })
}

/// `None` inside when NaN is among them; `None` outside when null is.
fn compare(arguments: &Arguments<'_>) -> Option<Option<Ordering>> {
    Some(match (arguments.values[0], arguments.values[1]) {
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(&b),
        (Value::Int(a), Value::Int(b)) | (Value::Time(a), Value::Time(b)) => Some(a.cmp(&b)),
        (Value::Int(a), Value::Float(b)) => int_with_float(a, b),
        (Value::Float(a), Value::Int(b)) => int_with_float(b, a).map(Ordering::reverse),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(&b)),
        (Value::Text(a), Value::Text(b)) => {
            Some(arguments.event.text(a).as_bytes().cmp(arguments.event.text(b).as_bytes()))
        }
        _ => return None,
    })
}

fn int_with_float(a: i64, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    if b >= 9_223_372_036_854_775_808.0 {
        return Some(Ordering::Less);
    }
    if b < -9_223_372_036_854_775_808.0 {
        return Some(Ordering::Greater);
    }
    // The whole part of b is an i64 now; what is cut off decides between equal whole parts.
    let whole = b.trunc();
    Some(a.cmp(&(whole as i64)).then_with(|| 0.0_f64.partial_cmp(&(b - whole)).unwrap_or(Ordering::Equal)))
}

fn truth(arguments: &Arguments<'_>, nan: bool, holds: fn(Ordering) -> bool) -> Value {
    match compare(arguments) {
        None => Value::Null,
        Some(None) => Value::Bool(nan),
        Some(Some(ordering)) => Value::Bool(holds(ordering)),
    }
}

pub(super) fn eq(arguments: &mut Arguments<'_>) -> Value {
    truth(arguments, false, Ordering::is_eq)
}

pub(super) fn ne(arguments: &mut Arguments<'_>) -> Value {
    truth(arguments, true, Ordering::is_ne)
}

pub(super) fn lt(arguments: &mut Arguments<'_>) -> Value {
    truth(arguments, false, Ordering::is_lt)
}

pub(super) fn le(arguments: &mut Arguments<'_>) -> Value {
    truth(arguments, false, Ordering::is_le)
}

pub(super) fn gt(arguments: &mut Arguments<'_>) -> Value {
    truth(arguments, false, Ordering::is_gt)
}

pub(super) fn ge(arguments: &mut Arguments<'_>) -> Value {
    truth(arguments, false, Ordering::is_ge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_int_meets_a_float_without_being_rounded() {
        let big = (1_i64 << 53) + 1;
        assert_eq!(int_with_float(big, 9_007_199_254_740_992.0), Some(Ordering::Greater));
        assert_eq!(int_with_float(i64::MAX, 9_223_372_036_854_775_808.0), Some(Ordering::Less));
        assert_eq!(int_with_float(i64::MIN, -9_223_372_036_854_775_808.0), Some(Ordering::Equal));
        assert_eq!(int_with_float(-3, -3.5), Some(Ordering::Greater));
        assert_eq!(int_with_float(3, 3.5), Some(Ordering::Less));
        assert_eq!(int_with_float(3, f64::INFINITY), Some(Ordering::Less));
        assert_eq!(int_with_float(3, f64::NAN), None);
    }
}
