//! A journal through the engine again: state comes to what it was, and nothing is answered on the way.
//!
//! What a table does with a record depends on that table alone. So events are made ready some thousand at a time, a list of records for
//! each table, and while this thread makes the next ones ready another one stores these, table by table. Where tables need more than their
//! records, or keys were let go, everything happens here, in its order. The state is the same either way.

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::batch::stores_alone;
use crate::engine::{Clock, Engine, fill_words, mark};
use crate::event::{Event, Value};
use crate::journal::{Chunk, Op, Slot};
use crate::key;
use crate::plan::{Plan, TablePlan};
use crate::state::Run;
use crate::state::interner::Interner;
use crate::state::table::{Key, Table};

/// With a limit on memory, a journal may have this part of it, on top.
const LIMIT_PART: u64 = 4;
/// So many records ahead a key's state is asked for.
const AHEAD: usize = 8;

/// Records on their way into a table.
#[derive(Debug, Default)]
struct Part {
    rows: Vec<Row>,
    keys: Vec<u8>,
    words: Vec<u64>,
    /// Texts that are used once less.
    released: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    hash: u64,
    /// No row to come that reads the table is earlier than this.
    mark: i64,
    /// Where its key begins; it ends where the next one does.
    key: usize,
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

    /// Takes in what happened, chunk after chunk, and counts the events; counters but for those of events and times are left as they are.
    ///
    /// # Errors
    /// The first of `next`; a part of what came before it has been taken in then.
    pub(crate) fn replay<E>(
        &mut self,
        slots: &[Vec<Slot>],
        next: &mut impl FnMut() -> Result<Option<Chunk>, E>,
    ) -> Result<u64, E> {
        let plan = Arc::clone(&self.plan);
        let (mut event, mut events) = (Event::default(), 0);
        let parts = || plan.tables.iter().map(|_| Part::default()).collect::<Vec<_>>();
        let (mut ready, mut storing) = (parts(), parts());
        let is_apart = self.is_apart();
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        loop {
            let Self { tables, clocks, interner, .. } = &mut *self;
            let mut chunk = Ok(None);
            store_beside(&plan, tables, &mut storing, cores - 1, || {
                chunk = next();
                if let Ok(Some(chunk)) = &chunk
                    && is_apart
                    && !chunk.evicts()
                {
                    chunk.each(slots, &mut event, |op, event| {
                        if let Op::Event(stream, time) = op {
                            make_ready(&plan, clocks, interner, (stream, time), event, &mut ready);
                        }
                    });
                }
            });
            release(&mut storing, interner);
            std::mem::swap(&mut ready, &mut storing);
            let Some(chunk) = chunk? else { return Ok(events) };
            events += chunk.events() as u64;
            if !is_apart || chunk.evicts() {
                chunk.each(slots, &mut event, |op, event| match op {
                    Op::Evicted => {
                        self.store_all(&plan, &mut storing);
                        self.evict(&plan);
                    }
                    Op::Event(stream, time) => {
                        let Self { clocks, interner, .. } = &mut *self;
                        make_ready(&plan, clocks, interner, (stream, time), event, &mut storing);
                    }
                });
                self.store_all(&plan, &mut storing);
            }
        }
    }

    /// Whether every table takes records in without the others.
    fn is_apart(&self) -> bool {
        self.options.memory_limit.is_none()
            && self.options.idle_after.is_none()
            && self.plan.tables.iter().all(stores_alone)
    }

    fn store_all(&mut self, plan: &Plan, parts: &mut [Part]) {
        for ((table, table_plan), part) in self.tables.iter_mut().zip(&plan.tables).zip(parts) {
            store(table_plan, table, part, &mut self.interner);
        }
    }
}

/// Stores parts on so many other threads, and on this one too once it has done its `own` work.
fn store_beside(plan: &Plan, tables: &mut [Table], parts: &mut [Part], threads: usize, own: impl FnOnce()) {
    let mut waiting: Vec<_> = tables.iter_mut().zip(&plan.tables).zip(parts).collect();
    waiting.retain(|(_, part)| !part.rows.is_empty());
    // The longest is taken first.
    waiting.sort_by_key(|((_, plan), part)| part.rows.len() * (1 + plan.lanes.len()));
    let others = waiting.len().min(threads);
    let waiting = Mutex::new(waiting);
    let store_waiting = || {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(((table, table_plan), part)) = next else { return };
            let mut texts = Interner::owing();
            store(table_plan, table, part, &mut texts);
            part.released.extend(texts.owed());
        }
    };
    thread::scope(|scope| {
        for _ in 0..others {
            scope.spawn(store_waiting);
        }
        own();
        store_waiting();
    });
}

fn release(parts: &mut [Part], interner: &mut Interner) {
    for part in parts {
        part.released.drain(..).for_each(|id| interner.release(id));
    }
}

fn make_ready(
    plan: &Plan,
    clocks: &mut [Clock],
    interner: &mut Interner,
    (stream, time): (usize, i64),
    event: &mut Event,
    parts: &mut [Part],
) {
    let stream_plan = &plan.streams[stream];
    let time_column = stream_plan.schema.time_column;
    if event.values.len() <= time_column {
        event.values.resize(time_column + 1, Value::Null);
    }
    event.values[time_column] = Value::Time(time);
    let clock = &mut clocks[stream];
    clock.newest = clock.newest.max(Some(time));
    clock.events += 1;
    for write in &stream_plan.writes {
        let part = &mut parts[write.table];
        let key = part.keys.len();
        if !key::encode(&write.key, event, &mut part.keys) {
            part.keys.truncate(key);
            continue;
        }
        let table_plan = &plan.tables[write.table];
        let words = part.words.len();
        part.words.resize(words + table_plan.shape.words_of(1), 0);
        fill_words(table_plan, event, time, &mut part.words[words..], interner);
        let hash = key::hash(&part.keys[key..]);
        part.rows.push(Row { hash, mark: mark(plan, table_plan, clocks), key });
    }
}

/// Stores the records of a table, in their order.
fn store(plan: &TablePlan, table: &mut Table, part: &mut Part, texts: &mut Interner) {
    let Part { rows, keys, words, .. } = part;
    let width = plan.shape.words_of(1);
    let key_of = |place: usize| {
        let end = rows.get(place + 1).map_or(keys.len(), |next| next.key);
        Key { hash: rows[place].hash, bytes: &keys[rows[place].key..end] }
    };
    for (place, row) in rows.iter().enumerate() {
        if place + AHEAD < rows.len() {
            table.warm(table.find(key_of(place + AHEAD)));
        }
        let key = key_of(place);
        let found = table.find(key);
        let record = Run::new(&words[place * width..][..width], plan.shape, 1, 1);
        table.store(plan, found, key, record, row.mark, texts);
        table.expire(plan, row.mark, texts);
    }
    rows.clear();
    keys.clear();
    words.clear();
}
