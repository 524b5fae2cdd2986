//! State beyond the limit on memory: keys go to disk in batches, and come back before an event, a question or a replay looks at them.
//!
//! So every step after that finds the keys it needs in memory, and does not know that others are elsewhere.

use super::{Engine, Located};
use crate::error::{EventError, SpillError};
use crate::event::Event;
use crate::heap::room;
use crate::key::{self, KeyIndex};
use crate::options::Options;
use crate::plan::{Plan, TablePlan};
use crate::spill::{HEAD_BYTES, Head, Run, Store, UNIT_BYTES};
use crate::state::interner::Interner;
use crate::state::shards::{EXPIRED_MAX, Shards};
use crate::state::table::{Elsewhere, Key, Leaving, Loading, Reference, Table, key_in};

use super::room::{LOST_SHARE, MARGIN_BYTES};

/// Images are written so many bytes at a time, at least.
const BATCH_BYTES: usize = 1 << 16;
/// State may stay this part of the limit above what starts a batch, or so many bytes, before one event waits for more than one batch.
const SLACK_SHARE: u64 = 40;
const SLACK_BYTES: u64 = 1 << 19;
/// Of a state that is being saved so many bytes are read at once.
const PASSED_BYTES: usize = 1 << 13;
/// So many bytes of a segment that is mostly out of use are looked at with each batch.
const SWEPT_BYTES: usize = 2 * BATCH_BYTES;

/// What is on disk, and where.
#[derive(Debug)]
pub(crate) struct Spilling {
    store: Store,
    /// By table: from the hash of a key to the unit of its image.
    away: Vec<KeyIndex>,
    /// Keys of the event at hand, which stay: table, and where.
    pinned: Vec<(usize, Reference)>,
    /// Whether keys have left for this event, and others may have moved.
    moved: bool,
    sweep: Option<Sweep>,
    loading: Loading,
    image: Vec<u8>,
    batch: Vec<u8>,
    leaving: Vec<Leaving>,
    /// How many states have begun to be saved.
    capture: u32,
    /// Where images of before the last of them have been passed over, while they are.
    passing: Option<Passing>,
}

/// How far the images of a state that is being saved have been passed over, in the order in which they lie. None of them moves meanwhile, and what
/// is written meanwhile has been saved.
#[derive(Clone, Copy, Debug, Default)]
struct Passing {
    /// A unit.
    at: u64,
    /// The segments at hand, as they were when they were begun with. Where they are others now, nothing in them was there at the instant.
    run: Option<Run>,
}

/// A segment that is being written anew.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    at: u32,
    end: u32,
    generation: u64,
}

impl Spilling {
    /// With nothing on disk; none where the options do not ask for one.
    pub fn begin(options: &Options, plan: &Plan) -> Result<Option<Box<Self>>, SpillError> {
        let Some(disk) = &options.spill else { return Ok(None) };
        Ok(Some(Box::new(Self {
            store: Store::open(disk.as_ref())?,
            away: plan.tables.iter().map(|_| KeyIndex::default()).collect(),
            pinned: Vec::new(),
            moved: false,
            sweep: None,
            loading: Loading::default(),
            image: Vec::new(),
            batch: Vec::new(),
            leaving: Vec::new(),
            capture: 0,
            passing: None,
        })))
    }

    /// The keys on disk are to be saved as they are now.
    pub fn begin_capture(&mut self) {
        self.capture += 1;
        self.passing = Some(Passing::default());
    }

    /// Saves keys on disk until so many bytes of them have been passed over, or all have; true then.
    pub fn save_some(&mut self, tables: &mut [Shards], bytes: usize) -> Result<bool, SpillError> {
        let mut left = bytes as i64;
        while left > 0 {
            let Some(passing) = self.passing else { return Ok(true) };
            let Some(run) = passing.run.or_else(|| self.store.run_at(passing.at)) else {
                self.passing = None;
                return Ok(true);
            };
            let now = self.store.run_at(run.begin).filter(|now| now.generation == run.generation);
            let end = now.map_or(0, |now| now.end);
            if passing.at >= end {
                self.passing = Some(Passing { at: run.next, run: None });
                left -= 1;
                continue;
            }
            let passed = self.save_from(tables, passing.at as u32, end)?;
            self.passing = Some(Passing { at: passing.at + (passed / UNIT_BYTES) as u64, run: Some(run) });
            left -= passed as i64;
        }
        Ok(self.passing.is_none())
    }

    /// Saves some keys from this unit on, before `end`; how many bytes of the file that were.
    fn save_from(&mut self, tables: &mut [Shards], begin: u32, end: u64) -> Result<usize, SpillError> {
        let Self { store, away, image, .. } = self;
        image.resize(PASSED_BYTES.min((end - u64::from(begin)) as usize * UNIT_BYTES), 0);
        let mut read = store.read_at(image, begin)?;
        let mut from = 0;
        while from + HEAD_BYTES <= read {
            let unit = begin + (from / UNIT_BYTES) as u32;
            let Some(head) = Head::read(&image[from..read]) else { return store.rotten(unit) };
            let to = from + HEAD_BYTES + head.length as usize;
            if to > read && from > 0 {
                // It is looked at next.
                break;
            }
            if to > read {
                image.resize(to, 0);
                read = store.read_at(image, unit)?;
            }
            let is_live = |away: &KeyIndex| away.find(head.hash, |other| other == unit).is_some();
            if head.capture < self.capture && away.get(head.table as usize).is_some_and(is_live) {
                let bytes = image.get(from + HEAD_BYTES..to.min(read)).unwrap_or_default();
                if !head.sums_up(bytes) {
                    return store.rotten(unit);
                }
                tables[head.table as usize].limited().save_image(bytes);
            }
            from += head.stride();
        }
        // The file may be shorter than what was written to it.
        if from == 0 { store.rotten(begin) } else { Ok(from) }
    }

    /// Nobody saves the rest.
    pub fn stop_saving(&mut self) {
        self.passing = None;
    }

    /// Keys of a table that are on disk.
    pub fn keys_of(&self, table: usize) -> usize {
        self.away[table].keys()
    }

    /// Keys on disk, their bytes there, and those of the file.
    pub fn told(&self) -> (u64, u64, u64) {
        let keys: usize = self.away.iter().map(KeyIndex::keys).sum();
        (keys as u64, self.store.live_bytes(), self.store.file_bytes())
    }

    /// Where the images of the keys of a table are, in no order that may leave the engine.
    pub fn units(&self, table: usize) -> impl Iterator<Item = u32> {
        self.away[table].references()
    }

    /// An image: its head, and its bytes.
    pub fn read<'a>(&self, unit: u32, buffer: &'a mut Vec<u8>) -> Result<(Head, &'a [u8]), SpillError> {
        self.store.read(unit, buffer)
    }

    /// An image that is not what was written.
    pub fn rotten<T>(&self, unit: u32) -> Result<T, SpillError> {
        self.store.rotten(unit)
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let buffers = self.image.capacity() + self.batch.capacity() + room::<Leaving>(self.leaving.capacity());
        self.away.iter().map(KeyIndex::bytes).sum::<usize>() + self.store.bytes() + buffers
    }

    /// Bytes by which the memory may grow at once.
    fn growth_bytes(&self) -> usize {
        self.away.iter().map(KeyIndex::growth_bytes).sum()
    }

    /// Brings a key back that is on disk.
    pub fn bring_back(
        &mut self,
        index: usize,
        table: &mut Table,
        plan: &TablePlan,
        key: Key<'_>,
        texts: &Interner,
    ) -> Result<Option<Reference>, SpillError> {
        let Self { store, away, image, .. } = self;
        let mut failed = None;
        let unit = away[index].find(key.hash, |unit| match store.read(unit, image) {
            Ok((head, bytes)) => {
                head.table as usize == index && head.hash == key.hash && key_in(bytes) == Ok(key.bytes)
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        match (unit, failed) {
            (Some(unit), _) => self.load(index, table, plan, unit, texts).map(Some),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }

    /// The key of an image, in memory.
    fn load(
        &mut self,
        index: usize,
        table: &mut Table,
        plan: &TablePlan,
        unit: u32,
        texts: &Interner,
    ) -> Result<Reference, SpillError> {
        let (head, bytes) = self.store.read(unit, &mut self.image)?;
        let Ok(reference) = table.come_back(plan, &mut self.loading, bytes, texts) else {
            return self.store.rotten(unit);
        };
        if head.capture < self.capture && self.passing.is_some_and(|passing| u64::from(unit) >= passing.at) {
            table.save_image(bytes);
        }
        self.away[index].remove(head.hash, unit);
        self.store.release(unit, &head);
        Ok(reference)
    }

    /// Lets keys go that nothing can see any more, wherever they are.
    pub fn expire(&mut self, index: usize, table: &mut Table, plan: &TablePlan, mark: i64, texts: &mut Interner) {
        table.expire_with(plan, mark, EXPIRED_MAX, texts, |table, hash, texts| {
            self.due(index, table, plan, hash, mark, texts).unwrap_or(Elsewhere::Unreadable)
        });
    }

    /// Brings a key of this hash back that is to go.
    fn due(
        &mut self,
        index: usize,
        table: &mut Table,
        plan: &TablePlan,
        hash: u64,
        mark: i64,
        texts: &Interner,
    ) -> Result<Elsewhere, SpillError> {
        let (mut newest, mut failed) = (None, None);
        let is_over = |head: &Head| head.hash == hash && table.is_over(plan, head.newest, mark);
        let unit = self.away[index].find(hash, |unit| match self.store.head(unit) {
            Ok(head) => {
                newest = newest.max(Some(head.newest).filter(|_| head.hash == hash));
                is_over(&head)
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        match (unit, failed) {
            (Some(unit), _) => self.load(index, table, plan, unit, texts).map(|_| Elsewhere::No),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(newest.map_or(Elsewhere::No, Elsewhere::Newest)),
        }
    }

    /// Writes a batch of keys to disk; false when there is none that could go.
    fn spill(&mut self, tables: &mut [Shards], plan: &Plan) -> Result<bool, SpillError> {
        self.batch.clear();
        self.leaving.clear();
        self.moved = true;
        // The table that has most goes first.
        let mut order: Vec<usize> = (0..tables.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(tables[index].limited().bytes_beside_index()));
        let Some(index) = order.into_iter().find(|&index| {
            let Self { pinned, batch, leaving, .. } = self;
            let of = (index, self.capture);
            tables[index].limited().make_images(&plan.tables[index], of, pinned, BATCH_BYTES, batch, leaving);
            !leaving.is_empty()
        }) else {
            return Ok(false);
        };
        let table = tables[index].limited();
        let unit = match self.store.append(&self.batch) {
            Ok(unit) => unit,
            Err(error) => {
                table.stay();
                return Err(error);
            }
        };
        for key in &self.leaving {
            self.away[index].insert(key.hash, unit + (key.start / UNIT_BYTES) as u32);
        }
        table.leave(&self.leaving);
        self.sweep();
        // One key may have been as large as many.
        self.batch.clear();
        self.batch.shrink_to(2 * BATCH_BYTES);
        self.image.clear();
        self.image.shrink_to(BATCH_BYTES / 4);
        Ok(true)
    }

    /// Goes on with writing anew what is in use of a segment that mostly is not.
    fn sweep(&mut self) {
        if self.passing.is_some() {
            // What is being saved stays where it is.
            return;
        }
        let sparse = |store: &Store| store.sparse().map(|(at, end, generation)| Sweep { at, end, generation });
        let same = |sweep: &Sweep| self.store.generation(sweep.at) == Some(sweep.generation) && sweep.at < sweep.end;
        let Some(mut sweep) = self.sweep.take().filter(same).or_else(|| sparse(&self.store)) else { return };
        let Self { store, away, image, batch, .. } = self;
        batch.clear();
        // In one read; what is cut at its end is looked at with the next batch.
        let Ok(first) = store.head(sweep.at) else { return store.give_up(sweep.at) };
        let left = (sweep.end - sweep.at) as usize * UNIT_BYTES;
        image.resize(left.min(SWEPT_BYTES.max(first.stride())), 0);
        let Ok(read) = store.read_at(image, sweep.at) else { return store.give_up(sweep.at) };
        image.truncate(read);
        let (mut moved, mut from) = (Vec::new(), 0);
        while from + HEAD_BYTES <= image.len() {
            let Some(head) = Head::read(&image[from..]) else { return store.give_up(sweep.at) };
            let Some(bytes) = image.get(from..from + HEAD_BYTES + head.length as usize) else { break };
            let unit = sweep.at;
            let is_live = |away: &KeyIndex| away.find(head.hash, |other| other == unit).is_some();
            if away.get(head.table as usize).is_some_and(is_live) {
                if !head.sums_up(&bytes[HEAD_BYTES..]) {
                    return store.give_up(unit);
                }
                let start = batch.len().next_multiple_of(UNIT_BYTES);
                batch.resize(start, 0);
                batch.extend_from_slice(bytes);
                moved.push((unit, start, head));
            }
            sweep.at += (head.stride() / UNIT_BYTES) as u32;
            from += head.stride();
        }
        if from == 0 {
            // The file is shorter than what was written to it.
            return store.give_up(sweep.at);
        }
        if !moved.is_empty() {
            // Where the disk is full, they stay where they are.
            let Ok(begin) = store.append(batch) else { return };
            for (unit, start, head) in moved {
                away[head.table as usize].replace(head.hash, unit, begin + (start / UNIT_BYTES) as u32);
                store.release(unit, &head);
            }
        }
        self.sweep = Some(sweep);
    }
}

impl Engine {
    /// Brings the keys of an event, and those that its row reads, into memory, and makes room there.
    ///
    /// # Errors
    /// The disk does not give them, or takes none; or the event has a new key, and memory has no room for more keys even on disk.
    #[inline(never)]
    pub(super) fn fetch(&mut self, plan: &Plan, stream: usize, event: &Event) -> Result<(), EventError> {
        let Some(mut spilling) = self.spilling.take() else { return Ok(()) };
        spilling.moved = false;
        let fetched = self.fetch_with(&mut spilling, plan, stream, event);
        self.spilling = Some(spilling);
        let has_room = fetched
            .and_then(|()| self.spill_over(plan))
            .map_err(|error| EventError::Spill { stream: plan.streams[stream].schema.stream.clone(), error })?;
        if !self.spilling.as_ref().is_some_and(|spilling| spilling.moved) {
            return Ok(());
        }
        for (write, located) in plan.streams[stream].writes.iter().zip(&mut self.scratch.located) {
            if located.found.is_some() {
                let key = Key { hash: located.hash, bytes: &self.scratch.keys[located.start..located.end] };
                located.found = self.tables[write.table].of(key.hash).find_here(key);
            }
        }
        let is_new = |located: &Located| located.keyed && located.found.is_none();
        if has_room || !self.scratch.located.iter().any(is_new) {
            return Ok(());
        }
        Err(self.refuse_memory(plan, stream))
    }

    fn fetch_with(
        &mut self,
        spilling: &mut Spilling,
        plan: &Plan,
        stream: usize,
        event: &Event,
    ) -> Result<(), SpillError> {
        let stream_plan = &plan.streams[stream];
        let keys = &mut self.scratch.keys;
        spilling.pinned.clear();
        for (write, located) in stream_plan.writes.iter().zip(&mut self.scratch.located) {
            if !located.keyed {
                continue;
            }
            let key = Key { hash: located.hash, bytes: &keys[located.start..located.end] };
            let (table, table_plan) = (self.tables[write.table].limited(), &plan.tables[write.table]);
            if located.found.is_none() {
                located.found = spilling.bring_back(write.table, table, table_plan, key, &self.interner)?;
            }
            if let Some(reference) = located.found {
                table.touch(reference);
                spilling.pinned.push((write.table, reference));
            }
        }
        for read in stream_plan.reads.iter().filter(|read| !read.own) {
            let start = keys.len();
            if key::encode(&read.key, event, keys) {
                let key = Key { hash: key::hash(&keys[start..]), bytes: &keys[start..] };
                let (table, table_plan) = (self.tables[read.table].limited(), &plan.tables[read.table]);
                let found = match table.find_here(key) {
                    Some(reference) => Some(reference),
                    None => spilling.bring_back(read.table, table, table_plan, key, &self.interner)?,
                };
                if let Some(reference) = found {
                    table.touch(reference);
                    spilling.pinned.push((read.table, reference));
                }
            }
            keys.truncate(start);
        }
        Ok(())
    }

    /// Brings back one key that is to be stored to, in a replay, and makes room.
    pub(crate) fn fetch_one(&mut self, plan: &Plan, table: usize, key: Key<'_>) -> Result<(), SpillError> {
        let Some(mut spilling) = self.spilling.take() else { return Ok(()) };
        spilling.pinned.clear();
        let (state, table_plan) = (self.tables[table].limited(), &plan.tables[table]);
        let found = match state.find_here(key) {
            Some(reference) => Ok(Some(reference)),
            None => spilling.bring_back(table, state, table_plan, key, &self.interner),
        };
        if let Ok(Some(reference)) = found {
            state.touch(reference);
            spilling.pinned.push((table, reference));
        }
        self.spilling = Some(spilling);
        found.and_then(|_| self.spill_over(plan)).map(|_| ())
    }

    /// Makes room while a checkpoint is read.
    pub(crate) fn spill_loaded(&mut self, plan: &Plan) -> Result<(), SpillError> {
        if let Some(spilling) = &mut self.spilling {
            spilling.pinned.clear();
            self.spill_over(plan)?;
        }
        Ok(())
    }

    /// Lets keys go to disk until memory has room for an event; false where it has not, though all have gone that could.
    fn spill_over(&mut self, plan: &Plan) -> Result<bool, SpillError> {
        let Some(limit) = self.options.memory_limit else { return Ok(true) };
        let Some(mut spilling) = self.spilling.take() else { return Ok(true) };
        let slack = (limit / SLACK_SHARE).min(SLACK_BYTES);
        let outcome = loop {
            let own = spilling.bytes() as u64;
            let growth = self.growth_bytes() + spilling.growth_bytes() as u64 + MARGIN_BYTES + limit / LOST_SHARE;
            if (self.bytes() + own).saturating_add(growth) <= limit {
                break Ok(true);
            }
            match spilling.spill(&mut self.tables, plan) {
                Ok(true) if self.bytes() + (spilling.bytes() as u64) + growth <= limit + slack => break Ok(true),
                Ok(true) => {}
                Ok(false) => break Ok(self.bytes() + own <= limit),
                Err(error) => break Err(error),
            }
        };
        self.spilling = Some(spilling);
        outcome
    }
}
