//! `docs/semantics.md`, section 7, rule by rule, and every mistake of a definition.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::event::Text;

fn compile(fields: Json) -> Result<Schema, DefinitionError> {
    let definition = json!({"name": "s", "time": "ts", "lateness_ns": 0, "fields": fields});
    Schema::compile(&serde_json::from_value(definition).unwrap(), 1_000_000)
}

/// A schema of a time and the field `x` with the given type and rules.
fn of_field(kind: &str, rules: Json) -> Result<Schema, DefinitionError> {
    let mut field = json!({"name": "x", "type": kind});
    field.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    compile(json!([{"name": "ts", "type": "timestamp"}, field]))
}

/// The value of `x`, or the rule it breaks.
fn set(schema: &Schema, raw: Raw<'_>) -> Result<Value, &'static str> {
    let mut event = Event::default();
    let mut filling = schema.begin(&mut event);
    filling.set(0, Raw::Int(0));
    filling.set(1, raw);
    match filling.finish() {
        Ok(()) => Ok(event.values[1]),
        Err(EventError::Invalid { problems, .. }) => {
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].message.len() > 5, "{problems:?}");
            Err(problems[0].rule)
        }
        Err(other) => panic!("{other}"),
    }
}

fn mistake(kind: &str, rules: Json) -> String {
    of_field(kind, rules).unwrap_err().to_string()
}

#[test]
fn every_mistake_of_a_definition_has_its_place_and_a_way_out() {
    let time = json!({"name": "ts", "type": "timestamp"});
    let stream = |time: &str, field: Json| {
        let definition = json!({"name": "s", "time": time, "lateness_ns": 0, "fields": [field]});
        Schema::compile(&serde_json::from_value(definition).unwrap(), 1_000_000).unwrap_err().to_string()
    };
    assert_eq!(stream("tss", time.clone()), "stream `s`: time=`tss` is no field of this stream; did you mean `ts`?");
    assert!(stream("when", time.clone()).ends_with("write time=\"ts\""));
    assert!(stream("when", json!({"name": "a", "type": "int64"})).contains("add a field of type Timestamp"));
    assert!(stream("a", json!({"name": "a", "type": "int64"})).contains("type Int64; the time of an event must be"));
    let nullable = json!({"name": "ts", "type": "timestamp", "nullable": true});
    assert!(stream("ts", nullable).contains("drop nullable"));
    let default = json!({"name": "ts", "type": "timestamp", "default": {"int": 0}});
    assert!(stream("ts", default).contains("drop default"));

    let twice = compile(json!([time, {"name": "a", "type": "int64"}, {"name": "a", "type": "string"}]));
    assert_eq!(
        twice.unwrap_err().to_string(),
        "stream `s`, field `a`: there are two fields of this name; rename one of them"
    );
    assert!(compile(json!([{"name": "", "type": "int64"}])).unwrap_err().message.contains("needs a name"));
    let unnamed = json!({"name": "", "time": "ts", "lateness_ns": 0, "fields": [time]});
    assert!(Schema::compile(&serde_json::from_value(unnamed).unwrap(), 1_000_000).is_err());
    let many = |count: usize| -> Json {
        let columns = (1..count).map(|index| json!({"name": format!("c{index}"), "type": "boolean"}));
        std::iter::once(time.clone()).chain(columns).collect()
    };
    assert!(compile(many(1_000)).is_ok());
    assert!(compile(many(1_001)).unwrap_err().message.contains("1001 fields and 1000 are allowed"));

    for (kind, rules, words) in [
        (
            "string",
            json!({"ge": {"int": 1}}),
            "`ge` fits fields of type Float64, Int64, Timestamp, not String; drop it",
        ),
        ("boolean", json!({"one_of": [{"bool": true}]}), "`one_of` fits"),
        ("float64", json!({"pattern": "a"}), "`pattern` fits fields of type String"),
        ("categorical", json!({"max_bytes": 9, "categories": ["a"]}), "`max_bytes` fits"),
        ("int64", json!({"allow_nan": true}), "`allow_nan` fits"),
        ("int64", json!({"unit": "ms"}), "`unit` fits"),
        ("string", json!({"categories": ["a"]}), "`categories` fits"),
        ("int64", json!({"ge": {"float": 0.5}}), "`ge` is 0.5, which is no value of type Int64"),
        ("float64", json!({"lt": {"float": "nan"}}), "`lt` is nan"),
        ("float64", json!({"lt": {"float": "big"}}), "`lt` is big"),
        ("float64", json!({"gt": {"int": 1}, "lt": {"int": 1}}), "no value keeps all"),
        ("int64", json!({"ge": {"int": 2}, "le": {"int": 1}}), "no value keeps all"),
        ("int64", json!({"gt": {"int": i64::MAX}}), "no value keeps all"),
        ("float64", json!({"lt": {"float": "-inf"}, "allow_nan": true}), "no value keeps all"),
        ("timestamp", json!({"ge": {"text": "soon"}}), "`ge` is \"soon\""),
        ("int64", json!({"one_of": []}), "`one_of` is empty"),
        ("string", json!({"one_of": [{"int": 1}]}), "`one_of` is 1"),
        ("string", json!({"pattern": "a("}), "no regular expression"),
        ("string", json!({"pattern": "a)(b"}), "no regular expression"),
        ("string", json!({"pattern": "(a{1000}){1000}"}), "no regular expression"),
        ("string", json!({"max_bytes": 0}), "`max_bytes` is 0"),
        ("string", json!({"max_bytes": 1_048_577}), "up to 1048576 are allowed"),
        ("categorical", json!({}), "no categories"),
        ("categorical", json!({"categories": []}), "no categories"),
        ("categorical", json!({"categories": ["a", "b", "a"]}), "category \"a\" is listed twice"),
        ("categorical", json!({"categories": ["a"], "default": {"text": "b"}}), "`one_of`: the categories are \"a\""),
        ("string", json!({"default": {"text": "abc"}, "max_bytes": 2}), "breaks the field's own rule `max_bytes`"),
        (
            "float64",
            json!({"default": {"int": -1}, "ge": {"int": 0}}),
            "breaks the field's own rule `ge`: it must be >= 0.0",
        ),
        ("float64", json!({"default": {"float": "nan"}}), "`allow_nan`"),
        ("boolean", json!({"default": {"int": 1}}), "`default` is 1, which is no value of type Boolean"),
        ("int64", json!({"default": "null"}), "`default` is null and the field is not nullable"),
        ("timestamp", json!({"default": {"int": i64::MAX}}), "`range`"),
    ] {
        let text = mistake(kind, rules);
        assert!(text.starts_with("stream `s`, field `x`: ") && text.contains(words), "{text}");
    }
    assert!(of_field("string", json!({"max_bytes": 1_048_576})).is_ok());
    assert!(of_field("int64", json!({"nullable": true, "default": "null"})).is_ok());
}

#[test]
fn types_are_not_guessed() {
    let float = of_field("float64", json!({})).unwrap();
    let int = of_field("int64", json!({})).unwrap();
    let boolean = of_field("boolean", json!({})).unwrap();
    let text = of_field("string", json!({})).unwrap();
    let category = of_field("categorical", json!({"categories": ["b", "a"]})).unwrap();
    let time = of_field("timestamp", json!({"unit": "ms"})).unwrap();
    for (schema, good) in
        [(&float, "fiI"), (&int, "i"), (&boolean, "b"), (&text, "t"), (&category, "t"), (&time, "inT")]
    {
        for (name, raw) in [
            ("b", Raw::Bool(true)),
            ("i", Raw::Int(3)),
            ("I", Raw::BigInt("99999999999999999999")),
            ("f", Raw::Float(3.0)),
            ("t", Raw::Text("b")),
            ("T", Raw::Text("2026-01-31T12:00:00Z")),
            ("n", Raw::Time(-1)),
            ("o", Raw::Other("list", "[1]")),
        ] {
            // A time is a text, and a whole number beyond i64 is told apart by its range.
            let expected = match name {
                "T" if good.contains('t') && schema.fields[1].kind == FieldKind::String => None,
                "T" if schema.fields[1].kind == FieldKind::Categorical => Some("one_of"),
                "I" if matches!(schema.fields[1].kind, FieldKind::Int64 | FieldKind::Timestamp) => Some("range"),
                _ if good.contains(name) => None,
                _ => Some("type"),
            };
            assert_eq!(set(schema, raw).err(), expected, "{} {name}", schema.fields[1].name);
        }
    }
    assert_eq!(set(&category, Raw::Text("b")), Ok(Value::Int(0)));
    assert_eq!(set(&float, Raw::Int(i64::MAX)), Ok(Value::Float(9_223_372_036_854_775_807.0)));
    assert_eq!(set(&float, Raw::BigInt(&"9".repeat(309))), Err("range"));
    assert_eq!(set(&time, Raw::Int(-3)), Ok(Value::Time(-3_000)));
    assert_eq!(set(&time, Raw::Time(-1)), Ok(Value::Time(-1)));
    assert_eq!(set(&time, Raw::Int(i64::MAX)), Err("range"));
}

#[test]
fn absent_and_null_follow_nullable_and_default() {
    let with_default = json!({"default": {"text": "d"}});
    let both = json!({"default": {"text": "d"}, "nullable": true});
    for (rules, absent, null) in [
        (json!({}), Err("required"), Err("not_null")),
        (json!({"nullable": true}), Ok("null"), Ok("null")),
        (with_default, Ok("d"), Ok("d")),
        (both, Ok("d"), Ok("null")),
    ] {
        let schema = of_field("string", rules).unwrap();
        let read = |raw: Option<Raw<'_>>| {
            let mut event = Event::default();
            let mut filling = schema.begin(&mut event);
            filling.set(0, Raw::Int(0));
            if let Some(raw) = raw {
                filling.set(1, raw);
            }
            filling.finish().map_err(|error| match error {
                EventError::Invalid { problems, .. } => problems[0].rule,
                other => panic!("{other}"),
            })?;
            Ok(match event.values[1] {
                Value::Null => "null".to_owned(),
                Value::Text(text) => event.text(text).to_owned(),
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(read(None), absent.map(str::to_owned));
        assert_eq!(read(Some(Raw::Null)), null.map(str::to_owned));
    }
}

#[test]
fn every_broken_rule_is_told_at_once_in_the_order_of_the_fields() {
    let fields: Vec<Json> = (0..70).map(|index| json!({"name": format!("f{index}"), "type": "int64"})).collect();
    let schema = compile([vec![json!({"name": "ts", "type": "timestamp"})], fields].concat().into()).unwrap();
    let mut event = Event::default();
    let mut filling = schema.begin(&mut event);
    for column in (1..70).rev() {
        filling.set(column, if column % 2 == 0 { Raw::Int(1) } else { Raw::Text("1") });
    }
    let Err(EventError::Invalid { problems, .. }) = filling.finish() else { panic!() };
    let told: Vec<_> = problems.iter().map(|problem| (problem.field.as_str(), problem.rule)).collect();
    assert_eq!(told[..3], [("ts", "required"), ("f0", "type"), ("f2", "type")]);
    assert_eq!(told[told.len() - 2..], [("f68", "type"), ("f69", "required")]);
    assert_eq!(told.len(), 1 + 35 + 1);
    assert_eq!(
        problems[1].to_string(),
        "field `f0` is \"1\": Int64 takes whole numbers, not a text; send it without quotes"
    );
}

#[test]
fn text_rules_hold_for_the_whole_text_in_bytes() {
    let short = of_field("string", json!({"max_bytes": 4})).unwrap();
    assert!(set(&short, Raw::Text("éé")).is_ok());
    assert_eq!(set(&short, Raw::Text("ééa")), Err("max_bytes"));
    let usual = of_field("string", json!({})).unwrap();
    assert!(set(&usual, Raw::Text(&"a".repeat(4_096))).is_ok());
    assert_eq!(set(&usual, Raw::Text(&"a".repeat(4_097))), Err("max_bytes"));
    for (pattern, good, bad) in [
        ("a|ab", &["a", "ab"][..], &["", "abc", "b", "a\n"][..]),
        ("^[0-9]+$", &["12"], &["12\n", "x12"]),
        ("(?x) a b # two letters", &["ab"], &["a b", "ab "]),
        ("", &[""], &["a"]),
    ] {
        let schema = of_field("string", json!({"pattern": pattern})).unwrap();
        good.iter().for_each(|text| assert!(set(&schema, Raw::Text(text)).is_ok(), "{pattern} {text:?}"));
        bad.iter().for_each(|text| assert_eq!(set(&schema, Raw::Text(text)), Err("pattern"), "{pattern} {text:?}"));
    }
    let listed = of_field("string", json!({"one_of": [{"text": "b"}, {"text": "a"}, {"text": "b"}]})).unwrap();
    assert_eq!(set(&listed, Raw::Text("a")), Ok(Value::Text(Text { start: 0, len: 1 })));
    assert_eq!(set(&listed, Raw::Text("c")), Err("one_of"));
}

#[test]
fn an_error_about_a_megabyte_is_short() {
    let schema = of_field("string", json!({})).unwrap();
    let mut event = Event::default();
    let mut filling = schema.begin(&mut event);
    filling.set(1, Raw::Text(&"é".repeat(500_000)));
    let text = filling.finish().unwrap_err().to_string();
    assert!(text.len() < 500 && text.contains("… (1000000 bytes)"), "{text}");
}

#[test]
fn nan_and_infinities_need_allow_nan_and_lie_beyond_no_bound_but_their_own() {
    let plain = of_field("float64", json!({})).unwrap();
    let allowing = of_field("float64", json!({"allow_nan": true, "ge": {"int": 0}})).unwrap();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(set(&plain, Raw::Float(value)), Err("allow_nan"));
    }
    assert_eq!(set(&allowing, Raw::Float(f64::INFINITY)), Ok(Value::Float(f64::INFINITY)));
    assert_eq!(set(&allowing, Raw::Float(f64::NEG_INFINITY)), Err("ge"));
    let Ok(Value::Float(stored)) = set(&allowing, Raw::Float(crate::row::NULL)) else { panic!() };
    assert_eq!(stored.to_bits(), f64::NAN.to_bits(), "no NaN from outside is taken for the null");
    let listed = of_field("float64", json!({"allow_nan": true, "one_of": [{"int": 1}, {"float": "nan"}]})).unwrap();
    assert!(set(&listed, Raw::Float(-f64::NAN)).is_ok());
    assert_eq!(set(&listed, Raw::Float(2.0)), Err("one_of"));
}

#[test]
fn bounds_finer_than_a_tick_part_the_same_instants() {
    // 1.5 us: the tick 1 lies below it, the tick 2 above.
    for (rule, first_good, good) in [("ge", 2, true), ("gt", 2, true), ("le", 1, false), ("lt", 1, false)] {
        let schema = of_field("timestamp", json!({rule: {"time": 1_500}})).unwrap();
        let (inside, outside) = if good { (first_good, first_good - 1) } else { (first_good, first_good + 1) };
        assert_eq!(set(&schema, Raw::Int(inside)), Ok(Value::Time(inside)));
        assert_eq!(set(&schema, Raw::Int(outside)), Err(rule));
    }
}

#[test]
fn names_are_found_in_any_order() {
    let fields = ["ts", "zeta", "alpha", "é", "a"].map(|name| json!({"name": name, "type": "timestamp"}));
    let schema = compile(fields.to_vec().into()).unwrap();
    for (column, name) in ["ts", "zeta", "alpha", "é", "a"].into_iter().enumerate() {
        assert_eq!(schema.column(name), Some(column));
        for mut expected in 0..6 {
            assert_eq!(schema.column_near(&mut expected, name), Some(column));
            assert_eq!(expected, column + 1);
        }
    }
    assert_eq!((schema.column("b"), schema.column("")), (None, None));
}

proptest! {
    #[test]
    fn bounds_hold_as_they_read(
        low in -5_i64..5, high in -5_i64..5, open_low in any::<bool>(), open_high in any::<bool>(), value in -6_i64..6,
    ) {
        let rules = |literal: &str| json!({
            if open_low { "gt" } else { "ge" }: {literal: low},
            if open_high { "lt" } else { "le" }: {literal: high},
        });
        let inside = (if open_low { value > low } else { value >= low }) && if open_high { value < high } else { value <= high };
        if let Ok(schema) = of_field("int64", rules("int")) {
            prop_assert_eq!(set(&schema, Raw::Int(value)).is_ok(), inside);
        } else {
            prop_assert!(!inside);
        }
        if let Ok(schema) = of_field("float64", rules("float")) {
            prop_assert_eq!(set(&schema, Raw::Float(value as f64)).is_ok(), inside);
            prop_assert_eq!(set(&schema, Raw::Int(value)).is_ok(), inside);
            let (above, below) = ((value as f64).next_up(), (value as f64).next_down());
            let inside = |value: f64| {
                let (low, high) = (low as f64, high as f64);
                (if open_low { value > low } else { value >= low }) && if open_high { value < high } else { value <= high }
            };
            prop_assert_eq!(set(&schema, Raw::Float(above)).is_ok(), inside(above));
            prop_assert_eq!(set(&schema, Raw::Float(below)).is_ok(), inside(below));
        }
    }
}
