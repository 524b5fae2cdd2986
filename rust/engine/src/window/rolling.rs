//! The last w before each row, moved back by an offset: times in (t - o - w, t - o]. An event exactly w old is out.

use super::{Bounds, ticks};
use crate::definition::Closed;

/// A rolling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rolling {
    /// Length in ticks, above zero.
    pub length: i64,
    /// How far back the whole window lies, in ticks.
    pub offset: i64,
    /// Which ends are inside.
    pub closed: Closed,
}

impl Rolling {
    #[inline]
    pub(super) fn bounds(self, t: i64) -> Bounds {
        let until = t.saturating_sub(self.offset);
        // Below the smallest instant there is nothing to leave out.
        let after = until.saturating_sub(self.length);
        let (lower, upper) = match self.closed {
            Closed::Right => (false, true),
            Closed::Left => (true, false),
            Closed::Both => (true, true),
            Closed::Neither => (false, false),
        };
        Bounds::Times { after: after.saturating_sub(i64::from(lower)), until: until.saturating_sub(i64::from(!upper)) }
    }

    pub(super) fn reach(self) -> i64 {
        self.offset.saturating_add(self.length).saturating_add(1)
    }
}

pub(super) fn compile(
    length_ns: i64,
    offset_ns: i64,
    closed: Closed,
    ticks_per_second: i64,
) -> Result<Rolling, String> {
    if offset_ns < 0 {
        return Err(format!("an offset of {offset_ns} ns lies in the future; give zero or more"));
    }
    let offset = if offset_ns == 0 { 0 } else { ticks("an offset", offset_ns, ticks_per_second)? };
    Ok(Rolling { length: ticks("a window", length_ns, ticks_per_second)?, offset, closed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(closed: Closed, offset: i64) -> Bounds {
        Rolling { length: 10, offset, closed }.bounds(100)
    }

    #[test]
    fn each_end_is_in_or_out() {
        assert_eq!(bounds(Closed::Right, 0), Bounds::Times { after: 90, until: 100 });
        assert_eq!(bounds(Closed::Left, 0), Bounds::Times { after: 89, until: 99 });
        assert_eq!(bounds(Closed::Both, 3), Bounds::Times { after: 86, until: 97 });
        assert_eq!(bounds(Closed::Neither, 3), Bounds::Times { after: 87, until: 96 });
    }

    #[test]
    fn the_smallest_instants_have_everything_inside() {
        let all = Rolling { length: i64::MAX, offset: 0, closed: Closed::Both };
        assert_eq!(all.bounds(-5), Bounds::Times { after: i64::MIN, until: -5 });
    }

    #[test]
    fn a_length_below_the_tick_is_refused() {
        assert!(compile(1_500, 0, Closed::Right, 1_000_000).is_err());
        assert_eq!(compile(1_500, 0, Closed::Right, 1_000_000_000).map(|window| window.length), Ok(1_500));
    }
}
