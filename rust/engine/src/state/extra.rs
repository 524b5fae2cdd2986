//! What keys have beyond a run of events, by number: the log of a busy key, and what is kept of events that have left it.
//!
//! They lie in chunks that never move, so that growing copies nothing.

use super::busy::Busy;
use super::past::Past;
use super::table::LogCapture;
use crate::heap::room;

/// Extras of a chunk.
const CHUNK: usize = 128;

/// What a key has beyond a run.
#[derive(Debug, Default)]
pub(super) struct Extra {
    pub busy: Option<Box<Busy>>,
    pub past: Option<Box<Past>>,
    /// What saves the log, where it is being saved piece by piece.
    pub capture: Option<Box<LogCapture>>,
    /// Bytes of both, and those of the log as they were measured last.
    pub bytes: usize,
    pub busy_bytes: usize,
    pub unmeasured: u8,
}

#[derive(Debug, Default)]
pub(super) struct Extras {
    chunks: Vec<Vec<Extra>>,
    free: Vec<u32>,
    len: usize,
}

impl Extras {
    #[inline]
    pub fn get(&self, number: usize) -> &Extra {
        &self.chunks[number / CHUNK][number % CHUNK]
    }

    #[inline]
    pub fn get_mut(&mut self, number: usize) -> &mut Extra {
        &mut self.chunks[number / CHUNK][number % CHUNK]
    }

    /// The number of an empty one.
    pub fn add(&mut self) -> usize {
        if let Some(number) = self.free.pop() {
            return number as usize;
        }
        if self.len == self.chunks.len() * CHUNK {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks.last_mut().expect("one with room has been put in").push(Extra::default());
        self.len += 1;
        assert!(self.len < u32::MAX as usize, "a table holds 2^32 - 1 busy keys at most");
        self.len - 1
    }

    /// Takes one out; its number is given again.
    pub fn take(&mut self, number: usize) -> Extra {
        self.free.push(number as u32);
        std::mem::take(self.get_mut(number))
    }

    /// Bytes of the chunks, not of what their extras point to.
    pub fn bytes(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1) * room::<Extra>(CHUNK);
        // What has not been written to yet of the newest chunk is no memory of the process.
        full + self.chunks.last().map_or(0, |chunk| room::<Extra>(chunk.len()))
            + room::<Vec<Extra>>(self.chunks.capacity())
            + room::<u32>(self.free.capacity())
    }
}
