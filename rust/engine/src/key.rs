//! Key values -> bytes -> hash -> where the key's state lies; and the one hasher of every map in the engine.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::definition::FieldKind;
use crate::event::{Event, Value};
use crate::heap::heap;

/// The seed is fixed: nothing that leaves the engine may depend on the order of a map, so a random one would only hide that it did.
const SEED: u64 = 0x6661_7374_6665_6174;

/// Hash of some bytes.
#[inline]
pub fn hash(bytes: &[u8]) -> u64 {
    FixedState::with_seed(SEED).hash_one(bytes)
}

/// Hash of one word.
#[inline]
pub fn hash_word(word: u64) -> u64 {
    FixedState::with_seed(SEED).hash_one(word)
}

/// How many parts of the hash's top bits choose a shard: growth of a table copies one shard at a time.
const SHARD_BITS: u32 = 8;

/// A slot of a table and its tag.
const SLOT_BYTES: usize = size_of::<(u32, u32)>() + 1;

/// From the hash of a key to a 32-bit reference of its state.
#[derive(Debug)]
pub struct KeyIndex {
    shards: Vec<HashTable<(u32, u32)>>,
    len: usize,
    /// Bytes of the shards' tables, and of the largest.
    bytes: usize,
    largest: usize,
}

impl Default for KeyIndex {
    fn default() -> Self {
        Self::within(0)
    }
}

impl KeyIndex {
    /// For keys with the same so many top bits of their hashes: with others of other bits it has as many shards as one for all.
    pub fn within(skipped: u32) -> Self {
        let shards = (0..1 << (SHARD_BITS - skipped)).map(|_| HashTable::new());
        Self { shards: shards.collect(), len: 0, bytes: 0, largest: 0 }
    }

    #[inline]
    fn shard(&self, hash: u64) -> usize {
        (hash >> (64 - SHARD_BITS)) as usize & (self.shards.len() - 1)
    }

    /// The reference for which `is` holds among those of this hash.
    #[inline]
    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let short = hash as u32;
        self.shards[self.shard(hash)]
            .find(spread(short), |&(h, reference)| h == short && is(reference))
            .map(|&(_, reference)| reference)
    }

    /// Makes room in each part for what it will have at least of so many keys: parts come to the sizes that they would have grown to.
    pub fn reserve(&mut self, keys: u64) {
        let share = keys / self.shards.len() as u64;
        let least = share.saturating_sub(4 * share.isqrt()) as usize;
        for shard in &mut self.shards {
            let before = shard.allocation_size();
            shard.reserve(least.saturating_sub(shard.len()), |&(h, _)| spread(h));
            let after = shard.allocation_size();
            if after != before {
                self.bytes = self.bytes + heap(after) - heap(before);
                self.largest = self.largest.max(after);
            }
        }
    }

    /// Adds a reference that is not there.
    pub fn insert(&mut self, hash: u64, reference: u32) {
        let short = hash as u32;
        let number = self.shard(hash);
        let shard = &mut self.shards[number];
        self.len += 1;
        if shard.len() < shard.capacity() {
            shard.insert_unique(spread(short), (short, reference), |&(h, _)| spread(h));
            return;
        }
        let before = shard.allocation_size();
        make_room(shard);
        shard.insert_unique(spread(short), (short, reference), |&(h, _)| spread(h));
        let after = shard.allocation_size();
        if after != before {
            self.bytes = self.bytes + heap(after) - heap(before);
            self.largest = self.largest.max(after);
        }
    }

    /// The state of a key has moved.
    pub fn replace(&mut self, hash: u64, old: u32, new: u32) {
        let short = hash as u32;
        let number = self.shard(hash);
        let slot = self.shards[number].find_mut(spread(short), |&(_, reference)| reference == old);
        slot.expect("a key that moves is in the index").1 = new;
    }

    /// Takes out a reference that is there.
    pub fn remove(&mut self, hash: u64, reference: u32) {
        let short = hash as u32;
        let number = self.shard(hash);
        let shard = &mut self.shards[number];
        let slot = shard.find_entry(spread(short), |&(h, other)| h == short && other == reference);
        slot.expect("a key that leaves is in the index").remove();
        self.len -= 1;
        let before = shard.allocation_size();
        // Once most keys have left, their slots are given back.
        if shard.len() * 8 * SLOT_BYTES < before {
            shard.shrink_to(shard.len() * 2, |&(h, _)| spread(h));
            self.bytes = self.bytes + heap(shard.allocation_size()) - heap(before);
        }
    }

    /// Every reference, in no order that may leave the engine.
    pub fn references(&self) -> impl Iterator<Item = u32> {
        self.shards.iter().flat_map(|shard| shard.iter().map(|&(_, reference)| reference))
    }

    /// Number of keys.
    pub fn keys(&self) -> usize {
        self.len
    }

    /// Bytes of the tables.
    pub fn bytes(&self) -> usize {
        self.bytes + heap(size_of_val(&*self.shards))
    }

    /// Bytes with so many keys, on average: a shard has about its share of them, and doubles when it is full.
    pub fn bytes_for(keys: f64) -> f64 {
        let shards = f64::from(1 << SHARD_BITS);
        let (share, slot) = (keys / shards, SLOT_BYTES as f64);
        // A shard's share scatters: some have doubled before others.
        let spread = 1.7 * share.sqrt();
        let slots = |keys: f64| {
            let full = (keys * 8.0 / 7.0).ceil().max(1.0) as u64;
            if full <= 4 { 4.0 } else { full.next_power_of_two() as f64 }
        };
        let steps = 16;
        let mean = (0..steps).map(|step| slots(share + spread * (f64::from(2 * step + 1) / f64::from(steps) - 1.0)));
        let table = mean.sum::<f64>() / f64::from(steps) * slot + 24.0;
        shards * (table.min(table * share + 32.0) + size_of::<HashTable<(u32, u32)>>() as f64)
    }

    /// Bytes by which the tables may grow before there are noticeably more keys than now: a shard while it is copied, and all where they are
    /// rather full. Then what they have now is free, but for tables alone that are as small.
    pub fn growth_bytes(&self) -> usize {
        let slots = self.bytes / SLOT_BYTES;
        2 * self.largest + if self.len * 4 > slots * 3 { 2 * self.bytes } else { 0 }
    }
}

/// A table that is full although three sixteenths of its slots have no key is full of places that keys have left: it is made anew in its size,
/// where it would have doubled. Where keys come and go at three quarters, which is what `growth_bytes` looks for, no shard doubles by chance.
fn make_room(shard: &mut HashTable<(u32, u32)>) {
    let slots = shard.allocation_size() / SLOT_BYTES;
    if shard.len() < shard.capacity() || shard.len() * 16 > slots * 13 || shard.is_empty() {
        return;
    }
    let mut anew = HashTable::with_capacity(slots * 7 / 8);
    for &(short, reference) in shard.iter() {
        anew.insert_unique(spread(short), (short, reference), |&(h, _)| spread(h));
    }
    *shard = anew;
}

/// The table takes its tag from the top bits and its place from the low ones; the stored 32 bits fill both.
#[inline]
fn spread(short: u32) -> u64 {
    u64::from(short).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// One part of a key: a slot of the frame.
#[derive(Clone, Debug)]
pub struct KeyPart {
    /// Slot of the frame that holds the value.
    pub slot: usize,
    /// Its kind; a categorical has been turned into its text.
    pub kind: FieldKind,
}

/// Appends the parts so that equal keys have equal bytes and different ones different bytes. False when a part is null.
pub fn encode(parts: &[KeyPart], event: &Event, bytes: &mut Vec<u8>) -> bool {
    for part in parts {
        match event.values[part.slot] {
            Value::Text(text) => encode_text(event.text(text), parts.len() > 1, bytes),
            Value::Null => return false,
            value => encode_value(value, part.kind, bytes),
        }
    }
    true
}

/// A part that is a text, `beside` others.
#[inline]
pub(crate) fn encode_text(text: &str, beside: bool, bytes: &mut Vec<u8>) {
    if beside {
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    }
    bytes.extend_from_slice(text.as_bytes());
}

/// A part that is there and no text.
#[inline]
pub(crate) fn encode_value(value: Value, kind: FieldKind, bytes: &mut Vec<u8>) {
    match value {
        // A whole number that an expression of Float64 yields counts as the double it stands for.
        Value::Int(x) if kind == FieldKind::Float64 => bytes.extend_from_slice(&same_float(x as f64).to_le_bytes()),
        Value::Int(x) | Value::Time(x) => bytes.extend_from_slice(&x.to_le_bytes()),
        Value::Bool(x) => bytes.push(u8::from(x)),
        Value::Float(x) => bytes.extend_from_slice(&same_float(x).to_le_bytes()),
        Value::Null | Value::Text(_) => unreachable!("a part is there, and a text has its own way"),
    }
}

/// Bits under which equal doubles are equal: 0.0 and -0.0 are one, every NaN is one.
#[inline]
pub fn same_float(x: f64) -> u64 {
    if x == 0.0 {
        0
    } else if x.is_nan() {
        f64::NAN.to_bits()
    } else {
        x.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[&str]) -> Vec<u8> {
        let mut event = Event::default();
        event.reset(values.len());
        for (column, text) in values.iter().enumerate() {
            event.values[column] = Value::Text(event.store(text));
        }
        let parts: Vec<_> = (0..values.len()).map(|slot| KeyPart { slot, kind: FieldKind::String }).collect();
        let mut bytes = Vec::new();
        assert!(encode(&parts, &event, &mut bytes));
        bytes
    }

    #[test]
    fn composite_keys_do_not_run_into_each_other() {
        assert_ne!(encoded(&["ab", "c"]), encoded(&["a", "bc"]));
        assert_ne!(encoded(&["", "x"]), encoded(&["x", ""]));
    }

    #[test]
    fn a_null_part_makes_no_key() {
        let mut event = Event::default();
        event.reset(1);
        assert!(!encode(&[KeyPart { slot: 0, kind: FieldKind::Int64 }], &event, &mut Vec::new()));
    }

    #[test]
    fn keys_that_come_and_go_do_not_make_the_index_grow() {
        let mut index = KeyIndex::default();
        // About three quarters of the slots are taken, for ever by other keys: more of some shards, less of others.
        let keys = (1 << SHARD_BITS) * 3_060_u64;
        (0..keys).for_each(|key| index.insert(hash_word(key), key as u32));
        let before = index.bytes();
        for key in keys..5 * keys {
            index.remove(hash_word(key - keys), (key - keys) as u32);
            index.insert(hash_word(key), key as u32);
        }
        assert_eq!((index.keys() as u64, index.bytes()), (keys, before));
        assert_eq!(index.growth_bytes(), 2 * index.largest);
    }

    #[test]
    fn the_index_finds_what_was_put_in_and_moved() {
        let mut index = KeyIndex::default();
        for key in 0..10_000_u64 {
            index.insert(hash_word(key), key as u32);
        }
        index.replace(hash_word(7), 7, 70_000);
        for key in 0..10_000_u64 {
            let expected = if key == 7 { 70_000 } else { key as u32 };
            assert_eq!(index.find(hash_word(key), |reference| reference == expected), Some(expected));
        }
        assert_eq!(index.find(hash_word(10_001), |_| false), None);
        assert_eq!(index.keys(), 10_000);
        let tables: usize = index.shards.iter().map(|shard| heap(shard.allocation_size())).sum();
        assert_eq!(index.bytes(), tables + heap(size_of_val(&*index.shards)));
        let before = index.bytes();
        for key in (0..10_000_u64).filter(|key| key % 100 != 7) {
            index.remove(hash_word(key), key as u32);
        }
        assert!(index.bytes() < before / 3, "{} of {before} bytes are left", index.bytes());
        assert_eq!(index.find(hash_word(107), |reference| reference == 107), Some(107));
    }
}
