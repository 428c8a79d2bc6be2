//! Tables that take each other's names: the statements of gh-ost and pt-online-schema-change, and plain exchanges.
//!
//! Each run is played while an application goes on writing to the table. What is delivered of the table must be what the
//! application wrote, each row once and under the columns of its place, with one schema change between.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluicebox_model::SchemaChange;
use sluicebox_mysql::{BinlogStream, Flavour, StreamItem};

use crate::support::{BOTH, Session, outline, table_text};

/// A statement that waits for a lock is there within moments.
const DEADLINE: Duration = Duration::from_secs(60);

/// Whether the tools' own tables are captured as well.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Captured {
    OnlyTheTable,
    TheWholeDatabase,
}

/// A table with rows, and a stream from behind them.
fn prepared(flavour: Flavour, database: &str, captured: Captured, server_id: u32) -> (Session, BinlogStream) {
    let mut session = Session::new(flavour, database);
    session.sql("CREATE TABLE t (id int primary key, v varchar(10), gone int)");
    session.sql("INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)");
    let mut options = session.stream_options(server_id);
    let database = session.database.clone();
    options.captures = Arc::new(move |id| {
        *id.database == *database && (captured == Captured::TheWholeDatabase || *id.table == *"t")
    });
    let stream = BinlogStream::open(options).expect("a stream");
    (session, stream)
}

/// What the application does before the tables change places.
const WRITES_BEFORE: [&str; 3] = [
    "INSERT INTO t VALUES (4, 'four', 4)",
    "UPDATE t SET v = 'deux' WHERE id = 2",
    "DELETE FROM t WHERE id = 3",
];
const READ_BEFORE: [&str; 3] = ["Insert 4 four 4", "After 2 deux 2", "Delete 3 three 3"];

/// And behind it.
const WRITES_BEHIND: [&str; 3] = [
    "INSERT INTO t (id, v, w) VALUES (5, 'five', 50)",
    "UPDATE t SET w = 40 WHERE id = 4",
    "DELETE FROM t WHERE id = 1",
];
const READ_BEHIND: [&str; 3] = ["Insert 5 five 50", "After 4 four 40", "Delete 1 one 0"];

/// Checks what came of the table; `changes` are the names of its schema events' changes.
fn check(session: &mut Session, stream: &mut BinlogStream, changes: &[&str], case: &str) {
    WRITES_BEHIND.iter().for_each(|write| session.sql(write));
    let items = session.read(stream);
    assert_eq!(table_text(&items, "t"), [READ_BEFORE, READ_BEHIND].concat(), "{case}");
    let events: Vec<String> =
        outline(&items).into_iter().filter(|line| line.starts_with("schema t ")).collect();
    assert_eq!(events, changes, "{case}");
    let last = items.iter().rev().find_map(|item| match item {
        StreamItem::Schema(event) if *event.table.table == *"t" => event.schema.clone(),
        _ => None,
    });
    let last = last.unwrap_or_else(|| panic!("{case}: the table has no schema"));
    let now = session.schemas().into_iter().find(|schema| *schema.id.table == *"t").expect("the table");
    assert_eq!((&last.columns, &last.key), (&now.columns, &now.key), "{case}");
}

fn each(test: &str, run: impl Fn(Flavour, Captured, &str)) {
    for flavour in BOTH {
        for captured in [Captured::OnlyTheTable, Captured::TheWholeDatabase] {
            run(flavour, captured, &format!("{test}, {flavour:?}, {captured:?}"));
        }
    }
}

/// Waits until a statement that begins like this waits for a table's lock.
fn wait_until_blocked(session: &Session, start: &str) {
    let mut observer = session.another();
    let query = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table%' AND INFO LIKE '{start}%' \
         AND DB = '{}'",
        session.database
    );
    let began = Instant::now();
    while observer.rows::<u64>(&query) != [1] {
        assert!(began.elapsed() < DEADLINE, "`{start}` does not wait for its lock");
    }
}

/// gh-ost reads the binlog and writes the copy itself; at the end a lock holds writers back while the names change in one
/// statement, with a table that stands in the way until then.
#[test]
fn a_run_of_gh_ost_is_one_change_of_the_table() {
    each("gh-ost", |flavour, captured, case| {
        let (mut session, mut stream) = prepared(flavour, "stream_gh_ost", captured, 7501);
        for statement in [
            "create /* gh-ost */ table `stream_gh_ost`.`_t_ghc` (id bigint unsigned auto_increment, last_update timestamp not \
             null DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, hint varchar(64) charset ascii not null, value \
             varchar(4096) charset ascii not null, primary key (id), unique key hint_uidx (hint)) auto_increment=256",
            "create /* gh-ost */ table `stream_gh_ost`.`_t_gho` like `stream_gh_ost`.`t`",
            "alter /* gh-ost */ table `stream_gh_ost`.`_t_gho` add column w int not null default 0, drop column gone",
            "insert /* gh-ost */ into `_t_ghc` (hint, value) values ('state', 'Migrated') on duplicate key update value='x'",
            "insert /* gh-ost `stream_gh_ost`.`t` */ ignore into `_t_gho` (`id`, `v`) (select `id`, `v` from `t` force index \
             (`PRIMARY`) where `id` >= 1 and `id` <= 3 lock in share mode)",
        ] {
            session.sql(statement);
        }
        WRITES_BEFORE.iter().for_each(|write| session.sql(write));
        for statement in [
            "replace /* gh-ost `stream_gh_ost`.`_t_gho` */ into `_t_gho` (`id`, `v`) values (4, 'four')",
            "update /* gh-ost `stream_gh_ost`.`_t_gho` */ `_t_gho` set `id`=2, `v`='deux' where `id` = 2",
            "delete /* gh-ost `stream_gh_ost`.`_t_gho` */ from `_t_gho` where `id` = 3",
            "create /* gh-ost */ table `_t_del` (id int auto_increment primary key) engine=InnoDB comment='sentry'",
            "lock /* gh-ost */ tables `t` write, `_t_del` write",
        ] {
            session.sql(statement);
        }
        let mut renaming = session.another();
        let rename = std::thread::spawn(move || {
            renaming.sql("rename /* gh-ost */ table `t` to `_t_del`, `_t_gho` to `t`");
        });
        wait_until_blocked(&session, "rename /* gh-ost */");
        session.sql("drop /* gh-ost */ table if exists `_t_del`");
        session.sql("unlock /* gh-ost */ tables");
        rename.join().expect("the names change");
        session.sql("drop /* gh-ost */ table if exists `_t_ghc`");
        check(&mut session, &mut stream, &["schema t AddColumns+DropColumns"], case);
        session.sql("drop /* gh-ost */ table if exists `_t_del`");
        session.read(&mut stream);
    });
}

/// Without the waiting statement, the names change in two steps under a lock, and for a moment there is no table.
#[test]
fn a_swap_in_two_steps_ends_with_the_new_table() {
    each("two steps", |flavour, captured, case| {
        let (mut session, mut stream) = prepared(flavour, "stream_two_steps", captured, 7502);
        session.sql("CREATE TABLE _t_gho LIKE t");
        session.sql("ALTER TABLE _t_gho ADD COLUMN w int NOT NULL DEFAULT 0, DROP COLUMN gone");
        WRITES_BEFORE.iter().for_each(|write| session.sql(write));
        session.sql("INSERT INTO _t_gho (id, v) SELECT id, v FROM t");
        session.sql("LOCK TABLES t WRITE, _t_gho WRITE");
        session.sql("ALTER TABLE t RENAME _t_del");
        session.sql("ALTER TABLE _t_gho RENAME t");
        session.sql("UNLOCK TABLES");
        // The table goes away under the first statement; which one comes, the second says.
        check_two_steps(&mut session, &mut stream, captured, case);
    });
}

fn check_two_steps(session: &mut Session, stream: &mut BinlogStream, captured: Captured, case: &str) {
    WRITES_BEHIND.iter().for_each(|write| session.sql(write));
    let items = session.read(stream);
    assert_eq!(table_text(&items, "t"), [READ_BEFORE, READ_BEHIND].concat(), "{case}");
    let swap: Vec<String> = outline(&items)
        .into_iter()
        .filter(|line| {
            line.starts_with("schema ") && !line.contains("AddColumns") && !line.contains("_gho Create")
        })
        .collect();
    let want = match captured {
        Captured::OnlyTheTable => ["schema t RenameTable", "schema t CreateTable"],
        Captured::TheWholeDatabase => ["schema t RenameTable", "schema _t_gho RenameTable"],
    };
    assert_eq!(swap, want, "{case}");
}

/// pt-online-schema-change lets triggers write the copy, and changes the names in one statement.
#[test]
fn a_run_of_pt_online_schema_change_is_one_change_of_the_table() {
    each("pt-osc", |flavour, captured, case| {
        let (mut session, mut stream) = prepared(flavour, "stream_pt_osc", captured, 7503);
        let database = "`stream_pt_osc`";
        let delete =
            format!("DELETE IGNORE FROM {database}.`_t_new` WHERE {database}.`_t_new`.`id` <=> OLD.`id`");
        let replace = format!("REPLACE INTO {database}.`_t_new` (`id`, `v`) VALUES (NEW.`id`, NEW.`v`)");
        let trigger = |kind: &str, event: &str, body: &str| {
            format!("CREATE TRIGGER `pt_osc_t_{kind}` AFTER {event} ON {database}.`t` FOR EACH ROW {body}")
        };
        session.sql(&format!(
            "CREATE TABLE {database}.`_t_new` (\n  `id` int NOT NULL,\n  `v` varchar(10) DEFAULT NULL,\n  `gone` int DEFAULT \
             NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
        ));
        session.sql(&format!(
            "ALTER TABLE {database}.`_t_new` add column w int not null default 0, drop column gone"
        ));
        session.sql(&trigger("del", "DELETE", &delete));
        session.sql(&trigger("upd", "UPDATE", &format!("BEGIN {delete}; {replace}; END")));
        session.sql(&trigger("ins", "INSERT", &replace));
        WRITES_BEFORE.iter().for_each(|write| session.sql(write));
        for statement in [
            "INSERT LOW_PRIORITY IGNORE INTO `_t_new` (`id`, `v`) SELECT `id`, `v` FROM `t` LOCK IN SHARE MODE /*copy table*/",
            "ANALYZE TABLE `_t_new` /* pt-online-schema-change */",
            "RENAME TABLE `stream_pt_osc`.`t` TO `stream_pt_osc`.`_t_old`, `stream_pt_osc`.`_t_new` TO `stream_pt_osc`.`t`",
            "DROP TABLE IF EXISTS `_t_old`",
            "DROP TRIGGER IF EXISTS `stream_pt_osc`.`pt_osc_t_del`",
            "DROP TRIGGER IF EXISTS `stream_pt_osc`.`pt_osc_t_upd`",
            "DROP TRIGGER IF EXISTS `stream_pt_osc`.`pt_osc_t_ins`",
        ] {
            session.sql(statement);
        }
        check(&mut session, &mut stream, &["schema t AddColumns+DropColumns"], case);
    });
}

/// Where all of the tool's tables are captured, each name is told once: the copy's goes, and that of the old table comes.
#[test]
fn captured_names_around_a_swap_come_and_go() {
    for flavour in BOTH {
        let (mut session, mut stream) = prepared(flavour, "stream_names", Captured::TheWholeDatabase, 7504);
        session.sql("CREATE TABLE _t_new LIKE t");
        session.sql("RENAME TABLE t TO _t_old, _t_new TO t");
        session.sql("INSERT INTO _t_old VALUES (7, 'seven', 7)");
        session.sql("INSERT INTO t VALUES (8, 'eight', 8)");
        let items = session.read(&mut stream);
        let words = [
            "schema _t_new CreateTable",
            "end",
            "schema _t_old CreateTable",
            "schema _t_new RenameTable",
            "schema t ",
            "end",
            "rows _t_old",
            "end",
            "rows t",
            "end",
        ];
        assert_eq!(outline(&items), words, "{flavour:?}");
        assert_eq!(table_text(&items, "_t_old"), ["Insert 7 seven 7"], "{flavour:?}");
        assert_eq!(table_text(&items, "t"), ["Insert 8 eight 8"], "{flavour:?}");
        let gone = items.iter().find_map(|item| match item {
            StreamItem::Schema(event) if event.changes.iter().any(is_rename) => Some(event.schema.is_none()),
            _ => None,
        });
        assert_eq!(gone, Some(true), "{flavour:?}");
    }
}

fn is_rename(change: &SchemaChange) -> bool {
    matches!(change, SchemaChange::RenameTable { .. })
}

/// Two captured tables that exchange their names at once: each name goes on under the other's columns.
#[test]
fn captured_tables_that_exchange_their_names_are_both_changed() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_exchange");
        session.sql("CREATE TABLE a (id int primary key, x int)");
        session.sql("CREATE TABLE b (id int primary key, y varchar(5), z int)");
        session.sql("CREATE TABLE c (id bigint primary key)");
        let mut stream = session.stream(7505);
        session.sql("INSERT INTO a VALUES (1, 10)");
        session.sql("RENAME TABLE a TO tmp, b TO a, tmp TO b");
        session.sql("INSERT INTO a VALUES (2, 'two', 20)");
        session.sql("INSERT INTO b VALUES (3, 30)");
        session.sql("RENAME TABLE a TO tmp, b TO a, c TO b, tmp TO c");
        session.sql("INSERT INTO a VALUES (4, 40)");
        session.sql("INSERT INTO b VALUES (5)");
        session.sql("INSERT INTO c VALUES (6, 'six', 60)");
        let items = session.read(&mut stream);
        assert_eq!(table_text(&items, "a"), ["Insert 1 10", "Insert 2 two 20", "Insert 4 40"], "{flavour:?}");
        assert_eq!(table_text(&items, "b"), ["Insert 3 30", "Insert 5"], "{flavour:?}");
        assert_eq!(table_text(&items, "c"), ["Insert 6 six 60"], "{flavour:?}");
        let now = session.schemas();
        for schema in &now {
            let told = items.iter().rev().find_map(|item| match item {
                StreamItem::Schema(event) if event.table == schema.id => event.schema.clone(),
                _ => None,
            });
            let told = told.unwrap_or_else(|| panic!("{flavour:?}: nothing of {}", schema.id));
            assert_eq!(
                (&told.id, &told.columns, &told.key),
                (&schema.id, &schema.columns, &schema.key),
                "{flavour:?}"
            );
        }
        assert_eq!(now.len(), 3, "{flavour:?}");
    }
}
