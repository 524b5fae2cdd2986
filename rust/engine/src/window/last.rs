//! The newest n events, however old they are.

use super::Bounds;

/// Largest n of `ff.last(n)`.
pub const LAST_MAX: u64 = 1_000_000;

/// A window of so many events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Last {
    /// How many, above zero.
    pub count: u64,
}

impl Last {
    pub(super) fn bounds(self) -> Bounds {
        Bounds::Last { count: self.count }
    }
}

pub(super) fn compile(count: u64) -> Result<Last, String> {
    if count == 0 || count > LAST_MAX {
        return Err(format!("the last {count} events are no window; write 1 to {LAST_MAX}"));
    }
    Ok(Last { count })
}
