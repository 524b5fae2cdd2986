//! The most frequent value; of several the smallest.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "mode",
    input: Input::Any,
    second: None,
    parameter: None,
    lane: Lane::Tally,
    what: What::Mode,
    result: Outcome::Same,
};
