//! A column of values of one width, with room for all rows: several threads can fill it, each a slice.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array};
use arrow_buffer::{BooleanBuffer, Buffer};
use arrow_schema::ArrowError;
use fastfeat_engine::definition::FieldKind;
use fastfeat_engine::row::{Output, is_null};

use crate::columns::{codes, nulls, whole};

/// A column of doubles, booleans, whole numbers, times or categories.
pub struct Fixed {
    values: Values,
    /// A bit a row, 0 where the row has a null.
    valid: Vec<u8>,
}

enum Values {
    Float(Vec<f64>),
    /// A bit a row.
    Bool(Vec<u8>),
    Whole(Vec<i64>),
    Code(Vec<i32>),
}

impl Fixed {
    pub fn new(output: &Output, rows: usize) -> Self {
        let values = match output.kind {
            FieldKind::Float64 => Values::Float(vec![0.0; rows]),
            FieldKind::Boolean => Values::Bool(vec![0; rows.div_ceil(8)]),
            FieldKind::Int64 | FieldKind::Timestamp => Values::Whole(vec![0; rows]),
            FieldKind::Categorical => Values::Code(vec![0; rows]),
            FieldKind::String => unreachable!("texts are of many widths"),
        };
        Self { values, valid: vec![u8::MAX; rows.div_ceil(8)] }
    }

    /// Room for so many rows from one on, which is a multiple of 8.
    pub fn slice(&mut self, start: usize, rows: usize) -> Slice<'_> {
        let bytes = start / 8..(start + rows).div_ceil(8);
        let values = match &mut self.values {
            Values::Float(values) => SliceOf::Float(&mut values[start..start + rows]),
            Values::Bool(values) => SliceOf::Bool(&mut values[bytes.clone()]),
            Values::Whole(values) => SliceOf::Whole(&mut values[start..start + rows]),
            Values::Code(values) => SliceOf::Code(&mut values[start..start + rows]),
        };
        Slice { values, valid: &mut self.valid[bytes] }
    }

    /// Its first so many rows.
    pub fn array(self, output: &Output, rows: usize, ticks_per_second: i64) -> Result<ArrayRef, ArrowError> {
        let bits = |bytes: Vec<u8>| BooleanBuffer::new(Buffer::from_vec(bytes), 0, rows);
        let nulls = nulls(bits(self.valid));
        Ok(match self.values {
            Values::Float(mut values) => {
                values.truncate(rows);
                Arc::new(Float64Array::try_new(values.into(), nulls)?)
            }
            Values::Bool(values) => Arc::new(BooleanArray::new(bits(values), nulls)),
            Values::Whole(mut values) => {
                values.truncate(rows);
                whole(values, nulls, output, ticks_per_second)?
            }
            Values::Code(mut values) => {
                values.truncate(rows);
                codes(values, nulls, output)?
            }
        })
    }
}

/// Room for some rows of a column.
pub struct Slice<'a> {
    values: SliceOf<'a>,
    valid: &'a mut [u8],
}

enum SliceOf<'a> {
    Float(&'a mut [f64]),
    Bool(&'a mut [u8]),
    Whole(&'a mut [i64]),
    Code(&'a mut [i32]),
}

impl<'a> Slice<'a> {
    /// Takes the first so many rows off, a multiple of 8 unless they are all that are left.
    pub fn split(&mut self, rows: usize) -> Self {
        let values = match &mut self.values {
            SliceOf::Float(values) => SliceOf::Float(take(values, rows)),
            SliceOf::Bool(values) => SliceOf::Bool(take(values, rows.div_ceil(8))),
            SliceOf::Whole(values) => SliceOf::Whole(take(values, rows)),
            SliceOf::Code(values) => SliceOf::Code(take(values, rows)),
        };
        Self { values, valid: take(&mut self.valid, rows.div_ceil(8)) }
    }

    /// Writes the doubles of some rows, or the exact values that belong to them, from a row on, which is a multiple of 8.
    #[inline]
    pub fn fill(
        &mut self,
        start: usize,
        doubles: impl ExactSizeIterator<Item = f64> + Clone,
        exact: Option<impl Iterator<Item = i64>>,
    ) {
        match (&mut self.values, exact) {
            (SliceOf::Float(values), _) => put(&mut values[start..], doubles.clone()),
            (SliceOf::Bool(values), _) => {
                put_bits(&mut values[start / 8..], doubles.clone().map(|double| double != 0.0))
            }
            (SliceOf::Whole(values), Some(exact)) => put(&mut values[start..], exact),
            (SliceOf::Whole(values), None) => put(&mut values[start..], doubles.clone().map(|double| double as i64)),
            (SliceOf::Code(values), _) => put(&mut values[start..], doubles.clone().map(|double| double as i32)),
        }
        // Without a branch, so that all are looked at in a few registers.
        if doubles.clone().fold(false, |any, double| any | is_null(double)) {
            put_bits(&mut self.valid[start / 8..], doubles.map(|double| !is_null(double)));
        }
    }
}

fn take<'a, T>(slice: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let (first, rest) = std::mem::take(slice).split_at_mut(count);
    *slice = rest;
    first
}

#[inline]
fn put<T>(to: &mut [T], values: impl Iterator<Item = T>) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to = value);
}

fn put_bits(to: &mut [u8], mut bits: impl ExactSizeIterator<Item = bool>) {
    for byte in to {
        if bits.len() == 0 {
            return;
        }
        *byte = bits.by_ref().take(8).enumerate().fold(0, |byte, (place, bit)| byte | u8::from(bit) << place);
    }
}
