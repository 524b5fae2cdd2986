//! Seconds from the newest event before the row's own.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "time_since_last",
    input: Input::Optional,
    second: None,
    parameter: None,
    lane: Lane::Time,
    what: What::SinceLast,
    result: Outcome::Float,
};
