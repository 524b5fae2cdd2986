//! A disk that fails at any operation, or loses what was not synced, never leads to a state that was not written: a checkpoint is whole or
//! absent, what was said to be written is there, and nothing is written after a sync has failed.

mod memory_disk;
#[expect(dead_code, reason = "what the other tests of checkpoints use")]
mod stopping;

use std::path::Path;
use std::sync::{Arc, Mutex};

use fastfeat_engine::checkpoint::{Disk, Request, Shared};
use fastfeat_engine::engine::{Engine, Options};
use fastfeat_engine::error::{CheckpointError, CheckpointFault};
use fastfeat_engine::plan::Plan;
use memory_disk::{Fault, Loss, MemoryDisk};
use stopping::{Raw, bytes, compile, events, features, push};

const FOLDER: &str = "/state";
/// Events between checkpoints, and which of those are asked for as increments.
const STEP: usize = 6;
const INCREMENTAL: [bool; 6] = [true, true, true, false, true, true];
const FAULTS: [Fault; 5] = [Fault::Error, Fault::Full, Fault::ReadOnly, Fault::TooMany, Fault::Stop];

/// An engine that is shared for one call.
struct Lent<'a>(Mutex<&'a mut Engine>);

impl Shared for Lent<'_> {
    fn with<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        self.0.lock().ok().map(|mut engine| act(&mut engine))
    }

    fn give_way(&self) {}

    fn pause(&self) {}
}

struct Case {
    plan: Arc<Plan>,
    events: Vec<Raw>,
    /// The bytes of an engine after so many steps.
    states: Vec<Vec<u8>>,
}

impl Case {
    fn new() -> Self {
        let all = features();
        let chosen: Vec<_> = all.iter().step_by(41).cloned().collect();
        let plan = compile(&chosen, 5, "emit").expect("each compiles");
        let events = events(3, STEP * (INCREMENTAL.len() + 2), 2, 8);
        let mut engine = Engine::new(Arc::clone(&plan));
        let mut states = vec![bytes(&engine)];
        for step in events.chunks(STEP) {
            step.iter().for_each(|event| drop(push(&mut engine, event)));
            states.push(bytes(&engine));
        }
        Self { plan, events, states }
    }

    fn checkpoint(&self, engine: &mut Engine, disk: &MemoryDisk, steps: usize) -> Result<(), CheckpointError> {
        let offsets = format!(r#"{{"steps":{steps}}}"#);
        let incremental = INCREMENTAL[(steps - 1) % INCREMENTAL.len()];
        let request = Request { path: Path::new(FOLDER), offsets: &offsets, keep: 2, incremental };
        // Every other one while others could use the engine.
        let written = if steps.is_multiple_of(2) {
            engine.checkpoint_on(disk, &request)
        } else {
            Engine::checkpoint_shared(&Lent(Mutex::new(engine)), disk, &request)
        };
        written.map(drop)
    }

    fn step(&self, engine: &mut Engine, step: usize) {
        self.events[step * STEP..(step + 1) * STEP].iter().for_each(|event| drop(push(engine, event)));
    }

    /// Runs to the end whatever the disk does: the newest step that was said to be written, and the newest that was tried.
    fn run(&self, disk: &MemoryDisk) -> (usize, usize) {
        let mut engine = Engine::new(Arc::clone(&self.plan));
        let (mut written, mut tried) = (0, 0);
        for step in 0..INCREMENTAL.len() {
            self.step(&mut engine, step);
            let before = disk.operations();
            match self.checkpoint(&mut engine, disk, step + 1) {
                Ok(()) => (written, tried) = (step + 1, step + 1),
                Err(error) => {
                    assert_eq!(error.fault, CheckpointFault::Disk, "{error}");
                    if error.message.contains("nothing is written any more") {
                        assert_eq!(disk.operations(), before, "it does not touch the disk again");
                    } else {
                        tried = step + 1;
                    }
                }
            }
        }
        assert!(bytes(&engine) == self.states[INCREMENTAL.len()], "the engine itself goes on whatever the disk does");
        (written, tried)
    }

    fn restore(&self, disk: &MemoryDisk) -> Result<(Engine, usize), CheckpointError> {
        let options = Options { sleeping_from_bytes: 0, ..Options::default() };
        let restored = Engine::restore_from(disk, &self.plan, &options, Path::new(FOLDER))?;
        let offsets: serde_json::Value = serde_json::from_str(&restored.offsets).expect("JSON");
        let steps = offsets["steps"].as_u64().expect("a number") as usize;
        assert!(bytes(&restored.engine) == self.states[steps], "another state than after {steps} steps");
        Ok((restored.engine, steps))
    }

    /// What is there after the power has gone, and that it can be gone on from.
    fn assert_recovers(&self, disk: &MemoryDisk, (written, tried): (usize, usize), about: &str) {
        let reached = match self.restore(disk) {
            Ok((mut engine, steps)) => {
                if steps <= INCREMENTAL.len() {
                    self.step(&mut engine, steps);
                    self.checkpoint(&mut engine, disk, steps + 1).expect("the disk works again");
                    assert_eq!(self.restore(disk).expect("it is whole").1, steps + 1, "{about}");
                }
                steps
            }
            Err(error) => {
                assert!(error.message.contains("has no checkpoint") || written == 0, "{about}: {error}");
                0
            }
        };
        assert!((written..=tried).contains(&reached), "{about}: {reached} of {written} to {tried}: {:#?}", disk.told());
    }
}

fn new_disk() -> MemoryDisk {
    let disk = MemoryDisk::with_folder(Path::new(FOLDER));
    disk.fail_at(None);
    disk
}

#[test]
fn whatever_operation_fails_what_was_written_is_there() {
    let case = Case::new();
    let disk = new_disk();
    assert_eq!(case.run(&disk), (INCREMENTAL.len(), INCREMENTAL.len()));
    let operations = disk.operations();
    assert!(operations > 60, "{operations}");
    for fault in FAULTS {
        for at in 0..operations {
            for loss in [Loss::Nothing, Loss::Everything, Loss::Some(at * 7 + 1), Loss::Some(at * 13 + 5)] {
                let disk = new_disk();
                disk.fail_at(Some((at, fault)));
                let told = case.run(&disk);
                disk.lose(loss);
                case.assert_recovers(&disk, told, &format!("{fault:?} at {at}, then {loss:?} lost"));
            }
        }
    }
}

#[test]
fn whatever_fails_during_recovery_the_next_one_succeeds() {
    let case = Case::new();
    let disk = new_disk();
    case.run(&disk);
    let operations = disk.operations();
    for at in (0..operations).step_by(3) {
        for fault in [Fault::Error, Fault::Stop] {
            let disk = new_disk();
            disk.fail_at(Some((at, Fault::Stop)));
            let told = case.run(&disk);
            disk.lose(Loss::Some(at * 11 + 3));
            for again in 0..2_000 {
                assert!(again < 1_999, "recovery takes no end");
                disk.fail_at(Some((again, fault)));
                // What cannot be read now may be whole: nothing older is taken in its place.
                let recovered = case.restore(&disk);
                if let Ok((_, steps)) = &recovered {
                    assert!(*steps >= told.0, "{fault:?} at {at}, then at {again}: {steps} of {told:?}");
                }
                if let Ok((mut engine, steps)) = recovered
                    && steps <= INCREMENTAL.len()
                {
                    case.step(&mut engine, steps);
                    let _ = case.checkpoint(&mut engine, &disk, steps + 1);
                }
                let is_over = disk.operations() <= again;
                disk.lose(Loss::Everything);
                disk.fail_at(None);
                match case.restore(&disk) {
                    Ok((_, steps)) => {
                        assert!(steps >= told.0, "{fault:?} at {at}, then at {again}: {steps} of {told:?}")
                    }
                    Err(error) => assert_eq!(told.0, 0, "{fault:?} at {at}, then at {again}: {error}"),
                }
                if is_over {
                    break;
                }
            }
        }
    }
}

#[test]
fn nothing_is_written_after_a_sync_has_failed() {
    let case = Case::new();
    let disk = new_disk();
    case.run(&disk);
    let told = disk.told();
    let syncs: Vec<u64> =
        (0..disk.operations()).filter(|&at| told[at as usize].starts_with(&format!("{at} sync"))).collect();
    assert!(syncs.len() >= 4 * INCREMENTAL.len(), "a file, its folder, the manifest, its folder: {syncs:?}");
    for at in syncs {
        let disk = new_disk();
        disk.fail_at(Some((at, Fault::Error)));
        let mut engine = Engine::new(Arc::clone(&case.plan));
        let mut failed = 0;
        for step in 0..INCREMENTAL.len() {
            case.step(&mut engine, step);
            let before = disk.operations();
            if let Err(error) = case.checkpoint(&mut engine, &disk, step + 1) {
                failed += 1;
                let is_first = failed == 1;
                let part = if is_first { "this engine writes no more" } else { "nothing is written any more" };
                assert!(error.message.contains(part), "{error}");
                assert!(is_first || disk.operations() == before);
            } else {
                assert_eq!(failed, 0, "it was written after a sync had failed");
            }
        }
        assert!(failed > 0);
    }
}

#[test]
fn a_disk_in_memory_keeps_what_was_synced() {
    let disk = new_disk();
    let path = Path::new(FOLDER).join("file");
    let mut file = disk.create(&path).expect("it works");
    file.write_all(b"ab").expect("it works");
    file.sync().expect("it works");
    file.write_all(b"cd").expect("it works");
    drop(file);
    disk.lose(Loss::Nothing);
    assert_eq!(disk.bytes(&path), b"abcd");
    let other = Path::new(FOLDER).join("other");
    disk.rename(&path, &other).expect("it works");
    disk.lose(Loss::Everything);
    assert_eq!(disk.names(Path::new(FOLDER)).expect("it works"), ["file"]);
    disk.change(&path, |bytes| bytes.truncate(1));
    assert_eq!(disk.bytes(&path), b"a");
}
