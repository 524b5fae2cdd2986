//! How many different values, by HyperLogLog.

use super::{Aggregate, Input, Lane, Outcome, What};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "approx_n_unique",
    input: Input::Any,
    second: None,
    parameter: None,
    lane: Lane::Registers,
    what: What::ApproxDistinct,
    result: Outcome::Count,
};
