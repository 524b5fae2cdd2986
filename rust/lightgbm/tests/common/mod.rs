//! What the tests against the real library share: where it is, stored and fresh models, the judge's bits, a seeded generator.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its own part of this")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use fastfeat_lightgbm::{Library, Model, Output};

/// `LIGHTGBM_LIBRARY`, or a failure that says how to set it.
pub fn library_path() -> PathBuf {
    std::env::var_os("LIGHTGBM_LIBRARY").map(PathBuf::from).unwrap_or_else(|| {
        panic!(
            "set LIGHTGBM_LIBRARY to LightGBM's shared library: `make test-rust` does, or \
             export LIGHTGBM_LIBRARY=$(python -c 'import lightgbm, pathlib; print(next(pathlib.Path(lightgbm.__file__).parent.rglob(\"lib_lightgbm.*\")))')"
        )
    })
}

/// The library under test.
pub fn library() -> Arc<Library> {
    Library::open(&library_path()).expect("LIGHTGBM_LIBRARY names LightGBM")
}

/// A model read by the library under test.
pub fn model(text: &str, output: Output) -> Model {
    Model::from_text(library(), text, output).unwrap_or_else(|error| panic!("{error}"))
}

/// The Python whose `lightgbm` it is: `LIGHTGBM_PYTHON`, or the one of the virtual environment around the library.
fn python() -> PathBuf {
    std::env::var_os("LIGHTGBM_PYTHON")
        .map(PathBuf::from)
        .or_else(|| {
            let found = |folder: &Path| {
                ["bin/python", "Scripts/python.exe"]
                    .map(|file| folder.join(file))
                    .into_iter()
                    .find(|file| file.exists())
            };
            library_path().ancestors().find_map(found)
        })
        .expect("set LIGHTGBM_PYTHON to a Python that has lightgbm: LIGHTGBM_LIBRARY lies in no virtual environment")
}

/// The stored models.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Every kind of model, written now by the Python that the library belongs to, into a folder of this test's own.
pub fn fresh(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.py");
    let written = Command::new(python()).arg(script).arg(&folder).output().expect("Python starts");
    assert!(written.status.success(), "golden.py: {}", String::from_utf8_lossy(&written.stderr));
    folder
}

/// The names of the models in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let texts = entries.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let mut names: Vec<String> =
        texts.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    names.sort();
    assert!(!names.is_empty(), "no models in {}", folder.display());
    names
}

/// The text of a model.
pub fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(format!("{name}.txt"))).expect("a model text")
}

/// A row and what the judge says of it, as bits.
pub struct Golden {
    /// The row.
    pub row: Vec<f64>,
    /// `Booster.predict(row)`.
    pub normal: Vec<u64>,
    /// The same with `raw_score=True`.
    pub raw: Vec<u64>,
    /// The same with `pred_contrib=True`; none where LightGBM refuses.
    pub contributions: Option<Vec<u64>>,
}

/// The judge's answers for a model.
pub fn golden(folder: &Path, name: &str) -> Vec<Golden> {
    let text = std::fs::read_to_string(folder.join(format!("{name}.golden"))).expect("a golden file");
    let lines: Vec<&str> = text.lines().collect();
    let numbers = |line: &str, kind: &str| -> Option<Vec<u64>> {
        let rest = line.strip_prefix(kind).and_then(|rest| rest.strip_prefix(' ')).expect("a golden line");
        let digits = |word| u64::from_str_radix(word, 16).expect("16 digits");
        (rest != "none").then(|| rest.split(' ').map(digits).collect())
    };
    let four = lines.chunks_exact(4).map(|four| Golden {
        row: numbers(four[0], "row").expect("a row").into_iter().map(f64::from_bits).collect(),
        normal: numbers(four[1], "normal").expect("a score"),
        raw: numbers(four[2], "raw").expect("a score"),
        contributions: numbers(four[3], "contributions"),
    });
    four.collect()
}

/// The bits of an answer; one NaN is as good as another.
pub fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|number| if number.is_nan() { f64::NAN.to_bits() } else { number.to_bits() }).collect()
}

/// splitmix64: seeded, the same everywhere.
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`, which is 1 or more.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }
}
