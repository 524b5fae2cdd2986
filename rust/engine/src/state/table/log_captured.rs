//! The log of a busy key as it was at one instant, saved piece by piece while events go on.
//!
//! New events come after those that are to be saved. Those at its front are saved before they leave, and those from some place on before an
//! event that came late moves them; so what is still to be saved is one stretch of the log, which is saved from its front.

use super::super::busy::Busy;
use super::super::interner::TextOrder;
use super::super::log::Log;
use super::super::run::RUN;
use super::captured::PIECE_BYTES;
use super::saved::{save_records, tell_rest};
use crate::plan::TablePlan;

/// A log on its way out.
#[derive(Debug)]
pub(in crate::state) struct LogCapture {
    /// What stands before the events, and after them.
    pub head: Vec<u8>,
    pub past: Vec<u8>,
    /// Positions of the events that have not been saved.
    from: u64,
    to: u64,
    /// Those before and those after, the newest piece last.
    front: Vec<Vec<u8>>,
    back: Vec<Vec<u8>>,
}

impl LogCapture {
    pub fn begin(busy: &Busy, head: Vec<u8>, past: Vec<u8>) -> Self {
        Self { head, past, from: busy.first(), to: busy.end(), front: Vec::new(), back: Vec::new() }
    }

    /// Position of the first event that has not been saved; none where all have.
    pub fn next(&self) -> Option<u64> {
        (self.from < self.to).then_some(self.from)
    }

    /// Saves the events before a position, and more up to the end of a run; how many bytes that were.
    pub fn save_to(&mut self, plan: &TablePlan, busy: &Busy, position: u64) -> usize {
        // Any position may be asked for, also the last there is.
        let end = position.min(self.to).next_multiple_of(RUN as u64).min(self.to);
        if end <= self.from {
            return 0;
        }
        if self.front.last().is_none_or(|piece| piece.len() >= PIECE_BYTES * 3 / 4) {
            self.front.push(Vec::with_capacity(PIECE_BYTES));
        }
        let piece = self.front.last_mut().expect("one with room has been put in");
        let before = piece.len();
        save(plan, busy, self.from, end, piece);
        self.from = end;
        piece.len() - before
    }

    /// Saves the events from a position on, and more before them in its run: they are about to move.
    pub fn save_from(&mut self, plan: &TablePlan, busy: &Busy, position: u64) {
        if position >= self.to {
            return;
        }
        let begin = (position - position % RUN as u64).max(self.from);
        let mut piece = Vec::new();
        save(plan, busy, begin, self.to, &mut piece);
        self.back.push(piece);
        self.to = begin;
    }

    /// The bytes of the key, in pieces, once all events have been saved.
    pub fn pieces(self) -> Vec<Vec<u8>> {
        assert!(self.from >= self.to, "a log is saved as a whole");
        let events = self.front.into_iter().chain(self.back.into_iter().rev());
        let mut pieces: Vec<Vec<u8>> = std::iter::once(self.head).chain(events).chain([self.past]).collect();
        let after = pieces[1..].iter().map(Vec::len).sum();
        tell_rest(&mut pieces[0], after);
        pieces
    }
}

fn save(plan: &TablePlan, busy: &Busy, from: u64, to: u64, out: &mut Vec<u8>) {
    let order = TextOrder::none();
    Log::Busy(busy).stretches(from, to, |run, from, to, _| save_records(plan, run, from, to, &order, out));
}
