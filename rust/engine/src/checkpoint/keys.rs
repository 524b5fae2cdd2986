//! The keys of a table in the order of their bytes, some of which may be on disk: those are read one by one, and only as much of each is kept
//! meanwhile as tells them apart.

use std::cell::Cell;
use std::cmp::Ordering;
use std::io;

use super::format::Kind;
use super::sections::Writer;
use crate::engine::{Engine, Spilling};
use crate::error::SpillError;
use crate::key;
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

/// Writes the keys of a table, and when they are looked at.
pub(super) fn write(engine: &Engine, index: usize, order: &TextOrder, sections: &mut Writer<'_>) -> io::Result<()> {
    let (table, plan, number) = (&engine.tables[index], &engine.plan.tables[index], index as u32);
    let here = table.in_order();
    let away = match &engine.spilling {
        Some(spilling) => Sorted::of(spilling, index)?,
        None => Sorted::default(),
    };
    let mut scratch = Table::new(plan, 0, engine.options.idle_after, false);
    let mut hashes = Vec::with_capacity(here.len() + away.keys.len());
    let mut next = 0;
    for reference in here {
        let key = table.key_of(reference);
        while next < away.keys.len() && away.is_before(next, &key)? {
            away.write(engine, (index, next), &mut scratch, order, sections)?;
            hashes.push(away.keys[next].hash);
            next += 1;
        }
        if sections.is_full() {
            sections.finish(Kind::Keys, number)?;
        }
        table.save_key(plan, reference, order, &mut sections.payload);
        hashes.push(key::hash(&key));
    }
    for place in next..away.keys.len() {
        away.write(engine, (index, place), &mut scratch, order, sections)?;
        hashes.push(away.keys[place].hash);
    }
    sections.finish(Kind::Keys, number)?;
    table.save_expiry(&hashes, &mut sections.payload);
    sections.finish(Kind::Expiry, number)
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
        sections: &mut Writer<'_>,
    ) -> io::Result<()> {
        let (away, Some(spilling)) = (&self.keys[place], self.spilling) else { return Ok(()) };
        let (plan, mut image, mut loading) = (&engine.plan.tables[index], Vec::new(), Loading::default());
        let (_, bytes) = spilling.read(away.unit, &mut image).map_err(io::Error::other)?;
        // Texts have other numbers there than here, so the key is made as it would be in memory.
        let reference = scratch
            .come_back(plan, &mut loading, away.hash, bytes, &engine.interner)
            .map_err(|broken| io::Error::other(broken.to_string()))?;
        if sections.is_full() {
            sections.finish(Kind::Keys, index as u32)?;
        }
        scratch.save_key(plan, reference, order, &mut sections.payload);
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
