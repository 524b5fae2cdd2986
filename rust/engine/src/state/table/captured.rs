//! The keys of a table as they were at one instant, saved while events go on: each is saved when it is passed over, or before it changes.
//!
//! A bit in a key's header says whether it has been: it differs from the table's then. A key that comes meanwhile has the table's from the
//! beginning; one that has been saved keeps it wherever it moves. The log of a key with many events is saved piece by piece.

use super::super::block::{Header, number_of};
use super::super::interner::TextOrder;
use super::super::log::Log;
use super::super::run::RUN;
use super::super::slab::{Place, Reference};
use super::saved::save_bounds;
use super::{LogCapture, Table};
use crate::encode::Encode;
use crate::plan::TablePlan;

/// What is not written at once is gathered in pieces of so many bytes, so that none is copied as they become many.
pub(super) const PIECE_BYTES: usize = 1 << 16;
/// Keys that are passed over and not saved count as so many bytes.
const PASSED_OVER: usize = 16;
/// A log of more events is saved piece by piece.
const LOG_MAX: usize = 4 * RUN;

/// Bytes of keys.
#[derive(Debug)]
pub(crate) struct Saved {
    pub bytes: Vec<u8>,
    /// Whether the last key ends here; else it goes on in the next piece.
    pub ends: bool,
}

/// A state on its way out.
#[derive(Debug, Default)]
pub(super) struct Capture {
    /// How far keys have been passed over.
    place: Place,
    /// Keys that were about to change, and those with long logs.
    pieces: Vec<Saved>,
    /// The extras of keys whose logs are being saved.
    logs: Vec<usize>,
    /// How many keys have been saved.
    keys: u64,
}

impl Table {
    /// The keys as they are now are to be saved, and when they are looked at. The ticks of a step of that.
    pub fn begin_capture(&mut self) -> i64 {
        debug_assert!(self.capture.is_none(), "one at a time");
        self.turn ^= Header::TURN;
        self.capture = Some(Box::default());
        if let Some(expiry) = &mut self.expiry {
            expiry.begin_capture();
        }
        self.begin_to_save_asleep();
        self.step_ticks()
    }

    /// A key is about to change, or to leave: what it was is saved, where it is still to be.
    #[inline]
    pub(super) fn save_first(&mut self, plan: &TablePlan, reference: Reference) {
        if (self.slab.block(reference)[0] ^ self.turn) & Header::TURN != 0 {
            self.save_now(plan, reference);
        }
    }

    #[cold]
    fn save_now(&mut self, plan: &TablePlan, reference: Reference) {
        let mut capture = self.capture.take().expect("a key is unsaved only while a state is saved");
        if !self.begin_log(plan, reference, &mut capture) {
            if capture.pieces.last().is_none_or(|piece| piece.bytes.len() >= PIECE_BYTES * 3 / 4) {
                capture.pieces.push(Saved { bytes: Vec::with_capacity(PIECE_BYTES), ends: true });
            }
            let piece = capture.pieces.last_mut().expect("one with room has been put in");
            self.save_key(plan, reference, &TextOrder::none(), &mut piece.bytes);
            capture.keys += 1;
        }
        self.slab.block_mut(reference)[0] ^= Header::TURN;
        self.capture = Some(capture);
    }

    /// A key on disk, or asleep, is about to come back, or to be passed over: its image is what is saved of it.
    pub fn save_image(&mut self, image: &[u8]) {
        let Some(capture) = &mut self.capture else { return };
        if capture.pieces.last().is_none_or(|piece| !piece.ends || piece.bytes.len() >= PIECE_BYTES * 3 / 4) {
            capture.pieces.push(Saved { bytes: Vec::with_capacity(PIECE_BYTES), ends: true });
        }
        capture.pieces.last_mut().expect("one with room has been put in").bytes.extend_from_slice(image);
        capture.keys += 1;
    }

    /// Begins to save a key with a long log; false where it has none.
    fn begin_log(&mut self, plan: &TablePlan, reference: Reference, capture: &mut Capture) -> bool {
        let block = self.slab.block(reference);
        let Some(number) = number_of(block, Header(block[0])) else { return false };
        let (log, past) = self.log_of(plan, reference);
        let Log::Busy(busy) = log else { return false };
        if busy.len() <= LOG_MAX {
            return false;
        }
        let (mut head, mut end) = (Vec::new(), Vec::new());
        self.save_name(reference, &mut head);
        save_bounds(log, 0, &mut head);
        past.is_some().encode(&mut end);
        if let Some(past) = past {
            past.save(plan, &TextOrder::none(), &mut end);
        }
        let begun = LogCapture::begin(busy, head, end);
        self.extras.get_mut(number).capture = Some(Box::new(begun));
        capture.logs.push(number);
        true
    }

    /// Saves what is left of a log that is about to go.
    #[inline]
    pub(super) fn save_rest(&mut self, plan: &TablePlan, number: usize) {
        if self.extras.get(number).capture.is_some()
            && let Some(mut capture) = self.capture.take()
        {
            self.save_log(plan, number, u64::MAX - RUN as u64, &mut capture);
            self.capture = Some(capture);
        }
    }

    /// Saves so many events more of a log; how many bytes that were, and nothing once all have been.
    fn save_log(&mut self, plan: &TablePlan, number: usize, events: u64, capture: &mut Capture) -> Option<usize> {
        let extra = self.extras.get_mut(number);
        let (log, busy) = (extra.capture.as_mut()?, extra.busy.as_ref()?);
        let bytes = log.next().map_or(0, |next| log.save_to(plan, busy, next.saturating_add(events)));
        if log.next().is_none()
            && let Some(log) = extra.capture.take()
        {
            let pieces = log.pieces();
            let last = pieces.len() - 1;
            let pieces = pieces.into_iter().enumerate();
            capture.pieces.extend(pieces.map(|(place, bytes)| Saved { bytes, ends: place == last }));
            capture.keys += 1;
        }
        Some(bytes)
    }

    /// Appends keys until so many bytes have been saved, or all keys are; true then. Most are only copied, as `blocks`: `save_block` makes bytes
    /// of them without the table. What was about to change, and keys with long logs, are to be taken beside it.
    pub fn save_some(&mut self, plan: &TablePlan, bytes: usize, out: &mut Vec<u8>, blocks: &mut Vec<u64>) -> bool {
        let Some(mut capture) = self.capture.take() else { return true };
        let (order, begin) = (TextOrder::none(), out.len());
        blocks.clear();
        let (keys, is_through) = self.save_asleep(bytes, out);
        capture.keys += keys;
        if !is_through {
            self.capture = Some(capture);
            return false;
        }
        let mut others = 0;
        let is_done = loop {
            if out.len() - begin + blocks.len() * size_of::<u64>() + others >= bytes {
                break false;
            }
            if let Some(&number) = capture.logs.last() {
                match self.save_log(plan, number, RUN as u64, &mut capture) {
                    Some(saved) => others += saved.max(1),
                    None => _ = capture.logs.pop(),
                }
                continue;
            }
            let Some(reference) = self.slab.next_block(&mut capture.place) else { break true };
            if (self.slab.block(reference)[0] ^ self.turn) & Header::TURN == 0 {
                others += PASSED_OVER;
                continue;
            }
            if self.copy_block(reference, blocks) {
                capture.keys += 1;
            } else if !self.begin_log(plan, reference, &mut capture) {
                self.save_key(plan, reference, &order, out);
                capture.keys += 1;
            }
            self.slab.block_mut(reference)[0] ^= Header::TURN;
        };
        self.capture = Some(capture);
        is_done
    }

    /// What has been saved beside, since this was asked last.
    pub fn take_changed(&mut self) -> Vec<Saved> {
        self.capture.as_mut().map(|capture| std::mem::take(&mut capture.pieces)).unwrap_or_default()
    }

    /// Saves when the keys of so many pieces more are looked at; true when all are. What has been saved: beginnings of steps, and hashes.
    pub fn save_some_steps(&mut self, pieces: usize) -> (bool, Vec<(i64, u64)>) {
        match &mut self.expiry {
            Some(expiry) => (expiry.save_some(pieces), expiry.take_saved()),
            None => (true, Vec::new()),
        }
    }

    /// All keys have been passed over: how many there were.
    pub fn end_capture(&mut self) -> u64 {
        self.end_saving_asleep();
        self.capture.take().map_or(0, |capture| capture.keys)
    }
}
