//! What the tests of checkpoints stop and go on: features of every aggregation over every window, events in and out of order.

use std::sync::Arc;

use fastfeat_engine::aggregate::AGGREGATES;
use fastfeat_engine::codec::json;
use fastfeat_engine::definition::Definition;
use fastfeat_engine::engine::{Engine, Options, Stats};
use fastfeat_engine::event::Event;
use fastfeat_engine::plan::Plan;
use serde_json::{Value as Json, json};

/// A small seeded generator (SplitMix64; Steele et al., OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

fn column(name: &str) -> Json {
    json!({"op": "column", "name": name})
}

/// Every kind of window; lengths are some dozens of events of a key.
pub fn windows() -> Vec<Json> {
    vec![
        json!({"kind": "rolling", "length_ns": 40_000}),
        json!({"kind": "rolling", "length_ns": 900_000, "offset_ns": 7_000, "closed": "both"}),
        json!({"kind": "all"}),
        json!({"kind": "tumbling", "length_ns": 300_000}),
        json!({"kind": "hopping", "length_ns": 400_000, "every_ns": 50_000}),
        json!({"kind": "session", "gap_ns": 5_000}),
        json!({"kind": "last", "count": 45}),
        json!({"kind": "since", "condition": column("declined")}),
    ]
}

fn literal(kind: &str) -> Vec<Json> {
    match kind {
        "lag" | "last_k" | "top_k" => vec![json!({"int": 3})],
        "quantile" | "approx_quantile" => vec![json!({"float": 0.3})],
        "ewm_sum" | "ewm_mean" => vec![json!({"int": 30_000})],
        _ => vec![],
    }
}

/// One feature of each aggregation over each kind of value that it takes, window by window; those that have no meaning are left out.
pub fn features() -> Vec<Json> {
    let mut made = Vec::new();
    for (place, window) in windows().into_iter().enumerate() {
        for (number, aggregate) in AGGREGATES.iter().enumerate() {
            for (value, name) in ["amount", "shop", "count", "declined", "ts"].into_iter().enumerate() {
                let mut arguments = vec![column(name)];
                arguments.extend(aggregate.second.map(|_| column("count")));
                let variety = place + number + value;
                let feature = json!({"name": format!("{}_{name}_{place}", aggregate.name), "stream": "payments", "expression": {
                    "op": "aggregate", "kind": aggregate.name, "arguments": arguments, "parameters": literal(aggregate.name),
                    "where": if variety % 3 == 0 { column("declined") } else { Json::Null },
                    "stream": if variety % 5 == 0 && aggregate.name != "is_first" { json!("refunds") } else { Json::Null },
                    "keys": [{"name": if variety % 7 == 0 { "shop" } else { "card" }}],
                    "window": window, "include_current": variety % 4 != 0,
                    "ties": if variety % 6 == 0 { "exclude" } else { "include" },
                }});
                if compile(std::slice::from_ref(&feature), 0, "reject").is_some() {
                    made.push(feature);
                }
            }
        }
    }
    made
}

/// The plan of some features over two streams, or nothing where one of them is refused.
pub fn compile(features: &[Json], lateness_us: i64, on_late: &str) -> Option<Arc<Plan>> {
    let fields = json!([
        {"name": "ts", "type": "timestamp", "unit": "us"},
        {"name": "card", "type": "string", "nullable": true},
        {"name": "shop", "type": "string", "nullable": true},
        {"name": "amount", "type": "float64", "nullable": true, "allow_nan": true},
        {"name": "count", "type": "int64"},
        {"name": "declined", "type": "boolean"},
    ]);
    let stream = |name: &str| json!({"name": name, "time": "ts", "lateness_ns": lateness_us * 1_000, "on_late": on_late, "fields": fields});
    let definition: Definition = serde_json::from_value(
        json!({"version": 1, "streams": [stream("payments"), stream("refunds")], "features": features}),
    )
    .expect("the tests write definitions as they are read");
    Plan::compile(&definition).ok().map(Arc::new)
}

/// An event as JSON, and its stream.
pub type Raw = (usize, String);

/// Events of few cards. `disorder` is how many microseconds behind the newest they come at most.
pub fn events(seed: u64, count: usize, cards: u64, disorder: u64) -> Vec<Raw> {
    let mut random = Random(seed);
    let mut now = [1_000_i64, 1_000];
    (0..count)
        .map(|_| {
            let stream = usize::from(random.one_in(4));
            now[stream] += match random.below(40) {
                0 => 5 + random.below(400) as i64,
                1..=9 => 0,
                _ => 1 + random.below(3) as i64,
            };
            let behind = if disorder > 0 && random.one_in(3) { random.below(disorder + 1) as i64 } else { 0 };
            let amount = match random.below(30) {
                0 => "null".to_owned(),
                1 => ["NaN", "Infinity", "-Infinity", "1e300", "-0.0", "5e-324", "-1e300"][random.below(7) as usize]
                    .to_owned(),
                _ => format!("{}.{:02}", random.below(500), random.below(100)),
            };
            let card = if random.one_in(15) { "null".to_owned() } else { format!("\"c-{}\"", random.below(cards)) };
            let shop = if random.one_in(15) { "null".to_owned() } else { format!("\"shop {}\"", random.below(200)) };
            let text = format!(
                r#"{{"ts":{},"card":{card},"shop":{shop},"amount":{amount},"count":{},"declined":{}}}"#,
                now[stream] - behind,
                random.below(9) as i64 - 4,
                random.one_in(20)
            );
            (stream, text)
        })
        .collect()
}

/// What a push answers, to the bit: the row, nothing, or why not.
pub fn push(engine: &mut Engine, (stream, text): &Raw) -> Vec<String> {
    let mut event = Event::default();
    json::decode(&engine.plan().streams[*stream].schema, text.as_bytes(), &mut event)
        .expect("the tests write valid events");
    match engine.push(*stream, &mut event) {
        Err(error) => vec![error.to_string()],
        Ok(false) => Vec::new(),
        Ok(true) => {
            let outputs = &engine.plan().streams[*stream].outputs;
            let value = |(index, output): (usize, &fastfeat_engine::row::Output)| {
                let bits = engine.row().values[index].to_bits();
                if output.list {
                    let list = engine
                        .row()
                        .list(index, output)
                        .map(|cells| cells.map(|cell| format!("{cell:?}")).collect::<Vec<_>>());
                    format!("{} {bits:x} {list:?}", output.name)
                } else {
                    format!("{} {bits:x} {:?}", output.name, engine.row().cell(index, output))
                }
            };
            outputs.iter().enumerate().map(value).collect()
        }
    }
}

/// The bytes of an engine's checkpoint.
pub fn bytes(engine: &Engine) -> Vec<u8> {
    let mut bytes = Vec::new();
    engine.write_checkpoint(r#"{"payments-0":7}"#, &mut bytes).expect("memory takes what is written");
    bytes
}

/// An engine from them.
pub fn restored(plan: &Arc<Plan>, options: Options, bytes: &[u8]) -> Result<Engine, String> {
    // How many threads read it, and whether its keys sleep, is not to matter.
    let number = bytes.iter().map(|&byte| usize::from(byte)).sum::<usize>();
    let threads = [1, 1, 1, 1, 1, 1, 2, 3][number % 8];
    let options = Options { sleeping_from_bytes: [0, u64::MAX][number / 8 % 2], ..options };
    let read = Engine::read_checkpoint(plan, options, threads, &mut &bytes[..], bytes.len() as u64, "memory");
    read.map(|(engine, offsets)| {
        assert_eq!(offsets, r#"{"payments-0":7}"#);
        engine
    })
    .map_err(|error| error.to_string())
}

/// Some of these features.
pub fn some(all: &[Json], seed: u64, count: usize) -> Vec<Json> {
    let mut random = Random(seed);
    let mut chosen: Vec<usize> = (0..count).map(|_| random.below(all.len() as u64) as usize).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen.into_iter().map(|place| all[place].clone()).collect()
}

/// Everything that is counted, but for how memory lies and what sleeps.
pub fn counts(engine: &Engine) -> Stats {
    Stats { state_bytes: 0, journal_bytes: 0, asleep_keys: 0, ..engine.stats() }
}
