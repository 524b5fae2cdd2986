//! Events with no long gap between them, up to the row. A gap of exactly the session's is none.

use super::{Bounds, ticks};

/// A session window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// Longest gap that a session goes on over, in ticks.
    pub gap: i64,
}

impl Session {
    pub(super) fn bounds(self) -> Bounds {
        Bounds::Session { gap: self.gap }
    }
}

pub(super) fn compile(gap_ns: i64, ticks_per_second: i64) -> Result<Session, String> {
    Ok(Session { gap: ticks("a gap", gap_ns, ticks_per_second)? })
}
