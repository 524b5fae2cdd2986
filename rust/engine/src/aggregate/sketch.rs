//! Arithmetic of sketches: from values to registers and buckets, and from those to answers. No state: a window's slices hold bytes
//! and counts, which merge by maximum and by sum, so that no order of arrival or merging shows in any bit.
//!
//! *Distinct values*: HyperLogLog (Flajolet et al. 2007) of 1,024 registers, with the estimator of Ertl, "New cardinality estimation
//! algorithms for HyperLogLog sketches", 2017, arXiv:1702.01284, algorithm 6, which has no bias to correct at any size.
//! *Quantiles*: DDSketch (Masson, Rim, Lee 2019, arXiv:1908.10693) with buckets that are linear between powers of two: 64 of them each,
//! so that the bucket is a shift of the double's bits, and its middle within 1/128 of all that is in it. No logarithm is asked.
//!
//! The crates at hand do not fit. `datasketches` estimates by the history of its updates (HIP) unless sketches were merged, so the same
//! values in another order, or from slices, give another answer. `sketches-ddsketch` folds its lowest buckets when they pass a limit, which
//! depends on the order, asks the machine's `ln`, and cannot take a value away.
//!
//! Hashes and buckets are written into checkpoints: they never change.

/// Registers of a HyperLogLog, a byte each.
pub const REGISTERS: usize = 1 << REGISTER_BITS;
const REGISTER_BITS: u32 = 10;

/// Highest rank: the first of the bits that remain may be any of them, or none.
const RANK_MAX: usize = (64 - REGISTER_BITS) as usize + 1;

/// The hash of a word: a number, ticks, a code. Different words have different hashes (the finalizer of SplitMix64).
#[inline]
pub fn hash_word(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// The hash of a text. Not that of `key.rs`, whose crate may change it between releases.
#[inline]
pub fn hash_text(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    // The length parts texts that differ in zero bytes at their end.
    let mut hash = hash_word(bytes.len() as u64 ^ 0x9E37_79B9_7F4A_7C15);
    for word in words.iter().chain([&last]) {
        hash = hash_word(hash.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_add(hash);
    }
    hash_word(hash)
}

/// Register and rank of a hash; a register holds the highest rank it was given.
#[inline]
pub fn slot(hash: u64) -> (usize, u8) {
    let rest = hash << REGISTER_BITS;
    let rank = (rest.leading_zeros() as usize + 1).min(RANK_MAX);
    ((hash >> (64 - REGISTER_BITS)) as usize, rank as u8)
}

/// How many different hashes made these registers, about: the standard error is 1.04 / sqrt(1024), 3.3 %.
pub fn estimate(registers: &[u8]) -> f64 {
    let mut ranks = [0_u32; RANK_MAX + 1];
    for &rank in registers {
        ranks[usize::from(rank).min(RANK_MAX)] += 1;
    }
    let m = registers.len() as f64;
    let mut z = m * tau(1.0 - f64::from(ranks[RANK_MAX]) / m);
    for &count in ranks[1..RANK_MAX].iter().rev() {
        z = 0.5 * (z + f64::from(count));
    }
    z += m * sigma(f64::from(ranks[0]) / m);
    m * m / z / (2.0 * std::f64::consts::LN_2)
}

/// The share of registers that are still empty, and what it says of those that are not: x + x^2 + 2 x^4 + 4 x^8 + ...
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// The same of the registers that are full.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

/// Bits of the fraction that choose a bucket among those of one power of two.
const FRACTION_BITS: u32 = 6;
const SHIFT: u32 = 52 - FRACTION_BITS;
/// Number of the bucket that 2^-1022, the smallest normal double, begins.
const NORMAL: u64 = ((SHIFT as u64) + 1) << FRACTION_BITS;
/// Bucket of infinity, the largest there is.
pub const BUCKET_MAX: i64 = (0x7FF_i64 << FRACTION_BITS) + NORMAL as i64 - (1 << FRACTION_BITS);

/// Bucket of a value that is no NaN: 0 of both zeros, negative ones below, [`BUCKET_MAX`] of infinity; larger values have no smaller bucket.
#[inline]
pub fn bucket(x: f64) -> i64 {
    let bits = x.to_bits() & !(1 << 63);
    let number = if bits >> 52 != 0 {
        (bits >> SHIFT) + NORMAL - (1 << FRACTION_BITS)
    } else {
        // Below the normal doubles the bits are a whole number of the smallest one; its first seven bits choose.
        let cut = (64 - FRACTION_BITS - 1).saturating_sub(bits.leading_zeros());
        (bits >> cut) + (u64::from(cut) << FRACTION_BITS)
    };
    if x < 0.0 { -(number as i64) } else { number as i64 }
}

/// The middle of a bucket: within 1/128 of every value in it. Larger buckets have larger ones.
#[inline]
pub fn representative(bucket: i64) -> f64 {
    let number = bucket.unsigned_abs();
    let magnitude = if bucket.abs() >= BUCKET_MAX {
        f64::INFINITY
    } else if number >= NORMAL {
        f64::from_bits((number - NORMAL + (1 << FRACTION_BITS)) << SHIFT | 1 << (SHIFT - 1))
    } else {
        let cut = (number >> FRACTION_BITS).saturating_sub(1) as u32;
        let first = number - (u64::from(cut) << FRACTION_BITS);
        f64::from_bits(first << cut | (1 << cut) >> 1)
    };
    if bucket < 0 { -magnitude } else { magnitude }
}

/// Which of `count` sorted values (from 0) answers a quantile: floor(q * (count - 1)).
#[inline]
pub fn rank(q: f64, count: u64) -> u64 {
    (q * count.saturating_sub(1) as f64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn registers(hashes: impl Iterator<Item = u64>) -> [u8; REGISTERS] {
        let mut registers = [0; REGISTERS];
        for (register, rank) in hashes.map(slot) {
            registers[register] = registers[register].max(rank);
        }
        registers
    }

    #[test]
    fn estimates_lie_within_three_standard_errors() {
        const RUNS: u64 = 40;
        let standard_error = 1.04 / (REGISTERS as f64).sqrt();
        for size in [129_u64, 500, 2_000, 5_000, 20_000, 200_000] {
            let errors: Vec<f64> = (0..RUNS)
                .map(|run| {
                    let texts = run % 2 == 1;
                    // Near numbers, as those of users and orders are.
                    let values = (0..size).map(|value| run * 1_000_000 + value);
                    let estimate = if texts {
                        estimate(&registers(values.map(|value| hash_text(&format!("user-{value}")))))
                    } else {
                        estimate(&registers(values.map(hash_word)))
                    };
                    estimate / size as f64 - 1.0
                })
                .collect();
            let mean = errors.iter().sum::<f64>() / RUNS as f64;
            let deviation = (errors.iter().map(|error| error * error).sum::<f64>() / RUNS as f64).sqrt();
            assert!(mean.abs() < 3.0 * standard_error / (RUNS as f64).sqrt(), "{size}: bias {mean}");
            assert!(deviation < 1.35 * standard_error, "{size}: error {deviation}");
            let within = errors.iter().filter(|error| error.abs() < 3.0 * standard_error).count();
            assert!(within as u64 >= RUNS - 1, "{size}: {within} of {RUNS}");
        }
    }

    #[test]
    fn the_ends_of_the_scale_are_met() {
        assert_eq!(estimate(&[0; REGISTERS]), 0.0);
        let one = estimate(&registers([hash_word(1)].into_iter()));
        assert!((one - 1.0).abs() < 0.01, "{one}");
        assert!(estimate(&[RANK_MAX as u8; REGISTERS]).is_infinite());
        assert!(estimate(&[RANK_MAX as u8 - 1; REGISTERS]) > 1e17);
        assert_eq!(slot(0), (0, RANK_MAX as u8));
        assert_eq!(slot(u64::MAX), (REGISTERS - 1, 1));
    }

    #[test]
    fn hashes_never_change() {
        assert_eq!(hash_word(1), 0x5692_161D_100B_05E5);
        assert_eq!(hash_text(""), 0xA1AC_47FD_EB3D_2CBD);
        assert_eq!(hash_text("fastfeat"), 0x7B95_016C_C144_FBB2);
        assert_eq!(hash_text("a text of more than eight bytes"), 0xE4EA_F863_C9AD_C8EC);
        assert_ne!(hash_text("a"), hash_text("a\0"));
        assert_ne!(hash_text("12345678"), hash_text("12345678\0\0\0\0\0\0\0\0"));
    }

    #[test]
    fn buckets_of_the_edges_are_in_order() {
        let edges = [
            0.0,
            5e-324,
            1e-323,
            63.0 * 5e-324,
            64.0 * 5e-324,
            127.0 * 5e-324,
            128.0 * 5e-324,
            1e-310,
            f64::MIN_POSITIVE.next_down(),
            f64::MIN_POSITIVE,
            1.0_f64.next_down(),
            1.0,
            1.0 + 1.0 / 64.0,
            1e308,
            f64::MAX,
            f64::INFINITY,
        ];
        for pair in edges.windows(2) {
            assert!(bucket(pair[0]) < bucket(pair[1]), "{pair:?}");
            assert_eq!(bucket(-pair[1]), -bucket(pair[1]));
        }
        assert_eq!(bucket(-0.0), 0);
        assert_eq!(bucket(f64::INFINITY), BUCKET_MAX);
        assert_eq!(representative(BUCKET_MAX), f64::INFINITY);
        assert_eq!(representative(-BUCKET_MAX), f64::NEG_INFINITY);
        assert_eq!(representative(0), 0.0);
    }

    #[test]
    fn every_bucket_has_its_own_middle_in_order() {
        let mut before = f64::NEG_INFINITY;
        for number in -BUCKET_MAX + 1..=BUCKET_MAX {
            let middle = representative(number);
            assert!(middle > before, "{number}");
            assert_eq!(bucket(middle), number);
            before = middle;
        }
    }

    #[test]
    fn ranks_are_those_of_the_lower_neighbour() {
        assert_eq!((rank(0.0, 5), rank(0.5, 4), rank(0.5, 5), rank(1.0, 5), rank(0.9, 0)), (0, 1, 2, 4, 0));
    }

    proptest! {
        #[test]
        fn a_representative_is_within_a_hundredth(x in prop_oneof![prop::num::f64::NORMAL, prop::num::f64::SUBNORMAL, -1e6..1e6]) {
            let middle = representative(bucket(x));
            prop_assert!((middle - x).abs() <= x.abs() / 128.0, "{x} {middle}");
        }

        #[test]
        fn buckets_keep_the_order(a in any::<f64>(), b in any::<f64>()) {
            let (a, b) = (a.min(b), a.max(b));
            prop_assert!(bucket(a) <= bucket(b), "{a} {b}");
        }

        #[test]
        fn registers_do_not_know_an_order(mut values in prop::collection::vec(any::<u64>(), 0..300), cut in 0..300_usize) {
            let forward = registers(values.iter().copied().map(hash_word));
            values.reverse();
            let (a, b) = values.split_at(cut.min(values.len()));
            let (a, b) = (registers(a.iter().copied().map(hash_word)), registers(b.iter().copied().map(hash_word)));
            let merged: Vec<u8> = a.iter().zip(b).map(|(&a, b)| a.max(b)).collect();
            prop_assert_eq!(&merged[..], &forward[..]);
        }
    }
}
