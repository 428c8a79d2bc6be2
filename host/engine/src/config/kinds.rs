//! How the text of an option becomes its value.
//!
//! Every scalar of the file is text first, however YAML reads it, and is then parsed by its option's own kind. The
//! rules are Flink CDC's: booleans and words in any letter case, durations without a unit in milliseconds, sizes without
//! a unit in bytes and always 1024-based. A parser says what it expected and never what it found, for that may be a secret.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sluicebox_model::{ByteSize, Gtids, Secret};
use sluicebox_mysql::{LineCompression, TlsMode};

use super::fault::nearest;
use super::zone::{LocalZone, Zone};
use crate::pattern::TablePatterns;
use crate::route::RouteMode;

/// Why a text is not a value.
#[derive(Debug, PartialEq)]
pub(super) struct Expected {
    /// What would have been one, e.g. `true or false`.
    pub what: String,
    /// The nearest known word.
    pub near: Option<String>,
}

impl From<&str> for Expected {
    fn from(what: &str) -> Self {
        Self { what: what.to_owned(), near: None }
    }
}

impl From<String> for Expected {
    fn from(what: String) -> Self {
        Self { what, near: None }
    }
}

/// How a kind is called in the reference.
#[derive(Clone, Copy)]
pub(super) enum KindName {
    /// One name.
    Plain(&'static str),
    /// One of these words.
    OneOf(fn() -> Vec<&'static str>),
}

impl KindName {
    /// The words that a value may be; none where it is no word.
    pub fn words(self) -> Vec<&'static str> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::OneOf(words) => words(),
        }
    }
}

impl std::fmt::Display for KindName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(name) => f.write_str(name),
            Self::OneOf(words) => f.write_str(&list(&words())),
        }
    }
}

/// A kind of value.
pub(super) struct Kind<T> {
    pub name: KindName,
    pub parse: fn(&str) -> Result<T, Expected>,
}

impl<T> Kind<T> {
    pub(super) const fn new(name: &'static str, parse: fn(&str) -> Result<T, Expected>) -> Self {
        Self { name: KindName::Plain(name), parse }
    }
}

impl<T: Word> Kind<T> {
    /// One of a fixed set of words, in any letter case.
    pub const fn word() -> Self {
        Self { name: KindName::OneOf(words::<T>), parse: word::<T> }
    }
}

/// A type whose values are words.
pub(super) trait Word: Copy + 'static {
    /// The words, in the order of the reference.
    const WORDS: &'static [(&'static str, Self)];
}

impl Word for TlsMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("disabled", Self::Disabled),
        ("preferred", Self::Preferred),
        ("required", Self::Required),
        ("verify_ca", Self::VerifyCa),
        ("verify_identity", Self::VerifyIdentity),
    ];
}

impl Word for LineCompression {
    const WORDS: &'static [(&'static str, Self)] = &[("zlib", Self::Zlib), ("zstd", Self::Zstd)];
}

impl Word for RouteMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("ALL_MATCH", Self::AllMatch), ("FIRST_MATCH", Self::FirstMatch)];
}

fn words<T: Word>() -> Vec<&'static str> {
    T::WORDS.iter().map(|(word, _)| *word).collect()
}

/// `a`, `b` or `c`.
pub(super) fn list(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Finds a word, in any letter case.
pub(super) fn word<T: Word>(text: &str) -> Result<T, Expected> {
    let found = T::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let near = nearest(text, words::<T>()).map(str::to_owned);
        Expected { what: list(&words::<T>()), near }
    })
}

/// Any text.
pub(super) const TEXT: Kind<String> = Kind::new("text", |text| Ok(text.to_owned()));
/// Any text but none.
pub(super) const SOME_TEXT: Kind<String> = Kind::new("text", some_text);
/// Any text, without blanks around it.
pub(super) const TRIMMED: Kind<String> = Kind::new("text", |text| Ok(text.trim().to_owned()));
/// Words of which only one is carried out, in any letter case.
pub(super) const UPPER: Kind<String> = Kind::new("word", |text| Ok(text.to_ascii_uppercase()));
/// A text that is never shown.
pub(super) const SECRET: Kind<Secret> = Kind::new("secret", |text| Ok(Secret::new(text)));
/// A text that is never shown and is not empty.
pub(super) const SOME_SECRET: Kind<Secret> = Kind::new("secret", |text| some_text(text).map(Secret::new));
/// A program and its arguments, separated by blanks; none of them has a blank in it.
pub(super) const COMMAND: Kind<Vec<String>> = Kind::new("command", |text| {
    some_text(text).map(|text| text.split_whitespace().map(str::to_owned).collect())
});
/// Names separated by commas; at least one.
pub(super) const NAMES: Kind<Vec<Arc<str>>> = Kind::new("list of names", |text| {
    let names: Vec<Arc<str>> = text.split(',').map(|name| name.trim().into()).collect();
    if names.iter().any(|name| name.is_empty()) { Err("names separated by commas".into()) } else { Ok(names) }
});
/// A path; relative to the pipeline file.
pub(super) const FILE: Kind<PathBuf> = Kind::new("path", |text| some_text(text).map(PathBuf::from));
/// `true` or `false`.
pub(super) const FLAG: Kind<bool> = Kind::new("boolean", flag);
/// A TCP port.
pub(super) const PORT: Kind<u16> = Kind::new("integer", |text| between(text, 1, u16::MAX));
/// At least 1. Counts go to 2^31 - 1, the largest that Flink CDC and the service hold.
pub(super) const COUNT: Kind<NonZeroU32> = Kind::new("integer", |text| {
    between(text, 1, MOST).and_then(|n| NonZeroU32::new(n).ok_or_else(|| "an integer from 1".into()))
});
/// At least 1, for numbers of threads.
pub(super) const THREADS: Kind<NonZeroUsize> = Kind::new("integer", |text| {
    between(text, 1, MOST_THREADS)
        .and_then(|n| NonZeroUsize::new(n).ok_or_else(|| "an integer from 1".into()))
});
/// 0 or more.
pub(super) const AMOUNT: Kind<u32> = Kind::new("integer", |text| between(text, 0, MOST));
/// More than 1.
pub(super) const ABOVE_ONE: Kind<u32> = Kind::new("integer", |text| between(text, 2, MOST));
/// 0 or more, 64 bits.
pub(super) const LONG: Kind<u64> = Kind::new("integer", |text| between(text, 0, i64::MAX.unsigned_abs()));
/// A number of at least 1.
pub(super) const FACTOR: Kind<f64> =
    Kind::new("number", |text| number(text, 1.0, f64::MAX, "a number from 1"));
/// A number from 0 to 1.
pub(super) const SHARE: Kind<f64> =
    Kind::new("number", |text| number(text, 0.0, 1.0, "a number from 0 to 1"));
/// A span of time.
pub(super) const DURATION: Kind<Duration> = Kind::new("duration", duration);
/// A span of time that is not zero.
pub(super) const SPAN: Kind<Duration> = Kind::new("duration", |text| {
    duration(text).and_then(|d| if d.is_zero() { Err("a duration above zero".into()) } else { Ok(d) })
});
/// A number of milliseconds, without a unit.
pub(super) const MILLIS: Kind<Duration> =
    Kind::new("integer, milliseconds", |text| between(text, 0, u64::from(MOST)).map(Duration::from_millis));
/// A size above zero.
pub(super) const SIZE: Kind<ByteSize> = Kind::new("size", |text| {
    size(text).and_then(|s| if s.get() == 0 { Err("a size above zero".into()) } else { Ok(s) })
});
/// `http://…` or `https://…`.
pub(super) const URL: Kind<String> = Kind::new("URL", url);
/// Table patterns.
pub(super) const PATTERNS: Kind<TablePatterns> = Kind::new("table patterns", |text| {
    TablePatterns::parse(text).map_err(|e| format!("table patterns ({e})").into())
});
/// A time zone.
pub(super) const ZONE: Kind<Zone> =
    Kind::new("time zone", |text| Zone::parse(text).ok_or_else(|| Zone::EXPECTED.into()));
/// A time zone, or `systemDefault`.
pub(super) const LOCAL_ZONE: Kind<LocalZone> = Kind::new("time zone", |text| {
    LocalZone::parse(text).ok_or_else(|| format!("`systemDefault` or {}", Zone::EXPECTED).into())
});
/// A GTID set of either server.
pub(super) const GTIDS: Kind<Gtids> = Kind::new("GTID set", gtids);
/// An address to listen on.
pub(super) const ADDRESS: Kind<SocketAddr> = Kind::new("address", |text| {
    text.parse().map_err(|_| "an address and a port, e.g. `127.0.0.1:9464` or `[::]:9464`".into())
});
/// A SHA-256 digest.
pub(super) const SHA256: Kind<[u8; 32]> = Kind::new("hexadecimal digest", sha256);

/// The largest count: the largest 32-bit signed number, which is what Flink CDC reads.
const MOST: u32 = i32::MAX.unsigned_abs();

/// More threads than this help nobody and are a slip.
const MOST_THREADS: usize = 1024;

fn some_text(text: &str) -> Result<String, Expected> {
    if text.trim().is_empty() { Err("a text that is not empty".into()) } else { Ok(text.to_owned()) }
}

fn flag(text: &str) -> Result<bool, Expected> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err("`true` or `false`".into()),
    }
}

/// An optional sign and digits; nothing else, not even blanks.
fn between<N>(text: &str, least: N, most: N) -> Result<N, Expected>
where
    N: TryFrom<i128> + PartialOrd + std::fmt::Display + Copy,
{
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let value = if all_digits { text.parse::<i128>().ok() } else { None };
    let value = value.and_then(|v| N::try_from(v).ok()).filter(|v| (least..=most).contains(v));
    value.ok_or_else(|| format!("an integer from {least} to {most}").into())
}

fn number(text: &str, least: f64, most: f64, what: &str) -> Result<f64, Expected> {
    text.trim().parse().ok().filter(|v| (least..=most).contains(v)).ok_or_else(|| what.into())
}

/// Splits `10 min` into its digits and its unit in lower case; blanks around both do not count.
fn quantity(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit.trim().to_lowercase()))
}

fn duration(text: &str) -> Result<Duration, Expected> {
    let value = quantity(text).and_then(|(n, unit)| {
        let seconds = |each: u64| n.checked_mul(each).map(Duration::from_secs);
        match unit.as_str() {
            "d" | "day" | "days" => seconds(86_400),
            "h" | "hour" | "hours" => seconds(3_600),
            "min" | "m" | "minute" | "minutes" => seconds(60),
            "s" | "sec" | "secs" | "second" | "seconds" => seconds(1),
            "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => Some(Duration::from_millis(n)),
            // Both signs that stand for micro.
            "\u{b5}s" | "\u{3bc}s" | "micro" | "micros" | "microsecond" | "microseconds" => {
                Some(Duration::from_micros(n))
            }
            "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => Some(Duration::from_nanos(n)),
            _ => None,
        }
    });
    value.filter(|d| *d <= LONGEST).ok_or_else(|| {
        "a whole number and one unit, e.g. `500ms`, `30s`, `10 min`, `1h` (no unit: milliseconds)".into()
    })
}

/// A hundred years: beyond it a deadline is no deadline, and clock arithmetic could overflow.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

fn size(text: &str) -> Result<ByteSize, Expected> {
    let value = quantity(text).and_then(|(n, unit)| {
        let shift = match unit.as_str() {
            "" | "b" | "bytes" => 0,
            "k" | "kb" | "kib" | "kibibytes" => 10,
            "m" | "mb" | "mib" | "mebibytes" => 20,
            "g" | "gb" | "gib" | "gibibytes" => 30,
            "t" | "tb" | "tib" | "tebibytes" => 40,
            _ => return None,
        };
        n.checked_mul(1 << shift)
    });
    value.map(ByteSize::bytes).ok_or_else(|| "a size, e.g. `512KiB`, `4MB`, `1GiB` (no unit: bytes)".into())
}

/// Checks what a slip would break; the client takes the rest apart.
fn url(text: &str) -> Result<String, Expected> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.and_then(|r| r.split(['/', '?', '#']).next()).unwrap_or_default();
    let sound = !authority.is_empty() && !authority.contains('@') && !text.contains(char::is_whitespace);
    if sound {
        Ok(text.to_owned())
    } else {
        Err("`http://` or `https://` and a host, without an account".into())
    }
}

/// MySQL's sets name a UUID and have colons, MariaDB's are three numbers with dashes.
fn gtids(text: &str) -> Result<Gtids, Expected> {
    let expected = |reason: String| Expected::from(format!("a GTID set ({reason})"));
    match text {
        _ if text.trim().is_empty() => Err("a GTID set that is not empty".into()),
        _ if text.contains(':') => {
            text.parse().map(Gtids::MySql).map_err(|e: sluicebox_model::GtidError| expected(e.to_string()))
        }
        _ => {
            text.parse().map(Gtids::MariaDb).map_err(|e: sluicebox_model::GtidError| expected(e.to_string()))
        }
    }
}

fn sha256(text: &str) -> Result<[u8; 32], Expected> {
    let mut digest = [0; 32];
    let pairs = text.as_bytes().chunks_exact(2);
    let sound = text.len() == 64
        && text.bytes().all(|b| b.is_ascii_hexdigit())
        && pairs.zip(&mut digest).all(|(pair, byte)| {
            let value = std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok());
            value.is_some_and(|v| {
                *byte = v;
                true
            })
        });
    if sound { Ok(digest) } else { Err("64 hexadecimal digits".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: PartialEq + std::fmt::Debug>(kind: &Kind<T>, cases: &[(&str, Option<T>)]) {
        for (text, want) in cases {
            assert_eq!((kind.parse)(text).ok().as_ref(), want.as_ref(), "{} of `{text}`", kind.name);
        }
    }

    #[test]
    fn booleans_are_two_words() {
        check(
            &FLAG,
            &[
                ("true", Some(true)),
                ("FALSE", Some(false)),
                ("yes", None),
                ("1", None),
                ("on", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn integers_are_a_sign_and_digits() {
        check(
            &PORT,
            &[
                ("3306", Some(3306)),
                ("+3306", Some(3306)),
                ("0", None),
                ("65536", None),
                (" 1", None),
                ("1_0", None),
            ],
        );
        check(
            &AMOUNT,
            &[
                ("0", Some(0)),
                ("007", Some(7)),
                ("-1", None),
                ("3s", None),
                ("1.0", None),
                ("+", None),
                ("", None),
            ],
        );
        check(
            &ABOVE_ONE,
            &[("1", None), ("2", Some(2)), ("2147483647", Some(2_147_483_647)), ("2147483648", None)],
        );
    }

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        let (seconds, millis) = (|n| Some(Duration::from_secs(n)), |n| Some(Duration::from_millis(n)));
        check(
            &DURATION,
            &[
                ("3000", millis(3000)),
                ("30s", seconds(30)),
                (" 10 MIN ", seconds(600)),
                ("2 days", seconds(172_800)),
                ("1h", seconds(3600)),
                ("1 Milliseconds", millis(1)),
                ("5\u{b5}s", Some(Duration::from_micros(5))),
                ("7 nanos", Some(Duration::from_nanos(7))),
                ("0", seconds(0)),
                ("1.5s", None),
                ("PT30S", None),
                ("1h 30m", None),
                ("-1s", None),
                ("s", None),
                ("5 fortnights", None),
                ("99999999999 days", None),
            ],
        );
        check(&SPAN, &[("0", None), ("1", millis(1))]);
    }

    #[test]
    fn a_size_is_1024_based() {
        check(
            &SIZE,
            &[
                ("4MB", Some(ByteSize::mib(4))),
                ("4 mebibytes", Some(ByteSize::mib(4))),
                ("64MiB", Some(ByteSize::mib(64))),
                ("512k", Some(ByteSize::kib(512))),
                ("100", Some(ByteSize::bytes(100))),
                ("1 GB", Some(ByteSize::mib(1024))),
                ("0", None),
                ("1.5MB", None),
                ("4 MBit", None),
                ("99999999999999 TB", None),
            ],
        );
    }

    #[test]
    fn words_take_any_letter_case_and_know_their_neighbours() {
        check(&Kind::<TlsMode>::word(), &[("VERIFY_CA", Some(TlsMode::VerifyCa)), ("verify-ca", None)]);
        let error = word::<RouteMode>("FRIST_MATCH").expect_err("a slip");
        assert_eq!(error.near.as_deref(), Some("FIRST_MATCH"));
        assert_eq!(error.what, "`ALL_MATCH` or `FIRST_MATCH`");
    }

    #[test]
    fn an_endpoint_has_a_scheme_and_no_account() {
        let same = |text: &str| Some(text.to_owned());
        check(
            &URL,
            &[
                (
                    "http://service.cn.maxcompute.aliyun.com/api",
                    same("http://service.cn.maxcompute.aliyun.com/api"),
                ),
                ("https://localhost:8080", same("https://localhost:8080")),
                ("service.cn.maxcompute.aliyun.com/api", None),
                ("https:///api", None),
                ("https://user:word@host/api", None),
                ("ftp://host", None),
                ("http://a b", None),
            ],
        );
    }

    #[test]
    fn a_gtid_set_tells_its_server() {
        let mysql = (GTIDS.parse)("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5");
        assert!(matches!(mysql, Ok(Gtids::MySql(_))), "{mysql:?}");
        let mariadb = (GTIDS.parse)("0-1-270");
        assert!(matches!(mariadb, Ok(Gtids::MariaDb(_))), "{mariadb:?}");
        for text in ["", "nonsense", "x:1-2", "1-2"] {
            assert!((GTIDS.parse)(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_digest_has_64_digits() {
        let digest = (SHA256.parse)(&"0A".repeat(32));
        assert_eq!(digest, Ok([10; 32]));
        for text in ["", "0a", &"0a".repeat(33), &"zz".repeat(32), &"+1".repeat(32)] {
            assert!((SHA256.parse)(text).is_err(), "{text}");
        }
    }
}
