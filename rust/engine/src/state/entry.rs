//! Answers that are single events of a window: the first, the newest ones, how long ago they were.

use std::collections::VecDeque;

use super::answer::Question;
use super::bounds::Inside;
use super::cells::Cells;
use super::interner::Interner;
use super::lane::kept;
use super::log::Log;
use super::past::{Part, Past};
use crate::aggregate::What;
use crate::derive;
use crate::encode::{Broken, Encode, Input};
use crate::heap::room;
use crate::plan::{self, Job, Mask};

/// Time and value of an event.
type Entry = (i64, u64);

/// Events that have left the log: the first, and the newest.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    first: Option<Entry>,
    newest: VecDeque<Entry>,
}

impl Entries {
    /// Takes in the next event; `texts` are told of values that are texts.
    pub fn add(&mut self, time: i64, value: u64, depth: usize, texts: Option<&mut Interner>) {
        let gone = if self.newest.len() == depth { self.newest.pop_front() } else { None };
        self.newest.push_back((time, value));
        let is_first = self.first.is_none();
        self.first.get_or_insert((time, value));
        if let Some(texts) = texts {
            texts.hold(value as u32);
            if is_first {
                texts.hold(value as u32);
            }
            if let Some((_, gone)) = gone {
                texts.release(gone as u32);
            }
        }
    }

    /// Every value it holds, as often as it does.
    pub fn values(&self) -> impl Iterator<Item = u64> {
        self.first.iter().chain(&self.newest).map(|entry| entry.1)
    }

    /// The same, to change.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.first.iter_mut().chain(&mut self.newest).map(|entry| &mut entry.1)
    }

    /// Appends them, values as `value` writes them; of the newest so many as `depth`.
    pub fn save(&self, depth: usize, value: impl Fn(u64) -> u64, out: &mut Vec<u8>) {
        let written = |entry: &Entry| (entry.0, value(entry.1));
        self.first.as_ref().map(written).encode(out);
        let newest = self.newest.range(self.newest.len().saturating_sub(depth)..);
        (newest.len() as u64).encode(out);
        newest.for_each(|entry| written(entry).encode(out));
    }

    /// Reads them back; `depth` is how many of the newest are kept.
    pub fn load(&mut self, depth: usize, input: &mut Input<'_>) -> Result<(), Broken> {
        self.first = input.read()?;
        let count = input.count(16)?;
        if count > depth || self.first.is_some() != (count > 0) {
            return Err(Broken(format!("{count} single events are kept where {depth} can be")));
        }
        for _ in 0..count {
            self.newest.push_back(input.read()?);
        }
        Ok(())
    }

    pub fn bytes(&self) -> usize {
        room::<Entry>(self.newest.capacity())
    }
}

/// The entries of a job's past that its window sees, the oldest first.
fn past_of<'a>(
    past: Option<&'a Past>,
    plan: &plan::WindowPlan,
    job: &Job,
    inside: &Inside,
) -> impl DoubleEndedIterator<Item = &'a Entries> {
    let (part, begin) = (job.part, inside.begin);
    let entries = |part: &'a Part| match part {
        Part::Entries(entries) => &**entries,
        _ => unreachable!("single events are kept as such"),
    };
    let past = past.filter(|_| inside.past && part != usize::MAX);
    let (all, slices) = match (past, plan.past) {
        (Some(past), plan::Past::All) => (Some(&past.all[part]), None),
        (Some(past), plan::Past::Hop(hop)) => (None, Some(&past.hops[hop].slices)),
        _ => (None, None),
    };
    let slices = slices.into_iter().flatten().filter(move |slice| slice.begin >= begin);
    all.into_iter().chain(slices.map(move |slice| &slice.parts[part])).map(entries)
}

/// Answers the jobs of a lane of single events.
pub(super) fn answer(
    question: &Question<'_>,
    log: Log<'_>,
    past: Option<&Past>,
    (column, mask): (Option<usize>, Mask),
    jobs: &[Job],
    insides: &[Inside],
    cells: &mut Cells,
) {
    let column = column.map(|column| &question.plan.columns[column]);
    let entry_at = |position: u64| {
        let (run, index) = log.at(position);
        (run.times()[index], column.map_or(0, |column| column.load(run, index)))
    };
    let own = question.newcomer.filter(|run| kept(*run, mask, 0, 1) != 0);
    for job in jobs {
        let plan = &question.read.windows[job.window];
        let inside = &insides[job.window];
        // The newest of all time are in the log even where others have been folded.
        let low = if job.part == usize::MAX { inside.reach.min(inside.high) } else { inside.low };
        let high = inside.high;
        let own =
            own.filter(|_| inside.current).map(|run| (run.times()[0], column.map_or(0, |column| column.load(run, 0))));
        let first = || {
            let before = past_of(past, plan, job, inside).find_map(|entries| entries.first);
            before.or_else(|| log.first_kept(mask, low, high).map(entry_at)).or(own)
        };
        // The n-th newest before the row's own, counted from 1.
        let newest = |n: u64| match log.nth_back(mask, low, high, n) {
            Some(position) => Some(entry_at(position)),
            None => {
                let logged = mask.map_or(high - low, |flag| log.count(flag, low, high));
                let before = past_of(past, plan, job, inside);
                let mut older = before.rev().flat_map(|entries| entries.newest.iter().rev());
                older.nth((n - 1 - logged) as usize).copied()
            }
        };
        let seconds =
            |entry: Option<Entry>| entry.map(|(time, _)| derive::seconds(question.t, time, question.ticks_per_second));
        let kind = column.map_or(crate::definition::FieldKind::Timestamp, |column| column.kind);
        match job.what {
            What::SinceFirst => cells.float_or_null(job.target, seconds(first())),
            What::SinceLast => cells.float_or_null(job.target, seconds(newest(1))),
            What::First => cells.payload_or_null(job.target, kind, first().map(|entry| entry.1)),
            What::Last => {
                let last = own.or_else(|| newest(1));
                cells.payload_or_null(job.target, kind, last.map(|entry| entry.1));
            }
            What::Lag(n) => cells.payload_or_null(job.target, kind, newest(n as u64).map(|entry| entry.1)),
            What::LastK(k) => {
                let left = k - usize::from(own.is_some());
                let before = (1..=left as u64).map_while(newest);
                cells.list(job.target, own.into_iter().chain(before).map(|entry| entry.1));
            }
            _ => unreachable!("another lane answers this"),
        }
    }
}
