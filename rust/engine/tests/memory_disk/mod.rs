//! A disk in memory that fails at the operation it is told to, and forgets what was not synced when the power goes.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fastfeat_engine::checkpoint::{Disk, DiskFile};

/// What happens at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An I/O error; a write has taken half of its bytes.
    Error,
    /// The disk is full; a write has taken half of its bytes.
    Full,
    /// It may only be read.
    ReadOnly,
    /// Too many files are open.
    TooMany,
    /// The machine stops: this operation and all after it do not happen.
    Stop,
}

/// What is lost of what was not synced.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    Nothing,
    Everything,
    /// Of each name and each file's bytes this or that, by a seed.
    Some(u64),
}

#[derive(Clone, Debug, Default)]
struct Node {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    names: BTreeMap<PathBuf, usize>,
    lasting: BTreeMap<PathBuf, usize>,
    folders: Vec<PathBuf>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    stopped: bool,
    /// Every operation, for messages.
    told: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

struct Writing {
    disk: MemoryDisk,
    node: usize,
}

struct Reading {
    disk: MemoryDisk,
    bytes: io::Cursor<Vec<u8>>,
}

fn error(kind: ErrorKind, text: &str) -> io::Error {
    io::Error::new(kind, text.to_owned())
}

impl MemoryDisk {
    pub fn with_folder(path: &Path) -> Self {
        let disk = Self::default();
        disk.state().folders.push(path.to_owned());
        disk
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds the disk")
    }

    /// From now on, the operation with this number (from 0) fails.
    pub fn fail_at(&self, fault: Option<(u64, Fault)>) {
        let mut state = self.state();
        (state.operations, state.fault, state.stopped) = (0, fault, false);
        state.told.clear();
    }

    /// Operations since `fail_at`, and what they were.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    pub fn told(&self) -> Vec<String> {
        self.state().told.clone()
    }

    /// Bytes of a file.
    pub fn bytes(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.nodes[state.names[path]].bytes.clone()
    }

    /// Changes a file as nobody should.
    pub fn change(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let node = state.names[path];
        change(&mut state.nodes[node].bytes);
    }

    /// The power goes, and comes again.
    pub fn lose(&self, loss: Loss) {
        let mut state = self.state();
        let mut random = match loss {
            Loss::Some(seed) => seed | 1,
            Loss::Nothing | Loss::Everything => 0,
        };
        let mut keeps = || match loss {
            Loss::Nothing => true,
            Loss::Everything => false,
            Loss::Some(_) => {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random & 4 == 0
            }
        };
        let paths: Vec<PathBuf> = state.names.keys().chain(state.lasting.keys()).cloned().collect();
        for path in paths {
            let (now, then) = (state.names.get(&path).copied(), state.lasting.get(&path).copied());
            let is = if now == then || keeps() { now } else { then };
            match is {
                Some(node) => state.names.insert(path, node),
                None => state.names.remove(&path),
            };
        }
        for node in &mut state.nodes {
            if node.bytes != node.synced && !keeps() {
                // Blocks that were never written read as zeros, where the length was.
                let length = if keeps() { node.bytes.len() } else { node.synced.len() };
                node.bytes = node.synced.clone();
                node.bytes.resize(length, 0);
            }
            node.synced = node.bytes.clone();
        }
        state.lasting = state.names.clone();
        (state.fault, state.stopped) = (None, false);
    }

    fn operation(&self, what: &str, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let number = state.operations;
        state.operations += 1;
        state.told.push(format!("{number} {what} {}", path.display()));
        if state.stopped {
            return Err(error(ErrorKind::Other, "the machine has stopped"));
        }
        let Some((_, fault)) = state.fault.filter(|(at, _)| *at == number) else { return Ok(()) };
        state.told.push(format!("{fault:?}"));
        Err(match fault {
            Fault::Error => error(ErrorKind::Other, "input/output error"),
            Fault::Full => error(ErrorKind::StorageFull, "no space left on device"),
            Fault::ReadOnly => error(ErrorKind::ReadOnlyFilesystem, "read-only file system"),
            Fault::TooMany => error(ErrorKind::Other, "too many open files"),
            Fault::Stop => {
                state.stopped = true;
                error(ErrorKind::Other, "the machine stops")
            }
        })
    }
}

fn missing(path: &Path) -> io::Error {
    error(ErrorKind::NotFound, &format!("{} is not there", path.display()))
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.operation("create", path)?;
        let mut state = self.state();
        state.nodes.push(Node::default());
        let node = state.nodes.len() - 1;
        state.names.insert(path.to_owned(), node);
        Ok(Box::new(Writing { disk: self.clone(), node }))
    }

    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
        self.operation("open", path)?;
        let state = self.state();
        let node = *state.names.get(path).ok_or_else(|| missing(path))?;
        let bytes = state.nodes[node].bytes.clone();
        let length = bytes.len() as u64;
        Ok((Box::new(Reading { disk: self.clone(), bytes: io::Cursor::new(bytes) }), length))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation("rename", to)?;
        let mut state = self.state();
        let node = state.names.remove(from).ok_or_else(|| missing(from))?;
        state.names.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operation("remove", path)?;
        self.state().names.remove(path).map(|_| ()).ok_or_else(|| missing(path))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.operation("sync folder", path)?;
        let mut state = self.state();
        state.lasting = state.names.clone();
        Ok(())
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.operation("list", folder)?;
        let state = self.state();
        let inside = state.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn has_folder(&self, path: &Path) -> bool {
        self.state().folders.iter().any(|folder| folder == path)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.operation("make folder", path)?;
        self.state().folders.push(path.to_owned());
        Ok(())
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.disk.operation("write", Path::new(""));
        let taken = if done.is_ok() { bytes.len() } else { bytes.len() / 2 };
        self.disk.state().nodes[self.node].bytes.extend_from_slice(&bytes[..taken]);
        done.map(|()| taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for Writing {
    fn sync(&mut self) -> io::Result<()> {
        let done = self.disk.operation("sync", Path::new(""));
        let mut state = self.disk.state();
        let node = &mut state.nodes[self.node];
        match done {
            Ok(()) => node.synced = node.bytes.clone(),
            // What could not be written is thrown away, and a second sync would find nothing to do.
            Err(_) => node.bytes = node.synced.clone(),
        }
        done
    }
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.disk.operation("read", Path::new(""))?;
        self.bytes.read(into)
    }
}
