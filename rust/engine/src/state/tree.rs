//! Summaries of a log: one per 32 records, one per 32 of those, and so on, made when they are full.
//!
//! Any range of the log is the union of some records at its ends and of at most 31 summaries a level on either side. Positions are absolute,
//! so that which summaries stand for a range depends on the range alone.

use std::collections::VecDeque;

use super::run::RUN;
use crate::heap::room;

/// What merges: the summary of some records.
pub(crate) trait Summary: Clone + Default {
    /// Takes in what comes after.
    fn merge(&mut self, later: &Self);

    /// Bytes beyond its own size.
    fn bytes(&self) -> usize {
        0
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Tree<S> {
    levels: Vec<Level<S>>,
    /// Bytes that nodes hold beyond their own size.
    beyond: usize,
}

#[derive(Clone, Debug)]
struct Level<S> {
    /// Number of the first node.
    base: u64,
    nodes: VecDeque<S>,
}

/// A part of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Records of one run.
    Records { from: u64, to: u64 },
    /// A node of a level.
    Node { level: usize, number: u64 },
}

/// Records that a node of a level stands for.
#[inline]
fn span(level: usize) -> u64 {
    (RUN as u64).pow(level as u32 + 1)
}

impl<S> Default for Tree<S> {
    fn default() -> Self {
        Self { levels: Vec::new(), beyond: 0 }
    }
}

impl<S: Summary> Tree<S> {
    /// Takes the summary of the run that has just become full; `run` is its number.
    pub fn close(&mut self, run: u64, summary: S) {
        let (mut level, mut number, mut summary) = (0, run, summary);
        loop {
            if self.levels.len() == level {
                self.levels.push(Level { base: number, nodes: VecDeque::new() });
            }
            let nodes = &mut self.levels[level];
            if nodes.nodes.is_empty() {
                nodes.base = number;
            }
            debug_assert_eq!(nodes.base + nodes.nodes.len() as u64, number, "nodes are made in order");
            self.beyond += summary.bytes();
            nodes.nodes.push_back(summary);
            if !(number + 1).is_multiple_of(RUN as u64) {
                return;
            }
            let first = number + 1 - RUN as u64;
            if first < nodes.base {
                // Its first children have gone: it is never asked for.
                return;
            }
            let mut children = nodes.nodes.iter().skip((first - nodes.base) as usize);
            summary = children.next().cloned().unwrap_or_default();
            children.for_each(|child| summary.merge(child));
            number /= RUN as u64;
            level += 1;
        }
    }

    /// Forgets the nodes that do not end at or before a position.
    pub fn truncate(&mut self, end: u64) {
        for (level, nodes) in self.levels.iter_mut().enumerate() {
            let keep = (end / span(level)).saturating_sub(nodes.base);
            let gone: usize = nodes.nodes.iter().skip(keep as usize).map(Summary::bytes).sum();
            nodes.nodes.truncate(keep as usize);
            self.beyond -= gone;
        }
    }

    /// Forgets the nodes that end at or before a position.
    pub fn drop_before(&mut self, first: u64) {
        for (level, nodes) in self.levels.iter_mut().enumerate() {
            while (nodes.base + 1) * span(level) <= first
                && let Some(gone) = nodes.nodes.pop_front()
            {
                self.beyond -= gone.bytes();
                nodes.base += 1;
            }
        }
    }

    fn has(&self, level: usize, number: u64) -> bool {
        self.levels
            .get(level)
            .is_some_and(|nodes| number.checked_sub(nodes.base).is_some_and(|index| index < nodes.nodes.len() as u64))
    }

    pub fn node(&self, level: usize, number: u64) -> &S {
        let nodes = &self.levels[level];
        &nodes.nodes[(number - nodes.base) as usize]
    }

    /// Changes every summary that a position is part of.
    pub fn update(&mut self, position: u64, mut change: impl FnMut(&mut S)) {
        for (level, nodes) in self.levels.iter_mut().enumerate() {
            let index = (position / span(level)).checked_sub(nodes.base);
            if let Some(node) = index.and_then(|index| nodes.nodes.get_mut(index as usize)) {
                self.beyond -= node.bytes();
                change(node);
                self.beyond += node.bytes();
            }
        }
    }

    /// The parts of a range, in order.
    pub fn parts(&self, low: u64, high: u64, mut look: impl FnMut(Part)) {
        let mut at = low;
        while at < high {
            let part = self.part_from(at, high);
            look(part);
            at = end_of(part);
        }
    }

    /// The largest part that begins at `at` and ends at or before `high`.
    pub fn part_from(&self, at: u64, high: u64) -> Part {
        let mut best = None;
        let mut level = 0;
        while at.is_multiple_of(span(level)) && at + span(level) <= high && self.has(level, at / span(level)) {
            best = Some(Part::Node { level, number: at / span(level) });
            level += 1;
        }
        best.unwrap_or(Part::Records { from: at, to: high.min((at / RUN as u64 + 1) * RUN as u64) })
    }

    /// The largest part that ends at `end` and begins at or after `low`.
    pub fn part_to(&self, low: u64, end: u64) -> Part {
        let mut best = None;
        let mut level = 0;
        while end.is_multiple_of(span(level)) && end >= low + span(level) && self.has(level, end / span(level) - 1) {
            best = Some(Part::Node { level, number: end / span(level) - 1 });
            level += 1;
        }
        best.unwrap_or(Part::Records { from: low.max((end - 1) / RUN as u64 * RUN as u64), to: end })
    }

    /// The part of the level below that a node begins with, and how many there are.
    pub fn children(level: usize, number: u64) -> (u64, u64) {
        debug_assert!(level > 0, "a run's children are its records");
        (number * RUN as u64, (number + 1) * RUN as u64)
    }

    pub fn bytes(&self) -> usize {
        let nodes = self.levels.iter().map(|level| room::<S>(level.nodes.capacity()));
        nodes.sum::<usize>() + room::<Level<S>>(self.levels.capacity()) + self.beyond
    }
}

/// First position of a part.
pub(crate) fn start_of(part: Part) -> u64 {
    match part {
        Part::Records { from, .. } => from,
        Part::Node { level, number } => number * span(level),
    }
}

/// Position after a part.
pub(crate) fn end_of(part: Part) -> u64 {
    match part {
        Part::Records { to, .. } => to,
        Part::Node { level, number } => (number + 1) * span(level),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Sum(u64);

    impl Summary for Sum {
        fn merge(&mut self, later: &Self) {
            self.0 += later.0;
        }
    }

    fn sum(tree: &Tree<Sum>, low: u64, high: u64) -> (u64, usize) {
        let (mut sum, mut parts, mut at) = (0, 0, low);
        tree.parts(low, high, |part| {
            assert_eq!(start_of(part), at);
            at = end_of(part);
            parts += 1;
            sum += match part {
                Part::Records { from, to } => (from..to).sum::<u64>(),
                Part::Node { level, number } => tree.node(level, number).0,
            };
        });
        assert!(low >= high || at == high);
        let (mut back, mut end) = (0, high);
        while end > low {
            let part = tree.part_to(low, end);
            assert_eq!(end_of(part), end);
            back += match part {
                Part::Records { from, to } => (from..to).sum::<u64>(),
                Part::Node { level, number } => tree.node(level, number).0,
            };
            end = start_of(part);
        }
        assert_eq!(back, sum);
        (sum, parts)
    }

    #[test]
    fn any_range_is_the_union_of_few_parts() {
        let (mut tree, mut first) = (Tree::default(), 96);
        for run in 3..4_000_u64 {
            tree.close(run, Sum((run * 32..run * 32 + 32).sum()));
            if run % 100 == 0 {
                first = first.max(run * 32 / 3 + run % 7);
                tree.drop_before(first);
            }
            if run % 50 == 0 {
                let again = run - 40;
                tree.truncate((again * 32 + 5).max(first));
                for run in ((again * 32 + 5).max(first) / 32)..=run {
                    tree.close(run, Sum((run * 32..run * 32 + 32).sum()));
                }
            }
            let end = (run + 1) * 32;
            for low in [first, first + 1, first + 31, end - 70, end - 1] {
                let low = low.max(first).min(end);
                let (found, parts) = sum(&tree, low, end);
                assert_eq!(found, (low..end).sum::<u64>(), "{low}..{end}");
                assert!(parts <= 62 * 4 + 2);
            }
        }
    }
}
