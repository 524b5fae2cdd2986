//! A long window whose begin moves in steps: times in [floor(t - w, every), t]. What has left the log is kept in slices of one step.

use super::{Bounds, ticks, zone};

/// A hopping window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hopping {
    /// Length in ticks, above zero.
    pub length: i64,
    /// Step in ticks, above zero and not above the length.
    pub every: i64,
}

impl Hopping {
    pub(super) fn bounds(self, t: i64) -> Bounds {
        Bounds::Times { after: self.begin(t).saturating_sub(1), until: t }
    }

    /// First instant of the window of a row at `t`.
    pub fn begin(self, t: i64) -> i64 {
        zone::floor(t.saturating_sub(self.length), self.every)
    }

    /// The slice that holds an instant, by its first one.
    pub fn slice(self, time: i64) -> i64 {
        zone::floor(time, self.every)
    }

    pub(super) fn reach(self) -> i64 {
        self.length.saturating_add(self.every)
    }
}

pub(super) fn compile(length_ns: i64, every_ns: i64, ticks_per_second: i64) -> Result<Hopping, String> {
    if every_ns > length_ns {
        return Err(format!(
            "a step of {every_ns} ns is longer than the window of {length_ns} ns; give a shorter `every`, or a tumbling window"
        ));
    }
    let every = ticks("a step", every_ns, ticks_per_second)?;
    Ok(Hopping { length: ticks("a window", length_ns, ticks_per_second)?, every })
}
