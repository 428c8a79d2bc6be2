//! An event's frame: header, body, checksum.

use mysql_cdc::events::event_header::EventHeader;

use super::{Fault, kind};

/// Bytes of every event's header.
pub(crate) const HEADER_BYTES: usize = 19;
/// Bytes of the checksum behind an event.
const CHECKSUM_BYTES: usize = 4;
/// Where the flags stand in the header.
const FLAGS_AT: usize = 17;

/// An event whose length and checksum are right.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) header: EventHeader,
    /// Without header and checksum.
    pub(crate) body: &'a [u8],
}

impl Event<'_> {
    pub(crate) fn has_flag(&self, flag: u16) -> bool {
        self.header.event_flags & flag != 0
    }
}

/// Takes an event apart. `checksum`: whether events carry one here (a format description says so of itself).
pub(crate) fn frame(bytes: &[u8], checksum: bool) -> Result<Event<'_>, Fault> {
    let header = bytes.get(..HEADER_BYTES).ok_or_else(|| Fault::short("an event's header"))?;
    let header =
        EventHeader::parse(header).map_err(|e| Fault::from(format!("an event's header is none: {e:?}")))?;
    if usize::try_from(header.event_length).ok() != Some(bytes.len()) {
        let reason = format!("an event of {} bytes says that it has {}", bytes.len(), header.event_length);
        return Err(reason.into());
    }
    let body = &bytes[HEADER_BYTES..];
    if header.event_type == kind::FORMAT_DESCRIPTION {
        // It has a checksum's place in any case, and one that counts where its last byte but four says so.
        let (covered, sum) = bytes.split_last_chunk().ok_or_else(|| Fault::short("a format description"))?;
        if covered.last() == Some(&1) {
            check(covered, *sum, header.event_flags)?;
        }
        return Ok(Event { header, body });
    }
    if !checksum {
        return Ok(Event { header, body });
    }
    let (covered, sum) = bytes.split_last_chunk().ok_or_else(|| Fault::short("an event"))?;
    check(covered, *sum, header.event_flags)?;
    let body = body.get(..body.len().saturating_sub(CHECKSUM_BYTES)).unwrap_or_default();
    Ok(Event { header, body })
}

fn check(covered: &[u8], sum: [u8; CHECKSUM_BYTES], flags: u16) -> Result<(), Fault> {
    let found = u32::from_le_bytes(sum);
    let right = if flags & kind::FLAG_IN_USE == 0 {
        crc32fast::hash(covered)
    } else {
        let mut copy = covered.to_vec();
        let place = copy.get_mut(FLAGS_AT..FLAGS_AT + 2).ok_or_else(|| Fault::short("an event"))?;
        place.copy_from_slice(&(flags & !kind::FLAG_IN_USE).to_le_bytes());
        crc32fast::hash(&copy)
    };
    if right == found {
        return Ok(());
    }
    Err(format!("an event's checksum is {found:08x}, its bytes give {right:08x}: it was damaged on its way")
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u8, flags: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER_BYTES + body.len() + CHECKSUM_BYTES).expect("small");
        let mut bytes = vec![0; 4];
        bytes.push(kind);
        bytes.extend(7_u32.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(0_u16.to_le_bytes());
        bytes.extend(body);
        let sum = crc32fast::hash(&bytes);
        bytes[FLAGS_AT..FLAGS_AT + 2].copy_from_slice(&flags.to_le_bytes());
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    #[test]
    fn a_damaged_event_is_refused_whichever_bit_flipped() {
        let good = event(kind::XID, 0, &42_u64.to_le_bytes());
        assert_eq!(frame(&good, true).expect("a sound event").body, 42_u64.to_le_bytes());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // The flag for a file in use is not covered.
            if bit != FLAGS_AT * 8 {
                assert!(frame(&bad, true).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn the_mark_of_a_file_in_use_is_not_covered() {
        assert!(frame(&event(kind::XID, kind::FLAG_IN_USE, &[0; 8]), true).is_ok());
        assert!(frame(&event(kind::XID, kind::FLAG_IGNORABLE, &[0; 8]), true).is_err());
        // A header alone has no room for a checksum, which then reaches back over the flags.
        let whole = envelope_alone(kind::FLAG_IN_USE);
        assert!(frame(&whole, true).is_err());
    }

    fn envelope_alone(flags: u16) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[4] = kind::XID;
        bytes[9] = 19;
        bytes[FLAGS_AT..].copy_from_slice(&flags.to_le_bytes());
        bytes
    }

    #[test]
    fn without_checksums_the_body_runs_to_the_end() {
        assert_eq!(frame(&event(kind::XID, 0, &[1; 8]), false).expect("an event").body.len(), 12);
        assert!(frame(&[0; 18], false).is_err());
    }
}
