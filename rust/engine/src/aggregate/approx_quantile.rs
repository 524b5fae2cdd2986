//! The quantile within one per cent, by DDSketch.

use super::{Aggregate, Input, Lane, Outcome, Parameter, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "approx_quantile",
    input: Input::Number,
    second: None,
    parameter: Some(Parameter::Fraction),
    lane: Lane::Buckets,
    what: What::ApproxQuantile(0.5),
    result: Outcome::Float,
};
