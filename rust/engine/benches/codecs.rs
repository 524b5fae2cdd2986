//! What reading one event of six fields takes, by format, beside the libraries' own trees of values:
//! `cargo bench -p fastfeat-engine --bench codecs`. Ways alternate, the best round of each counts.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock; the engine does not")]

use std::hint::black_box;
use std::time::Instant;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as AvroValue;
use apache_avro::writer::datum::GenericDatumWriter;
use fastfeat_engine::codec::Codec;
use fastfeat_engine::codec::avro::Avro;
use fastfeat_engine::codec::framing::Framing;
use fastfeat_engine::codec::json::Json;
use fastfeat_engine::codec::protobuf::Protobuf;
use fastfeat_engine::event::{Event, Value};
use fastfeat_engine::schema::Schema;
use prost_reflect::prost::Message;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use prost_reflect::{DescriptorPool, DynamicMessage, Value as ProtobufValue};
use serde_json::json;

const EVENTS: usize = 10_000;
const ROUNDS: usize = 15;
const AVRO: &str = r#"{"type": "record", "name": "payment", "fields": [
    {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-micros"}}, {"name": "card", "type": "string"},
    {"name": "merchant", "type": "string"}, {"name": "country", "type": "string"},
    {"name": "amount", "type": ["null", "double"]}, {"name": "declined", "type": "boolean"}]}"#;
const FIELDS: [(&str, Type); 6] = [
    ("ts", Type::Int64),
    ("card", Type::String),
    ("merchant", Type::String),
    ("country", Type::String),
    ("amount", Type::Double),
    ("declined", Type::Bool),
];

/// A name, its messages, and what reads the amount of one.
type Way<'a> = (&'a str, &'a [Vec<u8>], Box<dyn FnMut(&[u8]) -> f64 + 'a>);

fn schema() -> Schema {
    let definition = json!({"name": "payments", "time": "ts", "lateness_ns": 0, "fields": [
        {"name": "ts", "type": "timestamp", "unit": "us"},
        {"name": "card", "type": "string"},
        {"name": "merchant", "type": "string"},
        {"name": "country", "type": "string"},
        {"name": "amount", "type": "float64"},
        {"name": "declined", "type": "boolean"},
    ]});
    Schema::compile(&serde_json::from_value(definition).expect("a definition"), 1_000_000).expect("a stream")
}

/// The values of event `number`.
fn values(number: usize) -> (i64, [String; 3], f64, bool) {
    let texts = [format!("c-{}", number % 977), format!("m-{}", number % 101), format!("k-{}", number % 7)];
    (1_700_000_000_000_000 + number as i64, texts, number as f64 * 0.37, number.is_multiple_of(25))
}

fn descriptors() -> Vec<u8> {
    let field = |(place, (name, kind)): (usize, &(&str, Type))| FieldDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(place as i32 + 1),
        label: Some(Label::Optional.into()),
        r#type: Some((*kind).into()),
        ..FieldDescriptorProto::default()
    };
    let message = DescriptorProto {
        name: Some("Payment".to_owned()),
        field: FIELDS.iter().enumerate().map(field).collect(),
        ..DescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("payment.proto".to_owned()),
        syntax: Some("proto3".to_owned()),
        message_type: vec![message],
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

fn main() {
    let schema = schema();
    let writer = apache_avro::Schema::parse_str(AVRO).expect("a schema");
    let to_avro = GenericDatumWriter::builder(&writer).build().expect("a writer");
    let from_avro = GenericDatumReader::builder(&writer).build().expect("a reader");
    let pool = DescriptorPool::decode(descriptors().as_slice()).expect("descriptors");
    let payment = pool.get_message_by_name("Payment").expect("a type");
    let (mut json, mut avro, mut protobuf) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..EVENTS {
        let (ts, [card, merchant, country], amount, declined) = values(number);
        json.push(
            serde_json::to_vec(
                &json!({"ts": ts, "card": card, "merchant": merchant, "country": country, "amount": amount,
                "declined": declined}),
            )
            .expect("JSON"),
        );
        let record = AvroValue::Record(vec![
            ("ts".to_owned(), AvroValue::TimestampMicros(ts)),
            ("card".to_owned(), AvroValue::String(card.clone())),
            ("merchant".to_owned(), AvroValue::String(merchant.clone())),
            ("country".to_owned(), AvroValue::String(country.clone())),
            ("amount".to_owned(), AvroValue::Union(1, Box::new(AvroValue::Double(amount)))),
            ("declined".to_owned(), AvroValue::Boolean(declined)),
        ]);
        avro.push(to_avro.write_value_to_vec(record).expect("Avro"));
        let mut message = DynamicMessage::new(payment.clone());
        message.set_field_by_name("ts", ProtobufValue::I64(ts));
        message.set_field_by_name("card", ProtobufValue::String(card));
        message.set_field_by_name("merchant", ProtobufValue::String(merchant));
        message.set_field_by_name("country", ProtobufValue::String(country));
        message.set_field_by_name("amount", ProtobufValue::F64(amount));
        message.set_field_by_name("declined", ProtobufValue::Bool(declined));
        protobuf.push(message.encode_to_vec());
    }

    let mut avro_codec = Avro::new(Framing::Raw);
    avro_codec.add(&schema, 0, AVRO, &[]).expect("a schema");
    let mut protobuf_codec = Protobuf::new(Framing::Raw, Some("Payment".to_owned()));
    protobuf_codec.add(&schema, None, &descriptors()).expect("descriptors");
    let decode = |codec: &dyn Codec, bytes: &[u8], event: &mut Event| {
        codec.decode(&schema, bytes, event).expect("an event");
        let Value::Float(amount) = event.values[4] else { panic!("no amount") };
        amount
    };
    let mut events = [Event::default(), Event::default(), Event::default()];
    let [for_json, for_avro, for_protobuf] = &mut events;
    let mut ways: Vec<Way<'_>> = vec![
        ("json", &json, Box::new(|bytes| decode(&Json, bytes, for_json))),
        ("avro", &avro, Box::new(|bytes| decode(&avro_codec, bytes, for_avro))),
        ("protobuf", &protobuf, Box::new(|bytes| decode(&protobuf_codec, bytes, for_protobuf))),
    ];
    ways.push((
        "json, serde_json::Value",
        &json,
        Box::new(|bytes| {
            let value: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
            value["amount"].as_f64().expect("an amount")
        }),
    ));
    ways.push((
        "avro, apache_avro::Value",
        &avro,
        Box::new(|mut bytes| match from_avro.read_value(&mut bytes).expect("Avro") {
            AvroValue::Record(fields) => match &fields[4].1 {
                AvroValue::Union(_, amount) => match **amount {
                    AvroValue::Double(amount) => amount,
                    _ => panic!("no amount"),
                },
                _ => panic!("no amount"),
            },
            _ => panic!("no record"),
        }),
    ));
    ways.push((
        "protobuf, DynamicMessage",
        &protobuf,
        Box::new(|bytes| {
            let message = DynamicMessage::decode(payment.clone(), bytes).expect("a message");
            message.get_field_by_name("amount").and_then(|amount| amount.as_f64()).expect("an amount")
        }),
    ));
    let expected: f64 = (0..EVENTS).map(|number| values(number).2).sum();
    let mut best = vec![f64::INFINITY; ways.len()];
    for _ in 0..ROUNDS {
        for (place, (name, messages, way)) in ways.iter_mut().enumerate() {
            let start = Instant::now();
            let sum: f64 = messages.iter().map(|bytes| black_box(way(black_box(bytes)))).sum();
            best[place] = best[place].min(start.elapsed().as_nanos() as f64 / EVENTS as f64);
            assert_eq!(sum.to_bits(), expected.to_bits(), "{name}");
        }
    }
    for ((name, messages, _), nanoseconds) in ways.iter().zip(best) {
        println!("{name:<26} {nanoseconds:>7.0} ns an event of {} bytes", messages[0].len());
    }
}
