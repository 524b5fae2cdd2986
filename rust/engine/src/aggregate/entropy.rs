//! Entropy of the frequencies of the values, in nats.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "entropy",
    input: Input::Any,
    second: None,
    parameter: None,
    lane: Lane::Tally,
    what: What::Entropy,
    result: Outcome::Float,
};

/// Entropy in nats of values of which so many have each count; counts rise.
pub fn of_shares(shares: impl Iterator<Item = (u64, u64)>, total: u64) -> Option<f64> {
    if total == 0 {
        return None;
    }
    let total = total as f64;
    let part = |(count, values): (u64, u64)| {
        let count = count as f64;
        values as f64 * (count / total) * libm::log(total / count)
    };
    Some(shares.map(part).sum())
}
