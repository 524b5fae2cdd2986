//! State that survives: an engine as a file that is whole or absent, and an engine that goes on from it as if it had never stopped.
//!
//! `write` and `read` know bytes, `format` what they are made of, `layout` what those of a key mean; `file` alone touches the disk, and
//! `folder` keeps several. Every checkpoint is of all state, and writing one takes the engine for as long.

mod changes;
mod file;
mod folder;
mod format;
mod layout;
mod read;
mod write;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::format::FORMAT_VERSION;
use self::read::Fault;
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
    /// The file it came from.
    pub path: PathBuf,
    /// Newer ones, and manifests, that were damaged.
    pub damaged: Vec<CheckpointError>,
}

fn refused<T>(path: &Path, message: impl Into<String>) -> Result<T, CheckpointError> {
    fault(path, CheckpointFault::Refused, message)
}

fn fault<T>(path: &Path, fault: CheckpointFault, message: impl Into<String>) -> Result<T, CheckpointError> {
    Err(CheckpointError { fault, place: path.display().to_string(), message: message.into() })
}

fn unwritten(path: &Path, error: &io::Error) -> CheckpointError {
    let message = format!("it could not be written: {error}; what was there before is still there");
    CheckpointError { fault: CheckpointFault::Disk, place: path.display().to_string(), message }
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
        if let Err(error) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(offsets) {
            return refused(path, format!("its offsets are no JSON object: {error}"));
        }
        if keep == 0 {
            return refused(path, "keep is 0, and the new one would go at once; keep 1 or more");
        }
        if !file::is_folder(path) {
            let written = file::write_whole(path, |out| write::write(self, offsets, out));
            return written.map(|()| path.to_owned()).map_err(|error| unwritten(path, &error));
        }
        file::make_folder(path).map_err(|error| unwritten(path, &error))?;
        let listed = folder::list(path)?;
        let newest = folder::next(path, &listed)?;
        file::write_whole(&newest, |out| write::write(self, offsets, out))
            .and_then(|()| folder::publish(path, &newest, &listed, keep))
            .map_err(|error| unwritten(&newest, &error))?;
        Ok(newest)
    }

    /// Goes on from a file, or from the newest of a folder that is whole. The plan is of the same definition.
    ///
    /// # Errors
    /// Nothing there is whole, it is of another definition or release, or the disk refuses.
    pub fn restore(plan: Arc<Plan>, options: Options, path: &Path) -> Result<Restored, CheckpointError> {
        if !file::is_folder(path) {
            let (engine, offsets) = restore_file(&plan, options, path)?;
            return Ok(Restored { engine, offsets, path: path.to_owned(), damaged: Vec::new() });
        }
        let listed = folder::list(path)?;
        let mut damaged: Vec<CheckpointError> = listed.damaged.into_iter().collect();
        for file in listed.files {
            match restore_file(&plan, options.clone(), &file) {
                Ok((engine, offsets)) => return Ok(Restored { engine, offsets, path: file, damaged }),
                // What was asked for does not fit: an older one must not be taken in its place in silence.
                Err(error) if error.fault == CheckpointFault::Refused => return Err(error),
                Err(error) => damaged.push(error),
            }
        }
        match damaged.as_slice() {
            [] => refused(path, "the folder has no checkpoint; give the path of one, or begin with a new engine"),
            all => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                fault(path, CheckpointFault::Damaged, format!("none in the folder is whole: {}", all.join("; ")))
            }
        }
    }

    /// The bytes of a checkpoint.
    ///
    /// # Errors
    /// What takes them does not.
    pub fn write_checkpoint(&self, offsets: &str, out: &mut dyn Write) -> io::Result<()> {
        write::write(self, offsets, out)
    }

    /// An engine from so many bytes of a checkpoint, and its offsets; `place` says in errors where they come from.
    ///
    /// # Errors
    /// As `restore`.
    pub fn read_checkpoint(
        plan: &Arc<Plan>,
        options: Options,
        input: &mut dyn Read,
        length: u64,
        place: &str,
    ) -> Result<(Self, String), CheckpointError> {
        read::read(plan, options, input, length).map_err(|Fault { fault, message }| CheckpointError {
            fault,
            place: place.to_owned(),
            message,
        })
    }
}

fn restore_file(plan: &Arc<Plan>, options: Options, path: &Path) -> Result<(Engine, String), CheckpointError> {
    let (mut input, length) = match file::open(path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return fault(
                path,
                CheckpointFault::Disk,
                "it does not exist; give the path of a checkpoint, or begin with a new engine",
            );
        }
        Err(error) => return fault(path, CheckpointFault::Disk, format!("it cannot be opened: {error}")),
    };
    Engine::read_checkpoint(plan, options, &mut input, length, &path.display().to_string())
}
