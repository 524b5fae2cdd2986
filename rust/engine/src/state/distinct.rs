//! Where each value of a busy key was seen last: what exact distinct counts of every window need beside their bits.

use hashbrown::HashTable;

use crate::heap::heap;
use crate::key;

/// Last position of each value in the log.
#[derive(Clone, Debug, Default)]
pub(super) struct LastSeen {
    last: HashTable<(u64, u64)>,
}

impl LastSeen {
    pub fn get(&self, value: u64) -> Option<u64> {
        self.last.find(key::hash_word(value), |met| met.0 == value).map(|met| met.1)
    }

    /// Sets the position of a value; the one before.
    pub fn put(&mut self, value: u64, position: u64) -> Option<u64> {
        let entry = self.last.entry(key::hash_word(value), |met| met.0 == value, |met| key::hash_word(met.0));
        match entry {
            hashbrown::hash_table::Entry::Occupied(mut entry) => {
                Some(std::mem::replace(&mut entry.get_mut().1, position))
            }
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert((value, position));
                None
            }
        }
    }

    pub fn forget(&mut self, value: u64) {
        if let Ok(entry) = self.last.find_entry(key::hash_word(value), |met| met.0 == value) {
            entry.remove();
        }
    }

    pub fn bytes(&self) -> usize {
        heap(self.last.allocation_size())
    }
}
