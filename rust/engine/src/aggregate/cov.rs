//! Sample covariance of two values.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "cov",
    input: Input::Number,
    second: Some(Input::Number),
    parameter: None,
    lane: Lane::Pair,
    what: What::Cov,
    result: Outcome::Float,
};
