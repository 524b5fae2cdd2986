//! Exact distinct counts: each value counts where it is seen last.

use super::answer::Question;
use super::bounds::Inside;
use super::cells::Cells;
use super::follow::Followed;
use super::lane::{Count, each, kept};
use super::log::Log;
use super::past::{Part, Past};
use super::walk::{STEPS_MAX, each_part};
use crate::aggregate::What;
use crate::plan::{self, LogColumn, ReadLane, UNFOLLOWED, WindowPlan};

/// Exact distinct counts: each value counts where it is seen last.
pub(super) struct Distinct<'a> {
    pub lane: usize,
    pub column: &'a LogColumn,
    pub mask: Option<usize>,
    pub flag: usize,
    pub previous: Option<usize>,
}

impl Distinct<'_> {
    #[expect(clippy::too_many_arguments, reason = "one question, looked at from where its parts lie")]
    pub fn answer(
        &self,
        question: &Question<'_>,
        lane: &ReadLane,
        log: Log<'_>,
        past: Option<&Past>,
        insides: &[Inside],
        mut follows: Option<&mut [Followed<Count>]>,
        words: &mut Vec<u64>,
        cells: &mut Cells,
    ) {
        let own = question.newcomer.filter(|run| kept(*run, self.mask, 0, 1) != 0);
        let own = own.map(|run| self.column.identity(run, 0));
        // Where its value was seen last; windows then only compare.
        let seen = match log {
            Log::Busy(busy) => own.and_then(|value| busy.last_seen(self.lane, value)),
            Log::Run(_) => None,
        };
        for jobs in lane.jobs.chunk_by(|a, b| a.window == b.window) {
            let inside = insides[jobs[0].window];
            let plan = &question.read.windows[jobs[0].window];
            let needs_count = jobs.iter().any(|job| job.what == What::Distinct);
            let (distinct, met) = if plan.past != plan::Past::None {
                self.with_past(log, past, plan, jobs[0].part, &inside, own, words)
            } else {
                let met = own.is_some_and(|value| self.seen(log, value, seen, inside.low, inside.high));
                let distinct = match follows.as_deref_mut().filter(|_| jobs[0].follow != UNFOLLOWED) {
                    _ if !needs_count => 0,
                    Some(follows) => {
                        let enters = inside.current && question.newcomer.is_some();
                        let fresh = enters && own.is_some() && !met;
                        self.follow(&mut follows[jobs[0].follow], log, &inside, enters, fresh)
                    }
                    None => self.count(log, inside.low, inside.high),
                };
                (distinct, met)
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

    /// The count of a window that ends with the newest event, moved on from where it was last.
    fn follow(&self, followed: &mut Followed<Count>, log: Log<'_>, inside: &Inside, enters: bool, fresh: bool) -> u64 {
        let end = log.end();
        let forward = inside.high == end
            && followed.high == end
            && followed.low <= inside.low
            && log.first() <= followed.low
            && inside.low - followed.low <= STEPS_MAX;
        let distinct = if forward {
            // What leaves takes its value along where it is the newest of it.
            let mut gone = 0;
            log.stretches(followed.low, inside.low, |run, from, to, _| {
                gone += u64::from(kept(run, Some(self.flag), from, to).count_ones());
            });
            followed.sum.0 - gone
        } else {
            self.count(log, inside.low, inside.high)
        };
        let enters = enters && inside.high == end;
        *followed = Followed {
            low: inside.low,
            high: inside.high + u64::from(enters),
            sum: Count(distinct + u64::from(enters && fresh)),
        };
        distinct
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
                        each(kept(run, self.mask, from, to), |index| {
                            let (at, back) = (position + (index - from) as u64, u64::from(run.half(half)[index]));
                            count += u64::from(back == 0 || at.saturating_sub(back) < low);
                        });
                    });
                    return count;
                }
                log.stretches(high, log.end(), |run, from, to, position| {
                    each(kept(run, self.mask, from, to), |index| {
                        let (at, back) = (position + (index - from) as u64, u64::from(run.half(half)[index]));
                        count += u64::from(back > 0 && (low..high).contains(&(at - back)));
                    });
                });
            }
            _ => {
                count = 0;
                let run = log.at(low).0;
                let set = kept(run, self.mask, low as usize, high as usize);
                each(set, |index| {
                    let value = self.column.identity(run, index);
                    let mut again = false;
                    each(set & !super::run::bits(0, index + 1), |later| {
                        again |= self.column.identity(run, later) == value;
                    });
                    count += u64::from(!again);
                });
            }
        }
        count
    }

    /// Whether a value is in a stretch of the log; `last` is where a busy key saw it last.
    fn seen(&self, log: Log<'_>, value: u64, last: Option<u64>, low: u64, high: u64) -> bool {
        match (log, last) {
            (Log::Run(_), _) if low >= high => false,
            (Log::Run(run), _) => {
                let mut met = false;
                let set = kept(run, self.mask, low as usize, high as usize);
                each(set, |index| met |= self.column.identity(run, index) == value);
                met
            }
            (Log::Busy(_), None) => false,
            (Log::Busy(_), Some(mut position)) => {
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
        }
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
            each(kept(run, self.mask, from, to), |index| words.push(self.column.identity(run, index)));
        });
        words.sort_unstable();
        words.dedup();
        distinct += words.iter().filter(|&&value| !known(value)).count() as u64;
        (distinct, own.is_some_and(|value| words.binary_search(&value).is_ok() || known(value)))
    }
}
