//! `cards-30`, the engine alone: ns per event over a million seeded payments, bytes per card. One event after the other, or with
//! `--batch` all of them at once, on one thread; so many rows at a time where that is given, with `--together` those of a key together however
//! few they are.
//! `cargo bench -p fastfeat-engine --bench cards [-- events cards runs [rows]] [--batch] [--together]`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock; the engine does not")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use fastfeat_engine::batch::{Block, Piece, Sink};
use fastfeat_engine::engine::Engine;
use fastfeat_engine::event::Event;
use fastfeat_engine::plan::Plan;
use fastfeat_engine::row::FeatureRow;
use fastfeat_engine::schema::Raw;
use serde_json::{Value as Json, json};

struct Payment {
    ts: i64,
    card: String,
    merchant: String,
    amount: f64,
    declined: bool,
}

/// A small seeded generator (SplitMix64; Steele et al., OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// Cumulative weights of a Zipf distribution.
fn zipf(n: usize, s: f64) -> Vec<f64> {
    let mut sum = 0.0;
    (1..=n)
        .map(|rank| {
            sum += (rank as f64).powf(-s);
            sum
        })
        .collect()
}

fn draw(weights: &[f64], random: &mut Random) -> usize {
    let at = random.unit() * weights[weights.len() - 1];
    weights.partition_point(|&weight| weight <= at)
}

fn payments(events: usize, cards: usize) -> Vec<Payment> {
    let mut random = Random(7);
    let (cards, merchants) = (zipf(cards, 0.8), zipf(2_000, 1.0));
    let step = 21.0 * 86_400e6 / events as f64;
    let mut ts = 1_700_000_000_000_000_i64;
    (0..events)
        .map(|_| {
            ts += 1 + (random.unit() * 2.0 * step) as i64;
            Payment {
                ts,
                card: format!("card-{:06}", draw(&cards, &mut random)),
                merchant: format!("merchant-{:04}", draw(&merchants, &mut random)),
                amount: ((3.2 + 1.1 * random.normal()).exp() * 100.0).round() / 100.0,
                declined: random.unit() < 0.04,
            }
        })
        .collect()
}

fn definition() -> Json {
    let column = |name: &str| json!({"op": "column", "name": name});
    let hours = |hours: i64| json!({"kind": "rolling", "length_ns": hours * 3_600_000_000_000_i64});
    let aggregate = |kind: &str, value: Option<&str>, key: &str, window: Json, condition: Json, parameters: Json| {
        let arguments: Vec<Json> = value.iter().map(|name| column(name)).collect();
        json!({"op": "aggregate", "kind": kind, "arguments": arguments, "parameters": parameters, "where": condition,
               "keys": [{"name": key}], "window": window})
    };
    let simple = |kind: &str, value: &str, key: &str, window: Json| {
        aggregate(kind, Some(value), key, window, Json::Null, json!([]))
    };
    let mut features = Vec::new();
    let mut add = |name: String, expression: Json| {
        features.push(json!({"name": name, "stream": "payments", "expression": expression}))
    };
    for window in [1, 24, 168] {
        for kind in ["count", "sum", "mean", "std", "min", "max"] {
            add(format!("amount_{kind}_{window}"), simple(kind, "amount", "card", hours(window)));
        }
    }
    for window in [24, 168] {
        add(format!("merchants_{window}"), simple("n_unique", "merchant", "card", hours(window)));
    }
    for window in [1, 24] {
        add(
            format!("declined_{window}"),
            aggregate("count", None, "card", hours(window), column("declined"), json!([])),
        );
    }
    add(
        "previous".into(),
        aggregate("lag", Some("amount"), "card", json!({"kind": "all"}), Json::Null, json!([{"int": 1}])),
    );
    add("since".into(), aggregate("time_since_last", None, "card", json!({"kind": "all"}), Json::Null, json!([])));
    let call = |function: &str, a: Json, b: Json| json!({"op": "call", "function": function, "arguments": [a, b]});
    let mean = simple("mean", "amount", "card", hours(168));
    add("ratio".into(), call("div", column("amount"), mean.clone()));
    add("zscore".into(), call("div", call("sub", column("amount"), mean), simple("std", "amount", "card", hours(168))));
    for window in [1, 24] {
        for kind in ["count", "mean"] {
            add(format!("merchant_{kind}_{window}"), simple(kind, "amount", "merchant", hours(window)));
        }
    }
    assert_eq!(features.len(), 30);
    json!({"version": 1, "features": features, "streams": [{"name": "payments", "time": "ts", "lateness_ns": 0, "fields": [
        {"name": "ts", "type": "timestamp", "unit": "us"}, {"name": "card", "type": "string"}, {"name": "merchant", "type": "string"},
        {"name": "amount", "type": "float64"}, {"name": "declined", "type": "boolean"}]}]})
}

/// Looks at the last feature of each row.
struct Sum(f64);

impl Sink for Sum {
    type Error = ();
    type Piece<'a> = &'a mut Self;

    fn push(&mut self, row: &FeatureRow) -> Result<(), ()> {
        self.0 += black_box(row.values[29]);
        Ok(())
    }

    fn pieces(&mut self, rows: &[usize]) -> Option<Vec<&mut Self>> {
        (rows.len() == 1).then(|| vec![self])
    }
}

impl Piece for &mut Sum {
    fn take(&mut self, block: &Block) {
        block.values(29).iter().for_each(|value| self.0 += black_box(*value));
    }
}

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let is_given = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    let (smoke, batch, together) = (is_given("--test"), is_given("--batch"), is_given("--together"));
    let count = if smoke { 2_000 } else { numbers.next().unwrap_or(1_000_000) };
    let cards = numbers.next().unwrap_or(20_000);
    let events = payments(count, cards);
    let definition = serde_json::from_value(definition()).expect("reads as a definition");
    let plan = Arc::new(Plan::compile(&definition).expect("compiles"));
    let runs = numbers.next().unwrap_or(3);
    let rows = numbers.next().unwrap_or(count);
    for _ in 0..if smoke { 1 } else { runs } {
        let mut engine = Engine::new(Arc::clone(&plan));
        let schema = &plan.streams[0].schema;
        let mut event = Event::default();
        let mut decoding = 0.0;
        let fill = |payment: &Payment, event: &mut Event| {
            let mut filling = schema.begin(event);
            filling.set(0, Raw::Int(payment.ts));
            filling.set(1, Raw::Text(&payment.card));
            filling.set(2, Raw::Text(&payment.merchant));
            filling.set(3, Raw::Float(payment.amount));
            filling.set(4, Raw::Bool(payment.declined));
            filling.finish()
        };
        let started = Instant::now();
        if batch {
            let mut sum = Sum(0.0);
            for events in events.chunks(rows) {
                let read = |row: usize, event: &mut Event| fill(&events[row], event);
                let pushed = if together {
                    engine.push_rows_by(rows, 0, events.len(), 1, &read, &mut sum)
                } else {
                    engine.push_rows(0, events.len(), 1, &read, &mut sum)
                };
                pushed.expect("valid and in order");
            }
            decoding = sum.0;
        } else {
            for payment in &events {
                fill(payment, &mut event).expect("valid");
                engine.push(0, &mut event).expect("in order");
                decoding += black_box(engine.row().values[29]);
            }
        }
        let elapsed = started.elapsed();
        let stats = engine.stats();
        println!(
            "cards-30 {}: {:.0} ns an event, {:.0} bytes a card, checksum {decoding:.6}",
            if batch { "batch" } else { "online" },
            elapsed.as_nanos() as f64 / count as f64,
            stats.state_bytes as f64 / cards as f64
        );
    }
}
