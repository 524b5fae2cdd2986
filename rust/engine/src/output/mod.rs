//! Row -> bytes, one file per format: what the world is told of a finished row. The inverse of `codec`.

pub mod avro;
pub mod json;
pub mod record_batch;

use crate::row::RowView;

/// What is told of every event in the same words.
#[derive(Clone, Debug, Default)]
pub struct Stamp<'a> {
    /// Version of the model; none where nothing is scored.
    pub model: Option<&'a str>,
    /// Fingerprint of the definition.
    pub definition: Option<&'a str>,
}

/// What is told of one event.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its id, where it has one.
    pub id: Option<&'a str>,
    /// Its features.
    pub row: RowView<'a>,
    /// Its score, or one for each class; none where it was not scored.
    pub scores: Option<&'a [f64]>,
    /// Features (by their places) and what each adds to the raw score, where reasons are told.
    pub reasons: Option<&'a [(u32, f64)]>,
    /// Further members of this message alone, as JSON without the braces; empty for none. Formats with a schema have no place for them.
    pub more: &'a str,
}

/// How messages are written, chosen once.
#[derive(Clone, Debug)]
pub enum Writer<'a> {
    /// One JSON object a message.
    Json(json::JsonWriter<'a>),
    /// One Avro record a message.
    Avro(avro::AvroWriter<'a>),
}

impl Writer<'_> {
    /// Appends one message to `out`.
    #[inline]
    pub fn write(&self, message: &Message<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json(writer) => writer.write(message, out),
            Self::Avro(writer) => writer.write(message, out),
        }
    }
}
