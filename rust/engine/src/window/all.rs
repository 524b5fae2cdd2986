//! Every event of the key so far.

use super::BEGINNING;

/// The window without a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct All;

impl All {
    pub(super) fn after(self, _: i64) -> i64 {
        BEGINNING
    }

    pub(super) fn reach(self) -> Option<i64> {
        None
    }
}
