# Columns that come.
B ALTER TABLE t ADD x INT
=> +x int
B ALTER TABLE t ADD COLUMN x INT
=> +x int
B ALTER TABLE t ADD COLUMN x INT NOT NULL
=> +x int!
B ALTER TABLE t ADD COLUMN x INT NOT NULL DEFAULT 0 FIRST
=> +x int! first
B ALTER TABLE t ADD COLUMN x INT FIRST
=> +x int first
B ALTER TABLE t ADD COLUMN x INT AFTER id
=> +x int after id
B ALTER TABLE t ADD COLUMN x INT AFTER ts
=> +x int after ts
B ALTER TABLE t ADD COLUMN x INT AFTER `B`
=> +x int after b
B ALTER TABLE t ADD (x INT)
=> +x int
B ALTER TABLE t ADD COLUMN (x INT, y VARCHAR(3) NOT NULL)
=> +x int, +y varchar(3)!
B ALTER TABLE t ADD (x INT, y INT, KEY (x), UNIQUE KEY (y))
=> +x int, +y int
B ALTER TABLE t ADD (x INT NOT NULL, UNIQUE xu (x), z INT COMMENT 'last')
=> +x int!, +z int 'last'
B ALTER TABLE t ADD x INT, ADD y INT
=> +x int; +y int
B ALTER TABLE t ADD x INT FIRST, ADD y INT FIRST
=> +x int first; +y int first
B ALTER TABLE t ADD x INT AFTER id, ADD y INT AFTER x
=> +x int after id; +y int after x
B ALTER TABLE t ADD x INT AFTER id, ADD y INT AFTER id
=> +x int after id; +y int after id
B ALTER TABLE t ADD y INT AFTER b, ADD x INT AFTER y, ADD z INT
=> +y int after b; +x int after y; +z int
B ALTER TABLE t ADD COLUMN x VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin
=> +x varchar(20):latin1
B ALTER TABLE t ADD COLUMN x VARCHAR(20) COLLATE latin1_bin NOT NULL COMMENT 'l' AFTER a
=> +x varchar(20)!:latin1 'l' after a
B ALTER TABLE t ADD COLUMN x TEXT COMMENT 'a comment, with (everything) ''in'' it' AFTER c
=> +x text 'a comment, with (everything) 'in' it' after c
B ALTER TABLE t ADD COLUMN x TIMESTAMP NULL DEFAULT NULL
=> +x timestamp
B ALTER TABLE t ADD COLUMN x TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP AFTER ts
=> +x timestamp! after ts
B ALTER TABLE t ADD COLUMN x DATETIME(6) DEFAULT NOW(6)
=> +x datetime(6)
B ALTER TABLE t ADD COLUMN x ENUM('a','b') DEFAULT 'a' AFTER e
=> +x enum('a','b') after e
B ALTER TABLE t ADD COLUMN x SET('a','b') NOT NULL
=> +x set('a','b')!
B ALTER TABLE t ADD COLUMN x DECIMAL(38,18) DEFAULT 0.5
=> +x decimal(38,18)
B ALTER TABLE t ADD COLUMN x BIT(8) DEFAULT b'00000001'
=> +x bit(8)
B ALTER TABLE t ADD COLUMN x BIGINT UNSIGNED NOT NULL
=> +x bigint unsigned!
B ALTER TABLE t ADD COLUMN x BLOB
=> +x blob
B ALTER TABLE t ADD COLUMN x VARBINARY(16) NOT NULL
=> +x varbinary(16)!
B ALTER TABLE t ADD COLUMN x DOUBLE PRECISION
=> +x double
B ALTER TABLE t ADD COLUMN x FLOAT(7,4) UNSIGNED
=> +x float(7,4) unsigned
B ALTER TABLE t ADD COLUMN x YEAR(4)
=> +x year
B ALTER TABLE t ADD COLUMN x TIME(2)
=> +x time(2)
B ALTER TABLE t ADD COLUMN x NATIONAL VARCHAR(10)
=> +x varchar(10):utf8mb3
B ALTER TABLE t ADD COLUMN x LONG VARCHAR
=> +x mediumtext
B ALTER TABLE t ADD COLUMN x VARCHAR(30000)
=> +x mediumtext
B ALTER TABLE t ADD COLUMN x GEOMETRY
=> +x geometry
M ALTER TABLE t ADD COLUMN x JSON DEFAULT (JSON_OBJECT('a', 1))
=> +x json
A ALTER TABLE t ADD COLUMN x JSON
=> +x longtext
Mx ALTER TABLE t ADD COLUMN x VECTOR(8)
=> +x vector(8)
A ALTER TABLE t ADD COLUMN x UUID NOT NULL DEFAULT UUID()
=> +x uuid!
A ALTER TABLE t ADD COLUMN x INET6 FIRST
=> +x inet6 first
B ALTER TABLE t ADD COLUMN x INT AS (a + 1)
=> +x int
B ALTER TABLE t ADD COLUMN x INT AS (a + 1) STORED AFTER a
=> +x int after a
B ALTER TABLE t ADD COLUMN x VARCHAR(30) GENERATED ALWAYS AS (CONCAT(b, ',', b)) VIRTUAL COMMENT 'twice'
=> +x varchar(30) 'twice'
B ALTER TABLE t ADD COLUMN x INT GENERATED ALWAYS AS (IF(a IS NULL, 0, (a))) STORED FIRST
=> +x int first
B ALTER TABLE t ADD COLUMN x INT CHECK (x > 0)
=> +x int
M ALTER TABLE t ADD COLUMN x INT CONSTRAINT xpos CHECK (x > 0 AND x < 100) AFTER a
=> +x int after a
M ALTER TABLE t ADD COLUMN x INT CHECK (x > 0) NOT ENFORCED FIRST
=> +x int first
M ALTER TABLE t ADD COLUMN x INT INVISIBLE
=> +x int
A ALTER TABLE t ADD COLUMN x INT INVISIBLE DEFAULT 1
=> +x int
B ALTER TABLE t ADD COLUMN x INT UNIQUE
=> +x int
B ALTER TABLE t ADD COLUMN x INT NULL UNIQUE KEY COMMENT 'maybe'
=> +x int 'maybe'
B ALTER TABLE t ADD COLUMN x INT REFERENCES corpus_attic.z (id) ON DELETE SET NULL
=> +x int
B ALTER TABLE t ADD COLUMN x INT DEFAULT (1 + (2 * 3)) AFTER d
=> +x int after d
B ALTER TABLE t ADD COLUMN x VARCHAR(20) DEFAULT 'a,b) AFTER id'
=> +x varchar(20)
B ALTER TABLE t ADD COLUMN x INT, ALGORITHM=INPLACE
=> +x int
B ALTER TABLE t ADD COLUMN x INT, ALGORITHM = INSTANT
=> +x int
B ALTER TABLE t ALGORITHM=COPY, ADD COLUMN x INT
=> +x int
B ALTER TABLE t ADD COLUMN x INT, ALGORITHM=DEFAULT, LOCK=DEFAULT
=> +x int
B ALTER TABLE t LOCK=SHARED, ADD COLUMN x INT
=> +x int
B ALTER TABLE t LOCK = EXCLUSIVE , ALGORITHM COPY , ADD COLUMN x INT
=> +x int
B ALTER TABLE t ADD COLUMN `x y` INT AFTER `a`
=> +x y int after a
B ALTER TABLE t ADD COLUMN `x``y` INT
=> +x`y int
B ALTER TABLE t ADD COLUMN `first` INT FIRST
=> +first int first
B ALTER TABLE t ADD COLUMN `after` INT AFTER `b`
=> +after int after b
B ALTER TABLE t ADD COLUMN `column` INT
=> +column int
B ALTER TABLE t ADD `index` INT
=> +index int
B ALTER TABLE t ADD `primary` INT, ADD `unique` INT, ADD `constraint` INT
=> +primary int; +unique int; +constraint int
B ALTER TABLE t ADD `check` INT, ADD `partition` INT, ADD `period` DATE
=> +check int; +partition int; +period date
B ALTER TABLE t ADD comment INT
=> +comment int
B ALTER TABLE t ADD COLUMN status INT, ADD COLUMN type VARCHAR(5), ADD COLUMN date DATE
=> +status int; +type varchar(5); +date date
M ALTER TABLE t ADD period DATE
=> +period date
B ALTER TABLE t ADD vector INT
=> +vector int
Bx ALTER TABLE t ADD system INT
=> +system int
A ALTER TABLE t ADD t.x INT
=> +x int
A ALTER TABLE t ADD corpus.t.x INT AFTER id
=> +x int after id
Mx ALTER TABLE t ADD COLUMN x SERIAL
=> +x bigint unsigned!
A ALTER TABLE k ADD COLUMN x SERIAL
=> k: +x bigint unsigned!; key(x)
B ALTER TABLE k ADD COLUMN id INT NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST
=> k: +id int! first; key(id)
B ALTER TABLE k ADD COLUMN id INT NOT NULL AUTO_INCREMENT FIRST, ADD PRIMARY KEY (id)
=> k: +id int! first; key(id)
B ALTER TABLE k ADD COLUMN id INT AUTO_INCREMENT UNIQUE
=> k: +id int!; key(id)
B ALTER TABLE k ADD COLUMN id INT NOT NULL UNIQUE, ADD w INT
=> k: +id int!; +w int; key(id)
B ALTER TABLE k ADD COLUMN x VARCHAR(3), ADD COLUMN y CHAR(3) CHARACTER SET ucs2
=> k: +x varchar(3); +y char(3):ucs2
B ALTER TABLE p ADD COLUMN x INT AFTER y
=> p: +x int after y
B ALTER TABLE s ADD COLUMN x INT FIRST
=> s: +x int first
B ALTER TABLE s ADD COLUMN x INT PRIMARY KEY
=> s: +x int!; key(x)
Mn ALTER TABLE t ADD COLUMN x INT COMMENT 'C:\'
=> +x int 'C:\\'
Bx ALTER TABLE t ADD COLUMN a INT
=> error t: column `a` is there already
Bx ALTER TABLE t ADD COLUMN A INT
=> error t: column `A` is there already
Bx ALTER TABLE t ADD COLUMN x INT AFTER nowhere
=> error t: column `nowhere` is not there to stand behind
Bx ALTER TABLE t ADD COLUMN x INT AFTER
=> error t: expected a name at the end
Bx ALTER TABLE t ADD COLUMN x frobnicated
=> error t: column `x` has the type `frobnicated`, which is not supported
Bx ALTER TABLE t ADD COLUMN x
=> error t: expected a column type
Bx ALTER TABLE t ADD COLUMN
=> error t: expected a name at the end
Bx ALTER TABLE t ADD
=> error t: expected a name at the end
Bx ALTER TABLE t ADD (x INT
=> error t: expected `)` at the end
# Columns that go.
B ALTER TABLE t DROP a
=> -a
B ALTER TABLE t DROP COLUMN a
=> -a
B ALTER TABLE t DROP COLUMN A
=> -a
B ALTER TABLE t DROP COLUMN `a`
=> -a
B ALTER TABLE t DROP COLUMN a, DROP COLUMN c
=> -a; -c
B ALTER TABLE t DROP a, DROP b, DROP c, DROP d, DROP e, DROP ts
=> -a; -b; -c; -d; -e; -ts
B ALTER TABLE t DROP COLUMN d RESTRICT
=> -d
B ALTER TABLE t DROP COLUMN d CASCADE
=> -d
B ALTER TABLE t DROP a, ADD a VARCHAR(5)
=> -a; +a varchar(5)
B ALTER TABLE t ADD x INT, DROP COLUMN a, ADD y INT AFTER x
=> +x int; -a; +y int after x
B ALTER TABLE t DROP COLUMN b
=> -b
B ALTER TABLE t DROP COLUMN id
=> -id; key(b)
B ALTER TABLE t DROP COLUMN id, ADD PRIMARY KEY (b)
=> -id; key(b)
B ALTER TABLE t DROP COLUMN c, ADD COLUMN x INT FIRST, ALGORITHM=COPY
=> -c; +x int first
B ALTER TABLE t DROP `e`,DROP `ts`
=> -e; -ts
B ALTER TABLE k DROP a
=> k: -a
B ALTER TABLE s DROP COLUMN a
=> s: -a; key()
B ALTER TABLE s DROP b
=> s: -b
Bx ALTER TABLE t DROP COLUMN nowhere
=> error t: column `nowhere` is not there to be dropped
Bx ALTER TABLE t DROP COLUMN
=> error t: expected a name at the end
Bx ALTER TABLE t DROP
=> error t: expected a name at the end
# Columns that change.
B ALTER TABLE t MODIFY a BIGINT
=> ~a int -> bigint
B ALTER TABLE t MODIFY COLUMN a BIGINT NOT NULL
=> ~a int -> bigint!
B ALTER TABLE t MODIFY A INT UNSIGNED
=> ~a int -> int unsigned
B ALTER TABLE t MODIFY a INT
=> ~a int -> int
B ALTER TABLE t MODIFY a INT FIRST
=> ~a int -> int
B ALTER TABLE t MODIFY a INT AFTER ts
=> ~a int -> int
B ALTER TABLE t MODIFY a INT COMMENT 'said'
=> ~a int -> int 'said'
B ALTER TABLE t MODIFY a INT DEFAULT 5
=> ~a int -> int
B ALTER TABLE t MODIFY b VARCHAR(20)
=> ~b varchar(10)! -> varchar(20)
B ALTER TABLE t MODIFY b VARCHAR(20) NOT NULL DEFAULT 'x'
=> ~b varchar(10)! -> varchar(20)!
B ALTER TABLE t MODIFY b VARCHAR(10) CHARACTER SET latin1 NOT NULL
=> ~b varchar(10)! -> varchar(10)!:latin1
B ALTER TABLE t MODIFY b VARCHAR(10) COLLATE utf8mb4_bin NOT NULL DEFAULT 'x'
=> ~b varchar(10)! -> varchar(10)!
B ALTER TABLE t MODIFY b CHAR(10) NOT NULL
=> ~b varchar(10)! -> char(10)!
B ALTER TABLE t MODIFY b VARBINARY(40) NOT NULL
=> ~b varchar(10)! -> varbinary(40)!
B ALTER TABLE t MODIFY c MEDIUMTEXT
=> ~c text -> mediumtext
B ALTER TABLE t MODIFY c VARCHAR(500) NOT NULL
=> ~c text -> varchar(500)!
B ALTER TABLE t MODIFY c BLOB
=> ~c text -> blob
B ALTER TABLE t MODIFY d DECIMAL(20,4)
=> ~d decimal(10,2) -> decimal(20,4)
B ALTER TABLE t MODIFY d DOUBLE
=> ~d decimal(10,2) -> double
B ALTER TABLE t MODIFY d NUMERIC(10,2)
=> ~d decimal(10,2) -> decimal(10,2)
B ALTER TABLE t MODIFY e ENUM('x','y','z')
=> ~e enum('x','y') -> enum('x','y','z')
B ALTER TABLE t MODIFY e ENUM('y','x') NOT NULL
=> ~e enum('x','y') -> enum('y','x')!
B ALTER TABLE t MODIFY e SET('x','y')
=> ~e enum('x','y') -> set('x','y')
B ALTER TABLE t MODIFY e VARCHAR(1)
=> ~e enum('x','y') -> varchar(1)
B ALTER TABLE t MODIFY ts TIMESTAMP(6) NULL
=> ~ts timestamp -> timestamp(6)
B ALTER TABLE t MODIFY ts DATETIME
=> ~ts timestamp -> datetime
B ALTER TABLE t MODIFY ts BIGINT NULL DEFAULT NULL
=> ~ts timestamp -> bigint
B ALTER TABLE t MODIFY id BIGINT NOT NULL AUTO_INCREMENT
=> ~id int! -> bigint!
B ALTER TABLE t MODIFY id INT UNSIGNED AUTO_INCREMENT
=> ~id int! -> int unsigned!
B ALTER TABLE t MODIFY id INT NOT NULL
=> ~id int! -> int!
B ALTER TABLE t MODIFY id INT
=> ~id int! -> int!
B ALTER TABLE t MODIFY id BIGINT AFTER ts
=> ~id int! -> bigint!
B ALTER TABLE t MODIFY a BIGINT, MODIFY b VARCHAR(30), MODIFY d FLOAT
=> ~a int -> bigint; ~b varchar(10)! -> varchar(30); ~d decimal(10,2) -> float
B ALTER TABLE t MODIFY a INT AFTER b, MODIFY c TEXT FIRST
=> ~a int -> int; ~c text -> text
B ALTER TABLE t MODIFY ts TIMESTAMP NULL FIRST, MODIFY e ENUM('x','y') FIRST
=> ~ts timestamp -> timestamp; ~e enum('x','y') -> enum('x','y')
Bx ALTER TABLE t MODIFY a INT AFTER x, ADD x INT
=> error t: column `x` is not there to stand behind
B ALTER TABLE t ADD x INT AFTER a, MODIFY a INT AFTER d
=> +x int after a; ~a int -> int
Bx ALTER TABLE t MODIFY a INT AS (id + 1) VIRTUAL
=> ~a int -> int
B ALTER TABLE t MODIFY a INT CHECK (a > 0)
=> ~a int -> int
B ALTER TABLE t MODIFY a INT UNIQUE
=> ~a int -> int
B ALTER TABLE t MODIFY a INT NOT NULL UNIQUE
=> ~a int -> int!
B ALTER TABLE t MODIFY COLUMN `a` INT(11) UNSIGNED ZEROFILL
=> ~a int -> int unsigned zerofill
B ALTER TABLE p MODIFY v VARCHAR(40)
=> p: ~v varchar(20) -> varchar(40)
B ALTER TABLE p MODIFY id BIGINT NOT NULL FIRST
=> p: ~id int! -> bigint!
B ALTER TABLE s MODIFY a INT NULL
=> s: ~a int! -> int; key()
B ALTER TABLE s MODIFY a BIGINT NOT NULL
=> s: ~a int! -> bigint!
B ALTER TABLE s MODIFY b INT NOT NULL FIRST
=> s: ~b int -> int!
B ALTER TABLE k MODIFY a INT NOT NULL PRIMARY KEY
=> k: ~a int -> int!; key(a)
B ALTER TABLE k MODIFY a INT NOT NULL, ADD UNIQUE (a)
=> k: ~a int -> int!; key(a)
B ALTER TABLE k MODIFY b VARCHAR(5)
=> k: ~b varchar(5):latin1 -> varchar(5)
Bx ALTER TABLE t MODIFY nowhere INT
=> error t: column `nowhere` is not there to be changed
Bx ALTER TABLE t MODIFY a
=> error t: expected a column type
Bx ALTER TABLE t MODIFY a INT AFTER nowhere
=> error t: column `nowhere` is not there to stand behind
B ALTER TABLE t CHANGE a aa INT
=> ~a int -> int; a>aa
B ALTER TABLE t CHANGE COLUMN a aa INT
=> ~a int -> int; a>aa
B ALTER TABLE t CHANGE a a BIGINT
=> ~a int -> bigint
B ALTER TABLE t CHANGE a A INT
=> ~a int -> int
B ALTER TABLE t CHANGE A a INT NOT NULL
=> ~a int -> int!
B ALTER TABLE t CHANGE a aa BIGINT NOT NULL DEFAULT 7 COMMENT 'new' FIRST
=> ~a int -> bigint! 'new'; a>aa
B ALTER TABLE t CHANGE a aa INT AFTER ts
=> ~a int -> int; a>aa
B ALTER TABLE t CHANGE b bb VARCHAR(10) NOT NULL DEFAULT 'x'
=> ~b varchar(10)! -> varchar(10)!; b>bb
B ALTER TABLE t CHANGE id ident INT NOT NULL AUTO_INCREMENT
=> ~id int! -> int!; id>ident
B ALTER TABLE t CHANGE id ident BIGINT UNSIGNED NOT NULL AUTO_INCREMENT AFTER b
=> ~id int! -> bigint unsigned!; id>ident
B ALTER TABLE t CHANGE id ID INT NOT NULL AUTO_INCREMENT
=> ~id int! -> int!
B ALTER TABLE t CHANGE a `new name` INT, CHANGE b `b``b` VARCHAR(10)
=> ~a int -> int; a>new name; ~b varchar(10)! -> varchar(10); b>b`b
B ALTER TABLE t CHANGE a d INT, CHANGE d a DECIMAL(10,2)
=> ~a int -> int; a>d; ~d decimal(10,2) -> decimal(10,2); d>a
B ALTER TABLE t CHANGE a x INT, ADD COLUMN a VARCHAR(7)
=> ~a int -> int; a>x; +a varchar(7)
B ALTER TABLE t CHANGE a x INT, ADD COLUMN y INT AFTER x
=> ~a int -> int; a>x; +y int after x
B ALTER TABLE t CHANGE `a` `a` INT(11) NULL DEFAULT NULL COMMENT 'as a tool writes it' AFTER `c`
=> ~a int -> int 'as a tool writes it'
B ALTER TABLE t DROP d, CHANGE a d INT
=> -d; ~a int -> int; a>d
B ALTER TABLE s CHANGE a aa INT NOT NULL
=> s: ~a int! -> int!; a>aa
# The servers let the column be null, and the table has no key any more; that the key is no primary one is not known here.
B ALTER TABLE s CHANGE a aa INT
=> s: ~a int! -> int; a>aa; key()
B ALTER TABLE p CHANGE v w VARCHAR(20) FIRST
=> p: ~v varchar(20) -> varchar(20); v>w
Bx ALTER TABLE t CHANGE nowhere x INT
=> error t: column `nowhere` is not there to be changed
Bx ALTER TABLE t CHANGE a INT
=> error t: expected a column type
B ALTER TABLE t RENAME COLUMN a TO aa
=> a>aa
B ALTER TABLE t RENAME COLUMN A TO aa
=> a>aa
B ALTER TABLE t RENAME COLUMN a TO A
=> a>A
B ALTER TABLE t RENAME COLUMN `a` TO `a b`
=> a>a b
B ALTER TABLE t RENAME COLUMN a TO d, RENAME COLUMN d TO a
=> a>d; d>a
B ALTER TABLE t RENAME COLUMN a TO c, RENAME COLUMN c TO d, RENAME COLUMN d TO a
=> a>c; c>d; d>a
B ALTER TABLE t RENAME COLUMN a TO aa, ADD COLUMN a INT
=> a>aa; +a int
B ALTER TABLE t RENAME COLUMN a TO aa, ADD COLUMN x INT AFTER aa
=> a>aa; +x int after aa
B ALTER TABLE t RENAME COLUMN a TO aa, DROP COLUMN c, MODIFY b VARCHAR(99) NOT NULL
=> a>aa; -c; ~b varchar(10)! -> varchar(99)!
B ALTER TABLE t RENAME COLUMN id TO ident
=> id>ident
B ALTER TABLE t RENAME COLUMN id TO b, RENAME COLUMN b TO id
=> id>b; b>id
B ALTER TABLE t RENAME COLUMN a TO aa, RENAME TO u
=> a>aa; named corpus.u
B ALTER TABLE s RENAME COLUMN a TO aa
=> s: a>aa
B ALTER TABLE t RENAME COLUMN b TO `column`, RENAME COLUMN c TO `to`
=> b>column; c>to
Bx ALTER TABLE t RENAME COLUMN nowhere TO x
=> error t: column `nowhere` is not there to be renamed
Bx ALTER TABLE t RENAME COLUMN a
=> error t: expected TO between the columns
Bx ALTER TABLE t RENAME COLUMN a AS b
=> error t: expected TO between the columns
# Defaults, of which only rows that lack columns tell, and visibility, of which none do.
B ALTER TABLE t ALTER a SET DEFAULT 1
=> defaults
B ALTER TABLE t ALTER COLUMN a SET DEFAULT -1
=> defaults
B ALTER TABLE t ALTER COLUMN b SET DEFAULT 'q,r'
=> defaults
B ALTER TABLE t ALTER COLUMN b DROP DEFAULT
=> defaults
B ALTER TABLE t ALTER a SET DEFAULT (1 + 1)
=> defaults
B ALTER TABLE t ALTER a SET DEFAULT NULL, ALTER b SET DEFAULT 'y', ADD x INT
=> +x int
M ALTER TABLE t ALTER COLUMN a SET INVISIBLE
M ALTER TABLE t ALTER COLUMN a SET VISIBLE
M ALTER TABLE t ALTER INDEX ka INVISIBLE
M ALTER TABLE t ALTER INDEX ka VISIBLE, ADD COLUMN x INT
=> +x int
A ALTER TABLE t ALTER INDEX ka IGNORED
A ALTER TABLE t ALTER KEY ka NOT IGNORED
Mx ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 0) NOT ENFORCED, ALTER CHECK ck ENFORCED
# Several clauses of several kinds.
B ALTER TABLE t ADD x INT, DROP a, MODIFY b VARCHAR(11), CHANGE c cc TEXT, RENAME COLUMN d TO dd
=> +x int; -a; ~b varchar(10)! -> varchar(11); ~c text -> text; c>cc; d>dd
B ALTER TABLE t COMMENT 'all', ADD x VARCHAR(3), DROP COLUMN e, ENGINE=InnoDB
=> comment 'all'; +x varchar(3); -e
B ALTER TABLE t ADD x INT, ADD KEY kx (x), ADD CONSTRAINT UNIQUE (x), COMMENT='x'
=> +x int; comment 'x'
B ALTER TABLE t DROP PRIMARY KEY, MODIFY id INT, ADD PRIMARY KEY (b)
=> ~id int! -> int; key(b)
B ALTER TABLE t DROP COLUMN a, DROP INDEX ka
=> -a
B ALTER TABLE t DROP KEY ka, DROP COLUMN a, ADD COLUMN a2 INT, ADD KEY ka (a2)
=> -a; +a2 int
B ALTER TABLE t CONVERT TO CHARACTER SET latin1, ADD x VARCHAR(5)
=> ~b varchar(10)! -> varchar(10)!:latin1; ~c text -> text:latin1; ~e enum('x','y') -> enum('x','y'):latin1; +x varchar(5):latin1; charset latin1
B ALTER TABLE t DEFAULT CHARACTER SET latin1, ADD x VARCHAR(5)
=> +x varchar(5):latin1; charset latin1
B ALTER TABLE t ADD x VARCHAR(5), DEFAULT CHARACTER SET latin1
=> +x varchar(5):latin1; charset latin1
B ALTER TABLE t MODIFY b VARCHAR(10) NOT NULL, CHARSET latin1
=> ~b varchar(10)! -> varchar(10)!:latin1; charset latin1
