//! The correctly rounded sum. Empty: 0.

use super::{Aggregate, Input, Lane, Moment, Outcome};

pub(super) const AGGREGATE: Aggregate =
    Aggregate { number: 0, name: "sum", input: Input::Number, lane: Lane::Moment(Moment::Sum), result: Outcome::Sum };
