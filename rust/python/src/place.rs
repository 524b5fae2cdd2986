//! Where a checkpoint is: a path of this machine, or an address in an object store.

use std::path::{Path, PathBuf};

use fastfeat_engine::checkpoint::{Disk, LocalDisk};
use fastfeat_engine::error::{CheckpointError, CheckpointFault};
use pyo3::prelude::*;

/// Names and values.
pub type StoreOptions = Vec<(String, String)>;

/// A disk, and a path on it.
pub struct Place {
    disk: Box<dyn Disk + Send + Sync>,
    pub path: PathBuf,
}

impl Place {
    /// Where a text leads, with the options of a store.
    pub fn of(path: PathBuf, options: &[(String, String)]) -> Result<Self, CheckpointError> {
        #[cfg(feature = "stores")]
        if let Some(address) = path.to_str().filter(|text| fastfeat_stores::is_address(text)) {
            if let Some(path) = fastfeat_stores::local(address) {
                return Self::local(path, options);
            }
            let disk = Box::new(fastfeat_stores::open(address, options)?);
            return Ok(Self { disk, path });
        }
        #[cfg(not(feature = "stores"))]
        if path.to_string_lossy().contains("://") {
            return refused(&path, "this build has no object stores; build it with the feature `stores`");
        }
        Self::local(path, options)
    }

    fn local(path: PathBuf, options: &[(String, String)]) -> Result<Self, CheckpointError> {
        if options.is_empty() {
            Ok(Self { disk: Box::new(LocalDisk), path })
        } else {
            refused(&path, "store_options are for an object store, and this is a path of this machine; leave them out")
        }
    }

    pub fn disk(&self) -> &(dyn Disk + Send + Sync) {
        &*self.disk
    }
}

fn refused<T>(path: &Path, message: &str) -> Result<T, CheckpointError> {
    let place = path.display().to_string();
    Err(CheckpointError { fault: CheckpointFault::Refused, place, message: message.to_owned() })
}

/// A path for Python: of this machine a Path, in a store a text, as a Path would take a slash out of it.
pub fn told<'py>(py: Python<'py>, path: &Path) -> PyResult<Bound<'py, PyAny>> {
    match path.to_str().filter(|text| text.contains("://")) {
        Some(address) => Ok(address.into_pyobject(py)?.into_any()),
        None => path.into_pyobject(py),
    }
}
