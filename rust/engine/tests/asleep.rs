//! Keys that sleep after a restore: nothing but memory and time tells them from those that were made at once.

mod beside;
#[expect(dead_code, reason = "what the other tests of checkpoints use")]
mod stopping;
mod together;

use std::sync::Arc;

use beside::{payments, without_texts};
use fastfeat_engine::checkpoint::Snapshot;
use fastfeat_engine::codec::json;
use fastfeat_engine::engine::{Engine, Options, Slot};
use fastfeat_engine::event::Event;
use fastfeat_engine::plan::Plan;
use fastfeat_engine::row::FeatureRow;
use proptest::prelude::*;
use serde_json::Value as Json;
use stopping::{Random, Raw, bytes, compile, counts, events, features, push, some};
use together::{answered_together, plain_payments};

const OFFSETS: &str = r#"{"payments-0":7}"#;

/// An engine from the bytes of a checkpoint, whose keys sleep or not.
fn read(plan: &Arc<Plan>, options: &Options, bytes: &[u8], sleep: bool) -> Engine {
    let options = Options { sleeping_from_bytes: if sleep { 0 } else { u64::MAX }, ..options.clone() };
    let threads = 1 + bytes.len() % 3;
    let read = Engine::read_checkpoint(plan, options, threads, &mut &bytes[..], bytes.len() as u64, "memory");
    let engine = read.expect("what was written is read").0;
    assert_eq!(engine.stats().asleep_keys, if sleep { engine.stats().keys } else { 0 });
    engine
}

fn assert_same(asleep: &Engine, awake: &Engine, when: &str) {
    assert_eq!(format!("{:?}", counts(asleep)), format!("{:?}", counts(awake)), "{when}");
    assert!(bytes(asleep) == bytes(awake), "another state {when}");
}

/// After some events the keys sleep; the others come while a state is written, some steps of so many bytes between two of them.
fn assert_unnoticed(plan: &Arc<Plan>, options: &Options, events: &[Raw], from: usize, (size, steps): (usize, u64)) {
    let (before, after) = events.split_at(from.min(events.len()));
    let mut never = Engine::with_options(Arc::clone(plan), options.clone());
    before.iter().for_each(|event| drop(push(&mut never, event)));
    let written = bytes(&never);
    let mut engine = read(plan, options, &written, true);
    assert_same(&engine, &never, "at the beginning");
    // The first half of them comes before the instant.
    let (first, second) = after.split_at(after.len() / 2);
    for (place, event) in first.iter().enumerate() {
        assert_eq!(push(&mut engine, event), push(&mut never, event), "event {place}: {event:?}");
    }
    assert_same(&engine, &never, "at the instant");
    let (mut random, mut file) = (Random(from as u64), Vec::new());
    let then = bytes(&never);
    let mut snapshot = Snapshot::begin(&mut engine, OFFSETS, &mut file).expect("memory takes it");
    let mut is_done = false;
    for (place, event) in second.iter().enumerate() {
        for _ in 0..random.below(steps + 1) {
            is_done = is_done || snapshot.step_of(&mut engine, size).expect("memory takes it");
        }
        assert_eq!(push(&mut engine, event), push(&mut never, event), "event {place} after the instant: {event:?}");
    }
    while !is_done {
        is_done = snapshot.step_of(&mut engine, size).expect("memory takes it");
    }
    snapshot.end().expect("memory takes it");
    assert_same(&engine, &never, "at the end");
    for sleep in [true, false] {
        let mut other = read(plan, options, &file, sleep);
        assert!(bytes(&other) == then, "the file is the state of its instant");
        for event in second {
            push(&mut other, event);
        }
        assert_same(&other, &never, "for who goes on from the file");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_features_go_on(
        seed in any::<u64>(),
        count in 1..10_usize,
        cards in prop::sample::select(vec![1_u64, 4, 60, 300]),
        disorder in prop::sample::select(vec![0_u64, 3, 40]),
        emits in any::<bool>(),
        idle in prop::option::of(200..2_000_i64),
        from in 1..600_usize,
        size in prop::sample::select(vec![1_usize, 1, 300, 8_192]),
        steps in 1..4_u64,
    ) {
        let chosen = some(&features(), seed, count);
        let plan = compile(&chosen, (disorder * 3 / 4) as i64, if emits { "emit" } else { "reject" }).expect("each compiles");
        let options = Options { idle_after: idle, ..Options::default() };
        let many = if cards == 1 { 900 } else { 600 };
        assert_unnoticed(&plan, &options, &events(seed, many, cards, disorder), from, (size, steps));
    }
}

#[test]
fn every_aggregation_over_every_window_goes_on() {
    for (number, some) in features().chunks(40).enumerate() {
        let plan = compile(some, 8, "emit").expect("each of them compiles");
        let all = events(number as u64, 500, 40, 12);
        assert_unnoticed(&plan, &Options::default(), &all, 250 + number, (500, 2));
    }
}

fn push_batch(engine: &mut Engine, events: &[Raw], chunk: usize, threads: usize) -> Vec<String> {
    let plan = Arc::clone(engine.plan());
    let source = |row: usize, event: &mut Event| json::decode(&plan.streams[0].schema, events[row].1.as_bytes(), event);
    let mut rows = Vec::new();
    let mut take = |row: &FeatureRow| {
        rows.push(format!("{row:?}"));
        Ok::<(), ()>(())
    };
    engine.push_rows_by(chunk, 0, events.len(), threads, &source, &mut take).expect("valid and in order");
    rows
}

#[test]
fn batches_wake_their_keys() {
    for (seed, cards) in [(1, 60), (2, 3), (3, 900)] {
        let plan = compile(&some(&answered_together(&[9, 90, 1_200]), seed, 14), 0, "reject").expect("each compiles");
        let all = plain_payments(seed, 24_000, cards, 0, 3_000);
        let (before, after) = all.split_at(8_000);
        let mut awake = Engine::new(Arc::clone(&plan));
        push_batch(&mut awake, before, 0, 1);
        let written = bytes(&awake);
        let wanted = push_batch(&mut awake, after, 0, 1);
        for (chunk, threads) in [(4_000, 2), (900, 1), (0, 1)] {
            let mut engine = read(&plan, &Options::default(), &written, true);
            assert!(push_batch(&mut engine, after, chunk, threads) == wanted, "rows of {seed} by {threads}");
            assert_same(&engine, &awake, "after a batch");
        }
    }
}

#[test]
fn threads_in_a_crowd_wake_their_keys() {
    let all = without_texts();
    for seed in 0..6 {
        let plan = compile(&some(&all, seed, 20), 5, "reject").expect("each of them compiles");
        let events = payments(seed, 3_000, 200, 8);
        let (before, after) = events.split_at(1_500);
        let mut awake = Engine::new(Arc::clone(&plan));
        before.iter().for_each(|event| drop(push(&mut awake, event)));
        let mut engine = read(&plan, &Options::default(), &bytes(&awake), true);
        let crowd = engine.open_up(0).expect("the features let it");
        let mut slot = Slot::default();
        for (_, text) in after {
            json::decode(&plan.streams[0].schema, text.as_bytes(), &mut slot.event).expect("a valid event");
            let mut event = slot.event.clone();
            let (pushed, wanted) = (crowd.push(&mut slot), awake.push(0, &mut event));
            assert_eq!(format!("{pushed:?}"), format!("{wanted:?}"));
            assert!(pushed.is_err() || format!("{:?}", slot.row()) == format!("{:?}", awake.row()));
        }
        engine.close_up(crowd);
        assert_same(&engine, &awake, "after a crowd");
    }
}

/// What is only asked wakes keys too, and changes nothing else.
#[test]
fn questions_are_answered_as_of_keys_that_are_awake() {
    let plan = compile(&some(&features(), 3, 60), 10, "emit").expect("each compiles");
    let all = events(3, 700, 50, 12);
    let mut awake = Engine::new(Arc::clone(&plan));
    all.iter().for_each(|event| drop(push(&mut awake, event)));
    let written = bytes(&awake);
    for kind in ["peek", "lookup", "explain", "contents"] {
        let mut engine = read(&plan, &Options::default(), &written, true);
        for (_, text) in events(4, 60, 50, 0).iter().filter(|(stream, _)| *stream == 0) {
            let mut event = Event::default();
            let later = text.replacen("\"ts\":", "\"ts\":9", 1);
            json::decode(&plan.streams[0].schema, later.as_bytes(), &mut event).expect("a valid event");
            let at = awake.newest(0).expect("there were some") + 3;
            let ask = |engine: &mut Engine| {
                let event = &mut event.clone();
                match kind {
                    "peek" => format!("{:?} {:?}", engine.peek(0, event), engine.row().clone()),
                    "lookup" => format!("{:?} {:?}", engine.lookup(0, event, at), engine.row().clone()),
                    "explain" => format!("{:?}", engine.explain(0, 7, event, at).expect("it is not too old")),
                    _ => {
                        let card = format!("c-{}", text.len() % 50);
                        format!("{:?}", engine.contents(&[("card".to_owned(), card)]).expect("a key column"))
                    }
                }
            };
            assert_eq!(ask(&mut engine), ask(&mut awake), "{kind}");
        }
        let asleep = engine.stats().asleep_keys;
        assert!(asleep > 0 && asleep < engine.stats().keys, "{kind}: {asleep} keys sleep");
        assert_same(&engine, &awake, kind);
    }
}

/// Keys that have no event any more leave at the events at which they would have left; those of a window that is open stay asleep.
#[test]
fn keys_leave_in_their_time_and_others_sleep_on() {
    let over = |kind: &str| {
        let some = features().into_iter().filter(|feature| feature["expression"]["window"]["kind"] == kind).take(20);
        compile(&some.collect::<Vec<_>>(), 3, "reject").expect("compiles")
    };
    for (kind, idle) in [("rolling", None), ("session", None), ("all", Some(900))] {
        let plan = over(kind);
        let options = Options { idle_after: idle, ..Options::default() };
        let mut awake = Engine::with_options(Arc::clone(&plan), options.clone());
        events(11, 900, 400, 4).iter().for_each(|event| drop(push(&mut awake, event)));
        let mut engine = read(&plan, &options, &bytes(&awake), true);
        let newest = awake.newest(0).max(awake.newest(1)).expect("there were some");
        let mut slept_on = 0;
        for later in 0..1_500 {
            let stream = usize::from(later % 3 == 0);
            let event = (
                stream,
                format!(
                    r#"{{"ts":{},"card":"one","shop":"one","amount":1,"count":1,"declined":false}}"#,
                    newest + later
                ),
            );
            assert_eq!(push(&mut engine, &event), push(&mut awake, &event), "{kind} {later}");
            let (found, wanted) = (engine.stats(), awake.stats());
            assert_eq!((found.keys, found.expired), (wanted.keys, wanted.expired), "{kind} {later}");
            slept_on += usize::from(found.expired > 0 && found.asleep_keys > 0);
        }
        assert!(awake.stats().expired > 100 && slept_on > 0, "{kind}: {:?}", awake.stats());
        assert_same(&engine, &awake, kind);
    }
}

/// A state that is written while its engine could go on.
fn snapshot(engine: &mut Engine) -> Vec<u8> {
    let mut file = Vec::new();
    let mut snapshot = Snapshot::begin(engine, OFFSETS, &mut file).expect("memory takes it");
    while !snapshot.step(engine).expect("memory takes it") {}
    snapshot.end().expect("memory takes it");
    file
}

/// An event of each of many cards, in no order of theirs.
fn of_cards(count: u64, ts: i64) -> Vec<Raw> {
    let event = |number: u64| {
        let (card, amount) = (number * 7_919 % count, number % 7);
        (0, format!(r#"{{"ts":{ts},"card":"c-{card}","shop":"s","amount":{amount},"count":1,"declined":false}}"#))
    };
    (0..count).map(event).collect()
}

/// A few features of a card.
fn of_a_card() -> Arc<Plan> {
    let chosen: Vec<Json> = features()
        .into_iter()
        .filter(|feature| feature["name"].as_str().is_some_and(|name| name.ends_with("_1")))
        .collect();
    let by_card = |feature: &Json| feature["expression"]["keys"][0]["name"] == "card";
    let chosen: Vec<Json> = chosen.into_iter().filter(by_card).take(6).collect();
    compile(&chosen, 0, "reject").expect("each of them compiles")
}

/// While keys are saved they stay where they are, though most of a piece has woken.
#[test]
fn pieces_are_made_smaller_once_they_have_been_saved() {
    let plan = of_a_card();
    let mut never = Engine::new(Arc::clone(&plan));
    of_cards(6_000, 1_000).iter().for_each(|event| drop(push(&mut never, event)));
    let then = bytes(&never);
    let mut engine = read(&plan, &Options::default(), &then, true);
    let mut file = Vec::new();
    let mut snapshot = Snapshot::begin(&mut engine, OFFSETS, &mut file).expect("memory takes it");
    for (number, event) in of_cards(6_000, 1_005).iter().enumerate() {
        // One key at a time is saved, and most of the others of its piece wake before they are.
        if number % 6 == 0 {
            snapshot.step_of(&mut engine, 1).expect("memory takes it");
        }
        assert_eq!(push(&mut engine, event), push(&mut never, event), "event {number}");
    }
    while !snapshot.step_of(&mut engine, 1).expect("memory takes it") {}
    snapshot.end().expect("memory takes it");
    assert!(bytes(&read(&plan, &Options::default(), &file, false)) == then, "the file is the state of its instant");
    assert_same(&engine, &never, "at the end");
}

#[test]
fn memory_comes_back_as_keys_wake() {
    let plan = of_a_card();
    let mut awake = Engine::new(Arc::clone(&plan));
    for time in 0..4 {
        of_cards(20_000, 1_000 + time).iter().for_each(|event| drop(push(&mut awake, event)));
    }
    let written = bytes(&awake);
    let mut engine = read(&plan, &Options::default(), &written, true);
    let (asleep, all) = (engine.stats().state_bytes, awake.stats().state_bytes);
    assert!(asleep < all, "{asleep} bytes asleep, {all} awake");
    for (number, event) in of_cards(20_000, 1_010).iter().enumerate() {
        push(&mut engine, event);
        let (share, bytes) = ((number + 1) as f64 / 20_000.0, engine.stats().state_bytes as f64);
        // Of the bytes that sleep as much may be gone as is left, twice.
        let most = share * all as f64 + ((1.0 - share) * 3.0).min(1.0) * asleep as f64;
        assert!(bytes < 1.1 * most, "{bytes} bytes where {share} of the keys are awake, and {most} are allowed");
    }
    assert_eq!(engine.stats().asleep_keys, 0);
    let (found, wanted) = (engine.stats().state_bytes as f64, all as f64);
    assert!((found / wanted - 1.0).abs() < 0.05, "{found} bytes where {wanted} were before");
}

/// A key of very many events would keep its next event waiting: it is made at once, beside others that sleep.
#[test]
fn keys_of_many_bytes_do_not_sleep() {
    let plan = compile(&some(&features(), 8, 12), 0, "reject").expect("each compiles");
    let mut awake = Engine::new(Arc::clone(&plan));
    for time in 0..12_000 {
        let card = if time % 10 == 0 { format!("small {}", time % 320) } else { "large".to_owned() };
        let event = format!(
            r#"{{"ts":{},"card":"{card}","shop":"{}","amount":{time},"count":1,"declined":false}}"#,
            1_000 + time / 30,
            time % 50
        );
        push(&mut awake, &(0, event));
    }
    let written = bytes(&awake);
    assert!(written.len() > 1 << 18, "{} bytes", written.len());
    let options = Options { sleeping_from_bytes: 0, ..Options::default() };
    let engine = Engine::read_checkpoint(&plan, options, 1, &mut &written[..], written.len() as u64, "memory");
    let mut engine = engine.expect("what was written is read").0;
    let (keys, asleep) = (engine.stats().keys, engine.stats().asleep_keys);
    assert!(asleep > 0 && asleep < keys, "{asleep} of {keys} keys sleep");
    assert_same(&engine, &awake, "with a large key");
    assert!(bytes(&read(&plan, &Options::default(), &snapshot(&mut engine), false)) == written, "as it is written");
}

/// Numbers of texts that lie far apart are given anew: keys are made at once then.
#[test]
fn texts_of_far_numbers_keep_keys_awake() {
    let chosen: Vec<Json> = features()
        .into_iter()
        .filter(|feature| feature["name"].as_str().is_some_and(|name| name.ends_with("_shop_0")))
        .take(8)
        .collect();
    let plan = compile(&chosen, 0, "reject").expect("each of them compiles");
    let mut awake = Engine::new(Arc::clone(&plan));
    for shop in 0..9_000 {
        let event = format!(
            r#"{{"ts":1000,"card":"c-{}","shop":"shop {shop}","amount":1,"count":1,"declined":false}}"#,
            shop % 300
        );
        push(&mut awake, &(0, event));
    }
    // All but the last have been forgotten once time has gone on.
    for time in 0..9_000 {
        let event = format!(
            r#"{{"ts":{},"card":"later","shop":"shop 8999","amount":1,"count":1,"declined":false}}"#,
            2_000 + time
        );
        push(&mut awake, &(0, event));
    }
    let file = snapshot(&mut awake);
    let options = Options { sleeping_from_bytes: 0, ..Options::default() };
    let read = Engine::read_checkpoint(&plan, options, 1, &mut &file[..], file.len() as u64, "memory");
    let engine = read.expect("what was written is read").0;
    assert_eq!(engine.stats().asleep_keys, 0, "{} keys", engine.stats().keys);
    assert_same(&engine, &awake, "with texts of far numbers");
}

/// A file of one shard, as an engine with a limit writes it, is read key by key.
#[test]
fn a_file_of_other_shards_is_made_at_once() {
    let plan = compile(&some(&features(), 12, 12), 3, "reject").expect("each compiles");
    let limited = Options { memory_limit: Some(1 << 30), ..Options::default() };
    let mut one = Engine::with_options(Arc::clone(&plan), limited);
    let mut many = Engine::new(Arc::clone(&plan));
    for event in events(12, 800, 70, 4) {
        assert_eq!(push(&mut one, &event), push(&mut many, &event));
    }
    let written = bytes(&one);
    let options = Options { sleeping_from_bytes: 0, ..Options::default() };
    let read = Engine::read_checkpoint(&plan, options, 1, &mut &written[..], written.len() as u64, "memory");
    let mut engine = read.expect("what was written is read").0;
    assert_eq!(engine.stats().asleep_keys, 0);
    for event in events(13, 300, 70, 0) {
        let later = (event.0, event.1.replacen("\"ts\":", "\"ts\":9", 1));
        assert_eq!(push(&mut engine, &later), push(&mut many, &later));
    }
}
