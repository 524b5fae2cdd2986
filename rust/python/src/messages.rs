//! A batch of messages through the engine: bytes in, numbers out, all in one call in which no Python runs.
//!
//! What a message cannot be is told beside the rows and stops nothing: the next message is taken as if it had not been there.

use fastfeat_engine::codec::{Codec, Decoder};
use fastfeat_engine::definition::OnLate;
use fastfeat_engine::engine::Engine as Core;
use fastfeat_engine::error::{EventError, Problem};
use fastfeat_engine::event::{Event, Value};
use fastfeat_engine::plan::Plan;
use fastfeat_engine::row::Rows;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::score::Scorer;

/// The messages of a batch, held while the interpreter is free.
pub struct Payloads<'py>(Vec<Payload<'py>>);

enum Payload<'py> {
    None,
    Bytes(Bound<'py, PyBytes>),
    /// What could change meanwhile.
    Copy(Vec<u8>),
}

impl<'py> Payloads<'py> {
    pub fn read(payloads: &Bound<'py, PyAny>) -> PyResult<Self> {
        let mut read = Vec::with_capacity(payloads.len().unwrap_or(0));
        for (place, payload) in payloads.try_iter()?.enumerate() {
            read.push(Payload::read(payload?, place)?);
        }
        Ok(Self(read))
    }

    pub fn bytes(&self) -> Vec<Option<&[u8]>> {
        let bytes = |payload| match payload {
            &Payload::None => None,
            Payload::Bytes(bytes) => Some(bytes.as_bytes()),
            Payload::Copy(bytes) => Some(bytes.as_slice()),
        };
        self.0.iter().map(bytes).collect()
    }
}

impl<'py> Payload<'py> {
    fn read(payload: Bound<'py, PyAny>, place: usize) -> PyResult<Self> {
        if payload.is_none() {
            return Ok(Self::None);
        }
        let payload = match payload.cast_into::<PyBytes>() {
            Ok(bytes) => return Ok(Self::Bytes(bytes)),
            Err(error) => error.into_inner(),
        };
        match PyBuffer::<u8>::get(&payload) {
            Ok(buffer) => Ok(Self::Copy(buffer.to_vec(payload.py())?)),
            Err(_) => {
                let class = payload.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
                Err(PyTypeError::new_err(format!(
                    "payload {place} is of type {class}; a payload is bytes, a bytearray, a memoryview or None"
                )))
            }
        }
    }
}

/// What became of a row, as users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// It has a row.
    Row = 0,
    /// It was accepted, and its stream has no features of its own.
    Accepted = 1,
    /// It is no event, or breaks a rule.
    Invalid = 2,
    /// It came too late and changed nothing.
    Late = 3,
    /// It came too late, and has a row of what was still known.
    LateRow = 4,
    /// The state is at its limit, and it has a new key.
    Memory = 5,
}

impl Status {
    pub fn has_row(self) -> bool {
        matches!(self, Self::Row | Self::LateRow)
    }
}

/// Why a message has no row, or no score.
pub struct Refused {
    /// Row of the outcome.
    pub index: usize,
    pub code: &'static str,
    pub message: String,
    pub problems: Vec<Problem>,
}

/// How messages are taken.
pub struct Way<'a> {
    pub plan: &'a Plan,
    pub stream: usize,
    pub scorer: Option<&'a Scorer>,
    /// Reasons a row.
    pub reasons: usize,
}

/// What became of messages, row by row.
pub struct Taken {
    pub rows: Rows,
    pub status: Vec<Status>,
    /// The message that each row came from.
    pub message: Vec<u32>,
    /// As many a row as the model has classes; none without a model.
    pub scores: Vec<f64>,
    /// As many a row as were asked for: places in the row, and what each adds to the raw score.
    pub reasons: Vec<(u32, f64)>,
    pub refused: Vec<Refused>,
}

impl Taken {
    pub fn new(way: &Way<'_>, rows: usize) -> Self {
        let stream = &way.plan.streams[way.stream];
        let classes = way.scorer.map_or(0, Scorer::classes);
        Self {
            rows: Rows::new(stream.outputs.len(), stream.exact, rows),
            status: Vec::with_capacity(rows),
            message: Vec::with_capacity(rows),
            scores: Vec::with_capacity(rows * classes),
            reasons: Vec::with_capacity(rows * way.reasons),
            refused: Vec::new(),
        }
    }

    /// An event that its codec has read, or why it could not.
    pub fn take(
        &mut self,
        core: &mut Core,
        event: &mut Event,
        way: &Way<'_>,
        message: usize,
        read: Result<(), EventError>,
    ) {
        let stream = &way.plan.streams[way.stream];
        let has_row = match read {
            Ok(()) => {
                let is_late = stream.on_late == OnLate::Emit && is_late(core, event, way.stream);
                core.push(way.stream, event).map(|has_row| (has_row, is_late))
            }
            Err(error) => {
                core.count_invalid(way.stream);
                Err(error)
            }
        };
        let status = match has_row {
            Ok((true, false)) => Status::Row,
            Ok((true, true)) => Status::LateRow,
            Ok((false, false)) => Status::Accepted,
            Ok((false, true)) => {
                self.refuse("late", "it came too late to be stored, and its stream has no features".to_owned(), vec![]);
                Status::Late
            }
            Err(error) => self.refuse_event(error),
        };
        if status.has_row() {
            self.rows.push(core.row());
            self.score(way);
        } else {
            self.skip(way);
        }
        self.status.push(status);
        self.message.push(message as u32);
    }

    fn refuse(&mut self, code: &'static str, message: String, problems: Vec<Problem>) {
        self.refused.push(Refused { index: self.status.len(), code, message, problems });
    }

    #[cold]
    fn refuse_event(&mut self, error: EventError) -> Status {
        let (status, code) = match &error {
            EventError::Invalid { problems, .. } if problems.iter().any(|problem| problem.field.is_empty()) => {
                (Status::Invalid, "undecodable")
            }
            EventError::Late { .. } | EventError::TooOld { .. } => (Status::Late, "late"),
            EventError::Memory { .. } => (Status::Memory, "memory"),
            EventError::Spill { .. } => (Status::Memory, "spill"),
            EventError::Invalid { .. } | EventError::Table { .. } => (Status::Invalid, "invalid"),
        };
        let message = error.to_string();
        let problems = if let EventError::Invalid { problems, .. } = error { problems } else { Vec::new() };
        self.refuse(code, message, problems);
        status
    }

    /// A row that nothing is known of.
    fn skip(&mut self, way: &Way<'_>) {
        self.rows.push_null();
        let classes = way.scorer.map_or(0, Scorer::classes);
        self.scores.resize(self.scores.len() + classes, f64::NAN);
        self.reasons.resize(self.reasons.len() + way.reasons, (0, f64::NAN));
    }

    /// Scores the row that was pushed last.
    fn score(&mut self, way: &Way<'_>) {
        let Some(scorer) = way.scorer else { return };
        let start = self.scores.len();
        self.scores.resize(start + scorer.classes(), f64::NAN);
        let values = self.rows.view(self.status.len()).values;
        let scored = scorer.score_into(values, &mut self.scores[start..]);
        let scored = scored.and_then(|()| match way.reasons {
            0 => Ok(()),
            count => scorer.reasons_into(values, &self.scores[start..], count, &mut self.reasons),
        });
        self.reasons.resize((self.status.len() + 1) * way.reasons, (0, f64::NAN));
        if let Err(error) = scored {
            // The event is in the state already, and its features stand.
            self.refuse("model", format!("the features could not be scored: {error}"), Vec::new());
        }
    }
}

/// One event a message.
pub fn push_messages(
    core: &mut Core,
    event: &mut Event,
    way: &Way<'_>,
    decoder: &Decoder,
    payloads: &[Option<&[u8]>],
) -> Taken {
    let schema = &way.plan.streams[way.stream].schema;
    let mut taken = Taken::new(way, payloads.len());
    for (message, payload) in payloads.iter().enumerate() {
        let read = match payload {
            Some(bytes) => decoder.decode(schema, bytes, event),
            None => Err(schema.refusal("null", "value", NO_VALUE)),
        };
        taken.take(core, event, way, message, read);
    }
    taken
}

/// What is said of a message without a value.
pub const NO_VALUE: &str =
    "the message has no value: it marks its key as deleted (a tombstone) and is no event; leave such messages out";

/// Whether an event that is about to be pushed is before the watermark of its stream.
fn is_late(core: &Core, event: &Event, stream: usize) -> bool {
    let time = event.values[core.plan().streams[stream].schema.time_column];
    matches!((time, core.mark_of(stream)), (Value::Time(time), Some(mark)) if time < mark)
}
