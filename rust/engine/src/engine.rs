//! Engine::push: admit, compute, look at the state, answer, store. One call per step, no formulas.

use std::sync::{Arc, Weak};

use crate::checkpoint::Handover;
use crate::definition::{FieldKind, OnLate};
use crate::encode::encode_fields;
use crate::error::{EventError, SpillError};
use crate::event::{Event, Value};
use crate::explain::filler;
use crate::journal::Journal;
use crate::key;
use crate::late::{LateEvents, LateRecord};
use crate::lookup::{Context, LookupError, LookupTable, Lookups};
pub use crate::options::{OnLimit, Options};
use crate::plan::{Final, FlagPlan, Load, LogColumn, Place, Plan, StreamPlan, TablePlan};
use crate::row::{FeatureRow, NULL};
use crate::schema::iso_ticks;
use crate::stage::{Probe, Stage};
use crate::state::answer::Question;
use crate::state::interner::Interner;
use crate::state::shards::Shards;
use crate::state::table::Key;
use crate::state::{Cells, Run, RunMut, texts};
pub use crate::stats::Stats;

mod crowd;
mod ordered;
mod room;
mod spilling;

pub use crowd::{Crowd, Slot};
pub(crate) use spilling::Spilling;

/// Features over streams, and the state they need.
#[derive(Debug)]
pub struct Engine {
    pub(crate) plan: Arc<Plan>,
    pub(crate) options: Options,
    pub(crate) tables: Vec<Shards>,
    pub(crate) interner: Interner,
    pub(crate) lookups: Lookups,
    pub(crate) clocks: Vec<Clock>,
    pub(crate) late: LateEvents,
    pub(crate) evicted: u64,
    pub(crate) refused: u64,
    /// What has been accepted since the last checkpoint, where increments are asked for.
    pub(crate) journal: Option<Box<Journal>>,
    /// A disk failed to make what it was given last: nothing is written any more.
    pub(crate) unsynced: Option<String>,
    pub(crate) row: FeatureRow,
    scratch: Scratch,
    /// Lives as long as who saves a state of it while it goes on.
    pub(crate) capturing: Option<Weak<()>>,
    /// What others may save of it, where it is written by a thread of its own.
    pub(crate) handover: Option<Weak<Handover>>,
    /// Keys that are on disk, where `OnLimit::Spill` is asked for.
    pub(crate) spilling: Option<Box<Spilling>>,
}

/// What a stream has come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    pub newest: Option<i64>,
    pub events: u64,
    pub late: u64,
    pub invalid: u64,
}

encode_fields!(Clock { newest, events, late, invalid });

/// Buffers of one event, reused.
#[derive(Debug, Default)]
struct Scratch {
    /// Bytes of the keys of an event, one after the other.
    keys: Vec<u8>,
    /// Where each table's key lies there, and its state.
    located: Vec<Located>,
    record: Vec<u64>,
    cells: Cells,
    /// Texts of an event that is only looked at.
    borrowed: Vec<u32>,
}

/// A key of an event on its way through.
#[derive(Clone, Copy, Debug)]
struct Located {
    hash: u64,
    start: usize,
    end: usize,
    found: Option<u32>,
    /// False where a part of the key is null.
    keyed: bool,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    /// It is stored.
    Store,
    /// It is only looked at.
    Look,
    /// It is too late to be stored: its row is of what is still known at this watermark.
    Late(i64),
}

/// Which row is wanted.
#[derive(Clone, Copy, Debug)]
struct Asked {
    t: i64,
    /// With this the event is one of its row, before the watermark it names where it is late.
    own: Option<Option<i64>>,
    /// Whether the event is there to stay.
    stores: bool,
}

impl Engine {
    /// An engine without any state yet.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self::with_options(plan, Options::default())
    }

    /// The same, told more.
    pub fn with_options(plan: Arc<Plan>, options: Options) -> Self {
        let limited = options.memory_limit.is_some();
        let evicts = limited && options.on_limit == OnLimit::EvictIdle;
        let shards = |table| Shards::new(table, options.idle_after, limited, evicts);
        Self {
            tables: plan.tables.iter().map(shards).collect(),
            clocks: plan.streams.iter().map(|_| Clock::default()).collect(),
            interner: Interner::default(),
            lookups: Lookups::new(&plan.lookups),
            late: LateEvents::new(options.late_events_max),
            evicted: 0,
            refused: 0,
            journal: None,
            unsynced: None,
            row: FeatureRow::default(),
            scratch: Scratch::default(),
            capturing: None,
            handover: None,
            spilling: None,
            options,
            plan,
        }
    }

    /// As `with_options`, and opens the disk that keys are spilled to where that is asked for.
    ///
    /// # Errors
    /// Another engine has it, or it cannot be used.
    pub fn open(plan: Arc<Plan>, options: Options) -> Result<Self, SpillError> {
        let spilling = Spilling::begin(&options, &plan)?;
        Ok(Self { spilling, ..Self::with_options(plan, options) })
    }

    /// The plan it runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// What it was told beside its plan.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Takes an event that its schema has accepted. True when `row()` now holds its row, false when its stream has no features.
    ///
    /// # Errors
    /// [`EventError::Late`] when the event is before the watermark of its stream and the stream rejects such events;
    /// [`EventError::Memory`] when it has a new key and the limit is reached. Nothing has changed then but the counts.
    #[inline]
    pub fn push(&mut self, stream: usize, event: &mut Event) -> Result<bool, EventError> {
        self.push_probed(stream, event, &mut ())
    }

    /// As `push`, and `probe` hears of every stage as it ends.
    ///
    /// # Errors
    /// Those of `push`.
    #[inline]
    pub fn push_probed(
        &mut self,
        stream: usize,
        event: &mut Event,
        probe: &mut impl Probe,
    ) -> Result<bool, EventError> {
        let (t, mark) = self.times(stream, event);
        let plan = Arc::clone(&self.plan);
        let stay = match mark {
            Some(mark) if t < mark => {
                let emits = plan.streams[stream].on_late == OnLate::Emit;
                let clock = &mut self.clocks[stream];
                clock.late += 1;
                let newest = clock.newest.unwrap_or(t);
                self.late.add(LateRecord { stream, time: t, newest, emitted: emits });
                if !emits {
                    return Err(self.plan.late_error(stream, t, newest));
                }
                Stay::Late(mark)
            }
            _ => Stay::Store,
        };
        self.locate(&plan, stream, event, stay != Stay::Look);
        probe.ended(Stage::Find);
        if self.spilling.is_some() {
            self.fetch(&plan, stream, event)?;
        }
        if stay == Stay::Store {
            self.make_room(&plan, stream)?;
            if self.accept(stream, t, event) {
                self.bound_journal();
            }
        }
        self.answer(&plan, stream, event, t, stay, probe);
        Ok(!plan.streams[stream].outputs.is_empty())
    }

    /// The event is there to stay. `true` now and then: `bound_journal` is to be called.
    #[inline]
    pub(crate) fn accept(&mut self, stream: usize, t: i64, event: &Event) -> bool {
        let clock = &mut self.clocks[stream];
        clock.newest = clock.newest.max(Some(t));
        clock.events += 1;
        self.journal.as_mut().is_some_and(|journal| journal.event(stream, t, event))
    }

    /// As `push`, but nothing changes.
    ///
    /// # Errors
    /// [`EventError::Late`] where `push` would refuse it.
    pub fn peek(&mut self, stream: usize, event: &mut Event) -> Result<bool, EventError> {
        let (t, mark) = self.times(stream, event);
        let plan = Arc::clone(&self.plan);
        let stay = match mark {
            Some(mark) if t < mark && plan.streams[stream].on_late == OnLate::Emit => Stay::Late(mark),
            Some(mark) if t < mark => {
                let newest = self.clocks[stream].newest.unwrap_or(t);
                return Err(self.plan.late_error(stream, t, newest));
            }
            _ => Stay::Look,
        };
        self.locate(&plan, stream, event, false);
        self.fetch(&plan, stream, event)?;
        self.answer(&plan, stream, event, t, stay, &mut ());
        Ok(!plan.streams[stream].outputs.is_empty())
    }

    /// The features of a stream at time `at` for the keys that the columns of `event` give; `row()` then holds them. Nothing changes.
    ///
    /// # Errors
    /// [`EventError::TooOld`] when `at` is before the watermark: what was known then has been given up.
    pub fn lookup(&mut self, stream: usize, event: &mut Event, at: i64) -> Result<(), EventError> {
        let plan = Arc::clone(&self.plan);
        if let Some(mark) = self.mark_of(stream).filter(|&mark| at < mark) {
            return Err(EventError::TooOld {
                stream: plan.streams[stream].schema.stream.clone(),
                at: iso_ticks(at, plan.ticks_per_second),
                watermark: iso_ticks(mark, plan.ticks_per_second),
            });
        }
        self.locate(&plan, stream, event, false);
        self.fetch(&plan, stream, event)?;
        self.scratch.located.iter_mut().for_each(|located| located.keyed &= located.found.is_some());
        self.read(&plan, stream, event, Asked { t: at, own: None, stores: false }, &mut ());
        Ok(())
    }

    /// The answers behind the last row.
    pub(crate) fn cells(&self) -> &Cells {
        &self.scratch.cells
    }

    /// The row of the last `push` or `peek` that returned true.
    pub fn row(&self) -> &FeatureRow {
        &self.row
    }

    /// Gives a lookup its rows: from the next event on, all of them at once. The version of the table, counted from 1.
    ///
    /// # Errors
    /// No lookup of this name, or a table of other columns; nothing has changed then.
    pub fn set_lookup(&mut self, name: &str, table: Arc<LookupTable>) -> Result<u64, LookupError> {
        self.lookups.set(&self.plan.lookups, name, table)
    }

    /// The newest of the events that came too late, the oldest of them first.
    pub fn late_events(&self) -> impl Iterator<Item = &LateRecord> {
        self.late.iter()
    }

    /// Counters and sizes.
    pub fn stats(&self) -> Stats {
        let (spilled_keys, spilled_bytes, spill_file_bytes) =
            self.spilling.as_ref().map_or((0, 0, 0), |spilling| spilling.told());
        Stats {
            keys: (0..self.tables.len()).map(|table| self.keys_of(table)).sum(),
            asleep_keys: self.tables.iter().map(|table| table.keys_asleep() as u64).sum(),
            spilled_keys,
            spilled_bytes,
            spill_file_bytes,
            events: self.clocks.iter().map(|clock| clock.events).collect(),
            late: self.clocks.iter().map(|clock| clock.late).collect(),
            invalid: self.clocks.iter().map(|clock| clock.invalid).collect(),
            newest: self.clocks.iter().map(|clock| clock.newest).collect(),
            state_bytes: self.bytes(),
            journal_bytes: self.journal.as_ref().map_or(0, |journal| journal.bytes() as u64),
            lookups: self.lookups.stats(&self.plan.lookups),
            expired: self.tables.iter().map(Shards::expired).sum(),
            evicted: self.evicted,
            refused: self.refused,
        }
    }

    /// Bytes and keys of each table, in the order of the plan.
    pub fn tables(&self) -> Vec<(u64, u64)> {
        self.tables.iter().map(|table| (table.bytes() as u64, table.keys() as u64)).collect()
    }

    /// Keys of a table that have state, wherever it is.
    pub(crate) fn keys_of(&self, table: usize) -> u64 {
        let away = self.spilling.as_ref().map_or(0, |spilling| spilling.keys_of(table));
        (self.tables[table].keys() + away) as u64
    }

    pub(crate) fn bytes(&self) -> u64 {
        let scratch = self.scratch.keys.capacity() + self.scratch.record.capacity() * 8;
        let tables: usize = self.tables.iter().map(Shards::bytes).sum();
        let spilling = self.spilling.as_ref().map_or(0, |spilling| spilling.bytes());
        (tables + self.interner.bytes() + self.lookups.bytes() + self.late.bytes() + scratch + spilling) as u64
    }

    /// The event's time, and the watermark of its stream.
    fn times(&self, stream: usize, event: &Event) -> (i64, Option<i64>) {
        let schema = &self.plan.streams[stream].schema;
        let Value::Time(t) = event.values[schema.time_column] else {
            unreachable!("a schema accepts no event without a time")
        };
        (t, self.mark_of(stream))
    }

    /// The watermark of a stream: no event of it to come is earlier.
    pub fn mark_of(&self, stream: usize) -> Option<i64> {
        self.clocks[stream].newest.map(|newest| newest.saturating_sub(self.plan.streams[stream].lateness))
    }

    /// The newest event time of a stream, in ticks.
    pub fn newest(&self, stream: usize) -> Option<i64> {
        self.clocks[stream].newest
    }

    /// Counts and lists an event that is too late, found before it was pushed: in a table that is refused as a whole.
    pub fn refuse_late(&mut self, stream: usize, time: i64, newest: i64) -> EventError {
        self.clocks[stream].late += 1;
        self.late.add(LateRecord { stream, time, newest, emitted: false });
        self.plan.late_error(stream, time, newest)
    }

    /// Counts an event that its schema has refused.
    pub fn count_invalid(&mut self, stream: usize) {
        self.clocks[stream].invalid += 1;
    }

    /// Computes what is known from the event alone, and finds the state of its keys.
    fn locate(&mut self, plan: &Plan, stream: usize, event: &mut Event, counts: bool) {
        let plan_stream = &plan.streams[stream];
        plan_stream.before.run(event, &mut self.lookups.context(plan.ticks_per_second, counts));
        let Scratch { keys, located, .. } = &mut self.scratch;
        keys.clear();
        located.clear();
        for write in &plan_stream.writes {
            let start = keys.len();
            let keyed = key::encode(&write.key, event, keys);
            let hash = key::hash(&keys[start..]);
            let key = Key { hash, bytes: &keys[start..] };
            let table = self.tables[write.table].of_mut(hash);
            let found = if keyed { table.find(&plan.tables[write.table], key, &self.interner) } else { None };
            located.push(Located { hash, start, end: keys.len(), found, keyed });
        }
        for (write, located) in plan_stream.writes.iter().zip(located.iter()) {
            self.tables[write.table].of(located.hash).warm(located.found);
        }
    }

    /// Answers every read of the event's row and, when it is there to stay, stores it.
    fn answer(&mut self, plan: &Plan, stream: usize, event: &mut Event, t: i64, stay: Stay, probe: &mut impl Probe) {
        let late = if let Stay::Late(mark) = stay { Some(mark) } else { None };
        self.read(plan, stream, event, Asked { t, own: Some(late), stores: stay == Stay::Store }, probe);
    }

    /// Answers every read of a row.
    fn read(&mut self, plan: &Plan, stream: usize, event: &mut Event, asked: Asked, probe: &mut impl Probe) {
        let Asked { t, own, stores } = asked;
        let (plan_stream, ticks) = (&plan.streams[stream], plan.ticks_per_second);
        let Scratch { keys, located, record, cells, borrowed } = &mut self.scratch;
        cells.values.resize(plan_stream.cells, NULL);
        cells.wides.resize(plan_stream.wides, 0);
        cells.lists.clear();
        for (write, located) in plan_stream.writes.iter().zip(located.iter()) {
            let table_plan = &plan.tables[write.table];
            let shards = &mut self.tables[write.table];
            let table = shards.of_mut(located.hash);
            let is_own = located.keyed && own.is_some();
            if is_own {
                fill(table_plan, event, t, record, &mut |text| self.interner.acquire(text));
            }
            let run = Run::new(record, table_plan.shape, 1, 1);
            if let Some(read) = write.read {
                let question = Question {
                    plan: table_plan,
                    read: &plan_stream.reads[read],
                    t,
                    newcomer: is_own.then_some(run),
                    stores,
                    mark: own.flatten(),
                    idle_after: None,
                    ticks_per_second: ticks,
                };
                table.answer(located.found, &question, &self.interner, cells);
            }
            probe.ended(Stage::Answer);
            if is_own && !stores {
                borrowed.extend(texts(table_plan, run, 0));
            }
            if is_own && stores {
                let mark = mark(plan, table_plan, &self.clocks);
                let key = Key { hash: located.hash, bytes: &keys[located.start..located.end] };
                table.store(table_plan, located.found, key, run, mark, &mut self.interner);
                let event = self.clocks[stream].events;
                match &mut self.spilling {
                    None => shards.expire(table_plan, located.hash, event, mark, &mut self.interner),
                    Some(spilling) => {
                        spilling.expire(write.table, shards.limited(), table_plan, mark, &mut self.interner);
                    }
                }
                probe.ended(Stage::Store);
            }
        }
        for read in plan_stream.reads.iter().filter(|read| !read.own) {
            let start = keys.len();
            let keyed = key::encode(&read.key, event, keys);
            let key = Key::of(&keys[start..]);
            let table = self.tables[read.table].of_mut(key.hash);
            let found = if keyed { table.find(&plan.tables[read.table], key, &self.interner) } else { None };
            let question = Question {
                plan: &plan.tables[read.table],
                read,
                t,
                newcomer: None,
                stores,
                mark: own.flatten(),
                idle_after: None,
                ticks_per_second: ticks,
            };
            table.answer(found, &question, &self.interner, cells);
            keys.truncate(start);
            probe.ended(Stage::Answer);
        }
        let mut context = self.lookups.context(ticks, stores);
        finish(plan_stream, event, cells, &self.interner, &mut self.row, &mut context);
        for id in borrowed.drain(..) {
            self.interner.release(id);
        }
        probe.ended(Stage::Row);
    }
}
/// Writes the event as a run of one; `number` has the numbers of its texts, each of which is now used once more.
#[inline]
pub(crate) fn fill(
    table: &TablePlan,
    event: &Event,
    t: i64,
    record: &mut Vec<u64>,
    number: &mut impl FnMut(&str) -> u32,
) {
    record.clear();
    record.resize(table.shape.words_of(1), 0);
    record[0] = t as u64;
    let mut run = RunMut { words: record, shape: table.shape, room: 1 };
    for column in &table.columns {
        let payload = payload(column, event, number);
        match column.place {
            // The time is that of the row.
            Place::Word(0) => {}
            Place::Word(word) => run.words[word] = payload,
            Place::Half(half) => run.set_half(half, 0, payload as u32),
        }
    }
    for (flag, plan) in table.flags.iter().enumerate() {
        if let FlagPlan::Mask { valid, condition, .. } = plan {
            let there = valid.iter().all(|&slot| event.values[slot] != Value::Null);
            let holds = condition.is_none_or(|slot| event.values[slot] == Value::Bool(true));
            run.set_flag(flag, 0, there && holds);
        }
    }
}

/// A value as 64 bits; of a null, which its mask leaves out, something that explanations know it by.
#[inline]
fn payload(column: &LogColumn, event: &Event, number: &mut impl FnMut(&str) -> u32) -> u64 {
    match event.values[column.slot] {
        Value::Float(x) => crate::row::canonical(x).to_bits(),
        Value::Int(x) if column.kind == FieldKind::Float64 => (x as f64).to_bits(),
        Value::Int(x) | Value::Time(x) => x as u64,
        Value::Bool(x) => u64::from(x),
        Value::Text(text) => u64::from(number(event.text(text))),
        Value::Null => filler(column.kind),
    }
}

/// No row to come that reads the table is earlier than this.
pub(crate) fn mark(plan: &Plan, table: &TablePlan, clocks: &[Clock]) -> i64 {
    let mark = |stream: usize| clocks[stream].newest.map(|newest| newest.saturating_sub(plan.streams[stream].lateness));
    let mut low = mark(table.stream);
    for &reader in table.readers.iter().filter(|&&reader| reader != table.stream) {
        // A reader without events may begin anywhere.
        low = low.zip(mark(reader)).map(|(a, b)| a.min(b));
    }
    low.unwrap_or(i64::MIN)
}

/// From answers to the row: expressions over aggregations, and what a double cannot hold.
pub(crate) fn finish(
    plan: &StreamPlan,
    event: &mut Event,
    cells: &Cells,
    interner: &Interner,
    row: &mut FeatureRow,
    context: &mut Context<'_>,
) {
    for load in &plan.loads {
        let value = loaded(load, cells, event, interner);
        event.values.push(value);
    }
    plan.after.run(event, context);
    row.begin(&cells.values[..plan.outputs.len()], plan.exact);
    for last in &plan.finals {
        match *last {
            Final::Exact { wide, exact } => row.exact[exact] = cells.wides[wide] as i64,
            Final::List { feature, wide, exact, kind } => {
                let place = cells.wides[wide];
                let (start, len) = ((place >> 32) as usize, (place & 0xFFFF_FFFF) as usize);
                row.set_list(feature, exact, kind, &cells.lists[start..start + len], |id| interner.text(id));
            }
            Final::Text { feature, wide, exact } => {
                if !crate::row::is_null(row.values[feature]) {
                    row.set_text(feature, exact, interner.text(cells.wides[wide] as u32));
                }
            }
            Final::Slot { feature, slot, kind, exact } => {
                if let Value::Text(text) = event.values[slot] {
                    if let Some(exact) = exact {
                        row.set_text(feature, exact, event.text(text));
                    }
                    continue;
                }
                let (value, whole) = finished(event.values[slot], kind);
                row.values[feature] = value;
                if let Some(exact) = exact {
                    row.exact[exact] = whole;
                }
            }
        }
    }
}

/// A value of the frame that is no text as a row has it: its double, and what that may not hold.
#[inline]
pub(crate) fn finished(value: Value, kind: FieldKind) -> (f64, i64) {
    match value {
        Value::Null | Value::Text(_) => (NULL, 0),
        Value::Float(x) => (crate::row::canonical(x), 0),
        Value::Int(x) if kind == FieldKind::Float64 => (x as f64, 0),
        Value::Int(x) | Value::Time(x) => (x as f64, x),
        Value::Bool(x) => (f64::from(u8::from(x)), 0),
    }
}

/// An aggregation's answer as a value of the frame.
#[inline]
pub(crate) fn loaded(load: &Load, cells: &Cells, event: &mut Event, interner: &Interner) -> Value {
    let value = cells.values[load.cell];
    if crate::row::is_null(value) {
        return Value::Null;
    }
    let whole = load.wide.map_or(value as i64, |wide| cells.wides[wide] as i64);
    match load.kind {
        FieldKind::Float64 => Value::Float(value),
        FieldKind::Boolean => Value::Bool(value != 0.0),
        FieldKind::Int64 | FieldKind::Categorical => Value::Int(whole),
        FieldKind::Timestamp => Value::Time(whole),
        FieldKind::String => Value::Text(event.store(interner.text(whole as u32))),
    }
}
