//! Sample variance (ddof = 1) from exact sums. Below two values: null.

use super::{Aggregate, Input, Lane, Moment, Outcome};

pub(super) const AGGREGATE: Aggregate =
    Aggregate { number: 0, name: "var", input: Input::Number, lane: Lane::Moment(Moment::Var), result: Outcome::Float };
