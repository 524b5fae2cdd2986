//! fastfeat._core: conversion between Python objects and the engine, nothing else.
//!
//! The map: `plan` (a compiled definition, shown) and `engine` (class Engine) are what Python calls; `through` is the way of one call,
//! `batch` that of a table, `messages` that of a batch of messages, which `decoder` says how to read (`ipc` where one is a table) and `outcome` answers. Going in, `convert` turns objects into values and `table` Arrow columns; coming out, `layout` and `row` turn values into objects, `score` a model's answer,
//! `columns` many rows into a table; `profile` times all that; `checkpoint` writes it down, where `place` says; `record_batches` packs messages for Kafka; `lookup` holds the rows of reference data, `explain` what a value is made of; `errors` turns errors into exceptions; `registry` names what there is.

mod batch;
mod change;
mod checkpoint;
mod columns;
mod convert;
mod decoder;
mod engine;
mod errors;
mod explain;
mod fixed;
mod instant;
mod ipc;
mod layout;
mod lookup;
mod messages;
mod out;
mod outcome;
mod place;
mod plan;
mod profile;
mod record_batches;
mod registry;
mod row;
mod score;
mod table;
mod through;

/// The compiled part of fastfeat: conversion and the engine behind it.
#[pyo3::pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use crate::change::checkpoint_change;
    #[pymodule_export]
    use crate::checkpoint::{inspect_checkpoint, remove_stored, stored_bytes, stored_names};
    #[pymodule_export]
    use crate::decoder::Decoder;
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::lookup::LookupTable;
    #[pymodule_export]
    use crate::outcome::Outcome;
    #[pymodule_export]
    use crate::plan::Plan;
    #[pymodule_export]
    use crate::record_batches::{RecordBatch, record_batches};
    #[pymodule_export]
    use crate::registry::registry;
    #[pymodule_export]
    use crate::row::{Row, restore_row};
    #[pymodule_export]
    use crate::score::{Reason, ScoreResult};
}
