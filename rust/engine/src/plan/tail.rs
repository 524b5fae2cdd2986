//! What is answered together: lanes over windows that are the tail of a key's log while its events come in order.
//!
//! All these windows end with the row. So a position per window says what is inside; between two rows a few events leave at the positions
//! that move, and one enters. What follows them lies in one stretch of words of a busy key, laid out here.

use super::{ColumnIndex, Job, LanePlan, Mask, ReadLane, ReadPlan, TablePlan, WindowPlan};
use crate::aggregate::What;
use crate::window::Window;

/// The part of a read that is answered together.
#[derive(Clone, Debug, Default)]
pub(crate) struct TailPlan {
    /// Shorter ones first.
    pub windows: Vec<TailWindow>,
    /// Counts of all events.
    pub counts: Vec<TailOf>,
    pub masked: Vec<TailMasked>,
    pub moments: Vec<TailMoments>,
    pub extremes: Vec<TailExtreme>,
    pub distincts: Vec<TailDistinct>,
    pub entries: Vec<TailEntry>,
    /// Words that follow the windows of a busy key.
    pub words: usize,
}

/// A rolling window that is nothing but that, and what of its words an event changes that leaves it.
#[derive(Clone, Debug)]
pub(crate) struct TailWindow {
    pub length: i64,
    /// Whether the row's own event is in it.
    pub current: bool,
    /// Flags that are counted, and where.
    pub flags: Vec<(usize, usize)>,
    /// Index of the moments, and where they are.
    pub moments: Vec<(usize, usize)>,
    /// Where the extremes are.
    pub extremes: Vec<usize>,
}

/// What a lane is asked over one of the windows.
#[derive(Clone, Debug)]
pub(crate) struct TailOf {
    /// Index among the windows of the tail.
    pub window: usize,
    /// First of its words.
    pub word: usize,
    pub jobs: Vec<Job>,
}

#[derive(Clone, Debug)]
pub(crate) struct TailMasked {
    pub flag: usize,
    pub of: Vec<TailOf>,
}

/// Its words are count, sum and, where they are wanted, squares, in units of a scale that its windows share.
#[derive(Clone, Debug)]
pub(crate) struct TailMoments {
    pub lane: usize,
    pub column: ColumnIndex,
    pub mask: Mask,
    pub squares: bool,
    /// The word of the scale.
    pub scale: usize,
    pub of: Vec<TailOf>,
}

/// Its words are rank and position.
#[derive(Clone, Debug)]
pub(crate) struct TailExtreme {
    pub lane: usize,
    pub column: ColumnIndex,
    pub mask: Mask,
    pub max: bool,
    pub of: Vec<TailOf>,
}

#[derive(Clone, Debug)]
pub(crate) struct TailDistinct {
    pub lane: usize,
    pub column: ColumnIndex,
    pub mask: Mask,
    pub flag: usize,
    pub of: Vec<TailOf>,
}

/// Single events counted back from the newest.
#[derive(Clone, Debug)]
pub(crate) struct TailEntry {
    pub column: Option<ColumnIndex>,
    /// Index among the windows of the tail; none for all of the log.
    pub window: Option<usize>,
    pub current: bool,
    pub jobs: Vec<Job>,
}

/// Words before those of the windows: up to where the log has been taken in.
pub(crate) const TAIL_HEADER: usize = 1;

impl TailPlan {
    /// Whether a job is answered so.
    pub fn takes(own: bool, lane: &LanePlan, window: &WindowPlan, job: &Job) -> bool {
        let is_plain = window.plain.is_some();
        own && match lane {
            LanePlan::Count { .. }
            | LanePlan::Moments { .. }
            | LanePlan::Extreme { beside: None, .. }
            | LanePlan::Distinct { .. } => is_plain,
            LanePlan::Entry { mask: None, .. } => {
                let counts_back = matches!(job.what, What::Lag(_) | What::Last | What::SinceLast);
                let of_all = matches!(window.window, Window::All(_)) && window.ties && job.part == usize::MAX;
                counts_back && (is_plain || of_all)
            }
            _ => false,
        }
    }

    /// Whether there is nothing to answer.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.entries.is_empty()
    }

    /// Lays out what a read is asked.
    pub fn new(table: &TablePlan, read: &ReadPlan) -> Self {
        let mut tail = Self::default();
        let mut places = vec![usize::MAX; read.windows.len()];
        for (window, plan) in read.windows.iter().enumerate() {
            let is_used = |lane: &ReadLane| {
                let taken =
                    |job: &Job| job.window == window && Self::takes(read.own, &table.lanes[lane.lane], plan, job);
                lane.jobs.iter().any(taken)
            };
            let Some(length) = plan.plain.filter(|_| read.lanes.iter().any(is_used)) else { continue };
            places[window] = tail.windows.len();
            let (flags, moments, extremes) = (Vec::new(), Vec::new(), Vec::new());
            tail.windows.push(TailWindow { length, current: plan.current, flags, moments, extremes });
        }
        // Where each begins, and the time of its first event.
        tail.words = TAIL_HEADER + 2 * tail.windows.len();
        for lane in &read.lanes {
            tail.add_lane(table, read, lane, &places);
        }
        tail
    }

    /// All that is asked of it.
    pub fn jobs_mut(&mut self) -> impl Iterator<Item = &mut Vec<Job>> {
        let of = self.counts.iter_mut();
        let of = of.chain(self.masked.iter_mut().flat_map(|lane| &mut lane.of));
        let of = of.chain(self.moments.iter_mut().flat_map(|lane| &mut lane.of));
        let of = of.chain(self.extremes.iter_mut().flat_map(|lane| &mut lane.of));
        let of = of.chain(self.distincts.iter_mut().flat_map(|lane| &mut lane.of));
        of.map(|of| &mut of.jobs).chain(self.entries.iter_mut().map(|entry| &mut entry.jobs))
    }

    fn add_lane(&mut self, table: &TablePlan, read: &ReadPlan, lane: &ReadLane, places: &[usize]) {
        let plan = &table.lanes[lane.lane];
        let taken = |job: &&Job| Self::takes(read.own, plan, &read.windows[job.window], job);
        let jobs: Vec<Job> = lane.jobs.iter().filter(taken).cloned().collect();
        if jobs.is_empty() {
            return;
        }
        let width = match plan {
            LanePlan::Count { mask: None } | LanePlan::Entry { .. } => 0,
            LanePlan::Moments { squares: false, .. } => 3,
            LanePlan::Moments { .. } => 7,
            LanePlan::Extreme { .. } => 2,
            _ => 1,
        };
        let scale = self.words;
        self.words += usize::from(matches!(plan, LanePlan::Moments { .. }));
        if let LanePlan::Entry { column, .. } = *plan {
            for jobs in jobs.chunk_by(|a, b| a.window == b.window) {
                let (window, current) = (places[jobs[0].window], read.windows[jobs[0].window].current);
                let window = Some(window).filter(|&window| window != usize::MAX);
                self.entries.push(TailEntry { column, window, current, jobs: jobs.to_vec() });
            }
            return;
        }
        let mut of = Vec::new();
        for jobs in jobs.chunk_by(|a, b| a.window == b.window) {
            let window = places[jobs[0].window];
            let words = &mut self.windows[window];
            match *plan {
                LanePlan::Count { mask: Some(flag) } | LanePlan::Distinct { flag, .. } => {
                    words.flags.push((flag, self.words));
                }
                LanePlan::Moments { .. } => words.moments.push((self.moments.len(), self.words)),
                LanePlan::Extreme { .. } => words.extremes.push(self.words),
                _ => {}
            }
            of.push(TailOf { window, word: self.words, jobs: jobs.to_vec() });
            self.words += width;
        }
        let lane = lane.lane;
        match *plan {
            LanePlan::Count { mask: None } => self.counts.extend(of),
            LanePlan::Count { mask: Some(flag) } => self.masked.push(TailMasked { flag, of }),
            LanePlan::Moments { column, mask, squares } => {
                self.moments.push(TailMoments { lane, column, mask, squares, scale, of });
            }
            LanePlan::Extreme { column, mask, max, .. } => {
                self.extremes.push(TailExtreme { lane, column, mask, max, of });
            }
            LanePlan::Distinct { column, mask, flag, .. } => {
                self.distincts.push(TailDistinct { lane, column, mask, flag, of });
            }
            _ => unreachable!("no other lane is taken"),
        }
    }
}
