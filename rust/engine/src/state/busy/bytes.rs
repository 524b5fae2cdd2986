//! What the log of a busy key takes.

use super::{Busy, Kept};
use crate::aggregate::co_moments::CoMoments;
use crate::aggregate::higher::Higher;
use crate::heap::{boxed, heap, room};
use crate::state::cursor::Cursor;
use crate::state::rank::Ranks;
use crate::state::run::RUN;
use crate::state::tree::Tree;

impl Busy {
    /// Bytes of all of it.
    pub fn bytes(&self) -> usize {
        let lanes = self.lanes.iter().map(|lane| match lane {
            Kept::Nothing => 0,
            Kept::Moments(tree) => tree.bytes(),
            Kept::Higher(tree) => boxed::<Tree<Higher>>() + tree.bytes(),
            Kept::Pair(tree) => boxed::<Tree<CoMoments>>() + tree.bytes(),
            Kept::Extreme(tree) => tree.bytes(),
            Kept::Registers(tree) => tree.bytes(),
            Kept::Decay(tree) => tree.bytes(),
            Kept::Distinct(seen) => seen.bytes(),
            Kept::Rank(ranks) => boxed::<Ranks>() + ranks.bytes(),
        });
        boxed::<Self>()
            + (self.runs.len() + self.spare.len()) * heap(self.shape.words_of(RUN) * 8)
            + room::<Box<[u64]>>(self.runs.capacity())
            + room::<i64>(self.firsts.capacity())
            + room::<Box<[u64]>>(self.spare.capacity())
            + heap(size_of_val(&*self.flags))
            + self.flags.iter().map(Tree::bytes).sum::<usize>()
            + heap(size_of_val(&*self.lanes))
            + lanes.sum::<usize>()
            + self.follows.bytes()
            + heap(size_of_val(&*self.tail))
            + heap(size_of_val(&*self.heads))
            + heap(size_of_val(&*self.cursors))
            + self.cursors.iter().map(Cursor::bytes).sum::<usize>()
    }
}
