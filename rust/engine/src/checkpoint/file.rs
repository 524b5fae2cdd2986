//! The one file that touches the disk: a file is there whole, under its name, or not at all.
//!
//! Bytes go to a temporary name beside it, which is synced, renamed, and the folder synced. An error of a sync is never tried again:
//! the kernel may have thrown away what it could not write, and a second sync would say that all is well.

#![expect(clippy::disallowed_methods, reason = "this is the file that may open others")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Ends the names of files that are being written.
const TEMPORARY: &str = ".part";
const BUFFER_BYTES: usize = 1 << 18;

/// Writes a file as a whole, or leaves what was there.
pub(super) fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
    };
    let folder = folder_of(path);
    sweep(folder, name);
    let temporary = folder.join(temporary_name(name));
    let written = write_synced(&temporary, write).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // It may not be there, or not go; the next checkpoint sweeps it.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_folder(folder)
}

fn write_synced(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

/// Makes the names in a folder last.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and a rename lasts by itself.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
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
fn sweep(folder: &Path, name: &OsStr) {
    let (prefix, own) = (prefix(name), format!("{}-", std::process::id()));
    for found in names(folder).unwrap_or_default() {
        let middle = found.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(TEMPORARY));
        let is_ours = middle.is_some_and(|middle| {
            middle.split_once('-').is_some_and(|(process, number)| is_number(process) && is_number(number))
        });
        if is_ours && middle.is_some_and(|middle| !middle.starts_with(&own)) {
            // What does not go only takes room.
            let _ = fs::remove_file(folder.join(found));
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A file to read, and how many bytes it has.
pub(super) fn open(path: &Path) -> io::Result<(impl Read, u64)> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((BufReader::with_capacity(BUFFER_BYTES, file), length))
}

/// All of a small text; a longer one is an error.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let (input, length) = open(path)?;
    if length > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has {length} bytes")));
    }
    let mut text = String::new();
    input.take(bytes_max).read_to_string(&mut text)?;
    Ok(text)
}

/// Names of the files of a folder that are texts.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether the path stands for a folder: one that is there, or a name that ends as folders' do.
pub(super) fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with(std::path::MAIN_SEPARATOR)
}

/// Makes a folder, and makes its name last; one that is there stays.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir(path)?;
    sync_folder(folder_of(path))
}

/// Removes a file that is not needed any more.
pub(super) fn remove(path: PathBuf) -> io::Result<()> {
    fs::remove_file(path)
}
