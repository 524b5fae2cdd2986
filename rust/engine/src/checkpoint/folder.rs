//! A folder of checkpoints: chains of a full one, `checkpoint-<n>.ff`, and increments on it, `checkpoint-<n>.<k>.ff`; and a manifest
//! that says which of them count, written last.
//!
//! A file that the manifest does not name was not finished, as far as anybody was told. Where the manifest itself is damaged, the
//! files are looked at, the chain with the highest number first.

use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disk::{self, Disk, Failed, Over};
use crate::error::{CheckpointError, CheckpointFault};

const MANIFEST: &str = "manifest.json";
const MANIFEST_BYTES_MAX: u64 = 1 << 24;
/// Before the checksum of what follows on the next line.
const MANIFEST_BEGIN: &str = "fastfeat manifest 1 crc32c=";

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// Names of the files of each chain in their order; the newest chain first.
    chains: Vec<Vec<String>>,
}

/// A full checkpoint and the increments on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub base: u64,
    /// Numbered from 1 to this.
    pub increments: u64,
}

impl Chain {
    /// Names of its files in their order.
    pub fn names(&self) -> Vec<String> {
        (0..=self.increments).map(|increment| name_of(self.base, increment)).collect()
    }

    fn parse(names: &[String]) -> Option<Self> {
        let (base, first) = numbers_of(names.first()?)?;
        let chain = Self { base, increments: names.len() as u64 - 1 };
        (first == 0 && chain.names() == names).then_some(chain)
    }
}

/// What a folder has, the newest first, and what was wrong with its manifest.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub chains: Vec<Chain>,
    pub damaged: Option<CheckpointError>,
}

/// The name of a full checkpoint, which is its increment 0, or of a later one.
pub(super) fn name_of(base: u64, increment: u64) -> String {
    if increment == 0 { format!("checkpoint-{base}.ff") } else { format!("checkpoint-{base}.{increment}.ff") }
}

/// The numbers in such a name.
pub(super) fn numbers_of(name: &str) -> Option<(u64, u64)> {
    let numbers = name.strip_prefix("checkpoint-")?.strip_suffix(".ff")?;
    let (base, increment) = numbers.split_once('.').unwrap_or((numbers, "0"));
    let (base, increment) = (base.parse().ok()?, increment.parse().ok()?);
    (name_of(base, increment) == name).then_some((base, increment))
}

fn unread(path: &Path, error: &std::io::Error) -> CheckpointError {
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

fn parse(text: &str) -> Option<Vec<Chain>> {
    let (checksum, json) = text.strip_prefix(MANIFEST_BEGIN)?.split_once('\n')?;
    let json = json.strip_suffix('\n')?;
    if checksum != format!("{:08x}", crc32c::crc32c(json.as_bytes())) {
        return None;
    }
    let manifest: Manifest = serde_json::from_str(json).ok()?;
    manifest.chains.iter().map(|names| Chain::parse(names)).collect()
}

/// The checkpoints of a folder.
pub(super) fn list(disk: &dyn Disk, folder: &Path) -> Result<Listed, CheckpointError> {
    let names = disk.names(folder).map_err(|error| unread(folder, &error))?;
    let path = folder.join(MANIFEST);
    let (text, trouble) = match disk::read_text(disk, &path, MANIFEST_BYTES_MAX) {
        Ok(text) => (text, "its checksum is another than that of its text".to_owned()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
            (String::new(), error.to_string())
        }
        // What cannot be read now may be whole: nothing older is taken in its place.
        Err(error) => return Err(unread(&path, &error)),
    };
    if let Some(chains) = parse(&text) {
        return Ok(Listed { chains, damaged: None });
    }
    let mut numbers: Vec<(u64, u64)> = names.iter().filter_map(|name| numbers_of(name)).collect();
    numbers.sort_unstable();
    let mut chains: Vec<Chain> = Vec::new();
    for (base, increment) in numbers {
        match chains.last_mut() {
            Some(chain) if (chain.base, chain.increments + 1) == (base, increment) => chain.increments = increment,
            _ if increment == 0 => chains.push(Chain { base, increments: 0 }),
            // One before it is not there: it leads nowhere.
            _ => {}
        }
    }
    chains.reverse();
    let damaged = (!chains.is_empty()).then(|| CheckpointError {
        fault: CheckpointFault::Damaged,
        place: path.display().to_string(),
        message: format!("{trouble}; the files of the folder are looked at, the highest number first"),
    });
    Ok(Listed { chains, damaged })
}

/// The number of the next full checkpoint of a folder.
pub(super) fn next(disk: &dyn Disk, folder: &Path, listed: &Listed) -> Result<u64, CheckpointError> {
    let names = disk.names(folder).map_err(|error| unread(folder, &error))?;
    let there = names.iter().filter_map(|name| numbers_of(name)).map(|(base, _)| base);
    let told = listed.chains.iter().map(|chain| chain.base);
    Ok(there.chain(told).max().map_or(1, |number| number.saturating_add(1)))
}

/// Makes these chains count, and lets the others go.
pub(super) fn publish(disk: &dyn Disk, folder: &Path, chains: &[Chain]) -> Result<(), Failed> {
    let manifest = Manifest { chains: chains.iter().map(Chain::names).collect() };
    let text = manifest_text(&manifest);
    disk::write_whole(disk, &folder.join(MANIFEST), Over::Known, |out| out.write_all(text.as_bytes()))?;
    // The new one is safe already; what does not go is tried again with the next one.
    for name in disk.names(folder).unwrap_or_default() {
        let is_kept = |base, increment| chains.iter().any(|chain| chain.base == base && increment <= chain.increments);
        if numbers_of(&name).is_some_and(|(base, increment)| !is_kept(base, increment)) {
            let _ = disk.remove(&folder.join(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written_or_not_at_all() {
        let chains = vec![Chain { base: 12, increments: 3 }, Chain { base: 7, increments: 0 }];
        let text = manifest_text(&Manifest { chains: chains.iter().map(Chain::names).collect() });
        assert_eq!(parse(&text), Some(chains));
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1;
            assert!(std::str::from_utf8(&bytes).ok().and_then(parse).is_none(), "byte {place}");
            assert!(parse(&text[..place]).is_none(), "cut at {place}");
        }
        let gap = Manifest { chains: vec![vec![name_of(1, 0), name_of(1, 2)]] };
        assert_eq!(parse(&manifest_text(&gap)), None, "an increment is missing");
    }

    #[test]
    fn only_names_that_are_written_are_numbers() {
        assert_eq!(numbers_of("checkpoint-12.ff"), Some((12, 0)));
        assert_eq!(numbers_of("checkpoint-12.30.ff"), Some((12, 30)));
        for name in [
            "checkpoint-012.ff",
            "checkpoint-.ff",
            "checkpoint-+1.ff",
            "checkpoint-1.ff.part",
            "checkpoint--1.ff",
            "checkpoint-1.0.ff",
            "checkpoint-1..ff",
        ] {
            assert_eq!(numbers_of(name), None, "{name}");
        }
    }
}
