//! The answers of one row from one key: where its windows begin and end, then lane by lane what is in them.
//!
//! Windows that end alike stand next to each other, shorter ones first: one walk backwards serves them, each adds to the ones before.

use super::busy::{Busy, Kept};
use super::cells::Cells;
use super::cursor::Cursor;
use super::entry;
use super::interner::Interner;
use super::lane::{DecayOf, ExtremeOf, HigherOf, Moments, NAN_BUCKET, PairOf, RegistersOf, Scan, counted, kept};
use super::log::Log;
use super::past::{Part, Past};
use super::run::Run;
use super::tree::{Summary, Tree};
use crate::aggregate::{What, extreme, sketch};
use crate::definition::FieldKind;
use crate::plan::{self, Job, LanePlan, LogColumn, ReadLane, ReadPlan, TablePlan, WindowPlan};
use crate::window::{Bounds, Window};

/// The tree that a busy key keeps for a lane.
macro_rules! tree {
    ($lane:expr, $kind:ident) => {
        |busy| match busy.lane($lane.lane) {
            Kept::$kind(tree) => tree,
            _ => unreachable!("what is kept is of the kind of its lane"),
        }
    };
}

/// The sum that a part keeps for a lane.
macro_rules! part {
    ($kind:ident) => {
        |part| match part {
            Part::$kind(sum) => sum,
            _ => unreachable!("a part is of the kind of its lane"),
        }
    };
}

/// What one evaluation is about.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub plan: &'a TablePlan,
    pub read: &'a ReadPlan,
    /// Time of the row.
    pub t: i64,
    /// The row's own event as a run of one, when its stream writes this table.
    pub newcomer: Option<Run<'a>>,
    /// The watermark, where the row is before it: what a row there would not see any more is no longer known.
    pub mark: Option<i64>,
    pub idle_after: Option<i64>,
    pub ticks_per_second: i64,
}

/// The events of a key, to answer from.
pub(super) enum Events<'a> {
    Run(Run<'a>),
    Busy(&'a mut Busy),
}

impl Events<'_> {
    fn log(&self) -> Log<'_> {
        match self {
            Self::Run(run) => Log::Run(*run),
            Self::Busy(busy) => Log::Busy(busy),
        }
    }
}

/// What a window sees.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inside {
    /// Events of the log.
    pub low: u64,
    pub high: u64,
    /// The same from the first one on that is known, where what has been folded is still in the log.
    pub reach: u64,
    /// The row's own event.
    pub current: bool,
    /// What has left the log, from the slice that begins here on.
    pub past: bool,
    pub begin: i64,
}

/// Memory of one answer, reused.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    insides: Vec<Inside>,
    cursor: Cursor,
    buckets: Cursor,
    top: Vec<(u64, u64)>,
    words: Vec<u64>,
    floats: Vec<f64>,
}

impl Scratch {
    pub fn new() -> Self {
        let lane = LanePlan::Tally { column: 0, mask: None, buckets: true };
        Self { buckets: Cursor::new(&lane), ..Self::default() }
    }
}

/// Ends of the windows of a read.
fn insides(question: &Question<'_>, log: Log<'_>, past: Option<&Past>, insides: &mut Vec<Inside>) {
    insides.clear();
    let end = log.upper_bound(question.t);
    // Mostly no other event has the row's time.
    let strict = if end == log.first() || log.time(end - 1) < question.t {
        end
    } else {
        log.upper_bound(question.t.saturating_sub(1))
    };
    let (floor, whole) = visible(question, log, past, end);
    for plan in &question.read.windows {
        let newest = if plan.ties { end } else { strict };
        let mut inside = window(question, plan, log, past, newest, question.t);
        if let Some(mark) = question.mark.filter(|_| plan.past == plan::Past::None) {
            let newest = log.upper_bound(mark);
            inside.low = inside.low.max(window(question, plan, log, past, newest, mark).low);
        }
        inside.low = inside.low.max(floor).min(inside.high);
        inside.reach = log.first().max(floor);
        inside.past = whole && plan.past != plan::Past::None;
        insides.push(inside);
    }
}

/// Position of the first event that is not forgotten for idleness, and whether what has been folded is not either.
fn visible(question: &Question<'_>, log: Log<'_>, past: Option<&Past>, end: u64) -> (u64, bool) {
    let (Some(past), Some(idle)) = (past, question.idle_after) else { return (0, past.is_some()) };
    let mut later = question.t;
    for position in (past.folded.min(end)..end).rev() {
        let time = log.time(position);
        if later.saturating_sub(time) > idle {
            return (position + 1, false);
        }
        later = time;
    }
    match past.newest {
        Some(newest) if later.saturating_sub(newest) > idle => (past.folded, false),
        _ => (past.floor, true),
    }
}

/// Ends of one window of a row at `t`; `newest` is the position after its newest candidate in the log.
fn window(
    question: &Question<'_>,
    plan: &WindowPlan,
    log: Log<'_>,
    past: Option<&Past>,
    newest: u64,
    t: i64,
) -> Inside {
    let first = log.first();
    let own = question.newcomer.filter(|_| plan.current);
    let mut inside = Inside { high: newest, current: own.is_some(), ..Inside::default() };
    match plan.window.bounds(t) {
        Bounds::Times { after, until } => {
            if until < t {
                inside.high = newest.min(log.upper_bound(until));
                inside.current = false;
            }
            inside.low = match (plan.past, past) {
                (plan::Past::None, _) => log.upper_bound(after),
                (plan::Past::All, past) => past.map_or(first, |past| past.folded),
                (plan::Past::Hop(_), past) => log.upper_bound(after).max(past.map_or(first, |past| past.folded)),
            };
            if let Window::Hopping(hopping) = &plan.window {
                inside.begin = hopping.begin(t);
            }
        }
        Bounds::Session { gap } => {
            let goes_on = newest > first && t.saturating_sub(log.time(newest - 1)) <= gap;
            let flag = plan.flag.expect("a session has a flag");
            inside.low = if goes_on { log.last(flag, first, newest).unwrap_or(first) } else { newest };
        }
        Bounds::Last { count } => {
            let logged = count - u64::from(inside.current);
            inside.low = newest.saturating_sub(logged).max(first);
        }
        Bounds::Since => {
            let flag = plan.flag.expect("a condition has a flag");
            let meets = own.is_some_and(|run| run.flag(flag) & 1 == 1);
            match log.last(flag, first, newest) {
                _ if meets => inside.low = newest,
                Some(position) => inside.low = position,
                None => (inside.low, inside.current) = (newest, false),
            }
        }
    }
    inside
}

/// Position of the first event of the log that a row at or after the watermark can see.
pub(super) fn needed_from(plan: &TablePlan, log: Log<'_>, past: Option<&Past>, mark: i64) -> u64 {
    let seen = log.upper_bound(mark.saturating_sub(1));
    let mut from = past.map_or(seen, |past| past.folded).min(seen);
    if plan.reach > 0 {
        from = from.min(log.upper_bound(mark.saturating_sub(plan.reach)));
    }
    if plan.keep_last > 0 {
        from = from.min(log.upper_bound(mark).saturating_sub(plan.keep_last as u64));
    }
    if plan.moving {
        for read in &plan.reads {
            let question =
                Question { plan, read, t: mark, newcomer: None, mark: None, idle_after: None, ticks_per_second: 1 };
            for window_plan in read.windows.iter().filter(|plan| plan.past == plan::Past::None) {
                let newest = if window_plan.ties { log.upper_bound(mark) } else { seen };
                from = from.min(window(&question, window_plan, log, past, newest, mark).low);
            }
        }
    }
    from.max(past.map_or(0, |past| past.floor)).max(log.first())
}

/// Answers every lane of a read.
pub(super) fn answer(
    question: &Question<'_>,
    mut events: Events<'_>,
    mut past: Option<&mut Past>,
    texts: &Interner,
    scratch: &mut Scratch,
    cells: &mut Cells,
) {
    insides(question, events.log(), past.as_deref(), &mut scratch.insides);
    for lane in &question.read.lanes {
        let plan = &question.plan.lanes[lane.lane];
        if let LanePlan::Tally { .. } = plan {
            tally(question, lane, &mut events, past.as_deref_mut(), texts, scratch, cells);
            continue;
        }
        let log = events.log();
        let column = |index: usize| &question.plan.columns[index];
        let walk = Walk { question, lane, log, past: past.as_deref(), insides: &scratch.insides };
        match *plan {
            LanePlan::Count { mask } => counts(&walk, mask, cells),
            LanePlan::Moments { column: c, mask, squares } => {
                let scan = Moments { column: column(c), mask, squares };
                walk.answer(&scan, tree!(lane, Moments), part!(Moments), |sum, job| match job.what {
                    What::Sum => cells.float(job.target, sum.sum()),
                    What::Mean => cells.float_or_null(job.target, sum.mean()),
                    What::Var => cells.float_or_null(job.target, sum.variance()),
                    _ => cells.float_or_null(job.target, sum.variance().map(f64::sqrt)),
                });
            }
            LanePlan::Higher { column: c, mask } => {
                let scan = HigherOf { column: column(c), mask };
                walk.answer(&scan, tree!(lane, Higher), part!(Higher), |sum, job| {
                    let value = if job.what == What::Skew { sum.skew() } else { sum.kurtosis() };
                    cells.float_or_null(job.target, value);
                });
            }
            LanePlan::Pair { x, y, mask } => {
                let scan = PairOf { x: column(x), y: Some(column(y)), mask };
                walk.answer(&scan, tree!(lane, Pair), part!(Pair), |sum, job| {
                    let value = if job.what == What::Cov { sum.cov() } else { sum.corr() };
                    cells.float_or_null(job.target, value);
                });
            }
            LanePlan::Slope { column: c, mask } => {
                let scan = PairOf { x: column(c), y: None, mask };
                let units = question.ticks_per_second as u32;
                walk.answer(&scan, tree!(lane, Pair), part!(Pair), |sum, job| {
                    cells.float_or_null(job.target, sum.slope(units));
                });
            }
            LanePlan::Extreme { column: c, mask, max, beside } => {
                let scan = ExtremeOf { column: column(c), mask, max, beside: beside.map(column) };
                walk.answer(&scan, tree!(lane, Extreme), part!(Extreme), |best, job| {
                    let kind = column(beside.unwrap_or(c)).kind;
                    let float = kind == FieldKind::Float64;
                    let payload = match beside {
                        Some(_) => best.beside,
                        None => extreme::payload(best.rank, float, max),
                    };
                    cells.payload_or_null(job.target, kind, best.any.then_some(payload));
                });
            }
            LanePlan::Registers { column: c, mask } => {
                let scan = RegistersOf { column: column(c), mask, texts };
                walk.answer(&scan, tree!(lane, Registers), part!(Registers), |sum, job| {
                    cells.count(job.target, sum.estimate());
                });
            }
            LanePlan::Decay { column: c, mask, half_life } => {
                let scan = DecayOf { column: column(c), mask, half_life };
                walk.answer(&scan, tree!(lane, Decay), part!(Decay), |sum, job| match job.what {
                    What::EwmSum => cells.float(job.target, sum.sum(question.t, half_life)),
                    _ => cells.float_or_null(job.target, sum.mean()),
                });
            }
            LanePlan::Entry { column, mask } => {
                entry::answer(question, log, past.as_deref(), (column, mask), &lane.jobs, &scratch.insides, cells);
            }
            LanePlan::Rank { column: c, mask } => {
                rank(question, lane, log, (column(c), mask), &scratch.insides, &mut scratch.floats, cells);
            }
            LanePlan::Distinct { column: c, mask, flag, previous } => {
                let distinct = Distinct { lane: lane.lane, column: column(c), mask, flag, previous };
                let Scratch { insides, words, .. } = &mut *scratch;
                distinct.answer(question, lane, log, past.as_deref(), insides, words, cells);
            }
            LanePlan::Tally { .. } => {}
        }
    }
}

/// One lane on its way through the windows.
struct Walk<'a> {
    question: &'a Question<'a>,
    lane: &'a ReadLane,
    log: Log<'a>,
    past: Option<&'a Past>,
    insides: &'a [Inside],
}

impl<'a> Walk<'a> {
    /// Adds up each window and gives the sum to its jobs.
    #[inline]
    fn answer<S: Scan>(
        &self,
        scan: &S,
        tree: impl Fn(&'a Busy) -> &'a Tree<S::Sum>,
        part: impl Fn(&'a Part) -> &'a S::Sum,
        mut give: impl FnMut(&S::Sum, &Job),
    ) where
        S::Sum: 'a,
    {
        let mut sum = S::Sum::default();
        // What the sum stands for so far.
        let (mut at, mut high) = (0, 0);
        for jobs in self.lane.jobs.chunk_by(|a, b| a.window == b.window) {
            let inside = self.insides[jobs[0].window];
            if inside.high == high && inside.low <= at {
                self.log.fold(scan, &tree, inside.low, at, &mut sum);
            } else {
                sum = S::Sum::default();
                self.log.fold(scan, &tree, inside.low, inside.high, &mut sum);
                high = inside.high;
            }
            at = inside.low;
            let own = self.question.newcomer.filter(|_| inside.current);
            if own.is_none() && !inside.past {
                jobs.iter().for_each(|job| give(&sum, job));
                continue;
            }
            let mut whole = sum.clone();
            if inside.past {
                let plan = &self.question.read.windows[jobs[0].window];
                each_part(self.past, plan, jobs[0].part, &inside, |found| whole.merge(part(found)));
            }
            if let Some(own) = own {
                scan.scan(own, 0, 1, self.log.end(), &mut whole);
            }
            jobs.iter().for_each(|job| give(&whole, job));
        }
    }
}

/// The parts of the past that a window sees.
fn each_part<'a>(
    past: Option<&'a Past>,
    plan: &WindowPlan,
    part: usize,
    inside: &Inside,
    mut look: impl FnMut(&'a Part),
) {
    match (past, plan.past) {
        (Some(past), plan::Past::All) => look(&past.all[part]),
        (Some(past), plan::Past::Hop(hop)) => {
            let slices = past.hops[hop].slices.iter().filter(|slice| slice.begin >= inside.begin);
            slices.for_each(|slice| look(&slice.parts[part]));
        }
        _ => {}
    }
}

/// Counts are differences of positions, or bits.
fn counts(walk: &Walk<'_>, mask: Option<usize>, cells: &mut Cells) {
    let own = walk.question.newcomer.is_some_and(|run| kept(run, mask, 0, 1) != 0);
    let (mut count, mut at, mut high) = (0, 0, 0);
    for jobs in walk.lane.jobs.chunk_by(|a, b| a.window == b.window) {
        let inside = walk.insides[jobs[0].window];
        let (from, to) = (inside.low, if inside.high == high && inside.low <= at { at } else { inside.high });
        let more = mask.map_or(to - from, |flag| walk.log.count(flag, from, to));
        count = if to == inside.high { more } else { count + more };
        (at, high) = (inside.low, inside.high);
        let mut whole = count + u64::from(own && inside.current);
        if inside.past {
            let plan = &walk.question.read.windows[jobs[0].window];
            each_part(walk.past, plan, jobs[0].part, &inside, |part| match part {
                Part::Count(more) => whole += more.0,
                _ => unreachable!("a part is of the kind of its lane"),
            });
        }
        for job in jobs {
            match job.what {
                What::Rate(seconds) => cells.float(job.target, whole as f64 / seconds),
                _ => cells.count(job.target, whole),
            }
        }
    }
}

/// Exact distinct counts: each value counts where it is seen last.
struct Distinct<'a> {
    lane: usize,
    column: &'a LogColumn,
    mask: Option<usize>,
    flag: usize,
    previous: Option<usize>,
}

impl Distinct<'_> {
    #[expect(clippy::too_many_arguments, reason = "one question, looked at from where its parts lie")]
    fn answer(
        &self,
        question: &Question<'_>,
        lane: &ReadLane,
        log: Log<'_>,
        past: Option<&Past>,
        insides: &[Inside],
        words: &mut Vec<u64>,
        cells: &mut Cells,
    ) {
        let own = question.newcomer.filter(|run| kept(*run, self.mask, 0, 1) != 0);
        let own = own.map(|run| self.column.identity(run, 0));
        for jobs in lane.jobs.chunk_by(|a, b| a.window == b.window) {
            let inside = insides[jobs[0].window];
            let plan = &question.read.windows[jobs[0].window];
            let needs_count = jobs.iter().any(|job| job.what == What::Distinct);
            let (distinct, met) = if inside.past || plan.past != plan::Past::None {
                self.with_past(log, past, plan, jobs[0].part, &inside, own, words)
            } else {
                let distinct = if needs_count { self.count(log, inside.low, inside.high) } else { 0 };
                (distinct, own.is_some_and(|value| self.seen(log, value, inside.low, inside.high)))
            };
            for job in jobs {
                match (job.what, own) {
                    (What::IsFirst, None) => cells.null(job.target),
                    (What::IsFirst, Some(_)) => cells.float(job.target, f64::from(u8::from(!met))),
                    (_, own) => {
                        let fresh = own.is_some() && inside.current && !met;
                        cells.count(job.target, distinct + u64::from(fresh));
                    }
                }
            }
        }
    }

    /// Distinct values of a stretch of the log.
    fn count(&self, log: Log<'_>, low: u64, high: u64) -> u64 {
        let newest = log.count(self.flag, low, high);
        if high == log.end() || low >= high {
            return newest;
        }
        // Values whose last event lies after the stretch, and an earlier one in it.
        let mut count = newest;
        match (self.previous, log) {
            (Some(half), Log::Busy(_)) => {
                if high - low < log.end() - high {
                    // Fewer inside than after: each value counts where it is seen first.
                    count = 0;
                    log.stretches(low, high, |run, from, to, position| {
                        super::lane::each(kept(run, self.mask, from, to), |index| {
                            let (at, back) = (position + (index - from) as u64, u64::from(run.half(half)[index]));
                            count += u64::from(back == 0 || at.saturating_sub(back) < low);
                        });
                    });
                    return count;
                }
                log.stretches(high, log.end(), |run, from, to, position| {
                    super::lane::each(kept(run, self.mask, from, to), |index| {
                        let (at, back) = (position + (index - from) as u64, u64::from(run.half(half)[index]));
                        count += u64::from(back > 0 && (low..high).contains(&(at - back)));
                    });
                });
            }
            _ => {
                count = 0;
                let run = log.at(low).0;
                let set = kept(run, self.mask, low as usize, high as usize);
                super::lane::each(set, |index| {
                    let value = self.column.identity(run, index);
                    let mut again = false;
                    super::lane::each(set & !super::run::bits(0, index + 1), |later| {
                        again |= self.column.identity(run, later) == value;
                    });
                    count += u64::from(!again);
                });
            }
        }
        count
    }

    /// Whether a value is in a stretch of the log.
    fn seen(&self, log: Log<'_>, value: u64, low: u64, high: u64) -> bool {
        match log {
            Log::Run(run) => {
                if low >= high {
                    return false;
                }
                let mut met = false;
                let set = kept(run, self.mask, low as usize, high as usize);
                super::lane::each(set, |index| met |= self.column.identity(run, index) == value);
                met
            }
            Log::Busy(busy) => self.seen_in(busy, log, value, low, high),
        }
    }

    fn seen_in(&self, busy: &Busy, log: Log<'_>, value: u64, low: u64, high: u64) -> bool {
        let Some(mut position) = busy.last_seen(self.lane, value) else { return false };
        // Events after the stretch lead back to those in it.
        while position >= high {
            let (run, index) = log.at(position);
            let back = self.previous.map_or(0, |half| u64::from(run.half(half)[index]));
            if back == 0 {
                return false;
            }
            position -= back;
        }
        position >= low
    }

    /// The same where part of the window has left the log: values counted before, and those of the log that are not among them.
    #[expect(clippy::too_many_arguments, reason = "one question, looked at from where its parts lie")]
    fn with_past(
        &self,
        log: Log<'_>,
        past: Option<&Past>,
        plan: &WindowPlan,
        part: usize,
        inside: &Inside,
        own: Option<u64>,
        words: &mut Vec<u64>,
    ) -> (u64, bool) {
        let past = past.filter(|_| inside.past);
        let known = |value: u64| {
            let mut known = false;
            each_part(past, plan, part, inside, |part| {
                known |= matches!(part, Part::Tally(tally) if tally.tally().count(value) > 0);
            });
            known
        };
        let mut distinct = match (past, plan.past) {
            (Some(past), plan::Past::All) => match &past.all[part] {
                Part::Tally(tally) => tally.tally().distinct() as u64,
                _ => unreachable!("a part is of the kind of its lane"),
            },
            (Some(past), plan::Past::Hop(hop)) => past.hops[hop].distinct(part, inside.begin),
            _ => 0,
        };
        words.clear();
        log.stretches(inside.low, inside.high, |run, from, to, _| {
            super::lane::each(kept(run, self.mask, from, to), |index| words.push(self.column.identity(run, index)));
        });
        words.sort_unstable();
        words.dedup();
        distinct += words.iter().filter(|&&value| !known(value)).count() as u64;
        (distinct, own.is_some_and(|value| words.binary_search(&value).is_ok() || known(value)))
    }
}

/// Exact quantiles: of few values by sorting them, of a busy key by their ranks.
fn rank(
    question: &Question<'_>,
    lane: &ReadLane,
    log: Log<'_>,
    (column, mask): (&LogColumn, Option<usize>),
    insides: &[Inside],
    floats: &mut Vec<f64>,
    cells: &mut Cells,
) {
    let own = question.newcomer.filter(|run| kept(*run, mask, 0, 1) != 0).map(|run| column.float(run, 0));
    for jobs in lane.jobs.chunk_by(|a, b| a.window == b.window) {
        let inside = insides[jobs[0].window];
        let own = own.filter(|_| inside.current);
        floats.clear();
        let ranks = match log {
            Log::Busy(busy) if inside.high - inside.low > 64 => match busy.lane(lane.lane) {
                Kept::Rank(ranks) => Some(ranks),
                _ => unreachable!("what is kept is of the kind of its lane"),
            },
            _ => {
                log.stretches(inside.low, inside.high, |run, from, to, _| {
                    super::lane::each(kept(run, mask, from, to), |index| floats.push(column.float(run, index)));
                });
                floats.extend(own);
                None
            }
        };
        let (low, high) = (inside.low, inside.high);
        let (nan, logged) = match ranks {
            Some(ranks) => (ranks.has_nan(low, high) || own.is_some_and(f64::is_nan), ranks.count(low, high)),
            None => {
                let nan = floats.iter().any(|x| x.is_nan());
                floats.sort_unstable_by(f64::total_cmp);
                (nan, floats.len() as u64)
            }
        };
        let count = if ranks.is_some() { logged + u64::from(own.is_some()) } else { logged };
        // The n-th of the log and the row's own value together.
        let nth = |n: u64| match (ranks, own) {
            (None, _) => floats[n as usize],
            (Some(ranks), None) => ranks.nth(low, high, n).expect("fewer than there are"),
            (Some(ranks), Some(own)) => {
                let below = n.checked_sub(1).and_then(|n| ranks.nth(low, high, n));
                let here = ranks.nth(low, high, n);
                match (below, here) {
                    (Some(below), _) if own.total_cmp(&below).is_lt() => below,
                    (_, Some(here)) if here.total_cmp(&own).is_lt() => here,
                    _ => own,
                }
            }
        };
        for job in jobs {
            let What::Quantile(q) = job.what else { unreachable!("another lane answers this") };
            match count {
                0 => cells.null(job.target),
                _ if nan => cells.float(job.target, f64::NAN),
                count => cells.float(job.target, interpolated(q, count, nth)),
            }
        }
    }
}

/// NumPy's default method, `linear`, in its own arithmetic.
fn interpolated(q: f64, count: u64, nth: impl Fn(u64) -> f64) -> f64 {
    let place = q * (count - 1) as f64;
    let (below, share) = (place.floor(), place - place.floor());
    let low = nth(below as u64);
    if share == 0.0 {
        return low;
    }
    let high = nth((below as u64 + 1).min(count - 1));
    if low == high {
        return low;
    }
    if share < 0.5 { low + (high - low) * share } else { high - (high - low) * (1.0 - share) }
}

/// Answers made of how often each value is there.
fn tally(
    question: &Question<'_>,
    lane: &ReadLane,
    events: &mut Events<'_>,
    mut past: Option<&mut Past>,
    texts: &Interner,
    scratch: &mut Scratch,
    cells: &mut Cells,
) {
    let LanePlan::Tally { column, mask, buckets } = question.plan.lanes[lane.lane] else {
        unreachable!("a tally is asked of a tally")
    };
    let kind = &question.plan.columns[column];
    let own = question.newcomer.filter(|run| kept(*run, mask, 0, 1) != 0);
    let own = own.map(|run| counted(question.plan, column, buckets, run, 0));
    let Scratch { insides, cursor: plain, buckets: bucketed, top, words, .. } = scratch;
    for jobs in lane.jobs.chunk_by(|a, b| a.window == b.window) {
        let inside = insides[jobs[0].window];
        let window = &question.read.windows[jobs[0].window];
        let own = own.filter(|_| inside.current);
        words.clear();
        let mut taken = None;
        // A tally that holds all of the window but for `words`, which are added for the length of the answer.
        let cursor: &mut Cursor = match (&mut *events, window.past, past.as_deref_mut().filter(|_| inside.past)) {
            (Events::Busy(busy), plan::Past::None, _) => {
                let mut cursor = busy.take_cursor(jobs[0].cursor);
                cursor.seek(question.plan, lane.lane, Log::Busy(busy), inside.low, inside.high, texts);
                taken.insert(cursor)
            }
            (events, _, past) => {
                events.log().stretches(inside.low, inside.high, |run, from, to, _| {
                    super::lane::each(kept(run, mask, from, to), |index| {
                        words.push(counted(question.plan, column, buckets, run, index));
                    });
                });
                let scratch = if buckets { &mut *bucketed } else { &mut *plain };
                match (window.past, past) {
                    (plan::Past::All, Some(past)) => match &mut past.all[jobs[0].part] {
                        Part::Tally(tally) => tally,
                        _ => unreachable!("a part is of the kind of its lane"),
                    },
                    (plan::Past::Hop(hop), Some(past)) => {
                        past.hops[hop].tally(jobs[0].part, inside.begin, kind, texts, scratch)
                    }
                    _ => {
                        scratch.clear();
                        scratch
                    }
                }
            }
        };
        words.extend(own);
        words.iter().for_each(|&value| cursor.add(value, kind, texts));
        let added = std::mem::take(words);
        for job in jobs {
            match job.what {
                What::Mode => {
                    cursor.top(1, kind, texts, top);
                    cells.payload_or_null(job.target, kind.kind, top.first().map(|met| met.0));
                }
                What::TopK(k) => {
                    cursor.top(k, kind, texts, top);
                    cells.list(job.target, top.iter().map(|met| met.0));
                }
                What::Entropy => cells.float_or_null(job.target, cursor.entropy(words)),
                What::ApproxQuantile(q) => cells.float_or_null(job.target, approx_quantile(cursor, q)),
                _ => unreachable!("another lane answers this"),
            }
        }
        added.iter().for_each(|&value| cursor.take(value, kind, texts));
        *words = added;
        if let (Some(cursor), Events::Busy(busy)) = (taken, &mut *events) {
            busy.put_cursor(jobs[0].cursor, cursor);
        }
    }
}

fn approx_quantile(cursor: &Cursor, q: f64) -> Option<f64> {
    let total = cursor.tally().total;
    if total == 0 {
        return None;
    }
    if cursor.tally().count(NAN_BUCKET) > 0 {
        return Some(f64::NAN);
    }
    cursor.bucket(sketch::rank(q, total)).map(sketch::representative)
}

/// An event of a key, as an explanation shows it.
pub(crate) struct Seen<'a> {
    /// Window of the read.
    pub window: usize,
    pub run: Run<'a>,
    pub index: usize,
    /// False for one that has left the window, or has not entered it.
    pub inside: bool,
}

/// Looks at the events of every window of a read, and at some that have just left it.
pub(super) fn look(question: &Question<'_>, log: Log<'_>, past: Option<&Past>, mut look: impl FnMut(Seen<'_>)) {
    let mut ends = Vec::new();
    insides(question, log, past, &mut ends);
    for (window, inside) in ends.iter().enumerate() {
        let from = inside.low.saturating_sub(LEFT_MAX).max(log.first());
        for (range, is_inside) in [(from..inside.low, false), (inside.low..inside.high, true)] {
            for position in range {
                let (run, index) = log.at(position);
                look(Seen { window, run, index, inside: is_inside });
            }
        }
    }
}

/// How many events that have left a window are shown.
const LEFT_MAX: u64 = 10;
