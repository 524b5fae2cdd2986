//! Segments of the spill file: what is in use of each, which are free, which one is being filled.

use std::collections::BTreeSet;
use std::io;

use super::file::{SpillDisk, SpillFile};
use super::image::{HEAD_BYTES, Head, UNIT_BYTES};
use crate::error::SpillError;
use crate::heap::room;

/// Bytes of a segment. A batch that is larger has as many as it needs, one after the other.
const SEGMENT_BYTES: usize = 4 << 20;
const SEGMENT_UNITS: u64 = (SEGMENT_BYTES / UNIT_BYTES) as u64;
/// As many as 32 bits of units come to.
const SEGMENTS_MAX: u32 = ((1_u64 << 32) / SEGMENT_UNITS) as u32;
/// So much is read at once: mostly all of an image.
const READ_BYTES: usize = 4_096;
/// So much of the file may be out of use beside as much as is in use, before segments are written anew.
const SLACK_BYTES: u64 = 2 * SEGMENT_BYTES as u64;

/// With so many free segments at its end the file is cut.
const FREE_MAX: u32 = 8;

/// A segment, or the first of those that belong together.
#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    /// The first of its run: itself, mostly.
    first: u32,
    /// How many belong to the first.
    span: u32,
    /// Bytes of images in use, up to their next units.
    live: u64,
    /// Bytes that have been written.
    used: u64,
    /// It could not be read through: it is not tried again.
    stuck: bool,
    /// Which of the runs that have begun it is.
    generation: u64,
}

/// Segments that belong together: units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub begin: u64,
    /// After what has been written.
    pub end: u64,
    /// Of the segment after them.
    pub next: u64,
    pub generation: u64,
}

/// The file, and what is where in it.
#[derive(Debug)]
pub(crate) struct Store {
    place: String,
    file: Box<dyn SpillFile>,
    segments: Vec<Segment>,
    free: BTreeSet<u32>,
    /// The segment that is being filled.
    open: Option<u32>,
    live: u64,
    generations: u64,
}

impl Store {
    /// An empty one.
    pub fn open(disk: &dyn SpillDisk) -> Result<Self, SpillError> {
        let file = disk.open()?;
        Ok(Self {
            place: disk.place(),
            file,
            segments: Vec::new(),
            free: BTreeSet::new(),
            open: None,
            live: 0,
            generations: 0,
        })
    }

    fn refused<T>(&self, message: String) -> Result<T, SpillError> {
        Err(SpillError { place: self.place.clone(), message })
    }

    /// Writes a batch of images in one piece: the unit at which it begins.
    ///
    /// # Errors
    /// The disk takes it not, or the file is as large as it may be; nothing has changed then.
    pub fn append(&mut self, batch: &[u8]) -> Result<u32, SpillError> {
        let bytes = batch.len().next_multiple_of(UNIT_BYTES) as u64;
        let fits = |&number: &u32| self.segments[number as usize].used + bytes <= SEGMENT_BYTES as u64;
        let number = match self.open.filter(fits) {
            Some(number) => number,
            None => self.begin_segment(bytes)?,
        };
        let used = self.segments[number as usize].used;
        let position = u64::from(number) * SEGMENT_BYTES as u64 + used;
        if let Err(error) = self.file.write_at(batch, position) {
            if used == 0 {
                self.free_run(number);
            }
            return self.refused(format!(
                "{} bytes could not be written: {error}; free the disk, or raise `memory_limit`",
                batch.len()
            ));
        }
        let segment = &mut self.segments[number as usize];
        (segment.used, segment.live) = (used + bytes, segment.live + bytes);
        self.live += bytes;
        let before = self.open.filter(|&before| before != number);
        self.open = (segment.span == 1).then_some(number);
        if let Some(before) = before {
            self.free_if_unused(before);
        }
        Ok((position / UNIT_BYTES as u64) as u32)
    }

    /// Free segments in a row for so many bytes.
    fn begin_segment(&mut self, bytes: u64) -> Result<u32, SpillError> {
        let span = bytes.div_ceil(SEGMENT_BYTES as u64).max(1) as u32;
        let end = self.segments.len() as u32;
        let run =
            self.free.iter().copied().find(|&first| (first..first + span).all(|number| self.free.contains(&number)));
        // Those at the end may be free already, and more are put after them.
        let first = run.unwrap_or_else(|| {
            let mut first = end;
            while first > 0 && end - first < span && self.free.contains(&(first - 1)) {
                first -= 1;
            }
            first
        });
        if u64::from(first) + u64::from(span) > u64::from(SEGMENTS_MAX) {
            let most = u64::from(SEGMENTS_MAX) * SEGMENT_BYTES as u64;
            return self.refused(format!("the state on disk has reached the {most} bytes that one engine can spill"));
        }
        if self.segments.len() < (first + span) as usize {
            self.segments.resize((first + span) as usize, Segment::default());
        }
        self.generations += 1;
        for number in first..first + span {
            self.free.remove(&number);
            self.segments[number as usize] =
                Segment { first, span, generation: self.generations, ..Segment::default() };
        }
        Ok(first)
    }

    /// An image that is no longer in use.
    pub fn release(&mut self, unit: u32, head: &Head) {
        let number = self.first_of(unit);
        let segment = &mut self.segments[number as usize];
        segment.live -= head.stride() as u64;
        self.live -= head.stride() as u64;
        self.free_if_unused(number);
    }

    fn first_of(&self, unit: u32) -> u32 {
        self.segments[(u64::from(unit) / SEGMENT_UNITS) as usize].first
    }

    fn free_if_unused(&mut self, number: u32) {
        if self.segments[number as usize].live == 0 && self.open != Some(number) {
            self.free_run(number);
        }
    }

    fn free_run(&mut self, first: u32) {
        let span = self.segments[first as usize].span;
        self.free.extend(first..first + span);
        if self.open == Some(first) {
            self.open = None;
        }
        // To give a little back and take it again would cost more than it brings.
        let end = self.segments.len() as u32;
        if end < FREE_MAX || !(end - FREE_MAX..end).all(|number| self.free.contains(&number)) {
            return;
        }
        let before = self.segments.len();
        while let Some(last) = self.segments.len().checked_sub(1).filter(|&last| self.free.contains(&(last as u32))) {
            self.free.remove(&(last as u32));
            self.segments.pop();
        }
        if self.segments.len() < before {
            // It is shorter the next time, if not now.
            let _later = self.file.truncate(self.file_bytes());
        }
    }

    /// What is known of an image.
    pub fn head(&self, unit: u32) -> Result<Head, SpillError> {
        let mut bytes = [0; HEAD_BYTES];
        let read = self.read_at(&mut bytes, unit)?;
        self.head_in(unit, &bytes[..read])
    }

    /// Reads an image: its head, and its bytes.
    pub fn read<'a>(&self, unit: u32, buffer: &'a mut Vec<u8>) -> Result<(Head, &'a [u8]), SpillError> {
        buffer.resize(READ_BYTES, 0);
        let mut read = self.read_at(buffer, unit)?;
        let head = self.head_in(unit, &buffer[..read])?;
        let whole = HEAD_BYTES + head.length as usize;
        if whole > READ_BYTES {
            buffer.resize(whole, 0);
            read = self.read_at(buffer, unit)?;
        }
        let bytes = &buffer[HEAD_BYTES.min(read)..whole.min(read)];
        if !head.sums_up(bytes) {
            return self.rotten(unit);
        }
        Ok((head, bytes))
    }

    /// Fills `bytes` from a unit on, as far as the file goes; how many there were.
    pub fn read_at(&self, bytes: &mut [u8], unit: u32) -> Result<usize, SpillError> {
        let (position, count) = (u64::from(unit) * UNIT_BYTES as u64, bytes.len());
        let refused = |error: io::Error| SpillError {
            place: self.place.clone(),
            message: format!(
                "{count} bytes at {position} could not be read: {error}; try again, or restore the last checkpoint"
            ),
        };
        self.file.read_at(bytes, position).map_err(refused)
    }

    fn head_in(&self, unit: u32, bytes: &[u8]) -> Result<Head, SpillError> {
        match Head::read(bytes) {
            Some(head) => Ok(head),
            None => self.rotten(unit),
        }
    }

    /// Bytes that are not what was written.
    pub fn rotten<T>(&self, unit: u32) -> Result<T, SpillError> {
        let position = u64::from(unit) * UNIT_BYTES as u64;
        self.refused(format!(
            "the key at byte {position} is not what was written there; restore the last checkpoint, on a disk that works"
        ))
    }

    /// A segment that is mostly out of use, where the file has become much larger than what is in use: its first unit, the one after what was
    /// written to it, and its generation.
    pub fn sparse(&self) -> Option<(u32, u32, u64)> {
        if self.file_bytes() - self.free.len() as u64 * (SEGMENT_BYTES as u64) < 2 * self.live + SLACK_BYTES {
            return None;
        }
        let closed = self.segments.iter().enumerate().filter(|&(number, segment)| {
            let number = number as u32;
            segment.first == number && !segment.stuck && self.open != Some(number) && !self.free.contains(&number)
        });
        let (number, segment) = closed.min_by_key(|(_, segment)| segment.live * 64 / segment.used.max(1))?;
        let first = number as u64 * SEGMENT_UNITS;
        let end = first + segment.used / UNIT_BYTES as u64;
        (segment.live * 4 <= segment.used * 3).then_some((first as u32, end as u32, segment.generation))
    }

    /// What has been written to the segments that begin with that of this unit; `None` behind the last one.
    pub fn run_at(&self, unit: u64) -> Option<Run> {
        let number = (unit / SEGMENT_UNITS) as u32;
        let segment = *self.segments.get(number as usize)?;
        // One that is free, or not the first of those that belong together, has nothing of its own.
        let is_empty = segment.first != number || self.free.contains(&number);
        let (span, used) = if is_empty { (1, 0) } else { (segment.span.max(1), segment.used) };
        let begin = u64::from(number) * SEGMENT_UNITS;
        let (end, next) = (begin + used / UNIT_BYTES as u64, begin + u64::from(span) * SEGMENT_UNITS);
        Some(Run { begin, end, next, generation: segment.generation })
    }

    /// The segment of this unit cannot be read through.
    pub fn give_up(&mut self, unit: u32) {
        let first = self.first_of(unit);
        self.segments[first as usize].stuck = true;
    }

    /// The generation of the segment of this unit, if images in it are in use.
    pub fn generation(&self, unit: u32) -> Option<u64> {
        let segment = self.segments.get((u64::from(unit) / SEGMENT_UNITS) as usize)?;
        (self.segments[segment.first as usize].live > 0).then_some(segment.generation)
    }

    /// Bytes of images in use.
    pub fn live_bytes(&self) -> u64 {
        self.live
    }

    /// Bytes of the file.
    pub fn file_bytes(&self) -> u64 {
        self.segments.len() as u64 * SEGMENT_BYTES as u64
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        room::<Segment>(self.segments.capacity()) + self.free.len() * 8
    }
}
