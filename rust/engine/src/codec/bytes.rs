//! Reading binary formats: a place in a message that never leaves it, and what is said where the bytes are something else.

use crate::error::{EventError, Problem};
use crate::schema::Schema;

/// Longest message of a binary format, as of JSON.
pub const BYTES_MAX: usize = super::json::BYTES_MAX;
/// Deepest nesting of a message.
pub const LEVELS_MAX: usize = super::json::LEVELS_MAX;
/// Bytes of a message that an error shows.
const SHOWN_MAX: usize = 24;

/// What is wrong with the bytes: a sentence without its place.
#[derive(Debug)]
pub struct Fault(pub String);

impl Fault {
    /// It ends before it should.
    #[cold]
    pub fn short(wanted: u64, left: usize) -> Self {
        Self(format!("{wanted} bytes are announced and {left} are left"))
    }
}

/// A place in a message.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    /// How many bytes have been read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// How many are left.
    #[inline]
    pub fn left(&self) -> usize {
        self.all.len() - self.at
    }

    /// The next bytes.
    #[inline]
    pub fn take(&mut self, count: u64) -> Result<&'a [u8], Fault> {
        if count > self.left() as u64 {
            return Err(Fault::short(count, self.left()));
        }
        let start = self.at;
        self.at += count as usize;
        Ok(&self.all[start..self.at])
    }

    /// The next bytes, as many as the array has.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.all[self.at..].first_chunk::<N>() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(Fault::short(N as u64, self.left())),
        }
    }

    /// A whole number, seven bits a byte, the lowest first; at most ten bytes.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Fault> {
        let rest = &self.all[self.at..];
        // Most are one byte long.
        if let [byte @ 0..0x80, ..] = rest {
            self.at += 1;
            return Ok(u64::from(*byte));
        }
        let mut value = 0_u64;
        for (place, byte) in rest.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7F);
            if place == 9 && bits > 1 {
                break;
            }
            value |= bits << (7 * place);
            if byte & 0x80 == 0 {
                self.at += place + 1;
                return Ok(value);
            }
        }
        Err(match rest.len() {
            0..10 => Fault("it ends in the middle of a number".to_owned()),
            _ => Fault("a number is longer than 64 bits".to_owned()),
        })
    }

    /// The same with the sign in the lowest bit.
    #[inline]
    pub fn zigzag(&mut self) -> Result<i64, Fault> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

/// Text as UTF-8.
#[inline]
pub fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes)
        .map_err(|error| Fault(format!("a text is not UTF-8 at its byte {}", error.valid_up_to())))
}

/// Whether a message is too long to be looked at.
pub fn check_length(schema: &Schema, bytes: &[u8], rule: &'static str) -> Result<(), EventError> {
    if bytes.len() <= BYTES_MAX {
        return Ok(());
    }
    let message =
        format!("the event has {} bytes and {BYTES_MAX} are allowed; send less, or several events", bytes.len());
    Err(refused(schema, bytes, rule, message))
}

/// The error about a message as a whole. It shows the first bytes.
#[cold]
pub fn refused(schema: &Schema, bytes: &[u8], rule: &'static str, message: String) -> EventError {
    let mut value: String = bytes.iter().take(SHOWN_MAX).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > SHOWN_MAX {
        value = format!("{value}… ({} bytes)", bytes.len());
    }
    EventError::Invalid {
        stream: schema.stream.clone(),
        problems: vec![Problem { field: String::new(), value, rule, message }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_at_most_64_bits() {
        for (bytes, value) in [
            (vec![0], Some(0)),
            (vec![0x7F], Some(127)),
            (vec![0x80, 1], Some(128)),
            (vec![0x80, 0x80, 0], Some(0)),
            ([vec![0xFF; 9], vec![1]].concat(), Some(u64::MAX)),
            ([vec![0xFF; 9], vec![2]].concat(), None),
            (vec![0x80; 10], None),
            (vec![0x80; 11], None),
            (vec![0x80], None),
            (vec![], None),
        ] {
            let mut cursor = Cursor::new(&bytes);
            assert_eq!(cursor.varint().ok(), value, "{bytes:?}");
            assert_eq!(cursor.at(), if value.is_some() { bytes.len() } else { 0 });
        }
    }

    #[test]
    fn the_sign_is_in_the_lowest_bit() {
        for (byte, value) in [(0, 0), (1, -1), (2, 1), (3, -2)] {
            assert_eq!(Cursor::new(&[byte]).zigzag().unwrap(), value);
        }
        let lowest = [vec![0xFF; 9], vec![1]].concat();
        assert_eq!(Cursor::new(&lowest).zigzag().unwrap(), i64::MIN);
    }

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert!(cursor.take(u64::MAX).is_err());
        assert!(cursor.array::<4>().is_err());
        assert_eq!(cursor.take(3).unwrap(), [1, 2, 3]);
        assert_eq!(cursor.left(), 0);
    }
}
