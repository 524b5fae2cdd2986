//! The spill file on the disk of the machine, and what is asked of whatever stands in for it.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;

use crate::error::SpillError;

/// Engines that can share a folder.
const FILES_MAX: usize = 1_000;

/// Where keys may be spilled to.
pub trait SpillDisk: fmt::Debug + Send + Sync {
    /// The folder, for messages.
    fn place(&self) -> String;
    /// An empty file that nobody else has.
    ///
    /// # Errors
    /// As many engines have one as can, or the disk refuses.
    fn open(&self) -> Result<Box<dyn SpillFile>, SpillError>;
}

/// A file that is read and written at any position.
pub trait SpillFile: fmt::Debug + Send + Sync {
    /// Fills `bytes` from this position on, as far as the file goes; how many there were.
    ///
    /// # Errors
    /// Those of the disk; so for the others.
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at this position.
    ///
    /// # Errors
    /// Those of the disk; nobody reads then what was written of them.
    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Gives back everything from this position on.
    ///
    /// # Errors
    /// Those of the disk.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// A folder on a disk of the machine. It is made where it is missing; engines share it, of any process, with a file for each.
#[derive(Clone, Debug)]
pub struct LocalSpill {
    folder: PathBuf,
}

impl LocalSpill {
    /// Nothing is touched before it is opened.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl SpillDisk for LocalSpill {
    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn open(&self) -> Result<Box<dyn SpillFile>, SpillError> {
        let refused = |message: String| SpillError { place: self.place(), message };
        let unusable = |error: io::Error| {
            refused(format!("it cannot be used: {error}; give a folder on a local disk that can be written to"))
        };
        if !self.folder.is_dir() {
            fs::create_dir(&self.folder).map_err(unusable)?;
        }
        for number in 0..FILES_MAX {
            let path = self.folder.join(name(number));
            let file =
                File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(unusable)?;
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0).map_err(unusable)?;
                    self.empty_beyond(number);
                    return Ok(Box::new(LocalFile { file }));
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        }
        Err(refused(format!("{FILES_MAX} engines have it; give others a `spill_path` of their own")))
    }
}

impl LocalSpill {
    /// Gives the room back that engines left behind which were killed.
    fn empty_beyond(&self, number: usize) {
        for path in
            (number + 1..FILES_MAX).map(|number| self.folder.join(name(number))).take_while(|path| path.exists())
        {
            // Whoever has it keeps it; the file stays, since another may be about to lock it.
            if let Ok(file) = File::options().write(true).open(path)
                && file.try_lock().is_ok()
            {
                let _left = file.set_len(0);
            }
        }
    }
}

/// Of the file of an engine, the first that nobody had.
fn name(number: usize) -> String {
    if number == 0 { "fastfeat.spill".to_owned() } else { format!("fastfeat-{number}.spill") }
}

#[derive(Debug)]
struct LocalFile {
    file: File,
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        // What cannot be given back now is when the file is opened again.
        let _scratch = self.file.set_len(0);
    }
}

impl SpillFile for LocalFile {
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < bytes.len() {
            match read_some(&self.file, &mut bytes[read..], position + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            match write_some(&self.file, &bytes[written..], position + written as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
}

#[cfg(unix)]
fn read_some(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, position)
}

#[cfg(unix)]
fn write_some(file: &File, bytes: &[u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, position)
}

#[cfg(windows)]
fn read_some(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, position)
}

#[cfg(windows)]
fn write_some(file: &File, bytes: &[u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, position)
}
