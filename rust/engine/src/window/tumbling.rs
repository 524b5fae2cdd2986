//! From the last multiple of w, on the clock of a time zone, to the row: times in [floor(t, w), t].

use std::sync::Arc;

use super::zone::{self, Zone};
use super::{Bounds, ticks};

/// A tumbling window.
#[derive(Clone, Debug, PartialEq)]
pub struct Tumbling {
    /// Length in ticks, above zero.
    pub length: i64,
    /// Whose clock; UTC where there is none.
    pub zone: Option<Arc<Zone>>,
}

impl Tumbling {
    pub(super) fn bounds(&self, t: i64) -> Bounds {
        let floor = match &self.zone {
            None => zone::floor(t, self.length),
            Some(zone) => zone.floor(t, self.length),
        };
        Bounds::Times { after: floor.saturating_sub(1), until: t }
    }

    pub(super) fn reach(&self) -> i64 {
        self.zone.as_ref().map_or(self.length, |zone| zone.reach(self.length))
    }
}

pub(super) fn compile(length_ns: i64, timezone: Option<&str>, ticks_per_second: i64) -> Result<Tumbling, String> {
    let zone = timezone.map(|name| Zone::compile(name, ticks_per_second)).transpose()?.map(Arc::new);
    Ok(Tumbling { length: ticks("a window", length_ns, ticks_per_second)?, zone })
}
