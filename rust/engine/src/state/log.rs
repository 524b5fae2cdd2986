//! The events of one key in total order: a view of them that is one run, or the runs of a busy key.

use super::lane::{Scan, kept};
use super::run::{RUN, Run, last_set};
use super::tree::{Part, Summary, Tree, start_of};
use crate::plan::Mask;
use crate::state::busy::Busy;

/// The events of a key, to read. Positions count from 0 in a run, and from the key's first event in a busy log.
#[derive(Clone, Copy)]
pub(super) enum Log<'a> {
    Run(Run<'a>),
    Busy(&'a Busy),
}

impl<'a> Log<'a> {
    #[inline]
    pub fn first(self) -> u64 {
        match self {
            Self::Run(_) => 0,
            Self::Busy(busy) => busy.first(),
        }
    }

    #[inline]
    pub fn end(self) -> u64 {
        match self {
            Self::Run(run) => run.len() as u64,
            Self::Busy(busy) => busy.end(),
        }
    }

    /// The run that holds a position, and its place there.
    #[inline]
    pub fn at(self, position: u64) -> (Run<'a>, usize) {
        match self {
            Self::Run(run) => (run, position as usize),
            Self::Busy(busy) => (busy.run(position / RUN as u64), (position % RUN as u64) as usize),
        }
    }

    #[inline]
    pub fn time(self, position: u64) -> i64 {
        let (run, index) = self.at(position);
        run.times()[index]
    }

    /// Position after the last event with a time not above `t`.
    #[inline]
    pub fn upper_bound(self, t: i64) -> u64 {
        match self {
            Self::Run(run) => run.upper_bound(t) as u64,
            Self::Busy(busy) => busy.upper_bound(t),
        }
    }

    /// The same for a window that remembers where it began last.
    #[inline]
    pub fn upper_bound_near(self, head: usize, t: i64) -> u64 {
        match self {
            Self::Run(run) => run.upper_bound(t) as u64,
            Self::Busy(busy) => busy.upper_bound_near(head, t),
        }
    }

    /// The same where it is known not to lie beyond `high`.
    #[inline]
    pub fn upper_bound_below(self, head: usize, t: i64, high: u64) -> u64 {
        match self {
            Self::Run(run) => {
                let mut low = high as usize;
                let times = run.times();
                while low > 0 && times[low - 1] > t {
                    low -= 1;
                }
                low as u64
            }
            Self::Busy(busy) => busy.upper_bound_near(head, t),
        }
    }

    /// Looks at the stretches of runs that make up a range: run, from, to, position of the first.
    pub fn stretches(self, low: u64, high: u64, mut look: impl FnMut(Run<'a>, usize, usize, u64)) {
        let mut at = low;
        while at < high {
            let (run, from) = self.at(at);
            let to = run.len().min(from + (high - at) as usize);
            look(run, from, to, at);
            at += (to - from) as u64;
        }
    }

    /// Adds what a lane makes of a range.
    #[inline]
    pub fn fold<S: Scan>(
        self,
        lane: &S,
        tree: impl FnOnce(&'a Busy) -> &'a Tree<S::Sum>,
        low: u64,
        high: u64,
        sum: &mut S::Sum,
    ) where
        S::Sum: 'a,
    {
        match self {
            Self::Run(run) => {
                if low < high {
                    lane.scan(run, low as usize, high as usize, low, sum);
                }
            }
            Self::Busy(busy) => {
                let tree = tree(busy);
                tree.parts(low, high, |part| match part {
                    Part::Node { level, number } => sum.merge(tree.node(level, number)),
                    Part::Records { from, to } => {
                        let (run, index) = self.at(from);
                        lane.scan(run, index, index + (to - from) as usize, from, sum);
                    }
                });
            }
        }
    }

    /// How many events of a range have a flag.
    pub fn count(self, flag: usize, low: u64, high: u64) -> u64 {
        let mut sum = super::lane::Count::default();
        self.fold(&super::lane::Counts { mask: Some(flag) }, |busy| busy.flag(flag), low, high, &mut sum);
        sum.0
    }

    /// Position of the n-th event with a flag before `high`, not before `low`; n counts from 1.
    pub fn nth_back(self, mask: Mask, low: u64, high: u64, n: u64) -> Option<u64> {
        let Some(flag) = mask else { return high.checked_sub(n).filter(|&position| position >= low) };
        match self {
            Self::Run(run) => {
                nth_set_back(kept(run, mask, low as usize, high.max(low) as usize), n).map(|index| index as u64)
            }
            Self::Busy(busy) => {
                let tree = busy.flag(flag);
                let (mut end, mut left) = (high, n);
                while end > low {
                    let part = tree.part_to(low, end);
                    let count = match part {
                        Part::Node { level, number } => tree.node(level, number).0,
                        Part::Records { .. } => 0,
                    };
                    if matches!(part, Part::Node { .. }) && count < left {
                        left -= count;
                        end = start_of(part);
                        continue;
                    }
                    if let Part::Node { level, number } = part
                        && level > 0
                    {
                        // It is in here: the children one by one.
                        let (first, last) = Tree::<super::lane::Count>::children(level, number);
                        for child in (first..last).rev() {
                            let count = tree.node(level - 1, child).0;
                            if count >= left {
                                let (from, to) = (
                                    start_of(Part::Node { level: level - 1, number: child }),
                                    super::tree::end_of(Part::Node { level: level - 1, number: child }),
                                );
                                return self.nth_back(mask, from, to, left);
                            }
                            left -= count;
                        }
                        unreachable!("a node counts what its children count");
                    }
                    let start = start_of(part);
                    let (run, index) = self.at(start);
                    let set = kept(run, mask, index, index + (end - start) as usize);
                    if u64::from(set.count_ones()) >= left {
                        return nth_set_back(set, left).map(|place| start + (place - index) as u64);
                    }
                    left -= u64::from(set.count_ones());
                    end = start;
                }
                None
            }
        }
    }

    /// Position of the last event with a flag in a range.
    pub fn last(self, flag: usize, low: u64, high: u64) -> Option<u64> {
        // Nearly always it is close.
        if high > low {
            let (run, index) = self.at(high - 1);
            let from = index.saturating_sub((high - 1 - low) as usize);
            if let Some(place) = last_set(run.flag(flag), from, index + 1) {
                return Some(high - 1 - (index - place) as u64);
            }
        }
        self.nth_back(Some(flag), low, high, 1)
    }

    /// Position of the first event with a flag in a range.
    pub fn first_kept(self, mask: Mask, low: u64, high: u64) -> Option<u64> {
        let Some(flag) = mask else { return (low < high).then_some(low) };
        let count = self.count(flag, low, high);
        if count == 0 { None } else { self.nth_back(mask, low, high, count) }
    }
}

/// The n-th highest of the bits that are set.
fn nth_set_back(mut set: u32, n: u64) -> Option<usize> {
    for _ in 1..n {
        if set == 0 {
            return None;
        }
        set &= !(1 << (31 - set.leading_zeros()));
    }
    (set != 0).then(|| 31 - set.leading_zeros() as usize)
}
