//! What `apply` makes of statements is what the servers make of them.

use std::collections::BTreeMap;

use mysql_async::prelude::Queryable;
use sluicebox_model::{Column, ColumnDefault, TableId, TableSchema};
use sluicebox_mysql::ddl::{self, ApplyContext, DdlContext, DdlStatement};
use sluicebox_mysql::{BaseType, Control, DeclaredType, Flavour, TypeOptions};

use crate::server::{control, fresh_database};

const DATABASE: &str = "control_ddl";

/// Statements for both servers, in order; `M ` before one is for MySQL alone, `A ` for MariaDB alone.
const STATEMENTS: &[&str] = &[
    // Types and attributes.
    "CREATE TABLE types1 (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a TINYINT, b TINYINT(1), c TINYINT UNSIGNED, d BOOL, \
     e SMALLINT ZEROFILL, f MEDIUMINT UNSIGNED, g INTEGER, h INT4 UNSIGNED, i BIGINT, j BIGINT UNSIGNED DEFAULT 7, \
     k BIT, l BIT(17), m FLOAT, n FLOAT(10), o FLOAT(30), p FLOAT(7,3), q DOUBLE PRECISION, r REAL, s DOUBLE(10,2))",
    "CREATE TABLE types2 (a DEC NOT NULL, b NUMERIC(12), c DECIMAL(65,30) UNSIGNED, d FIXED(5,5), e YEAR, f DATE, g TIME, \
     h TIME(6), i DATETIME(3) NULL, j TIMESTAMP NULL DEFAULT NULL, k TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON \
     UPDATE CURRENT_TIMESTAMP(6), UNIQUE KEY (a))",
    "CREATE TABLE types3 (a CHAR, b CHAR(10) CHARACTER SET latin1, c VARCHAR(20) COLLATE utf8mb4_bin, d NCHAR(4), \
     e NATIONAL VARCHAR(9), f CHARACTER VARYING(7), g TINYTEXT, h TEXT, i MEDIUMTEXT CHARSET utf8, j LONGTEXT, k TEXT(10), \
     l TEXT(300), m TEXT(70000), n LONG VARCHAR, o LONG, p CHAR(3) BYTE, q VARCHAR(5) CHARACTER SET binary, \
     r TEXT CHARACTER SET binary, s CHAR(4) ASCII, t VARCHAR(3) BINARY)",
    "CREATE TABLE types4 (a BINARY, b BINARY(16), c VARBINARY(300), d TINYBLOB, e BLOB, f BLOB(10), g BLOB(70000), \
     h MEDIUMBLOB, i LONGBLOB, j LONG VARBINARY, k ENUM('a','it''s','b  ','c\\\\d'), l SET('x','y z') CHARACTER SET latin1, \
     m GEOMETRY, n POINT NOT NULL, o JSON, p MULTIPOLYGON, q ENUM('ä', \"q\"\"q\"))",
    "CREATE TABLE serial1 (id SERIAL, v INT)",
    "CREATE TABLE serial2 (id BIGINT SERIAL DEFAULT VALUE, v INT UNIQUE)",
    // Keys.
    "CREATE TABLE keys1 (a INT, b INT, c VARCHAR(10), PRIMARY KEY (c, a), UNIQUE (b))",
    "CREATE TABLE keys2 (a INT, b INT NOT NULL, c INT NOT NULL, UNIQUE KEY nullable (a), UNIQUE KEY second (b, c), \
     UNIQUE KEY third (c))",
    "CREATE TABLE keys3 (a INT UNIQUE KEY NOT NULL COMMENT 'the key', b INT NOT NULL UNIQUE)",
    "CREATE TABLE keys4 (a INT, CONSTRAINT pk PRIMARY KEY USING BTREE (a) COMMENT 'x', CONSTRAINT CHECK (a > 0), \
     KEY (a), CONSTRAINT u UNIQUE INDEX uu (a DESC))",
    "CREATE TABLE keys5 (a VARCHAR(100) NOT NULL, b INT, UNIQUE KEY (a(10)))",
    // Options, comments, character sets.
    "CREATE TABLE IF NOT EXISTS opts1 (a VARCHAR(10), b TEXT) ENGINE=InnoDB DEFAULT CHARSET=latin1 COMMENT='it''s a table'",
    "CREATE TABLE opts2 (a VARCHAR(10), b ENUM('x')) COLLATE utf8mb4_general_ci, COMMENT = 'c', ROW_FORMAT = DYNAMIC",
    "CREATE TABLE opts3 (a VARCHAR(10), b TEXT, c CHAR(5)) CHARACTER SET = binary",
    "CREATE TABLE opts4 (id INT PRIMARY KEY, name VARCHAR(10) COMMENT '') PARTITION BY RANGE (id) (PARTITION p0 VALUES \
     LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
    "CREATE TABLE IF NOT EXISTS opts1 (z INT)",
    "CREATE TABLE `odd``name` (`a b` INT, `select` INT, `c``d` INT, größe INT, `comment` INT, PRIMARY KEY (`a b`))",
    "CREATE /* c1 */ TABLE -- c2\n cmt1 ( # c3\n a INT /* c4, */ , /*!50503 b INT, */ c INT)",
    "CREATE TABLE dflt1 (a INT DEFAULT -1, b VARCHAR(10) DEFAULT 'x,y)', c DATETIME DEFAULT NOW() COMMENT 'c', d DOUBLE \
     DEFAULT 1.5e-3, e INT NOT NULL DEFAULT 0, f BIT(3) DEFAULT b'101', g DATE DEFAULT '2020-01-01', \
     h VARCHAR(40) DEFAULT (CONCAT('a', 'b')), i VARCHAR(3) DEFAULT _utf8mb4'abc' NOT NULL)",
    "CREATE TABLE gen1 (a INT PRIMARY KEY, b INT GENERATED ALWAYS AS (a + 1) VIRTUAL, c INT AS (a * (2 + 1)) STORED UNIQUE, \
     d VARCHAR(20) AS (CONCAT('x', a)) VIRTUAL COMMENT 'd')",
    "CREATE TABLE parent1 (id INT PRIMARY KEY)",
    "CREATE TABLE child1 (id INT PRIMARY KEY, p INT NOT NULL REFERENCES parent1 (id) ON DELETE CASCADE, q INT REFERENCES parent1 \
     (id) ON DELETE SET NULL ON UPDATE NO ACTION, CONSTRAINT fk FOREIGN KEY fk2 (q) REFERENCES parent1 (id) ON DELETE SET NULL)",
    "CREATE TABLE like1 LIKE types1",
    "CREATE TABLE like2 (LIKE keys2)",
    "CREATE TABLE like3 SELECT * FROM parent1",
    "CREATE TEMPORARY TABLE tmp1 (a INT)",
    "DROP TEMPORARY TABLE tmp1",
    // Adding columns.
    "ALTER TABLE types1 ADD COLUMN z1 INT",
    "ALTER TABLE types1 ADD z2 VARCHAR(10) NOT NULL FIRST, ADD COLUMN z3 DATETIME(6) AFTER a",
    "ALTER TABLE types1 ADD (z4 INT, z5 VARCHAR(20) CHARACTER SET latin1 COMMENT 'five')",
    "ALTER TABLE types1 ADD COLUMN Z6 INT AFTER Z1, ADD COLUMN z7 INT AFTER z6",
    "ALTER TABLE opts1 ADD c VARCHAR(5), ADD d VARCHAR(5) COLLATE utf8mb4_bin",
    "ALTER TABLE control_ddl . opts2 ADD COLUMN e TEXT COMMENT 'it''s'",
    "ALTER TABLE `control_ddl`.`odd``name` ADD COLUMN (f INT, INDEX ff (f))",
    // Dropping columns, also of keys.
    "ALTER TABLE types1 DROP COLUMN z1, DROP z2",
    "ALTER TABLE types1 DROP COLUMN Z3 RESTRICT",
    "ALTER TABLE keys1 DROP COLUMN b",
    "M ALTER TABLE keys1 DROP COLUMN a",
    "A ALTER TABLE keys1 DROP PRIMARY KEY, DROP COLUMN a, ADD PRIMARY KEY (c)",
    "ALTER TABLE types1 DROP a, ADD a BIGINT",
    // Changing columns.
    "ALTER TABLE types1 MODIFY z4 BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'four'",
    "ALTER TABLE types1 MODIFY COLUMN z5 VARCHAR(40) FIRST",
    "ALTER TABLE types1 MODIFY z5 VARCHAR(40) AFTER b, MODIFY a INT FIRST",
    "ALTER TABLE types1 CHANGE z4 y4 SMALLINT, CHANGE COLUMN z6 y6 INT FIRST",
    "ALTER TABLE types1 CHANGE y4 y6 SMALLINT, CHANGE y6 y4 INT",
    "ALTER TABLE types1 CHANGE c C INT AFTER y6, ADD COLUMN after_c INT AFTER C",
    "ALTER TABLE types1 MODIFY id BIGINT AUTO_INCREMENT",
    "ALTER TABLE types3 MODIFY b CHAR(20), MODIFY c VARCHAR(20) CHARACTER SET utf8mb4",
    "ALTER TABLE types4 MODIFY k ENUM('a','b','c'), MODIFY l SET('x') COLLATE utf8mb4_unicode_ci",
    "ALTER TABLE types1 RENAME COLUMN y4 TO w4, RENAME COLUMN y6 TO w6",
    "ALTER TABLE types1 RENAME COLUMN w4 TO w6, RENAME COLUMN w6 TO w4",
    "ALTER TABLE types1 ALTER COLUMN w4 SET DEFAULT 5, ALTER w6 DROP DEFAULT",
    "ALTER TABLE types1 ALTER w4 SET DEFAULT (1 + 2), ADD last1 INT",
    // Keys.
    "ALTER TABLE keys2 ADD PRIMARY KEY (a, b)",
    "ALTER TABLE keys5 MODIFY b INT NOT NULL PRIMARY KEY",
    "ALTER TABLE keys1 DROP PRIMARY KEY, ADD d INT, ADD CONSTRAINT pk PRIMARY KEY (d)",
    "ALTER TABLE keys1 DROP PRIMARY KEY",
    "ALTER TABLE keys1 ADD UNIQUE KEY u1 (d)",
    "DROP INDEX u1 ON keys1",
    "CREATE UNIQUE INDEX u2 ON keys1 (c, d)",
    "ALTER TABLE gen1 ADD INDEX (b), ADD INDEX bb (b)",
    "ALTER TABLE parent1 ADD x INT NOT NULL, ADD UNIQUE (x), ADD CONSTRAINT ck CHECK (x > 1)",
    "ALTER TABLE parent1 DROP CONSTRAINT ck, RENAME INDEX x TO xx",
    "DROP INDEX `PRIMARY` ON keys4",
    "ALTER TABLE keys4 ADD COLUMN n INT NOT NULL UNIQUE FIRST",
    "ALTER TABLE child1 DROP FOREIGN KEY fk, CHANGE id ident INT",
    // Options and character sets.
    "ALTER TABLE opts1 COMMENT 'new', ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
    "ALTER TABLE opts1 COMMENT=''",
    "ALTER TABLE opts2 CONVERT TO CHARACTER SET latin1",
    "ALTER TABLE opts2 CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, ADD g TINYTEXT",
    "ALTER TABLE opts1 CONVERT TO CHARACTER SET utf8mb4",
    "ALTER TABLE types3 CONVERT TO CHARACTER SET ucs2",
    "ALTER TABLE opts2 DEFAULT CHARACTER SET latin1, ADD h VARCHAR(3)",
    "ALTER TABLE opts4 REBUILD PARTITION p0, p1",
    "ALTER TABLE opts4 TRUNCATE PARTITION p0",
    "ALTER TABLE opts4 REORGANIZE PARTITION p1 INTO (PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE)",
    "ALTER TABLE opts4 DROP PARTITION p0, p1",
    "ALTER TABLE opts4 REMOVE PARTITIONING",
    "ALTER TABLE opts4 ADD COLUMN q INT, ALGORITHM=INPLACE, LOCK=NONE",
    "ALTER TABLE opts4 ORDER BY id, q",
    "ALTER TABLE opts4 FORCE, DISABLE KEYS",
    // Names.
    "RENAME TABLE opts4 TO opts5",
    "RENAME TABLE opts5 TO opts6, opts3 TO opts5, opts6 TO opts3",
    "ALTER TABLE opts5 RENAME TO opts7, ADD COLUMN moved INT",
    "ALTER TABLE opts7 RENAME opts5",
    "ALTER TABLE opts5 RENAME AS `control_ddl`.`opts8`",
    "TRUNCATE opts8",
    "TRUNCATE TABLE types1",
    "DROP TABLE IF EXISTS nothing_there, opts8",
    "DROP TABLE like1, like2",
    "CREATE VIEW v1 AS SELECT 1 AS one",
    "DROP VIEW v1",
    "CREATE INDEX i1 ON gen1 (a)",
    "ANALYZE TABLE gen1",
    "CREATE TABLE re1 (a INT)",
    "DROP TABLE re1",
    "CREATE TABLE re1 (b TEXT NOT NULL)",
    // MySQL alone.
    "M CREATE TABLE my1 (a INT, b INT INVISIBLE, c INT NOT NULL /*!80023 INVISIBLE */, PRIMARY KEY (a), KEY functional_index ((a + b)), d \
     VARCHAR(10) DEFAULT (UUID()))",
    "M CREATE TABLE my2 (id INT PRIMARY KEY, g GEOMETRY NOT NULL SRID 4326, j JSON DEFAULT (JSON_ARRAY()), \
     INDEX ((CAST(j->'$.x' AS UNSIGNED ARRAY))), /*!99999 never INT, */ p POINT)",
    "M ALTER TABLE my1 ALTER COLUMN b SET VISIBLE, ALTER INDEX functional_index INVISIBLE",
    "M ALTER TABLE my1 ADD COLUMN e INT NOT NULL, ADD UNIQUE KEY ((a + e)), ALGORITHM=COPY",
    "M CREATE TABLE my3 (a INT NOT NULL, UNIQUE KEY f ((a + 1)), UNIQUE KEY g (a))",
    // MariaDB alone.
    "A CREATE OR REPLACE TABLE re1 (c INT PRIMARY KEY, u UUID, i6 INET6, i4 INET4)",
    "A CREATE OR REPLACE TABLE ma1 (a INT DEFAULT (1+2*3), b VARCHAR(36) DEFAULT uuid(), c TEXT COMPRESSED, d VARCHAR(50) \
     COMPRESSED NOT NULL, e JSON, f INT INVISIBLE, g INT CHECK (g > 0))",
    "A ALTER TABLE ma1 ADD COLUMN IF NOT EXISTS a INT, ADD COLUMN IF NOT EXISTS h INT FIRST",
    "A ALTER TABLE IF EXISTS ma1 DROP COLUMN IF EXISTS nope, DROP COLUMN IF EXISTS h",
    "A ALTER TABLE ma1 MODIFY COLUMN IF EXISTS nope INT, CHANGE COLUMN IF EXISTS nope2 nope3 INT, MODIFY IF EXISTS a BIGINT",
    "A ALTER TABLE ma1 RENAME COLUMN IF EXISTS nope TO nope2, DROP INDEX IF EXISTS none",
    "A ALTER ONLINE TABLE ma1 WAIT 5 ADD COLUMN w INT",
    "A CREATE TABLE ma2 (a INT PRIMARY KEY, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, e TIMESTAMP(6) GENERATED ALWAYS AS \
     ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING COMMENT='versions'",
    "A CREATE TABLE ma3 (a INT, b VARCHAR(10)) WITH SYSTEM VERSIONING",
    "A ALTER TABLE ma3 DROP SYSTEM VERSIONING",
    "A CREATE TABLE ma4 (a VARCHAR(10) COLLATE uca1400_ai_ci, b VARCHAR(3) CHARACTER SET latin1) COLLATE uca1400_as_ci",
    "A SET STATEMENT max_statement_time=10 FOR ALTER TABLE ma1 ADD COLUMN x INT",
    "A /*M!100000 ALTER TABLE ma1 ADD COLUMN y INT */",
    "A CREATE SEQUENCE seq1",
    "A CREATE TABLE ma5 (a INT DEFAULT (NEXT VALUE FOR seq1), b INT NOT NULL DEFAULT NEXTVAL(seq1), c INT)",
    "A ALTER TABLE ma5 CONVERT TO CHARACTER SET latin1, DROP CONSTRAINT IF EXISTS nope",
    "A ALTER TABLE ma5 ADD KEY (c), ADD CONSTRAINT IF NOT EXISTS ck CHECK (c > 0)",
    "A RENAME TABLE IF EXISTS nope TO nope2, ma5 WAIT 3 TO ma6",
];

#[tokio::test]
async fn on_mysql_statements_lead_where_the_server_goes() {
    follow(Flavour::MySql).await;
}

#[tokio::test]
async fn on_mariadb_statements_lead_where_the_server_goes() {
    follow(Flavour::MariaDb).await;
}

/// Runs each statement at the server and here, and compares all tables after each. All differences are shown at once.
async fn follow(flavour: Flavour) {
    let mut conn = fresh_database(flavour, DATABASE).await;
    let mut control = control(flavour).await;
    let mut ours: BTreeMap<TableId, TableSchema> = BTreeMap::new();
    let mut differences = Vec::new();
    let (mut ran, mut skipped) = (0, Vec::new());
    for line in STATEMENTS {
        let statement = match (line.split_at(2), flavour) {
            (("M ", statement), Flavour::MySql) | (("A ", statement), Flavour::MariaDb) => statement,
            (("M " | "A ", _), _) => continue,
            _ => line,
        };
        if let Err(error) = conn.query_drop(statement).await {
            skipped.push(format!("{error}: {statement}"));
            continue;
        }
        ran += 1;
        if let Err(reason) = follow_one(statement, DATABASE, Modes::default(), &control, &mut ours) {
            differences.push(format!("{statement}\n    {reason}"));
        }
        let theirs = server_tables(&mut control, &[DATABASE]).await;
        // Columns that a SELECT gives are not in the text; the server's binlog has them written out.
        let unwritten = statement.contains(" SELECT * ");
        for (id, theirs) in theirs.iter().filter(|(id, _)| !unwritten || ours.contains_key(*id)) {
            let known = ours.get(id).map(|ours| defaults_apart(ours, theirs)).unwrap_or_default();
            differences.extend(known.into_iter().map(|apart| format!("{statement}\n  {id} {apart}")));
            let ours = ours.get(id).map(describe);
            let theirs = describe(theirs);
            if ours.as_ref() != Some(&theirs) {
                differences.push(format!(
                    "{statement}\n  {id}\n  ours   {}\n  theirs {theirs}",
                    ours.unwrap_or_default()
                ));
            }
        }
        differences.extend(
            ours.keys().filter(|id| !theirs.contains_key(*id)).map(|id| format!("{statement}: {id} is gone")),
        );
        // Each statement is judged by itself.
        ours = theirs;
    }
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
    assert!(skipped.is_empty(), "statements that the server refused:\n{}", skipped.join("\n"));
    assert!(ran >= 80, "only {ran} statements ran");
}

/// The tables of these databases, as the catalog has them.
pub async fn server_tables(control: &mut Control, databases: &[&str]) -> BTreeMap<TableId, TableSchema> {
    let tables = control.tables().await.expect("tables");
    let tables: Vec<_> = tables.into_iter().filter(|id| databases.contains(&&*id.database)).collect();
    let schemas = control.schemas(&tables, &TypeOptions::default()).await.expect("schemas");
    schemas.into_iter().map(|schema| (schema.id.clone(), schema)).collect()
}

/// The `sql_mode` of a statement, as far as it matters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Modes {
    pub ansi_quotes: bool,
    pub no_backslash_escapes: bool,
}

/// Parses and applies a statement as the stream does. Gives the tables whose columns come from a query: the text does not
/// tell them.
pub fn follow_one(
    text: &str,
    database: &str,
    modes: Modes,
    control: &Control,
    tables: &mut BTreeMap<TableId, TableSchema>,
) -> Result<Vec<TableId>, String> {
    let server = control.server();
    let mut from_query = Vec::new();
    let context = DdlContext {
        database,
        ansi_quotes: modes.ansi_quotes,
        no_backslash_escapes: modes.no_backslash_escapes,
        flavour: server.flavour,
        version: server.version,
    };
    let apply_context = ApplyContext { database_charset: Some("utf8mb4".into()), ..ApplyContext::default() };
    for statement in ddl::parse(text, &context).map_err(|e| e.reason)? {
        match &statement {
            DdlStatement::CreateTable(create) if create.as_select => {
                if create.if_not_exists && tables.contains_key(&create.table) {
                    continue;
                }
                from_query.push(create.table.clone());
                let error = ddl::apply(None, &statement, &apply_context)
                    .expect_err("columns of a SELECT are not known");
                assert_eq!(error.tables, vec![create.table.clone()]);
            }
            DdlStatement::CreateTableLike { table, if_not_exists: true, .. }
                if tables.contains_key(table) => {}
            DdlStatement::CreateTableLike { table, like, .. } => {
                let (made, _) = ddl::apply_like(&tables[like], table, &apply_context);
                tables.insert(table.clone(), made.expect("a table"));
            }
            DdlStatement::CreateTable(create) => {
                let known = tables.get(&create.table);
                let (made, _) = ddl::apply(known, &statement, &apply_context).map_err(|e| e.reason)?;
                tables.insert(create.table.clone(), made.expect("a table"));
            }
            other => {
                apply_to_all(other, tables, &apply_context)?;
            }
        }
    }
    Ok(from_query)
}

fn apply_to_all(
    statement: &DdlStatement,
    tables: &mut BTreeMap<TableId, TableSchema>,
    context: &ApplyContext,
) -> Result<(), String> {
    let about: Vec<TableId> = match statement {
        DdlStatement::AlterTable { table, .. } => vec![table.clone()],
        _ => tables.keys().cloned().collect(),
    };
    let mut made = Vec::new();
    for id in about {
        let Some(before) = tables.remove(&id) else { return Err(format!("`{id}` is not known")) };
        let (after, changes) = ddl::apply(Some(&before), statement, context).map_err(|e| e.reason)?;
        let same =
            after.as_ref().is_some_and(|after| describe(after) == describe(&before) && after.id == before.id);
        if !same && changes.is_empty() {
            return Err(format!("`{id}` changed and no change is reported"));
        }
        made.extend(after);
    }
    tables.extend(made.into_iter().map(|schema| (schema.id.clone(), schema)));
    Ok(())
}

/// Columns of which statement and catalog know another default. One of them may know less; values are compared where their texts
/// are the server's own.
fn defaults_apart(ours: &TableSchema, theirs: &TableSchema) -> Vec<String> {
    let is_known =
        |default: &ColumnDefault| !matches!(default, ColumnDefault::Untold | ColumnDefault::Unknown);
    let both = ours.columns.iter().zip(&theirs.columns);
    // MariaDB shows the empty text for a compressed column that must have something and was given nothing.
    let is_same =
        |a: &Column, b: &Column| a.default == b.default || b.default == ColumnDefault::Value("".into());
    both.filter(|(a, b)| is_known(&a.default) && is_known(&b.default) && !is_same(a, b))
        .map(|(a, b)| format!("{} {}: {:?}, theirs {:?}", a.name, a.source_type, a.default, b.default))
        .collect()
}

/// All that must agree, in one text.
pub fn describe(schema: &TableSchema) -> String {
    let key: Vec<&str> = schema.key_columns().map(|c| &*c.name).collect();
    let unique: Vec<String> =
        schema.unique_keys.iter().map(|key| format!("{}{:?}", key.name, key.columns)).collect();
    format!("key={key:?} {unique:?} {:?} {}", schema.charset, describe_columns(schema))
}

/// All but the key. Display widths of integers are the servers' own affair, and whether labels in bytes have a character set.
fn describe_columns(schema: &TableSchema) -> String {
    let column = |column: &sluicebox_model::Column| {
        let mut declared = DeclaredType::parse(&column.source_type).expect("a known type");
        let integer = matches!(
            declared.base,
            BaseType::TinyInt
                | BaseType::SmallInt
                | BaseType::MediumInt
                | BaseType::Int
                | BaseType::BigInt
                | BaseType::Year
        );
        if integer {
            declared.length = None;
        }
        let text = column
            .source_type
            .split(['(', ' '])
            .next()
            .unwrap_or_default()
            .replace("geomcollection", "geometrycollection");
        let DeclaredType { unsigned, length, decimals, labels, .. } = declared;
        let charset = column.charset.as_deref().filter(|charset| *charset != "binary");
        format!(
            "{} {} {text} {unsigned} {length:?} {decimals:?} {labels:?} null={} {:?} {:?}",
            column.name, column.column_type, column.nullable, charset, column.comment
        )
    };
    let columns: Vec<String> = schema.columns.iter().map(column).collect();
    format!("comment={:?}\n    {}", schema.comment, columns.join("\n    "))
}
