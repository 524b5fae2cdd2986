//! One lane on its way through the windows of a row.

use super::answer::Question;
use super::bounds::Inside;
use super::busy::Busy;
use super::cells::Cells;
use super::follow::Followed;
use super::lane::Scan;
use super::log::Log;
use super::past::{Part, Past};
use super::tree::{Summary, Tree};
use crate::aggregate::What;
use crate::plan::{self, Job, ReadLane, UNFOLLOWED, WindowPlan};

/// One lane on its way through the windows.
pub(super) struct Walk<'a> {
    pub question: &'a Question<'a>,
    pub lane: &'a ReadLane,
    pub log: Log<'a>,
    pub past: Option<&'a Past>,
    pub insides: &'a [Inside],
}

impl<'a> Walk<'a> {
    /// Adds up each window and gives the sum to its jobs.
    #[inline]
    pub fn answer<S: Scan>(
        &self,
        scan: &S,
        tree: impl Fn(&'a Busy) -> &'a Tree<S::Sum>,
        part: impl Fn(&'a Part) -> &'a S::Sum,
        mut follows: Option<&mut [Followed<S::Sum>]>,
        mut give: impl FnMut(&S::Sum, &[Job]),
    ) where
        S::Sum: 'a,
    {
        let mut sum = scan.begin(self.question.newcomer);
        // What the sum stands for so far.
        let (mut at, mut high) = (0, 0);
        for jobs in self.lane.jobs.chunk_by(|a, b| a.window == b.window) {
            let inside = self.insides[jobs[0].window];
            let own = self.question.newcomer.filter(|_| inside.current);
            let is_logged = self.question.read.windows[jobs[0].window].past == plan::Past::None;
            let is_followed = is_logged && jobs[0].follow != UNFOLLOWED;
            let followed = follows.as_deref_mut().filter(|_| is_followed);
            if let Some(followed) = followed.map(|follows| &mut follows[jobs[0].follow]) {
                if !self.step(scan, followed, &inside) {
                    if inside.high == high && inside.low <= at {
                        self.log.fold(scan, &tree, inside.low, at, &mut sum);
                    } else {
                        sum = scan.begin(self.question.newcomer);
                        self.log.fold(scan, &tree, inside.low, inside.high, &mut sum);
                    }
                    (at, high) = (inside.low, inside.high);
                    *followed = Followed { low: inside.low, high: inside.high, sum: sum.clone() };
                }
                match own {
                    // The event will be stored there: it has been taken in already when its window is looked at next.
                    Some(own) if inside.high == self.log.end() => {
                        scan.scan(own, 0, 1, self.log.end(), &mut followed.sum);
                        followed.high += 1;
                        give(&followed.sum, jobs);
                    }
                    Some(own) => {
                        let mut whole = followed.sum.clone();
                        scan.scan(own, 0, 1, self.log.end(), &mut whole);
                        give(&whole, jobs);
                    }
                    None => give(&followed.sum, jobs),
                }
                continue;
            }
            if inside.high == high && inside.low <= at {
                self.log.fold(scan, &tree, inside.low, at, &mut sum);
            } else {
                sum = scan.begin(self.question.newcomer);
                self.log.fold(scan, &tree, inside.low, inside.high, &mut sum);
                high = inside.high;
            }
            at = inside.low;
            if own.is_none() && !inside.past {
                give(&sum, jobs);
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
            give(&whole, jobs);
        }
    }

    /// Moves a sum on to where its window is now; false where it has to be made anew.
    #[inline]
    fn step<S: Scan>(&self, scan: &S, followed: &mut Followed<S::Sum>, inside: &Inside) -> bool {
        let forward = self.log.first() <= followed.low
            && followed.low <= inside.low
            && inside.low <= followed.high
            && followed.high <= inside.high
            && inside.low - followed.low + inside.high - followed.high <= STEPS_MAX;
        if !forward {
            return false;
        }
        let mut gone = true;
        self.log.stretches(followed.low, inside.low, |run, from, to, position| {
            gone = gone && scan.leave(run, from, to, position, &mut followed.sum);
        });
        if !gone {
            return false;
        }
        self.log.stretches(followed.high, inside.high, |run, from, to, position| {
            scan.scan(run, from, to, position, &mut followed.sum);
        });
        (followed.low, followed.high) = (inside.low, inside.high);
        true
    }
}

/// Steps that a sum is moved on by; further away it is made anew.
pub(super) const STEPS_MAX: u64 = 32;

/// The parts of the past that a window sees.
pub(super) fn each_part<'a>(
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

/// Counts of all events are differences of positions.
pub(super) fn positions(walk: &Walk<'_>, cells: &mut Cells) {
    let own = walk.question.newcomer.is_some();
    for jobs in walk.lane.jobs.chunk_by(|a, b| a.window == b.window) {
        let inside = walk.insides[jobs[0].window];
        let mut count = inside.high - inside.low + u64::from(own && inside.current);
        if inside.past {
            let plan = &walk.question.read.windows[jobs[0].window];
            each_part(walk.past, plan, jobs[0].part, &inside, |part| match part {
                Part::Count(more) => count += more.0,
                _ => unreachable!("a part is of the kind of its lane"),
            });
        }
        jobs.iter().for_each(|job| count_of(count, job, cells));
    }
}

pub(super) fn count_of(count: u64, job: &Job, cells: &mut Cells) {
    match job.what {
        What::Rate(seconds) => cells.float(job.target, count as f64 / seconds),
        _ => cells.count(job.target, count),
    }
}
