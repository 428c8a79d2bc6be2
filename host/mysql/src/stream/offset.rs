//! Where an event stands in its file, in 64 bits.
//!
//! Events say where the next one begins, in 32 bits: the number wraps in files above 4 GiB (one large transaction makes
//! such a file), and it is 0 for events made up for the reader, inside compressed transactions, and inside every transaction
//! of newer MariaDB servers. So offsets are counted from lengths, and the number only corrects the count where the server left
//! something out (a start by GTID skips what was seen).

/// How far a server's number may be behind the count before it must mean the next 4 GiB: events on their way may differ in
/// length from those in the file by a checksum.
const SLACK: u64 = 1 << 20;

/// The offset behind an event that begins at `start` and is `length` bytes long, where `next` is what it says of it.
pub(super) fn behind(start: u64, length: u64, next: u32) -> u64 {
    const WRAP: u64 = 1 << 32;
    // No file is so long; a server that says so must not end us.
    let counted = start.saturating_add(length);
    if next == 0 {
        return counted;
    }
    let candidate = (counted & !(WRAP - 1)) | u64::from(next);
    if candidate.saturating_add(SLACK) >= counted { candidate } else { candidate.saturating_add(WRAP) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_go_on_beyond_what_events_can_say() {
        for (name, start, length, next, end) in [
            ("plain", 4, 100, 104, 104),
            ("not said", 4, 100, 0, 104),
            ("skipped ahead", 4, 100, 5_000, 5_000),
            ("wrapped", 0xffff_fff0, 0x20, 0x10, 0x1_0000_0010),
            ("far above 4 GiB", 0x1_0000_0010, 0x20, 0x30, 0x1_0000_0030),
            ("skipped over the wrap", 0xffff_0000, 0x20, 0x100, 0x1_0000_0100),
            ("a little behind", 1_000, 100, 1_096, 1_096),
            ("just below the wrap", 0xffff_ff00, 0x10, 0xffff_ff10, 0xffff_ff10),
            ("at the end of all numbers", u64::MAX - 1, 19, 0, u64::MAX),
            ("wrapped there", u64::MAX - 1, 19, 7, u64::MAX),
        ] {
            assert_eq!(behind(start, length, next), end, "{name}");
        }
    }
}
