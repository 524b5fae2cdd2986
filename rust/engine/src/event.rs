//! One validated row: values by column index. Names end in `schema/`.

/// A value of an event, or of an expression over it. Small and `Copy`: text lies in the event's buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// Double.
    Float(f64),
    /// Whole number, or the code of a categorical.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Instant in the plan's ticks since 1970-01-01T00:00:00Z.
    Time(i64),
    /// Text in [`Event::text`].
    Text(Text),
}

/// Where a text lies in its event's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// First byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

/// One row of a stream. Reused between events: in steady state filling it allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// By column index of the stream's schema.
    pub values: Vec<Value>,
    text: String,
    /// One bit a column: whether a field of this event has been given.
    given: Vec<u64>,
    /// Where a codec unescapes texts; kept so that the next event finds it grown.
    pub(crate) scratch: Vec<u8>,
}

impl Event {
    /// Forgets the last event: `columns` nulls, no text.
    pub fn reset(&mut self, columns: usize) {
        self.values.clear();
        self.values.resize(columns, Value::Null);
        self.given.clear();
        self.given.resize(columns.div_ceil(64), 0);
        self.text.clear();
    }

    /// Copies a text into the buffer.
    pub fn store(&mut self, text: &str) -> Text {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Text { start, len: text.len() as u32 }
    }

    /// The text behind a handle that this event's `store` returned.
    pub fn text(&self, text: Text) -> &str {
        &self.text[text.start as usize..(text.start + text.len) as usize]
    }

    /// All texts, where the values' handles find them.
    pub(crate) fn texts(&self) -> &str {
        &self.text
    }

    /// Becomes an event whose texts these are, of nulls for now.
    pub(crate) fn resume(&mut self, values: usize, texts: &str) {
        self.values.clear();
        self.values.resize(values, Value::Null);
        self.text.clear();
        self.text.push_str(texts);
    }

    /// Copies a text of the buffer in Unicode lower case.
    pub(crate) fn store_lower(&mut self, text: Text) -> Text {
        let (from, end) = (text.start as usize, (text.start + text.len) as usize);
        let start = self.text.len();
        if self.text[from..end].is_ascii() {
            self.text.extend_from_within(from..end);
            self.text[start..].make_ascii_lowercase();
        } else if self.text[from..end].contains('Σ') {
            // The one letter whose lower case depends on its neighbours; rare enough for an allocation.
            let lower = self.text[from..end].to_lowercase();
            self.text.push_str(&lower);
        } else {
            let mut at = from;
            while let Some(letter) = self.text[at..end].chars().next() {
                self.text.extend(letter.to_lowercase());
                at += letter.len_utf8();
            }
        }
        Text { start: start as u32, len: (self.text.len() - start) as u32 }
    }

    /// Remembers that a field has been given.
    #[inline]
    pub(crate) fn give(&mut self, column: usize) {
        self.given[column / 64] |= 1 << (column % 64);
    }

    /// Takes that back.
    #[inline]
    pub(crate) fn take_back(&mut self, column: usize) {
        self.given[column / 64] &= !(1 << (column % 64));
        self.values[column] = Value::Null;
    }

    /// Whether a field has been given.
    #[inline]
    pub(crate) fn is_given(&self, column: usize) -> bool {
        self.given[column / 64] >> (column % 64) & 1 == 1
    }

    /// The columns 64 * word .. 64 * word + 64 that have not been given, one bit each.
    #[inline]
    pub(crate) fn absent(&self, word: usize) -> u64 {
        let columns = self.values.len() - word * 64;
        let all = if columns >= 64 { u64::MAX } else { (1 << columns) - 1 };
        all & !self.given[word]
    }
}
