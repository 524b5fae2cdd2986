//! The columns an event has and the rules its values keep. Bad input is refused here, nowhere later.
//!
//! `compile` builds it and refuses mistakes in the definition; `check` holds one value against the rules of its field,
//! `explain` says in words what broke, `instant` knows units, ISO 8601 and the range of time.

mod check;
mod compile;
mod explain;
mod instant;
#[cfg(test)]
mod tests;

use self::check::{Broken, Check, Tested};
pub use self::instant::iso_ticks;
use crate::definition::{FieldKind, LookupDefinition, StreamDefinition, TimeUnit};
use crate::error::{DefinitionError, EventError, Problem};
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
    /// Columns in the order of their names.
    by_name: Box<[u32]>,
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
    check: Check,
    default: Option<DefaultValue>,
}

/// What an absent field becomes; it has passed the field's own check.
#[derive(Clone, Debug)]
enum DefaultValue {
    Value(Value),
    Text(Box<str>),
}

impl Schema {
    /// Most fields of one stream.
    pub const FIELDS_MAX: usize = 1_000;
    /// Highest `max_bytes` of a text field.
    pub const TEXT_BYTES_MAX: u32 = 1_048_576;
    /// `max_bytes` of a text field that does not say.
    pub const TEXT_BYTES_DEFAULT: u32 = 4_096;

    /// Checks the definition itself: known time field, rules that fit their types, patterns that compile,
    /// defaults that keep the rules. `ticks_per_second` is 1_000_000, or 1_000_000_000 for a plan in nanoseconds.
    pub fn compile(definition: &StreamDefinition, ticks_per_second: i64) -> Result<Self, DefinitionError> {
        compile::compile(definition, ticks_per_second)
    }

    /// The columns of a lookup, to check its rows with. It has no time column.
    pub(crate) fn of_lookup(definition: &LookupDefinition, ticks_per_second: i64) -> Result<Self, DefinitionError> {
        compile::compile_lookup(definition, ticks_per_second)
    }

    /// Index of a column by its name.
    pub fn column(&self, name: &str) -> Option<usize> {
        let place =
            self.by_name.binary_search_by(|column| self.fields[*column as usize].name.as_str().cmp(name)).ok()?;
        Some(self.by_name[place] as usize)
    }

    /// Index of a column by its name, where most fields come in the order of the schema: `expected` is looked at first
    /// and moves on with every hit.
    #[inline]
    pub fn column_near(&self, expected: &mut usize, name: &str) -> Option<usize> {
        let column = match self.fields.get(*expected) {
            Some(field) if field.name == name => *expected,
            _ => self.column(name)?,
        };
        *expected = column + 1;
        Some(column)
    }

    /// Whether a column takes a value: what `Filling::set` would not refuse. Nothing is made of it.
    #[inline]
    pub fn accepts(&self, column: usize, raw: Raw<'_>) -> bool {
        let field = &self.fields[column];
        if matches!(raw, Raw::Null) { field.may_be_absent() } else { field.test(raw).is_ok() }
    }

    /// Whether an event may be without this column.
    pub fn may_be_absent(&self, column: usize) -> bool {
        self.fields[column].may_be_absent()
    }

    /// The event time behind a value of the time column, in ticks; `None` for what is refused, or absent.
    #[inline]
    pub fn time(&self, raw: Raw<'_>) -> Option<i64> {
        match self.fields[self.time_column].test(raw) {
            Ok(Tested::Value(Value::Time(ticks))) => Some(ticks),
            _ => None,
        }
    }

    /// Starts an event: every column unset.
    #[inline]
    pub fn begin<'s, 'e>(&'s self, event: &'e mut Event) -> Filling<'s, 'e> {
        event.reset(self.fields.len());
        Filling { schema: self, event, problems: Vec::new() }
    }

    /// Refuses an event as a whole, e.g. because it is no JSON: the only problem there is.
    pub fn refusal(&self, value: &str, rule: &'static str, message: impl Into<String>) -> EventError {
        EventError::Invalid { stream: self.stream.clone(), problems: vec![Problem::new("", value, rule, message)] }
    }
}

/// An event while its fields arrive.
pub struct Filling<'s, 'e> {
    schema: &'s Schema,
    event: &'e mut Event,
    /// By column; empty until the first problem.
    problems: Vec<Option<Problem>>,
}

impl Filling<'_, '_> {
    /// Checks and stores one field; a broken rule is remembered and told by `finish`. Set twice, the last counts.
    #[inline]
    pub fn set(&mut self, column: usize, raw: Raw<'_>) {
        self.event.give(column);
        let field = &self.schema.fields[column];
        let outcome = match raw {
            Raw::Null if field.nullable => Ok(Value::Null),
            Raw::Null => field.filled(self.event).ok_or(Broken::NotNull),
            _ => field.check(raw, self.event),
        };
        match outcome {
            Ok(value) => {
                self.event.values[column] = value;
                if let Some(problem) = self.problems.get_mut(column) {
                    *problem = None;
                }
            }
            Err(broken) => self.refuse(column, broken, raw),
        }
    }

    /// Makes a field one that has not been given.
    pub fn unset(&mut self, column: usize) {
        self.event.take_back(column);
        if let Some(problem) = self.problems.get_mut(column) {
            *problem = None;
        }
    }

    /// Whether a field has been given.
    #[inline]
    pub fn is_given(&self, column: usize) -> bool {
        self.event.is_given(column)
    }

    /// Fills in defaults, refuses what is missing, and tells every broken rule at once.
    #[inline]
    pub fn finish(mut self) -> Result<(), EventError> {
        for word in 0..self.schema.fields.len().div_ceil(64) {
            let mut absent = self.event.absent(word);
            while absent != 0 {
                self.fill(word * 64 + absent.trailing_zeros() as usize);
                absent &= absent - 1;
            }
        }
        if self.problems.is_empty() { Ok(()) } else { self.refused() }
    }

    /// Tells every rule that the given fields break; what is absent is null, as in a lookup by keys.
    pub fn finish_given(self) -> Result<(), EventError> {
        if self.problems.is_empty() { Ok(()) } else { self.refused() }
    }

    /// An absent field: its default, or null, or refused.
    fn fill(&mut self, column: usize) {
        let field = &self.schema.fields[column];
        match field.filled(self.event) {
            Some(value) => self.event.values[column] = value,
            None if field.nullable => {}
            None => self.refuse(column, Broken::Required, Raw::Null),
        }
    }

    #[cold]
    fn refuse(&mut self, column: usize, broken: Broken, raw: Raw<'_>) {
        self.problems.resize(self.schema.fields.len(), None);
        self.problems[column] = Some(explain::problem(&self.schema.fields[column], broken, raw));
    }

    #[cold]
    fn refused(self) -> Result<(), EventError> {
        let problems: Vec<Problem> = self.problems.into_iter().flatten().collect();
        // A field that was set twice may have been mended by the second value.
        if problems.is_empty() {
            return Ok(());
        }
        Err(EventError::Invalid { stream: self.schema.stream.clone(), problems })
    }

    /// The event's buffer for unescaped texts, to be given back with [`Self::keep_scratch`].
    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.event.scratch)
    }

    pub(crate) fn keep_scratch(&mut self, scratch: Vec<u8>) {
        self.event.scratch = scratch;
    }
}

impl Field {
    fn may_be_absent(&self) -> bool {
        self.nullable || self.default.is_some()
    }

    /// The default as an event stores it.
    fn filled(&self, event: &mut Event) -> Option<Value> {
        match self.default.as_ref()? {
            DefaultValue::Value(value) => Some(*value),
            DefaultValue::Text(text) => Some(Value::Text(event.store(text))),
        }
    }
}
