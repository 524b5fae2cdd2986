//! No call does work in proportion to a window: one key of a million live events, of which hundreds of thousands leave at once.
//!
//! Time is measured, as no count sees everything: a walk over 250,000 events takes a millisecond at the least, and what is asked of each
//! aggregation is the best of three such jumps: `cargo bench -p fastfeat-engine --bench worst_case`. `mode`, `top_k`, `entropy` and
//! `approx_quantile` do walk: `docs/reference/costs.md` says so. Before that no event of a million may take long while the key grows, each
//! with another value: what is copied when it is full would show. What else runs on the machine does too, so an event counts with the best of
//! three times.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock; the engine does not")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastfeat_engine::aggregate::{AGGREGATES, Aggregate, Input, Parameter};
use fastfeat_engine::engine::Engine;
use fastfeat_engine::event::Event;
use fastfeat_engine::plan::Plan;
use fastfeat_engine::schema::Raw;
use serde_json::{Value as Json, json};

const EVENTS: i64 = 1_000_000;
const JUMP: i64 = 250_000;
const JUMPS: i64 = 3;
/// Of the best jump. A walk over what leaves would take longer in all of them.
const JUMP_MAX: Duration = Duration::from_micros(900);
/// Of each event while a key grows.
const FILL_MAX: Duration = Duration::from_micros(900);
const FILLS: usize = 3;
/// They count values one by one as these enter and leave.
const WALK: [&str; 4] = ["mode", "top_k", "entropy", "approx_quantile"];

fn column(name: &str) -> Json {
    json!({"op": "column", "name": name})
}

fn feature(aggregate: &Aggregate, window: &Json, filtered: bool, any: &str) -> Json {
    let mut arguments = match aggregate.input {
        Input::Optional if aggregate.name != "count" => vec![],
        Input::Truth => vec![column("flag")],
        Input::Any if aggregate.second.is_none() => vec![column(any)],
        _ => vec![column("x")],
    };
    arguments.extend(aggregate.second.map(|_| column("y")));
    let parameters = match aggregate.parameter {
        None => json!([]),
        Some(Parameter::Count) => json!([{"int": 3}]),
        Some(Parameter::Fraction) => json!([{"float": 0.9}]),
        Some(Parameter::Duration) => json!([{"int": 3_600_000_000_000_i64}]),
    };
    json!({"name": "it", "stream": "s", "expression": {
        "op": "aggregate", "kind": aggregate.name, "arguments": arguments, "parameters": parameters,
        "where": if filtered { column("flag") } else { Json::Null },
        "stream": null, "keys": [], "window": window, "include_current": true,
    }})
}

fn engine(aggregate: &Aggregate, window: &Json, filtered: bool, any: &str) -> Engine {
    let fields = json!([
        {"name": "ts", "type": "timestamp", "unit": "us"},
        {"name": "shop", "type": "string"},
        {"name": "x", "type": "float64"},
        {"name": "y", "type": "float64"},
        {"name": "flag", "type": "boolean"},
    ]);
    let definition = json!({
        "version": 1,
        "streams": [{"name": "s", "time": "ts", "lateness_ns": 0, "fields": fields}],
        "features": [feature(aggregate, window, filtered, any)],
    });
    let definition = serde_json::from_value(definition).expect("reads as a definition");
    Engine::new(Arc::new(Plan::compile(&definition).expect("compiles")))
}

/// Pushes an event and says how long that took.
fn push(engine: &mut Engine, event: &mut Event, second: i64, number: i64) -> Duration {
    let mixed = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let schema = &engine.plan().streams[0].schema;
    let mut filling = schema.begin(event);
    filling.set(0, Raw::Int(second * 1_000_000));
    filling.set(1, Raw::Text(&format!("shop {}", mixed % 5_000)));
    filling.set(2, Raw::Float(mixed as f64 / 64.0));
    filling.set(3, Raw::Float((mixed % 1_009) as f64));
    filling.set(4, Raw::Bool(mixed.is_multiple_of(3)));
    filling.finish().expect("valid");
    let start = Instant::now();
    engine.push(0, event).expect("in time");
    start.elapsed()
}

/// How long the best of the jumps took, and the slowest of the calls after it, each by its best too.
fn jumps(aggregate: &Aggregate, window: &Json, filtered: bool) -> (Duration, Duration) {
    let (mut engine, mut event) = (engine(aggregate, window, filtered, "shop"), Event::default());
    for number in 0..EVENTS {
        push(&mut engine, &mut event, number, number);
    }
    let (mut best, mut after) = (Duration::MAX, [Duration::MAX; 200]);
    for jump in 1..=JUMPS {
        let second = EVENTS - 1 + jump * JUMP;
        best = best.min(push(&mut engine, &mut event, second, EVENTS + jump));
        // What has not left yet leaves little by little.
        for (number, after) in after.iter_mut().enumerate() {
            *after = push(&mut engine, &mut event, second, number as i64).min(*after);
        }
    }
    (best, after.into_iter().max().expect("there are some"))
}

/// The slowest event of a key that grows, each by the best of some times, and how many there were before it.
fn slowest_fill(aggregate: &Aggregate, window: &Json) -> (Duration, usize) {
    let mut best = vec![Duration::MAX; EVENTS as usize];
    for _ in 0..FILLS {
        let (mut engine, mut event) = (engine(aggregate, window, false, "x"), Event::default());
        for (number, best) in best.iter_mut().enumerate() {
            *best = push(&mut engine, &mut event, number as i64, number as i64).min(*best);
        }
    }
    let slowest = best.iter().enumerate().max_by_key(|(_, time)| **time);
    slowest.map(|(number, time)| (*time, number)).expect("there are some")
}

fn show(name: &str, window: &Json, kinds: impl Iterator<Item = &'static Aggregate>) -> bool {
    let mut fits = true;
    for aggregate in kinds {
        for filtered in [false, true] {
            let (jump, after) = jumps(aggregate, window, filtered);
            let slow = jump.max(after) >= JUMP_MAX;
            fits &= !slow;
            let condition = if filtered { " where" } else { "" };
            let verdict = if slow { "  TOO SLOW" } else { "" };
            println!(
                "{name:8} {:20} jump {jump:>10.1?}  slowest of 200 after {after:>10.1?}{verdict}",
                format!("{}{condition}", aggregate.name)
            );
        }
    }
    fits
}

fn main() {
    // Under `cargo test --benches` it is only built.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rolling = json!({"kind": "rolling", "length_ns": EVENTS * 1_000_000_000});
    let mut fits = show("rolling", &rolling, AGGREGATES.iter().filter(|aggregate| !WALK.contains(&aggregate.name)));
    let session = json!({"kind": "session", "gap_ns": JUMP / 2 * 1_000_000_000});
    let kinds = ["count", "sum", "max", "first", "n_unique", "median", "ewm_sum"];
    fits &= show("session", &session, AGGREGATES.iter().filter(|aggregate| kinds.contains(&aggregate.name)));
    for aggregate in AGGREGATES {
        let (slowest, number) = slowest_fill(aggregate, &rolling);
        let slow = slowest >= FILL_MAX;
        fits &= !slow;
        let verdict = if slow { "  TOO SLOW" } else { "" };
        println!("rolling  {:20} slowest of a million {slowest:>10.1?} at {number}{verdict}", aggregate.name);
    }
    // What walks does so over the fewer: the events that leave, or those that stay.
    for aggregate in AGGREGATES.iter().filter(|aggregate| WALK.contains(&aggregate.name)) {
        let (jump, after) = jumps(aggregate, &rolling, false);
        println!("rolling  {:20} jump {jump:>10.1?}  slowest of 200 after {after:>10.1?}  walks", aggregate.name);
    }
    assert!(
        fits,
        "a call takes longer than {JUMP_MAX:?} when a quarter of a million events leave at once, or as the key grows"
    );
}
