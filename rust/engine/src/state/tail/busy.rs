//! Many events of a key: what follows each window is moved on with it. What leaves is taken away, the row's own event is put in.

use super::super::answer::{Question, moments};
use super::super::busy::{Busy, Kept};
use super::super::cells::Cells;
use super::super::lane::{ExtremeOf, Moments, Scan, kept};
use super::super::log::Log;
use super::super::run::Run;
use super::super::tree::Tree;
use super::super::walk::{STEPS_MAX, count_of};
use super::{Parts, entries, give_best, give_distinct, give_sums, parts};
use crate::aggregate::exact::{self, U256};
use crate::aggregate::extreme::{self, Best};
use crate::aggregate::moments::MomentSum;
use crate::definition::FieldKind;
use crate::plan::{TAIL_HEADER, TailExtreme, TailMoments, TailPlan};

/// Instead of how far the log has been taken in: what follows its windows has to be made anew.
pub(in super::super) const NOTHING: u64 = u64::MAX;
/// Instead of a scale: values do not fit one.
const BROKEN: u64 = 1 << 63;
/// Instead of a position: the best has left.
const LEFT: u64 = u64::MAX - 1;
/// Instead of a position: no event has a value.
const NONE: u64 = u64::MAX;

/// Answers the tail of a busy key; false where the row is not after all of its events.
pub(in super::super) fn answer(question: &Question<'_>, busy: &mut Busy, own: Run<'_>, cells: &mut Cells) -> bool {
    if busy.newest() > question.t {
        return false;
    }
    let mut words = busy.take_tail();
    let mut tail = Follow { question, tail: &question.read.tail, busy, log: Log::Busy(busy), own, words: &mut words };
    tail.move_on();
    tail.counts(cells);
    for lane in &tail.tail.moments {
        tail.sums(lane, cells);
    }
    for lane in &tail.tail.extremes {
        tail.extremes(lane, cells);
    }
    tail.distincts(cells);
    entries(question, tail.tail, tail.log, own, |window| tail.words[TAIL_HEADER + window], cells);
    busy.put_tail(words);
    true
}

/// What follows the windows of a busy key, on its way through one event.
struct Follow<'a> {
    question: &'a Question<'a>,
    tail: &'a TailPlan,
    busy: &'a Busy,
    log: Log<'a>,
    own: Run<'a>,
    words: &'a mut [u64],
}

impl<'a> Follow<'a> {
    fn low(&self, window: usize) -> u64 {
        self.words[TAIL_HEADER + window]
    }

    /// Moves each window to where it begins now. The row's own event counts as taken in afterwards.
    fn move_on(&mut self) {
        let (first, end) = (self.busy.first(), self.busy.end());
        let is_followed = self.words[0] == end;
        if !is_followed {
            self.words.fill(0);
            self.tail.moments.iter().for_each(|lane| self.words[lane.scale] = exact::UNSET as u64);
        }
        self.words[0] = end + 1;
        let tail = self.tail;
        let times = TAIL_HEADER + tail.windows.len();
        for (index, window) in tail.windows.iter().enumerate() {
            let after = self.question.t.saturating_sub(window.length);
            let mut low = self.low(index);
            let mut known = is_followed && low >= first;
            // Mostly the oldest event of a window stays.
            if known && self.words[times + index] as i64 > after {
                continue;
            }
            let last = low + STEPS_MAX;
            // The row's own event comes after all of them.
            let mut time = self.question.t;
            while known && low < end {
                let (run, place) = self.log.at(low);
                if run.times()[place] > after {
                    time = run.times()[place];
                    break;
                }
                if low == last {
                    known = false;
                    break;
                }
                self.leave(index, run, place, low);
                low += 1;
            }
            if !known {
                low = self.busy.upper_bound(after);
                self.remake(index, low);
                time = if low < end { self.log.time(low) } else { self.question.t };
            }
            self.words[TAIL_HEADER + index] = low;
            self.words[times + index] = time as u64;
        }
    }

    /// Takes an event out of a window.
    #[inline]
    fn leave(&mut self, index: usize, run: Run<'_>, place: usize, position: u64) {
        let window = &self.tail.windows[index];
        for &(flag, word) in &window.flags {
            self.words[word] -= u64::from(run.flag(flag) >> place & 1);
        }
        for &(lane, word) in &window.moments {
            let lane = &self.tail.moments[lane];
            if self.words[lane.scale] == BROKEN || kept(run, lane.mask, place, place + 1) == 0 {
                continue;
            }
            let column = &self.question.plan.columns[lane.column];
            let value = parts(column, column.load(run, place)).and_then(|value| fixed(value, self.words[lane.scale]));
            let rest = value.and_then(|value| self.sums_at(lane, word).sub(value, square(value, lane.squares)));
            match rest {
                Some(rest) => self.put_sums(lane, word, self.words[word] - 1, &rest),
                None => self.words[lane.scale] = BROKEN,
            }
        }
        for &word in &window.extremes {
            if self.words[word + 1] == position + 1 {
                self.words[word + 1] = LEFT;
            }
        }
    }

    /// Makes anew what follows a window that begins here.
    fn remake(&mut self, index: usize, low: u64) {
        let (end, tail) = (self.busy.end(), self.tail);
        let window = &tail.windows[index];
        for &(flag, word) in &window.flags {
            self.words[word] = self.log.count(flag, low, end);
        }
        for &(lane, word) in &window.moments {
            let lane = &tail.moments[lane];
            self.put_sums(lane, word, 0, &exact::Moments::default());
            let mut sum = MomentSum::default();
            self.log.fold(&self.scan(lane), |busy| moments_of(busy, lane.lane), low, end, &mut sum);
            self.take_in(lane, word, &sum);
        }
        for &word in &window.extremes {
            self.words[word + 1] = LEFT;
        }
    }

    fn scan(&self, lane: &TailMoments) -> Moments<'a> {
        Moments { column: &self.question.plan.columns[lane.column], mask: lane.mask, squares: lane.squares }
    }

    fn sums_at(&self, lane: &TailMoments, word: usize) -> exact::Moments {
        let words = &self.words[word + 1..];
        let sum = (u128::from(words[0]) | u128::from(words[1]) << 64) as i128;
        let squares = if lane.squares { U256([words[2], words[3], words[4], words[5]]) } else { U256::default() };
        exact::Moments { sum, squares }
    }

    fn put_sums(&mut self, lane: &TailMoments, word: usize, count: u64, sums: &exact::Moments) {
        let words = &mut self.words[word..];
        (words[0], words[1], words[2]) = (count, sums.sum as u64, (sums.sum as u128 >> 64) as u64);
        if lane.squares {
            words[3..7].copy_from_slice(&sums.squares.0);
        }
    }

    /// Puts the sums of a window in whose words are zero, in the unit of the lane.
    fn take_in(&mut self, lane: &TailMoments, word: usize, sum: &MomentSum) {
        let Some((scale, sums)) = sum.narrow() else {
            self.words[lane.scale] = BROKEN;
            return;
        };
        if scale != exact::UNSET && !self.refine(lane, scale) {
            return;
        }
        let sums = if scale == exact::UNSET || self.words[lane.scale] == BROKEN {
            Some(sums)
        } else {
            sums.finer((scale - self.words[lane.scale] as i32) as u32)
        };
        match sums {
            Some(sums) => self.put_sums(lane, word, sum.count, &sums),
            None => self.words[lane.scale] = BROKEN,
        }
    }

    /// Makes the unit of a lane as small as this, where it is larger; false where its sums do not fit then, or did not before.
    fn refine(&mut self, lane: &TailMoments, scale: i32) -> bool {
        if self.words[lane.scale] == BROKEN {
            return false;
        }
        let old = self.words[lane.scale] as i32;
        if scale >= old {
            return true;
        }
        for of in &lane.of {
            let sums = self.sums_at(lane, of.word);
            let finer = if sums == exact::Moments::default() { Some(sums) } else { sums.finer((old - scale) as u32) };
            match finer {
                Some(finer) => self.put_sums(lane, of.word, self.words[of.word], &finer),
                None => {
                    self.words[lane.scale] = BROKEN;
                    return false;
                }
            }
        }
        self.words[lane.scale] = scale as u64;
        true
    }

    /// Counts of all events, and of those with a flag.
    fn counts(&mut self, cells: &mut Cells) {
        let (tail, end) = (self.tail, self.busy.end());
        for of in &tail.counts {
            let count = end - self.low(of.window) + u64::from(tail.windows[of.window].current);
            of.jobs.iter().for_each(|job| count_of(count, job, cells));
        }
        for lane in &tail.masked {
            let own = u64::from(self.own.flag(lane.flag) & 1);
            for of in &lane.of {
                let before = self.words[of.word];
                self.words[of.word] = before + own;
                let count = if tail.windows[of.window].current { before + own } else { before };
                of.jobs.iter().for_each(|job| count_of(count, job, cells));
            }
        }
    }

    fn sums(&mut self, lane: &TailMoments, cells: &mut Cells) {
        if self.words[lane.scale] == BROKEN {
            self.mend(lane);
        }
        if !self.step(lane, cells) {
            self.words[lane.scale] = BROKEN;
            self.slowly(lane, cells);
        }
    }

    /// Makes the sums of a lane anew whose values did not fit a unit; perhaps they do now.
    fn mend(&mut self, lane: &TailMoments) {
        for of in &lane.of {
            self.put_sums(lane, of.word, 0, &exact::Moments::default());
        }
        self.words[lane.scale] = exact::UNSET as u64;
        for of in &lane.of {
            let mut sum = MomentSum::default();
            let (low, end) = (self.low(of.window), self.busy.end());
            self.log.fold(&self.scan(lane), |busy| moments_of(busy, lane.lane), low, end, &mut sum);
            self.take_in(lane, of.word, &sum);
        }
    }

    /// Puts the row's own event into the windows of a lane; false where it does not fit.
    #[inline]
    fn step(&mut self, lane: &TailMoments, cells: &mut Cells) -> bool {
        if self.words[lane.scale] == BROKEN {
            return false;
        }
        let column = &self.question.plan.columns[lane.column];
        let mut enters = None;
        if kept(self.own, lane.mask, 0, 1) != 0 {
            let Some(value) = parts(column, column.load(self.own, 0)) else { return false };
            if value.magnitude != 0 && !self.refine(lane, value.exponent) {
                return false;
            }
            let Some(value) = fixed(value, self.words[lane.scale]) else { return false };
            enters = Some((value, square(value, lane.squares)));
        }
        let scale = self.words[lane.scale] as i32;
        for of in &lane.of {
            let (mut sums, mut count) = (self.sums_at(lane, of.word), self.words[of.word]);
            let current = self.tail.windows[of.window].current;
            if !current {
                give_sums(count, scale, &sums, &of.jobs, cells);
            }
            if let Some((value, square)) = enters {
                let Some(more) = sums.add(value, square) else { return false };
                (sums, count) = (more, count + 1);
                self.put_sums(lane, of.word, count, &sums);
            }
            if current {
                give_sums(count, scale, &sums, &of.jobs, cells);
            }
        }
        true
    }

    /// Answers from the log.
    fn slowly(&self, lane: &TailMoments, cells: &mut Cells) {
        let scan = self.scan(lane);
        let mut sum = scan.begin(Some(self.own));
        let mut high = self.busy.end();
        for of in &lane.of {
            let low = self.low(of.window);
            self.log.fold(&scan, |busy| moments_of(busy, lane.lane), low, high, &mut sum);
            high = low;
            let mut whole = sum.clone();
            if self.tail.windows[of.window].current {
                scan.scan(self.own, 0, 1, self.busy.end(), &mut whole);
            }
            moments(&whole, &of.jobs, cells);
        }
    }

    fn extremes(&mut self, lane: &TailExtreme, cells: &mut Cells) {
        let column = &self.question.plan.columns[lane.column];
        let float = column.kind == FieldKind::Float64;
        let end = self.busy.end();
        let own =
            (kept(self.own, lane.mask, 0, 1) != 0).then(|| extreme::order(column.load(self.own, 0), float, lane.max));
        // The best of the next shorter window, and where that begins.
        let (mut best, mut high) = (Best::default(), end);
        for of in &lane.of {
            let low = self.low(of.window);
            let (mut rank, mut position) = (self.words[of.word] as i64, self.words[of.word + 1]);
            if position == LEFT {
                let scan = ExtremeOf { column, mask: lane.mask, max: lane.max, beside: None };
                let mut found = Best::default();
                self.log.fold(&scan, |busy| extremes_of(busy, lane.lane), low, high, &mut found);
                found.merge(&best);
                (rank, position) = (found.rank, if found.any { found.position } else { NONE });
            }
            (best, high) = (Best { rank, position, beside: 0, any: position != NONE }, low);
            let mut whole = best.any.then_some(rank);
            if let Some(own) = own {
                if !best.any || own < rank {
                    (rank, position) = (own, end + 1);
                }
                if self.tail.windows[of.window].current {
                    whole = Some(rank);
                }
            }
            (self.words[of.word], self.words[of.word + 1]) = (rank as u64, position);
            give_best(whole, &of.jobs, (column.kind, lane.max), cells);
        }
    }

    fn distincts(&mut self, cells: &mut Cells) {
        let tail = self.tail;
        for lane in &tail.distincts {
            let column = &self.question.plan.columns[lane.column];
            let value = (kept(self.own, lane.mask, 0, 1) != 0).then(|| column.identity(self.own, 0));
            let seen = value.and_then(|value| self.busy.last_seen(lane.lane, value));
            for of in &lane.of {
                let low = self.low(of.window);
                let met = seen.is_some_and(|seen| seen >= low);
                let fresh = value.is_some() && !met;
                let before = self.words[of.word];
                self.words[of.word] = before + u64::from(fresh);
                let shown = fresh && tail.windows[of.window].current;
                give_distinct(before, shown, value.map(|_| met), &of.jobs, cells);
            }
        }
    }
}

/// The whole number of units that a value is, if it is one.
#[inline]
fn fixed(value: Parts, scale: u64) -> Option<i128> {
    exact::fixed_parts(value.magnitude, value.exponent, value.negative, scale as i32)
}

#[inline]
fn square(value: i128, wanted: bool) -> U256 {
    if wanted { U256::square(value) } else { U256::default() }
}

fn moments_of(busy: &Busy, lane: usize) -> &Tree<MomentSum> {
    match busy.lane(lane) {
        Kept::Moments(tree) => tree,
        _ => unreachable!("what is kept is of the kind of its lane"),
    }
}

fn extremes_of(busy: &Busy, lane: usize) -> &Tree<Best> {
    match busy.lane(lane) {
        Kept::Extreme(tree) => tree,
        _ => unreachable!("what is kept is of the kind of its lane"),
    }
}
