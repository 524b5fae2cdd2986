//! A state that is written while events come is that of its instant, bit for bit, and the engine does not notice.

#[expect(dead_code, reason = "what the other tests of checkpoints use")]
mod memory_disk;
mod stopping;
mod together;

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fastfeat_engine::checkpoint::{Request, Shared, Snapshot};
use fastfeat_engine::codec::json;
use fastfeat_engine::engine::{Engine, OnLimit, Options};
use fastfeat_engine::event::Event;
use fastfeat_engine::plan::Plan;
use fastfeat_engine::row::FeatureRow;
use memory_disk::MemoryDisk;
use proptest::prelude::*;
use stopping::{Random, Raw, bytes, compile, counts, events, features, push, restored, some};
use together::{answered_together, plain_payments};

const OFFSETS: &str = r#"{"payments-0":7}"#;

/// Pushes all events; at `from` a state begins to be written, in steps of `size` bytes of keys, so many at a time between two events.
fn assert_unnoticed(plan: &Arc<Plan>, options: &Options, events: &[Raw], from: usize, (size, steps): (usize, u64)) {
    let mut never = Engine::with_options(Arc::clone(plan), options.clone());
    let mut engine = Engine::with_options(Arc::clone(plan), options.clone());
    let (before, after) = events.split_at(from.min(events.len()));
    for event in before {
        assert_eq!(push(&mut engine, event), push(&mut never, event));
    }
    let mut random = Random(from as u64);
    let mut file = Vec::new();
    let then = bytes(&engine);
    let mut snapshot = Snapshot::begin(&mut engine, OFFSETS, &mut file).expect("memory takes it");
    let mut is_done = false;
    for (place, event) in after.iter().enumerate() {
        for _ in 0..random.below(steps + 1) {
            is_done = is_done || snapshot.step_of(&mut engine, size).expect("memory takes it");
        }
        assert_eq!(push(&mut engine, event), push(&mut never, event), "event {place} after the instant: {event:?}");
    }
    assert_eq!(engine.stats().state_bytes, never.stats().state_bytes, "memory lies as it would");
    while !is_done {
        is_done = snapshot.step_of(&mut engine, size).expect("memory takes it");
    }
    snapshot.end().expect("memory takes it");
    assert!(bytes(&engine) == bytes(&never), "the engine did not notice");
    assert_eq!(format!("{:?}", counts(&engine)), format!("{:?}", counts(&never)));
    let mut stopped = restored(plan, options.clone(), &file).expect("what was written is read");
    assert!(bytes(&stopped) == then, "the file is the state of its instant");
    if options.memory_limit.is_none() {
        after.iter().for_each(|event| drop(push(&mut stopped, event)));
        assert!(bytes(&stopped) == bytes(&never), "who goes on from it comes to the same");
    }
    // What is written next finds nothing of it.
    let mut next = Vec::new();
    let mut snapshot = Snapshot::begin(&mut engine, OFFSETS, &mut next).expect("memory takes it");
    while !snapshot.step(&mut engine).expect("memory takes it") {}
    snapshot.end().expect("memory takes it");
    assert!(bytes(&restored(plan, options.clone(), &next).expect("what was written is read")) == bytes(&engine));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_state_is_that_of_its_instant(
        seed in any::<u64>(),
        count in 1..10_usize,
        cards in prop::sample::select(vec![1_u64, 4, 60]),
        disorder in prop::sample::select(vec![0_u64, 3, 40]),
        emits in any::<bool>(),
        idle in prop::option::of(200..2_000_i64),
        from in 0..800_usize,
        size in prop::sample::select(vec![1_usize, 1, 300, 8_192]),
        steps in 1..4_u64,
    ) {
        let chosen = some(&features(), seed, count);
        let plan = compile(&chosen, (disorder * 3 / 4) as i64, if emits { "emit" } else { "reject" }).expect("each compiles");
        let options = Options { idle_after: idle, ..Options::default() };
        let many = if cards == 1 { 900 } else { 500 };
        assert_unnoticed(&plan, &options, &events(seed, many, cards, disorder), from, (size, steps));
    }
}

/// Keys that come, wait in many steps, and leave, with and without a limit on memory.
#[test]
fn keys_that_leave_meanwhile_are_written() {
    let over = |kind: &str| {
        let some = features().into_iter().filter(|feature| feature["expression"]["window"]["kind"] == kind).take(20);
        compile(&some.collect::<Vec<_>>(), 3, "reject").expect("compiles")
    };
    let plan = over("rolling");
    let mut many = events(11, 1_500, 400, 4);
    many.extend(
        events(12, 600, 40, 4).into_iter().map(|(stream, text)| (stream, text.replacen("\"ts\":", "\"ts\":100", 1))),
    );
    let mut never = Engine::new(Arc::clone(&plan));
    many.iter().for_each(|event| drop(push(&mut never, event)));
    assert!(never.stats().expired > 100, "keys have left");
    let limited = Options { memory_limit: Some(1 << 18), on_limit: OnLimit::EvictIdle, ..Options::default() };
    let forever = over("all");
    let mut never = Engine::with_options(Arc::clone(&forever), limited.clone());
    many.iter().for_each(|event| drop(push(&mut never, event)));
    assert!(never.stats().evicted > 100, "keys have been let go: {:?}", never.stats());
    for (plan, options) in [(plan, Options::default()), (forever, limited)] {
        for (from, size, steps) in [(1_400, 1, 1), (1_490, 1, 2), (1_500, 400, 1), (700, 1, 1), (0, 1, 1)] {
            assert_unnoticed(&plan, &options, &many, from, (size, steps));
        }
    }
}

/// Pushes all events at once; their rows.
fn push_batch(engine: &mut Engine, events: &[Raw], threads: usize) -> Vec<String> {
    let plan = Arc::clone(engine.plan());
    let mut rows = Vec::new();
    engine
        .push_rows_by(
            4_000,
            0,
            events.len(),
            threads,
            &|row: usize, event: &mut Event| json::decode(&plan.streams[0].schema, events[row].1.as_bytes(), event),
            &mut |row: &FeatureRow| {
                rows.push(format!("{row:?}"));
                Ok::<(), ()>(())
            },
        )
        .expect("valid and in order");
    rows
}

#[test]
fn batches_in_between_are_unnoticed_too() {
    for (seed, cards, threads) in [(1, 60, 1), (2, 3, 2), (3, 700, 2)] {
        let plan = compile(&some(&answered_together(&[9, 90, 1_200]), seed, 14), 0, "reject").expect("each compiles");
        let events = plain_payments(seed, 51_000, cards, 0, 3_000);
        let (mut engine, mut never) = (Engine::new(Arc::clone(&plan)), Engine::new(Arc::clone(&plan)));
        let mut file = Vec::new();
        let mut then = Vec::new();
        let mut snapshot = None;
        // It begins before the second batch, is half done at the third, and has ended at the last.
        for (number, batch) in events.chunks(17_000 / 2).enumerate() {
            if number == 1 {
                then = bytes(&engine);
                snapshot = Some(Snapshot::begin(&mut engine, OFFSETS, &mut file).expect("memory takes it"));
            }
            let is_last = number == 4;
            while let Some(begun) = &mut snapshot
                && number > 1
            {
                let is_done = begun.step_of(&mut engine, 2_000).expect("memory takes it");
                if is_done {
                    snapshot.take().expect("it was begun").end().expect("memory takes it");
                } else if !is_last {
                    break;
                }
            }
            let wanted = push_batch(&mut never, batch, 1);
            assert!(push_batch(&mut engine, batch, threads) == wanted, "batch {number} of {seed}");
        }
        assert!(bytes(&engine) == bytes(&never), "the engine did not notice");
        let stopped = restored(&plan, Options::default(), &file).expect("what was written is read");
        assert!(bytes(&stopped) == then, "the file is the state of its instant");
    }
}

/// An engine of several threads.
struct Common(Mutex<Engine>);

impl Shared for Common {
    fn with<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        self.0.lock().ok().map(|mut engine| act(&mut engine))
    }

    fn give_way(&self) {
        std::thread::yield_now();
    }

    fn pause(&self) {
        std::thread::yield_now();
    }
}

/// Takes so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_state_that_is_given_up_leaves_nothing_behind() {
    let plan = compile(&some(&features(), 5, 40), 10, "emit").expect("each compiles");
    let all = events(5, 400, 30, 12);
    let (mut never, mut engine) = (Engine::new(Arc::clone(&plan)), Engine::new(Arc::clone(&plan)));
    for (place, event) in all.iter().enumerate() {
        if place % 40 == 3 {
            let mut out = Full(20_000 + place * 37);
            let mut snapshot = Snapshot::begin(&mut engine, OFFSETS, &mut out).expect("it has room for the head");
            let refused = Snapshot::begin(&mut engine, OFFSETS, &mut io::sink()).expect_err("one at a time");
            assert!(refused.to_string().contains("another checkpoint of this engine is being written"), "{refused}");
            let mut steps = 0;
            while steps < place / 10 && !snapshot.step_of(&mut engine, 1).unwrap_or(true) {
                steps += 1;
            }
            // Every other one is only forgotten, as by a thread that has ended.
            if place % 80 == 3 {
                snapshot.give_up(&mut engine);
            }
        }
        assert_eq!(push(&mut engine, event), push(&mut never, event));
    }
    let mut file = Vec::new();
    let mut snapshot = Snapshot::begin(&mut engine, OFFSETS, &mut file).expect("memory takes it");
    while !snapshot.step(&mut engine).expect("memory takes it") {}
    snapshot.end().expect("memory takes it");
    assert!(bytes(&restored(&plan, Options::default(), &file).expect("whole")) == bytes(&never));
}

#[test]
fn one_thread_pushes_while_another_writes() {
    let plan = compile(&some(&features(), 9, 30), 5, "emit").expect("each compiles");
    let all = events(9, 3_000, 300, 8);
    let (shared, disk, is_over) =
        (Common(Mutex::new(Engine::new(Arc::clone(&plan)))), MemoryDisk::default(), AtomicBool::new(false));
    let (mut found, written) = (Vec::new(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (place, event) in all.iter().enumerate() {
                // However the threads are scheduled, one checkpoint is of a moment between.
                while place == all.len() / 2 && !written.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                let mut engine = shared.0.lock().expect("no thread panics");
                drop(push(&mut engine, event));
                // Every other thousand has someone who leaves it to the writer.
                if place / 1_000 % 2 == 0 && engine.is_helped() {
                    engine.help_checkpoint(1);
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            for (path, incremental) in [("/state.ff", false), ("/folder/", false), ("/chain/", true), ("/chain/", true)]
            {
                let request = Request { path: Path::new(path), offsets: OFFSETS, keep: 2, incremental };
                let begun = shared.0.lock().expect("no thread panics").stats().events.iter().sum::<u64>() > 0;
                Engine::checkpoint_shared(&shared, &disk, &request).expect("memory takes it");
                written.store(begun, Ordering::Relaxed);
                let read =
                    Engine::restore_from(&disk, &plan, &Options::default(), Path::new(path)).expect("whole").engine;
                found.push((
                    read.stats().events.iter().sum::<u64>() + read.stats().late.iter().sum::<u64>(),
                    bytes(&read),
                ));
            }
        }
    });
    assert!(found.iter().any(|(events, _)| (1..3_000).contains(events)), "some are of a moment between");
    let mut engine = Engine::new(Arc::clone(&plan));
    let mut pushed = 0;
    for (events, read) in found {
        for event in &all[pushed..events as usize] {
            drop(push(&mut engine, event));
        }
        pushed = events as usize;
        assert!(bytes(&engine) == read, "the state after {events} events");
    }
}
