//! The rows of a part one after the other, where those of a key have been answered together: what becomes of its log is told from times alone,
//! step by step as `store` would do it, and its state itself is changed at the end (`settle`). All other keys, and the order in which keys leave,
//! are as with one row after the other.

use std::ops::Range;

use super::super::answer::Question;
use super::super::block::{Header, ROOM, room_in};
use super::super::interner::Interner;
use super::super::log::Log;
use super::super::many::{Answered, Columns, Form, Groups, Many, Own, Part, Scratch, gone_by};
use super::super::run::{RUN, Run};
use super::super::slab;
use super::{BUSY_MIN, STEPS_MAX, Table, due_after};
use crate::plan::TablePlan;

/// So many rows, or keys, ahead a key's state is asked for.
const AHEAD: usize = 6;
/// Keys with fewer rows are taken in row by row.
const ROWS_MIN: u32 = 3;
/// So are those that have more events than this for each of their rows, beyond a few: all of them would be looked at.
const LOGGED_MAX: u64 = 8;
const LOGGED_FEW: u64 = 64;

impl Table {
    /// Answers and stores the rows of a part that are of this shard.
    pub fn take_in(
        &mut self,
        many: &Many<'_>,
        part: &Part,
        shard: usize,
        scratch: &mut Scratch,
        answered: &mut Answered,
    ) {
        let own = &part.shards[shard];
        let mut texts = Interner::owing();
        let Scratch { groups, columns } = scratch;
        groups.clear();
        // A state that is being saved is changed row by row.
        if self.idle_after.is_none() && self.capture.is_none() && many.together() {
            groups.make(own);
            self.answer_groups(many, own, groups, (columns, &texts), answered);
        }
        let mut looked = 0;
        for (place, row) in own.rows.iter().enumerate() {
            // Turns of the rows before, the last of which is this shard's.
            let index = row.index as usize;
            self.expire_through(many.plan, part, shard, looked..index, groups, &mut texts);
            looked = index;
            if let Some(number) = groups.together(place) {
                self.note_row(many.plan, own, place, number, groups);
            } else {
                let next = own.rows.get(place + AHEAD).filter(|next| next.keyed);
                if let Some(next) = next.filter(|_| groups.together(place + AHEAD).is_none()) {
                    self.warm(self.find_here(own.key(next)));
                }
                self.take_in_one(many, own, place, &mut texts, answered);
            }
        }
        self.expire_through(many.plan, part, shard, looked..part.len(), groups, &mut texts);
        for group in groups.groups.iter().filter(|group| group.together) {
            self.settle(many.plan, own, groups.places_of(group), group, &mut texts);
        }
        answered.released.extend(texts.owed());
    }

    /// A row by itself.
    fn take_in_one(&mut self, many: &Many<'_>, own: &Own, place: usize, texts: &mut Interner, answered: &mut Answered) {
        let row = &own.rows[place];
        let found = if row.keyed { self.find(many.plan, own.key(row), texts) } else { None };
        let record = own.record(many.plan, place);
        if let Some(read) = many.read {
            let question = Question {
                plan: many.plan,
                read,
                t: row.t,
                newcomer: row.keyed.then_some(record),
                stores: true,
                mark: None,
                idle_after: None,
                ticks_per_second: many.ticks_per_second,
            };
            self.answer(found, &question, texts, answered.row(place));
        }
        if row.keyed {
            self.store(many.plan, found, own.key(row), record, row.mark, texts);
        }
    }

    /// Answers the rows of those keys that have several of them, in order.
    fn answer_groups(
        &mut self,
        many: &Many<'_>,
        own: &Own,
        groups: &mut Groups,
        (columns, texts): (&mut Columns, &Interner),
        answered: &mut Answered,
    ) {
        for number in 0..groups.groups.len() + AHEAD {
            // The state of a key is asked for before it is needed.
            if let Some(ahead) = groups.groups.get(number).filter(|group| group.len >= ROWS_MIN) {
                let first = &own.rows[groups.places_of(ahead)[0] as usize];
                let found = self.find(many.plan, own.key(first), texts);
                self.warm(found);
                groups.groups[number].old = found;
            }
            let Some(number) = number.checked_sub(AHEAD) else { continue };
            if !self.begin_group(many.plan, number, groups) {
                continue;
            }
            let group = &groups.groups[number];
            if let Some(read) = many.read {
                let places = groups.places_of(group);
                let empty = Log::Run(Run::new(&self.empty, many.plan.shape, 0, 0));
                let log = group.old.map_or(empty, |old| self.log_of(many.plan, old).0);
                columns.gather(many.plan, log, own, places);
                if !columns.answer(many, read, places, answered) {
                    continue;
                }
            }
            let old = group.old;
            groups.groups[number].together = true;
            groups.place(number, old);
        }
    }

    /// Looks at the state of a key before its rows; whether they can be taken in together.
    fn begin_group(&self, plan: &TablePlan, number: usize, groups: &mut Groups) -> bool {
        let group = &groups.groups[number];
        let times = groups.times_of(group);
        if group.len < ROWS_MIN || !times.is_sorted() {
            return false;
        }
        let Some(old) = group.old else { return true };
        let log = self.log_of(plan, old).0;
        let (logged, newest) = (log.end() - log.first(), self.newest(plan, old));
        if logged > LOGGED_MAX * u64::from(group.len) + LOGGED_FEW || times[0] < newest {
            return false;
        }
        let form = match log {
            Log::Run(_) => Form::Run { room: self.room_of(old) },
            Log::Busy(busy) => Form::Busy { offset: busy.first() as i64 },
        };
        let group = &mut groups.groups[number];
        (group.logged, group.newest, group.form, group.goes_on) = (logged as u32, newest, form, true);
        true
    }

    /// What becomes of a log as the next row of its key is stored.
    fn note_row(&mut self, plan: &TablePlan, own: &Own, place: usize, number: usize, groups: &mut Groups) {
        let row = &own.rows[place];
        let mut group = groups.groups[number];
        if group.now.is_none() {
            let state = self.create(plan, own.key(row), own.record(plan, place));
            self.index.insert(row.hash, state);
            if let Some(expiry) = &mut self.expiry {
                expiry.put(row.hash, row.t.saturating_add(due_after(plan, self.idle_after)));
            }
            groups.place(number, Some(state));
            let group = &mut groups.groups[number];
            (group.form, group.goes_on) = (Form::Run { room: self.room_of(state) }, false);
            (group.gone, group.newest) = (group.end(), row.t);
            group.taken += 1;
            return;
        }
        let (times, end) = (groups.times_of(&group), group.end());
        let log = group.old.map(|old| self.log_of(plan, old).0);
        let logged = group.logged;
        let time = |event: u32| match log {
            Some(log) if event < logged => log.time(log.first() + u64::from(event)),
            _ => times[(event - logged) as usize],
        };
        if let Form::Run { room } = group.form {
            if (end - group.gone) as usize == room {
                group.gone += gone_by(plan, (group.gone, end), row.mark, time);
            }
            let len = (end - group.gone) as usize;
            if len == RUN {
                group.form = Form::Busy { offset: -i64::from(group.gone) };
                group.goes_on = false;
            } else if len == room {
                let wanted = ROOM.iter().copied().find(|&larger| larger > room).unwrap_or(RUN);
                group.form = Form::Run { room: room_for(plan, row.key_bytes(), 0, wanted) };
            }
        }
        if let Form::Busy { offset } = group.form {
            let end = end + 1;
            // Mostly the first run has not gone as a whole.
            let first = i64::from(group.gone) + offset;
            let second = (first / RUN as i64 + 1) * RUN as i64 - offset;
            if second < i64::from(end) && time(second as u32) <= row.mark.saturating_sub(plan.reach) {
                group.gone += gone_by(plan, (group.gone, end), row.mark, time).min(STEPS_MAX as u32);
            }
            let len = (end - group.gone) as usize;
            if len < BUSY_MIN {
                let wanted = ROOM.iter().copied().find(|&room| room > len).unwrap_or(RUN);
                group.form = Form::Run { room: room_for(plan, row.key_bytes(), 1, wanted) };
                group.goes_on = false;
            }
        }
        group.taken += 1;
        group.newest = row.t;
        groups.groups[number] = group;
    }

    /// Lets keys go that nothing can see any more, where it is this shard's turn after some rows.
    fn expire_through(
        &mut self,
        plan: &TablePlan,
        part: &Part,
        shard: usize,
        rows: Range<usize>,
        groups: &mut Groups,
        texts: &mut Interner,
    ) {
        if plan.forever && self.idle_after.is_none() {
            return;
        }
        let Some((marks, most)) = part.turns(shard, rows, self.soonest()) else { return };
        for mark in marks {
            if groups.groups.is_empty() {
                self.expire(plan, mark, most, texts);
            } else {
                self.expire_noted(plan, mark, most, groups, texts);
            }
        }
    }

    /// `expire` where some logs are not yet what they have become.
    fn expire_noted(&mut self, plan: &TablePlan, mark: i64, most: usize, groups: &mut Groups, texts: &mut Interner) {
        for _ in 0..most {
            let Some(hash) = self.expiry.as_mut().and_then(|expiry| expiry.pop_due(mark)) else { return };
            let elsewhere = self.wake_due(plan, hash, mark, texts);
            let due = |state| {
                let noted = groups.of_state(state).map(|number| groups.groups[number].newest);
                let newest = noted.unwrap_or_else(|| self.newest(plan, state));
                newest.saturating_add(due_after(plan, self.idle_after))
            };
            if let Some(state) = self.index.find(hash, |state| due(state) < mark) {
                let is_thinned = match groups.of_state(state) {
                    Some(number) => groups.groups[number].thin_out(STEPS_MAX as u32),
                    None => self.thin_out(plan, state, texts),
                };
                if is_thinned {
                    if let Some(expiry) = &mut self.expiry {
                        expiry.put(hash, mark.saturating_sub(1));
                    }
                    return;
                }
                if let Some(number) = groups.of_state(state) {
                    self.index.remove(hash, state);
                    if groups.groups[number].old != Some(state) {
                        self.drop_block(state);
                    }
                    groups.place(number, None);
                } else {
                    self.remove(plan, hash, state, texts);
                }
                self.expired += 1;
            } else if let Some(due) = self.index.find(hash, |_| true).map(due)
                && let Some(expiry) = &mut self.expiry
            {
                expiry.put(hash, due);
            } else if let (Some(again), Some(expiry)) = (elsewhere.again(plan, self.idle_after, mark), &mut self.expiry)
            {
                expiry.put(hash, again);
            }
        }
    }
}

/// For how many events there is room in the smallest block that has room for so many, `beside` so many words more.
fn room_for(plan: &TablePlan, key_bytes: usize, beside: usize, events: usize) -> usize {
    let before = Header::new(false, key_bytes).run();
    room_in(plan, slab::class_words(before + beside + plan.shape.words_of(events)) - before)
}
