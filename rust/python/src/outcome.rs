//! Outcome: what became of a batch of messages, as numpy arrays, and as messages to send on.

use std::sync::Arc;

use fastfeat_engine::output::avro::AvroWriter;
use fastfeat_engine::output::json::JsonWriter;
use fastfeat_engine::output::{Message, Stamp, Writer};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyMapping, PyString, PyType};

use crate::layout::Layout;
use crate::messages::{Refused, Status, Taken};

/// Members of a message that `extra` may not be.
const RESERVED: [&str; 4] = ["id", "features", "score", "reasons"];

/// What became of a batch of messages: one row for each event, in order.
#[pyclass(frozen, module = "fastfeat._core")]
pub struct Outcome {
    layout: Arc<Layout>,
    taken: Taken,
    /// Classes of the model, where scores were asked for.
    classes: Option<usize>,
    reasons: usize,
    model: Option<String>,
    definition: String,
    arrays: Arrays,
}

/// Made when they are asked for.
struct Arrays {
    status: PyOnceLock<Py<PyAny>>,
    message: PyOnceLock<Py<PyAny>>,
    values: PyOnceLock<Py<PyAny>>,
    scores: PyOnceLock<Py<PyAny>>,
    problems: PyOnceLock<Py<PyList>>,
}

impl Arrays {
    fn new() -> Self {
        Self {
            status: PyOnceLock::new(),
            message: PyOnceLock::new(),
            values: PyOnceLock::new(),
            scores: PyOnceLock::new(),
            problems: PyOnceLock::new(),
        }
    }
}

impl Outcome {
    pub fn new(
        layout: Arc<Layout>,
        taken: Taken,
        classes: Option<usize>,
        reasons: usize,
        model: Option<String>,
        definition: String,
    ) -> Self {
        Self { layout, taken, classes, reasons, model, definition, arrays: Arrays::new() }
    }

    fn len(&self) -> usize {
        self.taken.status.len()
    }

    /// What is told of one row.
    fn message<'a>(&'a self, row: usize, id: Option<&'a str>, reasons: bool, more: &'a str) -> Message<'a> {
        let scores = self.classes.map(|classes| &self.taken.scores[row * classes..(row + 1) * classes]);
        let all = &self.taken.reasons[row * self.reasons..(row + 1) * self.reasons];
        // Fewer than were asked for where the model has fewer features.
        let known = all.iter().take_while(|(_, contribution)| !contribution.is_nan()).count();
        Message { id, row: self.taken.rows.view(row), scores, reasons: reasons.then_some(&all[..known]), more }
    }

    /// "json" (which None is too), or an AvroOutput, which says what stands before each record.
    fn writer<'a>(
        &'a self,
        format: Option<&Bound<'_, PyAny>>,
        stamp: &Stamp<'_>,
        extra: &Extra,
    ) -> PyResult<Writer<'a>> {
        let (outputs, ticks_per_second) = (&self.layout.outputs, self.layout.ticks_per_second);
        let json = || Writer::Json(JsonWriter::new(outputs, ticks_per_second, stamp, &extra.all));
        let Some(format) = format else { return Ok(json()) };
        if let Ok(name) = format.cast::<PyString>() {
            return match &*name.to_string_lossy() {
                "json" => Ok(json()),
                name => Err(PyValueError::new_err(format!(
                    "format is `{name}`; write \"json\" or fastfeat.AvroOutput(...)"
                ))),
            };
        }
        let class = format.get_type().name()?;
        if class != "AvroOutput" {
            let message = format!("a format is \"json\" or fastfeat.AvroOutput(...), not {class}");
            return Err(PyTypeError::new_err(message));
        }
        if extra.others {
            let message = "the schema of rows in Avro has no place for `extra` but for `model` and `definition`; write JSON, \
                or send it in the headers of messages";
            return Err(PyValueError::new_err(message));
        }
        let stamp = Stamp {
            model: extra.model.as_deref().or(stamp.model),
            definition: extra.definition.as_deref().or(stamp.definition),
        };
        let prefix: Vec<u8> = format.getattr("prefix")?.extract()?;
        Ok(Writer::Avro(AvroWriter::new(outputs, ticks_per_second, &stamp, prefix)))
    }

    /// The rows that are asked for, counted from the end where negative.
    fn indexes(&self, indexes: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<usize>> {
        let Some(indexes) = indexes else { return Ok((0..self.len()).collect()) };
        let rows = self.len() as isize;
        let index = |index: Bound<'_, PyAny>| {
            let index: isize = index.extract()?;
            let from_start = if index < 0 { index + rows } else { index };
            usize::try_from(from_start)
                .ok()
                .filter(|&index| index < self.len())
                .ok_or_else(|| PyIndexError::new_err(format!("row {index} is outside an outcome of {rows} rows")))
        };
        indexes.try_iter()?.map(|each| index(each?)).collect()
    }
}

#[pymethods]
impl Outcome {
    /// What became of each row: 0 it has a row, 1 accepted and its stream has no features, 2 invalid or not decodable, 3 late,
    /// 4 late with a row, 5 refused by the memory limit.
    #[getter]
    fn status<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let make = || PyArray1::from_iter(py, self.taken.status.iter().map(|status| *status as u8)).into_any().unbind();
        self.arrays.status.get_or_init(py, make).bind(py).clone()
    }

    /// The message, by its place in the batch, that each row came from.
    #[getter(message)]
    fn message_array<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let make = || PyArray1::from_slice(py, &self.taken.message).into_any().unbind();
        self.arrays.message.get_or_init(py, make).bind(py).clone()
    }

    /// The features as float64 by row and feature; NaN where null and where there is no row.
    #[getter]
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let make = || {
            let flat = PyArray1::from_slice(py, self.taken.rows.values());
            Ok::<_, PyErr>(flat.reshape([self.len(), self.layout.outputs.len()])?.into_any().unbind())
        };
        Ok(self.arrays.values.get_or_try_init(py, make)?.bind(py).clone())
    }

    /// The scores as float64 by row, and class where there are several; NaN where there is no row. None without `score=True`.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(classes) = self.classes else { return Ok(None) };
        let make = || {
            let flat = PyArray1::from_slice(py, &self.taken.scores);
            Ok::<_, PyErr>(match classes {
                1 => flat.into_any().unbind(),
                classes => flat.reshape([self.len(), classes])?.into_any().unbind(),
            })
        };
        Ok(Some(self.arrays.scores.get_or_try_init(py, make)?.bind(py).clone()))
    }

    /// Why rows are not there, or have no score, in order.
    #[getter]
    fn problems<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static PROBLEM: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let make = || {
            let class = CLASS.import(py, "fastfeat.errors", "RefusedMessage")?;
            let problem = PROBLEM.import(py, "fastfeat.errors", "Problem")?;
            let list = PyList::empty(py);
            for Refused { index, code, message, problems } in &self.taken.refused {
                let problems = problems
                    .iter()
                    .map(|each| problem.call1((&each.field, &each.value, each.rule, &each.message)))
                    .collect::<PyResult<Vec<_>>>()?;
                list.append(class.call1((*index, *code, message, problems))?)?;
            }
            Ok::<_, PyErr>(list.unbind())
        };
        Ok(self.arrays.problems.get_or_try_init(py, make)?.bind(py).clone())
    }

    /// The typed features of each row by name; None where there is no row.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (row, status) in self.taken.status.iter().enumerate() {
            if !status.has_row() {
                list.append(py.None())?;
                continue;
            }
            let dict = PyDict::new(py);
            for (index, name) in self.layout.names(py)?.iter().enumerate() {
                dict.set_item(name, self.layout.object_in(py, self.taken.rows.view(row), index)?)?;
            }
            list.append(dict)?;
        }
        Ok(list)
    }

    /// The rows as messages: bytes for each that has one, None for the others.
    ///
    /// `indexes` are the rows that are wanted, all by default. `ids` has an id for every row: text, bytes, a whole number or None.
    /// `extra` has further members, as one dict for all rows or a list with a dict or None for every row.
    #[pyo3(signature = (format=None, *, indexes=None, ids=None, extra=None, reasons=false))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        format: Option<&Bound<'py, PyAny>>,
        indexes: Option<&Bound<'py, PyAny>>,
        ids: Option<&Bound<'py, PyAny>>,
        extra: Option<&Bound<'py, PyAny>>,
        reasons: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        if reasons && self.reasons == 0 {
            return Err(PyValueError::new_err("there are no reasons; ask for them with push_messages(reasons=3)"));
        }
        let indexes = self.indexes(indexes)?;
        let ids = ids.map(|ids| Ids::read(ids, self.len())).transpose()?;
        let extra = Extra::read(extra, self.len())?;
        let stamp = Stamp {
            model: self.model.as_deref().filter(|_| extra.model.is_none()),
            definition: extra.definition.is_none().then_some(self.definition.as_str()),
        };
        let writer = self.writer(format, &stamp, &extra)?;
        let (bytes, ends) = py.detach(|| {
            let mut bytes = Vec::with_capacity(indexes.len() * 64);
            let ends: Vec<Option<usize>> = indexes
                .iter()
                .map(|&row| {
                    self.taken.status[row].has_row().then(|| {
                        let id = ids.as_ref().and_then(|ids| ids.0[row].as_deref());
                        let more = extra.rows.get(row).map_or("", String::as_str);
                        writer.write(&self.message(row, id, reasons, more), &mut bytes);
                        bytes.len()
                    })
                })
                .collect();
            (bytes, ends)
        });
        let list = PyList::empty(py);
        let mut start = 0;
        for end in ends {
            match end {
                None => list.append(py.None())?,
                Some(end) => {
                    list.append(PyBytes::new(py, &bytes[start..end]))?;
                    start = end;
                }
            }
        }
        Ok(list)
    }

    fn __len__(&self) -> usize {
        self.len()
    }

    fn __repr__(&self) -> String {
        let rows = self.taken.status.iter().filter(|status| status.has_row()).count();
        let accepted = self.taken.status.iter().filter(|status| **status == Status::Accepted).count();
        let refused = self.len() - rows - accepted;
        format!("<Outcome of {} events: {rows} rows, {accepted} accepted without, {refused} refused>", self.len())
    }
}

/// The id of every row, as text.
struct Ids(Vec<Option<String>>);

impl Ids {
    fn read(ids: &Bound<'_, PyAny>, rows: usize) -> PyResult<Self> {
        let one = |id: Bound<'_, PyAny>| {
            if id.is_none() {
                return Ok(None);
            }
            if let Ok(text) = id.cast::<PyString>() {
                return text.to_str().map(|text| Some(text.to_owned()));
            }
            if let Ok(bytes) = id.cast::<PyBytes>() {
                let text = std::str::from_utf8(bytes.as_bytes()).map_err(|_| {
                    PyValueError::new_err("an id in bytes is not UTF-8; give it as a text, e.g. id.hex()")
                })?;
                return Ok(Some(text.to_owned()));
            }
            if id.cast::<PyInt>().is_ok() {
                return Ok(Some(id.str()?.to_string_lossy().into_owned()));
            }
            let class = id.get_type().name()?;
            Err(PyTypeError::new_err(format!("an id is a text, bytes, a whole number or None, not {class}")))
        };
        let ids = ids.try_iter()?.map(|id| one(id?)).collect::<PyResult<Vec<_>>>()?;
        if ids.len() != rows {
            return Err(PyValueError::new_err(format!("there are {} ids and {rows} rows; give one a row", ids.len())));
        }
        Ok(Self(ids))
    }
}

/// Further members, as JSON without its braces.
#[derive(Default)]
struct Extra {
    all: String,
    /// By row; empty where no row has its own.
    rows: Vec<String>,
    /// The model's version, the definition's, where they say it.
    model: Option<String>,
    definition: Option<String>,
    /// Whether they say anything else.
    others: bool,
}

impl Extra {
    fn read(extra: Option<&Bound<'_, PyAny>>, rows: usize) -> PyResult<Self> {
        let mut found = Self::default();
        let Some(extra) = extra else { return Ok(found) };
        if extra.cast::<PyMapping>().is_ok() {
            found.all = found.members(extra)?;
            return Ok(found);
        }
        for one in extra.try_iter()? {
            let one = one?;
            let members = if one.is_none() { String::new() } else { found.members(&one)? };
            found.rows.push(members);
        }
        if found.rows.len() != rows {
            let given = found.rows.len();
            return Err(PyValueError::new_err(format!(
                "extra has {given} dicts and there are {rows} rows; give one a row, or one dict for all"
            )));
        }
        if found.model.is_some() || found.definition.is_some() {
            return Err(PyValueError::new_err("`model` and `definition` are the same for all rows; give one dict"));
        }
        Ok(found)
    }

    fn members(&mut self, extra: &Bound<'_, PyAny>) -> PyResult<String> {
        let py = extra.py();
        let mapping = extra.cast::<PyMapping>().map_err(|_| PyTypeError::new_err("extra is a dict, or one a row"))?;
        let dict = PyDict::new(py);
        for item in mapping.items()?.iter() {
            let (name, value): (String, Bound<'_, PyAny>) = item.extract()?;
            if RESERVED.contains(&name.as_str()) {
                return Err(PyValueError::new_err(format!(
                    "`{name}` is a member of its own; call that of extra another"
                )));
            }
            match name.as_str() {
                "model" => self.model = Some(version(&name, &value)?),
                "definition" => self.definition = Some(version(&name, &value)?),
                _ => self.others = true,
            }
            dict.set_item(name, value)?;
        }
        let options = PyDict::new(py);
        options.set_item("ensure_ascii", false)?;
        options.set_item("allow_nan", false)?;
        options.set_item("separators", (",", ":"))?;
        let text = py.import("json")?.getattr("dumps")?.call((dict,), Some(&options))?;
        let text = text.cast::<PyString>()?.to_str()?.to_owned();
        Ok(text[1..text.len() - 1].to_owned())
    }
}

fn version(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    value.extract().map_err(|_| PyTypeError::new_err(format!("`{name}` in extra is a version; give a text")))
}
