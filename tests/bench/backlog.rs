//! What there is to read: inserts and updates in bulk, between two positions of one server.

use super::support::Database;

/// A place in the binlog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub offset: u64,
    /// What was committed before it.
    pub gtids: String,
}

/// A binlog from `start` to `end`.
pub struct Backlog {
    pub start: Place,
    pub end: Place,
    pub rows: u64,
    pub transactions: u64,
    bytes: u64,
}

/// Rows of one statement and transaction: what a nightly job writes at once.
const STATEMENT_ROWS: u64 = 10_000;

/// The columns: two BIGINT, a DECIMAL, an INT, four texts of 4 to 25 bytes, two DATETIME.
const TABLE: &str = "CREATE TABLE orders (
    id BIGINT NOT NULL PRIMARY KEY, order_no VARCHAR(32) NOT NULL, customer_id BIGINT NOT NULL, email VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL, amount DECIMAL(12,2) NOT NULL, quantity INT NOT NULL, created DATETIME NOT NULL,
    note VARCHAR(64) NOT NULL, coupon DATETIME NOT NULL)";

/// One row in five is filtered for its quantity.
const ROW: &str = "{first} + n, CONCAT('ORD-', 1000000000 + {first} + n), ({first} + n) * 7919 % 100003,
    CONCAT('user', ({first} + n) % 100003, '@example.org'), ELT(1 + n % 3, 'OPEN', 'PAID', 'SENT'),
    ({first} + n) % 1000000 / 100, 1 + n % 10, '2024-05-06 07:08:09' + INTERVAL n SECOND,
    CONCAT('leave at door ', n % 1000), '2025-01-01 00:00:00' + INTERVAL n MINUTE";

impl Backlog {
    /// Half of the rows are inserts, half updates of them; one update in seven cancels its order.
    pub fn fill(source: &Database<'_>, rows: u64) -> Self {
        let statements = rows.div_ceil(2 * STATEMENT_ROWS);
        tables(source);
        let start = place(source);
        let mut session = source.session();
        for statement in 0..statements {
            let row = ROW.replace("{first}", &(statement * STATEMENT_ROWS).to_string());
            session.sql(&format!("INSERT INTO orders SELECT {row} FROM numbers"));
        }
        for statement in 0..statements {
            let first = statement * STATEMENT_ROWS;
            session.sql(&format!(
                "UPDATE orders SET status = IF(id % 7 = 0, 'CANCELLED', 'CLOSED'), amount = amount + 1.25, note = CONCAT('changed ', id % 1000) \
                 WHERE id BETWEEN {first} AND {}",
                first + STATEMENT_ROWS - 1
            ));
        }
        Self::end(source, start, 2 * statements * STATEMENT_ROWS, 2 * statements)
    }

    /// As many transactions of one inserted row each.
    pub fn fill_single(source: &Database<'_>, rows: u64) -> Self {
        tables(source);
        let start = place(source);
        let row = ROW.replace("{first}", "0");
        let mut session = source.session();
        session.sql(&format!(
            "CREATE PROCEDURE fill() BEGIN DECLARE n INT DEFAULT 0; \
             WHILE n < {rows} DO INSERT INTO orders SELECT {row}; SET n = n + 1; END WHILE; END"
        ));
        session.sql("CALL fill()");
        Self::end(source, start, rows, rows)
    }

    fn end(source: &Database<'_>, start: Place, rows: u64, transactions: u64) -> Self {
        let end = place(source);
        let bytes = bytes_between(source, &start, &end);
        // Behind the end, for a reader that cannot be told where to stop.
        source.sql("INSERT INTO done VALUES (1)");
        Self { start, end, rows, transactions, bytes }
    }

    /// Bytes of binlog between the two places.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Makes the tables, and begins a file of the binlog.
fn tables(source: &Database<'_>) {
    let digits = "(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";
    source.sql(TABLE);
    source.sql("CREATE TABLE done (id INT PRIMARY KEY)");
    source.sql(&format!(
        "CREATE TABLE numbers (n INT PRIMARY KEY);
         INSERT INTO numbers SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d FROM {digits} a, {digits} b, {digits} c, {digits} e"
    ));
    source.sql("FLUSH BINARY LOGS");
}

fn place(source: &Database<'_>) -> Place {
    let rows = source.rows("SHOW BINARY LOG STATUS");
    let text = |at: usize| rows[0][at].clone().expect("a place of the binlog");
    let gtids =
        source.rows("SELECT @@GLOBAL.gtid_executed")[0][0].clone().unwrap_or_default().replace('\n', "");
    Place { file: text(0), offset: text(1).parse().expect("an offset"), gtids }
}

fn bytes_between(source: &Database<'_>, start: &Place, end: &Place) -> u64 {
    let size = |row: &Vec<Option<String>>| -> (String, u64) {
        let text = |at: usize| row[at].clone().expect("a file of the binlog");
        (text(0), text(1).parse().expect("a size"))
    };
    let files = source.rows("SHOW BINARY LOGS");
    let between = files.iter().map(size).filter(|(name, _)| *name >= start.file && *name < end.file);
    between.map(|(_, size)| size).sum::<u64>() + end.offset - start.offset
}
