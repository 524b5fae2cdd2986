//! The value of the oldest event.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "first",
    input: Input::Any,
    second: None,
    parameter: None,
    lane: Lane::Entry,
    what: What::First,
    result: Outcome::Same,
};
