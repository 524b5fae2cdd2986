//! A file on its way to a store: one put where it is small, else parts that become an object together. Either way it is there whole,
//! once `sync` has ended well, or not at all.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use fastfeat_engine::checkpoint::{DiskFile, Over};
use object_store::path::Path as Key;
use object_store::{Error, MultipartUpload, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, Result};
use tokio::task::JoinSet;

use crate::disk::Shared;

/// Stores take 10,000 parts of one object.
const PART_BYTES: usize = 16 << 20;
/// Parts on their way at most.
const PARTS_MAX: usize = 4;
/// How long a writer that gives up waits until the store has let its parts go.
const ABORT: Duration = Duration::from_secs(10);

pub(crate) struct Writing {
    shared: Arc<Shared>,
    key: Key,
    over: Over,
    part: Vec<u8>,
    upload: Option<Upload>,
}

struct Upload {
    parts: JoinSet<Result<()>>,
    upload: Box<dyn MultipartUpload>,
}

impl Writing {
    pub fn new(shared: Arc<Shared>, key: Key, over: Over) -> Self {
        Self { shared, key, over, part: Vec::new(), upload: None }
    }

    /// A put that says what it may take the place of. Where a store is told to know no such puts, it takes the place of anything.
    async fn put(&self, payload: PutPayload, mode: PutMode) -> Result<()> {
        let Self { shared, key, .. } = self;
        let put = match shared.store.put_opts(key, payload.clone(), PutOptions::from(mode)).await {
            Err(Error::NotImplemented { .. }) => shared.store.put(key, payload).await,
            put => put,
        }?;
        shared.known().insert(key.clone(), Some(put.into()));
        Ok(())
    }

    async fn begin(&self) -> Result<Upload> {
        match self.over {
            Over::Anything => {}
            // Parts cannot say that nothing must be there. So the name is taken first, by an object without a byte, which nobody takes
            // for a checkpoint.
            Over::Nothing => self.put(PutPayload::new(), PutMode::Create).await?,
            Over::Known => {
                let source = "what may take the place of one version alone has to fit one part".into();
                return Err(Error::NotSupported { source });
            }
        }
        Ok(Upload { upload: self.shared.store.put_multipart(&self.key).await?, parts: JoinSet::new() })
    }

    async fn send_part(&mut self) -> Result<()> {
        let mut upload = match self.upload.take() {
            Some(upload) => upload,
            None => self.begin().await?,
        };
        let part = upload.upload.put_part(std::mem::take(&mut self.part).into());
        upload.parts.spawn(part);
        let sent = upload.wait(PARTS_MAX - 1).await;
        self.upload = Some(upload);
        sent
    }

    async fn finish(&mut self) -> Result<()> {
        if self.upload.is_none() {
            let payload = std::mem::take(&mut self.part).into();
            return self.put(payload, self.shared.mode(&self.key, self.over)).await;
        }
        if !self.part.is_empty() {
            self.send_part().await?;
        }
        let upload = self.upload.as_mut().expect("it has begun");
        upload.wait(0).await?;
        upload.upload.complete().await?;
        self.upload = None;
        Ok(())
    }
}

impl Upload {
    /// Until no more than so many parts are on their way.
    async fn wait(&mut self, parts_max: usize) -> Result<()> {
        while self.parts.len() > parts_max {
            if let Some(sent) = self.parts.join_next().await {
                sent??;
            }
        }
        Ok(())
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.len() == PART_BYTES {
            let shared = Arc::clone(&self.shared);
            shared.runtime().block_on(self.send_part()).map_err(|error| shared.error(&error))?;
        }
        let count = bytes.len().min(PART_BYTES - self.part.len());
        self.part.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for Writing {
    fn sync(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        shared.runtime().block_on(self.finish()).map_err(|error| shared.error(&error))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            upload.parts.abort_all();
            // What does not go is let go by the rule for unfinished uploads that a bucket has, or costs room.
            let abort = async { tokio::time::timeout(ABORT, upload.upload.abort()).await };
            let _ = self.shared.runtime().block_on(abort);
        }
    }
}
