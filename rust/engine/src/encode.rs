//! How state becomes bytes and back: numbers in little-endian, one after the other, counts before what they count.
//!
//! Nothing is allocated for a count that the bytes at hand cannot hold, and nothing that bytes may say makes a panic.

use thiserror::Error;

/// Bytes that are not what they should be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Broken(pub String);

impl Broken {
    /// `what` is a sentence without its full stop.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// What can be written as bytes. Equal values have equal bytes, on every machine.
pub trait Encode {
    /// Appends the bytes.
    fn encode(&self, out: &mut Vec<u8>);
}

/// What can be read back.
pub trait Decode: Sized {
    /// Takes the bytes off the front.
    ///
    /// # Errors
    /// The bytes end too early, or stand for no value.
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken>;
}

/// Bytes to read from the front.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// All of these.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next so many.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(Broken(format!("{count} bytes are wanted where {} are left", self.rest.len())));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// A value.
    pub fn read<T: Decode>(&mut self) -> Result<T, Broken> {
        T::decode(self)
    }

    /// The next words, as many as there is room for.
    #[inline]
    pub fn words(&mut self, words: &mut [u64]) -> Result<(), Broken> {
        let (bytes, _) = self.take(size_of_val(words))?.as_chunks();
        words.iter_mut().zip(bytes).for_each(|(word, &bytes)| *word = u64::from_le_bytes(bytes));
        Ok(())
    }

    /// The next halves of words, as many as there is room for.
    #[inline]
    pub fn halves(&mut self, halves: &mut [u32]) -> Result<(), Broken> {
        let (bytes, _) = self.take(size_of_val(halves))?.as_chunks();
        halves.iter_mut().zip(bytes).for_each(|(half, &bytes)| *half = u32::from_le_bytes(bytes));
        Ok(())
    }

    /// How many things follow, of at least so many bytes each.
    pub fn count(&mut self, bytes_each: usize) -> Result<usize, Broken> {
        let count: u64 = self.read()?;
        let room = (self.rest.len() / bytes_each.max(1)) as u64;
        if count > room {
            return Err(Broken(format!("{count} things are announced where {room} can be at most")));
        }
        Ok(count as usize)
    }

    /// A text.
    pub fn text(&mut self) -> Result<&'a str, Broken> {
        let bytes = self.count(1)?;
        std::str::from_utf8(self.take(bytes)?).map_err(|_| Broken::new("a text is not UTF-8"))
    }

    /// Nothing may be left.
    pub fn end(&self) -> Result<(), Broken> {
        if self.rest.is_empty() { Ok(()) } else { Err(Broken(format!("{} bytes too many", self.rest.len()))) }
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(
            impl Encode for $type {
                #[inline]
                fn encode(&self, out: &mut Vec<u8>) {
                    out.extend_from_slice(&self.to_le_bytes());
                }
            }

            impl Decode for $type {
                #[inline]
                fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
                    let mut bytes = [0; size_of::<Self>()];
                    bytes.copy_from_slice(input.take(size_of::<Self>())?);
                    Ok(Self::from_le_bytes(bytes))
                }
            }
        )*
    };
}

numbers!(u8, u16, u32, u64, i32, i64, i128);

impl Encode for f64 {
    fn encode(&self, out: &mut Vec<u8>) {
        self.to_bits().encode(out);
    }
}

impl Decode for f64 {
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
        Ok(Self::from_bits(input.read()?))
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
        match u8::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Broken(format!("{other} is neither yes nor no"))),
        }
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.len() as u64).encode(out);
        out.extend_from_slice(self.as_bytes());
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
        if input.read()? { input.read().map(Some) } else { Ok(None) }
    }
}

impl<T: Encode> Encode for Box<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
        input.read().map(Self::new)
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<A: Decode, B: Decode> Decode for (A, B) {
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
        Ok((input.read()?, input.read()?))
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.encode(out));
    }
}

impl<T: Decode + Copy + Default, const N: usize> Decode for [T; N] {
    fn decode(input: &mut Input<'_>) -> Result<Self, Broken> {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = input.read()?;
        }
        Ok(values)
    }
}

/// The fields of a struct one after the other.
macro_rules! encode_fields {
    ($type:ident $(<$(const $size:ident: usize),*>)? { $($field:tt),* $(,)? }) => {
        impl $(<$(const $size: usize),*>)? $crate::encode::Encode for $type $(<$($size),*>)? {
            fn encode(&self, out: &mut Vec<u8>) {
                $($crate::encode::Encode::encode(&self.$field, out);)*
            }
        }

        impl $(<$(const $size: usize),*>)? $crate::encode::Decode for $type $(<$($size),*>)? {
            fn decode(input: &mut $crate::encode::Input<'_>) -> Result<Self, $crate::encode::Broken> {
                Ok(Self { $($field: input.read()?),* })
            }
        }
    };
}

pub(crate) use encode_fields;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: &(impl Encode + ?Sized)) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    #[test]
    fn numbers_are_little_endian_and_come_back() {
        assert_eq!(bytes(&0x0102_0304_u32), [4, 3, 2, 1]);
        assert_eq!(bytes(&-2_i64), [254, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(bytes("ab"), [2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b']);
        let nan = f64::from_bits(0x7FF8_0000_0000_07A2);
        let all = (Some(nan), [i128::MIN, 7]);
        let written = bytes(&all);
        let mut input = Input::new(&written);
        let (first, second): (Option<f64>, [i128; 2]) = input.read().expect("what was written");
        assert_eq!((first.map(f64::to_bits), second), (Some(nan.to_bits()), all.1));
        assert_eq!(input.end(), Ok(()));
    }

    #[test]
    fn what_cannot_be_there_is_refused_before_it_is_made() {
        let huge = bytes(&u64::MAX);
        assert!(Input::new(&huge).count(1).is_err());
        assert!(Input::new(&huge).text().is_err());
        assert!(Input::new(&huge[1..]).read::<u64>().is_err());
        assert!(Input::new(&[2]).read::<bool>().is_err());
        assert!(Input::new(&[1]).read::<Option<u8>>().is_err());
        assert!(Input::new(&bytes("\u{e9}")[..9]).text().is_err());
        let mut broken = bytes("\u{e9}");
        broken[9] = b'x';
        assert_eq!(Input::new(&broken).text(), Err(Broken::new("a text is not UTF-8")));
        assert!(Input::new(&[0]).end().is_err());
    }
}
