//! The quantile at 0.5.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "median",
    input: Input::Number,
    second: None,
    parameter: None,
    lane: Lane::Rank,
    what: What::Quantile(0.5),
    result: Outcome::Float,
};
