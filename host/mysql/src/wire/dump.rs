//! Opening a dump, and its packets.
//!
//! Order, which works on all servers: heartbeat and checksum as user variables, who we are, what we understand (MariaDB
//! rewrites the stream for who does not say), where to start, the dump command. Then the server only sends: events, an error,
//! or an end, which in a waiting dump means that the server goes down.

use std::io;
use std::time::Duration;

use sluicebox_model::{GtidSet, MariaDbGtids, Position};

use super::connection::{Connection, Context};
use super::packet::Packets;
use super::refusal::Refusal;
use crate::event::encode_set;
use crate::{Flavour, MysqlError, ServerInfo};

const COM_BINLOG_DUMP: u8 = 0x12;
const COM_REGISTER_SLAVE: u8 = 0x15;
const COM_BINLOG_DUMP_GTID: u8 = 0x1e;
/// Behind a file's magic number: its first event.
pub(crate) const FIRST_OFFSET: u32 = 4;
/// Heartbeats that may be missing before a connection counts as dead: one can be late, three cannot.
const SILENT_HEARTBEATS: u32 = 3;
/// How long the server waits for us to read, in seconds. Its default (60) would cut a reader off whenever the sink holds the
/// pipeline back for a minute.
const WRITE_TIMEOUT_S: u32 = 600;

/// Where a dump starts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DumpStart<'a> {
    /// Behind these transactions.
    MySqlGtids(&'a GtidSet),
    /// Behind these transactions.
    MariaDbGtids(&'a MariaDbGtids),
    /// At an event of a file; an empty name is the oldest file that there is.
    File {
        /// The file's name.
        name: &'a str,
        /// Offset of an event.
        offset: u32,
    },
}

/// A running dump.
#[derive(Debug)]
pub(crate) struct Dump {
    packets: Packets,
    context: Context,
    /// Nothing for so long means that the connection is dead.
    silence: Duration,
    server_id: u32,
    /// What was asked for, for errors to name.
    position: Position,
}

impl Connection {
    /// Opens a dump.
    pub(crate) fn dump(
        mut self,
        server: &ServerInfo,
        server_id: u32,
        heartbeat: Duration,
        start: DumpStart<'_>,
        position: &Position,
    ) -> Result<Dump, MysqlError> {
        for statement in setup(server, server_id, heartbeat, start) {
            self.execute(&statement, "preparing to read the binlog")?;
        }
        self.packets.start_command();
        self.send(&register(server_id))?;
        self.expect_ok("registering as a reader of the binlog")?;
        self.packets.start_command();
        self.send(&command(server_id, start))?;
        let silence = heartbeat.saturating_mul(SILENT_HEARTBEATS);
        let socket = self.packets.channel().socket();
        socket.set_read_timeout(Some(silence)).map_err(|e| self.context.broke(&e))?;
        let Self { packets, context, .. } = self;
        Ok(Dump { packets, context, silence, server_id, position: position.clone() })
    }
}

impl Dump {
    /// The next event, whole. After an error the dump is over.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<&[u8], MysqlError> {
        let packet = match self.packets.receive() {
            Ok(packet) => packet,
            Err(error) => return Err(broke(&self.context, &error, self.silence, &self.position)),
        };
        match packet.split_first() {
            Some((0, event)) => Ok(event),
            Some((0xff, _)) => {
                Err(Refusal::parse(packet).at_dump(&self.context.peer, self.server_id, &self.position))
            }
            Some((0xfe, _)) if packet.len() < 9 => {
                Err(self.context.unreachable("it ended the stream, as servers do that shut down"))
            }
            _ => Err(MysqlError::Malformed {
                place: self.position.to_string(),
                reason: "a packet of the stream is neither event nor error nor end".to_owned(),
            }),
        }
    }

    /// Whether `next` would not wait.
    pub(crate) fn has_event(&self) -> bool {
        self.packets.has_packet()
    }

    /// Gives back the room of a large event once it was used.
    pub(crate) fn shrink(&mut self) {
        self.packets.shrink();
    }
}

fn broke(context: &Context, error: &io::Error, silence: Duration, position: &Position) -> MysqlError {
    if context.stop.is_stopped() {
        return MysqlError::Stopped;
    }
    let is_tls = error.get_ref().is_some_and(|e| e.is::<rustls::Error>());
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            MysqlError::Silent { server: context.peer.server.clone(), seconds: silence.as_secs() }
        }
        io::ErrorKind::InvalidData if !is_tls => {
            MysqlError::Malformed { place: position.to_string(), reason: error.to_string() }
        }
        _ => context.unreachable(&error.to_string()),
    }
}

/// Statements before the dump.
fn setup(server: &ServerInfo, server_id: u32, heartbeat: Duration, start: DumpStart<'_>) -> Vec<String> {
    let nanoseconds = heartbeat.as_nanos();
    let mut statements = vec![
        format!("SET net_write_timeout={WRITE_TIMEOUT_S}"),
        format!("SET @master_heartbeat_period={nanoseconds}"),
        // Says what can be read, and makes the first event carry a checksum; the others have what their file has.
        "SET @master_binlog_checksum='CRC32'".to_owned(),
    ];
    match server.flavour {
        Flavour::MySql => {
            let uuid = uuid(server_id);
            statements.push(format!("SET @slave_uuid='{uuid}'"));
            if server.version >= (8, 0, 26) {
                statements.push(format!("SET @source_heartbeat_period={nanoseconds}"));
                statements.push("SET @source_binlog_checksum='CRC32'".to_owned());
                statements.push(format!("SET @replica_uuid='{uuid}'"));
            }
        }
        Flavour::MariaDb => {
            statements.push("SET @mariadb_slave_capability=4".to_owned());
            if let DumpStart::MariaDbGtids(list) = start {
                statements.push(format!("SET @slave_connect_state='{list}'"));
                statements.push("SET @slave_gtid_strict_mode=0".to_owned());
                statements.push("SET @slave_gtid_ignore_duplicates=0".to_owned());
            }
        }
    }
    statements
}

/// Ours as a reader. From the server id, so that it is the same after a restart: the server then finds the dead connection of
/// the run before and ends it.
fn uuid(server_id: u32) -> String {
    format!("736c7569-6365-4b6f-a078-0000{server_id:08x}")
}

/// Makes us visible in the server's list of readers, where others look for a server id that is free.
fn register(server_id: u32) -> Vec<u8> {
    let mut out = vec![COM_REGISTER_SLAVE];
    out.extend(server_id.to_le_bytes());
    let name = b"sluicebox";
    // Host, account, password, each behind its length; port; rank and source id, which are not used.
    out.push(u8::try_from(name.len()).unwrap_or(0));
    out.extend(name);
    out.extend([0; 2 + 2 + 4 + 4]);
    out
}

fn command(server_id: u32, start: DumpStart<'_>) -> Vec<u8> {
    let plain = |name: &str, offset: u32| {
        let mut out = vec![COM_BINLOG_DUMP];
        out.extend(offset.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend(server_id.to_le_bytes());
        out.extend(name.as_bytes());
        out
    };
    match start {
        DumpStart::File { name, offset } => plain(name, offset),
        DumpStart::MariaDbGtids(_) => plain("", FIRST_OFFSET),
        DumpStart::MySqlGtids(set) => {
            let set = encode_set(set);
            let mut out = vec![COM_BINLOG_DUMP_GTID];
            out.extend(0_u16.to_le_bytes());
            out.extend(server_id.to_le_bytes());
            out.extend(0_u32.to_le_bytes());
            out.extend(u64::from(FIRST_OFFSET).to_le_bytes());
            // A set of 4 GiB cannot be sent; the packet layer refuses far below.
            out.extend(u32::try_from(set.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend(set);
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::super::channel::{Channel, Socket, Stop};
    use super::super::refusal::Peer;
    use super::*;

    /// A dump that receives these packets, and then the end of the connection.
    fn dump_of(packets: &[&[u8]]) -> Dump {
        let mut bytes = Vec::new();
        for (sequence, packet) in (0_u8..).zip(packets) {
            bytes.extend_from_slice(&u32::try_from(packet.len()).expect("small").to_le_bytes()[..3]);
            bytes.push(sequence);
            bytes.extend_from_slice(packet);
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let socket = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        listener.accept().and_then(|(mut peer, _)| peer.write_all(&bytes)).expect("a peer");
        let peer = Peer { server: "h:1".to_owned(), user: "u".to_owned() };
        Dump {
            packets: Packets::new(Channel::Plain(Socket::Tcp(socket))),
            context: Context { peer, stop: Stop::default() },
            silence: Duration::from_secs(1),
            server_id: 7,
            position: Position::default(),
        }
    }

    #[test]
    fn a_server_that_goes_down_is_unreachable_and_not_finished() {
        for packets in [&[&b"\0event"[..], &[0xfe, 0, 0, 2, 0]][..], &[b"\0event"]] {
            let mut dump = dump_of(packets);
            assert_eq!(dump.next().expect("an event"), b"event");
            assert!(matches!(dump.next(), Err(MysqlError::Unreachable { .. })), "{packets:?}");
        }
    }

    #[test]
    fn an_error_in_the_stream_is_told_by_its_meaning() {
        let mut dump =
            dump_of(&[b"\xff\xd4\x04#HY000Could not find first log file name in binary log index file"]);
        assert!(matches!(dump.next(), Err(MysqlError::PositionPurged { .. })));
        let mut dump = dump_of(&[b"\xff\xd4\x0f#HY000A slave with the same server_uuid"]);
        assert!(matches!(dump.next(), Err(MysqlError::ServerIdTaken { server_id: 7, .. })));
        assert!(matches!(dump_of(&[b"\x07?"]).next(), Err(MysqlError::Malformed { .. })));
    }

    #[test]
    fn commands_say_where_to_start() {
        let set: GtidSet = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5".parse().expect("a set");
        let by_gtid = command(7, DumpStart::MySqlGtids(&set));
        assert_eq!(by_gtid.len(), 1 + 2 + 4 + 4 + 8 + 4 + 48);
        let by_file = command(7, DumpStart::File { name: "b.000001", offset: 500 });
        assert_eq!(by_file, b"\x12\xf4\x01\0\0\0\0\x07\0\0\0b.000001");
    }
}
