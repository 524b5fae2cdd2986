//! An engine whose keys go to disk and come back answers what one does that has them all in memory, to the bit, and is written down as the same
//! bytes; a disk that fails refuses an event and loses nothing.

#[expect(dead_code, reason = "what the other tests of checkpoints use")]
mod stopping;

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex};

use fastfeat_engine::checkpoint::{Restored, Snapshot};
use fastfeat_engine::engine::{Engine, OnLimit, Options};
use fastfeat_engine::error::SpillError;
use fastfeat_engine::plan::Plan;
use fastfeat_engine::spill::{LocalSpill, SpillDisk, SpillFile};
use proptest::prelude::*;
use serde_json::Value as Json;
use stopping::{Random, Raw, bytes, compile, events, features, push, restored, some};

const OFFSETS: &str = r#"{"payments-0":7}"#;

/// A disk in memory that fails at the operations it is told to.
#[derive(Clone, Debug, Default)]
struct MemorySpill(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    reads: u64,
    writes: u64,
    /// Numbers of the read and the write that fail.
    fails: (Option<u64>, Option<u64>),
    full: bool,
}

impl MemorySpill {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds the disk")
    }
}

impl SpillDisk for MemorySpill {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn open(&self) -> Result<Box<dyn SpillFile>, SpillError> {
        self.state().bytes.clear();
        Ok(Box::new(self.clone()))
    }
}

impl SpillFile for MemorySpill {
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        let mut state = self.state();
        state.reads += 1;
        if state.fails.0 == Some(state.reads - 1) {
            return Err(io::Error::other("input/output error"));
        }
        let from = (position as usize).min(state.bytes.len());
        let count = bytes.len().min(state.bytes.len() - from);
        bytes[..count].copy_from_slice(&state.bytes[from..from + count]);
        Ok(count)
    }

    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut state = self.state();
        state.writes += 1;
        let fails = state.full || state.fails.1 == Some(state.writes - 1);
        // A write that fails has taken half of its bytes.
        let taken = if fails { bytes.len() / 2 } else { bytes.len() };
        let end = position as usize + taken;
        if state.bytes.len() < end {
            state.bytes.resize(end, 0);
        }
        state.bytes[position as usize..end].copy_from_slice(&bytes[..taken]);
        if fails { Err(io::Error::new(ErrorKind::StorageFull, "no space left on device")) } else { Ok(()) }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.state().bytes.truncate(length as usize);
        Ok(())
    }
}

/// With a limit that is never reached: memory is laid out as under one.
fn roomy(idle_after: Option<i64>) -> Options {
    Options { memory_limit: Some(1 << 40), idle_after, ..Options::default() }
}

fn spilling(disk: &MemorySpill, limit: u64, idle_after: Option<i64>) -> Options {
    let spill: Arc<dyn SpillDisk> = Arc::new(disk.clone());
    Options {
        memory_limit: Some(limit),
        on_limit: OnLimit::Spill,
        spill: Some(spill),
        idle_after,
        ..Options::default()
    }
}

/// A limit at which all keys go but those of the event at hand.
fn tight(plan: &Arc<Plan>) -> u64 {
    Engine::new(Arc::clone(plan)).stats().state_bytes + 145_000
}

fn open(plan: &Arc<Plan>, options: &Options) -> Engine {
    Engine::open(Arc::clone(plan), options.clone()).expect("the disk works")
}

/// Pushes events to both and compares; both as they are then.
fn assert_rows_are_equal(plan: &Arc<Plan>, limit: u64, idle_after: Option<i64>, events: &[Raw]) -> (Engine, Engine) {
    let disk = MemorySpill::default();
    let (mut never, mut engine) = (open(plan, &roomy(idle_after)), open(plan, &spilling(&disk, limit, idle_after)));
    for (place, event) in events.iter().enumerate() {
        assert_eq!(push(&mut engine, event), push(&mut never, event), "event {place}: {event:?}");
    }
    let stats = engine.stats();
    assert_eq!((stats.keys, stats.expired), (never.stats().keys, never.stats().expired));
    assert!(stats.keys < 9 || disk.state().writes > 0 && disk.state().reads > 0, "nothing went to disk: {stats:?}");
    assert!(bytes(&engine) == bytes(&never), "another state");
    assert_eq!((stats.refused, stats.evicted), (0, 0));
    (engine, never)
}

#[test]
fn every_aggregation_over_every_window_comes_back() {
    for (disorder, on_late, cards) in [(0, "reject", 40), (20, "emit", 9)] {
        let plan = compile(&features(), disorder as i64 / 2, on_late).expect("each of them compiles");
        let events = events(7, 1_500, cards, disorder);
        let mut never = open(&plan, &roomy(None));
        events.iter().for_each(|event| drop(push(&mut never, event)));
        let (engine, _) = assert_rows_are_equal(&plan, never.stats().state_bytes / 2, None, &events);
        assert!(engine.stats().spilled_keys > 0);
    }
}

#[test]
fn keys_leave_from_disk_when_nothing_can_see_them() {
    let all = features();
    let rolling: Vec<Json> =
        all.iter().filter(|feature| feature["expression"]["window"]["kind"] == "rolling").cloned().collect();
    let mut many = events(11, 1_500, 400, 4);
    many.extend(
        events(12, 300, 2, 4).into_iter().map(|(stream, text)| (stream, text.replacen("\"ts\":", "\"ts\":100", 1))),
    );
    let plan = compile(&some(&rolling, 3, 20), 3, "reject").expect("each of them compiles");
    let (engine, _) = assert_rows_are_equal(&plan, tight(&plan), None, &many);
    assert!(engine.stats().expired > 100 && engine.stats().spilled_keys < 100, "{:?}", engine.stats());
    let plan = compile(&some(&all, 3, 30), 3, "reject").expect("each of them compiles");
    let (engine, _) = assert_rows_are_equal(&plan, tight(&plan), Some(700), &many);
    assert!(engine.stats().expired > 100, "{:?}", engine.stats());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn any_features_come_back(
        seed in any::<u64>(),
        count in 1_usize..12,
        disorder in prop_oneof![Just(0_u64), 1..60_u64],
        cards in prop_oneof![1..4_u64, Just(60)],
        idle in prop_oneof![Just(None), Just(Some(900))],
    ) {
        let chosen = some(&features(), seed, count);
        let on_late = if seed % 2 == 0 { "emit" } else { "reject" };
        let plan = compile(&chosen, disorder as i64 / 2, on_late).expect("each of them compiles");
        let many = events(seed, 400, cards, disorder);
        assert_rows_are_equal(&plan, tight(&plan), idle, &many);
    }
}

#[test]
fn a_checkpoint_is_read_under_a_limit_that_is_smaller_than_the_state() {
    let plan = compile(&some(&features(), 9, 30), 3, "reject").expect("each of them compiles");
    let many = events(13, 4_000, 1_500, 4);
    let (first, rest) = many.split_at(3_000);
    let mut never = open(&plan, &roomy(None));
    first.iter().for_each(|event| drop(push(&mut never, event)));
    let written = bytes(&never);
    let limit = never.stats().state_bytes / 4;
    let disk = MemorySpill::default();
    let mut engine = restored(&plan, spilling(&disk, limit, None), &written).expect("it is whole");
    let stats = engine.stats();
    assert!(stats.spilled_keys > stats.keys / 2 && stats.state_bytes <= limit, "{limit}: {stats:?}");
    assert!(bytes(&engine) == written);
    for event in rest {
        assert_eq!(push(&mut engine, event), push(&mut never, event));
        assert!(engine.stats().state_bytes <= limit, "{limit}: {:?}", engine.stats());
    }
    assert!(bytes(&engine) == bytes(&never));
}

#[test]
fn increments_lead_there_too() {
    let folder = std::env::temp_dir().join(format!("fastfeat-spill-chain-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let plan = compile(&some(&features(), 21, 20), 3, "reject").expect("each of them compiles");
    let many = events(14, 3_000, 700, 4);
    let (disk, other) = (MemorySpill::default(), MemorySpill::default());
    let limit = tight(&plan);
    let (mut never, mut engine) = (open(&plan, &roomy(None)), open(&plan, &spilling(&disk, limit, None)));
    for (place, event) in many.iter().enumerate() {
        assert_eq!(push(&mut engine, event), push(&mut never, event));
        if place % 700 == 600 {
            let local = fastfeat_engine::checkpoint::LocalDisk;
            let request =
                fastfeat_engine::checkpoint::Request { path: &folder, offsets: "{}", keep: 2, incremental: true };
            engine.checkpoint_on(&local, &request).expect("the disk works");
            let again = Engine::restore(Arc::clone(&plan), spilling(&other, limit, None), &folder);
            let Restored { engine: again, .. } = again.expect("it is whole");
            assert!(again.stats().spilled_keys > 0);
            assert!(bytes(&again) == bytes(&never), "another state at {place}");
        }
    }
    std::fs::remove_dir_all(&folder).expect("it is ours");
}

#[test]
fn a_disk_that_fails_refuses_the_event_and_loses_nothing() {
    let plan = compile(&some(&features(), 5, 12), 3, "emit").expect("each of them compiles");
    let many = events(15, 500, 60, 4);
    let limit = tight(&plan);
    let (mut refused, mut quiet) = (0, 0);
    for number in (0..20).chain((20..900).step_by(61)) {
        for fails in [(Some(number), None), (None, Some(number))] {
            let disk = MemorySpill::default();
            disk.state().fails = fails;
            let (mut never, mut engine) = (open(&plan, &roomy(None)), open(&plan, &spilling(&disk, limit, None)));
            for event in &many {
                let mut answer = push(&mut engine, event);
                if let Some(error) = answer.first().filter(|answer| answer.contains("spill folder `memory`")) {
                    assert!(
                        error.contains("could not be read: input") || error.contains("could not be written: no space")
                    );
                    refused += 1;
                    // Once the disk works again, so does the event.
                    answer = push(&mut engine, event);
                }
                assert_eq!(answer, push(&mut never, event), "fails {fails:?}");
            }
            // A read that fails while keys are looked through only puts that off.
            quiet += usize::from(bytes(&engine) != bytes(&never));
            assert_eq!(engine.stats().keys + engine.stats().expired, never.stats().keys + never.stats().expired);
        }
    }
    assert!(refused > 30, "{refused} events were refused");
    assert!(quiet < 20, "{quiet} states differ");
}

#[test]
fn a_full_disk_refuses_until_it_is_not() {
    let plan = compile(&some(&features(), 6, 12), 0, "reject").expect("each of them compiles");
    let many = events(16, 600, 60, 0);
    let disk = MemorySpill::default();
    let (mut never, mut engine) = (open(&plan, &roomy(None)), open(&plan, &spilling(&disk, tight(&plan), None)));
    for (place, event) in many.iter().enumerate() {
        if place == 300 {
            disk.state().full = true;
            let before = bytes(&engine);
            for event in &many[300..320] {
                let told = push(&mut engine, event);
                assert!(told[0].contains("no space left"), "{told:?}");
            }
            assert!(bytes(&engine) == before, "what was refused has changed nothing");
            disk.state().full = false;
        }
        assert_eq!(push(&mut engine, event), push(&mut never, event));
    }
    assert!(bytes(&engine) == bytes(&never));
}

#[test]
fn rot_is_named_and_believed_by_nobody() {
    let plan = compile(&some(&features(), 7, 12), 0, "reject").expect("each of them compiles");
    let many = events(17, 400, 30, 0);
    let disk = MemorySpill::default();
    let (mut never, mut engine) = (open(&plan, &roomy(None)), open(&plan, &spilling(&disk, tight(&plan), None)));
    for event in &many[..200] {
        assert_eq!(push(&mut engine, event), push(&mut never, event));
    }
    for byte in &mut disk.state().bytes {
        *byte ^= 0x10;
    }
    let (mut right, mut named) = (0, 0);
    for event in &many[200..] {
        let answer = push(&mut engine, event);
        if answer.first().is_some_and(|told| told.contains("is not what was written there")) {
            named += 1;
        } else {
            assert_eq!(answer, push(&mut never, event));
            right += 1;
            break;
        }
    }
    assert!(named > 0, "{named} named, {right} right");
    let mut out = Vec::new();
    assert!(engine.write_checkpoint("{}", &mut out).is_err_and(|error| error.to_string().contains("spill folder")));
}

#[test]
fn the_file_stays_within_a_few_times_what_is_in_it() {
    let plan = compile(&some(&features(), 8, 30), 0, "reject").expect("each of them compiles");
    let disk = MemorySpill::default();
    let (mut never, mut engine) =
        (open(&plan, &roomy(None)), open(&plan, &spilling(&disk, tight(&plan) + 300_000, None)));
    let mut most = 0;
    for event in events(18, 20_000, 2_000, 0) {
        assert_eq!(push(&mut engine, &event), push(&mut never, &event));
        let stats = engine.stats();
        assert!(stats.spill_file_bytes <= 3 * stats.spilled_bytes + (32 << 20), "{stats:?}");
        most = most.max(stats.spill_file_bytes);
    }
    assert!(bytes(&engine) == bytes(&never));
    assert!(most > 8 << 20, "{most} bytes: nothing was written anew");
}

#[test]
fn engines_share_a_folder_and_begin_with_an_empty_file() {
    let folder = std::env::temp_dir().join(format!("fastfeat-spill-{}", std::process::id()));
    let plan = compile(&some(&features(), 5, 6), 0, "reject").expect("each of them compiles");
    let spill: Arc<dyn SpillDisk> = Arc::new(LocalSpill::new(&folder));
    let options = Options { spill: Some(spill), ..spilling(&MemorySpill::default(), tight(&plan), None) };
    let (first, second) = (folder.join("fastfeat.spill"), folder.join("fastfeat-1.spill"));
    let length = |file: &Path| std::fs::metadata(file).expect("it is there").len();
    let fill = |engine: &mut Engine| {
        let rows: Vec<_> = events(19, 300, 60, 0).iter().map(|event| push(engine, event)).collect();
        assert!(engine.stats().spilled_keys > 0);
        rows
    };
    let (mut one, mut other) = (open(&plan, &options), open(&plan, &options));
    assert_eq!(fill(&mut one), fill(&mut other));
    assert!(length(&first) > 0 && length(&second) > 0);
    drop(one);
    assert!(length(&first) == 0 && length(&second) > 0);
    let state = bytes(&other);
    // One that comes takes what is free, and leaves alone what is not.
    std::fs::write(&first, "left by one that was killed").expect("it can be written");
    let engine = open(&plan, &options);
    assert_eq!((length(&first), engine.stats().keys), (0, 0));
    assert!(length(&second) > 0 && bytes(&other) == state);
    drop(engine);
    drop(other);
    std::fs::write(&second, "left by one that was killed").expect("it can be written");
    let engine = open(&plan, &options);
    assert_eq!((length(&first), length(&second)), (0, 0));
    drop(engine);
    std::fs::remove_dir_all(&folder).expect("it is ours");
}

/// Pushes all events; at `from` a state begins to be written, in steps of `size` bytes, so many at a time between two events. How many keys were on
/// disk at the instant.
fn assert_written_unnoticed(
    plan: &Arc<Plan>,
    (limit, idle_after): (u64, Option<i64>),
    events: &[Raw],
    from: usize,
    (size, steps): (usize, u64),
) -> u64 {
    let disk = MemorySpill::default();
    let (mut never, mut engine) = (open(plan, &roomy(idle_after)), open(plan, &spilling(&disk, limit, idle_after)));
    let (before, after) = events.split_at(from.min(events.len()));
    for event in before {
        assert_eq!(push(&mut engine, event), push(&mut never, event));
    }
    let (then, on_disk, mut random) = (bytes(&never), engine.stats().spilled_keys, Random(from as u64));
    // The second one begins when images of the first have been written, read back and written anew.
    for turn in 0..2 {
        let then = if turn == 0 { then.clone() } else { bytes(&never) };
        let (mut file, mut is_done) = (Vec::new(), false);
        let mut snapshot = Snapshot::begin(&mut engine, OFFSETS, &mut file).expect("memory takes it");
        let share = if turn == 0 { &after[..after.len() * 2 / 3] } else { &after[after.len() * 2 / 3..] };
        for (place, event) in share.iter().enumerate() {
            for _ in 0..random.below(steps + 1) {
                is_done = is_done || snapshot.step_of(&mut engine, size).expect("the disk works");
            }
            assert_eq!(
                push(&mut engine, event),
                push(&mut never, event),
                "event {place} after instant {turn}: {event:?}"
            );
        }
        while !is_done {
            is_done = snapshot.step_of(&mut engine, size).expect("the disk works");
        }
        snapshot.end().expect("memory takes it");
        assert!(bytes(&engine) == bytes(&never), "the engine did not notice");
        for options in [roomy(idle_after), spilling(&MemorySpill::default(), limit, idle_after)] {
            let stopped = restored(plan, options, &file).expect("what was written is read");
            assert!(bytes(&stopped) == then, "the file is the state of instant {turn}");
        }
    }
    on_disk
}

#[test]
fn every_aggregation_is_written_while_keys_come_and_go() {
    for (disorder, on_late, cards, steps) in [(0, "reject", 40, 1), (20, "emit", 9, 3)] {
        let plan = compile(&features(), disorder as i64 / 2, on_late).expect("each of them compiles");
        let events = events(7, 1_500, cards, disorder);
        let mut never = open(&plan, &roomy(None));
        events.iter().for_each(|event| drop(push(&mut never, event)));
        let limit = never.stats().state_bytes / 2;
        let on_disk = assert_written_unnoticed(&plan, (limit, None), &events, 900, (300, steps));
        assert!(on_disk > 0, "{on_disk} keys");
    }
}

/// Logs that are saved piece by piece, of keys that leave and come back meanwhile.
#[test]
fn keys_with_thousands_of_events_are_written_once() {
    // Events leave their windows, so that logs no longer begin with their first one.
    let is_rolling = |feature: &&Json| feature["expression"]["window"]["kind"] == "rolling";
    let rolling: Vec<Json> = features().iter().filter(is_rolling).cloned().collect();
    for (seed, cards) in [(1, 3), (2, 5), (3, 9)] {
        let plan = compile(&some(&rolling, seed, 8), 0, "reject").expect("each of them compiles");
        let events = events(seed, 6_000, cards, 0);
        let mut never = open(&plan, &roomy(None));
        events.iter().for_each(|event| drop(push(&mut never, event)));
        let limit = tight(&plan) + never.stats().state_bytes / 9;
        for (size, steps) in [(1, 1), (1, 9), (300, 2), (4_096, 1)] {
            assert!(assert_written_unnoticed(&plan, (limit, None), &events, 4_000, (size, steps)) > 0);
        }
    }
}

#[test]
fn images_that_are_written_anew_are_written_once() {
    let plan = compile(&some(&features(), 8, 30), 0, "reject").expect("each of them compiles");
    let events = events(18, 9_000, 2_000, 0);
    // So few steps that most images have gone somewhere else before they are passed over.
    for (size, steps) in [(1, 1), (4_096, 1), (1 << 20, 1)] {
        let on_disk = assert_written_unnoticed(&plan, (tight(&plan) + 300_000, None), &events, 6_000, (size, steps));
        assert!(on_disk > 500, "{on_disk} keys");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_state_is_written_as_of_its_instant(
        seed in any::<u64>(),
        count in 1..10_usize,
        cards in prop::sample::select(vec![1_u64, 4, 60, 300]),
        disorder in prop::sample::select(vec![0_u64, 3, 40]),
        emits in any::<bool>(),
        idle in prop::option::of(200..2_000_i64),
        from in 0..800_usize,
        more in prop::sample::select(vec![0_u64, 20_000, 200_000]),
        size in prop::sample::select(vec![1_usize, 1, 300, 8_192]),
        steps in 1..4_u64,
    ) {
        let chosen = some(&features(), seed, count);
        let plan = compile(&chosen, (disorder * 3 / 4) as i64, if emits { "emit" } else { "reject" }).expect("each compiles");
        let limit = tight(&plan) + more;
        assert_written_unnoticed(&plan, (limit, idle), &events(seed, 800, cards, disorder), from, (size, steps));
    }
}

#[test]
fn a_disk_that_does_not_give_a_key_ends_what_is_written_and_nothing_else() {
    let plan = compile(&some(&features(), 6, 12), 0, "reject").expect("each of them compiles");
    let many = events(16, 900, 90, 0);
    let mut named = 0;
    for fails in 0..12 {
        let disk = MemorySpill::default();
        let (mut never, mut engine) = (open(&plan, &roomy(None)), open(&plan, &spilling(&disk, tight(&plan), None)));
        for event in &many[..600] {
            assert_eq!(push(&mut engine, event), push(&mut never, event));
        }
        let mut file = Vec::new();
        let mut snapshot = Snapshot::begin(&mut engine, OFFSETS, &mut file).expect("memory takes it");
        let reads = disk.state().reads;
        disk.state().fails.0 = Some(reads + fails);
        let told = loop {
            match snapshot.step(&mut engine) {
                Ok(false) => {}
                Ok(true) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        disk.state().fails.0 = None;
        match told {
            Some(told) => {
                assert!(told.contains("spill folder `memory`") && told.contains("input/output error"), "{told}");
                named += 1;
                snapshot.give_up(&mut engine);
            }
            None => snapshot.end().expect("memory takes it"),
        }
        for event in &many[600..] {
            assert_eq!(push(&mut engine, event), push(&mut never, event));
        }
        let mut file = Vec::new();
        let mut snapshot = Snapshot::begin(&mut engine, OFFSETS, &mut file).expect("memory takes it");
        while !snapshot.step(&mut engine).expect("the disk works again") {}
        snapshot.end().expect("memory takes it");
        assert!(bytes(&restored(&plan, roomy(None), &file).expect("it is whole")) == bytes(&never));
    }
    assert!(named > 0);
}
