//! Blocks of open sessions: checked bodies, taken apart into entries that a commit only has to apply.
//!
//! An entry is `kind, key length, key, [count, column ids,] row length, row`.

use rusqlite::params;

use super::{Session, SessionKind, Store, lock};
use crate::fault::Fault;
use crate::wire::cursor::{Cursor, Malformed, put_sized, put_varint};
use crate::wire::row::ColumnId;

const INSERT: u8 = 0;
const UPSERT: u8 = b'U';
const DELETE: u8 = b'D';
const PARTIAL: u8 = b'P';

/// One change of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    Insert {
        row: &'a [u8],
    },
    /// Replaces the whole row.
    Upsert {
        key: &'a [u8],
        row: &'a [u8],
    },
    Delete {
        key: &'a [u8],
    },
    /// Replaces the columns in `set`.
    Partial {
        key: &'a [u8],
        set: Vec<ColumnId>,
        row: &'a [u8],
    },
}

/// Adds an entry to a block.
pub(crate) fn put_entry(out: &mut Vec<u8>, entry: &Entry<'_>) {
    match entry {
        Entry::Insert { row } => {
            out.push(INSERT);
            put_sized(out, row);
        }
        Entry::Upsert { key, row } => {
            out.push(UPSERT);
            put_sized(out, key);
            put_sized(out, row);
        }
        Entry::Delete { key } => {
            out.push(DELETE);
            put_sized(out, key);
        }
        Entry::Partial { key, set, row } => {
            out.push(PARTIAL);
            put_sized(out, key);
            put_varint(out, u64::try_from(set.len()).unwrap_or(u64::MAX));
            for id in set {
                put_varint(out, (*id).into());
            }
            put_sized(out, row);
        }
    }
}

/// The entries of a block.
pub(super) fn entries(block: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Malformed>> {
    let mut cursor = Cursor::new(block);
    std::iter::from_fn(move || (!cursor.is_at_end()).then(|| next_entry(&mut cursor)))
}

fn next_entry<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>, Malformed> {
    match cursor.array::<1>()? {
        [INSERT] => Ok(Entry::Insert { row: cursor.sized()? }),
        [UPSERT] => Ok(Entry::Upsert { key: cursor.sized()?, row: cursor.sized()? }),
        [DELETE] => Ok(Entry::Delete { key: cursor.sized()? }),
        [PARTIAL] => {
            let key = cursor.sized()?;
            let id = |cursor: &mut Cursor<'a>| {
                ColumnId::try_from(cursor.varint()?)
                    .map_err(|_| Malformed::new("a stored column id is too large"))
            };
            let count = cursor.length()?;
            let set = (0..count).map(|_| id(cursor)).collect::<Result<_, _>>()?;
            Ok(Entry::Partial { key, set, row: cursor.sized()? })
        }
        _ => Err(Malformed::new("a stored block is damaged")),
    }
}

/// A block of an upload session, as its document lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockInfo {
    pub(crate) id: i64,
    pub(crate) stored_ms: i64,
}

impl Store {
    /// Keeps a block. A block of an upload session replaces the one with its number; blocks of an upsert
    /// session add up, in the order of their arrival here.
    pub(super) fn put_block(
        &self,
        session: &Session,
        slot: i64,
        rows: u64,
        body: &[u8],
        now_ms: i64,
    ) -> Result<(), Fault> {
        let mut blocks = lock(&self.blocks);
        let tx = blocks.transaction()?;
        if matches!(session.kind, SessionKind::Upload { .. }) {
            tx.execute("DELETE FROM blocks WHERE session = ?1 AND slot = ?2", params![session.id, slot])?;
        }
        tx.prepare_cached(
            "INSERT INTO blocks (session, slot, rows, stored_ms, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            session.id,
            slot,
            i64::try_from(rows).unwrap_or(i64::MAX),
            now_ms,
            body
        ])?;
        tx.commit()?;
        Ok(())
    }

    /// The blocks of an upload session, by number.
    pub(crate) fn block_list(&self, session: &Session) -> Result<Vec<BlockInfo>, Fault> {
        if self.discard {
            let info = |(&id, &stored_ms): (&i64, &i64)| BlockInfo { id, stored_ms };
            return Ok(session.discarded(|blocks| blocks.iter().map(info).collect()));
        }
        self.read_from(&self.block_readers, "blocks.db", |connection| {
            let mut statement = connection
                .prepare_cached("SELECT slot, stored_ms FROM blocks WHERE session = ?1 ORDER BY slot")?;
            let list = statement
                .query_map([&session.id], |row| Ok(BlockInfo { id: row.get(0)?, stored_ms: row.get(1)? }))?
                .collect::<Result<_, _>>()?;
            Ok(list)
        })
    }

    /// Calls `visit` for every block in the order in which a commit applies them.
    pub(super) fn for_each_block(
        &self,
        session: &Session,
        mut visit: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let order = if matches!(session.kind, SessionKind::Upload { .. }) { "slot" } else { "seq" };
        self.read_from(&self.block_readers, "blocks.db", |connection| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT body FROM blocks WHERE session = ?1 ORDER BY {order}"))?;
            let mut found = statement.query([&session.id])?;
            while let Some(row) = found.next()? {
                let body = row.get_ref(0)?.as_blob().map_err(|error| Fault::Internal(error.to_string()))?;
                visit(body)?;
            }
            Ok(())
        })
    }

    /// Drops the blocks of a session that takes no more.
    pub(super) fn delete_blocks(&self, session: &str) -> Result<(), Fault> {
        lock(&self.blocks).execute("DELETE FROM blocks WHERE session = ?1", [session])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_a_round_trip() {
        let written = [
            Entry::Insert { row: b"row" },
            Entry::Upsert { key: b"k", row: b"" },
            Entry::Delete { key: b"k2" },
            Entry::Partial { key: b"k3", set: vec![2, 300], row: b"r" },
        ];
        let mut block = Vec::new();
        for entry in &written {
            put_entry(&mut block, entry);
        }
        let read: Vec<_> = entries(&block).collect::<Result<_, _>>().unwrap();
        assert_eq!(read, written);
    }
}
