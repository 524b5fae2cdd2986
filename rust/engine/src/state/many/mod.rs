//! Many events at once: what a shard of a table is given of them, and what it answers.
//!
//! The rows of one key are answered together (`groups`, `columns`). Then all rows go by in their order (`course`): what becomes of each log is
//! noted, and keys leave as they would have with one row after the other. At the end each log is changed once (`settle`). Both are in `table`.

use super::Cells;
use super::run::Run;
use super::shards;
use super::table::Key;
use crate::event::Event;
use crate::key::{self, KeyPart};
use crate::plan::{ReadPlan, TablePlan};
use crate::row::NULL;

mod columns;
mod groups;

pub(super) use columns::{Asked, Columns};
pub(super) use groups::{Form, Group, Groups, gone_by};

/// What one table takes in of a chunk of rows.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub keys: Vec<u8>,
    pub rows: Vec<Row>,
    pub records: Vec<u64>,
    /// Which rows are whose.
    pub by_shard: Vec<Vec<u32>>,
}

/// A row of a chunk. The marks of the rows of a part never fall, and their numbers follow each other.
#[derive(Debug)]
pub(crate) struct Row {
    pub t: i64,
    /// No row to come that reads the table is earlier than this.
    pub mark: i64,
    pub hash: u64,
    /// Where the key lies among those of the part.
    pub start: usize,
    pub end: usize,
    /// The stream's number of the event.
    pub event: u64,
    /// Shard of the key.
    pub shard: u16,
    /// False where a part of the key is null.
    pub keyed: bool,
}

impl Part {
    pub fn new(shards: usize) -> Self {
        Self { by_shard: (0..shards).map(|_| Vec::new()).collect(), ..Self::default() }
    }

    pub fn clear(&mut self) {
        self.keys.clear();
        self.rows.clear();
        self.records.clear();
        self.by_shard.iter_mut().for_each(Vec::clear);
    }

    /// Adds a row, of this time, mark and number of the event; its record comes next. False where a part of its key is null.
    #[inline]
    pub fn add(&mut self, key: &[KeyPart], event: &Event, (t, mark, number): (i64, i64, u64)) -> bool {
        let start = self.keys.len();
        let keyed = key::encode(key, event, &mut self.keys);
        let (hash, end) = (key::hash(&self.keys[start..]), self.keys.len());
        let shard = shards::shard_of(hash, self.by_shard.len() - 1);
        self.by_shard[shard].push(self.rows.len() as u32);
        self.rows.push(Row { t, mark, hash, start, end, event: number, shard: shard as u16, keyed });
        keyed
    }

    /// The record of a row without a key.
    pub fn add_no_record(&mut self, plan: &TablePlan) {
        self.records.resize(self.records.len() + plan.shape.words_of(1), 0);
    }

    pub fn key(&self, row: &Row) -> Key<'_> {
        Key { hash: row.hash, bytes: &self.keys[row.start..row.end] }
    }

    pub fn record(&self, plan: &TablePlan, row: usize) -> Run<'_> {
        let words = plan.shape.words_of(1);
        Run::new(&self.records[row * words..][..words], plan.shape, 1, 1)
    }
}

/// What is asked about many rows.
pub(crate) struct Many<'a> {
    pub plan: &'a TablePlan,
    /// Its answers go one after the other.
    pub read: Option<&'a ReadPlan>,
    pub ticks_per_second: i64,
}

impl Many<'_> {
    /// Whether the rows of a key can be answered together, and what becomes of its log can be told from times alone.
    pub fn together(&self) -> bool {
        !self.plan.has_past() && !self.plan.moving && self.read.is_none_or(|read| read.rest.is_empty())
    }
}

/// What a shard answers to the rows that are its, one after the other.
#[derive(Default)]
pub(crate) struct Answered {
    pub cells: Cells,
    /// Texts that are used once less.
    pub released: Vec<u32>,
    width: usize,
    wides: usize,
}

impl Answered {
    /// Makes room for the answers of so many rows.
    pub fn begin(&mut self, rows: usize, width: usize, wides: usize) {
        (self.width, self.wides) = (width, wides);
        self.cells.values.resize(rows * width, NULL);
        self.cells.wides.resize(rows * wides, 0);
    }

    /// The answers of a row go here.
    #[inline]
    pub(super) fn row(&mut self, place: usize) -> &mut Cells {
        (self.cells.at, self.cells.wide_at) = (place * self.width, place * self.wides);
        &mut self.cells
    }
}

/// Buffers, reused.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(super) groups: Groups,
    pub(super) columns: Columns,
}
