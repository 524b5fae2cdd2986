//! How many different values.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "n_unique",
    input: Input::Any,
    second: None,
    parameter: None,
    lane: Lane::Distinct,
    what: What::Distinct,
    result: Outcome::Count,
};
