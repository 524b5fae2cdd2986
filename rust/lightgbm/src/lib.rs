//! LightGBM. (Being written; the public face below is settled.)

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

/// Why a model was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ModelError {
    /// The shared library cannot be loaded.
    #[error("cannot load LightGBM from `{}`", .0.display())]
    Library(PathBuf),
}

/// The shared library.
#[derive(Debug)]
pub struct Library;

impl Library {
    /// Loads it.
    pub fn open(path: &Path) -> Result<Arc<Self>, ModelError> {
        Err(ModelError::Library(path.to_owned()))
    }
}

/// What a score is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// After the objective's transformation.
    Normal,
    /// Before it.
    Raw,
}

/// A model.
#[derive(Debug)]
pub struct Model;

impl Model {
    /// Reads a model.
    pub fn from_text(library: Arc<Library>, text: &str, output: Output) -> Result<Self, ModelError> {
        let _ = (library, text, output);
        Ok(Self)
    }

    /// In the order of its rows.
    pub fn feature_names(&self) -> &[String] {
        &[]
    }

    /// Scores per row.
    pub fn classes(&self) -> usize {
        1
    }

    /// Scores a row.
    pub fn predict(&mut self, row: &[f64], out: &mut [f64]) -> Result<(), ModelError> {
        let _ = (row, out);
        Ok(())
    }

    /// Scores a row before the transformation.
    pub fn predict_raw(&mut self, row: &[f64], out: &mut [f64]) -> Result<(), ModelError> {
        self.predict(row, out)
    }

    /// Classes times (features + 1).
    pub fn contributions(&mut self, row: &[f64], out: &mut [f64]) -> Result<(), ModelError> {
        self.predict(row, out)
    }
}
