//! What the user asked for, as plain data: the JSON that every language face of fastfeat writes.
//!
//! Nothing here is checked beyond its shape; `plan::compile` turns it into a `Plan` and is the one
//! place that refuses a definition. Durations are whole nanoseconds.

use serde::{Deserialize, Serialize};

/// The version of this JSON. It changes when a definition written before would mean something else.
pub const DEFINITION_VERSION: u32 = 1;

/// Streams and the features over them.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// [`DEFINITION_VERSION`] of the writer.
    pub version: u32,
    /// Every stream that a feature reads or belongs to.
    pub streams: Vec<StreamDefinition>,
    /// Reference data that expressions read.
    #[serde(default)]
    pub lookups: Vec<LookupDefinition>,
    /// In the order of the row.
    pub features: Vec<FeatureDefinition>,
}

/// One stream: a name, its columns, and which of them is the event's time.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct StreamDefinition {
    /// Unique within the definition.
    pub name: String,
    /// Name of the timestamp field that orders the stream.
    pub time: String,
    /// How far behind the newest event of the stream an event still counts exactly.
    pub lateness_ns: i64,
    /// What happens to an event that is later than that.
    #[serde(default)]
    pub on_late: OnLate,
    /// Columns, in the order they were written.
    pub fields: Vec<FieldDefinition>,
}

/// Reference data by key; its rows are given to an engine and may be replaced while it runs.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LookupDefinition {
    /// Unique within the definition.
    pub name: String,
    /// Name of the column that finds a row.
    pub key: String,
    /// Every column, the key too, with its type; all but the key may be null.
    pub columns: Vec<LookupColumn>,
}

/// One column of reference data.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LookupColumn {
    /// Its name.
    pub name: String,
    /// Type of its values: any but `categorical`.
    #[serde(rename = "type")]
    pub kind: FieldKind,
}

/// What `push` does with an event that is older than the lateness allows.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnLate {
    /// `LateEvent`, nothing changed.
    #[default]
    Reject,
    /// A row as of what is still known, state unchanged.
    Emit,
}

/// One column with its rules.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FieldDefinition {
    /// Name of the column in events.
    pub name: String,
    /// Type of its values.
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// Whether null is a value of this field.
    #[serde(default)]
    pub nullable: bool,
    /// Fills an absent field, and null where the field is not nullable.
    #[serde(default)]
    pub default: Option<Literal>,
    /// value >= ge
    #[serde(default)]
    pub ge: Option<Literal>,
    /// value > gt
    #[serde(default)]
    pub gt: Option<Literal>,
    /// value <= le
    #[serde(default)]
    pub le: Option<Literal>,
    /// value < lt
    #[serde(default)]
    pub lt: Option<Literal>,
    /// The values allowed.
    #[serde(default)]
    pub one_of: Option<Vec<Literal>>,
    /// A regular expression that the whole text must match (syntax of the `regex` crate).
    #[serde(default)]
    pub pattern: Option<String>,
    /// Longest text in UTF-8 bytes; strings only.
    #[serde(default)]
    pub max_bytes: Option<u32>,
    /// Whether NaN and the infinities are values of this field; floats only.
    #[serde(default)]
    pub allow_nan: bool,
    /// Unit of whole-number timestamps; timestamps only.
    #[serde(default)]
    pub unit: Option<TimeUnit>,
    /// The categories in code order; categoricals only.
    #[serde(default)]
    pub categories: Option<Vec<String>>,
}

/// Type of a field.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// An instant, UTC.
    Timestamp,
    /// Text.
    String,
    /// One of a fixed list of texts; its position in the list is its value in a float vector.
    Categorical,
    /// Whole number, 64 bit.
    Int64,
    /// IEEE 754 double.
    Float64,
    /// True or false.
    Boolean,
}

/// Unit of a whole-number timestamp.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

/// A constant, e.g. `{"float": 1.5}`; `{"float": "inf"}` for what JSON has no number for.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Literal {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// Double; text `inf`, `-inf` or `nan` for what is no JSON number.
    Float(FloatLiteral),
    /// Text.
    Text(String),
    /// Instant in nanoseconds since 1970-01-01T00:00:00Z, or ISO 8601.
    Time(i64),
}

/// A double as JSON can carry it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum FloatLiteral {
    /// Finite.
    Number(f64),
    /// `inf`, `-inf`, `nan`.
    Name(String),
}

/// One column of the row.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FeatureDefinition {
    /// Unique within the definition.
    pub name: String,
    /// The stream whose events make rows with this feature.
    pub stream: String,
    /// How it is computed.
    pub expression: Expression,
}

/// An expression over the fields of an event and over aggregations.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case", tag = "op", deny_unknown_fields)]
pub enum Expression {
    /// A field of the event.
    Column {
        /// Its name.
        name: String,
    },
    /// A constant.
    Literal {
        /// Its value.
        value: Literal,
    },
    /// A function of other expressions, e.g. `add`, `lt`, `and`.
    Call {
        /// Name in the function registry (`derive/mod.rs`).
        function: String,
        /// Its arguments.
        arguments: Vec<Expression>,
    },
    /// An aggregation over a window of the events that share a key.
    Aggregate(Box<AggregateDefinition>),
    /// A column of the row of reference data that `key` finds; null where there is none.
    Lookup {
        /// Name of the lookup.
        lookup: String,
        /// Over the fields of the event.
        key: Box<Expression>,
        /// Column of the lookup.
        column: String,
    },
}

/// One aggregation over one window.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct AggregateDefinition {
    /// Name in the aggregation registry (`aggregate/mod.rs`).
    pub kind: String,
    /// What is aggregated, over the fields of the source stream; empty for `count` of events; the second is what
    /// `cov`, `corr`, `min_by` and `max_by` compare with.
    #[serde(default)]
    pub arguments: Vec<Expression>,
    /// E.g. the n of `lag` and the k of `last_k` and `top_k` (int), the q of `quantile` (float), the half-life of `ewm_mean` (int, ns).
    #[serde(default)]
    pub parameters: Vec<Literal>,
    /// Only events that meet this count; null counts as not met.
    #[serde(default, rename = "where")]
    pub condition: Option<Expression>,
    /// The stream whose events are aggregated; absent for the feature's own.
    #[serde(default)]
    pub stream: Option<String>,
    /// Key columns; empty for one state over the whole stream.
    pub keys: Vec<KeyDefinition>,
    /// Which events of the key are inside.
    pub window: WindowDefinition,
    /// Whether the event itself is inside its own window.
    #[serde(default = "yes")]
    pub include_current: bool,
    /// Whether other events of the same instant are inside.
    #[serde(default)]
    pub ties: Ties,
}

fn yes() -> bool {
    true
}

/// What becomes of events with the very time of the row.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// Those that arrived before are inside.
    #[default]
    Include,
    /// None of them is inside, the event itself included.
    Exclude,
}

/// A key column: `over("card")` or `over(user=col("customer"))`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct KeyDefinition {
    /// Column of the source stream, or the name of a computed key of the feature's own stream.
    pub name: String,
    /// Over the fields of the stream that reads; absent for the column called `name`.
    /// When the source is the feature's own stream it computes the key on both sides.
    #[serde(default)]
    pub expression: Option<Expression>,
}

/// Which events of a key an aggregation sees.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum WindowDefinition {
    /// Times in (t - length, t], moved back by `offset`.
    Rolling {
        /// Length.
        length_ns: i64,
        /// How far the whole window lies in the past.
        #[serde(default)]
        offset_ns: i64,
        /// Which ends are inside.
        #[serde(default)]
        closed: Closed,
    },
    /// Every event of the key so far.
    All,
    /// Times in [floor(t, length), t].
    Tumbling {
        /// Length; windows begin at its multiples since 1970-01-01T00:00 of the time zone's clock.
        length_ns: i64,
        /// Name in the IANA time zone database; absent for UTC.
        #[serde(default)]
        timezone: Option<String>,
    },
    /// Times in [floor(t - length, every), t].
    Hopping {
        /// Length.
        length_ns: i64,
        /// Step of its beginning.
        every_ns: i64,
    },
    /// Events with gaps of at most this between them, up to the row.
    Session {
        /// Longest gap that a session goes on over.
        gap_ns: i64,
    },
    /// The last so many events.
    Last {
        /// How many.
        count: u64,
    },
    /// From the last event that met the condition on.
    Since {
        /// Over the fields of the source stream.
        condition: Box<Expression>,
    },
}

/// Which ends of a window are inside it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// (t - w, t]
    #[default]
    Right,
    /// [t - w, t)
    Left,
    /// [t - w, t]
    Both,
    /// (t - w, t)
    Neither,
}
