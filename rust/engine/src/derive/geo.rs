//! Distances on the globe.

use super::{Arguments, as_float};
use crate::event::Value;

/// The earth's mean radius R1 of the IUGG, in km.
const EARTH_KM: f64 = 6371.0088;

/// Great-circle distance in km between (latitude, longitude) and (latitude, longitude), degrees, on a sphere.
pub(super) fn haversine(arguments: &mut Arguments<'_>) -> Value {
    let [Some(lat1), Some(lon1), Some(lat2), Some(lon2)] = arguments.values.map(as_float) else {
        return Value::Null;
    };
    Value::Float(distance(lat1, lon1, lat2, lon2))
}

fn distance(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    let square_of_sine = |degrees: f64| {
        let sine = libm::sin(degrees.to_radians() / 2.0);
        sine * sine
    };
    let cosines = libm::cos(lat1.to_radians()) * libm::cos(lat2.to_radians());
    let h = square_of_sine(lat2 - lat1) + cosines * square_of_sine(lon2 - lon1);
    // Rounding may lift h over 1 on opposite sides of the globe; a NaN is not above 1 and stays one.
    let h = if h > 1.0 { 1.0 } else { h };
    2.0 * EARTH_KM * libm::asin(h.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_distances_are_met() {
        let quarter = EARTH_KM * std::f64::consts::FRAC_PI_2;
        assert!((distance(0.0, 0.0, 0.0, 90.0) - quarter).abs() < 1e-9);
        assert!((distance(90.0, 17.0, -90.0, -120.0) - 2.0 * quarter).abs() < 1e-9);
        // A metre is not lost: one 1e-5th of a degree of latitude.
        assert!((distance(48.0, 2.0, 48.00001, 2.0) / (EARTH_KM * 1e-5_f64.to_radians()) - 1.0).abs() < 1e-9);
        assert_eq!(distance(48.8566, 2.3522, 48.8566, 2.3522), 0.0);
        // Over the date line.
        assert!((distance(0.0, 179.5, 0.0, -179.5) - quarter / 90.0).abs() < 1e-9);
        // Paris to New York, computed with 50 digits.
        assert!((distance(48.8566, 2.3522, 40.7128, -74.0060) - 5_837.248_966_566_376).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_place_has_no_distance() {
        assert!(distance(f64::NAN, 0.0, 0.0, 0.0).is_nan());
        assert!(distance(0.0, f64::INFINITY, 0.0, 0.0).is_nan());
    }
}
