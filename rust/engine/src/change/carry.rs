//! The state of an engine under another definition: key by key, with what the other's tables need of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use super::Change;
use crate::encode::Input;
use crate::engine::{Clock, Engine};
use crate::error::SpillError;
use crate::late::LateRecord;
use crate::plan::{Plan, Selection};
use crate::state::interner::{Numbers, Texts};
use crate::state::table::Loading;

/// Why a state does not go on under another definition.
#[derive(Debug, Error)]
pub enum Uncarried {
    /// That of a table, and what is wrong with it.
    #[error("the state of `{0}` cannot be carried: {1}")]
    State(String, String),
    /// Keys on disk cannot be had from there, or not be put there.
    #[error(transparent)]
    Spill(#[from] SpillError),
}

impl Engine {
    /// Goes on under another definition. Kept features are to the bit what they would have been.
    ///
    /// # Errors
    /// A table that the change keeps cannot be had from the state: the change is not of this engine. Or the disk that keys are spilled to does
    /// not do what it should.
    pub fn carry(self, change: Change) -> Result<Self, Uncarried> {
        let Change { mut plan, begins, .. } = change;
        let streams = self.plan.streams.iter().zip(&self.clocks);
        let newest = streams.filter_map(|(stream, clock)| {
            let (name, newest) = (&stream.schema.stream, clock.newest?);
            // Times of another column say nothing of what was before.
            let is_known = self.plan.time_of(name) == plan.time_of(name);
            Some((name.clone(), if is_known { self.ticks(newest, plan.ticks_per_second) } else { i64::MAX }))
        });
        let newest: BTreeMap<String, i64> = newest.collect();
        if begins && let Some(generation) = plan.changes.generations.last_mut() {
            generation.newest = newest;
        }
        let plan = Arc::new(plan);
        let mut next = Self::open(Arc::clone(&plan), self.options.clone())?;
        self.carry_counts(&mut next);
        let order = self.interner.order();
        order.ids.iter().for_each(|&id| _ = next.interner.load(self.interner.text(id)));
        let numbers = Numbers::same(order.ids.len() as u64);
        let begun = if begins { plan.changes.generations.len() as u32 } else { u32::MAX };
        let mut bytes = Vec::new();
        for (index, table) in plan.tables.iter().enumerate().filter(|(_, table)| table.generation != begun) {
            let of = |older: usize| {
                let idle_after = self.options.idle_after;
                Some((older, Selection::of(&self.plan, &self.plan.tables[older], &plan, table, idle_after)?))
            };
            let Some((older, chosen)) = self.plan.older(table).and_then(of) else {
                return Err(Uncarried::State(table.name.clone(), "it is not there".to_owned()));
            };
            let (state, old_plan) = (&self.tables[older], &self.plan.tables[older]);
            let mut loading = Loading::default();
            for number in 0..state.count() {
                self.each_in_order((older, number), |shard, key| -> Result<(), Uncarried> {
                    bytes.clear();
                    shard.save_chosen(old_plan, &chosen, key, &order, &mut bytes);
                    let texts = &mut Texts::Used(&mut next.interner, &numbers);
                    next.tables[index]
                        .load_key(table, &mut loading, &mut Input::new(&bytes), texts)
                        .map_err(|broken| Uncarried::State(table.name.clone(), broken.to_string()))?;
                    Ok(next.spill_loaded(&plan)?)
                })?;
            }
            let (next, mut listed) = (&mut next.tables[index], 0);
            for (number, shard) in state.iter().enumerate().filter(|_| chosen.leaves_alike) {
                next.resume_steps((number, state.count()), shard.step_ticks());
                for (begin, hashes) in shard.steps() {
                    listed += hashes.len() as u64;
                    hashes.into_iter().for_each(|hash| next.look_again(table, hash, Some(begin)));
                }
            }
            next.look_at_others(table, &loading, listed);
            next.resume_expired(state.expired());
        }
        next.interner.drop_unused();
        Ok(next)
    }

    /// A time in the ticks of another plan.
    fn ticks(&self, time: i64, per_second: i64) -> i64 {
        let ticks = (i128::from(time) * i128::from(per_second)).div_euclid(i128::from(self.plan.ticks_per_second));
        ticks.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Clocks and counts, by the names of streams and lookups.
    fn carry_counts(&self, next: &mut Self) {
        let plan: &Plan = &self.plan;
        for (stream, clock) in plan.streams.iter().zip(&self.clocks) {
            if let Some(index) = next.plan.stream(&stream.schema.stream) {
                let is_known = plan.time_of(&stream.schema.stream) == next.plan.time_of(&stream.schema.stream);
                let newest = clock.newest.filter(|_| is_known);
                let newest = newest.map(|newest| self.ticks(newest, next.plan.ticks_per_second));
                next.clocks[index] = Clock { newest, ..clock.clone() };
            }
        }
        for late in self.late.iter() {
            if let Some(stream) = next.plan.stream(&plan.streams[late.stream].schema.stream) {
                let ticks = |time| self.ticks(time, next.plan.ticks_per_second);
                let (time, newest) = (ticks(late.time), ticks(late.newest));
                next.late.add(LateRecord { stream, time, newest, emitted: late.emitted });
            }
        }
        (next.evicted, next.refused) = (self.evicted, self.refused);
        for (lookup, saved) in plan.lookups.iter().zip(self.lookups.saved()) {
            if let Some(index) = next.plan.lookups.iter().position(|other| other.name == lookup.name) {
                next.lookups.resume(index, saved);
            }
        }
    }
}
