//! What a checkpoint is made of: a magic, a version, and sections with checksums; `docs/checkpoint-format.md` draws every byte.

use crate::encode::{Encode, Input};

/// The first bytes of every checkpoint.
pub(super) const MAGIC: [u8; 8] = *b"fastfeat";
/// Raised with every change of the bytes. Releases write this one.
pub const FORMAT_VERSION: u32 = 4;
/// The oldest that they open; a file of another is refused by name.
pub(super) const OLDEST_VERSION: u32 = 1;
/// Since then tables are shards.
pub(super) const SHARDED_VERSION: u32 = 2;
/// Since then keys and texts come in any order.
pub(super) const UNORDERED_VERSION: u32 = 3;
/// Since then keys say how many bytes they are, and may sleep.
pub(super) const SLEEPING_VERSION: u32 = 4;
/// Magic and version.
pub(super) const PREAMBLE_BYTES: usize = 12;
/// Kind, codec, two zeros, number, length, checksum of the payload, checksum of these.
pub(super) const HEADER_BYTES: usize = 24;
/// Sections of texts and keys end with the first entry beyond this.
pub(super) const SECTION_BYTES: usize = 1 << 20;
/// The payload is as it is.
pub(super) const PLAIN: u8 = 0;
/// The payload is a u64 of how many bytes it stands for, and a Zstandard frame of them.
pub(super) const ZSTD: u8 = 1;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $number:literal, $name:literal;)*) => {
        /// What a section holds. Numbers are in files: append, never reuse.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Kind {
            $($(#[doc = $doc])* $kind = $number,)*
        }

        impl Kind {
            fn of(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$kind),)*
                    _ => None,
                }
            }

            /// Its name, for people.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// Fingerprint, versions and options that the state depends on.
    Identity = 1, "identity";
    /// The definition as JSON.
    Definition = 2, "definition";
    /// How records and rows are laid out, as JSON.
    Layout = 3, "layout";
    /// Where the sources stood, as JSON.
    Offsets = 4, "offsets";
    /// Clocks, counters, late events, lookups.
    Counters = 5, "counters";
    /// Texts and their numbers; several sections.
    Texts = 6, "texts";
    /// Keys of one shard of a table; several sections.
    Keys = 7, "keys";
    /// When the keys of one shard of a table are looked at; several sections.
    Expiry = 8, "expiry";
    /// How much came before.
    End = 9, "end";
    /// What an increment goes on from.
    Link = 10, "link";
    /// Accepted events in their order; several sections.
    Events = 11, "events";
    /// Which features began after which change of the definition, as JSON.
    Changes = 12, "changes";
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: Kind,
    /// How the payload is packed.
    pub codec: u8,
    /// Of a table, or of a piece of the events; 0 elsewhere.
    pub number: u32,
    /// Bytes of the payload.
    pub length: u64,
    /// Checksum of the payload (CRC-32C).
    pub checksum: u32,
}

impl Header {
    /// For a payload, which may be in pieces.
    pub fn of(kind: Kind, codec: u8, number: u32, payload: &[&[u8]]) -> Self {
        let length = payload.iter().map(|piece| piece.len() as u64).sum();
        let checksum = payload.iter().fold(0, |checksum, piece| crc32c::crc32c_append(checksum, piece));
        Self { kind, codec, number, length, checksum }
    }

    /// Its bytes, with a checksum of their own at the end.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        (self.kind as u8).encode(&mut bytes);
        self.codec.encode(&mut bytes);
        0_u16.encode(&mut bytes);
        self.number.encode(&mut bytes);
        self.length.encode(&mut bytes);
        self.checksum.encode(&mut bytes);
        crc32c::crc32c(&bytes).encode(&mut bytes);
        assert_eq!(bytes.len(), HEADER_BYTES, "a header has one size");
        bytes
    }

    /// Reads it back, or says what is wrong.
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Self, String> {
        let (checked, own) = bytes.split_at(HEADER_BYTES - 4);
        if crc32c::crc32c(checked).to_le_bytes() != own {
            return Err("the checksum of a section's header is another than that of its bytes".to_owned());
        }
        let mut input = Input::new(checked);
        let mut read = || -> Result<_, crate::encode::Broken> {
            let (kind, codec): (u8, u8) = input.read()?;
            let (zero, number): (u16, u32) = input.read()?;
            let (length, checksum): (u64, u32) = input.read()?;
            Ok((kind, codec, zero, number, length, checksum))
        };
        let (kind, codec, zero, number, length, checksum) = read().map_err(|broken| broken.to_string())?;
        let Some(kind) = Kind::of(kind) else { return Err(format!("a section of the unknown kind {kind}")) };
        if !matches!(codec, PLAIN | ZSTD) || zero != 0 {
            return Err(format!("a section in the unknown codec {codec}"));
        }
        Ok(Self { kind, codec, number, length, checksum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_no_bit_of_it_may_change() {
        let header = Header::of(Kind::Keys, ZSTD, 3, &[b"pay", b"load"]);
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(&header.bytes());
        assert_eq!(Header::read(&bytes), Ok(header));
        for bit in 0..HEADER_BYTES * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::read(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn the_checksum_is_the_castagnoli_one() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8A91_36AA);
    }
}
