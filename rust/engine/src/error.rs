//! What the world can do wrong, each with the value and the way out.

use std::{fmt, io};

use thiserror::Error;

/// A definition that cannot be compiled: where it stands, what is wrong, the way out.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("{place}: {message}")]
pub struct DefinitionError {
    /// Feature, stream or field the mistake stands in.
    pub place: String,
    /// The found value, the rule and the way out.
    pub message: String,
}

impl DefinitionError {
    /// `place` is e.g. ``feature `spend_1h` ``.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

/// One rule that one field of an event breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the field; empty when the event as a whole is at fault.
    pub field: String,
    /// The value found, shortened to [`Problem::VALUE_CHARS_MAX`] characters.
    pub value: String,
    /// Stable name of the rule: `required`, `type`, `not_null`, `ge`, `gt`, `le`, `lt`, `one_of`, `pattern`,
    /// `max_bytes`, `allow_nan`, `range`, `json`, `avro`, `protobuf`, `arrow_ipc`, `schema_id`, `object`, `value`, `stream`, `duplicate`.
    pub rule: &'static str,
    /// A sentence with the rule's own value and the way out.
    pub message: String,
}

impl Problem {
    /// A megabyte of text in an event is not repeated in the error about it.
    pub const VALUE_CHARS_MAX: usize = 80;

    /// Shortens `value` so that an error stays readable.
    pub fn new(field: &str, value: impl fmt::Display, rule: &'static str, message: impl Into<String>) -> Self {
        let value = value.to_string();
        let value = match value.char_indices().nth(Self::VALUE_CHARS_MAX) {
            None => value,
            Some((end, _)) => format!("{}… ({} bytes)", &value[..end], value.len()),
        };
        Self { field: field.to_owned(), value, rule, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "{}", self.message)
        } else {
            write!(f, "field `{}` is {}: {}", self.field, self.value, self.message)
        }
    }
}

/// Why an event was refused. The engine's state is what it was before.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum EventError {
    /// It breaks rules of its schema.
    #[error("stream `{stream}`: {}", join(.problems))]
    Invalid {
        /// Name of the stream.
        stream: String,
        /// Every broken rule, in the order of the fields.
        problems: Vec<Problem>,
    },
    /// It is older than the lateness of its stream allows.
    #[error(
        "stream `{stream}`: event at {time} is {behind_us} us older than the newest ({newest}) and the stream allows {lateness_us} us; \
         give the stream a longer `lateness`, or `on_late=\"emit\"`, or put the input in the order of its time"
    )]
    Late {
        /// Name of the stream.
        stream: String,
        /// ISO 8601 time of the event.
        time: String,
        /// ISO 8601 time of the newest event of the stream.
        newest: String,
        /// How much older it is.
        behind_us: i64,
        /// How much is allowed.
        lateness_us: i64,
    },
    /// It has a new key, and the state has reached its limit.
    #[error(
        "stream `{stream}`: the state holds {state_bytes} bytes of the {limit_bytes} that `memory_limit` allows, and the event has a new key; \
         raise the limit, or use `on_limit=\"spill\"` or `\"evict_idle\"`"
    )]
    Memory {
        /// Name of the stream.
        stream: String,
        /// The limit.
        limit_bytes: u64,
        /// What the state holds.
        state_bytes: u64,
    },
    /// Keys could not be spilled to disk, or not brought back from there.
    #[error("stream `{stream}`: {error}")]
    Spill {
        /// Name of the stream.
        stream: String,
        /// What the disk did, and the way out.
        error: SpillError,
    },
    /// A lookup asks for a time that has been given up.
    #[error(
        "stream `{stream}`: {at} is before the watermark {watermark}, and what was known then has been given up; \
         ask for the watermark or later, or backfill"
    )]
    TooOld {
        /// Name of the stream.
        stream: String,
        /// ISO 8601 time that was asked for.
        at: String,
        /// ISO 8601 time from which on lookups answer.
        watermark: String,
    },
    /// A table does not have the columns the stream needs.
    #[error("stream `{stream}`: {message}")]
    Table {
        /// Name of the stream.
        stream: String,
        /// What is missing or of the wrong type, and the way out.
        message: String,
    },
}

/// The disk that keys are spilled to does not do what it should. What is in memory is as it was.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("spill folder `{place}`: {message}")]
pub struct SpillError {
    /// The folder.
    pub place: String,
    /// What was found, and the way out.
    pub message: String,
}

impl From<SpillError> for io::Error {
    fn from(error: SpillError) -> Self {
        Self::other(error)
    }
}

/// A checkpoint that could not be written, or from which an engine cannot go on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("checkpoint `{place}`: {message}")]
pub struct CheckpointError {
    /// What is at fault, which says whether an older checkpoint may do.
    pub fault: CheckpointFault,
    /// The file or folder.
    pub place: String,
    /// What was found, where, and the way out.
    pub message: String,
}

/// What is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointFault {
    /// The bytes: the file is not what was written.
    Damaged,
    /// The request: another definition, option or release than the file is of, or nothing there.
    Refused,
    /// The disk: it could not be read or written.
    Disk,
}

fn join(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// The candidate that `name` was probably meant to be, for "did you mean".
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance_max = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
