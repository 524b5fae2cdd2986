//! Avro, written straight from the row in the layout of `fastfeat.avro_schema`, field by field in its order.
//!
//! Every field of it that may be nothing is a union whose first branch is null; its second one is the value.

use super::{Message, Stamp};
use crate::row::{Cell, Output, RowView};
use crate::schema::iso_ticks;

/// Places of the branches of a reason's value, behind null.
const DOUBLE: i64 = 1;
const LONG: i64 = 2;
const BOOLEAN: i64 = 3;
const STRING: i64 = 4;

/// Writes messages of one stream.
#[derive(Clone, Debug)]
pub struct AvroWriter<'a> {
    outputs: &'a [Output],
    ticks_per_second: i64,
    /// What stands before each record.
    prefix: Vec<u8>,
    /// The last fields, which are the same in all of them.
    tail: Vec<u8>,
}

impl<'a> AvroWriter<'a> {
    /// `prefix` stands before each record, such as the 0 and the schema id of a registry.
    pub fn new(outputs: &'a [Output], ticks_per_second: i64, stamp: &Stamp<'_>, prefix: Vec<u8>) -> Self {
        let mut tail = Vec::new();
        optional(stamp.model, &mut tail, text);
        optional(stamp.definition, &mut tail, text);
        Self { outputs, ticks_per_second, prefix, tail }
    }

    /// Appends one message to `out`.
    pub fn write(&self, message: &Message<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        optional(message.id, out, text);
        for place in 0..self.outputs.len() {
            self.feature(message.row, place, out);
        }
        match message.scores {
            None => long(0, out),
            Some([score]) => {
                long(1, out);
                double(*score, out);
            }
            Some(scores) => {
                long(2, out);
                list(scores, out, |score, out| double(*score, out));
            }
        }
        list(message.reasons.unwrap_or_default(), out, |(place, contribution), out| {
            let place = *place as usize;
            text(&self.outputs[place].name, out);
            self.reason(message.row, place, out);
            double(*contribution, out);
        });
        out.extend_from_slice(&self.tail);
    }

    fn feature(&self, row: RowView<'_>, place: usize, out: &mut Vec<u8>) {
        let output = &self.outputs[place];
        if output.list {
            let cells = row.list(place, output);
            return optional(cells, out, |cells, out| list(cells, out, cell));
        }
        match row.cell(place, output) {
            Cell::Null => long(0, out),
            value => {
                long(1, out);
                cell(value, out);
            }
        }
    }

    /// The value of a feature of any type.
    fn reason(&self, row: RowView<'_>, place: usize, out: &mut Vec<u8>) {
        let value = row.cell(place, &self.outputs[place]);
        let branch = match value {
            Cell::Null => 0,
            Cell::Float(_) => DOUBLE,
            Cell::Int(_) => LONG,
            Cell::Bool(_) => BOOLEAN,
            Cell::Time(_) | Cell::Text(_) => STRING,
        };
        long(branch, out);
        match value {
            Cell::Time(ticks) => text(&iso_ticks(ticks, self.ticks_per_second), out),
            value => cell(value, out),
        }
    }
}

fn cell(value: Cell<'_>, out: &mut Vec<u8>) {
    match value {
        Cell::Null => {}
        Cell::Float(value) => double(value, out),
        Cell::Int(value) | Cell::Time(value) => long(value, out),
        Cell::Bool(value) => out.push(u8::from(value)),
        Cell::Text(value) => text(value, out),
    }
}

fn optional<T>(value: Option<T>, out: &mut Vec<u8>, write: impl FnOnce(T, &mut Vec<u8>)) {
    long(i64::from(value.is_some()), out);
    if let Some(value) = value {
        write(value, out);
    }
}

/// One block of all, and the end.
fn list<T>(
    values: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    out: &mut Vec<u8>,
    write: impl Fn(T, &mut Vec<u8>),
) {
    let values = values.into_iter();
    if values.len() > 0 {
        long(values.len() as i64, out);
        values.for_each(|value| write(value, out));
    }
    long(0, out);
}

fn double(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn text(value: &str, out: &mut Vec<u8>) {
    long(value.len() as i64, out);
    out.extend_from_slice(value.as_bytes());
}

/// A whole number: the sign in the lowest bit, seven bits a byte, the lowest first.
#[inline]
pub(super) fn long(value: i64, out: &mut Vec<u8>) {
    let mut bits = (value << 1 ^ value >> 63) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::FieldKind;
    use crate::row::FeatureRow;

    #[test]
    fn a_message_is_its_fields_in_order() {
        let outputs = [
            Output { name: "n".to_owned(), kind: FieldKind::Int64, list: false, categories: vec![], exact: None },
            Output { name: "x".to_owned(), kind: FieldKind::Float64, list: false, categories: vec![], exact: None },
        ];
        let mut row = FeatureRow::default();
        row.reset(2, 0);
        row.values[0] = -65.0;
        let stamp = Stamp { model: None, definition: Some("d") };
        let writer = AvroWriter::new(&outputs, 1_000_000, &stamp, vec![9]);
        let reasons = Some(&[(0, 0.5)][..]);
        let message = Message { id: Some("i"), row: row.view(), scores: Some(&[1.0]), reasons, more: "" };
        let mut out = Vec::new();
        writer.write(&message, &mut out);
        let one = 1.0_f64.to_le_bytes();
        let half = 0.5_f64.to_le_bytes();
        let expected: Vec<u8> =
            [&[9, 2, 2, b'i', 2, 0x81, 1, 0, 2][..], &one, &[2, 2, b'n', 4, 0x81, 1], &half, &[0, 0, 2, 2, b'd']]
                .concat();
        assert_eq!(out, expected);
    }

    #[test]
    fn the_ends_of_whole_numbers_fit() {
        for (value, bytes) in [(0, 1), (-64, 1), (64, 2), (i64::MAX, 10), (i64::MIN, 10)] {
            let mut out = Vec::new();
            long(value, &mut out);
            assert_eq!(out.len(), bytes, "{value}");
        }
    }
}
