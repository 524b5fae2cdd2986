//! Square root of the sample variance. Below two values: null.

use super::{Aggregate, Input, Lane, Moment, Outcome};

pub(super) const AGGREGATE: Aggregate =
    Aggregate { number: 0, name: "std", input: Input::Number, lane: Lane::Moment(Moment::Std), result: Outcome::Float };
