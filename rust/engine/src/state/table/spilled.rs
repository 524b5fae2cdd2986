//! Keys on their way to disk and back: who may leave, and the bytes of a key, which are those of a checkpoint.
//!
//! Keys leave chunk by chunk of the slab, so that memory comes back as a whole: those that have had to do with an event since the chunk was last
//! passed over move to another chunk, the others go. Their texts stay, as those of keys in memory do.

use super::super::block::{Header, number_of};
use super::super::interner::{Interner, TextOrder, Texts};
use super::super::slab::Reference;
use super::saved::{Loading, next_key};
use super::{Table, due_after};
use crate::encode::{Broken, Input};
use crate::key;
use crate::plan::TablePlan;
use crate::spill;

/// A key whose image has been made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    pub hash: u64,
    /// Where its image begins in the batch.
    pub start: usize,
    reference: Reference,
}

/// What there is of a hash beside the keys in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Elsewhere {
    /// Nothing that has to be looked at later.
    No,
    /// A key whose newest event has this time.
    Newest(i64),
    /// A key that cannot be read now.
    Unreadable,
}

impl Elsewhere {
    /// When the hash is to be looked at again.
    pub(super) fn again(self, plan: &TablePlan, idle_after: Option<i64>, mark: i64) -> Option<i64> {
        match self {
            Self::No => None,
            Self::Newest(newest) => Some(newest.saturating_add(due_after(plan, idle_after))),
            Self::Unreadable => Some(mark),
        }
    }
}

/// The bytes of the key that an image is of.
pub(crate) fn key_in(image: &[u8]) -> Result<&[u8], Broken> {
    next_key(&mut Input::new(image)).map(|(key, _)| key.bytes)
}

impl Table {
    /// The key has to do with an event.
    #[inline]
    pub fn touch(&mut self, reference: Reference) {
        self.slab.block_mut(reference)[0] |= Header::TOUCHED;
    }

    /// Whether a key with this newest event could go, as nothing sees it any more.
    pub fn is_over(&self, plan: &TablePlan, newest: i64, mark: i64) -> bool {
        newest.saturating_add(due_after(plan, self.idle_after)) < mark
    }

    /// Appends images of keys that may leave, until the batch has so many bytes or none is left. Those `pinned` stay, and may move. With the number
    /// of the table goes how many states have begun to be saved: what is still to be is saved here, so the images need not be.
    pub fn make_images(
        &mut self,
        plan: &TablePlan,
        (table, capture): (usize, u32),
        pinned: &mut [(usize, Reference)],
        bytes: usize,
        batch: &mut Vec<u8>,
        leaving: &mut Vec<Leaving>,
    ) {
        let order = TextOrder::none();
        // Those that leave are in their chunk until the batch has been written: none is looked at twice.
        let mut seen: Vec<usize> = self.slab.emptied().into_iter().collect();
        let mut stayed = 0;
        while batch.len() < bytes {
            let Some(reference) = self.slab.next_to_empty() else {
                if !self.slab.begin_to_empty(&seen) {
                    return;
                }
                seen.extend(self.slab.emptied());
                continue;
            };
            let hash = key::hash(&self.key_of(reference));
            self.save_first(plan, reference);
            let touched = self.slab.block(reference)[0] & Header::TOUCHED != 0;
            let pin = pinned.iter_mut().find(|pin| **pin == (table, reference));
            // Where all have been touched, every other one goes.
            if pin.is_some() || touched && stayed < leaving.len() {
                stayed += usize::from(pin.is_none());
                let moved = self.move_block(hash, reference);
                pin.into_iter().for_each(|pin| pin.1 = moved);
                continue;
            }
            let block = self.slab.block(reference);
            if let Some(number) = number_of(block, Header(block[0])) {
                self.save_rest(plan, number);
            }
            let start = spill::begin(batch);
            self.save_key(plan, reference, &order, batch);
            spill::finish(batch, start, (table as u32, capture), hash, self.newest(plan, reference));
            leaving.push(Leaving { hash, start, reference });
        }
    }

    /// A block to another chunk, as a key that has not been touched.
    fn move_block(&mut self, hash: u64, old: Reference) -> Reference {
        let mut moving = std::mem::take(&mut self.moving);
        let words = Header(self.slab.block(old)[0]).words();
        moving.clear();
        moving.extend_from_slice(&self.slab.block(old)[..words]);
        moving[0] &= !Header::TOUCHED;
        self.slab.release(old, words);
        let (new, allocated) = self.slab.allocate(words);
        assert_eq!(allocated, words, "a block has the size of its class");
        self.slab.block_mut(new)[..words].copy_from_slice(&moving);
        self.moving = moving;
        self.index.replace(hash, old, new);
        new
    }

    /// The images are where they can be read: the keys go.
    pub fn leave(&mut self, leaving: &[Leaving]) {
        leaving.iter().for_each(|key| self.drop_key(key.hash, key.reference));
    }

    /// The images could not be written: the keys stay.
    pub fn stay(&mut self) {
        self.slab.stop_to_empty();
    }

    /// A key from its image, whose texts have been kept for it.
    pub fn come_back(
        &mut self,
        plan: &TablePlan,
        loading: &mut Loading,
        image: &[u8],
        texts: &Interner,
    ) -> Result<Reference, Broken> {
        let mut input = Input::new(image);
        let key = next_key(&mut input)?;
        let reference = self.load_state(plan, loading, key, &mut input, &mut Texts::Kept(texts))?;
        input.end()?;
        Ok(reference)
    }

    /// Forgets a key that came back only to be looked at.
    pub fn forget(&mut self, hash: u64, reference: Reference) {
        self.drop_key(hash, reference);
    }
}
