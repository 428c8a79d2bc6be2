//! Character sets against the server's own conversion.

use sluicebox_mysql::{Flavour, Images};

use crate::support::{BOTH, Session, cell, decode, rows_of};

const SINGLE: &[&str] = &[
    "latin1", "latin2", "latin5", "latin7", "greek", "hebrew", "cp1250", "cp1251", "cp1256", "cp1257",
    "cp866", "koi8r", "koi8u", "macroman", "tis620", "ascii", "cp850", "cp852", "hp8", "dec8", "swe7",
    "macce", "keybcs2", "armscii8", "geostd8",
];
const DOUBLE: &[&str] = &["gbk", "gb2312", "gb18030", "big5", "sjis", "cp932", "ujis", "eucjpms", "euckr"];
const WIDE: &[&str] = &["ucs2", "utf16", "utf16le"];

/// Every byte, or every pair of bytes, that the server takes for text of the character set, is read as the server reads it.
fn check(session: &mut Session, server_id: u32, charset: &str, candidates: &str) -> Option<String> {
    session.sql("DROP TABLE IF EXISTS t");
    session.sql(&format!("CREATE TABLE t (id int primary key, v varchar(4) character set {charset})"));
    let mut stream = session.stream(server_id);
    session.sql(&format!(
        "INSERT INTO t SELECT id, CONVERT(raw USING {charset}) FROM {candidates} \
         WHERE CONVERT(raw USING {charset}) IS NOT NULL AND HEX(CONVERT(raw USING {charset})) = HEX(raw)"
    ));
    let items = session.read(&mut stream);
    let (batch, _) = decode(&rows_of(&items, "t"), Images::Effective);
    let texts: Vec<(u32, String, String)> =
        session.rows("SELECT id, HEX(v), CONVERT(v USING utf8mb4) FROM t ORDER BY id");
    assert_eq!(batch.rows(), texts.len(), "{charset}");
    let mut wrong = Vec::new();
    for (row, (_, hex, text)) in texts.iter().enumerate() {
        let got = cell(&batch, row, 1);
        if got != *text {
            wrong.push(format!("{hex}: {got:?} for {text:?}"));
        }
    }
    let few: Vec<&str> = wrong.iter().step_by(wrong.len().div_ceil(15).max(1)).map(String::as_str).collect();
    (!wrong.is_empty()).then(|| format!("{charset}: {} of {}: {}", wrong.len(), texts.len(), few.join(", ")))
}

/// All of the character sets, so that a failure shows every one that differs.
fn check_all(flavour: Flavour, session: &mut Session, server_id: u32, charsets: &[&str], candidates: &str) {
    let wrong: Vec<String> =
        charsets.iter().filter_map(|charset| check(session, server_id, charset, candidates)).collect();
    assert!(wrong.is_empty(), "{flavour:?}:\n{}", wrong.join("\n"));
}

/// MariaDB has no GB 18030.
fn known<'a>(flavour: Flavour, charsets: &[&'a str]) -> Vec<&'a str> {
    charsets.iter().copied().filter(|c| flavour == Flavour::MySql || *c != "gb18030").collect()
}

fn candidates(session: &mut Session) {
    session.sql("CREATE TABLE n (b int primary key)");
    let numbers: Vec<String> = (0..256).map(|n| format!("({n})")).collect();
    session.sql(&format!("INSERT INTO n VALUES {}", numbers.join(",")));
    session.sql("CREATE TABLE one (id int primary key, raw varbinary(4))");
    session.sql("INSERT INTO one SELECT b, UNHEX(LPAD(HEX(b), 2, '0')) FROM n");
    session.sql("CREATE TABLE two (id int primary key, raw varbinary(4))");
    session.sql(
        "INSERT INTO two SELECT a.b * 256 + c.b, UNHEX(LPAD(HEX(a.b * 256 + c.b), 4, '0')) FROM n a, n c \
         WHERE a.b >= 128 AND c.b >= 48",
    );
    session.sql("DELETE FROM two WHERE raw = x'8ea0'");
    session.sql("CREATE TABLE three (id int primary key, raw varbinary(4))");
    session.sql("INSERT INTO three SELECT id, CONCAT(x'8f', raw) FROM two WHERE id >= 161 * 256");
    session.sql("CREATE TABLE four (id int primary key auto_increment, raw varbinary(4))");
    session.sql(
        "INSERT INTO four (raw) SELECT UNHEX(CONCAT(HEX(a.b), HEX(c.b), HEX(d.b), HEX(e.b))) FROM n a, n c, n d, n e \
         WHERE a.b IN (129, 130, 131, 132, 144, 152) AND c.b BETWEEN 48 AND 57 AND d.b BETWEEN 129 AND 254 \
         AND e.b BETWEEN 48 AND 57",
    );
    // Halves of surrogate pairs are no text, though `ucs2` takes them.
    session.sql("CREATE TABLE wide (id int primary key, raw varbinary(4))");
    session.sql(
        "INSERT INTO wide SELECT a.b * 256 + c.b, UNHEX(LPAD(HEX(a.b * 256 + c.b), 4, '0')) FROM n a, n c \
         WHERE a.b NOT BETWEEN 216 AND 223",
    );
}

#[test]
fn single_byte_text_reads_as_the_server_reads_it() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_single_byte");
        candidates(&mut session);
        check_all(flavour, &mut session, 7801, SINGLE, "one");
    }
}

#[test]
fn double_byte_text_reads_as_the_server_reads_it() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_double_byte");
        candidates(&mut session);
        check_all(flavour, &mut session, 7802, &known(flavour, DOUBLE), "two");
        check_all(flavour, &mut session, 7802, &["ujis", "eucjpms"], "three");
        check_all(flavour, &mut session, 7802, &known(flavour, &["gb18030"]), "four");
    }
}

#[test]
fn wide_text_reads_as_the_server_reads_it() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_wide");
        candidates(&mut session);
        check_all(flavour, &mut session, 7803, WIDE, "wide");
    }
}

/// The numbers of collations come in table maps; a server of the other kind would have others.
#[test]
fn every_collation_of_the_servers_is_known_by_its_number() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_collations");
        let source = match flavour {
            Flavour::MySql => "SELECT COLLATION_NAME, CHARACTER_SET_NAME FROM information_schema.COLLATIONS",
            Flavour::MariaDb => {
                "SELECT FULL_COLLATION_NAME, CHARACTER_SET_NAME \
                 FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
            }
        };
        let supported: Vec<&str> = [SINGLE, DOUBLE, WIDE, &["utf8mb4", "utf8mb3", "utf32"][..]].concat();
        let collations: Vec<(String, String)> = session.rows(source);
        let ours: Vec<&(String, String)> =
            collations.iter().filter(|(_, c)| supported.contains(&c.as_str())).collect();
        // Columns of a row may not be wider than 64 KiB, and not more than 1,017.
        for (table, part) in ours.chunks(200).enumerate() {
            let columns: Vec<String> = part
                .iter()
                .enumerate()
                .map(|(n, (collation, charset))| {
                    format!("c{n} char(2) character set {charset} collate {collation}")
                })
                .collect();
            session.sql(&format!("CREATE TABLE t{table} (id int primary key, {})", columns.join(",")));
        }
        if flavour == Flavour::MariaDb {
            session.sql("SET GLOBAL binlog_row_metadata = 'MINIMAL'");
        }
        let mut stream = session.stream(7804);
        for (table, part) in ours.chunks(200).enumerate() {
            session.sql(&format!("INSERT INTO t{table} VALUES (1 {})", ",'ab'".repeat(part.len())));
        }
        if flavour == Flavour::MariaDb {
            session.sql("SET GLOBAL binlog_row_metadata = 'NO_LOG'");
        }
        let items = session.read(&mut stream);
        for (table, part) in ours.chunks(200).enumerate() {
            let (batch, _) = decode(&rows_of(&items, &format!("t{table}")), Images::Effective);
            for (n, (collation, _)) in part.iter().enumerate() {
                assert_eq!(cell(&batch, 0, n + 1), "ab", "{flavour:?} {collation}");
            }
        }
    }
}
