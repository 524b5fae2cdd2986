//! What an allocation really takes. The state counts itself by this, and estimates of it go by the same.

/// Bytes of memory behind an allocation of so many: the allocator puts a word before each, rounds up to two words, and gives four at least.
#[inline]
pub(crate) fn heap(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) }
}

/// Bytes behind a value in a box of its own.
#[inline]
pub(crate) fn boxed<T>() -> usize {
    heap(size_of::<T>())
}

/// Bytes behind a vector or deque with room for so many.
#[inline]
pub(crate) fn room<T>(capacity: usize) -> usize {
    heap(capacity * size_of::<T>())
}

/// Bytes of a `BTreeMap` with pairs of two words: nodes have room for eleven, and six in them where there are many.
pub(crate) fn tree_map(len: usize) -> usize {
    let nodes = if len <= 11 { len.min(1) } else { len.div_ceil(6) };
    nodes * heap(11 * 16 + 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_takes_nothing_and_a_byte_takes_four_words() {
        assert_eq!([0, 1, 24, 25, 40, 41].map(heap), [0, 32, 32, 48, 48, 64]);
        assert_eq!([0, 1, 11, 12].map(tree_map), [0, 208, 208, 416]);
    }
}
