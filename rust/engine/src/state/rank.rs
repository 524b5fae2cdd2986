//! The values of a busy key in order, so that the n-th smallest of any stretch of its log is found without looking at all of it.
//!
//! Values lie in blocks, blocks in groups; every block and every group also has the positions of its events in order. How many of them
//! lie in a stretch is two binary searches, so the n-th smallest is a walk down: groups, blocks of one group, values of one block.

use std::collections::VecDeque;

use crate::aggregate::extreme;
use crate::heap::room;

/// Values of a block, blocks of a group.
const BLOCK_MAX: usize = 512;
const GROUP_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Ranks {
    groups: Vec<Group>,
    /// Positions of values that are no numbers.
    nans: VecDeque<u64>,
    /// Bytes of the groups.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Group {
    blocks: Vec<Block>,
    positions: VecDeque<u64>,
}

#[derive(Debug, Default)]
struct Block {
    /// Rank and position, rising.
    values: Vec<(i64, u64)>,
    positions: VecDeque<u64>,
}

fn rank(value: f64) -> i64 {
    extreme::order(value.to_bits(), true, false)
}

/// How many of some rising positions lie in a stretch.
fn inside(positions: &VecDeque<u64>, low: u64, high: u64) -> u64 {
    let (Some(&first), Some(&last)) = (positions.front(), positions.back()) else { return 0 };
    // Nearly always the stretch ends with the newest event.
    let to = if last < high { positions.len() } else { positions.partition_point(|&position| position < high) };
    let from = if first >= low { 0 } else { positions.partition_point(|&position| position < low) };
    to.saturating_sub(from) as u64
}

fn put(positions: &mut VecDeque<u64>, position: u64) {
    match positions.back() {
        Some(&last) if last > position => {
            let place = positions.partition_point(|&other| other < position);
            positions.insert(place, position);
        }
        _ => positions.push_back(position),
    }
}

fn take(positions: &mut VecDeque<u64>, position: u64) {
    if positions.front() == Some(&position) {
        positions.pop_front();
    } else if let Ok(place) = positions.binary_search(&position) {
        positions.remove(place);
    }
}

impl Ranks {
    pub fn insert(&mut self, value: f64, position: u64) {
        if value.is_nan() {
            return put(&mut self.nans, position);
        }
        let entry = (rank(value), position);
        if self.groups.is_empty() {
            self.groups.push(Group { blocks: vec![Block::default()], positions: VecDeque::new() });
            self.bytes = self.groups[0].bytes();
        }
        let at = self.groups.partition_point(|group| group.first() <= entry).saturating_sub(1);
        let group = &mut self.groups[at];
        let before = group.own_bytes();
        put(&mut group.positions, position);
        let inner = group.blocks.partition_point(|block| block.first() <= entry).saturating_sub(1);
        let block = &mut group.blocks[inner];
        let before = before + block.bytes();
        put(&mut block.positions, position);
        let place = block.values.partition_point(|other| *other < entry);
        block.values.insert(place, entry);
        self.bytes += block.bytes();
        if block.values.len() == BLOCK_MAX {
            let upper = Block::of(block.values.split_off(BLOCK_MAX / 2));
            self.bytes -= block.bytes();
            *block = Block::of(std::mem::take(&mut block.values));
            self.bytes += block.bytes() + upper.bytes();
            group.blocks.insert(inner + 1, upper);
        }
        self.bytes = self.bytes + group.own_bytes() - before;
        if group.blocks.len() == GROUP_MAX {
            self.bytes -= group.own_bytes();
            let upper = Group::of(group.blocks.split_off(GROUP_MAX / 2));
            *group = Group::of(std::mem::take(&mut group.blocks));
            self.bytes += group.own_bytes() + upper.own_bytes();
            self.groups.insert(at + 1, upper);
        }
    }

    /// Takes away what has been inserted.
    pub fn remove(&mut self, value: f64, position: u64) {
        if value.is_nan() {
            return take(&mut self.nans, position);
        }
        let entry = (rank(value), position);
        let at = self.groups.partition_point(|group| group.first() <= entry).saturating_sub(1);
        let group = &mut self.groups[at];
        let before = group.own_bytes();
        take(&mut group.positions, position);
        let inner = group.blocks.partition_point(|block| block.first() <= entry).saturating_sub(1);
        let block = &mut group.blocks[inner];
        take(&mut block.positions, position);
        let place = block.values.binary_search(&entry).expect("what leaves has been put in");
        block.values.remove(place);
        if block.values.is_empty() {
            self.bytes -= block.bytes();
            group.blocks.remove(inner);
        }
        self.bytes = self.bytes + group.own_bytes() - before;
        if group.blocks.is_empty() {
            self.bytes -= group.own_bytes();
            self.groups.remove(at);
        }
    }

    /// Whether a stretch has a value that is no number.
    pub fn has_nan(&self, low: u64, high: u64) -> bool {
        inside(&self.nans, low, high) > 0
    }

    /// How many numbers a stretch has.
    pub fn count(&self, low: u64, high: u64) -> u64 {
        self.groups.iter().map(|group| inside(&group.positions, low, high)).sum()
    }

    /// The n-th smallest number of a stretch, counted from 0.
    pub fn nth(&self, low: u64, high: u64, n: u64) -> Option<f64> {
        let mut left = n;
        let mut skip = |positions: &VecDeque<u64>| {
            let count = inside(positions, low, high);
            let here = left < count;
            if !here {
                left -= count;
            }
            here
        };
        let group = self.groups.iter().find(|group| skip(&group.positions))?;
        let block = group.blocks.iter().find(|block| skip(&block.positions))?;
        let mut values = block.values.iter().filter(|(_, position)| (low..high).contains(position));
        values.nth(left as usize).map(|&(rank, _)| f64::from_bits(extreme::payload(rank, true, false)))
    }

    pub fn bytes(&self) -> usize {
        self.bytes + room::<Group>(self.groups.capacity()) + room::<u64>(self.nans.capacity())
    }
}

impl Group {
    /// Bytes of everything it holds.
    fn bytes(&self) -> usize {
        self.own_bytes() + self.blocks.iter().map(Block::bytes).sum::<usize>()
    }

    /// Without those that its blocks hold.
    fn own_bytes(&self) -> usize {
        room::<Block>(self.blocks.capacity()) + room::<u64>(self.positions.capacity())
    }

    fn first(&self) -> (i64, u64) {
        self.blocks[0].first()
    }

    fn of(blocks: Vec<Block>) -> Self {
        let mut positions: Vec<u64> = blocks.iter().flat_map(|block| &block.positions).copied().collect();
        positions.sort_unstable();
        Self { blocks, positions: positions.into() }
    }
}

impl Block {
    fn bytes(&self) -> usize {
        room::<(i64, u64)>(self.values.capacity()) + room::<u64>(self.positions.capacity())
    }

    fn first(&self) -> (i64, u64) {
        self.values.first().copied().unwrap_or((i64::MIN, 0))
    }

    fn of(values: Vec<(i64, u64)>) -> Self {
        let mut positions: Vec<u64> = values.iter().map(|&(_, position)| position).collect();
        positions.sort_unstable();
        Self { values, positions: positions.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_of_any_stretch_is_that_of_the_sorted_values() {
        let (mut ranks, mut all) = (Ranks::default(), Vec::new());
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f64 / 64.0 - 100_000.0
        };
        for position in 0..40_000_u64 {
            let value = if position % 97 == 0 { f64::NAN } else { next() };
            ranks.insert(value, position);
            all.push(value);
            if position >= 9_000 {
                let gone = position - 9_000;
                ranks.remove(all[gone as usize], gone);
            }
            if position % 1_003 == 0 && position > 0 {
                assert_eq!(ranks.bytes, ranks.groups.iter().map(Group::bytes).sum::<usize>());
                let first = position.saturating_sub(8_999);
                for (low, high) in
                    [(first, position + 1), (first + (position - first) / 2, position), (position - 1, position + 1)]
                {
                    let mut sorted: Vec<f64> =
                        all[low as usize..high as usize].iter().copied().filter(|x| !x.is_nan()).collect();
                    sorted.sort_by(f64::total_cmp);
                    assert_eq!(ranks.count(low, high), sorted.len() as u64);
                    for n in [0, sorted.len() / 3, sorted.len().saturating_sub(1)] {
                        assert_eq!(ranks.nth(low, high, n as u64), sorted.get(n).copied());
                    }
                    assert_eq!(ranks.nth(low, high, sorted.len() as u64), None);
                    assert_eq!(ranks.has_nan(low, high), (low..high).any(|position| position % 97 == 0));
                }
            }
        }
    }
}
