//! What an engine has seen and holds, in numbers.

use crate::lookup::LookupStats;

/// What an engine has seen and holds.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Keys with state, over all tables.
    pub keys: u64,
    /// Events accepted, by stream.
    pub events: Vec<u64>,
    /// Late events, by stream.
    pub late: Vec<u64>,
    /// Events that broke a rule, by stream, as far as they were counted.
    pub invalid: Vec<u64>,
    /// Bytes that the state holds, reference data included.
    pub state_bytes: u64,
    /// Bytes of the events that the next increment of a checkpoint takes; no limit counts them.
    pub journal_bytes: u64,
    /// Newest event time by stream, in ticks.
    pub newest: Vec<Option<i64>>,
    /// Reference data, in the order of the plan.
    pub lookups: Vec<LookupStats>,
    /// Keys that left because nothing could see them any more.
    pub expired: u64,
    /// Keys that left because the memory limit was reached.
    pub evicted: u64,
    /// Keys that sleep, among those with state: nothing has had to do with them since they were read from a checkpoint.
    pub asleep_keys: u64,
    /// Keys that are on disk, among those with state.
    pub spilled_keys: u64,
    /// Bytes of them there.
    pub spilled_bytes: u64,
    /// Bytes of the file that they are in.
    pub spill_file_bytes: u64,
    /// Events refused because the memory limit was reached.
    pub refused: u64,
}
