//! Asks the processor for memory that will be needed soon: state is larger than its caches, and an answer waits for a dozen places of it.
//! Measured on a million `cards` events: see the commit that brought it.
#![expect(unsafe_code, reason = "the processor's hint is an intrinsic")]

/// Bytes that come at once.
const LINE: usize = 64;
/// Lines that are asked for at most.
const LINES_MAX: usize = 16;

/// Asks for all of a slice, as far as that is few lines.
#[inline]
pub(super) fn slice<T>(slice: &[T]) {
    let bytes = size_of_val(slice);
    let start = slice.as_ptr().cast::<u8>();
    for line in 0..bytes.div_ceil(LINE).min(LINES_MAX) {
        hint(start.wrapping_add(line * LINE));
    }
}

/// Asks for the line that a value begins in.
#[inline]
pub(super) fn value<T>(value: &T) {
    hint(std::ptr::from_ref(value).cast());
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn hint(address: *const u8) {
    // SAFETY: a prefetch reads nothing that the program sees and never faults, whatever the address.
    unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn hint(_: *const u8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_slice_may_be_asked_for() {
        let words: Vec<u64> = (0..1_000).collect();
        for length in [0, 1, 7, 8, 9, 128, 129, 1_000] {
            slice(&words[..length]);
            slice(&words[words.len() - length..]);
        }
        slice::<[u64; 0]>(&[[], []]);
        value(&words[999]);
        value(&());
        assert!(words.iter().sum::<u64>() == 499_500);
    }
}
