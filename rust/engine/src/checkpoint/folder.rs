//! A folder of checkpoints: `checkpoint-<n>.ff`, and a manifest that says which of them count, written last.
//!
//! A file that the manifest does not name was not finished, as far as anybody was told. Where the manifest itself is damaged, the
//! files are looked at, the one with the highest number first.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file;
use crate::error::{CheckpointError, CheckpointFault};

const MANIFEST: &str = "manifest.json";
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Before the checksum of what follows on the next line.
const MANIFEST_BEGIN: &str = "fastfeat manifest 1 crc32c=";

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// Names of the files, the newest first.
    checkpoints: Vec<String>,
}

/// What a folder has, the newest first, and what was wrong with its manifest.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub files: Vec<PathBuf>,
    pub damaged: Option<CheckpointError>,
}

fn name_of(number: u64) -> String {
    format!("checkpoint-{number}.ff")
}

fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix("checkpoint-")?.strip_suffix(".ff")?;
    number.parse().ok().filter(|&number| name_of(number) == name)
}

fn disk(path: &Path, error: &std::io::Error) -> CheckpointError {
    CheckpointError {
        fault: CheckpointFault::Disk,
        place: path.display().to_string(),
        message: format!("it cannot be read: {error}"),
    }
}

/// The text of a manifest: its checksum, then JSON.
fn manifest_text(manifest: &Manifest) -> String {
    let json = serde_json::to_string(manifest).expect("a manifest is plain data");
    format!("{MANIFEST_BEGIN}{:08x}\n{json}\n", crc32c::crc32c(json.as_bytes()))
}

fn parse(text: &str) -> Option<Manifest> {
    let (checksum, json) = text.strip_prefix(MANIFEST_BEGIN)?.split_once('\n')?;
    let json = json.strip_suffix('\n')?;
    if checksum != format!("{:08x}", crc32c::crc32c(json.as_bytes())) {
        return None;
    }
    let manifest: Manifest = serde_json::from_str(json).ok()?;
    manifest.checkpoints.iter().all(|name| number_of(name).is_some()).then_some(manifest)
}

/// The checkpoints of a folder.
pub(super) fn list(folder: &Path) -> Result<Listed, CheckpointError> {
    let names = file::names(folder).map_err(|error| disk(folder, &error))?;
    let path = folder.join(MANIFEST);
    let (text, trouble) = match file::read_text(&path, MANIFEST_BYTES_MAX) {
        Ok(text) => (text, "its checksum is another than that of its text".to_owned()),
        Err(error) => (String::new(), error.to_string()),
    };
    if let Some(manifest) = parse(&text) {
        return Ok(Listed {
            files: manifest.checkpoints.iter().map(|name| folder.join(name)).collect(),
            damaged: None,
        });
    }
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    let files: Vec<PathBuf> = numbers.iter().rev().map(|&number| folder.join(name_of(number))).collect();
    let damaged = (!files.is_empty()).then(|| CheckpointError {
        fault: CheckpointFault::Damaged,
        place: path.display().to_string(),
        message: format!("{trouble}; the files of the folder are looked at, the highest number first"),
    });
    Ok(Listed { files, damaged })
}

/// Where the next checkpoint of a folder goes.
pub(super) fn next(folder: &Path, listed: &Listed) -> Result<PathBuf, CheckpointError> {
    let names = file::names(folder).map_err(|error| disk(folder, &error))?;
    let there = names.iter().filter_map(|name| number_of(name));
    let told = listed.files.iter().filter_map(|path| number_of(path.file_name()?.to_str()?));
    Ok(folder.join(name_of(there.chain(told).max().map_or(1, |number| number.saturating_add(1)))))
}

/// Makes a checkpoint count, and lets those go that are more than `keep`.
pub(super) fn publish(folder: &Path, newest: &Path, listed: &Listed, keep: usize) -> std::io::Result<()> {
    let files = std::iter::once(newest).chain(listed.files.iter().map(PathBuf::as_path)).take(keep);
    let checkpoints: Vec<String> =
        files.filter_map(|path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned)).collect();
    let manifest = Manifest { checkpoints };
    file::write_whole(&folder.join(MANIFEST), |out| out.write_all(manifest_text(&manifest).as_bytes()))?;
    for name in file::names(folder)? {
        if number_of(&name).is_some() && !manifest.checkpoints.contains(&name) {
            // The new one is safe already; what does not go is tried again with the next one.
            let _ = file::remove(folder.join(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written_or_not_at_all() {
        let manifest = Manifest { checkpoints: vec![name_of(12), name_of(7)] };
        let text = manifest_text(&manifest);
        assert_eq!(parse(&text).expect("as written").checkpoints, manifest.checkpoints);
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1;
            assert!(std::str::from_utf8(&bytes).ok().and_then(parse).is_none(), "byte {place}");
            assert!(parse(&text[..place]).is_none(), "cut at {place}");
        }
    }

    #[test]
    fn only_names_that_are_written_are_numbers() {
        assert_eq!(number_of("checkpoint-12.ff"), Some(12));
        for name in
            ["checkpoint-012.ff", "checkpoint-.ff", "checkpoint-+1.ff", "checkpoint-1.ff.part", "checkpoint--1.ff"]
        {
            assert_eq!(number_of(name), None, "{name}");
        }
    }
}
