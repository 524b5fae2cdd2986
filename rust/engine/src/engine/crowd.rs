//! Several threads that push events of one stream, each shard of its tables behind a lock of its own. x Python, disks
//!
//! An event is admitted under the lock `front`: there it gets its number, the journal has it, its texts get theirs; and there the locks of its shards
//! are taken, before `front` is let go. So each shard takes in its events in the order in which they were admitted, and since what a shard does
//! depends on them alone, rows and state are those of one thread that pushes them in that order. Who has a shard never waits for `front`.

use std::sync::Arc;
#[cfg(not(feature = "schedules"))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

#[cfg(feature = "schedules")]
use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use super::{Clock, Engine, Located, fill, finish};
use crate::batch::{has_texts, marks_max};
use crate::definition::FieldKind;
use crate::error::EventError;
use crate::event::{Event, Value};
use crate::journal::Journal;
use crate::key;
use crate::late::{LateEvents, LateRecord};
use crate::lookup::Lookups;
use crate::plan::{Plan, StreamPlan, TablePlan};
use crate::row::{FeatureRow, NULL};
use crate::state::answer::Question;
use crate::state::interner::Interner;
use crate::state::shards::{shard_of, turn_of, turns};
use crate::state::table::{Key, Table};
use crate::state::{Cells, Run};

/// More tables that an event is put into are not worth the locks.
const WRITES_MAX: usize = 8;
/// The marks of so many events are kept, and after half as many all shards have seen them.
const RING: u64 = if cfg!(feature = "schedules") { 16 } else { 4_096 };
/// A shard lets go of texts when it owes so many.
const OWED_MAX: usize = if cfg!(feature = "schedules") { 1 } else { 64 };
/// After so many events none of which has waited, one thread alone is faster.
const CALM_MAX: u32 = 1 << 16;
const HALF_WAY: &str = "a push has stopped half way";

/// The tables of a stream and what goes with them, away from their engine.
#[derive(Debug)]
pub struct Crowd {
    plan: Arc<Plan>,
    stream: usize,
    lookups: Lookups,
    /// What lookups have missed, by lookup.
    misses: Box<[AtomicU64]>,
    /// By write of the stream, as all below.
    writes: Vec<Write>,
    front: Mutex<Front>,
    /// The journal has grown, or there is no crowd any more.
    is_due: AtomicBool,
    /// Stands in for the texts of the engine, which no row of such a stream needs.
    texts: Interner,
}

#[derive(Debug)]
struct Write {
    table: usize,
    /// As other streams read the table, the mark is this at most.
    mark_max: i64,
    shards: Box<[Mutex<Part>]>,
    /// The mark after each of the last events, by its number; of an event without a key the earliest there is.
    marks: Box<[AtomicI64]>,
}

/// A shard.
#[derive(Debug)]
struct Part {
    table: Table,
    /// The event up to which it has let keys go that nothing can see.
    looked: u64,
    /// Remembers texts that are used once less.
    texts: Interner,
}

/// What depends on the order of all events.
#[derive(Debug)]
struct Front {
    clock: Clock,
    interner: Interner,
    journal: Option<Box<Journal>>,
    late: LateEvents,
    /// Events that were admitted since one had to wait.
    calm: u32,
}

/// What a thread needs of its own to push; any may be used with any crowd.
#[derive(Debug, Default)]
pub struct Slot {
    /// The event that is pushed next.
    pub event: Event,
    keys: Vec<u8>,
    located: Vec<Located>,
    records: Vec<Vec<u64>>,
    cells: Cells,
    misses: Vec<u64>,
    row: FeatureRow,
}

impl Slot {
    /// The row of the last `push` that returned true.
    pub fn row(&self) -> &FeatureRow {
        &self.row
    }

    /// Takes a row that was made elsewhere.
    pub fn set_row(&mut self, row: &FeatureRow) {
        self.row.clone_from(row);
    }
}

impl Engine {
    /// Whether several threads can push events of a stream beside each other: those that `push_batch` shares out, without texts in their rows;
    /// while nothing is written of the state.
    pub fn takes_crowd(&self, stream: usize) -> bool {
        let plan = &self.plan.streams[stream];
        let is_saved = self.capturing.as_ref().is_some_and(|capturing| capturing.strong_count() > 0);
        self.goes_in_steps(stream) && !needs_texts(plan) && plan.writes.len() <= WRITES_MAX && !is_saved
    }

    /// Gives away what threads need that push events of this stream, until `close_up`; `None` where they cannot. Nothing else may be done with the
    /// engine meanwhile.
    pub fn open_up(&mut self, stream: usize) -> Option<Crowd> {
        if !self.takes_crowd(stream) {
            return None;
        }
        let plan = Arc::clone(&self.plan);
        let clock = self.clocks[stream].clone();
        let looked = clock.events;
        let part = |table| Mutex::new(Part { table, looked, texts: Interner::owing() });
        let write = |table: usize| Write {
            table,
            mark_max: marks_max(&plan, &plan.tables[table], stream, &self.clocks),
            shards: self.tables[table].lend().into_iter().map(part).collect(),
            marks: (0..RING).map(|_| AtomicI64::new(i64::MIN)).collect(),
        };
        let writes = plan.streams[stream].writes.iter().map(|of| of.table).map(write).collect();
        let lookups = std::mem::replace(&mut self.lookups, Lookups::new(&[]));
        Some(Crowd {
            misses: (0..lookups.count()).map(|_| AtomicU64::new(0)).collect(),
            front: Mutex::new(Front {
                clock,
                interner: std::mem::take(&mut self.interner),
                journal: self.journal.take(),
                late: std::mem::replace(&mut self.late, LateEvents::new(0)),
                calm: 0,
            }),
            plan,
            stream,
            lookups,
            writes,
            is_due: AtomicBool::new(false),
            texts: Interner::owing(),
        })
    }

    /// Takes back what it gave away: it is then as if it had been pushed to by one thread.
    ///
    /// # Panics
    /// A thread has panicked while it pushed.
    pub fn close_up(&mut self, crowd: Crowd) {
        let Crowd { plan, stream, mut lookups, misses, writes, front, is_due, .. } = crowd;
        let Front { clock, mut interner, journal, late, .. } = front.into_inner().expect(HALF_WAY);
        for write in writes {
            let (table, mut home) = (&plan.tables[write.table], Vec::with_capacity(write.shards.len()));
            let mask = write.shards.len() - 1;
            for (number, part) in write.shards.into_iter().enumerate() {
                let mut part = part.into_inner().expect(HALF_WAY);
                part.look_through(table, (number, mask), (clock.events, i64::MAX), &write.marks);
                part.texts.take_owed().into_iter().for_each(|id| interner.release(id));
                home.push(part.table);
            }
            self.tables[write.table].come_home(home);
        }
        let missed: Vec<u64> = misses.iter().map(|misses| misses.load(Ordering::Relaxed)).collect();
        lookups.add_misses(&missed);
        (self.clocks[stream], self.interner, self.journal) = (clock, interner, journal);
        (self.late, self.lookups) = (late, lookups);
        if is_due.into_inner() {
            self.bound_journal();
        }
    }
}

impl Crowd {
    /// Whose events are pushed.
    pub fn stream(&self) -> usize {
        self.stream
    }

    /// Whether the engine is to have back what it gave away: its journal has grown, or threads no longer wait for each other.
    pub fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Relaxed)
    }

    /// Counts an event that its schema has refused.
    pub fn count_invalid(&self) {
        self.front().clock.invalid += 1;
    }

    /// Takes the event of a slot, which its schema has accepted. True when the slot now holds its row, false when its stream has no features.
    ///
    /// # Errors
    /// [`EventError::Late`] as `Engine::push`.
    pub fn push(&self, slot: &mut Slot) -> Result<bool, EventError> {
        let stream = &self.plan.streams[self.stream];
        let Slot { event, keys, located, records, cells, misses, row } = slot;
        let ticks_per_second = self.plan.ticks_per_second;
        let Value::Time(t) = event.values[stream.schema.time_column] else {
            unreachable!("a schema accepts no event without a time")
        };
        misses.clear();
        misses.resize(self.lookups.count(), 0);
        stream.before.run(event, &mut self.lookups.counting(ticks_per_second, misses));
        keys.clear();
        located.clear();
        for write in &stream.writes {
            let start = keys.len();
            let keyed = key::encode(&write.key, event, keys);
            let hash = key::hash(&keys[start..]);
            located.push(Located { hash, start, end: keys.len(), found: None, keyed });
        }
        records.resize_with(stream.writes.len().max(records.len()), Vec::new);
        let mut parts: [Option<MutexGuard<'_, Part>>; WRITES_MAX] = Default::default();
        let (number, mark) = self.admit(stream, (event, t), located, records, &mut parts)?;
        cells.values.resize(stream.cells, NULL);
        cells.wides.resize(stream.wides, 0);
        cells.lists.clear();
        for (place, located) in located.iter().enumerate() {
            let (write, own) = (&self.writes[place], &stream.writes[place]);
            let table = &self.plan.tables[write.table];
            let mut part = parts[place].take().expect("each write has the lock of its shard");
            part.look_through(table, write.shard_of(located.hash), (number - 1, mark), &write.marks);
            let Part { table: state, texts, .. } = &mut *part;
            let key = Key { hash: located.hash, bytes: &keys[located.start..located.end] };
            let found = if located.keyed { state.find(table, key, texts) } else { None };
            let run = Run::new(&records[place], table.shape, 1, 1);
            if let Some(read) = own.read {
                let question = Question {
                    plan: table,
                    read: &stream.reads[read],
                    t,
                    newcomer: located.keyed.then_some(run),
                    stores: true,
                    mark: None,
                    idle_after: None,
                    ticks_per_second,
                };
                state.answer(found, &question, texts, cells);
            }
            if located.keyed {
                state.store(table, found, key, run, mark.min(write.mark_max), texts);
            }
            if texts.owes() >= OWED_MAX {
                let owed = texts.take_owed();
                // Who admits an event may be waiting for this shard.
                drop(part);
                let mut front = self.front();
                owed.into_iter().for_each(|id| front.interner.release(id));
            }
        }
        finish(stream, event, cells, &self.texts, row, &mut self.lookups.counting(ticks_per_second, misses));
        for (all, &more) in self.misses.iter().zip(misses.iter()).filter(|(_, more)| **more > 0) {
            all.fetch_add(more, Ordering::Relaxed);
        }
        Ok(!stream.outputs.is_empty())
    }

    /// Gives an event its number, its texts theirs, and takes the locks of its shards. The number, and the mark of its stream then.
    fn admit<'a>(
        &'a self,
        stream: &StreamPlan,
        (event, t): (&Event, i64),
        located: &[Located],
        records: &mut [Vec<u64>],
        parts: &mut [Option<MutexGuard<'a, Part>>],
    ) -> Result<(u64, i64), EventError> {
        let mut front = self.waited();
        let Front { clock, interner, journal, late, .. } = &mut *front;
        if let Some(newest) = clock.newest
            && t < newest.saturating_sub(stream.lateness)
        {
            clock.late += 1;
            late.add(LateRecord { stream: self.stream, time: t, newest, emitted: false });
            return Err(self.plan.late_error(self.stream, t, newest));
        }
        let newest = clock.newest.map_or(t, |newest| newest.max(t));
        clock.newest = Some(newest);
        clock.events += 1;
        let (number, mark) = (clock.events, newest.saturating_sub(stream.lateness));
        if journal.as_mut().is_some_and(|journal| journal.event(self.stream, t, event)) {
            self.is_due.store(true, Ordering::Relaxed);
        }
        if number % (RING / 2) == 0 {
            self.look_at_all(number - 1, mark);
        }
        for (place, located) in located.iter().enumerate() {
            let write = &self.writes[place];
            let table = &self.plan.tables[write.table];
            let seen = if located.keyed { mark.min(write.mark_max) } else { i64::MIN };
            write.marks[(number % RING) as usize].store(seen, Ordering::Relaxed);
            if located.keyed {
                fill(table, event, t, &mut records[place], &mut |text| interner.acquire(text));
            } else {
                records[place].clear();
                records[place].resize(table.shape.words_of(1), 0);
            }
            parts[place] = Some(lock(&write.shards[write.shard_of(located.hash).0]));
        }
        Ok((number, mark))
    }

    /// All shards see the events up to this one, whose marks are not needed after that.
    fn look_at_all(&self, number: u64, latest: i64) {
        for write in &self.writes {
            for (shard, part) in write.shards.iter().enumerate() {
                let place = (shard, write.shards.len() - 1);
                lock(part).look_through(&self.plan.tables[write.table], place, (number, latest), &write.marks);
            }
        }
    }

    /// The same, and notes whether anybody has to wait.
    fn waited(&self) -> MutexGuard<'_, Front> {
        let Ok(mut front) = self.front.try_lock() else {
            let mut front = self.front();
            front.calm = 0;
            return front;
        };
        front.calm += 1;
        if front.calm == CALM_MAX {
            self.is_due.store(true, Ordering::Relaxed);
        }
        front
    }

    fn front(&self) -> MutexGuard<'_, Front> {
        lock(&self.front)
    }
}

impl Write {
    /// The shard of a hash, and as many as there are, less one.
    fn shard_of(&self, hash: u64) -> (usize, usize) {
        let mask = self.shards.len() - 1;
        (shard_of(hash, mask), mask)
    }
}

impl Part {
    /// Lets keys go that nothing can see, where it was this shard's turn after an event up to this one: as `Shards::expire` does after each.
    /// None of the marks is later than `latest`.
    fn look_through(
        &mut self,
        plan: &TablePlan,
        (shard, mask): (usize, usize),
        (number, latest): (u64, i64),
        marks: &[AtomicI64],
    ) {
        let first = self.looked + 1;
        self.looked = self.looked.max(number);
        // Mostly nothing is due.
        if number < first || self.table.soonest() > latest {
            return;
        }
        let mark_of = |number: u64| marks[(number % RING) as usize].load(Ordering::Relaxed);
        let Some(first) = (first..=number.min(first + mask as u64)).find(|&one| turn_of(one, mask).0.contains(&shard))
        else {
            return;
        };
        let most = turn_of(first, mask).1;
        for one in (first..=number).step_by(turns(mask)) {
            self.table.expire(plan, mark_of(one), most, &mut self.texts);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect(HALF_WAY)
}

/// Whether rows have texts, or need some to be made.
fn needs_texts(plan: &StreamPlan) -> bool {
    has_texts(plan) || plan.loads.iter().any(|load| load.kind == FieldKind::String)
}
