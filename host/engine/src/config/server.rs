//! Options of `source` about reaching the server.

use std::path::PathBuf;

use super::kinds::{self, Expected, Kind, KindName};
use super::option::Opt;

/// One of the servers that a source may be read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// Host name or address; or, beginning with `/`, the path of a Unix socket.
    pub host: String,
    /// Its port, where it is not that of all.
    pub port: Option<u16>,
}

pub(super) const SERVERS: Kind<Vec<ServerAddress>> = Kind {
    name: KindName::Plain("`host`, `host:port` or `/path/of/socket`, several with `,`"),
    parse: servers,
};

pub(super) static HOSTNAME: Opt<Vec<ServerAddress>> = Opt::new(
    "hostname",
    SERVERS,
    "Host name or address of the server, or the path of its Unix socket. Of several, which must be replicas of each other with GTIDs, the first is read that can be reached and has what was read before.",
)
.required();
pub(super) static SSL_CERT: Opt<PathBuf> = Opt::new(
    "ssl.cert",
    kinds::FILE,
    "PEM file with the certificate that the pipeline shows to a server that asks; with `ssl.key`.",
);
pub(super) static SSL_KEY: Opt<PathBuf> =
    Opt::new("ssl.key", kinds::FILE, "PEM file with the key of `ssl.cert`, not encrypted.");

fn servers(text: &str) -> Result<Vec<ServerAddress>, Expected> {
    text.split(',').map(|one| server(one.trim())).collect()
}

/// `host`, `host:port`, `::1`, `[::1]:port`, `/path`.
fn server(text: &str) -> Result<ServerAddress, Expected> {
    let expected = || Expected::from("a host, `host:port`, or the path of a socket");
    let address = |host: &str, port| match host.is_empty() || host.contains(char::is_whitespace) {
        true => Err(expected()),
        false => Ok(ServerAddress { host: host.to_owned(), port }),
    };
    let number = |port: &str| port.parse::<u16>().ok().filter(|p| *p > 0).map(Some).ok_or_else(expected);
    if text.starts_with('/') {
        return address(text, None);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or_else(expected)?;
        let port = match behind.strip_prefix(':') {
            Some(port) => number(port)?,
            None if behind.is_empty() => None,
            None => return Err(expected()),
        };
        return address(host, port);
    }
    match text.split_once(':') {
        // More than one colon is an address of IPv6.
        Some((host, port)) if !port.contains(':') => address(host, number(port)?),
        _ => address(text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_an_address_or_a_socket() {
        for (text, want) in [
            ("db", &[("db", None)][..]),
            ("db:3307", &[("db", Some(3307))]),
            ("a, b:3307 ,c", &[("a", None), ("b", Some(3307)), ("c", None)]),
            ("10.0.0.7", &[("10.0.0.7", None)]),
            ("::1", &[("::1", None)]),
            ("[fe80::1]:3307,[::1]", &[("fe80::1", Some(3307)), ("::1", None)]),
            ("/var/run/mysqld/mysqld.sock", &[("/var/run/mysqld/mysqld.sock", None)]),
        ] {
            let want: Vec<_> = want
                .iter()
                .map(|(host, port)| ServerAddress { host: (*host).to_owned(), port: *port })
                .collect();
            assert_eq!(servers(text).ok(), Some(want), "{text}");
        }
        for bad in ["", "a,", "a b", "db:", "db:0", "db:x", "db:70000", "[::1", "[::1]3306", ":3306"] {
            assert!(servers(bad).is_err(), "{bad}");
        }
    }
}
