//! What a server's ERR packet means for what happens next.
//!
//! Codes alone do not tell: everything that goes wrong with a dump is 1236, so its text decides. The texts are those of
//! MySQL 5.6 to 9.7 and MariaDB 10.5 to 11.8; one that is not known halts the pipeline with the server's own words.

use sluicebox_model::Position;

use crate::MysqlError;
use crate::event::Cursor;

/// An ERR packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The server's error number.
    pub(crate) code: u16,
    /// The server's own words.
    pub(crate) message: String,
}

/// Who was asked, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// `host:port`.
    pub(crate) server: String,
    /// The account.
    pub(crate) user: String,
}

/// What a 1236 is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fatal {
    Purged,
    Ahead,
    ServerId,
    Other,
}

impl Refusal {
    /// Reads the packet; 0xff stands before it. The SQL state is missing before a login.
    pub(super) fn parse(packet: &[u8]) -> Self {
        let mut cursor = Cursor::new(packet.get(1..).unwrap_or_default());
        let code = cursor.u16().unwrap_or(0);
        if cursor.rest().first() == Some(&b'#') {
            cursor.take(6);
        }
        Self { code, message: String::from_utf8_lossy(cursor.rest()).into_owned() }
    }

    /// During login. A server that starts, stops or is full will answer later; all else will not change by itself.
    pub(super) fn at_login(self, peer: &Peer) -> MysqlError {
        match self.code {
            // Too many connections, of the server and of the account; host blocked; shutting down; network trouble; limits.
            1040 | 1042 | 1043 | 1053 | 1129 | 1152 | 1158..=1161 | 1203 | 1226 => {
                MysqlError::Unreachable { server: peer.server.clone(), reason: self.to_string() }
            }
            _ => self.refused(peer),
        }
    }

    /// In answer to a statement.
    pub(super) fn at_statement(self, peer: &Peer, doing: &str) -> MysqlError {
        match self.code {
            1044 | 1045 | 1142 | 1227 | 1698 => self.refused(peer),
            1053 | 1158..=1161 => {
                MysqlError::Unreachable { server: peer.server.clone(), reason: self.to_string() }
            }
            code => MysqlError::Statement {
                server: peer.server.clone(),
                doing: doing.to_owned(),
                code,
                reason: self.message,
            },
        }
    }

    /// In the middle of a dump from `position`.
    pub(super) fn at_dump(self, peer: &Peer, server_id: u32, position: &Position) -> MysqlError {
        let fatal = match self.code {
            1236 => fatal_kind(&self.message),
            4052 => Fatal::ServerId,
            _ => return self.at_statement(peer, "reading the binlog"),
        };
        let position = || Box::new(position.clone());
        match fatal {
            Fatal::Purged => MysqlError::PositionPurged { position: position(), reason: self.message },
            Fatal::Ahead => MysqlError::PositionAhead { position: position(), reason: self.message },
            Fatal::ServerId => {
                MysqlError::ServerIdTaken { server: peer.server.clone(), server_id, reason: self.message }
            }
            Fatal::Other => MysqlError::Malformed { place: position().to_string(), reason: self.message },
        }
    }

    fn refused(self, peer: &Peer) -> MysqlError {
        MysqlError::Refused { server: peer.server.clone(), user: peer.user.clone(), reason: self.to_string() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

fn fatal_kind(message: &str) -> Fatal {
    let message = message.to_ascii_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    if says(&[
        "purged",
        "could not find gtid state",
        "could not find first log file",
        "could not open log file",
    ]) {
        Fatal::Purged
    } else if says(&[
        "has more gtids than",
        "not in the master's binlog",
        "position > file size",
        "impossible position",
    ]) {
        Fatal::Ahead
    } else if says(&["same server_uuid/server_id"]) {
        Fatal::ServerId
    } else {
        Fatal::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_1236_decides() {
        for (message, kind) in [
            (
                "Cannot replicate because the source purged required binary logs. Replicate the missing",
                Fatal::Purged,
            ),
            (
                "Could not find GTID state requested by slave in any binlog files. Probably the slave",
                Fatal::Purged,
            ),
            ("Could not find first log file name in binary log index file", Fatal::Purged),
            ("Replica has more GTIDs than the source has, using the source's SERVER_UUID.", Fatal::Ahead),
            (
                "Error: connecting slave requested to start from GTID 0-1-9, which is not in the master's binlog",
                Fatal::Ahead,
            ),
            ("Client requested source to start replication from position > file size", Fatal::Ahead),
            ("Client requested master to start replication from impossible position", Fatal::Ahead),
            ("A replica with the same server_uuid/server_id as this replica has connected", Fatal::ServerId),
            ("binlog truncated in the middle of event; consider out of disk space", Fatal::Other),
            ("log event entry exceeded max_allowed_packet; Increase max_allowed_packet", Fatal::Other),
        ] {
            assert_eq!(fatal_kind(message), kind, "{message}");
        }
    }

    #[test]
    fn a_full_server_is_tried_again_and_a_wrong_password_is_not() {
        let peer = Peer { server: "h:1".to_owned(), user: "u".to_owned() };
        let refusal = |code: u16, text: &[u8]| {
            Refusal::parse(&[&[0xff][..], &code.to_le_bytes(), text].concat()).at_login(&peer)
        };
        assert!(matches!(refusal(1040, b"Too many connections"), MysqlError::Unreachable { .. }));
        let denied = refusal(1045, b"#28000Access denied for user 'u'");
        assert_eq!(denied.to_string(), "`h:1` refused `u`: Access denied for user 'u' (1045)");
    }
}
