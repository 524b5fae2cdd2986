//! A store as the engine's disk. A file is an object, put whole; a folder is what begins alike.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastfeat_engine::checkpoint::{Disk, DiskFile, Over};
use object_store::path::Path as Key;
use object_store::{Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use tokio::runtime::{Builder, Runtime};

use crate::address::hide;
use crate::get::Reading;
use crate::put::Writing;

/// Longer messages of servers are cut.
const MESSAGE_BYTES_MAX: usize = 600;
/// Ends the names of files; everything else is a folder.
const FILE_SUFFIX: &str = ".ff";

/// An object store. A path whose name ends in `.ff` is a file, any other a folder.
#[derive(Clone, Debug)]
pub struct StoreDisk(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    /// Scheme and bucket, before every path.
    root: String,
    pub store: Arc<dyn ObjectStore>,
    secrets: Vec<String>,
    /// `None` only while it ends.
    runtime: Option<Runtime>,
    /// Of what was opened or put, the version; `None` where nothing was there.
    known: Mutex<BTreeMap<Key, Option<UpdateVersion>>>,
}

impl StoreDisk {
    /// A disk of a store, whose paths begin with `root`. Messages do not tell `secrets`.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn new(root: String, store: Arc<dyn ObjectStore>, secrets: Vec<String>) -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("fastfeat-store").enable_all().build()?;
        Ok(Self(Arc::new(Shared { root, store, secrets, runtime: Some(runtime), known: Mutex::default() })))
    }

    fn key(&self, path: &Path) -> io::Result<Key> {
        let text = path.to_str().and_then(|text| text.strip_prefix(&self.0.root));
        let invalid = |message: String| io::Error::new(ErrorKind::InvalidInput, message);
        let text = text.ok_or_else(|| invalid(format!("{} is no path of {}", path.display(), self.0.root)))?;
        Key::parse(text).map_err(|error| invalid(error.to_string()))
    }
}

impl Shared {
    pub fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it lives as long as the disk")
    }

    /// An error of the store as one of a disk.
    pub fn error(&self, error: &Error) -> io::Error {
        let kind = match error {
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => ErrorKind::PermissionDenied,
            _ => ErrorKind::Other,
        };
        let told = match error {
            Error::AlreadyExists { path, .. } => format!("another writer has put {path}"),
            Error::Precondition { path, .. } => format!("another writer has changed {path} meanwhile"),
            _ => error.to_string(),
        };
        let mut told = hide(told, &self.secrets).split_whitespace().collect::<Vec<_>>().join(" ");
        if told.len() > MESSAGE_BYTES_MAX {
            let cut = (0..=MESSAGE_BYTES_MAX).rev().find(|&at| told.is_char_boundary(at)).unwrap_or(0);
            told.truncate(cut);
            told.push_str(" ...");
        }
        io::Error::new(kind, told)
    }

    pub fn known(&self) -> MutexGuard<'_, BTreeMap<Key, Option<UpdateVersion>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a put says what it may take the place of.
    pub fn mode(&self, key: &Key, over: Over) -> PutMode {
        match over {
            Over::Anything => PutMode::Overwrite,
            Over::Nothing => PutMode::Create,
            Over::Known => match self.known().get(key) {
                Some(Some(version)) => PutMode::Update(version.clone()),
                Some(None) => PutMode::Create,
                None => PutMode::Overwrite,
            },
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A name that is still being looked up must not hold up whoever is done with the store.
        self.runtime.take().expect("it ends once").shutdown_background();
    }
}

impl Disk for StoreDisk {
    fn put(&self, path: &Path, over: Over) -> io::Result<Option<Box<dyn DiskFile>>> {
        Ok(Some(Box::new(Writing::new(Arc::clone(&self.0), self.key(path)?, over))))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(Writing::new(Arc::clone(&self.0), self.key(path)?, Over::Anything)))
    }

    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
        let (shared, key) = (&self.0, self.key(path)?);
        let head = GetOptions { head: true, ..GetOptions::default() };
        let found = shared.runtime().block_on(shared.store.get_opts(&key, head));
        let meta = match found {
            Ok(found) => found.meta,
            Err(error) => {
                if matches!(error, Error::NotFound { .. }) {
                    shared.known().insert(key, None);
                }
                return Err(shared.error(&error));
            }
        };
        let version = UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() };
        shared.known().insert(key.clone(), Some(version));
        let size = meta.size;
        Ok((Box::new(Reading::new(Arc::clone(shared), key, meta)), size))
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::Error::new(ErrorKind::Unsupported, "an object store renames nothing"))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (shared, key) = (&self.0, self.key(path)?);
        shared.runtime().block_on(shared.store.delete(&key)).map_err(|error| shared.error(&error))
    }

    fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let (shared, key) = (&self.0, self.key(folder)?);
        let listed = shared.runtime().block_on(shared.store.list_with_delimiter(Some(&key)));
        let objects = listed.map_err(|error| shared.error(&error))?.objects;
        let mut names: Vec<String> =
            objects.iter().filter_map(|object| object.location.filename().map(str::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn has_folder(&self, path: &Path) -> bool {
        !path.as_os_str().to_string_lossy().ends_with(FILE_SUFFIX)
    }

    fn make_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}
