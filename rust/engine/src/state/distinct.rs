//! Distinct counts of every window of a key at once.

use hashbrown::HashTable;

use super::lanes;
use super::log::Segments;
use crate::key;
use crate::plan::{DistinctLane, LogColumn};

/// Last position of each value, and a bit per position: no later one has the same value.
#[derive(Debug)]
pub(crate) struct Distinct {
    last: HashTable<Met>,
    bits: Segments,
}

/// Where a value has been met. The first position matters to all-time windows alone.
#[derive(Clone, Copy, Debug)]
struct Met {
    value: u64,
    last: u64,
    first: u64,
}

impl Distinct {
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.last.allocation_size() + self.bits.bytes()
    }

    /// The log has dropped the records before `first`.
    pub fn drop_before(&mut self, first: u64) {
        self.bits.drop_before(first / 64);
    }

    pub fn new(first: u64) -> Self {
        let mut bits = Segments::new(1);
        bits.restart(first / 64);
        Self { last: HashTable::new(), bits }
    }

    pub fn bit(&self, position: u64) -> bool {
        self.bits.get(position / 64)[0] >> (position % 64) & 1 == 1
    }

    pub fn set_bit(&mut self, position: u64, value: bool) {
        while self.bits.end() <= position / 64 {
            self.bits.push(&[0]);
        }
        let word = &mut self.bits.get_mut(position / 64)[0];
        *word = *word & !(1 << (position % 64)) | u64::from(value) << (position % 64);
    }

    /// Last position of a value.
    pub fn last(&self, value: u64) -> Option<u64> {
        self.last.find(key::hash_word(value), |met| met.value == value).map(|met| met.last)
    }

    /// False when the value is there already.
    pub fn remember(&mut self, value: u64, position: u64) -> bool {
        if self.last(value).is_some() {
            return false;
        }
        let met = Met { value, last: position, first: position };
        self.last.insert_unique(key::hash_word(value), met, |met| key::hash_word(met.value));
        true
    }

    pub fn forget(&mut self, value: u64) {
        if let Ok(entry) = self.last.find_entry(key::hash_word(value), |met| met.value == value) {
            entry.remove();
        }
    }

    pub fn enter(&mut self, lane: &DistinctLane, words: &mut [u64], lows: &[u64], position: u64, value: Option<u64>) {
        let reach = lane.windows.last().map_or(u64::MAX, |job| lows[job.window]);
        let Some(value) = value else { return self.set_bit(position, false) };
        if position < reach {
            // Out of sight of every window; should one come back to it, that is when it is compared with later ones.
            return self.set_bit(position, true);
        }
        let hash = key::hash_word(value);
        let entry = self.last.entry(hash, |met| met.value == value, |met| key::hash_word(met.value));
        let before = match entry {
            hashbrown::hash_table::Entry::Occupied(mut entry) => {
                Some(std::mem::replace(&mut entry.get_mut().last, position))
            }
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert(Met { value, last: position, first: position });
                None
            }
        };
        // The position before may have left the log already, in an all-time window.
        if let Some(before) = before.filter(|&before| before / 64 >= self.bits.first()) {
            self.set_bit(before, false);
        }
        self.set_bit(position, true);
        for job in &lane.windows {
            let low = lows[job.window];
            words[job.word] += u64::from(position >= low && before.is_none_or(|before| before < low));
        }
    }

    /// Takes back the positions `undone`: the records before them are the last of their value again. `lows` are those of the counts.
    pub fn step_back(
        &mut self,
        lane: &DistinctLane,
        column: &LogColumn,
        log: &Segments,
        words: &mut [u64],
        lows: &[u64],
        undone: std::ops::Range<u64>,
    ) {
        for position in undone.rev() {
            if !self.bit(position) {
                continue;
            }
            let value = column.identity(log.get(position));
            let hash = key::hash_word(value);
            let Some(met) = self.last.find_mut(hash, |met| met.value == value) else { continue };
            let logged = (log.first()..position).rev().find(|&before| {
                let record = log.get(before);
                lanes::keeps(lane.mask, record) && column.identity(record) == value
            });
            // A value first met before the log begins is known to an all-time window only.
            let before = logged.or_else(|| Some(met.first).filter(|&first| first < log.first()));
            match before {
                Some(before) => met.last = before,
                None => self.forget(value),
            }
            self.set_bit(position, false);
            if let Some(before) = logged {
                self.set_bit(before, true);
            }
            for job in &lane.windows {
                let low = lows[job.window];
                words[job.word] -= u64::from(position >= low && before.is_none_or(|before| before < low));
            }
        }
    }
}
