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
