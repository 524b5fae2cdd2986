//! Writing an engine down while Python, and for an increment the engine too, goes on.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, TryLockError};

use fastfeat_engine::checkpoint::{LocalDisk, Request, inspect};
use pyo3::prelude::*;

use crate::engine::Engine;
use crate::errors;

impl Engine {
    /// Writes a checkpoint. One at a time: another thread that wants one waits.
    pub fn write_checkpoint(
        &self,
        py: Python<'_>,
        path: &Path,
        offsets: &str,
        keep: usize,
        incremental: bool,
    ) -> PyResult<PathBuf> {
        let request = Request { path, offsets, keep, incremental };
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
            let job = py.detach(|| job.write(&LocalDisk, &request));
            let written = self.work()?.core.end_increment(job);
            if let Some(written) = written {
                return written.map_err(raise);
            }
        }
        let mut work = self.work()?;
        let core = &mut work.core;
        py.detach(|| core.checkpoint_in_full(&LocalDisk, &request)).map_err(raise)
    }
}

/// What is inside a checkpoint, as JSON; with pairs of key columns and values also what it keeps of that key.
#[pyfunction]
#[pyo3(signature = (path, key))]
pub fn inspect_checkpoint(py: Python<'_>, path: PathBuf, key: Vec<(String, String)>) -> PyResult<String> {
    let inspected = py.detach(|| inspect(&LocalDisk, &path, &key)).map_err(|error| errors::checkpoint(py, &error))?;
    Ok(serde_json::to_string(&inspected).expect("a report is plain data"))
}
