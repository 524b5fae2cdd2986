//! Threads that push into one engine: rows and state are those of one thread that pushes in the order in which they were admitted.

mod beside;
#[expect(dead_code, reason = "no disk fails here")]
mod memory_disk;
#[expect(dead_code, reason = "what the other tests of checkpoints use")]
mod stopping;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use beside::{payments, without_texts};
use fastfeat_engine::checkpoint::Request;
use fastfeat_engine::codec;
use fastfeat_engine::engine::{Crowd, Engine, OnLimit, Options, Slot};
use fastfeat_engine::plan::Plan;
use memory_disk::MemoryDisk;
use serde_json::{Value as Json, json};
use stopping::{Raw, bytes, compile, counts, features, push, some};

const FOLDER: &str = "/state";
/// No event is later than that.
const NEVER_LATE_US: i64 = 1 << 50;

/// What `stopping::push` tells of an event, of one that is pushed beside others.
fn push_beside(crowd: &Crowd, plan: &Plan, slot: &mut Slot, (stream, text): &Raw) -> Vec<String> {
    assert_eq!(*stream, crowd.stream());
    if let Err(error) = codec::json::decode(&plan.streams[*stream].schema, text.as_bytes(), &mut slot.event) {
        crowd.count_invalid();
        return vec![error.to_string()];
    }
    match crowd.push(slot) {
        Ok(true) => vec![format!("{:?}", slot.row())],
        Ok(false) => Vec::new(),
        Err(error) => vec![error.to_string()],
    }
}

/// The same, alone.
fn push_alone(engine: &mut Engine, (stream, text): &Raw) -> Vec<String> {
    let plan = Arc::clone(engine.plan());
    let mut event = fastfeat_engine::event::Event::default();
    if let Err(error) = codec::json::decode(&plan.streams[*stream].schema, text.as_bytes(), &mut event) {
        engine.count_invalid(*stream);
        return vec![error.to_string()];
    }
    match engine.push(*stream, &mut event) {
        Ok(true) => vec![format!("{:?}", engine.row())],
        Ok(false) => Vec::new(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn a_thread_in_a_crowd_does_what_it_does_alone() {
    let all = without_texts();
    for seed in 0..24 {
        let chosen = if seed == 0 { all.clone() } else { some(&all, seed, 1 + seed as usize * 3) };
        let (disorder, cards) = ([0, 5, 40][seed as usize % 3], [2, 30, 400][seed as usize / 3 % 3]);
        let plan = compile(&chosen, disorder as i64 / 2, "reject").expect("each of them compiles");
        let mut events = payments(seed, 6_000, cards, disorder);
        events[17].1 = r#"{"ts": "no time"}"#.to_owned();
        let (mut alone, mut live) = (Engine::new(Arc::clone(&plan)), Engine::new(Arc::clone(&plan)));
        let mut slot = Slot::default();
        let mut rest = &events[..];
        for length in [1, 30, 4, 2_000, 0, 700, usize::MAX] {
            let (now, later) = rest.split_at(length.min(rest.len()));
            rest = later;
            // By turns, so that each goes on with what the other has left.
            if length % 4 == 0 {
                for event in now {
                    assert_eq!(push_alone(&mut live, event), push_alone(&mut alone, event));
                }
            } else {
                let crowd = live.open_up(0).expect("the features let it");
                for (place, event) in now.iter().enumerate() {
                    let (row, wanted) = (push_beside(&crowd, &plan, &mut slot, event), push_alone(&mut alone, event));
                    assert_eq!(row, wanted, "seed {seed}, event {place} of {length}");
                }
                assert!(!crowd.is_due(), "there is no journal");
                live.close_up(crowd);
            }
            assert!(bytes(&live) == bytes(&alone), "seed {seed}: another state after {length} more");
            assert_eq!(format!("{:?}", counts(&live)), format!("{:?}", counts(&alone)));
            assert!(live.late_events().eq(alone.late_events()));
        }
    }
}

/// Threads that push at once, each its own events; what comes of each.
fn all_at_once(crowd: &Crowd, plan: &Plan, shares: &[Vec<Raw>]) -> Vec<Vec<Vec<String>>> {
    thread::scope(|scope| {
        let work = |share| {
            scope.spawn(move || {
                let mut slot = Slot::default();
                let told = |event| push_beside(crowd, plan, &mut slot, event);
                <[Raw]>::iter(share).map(told).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = shares.iter().map(|share| work(&**share)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

/// Cards are a thread's own, shops everybody's.
fn shares(seed: u64, count: usize, cards: u64, disorder: u64) -> Vec<Vec<Raw>> {
    let named = |thread: usize| {
        let own = format!("\"card\":\"{thread}-");
        let rename = |(stream, text): Raw| (stream, text.replace("\"card\":\"", &own));
        payments(seed + 100 * thread as u64, count, cards, disorder).into_iter().map(rename).collect()
    };
    (0..4).map(named).collect()
}

/// Features of a card alone.
fn of_cards(all: &[Json]) -> Vec<Json> {
    let is = |feature: &&Json| feature["expression"]["keys"] == json!([{"name": "card"}]);
    all.iter().filter(is).cloned().collect()
}

#[test]
fn rows_of_a_threads_own_keys_are_those_of_that_thread_alone() {
    let chosen = of_cards(&without_texts());
    assert!(chosen.len() > 100, "{} features of cards", chosen.len());
    for seed in 0..3 {
        let plan = compile(&some(&chosen, seed, 60), NEVER_LATE_US, "reject").expect("each of them compiles");
        let shares = shares(seed, 3_000, 20, 9);
        let mut live = Engine::new(Arc::clone(&plan));
        let crowd = live.open_up(0).expect("the features let it");
        let rows = all_at_once(&crowd, &plan, &shares);
        live.close_up(crowd);
        for (share, rows) in shares.iter().zip(&rows) {
            let mut alone = Engine::new(Arc::clone(&plan));
            let wanted: Vec<Vec<String>> = share.iter().map(|event| push_alone(&mut alone, event)).collect();
            assert!(*rows == wanted);
        }
        assert_eq!(live.stats().events[0], 4 * 3_000);
    }
}

#[test]
fn the_state_is_that_of_the_order_in_which_the_journal_has_the_events() {
    let all = without_texts();
    for seed in 0..9 {
        let chosen = if seed == 0 { all.clone() } else { some(&all, seed, 1 + seed as usize * 5) };
        let disorder = [0, 9, 60][seed as usize % 3];
        let plan = compile(&chosen, disorder as i64, "reject").expect("each of them compiles");
        let disk = MemoryDisk::with_folder(Path::new(FOLDER));
        let mut live = Engine::new(Arc::clone(&plan));
        let write = |engine: &mut Engine| {
            let request = Request { path: Path::new(FOLDER), offsets: "{}", keep: 2, incremental: true };
            engine.checkpoint_on(&disk, &request).expect("the disk works")
        };
        write(&mut live);
        let mut refused = 0;
        for turn in 0..3 {
            // The first turn is too short for any to wait, the last one long enough for all shards to be looked at.
            let shares =
                shares(seed * 10 + turn, [5, 600, 4_000][turn as usize], [3, 40, 1_000][turn as usize], disorder);
            let crowd = live.open_up(0).expect("the features let it");
            let told = all_at_once(&crowd, &plan, &shares);
            live.close_up(crowd);
            let rows = told.iter().flatten().filter(|told| told[0].starts_with("FeatureRow")).count();
            refused += told.iter().map(Vec::len).sum::<usize>() - rows;
            assert_eq!(live.stats().late[0], refused as u64);
            let path = write(&mut live);
            assert!(path.to_string_lossy().ends_with(&format!("checkpoint-1.{}.ff", turn + 1)), "{path:?}");
            let restored =
                Engine::restore_from(&disk, &plan, &Options::default(), Path::new(FOLDER)).expect("it is whole");
            assert!(bytes(&restored.engine) == bytes(&live), "seed {seed}: the journal leads to another state");
            assert_eq!(format!("{:?}", counts(&restored.engine)), format!("{:?}", counts(&live)));
        }
    }
}

#[test]
fn who_cannot_share_keeps_what_it_has() {
    let mut refused = 0;
    for feature in features() {
        let Some(plan) = compile(std::slice::from_ref(&feature), 0, "reject") else { continue };
        let mut engine = Engine::new(plan);
        refused += usize::from(engine.open_up(0).is_none());
    }
    assert!(refused > 100, "{refused} features");
    let plan = compile(&without_texts()[..3], 0, "reject").expect("they compile");
    let limited = Options { memory_limit: Some(1 << 24), on_limit: OnLimit::Error, ..Options::default() };
    let idle = Options { idle_after: Some(5), ..Options::default() };
    for options in [limited, idle] {
        let mut engine = Engine::with_options(Arc::clone(&plan), options);
        assert!(engine.open_up(0).is_none());
        assert_eq!(push(&mut engine, &payments(1, 1, 1, 0)[0]).len(), 3);
    }
}
