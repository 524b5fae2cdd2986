//! The last w before each row: times in (t - w, t]. An event exactly w old is out.

use crate::definition::Closed;

/// A rolling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rolling {
    /// Length in ticks, above zero.
    pub length: i64,
}

impl Rolling {
    #[inline]
    pub(super) fn after(self, t: i64) -> i64 {
        // Below the smallest instant there is nothing to leave out.
        t.saturating_sub(self.length)
    }

    pub(super) fn reach(self) -> Option<i64> {
        Some(self.length)
    }
}

pub(super) fn compile(
    length_ns: i64,
    offset_ns: i64,
    closed: Closed,
    ticks_per_second: i64,
) -> Result<Rolling, String> {
    if offset_ns != 0 || closed != Closed::Right {
        return Err(
            "a rolling window with `offset` or `closed` is not known to this release; leave them out".to_owned()
        );
    }
    let ns_per_tick = 1_000_000_000 / ticks_per_second;
    if length_ns <= 0 {
        return Err(format!("a window of {length_ns} ns is empty; give a length above zero"));
    }
    if length_ns % ns_per_tick != 0 {
        return Err(format!(
            "a window of {length_ns} ns is finer than the microseconds of the streams; give whole microseconds, or a `Timestamp(\"ns\")`"
        ));
    }
    Ok(Rolling { length: length_ns / ns_per_tick })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_instants_have_everything_inside() {
        assert_eq!(Rolling { length: i64::MAX }.after(-5), i64::MIN);
    }

    #[test]
    fn a_length_below_the_tick_is_refused() {
        assert!(compile(1_500, 0, Closed::Right, 1_000_000).is_err());
        assert_eq!(compile(1_500, 0, Closed::Right, 1_000_000_000), Ok(Rolling { length: 1_500 }));
    }
}
