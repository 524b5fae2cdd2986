//! A word for each value: a hash table that never moves as a whole, since a large one is many small ones that grow one by one.

use hashbrown::HashTable;

use crate::heap::heap;
use crate::key;

/// So many values are in one table; more are in so many tables.
const ONE_MAX: usize = 4_096;
const PARTS: usize = 256;
/// A table takes the place of a value from the low bits of its hash and a tag from the top: these bits are between them.
const PART_SHIFT: u32 = 40;

type Part = HashTable<(u64, u64)>;

/// Values, by 64 bits that are equal where they are equal, and a word of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    one: Part,
    /// None while there are few.
    parts: Box<[Part]>,
    len: usize,
    bytes: usize,
}

fn hash_of(met: &(u64, u64)) -> u64 {
    key::hash_word(met.0)
}

impl Values {
    /// For so many values, as far as they fit into one table.
    pub fn for_few(values: usize) -> Self {
        let one = Part::with_capacity(values.min(ONE_MAX));
        let bytes = heap(one.allocation_size());
        Self { one, bytes, ..Self::default() }
    }

    #[inline]
    fn part(&self, hash: u64) -> &Part {
        if self.parts.is_empty() { &self.one } else { &self.parts[(hash >> PART_SHIFT) as usize % PARTS] }
    }

    #[inline]
    fn part_mut(&mut self, hash: u64) -> &mut Part {
        if self.parts.is_empty() { &mut self.one } else { &mut self.parts[(hash >> PART_SHIFT) as usize % PARTS] }
    }

    /// The word of a value.
    #[inline]
    pub fn get(&self, value: u64) -> Option<u64> {
        let hash = key::hash_word(value);
        self.part(hash).find(hash, |met| met.0 == value).map(|met| met.1)
    }

    /// Changes the word of a value, or puts this one in; the word before.
    #[inline]
    pub fn update(&mut self, value: u64, word: u64, change: impl FnOnce(&mut u64)) -> Option<u64> {
        let hash = key::hash_word(value);
        let part = self.part_mut(hash);
        if let Some(met) = part.find_mut(hash, |met| met.0 == value) {
            let before = met.1;
            change(&mut met.1);
            return Some(before);
        }
        let before = part.allocation_size();
        part.insert_unique(hash, (value, word), hash_of);
        let after = part.allocation_size();
        if after != before {
            self.bytes = self.bytes + heap(after) - heap(before);
        }
        self.len += 1;
        if self.len > ONE_MAX && self.parts.is_empty() {
            self.split();
        }
        None
    }

    /// Takes a value out; false when it is not there.
    pub fn remove(&mut self, value: u64) -> bool {
        let hash = key::hash_word(value);
        let Ok(entry) = self.part_mut(hash).find_entry(hash, |met| met.0 == value) else { return false };
        entry.remove();
        self.len -= 1;
        true
    }

    #[cold]
    fn split(&mut self) {
        self.parts = (0..PARTS).map(|_| Part::with_capacity(2 * ONE_MAX / PARTS)).collect();
        for met in std::mem::take(&mut self.one) {
            let hash = hash_of(&met);
            self.part_mut(hash).insert_unique(hash, met, hash_of);
        }
        self.bytes = self.parts.iter().map(|part| heap(part.allocation_size())).sum();
    }

    /// How many values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Values and their words, in no order that may reach a row.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.one.iter().chain(self.parts.iter().flatten()).copied()
    }

    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        self.one.clear();
        self.parts.iter_mut().for_each(Part::clear);
        self.len = 0;
    }

    /// Bytes beyond its own size.
    pub fn bytes(&self) -> usize {
        self.bytes + heap(size_of_val(&*self.parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_and_forgotten_however_many_they_are() {
        let mut values = Values::default();
        let count = 100_000;
        for round in 0..2_u64 {
            for value in 0..count {
                assert_eq!(values.get(value * 7), None);
                assert_eq!(values.update(value * 7, value, |_| unreachable!("it is not there")), None);
                assert_eq!(values.update(value * 7, 0, |word| *word += 1), Some(value));
            }
            assert_eq!((values.len() as u64, values.iter().count() as u64), (count, count));
            let bytes: usize = values.parts.iter().map(|part| heap(part.allocation_size())).sum();
            assert_eq!(values.bytes(), bytes + heap(size_of_val(&*values.parts)));
            for value in (0..count).filter(|value| value % 2 == round) {
                assert!(values.remove(value * 7) && !values.remove(value * 7));
            }
            let wanted = |value| (value % 2 != round).then_some(value + 1);
            assert!((0..count).all(|value| values.get(value * 7) == wanted(value)));
            values.clear();
            assert_eq!((values.len(), values.iter().count()), (0, 0));
        }
    }

    #[test]
    fn no_table_is_large() {
        let mut values = Values::default();
        (0..1_000_000).for_each(|value| assert_eq!(values.update(value, 0, |_| ()), None));
        let largest = values.parts.iter().map(|part| part.len()).max().expect("there are parts");
        assert!(largest < 4_500 && values.one.is_empty(), "{largest} values move at once");
    }
}
