//! Third moment of the population over the power 1.5 of the second.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "skew",
    input: Input::Number,
    second: None,
    parameter: None,
    lane: Lane::Higher,
    what: What::Skew,
    result: Outcome::Float,
};
