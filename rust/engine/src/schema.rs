//! The columns an event has and the rules its values keep. Bad input is refused here, nowhere later.

use crate::definition::{FieldKind, StreamDefinition, TimeUnit};
use crate::error::{DefinitionError, EventError};
use crate::event::{Event, Value};

/// A value as a codec or a binding found it, before it is checked.
#[derive(Clone, Copy, Debug)]
pub enum Raw<'a> {
    /// null, None, a null cell.
    Null,
    /// True or false.
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// Whole number outside i64, as its digits.
    BigInt(&'a str),
    /// Double.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// An instant that the source knows to be one (a datetime, an Arrow timestamp): nanoseconds since 1970.
    Time(i128),
    /// Anything else: the name of its type and a text that shows it.
    Other(&'a str, &'a str),
}

/// A compiled stream definition: checks events, field by field.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Name of the stream.
    pub stream: String,
    /// Columns in the order they were written.
    pub fields: Vec<Field>,
    /// Index of the event time's column.
    pub time_column: usize,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Field {
    /// Name in events.
    pub name: String,
    /// Type.
    pub kind: FieldKind,
    /// Whether null is a value.
    pub nullable: bool,
    /// Unit of whole-number timestamps.
    pub unit: TimeUnit,
    /// Categories in code order.
    pub categories: Vec<String>,
    // rules follow
}

impl Schema {
    /// Checks the definition itself: known time field, rules that fit their types, patterns that compile,
    /// defaults that keep the rules. `ticks_per_second` is 1_000_000, or 1_000_000_000 for a plan in nanoseconds.
    pub fn compile(definition: &StreamDefinition, ticks_per_second: i64) -> Result<Self, DefinitionError> {
        let _ = (definition, ticks_per_second);
        Err(DefinitionError::new("", ""))
    }

    /// Index of a column by its name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Starts an event: every column unset.
    pub fn begin<'s, 'e>(&'s self, event: &'e mut Event) -> Filling<'s, 'e> {
        event.reset(self.fields.len());
        Filling { schema: self, event }
    }
}

/// An event while its fields arrive.
pub struct Filling<'s, 'e> {
    schema: &'s Schema,
    event: &'e mut Event,
}

impl Filling<'_, '_> {
    /// Checks and stores one field; a broken rule is remembered and told by `finish`.
    pub fn set(&mut self, column: usize, raw: Raw<'_>) {
        let _ = raw;
        self.event.values[column] = Value::Null;
    }

    /// Fills in defaults, refuses what is missing, and tells every broken rule at once.
    pub fn finish(self) -> Result<(), EventError> {
        let _ = self.schema;
        Ok(())
    }
}
