//! The writer's schema -> Program: names become places, and what can never fit is told here.

use std::collections::BTreeMap;

use apache_avro::Schema as Writer;
use apache_avro::schema::{NamespaceRef, UuidSchema};

use super::Compiled;
use super::read::{Node, Program, Record, Step};
use crate::error::Problem;
use crate::schema::Schema;

/// What the library has parsed, for one stream.
///
/// # Errors
/// It is no schema of records.
pub(super) fn compile(schema: &Schema, writer: &Writer, references: &[Writer]) -> Result<Compiled, String> {
    let mut compiling =
        Compiling { records: Vec::new(), known: BTreeMap::new(), others: BTreeMap::new(), decimals: Vec::new() };
    for other in references {
        compiling.define(other);
    }
    let top = compiling.node(writer, None)?;
    let Compiling { mut records, decimals, .. } = compiling;
    let is_record = |node: &Node| matches!(node, Node::Record(_));
    let own: Vec<usize> = match &top {
        Node::Record(record) => vec![*record],
        Node::Union(branches) if branches.iter().any(is_record) => branches
            .iter()
            .filter_map(|node| if let Node::Record(record) = node { Some(*record) } else { None })
            .collect(),
        _ => return Err("an event is a record with its fields, and this schema is of something else".to_owned()),
    };
    let mut problems = Vec::new();
    for record in own {
        for step in &mut records[record].fields {
            step.column = schema.column(&step.name);
            if step.column.is_some() && decimals.contains(&(record, step.name.clone())) {
                problems.push(Problem::new(&step.name, "a decimal", "type", DECIMAL));
            }
        }
    }
    mark_empty(&mut records);
    Ok(if problems.is_empty() { Ok(Program { top, records }) } else { Err(problems) })
}

const DECIMAL: &str = "decimals are not read: no column holds one exactly; write it as a double, or as a long of its smallest unit (cents)";

struct Compiling<'w> {
    records: Vec<Record>,
    /// By full name: types that have been met.
    known: BTreeMap<String, Named>,
    /// By full name: schemas that others may refer to.
    others: BTreeMap<String, &'w Writer>,
    /// Records and their fields that are, or may be, a decimal.
    decimals: Vec<(usize, String)>,
}

/// A type that is referred to by its name.
enum Named {
    Record(usize),
    Enum(Box<[Box<str>]>),
    Fixed(usize),
}

impl Named {
    fn node(&self) -> Node {
        match self {
            Self::Record(record) => Node::Record(*record),
            Self::Enum(symbols) => Node::Enum(symbols.clone()),
            Self::Fixed(size) => Node::Fixed(*size),
        }
    }
}

impl<'w> Compiling<'w> {
    fn define(&mut self, schema: &'w Writer) {
        if let Some(name) = schema.name() {
            self.others.insert(name.fullname(None), schema);
        }
    }

    fn node(&mut self, schema: &'w Writer, namespace: NamespaceRef<'w>) -> Result<Node, String> {
        Ok(match schema {
            Writer::Null => Node::Null,
            Writer::Boolean => Node::Bool,
            Writer::Int => Node::Int,
            Writer::Long => Node::Long,
            Writer::Float => Node::Float,
            Writer::Double => Node::Double,
            Writer::String | Writer::Uuid(UuidSchema::String) => Node::Text,
            Writer::Bytes | Writer::BigDecimal | Writer::Uuid(UuidSchema::Bytes) => Node::Bytes,
            Writer::Date => Node::Date,
            Writer::TimeMillis => Node::TimeOfDay { wide: false },
            Writer::TimeMicros => Node::TimeOfDay { wide: true },
            Writer::TimestampMillis | Writer::LocalTimestampMillis => Node::Instant(1_000_000),
            Writer::TimestampMicros | Writer::LocalTimestampMicros => Node::Instant(1_000),
            Writer::TimestampNanos | Writer::LocalTimestampNanos => Node::Instant(1),
            Writer::Decimal(decimal) => match &decimal.inner {
                apache_avro::schema::InnerDecimalSchema::Bytes => Node::Bytes,
                apache_avro::schema::InnerDecimalSchema::Fixed(fixed) => {
                    self.named(&fixed.name, namespace, Named::Fixed(fixed.size))
                }
            },
            Writer::Uuid(UuidSchema::Fixed(fixed)) | Writer::Fixed(fixed) | Writer::Duration(fixed) => {
                self.named(&fixed.name, namespace, Named::Fixed(fixed.size))
            }
            Writer::Enum(found) => {
                let symbols = found.symbols.iter().map(|symbol| symbol.as_str().into()).collect();
                self.named(&found.name, namespace, Named::Enum(symbols))
            }
            Writer::Array(array) => Node::Array(Box::new(self.node(&array.items, namespace)?)),
            Writer::Map(map) => Node::Map(Box::new(self.node(&map.types, namespace)?)),
            Writer::Union(union) => {
                let branches = union.variants().iter().map(|branch| self.node(branch, namespace));
                Node::Union(branches.collect::<Result<_, _>>()?)
            }
            Writer::Record(found) => {
                let number = self.records.len();
                let name = found.name.fullname(namespace);
                self.records.push(Record::default());
                // Before its fields, which may name it.
                self.known.insert(name, Named::Record(number));
                let namespace = found.name.namespace().or(namespace);
                for field in &found.fields {
                    let node = self.node(&field.schema, namespace)?;
                    if is_decimal(&field.schema) {
                        self.decimals.push((number, field.name.clone()));
                    }
                    self.records[number].fields.push(Step { name: field.name.clone(), node, column: None });
                }
                Node::Record(number)
            }
            Writer::Ref { name } => {
                let full = name.fullname(namespace);
                if let Some(named) = self.known.get(&full) {
                    return Ok(named.node());
                }
                match self.others.get(&full).copied() {
                    Some(other) => self.node(other, None)?,
                    None => return Err(format!("it names the type `{full}`, which is not there; give its schema too")),
                }
            }
        })
    }

    fn named(&mut self, name: &apache_avro::schema::Name, namespace: NamespaceRef<'_>, named: Named) -> Node {
        let node = named.node();
        self.known.insert(name.fullname(namespace), named);
        node
    }
}

fn is_decimal(schema: &Writer) -> bool {
    match schema {
        Writer::Decimal(_) | Writer::BigDecimal => true,
        Writer::Union(union) => union.variants().iter().any(is_decimal),
        _ => false,
    }
}

/// A record takes no bytes when none of its fields does. What contains itself without a union or a list between takes some,
/// without end: it stays as it is, and reading it ends at the deepest level.
fn mark_empty(records: &mut [Record]) {
    loop {
        let is_empty = |node: &Node| match node {
            Node::Null | Node::Fixed(0) => true,
            Node::Record(record) => records[*record].is_empty,
            _ => false,
        };
        let found =
            records.iter().position(|record| !record.is_empty && record.fields.iter().all(|step| is_empty(&step.node)));
        match found {
            Some(record) => records[record].is_empty = true,
            None => return,
        }
    }
}
