//! Seconds from the newest event before the row's own to it. None: null.

use super::{Aggregate, Entry, Input, Lane, Outcome};

pub(super) const AGGREGATE: Aggregate = Aggregate {
    number: 0,
    name: "time_since_last",
    input: Input::Optional,
    lane: Lane::Entry(Entry::SinceLast),
    result: Outcome::Float,
};
