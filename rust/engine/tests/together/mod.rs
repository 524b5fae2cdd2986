//! What is answered, and stored, for all rows of a key together, and events for it.

use serde_json::{Value as Json, json};

use crate::stopping::{Random, Raw, compile};

/// What the rows of a key are answered together for: aggregations over windows that end with the row, and over the newest events.
pub fn answered_together(windows: &[i64]) -> Vec<Json> {
    let mut made = Vec::new();
    let kinds =
        ["count", "sum", "mean", "var", "std", "min", "max", "n_unique", "is_first", "lag", "last", "time_since_last"];
    for key in ["card", "shop"] {
        for (number, kind) in kinds.into_iter().enumerate() {
            for (place, value) in ["amount", "shop", "count", "declined", "ts"].into_iter().enumerate() {
                let newest = ["lag", "last", "time_since_last"].contains(&kind);
                let all = newest.then(|| json!({"kind": "all"}));
                let rolling = windows.iter().map(|us| json!({"kind": "rolling", "length_ns": us * 1_000}));
                for (turn, window) in rolling.chain(all).enumerate() {
                    let variety = number + place + turn;
                    let arguments = if ["count", "time_since_last"].contains(&kind) { vec![] } else { vec![value] };
                    let arguments: Vec<Json> =
                        arguments.iter().map(|name| json!({"op": "column", "name": name})).collect();
                    let feature = json!({"name": format!("{kind}_{value}_by_{key}_{turn}"), "stream": "payments", "expression": {
                        "op": "aggregate", "kind": kind, "arguments": arguments,
                        "parameters": if kind == "lag" { vec![json!({"int": 1 + turn * 2})] } else { vec![] },
                        "where": if variety % 3 == 0 && !newest { json!({"op": "column", "name": "declined"}) } else { Json::Null },
                        "keys": [{"name": key}], "window": window, "include_current": variety % 4 != 0,
                    }});
                    // A nullable value has a mask, which what asks for the newest events then has too.
                    if compile(std::slice::from_ref(&feature), 0, "reject").is_some()
                        && !(newest && ["amount", "shop"].contains(&value))
                    {
                        made.push(feature);
                    }
                }
            }
        }
    }
    made
}

/// Payments of a few cards whose amounts mostly are plain, with breaks after which keys have been forgotten.
pub fn plain_payments(seed: u64, count: usize, cards: u64, disorder: u64, odd: u64) -> Vec<Raw> {
    let mut random = Random(seed);
    let mut now = 1_000;
    let mut one = || {
        now += match random.below(300) {
            0 => random.below(900),
            1..=60 => 0,
            _ => 1 + random.below(3),
        };
        let behind = if disorder > 0 && random.one_in(40) { random.below(disorder + 1) } else { 0 };
        let amount = if random.one_in(odd) {
            ["null", "NaN", "Infinity", "1e300", "-0.0", "5e-324", "0.0"][random.below(7) as usize].to_owned()
        } else {
            format!("{}{}.{:02}", if random.one_in(9) { "-" } else { "" }, random.below(500), random.below(100))
        };
        let card = random.below(cards).min(random.below(cards));
        let card = if random.one_in(50) { "null".to_owned() } else { format!("\"c-{card}\"") };
        let text = format!(
            r#"{{"ts":{},"card":{card},"shop":"shop {}","amount":{amount},"count":{},"declined":{}}}"#,
            now - behind,
            random.below(20).min(random.below(20)),
            random.below(9) as i64 - 4,
            random.one_in(20)
        );
        (0, text)
    };
    (0..count).map(|_| one()).collect()
}
