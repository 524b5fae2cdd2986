//! Many events of one stream: a loop over `Engine::push`, or its steps over chunks of rows, so that tables are worked on beside each other.
//!
//! What a table does with a row depends on that table alone. So this thread admits the events of a chunk in order, the tables take them in, each
//! in that order, on this thread or another, and then the rows are made of their answers. The bits and the state are those of the loop.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::aggregate::What;
use crate::definition::OnLate;
use crate::engine::{Engine, fill, finish, mark};
use crate::error::EventError;
use crate::event::{Event, Value};
use crate::key;
use crate::plan::{LanePlan, Plan, ReadPlan, StreamPlan, TablePlan};
use crate::row::{FeatureRow, NULL};
use crate::state::answer::Question;
use crate::state::interner::Interner;
use crate::state::table::{Key, Table};
use crate::state::{Cells, Run};

/// Rows of a chunk.
const CHUNK: usize = 1_024;
/// So many rows ahead a key's state is asked for.
const AHEAD: usize = 6;
/// Chunks on their way at most.
const CHUNKS_MAX: usize = 3;
/// Below so many rows threads cost more than they bring.
const ROWS_MIN: usize = 4 * CHUNK;

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
    /// The first event that `read` or `push` refuses, or that `emit` cannot take the row of. With more than one thread some events after a row
    /// that `emit` refused have been pushed too.
    pub fn push_rows<E>(
        &mut self,
        stream: usize,
        rows: usize,
        threads: usize,
        read: &mut impl FnMut(&mut Event) -> Result<(), EventError>,
        emit: &mut impl FnMut(&FeatureRow) -> Result<(), E>,
    ) -> Result<(), BatchError<E>> {
        if threads > 1 && rows >= ROWS_MIN && self.goes_in_steps(stream) {
            return self.push_in_steps(stream, rows, threads, read, emit);
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
        let apart = |write: &crate::plan::WritePlan| {
            let table = &self.plan.tables[write.table];
            stores_alone(table) && !table.reads.iter().any(|read| gives_lists(read))
        };
        self.options.memory_limit.is_none()
            && self.options.idle_after.is_none()
            && plan.on_late == OnLate::Reject
            && plan.reads.iter().all(|read| read.own)
            && !plan.writes.is_empty()
            && plan.writes.iter().all(apart)
    }

    fn push_in_steps<E>(
        &mut self,
        stream: usize,
        rows: usize,
        threads: usize,
        read: &mut impl FnMut(&mut Event) -> Result<(), EventError>,
        emit: &mut impl FnMut(&FeatureRow) -> Result<(), E>,
    ) -> Result<(), BatchError<E>> {
        let plan = self.plan.clone();
        let writes = 0..plan.streams[stream].writes.len();
        let steps: Vec<Step<'_>> = writes.map(|write| Step::new(&plan, stream, write)).collect();
        let shares = shares(&steps, threads, &plan.streams[stream]);
        // The tables are on loan while the threads run.
        let mut tables: Vec<Option<Table>> = std::mem::take(&mut self.tables).into_iter().map(Some).collect();
        let mut lend = |share: &[usize]| {
            let lent = |&step: &usize| (step, tables[steps[step].table].take().expect("a stream writes a table once"));
            Worker { steps: &steps, tables: share.iter().map(lent).collect(), cells: Cells::default() }
        };
        let mut own = lend(&shares[0]);
        let others: Vec<Worker<'_>> = shares[1..].iter().map(|share| lend(share)).collect();
        let (outcome, lent) = thread::scope(|scope| {
            let (mut lines, mut handles) = (Vec::new(), Vec::new());
            for mut worker in others {
                let (to, inbox) = sync_channel::<Parts>(CHUNKS_MAX);
                let (outbox, from) = sync_channel::<Parts>(CHUNKS_MAX);
                handles.push(scope.spawn(move || {
                    worker.serve(&inbox, &outbox);
                    worker.tables
                }));
                lines.push(Line { to, from });
            }
            let mut batch = Batch { stream, plan: &plan, steps: &steps, shares: &shares, lines, failed: None };
            let outcome = self.push_chunks(&mut batch, rows, &mut own, read, emit);
            let failed = batch.failed.take();
            // Without their lines the workers come home.
            drop(batch);
            let home = |handle: thread::ScopedJoinHandle<'_, Vec<(usize, Table)>>| {
                handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            let lent: Vec<_> = handles.into_iter().flat_map(home).collect();
            (failed.map_or(outcome, |error| Err(BatchError::Emit(error))), lent)
        });
        for (step, table) in own.tables.into_iter().chain(lent) {
            tables[steps[step].table] = Some(table);
        }
        self.tables = tables.into_iter().map(|table| table.expect("every table has come home")).collect();
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
            let mut chunk = spare.pop().unwrap_or_else(|| Chunk::new(batch.steps.len()));
            chunk.clear();
            if refused.is_none() && batch.failed.is_none() && row < rows {
                refused = self.admit(batch, rows - row, &mut chunk, read).err();
                row += chunk.len;
            }
            let is_last = chunk.len == 0;
            if !is_last {
                for (line, share) in batch.lines.iter().zip(&batch.shares[1..]) {
                    line.to.send(chunk.take(share)).expect("a worker waits for its parts");
                }
                let mut parts = chunk.take(&batch.shares[0]);
                own.take_in(&mut parts);
                chunk.put(parts);
                waiting.push_back(chunk);
            }
            // While others take in this chunk, the rows of the one before it are made.
            while waiting.len() > usize::from(!is_last) {
                let mut chunk = waiting.pop_front().expect("one is waiting");
                for line in &batch.lines {
                    chunk.put(line.from.recv().expect("a worker gives its parts back"));
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
        batch: &Batch<'_, E>,
        rows: usize,
        chunk: &mut Chunk,
        read: &mut impl FnMut(&mut Event) -> Result<(), EventError>,
    ) -> Result<(), EventError> {
        let (stream, plan) = (batch.stream, batch.plan);
        let stream_plan = &plan.streams[stream];
        let mut record = Vec::new();
        for _ in 0..rows.min(CHUNK) {
            if chunk.events.len() == chunk.len {
                chunk.events.push(Event::default());
            }
            let event = &mut chunk.events[chunk.len];
            read(event)?;
            let Value::Time(t) = event.values[stream_plan.schema.time_column] else {
                unreachable!("a schema accepts no event without a time")
            };
            if let Some(newest) = self.newest(stream).filter(|_| self.mark_of(stream).is_some_and(|mark| t < mark)) {
                return Err(self.refuse_late(stream, t, newest));
            }
            stream_plan.before.run(event, &mut self.lookups.context(plan.ticks_per_second, true));
            let _is_due = self.accept(stream, t, event);
            for (step, part) in batch.steps.iter().zip(&mut chunk.parts) {
                let part = part.as_mut().expect("a chunk that is read has all its parts");
                let start = part.keys.len();
                let keyed = key::encode(&stream_plan.writes[step.write].key, event, &mut part.keys);
                let (hash, end) = (key::hash(&part.keys[start..]), part.keys.len());
                part.rows.push(Row { t, mark: mark(plan, step.plan, &self.clocks), hash, start, end, keyed });
                if keyed {
                    fill(step.plan, event, t, &mut record, &mut self.interner);
                    part.records.extend_from_slice(&record);
                } else {
                    part.records.resize(part.records.len() + step.plan.shape.words_of(1), 0);
                }
            }
            chunk.len += 1;
        }
        Ok(())
    }

    /// Makes the rows of what the tables have answered.
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
        for (index, event) in chunk.events[..chunk.len].iter_mut().enumerate() {
            for (step, part) in batch.steps.iter().zip(&chunk.parts) {
                let part = part.as_ref().expect("every part has come back");
                let answers = &part.answers[index * step.cells.len()..];
                step.cells.iter().zip(answers).for_each(|(&cell, &answer)| cells.values[cell] = answer);
                let wides = &part.wides[index * step.wides.len()..];
                step.wides.iter().zip(wides).for_each(|(&wide, &answer)| cells.wides[wide] = answer);
            }
            let mut context = self.lookups.context(ticks, true);
            finish(stream_plan, event, &cells, &self.interner, &mut self.row, &mut context);
            if !stream_plan.outputs.is_empty() && batch.failed.is_none() {
                batch.failed = emit(&self.row).err();
            }
        }
        for part in chunk.parts.iter_mut().flatten() {
            part.released.drain(..).for_each(|id| self.interner.release(id));
        }
    }
}

/// What the threads of a batch work from.
struct Batch<'a, E> {
    stream: usize,
    plan: &'a Plan,
    steps: &'a [Step<'a>],
    /// Which steps are whose, this thread's first.
    shares: &'a [Vec<usize>],
    lines: Vec<Line>,
    /// Why rows are taken no more.
    failed: Option<E>,
}

/// To a worker and back.
struct Line {
    to: SyncSender<Parts>,
    from: Receiver<Parts>,
}

/// Parts of a chunk, by step.
type Parts = Vec<(usize, Part)>;

/// Some rows on their way.
struct Chunk {
    len: usize,
    events: Vec<Event>,
    parts: Vec<Option<Part>>,
}

/// What one table takes in of a chunk, and answers.
#[derive(Default)]
struct Part {
    keys: Vec<u8>,
    rows: Vec<Row>,
    records: Vec<u64>,
    answers: Vec<f64>,
    wides: Vec<u64>,
    /// Texts that are used once less.
    released: Vec<u32>,
}

struct Row {
    t: i64,
    mark: i64,
    hash: u64,
    /// Where the key lies among those of the part.
    start: usize,
    end: usize,
    /// False where a part of the key is null.
    keyed: bool,
}

impl Chunk {
    fn new(steps: usize) -> Self {
        Self { len: 0, events: Vec::new(), parts: (0..steps).map(|_| Some(Part::default())).collect() }
    }

    fn clear(&mut self) {
        self.len = 0;
        for part in self.parts.iter_mut().flatten() {
            part.keys.clear();
            part.rows.clear();
            part.records.clear();
            part.answers.clear();
            part.wides.clear();
        }
    }

    fn take(&mut self, share: &[usize]) -> Parts {
        share.iter().map(|&step| (step, self.parts[step].take().expect("a part is in one place"))).collect()
    }

    fn put(&mut self, parts: Parts) {
        parts.into_iter().for_each(|(step, part)| self.parts[step] = Some(part));
    }
}

/// The tables of one thread, by step.
struct Worker<'a> {
    steps: &'a [Step<'a>],
    tables: Vec<(usize, Table)>,
    cells: Cells,
}

impl Worker<'_> {
    fn serve(&mut self, inbox: &Receiver<Parts>, outbox: &SyncSender<Parts>) {
        for mut parts in inbox {
            self.take_in(&mut parts);
            if outbox.send(parts).is_err() {
                return;
            }
        }
    }

    fn take_in(&mut self, parts: &mut Parts) {
        for ((step, table), (_, part)) in self.tables.iter_mut().zip(parts) {
            self.steps[*step].take_in(table, part, &mut self.cells);
        }
    }
}

/// Whether a table takes records in without the others, and without the texts themselves.
pub(crate) fn stores_alone(table: &TablePlan) -> bool {
    !table.has_past() && !table.lanes.iter().any(needs_texts)
}

/// Whether a lane looks at texts, not only at their numbers.
fn needs_texts(lane: &LanePlan) -> bool {
    matches!(lane, LanePlan::Registers { .. } | LanePlan::Tally { .. } | LanePlan::Rank { .. })
}

fn gives_lists(read: &ReadPlan) -> bool {
    let is_list = |what| matches!(what, What::LastK(_) | What::TopK(_));
    read.lanes.iter().flat_map(|lane| &lane.jobs).any(|job| is_list(job.what))
}

/// One table on its way through a batch.
struct Step<'a> {
    write: usize,
    table: usize,
    plan: &'a TablePlan,
    read: Option<&'a ReadPlan>,
    /// Where its answers go.
    cells: Vec<usize>,
    wides: Vec<usize>,
    sizes: (usize, usize),
    ticks_per_second: i64,
}

impl<'a> Step<'a> {
    fn new(plan: &'a Plan, stream: usize, write: usize) -> Self {
        let stream_plan = &plan.streams[stream];
        let write_plan = &stream_plan.writes[write];
        let read = write_plan.read.map(|read| &*stream_plan.reads[read]);
        let jobs = read.into_iter().flat_map(|read| &read.lanes).flat_map(|lane| &lane.jobs);
        let targets: Vec<_> = jobs.map(|job| job.target).collect();
        Self {
            write,
            table: write_plan.table,
            plan: &plan.tables[write_plan.table],
            read,
            cells: targets.iter().map(|target| target.cell).collect(),
            wides: targets.iter().filter_map(|target| target.wide).collect(),
            sizes: (stream_plan.cells, stream_plan.wides),
            ticks_per_second: plan.ticks_per_second,
        }
    }

    /// Answers and stores the rows of a part, one after the other.
    fn take_in(&self, table: &mut Table, part: &mut Part, cells: &mut Cells) {
        let Part { keys, rows, records, answers, wides, released } = part;
        let words = self.plan.shape.words_of(1);
        let mut texts = Interner::owing();
        cells.values.resize(self.sizes.0, NULL);
        cells.wides.resize(self.sizes.1, 0);
        let key_of = |row: &Row| Key { hash: row.hash, bytes: &keys[row.start..row.end] };
        for (index, row) in rows.iter().enumerate() {
            if let Some(next) = rows.get(index + AHEAD).filter(|next| next.keyed) {
                table.warm(table.find(key_of(next)));
            }
            let found = if row.keyed { table.find(key_of(row)) } else { None };
            let record = Run::new(&records[index * words..][..words], self.plan.shape, 1, 1);
            if let Some(read) = self.read {
                let question = Question {
                    plan: self.plan,
                    read,
                    t: row.t,
                    newcomer: row.keyed.then_some(record),
                    stores: true,
                    mark: None,
                    idle_after: None,
                    ticks_per_second: self.ticks_per_second,
                };
                table.answer(found, &question, &texts, cells);
                answers.extend(self.cells.iter().map(|&cell| cells.values[cell]));
                wides.extend(self.wides.iter().map(|&wide| cells.wides[wide]));
            }
            if row.keyed {
                table.store(self.plan, found, key_of(row), record, row.mark, &mut texts);
                table.expire(self.plan, row.mark, &mut texts);
            }
        }
        released.extend(texts.owed());
    }

    /// About what it costs, in answers.
    fn weight(&self) -> usize {
        8 + self.cells.len()
    }
}

/// Which steps are whose, this thread's first, which has the events and the rows to do beside.
fn shares(steps: &[Step<'_>], threads: usize, plan: &StreamPlan) -> Vec<Vec<usize>> {
    let mut loads = vec![0; threads.min(steps.len() + 1)];
    loads[0] = 8 + plan.outputs.len() / 2;
    let mut shares = vec![Vec::new(); loads.len()];
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by_key(|&step| std::cmp::Reverse(steps[step].weight()));
    for step in order {
        let least = (0..loads.len()).min_by_key(|&thread| loads[thread]).expect("this thread is one");
        loads[least] += steps[step].weight();
        shares[least].push(step);
    }
    // A thread without a table is none; this one has the events.
    let mut index = 0;
    shares.retain(|share| {
        index += 1;
        index == 1 || !share.is_empty()
    });
    shares
}
