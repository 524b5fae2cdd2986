//! The largest value; NaN only when nothing else is there. Empty: null.

use super::{Aggregate, Input, Lane, Outcome};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "max",
    input: Input::Ordered,
    lane: Lane::Extreme { max: true },
    result: Outcome::Number,
};
