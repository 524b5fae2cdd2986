//! A tally that follows a window of a busy key: it moves with the window's ends, and is made anew where that is less work.
//!
//! Counts are whole numbers, so that what is taken away leaves no trace.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::busy::Busy;
use super::interner::Interner;
use super::lane::{counted, each, kept};
use super::log::Log;
use super::run::Run;
use super::tally::Tally;
use crate::aggregate::{entropy, extreme};
use crate::definition::FieldKind;
use crate::heap::{room, tree_map};
use crate::plan::{LanePlan, LogColumn, TablePlan};

/// Up to so many different values are simply looked through.
const FEW: usize = 64;
/// So many events are counted before what is ordered by the counts is changed: once for each value, not for each event.
const MANY: u64 = 256;
/// From so many events on values that are close together are counted in a list of so many places.
const LISTED_MIN: u64 = 8_192;
const LIST: usize = 1 << 16;

/// Counts of what is in `low..high`.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    low: u64,
    high: u64,
    tally: Tally,
    /// Count of each bucket of a sketch, in order.
    buckets: Option<BTreeMap<i64, u64>>,
    /// How many values have each count, once they are many.
    shares: Option<BTreeMap<u64, u64>>,
    /// Values by count, once they are many and somebody asks for the most frequent.
    ranking: Option<Ranking>,
}

impl Cursor {
    pub fn new(lane: &LanePlan) -> Self {
        let buckets = matches!(lane, LanePlan::Tally { buckets: true, .. });
        Self { buckets: buckets.then(BTreeMap::new), ..Self::default() }
    }

    /// The value of a record that counts.
    pub fn counts<'p>(plan: &'p TablePlan, lane: usize, run: Run<'_>, index: usize) -> Option<(u64, &'p LogColumn)> {
        let LanePlan::Tally { column, mask, buckets } = plan.lanes[lane] else { return None };
        let is_kept = kept(run, mask, index, index + 1) != 0;
        is_kept.then(|| (counted(plan, column, buckets, run, index), &plan.columns[column]))
    }

    fn change(&mut self, value: u64, count: u64, column: &LogColumn, more: bool, texts: &Interner) {
        let before = self.tally.count(value);
        if more {
            self.tally.add(value, count);
        } else {
            self.tally.take(value, count);
        }
        let after = if more { before + count } else { before - count };
        if let Some(buckets) = &mut self.buckets {
            let count = buckets.entry(value as i64).or_default();
            *count = after;
            if after == 0 {
                buckets.remove(&(value as i64));
            }
        }
        if let Some(shares) = &mut self.shares {
            change_share(shares, before, after);
        }
        if let Some(ranking) = &mut self.ranking {
            let order = |a: &(u64, u64), b: &(u64, u64)| ranked(a, b, column, texts);
            if before > 0 {
                ranking.remove((value, before), order);
            }
            if after > 0 {
                ranking.insert((value, after), order);
            }
        }
        if self.tally.distinct() < FEW / 2 {
            (self.shares, self.ranking) = (None, None);
        }
    }

    /// An event comes in at a position; those from there on move up.
    pub fn insert(&mut self, at: u64, value: Option<(u64, &LogColumn)>, texts: &Interner) {
        if at < self.high && at >= self.low {
            self.high += 1;
            if let Some((value, column)) = value {
                self.change(value, 1, column, true, texts);
            }
        } else if at < self.low {
            self.low += 1;
            self.high += 1;
        }
    }

    /// The events before `first` are about to go.
    pub fn leave_behind(&mut self, plan: &TablePlan, lane: usize, busy: &Busy, first: u64, texts: &Interner) {
        self.step(plan, lane, Log::Busy(busy), self.low..first.min(self.high), false, texts);
        self.low = self.low.max(first);
        self.high = self.high.max(self.low);
    }

    fn step(
        &mut self,
        plan: &TablePlan,
        lane: usize,
        log: Log<'_>,
        range: std::ops::Range<u64>,
        more: bool,
        texts: &Interner,
    ) {
        for position in range {
            let (run, index) = log.at(position);
            if let Some((value, column)) = Self::counts(plan, lane, run, index) {
                self.change(value, 1, column, more, texts);
            }
        }
    }

    /// As `step`, of any length.
    fn walk(
        &mut self,
        plan: &TablePlan,
        lane: usize,
        log: Log<'_>,
        range: std::ops::Range<u64>,
        more: bool,
        texts: &Interner,
    ) {
        if range.end.saturating_sub(range.start) < MANY {
            return self.step(plan, lane, log, range, more, texts);
        }
        let LanePlan::Tally { column, mask, buckets } = plan.lanes[lane] else {
            unreachable!("only a tally is followed")
        };
        let mut met = Tally::default();
        // Numbers of texts, buckets and whole numbers mostly lie close together: then a list counts them, otherwise a table.
        let mut near = vec![0_u32; if range.end - range.start < LISTED_MIN { 0 } else { LIST }];
        let mut base = None;
        log.stretches(range.start, range.end, |run, from, to, _| {
            each(kept(run, mask, from, to), |index| {
                let value = counted(plan, column, buckets, run, index);
                let base = *base.get_or_insert(value.wrapping_sub(LIST as u64 / 2));
                match near.get_mut(value.wrapping_sub(base) as usize) {
                    Some(count) => *count += 1,
                    None => _ = met.add(value, 1),
                }
            });
        });
        for (place, &count) in near.iter().enumerate().filter(|(_, count)| **count > 0) {
            met.add(base.unwrap_or(0).wrapping_add(place as u64), u64::from(count));
        }
        if met.distinct() > FEW && met.distinct() > self.tally.distinct() / 4 {
            // To put them in order again is less work.
            (self.shares, self.ranking) = (None, None);
        }
        for (value, count) in met.iter() {
            self.change(value, count, &plan.columns[column], more, texts);
        }
    }

    /// Counts nothing.
    pub fn clear(&mut self) {
        self.tally.clear();
        (self.shares, self.ranking) = (None, None);
        self.buckets.iter_mut().for_each(BTreeMap::clear);
    }

    /// Counts what is in `low..high` now.
    pub fn seek(&mut self, plan: &TablePlan, lane: usize, log: Log<'_>, low: u64, high: u64, texts: &Interner) {
        if self.low == low && self.high == high {
            return;
        }
        let steps = self.low.abs_diff(low) + self.high.abs_diff(high);
        if low >= self.high || high <= self.low || steps > high - low {
            self.clear();
            self.walk(plan, lane, log, low..high, true, texts);
        } else {
            self.walk(plan, lane, log, self.high..high, true, texts);
            self.walk(plan, lane, log, low..self.low, true, texts);
            self.walk(plan, lane, log, self.low..low, false, texts);
            self.walk(plan, lane, log, high..self.high, false, texts);
        }
        (self.low, self.high) = (low, high);
    }

    /// Takes away all that another one counts.
    pub fn subtract(&mut self, other: &Self, column: &LogColumn, texts: &Interner) {
        for (value, count) in other.tally.iter() {
            self.change(value, count, column, false, texts);
        }
    }

    /// Adds all that another one counts.
    pub fn join(&mut self, other: &Self, column: &LogColumn, texts: &Interner) {
        for (value, count) in other.tally.iter() {
            self.change(value, count, column, true, texts);
        }
    }

    /// So many of a value more, of one that nothing is ordered by yet.
    pub fn put(&mut self, value: u64, count: u64) {
        self.tally.add(value, count);
        if let Some(buckets) = &mut self.buckets {
            *buckets.entry(value as i64).or_default() += count;
        }
        (self.shares, self.ranking) = (None, None);
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// One of a value more, for the length of an answer.
    pub fn add(&mut self, value: u64, column: &LogColumn, texts: &Interner) {
        self.change(value, 1, column, true, texts);
    }

    /// And taken away again.
    pub fn take(&mut self, value: u64, column: &LogColumn, texts: &Interner) {
        self.change(value, 1, column, false, texts);
    }

    /// The k most frequent values.
    pub fn top(&mut self, k: usize, column: &LogColumn, texts: &Interner, top: &mut Vec<(u64, u64)>) {
        let order = |a: &(u64, u64), b: &(u64, u64)| ranked(a, b, column, texts);
        if self.ranking.is_none() && self.tally.distinct() > FEW {
            let mut all: Vec<_> = self.tally.iter().collect();
            all.sort_unstable_by(order);
            self.ranking = Some(Ranking::new(all));
        }
        match &self.ranking {
            Some(ranking) => {
                top.clear();
                top.extend(ranking.iter().take(k));
            }
            None => self.tally.top(k, |a, b| compare(a, b, column, texts), top),
        }
    }

    pub fn entropy(&mut self, scratch: &mut Vec<u64>) -> Option<f64> {
        if self.shares.is_none() && self.tally.distinct() > FEW {
            let mut shares = BTreeMap::new();
            self.tally.iter().for_each(|(_, count)| change_share(&mut shares, 0, count));
            self.shares = Some(shares);
        }
        match &self.shares {
            Some(shares) => entropy::of_shares(shares.iter().map(|(&a, &b)| (a, b)), self.tally.total),
            None => self.tally.entropy(scratch),
        }
    }

    /// The bucket of a rank, counted from 0.
    pub fn bucket(&self, rank: u64) -> Option<i64> {
        let buckets = self.buckets.as_ref()?;
        let mut left = rank;
        buckets
            .iter()
            .find(|(_, count)| {
                let here = left < **count;
                left = left.saturating_sub(**count);
                here
            })
            .map(|(&bucket, _)| bucket)
    }

    pub fn bytes(&self) -> usize {
        self.tally.bytes()
            + self.buckets.as_ref().map_or(0, |buckets| tree_map(buckets.len()))
            + self.shares.as_ref().map_or(0, |shares| tree_map(shares.len()))
            + self.ranking.as_ref().map_or(0, Ranking::bytes)
    }
}

fn change_share(shares: &mut BTreeMap<u64, u64>, before: u64, after: u64) {
    if before > 0
        && let Some(values) = shares.get_mut(&before)
    {
        *values -= 1;
        if *values == 0 {
            shares.remove(&before);
        }
    }
    if after > 0 {
        *shares.entry(after).or_default() += 1;
    }
}

/// Order of two values of a column: numbers, or texts by their bytes.
pub(super) fn compare(a: u64, b: u64, column: &LogColumn, texts: &Interner) -> Ordering {
    match column.kind {
        FieldKind::Float64 => extreme::order(a, true, false).cmp(&extreme::order(b, true, false)),
        FieldKind::String => texts.text(a as u32).cmp(texts.text(b as u32)),
        _ => (a as i64).cmp(&(b as i64)),
    }
}

/// The more frequent first, then the smaller.
fn ranked(a: &(u64, u64), b: &(u64, u64), column: &LogColumn, texts: &Interner) -> Ordering {
    b.1.cmp(&a.1).then_with(|| if a.0 == b.0 { Ordering::Equal } else { compare(a.0, b.0, column, texts) })
}

/// Values with their counts in order, in blocks, so that a change moves few of them.
#[derive(Debug)]
struct Ranking {
    blocks: Vec<Vec<(u64, u64)>>,
}

/// Values of a block.
const BLOCK_MAX: usize = 512;

impl Ranking {
    fn new(sorted: Vec<(u64, u64)>) -> Self {
        Self { blocks: sorted.chunks(BLOCK_MAX / 2).map(<[_]>::to_vec).collect() }
    }

    fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.blocks.iter().flatten().copied()
    }

    fn block(&self, value: &(u64, u64), order: impl Fn(&(u64, u64), &(u64, u64)) -> Ordering) -> usize {
        self.blocks.partition_point(|block| order(&block[0], value) != Ordering::Greater).saturating_sub(1)
    }

    fn insert(&mut self, value: (u64, u64), order: impl Fn(&(u64, u64), &(u64, u64)) -> Ordering) {
        if self.blocks.is_empty() {
            self.blocks.push(vec![value]);
            return;
        }
        let index = self.block(&value, &order);
        let block = &mut self.blocks[index];
        let place = block.partition_point(|other| order(other, &value) == Ordering::Less);
        block.insert(place, value);
        if block.len() == BLOCK_MAX {
            let upper = block.split_off(BLOCK_MAX / 2);
            self.blocks.insert(index + 1, upper);
        }
    }

    fn remove(&mut self, value: (u64, u64), order: impl Fn(&(u64, u64), &(u64, u64)) -> Ordering) {
        let index = self.block(&value, &order);
        let block = &mut self.blocks[index];
        let place = block.binary_search_by(|other| order(other, &value)).expect("what is ranked is there");
        block.remove(place);
        if block.is_empty() {
            self.blocks.remove(index);
        }
    }

    fn bytes(&self) -> usize {
        // Blocks have room for half or all of what they may hold.
        self.blocks.len() * room::<(u64, u64)>(BLOCK_MAX * 3 / 4) + room::<Vec<(u64, u64)>>(self.blocks.capacity())
    }
}
