//! FORMAT_DESCRIPTION: the first event of a file, which says who wrote it and whether its events carry checksums.

use std::io;

use mysql_cdc::events::event_header::EventHeader;
use mysql_cdc::events::format_description_event::FormatDescriptionEvent;

use super::{Cursor, Fault};

/// Where the file's writer says when it was started: behind binlog version and server version.
const CREATED_AT: usize = 2 + 50;
/// `mysql_cdc` counts this event's length in eight bits.
const CDC_LENGTH_MAX: u32 = 255;

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    /// Events carry CRC32.
    pub(crate) checksum: bool,
    /// The file is the first of a run of the server: table maps and open transactions of the last run are void.
    pub(crate) server_started: bool,
    /// Version of the server that wrote the file.
    pub(crate) server_version: String,
}

/// Reads the event; `body` still has its checksum.
pub(crate) fn format_description(header: &EventHeader, body: &[u8]) -> Result<Format, Fault> {
    let short = || Fault::short("a format description");
    let created = Cursor::new(body.get(CREATED_AT..).ok_or_else(short)?).u32().ok_or_else(short)?;
    // The last five bytes: kind of checksum, and the event's own.
    let kind = *body.len().checked_sub(5).and_then(|at| body.get(at)).ok_or_else(short)?;
    if kind > 1 {
        return Err(format!("a file's events carry a checksum of kind {kind}, which is not known").into());
    }
    let server_version = match header.event_length <= CDC_LENGTH_MAX {
        true => cdc_version(header, body)?,
        false => String::from_utf8_lossy(&body[2..CREATED_AT]).trim_end_matches('\0').to_owned(),
    };
    Ok(Format { checksum: kind == 1, server_started: created != 0, server_version })
}

fn cdc_version(header: &EventHeader, body: &[u8]) -> Result<String, Fault> {
    let event = FormatDescriptionEvent::parse(&mut io::Cursor::new(body), header)
        .map_err(|e| Fault::from(format!("a format description is none: {e:?}")))?;
    if event.binlog_version != 4 {
        return Err(format!("the binlog has format {}; format 4 is known", event.binlog_version).into());
    }
    Ok(event.server_version)
}
