//! A compiled descriptor at work: the fields of one message, in whatever order they come, into the columns of the stream.

use crate::codec::bytes::{Cursor, Fault, LEVELS_MAX, text};
use crate::schema::{Filling, Raw};

/// What the stream wants of a type of messages.
#[derive(Debug)]
pub(super) struct Program {
    /// Full name of the type.
    pub name: String,
    /// In the order of their numbers.
    pub fields: Vec<Field>,
}

/// A field that the stream knows.
#[derive(Debug)]
pub(super) struct Field {
    pub number: u32,
    pub name: String,
    /// None where the stream does not know it, but another member of its oneof.
    pub column: Option<usize>,
    pub kind: Kind,
    /// What it is where the message does not have it; none where it is absent then.
    pub absent: Option<Literal>,
    /// Columns of the other members of its oneof.
    pub rivals: Vec<usize>,
}

/// A type, with what reading it needs.
#[derive(Debug)]
pub(super) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    Text,
    /// Names by number, in the order of the numbers.
    Enum(Vec<(i32, String)>),
    /// Seconds and nanoseconds since 1970.
    Instant,
    /// A message around one value, which says by its being there that there is one.
    Wrapper(Box<Kind>),
    /// What no field of a stream is of: the name of its type.
    Other(&'static str),
}

/// A value that stands in a descriptor.
#[derive(Debug)]
pub(super) enum Literal {
    Bool(bool),
    Int(i64),
    Big(String),
    Float(f64),
    Text(String),
}

impl Literal {
    fn raw(&self) -> Raw<'_> {
        match self {
            Self::Bool(value) => Raw::Bool(*value),
            Self::Int(value) => Raw::Int(*value),
            Self::Big(digits) => Raw::BigInt(digits),
            Self::Float(value) => Raw::Float(*value),
            Self::Text(text) => Raw::Text(text),
        }
    }
}

/// How bytes of a field are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Varint,
    Eight,
    Sized,
    Group,
    EndGroup,
    Four,
}

/// The bits of a number, or bytes.
#[derive(Clone, Copy, Debug)]
enum Found<'a> {
    Varint(u64),
    Eight([u8; 8]),
    Sized(&'a [u8]),
    Four([u8; 4]),
    Group,
}

impl Program {
    /// Reads the fields to the end of the message.
    pub fn run<'a>(&'a self, mut cursor: Cursor<'a>, filling: &mut Filling<'_, '_>) -> Result<(), Fault> {
        let start = cursor;
        let mut expected = 0;
        while cursor.left() > 0 {
            let (number, wire) = tag(&mut cursor)?;
            let found = value(&mut cursor, number, wire, 1)?;
            let Some(place) = self.place(number, &mut expected) else { continue };
            let field = &self.fields[place];
            let whole;
            let found = match (&field.kind, found) {
                // A message that comes in parts is all of them, one after the other.
                (Kind::Instant | Kind::Wrapper(_), Found::Sized(_)) if field.is_given(filling) => {
                    whole = parts(start, number, cursor.at())?;
                    Found::Sized(&whole)
                }
                (_, found) => found,
            };
            field.set(found, filling).map_err(|fault| Fault(format!("in field `{}` {}", field.name, fault.0)))?;
        }
        for field in &self.fields {
            if let (Some(absent), Some(column), false) = (&field.absent, field.column, field.is_given(filling)) {
                filling.set(column, absent.raw());
            }
        }
        Ok(())
    }

    /// The place of a field by its number, where most come in order.
    #[inline]
    fn place(&self, number: u32, expected: &mut usize) -> Option<usize> {
        let place = match self.fields.get(*expected) {
            Some(field) if field.number == number => *expected,
            _ => self.fields.binary_search_by_key(&number, |field| field.number).ok()?,
        };
        *expected = place + 1;
        Some(place)
    }
}

impl Field {
    /// Sets the column, where the bytes are of the field's type; others are those of a field that is not known.
    #[inline]
    fn set(&self, found: Found<'_>, filling: &mut Filling<'_, '_>) -> Result<(), Fault> {
        let mut digits = itoa::Buffer::new();
        let Some(raw) = self.kind.raw(found, &mut digits)? else { return Ok(()) };
        for rival in &self.rivals {
            filling.unset(*rival);
        }
        if let Some(column) = self.column {
            filling.set(column, raw);
        }
        Ok(())
    }

    fn is_given(&self, filling: &Filling<'_, '_>) -> bool {
        self.column.is_some_and(|column| filling.is_given(column))
    }
}

impl Kind {
    #[inline]
    fn raw<'a>(&'a self, found: Found<'a>, digits: &'a mut itoa::Buffer) -> Result<Option<Raw<'a>>, Fault> {
        Ok(Some(match (self, found) {
            (Self::Double, Found::Eight(bytes)) => Raw::Float(f64::from_le_bytes(bytes)),
            (Self::Float, Found::Four(bytes)) => Raw::Float(f64::from(f32::from_le_bytes(bytes))),
            // Numbers of 32 bits are the low half of what is there.
            (Self::Int32, Found::Varint(bits)) => Raw::Int(i64::from(bits as i32)),
            (Self::Uint32, Found::Varint(bits)) => Raw::Int(i64::from(bits as u32)),
            (Self::Sint32, Found::Varint(bits)) => Raw::Int(i64::from(unzigzag(u64::from(bits as u32)) as i32)),
            (Self::Int64, Found::Varint(bits)) => Raw::Int(bits as i64),
            (Self::Sint64, Found::Varint(bits)) => Raw::Int(unzigzag(bits)),
            (Self::Uint64, Found::Varint(bits)) => unsigned(bits, digits),
            (Self::Fixed64, Found::Eight(bytes)) => unsigned(u64::from_le_bytes(bytes), digits),
            (Self::Sfixed64, Found::Eight(bytes)) => Raw::Int(i64::from_le_bytes(bytes)),
            (Self::Fixed32, Found::Four(bytes)) => Raw::Int(i64::from(u32::from_le_bytes(bytes))),
            (Self::Sfixed32, Found::Four(bytes)) => Raw::Int(i64::from(i32::from_le_bytes(bytes))),
            (Self::Bool, Found::Varint(bits)) => Raw::Bool(bits != 0),
            (Self::Text, Found::Sized(bytes)) => Raw::Text(text(bytes)?),
            (Self::Enum(names), Found::Varint(bits)) => {
                let number = bits as i32;
                match names.binary_search_by_key(&number, |(number, _)| *number) {
                    Ok(place) => Raw::Text(&names[place].1),
                    Err(_) => Raw::Other("enum without a name for this number", digits.format(number)),
                }
            }
            (Self::Instant, Found::Sized(bytes)) => Raw::Time(instant(bytes)?),
            (Self::Wrapper(kind), Found::Sized(bytes)) => return kind.wrapped(bytes, digits),
            (Self::Other(name), _) => Raw::Other(name, name),
            _ => return Ok(None),
        }))
    }

    /// The value in a wrapper; where it has none, the zero of its type.
    fn wrapped<'a>(&'a self, bytes: &'a [u8], digits: &'a mut itoa::Buffer) -> Result<Option<Raw<'a>>, Fault> {
        let mut last = match self {
            Self::Double => Found::Eight([0; 8]),
            Self::Float => Found::Four([0; 4]),
            Self::Text => Found::Sized(&[]),
            _ => Found::Varint(0),
        };
        each(bytes, |number, found| {
            // As in a message, bytes of another layout are no value of this field.
            if number == 1 && std::mem::discriminant(&found) == std::mem::discriminant(&last) {
                last = found;
            }
        })?;
        self.raw(last, digits)
    }
}

/// Calls back for every field of a message within a message.
fn each<'a>(bytes: &'a [u8], mut found: impl FnMut(u32, Found<'a>)) -> Result<(), Fault> {
    let mut cursor = Cursor::new(bytes);
    while cursor.left() > 0 {
        let (number, wire) = tag(&mut cursor)?;
        found(number, value(&mut cursor, number, wire, 2)?);
    }
    Ok(())
}

/// Nanoseconds since 1970 of a `google.protobuf.Timestamp`.
fn instant(bytes: &[u8]) -> Result<i128, Fault> {
    let (mut seconds, mut nanoseconds) = (0_i64, 0_i32);
    each(bytes, |number, found| match (number, found) {
        (1, Found::Varint(bits)) => seconds = bits as i64,
        (2, Found::Varint(bits)) => nanoseconds = bits as i32,
        _ => {}
    })?;
    Ok(i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds))
}

/// The bytes of all occurrences of a field up to a place, one after the other.
#[cold]
fn parts(mut cursor: Cursor<'_>, wanted: u32, end: usize) -> Result<Vec<u8>, Fault> {
    let mut all = Vec::new();
    while cursor.at() < end {
        let (number, wire) = tag(&mut cursor)?;
        if let (Found::Sized(bytes), true) = (value(&mut cursor, number, wire, 1)?, number == wanted) {
            all.extend_from_slice(bytes);
        }
    }
    Ok(all)
}

fn unsigned(value: u64, digits: &mut itoa::Buffer) -> Raw<'_> {
    match i64::try_from(value) {
        Ok(value) => Raw::Int(value),
        Err(_) => Raw::BigInt(digits.format(value)),
    }
}

fn unzigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

/// The number of the next field, and how its bytes are laid out.
#[inline]
fn tag(cursor: &mut Cursor<'_>) -> Result<(u32, Wire), Fault> {
    let tag = cursor.varint()?;
    let wire = match tag & 7 {
        0 => Wire::Varint,
        1 => Wire::Eight,
        2 => Wire::Sized,
        3 => Wire::Group,
        4 => Wire::EndGroup,
        5 => Wire::Four,
        other => return Err(Fault(format!("a field at byte {} has the layout {other}, which is none", cursor.at()))),
    };
    match u32::try_from(tag >> 3) {
        Ok(number @ 1..0x2000_0000) => Ok((number, wire)),
        _ => Err(Fault(format!("a field at byte {} has the number {}", cursor.at(), tag >> 3))),
    }
}

/// The bytes of a field.
#[inline]
fn value<'a>(cursor: &mut Cursor<'a>, number: u32, wire: Wire, level: usize) -> Result<Found<'a>, Fault> {
    Ok(match wire {
        Wire::Varint => Found::Varint(cursor.varint()?),
        Wire::Eight => Found::Eight(cursor.array()?),
        Wire::Four => Found::Four(cursor.array()?),
        Wire::Sized => {
            let length = cursor.varint()?;
            Found::Sized(cursor.take(length)?)
        }
        Wire::Group => {
            skip_group(cursor, number, level)?;
            Found::Group
        }
        Wire::EndGroup => return Err(Fault(format!("a group of the number {number} ends that has not begun"))),
    })
}

/// Passes over a group, which ends with a mark of its own number.
fn skip_group(cursor: &mut Cursor<'_>, group: u32, level: usize) -> Result<(), Fault> {
    if level > LEVELS_MAX {
        return Err(Fault(format!("it is nested deeper than {LEVELS_MAX} levels")));
    }
    loop {
        match tag(cursor)? {
            (number, Wire::EndGroup) if number == group => return Ok(()),
            (number, wire) => drop(value(cursor, number, wire, level + 1)?),
        }
    }
}
