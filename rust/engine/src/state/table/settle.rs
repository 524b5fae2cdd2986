//! The log of a key after many rows, changed at once: what has gone is left, what has come is put in, in the form that one row after the other
//! would have brought it to.

use super::super::block::{Header, note_all, number_of, release_texts};
use super::super::busy::Busy;
use super::super::interner::Interner;
use super::super::many::{Form, Group, Own};
use super::super::run::{Run, RunMut};
use super::super::slab::Reference;
use super::{MEASURED_EVERY, Table};
use crate::definition::FieldKind;
use crate::plan::TablePlan;

impl Table {
    /// Makes the state of a key what has been noted of it.
    pub(super) fn settle(&mut self, plan: &TablePlan, own: &Own, places: &[u32], group: &Group, texts: &mut Interner) {
        let (logged, end) = (group.logged, group.end());
        let first = if group.now.is_none() { end } else { group.gone };
        let row = |event: u32| own.record(plan, places[(event - logged) as usize] as usize);
        if plan.columns.iter().any(|column| column.kind == FieldKind::String) {
            if let Some(log) = group.old.map(|old| self.log_of(plan, old).0) {
                for event in 0..first.min(logged) {
                    let (run, index) = log.at(log.first() + u64::from(event));
                    release_texts(plan, run, index, texts);
                }
            }
            (logged..first).for_each(|event| release_texts(plan, row(event), 0, texts));
        }
        let Some(now) = group.now else {
            group.old.into_iter().for_each(|old| self.drop_block(old));
            return;
        };
        if group.goes_on && group.old == Some(now) {
            match group.form {
                Form::Busy { .. } => {
                    let number = number_of(self.slab.block(now), Header(self.slab.block(now)[0]));
                    let number = number.expect("a busy key has an extra");
                    let busy = self.extras.get_mut(number).busy.as_mut().expect("a busy key has a log");
                    (logged..end).for_each(|event| busy.push(plan, row(event), 0, texts));
                    if first > 0 {
                        busy.drop_front(plan, first as usize, texts, |_, _, _| ());
                    }
                    return self.measure_anew(number);
                }
                Form::Run { room } if room == self.room_of(now) => {
                    let block = self.slab.block_mut(now);
                    let header = Header(block[0]);
                    let words = &mut block[header.run()..];
                    let left = first.min(logged) as usize;
                    if left > 0 {
                        RunMut { words, shape: plan.shape, room }.drop_front(header.len(), left);
                    }
                    let mut len = header.len() - left;
                    for event in first.max(logged)..end {
                        RunMut { words, shape: plan.shape, room }.append(len, row(event), 0);
                        len += 1;
                    }
                    note_all(plan, words, room, len);
                    block[0] = header.with_len(len).0;
                    return;
                }
                Form::Run { .. } => {}
            }
        }
        let hash = own.rows[places[0] as usize].hash;
        let new = match group.form {
            Form::Run { room } => {
                self.new_run(plan, (now, group.old), room, first..logged, (first.max(logged)..end).map(row))
            }
            Form::Busy { offset } => {
                let position = (i64::from(first) + offset) as u64;
                let mut busy = Box::new(Busy::begin(plan, position, texts));
                if let Some(log) = group.old.map(|old| self.log_of(plan, old).0) {
                    for event in first..logged {
                        let (run, index) = log.at(log.first() + u64::from(event));
                        busy.push(plan, run, index, texts);
                    }
                }
                (first.max(logged)..end).for_each(|event| busy.push(plan, row(event), 0, texts));
                self.new_busy(now, busy)
            }
        };
        self.index.replace(hash, now, new);
        self.drop_block(now);
        group.old.into_iter().filter(|&old| old != now).for_each(|old| self.drop_block(old));
    }

    /// A block with the key of another one and a run of events: some of a log's, then records.
    fn new_run<'a>(
        &mut self,
        plan: &TablePlan,
        (now, old): (Reference, Option<Reference>),
        room: usize,
        kept: std::ops::Range<u32>,
        records: impl Iterator<Item = Run<'a>>,
    ) -> Reference {
        let shape = plan.shape;
        let mut moving = std::mem::take(&mut self.moving);
        moving.clear();
        moving.resize(shape.words_of(room), 0);
        let mut len = 0;
        let mut add = |run: Run<'_>, index: usize| {
            RunMut { words: &mut moving, shape, room }.append(len, run, index);
            len += 1;
        };
        if let Some(log) = old.map(|old| self.log_of(plan, old).0) {
            for event in kept {
                let (run, index) = log.at(log.first() + u64::from(event));
                add(run, index);
            }
        }
        records.for_each(|record| add(record, 0));
        note_all(plan, &mut moving, room, len);
        let header = self.header_like(now);
        let (new, words) = self.copy_key(now, header, shape.words_of(room));
        let block = self.slab.block_mut(new);
        block[header.run()..][..moving.len()].copy_from_slice(&moving);
        block[0] = header.with_block(room, words).with_len(len).0;
        self.moving = moving;
        new
    }

    /// A block with the key of another one, and a log.
    fn new_busy(&mut self, now: Reference, busy: Box<Busy>) -> Reference {
        let header = Header(self.header_like(now).0 | Header::BUSY);
        let (new, words) = self.copy_key(now, header, 0);
        let number = self.extras.add();
        let block = self.slab.block_mut(new);
        block[header.after_key()] = number as u64;
        block[0] = header.with_block(0, words).0;
        self.extras.get_mut(number).busy = Some(busy);
        self.measure_anew(number);
        new
    }

    /// The header of a block for the same key.
    fn header_like(&self, other: Reference) -> Header {
        Header(Header::new(false, Header(self.slab.block(other)[0]).key_bytes()).0 | self.turn)
    }

    /// A block with the key of another one and room for a run.
    fn copy_key(&mut self, from: Reference, header: Header, run_words: usize) -> (Reference, usize) {
        let (new, words) = self.slab.allocate(header.run() + run_words);
        for word in 1..header.after_key() {
            self.slab.block_mut(new)[word] = self.slab.block(from)[word];
        }
        (new, words)
    }

    fn measure_anew(&mut self, number: usize) {
        self.extras.get_mut(number).unmeasured = MEASURED_EVERY - 1;
        self.measure(number);
    }

    /// Gives a block back that the index does not know any more.
    pub(super) fn drop_block(&mut self, reference: Reference) {
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        if let Some(number) = number_of(block, header) {
            self.drop_extra(number);
        }
        self.slab.release(reference, header.words());
    }
}
