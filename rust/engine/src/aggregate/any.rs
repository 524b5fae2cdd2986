//! Whether some value is true.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "any",
    input: Input::Truth,
    second: None,
    parameter: None,
    lane: Lane::Extreme { max: true },
    what: What::Best,
    result: Outcome::Same,
};
