//! The largest value; NaN only when nothing else is there.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "max",
    input: Input::Ordered,
    second: None,
    parameter: None,
    lane: Lane::Extreme { max: true },
    what: What::Best,
    result: Outcome::Number,
};
