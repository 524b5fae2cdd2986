//! A key with many events: a log in segments, and a running view for each reader.

use super::lanes::{Cells, Question};
use super::log::{Log, Segments};
use super::view::View;
use crate::plan::TablePlan;

/// Records are dropped this many at a time, so that an event pays for little at once.
const DROP: usize = 64;

#[derive(Debug)]
pub(crate) struct Rich {
    log: Segments,
    views: Box<[View]>,
}

impl Rich {
    pub fn new(table: &TablePlan, records: &[u64]) -> Self {
        let mut log = Segments::new(table.record_words);
        let views = table.reads.iter().map(|read| View::new(read, &log)).collect();
        for record in records.chunks_exact(table.record_words) {
            log.push(record);
        }
        Self { log, views }
    }

    pub fn answer(&mut self, question: &Question<'_>, cells: &mut Cells) {
        self.views[question.read.view].answer(&self.log, question, cells);
    }

    /// Appends a record, and drops some that no row to come can see.
    pub fn append(&mut self, table: &TablePlan, record: &[u64], mark: i64, mut dropped: impl FnMut(&[u64])) {
        self.log.push(record);
        let gone = mark.saturating_sub(table.reach);
        let (len, last) = (self.log.len(), DROP - 1);
        if len > last + table.keep_last && self.log.time(last) <= gone && self.log.time(last + table.keep_last) <= mark
        {
            let first = self.log.first() + DROP as u64;
            for (view, read) in self.views.iter_mut().zip(&table.reads) {
                let question = Question { table, read, t: mark, newcomer: None, ticks_per_second: 1 };
                view.forget(&self.log, &question, first);
            }
            (self.log.first()..first).for_each(|position| dropped(self.log.get(position)));
            self.log.drop_before(first);
        }
    }

    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.log.bytes() + self.views.iter().map(View::bytes).sum::<usize>()
    }
}
