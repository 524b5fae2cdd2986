//! Which keys may have become invisible: by the time at which they will be, in coarse steps, looked at a few at a time.
//!
//! A key stands here once. When its step comes it is looked at; if events have come meanwhile, it is put where it belongs now. The keys of a
//! step are a queue of small pieces, so that nothing is copied as they become many; where the steps become many, they become longer. Which key
//! comes next follows from the order in which they were put in, not from where pieces begin: so it is the same after a restart.

use std::collections::BTreeMap;

use crate::heap::{heap, room, tree_map};

/// Keys of a piece: with what links it, 128 bytes.
const PIECE_KEYS: usize = 15;
/// Pieces of a block, which never moves.
const BLOCK_PIECES: usize = 64;
/// So many steps are kept apart.
const STEPS_MAX: usize = 1_024;
const NONE: u32 = u32::MAX;

/// Some keys of a step: those from `start` to `end`.
#[derive(Clone, Debug)]
struct Piece {
    hashes: [u64; PIECE_KEYS],
    start: u8,
    end: u8,
    /// Keys before this place are of the state that is being written and have not been saved, where `turn` is that of all; else all keys are.
    unsaved: u8,
    turn: bool,
    next: u32,
}

impl Piece {
    const EMPTY: Self = Self { hashes: [0; PIECE_KEYS], start: 0, end: 0, unsaved: 0, turn: false, next: NONE };

    /// Takes part in this turn: keys to come are not of the state that is being written.
    #[inline]
    fn settle(&mut self, turn: bool) {
        if self.turn != turn {
            (self.turn, self.unsaved) = (turn, self.end);
        }
    }

    fn keys(&self) -> &[u64] {
        &self.hashes[self.start as usize..self.end as usize]
    }

    fn has_room_for(&self, keys: usize) -> bool {
        self.keys().len() + keys <= PIECE_KEYS
    }

    /// Adds keys that it has room for.
    fn extend(&mut self, keys: &[u64]) {
        if self.end as usize + keys.len() > PIECE_KEYS {
            self.hashes.copy_within(self.start as usize..self.end as usize, 0);
            self.unsaved = self.unsaved.saturating_sub(self.start);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.hashes[self.end as usize..][..keys.len()].copy_from_slice(keys);
        self.end += keys.len() as u8;
    }
}

/// The pieces of a step, from the keys that were put in first to those that were last. Two neighbours have more keys than one has room for, but
/// for the first and its neighbour.
#[derive(Clone, Copy, Debug)]
struct Chain {
    first: u32,
    last: u32,
}

#[derive(Debug)]
pub(super) struct Expiry {
    /// Ticks of a step.
    step: i64,
    /// Keys by the step in which they are due.
    due: BTreeMap<i64, Chain>,
    blocks: Vec<Vec<Piece>>,
    soonest: i64,
    /// First of the pieces that are not in use, and of those that never were.
    free: u32,
    fresh: u32,
    /// Turns with each state that is written while events come; `capture` saves it then.
    turn: bool,
    capture: Option<Capture>,
    /// What has been saved: beginnings of steps, and hashes.
    saved: Vec<(i64, u64)>,
}

/// How far the keys are saved: the step, and the piece in it that comes next; all of it where there is none.
#[derive(Clone, Copy, Debug)]
struct Capture {
    step: i64,
    piece: u32,
}

impl Expiry {
    /// For keys that are due about `after` ticks after their newest event. The steps are as short as they can be where it matters which key is
    /// due before which others, otherwise there are few.
    pub fn new(after: i64, is_fine: bool) -> Self {
        let step = if is_fine { 1 } else { (after / 64).max(1) };
        Self {
            step,
            due: BTreeMap::new(),
            soonest: i64::MAX,
            blocks: Vec::new(),
            free: NONE,
            fresh: 0,
            turn: false,
            capture: None,
            saved: Vec::new(),
        }
    }

    /// A key will be due at this time.
    pub fn put(&mut self, hash: u64, time: i64) {
        if self.due.len() > STEPS_MAX {
            self.double();
        }
        self.put_in(time.div_euclid(self.step), hash);
    }

    fn put_in(&mut self, step: i64, hash: u64) {
        let chain = self.due.get(&step).copied();
        let last = match chain {
            Some(Chain { last, .. }) if self.piece(last).has_room_for(1) => last,
            _ => {
                let last = self.take_piece();
                if let Some(chain) = chain {
                    self.piece(chain.last).next = last;
                }
                self.due.insert(step, Chain { first: chain.map_or(last, |chain| chain.first), last });
                last
            }
        };
        let turn = self.turn;
        let piece = self.piece(last);
        piece.settle(turn);
        piece.extend(&[hash]);
        self.soonest = self.soonest.min(self.end_of(step));
    }

    fn piece(&mut self, number: u32) -> &mut Piece {
        &mut self.blocks[number as usize / BLOCK_PIECES][number as usize % BLOCK_PIECES]
    }

    /// The number of an empty piece.
    fn take_piece(&mut self) -> u32 {
        let (number, empty) = (self.free, Piece { turn: self.turn, ..Piece::EMPTY });
        if number != NONE {
            self.free = self.piece(number).next;
            *self.piece(number) = empty;
            return number;
        }
        if (self.fresh as usize).is_multiple_of(BLOCK_PIECES) {
            self.blocks.push(Vec::with_capacity(BLOCK_PIECES));
        }
        let block = self.blocks.last_mut().expect("one has been put in");
        block.push(empty);
        self.fresh += 1;
        self.fresh - 1
    }

    fn give_back(&mut self, number: u32) {
        self.piece(number).next = self.free;
        self.free = number;
    }

    /// Makes steps twice as long: neighbours become one. What is being saved is saved before.
    fn double(&mut self) {
        while !self.save_some(usize::MAX) {}
        let old = std::mem::take(&mut self.due);
        self.step = self.step.saturating_mul(2);
        for (step, chain) in old {
            let step = step.div_euclid(2);
            let Some(&before) = self.due.get(&step) else {
                self.due.insert(step, chain);
                continue;
            };
            let next = self.piece(chain.first).clone();
            let mut joined = Chain { first: before.first, last: chain.last };
            let end = self.piece(before.last);
            if end.has_room_for(next.keys().len()) {
                end.extend(next.keys());
                end.next = next.next;
                if chain.first == chain.last {
                    joined.last = before.last;
                }
                self.give_back(chain.first);
            } else {
                end.next = chain.first;
            }
            self.due.insert(step, joined);
        }
    }

    /// Ticks of a step.
    pub fn step_ticks(&self) -> i64 {
        self.step
    }

    /// Takes steps of another length, where it is one that its own may come to; it holds no key yet.
    pub fn resume(&mut self, step_ticks: i64) {
        let mut step = self.step;
        while step < step_ticks {
            step = step.saturating_mul(2);
        }
        if step == step_ticks {
            self.step = step;
        }
    }

    /// Every step: when it begins, and the hashes of its keys in the order in which they were put in.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (i64, Vec<u64>)> {
        self.due.iter().map(|(&step, chain)| {
            let mut keys = Vec::new();
            let mut number = chain.first;
            while number != NONE {
                let piece = &self.blocks[number as usize / BLOCK_PIECES][number as usize % BLOCK_PIECES];
                keys.extend_from_slice(piece.keys());
                number = piece.next;
            }
            (step.saturating_mul(self.step), keys)
        })
    }

    /// A key whose step has passed by `now`.
    pub fn pop_due(&mut self, now: i64) -> Option<u64> {
        let (&step, _) = self.due.first_key_value()?;
        if step >= now.div_euclid(self.step) { None } else { self.pop() }
    }

    /// The key that is due first, and the end of its step.
    pub fn pop_first(&mut self) -> Option<(u64, i64)> {
        let (&step, _) = self.due.first_key_value()?;
        let end = self.end_of(step);
        self.pop().map(|hash| (hash, end))
    }

    /// The key of the first step that was put in first.
    fn pop(&mut self) -> Option<u64> {
        let (&step, &chain) = self.due.first_key_value()?;
        let turn = self.turn;
        let piece = self.piece(chain.first);
        let (hash, next) = (piece.hashes[piece.start as usize], piece.next);
        let is_unsaved = piece.turn != turn || piece.start < piece.unsaved;
        piece.start += 1;
        let is_empty = piece.start == piece.end;
        if is_unsaved {
            // Those before it have been saved: keys leave in the order in which they are.
            self.saved.push((step.saturating_mul(self.step), hash));
        }
        if is_empty {
            if let Some(capture) = self.capture.as_mut().filter(|capture| capture.piece == chain.first) {
                (capture.step, capture.piece) =
                    if next == NONE { (step.saturating_add(1), NONE) } else { (step, next) };
            }
            self.give_back(chain.first);
            if next == NONE {
                self.due.remove(&step);
                self.soonest = self.due.first_key_value().map_or(i64::MAX, |(&step, _)| self.end_of(step));
            } else {
                self.due.insert(step, Chain { first: next, last: chain.last });
            }
        }
        Some(hash)
    }

    /// The keys as they are now are to be saved, while others come and some leave.
    pub fn begin_capture(&mut self) {
        debug_assert!(self.capture.is_none() && self.saved.is_empty(), "one at a time");
        self.turn = !self.turn;
        self.capture = Some(Capture { step: i64::MIN, piece: NONE });
    }

    /// Saves the keys of so many pieces more; true when all are.
    pub fn save_some(&mut self, pieces: usize) -> bool {
        let Some(Capture { mut step, mut piece }) = self.capture else { return true };
        for _ in 0..pieces {
            if piece == NONE {
                let Some((&next, chain)) = self.due.range(step..).next() else {
                    self.capture = None;
                    return true;
                };
                (step, piece) = (next, chain.first);
            }
            let (turn, begin) = (self.turn, step.saturating_mul(self.step));
            let Self { blocks, saved, .. } = self;
            let found = &mut blocks[piece as usize / BLOCK_PIECES][piece as usize % BLOCK_PIECES];
            found.settle(turn);
            let unsaved = found.start..found.unsaved.max(found.start);
            saved.extend(found.hashes[unsaved.start as usize..unsaved.end as usize].iter().map(|&hash| (begin, hash)));
            (found.unsaved, piece) = (0, found.next);
            if piece == NONE {
                let Some(next) = step.checked_add(1) else {
                    self.capture = None;
                    return true;
                };
                step = next;
            }
        }
        self.capture = Some(Capture { step, piece });
        false
    }

    /// What has been saved since this was asked last, in order.
    pub fn take_saved(&mut self) -> Vec<(i64, u64)> {
        std::mem::take(&mut self.saved)
    }

    /// When the first step has passed, or before: until then no key is due.
    #[inline]
    pub fn soonest(&self) -> i64 {
        self.soonest
    }

    fn end_of(&self, step: i64) -> i64 {
        step.saturating_add(1).saturating_mul(self.step)
    }

    pub fn bytes(&self) -> usize {
        let full = self.blocks.len().saturating_sub(1) * heap(BLOCK_PIECES * size_of::<Piece>());
        let newest = self.blocks.last().map_or(0, |block| heap(block.len() * size_of::<Piece>()));
        full + newest + room::<Vec<Piece>>(self.blocks.capacity()) + tree_map(self.due.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_order_of_their_steps_and_not_before() {
        let mut expiry = Expiry::new(640, false);
        for (hash, time) in [(1, 95), (2, -5), (3, 30), (4, 31)] {
            expiry.put(hash, time);
        }
        assert_eq!(expiry.pop_due(-1), None);
        assert_eq!(expiry.pop_due(0), Some(2));
        assert_eq!(expiry.pop_due(39), None);
        assert_eq!([expiry.pop_due(40), expiry.pop_due(40)], [Some(3), Some(4)]);
        assert_eq!(expiry.pop_first(), Some((1, 100)));
        assert_eq!((expiry.pop_first(), expiry.due.len()), (None, 0));
    }

    #[test]
    fn steps_grow_where_they_become_many_and_no_key_is_lost() {
        let mut expiry = Expiry::new(1, true);
        // Every third step has more keys than a piece.
        let keys = |time: i64| if time % 3 == 0 { 20 } else { 1 };
        let times = 10 * STEPS_MAX as i64;
        for time in 0..times {
            (0..keys(time)).for_each(|key| expiry.put((time * 32 + key) as u64, time));
        }
        assert!(expiry.due.len() <= STEPS_MAX + 1, "{} steps", expiry.due.len());
        assert!(expiry.step <= 32, "a step is {} ticks", expiry.step);
        let wanted: i64 = (0..times).map(keys).sum();
        assert!(expiry.bytes() < 3 * 8 * wanted as usize, "{} bytes for {wanted} keys", expiry.bytes());
        let mut found = Vec::new();
        while let Some((hash, end)) = expiry.pop_first() {
            let time = hash as i64 / 32;
            assert!(time < end && time >= end - expiry.step, "{time} is not in the step that ends at {end}");
            found.push(hash);
        }
        let all: Vec<u64> =
            (0..times).flat_map(|time| (0..keys(time)).map(move |key| (time * 32 + key) as u64)).collect();
        assert!(found == all, "{} keys of {} came back in the order in which they were put in", found.len(), all.len());
        let blocks = expiry.blocks.len();
        (0..times).for_each(|time| expiry.put(time as u64, time));
        assert_eq!(expiry.blocks.len(), blocks, "pieces are used again");
    }
}
