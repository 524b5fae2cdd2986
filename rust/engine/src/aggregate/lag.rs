//! The value of the n-th event before the row's own.

use super::{Aggregate, Input, Lane, Outcome, Parameter, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "lag",
    input: Input::Any,
    second: None,
    parameter: Some(Parameter::Count),
    lane: Lane::Entry,
    what: What::Lag(1),
    result: Outcome::Same,
};
