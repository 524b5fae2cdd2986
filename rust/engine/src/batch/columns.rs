//! The events of a batch, as columns where they lie as such: then keys and records are made of them column by column, without an `Event` each.

use std::ops::Range;

use super::texts::Texts;
use crate::definition::FieldKind;
use crate::error::EventError;
use crate::event::{Event, Value};
use crate::key::{self, KeyPart};
use crate::plan::{FlagPlan, LogColumn, Place, TablePlan};
use crate::row;
use crate::state::many::Part;

/// Events of a stream, to be read in any order and by any thread. A closure reads them one by one.
pub trait Source: Sync {
    /// Writes one of them, counted from 0.
    ///
    /// # Errors
    /// The stream does not take it.
    fn read(&self, row: usize, event: &mut Event) -> Result<(), EventError>;

    /// A column of some of them, where its values lie one after the other, none is null, and the stream takes them all.
    fn column(&self, column: usize, rows: &Range<usize>) -> Option<Column<'_>>;
}

impl<F> Source for F
where
    F: Fn(usize, &mut Event) -> Result<(), EventError> + Sync,
{
    fn read(&self, row: usize, event: &mut Event) -> Result<(), EventError> {
        self(row, event)
    }

    fn column(&self, _: usize, _: &Range<usize>) -> Option<Column<'_>> {
        None
    }
}

/// Values of a field, one an event.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// Of a Float64.
    Float(&'a [f64]),
    /// Of an Int64.
    Int(&'a [i64]),
    /// Of a Timestamp, in the plan's ticks.
    Time(&'a [i64]),
    /// Of a Boolean: a bit each, the first at this place of the bytes.
    Bool(&'a [u8], usize),
    /// Of a String: where each begins, and where the last one ends, counted from where the first begins here; and the texts.
    Text(&'a [i32], &'a str),
}

impl<'a> Column<'a> {
    #[inline]
    fn text(offsets: &[i32], bytes: &'a str, row: usize) -> &'a str {
        let place = |row: usize| (offsets[row] - offsets[0]) as usize;
        &bytes[place(row)..place(row + 1)]
    }

    #[inline]
    fn bit(bytes: &[u8], start: usize, row: usize) -> bool {
        let place = start + row;
        bytes[place / 8] >> (place % 8) & 1 == 1
    }

    /// A value that is no text.
    #[inline]
    pub(super) fn value(&self, row: usize) -> Value {
        match *self {
            Self::Float(values) => Value::Float(row::canonical(values[row])),
            Self::Int(values) => Value::Int(values[row]),
            Self::Time(values) => Value::Time(values[row]),
            Self::Bool(bytes, start) => Value::Bool(Self::bit(bytes, start, row)),
            Self::Text(..) => Value::Null,
        }
    }
}

/// The columns of some events, by slot; those that are not needed are not there.
pub(super) struct Columns<'a>(Vec<Option<Column<'a>>>);

impl<'a> Columns<'a> {
    /// Those that are needed, if all of them are to be had.
    pub fn new(source: &'a impl Source, slots: &[usize], rows: &Range<usize>) -> Option<Self> {
        let mut columns = vec![None; slots.iter().max().map_or(0, |&last| last + 1)];
        for &slot in slots {
            columns[slot] = Some(source.column(slot, rows)?);
        }
        Some(Self(columns))
    }

    #[inline]
    pub fn of(&self, slot: usize) -> Column<'a> {
        self.0[slot].expect("what is needed has been got")
    }

    /// The times of the events.
    pub fn times(&self, slot: usize) -> Option<&'a [i64]> {
        if let Column::Time(times) = self.of(slot) { Some(times) } else { None }
    }

    /// Puts the bytes of each key where `take` finds them, row by row: those of `key::encode`.
    pub fn keys(&self, parts: &[KeyPart], rows: usize, mut take: impl FnMut(usize, &[u8])) {
        if let [only] = parts
            && let Column::Text(offsets, bytes) = self.of(only.slot)
        {
            return (0..rows).for_each(|row| take(row, Column::text(offsets, bytes, row).as_bytes()));
        }
        let mut key = Vec::new();
        for row in 0..rows {
            key.clear();
            for part in parts {
                match self.of(part.slot) {
                    Column::Text(offsets, bytes) => {
                        key::encode_text(Column::text(offsets, bytes, row), parts.len() > 1, &mut key);
                    }
                    column => {
                        key::encode_value(column.value(row), part.kind, &mut key);
                    }
                }
            }
            take(row, &key);
        }
    }

    /// Writes the records of all events, which have been put into the shards of the part.
    pub fn fill(&self, table: &TablePlan, times: &[i64], part: &mut Part, texts: &mut Texts) {
        part.begin_records(table);
        part.each_record(table, |row, run| run.words[0] = times[row] as u64);
        for column in &table.columns {
            self.fill_column(table, column, part, texts);
        }
        for (flag, plan) in table.flags.iter().enumerate() {
            if let FlagPlan::Mask { condition, .. } = plan {
                match condition.map(|slot| self.of(slot)) {
                    Some(Column::Bool(bytes, start)) => {
                        part.each_record(table, |row, run| run.set_flag(flag, 0, Column::bit(bytes, start, row)));
                    }
                    // Nothing is null.
                    _ => part.each_record(table, |_, run| run.set_flag(flag, 0, condition.is_none())),
                }
            }
        }
    }

    fn fill_column(&self, table: &TablePlan, column: &LogColumn, part: &mut Part, texts: &mut Texts) {
        let is_float = column.kind == FieldKind::Float64;
        let place = column.place;
        match self.of(column.slot) {
            Column::Float(values) => put(table, place, part, |row| row::canonical(values[row]).to_bits()),
            Column::Int(values) if is_float => put(table, place, part, |row| (values[row] as f64).to_bits()),
            Column::Int(values) | Column::Time(values) => put(table, place, part, |row| values[row] as u64),
            Column::Bool(bytes, start) => put(table, place, part, |row| u64::from(Column::bit(bytes, start, row))),
            Column::Text(offsets, bytes) => {
                put(table, place, part, |row| u64::from(texts.number(Column::text(offsets, bytes, row))));
            }
        }
    }
}

#[inline]
fn put(table: &TablePlan, place: Place, part: &mut Part, mut payload: impl FnMut(usize) -> u64) {
    match place {
        // The time is that of the row.
        Place::Word(0) => {}
        Place::Word(word) => part.each_record(table, |row, run| run.words[word] = payload(row)),
        Place::Half(half) => part.each_record(table, |row, run| run.set_half(half, 0, payload(row) as u32)),
    }
}
