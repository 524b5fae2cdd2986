//! A sketch of how many different values there are: their hashes as long as they are few, HyperLogLog's registers after that.
//!
//! It is a function of the set of values alone: no order, no repetition and no grouping shows in it.

use super::sketch;
use crate::encode::{Broken, Decode, Encode, Input};
use crate::heap::{heap, room};

/// So many different values are counted exactly.
pub const EXACT_MAX: usize = 128;

/// The sketch of some values.
#[derive(Clone, Debug, PartialEq)]
pub enum Registers {
    /// Hashes, rising.
    Few(Vec<u64>),
    /// Highest rank by register.
    Many(Box<[u8]>),
}

impl Default for Registers {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Encode for Registers {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Few(hashes) => {
                (hashes.len() as u8).encode(out);
                hashes.iter().for_each(|hash| hash.encode(out));
            }
            Self::Many(registers) => {
                MANY.encode(out);
                out.extend_from_slice(registers);
            }
        }
    }
}

impl Decode for Registers {
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
        let count: u8 = input.read()?;
        if count == MANY {
            return Ok(Self::Many(input.take(sketch::REGISTERS)?.into()));
        }
        let mut hashes: Vec<u64> = Vec::new();
        for _ in 0..count {
            let hash = input.read()?;
            if hashes.last().is_some_and(|&last| last >= hash) {
                return Err(Broken::new("the hashes of a sketch are not in order"));
            }
            hashes.push(hash);
        }
        if hashes.len() > EXACT_MAX {
            return Err(Broken(format!("{count} hashes in a sketch that holds {EXACT_MAX}")));
        }
        Ok(Self::Few(hashes))
    }
}

/// Written in place of a count of hashes.
const MANY: u8 = u8::MAX;

impl Registers {
    /// One value more, by its hash.
    pub fn add(&mut self, hash: u64) {
        match self {
            Self::Few(hashes) => {
                let Err(place) = hashes.binary_search(&hash) else { return };
                if hashes.len() < EXACT_MAX {
                    hashes.insert(place, hash);
                    return;
                }
                let mut registers = vec![0; sketch::REGISTERS].into_boxed_slice();
                hashes.iter().chain([&hash]).for_each(|&hash| raise(&mut registers, hash));
                *self = Self::Many(registers);
            }
            Self::Many(registers) => raise(registers, hash),
        }
    }

    /// Takes in the sketch of other values.
    pub fn merge(&mut self, other: &Self) {
        match other {
            Self::Few(hashes) => hashes.iter().for_each(|&hash| self.add(hash)),
            Self::Many(theirs) => {
                let mut joined = theirs.clone();
                match self {
                    Self::Few(hashes) => hashes.iter().for_each(|&hash| raise(&mut joined, hash)),
                    Self::Many(ours) => joined.iter_mut().zip(ours.iter()).for_each(|(a, &b)| *a = (*a).max(b)),
                }
                *self = Self::Many(joined);
            }
        }
    }

    /// How many different values, about.
    pub fn estimate(&self) -> u64 {
        match self {
            Self::Few(hashes) => hashes.len() as u64,
            Self::Many(registers) => sketch::estimate(registers).round() as u64,
        }
    }

    /// Bytes beyond its own size.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Few(hashes) => room::<u64>(hashes.capacity()),
            Self::Many(registers) => heap(registers.len()),
        }
    }
}

fn raise(registers: &mut [u8], hash: u64) {
    let (register, rank) = sketch::slot(hash);
    registers[register] = registers[register].max(rank);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::sketch::hash_word;

    fn of(values: impl Iterator<Item = u64>) -> Registers {
        let mut registers = Registers::default();
        values.for_each(|value| registers.add(hash_word(value)));
        registers
    }

    #[test]
    fn few_are_exact_and_groups_leave_no_trace() {
        for n in [0, 1, 128, 129, 5_000] {
            let all = of(0..n);
            let mut joined = of(n / 2..n);
            joined.merge(&of(0..n / 2 + 1.min(n)));
            assert_eq!(joined, all, "{n}");
            let mut other = of((0..n / 3).rev());
            other.merge(&of((n / 4..n).rev()));
            assert_eq!(other, all, "{n}");
            if n <= 128 {
                assert_eq!(all.estimate(), n);
            } else {
                assert!((all.estimate() as f64 / n as f64 - 1.0).abs() < 0.1, "{n}: {}", all.estimate());
            }
        }
    }
}
