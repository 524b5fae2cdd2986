//! The engine against the judge, on generated questions and events, through the public face.

mod asking;
mod reference;

use std::sync::Arc;

use asking::{Ask, definition};
use fastfeat_engine::codec::json;
use fastfeat_engine::engine::Engine;
use fastfeat_engine::event::Event;
use fastfeat_engine::plan::Plan;
use fastfeat_engine::row::Cell;
use proptest::prelude::*;
use reference::{Answer, Raw, answer, event, is_nearest};

const WINDOWS: [Option<i64>; 5] = [Some(1), Some(10), Some(100), Some(1_000), None];

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let kinds = prop::sample::select(vec![
        ("count", None),
        ("count", Some("amount")),
        ("sum", Some("amount")),
        ("sum", Some("count")),
        ("sum", Some("declined")),
        ("mean", Some("amount")),
        ("mean", Some("count")),
        ("var", Some("amount")),
        ("std", Some("amount")),
        ("std", Some("count")),
        ("min", Some("amount")),
        ("max", Some("amount")),
        ("min", Some("count")),
        ("max", Some("count")),
        ("max", Some("ts")),
        ("first", Some("amount")),
        ("first", Some("shop")),
        ("last", Some("count")),
        ("last", Some("shop")),
        ("lag", Some("amount")),
        ("lag", Some("shop")),
        ("lag", Some("declined")),
        ("n_unique", Some("amount")),
        ("n_unique", Some("shop")),
        ("n_unique", Some("count")),
        ("time_since_last", None),
        ("time_since_last", Some("amount")),
    ]);
    let keys = prop::sample::select(vec![vec!["card"], vec!["card"], vec!["shop"], vec!["card", "shop"], vec![]]);
    let ask = (
        kinds,
        any::<bool>(),
        keys,
        prop::sample::select(WINDOWS.to_vec()),
        prop::bool::weighted(0.8),
        1..4_usize,
        prop::bool::weighted(0.3),
    );
    let ask = ask.prop_map(|((kind, value), declined_only, keys, window, include_current, n, other)| Ask {
        kind,
        value,
        declined_only,
        keys,
        window,
        include_current,
        n,
        other,
    });
    prop::collection::vec(ask, 1..12)
}

fn amounts() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        8 => (1..100_000_i32).prop_map(|cents| Some(f64::from(cents) / 100.0)),
        1 => Just(None),
        1 => prop::sample::select(vec![0.0, -0.0, 0.1, 1e15, -1e15, 5e-324, 1e-200, 1e300, -1e300]).prop_map(Some),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN]).prop_map(Some),
    ]
}

/// Steps between events are mostly lengths of windows, one less or one more, or none.
fn events(len: std::ops::Range<usize>, cards: u8, wild: bool) -> impl Strategy<Value = Vec<Raw>> {
    let step = prop_oneof![
        3 => Just(0_i64), 6 => 1..4_i64, 1 => prop::sample::select(vec![9_i64, 10, 11, 99, 100, 101, 999, 1_000, 1_001]),
    ];
    let amount =
        if wild { amounts().boxed() } else { (1..1_000_i32).prop_map(|cents| Some(f64::from(cents) / 100.0)).boxed() };
    let count = prop_oneof![6 => -5..5_i64, 1 => prop::sample::select(vec![i64::MIN, i64::MAX])];
    let card = prop_oneof![9 => (0..cards).prop_map(Some), 1 => Just(None)];
    let raw = (
        prop::bool::weighted(0.3),
        step,
        card,
        0..5_u8,
        amount,
        count,
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.1),
    );
    prop::collection::vec(raw, len).prop_map(|raws| {
        // Each stream is in order; the other one may run ahead.
        let (mut now, mut ahead) = (0, 0);
        raws.into_iter()
            .map(|(other, step, card, shop, amount, count, declined, leaps)| {
                now += step;
                if other && leaps {
                    ahead = ahead.max(now + step * 7);
                }
                let t = if other { now.max(ahead) } else { now };
                ahead = ahead.max(if other { t } else { 0 });
                Raw { stream: usize::from(other), t, card, shop, amount, count, declined }
            })
            .collect()
    })
}

fn engine(asks: &[Ask]) -> Engine {
    let definition = serde_json::from_value(definition(asks)).expect("the tests write definitions as they are read");
    Engine::new(Arc::new(Plan::compile(&definition).expect("the tests ask for what there is")))
}

fn decode(engine: &Engine, raw: &Raw, into: &mut Event) {
    let mut text = event(raw).to_string();
    if let Some(amount) = raw.amount.filter(|amount| !amount.is_finite()) {
        let token = if amount.is_nan() {
            "NaN"
        } else if amount > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        text = text.replace("\"amount\":null", &format!("\"amount\":{token}"));
    }
    json::decode(&engine.plan().streams[raw.stream].schema, text.as_bytes(), into)
        .expect("the tests write valid events");
}

fn check(engine: &Engine, asks: &[Ask], events: &[Raw], row: usize) -> Result<(), TestCaseError> {
    for (index, ask) in asks.iter().enumerate() {
        let cell = engine.row().cell(index, &engine.plan().streams[0].outputs[index]);
        let expected = answer(ask, events, row);
        let equal = match (&expected, cell) {
            (Answer::Null, Cell::Null) => true,
            (Answer::Nan, Cell::Float(x)) => x.is_nan(),
            (Answer::Exactly(a), Cell::Float(b)) => a.to_bits() == b.to_bits(),
            (Answer::Nearest(exact), Cell::Float(x)) => is_nearest(x, exact),
            (Answer::About(a, tolerance), Cell::Float(b)) => a == &b || (a - b).abs() <= tolerance * a.abs(),
            (Answer::Int(a), Cell::Int(b) | Cell::Time(b)) => *a == b,
            (Answer::Text(a), Cell::Text(b)) => a == b,
            (Answer::Bool(a), Cell::Bool(b)) => *a == b,
            _ => false,
        };
        prop_assert!(equal, "row {row}, {ask:?}: {cell:?}, expected {expected:?}");
    }
    Ok(())
}

/// Pushes every event; at some rows it peeks first, at its own and at later times, which must leave no trace.
fn run(
    asks: &[Ask],
    events: &[Raw],
    checked: impl Fn(usize) -> bool,
    peeked: impl Fn(usize) -> bool,
) -> Result<(), TestCaseError> {
    let mut engine = engine(asks);
    let mut into = Event::default();
    for (row, raw) in events.iter().enumerate() {
        if peeked(row) {
            for later in [5_000, 0, 50] {
                let mut look = raw.clone();
                look.t += later;
                decode(&engine, &look, &mut into);
                if engine.peek(raw.stream, &mut into).expect("in order") && later == 0 && checked(row) {
                    check(&engine, asks, events, row)?;
                }
            }
        }
        decode(&engine, raw, &mut into);
        if engine.push(raw.stream, &mut into).expect("in order") && checked(row) {
            check(&engine, asks, events, row)?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn rows_equal_the_reference(asks in asks(), events in events(1..60, 3, true)) {
        run(&asks, &events, |_| true, |_| false)?;
    }

    #[test]
    fn rows_equal_the_reference_between_peeks(asks in asks(), events in events(1..60, 2, true), every in 1..5_usize) {
        run(&asks, &events, |_| true, |row| row % every == 0)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Long enough for keys to outgrow their blocks, and for logs to drop what nothing sees.
    #[test]
    fn busy_keys_equal_the_reference(asks in asks(), events in events(300..600, 2, true), offset in 0..7_usize) {
        run(&asks, &events, |row| row % 7 == offset || row + 20 > events.len(), |_| false)?;
    }

    #[test]
    fn busy_keys_equal_the_reference_between_peeks(asks in asks(), events in events(300..500, 1, false), offset in 0..11_usize) {
        run(&asks, &events, |row| row % 11 == offset, |row| row % 5 == offset % 5)?;
    }
}
