//! What keeps capture from working is found, and named with its cure.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use sluicebox_model::TableId;
use sluicebox_mysql::{Control, Finding, Flavour, MysqlError, Needs, Severity, TlsMode};

use crate::server::{BOTH, connect, fresh_database, options, options_as, sql};

const DATABASE: &str = "control_preflight";
const USER: &str = "control_preflight";
const PASSWORD: &str = "control-pass";

fn needs() -> Needs {
    Needs {
        server_id: 4_000_000_001,
        snapshot: true,
        stream: true,
        tables: vec![TableId::new(DATABASE, "t"), TableId::new(DATABASE, "old")],
        keyless: Vec::new(),
        appended: Vec::new(),
        server_time_zone: Some("+00:00".to_owned()),
        partial_rows: false,
    }
}

async fn findings(flavour: Flavour, needs: &Needs) -> Vec<Finding> {
    let options = options_as(flavour, USER, PASSWORD);
    let mut control = Control::connect(&options).await.expect("a connection");
    let found = control.preflight(needs).await.expect("findings");
    control.close().await;
    found
}

async fn checks(flavour: Flavour, needs: &Needs) -> Vec<(&'static str, Severity)> {
    findings(flavour, needs).await.into_iter().map(|f| (f.check, f.severity)).collect()
}

async fn account(conn: &mut Conn, grants: &[&str]) {
    sql(conn, &format!("DROP USER IF EXISTS {USER}")).await;
    sql(conn, &format!("CREATE USER {USER} IDENTIFIED BY '{PASSWORD}'")).await;
    for grant in grants {
        sql(conn, &format!("GRANT {grant} TO {USER}")).await;
    }
}

const ALL: [&str; 3] =
    ["SELECT ON control_preflight.*", "REPLICATION SLAVE ON *.*", "REPLICATION CLIENT ON *.*"];

/// One test, for all of it changes settings of the same servers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_missing_grant_and_each_wrong_setting_is_found() {
    for flavour in BOTH {
        let mut conn = fresh_database(flavour, DATABASE).await;
        sql(&mut conn, "CREATE TABLE t (id INT PRIMARY KEY)").await;
        sql(&mut conn, "CREATE TABLE old (id INT PRIMARY KEY)").await;
        account(&mut conn, &ALL).await;
        assert_eq!(findings(flavour, &needs()).await, [], "{flavour:?}: nothing is wrong");
        grants(flavour, &mut conn).await;
        account(&mut conn, &ALL).await;
        settings(flavour, &mut conn).await;
        tables(flavour, &mut conn).await;
    }
}

async fn grants(flavour: Flavour, conn: &mut Conn) {
    let monitor = if flavour == Flavour::MariaDb { "BINLOG MONITOR" } else { "REPLICATION CLIENT" };
    for (left_out, check, fix) in [
        (0, "select", "GRANT SELECT ON `control_preflight`.* TO 'control_preflight'@'%'".to_owned()),
        (1, "replication-slave", "GRANT REPLICATION SLAVE ON *.* TO 'control_preflight'@'%'".to_owned()),
        (2, "replication-client", format!("GRANT {monitor} ON *.* TO 'control_preflight'@'%'")),
    ] {
        let some: Vec<&str> =
            ALL.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, g)| *g).collect();
        account(conn, &some).await;
        let found = findings(flavour, &needs()).await;
        let found: Vec<_> = found.into_iter().map(|f| (f.check, f.severity, f.fix)).collect();
        assert_eq!(found, [(check, Severity::Refuse, fix)], "{flavour:?}");
    }
}

async fn settings(flavour: Flavour, conn: &mut Conn) {
    let cases = vec![
        ("binlog_format", "STATEMENT", "binlog-format", Severity::Refuse),
        ("binlog_format", "MIXED", "binlog-format", Severity::Refuse),
        ("binlog_row_image", "MINIMAL", "binlog-row-image", Severity::Refuse),
        ("binlog_row_image", "NOBLOB", "binlog-row-image", Severity::Refuse),
        ("binlog_expire_logs_seconds", "3600", "retention", Severity::Warn),
        ("time_zone", "+08:00", "time-zone", Severity::Warn),
    ];
    for (variable, value, check, severity) in cases {
        let value = if value.parse::<u64>().is_ok() { value.to_owned() } else { format!("'{value}'") };
        sql(conn, &format!("SET @before = @@GLOBAL.{variable}")).await;
        sql(conn, &format!("SET GLOBAL {variable} = {value}")).await;
        let found = checks(flavour, &needs()).await;
        sql(conn, &format!("SET GLOBAL {variable} = @before")).await;
        assert_eq!(found, [(check, severity)], "{flavour:?}: {variable}={value}");
    }
    let own: u32 = {
        let control = Control::connect(&options(flavour)).await.expect("a connection");
        control.server().server_id
    };
    let found = checks(flavour, &Needs { server_id: own, ..needs() }).await;
    assert_eq!(found, [("server-id", Severity::Refuse)], "{flavour:?}");
}

async fn tables(flavour: Flavour, conn: &mut Conn) {
    sql(conn, "ALTER TABLE old ENGINE=MyISAM").await;
    let keyless = Needs { keyless: vec![TableId::new(DATABASE, "t")], ..needs() };
    let found = checks(flavour, &keyless).await;
    assert_eq!(found, [("keyless", Severity::Warn), ("engine", Severity::Warn)], "{flavour:?}");
    locks(flavour, conn).await;
    let gone = Needs { tables: vec![TableId::new(DATABASE, "gone")], ..needs() };
    assert_eq!(checks(flavour, &gone).await, [("select", Severity::Refuse)], "{flavour:?}");
}

/// Granted on the database, on everything, or by a role, with columns that may be read one by one: it is tried, not read.
async fn locks(flavour: Flavour, conn: &mut Conn) {
    sql(conn, "ALTER TABLE old ENGINE=InnoDB").await;
    let needs =
        Needs { appended: vec![TableId::new(DATABASE, "t"), TableId::new(DATABASE, "old")], ..needs() };
    let found = findings(flavour, &needs).await;
    let found: Vec<_> = found.iter().map(|f| (f.check, f.severity, &*f.fix)).collect();
    let fix = "GRANT LOCK TABLES ON `control_preflight`.* TO 'control_preflight'@'%'";
    assert_eq!(found, [("lock-tables", Severity::Warn, fix)], "{flavour:?}");
    let on_tables = ["SELECT ON control_preflight.t", "SELECT ON control_preflight.old"];
    for (grant, select) in [
        ("LOCK TABLES ON *.*", &ALL[..1]),
        ("LOCK TABLES ON control_preflight.*", &ALL[..1]),
        ("LOCK TABLES ON control_preflight.*", &on_tables),
    ] {
        account(conn, &[&ALL[1..], select, &[grant]].concat()).await;
        assert_eq!(findings(flavour, &needs).await, [], "{flavour:?}: {grant}, {select:?}");
    }
    account(conn, &ALL).await;
}

#[tokio::test]
async fn what_a_login_meets_decides_what_happens_next() {
    for flavour in BOTH {
        let wrong = options_as(flavour, "root", "not the password");
        let error = Control::connect(&wrong).await.err().expect("a wrong password");
        assert!(matches!(error, MysqlError::Refused { .. }), "{error}");
        let mut nobody = options(flavour);
        nobody.port = 1;
        let error = Control::connect(&nobody).await.err().expect("nobody listens");
        assert!(matches!(error, MysqlError::Unreachable { .. }), "{error}");
    }
}

#[tokio::test]
async fn encryption_is_had_or_refused() {
    for flavour in BOTH {
        for (mode, encrypted) in
            [(TlsMode::Disabled, false), (TlsMode::Preferred, true), (TlsMode::Required, true)]
        {
            let mut options = options(flavour);
            options.tls.mode = mode;
            let mut control = Control::connect(&options).await.expect("a connection");
            assert_eq!(control.is_encrypted().await.expect("an answer"), encrypted, "{flavour:?} {mode:?}");
        }
        for mode in [TlsMode::VerifyCa, TlsMode::VerifyIdentity] {
            let mut unknown = options(flavour);
            unknown.tls.mode = mode;
            let error = Control::connect(&unknown).await.err().expect("a certificate of nobody known");
            assert!(matches!(error, MysqlError::Refused { .. }), "{flavour:?} {mode:?}: {error}");
        }
    }
}

/// The certificate of the server's authority. The servers run on this machine.
async fn authority(flavour: Flavour) -> std::path::PathBuf {
    let mut conn = connect(flavour).await;
    let path = if flavour == Flavour::MySql { "CONCAT(@@datadir, 'ca.pem')" } else { "@@ssl_ca" };
    let path: Option<String> = conn.query_first(format!("SELECT {path}")).await.expect("an answer");
    path.expect("the server has TLS").into()
}

#[tokio::test]
async fn a_trusted_authority_is_enough_and_a_name_is_checked_where_it_is_demanded() {
    for flavour in BOTH {
        let mut trusting = options(flavour);
        trusting.tls.ca = Some(authority(flavour).await);
        trusting.tls.mode = TlsMode::VerifyCa;
        let mut control = Control::connect(&trusting).await.expect("a connection");
        assert!(control.is_encrypted().await.expect("an answer"), "{flavour:?}");
        // Results of many packets pass the bridge whole.
        control.tables().await.expect("tables");
        control.close().await;
        trusting.tls.mode = TlsMode::VerifyIdentity;
        match (flavour, Control::connect(&trusting).await) {
            (Flavour::MariaDb, named) => {
                let mut control = named.expect("a connection");
                assert!(control.is_encrypted().await.expect("an answer"));
            }
            // MySQL's own certificates have no names.
            (Flavour::MySql, nameless) => {
                let error = nameless.err().expect("no name");
                assert!(matches!(error, MysqlError::Refused { .. }), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_bridged_login_passes_passwords_of_every_kind() {
    let (flavour, user) = (Flavour::MySql, "control_bridge");
    let mut conn = connect(flavour).await;
    sql(&mut conn, &format!("DROP USER IF EXISTS {user}")).await;
    // A new account's password is not in the server's cache: the first login takes the long way, the second the short.
    sql(&mut conn, &format!("CREATE USER {user} IDENTIFIED WITH caching_sha2_password BY '{PASSWORD}'"))
        .await;
    let ca = authority(flavour).await;
    for (password, accepted) in [(PASSWORD, true), (PASSWORD, true), ("wrong", false)] {
        let mut options = options_as(flavour, user, password);
        options.tls.mode = TlsMode::VerifyCa;
        options.tls.ca = Some(ca.clone());
        match Control::connect(&options).await {
            Ok(control) => {
                assert!(accepted, "a wrong password");
                control.close().await;
            }
            Err(error) => assert!(!accepted && matches!(error, MysqlError::Refused { .. }), "{error}"),
        }
    }
}

/// The driver does not know this plugin: each mode has its own way of proving the password under it.
#[tokio::test]
async fn a_password_is_proven_by_sha256() {
    let (flavour, user) = (Flavour::MySql, "control_sha256");
    let mut conn = connect(flavour).await;
    let ca = authority(flavour).await;
    for (mode, encrypted) in [
        (TlsMode::Disabled, false),
        (TlsMode::Preferred, true),
        (TlsMode::Required, true),
        (TlsMode::VerifyCa, true),
    ] {
        for password in [PASSWORD, ""] {
            sql(&mut conn, &format!("DROP USER IF EXISTS {user}")).await;
            sql(&mut conn, &format!("CREATE USER {user} IDENTIFIED WITH sha256_password BY '{password}'"))
                .await;
            let mut options = options_as(flavour, user, password);
            options.tls.mode = mode;
            options.tls.ca = Some(ca.clone());
            let mut control = Control::connect(&options).await.expect("a connection");
            assert_eq!(control.is_encrypted().await.expect("an answer"), encrypted, "{mode:?}");
            // More than one packet each way passes.
            control.tables().await.expect("tables");
            control.close().await;
            options.password = sluicebox_model::Secret::new("wrong");
            let error = Control::connect(&options).await.err().expect("a wrong password");
            assert!(matches!(error, MysqlError::Refused { .. }), "{mode:?}: {error}");
        }
    }
}

#[tokio::test]
async fn positions_say_what_is_still_there() {
    for flavour in BOTH {
        let mut conn = fresh_database(flavour, "control_positions").await;
        sql(&mut conn, "CREATE TABLE t (id INT PRIMARY KEY)").await;
        let mut control = Control::connect(&options(flavour)).await.expect("a connection");
        let earliest = control.earliest().await.expect("a position");
        let end = control.position().await.expect("a position");
        assert!(end.includes(&earliest), "{end} and {earliest}");
        for position in [&earliest, &end] {
            assert_eq!(
                control.gone_behind(position).await.expect("an answer"),
                None,
                "{flavour:?} {position}"
            );
        }
        let by_file = sluicebox_model::Position { gtids: sluicebox_model::Gtids::None, ..end.clone() };
        assert_eq!(control.gone_behind(&by_file).await.expect("an answer"), None);
        let gone = sluicebox_model::Position { file: "nothing.000001".to_owned(), ..by_file };
        let words = control.gone_behind(&gone).await.expect("an answer").expect("words");
        assert!(words.contains("has deleted that file"), "{words}");
        sql(&mut conn, "INSERT INTO t VALUES (1)").await;
        let later = control.position().await.expect("a position");
        assert!(later.includes(&end) && !end.includes(&later), "{flavour:?}: {end} then {later}");
    }
}
