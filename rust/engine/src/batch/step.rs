//! One table on its way through a batch, and who has which of its shards.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use crate::plan::{Job, Plan, ReadLane, ReadPlan, StreamPlan, TablePlan, Target};
use crate::state::many::{self, Answered, Many, Part, Row};
use crate::state::shards::Shards;
use crate::state::table::Table;

/// What one thread answers to a chunk, by step and shard.
#[derive(Default)]
pub(super) struct Answers(pub Vec<Vec<Answered>>);

impl Answers {
    pub fn new(owners: &[Vec<usize>]) -> Self {
        Self(owners.iter().map(|owners| owners.iter().map(|_| Answered::default()).collect()).collect())
    }
}

/// The shards of one thread, by step and number.
pub(super) struct Worker<'a> {
    steps: &'a [Step<'a>],
    shards: Vec<Vec<Option<&'a mut Table>>>,
    scratch: many::Scratch,
}

impl Worker<'_> {
    pub fn serve(&mut self, inbox: &Receiver<(Arc<Vec<Part>>, Answers)>, outbox: &SyncSender<Answers>) {
        for (parts, mut answers) in inbox {
            self.take_in(&parts, &mut answers);
            drop(parts);
            if outbox.send(answers).is_err() {
                return;
            }
        }
    }

    /// Answers and stores the rows of a chunk that are of its shards.
    pub fn take_in(&mut self, parts: &[Part], answers: &mut Answers) {
        for (number, (step, part)) in self.steps.iter().zip(parts).enumerate() {
            let many = Many { plan: step.plan, read: step.read.as_ref(), ticks_per_second: step.ticks_per_second };
            for (shard, table) in self.shards[number].iter_mut().enumerate() {
                let Some(table) = table else { continue };
                let answered = &mut answers.0[number][shard];
                answered.begin(part.shards[shard].rows.len(), step.cells.len(), step.wides.len());
                table.take_in(&many, part, shard, &mut self.scratch, answered);
            }
        }
    }
}

/// Lends every thread its shards.
pub(super) fn lend<'a>(steps: &'a [Step<'a>], tables: &'a mut [Shards], owners: &[Vec<usize>]) -> Vec<Worker<'a>> {
    let threads = 1 + owners.iter().flatten().max().copied().unwrap_or(0);
    let none = |_| owners.iter().map(|owners| owners.iter().map(|_| None).collect()).collect();
    let mut lent: Vec<Vec<Vec<Option<&mut Table>>>> = (0..threads).map(none).collect();
    let step_of = |table: usize| steps.iter().position(|step| step.table == table);
    for (step, shards) in tables.iter_mut().enumerate().filter_map(|(table, shards)| Some((step_of(table)?, shards))) {
        for (shard, table) in shards.iter_mut().enumerate() {
            lent[owners[step][shard]][step][shard] = Some(table);
        }
    }
    let worker = |shards| Worker { steps, shards, scratch: many::Scratch::default() };
    lent.into_iter().map(worker).collect()
}

/// One table on its way through a batch.
pub(super) struct Step<'a> {
    pub write: usize,
    pub table: usize,
    pub plan: &'a TablePlan,
    /// Its answers go one after the other.
    pub read: Option<ReadPlan>,
    /// Where they go then.
    pub cells: Vec<usize>,
    pub wides: Vec<usize>,
    ticks_per_second: i64,
}

impl<'a> Step<'a> {
    pub fn new(plan: &'a Plan, stream: usize, write: usize) -> Self {
        let stream_plan = &plan.streams[stream];
        let write_plan = &stream_plan.writes[write];
        let (mut cells, mut wides) = (Vec::new(), Vec::new());
        let read = write_plan.read.map(|read| {
            let mut read = ReadPlan::clone(&stream_plan.reads[read]);
            let mut place = |target: &mut Target| {
                *target = Target {
                    cell: place_of(&mut cells, target.cell),
                    wide: target.wide.map(|wide| place_of(&mut wides, wide)),
                };
            };
            let lanes = read.lanes.iter_mut().chain(&mut read.rest).map(|ReadLane { jobs, .. }| jobs);
            let jobs: Vec<&mut Vec<Job>> = lanes.chain(read.tail.jobs_mut()).collect();
            jobs.into_iter().flatten().for_each(|job| place(&mut job.target));
            read
        });
        let plan_of_table = &plan.tables[write_plan.table];
        let ticks_per_second = plan.ticks_per_second;
        Self { write, table: write_plan.table, plan: plan_of_table, read, cells, wides, ticks_per_second }
    }

    /// Bytes that a row takes on its way, about.
    pub fn row_bytes(&self) -> usize {
        8 * (self.cells.len() + self.wides.len() + self.plan.shape.words_of(1)) + size_of::<Row>()
    }

    /// About what it costs, in answers.
    fn weight(&self) -> usize {
        8 + self.cells.len()
    }
}

/// Where a thing stands, at the end when it was not there.
fn place_of(things: &mut Vec<usize>, wanted: usize) -> usize {
    things.iter().position(|&thing| thing == wanted).unwrap_or_else(|| {
        things.push(wanted);
        things.len() - 1
    })
}

/// Which thread has which shards, by step and shard: this one, which has the events and the rows to do beside, is 0.
pub(super) fn owners(steps: &[Step<'_>], shards: &[usize], threads: usize, plan: &StreamPlan) -> Vec<Vec<usize>> {
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
