//! Loading and scoring start no threads: LightGBM's OpenMP would put one on every core, and they spin while they wait.
//! Alone in its file, because other tests' threads would be counted too.
#![cfg(target_os = "linux")]

mod common;

use common::{fixtures, golden, library, names, text};
use fastfeat_lightgbm::{Model, Output};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux").count()
}

#[test]
fn test_no_threads_are_started() {
    let library = library();
    let before = threads();
    for name in names(&fixtures()) {
        let mut model = Model::from_text(library.clone(), &text(&fixtures(), &name), Output::Normal).expect("a model");
        for golden in golden(&fixtures(), &name) {
            model.predict(&golden.row, &mut vec![0.0; golden.normal.len()]).expect("a score");
            if let Some(contributions) = &golden.contributions {
                model.contributions(&golden.row, &mut vec![0.0; contributions.len()]).expect("contributions");
            }
        }
        assert_eq!(threads(), before, "{name}");
    }
}
