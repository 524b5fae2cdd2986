//! What is kept of events that no row to come can be earlier than: sums for all time, and slices of hopping windows.
//!
//! Events are folded in the total order, one by one, as the watermark passes them; what the log has beyond is added to each answer.

use std::collections::VecDeque;
use std::ops::Range;

use super::cursor::Cursor;
use super::entry::Entries;
use super::interner::Interner;
use super::lane::{Count, Counts, DecayOf, ExtremeOf, HigherOf, Moments, PairOf, RegistersOf, Scan, counted, kept};
use super::run::Run;
use super::tally::Tally;
use crate::aggregate::co_moments::CoMoments;
use crate::aggregate::decay::DecaySum;
use crate::aggregate::extreme::Best;
use crate::aggregate::higher::Higher;
use crate::aggregate::moments::MomentSum;
use crate::aggregate::registers::Registers;
use crate::definition::FieldKind;
use crate::heap::{boxed, heap, room};
use crate::plan::{LanePlan, LogColumn, PartPlan, TablePlan};

mod saved;

/// What one lane keeps.
#[derive(Debug)]
pub(super) enum Part {
    Count(Count),
    Moments(Box<MomentSum>),
    Higher(Box<Higher>),
    Pair(Box<CoMoments>),
    Extreme(Box<Best>),
    Registers(Registers),
    Decay(Box<DecaySum>),
    Tally(Box<Cursor>),
    Entries(Box<Entries>),
}

/// Events of one step of a hopping window.
#[derive(Debug)]
pub(super) struct Slice {
    pub begin: i64,
    pub parts: Box<[Part]>,
}

/// The slices of one hopping window.
#[derive(Debug, Default)]
pub(super) struct Slices {
    pub slices: VecDeque<Slice>,
    /// By part: the tally of all slices, where the lane is one.
    pub wholes: Box<[Option<Box<Cursor>>]>,
}

impl Slices {
    /// Distinct values of the slices from `begin` on.
    pub fn distinct(&self, part: usize, begin: i64) -> u64 {
        let whole = self.wholes[part].as_ref().expect("a distinct count keeps the tally of all slices");
        let gone = self.slices.partition_point(|slice| slice.begin < begin);
        if gone == 0 {
            return whole.tally().distinct() as u64;
        }
        let mut counts = Tally::default();
        let mut add = |slices: Range<usize>| {
            for tally in self.slices.range(slices).filter_map(|slice| slice.parts[part].tally()) {
                tally.iter().for_each(|(value, count)| _ = counts.add(value, count));
            }
        };
        // Whichever are fewer are looked at: the slices in the window, or those before it.
        if gone > self.slices.len() / 2 {
            add(gone..self.slices.len());
            return counts.distinct() as u64;
        }
        add(0..gone);
        // A value that only slices before the window have does not count.
        let lost = counts.iter().filter(|&(value, count)| whole.tally().count(value) == count).count();
        (whole.tally().distinct() - lost) as u64
    }

    /// A tally of the slices from `begin` on: that of all where it is the same, else one made in `scratch`.
    pub fn tally<'a>(
        &'a mut self,
        part: usize,
        begin: i64,
        column: &LogColumn,
        texts: &Interner,
        scratch: &'a mut Cursor,
    ) -> &'a mut Cursor {
        if self.slices.front().is_none_or(|slice| slice.begin >= begin) {
            return self.wholes[part].as_mut().expect("a tally keeps the tally of all slices");
        }
        scratch.clear();
        for slice in self.slices.iter().filter(|slice| slice.begin >= begin) {
            if let Part::Tally(tally) = &slice.parts[part] {
                scratch.join(tally, column, texts);
            }
        }
        scratch
    }
}

#[derive(Debug)]
pub(crate) struct Past {
    /// Position in the log up to which events have been folded.
    pub folded: u64,
    /// Events before this position are invisible: the key had been idle for too long.
    pub floor: u64,
    /// Time of the newest event that has been folded.
    pub newest: Option<i64>,
    pub(super) all: Box<[Part]>,
    pub(super) hops: Box<[Slices]>,
    /// Bytes of the slices' parts.
    slice_bytes: usize,
}

fn parts(plan: &TablePlan, parts: &[PartPlan]) -> Box<[Part]> {
    parts.iter().map(|part| Part::new(plan, part)).collect()
}

impl Past {
    pub fn new(plan: &TablePlan) -> Self {
        let whole = |part: &PartPlan| {
            let lane = &plan.lanes[part.lane];
            matches!(lane, LanePlan::Tally { .. } | LanePlan::Distinct { .. }).then(|| Box::new(Cursor::new(lane)))
        };
        let slices = |hop: &crate::plan::HopPlan| Slices {
            slices: VecDeque::new(),
            wholes: hop.parts.iter().map(whole).collect(),
        };
        Self {
            folded: 0,
            floor: 0,
            newest: None,
            all: parts(plan, &plan.all),
            hops: plan.hops.iter().map(slices).collect(),
            slice_bytes: 0,
        }
    }

    /// Takes in the next event of the log; what a key had before it was idle for longer than `idle_after` is gone.
    pub fn fold(
        &mut self,
        plan: &TablePlan,
        run: Run<'_>,
        index: usize,
        idle_after: Option<i64>,
        texts: &mut Interner,
    ) {
        let time = run.times()[index];
        let idle = self.newest.zip(idle_after).is_some_and(|(newest, idle)| time.saturating_sub(newest) > idle);
        if idle {
            self.clear(plan, texts);
            self.floor = self.folded;
        }
        for (part, part_plan) in self.all.iter_mut().zip(&plan.all) {
            part.add(plan, part_plan, run, index, texts);
        }
        for (slices, hop) in self.hops.iter_mut().zip(&plan.hops) {
            let begin = hop.window.slice(time);
            if slices.slices.back().is_none_or(|slice| slice.begin < begin) {
                let slice = Slice { begin, parts: parts(plan, &hop.parts) };
                self.slice_bytes += parts_bytes(&slice.parts);
                slices.slices.push_back(slice);
            }
            let slice = slices.slices.back_mut().expect("one has been put in");
            for ((part, part_plan), whole) in slice.parts.iter_mut().zip(&hop.parts).zip(&mut slices.wholes) {
                let before = part.bytes();
                part.add(plan, part_plan, run, index, texts);
                self.slice_bytes = self.slice_bytes + part.bytes() - before;
                if let Some(whole) = whole
                    && let Some(value) = tallied(plan, part_plan.lane, run, index)
                {
                    whole.add(value, tally_column(plan, part_plan.lane), texts);
                }
            }
        }
        self.newest = Some(time);
        self.folded += 1;
    }

    /// Drops slices that no row at or after the watermark sees.
    pub fn trim(&mut self, plan: &TablePlan, mark: i64, texts: &mut Interner) {
        for (slices, hop) in self.hops.iter_mut().zip(&plan.hops) {
            let begin = hop.window.begin(mark);
            let gone = slices.slices.partition_point(|slice| slice.begin < begin);
            // Where most slices go, what the others have is added anew.
            let anew = gone > slices.slices.len() / 2;
            while slices.slices.front().is_some_and(|slice| slice.begin < begin) {
                let slice = slices.slices.pop_front().expect("there is one in front");
                self.slice_bytes -= parts_bytes(&slice.parts);
                for ((part, part_plan), whole) in slice.parts.iter().zip(&hop.parts).zip(&mut slices.wholes) {
                    if let (Part::Tally(gone), Some(whole), false) = (part, whole, anew) {
                        whole.subtract(gone, tally_column(plan, part_plan.lane), texts);
                    }
                    part.release(plan, part_plan, texts);
                }
            }
            for (index, part) in hop.parts.iter().enumerate().filter(|_| anew) {
                let Some(whole) = &mut slices.wholes[index] else { continue };
                whole.clear();
                for slice in &slices.slices {
                    if let Part::Tally(tally) = &slice.parts[index] {
                        whole.join(tally, tally_column(plan, part.lane), texts);
                    }
                }
            }
        }
    }

    /// Forgets everything, and gives its texts back.
    pub fn clear(&mut self, plan: &TablePlan, texts: &mut Interner) {
        for (part, part_plan) in self.all.iter().zip(&plan.all) {
            part.release(plan, part_plan, texts);
        }
        for (slices, hop) in self.hops.iter().zip(&plan.hops) {
            for (part, part_plan) in slices.slices.iter().flat_map(|slice| slice.parts.iter().zip(&hop.parts)) {
                part.release(plan, part_plan, texts);
            }
        }
        let fresh = Self::new(plan);
        (self.all, self.hops, self.newest, self.slice_bytes) = (fresh.all, fresh.hops, None, 0);
    }

    pub fn bytes(&self) -> usize {
        let wholes = |wholes: &[Option<Box<Cursor>>]| {
            heap(size_of_val(wholes))
                + wholes.iter().flatten().map(|cursor| boxed::<Cursor>() + cursor.bytes()).sum::<usize>()
        };
        let slices = |slices: &Slices| room::<Slice>(slices.slices.capacity()) + wholes(&slices.wholes);
        boxed::<Self>()
            + parts_bytes(&self.all)
            + heap(size_of_val(&*self.hops))
            + self.hops.iter().map(slices).sum::<usize>()
            + self.slice_bytes
    }
}

fn parts_bytes(parts: &[Part]) -> usize {
    heap(size_of_val(parts)) + parts.iter().map(Part::bytes).sum::<usize>()
}

/// The value by which a tally, or a distinct count, takes a record.
pub(super) fn tallied(plan: &TablePlan, lane: usize, run: Run<'_>, index: usize) -> Option<u64> {
    let (column, mask, buckets) = tally_of(&plan.lanes[lane]);
    (kept(run, mask, index, index + 1) != 0).then(|| counted(plan, column, buckets, run, index))
}

pub(super) fn tally_column(plan: &TablePlan, lane: usize) -> &LogColumn {
    &plan.columns[tally_of(&plan.lanes[lane]).0]
}

fn tally_of(lane: &LanePlan) -> (usize, Option<usize>, bool) {
    match *lane {
        LanePlan::Tally { column, mask, buckets } => (column, mask, buckets),
        LanePlan::Distinct { column, mask, .. } => (column, mask, false),
        _ => unreachable!("only tallies and distinct counts keep counts of values"),
    }
}

impl Part {
    fn new(plan: &TablePlan, part: &PartPlan) -> Self {
        match &plan.lanes[part.lane] {
            LanePlan::Count { .. } => Self::Count(Count::default()),
            LanePlan::Moments { .. } => Self::Moments(Box::default()),
            LanePlan::Higher { .. } => Self::Higher(Box::default()),
            LanePlan::Pair { .. } | LanePlan::Slope { .. } => Self::Pair(Box::default()),
            LanePlan::Extreme { .. } => Self::Extreme(Box::default()),
            LanePlan::Registers { .. } => Self::Registers(Registers::default()),
            LanePlan::Decay { .. } => Self::Decay(Box::default()),
            lane @ (LanePlan::Tally { .. } | LanePlan::Distinct { .. }) => Self::Tally(Box::new(Cursor::new(lane))),
            LanePlan::Entry { .. } => Self::Entries(Box::default()),
            LanePlan::Rank { .. } => unreachable!("quantiles over all time are refused when a plan is compiled"),
        }
    }

    fn add(&mut self, plan: &TablePlan, part: &PartPlan, run: Run<'_>, index: usize, texts: &mut Interner) {
        let column = |index: usize| &plan.columns[index];
        fn one<S: Scan>(lane: &S, run: Run<'_>, index: usize, sum: &mut S::Sum) {
            lane.scan(run, index, index + 1, 0, sum);
        }
        match (self, &plan.lanes[part.lane]) {
            (Self::Count(sum), &LanePlan::Count { mask }) => one(&Counts { mask }, run, index, sum),
            (Self::Moments(sum), &LanePlan::Moments { column: c, mask, squares }) => {
                one(&Moments { column: column(c), mask, squares }, run, index, sum);
            }
            (Self::Higher(sum), &LanePlan::Higher { column: c, mask }) => {
                one(&HigherOf { column: column(c), mask }, run, index, sum);
            }
            (Self::Pair(sum), &LanePlan::Pair { x, y, mask }) => {
                one(&PairOf { x: column(x), y: Some(column(y)), mask }, run, index, sum);
            }
            (Self::Pair(sum), &LanePlan::Slope { column: c, mask }) => {
                one(&PairOf { x: column(c), y: None, mask }, run, index, sum);
            }
            (Self::Extreme(best), &LanePlan::Extreme { column: c, mask, max, beside }) => {
                let mut found = Best::default();
                one(&ExtremeOf { column: column(c), mask, max, beside: beside.map(column) }, run, index, &mut found);
                // What has left the log lies before all that is in it.
                found.position = 0;
                if found.any && (!best.any || found.rank < best.rank) {
                    if beside.is_some_and(|beside| column(beside).kind == FieldKind::String) {
                        texts.hold(found.beside as u32);
                        if best.any {
                            texts.release(best.beside as u32);
                        }
                    }
                    **best = found;
                }
            }
            (Self::Registers(sum), &LanePlan::Registers { column: c, mask }) => {
                one(&RegistersOf { column: column(c), mask, texts }, run, index, sum);
            }
            (Self::Decay(sum), &LanePlan::Decay { column: c, mask, half_life }) => {
                one(&DecayOf { column: column(c), mask, half_life }, run, index, sum);
            }
            (Self::Tally(tally), LanePlan::Tally { .. } | LanePlan::Distinct { .. }) => {
                if let Some(value) = tallied(plan, part.lane, run, index) {
                    let column = tally_column(plan, part.lane);
                    if column.kind == FieldKind::String && tally.tally().count(value) == 0 {
                        texts.hold(value as u32);
                    }
                    tally.add(value, column, texts);
                }
            }
            (Self::Entries(entries), &LanePlan::Entry { column: c, mask }) => {
                if kept(run, mask, index, index + 1) != 0 {
                    let value = c.map_or(0, |c| column(c).load(run, index));
                    let texts = c.is_some_and(|c| column(c).kind == FieldKind::String).then_some(texts);
                    entries.add(run.times()[index], value, part.depth, texts);
                }
            }
            _ => unreachable!("a part is of the kind of its lane"),
        }
    }

    fn tally(&self) -> Option<&Tally> {
        if let Self::Tally(cursor) = self { Some(cursor.tally()) } else { None }
    }

    /// Gives back the texts it holds.
    fn release(&self, plan: &TablePlan, part: &PartPlan, texts: &mut Interner) {
        let text = |column: usize| plan.columns[column].kind == FieldKind::String;
        match (self, &plan.lanes[part.lane]) {
            (Self::Extreme(best), &LanePlan::Extreme { beside: Some(beside), .. }) if best.any && text(beside) => {
                texts.release(best.beside as u32);
            }
            (Self::Tally(tally), &(LanePlan::Tally { column, .. } | LanePlan::Distinct { column, .. }))
                if text(column) =>
            {
                tally.tally().iter().for_each(|(value, _)| texts.release(value as u32));
            }
            (Self::Entries(entries), &LanePlan::Entry { column: Some(column), .. }) if text(column) => {
                entries.values().for_each(|value| texts.release(value as u32));
            }
            _ => {}
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Count(_) => 0,
            Self::Moments(sum) => boxed::<MomentSum>() + sum.bytes(),
            Self::Higher(sum) => boxed::<Higher>() + sum.bytes(),
            Self::Pair(sum) => boxed::<CoMoments>() + sum.bytes(),
            Self::Extreme(_) => boxed::<Best>(),
            Self::Registers(sum) => sum.bytes(),
            Self::Decay(_) => boxed::<DecaySum>(),
            Self::Tally(tally) => boxed::<Cursor>() + tally.bytes(),
            Self::Entries(entries) => boxed::<Entries>() + entries.bytes(),
        }
    }
}
