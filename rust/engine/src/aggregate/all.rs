//! Whether every value is true.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "all",
    input: Input::Truth,
    second: None,
    parameter: None,
    lane: Lane::Extreme { max: false },
    what: What::Best,
    result: Outcome::Same,
};
