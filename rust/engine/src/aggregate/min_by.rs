//! The value where another is smallest; of several the earliest.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "min_by",
    input: Input::Any,
    second: Some(Input::Ordered),
    parameter: None,
    lane: Lane::ExtremeBy { max: false },
    what: What::BestBy,
    result: Outcome::Same,
};
