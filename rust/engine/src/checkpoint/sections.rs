//! Sections on their way out and in, whatever they hold: headers, checksums, an end that tells how much there was.

use std::io::{self, Read, Write};

use super::format::{
    FORMAT_VERSION, HEADER_BYTES, Header, Kind, MAGIC, OLDEST_VERSION, PLAIN, PREAMBLE_BYTES, SECTION_BYTES, ZSTD,
};
use crate::encode::{Broken, Encode, Input};
use crate::error::{CheckpointFault, SpillError};

/// Level of compression: the fastest of Zstandard's usual ones.
const ZSTD_LEVEL: i32 = 1;
/// What a packed section may stand for.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;

/// Sections on their way out.
pub(super) struct Writer<'a> {
    out: &'a mut dyn Write,
    /// What is gathered for the next one.
    pub payload: Vec<u8>,
    /// What has been written so far.
    bytes: u64,
    sections: u64,
    /// Checksum of all headers.
    headers: u32,
}

/// A file that has been written: how many bytes, and what knows it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub bytes: u64,
    pub seal: u64,
}

impl std::fmt::Debug for Writer<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Writer").field("bytes", &self.bytes).field("sections", &self.sections).finish_non_exhaustive()
    }
}

impl<'a> Writer<'a> {
    /// Begins a file.
    pub fn begin(out: &'a mut dyn Write) -> io::Result<Self> {
        let mut preamble = MAGIC.to_vec();
        FORMAT_VERSION.encode(&mut preamble);
        out.write_all(&preamble)?;
        Ok(Self { out, payload: Vec::new(), bytes: preamble.len() as u64, sections: 0, headers: 0 })
    }

    /// Writes what has been gathered as a section.
    pub fn finish(&mut self, kind: Kind, number: u32) -> io::Result<()> {
        self.finish_as(kind, PLAIN, number)
    }

    /// The same, packed.
    pub fn finish_packed(&mut self, kind: Kind, number: u32) -> io::Result<()> {
        let packed = zstd::bulk::compress(&self.payload, ZSTD_LEVEL)?;
        let bytes = self.payload.len() as u64;
        self.payload.clear();
        bytes.encode(&mut self.payload);
        self.payload.extend_from_slice(&packed);
        self.finish_as(kind, ZSTD, number)
    }

    fn finish_as(&mut self, kind: Kind, codec: u8, number: u32) -> io::Result<()> {
        let payload = std::mem::take(&mut self.payload);
        let finished = self.put(kind, codec, number, &[&payload]);
        self.payload = payload;
        self.payload.clear();
        finished
    }

    /// Writes a section that has been gathered elsewhere, in pieces.
    pub fn finish_parts(&mut self, kind: Kind, number: u32, parts: &[&[u8]]) -> io::Result<()> {
        self.put(kind, PLAIN, number, parts)
    }

    fn put(&mut self, kind: Kind, codec: u8, number: u32, parts: &[&[u8]]) -> io::Result<()> {
        let header = Header::of(kind, codec, number, parts).bytes();
        self.out.write_all(&header)?;
        parts.iter().try_for_each(|part| self.out.write_all(part))?;
        self.headers = crc32c::crc32c_append(self.headers, &header);
        self.bytes += (header.len() + parts.iter().map(|part| part.len()).sum::<usize>()) as u64;
        self.sections += 1;
        Ok(())
    }

    pub fn text(&mut self, kind: Kind, text: &str) -> io::Result<()> {
        self.payload.extend_from_slice(text.as_bytes());
        self.finish(kind, 0)
    }

    /// Whether a section of many things is to end here.
    pub fn is_full(&self) -> bool {
        self.payload.len() >= SECTION_BYTES
    }

    /// Ends the file.
    pub fn end(mut self) -> io::Result<Sealed> {
        let (bytes, count, headers) = (self.bytes, self.sections, self.headers);
        (bytes, count).encode(&mut self.payload);
        headers.encode(&mut self.payload);
        self.finish(Kind::End, 0)?;
        Ok(Sealed { bytes: self.bytes, seal: seal(bytes, headers) })
    }
}

/// What knows a file from others: its checksum of checksums, and how long it is.
fn seal(bytes: u64, headers: u32) -> u64 {
    u64::from(headers) << 32 | bytes & 0xFFFF_FFFF
}

/// Why a file cannot be gone on from.
#[derive(Debug)]
pub(super) struct Fault {
    pub fault: CheckpointFault,
    pub message: String,
}

impl From<SpillError> for Fault {
    fn from(error: SpillError) -> Self {
        Self { fault: CheckpointFault::Disk, message: error.to_string() }
    }
}

/// The disk that keys are spilled to does not do what it should.
pub(super) fn spilled(error: SpillError) -> Fault {
    error.into()
}

pub(super) fn damaged<T>(message: String) -> Result<T, Fault> {
    Err(Fault { fault: CheckpointFault::Damaged, message })
}

pub(super) fn refused<T>(message: String) -> Result<T, Fault> {
    Err(Fault { fault: CheckpointFault::Refused, message })
}

/// Sections on their way in.
pub(super) struct Reader<'a> {
    input: &'a mut dyn Read,
    /// Of its format.
    pub version: u32,
    /// Bytes of the file, and how many have been read.
    length: u64,
    at: u64,
    sections: u64,
    headers: u32,
    pub payload: Vec<u8>,
}

impl<'a> Reader<'a> {
    /// Begins a file of so many bytes.
    pub fn begin(input: &'a mut dyn Read, length: u64) -> Result<Self, Fault> {
        let mut reader = Self { input, version: 0, length, at: 0, sections: 0, headers: 0, payload: Vec::new() };
        let mut bytes = [0; PREAMBLE_BYTES];
        reader.fill(&mut bytes, "the first bytes")?;
        let (magic, version) = bytes.split_at(MAGIC.len());
        if magic != MAGIC {
            return damaged(
                "it does not begin as a checkpoint of fastfeat does: it is another file, or was overwritten".to_owned(),
            );
        }
        match Input::new(version).read::<u32>() {
            Ok(version @ OLDEST_VERSION..=FORMAT_VERSION) => Ok(Self { version, ..reader }),
            Ok(version) => refused(format!(
                "its format is {version}, and this release ({}) opens {OLDEST_VERSION} to {FORMAT_VERSION}; open it with the release that wrote it",
                env!("CARGO_PKG_VERSION")
            )),
            Err(broken) => damaged(broken.to_string()),
        }
    }

    fn fill(&mut self, bytes: &mut [u8], what: &str) -> Result<(), Fault> {
        match self.input.read_exact(bytes) {
            Ok(()) => {
                self.at += bytes.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.ends_early(what),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    fn unreadable(&self, error: &io::Error) -> Fault {
        Fault {
            fault: CheckpointFault::Disk,
            message: format!(
                "it cannot be read at byte {}: {error}; try again, or give the path of an older one",
                self.at
            ),
        }
    }

    fn ends_early<T>(&self, what: &str) -> Result<T, Fault> {
        damaged(format!("it ends in the middle of {what} that begins at byte {}: it was cut off", self.at))
    }

    /// Reads the next section; its payload is then there.
    pub fn next(&mut self) -> Result<Header, Fault> {
        let begin = self.at;
        let mut bytes = [0; HEADER_BYTES];
        self.fill(&mut bytes, "a section's header")?;
        let header = match Header::read(&bytes) {
            Ok(header) => header,
            Err(message) => return damaged(format!("at byte {begin}: {message}")),
        };
        let name = header.kind.name();
        // Held against the file before anything is made for it.
        if header.length > self.left() {
            return self.ends_early(&format!("the section `{name}`"));
        }
        self.payload.clear();
        self.payload.reserve_exact(header.length as usize);
        let read = (&mut *self.input).take(header.length).read_to_end(&mut self.payload);
        let whole = read.map_err(|error| self.unreadable(&error))? as u64 == header.length;
        if !whole {
            return self.ends_early(&format!("the section `{name}`"));
        }
        self.at += header.length;
        if crc32c::crc32c(&self.payload) != header.checksum {
            return damaged(format!(
                "the section `{name}` at byte {begin} has another checksum than when it was written"
            ));
        }
        if header.codec == ZSTD {
            self.unpack().or_else(|message| damaged(format!("the section `{name}` at byte {begin}: {message}")))?;
        }
        if header.kind != Kind::End {
            self.headers = crc32c::crc32c_append(self.headers, &bytes);
            self.sections += 1;
        }
        Ok(header)
    }

    /// The next section, which has to be this one.
    pub fn expect(&mut self, kind: Kind, number: u32) -> Result<(), Fault> {
        let header = self.next()?;
        if (header.kind, header.number) != (kind, number) {
            let (wanted, found) = (kind.name(), header.kind.name());
            return damaged(format!("a section `{found}` {} stands where `{wanted}` {number} has to", header.number));
        }
        Ok(())
    }

    /// Puts in place of a packed payload what it stands for.
    fn unpack(&mut self) -> Result<(), String> {
        let mut input = Input::new(&self.payload);
        let bytes: u64 = input.read().map_err(|broken| broken.to_string())?;
        if bytes > UNPACKED_BYTES_MAX {
            return Err(format!("it stands for {bytes} bytes, and {UNPACKED_BYTES_MAX} are allowed"));
        }
        let packed = &self.payload[self.payload.len() - input.left()..];
        let mut unpacked = Vec::new();
        // Memory is asked for as bytes come, and for one too many at most.
        zstd::stream::Decoder::with_buffer(packed)
            .and_then(|decoder| decoder.single_frame().take(bytes + 1).read_to_end(&mut unpacked))
            .map_err(|error| format!("it cannot be unpacked: {error}"))?;
        if unpacked.len() as u64 != bytes {
            return Err(format!("it stands for {bytes} bytes, and {} or more came out", unpacked.len()));
        }
        self.payload = unpacked;
        Ok(())
    }

    /// The end, and nothing after it.
    pub fn end(mut self) -> Result<Sealed, Fault> {
        let begin = self.at;
        self.expect(Kind::End, 0)?;
        self.ended(begin)
    }

    /// Checks the end that has been read last, and that began at this byte.
    pub fn ended(self, begin: u64) -> Result<Sealed, Fault> {
        let counted = (begin, self.sections);
        let mut input = Input::new(&self.payload);
        let told = broken(Kind::End, input.read::<((u64, u64), u32)>())?;
        broken(Kind::End, input.end())?;
        if told != (counted, self.headers) {
            return damaged("its end tells of other sections than there are".to_owned());
        }
        if self.at != self.length {
            let more = self.length - self.at;
            return damaged(format!("{more} bytes come after its end"));
        }
        Ok(Sealed { bytes: self.at, seal: seal(counted.0, self.headers) })
    }

    /// How many bytes are left.
    pub fn left(&self) -> u64 {
        self.length.saturating_sub(self.at)
    }

    /// How many bytes have been read.
    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn text(&self) -> Result<&str, Fault> {
        std::str::from_utf8(&self.payload).or_else(|_| damaged("a text is not UTF-8".to_owned()))
    }
}

pub(super) fn broken<T>(kind: Kind, result: Result<T, Broken>) -> Result<T, Fault> {
    result.map_err(|broken| broken_in(kind, &broken))
}

pub(super) fn broken_in(kind: Kind, broken: &Broken) -> Fault {
    Fault { fault: CheckpointFault::Damaged, message: format!("in the section `{}`: {broken}", kind.name()) }
}
