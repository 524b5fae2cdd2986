//! Expressions of one stream on their way to programs: checked, and each distinct one computed once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::limits;
use crate::definition::{FieldKind, FloatLiteral, Literal};
use crate::derive::{self, Function, Program, Step, Type};
use crate::event::Value;
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
    null: bool,
}

#[derive(Debug)]
enum AfterStep {
    Category(Node, Arc<[String]>),
    Call(&'static Function, Vec<Node>),
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
    after: Vec<AfterStep>,
    ticks_per_second: i64,
}

impl Scope {
    pub fn new(schema: &Schema, ticks_per_second: i64) -> Self {
        let nodes = schema.fields.iter().enumerate().map(|(column, field)| NodeInfo {
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

    fn add_before(&mut self, identity: String, ty: Type, step: Step, null: bool) -> Result<Node, String> {
        let slot = self.columns + self.before.steps.len();
        if slot >= limits::SLOTS_MAX {
            return Err(format!(
                "the stream needs more than {} different steps; use fewer features",
                limits::SLOTS_MAX
            ));
        }
        self.before.steps.push(step);
        Ok(self.add(identity, NodeInfo { ty, categories: None, known: Known::Event(slot), null }))
    }

    /// A constant.
    pub fn literal(&mut self, literal: &Literal) -> Result<Node, String> {
        let identity = format!("{literal:?}");
        if let Some(&node) = self.made.get(&identity) {
            return Ok(node);
        }
        let (kind, step) = match literal {
            Literal::Null => (FieldKind::Float64, Step::Constant(Value::Null)),
            Literal::Bool(value) => (FieldKind::Boolean, Step::Constant(Value::Bool(*value))),
            Literal::Int(value) => (FieldKind::Int64, Step::Constant(Value::Int(*value))),
            Literal::Float(value) => (FieldKind::Float64, Step::Constant(Value::Float(float(value)?))),
            Literal::Text(value) => (FieldKind::String, Step::Text(value.as_str().into())),
            Literal::Time(ns) => {
                let ticks = ns.div_euclid(1_000_000_000 / self.ticks_per_second);
                (FieldKind::Timestamp, Step::Constant(Value::Time(ticks)))
            }
        };
        let null = *literal == Literal::Null;
        self.add_before(identity, Type { kind, nullable: null }, step, null)
    }

    /// The result of an aggregation.
    pub fn load(&mut self, ty: Type, categories: Option<Arc<[String]>>) -> Node {
        let load = self.loads.len();
        self.loads.push(None);
        self.add(format!("load {load}"), NodeInfo { ty, categories, known: Known::Load(load), null: false })
    }

    /// A categorical as the text it stands for; anything else as it is.
    pub fn textual(&mut self, node: Node) -> Result<Node, String> {
        let Some(categories) = self.nodes[node].categories.clone() else { return Ok(node) };
        let identity = format!("category {node}");
        if let Some(&node) = self.made.get(&identity) {
            return Ok(node);
        }
        let ty = Type { kind: FieldKind::String, nullable: self.ty(node).nullable };
        match self.event_slot(node) {
            Some(slot) => self.add_before(identity, ty, Step::Category(slot as u16, categories), false),
            None => Ok(self.add_after(identity, ty, AfterStep::Category(node, categories))),
        }
    }

    fn add_after(&mut self, identity: String, ty: Type, step: AfterStep) -> Node {
        self.after.push(step);
        let known = Known::After(self.after.len() - 1);
        self.add(identity, NodeInfo { ty, categories: None, known, null: false })
    }

    /// A function of other nodes.
    pub fn call(&mut self, name: &str, arguments: &[Node]) -> Result<Node, String> {
        let Some(function) = derive::function(name) else {
            let names = derive::FUNCTIONS.iter().map(|function| function.name);
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
        if matches!(name, "when" | "coalesce" | "fill_null") && ty.kind == FieldKind::Float64 {
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
        let slots: Option<Vec<usize>> = arguments.iter().map(|&node| self.event_slot(node)).collect();
        match slots {
            Some(slots) => self.add_before(identity, ty, Step::Call(function, packed(&slots)), false),
            None => Ok(self.add_after(identity, ty, AfterStep::Call(function, arguments))),
        }
    }

    /// Places the loads that expressions and `others` need; the rest are no part of the frame. Which those are, in frame order.
    pub fn place_loads(&mut self, others: &[Node]) -> Vec<usize> {
        let steps = self.after.iter().flat_map(|step| match step {
            AfterStep::Category(node, _) => std::slice::from_ref(node),
            AfterStep::Call(_, nodes) => nodes.as_slice(),
        });
        let mut needed: Vec<usize> = steps
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
        let steps = self.after.iter().map(|step| match step {
            AfterStep::Category(node, categories) => Step::Category(self.slot(*node) as u16, Arc::clone(categories)),
            AfterStep::Call(function, nodes) => {
                let slots: Vec<usize> = nodes.iter().map(|&node| self.slot(node)).collect();
                Step::Call(function, packed(&slots))
            }
        });
        Ok(Program { steps: steps.collect() })
    }
}

fn packed(slots: &[usize]) -> [u16; 3] {
    let mut packed = [0; 3];
    for (to, &slot) in packed.iter_mut().zip(slots) {
        *to = slot as u16;
    }
    packed
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
