//! A checkpoint that those who push events help to save: the file is the state of its instant, whoever saves which part of it, and the writer comes to
//! an end whatever the others do. Everything happens in one thread here, so that a seed says what comes when; `schedules.rs` has the threads.

#[expect(dead_code, reason = "what the other tests of checkpoints use")]
mod memory_disk;
mod stopping;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use fastfeat_engine::checkpoint::{Request, Shared};
use fastfeat_engine::engine::Engine;
use fastfeat_engine::error::CheckpointError;
use fastfeat_engine::plan::Plan;
use memory_disk::{Fault, MemoryDisk};
use stopping::{Random, Raw, bytes, compile, counts, events, features, push, restored, some};

const FILE: &str = "/state.ff";
const OFFSETS: &str = r#"{"payments-0":7}"#;
/// What the writer has the engine for beside parts of the state: to begin, to look what is to be written, for the instant, and to end.
const HOLDS: usize = 4;

fn request(path: &'static str, incremental: bool) -> Request<'static> {
    Request { path: Path::new(path), offsets: OFFSETS, keep: 2, incremental }
}

/// An engine to which events come while the writer waits, and one to which the same events come that is never written.
struct Driven<'a> {
    engine: RefCell<Engine>,
    never: RefCell<Engine>,
    events: RefCell<std::slice::Iter<'a, Raw>>,
    random: RefCell<Random>,
    /// Fewer than so many come while it waits once, and this many at least.
    below: u64,
    least: u64,
    /// At the instant.
    then: RefCell<Vec<u8>>,
    /// How often the writer had the engine, waited, and was helped.
    holds: Cell<usize>,
    pauses: Cell<usize>,
    helped: Cell<usize>,
    /// Whether it asked for help when the writer had it last.
    is_asked: Cell<bool>,
}

impl<'a> Driven<'a> {
    fn new(plan: &Arc<Plan>, events: &'a [Raw], seed: u64, (least, below): (u64, u64)) -> Self {
        Self {
            engine: RefCell::new(Engine::new(Arc::clone(plan))),
            never: RefCell::new(Engine::new(Arc::clone(plan))),
            events: RefCell::new(events.iter()),
            random: RefCell::new(Random(seed)),
            below,
            least,
            then: RefCell::default(),
            holds: Cell::new(0),
            pauses: Cell::new(0),
            helped: Cell::new(0),
            is_asked: Cell::new(false),
        }
    }

    /// The next event, and what whoever has pushed it does then; false where there is none.
    fn push(&self) -> bool {
        let Some(event) = self.events.borrow_mut().next() else { return false };
        let engine = &mut *self.engine.borrow_mut();
        assert_eq!(push(engine, event), push(&mut self.never.borrow_mut(), event));
        if engine.is_helped() && engine.help_checkpoint(1) {
            self.helped.set(self.helped.get() + 1);
        }
        true
    }

    fn push_some(&self, count: usize) {
        (0..count).for_each(|_| assert!(self.push()));
    }

    fn write(&self, disk: &MemoryDisk, request: &Request<'_>) -> Result<(), CheckpointError> {
        [&self.holds, &self.pauses, &self.helped].into_iter().for_each(|counted| counted.set(0));
        self.then.take();
        let written = Engine::checkpoint_shared(self, disk, request).map(drop);
        assert!(!self.is_asked.get(), "all has been saved when the writer has it last, also where that fails");
        written
    }

    /// How much has been saved: a helper saves four times as much as the writer.
    fn saved(&self) -> usize {
        4 * self.helped.get() + self.holds.get().saturating_sub(HOLDS)
    }

    fn assert_unnoticed(&self) {
        let (engine, never) = (self.engine.borrow(), self.never.borrow());
        assert!(bytes(&engine) == bytes(&never), "the engine did not notice");
        assert_eq!(format!("{:?}", counts(&engine)), format!("{:?}", counts(&never)));
        assert!(!engine.is_helped(), "nobody is asked for help any more");
    }

    fn assert_is_of_the_instant(&self, disk: &MemoryDisk, path: &str) {
        let stopped = restored(self.engine.borrow().plan(), Default::default(), &disk.bytes(Path::new(path)));
        assert!(bytes(&stopped.expect("what was written is read")) == *self.then.borrow(), "another state");
    }
}

impl Shared for Driven<'_> {
    fn with<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        self.holds.set(self.holds.get() + 1);
        let engine = &mut *self.engine.borrow_mut();
        self.is_asked.set(engine.is_helped());
        Some(act(engine))
    }

    fn at_instant<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        self.then.replace(bytes(&self.engine.borrow()));
        self.with(act)
    }

    fn give_way(&self) {
        // Some come before the instant, and between the parts that the writer saves itself.
        if self.random.borrow_mut().below(30) == 0 {
            self.push();
        }
    }

    fn pause(&self) {
        self.pauses.set(self.pauses.get() + 1);
        let count = self.least + self.random.borrow_mut().below(self.below - self.least);
        for _ in 0..count {
            self.push();
        }
    }
}

#[test]
fn the_file_is_the_state_of_its_instant_whoever_saves_it() {
    let (mut helped, mut alone) = (0, 0);
    for seed in 0..60 {
        let (cards, disorder) = ([1, 4, 60, 600][seed as usize % 4], [0, 3, 40][seed as usize % 3]);
        let plan = compile(&some(&features(), seed, 1 + seed as usize % 9), disorder as i64 * 3 / 4, "emit");
        let plan = plan.expect("each compiles");
        let all = events(seed, 3_000, cards, disorder);
        let driven = Driven::new(&plan, &all, seed, (0, [2, 3, 9, 40][seed as usize / 4 % 4]));
        driven.push_some(1_000);
        let disk = MemoryDisk::default();
        driven.write(&disk, &request(FILE, false)).expect("memory takes it");
        driven.assert_is_of_the_instant(&disk, FILE);
        driven.assert_unnoticed();
        helped += driven.helped.get();
        alone += driven.holds.get() - HOLDS;
        while driven.push() {}
        driven.assert_unnoticed();
    }
    assert!(helped > 300 && alone > 300, "both save parts: {helped} and {alone}");
}

#[test]
fn increments_go_on_from_what_others_have_saved() {
    let plan = compile(&some(&features(), 7, 8), 3, "emit").expect("each compiles");
    let all = events(7, 6_000, 300, 4);
    let driven = Driven::new(&plan, &all, 7, (1, 5));
    let disk = MemoryDisk::with_folder(Path::new("/state"));
    driven.push_some(2_000);
    for _ in 0..3 {
        driven.write(&disk, &request("/state", true)).expect("memory takes it");
        driven.assert_unnoticed();
        driven.push_some(50);
    }
    driven.write(&disk, &request("/state", true)).expect("memory takes it");
    let read = Engine::restore_from(&disk, &plan, &Default::default(), Path::new("/state")).expect("it is whole");
    assert!(bytes(&read.engine) == bytes(&driven.engine.borrow()));
}

/// However few events come while the writer waits: as long as they come, it does not take the engine.
#[test]
fn while_events_come_only_those_who_push_save() {
    let plan = compile(&some(&features(), 3, 20), 3, "emit").expect("each compiles");
    let all = events(3, 60_000, 500, 4);
    for (least, below) in [(1, 2), (2, 3), (7, 8), (1, 30)] {
        let driven = Driven::new(&plan, &all, 1, (least, below));
        driven.push_some(5_000);
        let disk = MemoryDisk::default();
        driven.write(&disk, &request(FILE, false)).expect("memory takes it");
        driven.assert_is_of_the_instant(&disk, FILE);
        assert_eq!(driven.holds.get(), HOLDS, "the writer has saved nothing itself");
        let (helped, pauses) = (driven.helped.get(), driven.pauses.get());
        assert!(helped >= 20, "{helped} parts");
        assert!(pauses <= 3 * helped, "{pauses} pauses for {helped} parts");
    }
}

#[test]
fn the_writer_of_an_engine_that_nobody_uses_goes_on_by_itself() {
    let plan = compile(&some(&features(), 3, 20), 3, "emit").expect("each compiles");
    let all = events(3, 5_000, 500, 4);
    let driven = Driven::new(&plan, &all, 1, (0, 1));
    while driven.push() {}
    let disk = MemoryDisk::default();
    driven.write(&disk, &request(FILE, false)).expect("memory takes it");
    driven.assert_is_of_the_instant(&disk, FILE);
    assert_eq!(driven.helped.get(), 0);
    assert!(driven.pauses.get() <= 4, "{} pauses", driven.pauses.get());
}

#[test]
fn a_disk_that_fails_leaves_an_engine_that_nobody_is_asked_to_help() {
    let plan = compile(&some(&features(), 5, 12), 3, "emit").expect("each compiles");
    let all = events(5, 60_000, 2_000, 4);
    for operation in 1.. {
        let driven = Driven::new(&plan, &all, operation, (0, 4));
        driven.push_some(12_000);
        let disk = MemoryDisk::default();
        disk.fail_at(Some((operation, Fault::Full)));
        let written = driven.write(&disk, &request(FILE, false));
        driven.assert_unnoticed();
        let (is_begun, saved) = (!driven.then.borrow().is_empty(), driven.saved());
        match written {
            Ok(()) => return assert!(operation > 5, "it has failed at some writes"),
            // It writes no more then.
            Err(error) if error.message.contains("this engine writes no more") => continue,
            Err(_) => disk.fail_at(None),
        }
        driven.write(&disk, &request(FILE, false)).expect("there is room again");
        driven.assert_is_of_the_instant(&disk, FILE);
        driven.assert_unnoticed();
        assert!(!is_begun || saved > driven.saved() / 2, "the rest is saved for nobody, part by part");
    }
}

#[test]
fn a_writer_that_has_gone_asks_nobody_for_help() {
    struct Gone<'a>(Driven<'a>, usize);
    impl Shared for Gone<'_> {
        fn with<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T> {
            self.0.with(act)
        }
        fn give_way(&self) {}
        fn pause(&self) {
            self.0.pause();
            assert!(self.0.pauses.get() < self.1, "its thread ends");
        }
    }
    let plan = compile(&some(&features(), 5, 12), 3, "emit").expect("each compiles");
    let all = events(5, 9_000, 300, 4);
    for pauses in [1, 2, 7, 12] {
        let gone = Gone(Driven::new(&plan, &all, 5, (1, 6)), pauses);
        gone.0.push_some(2_000);
        let disk = MemoryDisk::default();
        let ended = catch_unwind(AssertUnwindSafe(|| Engine::checkpoint_shared(&gone, &disk, &request(FILE, false))));
        assert!(ended.is_err(), "the writer panics");
        gone.0.push_some(1);
        gone.0.assert_unnoticed();
        gone.0.write(&disk, &request(FILE, false)).expect("another one is written");
        gone.0.assert_is_of_the_instant(&disk, FILE);
        gone.0.assert_unnoticed();
    }
}

/// The writer must not wait for help that never comes.
#[test]
fn an_engine_that_stops_in_an_event_ends_the_checkpoint() {
    struct Stops(Mutex<Engine>, Cell<usize>);
    impl Shared for Stops {
        fn with<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T> {
            self.0.lock().ok().map(|mut engine| act(&mut engine))
        }
        fn give_way(&self) {}
        fn pause(&self) {
            let Some(left) = self.1.get().checked_sub(1) else { return };
            self.1.set(left);
            let is_last = left == 0;
            let engine = &self.0;
            let pushes = || {
                let mut engine = engine.lock().expect("it has not stopped yet");
                engine.help_checkpoint(1);
                assert!(!is_last, "a bug in an event");
            };
            thread::scope(|scope| drop(scope.spawn(pushes).join()));
        }
    }
    let plan = compile(&some(&features(), 5, 12), 3, "emit").expect("each compiles");
    for pauses in [1, 2, 9] {
        let mut engine = Engine::new(Arc::clone(&plan));
        events(5, 2_000, 300, 4).iter().for_each(|event| drop(push(&mut engine, event)));
        let stops = Stops(Mutex::new(engine), Cell::new(pauses));
        let disk = MemoryDisk::default();
        let error = Engine::checkpoint_shared(&stops, &disk, &request(FILE, false)).expect_err("it has stopped");
        assert!(error.message.contains("stopped in the middle of an event"), "{error}");
        assert!(disk.told().iter().all(|told| !told.contains("rename")), "nothing is there: {:?}", disk.told());
    }
}
