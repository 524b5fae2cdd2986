//! Where the events of keys live, and what is answered from them.
//!
//! `shards` are the parts of a table of the plan, by key; each, a `table`, finds a key; its events are one `run`, or a `log` of many with summaries (`tree`); what has left the log is in its `past`.
//! `bounds` says where the windows of a row lie there, `answer` computes them, lane by lane: `walk` what merges (`lane`, `follow`),
//! `unique` distinct counts (`distinct`, `values`), `quantile` what needs the values in order (`rank`), `tallied` what needs their counts (`cursor`, `tally`),
//! `entry` single events. Where events come in order, `tail` answers the most common of all this together.

pub(crate) mod answer;
mod block;
mod bounds;
mod busy;
mod cells;
mod cursor;
mod distinct;
mod entry;
mod expiry;
mod extra;
mod follow;
pub(crate) mod interner;
mod lane;
mod log;
pub(crate) mod many;
mod past;
mod prefetch;
mod quantile;
mod rank;
mod run;
pub(crate) mod shards;
mod slab;
pub(crate) mod table;
mod tail;
mod tallied;
mod tally;
mod tree;
mod unique;
mod values;
mod walk;

pub(crate) use block::texts;
pub(crate) use cells::Cells;
pub(crate) use run::{Run, RunMut};
