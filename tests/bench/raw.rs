//! The least that a reader of a binlog can do: log in, ask for the dump, count packets, throw them away.
//!
//! The server is asked not to wait at the end of the binlog, so that the end shows itself (an EOF packet).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::backlog::Backlog;
use super::support::Server;
use super::usage::{Figures, Usage};

/// Of the protocol: long passwords, protocol 4.1, secure connection, pluggable authentication.
const CAPABILITIES: u32 = 0x1 | 0x200 | 0x8000 | 0x8_0000;
const UTF8MB4: u8 = 45;
const COM_QUERY: u8 = 3;
const COM_BINLOG_DUMP: u8 = 18;
/// Send an EOF packet instead of waiting for more.
const NON_BLOCK: u16 = 1;
/// An id that no other reader here has.
const SERVER_ID: u32 = 4_000_000_001;
/// As much as a socket gives at once, and more.
const BUFFER_BYTES: usize = 1 << 20;

/// Drains the backlog.
pub fn drain(server: &Server, backlog: &Backlog) -> Figures {
    let mut connection = Connection::open(server);
    let (cpu, begin) = (Usage::of_us(), Instant::now());
    let offset = u32::try_from(backlog.start.offset).expect("offsets of a dump have 32 bits");
    let mut request = vec![COM_BINLOG_DUMP];
    request.extend(offset.to_le_bytes());
    request.extend(NON_BLOCK.to_le_bytes());
    request.extend(SERVER_ID.to_le_bytes());
    request.extend(backlog.start.file.as_bytes());
    connection.send(0, &request);
    let mut bytes = 0;
    while let Some(length) = connection.skip_packet() {
        bytes += length;
    }
    assert!(bytes >= backlog.bytes(), "the dump had {bytes} bytes of {}", backlog.bytes());
    Figures { took: begin.elapsed(), cpu: Usage::of_us().cpu - cpu.cpu, peak: None }
}

struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn open(server: &Server) -> Self {
        let stream = TcpStream::connect((server.host(), server.port())).expect("the server answers");
        let mut connection = Self { reader: BufReader::with_capacity(BUFFER_BYTES, stream) };
        let greeting = connection.packet();
        let plugin = greeting
            .split(|byte| *byte == 0)
            .rev()
            .find(|part| !part.is_empty())
            .unwrap_or_default()
            .to_vec();
        let mut login = CAPABILITIES.to_le_bytes().to_vec();
        login.extend(0xff_ffff_u32.to_le_bytes());
        login.push(UTF8MB4);
        login.extend([0; 23]);
        // An account without a password has an empty answer to every challenge.
        login.extend(b"root\0\0");
        login.extend(plugin);
        login.push(0);
        connection.send(1, &login);
        connection.expect_ok("the login");
        let mut query = vec![COM_QUERY];
        query.extend(b"SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'");
        connection.send(0, &query);
        connection.expect_ok("the checksum");
        connection
    }

    fn send(&mut self, sequence: u8, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short request").to_le_bytes();
        let packet = [&length[..3], &[sequence], payload].concat();
        self.reader.get_mut().write_all(&packet).expect("the connection holds");
    }

    fn header(&mut self) -> usize {
        let mut header = [0; 4];
        self.reader.read_exact(&mut header).expect("the connection holds");
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        usize::try_from(length).expect("24 bits")
    }

    fn packet(&mut self) -> Vec<u8> {
        let mut payload = vec![0; self.header()];
        self.reader.read_exact(&mut payload).expect("the connection holds");
        payload
    }

    fn expect_ok(&mut self, what: &str) {
        let answer = self.packet();
        assert_eq!(answer.first(), Some(&0), "{what}: {}", String::from_utf8_lossy(&answer));
    }

    /// Bytes of the next packet's event; none at the end.
    fn skip_packet(&mut self) -> Option<u64> {
        let length = self.header();
        let mut rest = length;
        if let Some(first @ (0xfe | 0xff)) =
            self.reader.fill_buf().expect("the connection holds").first().copied()
        {
            // An EOF packet is short; events begin with a zero.
            assert!(first == 0xfe && length < 9, "the server broke the dump off");
            return None;
        }
        while rest > 0 {
            let there = self.reader.fill_buf().expect("the connection holds").len().min(rest);
            assert!(there > 0, "the server closed the connection");
            self.reader.consume(there);
            rest -= there;
        }
        Some(u64::try_from(length).expect("24 bits") - 1)
    }
}
