//! Connections for SQL: how they are opened, set up, and how their errors are told apart.
//!
//! Every connection speaks utf8mb4, counts time in UTC and has an empty `sql_mode`, so that values read the same whatever the
//! server's defaults are; and it waits for locks for moments only, so that we never stand in the way of a DDL statement.

use std::sync::Once;
use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{
    BinaryProtocol, ClientIdentity, Conn, DriverError, Error, IoError, Opts, OptsBuilder, Params,
    QueryResult, Row, ServerError, SslOpts,
};

use tokio::task::JoinSet;

use crate::bridge;
use crate::error::MysqlError;
use crate::options::{ConnectOptions, Identity, TlsMode};
use crate::wire::tls_config;

/// How long a statement of ours waits for somebody else's lock on a table, in seconds: a waiting reader holds everybody
/// else up behind it.
const LOCK_WAIT_S: u32 = 5;
/// How long the server keeps an idle connection of ours, in seconds: a snapshot may be held back by its sink.
const IDLE_S: u32 = 28_800;
/// How long the server waits for us to read a result, in seconds; its default is 60.
const WRITE_TIMEOUT_S: u32 = 600;
/// How long a connection may be silent before the other side's system is asked whether it is still there: a statement may take
/// minutes, and a peer that has gone never answers it.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Statements that a connection keeps prepared: one chunk shape for each of some tables.
const PREPARED_STATEMENTS: usize = 16;

/// How many times the deadline of connecting a short question may take: a server that is busy answers late.
const SHORT_ANSWER: u32 = 4;
/// How long a statement may take that reads much before it answers: longer than the server lets a chunk's run.
const LONG_ANSWER: Duration = Duration::from_secs(660);

/// A connection and the names that its errors carry.
pub(crate) struct Client {
    conn: Conn,
    peer: Peer,
    /// How long a short answer may take, and the next row of a long one. A link that stalls shows by nothing else.
    patience: Duration,
}

/// Who was asked, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// `host:port`.
    pub(crate) server: String,
    /// The account.
    pub(crate) user: String,
}

impl Client {
    pub(crate) async fn connect(options: &ConnectOptions) -> Result<Self, MysqlError> {
        install_provider();
        let peer = Peer { server: options.address(), user: options.user.clone() };
        let conn = log_in(options, &peer);
        let conn = tokio::time::timeout(options.connect_timeout, conn).await.unwrap_or_else(|_| {
            let waited = options.connect_timeout.as_millis();
            Err(peer.unreachable(format!("no answer within {waited} ms")))
        })?;
        let patience = options.connect_timeout.saturating_mul(SHORT_ANSWER);
        let mut client = Self { conn, peer, patience };
        client.set_up().await?;
        Ok(client)
    }

    async fn set_up(&mut self) -> Result<(), MysqlError> {
        let doing = "setting up a connection";
        self.run("SET NAMES utf8mb4", doing).await?;
        let settings = format!(
            "SET SESSION time_zone='+00:00', sql_mode='', lock_wait_timeout={LOCK_WAIT_S}, wait_timeout={IDLE_S}, \
             net_write_timeout={WRITE_TIMEOUT_S}, sql_big_selects=1, autocommit=1"
        );
        self.run(&settings, doing).await?;
        // A consistent snapshot is none at a lower level.
        self.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", doing).await
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Has the server end another connection of the same account; one that has ended is left alone.
    pub(crate) async fn end(&mut self, other: &Self) -> Result<(), MysqlError> {
        /// No connection has this number.
        const GONE: u16 = 1094;
        let doing = "ending a connection";
        match self.error_code(&format!("KILL CONNECTION {}", other.conn.id()), doing).await? {
            None | Some(GONE) => Ok(()),
            Some(code) => Err(self.peer.statement(doing, code, "it cannot be ended")),
        }
    }

    /// Runs a statement that answers without rows.
    pub(crate) async fn run(&mut self, statement: &str, doing: &str) -> Result<(), MysqlError> {
        self.peer.within(self.patience, doing, self.conn.query_drop(statement)).await
    }

    /// The code of the error that answers a statement; none when it succeeds.
    pub(crate) async fn error_code(
        &mut self,
        statement: &str,
        doing: &str,
    ) -> Result<Option<u16>, MysqlError> {
        let answer = async {
            match self.conn.query_drop(statement).await {
                Ok(()) => Ok(None),
                Err(Error::Server(ServerError { code, .. })) => Ok(Some(code)),
                Err(other) => Err(other),
            }
        };
        self.peer.within(self.patience, doing, answer).await
    }

    /// Runs a statement and gathers its rows; for small results.
    pub(crate) async fn rows<T>(&mut self, statement: &str, doing: &str) -> Result<Vec<T>, MysqlError>
    where
        T: FromRow + Send + 'static,
    {
        self.peer.within(self.patience, doing, self.conn.query(statement)).await
    }

    /// The same with parameters, prepared.
    pub(crate) async fn rows_with<T>(
        &mut self,
        statement: &str,
        params: impl Into<Params> + Send,
        doing: &str,
    ) -> Result<Vec<T>, MysqlError>
    where
        T: FromRow + Send + 'static,
    {
        self.peer.within(LONG_ANSWER, doing, self.conn.exec(statement, params)).await
    }

    /// Runs a statement whose rows are taken one by one, as they come.
    pub(crate) async fn read<'c>(
        &'c mut self,
        statement: &str,
        params: Params,
        doing: &'c str,
    ) -> Result<Reading<'c>, MysqlError> {
        let Self { conn, peer, patience } = self;
        let result = peer.within(LONG_ANSWER, doing, conn.exec_iter(statement, params)).await?;
        Ok(Reading { result, peer, doing, patience: *patience, limit: LONG_ANSWER })
    }

    /// Says goodbye; a connection that is gone already needs none.
    pub(crate) async fn close(self) {
        if let Err(error) = self.conn.disconnect().await {
            tracing::debug!(server = self.peer.server, %error, "connection ended without a goodbye");
        }
    }
}

/// Rows on their way. Reads no further than it is asked to, so that the server feels a slow reader.
pub(crate) struct Reading<'c> {
    result: QueryResult<'c, 'static, BinaryProtocol>,
    peer: &'c Peer,
    doing: &'c str,
    patience: Duration,
    /// How long the next row may take: the first comes when the server has found it.
    limit: Duration,
}

impl Reading<'_> {
    pub(crate) async fn next(&mut self) -> Result<Option<Row>, MysqlError> {
        let row = self.peer.within(self.limit, self.doing, self.result.next()).await?;
        self.limit = self.patience;
        Ok(row)
    }
}

async fn log_in(options: &ConnectOptions, peer: &Peer) -> Result<Conn, MysqlError> {
    let at_login = |error| peer.at_login(error);
    if options.is_local() {
        if !matches!(options.tls.mode, TlsMode::Disabled | TlsMode::Preferred) {
            return Err(peer.refused("encryption is demanded, and there is none over a Unix socket"));
        }
        return open(builder(options).socket(Some(options.host.clone())).into(), peer)
            .await?
            .map_err(at_login);
    }
    if options.tls.mode == TlsMode::VerifyCa {
        return over_bridge(options, peer, true).await;
    }
    let mut opened = open(opts(options).map_err(|reason| peer.refused(reason))?, peer).await?;
    let mut encrypted = options.tls.mode != TlsMode::Disabled;
    if let (Err(Error::Driver(DriverError::NoClientSslFlagFromServer)), TlsMode::Preferred) =
        (&opened, options.tls.mode)
    {
        encrypted = false;
        opened = open(builder(options).into(), peer).await?;
    }
    match opened {
        Err(Error::Driver(DriverError::UnknownAuthPlugin { name })) if name == bridge::SHA256 => {
            over_bridge(options, peer, encrypted).await
        }
        opened => opened.map_err(at_login),
    }
}

/// Logs in with what the driver cannot do itself.
async fn over_bridge(options: &ConnectOptions, peer: &Peer, encrypted: bool) -> Result<Conn, MysqlError> {
    let at_bridge = |error| peer.at_login(Error::Io(IoError::Io(error)));
    let config = encrypted.then(|| tls_config(&options.tls)).transpose();
    let config = config.map_err(|error| peer.refused(error.to_string()))?;
    let password = options.password.reveal().as_bytes();
    let door = bridge::open(&options.host, options.port, config, password).await;
    let mut door = door.map_err(at_bridge)?;
    let socket = door.path().to_string_lossy().into_owned();
    match open(builder(options).socket(Some(socket)).into(), peer).await? {
        Ok(conn) => Ok(conn),
        Err(error) => Err(door.cause().await.map_or_else(|| peer.at_login(error), at_bridge)),
    }
}

/// Opens a connection in a task of its own: the driver panics where a server asks for a proof of the password that it knows by
/// name alone (`parsec`), and a server must not end us.
async fn open(opts: Opts, peer: &Peer) -> Result<Result<Conn, Error>, MysqlError> {
    let mut task = JoinSet::new();
    task.spawn(Conn::new(opts));
    match task.join_next().await {
        Some(Ok(opened)) => Ok(opened),
        Some(Err(_)) | None => {
            Err(peer.refused("it asks for a proof of the password that is not known here"))
        }
    }
}

/// The driver takes the process's provider of cryptography; where the program chose one already, that one stays.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

fn builder(options: &ConnectOptions) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(options.host.clone())
        .tcp_port(options.port)
        .user(Some(options.user.clone()))
        .pass(Some(options.password.reveal().to_owned()))
        .prefer_socket(false)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(KEEP_ALIVE))
        .stmt_cache_size(PREPARED_STATEMENTS)
        .compression(options.compress.map(|_| mysql_async::Compression::fast()))
}

/// The driver's options; the error is a demand that cannot be met.
fn opts(options: &ConnectOptions) -> Result<Opts, String> {
    let builder = builder(options);
    let ssl = match options.tls.mode {
        // `VERIFY_CA` is encrypted under the driver, by the bridge.
        TlsMode::Disabled | TlsMode::VerifyCa => return Ok(builder.into()),
        TlsMode::Preferred | TlsMode::Required => SslOpts::default().with_danger_accept_invalid_certs(true),
        TlsMode::VerifyIdentity => SslOpts::default()
            .with_disable_built_in_roots(true)
            .with_root_certs(roots(options)?.into_iter().map(Into::into).collect()),
    };
    let identity = |identity: &Identity| {
        let (certificate, key) = (identity.certificate.clone(), identity.key.clone());
        ClientIdentity::new(certificate.into(), key.into())
    };
    Ok(builder.ssl_opts(ssl.with_client_identity(options.tls.identity.as_ref().map(identity))).into())
}

/// The authorities to trust, each in PEM or DER: the file's, else the system's.
fn roots(options: &ConnectOptions) -> Result<Vec<Vec<u8>>, String> {
    if let Some(path) = &options.tls.ca {
        let pem = std::fs::read(path).map_err(|e| format!("cannot read `{}`: {e}", path.display()))?;
        return Ok(vec![pem]);
    }
    let found = rustls_native_certs::load_native_certs();
    let roots: Vec<Vec<u8>> = found.certs.into_iter().map(|c| c.as_ref().to_vec()).collect();
    if roots.is_empty() {
        return Err("there is no certificate authority to trust: name one with the TLS options".to_owned());
    }
    Ok(roots)
}

impl Peer {
    fn refused(&self, reason: impl Into<String>) -> MysqlError {
        MysqlError::Refused { server: self.server.clone(), user: self.user.clone(), reason: reason.into() }
    }

    /// Waits for an answer, but not for ever.
    async fn within<T>(
        &self,
        limit: Duration,
        doing: &str,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, MysqlError> {
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.map_err(|error| self.at_statement(error, doing)),
            Err(_) => Err(self.unreachable(format!("no answer within {} s while {doing}", limit.as_secs()))),
        }
    }

    fn unreachable(&self, reason: impl Into<String>) -> MysqlError {
        MysqlError::Unreachable { server: self.server.clone(), reason: reason.into() }
    }

    pub(crate) fn statement(&self, doing: &str, code: u16, reason: impl Into<String>) -> MysqlError {
        MysqlError::Statement {
            server: self.server.clone(),
            doing: doing.to_owned(),
            code,
            reason: reason.into(),
        }
    }

    /// While connecting. A server that starts, stops or is full will answer later; all else will not change by itself.
    fn at_login(&self, error: Error) -> MysqlError {
        match error {
            Error::Server(ServerError { code, message, .. }) => match code {
                1040 | 1042 | 1043 | 1053 | 1129 | 1152 | 1158..=1161 | 1203 | 1226 => {
                    self.unreachable(format!("{message} ({code})"))
                }
                _ => self.refused(format!("{message} ({code})")),
            },
            other => self.at_statement(other, "connecting"),
        }
    }

    /// In answer to a statement.
    pub(crate) fn at_statement(&self, error: Error, doing: &str) -> MysqlError {
        match error {
            Error::Server(ServerError { code, message, .. }) => match code {
                1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1698 => self.refused(format!("{message} ({code})")),
                // Shutdown, network trouble, killed connections, closed for idleness.
                1053 | 1077 | 1079 | 1158..=1161 | 1927 | 2006 | 2013 | 4031 => {
                    self.unreachable(format!("{message} ({code})"))
                }
                _ => self.statement(doing, code, message),
            },
            Error::Io(IoError::Io(error)) if is_refusal(&error) => {
                self.refused(format!("encryption failed: {error}"))
            }
            Error::Io(IoError::Io(error)) => self.unreachable(error.to_string()),
            Error::Io(IoError::Tls(error)) => self.refused(format!("encryption failed: {error}")),
            Error::Driver(error) => self.at_driver(&error, doing),
            other @ (Error::Other(_) | Error::Url(_)) => self.statement(doing, 0, other.to_string()),
        }
    }

    fn at_driver(&self, error: &DriverError, doing: &str) -> MysqlError {
        match error {
            DriverError::ConnectionClosed | DriverError::PacketOutOfOrder | DriverError::PoolDisconnected => {
                self.unreachable(error.to_string())
            }
            DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled
            | DriverError::InvalidParsecSalt
            | DriverError::NoClientSslFlagFromServer
            | DriverError::NoKeyFound => self.refused(error.to_string()),
            // These print the value or the row, which no log may show.
            DriverError::FromValue { .. }
            | DriverError::FromRow { .. }
            | DriverError::UnexpectedPacket { .. } => {
                self.statement(doing, 0, "the answer has not the form that was expected")
            }
            other => self.statement(doing, 0, other.to_string()),
        }
    }
}

/// Whether an error of the socket is one of certificates or of what the two sides can do, which no later try will change.
fn is_refusal(error: &std::io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    error.kind() == std::io::ErrorKind::Unsupported
        || matches!(tls, Some(rustls::Error::InvalidCertificate(_) | rustls::Error::PeerIncompatible(_)))
}

/// A name in back-quotes.
pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        Peer { server: "h:1".to_owned(), user: "u".to_owned() }
    }

    fn server_error(code: u16) -> Error {
        Error::Server(ServerError { code, message: "words".to_owned(), state: "HY000".to_owned() })
    }

    #[test]
    fn a_full_server_is_tried_again_and_a_wrong_password_is_not() {
        assert!(matches!(peer().at_login(server_error(1040)), MysqlError::Unreachable { .. }));
        for code in [1044, 1045, 1698] {
            let error = peer().at_login(server_error(code));
            assert_eq!(error.to_string(), format!("`h:1` refused `u`: words ({code})"));
        }
    }

    #[test]
    fn what_a_statement_met_decides() {
        for (code, kind) in
            [(1054, "answered 1054"), (1146, "answered 1146"), (1227, "refused"), (1927, "cannot reach")]
        {
            let text = peer().at_statement(server_error(code), "reading `d.t`").to_string();
            assert!(text.contains(kind), "{code}: {text}");
        }
        let gone = Error::Driver(DriverError::ConnectionClosed);
        assert!(matches!(peer().at_statement(gone, "reading"), MysqlError::Unreachable { .. }));
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_not_tried_again() {
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let broken = std::io::Error::new(std::io::ErrorKind::InvalidData, certificate);
        assert!(matches!(peer().at_login(Error::Io(IoError::Io(broken))), MysqlError::Refused { .. }));
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(matches!(peer().at_login(Error::Io(IoError::Io(reset))), MysqlError::Unreachable { .. }));
    }

    #[test]
    fn names_are_quoted_whole() {
        assert_eq!(quote("a`b c"), "`a``b c`");
    }
}
