//! Expressions of one stream on their way to programs: checked, and each distinct one computed once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::limits;
use super::signs::{Sign, sign};
use crate::definition::{Expression, FieldDefinition, FieldKind, FloatLiteral, Literal};
use crate::derive::{self, Function, Members, Program, Step, Type};
use crate::event::Value;
use crate::lookup::LookupPlan;
use crate::schema::Schema;

/// Index of a node of a scope.
pub(super) type Node = usize;

/// When a node's value is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// From the event alone, at this slot of the frame.
    Event(usize),
    /// Once aggregations are answered: the index among the loads, or among the steps after.
    Load(usize),
    After(usize),
}

#[derive(Debug)]
pub(super) struct NodeInfo {
    pub ty: Type,
    pub categories: Option<Arc<[String]>>,
    pub known: Known,
    /// What it is, also in another plan; of what is known from the event alone.
    pub sign: Sign,
    null: bool,
}

/// A step whose arguments have no slots yet.
#[derive(Clone, Debug)]
enum Make {
    Category(Arc<[String]>),
    IsIn(Arc<Members>),
    Find(usize),
    Join(usize, usize),
    Call(&'static Function),
}

impl Make {
    fn step(&self, slots: &[usize]) -> Step {
        let mut packed = [0; derive::ARITY_MAX];
        for (to, &slot) in packed.iter_mut().zip(slots) {
            *to = slot as u16;
        }
        match self {
            Self::Category(categories) => Step::Category(packed[0], Arc::clone(categories)),
            Self::IsIn(members) => Step::IsIn(packed[0], Arc::clone(members)),
            Self::Find(lookup) => Step::Find(*lookup as u16, packed[0]),
            Self::Join(lookup, column) => Step::Join { lookup: *lookup as u16, row: packed[0], column: *column as u16 },
            Self::Call(function) => Step::Call(function, packed),
        }
    }
}

/// Everything that is computed per event of one stream.
#[derive(Debug)]
pub(super) struct Scope {
    pub nodes: Vec<NodeInfo>,
    /// What has been made already; the text of a step is its identity.
    made: BTreeMap<String, Node>,
    pub before: Program,
    columns: usize,
    /// Which loads an expression needs, and their place among those.
    loads: Vec<Option<usize>>,
    after: Vec<(Make, Vec<Node>)>,
    ticks_per_second: i64,
}

impl Scope {
    pub fn new(schema: &Schema, definitions: &[FieldDefinition], ticks_per_second: i64) -> Self {
        let nodes = schema.fields.iter().zip(definitions).enumerate().map(|(column, (field, definition))| NodeInfo {
            // A column with another rule is another one.
            sign: sign(&serde_json::to_string(definition).expect("a definition is plain data"), &[]),
            ty: Type { kind: field.kind, nullable: field.nullable },
            categories: (field.kind == FieldKind::Categorical).then(|| field.categories.clone().into()),
            known: Known::Event(column),
            null: false,
        });
        Self {
            nodes: nodes.collect(),
            made: BTreeMap::new(),
            before: Program::default(),
            columns: schema.fields.len(),
            loads: Vec::new(),
            after: Vec::new(),
            ticks_per_second,
        }
    }

    pub fn ty(&self, node: Node) -> Type {
        self.nodes[node].ty
    }

    /// Slot of a node that is known from the event alone.
    pub fn event_slot(&self, node: Node) -> Option<usize> {
        match self.nodes[node].known {
            Known::Event(slot) => Some(slot),
            _ => None,
        }
    }

    fn add(&mut self, identity: String, info: NodeInfo) -> Node {
        self.nodes.push(info);
        self.made.insert(identity, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn add_before(&mut self, identity: String, ty: Type, step: Step, sign: Sign, null: bool) -> Result<Node, String> {
        let slot = self.columns + self.before.steps.len();
        if slot >= limits::SLOTS_MAX {
            return Err(format!(
                "the stream needs more than {} different steps; use fewer features",
                limits::SLOTS_MAX
            ));
        }
        self.before.steps.push(step);
        Ok(self.add(identity, NodeInfo { ty, categories: None, known: Known::Event(slot), sign, null }))
    }

    /// A constant.
    pub fn literal(&mut self, literal: &Literal) -> Result<Node, String> {
        let identity = format!("{literal:?}");
        if let Some(&node) = self.made.get(&identity) {
            return Ok(node);
        }
        let (kind, step) = match literal {
            Literal::Text(value) => (FieldKind::String, Step::Text(value.as_str().into())),
            other => self.constant(other).map(|(kind, value)| (kind, Step::Constant(value)))?,
        };
        let null = *literal == Literal::Null;
        let sign = sign(&identity, &[]);
        self.add_before(identity, Type { kind, nullable: null }, step, sign, null)
    }

    /// Kind and value of a constant; of a text, which needs a place, no value.
    fn constant(&self, literal: &Literal) -> Result<(FieldKind, Value), String> {
        Ok(match literal {
            Literal::Null => (FieldKind::Float64, Value::Null),
            Literal::Bool(value) => (FieldKind::Boolean, Value::Bool(*value)),
            Literal::Int(value) => (FieldKind::Int64, Value::Int(*value)),
            Literal::Float(value) => (FieldKind::Float64, Value::Float(float(value)?)),
            Literal::Text(_) => (FieldKind::String, Value::Null),
            Literal::Time(ns) => {
                (FieldKind::Timestamp, Value::Time(ns.div_euclid(1_000_000_000 / self.ticks_per_second)))
            }
        })
    }

    /// The result of an aggregation.
    pub fn load(&mut self, ty: Type, categories: Option<Arc<[String]>>) -> Node {
        let load = self.loads.len();
        self.loads.push(None);
        self.add(format!("load {load}"), NodeInfo { ty, categories, known: Known::Load(load), sign: 0, null: false })
    }

    /// A categorical as the text it stands for; anything else as it is.
    pub fn textual(&mut self, node: Node) -> Result<Node, String> {
        let Some(categories) = self.nodes[node].categories.clone() else { return Ok(node) };
        let identity = format!("category {node}");
        if let Some(&node) = self.made.get(&identity) {
            return Ok(node);
        }
        let ty = Type { kind: FieldKind::String, nullable: self.ty(node).nullable };
        let tag = format!("category {categories:?}");
        self.add_step(identity, &tag, ty, Make::Category(categories), vec![node])
    }

    /// Before the aggregations where its arguments are known then, after them otherwise.
    /// `tag` says what the step is but for its arguments.
    fn add_step(
        &mut self,
        identity: String,
        tag: &str,
        ty: Type,
        make: Make,
        arguments: Vec<Node>,
    ) -> Result<Node, String> {
        let slots: Option<Vec<usize>> = arguments.iter().map(|&node| self.event_slot(node)).collect();
        if let Some(slots) = slots {
            let signs: Vec<Sign> = arguments.iter().map(|&node| self.nodes[node].sign).collect();
            return self.add_before(identity, ty, make.step(&slots), sign(tag, &signs), false);
        }
        self.after.push((make, arguments));
        let known = Known::After(self.after.len() - 1);
        Ok(self.add(identity, NodeInfo { ty, categories: None, known, sign: 0, null: false }))
    }

    /// Whether a node's value is one of some constants.
    pub fn is_in(&mut self, node: Node, constants: &[Expression]) -> Result<Node, String> {
        if constants.len() > derive::MEMBERS_MAX {
            return Err(format!(
                "`is_in` takes {} constants at most, not {}; join a lookup instead",
                derive::MEMBERS_MAX,
                constants.len()
            ));
        }
        let node = self.textual(node)?;
        let mut members = Members::new(self.ty(node));
        for constant in constants {
            let Expression::Literal { value } = constant else {
                return Err("`is_in` takes constants only; write `(a == b) | (a == c)` for expressions".to_owned());
            };
            match value {
                // What is always null is compared with nothing.
                _ if self.nodes[node].null => {}
                Literal::Text(text) => members.insert_text(text)?,
                other => members.insert(self.constant(other)?.1)?,
            }
        }
        let tag = format!("is_in {members:?}");
        let identity = format!("is_in {node} {members:?}");
        if let Some(&node) = self.made.get(&identity) {
            return Ok(node);
        }
        let ty = Type { kind: FieldKind::Boolean, nullable: self.ty(node).nullable };
        self.add_step(identity, &tag, ty, Make::IsIn(members.into()), vec![node])
    }

    /// A column of the row that `key` finds in a lookup; columns of one row are looked for once.
    pub fn lookup(&mut self, index: usize, plan: &LookupPlan, key: Node, column: &str) -> Result<Node, String> {
        let names = plan.schema.fields.iter().map(|field| field.name.as_str());
        let Some(column) = plan.schema.column(column) else {
            let hint = super::compile::nearest(column, names);
            return Err(format!("lookup `{}` has no column `{column}`{hint}", plan.name));
        };
        let key = self.textual(key)?;
        let (found, wanted) = (self.ty(key), plan.key_kind());
        if found.kind != wanted && !self.nodes[key].null {
            return Err(format!(
                "lookup `{}` is keyed by a {} and looked up by a {}; make them one type",
                plan.name,
                derive::kind_name(wanted),
                found.name()
            ));
        }
        let identity = format!("find {index} {key}");
        let row = match self.made.get(&identity) {
            Some(&row) => row,
            None => {
                let (tag, ty) = (format!("find {}", plan.name), Type::nullable(FieldKind::Int64));
                self.add_step(identity, &tag, ty, Make::Find(index), vec![key])?
            }
        };
        let identity = format!("join {index} {row} {column}");
        if let Some(&node) = self.made.get(&identity) {
            return Ok(node);
        }
        let ty = Type::nullable(plan.schema.fields[column].kind);
        let tag = format!("join {} {} {:?}", plan.name, plan.schema.fields[column].name, ty.kind);
        self.add_step(identity, &tag, ty, Make::Join(index, column), vec![row])
    }

    /// A function of other nodes.
    pub fn call(&mut self, name: &str, arguments: &[Node]) -> Result<Node, String> {
        let Some(function) = derive::function(name) else {
            let names = derive::FUNCTIONS.iter().map(|function| function.name).chain([derive::IS_IN]);
            return Err(format!("there is no function `{name}`{}", super::compile::nearest(name, names)));
        };
        // A chain of more than two is made of pairs.
        if name == "coalesce" && arguments.len() > 2 {
            let head = self.call(name, &arguments[..2])?;
            let chain: Vec<Node> = std::iter::once(head).chain(arguments[2..].iter().copied()).collect();
            return self.call(name, &chain);
        }
        let mut arguments = arguments.iter().map(|&node| self.textual(node)).collect::<Result<Vec<_>, _>>()?;
        let choices = if name == "when" { 1.. } else { 0.. };
        let chosen = arguments.get(choices).unwrap_or_default();
        let kind = chosen.iter().map(|&node| &self.nodes[node]).find(|info| !info.null).map(|info| info.ty.kind);
        let types: Vec<Type> = arguments
            .iter()
            .map(|&node| match (&self.nodes[node], kind) {
                // A null takes the type of what stands beside it.
                (info, Some(kind)) if info.null => Type::nullable(kind),
                (info, _) => info.ty,
            })
            .collect();
        let ty = function.result(&types)?;
        if matches!(name, "when" | "coalesce" | "fill_null" | "clip") && ty.kind == FieldKind::Float64 {
            let first = usize::from(name == "when");
            for node in &mut arguments[first..] {
                if self.ty(*node).kind == FieldKind::Int64 {
                    *node = self.call("cast_float64", &[*node])?;
                }
            }
        }
        let identity = format!("{name} {arguments:?}");
        if let Some(&node) = self.made.get(&identity) {
            return Ok(node);
        }
        self.add_step(identity, name, ty, Make::Call(function), arguments)
    }

    /// Places the loads that expressions and `others` need; the rest are no part of the frame. Which those are, in frame order.
    pub fn place_loads(&mut self, others: &[Node]) -> Vec<usize> {
        let arguments = self.after.iter().flat_map(|(_, nodes)| nodes);
        let mut needed: Vec<usize> = arguments
            .chain(others)
            .filter_map(|&node| match self.nodes[node].known {
                Known::Load(load) => Some(load),
                _ => None,
            })
            .collect();
        needed.sort_unstable();
        needed.dedup();
        for (place, &load) in needed.iter().enumerate() {
            self.loads[load] = Some(place);
        }
        needed
    }

    /// Slot of any node, once everything has been made and the loads have been placed.
    pub fn slot(&self, node: Node) -> usize {
        let after_event = self.columns + self.before.steps.len();
        match self.nodes[node].known {
            Known::Event(slot) => slot,
            Known::Load(load) => after_event + self.loads[load].expect("a load that is asked for has been placed"),
            Known::After(step) => after_event + self.loads.iter().flatten().count() + step,
        }
    }

    /// The program that runs once aggregations are answered.
    pub fn after(&self) -> Result<Program, String> {
        if self.columns + self.before.steps.len() + self.loads.len() + self.after.len() > limits::SLOTS_MAX {
            return Err(format!(
                "the stream needs more than {} different steps; use fewer features",
                limits::SLOTS_MAX
            ));
        }
        let steps = self.after.iter().map(|(make, nodes)| {
            let slots: Vec<usize> = nodes.iter().map(|&node| self.slot(node)).collect();
            make.step(&slots)
        });
        Ok(Program { steps: steps.collect() })
    }
}

/// The double of a literal.
pub(super) fn float(literal: &FloatLiteral) -> Result<f64, String> {
    match literal {
        FloatLiteral::Number(value) => Ok(*value),
        FloatLiteral::Name(name) => match name.as_str() {
            "inf" => Ok(f64::INFINITY),
            "-inf" => Ok(f64::NEG_INFINITY),
            "nan" => Ok(f64::NAN),
            other => Err(format!("`{other}` is no double; write a number, `inf`, `-inf` or `nan`")),
        },
    }
}
