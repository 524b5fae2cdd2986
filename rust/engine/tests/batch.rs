//! Many events at once, table beside table on several threads, equal the loop: the rows and the state, bit for bit.

mod beside;
mod stopping;
mod together;

use std::ops::Range;
use std::sync::Arc;

use beside::{payments, suitable, without_texts};
use fastfeat_engine::batch::{BatchError, Block, Column, Piece, Sink, Source};
use fastfeat_engine::codec;
use fastfeat_engine::engine::{Engine, Options};
use fastfeat_engine::error::EventError;
use fastfeat_engine::event::{Event, Value};
use fastfeat_engine::plan::Plan;
use fastfeat_engine::row::FeatureRow;
use stopping::{Raw, bytes, compile, counts, push, restored, some};
use together::{answered_together, plain_payments};

/// All of that.
fn plan(lateness: i64) -> Arc<Plan> {
    compile(&suitable(), lateness, "reject").expect("each of them compiles")
}

/// The rows of a batch, and what ended it.
fn batch(engine: &mut Engine, events: &[Raw], threads: usize, rows_max: usize) -> (Vec<String>, Option<String>) {
    let chunk = if threads == 1 { 0 } else { 1_024 };
    batch_by(chunk, engine, events, threads, rows_max)
}

/// The same, so many rows at a time.
fn batch_by(
    chunk: usize,
    engine: &mut Engine,
    events: &[Raw],
    threads: usize,
    rows_max: usize,
) -> (Vec<String>, Option<String>) {
    let schema = engine.plan().clone();
    let read = |row: usize, event: &mut Event| -> Result<(), EventError> {
        codec::json::decode(&schema.streams[0].schema, events[row].1.as_bytes(), event)
    };
    let mut rows = Vec::new();
    let outcome = engine.push_rows_by(chunk, 0, events.len(), threads, &read, &mut |row: &FeatureRow| {
        if rows.len() == rows_max {
            return Err("enough");
        }
        rows.push(format!("{row:?}"));
        Ok(())
    });
    let ended = outcome.err().map(|error| match error {
        BatchError::Event { error, row } => format!("row {row}: {error}"),
        BatchError::Emit(error) => error.to_owned(),
    });
    (rows, ended)
}

/// Takes rows piece by piece.
#[derive(Default)]
struct Pieces(Vec<Vec<String>>);

impl Sink for Pieces {
    type Error = ();
    type Piece<'a> = Lines<'a>;

    fn push(&mut self, row: &FeatureRow) -> Result<(), ()> {
        self.0.push(vec![format!("{row:?}")]);
        Ok(())
    }

    fn pieces(&mut self, rows: &[usize]) -> Option<Vec<Lines<'_>>> {
        let start = self.0.len();
        self.0.resize(start + rows.len(), Vec::new());
        Some(self.0[start..].iter_mut().map(Lines).collect())
    }
}

struct Lines<'a>(&'a mut Vec<String>);

impl Piece for Lines<'_> {
    fn take(&mut self, block: &Block) {
        let mut row = FeatureRow::default();
        for index in 0..block.rows() {
            block.row(index, &mut row);
            self.0.push(format!("{row:?}"));
        }
    }
}

#[test]
fn rows_made_column_by_column_equal_the_loop() {
    let all = without_texts();
    assert!(all.len() > 300, "{} features are no texts", all.len());
    for seed in 0..4 {
        let chosen = if seed == 0 { all.clone() } else { some(&all, seed, 20) };
        let plan = compile(&chosen, seed as i64, "reject").expect("each of them compiles");
        let events = payments(seed, 3_000, 60, seed);
        let mut alone = Engine::new(Arc::clone(&plan));
        let (wanted, ended) = batch_by(0, &mut alone, &events, 1, usize::MAX);
        assert_eq!(ended, None);
        for (threads, chunk) in [(1, 700), (3, 100)] {
            let mut several = Engine::new(Arc::clone(&plan));
            let mut pieces = Pieces::default();
            let read = |row: usize, event: &mut Event| {
                codec::json::decode(&plan.streams[0].schema, events[row].1.as_bytes(), event)
            };
            several.push_rows_by(chunk, 0, events.len(), threads, &read, &mut pieces).expect("valid and in order");
            assert!(pieces.0.len() < 100, "rows come in pieces");
            let found: Vec<String> = pieces.0.concat();
            let wrong = found.iter().zip(&wanted).position(|(a, b)| a != b);
            assert!(wrong.is_none() && found.len() == wanted.len(), "seed {seed}: row {wrong:?}");
            assert!(bytes(&several) == bytes(&alone), "seed {seed}: both have come to the same state");
        }
    }
}

/// Events without nulls that lie as columns too.
struct Table {
    events: Vec<Event>,
    columns: Vec<Owned>,
}

enum Owned {
    Float(Vec<f64>),
    Int(Vec<i64>),
    Time(Vec<i64>),
    /// From the second bit on.
    Bool(Vec<u8>),
    Text(Vec<i32>, String),
}

impl Table {
    fn new(plan: &Plan, events: &[Raw]) -> Self {
        let schema = &plan.streams[0].schema;
        let read = |(_, text): &Raw| {
            let mut event = Event::default();
            codec::json::decode(schema, text.as_bytes(), &mut event).expect("a valid event");
            event
        };
        let events: Vec<Event> = events.iter().map(read).collect();
        let columns = (0..schema.fields.len()).map(|column| Owned::new(&events, column)).collect();
        Self { events, columns }
    }
}

impl Owned {
    fn new(events: &[Event], column: usize) -> Self {
        let mut owned = match events[0].values[column] {
            Value::Float(_) => Self::Float(Vec::new()),
            Value::Int(_) => Self::Int(Vec::new()),
            Value::Time(_) => Self::Time(Vec::new()),
            Value::Bool(_) => Self::Bool(vec![0; events.len() / 8 + 1]),
            Value::Text(_) => Self::Text(vec![0], String::new()),
            Value::Null => panic!("there are no nulls"),
        };
        for (place, event) in events.iter().enumerate() {
            match (&mut owned, event.values[column]) {
                (Self::Float(values), Value::Float(value)) => values.push(value),
                (Self::Int(values), Value::Int(value)) | (Self::Time(values), Value::Time(value)) => values.push(value),
                (Self::Bool(bytes), Value::Bool(value)) => {
                    bytes[(place + 1) / 8] |= u8::from(value) << ((place + 1) % 8);
                }
                (Self::Text(ends, text), Value::Text(value)) => {
                    text.push_str(event.text(value));
                    ends.push(text.len() as i32);
                }
                _ => panic!("values of a field are of its type"),
            }
        }
        owned
    }
}

impl Source for Table {
    fn read(&self, row: usize, event: &mut Event) -> Result<(), EventError> {
        event.clone_from(&self.events[row]);
        Ok(())
    }

    fn column(&self, column: usize, rows: &Range<usize>) -> Option<Column<'_>> {
        Some(match &self.columns[column] {
            Owned::Float(values) => Column::Float(&values[rows.clone()]),
            Owned::Int(values) => Column::Int(&values[rows.clone()]),
            Owned::Time(values) => Column::Time(&values[rows.clone()]),
            Owned::Bool(bytes) => Column::Bool(bytes, 1 + rows.start),
            Owned::Text(offsets, text) => {
                let offsets = &offsets[rows.start..=rows.end];
                Column::Text(offsets, &text[offsets[0] as usize..offsets[rows.len()] as usize])
            }
        })
    }
}

#[test]
fn events_that_lie_as_columns_equal_the_loop() {
    let all = without_texts();
    for seed in 0..5 {
        let chosen = if seed == 0 { all.clone() } else { some(&all, seed, 25) };
        let disorder = seed % 2 * 7;
        let plan = compile(&chosen, disorder as i64, "reject").expect("each of them compiles");
        let mut events = payments(seed, 4_000, 60, disorder);
        events.retain(|(_, text)| !text.contains("null"));
        if seed == 4 {
            // This one is late.
            events.insert(2_345, (0, events[0].1.replacen("\"ts\":", "\"ts\":-", 1)));
        }
        let mut alone = Engine::new(Arc::clone(&plan));
        let (wanted, ended) = batch_by(0, &mut alone, &events, 1, usize::MAX);
        assert_eq!(ended.is_some(), seed == 4);
        let table = Table::new(&plan, &events);
        for (threads, chunk) in [(1, 5_000), (2, 1_000), (3, 64)] {
            let mut several = Engine::new(Arc::clone(&plan));
            let mut pieces = Pieces::default();
            let outcome = several.push_rows_by(chunk, 0, events.len(), threads, &table, &mut pieces);
            let found_end = outcome.err().map(|error| match error {
                BatchError::Event { error, row } => format!("row {row}: {error}"),
                BatchError::Emit(()) => "refused".to_owned(),
            });
            assert_eq!(found_end, ended);
            let found: Vec<String> = pieces.0.concat();
            let wrong = found.iter().zip(&wanted).position(|(a, b)| a != b);
            assert!(wrong.is_none() && found.len() == wanted.len(), "seed {seed}: row {wrong:?}");
            assert!(bytes(&several) == bytes(&alone), "seed {seed}: both have come to the same state");
            assert_eq!(format!("{:?}", counts(&several)), format!("{:?}", counts(&alone)), "seed {seed}");
        }
    }
}

#[test]
fn threads_equal_the_loop() {
    for (seed, cards, disorder) in [(1, 40, 0), (2, 700, 6)] {
        let plan = plan(disorder as i64);
        let events = payments(seed, 6_000, cards, disorder);
        assert!(Engine::new(Arc::clone(&plan)).goes_in_steps(0));
        let mut alone = Engine::new(Arc::clone(&plan));
        let wanted = batch(&mut alone, &events, 1, usize::MAX);
        for threads in [2, 3] {
            let mut several = Engine::new(Arc::clone(&plan));
            let found = batch(&mut several, &events, threads, usize::MAX);
            assert_eq!(found.1, wanted.1);
            assert!(
                found.0 == wanted.0,
                "first different row: {:?}",
                found.0.iter().zip(&wanted.0).position(|(a, b)| a != b)
            );
            assert!(bytes(&several) == bytes(&alone), "both have come to the same state");
            assert_eq!(format!("{:?}", counts(&several)), format!("{:?}", counts(&alone)));
            // Texts are used as often as before.
            let more = payments(seed + 10, 5_000, cards, 0);
            let later = |(_, text): &Raw| (0, text.replacen("\"ts\":", "\"ts\":100", 1));
            let more: Vec<Raw> = more.iter().map(later).collect();
            let mut loop_again = restored(&plan, Options::default(), &bytes(&alone)).expect("what was written is read");
            assert!(batch(&mut several, &more, threads, usize::MAX) == batch(&mut loop_again, &more, 1, usize::MAX));
            assert!(bytes(&several) == bytes(&loop_again));
        }
    }
}

#[test]
fn a_few_features_equal_the_loop_too() {
    for seed in 0..6 {
        let chosen = some(&suitable(), seed, 1 + seed as usize * 2);
        let plan = compile(&chosen, 4, "reject").expect("each of them compiles");
        let events = payments(seed, 4_500, 30, 5);
        let (mut alone, mut several) = (Engine::new(Arc::clone(&plan)), Engine::new(Arc::clone(&plan)));
        let (wanted, found) = (batch(&mut alone, &events, 1, usize::MAX), batch(&mut several, &events, 2, usize::MAX));
        assert!(found == wanted, "seed {seed}: {:?}", found.1);
        assert!(bytes(&several) == bytes(&alone), "seed {seed}");
    }
}

#[test]
fn an_event_that_is_refused_ends_the_batch_after_those_before_it() {
    let plan = plan(0);
    let mut events = payments(3, 6_000, 50, 0);
    for (name, bad) in [("late", r#"{"ts": 5, "card": "a", "count": 1, "declined": false}"#), ("broken", "{")] {
        for place in [0, 1_023, 1_024, 5_999] {
            let kept = std::mem::replace(&mut events[place], (0, bad.to_owned()));
            // The first event is late for none.
            if name == "broken" || place > 0 {
                let (mut alone, mut several) = (Engine::new(Arc::clone(&plan)), Engine::new(Arc::clone(&plan)));
                let (wanted, found) =
                    (batch(&mut alone, &events, 1, usize::MAX), batch(&mut several, &events, 2, usize::MAX));
                assert!(wanted.1.as_ref().is_some_and(|ended| ended.starts_with(&format!("row {place}:"))));
                assert!(found == wanted, "{name} at {place}: {:?}", found.1);
                assert!(bytes(&several) == bytes(&alone), "{name} at {place}");
            }
            events[place] = kept;
        }
    }
}

#[test]
fn a_row_that_cannot_be_taken_ends_the_batch_and_leaves_an_engine_that_goes_on() {
    let plan = plan(0);
    let events = payments(4, 6_000, 50, 0);
    let mut engine = Engine::new(Arc::clone(&plan));
    let (rows, ended) = batch(&mut engine, &events, 2, 1_500);
    assert_eq!((rows.len(), ended.as_deref()), (1_500, Some("enough")));
    let pushed = engine.stats().events[0] as usize;
    assert!((1_501..=5_000).contains(&pushed), "{pushed} events have been pushed");
    let mut alone = Engine::new(Arc::clone(&plan));
    batch(&mut alone, &events[..pushed], 1, usize::MAX);
    assert_eq!(push(&mut engine, &events[pushed]), push(&mut alone, &events[pushed]));
    assert!(bytes(&engine) == bytes(&alone));
}

#[test]
fn rows_of_a_key_together_equal_the_loop() {
    // Few cards have logs of many events, many have none left when they come again.
    for (seed, cards, disorder, odd, windows) in [
        (1, 40, 0, 3_000, vec![7, 60, 900]),
        (2, 3, 0, 3_000, vec![1, 20, 90]),
        (3, 400, 0, 100, vec![40, 2_000]),
        (4, 25, 6, 3_000, vec![5, 300]),
        (5, 1, 0, u64::MAX, vec![3_000]),
        (6, 900, 0, 3_000, vec![90]),
        (7, 60, 0, 3_000, vec![0, 33, 400]),
    ] {
        for seed in [seed, seed + 100, seed + 200] {
            let all = answered_together(&windows);
            let chosen = if seed < 100 { all } else { some(&all, seed, 1 + seed as usize % 13) };
            let plan = compile(&chosen, disorder as i64, "reject").expect("each of them compiles");
            let events = plain_payments(seed, 9_000, cards, disorder, odd);
            let mut alone = Engine::new(Arc::clone(&plan));
            let wanted: Vec<String> = events
                .iter()
                .map(|(_, text)| {
                    let mut event = Event::default();
                    codec::json::decode(&plan.streams[0].schema, text.as_bytes(), &mut event).expect("a valid event");
                    assert!(alone.push(0, &mut event).expect("it is not late"), "the stream has features");
                    format!("{:?}", alone.row())
                })
                .collect();
            for (threads, chunk) in [(1, 5_000), (2, 1_024), (1, 100)] {
                let mut together = Engine::new(Arc::clone(&plan));
                let (found, ended) = batch_by(chunk, &mut together, &events, threads, usize::MAX);
                let wrong = found.iter().zip(&wanted).position(|(a, b)| a != b);
                assert!(
                    wrong.is_none() && ended.is_none() && found.len() == wanted.len(),
                    "seed {seed}: row {wrong:?}, {ended:?}"
                );
                assert_eq!(format!("{:?}", counts(&together)), format!("{:?}", counts(&alone)), "seed {seed}");
                assert!(bytes(&together) == bytes(&alone), "seed {seed}: both have come to the same state");
                // And both go on alike.
                let mut other = restored(&plan, Options::default(), &bytes(&alone)).expect("what was written is read");
                for (_, text) in plain_payments(seed + 1_000, 300, cards, 0, odd) {
                    let later = (0, text.replacen("\"ts\":", "\"ts\":10", 1));
                    assert_eq!(push(&mut together, &later), push(&mut other, &later), "seed {seed}");
                }
                assert!(bytes(&together) == bytes(&other), "seed {seed}");
            }
        }
    }
}
