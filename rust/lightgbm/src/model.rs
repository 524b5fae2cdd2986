//! A model: its text checked, given to LightGBM, and made ready to answer one row at a time.

use std::ffi::CStr;
use std::fmt;
use std::sync::Arc;

use crate::error::ModelError;
use crate::ffi::{Answer, Booster, Library, Predictor};
use crate::text;

/// Deeper trees have no contributions: LightGBM calls itself once a split and takes `depth * depth * 16` bytes for each tree.
const CONTRIBUTIONS_DEPTH_MAX: usize = 1_000;

/// One thread, so that preparing does not start LightGBM's others: a single row is never shared out.
const ONE_THREAD: &CStr = c"num_threads=1";
/// The number of threads is the library's, for Python's `lightgbm` too: the last word is LightGBM's own default.
const DEFAULT_THREADS: &CStr = c"num_threads=0";

/// What [`Model::predict`] answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// With the objective's transform, as `Booster.predict(row)`: a probability, a rate.
    #[default]
    Normal,
    /// Before it, as `Booster.predict(row, raw_score=True)`: a sum of leaves.
    Raw,
}

/// A model that scores one row at a time, to the last bit as Python's `Booster.predict` does.
///
/// It can go to another thread, and is used by one at a time. The scores are LightGBM's own, with nothing allocated here; the
/// library itself allocates a list of the row's entries for each call.
pub struct Model {
    feature_names: Vec<String>,
    classes: usize,
    trees: usize,
    objective: String,
    output: Predictor,
    raw: Predictor,
    contributions: Result<Predictor, &'static str>,
}

impl Model {
    /// Reads the text of `Booster.model_to_string()` or of the file of `Booster.save_model()`. The crate's first page says which
    /// text scores like which Booster.
    ///
    /// # Errors
    /// [`ModelError::Text`] when the text is not whole and undamaged: LightGBM has not seen it then. [`ModelError::LightGbm`] or
    /// [`ModelError::Disagreement`] when this version of LightGBM reads it otherwise.
    pub fn from_text(library: Arc<Library>, text: &str, output: Output) -> Result<Self, ModelError> {
        let text = text::check(text)?;
        let booster = Booster::load(library, &text.loadable)?;
        let features = text.feature_names.len();
        agree("classes", text.classes, booster.classes()?)?;
        agree("features", features, booster.features()?)?;
        agree("trees", text.trees, booster.trees()?)?;

        // In this order: contributions are prepared in parallel, unless a predictor before them has asked for one thread.
        let raw = Predictor::prepare(&booster, Answer::Raw, ONE_THREAD)?;
        let contributions = match (text.linear, text.depth) {
            (true, _) => Err("LightGBM has none for linear trees"),
            (_, CONTRIBUTIONS_DEPTH_MAX..) => {
                Err("a tree is a thousand splits deep or more; train with a smaller `max_depth`")
            }
            _ => Ok(Predictor::prepare(&booster, Answer::Contributions, ONE_THREAD)?),
        };
        let answer = match output {
            Output::Normal => Answer::Normal,
            Output::Raw => Answer::Raw,
        };
        let output = Predictor::prepare(&booster, answer, DEFAULT_THREADS)?;

        agree("numbers a row", text.classes, output.answer_length() as i64)?;
        agree("raw numbers a row", text.classes, raw.answer_length() as i64)?;
        if let Ok(contributions) = &contributions {
            agree("contributions", text.classes * (features + 1), contributions.answer_length() as i64)?;
        }
        Ok(Self {
            feature_names: text.feature_names,
            classes: text.classes,
            trees: text.trees,
            objective: text.objective,
            output,
            raw,
            contributions,
        })
    }

    /// Names of the features, in the order of a row.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// Numbers that a row is answered with: 1, or the number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Trees of all classes together.
    pub fn trees(&self) -> usize {
        self.trees
    }

    /// The text's objective with its own numbers, as `binary sigmoid:1`; empty when it was a function of the user's.
    pub fn objective(&self) -> &str {
        &self.objective
    }

    /// Scores `row`, one number per feature with NaN for missing, into `out`, one number per class.
    ///
    /// # Errors
    /// [`ModelError::RowLength`], [`ModelError::OutputLength`]; `out` is then as it was.
    pub fn predict(&mut self, row: &[f64], out: &mut [f64]) -> Result<(), ModelError> {
        self.output.predict(row, out)
    }

    /// Scores `row` before the objective's transform, whatever the model's [`Output`] is.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn predict_raw(&mut self, row: &[f64], out: &mut [f64]) -> Result<(), ModelError> {
        self.raw.predict(row, out)
    }

    /// Whether [`Model::contributions`] has an answer.
    ///
    /// # Errors
    /// [`ModelError::NoContributions`] with the reason.
    pub fn explains(&self) -> Result<(), ModelError> {
        match &self.contributions {
            Ok(_) => Ok(()),
            Err(reason) => Err(ModelError::NoContributions(reason)),
        }
    }

    /// What each feature adds to the raw score of `row`, as `Booster.predict(row, pred_contrib=True)`: for each class one number
    /// per feature and then the base value, so `classes * (features + 1)` in all.
    ///
    /// # Errors
    /// [`ModelError::NoContributions`] for linear trees and for trees a thousand splits deep; else as [`Model::predict`].
    pub fn contributions(&mut self, row: &[f64], out: &mut [f64]) -> Result<(), ModelError> {
        match &mut self.contributions {
            Ok(predictor) => predictor.predict(row, out),
            Err(reason) => Err(ModelError::NoContributions(reason)),
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("objective", &self.objective)
            .field("classes", &self.classes)
            .field("features", &self.feature_names.len())
            .field("trees", &self.trees)
            .finish_non_exhaustive()
    }
}

/// Both sides of the boundary have counted.
fn agree(what: &'static str, ours: usize, theirs: i64) -> Result<(), ModelError> {
    match i64::try_from(ours) == Ok(theirs) {
        true => Ok(()),
        false => Err(ModelError::Disagreement { what, ours, theirs }),
    }
}
