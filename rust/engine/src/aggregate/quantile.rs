//! Linear between the neighbours, as NumPy.

use super::{Aggregate, Input, Lane, Outcome, Parameter, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "quantile",
    input: Input::Number,
    second: None,
    parameter: Some(Parameter::Fraction),
    lane: Lane::Rank,
    what: What::Quantile(0.5),
    result: Outcome::Float,
};
