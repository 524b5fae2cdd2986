//! Many events at once: what a shard of a table is given of them, and what it answers.
//!
//! The rows of one key are answered together (`groups`, `columns`). Then all rows go by in their order (`course`): what becomes of each log is
//! noted, and keys leave as they would have with one row after the other. At the end each log is changed once (`settle`). Both are in `table`.

use std::ops::Range;

use super::Cells;
use super::interner::ABSENT;
use super::run::{Run, RunMut};
use super::shards;
use super::table::Key;
use crate::definition::FieldKind;
use crate::event::Event;
use crate::key::{self, KeyPart};
use crate::plan::{Place, ReadPlan, TablePlan};
use crate::row::NULL;

mod columns;
mod groups;

pub(super) use columns::Columns;
pub(super) use groups::{Form, Group, Groups, gone_by};

/// What one table takes in of a chunk of rows, shard by shard: what a thread works on lies together.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub shards: Vec<Own>,
    /// By row: its shard and its place among the rows there, and no row to come that reads the table is earlier than its mark. Marks never fall.
    pub shard_of: Vec<u16>,
    pub place_of: Vec<u32>,
    marks: Vec<i64>,
    /// Which rows have a key.
    keyed: Vec<bool>,
    /// The stream's number of the first event; those of the others follow.
    first: u64,
    /// Bytes of keys and records, about.
    pub bytes: usize,
}

/// The rows of one shard.
#[derive(Debug, Default)]
pub(crate) struct Own {
    pub rows: Vec<Row>,
    keys: Vec<u8>,
    records: Vec<u64>,
}

/// A row of a shard.
#[derive(Debug)]
pub(crate) struct Row {
    pub t: i64,
    pub mark: i64,
    pub hash: u64,
    /// Which it is of all rows.
    pub index: u32,
    /// Where the key lies among those of the shard.
    start: usize,
    end: usize,
    /// False where a part of the key is null.
    pub keyed: bool,
}

impl Part {
    pub fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| Own::default()).collect(), ..Self::default() }
    }

    pub fn clear(&mut self) {
        for own in &mut self.shards {
            own.rows.clear();
            own.keys.clear();
            own.records.clear();
        }
        self.shard_of.clear();
        self.place_of.clear();
        self.marks.clear();
        self.keyed.clear();
        self.bytes = 0;
    }

    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Adds a row, of this time, mark and number of the event; its record goes to the shard, where it has a key.
    #[inline]
    pub fn add(
        &mut self,
        plan: &TablePlan,
        key: &[KeyPart],
        event: &Event,
        at: (i64, i64, u64),
        bytes: &mut Vec<u8>,
    ) -> Option<&mut Vec<u64>> {
        bytes.clear();
        let keyed = key::encode(key, event, bytes);
        let shard = self.add_key(bytes, keyed, at);
        self.bytes += bytes.len() + plan.shape.words_of(1) * 8;
        let own = &mut self.shards[shard];
        if !keyed {
            own.records.resize(own.records.len() + plan.shape.words_of(1), 0);
        }
        keyed.then_some(&mut own.records)
    }

    /// Adds a row that has no record yet; its shard.
    #[inline]
    pub fn add_key(&mut self, bytes: &[u8], keyed: bool, (t, mark, number): (i64, i64, u64)) -> usize {
        let hash = key::hash(bytes);
        let shard = shards::shard_of(hash, self.shards.len() - 1);
        if self.marks.is_empty() {
            self.first = number;
        }
        let own = &mut self.shards[shard];
        let (start, index) = (own.keys.len(), self.marks.len() as u32);
        own.keys.extend_from_slice(bytes);
        self.place_of.push(own.rows.len() as u32);
        own.rows.push(Row { t, mark, hash, index, start, end: own.keys.len(), keyed });
        self.shard_of.push(shard as u16);
        self.marks.push(mark);
        self.keyed.push(keyed);
        shard
    }

    /// Gives all rows records of zeros.
    pub fn begin_records(&mut self, plan: &TablePlan) {
        let words = plan.shape.words_of(1);
        self.shards.iter_mut().for_each(|own| own.records.resize(own.rows.len() * words, 0));
    }

    /// Gives the record of each row, in their order, to be written.
    #[inline]
    pub fn each_record(&mut self, plan: &TablePlan, mut write: impl FnMut(usize, &mut RunMut<'_>)) {
        let words = plan.shape.words_of(1);
        for (row, (&shard, &place)) in self.shard_of.iter().zip(&self.place_of).enumerate() {
            let words = &mut self.shards[usize::from(shard)].records[place as usize * words..][..words];
            write(row, &mut RunMut { words, shape: plan.shape, room: 1 });
        }
    }

    /// No row to come is earlier than this.
    pub fn raise(&mut self, mark: i64) {
        if self.marks.first().is_none_or(|&first| first >= mark) {
            return;
        }
        self.marks.iter_mut().for_each(|own| *own = mark.max(*own));
        self.shards.iter_mut().flat_map(|own| &mut own.rows).for_each(|row| row.mark = mark.max(row.mark));
    }

    /// Gives the texts of the records other numbers.
    pub fn renumber(&mut self, plan: &TablePlan, ids: &[u32]) {
        let words = plan.shape.words_of(1);
        let halves = plan.columns.iter().filter_map(|column| match column.place {
            Place::Half(half) if column.kind == FieldKind::String => Some(half),
            _ => None,
        });
        for half in halves {
            for own in &mut self.shards {
                for (row, words) in own.rows.iter().zip(own.records.chunks_exact_mut(words)) {
                    let number = Run::new(words, plan.shape, 1, 1).half(half)[0];
                    if row.keyed && number != ABSENT {
                        RunMut { words, shape: plan.shape, room: 1 }.set_half(half, 0, ids[number as usize]);
                    }
                }
            }
        }
    }

    /// The marks of some rows, after which it is the turn of a shard; and how many keys it looks at then. `None` where nothing is due at any of them.
    pub fn turns(&self, shard: usize, rows: Range<usize>, soonest: i64) -> Option<(impl Iterator<Item = i64>, usize)> {
        // Mostly nothing is due.
        if rows.is_empty() || soonest > self.marks[rows.end - 1] {
            return None;
        }
        // The numbers of the events follow each other, and turns come again after as many as there are.
        let mask = self.shards.len() - 1;
        let turn = |row: usize| shards::turn_of(self.first + row as u64, mask);
        let first = rows.clone().find(|&row| turn(row).0.contains(&shard))?;
        let rows = (first..rows.end).step_by(shards::turns(mask)).filter(|&row| self.keyed[row]);
        Some((rows.map(|row| self.marks[row]), turn(first).1))
    }
}

impl Row {
    pub fn key_bytes(&self) -> usize {
        self.end - self.start
    }
}

impl Own {
    pub fn key(&self, row: &Row) -> Key<'_> {
        Key { hash: row.hash, bytes: &self.keys[row.start..row.end] }
    }

    #[inline]
    pub fn record(&self, plan: &TablePlan, place: usize) -> Run<'_> {
        let words = plan.shape.words_of(1);
        Run::new(&self.records[place * words..][..words], plan.shape, 1, 1)
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
    pub(super) cells: Cells,
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

    /// The answers to a row.
    #[inline]
    pub fn values_of(&self, place: usize) -> &[f64] {
        &self.cells.values[place * self.width..][..self.width]
    }

    /// The 64 bits of those that a double cannot hold.
    #[inline]
    pub fn wides_of(&self, place: usize) -> &[u64] {
        &self.cells.wides[place * self.wides..][..self.wides]
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
