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
        let Some((scale, bits)) = (if float { self.scale(lane, column) } else { Some((0, 64)) }) else {
            return false;
        };
        let low = lane.windows.last().map_or(self.end, |job| self.lows[job.window]);
        // Sums of so many values of so many bits cannot leave what holds them.
        let few = self.end - low < 64;
        match (float, lane.squares) {
            (true, false) if few && bits <= 62 => self.sum(lane, cells, scale, |record, sums: &mut Moments| {
                sums.sum += i128::from(exact::small(column.load(record), scale));
                true
            }),
            (true, true) if few && bits <= 60 => self.sum_small(lane, column, scale, cells),
            (true, squares) => self.sum(lane, cells, scale, |record, sums: &mut Moments| {
                let value = exact::fixed(f64::from_bits(column.load(record)), scale);
                value.and_then(|value| sums.add(value, square(value, squares))).map(|sum| *sums = sum).is_some()
            }),
            (false, squares) => self.sum(lane, cells, scale, |record, sums: &mut Moments| {
                let value = i128::from(column.load(record) as i64);
                sums.add(value, square(value, squares)).map(|sum| *sums = sum).is_some()
            }),
        }
    }

    /// Walks the lane's windows; `add` says false when the sums do not fit.
    #[inline]
    fn sum(
        &self,
        lane: &MomentLane,
        cells: &mut Cells,
        scale: i32,
        add: impl Fn(&[u64], &mut Moments) -> bool,
    ) -> bool {
        let (mut moments, mut count, mut at, mut fits) = (Moments::default(), 0, self.end, true);
        for job in &lane.windows {
            let low = self.lows[job.window];
            self.log.each(low, at, |record| {
                if lanes::keeps(lane.mask, record) {
                    fits &= add(record, &mut moments);
                    count += 1;
                }
            });
            at = low;
            match self.newcomer(job.window, lane.mask) {
                None => lanes::answer_moments(job, &moments, scale, count, cells),
                Some(record) => {
                    let mut sums = moments;
                    fits &= add(record, &mut sums);
                    lanes::answer_moments(job, &sums, scale, count + 1, cells);
                }
            }
            if !fits {
                return false;
            }
        }
        true
    }

    /// The same for values of at most 60 bits: sums of their squares fit 128.
    fn sum_small(&self, lane: &MomentLane, column: &LogColumn, scale: i32, cells: &mut Cells) -> bool {
        let (mut sum, mut squares, mut count, mut at) = (0_i128, 0_u128, 0, self.end);
        let value = |record: &[u64]| i128::from(exact::small(column.load(record), scale));
        for job in &lane.windows {
            let low = self.lows[job.window];
            self.log.each(low, at, |record| {
                if lanes::keeps(lane.mask, record) {
                    let value = value(record);
                    sum += value;
                    squares += (value * value) as u128;
                    count += 1;
                }
            });
            at = low;
            let newcomer = self.newcomer(job.window, lane.mask).map(value);
            let own = newcomer.unwrap_or(0);
            let moments = Moments { sum: sum + own, squares: U256::from_low(squares + (own * own) as u128) };
            lanes::answer_moments(job, &moments, scale, count + u64::from(newcomer.is_some()), cells);
        }
        true
    }

    /// A scale for every value that any window of the lane has, and the bits that the largest has then.
    fn scale(&self, lane: &MomentLane, column: &LogColumn) -> Option<(i32, i32)> {
        let low = lane.windows.last().map_or(self.end, |job| self.lows[job.window]);
        let (mut smallest, mut largest) = (u64::MAX, 0);
        let mut look = |record: &[u64]| {
            if lanes::keeps(lane.mask, record) {
                let magnitude = column.load(record) & !(1 << 63);
                largest = largest.max(magnitude);
                // Zero becomes the largest number there is: it asks for no scale.
                smallest = smallest.min(magnitude.wrapping_sub(1));
            }
        };
        self.log.each(low, self.end, &mut look);
        if let Some(record) = self.question.newcomer {
            look(record);
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
        let (mut best, mut any, mut at) = (i64::MAX, false, self.end);
        for &(window, target) in &lane.windows {
            let low = self.lows[window];
            self.log.each(low, at, |record| {
                if lanes::keeps(lane.mask, record) {
                    best = best.min(column.order(record, lane.max));
                    any = true;
                }
            });
            at = low;
            let newcomer = self.newcomer(window, lane.mask).map(|record| column.order(record, lane.max));
            if any || newcomer.is_some() {
                let rank = best.min(newcomer.unwrap_or(i64::MAX));
                cells.payload(target, column.kind, extreme::payload(rank, float, lane.max));
            } else {
                cells.null(target);
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

/// The square of a value where one is asked for.
#[inline]
fn square(value: i128, wanted: bool) -> U256 {
    if wanted { U256::square(value) } else { U256::default() }
}
