//! Key values -> bytes -> hash -> where the key's state lies; and the one hasher of every map in the engine.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::definition::FieldKind;
use crate::event::{Event, Value};

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
const SHARD_BITS: u32 = 6;

/// From the hash of a key to a 32-bit reference of its state.
#[derive(Debug)]
pub struct KeyIndex {
    shards: Vec<HashTable<(u32, u32)>>,
    len: usize,
}

impl Default for KeyIndex {
    fn default() -> Self {
        Self { shards: (0..1 << SHARD_BITS).map(|_| HashTable::new()).collect(), len: 0 }
    }
}

impl KeyIndex {
    fn shard(hash: u64) -> usize {
        (hash >> (64 - SHARD_BITS)) as usize
    }

    /// The reference for which `is` holds among those of this hash.
    #[inline]
    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let short = hash as u32;
        self.shards[Self::shard(hash)]
            .find(spread(short), |&(h, reference)| h == short && is(reference))
            .map(|&(_, reference)| reference)
    }

    /// Adds a reference that is not there.
    pub fn insert(&mut self, hash: u64, reference: u32) {
        let short = hash as u32;
        self.shards[Self::shard(hash)].insert_unique(spread(short), (short, reference), |&(h, _)| spread(h));
        self.len += 1;
    }

    /// The state of a key has moved.
    pub fn replace(&mut self, hash: u64, old: u32, new: u32) {
        let short = hash as u32;
        let slot = self.shards[Self::shard(hash)].find_mut(spread(short), |&(_, reference)| reference == old);
        slot.expect("a key that moves is in the index").1 = new;
    }

    /// Takes out a reference that is there.
    pub fn remove(&mut self, hash: u64, reference: u32) {
        let short = hash as u32;
        let slot =
            self.shards[Self::shard(hash)].find_entry(spread(short), |&(h, other)| h == short && other == reference);
        slot.expect("a key that leaves is in the index").remove();
        self.len -= 1;
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
        self.shards.iter().map(HashTable::allocation_size).sum::<usize>() + size_of_val(&*self.shards)
    }
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
            Value::Null => return false,
            Value::Text(text) => {
                let text = event.text(text);
                if parts.len() > 1 {
                    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
                }
                bytes.extend_from_slice(text.as_bytes());
            }
            // A whole number that an expression of Float64 yields counts as the double it stands for.
            Value::Int(x) if part.kind == FieldKind::Float64 => {
                bytes.extend_from_slice(&same_float(x as f64).to_le_bytes())
            }
            Value::Int(x) | Value::Time(x) => bytes.extend_from_slice(&x.to_le_bytes()),
            Value::Bool(x) => bytes.push(u8::from(x)),
            Value::Float(x) => bytes.extend_from_slice(&same_float(x).to_le_bytes()),
        }
    }
    true
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
    }
}
