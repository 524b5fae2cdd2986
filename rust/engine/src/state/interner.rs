//! Texts of the log as numbers: one copy of each, as long as an event in the state has it.

use std::collections::BTreeMap;

use crate::encode::Broken;
use crate::heap::{heap, room};
use crate::key::{self, KeyIndex};

/// Texts by the order of their bytes: a number that does not tell in which order they came.
#[derive(Debug)]
pub(crate) struct TextOrder {
    /// Numbers of the texts in use, in order.
    pub ids: Vec<u32>,
    /// Place in the order, by number.
    places: Vec<u32>,
}

impl TextOrder {
    /// Numbers as they are, for who keeps texts in use meanwhile.
    pub fn none() -> Self {
        Self { ids: Vec::new(), places: Vec::new() }
    }

    /// The number by which a file knows a text that is in use; null stays null.
    pub fn place(&self, id: u32) -> u32 {
        match id {
            ABSENT => ABSENT,
            id if self.places.is_empty() => id,
            id => self.places[id as usize],
        }
    }
}

/// The texts of a key that is being read: those of a checkpoint, which has numbers of its own for them, are used once more by each of its
/// records; a key that was only away for a while has never let go of its own.
#[derive(Debug)]
pub(crate) enum Texts<'a> {
    Used(&'a mut Interner, &'a Numbers),
    Kept(&'a Interner),
    /// As `Used`, by one of several threads: it counts the uses, by the numbers here.
    Counted(&'a Interner, &'a Numbers, &'a mut [u64]),
}

/// What the numbers of a checkpoint's texts are here.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// By number there, as far as they lie close.
    near: Vec<u32>,
    far: BTreeMap<u32, u32>,
    /// How many there are.
    texts: u64,
}

impl Numbers {
    /// Numbers from 0 on that are the same here and there.
    pub fn same(texts: u64) -> Self {
        Self { near: (0..texts as u32).collect(), far: BTreeMap::new(), texts }
    }

    /// A number there that is this one here; false where it has been given before. Of a file that has so many texts.
    pub fn add(&mut self, there: u32, here: u32, texts: u64) -> bool {
        self.texts += 1;
        if !Self::is_near(there, texts) {
            return there != ABSENT && self.far.insert(there, here).is_none();
        }
        let place = there as usize;
        if self.near.len() <= place {
            self.near.resize(place + 1, ABSENT);
        }
        std::mem::replace(&mut self.near[place], here) == ABSENT
    }

    /// Whether a number there is as small as those of a file that has so many texts mostly are.
    pub fn is_near(there: u32, texts: u64) -> bool {
        u64::from(there) < texts.saturating_mul(NEAR_SHARE).saturating_add(NEAR_MIN)
    }

    /// How many texts have a number.
    pub fn texts(&self) -> u64 {
        self.texts
    }

    #[inline]
    fn here(&self, there: u32) -> Option<u32> {
        let here = self.near.get(there as usize).or_else(|| self.far.get(&there)).copied();
        here.filter(|&here| here != ABSENT)
    }
}

/// Numbers below so many times the texts of a file, and below so many more, are looked up by place.
const NEAR_SHARE: u64 = 8;
const NEAR_MIN: u64 = 1 << 10;

impl Texts<'_> {
    pub fn get(&self) -> &Interner {
        match self {
            Self::Used(texts, _) => texts,
            Self::Kept(texts) | Self::Counted(texts, ..) => texts,
        }
    }

    /// The number here of a text that a record uses.
    pub fn hold(&mut self, there: u64) -> Result<u32, Broken> {
        let here = u32::try_from(there).ok().and_then(|there| match self {
            Self::Used(_, numbers) | Self::Counted(_, numbers, _) => numbers.here(there),
            Self::Kept(texts) => Some(there).filter(|&id| texts.knows(id)),
        });
        let here = here.ok_or_else(|| not_there(there))?;
        match self {
            Self::Used(texts, _) => texts.hold(here),
            Self::Counted(_, _, uses) => uses[here as usize] += 1,
            Self::Kept(_) => {}
        }
        Ok(here)
    }

    /// The same of many, which have the numbers here that they have there. That each is there is known once all uses have been taken in.
    pub fn hold_same(&mut self, texts: impl Iterator<Item = u32>) -> Result<(), Broken> {
        let Self::Counted(_, _, uses) = self else {
            return texts.into_iter().try_for_each(|id| self.hold(u64::from(id)).map(drop));
        };
        for id in texts {
            *uses.get_mut(id as usize).ok_or_else(|| not_there(u64::from(id)))? += 1;
        }
        Ok(())
    }
}

fn not_there(text: u64) -> Broken {
    Broken(format!("an event has text {text}, which is not there"))
}

/// No text has this number: it stands for null.
pub(crate) const ABSENT: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Interner {
    index: KeyIndex,
    /// In chunks that never move, so that growing copies nothing.
    chunks: Vec<Vec<Entry>>,
    free: Vec<u32>,
    /// Bytes of the texts themselves.
    bytes: usize,
    /// Numbers of another's texts that are used once less, where it stands in for that one.
    owed: Option<Vec<u32>>,
    /// Turns with each state that is written while events come: `TURN`, or 0. Texts of another one have not been saved yet.
    turn: u64,
    capture: Option<Capture>,
}

/// How far the texts of a state are saved: the next number, and the end of those there were; texts that were let go before.
#[derive(Debug)]
struct Capture {
    next: u32,
    end: u32,
    gone: Vec<(u32, Box<str>)>,
}

/// In a text's `uses`.
const TURN: u64 = 1 << 63;

/// Texts of a chunk.
const CHUNK: usize = 1 << 10;

#[derive(Debug)]
struct Entry {
    text: Box<str>,
    hash: u64,
    /// How often it is used; the top bit is the turn.
    uses: u64,
}

impl Entry {
    fn is_used(&self) -> bool {
        self.uses & !TURN > 0
    }
}

impl Interner {
    fn entry(&self, id: u32) -> &Entry {
        &self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }

    fn entry_mut(&mut self, id: u32) -> &mut Entry {
        &mut self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }

    /// The number of a text that is now used once more.
    pub fn acquire(&mut self, text: &str) -> u32 {
        let hash = key::hash(text.as_bytes());
        if let Some(id) = self.index.find(hash, |id| &*self.entry(id).text == text) {
            self.entry_mut(id).uses += 1;
            return id;
        }
        let entry = Entry { text: text.into(), hash, uses: 1 | self.turn };
        self.bytes += heap(text.len());
        let id = match self.free.pop() {
            Some(id) => {
                *self.entry_mut(id) = entry;
                id
            }
            None => self.push(entry),
        };
        assert!(id != ABSENT, "the state holds 2^32 - 1 different texts at most");
        self.index.insert(hash, id);
        id
    }

    /// Puts a text behind the others; its number.
    fn push(&mut self, entry: Entry) -> u32 {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut().expect("one with room has been put in");
        chunk.push(entry);
        (before + chunk.len() - 1) as u32
    }

    /// The number of a text that is now used so many times more.
    pub fn acquire_times(&mut self, text: &str, uses: u64) -> u32 {
        let id = self.acquire(text);
        self.entry_mut(id).uses += uses - 1;
        id
    }

    /// One without texts that stands in for another: it only remembers what is released.
    pub fn owing() -> Self {
        Self { owed: Some(Vec::new()), ..Self::default() }
    }

    /// What has been released to one that stands in.
    pub fn owed(self) -> Vec<u32> {
        self.owed.unwrap_or_default()
    }

    /// The same of one that goes on.
    pub fn take_owed(&mut self) -> Vec<u32> {
        self.owed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How many that is.
    pub fn owes(&self) -> usize {
        self.owed.as_ref().map_or(0, Vec::len)
    }

    /// One use less; the last one frees the text.
    pub fn release(&mut self, id: u32) {
        if let Some(owed) = &mut self.owed {
            return owed.push(id);
        }
        let turn = self.turn;
        let entry = self.entry_mut(id);
        entry.uses -= 1;
        if !entry.is_used() {
            let is_saved = entry.uses == turn;
            let (text, hash) = (std::mem::take(&mut entry.text), entry.hash);
            self.bytes -= heap(text.len());
            self.index.remove(hash, id);
            self.free.push(id);
            if let Some(capture) = self.capture.as_mut().filter(|_| !is_saved) {
                capture.gone.push((id, text));
            }
        }
    }

    /// One use more of a text that is in use.
    pub fn hold(&mut self, id: u32) {
        self.entry_mut(id).uses += 1;
    }

    /// More uses of texts, by their numbers; refused where one of them is not there.
    pub fn hold_all(&mut self, uses: &[u64]) -> Result<(), Broken> {
        let entries = self.chunks.iter_mut().flatten();
        entries.zip(uses).for_each(|(entry, uses)| entry.uses += uses);
        let stray = (0..).zip(uses).find(|&(id, &uses)| uses > 0 && !self.is_there(id));
        stray.map_or(Ok(()), |(id, _)| Err(not_there(u64::from(id))))
    }

    /// Whether a number has been given out. One that stands in for another does not know better.
    fn knows(&self, id: u32) -> bool {
        self.owed.is_some() || (id as usize) < self.len()
    }

    /// How many numbers have been given out.
    pub fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    /// The texts in use, in order.
    pub fn order(&self) -> TextOrder {
        let mut ids: Vec<u32> = (0..self.len() as u32).filter(|&id| self.entry(id).is_used()).collect();
        ids.sort_unstable_by(|&a, &b| self.text(a).cmp(self.text(b)));
        let mut places = vec![ABSENT; self.len()];
        for (place, &id) in ids.iter().enumerate() {
            places[id as usize] = place as u32;
        }
        TextOrder { ids, places }
    }

    /// Takes in a text that nothing uses yet; its number, which is the count of those before it where it was not there.
    pub fn load(&mut self, text: &str) -> u32 {
        let id = self.acquire(text);
        self.entry_mut(id).uses = self.turn;
        id
    }

    /// The same, with this number, where no other text has it and this one has none yet; else false, and nothing has changed. `settle` is to be
    /// called before anything else is done with the texts.
    pub fn load_at(&mut self, id: u32, text: &str) -> bool {
        let hash = key::hash(text.as_bytes());
        if self.is_there(id) || self.index.find(hash, |id| &*self.entry(id).text == text).is_some() {
            return false;
        }
        while self.len() <= id as usize {
            self.push(Entry { text: Box::default(), hash: 0, uses: self.turn });
        }
        *self.entry_mut(id) = Entry { text: text.into(), hash, uses: self.turn };
        self.bytes += heap(text.len());
        self.index.insert(hash, id);
        true
    }

    /// Numbers that have been passed over are free.
    pub fn settle(&mut self) {
        self.free = (0..self.len() as u32).rev().filter(|&id| !self.is_there(id)).collect();
    }

    /// Whether a number is that of a text, used or not.
    fn is_there(&self, id: u32) -> bool {
        (id as usize) < self.len() && self.index.find(self.entry(id).hash, |other| other == id).is_some()
    }

    /// How many texts are in use.
    pub fn texts(&self) -> usize {
        self.index.keys()
    }

    /// A text that nothing uses.
    pub fn unused(&self) -> Option<&str> {
        (0..self.len() as u32).find(|&id| !self.entry(id).is_used() && self.is_there(id)).map(|id| self.text(id))
    }

    /// Frees what has been taken in and nothing uses.
    pub fn drop_unused(&mut self) {
        for id in 0..self.len() as u32 {
            if !self.entry(id).is_used() && self.is_there(id) {
                self.hold(id);
                self.release(id);
            }
        }
    }

    /// The texts as they are now are to be saved, while others come and some leave.
    pub fn begin_capture(&mut self) {
        debug_assert!(self.capture.is_none(), "one at a time");
        self.turn ^= TURN;
        self.capture = Some(Capture { next: 0, end: self.len() as u32, gone: Vec::new() });
    }

    /// Saves so many texts more, and those that were let go; true when all are.
    pub fn save_some(&mut self, texts: usize, mut save: impl FnMut(u32, &str)) -> bool {
        let Some(mut capture) = self.capture.take() else { return true };
        capture.gone.drain(..).for_each(|(id, text)| save(id, &text));
        let to = capture.end.min(capture.next.saturating_add(u32::try_from(texts).unwrap_or(u32::MAX)));
        let turn = self.turn;
        for id in capture.next..to {
            let entry = self.entry_mut(id);
            if entry.is_used() && (entry.uses ^ turn) & TURN != 0 {
                entry.uses ^= TURN;
                save(id, &entry.text);
            }
        }
        capture.next = to;
        let is_done = to == capture.end;
        self.capture = Some(capture).filter(|_| !is_done);
        is_done
    }

    pub fn text(&self, id: u32) -> &str {
        &self.entry(id).text
    }

    pub fn bytes(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1) * room::<Entry>(CHUNK);
        // Not the list of free numbers: four bytes each, and a look that changes nothing may lengthen it.
        // What has not been written to yet of the newest chunk is no memory of the process.
        let newest = self.chunks.last().map_or(0, |chunk| room::<Entry>(chunk.len()));
        self.bytes + self.index.bytes() + full + newest + room::<Vec<Entry>>(self.chunks.capacity())
    }

    /// Bytes by which it may grow at once.
    pub fn growth_bytes(&self) -> usize {
        self.index.growth_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_lives_as_long_as_it_is_used() {
        let mut interner = Interner::default();
        let a = interner.acquire("a");
        assert_eq!(interner.acquire("a"), a);
        interner.release(a);
        assert_eq!(interner.text(a), "a");
        interner.release(a);
        assert_eq!(interner.index.keys(), 0);
        assert_eq!(interner.acquire("b"), a, "its number is used again");
    }

    #[test]
    fn texts_keep_the_numbers_they_are_given_and_the_others_are_free() {
        let mut interner = Interner::default();
        assert!(interner.load_at(3, "d") && interner.load_at(1, "b"));
        assert!(!interner.load_at(1, "c") && !interner.load_at(2, "d"), "both are there");
        assert_eq!(interner.load("e"), 4);
        interner.settle();
        interner.hold_all(&[0, 2, 0, 1, 1]).expect("each is there");
        assert_eq!((interner.text(1), interner.text(3), interner.unused(), interner.texts()), ("b", "d", None, 3));
        assert_eq!(["f", "b", "g", "h"].map(|text| interner.acquire(text)), [0, 1, 2, 5]);
        let refused = interner.hold_all(&[0, 0, 0, 0, 0, 0]).and(Interner::default().hold_all(&[1]));
        assert_eq!(refused.expect_err("it has no texts").0, "an event has text 0, which is not there");
    }
}
