//! How often each value is there, and what follows from it: mode, the most frequent values, entropy.
//!
//! Answers depend on the counts and the order of the values alone, not on the order in which values came.

use std::cmp::Ordering;

use super::values::Values;
use crate::aggregate::entropy;

/// Values, by 64 bits that are equal where they are equal, and their counts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: Values,
    /// Sum of all counts.
    pub total: u64,
}

impl Tally {
    /// So many of a value more; true when it was not there.
    pub fn add(&mut self, value: u64, count: u64) -> bool {
        self.total += count;
        self.counts.update(value, count, |known| *known += count).is_none()
    }

    /// So many of a value less; they are there.
    pub fn take(&mut self, value: u64, count: u64) {
        self.total -= count;
        let before = self.counts.update(value, 0, |known| *known -= count);
        assert!(before.is_some(), "what leaves a window has entered it");
        if before == Some(count) {
            self.counts.remove(value);
        }
    }

    /// How often a value is there.
    pub fn count(&self, value: u64) -> u64 {
        self.counts.get(value).unwrap_or(0)
    }

    /// How many different values.
    pub fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// Values and counts, in no order that may reach a row.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts.iter()
    }

    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        self.counts.clear();
        self.total = 0;
    }

    /// Bytes beyond its own size.
    pub fn bytes(&self) -> usize {
        self.counts.bytes()
    }

    /// The k most frequent values, of equally frequent ones the smaller first.
    pub fn top(&self, k: usize, compare: impl Fn(u64, u64) -> Ordering, top: &mut Vec<(u64, u64)>) {
        top.clear();
        let order = |a: &(u64, u64), b: &(u64, u64)| b.1.cmp(&a.1).then_with(|| compare(a.0, b.0));
        for met in self.counts.iter() {
            if top.len() == k {
                match top.last() {
                    Some(last) if order(&met, last) == Ordering::Less => top.pop(),
                    _ => continue,
                };
            }
            let place = top.partition_point(|other| order(other, &met) == Ordering::Less);
            top.insert(place, met);
        }
    }

    /// Entropy of the frequencies in nats; `None` of nothing. `scratch` is overwritten.
    pub fn entropy(&self, scratch: &mut Vec<u64>) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        scratch.clear();
        scratch.extend(self.counts.iter().map(|met| met.1));
        // In the order of the counts: no rounding then shows how the table lies.
        scratch.sort_unstable();
        let shares = scratch.chunk_by(|a, b| a == b).map(|counts| (counts[0], counts.len() as u64));
        entropy::of_shares(shares, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_come_first_and_the_smaller_before_the_larger() {
        let (mut tally, mut top) = (Tally::default(), Vec::new());
        for value in [5, 3, 3, 9, 9, 1, 7] {
            tally.add(value, 1);
        }
        tally.top(3, |a, b| a.cmp(&b), &mut top);
        assert_eq!(top, [(3, 2), (9, 2), (1, 1)]);
        tally.take(3, 1);
        tally.take(9, 2);
        tally.top(9, |a, b| a.cmp(&b), &mut top);
        assert_eq!(top, [(1, 1), (3, 1), (5, 1), (7, 1)]);
        assert_eq!((tally.distinct(), tally.total, tally.count(9)), (4, 4, 0));
    }

    #[test]
    fn entropy_of_equal_shares_is_the_logarithm_of_their_number() {
        let (mut tally, mut scratch) = (Tally::default(), Vec::new());
        assert_eq!(tally.entropy(&mut scratch), None);
        tally.add(1, 3);
        assert_eq!(tally.entropy(&mut scratch), Some(0.0));
        tally.add(2, 3);
        assert_eq!(tally.entropy(&mut scratch), Some(libm::log(2.0)));
    }
}
