//! How many different values. Empty: 0.

use super::{Aggregate, Input, Lane, Outcome};

pub(super) const AGGREGATE: Aggregate =
    Aggregate { number: 0, name: "n_unique", input: Input::Any, lane: Lane::Distinct, result: Outcome::Count };
