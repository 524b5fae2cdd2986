//! What threads can do beside each other, and events for it.

use fastfeat_engine::definition::FieldKind;
use serde_json::{Value as Json, json};

use crate::stopping::{Raw, compile, events, features};

/// What can be asked of threads, of two keys.
pub fn suitable() -> Vec<Json> {
    let suits = |feature: &&Json| {
        let expression = &feature["expression"];
        let is_one_of = |name: &str, all: &[&str]| expression[name].as_str().is_some_and(|own| all.contains(&own));
        let window = expression["window"]["kind"].as_str().expect("a window has a kind");
        !is_one_of(
            "kind",
            &["last_k", "top_k", "mode", "entropy", "quantile", "median", "approx_quantile", "approx_n_unique"],
        ) && expression["stream"].is_null()
            && !["all", "hopping"].contains(&window)
    };
    let suitable: Vec<Json> = features().iter().filter(suits).cloned().collect();
    assert!(suitable.len() > 300, "{} features suit", suitable.len());
    suitable
}

/// Events of one stream.
pub fn payments(seed: u64, count: usize, cards: u64, disorder: u64) -> Vec<Raw> {
    events(seed, count * 3 / 2, cards, disorder).into_iter().filter(|(stream, _)| *stream == 0).take(count).collect()
}

/// The features that are no texts, and some expressions over them.
pub fn without_texts() -> Vec<Json> {
    let all: Vec<Json> = suitable();
    let plan = compile(&all, 0, "reject").expect("each of them compiles");
    let kinds: Vec<FieldKind> = plan.streams[0].outputs.iter().map(|output| output.kind).collect();
    let of = |kept: &dyn Fn(FieldKind) -> bool| -> Vec<Json> {
        all.iter().zip(&kinds).filter(|(_, kind)| kept(**kind)).map(|(feature, _)| feature.clone()).collect()
    };
    let (mut chosen, numbers) = (of(&|kind| kind != FieldKind::String), of(&|kind| kind == FieldKind::Int64));
    for (place, function) in ["add", "div", "lt", "is_null", "fill_null", "eq"].into_iter().enumerate() {
        let arity = if function == "is_null" { 1 } else { 2 };
        let arguments: Vec<&Json> = (0..arity).map(|argument| &numbers[place + 30 * argument]["expression"]).collect();
        let expression = json!({"op": "call", "function": function, "arguments": arguments});
        chosen.push(json!({"name": format!("of_{function}"), "stream": "payments", "expression": expression}));
    }
    chosen
}
