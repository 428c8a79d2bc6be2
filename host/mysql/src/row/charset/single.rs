//! Character sets of one byte a character.

use std::sync::Arc;

use encoding_rs::Encoding;

use super::{NONE, UNKNOWN, older, push};

/// What each byte means; [`NONE`] where it means nothing.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    means: Arc<[char; 256]>,
    /// ASCII means what it says.
    has_ascii: bool,
}

/// (First and last byte, character of the first): characters count on; 0: none of these means anything.
type Deviation = ((u8, u8), u32);

/// A name, the encoding that it mostly is, and where the servers say otherwise (MySQL 9.7 and MariaDB 10.11 agree; the tests
/// compare every byte with both).
type Set = (&'static str, &'static Encoding, &'static [Deviation]);

const SETS: [Set; 16] = [
    // Nothing above 0x7f, though MariaDB stores it.
    ("ascii", encoding_rs::WINDOWS_1252, &[((0x80, 0xff), 0)]),
    // Really windows-1252, its five holes as control characters.
    ("latin1", encoding_rs::WINDOWS_1252, &[]),
    ("latin2", encoding_rs::ISO_8859_2, &[]),
    // ISO 8859-9, which web standards replace by windows-1254.
    ("latin5", encoding_rs::WINDOWS_1254, &[((0x80, 0x9f), 0x80)]),
    ("latin7", encoding_rs::ISO_8859_13, &[]),
    // ISO 8859-7 as it was in 1987, before it got the euro and two signs more.
    (
        "greek",
        encoding_rs::ISO_8859_7,
        &[((0xa1, 0xa1), 0x2bd), ((0xa2, 0xa2), 0x2bc), ((0xa4, 0xa5), 0), ((0xaa, 0xaa), 0)],
    ),
    ("hebrew", encoding_rs::ISO_8859_8, &[((0xaf, 0xaf), 0x203e)]),
    (
        "cp1250",
        encoding_rs::WINDOWS_1250,
        &[((0x81, 0x81), 0), ((0x83, 0x83), 0), ((0x88, 0x88), 0), ((0x90, 0x90), 0), ((0x98, 0x98), 0)],
    ),
    ("cp1251", encoding_rs::WINDOWS_1251, &[((0x98, 0x98), 0)]),
    // The letters that were added for Urdu and Persian later are none.
    (
        "cp1256",
        encoding_rs::WINDOWS_1256,
        &[
            ((0x8a, 0x8a), 0),
            ((0x8f, 0x8f), 0),
            ((0x98, 0x98), 0),
            ((0x9a, 0x9a), 0),
            ((0x9f, 0x9f), 0),
            ((0xaa, 0xaa), 0),
            ((0xc0, 0xc0), 0),
            ((0xff, 0xff), 0),
        ],
    ),
    (
        "cp1257",
        encoding_rs::WINDOWS_1257,
        &[
            ((0x81, 0x81), 0),
            ((0x83, 0x83), 0),
            ((0x88, 0x88), 0),
            ((0x8a, 0x8a), 0),
            ((0x8c, 0x8c), 0),
            ((0x90, 0x90), 0),
            ((0x98, 0x98), 0),
            ((0x9a, 0x9a), 0),
            ((0x9c, 0x9c), 0),
            ((0x9f, 0x9f), 0),
        ],
    ),
    ("cp866", encoding_rs::IBM866, &[((0xfc, 0xfc), 0x207f), ((0xfd, 0xfd), 0xb2)]),
    ("koi8r", encoding_rs::KOI8_R, &[]),
    ("koi8u", encoding_rs::KOI8_U, &[((0x95, 0x95), 0x2022), ((0xae, 0xae), 0x255d), ((0xbe, 0xbe), 0x256c)]),
    ("macroman", encoding_rs::MACINTOSH, &[]),
    // TIS 620 without what Windows added; what is free means U+FFFD there.
    (
        "tis620",
        encoding_rs::WINDOWS_874,
        &[
            ((0x80, 0x9f), 0x80),
            ((0xa0, 0xa0), 0xfffd),
            ((0xdb, 0xdb), 0xfffd),
            ((0xdc, 0xdc), 0xfffd),
            ((0xdd, 0xdd), 0xfffd),
            ((0xde, 0xde), 0xfffd),
            ((0xfc, 0xfc), 0xfffd),
            ((0xfd, 0xfd), 0xfffd),
            ((0xfe, 0xfe), 0xfffd),
            ((0xff, 0xff), 0xfffd),
        ],
    ),
];

/// The character set of this name.
pub(super) fn named(name: &str) -> Option<Table> {
    let of_today = SETS.iter().find(|(known, _, _)| *known == name);
    of_today
        .map(|(_, encoding, deviations)| Table::new(encoding, deviations))
        .or_else(|| older::named(name, NONE).map(Table::of))
}

impl Table {
    fn new(encoding: &'static Encoding, deviations: &[Deviation]) -> Self {
        let mut table: [char; 256] = std::array::from_fn(|byte| {
            let byte = [u8::try_from(byte).unwrap_or(0)];
            let decoded = encoding.decode_without_bom_handling_and_without_replacement(&byte);
            decoded.and_then(|text| text.chars().next()).unwrap_or(NONE)
        });
        for ((first, last), start) in deviations {
            for (byte, c) in (*first..=*last).zip(*start..) {
                table[usize::from(byte)] = if *start == 0 { NONE } else { char::from_u32(c).unwrap_or(NONE) };
            }
        }
        Self::of(table)
    }

    fn of(means: [char; 256]) -> Self {
        let has_ascii = (0..0x80_u8).all(|byte| means[usize::from(byte)] == char::from(byte));
        Self { means: Arc::new(means), has_ascii }
    }

    /// Appends text as UTF-8. False when something in it has no meaning and was replaced.
    pub(super) fn write(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        if self.has_ascii && text.is_ascii() {
            out.extend_from_slice(text);
            return true;
        }
        let mut whole = true;
        for byte in text {
            match self.means[usize::from(*byte)] {
                NONE if *byte != 0 => {
                    whole = false;
                    push(UNKNOWN, out);
                }
                c => push(c, out),
            }
        }
        whole
    }
}
