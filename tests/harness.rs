//! The servers that the other scenarios build upon do what those take for granted.

use crate::support::{Kind, Server, eventually};

#[test]
fn both_servers_write_row_events_and_gtids() {
    for kind in Kind::ALL {
        let server = Server::shared(kind);
        let format = server.rows("SELECT @@log_bin, @@binlog_format, @@binlog_row_image");
        assert_eq!(format, [["1", "ROW", "FULL"].map(|text| Some(text.to_owned())).to_vec()], "{kind:?}");
        let gtids = match kind {
            Kind::MySql => "SELECT @@gtid_mode = 'ON'",
            Kind::MariaDb => "SELECT @@gtid_domain_id = 0",
        };
        assert_eq!(server.rows(gtids), [[Some("1".to_owned())].to_vec()], "{kind:?}");
    }
}

#[test]
fn the_pipeline_account_has_what_capture_needs_and_no_more() {
    for kind in Kind::ALL {
        let grants = Server::shared(kind).rows("SHOW GRANTS FOR cdc@'%'");
        let grant = grants[0][0].clone().unwrap_or_default();
        // MariaDB 10.5 gave REPLICATION CLIENT a new name.
        let position = if kind == Kind::MySql { "REPLICATION CLIENT" } else { "BINLOG MONITOR" };
        let want = format!("GRANT SELECT, REPLICATION SLAVE, {position} ON *.* TO ");
        assert!(grant.starts_with(&want) && grants.len() == 1, "{kind:?}: {grants:?}");
    }
}

#[test]
fn a_private_server_keeps_its_rows_port_and_options_through_a_crash() {
    for kind in Kind::ALL {
        let server = Server::private(kind, &["--binlog-row-metadata=FULL"]);
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(9)); INSERT INTO d.t VALUES (1, NULL)");
        let mut session = server.session();
        server.kill();
        eventually("the connection notices the crash", || match session.try_sql("SELECT 1") {
            Ok(()) => Err("it still answers".to_owned()),
            Err(_) => Ok(()),
        });
        server.restart();
        assert_eq!(server.rows("SELECT * FROM d.t"), [[Some("1".to_owned()), None].to_vec()], "{kind:?}");
        assert_eq!(
            server.rows("SELECT @@binlog_row_metadata"),
            [[Some("FULL".to_owned())].to_vec()],
            "{kind:?}"
        );
    }
}
