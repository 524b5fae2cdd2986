//! The `cards` work without Python: the engine's core, and the plain Rust loop that it is measured against, one event after the other.
//!
//! `compare plain18|plain30 EVENTS` or `compare core EVENTS DEFINITION` prints one line of JSON. `benches/rust_loop.py` builds and calls it:
//! it writes the events (`events.rs` has their layout) and the definition, and checks the sampled rows. `--rounds 0` leaves the latencies out,
//! `--delay-us N` wastes so much with every event of the engine, which shows that a gate closes; `--final N` asks for the bits of the rows of the first N cards after the last event.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock; the engine does not")]

mod core;
mod events;
mod plain;

use std::hint::black_box;
use std::time::{Duration, Instant};

use events::{Events, Payment};
use serde_json::{Value as Json, json};

/// Events that are made ready before the clock starts: their texts are then as warm as those of an event that has just been received.
const CHUNK: usize = 512;
const SAMPLES: usize = 20;

/// One that takes a payment and has its row in hand before the next is given.
pub trait Contender {
    /// Names of the features, in order.
    fn names(&self) -> Vec<String>;
    /// The row of a payment.
    fn push(&mut self, payment: &Payment) -> &[f64];
    /// Bytes of state, where it counts them.
    fn state_bytes(&self) -> Option<u64>;
    /// The bits of the rows of the first so many cards after the last event, as one number.
    fn final_bits(&mut self, cards: usize, ts: i64) -> Option<u64>;
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let option = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)?.parse::<usize>().ok()
    };
    let path = |place: usize| arguments.get(place).expect("compare plain18|plain30|core EVENTS [DEFINITION]");
    if arguments.is_empty() || arguments[0] == "--test" {
        return smoke();
    }
    let events = Events::read(path(1));
    let mut make: Box<dyn FnMut() -> Box<dyn Contender>> = match path(0).as_str() {
        "plain18" => Box::new(|| Box::new(plain::Plain::<false>::default())),
        "plain30" => Box::new(|| Box::new(plain::Plain::<true>::default())),
        "core" => {
            let text = std::fs::read_to_string(path(2)).expect("a definition");
            let delay = Duration::from_micros(option("--delay-us").unwrap_or(0) as u64);
            Box::new(move || {
                let core = core::Core::new(&text);
                if delay.is_zero() { Box::new(core) } else { Box::new(Slow { core, delay }) }
            })
        }
        other => panic!("`{other}` is no contender; write plain18, plain30 or core"),
    };
    let mut answer = through(make().as_mut(), &events, option("--final"));
    if option("--rounds") != Some(0) {
        // A table that grows and memory that is touched first cost once; a service has them behind it.
        let history = events.len() * 4 / 5;
        answer["latency"] = latencies(make().as_mut(), &events, history);
    }
    println!("{answer}");
}

/// An engine that is slower than it is.
struct Slow {
    core: core::Core,
    delay: Duration,
}

impl Contender for Slow {
    fn names(&self) -> Vec<String> {
        self.core.names()
    }

    fn push(&mut self, payment: &Payment) -> &[f64] {
        let started = Instant::now();
        while started.elapsed() < self.delay {}
        self.core.push(payment)
    }

    fn state_bytes(&self) -> Option<u64> {
        self.core.state_bytes()
    }

    fn final_bits(&mut self, cards: usize, ts: i64) -> Option<u64> {
        self.core.final_bits(cards, ts)
    }
}

/// All events, timed in chunks, and the rows of some.
fn through(contender: &mut dyn Contender, events: &Events, last_cards: Option<usize>) -> Json {
    let resident = resident_bytes();
    let step = (events.len() / SAMPLES).max(1);
    let mut payments = vec![Payment::default(); CHUNK];
    let mut samples = serde_json::Map::new();
    let mut nanoseconds = 0;
    let mut sum = 0.0;
    for start in (0..events.len()).step_by(CHUNK) {
        let chunk = CHUNK.min(events.len() - start);
        for (place, payment) in payments[..chunk].iter_mut().enumerate() {
            events.fill(start + place, payment);
        }
        // A sampled event is timed too: copying its row is one of 20 in all.
        let started = Instant::now();
        for (place, payment) in payments[..chunk].iter().enumerate() {
            let row = contender.push(payment);
            sum += black_box(row[row.len() - 1]);
            if (start + place).is_multiple_of(step) {
                let row: Vec<Json> = row.iter().map(|&x| if x.is_nan() { Json::Null } else { json!(x) }).collect();
                samples.insert((start + place).to_string(), Json::Array(row));
            }
        }
        nanoseconds += started.elapsed().as_nanos() as u64;
    }
    black_box(sum);
    let newest = events.newest();
    json!({
        "names": contender.names(), "events": events.len(), "ns_per_event": nanoseconds as f64 / events.len() as f64,
        "state_bytes": contender.state_bytes(), "resident_bytes": resident_bytes().saturating_sub(resident), "samples": samples,
        "final_bits": last_cards.and_then(|cards| contender.final_bits(cards, newest)).map(|bits| format!("{bits:016x}")),
    })
}

/// Every event after the history by itself; reading the clock is part of it.
fn latencies(contender: &mut dyn Contender, events: &Events, history: usize) -> Json {
    let mut payment = Payment::default();
    for place in 0..history {
        events.fill(place, &mut payment);
        black_box(contender.push(&payment));
    }
    let count = events.len() - history;
    // Touched now, so that no page of it faults between two events.
    let mut times = vec![1_u64; count];
    let mut sums = vec![0.0; contender.names().len()];
    for (time, place) in times.iter_mut().zip(history..events.len()) {
        events.fill(place, &mut payment);
        let started = Instant::now();
        let row = black_box(contender.push(&payment));
        *time = started.elapsed().as_nanos() as u64;
        sums.iter_mut().zip(row).filter(|(_, x)| x.is_finite()).for_each(|(sum, x)| *sum += x);
    }
    times.sort_unstable();
    let at = |share: f64| times[((count as f64 * share).ceil() as usize).clamp(1, count) - 1] as f64 / 1e3;
    json!({"events": count, "p50_us": at(0.5), "p99_us": at(0.99), "p99_9_us": at(0.999), "max_us": at(1.0), "sums": sums})
}

/// What the process holds, from Linux; 0 elsewhere.
fn resident_bytes() -> u64 {
    let pages = |text: String| text.split(' ').nth(1)?.parse::<u64>().ok();
    std::fs::read_to_string("/proc/self/statm").ok().and_then(pages).unwrap_or(0) * 4096
}

/// `cargo test --bench compare` gives no arguments: both forms of the loop, on events that need no file.
fn smoke() {
    let events = Events::few(2_000);
    let full = through(&mut plain::Plain::<true>::default(), &events, None);
    let part = through(&mut plain::Plain::<false>::default(), &events, None);
    let (full, part) = (&full["samples"]["1900"], &part["samples"]["1900"]);
    assert_eq!(full.as_array().expect("a row")[..18], part.as_array().expect("a row")[..]);
    assert!(full[12].as_f64().expect("a count") >= 1.0);
}
