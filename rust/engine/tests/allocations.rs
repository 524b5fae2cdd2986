//! In steady state (keys seen, logs grown) push and peek allocate nothing, for keys with few events and for busy ones.

mod asking;

use std::sync::Arc;

use asking::{Ask, definition};
use fastfeat_engine::engine::Engine;
use fastfeat_engine::event::Event;
use fastfeat_engine::plan::Plan;
use fastfeat_engine::schema::Raw;

fn asks(window: Option<i64>) -> Vec<Ask> {
    let kinds = [
        ("count", None),
        ("sum", Some("amount")),
        ("mean", Some("amount")),
        ("std", Some("amount")),
        ("min", Some("amount")),
        ("max", Some("amount")),
        ("n_unique", Some("shop")),
        ("first", Some("amount")),
        ("last", Some("shop")),
        ("lag", Some("amount")),
        ("time_since_last", None),
    ];
    let ask = |(kind, value), declined_only| Ask {
        kind,
        value,
        declined_only,
        keys: vec!["card"],
        window,
        include_current: true,
        n: 1,
        other: false,
    };
    kinds.into_iter().flat_map(|kind| [ask(kind, false), ask(kind, true)]).collect()
}

/// Allocations of 20,000 events after 60,000 others; a card has about `window / cards` live events.
fn allocations(window: Option<i64>, cards: i64) -> u64 {
    let definition = serde_json::from_value(definition(&asks(window))).expect("reads as a definition");
    let mut engine = Engine::new(Arc::new(Plan::compile(&definition).expect("compiles")));
    let mut event = Event::default();
    let card_names: Vec<String> = (0..cards).map(|card| format!("card {card}")).collect();
    let shops: Vec<String> = (0..50).map(|shop| format!("shop number {shop}")).collect();
    let mut push = |number: i64| {
        // A card's amounts go up and down, so that the staircases of min and max grow and fall.
        let wave = (number / cards * 7_919 % 1_000) as f64 / 100.0;
        for peeked in [true, false] {
            let schema = &engine.plan().streams[0].schema;
            let mut filling = schema.begin(&mut event);
            filling.set(0, Raw::Int(number));
            filling.set(1, Raw::Text(&card_names[(number % cards) as usize]));
            filling.set(2, Raw::Text(&shops[(number * 31 % 50) as usize]));
            filling.set(3, Raw::Float(wave));
            filling.set(4, Raw::Int(number));
            filling.set(5, Raw::Bool(number % 3 == 0));
            filling.finish().expect("valid");
            let outcome = if peeked { engine.peek(0, &mut event) } else { engine.push(0, &mut event) };
            assert_eq!(outcome, Ok(true));
        }
    };
    let growing = allocation_counter::measure(|| (0..60_000).for_each(&mut push)).count_total;
    assert!(growing > 0, "the counter counts");
    allocation_counter::measure(|| (60_000..80_000).for_each(&mut push)).count_total
}

#[test]
fn keys_with_few_events_allocate_nothing() {
    assert_eq!(allocations(Some(100), 10), 0);
}

#[test]
fn busy_keys_allocate_nothing() {
    assert_eq!(allocations(Some(5_000), 10), 0);
}

#[test]
fn all_time_answers_allocate_nothing() {
    assert_eq!(allocations(None, 10), 0);
}
