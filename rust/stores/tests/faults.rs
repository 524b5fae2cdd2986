//! A store that fails at any request, before it has taken it or after, never leads to a state that was not written: a checkpoint is whole
//! or absent, what was said to be written is there, and of two writers one is told.

#[path = "../../engine/tests/stopping/mod.rs"]
#[expect(dead_code, reason = "what the tests of other disks use")]
mod stopping;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fastfeat_engine::checkpoint::{Disk, Over, Request, inspect};
use fastfeat_engine::engine::{Engine, Options};
use fastfeat_engine::error::{CheckpointError, CheckpointFault};
use fastfeat_engine::plan::Plan;
use fastfeat_stores::StoreDisk;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use stopping::{Raw, bytes, compile, events, features, push};

const FOLDER: &str = "memory://state/payments";
const STEP: usize = 6;
const INCREMENTAL: [bool; 6] = [true, true, true, false, true, true];

/// When a request fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// It never arrives.
    Before,
    /// It is done, and the answer is lost.
    After,
    /// Neither this one nor any later one arrives: the machine has stopped.
    Stop,
}

#[derive(Debug, Default)]
struct Faults {
    requests: AtomicU64,
    fault: Mutex<Option<(u64, Fault)>>,
}

impl Faults {
    fn next(&self) -> Option<Fault> {
        let number = self.requests.fetch_add(1, SeqCst);
        let (at, fault) = (*self.fault.lock().expect("no test panics with it"))?;
        (number == at || (number > at && fault == Fault::Stop)).then_some(fault)
    }

    async fn around<T: Send>(&self, request: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let lost = || Error::Generic { store: "test", source: "the line is dead".into() };
        match self.next() {
            None => request.await,
            Some(Fault::After) => request.await.and_then(|_| Err(lost())),
            Some(Fault::Before | Fault::Stop) => Err(lost()),
        }
    }
}

#[derive(Debug)]
struct Failing {
    store: Arc<InMemory>,
    faults: Arc<Faults>,
}

impl std::fmt::Display for Failing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "a store that fails")
    }
}

#[derive(Debug)]
struct FailingUpload {
    upload: Box<dyn MultipartUpload>,
    faults: Arc<Faults>,
}

#[async_trait]
impl MultipartUpload for FailingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, faults) = (self.upload.put_part(data), Arc::clone(&self.faults));
        Box::pin(async move { faults.around(part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.faults.around(self.upload.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.faults.around(self.upload.abort()).await
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, at: &Key, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.faults.around(self.store.put_opts(at, payload, options)).await
    }

    async fn put_multipart_opts(&self, at: &Key, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.faults.around(self.store.put_multipart_opts(at, options)).await?;
        Ok(Box::new(FailingUpload { upload, faults: Arc::clone(&self.faults) }))
    }

    async fn get_opts(&self, at: &Key, options: GetOptions) -> Result<GetResult> {
        self.faults.around(self.store.get_opts(at, options)).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
        match self.faults.next() {
            Some(Fault::Before | Fault::Stop) => Box::pin(futures_util::stream::once(async {
                Err(Error::Generic { store: "test", source: "the line is dead".into() })
            })),
            _ => self.store.delete_stream(keys),
        }
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.faults.around(self.store.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.faults.around(self.store.copy_opts(from, to, options)).await
    }
}

struct Store {
    memory: Arc<InMemory>,
    faults: Arc<Faults>,
    disk: StoreDisk,
}

impl Store {
    fn new() -> Self {
        let (memory, faults) = (Arc::new(InMemory::new()), Arc::new(Faults::default()));
        let failing = Failing { store: Arc::clone(&memory), faults: Arc::clone(&faults) };
        let disk = StoreDisk::new("memory://state".to_owned(), Arc::new(failing), vec![]).expect("a thread");
        Self { memory, faults, disk }
    }

    fn fail_at(&self, fault: Option<(u64, Fault)>) {
        self.faults.requests.store(0, SeqCst);
        *self.faults.fault.lock().expect("no test panics with it") = fault;
    }

    fn requests(&self) -> u64 {
        self.faults.requests.load(SeqCst)
    }

    /// Another writer's view of the same store.
    fn other(&self) -> StoreDisk {
        StoreDisk::new("memory://state".to_owned(), Arc::clone(&self.memory) as _, vec![]).expect("a thread")
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let key = Key::from(format!("payments/{name}"));
            let mut bytes = self.memory.get(&key).await.expect("memory").bytes().await.expect("memory").to_vec();
            change(&mut bytes);
            self.memory.put(&key, bytes.into()).await.expect("memory");
        });
    }
}

struct Case {
    plan: Arc<Plan>,
    events: Vec<Raw>,
    /// The bytes of an engine after so many steps.
    states: Vec<Vec<u8>>,
}

impl Case {
    fn new() -> Self {
        let chosen: Vec<_> = features().iter().step_by(41).cloned().collect();
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

    fn checkpoint(engine: &mut Engine, disk: &dyn Disk, steps: usize) -> Result<(), CheckpointError> {
        let offsets = format!(r#"{{"steps":{steps}}}"#);
        let incremental = INCREMENTAL[(steps - 1) % INCREMENTAL.len()];
        let request = Request { path: Path::new(FOLDER), offsets: &offsets, keep: 2, incremental };
        engine.checkpoint_on(disk, &request).map(drop)
    }

    fn step(&self, engine: &mut Engine, step: usize) {
        self.events[step * STEP..(step + 1) * STEP].iter().for_each(|event| drop(push(engine, event)));
    }

    /// Runs to the end whatever the store does: the newest step that was said to be written, and the newest that was tried.
    fn run(&self, disk: &dyn Disk) -> (usize, usize) {
        let mut engine = Engine::new(Arc::clone(&self.plan));
        let mut written = 0;
        for step in 0..INCREMENTAL.len() {
            self.step(&mut engine, step);
            match Self::checkpoint(&mut engine, disk, step + 1) {
                Ok(()) => written = step + 1,
                Err(error) => assert_eq!(error.fault, CheckpointFault::Disk, "{error}"),
            }
        }
        assert!(bytes(&engine) == self.states[INCREMENTAL.len()], "the engine itself goes on whatever the store does");
        (written, INCREMENTAL.len())
    }

    fn restore(&self, disk: &dyn Disk) -> Result<(Engine, usize), CheckpointError> {
        let restored = Engine::restore_from(disk, &self.plan, &Options::default(), Path::new(FOLDER))?;
        let offsets: serde_json::Value = serde_json::from_str(&restored.offsets).expect("JSON");
        let steps = offsets["steps"].as_u64().expect("a number") as usize;
        assert!(bytes(&restored.engine) == self.states[steps], "another state than after {steps} steps");
        Ok((restored.engine, steps))
    }

    fn assert_recovers(&self, disk: &dyn Disk, (written, tried): (usize, usize), about: &str) {
        let reached = match self.restore(disk) {
            Ok((mut engine, steps)) => {
                self.step(&mut engine, steps);
                Self::checkpoint(&mut engine, disk, steps + 1).expect("the store works again");
                assert_eq!(self.restore(disk).expect("it is whole").1, steps + 1, "{about}");
                steps
            }
            Err(error) => {
                assert!(written == 0, "{about}: {error}");
                0
            }
        };
        assert!((written..=tried).contains(&reached), "{about}: {reached} of {written} to {tried}");
    }
}

#[test]
fn whatever_request_fails_what_was_written_is_there() {
    let case = Case::new();
    let store = Store::new();
    assert_eq!(case.run(&store.disk), (INCREMENTAL.len(), INCREMENTAL.len()));
    let requests = store.requests();
    assert!(requests > 30, "{requests}");
    for fault in [Fault::Before, Fault::After, Fault::Stop] {
        for at in 0..requests {
            let store = Store::new();
            store.fail_at(Some((at, fault)));
            let told = case.run(&store.disk);
            store.fail_at(None);
            case.assert_recovers(&store.other(), told, &format!("{fault:?} at {at}"));
        }
    }
}

#[test]
fn whatever_fails_during_recovery_the_next_one_succeeds() {
    let case = Case::new();
    let store = Store::new();
    let told = case.run(&store.disk);
    for at in 0..100 {
        store.fail_at(Some((at, Fault::Before)));
        let restored = case.restore(&store.other_failing());
        if store.requests() <= at {
            assert!(restored.is_ok() && at > 5, "{at}");
            return;
        }
        // What cannot be read now may be whole: nothing older is taken in its place.
        assert_eq!(restored.expect_err("it fails").fault, CheckpointFault::Disk, "at {at}");
        store.fail_at(None);
        assert_eq!(case.restore(&store.other()).expect("it is whole").1, told.0);
    }
    panic!("recovery takes no end");
}

impl Store {
    fn other_failing(&self) -> StoreDisk {
        let failing = Failing { store: Arc::clone(&self.memory), faults: Arc::clone(&self.faults) };
        StoreDisk::new("memory://state".to_owned(), Arc::new(failing), vec![]).expect("a thread")
    }
}

#[test]
fn of_two_writers_of_one_name_the_second_is_told() {
    let store = Store::new();
    let (one, other) = (&store.disk, store.other());
    let path = Path::new("memory://state/payments/checkpoint-1.ff");
    // Both small and in parts; both begin before either ends.
    for bytes in [10, 40 << 20] {
        let mut files =
            [one as &dyn Disk, &other].map(|disk| disk.put(path, Over::Nothing).expect("a name").expect("whole"));
        let written = files.each_mut().map(|file| file.write_all(&vec![7; bytes]).and_then(|()| file.sync()));
        assert!(written[0].is_ok());
        let error = written[1].as_ref().expect_err("the name is taken");
        assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("another writer has put payments/checkpoint-1.ff"), "{error}");
        drop(files);
        assert_eq!(one.open(path).expect("it is there").1, bytes as u64);
        one.remove(path).expect("it goes");
    }
}

#[test]
fn a_manifest_that_another_has_changed_is_not_put() {
    let store = Store::new();
    let other = store.other();
    let path = Path::new("memory://state/payments/manifest.json");
    let put = |disk: &dyn Disk, bytes: &[u8]| {
        let mut file = disk.put(path, Over::Known)?.expect("stores put files whole");
        file.write_all(bytes)?;
        file.sync()
    };
    for disk in [&store.disk, &other] {
        assert!(disk.open(path).is_err(), "nothing is there");
    }
    put(&store.disk, b"one").expect("nothing was there");
    put(&store.disk, b"two").expect("it is the one that put it");
    assert!(put(&other, b"other").is_err(), "it has read that there is none");
    assert_eq!(other.open(path).expect("it is there").1, 3);
    put(&other, b"other").expect("it has read the newest");
    let error = put(&store.disk, b"three").expect_err("another has changed it").to_string();
    assert!(error.contains("another writer has changed payments/manifest.json meanwhile"), "{error}");
}

#[test]
fn a_large_file_comes_back_as_it_was_put_whatever_part_fails() {
    let store = Store::new();
    let path = Path::new("memory://state/large.ff");
    let bytes: Vec<u8> = (0..(70_usize << 20) + 13).map(|at| (at * 7 + at / 251) as u8).collect();
    let put = |over| {
        let mut file = store.disk.put(path, over).expect("a name").expect("whole");
        bytes.chunks(1 << 20).try_for_each(|piece| file.write_all(piece)).and_then(|()| file.sync())
    };
    store.fail_at(None);
    put(Over::Anything).expect("no fault");
    let requests = store.requests();
    assert!(requests >= 6, "{requests}");
    let mut read = Vec::new();
    let (mut file, length) = store.disk.open(path).expect("it is there");
    file.read_to_end(&mut read).expect("no fault");
    assert!(length == bytes.len() as u64 && read == bytes);
    for at in 0..requests {
        store.disk.remove(path).expect("it goes");
        store.fail_at(Some((at, Fault::Before)));
        put(Over::Anything).expect_err("one fails");
        store.fail_at(None);
        assert_eq!(store.disk.open(path).err().map(|error| error.kind()), Some(std::io::ErrorKind::NotFound), "{at}");
        put(Over::Anything).expect("no fault");
    }
}

#[test]
fn damage_is_named_and_the_one_before_is_used() {
    let case = Case::new();
    let store = Store::new();
    let mut engine = Engine::new(Arc::clone(&case.plan));
    for step in 0..2 {
        case.step(&mut engine, step);
        let offsets = format!(r#"{{"steps":{}}}"#, step + 1);
        let request = Request { path: Path::new(FOLDER), offsets: &offsets, keep: 2, incremental: false };
        let path = engine.checkpoint_on(&store.disk, &request).expect("it works");
        assert_eq!(path, Path::new(FOLDER).join(format!("checkpoint-{}.ff", step + 1)));
    }
    let whole = inspect(&store.disk, Path::new(FOLDER), &[]).expect("it can be read");
    assert_eq!((whole.chains.len(), whole.manifest.as_deref()), (2, Some("whole")));
    store.change("checkpoint-2.ff", |bytes| bytes[100] ^= 1);
    let restored =
        Engine::restore_from(&store.disk, &case.plan, &Options::default(), Path::new(FOLDER)).expect("one is");
    assert_eq!(restored.offsets, r#"{"steps":1}"#);
    assert!(restored.damaged[0].place.ends_with("payments/checkpoint-2.ff"), "{:?}", restored.damaged);
}
