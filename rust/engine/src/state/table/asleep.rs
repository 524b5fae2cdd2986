//! Keys that sleep: after a restore they are the bytes that were read, until something has to do with them.
//!
//! So an engine goes on when its checkpoint has been read and each section has the checksum it was written with. A key is made of its bytes when an
//! event, a question or its end comes to it, as it would be by a restore that made all keys at once: nothing else tells them apart. What no event
//! comes to stays as small as it is on disk.

use super::super::interner::{Interner, Texts};
use super::saved::{BUSY, HEAD_BYTES, Loading, REST_MAX, TWICE, next_key};
use super::{Elsewhere, Key, Table};
use crate::encode::{Broken, Input};
use crate::heap::{heap, room};
use crate::key::KeyIndex;
use crate::plan::TablePlan;
use crate::state::table::Reference;

/// Bits of a place that say where in its piece a key begins; the others are the number of the piece.
const OFFSET_BITS: u32 = 21;
/// Keys of more bytes do not sleep: no event is to wait until they are made.
const KEY_BYTES_MAX: usize = 1 << 17;
/// A piece of which a smaller part than this sleeps is made smaller.
const SPARSE_SHARE: usize = 3;
/// So many keys are looked at in one step of saving them.
const LOOKED_AT: usize = 64;

/// The keys of a shard that sleep.
#[derive(Debug, Default)]
pub(super) struct Asleep {
    /// From the hash of a key to its place.
    index: KeyIndex,
    pieces: Vec<Piece>,
    /// Bytes of memory of the pieces.
    bytes: usize,
    loading: Loading,
    /// While a state is saved: the keys before this have been, by piece and where they begin there.
    saved: Option<(usize, usize)>,
}

/// Keys one after the other, as a section of a checkpoint has them. In the head of one that has woken `GONE` is set.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    /// Where the first key begins.
    begin: usize,
    /// Keys that sleep, and their bytes.
    keys: usize,
    asleep: usize,
}

/// What is said where the bytes of a key, which are those that were written, are none.
pub(crate) const UNREADABLE: &str = "a key was written that cannot be read (a bug in fastfeat: please report it)";

/// In the second word of a key's head.
const GONE: u32 = REST_MAX;

/// What has become of the keys of a piece.
#[derive(Debug)]
pub(crate) enum Laid {
    /// They are there.
    All,
    /// From this byte on they are to be read one by one, as there is one of another shard.
    Before(usize, Vec<u8>),
}

fn place(piece: usize, at: usize) -> Option<u32> {
    let fits = piece < 1 << (u32::BITS - OFFSET_BITS) && at < 1 << OFFSET_BITS;
    fits.then_some((piece as u32) << OFFSET_BITS | at as u32)
}

/// The number of the piece, and where the key begins there.
fn split(place: u32) -> (usize, usize) {
    ((place >> OFFSET_BITS) as usize, place as usize & ((1 << OFFSET_BITS) - 1))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

impl Piece {
    /// Where the key that begins here ends.
    fn end(&self, at: usize) -> usize {
        at + HEAD_BYTES + word(&self.bytes, at) as usize + (word(&self.bytes, at + 4) & !GONE) as usize
    }

    fn is_asleep(&self, at: usize) -> bool {
        word(&self.bytes, at + 4) & GONE == 0
    }

    fn key(&self, at: usize) -> &[u8] {
        &self.bytes[at + HEAD_BYTES..][..word(&self.bytes, at) as usize]
    }

    fn is_sparse(&self) -> bool {
        self.asleep * SPARSE_SHARE < self.bytes.len()
    }
}

impl Asleep {
    fn piece_of(&self, place: u32) -> (&Piece, usize) {
        let (piece, at) = split(place);
        (&self.pieces[piece], at)
    }

    fn key(&self, place: u32) -> &[u8] {
        let (piece, at) = self.piece_of(place);
        piece.key(at)
    }

    fn image(&self, place: u32) -> &[u8] {
        let (piece, at) = self.piece_of(place);
        &piece.bytes[at..piece.end(at)]
    }

    fn find(&self, key: Key<'_>) -> Option<u32> {
        self.index.find(key.hash, |place| self.key(place) == key.bytes)
    }

    /// Time of the newest event of a key, where it is told without making the key.
    fn newest(&self, place: u32) -> Option<i64> {
        let mut input = Input::new(self.image(place));
        next_key(&mut input).ok()?;
        let (room, events): (u8, u8) = input.read().ok()?;
        if room == BUSY {
            return None;
        }
        input.take(usize::from(events).checked_sub(1)? * size_of::<i64>()).ok()?;
        input.read().ok()
    }

    /// The key has woken.
    fn leave(&mut self, hash: u64, place: u32) {
        self.index.remove(hash, place);
        let (number, at) = split(place);
        let piece = &mut self.pieces[number];
        let end = piece.end(at);
        piece.bytes[at + 7] |= (GONE >> 24) as u8;
        piece.keys -= 1;
        piece.asleep -= end - at;
        if piece.keys == 0 {
            self.bytes -= heap(piece.bytes.capacity());
            piece.bytes = Vec::new();
        }
    }

    /// Moves the keys of a piece that sleep together.
    fn gather(&mut self, number: usize) {
        let Self { index, pieces, .. } = self;
        let piece = &mut pieces[number];
        let (mut gathered, mut at) = (Vec::with_capacity(piece.asleep), piece.begin);
        while at < piece.bytes.len() {
            let end = piece.end(at);
            if piece.is_asleep(at) {
                let (old, new) = (place(number, at), place(number, gathered.len()));
                let hash = Key::of(piece.key(at)).hash;
                old.zip(new).into_iter().for_each(|(old, new)| index.replace(hash, old, new));
                gathered.extend_from_slice(&piece.bytes[at..end]);
            }
            at = end;
        }
        self.bytes = self.bytes + heap(gathered.capacity()) - heap(piece.bytes.capacity());
        (piece.bytes, piece.begin) = (gathered, 0);
    }

    /// Appends the bytes of keys that sleep, so many bytes about, from where that was left: how many keys, and whether it is through.
    fn save_some(&mut self, bytes: usize, out: &mut Vec<u8>) -> (u64, bool) {
        let (mut keys, most) = (0, out.len() + bytes);
        let Some((number, from)) = self.saved else { return (0, true) };
        let Some(piece) = self.pieces.get(number) else { return (0, true) };
        let (mut at, mut looked) = (from.max(piece.begin), 0);
        while at < piece.bytes.len() && out.len() < most && looked < LOOKED_AT {
            let end = piece.end(at);
            if piece.is_asleep(at) {
                out.extend_from_slice(&piece.bytes[at..end]);
                keys += 1;
            }
            (at, looked) = (end, looked + 1);
        }
        self.saved = Some(if at < piece.bytes.len() { (number, at) } else { (number + 1, 0) });
        (keys, false)
    }
}

impl Table {
    /// Room for so many keys that sleep.
    pub fn reserve_asleep(&mut self, shard_bits: u32, keys: u64) {
        let index = KeyIndex::within(shard_bits);
        self.asleep.get_or_insert_with(|| Box::new(Asleep { index, ..Asleep::default() })).index.reserve(keys);
    }

    /// Takes in the keys of a section, from this byte on, as they are, where they are this shard's, and holds their texts, which have the numbers
    /// here that they have there. All is looked at that could be wrong with a key. Those of many bytes are made at once.
    pub fn lay(
        &mut self,
        plan: &TablePlan,
        loading: &mut Loading,
        (bytes, begin): (Vec<u8>, usize),
        is_own: impl Fn(u64) -> bool,
        texts: &mut Texts<'_>,
    ) -> Result<Laid, Broken> {
        let Some(mut asleep) = self.asleep.take() else { return Ok(Laid::Before(begin, bytes)) };
        let number = asleep.pieces.len();
        asleep.pieces.push(Piece { bytes, begin, keys: 0, asleep: 0 });
        let laid = self.lay_last(plan, loading, &mut asleep, is_own, texts);
        let piece = &mut asleep.pieces[number];
        let laid = laid.map(|stray| match stray {
            None => Laid::All,
            Some(at) => {
                let rest = std::mem::take(&mut piece.bytes);
                piece.bytes = rest[..at].to_vec();
                Laid::Before(at, rest)
            }
        });
        if piece.keys == 0 {
            asleep.pieces.pop();
        } else {
            asleep.bytes += heap(piece.bytes.capacity());
        }
        self.asleep = Some(asleep);
        laid
    }

    /// Takes in the keys of the last piece. Where the first begins that is of another shard.
    fn lay_last(
        &mut self,
        plan: &TablePlan,
        loading: &mut Loading,
        asleep: &mut Asleep,
        is_own: impl Fn(u64) -> bool,
        texts: &mut Texts<'_>,
    ) -> Result<Option<usize>, Broken> {
        let Asleep { index, pieces, loading: own, .. } = asleep;
        let number = pieces.len() - 1;
        let piece = &pieces[number];
        let (mut keys, mut bytes, mut made, mut stray) = (0, 0, Vec::new(), None);
        let mut at = piece.begin;
        while at < piece.bytes.len() {
            let mut input = Input::new(&piece.bytes[at..]);
            let (key, rest) = next_key(&mut input)?;
            if !is_own(key.hash) {
                stray = Some(at);
                break;
            }
            let is_same = |other: u32| {
                let (piece, at) = split(other);
                pieces[piece].key(at) == key.bytes
            };
            if rest == 0 {
                return Err(Broken::new("nothing follows a key"));
            }
            if key.bytes.len() >= 1 << 24 || index.find(key.hash, is_same).is_some() || self.find_here(key).is_some() {
                return Err(Broken::new(TWICE));
            }
            let end = match place(number, at).filter(|_| HEAD_BYTES + key.bytes.len() + rest <= KEY_BYTES_MAX) {
                Some(place) => {
                    self.check_state(plan, rest, &mut input, texts)?;
                    let end = piece.bytes.len() - input.left();
                    index.insert(key.hash, place);
                    (keys, bytes) = (keys + 1, bytes + end - at);
                    end
                }
                None => {
                    self.load_state(plan, own, (key, rest), &mut input, texts)?;
                    made.push(at);
                    piece.bytes.len() - input.left()
                }
            };
            loading.hashes.push(key.hash);
            at = end;
        }
        let piece = &mut pieces[number];
        (piece.keys, piece.asleep) = (keys, bytes);
        made.into_iter().for_each(|at| piece.bytes[at + 7] |= (GONE >> 24) as u8);
        Ok(stray)
    }

    /// Whether a key sleeps.
    pub fn sleeps(&self, key: Key<'_>) -> bool {
        self.asleep.as_ref().is_some_and(|asleep| asleep.find(key).is_some())
    }

    /// Wakes a key, if it sleeps.
    #[cold]
    pub(super) fn wake(&mut self, plan: &TablePlan, key: Key<'_>, texts: &Interner) -> Option<Reference> {
        let place = self.asleep.as_ref()?.find(key)?;
        Some(self.wake_at(plan, place, texts))
    }

    fn wake_at(&mut self, plan: &TablePlan, place: u32, texts: &Interner) -> Reference {
        let mut asleep = self.asleep.take().expect("a key that sleeps is in a piece");
        let woken = self.make(plan, &mut asleep, place, texts);
        let (piece, _) = split(place);
        // What is being saved stays where it is.
        if self.capture.is_none() && asleep.pieces[piece].is_sparse() {
            asleep.gather(piece);
        }
        if asleep.index.keys() > 0 {
            self.asleep = Some(asleep);
        }
        woken
    }

    fn make(&mut self, plan: &TablePlan, asleep: &mut Asleep, place: u32, texts: &Interner) -> Reference {
        let mut loading = std::mem::take(&mut asleep.loading);
        let image = asleep.image(place);
        let hash = Key::of(asleep.key(place)).hash;
        let made = self.come_back(plan, &mut loading, image, texts);
        // It was looked at when it was laid down.
        let reference = made.unwrap_or_else(|broken| panic!("{UNREADABLE}: {broken}"));
        if asleep.saved.is_some_and(|saved| split(place) >= saved) {
            self.save_image(image);
        }
        asleep.loading = loading;
        asleep.leave(hash, place);
        reference
    }

    /// Wakes the keys of a hash that nothing can see any more, so that they can go; when others of it are to be looked at.
    pub(super) fn wake_due(&mut self, plan: &TablePlan, hash: u64, mark: i64, texts: &Interner) -> Elsewhere {
        let mut newest = None;
        while let Some(asleep) = &self.asleep {
            newest = None;
            let due = asleep.index.find(hash, |place| match asleep.newest(place) {
                Some(time) if !self.is_over(plan, time, mark) => {
                    newest = newest.max(Some(time));
                    false
                }
                _ => true,
            });
            let Some(due) = due else { break };
            self.wake_at(plan, due, texts);
        }
        newest.map_or(Elsewhere::No, Elsewhere::Newest)
    }

    /// Places of the keys that sleep, in the order of their bytes.
    pub fn asleep_in_order(&self) -> Vec<u32> {
        let Some(asleep) = &self.asleep else { return Vec::new() };
        let mut places: Vec<u32> = asleep.index.references().collect();
        places.sort_unstable_by(|&a, &b| asleep.key(a).cmp(asleep.key(b)));
        places
    }

    /// The key that sleeps at a place, and its bytes.
    pub fn asleep_at(&self, place: u32) -> (Key<'_>, &[u8]) {
        let asleep = self.asleep.as_ref().expect("a key that sleeps is in a piece");
        (Key::of(asleep.key(place)), asleep.image(place))
    }

    /// How many keys sleep.
    pub fn keys_asleep(&self) -> usize {
        self.asleep.as_ref().map_or(0, |asleep| asleep.index.keys())
    }

    /// Bytes of memory of keys that sleep.
    pub(super) fn asleep_bytes(&self) -> usize {
        self.asleep.as_ref().map_or(0, |asleep| {
            asleep.bytes + asleep.index.bytes() + room::<Piece>(asleep.pieces.capacity()) + size_of::<Asleep>()
        })
    }

    /// The keys that sleep are to be saved too.
    pub(super) fn begin_to_save_asleep(&mut self) {
        self.asleep.iter_mut().for_each(|asleep| asleep.saved = Some((0, 0)));
    }

    /// As `save_some`, of the keys that sleep.
    pub(super) fn save_asleep(&mut self, bytes: usize, out: &mut Vec<u8>) -> (u64, bool) {
        self.asleep.as_mut().map_or((0, true), |asleep| asleep.save_some(bytes, out))
    }

    /// Nothing is being saved any more.
    pub(super) fn end_saving_asleep(&mut self) {
        self.asleep.iter_mut().for_each(|asleep| asleep.saved = None);
    }
}
