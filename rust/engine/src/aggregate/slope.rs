//! Least squares of the value over the time, per second.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "slope",
    input: Input::Number,
    second: None,
    parameter: None,
    lane: Lane::Slope,
    what: What::Slope,
    result: Outcome::Float,
};
