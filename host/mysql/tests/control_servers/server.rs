//! The servers that the tests run against.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use sluicebox_model::{Secret, TableId, TableSchema};
use sluicebox_mysql::{ConnectOptions, Control, Flavour, Tls, TlsMode, TypeOptions};

/// Both kinds of server, for tests that hold for both.
pub const BOTH: [Flavour; 2] = [Flavour::MySql, Flavour::MariaDb];

/// How to reach the server as `user`.
pub fn options_as(flavour: Flavour, user: &str, password: &str) -> ConnectOptions {
    let variable = match flavour {
        Flavour::MySql => "SLUICEBOX_TEST_MYSQL_ADDR",
        Flavour::MariaDb => "SLUICEBOX_TEST_MARIADB_ADDR",
    };
    let address = std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run the tests with scripts/test, which starts the servers")
    });
    let (host, port) = address.rsplit_once(':').expect("host:port");
    ConnectOptions {
        host: host.to_owned(),
        port: port.parse().expect("a port"),
        user: user.to_owned(),
        password: Secret::new(password),
        tls: Tls { mode: TlsMode::Preferred, ca: None, identity: None },
        connect_timeout: Duration::from_secs(30),
        compress: None,
    }
}

/// How to reach the server as root.
pub fn options(flavour: Flavour) -> ConnectOptions {
    options_as(flavour, "root", "")
}

/// A connection for setting things up, to a database of its own that is made anew.
pub async fn fresh_database(flavour: Flavour, database: &str) -> Conn {
    let mut conn = connect(flavour).await;
    sql(&mut conn, &format!("DROP DATABASE IF EXISTS {database}")).await;
    sql(&mut conn, &format!("CREATE DATABASE {database} CHARACTER SET utf8mb4")).await;
    sql(&mut conn, &format!("USE {database}")).await;
    conn
}

/// A connection for setting things up.
pub async fn connect(flavour: Flavour) -> Conn {
    let options = options(flavour);
    let opts = OptsBuilder::default()
        .ip_or_hostname(options.host)
        .tcp_port(options.port)
        .user(Some("root"))
        .prefer_socket(false)
        .init(vec!["SET NAMES utf8mb4", "SET SESSION sql_mode=''", "SET SESSION time_zone='+00:00'"]);
    Conn::new(opts).await.expect("a connection")
}

/// Runs a statement that must succeed.
pub async fn sql(conn: &mut Conn, statement: &str) {
    if let Err(error) = conn.query_drop(statement).await {
        panic!("{error}: {statement}");
    }
}

/// The control connection.
pub async fn control(flavour: Flavour) -> Control {
    Control::connect(&options(flavour)).await.expect("a control connection")
}

/// The schema of one table as it is now.
pub async fn schema(flavour: Flavour, database: &str, table: &str) -> TableSchema {
    let mut control = control(flavour).await;
    let schemas = control.schemas(&[TableId::new(database, table)], &TypeOptions::default()).await;
    let schema = schemas.expect("schemas").pop().expect("the table");
    control.close().await;
    schema
}
