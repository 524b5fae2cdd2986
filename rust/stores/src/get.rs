//! An object on its way back: pieces asked for ahead of whoever reads, all of one version.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, Result};
use tokio::task::JoinHandle;

use crate::disk::Shared;

const PIECE_BYTES: u64 = 8 << 20;
/// Pieces on their way at most.
const AHEAD: usize = 4;

pub(crate) struct Reading {
    shared: Arc<Shared>,
    key: Key,
    meta: ObjectMeta,
    /// Asked for up to here.
    asked: u64,
    coming: VecDeque<JoinHandle<Result<Vec<u8>>>>,
    piece: Vec<u8>,
    at: usize,
}

impl Reading {
    pub fn new(shared: Arc<Shared>, key: Key, meta: ObjectMeta) -> Self {
        Self { shared, key, meta, asked: 0, coming: VecDeque::new(), piece: Vec::new(), at: 0 }
    }

    fn ask(&mut self) {
        while self.coming.len() < AHEAD && self.asked < self.meta.size {
            let end = self.meta.size.min(self.asked + PIECE_BYTES);
            let options = GetOptions {
                range: Some(GetRange::Bounded(self.asked..end)),
                if_match: self.meta.e_tag.clone(),
                ..GetOptions::default()
            };
            let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
            self.coming.push_back(
                self.shared
                    .runtime()
                    .spawn(async move { Ok(store.get_opts(&key, options).await?.bytes().await?.to_vec()) }),
            );
            self.asked = end;
        }
    }
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            self.ask();
            let Some(next) = self.coming.pop_front() else { return Ok(0) };
            let piece = self.shared.runtime().block_on(next).map_err(io::Error::other)?;
            self.piece = piece.map_err(|error| self.shared.error(&error))?;
            self.at = 0;
            self.ask();
        }
        let count = into.len().min(self.piece.len() - self.at);
        into[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.coming.iter().for_each(JoinHandle::abort);
    }
}
