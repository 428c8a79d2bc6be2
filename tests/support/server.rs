//! MySQL and MariaDB servers: the ones shared by all tests, and private ones that a test may kill.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};

use super::{Rows, setting, wait};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    MySql,
    MariaDb,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::MySql, Self::MariaDb];

    /// The name that `scripts/servers` knows it by.
    fn word(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }
}

/// A running server. Root has no password; `cdc` / `cdc-pass` is the account of a pipeline.
pub struct Server {
    kind: Kind,
    /// The name that `scripts/servers` knows it by.
    word: String,
    host: String,
    port: u16,
    /// Of a private server: everything it has.
    folder: Option<tempfile::TempDir>,
}

impl Server {
    pub const USER: &'static str = "cdc";
    pub const PASSWORD: &'static str = "cdc-pass";

    /// The server that all tests share: work only in a [`Database`] of your own, and change no global setting.
    #[track_caller]
    pub fn shared(kind: Kind) -> Self {
        let name = match kind {
            Kind::MySql => "SLUICEBOX_TEST_MYSQL_ADDR",
            Kind::MariaDb => "SLUICEBOX_TEST_MARIADB_ADDR",
        };
        let address = setting(name);
        let (host, port) = address.rsplit_once(':').unwrap_or_else(|| panic!("{name} is not host:port"));
        let port = port.parse().unwrap_or_else(|_| panic!("{name} has no port number"));
        Self { kind, word: kind.word().to_owned(), host: host.to_owned(), port, folder: None }
    }

    /// A server of this test alone, with more server options, for instance `--gtid-mode=OFF`. It ends with the value.
    #[track_caller]
    pub fn private(kind: Kind, options: &[&str]) -> Self {
        Self::private_of(kind.word(), options)
    }

    /// The same of a certain generation, by the name that `scripts/servers` knows it by.
    #[track_caller]
    pub fn private_of(word: &str, options: &[&str]) -> Self {
        let kind = if word.starts_with("mariadb") { Kind::MariaDb } else { Kind::MySql };
        let folder =
            tempfile::Builder::new().prefix("sluicebox-server.").tempdir().expect("a temporary folder");
        let (word, host) = (word.to_owned(), "127.0.0.1".to_owned());
        let mut server = Self { kind, word, host, port: 0, folder: Some(folder) };
        let arguments: Vec<&str> = std::iter::once("--").chain(options.iter().copied()).collect();
        server.script("start", &arguments);
        let port = std::fs::read_to_string(server.folder().join("port")).expect("the port that was chosen");
        server.port = port.trim().parse().expect("a port number");
        server
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills a private server, as a crash would.
    #[track_caller]
    pub fn kill(&self) {
        self.script("stop", &["--kill"]);
    }

    /// Stops a private server in good order.
    #[track_caller]
    pub fn stop(&self) {
        self.script("stop", &[]);
    }

    /// Starts a private server that was stopped or killed, or restarts one that runs: same port, data and options.
    #[track_caller]
    pub fn restart(&self) {
        self.script("restart", &[]);
    }

    /// Restarts a private server with other options in place of those it had.
    #[track_caller]
    pub fn restart_with(&self, options: &[&str]) {
        let arguments: Vec<&str> = std::iter::once("--").chain(options.iter().copied()).collect();
        self.script("restart", &arguments);
    }

    /// A database with a name of its own, dropped with the value.
    #[track_caller]
    pub fn database(&self) -> Database<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!("CREATE DATABASE {name} DEFAULT CHARACTER SET utf8mb4"));
        Database { server: self, name }
    }

    /// Makes this private server follow another one of its kind from here on, with what that has.
    #[track_caller]
    pub fn follow(&self, first: &Self) {
        let (host, port, user, password) = (first.host(), first.port(), Self::USER, Self::PASSWORD);
        let asked = match self.kind {
            Kind::MySql => "SELECT @@GLOBAL.gtid_executed",
            Kind::MariaDb => "SELECT @@GLOBAL.gtid_binlog_pos",
        };
        let seen = first.rows(asked)[0][0].clone().unwrap_or_default().replace('\n', "");
        self.sql(&match self.kind {
            Kind::MySql => format!(
                "RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged = '{seen}';
                 CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{host}', SOURCE_PORT = {port}, SOURCE_USER = '{user}',
                 SOURCE_PASSWORD = '{password}', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1; START REPLICA"
            ),
            Kind::MariaDb => format!(
                "RESET MASTER; SET GLOBAL gtid_slave_pos = '{seen}';
                 CHANGE MASTER TO MASTER_HOST = '{host}', MASTER_PORT = {port}, MASTER_USER = '{user}',
                 MASTER_PASSWORD = '{password}', MASTER_USE_GTID = slave_pos; START SLAVE"
            ),
        });
    }

    /// A database of the server that this one follows, as this one has it.
    pub fn replicated(&self, database: &Database<'_>) -> Database<'_> {
        Database { server: self, name: database.name.clone() }
    }

    /// A connection of its own, for transactions and session variables.
    #[track_caller]
    pub fn session(&self) -> Session {
        let options = self.options(None);
        Session { connection: Some(wait(Conn::new(options)).expect("a connection as root")) }
    }

    /// Runs statements, separated by `;`, as root.
    #[track_caller]
    pub fn sql(&self, statements: &str) {
        self.session().sql(statements);
    }

    /// The rows of a query, as text.
    #[track_caller]
    pub fn rows(&self, query: &str) -> Rows {
        self.session().rows(query)
    }

    /// How far it is behind the server that it follows, in seconds; none when it does not get on. `asked`: the statement for it.
    #[track_caller]
    pub fn seconds_behind(&self, asked: &str) -> Option<u64> {
        let mut session = self.session();
        let connection = session.connection.as_mut().expect("open until dropped");
        let row: Row = wait(connection.query_first(asked)).expect("an answer").expect("it follows a server");
        let names = ["Seconds_Behind_Source", "Seconds_Behind_Master"];
        names.into_iter().find_map(|name| row.get::<Option<u64>, _>(name)).flatten()
    }

    fn options(&self, database: Option<&str>) -> Opts {
        OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(Some("root"))
            .db_name(database)
            .prefer_socket(false)
            .into()
    }

    /// Where a private server has its `data/`, `log`, `pid` and `port`.
    #[track_caller]
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("only a private server may be started and stopped").path()
    }

    #[track_caller]
    fn script(&self, verb: &str, arguments: &[&str]) {
        let output = Command::new(setting("SLUICEBOX_TEST_SERVERS"))
            .args([verb, &self.word])
            .arg(self.folder())
            .args(arguments)
            .output()
            .expect("scripts/servers");
        assert!(output.status.success(), "servers {verb}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let (Some(folder), Ok(script)) = (&self.folder, std::env::var("SLUICEBOX_TEST_SERVERS")) {
            let _ = Command::new(script).args(["stop", &self.word]).arg(folder.path()).arg("--kill").output();
        }
    }
}

/// A database of one test.
pub struct Database<'a> {
    server: &'a Server,
    name: String,
}

impl Database<'_> {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn server(&self) -> &Server {
        self.server
    }

    /// A connection whose default database is this one.
    #[track_caller]
    pub fn session(&self) -> Session {
        let options = self.server.options(Some(&self.name));
        Session { connection: Some(wait(Conn::new(options)).expect("a connection as root")) }
    }

    /// Runs statements, separated by `;`, in this database.
    #[track_caller]
    pub fn sql(&self, statements: &str) {
        self.session().sql(statements);
    }

    /// The rows of a query, as text.
    #[track_caller]
    pub fn rows(&self, query: &str) -> Rows {
        self.session().rows(query)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // A private server may be down by now, and takes its databases with it. What a failed test left prepared keeps its locks.
        let _ = wait(async {
            let mut connection = Conn::new(self.server.options(None)).await?;
            connection.query_drop("SET SESSION lock_wait_timeout = 5").await?;
            connection.query_drop(format!("DROP DATABASE IF EXISTS {}", self.name)).await?;
            connection.disconnect().await
        });
    }
}

/// One connection as root.
pub struct Session {
    connection: Option<Conn>,
}

impl Session {
    /// Runs statements, separated by `;`.
    #[track_caller]
    pub fn sql(&mut self, statements: &str) {
        if let Err(error) = self.try_sql(statements) {
            panic!("{error}\nin: {statements}");
        }
    }

    /// The same, for statements that may fail, as they do while a server is down.
    pub fn try_sql(&mut self, statements: &str) -> Result<(), mysql_async::Error> {
        let connection = self.connection.as_mut().expect("open until dropped");
        // Every result is read: a statement that fails behind others is told too.
        wait(connection.query_drop(statements))
    }

    /// The rows of a query, as text.
    #[track_caller]
    pub fn rows(&mut self, query: &str) -> Rows {
        let connection = self.connection.as_mut().expect("open until dropped");
        let rows: Vec<Row> =
            wait(connection.query(query)).unwrap_or_else(|error| panic!("{error}\nin: {query}"));
        rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = wait(connection.disconnect());
        }
    }
}

/// The text protocol sends every value but NULL as bytes. Those that are no text are shown in hexadecimal.
fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => error.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect(),
        }),
        other => panic!("the text protocol sent {other:?}"),
    }
}
