//! A compiled definition: names and types have ended, the rest is indexes.
//!
//! A *table* is the state of one stream by one key: a log per key value. A *read* is what one stream's rows take from one table:
//! windows, and per window the *lanes* (counts, moments, extremes, ...) that several aggregations share.

mod compile;
mod explain;
mod expression;
mod layout;

use std::sync::Arc;

use crate::definition::{Definition, FieldKind};
use crate::derive::Program;
use crate::error::DefinitionError;
use crate::key::KeyPart;
use crate::lookup::LookupPlan;
use crate::row::Output;
use crate::schema::Schema;
use crate::window::Window;

/// Raised when a definition written before would be computed to other values. It is part of the fingerprint.
pub const SEMANTICS_VERSION: u32 = 1;

/// Hard limits, refused by name when a definition passes them.
pub mod limits {
    /// Features of one definition.
    pub const FEATURES_MAX: usize = 10_000;
    /// Streams of one definition.
    pub const STREAMS_MAX: usize = 64;
    /// Lookups of one definition.
    pub const LOOKUPS_MAX: usize = 64;
    /// Depth of one expression.
    pub const DEPTH_MAX: usize = 64;
    /// Slots of one frame: columns, and every shared step of every expression.
    pub const SLOTS_MAX: usize = 60_000;
    /// n of `lag(n)`.
    pub const LAG_MAX: u64 = 1_000;
}

/// A compiled definition.
#[derive(Debug)]
pub struct Plan {
    /// In the order of the definition.
    pub streams: Vec<StreamPlan>,
    /// State, one per stream and key.
    pub tables: Vec<TablePlan>,
    /// Reference data that its expressions read.
    pub lookups: Vec<LookupPlan>,
    /// 1_000_000, or 1_000_000_000 when a stream counts nanoseconds.
    pub ticks_per_second: i64,
    /// Hash of the definition and of the version of its meaning, 64 hex digits.
    pub fingerprint: String,
}

/// One stream of a plan.
#[derive(Debug)]
pub struct StreamPlan {
    /// Checks its events.
    pub schema: Schema,
    /// The features that its events make rows of; empty when they only update.
    pub outputs: Vec<Output>,
    /// How many of them have an exact slot.
    pub exact: usize,
    /// How far out of order an event may come, in ticks.
    pub lateness: i64,
    pub(crate) before: Program,
    /// What is read before the event is stored, in the order of the tables.
    pub(crate) reads: Vec<Arc<ReadPlan>>,
    /// Tables that its events are written to, each with the read of the same table, if there is one.
    pub(crate) writes: Vec<WritePlan>,
    /// Results of aggregations that the row program needs, and the row program.
    pub(crate) loads: Vec<Load>,
    pub(crate) after: Program,
    pub(crate) finals: Vec<Final>,
    /// Cells: one per output first, then those that only expressions need.
    pub(crate) cells: usize,
    pub(crate) wides: usize,
}

/// A table as its own stream writes it.
#[derive(Debug)]
pub(crate) struct WritePlan {
    pub table: usize,
    pub key: Vec<KeyPart>,
    /// Index into the stream's reads.
    pub read: Option<usize>,
}

/// State of one stream by one key.
#[derive(Debug)]
pub struct TablePlan {
    /// For people: `payments by card`.
    pub name: String,
    /// Index of the stream whose events it holds.
    pub stream: usize,
    /// What its key is made of, for people.
    pub(crate) key: Vec<String>,
    /// Streams whose rows read it, one view each.
    pub(crate) readers: Vec<usize>,
    /// The reads of those streams, in the same order.
    pub(crate) reads: Vec<Arc<ReadPlan>>,
    /// Words of one record: time, numbers, then halves (texts, codes, booleans, flags).
    pub(crate) record_words: usize,
    pub(crate) columns: Vec<LogColumn>,
    pub(crate) masks: Vec<MaskPlan>,
    /// Longest reach of a rolling window; 0 when there is none.
    pub(crate) reach: i64,
    /// The newest so many events are kept however old they are.
    pub(crate) keep_last: usize,
    /// All-time lanes need running state from the first event on.
    pub(crate) always_rich: bool,
    /// Texts of these columns stay interned after their event has left the log.
    pub(crate) pinned: Vec<bool>,
    /// Features that made it, for `describe`.
    pub(crate) features: Vec<String>,
}

/// A value that the log keeps per event.
#[derive(Clone, Debug)]
pub(crate) struct LogColumn {
    pub slot: usize,
    pub kind: FieldKind,
    pub place: Place,
    pub text: String,
}

/// Where in a record a column lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Word of the record.
    Word(usize),
    /// Half of a word, counted in halves from the record's start.
    Half(usize),
}

/// A flag that the log keeps per event: the values of these slots are there, and this condition holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MaskPlan {
    pub valid: Option<usize>,
    pub condition: Option<usize>,
    pub text: String,
}

/// What rows of one stream read from one table.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub table: usize,
    /// Index among the table's readers.
    pub view: usize,
    /// Whether the row's own event is in the table too.
    pub own: bool,
    pub key: Vec<KeyPart>,
    /// Shortest first; each contains the ones before.
    pub windows: Vec<WindowPlan>,
    pub counts: Vec<CountLane>,
    pub moments: Vec<MomentLane>,
    pub extremes: Vec<ExtremeLane>,
    pub distincts: Vec<DistinctLane>,
    pub entries: Vec<EntryLane>,
    /// Words of a view's running state.
    pub view_words: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WindowPlan {
    pub window: Window,
    /// Whether the row's own event is inside.
    pub current: bool,
}

/// Index of a column of the table, or of a mask of it.
pub(crate) type ColumnIndex = usize;
pub(crate) type Mask = Option<usize>;

/// Where a result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub cell: usize,
    /// Where the 64 bits go that the cell's double cannot hold.
    pub wide: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct CountLane {
    pub mask: Mask,
    pub windows: Vec<CountJob>,
}

#[derive(Clone, Debug)]
pub(crate) struct CountJob {
    pub window: usize,
    pub word: usize,
    pub target: Target,
}

#[derive(Clone, Debug)]
pub(crate) struct MomentLane {
    pub column: ColumnIndex,
    pub mask: Mask,
    pub squares: bool,
    /// Word of a view that holds the scale.
    pub word: usize,
    pub windows: Vec<MomentJob>,
}

/// Sum, mean, variance and deviation of one window, those that are asked for.
#[derive(Clone, Debug)]
pub(crate) struct MomentJob {
    pub window: usize,
    pub word: usize,
    pub sum: Option<Target>,
    pub mean: Option<Target>,
    pub var: Option<Target>,
    pub std: Option<Target>,
}

#[derive(Clone, Debug)]
pub(crate) struct ExtremeLane {
    pub column: ColumnIndex,
    pub mask: Mask,
    pub max: bool,
    /// Window and target.
    pub windows: Vec<(usize, Target)>,
}

#[derive(Clone, Debug)]
pub(crate) struct DistinctLane {
    pub column: ColumnIndex,
    pub mask: Mask,
    /// Flag of the record: no later event of the key's log has the same value.
    pub flag: usize,
    pub windows: Vec<CountJob>,
}

#[derive(Clone, Debug)]
pub(crate) struct EntryLane {
    /// `None` for the event's time.
    pub column: Option<ColumnIndex>,
    pub mask: Mask,
    /// How many of the newest matching events an answer may need.
    pub depth: usize,
    /// Whether an all-time job needs them beyond the log.
    pub forever: bool,
    pub jobs: Vec<EntryJob>,
}

#[derive(Clone, Debug)]
pub(crate) struct EntryJob {
    pub window: usize,
    pub which: Which,
    pub target: Target,
}

/// Which event of a window answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The oldest.
    First,
    /// The newest.
    Last,
    /// The n-th before the row's own.
    Lag(usize),
    /// Seconds since the newest before the row's own.
    SinceLast,
}

/// An aggregation's result on its way into the frame.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub cell: usize,
    pub wide: Option<usize>,
    pub kind: FieldKind,
}

/// A value of the frame, or a text of a cell, on its way into the row.
#[derive(Clone, Debug)]
pub(crate) enum Final {
    /// Slot of the frame.
    Slot { feature: usize, slot: usize, kind: FieldKind, exact: Option<usize> },
    /// An aggregation's 64 bits.
    Exact { wide: usize, exact: usize },
    /// An aggregation's text.
    Text { feature: usize, wide: usize, exact: usize },
}

impl Plan {
    /// Compiles, or says what is wrong, where, and the way out.
    pub fn compile(definition: &Definition) -> Result<Self, DefinitionError> {
        compile::compile(definition)
    }

    /// Index of a stream by its name.
    pub fn stream(&self, name: &str) -> Option<usize> {
        self.streams.iter().position(|stream| stream.schema.stream == name)
    }

    /// The plan as a text for people: which state exists, and why.
    pub fn describe(&self) -> String {
        explain::describe(self)
    }
}
