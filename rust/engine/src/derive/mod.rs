//! Expressions over one event and over a finished row: types when a plan is compiled, values per event. No state.
//!
//! A program is a list of steps; each appends one value to the frame, which begins with the event's columns.

mod arithmetic;
pub(crate) use arithmetic::seconds;
mod choice;
mod clip;
mod compare;
mod geo;
mod is_in;
pub use is_in::{IS_IN, MEMBERS_MAX, Members};
mod logic;
mod math;
mod text;
mod time;

use std::sync::Arc;

use crate::definition::FieldKind;
use crate::event::{Event, Value};
use crate::lookup::Context;

/// What an expression yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type {
    /// Kind of its values.
    pub kind: FieldKind,
    /// Whether null may come out.
    pub nullable: bool,
}

impl Type {
    /// A type whose values may be null.
    pub fn nullable(kind: FieldKind) -> Self {
        Self { kind, nullable: true }
    }

    /// Whether arithmetic takes it.
    pub fn is_number(self) -> bool {
        matches!(self.kind, FieldKind::Float64 | FieldKind::Int64)
    }

    /// The word for it in messages.
    pub fn name(self) -> &'static str {
        kind_name(self.kind)
    }
}

/// The name that definitions and messages use for a kind.
pub fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Timestamp => "Timestamp",
        FieldKind::String => "String",
        FieldKind::Categorical => "Categorical",
        FieldKind::Int64 => "Int64",
        FieldKind::Float64 => "Float64",
        FieldKind::Boolean => "Boolean",
    }
}

/// Most arguments of one function.
pub const ARITY_MAX: usize = 4;

/// Values of a step's arguments, and the event whose buffer holds their texts and takes new ones.
pub(crate) struct Arguments<'a> {
    values: [Value; ARITY_MAX],
    event: &'a mut Event,
    ticks_per_second: i64,
}

type Compute = fn(&mut Arguments<'_>) -> Value;
type Check = fn(&[Type]) -> Result<Type, String>;

/// One function of the registry.
#[derive(Clone, Copy)]
pub struct Function {
    /// Its name in definitions.
    pub name: &'static str,
    /// How many arguments it takes.
    pub arity: usize,
    check: Check,
    compute: Compute,
}

macro_rules! functions {
    ($($name:literal, $arity:literal, $check:path, $compute:path;)*) => {
        /// Every function an expression can call, one line each.
        pub const FUNCTIONS: &[Function] = &[$(Function { name: $name, arity: $arity, check: $check, compute: $compute },)*];
    };
}

functions! {
    "add", 2, arithmetic::closed, arithmetic::add;
    "sub", 2, arithmetic::subtraction, arithmetic::sub;
    "mul", 2, arithmetic::closed, arithmetic::mul;
    "div", 2, arithmetic::to_float, arithmetic::div;
    "floordiv", 2, arithmetic::closed, arithmetic::floordiv;
    "mod", 2, arithmetic::closed, arithmetic::modulo;
    "pow", 2, arithmetic::to_float, arithmetic::pow;
    "neg", 1, arithmetic::closed, arithmetic::neg;
    "abs", 1, arithmetic::closed, arithmetic::abs;
    "exp", 1, arithmetic::to_float, math::exp;
    "log1p", 1, arithmetic::to_float, math::log1p;
    "sqrt", 1, arithmetic::to_float, math::sqrt;
    "floor", 1, arithmetic::to_float, math::floor;
    "clip", 3, clip::numbers, clip::clip;
    "cast_float64", 1, math::castable, math::cast_float64;
    "cast_int64", 1, math::castable_to_int, math::cast_int64;
    "eq", 2, compare::comparable, compare::eq;
    "ne", 2, compare::comparable, compare::ne;
    "lt", 2, compare::comparable, compare::lt;
    "le", 2, compare::comparable, compare::le;
    "gt", 2, compare::comparable, compare::gt;
    "ge", 2, compare::comparable, compare::ge;
    "and", 2, logic::booleans, logic::and;
    "or", 2, logic::booleans, logic::or;
    "xor", 2, logic::booleans, logic::xor;
    "not", 1, logic::booleans, logic::not;
    "is_null", 1, choice::any, choice::is_null;
    "fill_null", 2, choice::same, choice::coalesce;
    "coalesce", 2, choice::same, choice::coalesce;
    "when", 3, choice::branches, choice::when;
    "dt_hour", 1, time::part, time::hour;
    "dt_weekday", 1, time::part, time::weekday;
    "str_lower", 1, text::to_text, text::lower;
    "str_len", 1, text::to_number, text::len;
    "haversine", 4, arithmetic::to_float, geo::haversine;
}

/// A function by its name.
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

impl Function {
    /// The type of its result, or what is wrong with its arguments.
    pub fn result(&self, arguments: &[Type]) -> Result<Type, String> {
        if arguments.len() != self.arity {
            return Err(format!("`{}` takes {} argument(s), not {}", self.name, self.arity, arguments.len()));
        }
        (self.check)(arguments).map_err(|message| format!("`{}` {message}", self.name))
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// One step of a program: what it appends to the frame.
#[derive(Clone, Debug)]
pub enum Step {
    /// A constant.
    Constant(Value),
    /// A constant text, copied into the event's buffer.
    Text(Box<str>),
    /// The text of a categorical: in expressions it is compared with texts, not by code.
    Category(u16, Arc<[String]>),
    /// Whether the value of a slot is one of some constants.
    IsIn(u16, Arc<Members>),
    /// The row of a lookup whose key is the value of a slot: a whole number, or null.
    Find(u16, u16),
    /// A column of the row of a lookup that a slot holds.
    Join {
        /// Index among the plan's lookups.
        lookup: u16,
        /// Slot of the row.
        row: u16,
        /// Index among the lookup's columns.
        column: u16,
    },
    /// A function of earlier slots; unused arguments name slot 0.
    Call(&'static Function, [u16; ARITY_MAX]),
}

/// Steps in the order they run.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// What is appended to the frame, one value a step.
    pub steps: Vec<Step>,
}

impl Program {
    /// The slots that it reads; some of them may be its own.
    pub(crate) fn reads(&self) -> impl Iterator<Item = usize> {
        let reads = |step: &Step| match step {
            Step::Constant(_) | Step::Text(_) => Vec::new(),
            Step::Category(slot, _) | Step::IsIn(slot, _) | Step::Find(_, slot) => vec![*slot],
            Step::Join { row, .. } => vec![*row],
            Step::Call(function, slots) => slots[..function.arity].to_vec(),
        };
        self.steps.iter().flat_map(reads).map(usize::from)
    }

    /// Runs every step; the frame is `event.values`.
    #[inline]
    pub fn run(&self, event: &mut Event, context: &mut Context<'_>) {
        for step in &self.steps {
            let value = match step {
                Step::Constant(value) => *value,
                Step::Text(text) => Value::Text(event.store(text)),
                Step::Category(slot, categories) => match event.values[*slot as usize] {
                    Value::Int(code) => Value::Text(event.store(&categories[code as usize])),
                    _ => Value::Null,
                },
                Step::Find(lookup, slot) => context.find(*lookup as usize, event.values[*slot as usize], event),
                Step::Join { lookup, row, column } => {
                    context.join(*lookup as usize, event.values[*row as usize], *column as usize, event)
                }
                Step::IsIn(slot, members) => members.test(event.values[*slot as usize], event),
                Step::Call(function, slots) => {
                    let values = slots.map(|slot| event.values[slot as usize]);
                    (function.compute)(&mut Arguments { values, event, ticks_per_second: context.ticks_per_second })
                }
            };
            event.values.push(value);
        }
    }
}

/// The number as a double; `None` for what is no number.
pub(crate) fn as_float(value: Value) -> Option<f64> {
    match value {
        Value::Float(x) => Some(x),
        Value::Int(x) => Some(x as f64),
        Value::Bool(x) => Some(f64::from(u8::from(x))),
        _ => None,
    }
}
