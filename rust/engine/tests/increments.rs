//! A chain of a full checkpoint and increments leads to the state of an engine that was never stopped, to the byte.

#[expect(dead_code, reason = "no disk fails here")]
mod memory_disk;
#[expect(dead_code, reason = "what the other tests of checkpoints use")]
mod stopping;
mod together;

use std::path::Path;
use std::sync::Arc;

use fastfeat_engine::checkpoint::{Request, Restored};
use fastfeat_engine::engine::{Engine, OnLimit, Options};
use fastfeat_engine::error::CheckpointFault;
use fastfeat_engine::plan::Plan;
use memory_disk::MemoryDisk;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use stopping::{Raw, bytes, compile, counts, events, features, push, some};
use together::{answered_together, plain_payments};

const FOLDER: &str = "/state";

fn checkpoint(engine: &mut Engine, disk: &MemoryDisk, place: usize, incremental: bool) -> String {
    let offsets = format!(r#"{{"place":{place}}}"#);
    let request = Request { path: Path::new(FOLDER), offsets: &offsets, keep: 2, incremental };
    let path = engine.checkpoint_on(disk, &request).expect("the disk works");
    path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned()
}

fn restore(plan: &Arc<Plan>, disk: &MemoryDisk, options: &Options) -> Restored {
    Engine::restore_from(disk, plan, options, Path::new(FOLDER)).expect("it is whole")
}

/// Pushes events and writes at each of `stops`; what comes back is the engine that was written.
fn assert_chain_leads_there(plan: &Arc<Plan>, options: &Options, events: &[Raw], stops: &[usize]) {
    let disk = MemoryDisk::with_folder(Path::new(FOLDER));
    let mut live = Engine::with_options(Arc::clone(plan), options.clone());
    let mut names = Vec::new();
    for (place, event) in events.iter().enumerate() {
        push(&mut live, event);
        if !stops.contains(&place) {
            continue;
        }
        names.push(checkpoint(&mut live, &disk, place, true));
        // Whether its keys sleep is not to matter.
        let options = Options { sleeping_from_bytes: [0, u64::MAX][place / 2 % 2], ..options.clone() };
        let Restored { mut engine, offsets, damaged, path } = restore(plan, &disk, &options);
        assert_eq!(path.file_name().and_then(|name| name.to_str()), names.last().map(String::as_str));
        assert_eq!((offsets, damaged), (format!(r#"{{"place":{place}}}"#), Vec::new()));
        assert!(bytes(&engine) == bytes(&live), "another state after {names:?}");
        assert_eq!(format!("{:?}", counts(&engine)), format!("{:?}", counts(&live)));
        assert!(engine.late_events().eq(live.late_events()));
        // It goes on with the chain, and is the one that runs from here on, now and then.
        if place % 2 == 1 {
            assert_eq!(checkpoint(&mut engine, &disk, place, true), format!("checkpoint-1.{}.ff", names.len()));
            names.push(String::new());
            live = engine;
        }
    }
    assert_eq!(names[0], "checkpoint-1.ff");
    assert!(
        names
            .iter()
            .skip(1)
            .enumerate()
            .all(|(before, name)| { name.is_empty() || *name == format!("checkpoint-1.{}.ff", before + 1) }),
        "{names:?}"
    );
}

#[test]
fn every_aggregation_over_every_window_is_reached() {
    for (disorder, on_late, cards) in [(0, "reject", 3), (20, "emit", 1)] {
        let plan = compile(&features(), disorder as i64 / 2, on_late).expect("each of them compiles");
        let events = events(7, 1_100, cards, disorder);
        assert_chain_leads_there(&plan, &Options::default(), &events, &[1, 31, 32, 33, 300, 777, 1_099]);
    }
}

#[test]
fn many_events_of_a_key_are_stored_together() {
    // Busy keys and such as become busy, keys that leave and come again, late events, values of every size.
    for (seed, cards, disorder, odd, windows) in [
        (1, 40, 0, 3_000, vec![7, 60, 900]),
        (2, 3, 0, 3_000, vec![1, 20, 90]),
        (3, 400, 6, 100, vec![40, 2_000]),
        (4, 900, 0, 3_000, vec![90]),
    ] {
        let plan = compile(&answered_together(&windows), disorder as i64, "reject").expect("each of them compiles");
        let events = plain_payments(seed, 9_000, cards, disorder, odd);
        assert_chain_leads_there(&plan, &Options::default(), &events, &[700, 6_000, 8_999]);
    }
}

#[test]
fn rows_that_are_taken_in_beside_the_next_ones_lead_there() {
    // More than are stored together at once, twice over; texts that come and leave meanwhile, keys that do, and a table that stores row by row.
    let all = answered_together(&[900, 60_000]);
    let named = |name: &str| all.iter().find(|feature| feature["name"] == name).expect("it is made").clone();
    let mut wanted: Vec<Json> =
        ["n_unique_shop_by_card_0", "sum_amount_by_card_1", "count_count_by_shop_1"].map(named).into();
    for beside in [false, true] {
        let plan = compile(&wanted, 6, "reject").expect("each of them compiles");
        let events = plain_payments(5, 140_000, 3_000, 6, 3_000);
        assert_chain_leads_there(&plan, &Options::default(), &events, &[8, 139_999]);
        wanted.push(json!({"name": "ever", "stream": "payments", "expression": {
            "op": "aggregate", "kind": "count", "arguments": [], "parameters": [], "where": null,
            "keys": [{"name": "card"}, {"name": "shop"}], "window": {"kind": "all"}, "include_current": !beside,
        }}));
    }
}

#[test]
fn keys_that_left_are_not_there() {
    let all = features();
    let rolling: Vec<Json> =
        all.iter().filter(|feature| feature["expression"]["window"]["kind"] == "rolling").cloned().collect();
    let plan = compile(&rolling, 3, "reject").expect("each of them compiles");
    let mut many = events(11, 1_500, 400, 4);
    many.extend(
        events(12, 300, 2, 4).into_iter().map(|(stream, text)| (stream, text.replacen("\"ts\":", "\"ts\":100", 1))),
    );
    assert_chain_leads_there(&plan, &Options::default(), &many, &[400, 900, 1_501, 1_600]);
    let idle = Options { idle_after: Some(700), ..Options::default() };
    let plan = compile(&some(&all, 3, 60), 3, "reject").expect("each of them compiles");
    assert_chain_leads_there(&plan, &idle, &many, &[400, 900, 1_501, 1_600]);
}

#[test]
fn keys_that_a_limit_drove_out_are_not_there() {
    let plan = compile(&some(&features(), 9, 30), 3, "reject").expect("each of them compiles");
    let options = Options { memory_limit: Some(900_000), on_limit: OnLimit::EvictIdle, ..Options::default() };
    let many = events(13, 4_000, 3_000, 4);
    let mut never = Engine::with_options(Arc::clone(&plan), options.clone());
    many.iter().for_each(|event| drop(push(&mut never, event)));
    assert!(never.stats().evicted > 100, "{:?}", never.stats());
    // Bytes lie otherwise after a restart, and so another key may go: here the one that was written goes on.
    assert_chain_leads_there(&plan, &options, &many, &[0, 500, 2_000, 2_600, 3_998]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_features_are_reached(
        seed in any::<u64>(),
        count in 1..10_usize,
        cards in 1..6_u64,
        disorder in prop::sample::select(vec![0_u64, 3, 40]),
        emits in any::<bool>(),
        stops in prop::collection::vec(0..500_usize, 2..6),
    ) {
        let chosen = some(&features(), seed, count);
        let plan = compile(&chosen, (disorder * 3 / 4) as i64, if emits { "emit" } else { "reject" }).expect("each compiles");
        assert_chain_leads_there(&plan, &Options::default(), &events(seed, 500, cards, disorder), &stops);
    }
}

fn small() -> (Arc<Plan>, Vec<Raw>) {
    (compile(&some(&features(), 5, 40), 10, "emit").expect("each compiles"), events(5, 120, 2, 12))
}

#[test]
fn a_damaged_increment_leads_to_the_one_before() {
    let (plan, events) = small();
    let disk = MemoryDisk::with_folder(Path::new(FOLDER));
    let mut engine = Engine::new(Arc::clone(&plan));
    let mut states = Vec::new();
    for (place, event) in events.iter().enumerate() {
        push(&mut engine, event);
        if place % 30 == 29 {
            checkpoint(&mut engine, &disk, place, true);
            states.push(bytes(&engine));
        }
    }
    for (damaged, wanted) in [("checkpoint-1.3.ff", 2), ("checkpoint-1.2.ff", 1), ("checkpoint-1.1.ff", 0)] {
        disk.change(&Path::new(FOLDER).join(damaged), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        let restored = restore(&plan, &disk, &Options::default());
        assert!(bytes(&restored.engine) == states[wanted], "before {damaged}");
        assert!(restored.damaged.iter().any(|error| error.place.ends_with(damaged)), "{:?}", restored.damaged);
        assert!(restored.damaged.iter().all(|error| error.fault == CheckpointFault::Damaged));
        // What is damaged is not gone on from: the next one is a full one.
        let mut engine = restored.engine;
        let again = MemoryDisk::with_folder(Path::new(FOLDER));
        assert_eq!(checkpoint(&mut engine, &again, 0, true), "checkpoint-1.ff");
    }
}

#[test]
fn an_increment_of_another_chain_is_refused() {
    let (plan, events) = small();
    let disks = [0, 1].map(|more| {
        let disk = MemoryDisk::with_folder(Path::new(FOLDER));
        let mut engine = Engine::new(Arc::clone(&plan));
        for (place, event) in events.iter().enumerate() {
            push(&mut engine, event);
            if place == 10 + more || place == 50 {
                checkpoint(&mut engine, &disk, place, true);
            }
        }
        disk
    });
    let path = Path::new(FOLDER).join("checkpoint-1.1.ff");
    let other = disks[1].bytes(&path);
    disks[0].change(&path, |bytes| *bytes = other.clone());
    let restored = restore(&plan, &disks[0], &Options::default());
    assert_eq!(restored.offsets, r#"{"place":10}"#);
    assert!(restored.damaged[0].message.contains("goes on from another file"), "{:?}", restored.damaged);
}

#[test]
fn a_folder_that_came_to_something_else_gets_a_full_one() {
    let (plan, events) = small();
    let disk = MemoryDisk::with_folder(Path::new(FOLDER));
    let (mut one, mut other) = (Engine::new(Arc::clone(&plan)), Engine::new(Arc::clone(&plan)));
    events[..40].iter().for_each(|event| drop((push(&mut one, event), push(&mut other, event))));
    assert_eq!(checkpoint(&mut one, &disk, 40, true), "checkpoint-1.ff");
    assert_eq!(checkpoint(&mut other, &disk, 41, true), "checkpoint-2.ff");
    events[40..80].iter().for_each(|event| drop(push(&mut one, event)));
    assert_eq!(checkpoint(&mut one, &disk, 80, true), "checkpoint-3.ff");
    events[80..].iter().for_each(|event| drop(push(&mut one, event)));
    assert_eq!(checkpoint(&mut one, &disk, 120, true), "checkpoint-3.1.ff");
    assert!(bytes(&restore(&plan, &disk, &Options::default()).engine) == bytes(&one));
    // Without the manifest the files say the same.
    disk.change(&Path::new(FOLDER).join("manifest.json"), Vec::clear);
    let restored = restore(&plan, &disk, &Options::default());
    assert!(bytes(&restored.engine) == bytes(&one));
    assert!(restored.damaged[0].place.ends_with("manifest.json"));
}

#[test]
fn chains_are_kept_as_a_whole() {
    let (plan, events) = small();
    let disk = MemoryDisk::with_folder(Path::new(FOLDER));
    let mut engine = Engine::new(Arc::clone(&plan));
    let mut names = Vec::new();
    for (place, event) in events.iter().enumerate().take(10) {
        push(&mut engine, event);
        names.push(checkpoint(&mut engine, &disk, place, place % 3 != 0));
    }
    // The first full one was not asked for increments, so the second is full too; a full one of a chain goes on with it.
    let numbers = ["1", "2", "2.1", "3", "3.1", "3.2", "4", "4.1", "4.2", "5"];
    assert_eq!(names, numbers.map(|number| format!("checkpoint-{number}.ff")));
    let there = fastfeat_engine::checkpoint::Disk::names(&disk, Path::new(FOLDER)).expect("it works");
    let kept = ["4.1", "4.2", "4", "5"].map(|number| format!("checkpoint-{number}.ff"));
    assert_eq!(there, [&kept[..], &["manifest.json".to_owned()]].concat());
}
