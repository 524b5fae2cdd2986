//! A damaged text is refused, or loads and scores; it never takes the process with it. Damage is seeded and done to the stored
//! models in child processes of this same test, which say what they are about to try before they try it.
//!
//! `MUTATIONS=100000 MUTATIONS_OF=folder cargo test -p fastfeat-lightgbm --test mutations` for more, and for other models.

mod common;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use common::{Random, fixtures, golden, library, names, text};
use fastfeat_lightgbm::{Model, ModelError, Output};

/// Mutations of each model, without `MUTATIONS`.
const MUTATIONS: u64 = 400;
/// A load and some scores take well below a millisecond: this is a hang.
const HANG: Duration = Duration::from_secs(60);
/// What numbers turn into.
const ODD_WORDS: [&str; 24] = [
    "",
    "-",
    "0",
    "1",
    "-1",
    "-2",
    "7",
    "99",
    "-99",
    "2147483647",
    "-2147483648",
    "4294967295",
    "99999999999999999999",
    "1e999",
    "-1e308",
    "nan",
    "inf",
    "-inf",
    "0x10",
    "1.5",
    "1e-320",
    "sigmoid:0",
    "num_class:9",
    "tree_sizes=1",
];
const ODD_BYTES: &[u8] = b"0123456789-.e =\nTia\0\r:";

fn folder() -> PathBuf {
    std::env::var_os("MUTATIONS_OF").map_or_else(fixtures, PathBuf::from)
}

#[test]
fn test_no_mutation_crashes_or_hangs() {
    let mutations = std::env::var("MUTATIONS").map_or(MUTATIONS, |count| count.parse().expect("a count"));
    let mut counts = [0; 3];
    for name in names(&folder()) {
        let (sender, answers) = mpsc::channel();
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "probe", "--ignored", "--nocapture"])
            .env("PROBE", format!("{name} {mutations}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let reader =
            std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut trying = None;
        loop {
            let line = match answers.recv_timeout(HANG) {
                Ok(line) => line,
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    child.kill().expect("a child");
                    panic!("{name}: mutation {trying:?} hangs");
                }
            };
            match line.strip_prefix("probe ").map(|line| line.split_once(' ').unwrap_or((line, ""))) {
                Some(("try", seed)) => trying = Some(seed.to_owned()),
                Some(("got", verdict)) => counts[verdict.parse::<usize>().expect("a verdict")] += 1,
                _ => {}
            }
        }
        let status = child.wait().expect("a child");
        assert!(status.success(), "{name}: mutation {trying:?} ends the process: {status}");
        assert_eq!(trying, Some((mutations - 1).to_string()), "{name}");
        reader.join().expect("no panic").expect("somebody listens");
    }
    let [refused, scored, refused_by_lightgbm] = counts;
    println!("{refused} refused, {scored} scored, {refused_by_lightgbm} refused by LightGBM itself");
    assert!(refused > scored && scored > 0, "both ways are tried: {counts:?}");
}

/// The child: one model, all its mutations.
#[test]
#[ignore = "the child process of the test above, which runs it once a model: damage may end a process"]
fn probe() {
    let Ok(task) = std::env::var("PROBE") else { return };
    let (name, mutations) = task.split_once(' ').expect("NAME COUNT");
    let (folder, library) = (folder(), library());
    let (text, rows) = (text(&folder, name), golden(&folder, name));
    for seed in 0..mutations.parse().expect("a count") {
        println!("probe try {seed}");
        let mutated = mutate(&text, seed);
        let verdict = match Model::from_text(library.clone(), &mutated, Output::Normal) {
            Err(ModelError::Text { .. }) => 0,
            Err(_) => 2,
            Ok(mut model) => {
                let features = model.feature_names().len();
                let mut out = vec![0.0; model.classes()];
                let mut contributions = vec![0.0; model.classes() * (features + 1)];
                for golden in &rows {
                    let row: Vec<f64> = golden.row.iter().copied().cycle().take(features).collect();
                    model.predict(&row, &mut out).expect("a score");
                    model.predict_raw(&row, &mut out).expect("a score");
                    match model.contributions(&row, &mut contributions) {
                        Ok(()) | Err(ModelError::NoContributions(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                1
            }
        };
        println!("probe got {verdict}");
    }
}

/// Some damage, mostly before the end of the trees, mostly with the trees' sizes put right so that they do not give it away.
fn mutate(text: &str, seed: u64) -> String {
    let mut random = Random(seed);
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..1 + random.below(3) {
        let end = text.find("end of trees").expect("there").min(bytes.len());
        let end = if random.below(20) == 0 { bytes.len() } else { end };
        if end > 0 {
            damage(&mut bytes, end, &mut random);
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if random.below(4) == 0 { text } else { sized(&text) }
}

fn damage(bytes: &mut Vec<u8>, end: usize, random: &mut Random) {
    let at = random.below(end);
    match random.below(14) {
        0 => bytes[at] ^= 1 << random.below(8),
        1..=2 => {
            // A digit, the next there is.
            if let Some(digit) = bytes[at..].iter_mut().find(|byte| byte.is_ascii_digit()) {
                *digit =
                    if random.below(2) == 0 { *digit ^ (1 << random.below(4)) } else { b'0' + random.below(10) as u8 };
            }
        }
        3 => drop(bytes.remove(at)),
        4 => bytes.insert(at, ODD_BYTES[random.below(ODD_BYTES.len())]),
        5 => bytes.truncate(at),
        6 => drop(bytes.drain(at..(at + random.below(200)).min(end))),
        7 => {
            let copied = bytes[at..(at + random.below(300)).min(end)].to_vec();
            let to = random.below(end);
            drop(bytes.splice(to..to, copied));
        }
        8 => lines(bytes, |lines| drop(lines.remove(random.below(lines.len())))),
        9 => lines(bytes, |lines| {
            let (from, to) = (random.below(lines.len()), random.below(lines.len()));
            lines.swap(from, to);
        }),
        10 => lines(bytes, |lines| {
            // The value of one line for another: children of another tree, thresholds for leaves.
            let (from, to) = (random.below(lines.len()), random.below(lines.len()));
            if let (Some((_, value)), Some((key, _))) = (lines[from].split_once('='), lines[to].split_once('=')) {
                lines[to] = format!("{key}={value}");
            }
        }),
        kind => lines(bytes, |lines| {
            let line = random.below(lines.len());
            let Some((key, value)) = lines[line].split_once('=') else { return };
            let mut words: Vec<&str> = value.split(' ').collect();
            let (from, to) = (random.below(words.len()), random.below(words.len()));
            match kind {
                11 => words.swap(from, to),
                12 => {
                    words[from] =
                        if random.below(3) == 0 { words[to] } else { ODD_WORDS[random.below(ODD_WORDS.len())] }
                }
                _ if random.below(2) == 0 => drop(words.remove(from)),
                _ => words.insert(to, words[from]),
            }
            lines[line] = format!("{key}={}", words.join(" "));
        }),
    }
}

/// Edits a text as lines.
fn lines(bytes: &mut Vec<u8>, edit: impl FnOnce(&mut Vec<String>)) {
    let mut lines: Vec<String> = String::from_utf8_lossy(bytes).split('\n').map(str::to_owned).collect();
    edit(&mut lines);
    *bytes = lines.join("\n").into_bytes();
}

/// `text` with the true sizes of what looks like its trees.
fn sized(text: &str) -> String {
    let Some((before, rest)) = text.split_once("\ntree_sizes=") else { return text.to_owned() };
    let Some((_, after)) = rest.split_once('\n') else { return text.to_owned() };
    let mut sizes: Vec<usize> = Vec::new();
    for line in after.split_inclusive('\n') {
        if line.starts_with("end of trees") {
            break;
        }
        if line.starts_with("Tree=") {
            sizes.push(0);
        }
        if let Some(size) = sizes.last_mut() {
            *size += line.len();
        }
    }
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    format!("{before}\ntree_sizes={}\n{after}", sizes.join(" "))
}
