//! Row -> bytes, one file per format: what a finished row is told the world as. The inverse of `codec`.

pub mod json;

use crate::row::RowView;

/// What is told of every event in the same words.
#[derive(Clone, Debug, Default)]
pub struct Stamp<'a> {
    /// Version of the model; none where nothing is scored.
    pub model: Option<&'a str>,
    /// Fingerprint of the definition.
    pub definition: Option<&'a str>,
}

/// What is told of one event.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its id, where it has one.
    pub id: Option<&'a str>,
    /// Its features.
    pub row: RowView<'a>,
    /// Its score, or one for each class; none where it was not scored.
    pub scores: Option<&'a [f64]>,
    /// Features (by their places) and what each adds to the raw score, where reasons are told.
    pub reasons: Option<&'a [(u32, f64)]>,
}
