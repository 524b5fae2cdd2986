//! What is computed over the events of a window: knows values, no clocks, edges or keys.
//!
//! An aggregation names the lane it is answered from; aggregations of one column and window that need the same lane share it.

mod all;
mod any;
mod approx_n_unique;
mod approx_quantile;
pub mod co_moments;
mod corr;
mod count;
mod cov;
pub mod decay;
pub mod entropy;
mod ewm_mean;
mod ewm_sum;
pub mod exact;
pub mod extreme;
mod first;
pub mod higher;
mod is_first;
mod kurtosis;
mod lag;
mod last;
mod last_k;
mod max;
mod max_by;
mod mean;
mod median;
mod min;
mod min_by;
mod mode;
pub mod moments;
mod n_unique;
mod quantile;
mod rate;
pub mod registers;
pub mod sketch;
mod skew;
mod slope;
mod std;
mod sum;
mod time_since_first;
mod time_since_last;
mod top_k;
mod var;
pub mod whole;
pub mod wide;

use crate::definition::{FieldKind, Literal};
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
    /// Booleans.
    Truth,
}

/// What the summary of some events holds that an aggregation is answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// How many.
    Count,
    /// Exact sums.
    Moments {
        /// And those of squares.
        squares: bool,
    },
    /// Exact sums up to the fourth power.
    Higher,
    /// Exact sums of two values and their products.
    Pair,
    /// The same of a value and its time.
    Slope,
    /// The best value.
    Extreme {
        /// Largest instead of smallest.
        max: bool,
    },
    /// The value beside the best one.
    ExtremeBy {
        /// Largest instead of smallest.
        max: bool,
    },
    /// Different values.
    Distinct,
    /// Values in order.
    Rank,
    /// How often each value is there.
    Tally,
    /// How often each bucket of a sketch is there.
    Buckets,
    /// Registers of a sketch of different values.
    Registers,
    /// Sums whose weights decay.
    Decay,
    /// Values of single events.
    Entry,
    /// Times of single events.
    Time,
}

/// What is made of a lane, with its parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum What {
    Count,
    /// Events per second: the length in seconds.
    Rate(f64),
    Sum,
    Mean,
    Var,
    Std,
    Skew,
    Kurtosis,
    Cov,
    Corr,
    Slope,
    Best,
    BestBy,
    Distinct,
    IsFirst,
    Quantile(f64),
    Mode,
    TopK(usize),
    Entropy,
    ApproxQuantile(f64),
    ApproxDistinct,
    EwmSum,
    EwmMean,
    First,
    Last,
    Lag(usize),
    LastK(usize),
    SinceLast,
    SinceFirst,
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
    /// Boolean, null when there is nothing to say.
    Truth,
    /// Several of the input's kind, null when there is none.
    List,
}

/// What else an aggregation has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// n of `lag(n)`, k of `top_k(k)`.
    Count,
    /// q of `quantile(q)`.
    Fraction,
    /// A half-life.
    Duration,
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
    /// What its second value has to be, where it takes two.
    pub second: Option<Input>,
    /// What else it has to be told.
    pub parameter: Option<Parameter>,
    /// What it is answered from.
    pub lane: Lane,
    /// What is made of that.
    pub what: What,
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
    13, last_k;
    14, approx_n_unique;
    15, is_first;
    16, quantile;
    17, median;
    18, approx_quantile;
    19, mode;
    20, top_k;
    21, any;
    22, all;
    23, skew;
    24, kurtosis;
    25, slope;
    26, cov;
    27, corr;
    28, min_by;
    29, max_by;
    30, entropy;
    31, ewm_mean;
    32, ewm_sum;
    33, rate;
    34, time_since_first;
}

/// Largest n of `lag(n)`, k of `last_k(k)` and `top_k(k)`.
pub const COUNT_MAX: i64 = 1_000;

/// An aggregation by its name.
pub fn aggregate(name: &str) -> Option<&'static Aggregate> {
    AGGREGATES.iter().find(|aggregate| aggregate.name == name)
}

impl Input {
    fn takes(self, input: Type) -> bool {
        let boolean = input.kind == FieldKind::Boolean;
        match self {
            Self::Optional | Self::Any => true,
            Self::Number => input.is_number() || boolean,
            Self::Ordered => input.is_number() || boolean || input.kind == FieldKind::Timestamp,
            Self::Truth => boolean,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Optional | Self::Any => "any value",
            Self::Number => "numbers or Booleans",
            Self::Ordered => "numbers, Booleans or timestamps",
            Self::Truth => "Booleans",
        }
    }
}

impl Aggregate {
    /// The type of its result over values of these types (none: over events), or what is wrong with them.
    pub fn output(&self, inputs: &[Type]) -> Result<Type, String> {
        let wanted = 1 + usize::from(self.second.is_some());
        if inputs.len() > wanted {
            return Err(format!("`{}` takes {wanted} value(s), not {}", self.name, inputs.len()));
        }
        let kind = match inputs.first() {
            None if self.input == Input::Optional => FieldKind::Int64,
            None => return Err(format!("`{}` needs a value: `col(\"...\").{}()`", self.name, self.name)),
            Some(&input) if self.input.takes(input) => input.kind,
            Some(input) => return Err(format!("`{}` takes {}, not a {}", self.name, self.input.name(), input.name())),
        };
        match (self.second, inputs.get(1)) {
            (Some(_), None) => return Err(format!("`{}` compares two values; give the other one too", self.name)),
            (Some(wanted), Some(&second)) if !wanted.takes(second) => {
                let (name, wanted, found) = (self.name, wanted.name(), second.name());
                return Err(format!("`{name}` compares with {wanted}, not with a {found}"));
            }
            _ => {}
        }
        Ok(match self.result {
            Outcome::Count => Type { kind: FieldKind::Int64, nullable: false },
            Outcome::Sum => Type { kind: FieldKind::Float64, nullable: false },
            Outcome::Float => Type::nullable(FieldKind::Float64),
            Outcome::Number if kind == FieldKind::Boolean => Type::nullable(FieldKind::Float64),
            Outcome::Truth => Type::nullable(FieldKind::Boolean),
            Outcome::Same | Outcome::Number | Outcome::List => Type::nullable(kind),
        })
    }

    /// What is made of the lane with these parameters, and the half-life in nanoseconds where there is one.
    pub fn with(&self, parameters: &[Literal]) -> Result<(What, i64), String> {
        let name = self.name;
        match (self.parameter, parameters) {
            (None, []) => Ok((self.what, 0)),
            (None, _) => Err(format!("`{name}` takes no parameters")),
            (Some(Parameter::Count), [Literal::Int(n)]) if (1..=COUNT_MAX).contains(n) => {
                let n = *n as usize;
                let what = match self.what {
                    What::Lag(_) => What::Lag(n),
                    What::LastK(_) => What::LastK(n),
                    _ => What::TopK(n),
                };
                Ok((what, 0))
            }
            (Some(Parameter::Count), [Literal::Int(n)]) => {
                Err(format!("`{name}({n})` asks for more than is kept; write 1 to {COUNT_MAX}"))
            }
            (Some(Parameter::Count), _) => Err(format!("`{name}` takes one whole number")),
            (Some(Parameter::Fraction), [literal @ (Literal::Float(_) | Literal::Int(_))]) => {
                let q = match literal {
                    Literal::Float(crate::definition::FloatLiteral::Number(q)) => *q,
                    Literal::Int(q) => *q as f64,
                    _ => f64::NAN,
                };
                if !(0.0..=1.0).contains(&q) {
                    return Err(format!("`{name}({q})` is no fraction; write 0.0 to 1.0"));
                }
                let exact = matches!(self.what, What::Quantile(_));
                Ok((if exact { What::Quantile(q) } else { What::ApproxQuantile(q) }, 0))
            }
            (Some(Parameter::Fraction), _) => Err(format!("`{name}` takes one number from 0.0 to 1.0")),
            (Some(Parameter::Duration), [Literal::Int(ns)]) if *ns > 0 => Ok((self.what, *ns)),
            (Some(Parameter::Duration), _) => Err(format!("`{name}` takes one half-life above zero, such as \"1h\"")),
        }
    }
}
