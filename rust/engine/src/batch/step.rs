//! One table on its way through a batch.

use super::chunk::Chunk;
use crate::plan::{Job, Plan, ReadLane, ReadPlan, TablePlan, Target};
use crate::state::many::{Answered, Many, Part, Row, Scratch};
use crate::state::shards::Shards;
use crate::state::table::Table;

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

    /// Those of a stream.
    pub fn all(plan: &'a Plan, stream: usize) -> Vec<Self> {
        (0..plan.streams[stream].writes.len()).map(|write| Self::new(plan, stream, write)).collect()
    }

    pub fn many(&self) -> Many<'_> {
        Many { plan: self.plan, read: self.read.as_ref(), ticks_per_second: self.ticks_per_second }
    }

    /// Bytes that a row takes on its way, about.
    pub fn row_bytes(&self) -> usize {
        8 * (self.cells.len() + self.wides.len() + self.plan.shape.words_of(1)) + size_of::<Row>()
    }
}

/// Where a thing stands, at the end when it was not there.
fn place_of(things: &mut Vec<usize>, wanted: usize) -> usize {
    things.iter().position(|&thing| thing == wanted).unwrap_or_else(|| {
        things.push(wanted);
        things.len() - 1
    })
}

/// A shard of a table, and what it is to take in.
pub(super) struct Task<'a> {
    step: &'a Step<'a>,
    shard: usize,
    table: &'a mut Table,
    /// Chunk after chunk.
    rows: Vec<(&'a Part, &'a mut Answered)>,
}

impl<'a> Task<'a> {
    /// All shards of the tables of a stream.
    pub fn all(steps: &'a [Step<'a>], tables: &'a mut [Shards], chunks: &'a mut [Chunk]) -> Vec<Self> {
        let mut rows: Vec<Vec<Vec<_>>> = steps.iter().map(|_| Vec::new()).collect();
        for chunk in chunks {
            for ((rows, part), answers) in rows.iter_mut().zip(&chunk.parts).zip(&mut chunk.answers) {
                rows.resize_with(answers.len(), Vec::new);
                rows.iter_mut().zip(answers).for_each(|(rows, answered)| rows.push((part, answered)));
            }
        }
        let mut tasks = Vec::new();
        for (number, shards) in tables.iter_mut().enumerate() {
            let Some(place) = steps.iter().position(|step| step.table == number) else { continue };
            let rows = std::mem::take(&mut rows[place]);
            for ((shard, table), rows) in shards.iter_mut().enumerate().zip(rows) {
                tasks.push(Self { step: &steps[place], shard, table, rows });
            }
        }
        tasks
    }

    /// About what it costs, in answers.
    fn weight(&self) -> usize {
        let rows: usize = self.rows.iter().map(|(part, _)| part.shards[self.shard].rows.len()).sum();
        rows * (8 + self.step.cells.len())
    }

    /// Answers and stores its rows.
    pub fn run(&mut self, scratch: &mut Scratch) {
        let step = self.step;
        for (part, answered) in &mut self.rows {
            answered.begin(part.shards[self.shard].rows.len(), step.cells.len(), step.wides.len());
            self.table.take_in(&step.many(), part, self.shard, scratch, answered);
        }
    }
}

/// What each thread has to do: much first, and then what there is to who has least.
pub(super) fn share(mut tasks: Vec<Task<'_>>, threads: usize) -> Vec<Vec<Task<'_>>> {
    tasks.sort_by_key(|task| std::cmp::Reverse(task.weight()));
    let mut shares: Vec<(usize, Vec<Task<'_>>)> = (0..threads).map(|_| (0, Vec::new())).collect();
    for task in tasks {
        let (load, tasks) = shares.iter_mut().min_by_key(|(load, _)| *load).expect("there is a thread");
        *load += task.weight();
        tasks.push(task);
    }
    shares.into_iter().map(|(_, tasks)| tasks).collect()
}
