//! The k most frequent values, most frequent first.

use super::{Aggregate, Input, Lane, Outcome, Parameter, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "top_k",
    input: Input::Any,
    second: None,
    parameter: Some(Parameter::Count),
    lane: Lane::Tally,
    what: What::TopK(1),
    result: Outcome::List,
};
