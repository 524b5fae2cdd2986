//! One tree of a model text: every list as long as the tree has leaves or splits, every index inside, every leaf reached once.
//! What is checked here is what LightGBM follows without looking when it scores.

use super::lines::{Lines, quote, refuse};
use super::number;
use super::shape;
use crate::error::ModelError;

/// What a model has to know about its trees.
pub(super) struct Facts {
    /// Its leaves are linear models: LightGBM has no contributions for these.
    pub(super) linear: bool,
    /// Splits between the root and the deepest leaf.
    pub(super) depth: usize,
}

/// Every line a tree can have, in LightGBM's order. Its reader stops after 22 lines: there are no more.
const KEYS: [&str; 22] = [
    "num_leaves",
    "num_cat",
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
    "cat_boundaries",
    "cat_threshold",
    "is_linear",
    "leaf_const",
    "num_features",
    "leaf_features",
    "leaf_coeff",
    "shrinkage",
];
/// Lines that come with categorical splits, and only then.
const CATEGORICAL: [&str; 2] = ["cat_boundaries", "cat_threshold"];
/// Lines that come with linear leaves, and only then.
const LINEAR: [&str; 4] = ["leaf_const", "num_features", "leaf_features", "leaf_coeff"];
/// Lines that versions before v4 may lack.
const LATE: [&str; 3] = ["leaf_weight", "internal_weight", "is_linear"];

/// Bit of a decision type: the split is on categories.
const DECISION_CATEGORICAL: i32 = 1;
/// Bits of a decision type: 0, 1 and 2 say what counts as missing; 3 says nothing.
const DECISION_MISSING_NEVER: i32 = 3;

/// Reads the tree that begins at the next line and ends with two empty ones.
pub(super) fn check(lines: &mut Lines<'_>, index: usize, features: usize, version: u32) -> Result<Facts, ModelError> {
    lines.expect(&format!("Tree={index}"))?;
    let fields = Fields::read(lines)?;
    for key in KEYS.iter().filter(|key| !CATEGORICAL.contains(key) && !LINEAR.contains(key)) {
        if version >= 4 || !LATE.contains(key) {
            fields.need(key)?;
        }
    }

    let leaves = fields.integer("num_leaves", |leaves| leaves >= 1, "a number of leaves, 1 or more")?;
    let splits = leaves - 1;
    let feature =
        |token: &str| number::integer(token).filter(|feature| (0..features as i64).contains(&i64::from(*feature)));
    fields.list("split_feature", splits, feature, "a feature's index")?;
    // Between missing and everything else, LightGBM itself writes a threshold of infinity.
    let threshold = |token: &str| number::any(token).filter(|threshold| !threshold.is_nan());
    let thresholds = fields.list("threshold", splits, threshold, "a number")?;
    let decisions = fields.list("decision_type", splits, decision, "a decision type")?;
    let left = fields.list("left_child", splits, number::integer, "an integer")?;
    let right = fields.list("right_child", splits, number::integer, "an integer")?;
    fields.list("leaf_value", leaves, number::finite, "a finite number")?;
    fields.list("split_gain", splits, number::any, "a number")?;
    fields.list("internal_value", splits, number::any, "a number")?;
    fields.list("internal_count", splits, number::integer, "an integer")?;
    fields.list("shrinkage", 1, number::any, "a number")?;
    // A tree that is one constant has these or leaves them empty, by version.
    let constant = |key| leaves == 1 && fields.value(key).is_none_or(|(_, value)| value.is_empty());
    if !constant("leaf_count") {
        fields.list("leaf_count", leaves, number::integer, "an integer")?;
    }
    if fields.value("leaf_weight").is_some() && !constant("leaf_weight") {
        fields.list("leaf_weight", leaves, number::any, "a number")?;
    }
    if fields.value("internal_weight").is_some() {
        fields.list("internal_weight", splits, number::any, "a number")?;
    }

    check_categories(&fields, &decisions, &thresholds)?;
    let linear = check_linear(&fields, leaves, feature)?;
    let depth = shape::depth(&left, &right).or_else(|message| refuse(fields.need("left_child")?.0, message))?;
    Ok(Facts { linear, depth })
}

/// The decision types that LightGBM writes: where missing goes and what is missing; a split on categories has no default side.
fn decision(token: &str) -> Option<i32> {
    let decision = number::integer(token)?;
    let known = (0..=11).contains(&decision) && decision >> 2 != DECISION_MISSING_NEVER;
    (known && decision & 3 != 3).then_some(decision)
}

/// The threshold of a split on categories is the number of its bit set; the bit sets lie one behind the other in `cat_threshold`.
fn check_categories(fields: &Fields<'_>, decisions: &[i32], thresholds: &[f64]) -> Result<(), ModelError> {
    let sets = fields.integer("num_cat", |sets| sets >= 0, "a number of splits on categories")?;
    let mut used = vec![false; sets.min(decisions.len())];
    for (&decision, &threshold) in decisions.iter().zip(thresholds) {
        if decision & DECISION_CATEGORICAL == 0 {
            continue;
        }
        // A bit set for each split on categories, and a split for each bit set.
        let set = threshold as usize;
        match used.get_mut(set) {
            Some(used) if set as f64 == threshold && !*used => *used = true,
            _ => {
                return refuse(
                    fields.need("threshold")?.0,
                    format!("{threshold} is not one of {sets} sets of categories, or is used twice"),
                );
            }
        }
    }
    let splits = decisions.iter().filter(|&decision| decision & DECISION_CATEGORICAL != 0).count();
    if splits != sets {
        return refuse(
            fields.need("num_cat")?.0,
            format!("num_cat={sets} where `decision_type` has {splits} splits on categories"),
        );
    }
    if sets == 0 {
        return fields.refuse_any(&CATEGORICAL, "num_cat=0");
    }
    let words = fields.need("cat_threshold")?.1.split(' ').count();
    let bounds = fields.list("cat_boundaries", sets + 1, number::integer, "an integer")?;
    let rising = bounds.windows(2).all(|pair| pair[0] <= pair[1]);
    if bounds[0] != 0 || !rising || usize::try_from(bounds[sets]) != Ok(words) {
        let line = fields.need("cat_boundaries")?.0;
        return refuse(line, format!("cat_boundaries do not rise from 0 to the {words} words of `cat_threshold`"));
    }
    fields.list("cat_threshold", words, number::word, "a word of 32 bits")?;
    Ok(())
}

/// A linear leaf names its features and has a coefficient for each.
fn check_linear(fields: &Fields<'_>, leaves: usize, feature: impl Fn(&str) -> Option<i32>) -> Result<bool, ModelError> {
    let linear = match fields.value("is_linear") {
        None => false,
        Some(_) => fields.integer("is_linear", |linear| linear == 0 || linear == 1, "0 or 1")? == 1,
    };
    if !linear {
        fields.refuse_any(&LINEAR, "is_linear=0")?;
        return Ok(false);
    }
    fields.list("leaf_const", leaves, number::finite, "a finite number")?;
    let natural = |token: &str| number::integer(token).and_then(|count| usize::try_from(count).ok());
    let counts = fields.list("num_features", leaves, natural, "a number of features")?;
    let total = counts.iter().sum();
    // Leaves are set apart by further spaces, which LightGBM skips.
    fields.spaced_list("leaf_features", total, feature, "a feature's index")?;
    fields.spaced_list("leaf_coeff", total, number::finite, "a finite number")?;
    Ok(true)
}

/// The `key=value` lines of a tree, each with the number of its line.
struct Fields<'a> {
    line: usize,
    values: [Option<(usize, &'a str)>; KEYS.len()],
}

impl<'a> Fields<'a> {
    /// Reads up to the two empty lines behind a tree.
    fn read(lines: &mut Lines<'a>) -> Result<Self, ModelError> {
        let mut fields = Self { line: lines.line, values: [None; KEYS.len()] };
        loop {
            let line = lines.next()?;
            if line.is_empty() {
                lines.expect("")?;
                return Ok(fields);
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            match KEYS.iter().position(|known| *known == key) {
                Some(place) if line.len() > key.len() && fields.values[place].is_none() => {
                    fields.values[place] = Some((lines.line, value));
                }
                Some(_) => return refuse(lines.line, format!("{} has no value, or one already", quote(key))),
                None => return refuse(lines.line, format!("{} is not a line of a tree", quote(line))),
            }
        }
    }

    fn value(&self, key: &str) -> Option<(usize, &'a str)> {
        KEYS.iter().position(|known| *known == key).and_then(|place| self.values[place])
    }

    fn need(&self, key: &str) -> Result<(usize, &'a str), ModelError> {
        self.value(key).map_or_else(|| refuse(self.line, format!("the tree has no line `{key}=`")), Ok)
    }

    fn refuse_any(&self, keys: &[&str], reason: &str) -> Result<(), ModelError> {
        match keys.iter().find_map(|key| self.value(key).map(|(line, _)| (line, key))) {
            None => Ok(()),
            Some((line, key)) => refuse(line, format!("`{key}` does not go with {reason}")),
        }
    }

    fn integer(&self, key: &str, fits: impl Fn(i32) -> bool, rule: &str) -> Result<usize, ModelError> {
        let (line, value) = self.need(key)?;
        match number::integer(value).filter(|number| fits(*number)).and_then(|number| usize::try_from(number).ok()) {
            Some(number) => Ok(number),
            None => refuse(line, format!("{key}={} is not {rule}", quote(value))),
        }
    }

    /// `count` items with one space between.
    fn list<T>(
        &self,
        key: &str,
        count: usize,
        read: impl Fn(&str) -> Option<T>,
        rule: &str,
    ) -> Result<Vec<T>, ModelError> {
        let (line, value) = self.need(key)?;
        let tokens = if value.is_empty() { None } else { Some(value.split(' ')) };
        collect(key, line, tokens.into_iter().flatten(), count, read, rule)
    }

    /// `count` items with any number of spaces around.
    fn spaced_list<T>(
        &self,
        key: &str,
        count: usize,
        read: impl Fn(&str) -> Option<T>,
        rule: &str,
    ) -> Result<Vec<T>, ModelError> {
        let (line, value) = self.need(key)?;
        collect(key, line, value.split(' ').filter(|token| !token.is_empty()), count, read, rule)
    }
}

fn collect<'a, T>(
    key: &str,
    line: usize,
    tokens: impl Iterator<Item = &'a str>,
    count: usize,
    read: impl Fn(&str) -> Option<T>,
    rule: &str,
) -> Result<Vec<T>, ModelError> {
    // Nothing is reserved for `count`: a damaged count may be huge, the line is only so long.
    let mut items = Vec::new();
    for token in tokens {
        match read(token) {
            Some(item) => items.push(item),
            None => return refuse(line, format!("{} in `{key}` is not {rule}", quote(token))),
        }
    }
    match items.len() == count {
        true => Ok(items),
        false => refuse(line, format!("`{key}` has {} values where the tree needs {count}", items.len())),
    }
}
