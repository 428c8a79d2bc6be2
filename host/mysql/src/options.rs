//! How to reach a server, and what is known of it once it answered.

use std::path::PathBuf;
use std::time::Duration;

use sluicebox_model::Secret;

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Host name or address; or, beginning with `/`, the path of the server's Unix socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account.
    pub user: String,
    /// Its password; empty for none.
    pub password: Secret,
    /// Whether and how the connection is encrypted.
    pub tls: Tls,
    /// Deadline of connecting and logging in.
    pub connect_timeout: Duration,
    /// How what is sent and received is compressed, where the server can do that.
    pub compress: Option<LineCompression>,
}

/// How a connection is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineCompression {
    /// Deflate, which every server can.
    Zlib,
    /// Zstandard for the binlog reader where the server can do that (MySQL from 8.0.18 on), else as `Zlib`. Control statements and
    /// snapshots are deflated: their client knows nothing else.
    Zstd,
}

impl ConnectOptions {
    /// Whether the server is reached over a Unix socket, which nobody else can read.
    pub fn is_local(&self) -> bool {
        self.host.starts_with('/')
    }

    /// The server, as messages name it.
    pub fn address(&self) -> String {
        match self.is_local() {
            true => self.host.clone(),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Encryption of a connection.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// What is demanded.
    pub mode: TlsMode,
    /// PEM file with the certificate authorities to trust; none means the system's.
    pub ca: Option<PathBuf>,
    /// Who we are, for servers that ask.
    pub identity: Option<Identity>,
}

/// A certificate of ours, with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// PEM file with the certificate, and those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM file with its key, not encrypted.
    pub key: PathBuf,
}

/// What is demanded of a connection's encryption; the meanings are those of MySQL's own clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Never encrypt.
    Disabled,
    /// Encrypt where the server offers it, without looking at its certificate.
    #[default]
    Preferred,
    /// Encrypt or fail, without looking at the certificate.
    Required,
    /// Encrypt, and the certificate must come from a trusted authority. Host names do not count: MySQL's own
    /// certificates have none.
    VerifyCa,
    /// As `VerifyCa`, and the certificate must name the host.
    VerifyIdentity,
}

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Oracle's, and those that behave like it.
    MySql,
    /// MariaDB.
    MariaDb,
}

/// What a server says of itself.
#[derive(Debug, Clone)]
pub struct ServerInfo {
    /// Whose it is.
    pub flavour: Flavour,
    /// Major, minor, patch.
    pub version: (u16, u16, u16),
    /// `VERSION()` as it is.
    pub version_text: String,
    /// `@@server_uuid`; MariaDB has none.
    pub uuid: Option<String>,
    /// `@@server_id`.
    pub server_id: u32,
    /// Names: 0 case-sensitive, 1 stored lower, 2 compared lower.
    pub lower_case_table_names: u8,
    /// MySQL: `@@gtid_mode` is ON. MariaDB: always true.
    pub has_gtids: bool,
}

/// Choices that change what a declared type means.
#[derive(Debug, Clone, Copy)]
pub struct TypeOptions {
    /// `TINYINT(1)` is a boolean (Flink CDC's `treat-tinyint1-as-boolean.enabled`, true by default).
    pub tinyint1_is_boolean: bool,
}

impl Default for TypeOptions {
    fn default() -> Self {
        Self { tinyint1_is_boolean: true }
    }
}
