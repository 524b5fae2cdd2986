//! How many events, or how many values that are not null. Empty: 0.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "count",
    input: Input::Optional,
    second: None,
    parameter: None,
    lane: Lane::Count,
    what: What::Count,
    result: Outcome::Count,
};
