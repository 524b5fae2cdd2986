//! The exact sum, rounded once, divided by the count.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "mean",
    input: Input::Number,
    second: None,
    parameter: None,
    lane: Lane::Moments { squares: false },
    what: What::Mean,
    result: Outcome::Float,
};
