//! Mean with weights that halve with every half-life.

use super::{Aggregate, Input, Lane, Outcome, Parameter, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "ewm_mean",
    input: Input::Number,
    second: None,
    parameter: Some(Parameter::Duration),
    lane: Lane::Decay,
    what: What::EwmMean,
    result: Outcome::Float,
};
