//! Pearson's correlation of two values.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "corr",
    input: Input::Number,
    second: Some(Input::Number),
    parameter: None,
    lane: Lane::Pair,
    what: What::Corr,
    result: Outcome::Float,
};
