//! The rows of a lookup by key, and the builder that reads and checks them.

use std::sync::OnceLock;

use hashbrown::HashTable;

use super::{LookupError, LookupPlan, TableHash};
use crate::definition::FieldKind;
use crate::derive::kind_name;
use crate::error::EventError;
use crate::event::{Event, Text, Value};
use crate::key;
use crate::schema::{Field, Filling};

/// Rows by key.
#[derive(Clone, Debug)]
pub struct LookupTable {
    key: usize,
    ticks_per_second: i64,
    columns: Vec<Column>,
    rows: u32,
    text: String,
    index: HashTable<u32>,
    /// Made when it is first asked for.
    hash: OnceLock<TableHash>,
}

/// One word a row; of a text its place.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: FieldKind,
    words: Vec<u64>,
    /// One bit a row, up to the last null.
    nulls: Vec<u64>,
}

/// Bits of a text's length in the word that says where it lies; the rest is its first byte.
const LENGTH_BITS: u32 = 24;

impl Column {
    fn is_null(&self, row: usize) -> bool {
        self.nulls.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    fn push_null(&mut self) {
        let row = self.words.len();
        self.words.push(0);
        self.nulls.resize((row / 64 + 1).max(self.nulls.len()), 0);
        self.nulls[row / 64] |= 1 << (row % 64);
    }
}

impl LookupTable {
    /// Most rows.
    pub const ROWS_MAX: usize = u32::MAX as usize - 1;

    /// No rows.
    pub fn empty(plan: &LookupPlan) -> Self {
        let column =
            |field: &Field| Column { name: field.name.clone(), kind: field.kind, words: Vec::new(), nulls: Vec::new() };
        Self {
            key: plan.key,
            ticks_per_second: plan.ticks_per_second,
            columns: plan.schema.fields.iter().map(column).collect(),
            rows: 0,
            text: String::new(),
            index: HashTable::new(),
            hash: OnceLock::new(),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows as usize
    }

    /// Hash of its columns and rows: the same for the same rows in the same order, on every machine.
    pub(super) fn hash(&self) -> TableHash {
        *self.hash.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            let mut add = |bytes: &[u8]| {
                hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
            };
            add(&self.ticks_per_second.to_le_bytes());
            add(&(self.key as u64).to_le_bytes());
            for column in &self.columns {
                add(column.name.as_bytes());
                add(kind_name(column.kind).as_bytes());
                for words in [&column.words, &column.nulls] {
                    add(&(words.len() as u64).to_le_bytes());
                    words.iter().for_each(|word| add(&word.to_le_bytes()));
                }
            }
            add(self.text.as_bytes());
            *hasher.finalize().as_bytes()
        })
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        let columns = self.columns.iter().map(|column| (column.words.capacity() + column.nulls.capacity()) * 8);
        size_of::<Self>() + columns.sum::<usize>() + self.text.capacity() + self.index.allocation_size()
    }

    /// The row of a key; null finds none.
    #[inline]
    pub(crate) fn find(&self, key: Value, event: &Event) -> Option<u32> {
        let column = &self.columns[self.key];
        if let Value::Text(text) = key {
            let text = event.text(text);
            let same = |&row: &u32| self.text(column.words[row as usize]) == text;
            return self.index.find(key::hash(text.as_bytes()), same).copied();
        }
        let word = key_word(key, column.kind)?;
        self.index.find(key::hash_word(word), |&row| column.words[row as usize] == word).copied()
    }

    /// The value of a row that was found, its text copied into the event.
    #[inline]
    pub(crate) fn value(&self, row: u32, column: usize, event: &mut Event) -> Value {
        let column = &self.columns[column];
        if column.is_null(row as usize) {
            return Value::Null;
        }
        let word = column.words[row as usize];
        match column.kind {
            FieldKind::Float64 => Value::Float(f64::from_bits(word)),
            FieldKind::Int64 => Value::Int(word as i64),
            FieldKind::Boolean => Value::Bool(word != 0),
            FieldKind::Timestamp => Value::Time(word as i64),
            FieldKind::String | FieldKind::Categorical => Value::Text(event.store(self.text(word))),
        }
    }

    fn text(&self, place: u64) -> &str {
        text_at(&self.text, place)
    }

    /// What is wrong with it as a table of `plan`.
    pub(super) fn misfit(&self, plan: &LookupPlan) -> Option<String> {
        if self.ticks_per_second != plan.ticks_per_second {
            return Some(
                "it was read for a plan that counts time in another unit; read it again for this plan".to_owned(),
            );
        }
        for (index, field) in plan.schema.fields.iter().enumerate() {
            match self.columns.get(index) {
                Some(column) if column.name == field.name && column.kind == field.kind => {}
                Some(column) if column.name == field.name => {
                    let (found, wanted) = (kind_name(column.kind), kind_name(field.kind));
                    return Some(format!(
                        "column `{}` is a {found} and the definition says {wanted}; cast it",
                        field.name
                    ));
                }
                _ => {
                    return Some(format!(
                        "column `{}` is not where the definition has it; read the table for this plan",
                        field.name
                    ));
                }
            }
        }
        if self.columns.len() > plan.schema.fields.len() {
            return Some("it has more columns than the definition; read the table for this plan".to_owned());
        }
        let name = &plan.schema.fields[plan.key].name;
        (self.key != plan.key).then(|| format!("its key is another column than `{name}`; read the table for this plan"))
    }
}

fn text_at(all: &str, place: u64) -> &str {
    let (start, len) = ((place >> LENGTH_BITS) as usize, (place & ((1 << LENGTH_BITS) - 1)) as usize);
    &all[start..start + len]
}

/// Bits under which equal keys are equal; `None` for null. Texts have none.
#[inline]
fn key_word(key: Value, kind: FieldKind) -> Option<u64> {
    match key {
        Value::Float(x) => Some(key::same_float(x)),
        // A whole number that an expression of Float64 yields counts as the double it stands for.
        Value::Int(x) if kind == FieldKind::Float64 => Some(key::same_float(x as f64)),
        Value::Int(x) | Value::Time(x) => Some(x as u64),
        Value::Bool(x) => Some(u64::from(x)),
        Value::Text(_) | Value::Null => None,
    }
}

/// Reads a table, row by row.
#[derive(Debug)]
pub struct LookupBuilder<'a> {
    plan: &'a LookupPlan,
    table: LookupTable,
    event: Event,
    /// Places of the texts there are: each is kept once.
    texts: HashTable<u64>,
}

impl<'a> LookupBuilder<'a> {
    /// For a table of this lookup.
    pub fn new(plan: &'a LookupPlan) -> Self {
        Self { plan, table: LookupTable::empty(plan), event: Event::default(), texts: HashTable::new() }
    }

    /// One row more: `fill` sets every column of the plan's schema.
    ///
    /// # Errors
    /// A value that its column does not take, a column that was not set, a key that is null or there already. The row is counted from 0.
    pub fn push(&mut self, fill: impl FnOnce(&mut Filling<'_, '_>)) -> Result<(), LookupError> {
        let (plan, row) = (self.plan, self.table.rows);
        if self.table.rows() >= LookupTable::ROWS_MAX {
            return plan
                .refuse(format!("it has more than {} rows; leave out what no event asks for", LookupTable::ROWS_MAX));
        }
        let mut filling = plan.schema.begin(&mut self.event);
        fill(&mut filling);
        if let Err(error) = filling.finish() {
            return plan.refuse(format!("row {row}: {}", problems(&error)));
        }
        let absent = |column: &usize| self.event.absent(column / 64) >> (column % 64) & 1 == 1;
        if let Some(column) = (0..plan.schema.fields.len()).find(absent) {
            let name = &plan.schema.fields[column].name;
            return plan.refuse(format!(
                "row {row}: column `{name}` is missing; give every column, null where there is no value"
            ));
        }
        let key = self.event.values[plan.key];
        if let Some(first) = self.table.find(key, &self.event) {
            let shown = match key {
                Value::Text(text) => format!("{:?}", self.event.text(text)),
                Value::Int(x) | Value::Time(x) => x.to_string(),
                Value::Float(x) => x.to_string(),
                Value::Bool(x) => x.to_string(),
                Value::Null => "null".to_owned(),
            };
            let name = &plan.schema.fields[plan.key].name;
            return plan.refuse(format!("row {row}: key `{name}` is {shown} as in row {first}; keep one row a key"));
        }
        for column in 0..self.table.columns.len() {
            let word = match self.event.values[column] {
                Value::Null => {
                    self.table.columns[column].push_null();
                    continue;
                }
                Value::Text(text) => self.place(text),
                Value::Float(x) if column == plan.key => key::same_float(x),
                Value::Float(x) => x.to_bits(),
                Value::Int(x) | Value::Time(x) => x as u64,
                Value::Bool(x) => u64::from(x),
            };
            self.table.columns[column].words.push(word);
        }
        let LookupTable { index, columns, text, rows, .. } = &mut self.table;
        let words = &columns[plan.key].words;
        let textual = plan.key_kind() == FieldKind::String;
        let hash = |row: &u32| {
            let word = words[*row as usize];
            if textual { key::hash(text_at(text, word).as_bytes()) } else { key::hash_word(word) }
        };
        index.insert_unique(hash(rows), *rows, hash);
        *rows += 1;
        Ok(())
    }

    /// The table.
    pub fn finish(mut self) -> LookupTable {
        for column in &mut self.table.columns {
            column.words.shrink_to_fit();
            column.nulls.shrink_to_fit();
        }
        self.table.text.shrink_to_fit();
        self.table
    }

    /// Where a text of the event lies in the table.
    fn place(&mut self, text: Text) -> u64 {
        let text = self.event.text(text);
        let hash = key::hash(text.as_bytes());
        let all = &mut self.table.text;
        if let Some(&place) = self.texts.find(hash, |&place| text_at(all, place) == text) {
            return place;
        }
        // A text has a mebibyte at most.
        let place = (all.len() as u64) << LENGTH_BITS | text.len() as u64;
        all.push_str(text);
        self.texts.insert_unique(hash, place, |&place| key::hash(text_at(all, place).as_bytes()));
        place
    }
}

/// The problems alone: the stream they name is the lookup.
fn problems(error: &EventError) -> String {
    match error {
        EventError::Invalid { problems, .. } => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{LookupColumn, LookupDefinition};
    use crate::schema::Raw;

    const KINDS: [(&str, FieldKind); 5] = [
        ("id", FieldKind::Float64),
        ("name", FieldKind::String),
        ("count", FieldKind::Int64),
        ("open", FieldKind::Boolean),
        ("since", FieldKind::Timestamp),
    ];

    fn plan(key: &str) -> LookupPlan {
        let columns = KINDS.map(|(name, kind)| LookupColumn { name: name.to_owned(), kind }).to_vec();
        LookupPlan::compile(&LookupDefinition { name: "shops".to_owned(), key: key.to_owned(), columns }, 1_000_000)
            .expect("compiles")
    }

    fn push(builder: &mut LookupBuilder<'_>, row: [Raw<'_>; 5]) -> Result<(), LookupError> {
        builder.push(|filling| row.into_iter().enumerate().for_each(|(column, raw)| filling.set(column, raw)))
    }

    fn row(id: f64, name: &str) -> [Raw<'_>; 5] {
        [Raw::Float(id), Raw::Text(name), Raw::Int(7), Raw::Bool(true), Raw::Time(1_999)]
    }

    #[test]
    fn rows_are_found_by_keys_of_every_type() {
        let mut event = Event::default();
        let (a, b) = (Value::Text(event.store("a")), Value::Text(event.store("漢")));
        let nothing = Value::Text(event.store("b"));
        let cases: [(&str, Raw<'_>, Raw<'_>, Value, Value, Value); 5] = [
            ("id", Raw::Float(-0.0), Raw::Float(2.0), Value::Float(0.0), Value::Int(2), Value::Float(0.5)),
            ("name", Raw::Text("a"), Raw::Text("漢"), a, b, nothing),
            ("count", Raw::Int(-1), Raw::Int(i64::MAX), Value::Int(-1), Value::Int(i64::MAX), Value::Int(0)),
            ("open", Raw::Bool(true), Raw::Bool(false), Value::Bool(true), Value::Bool(false), Value::Null),
            ("since", Raw::Int(5), Raw::Time(6_000), Value::Time(5), Value::Time(6), Value::Time(7)),
        ];
        for (key, first, second, find_first, find_second, find_none) in cases {
            let plan = plan(key);
            let mut builder = LookupBuilder::new(&plan);
            for raw in [first, second] {
                let mut row = [Raw::Null; 5];
                row[plan.key] = raw;
                push(&mut builder, row).expect("a good row");
            }
            let table = builder.finish();
            assert_eq!(table.find(find_first, &event), Some(0), "{key}");
            assert_eq!(table.find(find_second, &event), Some(1), "{key}");
            assert_eq!(table.find(find_none, &event), None, "{key}");
            assert_eq!(table.find(Value::Null, &event), None, "{key}");
        }
    }

    #[test]
    fn columns_give_back_what_was_there_and_nulls() {
        let plan = plan("name");
        let mut builder = LookupBuilder::new(&plan);
        for number in 0..1_000 {
            let name = format!("shop {number}");
            let mut row = row(f64::from(number), &name);
            if number % 3 == 1 {
                (row[0], row[2], row[3], row[4]) = (Raw::Null, Raw::Null, Raw::Null, Raw::Null);
            }
            push(&mut builder, row).expect("a good row");
        }
        let table = builder.finish();
        assert_eq!(table.rows(), 1_000);
        assert!(table.bytes() > 1_000 * 5 * 8);
        for number in 0..1_000_u32 {
            let mut event = Event::default();
            let key = Value::Text(event.store(&format!("shop {number}")));
            let row = table.find(key, &event).expect("is there");
            let values: Vec<Value> = [0, 2, 3, 4].map(|column| table.value(row, column, &mut event)).to_vec();
            let whole = [Value::Float(f64::from(number)), Value::Int(7), Value::Bool(true), Value::Time(1)];
            assert_eq!(values, if number % 3 == 1 { vec![Value::Null; 4] } else { whole.to_vec() });
            let Value::Text(name) = table.value(row, 1, &mut event) else { panic!("a text") };
            assert_eq!(event.text(name), format!("shop {number}"));
        }
    }

    #[test]
    fn a_text_that_many_rows_have_is_kept_once() {
        let plan = plan("id");
        let mut builder = LookupBuilder::new(&plan);
        for number in 0..100 {
            push(&mut builder, row(f64::from(number), "the same for all")).expect("a good row");
        }
        assert_eq!(builder.finish().text, "the same for all");
    }

    #[test]
    fn rows_that_do_not_fit_are_refused_by_number_and_name() {
        let plan = plan("name");
        let mut builder = LookupBuilder::new(&plan);
        push(&mut builder, row(1.0, "a")).expect("a good row");
        let mut refused = |row: [Raw<'_>; 5], parts: [&str; 2]| {
            let message = push(&mut builder, row).expect_err("is refused").to_string();
            assert!(message.starts_with("lookup `shops`: row 1: "), "{message}");
            parts.into_iter().for_each(|part| assert!(message.contains(part), "{message}"));
        };
        refused(row(2.0, "a"), ["key `name` is \"a\" as in row 0", "keep one row a key"]);
        refused([Raw::Float(1.0), Raw::Null, Raw::Null, Raw::Null, Raw::Null], ["`name` is null", ""]);
        refused([Raw::Text("x"), Raw::Text("b"), Raw::Null, Raw::Null, Raw::Null], ["`id`", "Float64"]);
        let message = builder.push(|filling| filling.set(1, Raw::Text("b"))).expect_err("is refused").to_string();
        assert!(message.contains("column `id` is missing"), "{message}");
        assert_eq!(builder.finish().rows(), 1);
    }
}
