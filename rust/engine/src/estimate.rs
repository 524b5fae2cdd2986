//! What the state of a plan will take, before there is any: a few keys with events of chance are put into the very tables that a plan
//! runs on, and what those take is scaled up. So no rule of size is written twice, and none can be forgotten.

use crate::definition::FieldKind;
use crate::heap::heap;
use crate::key::{self, KeyIndex};
use crate::plan::{FlagPlan, LogColumn, Place, Plan, TablePlan};
use crate::state::answer::Question;
use crate::state::interner::Interner;
use crate::state::shards;
use crate::state::table::{Key, Table};
use crate::state::{Cells, Run, RunMut};

/// Events that are played through, over all keys of a table, and keys at least and at most.
const EVENTS_MAX: f64 = 200_000.0;
const KEYS_MIN: f64 = 4.0;
const KEYS_MAX: f64 = 8_192.0;
/// After so many lengths of the longest window, what a table holds does not change any more.
const LENGTHS: f64 = 3.0;
/// What holds so much more after twice the time is taken to grow with it.
const GROWS: f64 = 1.6;
const SECONDS_PER_DAY: f64 = 86_400.0;
/// An entry of the texts, and its place in their index.
const TEXT_BYTES: f64 = 44.0;

/// What is expected of the keys of one table.
#[derive(Clone, Debug)]
pub struct Expected {
    /// How many there are; those without an event that anything can see take nothing.
    pub keys: u64,
    /// Events of each, at times of chance.
    pub events_per_day: f64,
    /// How long events have been coming.
    pub days: f64,
    /// Bytes of a text in a key.
    pub key_bytes: usize,
    /// How many different texts a column has, and their bytes.
    pub texts: u64,
    /// Bytes of one of them.
    pub text_bytes: usize,
    /// As in [`crate::engine::Options`], in ticks.
    pub idle_after: Option<i64>,
}

/// What a table will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableEstimate {
    /// Keys with state.
    pub keys: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// Bytes of tables, in the order of the plan, and those of the texts of their events.
pub fn estimate(plan: &Plan, expected: &[Expected]) -> (Vec<TableEstimate>, u64) {
    assert_eq!(plan.tables.len(), expected.len(), "every table has something that is expected of it");
    let tables = plan.tables.iter().zip(expected).map(|(table, expected)| Play::of(plan, table, expected));
    let texts = plan.tables.iter().zip(expected).map(|(table, expected)| {
        let columns = table.columns.iter().filter(|column| column.kind == FieldKind::String).count();
        columns as f64 * expected.texts as f64 * (heap(expected.text_bytes) as f64 + TEXT_BYTES)
    });
    (tables.collect(), texts.sum::<f64>() as u64)
}

/// A table in which some keys are played through.
struct Play<'a> {
    plan: &'a Plan,
    table: &'a TablePlan,
    state: Table,
    texts: Interner,
    cells: Cells,
    random: u64,
    /// The keys' bytes.
    keys: Vec<Vec<u8>>,
    record: Vec<u64>,
}

impl<'a> Play<'a> {
    fn of(plan: &'a Plan, table: &'a TablePlan, expected: &Expected) -> TableEstimate {
        let keys = if table.key.is_empty() { 1.0 } else { expected.keys as f64 };
        let rate = expected.events_per_day.max(1e-9);
        let ticks_per_day = SECONDS_PER_DAY * plan.ticks_per_second as f64;
        let windows = table.linger as f64 / ticks_per_day;
        // What is held for ever goes on changing, and a session may not end; the rest is as it is after a few windows.
        let endless = table.forever || table.moving;
        let lasts = if endless { expected.days } else { expected.days.min(LENGTHS * windows + 1e-6) };
        let most = EVENTS_MAX / KEYS_MIN.min(keys.max(1.0));
        let days = lasts.min(most / rate);
        let sample = (EVENTS_MAX / (rate * days)).clamp(KEYS_MIN, KEYS_MAX).min(keys.max(1.0)).floor();
        let mut play = Self::new(plan, table, expected, sample as usize);
        let half = play.run(expected, rate, 0.0, days / 2.0, ticks_per_day);
        let whole = play.run(expected, rate, days / 2.0, days, ticks_per_day);
        // A window that is longer than what was played through goes on filling as it did, and so does a session that has not ended.
        let until = if table.moving && whole > GROWS * half { expected.days } else { windows.min(expected.days) };
        let missing = (until - days).max(0.0) / (days / 2.0);
        let beside = (whole + (whole - half).max(0.0) * missing) / sample;
        let held = play.state.keys() as f64 / sample * keys;
        let bytes = beside * keys + KeyIndex::bytes_for(held);
        TableEstimate { keys: held.round() as u64, bytes: bytes.round() as u64 }
    }

    fn new(plan: &'a Plan, table: &'a TablePlan, expected: &Expected, keys: usize) -> Self {
        let stream = &plan.streams[table.stream];
        let write = stream.writes.iter().find(|write| std::ptr::eq(&raw const plan.tables[write.table], table));
        let parts = &write.expect("a table is written by its own stream").key;
        let bytes: usize = parts
            .iter()
            .map(|part| match part.kind {
                FieldKind::String => expected.key_bytes + if parts.len() > 1 { 4 } else { 0 },
                FieldKind::Boolean => 1,
                _ => 8,
            })
            .sum();
        let keys = (0..keys as u64).map(|number| {
            let mut key = number.to_le_bytes().to_vec();
            key.resize(bytes.max(if keys > 1 { 4 } else { 0 }), 0);
            key
        });
        let (cells, wides) = plan
            .streams
            .iter()
            .fold((0, 0), |(cells, wides), stream| (stream.cells.max(cells), stream.wides.max(wides)));
        let cells = Cells { values: vec![0.0; cells], wides: vec![0; wides], ..Cells::default() };
        Self {
            plan,
            table,
            state: Table::new(table, 0, expected.idle_after, false),
            texts: Interner::default(),
            cells,
            random: 0x9E37_79B9_7F4A_7C15,
            keys: keys.collect(),
            record: Vec::new(),
        }
    }

    /// Plays the events of some days; the bytes after them, without those of the index.
    fn run(&mut self, expected: &Expected, rate: f64, from: f64, until: f64, ticks_per_day: f64) -> f64 {
        let mut events: Vec<(i64, u32)> = Vec::new();
        for key in 0..self.keys.len() {
            let mut day = from;
            loop {
                // Gaps between events of chance.
                day -= libm::log(1.0 - self.next_share()) / rate;
                if day >= until {
                    break;
                }
                events.push(((day * ticks_per_day) as i64, key as u32));
            }
        }
        events.sort_unstable();
        for (time, key) in events {
            self.event(expected, time, key as usize);
        }
        self.state.bytes_beside_index() as f64
    }

    fn event(&mut self, expected: &Expected, time: i64, key: usize) {
        self.fill(expected, time);
        let run = Run::new(&self.record, self.table.shape, 1, 1);
        let bytes = &self.keys[key];
        let key = Key { hash: key::hash(bytes), bytes };
        let found = self.state.find_here(key);
        for read in &self.table.reads {
            let question = Question {
                plan: self.table,
                read,
                t: time,
                newcomer: read.own.then_some(run),
                stores: read.own,
                mark: None,
                idle_after: None,
                ticks_per_second: self.plan.ticks_per_second,
            };
            self.cells.lists.clear();
            self.state.answer(found, &question, &self.texts, &mut self.cells);
        }
        let mark = time.saturating_sub(self.plan.streams[self.table.stream].lateness);
        self.state.store(self.table, found, key, run, mark, &mut self.texts);
        self.state.expire(self.table, mark, shards::EXPIRED_MAX, &mut self.texts);
    }

    /// An event of chance: amounts in cents, one of the texts, half of the conditions met, nothing null.
    fn fill(&mut self, expected: &Expected, time: i64) {
        let shape = self.table.shape;
        self.record.clear();
        self.record.resize(shape.words_of(1), 0);
        self.record[0] = time as u64;
        for column in &self.table.columns {
            let payload = self.payload(expected, column);
            match column.place {
                Place::Word(0) => {}
                Place::Word(word) => self.record[word] = payload,
                Place::Half(half) => {
                    RunMut { words: &mut self.record, shape, room: 1 }.set_half(half, 0, payload as u32);
                }
            }
        }
        for (flag, plan) in self.table.flags.iter().enumerate() {
            if let FlagPlan::Mask { condition, .. } = plan {
                let holds = condition.is_none() || self.next_share() < 0.5;
                RunMut { words: &mut self.record, shape, room: 1 }.set_flag(flag, 0, holds);
            }
        }
    }

    fn payload(&mut self, expected: &Expected, column: &LogColumn) -> u64 {
        let number = (self.next_share() * expected.texts.max(1) as f64) as u64;
        match column.kind {
            FieldKind::Float64 => (libm::round(self.next_share() * 1e5) / 100.0).to_bits(),
            FieldKind::String => u64::from(self.texts.acquire(&number.to_string())),
            FieldKind::Boolean => number % 2,
            FieldKind::Categorical => number % 16,
            FieldKind::Int64 | FieldKind::Timestamp => number,
        }
    }

    /// A number from 0 to below 1 (SplitMix64).
    fn next_share(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
