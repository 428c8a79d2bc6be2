//! QUERY: a statement in the binlog, with what is needed to understand its text.

use std::borrow::Cow;

use super::{Cursor, Fault, inflate_body, kind};

/// A statement, still in its client's character set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    /// The default database; empty where there is none, or where it must not be used. UTF-8 in all servers.
    pub(crate) database: &'a [u8],
    /// `sql_mode` of the session, 0 where the event does not say.
    pub(crate) sql_mode: u64,
    /// Collation number of `character_set_client`; none where the event does not say.
    pub(crate) client_collation: Option<u16>,
    /// Collation number of `collation_server`; none where the event does not say.
    pub(crate) server_collation: Option<u16>,
    /// The statement's bytes.
    pub(crate) text: Cow<'a, [u8]>,
}

/// `"x"` is an identifier.
const ANSI_QUOTES: u64 = 4;
/// A backslash in a string is only that.
const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;

impl Query<'_> {
    pub(crate) fn ansi_quotes(&self) -> bool {
        self.sql_mode & ANSI_QUOTES != 0
    }

    pub(crate) fn no_backslash_escapes(&self) -> bool {
        self.sql_mode & NO_BACKSLASH_ESCAPES != 0
    }
}

/// Extra head of EXECUTE_LOAD_QUERY: three numbers of 4 bytes and a byte.
const LOAD_HEAD: usize = 13;

/// Reads QUERY, QUERY_COMPRESSED or EXECUTE_LOAD_QUERY.
pub(crate) fn query(event_type: u8, flags: u16, body: &[u8]) -> Result<Query<'_>, Fault> {
    let mut cursor = Cursor::new(body);
    let parts = read(&mut cursor, event_type == kind::EXECUTE_LOAD_QUERY);
    let (variables, database) = parts.ok_or_else(|| Fault::short("a statement"))?;
    let database = if flags & kind::FLAG_NO_DATABASE != 0 { &[][..] } else { database };
    let text = match event_type {
        kind::QUERY_COMPRESSED => Cow::Owned(inflate_body(cursor.rest())?),
        _ => Cow::Borrowed(cursor.rest()),
    };
    let Variables { sql_mode, client_collation, server_collation } = read_variables(variables);
    Ok(Query { database, sql_mode, client_collation, server_collation, text })
}

/// Thread u32, seconds u32, database length u8, error u16, length of the status variables u16; then variables, database,
/// zero. The statement is left.
fn read<'a>(cursor: &mut Cursor<'a>, load: bool) -> Option<(&'a [u8], &'a [u8])> {
    cursor.take(8)?;
    let database_length = usize::from(cursor.u8()?);
    cursor.take(2)?;
    let variables_length = usize::from(cursor.u16()?);
    if load {
        cursor.take(LOAD_HEAD)?;
    }
    let variables = cursor.take(variables_length)?;
    let database = cursor.take(database_length)?;
    cursor.take(1)?;
    Some((variables, database))
}

/// Those of a statement's status variables that are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Variables {
    sql_mode: u64,
    client_collation: Option<u16>,
    server_collation: Option<u16>,
}

/// Variables come in a fixed order of (code, value), and an unknown code has no length: reading stops there. The wanted ones
/// come early.
fn read_variables(variables: &[u8]) -> Variables {
    let mut found = Variables::default();
    let mut cursor = Cursor::new(variables);
    while let Some(code) = cursor.u8() {
        let known = match code {
            0 => cursor.take(4).is_some(),
            1 => cursor.u64().map(|mode| found.sql_mode = mode).is_some(),
            3 => cursor.take(4).is_some(),
            // Of the client, of the connection, of the server.
            4 => cursor
                .array()
                .map(|[a, b, _, _, e, f]: [u8; 6]| {
                    found.client_collation = Some(u16::from_le_bytes([a, b]));
                    found.server_collation = Some(u16::from_le_bytes([e, f]));
                })
                .is_some(),
            5 | 6 => cursor.u8().and_then(|length| cursor.take(usize::from(length))).is_some(),
            _ => false,
        };
        if !known {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(variables: &[u8], database: &[u8], text: &[u8]) -> Vec<u8> {
        let small = |n: usize| u8::try_from(n).expect("small");
        let mut body = vec![0; 8];
        body.push(small(database.len()));
        body.extend([0, 0, small(variables.len()), 0]);
        body.extend(variables);
        body.extend(database);
        body.push(0);
        body.extend(text);
        body
    }

    #[test]
    fn a_statement_comes_with_mode_and_character_set() {
        let mut variables = vec![0, 0, 0, 0, 0, 1, 4, 0, 0x10, 0, 0, 0, 0, 0, 6, 3, b's', b't', b'd'];
        variables.extend([3, 1, 0, 1, 0, 4, 8, 0, 8, 0, 33, 0, 77, 1, 2]);
        let body = body(&variables, b"shop", b"ALTER TABLE t");
        let read = query(kind::QUERY, 0, &body).expect("a statement");
        assert_eq!((read.database, &*read.text), (&b"shop"[..], &b"ALTER TABLE t"[..]));
        assert_eq!(read.client_collation, Some(8));
        assert!(read.ansi_quotes() && read.no_backslash_escapes());
        let nameless = query(kind::QUERY, kind::FLAG_NO_DATABASE, &body).expect("a statement");
        assert_eq!(nameless.database, b"");
    }

    #[test]
    fn a_cut_statement_is_refused() {
        let body = body(&[], b"shop", b"");
        for length in 0..body.len() {
            assert!(query(kind::QUERY, 0, &body[..length]).is_err(), "{length}");
        }
        assert!(query(kind::QUERY, 0, &body).is_ok());
    }
}
