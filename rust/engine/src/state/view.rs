//! Running answers of one reader over the log of one busy key: what enters a window is added, what leaves is taken away.
//!
//! That is only sound because every sum is a whole number (`aggregate/exact.rs`): taking away what was added leaves no trace.
//! A view covers the positions `low..end` of each window; `settle` moves them to where a row at t needs them.

use super::distinct::Distinct;
use super::lanes::{self, Cells, Question};
use super::log::{Log, Segments};
use super::scan::answer_entry;
use super::stair::Stair;
use super::sums::{load, settled, store, whole};
use crate::aggregate::exact;
use crate::aggregate::extreme;
use crate::aggregate::wide::WideMoments;
use crate::definition::FieldKind;
use crate::plan::{EntryJob, EntryLane, ExtremeLane, LogColumn, MomentJob, MomentLane, ReadPlan, TablePlan, Which};
use crate::window::Window;

#[derive(Debug)]
pub(crate) struct View {
    /// Running counts and sums, at the words that the plan names.
    words: Box<[u64]>,
    /// First position inside, by window.
    lows: Box<[u64]>,
    /// Every record before this position has been added.
    end: u64,
    /// Sums of lanes whose values do not fit narrow ones, by lane, then by window.
    wide: Box<[Option<Box<[WideMoments]>>]>,
    stairs: Box<[Stair]>,
    distincts: Box<[Distinct]>,
    recents: Box<[Recent]>,
}

/// Records that a mask keeps: position, time, value. And the first that ever was.
#[derive(Debug)]
struct Recent {
    kept: Segments,
    first: Option<[u64; 2]>,
}

impl View {
    pub fn new(read: &ReadPlan, log: &Segments) -> Self {
        let mut words = vec![0; read.view_words].into_boxed_slice();
        for lane in &read.moments {
            words[lane.word] = u64::from(exact::UNSET as u32);
        }
        let lows =
            read.windows.iter().map(|plan| if plan.window.reach().is_none() { 0 } else { log.first() }).collect();
        Self {
            words,
            lows,
            end: log.first(),
            wide: read.moments.iter().map(|_| None).collect(),
            stairs: read.extremes.iter().map(|_| Stair::new()).collect(),
            distincts: read.distincts.iter().map(|_| Distinct::new(log.first())).collect(),
            recents: read.entries.iter().map(|_| Recent { kept: Segments::new(3), first: None }).collect(),
        }
    }

    pub fn bytes(&self) -> usize {
        let wide: usize = self.wide.iter().flatten().map(|windows| size_of_val(&**windows)).sum();
        let stairs: usize = self.stairs.iter().map(Stair::bytes).sum();
        let distincts: usize = self.distincts.iter().map(Distinct::bytes).sum();
        let recents: usize = self.recents.iter().map(|recent| recent.kept.bytes() + size_of::<Recent>()).sum();
        size_of::<Self>()
            + size_of_val(&*self.words)
            + size_of_val(&*self.lows)
            + size_of_val(&*self.wide)
            + wide
            + stairs
            + distincts
            + recents
    }

    /// Moves the windows to where a row at `question.t` needs them.
    fn settle(&mut self, log: &Segments, question: &Question<'_>) {
        let read = question.read;
        let end = match log.len() {
            0 => log.end(),
            len if log.time(len - 1) <= question.t => log.end(),
            len => log.first() + log.upper_bound(question.t, 0, len) as u64,
        };
        if end < self.end {
            self.step_back(log, question, end);
        }
        // The largest window first: what it puts back or drops decides what the smaller ones meet.
        for window in (0..read.windows.len()).rev() {
            if let Window::All(_) = read.windows[window].window {
                continue;
            }
            let low = self.low_at(log, question, window, end);
            let old = std::mem::replace(&mut self.lows[window], low);
            if old < low {
                self.leave(log, question, window, old..low.min(self.end));
            } else if low < old {
                self.come_back(log, question, window, low..old.min(self.end));
            }
        }
        if self.end < end {
            self.enter(log, question, end);
        }
    }

    /// First position inside a window at `t`, looked for from where it was.
    fn low_at(&self, log: &Segments, question: &Question<'_>, window: usize, end: u64) -> u64 {
        let after = question.read.windows[window].window.after(question.t);
        let mut low = self.lows[window].clamp(log.first(), end);
        while low < end && log.get(low)[0] as i64 <= after {
            low += 1;
        }
        while low > log.first() && log.get(low - 1)[0] as i64 > after {
            low -= 1;
        }
        low
    }

    /// Records `self.end..end` come into view.
    fn enter(&mut self, log: &Segments, question: &Question<'_>, end: u64) {
        let (table, read) = (question.table, question.read);
        let begin = self.end;
        for lane in read.counts.iter().filter(|lane| lane.mask.is_some()) {
            for position in begin..end {
                if lanes::keeps(lane.mask, log.get(position)) {
                    for job in lane.windows.iter().filter(|job| position >= self.lows[job.window]) {
                        self.words[job.word] += 1;
                    }
                }
            }
        }
        for (index, lane) in read.moments.iter().enumerate() {
            let first = lane.windows.iter().map(|job| self.lows[job.window]).min().unwrap_or(end);
            for position in begin.max(first)..end {
                let record = log.get(position);
                if lanes::keeps(lane.mask, record) {
                    self.change(index, lane, &table.columns[lane.column], record, false, |lows, job| {
                        position >= lows[job.window]
                    });
                }
            }
        }
        for (lane, stair) in read.extremes.iter().zip(&mut self.stairs) {
            let column = &table.columns[lane.column];
            for position in begin..end {
                let record = log.get(position);
                if lanes::keeps(lane.mask, record) {
                    stair.push(position, column.order(record, lane.max));
                }
            }
        }
        for (lane, distinct) in read.distincts.iter().zip(&mut self.distincts) {
            let column = &table.columns[lane.column];
            for position in begin..end {
                let record = log.get(position);
                let value = lanes::keeps(lane.mask, record).then(|| column.identity(record));
                distinct.enter(lane, &mut self.words, &self.lows, position, value);
            }
        }
        for (lane, recent) in read.entries.iter().zip(&mut self.recents).filter(|(lane, _)| lane.mask.is_some()) {
            for position in begin..end {
                let record = log.get(position);
                if lanes::keeps(lane.mask, record) {
                    recent.kept.push(&[position, record[0], lane_value(table, lane, record)]);
                }
            }
        }
        self.end = end;
    }

    /// Records at these positions are no longer inside a window.
    fn leave(&mut self, log: &Segments, question: &Question<'_>, window: usize, positions: std::ops::Range<u64>) {
        if positions.is_empty() {
            return;
        }
        let (table, read) = (question.table, question.read);
        for lane in read.counts.iter().filter(|lane| lane.mask.is_some()) {
            for job in lane.windows.iter().filter(|job| job.window == window) {
                let left = positions.clone().filter(|&position| lanes::keeps(lane.mask, log.get(position))).count();
                self.words[job.word] -= left as u64;
            }
        }
        for (index, lane) in read.moments.iter().enumerate() {
            if lane.windows.iter().any(|job| job.window == window) {
                for position in positions.clone() {
                    let record = log.get(position);
                    if lanes::keeps(lane.mask, record) {
                        self.change(index, lane, &table.columns[lane.column], record, true, |_, job| {
                            job.window == window
                        });
                    }
                }
            }
        }
        for (lane, distinct) in read.distincts.iter().zip(&mut self.distincts) {
            let column = &table.columns[lane.column];
            for job in lane.windows.iter().filter(|job| job.window == window) {
                let largest = lane.windows.last().is_some_and(|last| last.window == window);
                for position in positions.clone() {
                    if distinct.bit(position) {
                        self.words[job.word] -= 1;
                        if largest {
                            distinct.forget(column.identity(log.get(position)));
                        }
                    }
                }
            }
        }
    }

    /// Records at these positions are inside a window again: a peek had looked further ahead than this row.
    fn come_back(&mut self, log: &Segments, question: &Question<'_>, window: usize, positions: std::ops::Range<u64>) {
        if positions.is_empty() {
            return;
        }
        let (table, read) = (question.table, question.read);
        for lane in read.counts.iter().filter(|lane| lane.mask.is_some()) {
            for job in lane.windows.iter().filter(|job| job.window == window) {
                let back = positions.clone().filter(|&position| lanes::keeps(lane.mask, log.get(position))).count();
                self.words[job.word] += back as u64;
            }
        }
        for (index, lane) in read.moments.iter().enumerate() {
            if lane.windows.iter().any(|job| job.window == window) {
                for position in positions.clone() {
                    let record = log.get(position);
                    if lanes::keeps(lane.mask, record) {
                        self.change(index, lane, &table.columns[lane.column], record, false, |_, job| {
                            job.window == window
                        });
                    }
                }
            }
        }
        for (lane, distinct) in read.distincts.iter().zip(&mut self.distincts) {
            let column = &table.columns[lane.column];
            for job in lane.windows.iter().filter(|job| job.window == window) {
                let largest = lane.windows.last().is_some_and(|last| last.window == window);
                for position in positions.clone().rev().filter(|&position| lanes::keeps(lane.mask, log.get(position))) {
                    let value = column.identity(log.get(position));
                    if largest && distinct.bit(position) && !distinct.remember(value, position) {
                        // A later one came while this was out of sight.
                        distinct.set_bit(position, false);
                    }
                    self.words[job.word] += u64::from(distinct.bit(position));
                }
            }
        }
    }

    /// A row at an earlier time than one answered before sees fewer records: start again from what the log holds.
    /// All-time windows keep what has left the log and take back only what lies at and after `end`.
    fn step_back(&mut self, log: &Segments, question: &Question<'_>, end: u64) {
        let (table, read) = (question.table, question.read);
        let undone = end..self.end;
        for (lane, distinct) in read.distincts.iter().zip(&mut self.distincts) {
            distinct.step_back(lane, &table.columns[lane.column], log, &mut self.words, &self.lows, undone.clone());
        }
        for window in 0..read.windows.len() {
            let low = self.lows[window].min(end);
            let positions = undone.start.max(self.lows[window])..undone.end;
            self.lows[window] = low;
            for lane in read.counts.iter().filter(|lane| lane.mask.is_some()) {
                for job in lane.windows.iter().filter(|job| job.window == window) {
                    let left = positions.clone().filter(|&position| lanes::keeps(lane.mask, log.get(position))).count();
                    self.words[job.word] -= left as u64;
                }
            }
            for (index, lane) in read.moments.iter().enumerate() {
                if lane.windows.iter().any(|job| job.window == window) {
                    for position in positions.clone() {
                        let record = log.get(position);
                        if lanes::keeps(lane.mask, record) {
                            self.change(index, lane, &table.columns[lane.column], record, true, |_, job| {
                                job.window == window
                            });
                        }
                    }
                }
            }
        }
        for (lane, stair) in read.extremes.iter().zip(&mut self.stairs) {
            // What a popped step was better than is not known any more.
            stair.restart();
            for position in log.first()..end {
                let record = log.get(position);
                if lanes::keeps(lane.mask, record) {
                    stair.push(position, table.columns[lane.column].order(record, lane.max));
                }
            }
        }
        for recent in &mut self.recents {
            let kept = recent.kept.lower_bound(end);
            recent.kept.truncate(kept);
        }
        self.end = end;
    }

    /// The log is about to drop the records before `first`; no row will see them again, but for all-time windows.
    /// `question.t` is the earliest time that a row to come can have.
    pub fn forget(&mut self, log: &Segments, question: &Question<'_>, first: u64) {
        let mark = question.t;
        if self.end < first {
            self.enter(log, question, first);
        }
        let (table, read) = (question.table, question.read);
        for window in (0..read.windows.len()).rev() {
            let low = self.lows[window];
            if low < first && read.windows[window].window.reach().is_some() {
                self.lows[window] = first;
                self.leave(log, question, window, low..first);
            }
        }
        for (lane, stair) in read.extremes.iter().zip(&mut self.stairs) {
            stair.drop_before(
                first,
                lane.windows.iter().any(|&(window, _)| read.windows[window].window.reach().is_none()),
            );
        }
        for distinct in &mut self.distincts {
            distinct.drop_before(first);
        }
        for (lane, recent) in read.entries.iter().zip(&mut self.recents) {
            if lane.forever && recent.first.is_none() {
                let oldest = (log.first()..first)
                    .map(|position| log.get(position))
                    .find(|record| lanes::keeps(lane.mask, record));
                recent.first = oldest.map(|record| [record[0], lane_value(table, lane, record)]);
            }
            let mut dropped = recent.kept.lower_bound(first);
            if lane.forever {
                // Rows to come may be as early as the mark: only what they all see counts among the newest.
                let seen = recent.kept.partition_point(|entry| entry[1] as i64 <= mark);
                dropped = dropped.min(seen.saturating_sub(lane.depth as u64)).max(recent.kept.first());
            }
            recent.kept.drop_before(dropped);
        }
    }

    /// Answers every lane for a row at `question.t`.
    pub fn answer(&mut self, log: &Segments, question: &Question<'_>, cells: &mut Cells) {
        self.settle(log, question);
        let read = question.read;
        let newcomer = |window: usize, mask: Option<usize>| {
            let current = read.windows[window].current;
            question.newcomer.filter(|record| current && lanes::keeps(mask, record))
        };
        for lane in &read.counts {
            for job in &lane.windows {
                let count = if lane.mask.is_some() { self.words[job.word] } else { self.end - self.lows[job.window] };
                cells.count(job.target, count + u64::from(newcomer(job.window, lane.mask).is_some()));
            }
        }
        for (index, lane) in read.moments.iter().enumerate() {
            self.answer_moments(index, lane, question, newcomer, cells);
        }
        for (lane, stair) in read.extremes.iter().zip(&self.stairs) {
            let column = &question.table.columns[lane.column];
            for &(window, target) in &lane.windows {
                let own = newcomer(window, lane.mask).map(|record| column.order(record, lane.max));
                let best = stair.best(self.lows[window]);
                let best = match (best, own) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                answer_extreme(lane, column, best, target, cells);
            }
        }
        for (lane, distinct) in read.distincts.iter().zip(&self.distincts) {
            let column = &question.table.columns[lane.column];
            let last = question
                .newcomer
                .filter(|record| lanes::keeps(lane.mask, record))
                .and_then(|record| distinct.last(column.identity(record)));
            for job in &lane.windows {
                let fresh =
                    newcomer(job.window, lane.mask).is_some() && last.is_none_or(|last| last < self.lows[job.window]);
                cells.count(job.target, self.words[job.word] + u64::from(fresh));
            }
        }
        for (lane, recent) in read.entries.iter().zip(&self.recents) {
            for job in &lane.jobs {
                let own = newcomer(job.window, lane.mask);
                self.answer_entry(log, question, lane, recent, job, own, cells);
            }
        }
    }

    fn answer_moments<'a>(
        &self,
        index: usize,
        lane: &MomentLane,
        question: &Question<'_>,
        newcomer: impl Fn(usize, Option<usize>) -> Option<&'a [u64]>,
        cells: &mut Cells,
    ) {
        let column = &question.table.columns[lane.column];
        let scale = self.words[lane.word] as u32 as i32;
        // The newcomer's value is the same in every window: it is made once.
        let own = question.newcomer.filter(|record| lanes::keeps(lane.mask, record));
        let own_fixed = own.and_then(|record| whole(column, record, scale, lane.squares));
        for (at, job) in lane.windows.iter().enumerate() {
            let count = self.words[job.word];
            let own = newcomer(job.window, lane.mask);
            match (&self.wide[index], own) {
                (None, None) => {
                    lanes::answer_moments(job, &load(&self.words, job, lane.squares), settled(scale), count, cells);
                }
                (Some(wide), None) => lanes::answer_wide(job, &wide[at], count, cells),
                (None, Some(record)) => {
                    let moments = load(&self.words, job, lane.squares);
                    match own_fixed.and_then(|(value, square)| moments.add(value, square)) {
                        Some(sum) => lanes::answer_moments(job, &sum, settled(scale), count + 1, cells),
                        None => {
                            let mut wide = WideMoments::from_narrow(&moments, settled(scale));
                            wide.add(f64::from_bits(column.load(record)), lane.squares);
                            lanes::answer_wide(job, &wide, count + 1, cells);
                        }
                    }
                }
                (Some(wide), Some(record)) => {
                    let mut wide = wide[at].clone();
                    wide.add(f64::from_bits(column.load(record)), lane.squares);
                    lanes::answer_wide(job, &wide, count + 1, cells);
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one question, looked at from where its parts lie")]
    fn answer_entry(
        &self,
        log: &Segments,
        question: &Question<'_>,
        lane: &EntryLane,
        recent: &Recent,
        job: &EntryJob,
        own: Option<&[u64]>,
        cells: &mut Cells,
    ) {
        let low = self.lows[job.window];
        let inside = low.max(log.first());
        if job.which == Which::Last
            && let Some(record) = own
        {
            return answer_entry(question, lane, job, record[0] as i64, record, cells);
        }
        if job.which == Which::First
            && low < log.first()
            && let Some([time, value]) = recent.first
        {
            return answer_value(question, lane, job, time as i64, value, cells);
        }
        let back = match job.which {
            Which::First => None,
            Which::Lag(n) => Some(n as u64),
            Which::Last | Which::SinceLast => Some(1),
        };
        if lane.mask.is_none() {
            let position = match back {
                None => Some(inside).filter(|&position| position < self.end),
                Some(back) => self.end.checked_sub(back).filter(|&position| position >= inside),
            };
            if let Some(position) = position {
                let record = log.get(position);
                return answer_entry(question, lane, job, record[0] as i64, record, cells);
            }
        } else {
            let kept = &recent.kept;
            let position = match back {
                None => Some(kept.lower_bound(inside)).filter(|&position| position < kept.end()),
                Some(back) => kept
                    .end()
                    .checked_sub(back)
                    .filter(|&position| position >= kept.first() && kept.get(position)[0] >= low),
            };
            if let Some(position) = position {
                let entry = kept.get(position);
                return answer_value(question, lane, job, entry[1] as i64, entry[2], cells);
            }
        }
        match own {
            Some(record) if job.which == Which::First => {
                answer_entry(question, lane, job, record[0] as i64, record, cells)
            }
            _ => cells.null(job.target),
        }
    }

    /// Adds a record's value to the sums of those windows that want it, or takes it away.
    fn change(
        &mut self,
        index: usize,
        lane: &MomentLane,
        column: &LogColumn,
        record: &[u64],
        away: bool,
        wants: impl Fn(&[u64], &MomentJob) -> bool,
    ) {
        if self.wide[index].is_none() {
            let mut value = whole(column, record, self.words[lane.word] as u32 as i32, lane.squares);
            if value.is_none() {
                self.refine(lane, f64::from_bits(column.load(record)));
                value = whole(column, record, self.words[lane.word] as u32 as i32, lane.squares);
            }
            if let Some((value, square)) = value {
                let mut done = 0;
                let mut fits = true;
                for job in lane.windows.iter().filter(|job| wants(&self.lows, job)) {
                    let moments = load(&self.words, job, lane.squares);
                    let changed = if away { moments.sub(value, square) } else { moments.add(value, square) };
                    let Some(moments) = changed else {
                        fits = false;
                        break;
                    };
                    store(&mut self.words, job, lane.squares, &moments);
                    self.words[job.word] = if away { self.words[job.word] - 1 } else { self.words[job.word] + 1 };
                    done += 1;
                }
                if fits {
                    return;
                }
                // What has been changed already is changed back, and all of it done again in wide sums.
                for job in lane.windows.iter().filter(|job| wants(&self.lows, job)).take(done) {
                    let moments = load(&self.words, job, lane.squares);
                    let before = if away { moments.add(value, square) } else { moments.sub(value, square) };
                    store(&mut self.words, job, lane.squares, &before.expect("it was like this before"));
                    self.words[job.word] = if away { self.words[job.word] + 1 } else { self.words[job.word] - 1 };
                }
            }
            let scale = settled(self.words[lane.word] as u32 as i32);
            let wide =
                lane.windows.iter().map(|job| WideMoments::from_narrow(&load(&self.words, job, lane.squares), scale));
            self.wide[index] = Some(wide.collect());
        }
        let x = f64::from_bits(column.load(record));
        if let Some(wide) = &mut self.wide[index] {
            for (at, job) in lane.windows.iter().enumerate().filter(|(_, job)| wants(&self.lows, job)) {
                if away {
                    wide[at].sub(x, lane.squares);
                    self.words[job.word] -= 1;
                } else {
                    wide[at].add(x, lane.squares);
                    self.words[job.word] += 1;
                }
            }
        }
    }

    /// Makes the lane's unit as small as a value needs it, if the sums still fit then.
    fn refine(&mut self, lane: &MomentLane, x: f64) {
        let scale = self.words[lane.word] as u32 as i32;
        let (mantissa, exponent) = exact::parts(x);
        if !x.is_finite() || mantissa == 0 {
            return;
        }
        if scale == exact::UNSET {
            self.words[lane.word] = u64::from(exponent as u32);
        } else if exponent < scale {
            let bits = (scale - exponent) as u32;
            let finer: Option<Vec<_>> =
                lane.windows.iter().map(|job| load(&self.words, job, lane.squares).finer(bits)).collect();
            if let Some(finer) = finer {
                for (job, moments) in lane.windows.iter().zip(finer) {
                    store(&mut self.words, job, lane.squares, &moments);
                }
                self.words[lane.word] = u64::from(exponent as u32);
            }
        }
    }
}

fn lane_value(table: &TablePlan, lane: &EntryLane, record: &[u64]) -> u64 {
    lane.column.map_or(record[0], |column| table.columns[column].load(record))
}

fn answer_value(question: &Question<'_>, lane: &EntryLane, job: &EntryJob, time: i64, value: u64, cells: &mut Cells) {
    match lane.column {
        Some(column) => cells.payload(job.target, question.table.columns[column].kind, value),
        None => answer_entry(question, lane, job, time, &[], cells),
    }
}

fn answer_extreme(
    lane: &ExtremeLane,
    column: &LogColumn,
    best: Option<i64>,
    target: crate::plan::Target,
    cells: &mut Cells,
) {
    let float = column.kind == FieldKind::Float64;
    match best {
        None => cells.null(target),
        Some(rank) => cells.payload(target, column.kind, extreme::payload(rank, float, lane.max)),
    }
}
