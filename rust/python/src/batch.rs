//! Tables through the engine: every row is checked before the first one is pushed, so that a refused table has changed nothing.

use std::ops::Range;
use std::thread;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use fastfeat_engine::batch::{BatchError, Column, Sink, Source};
use fastfeat_engine::definition::OnLate;
use fastfeat_engine::engine::Engine as Core;
use fastfeat_engine::error::EventError;
use fastfeat_engine::event::{Event, Value};
use fastfeat_engine::plan::StreamPlan;
use fastfeat_engine::row::FeatureRow;
use fastfeat_engine::schema::Schema;

use crate::columns::Columns;
use crate::layout::Layout;
use crate::table::{Rows, Table};

/// A table of one stream's events.
pub struct Input {
    pub stream: usize,
    pub table: Table,
}

/// Why a table was refused, and the row that did it.
pub enum Refusal {
    Event {
        error: EventError,
        stream: usize,
        row: usize,
    },
    /// Memory that is not what its Arrow type says.
    Damaged(String),
    Arrow(ArrowError),
}

impl From<ArrowError> for Refusal {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}

/// Pushes all rows, those of several tables merged by time; rows of one time in the order of the tables.
/// The features of stream `own`, where one of the tables is its. One table is worked on by so many threads at most.
pub fn push_tables(
    core: &mut Core,
    event: &mut Event,
    inputs: &[Input],
    (own, layout): (usize, &Layout),
    threads: usize,
) -> Result<Option<(Vec<RecordBatch>, SchemaRef)>, Refusal> {
    let plan = core.plan().clone();
    let newest = core.stats().newest;
    let mut cursors = Vec::with_capacity(inputs.len());
    for input in inputs {
        let schema = &plan.streams[input.stream].schema;
        let mut cursor = Cursor::new(input, schema, plan.ticks_per_second)?;
        let stream = &plan.streams[input.stream];
        if let Some(late) = cursor.check(event, newest[input.stream], stream, inputs.len() > 1, threads)? {
            let error = core.refuse_late(input.stream, late.time, late.newest);
            return Err(Refusal::Event { error, stream: input.stream, row: late.row });
        }
        cursors.push(cursor);
    }
    let rows = inputs.iter().find(|input| input.stream == own).map_or(0, |input| input.table.rows());
    let mut columns = Columns::new(layout, rows);
    if let [only] = &cursors[..] {
        let (stream, rows) = (only.stream, only.rows);
        let pushed = if stream == own {
            core.push_rows(stream, rows, threads, only, &mut columns)
        } else {
            core.push_rows(stream, rows, threads, only, &mut |_: &FeatureRow| Ok(()))
        };
        pushed.map_err(|ended| match ended {
            BatchError::Event { error, row } => Refusal::Event { error, stream, row },
            BatchError::Emit(error) => Refusal::Arrow(error),
        })?;
    }
    // Several are merged.
    while let Some(cursor) = next(&mut cursors).filter(|_| inputs.len() > 1) {
        let (stream, row) = (cursor.stream, cursor.row);
        let pushed = cursor.next(event).and_then(|()| core.push(stream, event));
        let has_row = pushed.map_err(|error| Refusal::Event { error, stream, row })?;
        if has_row && stream == own {
            Sink::push(&mut columns, core.row())?;
        }
    }
    let answers = inputs.iter().any(|input| input.stream == own) && has_features(&plan.streams[own]);
    if answers { Ok(Some(columns.finish()?)) } else { Ok(None) }
}

fn has_features(stream: &StreamPlan) -> bool {
    !stream.outputs.is_empty()
}

/// The table whose next row comes first; of equal times the first table's.
fn next<'c, 'a>(cursors: &'c mut [Cursor<'a>]) -> Option<&'c mut Cursor<'a>> {
    if let [only] = cursors {
        return (only.row < only.rows).then_some(only);
    }
    let waiting = cursors.iter_mut().enumerate().filter(|(_, cursor)| cursor.row < cursor.rows);
    waiting.min_by_key(|(place, cursor)| (cursor.times[cursor.row], *place)).map(|(_, cursor)| cursor)
}

/// A table on its way through.
struct Cursor<'a> {
    stream: usize,
    schema: &'a Schema,
    ticks_per_second: i64,
    batches: Vec<(Rows<'a>, usize)>,
    /// The number of the first row of each.
    starts: Vec<usize>,
    /// Where the next row is: its batch, its place there, its number in the table.
    batch: usize,
    place: usize,
    row: usize,
    rows: usize,
    /// By row, where several tables are merged.
    times: Vec<i64>,
}

impl<'a> Cursor<'a> {
    fn new(input: &'a Input, schema: &'a Schema, ticks_per_second: i64) -> Result<Self, Refusal> {
        let read = |batch: &'a RecordBatch| Ok((input.table.read(batch).map_err(Refusal::Damaged)?, batch.num_rows()));
        let batches = input.table.batches.iter().map(read).collect::<Result<_, Refusal>>()?;
        let mut rows = 0;
        let start = |batch: &RecordBatch| {
            rows += batch.num_rows();
            rows - batch.num_rows()
        };
        let starts = input.table.batches.iter().map(start).collect();
        Ok(Self {
            stream: input.stream,
            schema,
            ticks_per_second,
            batches,
            starts,
            batch: 0,
            place: 0,
            row: 0,
            rows,
            times: Vec::new(),
        })
    }

    /// The batch of a row.
    #[inline]
    fn batch_of(&self, row: usize) -> usize {
        if let [_] = self.starts[..] { 0 } else { self.starts.partition_point(|&start| start <= row).saturating_sub(1) }
    }

    /// Reads the next row and moves on.
    #[inline]
    fn next(&mut self, event: &mut Event) -> Result<(), EventError> {
        while self.place == self.batches[self.batch].1 {
            self.batch += 1;
            self.place = 0;
        }
        let mut filling = self.schema.begin(event);
        self.batches[self.batch].0.fill(self.place, &mut filling);
        self.place += 1;
        self.row += 1;
        filling.finish()
    }

    /// Goes through all rows without pushing one, and back to the first. The first that is too late, if it would be refused.
    fn check(
        &mut self,
        event: &mut Event,
        newest: Option<i64>,
        plan: &StreamPlan,
        keep_times: bool,
        threads: usize,
    ) -> Result<Option<Late>, Refusal> {
        let times = if keep_times { Vec::with_capacity(self.rows) } else { Vec::new() };
        let mut order = Order { newest, row: 0, plan, keep_times, times };
        let schema = self.schema;
        if self.batches.iter().all(|(rows, count)| all_fit(rows, *count, schema, threads)) {
            for (rows, count) in &self.batches {
                if let Some(late) = rows.look_at_times(*count, schema, |time| order.late(time)) {
                    return Ok(Some(late));
                }
            }
        } else {
            // The first row that is refused, for a value or as late, says why.
            for row in 0..self.rows {
                let stream = self.stream;
                self.next(event).map_err(|error| Refusal::Event { error, stream, row })?;
                let Value::Time(time) = event.values[schema.time_column] else {
                    unreachable!("a schema accepts no event without a time")
                };
                if let Some(late) = order.late(time) {
                    return Ok(Some(late));
                }
            }
        }
        self.times = order.times;
        (self.batch, self.place, self.row) = (0, 0, 0);
        Ok(None)
    }
}

impl Source for Cursor<'_> {
    #[inline]
    fn read(&self, row: usize, event: &mut Event) -> Result<(), EventError> {
        let batch = self.batch_of(row);
        let mut filling = self.schema.begin(event);
        self.batches[batch].0.fill(row - self.starts[batch], &mut filling);
        filling.finish()
    }

    fn column(&self, column: usize, rows: &Range<usize>) -> Option<Column<'_>> {
        let batch = self.batch_of(rows.start);
        let (reader, count) = &self.batches[batch];
        let start = self.starts[batch];
        let place = rows.start - start..rows.end - start;
        (place.end <= *count).then(|| reader.column(column, place, self.schema, self.ticks_per_second)).flatten()
    }
}

/// Whether the stream takes every row of a batch; many are looked at on several threads.
fn all_fit(rows: &Rows<'_>, count: usize, schema: &Schema, threads: usize) -> bool {
    let share = count.div_ceil(threads).max(SHARE_MIN);
    thread::scope(|scope| {
        let part = |start: usize| rows.all_fit(start..count.min(start + share), schema);
        let others: Vec<_> = (share..count).step_by(share).map(|start| scope.spawn(move || part(start))).collect();
        let own = part(0);
        others.into_iter().fold(own, |all, other| all & other.join().expect("looking at values never panics"))
    })
}

/// Rows that a thread looks at, at least.
const SHARE_MIN: usize = 1 << 14;

/// How far the rows of a table have come in time.
struct Order<'a> {
    newest: Option<i64>,
    row: usize,
    plan: &'a StreamPlan,
    keep_times: bool,
    times: Vec<i64>,
}

impl Order<'_> {
    /// Takes the next row's time; says so if it is too late and would be refused.
    #[inline]
    fn late(&mut self, time: i64) -> Option<Late> {
        let (row, lateness) = (self.row, self.plan.lateness);
        if let Some(newest) = self.newest.filter(|newest| time < newest.saturating_sub(lateness))
            && self.plan.on_late == OnLate::Reject
        {
            return Some(Late { row, time, newest });
        }
        self.newest = self.newest.max(Some(time));
        self.row += 1;
        if self.keep_times {
            self.times.push(time);
        }
        None
    }
}

/// A row that is too late.
struct Late {
    row: usize,
    time: i64,
    newest: i64,
}
