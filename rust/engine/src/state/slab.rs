//! Blocks of words for keys with few events: size classes out of chunks that never move, so that growth copies one block at a time.

use std::collections::VecDeque;

use crate::heap::{heap, room};

/// Bits of a reference that are the word within a chunk.
const CHUNK_BITS: u32 = 15;
/// Words of a chunk (32 KiB).
const CHUNK_WORDS: usize = 1 << 12;
/// Words of the first one (4 KiB): small states are to be small.
const FIRST_WORDS: usize = CHUNK_WORDS / 8;
/// Larger blocks get a chunk of their own.
const BLOCK_WORDS_MAX: usize = CHUNK_WORDS / 8;

/// In the first word of a block that has been freed, beside how many words it has.
const FREED: u64 = 1 << 13;
const WORDS_BITS: u32 = 17;

/// Where a block starts: chunk and word within.
pub(crate) type Reference = u32;

/// A chunk, and how much of it is in use.
#[derive(Debug, Default)]
struct Chunk {
    words: Box<[u64]>,
    live: usize,
    /// Words of its blocks that have been freed.
    freed: usize,
    /// How often its memory has been given back: blocks freed before that are gone.
    age: u32,
}

/// How far blocks have been passed over: a chunk, the word in it, and the chunk's age when it was begun.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    chunk: usize,
    word: usize,
    age: u32,
}

/// Blocks of a size class that have been freed, with the age of their chunk then. The first of them is used first: where keys leave in the
/// order in which they came, the chunks after it become empty and can be given back.
type Freed = VecDeque<(Reference, u32)>;

#[derive(Debug, Default)]
pub(crate) struct Slab {
    chunks: Vec<Chunk>,
    /// By size class.
    free: Vec<Freed>,
    /// Chunks without memory.
    free_chunks: Vec<usize>,
    /// The chunk that new blocks are cut from, and its first free word; 0 before there is one.
    current: usize,
    next: usize,
    /// Bytes of the chunks.
    chunk_bytes: usize,
    /// Words of all blocks that have been freed and not given back.
    freed: usize,
    /// The chunk that is being emptied and the first word that has not been looked at.
    emptied: Option<(usize, usize)>,
    /// The next chunk to be emptied.
    hand: usize,
}

/// Sizes grow by an eighth, and by two words where that is less: at most that share of a block is slack.
pub(super) fn class_words(words: usize) -> usize {
    if words <= 16 {
        return words.next_multiple_of(2);
    }
    let step = (words.next_power_of_two() / 16).max(2);
    words.next_multiple_of(step)
}

/// The number of a size, which is one of `class_words`: eight to each power of two.
fn class(words: usize) -> usize {
    if words <= 16 {
        return words / 2;
    }
    let power = words.next_power_of_two();
    (power.trailing_zeros() as usize - 4) * 8 + (words - power / 2) / (power / 16)
}

impl Slab {
    /// A block of at least `words` words, its reference and its size; its content is undefined.
    pub fn allocate(&mut self, words: usize) -> (Reference, usize) {
        let words = class_words(words);
        if words > BLOCK_WORDS_MAX {
            let chunk = self.new_chunk(words);
            self.chunks[chunk].live = words;
            return (Self::reference(chunk, 0), words);
        }
        while let Some((reference, age)) = self.free.get_mut(class(words)).and_then(VecDeque::pop_front) {
            let chunk = &mut self.chunks[(reference >> CHUNK_BITS) as usize];
            if chunk.age == age {
                chunk.live += words;
                chunk.freed -= words;
                self.freed -= words;
                return (reference, words);
            }
        }
        if self.next == 0 || self.next + words > self.chunks[self.current].words.len() {
            let left = self.current;
            let had_one = self.next > 0;
            let is_first = self.chunks.is_empty() && words <= FIRST_WORDS;
            self.current = self.new_chunk(if is_first { FIRST_WORDS } else { CHUNK_WORDS });
            self.next = 0;
            if had_one && self.chunks[left].live == 0 {
                self.give_back(left);
            }
        }
        let reference = Self::reference(self.current, self.next);
        self.next += words;
        self.chunks[self.current].live += words;
        (reference, words)
    }

    fn new_chunk(&mut self, words: usize) -> usize {
        let number = self.free_chunks.pop().unwrap_or_else(|| {
            self.chunks.push(Chunk::default());
            self.chunks.len() - 1
        });
        self.chunks[number].words = vec![0; words].into_boxed_slice();
        self.chunk_bytes += heap(words * 8);
        number
    }

    /// Gives a block back.
    pub fn release(&mut self, reference: Reference, words: usize) {
        let words = class_words(words);
        let number = (reference >> CHUNK_BITS) as usize;
        let chunk = &mut self.chunks[number];
        chunk.live -= words;
        if chunk.live == 0 && (number != self.current || words > BLOCK_WORDS_MAX) {
            return self.give_back(number);
        }
        chunk.words[reference as usize & (CHUNK_WORDS - 1)] = FREED | (words as u64) << WORDS_BITS;
        if self.emptied.is_some_and(|(emptied, _)| emptied == number) {
            return;
        }
        let (class, age) = (class(words), chunk.age);
        if self.free.len() <= class {
            self.free.resize_with(class + 1, VecDeque::new);
        }
        let free = &mut self.free[class];
        if free.len() == free.capacity() {
            // Before the list grows, those go whose chunks have gone.
            let chunks = &self.chunks;
            free.retain(|&(reference, age)| chunks[(reference >> CHUNK_BITS) as usize].age == age);
        }
        free.push_back((reference, age));
        self.chunks[number].freed += words;
        self.freed += words;
    }

    /// Gives the memory of a chunk back in which nothing is in use.
    fn give_back(&mut self, number: usize) {
        let chunk = &mut self.chunks[number];
        self.chunk_bytes -= heap(chunk.words.len() * 8);
        self.freed -= chunk.freed;
        chunk.freed = 0;
        chunk.words = Box::default();
        chunk.age = chunk.age.wrapping_add(1);
        self.free_chunks.push(number);
        if self.emptied.is_some_and(|(emptied, _)| emptied == number) {
            self.emptied = None;
        }
    }

    /// The next block in use of the chunk that is being emptied, where keys have to leave for others. No new block is put there, so that it
    /// can be given back as a whole. `None` at its end, from where the next chunk is begun.
    pub fn next_to_empty(&mut self) -> Option<Reference> {
        loop {
            let (number, word) = self.emptied?;
            let words = &self.chunks[number].words;
            let first = words.get(word).copied().unwrap_or_default();
            if first == 0 {
                self.emptied = None;
                return None;
            }
            let block = (first >> WORDS_BITS) as usize & 0x7F_FFFF;
            self.emptied = Some((number, word + block));
            if first & FREED == 0 {
                return Some(Self::reference(number, word));
            }
        }
    }

    /// The next block in use, while blocks are cut and freed: each that stays where it is is met once.
    pub fn next_block(&self, place: &mut Place) -> Option<Reference> {
        loop {
            let chunk = self.chunks.get(place.chunk)?;
            if place.word == 0 {
                place.age = chunk.age;
            }
            let first = chunk.words.get(place.word).copied().unwrap_or_default();
            // What is in a chunk that was given back meanwhile has come after.
            if first == 0 || chunk.age != place.age {
                *place = Place { chunk: place.chunk + 1, word: 0, age: 0 };
                continue;
            }
            let reference = Self::reference(place.chunk, place.word);
            place.word += (first >> WORDS_BITS) as usize & 0x7F_FFFF;
            if first & FREED == 0 {
                return Some(reference);
            }
        }
    }

    /// The chunk that is being emptied.
    pub fn emptied(&self) -> Option<usize> {
        self.emptied.map(|(number, _)| number)
    }

    /// Begins to empty the next chunk that is not among those, and says whether there is one.
    pub fn begin_to_empty(&mut self, seen: &[usize]) -> bool {
        let count = self.chunks.len();
        let mut places = (0..count).map(|step| (self.hand + step) % count);
        let is_next = |number: &usize| self.chunks[*number].live > 0 && !seen.contains(number);
        let Some(number) = places.find(is_next) else { return false };
        if number == self.current {
            // Its end is cut off: new blocks go to another one.
            (self.current, self.next) = (usize::MAX, 0);
        }
        let chunk = &mut self.chunks[number];
        // Its blocks that have been freed are not handed out any more.
        chunk.age = chunk.age.wrapping_add(1);
        self.freed -= chunk.freed;
        chunk.freed = 0;
        self.emptied = Some((number, 0));
        self.hand = number + 1;
        true
    }

    /// Leaves the rest of the chunk as it is.
    pub fn stop_to_empty(&mut self) {
        self.emptied = None;
    }

    fn reference(chunk: usize, word: usize) -> Reference {
        assert!(chunk < 1 << (32 - CHUNK_BITS), "a shard holds 4 GiB of small keys at most");
        ((chunk as u32) << CHUNK_BITS) | word as u32
    }

    /// From the first word of a block to the end of its chunk.
    #[inline]
    pub fn block(&self, reference: Reference) -> &[u64] {
        &self.chunks[(reference >> CHUNK_BITS) as usize].words[(reference as usize) & ((1 << CHUNK_BITS) - 1)..]
    }

    /// The same, to write.
    #[inline]
    pub fn block_mut(&mut self, reference: Reference) -> &mut [u64] {
        &mut self.chunks[(reference >> CHUNK_BITS) as usize].words[(reference as usize) & ((1 << CHUNK_BITS) - 1)..]
    }

    /// Bytes held by blocks that have been freed.
    pub fn freed_bytes(&self) -> usize {
        self.freed * 8
    }

    /// Bytes held. What has not been written to yet of the newest chunk is no memory of the process.
    pub fn bytes(&self) -> usize {
        let untouched = if self.next == 0 { 0 } else { self.chunks[self.current].words.len() - self.next };
        let free: usize = self.free.iter().map(|free| room::<(Reference, u32)>(free.capacity())).sum();
        self.chunk_bytes - untouched * 8
            + free
            + room::<Freed>(self.free.capacity())
            + room::<Chunk>(self.chunks.capacity())
            + room::<usize>(self.free_chunks.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_class_holds_what_was_asked_with_an_eighth_of_slack() {
        for words in 1..5_000 {
            let size = class_words(words);
            assert!(size >= words && size <= words + (words / 7).max(2), "{words} -> {size}");
            assert_eq!(class_words(size), size);
        }
    }

    #[test]
    fn blocks_do_not_overlap_and_come_back() {
        let mut slab = Slab::default();
        let mut blocks: Vec<_> = (0..2_000).map(|i| slab.allocate(1 + i % 300)).collect();
        blocks.push(slab.allocate(BLOCK_WORDS_MAX + 1));
        for (number, &(reference, words)) in blocks.iter().enumerate() {
            slab.block_mut(reference)[..words].fill(number as u64);
        }
        for (number, &(reference, words)) in blocks.iter().enumerate() {
            assert!(slab.block(reference)[..words].iter().all(|&word| word == number as u64));
        }
        let before = slab.bytes();
        for &(reference, words) in &blocks {
            slab.release(reference, words);
        }
        assert!(slab.bytes() < before / 4, "chunks in which nothing is left are given back");
        for i in 0..2_000 {
            slab.allocate(1 + i % 300);
        }
        assert!(slab.bytes() <= before + before / 10, "freed blocks are used again");
    }

    #[test]
    fn a_block_of_a_chunk_that_was_given_back_is_not_handed_out_again() {
        let mut slab = Slab::default();
        let mut random = 1_u32;
        let mut live: Vec<(Reference, usize)> = Vec::new();
        for step in 0..60_000_usize {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Now and then nearly all goes, so that chunks are given back.
            let wanted = if step % 20_000 < 15_000 { 1_000 } else { 3 };
            if live.len() > wanted || (live.len() > 1 && random >> 30 == 0) {
                let (reference, words) = live.swap_remove((random >> 8) as usize % live.len());
                assert!(slab.block(reference)[..words].iter().all(|&word| word == u64::from(reference)));
                slab.release(reference, words);
            } else {
                let (reference, words) = slab.allocate(1 + (random >> 8) as usize % 700);
                slab.block_mut(reference)[..words].fill(u64::from(reference));
                live.push((reference, words));
            }
        }
        assert!(slab.chunks.iter().any(|chunk| chunk.age > 0), "no chunk was given back");
        let in_use: usize = live.iter().map(|&(_, words)| words).sum();
        assert_eq!(slab.chunks.iter().map(|chunk| chunk.live).sum::<usize>(), in_use);
        let cut = slab.chunks.iter().filter(|chunk| !chunk.words.is_empty()).count();
        let bytes: usize = slab.chunks.iter().map(|chunk| chunk.freed).sum();
        assert_eq!(slab.freed_bytes(), bytes * 8);
        assert!(bytes + in_use <= cut * CHUNK_WORDS, "no block is counted twice");
    }
}
