//! Some rows of a batch on their way: their events are read, by any thread, into what each table is to take in of them.

use std::ops::Range;

use super::columns::{Columns, Source};
use super::kept::Kept;
use super::step::Step;
use super::texts::Texts;
use crate::engine::fill;
use crate::error::EventError;
use crate::event::{Event, Value};
use crate::lookup::Lookups;
use crate::plan::{FlagPlan, StreamPlan};
use crate::state::many::{Answered, Part};

/// Some rows on their way.
pub(super) struct Chunk {
    /// Which of the batch they are; those after a refused one are not here.
    pub rows: Range<usize>,
    /// What their rows will need of the events.
    pub kept: Kept,
    /// By step.
    pub parts: Vec<Part>,
    /// By step and shard.
    pub answers: Vec<Vec<Answered>>,
    pub texts: Texts,
    /// By lookup, how often it did not have what was looked for.
    pub misses: Vec<u64>,
    /// Time of the newest event, those before the chunk included.
    pub newest: Option<i64>,
    /// Time of the oldest event of the chunk.
    oldest: i64,
    /// Why the next row is not here.
    pub refused: Option<Refused>,
}

/// Why an event is not taken.
pub(super) enum Refused {
    /// Its time, and that of the newest.
    Late(i64, i64),
    Event(EventError),
}

/// What events are read with.
pub(super) struct Reading<'a> {
    pub plan: &'a StreamPlan,
    pub steps: &'a [Step<'a>],
    /// By step, what the marks are at most as other streams read the table.
    pub marks_max: &'a [i64],
    /// The slots that keys, records and rows need, where they are fields alone that can be taken as columns.
    pub slots: Option<&'a [usize]>,
    pub lookups: &'a Lookups,
    pub ticks_per_second: i64,
}

/// The slots that keys, records and rows of a stream need, the time among them; `None` where some are no fields, or are texts that rows need.
pub(super) fn slots(plan: &StreamPlan, steps: &[Step<'_>]) -> Option<Vec<usize>> {
    if !plan.before.steps.is_empty() {
        return None;
    }
    let mut slots = Kept::new(plan).slots()?.to_vec();
    slots.push(plan.schema.time_column);
    for step in steps {
        slots.extend(plan.writes[step.write].key.iter().map(|part| part.slot));
        slots.extend(step.plan.columns.iter().map(|column| column.slot));
        for flag in &step.plan.flags {
            if let FlagPlan::Mask { valid, condition, .. } = flag {
                slots.extend(valid.iter().chain(condition));
            }
        }
    }
    slots.sort_unstable();
    slots.dedup();
    Some(slots)
}

impl Reading<'_> {
    /// No event of the stream that is earlier is taken.
    fn mark(&self, newest: i64) -> i64 {
        newest.saturating_sub(self.plan.lateness)
    }
}

impl Chunk {
    pub fn new(reading: &Reading<'_>, shards: &[usize]) -> Self {
        let answers = |&shards: &usize| (0..shards).map(|_| Answered::default()).collect();
        Self {
            rows: 0..0,
            kept: Kept::new(reading.plan),
            parts: shards.iter().map(|&shards| Part::new(shards)).collect(),
            answers: shards.iter().map(answers).collect(),
            texts: Texts::default(),
            misses: Vec::new(),
            newest: None,
            oldest: i64::MAX,
            refused: None,
        }
    }

    pub fn clear(&mut self) {
        self.rows = self.rows.start..self.rows.start;
        self.kept.clear();
        self.parts.iter_mut().for_each(Part::clear);
        self.texts.clear();
        self.misses.clear();
        self.oldest = i64::MAX;
        self.refused = None;
    }

    /// Reads some events up to the first that is not taken, after so many of the stream of which the newest is at this time, as far as it is known;
    /// `accept` hears of each.
    pub fn read(
        &mut self,
        reading: &Reading<'_>,
        rows: Range<usize>,
        (events, newest): (u64, Option<i64>),
        source: &impl Source,
        accept: &mut impl FnMut(i64, &Event),
    ) {
        self.rows = rows.start..rows.start;
        self.clear();
        self.newest = newest;
        let Reading { plan, steps, .. } = *reading;
        self.misses.resize(reading.lookups.count(), 0);
        let (mut event, mut record, mut key_bytes) = (Event::default(), Vec::new(), Vec::new());
        for row in rows {
            if let Err(error) = source.read(row, &mut event) {
                self.refused = Some(Refused::Event(error));
                return;
            }
            let Value::Time(t) = event.values[plan.schema.time_column] else {
                unreachable!("a schema accepts no event without a time")
            };
            let newest = self.newest.map_or(t, |newest| newest.max(t));
            if t < reading.mark(newest) {
                self.refused = Some(Refused::Late(t, newest));
                return;
            }
            self.newest = Some(newest);
            self.oldest = self.oldest.min(t);
            plan.before.run(&mut event, &mut reading.lookups.counting(reading.ticks_per_second, &mut self.misses));
            accept(t, &event);
            self.rows.end = row + 1;
            let number = events + self.rows.len() as u64;
            for ((step, part), &most) in steps.iter().zip(&mut self.parts).zip(reading.marks_max) {
                let mark = reading.mark(newest).min(most);
                let key = &plan.writes[step.write].key;
                if let Some(records) = part.add(step.plan, key, &event, (t, mark, number), &mut key_bytes) {
                    fill(step.plan, &event, t, &mut record, &mut |text| self.texts.number(text));
                    records.extend_from_slice(&record);
                }
            }
            self.kept.keep(&event);
        }
    }

    /// The same where the events lie as columns; false where they do not, or one of them is not taken.
    pub fn read_columns(
        &mut self,
        reading: &Reading<'_>,
        rows: Range<usize>,
        (events, newest): (u64, Option<i64>),
        source: &impl Source,
    ) -> bool {
        let plan = reading.plan;
        let Some(columns) = reading.slots.and_then(|slots| Columns::new(source, slots, &rows)) else { return false };
        let Some(times) = columns.times(plan.schema.time_column) else { return false };
        self.rows = rows.start..rows.start;
        self.clear();
        let Some((&first, &oldest)) = times.first().zip(times.iter().min()) else { return true };
        let mut high = newest.map_or(first, |newest| newest.max(first));
        for &t in times {
            high = high.max(t);
            if t < reading.mark(high) {
                return false;
            }
        }
        for ((step, part), &most) in reading.steps.iter().zip(&mut self.parts).zip(reading.marks_max) {
            let mut high = newest.unwrap_or(first);
            columns.keys(&plan.writes[step.write].key, times.len(), |row, key| {
                high = high.max(times[row]);
                part.add_key(key, true, (times[row], reading.mark(high).min(most), events + 1 + row as u64));
            });
            columns.fill(step.plan, times, part, &mut self.texts);
        }
        self.kept.keep_columns(&columns, times.len());
        (self.newest, self.oldest, self.rows) = (Some(high), oldest, rows);
        true
    }

    /// Tells what has been read how new an event before it was; false where one of these would not have been taken then.
    pub fn follow(&mut self, reading: &Reading<'_>, newest: Option<i64>) -> bool {
        let Some(before) = newest else { return true };
        let mark = reading.mark(before);
        let is_late = matches!(self.refused, Some(Refused::Late(..)));
        if is_late || self.oldest < mark {
            return false;
        }
        self.newest = self.newest.max(newest);
        self.parts.iter_mut().zip(reading.marks_max).for_each(|(part, &most)| part.raise(mark.min(most)));
        true
    }
}
