//! What stands before a message of a schema registry: a zero, and the number of the schema that it was written with.

use crate::codec::bytes::{Cursor, Fault};
use crate::error::EventError;
use crate::schema::Schema;

/// How a message says what it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A zero and four bytes of schema id, highest first: what clients of a schema registry write.
    Registry,
    /// Avro's single objects: two bytes and a fingerprint of the schema.
    SingleObject,
    /// Nothing: all messages are of one schema.
    Raw,
}

impl Framing {
    /// From its name in Python.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "registry" => Self::Registry,
            "single_object" => Self::SingleObject,
            "raw" => Self::Raw,
            _ => return None,
        })
    }
}

/// The id of a message's schema; the cursor then stands behind it.
#[inline]
pub fn schema_id(cursor: &mut Cursor<'_>) -> Result<u32, Fault> {
    match cursor.array::<5>() {
        Ok([0, id @ ..]) => Ok(u32::from_be_bytes(id)),
        Ok([first, ..]) => Err(Fault(format!(
            "it begins with {first} and not with the 0 of a schema registry; where no registry is used, write framing=\"raw\""
        ))),
        Err(_) => Err(Fault("it is too short for the 0 and the schema id of a schema registry".to_owned())),
    }
}

/// The schema id of a message, where it has one: to ask a registry for what is not known yet.
pub fn schema_id_of(bytes: &[u8]) -> Option<u32> {
    schema_id(&mut Cursor::new(bytes)).ok()
}

/// The error about a message of a schema that is not known.
#[cold]
pub fn unknown(schema: &Schema, bytes: &[u8], id: u32) -> EventError {
    let message = format!("its schema id {id} is not known; add it to `schemas`, or give a `registry` that has it");
    super::bytes::refused(schema, bytes, "schema_id", message)
}
