//! What an engine is told beside its plan: limits of its state, and what happens there.

use std::sync::Arc;

use crate::spill::SpillDisk;

/// What an engine is told beside its plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of state at which `on_limit` begins.
    pub memory_limit: Option<u64>,
    /// What happens then.
    pub on_limit: OnLimit,
    /// Where keys go then with `OnLimit::Spill`.
    pub spill: Option<Arc<dyn SpillDisk>>,
    /// All-time features let a key go when its newest event is so many ticks behind the watermark.
    pub idle_after: Option<i64>,
    /// How many late events are listed.
    pub late_events_max: usize,
    /// From a checkpoint of so many bytes or more keys are made when something first has to do with them, not all before the first event. Not where
    /// memory has a limit.
    pub sleeping_from_bytes: u64,
}

/// Of smaller files all keys are made within some milliseconds.
const SLEEPING_FROM_BYTES: u64 = 8 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_limit: None,
            on_limit: OnLimit::Error,
            spill: None,
            idle_after: None,
            late_events_max: 1_000,
            sleeping_from_bytes: SLEEPING_FROM_BYTES,
        }
    }
}

/// What happens when the state has reached its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLimit {
    /// Events of new keys are refused.
    Error,
    /// The keys that have been idle for longest go.
    EvictIdle,
    /// Keys that have had to do with no event for a while move to disk, and come back when they are touched.
    Spill,
}
