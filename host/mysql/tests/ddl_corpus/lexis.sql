# How statements are written: blanks, letter case, quotes, remarks, executed remarks, modes.
B alter table t add column x1 int
=> +x1 int
B ALTER  TABLE   t   ADD    COLUMN x int
=> +x int
B 	alter	table	t	add	x	int	
=> +x int
B aLtEr TaBlE t AdD cOlUmN x InT nOt NuLl DeFaUlT 0
=> +x int!
B Alter Table `t` Add `x` VarChar(5) Character Set Latin1
=> +x varchar(5):latin1
B alter table corpus.t add x int
=> +x int
B alter table corpus . t add x int
=> +x int
B alter table `corpus`.t add x int
=> +x int
B alter table corpus.`t` add x int
=> +x int
B alter table `corpus`.`t`add`x`int
=> +x int
B ALTER TABLE t ADD x INT;
=> +x int
B ALTER TABLE t ADD x INT ;
=> +x int
Bx ALTER TABLE t ADD x INT; DROP TABLE t
=> +x int
Bx ALTER TABLE t ADD x INT;;
=> +x int
B ALTER TABLE t
  ADD COLUMN x INT
=> +x int
B ALTER TABLE t
    ADD COLUMN x INT,
    ADD COLUMN y INT
=> +x int; +y int
B ALTER TABLE t ADD x INT,ADD y INT
=> +x int; +y int
B ALTER TABLE t ADD x INT ,ADD y INT
=> +x int; +y int
B ALTER TABLE t ADD(x INT)
=> +x int
B ALTER TABLE t ADD ( x INT , y INT )
=> +x int, +y int
B ALTER TABLE t ADD x DECIMAL ( 8 , 3 )
=> +x decimal(8,3)
B ALTER TABLE t ADD x VARCHAR (7)
=> +x varchar(7)
B ALTER TABLE t ADD x ENUM ( 'a' ,'b')
=> +x enum('a','b')
B ALTER TABLE t ADD x INT COMMENT'tight'
=> +x int 'tight'
B ALTER TABLE t ADD x VARCHAR(3)CHARACTER SET latin1 COMMENT'tight',ADD y INT AFTER`a`
=> +x varchar(3):latin1 'tight'; +y int after a
B CREATE TABLE n(a INT)
=> n: create a int
B CREATE TABLE n(a INT)ENGINE=InnoDB COMMENT='tight'
=> n: create a int; comment 'tight'
B create table n(a int primary key,b int)
=> n: create a int!, b int; key(a)
B CREATE TABLE`n`(`a`INT,`b`INT)
=> n: create a int, b int
B DROP TABLE`t`
=> drop
B drop table if exists`corpus`.`t`
=> drop
B rename table`t`to`u`
=> named corpus.u
B TRUNCATE TABLE`t`
=> truncate
# Remarks.
B /* first */ ALTER TABLE t ADD x INT
=> +x int
B ALTER /* a */ TABLE /* b */ t /* c */ ADD /* d */ x /* e */ INT /* f */
=> +x int
B ALTER TABLE t ADD x INT /* , ADD y INT */
=> +x int
B ALTER TABLE t ADD x INT -- , ADD y INT
=> +x int
B ALTER TABLE t ADD x INT # , ADD y INT
=> +x int
B ALTER TABLE t -- the table
  ADD x INT
=> +x int
B ALTER TABLE t # the table
  ADD x INT # the column
=> +x int
B ALTER TABLE t --	tab
  ADD x INT --
=> +x int
B -- one
  -- two
  ALTER TABLE t ADD x INT
=> +x int
B # one
  ALTER TABLE t ADD x INT
=> +x int
B ALTER TABLE t ADD x INT /* ' " ` ; */, ADD y INT
=> +x int; +y int
B ALTER TABLE t ADD x INT COMMENT '/* not a remark */', ADD y INT COMMENT '-- nor this', ADD z INT COMMENT '# nor this'
=> +x int '/* not a remark */'; +y int '-- nor this'; +z int '# nor this'
B ALTER TABLE t ADD `x/*y*/` INT
=> +x/*y*/ int
B ALTER TABLE t ADD `--x` INT
=> +--x int
Bx ALTER TABLE t ADD x INT DEFAULT 1--1
=> +x int
B ALTER/**/TABLE/**/t/**/ADD/**/x/**/INT
=> +x int
B /* ApplicationName=ide */ ALTER TABLE t ADD x INT /* end */
=> +x int
B ALTER TABLE t /* gh-ost */ ENGINE=InnoDB
B ALTER TABLE t ADD x INT /**/
=> +x int
B ALTER TABLE t ADD x INT /***/
=> +x int
B ALTER TABLE t ADD x INT /* * / */
=> +x int
# Executed remarks.
B ALTER TABLE t /*! ADD x INT */
=> +x int
B ALTER TABLE t ADD x INT /*!, ADD y INT */
=> +x int; +y int
B ALTER TABLE t /*!40000 DISABLE KEYS */
B /*!40000 ALTER TABLE t ENABLE KEYS */
B /*!50001 ALTER TABLE t ADD x INT */
=> +x int
B /*!40101 ALTER TABLE t*/ /*!40101 ADD x INT*/
=> +x int
B ALTER TABLE t ADD x INT /*!99999 , ADD y INT */
=> +x int
B ALTER TABLE t ADD x INT /*!50503 COMMENT 'five' */
=> +x int 'five'
B ALTER TABLE t ADD x INT /*!80000 COMMENT 'eight' */
=M> +x int 'eight'
=A> +x int
B ALTER TABLE t ADD x INT /*!80023 INVISIBLE */, ADD y INT
=> +x int; +y int
B ALTER TABLE t ADD x INT /*!50700 NOT NULL */
=M> +x int!
=A> +x int
B ALTER TABLE t ADD x INT /*!50633 NOT NULL */
=> +x int!
B ALTER TABLE t ADD x INT /*!100000 NOT NULL */
=M> +x int
=A> +x int!
B ALTER TABLE t ADD x INT /*!100100 NOT NULL */
=M> +x int
=A> +x int!
B ALTER TABLE t ADD x INT /*!101199 NOT NULL */
=> +x int
B ALTER TABLE t ADD x INT /*M! NOT NULL */
=M> +x int
=A> +x int!
B ALTER TABLE t ADD x INT /*M!100301 NOT NULL */
=M> +x int
=A> +x int!
B ALTER TABLE t ADD x INT /*M!120000 NOT NULL */
=> +x int
B ALTER TABLE t ADD x TEXT /*M!100301 COMPRESSED*/ COMMENT 'c'
=> +x text 'c'
B ALTER TABLE t ADD x INT /*! /* inside */ NOT NULL */
=> +x int!
B ALTER TABLE t ADD x INT /*!50001 NOT NULL */ /*!50001 COMMENT 'two' */
=> +x int! 'two'
B ALTER TABLE t ADD x INT/*!50001NOT NULL*/
=> +x int!
B CREATE TABLE n (a INT, b INT /*!80016 CHECK (b > 0) */) /*!40101 ENGINE=InnoDB */ /*!40101 DEFAULT CHARSET=latin1 */
=> n: create a int, b int; charset latin1
B CREATE TABLE n (a INT /*!80000 , b INT */ /*M!100000 , m INT */)
=M> n: create a int, b int
=A> n: create a int, m int
B CREATE TABLE n (a VARCHAR(9) /*!40101 CHARACTER SET latin1 COLLATE latin1_bin */ NOT NULL)
=> n: create a varchar(9)!:latin1
B CREATE TABLE /*!32312 IF NOT EXISTS*/ `n` (`a` INT) /*!40100 DEFAULT CHARACTER SET utf8mb4 */
=> n: create a int
B CREATE TABLE n (a INT) /*!50100 PARTITION BY KEY (a) PARTITIONS 2 */ /* end */
=> n: create a int
B DROP TABLE /*! IF EXISTS */ t
=> drop
B DROP /*! TABLE */ IF EXISTS t /* generated by server */
=> drop
M /*!80000 ALTER TABLE t ADD x INT, */ ADD y INT
=> +x int; +y int
A /*M!100000 ALTER TABLE t ADD x INT, */ ADD y INT
=> +x int; +y int
Bx /*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1 */
Bx /*!50001 CREATE ALGORITHM=UNDEFINED */ /*!50013 DEFINER=`r`@`%` SQL SECURITY DEFINER */ /*!50001 VIEW vw AS SELECT 1 */
Bx /*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */
# Strings and names.
B ALTER TABLE t COMMENT 'a''b'
=> comment 'a'b'
B ALTER TABLE t COMMENT "a""b"
=> comment 'a\'b'
B ALTER TABLE t COMMENT 'a"b'
=> comment 'a\'b'
B ALTER TABLE t COMMENT "a'b"
=> comment 'a'b'
B ALTER TABLE t COMMENT 'a\'b'
=> comment 'a'b'
B ALTER TABLE t COMMENT "a\"b"
=> comment 'a\'b'
B ALTER TABLE t COMMENT 'a\\'
=> comment 'a\\'
B ALTER TABLE t COMMENT '\\\''
=> comment '\\''
B ALTER TABLE t COMMENT 'tab\tnew\nline'
=> comment 'tab\tnew\nline'
B ALTER TABLE t COMMENT 'percent \% under \_ other \q'
=> comment 'percent \\% under \\_ other q'
Bx ALTER TABLE t COMMENT 'a' 'b'
=> comment 'ab'
Bx ALTER TABLE t COMMENT 'a'
  'b'
=> comment 'ab'
Bx ALTER TABLE t COMMENT 'a' "b"
=> comment 'ab'
B ALTER TABLE t COMMENT 'a`b'
=> comment 'a`b'
B ALTER TABLE t COMMENT 'DROP TABLE t; -- '
=> comment 'DROP TABLE t; -- '
B ALTER TABLE t COMMENT '/*'
=> comment '/*'
B ALTER TABLE t COMMENT '*/'
=> comment '*/'
B ALTER TABLE t COMMENT 'ä€漢'
=> comment 'ä€漢'
B ALTER TABLE t COMMENT ' '
=> comment ' '
B ALTER TABLE t COMMENT 'two
  lines'
=> comment 'two\nlines'
Bn ALTER TABLE t COMMENT 'a\'
=> comment 'a\\'
Bn ALTER TABLE t COMMENT 'a\n'
=> comment 'a\\n'
Bn ALTER TABLE t COMMENT 'a''\'
=> comment 'a'\\'
Bn ALTER TABLE t COMMENT "C:\dir\", ADD x INT
=> comment 'C:\\dir\\'; +x int
Bq ALTER TABLE "t" ADD "x" INT
=> +x int
Bq ALTER TABLE "corpus"."t" ADD "x y" INT AFTER "id"
=> +x y int after id
Bq ALTER TABLE "corpus".`t` ADD `x` INT COMMENT 'text'
=> +x int 'text'
Bq ALTER TABLE t ADD "x""y" INT
=> +x"y int
Bq ALTER TABLE t RENAME COLUMN "a" TO "A B"
=> a>A B
Bq ALTER TABLE t COMMENT 'a "quoted" word'
=> comment 'a \'quoted\' word'
Bq CREATE TABLE "n" ("select" INT, "b" VARCHAR(3) DEFAULT 'd', PRIMARY KEY ("select"))
=> n: create select int!, b varchar(3); key(select)
Bq DROP TABLE "t" /* generated by server */
=> drop
Bq RENAME TABLE "t" TO "u"
=> named corpus.u
Bq TRUNCATE TABLE "corpus"."t"
=> truncate
Bqn ALTER TABLE "t" ADD "x\" INT COMMENT 'y\'
=> +x\ int 'y\\'
Bx ALTER TABLE "t" ADD x INT
=> error t: expected a name before a string
Bx ALTER TABLE 't' ADD x INT
=> error t: expected a name before a string
Bx ALTER TABLE t ADD `x ` INT
=> +x  int
B ALTER TABLE t ADD `a-b` INT
=> +a-b int
B ALTER TABLE t ADD `1` INT
=> +1 int
B ALTER TABLE t ADD 1a INT
=> +1a int
B ALTER TABLE t ADD $a INT
=> +$a int
B ALTER TABLE t ADD a$ INT
=> +a$ int
B ALTER TABLE t ADD _ INT
=> +_ int
B ALTER TABLE t ADD `select` INT, ADD `from` INT
=> +select int; +from int
B ALTER TABLE t ADD Größe INT
=> +Größe int
B ALTER TABLE t ADD данные VARCHAR(4)
=> +данные varchar(4)
B ALTER TABLE t ADD 数据 INT AFTER a
=> +数据 int after a
B ALTER TABLE t DROP COLUMN `TS`
=> -ts
B CREATE TABLE `n.m` (a INT)
=> n.m: create a int
B CREATE TABLE `n m` (a INT)
=> n m: create a int
B CREATE TABLE `n``m` (a INT)
=> n`m: create a int
B CREATE TABLE `n'm` (a INT)
=> n'm: create a int
B CREATE TABLE `n"m` (a INT)
=> n"m: create a int
B CREATE TABLE `table` (`create` INT)
=> table: create create int
B CREATE TABLE `if` (`not` INT)
=> if: create not int
B CREATE TABLE tëst (a INT)
=> tëst: create a int
B CREATE TABLE 9n (a INT)
=> 9n: create a int
B CREATE TABLE n$ (a INT)
=> n$: create a int
B CREATE TABLE `like` (a INT)
=> like: create a int
B CREATE TABLE `as` (a INT)
=> as: create a int
Bx CREATE TABLE .n (a INT)
=> n: create a int
Bx ALTER TABLE .t ADD x INT
=> +x int
# Values in many forms.
B ALTER TABLE t ADD x VARCHAR(9) DEFAULT _utf8mb4'é'
=> +x varchar(9)
B ALTER TABLE t ADD x VARCHAR(9) DEFAULT _latin1'e' NOT NULL, ADD y INT
=> +x varchar(9)!; +y int
B ALTER TABLE t ADD x VARCHAR(9) DEFAULT _utf8mb4 X'C3A9', ADD y INT
=> +x varchar(9); +y int
B ALTER TABLE t ADD x VARCHAR(9) CHARACTER SET ascii DEFAULT _ascii'a' COLLATE ascii_bin
=> +x varchar(9):ascii
B ALTER TABLE t ADD x VARBINARY(9) DEFAULT 0xC3A9
=> +x varbinary(9)
B ALTER TABLE t ADD x VARBINARY(9) DEFAULT x'C3A9' NOT NULL
=> +x varbinary(9)!
B ALTER TABLE t ADD x BINARY(2) DEFAULT b'1010'
=> +x binary(2)
B ALTER TABLE t ADD x DOUBLE DEFAULT 1.
=> +x double
B ALTER TABLE t ADD x DOUBLE DEFAULT -.5e+10 NOT NULL
=> +x double!
B ALTER TABLE t ADD x DOUBLE DEFAULT 1e5
=> +x double
B ALTER TABLE t ADD x DECIMAL(5,2) DEFAULT - 1.25
=> +x decimal(5,2)
B ALTER TABLE t ADD x INT DEFAULT NULL NULL
=> +x int
B ALTER TABLE t ADD x INT NULL DEFAULT NULL
=> +x int
B ALTER TABLE t ADD x INT NOT NULL NOT NULL
=> +x int!
B ALTER TABLE t ADD x DATETIME DEFAULT CURRENT_TIMESTAMP() ON UPDATE CURRENT_TIMESTAMP() COMMENT 'now'
=> +x datetime 'now'
B ALTER TABLE t ADD x VARCHAR(40) DEFAULT (CONCAT('(', ')', ',', "'"))
=> +x varchar(40)
B ALTER TABLE t ADD x VARCHAR(9) COLLATE "utf8mb4_bin"
=> +x varchar(9)
B ALTER TABLE t ADD x VARCHAR(9) CHARACTER SET 'latin1'
=> +x varchar(9):latin1
B ALTER TABLE t ADD x VARCHAR(9) CHARACTER SET `latin1`
=> +x varchar(9):latin1
B ALTER TABLE t ADD x CHAR(3) CHARSET UTF8MB4 COLLATE UTF8MB4_BIN
=> +x char(3)
