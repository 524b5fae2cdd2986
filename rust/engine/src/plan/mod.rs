//! A compiled definition: names and types have ended, the rest is indexes.
//!
//! A *table* is the state of one stream by one key: a log per key value. A *read* is what one stream's rows take from one table:
//! windows, and per window the *lanes* (counts, moments, extremes, ...) that several aggregations share.

mod changes;
mod compile;
mod explain;
mod expression;
mod layout;
mod rows;
mod selection;
mod signs;
mod tail;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::changes::{Changes, Complete, Generation};
pub(crate) use self::selection::Selection;
pub(crate) use self::signs::TableSigns;
pub(crate) use self::tail::{TAIL_HEADER, TailEntry, TailExtreme, TailMoments, TailOf, TailPlan};

pub(crate) use crate::aggregate::What;
use crate::definition::{Definition, FieldKind, OnLate};
use crate::derive::Program;
use crate::error::{DefinitionError, EventError};
use crate::key::KeyPart;
use crate::lookup::LookupPlan;
use crate::row::Output;
use crate::schema::{Schema, iso_ticks};
use crate::window::zone::Zone;
use crate::window::{Hopping, Window};

/// Raised when a definition written before would be computed to other values. It is part of the fingerprint.
pub const SEMANTICS_VERSION: u32 = 2;

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
    /// The definition as JSON, as this release writes it.
    pub definition: String,
    /// Which features began later than the others, where the state is that of a definition that was changed.
    pub changes: Changes,
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
    /// What happens to one that is later.
    pub on_late: OnLate,
    pub(crate) before: Program,
    /// What is read before the event is stored, in the order of the tables.
    pub(crate) reads: Vec<Arc<ReadPlan>>,
    /// Tables that its events are written to, each with the read of the same table, if there is one.
    pub(crate) writes: Vec<WritePlan>,
    /// Results of aggregations that the row program needs, and the row program.
    pub(crate) loads: Vec<Load>,
    pub(crate) after: Program,
    pub(crate) finals: Vec<Final>,
    /// The aggregations of its rows, and by feature which it is made of, in the order in which they are written.
    pub(crate) made: Vec<Made>,
    pub(crate) made_of: Vec<Vec<usize>>,
    /// Cells: one per output first, then those that only expressions need.
    pub(crate) cells: usize,
    pub(crate) wides: usize,
}

/// An aggregation of a stream's rows.
#[derive(Debug)]
pub(crate) struct Made {
    pub read: usize,
    pub target: Target,
    pub kind: FieldKind,
    pub categories: Vec<String>,
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
    /// After which change of the definition it began; 0 from the beginning.
    pub(crate) generation: u32,
    pub(crate) signs: TableSigns,
    /// What its key is made of, for people.
    pub(crate) key: Vec<String>,
    /// Streams whose rows read it.
    pub(crate) readers: Vec<usize>,
    /// What they read.
    pub(crate) reads: Vec<Arc<ReadPlan>>,
    pub(crate) shape: Shape,
    pub(crate) columns: Vec<LogColumn>,
    pub(crate) flags: Vec<FlagPlan>,
    pub(crate) lanes: Vec<LanePlan>,
    /// Lanes that take note of each event as it comes.
    pub(crate) noting: Vec<usize>,
    pub(crate) has_sessions: bool,
    /// What is kept of events that have left the log: for all time, and in slices.
    pub(crate) all: Vec<PartPlan>,
    pub(crate) hops: Vec<HopPlan>,
    /// How many windows are followed, by `LanePlan::follow`.
    pub(crate) follows: [usize; FOLLOWS],
    /// Words that follow the windows of busy keys together.
    pub(crate) tail_words: usize,
    /// How many windows have a place to remember where they began.
    pub(crate) heads: usize,
    /// Tallies that follow windows of busy keys, by their lanes.
    pub(crate) cursors: Vec<usize>,
    /// How far back a window that is bounded by time reaches; 0 when there is none.
    pub(crate) reach: i64,
    /// How long after its newest event a key can be seen, as far as time bounds that.
    pub(crate) linger: i64,
    /// The newest so many events are kept however old they are.
    pub(crate) keep_last: usize,
    /// A key is held however long it has been idle.
    pub(crate) forever: bool,
    /// Whether a window is bounded by something else than time and `keep_last`.
    pub(crate) moving: bool,
    /// Features that made it, for `describe`.
    pub(crate) features: Vec<String>,
}

impl TablePlan {
    /// What its key is made of, for people.
    pub fn key(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(String::as_str)
    }

    /// Whether keys have something beside their log.
    pub(crate) fn has_past(&self) -> bool {
        !self.all.is_empty() || !self.hops.is_empty()
    }
}

/// How the records of a table are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Columns of 64 bits, the time first.
    pub words: usize,
    /// Columns of 32 bits.
    pub halves: usize,
    /// Flags of a record.
    pub flags: usize,
}

impl Shape {
    /// Words that a run with room for so many records takes.
    #[inline]
    pub fn words_of(self, room: usize) -> usize {
        self.words * room + (self.halves * room + self.flags).div_ceil(2)
    }
}

/// A value that the log keeps per event.
#[derive(Clone, Debug)]
pub(crate) struct LogColumn {
    pub slot: usize,
    pub kind: FieldKind,
    pub place: Place,
    pub text: String,
}

/// Where in a run a column lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Column of 64 bits.
    Word(usize),
    /// Column of 32 bits.
    Half(usize),
}

/// A bit that the log keeps per event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FlagPlan {
    /// The values of these slots are there, and this condition holds.
    Mask { valid: Vec<usize>, condition: Option<usize>, text: String },
    /// The event before is further away than this.
    Session { gap: i64 },
    /// No later event of the log has the same value, in this lane.
    Newest { lane: usize },
}

/// What can be asked of any range of a key's log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LanePlan {
    Count {
        mask: Mask,
    },
    Moments {
        column: ColumnIndex,
        mask: Mask,
        squares: bool,
    },
    Higher {
        column: ColumnIndex,
        mask: Mask,
    },
    Pair {
        x: ColumnIndex,
        y: ColumnIndex,
        mask: Mask,
    },
    Slope {
        column: ColumnIndex,
        mask: Mask,
    },
    Extreme {
        column: ColumnIndex,
        mask: Mask,
        max: bool,
        beside: Option<ColumnIndex>,
    },
    /// `flag` is its own; `previous` is the half that says how far before lies the same value.
    Distinct {
        column: ColumnIndex,
        mask: Mask,
        flag: usize,
        previous: Option<usize>,
    },
    Rank {
        column: ColumnIndex,
        mask: Mask,
    },
    Tally {
        column: ColumnIndex,
        mask: Mask,
        buckets: bool,
    },
    Registers {
        column: ColumnIndex,
        mask: Mask,
    },
    Decay {
        column: ColumnIndex,
        mask: Mask,
        half_life: i64,
    },
    /// Single events; `None` for their times.
    Entry {
        column: Option<ColumnIndex>,
        mask: Mask,
    },
}

/// Of a job whose window no sum of its own follows.
pub(crate) const UNFOLLOWED: usize = usize::MAX;

/// Kinds of sums that follow windows.
pub(crate) const FOLLOWS: usize = 5;

impl LanePlan {
    /// The kind of sum that follows its windows.
    pub(crate) fn follow(&self) -> Option<usize> {
        match self {
            Self::Count { mask: Some(_) } | Self::Distinct { .. } => Some(0),
            Self::Moments { .. } => Some(1),
            Self::Higher { .. } => Some(2),
            Self::Pair { .. } | Self::Slope { .. } => Some(3),
            Self::Extreme { .. } => Some(4),
            _ => None,
        }
    }
}

/// What a lane keeps of events that have left the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartPlan {
    pub lane: usize,
    /// How many of the newest events, for a lane of single events.
    pub depth: usize,
}

/// Slices of a hopping window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HopPlan {
    pub window: Hopping,
    pub parts: Vec<PartPlan>,
}

/// What rows of one stream read from one table.
#[derive(Clone, Debug)]
pub(crate) struct ReadPlan {
    pub table: usize,
    /// Whether the row's own event is in the table too.
    pub own: bool,
    pub key: Vec<KeyPart>,
    /// Those that end alike together, shorter ones first.
    pub windows: Vec<WindowPlan>,
    pub lanes: Vec<ReadLane>,
    /// What is answered together where the row's event comes in order.
    pub tail: TailPlan,
    /// The lanes with what is asked of them beside that.
    pub rest: Vec<ReadLane>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WindowPlan {
    pub window: Window,
    /// Whether the row's own event is a candidate.
    pub current: bool,
    /// Whether other events of the row's time are.
    pub ties: bool,
    /// The flag of a session's begin, or of the condition since which.
    pub flag: Option<usize>,
    /// Index among the table's heads.
    pub head: usize,
    /// Length of a rolling window that is nothing but that.
    pub plain: Option<i64>,
    pub past: Past,
}

/// Where what has left the log is kept for a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    /// Nowhere: what is in the window is in the log.
    None,
    All,
    /// Index among the table's hops.
    Hop(usize),
}

/// What a read asks of one lane of its table.
#[derive(Clone, Debug)]
pub(crate) struct ReadLane {
    pub lane: usize,
    /// In the order of the windows.
    pub jobs: Vec<Job>,
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub window: usize,
    pub what: What,
    pub target: Target,
    /// Index among the parts of the window's past.
    pub part: usize,
    /// Index among the table's cursors, where the lane is a tally.
    pub cursor: usize,
    /// Index among the windows that are followed by this kind of sum; `UNFOLLOWED` where the tail does it.
    pub follow: usize,
}

/// Index of a column of the table, or of a flag of it.
pub(crate) type ColumnIndex = usize;
pub(crate) type Mask = Option<usize>;

/// Where a result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub cell: usize,
    /// Where the 64 bits go that the cell's double cannot hold.
    pub wide: Option<usize>,
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
    /// An aggregation's list.
    List { feature: usize, wide: usize, exact: usize, kind: FieldKind },
}

/// Hash of a definition, of the version of its meaning and of the clocks that its windows go by; and the definition as JSON.
fn fingerprint(definition: &Definition, streams: &[StreamPlan]) -> (String, String) {
    let text = serde_json::to_string(definition).expect("a definition is plain data");
    let mut hasher = blake3::Hasher::new();
    hasher.update(&SEMANTICS_VERSION.to_le_bytes()).update(text.as_bytes());
    let windows = streams.iter().flat_map(|stream| &stream.reads).flat_map(|read| &read.windows);
    let zones: BTreeMap<&str, &Zone> =
        windows.filter_map(|plan| plan.window.zone()).map(|zone| (zone.name(), zone)).collect();
    // A clock that is as it was keeps the fingerprint, whatever else a new tz database changes.
    zones.values().for_each(|zone| zone.hash(&mut hasher));
    (hasher.finalize().to_hex().to_string(), text)
}

impl Plan {
    /// Compiles, or says what is wrong, where, and the way out.
    pub fn compile(definition: &Definition) -> Result<Self, DefinitionError> {
        compile::compile(definition, Changes::default())
    }

    /// The same where some features began later than others.
    pub fn compile_changed(definition: &Definition, changes: Changes) -> Result<Self, DefinitionError> {
        compile::compile(definition, changes)
    }

    /// What is said of an event of a stream that is too late.
    #[cold]
    pub(crate) fn late_error(&self, stream: usize, time: i64, newest: i64) -> EventError {
        let of = &self.streams[stream];
        let us = |ticks: i128| (ticks * 1_000_000 / i128::from(self.ticks_per_second)) as i64;
        EventError::Late {
            stream: of.schema.stream.clone(),
            time: iso_ticks(time, self.ticks_per_second),
            newest: iso_ticks(newest, self.ticks_per_second),
            behind_us: us(i128::from(newest) - i128::from(time)),
            lateness_us: us(i128::from(of.lateness)),
        }
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
