//! The oldest value in total order. Empty: null.

use super::{Aggregate, Entry, Input, Lane, Outcome};

pub(super) const AGGREGATE: Aggregate =
    Aggregate { number: 0, name: "first", input: Input::Any, lane: Lane::Entry(Entry::First), result: Outcome::Same };
