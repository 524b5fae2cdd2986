//! The parser against stored texts of LightGBM's and against one mistake at a time. No library is needed.

use super::*;

const BINARY: &str = include_str!("../../tests/fixtures/binary.txt");
const CATEGORICAL: &str = include_str!("../../tests/fixtures/categorical.txt");
const LINEAR: &str = include_str!("../../tests/fixtures/regression_linear_tree.txt");
const MULTICLASS: &str = include_str!("../../tests/fixtures/multiclass.txt");
const NO_TREES: &str = include_str!("../../tests/fixtures/no_trees.txt");
const ONE_LEAF: &str = include_str!("../../tests/fixtures/one_leaf.txt");
const RF: &str = include_str!("../../tests/fixtures/rf.txt");

/// A small text with everything in it that can be wrong; `{sizes}` is filled in by [`sized`].
const SMALL: &str = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=2\n\
    objective=binary sigmoid:1\nfeature_names=a b c\nmonotone_constraints=0 1 -1\nfeature_infos=[0:1] 0:1:40 none\ntree_sizes={sizes}\n\n\
    Tree=0\nnum_leaves=3\nnum_cat=1\nsplit_feature=0 1\nsplit_gain=1 inf\nthreshold=0.5 0\ndecision_type=2 1\n\
    left_child=1 -1\nright_child=-2 -3\nleaf_value=0.25 -0.5 1e-05\nleaf_weight=1 2 3\nleaf_count=1 2 3\n\
    internal_value=0 0\ninternal_weight=0 6\ninternal_count=6 4\ncat_boundaries=0 2\ncat_threshold=1 256\n\
    is_linear=1\nleaf_const=0 1 2\nnum_features=1 0 2\nleaf_features=0   1 2 \nleaf_coeff=0.5   1 -2 \nshrinkage=0.1\n\n\n\
    end of trees\n\nfeature_importances:\na=1\n\nparameters:\n[boosting: gbdt]\n\nend of parameters\n\npandas_categorical:null\n";

/// `text` with the true sizes of its trees, so that only the mistake under test is wrong.
fn sized(text: &str) -> String {
    let mut sizes = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("Tree=") || line == "end of trees\n" {
            sizes.extend(start.map(|start: usize| (at - start).to_string()));
            start = Some(at);
        }
        at += line.len();
    }
    let header = text.find("tree_sizes=").expect("a header") + "tree_sizes=".len();
    let end = header + text[header..].find('\n').expect("a line");
    [&text[..header], &sizes.join(" "), &text[end..]].concat()
}

fn message(text: &str) -> String {
    check(text).expect_err("a mistake").to_string()
}

#[test]
fn test_texts_of_lightgbm_pass() {
    for (text, classes, trees, objective, linear) in [
        (BINARY, 1, 3, "binary sigmoid:1", false),
        (CATEGORICAL, 1, 3, "binary sigmoid:1", false),
        (LINEAR, 1, 3, "regression", true),
        (MULTICLASS, 3, 9, "multiclass num_class:3", false),
        (NO_TREES, 1, 0, "binary sigmoid:1", false),
        (ONE_LEAF, 1, 1, "binary sigmoid:1", false),
        (RF, 1, 3, "binary sigmoid:1", false),
    ] {
        let model = check(text).expect("LightGBM wrote it");
        assert_eq!((model.classes, model.trees, model.linear), (classes, trees, linear), "{objective}");
        assert_eq!(model.objective, objective);
        assert_eq!(model.feature_names.len(), 7);
        assert_eq!(model.feature_names[6], "Column_6");
        assert_eq!(sized(text), text, "the test's own sizes are LightGBM's");
    }
    check(&sized(&SMALL.replace("threshold=0.5 0\n", "threshold=inf 0\n")))
        .expect("missing on one side, all else on the other");
    let small = check(&sized(SMALL)).expect("valid");
    assert_eq!((small.depth, small.linear, small.trees), (2, true, 1));
    assert_eq!(small.feature_names, ["a", "b", "c"]);
}

#[test]
fn test_lightgbm_is_given_header_and_trees_without_their_sizes() {
    let given = check(BINARY).expect("valid").loadable.into_string().expect("text");
    assert!(
        !given.contains("tree_sizes") && given.starts_with("tree\nversion=v4\n") && given.ends_with("\nend of trees\n")
    );
    assert_eq!(given.len(), BINARY.find("end of trees\n").expect("there") + 13 - "tree_sizes=123 123 123\n".len());
}

/// One mistake at a time, with the sizes of the trees put right so that they do not hide it.
#[test]
fn test_each_mistake_is_refused_with_its_reason() {
    for (right, wrong, reason) in [
        ("tree\nversion", "Tree\nversion", "line 1: `Tree` where `tree` belongs"),
        ("version=v4", "version=v9", "version `v9` of the text is none of v2, v3, v4"),
        ("version=v4\n", "", "no line `version=`"),
        ("version=v4", "version", "not as LightGBM writes it"),
        ("version=v4", "version=v4\nversion=v4", "or is there twice"),
        ("label_index=0", "lebel_index=0", "`lebel_index=0` is not a line of a model's header"),
        ("label_index=0", "label_index=x", "label_index=`x` is not an integer"),
        ("num_class=1", "num_class=0", "num_class=`0` is not a number between 1 and"),
        ("num_class=1", "num_class=2", "1 trees an iteration where the text has 2 classes"),
        ("max_feature_idx=2", "max_feature_idx=-1", "max_feature_idx=`-1` is not"),
        ("max_feature_idx=2", "max_feature_idx=2147483647", "max_feature_idx=`2147483647` is not"),
        ("max_feature_idx=2", "max_feature_idx=3", "`feature_names` has not 4 words"),
        ("=a b c", "=a b", "`feature_names` has not 3 words"),
        ("=a b c", "=a  c", "`feature_names` has not 3 words"),
        ("=a b c", "=a b a", "two features have the name `a`"),
        ("0:1:40 none", "none", "`feature_infos` has not 3 words"),
        ("[0:1] 0", "[0=1] 0", "`[0=1]` in `feature_infos`"),
        ("=0 1 -1", "=0 1 2", "`2` in `monotone_constraints`"),
        ("=binary sigmoid:1", "=binary sigmoid:-1", "is not an objective that LightGBM writes"),
        ("=binary sigmoid:1", "=multiclass num_class:3", "goes with 3 classes, and the text has 1"),
        ("Tree=0", "Tree=1", "`Tree=1` where `Tree=0` belongs"),
        ("num_leaves=3", "num_leaves=0", "num_leaves=`0` is not a number of leaves"),
        ("num_leaves=3", "num_leaves=2000000000", "`split_feature` has 2 values where the tree needs 1999999999"),
        ("num_leaves=3\n", "", "the tree has no line `num_leaves=`"),
        ("num_leaves=3", "num_leaves=3\nnum_leaves=3", "`num_leaves` has no value, or one already"),
        ("num_leaves=3", "hello", "`hello` is not a line of a tree"),
        ("num_leaves=3", "num_leaves=3\n", "where an empty line belongs"),
        ("split_feature=0 1", "split_feature=0 3", "`3` in `split_feature` is not a feature's index"),
        ("split_feature=0 1", "split_feature=0 -1", "`-1` in `split_feature`"),
        ("split_feature=0 1", "split_feature=0  1", "`` in `split_feature`"),
        ("split_feature=0 1", "split_feature=0 1 1", "`split_feature` has 3 values where the tree needs 2"),
        ("threshold=0.5 0\n", "threshold=nan 0\n", "`nan` in `threshold` is not a number"),
        ("threshold=0.5 0\n", "threshold=0.5 inf\n", "inf is not one of 1 sets of categories"),
        ("threshold=0.5 0\n", "threshold=0.5 1\n", "1 is not one of 1 sets of categories"),
        ("threshold=0.5 0\n", "threshold=0.5 0.5\n", "0.5 is not one of 1 sets"),
        ("threshold=0.5 0\n", "threshold=0.5 -1\n", "-1 is not one of 1 sets"),
        ("threshold=0.5 0\n", "threshold=0.5 1e300\n", "is not one of 1 sets"),
        ("decision_type=2 1", "decision_type=2 2", "num_cat=1 where `decision_type` has 0 splits on categories"),
        ("decision_type=2 1", "decision_type=1 1", "used twice"),
        ("decision_type=2 1", "decision_type=2 3", "`3` in `decision_type`"),
        ("decision_type=2 1", "decision_type=12 1", "`12` in `decision_type`"),
        ("decision_type=2 1", "decision_type=-2 1", "`-2` in `decision_type`"),
        ("left_child=1 -1", "left_child=0 -1", "is the root"),
        ("left_child=1 -1", "left_child=2 -1", "a tree of 2 splits has no such"),
        ("left_child=1 -1", "left_child=-1 -1", "split 1 cannot be reached"),
        ("left_child=1 -1", "left_child=1 -2", "leaf 1 has more than one parent"),
        ("right_child=-2 -3", "right_child=-2 -4", "child -4 of split 1 is leaf 3"),
        ("leaf_value=0.25 ", "leaf_value=nan ", "`nan` in `leaf_value` is not a finite number"),
        ("leaf_value=0.25 ", "leaf_value=1e999 ", "`1e999` in `leaf_value`"),
        ("leaf_value=0.25 ", "leaf_value=0.2.5 ", "`0.2.5` in `leaf_value`"),
        ("leaf_value=0.25 ", "leaf_value=", "`leaf_value` has 2 values where the tree needs 3"),
        ("leaf_count=1 2 3", "leaf_count=1 2", "`leaf_count` has 2 values"),
        ("leaf_weight=1 2 3\n", "", "no line `leaf_weight=`"),
        ("is_linear=1\n", "", "no line `is_linear=`"),
        ("is_linear=1", "is_linear=0", "`leaf_const` does not go with is_linear=0"),
        ("is_linear=1", "is_linear=2", "is_linear=`2` is not 0 or 1"),
        ("num_cat=1", "num_cat=2", "num_cat=2 where `decision_type` has 1 splits"),
        ("num_cat=1", "num_cat=2147483647", "where `decision_type` has 1 splits"),
        ("num_cat=1", "num_cat=-1", "num_cat=`-1` is not a number of splits on categories"),
        ("num_cat=1", "num_cat=0", "0 is not one of 0 sets"),
        ("cat_boundaries=0 2", "cat_boundaries=0 3", "do not rise from 0 to the 2 words"),
        ("cat_boundaries=0 2", "cat_boundaries=1 2", "do not rise from 0"),
        ("cat_boundaries=0 2", "cat_boundaries=0 -2", "do not rise from 0"),
        ("cat_boundaries=0 2", "cat_boundaries=0", "`cat_boundaries` has 1 values where the tree needs 2"),
        ("cat_threshold=1 256", "cat_threshold=1 4294967296", "`4294967296` in `cat_threshold`"),
        ("cat_threshold=1 256\n", "", "no line `cat_threshold=`"),
        ("num_features=1 0 2", "num_features=1 0 1", "`leaf_features` has 3 values where the tree needs 2"),
        ("num_features=1 0 2", "num_features=1 -1 3", "`-1` in `num_features`"),
        ("leaf_features=0 ", "leaf_features=3 ", "`3` in `leaf_features`"),
        ("leaf_coeff=0.5 ", "leaf_coeff=inf ", "`inf` in `leaf_coeff`"),
        ("leaf_coeff=0.5 ", "leaf_coeff= ", "`leaf_coeff` has 2 values where the tree needs 3"),
        ("leaf_const=0 1 2", "leaf_const=0 1", "`leaf_const` has 2 values"),
        ("shrinkage=0.1\n\n\n", "shrinkage=0.1\n\n", "`end of trees` where an empty line belongs"),
        ("shrinkage=0.1", "shrinkage=", "`shrinkage` has 0 values"),
        ("end of trees", "end of tree", "where `end of trees` belongs"),
        ("end of parameters\n", "", "in the middle of its parameters"),
        ("0.25", "0.2\u{0}5", "a byte of value 0"),
        ("leaf_value=", "leaf_välue=", "is not a line of a tree"),
    ] {
        assert_eq!(SMALL.matches(right).count(), 1, "{right:?} says where the mistake goes");
        let refused = message(&sized(&SMALL.replace(right, wrong)));
        assert!(refused.contains(reason), "{wrong:?}: {refused}");
        assert!(refused.starts_with("model text, line "), "{refused}");
    }
}

#[test]
fn test_tree_sizes_that_are_not_the_sizes_are_refused() {
    let text = sized(SMALL);
    let size = text.split("tree_sizes=").nth(1).and_then(|rest| rest.lines().next()).expect("a size");
    for wrong in
        ["1", "", "-1", "99999999999999999999", &format!("{size} {size}"), &format!("0{size}"), &format!("{size} ")]
    {
        let refused = message(&text.replace(&format!("tree_sizes={size}"), &format!("tree_sizes={wrong}")));
        assert!(refused.contains("tree_sizes") || refused.contains("belongs"), "{wrong:?}: {refused}");
    }
    assert!(message(&text.replace(&format!("tree_sizes={size}\n"), "")).contains("no line `tree_sizes=`"));
}

#[test]
fn test_converted_line_ends_are_named() {
    assert!(message(&BINARY.replace('\n', "\r\n")).contains("line 1: lines end in \\r\\n"));
}

#[test]
fn test_the_last_line_may_be_of_python_on_windows() {
    check(&BINARY.replace("\npandas_categorical:null\n", "\r\npandas_categorical:null\r\n")).expect("valid");
}

#[test]
fn test_a_text_cut_anywhere_before_its_end_of_trees_is_refused() {
    for text in [BINARY, CATEGORICAL, LINEAR, NO_TREES, ONE_LEAF] {
        let end = text.find("end of trees\n").expect("there") + "end of trees\n".len();
        for cut in 0..end {
            assert!(check(&text[..cut]).is_err(), "cut at {cut}");
        }
    }
}

#[test]
fn test_a_line_left_out_anywhere_before_the_end_of_trees_is_refused() {
    for text in [BINARY, CATEGORICAL, LINEAR, MULTICLASS, NO_TREES, ONE_LEAF, RF] {
        let end = text.lines().position(|line| line == "end of trees").expect("there");
        for left_out in 0..=end {
            let line = text.lines().nth(left_out).unwrap_or_default();
            // Without these LightGBM means something else, and says so nowhere: only the manifest's hash can tell.
            if line == "average_output" || line.starts_with("objective=") {
                continue;
            }
            let kept = text.lines().enumerate().filter(|(at, _)| *at != left_out).map(|(_, line)| format!("{line}\n"));
            assert!(check(&kept.collect::<String>()).is_err(), "without line {}: {line}", left_out + 1);
        }
    }
}

#[test]
fn test_what_is_not_a_model_is_refused_at_its_first_line() {
    for text in ["", "\n", "models/fraud.txt", "{\"name\": \"tree\"}\n", "\u{feff}tree\n", "tree"] {
        assert!(message(text).starts_with("model text, line 1: "), "{text:?}: {}", message(text));
    }
    assert!(message(&"x".repeat(1000)).len() < 300);
}
