//! Engine::push: one call per step. (Being written; the public face below is settled.)

use std::sync::Arc;

use crate::error::EventError;
use crate::event::Event;
use crate::plan::Plan;
use crate::row::FeatureRow;

/// Features over streams, and the state they need.
#[derive(Debug)]
pub struct Engine {
    plan: Arc<Plan>,
    row: FeatureRow,
}

/// What an engine has seen and holds.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Keys with state, over all tables.
    pub keys: u64,
    /// Events accepted, by stream.
    pub events: Vec<u64>,
    /// Late events, by stream.
    pub late: Vec<u64>,
    /// Bytes that the state holds.
    pub state_bytes: u64,
    /// Newest event time by stream, in ticks.
    pub newest: Vec<Option<i64>>,
}

impl Engine {
    /// An engine without any state yet.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self { plan, row: FeatureRow::default() }
    }

    /// The plan it runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Takes an event that its schema has accepted. True when `row()` now holds its row, false when its stream has no features.
    pub fn push(&mut self, stream: usize, event: &mut Event) -> Result<bool, EventError> {
        let _ = (stream, event);
        Ok(false)
    }

    /// As `push`, but nothing changes.
    pub fn peek(&mut self, stream: usize, event: &mut Event) -> Result<bool, EventError> {
        let _ = (stream, event);
        Ok(false)
    }

    /// The row of the last `push` or `peek` that returned true.
    pub fn row(&self) -> &FeatureRow {
        &self.row
    }

    /// Counters and sizes.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}
