//! Whether capture can work, found out before it starts.
//!
//! Each check answers with findings, never with guesses: what the server's variables say is judged by pure functions, and what
//! they cannot say (privileges, which roles may grant) is tried for real. A check that cannot be made because the account may
//! not ask is a finding itself. Any session with the right privilege can change some of these settings for itself
//! later; the stream watches for that.

mod appended;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sluicebox_model::{Position, TableId};

use crate::client::quote;
use crate::control::Control;
use crate::error::MysqlError;
use crate::options::{ConnectOptions, Flavour, ServerInfo};
use crate::snapshot::Watermark;
use crate::wire::{Connection, DumpStart, Stop};
use appended::{check_locks, check_marks, judge_keyless};

/// What a pipeline is going to do.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// Our server id.
    pub server_id: u32,
    /// Tables are going to be read.
    pub snapshot: bool,
    /// The binlog is going to be read.
    pub stream: bool,
    /// All captured tables.
    pub tables: Vec<TableId>,
    /// Those without a key.
    pub keyless: Vec<TableId>,
    /// Those whose rows are appended at the sink: without a key, or losing it on their way.
    pub appended: Vec<TableId>,
    /// The `server-time-zone` option: `UTC`, `+08:00`, or a zone's name.
    pub server_time_zone: Option<String>,
    /// Rows that lack columns find a place that takes them.
    pub partial_rows: bool,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Capture cannot work, or would lose something.
    Refuse,
    /// Capture can live with it.
    Warn,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at, e.g. `binlog-format`.
    pub check: &'static str,
    /// What was found.
    pub found: String,
    /// The grant or the setting that cures it.
    pub fix: String,
}

/// Binlogs kept for less than this cannot outlast a weekend's outage, or a day's.
const SHORT_RETENTION_S: f64 = 86_400.0;
/// Tables named in one finding; more are counted.
const MOST_NAMED: usize = 10;
/// Half an hour: zones differ by quarters of an hour at least, and clocks by seconds.
const ZONE_TOLERANCE_MINUTES: i32 = 30;
/// Heartbeat of the attempt to read the binlog; nothing is waited for.
const PROBE_HEARTBEAT: Duration = Duration::from_secs(10);

/// The account as `GRANT` writes it; the host part is not known here.
pub(crate) fn account(user: &str) -> String {
    format!("'{}'@'%'", user.replace('\'', "''"))
}

/// The server's variables by lower-case name; those that it does not know are missing.
type Variables = BTreeMap<String, String>;

/// Runs all checks that `needs` calls for.
pub(crate) async fn run(control: &mut Control, needs: &Needs) -> Result<Vec<Finding>, MysqlError> {
    let variables = read_variables(control).await?;
    let mut findings = Vec::new();
    if needs.stream || needs.snapshot {
        // Snapshots are joined to the stream at a place of the binlog, so both need it.
        findings.extend(judge_variables(&control.server, needs, &variables));
        findings.extend(check_status(control, needs).await?);
        findings.extend(check_replica(control, &variables).await?);
    }
    // Without a binlog the server refuses every attempt to read it, and one finding says all.
    let has_binlog = !findings.iter().any(|finding| finding.check == "binlog");
    if needs.stream && has_binlog {
        findings.extend(check_replication(control, needs).await?);
        findings.extend(check_readers(control, needs).await?);
    }
    if needs.snapshot {
        match control.watermark().await? {
            Ok(Watermark::MySqlLock) => findings.extend(check_marks(control, needs).await?),
            Ok(_) => {}
            Err(finding) => findings.push(finding),
        }
        findings.extend(check_select(control, needs).await?);
        findings.extend(judge_keyless(needs));
        findings.extend(check_locks(control, needs).await?);
    }
    findings.extend(check_engines(control, needs).await?);
    findings.extend(check_zone(control, needs).await?);
    Ok(findings)
}

async fn read_variables(control: &mut Control) -> Result<Variables, MysqlError> {
    const NAMES: &str = "'log_bin', 'binlog_format', 'binlog_row_image', 'binlog_row_value_options', 'gtid_mode', \
                         'enforce_gtid_consistency', 'binlog_expire_logs_seconds', 'expire_logs_days', \
                         'log_slave_updates', 'log_replica_updates', 'server_id'";
    let statement = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({NAMES})");
    let rows: Vec<(String, String)> =
        control.client.rows(&statement, "reading the server's variables").await?;
    Ok(rows.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect())
}

fn refuse(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { severity: Severity::Refuse, check, found: found.into(), fix: fix.into() }
}

fn warn(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { severity: Severity::Warn, check, found: found.into(), fix: fix.into() }
}

/// What the variables say.
fn judge_variables(server: &ServerInfo, needs: &Needs, variables: &Variables) -> Vec<Finding> {
    let value = |name: &str| variables.get(name).map(String::as_str);
    let is_on = |name: &str| value(name).is_some_and(|v| v.eq_ignore_ascii_case("ON") || v == "1");
    let mut findings = Vec::new();
    if !is_on("log_bin") {
        findings.push(refuse(
            "binlog",
            "log_bin is OFF",
            "set log_bin=binlog in my.cnf and restart the server",
        ));
        return findings;
    }
    if let Some(format) = value("binlog_format").filter(|v| !v.eq_ignore_ascii_case("ROW")) {
        findings.push(refuse(
            "binlog-format",
            format!("binlog_format is {format}"),
            "SET GLOBAL binlog_format=ROW, set it in my.cnf too, and let all sessions connect anew",
        ));
    }
    if let Some(image) = value("binlog_row_image").filter(|v| !v.eq_ignore_ascii_case("FULL")) {
        findings.push(judge_image(needs, image));
    }
    let is_minimal = value("binlog_row_image").is_some_and(|image| image.eq_ignore_ascii_case("MINIMAL"));
    if let Some(options) = value("binlog_row_value_options").filter(|v| !v.is_empty() && is_minimal) {
        findings.push(refuse(
            "partial-json",
            format!(
                "binlog_row_value_options is {options}, and binlog_row_image is MINIMAL: updated JSON columns come as differences \
                 to documents that do not come"
            ),
            "SET GLOBAL binlog_row_value_options='' or binlog_row_image=FULL, set it in my.cnf too, and let all sessions connect anew",
        ));
    }
    if server.flavour == Flavour::MySql && !server.has_gtids {
        findings.push(warn(
            "gtid-mode",
            format!(
                "gtid_mode is {}: after a failover the stream cannot go on",
                value("gtid_mode").unwrap_or("unknown")
            ),
            "set gtid_mode=ON and enforce_gtid_consistency=ON in my.cnf",
        ));
    }
    findings.extend(judge_retention(variables));
    findings.extend(judge_server_id(server, needs));
    findings
}

fn judge_image(needs: &Needs, image: &str) -> Finding {
    let check = "binlog-row-image";
    if image.eq_ignore_ascii_case("FULL_NODUP") {
        let found = "binlog_row_image is FULL_NODUP: updates of tables with generated columns come without those and stop the pipeline";
        return warn(check, found, "SET GLOBAL binlog_row_image=FULL where there are such tables");
    }
    let found = format!("binlog_row_image is {image}: rows come without some of their columns");
    if needs.partial_rows {
        let fix = "see the documentation for what stops the pipeline then; SET GLOBAL binlog_row_image=FULL for rows that are always whole";
        return warn(check, found, fix);
    }
    let fix = "SET GLOBAL binlog_row_image=FULL, set it in my.cnf too, and let all sessions connect anew; or set \
               `sink.partial-update.enabled: true`, with Delta tables that are made for it";
    refuse(check, found, fix)
}

/// Where both variables are there, the seconds count unless they are 0.
fn kept_seconds(variables: &Variables) -> Option<f64> {
    let number = |name: &str| variables.get(name).and_then(|v| v.parse::<f64>().ok());
    let seconds = number("binlog_expire_logs_seconds").filter(|s| *s > 0.0);
    let days = number("expire_logs_days").filter(|d| *d > 0.0);
    seconds.or(days.map(|d| d * 86_400.0))
}

/// How long the server keeps its binlog; none: for ever.
pub(crate) async fn retention(control: &mut Control) -> Result<Option<Duration>, MysqlError> {
    let variables = read_variables(control).await?;
    Ok(kept_seconds(&variables).and_then(|s| Duration::try_from_secs_f64(s).ok()))
}

fn judge_retention(variables: &Variables) -> Option<Finding> {
    let kept = kept_seconds(variables)?;
    (kept < SHORT_RETENTION_S).then(|| {
        warn(
            "retention",
            format!("the server keeps its binlog for {kept:.0} s: after a longer outage a new snapshot is needed"),
            "SET GLOBAL binlog_expire_logs_seconds=604800 (older servers: expire_logs_days=7), and set it in my.cnf too",
        )
    })
}

fn judge_server_id(server: &ServerInfo, needs: &Needs) -> Option<Finding> {
    if server.server_id == 0 {
        return Some(refuse(
            "server-id",
            "the server's server_id is 0",
            "set server_id in my.cnf to another number",
        ));
    }
    (needs.stream && needs.server_id == server.server_id).then(|| {
        refuse(
            "server-id",
            format!("our server id {} is the server's own", needs.server_id),
            "give the pipeline another `server-id`, one that no server and no replica has",
        )
    })
}

/// Reads the binlog's end: shows whether the account may, and which databases are filtered.
async fn check_status(control: &mut Control, needs: &Needs) -> Result<Option<Finding>, MysqlError> {
    let rows = match control.status_rows().await {
        Ok(rows) => rows,
        Err(MysqlError::Refused { reason, .. }) => return Ok(Some(missing_client(control, &reason))),
        Err(error) => return Err(error),
    };
    let Some(row) = rows.first() else { return Ok(None) };
    let list = |name: &str| row.get_opt::<String, _>(name).and_then(Result::ok).unwrap_or_default();
    Ok(judge_filters(needs, &list("Binlog_Do_DB"), &list("Binlog_Ignore_DB")))
}

fn missing_client(control: &Control, reason: &str) -> Finding {
    let (privilege, user) = match control.server.flavour {
        Flavour::MariaDb if control.server.version >= (10, 5, 0) => {
            ("BINLOG MONITOR", account(&control.options.user))
        }
        Flavour::MySql | Flavour::MariaDb => ("REPLICATION CLIENT", account(&control.options.user)),
    };
    refuse(
        "replication-client",
        format!("the account may not ask where the binlog stands: {reason}"),
        format!("GRANT {privilege} ON *.* TO {user}"),
    )
}

/// Captured databases that the server leaves out of its binlog.
fn judge_filters(needs: &Needs, only: &str, ignored: &str) -> Option<Finding> {
    let names = |list: &str| {
        list.split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect::<BTreeSet<_>>()
    };
    let (only, ignored) = (names(only), names(ignored));
    let databases: BTreeSet<&str> = needs.tables.iter().map(|id| &*id.database).collect();
    let missing: Vec<&str> = databases
        .into_iter()
        .filter(|d| ignored.contains(*d) || (!only.is_empty() && !only.contains(*d)))
        .collect();
    (!missing.is_empty()).then(|| {
        refuse(
            "binlog-filter",
            format!("the server leaves these databases out of its binlog: {}", missing.join(", ")),
            "take them out of binlog_ignore_db, or add them to binlog_do_db, in my.cnf and restart the server",
        )
    })
}

/// A replica that keeps what it receives out of its own binlog. Off is the default of MariaDB and old MySQL, and right where
/// the server is nobody's replica; who may not ask whether it is one is told nothing.
async fn check_replica(control: &mut Control, variables: &Variables) -> Result<Option<Finding>, MysqlError> {
    let setting = variables.get("log_replica_updates").or(variables.get("log_slave_updates"));
    if !setting.is_some_and(|value| value.eq_ignore_ascii_case("OFF")) {
        return Ok(None);
    }
    let statement = match control.server.flavour {
        Flavour::MariaDb => "SELECT 1 FROM (SELECT @@GLOBAL.gtid_slave_pos AS seen) AS q WHERE seen <> ''",
        Flavour::MySql if control.server.version >= (8, 0, 22) => "SHOW REPLICA STATUS",
        Flavour::MySql => "SHOW SLAVE STATUS",
    };
    match control.client.rows::<mysql_async::Row>(statement, "asking whether the server is a replica").await {
        Ok(rows) if rows.is_empty() => Ok(None),
        Ok(_) => Ok(Some(warn(
            "replica-updates",
            "the server is a replica and keeps what it receives out of its own binlog",
            "set log_replica_updates=ON (before MySQL 8.0.26 and on MariaDB: log_slave_updates=ON) in my.cnf and \
             restart, or capture from its source",
        ))),
        Err(MysqlError::Refused { .. } | MysqlError::Statement { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tries to read the binlog, under a server id of the attempt's own so that a running reader is not thrown out.
async fn check_replication(control: &Control, needs: &Needs) -> Result<Option<Finding>, MysqlError> {
    let (options, server) = (control.options.clone(), control.server.clone());
    let probe_id = probe_id(needs.server_id, server.server_id);
    let tried = tokio::task::spawn_blocking(move || try_dump(&options, &server, probe_id)).await;
    let reason = match tried {
        Ok(Ok(())) => return Ok(None),
        // Another pipeline was being started in the same moment: the server would not have told without the right to read.
        Ok(Err(MysqlError::ServerIdTaken { .. })) => return Ok(None),
        Ok(Err(MysqlError::Refused { reason, .. })) => reason,
        Ok(Err(MysqlError::Statement { code: 1045 | 1227, reason, .. })) => reason,
        Ok(Err(error)) => return Err(error),
        Err(_) => "the attempt ended early".to_owned(),
    };
    let user = account(&control.options.user);
    Ok(Some(refuse(
        "replication-slave",
        format!("the account may not read the binlog: {reason}"),
        format!("GRANT REPLICATION SLAVE ON *.* TO {user}"),
    )))
}

/// A server id that is neither ours nor the server's; the highest ones are the least likely to be anybody's.
fn probe_id(ours: u32, theirs: u32) -> u32 {
    (0..).map(|n| u32::MAX - n).find(|id| *id != ours && *id != theirs).unwrap_or(u32::MAX)
}

/// Opens a dump of the oldest file and reads its first packet.
fn try_dump(options: &ConnectOptions, server: &ServerInfo, server_id: u32) -> Result<(), MysqlError> {
    let start = DumpStart::File { name: "", offset: 4 };
    let connection = Connection::open(options, &Stop::default())?;
    let mut dump = connection.dump(server, server_id, PROBE_HEARTBEAT, start, &Position::default())?;
    dump.next().map(|_| ())
}

/// Whether another reader has our server id. Who may not ask is told nothing: the stream finds out when it starts.
async fn check_readers(control: &mut Control, needs: &Needs) -> Result<Option<Finding>, MysqlError> {
    let renamed = match control.server.flavour {
        Flavour::MySql => control.server.version >= (8, 0, 22),
        Flavour::MariaDb => control.server.version >= (10, 5, 1),
    };
    let statement = match (renamed, control.server.flavour) {
        (true, Flavour::MySql) => "SHOW REPLICAS",
        (true, Flavour::MariaDb) => "SHOW REPLICA HOSTS",
        (false, _) => "SHOW SLAVE HOSTS",
    };
    let rows: Vec<mysql_async::Row> =
        match control.client.rows(statement, "listing the readers of the binlog").await {
            Ok(rows) => rows,
            Err(MysqlError::Refused { .. } | MysqlError::Statement { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
    let taken = rows.iter().any(|row| row.get_opt::<u32, _>(0).and_then(Result::ok) == Some(needs.server_id));
    Ok(taken.then(|| {
        warn(
            "server-id-taken",
            format!(
                "a reader with server id {} is connected: this pipeline already runs, or the id is taken",
                needs.server_id
            ),
            "stop the other one, or give this pipeline another `server-id`",
        )
    }))
}

/// Tables that are tried by one statement: thousands of statements one after the other take seconds.
const TRIED_AT_ONCE: usize = 50;

/// Reads no row of each captured table.
async fn check_select(control: &mut Control, needs: &Needs) -> Result<Option<Finding>, MysqlError> {
    let mut refused = Vec::new();
    for tables in needs.tables.chunks(TRIED_AT_ONCE) {
        if can_read(control, tables).await? {
            continue;
        }
        for table in tables {
            if !can_read(control, std::slice::from_ref(table)).await? {
                refused.push(table);
            }
        }
    }
    let Some(first) = refused.first() else { return Ok(None) };
    let grant = format!("GRANT SELECT ON {}.* TO {}", quote(&first.database), account(&control.options.user));
    Ok(Some(refuse("select", format!("these tables cannot be read: {}", named(&refused)), grant)))
}

/// Whether all of these tables can be read.
async fn can_read(control: &mut Control, tables: &[TableId]) -> Result<bool, MysqlError> {
    let name = |table: &TableId| format!("{}.{}", quote(&table.database), quote(&table.table));
    let tried: Vec<_> =
        tables.iter().map(|table| format!("(SELECT 1 FROM {} LIMIT 0)", name(table))).collect();
    match control.client.run(&tried.join(" UNION ALL "), "trying to read tables").await {
        Ok(()) => Ok(true),
        Err(MysqlError::Refused { .. } | MysqlError::Statement { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tables whose rows other engines keep.
async fn check_engines(control: &mut Control, needs: &Needs) -> Result<Option<Finding>, MysqlError> {
    let statement = "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES \
                     WHERE TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') \
                     AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND ENGINE <> 'InnoDB'";
    let rows: Vec<(String, String, Option<String>)> =
        control.client.rows(statement, "reading the tables' engines").await?;
    let captured: BTreeSet<&TableId> = needs.tables.iter().collect();
    let others: Vec<TableId> = rows
        .into_iter()
        .map(|(database, table, _)| TableId::new(database, table))
        .filter(|id| captured.contains(id))
        .collect();
    Ok((!others.is_empty()).then(|| {
        warn(
            "engine",
            format!("these tables are not InnoDB, so a snapshot of them may be torn: {}", named(&others)),
            "ALTER TABLE ... ENGINE=InnoDB, or do not write to them during the snapshot",
        )
    }))
}

/// The server's clock against the option. It decides nothing here, for instants are read in UTC; but whoever set it believes
/// something about the server that is not so. The server computes both offsets; a zone that it cannot compute with (its zone
/// tables may be empty) is not judged.
async fn check_zone(control: &mut Control, needs: &Needs) -> Result<Option<Finding>, MysqlError> {
    let Some(option) = &needs.server_time_zone else { return Ok(None) };
    let asked = match option.to_ascii_uppercase().as_str() {
        "UTC" | "GMT" | "Z" => "+00:00",
        _ => option.as_str(),
    };
    let statement = "SELECT @@GLOBAL.time_zone, @@GLOBAL.system_time_zone, \
                     TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', @@GLOBAL.time_zone)), \
                     TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', ?))";
    let rows: Vec<(String, String, Option<i32>, Option<i32>)> =
        control.client.rows_with(statement, (asked,), "reading the server's zone").await?;
    let Some((zone, system, Some(found), Some(expected))) = rows.into_iter().next() else {
        tracing::debug!(zone = %option, "the server cannot compute with the zone, so it was not compared");
        return Ok(None);
    };
    let zone = if zone.eq_ignore_ascii_case("SYSTEM") { system } else { zone };
    Ok(judge_zone(expected, found, &zone))
}

/// An hour's difference is one of daylight saving, which the option's offset may not show.
fn judge_zone(expected: i32, found: i32, zone: &str) -> Option<Finding> {
    let difference = (expected - found).abs();
    let same = difference <= ZONE_TOLERANCE_MINUTES || difference.abs_diff(60) == 0;
    (!same).then(|| {
        warn(
            "time-zone",
            format!("the server's zone is {zone}, {found} minutes from UTC; `server-time-zone` is {expected} minutes from it"),
            "set `server-time-zone` to the server's zone; values are right either way, since they are read in UTC",
        )
    })
}

fn named<T: std::fmt::Display>(tables: &[T]) -> String {
    let names: Vec<String> = tables.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    match tables.len().saturating_sub(MOST_NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> ServerInfo {
        ServerInfo {
            flavour: Flavour::MySql,
            version: (8, 0, 36),
            version_text: "8.0.36".to_owned(),
            uuid: None,
            server_id: 7,
            lower_case_table_names: 0,
            has_gtids: true,
        }
    }

    const CALM: [(&str, &str); 5] = [
        ("log_bin", "ON"),
        ("binlog_format", "ROW"),
        ("binlog_row_image", "FULL"),
        ("binlog_row_value_options", ""),
        ("binlog_expire_logs_seconds", "2592000"),
    ];

    /// Each case changes one variable of `CALM`, so a failure names its own cause.
    #[test]
    fn each_setting_is_judged_by_itself() {
        let needs = Needs { server_id: 8, stream: true, ..Needs::default() };
        for (name, value, want) in [
            ("log_bin", "ON", None),
            ("log_bin", "OFF", Some(("binlog", Severity::Refuse))),
            ("binlog_format", "MIXED", Some(("binlog-format", Severity::Refuse))),
            ("binlog_row_image", "MINIMAL", Some(("binlog-row-image", Severity::Refuse))),
            ("binlog_row_image", "NOBLOB", Some(("binlog-row-image", Severity::Refuse))),
            ("binlog_row_image", "FULL_NODUP", Some(("binlog-row-image", Severity::Warn))),
            ("binlog_row_value_options", "PARTIAL_JSON", None),
            ("binlog_expire_logs_seconds", "3600", Some(("retention", Severity::Warn))),
            ("binlog_expire_logs_seconds", "0", None),
            ("expire_logs_days", "0.5", None),
        ] {
            let mut variables: Variables = CALM.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
            variables.insert(name.to_owned(), value.to_owned());
            let found = judge_variables(&server(), &needs, &variables);
            let found: Vec<_> = found.iter().map(|f| (f.check, f.severity)).collect();
            assert_eq!(found, want.into_iter().collect::<Vec<_>>(), "{name}={value}");
        }
    }

    #[test]
    fn differences_of_documents_need_the_documents() {
        let needs = Needs { server_id: 8, stream: true, partial_rows: true, ..Needs::default() };
        for (image, refused) in [("FULL", false), ("MINIMAL", true), ("NOBLOB", false)] {
            let mut variables: Variables = CALM.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
            variables.insert("binlog_row_image".to_owned(), image.to_owned());
            variables.insert("binlog_row_value_options".to_owned(), "PARTIAL_JSON".to_owned());
            let found = judge_variables(&server(), &needs, &variables);
            assert_eq!(found.iter().any(|f| f.severity == Severity::Refuse), refused, "{image}");
        }
    }

    #[test]
    fn days_count_where_there_are_no_seconds() {
        for (seconds, days, short) in
            [("0", "0.5", true), ("0", "7", false), ("0", "0", false), ("3600", "7", true)]
        {
            let variables: Variables = [("binlog_expire_logs_seconds", seconds), ("expire_logs_days", days)]
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .into();
            assert_eq!(judge_retention(&variables).is_some(), short, "{seconds} s, {days} days");
        }
    }

    #[test]
    fn our_server_id_must_not_be_the_servers() {
        let needs = |server_id| Needs { server_id, stream: true, ..Needs::default() };
        assert!(judge_server_id(&server(), &needs(8)).is_none());
        assert!(judge_server_id(&server(), &needs(7)).is_some_and(|f| f.severity == Severity::Refuse));
        assert_eq!(probe_id(u32::MAX, u32::MAX - 1), u32::MAX - 2);
    }

    #[test]
    fn a_captured_database_that_is_filtered_out_is_found() {
        let needs =
            Needs { tables: vec![TableId::new("shop", "t"), TableId::new("crm", "t")], ..Needs::default() };
        assert!(judge_filters(&needs, "", "").is_none());
        assert!(judge_filters(&needs, "shop,crm", "other").is_none());
        let found = |only, ignored| judge_filters(&needs, only, ignored).map(|f| f.found).unwrap_or_default();
        assert!(found("shop", "").ends_with(": crm"));
        assert!(found("", "shop,x").ends_with(": shop"));
    }

    #[test]
    fn a_zone_may_be_half_an_hour_off_or_one_of_daylight_saving() {
        for (expected, found, is_same) in
            [(480, 480, true), (480, 465, true), (60, 120, true), (0, 480, false), (0, 45, false)]
        {
            assert_eq!(judge_zone(expected, found, "x").is_none(), is_same, "{expected} {found}");
        }
    }
}
