//! fastfeat-engine: windowed, stateful aggregations over event streams. Pure computation: no clock, no sockets, no Python.
//!
//! The map, in the order data flows:
//! `definition` (what the user asked for) -> `plan` (indexes instead of names) ->
//! `schema`, `codec` (bytes or objects -> `event`) -> `key` -> `state` (the log of a key, its windows) ->
//! `aggregate` (what is computed over them) -> `derive` (arithmetic on a row, and what it joins from a `lookup`) -> `row`; `engine` calls them in this order.
//! `batch` pushes many events, table beside table. `output` writes rows down for others to read.
//! `checkpoint` writes an engine down, in the bytes that `encode` gives each part, and reads it back; `journal` is what has been accepted
//! since, and `replay` takes it in again. `spill` keeps on disk what memory has no room for.

pub mod aggregate;
pub mod batch;
pub mod checkpoint;
pub mod codec;
pub mod contents;
pub mod definition;
pub mod derive;
pub mod encode;
pub mod engine;
pub mod error;
pub mod estimate;
pub mod event;
pub mod explain;
pub(crate) mod heap;
mod journal;
pub mod key;
pub mod late;
pub mod lookup;
pub mod options;
pub mod output;
pub mod plan;
mod replay;
pub mod row;
pub mod schema;
pub mod spill;
pub mod stage;
mod state;
pub mod stats;
pub mod window;
