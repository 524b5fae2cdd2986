//! Which files are LightGBM, and how the others are refused.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{fixtures, library, library_path, text};
use fastfeat_lightgbm::{Library, Model, ModelError, Output};

#[test]
fn test_a_path_where_nothing_is_is_refused_with_the_way_out() {
    let error = Library::open(Path::new("/no/such/lib_lightgbm.so")).expect_err("nothing there");
    assert!(matches!(&error, ModelError::Library { path, .. } if path.ends_with("lib_lightgbm.so")), "{error}");
    let message = error.to_string();
    assert!(message.contains("/no/such/lib_lightgbm.so") && message.contains("pip install"), "{message}");
}

#[test]
fn test_a_file_that_is_no_library_is_refused() {
    let text = fixtures().join("binary.txt");
    assert!(matches!(Library::open(&text), Err(ModelError::Library { .. })));
}

/// This test's own executable is not LightGBM; of the system's libraries, one that every process has.
#[cfg(target_os = "linux")]
#[test]
fn test_a_library_that_is_not_lightgbm_is_refused_by_what_is_missing() {
    let error = Library::open(Path::new("libm.so.6")).expect_err("not LightGBM");
    assert_eq!(error, ModelError::Symbol { path: "libm.so.6".into(), symbol: "LGBM_GetLastError" });
    assert!(error.to_string().contains("it is not LightGBM, or older than 4.3"), "{error}");
}

#[test]
fn test_a_library_opens_twice() {
    let (first, second) = (library(), Library::open(&library_path()).expect("again"));
    let text = text(&fixtures(), "binary");
    for library in [Arc::clone(&first), second, first] {
        Model::from_text(library, &text, Output::Normal).expect("a model");
    }
}

#[test]
fn test_a_damaged_text_never_reaches_lightgbm() {
    let text = text(&fixtures(), "binary");
    let damaged = text.replacen("left_child=2", "left_child=9", 1);
    let error = Model::from_text(library(), &damaged, Output::Normal).expect_err("damaged");
    assert!(matches!(error, ModelError::Text { line: 19, .. }), "{error}");
}
