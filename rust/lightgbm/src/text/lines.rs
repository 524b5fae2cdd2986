//! A model text as numbered lines, and how a mistake in one is said.

use crate::error::ModelError;

/// Longer values are cut in an error.
const VALUE_CHARS_MAX: usize = 80;

/// A mistake at a line.
pub(super) fn refuse<T>(line: usize, message: impl Into<String>) -> Result<T, ModelError> {
    Err(ModelError::Text { line, message: message.into() })
}

/// `value` between backticks, cut when long.
pub(super) fn quote(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS_MAX) {
        None => format!("`{value}`"),
        Some((end, _)) => format!("`{}…` ({} bytes)", &value[..end], value.len()),
    }
}

/// Reads a text line by line; a line ends in `\n`, and only there.
pub(super) struct Lines<'a> {
    text: &'a str,
    /// Where the next line begins, in bytes.
    pub(super) at: usize,
    /// Number of the line last read, from 1.
    pub(super) line: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 0 }
    }

    /// The next line without its end. A last line without an end is a text cut short.
    pub(super) fn next(&mut self) -> Result<&'a str, ModelError> {
        let rest = &self.text[self.at..];
        self.line += 1;
        let Some(length) = rest.find('\n') else {
            return refuse(self.line, format!("the text ends in the middle, at {}", quote(rest)));
        };
        self.at += length + 1;
        let line = &rest[..length];
        match line.bytes().find(|byte| matches!(byte, b'\0' | b'\r')) {
            None => Ok(line),
            Some(b'\r') => refuse(
                self.line,
                "lines end in \\r\\n, so that no tree has its size any more: line ends were converted",
            ),
            Some(_) => refuse(self.line, "a byte of value 0 in the text"),
        }
    }

    /// The next line, which must be `wanted`.
    pub(super) fn expect(&mut self, wanted: &str) -> Result<(), ModelError> {
        let found = self.next()?;
        if found == wanted {
            return Ok(());
        }
        let wanted = if wanted.is_empty() { "an empty line".to_owned() } else { quote(wanted) };
        refuse(self.line, format!("{} where {wanted} belongs", quote(found)))
    }
}
