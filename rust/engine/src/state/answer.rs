//! The answers of one row from one key: where its windows begin and end, then lane by lane what is in them.
//!
//! Windows that end alike stand next to each other, shorter ones first: one walk backwards serves them, each adds to the ones before.

use super::bounds::{self, Inside};
use super::busy::{Busy, Kept};
use super::cells::Cells;
use super::cursor::Cursor;
use super::interner::Interner;
use super::lane::{Counts, DecayOf, ExtremeOf, HigherOf, Moments, PairOf, RegistersOf};
use super::log::Log;
use super::past::{Part, Past};
use super::run::Run;
use super::unique::Distinct;
use super::walk::{Walk, count_of, positions};
use super::{entry, quantile, tail, tallied};
use crate::aggregate::moments::MomentSum;
use crate::aggregate::{What, extreme};
use crate::definition::FieldKind;
use crate::plan::{Job, LanePlan, ReadPlan, TablePlan};

/// The tree that a busy key keeps for a lane.
macro_rules! tree {
    ($lane:expr, $kind:ident) => {
        |busy| match busy.lane($lane.lane) {
            Kept::$kind(tree) => tree,
            _ => unreachable!("what is kept is of the kind of its lane"),
        }
    };
}

/// What follows the windows of a lane.
macro_rules! follow {
    ($follows:expr, $kind:ident) => {
        $follows.as_mut().map(|follows| &mut *follows.$kind)
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
    /// Whether it is stored once its row is made, so that what is followed may move on.
    pub stores: bool,
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
    pub fn log(&self) -> Log<'_> {
        match self {
            Self::Run(run) => Log::Run(*run),
            Self::Busy(busy) => Log::Busy(busy),
        }
    }
}

/// Memory of one answer, reused.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub insides: Vec<Inside>,
    pub cursor: Cursor,
    pub buckets: Cursor,
    pub top: Vec<(u64, u64)>,
    pub words: Vec<u64>,
    floats: Vec<f64>,
    lows: Vec<u32>,
}

impl Scratch {
    pub fn new() -> Self {
        let lane = LanePlan::Tally { column: 0, mask: None, buckets: true };
        Self { buckets: Cursor::new(&lane), ..Self::default() }
    }
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
    let lanes =
        if tail(question, &mut events, &mut scratch.lows, cells) { &question.read.rest } else { &question.read.lanes };
    if lanes.is_empty() {
        return;
    }
    bounds::insides(question, events.log(), past.as_deref(), &mut scratch.insides);
    let mut follows = match &mut events {
        Events::Busy(busy) if question.stores => Some(busy.take_follows()),
        _ => None,
    };
    for lane in lanes {
        let plan = &question.plan.lanes[lane.lane];
        if let LanePlan::Tally { .. } = plan {
            tallied::answer(question, lane, &mut events, past.as_deref_mut(), texts, scratch, cells);
            continue;
        }
        let log = events.log();
        let column = |index: usize| &question.plan.columns[index];
        let walk = Walk { question, lane, log, past: past.as_deref(), insides: &scratch.insides };
        match *plan {
            LanePlan::Count { mask: None } => positions(&walk, cells),
            LanePlan::Count { mask: mask @ Some(flag) } => {
                walk.answer(
                    &Counts { mask },
                    |busy| busy.flag(flag),
                    part!(Count),
                    follow!(follows, counts),
                    |count, jobs| jobs.iter().for_each(|job| count_of(count.0, job, cells)),
                );
            }
            LanePlan::Moments { column: c, mask, squares } => {
                let scan = Moments { column: column(c), mask, squares };
                walk.answer(&scan, tree!(lane, Moments), part!(Moments), follow!(follows, moments), |sum, jobs| {
                    moments(sum, jobs, cells)
                });
            }
            LanePlan::Higher { column: c, mask } => {
                let scan = HigherOf { column: column(c), mask };
                walk.answer(&scan, tree!(lane, Higher), part!(Higher), follow!(follows, highers), |sum, jobs| {
                    for job in jobs {
                        let value = if job.what == What::Skew { sum.skew() } else { sum.kurtosis() };
                        cells.float_or_null(job.target, value);
                    }
                });
            }
            LanePlan::Pair { x, y, mask } => {
                let scan = PairOf { x: column(x), y: Some(column(y)), mask };
                walk.answer(&scan, tree!(lane, Pair), part!(Pair), follow!(follows, pairs), |sum, jobs| {
                    for job in jobs {
                        let value = if job.what == What::Cov { sum.cov() } else { sum.corr() };
                        cells.float_or_null(job.target, value);
                    }
                });
            }
            LanePlan::Slope { column: c, mask } => {
                let scan = PairOf { x: column(c), y: None, mask };
                let units = question.ticks_per_second as u32;
                walk.answer(&scan, tree!(lane, Pair), part!(Pair), follow!(follows, pairs), |sum, jobs| {
                    for job in jobs {
                        cells.float_or_null(job.target, sum.slope(units));
                    }
                });
            }
            LanePlan::Extreme { column: c, mask, max, beside } => {
                let scan = ExtremeOf { column: column(c), mask, max, beside: beside.map(column) };
                walk.answer(&scan, tree!(lane, Extreme), part!(Extreme), follow!(follows, extremes), |best, jobs| {
                    for job in jobs {
                        let kind = column(beside.unwrap_or(c)).kind;
                        let float = kind == FieldKind::Float64;
                        let payload = match beside {
                            Some(_) => best.beside,
                            None => extreme::payload(best.rank, float, max),
                        };
                        cells.payload_or_null(job.target, kind, best.any.then_some(payload));
                    }
                });
            }
            LanePlan::Registers { column: c, mask } => {
                let scan = RegistersOf { column: column(c), mask, texts };
                walk.answer(&scan, tree!(lane, Registers), part!(Registers), None, |sum, jobs| {
                    for job in jobs {
                        cells.count(job.target, sum.estimate());
                    }
                });
            }
            LanePlan::Decay { column: c, mask, half_life } => {
                let scan = DecayOf { column: column(c), mask, half_life };
                walk.answer(&scan, tree!(lane, Decay), part!(Decay), None, |sum, jobs| {
                    for job in jobs {
                        match job.what {
                            What::EwmSum => cells.float(job.target, sum.sum(question.t, half_life)),
                            _ => cells.float_or_null(job.target, sum.mean()),
                        }
                    }
                });
            }
            LanePlan::Entry { column, mask } => {
                entry::answer(question, log, past.as_deref(), (column, mask), &lane.jobs, &scratch.insides, cells);
            }
            LanePlan::Rank { column: c, mask } => {
                quantile::answer(question, lane, log, (column(c), mask), &scratch.insides, &mut scratch.floats, cells);
            }
            LanePlan::Distinct { column: c, mask, flag, previous } => {
                let distinct = Distinct { lane: lane.lane, column: column(c), mask, flag, previous };
                let Scratch { insides, words, .. } = &mut *scratch;
                let follows = follow!(follows, counts);
                distinct.answer(question, lane, log, past.as_deref(), insides, follows, words, cells);
            }
            LanePlan::Tally { .. } => {}
        }
    }
    if let (Events::Busy(busy), Some(follows)) = (&mut events, follows) {
        busy.put_follows(follows);
    }
}

/// Answers what is answered together where the row's event comes in order and stays; false where it does not.
fn tail(question: &Question<'_>, events: &mut Events<'_>, lows: &mut Vec<u32>, cells: &mut Cells) -> bool {
    let tail = &question.read.tail;
    if tail.is_empty() || !question.stores || question.mark.is_some() || question.idle_after.is_some() {
        return false;
    }
    match (question.newcomer, events) {
        (None, _) => false,
        (Some(own), Events::Run(run)) => tail::run::answer(question, *run, own, lows, cells),
        (Some(own), Events::Busy(busy)) => tail::busy::answer(question, busy, own, cells),
    }
}

/// What is made of exact sums; what several of them need is computed once.
#[inline]
pub(super) fn moments(sums: &MomentSum, jobs: &[Job], cells: &mut Cells) {
    let sum = sums.sum();
    let mut variance = None;
    for job in jobs {
        match job.what {
            What::Sum => cells.float(job.target, sum),
            What::Mean => cells.float_or_null(job.target, sums.mean_of(sum)),
            What::Var => cells.float_or_null(job.target, *variance.get_or_insert_with(|| sums.variance())),
            _ => {
                let variance = *variance.get_or_insert_with(|| sums.variance());
                cells.float_or_null(job.target, variance.map(f64::sqrt));
            }
        }
    }
}
