//! The log of a busy key, begun again at the position it had come to: everything else it keeps is a function of its events.

use std::ops::Range;

use super::{Busy, Kept, LastSeen, RUN_BITS, kept};
use crate::encode::Broken;
use crate::key;
use crate::plan::{LanePlan, TablePlan};
use crate::state::interner::Interner;
use crate::state::run::{RUN, Run, RunMut};

/// Logs of more events have their values looked up where they are kept.
const MET_MAX: usize = 4_096;

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
            let mut run = vec![0; busy.shape.words_of(RUN)].into_boxed_slice();
            run[..(first % RUN_BITS) as usize].fill(i64::MIN as u64);
            busy.runs.push_back(run);
            busy.firsts.push_back(i64::MIN);
        }
        busy
    }

    /// Room for the next events of the log, in one run and at most so many: `put` puts them into these places, and says the time of the last.
    pub fn extend(
        &mut self,
        most: usize,
        put: impl FnOnce(&mut RunMut<'_>, Range<usize>) -> Result<i64, Broken>,
    ) -> Result<(), Broken> {
        let place = (self.end % RUN_BITS) as usize;
        if place == 0 {
            self.runs.push_back(vec![0; self.shape.words_of(RUN)].into_boxed_slice());
        }
        let places = place..(place + most).min(RUN);
        self.end += places.len() as u64;
        let mut run = self.run_mut((self.end - 1) / RUN_BITS);
        let newest = put(&mut run, places)?;
        if place == 0 {
            let first = run.column_mut(0, 0..1)[0] as i64;
            self.firsts.push_back(first);
        }
        self.newest = newest;
        Ok(())
    }

    /// Once all events are there: what lanes and flags know of them, as if they had come one by one.
    pub fn settle(&mut self, plan: &TablePlan, met: &mut Met, texts: &Interner) {
        let positions = self.first..self.end;
        if plan.has_sessions {
            positions.clone().for_each(|position| self.begin_session(plan, position));
        }
        for &lane in &plan.noting {
            if matches!(plan.lanes[lane], LanePlan::Distinct { .. }) && self.len() <= MET_MAX {
                self.remember_distinct(plan, lane, met);
            } else {
                positions.clone().for_each(|position| self.remember(plan, lane, position));
            }
        }
        (self.base..self.end / RUN_BITS).for_each(|number| self.close(plan, number, texts));
    }

    /// All events of a lane of distinct counts: each value is put in once, where it is known how many there are.
    fn remember_distinct(&mut self, plan: &TablePlan, lane: usize, met: &mut Met) {
        let LanePlan::Distinct { column, mask, flag, previous } = plan.lanes[lane] else { return };
        let column = &plan.columns[column];
        met.begin(self.len());
        for position in self.first..self.end {
            let (number, index) = (position / RUN_BITS, (position % RUN_BITS) as usize);
            let run = self.run(number);
            let is_kept = kept(run, mask, index, index + 1) != 0;
            let before = if is_kept { met.put(column.identity(run, index), position) } else { None };
            self.link(flag, previous, position, is_kept, before);
        }
        self.lanes[lane] = Kept::Distinct(LastSeen::of(met.all()));
    }
}

/// Values of a key that is being read, and where each was met last.
#[derive(Debug, Default)]
pub(in crate::state) struct Met {
    values: Vec<(u64, u64)>,
    /// By the values' hashes their places among those, and one more; 0 of none.
    places: Vec<u32>,
}

impl Met {
    /// For so many values at most.
    fn begin(&mut self, values: usize) {
        self.values.clear();
        self.places.clear();
        self.places.resize((2 * values).next_power_of_two(), 0);
    }

    /// A value at a position; where it was before.
    fn put(&mut self, value: u64, position: u64) -> Option<u64> {
        let mask = self.places.len() - 1;
        let mut at = key::hash_word(value) as usize & mask;
        loop {
            match self.places[at] {
                0 => {
                    self.values.push((value, position));
                    self.places[at] = self.values.len() as u32;
                    return None;
                }
                place if self.values[place as usize - 1].0 == value => {
                    return Some(std::mem::replace(&mut self.values[place as usize - 1].1, position));
                }
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn all(&self) -> &[(u64, u64)] {
        &self.values
    }
}
