//! Sample variance (ddof = 1), from the exact sum and the exact sum of squares.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "var",
    input: Input::Number,
    second: None,
    parameter: None,
    lane: Lane::Moments { squares: true },
    what: What::Var,
    result: Outcome::Float,
};
