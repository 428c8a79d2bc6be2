//! The compressed protocol: what goes over a connection after the login, in packed frames.
//!
//! A frame is 3 bytes of length, its number, 3 bytes of the length unpacked (0: it is not packed), and the payload, deflated or, where both sides
//! agreed on that, as a whole Zstandard frame; the protocol's
//! packets are cut into frames anywhere. Frames are counted from the start of a command on, both sides together. The
//! packets inside carry numbers too, which servers bring into line with the frames' now and then, so those are not checked.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::auth::ZSTD_LEVEL;
use super::channel::Channel;
use crate::options::LineCompression;

const HEADER_BYTES: usize = 7;
/// A frame's length has three bytes.
const FRAME_MAX: usize = 0xff_ffff;
/// Below this deflating makes things longer; servers do the same.
const WORTH_BYTES: usize = 50;

/// A connection whose two sides compress.
#[derive(Debug)]
pub(super) struct Compressed {
    inner: Channel,
    /// Number of the next frame.
    sequence: u8,
    compression: LineCompression,
    frame: Vec<u8>,
    /// What was inflated and not yet read is `ready[start..]`.
    ready: Vec<u8>,
    start: usize,
    /// What is to be sent.
    waiting: Vec<u8>,
}

impl Compressed {
    pub(super) fn new(inner: Channel, compression: LineCompression) -> Self {
        Self {
            inner,
            sequence: 0,
            compression,
            frame: Vec::new(),
            ready: Vec::new(),
            start: 0,
            waiting: Vec::new(),
        }
    }

    pub(super) fn inner(&self) -> &Channel {
        &self.inner
    }

    pub(super) fn start_command(&mut self) {
        self.sequence = 0;
    }

    /// Whether something can be read without waiting.
    pub(super) fn has_ready(&self) -> bool {
        self.start < self.ready.len()
    }

    fn next_frame(&mut self) -> io::Result<()> {
        let mut header = [0; HEADER_BYTES];
        self.inner.read_exact(&mut header)?;
        let [a, b, c, sequence, d, e, f] = header;
        let length = |low: u8, middle: u8, high: u8| {
            usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16
        };
        if sequence != self.sequence {
            let reason = format!("frame number {sequence} came where {} was due", self.sequence);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        self.sequence = sequence.wrapping_add(1);
        let inflated = length(d, e, f);
        self.start = 0;
        self.ready.clear();
        let into = if inflated == 0 { &mut self.ready } else { &mut self.frame };
        into.resize(length(a, b, c), 0);
        self.inner.read_exact(into)?;
        if inflated > 0 {
            // Never more than was said, whatever the frame holds.
            let limit = u64::try_from(inflated).unwrap_or(u64::MAX);
            match self.compression {
                LineCompression::Zlib => {
                    ZlibDecoder::new(&self.frame[..]).take(limit).read_to_end(&mut self.ready)?
                }
                LineCompression::Zstd => {
                    zstd::Decoder::with_buffer(&self.frame[..])?.take(limit).read_to_end(&mut self.ready)?
                }
            };
            if self.ready.len() != inflated {
                let reason = "a frame is shorter than it says";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        }
        Ok(())
    }

    fn send_frame(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut packed = Vec::new();
        if payload.len() >= WORTH_BYTES {
            match self.compression {
                LineCompression::Zlib => {
                    let mut encoder = ZlibEncoder::new(&mut packed, Compression::fast());
                    encoder.write_all(payload)?;
                    encoder.finish()?;
                }
                LineCompression::Zstd => zstd::stream::copy_encode(payload, &mut packed, ZSTD_LEVEL.into())?,
            }
        }
        let worth = !packed.is_empty() && packed.len() < payload.len();
        let (body, inflated) = if worth { (&packed[..], payload.len()) } else { (payload, 0) };
        let mut frame = Vec::with_capacity(HEADER_BYTES + body.len());
        let three = |n: usize| [n, n >> 8, n >> 16].map(|n| u8::try_from(n & 0xff).unwrap_or(0));
        frame.extend(three(body.len()));
        frame.push(self.sequence);
        frame.extend(three(inflated));
        frame.extend_from_slice(body);
        self.sequence = self.sequence.wrapping_add(1);
        self.inner.write_all(&frame)
    }
}

impl Read for Compressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.has_ready() {
            self.next_frame()?;
        }
        let ready = &self.ready[self.start..];
        let taken = ready.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&ready[..taken]);
        self.start += taken;
        Ok(taken)
    }
}

impl Write for Compressed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        for payload in waiting.chunks(FRAME_MAX) {
            self.send_frame(payload)?;
        }
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::super::channel::Socket;
    use super::*;

    fn ends(compression: LineCompression) -> (Compressed, Compressed) {
        let (left, right) = UnixStream::pair().expect("a pair of sockets");
        let end = |socket| Compressed::new(Channel::Plain(Socket::Unix(socket)), compression);
        (end(left), end(right))
    }

    #[test]
    fn what_goes_in_comes_out_whatever_its_length() {
        let lengths = [1, WORTH_BYTES - 1, WORTH_BYTES, 5000, FRAME_MAX, FRAME_MAX + 1, 2 * FRAME_MAX + 9];
        let both = |length| [(length, LineCompression::Zlib), (length, LineCompression::Zstd)];
        for (length, compression) in lengths.into_iter().flat_map(both) {
            let (mut sender, mut receiver) = ends(compression);
            let sent: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
            let copy = sent.clone();
            let thread = std::thread::spawn(move || {
                sender.write_all(&copy).and_then(|()| sender.flush()).expect("sends");
            });
            let mut got = vec![0; length];
            receiver.read_exact(&mut got).expect("reads");
            assert!(got == sent, "{length}");
            thread.join().expect("the sender ends");
        }
    }

    #[test]
    fn a_frame_that_lies_is_an_error() {
        let mut deflater = ZlibEncoder::new(Vec::new(), Compression::fast());
        let deflated = deflater.write_all(&[7; 100]).and_then(|()| deflater.finish()).expect("deflates");
        let packed = zstd::encode_all(&[7; 100][..], 3).expect("packs");
        for (compression, body) in [(LineCompression::Zlib, deflated), (LineCompression::Zstd, packed)] {
            let size = u8::try_from(body.len()).expect("short");
            let receiving = |frame: Vec<u8>| {
                let (sender, receiver) = ends(compression);
                let Channel::Plain(Socket::Unix(mut socket)) = sender.inner else { panic!("a Unix socket") };
                socket.write_all(&frame).expect("sends");
                receiver
            };
            for (name, sequence, said) in [("number", 1, 100), ("length", 0, 101)] {
                let frame = [&[size, 0, 0, sequence, said, 0, 0][..], &body].concat();
                let error = receiving(frame).read(&mut [0; 10]).expect_err(name);
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}");
            }
            // One that inflates to more than it says is cut there.
            let mut got = [0; 200];
            let frame = [&[size, 0, 0, 0, 60, 0, 0][..], &body].concat();
            assert_eq!(receiving(frame).read(&mut got).expect("reads"), 60);
        }
    }
}
