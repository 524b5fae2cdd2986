//! The newest value in total order. Empty: null.

use super::{Aggregate, Entry, Input, Lane, Outcome};

pub(super) const AGGREGATE: Aggregate =
    Aggregate { number: 0, name: "last", input: Input::Any, lane: Lane::Entry(Entry::Last), result: Outcome::Same };
