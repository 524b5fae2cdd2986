//! Definition -> Plan. (Being written; the public face below is settled.)

use crate::definition::Definition;
use crate::error::DefinitionError;
use crate::row::Output;
use crate::schema::Schema;

/// A compiled definition: indexes instead of names.
#[derive(Debug)]
pub struct Plan {
    /// In the order of the definition.
    pub streams: Vec<StreamPlan>,
    /// 1_000_000, or 1_000_000_000 when a stream counts nanoseconds.
    pub ticks_per_second: i64,
    /// Hash of the definition and of the version of its meaning, 64 hex digits.
    pub fingerprint: String,
}

/// One stream of a plan.
#[derive(Debug)]
pub struct StreamPlan {
    /// Checks its events.
    pub schema: Schema,
    /// The features that its events make rows of; empty when they only update.
    pub outputs: Vec<Output>,
    /// How many of them have an exact slot.
    pub exact: usize,
}

impl Plan {
    /// Compiles, or says what is wrong.
    pub fn compile(definition: &Definition) -> Result<Self, DefinitionError> {
        let _ = definition;
        Err(DefinitionError::new("plan", "is being written"))
    }

    /// Index of a stream by its name.
    pub fn stream(&self, name: &str) -> Option<usize> {
        self.streams.iter().position(|stream| stream.schema.stream == name)
    }

    /// The plan as a text for people: which state exists, and why.
    pub fn describe(&self) -> String {
        String::new()
    }
}
