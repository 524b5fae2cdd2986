//! Records of one key side by side: a column of times, then a column per value, then one word of bits per flag.
//!
//! A run has room for at most 32 records, so that a flag of all of them is 32 bits. Keys with few events are one run; busy ones are many;
//! an event on its way in is a run of one.

use std::ops::Range;

use crate::plan::Shape;

/// Records of one run at most.
pub(crate) const RUN: usize = 32;

/// A run to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    words: &'a [u64],
    shape: Shape,
    room: usize,
    len: usize,
}

impl<'a> Run<'a> {
    #[inline]
    pub fn new(words: &'a [u64], shape: Shape, room: usize, len: usize) -> Self {
        Self { words, shape, room, len }
    }

    #[inline]
    pub fn len(self) -> usize {
        self.len
    }

    #[inline]
    pub fn times(self) -> &'a [i64] {
        bytemuck::cast_slice(&self.words[..self.len])
    }

    /// A column of 64 bits.
    #[inline]
    pub fn column(self, word: usize) -> &'a [u64] {
        &self.words[word * self.room..][..self.len]
    }

    #[inline]
    fn narrow(self) -> &'a [u32] {
        bytemuck::cast_slice(&self.words[self.shape.words * self.room..])
    }

    /// A column of 32 bits.
    #[inline]
    pub fn half(self, half: usize) -> &'a [u32] {
        &self.narrow()[half * self.room..][..self.len]
    }

    /// A flag of all records, a bit each.
    #[inline]
    pub fn flag(self, flag: usize) -> u32 {
        self.narrow()[self.shape.halves * self.room + flag]
    }

    /// How many records have a time not above `t`.
    #[inline]
    pub fn upper_bound(self, t: i64) -> usize {
        let times = self.times();
        match times.last() {
            Some(&last) if last > t => times.partition_point(|&time| time <= t),
            _ => times.len(),
        }
    }
}

/// The bits `from..to` of 32.
#[inline]
pub(crate) fn bits(from: usize, to: usize) -> u32 {
    (((1_u64 << to) - 1) as u32) & !(((1_u64 << from) - 1) as u32)
}

/// A run to change.
pub(crate) struct RunMut<'a> {
    pub words: &'a mut [u64],
    pub shape: Shape,
    pub room: usize,
}

impl RunMut<'_> {
    fn narrow(&mut self) -> &mut [u32] {
        bytemuck::cast_slice_mut(&mut self.words[self.shape.words * self.room..])
    }

    /// Some places of a column of 64 bits.
    pub fn column_mut(&mut self, word: usize, places: Range<usize>) -> &mut [u64] {
        &mut self.words[word * self.room..][..self.room][places]
    }

    /// Some places of a column of 32 bits.
    pub fn half_mut(&mut self, half: usize, places: Range<usize>) -> &mut [u32] {
        let room = self.room;
        &mut self.narrow()[half * room..][..room][places]
    }

    /// A flag of all records, a bit each.
    pub fn flag_mut(&mut self, flag: usize) -> &mut u32 {
        let at = self.shape.halves * self.room + flag;
        &mut self.narrow()[at]
    }

    pub fn set_flag(&mut self, flag: usize, index: usize, value: bool) {
        let bits = self.flag_mut(flag);
        *bits = *bits & !(1 << index) | u32::from(value) << index;
    }

    pub fn set_half(&mut self, half: usize, index: usize, value: u32) {
        let at = half * self.room + index;
        self.narrow()[at] = value;
    }

    /// Puts the record at `index` of another run in before the record at `at`; `len` records are there.
    pub fn insert(&mut self, len: usize, at: usize, from: Run<'_>, index: usize) {
        let (room, shape) = (self.room, self.shape);
        let last = at == len;
        for column in 0..shape.words {
            let cells = &mut self.words[column * room..][..len + 1];
            if !last {
                cells.copy_within(at..len, at + 1);
            }
            cells[at] = from.words[column * from.room + index];
        }
        let other = from.narrow();
        let narrow = self.narrow();
        for column in 0..shape.halves {
            let cells = &mut narrow[column * room..][..len + 1];
            if !last {
                cells.copy_within(at..len, at + 1);
            }
            cells[at] = other[column * from.room + index];
        }
        for flag in 0..shape.flags {
            let bits = &mut narrow[shape.halves * room + flag];
            let bit = other[shape.halves * from.room + flag] >> index & 1;
            let low = *bits & (((1_u64 << at) - 1) as u32);
            let high = u64::from(*bits >> at) << (at + 1);
            *bits = low | high as u32 | bit << at;
        }
    }

    /// Puts the record at `index` of another run in after the `len` that are there.
    #[inline]
    pub fn append(&mut self, len: usize, from: Run<'_>, index: usize) {
        let (room, shape) = (self.room, self.shape);
        for column in 0..shape.words {
            self.words[column * room + len] = from.words[column * from.room + index];
        }
        let other = from.narrow();
        let narrow = self.narrow();
        for column in 0..shape.halves {
            narrow[column * room + len] = other[column * from.room + index];
        }
        let (bits, others) = (&mut narrow[shape.halves * room..], &other[shape.halves * from.room..]);
        for (bits, other) in bits.iter_mut().zip(others).take(shape.flags) {
            *bits = *bits & !(1 << len) | (other >> index & 1) << len;
        }
    }

    /// Takes the first `count` of `len` records away.
    pub fn drop_front(&mut self, len: usize, count: usize) {
        let (room, shape) = (self.room, self.shape);
        for column in 0..shape.words {
            self.words[column * room..][..len].copy_within(count.., 0);
        }
        let narrow = self.narrow();
        for column in 0..shape.halves {
            narrow[column * room..][..len].copy_within(count.., 0);
        }
        for flag in 0..shape.flags {
            let bits = &mut narrow[shape.halves * room + flag];
            *bits = (u64::from(*bits) >> count) as u32;
        }
    }

    /// Copies all records of another run; this one has at least that much room.
    pub fn copy_from(&mut self, from: Run<'_>) {
        let (room, shape, len) = (self.room, self.shape, from.len);
        for column in 0..shape.words {
            self.words[column * room..][..len].copy_from_slice(&from.words[column * from.room..][..len]);
        }
        let other = from.narrow();
        let narrow = self.narrow();
        for column in 0..shape.halves {
            narrow[column * room..][..len].copy_from_slice(&other[column * from.room..][..len]);
        }
        for flag in 0..shape.flags {
            narrow[shape.halves * room + flag] = other[shape.halves * from.room + flag] & bits(0, len);
        }
    }
}

/// The nearest set bit of a flag before `to` that is not before `from`.
#[inline]
pub(crate) fn last_set(flag: u32, from: usize, to: usize) -> Option<usize> {
    let set = flag & bits(from, to);
    (set != 0).then(|| 31 - set.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { words: 2, halves: 1, flags: 2 };

    fn one(time: u64) -> Vec<u64> {
        let mut words = vec![0; SHAPE.words_of(1)];
        let mut run = RunMut { words: &mut words, shape: SHAPE, room: 1 };
        run.set_half(0, 0, time as u32 + 1);
        run.set_flag(0, 0, time.is_multiple_of(2));
        run.set_flag(1, 0, time.is_multiple_of(3));
        run.words[0] = time;
        run.words[1] = time * 10;
        words
    }

    fn check(words: &[u64], room: usize, times: &[u64]) {
        let run = Run::new(words, SHAPE, room, times.len());
        for (index, &time) in times.iter().enumerate() {
            assert_eq!(run.times()[index], time as i64);
            assert_eq!(run.column(1)[index], time * 10);
            assert_eq!(run.half(0)[index], time as u32 + 1);
            assert_eq!(run.flag(0) >> index & 1 == 1, time % 2 == 0);
            assert_eq!(run.flag(1) >> index & 1 == 1, time % 3 == 0);
        }
        assert_eq!(run.flag(0) & !bits(0, times.len()), 0, "no bit beyond the last record");
    }

    #[test]
    fn records_go_in_anywhere_and_leave_at_the_front() {
        for room in [3, 4, 31, 32] {
            let mut words = vec![0; SHAPE.words_of(room)];
            let mut times = Vec::new();
            for step in 0..room {
                let time = (step * 7 % 11) as u64;
                let at = step / 2;
                let record = one(time);
                RunMut { words: &mut words, shape: SHAPE, room }.insert(step, at, Run::new(&record, SHAPE, 1, 1), 0);
                times.insert(at, time);
                check(&words, room, &times);
            }
            let mut wider = vec![0; SHAPE.words_of(room + 5)];
            if room + 5 <= RUN {
                RunMut { words: &mut wider, shape: SHAPE, room: room + 5 }
                    .copy_from(Run::new(&words, SHAPE, room, room));
                check(&wider, room + 5, &times);
            }
            RunMut { words: &mut words, shape: SHAPE, room }.drop_front(room, 2);
            check(&words, room, &times[2..]);
            RunMut { words: &mut words, shape: SHAPE, room }.drop_front(room - 2, room - 2);
            check(&words, room, &[]);
        }
    }

    #[test]
    fn bits_of_a_range() {
        assert_eq!((bits(0, 32), bits(0, 0), bits(31, 32), bits(3, 5)), (u32::MAX, 0, 1 << 31, 0b11000));
        assert_eq!(last_set(0b1011, 0, 3), Some(1));
        assert_eq!(last_set(0b1000, 0, 3), None);
    }
}
