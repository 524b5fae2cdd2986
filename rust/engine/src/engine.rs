//! Engine::push: admit, compute, look at the state, answer, store. One call per step, no formulas.

use std::sync::Arc;

use crate::definition::FieldKind;
use crate::error::EventError;
use crate::event::{Event, Value};
use crate::key;
use crate::lookup::{Context, LookupError, LookupStats, LookupTable, Lookups};
use crate::plan::{Final, Load, LogColumn, Place, Plan, StreamPlan, TablePlan};
use crate::row::{FeatureRow, NULL};
use crate::schema::iso_ticks;
use crate::state::interner::{ABSENT, Interner};
use crate::state::lanes::{self, Cells, Question};
use crate::state::table::{Key, Table, texts};

/// Features over streams, and the state they need.
#[derive(Debug)]
pub struct Engine {
    plan: Arc<Plan>,
    tables: Vec<Table>,
    interner: Interner,
    lookups: Lookups,
    clocks: Vec<Clock>,
    row: FeatureRow,
    scratch: Scratch,
}

/// What a stream has come to.
#[derive(Clone, Debug, Default)]
struct Clock {
    newest: Option<i64>,
    events: u64,
    late: u64,
}

/// Buffers of one event, reused.
#[derive(Debug, Default)]
struct Scratch {
    key: Vec<u8>,
    record: Vec<u64>,
    cells: Cells,
    /// Texts of an event that is only looked at.
    borrowed: Vec<u32>,
}

/// What an engine has seen and holds.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Keys with state, over all tables.
    pub keys: u64,
    /// Events accepted, by stream.
    pub events: Vec<u64>,
    /// Late events, by stream.
    pub late: Vec<u64>,
    /// Bytes that the state holds, reference data included.
    pub state_bytes: u64,
    /// Newest event time by stream, in ticks.
    pub newest: Vec<Option<i64>>,
    /// Reference data, in the order of the plan.
    pub lookups: Vec<LookupStats>,
}

impl Engine {
    /// An engine without any state yet.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            tables: plan.tables.iter().map(|_| Table::default()).collect(),
            clocks: plan.streams.iter().map(|_| Clock::default()).collect(),
            interner: Interner::default(),
            lookups: Lookups::new(&plan.lookups),
            row: FeatureRow::default(),
            scratch: Scratch::default(),
            plan,
        }
    }

    /// The plan it runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Takes an event that its schema has accepted. True when `row()` now holds its row, false when its stream has no features.
    ///
    /// # Errors
    /// [`EventError::Late`] when the event is older than the newest of its stream; nothing has changed then but the count of late ones.
    #[inline]
    pub fn push(&mut self, stream: usize, event: &mut Event) -> Result<bool, EventError> {
        let t = match self.admit(stream, event) {
            Ok(t) => t,
            Err(error) => {
                self.clocks[stream].late += 1;
                return Err(error);
            }
        };
        let plan = Arc::clone(&self.plan);
        let clock = &mut self.clocks[stream];
        clock.newest = Some(t);
        clock.events += 1;
        self.answer::<true>(&plan, stream, event, t);
        Ok(!plan.streams[stream].outputs.is_empty())
    }

    /// As `push`, but nothing changes.
    ///
    /// # Errors
    /// [`EventError::Late`] where `push` would refuse it.
    pub fn peek(&mut self, stream: usize, event: &mut Event) -> Result<bool, EventError> {
        let t = self.admit(stream, event)?;
        let plan = Arc::clone(&self.plan);
        self.answer::<false>(&plan, stream, event, t);
        Ok(!plan.streams[stream].outputs.is_empty())
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

    /// Counters and sizes.
    pub fn stats(&self) -> Stats {
        let scratch = (self.scratch.key.capacity() + self.scratch.record.capacity() * 8) as u64;
        Stats {
            keys: self.tables.iter().map(|table| table.keys() as u64).sum(),
            events: self.clocks.iter().map(|clock| clock.events).collect(),
            late: self.clocks.iter().map(|clock| clock.late).collect(),
            newest: self.clocks.iter().map(|clock| clock.newest).collect(),
            state_bytes: self.tables.iter().map(|table| table.bytes() as u64).sum::<u64>()
                + self.interner.bytes() as u64
                + self.lookups.bytes() as u64
                + scratch,
            lookups: self.lookups.stats(&self.plan.lookups),
        }
    }

    /// The event's time, if it is in order.
    fn admit(&self, stream: usize, event: &Event) -> Result<i64, EventError> {
        let schema = &self.plan.streams[stream].schema;
        let Value::Time(t) = event.values[schema.time_column] else {
            unreachable!("a schema accepts no event without a time")
        };
        match self.clocks[stream].newest {
            Some(newest) if t < newest => Err(self.late(stream, t, newest)),
            _ => Ok(t),
        }
    }

    #[cold]
    fn late(&self, stream: usize, t: i64, newest: i64) -> EventError {
        let plan = &self.plan.streams[stream];
        let us = |ticks: i128| (ticks * 1_000_000 / i128::from(self.plan.ticks_per_second)) as i64;
        EventError::Late {
            stream: plan.schema.stream.clone(),
            time: iso_ticks(t, self.plan.ticks_per_second),
            newest: iso_ticks(newest, self.plan.ticks_per_second),
            behind_us: us(i128::from(newest) - i128::from(t)),
            lateness_us: 0,
        }
    }

    /// Answers every read of the event's row and, when it is there to stay, stores it.
    fn answer<const STORE: bool>(&mut self, plan: &Plan, stream: usize, event: &mut Event, t: i64) {
        let (plan_stream, ticks) = (&plan.streams[stream], plan.ticks_per_second);
        let mut context = self.lookups.context(ticks, STORE);
        plan_stream.before.run(event, &mut context);
        let Scratch { key: key_bytes, record, cells, borrowed } = &mut self.scratch;
        cells.values.resize(plan_stream.cells, NULL);
        cells.wides.resize(plan_stream.wides, 0);

        for write in &plan_stream.writes {
            let table_plan = &plan.tables[write.table];
            let table = &mut self.tables[write.table];
            let keyed = key::encode(&write.key, event, key_bytes);
            let found_key = Key { hash: key::hash(key_bytes), bytes: key_bytes };
            let found = if keyed { table.find(found_key) } else { None };
            let stores = STORE && keyed;
            if keyed {
                fill(table_plan, event, t, record, &mut self.interner);
            }
            if let Some(read) = write.read {
                let newcomer = keyed.then_some(record.as_slice());
                let read = &plan_stream.reads[read];
                table.answer(found, &Question { table: table_plan, read, t, newcomer, ticks_per_second: ticks }, cells);
            }
            if keyed && !STORE {
                borrowed.extend(texts(table_plan, record));
            }
            if stores {
                let mark = mark(plan, table_plan, &self.clocks);
                table.append(table_plan, found, found_key, record, mark, &mut self.interner);
            }
        }
        for read in plan_stream.reads.iter().filter(|read| !read.own) {
            let table = &mut self.tables[read.table];
            let keyed = key::encode(&read.key, event, key_bytes);
            let found = if keyed { table.find(Key { hash: key::hash(key_bytes), bytes: key_bytes }) } else { None };
            let question =
                Question { table: &plan.tables[read.table], read, t, newcomer: None, ticks_per_second: ticks };
            table.answer(found, &question, cells);
        }
        finish(plan_stream, event, cells, &self.interner, &mut self.row, &mut context);
        for id in borrowed.drain(..) {
            self.interner.release(id);
        }
    }
}

/// Writes the event as a record of a table.
fn fill(table: &TablePlan, event: &Event, t: i64, record: &mut Vec<u64>, interner: &mut Interner) {
    record.clear();
    record.resize(table.record_words, 0);
    record[0] = t as u64;
    for column in &table.columns {
        let payload = payload(column, event, interner);
        match column.place {
            Place::Word(word) => record[word] = payload,
            Place::Half(half) => lanes::set_half(record, half, payload as u32),
        }
    }
    for (index, mask) in table.masks.iter().enumerate() {
        let valid = mask.valid.is_none_or(|slot| event.values[slot] != Value::Null);
        let holds = mask.condition.is_none_or(|slot| event.values[slot] == Value::Bool(true));
        lanes::set_flag(record, index, valid && holds);
    }
}

/// A value as 64 bits; of a null, which its mask leaves out, any will do but for a text's number.
#[inline]
fn payload(column: &LogColumn, event: &Event, interner: &mut Interner) -> u64 {
    match event.values[column.slot] {
        Value::Float(x) => crate::row::canonical(x).to_bits(),
        Value::Int(x) if column.kind == FieldKind::Float64 => (x as f64).to_bits(),
        Value::Int(x) | Value::Time(x) => x as u64,
        Value::Bool(x) => u64::from(x),
        Value::Text(text) => u64::from(interner.acquire(event.text(text))),
        Value::Null => u64::from(if column.kind == FieldKind::String { ABSENT } else { 0 }),
    }
}

/// No row to come that reads the table is earlier than this.
fn mark(plan: &Plan, table: &TablePlan, clocks: &[Clock]) -> i64 {
    let mark = |stream: usize| clocks[stream].newest.map(|newest| newest.saturating_sub(plan.streams[stream].lateness));
    let mut low = mark(table.stream);
    for &reader in &table.readers {
        // A reader without events may begin anywhere.
        low = low.zip(mark(reader)).map(|(a, b)| a.min(b));
    }
    low.unwrap_or(i64::MIN)
}

/// From answers to the row: expressions over aggregations, and what a double cannot hold.
fn finish(
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
    row.reset(plan.outputs.len(), plan.exact);
    row.values.copy_from_slice(&cells.values[..plan.outputs.len()]);
    for last in &plan.finals {
        match *last {
            Final::Exact { wide, exact } => row.exact[exact] = cells.wides[wide] as i64,
            Final::Text { feature, wide, exact } => {
                if !crate::row::is_null(row.values[feature]) {
                    row.set_text(feature, exact, interner.text(cells.wides[wide] as u32));
                }
            }
            Final::Slot { feature, slot, kind, exact } => {
                let (value, whole) = match event.values[slot] {
                    Value::Null => (NULL, 0),
                    Value::Float(x) => (crate::row::canonical(x), 0),
                    Value::Int(x) if kind == FieldKind::Float64 => (x as f64, 0),
                    Value::Int(x) | Value::Time(x) => (x as f64, x),
                    Value::Bool(x) => (f64::from(u8::from(x)), 0),
                    Value::Text(text) => {
                        if let Some(exact) = exact {
                            row.set_text(feature, exact, event.text(text));
                        }
                        continue;
                    }
                };
                row.values[feature] = value;
                if let Some(exact) = exact {
                    row.exact[exact] = whole;
                }
            }
        }
    }
}

/// An aggregation's answer as a value of the frame.
fn loaded(load: &Load, cells: &Cells, event: &mut Event, interner: &Interner) -> Value {
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
