//! The rows of a part that are of one shard, key by key.

use hashbrown::HashTable;

use super::Own;
use crate::key;
use crate::plan::TablePlan;
use crate::state::slab::Reference;

/// Of a row without a key.
pub(in crate::state) const NONE: u32 = u32::MAX;

/// The rows of one key, and what becomes of its log on their way.
#[derive(Clone, Copy, Debug)]
pub(in crate::state) struct Group {
    /// Where its rows begin in the order of the groups, and how many they are.
    pub start: u32,
    pub len: u32,
    /// Whether they are taken in together.
    pub together: bool,
    /// Where its state was before, and how many events it had.
    pub old: Option<Reference>,
    pub logged: u32,
    /// Where its state is after the rows that have been taken in.
    pub now: Option<Reference>,
    pub taken: u32,
    /// Time of its newest event then.
    pub newest: i64,
    /// How many of its events have gone, those of the log and those of rows after each other; and how the others are held.
    pub gone: u32,
    pub form: Form,
    /// Whether the log as it was goes on.
    pub goes_on: bool,
}

/// How the events of a key are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::state) enum Form {
    /// In a run with room for so many.
    Run { room: usize },
    /// In the log of a busy key, in which the first event of all has, or would have, this position.
    Busy { offset: i64 },
}

/// Rows in the order of their groups, which stand in the order of their first rows.
#[derive(Default)]
pub(in crate::state) struct Groups {
    pub groups: Vec<Group>,
    /// By place among the rows of the shard.
    pub group_of: Vec<u32>,
    /// Places among the rows of the shard.
    pub places: Vec<u32>,
    /// Times of the rows.
    pub times: Vec<i64>,
    slots: Vec<u32>,
    /// Which group the state of a key belongs to.
    states: HashTable<(Reference, u32)>,
}

impl Groups {
    pub fn clear(&mut self) {
        self.groups.clear();
        self.group_of.clear();
        self.states.clear();
    }

    /// The group of a row, by its place, where its rows are taken in together.
    #[inline]
    pub fn together(&self, place: usize) -> Option<usize> {
        let number = *self.group_of.get(place).filter(|&&number| number != NONE)? as usize;
        self.groups[number].together.then_some(number)
    }

    /// Puts the rows of a shard together by key.
    pub fn make(&mut self, own: &Own) {
        let Self { groups, group_of, places, times, slots, .. } = self;
        groups.clear();
        group_of.clear();
        slots.clear();
        slots.resize((own.rows.len() * 2).next_power_of_two(), NONE);
        let mask = slots.len() - 1;
        for row in &own.rows {
            if !row.keyed {
                group_of.push(NONE);
                continue;
            }
            let same = |group: &Group| {
                let first = &own.rows[group.start as usize];
                first.hash == row.hash && own.key(first).bytes == own.key(row).bytes
            };
            let mut slot = row.hash as usize & mask;
            let number = loop {
                match slots[slot] {
                    NONE => {
                        slots[slot] = groups.len() as u32;
                        // For now, where its first row is.
                        groups.push(Group::beginning(group_of.len() as u32));
                        break slots[slot];
                    }
                    number if same(&groups[number as usize]) => break number,
                    _ => slot = (slot + 1) & mask,
                }
            };
            groups[number as usize].len += 1;
            group_of.push(number);
        }
        let mut start = 0;
        for group in groups.iter_mut() {
            group.start = start;
            start += group.len;
        }
        places.clear();
        places.resize(start as usize, 0);
        times.clear();
        times.resize(start as usize, 0);
        for (place, &number) in group_of.iter().enumerate().filter(|&(_, &number)| number != NONE) {
            let group = &mut groups[number as usize];
            let at = (group.start + group.taken) as usize;
            places[at] = place as u32;
            times[at] = own.rows[place].t;
            group.taken += 1;
        }
        groups.iter_mut().for_each(|group| group.taken = 0);
    }

    /// The group that the state of a key belongs to, where its rows are taken in together.
    pub fn of_state(&self, state: Reference) -> Option<usize> {
        let found = self.states.find(key::hash_word(state.into()), |&(known, _)| known == state);
        found.map(|&(_, group)| group as usize)
    }

    /// A key has its state here now, or no more anywhere.
    pub fn place(&mut self, group: usize, state: Option<Reference>) {
        let hash = |state: Reference| key::hash_word(state.into());
        if let Some(old) = self.groups[group].now
            && let Ok(entry) = self.states.find_entry(hash(old), |&(known, _)| known == old)
        {
            entry.remove();
        }
        self.groups[group].now = state;
        if let Some(state) = state {
            self.states.insert_unique(hash(state), (state, group as u32), |&(state, _)| hash(state));
        }
    }

    pub fn times_of(&self, group: &Group) -> &[i64] {
        &self.times[group.start as usize..(group.start + group.len) as usize]
    }

    pub fn places_of(&self, group: &Group) -> &[u32] {
        &self.places[group.start as usize..(group.start + group.len) as usize]
    }
}

impl Group {
    fn beginning(start: u32) -> Self {
        Self {
            start,
            len: 0,
            together: false,
            old: None,
            logged: 0,
            now: None,
            taken: 0,
            newest: i64::MIN,
            gone: 0,
            form: Form::Run { room: 0 },
            goes_on: false,
        }
    }

    /// Takes some events of a key away that nothing can see any more; false when so few are left that it can go at once.
    pub fn thin_out(&mut self, most: u32) -> bool {
        let thins = matches!(self.form, Form::Busy { .. }) && self.end() - self.gone > most;
        if thins {
            self.gone += most;
        }
        thins
    }

    /// How many of the events have come so far.
    pub fn end(&self) -> u32 {
        self.logged + self.taken
    }
}

/// How many of some events, whose times are given from `low` on, no row to come can see: `bounds::needed_from` of a log that only windows of time
/// and the newest events need.
pub(in crate::state) fn gone_by(
    plan: &TablePlan,
    (low, high): (u32, u32),
    mark: i64,
    time: impl Fn(u32) -> i64,
) -> u32 {
    let upper_bound = |t: i64| {
        if low == high || time(high - 1) <= t {
            return high;
        }
        let (mut from, mut to) = (low, high - 1);
        while from < to {
            let middle = from + (to - from) / 2;
            if time(middle) <= t { from = middle + 1 } else { to = middle }
        }
        from
    };
    let seen = upper_bound(mark.saturating_sub(1));
    let mut from = seen;
    if plan.reach > 0 {
        from = from.min(upper_bound(mark.saturating_sub(plan.reach)));
    }
    if plan.keep_last > 0 {
        from = from.min(seen.saturating_sub(u32::try_from(plan.keep_last).unwrap_or(u32::MAX)));
    }
    from.max(low) - low
}
