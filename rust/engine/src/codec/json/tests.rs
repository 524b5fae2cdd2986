//! `docs/semantics.md`, section 7.7, with serde_json as judge.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::event::Value;

fn schema(fields: Json) -> Schema {
    let definition = json!({"name": "s", "time": "ts", "lateness_ns": 0, "fields": fields});
    Schema::compile(&serde_json::from_value(definition).unwrap(), 1_000_000).unwrap()
}

fn every_type() -> Schema {
    schema(json!([
        {"name": "ts", "type": "timestamp"},
        {"name": "text", "type": "string", "nullable": true},
        {"name": "f", "type": "float64", "nullable": true, "allow_nan": true},
        {"name": "i", "type": "int64", "nullable": true},
        {"name": "b", "type": "boolean", "nullable": true},
        {"name": "c", "type": "categorical", "categories": ["x", "y"], "nullable": true},
    ]))
}

/// The values with texts spelled out, or the rules broken, by field.
fn read(schema: &Schema, bytes: &[u8]) -> Result<Vec<String>, Vec<String>> {
    let mut event = Event::default();
    match decode(schema, bytes, &mut event) {
        Ok(()) => Ok(event
            .values
            .iter()
            .map(|value| match value {
                Value::Text(text) => format!("{:?}", event.text(*text)),
                Value::Null => "null".to_owned(),
                Value::Float(value) => format!("{value:?}"),
                Value::Int(value) | Value::Time(value) => value.to_string(),
                Value::Bool(value) => value.to_string(),
            })
            .collect()),
        Err(EventError::Invalid { problems, .. }) => {
            Err(problems.iter().map(|problem| format!("{}:{}", problem.field, problem.rule)).collect())
        }
        Err(other) => panic!("{other}"),
    }
}

fn message(bytes: &[u8]) -> String {
    decode(&every_type(), bytes, &mut Event::default()).unwrap_err().to_string()
}

#[test]
fn every_type_is_read_in_any_order() {
    let expected = Ok(["7", "\"é\"", "1.5", "-3", "true", "1"].map(str::to_owned).to_vec());
    let schema = every_type();
    assert_eq!(read(&schema, r#"{"ts":7,"text":"é","f":1.5,"i":-3,"b":true,"c":"y"}"#.as_bytes()), expected);
    assert_eq!(
        read(
            &schema,
            br#" { "c" : "y", "zz": [{"ts": 1}], "b":true,"i":-3,"f":15e-1,"text":"\u00e9" , "t\u0073":7 } "#
        ),
        expected
    );
}

#[test]
fn the_last_of_two_fields_of_one_name_counts() {
    let schema = every_type();
    assert_eq!(read(&schema, br#"{"ts":1,"ts":2,"i":"bad","i":3}"#).unwrap()[..4], ["2", "null", "null", "3"]);
    assert_eq!(read(&schema, br#"{"ts":1,"i":3,"i":"bad"}"#), Err(vec!["i:type".to_owned()]));
    assert_eq!(read(&schema, br#"{"ts":1,"text":"a","text":null}"#).unwrap()[1], "null");
}

#[test]
fn whole_numbers_are_read_as_python_reads_them() {
    let schema = every_type();
    let f = |text: &str| read(&schema, format!(r#"{{"ts":0,"f":{text}}}"#).as_bytes()).map(|values| values[2].clone());
    let i = |text: &str| read(&schema, format!(r#"{{"ts":0,"i":{text}}}"#).as_bytes()).map(|values| values[3].clone());
    for (text, expected) in [
        ("-0", "0.0"),
        ("-0.0", "-0.0"),
        ("0e5", "0.0"),
        ("9007199254740993", "9007199254740992.0"),
        ("18446744073709551616", "1.8446744073709552e19"),
        ("1e400", "inf"),
        ("-1e400", "-inf"),
        ("NaN", "NaN"),
        ("Infinity", "inf"),
        ("-Infinity", "-inf"),
    ] {
        assert_eq!(f(text).as_deref(), Ok(expected), "{text}");
    }
    assert_eq!(f(&"1".repeat(400)), Err(vec!["f:range".to_owned()]));
    assert_eq!(i("9223372036854775807").as_deref(), Ok("9223372036854775807"));
    assert_eq!(i("-9223372036854775808").as_deref(), Ok("-9223372036854775808"));
    assert_eq!(i("9223372036854775808"), Err(vec!["i:range".to_owned()]));
    for text in ["3.0", "1e3", "NaN", "\"3\"", "true", "[3]", "{}"] {
        assert_eq!(i(text), Err(vec!["i:type".to_owned()]), "{text}");
    }
    assert!(message(format!(r#"{{"ts":0,"i":{}}}"#, "9".repeat(200)).as_bytes()).contains("9… (200 bytes)"));
}

#[test]
fn what_is_no_event_is_refused_as_a_whole() {
    let schema = every_type();
    let json = Err(vec![":json".to_owned()]);
    for bytes in [
        &b""[..],
        b" ",
        b"{",
        b"}",
        b"{\"ts\":0",
        b"{\"ts\":0,}",
        b"{\"ts\" 0}",
        b"{\"ts\":}",
        b"{ts:0}",
        b"{\"ts\":0} {}",
        b"{\"ts\":0}x",
        b"{\"ts\":00}",
        b"{\"ts\":+1}",
        b"{\"ts\":0x10}",
        b"{\"ts\":nul}",
        b"{'ts':0}",
        b"{\"ts\":0,\"text\":\"a\nb\"}",
        b"{\"ts\":0,\"text\":\"\\ud800\"}",
        b"{\"ts\":0,\"text\":\"\\x\"}",
        b"{\"ts\":0,\"zz\":\"\xff\"}",
        b"\xef\xbb\xbf{\"ts\":0}",
        b"[1,",
    ] {
        assert_eq!(read(&schema, bytes), json, "{}", String::from_utf8_lossy(bytes));
    }
    for bytes in [&b"[]"[..], b"1", b"null", b"\"{}\"", b" [{\"ts\":0}] "] {
        assert_eq!(read(&schema, bytes), Err(vec![":object".to_owned()]));
    }
    assert!(message(b"").contains("is empty"));
    assert!(message(b"[]").contains("not a list"));
    assert!(message(b"{\"ts\":0,\"text\":\"\xff\"}").contains("not UTF-8 at byte 16"));
    assert!(message(b"{\"ts\":\n7,}").contains("line 2 column 3"));
}

#[test]
fn a_mebibyte_and_64_levels_are_the_limits() {
    let schema = every_type();
    let sized = |bytes: usize| format!(r#"{{"ts":0,"zz":"{}"}}"#, "a".repeat(bytes - 16));
    assert_eq!(sized(BYTES_MAX).len(), BYTES_MAX);
    assert!(read(&schema, sized(BYTES_MAX).as_bytes()).is_ok());
    assert_eq!(read(&schema, sized(BYTES_MAX + 1).as_bytes()), Err(vec![":json".to_owned()]));
    assert!(message(sized(BYTES_MAX + 1).as_bytes()).len() < 400);
    for name in ["zz", "i"] {
        let nested = |levels: usize, open: &str, close: &str| {
            format!(r#"{{"ts":0,"{name}":{}"[[["{}}}"#, open.repeat(levels - 1), close.repeat(levels - 1))
        };
        let allowed = if name == "zz" { Ok(()) } else { Err(vec!["i:type".to_owned()]) };
        assert_eq!(read(&schema, nested(64, "[", "]").as_bytes()).map(drop), allowed);
        assert_eq!(read(&schema, nested(64, "{\"a\":", "}").as_bytes()).map(drop), allowed);
        for levels in [65, 199, 202, 300, 150_000] {
            assert_eq!(read(&schema, nested(levels, "[", "]").as_bytes()), Err(vec![":json".to_owned()]), "{levels}");
        }
    }
    assert_eq!(read(&schema, "[".repeat(100).as_bytes()), Err(vec![":json".to_owned()]));
}

#[test]
fn a_nested_value_in_a_typed_field_is_shown() {
    let text = message(br#"{"ts":0,"f":{"a": [1]}}"#);
    assert!(text.contains(r#"field `f` is {"a": [1]}: Float64 takes numbers, not a value of type object"#), "{text}");
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        prop::num::f64::NORMAL.prop_map(Json::from),
        prop_oneof![Just("x".to_owned()), Just("y".to_owned()), "\\PC{0,20}", any::<String>()].prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::hash_map("[a-c]", inner, 0..3)
                .prop_map(|map| Json::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// serde_json reads, these few lines judge.
fn judged(event: &Map<String, Json>) -> Result<Vec<String>, Vec<String>> {
    let (mut values, mut problems) = (Vec::new(), Vec::new());
    for name in ["ts", "text", "f", "i", "b", "c"] {
        let outcome = match (name, event.get(name)) {
            ("ts", None) => Err("required"),
            ("ts", Some(Json::Null)) => Err("not_null"),
            ("ts", Some(Json::Number(n))) if n.is_f64() => Err("type"),
            ("ts", Some(Json::Number(n))) => match n.as_i64() {
                Some(n) if (-62_135_596_800_000_000..=253_402_300_799_999_999).contains(&n) => Ok(n.to_string()),
                _ => Err("range"),
            },
            (_, None | Some(Json::Null)) => Ok("null".to_owned()),
            ("text", Some(Json::String(text))) if text.len() > 4096 => Err("max_bytes"),
            ("text", Some(Json::String(text))) => Ok(format!("{text:?}")),
            ("f", Some(Json::Number(n))) => Ok(format!("{:?}", n.as_f64().unwrap())),
            ("i", Some(Json::Number(n))) if n.is_i64() => Ok(n.to_string()),
            ("i", Some(Json::Number(n))) if n.is_u64() => Err("range"),
            ("b", Some(Json::Bool(value))) => Ok(value.to_string()),
            ("c", Some(Json::String(text))) => match text.as_str() {
                "x" => Ok("0".to_owned()),
                "y" => Ok("1".to_owned()),
                _ => Err("one_of"),
            },
            _ => Err("type"),
        };
        match outcome {
            Ok(value) => values.push(value),
            Err(rule) => problems.push(format!("{name}:{rule}")),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

proptest! {
    #[test]
    fn objects_are_read_as_serde_json_reads_them(
        pairs in prop::collection::vec((prop_oneof![
            Just("ts".to_owned()), Just("text".to_owned()), Just("f".to_owned()), Just("i".to_owned()),
            Just("b".to_owned()), Just("c".to_owned()), any::<String>(),
        ], any_json()), 0..10),
        ts in prop_oneof![any::<i64>(), -1_000_i64..1_000],
        pretty in any::<bool>(),
    ) {
        // A text in `ts` is judged by instant.rs.
        let pairs = pairs.into_iter().filter(|(name, value)| !(name == "ts" && value.is_string()));
        let event: Map<String, Json> = std::iter::once(("ts".to_owned(), Json::from(ts))).chain(pairs).collect();
        let text = if pretty { serde_json::to_string_pretty(&event) } else { serde_json::to_string(&event) }.unwrap();
        prop_assert_eq!(read(&every_type(), text.as_bytes()), judged(&event));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&every_type(), &bytes);
    }

    #[test]
    fn what_looks_like_json_is_read_when_serde_json_reads_it(text in r#"\{("(ts|f|i|text|zz)" ?: ?(-?[0-9]{1,22}(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?|"[a-z\\u0-9d]{0,8}"|[\[\]{},:]{0,6}|null|true),? ?){0,4}\}"#) {
        let ours = read(&every_type(), text.as_bytes());
        let syntax = ours == Err(vec![":json".to_owned()]);
        // serde_json refuses a double beyond the largest, we and Python read an infinity.
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(_) => prop_assert!(!syntax, "{}", text),
            Err(error) if error.to_string().contains("out of range") => {}
            Err(_) => prop_assert!(syntax, "{}", text),
        }
    }

    #[test]
    fn a_cut_or_bent_event_never_panics(at in 0_usize..80, byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = br#"{"ts":1769860800000000,"text":"a\u00e9\n","f":-1.5e-3,"i":12,"b":false,"zz":[{"a":{}}],"c":"x"}"#.to_vec();
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let _ = read(&every_type(), &bytes);
    }
}
