//! What can go wrong between a path, a model text and a score, each with the value and the way out.

use std::path::PathBuf;

use thiserror::Error;

/// Why a library or a model was refused, or a row not scored.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ModelError {
    /// The shared library cannot be loaded.
    #[error(
        "cannot load LightGBM from `{}`: {message}; `pip install \"lightgbm>=4.3\"` and give the path of its `lib_lightgbm` file \
         (where libgomp is missing: `apt-get install libgomp1`; libomp on macOS: `brew install libomp`)", .path.display()
    )]
    Library {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system's loader said.
        message: String,
    },
    /// The shared library is not LightGBM, or too old.
    #[error("`{}` has no `{symbol}`: it is not LightGBM, or older than 4.3; `pip install -U \"lightgbm>=4.3\"`", .path.display())]
    Symbol {
        /// The library.
        path: PathBuf,
        /// The first function that is missing.
        symbol: &'static str,
    },
    /// The text is not a whole, undamaged LightGBM model. LightGBM itself has not seen it.
    #[error("model text, line {line}: {message}; write it again with `Booster.save_model` and copy it as bytes")]
    Text {
        /// Line of the text, from 1.
        line: usize,
        /// The found value and the rule it breaks.
        message: String,
    },
    /// LightGBM counts something else in the text than we do.
    #[error(
        "LightGBM counts {theirs} {what} where the model text says {ours}: this version of LightGBM does not fit; `pip install -U lightgbm`"
    )]
    Disagreement {
        /// What was counted.
        what: &'static str,
        /// Our count.
        ours: usize,
        /// LightGBM's count.
        theirs: i64,
    },
    /// A row has not one number per feature of the model.
    #[error(
        "a row of {found} numbers where the model has {needed} features; give one number per name in `feature_names`, in that order"
    )]
    RowLength {
        /// Length of the row.
        found: usize,
        /// Number of the model's features.
        needed: usize,
    },
    /// The output is not as long as the answer.
    #[error("an output of {found} numbers for an answer of {needed}")]
    OutputLength {
        /// Length of the output.
        found: usize,
        /// Length of the answer.
        needed: usize,
    },
    /// This model has no contributions.
    #[error("no contributions: {0}")]
    NoContributions(&'static str),
    /// LightGBM refused a call, in its own words.
    #[error("LightGBM refused `{call}`: {message}")]
    LightGbm {
        /// The function of the C API.
        call: &'static str,
        /// LightGBM's last error.
        message: String,
    },
}
