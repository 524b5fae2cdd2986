//! Which keys may have become invisible: by the time at which they will be, in coarse steps, looked at a few at a time.
//!
//! A key stands here once. When its step comes it is looked at; if events have come meanwhile, it is put where it belongs now.

use std::collections::BTreeMap;

/// Lists kept for steps to come.
const SPARE_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Expiry {
    /// Ticks of a step.
    step: i64,
    /// Hashes of keys by the step in which they are due.
    due: BTreeMap<i64, Vec<u64>>,
    /// Emptied lists, for steps to come.
    spare: Vec<Vec<u64>>,
    bytes: usize,
}

impl Expiry {
    /// For keys that are due about `after` ticks after their newest event.
    pub fn new(after: i64) -> Self {
        Self { step: (after / 64).max(1), due: BTreeMap::new(), spare: Vec::with_capacity(SPARE_MAX), bytes: 0 }
    }

    fn step(&self, time: i64) -> i64 {
        time.div_euclid(self.step)
    }

    /// A key will be due at this time.
    pub fn put(&mut self, hash: u64, time: i64) {
        let spare = &mut self.spare;
        let mut before = None;
        let keys = self.due.entry(time.div_euclid(self.step)).or_insert_with(|| {
            let keys = spare.pop().unwrap_or_default();
            before = Some(keys.capacity());
            keys
        });
        let before = before.unwrap_or(keys.capacity());
        keys.push(hash);
        self.bytes += (keys.capacity() - before) * 8;
    }

    /// Every step: when it begins, and the hashes of its keys in the order in which they were put in.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (i64, &[u64])> {
        self.due.iter().map(|(&step, keys)| (step.saturating_mul(self.step), &keys[..]))
    }

    /// A key whose step has passed by `now`.
    pub fn pop_due(&mut self, now: i64) -> Option<u64> {
        let passed = self.step(now);
        let mut first = self.due.first_entry().filter(|entry| *entry.key() < passed)?;
        let hash = first.get_mut().pop();
        if first.get().is_empty() {
            let emptied = first.remove();
            self.keep(emptied);
        }
        hash
    }

    fn keep(&mut self, emptied: Vec<u64>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(emptied);
        } else {
            self.bytes -= emptied.capacity() * 8;
        }
    }

    /// The key that is due first, and the end of its step.
    pub fn pop_first(&mut self) -> Option<(u64, i64)> {
        let mut first = self.due.first_entry()?;
        let end = first.key().saturating_add(1).saturating_mul(self.step);
        let hash = first.get_mut().pop();
        if first.get().is_empty() {
            let emptied = first.remove();
            self.keep(emptied);
        }
        hash.map(|hash| (hash, end))
    }

    pub fn bytes(&self) -> usize {
        self.bytes + self.due.len() * 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_order_of_their_steps_and_not_before() {
        let mut expiry = Expiry::new(640);
        for (hash, time) in [(1, 95), (2, -5), (3, 30), (4, 31)] {
            expiry.put(hash, time);
        }
        assert_eq!(expiry.pop_due(-1), None);
        assert_eq!(expiry.pop_due(0), Some(2));
        assert_eq!(expiry.pop_due(39), None);
        let mut both = [expiry.pop_due(40), expiry.pop_due(40)];
        both.sort();
        assert_eq!(both, [Some(3), Some(4)]);
        assert_eq!(expiry.pop_first(), Some((1, 100)));
        assert_eq!((expiry.pop_first(), expiry.due.len()), (None, 0));
    }
}
