//! The correctly rounded sum of the exact values. Empty: 0.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "sum",
    input: Input::Number,
    second: None,
    parameter: None,
    lane: Lane::Moments { squares: false },
    what: What::Sum,
    result: Outcome::Sum,
};
