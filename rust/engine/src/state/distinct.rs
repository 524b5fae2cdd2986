//! Where each value of a busy key was seen last: what exact distinct counts of every window need beside their bits.

use super::values::Values;

/// Last position of each value in the log.
#[derive(Clone, Debug, Default)]
pub(super) struct LastSeen {
    last: Values,
}

impl LastSeen {
    /// Of values, none twice, and their last positions.
    pub fn of(seen: &[(u64, u64)]) -> Self {
        let mut last = Values::for_few(seen.len());
        seen.iter().for_each(|&(value, position)| _ = last.update(value, position, |_| ()));
        Self { last }
    }

    pub fn get(&self, value: u64) -> Option<u64> {
        self.last.get(value)
    }

    /// Sets the position of a value; the one before.
    pub fn put(&mut self, value: u64, position: u64) -> Option<u64> {
        self.last.update(value, position, |last| *last = position)
    }

    pub fn forget(&mut self, value: u64) {
        self.last.remove(value);
    }

    pub fn bytes(&self) -> usize {
        self.last.bytes()
    }
}
