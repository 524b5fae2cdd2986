//! JSON -> Event: one object in UTF-8, read in a single pass straight into the columns of the schema.
//!
//! Nothing is built in between: texts are borrowed from the input, fields that the schema does not know are only
//! checked for being JSON. Of two fields of one name the last counts.

#[cfg(test)]
mod tests;

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, NumberAny, NumberInt, Peek};

use super::Codec;
use crate::definition::FieldKind;
use crate::error::{EventError, Problem};
use crate::event::Event;
use crate::schema::{Filling, Raw, Schema};

/// Longest event.
pub const BYTES_MAX: usize = 1_048_576;
/// Deepest nesting, the event's own object included.
pub const LEVELS_MAX: usize = 64;

/// One JSON object a message.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl Codec for Json {
    #[inline]
    fn decode(&self, schema: &Schema, bytes: &[u8], event: &mut Event) -> Result<(), EventError> {
        decode(schema, bytes, event)
    }
}

/// Reads one event. What it refuses, it refuses as a whole: `event` then means nothing.
pub fn decode(schema: &Schema, bytes: &[u8], event: &mut Event) -> Result<(), EventError> {
    if bytes.len() > BYTES_MAX {
        let message =
            format!("the event has {} bytes and {BYTES_MAX} are allowed; send less, or several events", bytes.len());
        return Err(refused(schema, bytes, "json", message));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("the event is not UTF-8 at byte {}; encode it as UTF-8", error.valid_up_to());
            return Err(refused(schema, bytes, "json", message));
        }
    };
    let mut filling = schema.begin(event);
    let mut reader = Reader {
        json: Jiter::with_tape(bytes, filling.take_scratch()).with_allow_inf_nan(),
        text,
        schema,
        expected: 0,
    };
    let outcome = reader.object(&mut filling);
    let description = outcome.as_ref().err().map(|refusal| refusal.description(&reader));
    filling.keep_scratch(reader.json.into_tape());
    match outcome {
        Ok(()) => filling.finish(),
        Err(refusal) => Err(refused(schema, bytes, refusal.rule(), description.unwrap_or_default())),
    }
}

struct Reader<'a> {
    json: Jiter<'a>,
    text: &'a str,
    schema: &'a Schema,
    /// The column that comes next if fields come in the order of the schema.
    expected: usize,
}

/// Why the bytes are no event at all.
enum Refusal {
    Syntax(JiterError),
    Depth,
    NoObject(&'static str),
}

impl From<JiterError> for Refusal {
    fn from(error: JiterError) -> Self {
        match error.error_type {
            JiterErrorType::JsonError(JsonErrorType::RecursionLimitExceeded) => Self::Depth,
            _ => Self::Syntax(error),
        }
    }
}

impl Refusal {
    fn rule(&self) -> &'static str {
        match self {
            Self::Syntax(_) | Self::Depth => "json",
            Self::NoObject(_) => "object",
        }
    }

    #[cold]
    fn description(&self, reader: &Reader<'_>) -> String {
        match self {
            Self::Syntax(_) if reader.text.is_empty() => "the event is empty; send one JSON object".to_owned(),
            Self::Syntax(error) => format!("the event is not JSON: {}", error.description(&reader.json)),
            Self::Depth => format!("the event is nested deeper than {LEVELS_MAX} levels; flatten it"),
            Self::NoObject(found) => format!("an event is one JSON object with its fields, not {found}"),
        }
    }
}

impl Reader<'_> {
    fn object(&mut self, filling: &mut Filling<'_, '_>) -> Result<(), Refusal> {
        let first = self.json.peek()?;
        if first != Peek::Object {
            self.nested(first, 0)?;
            self.json.finish()?;
            return Err(Refusal::NoObject(found(first)));
        }
        let (schema, expected) = (self.schema, &mut self.expected);
        let mut field = self.json.known_object()?.map(|name| schema.column_near(expected, name));
        while let Some(column) = field {
            match column {
                Some(column) => self.value(column, filling)?,
                None => {
                    let first = self.json.peek()?;
                    self.nested(first, 1)?;
                }
            }
            let (schema, expected) = (self.schema, &mut self.expected);
            field = self.json.next_key()?.map(|name| schema.column_near(expected, name));
        }
        self.json.finish()?;
        Ok(())
    }

    #[inline]
    fn value(&mut self, column: usize, filling: &mut Filling<'_, '_>) -> Result<(), Refusal> {
        let first = self.json.peek()?;
        match first {
            Peek::String => filling.set(column, Raw::Text(self.json.known_str()?)),
            Peek::Null => {
                self.json.known_null()?;
                filling.set(column, Raw::Null);
            }
            Peek::True | Peek::False => filling.set(column, Raw::Bool(self.json.known_bool(first)?)),
            Peek::Array | Peek::Object => {
                let start = self.json.current_index();
                self.nested(first, 1)?;
                let shown = &self.text[start..self.json.current_index()];
                filling.set(column, Raw::Other(if first == Peek::Array { "array" } else { "object" }, shown));
            }
            _ if self.schema.fields[column].kind == FieldKind::Float64 => {
                let start = self.json.current_index();
                let value = self.json.known_float(first)?;
                let ordinary = value != 0.0 && value.is_finite();
                filling.set(column, if ordinary { Raw::Float(value) } else { self.odd_float(start, value) });
            }
            _ => {
                let start = self.json.current_index();
                let number = self.json.known_number(first)?;
                filling.set(
                    column,
                    match number {
                        NumberAny::Int(NumberInt::Int(value)) => Raw::Int(value),
                        NumberAny::Int(NumberInt::BigInt(_)) => {
                            Raw::BigInt(&self.text[start..self.json.current_index()])
                        }
                        NumberAny::Float(value) => Raw::Float(value),
                    },
                );
            }
        }
        Ok(())
    }

    /// A zero or an infinity. Written as a whole number it is one, as in Python: `-0` is 0.0, and four hundred digits
    /// are no infinity.
    fn odd_float(&self, start: usize, value: f64) -> Raw<'_> {
        let digits = &self.text[start..self.json.current_index()];
        match digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            true if value == 0.0 => Raw::Int(0),
            true => Raw::BigInt(digits),
            false => Raw::Float(value),
        }
    }

    /// Passes over a value that stands `level` levels deep.
    fn nested(&mut self, first: Peek, level: usize) -> Result<(), Refusal> {
        let start = self.json.current_index();
        self.json.known_skip(first)?;
        if matches!(first, Peek::Array | Peek::Object) {
            let bytes = &self.text.as_bytes()[start..self.json.current_index()];
            if level + levels(bytes) > LEVELS_MAX {
                return Err(Refusal::Depth);
            }
        }
        Ok(())
    }
}

/// How deep valid JSON is nested.
fn levels(json: &[u8]) -> usize {
    let (mut level, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b']' | b'}' => level -= 1,
            _ => {}
        }
    }
    deepest
}

fn found(first: Peek) -> &'static str {
    match first {
        Peek::Null => "null",
        Peek::True | Peek::False => "a boolean",
        Peek::String => "a text",
        Peek::Array => "a list",
        Peek::Object => "an object",
        _ => "a number",
    }
}

/// The error about an event as a whole. It shows the beginning only: the rest may be a megabyte of anything.
#[cold]
fn refused(schema: &Schema, bytes: &[u8], rule: &'static str, message: String) -> EventError {
    let end = bytes.len().min(Problem::VALUE_CHARS_MAX);
    let mut value = String::from_utf8_lossy(&bytes[..end]).into_owned();
    if end < bytes.len() {
        value = format!("{value}… ({} bytes)", bytes.len());
    }
    EventError::Invalid {
        stream: schema.stream.clone(),
        problems: vec![Problem { field: String::new(), value, rule, message }],
    }
}
