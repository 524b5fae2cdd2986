//! The spill file on the disk of the machine, and what is asked of whatever stands in for it.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;

use crate::error::SpillError;

/// Name of the file in its folder.
const NAME: &str = "fastfeat.spill";

/// Where keys may be spilled to.
pub trait SpillDisk: fmt::Debug + Send + Sync {
    /// The folder, for messages.
    fn place(&self) -> String;
    /// An empty file that nobody else has.
    ///
    /// # Errors
    /// Another engine has it, or the disk refuses.
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

/// A folder on a disk of the machine. It is made where it is missing; one engine at a time may have it.
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
        let path = self.folder.join(NAME);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(refused("another engine has it; give each engine a `spill_path` of its own".to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        file.set_len(0).map_err(unusable)?;
        Ok(Box::new(LocalFile { file }))
    }
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
