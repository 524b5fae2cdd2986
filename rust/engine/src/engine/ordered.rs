//! The keys of a table in the order of their bytes, some of which may be on disk: those are read one by one, and only as much of each is kept
//! meanwhile as tells them apart.

use std::cell::Cell;
use std::cmp::Ordering;

use super::{Engine, Spilling};
use crate::error::SpillError;
use crate::state::table::{Key, Loading, Reference, Table, UNREADABLE, key_in};

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

impl Engine {
    /// Shows every key of a shard of a table: where it is, in the shard or, of those on disk, in a table of itself.
    ///
    /// # Errors
    /// Those of the disk, and what `show` says.
    pub(crate) fn each_in_order<E: From<SpillError>>(
        &self,
        (index, number): (usize, usize),
        mut show: impl FnMut(&Table, Reference) -> Result<(), E>,
    ) -> Result<(), E> {
        let shard = self.tables[index].shard(number);
        // Keys go to disk where memory has a limit, and there is one shard then, and none sleeps.
        let Some(spilling) = &self.spilling else { return self.each_here((index, shard), show) };
        let mut scratch = Table::new(&self.plan.tables[index], 0, self.options.idle_after, false);
        let mut away = sorted(spilling, index)?.into_iter().peekable();
        for reference in shard.in_order() {
            let key = shard.key_of(reference);
            while let Some(next) = away.peek() {
                if !is_before(spilling, next, &key)? {
                    break;
                }
                self.show_away((index, next), &mut scratch, &mut show)?;
                away.next();
            }
            show(shard, reference)?;
        }
        away.try_for_each(|next| self.show_away((index, &next), &mut scratch, &mut show))
    }

    /// The same where none is on disk: those that sleep are made in a table of themselves.
    fn each_here<E>(
        &self,
        (index, shard): (usize, &Table),
        mut show: impl FnMut(&Table, Reference) -> Result<(), E>,
    ) -> Result<(), E> {
        let (plan, mut loading) = (&self.plan.tables[index], Loading::default());
        let mut scratch = Table::new(plan, 0, self.options.idle_after, false);
        let mut asleep = shard.asleep_in_order().into_iter().map(|place| shard.asleep_at(place)).peekable();
        let mut show_asleep = |(key, image): (Key<'_>, &[u8]), show: &mut dyn FnMut(&Table, Reference) -> _| {
            let made = scratch.come_back(plan, &mut loading, image, &self.interner);
            let reference = made.unwrap_or_else(|broken| panic!("{UNREADABLE}: {broken}"));
            let shown = show(&scratch, reference);
            scratch.forget(key.hash, reference);
            shown
        };
        for reference in shard.in_order() {
            let key = shard.key_of(reference);
            while let Some(next) = asleep.next_if(|(next, _)| next.bytes < key.as_slice()) {
                show_asleep(next, &mut show)?;
            }
            show(shard, reference)?;
        }
        asleep.try_for_each(|next| show_asleep(next, &mut show))
    }

    fn show_away<E: From<SpillError>>(
        &self,
        (index, away): (usize, &Away),
        scratch: &mut Table,
        show: &mut impl FnMut(&Table, Reference) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(spilling) = &self.spilling else { return Ok(()) };
        let (plan, mut image, mut loading) = (&self.plan.tables[index], Vec::new(), Loading::default());
        let (_, bytes) = spilling.read(away.unit, &mut image)?;
        // Texts have other numbers in whatever `show` writes, so the key is made as it would be in memory.
        let Ok(reference) = scratch.come_back(plan, &mut loading, bytes, &self.interner) else {
            return spilling.rotten(away.unit).map_err(E::from);
        };
        let shown = show(scratch, reference);
        scratch.forget(away.hash, reference);
        shown
    }
}

/// Those on disk, in order.
fn sorted(spilling: &Spilling, table: usize) -> Result<Vec<Away>, SpillError> {
    let mut buffer = Vec::new();
    let mut keys = Vec::with_capacity(spilling.keys_of(table));
    for unit in spilling.units(table) {
        let (head, image) = spilling.read(unit, &mut buffer)?;
        let Ok(key) = key_in(image) else { return spilling.rotten(unit) };
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
    failed.into_inner().map_or(Ok(keys), Err)
}

fn is_before(spilling: &Spilling, away: &Away, key: &[u8]) -> Result<bool, SpillError> {
    match away.front.cmp(&front(key)) {
        Ordering::Equal => Ok(key_at(spilling, away.unit)?.as_slice() < key),
        other => Ok(other == Ordering::Less),
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
