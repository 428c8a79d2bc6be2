//! TRANSACTION_PAYLOAD: a MySQL transaction in one compressed event.
//!
//! The events inside are whole, with headers, without checksums. They are decompressed one at a time: the transaction's
//! plain size is bounded by nothing, one event is.

use std::io::{self, Read};

use super::frame::HEADER_BYTES;
use super::{Cursor, EVENT_MAX, Fault};

/// The events of a compressed transaction, one after another.
pub(crate) struct Payload {
    plain: Box<dyn Read + Send>,
    /// Bytes that should still come.
    left: u64,
    event: Vec<u8>,
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Payload {
    /// Reads the fields before the payload: (type, length, value), all length-encoded, ended by type 0.
    pub(crate) fn new(body: &[u8]) -> Result<Self, Fault> {
        const SIZE: u64 = 1;
        const METHOD: u64 = 2;
        const PLAIN_SIZE: u64 = 3;
        let short = || Fault::short("a compressed transaction");
        let mut cursor = Cursor::new(body);
        let (mut size, mut method, mut plain_size) = (None, None, None);
        loop {
            let field = cursor.length_encoded().ok_or_else(short)?;
            if field == 0 {
                break;
            }
            let value = Cursor::new(cursor.length_encoded_bytes().ok_or_else(short)?).length_encoded();
            match field {
                SIZE => size = value,
                METHOD => method = value,
                PLAIN_SIZE => plain_size = value,
                _ => {}
            }
        }
        let size = size.and_then(|n| usize::try_from(n).ok()).ok_or_else(short)?;
        let packed = io::Cursor::new(cursor.take(size).ok_or_else(short)?.to_vec());
        let plain: Box<dyn Read + Send> = match method {
            Some(0) => Box::new(zstd::Decoder::with_buffer(packed).map_err(broken)?),
            Some(255) => Box::new(packed),
            other => {
                return Err(
                    format!("a transaction is compressed by a method that is not known ({other:?})").into()
                );
            }
        };
        Ok(Self { plain, left: plain_size.ok_or_else(short)?, event: Vec::new() })
    }

    /// The next event; none behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Fault> {
        self.event.clear();
        if self.left == 0 {
            let more = self.plain.by_ref().take(1).read_to_end(&mut self.event).map_err(broken)?;
            return if more == 0 {
                Ok(None)
            } else {
                Err("a compressed transaction is longer than it says".into())
            };
        }
        self.fill(HEADER_BYTES)?;
        let length = self.event.get(9..).and_then(|rest| Cursor::new(rest).u32());
        let length =
            length.and_then(|n| usize::try_from(n).ok()).filter(|n| (HEADER_BYTES..=EVENT_MAX).contains(n));
        let length = length.ok_or("a compressed transaction holds an event of an impossible length")?;
        self.fill(length - HEADER_BYTES)?;
        Ok(Some(&self.event))
    }

    fn fill(&mut self, bytes: usize) -> Result<(), Fault> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(bytes).ok_or("a compressed transaction ends inside an event")?;
        let read = self.plain.by_ref().take(bytes).read_to_end(&mut self.event).map_err(broken)?;
        if u64::try_from(read).ok() != Some(bytes) {
            return Err("a compressed transaction is shorter than it says".into());
        }
        Ok(())
    }
}

fn broken(error: io::Error) -> Fault {
    format!("a compressed transaction cannot be decompressed: {error}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(body: &[u8]) -> Vec<u8> {
        let mut event = vec![0; HEADER_BYTES];
        let length = u32::try_from(HEADER_BYTES + body.len()).expect("small");
        event[9..13].copy_from_slice(&length.to_le_bytes());
        event.extend(body);
        event
    }

    fn payload(plain: &[u8], said: usize) -> Vec<u8> {
        let packed = zstd::encode_all(plain, 3).expect("memory");
        let small = |n: usize| u8::try_from(n).expect("small");
        let mut body = vec![2, 1, 0, 3, 1, small(said), 1, 1, small(packed.len()), 0];
        body.extend(packed);
        body
    }

    #[test]
    fn events_come_out_one_by_one() {
        let plain = [inner(b"first"), inner(b""), inner(b"third")].concat();
        let mut events = Payload::new(&payload(&plain, plain.len())).expect("a payload");
        let mut bodies = Vec::new();
        while let Some(event) = events.next().expect("an event") {
            bodies.push(event[HEADER_BYTES..].to_vec());
        }
        assert_eq!(bodies, [b"first".to_vec(), b"".to_vec(), b"third".to_vec()]);
    }

    #[test]
    fn a_wrong_size_is_refused() {
        let plain = inner(b"first");
        for said in [plain.len() - 1, plain.len() + 1] {
            let mut events = Payload::new(&payload(&plain, said)).expect("a payload");
            let ended = loop {
                match events.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            assert!(!ended, "{said}");
        }
    }
}
