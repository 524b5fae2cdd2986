//! What differs between two definitions, by name: why a checkpoint of the one is not gone on from with the other.

use crate::definition::Definition;

/// Names listed of one kind of change.
const LISTED_MAX: usize = 5;

/// A sentence; `None` when either cannot be read.
pub(super) fn changes(old: &str, new: &str) -> Option<String> {
    let old: Definition = serde_json::from_str(old).ok()?;
    let new: Definition = serde_json::from_str(new).ok()?;
    let mut found = Vec::new();
    compare("feature", &old.features, &new.features, |feature| &feature.name, &mut found);
    compare("stream", &old.streams, &new.streams, |stream| &stream.name, &mut found);
    compare("lookup", &old.lookups, &new.lookups, |lookup| &lookup.name, &mut found);
    if found.is_empty() {
        found.push("features, streams or lookups come in another order".to_owned());
    }
    Some(found.join("; "))
}

fn compare<T: PartialEq>(what: &str, old: &[T], new: &[T], name: impl Fn(&T) -> &String, found: &mut Vec<String>) {
    let of = |all: &[T], wanted: &T| all.iter().position(|each| name(each) == name(wanted));
    let names = |all: &[T], keep: &dyn Fn(&T) -> bool| -> Vec<String> {
        all.iter().filter(|each| keep(each)).map(|each| format!("`{}`", name(each))).collect()
    };
    let changed = |each: &T| of(new, each).is_some_and(|place| new[place] != *each);
    list(what, "is changed", &names(old, &changed), found);
    list(what, "is gone", &names(old, &|each| of(new, each).is_none()), found);
    list(what, "is new", &names(new, &|each| of(old, each).is_none()), found);
}

fn list(what: &str, how: &str, names: &[String], found: &mut Vec<String>) {
    let shown = names[..names.len().min(LISTED_MAX)].join(", ");
    match names.len() {
        0 => {}
        count if count > LISTED_MAX => found.push(format!("{what} {shown} and {} more {how}", count - LISTED_MAX)),
        _ => found.push(format!("{what} {shown} {how}")),
    }
}
