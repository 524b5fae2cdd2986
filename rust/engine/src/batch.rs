//! Many events of one stream: a loop over `Engine::push`, or its steps over chunks of rows, so that the rows of a key are answered together,
//! and shards of tables are worked on beside each other.
//!
//! What a shard does with a row depends on that shard alone. So this thread admits the events of a chunk in order, the shards take them in
//! (`state/many`), on this thread or another, and then the rows are made of their answers. The bits and the state are those of the loop.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::aggregate::What;
use crate::definition::OnLate;
use crate::engine::{Engine, fill, finish, mark};
use crate::error::EventError;
use crate::event::{Event, Value};
use crate::plan::{LanePlan, Plan, ReadPlan, WritePlan};
use crate::row::{FeatureRow, NULL};
use crate::state::Cells;
use crate::state::many::{Many, Part};

mod aside;
mod kept;
mod step;

pub(crate) use aside::{Aside, with_aside};
use kept::Kept;
use step::{Answers, Step, Worker};

/// Rows of a chunk: few where each is taken in by itself, many where those of a key are taken in together.
const CHUNK: usize = 1_024;
const CHUNK_MIN: usize = 16 * CHUNK;
const CHUNK_MAX: usize = 64 * CHUNK;
/// Bytes that the rows of a chunk take on their way, about, at most.
const CHUNK_BYTES: usize = 64 << 20;
/// Chunks of a batch on several threads, where they can be as many: the first and the last are not worked on beside others.
const CHUNKS: usize = 8;
/// Chunks on their way at most.
const CHUNKS_MAX: usize = 3;
/// Below so many rows threads cost more than they bring.
const ROWS_MIN: usize = 4 * CHUNK;
/// Below so many few keys have several, and what the rows take on their way would be much beside the state.
const TOGETHER_MIN: usize = CHUNK_MAX;

/// Why a batch has ended early.
#[derive(Debug)]
pub enum BatchError<E> {
    /// An event was refused; those before it have been pushed.
    Event {
        /// Why.
        error: EventError,
        /// Which, counted from 0.
        row: usize,
    },
    /// A row could not be taken.
    Emit(E),
}

impl Engine {
    /// Pushes `rows` events of a stream, which `read` writes one after the other, and gives each row to `emit`. Uses so many threads at most,
    /// this one included.
    ///
    /// # Errors
    /// The first event that `read` or `push` refuses, or that `emit` cannot take the row of. Where rows are many, or threads, some events after a
    /// row that `emit` refused have been pushed too.
    pub fn push_rows<E>(
        &mut self,
        stream: usize,
        rows: usize,
        threads: usize,
        read: &mut impl FnMut(&mut Event) -> Result<(), EventError>,
        emit: &mut impl FnMut(&FeatureRow) -> Result<(), E>,
    ) -> Result<(), BatchError<E>> {
        let chunk = if rows >= TOGETHER_MIN && self.goes_together(stream) {
            if threads > 1 { (rows / CHUNKS).clamp(CHUNK_MIN, CHUNK_MAX) } else { CHUNK_MAX }
        } else if threads > 1 && rows >= ROWS_MIN {
            CHUNK
        } else {
            0
        };
        self.push_rows_by(chunk, stream, rows, threads, read, emit)
    }

    /// As `push_rows`, so many rows at a time where the features let it; 0 for a loop over `push`. Rows and state do not depend on it.
    ///
    /// # Errors
    /// Those of `push_rows`.
    pub fn push_rows_by<E>(
        &mut self,
        chunk: usize,
        stream: usize,
        rows: usize,
        threads: usize,
        read: &mut impl FnMut(&mut Event) -> Result<(), EventError>,
        emit: &mut impl FnMut(&FeatureRow) -> Result<(), E>,
    ) -> Result<(), BatchError<E>> {
        if chunk > 0 && self.goes_in_steps(stream) {
            return self.push_in_steps((stream, chunk), rows, threads, read, emit);
        }
        let mut event = Event::default();
        for row in 0..rows {
            let pushed = read(&mut event).and_then(|()| self.push(stream, &mut event));
            if pushed.map_err(|error| BatchError::Event { error, row })? {
                emit(self.row()).map_err(BatchError::Emit)?;
            }
        }
        Ok(())
    }

    /// Whether `push_rows` can use more threads than one for a stream: whether each table can take in rows without the others, and without the
    /// texts themselves. Not so with a memory limit or `idle_after`, folded windows (all time, hopping), counts or ranks of values, lists, other
    /// streams' tables, and late events that get rows.
    pub fn goes_in_steps(&self, stream: usize) -> bool {
        let plan = &self.plan.streams[stream];
        let apart = |write: &WritePlan| {
            let table = &self.plan.tables[write.table];
            !table.has_past()
                && !table.lanes.iter().any(needs_texts)
                && !table.reads.iter().any(|read| gives_lists(read))
        };
        self.options.memory_limit.is_none()
            && self.options.idle_after.is_none()
            && plan.on_late == OnLate::Reject
            && plan.reads.iter().all(|read| read.own)
            && !plan.writes.is_empty()
            && plan.writes.iter().all(apart)
    }

    /// Whether a table takes in the rows of a key together.
    fn goes_together(&self, stream: usize) -> bool {
        let plan = &self.plan.streams[stream];
        let together = |write: &WritePlan| {
            let read = write.read.map(|read| &*plan.reads[read]);
            Many { plan: &self.plan.tables[write.table], read, ticks_per_second: 1 }.together()
        };
        plan.writes.iter().any(together)
    }

    fn push_in_steps<E>(
        &mut self,
        (stream, chunk): (usize, usize),
        rows: usize,
        threads: usize,
        read: &mut impl FnMut(&mut Event) -> Result<(), EventError>,
        emit: &mut impl FnMut(&FeatureRow) -> Result<(), E>,
    ) -> Result<(), BatchError<E>> {
        let plan = self.plan.clone();
        let writes = 0..plan.streams[stream].writes.len();
        let steps: Vec<Step<'_>> = writes.map(|write| Step::new(&plan, stream, write)).collect();
        let row_bytes = steps.iter().map(Step::row_bytes).sum::<usize>().max(1);
        let chunk = chunk.min((CHUNK_BYTES / row_bytes).max(CHUNK / 8));
        // The shards are on loan while the threads run.
        let mut tables = std::mem::take(&mut self.tables);
        let shards: Vec<usize> = steps.iter().map(|step| tables[step.table].iter().len()).collect();
        let owners = step::owners(&steps, &shards, threads, &plan.streams[stream]);
        let mut workers = step::lend(&steps, &mut tables, &owners);
        let mut own = workers.remove(0);
        let outcome = thread::scope(|scope| {
            let mut lines = Vec::new();
            for mut worker in workers {
                let (to, inbox) = sync_channel::<(Arc<Vec<Part>>, Answers)>(CHUNKS_MAX);
                let (outbox, from) = sync_channel::<Answers>(CHUNKS_MAX);
                scope.spawn(move || worker.serve(&inbox, &outbox));
                lines.push(Line { to, from });
            }
            let event = Event::default();
            let mut batch =
                Batch { stream, plan: &plan, steps: &steps, owners: &owners, lines, chunk, event, failed: None };
            let outcome = self.push_chunks(&mut batch, rows, &mut own, read, emit);
            // Without their lines the workers come to their end, which the scope waits for.
            batch.failed.take().map_or(outcome, |error| Err(BatchError::Emit(error)))
        });
        self.tables = tables;
        self.bound_journal();
        outcome
    }

    fn push_chunks<E>(
        &mut self,
        batch: &mut Batch<'_, E>,
        rows: usize,
        own: &mut Worker<'_>,
        read: &mut impl FnMut(&mut Event) -> Result<(), EventError>,
        emit: &mut impl FnMut(&FeatureRow) -> Result<(), E>,
    ) -> Result<(), BatchError<E>> {
        let mut waiting: VecDeque<Chunk> = VecDeque::new();
        let mut spare: Vec<Chunk> = Vec::new();
        let (mut row, mut refused) = (0, None);
        loop {
            let mut chunk = spare.pop().unwrap_or_else(|| {
                Chunk::new(batch.owners, 1 + batch.lines.len(), Kept::new(&batch.plan.streams[batch.stream]))
            });
            chunk.clear();
            if refused.is_none() && batch.failed.is_none() && row < rows {
                refused = self.admit(batch, rows - row, &mut chunk, read).err();
                row += chunk.len;
            }
            let is_last = chunk.len == 0;
            if !is_last {
                for (number, line) in batch.lines.iter().enumerate() {
                    let answers = std::mem::take(&mut chunk.answers[1 + number]);
                    line.to.send((Arc::clone(&chunk.parts), answers)).expect("a worker waits for its rows");
                }
                own.take_in(&chunk.parts, &mut chunk.answers[0]);
                waiting.push_back(chunk);
            }
            // While others take in this chunk, the rows of the one before it are made.
            while waiting.len() > usize::from(!is_last) {
                let mut chunk = waiting.pop_front().expect("one is waiting");
                for (number, line) in batch.lines.iter().enumerate() {
                    chunk.answers[1 + number] = line.from.recv().expect("a worker gives its answers");
                }
                self.make_rows(batch, &mut chunk, emit);
                spare.push(chunk);
            }
            if is_last {
                return refused.map_or(Ok(()), |error| Err(BatchError::Event { error, row }));
            }
        }
    }

    /// Reads and admits the next events: what each table is to take in.
    fn admit<E>(
        &mut self,
        batch: &mut Batch<'_, E>,
        rows: usize,
        chunk: &mut Chunk,
        read: &mut impl FnMut(&mut Event) -> Result<(), EventError>,
    ) -> Result<(), EventError> {
        let (stream, plan) = (batch.stream, batch.plan);
        let stream_plan = &plan.streams[stream];
        let parts = Arc::get_mut(&mut chunk.parts).expect("workers have let go of what they have taken in");
        let (mut record, mut key_bytes) = (Vec::new(), Vec::new());
        for _ in 0..rows.min(batch.chunk) {
            let event = &mut batch.event;
            read(event)?;
            let Value::Time(t) = event.values[stream_plan.schema.time_column] else {
                unreachable!("a schema accepts no event without a time")
            };
            if let Some(newest) = self.newest(stream).filter(|_| self.mark_of(stream).is_some_and(|mark| t < mark)) {
                return Err(self.refuse_late(stream, t, newest));
            }
            stream_plan.before.run(event, &mut self.lookups.context(plan.ticks_per_second, true));
            let _is_due = self.accept(stream, t, event);
            let number = self.clocks[stream].events;
            for (step, part) in batch.steps.iter().zip(&mut *parts) {
                let mark = mark(plan, step.plan, &self.clocks);
                let key = &stream_plan.writes[step.write].key;
                if let Some(records) = part.add(step.plan, key, event, (t, mark, number), &mut key_bytes) {
                    fill(step.plan, event, t, &mut record, &mut self.interner);
                    records.extend_from_slice(&record);
                }
            }
            chunk.kept.keep(event);
            chunk.len += 1;
        }
        Ok(())
    }

    /// Makes the rows of what the shards have answered.
    fn make_rows<E>(
        &mut self,
        batch: &mut Batch<'_, E>,
        chunk: &mut Chunk,
        emit: &mut impl FnMut(&FeatureRow) -> Result<(), E>,
    ) {
        let stream_plan = &batch.plan.streams[batch.stream];
        let ticks = batch.plan.ticks_per_second;
        let mut cells = Cells::default();
        cells.values.resize(stream_plan.cells, NULL);
        cells.wides.resize(stream_plan.wides, 0);
        // How many of the rows of each shard have been made, by step.
        let mut made: Vec<Vec<usize>> = batch.owners.iter().map(|owners| vec![0; owners.len()]).collect();
        for index in 0..chunk.len {
            let event = &mut batch.event;
            chunk.kept.give(index, event);
            for (number, step) in batch.steps.iter().enumerate() {
                let shard = usize::from(chunk.parts[number].shard_of[index]);
                let answered = &chunk.answers[batch.owners[number][shard]].0[number][shard].cells;
                let place = &mut made[number][shard];
                let answers = &answered.values[*place * step.cells.len()..];
                step.cells.iter().zip(answers).for_each(|(&cell, &answer)| cells.values[cell] = answer);
                let wides = &answered.wides[*place * step.wides.len()..];
                step.wides.iter().zip(wides).for_each(|(&wide, &answer)| cells.wides[wide] = answer);
                *place += 1;
            }
            let mut context = self.lookups.context(ticks, true);
            finish(stream_plan, event, &cells, &self.interner, &mut self.row, &mut context);
            if !stream_plan.outputs.is_empty() && batch.failed.is_none() {
                batch.failed = emit(&self.row).err();
            }
        }
        for answered in chunk.answers.iter_mut().flat_map(|answers| &mut answers.0).flatten() {
            answered.released.drain(..).for_each(|id| self.interner.release(id));
        }
    }
}

/// What the threads of a batch work from.
struct Batch<'a, E> {
    stream: usize,
    plan: &'a Plan,
    steps: &'a [Step<'a>],
    /// By step and shard, which thread's it is; 0 is this one.
    owners: &'a [Vec<usize>],
    lines: Vec<Line>,
    /// Rows of a chunk.
    chunk: usize,
    /// The event that is read, or whose row is made.
    event: Event,
    /// Why rows are taken no more.
    failed: Option<E>,
}

/// To a worker and back.
struct Line {
    to: SyncSender<(Arc<Vec<Part>>, Answers)>,
    from: Receiver<Answers>,
}

/// Some rows on their way.
struct Chunk {
    len: usize,
    /// What their rows will need of the events.
    kept: Kept,
    /// By step.
    parts: Arc<Vec<Part>>,
    /// By thread.
    answers: Vec<Answers>,
}

impl Chunk {
    fn new(owners: &[Vec<usize>], threads: usize, kept: Kept) -> Self {
        Self {
            len: 0,
            kept,
            parts: Arc::new(owners.iter().map(|owners| Part::new(owners.len())).collect()),
            answers: (0..threads).map(|_| Answers::new(owners)).collect(),
        }
    }

    fn clear(&mut self) {
        self.len = 0;
        self.kept.clear();
        let parts = Arc::get_mut(&mut self.parts).expect("workers have let go of what they have taken in");
        parts.iter_mut().for_each(Part::clear);
    }
}

/// Whether a lane looks at texts, not only at their numbers.
pub(crate) fn needs_texts(lane: &LanePlan) -> bool {
    matches!(lane, LanePlan::Registers { .. } | LanePlan::Tally { .. } | LanePlan::Rank { .. })
}

fn gives_lists(read: &ReadPlan) -> bool {
    let is_list = |what| matches!(what, What::LastK(_) | What::TopK(_));
    read.lanes.iter().flat_map(|lane| &lane.jobs).any(|job| is_list(job.what))
}
