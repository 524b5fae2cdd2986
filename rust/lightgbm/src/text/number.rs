//! One number of a model text. LightGBM's own readers skip what they do not understand (`1.5x3` is 1.5, `12-4` is 12, an empty
//! item is 0), so a damaged number would become another number. Here a number is what LightGBM writes or it is nothing.

/// A whole number as LightGBM writes it: no plus, no leading zeros, within `i32`.
pub(super) fn integer(token: &str) -> Option<i32> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let padded = digits.len() > 1 && digits.starts_with('0') || token == "-0";
    if plain && !padded { token.parse().ok() } else { None }
}

/// The same for a word of a bit set.
pub(super) fn word(token: &str) -> Option<u32> {
    let padded = token.len() > 1 && token.starts_with('0');
    if token.bytes().all(|byte| byte.is_ascii_digit()) && !padded { token.parse().ok() } else { None }
}

/// A finite number in the grammar of JSON, which is all that `{:g}` and `{:.17g}` write.
pub(super) fn finite(token: &str) -> Option<f64> {
    let bytes = token.as_bytes();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(at);
    if whole == 0 || whole > 1 && bytes[at] == b'0' {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return None;
        }
        at += exponent;
    }
    if at != bytes.len() {
        return None;
    }
    token.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The same, or infinite, or not a number: what a gain or a weight may be, on which no score depends.
pub(super) fn any(token: &str) -> Option<f64> {
    match token.strip_prefix('-').unwrap_or(token) {
        "inf" | "nan" => token.parse().ok(),
        _ => finite(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_integers_are_what_lightgbm_writes_or_nothing() {
        for (token, number) in [("0", 0), ("7", 7), ("-1", -1), ("2147483647", i32::MAX), ("-2147483648", i32::MIN)] {
            assert_eq!(integer(token), Some(number), "{token}");
        }
        for token in ["", "-", "+1", "-0", "01", "-01", "1.0", "1e3", "0x1", " 1", "1 ", "2147483648", "1-2", "١"] {
            assert_eq!(integer(token), None, "{token}");
        }
        assert_eq!(word("4294967295"), Some(u32::MAX));
        for token in ["", "-1", "4294967296", "01", "+1"] {
            assert_eq!(word(token), None, "{token}");
        }
    }

    #[test]
    fn test_finite_numbers_are_the_grammar_of_json_or_nothing() {
        for token in ["0", "-0", "0.5", "-1.25", "1e300", "1e+300", "1.0000000180025095e-35", "5E-324", "123456789"] {
            assert_eq!(finite(token), token.parse().ok(), "{token}");
        }
        for token in [
            "", "-", ".5", "1.", "+1", "01", "1e", "1e+", "1.5x", "0x1p3", "1e999", "inf", "nan", "-inf", "1 ", "1,5",
            "--1",
        ] {
            assert_eq!(finite(token), None, "{token}");
        }
    }

    #[test]
    fn test_what_no_score_depends_on_may_be_infinite() {
        assert_eq!(any("inf"), Some(f64::INFINITY));
        assert_eq!(any("-inf"), Some(f64::NEG_INFINITY));
        assert!(any("nan").is_some_and(f64::is_nan) && any("-nan").is_some_and(f64::is_nan));
        for token in ["", "infinity", "Inf", "na", "+inf", "1e999"] {
            assert_eq!(any(token), None, "{token}");
        }
    }
}
