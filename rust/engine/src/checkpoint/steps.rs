//! When the keys of a shard are looked at, on its way out and in: steps, and in each the hashes of its keys.

use std::io;

use super::format::{Kind, SECTION_BYTES};
use super::sections::Writer;
use crate::encode::{Broken, Encode, Input};
use crate::key;

/// Bytes before the steps: shard, of so many, the hash of a known text, ticks of a step, whether the shard goes on in the next section.
const HEAD_BYTES: usize = 25;

/// Tells whether keys had other hashes where a file was written.
fn known_hash() -> u64 {
    key::hash(b"fastfeat")
}

/// The steps of one shard on their way out.
#[derive(Debug)]
pub(super) struct Steps {
    table: u32,
    head: (u32, u32),
    step_ticks: i64,
    payload: Vec<u8>,
    /// The step at hand: when it begins, where its count stands, and its keys.
    open: Option<(i64, usize, u64)>,
}

impl Steps {
    pub fn begin(table: usize, (shard, shards): (usize, usize), step_ticks: i64) -> Self {
        let head = (shard as u32, shards as u32);
        Self { table: table as u32, head, step_ticks, payload: vec![0; HEAD_BYTES], open: None }
    }

    /// A key of a step.
    pub fn add(&mut self, begin: i64, hash: u64, sections: &mut Writer<'_>) -> io::Result<()> {
        if self.payload.len() >= SECTION_BYTES {
            self.finish(true, sections)?;
        }
        let (place, keys) = match self.open {
            Some((open, place, keys)) if open == begin => (place, keys + 1),
            _ => {
                begin.encode(&mut self.payload);
                0_u64.encode(&mut self.payload);
                (self.payload.len() - 8, 1)
            }
        };
        hash.encode(&mut self.payload);
        self.payload[place..place + 8].copy_from_slice(&keys.to_le_bytes());
        self.open = Some((begin, place, keys));
        Ok(())
    }

    /// The last section of the shard.
    pub fn end(mut self, sections: &mut Writer<'_>) -> io::Result<()> {
        self.finish(false, sections)
    }

    fn finish(&mut self, goes_on: bool, sections: &mut Writer<'_>) -> io::Result<()> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        self.head.encode(&mut head);
        known_hash().encode(&mut head);
        self.step_ticks.encode(&mut head);
        goes_on.encode(&mut head);
        self.payload[..HEAD_BYTES].copy_from_slice(&head);
        std::mem::swap(&mut sections.payload, &mut self.payload);
        sections.finish(Kind::Expiry, self.table)?;
        (self.payload, self.open) = (vec![0; HEAD_BYTES], None);
        Ok(())
    }
}

/// What stands before the steps of a section.
pub(super) struct Head {
    pub shard: u32,
    pub of: u32,
    /// Whether keys had the hashes that they have here.
    pub same_hashes: bool,
    pub step_ticks: i64,
    pub goes_on: bool,
}

impl Head {
    /// It, and where the steps begin.
    pub fn read(payload: &[u8]) -> Result<(Self, usize), Broken> {
        let mut input = Input::new(payload);
        let (shard, of): (u32, u32) = input.read()?;
        let (hash, step_ticks): (u64, i64) = input.read()?;
        let goes_on = input.read()?;
        let head = Self { shard, of, same_hashes: hash == known_hash(), step_ticks, goes_on };
        Ok((head, payload.len() - input.left()))
    }
}

/// Shows the keys of a section, by when their step begins and their hash; how many there are.
pub(super) fn each(input: &mut Input<'_>, mut show: impl FnMut(i64, u64)) -> Result<u64, Broken> {
    let mut listed = 0;
    while input.left() > 0 {
        let begin = input.read()?;
        for _ in 0..input.count(8)? {
            show(begin, input.read()?);
            listed += 1;
        }
    }
    Ok(listed)
}
