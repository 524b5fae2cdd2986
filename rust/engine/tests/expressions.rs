//! Expressions from their JSON to the row, through the public API: types, casts, constants, and what is refused.

use std::sync::Arc;

use fastfeat_engine::engine::Engine;
use fastfeat_engine::error::DefinitionError;
use fastfeat_engine::event::Event;
use fastfeat_engine::plan::Plan;
use fastfeat_engine::row::Cell;
use fastfeat_engine::schema::Raw;
use serde_json::{Value as Json, json};

fn column(name: &str) -> Json {
    json!({"op": "column", "name": name})
}

fn literal(value: Json) -> Json {
    json!({"op": "literal", "value": value})
}

fn null() -> Json {
    literal(json!("null"))
}

fn call(function: &str, arguments: &[Json]) -> Json {
    json!({"op": "call", "function": function, "arguments": arguments})
}

fn newest(name: &str) -> Json {
    json!({"op": "aggregate", "kind": "last", "arguments": [column(name)], "keys": [], "window": {"kind": "all"}})
}

fn compile(expressions: &[Json]) -> Result<Plan, DefinitionError> {
    let field = |name: &str, kind: &str| json!({"name": name, "type": kind, "nullable": name != "ts"});
    let features: Vec<Json> = expressions
        .iter()
        .enumerate()
        .map(|(index, expression)| json!({"name": format!("f{index}"), "stream": "s", "expression": expression}))
        .collect();
    let mut kind = field("kind", "categorical");
    kind["categories"] = json!(["card", "cash"]);
    let mut ts = field("ts", "timestamp");
    ts["unit"] = json!("us");
    let definition = json!({"version": 1, "features": features, "streams": [{
        "name": "s", "time": "ts", "lateness_ns": 0,
        "fields": [ts, field("x", "float64"), field("n", "int64"), field("text", "string"), kind, field("flag", "boolean")],
    }]});
    Plan::compile(&serde_json::from_value(definition).expect("reads as a definition"))
}

const EVENT: [Raw<'static>; 6] = [
    // Saturday, 2026-01-31T12:00:00Z
    Raw::Int(1_769_860_800_000_000),
    Raw::Float(2.5),
    Raw::Int(7),
    Raw::Text("GRÜN"),
    Raw::Text("cash"),
    Raw::Bool(true),
];

/// Debug texts of the values of one event.
fn values(expressions: &[Json], event: [Raw<'_>; 6]) -> Vec<String> {
    let mut engine = Engine::new(Arc::new(compile(expressions).expect("compiles")));
    let mut buffer = Event::default();
    let schema = &engine.plan().streams[0].schema;
    let mut filling = schema.begin(&mut buffer);
    event.into_iter().enumerate().for_each(|(column, raw)| filling.set(column, raw));
    filling.finish().expect("a valid event");
    assert!(engine.push(0, &mut buffer).expect("in time"));
    let outputs = &engine.plan().streams[0].outputs;
    let cells = outputs.iter().enumerate().map(|(index, output)| match engine.row().cell(index, output) {
        Cell::Text(text) => text.to_owned(),
        Cell::Null => "null".to_owned(),
        other => format!("{other:?}"),
    });
    cells.collect()
}

fn refusal(expression: Json) -> String {
    compile(&[expression]).expect_err("is refused").to_string()
}

#[test]
fn clip_keeps_int64_among_int64_and_ignores_null_bounds() {
    let expressions = [
        call("clip", &[column("n"), literal(json!({"int": 1})), literal(json!({"int": 5}))]),
        call("clip", &[column("n"), null(), literal(json!({"float": 5.5}))]),
        call("clip", &[column("x"), literal(json!({"int": 3})), null()]),
        call("clip", &[column("n"), null(), null()]),
        call("clip", &[newest("x"), column("n"), null()]),
    ];
    assert_eq!(values(&expressions, EVENT), ["Int(5)", "Float(5.5)", "Float(3.0)", "Int(7)", "Float(7.0)"]);
    let mut event = EVENT;
    (event[1], event[2]) = (Raw::Null, Raw::Null);
    assert_eq!(values(&expressions, event), ["null"; 5]);
}

#[test]
fn is_in_compares_as_equality_does_before_and_after_aggregations() {
    let numbers = [literal(json!({"float": 7.0})), literal(json!({"float": 2.5})), null()];
    let with = |value: Json, constants: &[Json]| {
        call("is_in", &std::iter::once(value).chain(constants.iter().cloned()).collect::<Vec<_>>())
    };
    let text = |text: &str| literal(json!({"text": text}));
    let expressions = [
        with(column("n"), &numbers),
        with(newest("x"), &numbers),
        with(call("add", &[newest("x"), column("n")]), &numbers),
        with(column("kind"), &[text("card"), text("cash")]),
        with(newest("kind"), &[text("card")]),
        with(call("str_lower", &[column("text")]), &[text("grün")]),
        with(column("ts"), &[literal(json!({"time": 1_769_860_800_000_000_000_i64}))]),
        with(column("flag"), &[]),
        with(null(), &numbers),
    ];
    let (yes, no) = ("Bool(true)", "Bool(false)");
    assert_eq!(values(&expressions, EVENT), [yes, yes, no, yes, no, yes, yes, no, "null"]);
}

#[test]
fn a_thousand_constants_are_one_step() {
    let constants = |count: i64| (0..count).map(|n| literal(json!({"int": n * 7})));
    let members = |count| call("is_in", &std::iter::once(column("n")).chain(constants(count)).collect::<Vec<_>>());
    assert_eq!(values(&[members(1_000)], EVENT), ["Bool(true)"]);
    let message = refusal(members(1_001));
    assert!(message.contains("1000 constants at most, not 1001"), "{message}");
}

#[test]
fn instants_and_texts_have_parts() {
    let expressions = [
        call("dt_hour", &[column("ts")]),
        call("dt_weekday", &[newest("ts")]),
        call("str_lower", &[column("text")]),
        call("str_len", &[column("text")]),
        call("str_lower", &[newest("text")]),
        call("str_len", &[column("kind")]),
        call("haversine", &[literal(json!({"int": 0})), column("n"), literal(json!({"float": 0.0})), column("n")]),
    ];
    assert_eq!(values(&expressions, EVENT), ["Int(12)", "Int(6)", "grün", "Int(4)", "grün", "Int(4)", "Float(0.0)"]);
}

#[test]
fn what_does_not_fit_is_refused_with_the_way_out() {
    for (expression, part) in [
        (call("is_in", &[column("n"), literal(json!({"text": "7"}))]), "cannot compare a number with a String"),
        (call("is_in", &[column("n"), column("x")]), "constants only"),
        (call("is_in", &[]), "needs a value"),
        (call("is_inn", &[column("n")]), "did you mean `is_in`?"),
        (call("clip", &[column("flag"), null(), null()]), "takes numbers, not a Boolean"),
        (call("clip", &[column("n")]), "`clip` takes 3 argument(s), not 1"),
        (call("dt_hour", &[column("n")]), "takes a Timestamp, not a Int64"),
        (call("str_lower", &[column("n")]), "takes a String, not a Int64"),
    ] {
        let message = refusal(expression);
        assert!(message.contains(part), "{message}");
    }
}
