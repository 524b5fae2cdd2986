//! Scores are Python's `Booster.predict` to the last bit: for stored models, and for every kind that LightGBM writes today.
//! The stored ones are written by `.venv/bin/python rust/lightgbm/tests/golden.py --fixtures rust/lightgbm/tests/fixtures`.

mod common;

use std::path::Path;

use common::{Golden, Random, bits, fixtures, fresh, golden, library, model, names, text};
use fastfeat_lightgbm::{Model, ModelError, Output};

/// Every answer in turn, then in any order: predictors of one booster must not know of each other.
fn check(folder: &Path, name: &str) {
    let text = text(folder, name);
    let rows = golden(folder, name);
    assert!(rows.len() >= 8, "{name}");
    let mut normal = model(&text, Output::Normal);
    let mut raw = model(&text, Output::Raw);
    assert_eq!(normal.feature_names().len(), rows[0].row.len(), "{name}");
    assert_eq!(normal.classes(), rows[0].normal.len(), "{name}");
    assert_eq!(normal.trees(), text.matches("\nTree=").count(), "{name}");
    for row in &rows {
        for call in 0..3 {
            answer(&mut normal, name, row, call, &row.normal);
            answer(&mut raw, name, row, call, &row.raw);
        }
    }
    let mut random = Random(name.len() as u64);
    for _ in 0..200 {
        let row = &rows[random.below(rows.len())];
        match random.below(2) {
            0 => answer(&mut normal, name, row, random.below(3), &row.normal),
            _ => answer(&mut raw, name, row, random.below(3), &row.raw),
        }
    }
}

fn answer(model: &mut Model, name: &str, golden: &Golden, call: usize, predicted: &[u64]) {
    let mut out = vec![7.0; model.classes()];
    match call {
        0 => {
            model.predict(&golden.row, &mut out).expect("a score");
            assert_eq!(bits(&out), nans(predicted), "{name}: {:?}", golden.row);
        }
        1 => {
            model.predict_raw(&golden.row, &mut out).expect("a score");
            assert_eq!(bits(&out), nans(&golden.raw), "{name}: {:?}", golden.row);
        }
        _ => {
            let mut out = vec![7.0; model.classes() * (golden.row.len() + 1)];
            match (model.contributions(&golden.row, &mut out), &golden.contributions) {
                (Ok(()), Some(contributions)) => {
                    assert_eq!(bits(&out), nans(contributions), "{name}: {:?}", golden.row)
                }
                // Trained with `linear_tree` and none came out linear: Python refuses by the parameter, we by the trees.
                (Ok(()), None) => assert!(name.contains("linear"), "{name}"),
                (Err(ModelError::NoContributions(_)), None) => {}
                (Err(error), _) => panic!("{name}: {error}"),
            }
        }
    }
}

fn nans(numbers: &[u64]) -> Vec<u64> {
    bits(&numbers.iter().copied().map(f64::from_bits).collect::<Vec<_>>())
}

#[test]
fn test_stored_models_score_as_python_does() {
    for name in names(&fixtures()) {
        check(&fixtures(), &name);
    }
}

#[test]
fn test_every_kind_of_model_that_lightgbm_writes_scores_as_python_does() {
    let folder = fresh("golden");
    let names = names(&folder);
    assert!(names.len() > 70, "{names:?}");
    for name in names {
        check(&folder, &name);
    }
}

#[test]
fn test_a_model_says_what_it_is() {
    let model = model(&text(&fixtures(), "multiclass"), Output::Normal);
    assert_eq!(model.objective(), "multiclass num_class:3");
    assert_eq!((model.classes(), model.trees()), (3, 9));
    assert_eq!(model.feature_names()[..2], ["Column_0", "Column_1"]);
    assert_eq!(
        format!("{model:?}"),
        "Model { objective: \"multiclass num_class:3\", classes: 3, features: 7, trees: 9, .. }"
    );
}

#[test]
fn test_a_row_or_an_output_of_another_length_is_refused_and_nothing_written() {
    let mut model = model(&text(&fixtures(), "multiclass"), Output::Normal);
    let mut out = [7.0; 3];
    for length in [0, 1, 6, 8, 100] {
        let row = vec![1.0; length];
        assert_eq!(model.predict(&row, &mut out), Err(ModelError::RowLength { found: length, needed: 7 }));
        assert_eq!(model.predict_raw(&row, &mut out), Err(ModelError::RowLength { found: length, needed: 7 }));
        assert_eq!(model.contributions(&row, &mut out), Err(ModelError::RowLength { found: length, needed: 7 }));
    }
    let row = [1.0; 7];
    for length in [0, 1, 2, 4, 25] {
        let mut out = vec![7.0; length];
        assert_eq!(model.predict(&row, &mut out), Err(ModelError::OutputLength { found: length, needed: 3 }));
        assert_eq!(model.contributions(&row, &mut out), Err(ModelError::OutputLength { found: length, needed: 24 }));
        assert!(out.iter().all(|number| *number == 7.0));
    }
    assert_eq!(out, [7.0; 3]);
}

#[test]
fn test_models_go_to_other_threads_and_are_freed_in_any_order() {
    let folder = fixtures();
    let (text, rows) = (text(&folder, "binary"), golden(&folder, "binary"));
    let library = library();
    let models: Vec<Model> =
        (0..8).map(|_| Model::from_text(library.clone(), &text, Output::Normal).expect("a model")).collect();
    drop(library);
    let rows = &rows;
    std::thread::scope(|scope| {
        for (index, mut model) in models.into_iter().enumerate() {
            scope.spawn(move || {
                for call in 0..300 {
                    let row = &rows[(index + call) % rows.len()];
                    answer(&mut model, "binary", row, call % 3, &row.normal);
                }
            });
        }
    });
}

/// LightGBM calls itself once for each split of the path: a thread with little room must do.
#[test]
fn test_contributions_of_deep_trees_fit_a_small_stack_or_are_refused() {
    for (splits, works) in [(999, true), (1_000, false), (20_000, false)] {
        let text = chain(splits);
        let library = library();
        let scored = move || {
            let mut model = Model::from_text(library, &text, Output::Normal).expect("a model");
            let mut out = [7.0];
            model.predict(&[f64::INFINITY], &mut out).expect("a score");
            assert_eq!(out, [splits as f64], "the deepest leaf");
            model.contributions(&[1.0], &mut [0.0; 2]).is_ok()
        };
        let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(scored).expect("a thread");
        assert_eq!(thread.join().expect("no overflow"), works, "{splits}");
    }
}

/// One tree whose split `i` sends `x <= i` to leaf `i`, of value `i`, and the rest on.
fn chain(splits: usize) -> String {
    let list =
        |numbers: &mut dyn Iterator<Item = i64>| numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
    let count = splits as i64;
    let zeros = list(&mut (0..count).map(|_| 0));
    let tree = format!(
        "Tree=0\nnum_leaves={}\nnum_cat=0\nsplit_feature={zeros}\nsplit_gain={zeros}\nthreshold={}\ndecision_type={}\n\
         left_child={}\nright_child={} {}\nleaf_value={}\nleaf_weight={zeros} 0\nleaf_count={}\ninternal_value={zeros}\n\
         internal_weight={zeros}\ninternal_count={}\nis_linear=0\nshrinkage=1\n\n\n",
        count + 1,
        list(&mut (0..count)),
        list(&mut (0..count).map(|_| 2)),
        list(&mut (0..count).map(|split| -1 - split)),
        list(&mut (1..count)),
        -1 - count,
        list(&mut (0..=count)),
        list(&mut (0..=count).map(|_| 1)),
        list(&mut (0..count).map(|split| count + 1 - split)),
    );
    format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=0\nobjective=regression\n\
         feature_names=x\nfeature_infos=[0:1]\ntree_sizes={}\n\n{tree}end of trees\n",
        tree.len()
    )
}
