//! How many events, or how many values that are not null. Empty: 0.

use super::{Aggregate, Input, Lane, Outcome};

pub(super) const AGGREGATE: Aggregate =
    Aggregate { number: 0, name: "count", input: Input::Optional, lane: Lane::Count, result: Outcome::Count };
