//! The exact sum, rounded once, divided by the count. Empty: null.

use super::{Aggregate, Input, Lane, Moment, Outcome};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "mean",
    input: Input::Number,
    lane: Lane::Moment(Moment::Mean),
    result: Outcome::Float,
};
