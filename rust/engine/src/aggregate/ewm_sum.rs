//! Sum with weights that halve with every half-life. Empty: 0.

use super::{Aggregate, Input, Lane, Outcome, Parameter, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "ewm_sum",
    input: Input::Number,
    second: None,
    parameter: Some(Parameter::Duration),
    lane: Lane::Decay,
    what: What::EwmSum,
    result: Outcome::Sum,
};
