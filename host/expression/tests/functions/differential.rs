//! Random expressions here and in SQLite, and random texts that must not bring anything down.
//!
//! Only what both engines mean alike is generated: integers that cannot overflow, texts of ASCII, three-valued logic. What they
//! are known to mean otherwise (division by zero, `LIKE` and letter case, `+` on texts) is left out.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rusqlite::types::Value;

use crate::cases::all;
use crate::support::{evaluate, settings};

const ROUNDS: usize = 4000;

/// A seed from the clock, or the one to run again; printed, so that a failure can be repeated.
#[expect(clippy::print_stdout, reason = "the test harness shows it with the failure")]
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(now.as_secs());
    println!("SEED={seed}");
    seed
}

struct Generator(StdRng);

impl Generator {
    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words.choose(&mut self.0).expect("a word")
    }

    fn int(&mut self, depth: u32) -> String {
        if depth == 0 {
            return match self.0.random_range(0..3) {
                0 => self.one_of(&["i", "id", "nil", "small"]).to_owned(),
                1 => self.0.random_range(-20..20_i32).to_string(),
                _ => "NULL".to_owned(),
            };
        }
        let (a, b) = (self.int(depth - 1), self.int(depth - 1));
        match self.0.random_range(0..9) {
            0 => format!("({a} + {b})"),
            1 => format!("({a} - {b})"),
            2 => format!("({a} * {b})"),
            3 => format!("(- {a})"),
            4 => format!("ABS({a})"),
            5 => format!("COALESCE({a}, {b})"),
            6 => format!("CASE WHEN {} THEN {a} ELSE {b} END", self.condition(depth - 1)),
            7 => format!("NULLIF({a}, {b})"),
            _ => format!("INSTR({}, {})", self.text(depth - 1), self.text(depth - 1)),
        }
    }

    fn text(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self
                .one_of(&["s", "mail", "`nothing`", "'l'", "'Hello'", "'it''s'", "' x '", "NULL"])
                .to_owned();
        }
        let (a, b) = (self.text(depth - 1), self.text(depth - 1));
        match self.0.random_range(0..9) {
            0 => format!("({a} || {b})"),
            1 => format!("UPPER({a})"),
            2 => format!("LOWER({a})"),
            3 => format!("TRIM({a})"),
            4 => format!("REPLACE({a}, 'l', {b})"),
            5 => format!("SUBSTR({a}, {}, {})", self.0.random_range(1..8), self.0.random_range(0..6)),
            6 => format!("COALESCE({a}, {b})"),
            7 => format!("LTRIM({a})"),
            _ => format!("RTRIM({a})"),
        }
    }

    fn condition(&mut self, depth: u32) -> String {
        if depth == 0 {
            let sign = self.one_of(&["=", "<>", "<", "<=", ">", ">="]);
            return match self.0.random_range(0..2) {
                0 => format!("({} {sign} {})", self.int(0), self.int(0)),
                _ => format!("({} {sign} {})", self.text(0), self.text(0)),
            };
        }
        let (a, b) = (self.condition(depth - 1), self.condition(depth - 1));
        match self.0.random_range(0..8) {
            0 => format!("({a} AND {b})"),
            1 => format!("({a} OR {b})"),
            2 => format!("(NOT {a})"),
            3 => format!("({} IS NULL)", self.int(depth - 1)),
            4 => format!("({} IN ({}, {}))", self.int(depth - 1), self.int(0), self.int(0)),
            5 => format!("({} BETWEEN {} AND {})", self.int(depth - 1), self.int(0), self.int(0)),
            6 => format!("({a} IS NOT TRUE)"),
            _ => format!("({} IS NOT DISTINCT FROM {})", self.text(depth - 1), self.text(0)),
        }
    }
}

fn sqlite() -> rusqlite::Connection {
    let connection = rusqlite::Connection::open_in_memory().expect("SQLite");
    let table = "CREATE TABLE things (id INTEGER, i INTEGER, small INTEGER, nil INTEGER, s TEXT, mail TEXT, `nothing` TEXT);
        INSERT INTO things VALUES (3, 7, -300, NULL, 'Hello World', 'ada.lovelace@example.org', NULL)";
    connection.execute_batch(table).expect("a table");
    connection
}

fn ask(connection: &rusqlite::Connection, expression: &str) -> String {
    let value =
        connection.query_row(&format!("SELECT {expression} FROM things"), [], |row| row.get::<_, Value>(0));
    match value.unwrap_or_else(|error| panic!("{expression}: {error}")) {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Blob(_) => "a blob".to_owned(),
    }
}

#[test]
fn random_expressions_mean_the_same_in_sqlite() {
    let (connection, mut generator) = (sqlite(), Generator(StdRng::seed_from_u64(seed())));
    for round in 0..ROUNDS {
        let depth = generator.0.random_range(0..4);
        let expression = match round % 3 {
            0 => generator.int(depth),
            1 => generator.text(depth),
            _ => generator.condition(depth),
        };
        let (_, ours) = evaluate(&expression, 0, settings());
        // A product that leaves 32 bits is an error here and not there.
        if ours.contains("does not fit") {
            continue;
        }
        let ours = match ours.as_str() {
            "TRUE" if round % 3 == 2 => "1".to_owned(),
            "FALSE" if round % 3 == 2 => "0".to_owned(),
            _ => ours,
        };
        assert_eq!(ours, ask(&connection, &expression), "{expression}");
    }
}

/// Cuts, doubles and mixes the expressions of all cases: there is always an answer or an error.
#[test]
fn no_text_brings_it_down() {
    let mut rng = StdRng::seed_from_u64(seed());
    let cases: Vec<&str> = all().iter().map(|case| case.0).collect();
    let any = |rng: &mut StdRng| (*cases.choose(rng).expect("a case")).chars().collect::<Vec<char>>();
    for _ in 0..ROUNDS {
        let mut text = any(&mut rng);
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..=text.len());
            match rng.random_range(0..4) {
                0 => text.truncate(at),
                1 => text.splice(at..at, any(&mut rng)).for_each(drop),
                2 if at < text.len() => drop(text.remove(at)),
                _ => text.insert(
                    at,
                    *['(', ')', '\'', '`', ',', '9', '-', '%', 'é', '[', ' '].choose(&mut rng).expect("one"),
                ),
            }
        }
        let text: String = text.into_iter().collect();
        for row in 0..2 {
            std::hint::black_box(evaluate(&text, row, settings()));
        }
    }
}
