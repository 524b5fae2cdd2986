//! A model beside the engine: rows in the model's order in, ScoreResult and its reasons out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastfeat_engine::definition::FieldKind;
use fastfeat_lightgbm::{Model, ModelError};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyTuple};

use crate::errors;
use crate::layout::Layout;
use crate::row::Row;

/// How many names an error lists.
const LISTED_MAX: usize = 10;

/// `Model::predict` or `Model::predict_raw`.
type Predict = fn(&mut Model, &[f64], &mut [f64]) -> Result<(), ModelError>;

/// A model whose features have been found in the row.
pub struct Scorer {
    /// By feature of the model: its place in the row.
    places: Box<[usize]>,
    classes: usize,
    state: Mutex<State>,
}

struct State {
    model: Model,
    input: Vec<f64>,
    output: Vec<f64>,
}

impl Scorer {
    /// Matches names; says which are missing on either side.
    pub fn new(model: Model, layout: &Layout) -> Result<Self, String> {
        // LightGBM writes the spaces of a name as underscores.
        let place = |name: &str| {
            layout.index_of_name(name).or_else(|| {
                layout
                    .outputs
                    .iter()
                    .position(|output| output.name.contains(' ') && output.name.replace(' ', "_") == *name)
            })
        };
        let found: Vec<Option<usize>> = model.feature_names().iter().map(|name| place(name)).collect();
        // What has no place in a float vector.
        let is_text = |index: usize| layout.outputs[index].kind == FieldKind::String || layout.outputs[index].list;
        let unknown = model.feature_names().iter().zip(&found).filter(|(_, place)| place.is_none_or(is_text));
        let unknown: Vec<&str> = unknown.map(|(name, _)| name.as_str()).collect();
        let unused = layout.outputs.iter().enumerate();
        let unused = unused.filter(|(index, _)| !is_text(*index) && !found.contains(&Some(*index)));
        let unused: Vec<&str> = unused.map(|(_, output)| output.name.as_str()).collect();
        if !unknown.is_empty() || !unused.is_empty() {
            return Err(disagreement(&unknown, &unused));
        }
        let classes = model.classes();
        let places: Box<[usize]> = found.into_iter().flatten().collect();
        let state = State { input: vec![0.0; places.len()], output: vec![0.0; classes], model };
        Ok(Self { places, classes, state: Mutex::new(state) })
    }

    /// Scores a row. The model's answer depends on nothing but the row.
    pub fn score(&self, values: &[f64]) -> Result<Scores, ModelError> {
        self.answer(values, Model::predict)
    }

    /// Numbers in a score.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Most reasons that a score can have.
    pub fn reasons_max(&self) -> usize {
        self.places.len()
    }

    /// Why there are no reasons, where there are none.
    pub fn explains(&self) -> Result<(), ModelError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).model.explains()
    }

    /// Scores a row into `out`, one number a class.
    pub fn score_into(&self, values: &[f64], out: &mut [f64]) -> Result<(), ModelError> {
        let mut state = self.lock(values);
        let State { model, input, .. } = &mut *state;
        model.predict(input, out)
    }

    /// Appends the `count` strongest reasons for the likeliest class.
    pub fn reasons_into(
        &self,
        values: &[f64],
        scores: &[f64],
        count: usize,
        out: &mut Vec<(u32, f64)>,
    ) -> Result<(), ModelError> {
        let all = self.contributions(values)?;
        let class = &all[likeliest(scores) * (self.places.len() + 1)..];
        let mut ranked: Vec<(u32, f64)> =
            self.places.iter().zip(class).map(|(place, contribution)| (*place as u32, *contribution)).collect();
        // In the order of the row first, so that of equal ones the same come out as from a single event.
        ranked.sort_unstable_by_key(|(place, _)| *place);
        ranked.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        out.extend(ranked.into_iter().take(count));
        Ok(())
    }

    fn raw(&self, values: &[f64]) -> Result<Scores, ModelError> {
        self.answer(values, Model::predict_raw)
    }

    fn answer(&self, values: &[f64], predict: Predict) -> Result<Scores, ModelError> {
        let mut state = self.lock(values);
        let State { model, input, output } = &mut *state;
        predict(model, input, output)?;
        Ok(match output.as_slice() {
            [score] => Scores::One(*score),
            scores => Scores::Many(scores.into()),
        })
    }

    /// Classes times (features of the model + 1), the last of each class its base value.
    fn contributions(&self, values: &[f64]) -> Result<Vec<f64>, ModelError> {
        let mut output = vec![0.0; self.classes * (self.places.len() + 1)];
        let mut state = self.lock(values);
        let State { model, input, .. } = &mut *state;
        model.contributions(input, &mut output)?;
        Ok(output)
    }

    /// The model, with the row in its input. Never held while Python code runs.
    fn lock(&self, values: &[f64]) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (input, place) in state.input.iter_mut().zip(&self.places) {
            *input = values[*place];
        }
        state
    }
}

fn disagreement(unknown: &[&str], unused: &[&str]) -> String {
    let list = |names: &[&str]| {
        let shown = names.iter().take(LISTED_MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let more = names.len().saturating_sub(LISTED_MAX);
        if more == 0 { shown } else { format!("{shown} and {more} more") }
    };
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!("the model asks for {}, which are no features of numbers", list(unknown)));
    }
    if !unused.is_empty() {
        parts.push(format!("the model does not know {}", list(unused)));
    }
    format!(
        "the model and the features do not fit: {}; train it on a table of these features, with `feature_name=features.names`",
        parts.join("; ")
    )
}

/// The class of the highest score; of several the first.
fn likeliest(scores: &[f64]) -> usize {
    let highest = |best: usize, class: usize| if scores[class] > scores[best] { class } else { best };
    (1..scores.len()).fold(0, highest)
}

/// One score, or one per class.
pub enum Scores {
    One(f64),
    Many(Box<[f64]>),
}

impl Scores {
    fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::One(score) => Ok(PyFloat::new(py, *score).into_any()),
            Self::Many(scores) => Ok(PyTuple::new(py, scores.iter())?.into_any()),
        }
    }
}

/// The score of one event, its features, and why.
#[pyclass(frozen, module = "fastfeat._core")]
pub struct ScoreResult {
    pub row: Py<Row>,
    pub scores: Scores,
    pub scorer: Arc<Scorer>,
}

impl ScoreResult {
    fn class(&self, class_index: Option<usize>) -> PyResult<usize> {
        match (class_index, &self.scores) {
            (Some(class), _) if class < self.scorer.classes => Ok(class),
            (Some(class), _) => {
                let classes = self.scorer.classes;
                Err(PyIndexError::new_err(format!(
                    "class_index {class}: the model has {classes} classes, counted from 0"
                )))
            }
            (None, Scores::One(_)) => Ok(0),
            (None, Scores::Many(scores)) => Ok(likeliest(scores)),
        }
    }

    /// Contributions of one class by place in the row; None for what is no input of the model.
    fn contributions_by_place(&self, py: Python<'_>, class_index: Option<usize>) -> PyResult<Vec<Option<f64>>> {
        let class = self.class(class_index)?;
        let row = self.row.get();
        let all = self.scorer.contributions(&row.values.values).map_err(|error| errors::model(py, error))?;
        let width = self.scorer.places.len() + 1;
        let mut by_place = vec![None; row.layout.outputs.len()];
        for (place, contribution) in self.scorer.places.iter().zip(&all[class * width..]) {
            by_place[*place] = Some(*contribution);
        }
        Ok(by_place)
    }
}

#[pymethods]
impl ScoreResult {
    /// The model's answer, as `Booster.predict` gives it; one float per class where there are several.
    #[getter]
    fn score<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.scores.object(py)
    }

    /// The answer before the objective's transformation.
    #[getter]
    fn raw_score<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.scorer.raw(&self.row.get().values.values).map_err(|error| errors::model(py, error))?.object(py)
    }

    /// The features that were scored.
    #[getter]
    fn features(&self, py: Python<'_>) -> Py<Row> {
        self.row.clone_ref(py)
    }

    /// What the raw score is without any feature; with all contributions it makes the raw score.
    #[getter]
    fn base_value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let all = self.scorer.contributions(&self.row.get().values.values).map_err(|error| errors::model(py, error))?;
        let bases: Vec<f64> =
            all.chunks_exact(self.scorer.places.len() + 1).filter_map(|class| class.last().copied()).collect();
        match bases.as_slice() {
            [base] => Scores::One(*base),
            bases => Scores::Many(bases.into()),
        }
        .object(py)
    }

    /// What each feature adds to the raw score, in the order of the features. Of several classes: `class_index`, or the likeliest.
    #[pyo3(signature = (class_index=None))]
    fn contributions<'py>(&self, py: Python<'py>, class_index: Option<usize>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        let by_place = self.contributions_by_place(py, class_index)?;
        for (name, contribution) in self.row.get().layout.names(py)?.iter().zip(by_place) {
            if let Some(contribution) = contribution {
                dict.set_item(name, contribution)?;
            }
        }
        Ok(dict)
    }

    /// The `k` features that move the raw score most, up or down, strongest first.
    #[pyo3(signature = (k=3, class_index=None))]
    fn reasons(&self, py: Python<'_>, k: usize, class_index: Option<usize>) -> PyResult<Vec<Reason>> {
        let by_place = self.contributions_by_place(py, class_index)?;
        let mut ranked: Vec<(usize, f64)> =
            by_place.into_iter().enumerate().filter_map(|(place, contribution)| Some((place, contribution?))).collect();
        ranked.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        let row = self.row.get();
        let reason = |(place, contribution): (usize, f64)| {
            let name = row.layout.outputs[place].name.clone();
            let value = row.layout.object(py, &row.values, place)?.unbind();
            Ok(Reason { name, value, contribution })
        };
        ranked.into_iter().take(k).map(reason).collect()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("ScoreResult(score={}, {} features)", self.score(py)?.repr()?, self.row.get().layout.length))
    }
}

/// One feature's share in a score.
#[pyclass(frozen, module = "fastfeat._core")]
pub struct Reason {
    /// Name of the feature.
    #[pyo3(get)]
    name: String,
    /// Its typed value, None for null.
    #[pyo3(get)]
    value: Py<PyAny>,
    /// What it adds to the raw score.
    #[pyo3(get)]
    contribution: f64,
}

#[pymethods]
impl Reason {
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        let (py, other) = (other.py(), other.get());
        Ok(self.name == other.name
            && self.contribution == other.contribution
            && self.value.bind(py).eq(other.value.bind(py))?)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let value = self.value.bind(py).repr()?;
        Ok(format!("Reason({}={value}, {:+.6})", self.name, self.contribution))
    }
}
