//! The objective line: LightGBM builds the transform of a score from it, and writes as many numbers as it says into the output.

use super::lines::quote;
use super::number;

/// Names whose scores are one number, with `sqrt` behind when the label was a square root.
const ONE: [&str; 9] =
    ["regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie"];
/// Names with nothing behind.
const BARE: [&str; 6] =
    ["lambdarank", "rank_xendcg", "cross_entropy", "cross_entropy_lambda", "xentropy", "xentlambda"];

/// What is wrong with an objective that goes with `classes` numbers a row.
pub(super) fn check(objective: &str, classes: usize) -> Result<(), String> {
    let words: Vec<&str> = objective.split(' ').collect();
    let needed = match words[0] {
        name if ONE.contains(&name) && matches!(words[1..], [] | ["sqrt"]) => 1,
        name if BARE.contains(&name) && words.len() == 1 => 1,
        "binary" if words.len() == 2 && sigmoid(words[1]) => 1,
        "multiclass" if words.len() == 2 => count(words[1])?,
        "multiclassova" if words.len() == 3 && sigmoid(words[2]) => count(words[1])?,
        _ => return Err(format!("{} is not an objective that LightGBM writes", quote(objective))),
    };
    match needed == classes {
        true => Ok(()),
        false => Err(format!("objective {} goes with {needed} classes, and the text has {classes}", quote(objective))),
    }
}

fn sigmoid(word: &str) -> bool {
    word.strip_prefix("sigmoid:").and_then(number::finite).is_some_and(|sigmoid| sigmoid > 0.0)
}

fn count(word: &str) -> Result<usize, String> {
    let count = word.strip_prefix("num_class:").and_then(number::integer).and_then(|count| usize::try_from(count).ok());
    count.filter(|count| *count >= 2).ok_or_else(|| format!("{} is not a number of classes, 2 or more", quote(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_objectives_that_lightgbm_writes_pass() {
        for (objective, classes) in [
            ("binary sigmoid:1", 1),
            ("binary sigmoid:0.123457", 1),
            ("binary sigmoid:1e-05", 1),
            ("regression", 1),
            ("regression sqrt", 1),
            ("quantile sqrt", 1),
            ("lambdarank", 1),
            ("cross_entropy", 1),
            ("multiclass num_class:3", 3),
            ("multiclassova num_class:2 sigmoid:0.7", 2),
        ] {
            assert_eq!(check(objective, classes), Ok(()), "{objective}");
        }
    }

    #[test]
    fn test_other_objectives_are_refused() {
        for (objective, classes) in [
            ("", 1),
            ("binary", 1),
            ("binary sigmoid:0", 1),
            ("binary sigmoid:-1", 1),
            ("binary sigmoid:nan", 1),
            ("binary sigmoid:1 sqrt", 1),
            ("binary  sigmoid:1", 1),
            ("binary sigmoid:1", 3),
            ("bínary sigmoid:1", 1),
            ("regression sqr", 1),
            ("lambdarank sqrt", 1),
            ("multiclass num_class:9", 3),
            ("multiclass num_class:-3", 3),
            ("multiclass", 3),
            ("multiclassova num_class:3", 3),
        ] {
            assert!(check(objective, classes).is_err(), "{objective} with {classes}");
        }
    }
}
