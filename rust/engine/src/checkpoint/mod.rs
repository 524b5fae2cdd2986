//! State that survives: an engine as a file that is whole or absent, and an engine that goes on from it as if it had never stopped.
//!
//! `write` and `read` know what a full checkpoint holds, `snapshot` how it is saved while events go on, `handover` by whom, `increment` what has been accepted since; `sections` are what both are made of, by
//! the numbers in `format`, and `layout` says what the bytes of keys mean. `disk` is a file that is whole or absent on whatever keeps files,
//! `file` alone touches the real one, `folder` keeps chains of files, and `chain` writes and reads
//! those; `inspect` shows them to people.

mod chain;
mod changes;
mod disk;
mod file;
mod folder;
mod format;
mod handover;
mod increment;
mod inspect;
mod keys;
mod layout;
mod pages;
mod parts;
mod read;
mod sections;
mod shared;
mod snapshot;
mod steps;
mod target;
mod write;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::chain::{Job, Request};
pub use self::disk::{Disk, DiskFile, Over};
pub use self::file::LocalDisk;
pub use self::format::FORMAT_VERSION;
pub(crate) use self::handover::Handover;
pub use self::inspect::{File, Inspected, inspect};
use self::sections::Fault;
pub use self::shared::Shared;
pub use self::snapshot::Snapshot;
use crate::change::Restart;
use crate::engine::{Engine, Options};
use crate::error::{CheckpointError, CheckpointFault};
use crate::plan::Plan;

/// An engine as it was, and what was written with it.
#[derive(Debug)]
pub struct Restored {
    /// Goes on as the one that was written. Lookups have no rows yet.
    pub engine: Engine,
    /// Where the sources stood, as JSON.
    pub offsets: String,
    /// The file it came from: the last of its chain.
    pub path: PathBuf,
    /// Newer ones, and manifests, that were damaged.
    pub damaged: Vec<CheckpointError>,
}

/// What an engine is to go on with.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Of the definition that is wanted.
    pub plan: &'a Arc<Plan>,
    /// The engine's options.
    pub options: &'a Options,
    /// What becomes of a checkpoint of another definition.
    pub restart: Restart<'a>,
}

fn refused<T>(path: &Path, message: impl Into<String>) -> Result<T, CheckpointError> {
    fault(path, CheckpointFault::Refused, message)
}

fn fault<T>(path: &Path, fault: CheckpointFault, message: impl Into<String>) -> Result<T, CheckpointError> {
    Err(CheckpointError { fault, place: path.display().to_string(), message: message.into() })
}

fn placed(path: &Path) -> impl Fn(Fault) -> CheckpointError {
    |Fault { fault, message }| CheckpointError { fault, place: path.display().to_string(), message }
}

impl Engine {
    /// Writes all state to a file, or to a new one of a folder of which the newest `keep` stay; where it is then.
    ///
    /// A path is a folder where there is one, or where it ends with a separator; the folder is made then. `offsets` is JSON, given back by
    /// `restore`. The rows of lookups are not written: they are given again. Nothing changes; the engine is asked for whole, as it takes
    /// no event meanwhile, and so may be lent to another thread.
    ///
    /// # Errors
    /// The disk refuses, and what was there before is still there; or the request has no meaning.
    pub fn checkpoint(&mut self, path: &Path, offsets: &str, keep: usize) -> Result<PathBuf, CheckpointError> {
        let request = Request { path, offsets, keep, incremental: false };
        self.checkpoint_on(&LocalDisk, &request)
    }

    /// The same as a request says, on any disk.
    ///
    /// # Errors
    /// As `checkpoint`.
    pub fn checkpoint_on(&mut self, disk: &dyn Disk, request: &Request<'_>) -> Result<PathBuf, CheckpointError> {
        if let Some(job) = self.begin_increment(request)? {
            let job = job.write(disk, request);
            if let Some(written) = self.end_increment(job) {
                return written;
            }
        }
        self.checkpoint_in_full(disk, request)
    }

    /// Goes on from a file, or from the newest of a folder that is whole. The plan is of the same definition.
    ///
    /// # Errors
    /// Nothing there is whole, it is of another definition or release, or the disk refuses.
    pub fn restore(plan: Arc<Plan>, options: Options, path: &Path) -> Result<Restored, CheckpointError> {
        Self::restore_from(&LocalDisk, &plan, &options, path)
    }

    /// Goes on from a file or a folder that may be of another definition: what is the same keeps its state, what is new begins without any,
    /// what is gone is dropped, and what is another under an old name is refused or begins anew.
    ///
    /// # Errors
    /// As `restore`.
    pub fn restore_changed(wanted: Wanted<'_>, path: &Path) -> Result<Restored, CheckpointError> {
        Self::restore_wanted(&LocalDisk, wanted, path)
    }

    /// The plan that a file, or the newest of a folder, was written with; `plan` where it is of the same definition or of another release.
    ///
    /// # Errors
    /// Nothing is there, its first bytes are damaged, or the disk refuses.
    pub fn plan_of_checkpoint(disk: &dyn Disk, plan: &Arc<Plan>, path: &Path) -> Result<Arc<Plan>, CheckpointError> {
        chain::plan_of(disk, plan, path)
    }

    /// The bytes of a checkpoint.
    ///
    /// # Errors
    /// What takes them does not.
    pub fn write_checkpoint(&self, offsets: &str, out: &mut dyn Write) -> io::Result<()> {
        write::write(self, offsets, false, out).map(|_| ())
    }

    /// An engine from so many bytes of a checkpoint, and its offsets; `place` says in errors where they come from. Uses so many threads at most,
    /// one more to read: the engine is the same.
    ///
    /// # Errors
    /// As `restore`.
    pub fn read_checkpoint(
        plan: &Arc<Plan>,
        options: Options,
        threads: usize,
        input: &mut dyn Read,
        length: u64,
        place: &str,
    ) -> Result<(Self, String), CheckpointError> {
        read::read(plan, options, threads, input, length)
            .map(|read| (read.engine, read.offsets))
            .map_err(placed(Path::new(place)))
    }
}
