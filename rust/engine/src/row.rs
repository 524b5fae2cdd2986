//! The finished row: one double per feature, reused between events.

use crate::definition::FieldKind;

/// What a null is in memory: a quiet NaN with payload 1954. Computed NaNs are canonical, so the two never meet.
pub const NULL: f64 = f64::from_bits(0x7FF8_0000_0000_07A2);

/// Whether a stored double is the null, not just a NaN.
#[inline]
pub fn is_null(value: f64) -> bool {
    value.to_bits() == NULL.to_bits()
}

/// A computed double as it is stored: every NaN becomes the canonical one.
#[inline]
pub fn canonical(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

/// One column of the row.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Name of the feature.
    pub name: String,
    /// Its type; of a list that of its elements.
    pub kind: FieldKind,
    /// Whether it is several values.
    pub list: bool,
    /// Categories in code order, for a categorical.
    pub categories: Vec<String>,
    /// Where `FeatureRow::exact` holds what a double cannot: an Int64 beyond 2^53, a timestamp's ticks, a text.
    pub exact: Option<usize>,
}

/// Values of one row, in the order of the outputs of its stream.
#[derive(Clone, Debug, Default)]
pub struct FeatureRow {
    /// One double per feature: the number, 0 or 1, the code of a categorical, [`NULL`]; a text is NaN here.
    pub values: Vec<f64>,
    /// By `Output::exact`: the whole number, the ticks, or a packed place in `text`, of a list in what follows here. Means nothing where
    /// the value is null. Behind those of the outputs lie the elements of lists as 64 bits, of a text its packed place in `text`.
    pub exact: Vec<i64>,
    text: String,
}

/// One value of a row, with its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// Double.
    Float(f64),
    /// Whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Ticks since 1970.
    Time(i64),
    /// Text, also that of a categorical.
    Text(&'a str),
}

impl FeatureRow {
    /// Sizes the row for `outputs` features, `exact` of which need a whole number beside the double.
    pub fn reset(&mut self, outputs: usize, exact: usize) {
        self.values.clear();
        self.values.resize(outputs, NULL);
        self.exact.clear();
        self.exact.resize(exact, 0);
        self.text.clear();
    }

    /// As `reset`, with the doubles there are.
    #[inline]
    pub(crate) fn begin(&mut self, values: &[f64], exact: usize) {
        self.values.clear();
        self.values.extend_from_slice(values);
        self.exact.clear();
        self.exact.resize(exact, 0);
        self.text.clear();
    }

    /// Copies the elements of a list into the row; of none the row has a null.
    pub(crate) fn set_list<'t>(
        &mut self,
        feature: usize,
        exact: usize,
        kind: FieldKind,
        elements: &[u64],
        text: impl Fn(u32) -> &'t str,
    ) {
        self.values[feature] = if elements.is_empty() { NULL } else { f64::NAN };
        self.exact[exact] = ((self.exact.len() as i64) << 32) | elements.len() as i64;
        for &element in elements {
            let element = if kind == FieldKind::String { self.keep(text(element as u32)) } else { element as i64 };
            self.exact.push(element);
        }
    }

    /// Makes a feature an empty list, for `push_element` to fill.
    pub fn begin_list(&mut self, feature: usize, exact: usize) {
        self.values[feature] = f64::NAN;
        self.exact[exact] = (self.exact.len() as i64) << 32;
    }

    /// Appends to the list that was begun last; false when it is of another type, or of no category.
    pub fn push_element(&mut self, exact: usize, output: &Output, element: Cell<'_>) -> bool {
        let element = match (output.kind, element) {
            (FieldKind::Float64, Cell::Float(value)) => value.to_bits() as i64,
            (FieldKind::Int64, Cell::Int(value)) | (FieldKind::Timestamp, Cell::Time(value)) => value,
            (FieldKind::Boolean, Cell::Bool(value)) => i64::from(value),
            (FieldKind::String, Cell::Text(text)) => self.keep(text),
            (FieldKind::Categorical, Cell::Text(text)) => {
                match output.categories.iter().position(|category| category == text) {
                    Some(code) => code as i64,
                    None => return false,
                }
            }
            _ => return false,
        };
        self.exact.push(element);
        self.exact[exact] += 1;
        true
    }

    /// Appends a text; its packed place.
    fn keep(&mut self, text: &str) -> i64 {
        let place = ((self.text.len() as i64) << 32) | text.len() as i64;
        self.text.push_str(text);
        place
    }

    /// Copies a text into the row and puts its place into an exact slot; the double becomes NaN.
    pub fn set_text(&mut self, feature: usize, exact: usize, text: &str) {
        self.values[feature] = f64::NAN;
        self.exact[exact] = self.keep(text);
    }

    /// The same, to be read.
    #[inline]
    pub fn view(&self) -> RowView<'_> {
        RowView { values: &self.values, exact: &self.exact, text: &self.text }
    }

    /// The typed value of feature `index`, described by `output`.
    pub fn cell<'a>(&'a self, index: usize, output: &'a Output) -> Cell<'a> {
        self.view().cell(index, output)
    }

    /// The elements of a list, none for a null.
    pub fn list<'a>(&'a self, index: usize, output: &'a Output) -> Option<impl ExactSizeIterator<Item = Cell<'a>>> {
        self.view().list(index, output)
    }
}

/// A row to be read, wherever it lies.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> {
    /// As in [`FeatureRow`].
    pub values: &'a [f64],
    exact: &'a [i64],
    text: &'a str,
}

impl<'a> RowView<'a> {
    /// The typed value of feature `index`, described by `output`.
    pub fn cell(self, index: usize, output: &'a Output) -> Cell<'a> {
        let value = self.values[index];
        if is_null(value) {
            return Cell::Null;
        }
        match (output.kind, output.exact) {
            (FieldKind::Float64, _) => Cell::Float(value),
            (FieldKind::Boolean, _) => Cell::Bool(value != 0.0),
            (FieldKind::Int64, None) => Cell::Int(value as i64),
            (FieldKind::Int64, Some(slot)) => Cell::Int(self.exact[slot]),
            (FieldKind::Timestamp, Some(slot)) => Cell::Time(self.exact[slot]),
            (FieldKind::Timestamp, None) => Cell::Time(value as i64),
            (FieldKind::Categorical, _) => Cell::Text(&output.categories[value as usize]),
            (FieldKind::String, slot) => {
                let (start, len) = unpack(self.exact[slot.expect("a text feature has an exact slot")]);
                Cell::Text(&self.text[start..start + len])
            }
        }
    }

    /// The elements of a list, none for a null.
    pub fn list(self, index: usize, output: &'a Output) -> Option<impl ExactSizeIterator<Item = Cell<'a>>> {
        if is_null(self.values[index]) {
            return None;
        }
        let (start, len) = unpack(self.exact[output.exact.expect("a list has an exact slot")]);
        Some(self.exact[start..start + len].iter().map(|&element| match output.kind {
            FieldKind::Float64 => Cell::Float(f64::from_bits(element as u64)),
            FieldKind::Int64 => Cell::Int(element),
            FieldKind::Timestamp => Cell::Time(element),
            FieldKind::Boolean => Cell::Bool(element != 0),
            FieldKind::Categorical => Cell::Text(&output.categories[element as usize]),
            FieldKind::String => {
                let (start, len) = unpack(element);
                Cell::Text(&self.text[start..start + len])
            }
        }))
    }
}

/// Start and length of a packed place.
fn unpack(place: i64) -> (usize, usize) {
    ((place >> 32) as usize, (place & 0xFFFF_FFFF) as usize)
}

/// Many rows, one after the other in the same memory.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    width: usize,
    values: Vec<f64>,
    exact: Vec<i64>,
    text: String,
    /// Where the exact values and the texts of each row end, if rows have any.
    ends: Vec<(usize, usize)>,
    has_exact: bool,
}

impl Rows {
    /// Room for `rows` rows of `outputs` features, `exact` of which need more than the double.
    pub fn new(outputs: usize, exact: usize, rows: usize) -> Self {
        let ends = Vec::with_capacity(if exact > 0 { rows } else { 0 });
        let values = Vec::with_capacity(outputs * rows);
        Self { width: outputs, values, exact: Vec::new(), text: String::new(), ends, has_exact: exact > 0 }
    }

    /// Appends a copy of a row.
    #[inline]
    pub fn push(&mut self, row: &FeatureRow) {
        debug_assert_eq!(row.values.len(), self.width);
        self.values.extend_from_slice(&row.values);
        if self.has_exact {
            self.exact.extend_from_slice(&row.exact);
            self.text.push_str(&row.text);
            self.ends.push((self.exact.len(), self.text.len()));
        }
    }

    /// Appends a row of nulls.
    pub fn push_null(&mut self) {
        self.values.resize(self.values.len() + self.width, NULL);
        if self.has_exact {
            self.ends.push((self.exact.len(), self.text.len()));
        }
    }

    /// Every row's doubles.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One row, counted from 0.
    pub fn view(&self, row: usize) -> RowView<'_> {
        let values = &self.values[row * self.width..(row + 1) * self.width];
        if !self.has_exact {
            return RowView { values, exact: &[], text: "" };
        }
        let start = row.checked_sub(1).map_or((0, 0), |before| self.ends[before]);
        let end = self.ends[row];
        RowView { values, exact: &self.exact[start.0..end.0], text: &self.text[start.1..end.1] }
    }
}
