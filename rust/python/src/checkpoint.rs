//! Writing an engine down while Python and the engine go on.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, TryLockError};
use std::time::{Duration, Instant};

use fastfeat_engine::checkpoint::{Request, Shared, inspect};
use fastfeat_engine::engine::Engine as Core;
use fastfeat_engine::error::{CheckpointError, CheckpointFault};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::engine::Engine;
use crate::errors;
use crate::place::{Place, StoreOptions};

/// So often the writer lets others go before it, where some wait, until it takes its turn.
const GIVEN_WAY_MAX: usize = 1_000;
/// After so long with the engine, in all, the writer offers its processor to others.
const HELD_MAX: Duration = Duration::from_millis(1);
/// So long the writer sleeps where events come, until it looks whether those who push them have saved a part; the system adds half as much again.
const PAUSE: Duration = Duration::from_micros(50);

impl Engine {
    /// Writes a checkpoint. One at a time: another thread that wants one waits.
    pub fn write_checkpoint(
        &self,
        py: Python<'_>,
        place: &Place,
        offsets: &str,
        keep: usize,
        incremental: bool,
    ) -> PyResult<PathBuf> {
        // Refused to a call that came out of one that has the engine: it would wait for itself.
        drop(self.work()?);
        let _one_at_a_time = loop {
            match self.checkpointing.try_lock() {
                Ok(guard) => break guard,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    py.detach(|| drop(self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner)));
                }
            }
        };
        let request = Request { path: &place.path, offsets, keep, incremental };
        // The engine takes events meanwhile.
        py.detach(|| Core::checkpoint_shared(&Beside::new(self), place.disk(), &request))
            .map_err(|error| errors::checkpoint(py, &error))
    }

    /// After so many events, by who has pushed them: saves a part of a checkpoint that is being written, where it is wanted.
    #[inline]
    pub fn help(&self, core: &mut Core, events: usize) {
        if core.is_helped() {
            self.help_writer(core, events);
        }
    }

    #[cold]
    fn help_writer(&self, core: &mut Core, events: usize) {
        let begin = Instant::now();
        if core.help_checkpoint(events) {
            self.helped_ns.fetch_max(begin.elapsed().as_nanos() as u64, Ordering::Relaxed);
            self.helped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The bytes of a checkpoint: the same for the same state. The engine takes no event meanwhile.
    pub fn state_bytes(&self) -> PyResult<Vec<u8>> {
        let mut bytes = Vec::new();
        let written = self.work()?.core.write_checkpoint("{}", &mut bytes);
        written.map(|()| bytes).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }
}

/// An engine that has a checkpoint of it written while others use it.
struct Beside<'a> {
    engine: &'a Engine,
    /// For how long the engine has been had since the processor was given away.
    held: Cell<Duration>,
}

impl<'a> Beside<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self { engine, held: Cell::new(Duration::ZERO) }
    }

    /// Has the engine, and says for how long.
    fn timed<T>(&self, act: impl FnOnce(&mut Core) -> T) -> Option<(T, u64)> {
        let mut work = self.engine.work.lock().ok()?;
        self.engine.alone(&mut work).ok()?;
        let begin = Instant::now();
        let had = act(&mut work.core);
        let held = begin.elapsed();
        drop(work);
        self.held.set(self.held.get() + held);
        Some((had, held.as_nanos() as u64))
    }
}

impl Shared for Beside<'_> {
    fn with<T>(&self, act: impl FnOnce(&mut Core) -> T) -> Option<T> {
        let (had, held_ns) = self.timed(act)?;
        self.engine.held_ns.fetch_max(held_ns, Ordering::Relaxed);
        Some(had)
    }

    fn at_instant<T>(&self, act: impl FnOnce(&mut Core) -> T) -> Option<T> {
        let (had, held_ns) = self.timed(act)?;
        self.engine.instant_ns.store(held_ns, Ordering::Relaxed);
        for since in [&self.engine.held_ns, &self.engine.helped_ns, &self.engine.helped] {
            since.store(0, Ordering::Relaxed);
        }
        Some(had)
    }

    fn give_way(&self) {
        let mut times = 0;
        while self.engine.waiting.load(Ordering::Relaxed) > 0 && times < GIVEN_WAY_MAX {
            std::thread::yield_now();
            times += 1;
        }
        // Where processors are short this thread is to lose its own here rather than while it has the engine.
        if self.held.get() >= HELD_MAX {
            self.held.set(Duration::ZERO);
            std::thread::yield_now();
        }
    }

    fn pause(&self) {
        std::thread::sleep(PAUSE);
    }
}

/// What is inside a checkpoint, as JSON; with pairs of key columns and values also what it keeps of that key.
#[pyfunction]
#[pyo3(signature = (path, key, store_options))]
pub fn inspect_checkpoint(
    py: Python<'_>,
    path: PathBuf,
    key: Vec<(String, String)>,
    store_options: StoreOptions,
) -> PyResult<String> {
    let inspected = py.detach(|| {
        let place = Place::of(path, &store_options)?;
        inspect(place.disk(), &place.path, &key)
    });
    let inspected = inspected.map_err(|error| errors::checkpoint(py, &error))?;
    Ok(serde_json::to_string(&inspected).expect("a report is plain data"))
}

fn unread<T>(place: &Place, told: std::io::Result<T>) -> Result<T, CheckpointError> {
    told.map_err(|error| CheckpointError {
        fault: CheckpointFault::Disk,
        place: place.path.display().to_string(),
        message: format!("the store does not answer: {error}"),
    })
}

/// Names of the files in a folder of an object store.
#[pyfunction]
pub fn stored_names(py: Python<'_>, folder: PathBuf) -> PyResult<Vec<String>> {
    let names = py.detach(|| {
        let place = Place::of(folder, &[])?;
        unread(&place, place.disk().names(&place.path))
    });
    names.map_err(|error| errors::checkpoint(py, &error))
}

/// Bytes of a file in an object store.
#[pyfunction]
pub fn stored_bytes(py: Python<'_>, path: PathBuf) -> PyResult<u64> {
    let bytes = py.detach(|| {
        let place = Place::of(path, &[])?;
        unread(&place, place.disk().open(&place.path)).map(|(_, bytes)| bytes)
    });
    bytes.map_err(|error| errors::checkpoint(py, &error))
}

/// Removes files of a folder in an object store; some that are not there do no harm.
#[pyfunction]
pub fn remove_stored(py: Python<'_>, folder: PathBuf, names: Vec<String>) -> PyResult<()> {
    let removed = py.detach(|| {
        let place = Place::of(folder, &[])?;
        names.iter().try_for_each(|name| match place.disk().remove(&place.path.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => unread(&place, removed),
        })
    });
    removed.map_err(|error| errors::checkpoint(py, &error))
}
