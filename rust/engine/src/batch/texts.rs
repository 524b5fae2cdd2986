//! The texts of the records of a chunk, numbered by themselves, so that a thread needs no other to read: each different one is asked of the
//! engine's once.

use hashbrown::HashTable;

use crate::key;
use crate::state::interner::Interner;

/// Each different text, in the order in which they came.
#[derive(Default)]
pub(super) struct Texts {
    numbers: HashTable<u32>,
    known: Vec<Known>,
    bytes: String,
    /// By number, that of the engine.
    pub ids: Vec<u32>,
}

struct Known {
    hash: u64,
    start: usize,
    end: usize,
    uses: u64,
}

impl Texts {
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.known.clear();
        self.bytes.clear();
        self.ids.clear();
    }

    /// The number of a text here, used once more.
    #[inline]
    pub fn number(&mut self, text: &str) -> u32 {
        let hash = key::hash(text.as_bytes());
        let Self { numbers, known, bytes, .. } = self;
        let is = |&number: &u32| {
            let Known { hash: other, start, end, .. } = known[number as usize];
            other == hash && bytes[start..end] == *text
        };
        if let Some(&number) = numbers.find(hash, is) {
            known[number as usize].uses += 1;
            return number;
        }
        let number = known.len() as u32;
        let start = bytes.len();
        bytes.push_str(text);
        known.push(Known { hash, start, end: bytes.len(), uses: 1 });
        numbers.insert_unique(hash, number, |&number| known[number as usize].hash);
        number
    }

    /// Gets the engine's numbers, as often used as they are here.
    pub fn acquire(&mut self, interner: &mut Interner) {
        let id = |text: &Known| interner.acquire_times(&self.bytes[text.start..text.end], text.uses);
        self.ids = self.known.iter().map(id).collect();
    }
}
