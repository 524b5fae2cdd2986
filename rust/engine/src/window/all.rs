//! Every event of the key so far.

use super::Bounds;

/// The window without a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct All;

impl All {
    pub(super) fn bounds(self, t: i64) -> Bounds {
        Bounds::Times { after: super::BEGINNING, until: t }
    }
}
