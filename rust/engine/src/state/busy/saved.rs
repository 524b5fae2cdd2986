//! The log of a busy key, begun again at the position it had come to: everything else it keeps is a function of its events.

use super::{Busy, RUN_BITS};
use crate::plan::TablePlan;
use crate::state::interner::Interner;
use crate::state::run::Run;

/// Positions stay far from their end: an engine of a million events a second comes here in 36,000 years.
pub(in crate::state) const POSITION_MAX: u64 = 1 << 60;

impl Busy {
    /// A log without events whose next one has this position. Which summaries stand for a range depends on positions, and so may
    /// the last bit of a decaying sum: they are kept.
    pub fn begin(plan: &TablePlan, first: u64, texts: &Interner) -> Self {
        assert!(first <= POSITION_MAX, "positions are checked where they are read");
        let words = vec![0; plan.shape.words_of(0)];
        let mut busy = Self::new(plan, Run::new(&words, plan.shape, 0, 0), texts);
        (busy.base, busy.first, busy.end) = (first / RUN_BITS, first, first);
        if !first.is_multiple_of(RUN_BITS) {
            // The events before it in its run have gone; they only have to be early enough.
            let mut run = vec![0; busy.shape.words_of(super::RUN)].into_boxed_slice();
            run[..(first % RUN_BITS) as usize].fill(i64::MIN as u64);
            busy.runs.push_back(run);
            busy.firsts.push_back(i64::MIN);
        }
        busy
    }

    /// The next event of the log.
    pub fn append(&mut self, plan: &TablePlan, run: Run<'_>, index: usize, texts: &Interner) {
        self.push(plan, run, index, texts);
    }
}
