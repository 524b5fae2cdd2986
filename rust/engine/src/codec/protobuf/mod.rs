//! Protobuf -> Event: one message of a known type, its descriptor compiled to what the stream wants of it, fields found by name.
//!
//! The library reads descriptors; reading messages is ours: it builds them as maps, which costs more than the rest of the way of an
//! event. Texts are borrowed from the message, fields that the stream does not know are passed over.

mod compile;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::read::Program;
use super::Codec;
use super::bytes::{self, Cursor, Fault};
use super::framing::{self, Framing};
use crate::error::{EventError, Problem};
use crate::event::Event;
use crate::schema::Schema;

/// Messages nested in a file: more indexes than that name none.
const INDEXES_MAX: usize = 16;

/// One message of a known type.
#[derive(Debug)]
pub struct Protobuf {
    framing: Framing,
    /// Full name of the only type that is read; none where messages say theirs.
    message: Option<String>,
    /// By schema id.
    files: BTreeMap<u32, Compiled>,
    /// The file of all ids that have none of their own, and of raw messages.
    every: Option<Compiled>,
}

type Compiled = Result<File, Problem>;

/// The types of a file.
#[derive(Debug)]
struct File {
    /// By the places of the type and of those around it.
    types: BTreeMap<Vec<i64>, Program>,
    /// The only type that is read, where there is one.
    only: Option<Vec<i64>>,
}

impl Protobuf {
    /// A codec that knows no descriptors yet. Raw messages need the full name of their type.
    pub fn new(framing: Framing, message: Option<String>) -> Self {
        Self { framing, message, files: BTreeMap::new(), every: None }
    }

    /// Adds the types of a schema id, or of all ids, as a `FileDescriptorSet` whose last file is the one that is meant.
    ///
    /// # Errors
    /// Why the bytes are none, or have no such type. Messages of this id are then refused with the same words.
    pub fn add(&mut self, schema: &Schema, id: Option<u32>, descriptors: &[u8]) -> Result<(), String> {
        let compiled = compile::compile(schema, descriptors, self.message.as_deref());
        let told = compiled.as_ref().err().cloned();
        let compiled = compiled.map_err(|message| Problem::new("", "its descriptors", "protobuf", message));
        match id {
            Some(id) => drop(self.files.insert(id, compiled)),
            None => self.every = Some(compiled),
        }
        told.map_or(Ok(()), Err)
    }

    /// Whether a message's schema would have to be asked for.
    pub fn unknown_id(&self, message: &[u8]) -> Option<u32> {
        if self.framing != Framing::Registry || self.every.is_some() {
            return None;
        }
        framing::schema_id_of(message).filter(|id| !self.files.contains_key(id))
    }

    /// The program for a message; the cursor then stands where its fields begin.
    #[inline]
    fn program(&self, schema: &Schema, message: &[u8], cursor: &mut Cursor<'_>) -> Result<&Program, EventError> {
        let refused = |fault: Fault| refused(schema, message, &fault);
        let (id, found) = match self.framing {
            Framing::Registry => {
                let id = framing::schema_id(cursor).map_err(refused)?;
                (id, self.files.get(&id).or(self.every.as_ref()))
            }
            Framing::SingleObject | Framing::Raw => (0, self.every.as_ref()),
        };
        let file = match found {
            None => return Err(framing::unknown(schema, message, id)),
            Some(Err(problem)) => {
                return Err(EventError::Invalid { stream: schema.stream.clone(), problems: vec![problem.clone()] });
            }
            Some(Ok(file)) => file,
        };
        let mut indexes = [0_i64; INDEXES_MAX];
        let places = match self.framing {
            Framing::Registry => indexes_of(cursor, &mut indexes).map_err(refused)?,
            Framing::SingleObject | Framing::Raw => file.only.as_deref().unwrap_or_default(),
        };
        match (file.types.get(places), &file.only) {
            (Some(program), None) => Ok(program),
            (Some(program), Some(only)) if only == places => Ok(program),
            (Some(program), Some(_)) => {
                let fault = Fault(format!(
                    "it is a `{}` and `message` asks for `{}`",
                    program.name,
                    self.message.as_deref().unwrap_or_default()
                ));
                Err(refused(fault))
            }
            (None, _) => Err(refused(Fault(format!("its type is {places:?} in its file, which has none there")))),
        }
    }
}

impl Codec for Protobuf {
    fn decode(&self, schema: &Schema, message: &[u8], event: &mut Event) -> Result<(), EventError> {
        bytes::check_length(schema, message, "protobuf")?;
        let mut cursor = Cursor::new(message);
        let program = self.program(schema, message, &mut cursor)?;
        let mut filling = schema.begin(event);
        match program.run(cursor, &mut filling) {
            Ok(()) => filling.finish(),
            Err(fault) => Err(refused(schema, message, &fault)),
        }
    }
}

/// The places of a message's type in its file, outermost first: a count and so many numbers; a zero stands for the first type.
fn indexes_of<'i>(cursor: &mut Cursor<'_>, indexes: &'i mut [i64; INDEXES_MAX]) -> Result<&'i [i64], Fault> {
    let count = cursor.zigzag()?;
    if count == 0 {
        return Ok(&indexes[..1]);
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= INDEXES_MAX);
    let count = count.ok_or_else(|| Fault("its type is deeper in its file than types are".to_owned()))?;
    for index in &mut indexes[..count] {
        *index = cursor.zigzag()?;
    }
    Ok(&indexes[..count])
}

#[cold]
fn refused(schema: &Schema, message: &[u8], fault: &Fault) -> EventError {
    bytes::refused(schema, message, "protobuf", format!("the message is no Protobuf of its type: {}", fault.0))
}
