//! Texts of the log as numbers: one copy of each, as long as an event in the state has it.

use hashbrown::HashTable;

use crate::key;

/// Texts by the order of their bytes: a number that does not tell in which order they came.
#[derive(Debug)]
pub(crate) struct TextOrder {
    /// Numbers of the texts in use, in order.
    pub ids: Vec<u32>,
    /// Place in the order, by number.
    places: Vec<u32>,
}

impl TextOrder {
    /// The place of a text that is in use; null stays null.
    pub fn place(&self, id: u32) -> u32 {
        if id == ABSENT { ABSENT } else { self.places[id as usize] }
    }
}

/// No text has this number: it stands for null.
pub(crate) const ABSENT: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Interner {
    index: HashTable<u32>,
    texts: Vec<Entry>,
    free: Vec<u32>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    text: Box<str>,
    hash: u64,
    uses: u64,
}

impl Interner {
    /// The number of a text that is now used once more.
    pub fn acquire(&mut self, text: &str) -> u32 {
        let hash = key::hash(text.as_bytes());
        if let Some(&id) = self.index.find(hash, |&id| &*self.texts[id as usize].text == text) {
            self.texts[id as usize].uses += 1;
            return id;
        }
        let entry = Entry { text: text.into(), hash, uses: 1 };
        self.bytes += text.len();
        let id = match self.free.pop() {
            Some(id) => {
                self.texts[id as usize] = entry;
                id
            }
            None => {
                self.texts.push(entry);
                self.texts.len() as u32 - 1
            }
        };
        assert!(id != ABSENT, "the state holds 2^32 - 1 different texts at most");
        self.index.insert_unique(hash, id, |&id| self.texts[id as usize].hash);
        id
    }

    /// One use less; the last one frees the text.
    pub fn release(&mut self, id: u32) {
        let entry = &mut self.texts[id as usize];
        entry.uses -= 1;
        if entry.uses == 0 {
            let slot = self.index.find_entry(entry.hash, |&other| other == id);
            slot.expect("a text in use is in the index").remove();
            self.bytes -= entry.text.len();
            entry.text = Box::default();
            self.free.push(id);
        }
    }

    /// One use more of a text that is in use.
    pub fn hold(&mut self, id: u32) {
        self.texts[id as usize].uses += 1;
    }

    /// The texts in use, in order.
    pub fn order(&self) -> TextOrder {
        let mut ids: Vec<u32> = (0..self.texts.len() as u32).filter(|&id| self.texts[id as usize].uses > 0).collect();
        ids.sort_unstable_by(|&a, &b| self.text(a).cmp(self.text(b)));
        let mut places = vec![ABSENT; self.texts.len()];
        for (place, &id) in ids.iter().enumerate() {
            places[id as usize] = place as u32;
        }
        TextOrder { ids, places }
    }

    /// Takes in a text that is not there and that nothing uses yet; its number is the count of those before it.
    pub fn load(&mut self, text: &str) {
        let id = self.acquire(text);
        self.texts[id as usize].uses = 0;
    }

    /// How many texts have been taken in.
    pub fn loaded_len(&self) -> u64 {
        self.texts.len() as u64
    }

    /// A text that nothing uses.
    pub fn unused(&self) -> Option<&str> {
        self.texts.iter().find(|entry| entry.uses == 0).map(|entry| &*entry.text)
    }

    pub fn text(&self, id: u32) -> &str {
        &self.texts[id as usize].text
    }

    pub fn bytes(&self) -> usize {
        // Not the list of free numbers: four bytes each, and a look that changes nothing may lengthen it.
        self.bytes + self.index.allocation_size() + self.texts.capacity() * size_of::<Entry>()
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
        assert_eq!(interner.index.len(), 0);
        assert_eq!(interner.acquire("b"), a, "its number is used again");
    }
}
