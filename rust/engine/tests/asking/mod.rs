//! What the tests ask of the engine, as definitions.

use serde_json::{Value as Json, json};

/// One aggregation as the tests ask for it.
#[derive(Clone, Debug)]
pub struct Ask {
    pub kind: &'static str,
    /// `amount`, `count`, `shop`, `declined`, `ts`, or nothing.
    pub value: Option<&'static str>,
    pub declined_only: bool,
    /// `card`, `shop`, both, or none.
    pub keys: Vec<&'static str>,
    /// Microseconds; nothing for all time.
    pub window: Option<i64>,
    pub include_current: bool,
    pub n: usize,
    /// Over the events of the other stream.
    pub other: bool,
}

/// Two streams of the same fields, and a feature of the first for each question.
pub fn definition(asks: &[Ask]) -> Json {
    let fields = json!([
        {"name": "ts", "type": "timestamp", "unit": "us"},
        {"name": "card", "type": "string", "nullable": true},
        {"name": "shop", "type": "string"},
        {"name": "amount", "type": "float64", "nullable": true, "allow_nan": true},
        {"name": "count", "type": "int64"},
        {"name": "declined", "type": "boolean"},
    ]);
    let stream = |name: &str| json!({"name": name, "time": "ts", "lateness_ns": 0, "fields": fields});
    let column = |name: &str| json!({"op": "column", "name": name});
    let features: Vec<Json> = asks
        .iter()
        .enumerate()
        .map(|(index, ask)| {
            let arguments: Vec<Json> = ask.value.iter().map(|name| column(name)).collect();
            let parameters: Vec<Json> = if ask.kind == "lag" { vec![json!({"int": ask.n})] } else { vec![] };
            let keys: Vec<Json> = ask.keys.iter().map(|name| json!({"name": name})).collect();
            let window = match ask.window {
                Some(us) => json!({"kind": "rolling", "length_ns": us * 1_000}),
                None => json!({"kind": "all"}),
            };
            json!({"name": format!("f{index}"), "stream": "payments", "expression": {
                "op": "aggregate", "kind": ask.kind, "arguments": arguments, "parameters": parameters,
                "where": if ask.declined_only { column("declined") } else { Json::Null },
                "stream": if ask.other { json!("refunds") } else { Json::Null },
                "keys": keys, "window": window, "include_current": ask.include_current,
            }})
        })
        .collect();
    json!({"version": 1, "streams": [stream("payments"), stream("refunds")], "features": features})
}
