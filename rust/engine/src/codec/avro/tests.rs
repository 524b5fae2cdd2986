//! Bytes by hand; Python's tests have fastavro as judge.

use serde_json::json;

use super::*;
use crate::event::Value;

/// The stream of these tests: a time, and nullable `card`, `amount`, `count`, `ok`.
fn stream() -> Schema {
    let definition = json!({"name": "s", "time": "ts", "lateness_ns": 0, "fields": [
        {"name": "ts", "type": "timestamp"},
        {"name": "card", "type": "string", "nullable": true},
        {"name": "amount", "type": "float64", "nullable": true},
        {"name": "n", "type": "int64", "nullable": true},
        {"name": "ok", "type": "boolean", "nullable": true},
    ]});
    Schema::compile(&serde_json::from_value(definition).unwrap(), 1_000_000).unwrap()
}

fn codec(framing: Framing, schema: &Schema, text: &str) -> Avro {
    let mut avro = Avro::new(framing);
    avro.add(schema, 7, text, &[]).unwrap();
    avro
}

fn record(fields: &str) -> String {
    format!(
        r#"{{"type": "record", "name": "e", "namespace": "a.b", "fields": [{{"name": "ts", "type": "long"}}, {fields}]}}"#
    )
}

/// The event of a raw message, or what is said of it.
fn read(text: &str, message: &[u8]) -> Result<Event, String> {
    let schema = stream();
    let mut event = Event::default();
    codec(Framing::Raw, &schema, text).decode(&schema, message, &mut event).map_err(|error| error.to_string())?;
    Ok(event)
}

#[test]
fn fields_go_to_columns_of_their_name_and_others_are_passed_over() {
    let text = record(
        r#"{"name": "other", "type": {"type": "array", "items": ["null", {"type": "map", "values": "string"}]}},
           {"name": "amount", "type": ["null", "float"]}, {"name": "card", "type": {"type": "enum", "name": "c", "symbols": ["x", "y"]}},
           {"name": "again", "type": ["c", "null"]}"#,
    );
    // ts 3; a block of two items, null and a map of one; amount 0.5; card y; again x
    let message = [6, 4, 0, 2, 2, 2, b'k', 2, b'v', 0, 0, 2, 0, 0, 0, 0x3F, 2, 0, 0];
    let event = read(&text, &message).unwrap();
    assert_eq!(event.values[0], Value::Time(3));
    let Value::Text(card) = event.values[1] else { panic!("{:?}", event.values) };
    assert_eq!(event.text(card), "y");
    assert_eq!(event.values[2..], [Value::Float(0.5), Value::Null, Value::Null]);
}

#[test]
fn logical_times_are_instants_and_a_time_of_day_is_none() {
    for (kind, bytes, ticks) in [
        (r#"{"type": "long", "logicalType": "timestamp-millis"}"#, 4, 2_000),
        (r#"{"type": "long", "logicalType": "timestamp-micros"}"#, 4, 2),
        (r#"{"type": "long", "logicalType": "timestamp-nanos"}"#, 4, 0),
        (r#"{"type": "long", "logicalType": "local-timestamp-millis"}"#, 1, -1_000),
        (r#"{"type": "int", "logicalType": "date"}"#, 2, 86_400_000_000),
    ] {
        let text = format!(r#"{{"type": "record", "name": "e", "fields": [{{"name": "ts", "type": {kind}}}]}}"#);
        assert_eq!(read(&text, &[bytes]).unwrap().values[0], Value::Time(ticks), "{kind}");
    }
    let text = r#"{"type": "record", "name": "e", "fields": [{"name": "ts", "type": {"type": "int", "logicalType": "time-millis"}}]}"#;
    assert!(read(text, &[2]).unwrap_err().contains("time of day"));
}

#[test]
fn a_record_may_name_itself_and_only_so_deep() {
    let text = record(r#"{"name": "next", "type": ["null", "e"]}"#);
    let nested = |levels: usize| [[0, 2].repeat(levels), vec![0, 0]].concat();
    assert!(read(&text, &nested(3)).is_ok());
    assert!(read(&text, &nested(100_000)).unwrap_err().contains("deeper than 64 levels"));
    let endless = r#"{"type": "record", "name": "e", "fields": [{"name": "next", "type": "e"}]}"#;
    assert!(read(endless, &[]).unwrap_err().contains("deeper than 64 levels"));
}

#[test]
fn counts_without_bytes_behind_them_cost_nothing() {
    let text = record(r#"{"name": "nothing", "type": {"type": "array", "items": "null"}}"#);
    let most = [vec![0xFE], vec![0xFF; 8], vec![1]].concat();
    assert!(read(&text, &[vec![0], most.clone(), vec![0]].concat()).is_ok());
    let text = record(r#"{"name": "texts", "type": {"type": "array", "items": "string"}}"#);
    assert!(read(&text, &[vec![0], most.clone(), vec![0]].concat()).unwrap_err().contains("are left"));
    // A block of a negative count says its bytes, which may be none or too many.
    assert!(read(&text, &[0, 1, 4, 2, b'a', 0]).is_ok());
    assert!(read(&text, &[0, 1, 3, 0]).unwrap_err().contains("negative length"));
    assert!(read(&text, &[vec![0, 1], most].concat()).unwrap_err().contains("are left"));
}

#[test]
fn damaged_messages_are_refused_with_the_place() {
    let text = record(r#"{"name": "card", "type": ["null", "string"]}, {"name": "ok", "type": "boolean"}"#);
    for (message, told) in [
        (vec![], "in field `ts` it ends in the middle of a number at byte 0"),
        (vec![0, 4], "branch 2 of a union is named, which has 2"),
        (vec![0, 1], "branch -1"),
        (vec![0, 2, 8, b'a'], "in field `card` 4 bytes are announced and 1 are left"),
        (vec![0, 2, 1], "have the length -1"),
        (vec![0, 2, 2, 0xFF, 0], "a text is not UTF-8 at its byte 0"),
        (vec![0, 0, 2], "a boolean is 2"),
        (vec![0, 0, 1, 9], "1 bytes follow after the record at byte 3"),
    ] {
        let refusal = read(&text, &message).unwrap_err();
        assert!(refusal.contains(told), "{message:?}: {refusal}");
    }
}

#[test]
fn a_decimal_is_refused_by_its_field_where_the_stream_wants_it() {
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#;
    let refusal = read(&record(&format!(r#"{{"name": "amount", "type": ["null", {decimal}]}}"#)), &[0, 0]).unwrap_err();
    assert!(refusal.contains("field `amount` is a decimal") && refusal.contains("as a double"), "{refusal}");
    assert!(read(&record(&format!(r#"{{"name": "price", "type": {decimal}}}"#)), &[0, 2, 9]).is_ok());
}

#[test]
fn ids_choose_schemas_and_references_are_found() {
    let schema = stream();
    let mut avro = codec(Framing::Registry, &schema, &record(r#"{"name": "n", "type": "long"}"#));
    let refers = record(r#"{"name": "o", "type": "a.b.other"}"#);
    assert!(avro.add(&schema, 8, &refers, &[]).is_err());
    avro.add(&schema, 8, &refers, &[r#"{"type": "fixed", "name": "a.b.other", "size": 2}"#]).unwrap();
    let mut event = Event::default();
    avro.decode(&schema, &[0, 0, 0, 0, 7, 0, 4], &mut event).unwrap();
    assert_eq!(event.values[3], Value::Int(2));
    avro.decode(&schema, &[0, 0, 0, 0, 8, 0, 1, 2], &mut event).unwrap();
    assert_eq!(avro.unknown_id(&[0, 0, 0, 0, 9, 0]), Some(9));
    assert_eq!(avro.unknown_id(&[0, 0, 0, 0, 7, 0]), None);
    assert_eq!(avro.unknown_id(&[1, 0, 0, 0, 9, 0]), None);
    for (message, told) in [
        (&[0, 0, 0, 0, 9, 0][..], "schema id 9 is not known"),
        (&[1, 0, 0, 0, 7, 0][..], "begins with 1"),
        (&[0, 0, 0][..], "too short"),
    ] {
        let refusal = avro.decode(&schema, message, &mut event).unwrap_err().to_string();
        assert!(refusal.contains(told), "{refusal}");
    }
}

#[test]
fn what_is_no_schema_is_told_of_each_of_its_messages() {
    let schema = stream();
    let mut avro = Avro::new(Framing::Registry);
    for text in ["{", "\"string\"", r#"{"type": "record", "name": "e", "fields": [{"name": "x", "type": "nothing"}]}"#]
    {
        let told = avro.add(&schema, 3, text, &[]).unwrap_err();
        let refusal = avro.decode(&schema, &[0, 0, 0, 0, 3], &mut Event::default()).unwrap_err().to_string();
        assert!(refusal.contains(&told), "{refusal}");
    }
}
