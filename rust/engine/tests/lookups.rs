//! Reference data joined to events: in rows, inside aggregations and keys; swapped while an engine runs.

use std::sync::Arc;

use fastfeat_engine::engine::Engine;
use fastfeat_engine::error::DefinitionError;
use fastfeat_engine::event::Event;
use fastfeat_engine::lookup::{LookupBuilder, LookupTable};
use fastfeat_engine::plan::Plan;
use fastfeat_engine::row::Cell;
use fastfeat_engine::schema::Raw;
use serde_json::{Value as Json, json};

fn joined(key: &str, column: &str) -> Json {
    json!({"op": "lookup", "lookup": "shops", "key": {"op": "column", "name": key}, "column": column})
}

fn aggregate(kind: &str, arguments: &[Json], condition: Json, key: Json) -> Json {
    json!({"op": "aggregate", "kind": kind, "arguments": arguments, "where": condition,
           "keys": [{"name": "group", "expression": key}], "window": {"kind": "all"}})
}

fn compile(expressions: &[Json]) -> Result<Plan, DefinitionError> {
    let features: Vec<Json> = expressions
        .iter()
        .enumerate()
        .map(|(index, expression)| json!({"name": format!("f{index}"), "stream": "s", "expression": expression}))
        .collect();
    let definition = json!({"version": 1, "features": features, "streams": [{
        "name": "s", "time": "ts", "lateness_ns": 0, "fields": [
            {"name": "ts", "type": "timestamp", "unit": "us"},
            {"name": "shop", "type": "string", "nullable": true},
            {"name": "kind", "type": "categorical", "categories": ["a", "b"]},
            {"name": "number", "type": "int64"},
        ],
    }], "lookups": [{"name": "shops", "key": "id", "columns": [
        {"name": "id", "type": "string"}, {"name": "country", "type": "string"}, {"name": "risk", "type": "float64"},
        {"name": "closed", "type": "boolean"}, {"name": "since", "type": "timestamp"},
    ]}]});
    Plan::compile(&serde_json::from_value(definition).expect("reads as a definition"))
}

fn table(plan: &Plan, rows: &[(&str, Option<&str>, f64, bool)]) -> Arc<LookupTable> {
    let mut builder = LookupBuilder::new(&plan.lookups[0]);
    for &(id, country, risk, closed) in rows {
        let country = country.map_or(Raw::Null, Raw::Text);
        let row = [Raw::Text(id), country, Raw::Float(risk), Raw::Bool(closed), Raw::Text("1970-01-01T00:00:01Z")];
        let fill =
            builder.push(|filling| row.into_iter().enumerate().for_each(|(column, raw)| filling.set(column, raw)));
        fill.expect("a good row");
    }
    Arc::new(builder.finish())
}

fn engine(expressions: &[Json]) -> Engine {
    Engine::new(Arc::new(compile(expressions).expect("compiles")))
}

fn ask(engine: &mut Engine, shop: Option<&str>, kind: &str, stored: bool) -> Vec<String> {
    let mut event = Event::default();
    let schema = &engine.plan().streams[0].schema;
    let mut filling = schema.begin(&mut event);
    filling.set(0, Raw::Int(1));
    filling.set(1, shop.map_or(Raw::Null, Raw::Text));
    filling.set(2, Raw::Text(kind));
    filling.set(3, Raw::Int(1));
    filling.finish().expect("a valid event");
    assert!(if stored { engine.push(0, &mut event) } else { engine.peek(0, &mut event) }.expect("in time"));
    let outputs = &engine.plan().streams[0].outputs;
    let cells = outputs.iter().enumerate().map(|(index, output)| match engine.row().cell(index, output) {
        Cell::Text(text) => text.to_owned(),
        Cell::Null => "null".to_owned(),
        other => format!("{other:?}"),
    });
    cells.collect()
}

#[test]
fn a_row_has_the_columns_of_its_reference_row() {
    let columns = ["country", "risk", "closed", "since", "id"].map(|column| joined("shop", column));
    let mut engine = engine(&columns);
    let nothing = ["null"; 5];
    assert_eq!(ask(&mut engine, Some("a"), "a", true), nothing, "no table yet");
    let table = table(engine.plan(), &[("a", Some("FR"), 0.5, false), ("b", None, f64::NAN, true)]);
    assert_eq!(engine.set_lookup("shops", table), Ok(1));
    assert_eq!(ask(&mut engine, Some("a"), "a", true), ["FR", "Float(0.5)", "Bool(false)", "Time(1000000)", "a"]);
    assert_eq!(ask(&mut engine, Some("b"), "a", true), ["null", "Float(NaN)", "Bool(true)", "Time(1000000)", "b"]);
    assert_eq!(ask(&mut engine, Some("c"), "a", true), nothing);
    assert_eq!(ask(&mut engine, None, "a", true), nothing);
}

#[test]
fn a_miss_is_counted_once_an_event_and_never_by_a_peek() {
    let mut engine = engine(&["country", "risk"].map(|column| joined("shop", column)));
    let misses = |engine: &Engine| engine.stats().lookups[0].misses;
    ask(&mut engine, Some("x"), "a", false);
    ask(&mut engine, None, "a", true);
    assert_eq!(misses(&engine), 0);
    ask(&mut engine, Some("x"), "a", true);
    assert_eq!(misses(&engine), 1);
    let table = table(engine.plan(), &[("x", None, 1.0, true)]);
    engine.set_lookup("shops", table).expect("fits");
    ask(&mut engine, Some("x"), "a", true);
    let stats = engine.stats();
    assert_eq!((stats.lookups[0].misses, stats.lookups[0].rows, stats.lookups[0].version), (1, 1, 1));
    assert!(stats.lookups[0].bytes > 0 && stats.state_bytes >= stats.lookups[0].bytes);
}

#[test]
fn aggregations_take_lookups_as_values_conditions_and_keys() {
    let country = || joined("shop", "country");
    let one = json!({"op": "column", "name": "number"});
    let mut engine = engine(&[
        aggregate("sum", &[joined("shop", "risk")], Json::Null, country()),
        aggregate("count", &[], joined("shop", "closed"), country()),
        aggregate("n_unique", &[country()], Json::Null, one),
        json!({"op": "call", "function": "mul", "arguments": [
            aggregate("mean", &[joined("shop", "risk")], Json::Null, country()), joined("shop", "risk")]}),
    ]);
    let rows = [("a", Some("FR"), 1.0, false), ("b", Some("FR"), 2.0, true), ("c", Some("DE"), 4.0, false)];
    let table = table(engine.plan(), &rows);
    engine.set_lookup("shops", table).expect("fits");
    assert_eq!(ask(&mut engine, Some("a"), "a", true), ["Float(1.0)", "Int(0)", "Int(1)", "Float(1.0)"]);
    assert_eq!(ask(&mut engine, Some("b"), "a", true), ["Float(3.0)", "Int(1)", "Int(1)", "Float(3.0)"]);
    assert_eq!(ask(&mut engine, Some("c"), "a", true), ["Float(4.0)", "Int(0)", "Int(2)", "Float(16.0)"]);
    assert_eq!(ask(&mut engine, Some("d"), "a", true), ["Float(0.0)", "Int(0)", "Int(2)", "null"]);
}

#[test]
fn a_categorical_joins_as_its_text() {
    let mut engine = engine(&[joined("kind", "risk")]);
    let table = table(engine.plan(), &[("b", None, 7.0, false)]);
    engine.set_lookup("shops", table).expect("fits");
    assert_eq!(ask(&mut engine, None, "b", true), ["Float(7.0)"]);
    assert_eq!(ask(&mut engine, None, "a", true), ["null"]);
}

#[test]
fn a_table_is_swapped_as_a_whole_and_the_old_one_lives_where_it_is_held() {
    let mut engine = engine(&[joined("shop", "country")]);
    let old = table(engine.plan(), &[("a", Some("FR"), 0.0, false)]);
    let new = table(engine.plan(), &[("a", Some("DE"), 0.0, false)]);
    assert_eq!(engine.set_lookup("shops", Arc::clone(&old)), Ok(1));
    assert_eq!(ask(&mut engine, Some("a"), "a", true), ["FR"]);
    assert_eq!(engine.set_lookup("shops", new), Ok(2));
    assert_eq!(ask(&mut engine, Some("a"), "a", true), ["DE"]);
    assert_eq!(old.rows(), 1);
}

#[test]
fn names_and_types_that_do_not_fit_are_refused() {
    for (expression, part) in [
        (
            json!({"op": "lookup", "lookup": "shop", "key": {"op": "column", "name": "shop"}, "column": "risk"}),
            "did you mean `shops`?",
        ),
        (joined("shop", "rysk"), "did you mean `risk`?"),
        (joined("number", "risk"), "keyed by a String and looked up by a Int64"),
    ] {
        let message = compile(&[expression]).expect_err("is refused").to_string();
        assert!(message.starts_with("feature `f0`: ") && message.contains(part), "{message}");
    }
}

#[test]
fn a_plan_says_which_lookups_it_reads() {
    let plan = compile(&[joined("shop", "risk")]).expect("compiles");
    assert!(plan.describe().contains("lookup shops: by `id`; id: String, country: String, risk: Float64"));
}

#[test]
fn in_steady_state_expressions_and_lookups_allocate_nothing() {
    let call = |function: &str, arguments: &[Json]| json!({"op": "call", "function": function, "arguments": arguments});
    let shop = || json!({"op": "column", "name": "shop"});
    let text = |text: &str| json!({"op": "literal", "value": {"text": text}});
    let mut engine = engine(&[
        joined("shop", "country"),
        call("str_lower", &[joined("shop", "country")]),
        call("is_in", &[call("str_lower", &[shop()]), text("a"), text("b")]),
        call("str_len", &[shop()]),
    ]);
    let table = table(engine.plan(), &[("Ä", Some("ÖSTERREICH"), 1.0, true)]);
    engine.set_lookup("shops", table).expect("fits");
    let mut event = Event::default();
    let mut push = |shop: &str| {
        let schema = &engine.plan().streams[0].schema;
        let mut filling = schema.begin(&mut event);
        let row = [Raw::Int(1), Raw::Text(shop), Raw::Text("a"), Raw::Int(1)];
        row.into_iter().enumerate().for_each(|(column, raw)| filling.set(column, raw));
        filling.finish().expect("a valid event");
        engine.push(0, &mut event).expect("in time");
    };
    let mut round = || ["Ä", "none", "A"].into_iter().cycle().take(30).for_each(&mut push);
    round();
    assert_eq!(allocation_counter::measure(round).count_total, 0);
}
