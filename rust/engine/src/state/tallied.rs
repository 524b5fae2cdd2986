//! Answers made of how often each value is there: mode, the most frequent, entropy, quantiles of a sketch.

use super::answer::{Events, Question, Scratch};
use super::cells::Cells;
use super::cursor::Cursor;
use super::interner::Interner;
use super::lane::{NAN_BUCKET, counted, each, kept};
use super::log::Log;
use super::past::{Part, Past};
use crate::aggregate::{What, sketch};
use crate::plan::{self, LanePlan, ReadLane};

/// Answers made of how often each value is there.
pub(super) fn answer(
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
                    each(kept(run, mask, from, to), |index| {
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
