//! Seconds from the first event of the window.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "time_since_first",
    input: Input::Optional,
    second: None,
    parameter: None,
    lane: Lane::Time,
    what: What::SinceFirst,
    result: Outcome::Float,
};
