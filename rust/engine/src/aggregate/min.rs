//! The smallest value; NaN only when nothing else is there.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "min",
    input: Input::Ordered,
    second: None,
    parameter: None,
    lane: Lane::Extreme { max: false },
    what: What::Best,
    result: Outcome::Number,
};
