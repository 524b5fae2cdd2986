//! Rows made of what the shards have answered, a block of them at once and column by column, by any thread.

use super::chunk::Chunk;
use super::step::Step;
use crate::engine::{finished, loaded};
use crate::event::{Event, Value};
use crate::lookup::Lookups;
use crate::plan::{Final, StreamPlan};
use crate::row::{FeatureRow, NULL};
use crate::state::Cells;
use crate::state::interner::Interner;

/// Rows of a block.
const ROWS: usize = 512;
/// Room of a column: columns of a power of two would all lie in the same lines of a cache.
const ROOM: usize = ROWS + 8;

/// Some rows, one after the other: of a stream without features that are texts.
#[derive(Debug)]
pub struct Block {
    len: usize,
    outputs: usize,
    values: Vec<f64>,
    exact: Vec<i64>,
}

impl Block {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.len
    }

    /// The doubles of a feature, as `FeatureRow::values` has them.
    pub fn values(&self, feature: usize) -> &[f64] {
        &self.values[feature * ROOM..][..self.len]
    }

    /// The exact values of one of the outputs' slots, as `FeatureRow::exact` has them.
    pub fn exact(&self, slot: usize) -> &[i64] {
        &self.exact[slot * ROOM..][..self.len]
    }

    /// One of the rows.
    pub fn row(&self, index: usize, row: &mut FeatureRow) {
        row.reset(self.outputs, self.exact.len() / ROOM);
        row.values.iter_mut().enumerate().for_each(|(feature, value)| *value = self.values[feature * ROOM + index]);
        row.exact.iter_mut().enumerate().for_each(|(slot, value)| *value = self.exact[slot * ROOM + index]);
    }
}

/// Takes rows, in order, on whatever thread they are made.
pub trait Piece: Send {
    /// Takes the next rows.
    fn take(&mut self, block: &Block);
}

/// How rows are made of answers.
pub(super) struct Making<'a> {
    plan: &'a StreamPlan,
    lookups: &'a Lookups,
    interner: &'a Interner,
    ticks_per_second: i64,
    /// By step, where its answers go: place among the answers of a row, and feature or exact slot of the row.
    values: Vec<Vec<(usize, usize)>>,
    exact: Vec<Vec<(usize, usize)>>,
    /// By step, what expressions need of its answers, with the cell or wide there.
    cells: Vec<Vec<(usize, usize)>>,
    wides: Vec<Vec<(usize, usize)>>,
    /// Features that an expression gives.
    slots: Vec<Final>,
}

impl<'a> Making<'a> {
    pub fn new(
        plan: &'a StreamPlan,
        steps: &[Step<'_>],
        lookups: &'a Lookups,
        interner: &'a Interner,
        ticks_per_second: i64,
    ) -> Self {
        let is_slot = |last: &&Final| matches!(last, Final::Slot { .. });
        let slots: Vec<Final> = plan.finals.iter().filter(is_slot).cloned().collect();
        let is_of_slot =
            |cell: usize| slots.iter().any(|last| matches!(last, Final::Slot { feature, .. } if *feature == cell));
        let of_answers = |cell: usize| (cell < plan.outputs.len() && !is_of_slot(cell)).then_some(cell);
        let exact_of = |step: &Step<'_>| {
            let place = |last: &Final| match *last {
                Final::Exact { wide, exact } => Some((step.wides.iter().position(|&own| own == wide)?, exact)),
                _ => None,
            };
            plan.finals.iter().filter_map(place).collect()
        };
        let is_loaded = |cell: usize| plan.loads.iter().any(|load| load.cell == cell).then_some(cell);
        let is_loaded_wide = |wide: usize| plan.loads.iter().any(|load| load.wide == Some(wide)).then_some(wide);
        Self {
            values: steps.iter().map(|step| chosen(&step.cells, of_answers)).collect(),
            exact: steps.iter().map(exact_of).collect(),
            cells: steps.iter().map(|step| chosen(&step.cells, is_loaded)).collect(),
            wides: steps.iter().map(|step| chosen(&step.wides, is_loaded_wide)).collect(),
            plan,
            lookups,
            interner,
            ticks_per_second,
            slots,
        }
    }

    /// Makes the rows of a chunk.
    pub fn make(&self, chunk: &Chunk, misses: &mut Vec<u64>, piece: &mut impl Piece) {
        let outputs = self.plan.outputs.len();
        let mut block =
            Block { len: 0, outputs, values: vec![NULL; outputs * ROOM], exact: vec![0; self.plan.exact * ROOM] };
        misses.resize(self.lookups.count(), 0);
        let mut computing = Computing { event: Event::default(), cells: Cells::default() };
        computing.cells.values.resize(self.plan.cells, NULL);
        computing.cells.wides.resize(self.plan.wides, 0);
        let count = chunk.rows.len();
        for start in (0..count).step_by(ROWS) {
            block.len = ROWS.min(count - start);
            self.gather(chunk, start, &mut block);
            if !self.slots.is_empty() {
                self.compute(chunk, start, &mut computing, misses, &mut block);
            }
            piece.take(&block);
        }
    }

    fn gather(&self, chunk: &Chunk, start: usize, block: &mut Block) {
        for (step, (part, answers)) in chunk.parts.iter().zip(&chunk.answers).enumerate() {
            let (values, exact) = (&self.values[step], &self.exact[step]);
            let shards = &part.shard_of[start..][..block.len];
            for (row, (&shard, &place)) in shards.iter().zip(&part.place_of[start..]).enumerate() {
                let answered = &answers[usize::from(shard)];
                let own = answered.values_of(place as usize);
                values.iter().for_each(|&(from, to)| block.values[to * ROOM + row] = own[from]);
                if !exact.is_empty() {
                    let own = answered.wides_of(place as usize);
                    exact.iter().for_each(|&(from, to)| block.exact[to * ROOM + row] = own[from] as i64);
                }
            }
        }
    }

    /// Expressions over answers, row by row.
    fn compute(&self, chunk: &Chunk, start: usize, computing: &mut Computing, misses: &mut [u64], block: &mut Block) {
        let Computing { event, cells } = computing;
        let mut context = self.lookups.counting(self.ticks_per_second, misses);
        for row in 0..block.len {
            let index = start + row;
            chunk.kept.give(index, event);
            for (step, (part, answers)) in chunk.parts.iter().zip(&chunk.answers).enumerate() {
                let answered = &answers[usize::from(part.shard_of[index])];
                let place = part.place_of[index] as usize;
                self.cells[step].iter().for_each(|&(from, to)| cells.values[to] = answered.values_of(place)[from]);
                self.wides[step].iter().for_each(|&(from, to)| cells.wides[to] = answered.wides_of(place)[from]);
            }
            for load in &self.plan.loads {
                let value = loaded(load, cells, event, self.interner);
                event.values.push(value);
            }
            self.plan.after.run(event, &mut context);
            for last in &self.slots {
                let Final::Slot { feature, slot, kind, exact } = *last else { continue };
                debug_assert!(!matches!(event.values[slot], Value::Text(_)), "no feature is a text");
                let (value, whole) = finished(event.values[slot], kind);
                block.values[feature * ROOM + row] = value;
                if let Some(exact) = exact {
                    block.exact[exact * ROOM + row] = whole;
                }
            }
        }
    }
}

/// Buffers of the expressions of a row.
struct Computing {
    event: Event,
    cells: Cells,
}

/// Those of some things that go somewhere, by their places here and there.
fn chosen(things: &[usize], to: impl Fn(usize) -> Option<usize>) -> Vec<(usize, usize)> {
    things.iter().enumerate().filter_map(|(place, &thing)| Some((place, to(thing)?))).collect()
}
