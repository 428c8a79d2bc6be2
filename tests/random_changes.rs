//! Random tables of all types, and random statements on them: inserts, updates (of keys too), deletes, replacements, rollbacks,
//! savepoints, and changes of columns, in transactions of any shape.
//!
//! Afterwards the sink holds the source's rows; and on MySQL each event of the binlog is the one that Debezium makes of it,
//! in the same order and with the same values. The seed is printed; `SLUICEBOX_TEST_SEED` brings it back.

use std::fmt::Write as _;

use crate::support::changes::ChangeReader;
use crate::support::debezium::{Debezium, differences};
use crate::support::{Emulator, Kind, Pipeline, Random, Server, Session, wait_for_same_rows};

const TABLES: usize = 6;
const TRANSACTIONS: usize = 120;
/// Statements that a failure shows.
const SHOWN: usize = 400;

/// The forms of literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Signed(u32),
    Unsigned(u32),
    Decimal(u32, u32),
    Single,
    Double,
    Bits(u32),
    Year,
    Date,
    Time,
    Moment,
    Instant,
    Text,
    Latin,
    Bytes(u32),
    Enum,
    Set,
    Json,
}

const TYPES: &[(&str, Form)] = &[
    ("tinyint", Form::Signed(8)),
    ("tinyint unsigned", Form::Unsigned(8)),
    ("tinyint(1)", Form::Signed(8)),
    ("smallint", Form::Signed(16)),
    ("smallint unsigned", Form::Unsigned(16)),
    ("mediumint", Form::Signed(24)),
    ("mediumint unsigned", Form::Unsigned(24)),
    ("int", Form::Signed(32)),
    ("int unsigned", Form::Unsigned(32)),
    ("bigint", Form::Signed(64)),
    ("bigint unsigned", Form::Unsigned(64)),
    ("decimal(5,2)", Form::Decimal(3, 2)),
    ("decimal(18,9)", Form::Decimal(9, 9)),
    ("decimal(38,10)", Form::Decimal(28, 10)),
    ("decimal(65,30)", Form::Decimal(35, 30)),
    ("float", Form::Single),
    ("double", Form::Double),
    ("bit(1)", Form::Bits(1)),
    ("bit(13)", Form::Bits(13)),
    ("bit(64)", Form::Bits(64)),
    ("year", Form::Year),
    ("date", Form::Date),
    ("time", Form::Time),
    ("time(3)", Form::Time),
    ("time(6)", Form::Time),
    ("datetime", Form::Moment),
    ("datetime(3)", Form::Moment),
    ("datetime(6)", Form::Moment),
    ("timestamp", Form::Instant),
    ("timestamp(6)", Form::Instant),
    ("char(40)", Form::Text),
    ("varchar(60)", Form::Text),
    ("varchar(300)", Form::Text),
    ("varchar(60) character set latin1", Form::Latin),
    ("varchar(60) character set ucs2", Form::Latin),
    ("text", Form::Text),
    ("mediumtext", Form::Text),
    ("binary(8)", Form::Bytes(8)),
    ("varbinary(30)", Form::Bytes(30)),
    ("blob", Form::Bytes(40)),
    ("enum('a','b','größe')", Form::Enum),
    ("set('a','b','c','d','e','f','g','h','i')", Form::Set),
    ("json", Form::Json),
];

/// Keys, each with a literal of few values, so that statements meet each other's rows.
const KEYS: &[&[(&str, Form)]] = &[
    &[("int", Form::Signed(7))],
    &[("bigint unsigned", Form::Unsigned(7))],
    &[("int", Form::Signed(4)), ("varchar(20)", Form::Set)],
    &[("varchar(20)", Form::Set)],
    &[("datetime(3)", Form::Moment)],
    &[("binary(8)", Form::Bytes(2)), ("decimal(5,2)", Form::Decimal(1, 1))],
    // None: rows are only followed, since the sink cannot take rows away without a key.
    &[],
];

fn literal(form: Form, random: &mut Random) -> String {
    let whole = |bits: u32, random: &mut Random| match random.below(6) {
        0 => 0,
        1 => u64::MAX >> (64 - bits),
        _ => random.below(u64::MAX) >> (64 - bits),
    };
    let fraction = |random: &mut Random| format!("{:06}", random.below(1_000_000));
    let clock = |random: &mut Random| {
        let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
        format!("{hour:02}:{minute:02}:{second:02}.{}", fraction(random))
    };
    match form {
        Form::Unsigned(bits) => whole(bits, random).to_string(),
        Form::Signed(bits) => (i128::from(whole(bits, random)) - (1_i128 << (bits - 1))).to_string(),
        Form::Decimal(left, right) => {
            let digits = |count, random: &mut Random| -> String {
                (0..count).map(|_| random.below(10).to_string()).collect()
            };
            let sign = random.one_of(&["", "-"]);
            format!("{sign}{}.{}", digits(left, random), digits(right, random))
        }
        Form::Single => format!("{}e{}", signed(1_000_000, random), signed(40, random)),
        Form::Double => format!("{}e{}", random.below(u64::MAX).cast_signed(), signed(500, random)),
        Form::Bits(bits) => whole(bits, random).to_string(),
        Form::Year => random.between(1901, 2156).to_string(),
        Form::Date if random.below(8) == 0 => "'0000-00-00'".to_owned(),
        Form::Date => format!(
            "'{}-{:02}-{:02}'",
            random.between(1000, 10_000),
            random.between(1, 13),
            random.between(1, 29)
        ),
        Form::Time => {
            let hours = signed(1677, random);
            let sign = if hours < 0 { "-" } else { "" };
            format!(
                "'{sign}{:02}:{:02}:{:02}.{}'",
                hours.abs(),
                random.below(60),
                random.below(59),
                fraction(random)
            )
        }
        Form::Moment => format!(
            "'{}-{:02}-{:02} {}'",
            random.between(1900, 2100),
            random.between(1, 13),
            random.between(1, 29),
            clock(random)
        ),
        Form::Instant => format!(
            "'{}-{:02}-{:02} {}'",
            random.between(1971, 2038),
            random.between(1, 13),
            random.between(1, 29),
            clock(random)
        ),
        Form::Text | Form::Latin => {
            let plain = ["", "a", "Z", " ", "''", "é", "ÿ", "0", "\\\\", "\\n", "%"];
            let wide = ["你", "😀", "ž", "\\0"];
            let count = random.below(12);
            let text: String = (0..count)
                .map(|_| {
                    if form == Form::Text && random.below(4) == 0 {
                        *random.one_of(&wide)
                    } else {
                        *random.one_of(&plain)
                    }
                })
                .collect();
            format!("'{text}'")
        }
        Form::Bytes(most) => {
            let count = random.below(u64::from(most) + 1);
            format!("x'{}'", (0..count).map(|_| format!("{:02x}", random.below(256))).collect::<String>())
        }
        Form::Enum => random.between(1, 4).to_string(),
        Form::Set => random.below(512).to_string(),
        Form::Json => format!("'{}'", document(random, 3)),
    }
}

/// One of `count` numbers around 0.
fn signed(count: u64, random: &mut Random) -> i64 {
    random.below(count).cast_signed() - (count / 2).cast_signed()
}

fn document(random: &mut Random, depth: u32) -> String {
    match random.below(if depth == 0 { 6 } else { 9 }) {
        0 => "null".to_owned(),
        1 => random.one_of(&["true", "false"]).to_string(),
        2 => (random.below(u64::MAX).cast_signed() >> random.below(60)).to_string(),
        3 => format!("{}.5", random.below(1000)),
        4 | 5 => format!("\"{}\"", random.one_of(&["", "x", "größe", "你好", "a b", "\\\\\"q\\\\\""])),
        6 => {
            let items: Vec<String> = (0..random.below(4)).map(|_| document(random, depth - 1)).collect();
            format!("[{}]", items.join(", "))
        }
        _ => {
            let members: Vec<String> =
                (0..random.below(4)).map(|n| format!("\"k{n}\": {}", document(random, depth - 1))).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

struct Column {
    name: String,
    declared: &'static str,
    form: Form,
}

struct Table {
    name: String,
    key: Vec<Column>,
    columns: Vec<Column>,
    /// Columns that there have been.
    named: usize,
}

impl Table {
    fn new(number: usize, random: &mut Random) -> Self {
        let key = KEYS[number % KEYS.len()].iter().enumerate();
        let key =
            key.map(|(place, (declared, form))| Column { name: format!("k{place}"), declared, form: *form });
        let mut table =
            Self { name: format!("r{number}"), key: key.collect(), columns: Vec::new(), named: 0 };
        for _ in 0..random.between(3, 15) {
            let column = table.new_column(random);
            table.columns.push(column);
        }
        table
    }

    fn new_column(&mut self, random: &mut Random) -> Column {
        let (declared, form) = *random.one_of(TYPES);
        self.named += 1;
        Column { name: format!("c{}", self.named), declared, form }
    }

    fn create(&self) -> String {
        let mut parts: Vec<String> =
            self.key.iter().map(|column| format!("{} {} NOT NULL", column.name, column.declared)).collect();
        parts.extend(self.columns.iter().map(|column| format!("{} {} NULL", column.name, column.declared)));
        if !self.key.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", names(&self.key)));
        }
        format!("CREATE TABLE {} ({})", self.name, parts.join(", "))
    }

    /// Rows of the values of all columns.
    fn rows(&self, random: &mut Random) -> String {
        let count = if random.below(5) == 0 { random.between(20, 60) } else { random.between(1, 4) };
        let rows: Vec<String> = (0..count)
            .map(|_| {
                let mut values: Vec<String> =
                    self.key.iter().map(|column| literal(column.form, random)).collect();
                values.extend(self.columns.iter().map(|column| nullable(column.form, random)));
                format!("({})", values.join(", "))
            })
            .collect();
        let all: Vec<&str> =
            self.key.iter().chain(&self.columns).map(|column| column.name.as_str()).collect();
        format!("INTO {} ({}) VALUES {}", self.name, all.join(", "), rows.join(", "))
    }

    fn assignments(&self, random: &mut Random) -> String {
        let count = random.between(1, 4);
        let set: Vec<String> = (0..count)
            .map(|_| random.one_of(&self.columns))
            .map(|column| (&column.name, column.form))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(name, form)| format!("{name} = {}", nullable(form, random)))
            .collect();
        set.join(", ")
    }

    /// Some of the rows, whichever they are.
    fn some(&self, random: &mut Random) -> String {
        let of = if self.key.is_empty() { &self.columns } else { &self.key };
        // As hexadecimal text, since columns of some character sets cannot be put beside each other.
        let parts: Vec<String> = of.iter().map(|column| format!("HEX({})", column.name)).collect();
        format!("WHERE MOD(CRC32(CONCAT_WS('|', {})), 11) < {}", parts.join(", "), random.between(1, 4))
    }

    fn dml(&self, random: &mut Random) -> String {
        let name = &self.name;
        match random.below(12) {
            0..=3 => format!("INSERT IGNORE {}", self.rows(random)),
            4 => format!("INSERT {} ON DUPLICATE KEY UPDATE {}", self.rows(random), self.assignments(random)),
            5 => format!("REPLACE {}", self.rows(random)),
            6 | 7 => format!("UPDATE {name} SET {} {}", self.assignments(random), self.some(random)),
            8 => format!(
                "UPDATE {name} SET {} ORDER BY {} LIMIT 5",
                self.assignments(random),
                names(if self.key.is_empty() { &self.columns[..1] } else { &self.key })
            ),
            9 => match self.key.first() {
                Some(key) => format!(
                    "UPDATE IGNORE {name} SET {} = {} {} LIMIT 3",
                    key.name,
                    literal(key.form, random),
                    self.some(random)
                ),
                None => format!("DELETE FROM {name} {}", self.some(random)),
            },
            _ => format!("DELETE FROM {name} {} LIMIT 10", self.some(random)),
        }
    }

    /// A change of the columns, after which the rows that there are hold what they held.
    fn ddl(&mut self, random: &mut Random) -> String {
        let name = self.name.clone();
        let place = usize::try_from(random.below(self.columns.len() as u64)).expect("a place");
        match random.below(6) {
            0 | 1 => {
                let column = self.new_column(random);
                let place = match random.below(3) {
                    0 => " FIRST".to_owned(),
                    1 => format!(" AFTER {}", self.columns[place].name),
                    _ => String::new(),
                };
                let statement =
                    format!("ALTER TABLE {name} ADD COLUMN {} {} NULL{place}", column.name, column.declared);
                self.columns.push(column);
                statement
            }
            2 if self.columns.len() > 2 => {
                format!("ALTER TABLE {name} DROP COLUMN {}", self.columns.remove(place).name)
            }
            3 => {
                self.named += 1;
                let new = format!("c{}", self.named);
                let old = std::mem::replace(&mut self.columns[place].name, new.clone());
                format!("ALTER TABLE {name} RENAME COLUMN {old} TO {new}")
            }
            4 => {
                let column = &mut self.columns[place];
                let wider = match column.declared {
                    "int" => "bigint",
                    "varchar(60)" => "varchar(300)",
                    "varchar(300)" => "text",
                    "datetime" => "datetime(6)",
                    "enum('a','b','größe')" => "enum('a','b','größe','d')",
                    same => same,
                };
                column.declared = wider;
                format!("ALTER TABLE {name} MODIFY COLUMN {} {wider} NULL", column.name)
            }
            _ => format!("ALTER TABLE {name} COMMENT = 'changed {}'", random.below(100)),
        }
    }
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn nullable(form: Form, random: &mut Random) -> String {
    if random.below(6) == 0 { "NULL".to_owned() } else { literal(form, random) }
}

/// Runs statements on one connection and keeps them for the message of a failure.
struct Run {
    session: Session,
    statements: Vec<String>,
}

impl Run {
    fn sql(&mut self, statement: String) {
        self.session.sql(&statement);
        self.statements.push(statement);
    }

    fn transaction(&mut self, tables: &mut [Table], random: &mut Random) {
        if random.below(8) == 0 {
            let statement = any(tables, random).ddl(random);
            return self.sql(statement);
        }
        if random.below(3) == 0 {
            let statement = any(tables, random).dml(random);
            return self.sql(statement);
        }
        self.sql("BEGIN".to_owned());
        for _ in 0..random.between(1, 6) {
            let statement = any(tables, random).dml(random);
            match random.below(8) {
                0 => {
                    self.sql("SAVEPOINT s".to_owned());
                    self.sql(statement);
                    self.sql("ROLLBACK TO s".to_owned());
                }
                _ => self.sql(statement),
            }
        }
        self.sql(if random.below(8) == 0 { "ROLLBACK" } else { "COMMIT" }.to_owned());
    }

    fn shown(&self) -> String {
        let from = self.statements.len().saturating_sub(SHOWN);
        self.statements[from..].iter().fold(String::new(), |mut text, statement| {
            let _ = writeln!(text, "  {}", statement.chars().take(300).collect::<String>());
            text
        })
    }
}

fn any<'a>(tables: &'a mut [Table], random: &mut Random) -> &'a mut Table {
    let place = usize::try_from(random.below(tables.len() as u64)).expect("a place");
    &mut tables[place]
}

fn follow(kind: Kind) {
    let mut random = Random::of_this_run(&format!("random changes on {kind:?}"));
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    // The last one is without a key.
    let mut tables: Vec<Table> = (0..=TABLES).map(|number| Table::new(number, &mut random)).collect();
    let mut run = Run { session: source.session(), statements: Vec::new() };
    run.sql("SET sql_mode = '', time_zone = '+00:00'".to_owned());
    tables.iter().for_each(|table| run.sql(table.create()));
    let mut debezium = (kind == Kind::MySql).then(|| Debezium::start(&source));
    let pipeline = Pipeline::new(&source, &emulator)
        .sink("buckets-num", "1")
        .option("schema.change.behavior", "EVOLVE")
        .option("checkpoint.interval", "500ms");
    let mut program = pipeline.start_and_wait();
    debezium.iter_mut().for_each(Debezium::wait_until_ready);
    let reader = ChangeReader::begin(&source);
    for _ in 0..TRANSACTIONS {
        run.transaction(&mut tables, &mut random);
    }
    if let Some(debezium) = debezium {
        let theirs = debezium.events();
        let found = differences(&reader.read(), &theirs);
        assert!(theirs.len() > 200, "{} events are too few to mean something", theirs.len());
        assert!(found.is_empty(), "{found:#?}\nafter:\n{}", run.shown());
    }
    let sink = emulator.sink();
    let mut rows = 0;
    for table in tables.iter().filter(|table| !table.key.is_empty()) {
        program.assert_running();
        rows += wait_for_same_rows(&source, &table.name, &sink, &table.name);
    }
    assert!(rows > 20, "{rows} rows are too few to mean something");
}

#[test]
fn random_changes_on_mysql_are_debeziums_and_reach_the_sink() {
    follow(Kind::MySql);
}

#[test]
fn random_changes_on_mariadb_reach_the_sink() {
    follow(Kind::MariaDb);
}
