//! JSON, written straight from the row: shortest doubles that read back as the same bits, null where JSON has no number.

use std::io::Write;

use super::{Message, Stamp};
use crate::row::{Cell, Output, RowView};
use crate::schema::iso_ticks;

/// Writes messages of one stream. What is the same in all of them has been written once.
#[derive(Clone, Debug)]
pub struct JsonWriter<'a> {
    outputs: &'a [Output],
    ticks_per_second: i64,
    /// By feature: its name as JSON, and a colon.
    names: Vec<Vec<u8>>,
    /// Members after the event's own, each with a comma before it.
    tail: Vec<u8>,
}

impl<'a> JsonWriter<'a> {
    /// `more` are further members, as JSON without the braces; empty for none.
    pub fn new(outputs: &'a [Output], ticks_per_second: i64, stamp: &Stamp<'_>, more: &str) -> Self {
        let name = |output: &Output| {
            let mut name = Vec::with_capacity(output.name.len() + 3);
            text(&output.name, &mut name);
            name.push(b':');
            name
        };
        let mut tail = Vec::new();
        for (name, version) in [("model", stamp.model), ("definition", stamp.definition)] {
            if let Some(version) = version {
                tail.push(b',');
                text(name, &mut tail);
                tail.push(b':');
                text(version, &mut tail);
            }
        }
        if !more.is_empty() {
            tail.push(b',');
            tail.extend_from_slice(more.as_bytes());
        }
        Self { outputs, ticks_per_second, names: outputs.iter().map(name).collect(), tail }
    }

    /// Appends one message to `out`.
    pub fn write(&self, message: &Message<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Some(id) = message.id {
            out.extend_from_slice(b"\"id\":");
            text(id, out);
            out.push(b',');
        }
        out.extend_from_slice(b"\"features\":");
        self.features(message.row, out);
        if let Some(scores) = message.scores {
            out.extend_from_slice(b",\"score\":");
            match scores {
                [score] => number(*score, out),
                scores => list(scores, out, |score, out| number(*score, out)),
            }
        }
        if let Some(reasons) = message.reasons {
            out.extend_from_slice(b",\"reasons\":");
            list(reasons, out, |(place, contribution), out| {
                out.extend_from_slice(b"{\"feature\":");
                let place = *place as usize;
                text(&self.outputs[place].name, out);
                out.extend_from_slice(b",\"value\":");
                self.value(message.row, place, out);
                out.extend_from_slice(b",\"contribution\":");
                number(*contribution, out);
                out.push(b'}');
            });
        }
        out.extend_from_slice(&self.tail);
        if !message.more.is_empty() {
            out.push(b',');
            out.extend_from_slice(message.more.as_bytes());
        }
        out.push(b'}');
    }

    fn features(&self, row: RowView<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        for (place, name) in self.names.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            self.value(row, place, out);
        }
        out.push(b'}');
    }

    fn value(&self, row: RowView<'_>, place: usize, out: &mut Vec<u8>) {
        let output = &self.outputs[place];
        if !output.list {
            return self.cell(row.cell(place, output), out);
        }
        match row.list(place, output) {
            None => out.extend_from_slice(b"null"),
            Some(cells) => list(cells, out, |cell, out| self.cell(cell, out)),
        }
    }

    #[inline]
    fn cell(&self, cell: Cell<'_>, out: &mut Vec<u8>) {
        match cell {
            Cell::Null => out.extend_from_slice(b"null"),
            Cell::Float(value) => number(value, out),
            Cell::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            Cell::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            // A year beyond 9999 or before 0 has a sign, so nothing in it needs to be escaped.
            Cell::Time(ticks) => {
                let _ = write!(out, "\"{}\"", iso_ticks(ticks, self.ticks_per_second));
            }
            Cell::Text(value) => text(value, out),
        }
    }
}

/// A double: the fewest digits that give its bits back. NaN and the infinities, which JSON does not have, are null.
#[inline]
fn number(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

fn list<T>(values: impl IntoIterator<Item = T>, out: &mut Vec<u8>, mut write: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (place, value) in values.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(value, out);
    }
    out.push(b']');
}

/// A text with its quotes.
fn text(value: &str, out: &mut Vec<u8>) {
    // Writing a text into memory cannot fail.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::FieldKind;
    use crate::row::FeatureRow;

    fn output(name: &str, kind: FieldKind, exact: Option<usize>) -> Output {
        Output { name: name.to_owned(), kind, list: false, categories: vec!["low".to_owned()], exact }
    }

    #[test]
    fn a_message_is_one_object_with_every_type() {
        let outputs = [
            output("x", FieldKind::Float64, None),
            output("n", FieldKind::Int64, Some(0)),
            output("b", FieldKind::Boolean, None),
            output("\"", FieldKind::String, Some(1)),
            output("c", FieldKind::Categorical, None),
            output("t", FieldKind::Timestamp, Some(2)),
            output("nothing", FieldKind::Float64, None),
            output("nan", FieldKind::Float64, None),
        ];
        let mut row = FeatureRow::default();
        row.reset(8, 3);
        row.values[..6].copy_from_slice(&[0.1, 0.0, 1.0, 0.0, 0.0, 0.0]);
        row.exact[0] = i64::MAX;
        row.set_text(3, 1, "a\"\n\u{1}é");
        row.exact[2] = 1_500_000;
        row.values[7] = f64::NAN;
        let stamp = Stamp { model: Some("m"), definition: Some("d") };
        let writer = JsonWriter::new(&outputs, 1_000_000, &stamp, "\"worker\":1");
        let message = Message {
            id: Some("7"),
            row: row.view(),
            scores: Some(&[0.5]),
            reasons: Some(&[(0, -1.25)]),
            more: "\"offset\":3",
        };
        let mut out = Vec::new();
        writer.write(&message, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"id\":\"7\",\"features\":{\"x\":0.1,\"n\":9223372036854775807,\"b\":true,\"\\\"\":\"a\\\"\\n\\u0001é\",\"c\":\"low\",\
             \"t\":\"1970-01-01T00:00:01.5Z\",\"nothing\":null,\"nan\":null},\"score\":0.5,\
             \"reasons\":[{\"feature\":\"x\",\"value\":0.1,\"contribution\":-1.25}],\"model\":\"m\",\"definition\":\"d\",\"worker\":1,\"offset\":3}"
        );
    }

    #[test]
    fn scores_of_several_classes_are_a_list_and_what_was_not_asked_for_is_not_there() {
        let writer = JsonWriter::new(&[], 1_000_000, &Stamp { model: None, definition: Some("d") }, "");
        let row = FeatureRow::default();
        let message =
            Message { id: None, row: row.view(), scores: Some(&[0.25, f64::INFINITY]), reasons: None, more: "" };
        let mut out = Vec::new();
        writer.write(&message, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "{\"features\":{},\"score\":[0.25,null],\"definition\":\"d\"}");
    }
}
