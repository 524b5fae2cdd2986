//! Square root of the sample variance.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "std",
    input: Input::Number,
    second: None,
    parameter: None,
    lane: Lane::Moments { squares: true },
    what: What::Std,
    result: Outcome::Float,
};
