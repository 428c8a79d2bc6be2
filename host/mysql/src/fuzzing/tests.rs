//! The entries without a fuzzer: what once failed, and valid inputs with damage.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

type Entry = (&'static str, fn(&[u8]));

const ENTRIES: [Entry; 9] = [
    ("binlog_event", binlog_event),
    ("binlog_stream", binlog_stream),
    ("compressed_event", compressed),
    ("ddl_statement", ddl_statement),
    ("gtid_set", gtid_set),
    ("json_document", json_document),
    ("login_packet", login_packet),
    ("row_images", row_images),
    ("table_map", table_map),
];

/// Time for each entry; all of them together stay below two seconds.
const TIME: Duration = Duration::from_millis(150);

/// Files of one target's folder; none where there is no such folder.
fn files(folder: &str, target: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(folder).join(target);
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    entries.map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a file")).collect()
}

#[test]
fn what_once_failed_does_not_fail_again() {
    for (target, entry) in ENTRIES {
        let inputs = files("regressions", target);
        assert!(!inputs.is_empty(), "there is no input in host/fuzz/regressions/{target}");
        inputs.iter().for_each(|input| entry(input));
    }
}

/// Inputs that get through, or far into, each entry.
fn valid(target: &str) -> Vec<Vec<u8>> {
    let mut inputs = files("regressions", target);
    inputs.extend(files("seeds", target));
    assert!(!inputs.is_empty(), "there are seeds for `{target}`");
    inputs
}

fn damage(input: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(0..6) {
        let at = random.random_range(0..=input.len());
        match random.random_range(0..5) {
            0 => input.truncate(at),
            1 => input.insert(at, random.random()),
            2 => input.extend_from_within(at..),
            _ if at == input.len() => {}
            3 => input[at] ^= 1 << random.random_range(0..8),
            _ => input[at] = [0, 1, 0x7f, 0x80, 0xff, 0xfe][random.random_range(0..6)],
        }
    }
    input.truncate(4096);
}

#[test]
fn damaged_input_is_read_or_refused() {
    let seed = rand::random();
    println!("seed {seed}");
    for (target, entry) in ENTRIES {
        let mut random = StdRng::seed_from_u64(seed);
        let inputs = valid(target);
        let end = Instant::now() + TIME;
        while Instant::now() < end {
            let mut input = inputs[random.random_range(0..inputs.len())].clone();
            damage(&mut input, &mut random);
            let done = catch_unwind(AssertUnwindSafe(|| entry(&input)));
            assert!(done.is_ok(), "`{target}` fails on {input:?}, seed {seed}");
        }
    }
}

#[test]
fn intervals_are_held_whatever_their_order() {
    gtid_intervals(&[(0, 0, 5, 9), (0, 0, 1, 3), (0, 1, 7, 7), (0, 0, 4, 4), (1, 2, 0, u16::MAX)]);
    gtid_intervals(&[(0, 0, 10, 20), (0, 0, 12, 15), (0, 0, 22, 30), (0, 0, 21, 21)]);
}
