//! A table of the plan in shards, by the hash of the key: what one shard does with an event depends on no other, so threads can take shards
//! side by side, and no structure of a table grows all at once.
//!
//! Keys that nothing can see any more are looked for in some shards after the others, a few at each event of the stream, whatever the key of
//! that event: so a shard whose keys have no more events is emptied too, and what a shard goes through is the same on one thread or many.

use std::ops::Range;

use super::interner::{Interner, Texts};
use super::table::{Idle, Loading, Table, next_key};
use crate::encode::{Broken, Input};
use crate::plan::TablePlan;

/// Keys that are looked at for leaving at one event at most.
pub(crate) const EXPIRED_MAX: usize = 4;
/// Shards of a table without a limit on memory, as a power of two.
pub(crate) const SHARD_BITS: u32 = 4;

#[derive(Debug)]
pub(crate) struct Shards {
    shards: Box<[Table]>,
    /// As many, less one.
    mask: usize,
    /// Before this time no key is due to leave.
    soonest: i64,
    /// False where it was read from a checkpoint of other shards.
    as_written: bool,
}

/// Which shard of so many (less one is the mask) the keys of a hash are in.
#[inline]
pub(crate) fn shard_of(hash: u64, mask: usize) -> usize {
    (hash >> (u64::BITS - SHARD_BITS)) as usize & mask
}

/// Which of so many shards are looked at for keys that nothing can see, at the stream's event of this number; and how many keys of each at most.
#[inline]
pub(crate) fn turn_of(event: u64, mask: usize) -> (Range<usize>, usize) {
    let looked = EXPIRED_MAX.min(mask + 1);
    let start = (event as usize * looked) & mask;
    (start..start + looked, EXPIRED_MAX / looked)
}

/// After so many events it is the turn of the same shards again.
#[inline]
pub(crate) fn turns(mask: usize) -> usize {
    (mask + 1).div_ceil(EXPIRED_MAX)
}

impl Shards {
    /// `limited` when memory has a limit, which is held best by one shard: `evicts` when idle keys may have to go for it before nothing can
    /// see them.
    pub fn new(plan: &TablePlan, idle_after: Option<i64>, limited: bool, evicts: bool) -> Self {
        let bits = if limited { 0 } else { SHARD_BITS };
        let shards = (0..1 << bits).map(|_| Table::new(plan, bits, idle_after, evicts));
        Self { shards: shards.collect(), mask: (1 << bits) - 1, soonest: i64::MIN, as_written: true }
    }

    /// The shard that has the keys of a hash.
    #[inline]
    pub fn of(&self, hash: u64) -> &Table {
        &self.shards[shard_of(hash, self.mask)]
    }

    /// The same, to change.
    #[inline]
    pub fn of_mut(&mut self, hash: u64) -> &mut Table {
        &mut self.shards[shard_of(hash, self.mask)]
    }

    /// Lets keys go that nothing can see any more, a few, once the stream's event of this number has been stored for a key of this hash.
    #[inline]
    pub fn expire(&mut self, plan: &TablePlan, hash: u64, event: u64, mark: i64, texts: &mut Interner) {
        self.soonest = self.soonest.min(self.of(hash).soonest());
        if self.soonest <= mark {
            let (shards, most) = turn_of(event, self.mask);
            self.shards[shards].iter_mut().for_each(|shard| shard.expire(plan, mark, most, texts));
            self.soonest = self.shards.iter().map(Table::soonest).min().unwrap_or(i64::MAX);
        }
    }

    /// Whether its shards are those that wrote it.
    pub fn as_written(&self) -> bool {
        self.as_written
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Table> {
        self.shards.iter()
    }

    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Table> {
        // Keys may be put in meanwhile that are due before all others.
        self.soonest = i64::MIN;
        self.shards.iter_mut()
    }

    /// Gives the shards away for a while, in their order.
    pub fn lend(&mut self) -> Vec<Table> {
        std::mem::take(&mut self.shards).into_vec()
    }

    /// Takes them back.
    pub fn come_home(&mut self, shards: Vec<Table>) {
        assert!(shards.len() == self.mask + 1, "as many shards come home as went");
        self.shards = shards.into();
        // Keys may have been put in that are due before all others.
        self.soonest = i64::MIN;
    }

    /// One of them, to change.
    pub fn shard_mut(&mut self, number: usize) -> &mut Table {
        &mut self.shards[number]
    }

    /// Number of keys.
    pub fn keys(&self) -> usize {
        self.shards.iter().map(Table::keys).sum()
    }

    /// Keys that left because nothing could see them any more.
    pub fn expired(&self) -> u64 {
        self.shards.iter().map(|shard| shard.expired).sum()
    }

    /// So many have left before, in all.
    pub fn resume_expired(&mut self, expired: u64) {
        self.shards.iter_mut().for_each(|shard| shard.expired = 0);
        self.shards[0].expired = expired;
    }

    pub fn bytes(&self) -> usize {
        self.shards.iter().map(Table::bytes).sum()
    }

    /// Bytes that it holds for keys to come, since others have left or grown.
    pub fn freed_bytes(&self) -> usize {
        self.shards.iter().map(Table::freed_bytes).sum()
    }

    /// Bytes by which it may grow at once for one key more.
    pub fn growth_bytes(&self) -> usize {
        self.shards.iter().map(Table::growth_bytes).sum()
    }

    /// One of them.
    pub fn shard(&self, number: usize) -> &Table {
        &self.shards[number]
    }

    /// The shard that a limit on memory is held by.
    pub fn limited(&mut self) -> &mut Table {
        debug_assert!(self.mask == 0, "a table whose memory has a limit is one shard");
        &mut self.shards[0]
    }

    /// Takes the key out of the waiting that has been idle for longest, about, where memory has a limit.
    pub fn most_idle(&mut self, plan: &TablePlan) -> Option<Idle> {
        self.limited().most_idle(plan)
    }

    /// Reads one key, which is not there yet, and holds its texts.
    pub fn load_key(
        &mut self,
        plan: &TablePlan,
        loading: &mut Loading,
        input: &mut Input<'_>,
        texts: &mut Texts<'_>,
    ) -> Result<(), Broken> {
        let (key, rest) = next_key(input)?;
        self.of_mut(key.hash).load_key(plan, loading, (key, rest), input, texts)
    }

    /// Makes room in the index for so many keys, or somewhat less.
    pub fn reserve(&mut self, keys: u64) {
        let share = keys / self.shards.len() as u64;
        self.shards.iter_mut().for_each(|shard| shard.reserve(share));
    }

    /// The same for keys that are to sleep.
    pub fn reserve_asleep(&mut self, keys: u64) {
        let (count, bits) = (self.shards.len() as u64, self.shards.len().ilog2());
        self.shards.iter_mut().for_each(|shard| shard.reserve_asleep(bits, keys / count));
    }

    /// How many keys sleep.
    pub fn keys_asleep(&self) -> usize {
        self.shards.iter().map(Table::keys_asleep).sum()
    }

    /// How many shards there are.
    pub fn count(&self) -> usize {
        self.shards.len()
    }

    /// Reads when the keys are looked at, as the first two formats have it: by the places of keys among those of the table.
    pub fn load_places(
        &mut self,
        plan: &TablePlan,
        loading: &Loading,
        is_sharded: bool,
        input: &mut Input<'_>,
    ) -> Result<(), Broken> {
        let mut listed = vec![false; loading.hashes.len()];
        let shards = if is_sharded { input.count(16)? } else { 1 };
        for number in 0..shards {
            self.resume_steps((number, shards), input.read()?);
            for _ in 0..input.count(16)? {
                let begin = input.read()?;
                for _ in 0..input.count(4)? {
                    let place = input.read::<u32>()? as usize;
                    if listed.get(place) != Some(&false) {
                        return Err(Broken(format!("key {place} of {} is to be looked at", listed.len())));
                    }
                    listed[place] = true;
                    self.look_again(plan, loading.hashes[place], Some(begin));
                }
            }
        }
        for (&hash, _) in loading.hashes.iter().zip(&listed).filter(|(_, listed)| !**listed) {
            self.look_again(plan, hash, None);
        }
        Ok(())
    }

    /// Goes on with steps of so many ticks, which one shard of so many had where this was written.
    pub fn resume_steps(&mut self, (number, shards): (usize, usize), step_ticks: i64) {
        self.as_written = shards == self.shards.len();
        let same = self.as_written;
        let concerned = self.shards.iter_mut().enumerate().filter(|(own, _)| !same || *own == number);
        concerned.for_each(|(_, shard)| shard.resume_expiry(step_ticks));
    }

    /// A key of this hash is to be looked at at this time, or when it is due.
    pub fn look_again(&mut self, plan: &TablePlan, hash: u64, time: Option<i64>) {
        self.of_mut(hash).look_again(plan, hash, time);
    }

    /// Looks at the keys when they are due that are not to be looked at yet; `listed` have been told.
    pub fn look_at_others(&mut self, plan: &TablePlan, loading: &Loading, listed: u64) {
        if listed == loading.hashes.len() as u64 || self.shards[0].step_ticks() == 0 {
            return;
        }
        let mut known: Vec<u64> = self.shards.iter().flat_map(Table::steps).flat_map(|(_, hashes)| hashes).collect();
        known.sort_unstable();
        for &hash in loading.hashes.iter().filter(|hash| known.binary_search(hash).is_err()) {
            self.look_again(plan, hash, None);
        }
    }
}
