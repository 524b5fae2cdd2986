//! `clip`: a value held between two bounds.

use super::{Arguments, Type, arithmetic};
use crate::event::Value;

/// Int64 as long as all are; bounds that are null change nothing, so only the value decides about null.
pub(super) fn numbers(arguments: &[Type]) -> Result<Type, String> {
    let nullable = arguments[0].nullable;
    let kind = arithmetic::closed(arguments)?.kind;
    Ok(Type { kind, nullable })
}

/// A NaN lies beyond no bound and, as a bound, bounds nothing. Where the bounds cross, the upper one counts.
pub(super) fn clip(arguments: &mut Arguments<'_>) -> Value {
    // The compiler has cast what is Int64 beside a Float64.
    match arguments.values {
        [Value::Float(mut x), lower, upper, _] => {
            if let Value::Float(lower) = lower
                && x < lower
            {
                x = lower;
            }
            match upper {
                Value::Float(upper) if x > upper => Value::Float(upper),
                _ => Value::Float(x),
            }
        }
        [Value::Int(mut x), lower, upper, _] => {
            if let Value::Int(lower) = lower {
                x = x.max(lower);
            }
            match upper {
                Value::Int(upper) => Value::Int(x.min(upper)),
                _ => Value::Int(x),
            }
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    fn clipped(x: Value, lower: Value, upper: Value) -> Value {
        let event = &mut Event::default();
        clip(&mut Arguments { values: [x, lower, upper, Value::Null], event, ticks_per_second: 1 })
    }

    #[test]
    fn a_value_is_held_between_the_bounds_there_are() {
        use Value::{Float, Int, Null};
        for (x, lower, upper, expected) in [
            (Float(5.0), Float(1.0), Float(3.0), Float(3.0)),
            (Float(0.5), Float(1.0), Float(3.0), Float(1.0)),
            (Float(2.0), Float(1.0), Float(3.0), Float(2.0)),
            (Float(f64::INFINITY), Null, Float(3.0), Float(3.0)),
            (Float(f64::NEG_INFINITY), Null, Float(3.0), Float(f64::NEG_INFINITY)),
            (Float(2.0), Float(f64::NAN), Float(f64::NAN), Float(2.0)),
            (Float(2.0), Float(3.0), Float(1.0), Float(1.0)),
            (Int(9), Null, Null, Int(9)),
            (Int(9), Null, Int(7), Int(7)),
            (Int(i64::MIN), Int(-1), Int(7), Int(-1)),
            (Null, Int(-1), Int(7), Null),
        ] {
            assert_eq!(clipped(x, lower, upper), expected, "{x:?} {lower:?} {upper:?}");
        }
        let Float(nan) = clipped(Float(f64::NAN), Float(1.0), Float(3.0)) else { panic!("a float") };
        assert!(nan.is_nan());
    }
}
