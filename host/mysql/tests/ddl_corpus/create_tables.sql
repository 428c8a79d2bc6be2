# Tables that come to be: keys, options, partitions, sources.
B CREATE TABLE n (a INT, PRIMARY KEY (a))
=> n: create a int!; key(a)
B CREATE TABLE n (a INT, b INT, PRIMARY KEY (b, a))
=> n: create a int!, b int!; key(b, a)
B CREATE TABLE n (a INT, b INT, PRIMARY KEY (b DESC, a ASC))
=> n: create a int!, b int!; key(b, a)
B CREATE TABLE n (a INT, PRIMARY KEY USING BTREE (a))
=> n: create a int!; key(a)
B CREATE TABLE n (a INT, PRIMARY KEY (a) USING BTREE)
=> n: create a int!; key(a)
B CREATE TABLE n (a INT, PRIMARY KEY USING HASH (a) COMMENT 'x')
=> n: create a int!; key(a)
B CREATE TABLE n (a INT, CONSTRAINT PRIMARY KEY (a))
=> n: create a int!; key(a)
B CREATE TABLE n (a INT, CONSTRAINT pk PRIMARY KEY (a) KEY_BLOCK_SIZE = 4)
=> n: create a int!; key(a)
B CREATE TABLE n (a VARCHAR(50), PRIMARY KEY (a(10)))
=> n: create a varchar(50)!; key(a)
B CREATE TABLE n (a INT NULL, b INT NOT NULL, UNIQUE (a), UNIQUE (b))
=> n: create a int, b int!; key(b)
B CREATE TABLE n (a INT NOT NULL, b INT NOT NULL, UNIQUE ub (b), UNIQUE ua (a))
=> n: create a int!, b int!; key(b)
B CREATE TABLE n (a INT NOT NULL UNIQUE, b INT NOT NULL, UNIQUE ub (b))
=> n: create a int!, b int!; key(a)
B CREATE TABLE n (a INT NOT NULL UNIQUE, b INT, PRIMARY KEY (b))
=> n: create a int!, b int!; key(b)
B CREATE TABLE n (a INT NOT NULL, b INT NOT NULL, CONSTRAINT c UNIQUE KEY (a, b))
=> n: create a int!, b int!; key(a, b)
B CREATE TABLE n (a INT NOT NULL, b INT, CONSTRAINT c UNIQUE INDEX i USING BTREE (a, b), UNIQUE INDEX (a))
=> n: create a int!, b int; key(a)
B CREATE TABLE n (a INT NOT NULL, UNIQUE KEY k1 (a) COMMENT 'u' USING BTREE)
=> n: create a int!; key(a)
B CREATE TABLE n (a INT, b INT, KEY (a), INDEX (b), KEY both_of (a, b), INDEX rev USING BTREE (b, a))
=> n: create a int, b int
B CREATE TABLE n (a VARCHAR(30), b TEXT, FULLTEXT (a), FULLTEXT KEY fb (b), FULLTEXT INDEX fab (a, b))
=> n: create a varchar(30), b text
M CREATE TABLE n (a TEXT, FULLTEXT INDEX fa (a) WITH PARSER ngram COMMENT 'cjk')
=> n: create a text
B CREATE TABLE n (a POINT NOT NULL, SPATIAL KEY sa (a), SPATIAL INDEX (a))
=> n: create a point!
M CREATE TABLE n (a INT, b INT, KEY fk ((a + b)), KEY fa ((ABS(a)) DESC), UNIQUE KEY fu ((a * 2), b))
=> n: create a int, b int
M CREATE TABLE n (a INT, KEY ka (a) INVISIBLE, KEY kb (a) VISIBLE)
=> n: create a int
M CREATE TABLE n (a JSON, KEY ka ((CAST(a->'$.tags' AS CHAR(20) ARRAY))))
=> n: create a json
A CREATE TABLE n (a INT, KEY ka (a) IGNORED, KEY kb (a) NOT IGNORED)
=> n: create a int
Ax CREATE TABLE n (a INT, KEY IF NOT EXISTS ka (a), UNIQUE KEY IF NOT EXISTS ua (a))
=> n: create a int
A CREATE TABLE n (a TEXT, UNIQUE (a))
=> n: create a text
# Options of the table.
B CREATE TABLE n (a INT) ENGINE=InnoDB
=> n: create a int
B CREATE TABLE n (a INT) ENGINE InnoDB
=> n: create a int
B CREATE TABLE n (a INT) ENGINE = 'InnoDB'
=> n: create a int
B CREATE TABLE n (a VARCHAR(3)) CHARACTER SET latin1
=> n: create a varchar(3):latin1; charset latin1
B CREATE TABLE n (a VARCHAR(3)) DEFAULT CHARACTER SET = latin1
=> n: create a varchar(3):latin1; charset latin1
B CREATE TABLE n (a VARCHAR(3)) CHARSET=cp1251
=> n: create a varchar(3):cp1251; charset cp1251
B CREATE TABLE n (a VARCHAR(3)) DEFAULT CHARSET 'greek'
=> n: create a varchar(3):greek; charset greek
B CREATE TABLE n (a VARCHAR(3)) CHAR SET hebrew
=> n: create a varchar(3):hebrew; charset hebrew
B CREATE TABLE n (a VARCHAR(3)) COLLATE latin7_general_cs
=> n: create a varchar(3):latin7; charset latin7
B CREATE TABLE n (a VARCHAR(3)) DEFAULT COLLATE = 'latin1_german2_ci'
=> n: create a varchar(3):latin1; charset latin1
B CREATE TABLE n (a VARCHAR(3)) CHARACTER SET utf8 COLLATE utf8_bin
=> n: create a varchar(3):utf8mb3; charset utf8mb3
B CREATE TABLE n (a VARCHAR(3)) CHARACTER SET utf8mb3
=> n: create a varchar(3):utf8mb3; charset utf8mb3
B CREATE TABLE n (a VARCHAR(3), b TEXT CHARACTER SET latin1, c CHAR(2) COLLATE ascii_bin) CHARSET=ucs2
=> n: create a varchar(3):ucs2, b text:latin1, c char(2):ascii; charset ucs2
A CREATE TABLE n (a VARCHAR(3)) CHARACTER SET DEFAULT
=> n: create a varchar(3)
B CREATE TABLE n (a VARCHAR(3), b TEXT, c ENUM('x'), d CHAR(4)) CHARSET=binary
=> n: create a varbinary(3), b blob, c enum('x'):binary, d binary(4); charset binary
M CREATE TABLE n (a VARCHAR(3)) COLLATE utf8mb4_0900_bin COMMENT 'bin'
=> n: create a varchar(3); comment 'bin'
A CREATE TABLE n (a VARCHAR(3)) CHARACTER SET latin1 COLLATE latin1_nopad_bin COMMENT 'nopad'
=> n: create a varchar(3):latin1; comment 'nopad'; charset latin1
A CREATE TABLE n (a VARCHAR(3) COLLATE uca1400_as_cs) CHARACTER SET utf8mb3
=> n: create a varchar(3):utf8mb3; charset utf8mb3
B CREATE TABLE n (a INT) COMMENT='plain'
=> n: create a int; comment 'plain'
B CREATE TABLE n (a INT) COMMENT 'without equals sign'
=> n: create a int; comment 'without equals sign'
B CREATE TABLE n (a INT) COMMENT = "it's double"
=> n: create a int; comment 'it's double'
B CREATE TABLE n (a INT) COMMENT='' ENGINE=InnoDB
=> n: create a int
B CREATE TABLE n (a INT) AUTO_INCREMENT=100 AVG_ROW_LENGTH=50 MIN_ROWS=1 MAX_ROWS 1000
=> n: create a int
B CREATE TABLE n (a INT) CHECKSUM=1, DELAY_KEY_WRITE=0, PACK_KEYS=DEFAULT, COMMENT='with commas'
=> n: create a int; comment 'with commas'
B CREATE TABLE n (a INT) STATS_PERSISTENT=1 STATS_AUTO_RECALC=DEFAULT STATS_SAMPLE_PAGES=20
=> n: create a int
B CREATE TABLE n (a INT) ROW_FORMAT=COMPACT
=> n: create a int
B CREATE TABLE n (a INT) ROW_FORMAT = REDUNDANT COMMENT='old'
=> n: create a int; comment 'old'
B CREATE TABLE n (a INT) KEY_BLOCK_SIZE=8 ROW_FORMAT=COMPRESSED
=> n: create a int
Mx CREATE TABLE n (a INT) ENCRYPTION='Y' COMPRESSION='zlib'
=> n: create a int
Bx CREATE TABLE n (a INT) DATA DIRECTORY='/somewhere/else' INDEX DIRECTORY = '/there'
=> n: create a int
M CREATE TABLE n (a INT) TABLESPACE innodb_file_per_table
=> n: create a int
Mx CREATE TABLE n (a INT) TABLESPACE ts1 STORAGE DISK ENGINE=NDB
=> n: create a int
M CREATE TABLE n (a INT) TABLESPACE = innodb_system COMMENT='shared'
=> n: create a int; comment 'shared'
Mx CREATE TABLE n (a INT) ENGINE_ATTRIBUTE='{}' SECONDARY_ENGINE_ATTRIBUTE='{}' SECONDARY_ENGINE=RAPID
=> n: create a int
M CREATE TABLE n (a INT) AUTOEXTEND_SIZE=4M
=> n: create a int
Mx CREATE TABLE n (a INT) START TRANSACTION
=> n: create a int
Bx CREATE TABLE n (a INT) ENGINE=MERGE UNION=(x1, x2) INSERT_METHOD=LAST COMMENT='merged'
=> n: create a int; comment 'merged'
Bx CREATE TABLE n (a INT) ENGINE=FEDERATED CONNECTION='mysql://u:p@h:3306/d/t' PASSWORD='ignored'
=> n: create a int
A CREATE TABLE n (a INT) TRANSACTIONAL=1 PAGE_CHECKSUM=1 ENGINE=Aria
=> n: create a int
A CREATE TABLE n (a INT) PAGE_COMPRESSED=1 PAGE_COMPRESSION_LEVEL=3
=> n: create a int
Ax CREATE TABLE n (a INT) ENCRYPTED=YES ENCRYPTION_KEY_ID=1
=> n: create a int
A CREATE TABLE n (a INT) WITH SYSTEM VERSIONING
=> n: create a int
A CREATE TABLE n (a INT NOT NULL UNIQUE) WITH SYSTEM VERSIONING COMMENT='versions'
=> n: create a int!; key(a); comment 'versions'
A CREATE TABLE n (a INT PRIMARY KEY, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START INVISIBLE, e TIMESTAMP(6) GENERATED ALWAYS AS ROW END
  INVISIBLE, PERIOD FOR SYSTEM_TIME(s, e)) WITH SYSTEM VERSIONING
=> n: create a int!, s timestamp(6)!, e timestamp(6)!; key(a, e)
A CREATE TABLE n (a INT, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR
  SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING
=> n: create a int, s bigint unsigned!, e bigint unsigned!
A CREATE TABLE n (a INT NOT NULL, s TIMESTAMP(6) AS ROW START, UNIQUE (a), e TIMESTAMP(6) AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH
  SYSTEM VERSIONING
=> n: create a int!, s timestamp(6)!, e timestamp(6)!; key(a, e)
A CREATE TABLE n (a INT, b INT WITHOUT SYSTEM VERSIONING) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION p0 HISTORY,
  PARTITION pn CURRENT)
=> n: create a int, b int
A CREATE TABLE n (a INT, s DATE, e DATE, PERIOD FOR life (s, e))
=> n: create a int, s date!, e date!
A CREATE TABLE n (a INT NOT NULL, s DATE NOT NULL, e DATE NOT NULL, PERIOD FOR life (s, e), UNIQUE (a, life WITHOUT OVERLAPS))
=> n: create a int!, s date!, e date!; key(a, e, s)
A CREATE TABLE n (a INT, s DATE, e DATE, PERIOD FOR life (s, e), PRIMARY KEY (a, life WITHOUT OVERLAPS))
=> n: create a int!, s date!, e date!; key(a, e, s)
A CREATE TABLE n (a INT, b INT WITH SYSTEM VERSIONING, c INT)
=> n: create a int, b int, c int
# Partitions.
B CREATE TABLE n (a INT) PARTITION BY HASH (a) PARTITIONS 4
=> n: create a int
B CREATE TABLE n (a INT) PARTITION BY LINEAR HASH (a + 1) PARTITIONS 2
=> n: create a int
B CREATE TABLE n (a INT PRIMARY KEY) PARTITION BY KEY () PARTITIONS 3
=> n: create a int!; key(a)
B CREATE TABLE n (a INT PRIMARY KEY) PARTITION BY KEY ALGORITHM=2 (a)
=> n: create a int!; key(a)
B CREATE TABLE n (a INT) PARTITION BY LINEAR KEY (a)
=> n: create a int
B CREATE TABLE n (a INT) COMMENT='parts' PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10) COMMENT = 'low', PARTITION p1 VALUES
  LESS THAN MAXVALUE COMMENT 'high')
=> n: create a int; comment 'parts'
B CREATE TABLE n (a INT, b INT) PARTITION BY RANGE COLUMNS (a, b) (PARTITION p0 VALUES LESS THAN (1, 2), PARTITION p1 VALUES LESS THAN
  (MAXVALUE, MAXVALUE))
=> n: create a int, b int
B CREATE TABLE n (a INT) PARTITION BY LIST (a) (PARTITION odd VALUES IN (1,3,5), PARTITION even VALUES IN (2,4,NULL))
=> n: create a int
B CREATE TABLE n (a VARCHAR(9)) PARTITION BY LIST COLUMNS (a) (PARTITION x VALUES IN ('x', 'y)'), PARTITION z VALUES IN ('z'))
=> n: create a varchar(9)
A CREATE TABLE n (a INT) PARTITION BY LIST (a) (PARTITION odd VALUES IN (1,3), PARTITION rest DEFAULT)
=> n: create a int
B CREATE TABLE n (a DATE) PARTITION BY RANGE (YEAR(a)) SUBPARTITION BY HASH (TO_DAYS(a)) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN
  (1990), PARTITION p1 VALUES LESS THAN MAXVALUE)
=> n: create a date
Bx CREATE TABLE n (a DATE) PARTITION BY RANGE (YEAR(a)) SUBPARTITION BY KEY (a) (PARTITION p0 VALUES LESS THAN (1990) (SUBPARTITION s0,
  SUBPARTITION s1 ENGINE = InnoDB), PARTITION p1 VALUES LESS THAN MAXVALUE (SUBPARTITION s2, SUBPARTITION s3))
=> n: create a date
B CREATE TABLE n (a INT) ENGINE=InnoDB PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10) ENGINE=InnoDB MAX_ROWS=5 MIN_ROWS=1)
=> n: create a int
B CREATE TABLE n (a TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) PARTITION BY RANGE (UNIX_TIMESTAMP(a)) (PARTITION p0 VALUES LESS THAN (0))
=> n: create a timestamp!
M CREATE TABLE n (a INT) /*!50100 PARTITION BY HASH (a) PARTITIONS 3 */
=> n: create a int
A CREATE TABLE n (x INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME INTERVAL 1 MONTH PARTITIONS 3
=> n: create x int
A CREATE TABLE n (x INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME LIMIT 1000 (PARTITION p0 HISTORY, PARTITION pn CURRENT)
=> n: create x int
# From other tables.
B CREATE TABLE n LIKE t
=> n: create id int!, a int, b varchar(10)!, c text, d decimal(10,2), e enum('x','y'), ts timestamp; key(id); comment 'base'
B CREATE TABLE n LIKE corpus.s
=> n: create a int!, b int; key(a)
B CREATE TABLE n (LIKE k)
=> n: create a int, b varchar(5):latin1
B CREATE TABLE n ( LIKE `corpus` . `t` )
=> n: create id int!, a int, b varchar(10)!, c text, d decimal(10,2), e enum('x','y'), ts timestamp; key(id); comment 'base'
B CREATE TABLE n LIKE corpus_attic.z
=> n: create id int!, v int; key(id)
B CREATE TABLE corpus_attic.made LIKE t
B CREATE TABLE IF NOT EXISTS t LIKE k
B CREATE TABLE IF NOT EXISTS n LIKE p
=> n: create id int!, y int!, v varchar(20); key(id, y)
B CREATE TABLE _n LIKE t
Bx CREATE TABLE n LIKE nowhere.to_be_found
Bx CREATE TABLE _n LIKE nowhere.to_be_found
B CREATE TABLE n AS SELECT * FROM t
=> error n: its columns come from a SELECT
B CREATE TABLE n SELECT id, b FROM t
=> error n: its columns come from a SELECT
B CREATE TABLE n (x INT) SELECT 1 AS y
=> error n: its columns come from a SELECT
B CREATE TABLE n (x INT, PRIMARY KEY (x)) ENGINE=InnoDB AS SELECT id AS x FROM t
=> error n: its columns come from a SELECT
B CREATE TABLE n (PRIMARY KEY (id)) AS SELECT id FROM t
=> error n: its columns come from a SELECT
B CREATE TABLE n (SELECT 1 AS one)
=> error n: its columns come from a SELECT
B CREATE TABLE n AS (SELECT 1 AS one UNION SELECT 2)
=> error n: its columns come from a SELECT
B CREATE TABLE n IGNORE SELECT id FROM t
=> error n: its columns come from a SELECT
B CREATE TABLE n (id INT PRIMARY KEY) REPLACE AS SELECT id FROM t
=> error n: its columns come from a SELECT
B CREATE TABLE n AS WITH w AS (SELECT 1 AS a) SELECT a FROM w
=> error n: its columns come from a SELECT
M CREATE TABLE n AS TABLE t
=> error n: its columns come from a SELECT
M CREATE TABLE n AS VALUES ROW(1, 2), ROW(3, 4)
=> error n: its columns come from a SELECT
B CREATE TABLE n (a INT) PARTITION BY HASH (a) PARTITIONS 2 AS SELECT 1 AS a
=> error n: its columns come from a SELECT
B CREATE TABLE _n AS SELECT * FROM t
B CREATE TABLE corpus_attic.n AS SELECT * FROM corpus.t
B CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS one
# What is there already, and what is nobody's.
B CREATE TABLE IF NOT EXISTS t (z INT)
B CREATE TABLE IF NOT EXISTS corpus.t (id INT, whatever TEXT) ENGINE=MyISAM
B CREATE TABLE IF NOT EXISTS n (z INT PRIMARY KEY)
=> n: create z int!; key(z)
B CREATE TABLE corpus.n (z INT)
=> n: create z int
B CREATE TABLE `corpus`.`n` (`z` INT)
=> n: create z int
B CREATE TABLE corpus . n(z INT)
=> n: create z int
B CREATE TABLE corpus_attic.n (z INT)
B CREATE TABLE `_hidden` (z INT)
B CREATE TEMPORARY TABLE n (z INT)
B CREATE TEMPORARY TABLE t (z INT)
B CREATE TEMPORARY TABLE IF NOT EXISTS t LIKE k
B CREATE TEMPORARY TABLE t2 AS SELECT * FROM t
A CREATE OR REPLACE TABLE n (z INT)
=> n: create z int
A CREATE OR REPLACE TABLE t (z INT PRIMARY KEY, w TEXT)
=> drop | create z int!, w text; key(z)
A CREATE OR REPLACE TABLE t LIKE k
=> drop | create a int, b varchar(5):latin1
A CREATE OR REPLACE TABLE s (a INT)
=> s: drop | s: create a int
A CREATE OR REPLACE TEMPORARY TABLE t (z INT)
A CREATE OR REPLACE TABLE corpus_attic.z (other INT)
Bx CREATE TABLE odd.`.` (z INT
Bx CREATE TABLE corpus_attic.broken (z INT, )
Bx CREATE TABLE corpus_attic.broken (z frobnicated(1,2,3) with odd (things) inside)
Bx CREATE TABLE n (z INT
=> error n: expected `)` at the end
Bx CREATE TABLE n (z INT))
=> error n: a parenthesis too many
Bx CREATE TABLE n (z)
=> error n: expected a column type
Bx CREATE TABLE n ()
=> error n: expected a name before `)`
Bx CREATE TABLE n (z ENUM(1))
=> error n: expected a string before `1`
Bx CREATE TABLE n (z frobnicated)
=> error n: column `z` has the type `frobnicated`, which is not supported
Bx CREATE TABLE n (z INT, PRIMARY KEY (y))
=> error n: the key names the column `y`, which is not there
Bx CREATE TABLE n (z INT COMMENT 'open)
=> error n: a quote is not closed
Bx CREATE TABLE n
=> error n: the table has no columns
