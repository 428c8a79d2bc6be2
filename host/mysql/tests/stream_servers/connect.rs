//! Logging in, encryption, and what a stream says when it is not let in.

use std::path::PathBuf;

use sluicebox_mysql::{BinlogStream, ConnectOptions, Flavour, MysqlError, StreamOptions, TlsMode};

use crate::support::{Session, options_as};

fn user(session: &mut Session, name: &str, how: &str) {
    session.sql(&format!("DROP USER IF EXISTS {name}"));
    session.sql(&format!("CREATE USER {name} {how}"));
    session.sql(&format!("GRANT REPLICATION SLAVE ON *.* TO {name}"));
}

fn open(session: &Session, server_id: u32, connect: ConnectOptions) -> Result<BinlogStream, MysqlError> {
    BinlogStream::open(StreamOptions { connect, ..session.stream_options(server_id) })
}

/// The server's own authority, from the machine that it runs on.
fn authority(session: &mut Session) -> PathBuf {
    let mut found: Vec<(String, String)> = session.rows("SELECT @@datadir, @@ssl_ca");
    let (folder, file) = found.pop().expect("a row");
    PathBuf::from(folder).join(file)
}

#[test]
fn a_password_is_proven_over_tls_the_long_way_and_the_short_way() {
    let mut session = Session::new(Flavour::MySql, "stream_tls_login");
    user(&mut session, "stream_tls", "IDENTIFIED WITH caching_sha2_password BY 'pass word' REQUIRE SSL");
    for _ in 0..2 {
        let connect = options_as(Flavour::MySql, "stream_tls", "pass word", TlsMode::Required);
        open(&session, 7201, connect).expect("let in");
    }
    let plain = options_as(Flavour::MySql, "stream_tls", "pass word", TlsMode::Disabled);
    let error = open(&session, 7201, plain).expect_err("encryption is required");
    assert!(matches!(error, MysqlError::Refused { .. }), "{error}");
}

#[test]
fn a_password_is_proven_without_tls_under_the_servers_key() {
    let mut session = Session::new(Flavour::MySql, "stream_rsa_login");
    // A new account is in no cache, so the first login takes the long way.
    let password = "x".repeat(80);
    user(&mut session, "stream_rsa", &format!("IDENTIFIED WITH caching_sha2_password BY '{password}'"));
    for _ in 0..2 {
        let connect = options_as(Flavour::MySql, "stream_rsa", &password, TlsMode::Disabled);
        open(&session, 7202, connect).expect("let in");
    }
    user(&mut session, "stream_rsa", "IDENTIFIED WITH sha256_password BY 'short'");
    for mode in [TlsMode::Disabled, TlsMode::Required] {
        open(&session, 7202, options_as(Flavour::MySql, "stream_rsa", "short", mode)).expect("let in");
    }
}

#[test]
fn a_wrong_password_is_refused_with_the_servers_words() {
    for (flavour, server_id) in [(Flavour::MySql, 7203), (Flavour::MariaDb, 7204)] {
        let mut session = Session::new(flavour, "stream_wrong_password");
        user(&mut session, "stream_wrong", "IDENTIFIED BY 'right'");
        for mode in [TlsMode::Disabled, TlsMode::Required] {
            open(&session, server_id, options_as(flavour, "stream_wrong", "right", mode)).expect("let in");
            for password in ["wrong", ""] {
                match open(&session, server_id, options_as(flavour, "stream_wrong", password, mode)) {
                    Err(MysqlError::Refused { user, reason, .. }) => {
                        assert_eq!(user, "stream_wrong");
                        assert!(reason.contains("Access denied"), "{reason}");
                    }
                    other => panic!("{flavour:?} {mode:?}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn an_account_without_the_privilege_is_refused() {
    for (flavour, server_id) in [(Flavour::MySql, 7205), (Flavour::MariaDb, 7206)] {
        let mut session = Session::new(flavour, "stream_privilege");
        session.sql("DROP USER IF EXISTS stream_bare");
        session.sql("CREATE USER stream_bare IDENTIFIED BY 'p'");
        let error = open(&session, server_id, options_as(flavour, "stream_bare", "p", TlsMode::Preferred));
        let error = error.expect_err("it may not read the binlog");
        assert!(matches!(error, MysqlError::Refused { .. }), "{flavour:?}: {error}");
    }
}

#[test]
fn a_certificate_is_checked_as_far_as_the_mode_says() {
    let mut mysql = Session::new(Flavour::MySql, "stream_certificates");
    let mut mariadb = Session::new(Flavour::MariaDb, "stream_certificates");
    let (ours, other) = (authority(&mut mysql), authority(&mut mariadb));
    let try_with = |session: &Session, mode, ca: Option<&PathBuf>| {
        let mut connect = options_as(session.flavour, "root", "", mode);
        connect.tls.ca = ca.cloned();
        open(session, 7207, connect).map(|_| ())
    };
    try_with(&mysql, TlsMode::VerifyCa, Some(&ours)).expect("its own authority");
    // MySQL's own certificates name no host, so nobody can say that they are this host's.
    for (mode, ca) in [(TlsMode::VerifyIdentity, &ours), (TlsMode::VerifyCa, &other)] {
        let error = try_with(&mysql, mode, Some(ca)).expect_err("not to be trusted");
        assert!(matches!(error, MysqlError::Refused { .. }), "{mode:?}: {error}");
    }
    try_with(&mysql, TlsMode::Required, None).expect("any certificate");
    // The test servers' certificates of MariaDB name 127.0.0.1 and localhost.
    try_with(&mariadb, TlsMode::VerifyCa, Some(&other)).expect("its own authority");
    try_with(&mariadb, TlsMode::VerifyIdentity, Some(&other)).expect("its own authority and name");
}

#[test]
fn nobody_there_is_unreachable() {
    let session = Session::new(Flavour::MySql, "stream_nobody");
    let mut connect = options_as(Flavour::MySql, "root", "", TlsMode::Preferred);
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    connect.port = free.port();
    let error = open(&session, 7208, connect).expect_err("nobody listens");
    assert!(matches!(error, MysqlError::Unreachable { .. }), "{error}");
}
