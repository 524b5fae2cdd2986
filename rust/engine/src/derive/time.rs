//! Parts of an instant, on the clock of UTC.

use super::{Arguments, Type, arithmetic::any_null};
use crate::definition::FieldKind;
use crate::event::Value;

pub(super) fn part(arguments: &[Type]) -> Result<Type, String> {
    match arguments[0].kind {
        FieldKind::Timestamp => Ok(Type { kind: FieldKind::Int64, nullable: any_null(arguments) }),
        _ => Err(format!("takes a Timestamp, not a {}", arguments[0].name())),
    }
}

fn of_seconds(arguments: &Arguments<'_>, part: fn(i64) -> i64) -> Value {
    match arguments.values[0] {
        Value::Time(ticks) => Value::Int(part(ticks.div_euclid(arguments.ticks_per_second))),
        _ => Value::Null,
    }
}

/// 0 to 23.
pub(super) fn hour(arguments: &mut Arguments<'_>) -> Value {
    of_seconds(arguments, |seconds| seconds.rem_euclid(86_400) / 3_600)
}

/// 1 (Monday) to 7.
pub(super) fn weekday(arguments: &mut Arguments<'_>) -> Value {
    // 1970-01-01 was a Thursday.
    of_seconds(arguments, |seconds| (seconds.div_euclid(86_400) + 3).rem_euclid(7) + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Event;

    fn parts(ticks: i64, ticks_per_second: i64) -> (Value, Value) {
        let event = &mut Event::default();
        let values = [Value::Time(ticks), Value::Null, Value::Null, Value::Null];
        let arguments = &mut Arguments { values, event, ticks_per_second };
        (hour(arguments), weekday(arguments))
    }

    proptest! {
        #[test]
        fn hour_and_weekday_are_those_of_the_calendar(micros in -62_135_596_800_000_000_i64..=253_402_300_799_999_999) {
            let instant = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0)
                .checked_add(jiff::SignedDuration::from_micros(micros))
                .expect("in range");
            let expected = (Value::Int(instant.hour().into()), Value::Int(instant.weekday().to_monday_one_offset().into()));
            prop_assert_eq!(parts(micros, 1_000_000), expected);
            if let Some(nanos) = micros.checked_mul(1_000) {
                prop_assert_eq!(parts(nanos, 1_000_000_000), expected);
            }
        }
    }

    #[test]
    fn the_tick_before_1970_is_wednesday_night() {
        assert_eq!(parts(-1, 1_000_000), (Value::Int(23), Value::Int(3)));
        assert_eq!(parts(0, 1_000_000), (Value::Int(0), Value::Int(4)));
    }
}
