//! Few events by several threads, under thousands of schedules of what they do with locks and atomics (Shuttle): the state is that of the order
//! in which the journal has the events, and no schedule ends in threads that wait for each other. With the feature `schedules` what else happens
//! after many events happens after few. And a checkpoint that is saved by its writer and by who pushes: each part of it once, as it was at the instant.

mod beside;
#[expect(dead_code, reason = "no disk fails here")]
mod memory_disk;
mod stopping;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use beside::{payments, without_texts};
use fastfeat_engine::checkpoint::{Request, Shared};
use fastfeat_engine::codec;
use fastfeat_engine::engine::{Engine, Options, Slot};
use fastfeat_engine::plan::Plan;
use memory_disk::MemoryDisk;
use serde_json::Value as Json;
use shuttle::sync::Mutex;
use shuttle::{check_pct, check_random, thread};
use stopping::{Raw, bytes, compile, counts, events, features, push, restored, some};

const FOLDER: &str = "/state";
const OFFSETS: &str = r#"{"payments-0":7}"#;
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

/// An engine that one thread writes while others push.
struct Common {
    engine: Mutex<Engine>,
    then: Mutex<Vec<u8>>,
    /// How often the writer had it, and how often it was helped.
    holds: AtomicUsize,
    helped: AtomicUsize,
}

impl Shared for Common {
    fn with<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        self.holds.fetch_add(1, Ordering::Relaxed);
        self.engine.lock().ok().map(|mut engine| act(&mut engine))
    }

    fn at_instant<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        self.with(|engine| {
            *self.then.lock().expect("no thread panics") = bytes(engine);
            act(engine)
        })
    }

    fn give_way(&self) {
        thread::yield_now();
    }

    fn pause(&self) {
        thread::yield_now();
    }
}

/// One schedule. How often the writer had the engine, and how often others have helped.
fn assert_file_is_of_the_instant(plan: &Arc<Plan>, all: &[Raw]) -> (usize, usize) {
    let mut engine = Engine::new(Arc::clone(plan));
    let (before, after) = all.split_at(all.len() - THREADS * EVENTS);
    before.iter().for_each(|event| drop(push(&mut engine, event)));
    let common = Arc::new(Common {
        engine: Mutex::new(engine),
        then: Mutex::default(),
        holds: AtomicUsize::new(0),
        helped: AtomicUsize::new(0),
    });
    let work = |share: &[Raw]| {
        let (common, share) = (Arc::clone(&common), share.to_vec());
        thread::spawn(move || {
            for event in &share {
                let mut engine = common.engine.lock().expect("no thread panics");
                drop(push(&mut engine, event));
                if engine.is_helped() && engine.help_checkpoint(1) {
                    common.helped.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    };
    let threads: Vec<_> = after.chunks(EVENTS).map(work).collect();
    let disk = MemoryDisk::default();
    let request = Request { path: Path::new("/state.ff"), offsets: OFFSETS, keep: 1, incremental: false };
    Engine::checkpoint_shared(&*common, &disk, &request).expect("the disk works");
    threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
    let file = restored(plan, Options::default(), &disk.bytes(request.path)).expect("it is whole");
    assert!(bytes(&file) == *common.then.lock().expect("no thread panics"), "it is not the state of its instant");
    assert!(!common.engine.lock().expect("no thread panics").is_helped());
    (common.holds.load(Ordering::Relaxed), common.helped.load(Ordering::Relaxed))
}

#[test]
fn any_schedule_writes_the_state_of_one_instant() {
    // All that the writer has the engine for beside parts of the state is four times.
    let (alone, helped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for seed in 0..3 {
        let plan = compile(&some(&features(), seed, 5), 9, "emit").expect("each of them compiles");
        let all = events(seed, 60, 4, 5);
        let (alone, helped) = (Arc::clone(&alone), Arc::clone(&helped));
        let one = Arc::new(move || {
            let counted = assert_file_is_of_the_instant(&plan, &all);
            alone.fetch_add(counted.0 - 4, Ordering::Relaxed);
            helped.fetch_add(counted.1, Ordering::Relaxed);
        });
        let other = Arc::clone(&one);
        check_random(move || one(), SCHEDULES);
        check_pct(move || other(), SCHEDULES, 3);
    }
    let (alone, helped) = (alone.load(Ordering::Relaxed), helped.load(Ordering::Relaxed));
    assert!(alone > SCHEDULES && helped > SCHEDULES, "both save parts: {alone} and {helped}");
}
