//! The log of a key with many events: full runs one after the other, and what each lane keeps beside them.
//!
//! A summary is made when its run is full; an event that comes late moves those after it by one place and has the summaries of their
//! runs made again. Nothing here grows with what is inside a window: answers are made of summaries, and events leave a few at a time.

use std::cell::Cell;
use std::collections::VecDeque;

use super::cursor::Cursor;
use super::distinct::LastSeen;
use super::follow::Follows;
use super::interner::Interner;
use super::lane::{Count, Counts, DecayOf, ExtremeOf, HigherOf, Moments, PairOf, RegistersOf, Scan, kept};
use super::prefetch;
use super::rank::Ranks;
use super::run::{RUN, Run, RunMut};
use super::tail::busy::NOTHING;
use super::tree::Tree;
use crate::aggregate::co_moments::CoMoments;
use crate::aggregate::decay::DecaySum;
use crate::aggregate::extreme::Best;
use crate::aggregate::higher::Higher;
use crate::aggregate::moments::MomentSum;
use crate::aggregate::registers::Registers;
use crate::plan::{FlagPlan, LanePlan, Shape, TablePlan};

mod bytes;
mod saved;

pub(super) use saved::{Met, POSITION_MAX};

const RUN_BITS: u64 = RUN as u64;
/// So many events are stepped over one by one.
const STEPS: u64 = 8;
/// Runs kept for later.
const SPARE_MAX: usize = 2;

/// What a lane keeps of a busy key.
#[derive(Debug)]
pub(super) enum Kept {
    /// The flags do.
    Nothing,
    Moments(Tree<MomentSum>),
    Higher(Box<Tree<Higher>>),
    Pair(Box<Tree<CoMoments>>),
    Extreme(Tree<Best>),
    Registers(Tree<Registers>),
    Decay(Tree<DecaySum>),
    Distinct(LastSeen),
    Rank(Box<Ranks>),
}

#[derive(Debug)]
pub(crate) struct Busy {
    shape: Shape,
    runs: VecDeque<Box<[u64]>>,
    /// Time of the first event of each run.
    firsts: VecDeque<i64>,
    spare: Vec<Box<[u64]>>,
    /// Number of the first run.
    base: u64,
    first: u64,
    end: u64,
    /// Time of the newest event.
    newest: i64,
    flags: Box<[Tree<Count>]>,
    lanes: Box<[Kept]>,
    cursors: Box<[Cursor]>,
    follows: Follows,
    /// What follows the windows that are answered together: `plan::tail` lays it out.
    tail: Box<[u64]>,
    /// Where windows began last: where to begin to look.
    heads: Box<[Cell<u64>]>,
}

impl Busy {
    /// From the events of a run, the first of which has position 0.
    pub fn new(plan: &TablePlan, from: Run<'_>, texts: &Interner) -> Self {
        let kept = |lane: &LanePlan| match lane {
            LanePlan::Count { .. } | LanePlan::Tally { .. } | LanePlan::Entry { .. } => Kept::Nothing,
            LanePlan::Moments { .. } => Kept::Moments(Tree::default()),
            LanePlan::Higher { .. } => Kept::Higher(Box::default()),
            LanePlan::Pair { .. } | LanePlan::Slope { .. } => Kept::Pair(Box::default()),
            LanePlan::Extreme { .. } => Kept::Extreme(Tree::default()),
            LanePlan::Registers { .. } => Kept::Registers(Tree::default()),
            LanePlan::Decay { .. } => Kept::Decay(Tree::default()),
            LanePlan::Distinct { .. } => Kept::Distinct(LastSeen::default()),
            LanePlan::Rank { .. } => Kept::Rank(Box::default()),
        };
        let mut busy = Self {
            shape: plan.shape,
            runs: VecDeque::new(),
            firsts: VecDeque::new(),
            spare: Vec::new(),
            base: 0,
            first: 0,
            end: 0,
            newest: i64::MIN,
            flags: plan.flags.iter().map(|_| Tree::default()).collect(),
            lanes: plan.lanes.iter().map(kept).collect(),
            cursors: plan.cursors.iter().map(|&lane| Cursor::new(&plan.lanes[lane])).collect(),
            follows: Follows::new(plan),
            tail: vec![NOTHING; plan.tail_words].into_boxed_slice(),
            heads: vec![Cell::new(0); plan.heads].into_boxed_slice(),
        };
        for index in 0..from.len() {
            busy.push(plan, from, index, texts);
        }
        busy
    }

    #[inline]
    pub fn first(&self) -> u64 {
        self.first
    }

    #[inline]
    pub fn end(&self) -> u64 {
        self.end
    }

    pub fn len(&self) -> usize {
        (self.end - self.first) as usize
    }

    /// A run by its number.
    #[inline]
    pub fn run(&self, number: u64) -> Run<'_> {
        let len = (self.end - number * RUN_BITS).min(RUN_BITS) as usize;
        Run::new(&self.runs[(number - self.base) as usize], self.shape, RUN, len)
    }

    fn run_mut(&mut self, number: u64) -> RunMut<'_> {
        RunMut { words: &mut self.runs[(number - self.base) as usize], shape: self.shape, room: RUN }
    }

    pub fn flag(&self, flag: usize) -> &Tree<Count> {
        &self.flags[flag]
    }

    pub fn lane(&self, lane: usize) -> &Kept {
        &self.lanes[lane]
    }

    /// Position of the newest event with a value, in a lane of distinct counts.
    pub fn last_seen(&self, lane: usize, value: u64) -> Option<u64> {
        if let Kept::Distinct(seen) = &self.lanes[lane] { seen.get(value) } else { None }
    }

    /// Time of the newest event.
    #[inline]
    pub fn newest(&self) -> i64 {
        self.newest
    }

    #[inline]
    pub fn take_tail(&mut self) -> Box<[u64]> {
        std::mem::take(&mut self.tail)
    }

    #[inline]
    pub fn put_tail(&mut self, back: Box<[u64]>) {
        self.tail = back;
    }

    pub fn take_follows(&mut self) -> Follows {
        std::mem::take(&mut self.follows)
    }

    pub fn put_follows(&mut self, back: Follows) {
        self.follows = back;
    }

    /// Asks for what the next answer begins with.
    pub fn warm(&self) {
        self.follows.warm();
        prefetch::slice(&self.tail);
        prefetch::slice(&self.heads);
        if let Some(run) = self.runs.back() {
            let place = ((self.end - 1) % RUN_BITS) as usize;
            for column in 0..self.shape.words {
                prefetch::value(&run[column * RUN + place]);
            }
            let narrow = self.shape.words * RUN;
            for half in 0..self.shape.halves {
                prefetch::value(&run[narrow + (half * RUN + place) / 2]);
            }
            prefetch::value(&run[run.len() - 1]);
        }
    }

    /// `upper_bound`, looked for where it was last.
    #[inline]
    pub fn upper_bound_near(&self, head: usize, t: i64) -> u64 {
        let mut position = self.heads[head].get();
        let known = position > self.first && position <= self.end && self.time(position - 1) <= t;
        let last = position + STEPS;
        while known && position < last && position < self.end && self.time(position) <= t {
            position += 1;
        }
        if !known || position == last {
            position = self.upper_bound(t);
        }
        self.heads[head].set(position);
        position
    }

    pub fn take_cursor(&mut self, cursor: usize) -> Cursor {
        std::mem::take(&mut self.cursors[cursor])
    }

    pub fn put_cursor(&mut self, cursor: usize, back: Cursor) {
        self.cursors[cursor] = back;
    }

    /// Position after the last event with a time not above `t`.
    #[inline]
    pub fn upper_bound(&self, t: i64) -> u64 {
        if self.newest <= t {
            return self.end;
        }
        // Of the run that begins last with a time not above t; it is often the newest.
        let runs = match self.firsts.back() {
            Some(&last) if last <= t => self.firsts.len(),
            _ => self.firsts.partition_point(|&first| first <= t),
        };
        if runs == 0 {
            return self.first;
        }
        let number = self.base + runs as u64 - 1;
        (number * RUN_BITS + self.run(number).upper_bound(t) as u64).max(self.first)
    }

    /// Puts an event in at its place, the end or before; sessions and distinct values take notice.
    pub fn insert(&mut self, plan: &TablePlan, at: u64, record: Run<'_>, texts: &Interner) {
        if at == self.end {
            self.push(plan, record, 0, texts);
        } else {
            self.insert_late(plan, at, record, texts);
        }
    }

    fn push(&mut self, plan: &TablePlan, record: Run<'_>, index: usize, texts: &Interner) {
        let position = self.end;
        let place = (position % RUN_BITS) as usize;
        if place == 0 {
            let words = self.shape.words_of(RUN);
            let mut run = self.spare.pop().unwrap_or_else(|| vec![0; words].into_boxed_slice());
            // Flags of what was there before must not show.
            run.fill(0);
            self.runs.push_back(run);
            self.firsts.push_back(record.times()[index]);
        }
        let number = position / RUN_BITS;
        self.run_mut(number).append(place, record, index);
        self.end += 1;
        self.newest = record.times()[index];
        if plan.has_sessions {
            self.begin_session(plan, position);
        }
        for &lane in &plan.noting {
            self.remember(plan, lane, position);
        }
        if place == RUN - 1 {
            self.close(plan, number, texts);
        }
    }

    /// Whether the event at a position is further from the one before than each session's gap.
    fn begin_session(&mut self, plan: &TablePlan, position: u64) {
        for (flag, flag_plan) in plan.flags.iter().enumerate() {
            if let FlagPlan::Session { gap } = *flag_plan {
                let begins =
                    position == self.first || self.time(position).saturating_sub(self.time(position - 1)) > gap;
                self.set_flag(flag, position, begins);
            }
        }
    }

    fn time(&self, position: u64) -> i64 {
        self.run(position / RUN_BITS).times()[(position % RUN_BITS) as usize]
    }

    fn set_flag(&mut self, flag: usize, position: u64, value: bool) {
        self.run_mut(position / RUN_BITS).set_flag(flag, (position % RUN_BITS) as usize, value);
    }

    /// A lane takes note of the newest event.
    fn remember(&mut self, plan: &TablePlan, lane: usize, position: u64) {
        let (number, index) = (position / RUN_BITS, (position % RUN_BITS) as usize);
        match plan.lanes[lane] {
            LanePlan::Distinct { column, mask, flag, previous } => {
                let run = self.run(number);
                let is_kept = kept(run, mask, index, index + 1) != 0;
                let value = plan.columns[column].identity(run, index);
                let before = match &mut self.lanes[lane] {
                    Kept::Distinct(seen) if is_kept => seen.put(value, position),
                    _ => None,
                };
                self.link(flag, previous, position, is_kept, before);
            }
            LanePlan::Rank { column, mask } => {
                let run = self.run(number);
                if kept(run, mask, index, index + 1) != 0 {
                    let value = plan.columns[column].float(run, index);
                    if let Kept::Rank(ranks) = &mut self.lanes[lane] {
                        ranks.insert(value, position);
                    }
                }
            }
            _ => {}
        }
    }

    /// The event at a position is the newest of its value; the one before is not any more.
    fn link(&mut self, flag: usize, previous: Option<usize>, position: u64, newest: bool, before: Option<u64>) {
        self.set_flag(flag, position, newest);
        if let Some(half) = previous {
            let back = before.map_or(0, |before| u32::try_from(position - before).unwrap_or(0));
            self.run_mut(position / RUN_BITS).set_half(half, (position % RUN_BITS) as usize, back);
        }
        if let Some(before) = before.filter(|&before| before >= self.first) {
            self.set_flag(flag, before, false);
            self.flags[flag].update(before, |count| count.0 -= 1);
        }
    }

    /// Makes the summaries of a run that has become full.
    fn close(&mut self, plan: &TablePlan, number: u64, texts: &Interner) {
        // The run is borrowed beside the trees.
        let run = Run::new(&self.runs[(number - self.base) as usize], self.shape, RUN, RUN);
        for (flag, tree) in self.flags.iter_mut().enumerate() {
            tree.close(number, summary(&Counts { mask: Some(flag) }, run, number));
        }
        for (lane, plan_lane) in plan.lanes.iter().enumerate() {
            let column = |index: usize| &plan.columns[index];
            match (&mut self.lanes[lane], plan_lane) {
                (Kept::Moments(tree), &LanePlan::Moments { column: c, mask, squares }) => {
                    tree.close(number, summary(&Moments { column: column(c), mask, squares }, run, number));
                }
                (Kept::Higher(tree), &LanePlan::Higher { column: c, mask }) => {
                    tree.close(number, summary(&HigherOf { column: column(c), mask }, run, number));
                }
                (Kept::Pair(tree), &LanePlan::Pair { x, y, mask }) => {
                    tree.close(number, summary(&PairOf { x: column(x), y: Some(column(y)), mask }, run, number));
                }
                (Kept::Pair(tree), &LanePlan::Slope { column: c, mask }) => {
                    tree.close(number, summary(&PairOf { x: column(c), y: None, mask }, run, number));
                }
                (Kept::Extreme(tree), &LanePlan::Extreme { column: c, mask, max, beside }) => {
                    let lane = ExtremeOf { column: column(c), mask, max, beside: beside.map(column) };
                    tree.close(number, summary(&lane, run, number));
                }
                (Kept::Registers(tree), &LanePlan::Registers { column: c, mask }) => {
                    tree.close(number, summary(&RegistersOf { column: column(c), mask, texts }, run, number));
                }
                (Kept::Decay(tree), &LanePlan::Decay { column: c, mask, half_life }) => {
                    tree.close(number, summary(&DecayOf { column: column(c), mask, half_life }, run, number));
                }
                _ => {}
            }
        }
    }

    /// Forgets the summaries of what lies at and after a position.
    fn open(&mut self, position: u64) {
        self.flags.iter_mut().for_each(|tree| tree.truncate(position));
        self.each_tree(|tree| tree.truncate(position));
    }

    fn each_tree(&mut self, mut change: impl FnMut(&mut dyn AnyTree)) {
        for lane in &mut self.lanes {
            match lane {
                Kept::Moments(tree) => change(tree),
                Kept::Higher(tree) => change(&mut **tree),
                Kept::Pair(tree) => change(&mut **tree),
                Kept::Extreme(tree) => change(tree),
                Kept::Registers(tree) => change(tree),
                Kept::Decay(tree) => change(tree),
                Kept::Nothing | Kept::Distinct(_) | Kept::Rank(_) => {}
            }
        }
    }

    fn insert_late(&mut self, plan: &TablePlan, at: u64, record: Run<'_>, texts: &Interner) {
        self.open(at);
        self.follows.forget();
        self.tail.iter_mut().take(1).for_each(|taken_in| *taken_in = NOTHING);
        for lane in 0..plan.lanes.len() {
            self.make_way(plan, lane, at);
        }
        // From the newest run on down: each gives its last event to the one after it.
        let (from, last) = (at / RUN_BITS, self.end / RUN_BITS);
        if self.end.is_multiple_of(RUN_BITS) {
            let words = self.shape.words_of(RUN);
            self.runs.push_back(self.spare.pop().unwrap_or_else(|| vec![0; words].into_boxed_slice()));
            self.runs.back_mut().expect("one has been put in").fill(0);
            self.firsts.push_back(i64::MAX);
        }
        let shape = self.shape;
        for number in (from + 1..=last).rev() {
            let index = (number - self.base) as usize;
            let giving = std::mem::take(&mut self.runs[index - 1]);
            // Of a full run the last event has been given away already.
            let len = (self.end - number * RUN_BITS).min(RUN_BITS - 1) as usize;
            let run = Run::new(&giving, shape, RUN, RUN);
            RunMut { words: &mut self.runs[index], shape, room: RUN }.insert(len, 0, run, RUN - 1);
            self.firsts[index] = run.times()[RUN - 1];
            self.runs[index - 1] = giving;
        }
        let len = ((self.end - from * RUN_BITS).min(RUN_BITS - 1)) as usize;
        let place = (at % RUN_BITS) as usize;
        self.run_mut(from).insert(len, place, record, 0);
        if place == 0 {
            self.firsts[(from - self.base) as usize] = record.times()[0];
        }
        self.end += 1;
        self.begin_session(plan, at);
        self.begin_session(plan, at + 1);
        for lane in 0..plan.lanes.len() {
            self.remember_late(plan, lane, at);
        }
        for number in from..self.end / RUN_BITS {
            self.close(plan, number, texts);
        }
        let mut cursors = std::mem::take(&mut self.cursors);
        for (cursor, &lane) in cursors.iter_mut().zip(&plan.cursors) {
            cursor.insert(at, Cursor::counts(plan, lane, self.run(from), place), texts);
        }
        self.cursors = cursors;
    }

    /// Positions from `at` on become one larger: what lanes know of them follows.
    fn make_way(&mut self, plan: &TablePlan, lane: usize, at: u64) {
        let moved = at..self.end;
        match plan.lanes[lane] {
            LanePlan::Distinct { column, flag, previous, .. } => {
                for position in moved {
                    let (number, index) = (position / RUN_BITS, (position % RUN_BITS) as usize);
                    let run = self.run(number);
                    if run.flag(flag) >> index & 1 == 1 {
                        let value = plan.columns[column].identity(run, index);
                        if let Kept::Distinct(seen) = &mut self.lanes[lane] {
                            seen.put(value, position + 1);
                        }
                    }
                    if let Some(half) = previous {
                        let back = self.run(number).half(half)[index];
                        if back > 0 && position - u64::from(back) < at {
                            self.run_mut(number).set_half(half, index, back.saturating_add(1));
                        }
                    }
                }
            }
            LanePlan::Rank { column, mask } => {
                for position in moved.rev() {
                    let (run, index) = (self.run(position / RUN_BITS), (position % RUN_BITS) as usize);
                    if kept(run, mask, index, index + 1) != 0 {
                        let value = plan.columns[column].float(run, index);
                        if let Kept::Rank(ranks) = &mut self.lanes[lane] {
                            ranks.remove(value, position);
                            ranks.insert(value, position + 1);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// A lane takes note of an event that others come after.
    fn remember_late(&mut self, plan: &TablePlan, lane: usize, at: u64) {
        let LanePlan::Distinct { column, mask, flag, previous } = plan.lanes[lane] else {
            return self.remember(plan, lane, at);
        };
        let column = &plan.columns[column];
        let same = |busy: &Self, position: u64, value: u64| {
            let (run, index) = (busy.run(position / RUN_BITS), (position % RUN_BITS) as usize);
            kept(run, mask, index, index + 1) != 0 && column.identity(run, index) == value
        };
        let (run, index) = (self.run(at / RUN_BITS), (at % RUN_BITS) as usize);
        if kept(run, mask, index, index + 1) == 0 {
            return self.link(flag, previous, at, false, None);
        }
        let value = column.identity(run, index);
        let later = (at + 1..self.end).find(|&position| same(self, position, value));
        let Some(later) = later else { return self.remember(plan, lane, at) };
        let half = previous.expect("a stream whose events may come late keeps what came before what");
        let back = self.run(later / RUN_BITS).half(half)[(later % RUN_BITS) as usize];
        let before = (back > 0).then(|| later - u64::from(back));
        self.set_flag(flag, at, false);
        let to_before = before.map_or(0, |before| u32::try_from(at - before).unwrap_or(0));
        self.run_mut(at / RUN_BITS).set_half(half, (at % RUN_BITS) as usize, to_before);
        self.run_mut(later / RUN_BITS).set_half(half, (later % RUN_BITS) as usize, (later - at) as u32);
    }

    /// How many events at the front may go, by whole runs, where those before a time are not needed.
    pub fn gone_before(&self, time: i64) -> bool {
        self.firsts.get(1).is_some_and(|&second| second <= time)
    }

    /// Drops events at the front; `leave` sees each.
    pub fn drop_front(
        &mut self,
        plan: &TablePlan,
        count: usize,
        texts: &mut Interner,
        mut leave: impl FnMut(Run<'_>, usize, &mut Interner),
    ) {
        let first = self.first + count as u64;
        let mut cursors = std::mem::take(&mut self.cursors);
        for (cursor, &lane) in cursors.iter_mut().zip(&plan.cursors) {
            cursor.leave_behind(plan, lane, self, first, texts);
        }
        self.cursors = cursors;
        for position in self.first..first {
            let (number, index) = (position / RUN_BITS, (position % RUN_BITS) as usize);
            let run = Run::new(&self.runs[(number - self.base) as usize], self.shape, RUN, self.run(number).len());
            leave(run, index, texts);
            for (lane, plan_lane) in self.lanes.iter_mut().zip(&plan.lanes) {
                match (lane, plan_lane) {
                    (Kept::Distinct(seen), &LanePlan::Distinct { column, flag, .. })
                        if run.flag(flag) >> index & 1 == 1 =>
                    {
                        seen.forget(plan.columns[column].identity(run, index));
                    }
                    (Kept::Rank(ranks), &LanePlan::Rank { column, mask }) if kept(run, mask, index, index + 1) != 0 => {
                        ranks.remove(plan.columns[column].float(run, index), position);
                    }
                    _ => {}
                }
            }
        }
        self.first = first;
        while (self.base + 1) * RUN_BITS <= first {
            let left = self.runs.pop_front();
            self.firsts.pop_front();
            self.base += 1;
            if self.spare.len() < SPARE_MAX {
                self.spare.extend(left);
            }
        }
        self.flags.iter_mut().for_each(|tree| tree.drop_before(first));
        self.each_tree(|tree| tree.drop_before(first));
    }

    /// Looks at all events, the oldest first.
    pub fn each(&self, mut look: impl FnMut(Run<'_>, usize)) {
        for position in self.first..self.end {
            look(self.run(position / RUN_BITS), (position % RUN_BITS) as usize);
        }
    }
}

fn summary<S: Scan>(lane: &S, run: Run<'_>, number: u64) -> S::Sum {
    let mut sum = S::Sum::default();
    lane.scan(run, 0, RUN, number * RUN_BITS, &mut sum);
    sum
}

/// What trees of all kinds have in common.
trait AnyTree {
    fn truncate(&mut self, position: u64);
    fn drop_before(&mut self, position: u64);
}

impl<S: super::tree::Summary> AnyTree for Tree<S> {
    fn truncate(&mut self, position: u64) {
        self.truncate(position);
    }

    fn drop_before(&mut self, position: u64) {
        self.drop_before(position);
    }
}
