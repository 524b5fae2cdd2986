//! Events per second of the window's length.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "rate",
    input: Input::Optional,
    second: None,
    parameter: None,
    lane: Lane::Count,
    what: What::Rate(0.0),
    result: Outcome::Sum,
};
