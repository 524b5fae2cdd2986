//! Functions of one number, and casts between kinds.
//!
//! What IEEE 754 does not round correctly (`exp`, `log1p`, `pow`, `sin`, ...) comes from the crate `libm`, musl's routines in Rust:
//! the standard library calls the C library of the machine, whose last bit differs between systems and their releases.
//! `clippy.toml` bans the standard ones. `sqrt`, `floor` and `%` are exact everywhere and stay.

use super::{Arguments, Type, as_float};
use crate::definition::FieldKind;
use crate::event::Value;

fn unary(arguments: &Arguments<'_>, compute: fn(f64) -> f64) -> Value {
    as_float(arguments.values[0]).map_or(Value::Null, |x| Value::Float(compute(x)))
}

pub(super) fn exp(arguments: &mut Arguments<'_>) -> Value {
    unary(arguments, libm::exp)
}

pub(super) fn log1p(arguments: &mut Arguments<'_>) -> Value {
    unary(arguments, libm::log1p)
}

pub(super) fn sqrt(arguments: &mut Arguments<'_>) -> Value {
    unary(arguments, f64::sqrt)
}

pub(super) fn floor(arguments: &mut Arguments<'_>) -> Value {
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

pub(super) fn cast_float64(arguments: &mut Arguments<'_>) -> Value {
    unary(arguments, |x| x)
}

pub(super) fn cast_int64(arguments: &mut Arguments<'_>) -> Value {
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

#[cfg(test)]
mod tests {
    /// Bits of musl's routines, written down once: another machine, compiler or release of `libm` has to give the same.
    #[test]
    fn transcendental_functions_have_the_same_bits_everywhere() {
        assert_eq!(libm::exp(1.0).to_bits(), 0x4005_BF0A_8B14_576A);
        assert_eq!(libm::exp(-745.2).to_bits(), 0);
        assert_eq!(libm::log1p(0.1).to_bits(), 0x3FB8_663F_793C_46C7);
        assert_eq!(libm::pow(1.1, 10.5).to_bits(), 0x4005_C341_A3D4_0F19);
        assert_eq!(libm::pow(-8.0, 1.0 / 3.0).to_bits() << 1, f64::NAN.to_bits() << 1);
        assert_eq!(libm::sin(1e22).to_bits(), 0xBFEB_453A_B76B_F397);
    }
}
