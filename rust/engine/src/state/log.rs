//! The events of one key in total order: records of a few words, newest last.

use std::collections::VecDeque;

/// Records in order, wherever they lie.
pub(crate) trait Log {
    fn len(&self) -> usize;
    fn record(&self, index: usize) -> &[u64];

    #[inline]
    fn time(&self, index: usize) -> i64 {
        self.record(index)[0] as i64
    }

    /// Looks at the records `low..high`, the newest first.
    #[inline]
    fn each(&self, low: usize, high: usize, mut look: impl FnMut(&[u64])) {
        (low..high).rev().for_each(|index| look(self.record(index)));
    }

    /// How many records have a time not above `t`, looked for between `low` and `high`.
    fn upper_bound(&self, t: i64, mut low: usize, mut high: usize) -> usize {
        while low < high {
            let middle = low + (high - low) / 2;
            if self.time(middle) <= t { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Records one after the other in a slice.
#[derive(Clone, Copy)]
pub(crate) struct SliceLog<'a> {
    pub words: &'a [u64],
    pub record_words: usize,
}

impl Log for SliceLog<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.words.len() / self.record_words
    }

    #[inline]
    fn record(&self, index: usize) -> &[u64] {
        &self.words[index * self.record_words..][..self.record_words]
    }

    #[inline]
    fn each(&self, low: usize, high: usize, look: impl FnMut(&[u64])) {
        self.words[low * self.record_words..high * self.record_words]
            .chunks_exact(self.record_words)
            .rev()
            .for_each(look);
    }
}

/// Elements of a segment: few enough that a key which is only just busy stays small.
const SEGMENT: usize = 32;
/// Segments kept for later: as many as one event leaves at once.
const SPARE_MAX: usize = 3;

/// A queue of elements of some words each, in segments: growing copies nothing, and what leaves at the front is used again at the back.
/// Positions count from the first element ever put in.
#[derive(Debug)]
pub(crate) struct Segments {
    stride: usize,
    segments: VecDeque<Box<[u64]>>,
    /// Segments that have been left, for those to come.
    spare: Vec<Box<[u64]>>,
    /// Position of the first element of the first segment.
    base: u64,
    first: u64,
    end: u64,
}

impl Segments {
    pub fn new(stride: usize) -> Self {
        Self { stride, segments: VecDeque::new(), spare: Vec::new(), base: 0, first: 0, end: 0 }
    }

    /// Position of the oldest element.
    #[inline]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Position after the newest element.
    #[inline]
    pub fn end(&self) -> u64 {
        self.end
    }

    #[inline]
    pub fn get(&self, position: u64) -> &[u64] {
        let offset = (position - self.base) as usize;
        &self.segments[offset / SEGMENT][offset % SEGMENT * self.stride..][..self.stride]
    }

    #[inline]
    pub fn get_mut(&mut self, position: u64) -> &mut [u64] {
        let offset = (position - self.base) as usize;
        &mut self.segments[offset / SEGMENT][offset % SEGMENT * self.stride..][..self.stride]
    }

    pub fn push(&mut self, element: &[u64]) {
        let offset = (self.end - self.base) as usize;
        if offset / SEGMENT == self.segments.len() {
            let segment = self.spare.pop().unwrap_or_else(|| vec![0; SEGMENT * self.stride].into_boxed_slice());
            self.segments.push_back(segment);
        }
        self.segments[offset / SEGMENT][offset % SEGMENT * self.stride..][..self.stride].copy_from_slice(element);
        self.end += 1;
    }

    /// Drops the elements at and after a position.
    pub fn truncate(&mut self, end: u64) {
        self.end = self.end.min(end.max(self.first));
        while self.segments.len() > 1 && self.base + (self.segments.len() as u64 - 1) * SEGMENT as u64 > self.end {
            let left = self.segments.pop_back();
            self.keep(left);
        }
    }

    /// Drops the elements before a position.
    pub fn drop_before(&mut self, position: u64) {
        self.first = self.first.max(position.min(self.end));
        while self.first - self.base >= SEGMENT as u64 {
            let left = self.segments.pop_front();
            self.keep(left);
            self.base += SEGMENT as u64;
        }
    }

    fn keep(&mut self, left: Option<Box<[u64]>>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.extend(left);
        }
    }

    /// Forgets everything; the next element has this position.
    pub fn restart(&mut self, position: u64) {
        self.truncate(self.first);
        (self.base, self.first, self.end) = (position, position, position);
        self.segments.truncate(1);
    }

    pub fn bytes(&self) -> usize {
        let segments = self.segments.len() + self.spare.len();
        segments * SEGMENT * self.stride * 8 + self.segments.capacity() * size_of::<Box<[u64]>>()
    }

    /// First position whose element is not `before`; those that are come first.
    pub fn partition_point(&self, before: impl Fn(&[u64]) -> bool) -> u64 {
        let (mut low, mut high) = (self.first, self.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.get(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// First position whose first word is not below `word`; the first words rise.
    pub fn lower_bound(&self, word: u64) -> u64 {
        self.partition_point(|element| element[0] < word)
    }
}

impl Log for Segments {
    #[inline]
    fn len(&self) -> usize {
        (self.end - self.first) as usize
    }

    #[inline]
    fn record(&self, index: usize) -> &[u64] {
        self.get(self.first + index as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_keeps_its_positions_while_both_ends_move() {
        let mut queue = Segments::new(2);
        for position in 0..3_000_u64 {
            queue.push(&[position, position * 7]);
            queue.drop_before(position.saturating_sub(700));
            if position % 10 == 9 {
                queue.truncate(position - 3);
                for again in position - 3..=position {
                    queue.push(&[again, again * 7]);
                }
            }
            for look in queue.first()..queue.end() {
                assert_eq!(queue.get(look), [look, look * 7]);
            }
            assert_eq!(queue.end(), position + 1);
            assert_eq!(queue.lower_bound(position), position);
        }
        assert!(queue.bytes() < 2 * 700 * 16, "segments are used again");
        queue.restart(50);
        queue.push(&[1, 2]);
        assert_eq!((queue.first(), queue.end(), queue.get(50)[1]), (50, 51, 2));
    }

    #[test]
    fn upper_bound_counts_equal_times_in() {
        let log = SliceLog { words: &[1, 3, 3, 5], record_words: 1 };
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|t| log.upper_bound(t, 0, 4)), [0, 1, 1, 3, 3, 4, 4]);
    }
}
