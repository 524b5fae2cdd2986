//! From the last event that met a condition on, that one included.

use super::Bounds;

/// A window that a condition begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Since;

impl Since {
    pub(super) fn bounds(self) -> Bounds {
        Bounds::Since
    }
}
