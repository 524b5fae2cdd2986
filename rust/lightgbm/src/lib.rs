//! fastfeat-lightgbm: LightGBM's own C API for one row at a time, loaded at run time from the shared library that LightGBM's
//! Python package ships, so that a score is Python's `Booster.predict` to the last bit and costs no trip through Python.
//!
//! The map: `text` (is this a whole, undamaged model? LightGBM aborts or hangs on one that is not) -> `model` (a model, its rows
//! and its answers) -> `ffi` (the calls; the one file with `unsafe`) -> LightGBM. `error` says what can go wrong on the way.
//!
//! # Which text of a Booster scores like the Booster
//!
//! - `booster.model_to_string()` for `booster.predict(row)`: both stop at `best_iteration` after early stopping, and the text holds
//!   no further trees. With a number of one's own, the same to both: `model_to_string(num_iteration=n)`, `predict(row, num_iteration=n)`.
//!   With `start_iteration=s` give both `num_iteration` too: left out, `predict` goes to the end and the text stops at `best_iteration`.
//! - LightGBM writes the objective's own numbers (`sigmoid`) with six digits. A Booster that still holds its training data
//!   (`keep_training_booster=True`, or `Booster.update` by hand) and has `sigmoid=0.123456789` scores with all nine, its text, and
//!   every Booster read from it, with six. `lightgbm.train` returns a Booster read from its text. Raw scores are the same in both.
//! - Columns of pandas' `category` type are codes in the model: the row holds the code, not the category.
//!
//! Arguments that Python gives to `predict` (`pred_early_stop`, `predict_disable_shape_check`) are not in the text, even when the
//! model was trained with them, and are not used here either; a row has one number per feature, always.

mod error;
mod ffi;
mod model;
mod text;

pub use error::ModelError;
pub use ffi::Library;
pub use model::{Model, Output};
