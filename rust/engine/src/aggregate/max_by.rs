//! The value where another is largest; of several the earliest.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "max_by",
    input: Input::Any,
    second: Some(Input::Ordered),
    parameter: None,
    lane: Lane::ExtremeBy { max: true },
    what: What::BestBy,
    result: Outcome::Same,
};
