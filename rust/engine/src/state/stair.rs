//! min and max of every window of a key at once.

use super::log::Segments;

/// The records that are better than all after them: the best of any window is the first one inside it. Position and rank.
#[derive(Debug)]
pub(crate) struct Stair {
    steps: Segments,
    /// The best that has left the log, for an all-time window.
    sealed: Option<i64>,
}

impl Stair {
    pub fn new() -> Self {
        Self { steps: Segments::new(2), sealed: None }
    }

    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.steps.bytes()
    }

    /// Forgets the steps, not what has left the log.
    pub fn restart(&mut self) {
        self.steps.restart(0);
    }

    pub fn push(&mut self, position: u64, rank: i64) {
        // Steps rise: those at and above the newcomer end the stair and fall together.
        let low = self.steps.partition_point(|step| (step[1] as i64) < rank);
        self.steps.truncate(low);
        self.steps.push(&[position, rank as u64]);
    }

    /// The best at and after a position.
    pub fn best(&self, low: u64) -> Option<i64> {
        let at = self.steps.lower_bound(low);
        let inside = (at < self.steps.end()).then(|| self.steps.get(at)[1] as i64);
        match (inside, self.sealed) {
            (Some(a), Some(b)) if low == 0 => Some(a.min(b)),
            (None, sealed) if low == 0 => sealed,
            (inside, _) => inside,
        }
    }

    pub fn drop_before(&mut self, position: u64, seal: bool) {
        let at = self.steps.lower_bound(position);
        if seal && at > self.steps.first() {
            let best = self.steps.get(self.steps.first())[1] as i64;
            self.sealed = Some(self.sealed.map_or(best, |sealed| sealed.min(best)));
        }
        self.steps.drop_before(at);
    }
}
