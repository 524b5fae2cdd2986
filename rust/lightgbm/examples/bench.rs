//! Nanoseconds for one row through LightGBM's C API: `LIGHTGBM_LIBRARY=... cargo run --release -p fastfeat-lightgbm --example bench`.
//! Without a model text as argument the model is 100 seeded trees of 31 leaves over 30 features, and every score is checked
//! against a walk of those trees in plain Rust. With a file of rows as well (doubles, little-endian, one row after the other) it prints one line
//! of JSON: the latencies of `predict` over them, and the sum of the answers. `benches/compare/lightgbm_c_api.py` calls it so.

use std::path::Path;
use std::time::Instant;

use fastfeat_lightgbm::{Library, Model, ModelError, Output};

const TREES: usize = 100;
const LEAVES: usize = 31;
const FEATURES: usize = 30;
/// Rows that never come again, as events do: most of the time goes into wrongly predicted branches.
const ROWS: usize = 2_000;
/// Rows that the processor soon knows by heart: what a benchmark that repeats itself would say.
const ROWS_FEW: usize = 50;
const CALLS: usize = 100_000;
const CALLS_CONTRIBUTIONS: usize = 500;

fn main() {
    let path = std::env::var_os("LIGHTGBM_LIBRARY").expect("set LIGHTGBM_LIBRARY to LightGBM's shared library");
    let library = Library::open(Path::new(&path)).expect("LightGBM");
    let mut random = Random(7);
    let trees: Vec<Tree> = (0..TREES).map(|_| Tree::grow(&mut random)).collect();
    let given = std::env::args().nth(1).map(|path| std::fs::read_to_string(path).expect("a model text"));
    let text = given.clone().unwrap_or_else(|| model_text(&trees));

    let started = Instant::now();
    let mut model = Model::from_text(library, &text, Output::Normal).expect("a model");
    if let Some(path) = std::env::args().nth(2) {
        return over_rows(&mut model, &path);
    }
    println!("{model:?}, {} KB of text, read in {:?}", text.len() / 1000, started.elapsed());
    let features = model.feature_names().len();
    let rows: Vec<Vec<f64>> = (0..ROWS).map(|_| (0..features).map(|_| random.normal()).collect()).collect();
    let mut out = vec![0.0; model.classes()];
    if given.is_none() {
        for row in &rows {
            model.predict(row, &mut out).expect("a score");
            let mut sum = 0.0;
            trees.iter().for_each(|tree| sum += tree.score(row));
            assert_eq!(out[0].to_bits(), sum.to_bits(), "LightGBM and a plain walk agree");
        }
    }
    let mut contributions = vec![0.0; model.classes() * (features + 1)];
    for (kind, rows) in [("distinct", &rows[..]), ("repeated", &rows[..ROWS_FEW])] {
        println!("{} {kind} rows:", rows.len());
        measure("predict", rows, CALLS, |row| model.predict(row, &mut out));
        measure("predict_raw", rows, CALLS, |row| model.predict_raw(row, &mut out));
        measure("contributions", rows, CALLS_CONTRIBUTIONS, |row| model.contributions(row, &mut contributions));
    }
}

/// Rows from a file, each by itself, ten times over.
fn over_rows(model: &mut Model, path: &str) {
    let bytes = std::fs::read(path).expect("a file of rows");
    let values: Vec<f64> = bytes.as_chunks().0.iter().map(|&eight| f64::from_le_bytes(eight)).collect();
    let rows: Vec<&[f64]> = values.chunks_exact(model.feature_names().len()).collect();
    let mut out = vec![0.0; model.classes()];
    let mut sum = 0.0;
    for row in &rows {
        model.predict_raw(row, &mut out).expect("a score");
        sum += out[0];
    }
    let mut times = vec![1_u64; rows.len() * 10];
    for (time, row) in times.iter_mut().zip(rows.iter().cycle()) {
        let started = Instant::now();
        model.predict(row, &mut out).expect("a score");
        *time = started.elapsed().as_nanos() as u64;
    }
    let mean = times.iter().sum::<u64>() as f64 / times.len() as f64 / 1e3;
    times.sort_unstable();
    let at = |share: f64| times[((times.len() as f64 * share).ceil() as usize).clamp(1, times.len()) - 1] as f64 / 1e3;
    let (p50, p99, p99_9, max) = (at(0.5), at(0.99), at(0.999), at(1.0));
    println!(
        "{{\"rows\": {}, \"raw_sum\": {sum}, \"p50_us\": {p50}, \"p99_us\": {p99}, \"p99_9_us\": {p99_9}, \"max_us\": {max}, \"mean_us\": {mean}}}",
        rows.len()
    );
}

/// Every call by itself; reading the clock is part of it and shown too.
fn measure(name: &str, rows: &[Vec<f64>], calls: usize, mut call: impl FnMut(&[f64]) -> Result<(), ModelError>) {
    let mut times = Vec::with_capacity(calls);
    let mut clock = Vec::with_capacity(calls);
    for row in rows.iter().cycle().take(calls) {
        let started = Instant::now();
        if let Err(error) = call(row) {
            return println!("  {name}: {error}");
        }
        times.push(started.elapsed().as_nanos());
        let started = Instant::now();
        clock.push(started.elapsed().as_nanos());
    }
    times.sort_unstable();
    clock.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "  {name}: p50 {} p99 {} p99.9 {} ns (the clock itself: {} ns)",
        at(0.5),
        at(0.99),
        at(0.999),
        clock[clock.len() / 2]
    );
}

/// A tree grown by splitting a random leaf until there are enough: children below 0 are leaves, as in LightGBM.
struct Tree {
    feature: Vec<usize>,
    threshold: Vec<f64>,
    children: Vec<[i64; 2]>,
    value: Vec<f64>,
}

impl Tree {
    fn grow(random: &mut Random) -> Self {
        let mut tree = Self { feature: vec![], threshold: vec![], children: vec![], value: vec![] };
        for leaf in 0..LEAVES {
            tree.value.push(random.normal() / 100.0);
            if leaf == 0 {
                continue;
            }
            // Leaf `split` becomes a split whose sides are that leaf and the new one.
            let split = -1 - (random.bits() % leaf as u64) as i64;
            let node = tree.children.len() as i64;
            for child in tree.children.iter_mut().flatten().filter(|child| **child == split) {
                *child = node;
            }
            tree.children.push([split, -1 - leaf as i64]);
            tree.feature.push((random.bits() % FEATURES as u64) as usize);
            tree.threshold.push(random.normal());
        }
        tree
    }

    fn score(&self, row: &[f64]) -> f64 {
        let mut node = 0;
        while let Ok(split) = usize::try_from(node) {
            node = self.children[split][usize::from(row[self.feature[split]] > self.threshold[split])];
        }
        self.value[(-1 - node) as usize]
    }

    fn text(&self, index: usize) -> String {
        let list = |words: &mut dyn Iterator<Item = String>| words.collect::<Vec<_>>().join(" ");
        let same = |word: &str, count| vec![word; count].join(" ");
        let splits = LEAVES - 1;
        format!(
            "Tree={index}\nnum_leaves={LEAVES}\nnum_cat=0\nsplit_feature={}\nsplit_gain={zeros}\nthreshold={}\ndecision_type={}\n\
             left_child={}\nright_child={}\nleaf_value={}\nleaf_weight={zeros} 0\nleaf_count={}\ninternal_value={zeros}\n\
             internal_weight={zeros}\ninternal_count={}\nis_linear=0\nshrinkage=1\n\n\n",
            list(&mut self.feature.iter().map(usize::to_string)),
            list(&mut self.threshold.iter().map(f64::to_string)),
            same("2", splits),
            list(&mut self.children.iter().map(|sides| sides[0].to_string())),
            list(&mut self.children.iter().map(|sides| sides[1].to_string())),
            list(&mut self.value.iter().map(f64::to_string)),
            same("10", LEAVES),
            same("20", splits),
            zeros = same("0", splits),
        )
    }
}

fn model_text(trees: &[Tree]) -> String {
    let texts: Vec<String> = trees.iter().enumerate().map(|(index, tree)| tree.text(index)).collect();
    let sizes: Vec<String> = texts.iter().map(|text| text.len().to_string()).collect();
    let names: Vec<String> = (0..FEATURES).map(|feature| format!("f{feature}")).collect();
    format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx={}\nobjective=regression\n\
         feature_names={}\nfeature_infos={}\ntree_sizes={}\n\n{}end of trees\n",
        FEATURES - 1,
        names.join(" "),
        vec!["none"; FEATURES].join(" "),
        sizes.join(" "),
        texts.concat()
    )
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Near enough to normal: a sum of uniform numbers.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| (self.bits() >> 11) as f64 / (1u64 << 53) as f64).sum::<f64>() - 6.0
    }
}
