//! Where the events of keys live, and what is answered from them.
//!
//! `table` finds a key; its events are one `run`, or a `log` of many with summaries (`tree`); what has left the log is in its `past`.
//! `answer` computes the windows of a row from these, lane by lane (`lane`, `distinct`, `rank`, `cursor`).

pub(crate) mod answer;
mod busy;
mod cells;
mod cursor;
mod distinct;
mod entry;
mod expiry;
pub(crate) mod interner;
mod lane;
mod log;
mod past;
mod rank;
mod run;
mod slab;
pub(crate) mod table;
mod tree;

pub(crate) use cells::Cells;
pub(crate) use run::{Run, RunMut};
