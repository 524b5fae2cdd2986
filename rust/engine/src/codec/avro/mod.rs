//! Avro -> Event: one record a message, its writer's schema compiled to what the stream wants of it, fields found by name.
//!
//! The library parses schemas; reading is ours: it builds values as trees with names, which costs more than the rest of the way
//! of an event. Texts are borrowed from the message, fields that the stream does not know are passed over.

mod compile;
mod fingerprint;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::read::Program;
use super::Codec;
use super::bytes::{self, Cursor};
use super::framing::{self, Framing};
use crate::error::{EventError, Problem};
use crate::event::Event;
use crate::schema::Schema;

/// What a schema of messages has come to: a program, or what is said of each of them.
type Compiled = Result<Program, Vec<Problem>>;

/// One record a message.
#[derive(Debug)]
pub struct Avro {
    framing: Framing,
    /// By schema id, or by the fingerprint of single objects; of raw messages by 0.
    programs: BTreeMap<u64, Compiled>,
}

/// The two bytes before a single object.
const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];

impl Avro {
    /// A codec that knows no schema yet.
    pub fn new(framing: Framing) -> Self {
        Self { framing, programs: BTreeMap::new() }
    }

    /// Adds the schema of an id; single objects and raw messages need none. `schema` is that of the stream, `references` are
    /// schemas that the text names and does not have.
    ///
    /// # Errors
    /// Why the text is no schema of records. Messages of this id are then refused with the same words. What a field of the record
    /// cannot be in the stream is told of each message.
    pub fn add(&mut self, schema: &Schema, id: u32, text: &str, references: &[&str]) -> Result<(), String> {
        let parsed = apache_avro::Schema::parse_str_with_list(text, references);
        let parsed = parsed.map_err(|error| format!("the schema is no Avro schema: {error}"));
        let found = parsed.and_then(|(own, others)| {
            let key = match self.framing {
                Framing::Registry => u64::from(id),
                Framing::Raw => 0,
                Framing::SingleObject => fingerprint::fingerprint(text),
            };
            Ok((key, compile::compile(schema, &own, &others)?))
        });
        match found {
            Ok((key, compiled)) => {
                self.programs.insert(key, compiled);
                Ok(())
            }
            Err(message) => {
                let problem = Problem::new("", format!("schema {id}"), "avro", message.clone());
                self.programs.insert(u64::from(id), Err(vec![problem]));
                Err(message)
            }
        }
    }

    /// Whether a message's schema would have to be asked for.
    pub fn unknown_id(&self, message: &[u8]) -> Option<u32> {
        if self.framing != Framing::Registry {
            return None;
        }
        framing::schema_id_of(message).filter(|id| !self.programs.contains_key(&u64::from(*id)))
    }

    /// The program for a message; the cursor then stands where its record begins.
    #[inline]
    fn program(&self, schema: &Schema, message: &[u8], cursor: &mut Cursor<'_>) -> Result<&Program, EventError> {
        let refused = |fault: bytes::Fault| {
            bytes::refused(schema, message, "avro", format!("the message is no Avro: {}", fault.0))
        };
        let compiled = match self.framing {
            Framing::Registry => {
                let id = framing::schema_id(cursor).map_err(refused)?;
                self.programs.get(&u64::from(id)).ok_or_else(|| framing::unknown(schema, message, id))?
            }
            Framing::SingleObject => {
                let header = cursor.array::<10>().map_err(refused)?;
                let [a, b, fingerprint @ ..] = header;
                if [a, b] != SINGLE_OBJECT {
                    let message_text =
                        "the message is no single object of Avro: it does not begin with c301".to_owned();
                    return Err(bytes::refused(schema, message, "avro", message_text));
                }
                let fingerprint = u64::from_le_bytes(fingerprint);
                self.programs.get(&fingerprint).ok_or_else(|| {
                    let text =
                        format!("the fingerprint {fingerprint:016x} is of no schema in `schemas`; add its schema");
                    bytes::refused(schema, message, "schema_id", text)
                })?
            }
            Framing::Raw => self.programs.get(&0).ok_or_else(|| framing::unknown(schema, message, 0))?,
        };
        compiled
            .as_ref()
            .map_err(|problems| EventError::Invalid { stream: schema.stream.clone(), problems: problems.clone() })
    }
}

impl Codec for Avro {
    fn decode(&self, schema: &Schema, message: &[u8], event: &mut Event) -> Result<(), EventError> {
        bytes::check_length(schema, message, "avro")?;
        let mut cursor = Cursor::new(message);
        let program = self.program(schema, message, &mut cursor)?;
        let mut filling = schema.begin(event);
        match program.run(&mut cursor, &mut filling) {
            Ok(()) => filling.finish(),
            Err(fault) => {
                let at = cursor.at();
                let text = format!("the message is no Avro of its schema: {} at byte {at}", fault.0);
                Err(bytes::refused(schema, message, "avro", text))
            }
        }
    }
}
