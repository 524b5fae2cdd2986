//! Tables through the engine: every row is checked before the first one is pushed, so that a refused table has changed nothing.

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use fastfeat_engine::batch::BatchError;
use fastfeat_engine::definition::OnLate;
use fastfeat_engine::engine::Engine as Core;
use fastfeat_engine::error::EventError;
use fastfeat_engine::event::{Event, Value};
use fastfeat_engine::plan::StreamPlan;
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
        let mut cursor = Cursor::new(input, schema)?;
        if let Some(late) = cursor.check(event, newest[input.stream], &plan.streams[input.stream], inputs.len() > 1)? {
            let error = core.refuse_late(input.stream, late.time, late.newest);
            return Err(Refusal::Event { error, stream: input.stream, row: late.row });
        }
        cursors.push(cursor);
    }
    let rows = inputs.iter().find(|input| input.stream == own).map_or(0, |input| input.table.rows());
    let mut columns = Columns::new(layout, rows);
    if let [only] = &mut cursors[..] {
        let (stream, rows) = (only.stream, only.rows);
        let pushed = core.push_rows(stream, rows, threads, &mut |event| only.read(event), &mut |row| {
            if stream == own { columns.push(row) } else { Ok(()) }
        });
        pushed.map_err(|ended| match ended {
            BatchError::Event { error, row } => Refusal::Event { error, stream, row },
            BatchError::Emit(error) => Refusal::Arrow(error),
        })?;
    }
    while let Some(cursor) = next(&mut cursors) {
        let (stream, row) = (cursor.stream, cursor.row);
        let pushed = cursor.read(event).and_then(|()| core.push(stream, event));
        let has_row = pushed.map_err(|error| Refusal::Event { error, stream, row })?;
        if has_row && stream == own {
            columns.push(core.row())?;
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
    batches: Vec<(Rows<'a>, usize)>,
    /// Where the next row is: its batch, its place there, its number in the table.
    batch: usize,
    place: usize,
    row: usize,
    rows: usize,
    /// By row, where several tables are merged.
    times: Vec<i64>,
}

impl<'a> Cursor<'a> {
    fn new(input: &'a Input, schema: &'a Schema) -> Result<Self, Refusal> {
        let read = |batch: &'a RecordBatch| Ok((input.table.read(batch).map_err(Refusal::Damaged)?, batch.num_rows()));
        let batches = input.table.batches.iter().map(read).collect::<Result<_, Refusal>>()?;
        let rows = input.table.rows();
        Ok(Self { stream: input.stream, schema, batches, batch: 0, place: 0, row: 0, rows, times: Vec::new() })
    }

    /// Reads the next row and moves on.
    #[inline]
    fn read(&mut self, event: &mut Event) -> Result<(), EventError> {
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
    ) -> Result<Option<Late>, Refusal> {
        let times = if keep_times { Vec::with_capacity(self.rows) } else { Vec::new() };
        let mut order = Order { newest, row: 0, plan, keep_times, times };
        let schema = self.schema;
        if self.batches.iter_mut().all(|(rows, count)| rows.all_fit(*count, schema)) {
            for (rows, count) in &mut self.batches {
                if let Some(late) = rows.look_at_times(*count, schema, |time| order.late(time)) {
                    return Ok(Some(late));
                }
            }
        } else {
            // The first row that is refused, for a value or as late, says why.
            for row in 0..self.rows {
                let stream = self.stream;
                self.read(event).map_err(|error| Refusal::Event { error, stream, row })?;
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
