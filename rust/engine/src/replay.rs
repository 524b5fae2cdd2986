//! A journal through the engine again: state comes to what it was, and nothing is answered on the way.
//!
//! Where a table can take in rows together, as in a batch, many are made ready for it. The rest is stored one after the other, some hundred at a
//! time, so that the state of a key can be asked for before it is needed.

use std::sync::Arc;

use crate::batch::{Aside, needs_texts, with_aside};
use crate::engine::{Engine, fill, mark};
use crate::error::SpillError;
use crate::event::{Event, Value};
use crate::journal::{Chunk, Op, Slot};
use crate::key;
use crate::plan::{Plan, TablePlan};
use crate::state::Run;
use crate::state::many::{Many, Part};
use crate::state::shards::Shards;
use crate::state::table::Key;

/// With a limit on memory, a journal may have this part of it, on top.
const LIMIT_PART: u64 = 4;
/// Records that are ready at most.
const READY_MAX: usize = 512;
/// Rows of a table that are taken in together at most, and bytes of them, about.
const TOGETHER_MAX: usize = 65_536;
const BYTES_MAX: usize = 64 << 20;
/// So many records ahead a key's state is asked for.
const AHEAD: usize = 8;

/// Buffers, reused.
#[derive(Debug, Default)]
struct Replay {
    event: Event,
    keys: Vec<u8>,
    key: Vec<u8>,
    record: Vec<u64>,
    records: Vec<u64>,
    ready: Vec<Ready>,
    /// By table: what it takes in together; nothing where it does not.
    parts: Vec<Option<Part>>,
}

/// A record on its way into a table.
#[derive(Clone, Copy, Debug)]
struct Ready {
    table: usize,
    hash: u64,
    /// The stream's number of the event.
    event: u64,
    /// No row to come that reads the table is earlier than this.
    mark: i64,
    /// Where its key and its words begin; they end where the next one's do.
    key: usize,
    words: usize,
}

impl Engine {
    /// Gives the journal up where it has become larger than the state, or than its part of a limit.
    #[cold]
    pub(crate) fn bound_journal(&mut self) {
        let bytes = self.bytes();
        let most = self.options.memory_limit.map_or(u64::MAX, |limit| limit / LIMIT_PART);
        if let Some(journal) = &mut self.journal {
            journal.bound(bytes, most);
        }
    }

    /// Takes in what happened, chunk by chunk until there is none; how many events there were. Counters but for those of events and times are left
    /// as they are. Tables that take in rows together do so while the next rows are made ready.
    ///
    /// # Errors
    /// `next` has none to give; or the disk that keys are spilled to does not do what it should. The engine is of no use then.
    pub(crate) fn replay<E: From<SpillError>>(
        &mut self,
        slots: &[Vec<Slot>],
        mut next: impl FnMut() -> Result<Option<Chunk>, E>,
    ) -> Result<u64, E> {
        let plan = Arc::clone(&self.plan);
        let mut replay = Replay { parts: self.parts(), ..Replay::default() };
        with_aside(|aside| {
            let mut events = 0;
            while let Some(chunk) = next()? {
                self.replay_chunk(&plan, slots, &chunk, &mut replay, aside)?;
                events += chunk.events() as u64;
            }
            aside.give(self, &mut replay.parts);
            aside.take_back(self);
            Ok(events)
        })
    }

    fn replay_chunk(
        &mut self,
        plan: &Plan,
        slots: &[Vec<Slot>],
        chunk: &Chunk,
        replay: &mut Replay,
        aside: &mut Aside<'_, '_>,
    ) -> Result<(), SpillError> {
        let mut event = std::mem::take(&mut replay.event);
        let mut outcome = Ok(());
        chunk.each(slots, &mut event, |op, event| match op {
            Op::Evicted => {
                outcome = outcome.clone().and(self.store_ready(plan, replay));
                aside.take_back(self);
                self.evict(plan);
            }
            Op::Event(stream, time) => {
                self.make_ready(plan, stream, time, event, replay);
                if replay.ready.len() >= READY_MAX {
                    outcome = outcome.clone().and(self.store_ready(plan, replay));
                }
                if replay.parts.iter().flatten().any(|part| part.len() >= TOGETHER_MAX || part.bytes >= BYTES_MAX) {
                    aside.give(self, &mut replay.parts);
                }
            }
        });
        replay.event = event;
        outcome.and(self.store_ready(plan, replay))
    }

    fn make_ready(&mut self, plan: &Plan, stream: usize, time: i64, event: &mut Event, replay: &mut Replay) {
        let stream_plan = &plan.streams[stream];
        let time_column = stream_plan.schema.time_column;
        if event.values.len() <= time_column {
            event.values.resize(time_column + 1, Value::Null);
        }
        event.values[time_column] = Value::Time(time);
        let clock = &mut self.clocks[stream];
        clock.newest = clock.newest.max(Some(time));
        clock.events += 1;
        let number = clock.events;
        for write in &stream_plan.writes {
            let table_plan = &plan.tables[write.table];
            if let Some(part) = &mut replay.parts[write.table] {
                let mark = mark(plan, table_plan, &self.clocks);
                if let Some(records) = part.add(table_plan, &write.key, event, (time, mark, number), &mut replay.key) {
                    fill(table_plan, event, time, &mut replay.record, &mut |text| self.interner.acquire(text));
                    records.extend_from_slice(&replay.record);
                }
                continue;
            }
            let (key, words) = (replay.keys.len(), replay.records.len());
            if !key::encode(&write.key, event, &mut replay.keys) {
                replay.keys.truncate(key);
                continue;
            }
            fill(table_plan, event, time, &mut replay.record, &mut |text| self.interner.acquire(text));
            replay.records.extend_from_slice(&replay.record);
            let mark = mark(plan, table_plan, &self.clocks);
            let hash = key::hash(&replay.keys[key..]);
            replay.ready.push(Ready { table: write.table, hash, event: number, mark, key, words });
        }
    }

    /// What tables will take in together: those whose shards need neither each other nor texts, and have all memory they want.
    fn parts(&self) -> Vec<Option<Part>> {
        let is_free =
            self.options.memory_limit.is_none() && self.options.idle_after.is_none() && self.spilling.is_none();
        let part = |(table, shards): (&TablePlan, &Shards)| {
            let many = Many { plan: table, read: None, ticks_per_second: self.plan.ticks_per_second };
            let goes = is_free && many.together() && !table.lanes.iter().any(needs_texts);
            goes.then(|| Part::new(shards.iter().len()))
        };
        self.plan.tables.iter().zip(&self.tables).map(part).collect()
    }

    /// Stores what is ready, in its order.
    fn store_ready(&mut self, plan: &Plan, replay: &mut Replay) -> Result<(), SpillError> {
        let Replay { keys, records, ready, .. } = replay;
        let key_of = |place: usize| {
            let end = ready.get(place + 1).map_or(keys.len(), |next| next.key);
            Key { hash: ready[place].hash, bytes: &keys[ready[place].key..end] }
        };
        for (place, &Ready { table: number, event, mark, words, .. }) in ready.iter().enumerate() {
            if let Some(next) = ready.get(place + AHEAD) {
                let table = self.tables[next.table].of(next.hash);
                table.warm(table.find_here(key_of(place + AHEAD)));
            }
            let key = key_of(place);
            self.fetch_one(plan, number, key)?;
            let (shards, table_plan) = (&mut self.tables[number], &plan.tables[number]);
            let table = shards.of_mut(key.hash);
            let found = table.find(table_plan, key, &self.interner);
            let record = &records[words..][..table_plan.shape.words_of(1)];
            let record = Run::new(record, table_plan.shape, 1, 1);
            table.store(table_plan, found, key, record, mark, &mut self.interner);
            match &mut self.spilling {
                None => shards.expire(table_plan, key.hash, event, mark, &mut self.interner),
                Some(spilling) => {
                    spilling.expire(number, shards.limited(), table_plan, mark, &mut self.interner);
                }
            }
        }
        keys.clear();
        records.clear();
        ready.clear();
        Ok(())
    }
}
