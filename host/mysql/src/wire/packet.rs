//! Packets: the protocol's unit, cut at 16 MiB and joined again here.
//!
//! Reading goes through one buffer: a packet that lies in it whole is handed out where it lies; only cut or longer ones are
//! copied together. A part's length is at most 16 MiB, so the room for a joined packet grows with what really came, never
//! with what a damaged header claims.

use std::io::{self, Read, Write};

use super::channel::Channel;
use crate::event::EVENT_MAX;

/// Taken from the socket at once: a few dozen row events, and a system call every 0.25 ms at 1 GB/s.
const BUFFER_BYTES: usize = 256 << 10;
/// A payload of this length continues in the next packet.
const PART_MAX: usize = 0xff_ffff;
const HEADER_BYTES: usize = 4;

/// Both directions of a connection, in packets.
#[derive(Debug)]
pub(super) struct Packets {
    channel: Channel,
    buffer: Vec<u8>,
    /// What was read and not yet handed out is `buffer[start..end]`.
    start: usize,
    end: usize,
    /// A packet that did not fit.
    joined: Vec<u8>,
    /// Number of the next packet; both sides count together and start over with each command.
    sequence: u8,
}

impl Packets {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, buffer: vec![0; BUFFER_BYTES], start: 0, end: 0, joined: Vec::new(), sequence: 0 }
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Puts another channel under the same conversation: an encrypted one, a compressed one.
    pub(super) fn replace_channel(
        self,
        wrap: impl FnOnce(Channel) -> io::Result<Channel>,
    ) -> io::Result<Self> {
        if self.start != self.end {
            // Whatever came before encryption began could have come from anyone, and is not what was agreed on.
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "data came before the encryption or compression of the connection began",
            ));
        }
        Ok(Self { channel: wrap(self.channel)?, ..self })
    }

    /// Starts a new command.
    pub(super) fn start_command(&mut self) {
        self.sequence = 0;
        self.channel.start_command();
    }

    /// Sends one packet; what we send is always far below 16 MiB but for statements with GTID sets, which stay below too.
    pub(super) fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a command is longer than 16 MiB");
        if payload.len() >= PART_MAX {
            return Err(too_long());
        }
        let length = u32::try_from(payload.len()).map_err(|_| too_long())?;
        let mut packet = Vec::with_capacity(HEADER_BYTES + payload.len());
        packet.extend_from_slice(&length.to_le_bytes()[..3]);
        packet.push(self.sequence);
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.channel.write_all(&packet)?;
        self.channel.flush()
    }

    /// The next packet, joined. After an error the connection cannot be read further.
    #[inline]
    pub(super) fn receive(&mut self) -> io::Result<&[u8]> {
        self.fill(HEADER_BYTES)?;
        let length = self.next_header()?;
        if length == PART_MAX || length > BUFFER_BYTES - HEADER_BYTES {
            return self.receive_long(length);
        }
        self.fill(length)?;
        let start = self.start;
        self.start += length;
        Ok(&self.buffer[start..start + length])
    }

    fn receive_long(&mut self, first: usize) -> io::Result<&[u8]> {
        self.joined.clear();
        let mut length = first;
        loop {
            if self.joined.len() + length > EVENT_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet is larger than 1 GiB"));
            }
            let buffered = length.min(self.end - self.start);
            self.joined.extend_from_slice(&self.buffer[self.start..self.start + buffered]);
            self.start += buffered;
            let missing = length - buffered;
            let wanted = self.joined.len() + missing;
            let limit = u64::try_from(missing).unwrap_or(u64::MAX);
            Read::by_ref(&mut self.channel).take(limit).read_to_end(&mut self.joined)?;
            if self.joined.len() != wanted {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if length < PART_MAX {
                return Ok(&self.joined);
            }
            self.fill(HEADER_BYTES)?;
            length = self.next_header()?;
        }
    }

    /// Whether a whole packet has arrived already, so that `receive` would not wait.
    pub(super) fn has_packet(&self) -> bool {
        let waiting = &self.buffer[self.start..self.end];
        let Some([a, b, c]) = waiting.first_chunk::<3>() else { return self.channel.has_ready() };
        let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
        waiting.len() >= HEADER_BYTES + length || self.channel.has_ready()
    }

    /// Gives back the room of a large packet: one of 1 GiB must not stay for ever.
    pub(super) fn shrink(&mut self) {
        if self.joined.capacity() > 2 * BUFFER_BYTES {
            self.joined = Vec::new();
        }
    }

    fn next_header(&mut self) -> io::Result<usize> {
        let header = self.buffer[self.start..self.end].first_chunk();
        let [a, b, c, sequence]: [u8; HEADER_BYTES] = *header.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.start += HEADER_BYTES;
        if sequence != self.sequence && !self.channel.is_compressed() {
            let reason = format!("packet number {sequence} came where {} was due", self.sequence);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        self.sequence = sequence.wrapping_add(1);
        // Three bytes always fit.
        usize::try_from(u32::from_le_bytes([a, b, c, 0])).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Waits until so many bytes lie in the buffer, one behind the other.
    #[inline]
    fn fill(&mut self, bytes: usize) -> io::Result<()> {
        if self.end - self.start >= bytes { Ok(()) } else { self.fill_slowly(bytes) }
    }

    fn fill_slowly(&mut self, bytes: usize) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < bytes {
            match self.channel.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.end += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::super::channel::Socket;

    use super::*;

    /// Packets that carry the payloads, cut as the protocol cuts them.
    fn cut(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut sequence = 0_u8;
        for payload in payloads {
            let mut rest = &payload[..];
            loop {
                let length = rest.len().min(PART_MAX);
                bytes.extend_from_slice(&u32::try_from(length).expect("small").to_le_bytes()[..3]);
                bytes.push(sequence);
                sequence = sequence.wrapping_add(1);
                bytes.extend_from_slice(&rest[..length]);
                rest = &rest[length..];
                if length < PART_MAX {
                    break;
                }
            }
        }
        bytes
    }

    fn read_back(bytes: Vec<u8>, count: usize) -> Vec<Result<Vec<u8>, io::ErrorKind>> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let sender = std::thread::spawn(move || {
            listener.accept().and_then(|(mut socket, _)| socket.write_all(&bytes))
        });
        let mut packets =
            Packets::new(Channel::Plain(Socket::Tcp(TcpStream::connect(address).expect("a connection"))));
        let read = (0..count).map(|_| packets.receive().map(<[u8]>::to_vec).map_err(|e| e.kind())).collect();
        drop(packets);
        let _ = sender.join().expect("the sender ends");
        read
    }

    #[test]
    fn packets_of_any_length_come_out_as_they_went_in() {
        let lengths = [
            0,
            1,
            300,
            BUFFER_BYTES - 4,
            BUFFER_BYTES,
            3 * BUFFER_BYTES,
            PART_MAX - 1,
            PART_MAX,
            PART_MAX + 1,
        ];
        let payloads: Vec<Vec<u8>> = lengths.iter().zip(1_u8..).map(|(n, fill)| vec![fill; *n]).collect();
        let mut all = payloads.clone();
        // Enough to make the sequence number wrap.
        all.extend((0..300).map(|n| vec![7; n]));
        let read = read_back(cut(&all), all.len());
        for (number, (payload, got)) in all.iter().zip(&read).enumerate() {
            assert_eq!(got.as_ref().map(Vec::len), Ok(payload.len()), "{number}");
            assert!(got.as_ref() == Ok(payload), "{number}");
        }
    }

    #[test]
    fn a_cut_connection_and_a_lost_packet_are_errors() {
        let mut bytes = cut(&[vec![1; 1000]]);
        bytes.truncate(500);
        assert_eq!(read_back(bytes, 1), [Err(io::ErrorKind::UnexpectedEof)]);
        let mut bytes = cut(&[vec![1; 10], vec![2; 10]]);
        bytes[14 + 3] = 9;
        assert_eq!(read_back(bytes, 2), [Ok(vec![1; 10]), Err(io::ErrorKind::InvalidData)]);
    }
}
