//! Whether no event before the row's own has its value.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "is_first",
    input: Input::Any,
    second: None,
    parameter: None,
    lane: Lane::Distinct,
    what: What::IsFirst,
    result: Outcome::Truth,
};
