//! The keys of a table in the order of their bytes, some of which may be on disk: those are read one by one, and only as much of each is kept
//! meanwhile as tells them apart.

use std::cell::Cell;
use std::cmp::Ordering;
use std::io;

use super::format::Kind;
use super::sections::Writer;
use crate::encode::Encode;
use crate::engine::{Engine, Spilling};
use crate::error::SpillError;
use crate::state::interner::TextOrder;
use crate::state::table::{Loading, Table, key_in};

/// So many bytes of a key are kept to sort by.
const FRONT_BYTES: usize = 16;

/// A key on disk.
#[derive(Clone, Copy)]
struct Away {
    /// Its first bytes, padded with zeros.
    front: [u8; FRONT_BYTES],
    hash: u64,
    unit: u32,
}

/// Writes the keys of a table, shard by shard.
pub(super) fn write(engine: &Engine, index: usize, order: &TextOrder, sections: &mut Writer<'_>) -> io::Result<()> {
    let (table, plan) = (&engine.tables[index], &engine.plan.tables[index]);
    let mut scratch = Table::new(plan, 0, engine.options.idle_after, false);
    for (number, shard) in table.iter().enumerate() {
        let mut out =
            Keys { sections, table: index as u32, shard: (number as u32, table.count() as u32), begun: false };
        // Keys go to disk where memory has a limit, and there is one shard then.
        let away = match &engine.spilling {
            Some(spilling) => Sorted::of(spilling, index)?,
            None => Sorted::default(),
        };
        let mut next = 0;
        for reference in shard.in_order() {
            let key = shard.key_of(reference);
            while next < away.keys.len() && away.is_before(next, &key)? {
                away.write(engine, (index, next), &mut scratch, order, out.payload()?)?;
                next += 1;
            }
            shard.save_key(plan, reference, order, out.payload()?);
        }
        for place in next..away.keys.len() {
            away.write(engine, (index, place), &mut scratch, order, out.payload()?)?;
        }
        out.end()?;
    }
    Ok(())
}

/// The keys of a shard on their way out.
struct Keys<'a, 'b> {
    sections: &'a mut Writer<'b>,
    table: u32,
    shard: (u32, u32),
    begun: bool,
}

impl Keys<'_, '_> {
    /// Where the next key goes.
    fn payload(&mut self) -> io::Result<&mut Vec<u8>> {
        if self.sections.is_full() {
            self.end()?;
        }
        if !self.begun {
            self.shard.encode(&mut self.sections.payload);
            self.begun = true;
        }
        Ok(&mut self.sections.payload)
    }

    fn end(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.begun) { self.sections.finish(Kind::Keys, self.table) } else { Ok(()) }
    }
}

/// Those on disk, in order.
#[derive(Default)]
struct Sorted<'a> {
    spilling: Option<&'a Spilling>,
    keys: Vec<Away>,
}

impl<'a> Sorted<'a> {
    fn of(spilling: &'a Spilling, table: usize) -> io::Result<Self> {
        let mut buffer = Vec::new();
        let mut keys = Vec::with_capacity(spilling.keys_of(table));
        for unit in spilling.units(table) {
            let (head, image) = spilling.read(unit, &mut buffer).map_err(io::Error::other)?;
            let key = key_in(image).map_err(io::Error::other)?;
            keys.push(Away { front: front(key), hash: head.hash, unit });
        }
        let failed = Cell::new(None);
        keys.sort_unstable_by(|a, b| {
            a.front.cmp(&b.front).then_with(|| {
                let keys = key_at(spilling, a.unit).and_then(|left| Ok(left.cmp(&key_at(spilling, b.unit)?)));
                keys.unwrap_or_else(|error| {
                    failed.set(Some(error));
                    a.unit.cmp(&b.unit)
                })
            })
        });
        match failed.into_inner() {
            Some(error) => Err(io::Error::other(error)),
            None => Ok(Self { spilling: Some(spilling), keys }),
        }
    }

    fn is_before(&self, place: usize, key: &[u8]) -> io::Result<bool> {
        let (away, Some(spilling)) = (&self.keys[place], self.spilling) else { return Ok(false) };
        match away.front.cmp(&front(key)) {
            Ordering::Equal => Ok(key_at(spilling, away.unit).map_err(io::Error::other)?.as_slice() < key),
            other => Ok(other == Ordering::Less),
        }
    }

    fn write(
        &self,
        engine: &Engine,
        (index, place): (usize, usize),
        scratch: &mut Table,
        order: &TextOrder,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let (away, Some(spilling)) = (&self.keys[place], self.spilling) else { return Ok(()) };
        let (plan, mut image, mut loading) = (&engine.plan.tables[index], Vec::new(), Loading::default());
        let (_, bytes) = spilling.read(away.unit, &mut image).map_err(io::Error::other)?;
        // Texts have other numbers there than here, so the key is made as it would be in memory.
        let reference = scratch
            .come_back(plan, &mut loading, away.hash, bytes, &engine.interner)
            .map_err(|broken| io::Error::other(broken.to_string()))?;
        scratch.save_key(plan, reference, order, out);
        scratch.forget(away.hash, reference);
        Ok(())
    }
}

fn front(key: &[u8]) -> [u8; FRONT_BYTES] {
    let mut front = [0; FRONT_BYTES];
    let length = key.len().min(FRONT_BYTES);
    front[..length].copy_from_slice(&key[..length]);
    front
}

fn key_at(spilling: &Spilling, unit: u32) -> Result<Vec<u8>, SpillError> {
    let mut buffer = Vec::new();
    let (_, image) = spilling.read(unit, &mut buffer)?;
    key_in(image).map(<[u8]>::to_vec).or_else(|_| spilling.rotten(unit))
}
