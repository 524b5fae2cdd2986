//! Writing an engine down while Python, and for an increment the engine too, goes on.

use std::path::PathBuf;
use std::sync::{PoisonError, TryLockError};

use fastfeat_engine::checkpoint::{Request, inspect};
use fastfeat_engine::error::{CheckpointError, CheckpointFault};
use pyo3::prelude::*;

use crate::engine::Engine;
use crate::errors;
use crate::place::{Place, StoreOptions};

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
        let disk = place.disk();
        let request = Request { path: &place.path, offsets, keep, incremental };
        let raise = |error| errors::checkpoint(py, &error);
        let _one_at_a_time = loop {
            match self.checkpointing.try_lock() {
                Ok(guard) => break guard,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    py.detach(|| drop(self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner)));
                }
            }
        };
        let job = self.work()?.core.begin_increment(&request).map_err(raise)?;
        if let Some(job) = job {
            // The engine takes events meanwhile.
            let job = py.detach(|| job.write(disk, &request));
            let written = self.work()?.core.end_increment(job);
            if let Some(written) = written {
                return written.map_err(raise);
            }
        }
        let mut work = self.work()?;
        let core = &mut work.core;
        py.detach(|| core.checkpoint_in_full(disk, &request)).map_err(raise)
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
