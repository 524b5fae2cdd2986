//! What checkpoints ask of whatever keeps their files, and a file that is there whole, under its name, or not at all.
//!
//! Bytes go to a temporary name beside it, which is synced, renamed, and the folder synced. An error of a sync is never tried again:
//! the kernel may have thrown away what it could not write, and a second sync would say that all is well.
//!
//! An object store puts a file whole, or not at all: nothing is renamed there, and what must not be there, or must not have changed since
//! it was read, is said with the put.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Ends the names of files that are being written.
const TEMPORARY: &str = ".part";
const BUFFER_BYTES: usize = 1 << 18;
/// Sections are read past it, into where they stay.
const READ_BYTES: usize = 1 << 13;

/// What a file that is put whole may take the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Whatever is there.
    Anything,
    /// Nothing: a file of its name is an error of the kind `AlreadyExists`, and stays.
    Nothing,
    /// What was there when it was last opened on this disk; another file is an error, and stays.
    Known,
}

/// Where files are kept.
pub trait Disk: fmt::Debug {
    /// A new file that is there whole, under its name, once its `sync` has ended well, and not at all before. `None` where files are not
    /// kept so: they are written under another name then, and renamed.
    ///
    /// # Errors
    /// Those of the disk. After one it is not known whether the file is there.
    fn put(&self, path: &Path, over: Over) -> io::Result<Option<Box<dyn DiskFile>>> {
        let _ = (path, over);
        Ok(None)
    }
    /// A new file, or an old one without its bytes.
    ///
    /// # Errors
    /// Those of the disk; so for all the others.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// A file to read, and how many bytes it has.
    ///
    /// # Errors
    /// Those of the disk.
    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)>;
    /// Gives a file another name in its folder, in place of one that has it.
    ///
    /// # Errors
    /// Those of the disk.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// Those of the disk.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder last.
    ///
    /// # Errors
    /// Those of the disk.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Names in a folder that are texts.
    ///
    /// # Errors
    /// Those of the disk.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Whether a folder is there.
    fn has_folder(&self, path: &Path) -> bool;
    /// Makes a folder.
    ///
    /// # Errors
    /// Those of the disk.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
}

/// A file that is being written.
pub trait DiskFile: Write {
    /// Makes its bytes last.
    ///
    /// # Errors
    /// Those of the disk; what was written may be gone then, and asking again would not tell.
    fn sync(&mut self) -> io::Result<()>;
}

/// Why something was not written.
#[derive(Debug)]
pub(super) enum Failed {
    Write(io::Error),
    /// A sync failed: what the disk says from now on cannot be relied on.
    Sync(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// Writes a file as a whole, or leaves what was there.
pub(super) fn write_whole<T>(
    disk: &dyn Disk,
    path: &Path,
    over: Over,
    write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> Result<T, Failed> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file").into());
    };
    if let Some(file) = disk.put(path, over)? {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
        let told = write(&mut out)?;
        // A put that failed may have happened all the same: the next one asks what is there, and goes on from that.
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync()?;
        return Ok(told);
    }
    let folder = folder_of(path);
    sweep(disk, folder, name);
    let temporary = folder.join(temporary_name(name));
    let written = write_synced(disk, &temporary, write)
        .and_then(|told| disk.rename(&temporary, path).map(|()| told).map_err(Failed::Write));
    let told = match written {
        Ok(told) => told,
        Err(error) => {
            // It may not be there, or not go; the next checkpoint sweeps it.
            let _ = disk.remove(&temporary);
            return Err(error);
        }
    };
    disk.sync_folder(folder).map_err(Failed::Sync)?;
    Ok(told)
}

fn write_synced<T>(
    disk: &dyn Disk,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> Result<T, Failed> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, disk.create(path)?);
    let told = write(&mut out)?;
    let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync().map_err(Failed::Sync)?;
    Ok(told)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name that no other writer has: of another process, or of another engine of this one.
fn temporary_name(name: &OsStr) -> String {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    format!("{}{}-{number}{TEMPORARY}", prefix(name), std::process::id())
}

fn prefix(name: &OsStr) -> String {
    format!(".{}.", name.to_string_lossy())
}

/// Removes what writers that were killed have left of this file.
fn sweep(disk: &dyn Disk, folder: &Path, name: &OsStr) {
    let (prefix, own) = (prefix(name), format!("{}-", std::process::id()));
    for found in disk.names(folder).unwrap_or_default() {
        let middle = found.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(TEMPORARY));
        let is_ours = middle.is_some_and(|middle| {
            middle.split_once('-').is_some_and(|(process, number)| is_number(process) && is_number(number))
        });
        if is_ours && middle.is_some_and(|middle| !middle.starts_with(&own)) {
            // What does not go only takes room.
            let _ = disk.remove(&folder.join(found));
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A file to read, what is small of it in pieces, and how many bytes it has.
pub(super) fn open(disk: &dyn Disk, path: &Path) -> io::Result<(impl Read, u64)> {
    let (file, length) = disk.open(path)?;
    Ok((BufReader::with_capacity(READ_BYTES, file), length))
}

/// All of a small text; a longer one is an error.
pub(super) fn read_text(disk: &dyn Disk, path: &Path, bytes_max: u64) -> io::Result<String> {
    let (input, length) = open(disk, path)?;
    if length > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has {length} bytes")));
    }
    let mut text = String::new();
    input.take(bytes_max).read_to_string(&mut text)?;
    Ok(text)
}

/// Whether the path stands for a folder: one that is there, or a name that ends as folders' do.
pub(super) fn is_folder(disk: &dyn Disk, path: &Path) -> bool {
    disk.has_folder(path) || path.as_os_str().to_string_lossy().ends_with(std::path::MAIN_SEPARATOR)
}

/// Makes a folder, and makes its name last; one that is there stays.
pub(super) fn make_folder(disk: &dyn Disk, path: &Path) -> Result<(), Failed> {
    if disk.has_folder(path) {
        return Ok(());
    }
    disk.make_folder(path)?;
    disk.sync_folder(folder_of(path)).map_err(Failed::Sync)
}

/// A path under a folder.
pub(super) fn under(folder: &Path, names: &[String]) -> Vec<PathBuf> {
    names.iter().map(|name| folder.join(name)).collect()
}
