//! Is this text a whole, undamaged LightGBM model? LightGBM believes what it reads: of 400 mutations of a valid text 331 aborted
//! the process, 10 crashed it and 7 hung. So nothing reaches LightGBM that has not passed here, and every text that LightGBM
//! writes (versions v2, v3, v4) passes.
//!
//! A text is a header of `key=value` lines, trees of the sizes that `tree_sizes` gives, `end of trees`, and a rest that no score
//! depends on (importances, parameters, pandas' categories).

mod lines;
mod number;
mod objective;
mod shape;
mod tree;

use std::collections::HashSet;
use std::ffi::CString;
use std::ops::Range;

use lines::{Lines, quote, refuse};

use crate::error::ModelError;

/// More numbers a row than any model has; a damaged count must not become a huge output.
pub(crate) const CLASSES_MAX: usize = 100_000;

/// A checked text.
#[derive(Debug)]
pub(crate) struct ModelText {
    /// Names of the features, in the order of a row.
    pub(crate) feature_names: Vec<String>,
    /// Numbers a row.
    pub(crate) classes: usize,
    /// Trees of all classes together.
    pub(crate) trees: usize,
    /// The objective with its own numbers; empty when it was the user's own function.
    pub(crate) objective: String,
    /// Some tree has linear leaves.
    pub(crate) linear: bool,
    /// Splits between the root and the deepest leaf of any tree.
    pub(crate) depth: usize,
    /// What LightGBM is given to read.
    ///
    /// Header and trees, without the line `tree_sizes`: LightGBM then reads one tree after the other on this thread, instead of
    /// all in parallel, where whatever it throws ends the process. Without the rest, of which it would only keep a copy.
    pub(crate) loadable: CString,
}

/// The lines a header can have.
const KEYS: [&str; 11] = [
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "average_output",
    "feature_names",
    "monotone_constraints",
    "feature_infos",
    "tree_sizes",
];

/// Checks a text from its first line to its last.
pub(crate) fn check(text: &str) -> Result<ModelText, ModelError> {
    let mut lines = Lines::new(text);
    lines.expect("tree")?;
    let header = Header::read(&mut lines)?;

    let version = match header.need("version")? {
        (_, "v2") => 2,
        (_, "v3") => 3,
        (_, "v4") => 4,
        (line, version) => {
            return refuse(line, format!("version {} of the text is none of v2, v3, v4", quote(version)));
        }
    };
    let classes = header.count("num_class", 1, CLASSES_MAX)?;
    let per_iteration = header.count("num_tree_per_iteration", 1, CLASSES_MAX)?;
    if per_iteration != classes {
        let line = header.need("num_tree_per_iteration")?.0;
        return refuse(line, format!("{per_iteration} trees an iteration where the text has {classes} classes"));
    }
    let (line, label) = header.need("label_index")?;
    if number::integer(label).is_none() {
        return refuse(line, format!("label_index={} is not an integer", quote(label)));
    }
    let features = header.count("max_feature_idx", 0, i32::MAX as usize - 2)? + 1;
    let feature_names = header.list("feature_names", features)?;
    let mut seen = HashSet::new();
    if let Some(name) = feature_names.iter().find(|name| !seen.insert(**name)) {
        return refuse(header.need("feature_names")?.0, format!("two features have the name {}", quote(name)));
    }
    // What the columns held in training; LightGBM would stumble over a second `=` in the line.
    let infos = header.list("feature_infos", features)?;
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"[]:+-.".contains(&byte);
    if let Some(odd) = infos.iter().find(|info| !info.bytes().all(usual)) {
        return refuse(header.need("feature_infos")?.0, format!("{} in `feature_infos`", quote(odd)));
    }
    if let Some((line, _)) = header.value("monotone_constraints") {
        let constraints = header.list("monotone_constraints", features)?;
        if let Some(odd) = constraints.iter().find(|constraint| !["-1", "0", "1"].contains(constraint)) {
            return refuse(line, format!("{} in `monotone_constraints` is none of -1, 0, 1", quote(odd)));
        }
    }
    let objective = header.value("objective");
    if let Some((line, objective)) = objective {
        objective::check(objective, classes).or_else(|message| refuse(line, message))?;
    }

    let (sizes_line, sizes) = header.need("tree_sizes")?;
    let (mut trees, mut linear, mut depth) = (0, false, 0);
    for size in sizes.split(' ').filter(|_| !sizes.is_empty()) {
        let start = lines.at;
        let facts = tree::check(&mut lines, trees, features, version)?;
        if number::integer(size).and_then(|size| usize::try_from(size).ok()) != Some(lines.at - start) {
            let message =
                format!("tree {trees} has {} bytes where `tree_sizes` says {}", lines.at - start, quote(size));
            return refuse(sizes_line, message);
        }
        trees += 1;
        linear |= facts.linear;
        depth = depth.max(facts.depth);
    }
    if trees % classes != 0 {
        return refuse(sizes_line, format!("{trees} trees are not a whole number of iterations of {classes}"));
    }
    lines.expect("end of trees")?;
    let end = lines.at;
    check_rest(&text[end..], lines.line)?;

    Ok(ModelText {
        feature_names: feature_names.into_iter().map(str::to_owned).collect(),
        classes,
        trees,
        objective: objective.map_or("", |(_, objective)| objective).to_owned(),
        linear,
        depth,
        loadable: loadable(&text[..end], &header.sizes),
    })
}

/// `text` without the bytes of the line `tree_sizes`.
fn loadable(text: &str, sizes: &Range<usize>) -> CString {
    let kept = [&text[..sizes.start], &text[sizes.end..]].concat();
    CString::new(kept).expect("`Lines` refuses bytes of value 0")
}

/// Behind the trees only one thing says whether something was cut off: the parameters end where they say so.
fn check_rest(rest: &str, line: usize) -> Result<(), ModelError> {
    // On Windows, Python writes the last line with a line end of its own.
    let whole = |wanted| rest.lines().any(|line| line == wanted);
    if whole("parameters:") && !whole("end of parameters") {
        return refuse(line + rest.lines().count(), "the text ends in the middle of its parameters");
    }
    Ok(())
}

/// The `key=value` lines before the trees, each with the number of its line.
struct Header<'a> {
    values: [Option<(usize, &'a str)>; KEYS.len()],
    /// The bytes of the line `tree_sizes`.
    sizes: Range<usize>,
}

impl<'a> Header<'a> {
    fn read(lines: &mut Lines<'a>) -> Result<Self, ModelError> {
        let mut header = Self { values: [None; KEYS.len()], sizes: 0..0 };
        loop {
            let start = lines.at;
            let line = lines.next()?;
            if line.is_empty() {
                return Ok(header);
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let has_value = line.len() > key.len();
            match KEYS.iter().position(|known| *known == key) {
                // `average_output` is said by being there.
                Some(place) if has_value != (key == "average_output") && header.values[place].is_none() => {
                    header.values[place] = Some((lines.line, value));
                }
                Some(_) => {
                    return refuse(
                        lines.line,
                        format!("{} is not as LightGBM writes it, or is there twice", quote(line)),
                    );
                }
                None => return refuse(lines.line, format!("{} is not a line of a model's header", quote(line))),
            }
            if key == "tree_sizes" {
                header.sizes = start..lines.at;
            }
        }
    }

    fn value(&self, key: &str) -> Option<(usize, &'a str)> {
        KEYS.iter().position(|known| *known == key).and_then(|place| self.values[place])
    }

    fn need(&self, key: &str) -> Result<(usize, &'a str), ModelError> {
        self.value(key).map_or_else(|| refuse(1, format!("the header has no line `{key}=`")), Ok)
    }

    fn count(&self, key: &str, least: usize, most: usize) -> Result<usize, ModelError> {
        let (line, value) = self.need(key)?;
        let count = number::integer(value).and_then(|count| usize::try_from(count).ok());
        match count.filter(|count| (least..=most).contains(count)) {
            Some(count) => Ok(count),
            None => refuse(line, format!("{key}={} is not a number between {least} and {most}", quote(value))),
        }
    }

    /// One word a feature, with one space between.
    fn list(&self, key: &str, features: usize) -> Result<Vec<&'a str>, ModelError> {
        let (line, value) = self.need(key)?;
        let words: Vec<&str> = value.split(' ').collect();
        match words.len() == features && !words.contains(&"") {
            true => Ok(words),
            false => {
                refuse(line, format!("`{key}` has not {features} words, one for each feature up to `max_feature_idx`"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
