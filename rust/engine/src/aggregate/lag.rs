//! The value of the n-th event before the row's own. Fewer: null.

use super::{Aggregate, Entry, Input, Lane, Outcome};

pub(super) const AGGREGATE: Aggregate =
    Aggregate { number: 0, name: "lag", input: Input::Any, lane: Lane::Entry(Entry::Lag), result: Outcome::Same };
