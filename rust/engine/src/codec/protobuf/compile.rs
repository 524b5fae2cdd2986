//! Descriptors -> Program: the types of a file, each as far as the stream knows its fields.

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, FieldDescriptor, FileDescriptor, Kind as Described, MessageDescriptor, Value};

use super::File;
use super::read::{Field, Kind, Literal, Program};
use crate::schema::Schema;

/// The types of the last file of a `FileDescriptorSet`, or of the file that has `only`.
pub(super) fn compile(schema: &Schema, descriptors: &[u8], only: Option<&str>) -> Result<File, String> {
    let pool = read(descriptors)?;
    let (file, only) = match only {
        None => (pool.files().last().ok_or("it has no file")?, None),
        Some(name) => {
            let message = pool.get_message_by_name(name).ok_or_else(|| missing(&pool, name))?;
            (message.parent_file(), Some(name))
        }
    };
    let mut types = BTreeMap::new();
    for (place, message) in file.messages().enumerate() {
        add(schema, &message, vec![place as i64], &mut types);
    }
    if types.is_empty() {
        return Err(format!("its file `{}` has no message types", file.name()));
    }
    let only = only.and_then(|only| types.iter().find(|(_, program)| program.name == only));
    let only = only.map(|(places, _)| places.clone());
    Ok(File { types, only })
}

/// With the library's own copy of Google's types where the set leaves out what it imports.
fn read(descriptors: &[u8]) -> Result<DescriptorPool, String> {
    DescriptorPool::decode(descriptors).or_else(|error| {
        let mut pool = DescriptorPool::global();
        let added = pool.decode_file_descriptor_set(descriptors);
        added.map(|()| pool).map_err(|_| {
            format!(
                "the bytes are no FileDescriptorSet: {error}; write it with protoc --include_imports --descriptor_set_out"
            )
        })
    })
}

fn missing(pool: &DescriptorPool, name: &str) -> String {
    let own = |file: &FileDescriptor| !file.name().starts_with("google/protobuf/");
    let known = pool.all_messages().filter(|message| own(&message.parent_file()));
    let known: Vec<String> = known.map(|message| message.full_name().to_owned()).collect();
    let way_out = match crate::error::nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", known.join(", ")),
    };
    format!("it has no message type `{name}`; {way_out}")
}

fn add(schema: &Schema, message: &MessageDescriptor, places: Vec<i64>, types: &mut BTreeMap<Vec<i64>, Program>) {
    for (place, nested) in message.child_messages().enumerate() {
        let mut places = places.clone();
        places.push(place as i64);
        add(schema, &nested, places, types);
    }
    types.insert(places, program(schema, message));
}

fn program(schema: &Schema, message: &MessageDescriptor) -> Program {
    let all = message.fields().map(|field| Field {
        number: field.number(),
        name: field.name().to_owned(),
        column: schema.column(field.name()),
        kind: kind(&field),
        absent: absent(&field),
        rivals: rivals(schema, &field),
    });
    let mut fields: Vec<Field> = all.filter(|field| field.column.is_some() || !field.rivals.is_empty()).collect();
    fields.sort_by_key(|field| field.number);
    Program { name: message.full_name().to_owned(), fields }
}

/// Columns of the other members of a field's oneof.
fn rivals(schema: &Schema, field: &FieldDescriptor) -> Vec<usize> {
    let Some(oneof) = field.containing_oneof() else { return Vec::new() };
    let others = oneof.fields().filter(|other| other.number() != field.number());
    others.filter_map(|other| schema.column(other.name())).collect()
}

fn kind(field: &FieldDescriptor) -> Kind {
    if field.is_map() {
        return Kind::Other("map");
    }
    if field.is_list() {
        return Kind::Other("list");
    }
    scalar(&field.kind())
}

fn scalar(kind: &Described) -> Kind {
    match kind {
        Described::Double => Kind::Double,
        Described::Float => Kind::Float,
        Described::Int32 => Kind::Int32,
        Described::Int64 => Kind::Int64,
        Described::Uint32 => Kind::Uint32,
        Described::Uint64 => Kind::Uint64,
        Described::Sint32 => Kind::Sint32,
        Described::Sint64 => Kind::Sint64,
        Described::Fixed32 => Kind::Fixed32,
        Described::Fixed64 => Kind::Fixed64,
        Described::Sfixed32 => Kind::Sfixed32,
        Described::Sfixed64 => Kind::Sfixed64,
        Described::Bool => Kind::Bool,
        Described::String => Kind::Text,
        Described::Bytes => Kind::Other("bytes"),
        Described::Enum(names) => {
            let mut known: Vec<(i32, String)> =
                names.values().map(|value| (value.number(), value.name().to_owned())).collect();
            // Of several names of one number the first counts, as it is the one that is printed.
            known.sort_by_key(|(number, _)| *number);
            known.dedup_by_key(|(number, _)| *number);
            Kind::Enum(known)
        }
        Described::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => Kind::Instant,
            "google.protobuf.DoubleValue" => wrapper(Kind::Double),
            "google.protobuf.FloatValue" => wrapper(Kind::Float),
            "google.protobuf.Int64Value" => wrapper(Kind::Int64),
            "google.protobuf.UInt64Value" => wrapper(Kind::Uint64),
            "google.protobuf.Int32Value" => wrapper(Kind::Int32),
            "google.protobuf.UInt32Value" => wrapper(Kind::Uint32),
            "google.protobuf.BoolValue" => wrapper(Kind::Bool),
            "google.protobuf.StringValue" => wrapper(Kind::Text),
            _ => Kind::Other("message"),
        },
    }
}

fn wrapper(kind: Kind) -> Kind {
    Kind::Wrapper(Box::new(kind))
}

/// What a field is that a message does not have: the zero of its type, where nothing else could say that it is zero; the default
/// that its descriptor declares; else nothing.
fn absent(field: &FieldDescriptor) -> Option<Literal> {
    let declared = field.field_descriptor_proto().default_value.is_some();
    if field.is_list() || field.is_map() || (field.supports_presence() && !declared) {
        return None;
    }
    Some(match (field.default_value(), field.kind()) {
        (Value::Bool(value), _) => Literal::Bool(value),
        (Value::I32(value), _) => Literal::Int(i64::from(value)),
        (Value::I64(value), _) => Literal::Int(value),
        (Value::U32(value), _) => Literal::Int(i64::from(value)),
        (Value::U64(value), _) => match i64::try_from(value) {
            Ok(value) => Literal::Int(value),
            Err(_) => Literal::Big(value.to_string()),
        },
        (Value::F32(value), _) => Literal::Float(f64::from(value)),
        (Value::F64(value), _) => Literal::Float(value),
        (Value::String(value), _) => Literal::Text(value),
        (Value::EnumNumber(number), Described::Enum(names)) => {
            Literal::Text(names.get_value(number).map(|value| value.name().to_owned())?)
        }
        _ => return None,
    })
}
