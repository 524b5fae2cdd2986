//! Answers from the records alone: for keys with few events, and for whatever has no running state.
//!
//! Windows of a key end at the same event, each contains the shorter ones: one walk from the newest record to the oldest
//! serves all, taking an answer at each window's head.

use super::lanes::{self, Cells, Question};
use super::log::Log;
use crate::aggregate::exact::{self, Moments, U256};
use crate::aggregate::extreme;
use crate::aggregate::wide::WideMoments;
use crate::definition::FieldKind;
use crate::derive;
use crate::plan::{DistinctLane, EntryLane, ExtremeLane, LogColumn, MomentLane, Which};

/// Answers every lane of the read; `lows` is scratch.
pub(crate) fn scan<L: Log>(log: &L, question: &Question<'_>, lows: &mut Vec<usize>, cells: &mut Cells) {
    let end = end(log, question.t);
    lows.clear();
    let mut low = end;
    for plan in &question.read.windows {
        low = log.upper_bound(plan.window.after(question.t), 0, low);
        lows.push(low);
    }
    let scan = Scan { log, question, lows, end };
    scan.counts(cells);
    for lane in &question.read.moments {
        scan.moments(lane, cells);
    }
    for lane in &question.read.extremes {
        scan.extremes(lane, cells);
    }
    for lane in &question.read.distincts {
        scan.distinct(lane, cells);
    }
    for lane in &question.read.entries {
        scan.entries(lane, cells);
    }
}

/// How many records a row at `t` may see; nearly always all.
#[inline]
fn end<L: Log>(log: &L, t: i64) -> usize {
    match log.len() {
        0 => 0,
        len if log.time(len - 1) <= t => len,
        len => log.upper_bound(t, 0, len),
    }
}

struct Scan<'a, L> {
    log: &'a L,
    question: &'a Question<'a>,
    /// First record inside, by window.
    lows: &'a [usize],
    end: usize,
}

impl<'a, L: Log> Scan<'a, L> {
    /// The newcomer, where window and mask let it in.
    fn newcomer(&self, window: usize, mask: Option<usize>) -> Option<&'a [u64]> {
        let current = self.question.read.windows[window].current;
        self.question.newcomer.filter(|record| current && lanes::keeps(mask, record))
    }

    fn counts(&self, cells: &mut Cells) {
        for lane in &self.question.read.counts {
            let (mut count, mut at) = (0, self.end);
            for job in &lane.windows {
                let low = self.lows[job.window];
                count += match lane.mask {
                    None => at - low,
                    mask => (low..at).filter(|&index| lanes::keeps(mask, self.log.record(index))).count(),
                };
                at = low;
                cells.count(job.target, (count + usize::from(self.newcomer(job.window, lane.mask).is_some())) as u64);
            }
        }
    }

    fn moments(&self, lane: &MomentLane, cells: &mut Cells) {
        let column = &self.question.table.columns[lane.column];
        if !self.narrow(lane, column, cells) {
            self.wide(lane, column, cells);
        }
    }

    /// False when the values are too far apart for narrow sums.
    fn narrow(&self, lane: &MomentLane, column: &LogColumn, cells: &mut Cells) -> bool {
        let float = column.kind == FieldKind::Float64;
        let scale = if float {
            match self.scale(lane, column) {
                Some(scale) => scale,
                None => return false,
            }
        } else {
            0
        };
        let value = |record: &[u64]| {
            let payload = column.load(record);
            let value =
                if float { exact::fixed(f64::from_bits(payload), scale) } else { Some(i128::from(payload as i64)) };
            value.map(|value| (value, if lane.squares { U256::square(value) } else { U256::default() }))
        };
        let (mut moments, mut count, mut at) = (Moments::default(), 0, self.end);
        for job in &lane.windows {
            let low = self.lows[job.window];
            for index in (low..at).rev() {
                let record = self.log.record(index);
                if lanes::keeps(lane.mask, record) {
                    let Some(sum) = value(record).and_then(|(value, square)| moments.add(value, square)) else {
                        return false;
                    };
                    moments = sum;
                    count += 1;
                }
            }
            at = low;
            match self.newcomer(job.window, lane.mask) {
                None => lanes::answer_moments(job, &moments, scale, count, cells),
                Some(record) => {
                    let Some(sum) = value(record).and_then(|(value, square)| moments.add(value, square)) else {
                        return false;
                    };
                    lanes::answer_moments(job, &sum, scale, count + 1, cells);
                }
            }
        }
        true
    }

    /// A scale for every value that any window of the lane has.
    fn scale(&self, lane: &MomentLane, column: &LogColumn) -> Option<i32> {
        let low = lane.windows.last().map_or(self.end, |job| self.lows[job.window]);
        let (mut smallest, mut largest) = (u64::MAX, 0);
        let records = (low..self.end).map(|index| self.log.record(index)).chain(self.question.newcomer);
        for record in records {
            if lanes::keeps(lane.mask, record) {
                let magnitude = column.load(record) & !(1 << 63);
                largest = largest.max(magnitude);
                // Zero becomes the largest number there is: it asks for no scale.
                smallest = smallest.min(magnitude.wrapping_sub(1));
            }
        }
        exact::common_scale(smallest.wrapping_add(1), largest)
    }

    fn wide(&self, lane: &MomentLane, column: &LogColumn, cells: &mut Cells) {
        let (mut moments, mut count, mut at) = (WideMoments::default(), 0, self.end);
        for job in &lane.windows {
            let low = self.lows[job.window];
            for index in (low..at).rev() {
                let record = self.log.record(index);
                if lanes::keeps(lane.mask, record) {
                    moments.add(f64::from_bits(column.load(record)), lane.squares);
                    count += 1;
                }
            }
            at = low;
            match self.newcomer(job.window, lane.mask) {
                None => lanes::answer_wide(job, &moments, count, cells),
                Some(record) => {
                    let mut sum = moments.clone();
                    sum.add(f64::from_bits(column.load(record)), lane.squares);
                    lanes::answer_wide(job, &sum, count + 1, cells);
                }
            }
        }
    }

    fn extremes(&self, lane: &ExtremeLane, cells: &mut Cells) {
        let column = &self.question.table.columns[lane.column];
        let float = column.kind == FieldKind::Float64;
        let (mut best, mut at) = (None, self.end);
        for &(window, target) in &lane.windows {
            let low = self.lows[window];
            for index in (low..at).rev() {
                let record = self.log.record(index);
                if lanes::keeps(lane.mask, record) {
                    best = better(best, Some(column.order(record, lane.max)));
                }
            }
            at = low;
            let newcomer = self.newcomer(window, lane.mask).map(|record| column.order(record, lane.max));
            match better(best, newcomer) {
                None => cells.null(target),
                Some(rank) => cells.payload(target, column.kind, extreme::payload(rank, float, lane.max)),
            }
        }
    }

    fn distinct(&self, lane: &DistinctLane, cells: &mut Cells) {
        let column = &self.question.table.columns[lane.column];
        let kept = |index: usize| {
            let record = self.log.record(index);
            lanes::keeps(lane.mask, record).then(|| column.identity(record))
        };
        // The flags are those of the whole log: they hold when the row sees all of it.
        let whole = self.end == self.log.len();
        let newest = |index: usize, value: u64| {
            if whole {
                lanes::flag(self.log.record(index), lane.flag)
            } else {
                !(index + 1..self.end).any(|later| kept(later) == Some(value))
            }
        };
        let own = self
            .question
            .newcomer
            .filter(|record| lanes::keeps(lane.mask, record))
            .map(|record| column.identity(record));
        let (mut count, mut at, mut met) = (0, self.end, false);
        for job in &lane.windows {
            let low = self.lows[job.window];
            for index in (low..at).rev() {
                if let Some(value) = kept(index) {
                    count += u64::from(newest(index, value));
                    met |= own == Some(value);
                }
            }
            at = low;
            let fresh = !met && self.newcomer(job.window, lane.mask).is_some();
            cells.count(job.target, count + u64::from(fresh));
        }
    }

    fn entries(&self, lane: &EntryLane, cells: &mut Cells) {
        let matching = |index: usize| lanes::keeps(lane.mask, self.log.record(index));
        for job in &lane.jobs {
            let low = self.lows[job.window];
            let own = || self.newcomer(job.window, lane.mask);
            let logged = |index: Option<usize>| index.map(|index| self.log.record(index));
            let newest = |n: usize| logged((low..self.end).rev().filter(|&index| matching(index)).nth(n));
            let record = match job.which {
                Which::First => logged((low..self.end).find(|&index| matching(index))).or_else(own),
                Which::Last => own().or_else(|| newest(0)),
                Which::Lag(n) => newest(n - 1),
                Which::SinceLast => newest(0),
            };
            match record {
                None => cells.null(job.target),
                Some(record) => answer_entry(self.question, lane, job, record[0] as i64, record, cells),
            }
        }
    }
}

/// Writes what is asked of one event: a value of its record, or how long ago it was.
pub(crate) fn answer_entry(
    question: &Question<'_>,
    lane: &EntryLane,
    job: &crate::plan::EntryJob,
    time: i64,
    record: &[u64],
    cells: &mut Cells,
) {
    match lane.column {
        None if job.which == Which::SinceLast => {
            cells.float(job.target, derive::seconds(question.t, time, question.ticks_per_second));
        }
        None => cells.payload(job.target, FieldKind::Timestamp, time as u64),
        Some(column) => {
            let column = &question.table.columns[column];
            cells.payload(job.target, column.kind, column.load(record));
        }
    }
}

#[inline]
fn better(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
