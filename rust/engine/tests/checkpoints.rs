//! Stop, restore, go on equals never stopped, bit for bit; and a damaged file is refused, never believed.

mod stopping;

use std::sync::Arc;

use fastfeat_engine::checkpoint::FORMAT_VERSION;
use fastfeat_engine::engine::{Engine, OnLimit, Options};
use fastfeat_engine::plan::Plan;
use proptest::prelude::*;
use serde_json::Value as Json;
use stopping::{Raw, bytes, compile, counts, events, features, push, restored, some};

/// Pushes events; at each of `stops` the engine is written and another goes on from that.
fn assert_goes_on(plan: &Arc<Plan>, options: &Options, events: &[Raw], stops: &[usize]) {
    let mut never = Engine::with_options(Arc::clone(plan), options.clone());
    let mut stopped = Engine::with_options(Arc::clone(plan), options.clone());
    for (place, event) in events.iter().enumerate() {
        if stops.contains(&place) {
            let written = bytes(&stopped);
            stopped = restored(plan, options.clone(), &written).expect("what was written is read");
            assert!(bytes(&stopped) == written, "the same state gives the same bytes, at {place}");
            assert_eq!(format!("{:?}", counts(&stopped)), format!("{:?}", counts(&never)), "at {place}");
            assert!(stopped.late_events().eq(never.late_events()), "at {place}");
        }
        assert_eq!(push(&mut stopped, event), push(&mut never, event), "event {place} {event:?}");
    }
    assert!(bytes(&stopped) == bytes(&never), "both have come to the same state");
    assert_eq!(format!("{:?}", counts(&stopped)), format!("{:?}", counts(&never)));
}

#[test]
fn every_aggregation_over_every_window_goes_on() {
    let all = features();
    for name in fastfeat_engine::aggregate::AGGREGATES.iter().map(|aggregate| aggregate.name) {
        let windows = all
            .iter()
            .filter(|feature| feature["name"].as_str().is_some_and(|own| own.starts_with(&format!("{name}_"))))
            .count();
        assert!(windows >= 6, "`{name}` is asked over {windows} windows");
    }
    for (disorder, on_late, cards) in [(0, "reject", 3), (20, "emit", 1)] {
        let plan = compile(&all, disorder as i64 / 2, on_late).expect("each of them compiles");
        assert_goes_on(&plan, &Options::default(), &events(7, 1_100, cards, disorder), &[1, 31, 32, 33, 300, 777]);
    }
}

#[test]
fn a_log_of_thousands_of_events_goes_on() {
    let long = |mut feature: Json| {
        feature["expression"]["window"]["length_ns"] = 1_000_000_000.into();
        feature
    };
    let first = |feature: &&Json| feature["name"].as_str().is_some_and(|name| name.ends_with("_0"));
    let all: Vec<Json> = features().iter().filter(first).cloned().map(long).collect();
    let plan = compile(&all, 20, "emit").expect("each of them compiles");
    assert_goes_on(&plan, &Options::default(), &events(3, 9_000, 1, 20), &[3_000, 4_500, 8_950]);
}

#[test]
fn keys_that_leave_leave_after_a_restart_too() {
    let all = features();
    let rolling: Vec<Json> =
        all.iter().filter(|feature| feature["expression"]["window"]["kind"] == "rolling").cloned().collect();
    let plan = compile(&rolling, 3, "reject").expect("each of them compiles");
    let mut many = events(11, 1_500, 400, 4);
    many.extend(
        events(12, 300, 2, 4).into_iter().map(|(stream, text)| (stream, text.replacen("\"ts\":", "\"ts\":100", 1))),
    );
    let mut never = Engine::new(Arc::clone(&plan));
    many.iter().for_each(|event| drop(push(&mut never, event)));
    assert!(never.stats().expired > 0, "some keys have left");
    assert_goes_on(&plan, &Options::default(), &many, &[400, 900, 1_501, 1_600]);
    // What is idle goes, of all-time features too; and by a limit where there is one.
    let idle = Options { idle_after: Some(700), ..Options::default() };
    let plan = compile(&some(&all, 3, 60), 3, "reject").expect("each of them compiles");
    assert_goes_on(&plan, &idle, &many, &[400, 900, 1_501, 1_600]);
    let other = Options { idle_after: Some(701), ..Options::default() };
    let refused = restored(
        &plan,
        other,
        &bytes(&restored(&plan, idle.clone(), &bytes(&Engine::with_options(Arc::clone(&plan), idle))).expect("fits")),
    );
    assert!(refused.expect_err("another option").contains("`idle_after` of 700 ticks, and 701 ticks is asked for"));
    let limited = Options { memory_limit: Some(64 << 20), on_limit: OnLimit::EvictIdle, ..Options::default() };
    assert_goes_on(&plan, &limited, &many, &[400, 1_501]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_features_go_on_from_anywhere(
        seed in any::<u64>(),
        count in 1..10_usize,
        cards in 1..6_u64,
        disorder in prop::sample::select(vec![0_u64, 3, 40]),
        emits in any::<bool>(),
        stops in prop::collection::vec(0..500_usize, 1..6),
    ) {
        let chosen = some(&features(), seed, count);
        let plan = compile(&chosen, (disorder * 3 / 4) as i64, if emits { "emit" } else { "reject" }).expect("each compiles");
        assert_goes_on(&plan, &Options::default(), &events(seed, 500, cards, disorder), &stops);
    }
}

/// A small state with something of everything.
fn small() -> (Arc<Plan>, Engine) {
    let plan = compile(&some(&features(), 5, 40), 10, "emit").expect("each compiles");
    let mut engine = Engine::new(Arc::clone(&plan));
    events(5, 60, 2, 12).iter().for_each(|event| drop(push(&mut engine, event)));
    (plan, engine)
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let (plan, engine) = small();
    let whole = bytes(&engine);
    for end in 0..whole.len() {
        let refused = restored(&plan, Options::default(), &whole[..end]).expect_err("a part of it");
        assert!(refused.contains("it ends in the middle of"), "cut at {end}: {refused}");
    }
    let more = [&whole[..], b"x"].concat();
    assert!(
        restored(&plan, Options::default(), &more).expect_err("more than it").contains("1 bytes come after its end")
    );
}

#[test]
fn a_byte_that_is_changed_anywhere_is_found() {
    let (plan, engine) = small();
    let mut bytes = bytes(&engine);
    for place in 0..bytes.len() {
        let was = bytes[place];
        for now in [was ^ 1, was ^ 0x80, !was] {
            bytes[place] = now;
            assert!(restored(&plan, Options::default(), &bytes).is_err(), "byte {place} was {was} and is {now}");
        }
        bytes[place] = was;
    }
    assert!(restored(&plan, Options::default(), &bytes).is_ok());
}

/// Sections as (header, payload), whose checksums are made right again: what a wrong program could write.
fn sections(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut found, mut at) = (Vec::new(), 12);
    while at < bytes.len() {
        let length = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().expect("eight bytes")) as usize;
        found.push((bytes[at..at + 24].to_vec(), bytes[at + 24..at + 24 + length].to_vec()));
        at += 24 + length;
    }
    found
}

fn joined(preamble: &[u8], sections: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = preamble.to_vec();
    let (mut headers, mut count) = (0, 0_u64);
    for (header, payload) in sections {
        let mut payload = payload.clone();
        if header[0] == 9 {
            payload =
                [&(bytes.len() as u64).to_le_bytes()[..], &count.to_le_bytes(), &u32::to_le_bytes(headers)].concat();
        }
        let mut header = header[..8].to_vec();
        header.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        header.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        let own = crc32c::crc32c(&header);
        header.extend_from_slice(&own.to_le_bytes());
        headers = crc32c::crc32c_append(headers, &header);
        count += 1;
        bytes.extend(header);
        bytes.extend(payload);
    }
    bytes
}

#[test]
fn a_key_that_is_there_twice_is_damage_whether_keys_sleep_or_not() {
    let (plan, engine) = small();
    let whole = bytes(&engine);
    let mut found = sections(&whole);
    let keys = found.iter_mut().find(|section| section.0[0] == 7).expect("there are keys");
    let again = keys.1[8..].to_vec();
    keys.1.extend(again);
    let twice = joined(&whole[..12], &found);
    for by in [(1, false), (1, true), (2, false), (2, true)] {
        let refused = read_by(&plan, by, &twice).expect_err("a key is there twice");
        assert!(refused.contains("a key of a table is there twice, or too long"), "{refused}");
    }
}

/// Damage that no checksum finds: nothing may panic or ask for memory without end.
#[test]
fn payloads_with_right_checksums_and_wrong_bytes_never_panic() {
    let (plan, engine) = small();
    let whole = bytes(&engine);
    let found = sections(&whole);
    assert!(joined(&whole[..12], &found) == whole, "the test knows the format");
    let probe = events(6, 40, 2, 12);
    for section in 0..found.len() {
        for place in 0..found[section].1.len() {
            for change in [0x01, 0x80, 0xFF] {
                let mut changed = found.clone();
                changed[section].1[place] ^= change;
                if let Ok(mut engine) = restored_anyhow(&plan, &joined(&whole[..12], &changed)) {
                    if place % 7 == 0 {
                        probe.iter().for_each(|event| drop(push(&mut engine, event)));
                    }
                    let _ = engine.stats();
                }
            }
        }
    }
}

fn restored_anyhow(plan: &Arc<Plan>, bytes: &[u8]) -> Result<Engine, String> {
    let number = bytes.iter().map(|&byte| usize::from(byte)).sum::<usize>();
    let threads = [1, 1, 1, 1, 1, 1, 2, 3][number % 8];
    let options = Options { sleeping_from_bytes: [0, u64::MAX][number / 8 % 2], ..Options::default() };
    Engine::read_checkpoint(plan, options, threads, &mut &bytes[..], bytes.len() as u64, "memory")
        .map(|read| read.0)
        .map_err(|error| error.to_string())
}

fn read_by(plan: &Arc<Plan>, (threads, sleep): (usize, bool), bytes: &[u8]) -> Result<Engine, String> {
    let options = Options { sleeping_from_bytes: if sleep { 0 } else { u64::MAX }, ..Options::default() };
    Engine::read_checkpoint(plan, options, threads, &mut &bytes[..], bytes.len() as u64, "memory")
        .map(|read| read.0)
        .map_err(|error| error.to_string())
}

#[test]
fn how_many_threads_read_changes_nothing() {
    let plan = compile(&some(&features(), 9, 30), 10, "emit").expect("each compiles");
    let mut engine = Engine::new(Arc::clone(&plan));
    events(9, 6_000, 500, 12).iter().for_each(|event| drop(push(&mut engine, event)));
    let whole = bytes(&engine);
    let mut elsewhere = sections(&whole);
    // Keys that are said to be of another shard than theirs are taken in all the same.
    elsewhere.iter_mut().filter(|section| section.0[0] == 7).for_each(|section| section.1[0] ^= 5);
    let elsewhere = joined(&whole[..12], &elsewhere);
    let mut damaged = sections(&whole);
    // Of several faults the first of the file is told.
    for section in damaged.iter_mut().filter(|section| section.0[0] == 7).skip(2).step_by(3) {
        section.1.truncate(section.1.len() - 1);
    }
    let damaged = joined(&whole[..12], &damaged);
    let told = read_by(&plan, (1, false), &damaged).expect_err("sections that end too early");
    for by in (1..6).flat_map(|threads| [(threads, false), (threads, true)]) {
        let read = read_by(&plan, by, &whole).expect("what was written is read");
        assert!(bytes(&read) == whole, "{by:?} threads come to the same state");
        let alone = read_by(&plan, (1, by.1), &whole).expect("read").stats();
        assert_eq!((read.stats().state_bytes, read.stats().asleep_keys > 0), (alone.state_bytes, by.1));
        let read = read_by(&plan, by, &elsewhere).expect("no shard is wrong");
        assert!(bytes(&read) == whole, "{by:?} threads put keys where they belong");
        assert_eq!(read_by(&plan, by, &damaged).expect_err("damage"), told, "{by:?} threads");
    }
}

#[test]
fn another_definition_is_refused_by_name() {
    let all = features();
    let (old, new) = (&all[..4], &all[1..6]);
    let engine = Engine::new(compile(old, 0, "reject").expect("compiles"));
    let plan = compile(new, 0, "reject").expect("compiles");
    let refused = restored(&plan, Options::default(), &bytes(&engine)).expect_err("another definition");
    for part in [
        "it is of another definition (fingerprint ",
        &format!("feature `{}` is gone", all[0]["name"].as_str().expect("a name")),
        &format!(
            "feature `{}`, `{}` is new",
            all[4]["name"].as_str().expect("a name"),
            all[5]["name"].as_str().expect("a name")
        ),
        "restore it with the features it was written with",
    ] {
        assert!(refused.contains(part), "{refused} lacks {part}");
    }
    let plan = compile(old, 5, "reject").expect("compiles");
    let refused = restored(&plan, Options::default(), &bytes(&engine)).expect_err("other streams");
    assert!(refused.contains("stream `payments`, `refunds` is changed"), "{refused}");
}

/// As if a new tz database had other rules for Paris: all is as it was, but for the fingerprint.
#[test]
fn another_clock_is_refused_by_name_and_the_same_one_is_not() {
    let in_zone = |name: Option<&str>| {
        let mut all = features();
        all.retain(|feature| feature["name"] == "sum_amount_3");
        all[0]["expression"]["window"]["timezone"] = name.into();
        compile(&all, 0, "reject").expect("compiles")
    };
    let plan = in_zone(Some("Europe/Paris"));
    let whole = bytes(&Engine::new(Arc::clone(&plan)));
    restored(&plan, Options::default(), &whole).expect("the clock is as it was");
    let mut found = sections(&whole);
    let fingerprint = &mut found[0].1[8..72];
    assert_eq!(fingerprint, plan.fingerprint.as_bytes(), "the test knows the format");
    fingerprint.copy_from_slice(in_zone(None).fingerprint.as_bytes());
    let refused = restored(&plan, Options::default(), &joined(&whole[..12], &found)).expect_err("another clock");
    for part in ["the clock of one of its time zones has other rules in the tz database", "or push the events again"] {
        assert!(refused.contains(part), "{refused} lacks {part}");
    }
}

#[test]
fn another_format_is_refused_by_number() {
    let (plan, engine) = small();
    let mut bytes = bytes(&engine);
    bytes[8] = FORMAT_VERSION as u8 + 1;
    let refused = restored(&plan, Options::default(), &bytes).expect_err("a later format");
    let told = format!("its format is {}, and this release", FORMAT_VERSION + 1);
    assert!(refused.contains(&told), "{refused}");
    let refused = restored(&plan, Options::default(), b"PK\x03\x04 something else").expect_err("no checkpoint");
    assert!(refused.contains("it does not begin as a checkpoint"), "{refused}");
}

/// A key of many events that are not folded yet is let go a few at a time; one event of it comes in between.
#[test]
fn a_busy_key_that_comes_back_while_it_is_let_go_goes_on() {
    let sums: Vec<Json> = features().into_iter().filter(|feature| feature["name"] == "sum_amount_2").collect();
    assert_eq!(sums.len(), 1);
    let plan = compile(&sums, 10_000, "reject").expect("compiles");
    let options = Options { idle_after: Some(100_000), ..Options::default() };
    let both = |at: u64, card: &str| {
        let text = format!(r#"{{"ts":{at},"card":"{card}","shop":"{card}","amount":1,"count":1,"declined":true}}"#);
        [(0, text.clone()), (1, text)]
    };
    let mut many: Vec<Raw> = (0..1_000).flat_map(|place| both(1_000 + place, "busy")).collect();
    for place in 0..10 {
        many.extend(both(200_000 + place, "other"));
        many.extend(both(200_010 + place, "busy"));
        many.extend(both(200_020 + place, "another"));
    }
    assert_goes_on(&plan, &options, &many, &[900, 2_001, 2_002, 2_003, 2_010]);
}

/// A reader that stands still holds back so many keys that the steps in which they are looked at become longer.
#[test]
fn keys_that_wait_in_many_steps_leave_after_a_restart_too() {
    let other: Vec<Json> = features()
        .into_iter()
        .filter(|feature| feature["expression"]["stream"] == "refunds")
        .filter(|feature| feature["expression"]["window"]["kind"] == "rolling")
        .take(1)
        .collect();
    assert_eq!(other.len(), 1);
    let plan = compile(&other, 0, "reject").expect("compiles");
    let event = |stream: usize, at: u64, card: u64| {
        let text = r#"{"ts":AT,"card":"c-CARD","shop":"s-CARD","amount":1,"count":1,"declined":true}"#;
        (stream, text.replace("AT", &at.to_string()).replace("CARD", &card.to_string()))
    };
    let mut many = vec![event(0, 0, 0)];
    many.extend((0..3_000).map(|place| event(1, place * 40, place)));
    many.extend((0..300).map(|place| event(0, 60_000 + place * 9, place)));
    many.extend((0..300).map(|place| event(1, 130_000 + place * 9, place)));
    let mut never = Engine::new(Arc::clone(&plan));
    many.iter().for_each(|event| drop(push(&mut never, event)));
    assert!(never.stats().expired > 300, "some keys have left");
    assert_goes_on(&plan, &Options::default(), &many, &[500, 1_900, 3_050, 3_400]);
}
