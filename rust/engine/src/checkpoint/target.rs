//! Where a full checkpoint goes: a file, or a new one of a folder.

use std::io::{self, Write};
use std::path::PathBuf;

use super::chain::Request;
use super::disk::{self, Disk, Failed, Over};
use super::folder::{self, Chain, name_of};
use super::refused;
use super::sections::Sealed;
use crate::error::{CheckpointError, CheckpointFault};

/// What was not written: the error, and why the disk cannot be relied on any more, where it cannot.
pub(super) type Unwritten = (CheckpointError, Option<String>);

/// Why something was not written, as an error of its path.
pub(super) fn unwritten(path: &std::path::Path, failed: &Failed) -> Unwritten {
    let (error, unsynced) = match failed {
        Failed::Write(error) => {
            (format!("it could not be written: {error}; what was there before is still there"), None)
        }
        Failed::Sync(error) => {
            let why = format!("the disk could not make it last: {error}");
            (format!("{why}; this engine writes no more, as nothing that this disk says can be relied on"), Some(why))
        }
    };
    (CheckpointError { fault: CheckpointFault::Disk, place: path.display().to_string(), message: error }, unsynced)
}

/// A file that is to be.
#[derive(Debug)]
pub(super) struct Target {
    pub path: PathBuf,
    /// Whether increments are to follow.
    pub goes_on: bool,
    /// Of a folder: its number, and what the folder then has.
    pub chain: Option<(u64, Vec<Chain>)>,
}

impl Target {
    /// `has_chain` where the engine goes on from the last one of the folder.
    pub fn find(disk: &dyn Disk, request: &Request<'_>, has_chain: bool) -> Result<Self, Unwritten> {
        let &Request { path, keep, incremental, .. } = request;
        let is_folder = disk::is_folder(disk, path);
        if incremental && !is_folder {
            let message = "increments go to a folder; write the path of one, or end it as a folder's";
            return refused(path, message).map_err(|error| (error, None));
        }
        if !is_folder {
            return Ok(Self { path: path.to_owned(), goes_on: false, chain: None });
        }
        disk::make_folder(disk, path).map_err(|failed| unwritten(path, &failed))?;
        let listed = folder::list(disk, path).map_err(|error| (error, None))?;
        let base = folder::next(disk, path, &listed).map_err(|error| (error, None))?;
        let newest = std::iter::once(Chain { base, increments: 0 });
        let chains = newest.chain(listed.chains).take(keep).collect();
        let goes_on = incremental || has_chain;
        Ok(Self { path: path.join(name_of(base, 0)), goes_on, chain: Some((base, chains)) })
    }

    /// Writes it as a whole, and tells of it.
    pub fn write(
        &self,
        disk: &dyn Disk,
        write: impl FnOnce(&mut dyn Write) -> io::Result<Sealed>,
    ) -> Result<Sealed, Unwritten> {
        let over = if self.chain.is_some() { Over::Nothing } else { Over::Anything };
        let written = disk::write_whole(disk, &self.path, over, write);
        let written = written.and_then(|sealed| match (&self.chain, self.path.parent()) {
            (Some((_, chains)), Some(folder)) => folder::publish(disk, folder, chains).map(|()| sealed),
            _ => Ok(sealed),
        });
        written.map_err(|failed| unwritten(&self.path, &failed))
    }
}
