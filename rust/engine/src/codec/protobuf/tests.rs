//! Bytes by hand; Python's tests have the protobuf package as judge.

use prost_reflect::prost::Message;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet, OneofDescriptorProto,
};
use serde_json::json;

use super::*;
use crate::event::Value;

fn stream() -> Schema {
    let definition = json!({"name": "s", "time": "ts", "lateness_ns": 0, "fields": [
        {"name": "ts", "type": "timestamp", "unit": "us"},
        {"name": "x", "type": "float64", "nullable": true},
        {"name": "n", "type": "int64", "nullable": true},
        {"name": "m", "type": "int64", "nullable": true},
    ]});
    Schema::compile(&serde_json::from_value(definition).unwrap(), 1_000_000).unwrap()
}

fn field(name: &str, number: i32, kind: Type, oneof: Option<i32>) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(kind.into()),
        oneof_index: oneof,
        ..FieldDescriptorProto::default()
    }
}

/// `ts` 1, `x` 2, and in a oneof `n` 3, `other` 4; `m` 5.
fn descriptors() -> Vec<u8> {
    let message = DescriptorProto {
        name: Some("E".to_owned()),
        field: vec![
            field("ts", 1, Type::Int64, None),
            field("x", 2, Type::Double, None),
            field("n", 3, Type::Sint64, Some(0)),
            field("other", 4, Type::Int32, Some(0)),
            field("m", 5, Type::Uint64, None),
        ],
        oneof_decl: vec![OneofDescriptorProto { name: Some("one".to_owned()), ..OneofDescriptorProto::default() }],
        ..DescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("e.proto".to_owned()),
        package: Some("p".to_owned()),
        syntax: Some("proto3".to_owned()),
        message_type: vec![message],
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

fn read(framing: Framing, message: &[u8]) -> Result<Vec<Value>, String> {
    let schema = stream();
    let only = (framing == Framing::Raw).then(|| "p.E".to_owned());
    let mut codec = Protobuf::new(framing, only);
    codec.add(&schema, None, &descriptors()).unwrap();
    let mut event = Event::default();
    codec.decode(&schema, message, &mut event).map_err(|error| error.to_string())?;
    Ok(event.values)
}

#[test]
fn fields_come_in_any_order_and_absent_ones_are_zero_where_nothing_else_says_so() {
    let found = read(Framing::Raw, &[0x18, 3, 0x30, 7, 8, 5]).unwrap();
    assert_eq!(found, [Value::Time(5), Value::Float(0.0), Value::Int(-2), Value::Int(0)]);
    assert_eq!(read(Framing::Raw, &[]).unwrap(), [Value::Time(0), Value::Float(0.0), Value::Null, Value::Int(0)]);
}

#[test]
fn the_last_member_of_a_oneof_counts_and_of_a_field_that_is_there_twice() {
    assert_eq!(read(Framing::Raw, &[0x18, 2, 0x18, 4]).unwrap()[2], Value::Int(2));
    // n, then the member that the stream does not know.
    assert_eq!(read(Framing::Raw, &[0x18, 2, 0x20, 1]).unwrap()[2], Value::Null);
}

#[test]
fn the_type_is_named_by_its_places_in_the_file() {
    for (message, is_read) in [
        (&[0, 0, 0, 0, 7, 0, 8, 5][..], true),
        (&[0, 0, 0, 0, 7, 2, 0, 8, 5], true),
        (&[0, 0, 0, 0, 7, 2, 2, 8, 5], false),
        (&[0, 0, 0, 0, 7, 1, 0], false),
        (&[0, 0, 0, 0, 7, 0x80, 0x80, 1, 0], false),
        (&[0, 0, 0, 0, 7], false),
        (&[1, 0, 0, 0, 7, 0], false),
    ] {
        assert_eq!(read(Framing::Registry, message).is_ok(), is_read, "{message:?}");
    }
}

#[test]
fn damaged_messages_are_refused() {
    for (message, told) in [
        (vec![8], "ends in the middle of a number"),
        (vec![0, 1], "the number 0"),
        (vec![0x0F, 1], "has the layout 7"),
        (vec![0x11, 1], "8 bytes are announced and 1 are left"),
        (vec![0x32, 9, 1], "9 bytes are announced and 1 are left"),
        (vec![0x34], "ends that has not begun"),
        (vec![0x33, 0x3C], "ends that has not begun"),
        (vec![0x33; 100_000], "deeper than 64 levels"),
    ] {
        let refusal = read(Framing::Raw, &message).unwrap_err();
        assert!(refusal.contains(told), "{refusal}");
    }
    // A group that ends, and a field of another layout than its type's, are passed over.
    assert_eq!(read(Framing::Raw, &[0x33, 8, 1, 0x34, 0x0D, 1, 2, 3, 4]).unwrap()[0], Value::Time(0));
}

#[test]
fn unsigned_numbers_beyond_64_bits_with_a_sign_are_out_of_range() {
    let most = [vec![0x28], vec![0xFF; 9], vec![1]].concat();
    assert!(read(Framing::Raw, &most).unwrap_err().contains("18446744073709551615"));
}
