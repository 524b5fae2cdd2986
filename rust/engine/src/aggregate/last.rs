//! The value of the newest event.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "last",
    input: Input::Any,
    second: None,
    parameter: None,
    lane: Lane::Entry,
    what: What::Last,
    result: Outcome::Same,
};
