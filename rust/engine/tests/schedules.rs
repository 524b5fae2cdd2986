//! Few events by several threads, under thousands of schedules of what they do with locks and atomics (Shuttle): the state is that of the order
//! in which the journal has the events, and no schedule ends in threads that wait for each other. With the feature `schedules` what else happens
//! after many events happens after few.

mod beside;
#[expect(dead_code, reason = "no disk fails here")]
mod memory_disk;
#[expect(dead_code, reason = "what the other tests of checkpoints use")]
mod stopping;

use std::path::Path;
use std::sync::Arc;

use beside::{payments, without_texts};
use fastfeat_engine::checkpoint::Request;
use fastfeat_engine::codec;
use fastfeat_engine::engine::{Engine, Options, Slot};
use fastfeat_engine::plan::Plan;
use memory_disk::MemoryDisk;
use serde_json::Value as Json;
use shuttle::{check_pct, check_random, thread};
use stopping::{Raw, bytes, compile, counts, push, some};

const FOLDER: &str = "/state";
const THREADS: usize = 3;
const EVENTS: usize = 5;
const SCHEDULES: usize = 600;

/// Some features, and events for them: those that come before there are threads, and those of the threads.
struct Case {
    plan: Arc<Plan>,
    before: Vec<Raw>,
    shares: Vec<Vec<Raw>>,
}

fn case(seed: u64, before: usize, lateness: i64) -> Case {
    // Texts come and go with every second case.
    let of_texts = |feature: &&Json| feature["expression"]["arguments"][0]["name"] == "shop";
    let mut all = without_texts();
    if seed % 2 == 1 {
        all = all.iter().filter(of_texts).cloned().collect();
    }
    let plan = compile(&some(&all, seed, 4), lateness, "reject").expect("each of them compiles");
    let all = payments(seed, before + THREADS * EVENTS, 3, lateness as u64);
    let (before, rest) = all.split_at(before);
    // By turns, so that none is late for being another thread's.
    let share = |thread| rest.iter().skip(thread).step_by(THREADS).cloned().collect();
    Case { plan, before: before.to_vec(), shares: (0..THREADS).map(share).collect() }
}

fn write(engine: &mut Engine, disk: &MemoryDisk) {
    let request = Request { path: Path::new(FOLDER), offsets: "{}", keep: 2, incremental: true };
    engine.checkpoint_on(disk, &request).expect("the disk works");
}

/// One schedule.
fn assert_state_is_that_of_the_journal(case: &Case) {
    let disk = MemoryDisk::with_folder(Path::new(FOLDER));
    let mut engine = Engine::new(Arc::clone(&case.plan));
    case.before.iter().for_each(|event| drop(push(&mut engine, event)));
    write(&mut engine, &disk);
    let crowd = Arc::new(engine.open_up(0).expect("the features let it"));
    let work = |share: &Vec<Raw>| {
        let (crowd, share, plan) = (Arc::clone(&crowd), share.clone(), Arc::clone(&case.plan));
        thread::spawn(move || {
            let mut slot = Slot::default();
            for (_, text) in &share {
                codec::json::decode(&plan.streams[0].schema, text.as_bytes(), &mut slot.event).expect("it is valid");
                // Late events are refused.
                drop(crowd.push(&mut slot));
            }
        })
    };
    let threads: Vec<_> = case.shares.iter().map(work).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
    engine.close_up(Arc::into_inner(crowd).expect("all threads have ended"));
    let stats = engine.stats();
    assert_eq!(stats.events[0] + stats.late[0], (case.before.len() + THREADS * EVENTS) as u64);
    write(&mut engine, &disk);
    let restored =
        Engine::restore_from(&disk, &case.plan, &Options::default(), Path::new(FOLDER)).expect("it is whole");
    assert!(bytes(&restored.engine) == bytes(&engine), "the journal leads to another state");
    assert_eq!(format!("{:?}", counts(&restored.engine)), format!("{:?}", counts(&engine)));
}

#[test]
fn any_schedule_leads_to_the_state_of_its_journal() {
    for (seed, lateness) in [(0, 0), (1, 9), (2, 1_000), (3, 1_000)] {
        let case = Arc::new(case(seed, 40, lateness));
        let (random, few) = (Arc::clone(&case), case);
        check_random(move || assert_state_is_that_of_the_journal(&random), SCHEDULES);
        check_pct(move || assert_state_is_that_of_the_journal(&few), SCHEDULES, 3);
    }
}
