# Tables that come to be: every type in every spelling, every attribute of a column.
B CREATE TABLE n (a TINYINT)
=> n: create a tinyint
B CREATE TABLE n (a TINYINT(1))
=> n: create a tinyint(1)
B CREATE TABLE n (a TINYINT(4) UNSIGNED)
=> n: create a tinyint unsigned
B CREATE TABLE n (a TINYINT(1) UNSIGNED)
=> n: create a tinyint unsigned
B CREATE TABLE n (a BOOL)
=> n: create a tinyint(1)
B CREATE TABLE n (a BOOLEAN NOT NULL DEFAULT TRUE)
=> n: create a tinyint(1)!
B CREATE TABLE n (a BOOLEAN DEFAULT FALSE COMMENT 'off')
=> n: create a tinyint(1) 'off'
B CREATE TABLE n (a INT1)
=> n: create a tinyint
B CREATE TABLE n (a SMALLINT SIGNED)
=> n: create a smallint
B CREATE TABLE n (a INT2 UNSIGNED ZEROFILL)
=> n: create a smallint unsigned zerofill
B CREATE TABLE n (a SMALLINT(5) ZEROFILL)
=> n: create a smallint unsigned zerofill
B CREATE TABLE n (a MEDIUMINT)
=> n: create a mediumint
B CREATE TABLE n (a MIDDLEINT UNSIGNED)
=> n: create a mediumint unsigned
B CREATE TABLE n (a INT3)
=> n: create a mediumint
B CREATE TABLE n (a INT(11))
=> n: create a int
B CREATE TABLE n (a INTEGER UNSIGNED)
=> n: create a int unsigned
B CREATE TABLE n (a INT4 DEFAULT 4)
=> n: create a int
B CREATE TABLE n (a INT DEFAULT +4)
=> n: create a int
B CREATE TABLE n (a INT DEFAULT -4 NOT NULL)
=> n: create a int!
B CREATE TABLE n (a INT DEFAULT 0x10)
=> n: create a int
M CREATE TABLE n (a INT DEFAULT X'10')
=> n: create a int
B CREATE TABLE n (a INT DEFAULT 0b101)
=> n: create a int
B CREATE TABLE n (a INT DEFAULT B'101')
=> n: create a int
B CREATE TABLE n (a INT DEFAULT '17')
=> n: create a int
B CREATE TABLE n (a BIGINT(20) UNSIGNED ZEROFILL NOT NULL)
=> n: create a bigint unsigned zerofill!
B CREATE TABLE n (a INT8)
=> n: create a bigint
B CREATE TABLE n (a BIGINT DEFAULT 9223372036854775807)
=> n: create a bigint
B CREATE TABLE n (a SERIAL)
=> n: create a bigint unsigned!; key(a)
B CREATE TABLE n (a INT SERIAL DEFAULT VALUE)
=> n: create a int!; key(a)
B CREATE TABLE n (a BIT)
=> n: create a bit(1)
B CREATE TABLE n (a BIT(1) DEFAULT b'1')
=> n: create a bit(1)
B CREATE TABLE n (a BIT(64))
=> n: create a bit(64)
B CREATE TABLE n (a FLOAT)
=> n: create a float
B CREATE TABLE n (a FLOAT UNSIGNED)
=> n: create a float unsigned
B CREATE TABLE n (a FLOAT(24))
=> n: create a float
B CREATE TABLE n (a FLOAT(25))
=> n: create a double
B CREATE TABLE n (a FLOAT(8,2) ZEROFILL)
=> n: create a float(8,2) unsigned zerofill
B CREATE TABLE n (a FLOAT4 DEFAULT 1e3)
=> n: create a float
B CREATE TABLE n (a FLOAT8)
=> n: create a double
B CREATE TABLE n (a DOUBLE)
=> n: create a double
B CREATE TABLE n (a DOUBLE(16,4) UNSIGNED)
=> n: create a double(16,4) unsigned
B CREATE TABLE n (a DOUBLE PRECISION(12,3))
=> n: create a double(12,3)
B CREATE TABLE n (a DOUBLE PRECISION DEFAULT -1.5E-10)
=> n: create a double
B CREATE TABLE n (a REAL DEFAULT .5)
=> n: create a double
B CREATE TABLE n (a REAL(9,1))
=> n: create a double(9,1)
B CREATE TABLE n (a DECIMAL)
=> n: create a decimal(10,0)
B CREATE TABLE n (a DECIMAL(0))
=> n: create a decimal(10,0)
B CREATE TABLE n (a DECIMAL(5))
=> n: create a decimal(5,0)
B CREATE TABLE n (a DECIMAL(38,30))
=> n: create a decimal(38,30)
B CREATE TABLE n (a DECIMAL(65,0) UNSIGNED)
=> n: create a decimal(65,0) unsigned
B CREATE TABLE n (a DEC(18,9) DEFAULT 0.000000001)
=> n: create a decimal(18,9)
B CREATE TABLE n (a NUMERIC(19,4) NOT NULL DEFAULT '0.0000')
=> n: create a decimal(19,4)!
B CREATE TABLE n (a FIXED(8,3) ZEROFILL)
=> n: create a decimal(8,3) unsigned zerofill
B CREATE TABLE n (a DATE DEFAULT '1970-01-01')
=> n: create a date
A CREATE TABLE n (a DATE DEFAULT DATE '1970-01-01')
=> n: create a date
B CREATE TABLE n (a DATE DEFAULT (CURRENT_DATE))
=> n: create a date
B CREATE TABLE n (a TIME)
=> n: create a time
B CREATE TABLE n (a TIME(0) DEFAULT '00:00:00')
=> n: create a time
A CREATE TABLE n (a TIME(3) DEFAULT TIME'12:34:56.789')
=> n: create a time(3)
B CREATE TABLE n (a DATETIME)
=> n: create a datetime
B CREATE TABLE n (a DATETIME(0))
=> n: create a datetime
B CREATE TABLE n (a DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6))
=> n: create a datetime(6)
B CREATE TABLE n (a DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)
=> n: create a datetime
B CREATE TABLE n (a DATETIME DEFAULT NOW() ON UPDATE NOW() NOT NULL COMMENT 'set by the server')
=> n: create a datetime! 'set by the server'
B CREATE TABLE n (a DATETIME(3) DEFAULT LOCALTIMESTAMP(3) ON UPDATE LOCALTIMESTAMP(3))
=> n: create a datetime(3)
B CREATE TABLE n (a DATETIME DEFAULT LOCALTIME ON UPDATE LOCALTIME())
=> n: create a datetime
A CREATE TABLE n (a DATETIME DEFAULT TIMESTAMP '2001-02-03 04:05:06')
=> n: create a datetime
B CREATE TABLE n (a TIMESTAMP NULL)
=> n: create a timestamp
B CREATE TABLE n (a TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)
=> n: create a timestamp!
B CREATE TABLE n (a TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))
=> n: create a timestamp(6)!
B CREATE TABLE n (a TIMESTAMP NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP)
=> n: create a timestamp
B CREATE TABLE n (a YEAR)
=> n: create a year
B CREATE TABLE n (a YEAR(4) NOT NULL)
=> n: create a year!
B CREATE TABLE n (a CHAR)
=> n: create a char(1)
B CREATE TABLE n (a CHARACTER(255))
=> n: create a char(255)
B CREATE TABLE n (a CHAR(0))
=> n: create a char(0)
B CREATE TABLE n (a CHAR VARYING(12))
=> n: create a varchar(12)
B CREATE TABLE n (a CHARACTER VARYING(12) CHARACTER SET latin2)
=> n: create a varchar(12):latin2
B CREATE TABLE n (a VARCHAR(255) CHARSET ascii COLLATE ascii_bin)
=> n: create a varchar(255):ascii
B CREATE TABLE n (a VARCHARACTER(8))
=> n: create a varchar(8)
B CREATE TABLE n (a VARCHAR(0))
=> n: create a varchar(0)
B CREATE TABLE n (a VARCHAR(16000))
=> n: create a varchar(16000)
B CREATE TABLE n (a VARCHAR(70000))
=> n: create a mediumtext
B CREATE TABLE n (a VARCHAR(65000) CHARSET latin1)
=> n: create a varchar(65000):latin1
B CREATE TABLE n (a VARCHAR(20000) CHARACTER SET utf8mb4)
=> n: create a mediumtext
B CREATE TABLE n (a NCHAR)
=> n: create a char(1):utf8mb3
B CREATE TABLE n (a NCHAR(3) NOT NULL)
=> n: create a char(3)!:utf8mb3
B CREATE TABLE n (a NCHAR VARYING(3))
=> n: create a varchar(3):utf8mb3
B CREATE TABLE n (a NCHAR VARCHAR(4))
=> n: create a varchar(4):utf8mb3
B CREATE TABLE n (a NVARCHAR(5))
=> n: create a varchar(5):utf8mb3
B CREATE TABLE n (a NATIONAL CHAR(6))
=> n: create a char(6):utf8mb3
B CREATE TABLE n (a NATIONAL CHARACTER(6))
=> n: create a char(6):utf8mb3
B CREATE TABLE n (a NATIONAL CHAR VARYING(7))
=> n: create a varchar(7):utf8mb3
B CREATE TABLE n (a NATIONAL CHARACTER VARYING(7))
=> n: create a varchar(7):utf8mb3
B CREATE TABLE n (a NATIONAL VARCHARACTER(8))
=> n: create a varchar(8):utf8mb3
B CREATE TABLE n (a CHAR(5) BYTE)
=> n: create a binary(5)
B CREATE TABLE n (a CHAR(5) BINARY)
=> n: create a char(5)
B CREATE TABLE n (a CHAR(5) ASCII)
=> n: create a char(5):latin1
B CREATE TABLE n (a CHAR(5) UNICODE)
=> n: create a char(5):ucs2
B CREATE TABLE n (a CHAR(5) BINARY ASCII)
=> n: create a char(5):latin1
B CREATE TABLE n (a CHAR(5) UNICODE BINARY)
=> n: create a char(5):ucs2
B CREATE TABLE n (a VARCHAR(5) ASCII BINARY NOT NULL)
=> n: create a varchar(5)!:latin1
B CREATE TABLE n (a VARCHAR(5) CHARACTER SET cp1250 BINARY)
=> n: create a varchar(5):cp1250
B CREATE TABLE n (a CHAR(5) CHARACTER SET binary)
=> n: create a binary(5)
B CREATE TABLE n (a TEXT BYTE)
=> n: create a blob
B CREATE TABLE n (a TEXT BINARY)
=> n: create a text
B CREATE TABLE n (a TINYTEXT CHARACTER SET koi8r)
=> n: create a tinytext:koi8r
B CREATE TABLE n (a TEXT(10))
=> n: create a tinytext
B CREATE TABLE n (a TEXT(63) CHARACTER SET utf8mb4)
=> n: create a tinytext
B CREATE TABLE n (a TEXT(64) CHARACTER SET utf8mb4)
=> n: create a text
B CREATE TABLE n (a TEXT(255) CHARACTER SET latin1)
=> n: create a tinytext:latin1
B CREATE TABLE n (a TEXT(65536) CHARACTER SET latin1)
=> n: create a mediumtext:latin1
B CREATE TABLE n (a TEXT(16777216) CHARACTER SET latin1)
=> n: create a longtext:latin1
B CREATE TABLE n (a MEDIUMTEXT COLLATE utf8mb4_unicode_ci)
=> n: create a mediumtext
B CREATE TABLE n (a LONGTEXT CHARACTER SET binary)
=> n: create a longblob
B CREATE TABLE n (a LONG)
=> n: create a mediumtext
B CREATE TABLE n (a LONG VARCHAR CHARACTER SET latin1)
=> n: create a mediumtext:latin1
B CREATE TABLE n (a LONG VARBINARY)
=> n: create a mediumblob
B CREATE TABLE n (a LONG CHAR VARYING)
=> n: create a mediumtext
B CREATE TABLE n (a BINARY)
=> n: create a binary(1)
B CREATE TABLE n (a BINARY(255))
=> n: create a binary(255)
B CREATE TABLE n (a VARBINARY(1))
=> n: create a varbinary(1)
B CREATE TABLE n (a VARBINARY(65000) NOT NULL)
=> n: create a varbinary(65000)!
B CREATE TABLE n (a TINYBLOB)
=> n: create a tinyblob
B CREATE TABLE n (a BLOB)
=> n: create a blob
B CREATE TABLE n (a BLOB(255))
=> n: create a tinyblob
B CREATE TABLE n (a BLOB(256))
=> n: create a blob
B CREATE TABLE n (a BLOB(65536))
=> n: create a mediumblob
B CREATE TABLE n (a MEDIUMBLOB NOT NULL)
=> n: create a mediumblob!
B CREATE TABLE n (a LONGBLOB NULL)
=> n: create a longblob
B CREATE TABLE n (a ENUM('one'))
=> n: create a enum('one')
B CREATE TABLE n (a ENUM ('one', 'two' , 'three') NOT NULL DEFAULT 'two')
=> n: create a enum('one','two','three')!
B CREATE TABLE n (a ENUM('comma,','paren)','quote''s',"double""s"))
=> n: create a enum('comma,','paren)','quote''s','double"s')
B CREATE TABLE n (a ENUM('trailing   ','  leading'))
=> n: create a enum('trailing','  leading')
B CREATE TABLE n (a ENUM('tab	inside','back\\slash'))
=> n: create a enum('tab	inside','back\\slash')
Bx CREATE TABLE n (a ENUM(_utf8mb4'x', _utf8mb4'y') CHARACTER SET utf8mb4)
=> n: create a enum('x','y')
B CREATE TABLE n (a ENUM('ä','ö','日本') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)
=> n: create a enum('ä','ö','日本')
B CREATE TABLE n (a SET('a','b','c') CHARSET latin1 DEFAULT 'a,b')
=> n: create a set('a','b','c'):latin1
B CREATE TABLE n (a SET('r''w', 'x') COLLATE latin1_bin NOT NULL)
=> n: create a set('r''w','x')!:latin1
M CREATE TABLE n (a JSON)
=> n: create a json
M CREATE TABLE n (a JSON NOT NULL DEFAULT ('[]'))
=> n: create a json!
A CREATE TABLE n (a JSON DEFAULT '{}')
=> n: create a longtext
A CREATE TABLE n (a JSON CHECK (JSON_VALID(a)), b JSON NOT NULL)
=> n: create a longtext, b longtext!
B CREATE TABLE n (a GEOMETRY)
=> n: create a geometry
B CREATE TABLE n (a POINT)
=> n: create a point
B CREATE TABLE n (a LINESTRING NOT NULL)
=> n: create a linestring!
B CREATE TABLE n (a POLYGON)
=> n: create a polygon
B CREATE TABLE n (a MULTIPOINT, b MULTILINESTRING, c MULTIPOLYGON)
=> n: create a multipoint, b multilinestring, c multipolygon
B CREATE TABLE n (a GEOMETRYCOLLECTION)
=> n: create a geometrycollection
M CREATE TABLE n (a GEOMCOLLECTION)
=> n: create a geometrycollection
M CREATE TABLE n (a POINT NOT NULL SRID 4326, SPATIAL INDEX (a))
=> n: create a point!
M CREATE TABLE n (a POINT SRID 0 COMMENT 'flat')
=> n: create a point 'flat'
A CREATE TABLE n (a POINT REF_SYSTEM_ID=4326)
=> n: create a point
A CREATE TABLE n (a UUID)
=> n: create a uuid
A CREATE TABLE n (a INET6 NOT NULL, b INET4)
=> n: create a inet6!, b inet4
Mx CREATE TABLE n (a VECTOR(3))
=> n: create a vector(3)
Mx CREATE TABLE n (a VECTOR)
=> n: create a vector
Ax CREATE TABLE n (a VARCHAR2(10), b NUMBER(5,2), c RAW(4), d CLOB)
=> n: create a varchar(10), b decimal(5,2), c varbinary(4), d longtext
# Attributes of columns.
B CREATE TABLE n (a INT NULL)
=> n: create a int
B CREATE TABLE n (a INT NOT NULL)
=> n: create a int!
B CREATE TABLE n (a INT NOT NULL DEFAULT 1 COMMENT 'x' UNIQUE)
=> n: create a int! 'x'; key(a)
B CREATE TABLE n (a INT UNIQUE)
=> n: create a int
B CREATE TABLE n (a INT UNIQUE KEY COMMENT 'may be null')
=> n: create a int 'may be null'
B CREATE TABLE n (a INT KEY)
=> n: create a int!; key(a)
B CREATE TABLE n (a INT PRIMARY KEY COMMENT 'the key')
=> n: create a int! 'the key'; key(a)
B CREATE TABLE n (a INT AUTO_INCREMENT PRIMARY KEY)
=> n: create a int!; key(a)
B CREATE TABLE n (a INT AUTO_INCREMENT UNIQUE)
=> n: create a int!; key(a)
B CREATE TABLE n (a INT NOT NULL AUTO_INCREMENT, b INT, KEY (a))
=> n: create a int!, b int
B CREATE TABLE n (a INT COMMENT 'comma, paren) and ''quote''')
=> n: create a int 'comma, paren) and 'quote''
B CREATE TABLE n (a INT COMMENT "double 'single' inside")
=> n: create a int 'double 'single' inside'
Bx CREATE TABLE n (a INT COMMENT 'one ' 'two ' "three")
=> n: create a int 'one two three'
B CREATE TABLE n (a INT COMMENT '')
=> n: create a int
B CREATE TABLE n (a INT COMMENT 'line\nbreak\ttab \\ backslash')
=> n: create a int 'line\nbreak\ttab \\ backslash'
B CREATE TABLE n (a INT COMMENT 'ünïcödé — 漢字 🙂')
=> n: create a int 'ünïcödé — 漢字 ?'
M CREATE TABLE n (a INT COLUMN_FORMAT FIXED, b INT COLUMN_FORMAT DYNAMIC, c INT COLUMN_FORMAT DEFAULT)
=> n: create a int, b int, c int
M CREATE TABLE n (a INT STORAGE DISK, b INT STORAGE MEMORY)
=> n: create a int, b int
M CREATE TABLE n (a INT, b INT INVISIBLE, c INT VISIBLE)
=> n: create a int, b int, c int
A CREATE TABLE n (a INT, b INT INVISIBLE, c INT INVISIBLE NOT NULL DEFAULT 3)
=> n: create a int, b int, c int!
Mx CREATE TABLE n (a INT ENGINE_ATTRIBUTE '{"x": 1}' COMMENT 'tail', b INT SECONDARY_ENGINE_ATTRIBUTE = '{}')
=> n: create a int 'tail', b int
M CREATE TABLE n (a INT, b INT NOT SECONDARY)
=> n: create a int, b int
M CREATE TABLE n (a VARCHAR(5) COLLATE utf8mb4_0900_ai_ci CHECK (a <> ','), b INT CHECK (b > 0) NOT ENFORCED)
=> n: create a varchar(5), b int
B CREATE TABLE n (a INT CHECK (a > 0), b INT, CHECK (a < b), CONSTRAINT both_set CHECK (a IS NOT NULL AND b IS NOT NULL))
=> n: create a int, b int
M CREATE TABLE n (a INT CONSTRAINT positive CHECK (a > 0) COMMENT 'checked')
=> n: create a int 'checked'
M CREATE TABLE n (a INT CONSTRAINT named CHECK (a IN (1,2,3)) ENFORCED NOT NULL)
=> n: create a int!
B CREATE TABLE n (a INT CHECK (a BETWEEN 1 AND 10), b VARCHAR(9) CHECK (b LIKE 'x%' AND LENGTH(b) > 2))
=> n: create a int, b varchar(9)
B CREATE TABLE n (a INT, b INT AS (a + 1))
=> n: create a int, b int
B CREATE TABLE n (a INT, b INT AS (a + 1) STORED)
=> n: create a int, b int
B CREATE TABLE n (a INT, b INT GENERATED ALWAYS AS (a * (a - 1)) VIRTUAL COMMENT 'made')
=> n: create a int, b int 'made'
A CREATE TABLE n (a INT, b INT GENERATED ALWAYS AS (a) PERSISTENT UNIQUE)
=> n: create a int, b int
M CREATE TABLE n (a INT, b INT GENERATED ALWAYS AS (a) STORED NOT NULL PRIMARY KEY)
=> n: create a int, b int!; key(b)
B CREATE TABLE n (a VARCHAR(9), b VARCHAR(30) AS (CONCAT(a, ', ''', ')')) STORED)
=> n: create a varchar(9), b varchar(30)
M CREATE TABLE n (a JSON, b INT AS (a->'$.b'), c TEXT AS (a->>"$.c") VIRTUAL)
=> n: create a json, b int, c text
M CREATE TABLE n (a JSON, b VARCHAR(20) COLLATE utf8mb4_bin GENERATED ALWAYS AS (JSON_UNQUOTE(JSON_EXTRACT(a, '$.b'))) STORED)
=> n: create a json, b varchar(20)
A CREATE TABLE n (a LONGTEXT, b VARCHAR(20) AS (JSON_VALUE(a, '$.b')) VIRTUAL)
=> n: create a longtext, b varchar(20)
M CREATE TABLE n (a INT, b INT AS (CASE WHEN a > 0 THEN 1 ELSE (0) END) VIRTUAL NULL)
=> n: create a int, b int
B CREATE TABLE n (a INT DEFAULT (1 + 2), b INT)
=> n: create a int, b int
B CREATE TABLE n (a VARCHAR(40) DEFAULT (REPLACE('a,b', ',', ')')) NOT NULL)
=> n: create a varchar(40)!
B CREATE TABLE n (a VARCHAR(9) DEFAULT _latin1'x' NOT NULL)
=> n: create a varchar(9)!
B CREATE TABLE n (a VARCHAR(9) CHARACTER SET latin1 DEFAULT _latin1 X'41' COMMENT 'introduced')
=> n: create a varchar(9):latin1 'introduced'
B CREATE TABLE n (a VARCHAR(9) DEFAULT N'national')
=> n: create a varchar(9)
B CREATE TABLE n (a VARCHAR(9) DEFAULT 'two' ' parts')
=> n: create a varchar(9)
B CREATE TABLE n (a VARCHAR(9) DEFAULT NULL, b INT)
=> n: create a varchar(9), b int
Ax CREATE TABLE n (a INT DEFAULT 1 + 2 * 3, b DATETIME DEFAULT NOW() + INTERVAL 1 DAY, c INT)
=> n: create a int, b datetime, c int
A CREATE TABLE n (a BIGINT DEFAULT UUID_SHORT(), b VARCHAR(36) DEFAULT UUID() NOT NULL)
=> n: create a bigint, b varchar(36)!
A CREATE TABLE n (a TEXT COMPRESSED, b VARCHAR(99) COMPRESSED=zlib, c BLOB COMPRESSED DEFAULT 'x')
=> n: create a text, b varchar(99), c blob
A CREATE TABLE n (a INT WITHOUT SYSTEM VERSIONING, b INT WITH SYSTEM VERSIONING)
=> n: create a int, b int
B CREATE TABLE n (a INT REFERENCES parent (id))
=> n: create a int
B CREATE TABLE n (a INT, FOREIGN KEY (a) REFERENCES t (id))
=> n: create a int
B CREATE TABLE n (a INT NULL, CONSTRAINT fk_a FOREIGN KEY (a) REFERENCES t (id) ON DELETE SET NULL ON UPDATE CASCADE, b INT)
=> n: create a int, b int
B CREATE TABLE n (a INT, FOREIGN KEY by_a (a) REFERENCES corpus.t(id) ON DELETE NO ACTION ON UPDATE RESTRICT)
=> n: create a int
B CREATE TABLE n (a INT, CONSTRAINT FOREIGN KEY (a) REFERENCES t (id) MATCH FULL ON DELETE SET DEFAULT)
=> n: create a int
# Names of columns that are words of the language.
B CREATE TABLE n (`key` INT, `primary` INT, `check` INT, `index` INT)
=> n: create key int, primary int, check int, index int
B CREATE TABLE n (comment INT, charset INT, date DATE, time TIME, timestamp TIMESTAMP NULL, year YEAR)
=> n: create comment int, charset int, date date, time time, timestamp timestamp, year year
B CREATE TABLE n (status INT, type INT, value INT, text TEXT, enum ENUM('x'), bit BIT, bool BOOL, json INT)
=> n: create status int, type int, value int, text text, enum enum('x'), bit bit(1), bool tinyint(1), json int
B CREATE TABLE n (first INT, after INT, begin INT, end INT, engine INT, action INT, at INT, hash INT)
=> n: create first int, after int, begin int, end int, engine int, action int, at int, hash int
A CREATE TABLE n (visible INT, invisible INT, start INT, expire INT, period INT, system INT, versioning INT)
=> n: create visible int, invisible int, start int, expire int, period int, system int, versioning int
B CREATE TABLE n (`a``b` INT, `a.b` INT, `a b` INT, `a,b` INT, `(a)` INT, `"` INT, `'` INT)
=> n: create a`b int, a.b int, a b int, a,b int, (a) int, " int, ' int
B CREATE TABLE n (`1st` INT, 2nd INT, $x INT, _y INT, x$_9 INT)
=> n: create 1st int, 2nd int, $x int, _y int, x$_9 int
B CREATE TABLE n (größe INT, 名前 VARCHAR(3), Ünïcode TEXT)
=> n: create größe int, 名前 varchar(3), Ünïcode text
B CREATE TABLE n (UPPER INT, Mixed INT, lower INT)
=> n: create UPPER int, Mixed int, lower int
Mq CREATE TABLE n ("a" INT, "b""c" INT, `d` INT, "e""" VARCHAR(3) DEFAULT 'x')
=> n: create a int, b"c int, d int, e" varchar(3)
Aq CREATE TABLE "n" ("a" INT, "b ""c" INT DEFAULT 5, CONSTRAINT "pk" PRIMARY KEY ("a"))
=> n: create a int!, b "c int; key(a)
Bn CREATE TABLE n (a VARCHAR(9) DEFAULT 'a\', b INT COMMENT 'c:\dir\')
=> n: create a varchar(9), b int 'c:\\dir\\'
Bn CREATE TABLE n (a ENUM('x\','y\n'))
=> n: create a enum('x\\','y\\n')
Bqn CREATE TABLE "n" ("a\" INT, b INT COMMENT '\')
=> n: create a\ int, b int '\\'
