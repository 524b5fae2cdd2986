//! What is computed over the events of a window: knows values, no clocks, edges or keys.
//!
//! An aggregation names the lane it is answered from; aggregations of one column and window that need the same lane share it.

mod count;
pub mod exact;
pub mod extreme;
mod first;
mod lag;
mod last;
mod max;
mod mean;
mod min;
mod n_unique;
pub mod sketch;
mod std;
mod sum;
mod time_since_last;
mod var;
pub mod wide;

use crate::definition::FieldKind;
use crate::derive::Type;

/// What an aggregation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing, or any value: then nulls are skipped.
    Optional,
    /// Any value.
    Any,
    /// Numbers and Booleans.
    Number,
    /// Numbers, Booleans and timestamps.
    Ordered,
}

/// The running state an aggregation is answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// How many.
    Count,
    /// Exact sums.
    Moment(Moment),
    /// The best value.
    Extreme {
        /// Largest instead of smallest.
        max: bool,
    },
    /// Different values.
    Distinct,
    /// One event of the window.
    Entry(Entry),
}

/// What is made of exact sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Moment {
    Sum,
    Mean,
    Var,
    Std,
}

/// Which event of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Entry {
    First,
    Last,
    Lag,
    SinceLast,
}

/// What the result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Int64, never null.
    Count,
    /// Float64, never null.
    Sum,
    /// Float64, null when there are too few values.
    Float,
    /// Of the input's kind, null when there is none.
    Same,
    /// The same, but Float64 for Booleans.
    Number,
}

/// One aggregation of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Aggregate {
    /// Stable number, written into checkpoints: append, never reuse.
    pub number: u8,
    /// Its name in definitions.
    pub name: &'static str,
    /// What it takes.
    pub input: Input,
    /// What it is answered from.
    pub lane: Lane,
    /// What it yields.
    pub result: Outcome,
}

macro_rules! aggregates {
    ($($number:literal, $module:ident;)*) => {
        /// Every aggregation, one line each.
        pub const AGGREGATES: &[Aggregate] = &[$(Aggregate { number: $number, ..$module::AGGREGATE },)*];
    };
}

aggregates! {
    1, count;
    2, sum;
    3, mean;
    4, var;
    5, std;
    6, min;
    7, max;
    8, first;
    9, last;
    10, lag;
    11, n_unique;
    12, time_since_last;
}

/// An aggregation by its name.
pub fn aggregate(name: &str) -> Option<&'static Aggregate> {
    AGGREGATES.iter().find(|aggregate| aggregate.name == name)
}

impl Aggregate {
    /// The type of its result over a value of this type (`None`: over events), or what is wrong with it.
    pub fn output(&self, input: Option<Type>) -> Result<Type, String> {
        let kind = match (self.input, input) {
            (Input::Optional, None) => FieldKind::Int64,
            (_, None) => return Err(format!("`{}` needs a value: `col(\"...\").{}()`", self.name, self.name)),
            (Input::Optional | Input::Any, Some(input)) => input.kind,
            (Input::Number, Some(input)) if input.is_number() || input.kind == FieldKind::Boolean => input.kind,
            (Input::Ordered, Some(input))
                if input.is_number() || matches!(input.kind, FieldKind::Boolean | FieldKind::Timestamp) =>
            {
                input.kind
            }
            (wanted, Some(input)) => {
                let wanted =
                    if wanted == Input::Number { "numbers or Booleans" } else { "numbers, Booleans or timestamps" };
                return Err(format!("`{}` takes {wanted}, not a {}", self.name, input.name()));
            }
        };
        Ok(match self.result {
            Outcome::Count => Type { kind: FieldKind::Int64, nullable: false },
            Outcome::Sum => Type { kind: FieldKind::Float64, nullable: false },
            Outcome::Float => Type::nullable(FieldKind::Float64),
            Outcome::Number if kind == FieldKind::Boolean => Type::nullable(FieldKind::Float64),
            Outcome::Same | Outcome::Number => Type::nullable(kind),
        })
    }
}
