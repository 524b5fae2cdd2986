//! The smallest value; NaN only when nothing else is there. Empty: null.

use super::{Aggregate, Input, Lane, Outcome};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "min",
    input: Input::Ordered,
    lane: Lane::Extreme { max: false },
    result: Outcome::Number,
};
