//! A compiled schema at work: the bytes of one record, field by field, into the columns of the stream.

use crate::codec::bytes::{Cursor, Fault, LEVELS_MAX, text};
use crate::schema::{Filling, Raw};

/// What the writer's schema says of the bytes, ready to be read.
#[derive(Debug)]
pub(super) struct Program {
    /// The record of a message, or a union that has it.
    pub top: Node,
    /// The fields of the records, by their number in `Node::Record`.
    pub records: Vec<Record>,
}

/// The fields of a record, in the order of their bytes.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub fields: Vec<Step>,
    /// Whether it takes no bytes at all.
    pub is_empty: bool,
}

/// One field of a record.
#[derive(Debug)]
pub(super) struct Step {
    pub name: String,
    pub node: Node,
    /// The column of the stream it goes to; only in the record of a message.
    pub column: Option<usize>,
}

/// A type, with what reading it needs.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool,
    Int,
    Long,
    Float,
    Double,
    Text,
    Bytes,
    Fixed(usize),
    Enum(Box<[Box<str>]>),
    /// An instant as a long, in units of so many nanoseconds.
    Instant(i64),
    /// Days since 1970.
    Date,
    /// A time of day, which is no instant.
    TimeOfDay {
        wide: bool,
    },
    /// Where it stands for nothing: the stream does not want it.
    Array(Box<Node>),
    Map(Box<Node>),
    Union(Box<[Node]>),
    Record(usize),
}

const DAY_NS: i128 = 86_400_000_000_000;

impl Program {
    /// Reads a record, which ends where the message ends.
    #[inline]
    pub fn run<'a>(&'a self, cursor: &mut Cursor<'a>, filling: &mut Filling<'_, '_>) -> Result<(), Fault> {
        let mut top = &self.top;
        while let Node::Union(branches) = top {
            top = branch(branches, cursor)?;
        }
        let Node::Record(record) = top else {
            return Err(Fault("a message is one record, and this is none".to_owned()));
        };
        for step in &self.records[*record].fields {
            let read = match step.column {
                Some(column) => self.value(&step.node, cursor, 1).map(|raw| filling.set(column, raw)),
                None => self.skip(&step.node, cursor, 1),
            };
            read.map_err(|fault| Fault(format!("in field `{}` {}", step.name, fault.0)))?;
        }
        match cursor.left() {
            0 => Ok(()),
            left => Err(Fault(format!("{left} bytes follow after the record"))),
        }
    }

    /// A value as the stream's schema checks it.
    #[inline]
    fn value<'a>(&'a self, node: &'a Node, cursor: &mut Cursor<'a>, level: usize) -> Result<Raw<'a>, Fault> {
        Ok(match node {
            Node::Null => Raw::Null,
            Node::Bool => Raw::Bool(boolean(cursor)?),
            Node::Int => Raw::Int(i64::from(int(cursor)?)),
            Node::Long => Raw::Int(cursor.zigzag()?),
            Node::Float => Raw::Float(f64::from(f32::from_le_bytes(cursor.array()?))),
            Node::Double => Raw::Float(f64::from_le_bytes(cursor.array()?)),
            Node::Text => Raw::Text(text(sized(cursor)?)?),
            Node::Enum(symbols) => Raw::Text(symbol(symbols, cursor)?),
            Node::Instant(unit_ns) => Raw::Time(i128::from(cursor.zigzag()?) * i128::from(*unit_ns)),
            Node::Date => Raw::Time(i128::from(int(cursor)?) * DAY_NS),
            Node::Union(branches) => {
                let node = branch(branches, cursor)?;
                return self.value(node, cursor, level);
            }
            _ => {
                self.skip(node, cursor, level)?;
                other(node)
            }
        })
    }

    /// Passes over a value that stands `level` levels deep.
    fn skip(&self, node: &Node, cursor: &mut Cursor<'_>, level: usize) -> Result<(), Fault> {
        if level > LEVELS_MAX {
            return Err(Fault(format!("it is nested deeper than {LEVELS_MAX} levels")));
        }
        match node {
            Node::Null => {}
            Node::Bool => drop(boolean(cursor)?),
            Node::Int | Node::Date | Node::TimeOfDay { wide: false } => drop(int(cursor)?),
            Node::Long | Node::Instant(_) | Node::TimeOfDay { wide: true } => drop(cursor.zigzag()?),
            Node::Float => drop(cursor.take(4)?),
            Node::Double => drop(cursor.take(8)?),
            Node::Text | Node::Bytes => drop(sized(cursor)?),
            Node::Fixed(size) => drop(cursor.take(*size as u64)?),
            Node::Enum(symbols) => drop(symbol(symbols, cursor)?),
            Node::Union(branches) => return self.skip(branch(branches, cursor)?, cursor, level + 1),
            Node::Record(record) => {
                for step in &self.records[*record].fields {
                    self.skip(&step.node, cursor, level + 1)?;
                }
            }
            Node::Array(items) => {
                self.blocks(cursor, self.is_empty(items), |program, cursor| program.skip(items, cursor, level + 1))?
            }
            Node::Map(values) => self.blocks(cursor, false, |program, cursor| {
                sized(cursor)?;
                program.skip(values, cursor, level + 1)
            })?,
        }
        Ok(())
    }

    /// Passes over the blocks of a list. A block of things without bytes may announce any number of them.
    fn blocks<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        is_empty: bool,
        one: impl Fn(&Self, &mut Cursor<'a>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        loop {
            match cursor.zigzag()? {
                0 => return Ok(()),
                // A negative count is followed by the bytes that the block takes.
                ..0 => {
                    let bytes = u64::try_from(cursor.zigzag()?)
                        .map_err(|_| Fault("a block has a negative length".to_owned()))?;
                    cursor.take(bytes)?;
                }
                _ if is_empty => {}
                count if count as u64 > cursor.left() as u64 => return Err(Fault::short(count as u64, cursor.left())),
                count => {
                    for _ in 0..count {
                        one(self, cursor)?;
                    }
                }
            }
        }
    }

    fn is_empty(&self, node: &Node) -> bool {
        match node {
            Node::Null | Node::Fixed(0) => true,
            Node::Record(record) => self.records[*record].is_empty,
            _ => false,
        }
    }
}

/// The branch of a union that the bytes name.
#[inline]
fn branch<'n>(branches: &'n [Node], cursor: &mut Cursor<'_>) -> Result<&'n Node, Fault> {
    let index = cursor.zigzag()?;
    usize::try_from(index)
        .ok()
        .and_then(|index| branches.get(index))
        .ok_or_else(|| Fault(format!("branch {index} of a union is named, which has {}", branches.len())))
}

fn symbol<'n>(symbols: &'n [Box<str>], cursor: &mut Cursor<'_>) -> Result<&'n str, Fault> {
    let index = cursor.zigzag()?;
    let found = usize::try_from(index).ok().and_then(|index| symbols.get(index));
    found
        .map(|symbol| &**symbol)
        .ok_or_else(|| Fault(format!("symbol {index} of an enum is named, which has {}", symbols.len())))
}

#[inline]
fn boolean(cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
    match cursor.array()? {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(Fault(format!("a boolean is {other}, which is neither 0 nor 1"))),
    }
}

#[inline]
fn int(cursor: &mut Cursor<'_>) -> Result<i32, Fault> {
    let value = cursor.zigzag()?;
    i32::try_from(value).map_err(|_| Fault(format!("{value} is no int of 32 bits")))
}

/// Bytes behind their length.
#[inline]
fn sized<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Fault> {
    let length = cursor.zigzag()?;
    match u64::try_from(length) {
        Ok(length) => cursor.take(length),
        Err(_) => Err(Fault(format!("a text or bytes have the length {length}"))),
    }
}

/// A type that no field of a stream is of, as the problem about it names it.
fn other(node: &Node) -> Raw<'static> {
    let name = match node {
        Node::Array(_) => "array",
        Node::Map(_) => "map",
        Node::Record(_) => "record",
        Node::TimeOfDay { .. } => "time of day",
        _ => "bytes",
    };
    Raw::Other(name, name)
}
