//! The rows of one key answered together: its events as columns, each window a stretch of them that moves on, and lane by lane what is in it.
//!
//! What `tail` answers row by row is answered here for all of them. The bits are the same: sums are whole numbers, so neither order nor
//! grouping shows, and everything else is counts and single values.

use super::{Answered, Many, Own};
use crate::aggregate::exact::{self, U256};
use crate::aggregate::{What, extreme};
use crate::definition::FieldKind;
use crate::derive;
use crate::key;
use crate::plan::{FlagPlan, LogColumn, Mask, Place, ReadPlan, TablePlan, TailEntry, TailExtreme, TailMoments, TailOf};
use crate::state::log::Log;
use crate::state::tail::{Parts, give_best, give_distinct, give_sums, parts};
use crate::state::walk::count_of;

/// Values of a lane whose sums are taken here span so many bits at most beyond those of a double: the sum of as many as there can be then
/// fits 126 bits, and that of their squares 252.
const SPAN_MAX: i32 = 40;
/// No event.
const NONE: u32 = u32::MAX;

/// The events of one key, those that it had first.
#[derive(Default)]
pub(in crate::state) struct Columns {
    /// How many it had.
    logged: usize,
    times: Vec<i64>,
    words: Vec<Vec<u64>>,
    halves: Vec<Vec<u32>>,
    /// By flag: how many events before each have it.
    flags: Vec<Vec<u32>>,
    /// Where each window begins, row by row.
    lows: Vec<Vec<u32>>,
    sums: Vec<exact::Moments>,
    ranks: Vec<i64>,
    stairs: Vec<u32>,
    heads: Vec<(usize, bool)>,
    links: Links,
}

/// Of each event the nearest ones of the same value.
#[derive(Default)]
struct Links {
    previous: Vec<u32>,
    next: Vec<u32>,
    /// Value, age and newest event.
    slots: Vec<(u64, u32, u32)>,
    age: u32,
}

impl Columns {
    /// Takes in the events of a log, and those of rows after them.
    pub fn gather(&mut self, plan: &TablePlan, log: Log<'_>, own: &Own, places: &[u32]) {
        let shape = plan.shape;
        self.words.resize_with(shape.words, Vec::new);
        self.halves.resize_with(shape.halves, Vec::new);
        self.flags.resize_with(shape.flags, Vec::new);
        self.times.clear();
        self.words.iter_mut().for_each(Vec::clear);
        self.halves.iter_mut().for_each(Vec::clear);
        log.stretches(log.first(), log.end(), |run, from, to, _| {
            self.times.extend_from_slice(&run.times()[from..to]);
            for (word, column) in self.words.iter_mut().enumerate().skip(1) {
                column.extend_from_slice(&run.column(word)[from..to]);
            }
            for (half, column) in self.halves.iter_mut().enumerate() {
                column.extend_from_slice(&run.half(half)[from..to]);
            }
        });
        self.logged = self.times.len();
        for &place in places {
            let record = own.record(plan, place as usize);
            self.times.push(record.times()[0]);
            for (word, column) in self.words.iter_mut().enumerate().skip(1) {
                column.push(record.column(word)[0]);
            }
            for (half, column) in self.halves.iter_mut().enumerate() {
                column.push(record.half(half)[0]);
            }
        }
        for (flag, counts) in self.flags.iter_mut().enumerate() {
            counts.clear();
            if !matches!(plan.flags[flag], FlagPlan::Mask { .. }) {
                continue;
            }
            let mut count = 0;
            counts.push(0);
            log.stretches(log.first(), log.end(), |run, from, to, _| {
                for index in from..to {
                    count += run.flag(flag) >> index & 1;
                    counts.push(count);
                }
            });
            for &place in places {
                count += own.record(plan, place as usize).flag(flag) & 1;
                counts.push(count);
            }
        }
    }

    /// Answers the rows; false where values span too much, and nothing that was written means anything.
    pub fn answer(&mut self, many: &Many<'_>, read: &ReadPlan, places: &[u32], answered: &mut Answered) -> bool {
        let tail = &read.tail;
        self.bound(read, places.len());
        let rows = Rows { read, places };
        for lane in &tail.moments {
            if !self.moments(many.plan, lane, &rows, answered) {
                return false;
            }
        }
        for of in &tail.counts {
            let (lows, current) = (&self.lows[of.window], rows.current(of));
            for (row, &low) in lows.iter().enumerate() {
                let count = (self.logged + row) as u64 - u64::from(low) + u64::from(current);
                of.jobs.iter().for_each(|job| count_of(count, job, answered.row(rows.place(row))));
            }
        }
        for lane in &tail.masked {
            let counts = &self.flags[lane.flag];
            for of in &lane.of {
                let current = usize::from(rows.current(of));
                for (row, &low) in self.lows[of.window].iter().enumerate() {
                    let count = counts[self.logged + row + current] - counts[low as usize];
                    of.jobs.iter().for_each(|job| count_of(count.into(), job, answered.row(rows.place(row))));
                }
            }
        }
        tail.extremes.iter().for_each(|lane| self.extremes(many.plan, lane, &rows, answered));
        for lane in &tail.distincts {
            self.link(&many.plan.columns[lane.column], lane.mask);
            for of in &lane.of {
                self.distincts(lane.mask, of, &rows, answered);
            }
        }
        tail.entries.iter().for_each(|entry| self.entries(many, entry, &rows, answered));
        true
    }

    /// Says where the windows of the rows begin.
    fn bound(&mut self, read: &ReadPlan, rows: usize) {
        self.lows.resize_with(read.tail.windows.len().max(self.lows.len()), Vec::new);
        for (window, lows) in read.tail.windows.iter().zip(&mut self.lows) {
            lows.clear();
            let own = &self.times[self.logged..][..rows];
            // Where the first row's window begins is looked for.
            let mut low = match own.first() {
                Some(t) => {
                    let after = t.saturating_sub(window.length);
                    self.times[..self.logged].partition_point(|&time| time <= after)
                }
                None => 0,
            };
            for (row, t) in own.iter().enumerate() {
                let (after, end) = (t.saturating_sub(window.length), self.logged + row);
                while low < end && self.times[low] <= after {
                    low += 1;
                }
                lows.push(low as u32);
            }
        }
    }

    #[inline]
    fn load(&self, column: &LogColumn, event: usize) -> u64 {
        match column.place {
            Place::Word(0) => self.times[event] as u64,
            Place::Word(word) => self.words[word][event],
            Place::Half(half) => u64::from(self.halves[half][event]),
        }
    }

    #[inline]
    fn is_kept(&self, mask: Mask, event: usize) -> bool {
        mask.is_none_or(|flag| self.flags[flag][event] != self.flags[flag][event + 1])
    }

    fn moments(&mut self, plan: &TablePlan, lane: &TailMoments, rows: &Rows<'_>, answered: &mut Answered) -> bool {
        let column = &plan.columns[lane.column];
        let widest = lane.of.last().map_or(0, |of| self.lows[of.window][0] as usize);
        let Some(scale) = self.scale(column, lane.mask, widest) else { return false };
        let mut sums = std::mem::take(&mut self.sums);
        sums.clear();
        sums.resize(widest, exact::Moments::default());
        for event in widest..self.times.len() {
            let kept = self.is_kept(lane.mask, event).then(|| parts(column, self.load(column, event))).flatten();
            sums.push(kept.map_or(exact::Moments::default(), |value| units(value, scale, lane.squares)));
        }
        let mut start = Sums::default();
        let mut from = self.logged;
        for of in &lane.of {
            let lows = &self.lows[of.window];
            // A wider window begins with what is in the one before.
            sums[lows[0] as usize..from].iter().for_each(|value| start.add(value));
            from = lows[0] as usize;
            let (current, counts) = (rows.current(of), lane.mask.map(|flag| &self.flags[flag]));
            let (mut sum, mut gone) = (start, from);
            for (row, &low) in lows.iter().enumerate() {
                let (own, low) = (self.logged + row, low as usize);
                for value in &sums[gone..low] {
                    sum.sub(value);
                }
                gone = low;
                if current {
                    sum.add(&sums[own]);
                }
                let end = own + usize::from(current);
                let count = counts.map_or((end - low) as u64, |counts| u64::from(counts[end] - counts[low]));
                give_sums(count, scale, &sum.whole(), &of.jobs, answered.row(rows.place(row)));
                if !current {
                    sum.add(&sums[own]);
                }
            }
        }
        self.sums = sums;
        true
    }

    /// The unit of all values of a lane from an event on; `None` where they have none that does, or are not finite.
    fn scale(&self, column: &LogColumn, mask: Mask, widest: usize) -> Option<i32> {
        let (mut smallest, mut largest) = (exact::UNSET, i32::MIN);
        for event in widest..self.times.len() {
            if !self.is_kept(mask, event) {
                continue;
            }
            let value = parts(column, self.load(column, event))?;
            if value.magnitude != 0 {
                smallest = smallest.min(value.exponent);
                largest = largest.max(value.exponent);
            }
        }
        if smallest == exact::UNSET {
            return Some(0);
        }
        (largest - smallest <= SPAN_MAX).then_some(smallest)
    }

    /// One staircase of the best values so far answers every window: the best of those that are in it is the first.
    fn extremes(&mut self, plan: &TablePlan, lane: &TailExtreme, rows: &Rows<'_>, answered: &mut Answered) {
        let column = &plan.columns[lane.column];
        let float = column.kind == FieldKind::Float64;
        let (mut ranks, mut stairs) = (std::mem::take(&mut self.ranks), std::mem::take(&mut self.stairs));
        ranks.clear();
        ranks.extend((0..self.times.len()).map(|event| extreme::order(self.load(column, event), float, lane.max)));
        stairs.clear();
        let mut heads = std::mem::take(&mut self.heads);
        heads.clear();
        heads.extend(lane.of.iter().map(|of| (0, rows.current(of))));
        let widest = lane.of.last().map_or(0, |of| self.lows[of.window][0] as usize);
        for event in widest..self.logged {
            if self.is_kept(lane.mask, event) {
                climb(&mut stairs, &ranks, event);
            }
        }
        let any = [false, true].map(|current| heads.iter().any(|&(_, own)| own == current));
        let mut give = |row: usize, stairs: &[u32], current: bool| {
            for (of, (head, _)) in lane.of.iter().zip(&mut heads).filter(|(_, (_, own))| *own == current) {
                let low = self.lows[of.window][row];
                *head = (*head).min(stairs.len().saturating_sub(1));
                while stairs.get(*head).is_some_and(|&event| event < low) {
                    *head += 1;
                }
                let best = stairs.get(*head).map(|&event| ranks[event as usize]);
                give_best(best, &of.jobs, (column.kind, lane.max), answered.row(rows.place(row)));
            }
        };
        for row in 0..rows.places.len() {
            if any[0] {
                give(row, &stairs, false);
            }
            if self.is_kept(lane.mask, self.logged + row) {
                climb(&mut stairs, &ranks, self.logged + row);
            }
            if any[1] {
                give(row, &stairs, true);
            }
        }
        self.heads = heads;
        (self.ranks, self.stairs) = (ranks, stairs);
    }

    /// Links the events of each value.
    fn link(&mut self, column: &LogColumn, mask: Mask) {
        let mut links = std::mem::take(&mut self.links);
        let count = self.times.len();
        links.begin(count);
        for event in (0..count).filter(|&event| self.is_kept(mask, event)) {
            let payload = self.load(column, event);
            let float = column.kind == FieldKind::Float64;
            let value = if float { key::same_float(f64::from_bits(payload)) } else { payload };
            links.add(value, event);
        }
        self.links = links;
    }

    fn distincts(&self, mask: Mask, of: &TailOf, rows: &Rows<'_>, answered: &mut Answered) {
        let (lows, current) = (&self.lows[of.window], rows.current(of));
        let Links { previous, next, .. } = &self.links;
        let is_newest = |event: usize, end: usize| self.is_kept(mask, event) && next[event] as usize >= end;
        let mut gone = lows[0] as usize;
        let mut distinct = (gone..self.logged).filter(|&event| is_newest(event, self.logged)).count() as u64;
        for (row, &low) in lows.iter().enumerate() {
            let own = self.logged + row;
            distinct -= (gone..low as usize).filter(|&event| is_newest(event, own)).count() as u64;
            gone = low as usize;
            let met = self.is_kept(mask, own).then(|| previous[own] != NONE && previous[own] >= low);
            let fresh = met == Some(false);
            give_distinct(distinct, fresh && current, met, &of.jobs, answered.row(rows.place(row)));
            distinct += u64::from(fresh);
        }
    }

    /// Single events, counted back from the newest.
    fn entries(&self, many: &Many<'_>, entry: &TailEntry, rows: &Rows<'_>, answered: &mut Answered) {
        let column = entry.column.map(|column| &many.plan.columns[column]);
        let kind = column.map_or(FieldKind::Timestamp, |column| column.kind);
        let value = |event: usize| column.map_or(0, |column| self.load(column, event));
        for row in 0..rows.places.len() {
            let own = self.logged + row;
            let low = entry.window.map_or(0, |window| self.lows[window][row] as usize);
            let back = |n: usize| own.checked_sub(n).filter(|&event| event >= low);
            let cells = answered.row(rows.place(row));
            for job in &entry.jobs {
                match job.what {
                    What::Lag(n) => cells.payload_or_null(job.target, kind, back(n).map(value)),
                    What::Last if entry.current => cells.payload(job.target, kind, value(own)),
                    What::Last => cells.payload_or_null(job.target, kind, back(1).map(value)),
                    _ => {
                        let since =
                            |event: usize| derive::seconds(self.times[own], self.times[event], many.ticks_per_second);
                        cells.float_or_null(job.target, back(1).map(since));
                    }
                }
            }
        }
    }
}

/// Rows of one key while they are answered.
struct Rows<'a> {
    read: &'a ReadPlan,
    places: &'a [u32],
}

impl Rows<'_> {
    #[inline]
    fn place(&self, row: usize) -> usize {
        self.places[row] as usize
    }

    /// Whether the row's own event is in a window.
    fn current(&self, of: &TailOf) -> bool {
        self.read.tail.windows[of.window].current
    }
}

/// A value that is put on a staircase of ranks takes those off that are no better.
#[inline]
fn climb(stairs: &mut Vec<u32>, ranks: &[i64], event: usize) {
    while stairs.last().is_some_and(|&last| ranks[last as usize] >= ranks[event]) {
        stairs.pop();
    }
    stairs.push(event as u32);
}

impl Links {
    fn begin(&mut self, count: usize) {
        self.previous.clear();
        self.previous.resize(count, NONE);
        self.next.clear();
        self.next.resize(count, NONE);
        self.age = self.age.wrapping_add(1);
        let wanted = (count * 2).next_power_of_two().max(16);
        if self.slots.len() < wanted || self.age == 0 {
            self.slots.clear();
            self.slots.resize(wanted, (0, 0, 0));
            self.age = 1;
        }
    }

    #[inline]
    fn add(&mut self, value: u64, event: usize) {
        let mask = self.slots.len() - 1;
        let mut slot = key::hash_word(value) as usize & mask;
        loop {
            let (known, age, newest) = &mut self.slots[slot];
            if *age != self.age {
                (*known, *age, *newest) = (value, self.age, event as u32);
                return;
            }
            if *known == value {
                self.previous[event] = *newest;
                self.next[*newest as usize] = event as u32;
                *newest = event as u32;
                return;
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// A value in units of 2^scale, which it is a whole number of, and its square.
#[inline]
fn units(value: Parts, scale: i32, squares: bool) -> exact::Moments {
    if value.magnitude == 0 {
        return exact::Moments::default();
    }
    let magnitude = i128::from(value.magnitude) << (value.exponent - scale);
    let squares = if squares { U256::square(magnitude) } else { U256::default() };
    exact::Moments { sum: if value.negative { -magnitude } else { magnitude }, squares }
}

/// Sums that cannot overflow.
#[derive(Clone, Copy, Default)]
struct Sums {
    sum: i128,
    squares: [u128; 2],
}

impl Sums {
    #[inline]
    fn add(&mut self, value: &exact::Moments) {
        self.sum += value.sum;
        let (low, high) = value.squares.halves();
        let (sum, carry) = self.squares[0].overflowing_add(low);
        self.squares = [sum, self.squares[1] + high + u128::from(carry)];
    }

    #[inline]
    fn sub(&mut self, value: &exact::Moments) {
        self.sum -= value.sum;
        let (low, high) = value.squares.halves();
        let (rest, borrow) = self.squares[0].overflowing_sub(low);
        self.squares = [rest, self.squares[1] - high - u128::from(borrow)];
    }

    #[inline]
    fn whole(&self) -> exact::Moments {
        exact::Moments { sum: self.sum, squares: U256::from_halves(self.squares[0], self.squares[1]) }
    }
}
