//! Many events of one stream: a loop over `Engine::push`, or its steps over chunks of rows, so that the rows of a key are answered together,
//! and threads work beside each other.
//!
//! What a shard does with a row depends on that shard alone, and what is known from an event on that event. So threads read the events of a chunk
//! each (`chunk`), then have shards take them in, each with those of all chunks in order (`state/many`), and then make the rows of a chunk each
//! (`made`). What depends on the order of the events, the clock and the numbers of texts, is done in between. The bits and the state are those of
//! the loop.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

use crate::aggregate::What;
use crate::definition::{FieldKind, OnLate};
use crate::engine::{Clock, Engine, finish};
use crate::error::EventError;
use crate::event::Event;
use crate::plan::{LanePlan, Plan, ReadPlan, StreamPlan, TablePlan, WritePlan};
use crate::row::{FeatureRow, NULL};
use crate::state::Cells;
use crate::state::many::{Many, Scratch};

mod aside;
mod chunk;
mod columns;
mod kept;
mod made;
mod step;
mod texts;

pub(crate) use aside::{Aside, with_aside};
use chunk::{Chunk, Reading, Refused};
pub use columns::{Column, Source};
use made::Making;
pub use made::{Block, Piece};
use step::{Step, Task};

/// Below so many rows threads cost more than they bring.
const ROWS_MIN: usize = 4_096;
/// Of fewer rows one thread takes one by one, and several take `ROWS_FEW` at a time: what more of them take on their way would be much beside the
/// state of an engine that is given such tables.
const TOGETHER_MIN: usize = 1 << 16;
const ROWS_FEW: usize = 3_072;
/// Rows of a chunk at most, and what their number is a multiple of.
const CHUNK_MAX: usize = 1 << 16;
const CHUNK_STEP: usize = 64;
/// Bytes that rows take on their way, about, at most.
const BYTES_MAX: usize = 128 << 20;
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

/// Takes the rows of a batch. A closure takes them one by one.
pub trait Sink {
    /// Why a row could not be taken.
    type Error;
    /// Room for some rows.
    type Piece<'a>: Piece + 'a
    where
        Self: 'a;

    /// Takes the next row.
    ///
    /// # Errors
    /// It cannot be taken.
    fn push(&mut self, row: &FeatureRow) -> Result<(), Self::Error>;

    /// Room for the next rows, so many in each piece, to be filled side by side; `None` where rows are taken one by one. Not asked where features
    /// are texts.
    fn pieces(&mut self, rows: &[usize]) -> Option<Vec<Self::Piece<'_>>>;
}

impl<F, E> Sink for F
where
    F: FnMut(&FeatureRow) -> Result<(), E>,
{
    type Error = E;
    type Piece<'a>
        = Infallible
    where
        Self: 'a;

    fn push(&mut self, row: &FeatureRow) -> Result<(), E> {
        self(row)
    }

    fn pieces(&mut self, _: &[usize]) -> Option<Vec<Infallible>> {
        None
    }
}

impl Piece for Infallible {
    fn take(&mut self, _: &Block) {
        match *self {}
    }
}

impl Engine {
    /// Pushes `rows` events of a stream, which `source` has, and gives the rows to `sink`. Uses so many threads at
    /// most, this one included.
    ///
    /// # Errors
    /// The first event that `source` or `push` refuses, or that `sink` cannot take the row of. Where rows are many, or threads, some events after a
    /// row that `sink` refused have been pushed too.
    pub fn push_rows<S: Sink>(
        &mut self,
        stream: usize,
        rows: usize,
        threads: usize,
        source: &impl Source,
        sink: &mut S,
    ) -> Result<(), BatchError<S::Error>> {
        let chunk = if rows >= TOGETHER_MIN && self.goes_together(stream) {
            let waves = rows.div_ceil(threads * CHUNK_MAX);
            rows.div_ceil(waves * threads)
        } else if threads > 1 && rows >= ROWS_MIN {
            ROWS_FEW.div_ceil(threads)
        } else {
            0
        };
        self.push_rows_by(chunk, stream, rows, threads, source, sink)
    }

    /// As `push_rows`, about so many rows at a time on each thread where the features let it; 0 for a loop over `push`. Rows and state do not
    /// depend on it.
    ///
    /// # Errors
    /// Those of `push_rows`.
    pub fn push_rows_by<S: Sink>(
        &mut self,
        chunk: usize,
        stream: usize,
        rows: usize,
        threads: usize,
        source: &impl Source,
        sink: &mut S,
    ) -> Result<(), BatchError<S::Error>> {
        if chunk > 0 && self.goes_in_steps(stream) {
            return self.push_in_steps((stream, chunk), rows, threads.max(1), source, sink);
        }
        let mut event = Event::default();
        for row in 0..rows {
            let pushed = source.read(row, &mut event).and_then(|()| self.push(stream, &mut event));
            if pushed.map_err(|error| BatchError::Event { error, row })? {
                sink.push(self.row()).map_err(BatchError::Emit)?;
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

    fn push_in_steps<S: Sink>(
        &mut self,
        (stream, chunk): (usize, usize),
        rows: usize,
        threads: usize,
        source: &impl Source,
        sink: &mut S,
    ) -> Result<(), BatchError<S::Error>> {
        let plan = Arc::clone(&self.plan);
        let steps = Step::all(&plan, stream);
        let marks_max: Vec<i64> = steps.iter().map(|step| marks_max(&plan, step.plan, stream, &self.clocks)).collect();
        let row_bytes = steps.iter().map(Step::row_bytes).sum::<usize>().max(1);
        let chunk = chunk.min(BYTES_MAX / row_bytes / threads).next_multiple_of(CHUNK_STEP);
        let shards: Vec<usize> = steps.iter().map(|step| self.tables[step.table].iter().len()).collect();
        let mut batch = Batch {
            stream,
            plan: &plan,
            steps: &steps,
            marks_max: &marks_max,
            slots: chunk::slots(&plan.streams[stream], &steps),
            chunks: Vec::new(),
            scratch: Vec::new(),
        };
        batch.scratch.resize_with(threads, Scratch::default);
        let mut row = 0;
        let mut outcome = Ok(());
        while row < rows && outcome.is_ok() {
            let ends =
                (0..threads).map(|thread| (row + thread * chunk).min(rows)..(row + (thread + 1) * chunk).min(rows));
            let wanted: Vec<Range<usize>> = ends.filter(|rows| !rows.is_empty()).collect();
            row = wanted.last().map_or(rows, |last| last.end);
            let refused = self.read_chunks(&mut batch, &shards, &wanted, source);
            self.take_in_chunks(&mut batch);
            outcome = self.make_rows(&mut batch, sink).map_err(BatchError::Emit);
            if let Some((error, row)) = refused.filter(|_| outcome.is_ok()) {
                outcome = Err(BatchError::Event { error, row });
            }
        }
        self.bound_journal();
        outcome
    }

    /// Reads the next events, each thread those of a chunk: what each table is to take in. The first that is refused, and why.
    fn read_chunks(
        &mut self,
        batch: &mut Batch<'_>,
        shards: &[usize],
        wanted: &[Range<usize>],
        source: &impl Source,
    ) -> Option<(EventError, usize)> {
        let (stream, plan) = (batch.stream, batch.plan);
        let Self { lookups, clocks, journal, .. } = self;
        let (before, newest) = (clocks[stream].events, clocks[stream].newest);
        let reading = Reading {
            plan: &plan.streams[stream],
            steps: batch.steps,
            marks_max: batch.marks_max,
            slots: batch.slots.as_deref(),
            lookups,
            ticks_per_second: plan.ticks_per_second,
        };
        let mut chunks = std::mem::take(&mut batch.chunks);
        chunks.resize_with(wanted.len(), || Chunk::new(&reading, shards));
        let events = |rows: &Range<usize>| before + (rows.start - wanted[0].start) as u64;
        if journal.is_none() {
            let work = chunks.iter_mut().zip(wanted).collect();
            side_by_side(work, |(chunk, rows)| {
                if !chunk.read_columns(&reading, rows.clone(), (events(rows), newest), source) {
                    chunk.read(&reading, rows.clone(), (events(rows), newest), source, &mut |_, _| ());
                }
            });
        }
        // In order: how new the events before a chunk are, and whether all of them are there.
        let mut newest = newest;
        let mut is_over = false;
        for (chunk, rows) in chunks.iter_mut().zip(wanted) {
            if is_over {
                chunk.clear();
                continue;
            }
            if journal.is_some() || !chunk.follow(&reading, newest) {
                let mut accept = |t: i64, event: &Event| {
                    journal.as_mut().map(|journal| journal.event(stream, t, event));
                };
                chunk.read(&reading, rows.clone(), (events(rows), newest), source, &mut accept);
            }
            newest = chunk.newest;
            is_over = chunk.refused.is_some();
        }
        let mut refused = None;
        for chunk in &mut chunks {
            self.lookups.add_misses(&chunk.misses);
            chunk.texts.acquire(&mut self.interner);
            let clock = &mut self.clocks[stream];
            clock.newest = clock.newest.max(chunk.newest.filter(|_| !chunk.rows.is_empty()));
            clock.events += chunk.rows.len() as u64;
            let end = chunk.rows.end;
            refused = match chunk.refused.take() {
                Some(Refused::Event(error)) => Some((error, end)),
                Some(Refused::Late(t, newest)) => Some((self.refuse_late(stream, t, newest), end)),
                None => refused,
            };
        }
        if chunks.iter().any(|chunk| !chunk.texts.ids.is_empty()) {
            side_by_side(chunks.iter_mut().collect(), |chunk: &mut Chunk| {
                let Chunk { parts, texts, .. } = chunk;
                parts.iter_mut().zip(batch.steps).for_each(|(part, step)| part.renumber(step.plan, &texts.ids));
            });
        }
        batch.chunks = chunks;
        refused
    }

    /// Has the shards take in the rows of the chunks, as evenly as can be on the threads.
    fn take_in_chunks(&mut self, batch: &mut Batch<'_>) {
        let tasks = Task::all(batch.steps, &mut self.tables, &mut batch.chunks);
        let shares = step::share(tasks, batch.scratch.len());
        let work = shares.into_iter().zip(&mut batch.scratch).collect();
        side_by_side(work, |(tasks, scratch): (Vec<Task<'_>>, &mut Scratch)| {
            tasks.into_iter().for_each(|mut task| task.run(scratch));
        });
    }

    /// Makes the rows of what the shards have answered.
    fn make_rows<S: Sink>(&mut self, batch: &mut Batch<'_>, sink: &mut S) -> Result<(), S::Error> {
        let plan = &batch.plan.streams[batch.stream];
        let mut outcome = Ok(());
        if !plan.outputs.is_empty() {
            let rows: Vec<usize> = batch.chunks.iter().map(|chunk| chunk.rows.len()).collect();
            let has_pieces = !has_texts(plan) && {
                let pieces = sink.pieces(&rows);
                let is_some = pieces.is_some();
                pieces.into_iter().for_each(|pieces| self.make_pieces(batch, pieces));
                is_some
            };
            if !has_pieces {
                outcome = batch.chunks.iter().try_for_each(|chunk| self.make_one_by_one(batch, chunk, sink));
            }
        }
        for answered in batch.chunks.iter_mut().flat_map(|chunk| &mut chunk.answers).flatten() {
            answered.released.drain(..).for_each(|id| self.interner.release(id));
        }
        outcome
    }

    /// Each thread makes those of a chunk.
    fn make_pieces(&mut self, batch: &mut Batch<'_>, pieces: Vec<impl Piece>) {
        let plan = &batch.plan.streams[batch.stream];
        let ticks = batch.plan.ticks_per_second;
        let making = Making::new(plan, batch.steps, &self.lookups, &self.interner, ticks);
        let work = batch.chunks.iter_mut().zip(pieces).collect();
        side_by_side(work, |(chunk, mut piece)| {
            let mut misses = std::mem::take(&mut chunk.misses);
            misses.clear();
            making.make(chunk, &mut misses, &mut piece);
            chunk.misses = misses;
        });
        batch.chunks.iter().for_each(|chunk| self.lookups.add_misses(&chunk.misses));
    }

    fn make_one_by_one<S: Sink>(&mut self, batch: &Batch<'_>, chunk: &Chunk, sink: &mut S) -> Result<(), S::Error> {
        let stream_plan = &batch.plan.streams[batch.stream];
        let mut event = Event::default();
        let mut cells = Cells::default();
        cells.values.resize(stream_plan.cells, NULL);
        cells.wides.resize(stream_plan.wides, 0);
        for index in 0..chunk.rows.len() {
            chunk.kept.give(index, &mut event);
            for (step, (part, answers)) in batch.steps.iter().zip(chunk.parts.iter().zip(&chunk.answers)) {
                let (answered, place) = (&answers[usize::from(part.shard_of[index])], part.place_of[index] as usize);
                let values = step.cells.iter().zip(answered.values_of(place));
                values.for_each(|(&cell, &answer)| cells.values[cell] = answer);
                let wides = step.wides.iter().zip(answered.wides_of(place));
                wides.for_each(|(&wide, &answer)| cells.wides[wide] = answer);
            }
            let mut context = self.lookups.context(batch.plan.ticks_per_second, true);
            finish(stream_plan, &mut event, &cells, &self.interner, &mut self.row, &mut context);
            sink.push(&self.row)?;
        }
        Ok(())
    }
}

/// What the threads of a batch work from.
struct Batch<'a> {
    stream: usize,
    plan: &'a Plan,
    steps: &'a [Step<'a>],
    /// By step, what the marks are at most as other streams read the table.
    marks_max: &'a [i64],
    /// What is needed of the events, where it can be taken as columns.
    slots: Option<Vec<usize>>,
    chunks: Vec<Chunk>,
    /// By thread.
    scratch: Vec<Scratch>,
}

/// Works on some things, on a thread each; this one is the first's.
fn side_by_side<T: Send>(things: Vec<T>, work: impl Fn(T) + Sync) {
    let mut things = things.into_iter();
    let Some(own) = things.next() else { return };
    thread::scope(|scope| {
        for other in things {
            let work = &work;
            scope.spawn(move || work(other));
        }
        work(own);
    });
}

/// What the mark of a table is at most as streams read it beside its own: none of their rows to come is earlier.
pub(crate) fn marks_max(plan: &Plan, table: &TablePlan, stream: usize, clocks: &[Clock]) -> i64 {
    let others = table.readers.iter().filter(|&&reader| reader != stream);
    // A reader without events may begin anywhere.
    let mark = |&reader: &usize| {
        clocks[reader].newest.map_or(i64::MIN, |newest| newest.saturating_sub(plan.streams[reader].lateness))
    };
    others.map(mark).min().unwrap_or(i64::MAX)
}

/// Whether some features are texts.
pub(crate) fn has_texts(plan: &StreamPlan) -> bool {
    plan.outputs.iter().any(|output| output.list || output.kind == FieldKind::String)
}

/// Whether a lane looks at texts, not only at their numbers.
pub(crate) fn needs_texts(lane: &LanePlan) -> bool {
    matches!(lane, LanePlan::Registers { .. } | LanePlan::Tally { .. } | LanePlan::Rank { .. })
}

fn gives_lists(read: &ReadPlan) -> bool {
    let is_list = |what| matches!(what, What::LastK(_) | What::TopK(_));
    read.lanes.iter().flat_map(|lane| &lane.jobs).any(|job| is_list(job.what))
}
