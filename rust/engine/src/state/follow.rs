//! Sums of windows of a busy key as they were last: they are moved on with their windows, where that is few steps.

use super::lane::Count;
use super::prefetch;
use crate::aggregate::co_moments::CoMoments;
use crate::aggregate::extreme::Best;
use crate::aggregate::higher::Higher;
use crate::aggregate::moments::MomentSum;
use crate::heap::heap;
use crate::plan::TablePlan;

/// The sum of a window of a busy key as it was last, to be moved on with it.
#[derive(Clone, Debug)]
pub(super) struct Followed<S> {
    pub low: u64,
    pub high: u64,
    pub sum: S,
}

impl<S: Default> Default for Followed<S> {
    /// Follows nothing yet.
    fn default() -> Self {
        Self { low: u64::MAX, high: 0, sum: S::default() }
    }
}

/// Sums of windows that move on with them, those of one kind side by side.
#[derive(Debug, Default)]
pub(super) struct Follows {
    pub counts: Box<[Followed<Count>]>,
    pub moments: Box<[Followed<MomentSum>]>,
    pub highers: Box<[Followed<Higher>]>,
    pub pairs: Box<[Followed<CoMoments>]>,
    pub extremes: Box<[Followed<Best>]>,
}

impl Follows {
    pub fn new(plan: &TablePlan) -> Self {
        fn none<S: Clone + Default>(windows: usize) -> Box<[Followed<S>]> {
            vec![Followed::default(); windows].into_boxed_slice()
        }
        let [counts, moments, highers, pairs, extremes] = plan.follows;
        Self {
            counts: none(counts),
            moments: none(moments),
            highers: none(highers),
            pairs: none(pairs),
            extremes: none(extremes),
        }
    }

    /// Positions have moved: what has been followed is made anew.
    pub fn forget(&mut self) {
        fn forget<S>(windows: &mut [Followed<S>]) {
            windows.iter_mut().for_each(|window| window.low = u64::MAX);
        }
        forget(&mut self.counts);
        forget(&mut self.moments);
        forget(&mut self.highers);
        forget(&mut self.pairs);
        forget(&mut self.extremes);
    }

    /// Asks for what the next answer begins with.
    pub fn warm(&self) {
        prefetch::slice(&self.counts);
        prefetch::slice(&self.moments);
        prefetch::slice(&self.extremes);
    }

    pub fn bytes(&self) -> usize {
        heap(size_of_val(&*self.counts))
            + heap(size_of_val(&*self.moments))
            + heap(size_of_val(&*self.highers))
            + heap(size_of_val(&*self.pairs))
            + heap(size_of_val(&*self.extremes))
            + self.moments.iter().map(|window| window.sum.bytes()).sum::<usize>()
            + self.highers.iter().map(|window| window.sum.bytes()).sum::<usize>()
            + self.pairs.iter().map(|window| window.sum.bytes()).sum::<usize>()
    }
}
