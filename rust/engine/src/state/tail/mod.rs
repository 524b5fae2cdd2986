//! Rows whose event comes in order: every window that ends with the row is the tail of the key's log, and all of them are answered together,
//! window by window and event by event instead of lane by lane. `run` sums up the few events of a key, `busy` moves sums on.
//!
//! The bits are those of `walk`: sums are whole numbers, so neither order nor grouping shows.

pub(super) mod busy;
pub(super) mod run;

use super::answer::Question;
use super::cells::Cells;
use super::log::Log;
use super::run::Run;
use crate::aggregate::exact;
use crate::aggregate::{What, extreme};
use crate::definition::FieldKind;
use crate::derive;
use crate::plan::{Job, LogColumn, TailPlan};

/// A number as a whole one times a power of two.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    pub magnitude: u64,
    pub exponent: i32,
    pub negative: bool,
}

/// What a payload stands for; `None` where it is not finite.
#[inline]
pub(super) fn parts(column: &LogColumn, payload: u64) -> Option<Parts> {
    if column.kind != FieldKind::Float64 {
        let value = payload as i64;
        return Some(Parts { magnitude: value.unsigned_abs(), exponent: 0, negative: value < 0 });
    }
    let x = f64::from_bits(payload);
    let (magnitude, exponent) = exact::parts(x);
    x.is_finite().then_some(Parts { magnitude, exponent, negative: x.is_sign_negative() })
}

/// Gives the sums of a window to its jobs.
#[inline]
pub(super) fn give_sums(count: u64, scale: i32, sums: &exact::Moments, jobs: &[Job], cells: &mut Cells) {
    let scale = if scale == exact::UNSET { 0 } else { scale };
    let sum = exact::sum(sums, scale);
    let mut variance = f64::NAN;
    for (index, job) in jobs.iter().enumerate() {
        match job.what {
            What::Sum => cells.float(job.target, sum),
            What::Mean if count == 0 => cells.null(job.target),
            What::Mean => cells.float(job.target, exact::mean_of(sum, sums, scale, count)),
            _ if count < 2 => cells.null(job.target),
            what => {
                // Both of them are rare beside each other.
                if index == 0 || !matches!(jobs[index - 1].what, What::Var | What::Std) {
                    variance = exact::variance(sums, scale, count);
                }
                cells.float(job.target, if what == What::Var { variance } else { variance.sqrt() });
            }
        }
    }
}

/// Gives the best of a window to its jobs.
#[inline]
pub(super) fn give_best(rank: Option<i64>, jobs: &[Job], (kind, max): (FieldKind, bool), cells: &mut Cells) {
    let payload = rank.map(|rank| extreme::payload(rank, kind == FieldKind::Float64, max));
    for job in jobs {
        cells.payload_or_null(job.target, kind, payload);
    }
}

/// Gives the distinct values of a window, the row's own event left out; `met` says whether its value is among them.
#[inline]
pub(super) fn give_distinct(distinct: u64, fresh: bool, own: Option<bool>, jobs: &[Job], cells: &mut Cells) {
    for job in jobs {
        match (job.what, own) {
            (What::IsFirst, None) => cells.null(job.target),
            (What::IsFirst, Some(met)) => cells.float(job.target, f64::from(u8::from(!met))),
            _ => cells.count(job.target, distinct + u64::from(fresh)),
        }
    }
}

/// Answers what asks for single events, counted back from the newest. `low` says where a window begins.
#[inline]
fn entries(
    question: &Question<'_>,
    tail: &TailPlan,
    log: Log<'_>,
    own: Run<'_>,
    low: impl Fn(usize) -> u64,
    cells: &mut Cells,
) {
    for entry in &tail.entries {
        let column = entry.column.map(|column| &question.plan.columns[column]);
        let kind = column.map_or(FieldKind::Timestamp, |column| column.kind);
        let low = entry.window.map_or(log.first(), &low);
        let back =
            |n: u64| log.end().checked_sub(n).filter(|&position| position >= low).map(|position| log.at(position));
        let value = |(run, index): (Run<'_>, usize)| column.map_or(0, |column| column.load(run, index));
        for job in &entry.jobs {
            match job.what {
                What::Lag(n) => cells.payload_or_null(job.target, kind, back(n as u64).map(value)),
                What::Last if entry.current => cells.payload(job.target, kind, value((own, 0))),
                What::Last => cells.payload_or_null(job.target, kind, back(1).map(value)),
                _ => {
                    let since = |(run, index): (Run<'_>, usize)| {
                        derive::seconds(question.t, run.times()[index], question.ticks_per_second)
                    };
                    cells.float_or_null(job.target, back(1).map(since));
                }
            }
        }
    }
}
