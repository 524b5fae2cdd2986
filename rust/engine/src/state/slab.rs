//! Blocks of words for keys with few events: size classes out of chunks that never move, so that growth copies one block at a time.

/// Words of a chunk (256 KiB).
const CHUNK_BITS: u32 = 15;
const CHUNK_WORDS: usize = 1 << CHUNK_BITS;
/// Larger blocks get a chunk of their own.
const BLOCK_WORDS_MAX: usize = CHUNK_WORDS / 8;

/// Where a block starts: chunk and word within.
pub(crate) type Reference = u32;

#[derive(Debug, Default)]
pub(crate) struct Slab {
    chunks: Vec<Box<[u64]>>,
    /// Freed blocks, by size class.
    free: Vec<Vec<Reference>>,
    /// Freed chunks of large blocks.
    free_chunks: Vec<usize>,
    /// The chunk that new blocks are cut from, and its first free word.
    current: usize,
    next: usize,
}

/// Sizes grow by an eighth, and by two words where that is less: at most that share of a block is slack.
fn class_words(words: usize) -> usize {
    if words <= 16 {
        return words.next_multiple_of(2);
    }
    let step = (words.next_power_of_two() / 16).max(2);
    words.next_multiple_of(step)
}

fn class(words: usize) -> usize {
    words / 2
}

impl Slab {
    /// A block of at least `words` words, its reference and its size; its content is undefined.
    pub fn allocate(&mut self, words: usize) -> (Reference, usize) {
        let words = class_words(words);
        if words > BLOCK_WORDS_MAX {
            let chunk = match self.free_chunks.pop() {
                Some(chunk) => chunk,
                None => {
                    self.chunks.push(Box::default());
                    self.chunks.len() - 1
                }
            };
            self.chunks[chunk] = vec![0; words].into_boxed_slice();
            return (Self::reference(chunk, 0), words);
        }
        if let Some(reference) = self.free.get_mut(class(words)).and_then(Vec::pop) {
            return (reference, words);
        }
        if self.chunks.is_empty() || self.next + words > CHUNK_WORDS {
            self.chunks.push(vec![0; CHUNK_WORDS].into_boxed_slice());
            self.current = self.chunks.len() - 1;
            self.next = 0;
        }
        let reference = Self::reference(self.current, self.next);
        self.next += words;
        (reference, words)
    }

    /// Gives a block back.
    pub fn release(&mut self, reference: Reference, words: usize) {
        let words = class_words(words);
        if words > BLOCK_WORDS_MAX {
            let chunk = (reference >> CHUNK_BITS) as usize;
            self.chunks[chunk] = Box::default();
            self.free_chunks.push(chunk);
            return;
        }
        let class = class(words);
        if self.free.len() <= class {
            self.free.resize_with(class + 1, Vec::new);
        }
        self.free[class].push(reference);
    }

    fn reference(chunk: usize, word: usize) -> Reference {
        assert!(chunk < 1 << (32 - CHUNK_BITS), "a table holds 32 GiB of small keys at most");
        ((chunk as u32) << CHUNK_BITS) | word as u32
    }

    /// From the first word of a block to the end of its chunk.
    #[inline]
    pub fn block(&self, reference: Reference) -> &[u64] {
        &self.chunks[(reference >> CHUNK_BITS) as usize][(reference as usize) & (CHUNK_WORDS - 1)..]
    }

    /// The same, to write.
    #[inline]
    pub fn block_mut(&mut self, reference: Reference) -> &mut [u64] {
        &mut self.chunks[(reference >> CHUNK_BITS) as usize][(reference as usize) & (CHUNK_WORDS - 1)..]
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|chunk| size_of_val(&**chunk)).sum();
        let free: usize = self.free.iter().map(|list| list.capacity() * size_of::<Reference>()).sum();
        chunks + free + self.chunks.capacity() * size_of::<Box<[u64]>>()
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
        for i in 0..2_000 {
            slab.allocate(1 + i % 300);
        }
        let lists = slab.free.iter().map(|list| list.capacity() * 4).sum::<usize>();
        assert!(slab.bytes() <= before + lists, "freed blocks are used again");
    }
}
