//! Fourth moment of the population over the square of the second, less 3.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "kurtosis",
    input: Input::Number,
    second: None,
    parameter: None,
    lane: Lane::Higher,
    what: What::Kurtosis,
    result: Outcome::Float,
};
