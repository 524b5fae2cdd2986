//! Many events of one stream: a loop over `Engine::push`, or its steps over chunks of rows, so that shards of tables are worked on beside
//! each other.
//!
//! What a shard does with a row depends on that shard alone. So this thread admits the events of a chunk in order, the shards take them in, each
//! in that order, on this thread or another, and then the rows are made of their answers. The bits and the state are those of the loop.

use std::collections::VecDeque;
use std::sync::Arc;
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
use crate::state::shards::{self, Shards};
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
        // The shards are on loan while the threads run.
        let mut tables = std::mem::take(&mut self.tables);
        let shards: Vec<usize> = steps.iter().map(|step| tables[step.table].iter().len()).collect();
        let owners = owners(&steps, &shards, threads, &plan.streams[stream]);
        let mut workers = lend(&steps, &mut tables, &owners);
        let mut own = workers.remove(0);
        let outcome = thread::scope(|scope| {
            let mut lines = Vec::new();
            for mut worker in workers {
                let (to, inbox) = sync_channel::<(Arc<Vec<Part>>, Answers)>(CHUNKS_MAX);
                let (outbox, from) = sync_channel::<Answers>(CHUNKS_MAX);
                scope.spawn(move || worker.serve(&inbox, &outbox));
                lines.push(Line { to, from });
            }
            let mut batch = Batch { stream, plan: &plan, steps: &steps, owners: &owners, lines, failed: None };
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
            let mut chunk = spare.pop().unwrap_or_else(|| Chunk::new(batch.steps.len(), 1 + batch.lines.len()));
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
        batch: &Batch<'_, E>,
        rows: usize,
        chunk: &mut Chunk,
        read: &mut impl FnMut(&mut Event) -> Result<(), EventError>,
    ) -> Result<(), EventError> {
        let (stream, plan) = (batch.stream, batch.plan);
        let stream_plan = &plan.streams[stream];
        let parts = Arc::get_mut(&mut chunk.parts).expect("workers have let go of what they have taken in");
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
            let number = self.clocks[stream].events;
            for ((step, part), owners) in batch.steps.iter().zip(&mut *parts).zip(batch.owners) {
                let start = part.keys.len();
                let keyed = key::encode(&stream_plan.writes[step.write].key, event, &mut part.keys);
                let (hash, end) = (key::hash(&part.keys[start..]), part.keys.len());
                let mark = mark(plan, step.plan, &self.clocks);
                let shard = shards::shard_of(hash, owners.len() - 1) as u16;
                part.rows.push(Row { t, mark, hash, start, end, event: number, shard, keyed });
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
        // How many of the rows that each thread has answered have been made, by step.
        let mut made = vec![vec![0; batch.steps.len()]; chunk.answers.len()];
        for (index, event) in chunk.events[..chunk.len].iter_mut().enumerate() {
            for (number, step) in batch.steps.iter().enumerate() {
                let thread = batch.owners[number][usize::from(chunk.parts[number].rows[index].shard)];
                let answered = &chunk.answers[thread].0[number];
                let place = &mut made[thread][number];
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
        for answered in chunk.answers.iter_mut().flat_map(|answers| &mut answers.0) {
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
    events: Vec<Event>,
    /// By step.
    parts: Arc<Vec<Part>>,
    /// By thread.
    answers: Vec<Answers>,
}

/// What one table takes in of a chunk.
#[derive(Default)]
struct Part {
    keys: Vec<u8>,
    rows: Vec<Row>,
    records: Vec<u64>,
}

/// What one thread answers to a chunk, by step.
#[derive(Default)]
struct Answers(Vec<Answered>);

/// What the shards of one thread answer to the rows of one table that are theirs, one after the other.
#[derive(Default)]
struct Answered {
    values: Vec<f64>,
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
    /// The stream's number of the event.
    event: u64,
    /// Shard of the key.
    shard: u16,
    /// False where a part of the key is null.
    keyed: bool,
}

impl Chunk {
    fn new(steps: usize, threads: usize) -> Self {
        let answers = || Answers((0..steps).map(|_| Answered::default()).collect());
        Self {
            len: 0,
            events: Vec::new(),
            parts: Arc::new((0..steps).map(|_| Part::default()).collect()),
            answers: (0..threads).map(|_| answers()).collect(),
        }
    }

    fn clear(&mut self) {
        self.len = 0;
        for part in Arc::get_mut(&mut self.parts).expect("workers have let go of what they have taken in") {
            part.keys.clear();
            part.rows.clear();
            part.records.clear();
        }
        for answered in self.answers.iter_mut().flat_map(|answers| &mut answers.0) {
            answered.values.clear();
            answered.wides.clear();
        }
    }
}

/// The shards of one thread, by step and number.
struct Worker<'a> {
    steps: &'a [Step<'a>],
    shards: Vec<Vec<Option<&'a mut Table>>>,
    cells: Cells,
    /// Which rows are its.
    own: Vec<u32>,
}

impl Worker<'_> {
    fn serve(&mut self, inbox: &Receiver<(Arc<Vec<Part>>, Answers)>, outbox: &SyncSender<Answers>) {
        for (parts, mut answers) in inbox {
            self.take_in(&parts, &mut answers);
            drop(parts);
            if outbox.send(answers).is_err() {
                return;
            }
        }
    }

    fn take_in(&mut self, parts: &[Part], answers: &mut Answers) {
        for (step, part) in parts.iter().enumerate() {
            let shards = &mut self.shards[step];
            self.own.clear();
            let is_own = |row: &Row| shards[usize::from(row.shard)].is_some();
            self.own.extend(part.rows.iter().enumerate().filter(|(_, row)| is_own(row)).map(|(index, _)| index as u32));
            self.steps[step].take_in(shards, part, &self.own, &mut self.cells, &mut answers.0[step]);
        }
    }
}

/// Lends every thread its shards.
fn lend<'a>(steps: &'a [Step<'a>], tables: &'a mut [Shards], owners: &[Vec<usize>]) -> Vec<Worker<'a>> {
    let threads = 1 + owners.iter().flatten().max().copied().unwrap_or(0);
    let none = |_| owners.iter().map(|owners| owners.iter().map(|_| None).collect()).collect();
    let mut lent: Vec<Vec<Vec<Option<&mut Table>>>> = (0..threads).map(none).collect();
    let step_of = |table: usize| steps.iter().position(|step| step.table == table);
    for (step, shards) in tables.iter_mut().enumerate().filter_map(|(table, shards)| Some((step_of(table)?, shards))) {
        for (shard, table) in shards.iter_mut().enumerate() {
            lent[owners[step][shard]][step][shard] = Some(table);
        }
    }
    let worker = |shards| Worker { steps, shards, cells: Cells::default(), own: Vec::new() };
    lent.into_iter().map(worker).collect()
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

    /// Answers and stores the rows of a part that are of these shards, one after the other.
    fn take_in(
        &self,
        shards: &mut [Option<&mut Table>],
        part: &Part,
        own: &[u32],
        cells: &mut Cells,
        answered: &mut Answered,
    ) {
        let Part { keys, rows, records } = part;
        let words = self.plan.shape.words_of(1);
        let mut texts = Interner::owing();
        cells.values.resize(self.sizes.0, NULL);
        cells.wides.resize(self.sizes.1, 0);
        let key_of = |row: &Row| Key { hash: row.hash, bytes: &keys[row.start..row.end] };
        let mut looked = 0;
        for (place, &index) in own.iter().enumerate() {
            let index = index as usize;
            self.expire(shards, &rows[looked..index], &mut texts);
            looked = index + 1;
            if let Some(next) = own.get(place + AHEAD).map(|&next| &rows[next as usize]).filter(|next| next.keyed) {
                let table = shards[usize::from(next.shard)].as_deref().expect("its shard is here");
                table.warm(table.find(key_of(next)));
            }
            let row = &rows[index];
            let table = shards[usize::from(row.shard)].as_deref_mut().expect("its shard is here");
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
                answered.values.extend(self.cells.iter().map(|&cell| cells.values[cell]));
                answered.wides.extend(self.wides.iter().map(|&wide| cells.wides[wide]));
            }
            if row.keyed {
                table.store(self.plan, found, key_of(row), record, row.mark, &mut texts);
            }
            self.expire(shards, std::slice::from_ref(row), &mut texts);
        }
        self.expire(shards, &rows[looked..], &mut texts);
        answered.released.extend(texts.owed());
    }

    /// Lets keys go that nothing can see any more, where it is the turn of one of these shards.
    fn expire(&self, shards: &mut [Option<&mut Table>], rows: &[Row], texts: &mut Interner) {
        for row in rows.iter().filter(|row| row.keyed) {
            let (turn, most) = shards::turn_of(row.event, shards.len() - 1);
            for table in shards[turn].iter_mut().flatten() {
                table.expire(self.plan, row.mark, most, texts);
            }
        }
    }

    /// About what it costs, in answers.
    fn weight(&self) -> usize {
        8 + self.cells.len()
    }
}

/// Which thread has which shards, by step and shard: this one, which has the events and the rows to do beside, is 0.
fn owners(steps: &[Step<'_>], shards: &[usize], threads: usize, plan: &StreamPlan) -> Vec<Vec<usize>> {
    let mut loads = vec![0; threads];
    let most = shards.iter().max().copied().unwrap_or(1);
    loads[0] = (8 + plan.outputs.len() / 2) * most;
    let mut owners: Vec<Vec<usize>> = shards.iter().map(|&shards| vec![0; shards]).collect();
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by_key(|&step| std::cmp::Reverse(steps[step].weight() * most / shards[step]));
    for step in order {
        for owner in &mut owners[step] {
            *owner = (0..threads).min_by_key(|&thread| loads[thread]).expect("this thread is one");
            loads[*owner] += steps[step].weight() * most / shards[step];
        }
    }
    owners
}
