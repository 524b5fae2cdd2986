//! The newest k values, newest first.

use super::{Aggregate, Input, Lane, Outcome, Parameter, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "last_k",
    input: Input::Any,
    second: None,
    parameter: Some(Parameter::Count),
    lane: Lane::Entry,
    what: What::LastK(1),
    result: Outcome::List,
};
